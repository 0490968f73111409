/*
 * wire.h - how the two ends of a move talk: messages and byte streams over
 * one channel
 *
 * The far side says VMF_WIRE_HELLO on a line of its own first (a login shell
 * may have talked before).  After that everything is frames: a 32-bit
 * little-endian length, then that many bytes.  A message is one frame of JSON;
 * a byte stream is any number of frames and an empty one at its end.
 *
 * Thread rule: one thread at a time.
 */
#ifndef VMFERRY_WIRE_H
#define VMFERRY_WIRE_H

#include <jansson.h>

#include <vmferry/io.h>

#define VMF_WIRE_HELLO "vmferry-serve 1"
#define VMF_WIRE_FRAME ((size_t)1 << 20)  /* bytes of a stream's frame */
#define VMF_WIRE_MAX   ((size_t)64 << 20) /* of a message */

struct vmf_wire {
	struct vmf_in in;
	struct vmf_out out;
	uint64_t sent; /* bytes of streams, framing not counted */
	/* What a stream being sent or received has pending. */
	uint8_t *buf;
	size_t fill, pos;
	bool ended;
};

int vmf_wire_init(struct vmf_wire *w, struct vmf_in in, struct vmf_out out,
    struct vmf_error *err);
void vmf_wire_clear(struct vmf_wire *w);

int vmf_wire_say_hello(struct vmf_wire *w, struct vmf_error *err);
/* Skips what came before; VMF_REMOTE when it never comes. */
int vmf_wire_await_hello(struct vmf_wire *w, struct vmf_error *err);

/* Takes message. */
int vmf_wire_send(struct vmf_wire *w, json_t *message, struct vmf_error *err);
/* The caller decrefs it.  NULL with err->class VMF_OK: the end of input. */
json_t *vmf_wire_receive(struct vmf_wire *w, struct vmf_error *err);

/*
 * The first message of what has come, where reading it may not wait: 1, with
 * its length in *used; 0: it is not whole yet; -1: it is none.
 */
int vmf_wire_parse(const uint8_t *buf, size_t len, size_t *used,
    json_t **message, struct vmf_error *err);

/* A byte stream to the other end; vmf_wire_end() flushes and ends it. */
struct vmf_out vmf_wire_out(struct vmf_wire *w);
int vmf_wire_end(struct vmf_wire *w, struct vmf_error *err);
/* A byte stream from the other end, until its empty frame. */
struct vmf_in vmf_wire_in(struct vmf_wire *w);
/* Answers: {"ok": true, ...} or a failure that carries class and message. */
json_t *vmf_wire_failure(const struct vmf_error *err);
/* 0 for ok; else err is what the other end said. */
int vmf_wire_check(const json_t *answer, struct vmf_error *err);
/* The string member key, or "". */
const char *vmf_wire_text(const json_t *message, const char *key);

#endif
