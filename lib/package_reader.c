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

enum item {
	ITEM_NONE,
	ITEM_FILE,
	ITEM_IMAGE,
};

struct vmf_package_reader {
	struct vmf_package_member m; /* the next or present one */
	struct vmf_manifest *manifest;
	const struct vmf_package_info *info;
	char *xml;
	size_t xml_len;

	enum item item;
	size_t file, image; /* present or next */
	struct vmf_package_track *track;
	struct vmf_package_tracked *tracked; /* one for each image */
	const struct vmf_sign_key *key;	     /* that must have signed it */
	char *tail;			     /* manifest.json, with a key */
	size_t tail_len;
	bool has_signature;
};

/* --- opening */

/*
 * What people give by mistake is told by its first bytes; nothing is decided
 * by them but the wording.
 */
static int
name_the_stranger(struct vmf_package_reader *r, struct vmf_error *err)
{
	size_t len;
	const uint8_t *b = vmf_tar_reader_ahead(r->m.tar, &len);
	struct vmf_error why = *err;

	if (why.class != VMF_INTEGRITY || vmf_tar_reader_bytes(r->m.tar) > 0)
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

	if (vmf_package_member_look(&r->m, err) < 0)
		return name_the_stranger(r, err);
	if (strcmp(r->m.head.name, PACKAGE_HEAD) != 0)
		return vmf_fail(err, VMF_INTEGRITY,
		    "is a tar file, but no vmferry package");
	text = vmf_package_member_text(
	    &r->m, PACKAGE_HEAD, VMF_PACKAGE_JSON_MAX, true, &len, NULL, err);
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

	if (r == NULL) {
		vmf_fail_errno(err, VMF_IO, "package");
		return NULL;
	}
	if (vmf_package_member_init(&r->m, in, fd, options->scratch, err) < 0)
		goto fail;
	r->key = options->key;
	r->track = vmf_package_track_new(err);
	if (r->track == NULL)
		goto fail;
	if (read_head(r, err) < 0 ||
	    check_expected(r, options->expect, err) < 0)
		goto fail;
	r->xml = vmf_package_member_text(&r->m, PACKAGE_XML,
	    VMF_PACKAGE_XML_MAX, true, &r->xml_len, NULL, err);
	if (r->xml == NULL)
		goto fail;
	return r;
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
	const char *slash = strrchr(r->m.head.name, '/');
	char *end;

	if (slash == NULL || r->m.head.dir)
		return false;
	/* Lax, but what it gives is made a name again and compared. */
	*off = strtoull(slash + 1, &end, 16);
	vmf_package_name_segment(&wanted, image, *off);
	return strcmp(wanted.name, r->m.head.name) == 0;
}

/* The next segment: 1; the image is over: 0. */
static int
next_segment(struct vmf_package_reader *r, struct vmf_error *err)
{
	uint64_t off;

	if (vmf_package_member_look(&r->m, err) < 0)
		return -1;
	if (!is_segment(r, &off))
		return 0;
	if (r->m.head.size == 0 || r->m.head.size > VMF_SEGMENT_MAX)
		return vmf_fail(
		    err, VMF_INTEGRITY, "%s: impossible size", r->m.head.name);
	if (!r->m.peek && vmf_package_track_segment(r->track, off, err) < 0)
		return vmf_wrap(err, "%s", r->m.head.name);
	r->m.open = true;
	r->m.left = r->m.head.size;
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
		if (!r->m.open) {
			more = next_segment(r, err);
			if (more <= 0)
				return more;
		}
		if (vmf_package_member_read(
			&r->m, buf + *got, len - *got, &n, err) < 0)
			return -1;
		if (vmf_package_track_bytes(r->track, buf + *got, n, err) < 0 ||
		    (r->m.left == 0 &&
			vmf_package_track_segment_end(r->track, err) < 0))
			return vmf_wrap(err, "%s", r->m.head.name);
		if (r->m.left == 0 &&
		    vmf_package_member_close(&r->m, true, NULL, err) < 0)
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
	if (r->item == ITEM_FILE && r->m.open)
		return vmf_package_member_read(&r->m, buf, len, got, err);
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
		r->m.seen = r->m.open = false;
	return more;
}

static int
end_image(struct vmf_package_reader *r, struct vmf_error *err)
{
	size_t got = PACKAGE_SKIP_LEN;

	if (r->m.peek)
		return peek_image(r, err);
	while (got == PACKAGE_SKIP_LEN)
		if (read_image(r, r->m.skip, PACKAGE_SKIP_LEN, &got, err) < 0)
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
		return vmf_package_member_close(&r->m, true, NULL, err);
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
	if (vmf_package_member_expect(&r->m, file->name, file->size, err) < 0)
		return -1;
	if (r->m.head.size != file->size)
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
	if (vmf_package_member_expect(&r->m, dir.name, 0, err) < 0)
		return -1;
	r->m.seen = r->m.open = false;
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
		if (vmf_package_member_expect(
			&r->m, wanted.name, VMF_TAR_SIZE_MAX, err) < 0)
			return -1;
		if (!r->m.peek && r->m.left != r->tracked[i].list_bytes)
			goto differs;
		if (vmf_package_member_close(&r->m, true, digest, err) < 0)
			return -1;
		if (!r->m.peek &&
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

	if (vmf_package_sums_rewind(r->m.sums, err) < 0 ||
	    vmf_package_member_expect(
		&r->m, PACKAGE_SUMS, VMF_TAR_SIZE_MAX, err) < 0)
		return -1;
	while (!r->m.peek &&
	       (more = vmf_package_sums_next(r->m.sums, want, err)) > 0) {
		len = strlen(want);
		if (vmf_package_member_read(&r->m, is,
			len < r->m.left ? len : (size_t)r->m.left, &got,
			err) < 0)
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
	if (r->m.left > 0 && !r->m.peek)
		return vmf_fail(err, VMF_INTEGRITY,
		    PACKAGE_SUMS " has lines for what is not there");
	return vmf_package_member_close(&r->m, false, digest, err);
}

static int
check_tail(const struct vmf_package_reader *r, const uint8_t sums[VMF_SHA_LEN],
    struct vmf_error *err)
{
	const struct vmf_manifest_tail *tail = vmf_manifest_tail(r->manifest);
	size_t i;

	if (memcmp(tail->sums, sums, VMF_SHA_LEN) != 0 ||
	    tail->members != vmf_package_sums_lines(r->m.sums))
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
	char *text = vmf_package_member_text(&r->m, PACKAGE_TAIL,
	    VMF_PACKAGE_JSON_MAX, false, &len, digest, err);
	int rc;

	if (text == NULL)
		return -1;
	rc = vmf_manifest_parse_tail(r->manifest, text, len, err);
	/* Kept for the signature that must come next. */
	r->tail = text;
	r->tail_len = len;
	if (rc < 0)
		return vmf_wrap(err, "member %s", PACKAGE_TAIL);
	vmf_package_sums_line(PACKAGE_TAIL, digest, line);
	return r->m.peek ? 0 : check_tail(r, sums, err);
}

/* A signature is carried and summed; whose it is, is asked with a key only. */
static int
read_signature(struct vmf_package_reader *r, char line[PACKAGE_SUM_LINE],
    struct vmf_error *err)
{
	uint8_t digest[VMF_SHA_LEN];
	char *bytes;
	size_t len;
	int rc = 0;

	line[0] = '\0';
	if (vmf_package_member_look(&r->m, err) < 0)
		return -1;
	if (strcmp(r->m.head.name, PACKAGE_SIG) != 0)
		return r->key == NULL ? 0
				      : vmf_fail(err, VMF_INTEGRITY,
					    "is not signed, but a key was "
					    "given");
	bytes = vmf_package_member_text(
	    &r->m, PACKAGE_SIG, VMF_SIGN_LEN, false, &len, digest, err);
	if (bytes == NULL)
		return -1;
	if (len != VMF_SIGN_LEN)
		rc = vmf_fail(
		    err, VMF_INTEGRITY, PACKAGE_SIG " is of a wrong length");
	else if (r->key != NULL)
		rc = vmf_sign_check(
		    r->key, r->tail, r->tail_len, (const uint8_t *)bytes, err);
	free(bytes);
	r->has_signature = true;
	vmf_package_sums_line(PACKAGE_SIG, digest, line);
	return rc;
}

static int
read_end(struct vmf_package_reader *r, const char *tail, const char *signature,
    struct vmf_error *err)
{
	struct vmf_tar_member more;
	size_t len;
	char *text = vmf_package_member_text(
	    &r->m, PACKAGE_END, 2 * PACKAGE_SUM_LINE, false, &len, NULL, err);
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
	follows = vmf_tar_reader_next(r->m.tar, &more, err);
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
	    (!r->m.peek && vmf_tar_reader_finish(r->m.tar, err) < 0))
		return -1;
	if (summary == NULL)
		return 0;
	memset(summary, 0, sizeof(*summary));
	summary->bytes = vmf_tar_reader_bytes(r->m.tar);
	summary->members = vmf_package_sums_lines(r->m.sums);
	summary->has_signature = r->has_signature;
	for (i = 0; i < r->info->nimages; i++) {
		summary->size += r->info->images[i].geo.size;
		summary->stored += vmf_package_reader_totals(r, i)->stored;
	}
	return 0;
}

struct vmf_package_reader *
vmf_package_peek(int fd, const struct vmf_package_reader_options *options,
    struct vmf_error *err)
{
	static const struct vmf_package_reader_options none;
	struct vmf_package_reader *r = open_reader(
	    (struct vmf_in){0}, fd, options != NULL ? options : &none, err);
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
	vmf_package_member_clear(&r->m);
	vmf_manifest_free(r->manifest);
	vmf_package_track_free(r->track);
	free(r->tracked);
	free(r->tail);
	free(r->xml);
	free(r);
}
