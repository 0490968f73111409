#!/bin/bash
# A signed package: its signature is that of the key given, by the openssl
# program's word too, and nothing is placed that another key has signed.
. "$(dirname "$0")/lib.sh"
requires virsh openssl tar

bytes 200000 web >vda.img
cat >web.xml <<EOT
<node><domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'>
<name>web</name><uuid>0b1f2a3c-0000-4000-8000-00000000000a</uuid>
<memory>65536</memory><os><type>hvm</type></os><devices>
<disk type='file' device='disk'><driver name='qemu' type='raw'/>
<source file='$tmp/vda.img'/><target dev='vda' bus='virtio'/></disk>
</devices><test:runstate>5</test:runstate></domain></node>
EOT
pack=(vmf-pack -q -c "test://$tmp/web.xml" --chunk 64K)
(umask 077 && openssl genpkey -algorithm ed25519 -out key.pem &&
    openssl genpkey -algorithm ed25519 -out other.pem)
openssl pkey -in key.pem -pubout -out pub.pem
openssl pkey -in other.pem -pubout -out stranger.pem
id=000102030405060708090a0b0c0d0e0f

expect 0 "${pack[@]}" --id $id --sign key.pem -o web.vmf.tar web
"${pack[@]}" --id $id --sign key.pem web | cmp - web.vmf.tar
mkdir open && tar -xf web.vmf.tar -C open
[[ $(stat -c %s open/manifest.sig) == 64 ]]
(cd open && sha256sum --quiet -c SHA256SUMS END)
[[ $(wc -l <open/END) == 2 ]]
openssl pkeyutl -verify -pubin -inkey pub.pem -rawin \
    -in open/manifest.json -sigfile open/manifest.sig >out.txt
expect 1 openssl pkeyutl -verify -pubin -inkey stranger.pem -rawin \
    -in open/manifest.json -sigfile open/manifest.sig
ok "the openssl program and sha256sum accept the signed package"

expect 0 vmf-verify --verify-key pub.pem web.vmf.tar
expect_out 'whole.*signed by this key'
expect 0 vmf-verify web.vmf.tar
expect_out 'signature was not checked'
expect 0 vmf-verify --verify-key pub.pem --expect $id - <web.vmf.tar
expect 4 vmf-verify --verify-key pub.pem --expect ${id/00/11} web.vmf.tar
expect 4 vmf-verify --verify-key stranger.pem web.vmf.tar
expect_line 'web.vmf.tar: .*not by this key'
"${pack[@]}" --id $id -o plain.vmf.tar web
expect 0 vmf-verify plain.vmf.tar
expect 4 vmf-verify --verify-key pub.pem plain.vmf.tar
expect_line 'plain.vmf.tar: is not signed'
vmf-dump vda.img >vda.vmf.zst
expect 4 vmf-verify --verify-key pub.pem vda.vmf.zst
expect_line 'no signature'
ok "vmf-verify knows the key, and refuses another and none"

mkdir back
for p in plain.vmf.tar "--verify-key stranger.pem web.vmf.tar"; do
	read -ra args <<<"--verify-key pub.pem $p"
	expect 4 vmf-unpack -q --dir back "${args[@]}"
	expect_line 'sign'
	args[-1]=-
	expect 4 vmf-unpack -q --dir back "${args[@]}" <"${p##* }"
	expect_line 'sign'
	expect 4 vmf-unpack --extract disks/vda -o back/x "${args[@]}" <"${p##* }"
	expect 1 compgen -G 'back/*'
done
expect 2 vmf-unpack --list --verify-key pub.pem web.vmf.tar
expect 0 vmf-unpack -q --dir back --verify-key pub.pem web.vmf.tar
same back/vda.img vda.img
ok "nothing is placed that this key did not sign, from a file or a pipe"

# --list heeds --expect too
expect 0 vmf-unpack --list --expect $id web.vmf.tar
expect 4 vmf-unpack --list --expect ${id/00/11} web.vmf.tar
expect_line 'was expected'

# flips within the signature and the manifest
size=$(stat -c %s web.vmf.tar)
for back in 3072 2560 2000; do
	cp web.vmf.tar bad.vmf.tar
	at=$((size - back))
	byte=$(od -An -tu1 -j $at -N 1 bad.vmf.tar)
	printf '%b' "\\x$(printf %x $((byte ^ 1)))" |
	    dd of=bad.vmf.tar bs=1 seek=$at conv=notrunc status=none
	expect 4 vmf-verify -q bad.vmf.tar
	expect 4 vmf-verify -q --verify-key pub.pem bad.vmf.tar
done
ok "a changed signature is damage"

# --- keys

for mode in 640 604 620; do
	chmod $mode key.pem
	expect 3 "${pack[@]}" --sign key.pem -o no.vmf.tar web
	expect_line 'key.pem: others.*chmod 600'
done
chmod 600 key.pem
openssl genpkey -algorithm ed25519 -aes256 -pass pass:x -out locked.pem
chmod 600 locked.pem
expect 3 "${pack[@]}" --sign locked.pem -o no.vmf.tar web
expect_line 'locked.pem: .*without a passphrase'
openssl genpkey -algorithm x25519 -out x.pem
chmod 600 x.pem
expect 3 "${pack[@]}" --sign x.pem -o no.vmf.tar web
expect_line 'x.pem: holds no Ed25519'
expect 3 "${pack[@]}" --sign none.pem -o no.vmf.tar web
expect_line 'none.pem'
expect 3 vmf-verify --verify-key key.pem web.vmf.tar
expect_line 'key.pem: holds no Ed25519 public key'
[[ ! -e no.vmf.tar ]]
ok "a key that others can read, or of another kind, is refused"
