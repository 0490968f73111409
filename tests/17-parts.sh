#!/bin/bash
# Parts of disks by offset, length and partition; plain bytes in place of dd;
# flat digests and rates.
. "$(dirname "$0")/lib.sh"
requires root losetup sfdisk partx blockdev

id=00112233445566778899aabbccddeeff
truncate -s 64M disk
bytes 9M a | dd of=disk bs=1M seek=3 conv=notrunc status=none
bytes 2M b | dd of=disk bs=1M seek=62 conv=notrunc status=none

part() { # OFF LEN: these bytes of disk
	dd if=disk iflag=skip_bytes,count_bytes skip="$1" count="$2" status=none
}
for p in '0 1' '1 1' '3145728 1048576' '4000001 7000000' '65011712 2097152' \
    '66000000 1108864' '20000000 9999999'; do
	read -r off len <<<"$p"
	vmf-dump --offset "$off" --length "$len" disk | zstd -dcq | cmp - <(part "$off" "$len")
done
vmf-dump --offset 60M disk | zstd -dcq | cmp - <(part 62914560 4194304)
expect 3 vmf-dump --offset 64M --length 1 disk
expect_line 'vmf-dump: disk: has 67108864 bytes, which do not reach'
expect 3 vmf-dump --offset 1P disk
expect 2 vmf-dump --offset 1 --partition 1 disk
expect 2 vmf-dump --offset 1 - <disk
ok "offset and length are exact, and refused where there is nothing"

# tables, on a file and on a device
gpt() { printf 'label: gpt\n5: start=4096,size=20480\n1: start=40960,size=4097\n'; }
mbr() { printf 'label: dos\nstart=4096,size=20480,type=83\nstart=26624,size=40960,type=5\nstart=28672,size=8191,type=83\n'; }
for label in gpt mbr; do
	cp --sparse=always disk $label
	$label | sfdisk -q --no-reread --no-tell-kernel $label
	loop_attach $label
	for n in 1 5; do
		expect 0 sfdisk -J $label
		read -r start size < <(jq -r --arg n "$label$n" \
		    '.partitiontable.partitions[] | select(.node==$n) | "\(.start) \(.size)"' <<<"$out")
		vmf-dump --id $id --partition $n $label >part.$n
		zstd -dcq part.$n | cmp - <(dd if=$label bs=512 skip="$start" count="$size" status=none)
		vmf-dump --partition $n "$loop" | zstd -dcq | cmp - "${loop}p$n"
	done
	expect 3 vmf-dump --partition 7 $label
	expect_line "vmf-dump: $label: has no partition 7; there are: [125, ]+$"
done
expect 3 vmf-dump --partition 2 mbr
expect_line 'partition 2 is an extended one'
expect 3 vmf-dump --partition 1 disk
expect_line 'vmf-dump: disk: has no partition table'
ok "partitions of GPT and MBR, logical ones too, as the kernel has them"

# vmf-restore --offset: into a device and a file, nothing else touched
bytes 10M c >image
vmf-dump -o image.vmf image
truncate -s 64M target
bytes 64M d | dd of=target bs=1M conv=notrunc status=none
cp target before
loop_attach target
expected() { # OFF FILE: before, with FILE at OFF
	cp before want
	dd if="$2" of=want bs=1M oflag=seek_bytes seek="$1" conv=notrunc status=none
}
expect 0 vmf-restore --offset 20M image.vmf "$loop"
[[ -z $err ]]
expected 20971520 image
same want "$loop"
dd if=before of="$loop" bs=1M conv=notrunc,fsync status=none
dd if=/dev/zero of=image bs=1M seek=2 count=6 conv=notrunc status=none
vmf-dump -o zeros.vmf image
expect 0 vmf-restore --offset 1536 zeros.vmf "$loop"
expected 1536 image
same want "$loop"
expect 3 vmf-restore --offset 1000 zeros.vmf "$loop"
expect_line 'do not divide the offset 1000'
expect 3 vmf-restore --offset 60M zeros.vmf "$loop"
expect_line 'smaller than the image \(4194304 < 10485760 bytes\)'
same want "$loop"
loop_detach "$loop"
ok "a restore into the middle of a device leaves the rest"

cp before target
expect 3 vmf-restore --offset 1000 zeros.vmf target
expect_line 'target: exists already; allow it'
same before target
expect 0 vmf-restore --overwrite --offset 1000 zeros.vmf target
expected 1000 image
same want target
expect 3 vmf-restore --overwrite --offset 1000 zeros.vmf nosuch
expect_line 'nosuch: does not exist'
expect 2 vmf-restore --offset 0 --zero-tail zeros.vmf target
# no PUNCH_HOLE nor ZERO_RANGE: zeros are written
if command -v strace >/dev/null; then
	cp before target
	expect 0 strace -f -qq -o /dev/null -e inject=fallocate:error=EOPNOTSUPP \
	    vmf-restore --overwrite --offset 1000 zeros.vmf target
	same want target
fi
ok "and into a file, also where no holes can be punched"

# plain bytes
vmf-dump --raw disk | cmp - disk
vmf-dump --raw - <disk | cmp - disk
expect 0 vmf-dump --raw -v --flat -o copy disk
expect_line "SHA-256 $(sha disk)$"
same disk copy
(($(stat -c %b copy) * 512 < 12 * 1048576)) || fail "holes were filled"
[[ $(stat -c %a copy) == 600 ]]
expect 3 vmf-dump --raw -o copy disk
expect_line 'copy: exists already'
for from in disk -; do
	rm -f copy
	expect 0 vmf-restore --raw $from copy <disk
	same disk copy
	(($(stat -c %b copy) * 512 < 12 * 1048576)) || fail "holes were filled"
done
loop_attach target
target=$loop
for from in disk -; do
	bytes 64M d >"$target"
	expect 0 vmf-restore --raw $from "$target" <disk
	same disk "$target"
done
bytes 64M d >"$target"
expect 0 vmf-restore --raw - "$target" < <(part 0 9999999)
cmp -n 9999999 disk "$target"
expect_line '57108865 bytes larger'
expect 5 vmf-restore --raw - "$target" < <(cat disk; echo more)
expect_line 'smaller than the image, which goes on after 67108864 bytes'
expect 0 vmf-restore --raw --size 64M - "$target" <disk
same disk "$target"
expect 4 vmf-restore --raw --size 32M - new <disk
expect_line 'goes on after 33554432 bytes'
expect 4 vmf-restore --raw --size 65M - new <disk
expect_line 'ends after 67108864 of 68157440 bytes'
[[ ! -e new ]]
expect 0 vmf-restore --raw --size 32M disk new
cmp -n 33554432 disk new
[[ $(stat -c %s new) == 33554432 ]]
expect 2 vmf-restore --size 1M zeros.vmf new2
ok "plain bytes in place of dd"

# flat digests
for j in 1 3; do
	vmf-dump -j $j --id $id --flat disk >flat.$j
done
same flat.1 flat.3
[[ $(xxd -p flat.1 | tr -d '\n') == *"$(sha disk)"* ]] || fail "END has no flat digest"
vmf-restore flat.1 flat.out
same disk flat.out
expect 0 vmf-verify -q flat.1
vmf-dump --flat - <disk | vmf-restore - flat.out2
same disk flat.out2
ok "flat digests"

began=$EPOCHREALTIME
vmf-dump --bwlimit 8M -z 0 --offset 3M --length 8M disk >slow
vmf-restore --bwlimit 8M slow slow.out
vmf-dump --raw --bwlimit 8M -o slow.raw --offset 3M --length 8M disk
ended=$EPOCHREALTIME
us=$(((${ended/./} - ${began/./})))
((us > 2400000)) || fail "24 MiB at 8 MiB/s took $us us"
((us < 9000000)) || fail "24 MiB at 8 MiB/s took $us us"
same slow.out slow.raw
expect 2 vmf-dump --bwlimit 0 disk
ok "--bwlimit"
