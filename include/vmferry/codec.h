/*
 * codec.h - the zstd frames (RFC 8878) that objects carry
 *
 * Every frame is an ordinary zstd frame of one fixed shape: no dictionary, no
 * frame content size, never single-segment, with a content checksum, and a
 * window of at most 2^25.  So its header is six bytes, 28 B5 2F FD 04 WD, and
 * a decoder can refuse anything else before it allocates.
 *
 * A frame of zeros is not compressed but written down: blocks of type RLE of
 * 128 KiB each (the last may be shorter), value 0.  Its bytes depend on its
 * length alone, so a reader compares them instead of decoding them.
 *
 * Thread rule: an encoder or decoder belongs to one thread at a time; the
 * zero frames may be asked for from any thread.
 */
#ifndef VMFERRY_CODEC_H
#define VMFERRY_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include <vmferry/error.h>
#include <vmferry/units.h>

#define VMF_CHUNK_MIN	   (64 * VMF_KIB)
#define VMF_CHUNK_MAX	   (32 * VMF_MIB)
#define VMF_CHUNK_DEFAULT  (4 * VMF_MIB)
#define VMF_ZERO_RUN_MAX   VMF_GIB /* raw bytes of one frame of zeros */
#define VMF_LEVEL_MAX	   19
#define VMF_LEVEL_DEFAULT  3
#define VMF_ZERO_FRAME_MAX (6 + 4 * (VMF_ZERO_RUN_MAX / (128 * VMF_KIB)) + 4)

/* The largest frame that raw_len bytes of data can make. */
size_t vmf_frame_bound(size_t raw_len);

/* level 0 stores, 1 to VMF_LEVEL_MAX compress. */
struct vmf_encoder;
struct vmf_encoder *vmf_encoder_new(int level, struct vmf_error *err);
/* frame holds vmf_frame_bound(raw_len) bytes; *len is what was used. */
int vmf_encode(struct vmf_encoder *enc, const void *raw, size_t raw_len,
    void *frame, size_t *len, struct vmf_error *err);
void vmf_encoder_free(struct vmf_encoder *enc);
/* Bytes of memory that one encoder needs at most. */
size_t vmf_encoder_memory(int level);

/*
 * Decode exactly one frame of len bytes into exactly raw_len bytes; anything
 * else - another shape, more frames, fewer or more bytes - is VMF_INTEGRITY.
 */
struct vmf_decoder;
struct vmf_decoder *vmf_decoder_new(struct vmf_error *err);
int vmf_decode(struct vmf_decoder *dec, const void *frame, size_t len,
    void *raw, size_t raw_len, struct vmf_error *err);
void vmf_decoder_free(struct vmf_decoder *dec);

/* Length and bytes of the frame of raw_len zeros (at most VMF_GIB). */
size_t vmf_zero_frame_len(uint64_t raw_len);
void vmf_zero_frame(uint64_t raw_len, uint8_t *frame);

/* XXH64 with seed 0, the checksum of objects' headers and frames. */
uint64_t vmf_checksum(const void *buf, size_t len);

#endif
