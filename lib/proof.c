/* proof.c - see vmferry/proof.h */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

#include <vmferry/digest.h>
#include <vmferry/digests.h>
#include <vmferry/direct.h>
#include <vmferry/proof.h>
#include <vmferry/source.h>
#include <vmferry/units.h>

#define BLOCK	  ((uint64_t)64 << 10)
#define CHUNK	  ((uint32_t)4 << 20)
#define FORMAT	  "vmferry-proof"
#define TIME_ROOM 48

/* Add len bytes at off to the root, zeros unread where the source has a hole.
 */
static int
add_piece(struct vmf_source *src, struct vmf_root *root, uint8_t *buf,
    uint64_t off, size_t len, struct vmf_error *err)
{
	uint8_t digest[VMF_SHA_LEN];
	struct vmf_extent ext;

	if (vmf_source_extent(src, off, &ext, err) < 0)
		return -1;
	if (ext.kind == VMF_EXTENT_ZERO && ext.off + ext.len >= off + len)
		memset(buf, 0, len);
	else if (vmf_source_read(src, buf, len, off, NULL, err) < 0)
		return -1;
	if (vmf_sha256(buf, len, digest, err) < 0)
		return -1;
	return vmf_root_add(root, digest, 1, err);
}

/* Where block i of the sample stands in a disk of so many bytes. */
static uint64_t
sample_off(uint64_t size, uint64_t i)
{
	uint64_t blocks = (size + BLOCK - 1) / BLOCK;

	if (blocks <= VMF_PROOF_BLOCKS)
		return i * BLOCK;
	/* Disks are less than 2^60 bytes, blocks less than 2^44. */
	return i * (blocks - 1) / (VMF_PROOF_BLOCKS - 1) * BLOCK;
}

static int
add_pieces(struct vmf_source *src, struct vmf_root *root, uint8_t *buf,
    bool whole, struct vmf_progress *progress, struct vmf_error *err)
{
	uint64_t size = vmf_source_size(src), piece = whole ? CHUNK : BLOCK;
	uint64_t n = (size + piece - 1) / piece, i, off, len;

	if (!whole && n > VMF_PROOF_BLOCKS)
		n = VMF_PROOF_BLOCKS;
	for (i = 0; i < n; i++) {
		off = whole ? i * CHUNK : sample_off(size, i);
		len = size - off < piece ? size - off : piece;
		if (vmf_progress_check(progress, err) < 0 ||
		    add_piece(src, root, buf, off, (size_t)len, err) < 0)
			return -1;
		if (progress != NULL)
			atomic_fetch_add(&progress->done, len);
	}
	return 0;
}

static int
digest_of(struct vmf_source *src, bool whole, uint8_t sum[VMF_SHA_LEN],
    struct vmf_progress *progress, struct vmf_error *err)
{
	struct vmf_root *root = vmf_root_new(err);
	uint8_t *buf = NULL;
	int rc = -1;

	if (root == NULL)
		return -1;
	buf = aligned_alloc(VMF_ALIGN, CHUNK);
	if (buf == NULL)
		vmf_fail_errno(err, VMF_IO, "buffer");
	else if (add_pieces(src, root, buf, whole, progress, err) == 0)
		rc = vmf_root_final(root, sum, err);
	free(buf);
	vmf_root_free(root);
	return rc;
}

/* The time of a file's last change, "" for a device. */
static void
time_of(const char *path, char text[TIME_ROOM])
{
	struct stat st;

	text[0] = '\0';
	if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
		snprintf(text, TIME_ROOM, "%lld.%09ld",
		    (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

static json_t *
prove_disk(const struct vmf_proof_disk *disk, bool whole,
    struct vmf_progress *progress, struct vmf_error *err)
{
	struct vmf_source_options o = {.live = true};
	struct vmf_source *src = vmf_source_open(disk->path, &o, err);
	char hex[2 * VMF_SHA_LEN + 1], when[TIME_ROOM];
	uint8_t sum[VMF_SHA_LEN];
	json_t *entry = NULL;

	if (src == NULL)
		goto out;
	time_of(disk->path, when);
	if (digest_of(src, whole, sum, progress, err) < 0)
		goto out;
	vmf_hex(sum, VMF_SHA_LEN, hex);
	entry = json_pack("{s:s, s:s, s:I, s:s, s:s}", "name", disk->name,
	    "path", disk->path, "size", (json_int_t)vmf_source_size(src),
	    "modified", when, "digest", hex);
	if (entry == NULL)
		vmf_fail(err, VMF_REFUSED,
		    "%s: a name that is not UTF-8 cannot be noted", disk->path);
out:
	vmf_source_free(src);
	if (entry == NULL)
		vmf_wrap(err, "disk %s", disk->name);
	return entry;
}

char *
vmf_proof_take(const struct vmf_proof_disk *disks, size_t n, const char *host,
    bool whole, struct vmf_progress *progress, struct vmf_error *err)
{
	json_t *list = json_array(), *proof = NULL, *entry;
	char *text = NULL;
	size_t i;

	for (i = 0; i < n; i++) {
		entry = prove_disk(&disks[i], whole, progress, err);
		if (entry == NULL)
			goto out;
		json_array_append_new(list, entry);
	}
	proof = json_pack("{s:s, s:i, s:s, s:b, s:O}", "format", FORMAT,
	    "version", 1, "host", host, "whole", whole, "disks", list);
	text = proof == NULL ? NULL : json_dumps(proof, JSON_INDENT(1));
	if (text == NULL)
		vmf_fail(err, VMF_IO, "no memory for a proof");
out:
	json_decref(proof);
	json_decref(list);
	return text;
}

/* --- checking */

static const char *
text_of(const json_t *obj, const char *key)
{
	const char *s = json_string_value(json_object_get(obj, key));

	return s == NULL ? "" : s;
}

static json_t *
parse(const char *text, struct vmf_error *err)
{
	json_t *proof = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

	if (proof != NULL && strcmp(text_of(proof, "format"), FORMAT) == 0 &&
	    json_integer_value(json_object_get(proof, "version")) == 1 &&
	    json_is_array(json_object_get(proof, "disks")))
		return proof;
	vmf_fail(err, VMF_INTEGRITY,
	    "the proof of the disks is damaged, or needs a newer vmferry");
	json_decref(proof);
	return NULL;
}

static const json_t *
find_disk(const json_t *proof, const char *name)
{
	const json_t *list = json_object_get(proof, "disks"), *entry;
	size_t i;

	for (i = 0; i < json_array_size(list); i++) {
		entry = json_array_get(list, i);
		if (strcmp(text_of(entry, "name"), name) == 0)
			return entry;
	}
	return NULL;
}

static int
check_disk(const json_t *proof, const struct vmf_proof_disk *disk,
    const char *host, struct vmf_progress *progress, struct vmf_error *err)
{
	bool whole = json_is_true(json_object_get(proof, "whole"));
	const json_t *was = find_disk(proof, disk->name);
	json_t *is;
	int rc = -1;

	if (was == NULL)
		return vmf_fail(err, VMF_REFUSED,
		    "disk %s is not one that the RAM was saved with",
		    disk->name);
	is = prove_disk(disk, whole, progress, err);
	if (is == NULL)
		return -1;
	if (!json_equal(
		json_object_get(was, "size"), json_object_get(is, "size")))
		vmf_fail(err, VMF_REFUSED,
		    "disk %s: %s is not the one that the RAM was saved with: "
		    "its size is another",
		    disk->name, disk->path);
	else if (strcmp(text_of(was, "digest"), text_of(is, "digest")) != 0)
		vmf_fail(err, VMF_REFUSED,
		    "disk %s: %s is not as it was when the RAM was saved; put "
		    "that state of it back first",
		    disk->name, disk->path);
	else if (strcmp(text_of(proof, "host"), host) == 0 &&
		 strcmp(text_of(was, "path"), disk->path) == 0 &&
		 strcmp(text_of(was, "modified"), text_of(is, "modified")) != 0)
		vmf_fail(err, VMF_REFUSED,
		    "disk %s: %s was written to since the RAM was saved; put "
		    "its state of then back first",
		    disk->name, disk->path);
	else
		rc = 0;
	json_decref(is);
	return rc;
}

int
vmf_proof_check(const char *text, const struct vmf_proof_disk *disks, size_t n,
    const char *host, struct vmf_progress *progress, struct vmf_error *err)
{
	json_t *proof = parse(text, err);
	size_t i, proved;
	int rc = 0;

	if (proof == NULL)
		return -1;
	for (i = 0; rc == 0 && i < n; i++)
		rc = check_disk(proof, &disks[i], host, progress, err);
	proved = json_array_size(json_object_get(proof, "disks"));
	if (rc == 0 && proved != n)
		rc = vmf_fail(err, VMF_REFUSED,
		    "the RAM was saved with %zu disk images, and here are %zu",
		    proved, n);
	json_decref(proof);
	return rc;
}

bool
vmf_proof_is_whole(const char *text)
{
	json_t *proof = json_loads(text, 0, NULL);
	bool whole = json_is_true(json_object_get(proof, "whole"));

	json_decref(proof);
	return whole;
}
