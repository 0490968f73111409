#!/bin/bash
# slow
# The main job by hand, tool by tool, in pipes: a volume dumped over ssh, a
# package sent by SFTP, unpacked, defined and booted at the other host.
. "$(dirname "$0")/lib.sh"
requires root sfdisk
lab_up
linux=$(image guest)

truncate -s 40M a.disk b.disk
loop_attach "$tmp/a.disk"
loop_a=$loop
loop_attach "$tmp/b.disk"
loop_b=$loop
bytes 40M | dd of="$loop_a" bs=1M conv=fsync status=none
on A bash -c "vmf-dump $loop_a | ssh hostb vmf-restore - $loop_b"
same "$loop_a" "$loop_b"
ok "vmf-dump | ssh vmf-restore: a device, byte for byte"

dd if=/dev/zero of="$loop_a" bs=1M count=40 conv=fsync status=none
dd if="$linux/data.img" of="$loop_a" bs=1M conv=fsync status=none
dd if=/dev/zero of="$loop_b" bs=1M count=40 conv=fsync status=none
cp --sparse=always "$linux/disk.img" "$LAB_DIR/A/disk/srv/web.img"
gen_domain web --disk /srv/web.img --disk "$loop_a" --uefi --memory 192 |
    on A virsh -q define /dev/stdin
on A virsh -q start web
console_wait A web '^tick ' 90
expect 3 on A bash -c 'vmf-pack web >/srv/no.vmf.tar'
[[ $err == *running* ]] || fail "a running guest is not refused: $err"
on A virsh -q shutdown web
guest_off A web 20

on B mkdir -p /srv/backup /srv/vm
on A bash -o pipefail -c 'vmf-pack web | vmf-send - sftp://hostb/srv/backup/web.vmf.tar'
[[ $(on B ls -A /srv/backup) == web.vmf.tar ]] || fail "$(on B ls -A /srv/backup)"
expect 0 on B vmf-verify /srv/backup/web.vmf.tar
expect 0 on B vmf-info /srv/backup/web.vmf.tar
expect_out web
ok "vmf-pack | vmf-send: a verified package at the other host"

maps=(--map vda=/srv/vm/web.img --map "vdb=$loop_b"
    --map-path /var/lib/libvirt/qemu/nvram=/srv/vm)
expect 3 on B vmf-unpack --define "${maps[@]}" /srv/backup/web.vmf.tar
expect_line 'serial.*--allow chardev'
[[ -z $(on B ls -A /srv/vm) ]] || fail "refused, and yet: $(on B ls -A /srv/vm)"
expect 0 on B vmf-unpack --allow chardev "${maps[@]}" /srv/backup/web.vmf.tar
[[ -z $(on B virsh -q list --all --name | xargs) ]] || fail "defined without --define"
on B bash -c 'vmf-unpack --extract domain.xml /srv/backup/web.vmf.tar >/srv/web.xml'
expect 0 on B vmf-define --allow chardev "${maps[@]}" /srv/web.xml
same "$LAB_DIR/A/disk/var/lib/libvirt/qemu/nvram/web_VARS.fd" \
    "$LAB_DIR/B/disk/srv/vm/web_VARS.fd"
on B virsh -q start web
console_wait B web '^tick ' 90
for line in "efi boots=2" "disk boots=2" \
    "tree root $(<"$linux/tree.root")" "tree data $(<"$linux/tree.data")"; do
	_console_has B web "^VMF-GUEST $line\$" || fail "at B the guest did not say: $line"
done
on B virsh -q destroy web
ok "vmf-unpack, vmf-define: the guest boots there and says the same"

on A bash -c 'vmf-pack web 2>/dev/null | head -c 3M | vmf-send - sftp://hostb/srv/backup/half.vmf.tar' &&
    fail "half a package was taken"
[[ $(on B ls -A /srv/backup) == web.vmf.tar ]] || fail "$(on B ls -A /srv/backup)"
ok "a producer that dies leaves no package"
