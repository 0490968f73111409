/*
 * inspect.h - what is inside a disk, by libguestfs; for vmf-inspect alone
 *
 * A guest's disk is hostile: its partition tables and file systems are read
 * by the kernel of a small virtual machine (libguestfs's appliance), never by
 * this host's, and that sees the disk through a throw-away overlay.  A child
 * process drives it, in a process group of its own that is killed when it
 * takes too long; what it found comes back as one JSON object.
 */
#ifndef VMFERRY_INSPECT_H
#define VMFERRY_INSPECT_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

#include <vmferry/freemap.h>
#include <vmferry/progress.h>

struct vmf_inspect_options {
	enum vmf_format format; /* of the disk: said, never guessed */
	bool os;		/* look for operating systems */
	bool fsck;		/* check file systems, changing nothing */
	bool trim;		/* find out what is free */
	bool swap_is_free;
	unsigned timeout;    /* seconds for all of it */
	const char *scratch; /* directory for the overlay; NULL: /var/tmp */
	struct vmf_progress *progress; /* borrowed; its stop is heeded */
};

/*
 * Look into the disk.  *report (the caller's to release) has disk, format,
 * size, table, partitions, filesystems and, as asked, operating_systems; *map
 * (may be NULL without trim) what is free.  VMF_REFUSED: something writes to
 * the disk; VMF_IO: out of time; VMF_HYPERVISOR: the appliance does not run.
 */
int vmf_inspect(const char *path, const struct vmf_inspect_options *options,
    json_t **report, struct vmf_freemap **map, struct vmf_error *err);

/* ---- between the two files of it */

/* In the child: drive libguestfs over overlay, upon disk; report into out. */
int vmf_inspect_guest(const char *disk, const char *overlay,
    const struct vmf_inspect_options *options, bool tcg, FILE *out,
    struct vmf_error *err);

/*
 * Only the clean file systems' extents: overlay as `qemu-img map` tells of it
 * in extents, report as above.  overlay and disk are descriptors, disk -1 when
 * it is no raw one.
 */
int
vmf_inspect_free(const json_t *extents, int overlay, int disk, json_t *report,
    bool swap_is_free, struct vmf_freemap *map, struct vmf_error *err);

#endif
