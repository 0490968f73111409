/* reader.c - see vmferry/reader.h */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <vmferry/digest.h>
#include <vmferry/digests.h>
#include <vmferry/reader.h>

struct vmf_reader {
	struct vmf_in in;
	struct vmf_geometry geo;
	struct vmf_root *root;
	struct vmf_totals seen; /* counted here */
	struct vmf_totals said; /* by END */
	uint8_t id[VMF_ID_LEN];
	uint32_t image;
	uint8_t *head;	     /* fixed part, body and checksum */
	uint8_t *zero_frame; /* as it must be, then as it came */
	uint8_t zero_digest[VMF_SHA_LEN];
	uint64_t off; /* of the next object */
	bool ended;
};

static int
read_exactly(struct vmf_reader *r, void *buf, size_t len, struct vmf_error *err)
{
	size_t got;

	if (r->in.read(r->in.ctx, buf, len, &got, err) < 0)
		return -1;
	if (got < len)
		return vmf_fail(err, VMF_INTEGRITY,
		    "ends early, at image offset %" PRIu64
		    "; its END is missing",
		    r->off);
	return 0;
}

static int
read_head(struct vmf_reader *r, struct vmf_object *obj, struct vmf_error *err)
{
	if (read_exactly(r, r->head, VMF_OBJECT_FIXED, err) < 0 ||
	    vmf_object_decode(r->head, obj, err) < 0 ||
	    read_exactly(r, r->head + VMF_OBJECT_FIXED,
		obj->body_len + VMF_OBJECT_SUM, err) < 0)
		return -1;
	return vmf_object_check(obj, r->head, err);
}

/*
 * Other things that people pipe in by mistake are told by their first bytes;
 * nothing is decided by them but the wording.
 */
static int
name_the_stranger(const uint8_t *b, size_t got, struct vmf_error *err)
{
	if (got == 0)
		return vmf_fail(
		    err, VMF_INTEGRITY, "is empty; its producer failed?");
	if (got >= 112 && memcmp(b, "vmferry", 8) == 0)
		return vmf_fail(err, VMF_INTEGRITY,
		    "is a package, not a stream; use vmf-unpack");
	if (got >= 4 && vmf_get_le32(b) == 0xFD2FB528u)
		return vmf_fail(err, VMF_INTEGRITY,
		    "is plain zstd, not a vmferry stream; "
		    "decompress it with zstd -dc");
	return vmf_fail(err, VMF_INTEGRITY, "is no vmferry stream");
}

static int
read_start(struct vmf_reader *r, struct vmf_error *err)
{
	struct vmf_object obj;
	size_t got;

	if (r->in.read(r->in.ctx, r->head, VMF_OBJECT_FIXED, &got, err) < 0)
		return -1;
	if (got < VMF_OBJECT_FIXED || vmf_get_le32(r->head) != 0x184D2A56u)
		return name_the_stranger(r->head, got, err);
	if (vmf_object_decode(r->head, &obj, err) < 0 ||
	    read_exactly(r, r->head + VMF_OBJECT_FIXED,
		obj.body_len + VMF_OBJECT_SUM, err) < 0 ||
	    vmf_object_check(&obj, r->head, err) < 0)
		return -1;
	if (obj.kind != VMF_START || obj.generation != 0)
		return vmf_fail(
		    err, VMF_INTEGRITY, "does not begin with START");
	memcpy(r->id, obj.id, VMF_ID_LEN);
	r->image = obj.image;
	return vmf_start_decode(
	    r->head + VMF_OBJECT_FIXED, obj.body_len, &r->geo, err);
}

struct vmf_reader *
vmf_reader_open(struct vmf_in in, struct vmf_error *err)
{
	struct vmf_reader *r = calloc(1, sizeof(*r));

	if (r == NULL)
		goto no_memory;
	r->in = in;
	r->head = malloc(VMF_OBJECT_FIXED + VMF_BODY_MAX + VMF_OBJECT_SUM);
	r->zero_frame = malloc(2 * VMF_ZERO_FRAME_MAX);
	if (r->head == NULL || r->zero_frame == NULL)
		goto no_memory;
	r->root = vmf_root_new(err);
	if (r->root == NULL || read_start(r, err) < 0)
		goto fail;
	if ((r->geo.features & VMF_FEATURE_DELTA) != 0) {
		vmf_fail(err, VMF_REFUSED,
		    "is a delta; give the whole chain to vmf-unpack");
		goto fail;
	}
	if (vmf_sha256_zeros(r->geo.chunk, r->zero_digest, err) < 0)
		goto fail;
	return r;
no_memory:
	vmf_fail_errno(err, VMF_IO, "stream reader");
fail:
	vmf_reader_free(r);
	return NULL;
}

const struct vmf_geometry *
vmf_reader_geometry(const struct vmf_reader *r)
{
	return &r->geo;
}

const uint8_t *
vmf_reader_id(const struct vmf_reader *r)
{
	return r->id;
}

uint32_t
vmf_reader_image(const struct vmf_reader *r)
{
	return r->image;
}

const struct vmf_totals *
vmf_reader_totals(const struct vmf_reader *r)
{
	return &r->said;
}

/* Position and length: contiguous, whole chunks, only the last one short. */
static int
check_place(const struct vmf_reader *r, const struct vmf_object *obj,
    struct vmf_error *err)
{
	uint64_t chunk = r->geo.chunk;
	uint64_t left = r->geo.size == VMF_SIZE_UNKNOWN ? VMF_IMAGE_MAX - r->off
							: r->geo.size - r->off;
	bool ok = obj->off == r->off && r->off % chunk == 0 &&
		  obj->len <= left && obj->body_len == 0;

	if (obj->kind == VMF_DATA && obj->len != chunk)
		ok = ok && obj->len < chunk &&
		     (r->geo.size == VMF_SIZE_UNKNOWN || obj->len == left);
	if (obj->kind == VMF_ZERO)
		ok = ok && vmf_zero_piece(obj->len, r->geo.chunk) == obj->len &&
		     (obj->len >= chunk || r->geo.size == VMF_SIZE_UNKNOWN ||
			 obj->len == left);
	if (!ok)
		return vmf_fail(err, VMF_INTEGRITY,
		    "object at offset %" PRIu64 " where %" PRIu64
		    " comes next, or of a wrong length",
		    obj->off, r->off);
	return 0;
}

/* A ZERO's frame and digest follow from its length. */
static int
read_zero(
    struct vmf_reader *r, const struct vmf_object *obj, struct vmf_error *err)
{
	uint8_t *came = r->zero_frame + VMF_ZERO_FRAME_MAX;
	uint8_t digest[VMF_SHA_LEN];

	if (obj->stored != vmf_zero_frame_len(obj->len))
		return vmf_fail(err, VMF_INTEGRITY,
		    "zero object at offset %" PRIu64 " has no frame", obj->off);
	if (read_exactly(r, came, (size_t)obj->stored, err) < 0)
		return -1;
	vmf_zero_frame(obj->len, r->zero_frame);
	memcpy(digest, r->zero_digest, VMF_SHA_LEN);
	if (obj->len < r->geo.chunk &&
	    vmf_sha256_zeros((size_t)obj->len, digest, err) < 0)
		return -1;
	if (memcmp(came, r->zero_frame, (size_t)obj->stored) != 0 ||
	    obj->frame_sum != vmf_checksum(came, (size_t)obj->stored) ||
	    memcmp(digest, obj->digest, VMF_SHA_LEN) != 0)
		return vmf_fail(err, VMF_INTEGRITY,
		    "zero object at offset %" PRIu64 " is damaged", obj->off);
	r->seen.zero_chunks += vmf_chunk_count(obj->len, r->geo.chunk);
	return 0;
}

/* What no feature announced must not be there. */
static bool
has_unannounced(const struct vmf_reader *r)
{
	static const uint8_t none[VMF_SHA_LEN];

	return ((r->geo.features & VMF_FEATURE_FLAT) == 0 &&
		   memcmp(r->said.flat, none, VMF_SHA_LEN) != 0) ||
	       ((r->geo.features & VMF_FEATURE_RESCUE) == 0 &&
		   r->said.bad_count != 0);
}

void
vmf_reader_bad(
    const struct vmf_reader *r, uint32_t i, uint64_t *off, uint64_t *len)
{
	const uint8_t *p = r->head + VMF_OBJECT_FIXED + VMF_END_BODY;

	*off = vmf_get_le64(p + (size_t)i * 16);
	*len = vmf_get_le64(p + (size_t)i * 16 + 8);
}

/* Ascending, apart, and within the image. */
static bool
bad_extents_fit(const struct vmf_reader *r)
{
	uint64_t off, len, end = 0;
	uint32_t i;

	for (i = 0; i < r->said.bad_count; i++) {
		vmf_reader_bad(r, i, &off, &len);
		if (off < end || len == 0 || off > r->off || len > r->off - off)
			return false;
		end = off + len;
	}
	return true;
}

static int
check_end(
    struct vmf_reader *r, const struct vmf_object *obj, struct vmf_error *err)
{
	uint8_t more;
	size_t got;

	if (vmf_end_decode(
		r->head + VMF_OBJECT_FIXED, obj->body_len, &r->said, err) < 0 ||
	    vmf_root_final(r->root, r->seen.root, err) < 0)
		return -1;
	if (obj->off != r->off || r->said.size != r->off ||
	    (r->geo.size != VMF_SIZE_UNKNOWN && r->geo.size != r->off) ||
	    r->said.data_chunks != r->seen.data_chunks ||
	    r->said.zero_chunks != r->seen.zero_chunks ||
	    r->said.stored != r->seen.stored || has_unannounced(r) ||
	    !bad_extents_fit(r) ||
	    memcmp(r->said.root, r->seen.root, VMF_SHA_LEN) != 0)
		return vmf_fail(err, VMF_INTEGRITY,
		    "END does not agree with what came before it");
	if (r->in.read(r->in.ctx, &more, 1, &got, err) < 0)
		return -1;
	if (got != 0)
		return vmf_fail(
		    err, VMF_INTEGRITY, "more bytes follow its END");
	r->ended = true;
	return 0;
}

int
vmf_reader_next(struct vmf_reader *r, struct vmf_object *obj, uint8_t *frame,
    struct vmf_error *err)
{
	if (r->ended)
		return 0;
	if (read_head(r, obj, err) < 0)
		return -1;
	if (memcmp(obj->id, r->id, VMF_ID_LEN) != 0 || obj->image != r->image ||
	    obj->generation != 0)
		return vmf_fail(
		    err, VMF_INTEGRITY, "an object of another stream");
	if (obj->kind == VMF_END)
		return check_end(r, obj, err);
	if (obj->kind != VMF_DATA && obj->kind != VMF_ZERO)
		return vmf_fail(err, VMF_INTEGRITY,
		    "an object of kind %d in the middle", (int)obj->kind);
	if (check_place(r, obj, err) < 0)
		return -1;
	if (obj->kind == VMF_ZERO) {
		if (read_zero(r, obj, err) < 0)
			return -1;
	} else {
		if (read_exactly(r, frame, (size_t)obj->stored, err) < 0)
			return -1;
		r->seen.data_chunks++;
		r->seen.stored += obj->stored;
	}
	r->off += obj->len;
	if (vmf_root_add(r->root, obj->digest,
		vmf_chunk_count(obj->len, r->geo.chunk), err) < 0)
		return -1;
	return 1;
}

void
vmf_reader_free(struct vmf_reader *r)
{
	if (r == NULL)
		return;
	vmf_root_free(r->root);
	free(r->zero_frame);
	free(r->head);
	free(r);
}
