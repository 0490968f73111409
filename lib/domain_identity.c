/*
 * domain_identity.c - another name, and a machine of its own
 *
 * All that is new follows from the new UUID by SHA-256, so that a check, a
 * move and its resumption come to the same MACs and genid.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vmferry/digest.h>
#include <vmferry/units.h>

#include "domain_tree.h"

static void
format_uuid(const uint8_t id[VMF_ID_LEN], char text[VMF_DOMAIN_UUID_TEXT])
{
	char hex[2 * VMF_ID_LEN + 1];

	vmf_hex(id, VMF_ID_LEN, hex);
	snprintf(text, VMF_DOMAIN_UUID_TEXT, "%.8s-%.4s-%.4s-%.4s-%.12s", hex,
	    hex + 8, hex + 12, hex + 16, hex + 20);
}

/* Version 4, as RFC 9562 has it: the shape that everybody takes. */
static void
shape_uuid(uint8_t id[VMF_ID_LEN])
{
	id[6] = (uint8_t)((id[6] & 0x0f) | 0x40);
	id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
}

/* 32 bytes that follow from the UUID, what they are for and what was. */
static int
derive(const char *uuid, const char *what, const char *was,
    uint8_t bytes[VMF_SHA_LEN], struct vmf_error *err)
{
	char *text;
	int len = asprintf(&text, "vmferry %s %s %s", uuid, what, was);

	if (len == -1)
		return vmf_domain_tree_no_memory(err);
	len = vmf_sha256(text, (size_t)len, bytes, err);
	free(text);
	return len;
}

static int
derive_uuid(xmlNode *node, xmlAttr *attr, const char *uuid, const char *what,
    struct vmf_error *err)
{
	char text[VMF_DOMAIN_UUID_TEXT];
	uint8_t bytes[VMF_SHA_LEN];
	char *was = attr != NULL ? (char *)xmlNodeGetContent((xmlNode *)attr)
				 : vmf_domain_tree_text(node);
	int rc = derive(uuid, what, was != NULL ? was : "", bytes, err);

	free(was);
	if (rc == -1)
		return -1;
	shape_uuid(bytes);
	format_uuid(bytes, text);
	return attr != NULL ? vmf_domain_tree_set_value(attr, text, err)
			    : vmf_domain_tree_set_text(node, text, err);
}

/* --- the parts */

static int
new_mac(xmlNode *interface, const char *uuid, struct vmf_error *err)
{
	xmlNode *mac = vmf_domain_tree_child(interface, "mac"), *port;
	char *was = vmf_domain_tree_attr(mac, "address");
	char plain[VMF_MAP_MAC_TEXT], text[VMF_MAP_MAC_TEXT];
	uint8_t bytes[VMF_SHA_LEN];
	xmlAttr *id;
	int rc = 0;

	/* A MAC given by a rule is meant. */
	if (was != NULL && mac->_private != MAPPED &&
	    vmf_map_mac_plain(was, plain)) {
		rc = derive(uuid, "mac", plain, bytes, err);
		snprintf(text, sizeof(text), "%.8s:%02x:%02x:%02x", plain,
		    bytes[0], bytes[1], bytes[2]);
		if (rc == 0)
			rc =
			    vmf_domain_tree_set_attr(mac, "address", text, err);
	}
	free(was);
	/* Open vSwitch and VN-Link know a port by ids of its own. */
	port = vmf_domain_tree_find(interface, "virtualport/parameters");
	if (rc == 0 && port != NULL &&
	    (id = xmlHasProp(port, BAD_CAST "interfaceid")) != NULL)
		rc = derive_uuid(port, id, uuid, "interface", err);
	if (rc == 0 && port != NULL &&
	    (id = xmlHasProp(port, BAD_CAST "instanceid")) != NULL)
		rc = derive_uuid(port, id, uuid, "instance", err);
	return rc;
}

/* libvirt insists that SMBIOS says the domain's own UUID. */
static int
new_smbios(
    const struct vmf_domain *dom, const char *uuid, struct vmf_error *err)
{
	xmlNode *system = vmf_domain_tree_find(dom->root, "sysinfo/system");
	xmlNode *entry;

	for (entry = vmf_domain_tree_child(system, "entry"); entry != NULL;
	     entry = vmf_domain_tree_next(entry, "entry"))
		if (vmf_domain_tree_attr_is(entry, "name", "uuid") &&
		    vmf_domain_tree_set_text(entry, uuid, err) == -1)
			return -1;
	return 0;
}

static int
new_uuid(struct vmf_domain *dom, const char *uuid, struct vmf_error *err)
{
	const xmlNode *devices = vmf_domain_tree_child(dom->root, "devices");
	xmlNode *node = vmf_domain_tree_child(dom->root, "uuid");

	if (node == NULL)
		node = vmf_domain_tree_insert_after(
		    vmf_domain_tree_child(dom->root, "name"), "uuid", err);
	if (node == NULL || vmf_domain_tree_set_text(node, uuid, err) == -1 ||
	    new_smbios(dom, uuid, err) == -1)
		return -1;
	node = vmf_domain_tree_child(dom->root, "genid");
	if (node != NULL && derive_uuid(node, NULL, uuid, "genid", err) == -1)
		return -1;
	for (node = vmf_domain_tree_child(devices, "interface"); node != NULL;
	     node = vmf_domain_tree_next(node, "interface"))
		if (new_mac(node, uuid, err) == -1)
			return -1;
	return 0;
}

/*
 * The NVRAM file of the machine under its new name, or NULL when the path need
 * not change: .../web_VARS.fd becomes .../web2_VARS.fd; a file that does not
 * carry the name gets it when the machine is to be one of its own.
 */
static char *
nvram_path(const char *was, const char *old, const char *new, bool own)
{
	const char *base = strrchr(was, '/'), *ext;
	size_t len = strlen(old);
	char *path = NULL;

	base = base != NULL ? base + 1 : was;
	if (strncmp(base, old, len) == 0 && strchr("_.-", base[len]) != NULL) {
		if (strcmp(old, new) == 0 ||
		    asprintf(&path, "%.*s%s%s", (int)(base - was), was, new,
			base + len) == -1)
			return NULL;
		return path;
	}
	if (!own)
		return NULL;
	ext = strrchr(base, '.');
	if (asprintf(&path, "%.*s%s_VARS%s", (int)(base - was), was, new,
		ext != NULL ? ext : ".fd") == -1)
		return NULL;
	return path;
}

static int
new_nvram(struct vmf_domain *dom, const char *old, const char *new, bool own,
    struct vmf_error *err)
{
	const struct vmf_domain_model *model = vmf_domain_model(dom, err);
	char *path;
	int rc = 0;

	if (model == NULL)
		return -1;
	/* A block device is mapped or it stays. */
	if (model->nvram == NULL || strcmp(model->nvram_type, "file") != 0)
		return 0;
	path = nvram_path(model->nvram, old, new, own);
	if (path != NULL) {
		xmlNode *nvram = vmf_domain_tree_find(dom->root, "os/nvram");
		xmlNode *source = vmf_domain_tree_child(nvram, "source");

		vmf_domain_tree_gone(dom, model->nvram);
		if (source != NULL)
			rc =
			    vmf_domain_tree_set_attr(source, "file", path, err);
		else
			rc = vmf_domain_tree_set_text(nvram, path, err);
	}
	free(path);
	return rc;
}

static int
check_name(const char *name, struct vmf_error *err)
{
	if (name[0] == '\0' || strlen(name) >= VMF_MAP_NAME_MAX ||
	    strpbrk(name, "/\n") != NULL || strspn(name, " \t") == strlen(name))
		return vmf_fail(err, VMF_USAGE,
		    "'%s' is no name that libvirt would take", name);
	if (!xmlCheckUTF8(BAD_CAST name))
		return vmf_fail(
		    err, VMF_USAGE, "the new name is not valid UTF-8");
	return 0;
}

/* The new UUID's text; same tells that the domain has it. */
static int
choose_uuid(const struct vmf_domain_change *change, const char *was,
    char text[VMF_DOMAIN_UUID_TEXT], bool *same, struct vmf_error *err)
{
	uint8_t id[VMF_ID_LEN];

	if (change->uuid != NULL) {
		if (vmf_parse_id(change->uuid, id, err) == -1)
			return -1;
	} else {
		if (vmf_id_random(id, err) == -1)
			return -1;
		shape_uuid(id);
	}
	format_uuid(id, text);
	*same = was != NULL && strcmp(was, text) == 0;
	return 0;
}

int
vmf_domain_identity_change(struct vmf_domain *dom,
    const struct vmf_domain_change *change, struct vmf_error *err)
{
	const struct vmf_domain_model *model = vmf_domain_model(dom, err);
	xmlNode *node = vmf_domain_tree_child(dom->root, "name");
	char uuid[VMF_DOMAIN_UUID_TEXT], *old;
	const char *name = change->name;
	bool same = true;
	int rc = -1;

	if (model == NULL || (name != NULL && check_name(name, err) == -1))
		return -1;
	if (change->new_identity &&
	    choose_uuid(change, model->uuid, uuid, &same, err) == -1)
		return -1;
	if ((old = strdup(model->name)) == NULL)
		return vmf_domain_tree_no_memory(err);
	if (name == NULL)
		name = old;
	if (!same && new_uuid(dom, uuid, err) == -1)
		goto out;
	dom->modelled = false;
	if ((!same || strcmp(old, name) != 0) &&
	    new_nvram(dom, old, name, !same, err) == -1)
		goto out;
	if (strcmp(old, name) != 0 &&
	    vmf_domain_tree_set_text(node, name, err) == -1)
		goto out;
	rc = 0;
out:
	dom->modelled = false;
	free(old);
	return rc;
}
