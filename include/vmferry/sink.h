/*
 * sink.h - where a disk's bytes go: a new file, an existing block device, or a
 * part of what exists
 *
 * A sink goes: open (checks, touches nothing), begin, write and zero in any
 * order and from any thread, flush, read back, commit.  What is not committed
 * is never seen as a disk: a new file has no name yet, and a device shows no
 * signature, because head and tail (the first and last max(chunk, 4 MiB)) are
 * zeroed and synced at begin, held back in a scratch file, and written last.
 *
 * Thread rule: write, zero and fetch from any thread; the rest from one.
 */
#ifndef VMFERRY_SINK_H
#define VMFERRY_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmferry/error.h>
#include <vmferry/object.h>

struct vmf_sink;

struct vmf_sink_options {
	bool overwrite;	     /* a file that exists, a device's signatures */
	bool zero_tail;	     /* what a larger target has beyond the image */
	bool target_is_zero; /* it reads as zeros already: trust the caller */
	bool is_new; /* made for this image: there is nothing to invalidate */
	bool accept_degraded; /* an image its source could not be read of */
	bool any_size;	      /* an image of unknown size may go to a device */
	bool in_place;	      /* write into the file that exists, no new one */
	uint32_t format;      /* of the target: VMF_QCOW2 makes such a file of
			       * a raw image, VMF_RAW takes none; 0: the image's */
	uint64_t off;	      /* of the image in a device, or in_place; bytes */
	const char *scratch;  /* directory for what is held back; NULL: default
			       */
	/* A new file is called .NAME.PART until commit, is left there without
	 * it, and is gone on with when it is there; NULL: it is removed. */
	const char *part;
};

/*
 * Checks that an image of geo's size can go to path, and takes the lock of
 * the target.  VMF_REFUSED: smaller, mounted, held, swap, in use by a QEMU,
 * with a signature or existing (without overwrite), a degraded image, a path
 * under /dev that does not exist, sectors that do not fit.  VMF_BUSY: another
 * run has it. geo's size may be unknown for a new file, else with any_size
 * only.
 */
struct vmf_sink *vmf_sink_open(const char *path, const struct vmf_geometry *geo,
    const struct vmf_sink_options *options, struct vmf_error *err);

const char *vmf_sink_name(const struct vmf_sink *sink);
/* Bytes of the target; for a new file those of the image. */
uint64_t vmf_sink_size(const struct vmf_sink *sink);
/* Does it stand on a block device, rather than in a new file? */
bool vmf_sink_is_device(const struct vmf_sink *sink);

/*
 * With part: the path it has until commit (NULL for a device, or without), and
 * whether begin has found it there, as long as the image is.
 */
const char *vmf_sink_part(const struct vmf_sink *sink);
bool vmf_sink_resumed(const struct vmf_sink *sink);
/* Without commit, even a part is removed. */
void vmf_sink_discard(struct vmf_sink *sink);

/* The first touch: invalidate a device, or create the temporary file. */
int vmf_sink_begin(struct vmf_sink *sink, struct vmf_error *err);
int vmf_sink_write(struct vmf_sink *sink, const void *buf, size_t len,
    uint64_t off, struct vmf_error *err);
/* These bytes read as zeros afterwards. */
int vmf_sink_zero(
    struct vmf_sink *sink, uint64_t len, uint64_t off, struct vmf_error *err);
/*
 * From now on what was written before may be written again; until this is
 * called, zeros are left out where nothing can be yet.  Nobody writes
 * meanwhile.
 */
void vmf_sink_again(struct vmf_sink *sink);
/* What was written so far, held back or not. */
int vmf_sink_fetch(struct vmf_sink *sink, void *buf, size_t len, uint64_t off,
    struct vmf_error *err);
/* All that was written is on the medium. */
int vmf_sink_flush(struct vmf_sink *sink, struct vmf_error *err);
/* Is this chunk held back until commit (and read back there)? */
bool vmf_sink_holds(const struct vmf_sink *sink, uint64_t off);
/* Read what the medium has, past the page cache where that can be. */
int vmf_sink_read(struct vmf_sink *sink, void *buf, size_t len, uint64_t off,
    struct vmf_error *err);
/* Does this range of a new file read as zeros because nothing is there? */
bool vmf_sink_is_hole(struct vmf_sink *sink, uint64_t len, uint64_t off);
/*
 * Tail, then head; sync; read both back and compare (VMF_INTEGRITY) when
 * readback is set; a new file gets its size (for unknown sizes: size) and its
 * name.
 */
int vmf_sink_commit(
    struct vmf_sink *sink, uint64_t size, bool readback, struct vmf_error *err);
/* NULL-safe; without commit a new file is removed (but see part), a device
 * stays invalid. */
void vmf_sink_free(struct vmf_sink *sink);

#endif
