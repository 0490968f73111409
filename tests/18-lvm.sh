#!/bin/bash
# slow
# Logical volumes, on a kernel that has them: see lab/lvm-sources.
. "$(dirname "$0")/lib.sh"
requires root qemu-system-x86_64 lvcreate thin_dump dmsetup

expect 3 vmf-dump --snapshot -o no "$top/README.md"
expect_line 'is no logical volume'
expect 2 vmf-dump --snapshot -
expect 2 vmf-dump --snapshot-size 0 "$top/README.md"
ok "snapshots of what is no volume"

mkdir x
dm_guest -d 400M -t 500 -x x "$top/tests/lab/lvm-sources" "$VMFERRY_BIN" || fail "in the guest"
dm_guest -d 400M -t 500 "$top/tests/lab/lvm-targets" "$VMFERRY_BIN" || fail "in the guest"
