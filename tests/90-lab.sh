#!/bin/bash
# The lab that the other scenarios stand on: two hosts that reach each other,
# guests, and nothing left of it, even after kill -9.
. "$(dirname "$0")/lib.sh"
lab_up bare

on A ssh -o BatchMode=yes hostb true
on B ssh -o BatchMode=yes hosta true
[[ $(on A virsh -q -c qemu+ssh://root@hostb/system uri) == *hostb* ]]
ok "the hosts reach each other by ssh, and libvirt over it"

for d in srv etc/vmferry var/lib/vmferry var/lib/libvirt run tmp usr/local; do
	on A touch "/$d/of-a"
	expect 1 on B test -e "/$d/of-a"
	[[ ! -e /$d/of-a ]] || fail "/$d of host A is the machine's"
done
on A touch /mnt/of-a
on B test -e /mnt/of-a
ok "directories are private, and /mnt is shared"

# connect_ms: how long one connection to the other end of the second wire takes
cat >"$LAB_DIR/shared/connect_ms" <<'EOF'
t=$(date +%s%N)
exec 3<>/dev/tcp/10.78.0.2/22
echo $((($(date +%s%N) - t) / 1000000))
EOF
"$lab" wan 50
on A bash /mnt/connect_ms >/dev/null	# ARP
ms=$(on A bash /mnt/connect_ms)
[[ $ms -ge 50 && $ms -lt 150 ]] || fail "$ms ms over a wire of 50"
"$lab" wan off
expect 1 on A ip link show wan0
"$lab" shape 100mbit
"$lab" shape off
ok "the second wire delays"

guest_on A tick tick --memory 16
on A virsh -q start tick
console_wait A tick 'n=3$' 20
read -r boot n <<<"$(last_tick A tick)"
wait_for 10 eval "[[ \$(last_tick A tick) != '$boot $n' ]]"
on A virsh -q destroy tick
dd if="$LAB_DIR/A/disk/srv/tick.img" bs=512 skip=64 count=100 status=none |
    grep -a "tick boot=$boot n=$n\$" >/dev/null
ok "the tick guest counts, on its console and its disk"

linux=$(image guest)
guest_on A linux guest --uefi --memory 192
on A virsh -q start linux
console_wait A linux "^tick .* n=1$" 60
for line in "up uefi" "disk boots=1" "efi boots=1" \
    "tree root $(<"$linux/tree.root")" "tree data $(<"$linux/tree.data")"; do
	_console_has A linux "^VMF-GUEST $line\$" || fail "the guest did not say: $line"
done
on A virsh -q shutdown linux
guest_off A linux 20
same "$linux/data.img" "$LAB_DIR/A/disk/srv/linux-data.img"
ok "the Linux guest boots with UEFI, says what its disks hold, and shuts down"

on A sh -c 'echo durable >/srv/note; echo lost >/opt/note'
"$lab" crash A
expect 255 on B ssh -o BatchMode=yes -o ConnectTimeout=1 hosta true
"$lab" boot A
[[ $(on A cat /srv/note) == durable ]]
expect 1 on A test -e /opt/note
on B ssh -o BatchMode=yes hosta true
[[ $(on A virsh -q list --all --name | sort | xargs) == "linux tick" ]]
ok "a host comes back from a crash with its disk"

cat >in-dm <<'EOF'
#!/bin/bash
set -e
exec 2>&1
pvcreate -q /dev/vda; vgcreate -q vg /dev/vda; lvcreate -q -n lv -L 16M vg
echo before >/dev/vg/lv
lvcreate -q -s -n snap -L 4M vg/lv
echo after >/dev/vg/lv
head -1 /dev/vg/snap >/x/snap
exit 9
EOF
chmod +x in-dm
mkdir x
expect 9 dm_guest -d 64M -x x "$tmp/in-dm"
[[ $(<x/snap) == before ]]
ok "LVM works in the device-mapper guest"

# What the machine has that a lab may leave behind. Others work here as well:
# only what names our directory counts, and loops on files in it.
leftovers() {
	pgrep -af "$1" | grep -v pgrep || true
	grep -F "$1" /proc/*/mountinfo 2>/dev/null || true
	losetup -nlO NAME,BACK-FILE | grep -F "$1" || true
	find "$1" -mindepth 1 2>/dev/null || true
}
mkdir killed
export TMPDIR=$tmp/killed
cat >inside <<'EOF'
#!/bin/bash
. "$1/tests/lib.sh"
cp --sparse=always "$(image guest)/disk.img" disk.img
loop_attach disk.img
[[ -b ${loop}p2 ]]
mount -o ro,noload "${loop}p2" "$LAB_DIR/shared"
grep -q Debian "$LAB_DIR/shared/etc/os-release"
umount "$LAB_DIR/shared"
"$top/tests/lab/loop" attach "$LAB_DIR" disk.img >/dev/null
"$lab" exec A mount "${loop}p2" /opt
guest_on A tick tick --memory 16
on A virsh -q start tick
console_wait A tick 'n=2$' 20
echo "$loop $$" >"$LAB_DIR/../../is-up"
exec sleep 100
EOF
"$lab" run bash inside "$top" >inside.log 2>&1 &
runner=$!
wait_for 30 test -s is-up || fail "$(cat inside.log)"
[[ $(leftovers "$tmp/killed" | wc -l) -gt 10 ]]
read -r _ pid <is-up
kill -9 $runner "$pid"
nothing_left() { [[ -z $(leftovers "$tmp/killed") ]]; }
wait_for 10 nothing_left
ok "after kill -9 of a runner nothing of its lab is left"
