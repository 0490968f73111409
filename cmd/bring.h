/* bring.h - what a package brings besides disks: its domain's XML, and the
 * networks, pools and network filters asked for */
#ifndef VMFERRY_BRING_H
#define VMFERRY_BRING_H

#include <vmferry/links.h>

#include "input.h"

struct bring {
	bool want[VMF_LINKS_KINDS];
	struct vmf_map *map;	 /* borrowed; NULL: none */
	uint32_t allow;		 /* see struct vmf_domain_scan */
	struct vmf_links *links; /* made when something is wanted */
};

/* Something is wanted. */
bool bring_any(const struct bring *b);
/* The domain of a package, once all of the package was found sound, and what
 * is wanted in b->links. */
struct vmf_domain *
bring_package(struct bring *b, struct cli_input *in, struct vmf_error *err);
/* Define what is not there and say so (not with quiet). */
int bring_define(
    struct bring *b, struct vmf_host *host, bool quiet, struct vmf_error *err);
void bring_clear(struct bring *b);

#endif
