/*
 * host_probe.c - does libvirt ask our hook before it starts a guest?
 *
 * libvirt notices the first hook on a host only when it starts or reloads, and
 * says nothing of a hook that it does not run.  So it is tried: an empty
 * machine that is marked must be refused, with our own words.
 */
#include <stdio.h>
#include <string.h>

#include "host_conn.h"

int
vmf_host_probe_start(struct vmf_host *host, const char *uuid, const char *words,
    bool *refused, struct vmf_error *err)
{
	static const char form[] =
	    "<domain type='%s'><name>vmferry-probe-%.8s</name>"
	    "<uuid>%s</uuid><memory unit='MiB'>16</memory>"
	    "<os><type arch='x86_64'>hvm</type></os></domain>";
	static const char *const types[] = {"kvm", "qemu"};
	virErrorPtr error;
	virDomainPtr dom;
	char xml[512];
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		snprintf(xml, sizeof(xml), form, types[i], uuid, uuid);
		dom = virDomainCreateXML(host->conn, xml,
		    VIR_DOMAIN_START_PAUSED | VIR_DOMAIN_START_AUTODESTROY);
		if (dom != NULL) {
			/* It started: nobody asked the hook. */
			virDomainDestroy(dom);
			virDomainFree(dom);
			*refused = false;
			return 0;
		}
		error = virGetLastError();
		if (error != NULL && error->message != NULL &&
		    strstr(error->message, words) != NULL) {
			*refused = true;
			return 0;
		}
		/* No KVM here, perhaps: the next type. */
	}
	return vmf_host_conn_fail(err, "probe of the start guard");
}
