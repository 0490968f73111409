/* snapshot.c - snapshots of volumes: see vmferry/lvm.h */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vmferry/lock.h>

#include "lvm_internal.h"

#define LOCK_DIR "/run/vmferry"

struct vmf_snapshot {
	struct vmf_lv lv; /* of which it is one */
	char name[VMF_LVM_NAME];
	char path[VMF_LVM_PATH];
	int lock;
	bool made;
};

static int
take_lock(struct vmf_snapshot *snap, struct vmf_error *err)
{
	char path[VMF_LVM_PATH], what[VMF_LVM_PATH];

	snprintf(path, sizeof(path), LOCK_DIR "/snapshot.%s.%s", snap->lv.vg,
	    snap->lv.name);
	snprintf(what, sizeof(what), "snapshot of %s/%s", snap->lv.vg,
	    snap->lv.name);
	snap->lock = vmf_lock_path(path, what, err);
	return snap->lock < 0 ? -1 : 0;
}

/* We have the lock: one that is there belongs to a run that died. */
static int
remove_stale(struct vmf_snapshot *snap, bool *removed, struct vmf_error *err)
{
	struct vmf_lv lv;

	*removed = false;
	if (!vmf_lvm_exists(snap->lv.vg, snap->name, &lv))
		return 0;
	if (!lv.ours)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: is in the way, and not ours; remove it first",
		    snap->path);
	*removed = true;
	return vmf_lvm_remove(snap->lv.vg, snap->name, err);
}

static int
create(struct vmf_snapshot *snap, uint64_t size, struct vmf_error *err)
{
	char origin[VMF_LVM_PATH], bytes[32];
	bool thin = snap->lv.pool[0] != '\0';
	const char *argv[20];
	size_t n = 0;

	snprintf(origin, sizeof(origin), "%s/%s", snap->lv.vg, snap->lv.name);
	argv[n++] = "lvcreate";
	argv[n++] = "-y";
	argv[n++] = "-s";
	if (thin) {
		argv[n++] = "-kn";
		argv[n++] = "-ay";
	} else if (size == 0) {
		argv[n++] = "-l";
		argv[n++] = "20%ORIGIN";
	} else {
		snprintf(bytes, sizeof(bytes), "%" PRIu64 "b",
		    (size + 511) / 512 * 512);
		argv[n++] = "-L";
		argv[n++] = bytes;
	}
	argv[n++] = "-pr";
	argv[n++] = "--addtag";
	argv[n++] = VMF_LVM_TAG;
	argv[n++] = "-n";
	argv[n++] = snap->name;
	argv[n++] = "--";
	argv[n++] = origin;
	argv[n] = NULL;
	/* From here on there may be one, however this ends. */
	snap->made = true;
	if (vmf_lvm_run(argv, NULL, err) < 0)
		return vmf_wrap(err, "snapshot of %s", origin);
	return vmf_lvm_wait_node(snap->path, err);
}

struct vmf_snapshot *
vmf_lvm_snapshot(const struct vmf_lv *lv, uint64_t size, bool *removed,
    struct vmf_error *err)
{
	struct vmf_snapshot *snap = calloc(1, sizeof(*snap));

	if (snap == NULL) {
		vmf_fail_errno(err, VMF_IO, "snapshot");
		return NULL;
	}
	snap->lv = *lv;
	snap->lock = -1;
	if (strlen(lv->name) + strlen(VMF_LVM_SNAPSHOT) >= sizeof(snap->name)) {
		vmf_fail(err, VMF_REFUSED,
		    "%s/%s: the name is too long for one of a snapshot", lv->vg,
		    lv->name);
		goto fail;
	}
	snprintf(snap->name, sizeof(snap->name), "%.110s%s", lv->name,
	    VMF_LVM_SNAPSHOT);
	snprintf(
	    snap->path, sizeof(snap->path), "/dev/%s/%s", lv->vg, snap->name);
	if (take_lock(snap, err) < 0 || remove_stale(snap, removed, err) < 0 ||
	    create(snap, size, err) < 0)
		goto fail;
	return snap;
fail:
	vmf_snapshot_free(snap);
	return NULL;
}

const char *
vmf_snapshot_path(const struct vmf_snapshot *snap)
{
	return snap->path;
}

const char *
vmf_snapshot_name(const struct vmf_snapshot *snap)
{
	return snap->name;
}

int
vmf_snapshot_check(struct vmf_snapshot *snap, struct vmf_error *err)
{
	char what[VMF_LVM_PATH];
	const char *const argv[] = {"lvs", "--noheadings", "-o",
	    "lv_snapshot_invalid", "--", what, NULL};
	char *text = NULL;
	bool invalid;

	if (snap->lv.pool[0] != '\0')
		return 0;
	snprintf(what, sizeof(what), "%s/%s", snap->lv.vg, snap->name);
	if (vmf_lvm_run(argv, &text, err) < 0)
		return -1;
	invalid = strstr(text, "invalid") != NULL;
	free(text);
	if (invalid)
		return vmf_fail(err, VMF_IO,
		    "%s/%s: its snapshot overflowed while it was read; give "
		    "it more room with --snapshot-size",
		    snap->lv.vg, snap->lv.name);
	return 0;
}

int
vmf_snapshot_remove(struct vmf_snapshot *snap, struct vmf_error *err)
{
	struct vmf_lv lv;

	if (!snap->made)
		return 0;
	snap->made = false;
	/* lvcreate may have failed before there was one. */
	if (!vmf_lvm_exists(snap->lv.vg, snap->name, &lv))
		return 0;
	if (vmf_lvm_remove(snap->lv.vg, snap->name, err) < 0)
		return vmf_wrap(
		    err, "%s: remains; remove it by hand", snap->path);
	return 0;
}

void
vmf_snapshot_free(struct vmf_snapshot *snap)
{
	if (snap == NULL)
		return;
	vmf_snapshot_remove(snap, NULL);
	if (snap->lock >= 0)
		close(snap->lock);
	free(snap);
}
