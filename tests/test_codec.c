/* test_codec.c - frames: their one shape, and all others refused */
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

#include <vmferry/codec.h>

#include "membuf.h"
#include "test.h"

static struct vmf_error err;

/* A frame of len bytes of raw at level; the caller frees it. */
static uint8_t *
encode(int level, const uint8_t *raw, size_t len, size_t *stored)
{
	struct vmf_encoder *enc = vmf_encoder_new(level, &err);
	uint8_t *frame = malloc(vmf_frame_bound(len));

	CU_ASSERT_PTR_NOT_NULL_FATAL(enc);
	CU_ASSERT_EQUAL_FATAL(
	    vmf_encode(enc, raw, len, frame, stored, &err), 0);
	vmf_encoder_free(enc);
	return frame;
}

static int
decode(const void *frame, size_t len, void *raw, size_t raw_len)
{
	struct vmf_decoder *dec = vmf_decoder_new(&err);
	int rc;

	CU_ASSERT_PTR_NOT_NULL_FATAL(dec);
	rc = vmf_decode(dec, frame, len, raw, raw_len, &err);
	vmf_decoder_free(dec);
	return rc;
}

static void
check_round_trip(int level, const uint8_t *raw, size_t len)
{
	uint8_t *back = malloc(len), *plain = malloc(len);
	size_t stored;
	uint8_t *frame = encode(level, raw, len, &stored);

	CU_ASSERT(stored <= vmf_frame_bound(len));
	CU_ASSERT_EQUAL(memcmp(frame, "\x28\xB5\x2F\xFD\x04", 5), 0);
	/* WD: the exponent in the upper five bits, at most 2^25 in all. */
	CU_ASSERT(frame[5] <= (25 - 10) << 3);
	CU_ASSERT_EQUAL(decode(frame, stored, back, len), 0);
	CU_ASSERT_EQUAL(memcmp(raw, back, len), 0);
	/* and anybody's zstd agrees */
	CU_ASSERT_EQUAL(ZSTD_decompress(plain, len, frame, stored), len);
	CU_ASSERT_EQUAL(memcmp(raw, plain, len), 0);
	free(frame);
	free(plain);
	free(back);
}

static void
every_level_and_size_comes_back(void)
{
	static const size_t sizes[] = {
	    1, 2, 511, 513, 5000, 65536, 131071, 131072, 131073, 300001};
	uint8_t *raw = malloc(300001);
	size_t i;
	int level;

	for (level = 0; level <= VMF_LEVEL_MAX; level++)
		for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			prose(raw, sizes[i], i);
			check_round_trip(level, raw, sizes[i]);
			noise(raw, sizes[i], i);
			check_round_trip(level, raw, sizes[i]);
		}
	free(raw);
}

static void
largest_chunk_comes_back(void)
{
	uint8_t *raw = malloc(VMF_CHUNK_MAX);

	noise(raw, VMF_CHUNK_MAX, 1);
	check_round_trip(0, raw, VMF_CHUNK_MAX);
	check_round_trip(1, raw, VMF_CHUNK_MAX);
	prose(raw, VMF_CHUNK_MAX, 1);
	check_round_trip(3, raw, VMF_CHUNK_MAX);
	free(raw);
}

static void
encoder_memory_is_no_less_than_used(void)
{
	static const size_t chunks[] = {
	    VMF_CHUNK_MIN, VMF_MIB, VMF_CHUNK_DEFAULT, VMF_CHUNK_MAX};
	ZSTD_compressionParameters cp;
	size_t i;
	int level;

	for (level = 1; level <= VMF_LEVEL_MAX; level++)
		for (i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
			cp = ZSTD_getCParams(level, chunks[i], 0);
			CU_ASSERT(ZSTD_estimateCCtxSize_usingCParams(cp) <=
				  vmf_encoder_memory(level));
		}
}

/* A frame as libzstd makes it with these flags. */
static size_t
foreign_frame(uint8_t *frame, size_t size, const uint8_t *raw, size_t len,
    int checksum, int content_size)
{
	ZSTD_CCtx *ctx = ZSTD_createCCtx();
	size_t n;

	ZSTD_CCtx_setParameter(ctx, ZSTD_c_checksumFlag, checksum);
	ZSTD_CCtx_setParameter(ctx, ZSTD_c_contentSizeFlag, content_size);
	n = ZSTD_compress2(ctx, frame, size, raw, len);
	ZSTD_freeCCtx(ctx);
	CU_ASSERT_FALSE_FATAL(ZSTD_isError(n));
	return n;
}

static void
other_shapes_are_refused(void)
{
	uint8_t raw[5000], back[5000], frame[8000];
	size_t n;

	prose(raw, sizeof(raw), 7);
	/* content size, and so single-segment */
	n = foreign_frame(frame, sizeof(frame), raw, sizeof(raw), 1, 1);
	CU_ASSERT_EQUAL(frame[4] & 0x20, 0x20);
	ASSERT_FAILS(decode(frame, n, back, sizeof(back)), VMF_INTEGRITY);
	/* no checksum */
	n = foreign_frame(frame, sizeof(frame), raw, sizeof(raw), 0, 0);
	ASSERT_FAILS(decode(frame, n, back, sizeof(back)), VMF_INTEGRITY);
	/* the one shape that is taken, then its window byte over the bound */
	n = foreign_frame(frame, sizeof(frame), raw, sizeof(raw), 1, 0);
	CU_ASSERT_EQUAL(decode(frame, n, back, sizeof(back)), 0);
	frame[5] = (25 - 10) << 3;
	CU_ASSERT_EQUAL(decode(frame, n, back, sizeof(back)), 0);
	frame[5] = (25 - 10) << 3 | 1;
	ASSERT_FAILS(decode(frame, n, back, sizeof(back)), VMF_INTEGRITY);
	frame[5] = (26 - 10) << 3;
	ASSERT_FAILS(decode(frame, n, back, sizeof(back)), VMF_INTEGRITY);
	frame[5] = (31 - 10) << 3;
	ASSERT_FAILS(decode(frame, n, back, sizeof(back)), VMF_INTEGRITY);
	/* a skippable frame, and nothing at all */
	memcpy(frame, "\x50\x2A\x4D\x18\x08\0\0\0vmferry!", 16);
	ASSERT_FAILS(decode(frame, 16, back, 0), VMF_INTEGRITY);
	ASSERT_FAILS(decode(frame, 0, back, 0), VMF_INTEGRITY);
}

static void
wrong_lengths_are_refused(void)
{
	uint8_t raw[5000], back[5001];
	size_t n, cut;
	uint8_t *frame, *two;

	prose(raw, sizeof(raw), 7);
	frame = encode(3, raw, sizeof(raw), &n);
	for (cut = 0; cut < n; cut++)
		ASSERT_FAILS(
		    decode(frame, cut, back, sizeof(raw)), VMF_INTEGRITY);
	ASSERT_FAILS(decode(frame, n, back, sizeof(raw) - 1), VMF_INTEGRITY);
	ASSERT_FAILS(decode(frame, n, back, sizeof(raw) + 1), VMF_INTEGRITY);
	/* two frames in one object, and a skippable one after it */
	two = malloc(2 * n);
	memcpy(two, frame, n);
	memcpy(two + n, frame, n);
	ASSERT_FAILS(decode(two, 2 * n, back, sizeof(raw)), VMF_INTEGRITY);
	memcpy(two + n, "\x50\x2A\x4D\x18\0\0\0\0", 8);
	ASSERT_FAILS(decode(two, n + 8, back, sizeof(raw)), VMF_INTEGRITY);
	free(two);
	free(frame);
}

static void
no_flip_decodes_to_other_bytes(void)
{
	/* Some are harmless, the window's for one; frame_sum covers those. */
	uint8_t raw[3000], back[3000];
	size_t n, bit;
	int level;

	prose(raw, sizeof(raw), 3);
	for (level = 0; level <= 3; level += 3) {
		uint8_t *frame = encode(level, raw, sizeof(raw), &n);

		for (bit = 0; bit < 8 * n; bit++) {
			frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
			CU_ASSERT(decode(frame, n, back, sizeof(raw)) < 0
				      ? err.class == VMF_INTEGRITY
				      : memcmp(raw, back, sizeof(raw)) == 0);
			frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		free(frame);
	}
}

/* The rule as vmferry-stream(5) words it, written down anew. */
static void
check_zero_frame(size_t len)
{
	size_t n = vmf_zero_frame_len(len), left = len, i = 6;
	uint8_t *frame = malloc(n), *back = calloc(1, len + 1);

	vmf_zero_frame(len, frame);
	CU_ASSERT_EQUAL(memcmp(frame, "\x28\xB5\x2F\xFD\x04\x38", 6), 0);
	do {
		size_t block = left < 131072 ? left : 131072;

		left -= block;
		CU_ASSERT_EQUAL(frame[i], (block << 3 | 2 | !left) & 0xff);
		CU_ASSERT_EQUAL(frame[i + 1], block >> 5 & 0xff);
		CU_ASSERT_EQUAL(frame[i + 2], block >> 13 & 0xff);
		CU_ASSERT_EQUAL(frame[i + 3], 0);
		i += 4;
	} while (left > 0);
	CU_ASSERT_EQUAL(
	    vmf_get_le32(frame + i), (uint32_t)vmf_checksum(back, len));
	CU_ASSERT_EQUAL(i + 4, n);
	memset(back, 0xff, len);
	CU_ASSERT_EQUAL(ZSTD_decompress(back, len, frame, n), len);
	CU_ASSERT(back[0] == 0 && memcmp(back, back + 1, len - 1) == 0);
	CU_ASSERT_EQUAL(decode(frame, n, back, len), 0);
	free(back);
	free(frame);
}

static void
zero_frames_are_what_the_rule_says(void)
{
	static const size_t lens[] = {1, 511, 512, 513, 5000, 65536, 131071,
	    131072, 131073, 262144, 300001, 4 << 20, 64 << 20};
	size_t i;

	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
		check_zero_frame(lens[i]);
}

static void
a_gigabyte_of_zeros_decodes_in_small_memory(void)
{
	size_t n = vmf_zero_frame_len(VMF_ZERO_RUN_MAX), room = 1 << 20;
	uint8_t *frame = malloc(n), *back = malloc(room);
	ZSTD_DCtx *ctx = ZSTD_createDCtx();
	ZSTD_inBuffer in = {frame, n, 0};
	uint64_t total = 0;
	size_t rc = 1;

	CU_ASSERT_EQUAL(n, VMF_ZERO_FRAME_MAX);
	vmf_zero_frame(VMF_ZERO_RUN_MAX, frame);
	CU_ASSERT_EQUAL(ZSTD_DCtx_setMaxWindowSize(ctx, 128 << 10), 0);
	while (rc != 0) {
		ZSTD_outBuffer out = {back, room, 0};

		rc = ZSTD_decompressStream(ctx, &out, &in);
		CU_ASSERT_FALSE_FATAL(ZSTD_isError(rc));
		CU_ASSERT(
		    out.pos == 0 ||
		    (back[0] == 0 && memcmp(back, back + 1, out.pos - 1) == 0));
		total += out.pos;
	}
	CU_ASSERT_EQUAL(total, VMF_ZERO_RUN_MAX);
	ZSTD_freeDCtx(ctx);
	free(back);
	free(frame);
}

static void
bombs_do_not_fit(void)
{
	size_t n = vmf_zero_frame_len(VMF_ZERO_RUN_MAX), len = VMF_CHUNK_MIN;
	uint8_t *frame = malloc(n), *back = malloc(len + 16);

	vmf_zero_frame(VMF_ZERO_RUN_MAX, frame);
	memset(back, 0xA5, len + 16);
	ASSERT_FAILS(decode(frame, n, back, len), VMF_INTEGRITY);
	CU_ASSERT_EQUAL(back[len], 0xA5);
	CU_ASSERT_EQUAL(memcmp(back + len, back + len + 1, 15), 0);
	free(back);
	free(frame);
}

void
suite_codec(void)
{
	static const struct test_case cases[] = {
	    {"every level and size comes back",
		every_level_and_size_comes_back},
	    {"the largest chunk comes back", largest_chunk_comes_back},
	    {"encoder memory is no less than used",
		encoder_memory_is_no_less_than_used},
	    {"other shapes are refused", other_shapes_are_refused},
	    {"wrong lengths are refused", wrong_lengths_are_refused},
	    {"no flip decodes to other bytes", no_flip_decodes_to_other_bytes},
	    {"zero frames are what the rule says",
		zero_frames_are_what_the_rule_says},
	    {"a GiB of zeros decodes in small memory",
		a_gigabyte_of_zeros_decodes_in_small_memory},
	    {"bombs do not fit", bombs_do_not_fit},
	};

	TEST_SUITE("codec", cases);
}
