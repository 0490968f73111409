/* partition_table.c - GPT changed, by libfdisk: see vmferry/partition.h */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/blkpg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <libfdisk.h>

#include <vmferry/lock.h>
#include <vmferry/partition.h>

#define SECTOR	   512 /* BLKPG and /sys count in these bytes or bytes */
#define INCOMPLETE "vmferry-incomplete"

/* An open disk with a GPT; udev and others keep off while we have its lock. */
struct table {
	struct fdisk_context *cxt;
	const char *path;
	int fd;
};

static int
fail(const struct table *t, int rc, const char *what, struct vmf_error *err)
{
	errno = rc < 0 ? -rc : rc;
	return vmf_fail_errno(err,
	    errno == ENOSPC || errno == ERANGE ? VMF_REFUSED : VMF_IO, "%s: %s",
	    t->path, what);
}

static void
close_table(struct table *t)
{
	if (t->cxt != NULL) {
		fdisk_deassign_device(t->cxt, 0);
		fdisk_unref_context(t->cxt);
	}
	if (t->fd >= 0)
		close(t->fd);
}

static int
open_table(struct table *t, const char *path, struct vmf_error *err)
{
	int rc;

	*t = (struct table){.path = path, .fd = -1};
	t->fd = open(path, O_RDWR | O_CLOEXEC);
	if (t->fd < 0)
		return vmf_fail_errno(err,
		    errno == EROFS || errno == EACCES ? VMF_IO : VMF_REFUSED,
		    "%s", path);
	if (vmf_lock_fd(t->fd, path, err) < 0)
		goto failed;
	t->cxt = fdisk_new_context();
	if (t->cxt == NULL) {
		vmf_fail_errno(err, VMF_IO, "%s", path);
		goto failed;
	}
	rc = fdisk_assign_device(t->cxt, path, 0);
	if (rc != 0) {
		fail(t, rc, "open", err);
		goto failed;
	}
	if (fdisk_has_label(t->cxt) && fdisk_is_label(t->cxt, GPT))
		return 0;
	vmf_fail(err, VMF_REFUSED,
	    "%s: has no GPT; make one first, with sfdisk(8) for example", path);
failed:
	close_table(t);
	return -1;
}

static int
write_table(struct table *t, struct vmf_error *err)
{
	int rc = fdisk_write_disklabel(t->cxt);

	if (rc != 0)
		return fail(t, rc, "write of the partition table", err);
	if (fsync(t->fd) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s: sync", t->path);
	return 0;
}

/* ---- what the kernel knows
 * ------------------------------------------------------ */

static int
tell_kernel(
    struct table *t, int op, unsigned number, uint64_t off, uint64_t len)
{
	struct blkpg_partition part = {.start = (long long)off,
	    .length = (long long)len,
	    .pno = (int)number};
	struct blkpg_ioctl_arg arg = {
	    .op = op, .datalen = sizeof(part), .data = &part};

	return ioctl(t->fd, BLKPG, &arg);
}

/* Partition number's device: a directory of the disk's in /sys names it. */
static int
find_node(const struct table *t, unsigned number, char path[VMF_PARTITION_PATH],
    struct vmf_error *err)
{
	char sys[64], file[512], text[16];
	struct dirent *entry;
	struct stat st;
	bool found = false;
	DIR *dir = NULL;
	FILE *f;

	if (fstat(t->fd, &st) == 0) {
		snprintf(sys, sizeof(sys), "/sys/dev/block/%u:%u",
		    major(st.st_rdev), minor(st.st_rdev));
		dir = opendir(sys);
	}
	while (dir != NULL && !found && (entry = readdir(dir)) != NULL) {
		snprintf(file, sizeof(file), "%s/%.200s/partition", sys,
		    entry->d_name);
		f = fopen(file, "re");
		if (f == NULL)
			continue;
		found = fgets(text, sizeof(text), f) != NULL &&
			strtoul(text, NULL, 10) == number;
		fclose(f);
		if (found)
			snprintf(path, VMF_PARTITION_PATH, "/dev/%.200s",
			    entry->d_name);
	}
	if (dir != NULL)
		closedir(dir);
	if (found && access(path, F_OK) == 0)
		return 0;
	return vmf_fail(err, VMF_IO,
	    "%s: the kernel does not show its partition %u", t->path, number);
}

/* ---- adding and removing
 * ---------------------------------------------------------- */

static int
add_to_table(struct table *t, uint64_t size, size_t *number, uint64_t *off,
    struct vmf_error *err)
{
	uint64_t sector = fdisk_get_sector_size(t->cxt);
	uint64_t sectors = (size + sector - 1) / sector;
	struct fdisk_partition *part = fdisk_new_partition();
	int rc;

	if (part == NULL)
		return vmf_fail_errno(err, VMF_IO, "%s", t->path);
	fdisk_partition_partno_follow_default(part, 1);
	fdisk_partition_start_follow_default(part, 1);
	fdisk_partition_set_size(part, sectors == 0 ? 1 : sectors);
	fdisk_partition_size_explicit(part, 1);
	fdisk_partition_set_name(part, INCOMPLETE);
	rc = fdisk_add_partition(t->cxt, part, number);
	fdisk_unref_partition(part);
	if (rc != 0)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: has no free space of %" PRIu64
		    " bytes in one piece for a partition",
		    t->path, size);
	part = NULL;
	rc = fdisk_get_partition(t->cxt, *number, &part);
	if (rc != 0)
		return fail(t, rc, "new partition", err);
	*off = fdisk_partition_get_start(part) * sector;
	rc = fdisk_partition_get_size(part) < sectors ? -1 : 0;
	fdisk_unref_partition(part);
	return rc == 0 ? 0
		       : vmf_fail(err, VMF_REFUSED,
			     "%s: has no free space of %" PRIu64
			     " bytes in one piece for a partition",
			     t->path, size);
}

int
vmf_partition_add(const char *disk, uint64_t size, unsigned *number,
    char path[VMF_PARTITION_PATH], struct vmf_error *err)
{
	uint64_t off = 0, sector;
	struct table t;
	size_t n = 0;
	int rc = -1;

	if (open_table(&t, disk, err) < 0)
		return -1;
	if (add_to_table(&t, size, &n, &off, err) < 0 ||
	    write_table(&t, err) < 0)
		goto out;
	*number = (unsigned)n + 1;
	sector = fdisk_get_sector_size(t.cxt);
	size = (size + sector - 1) / sector * sector;
	if (tell_kernel(&t, BLKPG_ADD_PARTITION, *number, off,
		size == 0 ? sector : size) < 0 &&
	    errno != EBUSY)
		vmf_fail_errno(err, VMF_IO, "%s: new partition", disk);
	else
		rc = find_node(&t, *number, path, err);
	if (rc < 0) {
		fdisk_delete_partition(t.cxt, n);
		fdisk_write_disklabel(t.cxt);
	}
out:
	close_table(&t);
	return rc;
}

int
vmf_partition_finish(const char *disk, unsigned number, struct vmf_error *err)
{
	struct fdisk_partition *part = NULL;
	struct table t;
	int rc;

	if (open_table(&t, disk, err) < 0)
		return -1;
	part = fdisk_new_partition();
	rc = part == NULL ? -ENOMEM : fdisk_partition_set_name(part, "");
	if (rc == 0)
		rc = fdisk_set_partition(t.cxt, number - 1, part);
	fdisk_unref_partition(part);
	rc = rc != 0 ? fail(&t, rc, "name of the new partition", err)
		     : write_table(&t, err);
	close_table(&t);
	return rc;
}

int
vmf_partition_remove(const char *disk, unsigned number, struct vmf_error *err)
{
	struct table t;
	int rc;

	if (open_table(&t, disk, err) < 0)
		return -1;
	tell_kernel(&t, BLKPG_DEL_PARTITION, number, 0, 0);
	rc = fdisk_delete_partition(t.cxt, number - 1);
	rc = rc != 0 ? fail(&t, rc, "removal of the partition", err)
		     : write_table(&t, err);
	close_table(&t);
	return rc;
}

int
vmf_partition_fix_gpt(const char *disk, struct vmf_error *err)
{
	struct table t;
	int rc;

	if (open_table(&t, disk, err) < 0)
		return -1;
	/* libfdisk writes the backup where it belongs: at the end. */
	rc = write_table(&t, err);
	close_table(&t);
	return rc;
}
