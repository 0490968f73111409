/*
 * copy_internal.h - what the files of a copy share
 */
#ifndef VMFERRY_COPY_INTERNAL_H
#define VMFERRY_COPY_INTERNAL_H

#include <stdatomic.h>

#include <vmferry/chunks.h>

#include "copy.h"
#include "engine_internal.h"
#include "feed.h"

/* Sums of the blocks of an image as it was last sent (copy_patch.c). */
struct vmf_sums;

struct copy_image {
	const struct vmf_package_image *image;
	struct vmf_chunks *there; /* what the far end holds, or will */
	struct vmf_sums *sums;	  /* NULL: no patches */
	uint8_t zero[VMF_SHA_LEN], last_zero[VMF_SHA_LEN];
};

struct vmf_copy {
	struct vmf_copy_options o;
	struct vmf_move_far *far;
	const struct vmf_package_info *info;
	struct copy_image *images;
	struct vmf_chunk_log **logs;
	struct vmf_feed *feed;
	uint32_t generation;
	atomic_uint again; /* chunks that were asked for again */
};

#define VMF_PATCH_BLOCK 4096

struct vmf_sums *vmf_sums_new(
    const struct vmf_geometry *geo, const char *scratch, struct vmf_error *err);
void vmf_sums_free(struct vmf_sums *sums);
/*
 * Note the sums of a chunk's blocks.  When those of before are known and few
 * blocks differ: 1, with the ranges as the malloc'd body of a PATCH and their
 * bytes, *total of them, at the front of raw; else 0.  old: patches are of use.
 */
int vmf_sums_patch(struct vmf_sums *sums, uint64_t n, uint8_t *raw, size_t len,
    bool old, uint8_t **body, uint32_t *body_len, size_t *total,
    struct vmf_error *err);

/* One generation of one image: what differs goes into the feed. */
int vmf_copy_image(struct vmf_copy *copy, size_t n, struct vmf_source *src,
    bool held, struct vmf_copy_pass *result, struct vmf_error *err);

#endif
