#!/bin/bash
# slow
# Everything of a domain travels: TPM state, passwords, autostart; under a new
# identity nothing of the old one; and a guest can move back home.
. "$(dirname "$0")/lib.sh"
requires root swtpm
lab_up
guest_on A web tick --memory 16 --tpm
on A virsh -q dumpxml --inactive web >plain.xml
sed "s|</devices>|<graphics type='vnc' passwd='s3cr3t' listen='127.0.0.1'/></devices>|" plain.xml |
    on A virsh -q define /dev/stdin
on A virsh -q autostart web
on A virsh -q start web
console_wait A web 'n=2$' 30 >/dev/null
on A virsh -q destroy web
uuid=$(on A virsh -q domuuid web)
tpm=/var/lib/libvirt/swtpm
on A sh -c "cd $tpm/$uuid && sha256sum tpm2/*" >tpm.sums
[[ -s tpm.sums ]]
on B mkdir -p /srv/in

expect 0 on A vmf-move -q --map '*=/srv/in/*' web hostb
on B sh -c "cd $tpm/$uuid && sha256sum -c" <tpm.sums >/dev/null
[[ $(on B stat -c %U "$tpm/$uuid/tpm2" "$tpm/$uuid/tpm2/tpm2-00.permall" | xargs) == "tss tss" ]]
on B virsh -q dumpxml --inactive --security-info web | grep -q "passwd='s3cr3t'" ||
    fail "the VNC password was lost"
[[ $(on B virsh -q dominfo web) == *"Autostart: "*enable* ]] || fail "autostart was lost"
[[ $(on A virsh -q dominfo web) == *"Autostart: "*disable* ]] || fail "autostart is on at A"
on B virsh -q start web
console_wait B web 'n=2$' 30 >/dev/null
on B virsh -q destroy web
ok "TPM state, password and autostart arrive; the guest starts with its TPM"

# the disk changed at B, and goes home over the old copy, which must be named
sum=$(on B sha256sum /srv/in/web.img | cut -c1-64)
expect 3 on B vmf-move -q --map vda=/srv/web.img web hosta
expect_line 'hosta: web.*--replace'
expect 3 on B vmf-move -q --map vda=/srv/web.img --replace web hosta
expect_line 'hosta: .*web.img: exists already'
expect 3 on B vmf-move -q --map vda=/srv/web.img --replace --overwrite vda web hosta
expect_line 'hosta: .*permall: exists already'
on A rm -r "$tpm/$uuid"
expect 0 on B vmf-move -q --map vda=/srv/web.img --replace --overwrite vda web hosta
[[ $(on A sha256sum /srv/web.img | cut -c1-64) == "$sum" ]]
on A sh -c "cd $tpm/$uuid && ls tpm2" >/dev/null
on A virsh -q start web
on A virsh -q destroy web
expect 1 on B virsh -q start web
[[ $err == *"has moved to hosta"* ]]
ok "moved home over the old copy: it starts there again, and not at B"

expect 0 on A vmf-move -q --map 'vda=/srv/in/copy.img' --identity new --name copy web hostb
new=$(on B virsh -q domuuid copy)
[[ $new != "$uuid" ]]
on B test -d "$tpm/$new/tpm2"
mac() { on "$1" virsh -q dumpxml --inactive "$2" | grep -o "mac address='[^']*'" || true; }
[[ -z $(mac A web) || $(mac A web) != "$(mac B copy)" ]]
# the console's file kept its name
read -r boot _ <<<"$(last_tick B web)"
on B virsh -q start copy
started_anew() { [[ $(last_tick B web) != "$boot "* ]]; }
wait_for 30 started_anew
on B virsh -q destroy copy
ok "under a new identity: own UUID, TPM directory and name"
