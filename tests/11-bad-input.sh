#!/bin/bash
# Whatever a tool is given, it says one line on stderr and ends with the right
# status - and makes no file.
. "$(dirname "$0")/lib.sh"
requires make script

tools=()
for tool in $(make -s -C "$top" --eval='print-tools: ; @echo $(TOOLS)' print-tools); do
	[[ -x $VMFERRY_BIN/$tool ]] || fail "$tool is not built"
	tools+=("$tool")
done

bytes 300000 >disk
vmf-dump --chunk 64K disk >good
head -c 200000 good >./cut
head -c 100 good >short
bytes 5000 junk >junk
: >empty
mkdir dir
printf '{}' >vmferry
tar --format=ustar -cf package vmferry
tar --format=ustar -cf other.tar junk
zstd -q junk -o plain.zst
before=$(find . -type f ! -name '.out' ! -name '.err' | sort)

for tool in "${tools[@]}"; do
	expect 0 "$tool" --help
	[[ -z $err ]] || fail "--help on stderr"
	expect_out "^usage: $tool "
	expect 0 "$tool" -V
	expect_out "^$tool \(vmferry\) [0-9]"
	expect 2 "$tool" --no-such-option
	expect_line "^$tool: .*'--no-such-option'; see $tool --help$"
	expect 2 "$tool" -@
	expect_line "^$tool: .*'-@'; see $tool --help$"
	expect 2 "$tool" a b c d e f g
	expect_line "^$tool: .*; see $tool --help$"
	for sink in '>/dev/full' '>&-' '| true'; do
		got=0
		# shellcheck disable=SC2086
		(trap - ERR; eval "$tool -h $sink" 2>.err; exit "${PIPESTATUS[0]}") || got=$?
		[[ $sink == '| true' || $got == 5 ]] || fail "$tool -h $sink: $got"
	done
done
ok "options, help and version of ${#tools[@]} tools, and help to a full disk"

for tool in "${tools[@]}"; do
	expect 2 "$tool" </dev/null
	expect_line "^$tool: .*; see $tool --help$"
done
ok "no argument"

# file_tools FILE STATUS-REGEX: each tool that reads a file
file_tools() {
	local f=$1 want got tool args
	for tool in "${tools[@]}"; do
		args=("$f") want=$2
		case $tool in
		vmf-pack | vmf-move | vmf-recv) continue ;; # read none
		vmf-restore) args=("$f" target) ;;
		vmf-unpack) args=(--list "$f") ;;
		vmf-send) args=("$f" sftp://127.0.0.1:1/x) ;;
		esac
		case $f-$tool in
		*/dir-* | nosuch-* | dir-*) ;;
		*-vmf-dump | *-vmf-send | *-vmf-inspect) continue ;; # they take any file
		# it tells what it can see, and does not read on
		cut-vmf-info | package-vmf-info) continue ;;
		esac
		# a stream is no mistake of its own: it was given to the wrong tool
		[[ $tool != vmf-define || ! $f =~ ^(short|cut)$ ]] || want='2|4'
		got=0
		"$tool" "${args[@]}" >.out 2>.err </dev/null || got=$?
		err=$(<.err)
		[[ $got =~ ^($want)$ ]] || fail "status $got of $tool ${args[*]}: $err"
		expect_line "^$tool: .*$f"
		[[ ! -s .out ]] || fail "$tool ${args[*]} wrote to stdout"
	done
}
file_tools nosuch 5
file_tools dir '3|5'
for f in empty short cut junk other.tar plain.zst; do file_tools $f 4; done
ok "missing files, directories, cut streams and files of other kinds"

expect 4 vmf-restore package target
expect_line 'is a package, not a stream; use vmf-unpack'
expect 4 vmf-restore plain.zst target
expect_line 'zstd -dc'
expect 4 vmf-restore - target <empty
expect_line 'empty; its producer failed'
expect 4 vmf-unpack --list good
expect_line 'vmf-restore'
ok "the right tool is named"

for args in '-j 0' '-j 65' '-j x' '-j 1x' '-j -1' '-z 20' '-z -1' '-z 3.5' \
    '--chunk 0' '--chunk 32K' '--chunk 64M' '--chunk 3M' '--chunk 4Mx' '--id 12' \
    '--id zz112233445566778899aabbccddeeff' '--progress sometimes' '--progress -3' -j -o; do
	# shellcheck disable=SC2086
	expect 2 vmf-dump $args
	expect_line "; see vmf-dump --help$"
	[[ $args == -[jo] ]] || {
		# shellcheck disable=SC2086
		expect 2 vmf-dump $args disk
		expect_line "${args##* }.*; see vmf-dump --help$"
	}
done
ok "numbers are read whole and held to their bounds"

for tool in vmf-dump vmf-pack; do
	script -qefc "$tool disk" typescript >/dev/null </dev/null && fail "$tool to a terminal"
	grep -q "refusing to write binary data to a terminal" typescript ||
	    fail "$tool: $(cat typescript)"
done
script -qefc "vmf-restore - target" typescript >/dev/null </dev/null && fail "from a terminal"
grep -q "standard input is a terminal" typescript || fail "$(cat typescript)"
rm typescript
ok "no data to or from a terminal"

expect 5 bash -c 'vmf-dump disk >/dev/full'
expect_line 'vmf-dump: standard output: .*No space left'
expect 5 bash -c 'vmf-dump disk >&-'
expect_line 'vmf-dump: standard output: '
expect 5 bash -c 'vmf-dump disk | head -c 10 >head; exit ${PIPESTATUS[0]}'
expect_line 'vmf-dump: standard output: .*Broken pipe'
rm head
expect 5 bash -c 'vmf-dump disk <&- >&- 2>&-'
# descriptor 2 must not become the target's
expect 4 bash -c 'vmf-restore cut target 2>&-'
expect 0 bash -c 'vmf-restore good target <&- >&- 2>&-'
same disk target
rm target
ok "standard output full, closed, closed early; none at all"

after=$(find . -type f ! -name '.out' ! -name '.err' | sort)
[[ $before == "$after" ]] || fail "files appeared: $(diff <(echo "$before") <(echo "$after"))"
ok "and no file was made"
