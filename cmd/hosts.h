/* hosts.h - what hosts have and what their domains use (vmf-check --host) */
#ifndef VMFERRY_HOSTS_H
#define VMFERRY_HOSTS_H

#include <stdbool.h>

#include <vmferry/error.h>

/*
 * One table for each of the URIs (a NULL-terminated list; none: connect's
 * host).  fit (may be NULL) is a domain of connect's host: then the hosts that
 * it fits on, the best first, and why it does not on the others;
 * VMF_REFUSED when there is none.
 */
int hosts_show(const char *connect, char *const *uris, const char *fit,
    bool json, struct vmf_error *err);

#endif
