/*
 * source_internal.h - what the kinds of sources share
 *
 * A kind fills in a struct vmf_source that vmf_source_new() made, sets ops
 * and self, and leaves the rest to source.c: the window that --offset,
 * --length and --partition cut out, and the map of what reads as zeros.
 * Offsets that a kind is asked for are its own, window added.
 */
#ifndef VMFERRY_SOURCE_INTERNAL_H
#define VMFERRY_SOURCE_INTERNAL_H

#include <vmferry/source.h>

#define VMF_SOURCE_MAPS 2

struct vmf_source_ops {
	/* The extent that off is in, up to the end of the source at most. */
	int (*extent)(struct vmf_source *src, uint64_t off,
	    struct vmf_extent *ext, struct vmf_error *err);
	/* got as in vmf_source_read(), never NULL. */
	int (*read)(struct vmf_source *src, void *buf, size_t len, uint64_t off,
	    size_t *got, struct vmf_error *err);
	int (*unchanged)(struct vmf_source *src, struct vmf_error *err);
	/* Release self; may be called on a half-made one. */
	void (*close)(struct vmf_source *src);
};

struct vmf_source {
	const struct vmf_source_ops *ops;
	void *self; /* of the kind */
	char *name;
	uint64_t total;	   /* bytes below, or VMF_SIZE_UNKNOWN */
	uint64_t off, len; /* the window */
	uint32_t sector;
	uint32_t format;
	uint64_t virtual_size; /* of a container; 0: as large as it is */
	uint64_t features;
	const struct vmf_extents *maps[VMF_SOURCE_MAPS]; /* borrowed */
	size_t nmaps;
};

/* ops and self are taken even on failure: close is called then. */
struct vmf_source *vmf_source_new(const char *name,
    const struct vmf_source_ops *ops, void *self, struct vmf_error *err);
/* Cut out len bytes at off (len 0: up to the end); VMF_REFUSED: not there. */
int vmf_source_window(
    struct vmf_source *src, uint64_t off, uint64_t len, struct vmf_error *err);

#endif
