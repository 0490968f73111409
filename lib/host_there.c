/* host_there.c - what a host has for a domain; see vmferry/host.h */
#include <arpa/inet.h>
#include <ctype.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "domain_tree.h"
#include "host_conn.h"
#include "xml.h"

/* --- libvirt's own objects */

int
vmf_host_network(struct vmf_host *host, const char *name, bool *found,
    bool *active, struct vmf_error *err)
{
	virNetworkPtr network = virNetworkLookupByName(host->conn, name);
	int is_active;

	*found = network != NULL;
	*active = false;
	if (network == NULL)
		return vmf_host_conn_is(VIR_ERR_NO_NETWORK)
			   ? 0
			   : vmf_host_conn_fail(err, "network %s", name);
	is_active = virNetworkIsActive(network);
	virNetworkFree(network);
	if (is_active == -1)
		return vmf_host_conn_fail(err, "network %s", name);
	*active = is_active == 1;
	return 0;
}

static bool
has_network(struct vmf_host *host, const char *name)
{
	bool found, active;

	return vmf_host_network(host, name, &found, &active, NULL) == 0 &&
	       found;
}

int
vmf_host_portgroup(struct vmf_host *host, const char *network,
    const char *portgroup, bool *has, struct vmf_error *err)
{
	virNetworkPtr found = virNetworkLookupByName(host->conn, network);
	char *xml = found == NULL ? NULL : virNetworkGetXMLDesc(found, 0);
	xmlDoc *doc = NULL;
	xmlNode *node;
	int rc = -1;

	*has = false;
	if (xml == NULL) {
		vmf_host_conn_fail(err, "network %s", network);
	} else if ((doc = vmf_xml_parse(xml, strlen(xml), err)) != NULL) {
		node = vmf_domain_tree_child(
		    xmlDocGetRootElement(doc), "portgroup");
		for (; node != NULL && !*has;
		     node = vmf_domain_tree_next(node, "portgroup"))
			*has = vmf_domain_tree_attr_is(node, "name", portgroup);
		rc = 0;
	}
	xmlFreeDoc(doc);
	free(xml);
	if (found != NULL)
		virNetworkFree(found);
	return rc;
}

static bool
has_nwfilter(struct vmf_host *host, const char *name)
{
	virNWFilterPtr filter = virNWFilterLookupByName(host->conn, name);

	if (filter == NULL)
		return false;
	virNWFilterFree(filter);
	return true;
}

int
vmf_host_pool(struct vmf_host *host, const char *name, bool *found,
    bool *active, struct vmf_error *err)
{
	virStoragePoolPtr pool = virStoragePoolLookupByName(host->conn, name);
	int is_active;

	*found = pool != NULL;
	*active = false;
	if (pool == NULL)
		return vmf_host_conn_is(VIR_ERR_NO_STORAGE_POOL)
			   ? 0
			   : vmf_host_conn_fail(err, "storage pool %s", name);
	is_active = virStoragePoolIsActive(pool);
	virStoragePoolFree(pool);
	if (is_active == -1)
		return vmf_host_conn_fail(err, "storage pool %s", name);
	*active = is_active == 1;
	return 0;
}

static bool
has_pool(struct vmf_host *host, const char *name)
{
	bool found, active;

	return vmf_host_pool(host, name, &found, &active, NULL) == 0 && found;
}

static bool
has_secret(struct vmf_host *host, const char *name)
{
	virSecretPtr secret = vmf_host_secret_find(host, name);

	if (secret == NULL)
		return false;
	virSecretFree(secret);
	return true;
}

char *
vmf_host_volume_path(struct vmf_host *host, const char *pool,
    const char *volume, struct vmf_error *err)
{
	virStoragePoolPtr in = virStoragePoolLookupByName(host->conn, pool);
	virStorageVolPtr vol = NULL;
	char *path = NULL;

	if (in == NULL) {
		vmf_host_conn_fail(err, "pool %s", pool);
		return NULL;
	}
	vol = virStorageVolLookupByName(in, volume);
	if (vol == NULL || (path = virStorageVolGetPath(vol)) == NULL)
		vmf_host_conn_fail(err, "volume %s in pool %s", volume, pool);
	if (vol != NULL)
		virStorageVolFree(vol);
	virStoragePoolFree(in);
	return path;
}

/* --- the machine itself */

static bool
has_netdev(const char *name)
{
	char path[64 + VMF_MAP_NAME_MAX];

	if (name[0] == '/') /* a vDPA device */
		return access(name, F_OK) == 0;
	if (strchr(name, '/') != NULL || strlen(name) >= VMF_MAP_NAME_MAX)
		return false;
	snprintf(path, sizeof(path), "/sys/class/net/%s", name);
	return access(path, F_OK) == 0;
}

bool
vmf_host_is_linux_bridge(const char *name)
{
	char path[64 + VMF_MAP_NAME_MAX];

	if (strchr(name, '/') != NULL || strlen(name) >= VMF_MAP_NAME_MAX)
		return false;
	snprintf(path, sizeof(path), "/sys/class/net/%s/bridge", name);
	return access(path, F_OK) == 0;
}

/* A host's name is for the resolver at start; only numbers can be checked. */
static bool
has_address(const char *want)
{
	char text[NI_MAXHOST];
	struct ifaddrs *all, *a;
	unsigned char bytes[16];
	bool found = false;

	if (inet_pton(AF_INET, want, bytes) != 1 &&
	    inet_pton(AF_INET6, want, bytes) != 1)
		return true;
	if (getifaddrs(&all) == -1)
		return true;
	for (a = all; a != NULL && !found; a = a->ifa_next) {
		if (a->ifa_addr == NULL ||
		    (a->ifa_addr->sa_family != AF_INET &&
			a->ifa_addr->sa_family != AF_INET6))
			continue;
		if (getnameinfo(a->ifa_addr,
			a->ifa_addr->sa_family == AF_INET
			    ? sizeof(struct sockaddr_in)
			    : sizeof(struct sockaddr_in6),
			text, sizeof(text), NULL, 0, NI_NUMERICHOST) != 0)
			continue;
		text[strcspn(text, "%")] = '\0'; /* fe80::1%eth0 */
		found = strcmp(text, want) == 0;
	}
	freeifaddrs(all);
	return found;
}

/*
 * Every number of a set "0-3,^2,7" is below limit.  What cannot be read is for
 * libvirt to refuse.
 */
static bool
is_set_below(const char *set, unsigned long limit)
{
	unsigned long n;
	const char *p = set;
	char *end;

	while (*p != '\0') {
		if (!isdigit((unsigned char)*p)) {
			p++;
			continue;
		}
		n = strtoul(p, &end, 10);
		if (n >= limit)
			return false;
		p = end;
	}
	return true;
}

static bool
has_cpus(struct vmf_host *host, const char *set)
{
	int n = virNodeGetCPUMap(host->conn, NULL, NULL, 0);

	return n <= 0 || is_set_below(set, (unsigned long)n);
}

static bool
has_nodes(struct vmf_host *host, const char *set)
{
	virNodeInfo node;

	return virNodeGetInfo(host->conn, &node) == -1 ||
	       is_set_below(set, node.nodes);
}

bool
vmf_host_there(void *ctx, enum vmf_domain_ask ask, const char *value)
{
	struct vmf_host *host = ctx;

	switch (ask) {
	case VMF_ASK_PATH:
		return !host->local || access(value, F_OK) == 0;
	case VMF_ASK_BRIDGE:
	case VMF_ASK_DEVICE:
		return !host->local || has_netdev(value);
	case VMF_ASK_ADDRESS:
		return !host->local || has_address(value);
	case VMF_ASK_HOSTDEV:
		return !host->local || vmf_host_device_there(value);
	case VMF_ASK_NETWORK:
		return has_network(host, value);
	case VMF_ASK_NWFILTER:
		return has_nwfilter(host, value);
	case VMF_ASK_POOL:
		return has_pool(host, value);
	case VMF_ASK_SECRET:
		return has_secret(host, value);
	case VMF_ASK_CPUS:
		return has_cpus(host, value);
	case VMF_ASK_NODES:
		return has_nodes(host, value);
	}
	return true;
}
