/*
 * copy_pass.c - one generation of one image
 *
 * The engine's pipeline once more: fill reads the next chunk (or takes a hole
 * as it is), work compares its digest with that of what the far end holds and
 * compresses what differs, emit puts it into the feed and notes it.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <vmferry/digest.h>

#include "copy_internal.h"

#define SAME ((enum vmf_kind)0) /* as the far end has it */

struct pass {
	struct vmf_job job; /* first: the engine knows only this */
	struct vmf_copy *copy;
	struct copy_image *image;
	size_t n; /* of the image */
	bool held;
	struct vmf_copy_pass *result;
};

static uint64_t
chunk_of(const struct pass *pass, uint64_t off)
{
	return off / pass->job.chunk;
}

static int
pass_fill(void *ctx, void *arg, struct vmf_error *err)
{
	struct pass *pass = ctx;
	struct vmf_job *job = &pass->job;
	uint64_t size = vmf_source_size(job->src);
	int kind;

	while (pass->held && job->off < size) {
		kind = vmf_chunks_get(
		    pass->image->there, chunk_of(pass, job->off), NULL, err);
		if (kind < 0)
			return -1;
		if (kind == 0)
			break;
		job->off +=
		    size - job->off < job->chunk ? size - job->off : job->chunk;
	}
	return vmf_engine_fill(ctx, arg, err);
}

static int
encode(struct vmf_worker *worker, struct vmf_slot *slot, size_t len,
    struct vmf_error *err)
{
	size_t stored;

	if (vmf_encode(worker->enc, slot->raw, len, slot->frame, &stored, err) <
	    0)
		return -1;
	slot->obj.stored = stored;
	slot->obj.frame_sum = vmf_checksum(slot->frame, stored);
	return 0;
}

static int
pass_work(void *ctx, void *arg, void *slot_arg, struct vmf_error *err)
{
	struct pass *pass = ctx;
	struct vmf_slot *slot = slot_arg;
	struct vmf_object *obj = &slot->obj;
	uint64_t n = chunk_of(pass, obj->off);
	size_t len = (size_t)obj->len, total = len;
	uint8_t there[VMF_SHA_LEN];
	int kind, patch = 0;
	bool same;

	if (obj->kind == VMF_DATA && vmf_engine_is_zero(slot->raw, len))
		obj->kind = VMF_ZERO;
	if (obj->kind == VMF_ZERO)
		return 0;
	kind = vmf_chunks_get(pass->image->there, n, there, err);
	if (kind < 0 || vmf_sha256(slot->raw, len, obj->digest, err) < 0)
		return -1;
	same = kind == VMF_DATA && memcmp(there, obj->digest, VMF_SHA_LEN) == 0;
	if (pass->image->sums != NULL)
		patch = vmf_sums_patch(pass->image->sums, n, slot->raw, len,
		    kind == VMF_DATA && !same, &slot->body, &obj->body_len,
		    &total, err);
	if (patch < 0)
		return -1;
	obj->kind = same ? SAME : patch ? VMF_PATCH : VMF_DATA;
	return same ? 0 : encode(arg, slot, patch ? total : len, err);
}

/* Number it and put it into the feed. */
static int
put(struct pass *pass, struct vmf_object *obj, const uint8_t *body,
    const uint8_t *frame, struct vmf_error *err)
{
	uint8_t *head = malloc(vmf_object_head_len(obj));
	int rc;

	if (head == NULL)
		return vmf_fail_errno(err, VMF_IO, "object");
	memcpy(obj->id, pass->copy->info->id, VMF_ID_LEN);
	obj->generation = pass->copy->generation;
	obj->image = (uint32_t)pass->n;
	if (obj->body_len > 0)
		memcpy(head + VMF_OBJECT_FIXED, body, obj->body_len);
	vmf_object_encode(obj, head);
	rc = vmf_feed_put(pass->copy->feed, obj, head, frame, err);
	free(head);
	pass->result->sent += vmf_object_head_len(obj) + obj->stored;
	return rc;
}

static int
note(struct pass *pass, const struct vmf_object *obj, struct vmf_error *err)
{
	struct vmf_digest_line line = {.off = obj->off,
	    .len = obj->len,
	    .kind = obj->kind == VMF_ZERO ? VMF_ZERO : VMF_DATA};

	memcpy(line.digest, obj->digest, VMF_SHA_LEN);
	return vmf_chunks_set(pass->image->there, &line, err);
}

/* A run of zeros that the far end does not have yet, in pieces. */
static int
put_zeros(struct pass *pass, uint64_t off, uint64_t len, struct vmf_error *err)
{
	uint32_t chunk = pass->job.chunk;
	struct vmf_object obj;

	for (; len > 0; off += obj.len, len -= obj.len) {
		memset(&obj, 0, sizeof(obj));
		obj.kind = VMF_ZERO;
		obj.off = off;
		obj.len = len < VMF_ZERO_RUN_MAX ? len : VMF_ZERO_RUN_MAX;
		/* What is left of less than a chunk stands alone. */
		if (obj.len > chunk)
			obj.len -= obj.len % chunk;
		memcpy(obj.digest,
		    obj.len < chunk ? pass->image->last_zero
				    : pass->image->zero,
		    VMF_SHA_LEN);
		pass->result->chunks += vmf_chunk_count(obj.len, chunk);
		if (put(pass, &obj, NULL, NULL, err) < 0 ||
		    note(pass, &obj, err) < 0)
			return -1;
	}
	return 0;
}

static int
emit_zeros(struct pass *pass, uint64_t off, uint64_t len, struct vmf_error *err)
{
	uint64_t chunk = pass->job.chunk, end = off + len, from = off, next;
	int kind;

	for (; off < end; off = next) {
		next = end - off < chunk ? end : off + chunk;
		kind =
		    vmf_chunks_get(pass->image->there, off / chunk, NULL, err);
		if (kind < 0)
			return -1;
		if (kind != VMF_ZERO)
			continue;
		if (put_zeros(pass, from, off - from, err) < 0)
			return -1;
		from = next;
	}
	return put_zeros(pass, from, end - from, err);
}

static int
emit_data(struct pass *pass, struct vmf_slot *slot, struct vmf_error *err)
{
	struct vmf_object *obj = &slot->obj;

	pass->result->chunks++;
	pass->result->patches += obj->kind == VMF_PATCH;
	pass->result->changed += obj->len;
	if (put(pass, obj, slot->body, slot->frame, err) < 0)
		return -1;
	return note(pass, obj, err);
}

static int
pass_emit(void *ctx, void *arg, struct vmf_error *err)
{
	struct pass *pass = ctx;
	struct vmf_slot *slot = arg;
	const struct vmf_object *obj = &slot->obj;
	bool zero = obj->kind == VMF_ZERO;
	uint64_t stored = obj->kind == SAME ? 0 : obj->stored;
	int rc = 0;

	vmf_engine_count(
	    &pass->job, obj->len, zero ? obj->len : 0, zero ? 0 : stored);
	if (zero) {
		rc = emit_zeros(pass, obj->off, obj->len, err);
	} else {
		pass->result->read += obj->len;
		if (obj->kind != SAME)
			rc = emit_data(pass, slot, err);
	}
	free(slot->body);
	slot->body = NULL;
	memset(&slot->obj, 0, sizeof(slot->obj));
	return rc;
}

int
vmf_copy_image(struct vmf_copy *copy, size_t n, struct vmf_source *src,
    bool held, struct vmf_copy_pass *result, struct vmf_error *err)
{
	struct vmf_pipeline p = {.fill = pass_fill,
	    .work = pass_work,
	    .emit = pass_emit,
	    .worker_new = vmf_engine_encoder,
	    .worker_free = vmf_engine_worker_free};
	struct vmf_engine_options options = copy->o.engine;
	struct copy_image *image = &copy->images[n];
	struct pass pass = {
	    .job = {.options = &options,
		.chunk = image->image->geo.chunk,
		.src = src},
	    .copy = copy,
	    .image = image,
	    .n = n,
	    .held = held,
	    .result = result,
	};
	size_t memory = vmf_feed_memory(copy->feed);

	if (vmf_source_size(src) != image->image->geo.size)
		return vmf_fail(err, VMF_INTEGRITY,
		    "%s: has %" PRIu64 " bytes now, and had %" PRIu64,
		    vmf_source_name(src), vmf_source_size(src),
		    image->image->geo.size);
	options.budget = options.budget > 2 * memory ? options.budget - memory
						     : options.budget / 2;
	if (vmf_engine_run(&pass.job, &p, true,
		vmf_encoder_memory(options.level), err) < 0)
		return -1;
	return vmf_source_unchanged(src, err);
}
