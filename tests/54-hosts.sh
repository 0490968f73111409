#!/bin/bash
# slow
# vmf-check --host: what hosts have and what is used of it, and where a domain
# would fit.
. "$(dirname "$0")/lib.sh"
requires root jq
lab_up
guest_on A web tick --memory 16
guest_on A idle tick --memory 32
on A virsh -q start web
on A mkdir -p /srv/pool
on A virsh -q pool-create-as images dir --target /srv/pool

expect 0 on A vmf-check --host
expect_out 'web +running +1 CPUs +16.0 MiB'
expect_out 'idle +shut off +1 CPUs +32.0 MiB'
expect_out 'images .* used .* free'
expect 0 on A vmf-check --host --json
jq -e '.[0] | .cpus.used == 1 and .memory.used == 16777216 and
    .memory.free < .memory.total and (.domains | length) == 2 and
    (.pools[0] | .name == "images" and .free > 0 and .size >= .used)' <<<"$out" >/dev/null ||
    fail "not what is there: $out"
ok "a host: what there is, what is used and by whom, what is free"

b=qemu+ssh://hostb/system
expect 0 on A vmf-check --host --json qemu:///system "$b"
jq -e 'length == 2 and .[1].reached and .[1].domains == []' <<<"$out" >/dev/null ||
    fail "not both hosts: $out"
ok "several hosts"

# a pool at A alone: there is room at A, and nowhere at B
expect 0 on A vmf-check --host --fit idle qemu:///system "$b"
[[ $out == "fits  qemu:///system "*"no    $b  no storage pool has "* ]] ||
    fail "not sorted by fit: $out"
on B mkdir -p /srv/pool
on B virsh -q pool-create-as images dir --target /srv/pool
expect 0 on A vmf-check --host --fit idle --json qemu:///system "$b"
jq -e 'all(.[]; .fits)' <<<"$out" >/dev/null || fail "not both fit: $out"
ok "the hosts that a domain fits on come first, the others say why not"

# --- a whole host's domains together
expect 0 on A vmf-check --host --all --json qemu:///system "$b"
jq -e 'all(.[]; .fits)' <<<"$out" >/dev/null || fail "not both fit all: $out"
# each alone finds its memory, both together do not
free=$(on A vmf-check --host --json | jq '.[0].memory.free')
half=$((free / 1024 * 6 / 10))
for name in web idle; do
	sed "s|<memory.*|<memory unit='KiB'>$half</memory>|" "$name.xml" |
	    on A virsh -q define /dev/stdin
	expect 0 on A vmf-check --host --fit "$name" "$b"
done
expect 3 on A vmf-check --host --all "$b"
expect_line 'all domains fit on none of these hosts'
expect_out 'of memory wanted'
for name in web idle; do on A virsh -q define /dev/stdin <"$name.xml"; done
# the disks of each find room in the pool, those of both do not
on B virsh -q pool-destroy images
on B mount -t tmpfs -o size=6m none /srv/pool
on B virsh -q pool-create-as images dir --target /srv/pool
for name in web idle; do
	bytes 4000000 | on A dd of="/srv/$name.img" bs=1M seek=4 conv=notrunc status=none
	expect 0 on A vmf-check --host --fit "$name" "$b"
done
expect 3 on A vmf-check --host --all "$b"
expect_out 'no storage pool has .* free for '
on B virsh -q pool-destroy images
on B umount /srv/pool
on B virsh -q pool-create-as images dir --target /srv/pool
expect 2 on A vmf-check --host --all --fit idle
expect 2 on A vmf-check --all web hostb
ok "all domains of a host, summed"

sed "s|<memory.*|<memory unit='TiB'>100</memory>|" idle.xml | on A virsh -q define /dev/stdin
expect 3 on A vmf-check --host --fit idle qemu:///system "$b"
expect_line 'idle fits on none of these hosts'
[[ $out == *"100.0 TiB of memory wanted"* ]]
expect 3 on A vmf-check --host --fit nosuch
expect_line 'nosuch'
expect 8 on A vmf-check --host qemu:///nosuch
expect 2 on A vmf-check --fit idle web hostb
ok "none that fits, no such domain, no such host"
