# shellcheck shell=bash
# lib.sh: what every scenario tests/NN-what.sh starts with:
#
#	#!/bin/bash
#	. "$(dirname "$0")/lib.sh"
#	requires root qemu-img
#	expect 3 vmf-restore - /dev/nosuch </dev/null
#	expect_line 'nosuch: not a block device'
#	ok "a typo under /dev is refused"
#
# A scenario stops at the first command that fails: one that goes on would hide
# the cause, and one that forgets to check would pass. Exit status: 0 passed,
# 77 skipped (the last line says why), all else failed.

set -Eeuo pipefail
export LC_ALL=C.UTF-8
umask 022

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
lab=$top/tests/lab/lab
VMFERRY_BIN=$(realpath -m "${VMFERRY_BIN:-$top/build/bin}")
export VMFERRY_BIN PATH="$VMFERRY_BIN:$PATH:/usr/local/sbin:/usr/sbin:/sbin"

# --- results

# The log, also for what fails where standard output goes elsewhere.
exec {_log}>&1

ok() { echo "ok   $*"; }

# The caller outside this file is the line a reader wants to see.
fail() {
	local i=0
	while [[ ${BASH_SOURCE[i]} == "${BASH_SOURCE[0]}" &&
	    $i -lt $((${#BASH_SOURCE[@]} - 1)) ]]; do i=$((i + 1)); done
	trap - ERR
	echo "FAIL: $* (${BASH_SOURCE[i]##*/}:${BASH_LINENO[i - 1]})" >&"$_log"
	exit 1
}

skip() {
	trap - ERR
	echo "SKIP: $*"
	exit 77
}

trap 'fail "unexpected status $?: $BASH_COMMAND"' ERR

# requires root|COMMAND...: what this machine must offer, or the scenario is skipped.
requires() {
	local r
	for r; do
		if [[ $r == root ]]; then
			[[ $EUID == 0 ]] || skip "needs root"
		else
			command -v "$r" >/dev/null || skip "needs $r"
		fi
	done
}

# --- the end, and what must be undone then

_cleanups=()

# cleanup_fn CMD ARG...: run it when the scenario ends, the newest first.
cleanup_fn() { _cleanups+=("$(printf '%q ' "$@")"); }

_finish() {
	local status=$? i
	trap - ERR EXIT
	trap '' INT TERM HUP
	set +e
	for ((i = ${#_cleanups[@]} - 1; i >= 0; i--)); do
		eval "${_cleanups[i]}"
	done
	"$top/tests/lab/keeper" end "$tmp"
	rm -rf --one-file-system "$tmp"
	exit $status
}

# $tmp: this scenario's own directory, the current one, gone at the end.
tmp=$(mktemp -d "${TMPDIR:-/tmp}/vmferry-test.XXXXXX")
trap _finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
cd "$tmp"

# --- running the tools

out='' err=''

# expect STATUS CMD ARG...: run it and demand this exit status. Leaves the
# output in $out and $err, and byte for byte in $tmp/.out and $tmp/.err.
expect() {
	local want=$1 got=0
	shift
	"$@" >"$tmp/.out" 2>"$tmp/.err" || got=$?
	out=$(head -c 1M "$tmp/.out" | tr -d '\0')
	err=$(head -c 1M "$tmp/.err" | tr -d '\0')
	[[ $got == "$want" ]] && return
	printf -- '--- stdout of: %s\n%s\n--- stderr\n%s\n---\n' "$*" \
	    "${out:0:4000}" "${err:0:4000}"
	fail "exit status $got, not $want: $*"
}

# expect_line REGEX: stderr of the last expect was one line, and it matches.
expect_line() {
	[[ -n $err && $err != *$'\n'* ]] || fail "not one line on stderr: '$err'"
	[[ $err =~ $1 ]] || fail "stderr does not match '$1': '$err'"
}

# expect_out REGEX: stdout of the last expect matches.
expect_out() { [[ $out =~ $1 ]] || fail "stdout does not match '$1': '$out'"; }

# wait_for SECONDS CMD...: until CMD succeeds.
wait_for() {
	local until=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		((SECONDS < until)) || fail "did not happen in time: $*"
		sleep 0.1
	done
}

# --- bytes

# sha FILE: SHA-256 of its bytes (- for stdin).
sha() { sha256sum -- "$1" | cut -d' ' -f1; }

# same FILE FILE: byte for byte.
same() { cmp -- "$1" "$2" || fail "$1 and $2 differ"; }

# bytes N [SEED]: N bytes that do not compress, the same for the same seed.
bytes() {
	head -c "$1" < <(trap - ERR; openssl enc -aes-128-ctr -nosalt -iter 1 \
	    -pass "pass:${2:-vmferry}" -in /dev/zero 2>/dev/null)
}

# --- a private sshd on 127.0.0.1

_port_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# with_sshd [SSHD_CONFIG_LINE]...: start it. Sets
#	sshd_port sshd_pid sshd_user sshd_log
#	sshd_home	a home with .ssh/{id_ed25519,known_hosts,authorized_keys}
#	sshd_ssh	array: an ssh command line that reaches it
# The given lines come first, where sshd heeds them. sshd_stop ends it.
# Commands run over it find the tools under test in PATH, and a home without
# shell files: what this user's own do is nothing to us.
# shellcheck disable=SC2034	# the variables are for the caller
with_sshd() {
	local dir i
	requires ssh-keygen ssh /usr/sbin/sshd
	dir=$(mktemp -d "$tmp/sshd.XXXXXX")
	sshd_user=$(id -un) sshd_log=$dir/log sshd_home=$dir/home
	mkdir -p "$sshd_home/.ssh"
	chmod 700 "$sshd_home" "$sshd_home/.ssh"
	ssh-keygen -q -t ed25519 -N '' -C host -f "$dir/host_key"
	ssh-keygen -q -t ed25519 -N '' -C user -f "$sshd_home/.ssh/id_ed25519"
	cp "$sshd_home/.ssh/id_ed25519.pub" "$sshd_home/.ssh/authorized_keys"
	# run by root, sshd insists on this directory, as its service unit does
	[[ $EUID != 0 ]] || mkdir -p /run/sshd
	for i in {1..20}; do
		sshd_port=$((20000 + RANDOM % 12000))
		_port_free $sshd_port || continue
		{
			printf '%s\n' "$@"
			cat <<-EOF
			Port $sshd_port
			ListenAddress 127.0.0.1
			HostKey $dir/host_key
			AuthorizedKeysFile $sshd_home/.ssh/authorized_keys
			PidFile $dir/pid
			PermitRootLogin prohibit-password
			PasswordAuthentication no
			KbdInteractiveAuthentication no
			StrictModes no
			UsePAM no
			UseDNS no
			MaxStartups 64:30:100
			MaxSessions 64
			SetEnv "PATH=$PATH" "HOME=$sshd_home"
			EOF
			[[ "$*" == *Subsystem* ]] ||
			    echo "Subsystem sftp /usr/lib/openssh/sftp-server"
		} >"$dir/config"
		: >"$sshd_log"
		/usr/sbin/sshd -D -f "$dir/config" -E "$sshd_log" &
		sshd_pid=$!
		_sshd_up && break
		[[ $i -lt 20 ]] || fail "sshd: $(tail -1 "$sshd_log")"
	done
	cleanup_fn sshd_stop "$sshd_pid"
	printf '[127.0.0.1]:%s %s\n' "$sshd_port" \
	    "$(cut -d' ' -f1,2 "$dir/host_key.pub")" >"$sshd_home/.ssh/known_hosts"
	sshd_ssh=(ssh -F none -p "$sshd_port" -i "$sshd_home/.ssh/id_ed25519"
	    -o UserKnownHostsFile="$sshd_home/.ssh/known_hosts" -o BatchMode=yes
	    "$sshd_user@127.0.0.1")
}

_sshd_up() {
	local i
	for i in {1..100}; do
		grep -q 'Server listening' "$sshd_log" && return
		kill -0 "$sshd_pid" 2>/dev/null || break
		sleep 0.05
	done
	echo "sshd on port $sshd_port, try $i: $(tail -1 "$sshd_log")"
	return 1
}

# sshd_sessions [PID]: its children, one for each connection.
sshd_sessions() { pgrep -P "${1:-$sshd_pid}" || true; }

# process_tree PID...: they, and all that they started. Without root, a session
# lives in a child of the process that sshd starts for it.
process_tree() {
	local p
	for p; do
		echo "$p"
		# shellcheck disable=SC2046	# a list of pids
		process_tree $(pgrep -P "$p" || true)
	done
}

sshd_stop() {
	local pid=${1:-$sshd_pid}
	# shellcheck disable=SC2046	# a list of pids
	kill $(process_tree "$pid") 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
}

# --- loop devices: they belong to the whole machine, so a keeper takes them
#     back even after kill -9 of this scenario

# loop_attach FILE [LOSETUP_OPTION]...: sets $loop; its partitions appear too,
# as ${loop}p1 ...
# shellcheck disable=SC2034
loop_attach() {
	requires root losetup partx
	[[ -e $tmp/keeper ]] || "$top/tests/lab/keeper" begin "$tmp" $$
	loop=$("$top/tests/lab/loop" attach "$tmp" "$@")
	cleanup_fn loop_detach "$loop"
}
loop_detach() { "$top/tests/lab/loop" detach "$tmp" "$1"; }

# --- the two-host lab (tests/lab/README.md)

# lab_up [bare]: hosts A and B until the scenario ends, with the tools under
# test installed in both; bare: without them.
lab_up() {
	requires root unshare nsenter libvirtd virsh qemu-system-x86_64 ip
	if [[ ${1:-} != bare && -z ${LAB_TOOLS:-} ]]; then
		make -s -C "$top" install DESTDIR="$tmp/tools" PREFIX=/usr ||
		    fail "make install"
		export LAB_TOOLS=$tmp/tools
	fi
	LAB_DIR=$(LAB_OWNER=$$ "$lab" up)
	export LAB_DIR
	cleanup_fn "$lab" down
}

# on HOST CMD...: run CMD in host A or B.
on() { "$lab" exec "$@"; }

# console HOST GUEST: the guest's serial console so far.
console() { tr -d '\r\0' <"$LAB_DIR/$1/disk/var/log/libvirt/$2.serial"; }

_console_has() { console "$1" "$2" | grep -aEq -- "$3"; }

# console_wait HOST GUEST REGEX TIMEOUT: until a line of it matches; prints that line.
console_wait() {
	wait_for "$4" _console_has "$1" "$2" "$3"
	console "$1" "$2" | grep -aE -- "$3" | tail -1
}

# gen_domain NAME OPTION...: domain XML (lab/gen-domain). image KIND: where the
# disks of a test guest are (lab/image). dm_guest OPTION... SCRIPT: run it on a
# kernel with device-mapper (lab/dm-guest).
gen_domain() { "$top/tests/lab/gen-domain" "$@"; }
image() { "$top/tests/lab/image" "$@"; }
dm_guest() { "$top/tests/lab/dm-guest" "$@"; }

# guest_on HOST NAME KIND OPTION...: put that image's disks into the host's /srv
# as NAME.img (and NAME-data.img) and define the domain.
guest_on() {
	local h=$1 name=$2 kind=$3 dir disks
	shift 3
	dir=$(image "$kind")
	cp --sparse=always "$dir/disk.img" "$LAB_DIR/$h/disk/srv/$name.img"
	disks=(--disk "/srv/$name.img")
	if [[ -e $dir/data.img ]]; then
		cp --sparse=always "$dir/data.img" "$LAB_DIR/$h/disk/srv/$name-data.img"
		disks+=(--disk "/srv/$name-data.img")
	fi
	gen_domain "$name" "${disks[@]}" "$@" >"$tmp/$name.xml"
	on "$h" virsh -q define /dev/stdin <"$tmp/$name.xml"
}

# last_tick HOST GUEST: "BOOT N" of the guest's last complete tick. The same
# BOOT with a larger N proves that it ran on; another BOOT, that it started anew.
last_tick() {
	console "$1" "$2" |
	    sed -nE '$!s/.*tick boot=([0-9a-f]+) n=([0-9]+).*/\1 \2/p' | tail -1
}

# guest_off HOST GUEST SECONDS: until libvirt says so.
_is_off() { [[ $(on "$1" virsh -q domstate "$2") == "shut off"* ]]; }
guest_off() { wait_for "$3" _is_off "$1" "$2"; }
