/* hosts.c - see hosts.h */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

#include <vmferry/pack.h>
#include <vmferry/usage.h>

#include "cli.h"
#include "hosts.h"

/* The domains that are to fit. */
struct guests {
	struct vmf_usage_guest *v;
	char **xml;
	struct vmf_domain **doms;
	size_t n;
};

struct one {
	const char *uri;
	bool read;
	struct vmf_usage usage;
	bool fits;
	char why[1024]; /* it does not, or could not be asked */
};

/* ---- the guests ------------------------------------------------------------
 */

static uint64_t
allocated(struct vmf_host *host, const char *domain)
{
	static const uint8_t id[VMF_ID_LEN];
	struct vmf_pack_options o = {
	    .running = true, .no_files = true, .chunk = VMF_CHUNK_DEFAULT};
	struct vmf_error ignored;
	struct vmf_pack *pack = vmf_pack_open(host, domain, id, &o, &ignored);
	const struct vmf_package_image *image;
	uint64_t sum = 0;
	struct stat st;
	size_t i;

	for (i = 0; pack != NULL && i < vmf_pack_info(pack)->nimages; i++) {
		image = &vmf_pack_info(pack)->images[i];
		sum += stat(image->path, &st) == 0 && S_ISREG(st.st_mode)
			   ? (uint64_t)st.st_blocks * 512
			   : image->geo.size;
	}
	vmf_pack_free(pack);
	return sum;
}

/* One more, by name or UUID. */
static int
read_guest(struct guests *g, struct vmf_host *host, const char *domain,
    struct vmf_error *err)
{
	size_t n = g->n;

	g->xml[n] = vmf_host_xml(host, domain, false, err);
	if (g->xml[n] == NULL)
		return -1;
	g->n++;
	g->doms[n] =
	    vmf_domain_parse(g->xml[n], strlen(g->xml[n]), domain, err);
	if (g->doms[n] == NULL)
		return -1;
	g->v[n].model = vmf_domain_model(g->doms[n], err);
	g->v[n].xml = g->xml[n];
	g->v[n].room = allocated(host, domain);
	return g->v[n].model == NULL ? -1 : 0;
}

/* All domains of a host, or the one that was named. */
static int
read_guests(struct guests *g, struct vmf_host *host, const char *fit,
    struct vmf_error *err)
{
	struct vmf_usage usage = {.ndomains = 0};
	size_t i;
	int rc;

	if (fit == NULL && vmf_usage_read(host, &usage, err) < 0)
		return -1;
	g->v = calloc(usage.ndomains + 1, sizeof(*g->v));
	g->xml = calloc(usage.ndomains + 1, sizeof(char *));
	g->doms = calloc(usage.ndomains + 1, sizeof(*g->doms));
	rc = g->v == NULL || g->xml == NULL || g->doms == NULL
		 ? vmf_fail_errno(err, VMF_IO, "domains")
		 : 0;
	if (rc == 0 && fit != NULL)
		rc = read_guest(g, host, fit, err);
	for (i = 0; rc == 0 && i < usage.ndomains; i++)
		rc = read_guest(g, host, usage.domains[i].uuid, err);
	vmf_usage_clear(&usage);
	return rc;
}

static int
guests_read(
    struct guests *g, const struct hosts_ask *ask, struct vmf_error *err)
{
	struct vmf_host *host = vmf_host_open(ask->connect, err);
	int rc = host == NULL ? -1 : read_guests(g, host, ask->fit, err);

	vmf_host_free(host);
	return rc;
}

static void
guests_clear(struct guests *g)
{
	size_t i;

	for (i = 0; i < g->n; i++) {
		vmf_domain_free(g->doms[i]);
		free(g->xml[i]);
	}
	free(g->v);
	free(g->xml);
	free(g->doms);
}

/* ---- the hosts ------------------------------------------------------------
 */

static void
read_one(struct one *one, const struct guests *guests)
{
	struct vmf_error err = {0};
	struct vmf_host *host = vmf_host_open(one->uri, &err);

	if (one->uri == NULL && host != NULL)
		one->uri = VMF_HOST_URI;
	one->read =
	    host != NULL && vmf_usage_read(host, &one->usage, &err) == 0;
	if (one->read && guests != NULL)
		one->fits = vmf_usage_fits(host, &one->usage, guests->v,
				guests->n, &err) == 0;
	if (!one->read || (guests != NULL && !one->fits))
		snprintf(one->why, sizeof(one->why), "%s", err.msg);
	vmf_host_free(host);
}

/* Those that fit first, the most free memory first among them. */
static int
best_first(const void *a, const void *b)
{
	const struct one *x = a, *y = b;

	if (x->fits != y->fits)
		return x->fits ? -1 : 1;
	if (x->usage.available != y->usage.available)
		return x->usage.available > y->usage.available ? -1 : 1;
	return strcmp(
	    x->uri == NULL ? "" : x->uri, y->uri == NULL ? "" : y->uri);
}

/* ---- what is said ---------------------------------------------------------
 */

static void
print_domains(const struct vmf_usage *u)
{
	const struct vmf_usage_domain *d;
	char memory[VMF_SIZE_TEXT];
	size_t i;

	for (i = 0; i < u->ndomains; i++) {
		d = &u->domains[i];
		printf("  domain  %-24s %-10s %3u CPUs  %12s\n", d->name,
		    vmf_host_run_name(d->run), d->vcpus,
		    vmf_format_size(d->memory, memory));
	}
}

static void
print_pools(const struct vmf_usage *u)
{
	char size[VMF_SIZE_TEXT], used[VMF_SIZE_TEXT], free_[VMF_SIZE_TEXT];
	const struct vmf_usage_pool *p;
	size_t i;

	for (i = 0; i < u->npools; i++) {
		p = &u->pools[i];
		if (p->active)
			printf("  pool    %-24s %12s  %12s used  %12s free\n",
			    p->name, vmf_format_size(p->size, size),
			    vmf_format_size(p->used, used),
			    vmf_format_size(p->available, free_));
		else
			printf("  pool    %-24s not active\n", p->name);
	}
}

static void
print_host(const struct one *one)
{
	const struct vmf_usage *u = &one->usage;
	char total[VMF_SIZE_TEXT], used[VMF_SIZE_TEXT], free_[VMF_SIZE_TEXT];

	if (!one->read) {
		printf("%s: %s\n", one->uri == NULL ? VMF_HOST_URI : one->uri,
		    one->why);
		return;
	}
	printf("%s (%s)\n", u->facts.hostname, one->uri);
	printf(
	    "  cpu     %-24u %3u used by domains\n", u->facts.cpus, u->vcpus);
	printf("  memory  %-24s %12s used by domains  %12s free\n",
	    vmf_format_size(u->facts.memory, total),
	    vmf_format_size(u->memory, used),
	    vmf_format_size(u->available, free_));
	printf("  domains %zu defined or running, %zu of them on\n",
	    u->ndomains, u->running);
	print_domains(u);
	print_pools(u);
}

static void
print_fit(const struct one *one)
{
	char free_[VMF_SIZE_TEXT];

	if (one->fits)
		printf("fits  %s  %s of memory free, %u of %u CPUs used\n",
		    one->uri, vmf_format_size(one->usage.available, free_),
		    one->usage.vcpus, one->usage.facts.cpus);
	else
		printf("no    %s  %s\n",
		    one->uri == NULL ? VMF_HOST_URI : one->uri, one->why);
}

static json_t *
domains_json(const struct vmf_usage *u)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < u->ndomains; i++)
		json_array_append_new(
		    list, json_pack("{s:s*, s:s, s:i, s:I}", "name",
			      u->domains[i].name, "state",
			      vmf_host_run_name(u->domains[i].run), "cpus",
			      (int)u->domains[i].vcpus, "memory",
			      (json_int_t)u->domains[i].memory));
	return list;
}

static json_t *
pools_json(const struct vmf_usage *u)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < u->npools; i++)
		json_array_append_new(
		    list, json_pack("{s:s*, s:b, s:I, s:I, s:I}", "name",
			      u->pools[i].name, "active", u->pools[i].active,
			      "size", (json_int_t)u->pools[i].size, "used",
			      (json_int_t)u->pools[i].used, "free",
			      (json_int_t)u->pools[i].available));
	return list;
}

static json_t *
host_json(const struct one *one, bool fit)
{
	const struct vmf_usage *u = &one->usage;
	json_t *root = json_pack("{s:s, s:b}", "uri",
	    one->uri == NULL ? VMF_HOST_URI : one->uri, "reached", one->read);

	if (fit)
		json_object_set_new(root, "fits", json_boolean(one->fits));
	if (one->why[0] != '\0')
		json_object_set_new(root, "why", json_string(one->why));
	if (!one->read)
		return root;
	json_object_set_new(root, "hostname", json_string(u->facts.hostname));
	json_object_set_new(root, "cpus",
	    json_pack("{s:i, s:i}", "total", (int)u->facts.cpus, "used",
		(int)u->vcpus));
	json_object_set_new(root, "memory",
	    json_pack("{s:I, s:I, s:I}", "total", (json_int_t)u->facts.memory,
		"used", (json_int_t)u->memory, "free",
		(json_int_t)u->available));
	json_object_set_new(root, "domains", domains_json(u));
	json_object_set_new(root, "pools", pools_json(u));
	return root;
}

static int
print_json(const struct one *all, size_t n, bool fit, struct vmf_error *err)
{
	json_t *root = json_array();
	size_t i;
	int rc;

	for (i = 0; i < n; i++)
		json_array_append_new(root, host_json(&all[i], fit));
	rc = json_dumpf(root, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
	json_decref(root);
	printf("\n");
	return rc == 0 ? 0 : vmf_fail(err, VMF_IO, "report: no memory");
}

/* 0 when what was asked for is there: every host, or one that fits. */
static int
verdict(const struct hosts_ask *ask, const struct one *all, size_t n,
    struct vmf_error *err)
{
	size_t i;

	if (ask->fit != NULL || ask->all)
		return all[0].fits ? 0
				   : vmf_fail(err, VMF_REFUSED,
					 "%s %s on none of these hosts",
					 ask->all ? "all domains" : ask->fit,
					 ask->all ? "fit" : "fits");
	for (i = 0; i < n; i++)
		if (!all[i].read)
			return vmf_fail(err, VMF_HYPERVISOR, "%s", all[i].why);
	return 0;
}

static int
show(const struct hosts_ask *ask, struct one *all, size_t n,
    struct vmf_error *err)
{
	bool fit = ask->fit != NULL || ask->all;
	struct guests guests = {.n = 0};
	int rc = 0;
	size_t i;

	if (fit && guests_read(&guests, ask, err) < 0) {
		guests_clear(&guests);
		return -1;
	}
	for (i = 0; i < n; i++) {
		all[i].uri = ask->uris[0] == NULL ? ask->connect : ask->uris[i];
		read_one(&all[i], fit ? &guests : NULL);
	}
	guests_clear(&guests);
	if (fit)
		qsort(all, n, sizeof(*all), best_first);
	if (ask->json)
		rc = print_json(all, n, fit, err);
	for (i = 0; !ask->json && i < n; i++)
		fit ? print_fit(&all[i]) : print_host(&all[i]);
	return rc < 0 ? -1 : verdict(ask, all, n, err);
}

int
hosts_show(const struct hosts_ask *ask, struct vmf_error *err)
{
	struct one *all;
	size_t i, n;
	int rc;

	for (n = 0; ask->uris[n] != NULL; n++)
		;
	if (n == 0)
		n = 1;
	all = calloc(n, sizeof(*all));
	if (all == NULL)
		return vmf_fail_errno(err, VMF_IO, "hosts");
	rc = show(ask, all, n, err);
	for (i = 0; i < n; i++)
		vmf_usage_clear(&all[i].usage);
	free(all);
	return rc;
}
