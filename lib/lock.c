/* lock.c - see vmferry/lock.h */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <vmferry/io.h>
#include <vmferry/lock.h>

/* The process that /proc/locks names for a flock on this file, or 0. */
static long
find_holder(int fd)
{
	unsigned maj, min;
	unsigned long inode;
	char line[256];
	struct stat st;
	long pid, found = 0;
	FILE *f;

	if (fstat(fd, &st) < 0 || (f = fopen("/proc/locks", "re")) == NULL)
		return 0;
	while (found == 0 && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "%*d: FLOCK %*s %*s %ld %x:%x:%lu", &pid, &maj,
			&min, &inode) == 4 &&
		    inode == st.st_ino && makedev(maj, min) == st.st_dev)
			found = pid;
	fclose(f);
	return found;
}

/* udev locks a device for the moment in which it looks at what is new. */
#define TRIES	 20
#define TRY_MSEC 50

static int
try_lock(int fd)
{
	static const struct timespec pause = {.tv_nsec = TRY_MSEC * 1000000};
	int i;

	for (i = 0; i < TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK)
			return -1;
		nanosleep(&pause, NULL);
	}
	errno = EWOULDBLOCK;
	return -1;
}

int
vmf_lock_fd(int fd, const char *name, struct vmf_error *err)
{
	long pid;

	if (try_lock(fd) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return vmf_fail_errno(err, VMF_IO, "%s: lock", name);
	pid = find_holder(fd);
	if (pid > 0)
		return vmf_fail(err, VMF_BUSY,
		    "%s: locked by process %ld; wait for it to end", name, pid);
	return vmf_fail(err, VMF_BUSY,
	    "%s: locked by another process; wait for it to end", name);
}

int
vmf_lock_path(const char *path, const char *what, struct vmf_error *err)
{
	char *copy = strdup(path);
	int fd, rc;

	if (copy == NULL)
		return vmf_fail_errno(err, VMF_IO, "%s", path);
	rc = vmf_make_directory(dirname(copy), err);
	free(copy);
	if (rc < 0)
		return -1;
	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", path);
	if (vmf_lock_fd(fd, what, err) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}
