#!/bin/bash
# vmf-send and vmf-recv: bytes arrive as they left, under a name that appears
# shellcheck disable=SC2119	# with_sshd without lines for its configuration
# whole or not at all.
. "$(dirname "$0")/lib.sh"

with_sshd
export HOME=$sshd_home
unset SSH_AUTH_SOCK SSH_ASKPASS
mkdir far
url=sftp://127.0.0.1:$sshd_port$tmp/far

# --- whatever the size, from a file and from a pipe, over one session and more
for n in 0 1 30000 30001 261119 261120 261121 5242881 33554433; do
	bytes $n >in
	expect 0 vmf-send in "$url/f$n"
	[[ -z $out$err ]] || fail "talks without need: $out$err"
	same in far/f$n
	expect 0 vmf-recv "$url/f$n" back$n
	same in back$n
	expect 0 vmf-recv "$url/f$n"
	same in .out
	# shellcheck disable=SC2002	# a pipe is the point
	cat in | vmf-send - --sessions 3 "$url/p$n"
	same in far/p$n
	vmf-recv --sessions 3 "$url/p$n" - | cmp - in
	rm -f back$n far/p$n
done
[[ $(stat -c %a far/f1) == 600 ]] || fail "mode $(stat -c %a far/f1), not 600"
[[ -z $(find far -name '*.part') ]] || fail "a .part is left"
ok "all sizes arrive byte for byte, one session or three, file or pipe"

# --- names
expect 0 vmf-send in "$url/a%20b%3B%24(touch%20x)%0A'%22.img"
same in $'far/a b;$(touch x)\n\'".img'
[[ ! -e x && ! -e far/x && ! -e $sshd_home/x ]] || fail "something was executed"
expect 0 vmf-recv "$url/a%20b%3B%24(touch%20x)%0A'%22.img" back
same in back
printf 'Host far\n HostName 127.0.0.1\n Port %s\n' "$sshd_port" \
    >"$sshd_home/.ssh/config"
expect 0 vmf-send in "far:$tmp/far/-n"
same in far/-n
expect 0 vmf-send in "far:$tmp/far/"$'\xff\xfe'
same in far/$'\xff\xfe'
ok "names of any bytes are exact, and ssh_config names the host"

# --- what is there stays there
expect 3 vmf-send back "$url/f1"
expect_line 'f1: exists already; .*--overwrite'
[[ $(stat -c %s far/f1) == 1 && ! -e far/f1.part ]] || fail "it was touched"
expect 0 vmf-send --overwrite in "$url/f1"
same in far/f1
expect 3 vmf-send in "$url"
expect_line 'is a directory'
expect 2 vmf-send in "$url/"
expect_line 'names a directory'
ok "an existing target is refused, unless --overwrite"

echo mine >far/new.part
expect 3 vmf-send in "$url/new"
expect_line 'new\.part: exists: another upload .*--discard-part'
[[ $(cat far/new.part) == mine && ! -e far/new ]] || fail "it was touched"
expect 0 vmf-send --discard-part in "$url/new"
same in far/new
[[ $(stat -c %a far/new) == 600 && ! -e far/new.part ]] || fail "left-over"
ok "a left-over .part is refused, unless --discard-part"

# A name that appears during the upload is not overwritten either.
mkfifo pipe
vmf-send - "$url/late" <pipe 2>err2 &
pid=$!
exec 9>pipe
echo data >&9
wait_for 10 test -e far/late.part
echo theirs >far/late
exec 9>&-
status=0
wait $pid || status=$?
[[ $status == 3 ]] || fail "status $status, not 3"
[[ $(cat far/late) == theirs && ! -e far/late.part ]] || fail "overwritten"
ok "a name that appears meanwhile is refused at the commit"

# --- the local side
expect 3 vmf-recv "$url/f1" back
expect_line 'back: exists already'
expect 0 vmf-recv --overwrite "$url/f30000" back
same far/f30000 back
expect 3 vmf-recv "$url/f1" "$tmp"
expect_line 'is a directory'
expect 3 vmf-recv "$url/nosuch" nothing
expect_line 'nosuch: open: no such file'
[[ ! -e nothing ]] || fail "a local file was made"
expect 3 vmf-recv "$url" nothing
expect_line 'not a regular file'
expect 5 vmf-send nosuch "$url/x"
expect_line 'nosuch'
expect 3 vmf-send in "$url/no/such/dir"
expect_line 'no such file or directory'
[[ -z $(find . -maxdepth 1 -name '.nothing*' -o -name '.back*') ]] ||
    fail "a temporary is left"
ok "what is not there, or there already, is said in one line"

# --- dry run
expect 0 vmf-send -n in "$url/dry"
expect 0 vmf-recv -n "$url/f1" dry
[[ ! -e far/dry && ! -e far/dry.part && ! -e dry ]] || fail "-n made a file"
expect 3 vmf-send -n in "$url/f1"
ok "-n looks and makes nothing"

# --- usage
for args in "" "in" "in in" "a b c" "--nosuch in $url/x" "-i" "in $url/x -z 99" \
    "--bwlimit 1x in $url/x" "--sessions 0 in $url/x" "--timeout 0 in $url/x" \
    "in http://127.0.0.1/x" "in -oProxyCommand=x:y" "in sftp://u:pw@127.0.0.1/x"; do
	# shellcheck disable=SC2086	# words
	expect 2 vmf-send $args
	expect_line 'see vmf-send --help'
done
for args in "" "local" "a b c" "--nosuch" "$url/x y z" "-z 1 $url/x"; do
	# shellcheck disable=SC2086	# words
	expect 2 vmf-recv $args
	expect_line 'see vmf-recv --help'
done
ok "wrong usage is one line and status 2"

# --- the rate holds for all sessions together
bytes 8M >in
start=$(date +%s%N)
expect 0 vmf-send --bwlimit 4M --sessions 2 in "$url/slow"
took=$((($(date +%s%N) - start) / 1000000))
((took > 1850)) || fail "8 MiB at 4 MiB/s took only $took ms"
((took < 4000)) || fail "8 MiB at 4 MiB/s took $took ms"
start=$(date +%s%N)
expect 0 vmf-recv --bwlimit 4M --sessions 2 "$url/slow" slow
took=$((($(date +%s%N) - start) / 1000000))
((took > 1850)) || fail "8 MiB at 4 MiB/s took only $took ms back"
same in slow
ok "--bwlimit holds both ways"
