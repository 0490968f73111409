/* pack_facts.c - what a package says of the host; see pack_internal.h */
#include <stdio.h>

#include "pack_internal.h"

int
vmf_pack_facts_write(
    struct vmf_pack *pack, struct vmf_package_writer *w, struct vmf_error *err)
{
	char libvirt[32], emulator[32];
	struct vmf_host_facts facts;
	struct vmf_package_fact list[] = {
	    {"emulator", emulator},
	    {"hostname", facts.hostname},
	    {"libvirt", libvirt},
	};

	if (vmf_host_facts(pack->host, &facts, err) < 0)
		return -1;
	snprintf(libvirt, sizeof(libvirt), "%lu.%lu.%lu",
	    facts.libvirt / 1000000, facts.libvirt / 1000 % 1000,
	    facts.libvirt % 1000);
	snprintf(emulator, sizeof(emulator), "%lu.%lu.%lu",
	    facts.emulator / 1000000, facts.emulator / 1000 % 1000,
	    facts.emulator % 1000);
	return vmf_package_writer_finish(
	    w, list, sizeof(list) / sizeof(list[0]), err);
}
