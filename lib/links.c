/* links.c - see vmferry/links.h */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vmferry/links.h>
#include <vmferry/units.h>

#include "domain_tree.h"
#include "links_conn.h"
#include "xml.h"

struct link {
	enum vmf_links_kind kind;
	xmlDoc *doc;
	char *name, *uuid; /* uuid may be NULL */
	bool there;	   /* the same is there already */
	bool made;
};

struct vmf_links {
	struct link *v;
	size_t n;
};

static const struct {
	const char *name, *element;
	enum vmf_domain_ask ask;
} kinds[VMF_LINKS_KINDS] = {
    [VMF_LINKS_NETWORK] = {"network", "network", VMF_ASK_NETWORK},
    [VMF_LINKS_POOL] = {"pool", "pool", VMF_ASK_POOL},
    [VMF_LINKS_NWFILTER] = {"nwfilter", "filter", VMF_ASK_NWFILTER},
};

const char *
vmf_links_kind_name(enum vmf_links_kind kind)
{
	return kinds[kind].name;
}

struct vmf_links *
vmf_links_new(struct vmf_error *err)
{
	struct vmf_links *links = calloc(1, sizeof(*links));

	if (links == NULL)
		vmf_fail_errno(err, VMF_IO, "networks");
	return links;
}

static void
link_clear(struct link *link)
{
	xmlFreeDoc(link->doc);
	free(link->name);
	free(link->uuid);
}

void
vmf_links_free(struct vmf_links *links)
{
	size_t i;

	if (links == NULL)
		return;
	for (i = 0; i < links->n; i++)
		link_clear(&links->v[i]);
	free(links->v);
	free(links);
}

/* ---- what is brought ----------------------------------------------------- */

/* Bounded by the parser's depth. */
static bool
is_foreign(const xmlNode *node)
{
	const xmlAttr *attr;

	if (node->type != XML_ELEMENT_NODE)
		return false;
	if (node->ns != NULL)
		return true;
	for (attr = node->properties; attr != NULL; attr = attr->next)
		if (attr->ns != NULL)
			return true;
	for (node = node->children; node != NULL; node = node->next)
		if (is_foreign(node))
			return true;
	return false;
}

/* A nwfilter's name is an attribute, the others' an element. */
static char *
read_name(enum vmf_links_kind kind, const xmlNode *root)
{
	return kind == VMF_LINKS_NWFILTER
		   ? vmf_domain_tree_attr(root, "name")
		   : vmf_domain_tree_text(vmf_domain_tree_child(root, "name"));
}

static int
map_path(
    xmlNode *node, const char *attr, struct vmf_map *map, struct vmf_error *err)
{
	char *was = attr == NULL ? vmf_domain_tree_text(node)
				 : vmf_domain_tree_attr(node, attr);
	char *to = NULL;
	int rc = 0;

	if (was != NULL && was[0] == '/')
		rc = vmf_map_path(map, was, &to, err);
	if (rc == 0 && to != NULL)
		rc = attr == NULL
			 ? vmf_domain_tree_set_text(node, to, err)
			 : vmf_domain_tree_set_attr(node, attr, to, err);
	free(was);
	free(to);
	return rc;
}

/* A pool lies in a directory, or on devices. */
static int
map_pool(const xmlNode *root, struct vmf_map *map, struct vmf_error *err)
{
	xmlNode *source = vmf_domain_tree_child(root, "source"), *device;
	xmlNode *path = vmf_domain_tree_find(root, "target/path");

	if (map == NULL)
		return 0;
	if (path != NULL && map_path(path, NULL, map, err) == -1)
		return -1;
	for (device = vmf_domain_tree_child(source, "device"); device != NULL;
	     device = vmf_domain_tree_next(device, "device"))
		if (map_path(device, "path", map, err) == -1)
			return -1;
	return 0;
}

static int
read_link(struct link *link, const char *xml, size_t len, uint32_t allow,
    struct vmf_error *err)
{
	const char *element = kinds[link->kind].element;
	xmlNode *root;

	if (len > VMF_LINKS_XML_MAX)
		return vmf_fail(err, VMF_INTEGRITY,
		    "a %s's XML is larger than 1 MiB", element);
	if ((link->doc = vmf_xml_parse(xml, len, err)) == NULL)
		return -1;
	root = xmlDocGetRootElement(link->doc);
	if (root == NULL || !is_element(root, element))
		return vmf_fail(
		    err, VMF_INTEGRITY, "is no libvirt %s", element);
	link->name = read_name(link->kind, root);
	link->uuid = vmf_domain_tree_text(vmf_domain_tree_child(root, "uuid"));
	if (link->name == NULL || strlen(link->name) >= VMF_MAP_NAME_MAX)
		return vmf_fail(
		    err, VMF_INTEGRITY, "a %s without a name", element);
	if ((allow & (UINT32_C(1) << VMF_NAMES_COMMANDLINE)) == 0 &&
	    is_foreign(root))
		return vmf_fail(err, VMF_REFUSED,
		    "%s %s has options for other programs in it; look at "
		    "them, then use --allow commandline",
		    kinds[link->kind].name, link->name);
	return 0;
}

int
vmf_links_add(struct vmf_links *links, enum vmf_links_kind kind,
    const char *xml, size_t len, struct vmf_map *map, uint32_t allow,
    struct vmf_error *err)
{
	struct link link = {.kind = kind}, *more;

	if (read_link(&link, xml, len, allow, err) == -1 ||
	    (kind == VMF_LINKS_POOL &&
		map_pool(xmlDocGetRootElement(link.doc), map, err) == -1))
		goto fail;
	more = realloc(links->v, (links->n + 1) * sizeof(*more));
	if (more == NULL) {
		vmf_fail_errno(err, VMF_IO, "%s", link.name);
		goto fail;
	}
	links->v = more;
	links->v[links->n++] = link;
	return 0;
fail:
	link_clear(&link);
	return -1;
}

size_t
vmf_links_count(const struct vmf_links *links, enum vmf_links_kind kind)
{
	size_t i, n = 0;

	for (i = 0; i < links->n; i++)
		n += links->v[i].kind == kind;
	return n;
}

bool
vmf_links_has(
    const struct vmf_links *links, enum vmf_domain_ask ask, const char *name)
{
	size_t i;

	for (i = 0; links != NULL && i < links->n; i++)
		if (kinds[links->v[i].kind].ask == ask &&
		    strcmp(links->v[i].name, name) == 0)
			return true;
	return false;
}

/* ---- is it the same -------------------------------------------------------
 */

/* What a host makes up for itself. */
static bool
is_of_host(const xmlNode *node)
{
	static const char *const own[] = {
	    "uuid", "mac", "capacity", "allocation", "available"};
	const xmlNode *parent = node->parent;
	size_t i;

	if (node->type != XML_ELEMENT_NODE)
		return node->type != XML_TEXT_NODE || xmlIsBlankNode(node);
	/* Owner and mode as they are found; and libvirt's empty <source>. */
	if (is_element(node, "permissions") ||
	    (is_element(node, "source") && node->properties == NULL &&
		xmlFirstElementChild((xmlNode *)node) == NULL))
		return true;
	if (parent->parent == NULL || parent->parent->type != XML_DOCUMENT_NODE)
		return false;
	for (i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (is_element(node, own[i]))
			return true;
	return false;
}

static const xmlNode *
skip_own(const xmlNode *node)
{
	while (node != NULL && is_of_host(node))
		node = node->next;
	return node;
}

/* Attributes in any order; those that tell of a running network do not count.
 */
static bool
has_attributes_of(const xmlNode *a, const xmlNode *b)
{
	const xmlAttr *attr;
	bool same = true;
	char *x, *y;

	for (attr = a->properties; same && attr != NULL; attr = attr->next) {
		if (strcmp((const char *)attr->name, "connections") == 0)
			continue;
		x = vmf_domain_tree_attr(a, (const char *)attr->name);
		y = vmf_domain_tree_attr(b, (const char *)attr->name);
		same = x != NULL && y != NULL && strcmp(x, y) == 0;
		free(x);
		free(y);
	}
	return same;
}

static bool
is_same(const xmlNode *a, const xmlNode *b)
{
	if (a->type != b->type)
		return false;
	if (a->type != XML_ELEMENT_NODE)
		return xmlStrEqual(a->content, b->content);
	if (!xmlStrEqual(a->name, b->name) || !has_attributes_of(a, b) ||
	    !has_attributes_of(b, a))
		return false;
	a = skip_own(a->children);
	b = skip_own(b->children);
	while (a != NULL && b != NULL && is_same(a, b)) {
		a = skip_own(a->next);
		b = skip_own(b->next);
	}
	return a == NULL && b == NULL;
}

static int
check_same(struct link *link, const char *xml, struct vmf_error *err)
{
	xmlDoc *doc = vmf_xml_parse(xml, strlen(xml), err);
	const char *kind = kinds[link->kind].name;

	if (doc == NULL)
		return -1;
	link->there =
	    is_same(xmlDocGetRootElement(link->doc), xmlDocGetRootElement(doc));
	xmlFreeDoc(doc);
	if (link->there)
		return 0;
	return vmf_fail(err, VMF_REFUSED,
	    "%s %s is here with other content; use it as it is (without "
	    "--with-%ss), or rename one of them",
	    kind, link->name, kind);
}

int
vmf_links_check(
    struct vmf_links *links, struct vmf_host *host, struct vmf_error *err)
{
	char other[VMF_MAP_NAME_MAX], *xml;
	struct link *link;
	size_t i;
	int rc;

	for (i = 0; i < links->n; i++) {
		link = &links->v[i];
		if (vmf_links_conn_get(
			host, link->kind, link->name, &xml, err) == -1)
			return -1;
		rc = xml == NULL ? 0 : check_same(link, xml, err);
		free(xml);
		if (rc == -1)
			return -1;
		if (link->there || link->uuid == NULL)
			continue;
		vmf_links_conn_by_uuid(host, link->kind, link->uuid, other);
		if (other[0] != '\0')
			return vmf_fail(err, VMF_REFUSED,
			    "%s %s has the UUID of %s here; map the domain to "
			    "that one instead",
			    kinds[link->kind].name, link->name, other);
	}
	return 0;
}

/* ---- defining --------------------------------------------------------------
 */

static int
define_one(struct link *link, struct vmf_host *host, struct vmf_error *err)
{
	xmlChar *xml = NULL;
	int len = 0, rc;

	xmlDocDumpMemory(link->doc, &xml, &len);
	if (xml == NULL) {
		errno = ENOMEM;
		return vmf_fail_errno(err, VMF_IO, "%s", link->name);
	}
	rc = vmf_links_conn_define(
	    host, link->kind, link->name, (const char *)xml, err);
	xmlFree(xml);
	link->made = rc == 0;
	return rc;
}

int
vmf_links_define(
    struct vmf_links *links, struct vmf_host *host, struct vmf_error *err)
{
	size_t i;

	for (i = 0; i < links->n; i++)
		if (!links->v[i].there && !links->v[i].made &&
		    define_one(&links->v[i], host, err) == -1) {
			vmf_links_undo(links, host);
			return -1;
		}
	return 0;
}

void
vmf_links_undo(struct vmf_links *links, struct vmf_host *host)
{
	size_t i;

	for (i = links->n; i-- > 0;)
		if (links->v[i].made) {
			vmf_links_conn_undefine(
			    host, links->v[i].kind, links->v[i].name);
			links->v[i].made = false;
		}
}

const char *
vmf_links_made(
    const struct vmf_links *links, size_t n, enum vmf_links_kind *kind)
{
	size_t i;

	for (i = 0; i < links->n; i++)
		if (links->v[i].made && n-- == 0) {
			*kind = links->v[i].kind;
			return links->v[i].name;
		}
	return NULL;
}
