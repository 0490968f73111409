#!/bin/bash
# slow: a guest boots at both ends
# A guest that has moved away does not run at its source again, whatever way is
# tried: started, restored from an older save, defined anew, migrated back in,
# moved again. And secrets and network disks go along with a move.
. "$(dirname "$0")/lib.sh"
requires root jq qemu-nbd
lab_up
guest_on A web tick --memory 16
uuid=$(on A virsh -q domuuid web)
on B mkdir -p /srv/in

# an older save, from before the move
on A virsh -q start web
console_wait A web 'n=2$' 20 >/dev/null
on A virsh -q save web /srv/old.save
expect 0 on A vmf-move -q --map '*=/srv/in/*' --start web hostb
console_wait B web 'n=3$' 20 >/dev/null

# held REGEX CMD...: it fails with the mark's reason, and nothing runs at A
held() {
	local status=0
	"$@" >.out 2>.err || status=$?
	[[ $status != 0 ]] || fail "went well: $*"
	grep -q 'has moved to hostb\|moved to hostb' .err || fail "$*: $(cat .err)"
	[[ -z $(on A virsh -q list --name) ]] || fail "it runs at A: $*"
	ok "refused: ${*:3}"
}
held on A virsh -q start web
held on A virsh -q restore /srv/old.save
held on A virsh -q restore /srv/old.save --running
held on A virsh -q create /dev/stdin <web.xml
on A virsh -q define /dev/stdin <web.xml
held on A virsh -q start web
on A virsh -q undefine web
on A virsh -q define /dev/stdin <web.xml
held on A virsh -q start web

before=$(last_tick B web)
held on B timeout 60 virsh -q migrate --live --unsafe web qemu+ssh://hosta/system
[[ $(on B virsh -q domstate web) == running* ]] || fail "it does not run at B"
after=$(last_tick B web)
[[ ${before% *} == "${after% *}" && ${after#* } -ge ${before#* } ]] ||
    fail "not the same run: $before, $after"

# running there: neither moved nor defined over
expect 3 on A vmf-move -q --map '*=/srv/in/*' web hostb
expect_line 'moved to hostb'
expect 3 on A vmf-check --json --map '*=/srv/in/*' web hostb
jq -e 'any(.rows[]; .what == "held" and .verdict == "fail")' <<<"$out" >/dev/null
expect 0 on A rm "/var/lib/vmferry/held/$uuid"
for option in '' --replace; do
	# shellcheck disable=SC2086
	expect 3 on A vmf-move -q --map '*=/srv/new/*' $option web hostb
	expect_line 'web is (defined already|running)'
done
ok "nor is it moved once more, while it runs there"

# --- a move carries secrets and leaves network disks where they are
secret=0b1f2a3c-0000-4000-8000-00000000000b
on A virsh -q secret-define /dev/stdin <<X
<secret ephemeral='no' private='no'><uuid>$secret</uuid>
<usage type='iscsi'><target>chap</target></usage></secret>
X
on A virsh -q secret-set-value "$secret" --base64 c2VjcmV0IQA= 2>/dev/null
truncate -s 1M "$LAB_DIR/A/disk/srv/vault.img"
disk="<disk type='network' device='disk'><driver name='qemu' type='raw'/><source protocol='iscsi' name='iqn.2026-11.org.example:a/1'><host name='10.77.0.1' port='3260'/><auth username='u'><secret type='iscsi' usage='chap'/></auth></source><target dev='vdb' bus='virtio'/></disk>"
gen_domain vault --disk /srv/vault.img --memory 16 | sed "s|</devices>|$disk&|" >vault.xml
on A virsh -q define /dev/stdin <vault.xml
expect 3 on A vmf-move -q --map '*=/srv/in/*' vault hostb
expect_line 'iscsi iqn.* cannot be reached from here: 10.77.0.1 port 3260'
# anything that listens there will do: nothing is read from it
on A qemu-nbd --fork --persistent --shared 4 --pid-file /run/nbd.pid -f raw \
    -b 10.77.0.1 -p 3260 /srv/vault.img --read-only
expect 3 on A vmf-move -q --map '*=/srv/in/*' vault hostb
on A sh -c 'kill "$(cat /run/nbd.pid)"'
truncate -s 1M "$LAB_DIR/A/disk/srv/other.img"
on A qemu-nbd --fork --persistent --shared 4 --pid-file /run/nbd.pid -f raw \
    -b 10.77.0.1 -p 3260 /srv/other.img
expect 0 on A vmf-move -q --map '*=/srv/in/*' vault hostb
[[ $(on B virsh -q secret-get-value "$secret") == c2VjcmV0IQA= ]] ||
    fail "the secret's value did not travel"
on B virsh -q dumpxml --inactive vault >got.xml
grep -q "<source protocol='iscsi' name='iqn.2026-11.org.example:a/1'" got.xml
grep -q "<source file='/srv/in/vault.img'/>" got.xml
[[ ! -e $LAB_DIR/B/disk/srv/in/1 ]] || fail "the network disk was copied"
on A sh -c 'kill "$(cat /run/nbd.pid)"'
ok "a move carries secrets, and network disks stay"

# --- firmware of another distribution: the destination is asked
guest_on A efi tick --memory 192 --uefi
on A sh -c "mkdir -p /var/lib/libvirt/qemu/nvram
    cp /usr/share/OVMF/OVMF_VARS_4M.fd /var/lib/libvirt/qemu/nvram/efi_VARS.fd"
on B sh -c 'mkdir -p /usr/share/edk2/x64
    mv /usr/share/OVMF/OVMF_CODE_4M.fd /usr/share/edk2/x64/OVMF_CODE.4m.fd
    mv /usr/share/OVMF/OVMF_VARS_4M.fd /usr/share/edk2/x64/OVMF_VARS.4m.fd'
expect 3 on A vmf-check --json --map '*=/srv/in/*' efi hostb
jq -e '.maps | index("--map-firmware '\''auto'\''") or index("--map-firmware auto")' \
    <<<"$out" >/dev/null || fail "no --map-firmware auto: $out"
expect 0 on A vmf-move --map '*=/srv/in/*' --map-firmware auto efi hostb
[[ $err == *'change: firmware /usr/share/OVMF/OVMF_CODE_4M.fd is /usr/share/edk2/x64/OVMF_CODE.4m.fd here'* ]] ||
    fail "the change is not said: $err"
on B virsh -q dumpxml --inactive efi >got.xml
grep -q '>/usr/share/edk2/x64/OVMF_CODE.4m.fd</loader>' got.xml
ok "--map-firmware auto asks the destination, and the change is said"
