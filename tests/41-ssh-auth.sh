#!/bin/bash
# Who is there, and who are we: host keys and user keys.
. "$(dirname "$0")/lib.sh"

requires ssh-agent ssh-add ssh-keyscan
ssh-keygen -q -t ecdsa -N '' -f ecdsa_host
with_sshd "HostKey $tmp/ecdsa_host"
export HOME=$sshd_home
unset SSH_AUTH_SOCK SSH_ASKPASS DISPLAY
known=$HOME/.ssh/known_hosts
cp "$known" known.good
echo data >in
n=0
try() { # STATUS [OPTION]...: a send
	local status=$1
	shift
	rm -f "$tmp/out.bin" "$tmp/out.bin.part"
	expect "$status" vmf-send "$@" in "sftp://127.0.0.1:$sshd_port$tmp/out.bin"
	if [[ $status == 0 ]]; then
		same in out.bin
	elif [[ -e out.bin || -e out.bin.part ]]; then
		fail "something arrived in spite of status $status"
	fi
}

# --- the host
try 0
ok "an ed25519 entry is enough, though the server has an ECDSA key too"

printf '[127.0.0.1]:%s %s\n' "$sshd_port" "$(cut -d' ' -f1,2 ecdsa_host.pub)" \
    >"$known"
try 0
ok "and so is an ECDSA entry"

cp known.good "$known"
ssh-keygen -q -H -f "$known" >/dev/null 2>&1
grep -q '^|1|' "$known" || fail "not hashed"
try 0
ok "hashed names are found"

printf '# a comment\n\nbroken line\n@cert-authority * %s\n' \
    "$(cut -d' ' -f1,2 ecdsa_host.pub)" >"$known"
sed 's/^\S*/*.1,!127.0.0.2/' known.good >>"$known"
sed 's/^\S*/127.0.0.1/' known.good >"$known"
try 0
ok "a plain name serves a port of its own"

: >"$known"
try 7
expect_line 'unknown host key .*SHA256:.*ssh-keyscan .*--accept-new'
[[ ! -s $known ]] || fail "the key was noted"
rm "$known"
try 7
expect_line 'unknown host key'
[[ ! -e $known ]] || fail "the key was noted"
ok "an unknown host is refused, not noted"

print=$(ssh-keygen -lf <(ssh-keyscan -t ed25519 -p "$sshd_port" 127.0.0.1 \
    2>/dev/null) | cut -d' ' -f2)
: >"$known"
try 7
expect_line "${print//+/\\+}"
ok "the fingerprint is the one ssh-keygen shows"

try 0 --accept-new
[[ $(stat -c %a "$known") == 6[04][04] ]] || fail "mode of known_hosts"
try 0
"${sshd_ssh[@]}" true || fail "ssh does not take the entry"
ok "--accept-new notes it, in a way that ssh takes too"

ssh-keygen -q -t ed25519 -N '' -f other
printf '[127.0.0.1]:%s %s\n' "$sshd_port" "$(cut -d' ' -f1,2 other.pub)" \
    >"$known"
cp "$known" known.changed
try 7
expect_line 'HOST KEY CHANGED.*known_hosts:1'
try 7 --accept-new
expect_line 'HOST KEY CHANGED'
same "$known" known.changed
ok "a changed key is refused, with --accept-new too"

sed 's/^/@revoked /' known.good >"$known"
cat known.good >>"$known"
try 7
expect_line 'revoked'
ok "a revoked key is refused"

ssh-keygen -q -t rsa -b 2048 -N '' -f rsa_other
printf '[127.0.0.1]:%s %s\n' "$sshd_port" "$(cut -d' ' -f1,2 rsa_other.pub)" \
    >"$known"
try 7 --accept-new
expect_line 'another type'
ok "a key of a type that was never seen is refused"
cp known.good "$known"

# --- the user
mv "$HOME/.ssh/id_ed25519" key
try 7
expect_line 'no key to log in.*-i'
try 0 -i key
ok "a key file by -i"

ssh-agent -a "$tmp/agent" -D >/dev/null 2>&1 &
agent=$!
cleanup_fn kill $agent
wait_for 5 test -S agent
SSH_AUTH_SOCK=$tmp/agent ssh-add -q key 2>/dev/null
SSH_AUTH_SOCK=$tmp/agent try 0
ok "a key in the agent"

# Six wrong keys first: the right one, named, must come before them.
for n in 1 2 3 4 5 6 7; do
	ssh-keygen -q -t ed25519 -N '' -f wrong$n
done
SSH_AUTH_SOCK=$tmp/agent ssh-add -q -D 2>/dev/null
SSH_AUTH_SOCK=$tmp/agent ssh-add -q wrong? 2>/dev/null
SSH_AUTH_SOCK=$tmp/agent try 0 -i key
SSH_AUTH_SOCK=$tmp/agent try 7
expect_line 'refused keys; name the right one|login as .* refused'
ok "a named key comes before the agent's others"

SSH_AUTH_SOCK=$tmp/gone try 7
expect_line 'agent does not answer'
SSH_AUTH_SOCK=$tmp/gone try 0 -i key
ok "an agent that is gone is said, and does not hinder a key file"

ssh-keygen -q -t ed25519 -N 'secret words' -f locked
cat locked.pub >>"$HOME/.ssh/authorized_keys"
printf '#!/bin/sh\necho "secret words"\n' >askpass
chmod +x askpass
try 7 -i locked
expect_line 'locked needs its passphrase'
SSH_ASKPASS=$tmp/askpass setsid -w bash -c "vmf-send -i locked in \
    sftp://127.0.0.1:$sshd_port$tmp/out.bin" || fail "askpass"
same in out.bin
printf '#!/bin/sh\necho wrong\n' >askpass
SSH_ASKPASS=$tmp/askpass try 7 -i locked
expect_line 'cannot be read with that passphrase'
ok "a passphrase comes from SSH_ASKPASS, and never by a prompt without terminal"

chmod 644 key
try 7 -i key
expect_line 'key: private key is open to others .*chmod 600'
chmod 600 key
try 7 -i key.pub
expect_line 'key\.pub'
try 7 -i "$HOME/.ssh/authorized_keys"
expect_line 'open to others|not a private key'
ok "a key file that others can read is refused"

try 7 -i wrong1
expect_line 'login as .* refused.*authorized_keys'
ok "a key the server does not know is refused"

ssh-keygen -q -t rsa -b 2048 -N '' -f "$HOME/.ssh/id_rsa"
cat "$HOME/.ssh/id_rsa.pub" >>"$HOME/.ssh/authorized_keys"
if vmf-send in "sftp://127.0.0.1:$sshd_port$tmp/out.rsa" 2>/dev/null; then
	ok "an RSA key works with this libssh2"
else
	try 7
	expect_line 'ed25519 or ECDSA key'
	ok "an RSA key fails with the hint"
	cp key "$HOME/.ssh/id_ed25519"
	try 0
	ok "and does not spoil the try with another"
fi
cp key "$HOME/.ssh/id_ed25519"

# --- ssh_config
cat >"$HOME/.ssh/config" <<-EOT
Host near
	HostName 127.0.0.1
	Port $sshd_port
	UserKnownHostsFile ~/.ssh/known_hosts
	IdentityFile ~/.ssh/id_ed25519
Host aliased
	HostName localhost
	Port $sshd_port
	HostKeyAlias other-name
Host jumped
	HostName 127.0.0.1
	Port $sshd_port
	ProxyJump near
Host piped
	HostName 127.0.0.1
	Port $sshd_port
	ProxyCommand bash -c 'exec 3<>/dev/tcp/%h/%p; cat <&3 & exec cat >&3'
Host broken
	HostName 127.0.0.1
	Port $sshd_port
	ProxyCommand sh -c 'echo no way through >&2; exit 1'
EOT
sed 's/^\S*/other-name/' known.good >>"$known"
for host in near aliased jumped piped; do
	rm -f "out.$host"
	# the jump is ssh's own, which takes ~ from the account and not from HOME
	[[ $host != jumped ]] ||
	    sed -i "s|~/.ssh|$HOME/.ssh|" "$HOME/.ssh/config"
	expect 0 vmf-send in "$host:$tmp/out.$host"
	same in "out.$host"
done
expect 6 vmf-send in "broken:$tmp/out.broken"
expect_line 'the proxy said: no way through'
ok "HostName, Port, HostKeyAlias, ProxyJump and ProxyCommand of ssh_config"
echo "Nonsense yes" >>"$HOME/.ssh/config"
expect 2 vmf-send in "near:$tmp/x"
expect_line 'ssh configuration: .*onsense'
rm "$HOME/.ssh/config"
ok "a broken ssh_config is said"

# --- nobody there
expect 6 vmf-send --timeout 5 in "sftp://127.0.0.1:1/x"
expect_line 'port 1: Connection refused'
expect 6 vmf-send --timeout 5 in "sftp://no.such.host.invalid/x"
expect_line 'no\.such\.host\.invalid'
ok "a host that is not there is status 6"
