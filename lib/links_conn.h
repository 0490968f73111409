/* links_conn.h - libvirt's three sets of calls for three kinds of things, as
 * one (lib/links*.c only) */
#ifndef VMFERRY_LINKS_CONN_H
#define VMFERRY_LINKS_CONN_H

#include <vmferry/links.h>

/* Its XML, for the caller to free; NULL and 0: there is none. */
int vmf_links_conn_get(struct vmf_host *host, enum vmf_links_kind kind,
    const char *name, char **xml, struct vmf_error *err);
/* The name of the one with this UUID, or "". */
void vmf_links_conn_by_uuid(struct vmf_host *host, enum vmf_links_kind kind,
    const char *uuid, char name[VMF_MAP_NAME_MAX]);
int vmf_links_conn_define(struct vmf_host *host, enum vmf_links_kind kind,
    const char *name, const char *xml, struct vmf_error *err);
void vmf_links_conn_undefine(
    struct vmf_host *host, enum vmf_links_kind kind, const char *name);

#endif
