/*
 * partition.h - partition tables, GPT and MBR: by libblkid to read them, by
 * libfdisk to change them
 *
 * Thread rule: any thread.
 */
#ifndef VMFERRY_PARTITION_H
#define VMFERRY_PARTITION_H

#include <stdint.h>

#include <vmferry/error.h>

/*
 * Where partition number (from 1 on; logical ones of MBR from 5 on) of the
 * disk behind fd lies, in bytes.  VMF_REFUSED: no table, or no such
 * partition; the message lists those that are there.
 */
int vmf_partition_find(int fd, const char *name, unsigned number, uint64_t *off,
    uint64_t *len, struct vmf_error *err);
#define VMF_PARTITION_PATH 256

/*
 * A new partition of size bytes (rounded up to sectors) in the GPT of disk,
 * aligned, in free space only: its number and device.  Its GPT name says that
 * it is not complete until vmf_partition_finish().  VMF_REFUSED: no GPT, no
 * room; VMF_BUSY: somebody has the lock of the disk.
 */
int vmf_partition_add(const char *disk, uint64_t size, unsigned *number,
    char path[VMF_PARTITION_PATH], struct vmf_error *err);
int
vmf_partition_finish(const char *disk, unsigned number, struct vmf_error *err);
int
vmf_partition_remove(const char *disk, unsigned number, struct vmf_error *err);

/* The backup of a GPT, left where a smaller disk ended, to the end of disk. */
int vmf_partition_fix_gpt(const char *disk, struct vmf_error *err);

#endif
