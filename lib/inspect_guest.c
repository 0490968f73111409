/*
 * inspect_guest.c - see inspect.h: the child that drives libguestfs
 *
 * File systems are mounted read-only.  That is what makes trimming safe:
 * a clean one is then not written to, so what its driver calls free is free
 * for the disk as it is - and one that has to be written to, because it was
 * not unmounted or is hibernated, shows itself by that (inspect_free.c).
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <guestfs.h>

#include "inspect.h"

/* With KVM that works an appliance is up in seconds; where it only seems to
 * work, the guest hangs, and TCG is the better try. */
#define KVM_SECONDS 60

/* Older versions cannot run it with -n, but with -p: what that corrects, in
 * the overlay, is no damage worth a word. */
#ifdef GUESTFS_E2FSCK_FORCENO
#define E2FSCK_MODE GUESTFS_E2FSCK_FORCENO
#else
#define E2FSCK_MODE GUESTFS_E2FSCK_CORRECT
#endif

static int
failed(guestfs_h *g, const char *what, struct vmf_error *err)
{
	const char *why = guestfs_last_error(g);

	return vmf_fail(err, VMF_HYPERVISOR, "libguestfs: %s: %s", what,
	    why != NULL ? why : "no reason given");
}

static void
put_string(json_t *obj, const char *key, char *text)
{
	json_t *value;

	if (text == NULL || *text == '\0') {
		free(text);
		return;
	}
	/* Labels come from the guest, and need not be UTF-8. */
	value = json_string(text);
	if (value == NULL)
		value = json_string("(not UTF-8)");
	json_object_set_new(obj, key, value);
	free(text);
}

static void
put_number(json_t *obj, const char *key, int64_t n)
{
	if (n >= 0)
		json_object_set_new(obj, key, json_integer(n));
}

static void
free_list(char **list)
{
	char **p;

	for (p = list; p != NULL && *p != NULL; p++)
		free(*p);
	free(list);
}

static int
launch(guestfs_h *g, const char *disk, const char *overlay,
    const struct vmf_inspect_options *options, bool tcg, struct vmf_error *err)
{
	const char *format = options->format == VMF_QCOW2 ? "qcow2" : "raw";

	if (guestfs_set_backend(g, "direct") < 0 ||
	    (tcg && guestfs_set_backend_setting(g, "force_tcg", "1") < 0) ||
	    guestfs_set_network(g, 0) < 0)
		return failed(g, "setting up", err);
	if (guestfs_disk_create(g, overlay, "qcow2", -1,
		GUESTFS_DISK_CREATE_BACKINGFILE, disk,
		GUESTFS_DISK_CREATE_BACKINGFORMAT, format, -1) < 0)
		return failed(g, "overlay", err);
	if (guestfs_add_drive_opts(g, overlay, GUESTFS_ADD_DRIVE_OPTS_FORMAT,
		"qcow2", GUESTFS_ADD_DRIVE_OPTS_DISCARD, "enable",
		GUESTFS_ADD_DRIVE_OPTS_CACHEMODE, "unsafe", -1) < 0)
		return failed(g, "overlay", err);
	if (!tcg)
		alarm(KVM_SECONDS);
	if (guestfs_launch(g) < 0)
		return failed(g, "launch", err);
	alarm(0);
	return 0;
}

static json_t *
partitions(guestfs_h *g)
{
	struct guestfs_partition_list *list = guestfs_part_list(g, "/dev/sda");
	json_t *all = json_array(), *one;
	char device[64];
	uint32_t i;

	for (i = 0; list != NULL && i < list->len; i++) {
		const struct guestfs_partition *p = &list->val[i];

		one = json_object();
		snprintf(device, sizeof(device), "/dev/sda%d", p->part_num);
		put_string(one, "device", strdup(device));
		put_number(one, "number", p->part_num);
		put_number(one, "offset", (int64_t)p->part_start);
		put_number(one, "size", (int64_t)p->part_size);
		put_string(one, "type",
		    guestfs_part_get_gpt_type(g, "/dev/sda", p->part_num));
		json_array_append_new(all, one);
	}
	guestfs_free_partition_list(list);
	return all;
}

static bool
is_ext(const char *type)
{
	return strcmp(type, "ext2") == 0 || strcmp(type, "ext3") == 0 ||
	       strcmp(type, "ext4") == 0;
}

static bool
can_trim(const char *type)
{
	return is_ext(type) || strcmp(type, "xfs") == 0 ||
	       strcmp(type, "btrfs") == 0 || strcmp(type, "ntfs") == 0;
}

/* Not swap, nor a part of something else. */
static bool
is_filesystem(const char *type)
{
	return strcmp(type, "swap") != 0 && strcmp(type, "swsuspend") != 0 &&
	       strcmp(type, "unknown") != 0 &&
	       strcmp(type, "crypto_LUKS") != 0 &&
	       strstr(type, "_member") == NULL;
}

/* Why something was not done, in libguestfs's words. */
static void
note(guestfs_h *g, json_t *fs)
{
	const char *why = guestfs_last_error(g);

	put_string(fs, "note", strdup(why != NULL ? why : "failed"));
}

static void
look_at_mounted(guestfs_h *g, json_t *fs, const char *type, bool trim)
{
	struct guestfs_statvfs *st = guestfs_statvfs(g, "/");

	if (st != NULL)
		put_number(fs, "used", (st->blocks - st->bfree) * st->frsize);
	guestfs_free_statvfs(st);
	if (!trim || !can_trim(type))
		return;
	if (guestfs_fstrim(g, "/", -1) == 0)
		json_object_set_new(fs, "trimmed", json_true());
	else
		note(g, fs);
}

/* 0: clean; 1: damaged; -1: there is no such check. */
static int
check(guestfs_h *g, const char *device, const char *type)
{
	int rc;

	if (is_ext(type))
		return guestfs_e2fsck(g, device, E2FSCK_MODE, 1, -1) < 0;
	if (strcmp(type, "xfs") == 0) {
		rc = guestfs_xfs_repair(
		    g, device, GUESTFS_XFS_REPAIR_NOMODIFY, 1, -1);
		return rc != 0;
	}
	if (strcmp(type, "btrfs") == 0)
		return guestfs_btrfs_fsck(g, device, -1) < 0;
	/* It corrects what it finds, in the overlay; what cannot be is told. */
	if (strcmp(type, "ntfs") == 0)
		return guestfs_ntfsfix(g, device, -1) < 0;
	if (strcmp(type, "vfat") == 0) {
		rc = guestfs_fsck(g, type, device);
		return rc < 0 || rc > 1;
	}
	return -1;
}

static json_t *
filesystem(guestfs_h *g, const char *device, const char *type,
    const struct vmf_inspect_options *options)
{
	json_t *fs = json_object();
	int damaged;

	put_string(fs, "device", strdup(device));
	put_string(fs, "type", strdup(type));
	put_string(fs, "label", guestfs_vfs_label(g, device));
	put_string(fs, "uuid", guestfs_vfs_uuid(g, device));
	put_number(fs, "size", guestfs_blockdev_getsize64(g, device));
	if (!is_filesystem(type))
		return fs;
	/* ntfs-3g trims only what it could write to, and yet writes nothing. */
	if (guestfs_mount_options(g,
		options->trim && strcmp(type, "ntfs") == 0 ? "" : "ro", device,
		"/") == 0)
		look_at_mounted(g, fs, type, options->trim);
	else
		note(g, fs);
	guestfs_umount_all(g);
	if (!options->fsck)
		return fs;
	damaged = check(g, device, type);
	if (damaged >= 0)
		put_string(fs, "fsck", strdup(damaged ? "damaged" : "clean"));
	if (damaged == 1 && guestfs_last_error(g) != NULL)
		note(g, fs);
	return fs;
}

/* Takes list. */
static void
add_filesystems(guestfs_h *g, json_t *all, char **list,
    const struct vmf_inspect_options *options)
{
	char **p, *type;

	for (p = list; p != NULL && *p != NULL; p++) {
		type = guestfs_vfs_type(g, *p);
		json_array_append_new(
		    all, filesystem(g, *p,
			     type != NULL && *type != '\0' ? type : "unknown",
			     options));
		free(type);
	}
	free_list(list);
}

/*
 * guestfs_list_filesystems() is not asked: it mounts each btrfs for writing,
 * to list its subvolumes, and a commit there makes blocks free that the disk
 * as it is still needs.
 */
static json_t *
filesystems(guestfs_h *g, const struct vmf_inspect_options *options)
{
	char **parts = guestfs_list_partitions(g);
	json_t *all = json_array();

	if (parts == NULL || *parts == NULL) {
		free_list(parts);
		parts = guestfs_list_devices(g);
	}
	add_filesystems(g, all, parts, options);
	add_filesystems(g, all, guestfs_list_md_devices(g), options);
	add_filesystems(g, all, guestfs_lvs(g), options);
	return all;
}

static json_t *
operating_systems(guestfs_h *g)
{
	char **roots = guestfs_inspect_os(g), **p;
	json_t *all = json_array(), *os;

	for (p = roots; p != NULL && *p != NULL; p++) {
		os = json_object();
		put_string(os, "root", strdup(*p));
		put_string(os, "type", guestfs_inspect_get_type(g, *p));
		put_string(os, "distro", guestfs_inspect_get_distro(g, *p));
		put_string(
		    os, "product", guestfs_inspect_get_product_name(g, *p));
		put_string(os, "arch", guestfs_inspect_get_arch(g, *p));
		put_string(os, "hostname", guestfs_inspect_get_hostname(g, *p));
		json_array_append_new(all, os);
	}
	free_list(roots);
	return all;
}

int
vmf_inspect_guest(const char *disk, const char *overlay,
    const struct vmf_inspect_options *options, bool tcg, FILE *out,
    struct vmf_error *err)
{
	guestfs_h *g = guestfs_create();
	json_t *report = json_object();
	int rc = -1;

	if (g == NULL || report == NULL) {
		vmf_fail(err, VMF_IO, "libguestfs: no memory");
		goto out;
	}
	guestfs_set_error_handler(g, NULL, NULL);
	if (launch(g, disk, overlay, options, tcg, err) < 0)
		goto out;
	put_number(report, "size", guestfs_blockdev_getsize64(g, "/dev/sda"));
	put_string(report, "table", guestfs_part_get_parttype(g, "/dev/sda"));
	json_object_set_new(report, "partitions", partitions(g));
	json_object_set_new(report, "filesystems", filesystems(g, options));
	if (options->os)
		json_object_set_new(
		    report, "operating_systems", operating_systems(g));
	/* Only a shutdown tells that all of it reached the overlay. */
	if (guestfs_shutdown(g) < 0) {
		failed(g, "shutdown", err);
		goto out;
	}
	if (json_dumpf(report, out, JSON_COMPACT) < 0 || fflush(out) != 0)
		vmf_fail_errno(err, VMF_IO, "scratch file");
	else
		rc = 0;
out:
	json_decref(report);
	if (g != NULL)
		guestfs_close(g);
	return rc;
}
