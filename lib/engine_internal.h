/*
 * engine_internal.h - what the jobs of the engine share: slots, workers, and
 * the pipeline within its budget
 */
#ifndef VMFERRY_ENGINE_INTERNAL_H
#define VMFERRY_ENGINE_INTERNAL_H

#include <vmferry/digest.h>
#include <vmferry/direct.h>
#include <vmferry/engine.h>
#include <vmferry/pipeline.h>

struct vmf_slot {
	struct vmf_object obj; /* what it is: kind, off, len, digest, ... */
	uint8_t *raw;	       /* a chunk */
	uint8_t *frame;	       /* its frame; NULL for read-back */
	uint8_t *body;	       /* malloc'd, of an object that has one */
};

/* What is needed by turns: a compressor, a decompressor, or nothing. */
struct vmf_worker {
	struct vmf_encoder *enc;
	struct vmf_decoder *dec;
};

struct vmf_job {
	const struct vmf_engine_options *options;
	uint32_t chunk;
	struct vmf_source *src;
	struct vmf_writer *w;
	struct vmf_reader *r;
	struct vmf_sink *sink;
	struct vmf_out *out;
	struct vmf_digests *list;
	struct vmf_sha *flat;	     /* of the raw image in order, or NULL */
	struct vmf_totals *totals;   /* copy: counted here */
	uint64_t off;		     /* dump: of the next slot */
	struct vmf_extent ext;	     /* dump: the extent that off is in */
	bool at_end;		     /* dump: a pipe has ended */
	struct vmf_digest_line line; /* read-back: what is left of a line */
};

/* For struct vmf_pipeline: the next chunk of job->src, or a hole as it is. */
int vmf_engine_fill(void *ctx, void *slot, struct vmf_error *err);

bool vmf_engine_is_zero(const uint8_t *p, size_t len);
/* Add to the progress, if there is one. */
void vmf_engine_count(
    const struct vmf_job *job, uint64_t len, uint64_t zero, uint64_t stored);
/* The next piece of the image for its flat digest; zero: of zeros. */
int vmf_engine_flat(const struct vmf_job *job, const struct vmf_slot *slot,
    struct vmf_error *err);

/* For struct vmf_pipeline: a worker with a compressor or a decompressor. */
void *vmf_engine_encoder(void *ctx, struct vmf_error *err);
void *vmf_engine_decoder(void *ctx, struct vmf_error *err);
void vmf_engine_worker_free(void *arg);

/* Run job with as many workers and slots as the budget holds; frames: slots
 * have room for a frame each; worker_memory: bytes of a worker's own. */
int vmf_engine_run(struct vmf_job *job, struct vmf_pipeline *p, bool frames,
    size_t worker_memory, struct vmf_error *err);

#endif
