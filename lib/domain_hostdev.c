/* domain_hostdev.c - what a <hostdev> wants of the host; see domain_tree.h */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "domain_tree.h"

/* An attribute that libvirt writes as "0x06" or "6"; -1: there is none. */
static long
number(const xmlNode *node, const char *name)
{
	char *text = vmf_domain_tree_attr(node, name), *end = text;
	long n = text == NULL ? -1 : strtol(text, &end, 0);

	if (text == NULL || *text == '\0' || *end != '\0' || n < 0 ||
	    n > 0xffff)
		n = -1;
	free(text);
	return n;
}

static char *
pci_name(const xmlNode *source)
{
	const xmlNode *address = vmf_domain_tree_child(source, "address");
	long domain = number(address, "domain");
	long bus = number(address, "bus"), slot = number(address, "slot");
	long function = number(address, "function");
	char *name;

	if (bus < 0 || slot < 0 || function < 0 ||
	    asprintf(&name, "pci %04lx:%02lx:%02lx.%lx",
		domain < 0 ? 0 : domain, bus, slot, function) == -1)
		return NULL;
	return name;
}

/* By vendor and product, or where it is plugged in. */
static char *
usb_name(const xmlNode *source)
{
	const xmlNode *address = vmf_domain_tree_child(source, "address");
	long vendor = number(vmf_domain_tree_child(source, "vendor"), "id");
	long product = number(vmf_domain_tree_child(source, "product"), "id");
	long bus = number(address, "bus"), device = number(address, "device");
	char *name = NULL;

	if (vendor >= 0 && product >= 0) {
		if (asprintf(&name, "usb %04lx:%04lx", vendor, product) == -1)
			name = NULL;
	} else if (bus >= 0 && device >= 0 &&
		   asprintf(&name, "usb %03ld/%03ld", bus, device) == -1) {
		name = NULL;
	}
	return name;
}

static char *
mdev_name(const xmlNode *source)
{
	char *uuid = vmf_domain_tree_attr(
	    vmf_domain_tree_child(source, "address"), "uuid");
	char *name = NULL;

	if (uuid != NULL && asprintf(&name, "mdev %s", uuid) == -1)
		name = NULL;
	free(uuid);
	return name;
}

static char *
scsi_name(const xmlNode *source)
{
	char *adapter = vmf_domain_tree_attr(
	    vmf_domain_tree_child(source, "adapter"), "name");
	char *name = NULL;

	if (adapter != NULL && asprintf(&name, "scsi %s", adapter) == -1)
		name = NULL;
	free(adapter);
	return name;
}

char *
vmf_domain_hostdev_name(const xmlNode *hostdev)
{
	static const struct {
		const char *type;
		char *(*name)(const xmlNode *source);
	} kinds[] = {{"pci", pci_name}, {"usb", usb_name}, {"mdev", mdev_name},
	    {"scsi", scsi_name}};
	const xmlNode *source = vmf_domain_tree_child(hostdev, "source");
	size_t i;

	/* libvirt does not mind when an optional one is missing. */
	if (vmf_domain_tree_attr_is(source, "startupPolicy", "optional"))
		return NULL;
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (vmf_domain_tree_attr_is(hostdev, "type", kinds[i].type))
			return kinds[i].name(source);
	return NULL;
}
