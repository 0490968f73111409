#!/bin/bash
# slow
# The main job: a UEFI guest whose disks are a sparse file with GPT and ext4 and
# a partition of the host, moved from A to B under other paths.
. "$(dirname "$0")/lib.sh"
requires root sfdisk
lab_up
linux=$(image guest)

# partition_with FILE MIB: a loop device with one partition, in $part
partition_with() {
	truncate -s $(($2 + 4))M "$1"
	printf 'label: gpt\nstart=2048, size=%dMiB\n' "$2" | sfdisk -q "$1"
	loop_attach "$tmp/$1"
	part=${loop}p1
	wait_for 5 test -b "$part"
}

data_mib=$((($(stat -c %s "$linux/data.img") + 1048575) / 1048576))
partition_with a.disk "$data_mib"
part_a=$part
partition_with b.disk "$data_mib"
part_b=$part
dd if="$linux/data.img" of="$part_a" bs=1M conv=fsync status=none
cp --sparse=always "$linux/disk.img" "$LAB_DIR/A/disk/srv/web.img"
gen_domain web --disk /srv/web.img --disk "$part_a" --uefi --memory 192 >web.xml
on A virsh -q define /dev/stdin <web.xml
on A virsh -q start web
console_wait A web '^tick ' 90
for line in "efi boots=1" "disk boots=1" \
    "tree root $(<"$linux/tree.root")" "tree data $(<"$linux/tree.data")"; do
	_console_has A web "^VMF-GUEST $line\$" || fail "at A the guest did not say: $line"
done
on A virsh -q shutdown web
guest_off A web 20
ok "the guest runs at A and is shut down"

nvram=/var/lib/libvirt/qemu/nvram/web_VARS.fd
before=$(on A sha256sum /srv/web.img "$part_a" "$nvram")
on A virsh -q dumpxml --inactive --security-info web >a.xml
on B mkdir -p /srv/disks /srv/nvram
maps=(--map vda=/srv/disks/moved.img --map "vdb=$part_b"
    --map-path /var/lib/libvirt/qemu/nvram=/srv/nvram)

expect 0 on A vmf-move -n "${maps[@]}" web hostb
expect_out 'can move to hostb'
expect 1 on B virsh -q dominfo web
[[ -z $(on B ls /srv/disks /srv/nvram | grep -v :) ]] || fail "-n left something"
ok "a dry run checks and touches nothing"

expect 0 on A vmf-move "${maps[@]}" web hostb
expect_out 'moved to hostb'
expect_out 'the same at both ends'
on B test "$(on B sha256sum /srv/disks/moved.img | cut -c1-64)" = "${before:0:64}"
same "$part_a" "$part_b"
same "$LAB_DIR/A/disk$nvram" "$LAB_DIR/B/disk/srv/nvram/web_VARS.fd"
[[ $(on B stat -c %a /srv/disks/moved.img) == 600 ]]
a=$(on A du -k /srv/web.img | cut -f1)
b=$(on B du -k /srv/disks/moved.img | cut -f1)
[[ $b -le $((a + 4096)) ]] || fail "sparse at A ($a KiB), not at B ($b KiB)"
ok "disks and NVRAM arrived byte for byte, and sparse"

on B virsh -q dumpxml --inactive --security-info web >b.xml
sed -e 's|/srv/web.img|/srv/disks/moved.img|' -e "s|$part_a|$part_b|" \
    -e "s|$nvram|/srv/nvram/web_VARS.fd|" a.xml | diff - b.xml ||
    fail "the definitions differ elsewhere than the map says"
[[ $(on A virsh -q dumpxml --inactive --security-info web) == "$(<a.xml)" ]] ||
    fail "the definition at A changed"
ok "the definitions differ only where the map says"

[[ $(on A sha256sum /srv/web.img "$part_a" "$nvram") == "$before" ]]
expect 1 on A virsh -q start web
[[ $err == *"has moved to hostb"* ]] || fail "the reason is not told: $err"
ok "the source is kept as it was, and does not start"

on B virsh -q start web
console_wait B web '^tick ' 90
for line in "efi boots=2" "disk boots=2" \
    "tree root $(<"$linux/tree.root")" "tree data $(<"$linux/tree.data")"; do
	_console_has B web "^VMF-GUEST $line\$" || fail "at B the guest did not say: $line"
done
on B virsh -q destroy web
ok "at B the guest boots, counts on, and says the same of both file systems"

id=$(on A vmf-move --list | cut -d' ' -f1)
expect 0 on A vmf-move --status "$id"
for word in begin held placed commit defined 'done'; do
	[[ $out == *" $word "* ]] || fail "the journal lacks '$word': $out"
done
expect 3 on A vmf-move web hostb
[[ $err == *"has moved to hostb"* ]] || fail "a second move is not refused: $err"
ok "the journal tells it all, and a second run is refused"
