/*
 * sftp_internal.h - the engine of SFTP, shared by the sftp_*.c files and the
 * transfers
 *
 * Requests are appended to one buffer; each has a slot that names who gets the
 * reply.  vmf_sftp_step() sends, receives, hands replies on, and waits when
 * neither is possible.  Nothing else waits.
 */
#ifndef VMFERRY_SFTP_INTERNAL_H
#define VMFERRY_SFTP_INTERNAL_H

#include <vmferry/sftp.h>

#include "carrier.h"

enum {
	FXP_INIT = 1,
	FXP_VERSION = 2,
	FXP_OPEN = 3,
	FXP_CLOSE = 4,
	FXP_READ = 5,
	FXP_WRITE = 6,
	FXP_FSTAT = 8,
	FXP_OPENDIR = 11,
	FXP_READDIR = 12,
	FXP_REMOVE = 13,
	FXP_MKDIR = 14,
	FXP_RMDIR = 15,
	FXP_STAT = 17,
	FXP_RENAME = 18,
	FXP_STATUS = 101,
	FXP_HANDLE = 102,
	FXP_DATA = 103,
	FXP_NAME = 104,
	FXP_ATTRS = 105,
	FXP_EXTENDED = 200,
	FXP_EXTENDED_REPLY = 201,
};

enum {
	FX_OK = 0,
	FX_EOF = 1,
	FX_NO_SUCH_FILE = 2,
	FX_PERMISSION_DENIED = 3,
	FX_FAILURE = 4,
	FX_BAD_MESSAGE = 5,
	FX_UNSUPPORTED = 8,
};

#define SFTP_SLOTS   1024
#define SFTP_PACKET  (256 * 1024) /* the largest message, either way */
#define SFTP_IN_SIZE (SFTP_PACKET * 2)
#define SFTP_HANDLE  256
/* Requests wait here until the carrier takes them: two of the largest. */
#define SFTP_OUT_HIGH (512 * 1024)

/* A reply: what follows the id.  p is valid during the call only. */
struct sftp_reply {
	uint8_t type;
	uint32_t status; /* when type is FXP_STATUS */
	const uint8_t *p;
	size_t len;
};

/* -1 with err set ends the session. */
typedef int
sftp_reply_fn(void *ctx, const struct sftp_reply *reply, struct vmf_error *err);

struct sftp_slot {
	sftp_reply_fn *fn; /* NULL: free */
	void *ctx;
	uint32_t id;
	bool heap; /* ctx is malloc'd: freed if the reply never comes */
};

struct vmf_sftp {
	struct carrier carrier;
	uint8_t *out, *in;
	size_t out_off, out_len, out_size;
	size_t in_off, in_len;
	size_t msg; /* where the message being built begins in out */
	struct sftp_slot slots[SFTP_SLOTS];
	struct sftp_slot *building;
	uint32_t next;	  /* a slot to look at first, and the ids' upper part */
	unsigned waiting; /* replies */
	int64_t last_moved;
	bool welcomed; /* FXP_VERSION has come */
	bool dead;
	bool patient; /* something slow is asked for */
	bool has_statvfs, has_fsync, has_posix_rename, has_limits;
	uint32_t max_read, max_write; /* bytes of data in one request */
};

bool vmf_sftp_room(const struct vmf_sftp *sftp);
int vmf_sftp_step(struct vmf_sftp *sftp, int64_t deadline, int wake_fd,
    struct vmf_error *err);
/* Step until there is room for a request more. */
int vmf_sftp_make_room(struct vmf_sftp *sftp, struct vmf_error *err);

/* Build a request; needs room.  It is complete with vmf_sftp_submit(). */
int vmf_sftp_begin(struct vmf_sftp *sftp, uint8_t type, size_t size_hint,
    sftp_reply_fn *fn, void *ctx, struct vmf_error *err);
void vmf_sftp_put32(struct vmf_sftp *sftp, uint32_t v);
void vmf_sftp_put64(struct vmf_sftp *sftp, uint64_t v);
void vmf_sftp_put_bytes(struct vmf_sftp *sftp, const void *p, size_t len);
void vmf_sftp_put_string(struct vmf_sftp *sftp, const void *p, size_t len);
void vmf_sftp_submit(struct vmf_sftp *sftp);
/* The same; the session frees ctx if it ends before the reply. */
void vmf_sftp_submit_heap(struct vmf_sftp *sftp);

/* Read fields of a reply; false: cut short. */
bool vmf_sftp_get32(struct sftp_reply *r, uint32_t *v);
bool vmf_sftp_get64(struct sftp_reply *r, uint64_t *v);
bool vmf_sftp_get_string(struct sftp_reply *r, const uint8_t **s, size_t *len);
bool vmf_sftp_get_attrs(struct sftp_reply *r, struct vmf_sftp_stat *st);

/* "HOST: PATH: what: why", by the status the server gave. */
int vmf_sftp_refused(struct vmf_sftp *sftp, const char *path, const char *what,
    const struct sftp_reply *reply, struct vmf_error *err);
int vmf_sftp_nonsense(struct vmf_sftp *sftp, struct vmf_error *err);

/* A request that is waited for; its reply is copied into call. */
struct sftp_call {
	bool done;
	uint8_t *copy;
	struct sftp_reply reply;
};
sftp_reply_fn vmf_sftp_call_done;
int vmf_sftp_call_wait(
    struct vmf_sftp *sftp, struct sftp_call *call, struct vmf_error *err);
void vmf_sftp_call_free(struct sftp_call *call);

/* sftp_file.c */
struct vmf_sftp_file {
	struct vmf_sftp *sftp;
	char *path;
	uint8_t handle[SFTP_HANDLE];
	size_t handle_len;
	bool open;
	size_t unacked;		/* requests */
	size_t unacked_bytes;	/* of writes */
	struct vmf_error error; /* the first failure of a pipelined request */
	bool failed, full;	/* full: perhaps, the status does not tell */
};
/* 0, or -1 with the failure that a reply has brought. */
int vmf_sftp_file_failure(struct vmf_sftp_file *file, struct vmf_error *err);

/*
 * Asynchronous transfers.  They never wait: the caller sees to room before
 * each (vmf_sftp_room()).  done() is called once, out of vmf_sftp_step(), even
 * if the request fails (then file->failed is set) - but not when the session
 * is lost.
 */
struct sftp_op {
	struct vmf_sftp_file *file;
	void (*done)(struct sftp_op *op);
	void *ctx;
	uint8_t *buf; /* reading: where to; borrowed */
	uint64_t off;
	size_t len;
	size_t asked; /* bytes requested so far */
	size_t end;   /* reading: where the file ended, or len */
	unsigned pending;
};
/* Request as much of op as there is room for; true: all of it is. */
int vmf_sftp_op_write(
    struct sftp_op *op, const void *buf, bool *all, struct vmf_error *err);
int vmf_sftp_op_read(struct sftp_op *op, bool *all, struct vmf_error *err);

#endif
