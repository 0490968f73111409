#!/bin/bash
# qcow2, by QEMU's own code: as a file, flattened, and as a target; NBD.
. "$(dirname "$0")/lib.sh"
requires qemu-img qemu-io qemu-nbd nbdkit nbdinfo

id=00112233445566778899aabbccddeeff
truncate -s 96M disk
bytes 9M a | dd of=disk bs=1M seek=3 conv=notrunc status=none
bytes 2M b | dd of=disk bs=1M seek=94 conv=notrunc status=none
qemu-img convert -f raw -O qcow2 disk base.qcow2
nothing_left() {
	[[ -z $(find . -name '.*.??????') ]] || fail "temporaries left"
	[[ -z $(find /tmp -maxdepth 1 -name 'vmferry-nbd.*' -newer disk) ]] || fail "sockets left"
}

# as a file: snapshots and bitmaps intact
cp base.qcow2 rich.qcow2
qemu-img snapshot -c first rich.qcow2
qemu-io -f qcow2 -c 'write -P 7 1M 1M' rich.qcow2 >/dev/null
qemu-img bitmap --add rich.qcow2 dirty
vmf-dump --format qcow2 --id $id -o rich.vmf rich.qcow2
expect 0 vmf-info rich.vmf
expect_out 'qcow2'
vmf-restore rich.vmf rich.back
same rich.qcow2 rich.back
qemu-img check -q -f qcow2 rich.back
qemu-img snapshot -l rich.back | grep -q first
qemu-img info rich.back | grep -q 'name: dirty'
zstd -dcq rich.vmf | cmp - rich.qcow2
expect 3 vmf-restore --format raw rich.vmf no
expect_line 'no: the image is a qcow2 file as a file; dump it with --flatten'
if [[ $EUID == 0 ]]; then
	truncate -s 128M target
	loop_attach target
	expect 3 vmf-restore rich.vmf "$loop"
	expect_line "$loop: the image is a qcow2 file as a file; dump it with --flatten"
fi
expect 3 vmf-dump --format qcow2 -o no disk
expect_line "disk: qemu-img: .*not in qcow2 format"
expect 2 vmf-dump --format qcow2 --offset 1M rich.qcow2
expect 2 vmf-dump --flatten rich.qcow2
expect 2 vmf-dump --format vdi rich.qcow2
ok "a qcow2 file as a file, with its snapshots and bitmaps"

# a raw disk into which its guest has written a qcow2 header stays raw
cp --sparse=always disk fake
qemu-img create -q -f qcow2 -b /etc/passwd -F raw -u header 96M
dd if=header of=fake conv=notrunc status=none
vmf-dump fake | zstd -dcq | cmp - fake
ok "a qcow2 header in a raw disk is but bytes"

# a chain
mkdir 'a:b,c=d'
cd 'a:b,c=d'
qemu-img create -q -f qcow2 -b ../base.qcow2 -F qcow2 mid.qcow2
qemu-io -f qcow2 -c 'write -P 9 5M 3M' -c 'write -z 94M 1M' mid.qcow2 >/dev/null
qemu-img create -q -f qcow2 -b mid.qcow2 -F qcow2 'file:top.qcow2'
mv 'file:top.qcow2' 'x:top.qcow2' 2>/dev/null || mv top.qcow2 'x:top.qcow2'
qemu-io -f qcow2 -c 'write -P 11 40M 64k' "$PWD/x:top.qcow2" >/dev/null
qemu-img convert -f qcow2 -O raw "$PWD/x:top.qcow2" ../want
expect 3 vmf-dump --format qcow2 -o no 'x:top.qcow2'
expect_line 'x:top.qcow2: is not whole without mid.qcow2; dump its contents with --flatten'
before=$(sha 'x:top.qcow2')
for j in 1 3; do
	vmf-dump -j $j --id $id --format qcow2 --flatten -o ../flat.$j 'x:top.qcow2'
done
[[ $(sha 'x:top.qcow2') == "$before" ]] || fail "the source changed"
cd ..
same flat.1 flat.3
zstd -dcq flat.1 | cmp - want
vmf-dump --format qcow2 --flatten --raw --offset 4M --length 3000001 'a:b,c=d/x:top.qcow2' |
    cmp - <(dd if=want iflag=skip_bytes,count_bytes skip=4194304 count=3000001 status=none)
vmf-dump --no-holes --id $id --format qcow2 --flatten 'a:b,c=d/x:top.qcow2' | cmp - flat.1
mv 'a:b,c=d/mid.qcow2' gone
expect 3 vmf-dump --format qcow2 --flatten -o no 'a:b,c=d/x:top.qcow2'
expect_line 'mid.qcow2'
mv gone 'a:b,c=d/mid.qcow2'
nothing_left
ok "a chain: refused as a file, flattened as the guest sees it"

# in use
qemu-io -f qcow2 -c 'sleep 30000' rich.qcow2 >/dev/null &
holder=$!
cleanup_fn eval "kill -KILL $holder 2>/dev/null"
wait_for 5 eval "ls -l /proc/$holder/fd | grep -q rich.qcow2"
for how in '' --flatten; do
	expect 3 vmf-dump --format qcow2 $how -o no rich.qcow2
	expect_line 'rich.qcow2: .*(QEMU|open for writing)'
done
vmf-dump --live --format qcow2 --flatten rich.qcow2 | zstd -dcq |
    cmp - <(qemu-img convert -U -f qcow2 -O raw rich.qcow2 out.raw && cat out.raw)
kill $holder
wait $holder 2>/dev/null || true
ok "in use: refused, or --live"

# a killed reader leaves no server
vmf-dump --format qcow2 --flatten --bwlimit 100K --raw rich.qcow2 >/dev/null &
dump=$!
wait_for 10 pgrep -P $dump qemu-nbd
server=$(pgrep -P $dump qemu-nbd)
kill -KILL $dump
wait $dump 2>/dev/null || true
wait_for 10 eval "! kill -0 $server"
vmf-dump --format qcow2 --flatten --bwlimit 100K -o cut rich.qcow2 &
dump=$!
wait_for 10 pgrep -P $dump qemu-nbd
kill -TERM $dump
status=0
wait $dump || status=$?
((status == 143)) || fail "status $status"
[[ ! -e cut ]]
nothing_left
ok "signals leave neither server nor socket"

# as a target
vmf-dump -o disk.vmf disk
expect 0 vmf-restore --format qcow2 disk.vmf new.qcow2
[[ -z $err ]] || fail "said $err"
qemu-img check -q -f qcow2 new.qcow2
qemu-img compare -q -f raw -F qcow2 disk new.qcow2
[[ $(stat -c %a new.qcow2) == 600 ]]
(($(stat -c %s new.qcow2) < 13 * 1048576)) || fail "zeros were written"
expect 3 vmf-restore --format qcow2 disk.vmf new.qcow2
expect_line 'new.qcow2: exists already'
expect 0 vmf-restore --format qcow2 --overwrite flat.1 new.qcow2
qemu-img compare -q -f raw -F qcow2 want new.qcow2
expect 0 vmf-restore --raw --size 96M --format qcow2 - raw.qcow2 <disk
qemu-img compare -q -f raw -F qcow2 disk raw.qcow2
expect 3 vmf-restore --raw --format qcow2 - no <disk
expect_line 'size must be known'
head -c 3000000 disk.vmf >damaged
expect 4 vmf-restore --format qcow2 damaged no
[[ ! -e no ]]
nothing_left
ok "a new qcow2 file as a target"

# NBD
nbdkit -U nbd.sock -P nbd.pid file disk
cleanup_fn eval "kill \$(cat $tmp/nbd.pid)"
wait_for 5 test -S nbd.sock
vmf-dump "nbd+unix:///?socket=$tmp/nbd.sock" | zstd -dcq | cmp - disk
nbdkit -U small.sock -P small.pid -f --filter=error memory 8M error-pread=EIO error-pread-rate=100% &
cleanup_fn eval "kill $!"
wait_for 5 test -S small.sock
# nothing is read where nothing is
expect 0 vmf-dump -o empty "nbd+unix:///?socket=$tmp/small.sock"
expect 5 vmf-dump --no-holes -o no "nbd+unix:///?socket=$tmp/small.sock"
expect_line 'small.sock: read: .*Input/output error'
expect 6 vmf-dump -o no "nbd+unix:///?socket=$tmp/nosuch.sock"
expect_line 'nosuch.sock: '
ok "NBD servers as sources"
