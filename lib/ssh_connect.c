/* ssh_connect.c - the bytes beneath a session: TCP, or a proxy command */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vmferry/io.h>

#include "ssh_internal.h"

/* 0 connected, -1 with errno; -2 asked to stop, with err set */
static int
connect_one(int fd, const struct addrinfo *a, struct vmf_ssh *ssh,
    int64_t deadline, struct vmf_error *err)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	socklen_t len = sizeof(int);
	int64_t left;
	int cause = 0;

	if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
		return 0;
	if (errno != EINPROGRESS && errno != EINTR)
		return -1;
	for (;;) {
		if (vmf_progress_check(ssh->progress, err) < 0)
			return -2;
		left = deadline - vmf_ssh_now();
		if (left <= 0) {
			errno = ETIMEDOUT;
			return -1;
		}
		if (poll(&p, 1, left < 250 ? (int)left : 250) > 0)
			break;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &cause, &len) < 0)
		return -1;
	errno = cause;
	return cause == 0 ? 0 : -1;
}

static int
connect_tcp(struct vmf_ssh *ssh, const struct vmf_ssh_options *options,
    int64_t deadline, struct vmf_error *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list, *a;
	unsigned port = options->port ? options->port : 22;
	int on = 1, rc, cause = 0;
	char service[8];

	snprintf(service, sizeof(service), "%u", port);
	rc = getaddrinfo(options->host, service, &hints, &list);
	if (rc != 0)
		return vmf_fail(err, VMF_REMOTE, "%s: %s; check the name",
		    ssh->name, gai_strerror(rc));
	rc = -1;
	for (a = list; a != NULL && rc == -1; a = a->ai_next) {
		ssh->fd = socket(a->ai_family,
		    a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
		    a->ai_protocol);
		if (ssh->fd < 0) {
			cause = errno;
			continue;
		}
		rc = connect_one(ssh->fd, a, ssh, deadline, err);
		if (rc == 0)
			break;
		cause = errno;
		close(ssh->fd);
		ssh->fd = -1;
	}
	freeaddrinfo(list);
	if (rc == -2)
		return -1;
	errno = cause;
	if (rc < 0)
		return vmf_fail_errno(
		    err, VMF_REMOTE, "%s: port %u", ssh->name, port);
	/* Buffers of ours are flushed whole: nothing is gained by delay. */
	setsockopt(ssh->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(ssh->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	return 0;
}

/* The command's standard input and output are one socket, its talk a file. */
static int
spawn_proxy(struct vmf_ssh *ssh, const char *command, int theirs)
{
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)command, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t defaults;
	int rc;

	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigdefault(&attr, &defaults);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, theirs, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, theirs, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(
	    &actions, ssh->proxy_err, STDERR_FILENO);
	rc =
	    posix_spawn(&ssh->proxy, "/bin/sh", &actions, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	if (rc != 0)
		ssh->proxy = 0;
	return rc;
}

static int
connect_proxy(struct vmf_ssh *ssh, const char *command, struct vmf_error *err)
{
	int pair[2], rc;

	ssh->proxy_err = vmf_scratch_open(NULL, err);
	if (ssh->proxy_err < 0)
		return -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s: socketpair", ssh->name);
	ssh->fd = pair[0];
	rc = spawn_proxy(ssh, command, pair[1]);
	close(pair[1]);
	if (rc != 0) {
		errno = rc;
		return vmf_fail_errno(err, VMF_IO, "%s: sh", ssh->name);
	}
	/* Only our end: the command's own may be a blocking one. */
	rc = fcntl(ssh->fd, F_GETFL);
	if (rc < 0 || fcntl(ssh->fd, F_SETFL, rc | O_NONBLOCK) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s: socket", ssh->name);
	return 0;
}

void
vmf_ssh_proxy_said(struct vmf_ssh *ssh, char *text, size_t len)
{
	char buf[2048], *line;
	off_t end;
	ssize_t n;

	text[0] = '\0';
	if (ssh->proxy_err < 0)
		return;
	end = lseek(ssh->proxy_err, 0, SEEK_END);
	n = pread(ssh->proxy_err, buf, sizeof(buf) - 1,
	    end > (off_t)sizeof(buf) - 1 ? end - (off_t)sizeof(buf) + 1 : 0);
	if (n <= 0)
		return;
	while (n > 0 && (buf[n - 1] == '\n' || buf[n - 1] == '\r'))
		n--;
	buf[n] = '\0';
	line = strrchr(buf, '\n');
	snprintf(text, len, "%s", line != NULL ? line + 1 : buf);
}

int
vmf_ssh_connect(struct vmf_ssh *ssh, const struct vmf_ssh_options *options,
    int64_t deadline, struct vmf_error *err)
{
	if (options->proxy_command != NULL)
		return connect_proxy(ssh, options->proxy_command, err);
	return connect_tcp(ssh, options, deadline, err);
}
