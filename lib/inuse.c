/* inuse.c - see vmferry/inuse.h */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <vmferry/inuse.h>
#include <vmferry/units.h>

/* QEMU's lock bytes: permissions in use from 100, those not shared from 200.
 */
#define QEMU_LOCK_FIRST 100
#define QEMU_LOCK_COUNT 104

static int
check_qemu_lock(int fd, const char *path, struct vmf_error *err)
{
	struct flock lock = {
	    .l_type = F_WRLCK,
	    .l_whence = SEEK_SET,
	    .l_start = QEMU_LOCK_FIRST,
	    .l_len = QEMU_LOCK_COUNT,
	};

	if (fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: in use by a running QEMU; shut the guest down first",
		    path);
	return 0;
}

static int
same_disk(const struct stat *a, const struct stat *b)
{
	if (S_ISBLK(a->st_mode))
		return S_ISBLK(b->st_mode) && a->st_rdev == b->st_rdev;
	return S_ISREG(b->st_mode) && a->st_dev == b->st_dev &&
	       a->st_ino == b->st_ino;
}

/* fdinfo's flags line is octal, as open(2) has them. */
static int
is_open_for_writing(int proc, const char *pid, const char *number)
{
	char path[64], line[128];
	unsigned flags = 0;
	FILE *f;
	int fd;

	snprintf(path, sizeof(path), "%.16s/fdinfo/%.16s", pid, number);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	f = fd < 0 ? NULL : fdopen(fd, "r");
	if (f == NULL) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "flags: %o", &flags) == 1)
			break;
	fclose(f);
	return (flags & O_ACCMODE) != O_RDONLY;
}

static void
process_name(int proc, const char *pid, char *name, size_t size)
{
	char path[64];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "%.16s/comm", pid);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, name, size - 1);
		close(fd);
	}
	if (n < 0)
		n = 0;
	name[n] = '\0';
	name[strcspn(name, "\n")] = '\0';
}

/* 1 when this process has it open for writing. */
static int
process_writes_to(int proc, const char *pid, const struct stat *disk)
{
	struct dirent *entry;
	struct stat st;
	char path[64];
	int fd, found = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%.16s/fd", pid);
	fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	while (!found && (entry = readdir(dir)) != NULL)
		found = entry->d_name[0] != '.' &&
			fstatat(fd, entry->d_name, &st, 0) == 0 &&
			same_disk(disk, &st) &&
			is_open_for_writing(proc, pid, entry->d_name);
	closedir(dir);
	return found;
}

static int
check_processes(
    const struct stat *disk, const char *path, struct vmf_error *err)
{
	char self[16], name[64];
	struct dirent *entry;
	int rc = 0;
	DIR *dir = opendir("/proc");

	if (dir == NULL)
		return 0;
	snprintf(self, sizeof(self), "%ld", (long)getpid());
	while (rc == 0 && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9' ||
		    strcmp(entry->d_name, self) == 0 ||
		    !process_writes_to(dirfd(dir), entry->d_name, disk))
			continue;
		process_name(dirfd(dir), entry->d_name, name, sizeof(name));
		rc = vmf_fail(err, VMF_REFUSED,
		    "%s: open for writing by %s (process %s); stop it first",
		    path, name, entry->d_name);
	}
	closedir(dir);
	return rc;
}

int
vmf_inuse_by_writer(int fd, const char *path, struct vmf_error *err)
{
	struct stat disk;

	if (fstat(fd, &disk) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", path);
	if (S_ISREG(disk.st_mode) && check_qemu_lock(fd, path, err) < 0)
		return -1;
	return check_processes(&disk, path, err);
}

/* Where is this device mounted?  1 and the mount point, or 0. */
static int
find_mount(dev_t dev, char *where, size_t size)
{
	unsigned major_no, minor_no;
	char *line = NULL, point[PATH_MAX];
	size_t cap = 0;
	int found = 0;
	FILE *f = fopen("/proc/self/mountinfo", "re");

	if (f == NULL)
		return 0;
	while (!found && getline(&line, &cap, f) > 0)
		if (sscanf(line, "%*d %*d %u:%u %*s %4095s", &major_no,
			&minor_no, point) == 3 &&
		    makedev(major_no, minor_no) == dev) {
			snprintf(where, size, "%.200s", point);
			found = 1;
		}
	free(line);
	fclose(f);
	return found;
}

static int
is_swap(dev_t dev)
{
	char *line = NULL, path[PATH_MAX];
	struct stat st;
	size_t cap = 0;
	int found = 0;
	FILE *f = fopen("/proc/swaps", "re");

	if (f == NULL)
		return 0;
	while (!found && getline(&line, &cap, f) > 0)
		found = sscanf(line, "%4095s", path) == 1 &&
			stat(path, &st) == 0 && S_ISBLK(st.st_mode) &&
			st.st_rdev == dev;
	free(line);
	fclose(f);
	return found;
}

/* The first device stacked upon this one: 1 and its name, or 0. */
static int
find_holder(dev_t dev, char *name, size_t size)
{
	struct dirent *entry;
	char path[64];
	int found = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/holders", major(dev),
	    minor(dev));
	dir = opendir(path);
	if (dir == NULL)
		return 0;
	while (!found && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.') {
			snprintf(name, size, "%.200s", entry->d_name);
			found = 1;
		}
	closedir(dir);
	return found;
}

int
vmf_inuse_by_system(int fd, const char *path, struct vmf_error *err)
{
	char what[256], self[64];
	struct stat disk;
	int probe;

	if (fstat(fd, &disk) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", path);
	if (find_mount(disk.st_rdev, what, sizeof(what)))
		return vmf_fail(err, VMF_REFUSED,
		    "%s: mounted at %s; unmount it first", path, what);
	if (is_swap(disk.st_rdev))
		return vmf_fail(err, VMF_REFUSED,
		    "%s: in use as swap; run swapoff first", path);
	if (find_holder(disk.st_rdev, what, sizeof(what)))
		return vmf_fail(err, VMF_REFUSED,
		    "%s: part of %s; name that, or release it first", path,
		    what);
	/* The kernel knows of what other namespaces have mounted, too. */
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	probe = open(self, O_RDONLY | O_EXCL | O_CLOEXEC);
	if (probe < 0 && errno == EBUSY)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: mounted or held elsewhere; release it first", path);
	if (probe >= 0)
		close(probe);
	return 0;
}
