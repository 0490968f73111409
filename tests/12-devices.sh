#!/bin/bash
# Block devices as source and target: byte for byte, and refused - untouched -
# whenever writing could destroy something.
# slow
. "$(dirname "$0")/lib.sh"
requires root losetup sfdisk partx mkfs.ext4 mkswap pvcreate wipefs blkid \
    python3 blockdev
id=00112233445566778899aabbccddeeff

# device NAME SIZE [LOSETUP_OPTION]...: a loop device on a new file; sets $loop
device() {
	truncate -s "$2" "$1"
	loop_attach "$1" "${@:3}"
}

# refused STATUS REGEX ARG...: vmf-restore ends so, and $target is as it was
refused() {
	local status=$1 says=$2 before
	shift 2
	before=$(sha "$target")
	expect "$status" vmf-restore "$@" good "$target"
	expect_line "^vmf-restore: $target: $says"
	[[ $(sha "$target") == "$before" ]] || fail "refused, but written to"
}

device source 40M
bytes 5M >"$loop"
bytes 3M x | dd of="$loop" bs=1M seek=37 conv=notrunc status=none
vmf-dump --id $id "$loop" >good
zstd -dcq good | cmp - "$loop"
vmf-dump --id $id source >file
# the sector size is known of a device only
expect 1 cmp -s good file
disk=$loop
ok "a device is dumped"

device target 40M
target=$loop
head -c 40M </dev/urandom >"$target"
wipefs -qa "$target" 2>/dev/null
for j in 1 2 8; do
	expect 0 vmf-restore -j $j good "$target"
	[[ -z $err ]] || fail "said '$err'"
	same "$disk" "$target"
done
head -c 40M </dev/urandom >"$target"
expect 0 vmf-restore --overwrite --no-readback good "$target"
same "$disk" "$target"
head -c 40M </dev/urandom >"$target"
vmf-dump --chunk 32M "$disk" | vmf-restore --overwrite - "$target"
same "$disk" "$target"
expect 0 vmf-restore -n good "$target"
ok "restored over old contents, zeros and all, with any -j and without read-back"

blockdev --setro "$target"
before=$(sha "$target")
expect 5 vmf-restore good "$target"
expect_line "^vmf-restore: $target: "
blockdev --setrw "$target"
[[ $(sha "$target") == "$before" ]]
ok "a read-only device"

bytes 5000 >odd
vmf-dump odd >odds
expect 3 vmf-restore odds "$target"
expect_line "do not divide the image's 5000 bytes"
vmf-dump - <"$disk" >unknown
expect 3 vmf-restore unknown "$target"
expect_line "does not say how large"
ok "images of odd or unknown size"

device smaller $((40 * 1048576 - 512))
target=$loop
refused 3 'smaller than the image \(41942528 < 41943040 bytes\)'
refused 3 'smaller than the image' --overwrite
ok "smaller by a sector"

device larger 64M
target=$loop
head -c 64M </dev/urandom >"$target"
expect 0 vmf-restore --overwrite good "$target"
expect_line "25165824 bytes larger than the image; the last 4.0 MiB of them were zeroed"
cmp -n 41943040 "$disk" "$target"
cmp -n 4194304 -i 62914560:0 "$target" /dev/zero
expect 1 cmp -s -n 20971520 -i 41943040:0 "$target" /dev/zero
expect 0 vmf-restore --overwrite --zero-tail good "$target"
expect_line "they were zeroed"
cmp -n 25165824 -i 41943040:0 "$target" /dev/zero
cmp -n 41943040 "$disk" "$target"
ok "a larger target, and what becomes of its tail"

device zero 40M
target=$loop
expect 0 vmf-restore --target-is-zero good "$target"
same "$disk" "$target"
(($(stat -c %b zero) * 512 < 16 * 1048576)) || fail "zeros were written"
ok "--target-is-zero leaves holes"

device signed 48M
target=$loop
mkfs.ext4 -q "$target"
refused 3 'holds a signature \(ext4\)'
wipefs -qa "$target" 2>/dev/null
mkswap -q "$target"
refused 3 'holds a signature \(swap\)'
wipefs -qa "$target" 2>/dev/null
echo 'label: gpt' | sfdisk -q --no-reread --no-tell-kernel "$target" 2>/dev/null
refused 3 'holds a partition table \(gpt\)'
# only its backup is left
dd if=/dev/zero of="$target" bs=1M count=1 conv=notrunc status=none
refused 3 'holds a partition table \(gpt\)'
wipefs -qa "$target" 2>/dev/null
echo 'label: dos' | sfdisk -q --no-reread --no-tell-kernel "$target" 2>/dev/null
refused 3 'holds a partition table \(dos\)'
wipefs -qa "$target" 2>/dev/null
pvcreate -qq -ff -y --config 'devices{use_devicesfile=0}' "$target" 2>/dev/null
[[ $(blkid -p -o value -s TYPE "$target") == LVM2_member ]] || fail "no LVM label"
refused 3 'holds a signature \(LVM2_member\)'
expect 0 vmf-restore --overwrite -q good "$target"
[[ -z $err ]]
cmp -n 41943040 "$disk" "$target"
ok "signatures of ext4, swap, GPT, its backup, MBR, LVM; --overwrite"

wipefs -qa "$target" 2>/dev/null
mkfs.ext4 -q "$target"
mkdir mnt
mount "$target" mnt
cleanup_fn umount -q mnt
refused 3 "mounted at $tmp/mnt; unmount it first" --overwrite
umount mnt
expect 0 vmf-restore --overwrite -q good "$target"
ok "mounted"

dd if=/dev/zero of="$target" bs=1M status=none 2>/dev/null || true
mkswap -q "$target"
if swapon "$target" 2>/dev/null; then
	cleanup_fn eval "swapoff $target 2>/dev/null"
	refused 3 'in use as swap; run swapoff first' --overwrite
	swapoff "$target"
	ok "in use as swap"
else
	echo "part skipped: swapon is not allowed here"
fi

hold() { # FLAGS: a process has $target open so
	rm -f held
	python3 -c 'import os,sys,time
os.open(sys.argv[1], eval("os." + sys.argv[2])); print(flush=True); time.sleep(60)' \
	    "$target" "$1" >held &
	holder=$!
	cleanup_fn eval "kill -KILL $holder 2>/dev/null"
	wait_for 5 test -s held
}
let_go() { kill $holder; wait $holder || true; }
hold 'O_RDONLY|os.O_EXCL'
refused 3 'mounted or held elsewhere; release it first' --overwrite
let_go
hold O_RDWR
refused 3 "open for writing by python3 \(process $holder\); stop it first" --overwrite
expect 3 vmf-dump "$target"
expect_line "open for writing by python3"
expect 0 vmf-dump --live -o live "$target"
let_go
hold O_RDONLY
expect 0 vmf-restore --overwrite -q good "$target"
let_go
ok "held, or open for writing by a process, which is named"

# a real partition
device whole 64M
whole=$loop
printf 'label: gpt\nsize=40MiB\nsize=10MiB\n' |
    sfdisk -q --no-reread --no-tell-kernel "$whole"
partx -a "$whole" 2>/dev/null || true
[[ -b ${whole}p1 ]] || fail "no partition"
table=$(dd if="$whole" bs=1M count=1 status=none | sha -)
vmf-restore good "${whole}p1"
same "$disk" "${whole}p1"
[[ $(dd if="$whole" bs=1M count=1 status=none | sha -) == "$table" ]]
vmf-dump --id $id "${whole}p1" | cmp - good
target=${whole}p2
refused 3 'smaller than the image'
mkfs.ext4 -q "${whole}p2"
mount "${whole}p2" mnt
target=$whole
refused 3 'mounted or held elsewhere' --overwrite
umount mnt
ok "a partition, and the disk of one that is mounted"

device big4k 40M -b 4096
target=$loop
refused 3 'sectors of 4096 bytes, the image was made on sectors of 512'
bytes 40M | dd of="$target" bs=1M status=none
vmf-dump --id $id "$target" >good4k
zstd -dcq good4k | cmp - "$target"
cp good good512
cp good4k good
target=$disk
refused 3 'sectors of 512 bytes, the image was made on sectors of 4096'
target=$loop
expect 0 vmf-restore --overwrite good "$target"
cp good512 good
vmf-dump -o file4k source
expect 0 vmf-restore --overwrite -q file4k "$target"
same source "$target"
ok "sectors of 512 and 4096 bytes"

target=$whole
mkfifo slow
(head -c 100000 good; wait_for 60 test -e go; tail -c +100001 good) >slow &
vmf-restore --overwrite -q slow "$target" &
first=$!
wait_for 10 eval '! flock -n "$target" true'
expect 9 vmf-restore --overwrite good "$target"
expect_line "$target: locked by process $first; wait for it to end"
: >go
wait $first
cmp -n 41943040 "$disk" "$target"
ok "two restores of one device: the second names the first"

before=$(ls -A /dev)
for typo in /dev/nosuch /dev/disk/nosuch /dev/mapper/nosuch /dev/no/such; do
	expect 3 vmf-restore good $typo
	expect_line "vmf-restore: $typo: "
	expect 3 vmf-restore --overwrite good $typo
	expect_line "vmf-restore: $typo: "
done
expect 3 vmf-dump -o /dev/nosuch source
expect_line "vmf-dump: /dev/nosuch: "
[[ $(ls -A /dev) == "$before" ]] || fail "files under /dev"
expect 3 vmf-restore good source/x
expect 3 vmf-restore --overwrite good /dev/null
expect_line 'neither a regular file nor a block device'
expect 3 vmf-restore --overwrite good mnt
expect_line 'neither a regular file nor a block device'
ok "typing errors under /dev make no files"

if ! command -v qemu-system-x86_64 >/dev/null; then
	echo "part skipped: needs qemu-system-x86_64"
	exit 0
fi
qemu() { # FILE|DEVICE: a guest that does not run yet has it open
	qemu-system-x86_64 -S -display none -nodefaults -machine accel=tcg -m 32 \
	    -qmp unix:qmp,server=on,wait=off -drive "file=$1,format=raw,if=virtio" &
	qemu=$!
	cleanup_fn eval "kill -KILL $qemu 2>/dev/null"
	wait_for 20 eval "ls -l /proc/$qemu/fd | grep -q '$(realpath "$1")'"
	wait_for 20 test -S qmp
}
qemu "$target"
refused 3 "open for writing by qemu-system-x86 \(process $qemu\)" --overwrite
expect 3 vmf-dump "$target"
expect_line "open for writing by qemu"
kill $qemu && wait $qemu || true
cp --sparse=always source image
qemu image
for tool in 'vmf-dump image' 'vmf-restore --overwrite good image'; do
	expect 3 $tool
	expect_line 'image: in use by a running QEMU; shut the guest down first'
done
expect 0 vmf-dump --live -o live2 image
kill $qemu && wait $qemu || true
same source image
ok "in use by QEMU, as a device and as a file"
