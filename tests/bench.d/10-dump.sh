# shellcheck shell=bash disable=SC2016
# A disk to a compressed stream.
row dump
cmd ours 'vmf-dump' 'vmf-dump -z $level "$disk" >"$work/out"'
cmd dd 'dd | zstd -T0' \
    'dd if="$disk" bs=1M status=none | zstd -q -T0 -$level >"$work/out"'
cmd qemu 'qemu-img convert -c' \
    'qemu-img convert -q -f raw -O qcow2 -c -m $cores -W -o compression_type=zstd "$disk" "$work/out"'
goal ours dd 1.8
goal ours qemu 3
size ours dd 1.04
go
