#!/bin/bash
# Pack a guest with a TPM on one host, carry the package to another, place and
# define it there under another path, and see it boot.
. "$(dirname "$0")/lib.sh"
lab_up

guest_on A web tick --memory 16 --tpm
on A virsh -q start web
console_wait A web 'n=3$' 30
expect 3 on A vmf-pack -o /srv/web.vmf.tar web
expect_line 'web is running'
on A virsh -q destroy web
on A vmf-pack -q -o /mnt/web.vmf.tar web
uuid=$(on A virsh domuuid web)
uuid=${uuid//[[:space:]]/}
state=/var/lib/libvirt/swtpm
ok "a guest that is off is packed, a running one is refused"

expect 0 on B vmf-info /mnt/web.vmf.tar
expect_out "uuid +$uuid"
expect_out 'tpm/tpm2/tpm2-00.permall'
on B mkdir -p /srv/b
expect 3 on B vmf-unpack -q --define /mnt/web.vmf.tar
expect_line 'web.img.*--allow disk'
expect 3 on B vmf-unpack -q --define --dir /srv/b /mnt/web.vmf.tar
expect_line 'web.serial.*--allow chardev'
[[ -z $(on B ls /srv/b) ]]
# the guest's console is a file of the host: this one is ours
unpack=(vmf-unpack --allow chardev)
expect 0 on B "${unpack[@]}" --define --dir /srv/b /mnt/web.vmf.tar
expect_line 'web: placed and defined'
[[ $(on B sha256sum /srv/b/web.img | cut -d' ' -f1) == \
    $(on A sha256sum /srv/web.img | cut -d' ' -f1) ]]
[[ $(on B sha256sum "$state/$uuid/tpm2/tpm2-00.permall") == \
    $(on A sha256sum "$state/$uuid/tpm2/tpm2-00.permall") ]]
ok "it is placed and defined on the other host, disk and TPM alike"

on B virsh -q start web
console_wait B web 'n=3$' 30
ok "it boots there"

expect 3 on B "${unpack[@]}" -q --define --dir /srv/b /mnt/web.vmf.tar
on B mkdir -p /srv/c
expect 3 on B "${unpack[@]}" -q --dir /srv/c /mnt/web.vmf.tar
expect_line 'exists already'
expect 3 on B "${unpack[@]}" -q --map vda=/srv/b/web.img --overwrite vda /mnt/web.vmf.tar
expect_line 'web'
[[ -z $(on B ls /srv/c) ]]
ok "a second time it is refused, and so is the disk of a defined domain"

expect 0 on B "${unpack[@]}" -q --define --name copy --identity new --dir /srv/c \
    --map-path /var/log/libvirt/web.serial=/var/log/libvirt/copy.serial /mnt/web.vmf.tar
new=$(on B virsh domuuid copy)
new=${new//[[:space:]]/}
[[ $new != "$uuid" ]]
on B test -f "$state/$new/tpm2/tpm2-00.permall"
on B virsh -q start copy
console_wait B copy 'n=3$' 30
ok "under a new name and identity it runs beside the first"
