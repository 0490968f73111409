#!/bin/bash
# A restore that dies, anywhere: a device shows nothing to blkid and wipefs, a
# new file has no name yet, and the same command run again succeeds.
# slow
. "$(dirname "$0")/lib.sh"
requires zstd strace

# --- new files

bytes 30M >disk
truncate -s 60M disk
vmf-dump -o good disk

no_traces() { # but those that kill -9 leaves: they never have the final name
	[[ ! -e target ]] || fail "half a file under its final name"
	[[ -n ${1:-} || -z $(find . -name '.target.??????') ]] || fail "temporaries left"
}

size=$(stat -c %s good)
for cut in 0 111 300 $((size / 3)) $((size / 2)) $((size - 224)) $((size - 1)); do
	expect 4 vmf-restore - target < <(head -c $cut good)
	expect_line '^vmf-restore: -: '
	no_traces
done
ok "a stream that is cut leaves no file"

for ((i = 0; i < 12; i++)); do
	vmf-restore good target &
	sleep 0.0$((RANDOM % 80 + 10))
	kill -KILL $! 2>/dev/null || true
	wait $! 2>/dev/null || true
	if [[ -e target ]]; then
		same disk target
		rm target
	fi
done
no_traces killed
expect 0 vmf-restore good target
same disk target
rm -f target .target.??????
ok "killed at any time, it leaves a temporary at most, and runs again"

# the commit path: each of its system calls, one run each. Threads make the
# order before it vary, so that it is the calls by name that are counted.
died=0
for call in ftruncate fdatasync fsync renameat2 openat:25 openat:30 close:20 unlink; do
	when=${call#*:}
	[[ $when != "$call" ]] || when=1
	got=0
	strace -f -qq -o trace -e "inject=${call%:*}:signal=SIGKILL:when=$when" \
	    vmf-restore good target >/dev/null 2>&1 || got=$?
	case $got in
	137) died=$((died + 1)) ;;
	0) ;; # it has no such call
	*) fail "status $got when killed at $call" ;;
	esac
	[[ ! -e target ]] || same disk target
	rm -f target
	expect 0 vmf-restore good target
	same disk target
	rm -f target .target.??????
done
((died >= 4)) || fail "killed $died times only"
ok "killed at $died system calls of the commit path, never a partial file"

strace -f -qq -o trace -e trace=fsync,fdatasync,renameat2,openat,close vmf-restore good target
rm target
awk '/fsync\(|fdatasync\(/ && !renamed { synced = NR }
    /renameat2\(/ { renamed = NR }
    /fsync\(/ && renamed { directory = NR }
    END { exit !(synced && renamed > synced && directory > renamed) }' trace ||
    fail "not in the order fsync, rename, fsync of the directory: $(grep -E 'sync|rename' trace)"
ok "fsync of the file, rename, fsync of the directory"

# --- devices

if [[ $EUID != 0 ]] || ! command -v losetup sfdisk mkfs.ext4 >/dev/null; then
	echo "part skipped: devices need root, losetup, sfdisk and mkfs.ext4"
	exit 0
fi

# one with a file system inside a GPT, as a guest's disk
truncate -s 64M guest
printf 'label: gpt\nstart=2048\n' | sfdisk -q guest
mkfs.ext4 -q -E offset=1048576 guest 60M
for i in {1..20}; do bytes 1M $i; done |
    dd of=guest bs=1M seek=30 conv=notrunc status=none
vmf-dump -o stream guest
truncate -s 64M device
loop_attach device
dev=$loop

reset_device() { # as if another guest had been there
	blockdev --flushbufs "$dev" 2>/dev/null || true
	dd if=guest of="$dev" bs=1M conv=notrunc status=none
	[[ $(wipefs -n "$dev" | wc -l) -ge 3 ]] || fail "no GPT to begin with"
}
shows_nothing() {
	[[ -z $(wipefs -n "$dev") ]] || fail "$1: wipefs sees $(wipefs -n "$dev")"
	expect 2 blkid -p "$dev"
	cmp -n 4194304 "$dev" /dev/zero || fail "$1: head is not zero"
	cmp -n 4194304 -i 62914560:0 "$dev" /dev/zero || fail "$1: tail is not zero"
}
whole_again() {
	expect 0 vmf-restore --overwrite stream "$dev"
	same guest "$dev"
}

size=$(stat -c %s stream)
for cut in 1000 $((size / 3)) $((size / 2)) $((size - 1)); do
	reset_device
	expect 4 vmf-restore --overwrite - "$dev" < <(head -c $cut stream)
	expect_line "^vmf-restore: -: ends early, .*; $dev is incomplete, its first and last blocks stay zeroed"
	shows_nothing "cut at $cut"
done
expect 0 vmf-restore stream "$dev"
same guest "$dev"
ok "a cut stream leaves a device that shows nothing, and needs no --overwrite then"

cp stream flipped
printf '\xff' | dd of=flipped bs=1 seek=$((size / 2)) conv=notrunc status=none
reset_device
expect 4 vmf-restore --overwrite flipped "$dev"
expect_line "flipped: .* damaged.*$dev is incomplete"
shows_nothing "damaged"
whole_again
ok "damage in the middle likewise"

for ((i = 0; i < 10; i++)); do
	reset_device
	vmf-restore -q --overwrite stream "$dev" &
	sleep 0.0$((RANDOM % 60 + 10))
	kill -KILL $! 2>/dev/null || true
	wait $! 2>/dev/null && { same guest "$dev"; continue; }
	# before the first touch all is as it was, after it no head is seen
	cmp -s guest "$dev" || cmp -n 1048576 "$dev" /dev/zero || fail "head is not zero"
	whole_again
done
ok "killed at any time"

# the first fdatasync comes after invalidation, the last but one is the tail's
died=0
for call in fdatasync:1 fdatasync:2 fdatasync:3 fdatasync:4 ioctl:3 ioctl:4 ioctl:5 \
    pwrite64:1 pwrite64:5 pread64:3; do
	reset_device
	got=0
	strace -f -qq -o trace -e "inject=${call%:*}:signal=SIGKILL:when=${call#*:}" \
	    vmf-restore -q --overwrite stream "$dev" 2>/dev/null || got=$?
	[[ $got == 137 || $got == 0 ]] || fail "status $got when killed at $call"
	if [[ $got == 137 ]]; then
		died=$((died + 1))
		cmp -s guest "$dev" || cmp -n 1048576 "$dev" /dev/zero ||
		    fail "$call: head is not zero"
	fi
	whole_again
done
((died >= 7)) || fail "killed $died times only"
ok "killed at $died system calls of invalidation and commit"

strace -f -qq -o trace -e trace=pwrite64,fdatasync vmf-restore -q --overwrite stream "$dev"
tail -3 trace | awk '/fdatasync/ && NR != 2 { syncs++ }
    /pwrite64.* 1048576, 0\) *= 1048576/ && NR == 2 { last++ }
    END { exit !(last == 1 && syncs == 2) }' || fail "the last calls were $(tail -3 trace)"
same guest "$dev"
ok "the first MiB is the last write, between two syncs"
