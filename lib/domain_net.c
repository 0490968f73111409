/* domain_net.c - other networks, bridges and MACs; see vmferry/domain.h */
#include <stdlib.h>
#include <string.h>

#include "domain_tree.h"

static const struct {
	enum vmf_map_link_kind kind;
	const char *type; /* of the interface, and attribute of its source */
	const char *attr;
} links[] = {
    {VMF_LINK_NETWORK, "network", "network"},
    {VMF_LINK_BRIDGE, "bridge", "bridge"},
    {VMF_LINK_DIRECT, "direct", "dev"},
};
#define NLINKS (sizeof(links) / sizeof(links[0]))

/* What the interface is connected to now; its row in links, or NLINKS. */
static size_t
read_link(const xmlNode *interface, struct vmf_map_link *link)
{
	const xmlNode *source = vmf_domain_tree_child(interface, "source");
	char *name;
	size_t i;

	memset(link, 0, sizeof(*link));
	for (i = 0; i < NLINKS; i++)
		if (vmf_domain_tree_attr_is(interface, "type", links[i].type))
			break;
	if (i == NLINKS || source == NULL)
		return i;
	name = vmf_domain_tree_attr(source, links[i].attr);
	if (name != NULL && strlen(name) < sizeof(link->name)) {
		link->kind = links[i].kind;
		strcpy(link->name, name);
	}
	free(name);
	return i;
}

static int
set_link(xmlNode *interface, size_t was, const struct vmf_map_link *to,
    struct vmf_error *err)
{
	static const char *const attrs[] = {"network", "portgroup", "portid",
	    "bridge", "dev", "mode", "address", "path", "type"};
	xmlNode *source = vmf_domain_tree_child(interface, "source"), *port;
	xmlNode *mac;
	size_t i, now;

	for (now = 0; links[now].kind != to->kind;)
		now++;
	if (source == NULL) {
		if ((mac = vmf_domain_tree_child(interface, "mac")) == NULL)
			return vmf_fail(err, VMF_REFUSED,
			    "an interface has neither source nor MAC to map");
		source = vmf_domain_tree_insert_after(mac, "source", err);
		if (source == NULL)
			return -1;
	}
	if (now != was) {
		for (i = 0; i < sizeof(attrs) / sizeof(attrs[0]); i++)
			vmf_domain_tree_remove_attr(source, attrs[i]);
		/* Port profiles of bridges and of macvtap are not alike. */
		port = vmf_domain_tree_child(interface, "virtualport");
		if (port != NULL &&
		    (links[now].kind == VMF_LINK_DIRECT || was == NLINKS ||
			links[was].kind == VMF_LINK_DIRECT))
			vmf_domain_tree_remove(port);
		/* libvirt's default, vepa, needs a switch that reflects. */
		if (links[now].kind == VMF_LINK_DIRECT &&
		    vmf_domain_tree_set_attr(source, "mode", "bridge", err) ==
			-1)
			return -1;
		if (vmf_domain_tree_set_attr(
			interface, "type", links[now].type, err) == -1)
			return -1;
	}
	if (vmf_domain_tree_set_attr(source, links[now].attr, to->name, err) ==
	    -1)
		return -1;
	xmlHasNsProp(interface, BAD_CAST "type", NULL)->_private = MAPPED;
	vmf_domain_tree_vouch(source);
	return 0;
}

static int
map_interface(struct vmf_map *map, xmlNode *interface, struct vmf_error *err)
{
	char new_mac[VMF_MAP_MAC_TEXT];
	struct vmf_map_link from, to;
	size_t was = read_link(interface, &from);
	xmlNode *mac = vmf_domain_tree_child(interface, "mac");
	xmlNode *source = vmf_domain_tree_child(interface, "source");
	char *address = vmf_domain_tree_attr(mac, "address");
	int rc = 0;

	if (source == NULL || source->_private != MAPPED) {
		vmf_map_net(map, address, &from, &to, new_mac);
		if (new_mac[0] != '\0') {
			rc = vmf_domain_tree_set_attr(
			    mac, "address", new_mac, err);
			mac->_private = MAPPED;
		}
		if (rc == 0 && to.kind != VMF_LINK_NONE)
			rc = set_link(interface, was, &to, err);
	}
	free(address);
	return rc;
}

/* The attribute names a network or an address that a rule is about. */
static int
map_name(
    struct vmf_map *map, xmlNode *node, const char *attr, struct vmf_error *err)
{
	struct vmf_map_link from = {.kind = VMF_LINK_NETWORK}, to;
	char new_mac[VMF_MAP_MAC_TEXT];
	xmlAttr *found = xmlHasNsProp(node, BAD_CAST attr, NULL);
	char *name = vmf_domain_tree_attr(node, attr);
	int rc = 0;

	if (name != NULL && strlen(name) < sizeof(from.name) &&
	    found->_private != MAPPED) {
		strcpy(from.name, name);
		vmf_map_net(map, NULL, &from, &to, new_mac);
		if (to.kind == VMF_LINK_NETWORK) {
			rc = vmf_domain_tree_set_value(found, to.name, err);
			found->_private = MAPPED;
		}
	}
	free(name);
	return rc;
}

/* VNC and SPICE listen at addresses or on networks; libvirt says the first
 * address twice. */
static int
map_listens(struct vmf_map *map, xmlNode *graphics, struct vmf_error *err)
{
	xmlNode *listen;

	if (map_name(map, graphics, "listen", err) == -1)
		return -1;
	for (listen = vmf_domain_tree_child(graphics, "listen"); listen != NULL;
	     listen = vmf_domain_tree_next(listen, "listen"))
		if (map_name(map, listen, "network", err) == -1 ||
		    map_name(map, listen, "address", err) == -1)
			return -1;
	return 0;
}

int
vmf_domain_net_map(
    struct vmf_domain *dom, struct vmf_map *map, struct vmf_error *err)
{
	const xmlNode *devices = vmf_domain_tree_child(dom->root, "devices");
	xmlNode *node;

	dom->modelled = false;
	for (node = vmf_domain_tree_child(devices, "interface"); node != NULL;
	     node = vmf_domain_tree_next(node, "interface"))
		if (map_interface(map, node, err) == -1)
			return -1;
	for (node = vmf_domain_tree_child(devices, "graphics"); node != NULL;
	     node = vmf_domain_tree_next(node, "graphics"))
		if (map_listens(map, node, err) == -1)
			return -1;
	return 0;
}
