/*
 * engine.c - see vmferry/engine.h: what its jobs share
 *
 * Four jobs for the one pipeline.
 *
 * Dump (engine_dump.c): fill reads the next chunk (or takes a hole as it is),
 * work finds zeros, hashes and compresses, emit hands the result to the writer,
 * which merges zero runs.
 *
 * Copy (likewise): the same without frames; work writes to the sink, or emit
 * in order to a stream of plain bytes.
 *
 * Restore (engine_restore.c): fill takes the next object from the reader, work
 * checks, decodes and writes it to the sink, emit notes its digest.
 *
 * Read-back (likewise): fill takes the next line of the digests, cut into
 * chunks, work reads the sink and compares, emit counts.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine_internal.h"

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

bool
vmf_engine_is_zero(const uint8_t *p, size_t len)
{
	/* Compare the buffer with itself, shifted: memcmp does the rest. */
	return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

void
vmf_engine_count(
    const struct vmf_job *job, uint64_t len, uint64_t zero, uint64_t stored)
{
	struct vmf_progress *p = job->options->progress;

	if (p == NULL)
		return;
	atomic_fetch_add(&p->done, len);
	atomic_fetch_add(&p->zero, zero);
	atomic_fetch_add(&p->stored, stored);
}

int
vmf_engine_flat(const struct vmf_job *job, const struct vmf_slot *slot,
    struct vmf_error *err)
{
	static const uint8_t zeros[VMF_KIB * 64];
	uint64_t len = slot->obj.len;
	size_t n;

	if (job->flat == NULL)
		return 0;
	if (slot->obj.kind == VMF_DATA)
		return vmf_sha_update(job->flat, slot->raw, (size_t)len, err);
	for (; len > 0; len -= n) {
		n = len < sizeof(zeros) ? (size_t)len : sizeof(zeros);
		if (vmf_sha_update(job->flat, zeros, n, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- slots and workers --------------------------------------------- */

static void
free_slots(struct vmf_slot **slots, size_t n)
{
	size_t i;

	for (i = 0; slots != NULL && i < n; i++) {
		if (slots[i] == NULL)
			continue;
		free(slots[i]->raw);
		free(slots[i]->frame);
		free(slots[i]->body);
		free(slots[i]);
	}
	free(slots);
}

static struct vmf_slot **
new_slots(size_t n, uint32_t chunk, bool frames)
{
	struct vmf_slot **slots = calloc(n, sizeof(*slots));
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

void *
vmf_engine_encoder(void *ctx, struct vmf_error *err)
{
	const struct vmf_job *job = ctx;
	struct vmf_worker *worker = calloc(1, sizeof(*worker));

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

void *
vmf_engine_decoder(void *ctx, struct vmf_error *err)
{
	struct vmf_worker *worker = calloc(1, sizeof(*worker));

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

void
vmf_engine_worker_free(void *arg)
{
	struct vmf_worker *worker = arg;

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
int
vmf_engine_run(struct vmf_job *job, struct vmf_pipeline *p, bool frames,
    size_t worker_memory, struct vmf_error *err)
{
	const struct vmf_engine_options *o = job->options;
	size_t slot_len =
	    job->chunk + (frames ? vmf_frame_bound(job->chunk) : 0);
	unsigned jobs = o->jobs > VMF_JOBS_MAX ? VMF_JOBS_MAX : o->jobs;
	struct vmf_slot **slots;
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
