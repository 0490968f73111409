/*
 * inuse.h - who else has a disk open
 *
 * Two signs are looked at: QEMU's image locks (open file description locks on
 * bytes 100 to 203 of an image file; docs/interop and block/file-posix.c of
 * QEMU), and the open descriptors of all processes that /proc shows - by
 * device number for block devices, since a domain's private /dev gives them
 * other inodes.  Neither is proof of absence: another mount or PID namespace
 * may hide a process, which is why libvirt is asked too where it is at hand.
 *
 * Thread rule: any thread.
 */
#ifndef VMFERRY_INUSE_H
#define VMFERRY_INUSE_H

#include <vmferry/error.h>

/* VMF_REFUSED when somebody else has it open for writing. */
int vmf_inuse_by_writer(int fd, const char *path, struct vmf_error *err);

/*
 * VMF_REFUSED when the block device behind fd is mounted, swap, or part of
 * something else (LVM, MD, a mounted partition).
 */
int vmf_inuse_by_system(int fd, const char *path, struct vmf_error *err);

#endif
