/* wire.c - see wire.h */
#include <stdlib.h>
#include <string.h>

#include <vmferry/units.h>

#include "wire.h"

#define HELLO_NOISE_MAX ((size_t)64 << 10)

int
vmf_wire_init(struct vmf_wire *w, struct vmf_in in, struct vmf_out out,
    struct vmf_error *err)
{
	memset(w, 0, sizeof(*w));
	w->in = in;
	w->out = out;
	w->buf = malloc(VMF_WIRE_FRAME);
	if (w->buf == NULL)
		return vmf_fail_errno(err, VMF_IO, "wire");
	return 0;
}

void
vmf_wire_clear(struct vmf_wire *w)
{
	free(w->buf);
	memset(w, 0, sizeof(*w));
}

static int
lost(struct vmf_error *err)
{
	return vmf_fail(err, VMF_REMOTE, "the other end went away");
}

static int
read_exactly(struct vmf_wire *w, void *buf, size_t len, struct vmf_error *err)
{
	size_t got;

	if (w->in.read(w->in.ctx, buf, len, &got, err) < 0)
		return -1;
	return got < len ? lost(err) : 0;
}

/* 1 and the length of the next frame; 0: the end of input. */
static int
read_length(struct vmf_wire *w, size_t max, size_t *len, struct vmf_error *err)
{
	uint8_t head[4];
	size_t got;

	if (w->in.read(w->in.ctx, head, sizeof(head), &got, err) < 0)
		return -1;
	if (got == 0)
		return 0;
	if (got < sizeof(head))
		return lost(err);
	*len = vmf_get_le32(head);
	if (*len > max)
		return vmf_fail(err, VMF_INTEGRITY,
		    "the other end sent a frame of %zu bytes", *len);
	return 1;
}

static int
write_frame(
    struct vmf_wire *w, const void *buf, size_t len, struct vmf_error *err)
{
	uint8_t head[4];

	vmf_put_le32(head, (uint32_t)len);
	if (w->out.write(w->out.ctx, head, sizeof(head), err) < 0)
		return -1;
	return len == 0 ? 0 : w->out.write(w->out.ctx, buf, len, err);
}

int
vmf_wire_say_hello(struct vmf_wire *w, struct vmf_error *err)
{
	static const char hello[] = VMF_WIRE_HELLO "\n";

	return w->out.write(w->out.ctx, hello, sizeof(hello) - 1, err);
}

int
vmf_wire_await_hello(struct vmf_wire *w, struct vmf_error *err)
{
	static const char hello[] = VMF_WIRE_HELLO "\n";
	const size_t len = sizeof(hello) - 1;
	char last[sizeof(hello)] = {0};
	size_t seen, got;

	for (seen = 0; seen < HELLO_NOISE_MAX; seen++) {
		memmove(last, last + 1, len - 1);
		if (w->in.read(w->in.ctx, last + len - 1, 1, &got, err) < 0)
			return -1;
		if (got == 0)
			break;
		if (memcmp(last, hello, len) == 0)
			return 0;
	}
	return vmf_fail(err, VMF_REMOTE,
	    "no vmferry answers there; install the same version, in the PATH "
	    "of that user's commands");
}

int
vmf_wire_send(struct vmf_wire *w, json_t *message, struct vmf_error *err)
{
	char *text = message == NULL
			 ? NULL
			 : json_dumps(message, JSON_COMPACT | JSON_SORT_KEYS);
	int rc;

	json_decref(message);
	if (text == NULL)
		return vmf_fail(
		    err, VMF_INTERNAL, "a message could not be made");
	rc = write_frame(w, text, strlen(text), err);
	free(text);
	return rc;
}

static json_t *
load_message(const char *text, size_t len, struct vmf_error *err)
{
	json_t *message = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);

	if (json_is_object(message))
		return message;
	json_decref(message);
	vmf_fail(err, VMF_INTEGRITY, "the other end sent something malformed");
	return NULL;
}

int
vmf_wire_parse(const uint8_t *buf, size_t len, size_t *used, json_t **message,
    struct vmf_error *err)
{
	size_t n;

	if (len < 4)
		return 0;
	n = vmf_get_le32(buf);
	if (n > VMF_WIRE_MAX)
		return vmf_fail(err, VMF_INTEGRITY,
		    "the other end sent a frame of %zu bytes", n);
	if (len - 4 < n)
		return 0;
	*used = 4 + n;
	*message = load_message((const char *)buf + 4, n, err);
	return *message == NULL ? -1 : 1;
}

json_t *
vmf_wire_receive(struct vmf_wire *w, struct vmf_error *err)
{
	json_t *message = NULL;
	char *text = NULL;
	size_t len;
	int rc;

	err->class = VMF_OK;
	rc = read_length(w, VMF_WIRE_MAX, &len, err);
	if (rc <= 0)
		return NULL;
	text = malloc(len + 1);
	if (text == NULL) {
		vmf_fail_errno(err, VMF_IO, "wire");
		return NULL;
	}
	if (read_exactly(w, text, len, err) == 0)
		message = load_message(text, len, err);
	free(text);
	return message;
}

static int
stream_write(void *ctx, const void *buf, size_t len, struct vmf_error *err)
{
	struct vmf_wire *w = ctx;
	const uint8_t *p = buf;
	size_t n;

	for (; len > 0; p += n, len -= n) {
		n = VMF_WIRE_FRAME - w->fill;
		if (n > len)
			n = len;
		memcpy(w->buf + w->fill, p, n);
		w->fill += n;
		w->sent += n;
		if (w->fill == VMF_WIRE_FRAME) {
			w->fill = 0;
			if (write_frame(w, w->buf, VMF_WIRE_FRAME, err) < 0)
				return -1;
		}
	}
	return 0;
}

struct vmf_out
vmf_wire_out(struct vmf_wire *w)
{
	w->fill = 0;
	return (struct vmf_out){.write = stream_write, .ctx = w};
}

int
vmf_wire_end(struct vmf_wire *w, struct vmf_error *err)
{
	size_t len = w->fill;

	w->fill = 0;
	if (len > 0 && write_frame(w, w->buf, len, err) < 0)
		return -1;
	return write_frame(w, NULL, 0, err);
}

/* The next frame into buf; an empty one ends the stream. */
static int
refill(struct vmf_wire *w, struct vmf_error *err)
{
	int rc;

	w->pos = w->fill = 0;
	rc = read_length(w, VMF_WIRE_FRAME, &w->fill, err);
	if (rc <= 0)
		return rc < 0 ? -1 : lost(err);
	w->ended = w->fill == 0;
	return read_exactly(w, w->buf, w->fill, err);
}

static int
stream_read(
    void *ctx, void *buf, size_t len, size_t *got, struct vmf_error *err)
{
	struct vmf_wire *w = ctx;
	size_t n;

	*got = 0;
	while (*got < len && !w->ended) {
		if (w->pos == w->fill && refill(w, err) < 0)
			return -1;
		n = w->fill - w->pos;
		if (n > len - *got)
			n = len - *got;
		memcpy((uint8_t *)buf + *got, w->buf + w->pos, n);
		w->pos += n;
		*got += n;
	}
	return 0;
}

struct vmf_in
vmf_wire_in(struct vmf_wire *w)
{
	w->pos = w->fill = 0;
	w->ended = false;
	return (struct vmf_in){.read = stream_read, .ctx = w};
}

json_t *
vmf_wire_failure(const struct vmf_error *err)
{
	return json_pack("{s:b, s:i, s:s}", "ok", 0, "class", (int)err->class,
	    "error", err->msg);
}

int
vmf_wire_check(const json_t *answer, struct vmf_error *err)
{
	json_int_t class = json_integer_value(json_object_get(answer, "class"));

	if (json_is_true(json_object_get(answer, "ok")))
		return 0;
	if (class < VMF_INTERNAL || class > VMF_BUSY)
		class = VMF_REMOTE;
	return vmf_fail(
	    err, (enum vmf_class) class, "%s", vmf_wire_text(answer, "error"));
}

const char *
vmf_wire_text(const json_t *message, const char *key)
{
	const char *text = json_string_value(json_object_get(message, key));

	return text == NULL ? "" : text;
}
