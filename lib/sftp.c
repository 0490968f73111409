/* sftp.c - see vmferry/sftp.h and sftp_internal.h */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sftp_internal.h"
#include "ssh_internal.h"

/* What the server must be given for a sync or close, in ms, at least. */
#define PATIENCE 600000

/* Text before the first message, as noisy login shells send it. */
#define NOISE_MAX 65536

/* Without limits@ every server must take this much (draft, section 3). */
#define SAFE_DATA 32768

/* --- building requests */

static void
put_be32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

static uint32_t
get_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	       (uint32_t)p[2] << 8 | p[3];
}

static int
reserve(struct vmf_sftp *sftp, size_t more, struct vmf_error *err)
{
	uint8_t *p;

	if (sftp->out_off > 0) {
		if (sftp->out_off + sftp->out_len + more <= sftp->out_size)
			return 0;
		memmove(sftp->out, sftp->out + sftp->out_off, sftp->out_len);
		sftp->out_off = 0;
	}
	if (sftp->out_len + more <= sftp->out_size)
		return 0;
	p = realloc(sftp->out, sftp->out_len + more + SFTP_OUT_HIGH);
	if (p == NULL)
		return vmf_fail_errno(err, VMF_IO, "%s", sftp->carrier.name);
	sftp->out = p;
	sftp->out_size = sftp->out_len + more + SFTP_OUT_HIGH;
	return 0;
}

bool
vmf_sftp_room(const struct vmf_sftp *sftp)
{
	return sftp->waiting < SFTP_SLOTS - 1 && sftp->out_len < SFTP_OUT_HIGH;
}

/* Ids carry the slot in their low bits and a count above, so that a reply
 * that comes twice is noticed. */
static struct sftp_slot *
free_slot(struct vmf_sftp *sftp)
{
	struct sftp_slot *slot;

	do
		slot = &sftp->slots[++sftp->next % SFTP_SLOTS];
	while (slot->fn != NULL);
	slot->id = sftp->next;
	return slot;
}

int
vmf_sftp_begin(struct vmf_sftp *sftp, uint8_t type, size_t size_hint,
    sftp_reply_fn *fn, void *ctx, struct vmf_error *err)
{
	struct sftp_slot *slot;

	if (sftp->dead)
		return vmf_fail(
		    err, VMF_REMOTE, "%s: connection lost", sftp->carrier.name);
	if (sftp->waiting >= SFTP_SLOTS - 1)
		return vmf_fail(err, VMF_INTERNAL, "sftp: no slot");
	if (size_hint > SFTP_PACKET)
		return vmf_fail(err, VMF_USAGE, "%s: a name is too long",
		    sftp->carrier.name);
	if (reserve(sftp, size_hint + 64, err) < 0)
		return -1;
	if (sftp->waiting == 0)
		sftp->last_moved = vmf_ssh_now();
	slot = free_slot(sftp);
	slot->fn = fn;
	slot->ctx = ctx;
	slot->heap = false;
	sftp->building = slot;
	sftp->waiting++;
	sftp->msg = sftp->out_off + sftp->out_len;
	vmf_sftp_put32(sftp, 0);
	vmf_sftp_put_bytes(sftp, &type, 1);
	vmf_sftp_put32(sftp, slot->id);
	return 0;
}

void
vmf_sftp_submit(struct vmf_sftp *sftp)
{
	size_t end = sftp->out_off + sftp->out_len;

	put_be32(sftp->out + sftp->msg, (uint32_t)(end - sftp->msg - 4));
}

void
vmf_sftp_submit_heap(struct vmf_sftp *sftp)
{
	vmf_sftp_submit(sftp);
	sftp->building->heap = true;
}

/* --- replies */

int
vmf_sftp_nonsense(struct vmf_sftp *sftp, struct vmf_error *err)
{
	sftp->dead = true;
	return vmf_fail(err, VMF_REMOTE,
	    "%s: the SFTP server's answer makes no sense; connection given up",
	    sftp->carrier.name);
}

int
vmf_sftp_refused(struct vmf_sftp *sftp, const char *path, const char *what,
    const struct sftp_reply *reply, struct vmf_error *err)
{
	struct sftp_reply r = *reply;
	const uint8_t *text = NULL;
	size_t len = 0;

	if (r.type != FXP_STATUS)
		return vmf_sftp_nonsense(sftp, err);
	if (r.status == FX_PERMISSION_DENIED)
		return vmf_fail(err, VMF_REMOTE, "%s: %s: %s: denied there",
		    sftp->carrier.name, path, what);
	if (r.status == FX_NO_SUCH_FILE)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: %s: %s: no such file or directory there",
		    sftp->carrier.name, path, what);
	(void)vmf_sftp_get_string(&r, &text, &len);
	return vmf_fail(err, VMF_REMOTE, "%s: %s: %s: %.*s (status %u)",
	    sftp->carrier.name, path, what,
	    len > 0 ? (int)(len < 200 ? len : 200) : 6,
	    len > 0 ? (const char *)text : "failed", r.status);
}

static int
take_message(
    struct vmf_sftp *sftp, const uint8_t *p, size_t len, struct vmf_error *err)
{
	struct sftp_reply r = {.type = p[0], .p = p + 5, .len = len - 5};
	struct sftp_slot *slot;
	sftp_reply_fn *fn;
	uint32_t id;

	if (len < 5)
		return vmf_sftp_nonsense(sftp, err);
	id = get_be32(p + 1);
	slot = &sftp->slots[id % SFTP_SLOTS];
	if (slot->fn == NULL || slot->id != id)
		return vmf_sftp_nonsense(sftp, err);
	if (r.type == FXP_STATUS && !vmf_sftp_get32(&r, &r.status))
		return vmf_sftp_nonsense(sftp, err);
	fn = slot->fn;
	slot->fn = NULL;
	sftp->waiting--;
	if (fn(slot->ctx, &r, err) < 0) {
		sftp->dead = true;
		return -1;
	}
	return 0;
}

static int
take_version(
    struct vmf_sftp *sftp, const uint8_t *p, size_t len, struct vmf_error *err)
{
	struct sftp_reply r = {.p = p + 1, .len = len - 1};
	const uint8_t *name, *value;
	size_t n, m;
	uint32_t version;

	if (p[0] != FXP_VERSION || !vmf_sftp_get32(&r, &version))
		return vmf_sftp_nonsense(sftp, err);
	if (version != 3)
		return vmf_fail(err, VMF_REMOTE,
		    "%s: speaks SFTP version %u, not 3", sftp->carrier.name,
		    version);
	while (r.len > 0) {
		if (!vmf_sftp_get_string(&r, &name, &n) ||
		    !vmf_sftp_get_string(&r, &value, &m))
			return vmf_sftp_nonsense(sftp, err);
#define IS(s) (n == sizeof(s) - 1 && memcmp(name, s, n) == 0)
		if (IS("statvfs@openssh.com"))
			sftp->has_statvfs = true;
		else if (IS("fsync@openssh.com"))
			sftp->has_fsync = true;
		else if (IS("posix-rename@openssh.com"))
			sftp->has_posix_rename = true;
		else if (IS("limits@openssh.com"))
			sftp->has_limits = true;
#undef IS
	}
	sftp->welcomed = true;
	return 0;
}

/*
 * The first message starts with the high byte of its length, a zero, which no
 * text has: what comes before is the login shell's talk.
 */
static int
skip_noise(struct vmf_sftp *sftp, struct vmf_error *err)
{
	while (sftp->in_len > 0 && sftp->in[sftp->in_off] != 0) {
		sftp->in_off++;
		sftp->in_len--;
		if (sftp->in_off > NOISE_MAX)
			return vmf_sftp_nonsense(sftp, err);
	}
	return 0;
}

/* Hand on whole messages; 1: there was one, 0: none. */
static int
take_messages(struct vmf_sftp *sftp, struct vmf_error *err)
{
	int progress = 0, rc;
	const uint8_t *p;
	uint32_t len;

	if (!sftp->welcomed && skip_noise(sftp, err) < 0)
		return -1;
	while (sftp->in_len >= 4) {
		p = sftp->in + sftp->in_off;
		len = get_be32(p);
		if (len < 5 || len > SFTP_PACKET)
			return vmf_sftp_nonsense(sftp, err);
		if (sftp->in_len < 4 + (size_t)len)
			break;
		sftp->in_off += 4 + (size_t)len;
		sftp->in_len -= 4 + (size_t)len;
		rc = sftp->welcomed ? take_message(sftp, p + 4, len, err)
				    : take_version(sftp, p + 4, len, err);
		if (rc < 0) {
			sftp->dead = true;
			return -1;
		}
		progress = 1;
	}
	if (sftp->in_len == 0)
		sftp->in_off = 0;
	return progress;
}

static int
receive(struct vmf_sftp *sftp, struct vmf_error *err)
{
	int progress = 0, rc;
	ssize_t n;

	for (;;) {
		/* A whole message must fit behind in_off. */
		if (sftp->in_off > SFTP_IN_SIZE - SFTP_PACKET - 4) {
			memmove(
			    sftp->in, sftp->in + sftp->in_off, sftp->in_len);
			sftp->in_off = 0;
		}
		n = sftp->carrier.read(sftp->carrier.ctx,
		    sftp->in + sftp->in_off + sftp->in_len,
		    SFTP_IN_SIZE - sftp->in_off - sftp->in_len, err);
		if (n < 0) {
			sftp->dead = true;
			return -1;
		}
		if (n == 0)
			return progress;
		sftp->in_len += (size_t)n;
		progress = 1;
		rc = take_messages(sftp, err);
		if (rc < 0)
			return -1;
	}
}

static int
transmit(struct vmf_sftp *sftp, struct vmf_error *err)
{
	int progress = 0;
	ssize_t n;

	while (sftp->out_len > 0) {
		n = sftp->carrier.write(sftp->carrier.ctx,
		    sftp->out + sftp->out_off, sftp->out_len, err);
		if (n < 0) {
			sftp->dead = true;
			return -1;
		}
		if (n == 0)
			return progress;
		sftp->out_off += (size_t)n;
		sftp->out_len -= (size_t)n;
		progress = 1;
	}
	sftp->out_off = 0;
	return progress;
}

/* sshd may be alive and well while the SFTP server behind it hangs. */
static int
check_stall(struct vmf_sftp *sftp, struct vmf_error *err)
{
	int64_t idle, limit = sftp->carrier.stall;

	if (sftp->welcomed && sftp->waiting == 0)
		return 0;
	if (sftp->patient && limit < PATIENCE)
		limit = PATIENCE;
	idle = vmf_ssh_now() - sftp->last_moved;
	if (idle <= limit)
		return 0;
	sftp->dead = true;
	return vmf_fail(err, VMF_REMOTE,
	    "%s: the SFTP server has not answered for %lld s; connection "
	    "given up",
	    sftp->carrier.name, (long long)idle / 1000);
}

int
vmf_sftp_step(
    struct vmf_sftp *sftp, int64_t deadline, int wake_fd, struct vmf_error *err)
{
	int sent, got;

	if (sftp->dead)
		return vmf_fail(
		    err, VMF_REMOTE, "%s: connection lost", sftp->carrier.name);
	sent = transmit(sftp, err);
	if (sent < 0)
		return -1;
	got = receive(sftp, err);
	if (got < 0)
		return -1;
	if (sent > 0 || got > 0)
		sftp->last_moved = vmf_ssh_now();
	/* A reply may be what the caller waits for: let it look first. */
	if (got > 0)
		return 0;
	if (check_stall(sftp, err) < 0)
		return -1;
	if (sftp->carrier.wait(sftp->carrier.ctx, deadline, wake_fd, err) < 0) {
		sftp->dead = true;
		return -1;
	}
	return 0;
}

int
vmf_sftp_make_room(struct vmf_sftp *sftp, struct vmf_error *err)
{
	while (!vmf_sftp_room(sftp))
		if (vmf_sftp_step(sftp, 0, -1, err) < 0)
			return -1;
	return 0;
}

/* --- requests that are waited for */

int
vmf_sftp_call_done(
    void *ctx, const struct sftp_reply *reply, struct vmf_error *err)
{
	struct sftp_call *call = ctx;

	call->copy = malloc(reply->len + 1);
	if (call->copy == NULL)
		return vmf_fail_errno(err, VMF_IO, "sftp");
	memcpy(call->copy, reply->p, reply->len);
	call->reply = *reply;
	call->reply.p = call->copy;
	call->done = true;
	return 0;
}

int
vmf_sftp_call_wait(
    struct vmf_sftp *sftp, struct sftp_call *call, struct vmf_error *err)
{
	vmf_sftp_submit(sftp);
	while (!call->done)
		if (vmf_sftp_step(sftp, 0, -1, err) < 0)
			return -1;
	return 0;
}

void
vmf_sftp_call_free(struct sftp_call *call)
{
	free(call->copy);
	call->copy = NULL;
	call->done = false;
}

/* --- the session */

static int
ask_limits(struct vmf_sftp *sftp, struct vmf_error *err)
{
	static const char name[] = "limits@openssh.com";
	struct sftp_call call = {.done = false};
	uint64_t packet, rd, wr;
	int rc = -1;

	if (vmf_sftp_begin(
		sftp, FXP_EXTENDED, 64, vmf_sftp_call_done, &call, err) < 0)
		return -1;
	vmf_sftp_put_string(sftp, name, sizeof(name) - 1);
	if (vmf_sftp_call_wait(sftp, &call, err) < 0)
		goto out;
	rc = 0;
	if (call.reply.type != FXP_EXTENDED_REPLY ||
	    !vmf_sftp_get64(&call.reply, &packet) ||
	    !vmf_sftp_get64(&call.reply, &rd) ||
	    !vmf_sftp_get64(&call.reply, &wr))
		goto out; /* then the safe size it is */
	if (rd >= SAFE_DATA)
		sftp->max_read =
		    rd < SFTP_PACKET - 1024 ? (uint32_t)rd : SFTP_PACKET - 1024;
	if (wr >= SAFE_DATA)
		sftp->max_write =
		    wr < SFTP_PACKET - 1024 ? (uint32_t)wr : SFTP_PACKET - 1024;
out:
	vmf_sftp_call_free(&call);
	return rc;
}

static int
greet(struct vmf_sftp *sftp, struct vmf_error *err)
{
	static const uint8_t init[] = {0, 0, 0, 5, FXP_INIT, 0, 0, 0, 3};

	if (reserve(sftp, sizeof(init), err) < 0)
		return -1;
	vmf_sftp_put_bytes(sftp, init, sizeof(init));
	sftp->last_moved = vmf_ssh_now();
	while (!sftp->welcomed)
		if (vmf_sftp_step(sftp, 0, -1, err) < 0)
			return -1;
	return sftp->has_limits ? ask_limits(sftp, err) : 0;
}

static struct vmf_sftp *
open_carrier(struct carrier *carrier, struct vmf_error *err)
{
	struct vmf_sftp *sftp = calloc(1, sizeof(*sftp));

	if (sftp == NULL) {
		vmf_fail_errno(err, VMF_IO, "%s: sftp", carrier->name);
		carrier->free(carrier->ctx);
		return NULL;
	}
	sftp->carrier = *carrier;
	sftp->max_read = sftp->max_write = SAFE_DATA;
	sftp->in = malloc(SFTP_IN_SIZE);
	if (sftp->in == NULL)
		vmf_fail_errno(err, VMF_IO, "%s: sftp", carrier->name);
	else if (greet(sftp, err) == 0)
		return sftp;
	vmf_sftp_free(sftp);
	return NULL;
}

struct vmf_sftp *
vmf_sftp_open(struct vmf_ssh *ssh, struct vmf_error *err)
{
	struct carrier carrier;

	if (vmf_ssh_carrier(ssh, &carrier, err) < 0)
		return NULL;
	return open_carrier(&carrier, err);
}

struct vmf_sftp *
vmf_sftp_open_fd(
    int fd, const char *name, unsigned stall_timeout, struct vmf_error *err)
{
	struct carrier carrier;

	if (vmf_carrier_fd(fd, name, stall_timeout, &carrier, err) < 0)
		return NULL;
	return open_carrier(&carrier, err);
}

void
vmf_sftp_free(struct vmf_sftp *sftp)
{
	size_t i;

	if (sftp == NULL)
		return;
	for (i = 0; i < SFTP_SLOTS; i++)
		if (sftp->slots[i].fn != NULL && sftp->slots[i].heap)
			free(sftp->slots[i].ctx);
	sftp->carrier.free(sftp->carrier.ctx);
	free(sftp->out);
	free(sftp->in);
	free(sftp);
}

const char *
vmf_sftp_name(const struct vmf_sftp *sftp)
{
	return sftp->carrier.name;
}
