/* engine_dump.c - from a source to objects, or to plain bytes */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine_internal.h"

/* A hole of whole chunks (or up to the end) need not be read at all. */
static uint64_t
hole_len(const struct vmf_job *job, uint64_t size)
{
	uint64_t end = job->ext.off + job->ext.len;

	if (job->ext.kind != VMF_EXTENT_ZERO)
		return 0;
	if (end < size)
		end -= end % job->chunk;
	return end > job->off ? end - job->off : 0;
}

static int
fill_from_pipe(
    struct vmf_job *job, struct vmf_slot *slot, struct vmf_error *err)
{
	size_t got;

	if (job->at_end)
		return 0;
	if (vmf_source_read(
		job->src, slot->raw, job->chunk, job->off, &got, err) < 0)
		return -1;
	job->at_end = got < job->chunk;
	slot->obj.kind = VMF_DATA;
	slot->obj.off = job->off;
	slot->obj.len = got;
	job->off += got;
	return got > 0;
}

int
vmf_engine_fill(void *ctx, void *arg, struct vmf_error *err)
{
	struct vmf_job *job = ctx;
	struct vmf_slot *slot = arg;
	uint64_t size = vmf_source_size(job->src), len;

	if (size == VMF_SIZE_UNKNOWN)
		return fill_from_pipe(job, slot, err);
	if (job->off == size)
		return 0;
	if (job->off >= job->ext.off + job->ext.len &&
	    vmf_source_extent(job->src, job->off, &job->ext, err) < 0)
		return -1;
	slot->obj.off = job->off;
	len = hole_len(job, size);
	if (len > 0) {
		slot->obj.kind = VMF_ZERO;
	} else {
		len =
		    size - job->off < job->chunk ? size - job->off : job->chunk;
		slot->obj.kind = VMF_DATA;
		if (vmf_source_read(job->src, slot->raw, (size_t)len, job->off,
			NULL, err) < 0)
			return -1;
	}
	slot->obj.len = len;
	job->off += len;
	return 1;
}

static int
dump_work(void *ctx, void *arg, void *slot_arg, struct vmf_error *err)
{
	struct vmf_worker *worker = arg;
	struct vmf_slot *slot = slot_arg;
	struct vmf_object *obj = &slot->obj;
	size_t len = (size_t)obj->len, stored;

	(void)ctx;
	if (obj->kind == VMF_DATA && vmf_engine_is_zero(slot->raw, len))
		obj->kind = VMF_ZERO;
	if (obj->kind == VMF_ZERO)
		return 0;
	if (vmf_sha256(slot->raw, len, obj->digest, err) < 0 ||
	    vmf_encode(worker->enc, slot->raw, len, slot->frame, &stored, err) <
		0)
		return -1;
	obj->stored = stored;
	obj->frame_sum = vmf_checksum(slot->frame, stored);
	return 0;
}

static int
dump_emit(void *ctx, void *arg, struct vmf_error *err)
{
	struct vmf_job *job = ctx;
	struct vmf_slot *slot = arg;
	struct vmf_object *obj = &slot->obj;

	if (vmf_engine_flat(job, slot, err) < 0)
		return -1;
	if (obj->kind == VMF_ZERO) {
		vmf_engine_count(job, obj->len, obj->len, 0);
		return vmf_writer_zero(job->w, obj->len, err);
	}
	vmf_engine_count(job, obj->len, 0, obj->stored);
	return vmf_writer_data(job->w, (uint32_t)obj->len, obj->digest,
	    slot->frame, (size_t)obj->stored, obj->frame_sum, err);
}

int
vmf_dump(struct vmf_source *src, struct vmf_writer *w, uint32_t chunk,
    const struct vmf_engine_options *options, struct vmf_error *err)
{
	struct vmf_pipeline p = {.fill = vmf_engine_fill,
	    .work = dump_work,
	    .emit = dump_emit,
	    .worker_new = vmf_engine_encoder,
	    .worker_free = vmf_engine_worker_free};
	struct vmf_job job = {
	    .options = options, .chunk = chunk, .src = src, .w = w};
	uint8_t flat[VMF_SHA_LEN];
	int rc = -1;

	if (options->flat && (job.flat = vmf_sha_new(err)) == NULL)
		return -1;
	if (vmf_engine_run(
		&job, &p, true, vmf_encoder_memory(options->level), err) < 0)
		goto out;
	if (options->flat) {
		if (vmf_sha_final(job.flat, flat, err) < 0)
			goto out;
		vmf_writer_set_flat(w, flat);
	}
	rc = vmf_source_unchanged(src, err);
out:
	vmf_sha_free(job.flat);
	return rc;
}

/* ---- copy ------------------------------------------------------------- */

static int
copy_work(void *ctx, void *arg, void *slot_arg, struct vmf_error *err)
{
	struct vmf_job *job = ctx;
	struct vmf_slot *slot = slot_arg;
	struct vmf_object *obj = &slot->obj;
	size_t len = (size_t)obj->len;

	(void)arg;
	memset(obj->digest, 0, VMF_SHA_LEN);
	if (obj->kind == VMF_DATA && vmf_engine_is_zero(slot->raw, len))
		obj->kind = VMF_ZERO;
	if (job->sink == NULL)
		return 0;
	if (obj->kind == VMF_ZERO)
		return vmf_sink_zero(job->sink, obj->len, obj->off, err);
	if (job->list != NULL &&
	    vmf_sha256(slot->raw, len, obj->digest, err) < 0)
		return -1;
	return vmf_sink_write(job->sink, slot->raw, len, obj->off, err);
}

/* A piece of the image to a stream; zeros by way of the slot's buffer. */
static int
put_plain(
    const struct vmf_job *job, struct vmf_slot *slot, struct vmf_error *err)
{
	uint64_t len = slot->obj.len;
	size_t n;

	if (slot->obj.kind == VMF_ZERO)
		memset(slot->raw, 0, len < job->chunk ? len : job->chunk);
	for (; len > 0; len -= n) {
		n = len < job->chunk ? (size_t)len : job->chunk;
		if (job->out->write(job->out->ctx, slot->raw, n, err) < 0 ||
		    vmf_progress_check(job->options->progress, err) < 0)
			return -1;
	}
	return 0;
}

static int
copy_emit(void *ctx, void *arg, struct vmf_error *err)
{
	struct vmf_job *job = ctx;
	struct vmf_slot *slot = arg;
	const struct vmf_object *obj = &slot->obj;
	bool zero = obj->kind == VMF_ZERO;
	uint64_t n = vmf_chunk_count(obj->len, job->chunk);
	struct vmf_digest_line line = {
	    .off = obj->off, .len = obj->len, .kind = obj->kind};

	vmf_engine_count(
	    job, obj->len, zero ? obj->len : 0, zero ? 0 : obj->len);
	job->totals->size += obj->len;
	if (zero)
		job->totals->zero_chunks += n;
	else
		job->totals->data_chunks += n;
	if (vmf_engine_flat(job, slot, err) < 0 ||
	    (job->out != NULL && put_plain(job, slot, err) < 0))
		return -1;
	if (job->sink != NULL && job->options->rate != NULL && !zero &&
	    vmf_rate_wait(job->options->rate, (size_t)obj->len,
		job->options->progress, err) < 0)
		return -1;
	if (job->list == NULL)
		return 0;
	memcpy(line.digest, obj->digest, VMF_SHA_LEN);
	return vmf_digests_add(job->list, &line, err);
}

int
vmf_copy(struct vmf_source *src, struct vmf_sink *sink, struct vmf_out *out,
    struct vmf_digests *list, uint32_t chunk,
    const struct vmf_engine_options *options, struct vmf_totals *totals,
    struct vmf_error *err)
{
	struct vmf_pipeline p = {
	    .fill = vmf_engine_fill, .work = copy_work, .emit = copy_emit};
	struct vmf_job job = {.options = options,
	    .chunk = chunk,
	    .src = src,
	    .sink = sink,
	    .out = out,
	    .list = list,
	    .totals = totals};
	int rc = -1;

	memset(totals, 0, sizeof(*totals));
	if (options->flat && (job.flat = vmf_sha_new(err)) == NULL)
		return -1;
	if (vmf_engine_run(&job, &p, false, 0, err) == 0 &&
	    (!options->flat || vmf_sha_final(job.flat, totals->flat, err) == 0))
		rc = vmf_source_unchanged(src, err);
	vmf_sha_free(job.flat);
	return rc;
}
