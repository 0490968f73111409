/*
 * usage.h - what a host has, and what its domains use of it
 *
 * Read-only, all of it libvirt's word.  Thread rule: one thread at a time.
 */
#ifndef VMFERRY_USAGE_H
#define VMFERRY_USAGE_H

#include <vmferry/host.h>

struct vmf_usage_domain {
	char name[VMF_MAP_NAME_MAX]; /* to be shown */
	char uuid[VMF_DOMAIN_UUID_TEXT];
	enum vmf_host_run run;
	unsigned vcpus;
	uint64_t memory; /* bytes; of one that runs, what it has now */
};

struct vmf_usage_pool {
	char name[VMF_MAP_NAME_MAX];
	bool active;
	uint64_t size, used, available; /* bytes; 0 of one that is not active */
};

struct vmf_usage {
	struct vmf_host_facts facts;
	uint64_t available; /* bytes of memory that guests could have */
	unsigned vcpus;	    /* of the domains that run */
	uint64_t memory;    /* of the domains that run */
	size_t running;
	struct vmf_usage_domain *domains; /* by name */
	size_t ndomains;
	struct vmf_usage_pool *pools; /* by name */
	size_t npools;
};

int vmf_usage_read(
    struct vmf_host *host, struct vmf_usage *usage, struct vmf_error *err);
/* A domain that looks for a host. */
struct vmf_usage_guest {
	const struct vmf_domain_model *model;
	const char *xml;
	uint64_t room; /* bytes its disks take; 0: not known */
};
/*
 * Could all of these run there, beside what runs now?  The machine and CPU of
 * each are known; their memory together is free, and pools have room for their
 * disks, each domain's in one.  VMF_REFUSED says what is missing.
 */
int vmf_usage_fits(struct vmf_host *host, const struct vmf_usage *usage,
    const struct vmf_usage_guest *guests, size_t nguests,
    struct vmf_error *err);
void vmf_usage_clear(struct vmf_usage *usage);

#endif
