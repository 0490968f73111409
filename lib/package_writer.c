/* package_writer.c - see vmferry/package.h */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <vmferry/manifest.h>

#include "package_internal.h"

#define COPY_LEN ((size_t)256 << 10)

/* Members come in this order; each call checks that it is its turn. */
enum turn {
	TURN_XML,
	TURN_FILES, /* files and images */
	TURN_IMAGE, /* within one */
	TURN_DONE,
};

struct vmf_package_writer {
	const struct vmf_package_info *info;
	struct vmf_tar_writer *tar;
	struct vmf_package_sums *sums;
	struct vmf_sha *sha; /* of the present member */
	struct vmf_tar_member member;
	char *scratch;
	const struct vmf_sign_key *key; /* NULL: unsigned */
	enum turn turn;
	size_t file, image; /* that come next */
	uint8_t *copy;	    /* COPY_LEN */

	/* The segment that fills up; its pages are touched once and reused. */
	uint8_t *segment;
	size_t segment_len;
	uint64_t segment_off;
	bool ended; /* the image's END is in it */

	struct vmf_digests **lists; /* one for each image */
	struct vmf_manifest_image *totals;
};

/* --- members */

static int
begin(struct vmf_package_writer *w, struct vmf_error *err)
{
	return vmf_tar_writer_begin(w->tar, &w->member, err);
}

static int
data(struct vmf_package_writer *w, const void *buf, size_t len,
    struct vmf_error *err)
{
	if (vmf_sha_update(w->sha, buf, len, err) < 0)
		return -1;
	return vmf_tar_writer_data(w->tar, buf, len, err);
}

/* digest (may be NULL) gets what SHA256SUMS would say. */
static int
end(struct vmf_package_writer *w, bool listed, uint8_t *digest,
    struct vmf_error *err)
{
	uint8_t sum[VMF_SHA_LEN];

	if (vmf_tar_writer_end(w->tar, err) < 0 ||
	    vmf_sha_final(w->sha, sum, err) < 0)
		return -1;
	if (digest != NULL)
		memcpy(digest, sum, VMF_SHA_LEN);
	return listed ? vmf_package_sums_add(w->sums, w->member.name, sum, err)
		      : 0;
}

static void
name_fixed(struct vmf_package_writer *w, const char *name, uint64_t size)
{
	memset(&w->member, 0, sizeof(w->member));
	strncpy(w->member.name, name, VMF_TAR_NAME_MAX);
	w->member.size = size;
}

static int
whole(struct vmf_package_writer *w, const char *name, const void *buf,
    size_t len, bool listed, uint8_t *digest, struct vmf_error *err)
{
	name_fixed(w, name, len);
	if (begin(w, err) < 0 || data(w, buf, len, err) < 0)
		return -1;
	return end(w, listed, digest, err);
}

/* w->member, with exactly its size of bytes from in. */
static int
copy_in(struct vmf_package_writer *w, struct vmf_in in, struct vmf_error *err)
{
	uint64_t left = w->member.size;
	size_t want, got;

	if (begin(w, err) < 0)
		return -1;
	for (; left > 0; left -= got) {
		want = left < COPY_LEN ? (size_t)left : COPY_LEN;
		if (in.read(in.ctx, w->copy, want, &got, err) < 0 ||
		    data(w, w->copy, got, err) < 0)
			return -1;
		if (got < want)
			goto changed;
	}
	if (in.read(in.ctx, w->copy, 1, &got, err) < 0)
		return -1;
	if (got == 0)
		return end(w, true, NULL, err);
changed:
	return vmf_fail(err, VMF_IO, "%s: changed its size while it was read",
	    w->member.name);
}

/* --- the writer */

static int
write_head(struct vmf_package_writer *w, struct vmf_error *err)
{
	size_t len;
	char *text = vmf_manifest_format_head(w->info, &len, err);
	int rc;

	if (text == NULL)
		return -1;
	rc = whole(w, PACKAGE_HEAD, text, len, true, NULL, err);
	free(text);
	return rc;
}

struct vmf_package_writer *
vmf_package_writer_new(struct vmf_out out, const struct vmf_package_info *info,
    const char *scratch, struct vmf_error *err)
{
	struct vmf_package_writer *w = calloc(1, sizeof(*w));

	if (w == NULL)
		goto no_memory;
	if (vmf_package_check(info, VMF_REFUSED, err) < 0)
		goto fail;
	w->info = info;
	w->copy = malloc(COPY_LEN);
	w->segment = malloc(VMF_SEGMENT_MAX);
	w->scratch = scratch != NULL ? strdup(scratch) : NULL;
	w->lists = calloc(info->nimages + 1, sizeof(struct vmf_digests *));
	w->totals = calloc(info->nimages + 1, sizeof(*w->totals));
	if (w->copy == NULL || w->segment == NULL || w->lists == NULL ||
	    w->totals == NULL || (scratch != NULL && w->scratch == NULL))
		goto no_memory;
	w->sums = vmf_package_sums_new(scratch, err);
	if (w->sums == NULL)
		goto fail;
	w->sha = vmf_sha_new(err);
	if (w->sha == NULL)
		goto fail;
	w->tar = vmf_tar_writer_new(out, err);
	if (w->tar == NULL || write_head(w, err) < 0)
		goto fail;
	return w;
no_memory:
	vmf_fail_errno(err, VMF_IO, "package");
fail:
	vmf_package_writer_free(w);
	return NULL;
}

static int
out_of_turn(struct vmf_error *err)
{
	return vmf_fail(err, VMF_INTERNAL, "package: a member out of turn");
}

int
vmf_package_writer_xml(struct vmf_package_writer *w, const char *xml,
    size_t len, struct vmf_error *err)
{
	if (w->turn != TURN_XML)
		return out_of_turn(err);
	if (len == 0 || len > VMF_PACKAGE_XML_MAX)
		return vmf_fail(
		    err, VMF_REFUSED, "the domain's XML is empty or too long");
	w->turn = TURN_FILES;
	return whole(w, PACKAGE_XML, xml, len, true, NULL, err);
}

int
vmf_package_writer_file(
    struct vmf_package_writer *w, struct vmf_in in, struct vmf_error *err)
{
	const struct vmf_package_file *f = &w->info->files[w->file];

	if (w->turn != TURN_FILES || w->file >= w->info->nfiles || w->image > 0)
		return out_of_turn(err);
	w->file++;
	name_fixed(w, f->name, f->size);
	return copy_in(w, in, err);
}

/* --- images */

static int
flush_segment(struct vmf_package_writer *w, struct vmf_error *err)
{
	if (w->segment_len == 0)
		return 0;
	vmf_package_name_segment(
	    &w->member, &w->info->images[w->image], w->segment_off);
	w->member.size = w->segment_len;
	if (begin(w, err) < 0 || data(w, w->segment, w->segment_len, err) < 0 ||
	    end(w, true, NULL, err) < 0)
		return -1;
	w->totals[w->image].segments++;
	w->segment_len = 0;
	return 0;
}

/* What a reader will want to see again at the package's end. */
static int
note_object(struct vmf_package_writer *w, const struct vmf_object *obj,
    const uint8_t *head, struct vmf_error *err)
{
	struct vmf_digest_line line = {
	    .off = obj->off, .len = obj->len, .kind = obj->kind};

	if (obj->kind == VMF_START)
		return 0;
	if (obj->kind == VMF_END) {
		w->ended = true;
		return vmf_end_decode(head + VMF_OBJECT_FIXED, obj->body_len,
		    &w->totals[w->image].totals, err);
	}
	memcpy(line.digest, obj->digest, VMF_SHA_LEN);
	return vmf_digests_add(w->lists[w->image], &line, err);
}

static int
segment_put(void *ctx, const struct vmf_object *obj, const uint8_t *head,
    const uint8_t *frame, struct vmf_error *err)
{
	struct vmf_package_writer *w = ctx;
	size_t head_len = vmf_object_head_len(obj);
	size_t len = head_len + (size_t)obj->stored;

	if (w->turn != TURN_IMAGE || w->ended || len > VMF_SEGMENT_MAX)
		return out_of_turn(err);
	if (note_object(w, obj, head, err) < 0)
		return -1;
	if (len > VMF_SEGMENT_MAX - w->segment_len && flush_segment(w, err) < 0)
		return -1;
	if (w->segment_len == 0)
		w->segment_off = obj->off;
	memcpy(w->segment + w->segment_len, head, head_len);
	w->segment_len += head_len;
	if (obj->stored > 0)
		memcpy(w->segment + w->segment_len, frame, (size_t)obj->stored);
	w->segment_len += (size_t)obj->stored;
	return 0;
}

int
vmf_package_writer_image(struct vmf_package_writer *w,
    struct vmf_carrier *carrier, struct vmf_error *err)
{
	if (w->turn != TURN_FILES || w->file != w->info->nfiles ||
	    w->image >= w->info->nimages)
		return out_of_turn(err);
	w->turn = TURN_IMAGE;
	w->ended = false;
	w->segment_len = 0;
	w->lists[w->image] = vmf_digests_new(w->scratch, err);
	if (w->lists[w->image] == NULL)
		return -1;
	*carrier = (struct vmf_carrier){.put = segment_put, .ctx = w};
	vmf_package_name_dir(&w->member, &w->info->images[w->image]);
	if (begin(w, err) < 0)
		return -1;
	return vmf_tar_writer_end(w->tar, err);
}

const struct vmf_package_image *
vmf_package_writer_present(
    const struct vmf_package_writer *w, size_t *number, const uint8_t **id)
{
	*number = w->image;
	*id = w->info->id;
	return &w->info->images[w->image];
}

int
vmf_package_writer_image_end(
    struct vmf_package_writer *w, struct vmf_error *err)
{
	if (w->turn != TURN_IMAGE || !w->ended)
		return out_of_turn(err);
	if (flush_segment(w, err) < 0)
		return -1;
	w->turn = TURN_FILES;
	w->image++;
	return 0;
}

/* --- the end */

static int
write_lists(struct vmf_package_writer *w, struct vmf_error *err)
{
	size_t i;

	for (i = 0; i < w->info->nimages; i++) {
		vmf_package_name_digests(&w->member, &w->info->images[i]);
		w->member.size = vmf_digests_bytes(w->lists[i]);
		if (vmf_digests_rewind(w->lists[i], err) < 0 ||
		    copy_in(w, vmf_digests_in(w->lists[i]), err) < 0)
			return -1;
	}
	return 0;
}

static int
write_sums(struct vmf_package_writer *w, uint8_t digest[VMF_SHA_LEN],
    struct vmf_error *err)
{
	char line[PACKAGE_SUM_LINE];
	int more;

	name_fixed(w, PACKAGE_SUMS, vmf_package_sums_bytes(w->sums));
	if (vmf_package_sums_rewind(w->sums, err) < 0 || begin(w, err) < 0)
		return -1;
	while ((more = vmf_package_sums_next(w->sums, line, err)) > 0)
		if (data(w, line, strlen(line), err) < 0)
			return -1;
	return more < 0 ? -1 : end(w, false, digest, err);
}

void
vmf_package_writer_sign(
    struct vmf_package_writer *w, const struct vmf_sign_key *key)
{
	w->key = key;
}

/* manifest.json, manifest.sig when there is a key, and END of both. */
static int
write_seal(struct vmf_package_writer *w, const char *text, size_t len,
    struct vmf_error *err)
{
	uint8_t digest[VMF_SHA_LEN], signature[VMF_SIGN_LEN];
	char lines[2 * PACKAGE_SUM_LINE];
	size_t used;

	if (whole(w, PACKAGE_TAIL, text, len, false, digest, err) < 0)
		return -1;
	used = vmf_package_sums_line(PACKAGE_TAIL, digest, lines);
	if (w->key != NULL) {
		if (vmf_sign(w->key, text, len, signature, err) < 0 ||
		    whole(w, PACKAGE_SIG, signature, VMF_SIGN_LEN, false,
			digest, err) < 0)
			return -1;
		used +=
		    vmf_package_sums_line(PACKAGE_SIG, digest, lines + used);
	}
	return whole(w, PACKAGE_END, lines, used, false, NULL, err);
}

int
vmf_package_writer_finish(struct vmf_package_writer *w,
    const struct vmf_package_fact *facts, size_t nfacts, struct vmf_error *err)
{
	struct vmf_manifest_tail tail = {
	    .images = w->totals, .facts = facts, .nfacts = nfacts};
	size_t len;
	char *text;
	int rc;

	if (w->turn != TURN_FILES || w->file != w->info->nfiles ||
	    w->image != w->info->nimages)
		return out_of_turn(err);
	w->turn = TURN_DONE;
	if (write_lists(w, err) < 0 || write_sums(w, tail.sums, err) < 0)
		return -1;
	tail.members = vmf_package_sums_lines(w->sums);
	text = vmf_manifest_format_tail(w->info, &tail, &len, err);
	if (text == NULL)
		return -1;
	rc = write_seal(w, text, len, err);
	free(text);
	return rc < 0 ? -1 : vmf_tar_writer_finish(w->tar, err);
}

const struct vmf_totals *
vmf_package_writer_totals(const struct vmf_package_writer *w, size_t n)
{
	return &w->totals[n].totals;
}

void
vmf_package_writer_free(struct vmf_package_writer *w)
{
	size_t i;

	if (w == NULL)
		return;
	for (i = 0; w->lists != NULL && i < w->info->nimages; i++)
		vmf_digests_free(w->lists[i]);
	free(w->lists);
	free(w->totals);
	vmf_tar_writer_free(w->tar);
	vmf_package_sums_free(w->sums);
	vmf_sha_free(w->sha);
	free(w->segment);
	free(w->copy);
	free(w->scratch);
	free(w);
}
