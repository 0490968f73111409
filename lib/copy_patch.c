/*
 * copy_patch.c - which blocks of a chunk have changed
 *
 * Of each block of 4 KiB the XXH64 is kept as it was when the chunk was last
 * sent.  That it is no cryptographic sum does no harm: it only chooses what
 * goes into a PATCH, whose result has the chunk's SHA-256 - where a block was
 * missed, the far end notices and has the whole chunk.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vmferry/io.h>

#include "copy_internal.h"

#define SUM_LEN 8

struct vmf_sums {
	int fd;	       /* scratch: SUM_LEN bytes for each block */
	uint8_t *have; /* one for each chunk */
	size_t blocks; /* of a chunk */
};

struct vmf_sums *
vmf_sums_new(
    const struct vmf_geometry *geo, const char *scratch, struct vmf_error *err)
{
	struct vmf_sums *sums = calloc(1, sizeof(*sums));

	if (sums == NULL) {
		vmf_fail_errno(err, VMF_IO, "sums");
		return NULL;
	}
	sums->blocks = geo->chunk / VMF_PATCH_BLOCK;
	sums->fd = vmf_scratch_open(scratch, err);
	sums->have = calloc(vmf_chunk_count(geo->size, geo->chunk) + 1, 1);
	if (sums->fd >= 0 && sums->have != NULL)
		return sums;
	if (sums->have == NULL)
		vmf_fail_errno(err, VMF_IO, "sums");
	vmf_sums_free(sums);
	return NULL;
}

void
vmf_sums_free(struct vmf_sums *sums)
{
	if (sums == NULL)
		return;
	if (sums->fd >= 0)
		close(sums->fd);
	free(sums->have);
	free(sums);
}

/* As they will stand in the scratch file. */
static size_t
sum_blocks(const uint8_t *raw, size_t len, uint8_t *out)
{
	size_t off, n = 0, part;

	for (off = 0; off < len; off += part, n++) {
		part =
		    len - off < VMF_PATCH_BLOCK ? len - off : VMF_PATCH_BLOCK;
		vmf_put_le64(out + n * SUM_LEN, vmf_checksum(raw + off, part));
	}
	return n;
}

/* Ranges of blocks whose sums differ, into body; their bytes in all. */
static size_t
find_ranges(const uint8_t *was, const uint8_t *is, size_t n, size_t len,
    uint8_t *body, uint32_t *count)
{
	size_t i, k, off, total = 0, part;

	*count = 0;
	for (i = 0; i < n; i = k + 1) {
		for (k = i; k < n && memcmp(was + k * SUM_LEN, is + k * SUM_LEN,
					 SUM_LEN) != 0;
		     k++)
			;
		if (k == i)
			continue;
		off = i * VMF_PATCH_BLOCK;
		part = k * VMF_PATCH_BLOCK < len ? k * VMF_PATCH_BLOCK - off
						 : len - off;
		vmf_put_le32(body + 4 + *count * 8, (uint32_t)off);
		vmf_put_le32(body + 8 + *count * 8, (uint32_t)part);
		(*count)++;
		total += part;
	}
	vmf_put_le32(body, *count);
	return total;
}

/* Their bytes to the front: ascending, so nothing is overwritten too early. */
static void
gather(uint8_t *raw, const uint8_t *body, uint32_t count)
{
	uint32_t i, off, len;
	size_t to = 0;

	for (i = 0; i < count; i++) {
		off = vmf_get_le32(body + 4 + (size_t)i * 8);
		len = vmf_get_le32(body + 8 + (size_t)i * 8);
		memmove(raw + to, raw + off, len);
		to += len;
	}
}

int
vmf_sums_patch(struct vmf_sums *sums, uint64_t n, uint8_t *raw, size_t len,
    bool old, uint8_t **body, uint32_t *body_len, size_t *total,
    struct vmf_error *err)
{
	size_t room = sums->blocks * SUM_LEN, blocks;
	uint64_t at = n * room;
	uint8_t *was = malloc(2 * room), *is, *ranges;
	uint32_t count;
	int rc = -1;

	if (was == NULL)
		return vmf_fail_errno(err, VMF_IO, "sums");
	is = was + room;
	ranges = malloc(4 + 8 * sums->blocks);
	if (ranges == NULL) {
		vmf_fail_errno(err, VMF_IO, "sums");
		goto out;
	}
	blocks = sum_blocks(raw, len, is);
	old = old && sums->have[n] != 0;
	if ((old &&
		vmf_pread_full(sums->fd, was, blocks * SUM_LEN, at, err) < 0) ||
	    vmf_pwrite_full(sums->fd, is, blocks * SUM_LEN, at, err) < 0) {
		vmf_wrap(err, "scratch file of sums");
		goto out;
	}
	sums->have[n] = 1;
	rc = 0;
	if (!old)
		goto out;
	*total = find_ranges(was, is, blocks, len, ranges, &count);
	if (count == 0 || *total > len / 2)
		goto out;
	gather(raw, ranges, count);
	*body = ranges;
	*body_len = 4 + 8 * count;
	ranges = NULL;
	rc = 1;
out:
	free(ranges);
	free(was);
	return rc;
}
