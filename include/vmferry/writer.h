/*
 * writer.h - one image as a row of objects: START, DATA and ZERO, END
 *
 * The writer keeps the rules of vmferry-stream(5): ascending offsets without
 * gaps, zero runs merged and cut into powers of two, root and totals.  Given
 * the same image, geometry, id and frames it makes the same bytes.  Where the
 * objects go - a pipe, a package's segments - is the carrier's business.
 *
 * Thread rule: one thread at a time.
 */
#ifndef VMFERRY_WRITER_H
#define VMFERRY_WRITER_H

#include <vmferry/digests.h>
#include <vmferry/extent.h>
#include <vmferry/io.h>
#include <vmferry/object.h>

/* Takes one object: its header with body, and its frame (may be empty). */
struct vmf_carrier {
	int (*put)(void *ctx, const struct vmf_object *obj, const uint8_t *head,
	    const uint8_t *frame, struct vmf_error *err);
	void *ctx;
};

/* The plain carrier: objects one after the other into out (borrowed). */
struct vmf_carrier vmf_carrier_out(struct vmf_out *out);

/*
 * Sends START.  list (borrowed, may be NULL) gets a line for each object.
 */
struct vmf_writer;
struct vmf_writer *
vmf_writer_new(struct vmf_carrier carrier, const uint8_t id[VMF_ID_LEN],
    uint32_t image, const struct vmf_geometry *geo, struct vmf_digests *list,
    struct vmf_error *err);
/* The next chunk, as a frame and with the digest of its raw bytes. */
int vmf_writer_data(struct vmf_writer *w, uint32_t len,
    const uint8_t digest[VMF_SHA_LEN], const uint8_t *frame, size_t stored,
    uint64_t frame_sum, struct vmf_error *err);
/* The next len zero bytes: whole chunks, or what ends the image. */
int vmf_writer_zero(struct vmf_writer *w, uint64_t len, struct vmf_error *err);
/* What END shall say of the raw image, with VMF_FEATURE_FLAT. */
void vmf_writer_set_flat(struct vmf_writer *w, const uint8_t flat[VMF_SHA_LEN]);
/* Likewise with VMF_FEATURE_RESCUE: extents that could not be read and came
 * as zeros; at most VMF_BAD_MAX, borrowed until END. */
void vmf_writer_set_bad(
    struct vmf_writer *w, const struct vmf_extent *bad, uint32_t n);
/* Sends END; totals (may be NULL) gets what it says. */
int vmf_writer_end(
    struct vmf_writer *w, struct vmf_totals *totals, struct vmf_error *err);
void vmf_writer_free(struct vmf_writer *w);

#endif
