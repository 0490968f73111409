/*
 * inspect_free.c - see inspect.h: which of the trimmed extents can be trusted
 *
 * In the overlay an extent that was trimmed is a zero of its own, one that was
 * written is data of its own.  File systems were mounted read-only, so data
 * that differs from the disk's means that one had to be repaired first: a
 * journal was replayed, orphans were removed.  What is free afterwards may be
 * needed for the same repair by the guest itself.  So nothing counts as free
 * where that happened - in that partition alone if a file system fills it, and
 * in everything that is not such a partition otherwise (volume groups and the
 * like reach over several).
 *
 * XFS is the exception: it writes to its log and its superblock when nothing
 * was to be done, too, and neither makes a block free.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <vmferry/io.h>
#include <vmferry/units.h>

#include "inspect.h"

/* What names a swap area stays: its header, and more than it needs. */
#define SWAP_HEAD VMF_MIB

#define SECTOR 512
#define BLOCK  4096

struct region {
	uint64_t off, len;
	char type[32]; /* of the file system that fills it; else "" */
	uint64_t log_off, log_len; /* of XFS: bytes from its beginning */
	bool dirty;
};

struct found {
	struct region *regions; /* partitions, and the whole disk first */
	size_t n;
	uint64_t size;
	bool rest_dirty; /* outside of the regions that stand alone */
};

struct range {
	uint64_t off, len;
};

/* A not negative number that fits the disk. */
static uint64_t
number(const json_t *obj, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(obj, key));

	return n < 0 ? 0 : (uint64_t)n;
}

static const char *
string(const json_t *obj, const char *key)
{
	const char *s = json_string_value(json_object_get(obj, key));

	return s != NULL ? s : "";
}

static json_t *
filesystem_on(const json_t *report, const char *device)
{
	json_t *fs;
	size_t i;

	json_array_foreach(json_object_get(report, "filesystems"), i,
	    fs) if (strcmp(string(fs, "device"), device) == 0) return fs;
	return NULL;
}

static void
set_region(struct region *region, uint64_t off, uint64_t len,
    const json_t *report, const char *device)
{
	region->off = off;
	region->len = len;
	snprintf(region->type, sizeof(region->type), "%s",
	    string(filesystem_on(report, device), "type"));
}

static int
find_regions(struct found *found, const json_t *report, struct vmf_error *err)
{
	const json_t *parts = json_object_get(report, "partitions");
	const json_t *part;
	size_t i;

	found->size = number(report, "size");
	found->n = 1 + json_array_size(parts);
	found->regions = calloc(found->n, sizeof(*found->regions));
	if (found->regions == NULL)
		return vmf_fail_errno(err, VMF_IO, "partitions");
	set_region(&found->regions[0], 0, found->size, report, "/dev/sda");
	for (i = 1; i < found->n; i++) {
		part = json_array_get(parts, i - 1);
		set_region(&found->regions[i], number(part, "offset"),
		    number(part, "size"), report, string(part, "device"));
	}
	return 0;
}

/* The smallest that holds off: an extended partition holds others. */
static struct region *
region_of(const struct found *found, uint64_t off)
{
	struct region *best = &found->regions[0], *r;
	size_t i;

	for (i = 1; i < found->n; i++) {
		r = &found->regions[i];
		if (off >= r->off && off - r->off < r->len &&
		    r->len < best->len)
			best = r;
	}
	return best;
}

/* A file system that lives in this region and nowhere else. */
static bool
stands_alone(const struct region *r)
{
	return strncmp(r->type, "ext", 3) == 0 || strcmp(r->type, "xfs") == 0 ||
	       strcmp(r->type, "ntfs") == 0;
}

static bool
is_own(const json_t *extent)
{
	return json_integer_value(json_object_get(extent, "depth")) == 0;
}

static bool
is_written(const json_t *extent)
{
	return is_own(extent) && json_is_true(json_object_get(extent, "data"));
}

static bool
is_trimmed(const json_t *extent)
{
	return is_own(extent) &&
	       json_is_true(json_object_get(extent, "zero")) &&
	       !json_is_true(json_object_get(extent, "data"));
}

static uint32_t
get_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	       (uint32_t)p[2] << 8 | p[3];
}

/*
 * Where the log is, from the superblock (xfs_format.h: sb_blocksize at 4,
 * sb_logstart at 48, sb_agblocks at 84, sb_logblocks at 96, sb_agblklog at
 * 124).  A guest that lies about it harms nobody but itself.
 */
static void
find_xfs_log(struct region *r, int disk)
{
	uint8_t sb[SECTOR];
	uint64_t start, block, group;
	unsigned shift;

	if (strcmp(r->type, "xfs") != 0 ||
	    vmf_pread_full(disk, sb, sizeof(sb), r->off, NULL) < 0 ||
	    memcmp(sb, "XFSB", 4) != 0)
		return;
	block = get_be32(sb + 4);
	start = (uint64_t)get_be32(sb + 48) << 32 | get_be32(sb + 52);
	shift = sb[124];
	if (start == 0 || shift > 31 || block > 65536 ||
	    start >> shift > UINT32_MAX)
		return;
	group = (start >> shift) * get_be32(sb + 84);
	start = group + (start & ((UINT64_C(1) << shift) - 1));
	if (start > r->len / (block | 1))
		return;
	r->log_off = start * block;
	r->log_len = get_be32(sb + 96) * block;
}

/* One sector of the overlay is another than the disk's. */
static void
mark_sector(struct found *found, uint64_t off)
{
	struct region *r = region_of(found, off);

	if (!stands_alone(r))
		found->rest_dirty = true;
	else if (strcmp(r->type, "xfs") != 0 ||
		 (off != r->off &&
		     (off - r->off < r->log_off ||
			 off - r->off - r->log_off >= r->log_len)))
		r->dirty = true;
}

/* What the overlay has of its own, against what the disk has. */
static int
mark_extent(struct found *found, const json_t *extent, int overlay, int disk,
    struct vmf_error *err)
{
	uint64_t off = number(extent, "start"), len = number(extent, "length");
	uint64_t at = number(extent, "offset");
	uint8_t ours[BLOCK], theirs[BLOCK];
	size_t n, i;

	if (len > found->size || off > found->size - len)
		len = off < found->size ? found->size - off : 0;
	for (; len > 0; len -= n, off += n, at += n) {
		n = len < BLOCK ? (size_t)len : BLOCK;
		if (vmf_pread_full(overlay, ours, n, at, err) < 0 ||
		    vmf_pread_full(disk, theirs, n, off, err) < 0)
			return -1;
		for (i = 0; i < n; i += SECTOR)
			if (memcmp(ours + i, theirs + i,
				n - i < SECTOR ? n - i : SECTOR) != 0)
				mark_sector(found, off + i);
	}
	return 0;
}

static int
mark_dirty(struct found *found, const json_t *extents, int overlay, int disk,
    struct vmf_error *err)
{
	const json_t *extent;
	size_t i;

	for (i = 0; i < found->n; i++)
		if (disk >= 0)
			find_xfs_log(&found->regions[i], disk);
	json_array_foreach(extents, i, extent)
	{
		if (!is_written(extent))
			continue;
		/* A container's bytes cannot be compared: take them for new. */
		if (disk < 0)
			mark_sector(found, number(extent, "start"));
		else if (mark_extent(found, extent, overlay, disk, err) < 0)
			return -1;
	}
	return 0;
}

static bool
is_trusted(const struct found *found, const struct region *r)
{
	return stands_alone(r) ? !r->dirty : !found->rest_dirty;
}

static void
note_dirty(const struct found *found, json_t *report)
{
	const json_t *parts = json_object_get(report, "partitions");
	json_t *fs;
	size_t i;
	const char *device;

	json_array_foreach(json_object_get(report, "filesystems"), i, fs)
	{
		const struct region *r = NULL;
		size_t j;

		device = string(fs, "device");
		if (strcmp(device, "/dev/sda") == 0)
			r = &found->regions[0];
		for (j = 1; j < found->n; j++)
			if (strcmp(device, string(json_array_get(parts, j - 1),
					       "device")) == 0)
				r = &found->regions[j];
		if (r == NULL ? !found->rest_dirty : is_trusted(found, r))
			continue;
		if (!json_is_true(json_object_get(fs, "trimmed")))
			continue;
		json_object_del(fs, "trimmed");
		json_object_set_new(fs, "note",
		    json_string("was not unmounted cleanly: nothing of it "
				"counts as free"));
	}
}

static int
compare(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return x->off < y->off ? -1 : x->off > y->off;
}

/* Trimmed extents, cut where a region begins or ends. */
static size_t
collect_trimmed(const struct found *found, const json_t *extents,
    struct range *list, size_t max)
{
	uint64_t off, end, next;
	const json_t *extent;
	size_t i, j, n = 0;

	json_array_foreach(extents, i, extent)
	{
		if (!is_trimmed(extent))
			continue;
		off = number(extent, "start");
		end = off + number(extent, "length");
		if (end > found->size)
			end = found->size;
		for (; off < end && n < max; off = next) {
			next = end;
			for (j = 1; j < found->n; j++) {
				const struct region *r = &found->regions[j];

				if (r->off > off && r->off < next)
					next = r->off;
				if (r->off + r->len > off &&
				    r->off + r->len < next)
					next = r->off + r->len;
			}
			if (is_trusted(found, region_of(found, off)))
				list[n++] = (struct range){off, next - off};
		}
	}
	return n;
}

static size_t
collect_swap(const struct found *found, struct range *list)
{
	const struct region *r;
	size_t i, n = 0;

	for (i = 0; i < found->n; i++) {
		r = &found->regions[i];
		/* A table may promise more than the disk has. */
		if (strcmp(r->type, "swap") == 0 && r->len > SWAP_HEAD &&
		    r->off <= found->size && r->len <= found->size - r->off)
			list[n++] = (struct range){
			    r->off + SWAP_HEAD, r->len - SWAP_HEAD};
	}
	return n;
}

int
vmf_inspect_free(const json_t *extents, int overlay, int disk, json_t *report,
    bool swap_is_free, struct vmf_freemap *map, struct vmf_error *err)
{
	struct found found = {0};
	struct range *list = NULL;
	size_t max, n = 0, i;
	int rc = -1;

	if (find_regions(&found, report, err) < 0)
		goto out;
	if (mark_dirty(&found, extents, overlay, disk, err) < 0)
		goto out;
	note_dirty(&found, report);
	/* Each border of a region cuts one extent at most, and swap areas come
	 * on top. */
	max = json_array_size(extents) + 3 * found.n;
	list = calloc(max, sizeof(*list));
	if (list == NULL) {
		vmf_fail_errno(err, VMF_IO, "free extents");
		goto out;
	}
	n = collect_trimmed(&found, extents, list, max - found.n);
	if (swap_is_free)
		n += collect_swap(&found, list + n);
	qsort(list, n, sizeof(*list), compare);
	for (i = 0; i < n; i++)
		if (vmf_freemap_add(map, list[i].len, list[i].off, err) < 0)
			goto out;
	rc = 0;
out:
	free(list);
	free(found.regions);
	return rc;
}
