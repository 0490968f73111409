# shellcheck shell=bash disable=SC2016
# A raw file to a raw file.
row copy
cmd ours 'vmf-dump -z0 | vmf-restore' \
    'vmf-dump -z 0 "$disk" | vmf-restore --no-readback - "$work/t"'
cmd cp 'cp --sparse=always' 'cp --sparse=always "$disk" "$work/t"'
cmd qemu 'qemu-img convert' \
    'qemu-img convert -q -f raw -O raw -m $cores -W "$disk" "$work/t"'
cmd nbdcopy 'nbdcopy' 'nbdcopy --destination-is-zero "$disk" "$work/t"' \
    'truncate -s "$(stat -c %s "$disk")" "$work/t"'
goal ours cp 1
goal ours qemu 1
goal ours nbdcopy 1
go
