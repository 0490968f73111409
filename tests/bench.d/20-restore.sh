# shellcheck shell=bash disable=SC2016
# A stream to a new file: every object checked before it is written, and then
# all of it read back from the medium.
stream='[[ -e $keep/s ]] || vmf-dump -z $level "$disk" >"$keep/s"; cat "$keep/s" >/dev/null'
zst='[[ -e $keep/z ]] || zstd -q -T0 -$level "$disk" -o "$keep/z"; cat "$keep/z" >/dev/null'
row restore
cmd ours 'vmf-restore --no-readback' \
    'vmf-restore --no-readback - "$work/t" <"$keep/s"' "$stream"
cmd back 'vmf-restore' 'vmf-restore - "$work/t" <"$keep/s"' "$stream"
cmd dd 'zstd -dc | dd conv=sparse' \
    'zstd -dc "$keep/z" | dd of="$work/t" bs=1M conv=sparse iflag=fullblock status=none' "$zst"
goal ours dd 2.5
goal back dd 1.5
go
