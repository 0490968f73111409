#!/bin/bash
# 51-define-host.sh: vmf-define against a real libvirtd: collisions, what is
# absent, what is replaced.
. "$(dirname "$0")/lib.sh"
requires qemu-img python3
lab_up

data=$top/tests/data/domain
disk=$LAB_DIR/B/disk
libvirt=$disk/etc/libvirt/qemu

# define STATUS OPTION...: $xml on host B.
define() {
	local want=$1
	shift
	expect "$want" on B vmf-define "$@" - <"$tmp/$xml"
}
defined() { on B virsh -q list --all --name | grep -qxF -- "$1"; }

truncate -s 1M "$disk/srv/web.img" "$disk/srv/other.img"
gen_domain web --disk /var/lib/libvirt/images/web.img --net default \
    --uuid 11111111-0000-4000-8000-000000000001 >web.xml
xml=web.xml
log=(--map-path /var/log/libvirt=/var/log/libvirt)
vda=(--map vda=/srv/web.img)

# --- absent things are found before anything is defined

define 3
expect_line "disk/source/@file '/var/lib/libvirt/images/web.img'.*--allow disk"
define 3 "${log[@]}" --map vda=/srv/nosuch.img
expect_line "/srv/nosuch.img': no such file here"
define 3 "${log[@]}" "${vda[@]}"
expect_line "interface/source/@network 'default': no such network here"
define 3 "${log[@]}" "${vda[@]}" --map-net default=bridge:br9
expect_line "'br9': no such bridge here"
on B ip link add br0 type bridge
net=(--map-net default=bridge:br0)
define 3 "${log[@]}" "${vda[@]}" "${net[@]}" --machine pc-q35-99.0
expect_line 'pc-q35-99.0 is unknown here, the nearest known is pc-q35-'
define 3 "${log[@]}" "${vda[@]}" "${net[@]}" --cpu NoSuchCPU
expect_line 'CPU model NoSuchCPU is unknown here'
sed "s/type='qemu'>/type='kvm'>/" web.xml >kvm.xml
xml=kvm.xml
define 3 "${log[@]}" "${vda[@]}" "${net[@]}"
expect_line "of type 'kvm', which this host does not offer"
xml=web.xml
[[ -z $(on B virsh -q list --all --name) ]] || fail "something was defined"
ok "what is absent is refused, and nothing is defined"

# --- define

define 0 -n "${log[@]}" "${vda[@]}" "${net[@]}"
expect_out "<source file='/srv/web.img'/>"
! defined web || fail "-n defined it"
define 0 "${log[@]}" "${vda[@]}" "${net[@]}"
expect_line 'web: defined on qemu:///system'
defined web
[[ $(on B virsh dominfo web) == *"Autostart:"*"disable"* ]] || fail autostart
on B virsh dumpxml --inactive web >got.xml
grep -q "<source file='/srv/web.img'/>" got.xml
grep -q "<source bridge='br0'/>" got.xml
grep -q "<emulator>/usr/bin/qemu-system-x86_64</emulator>" got.xml
on B virsh -q start web
on B virsh -q destroy web
ok "a domain is defined, and starts"

# --- collisions

define 3 "${log[@]}" "${vda[@]}" "${net[@]}"
expect_line 'web is defined already.*--replace'
before=$(sha "$libvirt/web.xml")
for options in "--name web2" "--name web2 --replace"; do
	# shellcheck disable=SC2086
	define 3 "${log[@]}" "${vda[@]}" "${net[@]}" $options
	expect_line 'its UUID .* is that of domain web here.*--identity new'
done
for options in "--identity new" "--identity new --replace"; do
	# shellcheck disable=SC2086
	define 3 "${log[@]}" "${vda[@]}" "${net[@]}" $options
	expect_line 'another domain has this name here.*--name'
done
define 3 "${log[@]}" "${vda[@]}" "${net[@]}" --identity new --name web2
expect_line '/srv/web.img belongs to domain web'
on B ln -s web.img /srv/alias.img
define 3 "${log[@]}" --map vda=/srv/alias.img "${net[@]}" --identity new --name web2
expect_line '/srv/alias.img belongs to domain web'
gen_domain third --disk /srv/other.img --net default \
    --mac "$(sed -n "s/.*mac address='\([^']*\)'.*/\1/p" got.xml)" >third.xml
xml=third.xml
define 3 "${log[@]}" "${net[@]}" --map vda=/srv/other.img
expect_line 'its MAC address .* is that of domain web.*--identity new'
[[ $(sha "$libvirt/web.xml") == "$before" ]] || fail "web was changed"
define 0 "${log[@]}" "${net[@]}" --map vda=/srv/other.img --identity new --autostart
[[ $(on B virsh dominfo third) == *"Autostart:"*"enable"* ]] || fail autostart
xml=web.xml
ok "collisions of name, UUID, MAC and disk are refused with status 3"

# --- replace

on B virsh -q start web
define 3 "${log[@]}" "${vda[@]}" "${net[@]}" --replace
expect_line 'web is running'
on B virsh -q destroy web
on B virsh dumpxml --inactive --security-info web >old.xml
define 0 -q "${log[@]}" "${vda[@]}" --map-net default=bridge:br0 --replace \
    --machine pc-q35-6.2
expect_line 'the old XML is in /var/lib/vmferry/replaced/'
kept=${err##* is in }
on B cat "$kept" >kept.xml
# virsh adds an empty line
diff kept.xml <(sed '$d' old.xml) || fail "the old XML was not kept"
[[ $(on B stat -c '%a %U' "$kept") == "600 root" ]] || fail "mode of $kept"
[[ $(on B virsh dumpxml web) == *pc-q35-6.2* ]] || fail "not replaced"
on B virsh -q define "$kept"
ok "--replace keeps the old XML"

# --- every kind of element, as libvirt takes it

on B virsh -q undefine web
for f in "$data"/*.xml; do
	xml=$(basename "$f")
	name=${xml%.xml}
	# handmade.xml has elements that no libvirt knows, rhel.xml another
	# distribution's names
	[[ $name != handmade && $name != rhel ]] || continue
	# no KVM here
	sed "1s/type='kvm'/type='qemu'/" "$f" >"$xml"
	on B virsh -q define /dev/stdin <"$xml"
	on B virsh dumpxml --inactive --security-info "$name" >"want.$name"
	on B virsh -q undefine --keep-nvram --keep-tpm "$name"
	define 0 -q --allow all
	on B virsh dumpxml --inactive --security-info "$name" >"got.$name"
	diff "want.$name" "got.$name" >.diff ||
	    fail "$name: not as libvirt has it: $(head -20 .diff)"
	on B virsh -q undefine --keep-nvram --keep-tpm "$name"
done
ok "libvirt takes every kind of element as if it had come straight"

# after the rules libvirt takes it too, and nothing but what they are about has
# changed in what libvirt makes of it
cat >outside.py <<'X'
import re, sys, xml.etree.ElementTree as E

# what rules, identity, machine and CPU are about
about = re.compile(r"""/domain/(name|uuid|genid|cpu|os/(type|loader|nvram|kernel|
    initrd|dtb|shim|acpi|varstore)|sysinfo|metadata|blkiotune/device/path|
    devices/(emulator|
    disk(/(auth|source|backingStore|mirror))?|interface(/(source|mac|
    virtualport|script|backend))?|(serial|parallel|console|channel|redirdev|
    smartcard|rng|tpm|input|video|graphics|audio|shmem|pstore|lease|memory|
    filesystem|hostdev)(/.*)?))(/|$)""", re.X)

def walk(a, b, path, out):
    if a.tag != b.tag:
        out.append(path)
        return
    if a.attrib != b.attrib or (a.text or "").strip() != (b.text or "").strip():
        out.append(path)
    x, y = list(a), list(b)
    if about.match(path) and len(x) != len(y):
        return
    if len(x) != len(y):
        out.append(path + ": other children")
        return
    for c, d in zip(x, y):
        walk(c, d, path + "/" + c.tag, out)

a, b = (E.parse(f).getroot() for f in sys.argv[1:3])
out = []
walk(a, b, "/domain", out)
bad = [p for p in out if not about.match(p)]
print("\n".join(bad))
sys.exit(1 if bad or not out else 0)
X
for f in "$data"/*.mapped; do
	name=$(basename "$f" .mapped)
	[[ $name != handmade && $name != rhel ]] || continue
	sed "1s/type='kvm'/type='qemu'/" "$f" | on B virsh -q define /dev/stdin
	on B virsh dumpxml --inactive --security-info 'new & better' >"mapped.$name"
	on B virsh -q undefine --keep-nvram --keep-tpm 'new & better'
	python3 outside.py "want.$name" "mapped.$name" >.diff ||
	    fail "$name: changed outside the map: $(cat .diff)"
done
ok "libvirt takes it after the rules, and the rest means the same"

sed "1s/type='kvm'/type='qemu'/" "$data/rhel.xml" >rhel.xml
xml=rhel.xml
define 3 --map vda=/srv/other2.img
qemu-img create -q -f qcow2 "$disk/srv/other2.img" 1M
define 3 --map vda=/srv/other2.img --map-net bridge:virbr0=bridge:br0
expect_line "os/loader '/usr/share/qemu/ovmf-x86_64-4m-code.bin': no such file here"
options=(--map vda=/srv/other2.img --map-net bridge:virbr0=bridge:br0
    --map-firmware auto --cpu qemu64)
mkdir -p "$disk/var/lib/libvirt/qemu/nvram"
define 3 "${options[@]}"
expect_line "os/nvram '/var/lib/libvirt/qemu/nvram/rhel_VARS.fd': no such file here"
cp /usr/share/OVMF/OVMF_VARS_4M.fd "$disk/var/lib/libvirt/qemu/nvram/rhel_VARS.fd"
define 3 "${options[@]}"
expect_line 'machine type pc-q35-rhel9.2.0 is unknown here, the nearest known is pc-q35'
define 0 "${options[@]}" --machine pc-q35-7.2
[[ $err == *"firmware /usr/share/qemu/ovmf-x86_64-4m-code.bin is /usr/share/OVMF/OVMF_CODE_4M.fd here"* ]] ||
    fail "the change of firmware is not said: $err"
on B virsh -q start rhel
on B virsh -q destroy rhel
ok "a domain of another distribution is fitted to this one"

# --- a package's XML, once the package was found sound

gen_domain boxed --disk /srv/boxed.img --uefi --memory 192 >boxed.xml
truncate -s 1M "$LAB_DIR/A/disk/srv/boxed.img"
mkdir -p "$LAB_DIR/A/disk/var/lib/libvirt/qemu/nvram"
cp /usr/share/OVMF/OVMF_VARS_4M.fd \
    "$LAB_DIR/A/disk/var/lib/libvirt/qemu/nvram/boxed_VARS.fd"
on A virsh -q define /dev/stdin <boxed.xml
on A vmf-pack boxed >boxed.vmf.tar
on A virsh dumpxml --inactive --security-info boxed | sed '$d' >boxed.xml
expect 0 vmf-define -o - --allow all --keep-emulator boxed.vmf.tar
same boxed.xml .out
expect 0 vmf-define -o - --allow all --keep-emulator - <boxed.vmf.tar
same boxed.xml .out
head -c -1024 boxed.vmf.tar >short.vmf.tar
expect 4 vmf-define -o - --allow all short.vmf.tar
[[ -z $out ]] || fail "the XML of a broken package was taken"
expect 2 vmf-define -o - --allow all - < <(vmf-dump "$LAB_DIR/A/disk/srv/boxed.img")
expect_line 'the stream of a disk'

truncate -s 1M "$disk/srv/boxed.img"
nvram=$disk/var/lib/libvirt/qemu/nvram/boxed_VARS.fd
xml=boxed.vmf.tar
box=("${log[@]}" --map vda=/srv/boxed.img)
define 3 "${box[@]}"
expect_line "boxed_VARS.fd': no such file here"
head -c 131072 /usr/share/OVMF/OVMF_VARS_4M.fd >"$nvram"
define 3 "${box[@]}"
expect_line 'has 131072 bytes and its template 540672; it belongs to other firmware'
cp /usr/share/OVMF/OVMF_VARS_4M.fd "$nvram"
define 0 "${box[@]}"
ok "a package's domain is defined, with the NVRAM that belongs to it"
