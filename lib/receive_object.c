/*
 * receive_object.c - a segment's objects: verified, then written
 *
 * The bytes of a segment are the sender's word alone: every number in them is
 * bounded before it is used, and nothing is written of an object that is not
 * whole and what it says.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <vmferry/digest.h>
#include <vmferry/direct.h>
#include <vmferry/object.h>

#include "engine_internal.h"
#include "receive_internal.h"

int
vmf_received_add(struct received_list *list, size_t image,
    const struct vmf_digest_line *line, struct vmf_error *err)
{
	struct received *items = list->items;
	size_t room = list->room == 0 ? 64 : list->room * 2;

	if (list->n == list->room) {
		items = realloc(items, room * sizeof(*items));
		if (items == NULL)
			return vmf_fail_errno(err, VMF_IO, "segment");
		list->items = items;
		list->room = room;
	}
	items[list->n].image = image;
	items[list->n].line = *line;
	list->n++;
	list->bytes += line->len;
	return 0;
}

/* One object as it lies in a segment. */
struct place {
	struct vmf_object obj;
	const uint8_t *body;
	const uint8_t *frame;
	const struct vmf_receive_image *image;
	struct vmf_digest_line line;
};

/* ---- what it says -------------------------------------------------------- */

/* Header and frame lie within the segment; *next is the first byte after. */
static int
parse(const uint8_t *bytes, size_t len, size_t off, struct place *p,
    size_t *next, struct vmf_error *err)
{
	struct vmf_object *obj = &p->obj;
	size_t head;

	if (len - off < VMF_OBJECT_FIXED)
		return vmf_fail(err, VMF_INTEGRITY, "it ends in an object");
	if (vmf_object_decode(bytes + off, obj, err) < 0)
		return -1;
	head = vmf_object_head_len(obj);
	if (len - off < head || len - off - head < obj->stored)
		return vmf_fail(err, VMF_INTEGRITY, "it ends in an object");
	if (vmf_object_check(obj, bytes + off, err) < 0)
		return -1;
	p->body = bytes + off + VMF_OBJECT_FIXED;
	p->frame = bytes + off + head;
	*next = off + head + (size_t)obj->stored;
	return 0;
}

static int
check_stranger(const struct vmf_receive *r, const struct vmf_object *obj,
    struct vmf_error *err)
{
	char id[2 * VMF_ID_LEN + 1];

	if (memcmp(obj->id, r->o.id, VMF_ID_LEN) != 0) {
		vmf_hex(obj->id, VMF_ID_LEN, id);
		return vmf_fail(err, VMF_INTEGRITY,
		    "holds an object of another transfer (%s)", id);
	}
	if (obj->generation != r->generation)
		return vmf_fail(err, VMF_INTEGRITY,
		    "holds an object of generation %" PRIu32
		    ", this one is %" PRIu32,
		    obj->generation, r->generation);
	if (obj->image >= r->nimages)
		return vmf_fail(err, VMF_INTEGRITY,
		    "holds an object of image %" PRIu32 ", there are %zu",
		    obj->image, r->nimages);
	if (obj->kind != VMF_DATA && obj->kind != VMF_ZERO &&
	    obj->kind != VMF_PATCH)
		return vmf_fail(err, VMF_INTEGRITY,
		    "holds an object of kind %d", (int)obj->kind);
	return 0;
}

/* Its place, which no other object of this generation has. */
static int
claim(struct vmf_receive *r, struct place *p, struct vmf_error *err)
{
	const struct vmf_object *obj = &p->obj;
	bool twice = false;
	int rc;

	p->image = &r->images[obj->image];
	p->line.off = obj->off;
	p->line.len = obj->len;
	p->line.kind = obj->kind == VMF_ZERO ? VMF_ZERO : VMF_DATA;
	memcpy(p->line.digest, obj->digest, VMF_SHA_LEN);
	pthread_mutex_lock(&r->touch);
	rc = vmf_chunks_touch(p->image->chunks, &p->line, &twice, err);
	pthread_mutex_unlock(&r->touch);
	if (rc == 0 && twice)
		rc = vmf_fail(err, VMF_INTEGRITY,
		    "it comes twice in generation %" PRIu32, r->generation);
	return rc;
}

static int
check_digest(const uint8_t *raw, const struct vmf_digest_line *line, bool *same,
    struct vmf_error *err)
{
	uint8_t digest[VMF_SHA_LEN];

	if (vmf_sha256(raw, (size_t)line->len, digest, err) < 0)
		return -1;
	*same = memcmp(digest, line->digest, VMF_SHA_LEN) == 0;
	return 0;
}

static int
decode(struct receive_worker *w, const struct place *p, uint8_t *raw,
    size_t len, struct vmf_error *err)
{
	size_t stored = (size_t)p->obj.stored;

	if (vmf_checksum(p->frame, stored) != p->obj.frame_sum)
		return vmf_fail(err, VMF_INTEGRITY, "its bytes are damaged");
	return vmf_decode(w->dec, p->frame, stored, raw, len, err);
}

/* ---- data and zeros ------------------------------------------------------ */

static int
apply_data(
    struct receive_worker *w, const struct place *p, struct vmf_error *err)
{
	size_t len = (size_t)p->line.len;
	bool same;

	if (decode(w, p, w->raw, len, err) < 0 ||
	    check_digest(w->raw, &p->line, &same, err) < 0)
		return -1;
	if (!same)
		return vmf_fail(
		    err, VMF_INTEGRITY, "its SHA-256 is another one");
	return vmf_sink_write(p->image->sink, w->raw, len, p->line.off, err);
}

static int
apply_zero(const struct place *p, struct vmf_error *err)
{
	const struct vmf_digest_line *line = &p->line;
	uint32_t chunk = p->image->geo.chunk;
	uint8_t digest[VMF_SHA_LEN];
	uint64_t off;

	/* On the wire there is no frame, and a short last chunk has an object
	 * of its own: its digest is another one. */
	if (p->obj.stored != 0 || (line->len > chunk && line->len % chunk != 0))
		return vmf_fail(err, VMF_INTEGRITY,
		    "a run of zeros that is not one of the wire");
	if (vmf_sha256_zeros(
		line->len < chunk ? (size_t)line->len : chunk, digest, err) < 0)
		return -1;
	if (memcmp(digest, line->digest, VMF_SHA_LEN) != 0)
		return vmf_fail(
		    err, VMF_INTEGRITY, "its SHA-256 is another one");
	if (!p->image->blank)
		return vmf_sink_zero(p->image->sink, line->len, line->off, err);
	/* Only what was written before must be zeroed. */
	for (off = line->off; off < line->off + line->len; off += chunk) {
		int kind =
		    vmf_chunks_get(p->image->chunks, off / chunk, NULL, err);

		if (kind < 0)
			return -1;
		if (kind == VMF_DATA &&
		    vmf_sink_zero(p->image->sink,
			line->len < chunk ? line->len : chunk, off, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- patches ------------------------------------------------------------- */

/* Number of ranges, and bytes in all; they are ascending and apart. */
static int
check_ranges(
    const struct place *p, uint32_t *n, size_t *total, struct vmf_error *err)
{
	uint32_t i, off, len, end = 0;

	*n = vmf_get_le32(p->body);
	*total = 0;
	if (*n == 0 || p->obj.body_len != 4 + (uint64_t)*n * 8)
		goto bad;
	for (i = 0; i < *n; i++) {
		off = vmf_get_le32(p->body + 4 + (size_t)i * 8);
		len = vmf_get_le32(p->body + 8 + (size_t)i * 8);
		if (off < end || len == 0 || off > p->line.len ||
		    len > p->line.len - off)
			goto bad;
		end = off + len;
		*total += len;
	}
	return 0;
bad:
	return vmf_fail(err, VMF_INTEGRITY, "its ranges make no sense");
}

/* For each range: from part into raw, or from raw to the sink. */
static int
each_range(const struct receive_worker *w, const struct place *p, uint32_t n,
    bool write, struct vmf_error *err)
{
	const uint8_t *from = w->part;
	uint32_t i, off, len;

	for (i = 0; i < n; i++) {
		off = vmf_get_le32(p->body + 4 + (size_t)i * 8);
		len = vmf_get_le32(p->body + 8 + (size_t)i * 8);
		if (!write)
			memcpy(w->raw + off, from, len);
		else if (vmf_sink_write(p->image->sink, w->raw + off, len,
			     p->line.off + off, err) < 0)
			return -1;
		from += len;
	}
	return 0;
}

/* *done: it was applied; else what is there is not what it is made for. */
static int
apply_patch(struct receive_worker *w, const struct place *p, bool *done,
    struct vmf_error *err)
{
	size_t len = (size_t)p->line.len, total;
	uint32_t n;
	int kind;

	if (check_ranges(p, &n, &total, err) < 0 ||
	    decode(w, p, w->part, total, err) < 0)
		return -1;
	kind = vmf_chunks_get(
	    p->image->chunks, p->line.off / p->image->geo.chunk, NULL, err);
	if (kind < 0)
		return -1;
	*done = false;
	if (kind == 0)
		return 0;
	if (vmf_sink_fetch(p->image->sink, w->raw, len, p->line.off, err) < 0)
		return -1;
	each_range(w, p, n, false, err);
	if (check_digest(w->raw, &p->line, done, err) < 0)
		return -1;
	return *done ? each_range(w, p, n, true, err) : 0;
}

/* Nothing that is known is touched before whoever believes in it was told. */
static int
announce(struct vmf_receive *r, const struct place *p, struct vmf_error *err)
{
	uint64_t chunk = p->image->geo.chunk, n = p->line.off / chunk;
	uint64_t end = n + vmf_chunk_count(p->line.len, (uint32_t)chunk);
	int kind = 0, rc = 0;

	for (; kind == 0 && n < end; n++)
		kind = vmf_chunks_get(p->image->chunks, n, NULL, err);
	if (kind <= 0)
		return kind;
	pthread_mutex_lock(&r->events);
	if (!r->rewriting && r->o.events.rewriting != NULL)
		rc = r->o.events.rewriting(r->o.events.ctx, err);
	r->rewriting = rc == 0;
	pthread_mutex_unlock(&r->events);
	return rc;
}

/* ---- all ----------------------------------------------------------------- */

static int
apply(struct vmf_receive *r, struct receive_worker *w, struct place *p,
    bool *done, struct vmf_error *err)
{
	*done = true;
	if (claim(r, p, err) < 0 || announce(r, p, err) < 0)
		return -1;
	switch (p->obj.kind) {
	case VMF_DATA:
		return apply_data(w, p, err);
	case VMF_ZERO:
		return apply_zero(p, err);
	default:
		return apply_patch(w, p, done, err);
	}
}

int
vmf_receive_apply(struct vmf_receive *r, struct receive_worker *w,
    const uint8_t *bytes, size_t len, struct received_list *list,
    struct received_list *again, struct vmf_error *err)
{
	size_t off, next = 0;
	struct place p;
	bool done;

	for (off = 0; off < len; off = next) {
		if (parse(bytes, len, off, &p, &next, err) < 0 ||
		    check_stranger(r, &p.obj, err) < 0)
			return vmf_wrap(err, "segment");
		if (apply(r, w, &p, &done, err) < 0)
			return vmf_wrap(err,
			    "disk %s, chunk at image offset %" PRIu64,
			    r->images[p.obj.image].name, p.obj.off);
		atomic_fetch_add(&r->stored, p.obj.stored);
		if (!done) {
			p.line.len = 0;
			if (vmf_received_add(again, p.obj.image, &p.line, err) <
			    0)
				return -1;
			continue;
		}
		if (vmf_chunks_set(p.image->chunks, &p.line, err) < 0 ||
		    vmf_received_add(list, p.obj.image, &p.line, err) < 0)
			return -1;
	}
	return 0;
}
