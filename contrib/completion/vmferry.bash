# shellcheck shell=bash
# Completion for the tools of vmferry. Their options come from --help, so that
# no list of them has to be kept here. Installed as
# /usr/share/bash-completion/completions/vmferry and linked from each tool's
# name, or sourced.

# _vmferry_usage TOOL: its usage as one line of words, brackets apart
_vmferry_usage() {
	"$1" --help 2>/dev/null | sed 's/^usage: //; s/[][]/ & /g' | tr -s ' \n' ' '
}

# _vmferry_domains ARG...: names that libvirt knows; -c is heeded
_vmferry_domains() {
	local uri=() i
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-c | --connect) uri=(-c "${COMP_WORDS[i + 1]}") ;;
		esac
	done
	virsh -q -r "${uri[@]}" list --all --name 2>/dev/null
}

# hosts of ssh's configuration and known_hosts; hashed names are of no use
_vmferry_hosts() {
	{
		sed -nE 's/^[[:space:]]*[Hh]ost[[:space:]]+([^*?]+)$/\1/p' ~/.ssh/config
		sed -nE '/^[|@#]/!s/^([^ ]+) .*/\1/p' ~/.ssh/known_hosts | tr ',' '\n'
	} 2>/dev/null | grep -v '^\['
}

# _vmferry_value OPTION WORD-OF-USAGE: complete what an option takes; 1: nothing
_vmferry_value() {
	local words=
	case $1 in
	--progress) words='auto never' ;;
	-j | --jobs) words=$(seq "$(nproc)") ;;
	-z | --compress) words=$(seq 0 19) ;;
	--chunk) words='64K 128K 256K 512K 1M 2M 4M 8M 16M 32M' ;;
	-c | --connect | --dest-connect) words='qemu:///system qemu:///session' ;;
	--resume | --abort | --status) words=$(ls /var/lib/vmferry/moves 2>/dev/null) ;;
	*)
		case $2 in
		*'|'*) words=${2//|/ } ;;
		dir) mapfile -t COMPREPLY < <(compgen -d -- "$cur") && return ;;
		*file) mapfile -t COMPREPLY < <(compgen -f -- "$cur") && return ;;
		*) return 0 ;;
		esac
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

_vmferry() {
	local tool=$1 cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local usage words
	COMPREPLY=()
	usage=$(_vmferry_usage "$tool")
	# what the usage gives as a letter only
	declare -A letter=([--jobs]=-j [--output]=-o [--compress]=-z [--connect]=-c
	    [--identity-file]=-i)

	if [[ $prev == -* ]]; then
		words=${letter[$prev]:-$prev}
		# in the usage an option that takes something is followed by its name
		if [[ $usage =~ (\[|\ )\ ?"$words"\ ([^][ -][^][ ]*)\ (\]|) ]]; then
			_vmferry_value "$prev" "${BASH_REMATCH[2]}"
			return
		fi
	fi
	if [[ $cur == -* ]]; then
		words=$(grep -o -- '--[a-z-]*' <<<"$usage" | sort -u)
		words+=' --help --version --verbose --quiet'
		[[ $usage != *' -nqv '* ]] || words+=' --dry-run'
		for prev in "${!letter[@]}"; do
			[[ $usage != *" ${letter[$prev]} "* ]] || words+=" $prev"
		done
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
		return
	fi
	case ${tool##*/} in
	vmf-pack) words=$(_vmferry_domains) ;;
	vmf-check | vmf-move) words="$(_vmferry_domains) $(_vmferry_hosts)" ;;
	*) mapfile -t COMPREPLY < <(compgen -f -- "$cur") && return ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -o filenames -F _vmferry vmf-dump vmf-restore vmf-pack vmf-unpack \
    vmf-verify vmf-info vmf-send vmf-recv vmf-define vmf-check vmf-move \
    vmf-inspect
