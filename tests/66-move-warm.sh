#!/bin/bash
# slow
# The disks' way: a warm move of a guest that writes, a copy that died and is
# gone on with, a move back over the old copy, and a host without SFTP.
. "$(dirname "$0")/lib.sh"
requires root python3
lab_up
guest_on A web tick --memory 16
disk=$LAB_DIR/A/disk/srv/web.img
bytes 60M | dd of="$disk" bs=1M seek=16 conv=notrunc status=none
on B mkdir -p /srv/in
move=(vmf-move --map '*=/srv/in/*' web hostb)
spools() { on B find /dev/shm /var/tmp -maxdepth 1 -regex '.*/vmferry-[0-9a-f]*'; }
json() { python3 -c "import json,sys; print(json.load(sys.stdin)['$1'])" <<<"$out"; }
id_there() { on A ls -t /var/lib/vmferry/moves | head -1; }

# --- a copy that died: what is durable there does not travel again
durable() { on $1 sh -c 'cat /var/lib/vmferry/moves/*/durable.vda 2>/dev/null || true' | sed -n '/ data /p' | wc -l; }
some_durable() { (($(durable A) >= 4)); }
"$lab" shape 40mbit
{ trap - ERR; on A "${move[@]}" -q; } 2>/dev/null &
wait_for 60 some_durable
[[ $(spools) == *vmferry-* ]] || fail "no spool"
slots=$(on B sh -c 'stat -c %s /dev/shm/vmferry-*/* /var/tmp/vmferry-*/* 2>/dev/null' |
    awk '{ n += $1 } END { print n }')
((slots <= 8 * 48 << 20)) || fail "the spool holds $slots bytes"
on A pkill -9 -x vmf-move
wait || true
there=$(durable B)
((there >= 4)) || fail "durable there: $there"
"$lab" shape off
id=$(id_there)
expect 0 on A vmf-move -q --resume "$id" hostb
chunks=$(on A vmf-move --status "$id" | sed -n 's/.* pass .*: \([0-9]*\) chunks.*/\1/p' | tail -1)
all=$((($(stat -c %s "$disk") + 4194303) / 4194304))
((chunks <= all - there)) || fail "$chunks of $all chunks travelled, $there were durable"
same "$disk" "$LAB_DIR/B/disk/srv/in/web.img"
[[ -z $(spools) ]] || fail "left: $(spools)"
ok "killed with $there of $all chunks durable: $chunks travel after --resume"

# --- back over the old copy
printf changed | dd of="$LAB_DIR/B/disk/srv/in/web.img" bs=1 seek=30M oflag=seek_bytes conv=notrunc status=none
expect 0 on B vmf-move --json --map vda=/srv/web.img --replace --overwrite vda web hosta
same "$disk" "$LAB_DIR/B/disk/srv/in/web.img"
(($(json sent) < 20 << 20)) || fail "$(json sent) bytes sent for one changed chunk"
ok "home over the old copy: $(json sent) bytes for one changed chunk"

# --- warm: it writes all the time, knows no ACPI, and is switched off
on B rm /srv/in/web.img
on B virsh -q undefine web
on A virsh -q start web
console_wait A web 'n=2$' 30 >/dev/null
expect 8 on A "${move[@]}" -q --mode warm --shutdown-timeout 1
[[ $err == *"did not shut down within 1 seconds"* ]] || fail "$err"
[[ $(on A virsh -q domstate web) == running* ]] || fail "the guest was stopped"
[[ -z $(on B find /srv/in -type f) ]] || fail "left: $(on B find /srv/in -type f)"
ok "warm: a guest that does not shut down runs on"
expect 0 on A "${move[@]}" --json --mode warm --shutdown-timeout 1 --force-off
(($(json passes) >= 3)) || fail "only $(json passes) passes"
(($(json last_sent) < 1 << 20)) || fail "$(json last_sent) bytes in the last pass"
[[ $(json running) == True ]] || fail "not running there"
on B virsh -q destroy web
# all but the sectors that the guest wrote since it runs there
differ=$(cmp -l "$disk" "$LAB_DIR/B/disk/srv/in/web.img" | wc -l || true)
((differ < 65536)) || fail "$differ bytes differ"
ok "warm: $(json passes) passes, $(json last_sent) bytes in the last, down for $(json downtime) s"

# --- no SFTP: through the one channel, and said
on B rm /srv/in/web.img
on B virsh -q undefine web
on A rm "/var/lib/vmferry/held/$(on A virsh -q domuuid web)"
on B sh -c 'sed -i "/^Subsystem/d" /etc/ssh/sshd_config 2>/dev/null; mv /usr/lib/openssh/sftp-server /usr/lib/openssh/away'
expect 0 on A "${move[@]}"
[[ $err == *"no SFTP into the spool"* ]] || fail "not said: $err"
same "$disk" "$LAB_DIR/B/disk/srv/in/web.img"
ok "without SFTP all goes through one channel, and that is said"
