/*
 * domain_scan.c - what a domain still names of a host; see vmferry/domain.h
 *
 * Three questions for every element, attribute and text that nobody vouched
 * for: may an untrusted XML name it; is it there; was it mapped elsewhere?
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "domain_tree.h"

#define NVRAM_DIR "/var/lib/libvirt/qemu/nvram"

struct scan {
	struct vmf_domain *dom;
	const struct vmf_domain_scan *how;
};

/* --- findings */

/* xmlGetNodePath() calls an element with a prefix "*": enough to find it. */
static char *
xpath_of(const xmlNode *node, const xmlAttr *attr)
{
	return (char *)xmlGetNodePath(
	    attr != NULL ? (const xmlNode *)attr : node);
}

static int
add(const struct scan *scan, enum vmf_domain_kind kind, const xmlNode *node,
    const xmlAttr *attr, const char *value, const char *why)
{
	struct vmf_domain *dom = scan->dom;
	struct vmf_domain_finding *more, *finding;
	char *said = strdup(value != NULL ? value : "");

	if ((scan->how->allow & (UINT32_C(1) << kind)) != 0) {
		free(said);
		return 0;
	}
	more = realloc(dom->findings, (dom->nfindings + 1) * sizeof(*more));
	if (more == NULL) {
		free(said);
		dom->finding_strings.failed = true;
		return 0;
	}
	dom->findings = more;
	finding = &more[dom->nfindings];
	finding->kind = kind;
	finding->why = why;
	finding->value = vmf_domain_tree_keep(&dom->finding_strings, said);
	finding->xpath =
	    vmf_domain_tree_keep(&dom->finding_strings, xpath_of(node, attr));
	if (finding->value == NULL || finding->xpath == NULL)
		dom->finding_strings.failed = true;
	dom->nfindings++;
	return 0;
}

/* --- is it there */

static bool
is_there(const struct scan *scan, const struct place *place, const char *value)
{
	char *parent, *slash;
	bool there;

	if (scan->how->there == NULL || (place->how & PLACE_ASK) == 0)
		return true;
	if ((place->how & PLACE_PARENT) == 0)
		return scan->how->there(scan->how->ctx, place->ask, value);
	if ((parent = strdup(value)) == NULL)
		return false;
	if ((slash = strrchr(parent, '/')) != NULL)
		slash[slash == parent] = '\0';
	there = scan->how->there(scan->how->ctx, place->ask, parent);
	free(parent);
	return there;
}

static const char *
why_absent(enum vmf_domain_ask ask)
{
	switch (ask) {
	case VMF_ASK_PATH:
		return "no such file here";
	case VMF_ASK_NETWORK:
		return "no such network here";
	case VMF_ASK_BRIDGE:
		return "no such bridge here";
	case VMF_ASK_DEVICE:
		return "no such network device here";
	case VMF_ASK_NWFILTER:
		return "no such network filter here";
	case VMF_ASK_POOL:
		return "no such storage pool here";
	case VMF_ASK_SECRET:
		return "no such secret here";
	case VMF_ASK_CPUS:
		return "not all of these CPUs are here";
	case VMF_ASK_NODES:
		return "not all of these NUMA nodes are here";
	case VMF_ASK_ADDRESS:
		return "not an address of this host";
	case VMF_ASK_HOSTDEV:
		return "no such device here";
	}
	return "not here";
}

/* --- may it be named */

/* libvirt's own NVRAM directory, and there the domain's own file. */
static bool
is_own_nvram(const struct scan *scan, const char *value)
{
	char *plain = vmf_map_path_plain(value);
	size_t len = strlen(scan->dom->model.name);
	const char *base;
	bool own = false;

	if (plain != NULL && vmf_map_path_below(plain, NVRAM_DIR)) {
		base = plain + strlen(NVRAM_DIR) + 1;
		own = strlen(plain) > strlen(NVRAM_DIR) &&
		      strchr(base, '/') == NULL &&
		      strncmp(base, scan->dom->model.name, len) == 0 &&
		      strncmp(base + len, "_VARS.", 6) == 0;
	}
	free(plain);
	return own;
}

static bool
may_be_named(
    const struct scan *scan, const struct place *place, const char *value)
{
	if (!scan->how->untrusted || (place->how & PLACE_REFUSE) == 0 ||
	    vmf_domain_places_is_safe(place, value))
		return true;
	return place->kind == VMF_NAMES_NVRAM && value != NULL &&
	       is_own_nvram(scan, value);
}

/* What is passed on must be there to be passed on. */
static int
look_at_hostdev(const struct scan *scan, const xmlNode *node)
{
	char *name;
	int rc = 0;

	if (scan->how->there == NULL ||
	    (name = vmf_domain_hostdev_name(node)) == NULL)
		return 0;
	if (!scan->how->there(scan->how->ctx, VMF_ASK_HOSTDEV, name))
		rc = add(scan, VMF_NAMES_HOSTDEV, node, NULL, name,
		    why_absent(VMF_ASK_HOSTDEV));
	free(name);
	return rc;
}

static int
look_at_place(const struct scan *scan, const struct place *place, xmlNode *node,
    xmlAttr *attr, const char *value)
{
	bool vouched =
	    attr != NULL ? attr->_private == MAPPED : node->_private == MAPPED;
	bool element = value == NULL && attr == NULL;

	if (!vouched && !may_be_named(scan, place, value))
		return add(scan, place->kind, node, attr, value,
		    element ? "not to be had from a foreign XML"
			    : "neither mapped nor allowed");
	if (element && !vouched && strcmp(place->path, "devices/hostdev") == 0)
		return look_at_hostdev(scan, node);
	if (!element && value[0] != '\0' &&
	    (vouched || !vmf_domain_places_is_safe(place, value) ||
		place->ask == VMF_ASK_PATH) &&
	    !is_there(scan, place, value))
		return add(scan, place->kind, node, attr, value,
		    why_absent(place->ask));
	return 0;
}

/* --- what no table has */

/* The old path stands in value, alone or within other words. */
static bool
mentions(const char *value, const char *path)
{
	const char *p;
	size_t len = strlen(path);
	unsigned char before, behind;

	for (p = strstr(value, path); p != NULL; p = strstr(p + 1, path)) {
		before = p == value ? ' ' : (unsigned char)p[-1];
		behind = (unsigned char)p[len];
		if (!isalnum(before) && strchr("._-/", before) == NULL &&
		    !isalnum(behind) &&
		    (behind == '\0' || strchr("._-", behind) == NULL))
			return true;
	}
	return false;
}

static bool
was_mapped_elsewhere(const struct scan *scan, const char *value)
{
	size_t i;

	for (i = 0; i < scan->dom->gone.n; i++)
		if (mentions(value, scan->dom->gone.v[i]))
			return true;
	return false;
}

static bool
is_foreign(const char *path)
{
	return strchr(path, ':') != NULL;
}

static int
look_at_unknown(const struct scan *scan, const char *path, xmlNode *node,
    xmlAttr *attr, const char *value)
{
	enum vmf_domain_kind kind = VMF_NAMES_UNKNOWN;
	bool command = strncmp(path, "qemu:", 5) == 0;

	if (strncmp(path, "metadata", 8) == 0)
		kind = VMF_NAMES_METADATA;
	else if (command)
		kind = VMF_NAMES_COMMANDLINE;
	if (value == NULL && attr == NULL) {
		if (!scan->how->untrusted || kind != VMF_NAMES_UNKNOWN ||
		    node->parent->type != XML_ELEMENT_NODE)
			return 0;
		if (is_foreign(path) ||
		    !vmf_domain_places_is_known(node->parent, node))
			return add(scan, kind, node, NULL,
			    (const char *)node->name,
			    "not an element that vmferry knows");
		return 0;
	}
	if (was_mapped_elsewhere(scan, value))
		return add(scan, kind, node, attr, value,
		    "names what was mapped elsewhere");
	/* libvirt does not look into metadata, and managers must. */
	if (kind == VMF_NAMES_METADATA)
		return 0;
	if (scan->how->untrusted && kind == VMF_NAMES_UNKNOWN &&
	    (value[0] == '/' || is_foreign(path)))
		return add(scan, kind, node, attr, value,
		    "not an attribute or text that vmferry knows");
	if (value[0] == '/' && scan->how->there != NULL &&
	    !scan->how->there(scan->how->ctx, VMF_ASK_PATH, value))
		return add(
		    scan, kind, node, attr, value, why_absent(VMF_ASK_PATH));
	return 0;
}

static int
visit(void *ctx, const char *path, xmlNode *node, xmlAttr *attr,
    const char *value, struct vmf_error *err)
{
	const struct scan *scan = ctx;
	const struct place *place = vmf_domain_places_find(path);

	(void)err;
	if (place != NULL)
		return look_at_place(scan, place, node, attr, value);
	return look_at_unknown(scan, path, node, attr, value);
}

static int
refuse(const struct vmf_domain *dom, struct vmf_error *err)
{
	const struct vmf_domain_finding *first = &dom->findings[0];
	char more[48] = "";

	if (dom->nfindings > 1)
		snprintf(more, sizeof(more), " (and %zu more places)",
		    dom->nfindings - 1);
	return vmf_fail(err, VMF_REFUSED,
	    "%s%s%.200s%s: %s%s; map it or use --allow %s", first->xpath,
	    first->value[0] != '\0' ? " '" : "", first->value,
	    first->value[0] != '\0' ? "'" : "", first->why, more,
	    vmf_domain_allow_name(first->kind));
}

int
vmf_domain_scan(struct vmf_domain *dom, const struct vmf_domain_scan *how,
    struct vmf_error *err)
{
	struct scan scan = {.dom = dom, .how = how};
	const struct visit all = {
	    .visit = visit, .ctx = &scan, .metadata = true};

	free(dom->findings);
	dom->findings = NULL;
	dom->nfindings = 0;
	vmf_domain_tree_drop(&dom->finding_strings);
	if (vmf_domain_model(dom, err) == NULL ||
	    vmf_domain_places_walk(dom, &all, err) == -1)
		return -1;
	if (dom->finding_strings.failed)
		return vmf_domain_tree_no_memory(err);
	return dom->nfindings == 0 ? 0 : refuse(dom, err);
}

const struct vmf_domain_finding *
vmf_domain_scan_finding(const struct vmf_domain *dom, size_t n)
{
	return n < dom->nfindings ? &dom->findings[n] : NULL;
}
