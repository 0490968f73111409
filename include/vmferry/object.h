/*
 * object.h - the unit of every stream, package and transfer
 *
 * An object is a zstd skippable frame, whose payload is the header below,
 * followed by stored bytes of one ordinary zstd frame (codec.h) where the
 * kind carries data.  So `zstd -dc` of any row of objects yields the image.
 * The byte table is in vmferry-stream(5); all fields are little-endian.
 *
 * All functions are pure and may be called from any thread.
 */
#ifndef VMFERRY_OBJECT_H
#define VMFERRY_OBJECT_H

#include <stddef.h>
#include <stdint.h>

#include <vmferry/codec.h>
#include <vmferry/error.h>
#include <vmferry/units.h>

#define VMF_FORMAT_VERSION 1

enum vmf_kind {
	VMF_START = 1, /* geometry; first in every image */
	VMF_DATA = 2,  /* one chunk */
	VMF_ZERO = 3,  /* a run of zero chunks */
	VMF_END = 4,   /* counts and root; last in every image */
	VMF_PATCH = 5, /* parts of one chunk; on the wire only */
};

#define VMF_OBJECT_FIXED 112 /* bytes up to the body */
#define VMF_OBJECT_SUM	 8   /* checksum after the body */
#define VMF_BODY_MAX	 ((size_t)2 << 20)

struct vmf_object {
	enum vmf_kind kind;
	uint16_t flags; /* none defined in version 1 */
	uint8_t id[VMF_ID_LEN];
	uint32_t generation;	     /* 0 but for passes of a warm move */
	uint32_t image;		     /* number of the image in its package */
	uint64_t off;		     /* in the raw image */
	uint64_t len;		     /* raw bytes */
	uint64_t stored;	     /* bytes of the zstd frame that follows */
	uint64_t frame_sum;	     /* vmf_checksum() of them, 0 for none */
	uint8_t digest[VMF_SHA_LEN]; /* SHA-256; ZERO: of each of its chunks */
	uint32_t body_len;	     /* bytes of the body inside the header */
};

/* Header with its body: bytes in all. */
static inline size_t
vmf_object_head_len(const struct vmf_object *obj)
{
	return VMF_OBJECT_FIXED + obj->body_len + VMF_OBJECT_SUM;
}

/*
 * Encode the header; head holds vmf_object_head_len() bytes and the body
 * already stands at head + VMF_OBJECT_FIXED.
 */
void vmf_object_encode(const struct vmf_object *obj, uint8_t *head);

/*
 * Decode in two steps, as the body's length is in the fixed part.  The first
 * bounds every number; only the second, over all bytes, makes them true.
 * Damage is VMF_INTEGRITY, a newer version or unknown kind or flag too, with
 * a message that says so.
 */
int vmf_object_decode(const uint8_t fixed[VMF_OBJECT_FIXED],
    struct vmf_object *obj, struct vmf_error *err);
int vmf_object_check(
    const struct vmf_object *obj, const uint8_t *head, struct vmf_error *err);

/* Body of START: what the image is. */
#define VMF_SIZE_UNKNOWN UINT64_MAX
#define VMF_IMAGE_MAX	 (UINT64_C(1) << 60) /* bytes of an image */

enum vmf_format {
	VMF_RAW = 1,
	VMF_QCOW2 = 2, /* the bytes of a qcow2 file, as a file */
};

/* Features; a reader refuses a bit it does not know. */
#define VMF_FEATURE_DELTA   (UINT64_C(1) << 0) /* only what base lacks */
#define VMF_FEATURE_LIVE    (UINT64_C(1) << 1) /* source was in use */
#define VMF_FEATURE_SKIPPED (UINT64_C(1) << 2) /* free extents as zeros */
#define VMF_FEATURE_RESCUE  (UINT64_C(1) << 3) /* may hold bad extents */
#define VMF_FEATURE_FLAT    (UINT64_C(1) << 4) /* END has a flat digest */
/* What this version honours. */
#define VMF_FEATURES_KNOWN                                                     \
	(VMF_FEATURE_DELTA | VMF_FEATURE_LIVE | VMF_FEATURE_SKIPPED |          \
	    VMF_FEATURE_RESCUE | VMF_FEATURE_FLAT)

struct vmf_geometry {
	uint64_t size;		     /* bytes, or VMF_SIZE_UNKNOWN */
	uint32_t chunk;		     /* a power of two, 64 KiB to 32 MiB */
	uint32_t format;	     /* enum vmf_format */
	uint64_t features;	     /* VMF_FEATURE_* */
	uint64_t virtual_size;	     /* guest-visible; size when raw */
	uint32_t sector;	     /* logical sector size, 0 when unknown */
	uint8_t base_id[VMF_ID_LEN]; /* of a delta, else zeros */
	uint8_t base_root[VMF_SHA_LEN]; /* likewise */
};
#define VMF_START_BODY 88
void vmf_start_encode(const struct vmf_geometry *geo, uint8_t *body);
int vmf_start_decode(const uint8_t *body, size_t len, struct vmf_geometry *geo,
    struct vmf_error *err);

/* Body of END: what the image was, to be compared with what was read. */
struct vmf_totals {
	uint64_t size;		   /* bytes of the image */
	uint64_t data_chunks;	   /* chunks that were DATA */
	uint64_t zero_chunks;	   /* chunks within ZERO */
	uint64_t stored;	   /* bytes of the frames of DATA */
	uint8_t root[VMF_SHA_LEN]; /* see root.h */
	uint8_t flat[VMF_SHA_LEN]; /* of the raw image, with FEATURE_FLAT */
	uint32_t bad_count;	   /* unreadable extents, with RESCUE */
};
#define VMF_END_BODY 104
#define VMF_BAD_MAX  65536 /* extents of 16 bytes (offset, length) after it */
void vmf_end_encode(const struct vmf_totals *totals, uint8_t *body);
int vmf_end_decode(const uint8_t *body, size_t len, struct vmf_totals *totals,
    struct vmf_error *err);

/*
 * The length of the ZERO object that starts a run of left zero bytes: the
 * largest power of two of chunks that fits, at most VMF_ZERO_RUN_MAX; what is
 * shorter than a chunk stands alone.
 */
uint64_t vmf_zero_piece(uint64_t left, uint32_t chunk);

#endif
