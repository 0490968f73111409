/* extent.h - (offset, length, kind), ascending and contiguous in a map */
#ifndef VMFERRY_EXTENT_H
#define VMFERRY_EXTENT_H

#include <stdint.h>

enum vmf_extent_kind {
	VMF_EXTENT_DATA, /* must be read */
	VMF_EXTENT_ZERO, /* reads as zeros */
};

struct vmf_extent {
	uint64_t off, len; /* bytes, len > 0 */
	enum vmf_extent_kind kind;
};

#endif
