/*
 * origin.h - a disk to be read, and what must be done so that it can be
 *
 * A source (source.h) only reads.  What it reads may have to be made first and
 * undone afterwards - a snapshot of a volume - or looked up: what a thin volume
 * has no blocks for is not read.  vmf_origin_free() undoes all of it at any
 * time.
 *
 * Thread rule: one thread at a time; its source as source.h says.
 */
#ifndef VMFERRY_ORIGIN_H
#define VMFERRY_ORIGIN_H

#include <vmferry/progress.h>
#include <vmferry/source.h>

struct vmf_origin_options {
	struct vmf_source_options source;
	uint32_t format; /* of what is read: VMF_QCOW2, else raw */
	bool flatten;	 /* of qcow2: what the guest sees, not the file */
	bool snapshot;	 /* read a snapshot of the volume */
	uint64_t snapshot_size; /* room in it, in bytes; 0: chosen */
	const char *rescue;	/* map of what cannot be read; NULL: fail */
	struct vmf_progress *progress; /* borrowed; NULL: none */
};

struct vmf_origin;
/*
 * Opens the source; path is borrowed.  nbd:// and nbd+unix:// are URIs.
 * A qcow2 file that needs others is refused unless flattened (VMF_REFUSED).
 */
struct vmf_origin *vmf_origin_open(const char *path,
    const struct vmf_origin_options *options, struct vmf_error *err);
struct vmf_source *vmf_origin_source(struct vmf_origin *origin);
/* What the user should know, one line; NULL: nothing. */
const char *vmf_origin_note(const struct vmf_origin *origin);
/* After the last read: was what was read sound?  Undo what was made. */
int vmf_origin_finish(struct vmf_origin *origin, struct vmf_error *err);
/* After finish: what could not be read, and is zeros; borrowed. */
const struct vmf_extent *
vmf_origin_bad(const struct vmf_origin *origin, uint32_t *n);
/* After a failure: puts a better reason into err, if one is known. */
void vmf_origin_explain(struct vmf_origin *origin, struct vmf_error *err);
void vmf_origin_free(struct vmf_origin *origin); /* NULL-safe */

#endif
