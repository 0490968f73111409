/*
 * domain_rewrite.c - a domain for another host; see vmferry/domain.h
 *
 * Order matters: sources and networks by their own rules first, then every
 * other path by path rules, then the identity, whose NVRAM name is put on the
 * path that the rules made.
 */
#include <stdlib.h>
#include <string.h>

#include "domain_tree.h"

/* --- paths outside disks */

struct rewrite {
	struct vmf_domain *dom;
	const struct vmf_domain_change *change;
};

static int
map_value(const struct rewrite *rewrite, const struct place *place,
    const char *value, char **to, struct vmf_error *err)
{
	const struct vmf_domain_change *change = rewrite->change;
	const char *like;

	if ((place->how & PLACE_FIRMWARE) == 0)
		return vmf_map_path(change->map, value, to, err);
	if (vmf_map_firmware(change->map, value, to, err) == -1)
		return -1;
	if (*to != NULL || !vmf_map_firmware_auto(change->map) ||
	    change->firmware_there == NULL ||
	    change->firmware_there(change->ctx, value))
		return 0;
	like = vmf_domain_firmware_like(
	    value, change->firmware_there, change->ctx);
	if (like == NULL)
		return 0;
	vmf_domain_note_add(
	    rewrite->dom, "firmware %s is %s here", value, like);
	/* A rule about that one would find it the next time. */
	if (vmf_map_firmware(change->map, like, to, err) == -1)
		return -1;
	if (*to == NULL && (*to = strdup(like)) == NULL)
		return vmf_domain_tree_no_memory(err);
	return 0;
}

static int
visit(void *ctx, const char *path, xmlNode *node, xmlAttr *attr,
    const char *value, struct vmf_error *err)
{
	const struct rewrite *rewrite = ctx;
	const struct place *place;
	bool vouched =
	    attr != NULL ? attr->_private == MAPPED : node->_private == MAPPED;
	char *to = NULL;
	int rc = 0;

	if (value == NULL || vouched ||
	    (place = vmf_domain_places_find(path)) == NULL ||
	    (place->how & (PLACE_MAP | PLACE_FIRMWARE)) == 0)
		return 0;
	if (map_value(rewrite, place, value, &to, err) == -1)
		return -1;
	if (to == NULL)
		return 0;
	if (strcmp(to, value) != 0) {
		vmf_domain_tree_gone(rewrite->dom, value);
		rc = attr != NULL ? vmf_domain_tree_set_value(attr, to, err)
				  : vmf_domain_tree_set_text(node, to, err);
	}
	if (attr != NULL)
		attr->_private = MAPPED;
	else
		node->_private = MAPPED;
	free(to);
	return rc;
}

static int
map_all(struct rewrite *rewrite, struct vmf_error *err)
{
	const struct visit paths = {.visit = visit, .ctx = rewrite};
	struct vmf_map *map = rewrite->change->map;
	const char *left;
	size_t i;

	if (map == NULL)
		return 0;
	for (i = 0; (left = vmf_map_left(map, i)) != NULL; i++)
		vmf_domain_tree_gone(rewrite->dom, left);
	if (vmf_domain_set_by_map(rewrite->dom, map, err) == -1 ||
	    vmf_domain_net_map(rewrite->dom, map, err) == -1)
		return -1;
	return vmf_domain_places_walk(rewrite->dom, &paths, err);
}

/* --- emulator, machine and CPU */

/* Only one of QEMU's usual names: another was meant, and is for the scan. */
static void
drop_emulator(struct vmf_domain *dom)
{
	xmlNode *devices = vmf_domain_tree_child(dom->root, "devices"), *node;
	char *said;

	for (node = vmf_domain_tree_child(devices, "emulator"); node != NULL;) {
		said = vmf_domain_tree_text(node);
		if (node->_private != MAPPED &&
		    (said == NULL ||
			vmf_domain_places_is_safe(
			    vmf_domain_places_find("devices/emulator#"),
			    said))) {
			vmf_domain_tree_remove(node);
			node = vmf_domain_tree_child(devices, "emulator");
		} else {
			node = vmf_domain_tree_next(node, "emulator");
		}
		free(said);
	}
}

static int
set_machine(struct vmf_domain *dom, const char *machine, struct vmf_error *err)
{
	xmlNode *type = vmf_domain_tree_find(dom->root, "os/type");
	char *was = vmf_domain_tree_attr(type, "machine");
	int rc = 0;

	if (type == NULL)
		return vmf_fail(
		    err, VMF_REFUSED, "the domain has no <os><type>");
	if (was == NULL || strcmp(was, machine) != 0)
		rc = vmf_domain_tree_set_attr(type, "machine", machine, err);
	free(was);
	return rc;
}

static bool
is_cpu_mode(const char *cpu)
{
	return strcmp(cpu, "host-model") == 0 ||
	       strcmp(cpu, "host-passthrough") == 0 ||
	       strcmp(cpu, "maximum") == 0;
}

/* Topology, NUMA cells and caches are the guest's and stay. */
static int
set_cpu_model(xmlNode *cpu, const char *model, struct vmf_error *err)
{
	static const char *const old[] = {"model", "vendor", "feature"};
	xmlNode *node;
	size_t i;

	for (i = 0; i < sizeof(old) / sizeof(old[0]); i++)
		while ((node = vmf_domain_tree_child(cpu, old[i])) != NULL)
			vmf_domain_tree_remove(node);
	vmf_domain_tree_remove_attr(cpu, "match");
	vmf_domain_tree_remove_attr(cpu, "check");
	vmf_domain_tree_remove_attr(cpu, "migratable");
	if (is_cpu_mode(model))
		return vmf_domain_tree_set_attr(cpu, "mode", model, err);
	node = xmlNewDocNode(cpu->doc, NULL, BAD_CAST "model", NULL);
	if (node == NULL)
		return vmf_domain_tree_no_memory(err);
	if (cpu->children != NULL)
		xmlAddPrevSibling(cpu->children, node);
	else
		xmlAddChild(cpu, node);
	if (vmf_domain_tree_set_text(node, model, err) == -1 ||
	    vmf_domain_tree_set_attr(node, "fallback", "forbid", err) == -1 ||
	    vmf_domain_tree_set_attr(cpu, "match", "exact", err) == -1)
		return -1;
	return vmf_domain_tree_set_attr(cpu, "mode", "custom", err);
}

static int
set_cpu(struct vmf_domain *dom, const char *want, struct vmf_error *err)
{
	const struct vmf_domain_model *model = vmf_domain_model(dom, err);
	xmlNode *cpu = vmf_domain_tree_child(dom->root, "cpu");
	const char *was;

	if (model == NULL)
		return -1;
	was = model->cpu_model != NULL ? model->cpu_model : model->cpu_mode;
	if (is_cpu_mode(want))
		was = model->cpu_mode;
	if (was != NULL && strcmp(was, want) == 0)
		return 0;
	dom->modelled = false;
	if (cpu == NULL)
		cpu = vmf_domain_tree_insert_after(
		    vmf_domain_tree_child(dom->root, "name"), "cpu", err);
	return cpu == NULL ? -1 : set_cpu_model(cpu, want, err);
}

int
vmf_domain_rewrite(struct vmf_domain *dom,
    const struct vmf_domain_change *change, struct vmf_error *err)
{
	struct rewrite rewrite = {.dom = dom, .change = change};

	/* Refuses what the rules could not be sure about. */
	if (vmf_domain_model(dom, err) == NULL)
		return -1;
	if (map_all(&rewrite, err) == -1 ||
	    vmf_domain_identity_change(dom, change, err) == -1)
		return -1;
	if (!change->keep_emulator)
		drop_emulator(dom);
	if (change->machine != NULL &&
	    set_machine(dom, change->machine, err) == -1)
		return -1;
	if (change->cpu_mode != NULL &&
	    set_cpu(dom, change->cpu_mode, err) == -1)
		return -1;
	dom->modelled = false;
	if (dom->notes.failed || dom->gone.failed)
		return vmf_domain_tree_no_memory(err);
	return vmf_domain_model(dom, err) != NULL ? 0 : -1;
}
