#!/bin/bash
# 50-define.sh: vmf-define as a filter: what it maps, refuses and prints. No
# libvirtd is asked.
. "$(dirname "$0")/lib.sh"
requires vmf-define patch python3

data=$top/tests/data/domain

# --- wrong calls: one line, status 2

expect 2 vmf-define
expect_line 'no file given'
expect 2 vmf-define --no-such-option x
expect_line 'no-such-option'
expect 2 vmf-define -o - --map vda web.xml
expect_line 'map vda is not OLD=NEW'
expect 2 vmf-define -o - --map vda=web.img web.xml
expect_line 'neither an absolute path'
expect 2 vmf-define -o - --map-path /a=/b --map-path /b=/c web.xml
expect_line 'would be mapped again'
expect 2 vmf-define -o - --allow everything web.xml
expect_line 'nothing to allow'
expect 2 vmf-define -o - --identity other web.xml
expect_line 'neither keep nor new'
expect 2 vmf-define --diff --replace web.xml
expect_line 'exclude|defining'
expect 5 vmf-define -o - nosuch.xml
expect_line 'nosuch.xml'
expect 5 vmf-define -o - .
expect_line 'directory'
ok "a wrong call is one line"

# --- what no map is about stays

for f in "$data"/*.xml; do
	[[ $f != */handmade.xml ]] || continue
	expect 0 vmf-define -o - --allow all --keep-emulator "$f"
	same "$f" .out
	expect 0 vmf-define -o - --allow all --keep-emulator - <"$f"
	same "$f" .out
	expect 0 vmf-define --diff --allow all --keep-emulator "$f"
	[[ -z $out$err ]] || fail "a difference where none was asked for: $out$err"
done
ok "without a map the XML comes out byte for byte"

# --- valid before and after

if command -v virt-xml-validate >/dev/null; then
	cp "$data"/*.mapped .
	for f in "$data"/*.xml *.mapped; do
		# it has elements that no libvirt knows
		[[ $f != *handmade* ]] || continue
		virt-xml-validate "$f" domain >.validate 2>&1 ||
		    fail "$f: $(head -3 .validate)"
	done
	ok "libvirt's schema holds before and after"
else
	echo "virt-xml-validate is missing: not validated"
fi

# --- hostile input

cat >doctype.xml <<X
<!DOCTYPE domain [<!ENTITY x SYSTEM "file://$tmp/secret">]>
<domain type='kvm'><name>&x;</name></domain>
X
echo TOPSECRET >secret
expect 4 vmf-define -o - --allow all doctype.xml
expect_line 'DOCTYPE'
[[ $out$err != *TOPSECRET* ]] || fail "the entity was read"
{
	echo "<domain type='kvm'><name>a</name><description>"
	head -c 100M /dev/zero | tr '\0' x
	echo "</description></domain>"
} >large.xml
expect 4 vmf-define -o - --allow all large.xml
expect_line '16 MiB'
expect 4 vmf-define -o - --allow all - <large.xml
expect_line '16 MiB'
rm large.xml
{
	echo "<domain type='kvm'><name>a</name>"
	printf '<a>%.0s' {1..5000}
	printf '</a>%.0s' {1..5000}
	echo "</domain>"
} >deep.xml
expect 4 vmf-define -o - --allow all deep.xml
printf "<domain><name>a\377</name></domain>" >latin.xml
expect 4 vmf-define -o - --allow all latin.xml
: >empty.xml
expect 4 vmf-define -o - empty.xml
head -c 1000 "$data/disks.xml" >short.xml
expect 4 vmf-define -o - --allow all short.xml
expect_line 'short.xml'
expect 4 vmf-define -o - --allow all "$data/../../lib.sh"
ok "hostile and broken XML is refused with status 4"

# --- what names the host is refused until it is mapped or allowed

expect 3 vmf-define -o - "$data/commandline.xml"
expect_line "/domain/devices/disk/source/@file '/srv/c.img'.*--allow disk"
[[ -z $out ]] || fail "refused, yet printed"
expect 3 vmf-define -o - --map vda=/srv/c.img "$data/commandline.xml"
expect_line '/domain/qemu:commandline: .*--allow commandline'
expect 0 vmf-define -o out.xml --map vda=/srv/d.img --allow commandline \
    --name other "$data/commandline.xml"
grep -q "<name>other</name>" out.xml
[[ $(stat -c %a out.xml) == 600 ]] || fail "mode of out.xml"
expect 3 vmf-define -o out.xml --map vda=/srv/d.img --allow commandline \
    "$data/commandline.xml"
expect_line 'out.xml'
for k in lease filesystem hostdev shmem; do
	expect 3 vmf-define -v -o - "$data/devices.xml"
	[[ $err == *"/domain/devices/$k"* ]] || fail "$k is not refused"
done
expect 3 vmf-define -v -o - "$data/chardev.xml"
[[ $err == *"serial[2]/source/@path '/var/log/vm/file.serial'"* ]] ||
    fail "a file behind a serial port is not refused"
sed 's|<emulator>.*</emulator>|<emulator>/tmp/evil</emulator>|' \
    "$data/rhel.xml" >evil.xml
expect 3 vmf-define -o - --map vda=/srv/a.img evil.xml
expect_line "/domain/devices/emulator '/tmp/evil'.*--allow emulator"
expect 0 vmf-define -o - --map vda=/srv/a.img --allow emulator evil.xml
expect_out '<emulator>/tmp/evil</emulator>'
expect 0 vmf-define -o - --map vda=/srv/a.img "$data/rhel.xml"
[[ $out != *emulator* ]] || fail "QEMU's usual name is not dropped"
ok "host resources are refused unless mapped or allowed"

# --- maps

cat >maps <<'X'
# the system disk
--map vda=lv:vg1/rhel
map-net bridge:virbr0=lan
X
expect 0 vmf-define -o - --map-file maps --map-net nosuch=x "$data/rhel.xml"
expect_line 'map-net nosuch=x matched nothing'
expect_out "<disk type='block' device='disk'>.*<source dev='/dev/vg1/rhel'/>"
expect_out "<interface type='network'>.*<source network='lan'/>"
expect 0 vmf-define --diff -q --map-file maps --keep-emulator "$data/rhel.xml"
cp "$data/rhel.xml" patched.xml
patch -s patched.xml .out
expect 0 vmf-define -q -o - --map-file maps --keep-emulator "$data/rhel.xml"
same patched.xml .out
expect 0 vmf-define -q -o - --map-file maps patched.xml
cp .out once.xml
expect 0 vmf-define -q -o - --map-file maps once.xml
same once.xml .out
ok "maps are applied, once is twice, and --diff is what patch takes"

# a terminal gets colours, nothing else does
cp "$data/rhel.xml" from.xml
python3 - <<'X' >.tty
import os, pty, sys
def read(fd):
    try:
        return os.read(fd, 65536)
    except OSError:
        return b""
status = pty.spawn(["vmf-define", "--diff", "-q", "--map-file", "maps",
    "--keep-emulator", "from.xml"], read)
sys.exit(os.waitstatus_to_exitcode(status))
X
grep -q $'\033\\[31m-.*\033\\[m' .tty && grep -q $'\033\\[32m+.*\033\\[m' .tty ||
    fail "no colours on a terminal: $(cat -v .tty)"
expect 0 vmf-define --diff -q --map-file maps --keep-emulator "$data/rhel.xml"
[[ $out != *$'\033'* ]] || fail "colours where no terminal is"
same <(sed 's/\x1b\[[0-9]*m//g; s/\r$//' .tty | sed 1,2d) <(sed 1,2d .out)
ok "--diff is coloured on a terminal, and only there"

odd='/srv/a b'\''";$(touch x)&<>|-'$'\n''-q'
expect 0 vmf-define -o odd.xml --map "vda=$odd" "$data/rhel.xml"
expect 0 vmf-define -o - --map "vda=$odd" odd.xml
same odd.xml .out
[[ ! -e x ]] || fail "a name was executed"
python3 - "$odd" <<'X' || fail "the odd name is not exact"
import sys, xml.etree.ElementTree as E
d = E.parse("odd.xml").find("devices/disk/source")
sys.exit(d.get("file") != sys.argv[1])
X
expect 0 vmf-define -o odd2.xml --allow all "$data/handmade.xml"
grep -qF '$(touch x)&#10;-q.qcow2' odd2.xml
ok "odd names stay exact and are not executed"

expect 0 vmf-define -o - --uuid 99999999-8888-4777-8666-555555555555 \
    --name copy --map vda=/srv/copy.img "$data/rhel.xml"
expect_out '<uuid>99999999-8888-4777-8666-555555555555</uuid>'
expect_out '>/var/lib/libvirt/qemu/nvram/copy_VARS.fd</nvram>'
expect_out "<mac address='52:54:00:"
[[ $out != *52:54:00:cc:00:01* ]] || fail "the MAC is the old one"
cp .out a
expect 0 vmf-define -o - --uuid 99999999-8888-4777-8666-555555555555 \
    --name copy --map vda=/srv/copy.img "$data/rhel.xml"
same a .out
ok "a new identity follows from its UUID"

for f in "$data"/*.xml; do
	[[ $f != */handmade.xml ]] || continue
	# sdd is a SCSI lun, which no file can be
	change=(--allow all --name copy --cpu host-model
	    --map '*=/new/vm-*' --map sdd=/dev/sdy --uuid 99999999-8888-4777-8666-555555555555
	    --map-path /srv=/data)
	expect 0 vmf-define -q --diff "${change[@]}" "$f"
	cp "$f" patched.xml
	patch -s --fuzz=0 patched.xml .out
	expect 0 vmf-define -q -o - "${change[@]}" "$f"
	same patched.xml .out
done
ok "--diff is whole and exact for every kind of element"
