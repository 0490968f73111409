/*
 * direct.h - reading and writing a disk past the page cache where that can be
 *
 * Filling fresh pages of the cache costs more than the disk does, and a disk
 * that is moved is not read again.  So what is not cached yet is read, and
 * everything is written, with O_DIRECT; what is cached is copied from there;
 * odd ends, and files whose system has no O_DIRECT, go the ordinary way.
 *
 * Buffers aligned to VMF_ALIGN are needed for that; others work, but slower.
 * Thread rule: reads and writes from any thread.
 */
#ifndef VMFERRY_DIRECT_H
#define VMFERRY_DIRECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmferry/error.h>

#define VMF_ALIGN 4096 /* of buffers, offsets and lengths */

struct vmf_direct {
	int fd;	 /* buffered */
	int dfd; /* O_DIRECT on the same file, or -1 */
};

/* Takes fd, which is open for writing too when writable is set. */
void vmf_direct_init(struct vmf_direct *d, int fd, bool writable);
int vmf_direct_read(struct vmf_direct *d, void *buf, size_t len, uint64_t off,
    struct vmf_error *err);
/* What the medium has, not the cache: write and sync come before it. */
int vmf_direct_read_medium(struct vmf_direct *d, void *buf, size_t len,
    uint64_t off, struct vmf_error *err);
int vmf_direct_write(struct vmf_direct *d, const void *buf, size_t len,
    uint64_t off, struct vmf_error *err);
void vmf_direct_close(struct vmf_direct *d);

/* len bytes aligned to VMF_ALIGN, or NULL; free() releases them. */
void *vmf_direct_buffer(size_t len);

#endif
