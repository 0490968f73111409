#!/bin/bash
# Which chunks of a package are damaged, and which ranges of a device differ
# from it: all of them, by disk and offset, and nothing else.
. "$(dirname "$0")/lib.sh"
requires virsh tar

K=65536
# vda: chunks 0-15 data, 16-31 zeros, 32-39 data, a short one; vdb: 3 of data
truncate -s 2M vda.img
bytes $((16 * K)) web | dd of=vda.img conv=notrunc status=none
bytes $((8 * K + 100)) more | dd of=vda.img bs=$K seek=32 conv=notrunc status=none
bytes $((3 * K)) data >vdb.img
cat >web.xml <<EOT
<node><domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'>
<name>web</name><uuid>0b1f2a3c-0000-4000-8000-00000000000a</uuid>
<memory>65536</memory><os><type>hvm</type></os><devices>
<disk type='file' device='disk'><driver name='qemu' type='raw'/>
<source file='$tmp/vda.img'/><target dev='vda' bus='virtio'/></disk>
<disk type='file' device='disk'><driver name='qemu' type='raw'/>
<source file='$tmp/vdb.img'/><target dev='vdb' bus='virtio'/></disk>
</devices><test:runstate>5</test:runstate></domain></node>
EOT
vmf-pack -q -c "test://$tmp/web.xml" --chunk 64K -z 0 -o web.vmf.tar web
whole=$(sha web.vmf.tar)

# at DISK CHUNK: where in the package this chunk's first 32 bytes are
at() {
	python3 - "$1" "$2" <<'EOT'
import sys
want = open(sys.argv[1] + ".img", "rb").read()[int(sys.argv[2]) * 65536:][:32]
print(open("web.vmf.tar", "rb").read().index(want))
EOT
}
spoil() { printf 'spoilt' | dd of=bad.vmf.tar bs=1 seek="$1" conv=notrunc status=none; }

cp web.vmf.tar bad.vmf.tar
spoil "$(at vda 0)"
spoil "$(at vda 5)"
spoil "$(at vda 6)"
spoil "$(($(at vda 40) - 100))"	# its header
spoil "$(at vdb 2)"
expect 4 vmf-verify bad.vmf.tar
[[ $out == "vda 0 $K
vda $((5 * K)) $((2 * K))
vda $((40 * K)) 100
vdb $((2 * K)) $K" ]] || fail "listed: $out"
expect_line 'bad.vmf.tar: disk vda: .*; damaged chunks: 5 in ranges: 4'
expect 4 vmf-verify -q bad.vmf.tar
[[ -z $out ]]
expect 4 vmf-verify - <bad.vmf.tar
[[ -z $out ]]
ok "all damaged chunks are named, by disk and offset"

# each chunk for itself
for ((i = 0; i < 16; i += 3)); do
	cp web.vmf.tar bad.vmf.tar
	spoil "$(($(at vda $i) + 20000))"
	expect 4 vmf-verify bad.vmf.tar
	[[ $out == "vda $((i * K)) $K" ]] || fail "chunk $i: $out"
done
ok "one damaged chunk is the only one listed"

# Damage outside the chunks costs none of them: tar header, list, manifest.
size=$(stat -c %s web.vmf.tar)
for at in 700 $((size - 2000)) $((size - 600)) $((size - 5000)); do
	cp web.vmf.tar bad.vmf.tar
	spoil $at
	expect 4 vmf-verify bad.vmf.tar
	[[ $at == 700 || $err == *'all chunks of its disks are whole'* ]] ||
	    fail "at $at: $err"
	[[ -z $out ]] || fail "at $at: $out"
done
head -c $((size - 512)) web.vmf.tar >bad.vmf.tar
expect 4 vmf-verify bad.vmf.tar
expect_line 'all chunks of its disks are whole'
# cut in the middle of vda: what follows is lost, and nothing else
head -c "$(at vda 33)" web.vmf.tar >bad.vmf.tar
expect 4 vmf-verify bad.vmf.tar
[[ $out == "vda $((33 * K)) $((7 * K + 100))
vdb 0 $((3 * K))" ]] || fail "cut: $out"
ok "damage elsewhere is told apart, and a cut package is lost from there on"

# --- beside a device

expect 3 vmf-verify --against vda.img web.vmf.tar
expect_line 'web.vmf.tar: has 2 disks; name one with --disk'
expect 3 vmf-verify --against vda.img --disk vdc web.vmf.tar
expect_line 'has no disk vdc'
expect 2 vmf-verify --disk vda web.vmf.tar
expect 5 vmf-verify --against none.img --disk vda web.vmf.tar
expect_line 'none.img'
expect 0 vmf-verify --against vda.img --disk vda web.vmf.tar
[[ -z $out$err ]]
expect 0 vmf-verify -v --against vda.img --disk vda - <web.vmf.tar
expect_line 'vda.img: holds what'
cp --sparse=never vda.img copy.img
expect 0 vmf-verify --against copy.img --disk vda web.vmf.tar
was=$(sha copy.img)
expect 4 vmf-verify --against copy.img --disk vdb web.vmf.tar
[[ $out == "0 $(stat -c %s copy.img)" ]] || fail "$out"
ok "a file with the same bytes is the same, sparse or not"

poke() { printf 'x' | dd of=copy.img bs=1 seek="$1" conv=notrunc status=none; }
poke $((3 * K - 1))
poke $((3 * K))
poke $((20 * K + 5))	# where the package has zeros
poke $((40 * K + 99))	# the last byte
now=$(sha copy.img)
expect 4 vmf-verify --against copy.img --disk vda web.vmf.tar
[[ $out == "$((2 * K)) $((2 * K))
$((20 * K)) $K
$((40 * K)) 100" ]] || fail "$out"
expect_line 'copy.img: differs'
[[ $(sha copy.img) == "$now" && $now != "$was" ]] || fail "it was written to"
cp vda.img copy.img
truncate -s +5000 copy.img
expect 4 vmf-verify --against copy.img --disk vda web.vmf.tar
[[ $out == "$((40 * K + 100)) 5000" ]] || fail "$out"
truncate -s $((33 * K)) copy.img
expect 4 vmf-verify --against copy.img --disk vda web.vmf.tar
[[ $out == "$((33 * K)) $((7 * K + 100))" ]] || fail "$out"
cp web.vmf.tar bad.vmf.tar
spoil "$(at vdb 0)"
expect 4 vmf-verify --against vda.img --disk vda bad.vmf.tar
expect_line 'bad.vmf.tar: disk vdb'
[[ $(sha web.vmf.tar) == "$whole" ]]
ok "ranges that differ are listed, and only they"

requires root losetup
truncate -s 4M disk
dd if=vda.img of=disk conv=notrunc status=none
loop_attach disk
expect 0 vmf-verify --against "$loop" --disk vda web.vmf.tar
printf x | dd of="$loop" bs=1 seek=$((7 * K)) conv=notrunc,fsync status=none
expect 4 vmf-verify --against "$loop" --disk vda web.vmf.tar
[[ $out == "$((7 * K)) $K" ]] || fail "$out"
ok "a larger device is compared as far as the disk goes, and only read"
