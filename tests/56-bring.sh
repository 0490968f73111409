#!/bin/bash
# vmf-define --with-networks, --with-nwfilters, --with-pools: what a package
# brings beside its domain, when asked, and never over what is there.
. "$(dirname "$0")/lib.sh"
requires root
lab_up

# --- a domain at A that hangs on all three
on A virsh -q net-define /dev/stdin <<'X'
<network><name>lan</name><forward mode='bridge'/><bridge name='lab0'/>
<portgroup name='web'><bandwidth><inbound average='1000'/></bandwidth></portgroup></network>
X
on A virsh -q nwfilter-define /dev/stdin <<'X'
<filter name='quiet'><rule action='drop' direction='out' priority='500'><mac/></rule></filter>
X
on A mkdir -p /srv/vms
on A virsh -q pool-define-as vms dir --target /srv/vms
on A virsh -q pool-start vms
truncate -s 1M "$LAB_DIR/A/disk/srv/vms/web.img"
on A virsh -q pool-refresh vms
gen_domain web --disk /srv/x.img --memory 16 --net lan | sed -e "
    s|<disk type='file'|<disk type='volume'|
    s|<source file='/srv/x.img'/>|<source pool='vms' volume='web.img'/>|
    s|</interface>|<filterref filter='quiet'/>&|" >web.xml
on A virsh -q define /dev/stdin <web.xml
expect 0 on A vmf-pack -q -o /mnt/web.vmf.tar web
tar -tf "$LAB_DIR/shared/web.vmf.tar" | grep '^aux/' >aux ||
    skip "this vmf-pack puts no networks into its packages"
for f in aux/network/lan.xml aux/nwfilter/quiet.xml aux/pool/vms.xml; do
	grep -qxF "$f" aux || fail "$f is not in the package: $(cat aux)"
done

all=(--with-networks --with-nwfilters --with-pools)
define() {
	local want=$1
	shift
	expect "$want" on B vmf-define --allow chardev,disk \
	    "$@" /mnt/web.vmf.tar
}
have() {
	on B virsh -q net-list --all --name
	on B virsh -q nwfilter-list | grep -o 'quiet$' || true
	on B virsh -q pool-list --all --name
	on B virsh -q list --all --name
}
nothing() { [[ -z $(have | tr -d '\n ') ]] || fail "something is there: $(have)"; }

# --- not asked for: refused, and nothing is there
define 3
expect_line "no such network here|no such storage pool here|no such network filter here"
define 3 --with-networks
nothing
define 2 --diff "${all[@]}"
expect 2 on B vmf-define "${all[@]}" - <web.xml
expect_line 'only a package brings'
define 0 -n "${all[@]}"
nothing
ok "nothing is brought that was not asked for, nor by a dry run"

# --- refused for another reason: nothing stays
on B mkdir -p /srv/vms
define 3 "${all[@]}" --machine pc-q35-99.0
expect_line 'pc-q35-99.0'
nothing
on B virsh -q net-define /dev/stdin <<'X'
<network><name>lan</name><forward mode='bridge'/><bridge name='br9'/></network>
X
before=$(on B virsh net-dumpxml lan)
define 3 "${all[@]}"
expect_line 'network lan is here with other content; .*--with-networks'
[[ $(on B virsh net-dumpxml lan) == "$before" ]] || fail "the network was changed"
[[ $(have | tr -d '\n ') == lan ]] || fail "more is there: $(have)"
on B virsh -q net-undefine lan
on B virsh -q net-define /dev/stdin <<X
<network><name>wan</name><uuid>$(on A virsh -q net-uuid lan)</uuid>
<forward mode='bridge'/><bridge name='br9'/></network>
X
define 3 "${all[@]}"
expect_line 'network lan has the UUID of wan here'
on B virsh -q net-undefine wan
nothing
ok "never over one of other content"

# --- defined, not started
define 0 "${all[@]}"
for line in 'network lan: defined, not started' 'nwfilter quiet: defined' \
    'pool vms: defined, not started' 'web: defined on qemu:///system'; do
	[[ $err == *"$line"* ]] || fail "not said: '$line' in '$err'"
done
[[ $(on B virsh -q net-list --all) == *lan*inactive*no* ]] || fail "lan: $(on B virsh net-list --all)"
[[ $(on B virsh -q pool-list --all) == *vms*inactive*no* ]] || fail "vms: $(on B virsh pool-list --all)"
diff <(on A virsh net-dumpxml lan) <(on B virsh net-dumpxml lan) || fail "lan is another"
diff <(on A virsh nwfilter-dumpxml quiet) <(on B virsh nwfilter-dumpxml quiet) || fail "quiet is another"
ok "networks, filters and pools are defined with it"

# --- once more: the same is left alone
on B virsh -q undefine web
define 0 "${all[@]}"
[[ $err == *'web: defined'* && $err != *network* && $err != *pool* ]] || fail "said: $err"
on B virsh -q undefine web
on B virsh -q pool-undefine vms
define 0 "${all[@]}" --map-path /srv=/data
grep -q '<path>/data/vms</path>' <(on B virsh pool-dumpxml vms) || fail "the pool's path is not mapped"
ok "what is there already stays, and a pool's path is mapped"
