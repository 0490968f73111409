/* test_object.c - headers: what goes in comes out, and nothing else does */
#include <stdio.h>

#include <vmferry/object.h>

#include "membuf.h"
#include "test.h"

static struct vmf_error err;

#define HEAD_MAX (VMF_OBJECT_FIXED + VMF_END_BODY + VMF_OBJECT_SUM)

static const struct vmf_geometry geometry = {.size = 12345678,
    .chunk = 1 << 20,
    .format = VMF_RAW,
    .features = VMF_FEATURE_LIVE | VMF_FEATURE_SKIPPED,
    .virtual_size = 12345678,
    .sector = 4096};

/* One object of each kind, with its body, as a writer would make it. */
static struct vmf_object
sample(enum vmf_kind kind, uint8_t *head)
{
	struct vmf_object obj = {.kind = kind, .generation = 0, .image = 3};
	struct vmf_totals totals = {.size = 12345678, .data_chunks = 7};

	noise(obj.id, sizeof(obj.id), 1);
	switch (kind) {
	case VMF_START:
		obj.body_len = VMF_START_BODY;
		vmf_start_encode(&geometry, head + VMF_OBJECT_FIXED);
		break;
	case VMF_DATA:
	case VMF_PATCH:
		obj.off = 5 << 20;
		obj.len = 1 << 20;
		obj.stored = 777;
		obj.frame_sum = UINT64_C(0x0123456789abcdef);
		noise(obj.digest, sizeof(obj.digest), 2);
		if (kind == VMF_DATA)
			break;
		obj.body_len = 12;
		vmf_put_le32(head + VMF_OBJECT_FIXED, 1);
		vmf_put_le32(head + VMF_OBJECT_FIXED + 4, 512);
		vmf_put_le32(head + VMF_OBJECT_FIXED + 8, 4096);
		break;
	case VMF_ZERO:
		obj.off = 6 << 20;
		obj.len = 2 << 20;
		obj.stored = vmf_zero_frame_len(obj.len);
		obj.frame_sum = 1;
		noise(obj.digest, sizeof(obj.digest), 3);
		break;
	case VMF_END:
		obj.off = 12345678;
		obj.body_len = VMF_END_BODY;
		vmf_end_encode(&totals, head + VMF_OBJECT_FIXED);
		break;
	}
	vmf_object_encode(&obj, head);
	return obj;
}

static int
decode(const uint8_t *head, struct vmf_object *obj)
{
	if (vmf_object_decode(head, obj, &err) < 0)
		return -1;
	/* what lies beyond the sample would be read from a stream */
	if (vmf_object_head_len(obj) > HEAD_MAX)
		return vmf_fail(&err, VMF_INTEGRITY, "ends early");
	return vmf_object_check(obj, head, &err);
}

static void
every_kind_comes_back(void)
{
	struct vmf_object obj, back;
	uint8_t head[HEAD_MAX];
	int kind;

	for (kind = VMF_START; kind <= VMF_PATCH; kind++) {
		obj = sample(kind, head);
		CU_ASSERT_EQUAL(decode(head, &back), 0);
		CU_ASSERT_EQUAL(back.kind, obj.kind);
		CU_ASSERT_EQUAL(back.flags, 0);
		CU_ASSERT_EQUAL(memcmp(back.id, obj.id, VMF_ID_LEN), 0);
		CU_ASSERT_EQUAL(back.generation, obj.generation);
		CU_ASSERT_EQUAL(back.image, 3);
		CU_ASSERT_EQUAL(back.off, obj.off);
		CU_ASSERT_EQUAL(back.len, obj.len);
		CU_ASSERT_EQUAL(back.stored, obj.stored);
		CU_ASSERT_EQUAL(back.frame_sum, obj.frame_sum);
		CU_ASSERT_EQUAL(
		    memcmp(back.digest, obj.digest, VMF_SHA_LEN), 0);
		CU_ASSERT_EQUAL(back.body_len, obj.body_len);
	}
}

static void
every_flipped_bit_is_refused(void)
{
	struct vmf_object obj, back;
	uint8_t head[HEAD_MAX];
	size_t bit;
	int kind;

	for (kind = VMF_START; kind <= VMF_PATCH; kind++) {
		obj = sample(kind, head);
		for (bit = 0; bit < 8 * vmf_object_head_len(&obj); bit++) {
			head[bit / 8] ^= (uint8_t)(1 << bit % 8);
			ASSERT_FAILS(decode(head, &back), VMF_INTEGRITY);
			head[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
}

/* The fixed part as vmferry-stream(5) has it, field by field. */
static void
fields_stand_where_the_manual_says(void)
{
	uint8_t head[HEAD_MAX];
	struct vmf_object obj = sample(VMF_DATA, head);

	CU_ASSERT_EQUAL(memcmp(head, "\x56\x2A\x4D\x18", 4), 0);
	CU_ASSERT_EQUAL(vmf_get_le32(head + 4), 112);
	CU_ASSERT_EQUAL(memcmp(head + 8, "VMFO", 4), 0);
	CU_ASSERT_EQUAL(head[12], 1);
	CU_ASSERT_EQUAL(head[13], 2);
	CU_ASSERT_EQUAL(vmf_get_le16(head + 14), 0);
	CU_ASSERT_EQUAL(memcmp(head + 16, obj.id, 16), 0);
	CU_ASSERT_EQUAL(vmf_get_le32(head + 32), obj.generation);
	CU_ASSERT_EQUAL(vmf_get_le32(head + 36), 3);
	CU_ASSERT_EQUAL(vmf_get_le64(head + 40), 5 << 20);
	CU_ASSERT_EQUAL(vmf_get_le64(head + 48), 1 << 20);
	CU_ASSERT_EQUAL(vmf_get_le64(head + 56), 777);
	CU_ASSERT_EQUAL(vmf_get_le64(head + 64), obj.frame_sum);
	CU_ASSERT_EQUAL(memcmp(head + 72, obj.digest, 32), 0);
	CU_ASSERT_EQUAL(vmf_get_le32(head + 104), 0);
	CU_ASSERT_EQUAL(vmf_get_le32(head + 108), 0);
	CU_ASSERT_EQUAL(vmf_get_le64(head + 112), vmf_checksum(head, 112));
}

/* Change obj, encode it whole and sound, and have it refused. */
#define REFUSED_WITH(kind, change)                                             \
	do {                                                                   \
		obj = sample(kind, head);                                      \
		change;                                                        \
		vmf_object_encode(&obj, head);                                 \
		ASSERT_FAILS(                                                  \
		    vmf_object_decode(head, &back, &err), VMF_INTEGRITY);      \
	} while (0)

static void
bounds_are_exact(void)
{
	static uint8_t head[HEAD_MAX + VMF_BODY_MAX];
	struct vmf_object obj, back;

	REFUSED_WITH(VMF_START, obj.off = 1);
	REFUSED_WITH(VMF_START, obj.len = 1);
	REFUSED_WITH(VMF_START, obj.stored = 1);
	REFUSED_WITH(VMF_START, obj.frame_sum = 1);
	REFUSED_WITH(VMF_START, obj.digest[31] = 1);
	REFUSED_WITH(VMF_DATA, obj.len = 0);
	REFUSED_WITH(VMF_DATA, obj.len = VMF_CHUNK_MAX + 1);
	REFUSED_WITH(VMF_DATA, obj.stored = 0);
	REFUSED_WITH(VMF_DATA, obj.stored = vmf_frame_bound(1 << 20) + 1);
	REFUSED_WITH(VMF_DATA, obj.off = VMF_IMAGE_MAX + 1);
	REFUSED_WITH(VMF_DATA, obj.off = UINT64_MAX);
	REFUSED_WITH(VMF_DATA, obj.body_len = 1);
	REFUSED_WITH(VMF_ZERO, obj.body_len = 1);
	REFUSED_WITH(VMF_END, obj.body_len = VMF_BODY_MAX + 1);
	REFUSED_WITH(VMF_ZERO, obj.len = 0);
	REFUSED_WITH(VMF_ZERO, obj.len = 2 * VMF_GIB);
	REFUSED_WITH(VMF_ZERO, obj.stored--);
	REFUSED_WITH(VMF_ZERO, obj.stored = 0); /* but not its frame_sum */
	REFUSED_WITH(VMF_END, obj.len = 1);
	REFUSED_WITH(VMF_END, obj.stored = 1);
	REFUSED_WITH(VMF_END, obj.frame_sum = 1);
	REFUSED_WITH(VMF_END, obj.digest[0] = 1);
	REFUSED_WITH(VMF_PATCH, obj.len = 0);
	REFUSED_WITH(VMF_PATCH, obj.len = VMF_CHUNK_MAX + 1);
	REFUSED_WITH(VMF_PATCH, obj.stored = 0);
	REFUSED_WITH(VMF_PATCH, obj.body_len = 4);
	REFUSED_WITH(VMF_PATCH, obj.body_len = 16);
	/* at the bounds themselves */
	obj = sample(VMF_DATA, head);
	obj.len = VMF_CHUNK_MAX;
	obj.stored = vmf_frame_bound(VMF_CHUNK_MAX);
	obj.off = VMF_IMAGE_MAX;
	vmf_object_encode(&obj, head);
	CU_ASSERT_EQUAL(vmf_object_decode(head, &back, &err), 0);
	obj = sample(VMF_ZERO, head);
	obj.stored = obj.frame_sum = 0; /* as on the wire */
	vmf_object_encode(&obj, head);
	CU_ASSERT_EQUAL(decode(head, &back), 0);
}

static void
newer_things_are_called_newer(void)
{
	uint8_t head[HEAD_MAX], body[VMF_START_BODY];
	struct vmf_geometry geo = geometry, back_geo;
	struct vmf_object obj, back;

#define SAYS_NEWER()                                                           \
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "needs a newer vmf"))
	REFUSED_WITH(VMF_DATA, obj.kind = 6);
	SAYS_NEWER();
	REFUSED_WITH(VMF_DATA, obj.flags = 0x8000);
	SAYS_NEWER();
	sample(VMF_DATA, head);
	head[12] = 2;
	ASSERT_FAILS(vmf_object_decode(head, &back, &err), VMF_INTEGRITY);
	SAYS_NEWER();
	geo.features = UINT64_C(1) << 5;
	vmf_start_encode(&geo, body);
	ASSERT_FAILS(vmf_start_decode(body, sizeof(body), &back_geo, &err),
	    VMF_INTEGRITY);
	SAYS_NEWER();
	geo = geometry;
	geo.format = 3;
	vmf_start_encode(&geo, body);
	ASSERT_FAILS(vmf_start_decode(body, sizeof(body), &back_geo, &err),
	    VMF_INTEGRITY);
	SAYS_NEWER();
}

static void
geometry_comes_back(void)
{
	struct vmf_geometry geo = geometry, back;
	uint8_t body[VMF_START_BODY];

	geo.features |= VMF_FEATURE_DELTA;
	noise(geo.base_id, sizeof(geo.base_id), 4);
	noise(geo.base_root, sizeof(geo.base_root), 5);
	memset(&back, 0, sizeof(back));
	vmf_start_encode(&geo, body);
	CU_ASSERT_EQUAL(vmf_start_decode(body, sizeof(body), &back, &err), 0);
	CU_ASSERT_EQUAL(back.size, geo.size);
	CU_ASSERT_EQUAL(back.chunk, geo.chunk);
	CU_ASSERT_EQUAL(back.format, geo.format);
	CU_ASSERT_EQUAL(back.features, geo.features);
	CU_ASSERT_EQUAL(back.virtual_size, geo.virtual_size);
	CU_ASSERT_EQUAL(back.sector, geo.sector);
	CU_ASSERT_EQUAL(memcmp(back.base_id, geo.base_id, VMF_ID_LEN), 0);
	CU_ASSERT_EQUAL(memcmp(back.base_root, geo.base_root, VMF_SHA_LEN), 0);
	geo = geometry;
	geo.size = geo.virtual_size = VMF_SIZE_UNKNOWN;
	vmf_start_encode(&geo, body);
	CU_ASSERT_EQUAL(vmf_start_decode(body, sizeof(body), &back, &err), 0);
	CU_ASSERT_EQUAL(back.size, VMF_SIZE_UNKNOWN);
}

#define BAD_GEOMETRY(change)                                                   \
	do {                                                                   \
		geo = geometry;                                                \
		change;                                                        \
		vmf_start_encode(&geo, body);                                  \
		ASSERT_FAILS(                                                  \
		    vmf_start_decode(body, sizeof(body), &back, &err),         \
		    VMF_INTEGRITY);                                            \
	} while (0)

static void
impossible_geometry_is_refused(void)
{
	struct vmf_geometry geo, back;
	uint8_t body[VMF_START_BODY + 1];

	BAD_GEOMETRY(geo.size = VMF_IMAGE_MAX + 1);
	BAD_GEOMETRY(geo.virtual_size = VMF_IMAGE_MAX + 1);
	BAD_GEOMETRY(geo.chunk = 0);
	BAD_GEOMETRY(geo.chunk = VMF_CHUNK_MIN / 2);
	BAD_GEOMETRY(geo.chunk = VMF_CHUNK_MAX * 2);
	BAD_GEOMETRY(geo.chunk = 3 << 20);
	BAD_GEOMETRY(geo.format = 0);
	BAD_GEOMETRY(geo.sector = 1);
	BAD_GEOMETRY(geo.sector = 520);
	BAD_GEOMETRY(geo.sector = 131072);
	BAD_GEOMETRY(geo.base_id[15] = 1);
	BAD_GEOMETRY(geo.base_root[31] = 1);
	vmf_start_encode(&geometry, body);
	/* body is one byte larger than the macro's length */
	ASSERT_FAILS(vmf_start_decode(body, VMF_START_BODY - 1, &back, &err),
	    VMF_INTEGRITY);
	ASSERT_FAILS(vmf_start_decode(body, VMF_START_BODY + 1, &back, &err),
	    VMF_INTEGRITY);
	body[36] = 1; /* reserved */
	ASSERT_FAILS(
	    vmf_start_decode(body, VMF_START_BODY, &back, &err), VMF_INTEGRITY);
}

static void
totals_come_back(void)
{
	struct vmf_totals totals = {.size = 1, .data_chunks = 2}, back;
	uint8_t body[VMF_END_BODY + 32] = {0};

	totals.zero_chunks = 3;
	totals.stored = 4;
	noise(totals.root, sizeof(totals.root), 6);
	noise(totals.flat, sizeof(totals.flat), 7);
	vmf_end_encode(&totals, body);
	CU_ASSERT_EQUAL(vmf_end_decode(body, VMF_END_BODY, &back, &err), 0);
	CU_ASSERT_EQUAL(back.size, 1);
	CU_ASSERT_EQUAL(back.data_chunks, 2);
	CU_ASSERT_EQUAL(back.zero_chunks, 3);
	CU_ASSERT_EQUAL(back.stored, 4);
	CU_ASSERT_EQUAL(memcmp(back.root, totals.root, VMF_SHA_LEN), 0);
	CU_ASSERT_EQUAL(memcmp(back.flat, totals.flat, VMF_SHA_LEN), 0);
	totals.bad_count = 2;
	vmf_end_encode(&totals, body);
	CU_ASSERT_EQUAL(
	    vmf_end_decode(body, VMF_END_BODY + 32, &back, &err), 0);
	CU_ASSERT_EQUAL(back.bad_count, 2);
	ASSERT_FAILS(vmf_end_decode(body, VMF_END_BODY + 31, &back, &err),
	    VMF_INTEGRITY);
	ASSERT_FAILS(
	    vmf_end_decode(body, VMF_END_BODY, &back, &err), VMF_INTEGRITY);
	ASSERT_FAILS(
	    vmf_end_decode(body, VMF_END_BODY - 1, &back, &err), VMF_INTEGRITY);
	totals.bad_count = VMF_BAD_MAX + 1;
	vmf_end_encode(&totals, body);
	ASSERT_FAILS(vmf_end_decode(body, VMF_END_BODY + 16 * (VMF_BAD_MAX + 1),
			 &back, &err),
	    VMF_INTEGRITY);
	totals.bad_count = 0;
	totals.size = VMF_IMAGE_MAX + 1;
	vmf_end_encode(&totals, body);
	ASSERT_FAILS(
	    vmf_end_decode(body, VMF_END_BODY, &back, &err), VMF_INTEGRITY);
}

static void
zero_pieces_are_powers_of_two(void)
{
	uint32_t chunk;
	uint64_t left, piece;

	CU_ASSERT_EQUAL(vmf_zero_piece(1, 65536), 1);
	CU_ASSERT_EQUAL(vmf_zero_piece(65535, 65536), 65535);
	CU_ASSERT_EQUAL(vmf_zero_piece(65536, 65536), 65536);
	CU_ASSERT_EQUAL(vmf_zero_piece(65537, 65536), 65536);
	CU_ASSERT_EQUAL(vmf_zero_piece(3 << 20, 1 << 20), 2 << 20);
	CU_ASSERT_EQUAL(
	    vmf_zero_piece(VMF_ZERO_RUN_MAX - 1, 65536), VMF_ZERO_RUN_MAX / 2);
	CU_ASSERT_EQUAL(
	    vmf_zero_piece(UINT64_C(20) << 40, 65536), VMF_ZERO_RUN_MAX);
	for (chunk = VMF_CHUNK_MIN; chunk <= VMF_CHUNK_MAX; chunk *= 2)
		for (left = UINT64_C(0x123456789a); left > 0; left -= piece) {
			piece = vmf_zero_piece(left, chunk);
			CU_ASSERT_FATAL(piece > 0 && piece <= left);
			CU_ASSERT(piece < chunk ? piece == left
						: vmf_is_power_of_two(piece));
			CU_ASSERT(piece <= VMF_ZERO_RUN_MAX);
		}
}

void
suite_object(void)
{
	static const struct test_case cases[] = {
	    {"every kind comes back", every_kind_comes_back},
	    {"every flipped bit is refused", every_flipped_bit_is_refused},
	    {"fields stand where the manual says",
		fields_stand_where_the_manual_says},
	    {"bounds are exact", bounds_are_exact},
	    {"newer things are called newer", newer_things_are_called_newer},
	    {"geometry comes back", geometry_comes_back},
	    {"impossible geometry is refused", impossible_geometry_is_refused},
	    {"totals come back", totals_come_back},
	    {"zero pieces are powers of two", zero_pieces_are_powers_of_two},
	};

	TEST_SUITE("object", cases);
}
