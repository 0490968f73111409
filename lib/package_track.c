/* package_track.c - see package_internal.h */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "package_internal.h"

struct vmf_package_track {
	const struct vmf_package_info *info;
	size_t image;
	uint8_t *head; /* fixed part, body and checksum of an object */
	size_t filled, wanted;
	struct vmf_object obj; /* decoded once the fixed part is there */
	uint64_t frame_left;   /* bytes of its frame that are still to pass */
	uint64_t segment;      /* offset its name says, until compared */
	bool segment_start;
	bool started, ended;
	uint64_t off; /* of the next object */
	struct vmf_sha *list;
	struct vmf_package_tracked seen;
};

struct vmf_package_track *
vmf_package_track_new(struct vmf_error *err)
{
	struct vmf_package_track *t = calloc(1, sizeof(*t));

	if (t == NULL) {
		vmf_fail_errno(err, VMF_IO, "package");
		return NULL;
	}
	/* Pages that no body touches cost nothing. */
	t->head = malloc(VMF_OBJECT_FIXED + VMF_BODY_MAX + VMF_OBJECT_SUM);
	if (t->head == NULL)
		vmf_fail_errno(err, VMF_IO, "package");
	else
		t->list = vmf_sha_new(err);
	if (t->list == NULL) {
		vmf_package_track_free(t);
		return NULL;
	}
	return t;
}

void
vmf_package_track_image(struct vmf_package_track *t,
    const struct vmf_package_info *info, size_t image)
{
	t->info = info;
	t->image = image;
	t->filled = 0;
	t->wanted = VMF_OBJECT_FIXED;
	t->frame_left = 0;
	t->started = t->ended = false;
	t->off = 0;
	memset(&t->seen, 0, sizeof(t->seen));
}

int
vmf_package_track_segment(
    struct vmf_package_track *t, uint64_t off, struct vmf_error *err)
{
	if (t->ended)
		return vmf_fail(
		    err, VMF_INTEGRITY, "a segment after the image's END");
	t->segment = off;
	t->segment_start = true;
	t->seen.segments++;
	return 0;
}

static int
track_start(struct vmf_package_track *t, struct vmf_error *err)
{
	uint8_t announced[VMF_START_BODY];

	vmf_start_encode(&t->info->images[t->image].geo, announced);
	if (t->started || t->obj.body_len != VMF_START_BODY ||
	    memcmp(t->head + VMF_OBJECT_FIXED, announced, VMF_START_BODY) != 0)
		return vmf_fail(err, VMF_INTEGRITY,
		    "its START is not what the package announced");
	t->started = true;
	return 0;
}

static int
track_end(struct vmf_package_track *t, struct vmf_error *err)
{
	if (vmf_end_decode(t->head + VMF_OBJECT_FIXED, t->obj.body_len,
		&t->seen.totals, err) < 0)
		return -1;
	t->ended = true;
	return 0;
}

/* Its line in the list of digests. */
static int
track_data(struct vmf_package_track *t, struct vmf_error *err)
{
	struct vmf_digest_line line = {
	    .off = t->obj.off, .len = t->obj.len, .kind = t->obj.kind};
	char text[VMF_DIGEST_LINE_MAX];
	size_t len;

	memcpy(line.digest, t->obj.digest, VMF_SHA_LEN);
	len = vmf_digest_line_format(&line, text);
	t->seen.list_bytes += len;
	t->off += t->obj.len;
	return vmf_sha_update(t->list, text, len, err);
}

/* The header with its body is there. */
static int
track_object(struct vmf_package_track *t, struct vmf_error *err)
{
	const struct vmf_object *obj = &t->obj;

	if (vmf_object_check(obj, t->head, err) < 0)
		return -1;
	if (memcmp(obj->id, t->info->id, VMF_ID_LEN) != 0 ||
	    obj->image != t->image || obj->generation != 0)
		return vmf_fail(
		    err, VMF_INTEGRITY, "an object of another package");
	if (obj->off != t->off || (t->segment_start && t->segment != obj->off))
		return vmf_fail(err, VMF_INTEGRITY,
		    "object at offset %" PRIu64 " where %" PRIu64
		    " comes next, or in a segment of another name",
		    obj->off, t->off);
	if (t->ended || (obj->kind != VMF_START && !t->started))
		return vmf_fail(
		    err, VMF_INTEGRITY, "an object before START or after END");
	t->segment_start = false;
	t->frame_left = obj->stored;
	if (obj->kind == VMF_START)
		return track_start(t, err);
	if (obj->kind == VMF_END)
		return track_end(t, err);
	if (obj->kind == VMF_DATA || obj->kind == VMF_ZERO)
		return track_data(t, err);
	return vmf_fail(
	    err, VMF_INTEGRITY, "an object of kind %d", (int)obj->kind);
}

int
vmf_package_track_bytes(struct vmf_package_track *t, const uint8_t *buf,
    size_t len, struct vmf_error *err)
{
	size_t n;

	for (; len > 0; buf += n, len -= n) {
		if (t->frame_left > 0) {
			n = len < t->frame_left ? len : (size_t)t->frame_left;
			t->frame_left -= n;
			continue;
		}
		n = t->wanted - t->filled;
		n = len < n ? len : n;
		memcpy(t->head + t->filled, buf, n);
		t->filled += n;
		if (t->filled == VMF_OBJECT_FIXED && t->filled == t->wanted) {
			if (vmf_object_decode(t->head, &t->obj, err) < 0)
				return -1;
			t->wanted = vmf_object_head_len(&t->obj);
		} else if (t->filled == t->wanted) {
			if (track_object(t, err) < 0)
				return -1;
			t->filled = 0;
			t->wanted = VMF_OBJECT_FIXED;
		}
	}
	return 0;
}

int
vmf_package_track_segment_end(
    struct vmf_package_track *t, struct vmf_error *err)
{
	if (t->filled != 0 || t->frame_left != 0 || t->segment_start)
		return vmf_fail(
		    err, VMF_INTEGRITY, "a segment ends within an object");
	return 0;
}

int
vmf_package_track_end(struct vmf_package_track *t,
    struct vmf_package_tracked *tracked, struct vmf_error *err)
{
	if (!t->ended)
		return vmf_fail(err, VMF_INTEGRITY, "its END is missing");
	if (vmf_sha_final(t->list, t->seen.list_digest, err) < 0)
		return -1;
	*tracked = t->seen;
	return 0;
}

void
vmf_package_track_free(struct vmf_package_track *t)
{
	if (t == NULL)
		return;
	vmf_sha_free(t->list);
	free(t->head);
	free(t);
}
