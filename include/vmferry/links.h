/*
 * links.h - networks, storage pools and network filters that a domain brings
 *
 * As a package has them (aux/network/NAME.xml, aux/pool/ and aux/nwfilter/),
 * in libvirt's own XML (https://libvirt.org/formatnetwork.html,
 * formatstorage.html, formatnwfilter.html).  The XML is taken for hostile: no
 * DOCTYPE, and no namespaces of other programs (options for dnsmasq, mount
 * and Ceph) unless VMF_NAMES_COMMANDLINE is allowed.
 *
 * Thread rule: one thread at a time.
 */
#ifndef VMFERRY_LINKS_H
#define VMFERRY_LINKS_H

#include <vmferry/domain.h>
#include <vmferry/host.h>

enum vmf_links_kind {
	VMF_LINKS_NETWORK,
	VMF_LINKS_POOL,
	VMF_LINKS_NWFILTER,
	VMF_LINKS_KINDS
};
/* "network", "pool", "nwfilter" */
const char *vmf_links_kind_name(enum vmf_links_kind kind);

#define VMF_LINKS_XML_MAX (UINT64_C(1) << 20)

struct vmf_links;

struct vmf_links *vmf_links_new(struct vmf_error *err);
void vmf_links_free(struct vmf_links *links); /* NULL-safe */

/*
 * Add one; paths of a pool go through map's path rules (NULL: none).
 * VMF_INTEGRITY: not such XML; VMF_REFUSED: a namespace that allow (see struct
 * vmf_domain_scan) does not.
 */
int vmf_links_add(struct vmf_links *links, enum vmf_links_kind kind,
    const char *xml, size_t len, struct vmf_map *map, uint32_t allow,
    struct vmf_error *err);
size_t vmf_links_count(const struct vmf_links *links, enum vmf_links_kind kind);

/*
 * Could all be defined?  One of the same name and content is left alone; of
 * other content, or another of the same UUID, is VMF_REFUSED.  What each host
 * makes up for itself is no content: UUID, a bridge's MAC, a pool's use.
 */
int vmf_links_check(
    struct vmf_links *links, struct vmf_host *host, struct vmf_error *err);
/* It will be there: for the callback of vmf_domain_scan(). */
bool vmf_links_has(
    const struct vmf_links *links, enum vmf_domain_ask ask, const char *name);

/* After that check, define those that are not there; none is started.  On
 * failure those that were made are taken away again. */
int vmf_links_define(
    struct vmf_links *links, struct vmf_host *host, struct vmf_error *err);
/* Take away what vmf_links_define() made. */
void vmf_links_undo(struct vmf_links *links, struct vmf_host *host);
/* The n-th that it made, or NULL: its kind and its name. */
const char *vmf_links_made(
    const struct vmf_links *links, size_t n, enum vmf_links_kind *kind);

#endif
