/* codec.c - see vmferry/codec.h */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* The state's layout, so that it can live on the stack. */
#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>
#include <zstd.h>

#include <vmferry/codec.h>

/* The window byte of 2^25: exponent - 10 in five bits, eighths in three. */
#define WINDOW_BYTE_MAX ((25 - 10) << 3)
#define BLOCK_MAX	((size_t)128 << 10)
#define BLOCK_RAW	0u
#define BLOCK_RLE	1u
#define FRAME_HEAD	6
#define BLOCK_HEAD	3
#define FRAME_TAIL	4

struct vmf_encoder {
	ZSTD_CCtx *ctx; /* NULL: store */
};

struct vmf_decoder {
	ZSTD_DCtx *ctx;
};

/* The six bytes every frame starts with; 17 <= window_log <= 25 here. */
static uint8_t *
put_frame_head(uint8_t *p, unsigned window_log)
{
	vmf_put_le32(p, ZSTD_MAGICNUMBER);
	p[4] = 0x04; /* content checksum, nothing else */
	p[5] = (uint8_t)((window_log - 10) << 3);
	return p + FRAME_HEAD;
}

static uint8_t *
put_block_head(uint8_t *p, unsigned last, unsigned type, size_t size)
{
	uint32_t head = (uint32_t)(size << 3) | type << 1 | last;

	p[0] = (uint8_t)head;
	p[1] = (uint8_t)(head >> 8);
	p[2] = (uint8_t)(head >> 16);
	return p + BLOCK_HEAD;
}

/* A frame needs one block at least, be it empty. */
static size_t
block_count(uint64_t raw_len)
{
	return raw_len == 0 ? 1 : (size_t)((raw_len - 1) / BLOCK_MAX + 1);
}

uint64_t
vmf_checksum(const void *buf, size_t len)
{
	return XXH64(buf, len, 0);
}

size_t
vmf_frame_bound(size_t raw_len)
{
	size_t stored = FRAME_HEAD + block_count(raw_len) * BLOCK_HEAD +
			raw_len + FRAME_TAIL;
	size_t packed = ZSTD_compressBound(raw_len);

	return stored > packed ? stored : packed;
}

static size_t
store(const uint8_t *raw, size_t raw_len, uint8_t *frame)
{
	uint8_t *p = put_frame_head(frame, 17);
	size_t off = 0, n;

	do {
		n = raw_len - off < BLOCK_MAX ? raw_len - off : BLOCK_MAX;
		p = put_block_head(p, off + n == raw_len, BLOCK_RAW, n);
		memcpy(p, raw + off, n);
		p += n;
		off += n;
	} while (off < raw_len);
	vmf_put_le32(p, (uint32_t)XXH64(raw, raw_len, 0));
	return (size_t)(p + FRAME_TAIL - frame);
}

struct parameter {
	ZSTD_cParameter name;
	int value;
};

static int
set_each(ZSTD_CCtx *ctx, const struct parameter *list, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (ZSTD_isError(ZSTD_CCtx_setParameter(
			ctx, list[i].name, list[i].value)))
			return -1;
	return 0;
}

static int
set_parameters(ZSTD_CCtx *ctx, int level)
{
	const struct parameter all[] = {
	    {ZSTD_c_compressionLevel, level},
	    {ZSTD_c_checksumFlag, 1},
	    /* Without a content size a frame is never single-segment. */
	    {ZSTD_c_contentSizeFlag, 0},
	    {ZSTD_c_dictIDFlag, 0},
	};
	/*
	 * The default level's own parameters are made for long streams.  On
	 * system disks in chunks of 4 MiB one table instead of two, with a
	 * window of the whole chunk, takes four fifths of the time for 1.5 %
	 * more bytes.
	 */
	const struct parameter quick[] = {
	    {ZSTD_c_strategy, ZSTD_fast},
	    {ZSTD_c_windowLog, 22},
	    {ZSTD_c_hashLog, 17},
	    {ZSTD_c_minMatch, 6},
	};

	if (set_each(ctx, all, sizeof(all) / sizeof(all[0])) < 0)
		return -1;
	if (level != VMF_LEVEL_DEFAULT)
		return 0;
	return set_each(ctx, quick, sizeof(quick) / sizeof(quick[0]));
}

struct vmf_encoder *
vmf_encoder_new(int level, struct vmf_error *err)
{
	struct vmf_encoder *enc = calloc(1, sizeof(*enc));

	if (enc == NULL)
		goto fail;
	if (level == 0)
		return enc;
	enc->ctx = ZSTD_createCCtx();
	if (enc->ctx == NULL || set_parameters(enc->ctx, level) < 0)
		goto fail;
	return enc;
fail:
	vmf_encoder_free(enc);
	vmf_fail(err, VMF_IO, "no memory for a compressor");
	return NULL;
}

int
vmf_encode(struct vmf_encoder *enc, const void *raw, size_t raw_len,
    void *frame, size_t *len, struct vmf_error *err)
{
	size_t n;

	if (enc->ctx == NULL) {
		*len = store(raw, raw_len, frame);
		return 0;
	}
	n = ZSTD_compress2(
	    enc->ctx, frame, vmf_frame_bound(raw_len), raw, raw_len);
	if (ZSTD_isError(n))
		return vmf_fail(err, VMF_IO, "zstd: %s", ZSTD_getErrorName(n));
	*len = n;
	return 0;
}

void
vmf_encoder_free(struct vmf_encoder *enc)
{
	if (enc == NULL)
		return;
	ZSTD_freeCCtx(enc->ctx);
	free(enc);
}

/*
 * From the tables of libzstd 1.5 for inputs above 256 KiB: 4 bytes for each
 * entry of the hash and chain tables, plus what the parser keeps.  A single
 * call needs no window of its own.
 */
size_t
vmf_encoder_memory(int level)
{
	if (level == 0)
		return 0;
	if (level <= 4)
		return 4 * VMF_MIB;
	if (level <= 8)
		return 16 * VMF_MIB;
	return level <= 18 ? 66 * VMF_MIB : 96 * VMF_MIB;
}

struct vmf_decoder *
vmf_decoder_new(struct vmf_error *err)
{
	struct vmf_decoder *dec = calloc(1, sizeof(*dec));

	if (dec != NULL)
		dec->ctx = ZSTD_createDCtx();
	if (dec == NULL || dec->ctx == NULL) {
		vmf_decoder_free(dec);
		vmf_fail(err, VMF_IO, "no memory for a decompressor");
		return NULL;
	}
	return dec;
}

static int
check_frame_head(const uint8_t *frame, size_t len, struct vmf_error *err)
{
	if (len < FRAME_HEAD + BLOCK_HEAD + FRAME_TAIL ||
	    vmf_get_le32(frame) != ZSTD_MAGICNUMBER || frame[4] != 0x04 ||
	    frame[5] > WINDOW_BYTE_MAX)
		return vmf_fail(
		    err, VMF_INTEGRITY, "a zstd frame of another shape");
	return 0;
}

int
vmf_decode(struct vmf_decoder *dec, const void *frame, size_t len, void *raw,
    size_t raw_len, struct vmf_error *err)
{
	size_t n;

	if (check_frame_head(frame, len, err) < 0)
		return -1;
	n = ZSTD_findFrameCompressedSize(frame, len);
	if (ZSTD_isError(n) || n != len)
		return vmf_fail(err, VMF_INTEGRITY,
		    "a zstd frame shorter or longer than its object says");
	n = ZSTD_decompressDCtx(dec->ctx, raw, raw_len, frame, len);
	if (ZSTD_isError(n))
		return vmf_fail(
		    err, VMF_INTEGRITY, "zstd: %s", ZSTD_getErrorName(n));
	if (n != raw_len)
		return vmf_fail(err, VMF_INTEGRITY,
		    "a zstd frame decodes to %zu bytes instead of %zu", n,
		    raw_len);
	return 0;
}

void
vmf_decoder_free(struct vmf_decoder *dec)
{
	if (dec == NULL)
		return;
	ZSTD_freeDCtx(dec->ctx);
	free(dec);
}

size_t
vmf_zero_frame_len(uint64_t raw_len)
{
	return FRAME_HEAD + block_count(raw_len) * (BLOCK_HEAD + 1) +
	       FRAME_TAIL;
}

static uint32_t
hash_zeros(uint64_t raw_len)
{
	static const uint8_t zeros[64 << 10];
	XXH64_state_t state;
	uint64_t n;

	XXH64_reset(&state, 0);
	for (; raw_len > 0; raw_len -= n) {
		n = raw_len < sizeof(zeros) ? raw_len : sizeof(zeros);
		XXH64_update(&state, zeros, (size_t)n);
	}
	return (uint32_t)XXH64_digest(&state);
}

/*
 * A gigabyte takes a tenth of a second, and a large sparse disk holds
 * thousands of them.  Runs are a power of two long (see object.h), so a
 * handful of results serves all.
 */
static uint32_t
checksum_of_zeros(uint64_t raw_len)
{
	static struct {
		uint64_t len;
		uint32_t sum;
	} known[32];
	static unsigned used;
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	uint32_t sum;
	unsigned i;

	pthread_mutex_lock(&mutex);
	for (i = 0; i < used; i++)
		if (known[i].len == raw_len)
			break;
	sum = i < used ? known[i].sum : 0;
	pthread_mutex_unlock(&mutex);
	if (i < used)
		return sum;
	sum = hash_zeros(raw_len);
	pthread_mutex_lock(&mutex);
	if (used < sizeof(known) / sizeof(known[0])) {
		known[used].len = raw_len;
		known[used++].sum = sum;
	}
	pthread_mutex_unlock(&mutex);
	return sum;
}

void
vmf_zero_frame(uint64_t raw_len, uint8_t *frame)
{
	uint8_t *p = put_frame_head(frame, 17);
	uint64_t off = 0, n;

	do {
		n = raw_len - off < BLOCK_MAX ? raw_len - off : BLOCK_MAX;
		p = put_block_head(p, off + n == raw_len, BLOCK_RLE, n);
		*p++ = 0;
		off += n;
	} while (off < raw_len);
	vmf_put_le32(p, checksum_of_zeros(raw_len));
}
