# shellcheck shell=bash disable=SC2016,SC2154
# A dump without what the file system calls free, the map made beforehand. The
# appliance of the lab is taken, and TCG: KVM is not needed for it. QUICK or
# not, the map is made once, and lies in the disk's directory.
free=$dir/free
export free
if wanted skip-free && [[ ! -s $free ]] && command -v vmf-inspect >/dev/null; then
	LIBGUESTFS_PATH=$("$here/lab/image" appliance) \
	    LIBGUESTFS_BACKEND_SETTINGS=force_tcg \
	    vmf-inspect --free -q "$disk" >"$tmp/free" && mv "$tmp/free" "$free"
fi
row skip-free
cmd ours 'vmf-dump --skip' 'vmf-dump -z $level --skip "$free" "$disk" >"$work/out"'
cmd dd 'dd | zstd -T0' \
    'dd if="$disk" bs=1M status=none | zstd -q -T0 -$level >"$work/out"'
goal ours dd 2.3
size ours dd 1
go
