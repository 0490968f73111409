#!/bin/bash
# The manuals say what is true: each SYNOPSIS is the usage, and the bytes shown
# in vmferry-stream(5) are those of a real stream.
. "$(dirname "$0")/lib.sh"
requires make mandoc od
man=$top/man

# words on one line, without the quotes and dashes of typesetting
plain() { sed 's/.\x08//g' | tr -s ' \n' ' ' | sed 's/^ //; s/ $//'; }

tools=$(make -s -C "$top" --eval="print-tools: ; @echo \$(TOOLS)" print-tools)
for tool in $tools; do
	page=$man/$tool.1
	[[ -e $page ]] || fail "$tool has no manual"
	mandoc -T lint -W warning "$page"
	for section in EXAMPLES 'EXIT STATUS'; do
		grep -q "^\.Sh $section" "$page" || fail "$tool(1) has no $section"
	done
	synopsis=$(mandoc -T ascii -O width=900 "$page" |
	    sed 's/.\x08//g' | sed -n '/^SYNOPSIS/,/^DESCRIPTION/{/^[A-Z]/!p;}' | plain)
	usage=$("$tool" --help | sed 's/^usage: //' | plain)
	[[ $synopsis == "$usage" ]] ||
	    fail "$tool: SYNOPSIS is not the usage:"$'\n'"$synopsis"$'\n'"$usage"
	# each option of the usage is explained
	for option in $(grep -o -- '--[a-z-]*' <<<"$usage" | sort -u); do
		[[ $option != --map-* ]] || continue # where it does, in vmf-define(1)
		grep -Eq "^\.It .*Fl -${option#--}( |$)" "$page" ||
		    fail "$tool(1) does not explain $option"
	done
	grep -q "$tool 1" "$man/vmferry.7" || fail "vmferry(7) does not name $tool"
done
ok "every SYNOPSIS is the usage, and every option is explained"

sed -nE '/^\.Sh EXAMPLES/,$s/^([0-9a-f]{6}.*)/\1/p' "$man/vmferry-stream.5" >shown
printf vmferry >disk
vmf-dump -z 0 --chunk 64K --id 000102030405060708090a0b0c0d0e0f disk >stream
od -Ax -tx1 -v stream >real
same shown real
ok "vmferry-stream(5) shows a real stream"
