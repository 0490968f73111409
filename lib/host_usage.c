/* host_usage.c - see vmferry/usage.h */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vmferry/units.h>
#include <vmferry/usage.h>

#include "host_conn.h"

static enum vmf_host_run
run_of(int state)
{
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

/* To be shown: control characters as '?'. */
static void
show_name(char to[VMF_MAP_NAME_MAX], const char *name)
{
	struct vmf_error harmless;

	vmf_fail(&harmless, VMF_OK, "%s", name == NULL ? "" : name);
	snprintf(to, VMF_MAP_NAME_MAX, "%.255s", harmless.msg);
}

/* One that went away meanwhile is left out. */
static void
add_domain(struct vmf_usage *usage, virDomainPtr dom)
{
	struct vmf_usage_domain *one = &usage->domains[usage->ndomains];
	virDomainInfo info;

	if (virDomainGetInfo(dom, &info) < 0 ||
	    virDomainGetUUIDString(dom, one->uuid) < 0)
		return;
	show_name(one->name, virDomainGetName(dom));
	one->run = run_of(info.state);
	one->vcpus = info.nrVirtCpu;
	one->memory =
	    (uint64_t)(one->run == VMF_RUN_OFF ? info.maxMem : info.memory)
	    << 10;
	usage->ndomains++;
	if (one->run == VMF_RUN_OFF)
		return;
	usage->running++;
	usage->vcpus += one->vcpus;
	usage->memory += one->memory;
}

static int
domain_order(const void *a, const void *b)
{
	const struct vmf_usage_domain *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int
read_domains(
    struct vmf_host *host, struct vmf_usage *usage, struct vmf_error *err)
{
	virDomainPtr *list = NULL;
	int i, n = virConnectListAllDomains(host->conn, &list, 0);

	if (n < 0)
		return vmf_host_conn_fail(err, "%s: domains", host->uri);
	usage->domains = calloc((size_t)n + 1, sizeof(*usage->domains));
	for (i = 0; i < n; i++) {
		if (usage->domains != NULL)
			add_domain(usage, list[i]);
		virDomainFree(list[i]);
	}
	free(list);
	if (usage->domains == NULL)
		return vmf_fail_errno(err, VMF_IO, "%s", host->uri);
	qsort(usage->domains, usage->ndomains, sizeof(*usage->domains),
	    domain_order);
	return 0;
}

static void
add_pool(struct vmf_usage *usage, virStoragePoolPtr pool)
{
	struct vmf_usage_pool *one = &usage->pools[usage->npools];
	virStoragePoolInfo info;

	if (virStoragePoolGetInfo(pool, &info) < 0)
		return;
	show_name(one->name, virStoragePoolGetName(pool));
	one->active = info.state == VIR_STORAGE_POOL_RUNNING;
	one->size = info.capacity;
	one->used = info.allocation;
	one->available = info.available;
	usage->npools++;
}

static int
pool_order(const void *a, const void *b)
{
	const struct vmf_usage_pool *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int
read_pools(
    struct vmf_host *host, struct vmf_usage *usage, struct vmf_error *err)
{
	virStoragePoolPtr *list = NULL;
	int i, n = virConnectListAllStoragePools(host->conn, &list, 0);

	if (n < 0)
		return vmf_host_conn_is(VIR_ERR_NO_SUPPORT)
			   ? 0
			   : vmf_host_conn_fail(
				 err, "%s: storage pools", host->uri);
	usage->pools = calloc((size_t)n + 1, sizeof(*usage->pools));
	for (i = 0; i < n; i++) {
		if (usage->pools != NULL)
			add_pool(usage, list[i]);
		virStoragePoolFree(list[i]);
	}
	free(list);
	if (usage->pools == NULL)
		return vmf_fail_errno(err, VMF_IO, "%s", host->uri);
	qsort(usage->pools, usage->npools, sizeof(*usage->pools), pool_order);
	return 0;
}

int
vmf_usage_read(
    struct vmf_host *host, struct vmf_usage *usage, struct vmf_error *err)
{
	uint64_t total;

	memset(usage, 0, sizeof(*usage));
	if (vmf_host_facts(host, &usage->facts, err) == 0 &&
	    vmf_host_memory(host, &total, &usage->available, err) == 0 &&
	    read_domains(host, usage, err) == 0 &&
	    read_pools(host, usage, err) == 0)
		return 0;
	vmf_usage_clear(usage);
	return -1;
}

/* Room for each guest's disks in one pool: the largest guest first, each into
 * the pool with the most left. */
static int
find_room(const struct vmf_usage *usage, const struct vmf_usage_guest *guests,
    size_t nguests, struct vmf_error *err)
{
	uint64_t *left = calloc(usage->npools + 1, sizeof(*left));
	bool *done = calloc(nguests + 1, sizeof(*done));
	char want[VMF_SIZE_TEXT];
	size_t round, i, guest, pool;
	int rc = 0;

	if (left == NULL || done == NULL)
		rc = vmf_fail_errno(err, VMF_IO, "%s", usage->facts.hostname);
	for (i = 0; rc == 0 && i < usage->npools; i++)
		left[i] =
		    usage->pools[i].active ? usage->pools[i].available : 0;
	for (round = 0; rc == 0 && round < nguests; round++) {
		for (guest = nguests, i = 0; i < nguests; i++)
			if (!done[i] &&
			    (guest == nguests ||
				guests[i].room > guests[guest].room))
				guest = i;
		for (pool = 0, i = 1; i < usage->npools; i++)
			if (left[i] > left[pool])
				pool = i;
		done[guest] = true;
		if (guests[guest].room > left[pool])
			rc = vmf_fail(err, VMF_REFUSED,
			    "no storage pool has %s free for %s",
			    vmf_format_size(guests[guest].room, want),
			    guests[guest].model->name);
		else
			left[pool] -= guests[guest].room;
	}
	free(left);
	free(done);
	return rc;
}

/* What one guest needs by itself. */
static int
check_one(struct vmf_host *host, const struct vmf_usage *usage,
    const struct vmf_usage_guest *guest, struct vmf_error *err)
{
	const struct vmf_domain_model *model = guest->model;
	bool insists = false;

	if (vmf_host_check_runs(host, model, err) < 0)
		return -1;
	if (vmf_host_compare_cpu(host, model, guest->xml, &insists, err) < 0 &&
	    insists)
		return -1;
	if (model->vcpus > usage->facts.cpus)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: %u CPUs wanted, it has %u", model->name, model->vcpus,
		    usage->facts.cpus);
	return 0;
}

int
vmf_usage_fits(struct vmf_host *host, const struct vmf_usage *usage,
    const struct vmf_usage_guest *guests, size_t nguests, struct vmf_error *err)
{
	char want[VMF_SIZE_TEXT], have[VMF_SIZE_TEXT];
	uint64_t memory = 0;
	size_t i;

	for (i = 0; i < nguests; i++) {
		if (check_one(host, usage, &guests[i], err) < 0)
			return -1;
		memory += guests[i].model->memory;
	}
	if (memory > usage->available)
		return vmf_fail(err, VMF_REFUSED,
		    "%s of memory wanted, %s free",
		    vmf_format_size(memory, want),
		    vmf_format_size(usage->available, have));
	return find_room(usage, guests, nguests, err);
}

void
vmf_usage_clear(struct vmf_usage *usage)
{
	free(usage->domains);
	free(usage->pools);
	memset(usage, 0, sizeof(*usage));
}
