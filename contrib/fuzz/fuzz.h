/*
 * fuzz.h - what the fuzz targets share
 *
 * Each target is one file: LLVMFuzzerTestOneInput() takes bytes as they might
 * come from a hostile file.  Checksums would stop a fuzzer at the first of
 * them, so the first byte of an input says which ones are made right before it
 * is read; the others stay as they are.
 */
#ifndef VMFERRY_FUZZ_H
#define VMFERRY_FUZZ_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <vmferry/io.h>
#include <vmferry/object.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bytes {
	const uint8_t *p;
	size_t len, pos;
};

static inline int
bytes_read(void *ctx, void *buf, size_t len, size_t *got, struct vmf_error *err)
{
	struct bytes *b = ctx;

	(void)err;
	*got = len < b->len - b->pos ? len : b->len - b->pos;
	if (*got > 0)
		memcpy(buf, b->p + b->pos, *got);
	b->pos += *got;
	return 0;
}

/* Make the checksums of all objects in a row right, as far as they go. */
static inline void
reseal_objects(uint8_t *p, size_t len)
{
	struct vmf_object obj;
	size_t head, stored;

	while (
	    len >= VMF_OBJECT_FIXED && vmf_object_decode(p, &obj, NULL) == 0) {
		head = vmf_object_head_len(&obj);
		if (head > len || obj.stored > len - head)
			return;
		stored = (size_t)obj.stored;
		if (stored > 0)
			obj.frame_sum = vmf_checksum(p + head, stored);
		vmf_object_encode(&obj, p);
		p += head + stored;
		len -= head + stored;
	}
}

#endif
