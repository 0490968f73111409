#!/bin/bash
# slow
# vmf-check: every row made to fail once, nothing touched by it, and no failing
# row lets vmf-move touch anything.
. "$(dirname "$0")/lib.sh"
requires root jq
lab_up
guest_on A web tick --memory 16 --mac 52:54:00:aa:bb:cc
uuid=$(on A virsh -q domuuid web)
on B mkdir -p /srv/in
on A virsh -q dumpxml --inactive --security-info web >web.xml

# state: all that neither may change
state() {
	on A virsh -q dumpxml --inactive --security-info web | sha -
	# a running guest writes to it
	! _is_off A web || [[ ! -e $LAB_DIR/A/disk/srv/web.img ]] ||
	    sha "$LAB_DIR/A/disk/srv/web.img"
	on A virsh -q list --all
	on A find /var/lib/vmferry -type f 2>/dev/null || true
	on B virsh -q list --all
	on B find /srv /var/lib/libvirt/qemu/nvram /var/lib/vmferry -type f -size +0 \
	    2>/dev/null || true
}

# row VERDICT WHAT: there is such a row in $out, which is JSON.
row() {
	jq -e --arg v "$1" --arg w "$2" \
	    'any(.rows[]; .verdict == $v and .what == $w)' <<<"$out" >/dev/null ||
	    fail "no row '$2' that says $1: $(jq -c '.rows[] | select(.verdict != "ok")' <<<"$out")"
}

# fails WHAT REGEX OPTION...: the check has this failing row, the first of its
# failures is what vmf-move says, and neither changes anything.
fails() {
	local what=$1 regex=$2 before first
	shift 2
	before=$(state)
	expect 3 on A vmf-check --json --map '*=/srv/in/*' "$@" web hostb
	row fail "$what"
	first=$(jq -r '[.rows[] | select(.verdict == "fail")][0] |
	    .reason + (if .mend == "" then "" else "; " + .mend end)' <<<"$out")
	jq -r --arg w "$what" '.rows[] | select(.what == $w and .verdict == "fail") |
	    .reason + "; " + .mend' <<<"$out" | grep -Eq -- "$regex" ||
	    fail "row '$what' does not match '$regex': $out"
	expect "$(jq '[.rows[] | select(.verdict == "fail")][0].class' <<<"$out")" \
	    on A vmf-move -q --map '*=/srv/in/*' "$@" web hostb
	# a process or port has another number the next time
	[[ ${err//[0-9]/} == "vmf-move: "?("hostb: ")"${first//[0-9]/}" ]] ||
	    fail "vmf-move says something else: '$err', not '$first'"
	[[ $(state) == "$before" ]] || {
		diff <(echo "$before") <(state) || true
		fail "something has changed ($what)"
	}
	ok "$what: $first"
}

# warns WHAT OPTION...: a warning, which keeps nobody from moving.
warns() {
	local what=$1
	shift
	expect 0 on A vmf-check --json --map '*=/srv/in/*' "$@" web hostb
	row warn "$what"
	ok "$what: a warning"
}

# redefine OPTION...: web at A, anew; edit SED: from what it was
redefine() {
	gen_domain web --disk /srv/web.img --memory 16 --uuid "$uuid" "$@" |
	    on A virsh -q define /dev/stdin
}
edit() { sed -e "$1" web.xml | on A virsh -q define /dev/stdin; }

# --- all is well
before=$(state)
expect 0 on A vmf-check --map '*=/srv/in/*' web hostb
expect_out 'web can move to hostb: [0-9]+ conditions, 0 in the way'
expect 0 on A vmf-check --json --map '*=/srv/in/*' web hostb
jq -e '.ready and (.maps | length == 0)' <<<"$out" >/dev/null
for what in domain held state 'managed save' job snapshots 'disk vda' reach \
    tools libvirt QEMU identity machine cpu vcpus memory names 'target vda' \
    'space /srv/in' clock 'start guard'; do
	row ok "$what"
done
[[ $(state) == "$before" ]] || fail "a check that went well changed something"
ok "a guest that can move: a row for each condition, nothing changed"

# --- the domain
expect 3 on A vmf-check --json nosuch hostb
row fail domain
expect_line 'nosuch'
on A virsh -q start web
fails state 'web is running.*--shutdown'
expect 0 on A vmf-check --json --shutdown --map '*=/srv/in/*' web hostb
row ok state
on A virsh -q suspend web
fails state 'web is paused'
on A virsh -q resume web
on A virsh -q managedsave web
fails 'managed save' 'managedsave-remove'
on A virsh -q managedsave-remove web
guest_off A web 10
# a copy that is never ended: a job that lasts
on A virsh -q start web
on A truncate -r /srv/web.img /srv/copy.img
on A virsh -q blockcopy web vda /srv/copy.img --reuse-external --raw --transient-job
fails job 'web has a job running' --shutdown
on A virsh -q blockjob web vda --abort
on A virsh -q destroy web
on A rm /srv/copy.img
on A sh -c "mkdir -p /var/lib/vmferry/held; echo 'it has moved to C' >/var/lib/vmferry/held/$uuid"
fails held 'it has moved to C'
on A rm "/var/lib/vmferry/held/$uuid"
{
	echo '<domainsnapshot><name>one</name><state>shutoff</state>'
	echo '<creationTime>1</creationTime><memory snapshot="no"/>'
	echo '<disks><disk name="vda" snapshot="internal"/></disks>'
	cat web.xml
	echo '</domainsnapshot>'
} | on A virsh -q snapshot-create web /dev/stdin --redefine
warns snapshots
on A virsh -q snapshot-delete web one --metadata

# --- its disks
on A mv /srv/web.img /srv/elsewhere.img
fails 'disk vda' 'web.img: No such file'
on A mv /srv/elsewhere.img /srv/web.img
{ on A sh -c 'exec 9<>/srv/web.img; sleep 60' || true; } &
wait_for 5 on A sh -c 'ls -l /proc/*/fd/9 2>/dev/null | grep -q web.img'
fails 'disk vda' 'open for writing by'
on A pkill sleep || true
wait
gen_domain twin --disk /srv/web.img --memory 16 | on A virsh -q define /dev/stdin
fails 'disk vda' 'belongs to domain twin'
on A virsh -q undefine twin
edit "s|</source>|&|; s|<target dev='vda'|<shareable/>&|"
fails 'disk vda' 'shareable'
edit "s|<disk type='file'|<disk type='network'|; s|<source file='/srv/web.img'/>|<source protocol='nbd' name='x'><host name='10.77.0.9'/></source>|"
fails 'disk vda' 'nbd x cannot be reached from here: 10.77.0.9 port 10809'
redefine --tpm
fails 'firmware, TPM' 'TPM state of web is missing'
redefine --uefi
fails 'firmware, TPM' 'NVRAM'

# --- the machine
edit "s|<memory unit='KiB'>[0-9]*|<memory unit='TiB'>100|; s|<currentMemory.*||"
fails memory '100.0 TiB wanted'
edit 's|<vcpu[^>]*>1<|<vcpu>255<|'
warns vcpus
edit "s|<vcpu|<memoryBacking><hugepages/></memoryBacking>&|"
fails hugepages 'nr_hugepages' --start
edit "s|<cpu mode.*|<cpu mode='custom' match='exact' check='partial'><model fallback='forbid'>Icelake-Server</model></cpu>|; /<model fallback='forbid'>qemu64/,/<.cpu>/d"
fails cpu 'features|not have it'
edit "s|<cpu mode.*|<cpu mode='host-passthrough'/>|; /<model fallback='forbid'>qemu64/,/<.cpu>/d"
expect 3 on A vmf-check --json --map '*=/srv/in/*' web hostb
row fail machine
ok "machine: $(jq -r '.rows[] | select(.what == "machine") | .reason' <<<"$out")"

# --- a TPM, which needs swtpm there
gen_domain web --disk /srv/web.img --memory 16 --uuid "$uuid" --tpm |
    on A virsh -q define /dev/stdin
on A sh -c "mkdir -p /var/lib/libvirt/swtpm/$uuid/tpm2
    echo state >/var/lib/libvirt/swtpm/$uuid/tpm2/tpm2-00.permall"
expect 0 on A vmf-check --json --map '*=/srv/in/*' web hostb
row ok tpm
row ok swtpm
on B mv /usr/bin/swtpm /usr/bin/swtpm.not
fails tpm 'swtpm, which is not here; install swtpm'
# an older one than at the source
on B sh -c 'printf "#!/bin/sh\necho TPM emulator version 0.1.0, old\n" >/usr/bin/swtpm
    chmod +x /usr/bin/swtpm'
warns swtpm
on B mv /usr/bin/swtpm.not /usr/bin/swtpm
on A rm -r "/var/lib/libvirt/swtpm/$uuid"

# --- names
edit "s|<serial type='file'>|&|; s|</devices>|<interface type='network'><mac address='52:54:00:aa:bb:cc'/><source network='lan'/></interface>&|"
fails 'names network' "'lan'.*no such network"
expect 3 on A vmf-check --json --map '*=/srv/in/*' web hostb
jq -e '.maps | index("--map-net '\''lan=...'\''")' <<<"$out" >/dev/null ||
    fail "no map is proposed: $out"
echo '<network><name>lan</name></network>' | on B virsh -q net-define /dev/stdin
warns 'network lan'
on B virsh -q net-undefine lan
redefine --net bridge:nosuch
fails 'names network' 'no such bridge'
redefine --net bridge:lo
fails 'bridge lo' 'no Linux bridge'
on B ip link add br7 type bridge
edit "s|</devices>|<interface type='bridge'><source bridge='br7'/><virtualport type='openvswitch'/></interface>&|"
fails 'bridge br7' 'Linux bridge here, and the interface is for Open vSwitch'
on B ip link del br7
edit "s|</devices>|<interface type='network'><source network='lan' portgroup='web'/></interface>&|"
echo '<network><name>lan</name><portgroup name="db"/></network>' |
    on B virsh -q net-define /dev/stdin
fails 'network lan' 'no portgroup web'
on B virsh -q net-undefine lan
edit "s|<vcpu[^>]*>1<|<vcpu cpuset='4000'>1<|"
fails 'names pinning' "'4000': not all of these CPUs are here"
edit "s|</devices>|<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x0000' bus='0xfe' slot='0x1f' function='0x7'/></source></hostdev>&|"
fails 'names hostdev' "'pci 0000:fe:1f.7': no such device here.*--allow hostdev"
edit "s|<boot dev='hd'/>|<loader type='rom'>/srv/my.fd</loader>&|"
on A touch /srv/my.fd
fails 'names firmware' "'/srv/my.fd': no such file"

# --- a pool, and disks that are volumes
on A virsh -q define /dev/stdin <web.xml
on B virsh -q pool-define-as images dir --target /srv/in
fails 'pool images' 'virsh pool-start images' --map vda=pool:images/web.img
on B virsh -q pool-undefine images
fails 'names disk' "'images': no such storage pool" --map vda=pool:images/web.img

# --- secrets: those that cannot be read must be there
secret=0b1f2a3c-0000-4000-8000-00000000000a
xml="<secret ephemeral='no' private='PRIVATE'><uuid>$secret</uuid><usage type='volume'><volume>/srv/web.img</volume></usage></secret>"
luks="<encryption format='luks'><secret type='passphrase' uuid='$secret'/></encryption>"
edit "s|<source file='/srv/web.img'/>|<source file='/srv/web.img'>$luks</source>|"
on A virsh -q secret-define /dev/stdin <<<"${xml/PRIVATE/yes}"
fails 'names secret' 'no such secret here'
on A virsh -q secret-undefine "$secret"
on A virsh -q secret-define /dev/stdin <<<"${xml/PRIVATE/no}"
on A virsh -q secret-set-value "$secret" --base64 aGVsbG8= 2>/dev/null
expect 0 on A vmf-check --json --map '*=/srv/in/*' web hostb
row ok "secret $secret"
[[ $out == *'"comes along"'* ]] || fail "the secret does not come along: $out"
[[ -z $(on B virsh -q secret-list) ]] || fail "a check defined a secret"
on B virsh -q secret-define /dev/stdin <<<"${xml/PRIVATE/yes}"
expect 0 on A vmf-check --json --map '*=/srv/in/*' web hostb
[[ $out == *'"is here"'* ]] || fail "the secret is not here: $out"
on B virsh -q secret-undefine "$secret"
on A virsh -q secret-undefine "$secret"
ok "a secret comes along, unless it may not be read"

# --- a network disk: it stays, and must be reachable from there
edit "s|</devices>|<disk type='network' device='disk'><driver name='qemu' type='raw'/><source protocol='nbd' name='x'><host name='10.77.0.1' port='10810'/></source><target dev='vdb' bus='virtio'/></disk>&|"
fails 'disk vdb' 'nbd x cannot be reached from here: 10.77.0.1 port 10810: Connection refused'
on A truncate -s 1M /srv/nbd.img
on A qemu-nbd --fork --persistent --shared 4 --pid-file /run/nbd.pid -f raw -x x \
    -b 10.77.0.1 -p 10810 /srv/nbd.img
expect 0 on A vmf-check --json --map '*=/srv/in/*' web hostb
[[ $(jq -c '[.rows[] | select(.what == "disk vdb") | [.where, .verdict]]' <<<"$out") == \
    '[["source","ok"],["destination","ok"]]' ]] || fail "disk vdb: $out"
[[ $(jq '[.rows[] | select(.what == "target vdb")] | length' <<<"$out") == 0 ]] ||
    fail "a disk that stays has a target: $out"
on A sh -c 'kill "$(cat /run/nbd.pid)"'
on A rm /srv/nbd.img
on A virsh -q define /dev/stdin <web.xml
ok "a network disk that can be reached stays where it is"

# --- another clock: a shim moves it
if command -v cc >/dev/null; then
	cat >clock.c <<'X'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *ts)
{
	int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
	int rc = real(id, ts);
	if (id == CLOCK_REALTIME)
		ts->tv_sec += 100;
	return rc;
}
X
	cc -shared -fPIC -o "$LAB_DIR/shared/clock.so" clock.c -ldl
	on B mv /usr/bin/vmf-move /usr/bin/vmf-moved
	on B sh -c 'printf "#!/bin/sh\nLD_PRELOAD=/mnt/clock.so exec /usr/bin/vmf-moved \"\$@\"\n" >/usr/bin/vmf-move
	    chmod +x /usr/bin/vmf-move'
	warns clock
	[[ $out == *"set both by NTP"*"clock is 100 seconds ahead"* ]] || fail "clock: $out"
	on B mv /usr/bin/vmf-moved /usr/bin/vmf-move
else
	echo "no compiler: the clock was left alone"
fi

redefine --net bridge:lab0 --mac 52:54:00:aa:bb:cc
gen_domain other --disk /srv/x.img --memory 16 --net bridge:br0 --mac 52:54:00:aa:bb:cc |
    on B virsh -q define /dev/stdin
fails 'mac 52:54:00:aa:bb:cc' 'belongs to domain other' --map-net bridge:lab0=bridge:lo
on B virsh -q undefine other
edit "s|</devices>|<disk type='file' device='cdrom'><source file='/srv/x.iso'/><target dev='sda' bus='sata'/><readonly/></disk>&|"
on A touch /srv/x.iso
fails 'names disk' 'x.iso.*no such file'
expect 0 on A vmf-check -q --map '*=/srv/in/*' --map sda= web hostb
edit "s|</os>|<kernel>/srv/vmlinuz</kernel>&|"
fails 'names kernel' 'vmlinuz.*no such file'
gen_domain web --disk /srv/x.img --memory 16 --uuid 11111111-2222-4333-8444-555555555555 |
    on B virsh -q define /dev/stdin
on A virsh -q define /dev/stdin <web.xml
fails identity 'another domain has this name'
on B virsh -q undefine web

# --- targets, and the room for them
on B sh -c 'echo precious >/srv/in/web.img'
fails 'target vda' 'exists already'
on B rm /srv/in/web.img
on B mkdir -p /srv/tiny
on B mount -t tmpfs -o size=64k none /srv/tiny
on A cp --sparse=always /srv/web.img /srv/sparse.img
bytes 3000000 | on A dd of=/srv/web.img bs=1M seek=4 conv=notrunc status=none
fails 'space /srv/tiny' 'needed, 64.0 KiB free' --map vda=/srv/tiny/web.img
on A mv /srv/sparse.img /srv/web.img
on B mount -o remount,size=8m /srv/tiny
warns 'space /srv/tiny' --map vda=/srv/tiny/web.img
on B umount /srv/tiny
on B rmdir /srv/tiny
expect 3 on A vmf-check --map vda=/srv/nosuch/web.img web hostb
expect_out 'maps still needed:'
ok "what is needed is said, ready to paste: $(grep -A1 'maps still' <<<"$out" | tail -1)"

# --- one file that both ends see
on A mv /srv/web.img "/mnt/web.img"
edit 's|/srv/web.img|/mnt/web.img|'
fails 'target vda' 'very disk that would be moved' --map vda=/mnt/web.img --overwrite vda
on A mv /mnt/web.img /srv/web.img
on A virsh -q define /dev/stdin <web.xml

# --- the far side
expect 3 on A vmf-check --json --timeout 2 web 10.77.0.99
row fail reach
row ok 'disk vda'
ok "reach: the source is checked all the same"
on B mv /usr/bin/vmf-move /usr/bin/vmf-moved
fails tools 'no vmferry answers there'
on B mv /usr/bin/vmf-moved /usr/bin/vmf-move
on A chmod -x /etc/libvirt/hooks/qemu.d/vmferry
fails 'start guard' 'systemctl reload libvirtd'
on A chmod +x /etc/libvirt/hooks/qemu.d/vmferry
{ on A flock "/run/vmferry/$uuid.lock" sleep 30 || true; } &
wait_for 5 on A sh -c "! flock -n /run/vmferry/$uuid.lock true"
fails lock 'locked by|locked'
on A pkill sleep || true
wait

# --- a package
expect 0 on A vmf-pack -q -o /mnt/web.vmf.tar web
expect 3 on B vmf-check --json --map '*=/srv/in/*' /mnt/web.vmf.tar
row fail 'names chardev'
[[ $(jq '.maps | length' <<<"$out") == 1 ]] || fail "one map, said once: $out"
expect 0 on B vmf-check --map '*=/srv/in/*' --allow chardev /mnt/web.vmf.tar
expect_out 'can be placed here'
expect 3 on B vmf-check --json /mnt/web.vmf.tar
row fail 'names disk'
jq -e '.maps | index("--map '\''vda=/var/lib/libvirt/images/web.img'\''")' \
    <<<"$out" >/dev/null || fail "no place is proposed: $out"
on B sh -c 'head -c -600 /mnt/web.vmf.tar >/mnt/cut.vmf.tar'
expect 3 on B vmf-check --json /mnt/cut.vmf.tar
row fail package
ok "a package is checked against the host it came to"

expect 0 on A vmf-check --map '*=/srv/in/*' web hostb
expect 0 on A vmf-move -q --map '*=/srv/in/*' --start web hostb
console_wait B web 'n=3$' 20 >/dev/null
ok "what the check calls ready moves"
