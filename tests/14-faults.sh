#!/bin/bash
# What breaks around a dump or a restore: sources that fail or change, full
# disks, failing syncs, disks that return other bytes, huge ones, signals.
# Every fault ends with one line and its status, leaves nothing under a final
# name, and the same command succeeds afterwards.
# slow
. "$(dirname "$0")/lib.sh"
requires zstd strace prlimit python3
id=00112233445566778899aabbccddeeff

bytes 24M >disk
truncate -s 40M disk
vmf-dump --id $id -o good disk
digest=$(sha disk)
cleanup_fn rm -f "$tmp/target"

nothing_left() { # DIR
	[[ -z $(find "${1:-.}" -name '*target*') ]] || fail "left: $(find "${1:-.}" -name '*target*')"
}
# inject STRACE_EXPRESSION CMD...: run it with that fault
inject() { strace -f -qq -o trace -e "inject=$1" -e "trace=${1%%:*}" "${@:2}"; }

# --- sources

expect 5 inject pread64:error=EIO:when=3+ vmf-dump -o target disk
expect_line '^vmf-dump: disk: read at offset [0-9]+: Input/output error$'
nothing_left
expect 5 inject pread64:error=EIO:when=3+ vmf-dump disk
expect_line '^vmf-dump: disk: read at offset'
mv .out broken.vmf
expect 4 vmf-restore broken.vmf target
expect_line 'its END is missing'
ok "EIO from the source: named with its offset; what was piped out has no END"

if command -v nbdfuse nbdkit fusermount3 >/dev/null && [[ -e /dev/fuse ]]; then
	mkdir fuse
	nbdfuse fuse/disk [ nbdkit -r --exit-with-parent --filter=error file disk \
	    error-pread=EIO error-pread-rate=100% error-pread-file="$tmp/broken" ] 2>nbd.log &
	fuse=$!
	cleanup_fn eval "fusermount3 -uz $tmp/fuse; kill $fuse 2>/dev/null"
	wait_for 10 test -e fuse/disk
	: >broken
	expect 5 vmf-dump -o target fuse/disk
	expect_line '^vmf-dump: fuse/disk: read at offset 0: Input/output error$'
	nothing_left
	rm broken
	expect 0 vmf-dump --id $id -o target fuse/disk
	same good target
	rm target
	ok "a disk that fails, and heals"
else
	echo "part skipped: needs nbdfuse, nbdkit, fusermount3 and /dev/fuse"
fi

slow_dump() { # CHANGE...: dump a copy, and change it meanwhile
	cp --sparse=always disk changing
	mkfifo pipe
	vmf-dump changing >pipe 2>said &
	local pid=$! got=0
	exec 7<pipe
	head -c 1M <&7 >/dev/null
	"$@"
	cat <&7 >/dev/null
	exec 7<&-
	wait $pid || got=$?
	rm pipe
	err=$(<said)
	echo "$got" >status
}
slow_dump truncate -s 12M changing
[[ $(<status) == 5 ]] || fail "status $(<status): $err"
expect_line '^vmf-dump: changing: (ends early|shrank)'
slow_dump truncate -s 50M changing
[[ $(<status) == 4 ]] || fail "status $(<status): $err"
expect_line '^vmf-dump: changing: changed while it was read'
slow_dump dd if=/dev/urandom of=changing bs=1M count=1 seek=20 conv=notrunc status=none
[[ $(<status) == 4 ]] || fail "status $(<status): $err"
expect_line '^vmf-dump: changing: changed while it was read'
slow_dump mv disk moved # the path is nothing once it is open
mv moved disk
[[ $(<status) == 0 ]] || fail "status $(<status): $err"
ok "a source that shrinks, grows or changes meanwhile"

truncate -s 20M lying
bytes 1M | dd of=lying bs=1M seek=9 conv=notrunc status=none
vmf-dump --id $id --no-holes lying >all
# a file system that calls everything a hole
inject lseek:error=ENXIO vmf-dump --id $id lying >none
expect 1 cmp -s all none
inject lseek:error=ENXIO vmf-dump --id $id --no-holes lying | cmp - all
# one that cannot tell
inject lseek:error=EINVAL vmf-dump --id $id lying | cmp - all
ok "--no-holes does not believe in holes"

{ printf 'QFI\xfb\0\0\0\3'; bytes 100000; } >raw
vmf-dump raw | zstd -dcq | cmp - raw
vmf-dump raw | vmf-restore - target
same raw target
rm target
ok "a raw disk that begins like qcow2 stays raw"

# --- targets

expect 5 prlimit --fsize=10000000 vmf-restore good target
expect_line '^vmf-restore: target: File too large$'
nothing_left
expect 5 prlimit --fsize=10000000 vmf-dump -o target disk
expect_line '^vmf-dump: target: write: File too large$'
nothing_left
ok "EFBIG"

for call in fdatasync:error=EIO fsync:error=EIO:when=1 renameat2:error=EIO; do
	expect 5 inject $call vmf-restore good target
	expect_line '^vmf-restore: target: .*Input/output error$'
	nothing_left
done
expect 5 inject fsync:error=EIO:when=1 vmf-restore --no-readback good target
expect_line '^vmf-restore: target: sync: '
nothing_left
expect 5 inject fsync:error=EDQUOT:when=1 vmf-dump -o target disk
expect_line '^vmf-dump: target: sync: '
nothing_left
expect 5 inject pwrite64:error=EDQUOT:when=2+ vmf-restore good target
expect_line '^vmf-restore: target: write at offset'
nothing_left
ok "errors that show at write, sync or rename only"

# strace may change the memory of a process that dumps no core as root only
if [[ $EUID == 0 ]]; then
	expect 4 inject 'pread64:poke_exit=@arg2=5a5a:when=2+' vmf-restore good target
	expect_line '^vmf-restore: target: reads back other bytes than were written'
	nothing_left
	ok "a file that reads back other bytes"
else
	echo "part skipped: other bytes on read-back need root"
fi

expect 0 vmf-restore good target
same disk target
rm target
[[ $(sha disk) == "$digest" ]] || fail "the source changed"
ok "after all that the same commands succeed, and the source is as it was"

# --- no threads, no descriptors

prlimit --nofile=4:4 "$VMFERRY_BIN/vmf-dump" --id $id disk | cmp - good
expect 5 prlimit --nofile=4:4 "$VMFERRY_BIN/vmf-dump" -o target disk
expect_line '^vmf-dump: target: Too many open files$'
nothing_left
if [[ $EUID == 0 ]] && command -v setpriv >/dev/null; then
	chmod 755 .
	chmod 644 disk good
	setpriv --reuid 64322 --clear-groups prlimit --nproc=1:1 \
	    "$VMFERRY_BIN/vmf-dump" --id $id -j 8 disk | cmp - good
	ok "without threads and with few descriptors the bytes are the same"
else
	echo "part skipped: refusing threads needs root and setpriv"
fi

# --- signals

for sig in INT TERM HUP; do
	number=$(kill -l $sig)
	expect $((128 + number)) timeout -s $sig --preserve-status 0.4 \
	    vmf-dump -z 19 -o target disk
	expect_line '^vmf-dump: disk: stopped on request$'
	nothing_left
	got=0
	# its producer is as slow as can be
	{ head -c 9M good; sleep 2; } 2>/dev/null |
	    timeout -s $sig --preserve-status 0.4 vmf-restore - target 2>said || got=$?
	err=$(<said)
	[[ $got == $((128 + number)) ]] || fail "status $got by $sig: $err"
	expect_line '^vmf-restore: target: stopped on request$'
	nothing_left
done
expect 0 vmf-dump -o target -z 1 disk
rm target
ok "INT, TERM, HUP: 128+n, also while waiting for a pipe, and nothing left"

vmf-dump disk 2>said > >(sleep 1; cat >/dev/null) &
pid=$!
sleep 0.4
kill -USR1 $pid
wait $pid
grep -q '^vmf-dump: dumped .* of 40.0 MiB, ' said || fail "USR1: $(<said)"
ok "USR1 prints progress"

# --- huge

cat >measure <<'EOT'
import os, resource, sys, time
start = time.monotonic()
status = os.spawnvp(os.P_WAIT, sys.argv[3], sys.argv[3:])
rss = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
took = time.monotonic() - start
print(f"{took:.1f} s, {rss} MiB", file=sys.stderr)
sys.exit(status or (took > float(sys.argv[1]) or rss > int(sys.argv[2])) and 99)
EOT
measure() { # SECONDS MIB CMD...: it stays below both
	python3 "$tmp/measure" "$@"
}
# enough to fill all buffers, and easy enough for level 19
python3 -c 'import os, sys
for i in range(1600): sys.stdout.buffer.write(os.urandom(4096) + b"a" * 61440)' >noise
for args in '-j 64' '-j 64 -z 19 --chunk 32M' '-j 8 -z 15 --chunk 32M' '-z 0 --chunk 32M -j 64' \
    '-j 64 -z 1 --chunk 64K'; do
	# shellcheck disable=SC2086
	measure 120 256 vmf-dump $args noise >s 2>said || fail "vmf-dump $args: $(<said)"
	echo "     vmf-dump $args: $(<said)"
	rm -f target
	# shellcheck disable=SC2086
	measure 120 256 vmf-restore -j 64 s target 2>said || fail "restore of $args: $(<said)"
	echo "     vmf-restore -j 64: $(<said)"
	cmp noise target
done
rm noise s target
ok "memory stays below 256 MiB at any width, level and chunk size"

if [[ $EUID != 0 ]]; then
	echo "part skipped: tmpfs needs root"
	exit 0
fi
mkdir huge
mount -t tmpfs -o size=20m none huge
cleanup_fn umount huge
truncate -s 20T huge/disk
printf x | dd of=huge/disk bs=1 seek=$((11 << 40)) conv=notrunc status=none
measure 60 256 vmf-dump huge/disk 2>said >stream || fail "dump of 20 TiB: $(<said)"
echo "     vmf-dump of 20 TiB: $(<said)"
measure 60 256 vmf-restore stream huge/target 2>said || fail "restore of 20 TiB: $(<said)"
echo "     vmf-restore of 20 TiB: $(<said)"
[[ $(stat -c %s huge/target) == $((20 << 40)) ]]
[[ $(dd if=huge/target bs=1 skip=$((11 << 40)) count=1 status=none) == x ]]
rm stream huge/*
ok "20 TiB of hardly anything, both ways"

for tool in "vmf-restore good huge/target" "vmf-dump -o huge/target disk"; do
	# shellcheck disable=SC2086
	expect 5 $tool
	expect_line "huge/target: .*No space left on device$"
	nothing_left huge
done
truncate -s 40M dev
loop_attach dev
cp --sparse=always good stream
before=$(sha "$loop")
expect 5 prlimit --fsize=1000000 vmf-restore --scratch huge stream "$loop"
mkdir huge/full
head -c 19M /dev/zero >huge/full/x || true
expect 5 vmf-restore --scratch huge/full stream "$loop"
expect_line "No space left on device"
[[ $(sha "$loop") == "$before" ]] || fail "touched before there was scratch space"
ok "full disks; a full scratch directory is noticed before anything is touched"

mount -o remount,ro huge
expect 5 vmf-restore good huge/target
expect_line 'huge/target: Read-only file system$'
expect 5 vmf-dump -o huge/target disk
ok "a directory that is read-only"

# --- devices

expect 4 inject 'pread64:poke_exit=@arg2=5a5a:when=2+' vmf-restore good "$loop"
expect_line "^vmf-restore: $loop: reads back other bytes than were written"
[[ -z $(wipefs -n "$loop") ]]
expect 5 inject pwrite64:error=EIO:when=2+ vmf-restore good "$loop"
expect_line "^vmf-restore: $loop: write at offset .*; $loop is incomplete"
for when in 1 2 3; do
	expect 5 inject fdatasync:error=EIO:when=$when vmf-restore good "$loop"
	expect_line "^vmf-restore: $loop: sync: Input/output error; $loop is incomplete"
done
expect 0 vmf-restore --overwrite good "$loop"
same disk "$loop"
ok "a device that reads back other bytes, fails to write, or to sync"

head -c 40M </dev/urandom >"$loop"
expect 0 inject ioctl:error=EOPNOTSUPP:when=3+ vmf-restore --overwrite good "$loop"
same disk "$loop"
ok "without BLKZEROOUT zeros are written"
