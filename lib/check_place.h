/* check_place.h - what lib/check_place.c and check_targets.c share */
#ifndef VMFERRY_CHECK_PLACE_H
#define VMFERRY_CHECK_PLACE_H

#include <vmferry/check.h>

struct place_check {
	struct vmf_check *rows;
	struct vmf_host *host;
	const struct vmf_check_place *what;
	struct vmf_domain *dom; /* as it will be here */
	const struct vmf_domain_model *model;
	char *xml;
	unsigned cpus;
};

/* Where the images and files go, and the room that is there for them. */
int vmf_check_targets(struct place_check *c, struct vmf_error *err);
/* Networks, bridges, pools, secrets, and servers of disks that stay. */
void vmf_check_links(struct place_check *c);
/* The move brings this secret. */
bool vmf_check_comes_along(const struct place_check *c, const char *secret);
/* Propose, for the row added last, a path for the image that would have this
 * one: where libvirt keeps such, if it is free. */
void
vmf_check_propose(struct place_check *c, const char *name, const char *path);

#endif
