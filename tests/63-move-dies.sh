#!/bin/bash
# slow
# A move that dies, at either end and at every stage: never can both ends start
# the guest, nothing is lost, and what --status says to do does it.
. "$(dirname "$0")/lib.sh"
requires root strace
lab_up
guest_on A web tick --memory 16
on B mkdir -p /srv/in
bytes 12M >>"$LAB_DIR/A/disk/srv/web.img"
digest=$(sha "$LAB_DIR/A/disk/srv/web.img")
move=(vmf-move -q --map '*=/srv/in/*' web hostb)

last_id() { on A ls -t /var/lib/vmferry/moves | head -1; }
journal_has() { on A vmf-move --status "$(last_id)" | grep -q " $1 "; }
held() { on A find /var/lib/vmferry/held -type f | grep -q .; }
arriving() { [[ -n $(on B find /srv/in -name '.web.img.*' -size +1k) ]]; }

# whole_at A|B: the guest starts there and only there
whole_at() {
	local other=A
	[[ $1 == A ]] && other=B
	expect 1 on $other virsh -q start web
	on "$1" virsh -q start web
	on "$1" virsh -q destroy web
}
# source_as_before: given back, unmarked, nothing at B
source_as_before() {
	[[ $(sha "$LAB_DIR/A/disk/srv/web.img") == "$digest" ]] || fail "the source's disk changed"
	! held || fail "the source is still marked"
	[[ -z $(on B virsh -q list --all --name | xargs) ]] || fail "it is defined at B"
	[[ -z $(on B find /srv/in -type f) ]] || fail "left at B: $(on B find /srv/in -type f)"
	whole_at A
	# starting it made the guest write
	digest=$(sha "$LAB_DIR/A/disk/srv/web.img")
}

# slow_move: start one over a slow wire and wait until bytes arrive at B
slow_move() {
	"$lab" shape 8mbit
	{ trap - ERR; on A "${move[@]}" 2>"$tmp/err"; } &
	mover=$!
	wait_for 20 arriving
}
# moved_with STATUS: it ends so
moved_with() {
	local got=0
	wait "$mover" || got=$?
	"$lab" shape off
	[[ $got == "$1" ]] || fail "status $got, not $1: $(<"$tmp/err")"
}

# --- before commit
slow_move
on B pkill -9 -f 'vmf-move.*--serve'
moved_with 6
grep -q . "$tmp/err" && [[ $(wc -l <"$tmp/err") == 1 ]] || fail "not one line: $(<"$tmp/err")"
source_as_before
ok "the receiver is killed: $(<"$tmp/err")"

slow_move
on A pkill -9 -x vmf-move
moved_with 137
held || fail "no mark"
expect 1 on A virsh -q start web
[[ $err == *"is being moved to hostb"* ]] || fail "$err"
expect 3 on A "${move[@]}"
arriving || fail "what had arrived is gone"
expect 0 on A vmf-move --abort "$(last_id)" hostb
source_as_before
ok "the mover is killed while it copies: the guest is held until --abort"

slow_move
on A pkill -TERM -x vmf-move
moved_with 143
source_as_before
ok "the mover is stopped while it copies: $(<"$tmp/err")"

slow_move
on B pkill -9 -x sshd
moved_with 6
on B /usr/sbin/sshd
grep -q "left at hostb.*--abort" "$tmp/err" || fail "what is left is not told: $(<"$tmp/err")"
id=$(grep -o -- '--abort [0-9a-f]*' "$tmp/err" | cut -d' ' -f2)
expect 3 on A vmf-move --resume "$id" hostb
expect 0 on A vmf-move --abort "$id" hostb
source_as_before
ok "sshd is killed: $(<"$tmp/err")"

# kill_at N: the mover dies as it syncs for the N-th time: a line of its
# journal, or what is durable there
kill_at() {
	local got=0
	on A strace -f -qq -o /dev/null -e trace=fdatasync \
	    -e inject=fdatasync:signal=SIGKILL:when="$1" "${move[@]}" 2>/dev/null || got=$?
	[[ $got == 137 ]] || fail "not killed at sync $1: $got"
}
n=1
for ((;; n++)); do
	kill_at $n
	! journal_has commit || break
	expect 0 on A vmf-move --abort "$(last_id)" hostb
	source_as_before
done
((n > 4)) || fail "only $n syncs before commit"
ok "killed at each of $((n - 1)) syncs before commit: --abort gives it back"

# --- after commit
held || fail "no mark"
expect 1 on A virsh -q start web
[[ -z $(on B virsh -q list --all --name | xargs) ]]
expect 0 on A vmf-move --resume "$(last_id)" hostb
journal_has 'done'
[[ $(on B sha256sum /srv/in/web.img | cut -c1-64) == "$digest" ]]
whole_at B
ok "killed at commit: --resume goes on"

# --- back to the start: at B it is gone, at A released by hand
on B virsh -q undefine web
on B rm /srv/in/web.img
on A rm "/var/lib/vmferry/held/$(on A virsh -q domuuid web)"

slow_move
on B pkill -9 -x libvirtd
moved_with 6
grep -q 'resume' "$tmp/err" || fail "the next step is not told: $(<"$tmp/err")"
held || fail "no mark"
expect 1 on A virsh -q start web
expect 8 on A vmf-move --abort "$(last_id)" hostb
on B rm -f /run/libvirtd.pid
on B libvirtd --daemon --listen
wait_for 10 on B virsh -q uri
expect 0 on A vmf-move --abort "$(last_id)" hostb
source_as_before
ok "libvirtd of B dies before the define: nobody knows, so it is held; then B says that nothing is there"

expect 0 on A "${move[@]}"
whole_at B
ok "and then the same move, plainly run, succeeds"
