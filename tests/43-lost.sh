#!/bin/bash
# The line, the server or the sender goes away: no name, and an end in time.
# shellcheck disable=SC2119,SC2046,SC2086	# lists of pids are words
. "$(dirname "$0")/lib.sh"

export SSH_AUTH_SOCK=
with_sshd
export HOME=$sshd_home
mkdir far
url=sftp://127.0.0.1:$sshd_port$tmp/far

end_all() { kill -KILL "$@" 2>/dev/null || true; }

# servers: the SFTP servers behind our sshd
servers() {
	local p
	process_tree $(sshd_sessions) | while read -r p; do
		[[ $(readlink "/proc/$p/exe" || true) != *sftp-server ]] ||
		    echo "$p"
	done
}

# begin FILE [OPTION]...: an upload of a pipe that has sent 8 MiB and waits
begin() {
	local name=$1
	shift
	rm -f far/* pipe err2
	mkfifo pipe
	vmf-send "$@" - "$url/$name" <pipe 2>err2 &
	pid=$!
	exec 9>pipe
	bytes 8M >&9
	wait_for 20 test "far/$name.part" -nt pipe
	wait_for 20 _has_7m "far/$name.part"
}
_has_7m() { (($(stat -c %s "$1") >= 7000000)); }
# ends SECONDS: it does so by itself, though its pipe is still open
ends() {
	local start=$SECONDS
	timeout "$1" tail --pid=$pid -f /dev/null || fail "no end after $1 s"
	took=$((SECONDS - start))
}
# finish STATUS REGEX
finish() {
	local status=0
	exec 9>&-
	wait $pid || status=$?
	err=$(cat err2)
	[[ $status == "$1" ]] || fail "status $status, not $1: $err"
	expect_line "$2"
}

begin a
kill -9 $(process_tree $(sshd_sessions))
ends 10
finish 6 '127\.0\.0\.1: connection (lost|closed)'
[[ ! -e far/a ]] || fail "a is there"
ok "a server that is killed: status 6, nothing under the name"

begin b --sessions 3
bytes 24M >&9
# one that is still logging in would not be missed
_three_serve() { (($(servers | wc -l) == 3)); }
wait_for 20 _three_serve
kill -9 $(process_tree $(sshd_sessions | tail -1))
finish 6 'connection (lost|closed)'
[[ ! -e far/b && ! -e far/b.part ]] || fail "b is there"
ok "one session of several is lost: status 6, and the .part is removed"

begin c --timeout 3
stopped=$(process_tree $(sshd_sessions))
kill -STOP $stopped 2>/dev/null || true
cleanup_fn end_all $stopped
# nothing under way: keepalives must find out
ends 20
end_all $stopped
finish 6 'no sign of life|does not answer|has not answered'
((took <= 15)) || fail "noticed only after $took s"
[[ ! -e far/c ]] || fail "c is there"
ok "a host that stops in the middle is noticed in time ($took s)"

begin d --timeout 3
# sshd lives and answers keepalives; the SFTP server behind it hangs
servers=$(servers)
[[ -n $servers ]] || fail "no sftp-server found"
kill -STOP $servers
cleanup_fn end_all $servers
bytes 4M >&9
ends 20
end_all $servers
finish 6 'has not answered'
((took <= 12)) || fail "noticed only after $took s"
[[ ! -e far/d ]] || fail "d is there"
ok "an SFTP server that hangs behind a live sshd is noticed in time ($took s)"

begin e --timeout 3
sleep 8
echo more >&9
exec 9>&-
wait $pid || fail "status $?: $(cat err2)"
{ bytes 8M; echo more; } | cmp - far/e
ok "a sender that pauses longer than the timeout is no stall"

begin f
kill -TERM $pid
ends 10
finish 143 'stopped'
[[ ! -e far/f && ! -e far/f.part ]] || fail "f is left"
ok "TERM: status 143, and the .part is removed"

# --- downloads
bytes 64M >far/big
rm -f back
_has_begun() { [[ -n $(find . -maxdepth 1 -name '.back*' -size +0) ]]; }
vmf-recv --bwlimit 8M "$url/big" back 2>err2 &
pid=$!
wait_for 20 _has_begun
kill -9 $(process_tree $(sshd_sessions))
finish 6 'connection (lost|closed)'
[[ ! -e back && -z $(find . -maxdepth 1 -name '.back*') ]] || fail "left over"
ok "a download that breaks leaves nothing"

vmf-recv --bwlimit 8M "$url/big" back 2>err2 &
pid=$!
wait_for 20 _has_begun
echo more >>far/big
finish 6 'was changed while it was read'
[[ ! -e back && -z $(find . -maxdepth 1 -name '.back*') ]] || fail "left over"
ok "a file that changes while it is read is refused"

vmf-recv --bwlimit 8M "$url/big" back 2>err2 &
pid=$!
wait_for 20 _has_begun
truncate -s 1M far/big
finish 6 'was changed while it was read'
[[ ! -e back && -z $(find . -maxdepth 1 -name '.back*') ]] || fail "left over"
ok "and so is one that shrinks"

# (INT is ignored by what a script starts in the background)
bytes 64M >far/big
vmf-recv --bwlimit 4M "$url/big" back 2>err2 &
pid=$!
wait_for 20 _has_begun
kill -HUP $pid
ends 5
finish 129 'stopped'
[[ ! -e back && -z $(find . -maxdepth 1 -name '.back*') ]] || fail "left over"
ok "HUP: status 129, and nothing is left"
