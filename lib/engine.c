/*
 * engine.c - see vmferry/engine.h
 *
 * Three jobs for the one pipeline.
 *
 * Dump: fill reads the next chunk (or takes a hole as it is), work finds
 * zeros, hashes and compresses, emit hands the result to the writer, which
 * merges zero runs.
 *
 * Restore: fill takes the next object from the reader, work checks, decodes
 * and writes it to the sink, emit notes its digest.
 *
 * Read-back: fill takes the next line of the digests, cut into chunks, work
 * reads the sink and compares, emit counts.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vmferry/digest.h>
#include <vmferry/direct.h>
#include <vmferry/engine.h>
#include <vmferry/pipeline.h>

struct slot {
	struct vmf_object obj; /* what it is: kind, off, len, digest, ... */
	uint8_t *raw;	       /* a chunk */
	uint8_t *frame;	       /* its frame; NULL for read-back */
};

/* What is needed by turns: a compressor, a decompressor, or nothing. */
struct worker {
	struct vmf_encoder *enc;
	struct vmf_decoder *dec;
};

struct job {
	const struct vmf_engine_options *options;
	uint32_t chunk;
	struct vmf_source *src;
	struct vmf_writer *w;
	struct vmf_reader *r;
	struct vmf_sink *sink;
	struct vmf_digests *list;
	uint64_t off;		     /* dump: of the next slot */
	struct vmf_extent ext;	     /* dump: the extent that off is in */
	bool at_end;		     /* dump: a pipe has ended */
	struct vmf_digest_line line; /* read-back: what is left of a line */
};

void
vmf_engine_defaults(struct vmf_engine_options *options)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	memset(options, 0, sizeof(*options));
	options->jobs = cpus < 1	      ? 1
			: cpus > VMF_JOBS_MAX ? VMF_JOBS_MAX
					      : (unsigned)cpus;
	options->level = VMF_LEVEL_DEFAULT;
	options->budget = VMF_BUDGET_DEFAULT;
}

static bool
is_zero(const uint8_t *p, size_t len)
{
	/* Compare the buffer with itself, shifted: memcmp does the rest. */
	return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

static void
count(const struct job *job, uint64_t len, uint64_t zero, uint64_t stored)
{
	struct vmf_progress *p = job->options->progress;

	if (p == NULL)
		return;
	atomic_fetch_add(&p->done, len);
	atomic_fetch_add(&p->zero, zero);
	atomic_fetch_add(&p->stored, stored);
}

/* ---- slots and workers --------------------------------------------- */

static void
free_slots(struct slot **slots, size_t n)
{
	size_t i;

	for (i = 0; slots != NULL && i < n; i++) {
		if (slots[i] == NULL)
			continue;
		free(slots[i]->raw);
		free(slots[i]->frame);
		free(slots[i]);
	}
	free(slots);
}

static struct slot **
new_slots(size_t n, uint32_t chunk, bool frames)
{
	struct slot **slots = calloc(n, sizeof(*slots));
	size_t i;

	for (i = 0; slots != NULL && i < n; i++) {
		slots[i] = calloc(1, sizeof(**slots));
		if (slots[i] == NULL)
			break;
		slots[i]->raw = vmf_direct_buffer(chunk);
		if (frames)
			slots[i]->frame =
			    vmf_direct_buffer(vmf_frame_bound(chunk));
		if (slots[i]->raw == NULL ||
		    (frames && slots[i]->frame == NULL))
			break;
	}
	if (slots != NULL && i < n) {
		free_slots(slots, n);
		slots = NULL;
	}
	return slots;
}

static void *
encoder_new(void *ctx, struct vmf_error *err)
{
	const struct job *job = ctx;
	struct worker *worker = calloc(1, sizeof(*worker));

	if (worker == NULL) {
		vmf_fail_errno(err, VMF_IO, "worker");
		return NULL;
	}
	worker->enc = vmf_encoder_new(job->options->level, err);
	if (worker->enc == NULL) {
		free(worker);
		return NULL;
	}
	return worker;
}

static void *
decoder_new(void *ctx, struct vmf_error *err)
{
	struct worker *worker = calloc(1, sizeof(*worker));

	(void)ctx;
	if (worker == NULL) {
		vmf_fail_errno(err, VMF_IO, "worker");
		return NULL;
	}
	worker->dec = vmf_decoder_new(err);
	if (worker->dec == NULL) {
		free(worker);
		return NULL;
	}
	return worker;
}

static void
worker_free(void *arg)
{
	struct worker *worker = arg;

	if (worker == NULL)
		return;
	vmf_encoder_free(worker->enc);
	vmf_decoder_free(worker->dec);
	free(worker);
}

/*
 * Run job with as many workers and slots as the budget holds: two slots for
 * each worker (one being worked on, one waiting to be emitted) and two more
 * that are being filled and emitted.
 */
static int
run_job(struct job *job, struct vmf_pipeline *p, bool frames,
    size_t worker_memory, struct vmf_error *err)
{
	const struct vmf_engine_options *o = job->options;
	size_t slot_len =
	    job->chunk + (frames ? vmf_frame_bound(job->chunk) : 0);
	unsigned jobs = o->jobs > VMF_JOBS_MAX ? VMF_JOBS_MAX : o->jobs;
	struct slot **slots;
	size_t n;
	int rc;

	while (jobs > 1 &&
	       jobs * worker_memory + (2 * jobs + 2) * slot_len > o->budget)
		jobs--;
	n = jobs == 0 ? 1 : 2 * (size_t)jobs + 2;
	while (n > 2 && jobs * worker_memory + n * slot_len > o->budget)
		n--;
	slots = new_slots(n, job->chunk, frames);
	if (slots == NULL)
		return vmf_fail(err, VMF_IO,
		    "no memory for %zu chunks of %" PRIu32 " bytes", n,
		    job->chunk);
	p->ctx = job;
	rc = vmf_pipeline_run(
	    p, (void *const *)slots, n, jobs, o->progress, err);
	free_slots(slots, n);
	return rc;
}

/* ---- dump ----------------------------------------------------------- */

/* A hole of whole chunks (or up to the end) need not be read at all. */
static uint64_t
hole_len(const struct job *job, uint64_t size)
{
	uint64_t end = job->ext.off + job->ext.len;

	if (job->ext.kind != VMF_EXTENT_ZERO)
		return 0;
	if (end < size)
		end -= end % job->chunk;
	return end > job->off ? end - job->off : 0;
}

static int
fill_from_pipe(struct job *job, struct slot *slot, struct vmf_error *err)
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

static int
dump_fill(void *ctx, void *arg, struct vmf_error *err)
{
	struct job *job = ctx;
	struct slot *slot = arg;
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
	struct worker *worker = arg;
	struct slot *slot = slot_arg;
	struct vmf_object *obj = &slot->obj;
	size_t len = (size_t)obj->len, stored;

	(void)ctx;
	if (obj->kind == VMF_DATA && is_zero(slot->raw, len))
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
	struct job *job = ctx;
	struct slot *slot = arg;
	struct vmf_object *obj = &slot->obj;

	if (obj->kind == VMF_ZERO) {
		count(job, obj->len, obj->len, 0);
		return vmf_writer_zero(job->w, obj->len, err);
	}
	count(job, obj->len, 0, obj->stored);
	return vmf_writer_data(job->w, (uint32_t)obj->len, obj->digest,
	    slot->frame, (size_t)obj->stored, obj->frame_sum, err);
}

int
vmf_dump(struct vmf_source *src, struct vmf_writer *w, uint32_t chunk,
    const struct vmf_engine_options *options, struct vmf_error *err)
{
	struct vmf_pipeline p = {.fill = dump_fill,
	    .work = dump_work,
	    .emit = dump_emit,
	    .worker_new = encoder_new,
	    .worker_free = worker_free};
	struct job job = {
	    .options = options, .chunk = chunk, .src = src, .w = w};

	if (run_job(&job, &p, true, vmf_encoder_memory(options->level), err) <
	    0)
		return -1;
	return vmf_source_unchanged(src, err);
}

/* ---- restore --------------------------------------------------------- */

static int
restore_fill(void *ctx, void *arg, struct vmf_error *err)
{
	struct job *job = ctx;
	struct slot *slot = arg;

	return vmf_reader_next(job->r, &slot->obj, slot->frame, err);
}

static int
check_data(
    struct worker *worker, const struct slot *slot, struct vmf_error *err)
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
	struct job *job = ctx;
	struct slot *slot = slot_arg;
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
	struct job *job = ctx;
	const struct vmf_object *obj = &((struct slot *)arg)->obj;
	bool zero = obj->kind == VMF_ZERO;
	struct vmf_digest_line line = {
	    .off = obj->off, .len = obj->len, .kind = obj->kind};

	count(job, obj->len, zero ? obj->len : 0, zero ? 0 : obj->stored);
	if (job->list == NULL)
		return 0;
	memcpy(line.digest, obj->digest, VMF_SHA_LEN);
	return vmf_digests_add(job->list, &line, err);
}

int
vmf_restore(struct vmf_reader *r, struct vmf_sink *sink,
    struct vmf_digests *list, const struct vmf_engine_options *options,
    struct vmf_error *err)
{
	struct vmf_pipeline p = {.fill = restore_fill,
	    .work = restore_work,
	    .emit = restore_emit,
	    .worker_new = decoder_new,
	    .worker_free = worker_free};
	struct job job = {.options = options,
	    .chunk = vmf_reader_geometry(r)->chunk,
	    .r = r,
	    .sink = sink,
	    .list = list};

	return run_job(&job, &p, true, 0, err);
}

/* ---- read-back ------------------------------------------------------- */

/* Is there nothing to read: kept for commit, or a hole that must be one? */
static bool
is_settled(
    const struct job *job, uint64_t len, uint64_t off, enum vmf_kind kind)
{
	return vmf_sink_holds(job->sink, off) ||
	       (kind == VMF_ZERO && vmf_sink_is_hole(job->sink, len, off));
}

static int
readback_fill(void *ctx, void *arg, struct vmf_error *err)
{
	struct job *job = ctx;
	struct slot *slot = arg;
	struct vmf_digest_line *line = &job->line;
	int rc;

	while (line->len == 0) {
		rc = vmf_digests_next(job->list, line, err);
		if (rc <= 0)
			return rc;
		if (line->kind == VMF_ZERO &&
		    vmf_sink_is_hole(job->sink, line->len, line->off)) {
			count(job, line->len, line->len, 0);
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
	struct job *job = ctx;
	struct slot *slot = slot_arg;
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
		same = is_zero(slot->raw, (size_t)obj->len);
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
	const struct vmf_object *obj = &((struct slot *)arg)->obj;

	(void)err;
	count(ctx, obj->len, obj->kind == VMF_ZERO ? obj->len : 0, 0);
	return 0;
}

int
vmf_readback(struct vmf_sink *sink, struct vmf_digests *list, uint32_t chunk,
    const struct vmf_engine_options *options, struct vmf_error *err)
{
	struct vmf_pipeline p = {.fill = readback_fill,
	    .work = readback_work,
	    .emit = readback_emit};
	struct job job = {
	    .options = options, .chunk = chunk, .sink = sink, .list = list};

	if (vmf_sink_flush(sink, err) < 0 || vmf_digests_rewind(list, err) < 0)
		return -1;
	return run_job(&job, &p, false, 0, err);
}
