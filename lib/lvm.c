/* lvm.c - volumes found, made and removed: see vmferry/lvm.h */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include <vmferry/io.h>

#include "lvm_internal.h"

#define NODE_TRIES 100
#define TRY_NSEC   50000000 /* 50 ms */

static void
pause_a_moment(void)
{
	static const struct timespec ts = {.tv_nsec = TRY_NSEC};

	nanosleep(&ts, NULL);
}

int
vmf_lvm_run(const char *const *argv, char **text, struct vmf_error *err)
{
	/* What is half done by lvm2 is worse than a late stop. */
	struct vmf_run run = {.argv = argv};

	return vmf_run(&run, text, NULL, err);
}

/* ---- looking
 * ----------------------------------------------------------------- */

/* The one field of a volume's report. */
static const char *
field(const json_t *lv, const char *name)
{
	const char *s = json_string_value(json_object_get(lv, name));

	return s == NULL ? "" : s;
}

static void
copy_name(char to[VMF_LVM_NAME], const char *from)
{
	snprintf(to, VMF_LVM_NAME, "%s", from);
}

static bool
has_tag(const char *tags)
{
	size_t len = strlen(VMF_LVM_TAG);
	const char *at = tags;

	for (; (at = strstr(at, VMF_LVM_TAG)) != NULL; at += len)
		if ((at == tags || at[-1] == ',') &&
		    (at[len] == ',' || at[len] == '\0'))
			return true;
	return false;
}

/* {"report":[{"lv":[{...}]}]}: the first row, or NULL for none. */
static const json_t *
first_row(const json_t *root)
{
	const json_t *report =
	    json_array_get(json_object_get(root, "report"), 0);

	return json_array_get(json_object_get(report, "lv"), 0);
}

int
vmf_lvm_look(const char *what, struct vmf_lv *lv, struct vmf_error *err)
{
	const char *const argv[] = {"lvs", "--reportformat", "json", "--units",
	    "b", "--nosuffix", "-o", "vg_name,lv_name,lv_size,pool_lv,lv_tags",
	    "--", what, NULL};
	const json_t *row;
	char *text = NULL;
	json_t *root;
	int rc = -1;

	memset(lv, 0, sizeof(*lv));
	if (vmf_lvm_run(argv, &text, err) < 0)
		return -1;
	root = json_loads(text, 0, NULL);
	row = first_row(root);
	if (row != NULL && vmf_parse_number(field(row, "lv_size"), 1,
			       UINT64_MAX, &lv->size, NULL) == 0) {
		copy_name(lv->vg, field(row, "vg_name"));
		copy_name(lv->name, field(row, "lv_name"));
		copy_name(lv->pool, field(row, "pool_lv"));
		lv->ours = has_tag(field(row, "lv_tags"));
		rc = 0;
	} else {
		vmf_fail(err, VMF_IO, "%s: lvs says nothing of it", what);
	}
	json_decref(root);
	free(text);
	return rc;
}

bool
vmf_lvm_exists(const char *vg, const char *name, struct vmf_lv *lv)
{
	char what[VMF_LVM_PATH];

	snprintf(what, sizeof(what), "%s/%s", vg, name);
	return vmf_lvm_look(what, lv, NULL) == 0;
}

int
vmf_lvm_find(
    const char *path, struct vmf_lv *lv, bool *found, struct vmf_error *err)
{
	char sys[64], dm[VMF_LVM_PATH], *uuid, *name;
	struct stat st;
	int rc = 0;

	*found = false;
	if (stat(path, &st) < 0 || !S_ISBLK(st.st_mode))
		return 0;
	snprintf(sys, sizeof(sys), "/sys/dev/block/%u:%u/dm/uuid",
	    major(st.st_rdev), minor(st.st_rdev));
	uuid = vmf_read_file(sys, 4096, NULL, NULL);
	snprintf(sys, sizeof(sys), "/sys/dev/block/%u:%u/dm/name",
	    major(st.st_rdev), minor(st.st_rdev));
	name = vmf_read_file(sys, 4096, NULL, NULL);
	if (uuid != NULL && name != NULL && strncmp(uuid, "LVM-", 4) == 0) {
		name[strcspn(name, "\n")] = '\0';
		snprintf(dm, sizeof(dm), "/dev/mapper/%s", name);
		rc = vmf_lvm_look(dm, lv, err);
		*found = rc == 0;
	}
	free(uuid);
	free(name);
	return rc;
}

/* ---- making and removing
 * -------------------------------------------------------- */

int
vmf_lvm_wait_node(const char *path, struct vmf_error *err)
{
	int i;

	for (i = 0; i < NODE_TRIES; i++) {
		if (access(path, F_OK) == 0)
			return 0;
		pause_a_moment();
	}
	return vmf_fail(
	    err, VMF_IO, "%s: its device node does not appear", path);
}

int
vmf_lvm_remove(const char *vg, const char *name, struct vmf_error *err)
{
	const char *argv[] = {"lvremove", "-f", "-y", "--", NULL, NULL};
	char what[VMF_LVM_PATH];
	int i, rc = -1;

	snprintf(what, sizeof(what), "%s/%s", vg, name);
	argv[4] = what;
	/* udev may have it open for a moment. */
	for (i = 0; rc < 0 && i < 20; i++) {
		if (i > 0)
			pause_a_moment();
		rc = vmf_lvm_run(argv, NULL, err);
	}
	return rc;
}

static int
part_name(const char *name, char part[VMF_LVM_NAME], struct vmf_error *err)
{
	if (strlen(name) + strlen(VMF_LVM_PART) >= VMF_LVM_NAME)
		return vmf_fail(
		    err, VMF_REFUSED, "%s: the name is too long", name);
	snprintf(part, VMF_LVM_NAME, "%s%s", name, VMF_LVM_PART);
	return 0;
}

/* Neither the name nor its temporary one may be anybody's. */
static int
clear_the_way(
    const char *vg, const char *name, const char *part, struct vmf_error *err)
{
	struct vmf_lv lv;

	if (vmf_lvm_exists(vg, name, &lv))
		return vmf_fail(err, VMF_REFUSED,
		    "lv:%s/%s: exists already; choose another name, or name "
		    "its device to write onto it",
		    vg, name);
	if (!vmf_lvm_exists(vg, part, &lv))
		return 0;
	if (!lv.ours)
		return vmf_fail(err, VMF_REFUSED,
		    "lv:%s/%s: is in the way, and not ours; remove it", vg,
		    part);
	/* Left by a run that died: who lives has it open, and it stays. */
	if (vmf_lvm_remove(vg, part, err) < 0)
		return vmf_wrap(err, "lv:%s/%s: of another run", vg, part);
	return 0;
}

/* A pool that does not zero what it gives shows old bytes in part of it. */
static bool
pool_zeroes(const char *vg, const char *pool)
{
	char what[VMF_LVM_PATH];
	const char *const argv[] = {
	    "lvs", "--noheadings", "-o", "zero", "--", what, NULL};
	char *text = NULL;
	bool zeroes;

	snprintf(what, sizeof(what), "%s/%s", vg, pool);
	if (vmf_lvm_run(argv, &text, NULL) < 0)
		return false;
	zeroes = strstr(text, "zero") != NULL;
	free(text);
	return zeroes;
}

int
vmf_lvm_create(const char *vg, const char *pool, const char *name,
    uint64_t size, char path[VMF_LVM_PATH], bool *zero, struct vmf_error *err)
{
	char part[VMF_LVM_NAME], bytes[32], where[VMF_LVM_PATH];
	const char *const thick[] = {"lvcreate", "-y", "-Wn", "-Zn", "-L",
	    bytes, "-n", part, "--addtag", VMF_LVM_TAG, "--", vg, NULL};
	const char *const thin[] = {"lvcreate", "-y", "-Wn", "-V", bytes, "-n",
	    part, "--addtag", VMF_LVM_TAG, "--thin", "--", where, NULL};

	*zero = false;
	if (part_name(name, part, err) < 0 ||
	    clear_the_way(vg, name, part, err) < 0)
		return -1;
	snprintf(bytes, sizeof(bytes), "%" PRIu64 "b",
	    (size + 511) / 512 * 512 == 0 ? 512 : (size + 511) / 512 * 512);
	snprintf(where, sizeof(where), "%s/%s", vg, pool);
	snprintf(path, VMF_LVM_PATH, "/dev/%s/%s", vg, part);
	if (vmf_lvm_run(pool[0] != '\0' ? thin : thick, NULL, err) < 0)
		return vmf_wrap(err, "lv:%s/%s", vg, name);
	if (vmf_lvm_wait_node(path, err) < 0) {
		vmf_lvm_remove(vg, part, NULL);
		return -1;
	}
	*zero = pool[0] != '\0' && pool_zeroes(vg, pool);
	return 0;
}

int
vmf_lvm_finish(const char *vg, const char *name, struct vmf_error *err)
{
	char part[VMF_LVM_NAME], what[VMF_LVM_PATH];
	const char *const rename[] = {"lvrename", "--", vg, part, name, NULL};
	const char *const untag[] = {
	    "lvchange", "--deltag", VMF_LVM_TAG, "--", what, NULL};

	if (part_name(name, part, err) < 0)
		return -1;
	snprintf(what, sizeof(what), "%s/%s", vg, part);
	if (vmf_lvm_run(untag, NULL, err) < 0 ||
	    vmf_lvm_run(rename, NULL, err) < 0)
		return vmf_wrap(err, "lv:%s/%s", vg, name);
	return 0;
}

int
vmf_lvm_discard(const char *vg, const char *name, struct vmf_error *err)
{
	char part[VMF_LVM_NAME];

	if (part_name(name, part, err) < 0)
		return -1;
	return vmf_lvm_remove(vg, part, err);
}
