#!/bin/bash
# Targets that are made for the image: partitions, volumes of pools; the backup
# of a GPT. (Logical volumes: 25-lvm-targets.sh.)
. "$(dirname "$0")/lib.sh"
requires root losetup sfdisk partx sgdisk libvirtd virsh

truncate -s 20M disk
bytes 3M a | dd of=disk bs=1M conv=notrunc status=none
bytes 2M b | dd of=disk bs=1M seek=18 conv=notrunc status=none
vmf-dump -o stream disk

# part:
truncate -s 100M whole
bytes 100M old | dd of=whole bs=1M conv=notrunc status=none
printf 'label: gpt\n1: start=2048,size=20480,name=keep\n2: start=90112,size=20480\n' |
    sfdisk -q --no-reread --no-tell-kernel whole
loop_attach whole
table() { sfdisk -d "$loop" | grep -v 'sector-size'; }
table >before
first=$(sha "${loop}p1") second=$(sha "${loop}p2")
kept() {
	[[ $(sha "${loop}p1") == "$first" && $(sha "${loop}p2") == "$second" ]] ||
	    fail "another partition changed"
}
expect 0 vmf-restore stream "part:$loop"
expect_line "^vmf-restore: part:$loop: is ${loop}p3$"
same disk "${loop}p3"
kept
sgdisk -v "$loop" | grep -q 'No problems found'
expect 0 sfdisk -J "$loop"
read -r start size name < <(jq -r '.partitiontable.partitions[2] | "\(.start) \(.size) \(.name)"' <<<"$out")
((start % 2048 == 0 && size == 40960)) || fail "start $start, size $size"
[[ $name == null || -z $name ]] || fail "name $name"
expect 0 vmf-dump -o again "${loop}p3"
expect 0 vmf-restore stream "part:$loop"
same disk "${loop}p4"
kept
table >two
# no room left in one piece
expect 3 vmf-restore --raw --size 60M - "part:$loop" </dev/zero
expect_line 'has no free space of 62914560 bytes in one piece'
table | cmp - two
# a restore that fails takes its partition away again
head -c 3000000 stream >damaged
expect 4 vmf-restore damaged "part:$loop"
table | cmp - two
[[ ! -b ${loop}p5 ]] || fail "the partition stayed"
kept
ok "a new partition, aligned, in free space; taken away on failure"
loop_detach "$loop"

truncate -s 50M plain
loop_attach plain
expect 3 vmf-restore stream "part:$loop"
expect_line "$loop: has no GPT"
printf 'label: dos\nsize=10MiB\n' | sfdisk -q --no-reread --no-tell-kernel plain
expect 3 vmf-restore stream "part:$loop"
expect_line "$loop: has no GPT"
expect 3 vmf-restore stream part:/dev/nosuch
expect_line '/dev/nosuch: No such file'
expect 2 vmf-restore stream part:disk
expect 3 vmf-restore --raw - "part:$loop" <disk
expect_line 'needs a size'
ok "no GPT, no disk, no size"

# --fix-gpt
truncate -s 64M small
printf 'label: gpt\nsize=20MiB\n' | sfdisk -q --no-reread --no-tell-kernel small
vmf-dump -o gpt.vmf small
for fix in '' --fix-gpt; do
	truncate -s 0 big
	truncate -s 96M big
	loop_attach big
	# shellcheck disable=SC2086
	expect 0 vmf-restore -q $fix gpt.vmf "$loop"
	sgdisk -v "$loop" >verdict 2>&1 || true
	if [[ $fix ]]; then
		grep -q 'No problems found' verdict || fail "$(<verdict)"
		same <(sfdisk -d small | grep -E 'uuid|size=' | sed 's/.*start/start/') \
		    <(sfdisk -d "$loop" | grep -E 'uuid|size=' | sed 's/.*start/start/')
	else
		grep -q 'No problems found' verdict && fail "the backup was where it should be"
	fi
	loop_detach "$loop"
done
ok "--fix-gpt moves the backup to the end"

# pool:
export LIBVIRT_DEFAULT_URI=test:///default
expect 2 vmf-restore stream pool:one
expect 8 vmf-restore -c test:///default stream pool:nosuch/web
expect_line 'pool nosuch: '
lab_up bare
cp -r "$VMFERRY_BIN" "$LAB_DIR/A/disk/srv/bin"
cp stream damaged "$LAB_DIR/A/disk/srv"
on A mkdir /srv/pool
on A virsh -q pool-create-as --name p --type dir --target /srv/pool
expect 0 on A /srv/bin/vmf-restore /srv/stream pool:p/web.img
expect_line 'pool:p/web.img: is /srv/pool/web.img'
same disk "$LAB_DIR/A/disk/srv/pool/web.img"
on A virsh -q vol-info --pool p web.img >/dev/null
expect 3 on A /srv/bin/vmf-restore /srv/stream pool:p/web.img
expect_line 'web.img: exists already'
expect 0 on A /srv/bin/vmf-restore --overwrite -q /srv/stream pool:p/web.img
expect 4 on A /srv/bin/vmf-restore /srv/damaged pool:p/no.img
expect 3 on A /srv/bin/vmf-restore /srv/stream pool:p/..
expect_line "'..' names no volume"
[[ $(ls -A "$LAB_DIR/A/disk/srv/pool") == web.img ]]
ok "a volume of a directory pool"
