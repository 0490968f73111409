/*
 * salvage.c - see vmferry/salvage.h
 *
 * One pass: look for the two magics of an object's header; check the header;
 * if it holds, check what it carries, take that and go on behind it, else go
 * on behind the magic.  An object never spans members, so its bytes always
 * follow each other.  What lies in the frames of whole objects is never looked
 * at, and what a guest's disk holds of other packages has another id.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vmferry/codec.h>
#include <vmferry/digest.h>
#include <vmferry/digests.h>
#include <vmferry/manifest.h>
#include <vmferry/salvage.h>
#include <vmferry/tar.h>

#define WINDOW	  ((size_t)1 << 20) /* bytes looked through at a time */
#define READ_STEP 4096		    /* where a larger read failed */
#define MAGIC	  "VMFO"
#define MAGIC_AT  8 /* in the header, behind zstd's own */

struct disk {
	struct vmf_geometry geo;
	uint64_t chunks, whole;
	uint8_t *map; /* a bit for each whole chunk */
	int fd;	      /* -1: only look */
};

struct vmf_salvage {
	int fd;
	uint64_t size; /* of the file */
	struct vmf_progress *progress;
	struct vmf_manifest *manifest;
	const struct vmf_package_info *info;
	uint8_t id[VMF_ID_LEN]; /* of the first START */
	bool has_id;
	struct disk *disks;
	uint8_t *window, *head, *frame, *raw;
	uint8_t *zeros; /* VMF_ZERO_FRAME_MAX */
	struct vmf_decoder *dec;
};

/* len bytes at off, zeros where the medium gives none. */
static int
read_at(const struct vmf_salvage *s, uint8_t *buf, size_t len, uint64_t off,
    struct vmf_error *err)
{
	size_t n;

	if (vmf_pread_full(s->fd, buf, len, off, err) == 0)
		return 0;
	for (; len > 0; buf += n, off += n, len -= n) {
		n = len < READ_STEP ? len : READ_STEP;
		if (vmf_progress_check(s->progress, err) < 0)
			return -1;
		if (vmf_pread_full(s->fd, buf, n, off, NULL) < 0)
			memset(buf, 0, n);
	}
	return 0;
}

/* --- opening */

/* The JSON of the first member; its length by the header, or by its padding. */
static int
read_head(struct vmf_salvage *s, struct vmf_error *err)
{
	size_t len = s->size < VMF_TAR_BLOCK + VMF_PACKAGE_JSON_MAX
			 ? (size_t)s->size
			 : (size_t)(VMF_TAR_BLOCK + VMF_PACKAGE_JSON_MAX);
	char *text = calloc(1, len + 1), *json, *end;
	unsigned long long said;

	if (text == NULL)
		return vmf_fail_errno(err, VMF_IO, "package");
	if (len < VMF_TAR_BLOCK ||
	    read_at(s, (uint8_t *)text, len, 0, err) < 0) {
		free(text);
		return vmf_fail(err, VMF_INTEGRITY, "is too short");
	}
	json = text + VMF_TAR_BLOCK;
	said = strtoull(text + 124, &end, 8);
	if (end == text + 124 || said > len - VMF_TAR_BLOCK)
		said = strlen(json);
	s->manifest = vmf_manifest_parse(json, (size_t)said, err);
	if (s->manifest == NULL)
		s->manifest = vmf_manifest_parse(json, strlen(json), err);
	free(text);
	if (s->manifest == NULL)
		return vmf_wrap(err,
		    "nothing can be found in it, as its first member is "
		    "damaged");
	s->info = vmf_manifest_info(s->manifest);
	return 0;
}

static int
set_geometry(
    struct disk *d, const struct vmf_geometry *geo, struct vmf_error *err)
{
	uint64_t chunks = vmf_chunk_count(geo->size, geo->chunk);
	uint8_t *map;

	if (geo->size == VMF_SIZE_UNKNOWN || chunks > VMF_PACKAGE_CHUNKS_MAX)
		return 0; /* the head's stands */
	map = calloc(1, (size_t)(chunks / 8) + 1);
	if (map == NULL)
		return vmf_fail_errno(err, VMF_IO, "package");
	free(d->map);
	d->map = map;
	d->chunks = chunks;
	d->geo = *geo;
	return 0;
}

struct vmf_salvage *
vmf_salvage_open(int fd, struct vmf_progress *progress, struct vmf_error *err)
{
	struct vmf_salvage *s = calloc(1, sizeof(*s));
	off_t size = lseek(fd, 0, SEEK_END);
	size_t i;

	if (s == NULL || size < 0) {
		vmf_fail_errno(err, VMF_IO, "package");
		goto fail;
	}
	s->fd = fd;
	s->size = (uint64_t)size;
	s->progress = progress;
	if (read_head(s, err) < 0)
		goto fail;
	s->disks = calloc(s->info->nimages + 1, sizeof(*s->disks));
	s->window = malloc(WINDOW);
	s->head = malloc(VMF_OBJECT_FIXED + VMF_BODY_MAX + VMF_OBJECT_SUM);
	s->frame = malloc(vmf_frame_bound(VMF_CHUNK_MAX));
	s->raw = malloc(VMF_CHUNK_MAX);
	s->zeros = malloc(VMF_ZERO_FRAME_MAX);
	if (s->disks == NULL || s->window == NULL || s->head == NULL ||
	    s->frame == NULL || s->raw == NULL || s->zeros == NULL) {
		vmf_fail_errno(err, VMF_IO, "package");
		goto fail;
	}
	s->dec = vmf_decoder_new(err);
	if (s->dec == NULL)
		goto fail;
	for (i = 0; i < s->info->nimages; i++) {
		s->disks[i].fd = -1;
		if (set_geometry(&s->disks[i], &s->info->images[i].geo, err) <
		    0)
			goto fail;
	}
	return s;
fail:
	vmf_salvage_free(s);
	return NULL;
}

const struct vmf_package_info *
vmf_salvage_info(const struct vmf_salvage *s)
{
	return s->info;
}

void
vmf_salvage_target(struct vmf_salvage *s, size_t n, int fd)
{
	s->disks[n].fd = fd;
}

/* --- looking */

static bool
is_whole_chunk(const struct disk *d, uint64_t chunk)
{
	return (d->map[chunk / 8] >> chunk % 8 & 1) != 0;
}

/* Does this object of disk d lie where chunks lie? */
static bool
fits(const struct disk *d, const struct vmf_object *obj)
{
	uint64_t end = obj->off + obj->len;

	return obj->off % d->geo.chunk == 0 && end <= d->geo.size &&
	       (end == d->geo.size || obj->len % d->geo.chunk == 0) &&
	       (obj->kind == VMF_ZERO || obj->len <= d->geo.chunk);
}

/* Is what it carries as its header says?  DATA leaves its bytes in s->raw. */
static int
is_whole(struct vmf_salvage *s, const struct vmf_object *obj, uint64_t off,
    bool *whole, struct vmf_error *err)
{
	uint8_t digest[VMF_SHA_LEN];
	size_t stored = (size_t)obj->stored;
	struct vmf_error why;

	*whole = false;
	if (stored == 0 || off > s->size || stored > s->size - off)
		return 0;
	if (read_at(s, s->frame, stored, off, err) < 0)
		return -1;
	if (vmf_checksum(s->frame, stored) != obj->frame_sum)
		return 0;
	if (obj->kind == VMF_ZERO) {
		vmf_zero_frame(obj->len, s->zeros);
		*whole = memcmp(s->frame, s->zeros, stored) == 0;
		return 0;
	}
	if (vmf_decode(
		s->dec, s->frame, stored, s->raw, (size_t)obj->len, &why) < 0)
		return 0;
	if (vmf_sha256(s->raw, (size_t)obj->len, digest, err) < 0)
		return -1;
	*whole = memcmp(digest, obj->digest, VMF_SHA_LEN) == 0;
	return 0;
}

/* The chunks of a whole object; what came once does not come again. */
static int
take(struct vmf_salvage *s, struct disk *d, const struct vmf_object *obj,
    struct vmf_error *err)
{
	uint64_t first = obj->off / d->geo.chunk, i;
	uint64_t n = vmf_chunk_count(obj->len, d->geo.chunk);
	bool new = false;

	for (i = first; i < first + n; i++) {
		if (is_whole_chunk(d, i))
			continue;
		d->map[i / 8] |= (uint8_t)(1 << i % 8);
		d->whole++;
		new = true;
	}
	if (!new || obj->kind == VMF_ZERO || d->fd < 0)
		return 0;
	return vmf_pwrite_full(d->fd, s->raw, (size_t)obj->len, obj->off, err);
}

/* START is checksummed, the head need not be: it is believed, before data. */
static int
take_start(
    struct vmf_salvage *s, const struct vmf_object *obj, struct vmf_error *err)
{
	struct disk *d = &s->disks[obj->image];
	struct vmf_geometry geo;
	struct vmf_error why;

	if (!s->has_id)
		memcpy(s->id, obj->id, VMF_ID_LEN);
	s->has_id = true;
	if (memcmp(obj->id, s->id, VMF_ID_LEN) != 0 || d->whole > 0 ||
	    vmf_start_decode(
		s->head + VMF_OBJECT_FIXED, obj->body_len, &geo, &why) < 0)
		return 0;
	return set_geometry(d, &geo, err);
}

/* The object whose header may stand at off: *len bytes of it, 0 for none. */
static int
look_at(
    struct vmf_salvage *s, uint64_t off, uint64_t *len, struct vmf_error *err)
{
	struct vmf_object obj;
	struct vmf_error why;
	size_t head;
	bool whole;

	*len = 0;
	if (s->size - off < VMF_OBJECT_FIXED)
		return 0;
	if (read_at(s, s->head, VMF_OBJECT_FIXED, off, err) < 0)
		return -1;
	if (vmf_object_decode(s->head, &obj, &why) < 0)
		return 0;
	head = vmf_object_head_len(&obj);
	if (head > s->size - off)
		return 0;
	if (read_at(s, s->head + VMF_OBJECT_FIXED, head - VMF_OBJECT_FIXED,
		off + VMF_OBJECT_FIXED, err) < 0)
		return -1;
	if (vmf_object_check(&obj, s->head, &why) < 0 ||
	    obj.image >= s->info->nimages || obj.generation != 0)
		return 0;
	if (obj.kind == VMF_START) {
		*len = head;
		return take_start(s, &obj, err);
	}
	if (memcmp(obj.id, s->has_id ? s->id : s->info->id, VMF_ID_LEN) != 0)
		return 0;
	*len = head;
	if ((obj.kind != VMF_DATA && obj.kind != VMF_ZERO) ||
	    !fits(&s->disks[obj.image], &obj))
		return 0;
	if (is_whole(s, &obj, off + head, &whole, err) < 0)
		return -1;
	if (!whole)
		return 0;
	*len += obj.stored;
	return take(s, &s->disks[obj.image], &obj, err);
}

/* The next place from *off on where a header may stand; false: none. */
static int
find_header(
    struct vmf_salvage *s, uint64_t *off, bool *found, struct vmf_error *err)
{
	size_t n, at;
	uint8_t *p;

	for (*found = false; s->size - *off >= VMF_OBJECT_FIXED;) {
		n = s->size - *off < WINDOW ? (size_t)(s->size - *off) : WINDOW;
		if (vmf_progress_check(s->progress, err) < 0 ||
		    read_at(s, s->window, n, *off, err) < 0)
			return -1;
		p = memmem(
		    s->window + MAGIC_AT, n - MAGIC_AT, MAGIC, strlen(MAGIC));
		if (p != NULL) {
			at = (size_t)(p - s->window) - MAGIC_AT;
			*off += at;
			*found = true;
			return 0;
		}
		/* A header may begin in the last bytes. */
		*off += n - MAGIC_AT - strlen(MAGIC) + 1;
	}
	return 0;
}

int
vmf_salvage_run(struct vmf_salvage *s, struct vmf_error *err)
{
	uint64_t off = 0, len;
	bool found = true;
	size_t i;

	while (off < s->size) {
		/* Most often one object follows the other. */
		if (vmf_progress_check(s->progress, err) < 0 ||
		    look_at(s, off, &len, err) < 0)
			return -1;
		if (len == 0) {
			off++;
			if (find_header(s, &off, &found, err) < 0)
				return -1;
			if (!found)
				break;
		}
		off += len;
		if (s->progress != NULL)
			atomic_store(&s->progress->done, off);
	}
	for (i = 0; i < s->info->nimages; i++)
		if (s->disks[i].fd >= 0 &&
		    ftruncate(s->disks[i].fd, (off_t)s->disks[i].geo.size) < 0)
			return vmf_fail_errno(
			    err, VMF_IO, "disk %s", s->info->images[i].name);
	return 0;
}

/* --- what was found */

uint64_t
vmf_salvage_chunks(const struct vmf_salvage *s, size_t n)
{
	return s->disks[n].chunks;
}

uint64_t
vmf_salvage_whole(const struct vmf_salvage *s, size_t n)
{
	return s->disks[n].whole;
}

bool
vmf_salvage_lost(const struct vmf_salvage *s, size_t n, uint64_t from,
    uint64_t *off, uint64_t *len)
{
	const struct disk *d = &s->disks[n];
	uint64_t i = vmf_chunk_count(from, d->geo.chunk), end;

	while (i < d->chunks && is_whole_chunk(d, i))
		i++;
	if (i >= d->chunks)
		return false;
	for (end = i; end < d->chunks && !is_whole_chunk(d, end);)
		end++;
	*off = i * d->geo.chunk;
	*len = (end == d->chunks ? d->geo.size : end * d->geo.chunk) - *off;
	return true;
}

void
vmf_salvage_free(struct vmf_salvage *s)
{
	size_t i;

	if (s == NULL)
		return;
	for (i = 0; s->disks != NULL && i < s->info->nimages; i++)
		free(s->disks[i].map);
	free(s->disks);
	vmf_manifest_free(s->manifest);
	vmf_decoder_free(s->dec);
	free(s->window);
	free(s->head);
	free(s->frame);
	free(s->raw);
	free(s->zeros);
	free(s);
}
