/*
 * package_compare.c - a device or file beside a disk of a package
 *
 * The package is verified whole first, and the disk's digests are kept; then
 * the device is read once, by the one pipeline: fill takes the next line of
 * the digests, cut into chunks, work reads the device and compares, emit joins
 * chunks that differ.
 */
#include <stdlib.h>
#include <string.h>

#include <vmferry/digest.h>
#include <vmferry/direct.h>
#include <vmferry/pipeline.h>

#include "package_internal.h"

struct slot {
	uint64_t off, len;
	enum vmf_kind kind;
	uint8_t digest[VMF_SHA_LEN];
	bool differs;
	uint8_t *raw; /* a chunk */
};

struct compare {
	struct vmf_source *src;
	struct vmf_digests *list;
	uint32_t chunk;
	struct vmf_progress *progress;
	struct vmf_digest_line line; /* what is left of one */
	uint64_t off, len;	     /* a range that differs, not yet told */
	const struct vmf_package_differ *differ;
};

/* A hole of the device where the package has zeros need not be read. */
static int
skip_hole(struct compare *c, struct vmf_error *err)
{
	struct vmf_digest_line *line = &c->line;
	struct vmf_extent ext;
	uint64_t len;

	if (line->kind != VMF_ZERO || line->off >= vmf_source_size(c->src))
		return 0;
	if (vmf_source_extent(c->src, line->off, &ext, err) < 0)
		return -1;
	len = ext.kind == VMF_EXTENT_ZERO ? ext.off + ext.len - line->off : 0;
	if (len < line->len)
		len -= len % c->chunk;
	else
		len = line->len;
	line->off += len;
	line->len -= len;
	return 0;
}

static int
fill(void *ctx, void *arg, struct vmf_error *err)
{
	struct compare *c = ctx;
	struct slot *slot = arg;
	struct vmf_digest_line *line = &c->line;
	int more;

	while (line->len == 0) {
		more = vmf_digests_next(c->list, line, err);
		if (more <= 0)
			return more;
		if (skip_hole(c, err) < 0)
			return -1;
	}
	slot->kind = line->kind;
	slot->off = line->off;
	slot->len = line->len < c->chunk ? line->len : c->chunk;
	memcpy(slot->digest, line->digest, VMF_SHA_LEN);
	line->off += slot->len;
	line->len -= slot->len;
	return 1;
}

static int
work(void *ctx, void *worker, void *arg, struct vmf_error *err)
{
	struct compare *c = ctx;
	struct slot *slot = arg;
	uint64_t size = vmf_source_size(c->src);
	uint8_t digest[VMF_SHA_LEN];

	(void)worker;
	slot->differs = slot->off > size || slot->len > size - slot->off;
	if (slot->differs)
		return 0;
	if (vmf_source_read(
		c->src, slot->raw, (size_t)slot->len, slot->off, NULL, err) < 0)
		return -1;
	if (slot->kind == VMF_ZERO) {
		slot->differs =
		    slot->raw[0] != 0 || memcmp(slot->raw, slot->raw + 1,
					     (size_t)slot->len - 1) != 0;
		return 0;
	}
	if (vmf_sha256(slot->raw, (size_t)slot->len, digest, err) < 0)
		return -1;
	slot->differs = memcmp(digest, slot->digest, VMF_SHA_LEN) != 0;
	return 0;
}

static int
tell(struct compare *c, struct vmf_error *err)
{
	if (c->len == 0)
		return 0;
	return c->differ->range(c->differ->ctx, c->off, c->len, err);
}

static int
differs(struct compare *c, uint64_t off, uint64_t len, struct vmf_error *err)
{
	if (c->len > 0 && c->off + c->len == off) {
		c->len += len;
		return 0;
	}
	if (tell(c, err) < 0)
		return -1;
	c->off = off;
	c->len = len;
	return 0;
}

static int
emit(void *ctx, void *arg, struct vmf_error *err)
{
	struct compare *c = ctx;
	struct slot *slot = arg;

	if (c->progress != NULL)
		atomic_fetch_add(&c->progress->done, slot->len);
	return slot->differs ? differs(c, slot->off, slot->len, err) : 0;
}

static int
run(struct compare *c, const struct vmf_engine_options *options,
    struct vmf_error *err)
{
	struct vmf_pipeline p = {
	    .ctx = c, .fill = fill, .work = work, .emit = emit};
	unsigned jobs =
	    options->jobs > VMF_JOBS_MAX ? VMF_JOBS_MAX : options->jobs;
	struct slot *slots;
	void **pointers;
	size_t n, i;
	int rc = -1;

	while (
	    jobs > 1 && (2 * jobs + 2) * (uint64_t)c->chunk > options->budget)
		jobs--;
	n = jobs == 0 ? 1 : 2 * (size_t)jobs + 2;
	slots = calloc(n, sizeof(*slots));
	pointers = calloc(n, sizeof(*pointers));
	if (slots == NULL || pointers == NULL) {
		vmf_fail_errno(err, VMF_IO, "compare");
		goto out;
	}
	for (i = 0; i < n; i++) {
		pointers[i] = &slots[i];
		slots[i].raw = vmf_direct_buffer(c->chunk);
		if (slots[i].raw == NULL) {
			vmf_fail_errno(err, VMF_IO, "compare");
			goto out;
		}
	}
	rc = vmf_pipeline_run(&p, pointers, n, jobs, c->progress, err);
out:
	for (i = 0; slots != NULL && i < n; i++)
		free(slots[i].raw);
	free(slots);
	free(pointers);
	return rc;
}

int
vmf_package_compare(struct vmf_source *src, struct vmf_digests *list,
    const struct vmf_geometry *geo, const struct vmf_package_differ *differ,
    const struct vmf_engine_options *options, struct vmf_error *err)
{
	struct compare c = {.src = src,
	    .list = list,
	    .chunk = geo->chunk,
	    .progress = options->progress,
	    .differ = differ};
	uint64_t size = vmf_source_size(src);

	if (vmf_digests_rewind(list, err) < 0 || run(&c, options, err) < 0)
		return -1;
	if (differ->exact && size > geo->size &&
	    differs(&c, geo->size, size - geo->size, err) < 0)
		return -1;
	if (tell(&c, err) < 0)
		return -1;
	return vmf_source_unchanged(src, err);
}
