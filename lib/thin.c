/*
 * thin.c - what a thin volume has no blocks for: see vmferry/lvm.h
 *
 * The pool's metadata may be read while the pool is in use only through a
 * metadata snapshot, which the kernel keeps one of: it is reserved, read by
 * thin_dump and released.  What the volume's buffered writes have not reached
 * yet is not mapped either, so they are flushed first.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vmferry/io.h>
#include <vmferry/lock.h>

#include "lvm_internal.h"

#define LOCK_DIR "/run/vmferry"

/* VG-POOL with dashes doubled, as device-mapper's names have them. */
static void
dm_name(const char *vg, const char *pool, char *to)
{
	const char *const parts[] = {vg, pool};
	size_t i, n = 0;
	const char *p;

	for (i = 0; i < 2; i++) {
		if (i > 0)
			to[n++] = '-';
		for (p = parts[i]; *p != '\0'; p++) {
			to[n++] = *p;
			if (*p == '-')
				to[n++] = '-';
		}
	}
	to[n] = '\0';
}

/* "0 204800 thin 253:4 1": its number in the pool, or false. */
static bool
thin_number(const char *path, uint64_t *number)
{
	const char *const argv[] = {"dmsetup", "table", path, NULL};
	char *text = NULL, more[16];
	bool ok;

	if (vmf_lvm_run(argv, &text, NULL) < 0)
		return false;
	/* A sixth word is an external origin, which is read instead. */
	ok = sscanf(text, "%*u %*u thin %*s %" SCNu64 " %15s", number, more) ==
	     1;
	free(text);
	return ok;
}

static int
message(const char *pool, const char *what, struct vmf_error *err)
{
	const char *const argv[] = {
	    "dmsetup", "message", pool, "0", what, NULL};

	return vmf_lvm_run(argv, NULL, err);
}

/* ---- thin_dump's XML, a line at a time
 * ------------------------------------------ */

struct parse {
	struct vmf_extents *map;
	uint64_t block; /* bytes */
	uint64_t off;	/* after the last mapping */
	bool began, ended;
};

static bool
number_of(const char *line, const char *name, uint64_t *n)
{
	const char *at = strstr(line, name);

	return at != NULL && sscanf(at + strlen(name), "=\"%" SCNu64, n) == 1;
}

static int
parse_line(struct parse *p, const char *line, struct vmf_error *err)
{
	uint64_t begin, n = 1;

	if (strstr(line, "<superblock") != NULL &&
	    number_of(line, "data_block_size", &n))
		p->block = n * 512;
	else if (strstr(line, "<device") != NULL)
		p->began = true;
	else if (strstr(line, "</superblock>") != NULL)
		p->ended = true;
	if (!(strstr(line, "<single_mapping") != NULL &&
		number_of(line, "origin_block", &begin)) &&
	    !(strstr(line, "<range_mapping") != NULL &&
		number_of(line, "origin_begin", &begin) &&
		number_of(line, "length", &n)))
		return 0;
	if (p->block == 0 || begin > UINT64_MAX / p->block - n ||
	    begin * p->block < p->off)
		return vmf_fail(err, VMF_IO, "thin_dump: bad mapping");
	if (vmf_extents_add_zero(
		p->map, begin * p->block - p->off, p->off, err) < 0)
		return -1;
	p->off = (begin + n) * p->block;
	return 0;
}

static int
parse_dump(
    FILE *f, struct vmf_extents *map, uint64_t size, struct vmf_error *err)
{
	struct parse p = {.map = map};
	char line[1024];
	int rc = 0;

	while (rc == 0 && fgets(line, sizeof(line), f) != NULL)
		rc = parse_line(&p, line, err);
	if (rc < 0)
		return -1;
	if (!p.began || !p.ended)
		return vmf_fail(err, VMF_IO, "thin_dump: ends early");
	return p.off < size
		   ? vmf_extents_add_zero(map, size - p.off, p.off, err)
		   : 0;
}

static int
dump(const char *meta, uint64_t number, int out, struct vmf_error *err)
{
	char id[32];
	const char *const argv[] = {"thin_dump", "--metadata-snap", "--dev-id",
	    id, "--format", "xml", meta, NULL};
	struct vmf_run run = {.argv = argv, .out = out, .seconds = 600};

	snprintf(id, sizeof(id), "%" PRIu64, number);
	return vmf_run(&run, NULL, NULL, err);
}

/* What is written but not yet mapped. */
static int
flush(const char *path, struct vmf_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;

	if (fd < 0 || fsync(fd) < 0)
		rc = vmf_fail_errno(err, VMF_IO, "%s", path);
	if (fd >= 0)
		close(fd);
	return rc;
}

static struct vmf_extents *
read_map(
    const char *meta, uint64_t number, uint64_t size, struct vmf_error *err)
{
	struct vmf_extents *map = NULL;
	int fd = vmf_scratch_open(NULL, err);
	FILE *f = NULL;

	if (fd < 0)
		return NULL;
	if (dump(meta, number, fd, err) == 0) {
		f = fdopen(fd, "r");
		map = vmf_extents_new(err);
	}
	if (f == NULL) {
		close(fd);
		goto fail;
	}
	rewind(f);
	if (map == NULL || parse_dump(f, map, size, err) < 0)
		goto fail;
	fclose(f);
	return map;
fail:
	if (f != NULL)
		fclose(f);
	vmf_extents_free(map);
	return NULL;
}

struct vmf_extents *
vmf_lvm_thin_map(
    const char *path, const struct vmf_lv *lv, struct vmf_error *err)
{
	char base[2 * VMF_LVM_PATH], pool[3 * VMF_LVM_PATH];
	char meta[3 * VMF_LVM_PATH], lock[2 * VMF_LVM_PATH];
	struct vmf_extents *map = NULL;
	uint64_t number;
	int fd;

	if (!thin_number(path, &number))
		goto cannot_tell;
	dm_name(lv->vg, lv->pool, base);
	snprintf(pool, sizeof(pool), "%s-tpool", base);
	snprintf(meta, sizeof(meta), "/dev/mapper/%s_tmeta", base);
	snprintf(lock, sizeof(lock), LOCK_DIR "/thin.%s.%s", lv->vg, lv->pool);
	if (flush(path, err) < 0)
		return NULL;
	fd = vmf_lock_path(lock, "metadata of the thin pool", err);
	if (fd < 0)
		goto cannot_tell;
	if (message(pool, "reserve_metadata_snap", err) == 0) {
		map = read_map(meta, number, lv->size, err);
		message(pool, "release_metadata_snap", NULL);
	}
	close(fd);
	if (map != NULL)
		return map;
cannot_tell:
	err->class = VMF_OK;
	return NULL;
}
