#!/bin/bash
# Packages straight to and from another host: a name there only when the
# package is whole, and the same verdicts as for a file.
# shellcheck disable=SC2119	# with_sshd without lines for its configuration
. "$(dirname "$0")/lib.sh"
requires virsh

with_sshd
export HOME=$sshd_home
unset SSH_AUTH_SOCK SSH_ASKPASS
mkdir far back
url=sftp://127.0.0.1:$sshd_port$tmp/far
printf 'Host nas\n HostName 127.0.0.1\n Port %s\n' "$sshd_port" \
    >"$sshd_home/.ssh/config"

truncate -s 8M vda.img
bytes 3000000 web | dd of=vda.img conv=notrunc status=none
cat >web.xml <<EOT
<node><domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'>
<name>web</name><uuid>0b1f2a3c-0000-4000-8000-00000000000a</uuid>
<memory>65536</memory><os><type>hvm</type></os><devices>
<disk type='file' device='disk'><driver name='qemu' type='raw'/>
<source file='$tmp/vda.img'/><target dev='vda' bus='virtio'/></disk>
</devices><test:runstate>5</test:runstate></domain></node>
EOT
id=000102030405060708090a0b0c0d0e0f
pack=(vmf-pack -q -c "test://$tmp/web.xml" --chunk 64K --id "$id")

expect 0 "${pack[@]}" -o web.vmf.tar web
expect 0 "${pack[@]}" -n -o "$url/web.vmf.tar" web
expect 1 compgen -G 'far/*'
expect 0 "${pack[@]}" -o "$url/web.vmf.tar" web
same far/web.vmf.tar web.vmf.tar
[[ $(stat -c %a far/web.vmf.tar) == 600 && ! -e far/web.vmf.tar.part ]]
expect 0 "${pack[@]}" -o "nas:$tmp/far/two.vmf.tar" web
same far/two.vmf.tar web.vmf.tar
ok "a package is written to another host, byte for byte"

expect 3 "${pack[@]}" -o "$url/web.vmf.tar" web
expect_line 'web.vmf.tar: exists already'
expect 3 "${pack[@]}" -n -o "$url/web.vmf.tar" web
same far/web.vmf.tar web.vmf.tar
expect 3 "${pack[@]}" -o "$url/no/dir.vmf.tar" web
expect 6 "${pack[@]}" -o "sftp://127.0.0.1:1$tmp/far/x" web
expect 2 "${pack[@]}" -o sftp://user:pw@127.0.0.1/x web
ok "what is there stays there"

# The disk shrinks while it is read: the package is never finished.
cp vda.img whole.img
truncate -s 600M vda.img
"${pack[@]}" -z 0 --no-holes -o "$url/dies.vmf.tar" web 2>err2 &
pid=$!
wait_for 10 test -e far/dies.vmf.tar.part
truncate -s 4M vda.img
status=0
wait $pid || status=$?
[[ $status == 5 ]] || fail "status $status, not 5: $(<err2)"
[[ ! -e far/dies.vmf.tar && ! -e far/dies.vmf.tar.part ]] || fail "left-over"
truncate -s 600M vda.img
"${pack[@]}" -z 0 --no-holes -o "$url/stop.vmf.tar" web 2>err2 &
pid=$!
wait_for 10 test -e far/stop.vmf.tar.part
kill -TERM $pid
status=0
wait $pid || status=$?
[[ $status == 143 ]] || fail "status $status, not 143: $(<err2)"
[[ ! -e far/stop.vmf.tar && ! -e far/stop.vmf.tar.part ]] || fail "left-over"
mv whole.img vda.img
ok "a package that was not finished has no name there"

expect 0 vmf-verify "$url/web.vmf.tar"
expect_out 'web.vmf.tar: package is whole'
expect 0 vmf-verify "nas:$tmp/far/web.vmf.tar"
[[ $(vmf-info --json "$url/web.vmf.tar") == "$(vmf-info --json web.vmf.tar)" ]]
expect 0 vmf-unpack --list "$url/web.vmf.tar"
expect_out 'disks/vda +8388608'
vmf-unpack --extract disks/vda "$url/web.vmf.tar" | vmf-restore -q - one.img
same one.img vda.img
vmf-dump vda.img >far/vda.vmf.zst
expect 0 vmf-verify "$url/vda.vmf.zst"
expect_out 'stream is whole'
expect 0 vmf-unpack -n --dir back "$url/web.vmf.tar"
expect 1 compgen -G 'back/*'
expect 0 vmf-unpack -q --dir back "$url/web.vmf.tar"
same back/vda.img vda.img
rm back/vda.img
ok "it is verified, described, listed, extracted and placed from there"

head -c 2000000 web.vmf.tar >far/cut.vmf.tar
cp web.vmf.tar far/bad.vmf.tar
printf x | dd of=far/bad.vmf.tar bs=1 seek=1000001 conv=notrunc status=none
for p in cut bad; do
	expect 4 vmf-verify "$url/$p.vmf.tar"
	expect_line "$p.vmf.tar"
	expect 4 vmf-unpack -q --dir back "$url/$p.vmf.tar"
	expect_line "$p.vmf.tar"
	expect 1 compgen -G 'back/*'
	expect 1 compgen -G 'back/.*[a-z]*'
done
for tool in vmf-verify vmf-info 'vmf-unpack --list'; do
	expect 3 $tool "$url/none.vmf.tar"
	expect_line 'none.vmf.tar: .*no such file'
	expect 6 $tool "sftp://127.0.0.1:1$tmp/far/web.vmf.tar"
	expect_line '127.0.0.1'
done
echo >"$sshd_home/.ssh/known_hosts"
expect 7 vmf-verify "$url/web.vmf.tar"
expect 7 "${pack[@]}" -o "$url/new.vmf.tar" web
expect 0 vmf-verify --accept-new "$url/web.vmf.tar"
ok "damage, absence and a host unknown are told apart"
