/* carrier.c - SFTP over a socket, with a server of whatever kind behind it */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "carrier.h"

struct fd_carrier {
	int fd;
	bool full; /* a write could not go on: wait for room too */
	char *name;
};

static ssize_t
fd_read(void *ctx, void *buf, size_t len, struct vmf_error *err)
{
	struct fd_carrier *c = ctx;
	ssize_t n;

	do
		n = recv(c->fd, buf, len, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return n;
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	if (n == 0)
		return vmf_fail(
		    err, VMF_REMOTE, "%s: the SFTP server ended", c->name);
	return vmf_fail_errno(err, VMF_REMOTE, "%s: read", c->name);
}

static ssize_t
fd_write(void *ctx, const void *buf, size_t len, struct vmf_error *err)
{
	struct fd_carrier *c = ctx;
	ssize_t n;

	do
		n = send(c->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	if (errno != EAGAIN && errno != EWOULDBLOCK)
		return vmf_fail_errno(err, VMF_REMOTE, "%s: write", c->name);
	c->full = true;
	return 0;
}

static int
fd_wait(void *ctx, int64_t deadline, int wake_fd, struct vmf_error *err)
{
	struct fd_carrier *c = ctx;
	struct pollfd p[2] = {
	    {.fd = c->fd, .events = POLLIN | (c->full ? POLLOUT : 0)},
	    {.fd = wake_fd, .events = POLLIN}};

	(void)deadline; /* the callers look at the time every tick */
	c->full = false;
	if (poll(p, 2, 100) < 0 && errno != EINTR)
		return vmf_fail_errno(err, VMF_IO, "poll");
	return 0;
}

static void
fd_free(void *ctx)
{
	struct fd_carrier *c = ctx;

	close(c->fd);
	free(c->name);
	free(c);
}

int
vmf_carrier_fd(int fd, const char *name, unsigned stall_timeout,
    struct carrier *carrier, struct vmf_error *err)
{
	struct fd_carrier *c = calloc(1, sizeof(*c));

	if (c == NULL || (c->name = strdup(name)) == NULL) {
		vmf_fail_errno(err, VMF_IO, "%s: sftp", name);
		free(c);
		close(fd);
		return -1;
	}
	c->fd = fd;
	*carrier = (struct carrier){.read = fd_read,
	    .write = fd_write,
	    .wait = fd_wait,
	    .free = fd_free,
	    .ctx = c,
	    .name = c->name,
	    .stall = 1000 * (int64_t)(stall_timeout ? stall_timeout : 60)};
	return 0;
}
