#!/bin/bash
# Streams and packages are checked on their way; other names are only bytes.
# shellcheck disable=SC2119	# with_sshd without lines for its configuration
. "$(dirname "$0")/lib.sh"

requires zstd virsh
with_sshd
export HOME=$sshd_home SSH_AUTH_SOCK=
mkdir far
url=sftp://127.0.0.1:$sshd_port$tmp/far
nothing_under() {
	[[ ! -e far/$1 && ! -e far/$1.part ]] || fail "$1 is there"
}

{ bytes 9M; head -c 9M /dev/zero; bytes 5001 x; } >disk
vmf-dump -o good.vmf.zst disk
expect 0 vmf-send good.vmf.zst "$url/a.vmf.zst"
same good.vmf.zst far/a.vmf.zst
vmf-dump disk | vmf-send --sessions 2 - "$url/b.vmf.zst"
vmf-recv "$url/b.vmf.zst" | vmf-restore - restored
same disk restored
expect 0 vmf-recv "$url/a.vmf.zst" c.vmf.zst
same good.vmf.zst c.vmf.zst
ok "a stream passes both ways"

size=$(stat -c %s good.vmf.zst)
head -c $((size - 1)) good.vmf.zst >short
# bad NAME: refused with 4 wherever the name says that it is a stream
bad() {
	expect 4 vmf-send - "$url/$1.vmf.zst" <"$1"
	[[ -n $err && $err != *$'\n'* ]] || fail "not one line: $err"
	nothing_under "$1.vmf.zst"
	cp "$1" "far/bad.vmf.zst"
	expect 4 vmf-recv "$url/bad.vmf.zst" got
	[[ ! -e got && -z $(find . -maxdepth 1 -name '.got*') ]] || fail "left"
	expect 4 vmf-recv "$url/bad.vmf.zst"
	expect 0 vmf-send --as-is "$1" "$url/asis.vmf.zst"
	same "$1" far/asis.vmf.zst
	expect 0 vmf-recv --as-is "$url/asis.vmf.zst" asis
	same "$1" asis
	rm -f far/asis.vmf.zst asis
}
bad short
for at in 3 20 70 $((size / 3)) $((size / 2)) $((size - 5)); do
	cp good.vmf.zst flipped
	byte=$(od -An -tu1 -j "$at" -N1 good.vmf.zst)
	printf '%b' "\\x$(printf %x $((byte ^ 4)))" |
	    dd of=flipped bs=1 seek="$at" conv=notrunc status=none
	bad flipped
done
{ cat good.vmf.zst; echo; } >long
bad long
: >empty
bad empty
bytes 100000 >noise
bad noise
ok "a damaged, short or long stream gets no name; --as-is carries it"

expect 0 vmf-send noise "$url/noise.img"
same noise far/noise.img
expect 4 vmf-send noise "$url/x.vmf.tar"
nothing_under x.vmf.tar
cp noise n.vmf.zst
expect 4 vmf-send n.vmf.zst "$url/other.name"
nothing_under other.name
expect 2 vmf-send n.vmf.zst "$url/n.vmf.tar"
expect_line 'different kinds'
expect 2 vmf-recv "$url/a.vmf.zst" a.vmf.tar
ok "names decide, here and there"

# A producer that dies leaves no backup that looks whole.
set +o pipefail
{ vmf-dump disk | head -c 6000000; } | {
	status=0
	vmf-send - "$url/dead.vmf.zst" 2>err2 || status=$?
	[[ $status == 4 ]] || fail "status $status: $(cat err2)"
}
set -o pipefail
nothing_under dead.vmf.zst
ok "a dead producer is not taken for the end"

# --- compressed on the way
expect 0 vmf-send -z 3 disk "$url/z.vmf.zst"
vmf-recv "$url/z.vmf.zst" | zstd -dc | cmp - disk
# shellcheck disable=SC2002
cat disk | vmf-send -z 1 - "$url/zp.vmf.zst"
zstd -dc far/zp.vmf.zst | cmp - disk
(($(stat -c %s far/z.vmf.zst) < 10000000)) || fail "not compressed"
expect 2 vmf-send -z 3 disk "$url/z.img"
expect_line 'end in \.vmf\.zst'
expect 2 vmf-send -z 3 --as-is disk "$url/z2.vmf.zst"
expect 2 vmf-send -z 3 good.vmf.zst "$url/z2.vmf.zst"
ok "-z makes a stream that zstd -dc gives back"

# --- a package (libvirt's test driver stands in for a daemon)
cat >node.xml <<-EOT
	<node><domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'>
	<name>web</name><uuid>0b1f2a3c-0000-4000-8000-00000000000a</uuid>
	<memory>65536</memory><os><type>hvm</type></os><devices>
	<disk type='file' device='disk'><driver name='qemu' type='raw'/>
	<source file='$tmp/disk'/><target dev='vda' bus='virtio'/></disk></devices>
	<test:runstate>5</test:runstate></domain></node>
EOT
vmf-pack -c "test://$tmp/node.xml" web >web.vmf.tar
vmf-pack -c "test://$tmp/node.xml" web | vmf-send - "$url/p.vmf.tar"
expect 0 vmf-verify far/p.vmf.tar
expect 0 vmf-send web.vmf.tar "$url/q.vmf.tar"
same web.vmf.tar far/q.vmf.tar
vmf-recv "$url/q.vmf.tar" | cmp - web.vmf.tar
size=$(stat -c %s web.vmf.tar)
for at in 5 1000 $((size / 2)) $((size - 3)); do
	cp web.vmf.tar flipped
	byte=$(od -An -tu1 -j "$at" -N1 web.vmf.tar)
	printf '%b' "\\x$(printf %x $((byte ^ 1)))" |
	    dd of=flipped bs=1 seek="$at" conv=notrunc status=none
	expect 4 vmf-send - "$url/r.vmf.tar" <flipped
	nothing_under r.vmf.tar
done
for cut in 512 1024 $((size / 2)); do
	head -c $((size - cut)) web.vmf.tar >short
	expect 4 vmf-send - "$url/r.vmf.tar" <short
	nothing_under r.vmf.tar
	cp short far/s.vmf.tar
	expect 4 vmf-recv "$url/s.vmf.tar" got
	[[ ! -e got ]] || fail "a local file was made"
done
ok "a package passes; one that is damaged or cut short gets no name"
