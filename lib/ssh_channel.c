/* ssh_channel.c - channels of a session, and one as the carrier of SFTP */
#include <stdlib.h>

#include "carrier.h"
#include "ssh_internal.h"

/* What the far side may send before we read: many round trips' worth. */
#define WINDOW (8 * 1024 * 1024)

struct channel_carrier {
	struct vmf_ssh *ssh;
	LIBSSH2_CHANNEL *channel;
};

LIBSSH2_CHANNEL *
vmf_ssh_channel_open(struct vmf_ssh *ssh, struct vmf_error *err)
{
	LIBSSH2_CHANNEL *channel;
	int rc;

	while ((channel = libssh2_channel_open_ex(ssh->lib, "session", 7,
		    WINDOW, LIBSSH2_CHANNEL_PACKET_DEFAULT, NULL, 0)) == NULL) {
		rc = libssh2_session_last_errno(ssh->lib);
		if (rc == LIBSSH2_ERROR_CHANNEL_FAILURE)
			vmf_fail(err, VMF_REMOTE,
			    "%s: opens no further channel; see its "
			    "MaxSessions",
			    ssh->name);
		else if (rc != LIBSSH2_ERROR_EAGAIN)
			vmf_ssh_fail(ssh, rc, "channel", err);
		else if (vmf_ssh_wait(ssh, 0, -1, err) == 0)
			continue;
		return NULL;
	}
	return channel;
}

void
vmf_ssh_channel_free(struct vmf_ssh *ssh, LIBSSH2_CHANNEL *channel)
{
	if (channel == NULL)
		return;
	/* On a lost session nothing is waited for; on a live one the far side
	 * is given the time of a few waits to agree. */
	for (int i = 0; i < 20; i++) {
		if (libssh2_channel_free(channel) != LIBSSH2_ERROR_EAGAIN)
			return;
		if (vmf_ssh_wait(ssh, vmf_ssh_now() + 100, -1, NULL) < 0)
			vmf_ssh_drop(ssh, -1);
	}
	vmf_ssh_drop(ssh, -1);
	libssh2_channel_free(channel);
}

int
vmf_ssh_channel_request(struct vmf_ssh *ssh, LIBSSH2_CHANNEL *channel,
    const char *request, const char *message, struct vmf_error *err)
{
	int rc;

	while ((rc = libssh2_channel_process_startup(channel, request,
		    (unsigned)strlen(request), message,
		    (unsigned)strlen(message))) == LIBSSH2_ERROR_EAGAIN)
		if (vmf_ssh_wait(ssh, 0, -1, err) < 0)
			return -1;
	if (rc == LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED)
		return vmf_fail(err, VMF_REFUSED, "%s: the server offers no %s",
		    ssh->name,
		    strcmp(request, "exec") == 0 ? "commands (exec)" : message);
	if (rc != 0)
		return vmf_ssh_fail(ssh, rc, request, err);
	return 0;
}

static ssize_t
carrier_read(void *ctx, void *buf, size_t len, struct vmf_error *err)
{
	struct channel_carrier *c = ctx;
	ssize_t n = libssh2_channel_read(c->channel, buf, len);
	char drop[512];

	if (n > 0)
		return n;
	if (n < 0 && n != LIBSSH2_ERROR_EAGAIN)
		return vmf_ssh_fail(c->ssh, (int)n, "read", err);
	/* What an sftp-server says is not for us, but fills the window. */
	while (libssh2_channel_read_stderr(c->channel, drop, sizeof(drop)) > 0)
		;
	if (libssh2_channel_eof(c->channel))
		return vmf_fail(
		    err, VMF_REMOTE, "%s: the SFTP server ended", c->ssh->name);
	return 0;
}

static ssize_t
carrier_write(void *ctx, const void *buf, size_t len, struct vmf_error *err)
{
	struct channel_carrier *c = ctx;
	ssize_t n;

	if (vmf_ssh_full(c->ssh))
		return 0;
	n = libssh2_channel_write(c->channel, buf, len);
	if (n == LIBSSH2_ERROR_EAGAIN)
		return 0;
	if (n < 0)
		return vmf_ssh_fail(c->ssh, (int)n, "write", err);
	return n;
}

static int
carrier_wait(void *ctx, int64_t deadline, int wake_fd, struct vmf_error *err)
{
	struct channel_carrier *c = ctx;

	return vmf_ssh_wait(c->ssh, deadline, wake_fd, err);
}

static void
carrier_free(void *ctx)
{
	struct channel_carrier *c = ctx;

	vmf_ssh_channel_free(c->ssh, c->channel);
	free(c);
}

int
vmf_ssh_carrier(
    struct vmf_ssh *ssh, struct carrier *carrier, struct vmf_error *err)
{
	struct channel_carrier *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return vmf_fail_errno(err, VMF_IO, "%s: channel", ssh->name);
	c->ssh = ssh;
	c->channel = vmf_ssh_channel_open(ssh, err);
	if (c->channel == NULL || vmf_ssh_channel_request(ssh, c->channel,
				      "subsystem", "sftp", err) < 0) {
		carrier_free(c);
		return -1;
	}
	*carrier = (struct carrier){.read = carrier_read,
	    .write = carrier_write,
	    .wait = carrier_wait,
	    .free = carrier_free,
	    .ctx = c,
	    .name = ssh->name,
	    .stall = ssh->stall};
	return 0;
}
