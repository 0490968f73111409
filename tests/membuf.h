/* membuf.h - streams in memory, and bytes to fill them, for the suites */
#ifndef VMFERRY_MEMBUF_H
#define VMFERRY_MEMBUF_H

#include <stdlib.h>
#include <string.h>

#include <vmferry/io.h>

struct membuf {
	uint8_t *p;
	size_t len, cap;
	size_t pos; /* of the next read */
};

static inline int
membuf_write(void *ctx, const void *buf, size_t len, struct vmf_error *err)
{
	struct membuf *m = ctx;

	if (m->p == NULL || m->len + len > m->cap) {
		m->cap = 2 * (m->len + len) + 1;
		m->p = realloc(m->p, m->cap);
		if (m->p == NULL)
			return vmf_fail(err, VMF_INTERNAL, "no memory");
	}
	if (len > 0)
		memcpy(m->p + m->len, buf, len);
	m->len += len;
	return 0;
}

static inline int
membuf_read(
    void *ctx, void *buf, size_t len, size_t *got, struct vmf_error *err)
{
	struct membuf *m = ctx;

	(void)err;
	*got = len < m->len - m->pos ? len : m->len - m->pos;
	if (*got > 0)
		memcpy(buf, m->p + m->pos, *got);
	m->pos += *got;
	return 0;
}

static inline struct vmf_out
membuf_out(struct membuf *m)
{
	return (struct vmf_out){.write = membuf_write, .ctx = m};
}

/* From its first byte on. */
static inline struct vmf_in
membuf_in(struct membuf *m)
{
	m->pos = 0;
	return (struct vmf_in){.read = membuf_read, .ctx = m};
}

static inline void
membuf_free(struct membuf *m)
{
	free(m->p);
	memset(m, 0, sizeof(*m));
}

/* The same bytes for the same seed; they do not compress. */
static inline void
noise(uint8_t *p, size_t len, uint64_t seed)
{
	uint64_t x = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
	size_t i;

	for (i = 0; i < len; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		p[i] = (uint8_t)(x >> 32);
	}
}

/* Bytes that compress well, but not to nothing. */
static inline void
prose(uint8_t *p, size_t len, uint64_t seed)
{
	size_t i;

	noise(p, len, seed);
	for (i = 0; i < len; i++)
		p[i] = (uint8_t)("vmferry "[i % 8] ^ (p[i] < 8));
}

#endif
