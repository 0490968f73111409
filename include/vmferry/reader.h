/*
 * reader.h - the objects of one image, read in order and held to the rules
 *
 * The reader trusts nothing: header checksums, bounds, order, coverage (each
 * chunk exactly once), one id, zero frames byte for byte, END's counts and
 * root against what came.  It does not look into DATA frames: whoever takes
 * one checks frame_sum, decodes it and compares the digest (engine.h).  All
 * damage, an early end included, is VMF_INTEGRITY.
 *
 * Thread rule: one thread at a time.
 */
#ifndef VMFERRY_READER_H
#define VMFERRY_READER_H

#include <vmferry/io.h>
#include <vmferry/object.h>

/*
 * Reads START.  in is copied, its context borrowed.  Delta images are refused
 * (VMF_REFUSED) unless the caller takes them.
 */
struct vmf_reader;
struct vmf_reader *vmf_reader_open(struct vmf_in in, struct vmf_error *err);
const struct vmf_geometry *vmf_reader_geometry(const struct vmf_reader *r);
const uint8_t *vmf_reader_id(const struct vmf_reader *r);
uint32_t vmf_reader_image(const struct vmf_reader *r);

/*
 * The next DATA (its frame stored at frame, which holds vmf_frame_bound() of
 * the chunk size) or ZERO object: 1.  After END, which must be the last byte:
 * 0.  Failure: -1.
 */
int vmf_reader_next(struct vmf_reader *r, struct vmf_object *obj,
    uint8_t *frame, struct vmf_error *err);
/* What END said, after vmf_reader_next() has returned 0. */
const struct vmf_totals *vmf_reader_totals(const struct vmf_reader *r);
/* Extent i (< bad_count of the totals) that could not be read at the source. */
void vmf_reader_bad(
    const struct vmf_reader *r, uint32_t i, uint64_t *off, uint64_t *len);
void vmf_reader_free(struct vmf_reader *r);

#endif
