#!/bin/bash
# slow
# Whatever stands in the way of a move is told before anything is touched, at
# either end, with the status that fits.
. "$(dirname "$0")/lib.sh"
requires root
lab_up
guest_on A web tick --memory 16 --mac 52:54:00:aa:bb:cc
uuid=$(on A virsh -q domuuid web)
on B mkdir -p /srv/in

# state: all that a refused move must leave as it was
state() {
	on A virsh -q dumpxml --inactive --security-info web | sha -
	# a running guest writes to it
	! _is_off A web || sha "$LAB_DIR/A/disk/srv/web.img"
	on A virsh -q list --all
	on A find /var/lib/vmferry/held -type f 2>/dev/null || true
	on B virsh -q list --all
	on B find /srv /var/lib/libvirt/qemu/nvram -type f 2>/dev/null || true
}
clean=$(state)

# refused STATUS REGEX OPTION...: the move fails so, and nothing has changed.
refused() {
	local status=$1 regex=$2 before
	shift 2
	before=$(state)
	expect "$status" on A vmf-move -q --map '*=/srv/in/*' "$@" web hostb
	expect_line "$regex"
	[[ $(state) == "$before" ]] || {
		diff <(echo "$before") <(state) || true
		fail "a refused move changed something ($regex)"
	}
	ok "refused: $err"
}

# --- the guest's state
on A virsh -q start web
refused 3 'web is running.*--shutdown'
on A virsh -q suspend web
refused 3 'web is paused'
on A virsh -q resume web
refused 8 'did not shut down within 1 seconds' --shutdown --shutdown-timeout 1
[[ $(on A virsh -q domstate web) == running* ]] || fail "the guest was stopped"
on A virsh -q managedsave web
refused 3 'managed save'
on A virsh -q managedsave-remove web
guest_off A web 10
expect 3 on A vmf-move -q nosuch hostb
expect_line 'nosuch'
ok "refused: $err"

# --- the source's disks
on A sh -c 'exec 9<>/srv/web.img; sleep 60' &
wait_for 5 on A fuser -s /srv/web.img 2>/dev/null || sleep 1
refused 3 'web.img: open for writing by'
kill %1 2>/dev/null || true
on A pkill sleep || true
wait
on A mv /srv/web.img /srv/elsewhere.img
expect 3 on A vmf-move -q web hostb
expect_line 'vda.*web.img: No such file'
on A mv /srv/elsewhere.img /srv/web.img
ok "refused: $err"

# --- the destination's disks
on B sh -c 'echo precious >/srv/in/web.img'
refused 3 'web.img: exists already'
on B rm /srv/in/web.img
truncate -s 4M small.disk
loop_attach "$tmp/small.disk"
refused 3 "$loop: smaller than the image" --map "vda=$loop"
truncate -s 64M large.disk
mke2fs -q -F large.disk
loop_attach "$tmp/large.disk"
refused 3 "$loop: holds a signature.*ext2" --map "vda=$loop"
mkdir mnt
mount "$loop" mnt
cleanup_fn sh -c 'umount mnt 2>/dev/null || true'
refused 3 "$loop: mounted" --map "vda=$loop" --overwrite vda
umount mnt
rmdir mnt
same large.disk <(dd if="$loop" bs=1M status=none)
refused 3 'no such device' --map vda=/dev/nosuch
refused 3 'directory does not exist' --map vda=/srv/nosuch/web.img
refused 3 'overwrite vdz' --overwrite vdz

# --- a running guest of the destination has it
guest_on B other tick --memory 16
on B virsh -q start other
refused 3 '/srv/other.img.*(other|QEMU)' --map vda=/srv/other.img --overwrite vda
on B virsh -q destroy other
refused 3 '/srv/other.img.*other' --map vda=/srv/other.img --overwrite vda
on B virsh -q undefine other

# --- names
gen_domain web --disk /srv/x.img --memory 16 --uuid 11111111-2222-4333-8444-555555555555 |
    on B virsh -q define /dev/stdin
refused 3 'web'
on B virsh -q undefine web
gen_domain other --disk /srv/x.img --memory 16 --uuid "$uuid" | on B virsh -q define /dev/stdin
refused 3 "$uuid|other"
on B virsh -q undefine other
gen_domain other --disk /srv/x.img --memory 16 --net bridge:br0 --mac 52:54:00:aa:bb:cc |
    on B virsh -q define /dev/stdin
gen_domain web --disk /srv/web.img --memory 16 --uuid "$uuid" --net bridge:lo \
    --mac 52:54:00:aa:bb:cc | on A virsh -q define /dev/stdin
refused 3 '52:54:00:aa:bb:cc.*other|bridge'
refused 3 '52:54:00:aa:bb:cc.*other' --map-net bridge:lo=bridge:lab0
on B virsh -q undefine other
gen_domain web --disk /srv/web.img --memory 16 --uuid "$uuid" | on A virsh -q define /dev/stdin

# --- the far side
expect 6 on A vmf-move -q --timeout 2 web 10.77.0.99
expect_line '10.77.0.99'
ok "refused: $err"
on B mv /usr/bin/vmf-move /usr/bin/vmf-moved
refused 6 'no vmferry answers there'
on B mv /usr/bin/vmf-moved /usr/bin/vmf-move
on A cp /root/.ssh/known_hosts /root/kh
on A sh -c ': >/root/.ssh/known_hosts'
refused 7 'host key|HOST KEY CHANGED'
on A sh -c 'ssh-keygen -q -t ed25519 -N "" -f /root/evil
    echo "hostb,10.77.0.2 $(cut -d" " -f1,2 /root/evil.pub)" >/root/.ssh/known_hosts'
refused 7 'host key|HOST KEY CHANGED'
on A cp /root/kh /root/.ssh/known_hosts
on B mv /root/.ssh/authorized_keys /root/.ssh/nokeys
refused 7 'hostb'
on B mv /root/.ssh/nokeys /root/.ssh/authorized_keys

# --- the guard against a start at the source
on A chmod -x /etc/libvirt/hooks/qemu.d/vmferry
refused 3 'hook.*systemctl reload libvirtd'
on A chmod +x /etc/libvirt/hooks/qemu.d/vmferry

# --- two at once
on A flock "/run/vmferry/$uuid.lock" sleep 30 &
wait_for 5 on A sh -c "! flock -n /run/vmferry/$uuid.lock true"
refused 9 "domain $uuid.*(locked|process)"
kill %1 2>/dev/null || true
on A pkill sleep || true
wait

on B rm -f /srv/other.img
on B rm -f /srv/other-data.img
[[ $(state | sed '/^[0-9a-f]\{64\}/d') == "$(sed '/^[0-9a-f]\{64\}/d' <<<"$clean")" ]] ||
    fail "something is left behind"
expect 0 on A vmf-move -q --map '*=/srv/in/*' --start web hostb
console_wait B web 'n=3$' 20 >/dev/null
ok "and then the same move, plainly run, succeeds"
