/* host_conn.h - the connection, for lib/host*.c only */
#ifndef VMFERRY_HOST_CONN_H
#define VMFERRY_HOST_CONN_H

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include <vmferry/host.h>

struct vmf_host {
	virConnectPtr conn;
	char *uri;
	bool local; /* its files and devices are this machine's */
};

/* Fail with "context: libvirt's words" as VMF_HYPERVISOR (VMF_REMOTE when the
 * connection was lost); returns -1. */
int vmf_host_conn_fail(struct vmf_error *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* The domain of that name or UUID; NULL with *absent when there is none.  The
 * caller frees it with virDomainFree(). */
virDomainPtr vmf_host_conn_lookup(struct vmf_host *host, const char *domain,
    bool *absent, struct vmf_error *err);
/* The same; none is VMF_REFUSED. */
virDomainPtr vmf_host_conn_domain(
    struct vmf_host *host, const char *domain, struct vmf_error *err);

/* The last error is of this code. */
bool vmf_host_conn_is(int code);

/* The secret of this UUID or usage, or NULL.  The caller frees it with
 * virSecretFree(). */
virSecretPtr vmf_host_secret_find(struct vmf_host *host, const char *name);
/* Is the device that VMF_ASK_HOSTDEV names one of this machine? */
bool vmf_host_device_there(const char *name);

#endif
