#!/bin/bash
# slow
# vmf-inspect: what is on a disk; refusals, deadlines and signals.
. "$(dirname "$0")/lib.sh"
requires root qemu-system-x86_64 qemu-img supermin jq sfdisk mke2fs

expect 2 vmf-inspect
expect 2 vmf-inspect a b
expect 2 vmf-inspect --format vmdk a
expect 2 vmf-inspect --free --json a
expect 2 vmf-inspect --free-swap a
expect 2 vmf-inspect --timeout 0 a
expect 5 vmf-inspect nosuch
expect_line 'nosuch: No such file'
expect 3 vmf-inspect /etc
expect_line 'neither a regular file nor a block device'
expect 3 vmf-inspect --free -o /nosuch/map /etc
truncate -s 64M disk.img
exec 7<>disk.img
bash -c 'sleep 60' &
holder=$!
cleanup_fn eval "kill $holder 2>/dev/null"
exec 7>&-
expect 3 vmf-inspect disk.img
expect_line 'disk.img: open for writing by'
kill "$holder" && wait "$holder" || true
ok "what cannot be looked at is refused"

LIBGUESTFS_PATH=$("$top/tests/lab/image" appliance)
export LIBGUESTFS_PATH LIBGUESTFS_BACKEND_SETTINGS=force_tcg
mkdir scratch files
echo hello >files/hello
printf 'size=40M, type=L\nsize=20M, type=S\n' | sfdisk -q -X gpt disk.img
mke2fs -q -t ext4 -L 'my "root"' -d files -E offset=1048576 disk.img 40M
before=$(sha disk.img)
# as hostile as a name can be
mv -- disk.img '-disk,a:b "$(touch x)".img'
expect 0 vmf-inspect --json --fsck --os --scratch scratch -- '-disk,a:b "$(touch x)".img'
mv -- '-disk,a:b "$(touch x)".img' disk.img
[[ ! -e x ]] || fail "a name was run"
jq -e '.size == 67108864 and .table == "gpt" and (.partitions | length) == 2 and
    .partitions[0].offset == 1048576 and .partitions[1].size == 20971520 and
    .filesystems[0].type == "ext4" and .filesystems[0].label == "my \"root\"" and
    .filesystems[0].fsck == "clean" and .filesystems[0].used > 0 and
    .operating_systems == []' <<<"$out" >/dev/null || fail "$out"
[[ $(sha disk.img) == "$before" ]] || fail "the disk was changed"
[[ -z $(ls scratch) ]] || fail "left behind: $(ls scratch)"
ok "partitions and file systems, as JSON"

# a qcow2 file is one only when that is said
qemu-img convert -O qcow2 disk.img disk.qcow2
debugfs -w -R 'clri <2>' disk.img?offset=1048576 >/dev/null 2>&1
expect 4 vmf-inspect --fsck --scratch scratch disk.img
expect_line 'the file system on /dev/sda1 is damaged'
expect_out 'ext4 .*damaged'
ok "damage is told"
expect 0 vmf-inspect --format qcow2 --scratch scratch disk.qcow2
expect_out 'disk.qcow2: 64.0 MiB, qcow2, gpt'
expect 0 vmf-inspect --scratch scratch disk.qcow2
expect_out 'raw, no partition table'
ok "the format is what was said"

expect 5 vmf-inspect --timeout 2 --scratch scratch disk.img
expect_line 'not done after 2 seconds'
[[ -z $(ls scratch) ]] || fail "left behind: $(ls scratch)"
for signal in INT TERM; do
	status=0
	# a shell's background ignores INT
	python3 -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])' \
	    vmf-inspect --scratch scratch disk.img 2>said &
	pid=$!
	wait_for 20 bash -c 'compgen -G "scratch/*/overlay"'
	sleep 1
	kill -$signal $pid
	wait $pid || status=$?
	[[ $status == $((128 + $(kill -l $signal))) ]] || fail "$signal: status $status"
	[[ -z $(ls scratch) ]] || fail "left behind: $(ls scratch)"
	# the brackets keep the pattern from being found itself
	wait_for 5 bash -c "! pgrep -f '${tmp%?}[${tmp: -1}]/scratch'"
done
ok "deadline and signals leave nothing behind"
