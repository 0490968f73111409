/*
 * qcow2.h - what QEMU's own tools say of an image; it is never parsed here
 *
 * Thread rule: any thread.
 */
#ifndef VMFERRY_QCOW2_H
#define VMFERRY_QCOW2_H

#include <stdbool.h>
#include <stdint.h>

#include <vmferry/error.h>

struct vmf_qcow2 {
	uint64_t virtual_size; /* guest-visible bytes */
	char other[512];       /* backing or data file it needs; "": none */
};

/*
 * Look at the qcow2 file at path, which may be in use.  VMF_REFUSED: it is
 * none.  chain: also see that every file it needs is there and is what it is
 * said to be (VMF_REFUSED).
 */
int vmf_qcow2_look(const char *path, bool chain, struct vmf_qcow2 *info,
    struct vmf_error *err);
/* Make an empty one of that size in the file at path, which exists. */
int vmf_qcow2_create(const char *path, uint64_t size, struct vmf_error *err);

#endif
