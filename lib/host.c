/* host.c - a connection to libvirt; see vmferry/host.h */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host_conn.h"

/* libvirt would print on stderr otherwise. */
static void
silence(void *ctx, virErrorPtr error)
{
	(void)ctx;
	(void)error;
}

/* Nothing to answer with: libvirt then gives up instead of asking. */
static int
no_credentials(virConnectCredentialPtr cred, unsigned int n, void *ctx)
{
	(void)cred;
	(void)n;
	(void)ctx;
	return -1;
}

bool
vmf_host_conn_is(int code)
{
	const virError *error = virGetLastError();

	return error != NULL && error->code == code;
}

int
vmf_host_conn_fail(struct vmf_error *err, const char *fmt, ...)
{
	const virError *error = virGetLastError();
	enum vmf_class class = VMF_HYPERVISOR;
	char context[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(context, sizeof(context), fmt, ap);
	va_end(ap);
	if (error != NULL && error->domain == VIR_FROM_RPC)
		class = VMF_REMOTE;
	if (error != NULL && error->code == VIR_ERR_AUTH_FAILED)
		class = VMF_AUTH;
	return vmf_fail(err, class, "%s: %.700s", context,
	    error != NULL && error->message != NULL
		? error->message
		: "libvirt did not say why");
}

/* A URI with a host in it; libvirt's URIs are DRIVER[+TRANSPORT]://HOST/... */
static bool
is_remote(const char *uri)
{
	const char *host = strstr(uri, "://");

	return host != NULL && host[3] != '/' && host[3] != '\0';
}

/* ssh would ask for passwords on the terminal. */
static char *
without_prompts(const char *uri)
{
	char *with;

	if (!is_remote(uri) || strstr(uri, "+ssh:") == NULL ||
	    strstr(uri, "no_tty=") != NULL)
		return strdup(uri);
	if (asprintf(&with, "%s%sno_tty=1", uri,
		strchr(uri, '?') != NULL ? "&" : "?") == -1)
		return NULL;
	return with;
}

static int
fail_open(const char *uri, struct vmf_error *err)
{
	const char *next = "is libvirtd running, and are you root?";

	if (is_remote(uri))
		next = "is the host up, and does `virsh -c` with this URI work "
		       "without a password?";
	vmf_host_conn_fail(err, "%.200s", uri);
	if (err != NULL && err->class != VMF_AUTH)
		err->class = is_remote(uri) ? VMF_REMOTE : VMF_HYPERVISOR;
	if (err != NULL) {
		size_t len = strlen(err->msg);

		snprintf(err->msg + len, sizeof(err->msg) - len, "; %s", next);
	}
	return -1;
}

struct vmf_host *
vmf_host_open(const char *uri, struct vmf_error *err)
{
	virConnectAuth auth = {.cb = no_credentials};
	struct vmf_host *host = calloc(1, sizeof(*host));
	char *quiet = NULL;

	if (uri == NULL)
		uri = VMF_HOST_URI;
	if (host == NULL || (host->uri = strdup(uri)) == NULL ||
	    (quiet = without_prompts(uri)) == NULL) {
		vmf_fail_errno(err, VMF_IO, "%s", uri);
		goto fail;
	}
	virSetErrorFunc(NULL, silence);
	host->conn = virConnectOpenAuth(quiet, &auth, 0);
	if (host->conn == NULL) {
		fail_open(uri, err);
		goto fail;
	}
	/* The test driver's files and bridges are imaginary. */
	host->local = !is_remote(uri) && strncmp(uri, "test:", 5) != 0;
	free(quiet);
	return host;
fail:
	free(quiet);
	vmf_host_free(host);
	return NULL;
}

void
vmf_host_free(struct vmf_host *host)
{
	if (host == NULL)
		return;
	if (host->conn != NULL)
		virConnectClose(host->conn);
	free(host->uri);
	free(host);
}

const char *
vmf_host_uri(const struct vmf_host *host)
{
	return host->uri;
}

bool
vmf_host_is_local(const struct vmf_host *host)
{
	return host->local;
}

/* <uuid> of the host in its capabilities: the one way to ask for it. */
static void
read_host_uuid(struct vmf_host *host, char uuid[VMF_DOMAIN_UUID_TEXT])
{
	char *caps = virConnectGetCapabilities(host->conn);
	const char *at = caps != NULL ? strstr(caps, "<uuid>") : NULL;

	uuid[0] = '\0';
	if (at != NULL && strlen(at) > 6 + VMF_DOMAIN_UUID_TEXT)
		snprintf(uuid, VMF_DOMAIN_UUID_TEXT, "%s", at + 6);
	free(caps);
}

int
vmf_host_facts(
    struct vmf_host *host, struct vmf_host_facts *facts, struct vmf_error *err)
{
	const char *driver;
	virNodeInfo node;
	char *name;

	memset(facts, 0, sizeof(*facts));
	driver = virConnectGetType(host->conn);
	name = virConnectGetHostname(host->conn);
	if (driver == NULL || name == NULL ||
	    virConnectGetLibVersion(host->conn, &facts->libvirt) == -1 ||
	    virNodeGetInfo(host->conn, &node) == -1) {
		free(name);
		return vmf_host_conn_fail(err, "%s", host->uri);
	}
	snprintf(facts->driver, sizeof(facts->driver), "%s", driver);
	snprintf(facts->hostname, sizeof(facts->hostname), "%s", name);
	free(name);
	read_host_uuid(host, facts->uuid);
	if (virConnectGetVersion(host->conn, &facts->emulator) == -1)
		facts->emulator = 0;
	facts->memory = (uint64_t)node.memory << 10;
	facts->cpus = node.cpus;
	return 0;
}
