/*
 * source.h - where a disk's bytes come from: an image file, a block device, a
 * pipe - or a part of one
 *
 * Opened once and used by descriptor only, so a path swapped later changes
 * nothing.  The format of the bytes is never guessed from them.
 *
 * Thread rule: vmf_source_extent() by one thread; vmf_source_read() by many
 * at once, but for a pipe, which must be read in order by one.
 */
#ifndef VMFERRY_SOURCE_H
#define VMFERRY_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmferry/error.h>
#include <vmferry/extent.h>
#include <vmferry/io.h>
#include <vmferry/object.h>

struct vmf_source;

struct vmf_source_options {
	bool no_holes; /* do not believe what the file system says of holes */
	bool live;     /* it may be written to meanwhile: no check for that */

	/* A part of it, in bytes; len 0: up to the end. */
	uint64_t off, len;
	unsigned partition; /* that of its table instead; 0: none */
};

/*
 * A regular file or block device; anything else is refused, and so is a part
 * that is not there.
 */
struct vmf_source *vmf_source_open(const char *path,
    const struct vmf_source_options *options, struct vmf_error *err);
/*
 * What QEMU's code sees in the image of this format ("qcow2") at path, its
 * backing chain included; and what an NBD server shows (nbd://HOST/EXPORT,
 * nbd+unix:///EXPORT?socket=PATH).
 */
struct vmf_source *vmf_source_flatten(const char *path, const char *format,
    const struct vmf_source_options *options, struct vmf_error *err);
struct vmf_source *vmf_source_uri(const char *uri,
    const struct vmf_source_options *options, struct vmf_error *err);
/* A pipe: its size is unknown.  fd is borrowed. */
struct vmf_source *
vmf_source_pipe(int fd, const char *name, struct vmf_error *err);
/* The same of any stream.  in is copied, its context borrowed. */
struct vmf_source *
vmf_source_stream(struct vmf_in in, const char *name, struct vmf_error *err);

/*
 * It has this many bytes: of a pipe, neither fewer nor more (VMF_INTEGRITY
 * otherwise, from reading and from vmf_source_unchanged()); of anything else,
 * the first ones.
 */
int vmf_source_set_size(
    struct vmf_source *src, uint64_t size, struct vmf_error *err);

const char *vmf_source_name(const struct vmf_source *src);
/* Bytes, or VMF_SIZE_UNKNOWN. */
uint64_t vmf_source_size(const struct vmf_source *src);
/* Fill in size, sector, format, virtual size and features of geo. */
void vmf_source_geometry(
    const struct vmf_source *src, uint32_t chunk, struct vmf_geometry *geo);

/*
 * Take the zero extents of map (borrowed; offsets of the whole source, not of
 * a part) for zeros, whatever stands there: they are not read.  Two such maps
 * at most: what has no blocks, and what need not be kept.
 */
void vmf_source_add_map(struct vmf_source *src, const struct vmf_extents *map);
/* Say that its bytes are a container of so many guest-visible bytes. */
void vmf_source_set_format(
    struct vmf_source *src, uint32_t format, uint64_t virtual_size);
/* Also say these VMF_FEATURE_* of it. */
void vmf_source_add_features(struct vmf_source *src, uint64_t features);

/* The extent that off (< size) lies in: from off on, data or zero. */
int vmf_source_extent(struct vmf_source *src, uint64_t off,
    struct vmf_extent *ext, struct vmf_error *err);
/*
 * len bytes at off into buf (aligned to VMF_ALIGN for speed).  An early end
 * is VMF_IO, but for a pipe, where *got < len is its end; got may be NULL for
 * the others.
 */
int vmf_source_read(struct vmf_source *src, void *buf, size_t len, uint64_t off,
    size_t *got, struct vmf_error *err);
/*
 * After the last read: did the file grow or change meanwhile (VMF_INTEGRITY)?
 * Nothing can be said of devices.
 */
int vmf_source_unchanged(struct vmf_source *src, struct vmf_error *err);
void vmf_source_free(struct vmf_source *src);

#endif
