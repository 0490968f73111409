/* extents.c - see vmferry/extent.h */
#include <inttypes.h>
#include <stdlib.h>

#include <vmferry/extent.h>

struct range {
	uint64_t off, len;
};

struct vmf_extents {
	struct range *zero; /* ascending, neither touching nor overlapping */
	size_t n, room;
	uint64_t zeros;
};

struct vmf_extents *
vmf_extents_new(struct vmf_error *err)
{
	struct vmf_extents *map = calloc(1, sizeof(*map));

	if (map == NULL)
		vmf_fail_errno(err, VMF_IO, "map of extents");
	return map;
}

static int
make_room(struct vmf_extents *map, struct vmf_error *err)
{
	size_t room = map->room == 0 ? 64 : 2 * map->room;
	struct range *p;

	if (map->n < map->room)
		return 0;
	p = reallocarray(map->zero, room, sizeof(*p));
	if (p == NULL)
		return vmf_fail_errno(err, VMF_IO, "map of extents");
	map->zero = p;
	map->room = room;
	return 0;
}

int
vmf_extents_add_zero(
    struct vmf_extents *map, uint64_t len, uint64_t off, struct vmf_error *err)
{
	struct range *last = map->n == 0 ? NULL : &map->zero[map->n - 1];

	if (len == 0)
		return 0;
	if (len > UINT64_MAX - off ||
	    (last != NULL && off < last->off + last->len))
		return vmf_fail(err, VMF_INTEGRITY,
		    "extents overlap at offset %" PRIu64, off);
	map->zeros += len;
	if (last != NULL && off == last->off + last->len) {
		last->len += len;
		return 0;
	}
	if (make_room(map, err) < 0)
		return -1;
	map->zero[map->n++] = (struct range){off, len};
	return 0;
}

/* The first range that ends after off; n when there is none. */
static size_t
find(const struct vmf_extents *map, uint64_t off)
{
	size_t low = 0, high = map->n, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (map->zero[middle].off + map->zero[middle].len > off)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

void
vmf_extents_refine(const struct vmf_extents *map, struct vmf_extent *ext)
{
	size_t i = find(map, ext->off);
	const struct range *zero = &map->zero[i];
	uint64_t border;

	if (i == map->n)
		return;
	if (zero->off > ext->off) {
		border = zero->off;
	} else {
		ext->kind = VMF_EXTENT_ZERO;
		border = zero->off + zero->len;
	}
	if (border - ext->off < ext->len)
		ext->len = border - ext->off;
}

uint64_t
vmf_extents_zeros(const struct vmf_extents *map)
{
	return map->zeros;
}

void
vmf_extents_free(struct vmf_extents *map)
{
	if (map == NULL)
		return;
	free(map->zero);
	free(map);
}
