/*
 * skip.h - what need not be dumped, by a map of vmf-inspect's
 *
 * Borrowed path; thread rule: one thread.
 */
#ifndef VMFERRY_SKIP_H
#define VMFERRY_SKIP_H

#include <vmferry/progress.h>
#include <vmferry/source.h>

struct skip;

/*
 * Have src, opened by path, skip what the map in file names - or, where file
 * is NULL, what vmf-inspect finds now.  VMF_REFUSED: the map is of another
 * disk or other contents.  Free it after src.
 */
struct skip *
skip_open(const char *file, const char *path, struct vmf_source *src,
    struct vmf_progress *progress, struct vmf_error *err);
/* After the last read: is the map still one of this disk? */
int skip_finish(struct skip *skip, struct vmf_error *err);
uint64_t skip_bytes(const struct skip *skip);
void skip_free(struct skip *skip); /* NULL-safe */

#endif
