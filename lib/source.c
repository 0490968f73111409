/* source.c - see vmferry/source.h: what all kinds of sources have in common */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "source_internal.h"

struct vmf_source *
vmf_source_new(const char *name, const struct vmf_source_ops *ops, void *self,
    struct vmf_error *err)
{
	struct vmf_source none = {.ops = ops, .self = self};
	struct vmf_source *src = calloc(1, sizeof(*src));

	if (src != NULL) {
		*src = none;
		src->format = VMF_RAW;
		src->total = src->len = VMF_SIZE_UNKNOWN;
		src->name = strdup(name);
	}
	if (src != NULL && src->name != NULL)
		return src;
	vmf_fail_errno(err, VMF_IO, "%s", name);
	if (src == NULL)
		ops->close(&none);
	vmf_source_free(src);
	return NULL;
}

int
vmf_source_window(
    struct vmf_source *src, uint64_t off, uint64_t len, struct vmf_error *err)
{
	if (off > src->total || len > src->total - off)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: has %" PRIu64 " bytes, which do not reach from offset "
		    "%" PRIu64 " to %" PRIu64,
		    src->name, src->total, off, off + len);
	src->off = off;
	src->len = len != 0 ? len : src->total - off;
	return 0;
}

int
vmf_source_set_size(
    struct vmf_source *src, uint64_t size, struct vmf_error *err)
{
	if (src->total != VMF_SIZE_UNKNOWN)
		return vmf_source_window(src, src->off, size, err);
	src->total = src->len = size;
	return 0;
}

const char *
vmf_source_name(const struct vmf_source *src)
{
	return src->name;
}

uint64_t
vmf_source_size(const struct vmf_source *src)
{
	return src->len;
}

void
vmf_source_geometry(
    const struct vmf_source *src, uint32_t chunk, struct vmf_geometry *geo)
{
	memset(geo, 0, sizeof(*geo));
	geo->size = src->len;
	geo->virtual_size =
	    src->virtual_size != 0 ? src->virtual_size : src->len;
	geo->chunk = chunk;
	geo->format = src->format;
	geo->sector = src->sector;
	geo->features = src->features;
}

void
vmf_source_add_map(struct vmf_source *src, const struct vmf_extents *map)
{
	assert(src->nmaps < VMF_SOURCE_MAPS);
	src->maps[src->nmaps++] = map;
}

void
vmf_source_set_format(
    struct vmf_source *src, uint32_t format, uint64_t virtual_size)
{
	src->format = format;
	src->virtual_size = virtual_size;
}

void
vmf_source_add_features(struct vmf_source *src, uint64_t features)
{
	src->features |= features;
}

/* The extent of what is below that begins at off, the map heeded. */
static int
find_extent(struct vmf_source *src, uint64_t off, struct vmf_extent *ext,
    struct vmf_error *err)
{
	size_t i;

	if (src->ops->extent(src, off, ext, err) < 0)
		return -1;
	for (i = 0; i < src->nmaps && ext->kind == VMF_EXTENT_DATA; i++)
		vmf_extents_refine(src->maps[i], ext);
	return 0;
}

int
vmf_source_extent(struct vmf_source *src, uint64_t off, struct vmf_extent *ext,
    struct vmf_error *err)
{
	if (find_extent(src, src->off + off, ext, err) < 0)
		return -1;
	ext->off = off;
	if (ext->len > src->len - off)
		ext->len = src->len - off;
	return 0;
}

/* What a map calls zeros within a chunk that was read. */
static void
blank(const struct vmf_extents *map, uint8_t *buf, size_t len, uint64_t off)
{
	struct vmf_extent ext;

	for (; len > 0; buf += ext.len, off += ext.len, len -= ext.len) {
		ext = (struct vmf_extent){
		    .off = off, .len = len, .kind = VMF_EXTENT_DATA};
		vmf_extents_refine(map, &ext);
		if (ext.kind == VMF_EXTENT_ZERO)
			memset(buf, 0, ext.len);
	}
}

int
vmf_source_read(struct vmf_source *src, void *buf, size_t len, uint64_t off,
    size_t *got, struct vmf_error *err)
{
	size_t n = len, i;

	if (src->ops->read(src, buf, len, src->off + off, &n, err) < 0)
		return vmf_wrap(err, "%s", src->name);
	for (i = 0; i < src->nmaps; i++)
		blank(src->maps[i], buf, n, src->off + off);
	if (got != NULL)
		*got = n;
	return 0;
}

int
vmf_source_unchanged(struct vmf_source *src, struct vmf_error *err)
{
	if ((src->features & VMF_FEATURE_LIVE) != 0)
		return 0;
	return src->ops->unchanged(src, err);
}

void
vmf_source_free(struct vmf_source *src)
{
	if (src == NULL)
		return;
	src->ops->close(src);
	free(src->name);
	free(src);
}
