/* writer.c - see vmferry/writer.h */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <vmferry/digest.h>
#include <vmferry/writer.h>

struct vmf_writer {
	struct vmf_carrier carrier;
	struct vmf_geometry geo;
	struct vmf_digests *list;
	struct vmf_root *root;
	struct vmf_totals totals;
	uint8_t id[VMF_ID_LEN];
	uint32_t image;
	uint64_t off;	  /* of the next object */
	uint64_t pending; /* zero bytes not yet sent, before off */
	uint8_t zero_digest[VMF_SHA_LEN]; /* of one whole chunk of zeros */
	uint8_t *zero_frame;
	uint64_t zero_frame_raw;      /* what zero_frame holds, in raw bytes */
	const struct vmf_extent *bad; /* totals.bad_count of them */
};

static int
out_put(void *ctx, const struct vmf_object *obj, const uint8_t *head,
    const uint8_t *frame, struct vmf_error *err)
{
	struct vmf_out *out = ctx;

	if (out->write(out->ctx, head, vmf_object_head_len(obj), err) < 0)
		return -1;
	if (obj->stored == 0)
		return 0;
	return out->write(out->ctx, frame, (size_t)obj->stored, err);
}

struct vmf_carrier
vmf_carrier_out(struct vmf_out *out)
{
	return (struct vmf_carrier){.put = out_put, .ctx = out};
}

static struct vmf_object
blank_object(const struct vmf_writer *w, enum vmf_kind kind, uint64_t off)
{
	struct vmf_object obj = {.kind = kind, .image = w->image, .off = off};

	memcpy(obj.id, w->id, VMF_ID_LEN);
	return obj;
}

/* START and END carry a body and no frame; head has room for both ends. */
static int
put_body(struct vmf_writer *w, enum vmf_kind kind, uint8_t *head, size_t len,
    struct vmf_error *err)
{
	struct vmf_object obj =
	    blank_object(w, kind, kind == VMF_START ? 0 : w->off);

	obj.body_len = (uint32_t)len;
	vmf_object_encode(&obj, head);
	return w->carrier.put(w->carrier.ctx, &obj, head, NULL, err);
}

static int
put_start(struct vmf_writer *w, struct vmf_error *err)
{
	uint8_t head[VMF_OBJECT_FIXED + VMF_START_BODY + VMF_OBJECT_SUM];

	vmf_start_encode(&w->geo, head + VMF_OBJECT_FIXED);
	return put_body(w, VMF_START, head, VMF_START_BODY, err);
}

static int
put_end(struct vmf_writer *w, struct vmf_error *err)
{
	size_t len = VMF_END_BODY + (size_t)w->totals.bad_count * 16;
	uint8_t *head = malloc(VMF_OBJECT_FIXED + len + VMF_OBJECT_SUM), *p;
	uint32_t i;
	int rc;

	if (head == NULL)
		return vmf_fail_errno(err, VMF_IO, "stream writer");
	vmf_end_encode(&w->totals, head + VMF_OBJECT_FIXED);
	p = head + VMF_OBJECT_FIXED + VMF_END_BODY;
	for (i = 0; i < w->totals.bad_count; i++, p += 16) {
		vmf_put_le64(p, w->bad[i].off);
		vmf_put_le64(p + 8, w->bad[i].len);
	}
	rc = put_body(w, VMF_END, head, len, err);
	free(head);
	return rc;
}

static int
put_object(struct vmf_writer *w, const struct vmf_object *obj,
    const uint8_t *frame, struct vmf_error *err)
{
	uint8_t head[VMF_OBJECT_FIXED + VMF_OBJECT_SUM];
	struct vmf_digest_line line = {
	    .off = obj->off, .len = obj->len, .kind = obj->kind};

	vmf_object_encode(obj, head);
	memcpy(line.digest, obj->digest, VMF_SHA_LEN);
	if (vmf_root_add(w->root, obj->digest,
		vmf_chunk_count(obj->len, w->geo.chunk), err) < 0 ||
	    (w->list != NULL && vmf_digests_add(w->list, &line, err) < 0))
		return -1;
	return w->carrier.put(w->carrier.ctx, obj, head, frame, err);
}

struct vmf_writer *
vmf_writer_new(struct vmf_carrier carrier, const uint8_t id[VMF_ID_LEN],
    uint32_t image, const struct vmf_geometry *geo, struct vmf_digests *list,
    struct vmf_error *err)
{
	struct vmf_writer *w = calloc(1, sizeof(*w));

	if (w == NULL)
		goto no_memory;
	w->carrier = carrier;
	w->geo = *geo;
	w->list = list;
	w->image = image;
	memcpy(w->id, id, VMF_ID_LEN);
	w->zero_frame = malloc(VMF_ZERO_FRAME_MAX);
	if (w->zero_frame == NULL)
		goto no_memory;
	w->root = vmf_root_new(err);
	if (w->root == NULL ||
	    vmf_sha256_zeros(geo->chunk, w->zero_digest, err) < 0)
		goto fail;
	if (put_start(w, err) < 0)
		goto fail;
	return w;
no_memory:
	vmf_fail_errno(err, VMF_IO, "stream writer");
fail:
	vmf_writer_free(w);
	return NULL;
}

/* One ZERO object of the run before w->off. */
static int
put_zero_piece(struct vmf_writer *w, uint64_t len, struct vmf_error *err)
{
	struct vmf_object obj = blank_object(w, VMF_ZERO, w->off - w->pending);

	if (w->zero_frame_raw != len) {
		vmf_zero_frame(len, w->zero_frame);
		w->zero_frame_raw = len;
	}
	obj.len = len;
	obj.stored = vmf_zero_frame_len(len);
	obj.frame_sum = vmf_checksum(w->zero_frame, (size_t)obj.stored);
	memcpy(obj.digest, w->zero_digest, VMF_SHA_LEN);
	/* The short last chunk has a digest of its own. */
	if (len < w->geo.chunk &&
	    vmf_sha256_zeros((size_t)len, obj.digest, err) < 0)
		return -1;
	w->totals.zero_chunks += vmf_chunk_count(len, w->geo.chunk);
	w->pending -= len;
	return put_object(w, &obj, w->zero_frame, err);
}

static int
flush_zeros(struct vmf_writer *w, uint64_t keep, struct vmf_error *err)
{
	while (w->pending > keep)
		if (put_zero_piece(
			w, vmf_zero_piece(w->pending, w->geo.chunk), err) < 0)
			return -1;
	return 0;
}

/* Only the last object of an image may end within a chunk. */
static int
check_next(const struct vmf_writer *w, uint64_t len, struct vmf_error *err)
{
	if (w->off % w->geo.chunk != 0 || len == 0 ||
	    (w->geo.size != VMF_SIZE_UNKNOWN && len > w->geo.size - w->off) ||
	    w->off + len > VMF_IMAGE_MAX)
		return vmf_fail(err, VMF_INTERNAL,
		    "stream writer: bad object at offset %" PRIu64, w->off);
	return 0;
}

int
vmf_writer_data(struct vmf_writer *w, uint32_t len,
    const uint8_t digest[VMF_SHA_LEN], const uint8_t *frame, size_t stored,
    uint64_t frame_sum, struct vmf_error *err)
{
	struct vmf_object obj = blank_object(w, VMF_DATA, w->off);

	if (check_next(w, len, err) < 0 || flush_zeros(w, 0, err) < 0)
		return -1;
	obj.len = len;
	obj.stored = stored;
	obj.frame_sum = frame_sum;
	memcpy(obj.digest, digest, VMF_SHA_LEN);
	w->off += len;
	w->totals.data_chunks++;
	w->totals.stored += stored;
	return put_object(w, &obj, frame, err);
}

int
vmf_writer_zero(struct vmf_writer *w, uint64_t len, struct vmf_error *err)
{
	if (check_next(w, len, err) < 0)
		return -1;
	w->off += len;
	w->pending += len;
	/* Full runs need not wait for what follows them. */
	return flush_zeros(w, VMF_ZERO_RUN_MAX - 1, err);
}

void
vmf_writer_set_flat(struct vmf_writer *w, const uint8_t flat[VMF_SHA_LEN])
{
	memcpy(w->totals.flat, flat, VMF_SHA_LEN);
}

void
vmf_writer_set_bad(
    struct vmf_writer *w, const struct vmf_extent *bad, uint32_t n)
{
	w->bad = bad;
	w->totals.bad_count = n;
}

int
vmf_writer_end(
    struct vmf_writer *w, struct vmf_totals *totals, struct vmf_error *err)
{
	if (flush_zeros(w, 0, err) < 0)
		return -1;
	if (w->geo.size != VMF_SIZE_UNKNOWN && w->geo.size != w->off)
		return vmf_fail(err, VMF_INTERNAL,
		    "stream writer: image ends at %" PRIu64
		    " instead of %" PRIu64,
		    w->off, w->geo.size);
	w->totals.size = w->off;
	if (vmf_root_final(w->root, w->totals.root, err) < 0)
		return -1;
	if (totals != NULL)
		*totals = w->totals;
	return put_end(w, err);
}

void
vmf_writer_free(struct vmf_writer *w)
{
	if (w == NULL)
		return;
	vmf_root_free(w->root);
	free(w->zero_frame);
	free(w);
}
