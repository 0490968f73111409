# shellcheck shell=bash disable=SC2016,SC2154
# What no tool can be faster than: CPU seconds here, over the cores.
row limits
cmd zstd 'zstd, one thread, no holes' 'zstd -q -T1 -$level -c "$data" >/dev/null'
cmd unzstd 'zstd -d, likewise' 'zstd -q -dc "$keep/z" >/dev/null' \
    '[[ -e $keep/z ]] || zstd -q -T0 -$level "$data" -o "$keep/z"'
cmd sha 'SHA-256, likewise' 'openssl dgst -sha256 "$data" >/dev/null'
cmd read 'cached read, likewise' 'dd if="$data" of=/dev/null bs=4M status=none'
go

# limit ROW.KEY WHAT...: how far that is from what it must compute at least
limit() {
	local of=$1 cpu=0 part
	shift
	[[ -n ${took[$of]:-} && -n ${spent[limits.sha]:-} ]] || return 0
	for part; do cpu="$cpu + ${spent[limits.$part]}"; done
	printf '  %-18s %6.2f s, of which computing takes %s at least (%s cores)\n' \
	    "$of" "${took[$of]}" "$(over "($cpu)" "$cores")" "$cores"
}
limit dump.ours zstd sha
limit restore.ours unzstd sha
limit restore.back unzstd sha sha
