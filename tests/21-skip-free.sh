#!/bin/bash
# slow
# What the guest's file systems call free is left out, and nothing else is.
. "$(dirname "$0")/lib.sh"
requires root qemu-system-x86_64 supermin jq lvcreate mkfs.xfs mkfs.btrfs mkfs.ntfs

LIBGUESTFS_PATH=$("$top/tests/lab/image" appliance)
export LIBGUESTFS_PATH LIBGUESTFS_BACKEND_SETTINGS=force_tcg
disks() { dm_guest "${@:2}" -x x -t 200 "$top/tests/lab/guest-disks" "$1"; }

mkdir x scratch
truncate -s 1040M disk.img
truncate -s 100M unclean.img
disks make -d disk.img -d unclean.img || fail "in the guest"
before=$(sha disk.img)

expect 0 vmf-inspect --free -v --scratch scratch -o map disk.img
[[ $(sha disk.img) == "$before" ]] || fail "the disk was changed"
[[ -z $(ls scratch) ]] || fail "left behind: $(ls scratch)"
expect 0 vmf-dump -o whole.vmf disk.img
expect 0 vmf-dump --skip map -o part.vmf disk.img
saved=$(($(stat -c %s whole.vmf) - $(stat -c %s part.vmf)))
# five files of 24 MiB that do not compress; how much of them is left varies
((saved > 40 << 20)) || fail "only $saved bytes less"
expect 0 vmf-restore part.vmf back.img
zstd -dcq part.vmf | cmp - back.img
disks check -d back.img || fail "in the guest"
ok "ext4, xfs, btrfs, ntfs and a volume group: all files there, $((saved >> 20)) MiB less"

# every partition gave something, and swap nothing
sfdisk -J disk.img | jq -r '.partitiontable.partitions[] | "\(.start*512) \(.size*512)"' >parts
n=0
while read -r start size; do
	n=$((n + 1))
	free=$(awk -v a="$start" -v b=$((start + size)) \
	    '$3 == "free" && $1 >= a && $1 < b { sum += $2 } END { print sum + 0 }' map)
	echo "partition $n: $((free >> 20)) MiB free"
	case $n in
	6) ((free == 0)) || fail "swap counts as free" ;;
	*) ((free >= 24 << 20)) || fail "partition $n: $free bytes free" ;;
	esac
done <parts
ok "each of them gave what was deleted"

# --- maps of something else
cp --sparse=always disk.img other.img
expect 3 vmf-dump --skip map -o no other.img
expect_line 'other.img: changed since its map was made'
truncate -s +1M other.img
expect 3 vmf-dump --skip map -o no other.img
expect_line 'of a disk of [0-9]+ bytes'
sed '$d' map >broken
expect 4 vmf-dump --skip broken -o no disk.img
expect_line 'its end is missing'
expect 4 vmf-dump --skip part.vmf -o no disk.img
expect 5 vmf-dump --skip nosuch -o no disk.img
[[ ! -e no ]] || fail "something was written"
ok "maps of another disk, cut or absent"

# --- what needs a repair first keeps all its blocks
expect 0 vmf-inspect --free --scratch scratch unclean.img
expect_line 'was not unmounted cleanly'
[[ $out == *$'\nend 0' ]] || fail "free: $out"
ok "nothing of an unclean file system is free"

# --- in one step
expect 0 vmf-dump --skip-free --id "$(printf %032d 1)" -o one.vmf disk.img
expect 0 vmf-dump --skip map --id "$(printf %032d 1)" -j 1 -o two.vmf disk.img
same one.vmf two.vmf
[[ $(sha disk.img) == "$before" ]] || fail "the disk was changed"
ok "--skip-free gives the same bytes"
