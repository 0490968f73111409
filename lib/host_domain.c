/* host_domain.c - domains of a host: state, XML, start and stop; see
 * vmferry/host.h */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vmferry/units.h>

#include "host_conn.h"

virDomainPtr
vmf_host_conn_lookup(struct vmf_host *host, const char *domain, bool *absent,
    struct vmf_error *err)
{
	uint8_t id[VMF_ID_LEN];
	virDomainPtr dom = NULL;

	*absent = false;
	if (strchr(domain, '-') != NULL && vmf_parse_id(domain, id, NULL) == 0)
		dom = virDomainLookupByUUID(host->conn, id);
	if (dom == NULL)
		dom = virDomainLookupByName(host->conn, domain);
	if (dom != NULL)
		return dom;
	*absent = vmf_host_conn_is(VIR_ERR_NO_DOMAIN);
	if (!*absent)
		vmf_host_conn_fail(err, "%s", domain);
	return NULL;
}

virDomainPtr
vmf_host_conn_domain(
    struct vmf_host *host, const char *domain, struct vmf_error *err)
{
	bool absent;
	virDomainPtr dom = vmf_host_conn_lookup(host, domain, &absent, err);

	if (dom == NULL && absent)
		vmf_fail(err, VMF_REFUSED,
		    "%s: no such domain on %s; see `virsh list --all`", domain,
		    host->uri);
	return dom;
}

/* --- state */

static enum vmf_host_run
read_run(virDomainPtr dom)
{
	int state, reason;

	if (virDomainGetState(dom, &state, &reason, 0) == -1)
		return VMF_RUN_OTHER;
	switch (state) {
	case VIR_DOMAIN_SHUTOFF:
		return VMF_RUN_OFF;
	case VIR_DOMAIN_RUNNING:
	case VIR_DOMAIN_BLOCKED:
		return VMF_RUN_RUNNING;
	case VIR_DOMAIN_PAUSED:
		return VMF_RUN_PAUSED;
	default:
		return VMF_RUN_OTHER;
	}
}

/* A copy, pull or commit of one of its disks. */
static bool
has_block_job(virDomainPtr dom)
{
	char *xml = virDomainGetXMLDesc(dom, 0);
	struct vmf_domain *parsed =
	    xml == NULL ? NULL
			: vmf_domain_parse(xml, strlen(xml), "domain", NULL);
	const struct vmf_domain_model *model =
	    parsed == NULL ? NULL : vmf_domain_model(parsed, NULL);
	virDomainBlockJobInfo job;
	bool found = false;
	size_t i;

	for (i = 0; model != NULL && !found && i < model->ndisks; i++)
		found = virDomainGetBlockJobInfo(
			    dom, model->disks[i].target, &job, 0) == 1;
	vmf_domain_free(parsed);
	free(xml);
	return found;
}

static bool
has_job(virDomainPtr dom)
{
	virDomainJobInfo job;

	/* A domain that is off has none. */
	if (virDomainIsActive(dom) != 1)
		return false;
	if (virDomainGetJobInfo(dom, &job) == 0 &&
	    (job.type == VIR_DOMAIN_JOB_BOUNDED ||
		job.type == VIR_DOMAIN_JOB_UNBOUNDED))
		return true;
	return has_block_job(dom);
}

static int
count_checkpoints(virDomainPtr dom)
{
	virDomainCheckpointPtr *list = NULL;
	int n = virDomainListAllCheckpoints(dom, &list, 0), i;

	for (i = 0; i < n; i++)
		virDomainCheckpointFree(list[i]);
	free(list);
	return n < 0 ? 0 : n; /* a driver without any */
}

static int
read_state(
    virDomainPtr dom, struct vmf_host_state *state, struct vmf_error *err)
{
	const char *name = virDomainGetName(dom);
	int persistent, saved, autostart = 0;

	memset(state, 0, sizeof(*state));
	if (name == NULL || virDomainGetUUIDString(dom, state->uuid) == -1 ||
	    (persistent = virDomainIsPersistent(dom)) == -1)
		return vmf_host_conn_fail(err, "%s", name != NULL ? name : "");
	if ((saved = virDomainHasManagedSaveImage(dom, 0)) == -1 &&
	    !vmf_host_conn_is(VIR_ERR_NO_SUPPORT))
		return vmf_host_conn_fail(err, "%s", name);
	/* A transient domain has none, by an error. */
	if (persistent && virDomainGetAutostart(dom, &autostart) == -1)
		return vmf_host_conn_fail(err, "%s", name);
	snprintf(state->name, sizeof(state->name), "%s", name);
	state->run = read_run(dom);
	state->persistent = persistent == 1;
	state->managed_save = saved == 1;
	state->autostart = autostart != 0;
	state->job = has_job(dom);
	state->snapshots = virDomainSnapshotNum(dom, 0);
	if (state->snapshots < 0)
		state->snapshots = 0;
	state->checkpoints = count_checkpoints(dom);
	return 0;
}

int
vmf_host_find(struct vmf_host *host, const char *domain,
    struct vmf_host_state *state, bool *found, struct vmf_error *err)
{
	bool absent;
	virDomainPtr dom = vmf_host_conn_lookup(host, domain, &absent, err);
	int rc;

	*found = dom != NULL;
	if (dom == NULL)
		return absent ? 0 : -1;
	rc = read_state(dom, state, err);
	virDomainFree(dom);
	return rc;
}

int
vmf_host_state(struct vmf_host *host, const char *domain,
    struct vmf_host_state *state, struct vmf_error *err)
{
	virDomainPtr dom = vmf_host_conn_domain(host, domain, err);
	int rc;

	if (dom == NULL)
		return -1;
	rc = read_state(dom, state, err);
	virDomainFree(dom);
	return rc;
}

const char *
vmf_host_run_name(enum vmf_host_run run)
{
	static const char *const names[] = {[VMF_RUN_OFF] = "shut off",
	    [VMF_RUN_RUNNING] = "running",
	    [VMF_RUN_PAUSED] = "paused",
	    [VMF_RUN_OTHER] = "neither off nor running"};

	return names[run];
}

int
vmf_host_require_off(
    struct vmf_host *host, const char *domain, struct vmf_error *err)
{
	struct vmf_host_state state;

	if (vmf_host_state(host, domain, &state, err) == -1)
		return -1;
	if (state.run != VMF_RUN_OFF)
		return vmf_fail(err, VMF_REFUSED,
		    "%s is %s; shut it down first (`virsh shutdown`)",
		    state.name, vmf_host_run_name(state.run));
	if (!state.persistent)
		return vmf_fail(err, VMF_REFUSED,
		    "%s is transient: it has no definition to take along",
		    state.name);
	if (state.managed_save)
		return vmf_fail(err, VMF_REFUSED,
		    "%s has a managed save, RAM that belongs to its disks; "
		    "start it and shut it down, or `virsh managedsave-remove`",
		    state.name);
	if (state.job)
		return vmf_fail(err, VMF_REFUSED,
		    "%s has a job running; wait for it (virsh domjobinfo, virsh blockjob)",
		    state.name);
	return 0;
}

char *
vmf_host_xml(struct vmf_host *host, const char *domain, bool secure,
    struct vmf_error *err)
{
	unsigned flags = VIR_DOMAIN_XML_INACTIVE;
	virDomainPtr dom = vmf_host_conn_domain(host, domain, err);
	char *xml;

	if (dom == NULL)
		return NULL;
	if (secure)
		flags |= VIR_DOMAIN_XML_SECURE;
	if ((xml = virDomainGetXMLDesc(dom, flags)) == NULL)
		vmf_host_conn_fail(err, "%s", domain);
	virDomainFree(dom);
	return xml;
}

/* --- define */

static int
refuse_same(virDomainPtr dom, bool replace, struct vmf_error *err)
{
	struct vmf_host_state state;

	if (read_state(dom, &state, err) == -1)
		return -1;
	if (!replace)
		return vmf_fail(err, VMF_REFUSED,
		    "%s is defined already, with the same UUID; --replace "
		    "keeps its old XML in a file",
		    state.name);
	if (state.run != VMF_RUN_OFF)
		return vmf_fail(err, VMF_REFUSED,
		    "%s is %s; shut it down before it is replaced", state.name,
		    vmf_host_run_name(state.run));
	if (state.managed_save || state.job)
		return vmf_fail(err, VMF_REFUSED,
		    "%s has %s; end that before it is replaced", state.name,
		    state.job ? "a job running" : "a managed save");
	return 0;
}

int
vmf_host_check_identity(struct vmf_host *host, const char *name,
    const char *uuid, bool replace, struct vmf_error *err)
{
	virDomainPtr by_name = NULL, by_uuid = NULL;
	char other[VIR_UUID_STRING_BUFLEN] = "";
	int rc = -1;

	by_name = virDomainLookupByName(host->conn, name);
	if (by_name == NULL && !vmf_host_conn_is(VIR_ERR_NO_DOMAIN)) {
		vmf_host_conn_fail(err, "%s", name);
		goto out;
	}
	if (uuid != NULL) {
		by_uuid = virDomainLookupByUUIDString(host->conn, uuid);
		if (by_uuid == NULL && !vmf_host_conn_is(VIR_ERR_NO_DOMAIN)) {
			vmf_host_conn_fail(err, "%s", uuid);
			goto out;
		}
	}
	if (by_name != NULL && virDomainGetUUIDString(by_name, other) == -1)
		vmf_host_conn_fail(err, "%s", name);
	else if (by_uuid != NULL &&
		 strcmp(virDomainGetName(by_uuid), name) != 0)
		vmf_fail(err, VMF_REFUSED,
		    "%s: its UUID %s is that of domain %s here; a copy needs "
		    "--identity new",
		    name, uuid, virDomainGetName(by_uuid));
	else if (by_name != NULL && by_uuid == NULL)
		vmf_fail(err, VMF_REFUSED,
		    "%s: another domain has this name here (UUID %s); choose "
		    "another with --name",
		    name, other);
	else if (by_name != NULL)
		rc = refuse_same(by_name, replace, err);
	else
		rc = 0;
out:
	if (by_name != NULL)
		virDomainFree(by_name);
	if (by_uuid != NULL)
		virDomainFree(by_uuid);
	return rc;
}

int
vmf_host_define(struct vmf_host *host, const char *xml, bool replace,
    char **old, struct vmf_error *err)
{
	struct vmf_domain *parsed = NULL;
	const struct vmf_domain_model *model;
	virDomainPtr dom = NULL;
	struct vmf_host_state state;
	char *was = NULL;
	bool found;
	int rc = -1;

	if (old != NULL)
		*old = NULL;
	parsed = vmf_domain_parse(xml, strlen(xml), "domain", err);
	if (parsed == NULL || (model = vmf_domain_model(parsed, err)) == NULL)
		goto out;
	if (vmf_host_check_identity(
		host, model->name, model->uuid, replace, err) == -1 ||
	    vmf_host_find(host, model->name, &state, &found, err) == -1)
		goto out;
	if (found && (was = vmf_host_xml(host, model->name, true, err)) == NULL)
		goto out;
	if ((dom = virDomainDefineXML(host->conn, xml)) == NULL) {
		vmf_host_conn_fail(err, "%s cannot be defined", model->name);
		goto out;
	}
	if (old != NULL) {
		*old = was;
		was = NULL;
	}
	rc = 0;
out:
	if (dom != NULL)
		virDomainFree(dom);
	free(was);
	vmf_domain_free(parsed);
	return rc;
}

/* --- start, stop, undefine */

static int
act(struct vmf_host *host, const char *domain, int (*action)(virDomainPtr),
    const char *what, struct vmf_error *err)
{
	virDomainPtr dom = vmf_host_conn_domain(host, domain, err);
	int rc;

	if (dom == NULL)
		return -1;
	rc = action(dom);
	if (rc == -1)
		vmf_host_conn_fail(err, "%s cannot be %s", domain, what);
	virDomainFree(dom);
	return rc;
}

int
vmf_host_start(struct vmf_host *host, const char *domain, struct vmf_error *err)
{
	return act(host, domain, virDomainCreate, "started", err);
}

int
vmf_host_shutdown(
    struct vmf_host *host, const char *domain, struct vmf_error *err)
{
	return act(host, domain, virDomainShutdown, "shut down", err);
}

int
vmf_host_destroy(
    struct vmf_host *host, const char *domain, struct vmf_error *err)
{
	return act(host, domain, virDomainDestroy, "stopped", err);
}

/* libvirt deletes TPM state unless told not to (KEEP_TPM since 8.9). */
static int
undefine(virDomainPtr dom)
{
	unsigned keep = VIR_DOMAIN_UNDEFINE_KEEP_NVRAM;

	if (virDomainUndefineFlags(dom, keep | VIR_DOMAIN_UNDEFINE_KEEP_TPM) ==
	    0)
		return 0;
	/* The test driver knows no such flags, and keeps nothing either. */
	if (strcmp(virConnectGetType(virDomainGetConnect(dom)), "TEST") != 0)
		return -1;
	return virDomainUndefine(dom);
}

int
vmf_host_undefine(
    struct vmf_host *host, const char *domain, struct vmf_error *err)
{
	return act(host, domain, undefine, "undefined", err);
}

static int
autostart_on(virDomainPtr dom)
{
	return virDomainSetAutostart(dom, 1);
}

static int
autostart_off(virDomainPtr dom)
{
	return virDomainSetAutostart(dom, 0);
}

int
vmf_host_set_autostart(
    struct vmf_host *host, const char *domain, bool on, struct vmf_error *err)
{
	return act(host, domain, on ? autostart_on : autostart_off,
	    on ? "set to autostart" : "taken off autostart", err);
}
