/* hosts.h - what hosts have and what their domains use (vmf-check --host) */
#ifndef VMFERRY_HOSTS_H
#define VMFERRY_HOSTS_H

#include <stdbool.h>

#include <vmferry/error.h>

/*
 * One table for each of the URIs (a NULL-terminated list; none: connect's
 * host).  With fit (a domain of connect's host) or all (all of its domains
 * together): the hosts that have room for them, the best first, and why the
 * others do not; VMF_REFUSED when there is none.
 */
struct hosts_ask {
	const char *connect; /* NULL: the default */
	char *const *uris;
	const char *fit; /* NULL: none */
	bool all;
	bool json;
};
int hosts_show(const struct hosts_ask *ask, struct vmf_error *err);

#endif
