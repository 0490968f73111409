/* domain.c - parsing a domain's XML safely; see vmferry/domain.h */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vmferry/io.h>
#include <vmferry/units.h>

#include "domain_tree.h"
#include "xml.h"

/* --- the outer shape */

/* libvirt takes the first of some and all of others: there must be one. */
static int
check_once(const xmlNode *root, struct vmf_error *err)
{
	static const char *const once[] = {
	    "name", "uuid", "os", "devices", "metadata", "genid", "vcpu"};
	const xmlNode *node;
	size_t i;

	for (i = 0; i < sizeof(once) / sizeof(once[0]); i++) {
		node = vmf_domain_tree_child(root, once[i]);
		if (node != NULL && vmf_domain_tree_next(node, once[i]) != NULL)
			return vmf_fail(err, VMF_INTEGRITY,
			    "more than one <%s> in the domain", once[i]);
	}
	return 0;
}

static int
check_shape(const xmlNode *root, struct vmf_error *err)
{
	uint8_t id[VMF_ID_LEN];
	char *name, *uuid;
	int rc = -1;

	if (root == NULL || !is_element(root, "domain"))
		return vmf_fail(err, VMF_INTEGRITY,
		    "is no libvirt domain; its element is <%.60s>",
		    root != NULL ? (const char *)root->name : "");
	if (check_once(root, err) == -1)
		return -1;
	name = vmf_domain_tree_text(vmf_domain_tree_child(root, "name"));
	uuid = vmf_domain_tree_text(vmf_domain_tree_child(root, "uuid"));
	if (name == NULL || strlen(name) >= VMF_MAP_NAME_MAX ||
	    strchr(name, '/') != NULL)
		vmf_fail(err, VMF_INTEGRITY,
		    "the domain has no name that libvirt would take");
	else if (uuid != NULL && vmf_parse_id(uuid, id, NULL) == -1)
		vmf_fail(err, VMF_INTEGRITY, "'%.60s' is no UUID", uuid);
	else
		rc = 0;
	free(name);
	free(uuid);
	return rc;
}

struct vmf_domain *
vmf_domain_parse(
    const char *xml, size_t len, const char *what, struct vmf_error *err)
{
	struct vmf_domain *dom = NULL;

	if (len > VMF_DOMAIN_XML_MAX) {
		vmf_fail(err, VMF_INTEGRITY,
		    "%s: larger than a domain's XML can be (16 MiB)", what);
		return NULL;
	}
	if ((dom = calloc(1, sizeof(*dom))) == NULL) {
		vmf_domain_tree_no_memory(err);
		goto fail;
	}
	if ((dom->doc = vmf_xml_parse(xml, len, err)) == NULL)
		goto fail;
	dom->root = xmlDocGetRootElement(dom->doc);
	if (check_shape(dom->root, err) == -1)
		goto fail;
	return dom;
fail:
	vmf_wrap(err, "%s", what);
	vmf_domain_free(dom);
	return NULL;
}

/* All of stdin, one byte more than fits at most. */
static char *
read_stdin(size_t *len, struct vmf_error *err)
{
	size_t size = VMF_DOMAIN_XML_MAX + 1;
	char *text = malloc(size + 1);

	if (text == NULL) {
		vmf_domain_tree_no_memory(err);
		return NULL;
	}
	if (vmf_read_full(STDIN_FILENO, text, size, len, err) == -1) {
		vmf_wrap(err, "standard input");
		free(text);
		return NULL;
	}
	text[*len] = '\0';
	return text;
}

/* Too large is a fault of the XML, not of the disk it is read from. */
static char *
read_file(const char *path, size_t *len, struct vmf_error *err)
{
	struct stat st;

	if (stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	    (uint64_t)st.st_size > VMF_DOMAIN_XML_MAX) {
		vmf_fail(err, VMF_INTEGRITY,
		    "%s: larger than a domain's XML can be (16 MiB)", path);
		return NULL;
	}
	return vmf_read_file(path, VMF_DOMAIN_XML_MAX, len, err);
}

struct vmf_domain *
vmf_domain_read(const char *path, struct vmf_error *err)
{
	struct vmf_domain *dom = NULL;
	bool standard = strcmp(path, "-") == 0;
	char *text;
	size_t len;

	if (standard) {
		text = read_stdin(&len, err);
	} else {
		text = read_file(path, &len, err);
	}
	if (text != NULL)
		dom = vmf_domain_parse(
		    text, len, standard ? "standard input" : path, err);
	free(text);
	return dom;
}

void
vmf_domain_free(struct vmf_domain *dom)
{
	if (dom == NULL)
		return;
	xmlFreeDoc(dom->doc);
	vmf_domain_tree_drop(&dom->model_strings);
	free(dom->disks);
	free(dom->bases);
	free(dom->servers);
	free(dom->interfaces);
	free(dom->secrets);
	vmf_domain_tree_drop(&dom->notes);
	vmf_domain_tree_drop(&dom->gone);
	free(dom->findings);
	vmf_domain_tree_drop(&dom->finding_strings);
	free(dom);
}
