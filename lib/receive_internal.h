/*
 * receive_internal.h - what the files of the receiving end share
 */
#ifndef VMFERRY_RECEIVE_INTERNAL_H
#define VMFERRY_RECEIVE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include <vmferry/receive.h>

/* What a segment has written. */
struct received {
	size_t image;
	struct vmf_digest_line line;
};

struct received_list {
	struct received *items;
	size_t n, room;
	uint64_t bytes; /* of the images */
};
int vmf_received_add(struct received_list *list, size_t image,
    const struct vmf_digest_line *line, struct vmf_error *err);

/* A segment on its way through: waiting, then worked on. */
struct segment {
	struct segment *next;
	uint64_t n;
	unsigned slot;	/* when bytes is NULL */
	uint8_t *bytes; /* or here */
	size_t len;
};

struct vmf_receive {
	const struct vmf_receive_image *images;
	size_t nimages;
	struct vmf_receive_options o;
	uint32_t chunk; /* the largest of the images' */
	pthread_t *workers;
	unsigned nworkers;
	pthread_t settler;
	bool settling; /* that thread runs */

	pthread_mutex_t mutex;
	pthread_cond_t room;  /* fewer segments wait, or stop */
	pthread_cond_t input; /* one more waits, or stop */
	pthread_cond_t done;  /* a segment is done, a row is durable, or stop */
	struct segment *first, **last;
	unsigned waiting, working; /* segments */
	struct received_list list; /* written, not durable yet */
	bool drain;		   /* do not wait for more */
	bool busy;		   /* the settler has a row */
	bool stop, failed;
	struct vmf_error error;
	uint32_t generation;

	pthread_mutex_t events; /* one at a time */
	bool rewriting;		/* it was told; under events */
	pthread_mutex_t touch;	/* the chunks' flags */
	_Atomic uint64_t stored;
};

/* What a worker keeps for itself. */
struct receive_worker {
	struct vmf_decoder *dec;
	uint8_t *segment; /* bytes of one out of the spool */
	size_t segment_room;
	uint8_t *raw, *part; /* a chunk each */
	uint8_t *head;	     /* of an object */
};

/*
 * Verify and write all objects of a segment; what they wrote is added to list,
 * chunks that must come again to again (as lines of length 0).
 */
int vmf_receive_apply(struct vmf_receive *r, struct receive_worker *w,
    const uint8_t *bytes, size_t len, struct received_list *list,
    struct received_list *again, struct vmf_error *err);

/* Sync, read back, log: the row is durable then. */
int vmf_receive_settle(struct vmf_receive *r, const struct received_list *list,
    struct vmf_error *err);

#endif
