#!/bin/bash
# What every user of dd expects: files of any size go to a stream and come
# back byte for byte, and zstd alone can read the stream.
. "$(dirname "$0")/lib.sh"
requires zstd openssl
id=00112233445566778899aabbccddeeff

# blocks FILE: its blocks on the disk
blocks() { stat -c %b -- "$1"; }

chunk=65536
for size in 0 1 513 5000 $((chunk - 1)) $chunk $((chunk + 1)) 1000001; do
	bytes $size >"d$size"
	expect 0 vmf-dump --chunk 64K -o "s$size" "d$size"
	[[ -z $out$err ]] || fail "not silent: '$out$err'"
	zstd -dcq "s$size" | cmp - "d$size"
	expect 0 vmf-restore "s$size" "r$size"
	[[ -z $out$err ]] || fail "not silent: '$out$err'"
	same "d$size" "r$size"
	[[ $(stat -c %a "s$size" "r$size" | sort -u) == 600 ]]
done
ok "sizes of 0 to 1000001 bytes, byte for byte, through zstd too"

vmf-dump d5000 | zstd -dcq | cmp - d5000
vmf-dump d0 | zstd -dcq | cmp - d0
vmf-dump d1000001 | vmf-restore - piped
same d1000001 piped
vmf-dump - <d1000001 | vmf-restore - unknown
same d1000001 unknown
vmf-dump -o - d5000 | zstd -dcq | cmp - d5000
expect 2 vmf-restore s5000 -
expect_line 'zstd -dc'
[[ ! -e ./- ]] || fail "a file called -"
ok "pipes, and a disk of unknown size from one"

# data, zeros that were written, holes; its end in a hole and not a chunk's
truncate -s 41943553 disk
bytes 3000001 | dd of=disk conv=notrunc status=none
bytes 700000 x | dd of=disk bs=64K seek=130 conv=notrunc status=none
head -c 2M /dev/zero | dd of=disk bs=1M seek=20 conv=notrunc status=none
head -c 3M < <(yes vmferry) | dd of=disk bs=1M seek=30 conv=notrunc status=none
vmf-dump --id $id disk >ref
for j in 1 2 3 8 64; do
	vmf-dump --id $id -j $j disk | cmp - ref
	rm -f back
	vmf-restore -j $j ref back
	same disk back
	(($(blocks back) <= $(blocks disk)))
done
ok "the same bytes with any -j, and back with any -j; holes stay holes"

for z in {0..19}; do
	vmf-dump --id $id -z $z disk >"z$z"
	zstd -dcq "z$z" | cmp - disk
	rm -f back
	vmf-restore "z$z" back
	same disk back
done
same z3 ref
(($(stat -c %s z19) < $(stat -c %s z1) && $(stat -c %s z1) < $(stat -c %s z0)))
ok "every level"

for c in 64K 128K 1M 32M; do
	vmf-dump --chunk $c disk | zstd -dcq | cmp - disk
	vmf-dump --chunk $c disk | vmf-restore - "back$c"
	same disk "back$c"
done
ok "chunks of 64 KiB to 32 MiB"

vmf-dump --id $id --no-holes disk | cmp - ref
vmf-dump --id 00112233-4455-6677-8899-AABBCCDDEEFF disk | cmp - ref
(
	umask 0
	export TZ=Asia/Tokyo
	for lc in C tr_TR.UTF-8 de_DE; do
		LC_ALL=$lc vmf-dump --id $id -o "lc.$lc" disk
		cmp "lc.$lc" ref
		LC_ALL=$lc vmf-restore ref "lc.back.$lc"
		cmp "lc.back.$lc" disk
	done
)
[[ $(stat -c %a lc.* | sort -u) == 600 ]]
ok "the same id gives the same bytes under any locale, TZ and umask; files are 0600"

vmf-dump disk >one
vmf-dump disk >two
expect 1 cmp -s one two
ok "without --id each stream has its own"

digest=$(sha disk)
expect 0 vmf-dump -v --id $id -o said disk
expect_line "disk: 40.0 MiB, of which .* zeros; stored in .*; root [0-9a-f]{64}$"
same said ref
expect 0 vmf-dump --progress 2 -q --id $id disk
[[ $(sha disk) == "$digest" ]]
ok "what it says goes to stderr, and the source is as it was"

expect 0 vmf-dump -n disk
[[ -z $out ]] || fail "a dry run wrote $out"
expect 0 vmf-dump -n -o dry disk
expect 0 vmf-restore -n ref dry
[[ ! -e dry ]] || fail "a dry run made a file"
ok "dry runs touch nothing"

bytes 100 >old
expect 3 vmf-dump -o old disk
expect_line 'vmf-dump: old: exists already'
expect 3 vmf-restore ref old
expect_line 'vmf-restore: old: exists already'
[[ $(sha old) == "$(bytes 100 | sha -)" ]]
expect 0 vmf-restore --overwrite ref old
same disk old
[[ -z $(find . -name '.*.??????') ]] || fail "temporaries left"
ok "what exists is refused, and replaced as a whole when allowed"

mkdir names
for name in 'with space' "quo'te" 'se;mi$(touch x)' -dash $'new\nline' $'b\xff\xfe' \
    "$(printf 'n%.0s' {1..255})"; do
	cp --sparse=always disk "names/$name"
	vmf-dump --id $id -- "names/$name" | cmp - ref
	vmf-dump --id $id -o "names/$name.s" -- "names/$name" 2>/dev/null || true
	rm "names/$name"
	(cd names && vmf-restore -- ../ref "$name" && cmp -- ../disk "$name")
	rm -- "names/$name"
done
expect 5 vmf-dump $'no\nsuch\033[2J'
expect_line 'vmf-dump: no.such.\[2J: No such file'
ok "odd names are exact, and messages stay one line"
