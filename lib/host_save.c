/* host_save.c - see vmferry/host_save.h */
#include <stdlib.h>
#include <string.h>

#include <vmferry/host_save.h>

#include "host_conn.h"

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

static int
is_state(virDomainPtr dom, int wanted)
{
	int state, reason;

	return virDomainGetState(dom, &state, &reason, 0) == 0 &&
	       state == wanted;
}

static int
pause_it(virDomainPtr dom)
{
	return is_state(dom, VIR_DOMAIN_PAUSED) ? 0 : virDomainSuspend(dom);
}

static int
unpause_it(virDomainPtr dom)
{
	return is_state(dom, VIR_DOMAIN_RUNNING) ? 0 : virDomainResume(dom);
}

static int
hibernate_it(virDomainPtr dom)
{
	return virDomainPMSuspendForDuration(
	    dom, VIR_NODE_SUSPEND_TARGET_DISK, 0, 0);
}

static int
sleep_it(virDomainPtr dom)
{
	return virDomainPMSuspendForDuration(
	    dom, VIR_NODE_SUSPEND_TARGET_MEM, 0, 0);
}

static int
wake_it(virDomainPtr dom)
{
	return virDomainPMWakeup(dom, 0);
}

static int
abort_it(virDomainPtr dom)
{
	if (virDomainAbortJob(dom) == 0 ||
	    vmf_host_conn_is(VIR_ERR_OPERATION_INVALID))
		return 0; /* there is none, or no more */
	return -1;
}

int
vmf_host_pause(struct vmf_host *host, const char *domain, struct vmf_error *err)
{
	return act(host, domain, pause_it, "paused", err);
}

int
vmf_host_unpause(
    struct vmf_host *host, const char *domain, struct vmf_error *err)
{
	return act(host, domain, unpause_it, "let go on", err);
}

int
vmf_host_hibernate(
    struct vmf_host *host, const char *domain, struct vmf_error *err)
{
	return act(host, domain, hibernate_it, "hibernated", err);
}

int
vmf_host_sleep(struct vmf_host *host, const char *domain, struct vmf_error *err)
{
	return act(host, domain, sleep_it, "put to sleep", err);
}

int
vmf_host_wake(struct vmf_host *host, const char *domain, struct vmf_error *err)
{
	return act(host, domain, wake_it, "woken", err);
}

int
vmf_host_abort_job(
    struct vmf_host *host, const char *domain, struct vmf_error *err)
{
	return act(host, domain, abort_it, "freed of its job", err);
}

/* --- RAM */

int
vmf_host_save(struct vmf_host *host, const char *domain, const char *path,
    enum vmf_host_resume resume, struct vmf_error *err)
{
	static const unsigned flags[] = {[VMF_RESUME_AS_SAVED] = 0,
	    [VMF_RESUME_RUNNING] = VIR_DOMAIN_SAVE_RUNNING,
	    [VMF_RESUME_PAUSED] = VIR_DOMAIN_SAVE_PAUSED};
	virDomainPtr dom;
	int rc;

	if (path[0] != '/' || strncmp(path, "/dev/", 5) == 0 ||
	    strncmp(path, "/proc/", 6) == 0)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: libvirt would lose the state there; name a file",
		    path);
	dom = vmf_host_conn_domain(host, domain, err);
	if (dom == NULL)
		return -1;
	rc = virDomainSaveFlags(dom, path, NULL, flags[resume]);
	if (rc == -1)
		vmf_host_conn_fail(err, "%s cannot be saved", domain);
	virDomainFree(dom);
	return rc;
}

int
vmf_host_restore(struct vmf_host *host, const char *path, const char *xml,
    enum vmf_host_resume resume, struct vmf_error *err)
{
	static const unsigned flags[] = {[VMF_RESUME_AS_SAVED] = 0,
	    [VMF_RESUME_RUNNING] = VIR_DOMAIN_SAVE_RUNNING,
	    [VMF_RESUME_PAUSED] = VIR_DOMAIN_SAVE_PAUSED};

	if (virDomainRestoreFlags(host->conn, path, xml, flags[resume]) == -1)
		return vmf_host_conn_fail(err, "cannot be restored");
	return 0;
}

/* --- what goes on */

/* A statistic in bytes, 0 for none. */
static uint64_t
statistic(virTypedParameterPtr params, int n, const char *name)
{
	unsigned long long v = 0;

	if (virTypedParamsGetULLong(params, n, name, &v) != 1)
		return 0;
	return v;
}

int
vmf_host_job(struct vmf_host *host, const char *domain,
    struct vmf_host_job *job, struct vmf_error *err)
{
	virDomainPtr dom = vmf_host_conn_domain(host, domain, err);
	virTypedParameterPtr params = NULL;
	int type, n = 0, rc = 0;

	memset(job, 0, sizeof(*job));
	if (dom == NULL)
		return -1;
	if (virDomainGetJobStats(dom, &type, &params, &n, 0) == -1) {
		/* A domain that is off has none, and says so by an error. */
		if (!vmf_host_conn_is(VIR_ERR_OPERATION_INVALID))
			rc = vmf_host_conn_fail(err, "%s", domain);
	} else if (type != VIR_DOMAIN_JOB_NONE) {
		job->running = true;
		job->total = statistic(params, n, VIR_DOMAIN_JOB_DATA_TOTAL);
		job->done = statistic(params, n, VIR_DOMAIN_JOB_DATA_PROCESSED);
		job->left = statistic(params, n, VIR_DOMAIN_JOB_DATA_REMAINING);
		/* In pages a second. */
		job->dirty_rate =
		    statistic(params, n, VIR_DOMAIN_JOB_MEMORY_DIRTY_RATE) *
		    statistic(params, n, VIR_DOMAIN_JOB_MEMORY_PAGE_SIZE);
		job->elapsed_ms =
		    statistic(params, n, VIR_DOMAIN_JOB_TIME_ELAPSED);
	}
	virTypedParamsFree(params, n);
	virDomainFree(dom);
	return rc;
}

char *
vmf_host_live_xml(
    struct vmf_host *host, const char *domain, struct vmf_error *err)
{
	virDomainPtr dom = vmf_host_conn_domain(host, domain, err);
	char *xml;

	if (dom == NULL)
		return NULL;
	xml = virDomainGetXMLDesc(
	    dom, VIR_DOMAIN_XML_SECURE | VIR_DOMAIN_XML_MIGRATABLE);
	if (xml == NULL)
		vmf_host_conn_fail(err, "%s", domain);
	virDomainFree(dom);
	return xml;
}
