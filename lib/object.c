/* object.c - see vmferry/object.h */
#include <inttypes.h>
#include <string.h>

#include <vmferry/object.h>

#define SKIPPABLE 0x184D2A56u
#define MAGIC	  0x4F464D56u /* "VMFO" */

/* Where each field stands; the byte table of vmferry-stream(5). */
enum {
	AT_SKIPPABLE = 0,
	AT_PAYLOAD = 4,
	AT_MAGIC = 8,
	AT_VERSION = 12,
	AT_KIND = 13,
	AT_FLAGS = 14,
	AT_ID = 16,
	AT_GENERATION = 32,
	AT_IMAGE = 36,
	AT_OFF = 40,
	AT_LEN = 48,
	AT_STORED = 56,
	AT_FRAME_SUM = 64,
	AT_DIGEST = 72,
	AT_BODY_LEN = 104,
	AT_RESERVED = 108,
};

/* Bytes before the payload, which a skippable frame does not count. */
#define SKIPPABLE_HEAD 8

static uint32_t
payload_len(const struct vmf_object *obj)
{
	return (uint32_t)(vmf_object_head_len(obj) - SKIPPABLE_HEAD);
}

void
vmf_object_encode(const struct vmf_object *obj, uint8_t *head)
{
	size_t summed = VMF_OBJECT_FIXED + obj->body_len;

	vmf_put_le32(head + AT_SKIPPABLE, SKIPPABLE);
	vmf_put_le32(head + AT_PAYLOAD, payload_len(obj));
	vmf_put_le32(head + AT_MAGIC, MAGIC);
	head[AT_VERSION] = VMF_FORMAT_VERSION;
	head[AT_KIND] = (uint8_t)obj->kind;
	vmf_put_le16(head + AT_FLAGS, obj->flags);
	memcpy(head + AT_ID, obj->id, VMF_ID_LEN);
	vmf_put_le32(head + AT_GENERATION, obj->generation);
	vmf_put_le32(head + AT_IMAGE, obj->image);
	vmf_put_le64(head + AT_OFF, obj->off);
	vmf_put_le64(head + AT_LEN, obj->len);
	vmf_put_le64(head + AT_STORED, obj->stored);
	vmf_put_le64(head + AT_FRAME_SUM, obj->frame_sum);
	memcpy(head + AT_DIGEST, obj->digest, VMF_SHA_LEN);
	vmf_put_le32(head + AT_BODY_LEN, obj->body_len);
	vmf_put_le32(head + AT_RESERVED, 0);
	vmf_put_le64(head + summed, vmf_checksum(head, summed));
}

static bool
all_zero(const uint8_t *p, size_t len)
{
	while (len > 0 && *p == 0) {
		p++;
		len--;
	}
	return len == 0;
}

/* START and END have a body, but no bytes of the image. */
static bool
carries_nothing(const struct vmf_object *obj)
{
	return obj->len == 0 && obj->stored == 0 && obj->frame_sum == 0 &&
	       all_zero(obj->digest, VMF_SHA_LEN);
}

static bool
carries_frame(const struct vmf_object *obj)
{
	return obj->len > 0 && obj->len <= VMF_CHUNK_MAX && obj->stored > 0 &&
	       obj->stored <= vmf_frame_bound((size_t)obj->len);
}

/* What an object of each kind may say; what is not said here must be 0. */
static int
check_shape(const struct vmf_object *obj, struct vmf_error *err)
{
	bool ok;

	switch (obj->kind) {
	case VMF_START:
		ok = obj->off == 0 && carries_nothing(obj);
		break;
	case VMF_DATA:
		ok = carries_frame(obj) && obj->body_len == 0;
		break;
	case VMF_ZERO:
		/* On the wire the frame is left out. */
		ok = obj->len > 0 && obj->len <= VMF_ZERO_RUN_MAX &&
		     obj->body_len == 0 &&
		     (obj->stored == vmf_zero_frame_len(obj->len) ||
			 (obj->stored == 0 && obj->frame_sum == 0));
		break;
	case VMF_END:
		ok = carries_nothing(obj);
		break;
	case VMF_PATCH:
		/* A count and at least one pair of offset and length. */
		ok = carries_frame(obj) && obj->body_len >= 12 &&
		     obj->body_len % 8 == 4;
		break;
	default:
		return vmf_fail(err, VMF_INTEGRITY,
		    "object of kind %d: needs a newer vmferry", (int)obj->kind);
	}
	if (!ok || obj->off > VMF_IMAGE_MAX || obj->len > VMF_IMAGE_MAX)
		return vmf_fail(err, VMF_INTEGRITY,
		    "object at offset %" PRIu64 ": impossible header",
		    obj->off);
	return 0;
}

int
vmf_object_decode(const uint8_t fixed[VMF_OBJECT_FIXED], struct vmf_object *obj,
    struct vmf_error *err)
{
	if (vmf_get_le32(fixed + AT_SKIPPABLE) != SKIPPABLE ||
	    vmf_get_le32(fixed + AT_MAGIC) != MAGIC)
		return vmf_fail(err, VMF_INTEGRITY, "not a vmferry object");
	if (fixed[AT_VERSION] != VMF_FORMAT_VERSION)
		return vmf_fail(err, VMF_INTEGRITY,
		    "format version %u: needs a newer vmferry",
		    fixed[AT_VERSION]);
	memset(obj, 0, sizeof(*obj));
	obj->kind = fixed[AT_KIND];
	obj->flags = vmf_get_le16(fixed + AT_FLAGS);
	memcpy(obj->id, fixed + AT_ID, VMF_ID_LEN);
	obj->generation = vmf_get_le32(fixed + AT_GENERATION);
	obj->image = vmf_get_le32(fixed + AT_IMAGE);
	obj->off = vmf_get_le64(fixed + AT_OFF);
	obj->len = vmf_get_le64(fixed + AT_LEN);
	obj->stored = vmf_get_le64(fixed + AT_STORED);
	obj->frame_sum = vmf_get_le64(fixed + AT_FRAME_SUM);
	memcpy(obj->digest, fixed + AT_DIGEST, VMF_SHA_LEN);
	obj->body_len = vmf_get_le32(fixed + AT_BODY_LEN);
	if (obj->body_len > VMF_BODY_MAX ||
	    vmf_get_le32(fixed + AT_PAYLOAD) != payload_len(obj) ||
	    vmf_get_le32(fixed + AT_RESERVED) != 0)
		return vmf_fail(err, VMF_INTEGRITY, "object header is damaged");
	if (obj->flags != 0)
		return vmf_fail(err, VMF_INTEGRITY,
		    "object flags 0x%x: needs a newer vmferry", obj->flags);
	return check_shape(obj, err);
}

int
vmf_object_check(
    const struct vmf_object *obj, const uint8_t *head, struct vmf_error *err)
{
	size_t summed = VMF_OBJECT_FIXED + obj->body_len;

	if (vmf_checksum(head, summed) != vmf_get_le64(head + summed))
		return vmf_fail(
		    err, VMF_INTEGRITY, "object header is damaged (checksum)");
	return 0;
}

void
vmf_start_encode(const struct vmf_geometry *geo, uint8_t *body)
{
	vmf_put_le64(body, geo->size);
	vmf_put_le32(body + 8, geo->chunk);
	vmf_put_le32(body + 12, geo->format);
	vmf_put_le64(body + 16, geo->features);
	vmf_put_le64(body + 24, geo->virtual_size);
	vmf_put_le32(body + 32, geo->sector);
	vmf_put_le32(body + 36, 0);
	memcpy(body + 40, geo->base_id, VMF_ID_LEN);
	memcpy(body + 56, geo->base_root, VMF_SHA_LEN);
}

int
vmf_start_decode(const uint8_t *body, size_t len, struct vmf_geometry *geo,
    struct vmf_error *err)
{
	if (len != VMF_START_BODY || vmf_get_le32(body + 36) != 0)
		return vmf_fail(
		    err, VMF_INTEGRITY, "START object is malformed");
	geo->size = vmf_get_le64(body);
	geo->chunk = vmf_get_le32(body + 8);
	geo->format = vmf_get_le32(body + 12);
	geo->features = vmf_get_le64(body + 16);
	geo->virtual_size = vmf_get_le64(body + 24);
	geo->sector = vmf_get_le32(body + 32);
	memcpy(geo->base_id, body + 40, VMF_ID_LEN);
	memcpy(geo->base_root, body + 56, VMF_SHA_LEN);
	if ((geo->features & ~VMF_FEATURES_KNOWN) != 0 ||
	    (geo->format != VMF_RAW && geo->format != VMF_QCOW2))
		return vmf_fail(err, VMF_INTEGRITY,
		    "unknown feature or format: needs a newer vmferry");
	if ((geo->size != VMF_SIZE_UNKNOWN && geo->size > VMF_IMAGE_MAX) ||
	    (geo->virtual_size != VMF_SIZE_UNKNOWN &&
		geo->virtual_size > VMF_IMAGE_MAX) ||
	    !vmf_is_power_of_two(geo->chunk) || geo->chunk < VMF_CHUNK_MIN ||
	    geo->chunk > VMF_CHUNK_MAX ||
	    (geo->sector != 0 &&
		(!vmf_is_power_of_two(geo->sector) || geo->sector < 512 ||
		    geo->sector > VMF_CHUNK_MIN)))
		return vmf_fail(
		    err, VMF_INTEGRITY, "START object: impossible geometry");
	if ((geo->features & VMF_FEATURE_DELTA) == 0 &&
	    !all_zero(body + 40, VMF_ID_LEN + VMF_SHA_LEN))
		return vmf_fail(err, VMF_INTEGRITY,
		    "START object: names a base but is no delta");
	return 0;
}

void
vmf_end_encode(const struct vmf_totals *totals, uint8_t *body)
{
	vmf_put_le64(body, totals->size);
	vmf_put_le64(body + 8, totals->data_chunks);
	vmf_put_le64(body + 16, totals->zero_chunks);
	vmf_put_le64(body + 24, totals->stored);
	memcpy(body + 32, totals->root, VMF_SHA_LEN);
	memcpy(body + 64, totals->flat, VMF_SHA_LEN);
	vmf_put_le32(body + 96, totals->bad_count);
	vmf_put_le32(body + 100, 0);
}

int
vmf_end_decode(const uint8_t *body, size_t len, struct vmf_totals *totals,
    struct vmf_error *err)
{
	if (len < VMF_END_BODY || vmf_get_le32(body + 100) != 0)
		goto bad;
	totals->size = vmf_get_le64(body);
	totals->data_chunks = vmf_get_le64(body + 8);
	totals->zero_chunks = vmf_get_le64(body + 16);
	totals->stored = vmf_get_le64(body + 24);
	memcpy(totals->root, body + 32, VMF_SHA_LEN);
	memcpy(totals->flat, body + 64, VMF_SHA_LEN);
	totals->bad_count = vmf_get_le32(body + 96);
	if (totals->size > VMF_IMAGE_MAX || totals->bad_count > VMF_BAD_MAX ||
	    len != VMF_END_BODY + (size_t)totals->bad_count * 16)
		goto bad;
	return 0;
bad:
	return vmf_fail(err, VMF_INTEGRITY, "END object is malformed");
}

uint64_t
vmf_zero_piece(uint64_t left, uint32_t chunk)
{
	uint64_t piece = VMF_ZERO_RUN_MAX;

	if (left < chunk)
		return left;
	while (piece > left)
		piece >>= 1;
	return piece;
}
