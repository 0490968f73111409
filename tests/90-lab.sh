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

cp --sparse=always "$("$top/tests/lab/image" tick)/disk.img" "$LAB_DIR/A/disk/srv/tick.img"
"$top/tests/lab/gen-domain" tick --disk /srv/tick.img --memory 16 >"$LAB_DIR/shared/tick.xml"
on A virsh -q define /mnt/tick.xml
on A virsh -q start tick
console_wait A tick 'n=3$' 20
read -r boot n <<<"$(last_tick A tick)"
wait_for 10 eval "[[ \$(last_tick A tick) != '$boot $n' ]]"
on A virsh -q destroy tick
dd if="$LAB_DIR/A/disk/srv/tick.img" bs=512 skip=64 count=100 status=none |
    grep -a "tick boot=$boot n=$n\$" >/dev/null
ok "the tick guest counts, on its console and its disk"
