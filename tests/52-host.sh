#!/bin/bash
# 52-host.sh: what the host module promises, on a real libvirtd with QEMU.
. "$(dirname "$0")/lib.sh"
unit=$(dirname "$VMFERRY_BIN")/tests/unit
requires "$unit"
lab_up

cp "$unit" "$LAB_DIR/A/disk/srv/unit"
expect 0 on A env VMF_TEST_URI=qemu:///system /srv/unit host
expect_out 'undefine kept NVRAM and TPM state'
ok "undefine keeps NVRAM and TPM state"

# --- a domain that is not off is not replaced

guest_on A web tick --memory 16
replace() {
	expect 3 on A vmf-define --allow all --replace - <web.xml
	expect_line "$1"
}
on A virsh -q start web
replace 'web is running'
on A virsh -q suspend web
replace 'web is paused'
on A virsh -q resume web
on A virsh -q managedsave web
replace 'web has a managed save'
on A virsh -q managedsave-remove web
expect 0 on A vmf-define -q --allow all --replace - <web.xml
ok "a running, paused or saved domain is not replaced"

# --- the other host's libvirt, over ssh

expect 3 on B vmf-define -c qemu+ssh://hosta/system --allow all - <web.xml
expect_line 'web is defined already'
expect 0 on B vmf-define -c qemu+ssh://hosta/system --allow all --name web2 \
    --identity new --map vda=/srv/web2.img - <web.xml
on A virsh -q dominfo web2 >/dev/null
expect 6 on B timeout 60 vmf-define -c qemu+ssh://10.77.0.9/system --allow all - \
    <web.xml
expect_line '10.77.0.9'
expect 8 on B env -u LIBVIRT_DEFAULT_URI vmf-define -c nosuch:///x --allow all - \
    <web.xml
expect_line 'nosuch:///x'
ok "a remote libvirt is asked, and an absent one named"
