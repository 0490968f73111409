/* ssh.c - see vmferry/ssh.h and ssh_internal.h */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ssh_internal.h"

/* A far side that makes libssh2 answer without end is not worth more. */
#define OUT_MAX (16 * 1024 * 1024)

/* How long an agent may take, in ms. */
#define AGENT_TIMEOUT 120000

/* How often a wait looks whether it is asked to stop, in ms. */
#define STOP_TICK 250

int64_t
vmf_ssh_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int
vmf_ssh_global_init(struct vmf_error *err)
{
	if (libssh2_init(0) != 0)
		return vmf_fail(err, VMF_INTERNAL, "libssh2 does not start");
	return 0;
}

void
vmf_ssh_drop(struct vmf_ssh *ssh, int why)
{
	if (ssh->lost_errno == 0)
		ssh->lost_errno = why;
	if (ssh->fd >= 0)
		close(ssh->fd);
	ssh->fd = -1;
	ssh->out_len = 0;
}

/* libssh2 talks to the agent through the same callbacks; a person may have to
 * allow the use of a key there. */
static bool
agent_ready(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	return poll(&p, 1, AGENT_TIMEOUT) == 1;
}

static ssize_t
agent_recv(int fd, void *buf, size_t len)
{
	ssize_t n = -1;

	errno = ETIMEDOUT;
	if (agent_ready(fd, POLLIN))
		n = recv(fd, buf, len, 0);
	return n < 0 ? -errno : n;
}

static ssize_t
agent_send(int fd, const void *buf, size_t len)
{
	ssize_t n = -1;

	errno = ETIMEDOUT;
	if (agent_ready(fd, POLLOUT))
		n = send(fd, buf, len, MSG_NOSIGNAL);
	return n < 0 ? -errno : n;
}

/* The callbacks return -errno, as libssh2 wants it. */
static ssize_t
on_recv(libssh2_socket_t fd, void *buf, size_t len, int flags, void **abstract)
{
	struct vmf_ssh *ssh = *abstract;
	ssize_t n;

	(void)flags;
	if (fd != ssh->lib_fd)
		return agent_recv(fd, buf, len);
	if (ssh->in_len == 0) {
		if (ssh->lost_errno != 0)
			return ssh->lost_errno < 0 ? 0 : -ssh->lost_errno;
		if (!ssh->readable)
			return -EAGAIN;
		do
			n = recv(ssh->fd, ssh->in, SSH_IN_SIZE, MSG_DONTWAIT);
		while (n < 0 && errno == EINTR);
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			ssh->readable = false;
			return -EAGAIN;
		}
		if (n <= 0) {
			vmf_ssh_drop(ssh, n == 0 ? -1 : errno);
			return n == 0 ? 0 : -ssh->lost_errno;
		}
		ssh->in_off = 0;
		ssh->in_len = (size_t)n;
		/* A short read has emptied the socket: spare the next call. */
		ssh->readable = (size_t)n == SSH_IN_SIZE;
		ssh->last_heard = vmf_ssh_now();
	}
	if (len > ssh->in_len)
		len = ssh->in_len;
	memcpy(buf, ssh->in + ssh->in_off, len);
	ssh->in_off += len;
	ssh->in_len -= len;
	return (ssize_t)len;
}

static ssize_t
on_send(libssh2_socket_t fd, const void *buf, size_t len, int flags,
    void **abstract)
{
	struct vmf_ssh *ssh = *abstract;
	size_t need;
	uint8_t *p;

	(void)flags;
	if (fd != ssh->lib_fd)
		return agent_send(fd, buf, len);
	if (ssh->lost_errno != 0)
		return -EPIPE;
	if (ssh->out_len > OUT_MAX) {
		vmf_ssh_drop(ssh, EPROTO);
		return -EPROTO;
	}
	if (ssh->out_off > 0 &&
	    ssh->out_off + ssh->out_len + len > ssh->out_size) {
		memmove(ssh->out, ssh->out + ssh->out_off, ssh->out_len);
		ssh->out_off = 0;
	}
	need = ssh->out_len + len;
	if (need > ssh->out_size) {
		p = realloc(ssh->out, need + SSH_OUT_HIGH);
		if (p == NULL)
			return -ENOMEM;
		ssh->out = p;
		ssh->out_size = need + SSH_OUT_HIGH;
	}
	memcpy(ssh->out + ssh->out_off + ssh->out_len, buf, len);
	ssh->out_len += len;
	return (ssize_t)len;
}

static int
lost(struct vmf_ssh *ssh, struct vmf_error *err)
{
	char said[256];

	vmf_ssh_proxy_said(ssh, said, sizeof(said));
	if (said[0] != '\0')
		return vmf_fail(err, VMF_REMOTE,
		    "%s: connection lost: the proxy said: %s", ssh->name, said);
	if (ssh->lost_errno > 0) {
		errno = ssh->lost_errno;
		return vmf_fail_errno(
		    err, VMF_REMOTE, "%s: connection lost", ssh->name);
	}
	return vmf_fail(err, VMF_REMOTE,
	    "%s: connection closed by the far side", ssh->name);
}

int
vmf_ssh_fail(
    struct vmf_ssh *ssh, int rc, const char *what, struct vmf_error *err)
{
	char *text = NULL;

	if (ssh->lost_errno != 0)
		return lost(ssh, err);
	libssh2_session_last_error(ssh->lib, &text, NULL, 0);
	return vmf_fail(err, VMF_REMOTE, "%s: %s: %s (%d)", ssh->name, what,
	    text != NULL && text[0] != '\0' ? text : "failed", rc);
}

static int
flush(struct vmf_ssh *ssh, struct vmf_error *err)
{
	ssize_t n;

	while (ssh->out_len > 0) {
		n = send(ssh->fd, ssh->out + ssh->out_off, ssh->out_len,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return 0;
		if (n < 0) {
			vmf_ssh_drop(ssh, errno);
			return lost(ssh, err);
		}
		ssh->out_off += (size_t)n;
		ssh->out_len -= (size_t)n;
	}
	ssh->out_off = 0;
	return 0;
}

/*
 * A keepalive that wants a reply makes a live far side send something at least
 * every third of the stall time, however long its disk takes.
 */
static int
keep_alive(struct vmf_ssh *ssh, int64_t now, struct vmf_error *err)
{
	int unused;

	if (now - ssh->last_heard > ssh->stall) {
		vmf_fail(err, VMF_REMOTE,
		    "%s: no sign of life for %lld s; connection given up",
		    ssh->name, (long long)(now - ssh->last_heard) / 1000);
		vmf_ssh_drop(ssh, ETIMEDOUT);
		return -1;
	}
	if (now - ssh->last_heard < ssh->stall / 3 ||
	    now - ssh->last_ping < ssh->stall / 3)
		return 0;
	ssh->last_ping = now;
	/* Its own clock counts seconds: an interval of one never delays. */
	libssh2_keepalive_config(ssh->lib, 1, 1);
	(void)libssh2_keepalive_send(ssh->lib, &unused);
	return flush(ssh, err);
}

int
vmf_ssh_wait(
    struct vmf_ssh *ssh, int64_t deadline, int wake_fd, struct vmf_error *err)
{
	struct pollfd p[2] = {{.fd = ssh->fd, .events = POLLIN},
	    {.fd = wake_fd, .events = POLLIN}};
	int64_t now, timeout = STOP_TICK;

	if (ssh->lost_errno != 0)
		return lost(ssh, err);
	if (vmf_progress_check(ssh->progress, err) < 0 || flush(ssh, err) < 0)
		return -1;
	if (ssh->in_len > 0 || ssh->readable)
		return 0;
	now = vmf_ssh_now();
	if (keep_alive(ssh, now, err) < 0)
		return -1;
	if (ssh->out_len > 0)
		p[0].events |= POLLOUT;
	if (deadline != 0 && deadline - now < timeout)
		timeout = deadline > now ? deadline - now : 0;
	if (poll(p, 2, (int)timeout) < 0 && errno != EINTR)
		return vmf_fail_errno(err, VMF_IO, "poll");
	if (p[0].revents & (POLLIN | POLLHUP | POLLERR))
		ssh->readable = true;
	return flush(ssh, err);
}

static int
timed_out(struct vmf_ssh *ssh, struct vmf_error *err)
{
	vmf_ssh_drop(ssh, ETIMEDOUT);
	return vmf_fail(err, VMF_REMOTE,
	    "%s: does not answer as an SSH server in time", ssh->name);
}

/*
 * Only what this libssh2 knows: it would drop the others itself, but 1.10 does
 * so with a memcpy() over itself.
 */
int
vmf_ssh_prefer(
    struct vmf_ssh *ssh, int method, const char *list, struct vmf_error *err)
{
	const char **algs = NULL, *word = list;
	char known[1024] = "";
	size_t n, used = 0;
	int count, rc;

	count = libssh2_session_supported_algs(ssh->lib, method, &algs);
	if (count < 0)
		return vmf_ssh_fail(ssh, count, "algorithms", err);
	for (; *word != '\0'; word += n + (word[n] == ',')) {
		n = strcspn(word, ",");
		for (int i = 0; i < count; i++)
			if (strlen(algs[i]) == n &&
			    memcmp(algs[i], word, n) == 0 &&
			    used + n + 2 < sizeof(known)) {
				if (used > 0)
					known[used++] = ',';
				memcpy(known + used, word, n);
				used += n;
				break;
			}
	}
	known[used] = '\0';
	libssh2_free(ssh->lib, algs);
	rc = libssh2_session_method_pref(ssh->lib, method, known);
	return rc == 0 ? 0 : vmf_ssh_fail(ssh, rc, "algorithms", err);
}

/* What is offered: nothing that OpenSSH has dropped from its defaults. */
static int
set_methods(struct vmf_ssh *ssh, struct vmf_error *err)
{
	static const char ciphers[] =
	    "aes128-gcm@openssh.com,aes256-gcm@openssh.com,"
	    "aes128-ctr,aes256-ctr,aes192-ctr";
	static const char macs[] =
	    "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,"
	    "hmac-sha2-256,hmac-sha2-512";
	static const struct {
		int method;
		const char *list;
	} prefs[] = {
	    {LIBSSH2_METHOD_KEX,
		"curve25519-sha256,curve25519-sha256@libssh.org,"
		"ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,"
		"diffie-hellman-group-exchange-sha256,"
		"diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,"
		"diffie-hellman-group14-sha256"},
	    {LIBSSH2_METHOD_CRYPT_CS, ciphers},
	    {LIBSSH2_METHOD_CRYPT_SC, ciphers},
	    {LIBSSH2_METHOD_MAC_CS, macs},
	    {LIBSSH2_METHOD_MAC_SC, macs},
	};
	size_t i;

	for (i = 0; i < sizeof(prefs) / sizeof(prefs[0]); i++)
		if (vmf_ssh_prefer(ssh, prefs[i].method, prefs[i].list, err) <
		    0)
			return -1;
	return 0;
}

static int
handshake(struct vmf_ssh *ssh, const struct vmf_ssh_options *options,
    int64_t deadline, struct vmf_error *err)
{
	int rc;

	if (set_methods(ssh, err) < 0 ||
	    vmf_ssh_prefer_hostkeys(ssh, options, err) < 0)
		return -1;
	while ((rc = libssh2_session_handshake(ssh->lib, ssh->fd)) ==
	       LIBSSH2_ERROR_EAGAIN) {
		if (vmf_ssh_now() >= deadline)
			return timed_out(ssh, err);
		if (vmf_ssh_wait(ssh, deadline, -1, err) < 0)
			return -1;
	}
	if (rc == LIBSSH2_ERROR_KEX_FAILURE ||
	    rc == LIBSSH2_ERROR_KEY_EXCHANGE_FAILURE)
		return vmf_fail(err, VMF_REMOTE,
		    "%s: no key exchange, host key, cipher or MAC in common; "
		    "let sshd offer an ed25519 or ECDSA host key, aes128-ctr "
		    "and hmac-sha2-256 (libssh2 %s)",
		    ssh->name, libssh2_version(0));
	if (rc != 0)
		return vmf_ssh_fail(ssh, rc, "SSH handshake", err);
	snprintf(ssh->methods, sizeof(ssh->methods), "%s %s %s %s",
	    libssh2_session_methods(ssh->lib, LIBSSH2_METHOD_KEX),
	    libssh2_session_methods(ssh->lib, LIBSSH2_METHOD_HOSTKEY),
	    libssh2_session_methods(ssh->lib, LIBSSH2_METHOD_CRYPT_CS),
	    libssh2_session_methods(ssh->lib, LIBSSH2_METHOD_MAC_CS));
	return 0;
}

static struct vmf_ssh *
session_new(const struct vmf_ssh_options *options, struct vmf_error *err)
{
	struct vmf_ssh *ssh = calloc(1, sizeof(*ssh));

	if (ssh == NULL)
		goto fail;
	ssh->fd = ssh->proxy_err = -1;
	ssh->readable = true;
	ssh->progress = options->progress;
	ssh->stall =
	    1000 *
	    (int64_t)(options->stall_timeout ? options->stall_timeout : 60);
	ssh->name = strdup(options->host);
	ssh->in = malloc(SSH_IN_SIZE);
	ssh->lib = libssh2_session_init_ex(NULL, NULL, NULL, ssh);
	if (ssh->name == NULL || ssh->in == NULL || ssh->lib == NULL)
		goto fail;
	libssh2_session_set_blocking(ssh->lib, 0);
	libssh2_session_callback_set(
	    ssh->lib, LIBSSH2_CALLBACK_RECV, (void *)on_recv);
	libssh2_session_callback_set(
	    ssh->lib, LIBSSH2_CALLBACK_SEND, (void *)on_send);
	return ssh;
fail:
	vmf_fail(err, VMF_IO, "%s: no memory for a session", options->host);
	vmf_ssh_free(ssh);
	return NULL;
}

struct vmf_ssh *
vmf_ssh_open(const struct vmf_ssh_options *options, struct vmf_error *err)
{
	unsigned timeout =
	    options->connect_timeout ? options->connect_timeout : 30;
	int64_t deadline = vmf_ssh_now() + 1000 * (int64_t)timeout;
	struct vmf_ssh *ssh = session_new(options, err);

	if (ssh == NULL)
		return NULL;
	if (vmf_ssh_connect(ssh, options, deadline, err) < 0)
		goto fail;
	ssh->lib_fd = ssh->fd;
	ssh->last_heard = vmf_ssh_now();
	if (handshake(ssh, options, deadline, err) < 0 ||
	    vmf_ssh_check_host(ssh, options, err) < 0 ||
	    vmf_ssh_authenticate(ssh, options, deadline, err) < 0)
		goto fail;
	return ssh;
fail:
	vmf_ssh_free(ssh);
	return NULL;
}

static void
reap_proxy(struct vmf_ssh *ssh)
{
	const struct timespec tick = {0, 10000000};
	int i;

	if (ssh->proxy <= 0)
		return;
	/* Its pipe is closed: it ends by itself, or is made to. */
	for (i = 0; i < 20; i++) {
		if (waitpid(ssh->proxy, NULL, WNOHANG) != 0)
			return;
		nanosleep(&tick, NULL);
	}
	kill(ssh->proxy, SIGTERM);
	for (i = 0; i < 100; i++) {
		if (waitpid(ssh->proxy, NULL, WNOHANG) != 0)
			return;
		nanosleep(&tick, NULL);
	}
	kill(ssh->proxy, SIGKILL);
	waitpid(ssh->proxy, NULL, 0);
}

void
vmf_ssh_free(struct vmf_ssh *ssh)
{
	if (ssh == NULL)
		return;
	if (ssh->lib != NULL && ssh->fd >= 0) {
		libssh2_session_disconnect(ssh->lib, "done");
		(void)flush(ssh, NULL);
	}
	/* Closed first: no call of libssh2's below can wait for an answer. */
	vmf_ssh_drop(ssh, -1);
	if (ssh->lib != NULL)
		libssh2_session_free(ssh->lib);
	reap_proxy(ssh);
	if (ssh->proxy_err >= 0)
		close(ssh->proxy_err);
	free(ssh->out);
	free(ssh->in);
	free(ssh->name);
	free(ssh);
}

const char *
vmf_ssh_name(const struct vmf_ssh *ssh)
{
	return ssh->name;
}

const char *
vmf_ssh_methods(const struct vmf_ssh *ssh)
{
	return ssh->methods;
}
