/* host_fits.c - CPU features, memory and TPM for a domain; see vmferry/host.h
 */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libxml/parser.h>
#include <libxml/xpath.h>

#include <vmferry/run.h>

#include "host_conn.h"

#define TPM_USER "tss"

static xmlDoc *
parse(const char *text)
{
	return xmlReadMemory(text, (int)strlen(text), NULL, NULL,
	    XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
}

/* The first node of the path, or NULL. */
static xmlNode *
find(xmlDoc *doc, const char *path)
{
	xmlXPathContext *xpath = xmlXPathNewContext(doc);
	xmlXPathObject *all =
	    xpath == NULL ? NULL : xmlXPathEval(BAD_CAST path, xpath);
	xmlNode *node = NULL;

	if (all != NULL && all->nodesetval != NULL &&
	    all->nodesetval->nodeNr > 0)
		node = all->nodesetval->nodeTab[0];
	xmlXPathFreeObject(all);
	xmlXPathFreeContext(xpath);
	return node;
}

static bool
attribute_is(xmlNode *node, const char *name, const char *want)
{
	xmlChar *value = xmlGetProp(node, BAD_CAST name);
	bool is = value != NULL && strcmp((char *)value, want) == 0;

	xmlFree(value);
	return is;
}

/* The domain's <cpu> with a model of its own, as text; "" for none. */
static char *
own_cpu(const char *xml, bool *insists)
{
	xmlDoc *doc = parse(xml);
	xmlNode *cpu = doc == NULL ? NULL : find(doc, "/domain/cpu[model]");
	xmlBuffer *buf = xmlBufferCreate();
	char *text = NULL;

	*insists = cpu != NULL && !attribute_is(cpu, "check", "none");
	if (cpu != NULL && (attribute_is(cpu, "mode", "host-model") ||
			       attribute_is(cpu, "mode", "host-passthrough")))
		cpu = NULL;
	if (buf != NULL &&
	    (cpu == NULL || xmlNodeDump(buf, doc, cpu, 0, 0) > 0))
		text = strdup((const char *)xmlBufferContent(buf));
	xmlBufferFree(buf);
	xmlFreeDoc(doc);
	return text;
}

int
vmf_host_compare_cpu(struct vmf_host *host,
    const struct vmf_domain_model *model, const char *xml, bool *insists,
    struct vmf_error *err)
{
	char *cpu = own_cpu(xml, insists);
	const virError *error;
	int rc;

	if (cpu == NULL)
		return vmf_fail_errno(err, VMF_IO, "%s: CPU", model->name);
	rc = cpu[0] == '\0' ? VIR_CPU_COMPARE_IDENTICAL
			    : virConnectCompareHypervisorCPU(host->conn, NULL,
				  model->arch, model->machine, model->type, cpu,
				  VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE);
	free(cpu);
	if (rc == VIR_CPU_COMPARE_IDENTICAL || rc == VIR_CPU_COMPARE_SUPERSET)
		return 0;
	if (rc == VIR_CPU_COMPARE_ERROR &&
	    !vmf_host_conn_is(VIR_ERR_CPU_INCOMPATIBLE))
		return vmf_host_conn_is(VIR_ERR_NO_SUPPORT)
			   ? 0
			   : vmf_host_conn_fail(err, "%s: CPU", model->name);
	error = virGetLastError();
	return vmf_fail(err, VMF_REFUSED,
	    "%s: CPU model %s: %.400s; choose a model that both hosts have "
	    "(virsh domcapabilities, virsh hypervisor-cpu-baseline)",
	    model->name, model->cpu_model == NULL ? "" : model->cpu_model,
	    rc == VIR_CPU_COMPARE_ERROR && error != NULL &&
		    error->message != NULL
		? error->message
		: "this host does not have it");
}

int
vmf_host_memory(struct vmf_host *host, uint64_t *total, uint64_t *available,
    struct vmf_error *err)
{
	virNodeMemoryStats stats[16];
	int i, n = 16;

	*total = *available = 0;
	if (virNodeGetMemoryStats(host->conn, VIR_NODE_MEMORY_STATS_ALL_CELLS,
		stats, &n, 0) == 0) {
		for (i = 0; i < n; i++) {
			if (strcmp(stats[i].field,
				VIR_NODE_MEMORY_STATS_TOTAL) == 0)
				*total = (uint64_t)stats[i].value << 10;
			else /* free, buffers, cached */
				*available += (uint64_t)stats[i].value << 10;
		}
		return 0;
	}
	*available = virNodeGetFreeMemory(host->conn);
	if (*available == 0)
		return vmf_host_conn_fail(err, "%s: memory", host->uri);
	*total = *available;
	return 0;
}

static uint64_t
page_kib(xmlNode *page)
{
	static const struct {
		const char *unit;
		uint64_t kib;
	} units[] = {
	    {"M", 1024}, {"MiB", 1024}, {"G", 1 << 20}, {"GiB", 1 << 20}};
	xmlChar *size = xmlGetProp(page, BAD_CAST "size");
	uint64_t n = size == NULL ? 0 : strtoull((char *)size, NULL, 10);
	size_t i;

	xmlFree(size);
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (attribute_is(page, "unit", units[i].unit))
			return n * units[i].kib;
	return n;
}

int
vmf_host_hugepages(struct vmf_host *host, const char *xml, uint64_t *page_size,
    uint64_t *available, struct vmf_error *err)
{
	xmlDoc *doc = parse(xml);
	xmlNode *huge = NULL, *page = NULL;
	unsigned long long pages = 0;
	unsigned kib = 0;
	int n;

	if (doc != NULL) {
		huge = find(doc, "/domain/memoryBacking/hugepages");
		page = find(doc, "/domain/memoryBacking/hugepages/page");
	}
	if (huge != NULL)
		kib = page == NULL ? 2048 : (unsigned)page_kib(page);
	xmlFreeDoc(doc);
	*page_size = (uint64_t)kib << 10;
	*available = 0;
	if (kib == 0)
		return 0;
	n = virNodeGetFreePages(host->conn, 1, &kib, -1, 1, &pages, 0);
	if (n < 0)
		return vmf_host_conn_fail(err, "pages of %u KiB", kib);
	*available = pages * *page_size;
	return 0;
}

unsigned
vmf_host_max_vcpus(struct vmf_host *host, const struct vmf_domain_model *model)
{
	char *text = virConnectGetDomainCapabilities(
	    host->conn, NULL, model->arch, model->machine, model->type, 0);
	xmlDoc *doc = text == NULL ? NULL : parse(text);
	xmlNode *node =
	    doc == NULL ? NULL : find(doc, "/domainCapabilities/vcpu");
	xmlChar *max = node == NULL ? NULL : xmlGetProp(node, BAD_CAST "max");
	unsigned n = max == NULL ? 0 : (unsigned)strtoul((char *)max, NULL, 10);

	xmlFree(max);
	xmlFreeDoc(doc);
	free(text);
	return n;
}

static bool
has_program(const char *name)
{
	static const char *const dirs[] = {"/usr/bin", "/usr/local/bin", "/bin",
	    "/usr/sbin", "/usr/local/sbin"};
	char path[256];
	size_t i;

	for (i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dirs[i], name);
		if (access(path, X_OK) == 0)
			return true;
	}
	return false;
}

/* "TPM emulator version 0.7.1, Copyright ..." */
unsigned long
vmf_host_swtpm(void)
{
	static const char *const argv[] = {"swtpm", "--version", NULL};
	const struct vmf_run run = {.argv = argv, .seconds = 10};
	unsigned major, minor, patch;
	unsigned long version = 0;
	char *text = NULL;

	if (vmf_run(&run, &text, NULL, NULL) == 0 &&
	    sscanf(text, "TPM emulator version %u.%u.%u", &major, &minor,
		&patch) == 3)
		version = major * 1000000UL + minor * 1000UL + patch;
	free(text);
	return version;
}

static int
check_emulated_tpm(struct vmf_host *host, struct vmf_error *err)
{
	static const char *const programs[] = {"swtpm", "swtpm_setup"};
	size_t i;

	if (!host->local)
		return 0;
	for (i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		if (!has_program(programs[i]))
			return vmf_fail(err, VMF_REFUSED,
			    "an emulated TPM needs %s, which is not here; "
			    "install swtpm and swtpm-tools",
			    programs[i]);
	if (getpwnam(TPM_USER) == NULL)
		return vmf_fail(err, VMF_REFUSED,
		    "there is no user %s to own TPM state; install swtpm",
		    TPM_USER);
	return 0;
}

int
vmf_host_check_tpm(struct vmf_host *host, const struct vmf_domain_model *model,
    struct vmf_error *err)
{
	const struct vmf_domain_tpm *tpm = model->tpm;

	if (tpm == NULL || tpm->backend == NULL)
		return 0;
	if (strcmp(tpm->backend, "emulator") != 0)
		return vmf_fail(err, VMF_REFUSED,
		    "the TPM is a device of the host (%s), and its state "
		    "cannot travel; give the guest an emulated one",
		    tpm->backend);
	return check_emulated_tpm(host, err);
}

void
vmf_host_propose_network(struct vmf_host *host, char name[VMF_MAP_NAME_MAX])
{
	virNetworkPtr *list = NULL;
	const char *one;
	int i, n;

	name[0] = '\0';
	n = virConnectListAllNetworks(
	    host->conn, &list, VIR_CONNECT_LIST_NETWORKS_ACTIVE);
	for (i = 0; i < n; i++) {
		one = virNetworkGetName(list[i]);
		/* "default" before others, which come as they come. */
		if (name[0] == '\0' || strcmp(one, "default") == 0)
			snprintf(name, VMF_MAP_NAME_MAX, "%s", one);
		virNetworkFree(list[i]);
	}
	free(list);
}
