#!/bin/bash
# slow
# A disk of any size moves in bounded memory, at both ends: 8 TiB, sparse, with
# some data that does not compress.
. "$(dirname "$0")/lib.sh"
requires root python3
lab_up
guest_on A web tick --memory 16
disk=$LAB_DIR/A/disk/srv/web.img
bytes 300M | dd of="$disk" bs=1M seek=1000000 conv=notrunc status=none
truncate -s 8T "$disk"
on B mkdir -p /srv/in

# vmf-move at either end is watched: peak resident KiB to /srv/rss.END
for h in A B; do
	on $h mv /usr/bin/vmf-move /usr/bin/vmf-move.real
	on $h tee /usr/bin/vmf-move >/dev/null <<-'EOF'
	#!/usr/bin/python3
	import resource, subprocess, sys
	status = subprocess.call(['/usr/bin/vmf-move.real'] + sys.argv[1:])
	peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
	open('/srv/rss', 'w').write('%d\n' % (peak // 1024))
	sys.exit(status)
	EOF
	on $h chmod 755 /usr/bin/vmf-move
done
start=$SECONDS
expect 0 on A vmf-move -q --map '*=/srv/in/*' web hostb
took=$((SECONDS - start))
for h in A B; do
	rss=$(on $h cat /srv/rss)
	[[ $rss -gt 1 && $rss -lt 256 ]] || fail "$rss MiB at $h"
	ok "8 TiB in $took s, with $rss MiB at $h"
done
[[ $(on B stat -c %s /srv/in/web.img) == $((8 << 40)) ]]
[[ $(on B du -m /srv/in/web.img | cut -f1) -lt 400 ]]
cmp <(dd if="$disk" bs=1M skip=1000000 count=300 status=none) \
    <(dd if="$LAB_DIR/B/disk/srv/in/web.img" bs=1M skip=1000000 count=300 status=none)
ok "it is sparse there, and the same"
