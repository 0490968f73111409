/*
 * salvage.h - what is left of a damaged package
 *
 * A package's objects carry all that is needed to find and check them: the
 * salvager looks for their headers anywhere in the file, whatever became of
 * the tar headers and checksums around them, and takes those that are whole -
 * header, frame, length and SHA-256 - and of this package.  It needs the
 * package's first member, which names the disks.  A place that cannot be read
 * counts as damaged.
 *
 * Damage is what it looks for, not malice: use it on what was refused only.
 *
 * Thread rule: one thread at a time.
 */
#ifndef VMFERRY_SALVAGE_H
#define VMFERRY_SALVAGE_H

#include <stdbool.h>
#include <stdint.h>

#include <vmferry/error.h>
#include <vmferry/package.h>
#include <vmferry/progress.h>

struct vmf_salvage;

/*
 * Reads the first member of the package in fd (borrowed, seekable).
 * VMF_INTEGRITY: that says nothing.  progress may be NULL.
 */
struct vmf_salvage *
vmf_salvage_open(int fd, struct vmf_progress *progress, struct vmf_error *err);
/* As the first member says. */
const struct vmf_package_info *vmf_salvage_info(const struct vmf_salvage *s);

/* Chunks of image n also go to fd (borrowed), a new and empty file, which gets
 * the image's size. */
void vmf_salvage_target(struct vmf_salvage *s, size_t n, int fd);
/* Look through the file, once. */
int vmf_salvage_run(struct vmf_salvage *s, struct vmf_error *err);

/* After that: chunks that image n has, and how many of them are whole. */
uint64_t vmf_salvage_chunks(const struct vmf_salvage *s, size_t n);
uint64_t vmf_salvage_whole(const struct vmf_salvage *s, size_t n);
/* The first range of image n from byte from on that is lost; false: none. */
bool vmf_salvage_lost(const struct vmf_salvage *s, size_t n, uint64_t from,
    uint64_t *off, uint64_t *len);
/* NULL-safe. */
void vmf_salvage_free(struct vmf_salvage *s);

#endif
