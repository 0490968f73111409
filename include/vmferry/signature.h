/*
 * signature.h - what a block device seems to hold, by libblkid
 *
 * Used to refuse overwriting, never to decide how bytes are read.
 * Thread rule: any thread.
 */
#ifndef VMFERRY_SIGNATURE_H
#define VMFERRY_SIGNATURE_H

#include <vmferry/error.h>

/* VMF_REFUSED when it holds a file system, LVM, RAID or partition table. */
int vmf_signature_refuse(int fd, const char *name, struct vmf_error *err);

#endif
