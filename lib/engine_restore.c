/* engine_restore.c - from objects to a sink, and back from its medium */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine_internal.h"

static int
restore_fill(void *ctx, void *arg, struct vmf_error *err)
{
	struct vmf_job *job = ctx;
	struct vmf_slot *slot = arg;

	return vmf_reader_next(job->r, &slot->obj, slot->frame, err);
}

static int
check_data(struct vmf_worker *worker, const struct vmf_slot *slot,
    struct vmf_error *err)
{
	const struct vmf_object *obj = &slot->obj;
	uint8_t digest[VMF_SHA_LEN];

	if (vmf_checksum(slot->frame, (size_t)obj->stored) != obj->frame_sum)
		return vmf_fail(err, VMF_INTEGRITY, "its bytes are damaged");
	if (vmf_decode(worker->dec, slot->frame, (size_t)obj->stored, slot->raw,
		(size_t)obj->len, err) < 0 ||
	    vmf_sha256(slot->raw, (size_t)obj->len, digest, err) < 0)
		return -1;
	if (memcmp(digest, obj->digest, VMF_SHA_LEN) != 0)
		return vmf_fail(
		    err, VMF_INTEGRITY, "its SHA-256 is another one");
	return 0;
}

static int
restore_work(void *ctx, void *arg, void *slot_arg, struct vmf_error *err)
{
	struct vmf_job *job = ctx;
	struct vmf_slot *slot = slot_arg;
	const struct vmf_object *obj = &slot->obj;

	if (obj->kind == VMF_ZERO)
		return job->sink == NULL
			   ? 0
			   : vmf_sink_zero(job->sink, obj->len, obj->off, err);
	if (check_data(arg, slot, err) < 0)
		return vmf_wrap(
		    err, "chunk at image offset %" PRIu64, obj->off);
	if (job->sink == NULL)
		return 0;
	return vmf_sink_write(
	    job->sink, slot->raw, (size_t)obj->len, obj->off, err);
}

static int
restore_emit(void *ctx, void *arg, struct vmf_error *err)
{
	struct vmf_job *job = ctx;
	const struct vmf_object *obj = &((struct vmf_slot *)arg)->obj;
	bool zero = obj->kind == VMF_ZERO;
	struct vmf_digest_line line = {
	    .off = obj->off, .len = obj->len, .kind = obj->kind};

	vmf_engine_count(
	    job, obj->len, zero ? obj->len : 0, zero ? 0 : obj->stored);
	if (vmf_engine_flat(job, arg, err) < 0)
		return -1;
	if (job->list == NULL)
		return 0;
	memcpy(line.digest, obj->digest, VMF_SHA_LEN);
	return vmf_digests_add(job->list, &line, err);
}

static int
check_flat(const struct vmf_job *job, struct vmf_error *err)
{
	uint8_t flat[VMF_SHA_LEN];

	if (vmf_sha_final(job->flat, flat, err) < 0)
		return -1;
	if (memcmp(flat, vmf_reader_totals(job->r)->flat, VMF_SHA_LEN) != 0)
		return vmf_fail(err, VMF_INTEGRITY,
		    "the SHA-256 of the whole image is another one than END "
		    "says");
	return 0;
}

int
vmf_restore(struct vmf_reader *r, struct vmf_sink *sink,
    struct vmf_digests *list, const struct vmf_engine_options *options,
    struct vmf_error *err)
{
	struct vmf_pipeline p = {.fill = restore_fill,
	    .work = restore_work,
	    .emit = restore_emit,
	    .worker_new = vmf_engine_decoder,
	    .worker_free = vmf_engine_worker_free};
	const struct vmf_geometry *geo = vmf_reader_geometry(r);
	struct vmf_job job = {.options = options,
	    .chunk = geo->chunk,
	    .r = r,
	    .sink = sink,
	    .list = list};
	bool flat = (geo->features & VMF_FEATURE_FLAT) != 0;
	int rc;

	if (flat && (job.flat = vmf_sha_new(err)) == NULL)
		return -1;
	rc = vmf_engine_run(&job, &p, true, 0, err);
	if (rc == 0 && flat)
		rc = check_flat(&job, err);
	vmf_sha_free(job.flat);
	return rc;
}

/* ---- read-back ------------------------------------------------------- */

/* Is there nothing to read: kept for commit, or a hole that must be one? */
static bool
is_settled(
    const struct vmf_job *job, uint64_t len, uint64_t off, enum vmf_kind kind)
{
	return vmf_sink_holds(job->sink, off) ||
	       (kind == VMF_ZERO && vmf_sink_is_hole(job->sink, len, off));
}

static int
readback_fill(void *ctx, void *arg, struct vmf_error *err)
{
	struct vmf_job *job = ctx;
	struct vmf_slot *slot = arg;
	struct vmf_digest_line *line = &job->line;
	int rc;

	while (line->len == 0) {
		rc = vmf_digests_next(job->list, line, err);
		if (rc <= 0)
			return rc;
		if (line->kind == VMF_ZERO &&
		    vmf_sink_is_hole(job->sink, line->len, line->off)) {
			vmf_engine_count(job, line->len, line->len, 0);
			line->len = 0;
		}
	}
	slot->obj.kind = line->kind;
	slot->obj.off = line->off;
	slot->obj.len = line->len < job->chunk ? line->len : job->chunk;
	memcpy(slot->obj.digest, line->digest, VMF_SHA_LEN);
	line->off += slot->obj.len;
	line->len -= slot->obj.len;
	return 1;
}

static int
readback_work(void *ctx, void *arg, void *slot_arg, struct vmf_error *err)
{
	struct vmf_job *job = ctx;
	struct vmf_slot *slot = slot_arg;
	const struct vmf_object *obj = &slot->obj;
	uint8_t digest[VMF_SHA_LEN];
	bool same;

	(void)arg;
	if (is_settled(job, obj->len, obj->off, obj->kind))
		return 0;
	if (vmf_sink_read(
		job->sink, slot->raw, (size_t)obj->len, obj->off, err) < 0)
		return -1;
	if (obj->kind == VMF_ZERO) {
		same = vmf_engine_is_zero(slot->raw, (size_t)obj->len);
	} else {
		if (vmf_sha256(slot->raw, (size_t)obj->len, digest, err) < 0)
			return -1;
		same = memcmp(digest, obj->digest, VMF_SHA_LEN) == 0;
	}
	if (!same)
		return vmf_fail(err, VMF_INTEGRITY,
		    "%s: reads back other bytes than were written, in the "
		    "chunk at offset %" PRIu64 "; do not trust this disk",
		    vmf_sink_name(job->sink), obj->off);
	return 0;
}

static int
readback_emit(void *ctx, void *arg, struct vmf_error *err)
{
	const struct vmf_object *obj = &((struct vmf_slot *)arg)->obj;

	(void)err;
	vmf_engine_count(
	    ctx, obj->len, obj->kind == VMF_ZERO ? obj->len : 0, 0);
	return 0;
}

int
vmf_readback(struct vmf_sink *sink, struct vmf_digests *list, uint32_t chunk,
    const struct vmf_engine_options *options, struct vmf_error *err)
{
	struct vmf_pipeline p = {.fill = readback_fill,
	    .work = readback_work,
	    .emit = readback_emit};
	struct vmf_job job = {
	    .options = options, .chunk = chunk, .sink = sink, .list = list};

	if (vmf_sink_flush(sink, err) < 0 || vmf_digests_rewind(list, err) < 0)
		return -1;
	return vmf_engine_run(&job, &p, false, 0, err);
}
