#!/bin/bash
# Disks that cannot be read everywhere: refused, or rescued with a map.
. "$(dirname "$0")/lib.sh"
requires nbdkit jq

id=00112233445566778899aabbccddeeff
truncate -s 20M disk
bytes 12M a | dd of=disk bs=1M seek=1 conv=notrunc status=none
# 3 MiB + 512 to 3 MiB + 9000, and 12 MiB - 4096 to 12 MiB + 4096
serve() {
	cat >bad.sh <<-'E2'
	#!/bin/bash
	case $1 in
	thread_model) echo parallel ;;
	get_size) echo 20971520 ;;
	block_size) echo 512 4096 33554432 ;;
	pread)
		bad=$(cat bads)
		for b in $bad; do
			from=${b%-*} to=${b#*-}
			if (($4 < to && $4 + $3 > from)); then
				echo "EIO bad medium" >&2
				echo "$4 $3" >>failed
				exit 1
			fi
		done
		dd if=disk iflag=skip_bytes,count_bytes skip=$4 count=$3 status=none ;;
	*) exit 2 ;;
	esac
	E2
	chmod +x bad.sh
	nbdkit -U nbd.sock -P nbd.pid --exit-with-parent -f sh bad.sh 2>/dev/null &
	cleanup_fn eval "kill $! 2>/dev/null"
	wait_for 5 test -S nbd.sock
}
echo '3146240-3154728 12578816-12587008' >bads
: >failed
serve
uri="nbd+unix:///?socket=$tmp/nbd.sock"
expect 5 vmf-dump -o no "$uri"
expect_line 'read: .*Input/output error'
[[ ! -e no ]]
ok "an error ends a dump"

# what must come: zeros in whole blocks of 4096 around what is bad
cp disk want
dd if=/dev/zero of=want bs=4096 seek=768 count=3 conv=notrunc status=none
dd if=/dev/zero of=want bs=4096 seek=3071 count=2 conv=notrunc status=none
expect 0 vmf-dump --id $id --rescue map -o rescued "$uri"
expect_line 'degraded: 20480 bytes in 2 places could not be read and are zeros; map lists them'
zstd -dcq rescued | cmp - want
cat >expected <<'E2'
0x00000000  0x00300000  +
0x00300000  0x00003000  -
0x00303000  0x008FC000  +
0x00BFF000  0x00002000  -
0x00C01000  0x007FF000  +
E2
same expected <(grep '^0x.*0x' map)
[[ $(stat -c %a map) == 600 ]]
ok "what cannot be read is zeros, and listed"

# resumed: what is known to be bad is left alone, and new errors are added
: >failed
expect 0 vmf-dump --id $id --rescue map -o again "$uri"
same rescued again
[[ ! -s failed ]] || fail "bad blocks were tried again: $(<failed)"
echo '3146240-3154728 12578816-12587008 20967424-20971520' >bads
truncate -s 20M want
dd if=/dev/zero of=want bs=4096 seek=5119 count=1 conv=notrunc status=none
bytes 4096 end | dd of=disk bs=4096 seek=5119 conv=notrunc status=none
expect 0 vmf-dump --rescue map --no-holes -o third "$uri"
expect_line 'degraded: 24576 bytes in 3 places'
zstd -dcq third | cmp - want
tail -1 map | grep -qx '0x013FF000  0x00001000  -'
# a map of ddrescue's, in sectors; a part of the disk
printf '# Mapfile. Created by GNU ddrescue version 1.26\n0x00100000     ?               1\n0x0  0x100200  +\n0x100200  0x00000200  -\n0x100400 0x12FFC00 ?\n' >theirs
echo >bads
expect 0 vmf-dump --rescue theirs --offset 1M --length 1M -o part "$uri"
expect_line 'degraded: 512 bytes in 1 places'
zstd -dcq part >part.raw
cmp -n 512 -i 0:1048576 part.raw disk
cmp -n 512 -i 512:0 part.raw /dev/zero
cmp -n 1047552 -i 1024:1049600 part.raw disk
printf 'not a map\nat all\n' >odd
expect 3 vmf-dump --rescue odd -o no "$uri"
expect_line 'odd: line 2 is none of a ddrescue map'
[[ $(<odd) == 'not a map'* ]] || fail "overwritten"
ok "resumed with the same map, or one of ddrescue"

# restored only when that is accepted
expect 3 vmf-restore rescued out
expect_line 'out: the image is degraded.*--accept-degraded'
[[ ! -e out ]]
expect 0 vmf-restore --accept-degraded rescued out
expect_line 'out: degraded: 20480 bytes in 2 places could not be read at the source, and are zeros'
expect 0 vmf-restore -v --overwrite --accept-degraded rescued out
[[ $err == *'12288 bytes at offset 3145728 could not be read'* ]] || fail "$err"
dd if=/dev/zero of=want bs=4096 seek=5119 count=1 conv=notrunc status=none
same want out
expect 0 vmf-verify -q rescued
ok "restored with --accept-degraded only"
