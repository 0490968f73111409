/* exec.c - see vmferry/exec.h */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vmferry/exec.h>

#include "ssh_internal.h"

#define KEEP_MAX  (16 * 1024 * 1024)
#define READ_SIZE 65536

struct vmf_exec {
	struct vmf_ssh *ssh;
	LIBSSH2_CHANNEL *channel;
	uint8_t *kept; /* standard output nobody has read yet */
	size_t off, len, size;
	char tail[VMF_EXEC_TAIL];
	size_t tail_len;
	bool ended;	  /* its output has */
	bool input_ended; /* told so */
};

struct vmf_exec *
vmf_exec_start(struct vmf_ssh *ssh, const char *command, struct vmf_error *err)
{
	struct vmf_exec *exec = calloc(1, sizeof(*exec));

	if (exec == NULL) {
		vmf_fail_errno(err, VMF_IO, "%s: command", ssh->name);
		return NULL;
	}
	exec->ssh = ssh;
	exec->channel = vmf_ssh_channel_open(ssh, err);
	if (exec->channel == NULL || vmf_ssh_channel_request(ssh, exec->channel,
					 "exec", command, err) < 0) {
		vmf_exec_free(exec);
		return NULL;
	}
	return exec;
}

void
vmf_exec_free(struct vmf_exec *exec)
{
	if (exec == NULL)
		return;
	vmf_ssh_channel_free(exec->ssh, exec->channel);
	free(exec->kept);
	free(exec);
}

/* Only the end of what it says is worth keeping: there stands the cause. */
static void
keep_tail(struct vmf_exec *exec, const char *s, size_t n)
{
	size_t over;

	if (n >= VMF_EXEC_TAIL) {
		s += n - VMF_EXEC_TAIL;
		n = VMF_EXEC_TAIL;
	}
	over = exec->tail_len + n;
	if (over > VMF_EXEC_TAIL) {
		over -= VMF_EXEC_TAIL;
		memmove(exec->tail, exec->tail + over, exec->tail_len - over);
		exec->tail_len -= over;
	}
	memcpy(exec->tail + exec->tail_len, s, n);
	exec->tail_len += n;
}

/* Room for READ_SIZE more, or none when enough is kept. */
static int
make_room(struct vmf_exec *exec, struct vmf_error *err)
{
	uint8_t *p;

	if (exec->off > 0) {
		memmove(exec->kept, exec->kept + exec->off, exec->len);
		exec->off = 0;
	}
	if (exec->size - exec->len >= READ_SIZE)
		return 0;
	p = realloc(exec->kept, exec->size * 2 + READ_SIZE);
	if (p == NULL)
		return vmf_fail_errno(err, VMF_IO, "%s", exec->ssh->name);
	exec->kept = p;
	exec->size = exec->size * 2 + READ_SIZE;
	return 0;
}

/* Take what has come; 1: something has, 0: nothing, -1: failed. */
static int
take(struct vmf_exec *exec, struct vmf_error *err)
{
	char talk[4096];
	int progress = 0;
	ssize_t n;

	while ((n = libssh2_channel_read_stderr(
		    exec->channel, talk, sizeof(talk))) > 0) {
		keep_tail(exec, talk, (size_t)n);
		progress = 1;
	}
	if (n < 0 && n != LIBSSH2_ERROR_EAGAIN)
		return vmf_ssh_fail(exec->ssh, (int)n, "command", err);
	while (!exec->ended && exec->len < KEEP_MAX) {
		if (make_room(exec, err) < 0)
			return -1;
		n = libssh2_channel_read(
		    exec->channel, (char *)exec->kept + exec->len, READ_SIZE);
		if (n < 0 && n != LIBSSH2_ERROR_EAGAIN)
			return vmf_ssh_fail(exec->ssh, (int)n, "command", err);
		if (n <= 0)
			break;
		exec->len += (size_t)n;
		progress = 1;
	}
	if (!exec->ended && libssh2_channel_eof(exec->channel)) {
		exec->ended = true;
		progress = 1;
	}
	return progress;
}

static int
ended_early(struct vmf_exec *exec, struct vmf_error *err)
{
	const char *last;
	int n = (int)exec->tail_len;

	while (n > 0 && (unsigned char)exec->tail[n - 1] <= ' ')
		n--;
	last = n > 0 ? memrchr(exec->tail, '\n', (size_t)n) : NULL;
	last = last != NULL ? last + 1 : exec->tail;
	n -= (int)(last - exec->tail);
	return vmf_fail(err, VMF_REMOTE,
	    "%s: the command there ended before it had read everything%s%.*s",
	    exec->ssh->name, n > 0 ? ": " : "", n, last);
}

int
vmf_exec_write(
    struct vmf_exec *exec, const void *buf, size_t len, struct vmf_error *err)
{
	const char *p = buf;
	ssize_t n;
	int got;

	while (len > 0) {
		got = take(exec, err);
		if (got < 0)
			return -1;
		if (exec->ended)
			return ended_early(exec, err);
		n = 0;
		if (!vmf_ssh_full(exec->ssh)) {
			n = libssh2_channel_write(exec->channel, p, len);
			if (n < 0 && n != LIBSSH2_ERROR_EAGAIN)
				return vmf_ssh_fail(
				    exec->ssh, (int)n, "command", err);
		}
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		} else if (exec->len >= KEEP_MAX) {
			return vmf_fail(err, VMF_REMOTE,
			    "%s: the command there answers too much before "
			    "it has read its input",
			    exec->ssh->name);
		} else if (got == 0 &&
			   vmf_ssh_wait(exec->ssh, 0, -1, err) < 0) {
			return -1;
		}
	}
	/* Sent, not only kept here: the caller may go and wait elsewhere. */
	while (exec->ssh->out_len > 0)
		if (vmf_ssh_wait(exec->ssh, 0, -1, err) < 0 ||
		    take(exec, err) < 0)
			return -1;
	return 0;
}

int
vmf_exec_end_input(struct vmf_exec *exec, struct vmf_error *err)
{
	int rc;

	if (exec->input_ended)
		return 0;
	while ((rc = libssh2_channel_send_eof(exec->channel)) ==
	       LIBSSH2_ERROR_EAGAIN)
		if (vmf_ssh_wait(exec->ssh, 0, -1, err) < 0)
			return -1;
	if (rc != 0)
		return vmf_ssh_fail(exec->ssh, rc, "command", err);
	exec->input_ended = true;
	return 0;
}

int
vmf_exec_read(struct vmf_exec *exec, void *buf, size_t len, int timeout_ms,
    size_t *got, bool *ended, struct vmf_error *err)
{
	int64_t deadline = timeout_ms < 0 ? 0 : vmf_ssh_now() + timeout_ms;
	int n;

	*got = 0;
	*ended = false;
	for (;;) {
		n = take(exec, err);
		if (n < 0)
			return -1;
		if (exec->len > 0 || exec->ended)
			break;
		if (timeout_ms >= 0 && vmf_ssh_now() >= deadline)
			return 0;
		if (n == 0 && vmf_ssh_wait(exec->ssh, deadline, -1, err) < 0)
			return -1;
	}
	if (len > exec->len)
		len = exec->len;
	memcpy(buf, exec->kept + exec->off, len);
	exec->off += len;
	exec->len -= len;
	*got = len;
	*ended = len == 0;
	return 0;
}

struct vmf_ssh *
vmf_exec_ssh(struct vmf_exec *exec)
{
	return exec->ssh;
}

int
vmf_exec_poll(struct vmf_exec *exec, void *buf, size_t len, int wake_fd,
    size_t *got, bool *ended, struct vmf_error *err)
{
	int n = take(exec, err);

	*got = 0;
	*ended = false;
	if (n < 0)
		return -1;
	if (exec->len == 0 && !exec->ended)
		return vmf_ssh_wait(exec->ssh, 0, wake_fd, err);
	if (len > exec->len)
		len = exec->len;
	memcpy(buf, exec->kept + exec->off, len);
	exec->off += len;
	exec->len -= len;
	*got = len;
	*ended = len == 0;
	return 0;
}

static void
fill_status(struct vmf_exec *exec, struct vmf_exec_status *status)
{
	char *name = NULL;

	memset(status, 0, sizeof(*status));
	status->status = libssh2_channel_get_exit_status(exec->channel);
	libssh2_channel_get_exit_signal(
	    exec->channel, &name, NULL, NULL, NULL, NULL, NULL);
	if (name != NULL) {
		snprintf(status->signal, sizeof(status->signal), "%s", name);
		libssh2_free(exec->ssh->lib, name);
	}
	memcpy(status->tail, exec->tail, exec->tail_len);
}

int
vmf_exec_finish(struct vmf_exec *exec, struct vmf_exec_status *status,
    struct vmf_error *err)
{
	int rc, n;

	if (vmf_exec_end_input(exec, err) < 0)
		return -1;
	while (!exec->ended) {
		exec->off = exec->len = 0;
		n = take(exec, err);
		if (n < 0 ||
		    (n == 0 && vmf_ssh_wait(exec->ssh, 0, -1, err) < 0))
			return -1;
	}
	while ((rc = libssh2_channel_close(exec->channel)) ==
		   LIBSSH2_ERROR_EAGAIN ||
	       (rc == 0 && (rc = libssh2_channel_wait_closed(exec->channel)) ==
			       LIBSSH2_ERROR_EAGAIN))
		if (vmf_ssh_wait(exec->ssh, 0, -1, err) < 0)
			return -1;
	if (rc != 0)
		return vmf_ssh_fail(exec->ssh, rc, "command", err);
	fill_status(exec, status);
	return 0;
}

static int
stdin_write(void *ctx, const void *buf, size_t len, struct vmf_error *err)
{
	return vmf_exec_write(ctx, buf, len, err);
}

static int
stdout_read(
    void *ctx, void *buf, size_t len, size_t *got, struct vmf_error *err)
{
	uint8_t *p = buf;
	bool ended = false;
	size_t n;

	*got = 0;
	while (*got < len && !ended) {
		if (vmf_exec_read(
			ctx, p + *got, len - *got, -1, &n, &ended, err) < 0)
			return -1;
		*got += n;
	}
	return 0;
}

struct vmf_out
vmf_exec_stdin(struct vmf_exec *exec)
{
	return (struct vmf_out){.write = stdin_write, .ctx = exec};
}

struct vmf_in
vmf_exec_stdout(struct vmf_exec *exec)
{
	return (struct vmf_in){.read = stdout_read, .ctx = exec};
}

/* Hand on what is kept, without waiting. */
static int
pass_on(struct vmf_exec *exec, struct vmf_out *out, struct vmf_error *err)
{
	int rc = 0;

	if (out != NULL && exec->len > 0)
		rc = out->write(
		    out->ctx, exec->kept + exec->off, exec->len, err);
	exec->off = exec->len = 0;
	return rc;
}

static int
copy_both(struct vmf_exec *exec, struct vmf_in *in, struct vmf_out *out,
    struct vmf_error *err)
{
	uint8_t *buf = malloc(READ_SIZE);
	size_t got = READ_SIZE;
	int n, rc = -1;

	if (buf == NULL)
		return vmf_fail_errno(err, VMF_IO, "%s", exec->ssh->name);
	while (in != NULL && got == READ_SIZE) {
		if (in->read(in->ctx, buf, READ_SIZE, &got, err) < 0 ||
		    vmf_exec_write(exec, buf, got, err) < 0 ||
		    pass_on(exec, out, err) < 0)
			goto out;
	}
	if (vmf_exec_end_input(exec, err) < 0)
		goto out;
	while (!exec->ended) {
		n = take(exec, err);
		if (n < 0 || pass_on(exec, out, err) < 0 ||
		    (n == 0 && vmf_ssh_wait(exec->ssh, 0, -1, err) < 0))
			goto out;
	}
	rc = pass_on(exec, out, err);
out:
	free(buf);
	return rc;
}

int
vmf_exec_run(struct vmf_ssh *ssh, const char *command, struct vmf_in *in,
    struct vmf_out *out, struct vmf_exec_status *status, struct vmf_error *err)
{
	struct vmf_exec *exec = vmf_exec_start(ssh, command, err);
	int rc = -1;

	if (exec == NULL)
		return -1;
	if (copy_both(exec, in, out, err) == 0)
		rc = vmf_exec_finish(exec, status, err);
	vmf_exec_free(exec);
	return rc;
}
