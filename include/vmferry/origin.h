/*
 * origin.h - a disk to be read, and what must be done so that it can be
 *
 * A source (source.h) only reads.  What it reads may have to be made first and
 * undone afterwards; that is an origin's work.  vmf_origin_free() undoes all of
 * it at any time.
 *
 * Thread rule: one thread at a time; its source as source.h says.
 */
#ifndef VMFERRY_ORIGIN_H
#define VMFERRY_ORIGIN_H

#include <vmferry/progress.h>
#include <vmferry/source.h>

struct vmf_origin_options {
	struct vmf_source_options source;
	struct vmf_progress *progress; /* borrowed; NULL: none */
};

struct vmf_origin;
/* Opens the source; it costs nothing to look only.  path is borrowed. */
struct vmf_origin *vmf_origin_open(const char *path,
    const struct vmf_origin_options *options, struct vmf_error *err);
struct vmf_source *vmf_origin_source(struct vmf_origin *origin);
/* What the user should know, one line; NULL: nothing. */
const char *vmf_origin_note(const struct vmf_origin *origin);
/* After the last read: was what was read sound, and undo what was made. */
int vmf_origin_finish(struct vmf_origin *origin, struct vmf_error *err);
void vmf_origin_free(struct vmf_origin *origin); /* NULL-safe */

#endif
