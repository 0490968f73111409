/* digests.c - see vmferry/digests.h */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vmferry/digest.h>
#include <vmferry/digests.h>

/* Zero runs are hashed this many digests at a time. */
#define BATCH 1024

struct vmf_root {
	struct vmf_sha *sha;
	uint8_t batch[BATCH * VMF_SHA_LEN];
};

struct vmf_digests {
	FILE *file;
	uint64_t bytes;
};

struct vmf_root *
vmf_root_new(struct vmf_error *err)
{
	struct vmf_root *root = calloc(1, sizeof(*root));

	if (root == NULL) {
		vmf_fail_errno(err, VMF_IO, "root");
		return NULL;
	}
	root->sha = vmf_sha_new(err);
	if (root->sha == NULL) {
		vmf_root_free(root);
		return NULL;
	}
	return root;
}

int
vmf_root_add(struct vmf_root *root, const uint8_t digest[VMF_SHA_LEN],
    uint64_t chunks, struct vmf_error *err)
{
	uint64_t n;
	size_t i, filled = chunks < BATCH ? (size_t)chunks : BATCH;

	for (i = 0; i < filled; i++)
		memcpy(root->batch + i * VMF_SHA_LEN, digest, VMF_SHA_LEN);
	for (; chunks > 0; chunks -= n) {
		n = chunks < filled ? chunks : filled;
		if (vmf_sha_update(root->sha, root->batch,
			(size_t)n * VMF_SHA_LEN, err) < 0)
			return -1;
	}
	return 0;
}

int
vmf_root_final(
    struct vmf_root *root, uint8_t sum[VMF_SHA_LEN], struct vmf_error *err)
{
	return vmf_sha_final(root->sha, sum, err);
}

void
vmf_root_free(struct vmf_root *root)
{
	if (root == NULL)
		return;
	vmf_sha_free(root->sha);
	free(root);
}

uint64_t
vmf_chunk_count(uint64_t len, uint32_t chunk)
{
	return len / chunk + (len % chunk != 0);
}

struct vmf_digests *
vmf_digests_new(const char *dir, struct vmf_error *err)
{
	struct vmf_digests *list = calloc(1, sizeof(*list));
	int fd;

	if (list == NULL) {
		vmf_fail_errno(err, VMF_IO, "digests");
		return NULL;
	}
	fd = vmf_scratch_open(dir, err);
	if (fd < 0)
		goto fail;
	list->file = fdopen(fd, "w+");
	if (list->file == NULL) {
		vmf_fail_errno(err, VMF_IO, "digests");
		close(fd);
		goto fail;
	}
	return list;
fail:
	vmf_digests_free(list);
	return NULL;
}

int
vmf_digests_add(struct vmf_digests *list, const struct vmf_digest_line *line,
    struct vmf_error *err)
{
	char text[VMF_DIGEST_LINE_MAX];
	size_t len = vmf_digest_line_format(line, text);

	if (fwrite(text, 1, len, list->file) != len)
		return vmf_fail_errno(err, VMF_IO, "scratch file of digests");
	list->bytes += len;
	return 0;
}

int
vmf_digests_rewind(struct vmf_digests *list, struct vmf_error *err)
{
	if (fflush(list->file) != 0 || fseeko(list->file, 0, SEEK_SET) != 0)
		return vmf_fail_errno(err, VMF_IO, "scratch file of digests");
	return 0;
}

int
vmf_digests_next(struct vmf_digests *list, struct vmf_digest_line *line,
    struct vmf_error *err)
{
	char text[VMF_DIGEST_LINE_MAX];
	size_t len;

	if (fgets(text, sizeof(text), list->file) == NULL) {
		if (ferror(list->file))
			return vmf_fail_errno(
			    err, VMF_IO, "scratch file of digests");
		return 0;
	}
	len = strlen(text);
	if (len > 0 && text[len - 1] == '\n')
		text[len - 1] = '\0';
	return vmf_digest_line_parse(text, line, err) < 0 ? -1 : 1;
}

uint64_t
vmf_digests_bytes(const struct vmf_digests *list)
{
	return list->bytes;
}

static int
list_read(void *ctx, void *buf, size_t len, size_t *got, struct vmf_error *err)
{
	struct vmf_digests *list = ctx;

	*got = fread(buf, 1, len, list->file);
	if (*got < len && ferror(list->file))
		return vmf_fail_errno(err, VMF_IO, "scratch file of digests");
	return 0;
}

struct vmf_in
vmf_digests_in(struct vmf_digests *list)
{
	return (struct vmf_in){.read = list_read, .ctx = list};
}

void
vmf_digests_free(struct vmf_digests *list)
{
	if (list == NULL)
		return;
	if (list->file != NULL)
		fclose(list->file);
	free(list);
}

size_t
vmf_digest_line_format(
    const struct vmf_digest_line *line, char text[VMF_DIGEST_LINE_MAX])
{
	char hex[2 * VMF_SHA_LEN + 1];

	vmf_hex(line->digest, VMF_SHA_LEN, hex);
	return (size_t)snprintf(text, VMF_DIGEST_LINE_MAX,
	    "%" PRIu64 " %" PRIu64 " %s %s\n", line->off, line->len,
	    line->kind == VMF_ZERO ? "zero" : "data", hex);
}

int
vmf_digest_line_parse(
    const char *text, struct vmf_digest_line *line, struct vmf_error *err)
{
	char again[VMF_DIGEST_LINE_MAX], kind[5], hex[2 * VMF_SHA_LEN + 1];
	size_t len = strlen(text);

	if (sscanf(text, "%" SCNu64 " %" SCNu64 " %4s %64s", &line->off,
		&line->len, kind, hex) != 4 ||
	    vmf_unhex(hex, line->digest, VMF_SHA_LEN) < 0)
		goto bad;
	line->kind = strcmp(kind, "zero") == 0 ? VMF_ZERO : VMF_DATA;
	/* sscanf is lax: what it took must read back the same. */
	if (vmf_digest_line_format(line, again) != len + 1 ||
	    memcmp(again, text, len) != 0)
		goto bad;
	return 0;
bad:
	return vmf_fail(err, VMF_INTEGRITY, "malformed line of digests");
}
