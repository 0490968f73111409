/* sftp_file.c - open files at the far side, many requests under way at once */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vmferry/io.h>
#include <vmferry/units.h>

#include "sftp_internal.h"

/* Written but not acknowledged: enough for 300 MB/s at 25 ms. */
#define WRITE_WINDOW (8 * VMF_MIB)

/* One request of a transfer. */
struct piece {
	struct vmf_sftp_file *file;
	struct sftp_op *op; /* NULL: a plain write */
	uint64_t off;
	uint32_t len;
};

/* --- requests and their replies */

static void
note_failure(struct vmf_sftp_file *file, const char *what,
    const struct sftp_reply *reply)
{
	if (file->failed)
		return;
	file->failed = true;
	file->full = reply->type == FXP_STATUS && reply->status == FX_FAILURE;
	vmf_sftp_refused(file->sftp, file->path, what, reply, &file->error);
	/* It was there when it was opened: this is no refusal, but a loss. */
	file->error.class = VMF_REMOTE;
}

static void
piece_done(struct piece *piece)
{
	struct sftp_op *op = piece->op;

	piece->file->unacked--;
	free(piece);
	if (op != NULL && --op->pending == 0 &&
	    (op->asked == op->len || op->file->failed))
		op->done(op);
}

static int
write_done(void *ctx, const struct sftp_reply *reply, struct vmf_error *err)
{
	struct piece *piece = ctx;
	struct vmf_sftp_file *file = piece->file;

	if (reply->type != FXP_STATUS) {
		free(piece);
		return vmf_sftp_nonsense(file->sftp, err);
	}
	if (reply->status != FX_OK)
		note_failure(file, "write", reply);
	file->unacked_bytes -= piece->len;
	piece_done(piece);
	return 0;
}

static int request_read(struct piece *piece, struct vmf_error *err);

static int
read_done(void *ctx, const struct sftp_reply *reply, struct vmf_error *err)
{
	struct sftp_reply r = *reply;
	struct piece *piece = ctx;
	struct sftp_op *op = piece->op;
	struct vmf_sftp_file *file = piece->file;
	size_t at = (size_t)(piece->off - op->off), len;
	const uint8_t *data;

	if (r.type == FXP_STATUS && r.status == FX_EOF) {
		if (op->end > at)
			op->end = at;
	} else if (r.type == FXP_STATUS && r.status != FX_OK) {
		note_failure(file, "read", reply);
	} else {
		if (r.type != FXP_DATA ||
		    !vmf_sftp_get_string(&r, &data, &len) || len == 0 ||
		    len > piece->len) {
			free(piece);
			return vmf_sftp_nonsense(file->sftp, err);
		}
		memcpy(op->buf + at, data, len);
		if (len < piece->len) {
			/* A short answer is no end: ask for the rest. */
			piece->off += len;
			piece->len -= (uint32_t)len;
			return request_read(piece, err);
		}
	}
	piece_done(piece);
	return 0;
}

static int
request_read(struct piece *piece, struct vmf_error *err)
{
	struct vmf_sftp_file *file = piece->file;
	struct vmf_sftp *sftp = file->sftp;

	if (vmf_sftp_begin(sftp, FXP_READ, file->handle_len + 16, read_done,
		piece, err) < 0)
		return -1;
	vmf_sftp_put_string(sftp, file->handle, file->handle_len);
	vmf_sftp_put64(sftp, piece->off);
	vmf_sftp_put32(sftp, piece->len);
	vmf_sftp_submit_heap(sftp);
	return 0;
}

static int
request_write(struct piece *piece, const void *buf, struct vmf_error *err)
{
	struct vmf_sftp_file *file = piece->file;
	struct vmf_sftp *sftp = file->sftp;

	if (vmf_sftp_begin(sftp, FXP_WRITE, file->handle_len + 16 + piece->len,
		write_done, piece, err) < 0)
		return -1;
	vmf_sftp_put_string(sftp, file->handle, file->handle_len);
	vmf_sftp_put64(sftp, piece->off);
	vmf_sftp_put_string(sftp, buf, piece->len);
	vmf_sftp_submit_heap(sftp);
	return 0;
}

static struct piece *
new_piece(struct vmf_sftp_file *file, struct sftp_op *op, uint64_t off,
    size_t len, struct vmf_error *err)
{
	struct piece *piece = malloc(sizeof(*piece));

	if (piece == NULL) {
		vmf_fail_errno(err, VMF_IO, "%s", file->path);
		return NULL;
	}
	*piece = (struct piece){
	    .file = file, .op = op, .off = off, .len = (uint32_t)len};
	return piece;
}

static size_t
smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static int
send_write(struct vmf_sftp_file *file, struct sftp_op *op, const void *buf,
    size_t len, uint64_t off, struct vmf_error *err)
{
	struct piece *piece = new_piece(file, op, off, len, err);

	if (piece == NULL || request_write(piece, buf, err) < 0) {
		free(piece);
		return -1;
	}
	file->unacked++;
	file->unacked_bytes += len;
	return 0;
}

int
vmf_sftp_op_write(
    struct sftp_op *op, const void *buf, bool *all, struct vmf_error *err)
{
	const uint8_t *p = buf;
	size_t n;

	while (op->asked < op->len && vmf_sftp_room(op->file->sftp)) {
		n = smaller(op->len - op->asked, op->file->sftp->max_write);
		if (send_write(op->file, op, p + op->asked, n,
			op->off + op->asked, err) < 0)
			return -1;
		op->asked += n;
		op->pending++;
	}
	*all = op->asked == op->len;
	return 0;
}

int
vmf_sftp_op_read(struct sftp_op *op, bool *all, struct vmf_error *err)
{
	struct piece *piece;
	size_t n;

	if (op->asked == 0)
		op->end = op->len;
	while (op->asked < op->len && vmf_sftp_room(op->file->sftp)) {
		n = smaller(op->len - op->asked, op->file->sftp->max_read);
		piece = new_piece(op->file, op, op->off + op->asked, n, err);
		if (piece == NULL || request_read(piece, err) < 0) {
			free(piece);
			return -1;
		}
		op->file->unacked++;
		op->asked += n;
		op->pending++;
	}
	*all = op->asked == op->len;
	return 0;
}

/*
 * The failure that replies have left, told better where the server has only
 * one status for everything.
 */
int
vmf_sftp_file_failure(struct vmf_sftp_file *file, struct vmf_error *err)
{
	uint64_t left;

	if (!file->failed)
		return 0;
	if (file->full && !file->sftp->dead &&
	    vmf_sftp_space(file->sftp, file->path, &left, NULL) == 0 &&
	    left < VMF_MIB)
		return vmf_fail(err, VMF_REMOTE,
		    "%s: %s: no space left there (%llu bytes free); make room "
		    "and try again",
		    file->sftp->carrier.name, file->path,
		    (unsigned long long)left);
	if (err != NULL)
		*err = file->error;
	return -1;
}

/* --- the synchronous face */

static int
open_refused(struct vmf_sftp *sftp, const char *path, enum vmf_sftp_mode mode,
    const struct sftp_reply *reply, struct vmf_error *err)
{
	struct vmf_sftp_stat st;

	if (mode == VMF_SFTP_EXCLUSIVE && reply->type == FXP_STATUS &&
	    reply->status == FX_FAILURE &&
	    vmf_sftp_stat(sftp, path, &st, err) == 0 &&
	    st.type != VMF_SFTP_ABSENT)
		return vmf_fail(err, VMF_REFUSED, "%s: %s: exists already",
		    sftp->carrier.name, path);
	return vmf_sftp_refused(
	    sftp, path, mode == VMF_SFTP_READ ? "open" : "create", reply, err);
}

static int
call_open(struct vmf_sftp *sftp, const char *path, enum vmf_sftp_mode mode,
    struct sftp_call *call, struct vmf_error *err)
{
	/* pflags: 1 READ, 2 WRITE, 8 CREAT, 16 TRUNC, 32 EXCL */
	static const uint32_t flags[] = {
	    [VMF_SFTP_READ] = 1,
	    [VMF_SFTP_WRITE] = 2,
	    [VMF_SFTP_EXCLUSIVE] = 2 | 8 | 32,
	    [VMF_SFTP_TRUNCATE] = 2 | 8 | 16,
	};
	bool creates = mode == VMF_SFTP_EXCLUSIVE || mode == VMF_SFTP_TRUNCATE;

	if (vmf_sftp_make_room(sftp, err) < 0 ||
	    vmf_sftp_begin(sftp, FXP_OPEN, strlen(path) + 16,
		vmf_sftp_call_done, call, err) < 0)
		return -1;
	vmf_sftp_put_string(sftp, path, strlen(path));
	vmf_sftp_put32(sftp, flags[mode]);
	vmf_sftp_put32(sftp, creates ? 4 : 0); /* permissions, or nothing */
	if (creates)
		vmf_sftp_put32(sftp, 0600);
	return vmf_sftp_call_wait(sftp, call, err);
}

struct vmf_sftp_file *
vmf_sftp_file_open(struct vmf_sftp *sftp, const char *path,
    enum vmf_sftp_mode mode, struct vmf_error *err)
{
	struct vmf_sftp_file *file = calloc(1, sizeof(*file));
	struct sftp_call call = {.done = false};
	const uint8_t *handle;
	size_t len;

	if (file == NULL || (file->path = strdup(path)) == NULL) {
		vmf_fail_errno(err, VMF_IO, "%s", path);
		goto fail;
	}
	file->sftp = sftp;
	if (call_open(sftp, path, mode, &call, err) < 0)
		goto fail;
	if (call.reply.type != FXP_HANDLE) {
		open_refused(sftp, path, mode, &call.reply, err);
		goto fail;
	}
	if (!vmf_sftp_get_string(&call.reply, &handle, &len) ||
	    len > sizeof(file->handle)) {
		vmf_sftp_nonsense(sftp, err);
		goto fail;
	}
	memcpy(file->handle, handle, len);
	file->handle_len = len;
	file->open = true;
	vmf_sftp_call_free(&call);
	return file;
fail:
	vmf_sftp_call_free(&call);
	vmf_sftp_file_free(file);
	return NULL;
}

int
vmf_sftp_file_write(struct vmf_sftp_file *file, const void *buf, size_t len,
    uint64_t off, struct vmf_error *err)
{
	struct vmf_sftp *sftp = file->sftp;
	const uint8_t *p = buf;
	size_t n;

	while (len > 0) {
		if (vmf_sftp_file_failure(file, err) < 0)
			return -1;
		if (!vmf_sftp_room(sftp) ||
		    file->unacked_bytes >= WRITE_WINDOW) {
			if (vmf_sftp_step(sftp, 0, -1, err) < 0)
				return -1;
			continue;
		}
		n = smaller(len, sftp->max_write);
		if (send_write(file, NULL, p, n, off, err) < 0)
			return -1;
		p += n;
		len -= n;
		off += n;
	}
	return 0;
}

int
vmf_sftp_file_drain(struct vmf_sftp_file *file, struct vmf_error *err)
{
	while (file->unacked > 0)
		if (vmf_sftp_step(file->sftp, 0, -1, err) < 0)
			return -1;
	return vmf_sftp_file_failure(file, err);
}

static void
read_finished(struct sftp_op *op)
{
	*(bool *)op->ctx = true;
}

int
vmf_sftp_file_read(struct vmf_sftp_file *file, void *buf, size_t len,
    uint64_t off, size_t *got, struct vmf_error *err)
{
	bool finished = len == 0, all;
	struct sftp_op op = {.file = file,
	    .done = read_finished,
	    .ctx = &finished,
	    .buf = buf,
	    .off = off,
	    .len = len};

	while (!finished) {
		if (vmf_sftp_op_read(&op, &all, err) < 0)
			break;
		if (vmf_sftp_step(file->sftp, 0, -1, err) < 0)
			return -1; /* dead: no reply will touch op again */
	}
	/* op lives here: its replies must all have come. */
	while (op.pending > 0)
		if (vmf_sftp_step(file->sftp, 0, -1, err) < 0)
			return -1;
	if (vmf_sftp_file_failure(file, err) < 0)
		return -1;
	if (!finished)
		return -1;
	*got = len == 0 ? 0 : op.end;
	return 0;
}

/* A request that carries the handle alone. */
static int
call_handle(struct vmf_sftp_file *file, uint8_t type, const char *extension,
    struct sftp_call *call, struct vmf_error *err)
{
	struct vmf_sftp *sftp = file->sftp;

	if (vmf_sftp_make_room(sftp, err) < 0 ||
	    vmf_sftp_begin(sftp, type, file->handle_len + 64,
		vmf_sftp_call_done, call, err) < 0)
		return -1;
	if (extension != NULL)
		vmf_sftp_put_string(sftp, extension, strlen(extension));
	vmf_sftp_put_string(sftp, file->handle, file->handle_len);
	return vmf_sftp_call_wait(sftp, call, err);
}

int
vmf_sftp_file_stat(
    struct vmf_sftp_file *file, struct vmf_sftp_stat *st, struct vmf_error *err)
{
	struct sftp_call call = {.done = false};
	int rc = -1;

	if (call_handle(file, FXP_FSTAT, NULL, &call, err) < 0)
		goto out;
	if (call.reply.type != FXP_ATTRS)
		vmf_sftp_refused(
		    file->sftp, file->path, "stat", &call.reply, err);
	else if (!vmf_sftp_get_attrs(&call.reply, st))
		vmf_sftp_nonsense(file->sftp, err);
	else
		rc = 0;
out:
	vmf_sftp_call_free(&call);
	return rc;
}

int
vmf_sftp_file_sync(
    struct vmf_sftp_file *file, bool *durable, struct vmf_error *err)
{
	struct sftp_call call = {.done = false};
	int rc;

	*durable = false;
	if (vmf_sftp_file_drain(file, err) < 0)
		return -1;
	if (!file->sftp->has_fsync)
		return 0;
	file->sftp->patient = true;
	rc = call_handle(file, FXP_EXTENDED, "fsync@openssh.com", &call, err);
	file->sftp->patient = false;
	if (rc < 0)
		goto out;
	if (call.reply.type == FXP_STATUS && call.reply.status == FX_OK)
		*durable = true;
	else if (call.reply.type != FXP_STATUS ||
		 (call.reply.status != FX_UNSUPPORTED &&
		     call.reply.status != FX_PERMISSION_DENIED))
		rc = vmf_sftp_refused(
		    file->sftp, file->path, "sync", &call.reply, err);
out:
	vmf_sftp_call_free(&call);
	return rc;
}

int
vmf_sftp_file_close(struct vmf_sftp_file *file, struct vmf_error *err)
{
	struct sftp_call call = {.done = false};
	int rc = vmf_sftp_file_drain(file, err);

	if (rc == 0) {
		/* NFS and others write back now: it may take its time. */
		file->sftp->patient = true;
		rc = call_handle(file, FXP_CLOSE, NULL, &call, err);
		file->sftp->patient = false;
		file->open = false;
		if (rc == 0 && (call.reply.type != FXP_STATUS ||
				   call.reply.status != FX_OK))
			rc = vmf_sftp_refused(
			    file->sftp, file->path, "close", &call.reply, err);
	}
	vmf_sftp_call_free(&call);
	vmf_sftp_file_free(file);
	return rc;
}

void
vmf_sftp_file_free(struct vmf_sftp_file *file)
{
	struct sftp_call call = {.done = false};

	if (file == NULL)
		return;
	/* Replies on their way point here: they must have come first. */
	while (file->open && file->unacked > 0 && !file->sftp->dead)
		(void)vmf_sftp_step(file->sftp, 0, -1, NULL);
	if (file->open && !file->sftp->dead)
		(void)call_handle(file, FXP_CLOSE, NULL, &call, NULL);
	vmf_sftp_call_free(&call);
	free(file->path);
	free(file);
}

char *
vmf_sftp_read_file(struct vmf_sftp *sftp, const char *path, size_t max,
    size_t *len, struct vmf_error *err)
{
	struct vmf_sftp_file *file;
	struct vmf_sftp_stat st;
	char *text = NULL;
	size_t got;

	file = vmf_sftp_file_open(sftp, path, VMF_SFTP_READ, err);
	if (file == NULL || vmf_sftp_file_stat(file, &st, err) < 0)
		goto out;
	if (st.type != VMF_SFTP_FILE || st.size > max) {
		vmf_fail(err, VMF_REFUSED,
		    "%s: %s: no regular file of at most %zu bytes",
		    sftp->carrier.name, path, max);
		goto out;
	}
	text = malloc((size_t)st.size + 1);
	if (text == NULL) {
		vmf_fail_errno(err, VMF_IO, "%s", path);
		goto out;
	}
	if (vmf_sftp_file_read(file, text, (size_t)st.size, 0, &got, err) < 0) {
		free(text);
		text = NULL;
		goto out;
	}
	text[got] = '\0';
	if (len != NULL)
		*len = got;
out:
	vmf_sftp_file_free(file);
	return text;
}
