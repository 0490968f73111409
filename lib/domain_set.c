/*
 * domain_set.c - other sources for disks; see vmferry/domain.h
 *
 * A disk and the images below it have one form: an element with a type, and
 * within it a <source> whose attributes depend on that type.  They are called
 * vda, vda.base1, vda.base2 ...; a data file is vda.data.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "domain_tree.h"

#define IMAGE_NAME 80

/* The attribute of <source> that names the image of this type. */
static const char *
source_attr(const char *type)
{
	static const char *const attrs[][2] = {{"file", "file"},
	    {"block", "dev"}, {"dir", "dir"}, {"vhostuser", "path"},
	    {"volume", "volume"}, {"network", "name"}};
	size_t i;

	for (i = 0; type != NULL && i < sizeof(attrs) / sizeof(attrs[0]); i++)
		if (strcmp(type, attrs[i][0]) == 0)
			return attrs[i][1];
	return NULL;
}

/* What a rule sees of a source: a path, POOL/VOLUME or a name; by malloc(). */
static char *
source_name(const xmlNode *image)
{
	const xmlNode *source = vmf_domain_tree_child(image, "source");
	char *type = vmf_domain_tree_attr(image, "type"), *pool, *volume;
	char *name = NULL;
	const char *attr = source_attr(type);

	if (source != NULL && attr != NULL)
		name = vmf_domain_tree_attr(source, attr);
	if (name != NULL && strcmp(attr, "volume") == 0) {
		volume = name;
		pool = vmf_domain_tree_attr(source, "pool");
		if (asprintf(
			&name, "%s/%s", pool != NULL ? pool : "", volume) == -1)
			name = NULL;
		free(pool);
		free(volume);
	}
	free(type);
	return name;
}

/* --- one image */

/* Drop what belongs to another type of source. */
static void
strip_source(xmlNode *source, bool same_type)
{
	static const char *const attrs[] = {"file", "dev", "dir", "path",
	    "pool", "volume", "mode", "protocol", "name", "query", "tls",
	    "tlsHostname", "type", "managed", "namespace"};
	static const char *const children[] = {"host", "snapshot", "config",
	    "auth", "ssl", "cookies", "readahead", "timeout", "initiator",
	    "address", "knownHosts", "identity", "reconnect", "reservations",
	    "slices"};
	xmlNode *child;
	size_t i;

	if (same_type)
		return;
	for (i = 0; i < sizeof(attrs) / sizeof(attrs[0]); i++)
		vmf_domain_tree_remove_attr(source, attrs[i]);
	for (i = 0; i < sizeof(children) / sizeof(children[0]); i++)
		while ((child = vmf_domain_tree_child(source, children[i])))
			vmf_domain_tree_remove(child);
}

static int
set_source(xmlNode *image, const char *type,
    const struct vmf_map_target *target, struct vmf_error *err)
{
	xmlNode *source = vmf_domain_tree_child(image, "source"), *place;
	bool same_type = vmf_domain_tree_attr_is(image, "type", type);

	if (source == NULL) {
		if ((place = vmf_domain_tree_child(image, "driver")) == NULL)
			place = vmf_domain_tree_child(image, "target");
		if (place == NULL)
			return vmf_fail(
			    err, VMF_INTEGRITY, "no <source> to replace");
		source = vmf_domain_tree_insert_after(place, "source", err);
		if (source == NULL)
			return -1;
	}
	strip_source(source, same_type);
	if (!same_type && (place = vmf_domain_tree_child(image, "auth")))
		vmf_domain_tree_remove(place);
	if (vmf_domain_tree_set_attr(image, "type", type, err) == -1)
		return -1;
	if (target->kind == VMF_TARGET_POOL) {
		if (vmf_domain_tree_set_attr(
			source, "volume", target->name, err) == -1 ||
		    vmf_domain_tree_set_attr(
			source, "pool", target->group, err) == -1)
			return -1;
	} else if (vmf_domain_tree_set_attr(
		       source, source_attr(type), target->path, err) == -1) {
		return -1;
	}
	vmf_domain_tree_vouch(source);
	return 0;
}

static int
set_empty(struct vmf_domain *dom, xmlNode *image, const char *name,
    struct vmf_error *err)
{
	xmlNode *source = vmf_domain_tree_child(image, "source"), *base;
	char *was;

	if (!vmf_domain_tree_attr_is(image, "device", "cdrom") &&
	    !vmf_domain_tree_attr_is(image, "device", "floppy"))
		return vmf_fail(err, VMF_REFUSED,
		    "%s is no cdrom or floppy: it cannot be empty; give it a "
		    "target",
		    name);
	if (source == NULL)
		return 0;
	was = source_name(image);
	vmf_domain_note_add(dom, "%s: the tray is empty now (it held %s)", name,
	    was != NULL ? was : "a network image");
	free(was);
	vmf_domain_tree_remove(source);
	if ((base = vmf_domain_tree_child(image, "backingStore")) != NULL)
		vmf_domain_tree_remove(base);
	return vmf_domain_tree_set_attr(image, "type", "file", err);
}

static int
set_image(struct vmf_domain *dom, xmlNode *image, const char *name,
    const struct vmf_map_target *target, struct vmf_error *err)
{
	const char *type = "block";
	char *was;
	int rc;

	switch (target->kind) {
	case VMF_TARGET_EMPTY:
		return set_empty(dom, image, name, err);
	case VMF_TARGET_FILE:
		type = "file";
		break;
	case VMF_TARGET_POOL:
		type = "volume";
		break;
	case VMF_TARGET_DEVICE:
	case VMF_TARGET_LV:
	case VMF_TARGET_THIN_LV:
		break;
	default:
		return vmf_fail(err, VMF_REFUSED,
		    "%s: part:%s is a place for a new partition; give the "
		    "partition itself",
		    name, target->path);
	}
	if (strcmp(type, "file") == 0 &&
	    vmf_domain_tree_attr_is(image, "device", "lun"))
		return vmf_fail(err, VMF_REFUSED,
		    "%s is a SCSI lun, which no file can be; map it to a "
		    "device",
		    name);
	was = source_name(image);
	rc = set_source(image, type, target, err);
	if (rc == 0 && was != NULL && strcmp(was, target->path) != 0)
		vmf_domain_tree_gone(dom, was);
	free(was);
	dom->modelled = false;
	return rc;
}

/* --- by map */

static bool
is_vouched(const xmlNode *image)
{
	const xmlNode *source = vmf_domain_tree_child(image, "source");

	return source != NULL && source->_private == MAPPED;
}

/* A rule for all disks is about those whose bytes are here; a network disk or
 * a socket is mapped by its name or stays what it is. */
static bool
is_storage(const char *type)
{
	return type != NULL &&
	       (strcmp(type, "file") == 0 || strcmp(type, "block") == 0 ||
		   strcmp(type, "volume") == 0);
}

/* Path rules, for what no disk rule is about. */
static int
find_by_path(struct vmf_map *map, const char *type, const char *was,
    struct vmf_map_target *target, struct vmf_error *err)
{
	char *path = NULL;
	int rc = 0;

	if (was == NULL || type == NULL || was[0] != '/' ||
	    (strcmp(type, "file") != 0 && strcmp(type, "block") != 0))
		return 0;
	if (vmf_map_path(map, was, &path, err) == -1)
		return -1;
	if (path != NULL && vmf_map_target_parse(path, target, err) == -1) {
		if (err != NULL)
			err->class = VMF_REFUSED;
		rc = -1;
	}
	/* /srv/a and /srv//a are one: then nothing is to change. */
	if (rc == 0 && path != NULL && strcmp(type, "file") == 0 &&
	    target->kind == VMF_TARGET_DEVICE) {
		char *plain = vmf_map_path_plain(was);

		if (plain != NULL && strcmp(plain, path) == 0)
			target->kind = VMF_TARGET_FILE;
		free(plain);
	}
	free(path);
	return rc;
}

/* A directory or socket keeps its type: only its path is mapped. */
static int
map_other(struct vmf_domain *dom, struct vmf_map *map, const xmlNode *image,
    const char *type, struct vmf_error *err)
{
	xmlNode *source = vmf_domain_tree_child(image, "source");
	const char *attr = source_attr(type);
	char *was, *path = NULL;
	int rc = 0;

	if (source == NULL || attr == NULL ||
	    (strcmp(attr, "dir") != 0 && strcmp(attr, "path") != 0) ||
	    (was = vmf_domain_tree_attr(source, attr)) == NULL)
		return 0;
	rc = vmf_map_path(map, was, &path, err);
	if (rc == 0 && path != NULL) {
		rc = vmf_domain_tree_set_attr(source, attr, path, err);
		if (strcmp(was, path) != 0)
			vmf_domain_tree_gone(dom, was);
		vmf_domain_tree_vouch(source);
	}
	free(path);
	free(was);
	return rc;
}

static int
map_image(struct vmf_domain *dom, struct vmf_map *map, xmlNode *image,
    const char *name, bool any, struct vmf_error *err)
{
	struct vmf_map_target target;
	char *type, *was;
	int rc;

	if (is_vouched(image))
		return 0;
	type = vmf_domain_tree_attr(image, "type");
	was = source_name(image);
	any = any && was != NULL && is_storage(type);
	rc = vmf_map_disk(map, name, was, any, &target, err);
	if (rc == 0 && target.kind == VMF_TARGET_UNMAPPED)
		rc = find_by_path(map, type, was, &target, err);
	if (rc == 0 && target.kind == VMF_TARGET_UNMAPPED)
		rc = map_other(dom, map, image, type, err);
	if (rc == 0 && target.kind != VMF_TARGET_UNMAPPED)
		rc = set_image(dom, image, name, &target, err);
	if (rc == -1)
		vmf_wrap(err, "disk %s", name);
	free(was);
	free(type);
	return rc;
}

/* The chain of a disk: calls fn for each image until it returns not 0. */
static int
map_chain(struct vmf_domain *dom, struct vmf_map *map, xmlNode *disk,
    struct vmf_error *err)
{
	char *target =
	    vmf_domain_tree_attr(vmf_domain_tree_child(disk, "target"), "dev");
	bool any = !vmf_domain_tree_attr_is(disk, "device", "cdrom") &&
		   !vmf_domain_tree_attr_is(disk, "device", "floppy");
	char name[IMAGE_NAME + 32];
	xmlNode *image, *data;
	unsigned level = 0;
	int rc = 0;

	for (image = disk; image != NULL && rc == 0 && target != NULL;
	     image = vmf_domain_tree_child(image, "backingStore"), level++) {
		if (level == 0)
			snprintf(
			    name, sizeof(name), "%.*s", IMAGE_NAME, target);
		else
			snprintf(name, sizeof(name), "%.*s.base%u", IMAGE_NAME,
			    target, level);
		if (level > 0 && vmf_domain_tree_child(image, "source") == NULL)
			break;
		rc = map_image(dom, map, image, name, any, err);
		data = vmf_domain_tree_find(image, "source/dataStore");
		if (rc == 0 && data != NULL) {
			strcat(name, ".data");
			rc = map_image(dom, map, data, name, false, err);
		}
	}
	/* A mirror is a job's: it is nobody's disk yet. */
	data = vmf_domain_tree_child(disk, "mirror");
	if (rc == 0 && data != NULL)
		rc = map_image(dom, map, data, "mirror", false, err);
	free(target);
	return rc;
}

int
vmf_domain_set_by_map(
    struct vmf_domain *dom, struct vmf_map *map, struct vmf_error *err)
{
	const xmlNode *devices = vmf_domain_tree_child(dom->root, "devices");
	xmlNode *disk;

	for (disk = vmf_domain_tree_child(devices, "disk"); disk != NULL;
	     disk = vmf_domain_tree_next(disk, "disk"))
		if (map_chain(dom, map, disk, err) == -1)
			return -1;
	return 0;
}

/* --- what a caller knows better */

/* The image that is called vda or vda.base1. */
static xmlNode *
find_image(struct vmf_domain *dom, const char *name, struct vmf_error *err)
{
	const xmlNode *devices = vmf_domain_tree_child(dom->root, "devices");
	size_t len = strcspn(name, ".");
	unsigned long level = 0;
	xmlNode *disk;
	char *target;
	bool found = false;

	if (strncmp(name + len, ".base", 5) == 0)
		level = strtoul(name + len + 5, NULL, 10);
	for (disk = vmf_domain_tree_child(devices, "disk"); disk != NULL;
	     disk = vmf_domain_tree_next(disk, "disk")) {
		target = vmf_domain_tree_attr(
		    vmf_domain_tree_child(disk, "target"), "dev");
		found = target != NULL && strlen(target) == len &&
			strncmp(target, name, len) == 0;
		free(target);
		if (found)
			break;
	}
	while (disk != NULL && level-- > 0)
		disk = vmf_domain_tree_child(disk, "backingStore");
	if (disk == NULL)
		vmf_fail(err, VMF_REFUSED, "the domain has no disk %s", name);
	return disk;
}

static int
set_format(xmlNode *image, const char *format, struct vmf_error *err)
{
	bool is_disk = is_element(image, "disk");
	const char *name = is_disk ? "driver" : "format";
	xmlNode *node = vmf_domain_tree_child(image, name), *source;

	if (node == NULL) {
		source = vmf_domain_tree_child(image, "source");
		node = vmf_domain_tree_insert_after(source, name, err);
		if (node == NULL || (is_disk && vmf_domain_tree_set_attr(node,
						    "name", "qemu", err) == -1))
			return -1;
	}
	return vmf_domain_tree_set_attr(node, "type", format, err);
}

int
vmf_domain_set_disk(struct vmf_domain *dom, const char *disk,
    const struct vmf_map_target *target, const char *format,
    struct vmf_error *err)
{
	xmlNode *image = find_image(dom, disk, err);

	dom->modelled = false;
	if (image == NULL || set_image(dom, image, disk, target, err) == -1)
		return -1;
	if (format == NULL || target->kind == VMF_TARGET_EMPTY)
		return 0;
	return set_format(image, format, err);
}

int
vmf_domain_set_flat(
    struct vmf_domain *dom, const char *disk, struct vmf_error *err)
{
	xmlNode *image = find_image(dom, disk, err), *base;

	if (image == NULL)
		return -1;
	dom->modelled = false;
	while ((base = vmf_domain_tree_child(image, "backingStore")) != NULL)
		vmf_domain_tree_remove(base);
	return 0;
}

int
vmf_domain_set_nvram(
    struct vmf_domain *dom, const char *path, struct vmf_error *err)
{
	xmlNode *nvram = vmf_domain_tree_find(dom->root, "os/nvram");
	xmlNode *source = vmf_domain_tree_child(nvram, "source");
	const char *attr;
	xmlNode *holder;
	int rc;

	if (nvram == NULL)
		return vmf_fail(
		    err, VMF_REFUSED, "the domain has no NVRAM of its own");
	dom->modelled = false;
	if (source == NULL) {
		holder = nvram;
		rc = vmf_domain_tree_set_text(nvram, path, err);
	} else {
		holder = source;
		attr = vmf_domain_tree_attr_is(nvram, "type", "block") ? "dev"
								       : "file";
		rc = vmf_domain_tree_set_attr(source, attr, path, err);
	}
	/* Not the nvram's template, which is an attribute of it. */
	holder->_private = MAPPED;
	if (source != NULL)
		vmf_domain_tree_vouch(source);
	return rc;
}
