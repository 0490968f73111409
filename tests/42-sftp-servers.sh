#!/bin/bash
# Servers as they come: without extensions, without exec, noisy, full, denying.
# shellcheck disable=SC2119	# sshd_stop of the one that runs
. "$(dirname "$0")/lib.sh"

export SSH_AUTH_SOCK=
server=/usr/lib/openssh/sftp-server
[[ -x $server ]] || skip "needs $server"
bytes 3000001 >in

# serve [SSHD_CONFIG_LINE]...: a server of its own, the one before stopped
serve() {
	[[ -z ${sshd_pid:-} ]] || sshd_stop
	rm -rf far && mkdir far
	with_sshd "$@"
	export HOME=$sshd_home
	url=sftp://127.0.0.1:$sshd_port$tmp/far
}
round_trip() {
	expect 0 vmf-send "$@" in "$url/f"
	same in far/f
	local warned=$err
	rm -f back
	expect 0 vmf-recv "$url/f" back
	same in back
	err=$warned
}

# --- extensions
serve "Subsystem sftp $server -P fsync"
round_trip
expect_line 'durability unconfirmed'
round_trip -q --overwrite
[[ -z $err ]] || fail "-q talks: $err"
ok "a server that may not sync: durability unconfirmed"

serve "Subsystem sftp $server -P statvfs,posix-rename,limits,fsync"
round_trip
round_trip --overwrite
expect 3 vmf-send in "$url/f"
ok "a server without statvfs, posix-rename, limits and fsync"

# --- read only
serve "Subsystem sftp $server -R"
echo data >far/f
expect 6 vmf-send in "$url/g"
expect_line 'g\.part: create: denied'
expect 6 vmf-send --overwrite in "$url/f"
[[ $(cat far/f) == data ]] || fail "it was touched"
expect 0 vmf-recv "$url/f" got
same far/f got
ok "a read-only server is status 6 to write, and may be read"

# --- no exec, no shell
serve "ForceCommand internal-sftp" "Subsystem sftp internal-sftp"
round_trip
ok "internal-sftp without exec"

# --- a noisy login shell: bash sources .bashrc for what sshd runs
if [[ $(getent passwd "$sshd_user" | cut -d: -f7) == */bash ]]; then
	serve "Subsystem sftp echo Welcome, all is logged; echo $'\\x1b[2Jhm' ; exec $server"
	round_trip
	ok "a login shell that talks before the server does"
fi
serve "Subsystem sftp yes"
expect 6 vmf-send --timeout 5 in "$url/f"
expect_line 'makes no sense'
serve "Subsystem sftp /bin/true"
expect 6 vmf-send --timeout 5 in "$url/f"
expect_line 'SFTP server ended'
serve "Subsystem sftp head -c 300000 /dev/zero"
expect 6 vmf-send --timeout 5 in "$url/f"
serve "Subsystem nosftp /bin/true"
expect 3 vmf-send in "$url/f"
expect_line 'offers no sftp'
ok "what is no SFTP server is said"

# --- few sessions granted
serve "MaxStartups 2:100:2" "MaxSessions 1"
bytes 40M >big
expect 0 vmf-send -v --sessions 8 big "$url/big"
same big far/big
expect 0 vmf-recv --sessions 8 "$url/big" bigback
same big bigback
rm -f big bigback
ok "a server that grants few sessions gets few"

# --- rekeying under a deep pipeline
serve "RekeyLimit 16M"
bytes 100M >big
expect 0 vmf-send --sessions 1 big "$url/big"
same big far/big
expect 0 vmf-recv --sessions 1 "$url/big" bigback
same big bigback
rm -f big bigback
ok "rekeying is not noticed"

# --- chunks of a stream and a package are checked by other scenarios; here:
#     only one who may read the directory sees the file
if [[ $EUID == 0 ]]; then
	ok "root is denied nothing: the next check is skipped"
else
	serve
	chmod 500 far
	expect 6 vmf-send in "$url/f"
	expect_line 'denied'
	chmod 700 far
	ok "a directory that may not be written to is status 6"
fi

# --- full
[[ $EUID == 0 ]] || skip "a full file system at the far side needs root"
serve
mkdir small
mount -t tmpfs -o size=4m vmferry-test small
cleanup_fn umount small
url=sftp://127.0.0.1:$sshd_port$tmp/small
bytes 6M >big
expect 3 vmf-send big "$url/f"
expect_line '127\.0\.0\.1: .*/small/f: [0-9]+ bytes are free there, 6291456 '
[[ -z $(ls -A small) ]] || fail "something is left: $(ls -A small)"
expect 6 vmf-send - "$url/f" <big
expect_line '127\.0\.0\.1: .*/small/f\.part: no space left there \([0-9]+ bytes'
[[ -z $(ls -A small) ]] || fail "something is left: $(ls -A small)"
# without statvfs nobody knows why, but that and where
serve "Subsystem sftp $server -P statvfs"
url=sftp://127.0.0.1:$sshd_port$tmp/small
expect 6 vmf-send big "$url/f"
expect_line '127\.0\.0\.1: .*/small/f\.part: write'
[[ -z $(ls -A small) ]] || fail "something is left: $(ls -A small)"
ok "a full file system there: host and bytes are named, nothing is left"
