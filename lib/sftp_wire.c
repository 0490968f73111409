/* sftp_wire.c - the fields of SFTP's messages: big-endian, unlike our own */
#include <string.h>

#include "sftp_internal.h"

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

/* vmf_sftp_begin() has made the room. */
void
vmf_sftp_put_bytes(struct vmf_sftp *sftp, const void *p, size_t len)
{
	memcpy(sftp->out + sftp->out_off + sftp->out_len, p, len);
	sftp->out_len += len;
}

void
vmf_sftp_put32(struct vmf_sftp *sftp, uint32_t v)
{
	uint8_t b[4];

	put_be32(b, v);
	vmf_sftp_put_bytes(sftp, b, 4);
}

void
vmf_sftp_put64(struct vmf_sftp *sftp, uint64_t v)
{
	vmf_sftp_put32(sftp, (uint32_t)(v >> 32));
	vmf_sftp_put32(sftp, (uint32_t)v);
}

void
vmf_sftp_put_string(struct vmf_sftp *sftp, const void *p, size_t len)
{
	vmf_sftp_put32(sftp, (uint32_t)len);
	vmf_sftp_put_bytes(sftp, p, len);
}

bool
vmf_sftp_get32(struct sftp_reply *r, uint32_t *v)
{
	if (r->len < 4)
		return false;
	*v = get_be32(r->p);
	r->p += 4;
	r->len -= 4;
	return true;
}

bool
vmf_sftp_get64(struct sftp_reply *r, uint64_t *v)
{
	uint32_t hi, lo;

	if (!vmf_sftp_get32(r, &hi) || !vmf_sftp_get32(r, &lo))
		return false;
	*v = (uint64_t)hi << 32 | lo;
	return true;
}

bool
vmf_sftp_get_string(struct sftp_reply *r, const uint8_t **s, size_t *len)
{
	uint32_t n;

	if (!vmf_sftp_get32(r, &n) || n > r->len)
		return false;
	*s = r->p;
	*len = n;
	r->p += n;
	r->len -= n;
	return true;
}

bool
vmf_sftp_get_attrs(struct sftp_reply *r, struct vmf_sftp_stat *st)
{
	uint32_t flags, v, n;
	const uint8_t *s;
	size_t len;

	memset(st, 0, sizeof(*st));
	st->type = VMF_SFTP_OTHER;
	if (!vmf_sftp_get32(r, &flags))
		return false;
	if ((flags & 1) && !vmf_sftp_get64(r, &st->size))
		return false;
	if ((flags & 2) && (!vmf_sftp_get32(r, &v) || !vmf_sftp_get32(r, &v)))
		return false;
	if (flags & 4) {
		if (!vmf_sftp_get32(r, &v))
			return false;
		st->mode = v & 07777;
		if ((v & 0170000) == 0100000)
			st->type = VMF_SFTP_FILE;
		else if ((v & 0170000) == 0040000)
			st->type = VMF_SFTP_DIR;
	}
	if ((flags & 8) &&
	    (!vmf_sftp_get32(r, &v) || !vmf_sftp_get32(r, &st->mtime)))
		return false;
	if (flags & 0x80000000) {
		if (!vmf_sftp_get32(r, &n))
			return false;
		for (; n > 0; n--)
			if (!vmf_sftp_get_string(r, &s, &len) ||
			    !vmf_sftp_get_string(r, &s, &len))
				return false;
	}
	return true;
}
