/* links_conn.c - see links_conn.h */
#include <stdio.h>

#include "host_conn.h"
#include "links_conn.h"

/* As it is defined, not as it runs; the test driver knows no such flag. */
static char *
network_xml(virNetworkPtr network)
{
	char *xml = virNetworkGetXMLDesc(network, VIR_NETWORK_XML_INACTIVE);

	return xml != NULL ? xml : virNetworkGetXMLDesc(network, 0);
}

static char *
pool_xml(virStoragePoolPtr pool)
{
	char *xml = virStoragePoolGetXMLDesc(pool, VIR_STORAGE_XML_INACTIVE);

	return xml != NULL ? xml : virStoragePoolGetXMLDesc(pool, 0);
}

int
vmf_links_conn_get(struct vmf_host *host, enum vmf_links_kind kind,
    const char *name, char **xml, struct vmf_error *err)
{
	virNetworkPtr network = NULL;
	virStoragePoolPtr pool = NULL;
	virNWFilterPtr filter = NULL;
	int absent = VIR_ERR_NO_NETWORK;

	*xml = NULL;
	switch (kind) {
	case VMF_LINKS_NETWORK:
		network = virNetworkLookupByName(host->conn, name);
		if (network != NULL)
			*xml = network_xml(network);
		break;
	case VMF_LINKS_POOL:
		absent = VIR_ERR_NO_STORAGE_POOL;
		pool = virStoragePoolLookupByName(host->conn, name);
		if (pool != NULL)
			*xml = pool_xml(pool);
		break;
	default:
		absent = VIR_ERR_NO_NWFILTER;
		filter = virNWFilterLookupByName(host->conn, name);
		if (filter != NULL)
			*xml = virNWFilterGetXMLDesc(filter, 0);
		break;
	}
	if (network != NULL)
		virNetworkFree(network);
	if (pool != NULL)
		virStoragePoolFree(pool);
	if (filter != NULL)
		virNWFilterFree(filter);
	if (*xml != NULL || vmf_host_conn_is(absent))
		return 0;
	return vmf_host_conn_fail(
	    err, "%s %s", vmf_links_kind_name(kind), name);
}

void
vmf_links_conn_by_uuid(struct vmf_host *host, enum vmf_links_kind kind,
    const char *uuid, char name[VMF_MAP_NAME_MAX])
{
	virNetworkPtr network = NULL;
	virStoragePoolPtr pool = NULL;
	virNWFilterPtr filter = NULL;
	const char *found = NULL;

	if (kind == VMF_LINKS_NETWORK) {
		network = virNetworkLookupByUUIDString(host->conn, uuid);
		if (network != NULL)
			found = virNetworkGetName(network);
	} else if (kind == VMF_LINKS_POOL) {
		pool = virStoragePoolLookupByUUIDString(host->conn, uuid);
		if (pool != NULL)
			found = virStoragePoolGetName(pool);
	} else {
		filter = virNWFilterLookupByUUIDString(host->conn, uuid);
		if (filter != NULL)
			found = virNWFilterGetName(filter);
	}
	snprintf(name, VMF_MAP_NAME_MAX, "%.255s", found == NULL ? "" : found);
	if (network != NULL)
		virNetworkFree(network);
	if (pool != NULL)
		virStoragePoolFree(pool);
	if (filter != NULL)
		virNWFilterFree(filter);
}

int
vmf_links_conn_define(struct vmf_host *host, enum vmf_links_kind kind,
    const char *name, const char *xml, struct vmf_error *err)
{
	virNetworkPtr network = NULL;
	virStoragePoolPtr pool = NULL;
	virNWFilterPtr filter = NULL;

	if (kind == VMF_LINKS_NETWORK)
		network = virNetworkDefineXML(host->conn, xml);
	else if (kind == VMF_LINKS_POOL)
		pool = virStoragePoolDefineXML(host->conn, xml, 0);
	else
		filter = virNWFilterDefineXML(host->conn, xml);
	if (network == NULL && pool == NULL && filter == NULL)
		return vmf_host_conn_fail(
		    err, "%s %s", vmf_links_kind_name(kind), name);
	if (network != NULL)
		virNetworkFree(network);
	if (pool != NULL)
		virStoragePoolFree(pool);
	if (filter != NULL)
		virNWFilterFree(filter);
	return 0;
}

void
vmf_links_conn_undefine(
    struct vmf_host *host, enum vmf_links_kind kind, const char *name)
{
	virNetworkPtr network;
	virStoragePoolPtr pool;
	virNWFilterPtr filter;

	if (kind == VMF_LINKS_NETWORK) {
		network = virNetworkLookupByName(host->conn, name);
		if (network != NULL) {
			virNetworkUndefine(network);
			virNetworkFree(network);
		}
	} else if (kind == VMF_LINKS_POOL) {
		pool = virStoragePoolLookupByName(host->conn, name);
		if (pool != NULL) {
			virStoragePoolUndefine(pool);
			virStoragePoolFree(pool);
		}
	} else {
		filter = virNWFilterLookupByName(host->conn, name);
		if (filter != NULL) {
			virNWFilterUndefine(filter);
			virNWFilterFree(filter);
		}
	}
}
