/*
 * receive.h - the receiving end of a move: segments in any order, written in
 * place
 *
 * Segments - objects one after the other - are given as they come, in a spool
 * (spool.h) or as bytes.  Workers take one each and, object by object, verify
 * header, id, generation, frame checksum, length and SHA-256, and only then
 * write.  What was written is "received": the segment's room is free again.
 * Another thread syncs the targets, reads back what was written and compares,
 * appends to each image's log and syncs that: now it is "durable".
 *
 * Within a generation the order is free and each chunk comes at most once;
 * vmf_receive_barrier() waits until all of it is durable and begins the next.
 * A PATCH whose result is not what it says changes nothing: the chunk is asked
 * for again, whole, in a later generation.
 *
 * The first failure stops everything and is what every later call returns.
 *
 * Thread rule: one thread; events come from the threads inside, one at a time.
 */
#ifndef VMFERRY_RECEIVE_H
#define VMFERRY_RECEIVE_H

#include <vmferry/chunks.h>
#include <vmferry/engine.h>
#include <vmferry/sink.h>
#include <vmferry/spool.h>

/* All borrowed until vmf_receive_free(). */
struct vmf_receive_image {
	const char *name;
	struct vmf_geometry geo;
	struct vmf_sink *sink;	   /* begun */
	struct vmf_chunks *chunks; /* what the sink is known to hold */
	struct vmf_chunk_log *log; /* NULL: none */
	bool blank;		   /* what is not known reads as zeros */
};

struct vmf_receive_events {
	void *ctx;
	/* Segment n was received, and its slot is free. */
	int (*received)(void *ctx, uint64_t n, struct vmf_error *err);
	/* This of an image is durable. */
	int (*durable)(void *ctx, size_t image,
	    const struct vmf_digest_line *line, struct vmf_error *err);
	/* The chunk at off must come again, whole. */
	int (*again)(
	    void *ctx, size_t image, uint64_t off, struct vmf_error *err);
	/* After a row of durable: that was all for now. */
	int (*settled)(void *ctx, struct vmf_error *err);
	/* Before the first write over a chunk that was known: what a log says
	 * is not to be believed afterwards, if we die.  May be NULL. */
	int (*rewriting)(void *ctx, struct vmf_error *err);
	/* Called once, with the first failure: whoever waits for segments need
	 * not wait any longer.  May be NULL. */
	void (*failed)(void *ctx, const struct vmf_error *err);
};

struct vmf_receive_options {
	uint8_t id[VMF_ID_LEN];
	uint32_t generation; /* the first */
	bool readback;
	unsigned depth; /* segments that may wait; 0: VMF_SPOOL_SLOTS */
	struct vmf_spool *spool; /* NULL: none */
	const struct vmf_engine_options *engine;
	struct vmf_receive_events events;
};

struct vmf_receive;
/* Starts the threads. */
struct vmf_receive *vmf_receive_new(const struct vmf_receive_image *images,
    size_t n, const struct vmf_receive_options *options, struct vmf_error *err);
/* A segment in a slot of the spool, or in bytes (taken, malloc'd); waits while
 * too many do. */
int vmf_receive_slot(struct vmf_receive *r, uint64_t n, unsigned slot,
    size_t len, struct vmf_error *err);
int vmf_receive_bytes(struct vmf_receive *r, uint64_t n, uint8_t *bytes,
    size_t len, struct vmf_error *err);
/* Wait until all is durable; then objects must be of this generation, which
 * is larger than the one before. */
int vmf_receive_barrier(
    struct vmf_receive *r, uint32_t generation, struct vmf_error *err);
/* Bytes of frames that came. */
uint64_t vmf_receive_stored(const struct vmf_receive *r);
/* Stops the threads; NULL-safe. */
void vmf_receive_free(struct vmf_receive *r);

/*
 * Read what an image's sink holds into its chunks, but for what the sink holds
 * back: of an old copy, or of one that a dead run has left.
 */
int vmf_receive_survey(const struct vmf_receive_image *image,
    const struct vmf_engine_options *engine, struct vmf_error *err);

#endif
