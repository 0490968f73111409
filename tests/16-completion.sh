#!/bin/bash
# Completion for bash knows what each tool's --help says.
. "$(dirname "$0")/lib.sh"
requires make
# shellcheck source=contrib/completion/vmferry.bash
. "$top/contrib/completion/vmferry.bash"

# completes WANT WORD...: the last word is completed; WANT is among the answers
completes() {
	local want=$1
	shift
	COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
	_vmferry "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}" || true
	[[ " ${COMPREPLY[*]} " == *" $want "* ]] ||
	    fail "'$*' gives '${COMPREPLY[*]}', without '$want'"
}

touch image.raw
mkdir folder
tools=$(make -s -C "$top" --eval="print-tools: ; @echo \$(TOOLS)" print-tools)
for tool in $tools; do
	complete -p "$tool" >/dev/null || fail "nothing completes $tool"
	for option in $("$tool" --help | grep -o -- '--[a-z-]*' | sort -u) --help; do
		completes "$option" "$tool" "${option%?}"
	done
done
completes --no-holes vmf-dump --no
completes --compress vmf-dump --c
completes image.raw vmf-dump im
completes image.raw vmf-dump -o im
completes image.raw vmf-dump --output im
completes folder vmf-restore --scratch f
completes auto vmf-dump --progress a
completes 19 vmf-dump -z 1
completes keep vmf-define --identity k
ok "options of all tools, and what they take"
