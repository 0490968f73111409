/* origin.c - see vmferry/origin.h */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vmferry/lvm.h>
#include <vmferry/origin.h>
#include <vmferry/qcow2.h>
#include <vmferry/rescue.h>

struct vmf_origin {
	const char *path; /* as asked for */
	struct vmf_origin_options options;
	struct vmf_snapshot *snap;
	struct vmf_extents *map;
	struct vmf_source *guard; /* of what a server reads for us */
	struct vmf_source *src;
	struct vmf_extent *bad; /* with rescue, after finish */
	uint32_t nbad;
	char note[256];
};

static int
take_snapshot(
    struct vmf_origin *origin, const struct vmf_lv *lv, struct vmf_error *err)
{
	bool removed = false;

	origin->snap =
	    vmf_lvm_snapshot(lv, origin->options.snapshot_size, &removed, err);
	if (origin->snap == NULL)
		return -1;
	if (removed)
		snprintf(origin->note, sizeof(origin->note),
		    "%.200s: removed, a run that died had left it",
		    vmf_snapshot_path(origin->snap));
	return 0;
}

/* The path to read: of the volume itself, or of its snapshot. */
static const char *
prepare_volume(struct vmf_origin *origin, struct vmf_error *err)
{
	const char *path = origin->path;
	bool found = false;
	struct vmf_lv lv;
	int rc;

	rc = vmf_lvm_find(path, &lv, &found, err);
	if (!found && origin->options.snapshot) {
		if (rc == 0)
			vmf_fail(err, VMF_REFUSED,
			    "%s: is no logical volume, so no snapshot of it "
			    "can be taken",
			    path);
		return NULL;
	}
	if (!found)
		return path;
	if (origin->options.snapshot) {
		if (take_snapshot(origin, &lv, err) < 0)
			return NULL;
		path = vmf_snapshot_path(origin->snap);
	}
	if (lv.pool[0] != '\0' && !origin->options.source.no_holes &&
	    !origin->options.flatten) {
		origin->map = vmf_lvm_thin_map(path, &lv, err);
		if (origin->map == NULL && err->class != VMF_OK)
			return NULL;
	}
	return path;
}

/* A container as the file it is: whole, or not at all. */
static struct vmf_source *
open_container(
    struct vmf_origin *origin, const char *path, struct vmf_error *err)
{
	struct vmf_source *src;
	struct vmf_qcow2 info;

	src = vmf_source_open(path, &origin->options.source, err);
	if (src == NULL)
		return NULL;
	if (vmf_qcow2_look(path, false, &info, err) < 0)
		goto fail;
	if (info.other[0] != '\0') {
		vmf_fail(err, VMF_REFUSED,
		    "%s: is not whole without %s; dump its contents with "
		    "--flatten",
		    path, info.other);
		goto fail;
	}
	vmf_source_set_format(src, VMF_QCOW2, info.virtual_size);
	return src;
fail:
	vmf_source_free(src);
	return NULL;
}

/* What the guest sees in it. */
static struct vmf_source *
open_contents(
    struct vmf_origin *origin, const char *path, struct vmf_error *err)
{
	struct vmf_source_options whole = {.live = origin->options.source.live};
	struct vmf_qcow2 info;

	/* Nobody writes to it, then or later. */
	origin->guard = vmf_source_open(path, &whole, err);
	if (origin->guard == NULL || vmf_qcow2_look(path, true, &info, err) < 0)
		return NULL;
	return vmf_source_flatten(path, "qcow2", &origin->options.source, err);
}

static struct vmf_source *
open_source(struct vmf_origin *origin, const char *path, struct vmf_error *err)
{
	if (origin->options.format != VMF_QCOW2)
		return vmf_source_open(path, &origin->options.source, err);
	if (origin->options.flatten)
		return open_contents(origin, path, err);
	return open_container(origin, path, err);
}

static bool
is_uri(const char *path)
{
	return strncmp(path, "nbd://", 6) == 0 ||
	       strncmp(path, "nbd+unix://", 11) == 0;
}

static int
open_path(struct vmf_origin *origin, struct vmf_error *err)
{
	const char *path = origin->path;

	if (is_uri(path)) {
		origin->src =
		    vmf_source_uri(path, &origin->options.source, err);
	} else {
		path = prepare_volume(origin, err);
		if (path == NULL)
			return -1;
		origin->src = open_source(origin, path, err);
	}
	if (origin->src != NULL && origin->options.rescue != NULL)
		origin->src =
		    vmf_rescue_open(origin->src, origin->options.rescue, err);
	if (origin->src == NULL)
		return -1;
	if (origin->map != NULL)
		vmf_source_add_map(origin->src, origin->map);
	return 0;
}

struct vmf_origin *
vmf_origin_open(const char *path, const struct vmf_origin_options *options,
    struct vmf_error *err)
{
	struct vmf_origin *origin = calloc(1, sizeof(*origin));

	if (origin == NULL) {
		vmf_fail_errno(err, VMF_IO, "%s", path);
		return NULL;
	}
	origin->path = path;
	origin->options = *options;
	if (open_path(origin, err) == 0)
		return origin;
	vmf_origin_free(origin);
	return NULL;
}

struct vmf_source *
vmf_origin_source(struct vmf_origin *origin)
{
	return origin->src;
}

const char *
vmf_origin_note(const struct vmf_origin *origin)
{
	return origin->note[0] != '\0' ? origin->note : NULL;
}

int
vmf_origin_finish(struct vmf_origin *origin, struct vmf_error *err)
{
	if (origin->options.rescue != NULL &&
	    vmf_rescue_finish(origin->src, &origin->bad, &origin->nbad, err) <
		0)
		return -1;
	if (origin->guard != NULL &&
	    vmf_source_unchanged(origin->guard, err) < 0)
		return -1;
	if (origin->snap == NULL)
		return 0;
	if (vmf_snapshot_check(origin->snap, err) < 0)
		return -1;
	/* Open, it could not be removed; all of it has been read. */
	vmf_source_free(origin->src);
	vmf_source_free(origin->guard);
	origin->src = origin->guard = NULL;
	return vmf_snapshot_remove(origin->snap, err);
}

const struct vmf_extent *
vmf_origin_bad(const struct vmf_origin *origin, uint32_t *n)
{
	*n = origin->nbad;
	return origin->bad;
}

void
vmf_origin_explain(struct vmf_origin *origin, struct vmf_error *err)
{
	struct vmf_error why;

	if (origin->snap != NULL && err->class == VMF_IO &&
	    vmf_snapshot_check(origin->snap, &why) < 0)
		*err = why;
}

void
vmf_origin_free(struct vmf_origin *origin)
{
	if (origin == NULL)
		return;
	vmf_source_free(origin->src);
	vmf_source_free(origin->guard);
	vmf_extents_free(origin->map);
	vmf_snapshot_free(origin->snap);
	free(origin->bad);
	free(origin);
}
