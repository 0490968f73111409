/*
 * transfer.h - what uploads and downloads share: a crew of sessions
 *
 * A crew is up to VMF_SESSIONS_MAX workers, each a thread with a session, an
 * SFTP channel and the file open in it.  The first is made by the caller's
 * thread, which looks around with it before anything is risked; the others are
 * made by their threads, and a server that grants no more of them
 * (MaxStartups, MaxSessions) only makes the crew smaller.
 *
 * One mutex guards the queue; it is never held over I/O.  The first error wins
 * and stops all.  A worker with nothing to do waits on its socket and on an
 * eventfd of its own, so that keepalives go on while the other side of the
 * transfer is slow.
 */
#ifndef VMFERRY_LIB_TRANSFER_H
#define VMFERRY_LIB_TRANSFER_H

#include <pthread.h>

#include <vmferry/rate.h>
#include <vmferry/transfer.h>
#include <vmferry/units.h>

#include "sftp_internal.h"

/*
 * Bytes of a block: four of the largest requests OpenSSH takes.  A session
 * keeps up to eight of them under way.
 */
#define BLOCK_SIZE	  (4 * (VMF_KIB * 256 - 1024))
#define BLOCKS_OF_SESSION 8

struct block {
	struct block *next;
	uint8_t *data;
	uint64_t off;
	size_t len;
	uint64_t index; /* downloads: its place in the order */
	struct sftp_op op;
	struct worker *worker;
	bool all; /* requested */
};

struct crew;
struct worker {
	struct crew *crew;
	pthread_t thread;
	bool started;
	struct vmf_ssh *ssh;
	struct vmf_sftp *sftp;
	struct vmf_sftp_file *file;
	int wake;	    /* eventfd */
	bool idle;	    /* under the mutex: wants to be woken */
	unsigned active;    /* blocks under way */
	struct block *part; /* the one not wholly requested yet */
};

struct crew {
	struct vmf_transfer_options options;
	struct vmf_ssh_options ssh;
	struct vmf_progress cancel; /* ends sessions that are being opened */
	char *path;		    /* of the file that is open */
	enum vmf_sftp_mode mode;
	unsigned wanted; /* sessions */
	struct worker workers[VMF_SESSIONS_MAX];
	unsigned n; /* started */

	pthread_mutex_t mutex;
	pthread_cond_t changed;
	unsigned working; /* sessions that stood */
	bool stop;
	bool failed;
	struct vmf_error error;

	/* Under the mutex: the next block for the worker, or NULL; *done when
	 * none will come. */
	struct block *(*take)(struct crew *crew, bool *done);
	/* Without it: one is finished. */
	void (*finished)(struct crew *crew, struct block *block);
	int (*request)(struct block *block, bool *all, struct vmf_error *err);
};

int vmf_transfer_init(struct crew *crew,
    const struct vmf_transfer_options *options, struct vmf_error *err);
/* The first session, without a file yet. */
int vmf_transfer_first(struct crew *crew, struct vmf_error *err);
/* Start the first worker's thread, and the others if size is worth it. */
int vmf_transfer_start(struct crew *crew, unsigned n, struct vmf_error *err);
/* How many sessions this transfer should have. */
unsigned vmf_transfer_sessions(const struct crew *crew, uint64_t size);
/* Under the mutex. */
void vmf_transfer_wake(struct crew *crew);
void vmf_transfer_fail(struct crew *crew, const struct vmf_error *err);
/* Wait for a change; the mutex is held.  -1: failed or to be stopped. */
int vmf_transfer_wait(struct crew *crew, struct vmf_error *err);
/* Let the workers run out of blocks (or stop them) and join them. */
void vmf_transfer_join(struct crew *crew, bool stop);
/* Break every connection: nothing is waited for. */
void vmf_transfer_drop(struct crew *crew);
/* Sessions, files and all. */
void vmf_transfer_clear(struct crew *crew);

#endif
