/*
 * chunks.h - what an image holds somewhere, chunk by chunk
 *
 * Of each chunk it is known that it is data with some SHA-256, that it is
 * zeros, or nothing.  Both ends of a move keep one for each image: the source
 * of what the destination holds, the destination of what it has written.
 *
 * In memory there is a byte for each chunk; the digests are in an unlinked
 * scratch file, which has holes where there are none.
 *
 * A log is the same as lines of a list of digests (digests.h) in a file that
 * outlives us; the last word on a chunk counts.
 *
 * Thread rule: get, set and touch from any thread, but for the same chunk from
 * one at a time; the rest from one thread while nobody sets.
 */
#ifndef VMFERRY_CHUNKS_H
#define VMFERRY_CHUNKS_H

#include <stdbool.h>

#include <vmferry/digests.h>
#include <vmferry/error.h>
#include <vmferry/object.h>

struct vmf_chunks;
/* Nothing is known at first.  geo->size is known; scratch NULL: /var/tmp. */
struct vmf_chunks *vmf_chunks_new(
    const struct vmf_geometry *geo, const char *scratch, struct vmf_error *err);
void vmf_chunks_free(struct vmf_chunks *chunks); /* NULL-safe */

uint64_t vmf_chunks_count(const struct vmf_chunks *chunks);

/*
 * Of chunk n: VMF_DATA and its digest, VMF_ZERO, or 0 when nothing is known;
 * -1: failed.  digest may be NULL.
 */
int vmf_chunks_get(struct vmf_chunks *chunks, uint64_t n,
    uint8_t digest[VMF_SHA_LEN], struct vmf_error *err);
/*
 * line covers whole chunks, data exactly one; else VMF_INTEGRITY.
 */
int vmf_chunks_set(struct vmf_chunks *chunks,
    const struct vmf_digest_line *line, struct vmf_error *err);
/* Nothing is known any more of the chunks that begin in it. */
void vmf_chunks_forget(struct vmf_chunks *chunks, uint64_t off, uint64_t len);

/*
 * Set a flag on each chunk of line (checked as by set); false where one had it
 * already.  vmf_chunks_untouch() clears all.
 */
int vmf_chunks_touch(struct vmf_chunks *chunks,
    const struct vmf_digest_line *line, bool *twice, struct vmf_error *err);
void vmf_chunks_untouch(struct vmf_chunks *chunks);

/* How much of the image is known, in bytes. */
uint64_t vmf_chunks_known(const struct vmf_chunks *chunks);
/* Size, counts and root; VMF_INTEGRITY names the first chunk not known. */
int vmf_chunks_totals(struct vmf_chunks *chunks, struct vmf_totals *totals,
    struct vmf_error *err);
/* A line for each chunk or run of zeros that is known, ascending. */
int vmf_chunks_each(struct vmf_chunks *chunks,
    int (*each)(
	void *ctx, const struct vmf_digest_line *line, struct vmf_error *err),
    void *ctx, struct vmf_error *err);

/* --- the log */

struct vmf_chunk_log;
/*
 * Open or create path (0600) and take what it says into chunks (may be NULL);
 * what follows a torn or senseless line was never promised and is cut off.
 */
struct vmf_chunk_log *vmf_chunk_log_open(
    const char *path, struct vmf_chunks *chunks, struct vmf_error *err);
/* Append; nothing is promised before vmf_chunk_log_sync(). */
int vmf_chunk_log_add(struct vmf_chunk_log *log,
    const struct vmf_digest_line *line, struct vmf_error *err);
int vmf_chunk_log_sync(struct vmf_chunk_log *log, struct vmf_error *err);
/* Nothing of it is true any more. */
int vmf_chunk_log_clear(struct vmf_chunk_log *log, struct vmf_error *err);
void vmf_chunk_log_free(struct vmf_chunk_log *log); /* NULL-safe */

#endif
