/*
 * extent.h - (offset, length, kind), ascending and contiguous in a map
 *
 * Thread rule: a map that is no longer added to may be read by any thread.
 */
#ifndef VMFERRY_EXTENT_H
#define VMFERRY_EXTENT_H

#include <stdint.h>

#include <vmferry/error.h>

enum vmf_extent_kind {
	VMF_EXTENT_DATA, /* must be read */
	VMF_EXTENT_ZERO, /* reads as zeros */
};

struct vmf_extent {
	uint64_t off, len; /* bytes, len > 0 */
	enum vmf_extent_kind kind;
};

/*
 * A map of a whole disk.  Only its zero extents are kept: what nobody said
 * anything of is data.
 */
struct vmf_extents;
struct vmf_extents *vmf_extents_new(struct vmf_error *err);
/* Zeros from off on; ascending and not overlapping (else VMF_INTEGRITY). */
int vmf_extents_add_zero(
    struct vmf_extents *map, uint64_t len, uint64_t off, struct vmf_error *err);
/* Cut ext, which begins where the caller looks, to what has one kind. */
void vmf_extents_refine(const struct vmf_extents *map, struct vmf_extent *ext);
/* Bytes of all zero extents. */
uint64_t vmf_extents_zeros(const struct vmf_extents *map);
void vmf_extents_free(struct vmf_extents *map);

#endif
