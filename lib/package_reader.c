/*
 * package_reader.c - see vmferry/package.h
 *
 * The grammar of vmferry-package(5), taken literally: at each point exactly
 * one member may come next, or one of two (another segment or what follows
 * the image; a signature or END).  The tar layer vouches for every byte
 * between members, SHA256SUMS for every byte in them, the tracker for the
 * objects' headers, and the caller's engine for what the objects hold.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <vmferry/manifest.h>

#include "package_internal.h"

#define SKIP_LEN ((size_t)256 << 10)

enum item {
	ITEM_NONE,
	ITEM_FILE,
	ITEM_IMAGE,
};

struct vmf_package_reader {
	struct vmf_tar_reader *tar;
	struct vmf_manifest *manifest;
	const struct vmf_package_info *info;
	char *xml;
	size_t xml_len;
	bool peek;

	struct vmf_tar_member member; /* the next or present one ... */
	bool have_member;	      /* ... its header was read */
	bool open;		      /* ... and it is being read */
	uint64_t left;		      /* of it */
	struct vmf_sha *sha;
	struct vmf_package_sums *sums;

	enum item item;
	size_t file, image; /* present or next */
	struct vmf_package_track *track;
	struct vmf_package_tracked *tracked; /* one for each image */
	uint8_t *skip;			     /* SKIP_LEN */
	bool has_signature;
};

/* --- members */

/* Look at the next member; its absence is damage, as END is the last. */
static int
look(struct vmf_package_reader *r, struct vmf_error *err)
{
	int more;

	if (r->have_member)
		return 0;
	more = vmf_tar_reader_next(r->tar, &r->member, err);
	if (more == 0)
		return vmf_fail(
		    err, VMF_INTEGRITY, "is cut short: its END is missing");
	r->have_member = more > 0;
	return more < 0 ? -1 : 0;
}

/* The next member must be this; opens it. */
static int
expect(struct vmf_package_reader *r, const char *name, uint64_t max,
    struct vmf_error *err)
{
	if (look(r, err) < 0)
		return -1;
	if (strcmp(r->member.name, name) != 0)
		return vmf_fail(err, VMF_INTEGRITY,
		    "member %s where %s comes next", r->member.name, name);
	if (r->member.size > max)
		return vmf_fail(err, VMF_INTEGRITY,
		    "member %s is larger than %" PRIu64 " bytes", name, max);
	r->open = true;
	r->left = r->member.size;
	return 0;
}

static int
read_member(struct vmf_package_reader *r, void *buf, size_t len, size_t *got,
    struct vmf_error *err)
{
	size_t want = len < r->left ? len : (size_t)r->left;

	if (vmf_tar_reader_read(r->tar, buf, want, got, err) < 0 ||
	    vmf_sha_update(r->sha, buf, *got, err) < 0)
		return -1;
	if (*got < want)
		return vmf_fail(
		    err, VMF_INTEGRITY, "%s is cut short", r->member.name);
	r->left -= want;
	return 0;
}

/* digest (may be NULL) gets its digest; listed: SHA256SUMS must name it. */
static int
close_member(struct vmf_package_reader *r, bool listed, uint8_t *digest,
    struct vmf_error *err)
{
	uint8_t sum[VMF_SHA_LEN];
	size_t got, want;

	while (r->left > 0 && !r->peek) {
		want = r->left < SKIP_LEN ? (size_t)r->left : SKIP_LEN;
		if (read_member(r, r->skip, want, &got, err) < 0)
			return -1;
	}
	r->have_member = r->open = false;
	if (vmf_sha_final(r->sha, sum, err) < 0)
		return -1;
	if (digest != NULL)
		memcpy(digest, sum, VMF_SHA_LEN);
	return listed ? vmf_package_sums_add(r->sums, r->member.name, sum, err)
		      : 0;
}

/* A whole member of at most max bytes, with a NUL after it. */
static char *
read_text(struct vmf_package_reader *r, const char *name, uint64_t max,
    bool listed, size_t *len, uint8_t *digest, struct vmf_error *err)
{
	char *text;
	size_t got;

	if (expect(r, name, max, err) < 0)
		return NULL;
	*len = (size_t)r->left;
	text = malloc(*len + 1);
	if (text == NULL) {
		vmf_fail_errno(err, VMF_IO, "%s", name);
		return NULL;
	}
	if (read_member(r, text, *len, &got, err) < 0 ||
	    close_member(r, listed, digest, err) < 0) {
		free(text);
		return NULL;
	}
	text[*len] = '\0';
	return text;
}

/* --- opening */

/*
 * What people give by mistake is told by its first bytes; nothing is decided
 * by them but the wording.
 */
static int
name_the_stranger(struct vmf_package_reader *r, struct vmf_error *err)
{
	size_t len;
	const uint8_t *b = vmf_tar_reader_ahead(r->tar, &len);
	struct vmf_error why = *err;

	if (why.class != VMF_INTEGRITY || vmf_tar_reader_bytes(r->tar) > 0)
		return -1;
	if (len == 0)
		return vmf_fail(
		    err, VMF_INTEGRITY, "is empty; its producer failed?");
	if (len >= 16 && vmf_get_le32(b) == 0x184D2A56u &&
	    memcmp(b + 8, "VMFO", 4) == 0)
		return vmf_fail(err, VMF_INTEGRITY,
		    "is a stream, not a package; use vmf-restore");
	if (len >= VMF_TAR_BLOCK && memcmp(b, PACKAGE_HEAD, 8) == 0)
		return -1;
	return vmf_fail(err, VMF_INTEGRITY, "is no vmferry package");
}

static int
read_head(struct vmf_package_reader *r, struct vmf_error *err)
{
	size_t len;
	char *text;

	if (look(r, err) < 0)
		return name_the_stranger(r, err);
	if (strcmp(r->member.name, PACKAGE_HEAD) != 0)
		return vmf_fail(err, VMF_INTEGRITY,
		    "is a tar file, but no vmferry package");
	text = read_text(
	    r, PACKAGE_HEAD, VMF_PACKAGE_JSON_MAX, true, &len, NULL, err);
	if (text == NULL)
		return -1;
	r->manifest = vmf_manifest_parse(text, len, err);
	free(text);
	if (r->manifest == NULL)
		return vmf_wrap(err, "member %s", PACKAGE_HEAD);
	r->info = vmf_manifest_info(r->manifest);
	r->tracked = calloc(r->info->nimages + 1, sizeof(*r->tracked));
	if (r->tracked == NULL)
		return vmf_fail_errno(err, VMF_IO, "package");
	return 0;
}

static int
check_expected(const struct vmf_package_reader *r, const uint8_t *expected,
    struct vmf_error *err)
{
	char is[2 * VMF_ID_LEN + 1], must[2 * VMF_ID_LEN + 1];

	if (expected == NULL || memcmp(expected, r->info->id, VMF_ID_LEN) == 0)
		return 0;
	vmf_hex(r->info->id, VMF_ID_LEN, is);
	vmf_hex(expected, VMF_ID_LEN, must);
	return vmf_fail(
	    err, VMF_INTEGRITY, "is package %s, but %s was expected", is, must);
}

static struct vmf_package_reader *
open_reader(struct vmf_in in, int fd,
    const struct vmf_package_reader_options *options, struct vmf_error *err)
{
	struct vmf_package_reader *r = calloc(1, sizeof(*r));

	if (r == NULL)
		goto no_memory;
	r->peek = fd >= 0;
	r->skip = malloc(SKIP_LEN);
	if (r->skip == NULL)
		goto no_memory;
	r->sha = vmf_sha_new(err);
	if (r->sha == NULL)
		goto fail;
	r->sums = vmf_package_sums_new(options->scratch, err);
	if (r->sums == NULL)
		goto fail;
	r->track = vmf_package_track_new(err);
	if (r->track == NULL)
		goto fail;
	r->tar = r->peek ? vmf_tar_reader_peek(fd, err)
			 : vmf_tar_reader_new(in, err);
	if (r->tar == NULL || read_head(r, err) < 0 ||
	    check_expected(r, options->expect, err) < 0)
		goto fail;
	r->xml = read_text(
	    r, PACKAGE_XML, VMF_PACKAGE_XML_MAX, true, &r->xml_len, NULL, err);
	if (r->xml == NULL)
		goto fail;
	return r;
no_memory:
	vmf_fail_errno(err, VMF_IO, "package");
fail:
	vmf_package_reader_free(r);
	return NULL;
}

struct vmf_package_reader *
vmf_package_reader_open(struct vmf_in in,
    const struct vmf_package_reader_options *options, struct vmf_error *err)
{
	static const struct vmf_package_reader_options none;

	return open_reader(in, -1, options != NULL ? options : &none, err);
}

const struct vmf_package_info *
vmf_package_reader_info(const struct vmf_package_reader *r)
{
	return r->info;
}

const char *
vmf_package_reader_xml(const struct vmf_package_reader *r, size_t *len)
{
	*len = r->xml_len;
	return r->xml;
}

/* --- items */

/* Is the member r stands before a segment of the present image? */
static bool
is_segment(const struct vmf_package_reader *r, uint64_t *off)
{
	const struct vmf_package_image *image = &r->info->images[r->image];
	struct vmf_tar_member wanted;
	const char *slash = strrchr(r->member.name, '/');
	char *end;

	if (slash == NULL || r->member.dir)
		return false;
	/* Lax, but what it gives is made a name again and compared. */
	*off = strtoull(slash + 1, &end, 16);
	vmf_package_name_segment(&wanted, image, *off);
	return strcmp(wanted.name, r->member.name) == 0;
}

/* The next segment: 1; the image is over: 0. */
static int
next_segment(struct vmf_package_reader *r, struct vmf_error *err)
{
	uint64_t off;

	if (look(r, err) < 0)
		return -1;
	if (!is_segment(r, &off))
		return 0;
	if (r->member.size == 0 || r->member.size > VMF_SEGMENT_MAX)
		return vmf_fail(
		    err, VMF_INTEGRITY, "%s: impossible size", r->member.name);
	if (!r->peek && vmf_package_track_segment(r->track, off, err) < 0)
		return vmf_wrap(err, "%s", r->member.name);
	r->open = true;
	r->left = r->member.size;
	return 1;
}

static int
read_image(struct vmf_package_reader *r, uint8_t *buf, size_t len, size_t *got,
    struct vmf_error *err)
{
	size_t n;
	int more;

	for (*got = 0; *got < len; *got += n) {
		n = 0;
		if (!r->open) {
			more = next_segment(r, err);
			if (more <= 0)
				return more;
		}
		if (read_member(r, buf + *got, len - *got, &n, err) < 0)
			return -1;
		if (vmf_package_track_bytes(r->track, buf + *got, n, err) < 0 ||
		    (r->left == 0 &&
			vmf_package_track_segment_end(r->track, err) < 0))
			return vmf_wrap(err, "%s", r->member.name);
		if (r->left == 0 && close_member(r, true, NULL, err) < 0)
			return -1;
	}
	return 0;
}

static int
item_read(void *ctx, void *buf, size_t len, size_t *got, struct vmf_error *err)
{
	struct vmf_package_reader *r = ctx;

	*got = 0;
	if (r->item == ITEM_IMAGE)
		return read_image(r, buf, len, got, err);
	if (r->item == ITEM_FILE && r->open)
		return read_member(r, buf, len, got, err);
	return 0;
}

struct vmf_in
vmf_package_reader_in(struct vmf_package_reader *r)
{
	return (struct vmf_in){.read = item_read, .ctx = r};
}

/* Segments are skipped by their headers. */
static int
peek_image(struct vmf_package_reader *r, struct vmf_error *err)
{
	int more;

	while ((more = next_segment(r, err)) > 0)
		r->have_member = r->open = false;
	return more;
}

static int
end_image(struct vmf_package_reader *r, struct vmf_error *err)
{
	size_t got = SKIP_LEN;

	if (r->peek)
		return peek_image(r, err);
	while (got == SKIP_LEN)
		if (read_image(r, r->skip, SKIP_LEN, &got, err) < 0)
			return -1;
	if (vmf_package_track_end(r->track, &r->tracked[r->image], err) < 0)
		return vmf_wrap(err, "disk %s", r->info->images[r->image].name);
	return 0;
}

/* What is left of the item before. */
static int
end_item(struct vmf_package_reader *r, struct vmf_error *err)
{
	enum item item = r->item;

	r->item = ITEM_NONE;
	if (item == ITEM_FILE) {
		r->file++;
		return close_member(r, true, NULL, err);
	}
	if (item == ITEM_IMAGE) {
		r->item = ITEM_IMAGE;
		if (end_image(r, err) < 0)
			return -1;
		r->item = ITEM_NONE;
		r->image++;
	}
	return 0;
}

static int
begin_file(struct vmf_package_reader *r, const struct vmf_package_file *file,
    struct vmf_error *err)
{
	if (expect(r, file->name, file->size, err) < 0)
		return -1;
	if (r->member.size != file->size)
		return vmf_fail(err, VMF_INTEGRITY,
		    "%s is not of the size that was announced", file->name);
	r->item = ITEM_FILE;
	return 1;
}

static int
begin_image(struct vmf_package_reader *r, const struct vmf_package_image *image,
    struct vmf_error *err)
{
	struct vmf_tar_member dir;

	vmf_package_name_dir(&dir, image);
	if (expect(r, dir.name, 0, err) < 0)
		return -1;
	r->have_member = r->open = false;
	vmf_package_track_image(r->track, r->info, r->image);
	r->item = ITEM_IMAGE;
	return 1;
}

int
vmf_package_reader_next(struct vmf_package_reader *r,
    struct vmf_package_item *item, struct vmf_error *err)
{
	memset(item, 0, sizeof(*item));
	if (end_item(r, err) < 0)
		return -1;
	if (r->file < r->info->nfiles) {
		item->file = &r->info->files[r->file];
		return begin_file(r, item->file, err);
	}
	if (r->image < r->info->nimages) {
		item->image = &r->info->images[r->image];
		return begin_image(r, item->image, err);
	}
	return 0;
}

/* --- the end */

static int
read_lists(struct vmf_package_reader *r, struct vmf_error *err)
{
	struct vmf_tar_member wanted;
	uint8_t digest[VMF_SHA_LEN];
	size_t i;

	for (i = 0; i < r->info->nimages; i++) {
		vmf_package_name_digests(&wanted, &r->info->images[i]);
		if (expect(r, wanted.name, VMF_TAR_SIZE_MAX, err) < 0)
			return -1;
		if (!r->peek && r->left != r->tracked[i].list_bytes)
			goto differs;
		if (close_member(r, true, digest, err) < 0)
			return -1;
		if (!r->peek &&
		    memcmp(digest, r->tracked[i].list_digest, VMF_SHA_LEN) != 0)
			goto differs;
	}
	return 0;
differs:
	return vmf_fail(err, VMF_INTEGRITY,
	    "%s is not the list of the disk's digests", wanted.name);
}

/* Line by line, so that the member that differs can be named. */
static int
read_sums(struct vmf_package_reader *r, uint8_t digest[VMF_SHA_LEN],
    struct vmf_error *err)
{
	char want[PACKAGE_SUM_LINE], is[PACKAGE_SUM_LINE];
	int more = 0;
	size_t len, got;

	if (vmf_package_sums_rewind(r->sums, err) < 0 ||
	    expect(r, PACKAGE_SUMS, VMF_TAR_SIZE_MAX, err) < 0)
		return -1;
	while (!r->peek &&
	       (more = vmf_package_sums_next(r->sums, want, err)) > 0) {
		len = strlen(want);
		if (read_member(r, is, len < r->left ? len : (size_t)r->left,
			&got, err) < 0)
			return -1;
		if (got == len && memcmp(is, want, len) == 0)
			continue;
		want[len - 1] = '\0';
		return vmf_fail(err, VMF_INTEGRITY,
		    "%s does not match " PACKAGE_SUMS,
		    want + 2 * VMF_SHA_LEN + 2);
	}
	if (more < 0)
		return -1;
	if (r->left > 0 && !r->peek)
		return vmf_fail(err, VMF_INTEGRITY,
		    PACKAGE_SUMS " has lines for what is not there");
	return close_member(r, false, digest, err);
}

static int
check_tail(const struct vmf_package_reader *r, const uint8_t sums[VMF_SHA_LEN],
    struct vmf_error *err)
{
	const struct vmf_manifest_tail *tail = vmf_manifest_tail(r->manifest);
	size_t i;

	if (memcmp(tail->sums, sums, VMF_SHA_LEN) != 0 ||
	    tail->members != vmf_package_sums_lines(r->sums))
		return vmf_fail(err, VMF_INTEGRITY,
		    PACKAGE_SUMS " is not what the manifest says");
	for (i = 0; i < r->info->nimages; i++) {
		const struct vmf_totals *said = &tail->images[i].totals;
		const struct vmf_totals *seen = &r->tracked[i].totals;

		if (said->data_chunks != seen->data_chunks ||
		    said->zero_chunks != seen->zero_chunks ||
		    said->stored != seen->stored ||
		    said->bad_count != seen->bad_count ||
		    memcmp(said->root, seen->root, VMF_SHA_LEN) != 0 ||
		    tail->images[i].segments != r->tracked[i].segments)
			return vmf_fail(err, VMF_INTEGRITY,
			    "disk %s is not what the manifest says",
			    r->info->images[i].name);
	}
	return 0;
}

/* manifest.json, and its line of END. */
static int
read_tail(struct vmf_package_reader *r, const uint8_t sums[VMF_SHA_LEN],
    char line[PACKAGE_SUM_LINE], struct vmf_error *err)
{
	uint8_t digest[VMF_SHA_LEN];
	size_t len;
	char *text = read_text(
	    r, PACKAGE_TAIL, VMF_PACKAGE_JSON_MAX, false, &len, digest, err);
	int rc;

	if (text == NULL)
		return -1;
	rc = vmf_manifest_parse_tail(r->manifest, text, len, err);
	free(text);
	if (rc < 0)
		return vmf_wrap(err, "member %s", PACKAGE_TAIL);
	vmf_package_sums_line(PACKAGE_TAIL, digest, line);
	return r->peek ? 0 : check_tail(r, sums, err);
}

/* A signature is carried and summed; whose it is, the caller may ask. */
static int
read_signature(struct vmf_package_reader *r, char line[PACKAGE_SUM_LINE],
    struct vmf_error *err)
{
	uint8_t digest[VMF_SHA_LEN];

	line[0] = '\0';
	if (look(r, err) < 0)
		return -1;
	if (strcmp(r->member.name, PACKAGE_SIG) != 0)
		return 0;
	if (expect(r, PACKAGE_SIG, PACKAGE_SIG_LEN, err) < 0)
		return -1;
	if (r->member.size != PACKAGE_SIG_LEN)
		return vmf_fail(
		    err, VMF_INTEGRITY, PACKAGE_SIG " is of a wrong length");
	if (close_member(r, false, digest, err) < 0)
		return -1;
	r->has_signature = true;
	vmf_package_sums_line(PACKAGE_SIG, digest, line);
	return 0;
}

static int
read_end(struct vmf_package_reader *r, const char *tail, const char *signature,
    struct vmf_error *err)
{
	struct vmf_tar_member more;
	size_t len;
	char *text = read_text(
	    r, PACKAGE_END, 2 * PACKAGE_SUM_LINE, false, &len, NULL, err);
	int follows;
	bool same;

	if (text == NULL)
		return -1;
	same = len == strlen(tail) + strlen(signature) &&
	       strncmp(text, tail, strlen(tail)) == 0 &&
	       strcmp(text + strlen(tail), signature) == 0;
	free(text);
	if (!same)
		return vmf_fail(err, VMF_INTEGRITY,
		    PACKAGE_END " does not match " PACKAGE_TAIL);
	follows = vmf_tar_reader_next(r->tar, &more, err);
	if (follows > 0)
		return vmf_fail(err, VMF_INTEGRITY,
		    "member %s follows " PACKAGE_END, more.name);
	return follows;
}

int
vmf_package_reader_finish(struct vmf_package_reader *r,
    struct vmf_package_summary *summary, struct vmf_error *err)
{
	char tail[PACKAGE_SUM_LINE], signature[PACKAGE_SUM_LINE];
	uint8_t sums[VMF_SHA_LEN];
	size_t i;

	if (end_item(r, err) < 0)
		return -1;
	if (r->file != r->info->nfiles || r->image != r->info->nimages)
		return vmf_fail(
		    err, VMF_INTERNAL, "package: items were not asked for");
	if (read_lists(r, err) < 0 || read_sums(r, sums, err) < 0 ||
	    read_tail(r, sums, tail, err) < 0 ||
	    read_signature(r, signature, err) < 0 ||
	    read_end(r, tail, signature, err) < 0 ||
	    (!r->peek && vmf_tar_reader_finish(r->tar, err) < 0))
		return -1;
	if (summary == NULL)
		return 0;
	memset(summary, 0, sizeof(*summary));
	summary->bytes = vmf_tar_reader_bytes(r->tar);
	summary->members = vmf_package_sums_lines(r->sums);
	summary->has_signature = r->has_signature;
	for (i = 0; i < r->info->nimages; i++) {
		summary->size += r->info->images[i].geo.size;
		summary->stored += vmf_package_reader_totals(r, i)->stored;
	}
	return 0;
}

struct vmf_package_reader *
vmf_package_peek(int fd, struct vmf_error *err)
{
	static const struct vmf_package_reader_options none;
	struct vmf_package_reader *r =
	    open_reader((struct vmf_in){0}, fd, &none, err);
	struct vmf_package_item item;
	int more;

	if (r == NULL)
		return NULL;
	while ((more = vmf_package_reader_next(r, &item, err)) > 0)
		continue;
	if (more == 0 && vmf_package_reader_finish(r, NULL, err) == 0)
		return r;
	vmf_package_reader_free(r);
	return NULL;
}

const struct vmf_package_fact *
vmf_package_reader_facts(const struct vmf_package_reader *r, size_t *nfacts)
{
	const struct vmf_manifest_tail *tail = vmf_manifest_tail(r->manifest);

	*nfacts = tail != NULL ? tail->nfacts : 0;
	return tail != NULL ? tail->facts : NULL;
}

const struct vmf_totals *
vmf_package_reader_totals(const struct vmf_package_reader *r, size_t n)
{
	const struct vmf_manifest_tail *tail = vmf_manifest_tail(r->manifest);

	return tail != NULL ? &tail->images[n].totals : NULL;
}

void
vmf_package_reader_free(struct vmf_package_reader *r)
{
	if (r == NULL)
		return;
	vmf_tar_reader_free(r->tar);
	vmf_manifest_free(r->manifest);
	vmf_package_sums_free(r->sums);
	vmf_package_track_free(r->track);
	vmf_sha_free(r->sha);
	free(r->tracked);
	free(r->skip);
	free(r->xml);
	free(r);
}
