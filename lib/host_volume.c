/* host_volume.c - volumes made in libvirt's pools: see vmferry/host.h */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/parser.h>
#include <libxml/tree.h>

#include "host_conn.h"

/* The child element of that name, or NULL. */
static xmlNode *
child(xmlNode *node, const char *name)
{
	xmlNode *n = node == NULL ? NULL : node->children;

	while (n != NULL && (n->type != XML_ELEMENT_NODE ||
				strcmp((const char *)n->name, name) != 0))
		n = n->next;
	return n;
}

/*
 * The directory of a pool whose volumes are plain files; *dir is NULL for one
 * of devices.
 */
static int
find_directory(
    virStoragePoolPtr pool, const char *name, char **dir, struct vmf_error *err)
{
	static const char *const files[] = {"dir", "fs", "netfs"};
	char *xml = virStoragePoolGetXMLDesc(pool, 0);
	xmlDoc *doc = NULL;
	xmlNode *root = NULL;
	xmlChar *type = NULL, *path = NULL;
	size_t i;
	int rc = -1;

	*dir = NULL;
	if (xml == NULL)
		return vmf_host_conn_fail(err, "pool %s", name);
	doc = xmlReadMemory(xml, (int)strlen(xml), "pool", NULL,
	    XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	if (doc != NULL)
		root = xmlDocGetRootElement(doc);
	if (root != NULL)
		type = xmlGetProp(root, (const xmlChar *)"type");
	path = xmlNodeGetContent(child(child(root, "target"), "path"));
	if (type == NULL) {
		vmf_fail(err, VMF_HYPERVISOR, "pool %s: has no type", name);
		goto out;
	}
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (strcmp((const char *)type, files[i]) == 0 && path != NULL)
			*dir = strdup((const char *)path);
	rc = 0;
out:
	xmlFree(type);
	xmlFree(path);
	xmlFreeDoc(doc);
	free(xml);
	return rc;
}

static int
create(virStoragePoolPtr pool, const char *pool_name, const char *name,
    uint64_t size, char **path, struct vmf_error *err)
{
	xmlChar *escaped = xmlEncodeSpecialChars(NULL, (const xmlChar *)name);
	virStorageVolPtr vol = NULL;
	char *xml = NULL;

	if (escaped == NULL ||
	    asprintf(&xml,
		"<volume><name>%s</name><capacity unit='bytes'>%" PRIu64
		"</capacity></volume>",
		(const char *)escaped, size) < 0)
		xml = NULL;
	xmlFree(escaped);
	if (xml == NULL)
		return vmf_fail_errno(err, VMF_IO, "volume %s", name);
	vol = virStorageVolCreateXML(pool, xml, 0);
	free(xml);
	if (vol == NULL)
		return vmf_host_conn_fail(
		    err, "volume %s in pool %s", name, pool_name);
	*path = virStorageVolGetPath(vol);
	if (*path == NULL) {
		vmf_host_conn_fail(
		    err, "volume %s in pool %s", name, pool_name);
		virStorageVolDelete(vol, 0);
	}
	virStorageVolFree(vol);
	return *path == NULL ? -1 : 0;
}

int
vmf_host_volume_make(struct vmf_host *host, const char *pool_name,
    const char *name, uint64_t size, char **path, bool *made,
    struct vmf_error *err)
{
	virStoragePoolPtr pool;
	char *dir = NULL;
	int rc = -1;

	*path = NULL;
	*made = false;
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return vmf_fail(err, VMF_REFUSED, "'%s' names no volume", name);
	/* One that is there is used as it is. */
	*path = vmf_host_volume_path(host, pool_name, name, NULL);
	if (*path != NULL)
		return 0;
	pool = virStoragePoolLookupByName(host->conn, pool_name);
	if (pool == NULL)
		return vmf_host_conn_fail(err, "pool %s", pool_name);
	if (find_directory(pool, pool_name, &dir, err) < 0)
		goto out;
	if (dir == NULL) {
		rc = create(pool, pool_name, name, size, path, err);
		*made = rc == 0;
	} else if (asprintf(path, "%s/%s", dir, name) < 0) {
		*path = NULL;
		vmf_fail_errno(err, VMF_IO, "volume %s", name);
	} else {
		rc = 0;
	}
out:
	free(dir);
	virStoragePoolFree(pool);
	return rc;
}

void
vmf_host_volume_remove(
    struct vmf_host *host, const char *pool_name, const char *name)
{
	virStoragePoolPtr pool =
	    virStoragePoolLookupByName(host->conn, pool_name);
	virStorageVolPtr vol =
	    pool == NULL ? NULL : virStorageVolLookupByName(pool, name);

	if (vol != NULL) {
		virStorageVolDelete(vol, 0);
		virStorageVolFree(vol);
	}
	if (pool != NULL)
		virStoragePoolFree(pool);
}

void
vmf_host_pool_refresh(struct vmf_host *host, const char *pool_name)
{
	virStoragePoolPtr pool =
	    virStoragePoolLookupByName(host->conn, pool_name);

	if (pool == NULL)
		return;
	virStoragePoolRefresh(pool, 0);
	virStoragePoolFree(pool);
}
