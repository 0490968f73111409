/* chunks.c - see vmferry/chunks.h */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vmferry/chunks.h>
#include <vmferry/digest.h>
#include <vmferry/io.h>

#define KIND	0x0f /* enum vmf_kind, or 0 */
#define TOUCHED 0x80

/* Digests are read so many at a time, where many are wanted. */
#define BATCH ((size_t)1024)

struct vmf_chunks {
	uint64_t size;
	uint32_t chunk;
	uint64_t count;
	uint8_t *state; /* one byte for each chunk */
	int fd;		/* digests: VMF_SHA_LEN bytes at n * VMF_SHA_LEN */
	uint8_t zero[VMF_SHA_LEN], last_zero[VMF_SHA_LEN];
};

static uint64_t
chunk_len(const struct vmf_chunks *c, uint64_t n)
{
	uint64_t off = n * c->chunk;

	return c->size - off < c->chunk ? c->size - off : c->chunk;
}

struct vmf_chunks *
vmf_chunks_new(
    const struct vmf_geometry *geo, const char *scratch, struct vmf_error *err)
{
	struct vmf_chunks *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		vmf_fail_errno(err, VMF_IO, "chunks");
		return NULL;
	}
	c->fd = -1;
	c->size = geo->size;
	c->chunk = geo->chunk;
	c->count = vmf_chunk_count(geo->size, geo->chunk);
	c->state = calloc(c->count + 1, 1);
	if (c->state == NULL) {
		vmf_fail_errno(err, VMF_IO, "%" PRIu64 " chunks", c->count);
		goto fail;
	}
	c->fd = vmf_scratch_open(scratch, err);
	if (c->fd < 0 || vmf_sha256_zeros(c->chunk, c->zero, err) < 0 ||
	    (c->count > 0 &&
		vmf_sha256_zeros(
		    (size_t)chunk_len(c, c->count - 1), c->last_zero, err) < 0))
		goto fail;
	return c;
fail:
	vmf_chunks_free(c);
	return NULL;
}

void
vmf_chunks_free(struct vmf_chunks *c)
{
	if (c == NULL)
		return;
	if (c->fd >= 0)
		close(c->fd);
	free(c->state);
	free(c);
}

uint64_t
vmf_chunks_count(const struct vmf_chunks *c)
{
	return c->count;
}

int
vmf_chunks_get(struct vmf_chunks *c, uint64_t n, uint8_t digest[VMF_SHA_LEN],
    struct vmf_error *err)
{
	int kind = c->state[n] & KIND;

	if (kind == VMF_DATA && digest != NULL &&
	    vmf_pread_full(c->fd, digest, VMF_SHA_LEN, n * VMF_SHA_LEN, err) <
		0)
		return vmf_wrap(err, "scratch file of digests");
	return kind;
}

/* Whole chunks within the image; data is exactly one. */
static int
check_line(const struct vmf_chunks *c, const struct vmf_digest_line *line,
    struct vmf_error *err)
{
	bool ok =
	    line->len > 0 && line->off % c->chunk == 0 && line->off < c->size &&
	    line->len <= c->size - line->off &&
	    (line->len % c->chunk == 0 || line->off + line->len == c->size);

	if (line->kind == VMF_DATA)
		ok = ok && line->len == chunk_len(c, line->off / c->chunk);
	else
		ok = ok && line->kind == VMF_ZERO;
	if (!ok)
		return vmf_fail(err, VMF_INTEGRITY,
		    "%" PRIu64 " bytes at offset %" PRIu64
		    ": not the place of chunks of this image",
		    line->len, line->off);
	return 0;
}

int
vmf_chunks_set(struct vmf_chunks *c, const struct vmf_digest_line *line,
    struct vmf_error *err)
{
	uint64_t n = line->off / c->chunk, i, count;

	if (check_line(c, line, err) < 0)
		return -1;
	if (line->kind == VMF_DATA &&
	    vmf_pwrite_full(
		c->fd, line->digest, VMF_SHA_LEN, n * VMF_SHA_LEN, err) < 0)
		return vmf_wrap(err, "scratch file of digests");
	count = vmf_chunk_count(line->len, c->chunk);
	for (i = 0; i < count; i++)
		c->state[n + i] =
		    (uint8_t)((c->state[n + i] & TOUCHED) | line->kind);
	return 0;
}

void
vmf_chunks_forget(struct vmf_chunks *c, uint64_t off, uint64_t len)
{
	uint64_t n = vmf_chunk_count(off, c->chunk);

	for (; n < c->count && n * c->chunk < off + len; n++)
		c->state[n] &= TOUCHED;
}

int
vmf_chunks_touch(struct vmf_chunks *c, const struct vmf_digest_line *line,
    bool *twice, struct vmf_error *err)
{
	uint64_t n = line->off / c->chunk, i, count;

	*twice = false;
	if (check_line(c, line, err) < 0)
		return -1;
	count = vmf_chunk_count(line->len, c->chunk);
	for (i = 0; i < count; i++) {
		*twice = *twice || (c->state[n + i] & TOUCHED) != 0;
		c->state[n + i] |= TOUCHED;
	}
	return 0;
}

void
vmf_chunks_untouch(struct vmf_chunks *c)
{
	uint64_t n;

	for (n = 0; n < c->count; n++)
		c->state[n] &= KIND;
}

uint64_t
vmf_chunks_known(const struct vmf_chunks *c)
{
	uint64_t n, known = 0;

	for (n = 0; n < c->count; n++)
		if ((c->state[n] & KIND) != 0)
			known += chunk_len(c, n);
	return known;
}

/* How many chunks from n on are of the same kind. */
static uint64_t
run_len(const struct vmf_chunks *c, uint64_t n)
{
	uint8_t kind = c->state[n] & KIND;
	uint64_t m = n;

	while (m < c->count && (c->state[m] & KIND) == kind)
		m++;
	return m - n;
}

static int
each_data(struct vmf_chunks *c, uint64_t n, uint64_t count,
    int (*each)(
	void *ctx, const struct vmf_digest_line *line, struct vmf_error *err),
    void *ctx, struct vmf_error *err)
{
	uint8_t digests[BATCH * VMF_SHA_LEN];
	struct vmf_digest_line line = {.kind = VMF_DATA};
	uint64_t i, k;

	for (i = 0; i < count; i += k) {
		k = count - i < BATCH ? count - i : BATCH;
		if (vmf_pread_full(c->fd, digests, (size_t)k * VMF_SHA_LEN,
			(n + i) * VMF_SHA_LEN, err) < 0)
			return vmf_wrap(err, "scratch file of digests");
		for (uint64_t j = 0; j < k; j++) {
			line.off = (n + i + j) * c->chunk;
			line.len = chunk_len(c, n + i + j);
			memcpy(line.digest, digests + j * VMF_SHA_LEN,
			    VMF_SHA_LEN);
			if (each(ctx, &line, err) < 0)
				return -1;
		}
	}
	return 0;
}

/* A digest is that of each chunk of a run: a short last one stands alone. */
static int
each_zero(struct vmf_chunks *c, uint64_t n, uint64_t count,
    int (*each)(
	void *ctx, const struct vmf_digest_line *line, struct vmf_error *err),
    void *ctx, struct vmf_error *err)
{
	struct vmf_digest_line line = {.off = n * c->chunk, .kind = VMF_ZERO};
	bool last_short =
	    n + count == c->count && chunk_len(c, c->count - 1) < c->chunk;

	line.len = (count - last_short) * c->chunk;
	memcpy(line.digest, c->zero, VMF_SHA_LEN);
	if (line.len > 0 && each(ctx, &line, err) < 0)
		return -1;
	if (!last_short)
		return 0;
	line.off = (c->count - 1) * c->chunk;
	line.len = chunk_len(c, c->count - 1);
	memcpy(line.digest, c->last_zero, VMF_SHA_LEN);
	return each(ctx, &line, err);
}

int
vmf_chunks_each(struct vmf_chunks *c,
    int (*each)(
	void *ctx, const struct vmf_digest_line *line, struct vmf_error *err),
    void *ctx, struct vmf_error *err)
{
	uint64_t n, count;
	int kind, rc = 0;

	for (n = 0; rc == 0 && n < c->count; n += count) {
		kind = c->state[n] & KIND;
		count = run_len(c, n);
		if (kind == VMF_DATA)
			rc = each_data(c, n, count, each, ctx, err);
		else if (kind == VMF_ZERO)
			rc = each_zero(c, n, count, each, ctx, err);
	}
	return rc;
}

struct totals {
	struct vmf_root *root;
	struct vmf_totals *totals;
	uint32_t chunk;
};

static int
add_total(void *ctx, const struct vmf_digest_line *line, struct vmf_error *err)
{
	struct totals *t = ctx;
	uint64_t count = vmf_chunk_count(line->len, t->chunk);

	if (line->off != t->totals->size)
		return vmf_fail(err, VMF_INTEGRITY,
		    "the chunk at offset %" PRIu64 " never came",
		    t->totals->size);
	t->totals->size += line->len;
	if (line->kind == VMF_DATA)
		t->totals->data_chunks += count;
	else
		t->totals->zero_chunks += count;
	return vmf_root_add(t->root, line->digest, count, err);
}

int
vmf_chunks_totals(
    struct vmf_chunks *c, struct vmf_totals *totals, struct vmf_error *err)
{
	struct totals t = {
	    .root = vmf_root_new(err), .totals = totals, .chunk = c->chunk};
	int rc = -1;

	if (t.root == NULL)
		return -1;
	memset(totals, 0, sizeof(*totals));
	if (vmf_chunks_each(c, add_total, &t, err) < 0)
		goto out;
	if (totals->size != c->size) {
		vmf_fail(err, VMF_INTEGRITY,
		    "the chunk at offset %" PRIu64 " never came", totals->size);
		goto out;
	}
	rc = vmf_root_final(t.root, totals->root, err);
out:
	vmf_root_free(t.root);
	return rc;
}
