/*
 * ssh_internal.h - what the ssh_*.c, exec.c and sftp files share
 *
 * libssh2 is never given the socket to block on.  Its send and receive
 * callbacks work on two buffers of ours; vmf_ssh_wait() alone talks to poll().
 * So a packet of libssh2's is always taken whole - a half-sent one would
 * forbid it to send any other, such as a window adjustment out of a read - and
 * small packets leave in large writes.
 */
#ifndef VMFERRY_SSH_INTERNAL_H
#define VMFERRY_SSH_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <libssh2.h>

#include <vmferry/ssh.h>

/* Above this, users of a session stop giving it more to send. */
#define SSH_OUT_HIGH (512 * 1024)
#define SSH_IN_SIZE  (256 * 1024)

struct vmf_ssh {
	LIBSSH2_SESSION *lib;
	int fd;
	int lib_fd;    /* fd as libssh2 knows it, closed or not */
	pid_t proxy;   /* 0: none */
	int proxy_err; /* scratch file with what the proxy says */
	char *name;
	char methods[256];

	uint8_t *out; /* from out_off, out_len bytes wait to be sent */
	size_t out_off, out_len, out_size;
	uint8_t *in;
	size_t in_off, in_len;
	bool readable;	/* recv() may have something */
	int lost_errno; /* not 0: dead, -1: closed by the far side */

	int64_t last_heard, last_ping; /* vmf_ssh_now() */
	int64_t stall;		       /* ms */
	struct vmf_progress *progress;
};

/* Monotonic milliseconds. */
int64_t vmf_ssh_now(void);

/*
 * Send what waits; if nothing can be received at once, wait until something
 * can, wake_fd (-1: none) is readable, or deadline (0: none) has come.
 * 0, or -1 when the session is lost, stalled or to be stopped.
 */
int vmf_ssh_wait(
    struct vmf_ssh *ssh, int64_t deadline, int wake_fd, struct vmf_error *err);

/* A libssh2 call failed with rc: say so as class, with the cause. */
int vmf_ssh_fail(
    struct vmf_ssh *ssh, int rc, const char *what, struct vmf_error *err);

/* Close the connection at once; all that follows fails. */
void vmf_ssh_drop(struct vmf_ssh *ssh, int why);

static inline bool
vmf_ssh_full(const struct vmf_ssh *ssh)
{
	return ssh->out_len >= SSH_OUT_HIGH;
}

/* Offer of a method (LIBSSH2_METHOD_...) this comma-separated list. */
int vmf_ssh_prefer(
    struct vmf_ssh *ssh, int method, const char *list, struct vmf_error *err);

/* ssh_connect.c: sets ssh->fd (and ->proxy). */
int vmf_ssh_connect(struct vmf_ssh *ssh, const struct vmf_ssh_options *options,
    int64_t deadline, struct vmf_error *err);
/* The last line the proxy command said, or "". */
void vmf_ssh_proxy_said(struct vmf_ssh *ssh, char *text, size_t len);

/* exec.c: the session, and the same as vmf_exec_read() for who has something
 * else to wait for: *got may be 0. */
struct vmf_exec;
struct vmf_ssh *vmf_exec_ssh(struct vmf_exec *exec);
int vmf_exec_poll(struct vmf_exec *exec, void *buf, size_t len, int wake_fd,
    size_t *got, bool *ended, struct vmf_error *err);

/* ssh_channel.c */
LIBSSH2_CHANNEL *
vmf_ssh_channel_open(struct vmf_ssh *ssh, struct vmf_error *err);
/* "exec" COMMAND, "subsystem" NAME; VMF_REFUSED when the server does not. */
int vmf_ssh_channel_request(struct vmf_ssh *ssh, LIBSSH2_CHANNEL *channel,
    const char *request, const char *message, struct vmf_error *err);
void vmf_ssh_channel_free(struct vmf_ssh *ssh, LIBSSH2_CHANNEL *channel);

/* ssh_auth.c, ssh_hostkey.c */
int vmf_ssh_check_host(struct vmf_ssh *ssh,
    const struct vmf_ssh_options *options, struct vmf_error *err);
int
vmf_ssh_authenticate(struct vmf_ssh *ssh, const struct vmf_ssh_options *options,
    int64_t deadline, struct vmf_error *err);
int vmf_ssh_prefer_hostkeys(struct vmf_ssh *ssh,
    const struct vmf_ssh_options *options, struct vmf_error *err);

#endif
