/*
 * feed_internal.h - what the files of the sending end share
 *
 *	caller -> full -> uploaders -> told -> channel
 *
 * A segment's buffer is free again when an uploader has written it, its slot
 * when the far end has received it.  One mutex guards all that is below it; it
 * is not held over I/O.  Uploaders and the channel wait on their sockets and
 * on an eventfd each, the caller on the condition.
 */
#ifndef VMFERRY_FEED_INTERNAL_H
#define VMFERRY_FEED_INTERNAL_H

#include <pthread.h>
#include <vmferry/sftp.h>
#include <vmferry/spool.h>
#include <vmferry/transfer.h>

#include "feed.h"

struct feed_segment {
	struct feed_segment *next;
	uint8_t *bytes;
	size_t len;
	uint64_t n;
	unsigned slot;
};

struct feed_queue {
	struct feed_segment *first, **last;
};

struct feed_uploader {
	struct vmf_feed *feed;
	pthread_t thread;
	bool started;
	int wake; /* eventfd */
	struct vmf_ssh *ssh;
	struct vmf_sftp *sftp;
	struct vmf_sftp_file *files[VMF_SPOOL_SLOTS_MAX];
};

struct feed_slot {
	bool busy;
	uint64_t n; /* of the segment that has it */
};

struct vmf_feed {
	struct vmf_feed_options o;	   /* its spool is ours */
	struct vmf_ssh *ssh;		   /* that exec runs over */
	struct vmf_progress *ssh_progress; /* what it had */
	struct vmf_progress cancel;	   /* ends what waits inside */
	struct feed_segment *segments;
	unsigned nsegments;
	unsigned wanted;	      /* sessions */
	struct feed_segment *filling; /* the caller's */
	uint64_t next_n;

	struct feed_uploader uploaders[VMF_SESSIONS_MAX];
	unsigned nuploaders;
	pthread_t channel;
	bool channel_runs;
	int wake;    /* the channel's eventfd */
	uint8_t *in; /* what it has received, not whole yet */
	size_t in_len, in_room;

	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct feed_queue free, full, told;
	struct feed_slot slots[VMF_SPOOL_SLOTS_MAX];
	unsigned outstanding;		/* segments not received there */
	json_t *request;		/* for the channel to send */
	json_t *answer;			/* that has come */
	bool working[VMF_SESSIONS_MAX]; /* sessions that stood */
	bool stop;
	bool failed, said, lost; /* said: by the far end */
	struct vmf_error error;
	uint64_t sent;
};

void vmf_feed_queue(struct feed_queue *queue, struct feed_segment *seg);
struct feed_segment *vmf_feed_unqueue(struct feed_queue *queue);
/* Under the mutex: a full segment with a slot for it, or NULL. */
struct feed_segment *vmf_feed_take(struct vmf_feed *feed);
/* Wake everybody; under the mutex. */
void vmf_feed_wake(struct vmf_feed *feed);
/* The first failure; said: it is the far end's own word, which goes first. */
void
vmf_feed_fail(struct vmf_feed *feed, const struct vmf_error *err, bool said);

/* feed_channel.c */
void *vmf_feed_channel(void *feed);

/* feed_upload.c: the first session, in the caller's thread; a failure leaves
 * nothing open. */
int vmf_feed_upload_open(struct feed_uploader *u, struct vmf_error *err);
void *vmf_feed_upload(void *uploader);
void vmf_feed_upload_close(struct feed_uploader *u);

#endif
