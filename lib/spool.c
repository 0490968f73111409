/* spool.c - see vmferry/spool.h */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <vmferry/io.h>
#include <vmferry/package.h>
#include <vmferry/spool.h>

#define MEMORY_DIR "/dev/shm"
#define DISK_DIR   "/var/tmp"

/* Memory must have room for so many spools, or the disk has to do. */
#define TO_SPARE 4

struct vmf_spool {
	char *path;
	unsigned slots;
	size_t slot_len;
	int fds[VMF_SPOOL_SLOTS_MAX];
};

void
vmf_spool_slot_name(unsigned slot, char name[VMF_SPOOL_NAME])
{
	snprintf(name, VMF_SPOOL_NAME, "%02u", slot % 100);
}

static char *
spool_path(const char *dir, const uint8_t id[VMF_ID_LEN])
{
	char hex[2 * VMF_ID_LEN + 1], *path;

	vmf_hex(id, VMF_ID_LEN, hex);
	if (asprintf(&path, "%s/vmferry-%s", dir, hex) < 0)
		return NULL;
	return path;
}

/* Only what a spool has; anything else in it stays, and so does it. */
static void
remove_spool(const char *path)
{
	char name[VMF_SPOOL_NAME];
	unsigned i;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return;
	for (i = 0; i < VMF_SPOOL_SLOTS_MAX; i++) {
		vmf_spool_slot_name(i, name);
		unlinkat(fd, name, 0);
	}
	close(fd);
	rmdir(path);
}

void
vmf_spool_remove(const uint8_t id[VMF_ID_LEN], const char *dir)
{
	const char *dirs[] = {MEMORY_DIR, DISK_DIR, dir};
	size_t i;
	char *path;

	for (i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		path = dirs[i] == NULL ? NULL : spool_path(dirs[i], id);
		if (path != NULL)
			remove_spool(path);
		free(path);
	}
}

/* Bytes of memory that could be had without swapping; 0: not known. */
static uint64_t
free_memory(void)
{
	char line[256];
	unsigned long long kib = 0;
	FILE *f = fopen("/proc/meminfo", "re");

	if (f == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
			break;
	fclose(f);
	return kib * VMF_KIB;
}

static const char *
choose_dir(uint64_t len)
{
	struct statfs fs;

	if (statfs(MEMORY_DIR, &fs) < 0 || fs.f_type != TMPFS_MAGIC ||
	    (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize < TO_SPARE * len ||
	    free_memory() < TO_SPARE * len)
		return DISK_DIR;
	return MEMORY_DIR;
}

static int
make_slots(struct vmf_spool *s, const struct vmf_spool_options *o,
    struct vmf_error *err)
{
	int dir =
	    open(s->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char name[VMF_SPOOL_NAME];
	unsigned i;
	int rc = 0;

	if (dir < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", s->path);
	for (i = 0; rc == 0 && i < s->slots; i++) {
		vmf_spool_slot_name(i, name);
		s->fds[i] = openat(dir, name,
		    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (s->fds[i] < 0 ||
		    (o->own && fchown(s->fds[i], o->uid, o->gid) < 0))
			rc =
			    vmf_fail_errno(err, VMF_IO, "%s/%s", s->path, name);
	}
	/* The directory last: until then its user can put nothing there. */
	if (rc == 0 && o->own && fchown(dir, o->uid, o->gid) < 0)
		rc = vmf_fail_errno(err, VMF_IO, "%s", s->path);
	close(dir);
	return rc;
}

struct vmf_spool *
vmf_spool_new(const uint8_t id[VMF_ID_LEN],
    const struct vmf_spool_options *options, struct vmf_error *err)
{
	struct vmf_spool *s = calloc(1, sizeof(*s));
	const char *dir = options->dir;
	unsigned i;

	if (s == NULL) {
		vmf_fail_errno(err, VMF_IO, "spool");
		return NULL;
	}
	for (i = 0; i < VMF_SPOOL_SLOTS_MAX; i++)
		s->fds[i] = -1;
	s->slots = options->slots == 0 ? VMF_SPOOL_SLOTS : options->slots;
	if (s->slots > VMF_SPOOL_SLOTS_MAX)
		s->slots = VMF_SPOOL_SLOTS_MAX;
	s->slot_len =
	    options->slot_len == 0 ? VMF_SEGMENT_MAX : options->slot_len;
	vmf_spool_remove(id, dir);
	if (dir == NULL)
		dir = choose_dir((uint64_t)s->slots * s->slot_len);
	s->path = spool_path(dir, id);
	if (s->path == NULL || mkdir(s->path, 0700) < 0) {
		vmf_fail_errno(err, VMF_IO, "%s: spool", dir);
		free(s->path);
		s->path = NULL;
	} else if (make_slots(s, options, err) == 0) {
		return s;
	}
	vmf_spool_free(s);
	return NULL;
}

const char *
vmf_spool_path(const struct vmf_spool *s)
{
	return s->path;
}

unsigned
vmf_spool_slots(const struct vmf_spool *s)
{
	return s->slots;
}

size_t
vmf_spool_slot_len(const struct vmf_spool *s)
{
	return s->slot_len;
}

int
vmf_spool_read(struct vmf_spool *s, unsigned slot, void *buf, size_t len,
    struct vmf_error *err)
{
	if (slot >= s->slots || len > s->slot_len)
		return vmf_fail(err, VMF_INTEGRITY,
		    "slot %u with %zu bytes: there is no such in the spool",
		    slot, len);
	if (vmf_pread_full(s->fds[slot], buf, len, 0, err) < 0) {
		err->class = VMF_INTEGRITY;
		return vmf_wrap(err, "%s, slot %u", s->path, slot);
	}
	return 0;
}

void
vmf_spool_free(struct vmf_spool *s)
{
	unsigned i;

	if (s == NULL)
		return;
	for (i = 0; i < VMF_SPOOL_SLOTS_MAX; i++)
		if (s->fds[i] >= 0)
			close(s->fds[i]);
	if (s->path != NULL)
		remove_spool(s->path);
	free(s->path);
	free(s);
}
