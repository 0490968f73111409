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

#endif
