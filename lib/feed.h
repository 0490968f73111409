/*
 * feed.h - the sending end of a move's segments
 *
 * Objects are put into a segment until that is full.  Uploaders, a thread and
 * an SFTP session each, write full segments into free slots of the far end's
 * spool; one more thread owns the channel to the far end, tells it of each
 * segment, and takes its word: received (the slot is free), durable (kept in
 * logs here), again, a failure.  A bounded number of segments is the
 * back-pressure.  Where there is no SFTP, that thread sends them itself.
 *
 * The first failure stops everything; the far end's own word goes before a
 * connection that broke at the same time.
 *
 * Thread rule: one thread.
 */
#ifndef VMFERRY_FEED_H
#define VMFERRY_FEED_H

#include <vmferry/chunks.h>
#include <vmferry/exec.h>
#include <vmferry/object.h>
#include <vmferry/progress.h>
#include <vmferry/ssh.h>

#include "wire.h"

struct vmf_feed_options {
	struct vmf_exec *exec; /* borrowed; the feed's alone while it is open */
	struct vmf_wire *wire; /* over exec */
	const char *dest;      /* how messages name the far end */
	/* NULL, or spool NULL: all through exec. */
	const struct vmf_ssh_options *ssh;
	const char *spool; /* path there */
	unsigned slots;
	size_t slot_len;
	unsigned sessions;	       /* 0: chosen from size */
	uint64_t size;		       /* about so many bytes will come */
	struct vmf_progress *progress; /* only stop; may be NULL */
	/* Told by the thread of the channel. */
	struct vmf_chunk_log **logs; /* one for each image; NULL: none */
	size_t nimages;
	/* A chunk must come again, whole. */
	void (*again)(void *ctx, size_t image, uint64_t off);
	/* What the user should know, by the caller's thread; may be NULL. */
	void (*note)(void *ctx, const char *text);
	void *ctx;
};

struct vmf_feed;
struct vmf_feed *
vmf_feed_open(const struct vmf_feed_options *options, struct vmf_error *err);
/* One object: its header with body, and its frame (may be empty). */
int vmf_feed_put(struct vmf_feed *feed, const struct vmf_object *obj,
    const uint8_t *head, const uint8_t *frame, struct vmf_error *err);
/* All that was put is durable there; objects of this generation follow. */
int vmf_feed_barrier(
    struct vmf_feed *feed, uint32_t generation, struct vmf_error *err);
/*
 * The end: the last word is request (taken), and the far end's answer to it,
 * which the caller decrefs.  The channel is the caller's again.
 */
json_t *
vmf_feed_close(struct vmf_feed *feed, json_t *request, struct vmf_error *err);
/* Has the connection failed, rather than the far end said no? */
bool vmf_feed_lost(struct vmf_feed *feed);
uint64_t vmf_feed_sent(struct vmf_feed *feed);	   /* bytes of segments */
unsigned vmf_feed_sessions(struct vmf_feed *feed); /* 0: through exec */
/* Bytes of memory that it takes, for a budget. */
size_t vmf_feed_memory(const struct vmf_feed *feed);
void vmf_feed_free(struct vmf_feed *feed); /* NULL-safe */

#endif
