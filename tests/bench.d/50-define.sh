# shellcheck shell=bash disable=SC2016
# A thousand definitions read, rewritten by thirty rules and written, against
# the least a script would do. By the unit tests: starting a tool a thousand
# times would measure that.
xml=$here/../tests/data/domain/uefi.xml
export xml here
row define
cmd ours 'a thousand rewritten' \
    'cd "$here/.." && VMF_REWRITES=1000 build/tests/unit domain_work >/dev/null'
cmd py 'Python ElementTree' 'python3 - "$xml" <<-X
	import sys, xml.etree.ElementTree as E
	for i in range(1000):
	    t = E.parse(sys.argv[1])
	    for s in t.iter("source"):
	        s.set("file", "/new/vm.img")
	    E.tostring(t.getroot())
	X'
goal ours py 1
go
