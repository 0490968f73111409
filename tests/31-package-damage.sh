#!/bin/bash
# A damaged package is refused before anything is written; from a pipe it
# leaves no disk that could be taken for one. Targets that must not be touched
# are not. (The sweep over every byte is in the unit tests.)
. "$(dirname "$0")/lib.sh"
requires virsh

truncate -s 8M vda.img
bytes 300000 web | dd of=vda.img conv=notrunc status=none
bytes 3000 tail | dd of=vda.img bs=1 seek=8000000 conv=notrunc status=none
cat >web.xml <<EOT
<node><domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'>
<name>web</name><uuid>0b1f2a3c-0000-4000-8000-00000000000a</uuid>
<memory>65536</memory><os><type>hvm</type></os><devices>
<disk type='file' device='disk'><driver name='qemu' type='raw'/>
<source file='$tmp/vda.img'/><target dev='vda' bus='virtio'/></disk>
</devices><test:runstate>5</test:runstate></domain></node>
EOT
vmf-pack -q -c "test://$tmp/web.xml" --chunk 64K -o web.vmf.tar web
size=$(stat -c %s web.vmf.tar)
mkdir back

# flip FILE OFFSET: one bit of it
flip() {
	local byte
	byte=$(od -An -tu1 -j "$2" -N 1 "$1")
	printf '%b' "\\x$(printf %x $((byte ^ 4)))" |
	    dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# unharmed STATUS FROM...: refused, in one line, and nothing came to be
unharmed() {
	expect "$1" vmf-unpack -q --dir back "${@:2}"
	expect_line ': '
	expect 1 compgen -G 'back/*'
	expect 1 compgen -G 'back/.*[a-z]*'
}

n=0
for ((at = 100; at < size; at += 7919)); do
	cp web.vmf.tar bad.vmf.tar
	flip bad.vmf.tar $at
	expect 4 vmf-verify bad.vmf.tar
	unharmed 4 bad.vmf.tar
	unharmed 4 - <bad.vmf.tar
	n=$((n + 1))
done
# the last bytes: padding of END, and the end of the tar file
for at in $((size - 1100)) $((size - 1000)) $((size - 1)); do
	cp web.vmf.tar bad.vmf.tar
	flip bad.vmf.tar $at
	unharmed 4 bad.vmf.tar
	unharmed 4 - <bad.vmf.tar
	n=$((n + 1))
done
[[ $n -gt 40 ]]
ok "$n flipped bits are refused, from a file and from a pipe"

n=0
for ((at = size - 512; at > 0; at -= at > 32000 && at < size - 12000 ? 20480 : 512)); do
	head -c $at web.vmf.tar >bad.vmf.tar
	expect 4 vmf-verify bad.vmf.tar
	unharmed 4 bad.vmf.tar
	unharmed 4 - <bad.vmf.tar
	n=$((n + 1))
done
[[ $n -gt 40 ]]
cat web.vmf.tar <(head -c 512 /dev/zero) >bad.vmf.tar
unharmed 4 bad.vmf.tar
cat web.vmf.tar web.vmf.tar >bad.vmf.tar
unharmed 4 bad.vmf.tar
ok "$n cuts are refused, and what follows the end too"

mkdir other && cd other
tar -xf ../web.vmf.tar
tar --format=ustar -cf ../bad.vmf.tar vmferry domain.xml disks digests SHA256SUMS manifest.json END
cd ..
unharmed 4 bad.vmf.tar
ok "the same members by another tar are refused"

expect 5 vmf-unpack -q --dir back --scratch "$tmp/none" web.vmf.tar
expect_line none
expect 3 vmf-unpack -q --map "vda=$tmp/none/vda.img" web.vmf.tar
expect_line none
expect 3 vmf-unpack -q --map 'vda=/dev/no-such-disk' web.vmf.tar
expect_line no-such-disk
[[ ! -e /dev/no-such-disk ]]
ok "a target that cannot be is refused"

# --- devices

requires root mkfs.ext4 wipefs losetup mount umount
truncate -s 12M disk
mkfs.ext4 -q disk
loop_attach disk
before=$(sha "$loop")

expect 3 vmf-unpack -q --map "vda=$loop" web.vmf.tar
expect_line "$loop.*--overwrite vda"
mkdir mnt
mount "$loop" mnt
expect 3 vmf-unpack -q --map "vda=$loop" --overwrite vda web.vmf.tar
expect_line "$loop"
umount mnt
expect 3 vmf-unpack -q --map "vda=$loop" --overwrite vdb web.vmf.tar
expect_line vdb
before=$(sha "$loop")
truncate -s 4M small
loop_was=$loop
loop_attach small
expect 3 vmf-unpack -q --map "vda=$loop" --overwrite vda web.vmf.tar
expect_line 'smaller'
loop=$loop_was
cp web.vmf.tar bad.vmf.tar
flip bad.vmf.tar $((size - 2500))
expect 4 vmf-unpack -q --map "vda=$loop" --overwrite vda bad.vmf.tar
[[ $(sha "$loop") == "$before" ]] || fail "the device was touched"
ok "a device in use, too small, or for a damaged file is not touched"

expect 4 vmf-unpack -q --map "vda=$loop" --overwrite vda - <bad.vmf.tar
[[ -z $(wipefs "$loop") ]] || fail "a signature is left"
cmp -n 4194304 "$loop" /dev/zero
cmp -i 8388608:0 -n 4194304 "$loop" /dev/zero
ok "damage on a pipe leaves a device without signatures at either end"

expect 0 vmf-unpack -q --map "vda=$loop" --overwrite vda - <web.vmf.tar
cmp -n 8388608 "$loop" vda.img
ok "the same again with the whole package restores it"
