/*
 * digests.h - the root of an image, and lists of its chunks' digests
 *
 * The root is the SHA-256 over the SHA-256 digests of an image's chunks in
 * order; a zero chunk counts with the digest of that many zero bytes, and a
 * short last chunk by its real length.  An empty image's root is the SHA-256
 * of nothing.
 *
 * A list is what a package keeps as digests/NAME, one line each:
 *
 *	offset length kind digest
 *
 * with decimal numbers, kind "data" or "zero" and 64 hex digits; a run of zero
 * chunks is one line, its digest that of each of its chunks.
 *
 * Thread rule: each belongs to one thread at a time.
 */
#ifndef VMFERRY_DIGESTS_H
#define VMFERRY_DIGESTS_H

#include <vmferry/error.h>
#include <vmferry/io.h>
#include <vmferry/object.h>

struct vmf_root;
struct vmf_root *vmf_root_new(struct vmf_error *err);
/* chunks times the same digest. */
int vmf_root_add(struct vmf_root *root, const uint8_t digest[VMF_SHA_LEN],
    uint64_t chunks, struct vmf_error *err);
int vmf_root_final(
    struct vmf_root *root, uint8_t sum[VMF_SHA_LEN], struct vmf_error *err);
void vmf_root_free(struct vmf_root *root);

/* How many chunks of this size len bytes make; a short last one counts. */
uint64_t vmf_chunk_count(uint64_t len, uint32_t chunk);

struct vmf_digest_line {
	uint64_t off, len;
	enum vmf_kind kind; /* VMF_DATA or VMF_ZERO */
	uint8_t digest[VMF_SHA_LEN];
};

/* A list kept in an unlinked scratch file in dir (NULL: /var/tmp). */
struct vmf_digests;
struct vmf_digests *vmf_digests_new(const char *dir, struct vmf_error *err);
int vmf_digests_add(struct vmf_digests *list,
    const struct vmf_digest_line *line, struct vmf_error *err);
/* Back to the first line; what was added is flushed. */
int vmf_digests_rewind(struct vmf_digests *list, struct vmf_error *err);
/* 1: a line; 0: no more; -1: failed. */
int vmf_digests_next(struct vmf_digests *list, struct vmf_digest_line *line,
    struct vmf_error *err);
/* The text as it would stand in a package, after a rewind. */
uint64_t vmf_digests_bytes(const struct vmf_digests *list);
struct vmf_in vmf_digests_in(struct vmf_digests *list);
void vmf_digests_free(struct vmf_digests *list);

/* One line without its newline, strictly; VMF_INTEGRITY. */
int vmf_digest_line_parse(
    const char *text, struct vmf_digest_line *line, struct vmf_error *err);
#define VMF_DIGEST_LINE_MAX 160
/* With its newline; returns its length. */
size_t vmf_digest_line_format(
    const struct vmf_digest_line *line, char text[VMF_DIGEST_LINE_MAX]);

#endif
