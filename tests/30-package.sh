#!/bin/bash
# A package: complete, the same for the same input, and openable without us.
# libvirt's test driver stands in for a daemon.
. "$(dirname "$0")/lib.sh"
requires virsh tar bsdtar busybox zstd sha256sum jq

# The sizes are multiples of nothing; the last disk has data at its end only.
sizes=(0 1 513 5000 65535 65537 1000007 0)
devices='' n=0
for size in "${sizes[@]}"; do
	dev=vd$(printf '%b' "\\x$(printf %x $((97 + n)))")
	bytes "$size" "$dev" >"$dev.img"
	devices+="<disk type='file' device='disk'><driver name='qemu' type='raw'/>
	  <source file='$tmp/$dev.img'/><target dev='$dev' bus='virtio'/></disk>"
	n=$((n + 1))
done
truncate -s 0 vdh.img && truncate -s 40M vdh.img
bytes 1000 end | dd of=vdh.img bs=1 seek=$((40 * 1024 * 1024)) status=none
bytes 131072 vars >VARS.fd

# node NAME RUNSTATE MORE: a host with one domain (runstate 5 is off)
node() {
	cat >"$1.xml" <<-EOT
	<node><domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'>
	<name>$1</name><uuid>0b1f2a3c-0000-4000-8000-00000000000a</uuid>
	<memory>65536</memory><os><type>hvm</type>
	<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader>
	<nvram>$tmp/VARS.fd</nvram></os><devices>$3</devices>
	<test:runstate>$2</test:runstate></domain></node>
	EOT
	uri=test://$tmp/$1.xml
}

node web 5 "$devices<graphics type='vnc' port='-1' passwd='geheim'/>"
id=000102030405060708090a0b0c0d0e0f
expect 0 vmf-pack -c "$uri" --id $id --chunk 64K -o web.vmf.tar web
expect_line 'password stays out'
[[ $(stat -c %a web.vmf.tar) == 600 ]]
ok "a domain is packed"

expect 0 vmf-verify web.vmf.tar
expect_out 'web.vmf.tar: package is whole'
expect 0 vmf-verify - <web.vmf.tar
expect 0 vmf-verify --expect $id web.vmf.tar
expect 4 vmf-verify --expect ${id/0001/0002} web.vmf.tar
expect_line 'was expected'
ok "it is whole, from a file and from a pipe"

vmf-pack -q -c "$uri" --id $id --chunk 64K -j 1 web >again.vmf.tar
same web.vmf.tar again.vmf.tar
vmf-pack -q -c "$uri" --chunk 64K web >other.vmf.tar
expect 1 cmp -s web.vmf.tar other.vmf.tar
ok "the same input and id make the same bytes"

for t in tar bsdtar 'busybox tar'; do
	rm -rf open && mkdir open
	$t -xf web.vmf.tar -C open
	(cd open && sha256sum --quiet -c SHA256SUMS END)
	cmp open/nvram/VARS.fd VARS.fd
	for img in vd?.img; do
		$t -xOf web.vmf.tar "disks/${img%.img}" |
			zstd -qdc --sparse >plain.img
		same plain.img "$img"
		cat open/disks/"${img%.img}"/*.zst | zstd -qdc | cmp - "$img"
	done
	[[ $(stat -c %b plain.img) -lt 20000 ]] || fail "$t: holes lost"
	ok "$t, zstd and sha256sum open and check it"
done

jq -e ".id == \"$id\" and .version == 1 and .secrets == false" open/vmferry >jq.out
jq -e '.host.libvirt and (.images | length) == 8' open/manifest.json >jq.out
expect 0 vmf-info web.vmf.tar
expect_out 'package of domain web.*vda.*VARS.fd'
vmf-info --json web.vmf.tar | jq -e '
    .kind == "package" and .domain == "web" and
    (.disks[7] | .name == "vdh" and .zero_chunks == 640 and .data_chunks == 1)' >jq.out
[[ $(vmf-info --json - <web.vmf.tar) == "$(vmf-info --json web.vmf.tar)" ]]
ok "vmf-info describes it"

expect 0 vmf-unpack --list web.vmf.tar
expect_out "nvram/VARS.fd +131072  $tmp/VARS.fd.*disks/vdc +513  $tmp/vdc.img"
vmf-unpack --extract domain.xml web.vmf.tar | cmp - open/domain.xml
vmf-unpack --extract nvram/VARS.fd web.vmf.tar | cmp - VARS.fd
vmf-unpack --extract disks/vdh - <web.vmf.tar | vmf-restore -q - single.img
same single.img vdh.img
vmf-unpack -q --extract disks/vdg -o vdg.vmf.zst web.vmf.tar
expect 0 vmf-verify vdg.vmf.zst
expect_out 'stream is whole'
expect 0 vmf-info --json vdg.vmf.zst
expect_out '"kind": "stream"'
expect 3 vmf-unpack --extract disks/none -o none web.vmf.tar
expect_line 'no member'
[[ ! -e none ]]
ok "vmf-unpack lists and extracts"

# --- back to disks

expect 3 vmf-unpack --dir "$tmp" web.vmf.tar
expect_line 'VARS.fd.*--allow nvram'
for from in web.vmf.tar -; do
	rm -rf back && mkdir back
	expect 0 vmf-unpack --dir back --map-path "$tmp/VARS.fd=$tmp/back/VARS.fd" \
	    -o back/web.xml $from <web.vmf.tar
	for img in *.img; do
		case $img in
		vd?.img) same "back/$img" "$img" ;;
		esac
	done
	same back/VARS.fd VARS.fd
	[[ $(stat -c %a back/VARS.fd back/vda.img | sort -u) == 600 ]]
	grep -q "source file='$tmp/back/vdb.img'" back/web.xml
	expect 1 grep -q "$tmp/vd" back/web.xml
	ok "disks and NVRAM come back, from '$from'"
done
expect 3 vmf-unpack --dir back --map-path "$tmp/VARS.fd=$tmp/back/VARS2.fd" web.vmf.tar
expect_line 'vda.*exists already.*--overwrite vda'
[[ ! -e back/VARS2.fd ]]
rm back/*.img
expect 3 vmf-unpack --dir back --map-path "$tmp/VARS.fd=$tmp/back/VARS.fd" web.vmf.tar
expect_line 'VARS.fd: exists already'
expect 1 compgen -G 'back/*.img'
expect 2 vmf-unpack --dir back --name other web.vmf.tar
expect 0 vmf-unpack -n --dir back --map-path "$tmp/VARS.fd=$tmp/back/V.fd" web.vmf.tar
[[ ! -e back/V.fd && ! -e back/vda.img ]]
ok "nothing that exists is overwritten, and a dry run writes nothing"

# --- what is not packed

node run 1 "$devices"
expect 3 vmf-pack -c "$uri" -o run.vmf.tar run
expect_line 'run is running'
node web 5 "$devices"
expect 3 vmf-pack -c "$uri" -o no.vmf.tar nobody
expect_line nobody
rm vdc.img
expect 3 vmf-pack -c "$uri" -o no.vmf.tar web
expect_line 'vdc.*No such file'
expect 0 vmf-pack -q -c "$uri" --exclude vdc -o seven.vmf.tar web
[[ $(vmf-info --json seven.vmf.tar | jq '.disks | length') == 7 ]]
expect 0 vmf-pack -q -c "$uri" --disks vda,vdb -o two.vmf.tar web
[[ $(vmf-info --json two.vmf.tar | jq -r '[.disks[].name] | join(" ")') == 'vda vdb' ]]
expect 0 vmf-pack -q -c "$uri" --meta-only -o none.vmf.tar web
expect 0 vmf-verify none.vmf.tar
[[ $(vmf-info --json none.vmf.tar | jq '.disks | length') == 0 ]]
expect 3 vmf-pack -c "$uri" --disks vdz -o no.vmf.tar web
expect_line 'no disk vdz'
mv VARS.fd VARS.gone
expect 3 vmf-pack -c "$uri" --meta-only -o no.vmf.tar web
expect_line 'NVRAM.*missing'
mv VARS.gone VARS.fd
expect 3 vmf-pack -c "$uri" --meta-only -o none.vmf.tar web
expect_line 'none.vmf.tar: exists'
[[ ! -e no.vmf.tar && ! -e run.vmf.tar ]]
ok "what cannot be packed whole is refused, and leaves nothing behind"

node web 5 "<graphics type='vnc' port='-1' passwd='geheim'/>"
expect 0 vmf-pack -c "$uri" --include-secrets -o secret.vmf.tar web
tar -xOf secret.vmf.tar domain.xml | grep -q geheim
[[ $(vmf-info --json secret.vmf.tar | jq .secrets) == true ]]
expect 1 grep -aq geheim web.vmf.tar
ok "passwords travel only when asked for, and the package says so"

# --- bad input

for tool in vmf-pack vmf-unpack vmf-verify vmf-info; do
	expect 2 $tool
	expect_line "$tool: no .* given"
	expect 2 $tool --no-such-option x
	expect_line 'no-such-option'
	expect 0 $tool --help
	expect_out "usage: $tool"
	[[ $tool == vmf-pack ]] && continue
	expect 5 $tool "$tmp/missing.vmf.tar"
	expect_line 'missing.vmf.tar: No such file'
	expect 5 $tool "$tmp"
	expect_line 'directory'
	expect 4 $tool - </dev/null
	expect_line 'standard input: is empty'
	expect 4 $tool vdh.img
	expect_line 'vdh.img: is no package'
done
vmf-dump vdb.img >vdb.vmf.zst
expect 4 vmf-unpack vdb.vmf.zst
expect_line 'is a stream.*vmf-restore'
expect 4 vmf-restore web.vmf.tar x.img
expect_line 'is a package.*vmf-unpack'
cp web.vmf.tar lie.vmf.zst
expect 4 vmf-verify lie.vmf.zst
expect_line 'is a package'
tar -cf foreign.tar vdb.img
expect 4 vmf-info foreign.tar
expect_line 'tar file, but no vmferry package'
ok "bad input is named in one line"
