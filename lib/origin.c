/* origin.c - see vmferry/origin.h */
#include <stdio.h>
#include <stdlib.h>

#include <vmferry/lvm.h>
#include <vmferry/origin.h>

struct vmf_origin {
	const char *path; /* as asked for */
	struct vmf_origin_options options;
	struct vmf_snapshot *snap;
	struct vmf_extents *map;
	struct vmf_source *src;
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
	if (lv.pool[0] != '\0' && !origin->options.source.no_holes) {
		origin->map = vmf_lvm_thin_map(path, &lv, err);
		if (origin->map == NULL && err->class != VMF_OK)
			return NULL;
	}
	return path;
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
	path = prepare_volume(origin, err);
	if (path == NULL)
		goto fail;
	origin->src = vmf_source_open(path, &options->source, err);
	if (origin->src == NULL)
		goto fail;
	if (origin->map != NULL)
		vmf_source_add_map(origin->src, origin->map);
	return origin;
fail:
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
	if (origin->snap == NULL)
		return 0;
	if (vmf_snapshot_check(origin->snap, err) < 0)
		return -1;
	/* Open, it could not be removed; all of it has been read. */
	vmf_source_free(origin->src);
	origin->src = NULL;
	return vmf_snapshot_remove(origin->snap, err);
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
	vmf_extents_free(origin->map);
	vmf_snapshot_free(origin->snap);
	free(origin);
}
