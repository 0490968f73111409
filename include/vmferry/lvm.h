/*
 * lvm.h - logical volumes, by lvm2's own programs
 *
 * Names of snapshots and of volumes that are being filled end in
 * VMF_LVM_SNAPSHOT and VMF_LVM_PART, and carry the tag VMF_LVM_TAG: so what a
 * killed run has left is known, and removed by the next one, which has the
 * lock of that volume.
 *
 * Thread rule: one thread at a time.
 */
#ifndef VMFERRY_LVM_H
#define VMFERRY_LVM_H

#include <stdbool.h>
#include <stdint.h>

#include <vmferry/error.h>
#include <vmferry/extent.h>

#define VMF_LVM_NAME	 128
#define VMF_LVM_PATH	 512
#define VMF_LVM_TAG	 "vmferry"
#define VMF_LVM_SNAPSHOT ".vmferry-snap"
#define VMF_LVM_PART	 ".vmferry-part"

struct vmf_lv {
	char vg[VMF_LVM_NAME], name[VMF_LVM_NAME];
	char pool[VMF_LVM_NAME]; /* of a thin volume, else "" */
	uint64_t size;		 /* bytes */
	bool ours;		 /* it carries the tag */
};

/* The volume that is this block device; found false: it is none. */
int vmf_lvm_find(
    const char *path, struct vmf_lv *lv, bool *found, struct vmf_error *err);

/*
 * A snapshot of lv: size bytes for what changes meanwhile (0: a fifth of the
 * volume; a thin one needs none).  removed tells that one of a run that died
 * was in its place.  VMF_REFUSED: no volume a snapshot can be taken of, or one
 * of that name that is not ours; VMF_BUSY: another run has one.
 */
struct vmf_snapshot;
struct vmf_snapshot *vmf_lvm_snapshot(const struct vmf_lv *lv, uint64_t size,
    bool *removed, struct vmf_error *err);
const char *vmf_snapshot_path(const struct vmf_snapshot *snap);
const char *vmf_snapshot_name(const struct vmf_snapshot *snap);
/* VMF_IO: more has changed than it had room for, so it is not valid. */
int vmf_snapshot_check(struct vmf_snapshot *snap, struct vmf_error *err);
/* Remove it, and say when that fails; then free does nothing more. */
int vmf_snapshot_remove(struct vmf_snapshot *snap, struct vmf_error *err);
void vmf_snapshot_free(struct vmf_snapshot *snap); /* NULL-safe; removes it */

/*
 * What the mapping of a thin volume at path calls unmapped, which reads as
 * zeros.  NULL with VMF_OK in err->class: that cannot be told (an external
 * origin, a metadata snapshot of somebody else).
 */
struct vmf_extents *vmf_lvm_thin_map(
    const char *path, const struct vmf_lv *lv, struct vmf_error *err);

/*
 * A new volume of size bytes, rounded up to extents; thin when pool is not "",
 * and known to read as zeros then when *zero is set.  It has a temporary name
 * until vmf_lvm_finish() gives it its own; vmf_lvm_discard() takes it away.
 */
int vmf_lvm_create(const char *vg, const char *pool, const char *name,
    uint64_t size, char path[VMF_LVM_PATH], bool *zero, struct vmf_error *err);
int vmf_lvm_finish(const char *vg, const char *name, struct vmf_error *err);
int vmf_lvm_discard(const char *vg, const char *name, struct vmf_error *err);

#endif
