/* skip.c - see skip.h */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vmferry/freemap.h>
#include <vmferry/run.h>

#include "skip.h"

#define INSPECT_SECONDS 900 /* it has a deadline of its own, and says it */

struct skip {
	const char *path;
	int fd; /* the disk once more */
	struct vmf_freemap *map;
	struct vmf_extents *extents;
};

/* The vmf-inspect that was installed with this program. */
static int
find_inspect(char path[PATH_MAX], struct vmf_error *err)
{
	static const char name[] = "vmf-inspect";
	ssize_t n =
	    readlink("/proc/self/exe", path, PATH_MAX - sizeof(name) - 1);
	char *slash;

	path[n < 0 ? 0 : n] = '\0';
	slash = strrchr(path, '/');
	if (slash == NULL)
		return vmf_fail(err, VMF_INTERNAL, "/proc/self/exe: no path");
	memcpy(slash + 1, name, sizeof(name));
	if (access(path, X_OK) < 0)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: is not installed; install it, or give a map with "
		    "--skip",
		    path);
	return 0;
}

/* "NAME=value" of these, which say where libguestfs is; see vmf-inspect(1). */
static void
pass_on(char *env[], size_t max)
{
	static const char *const names[] = {"LIBGUESTFS_PATH",
	    "LIBGUESTFS_CACHEDIR", "LIBGUESTFS_BACKEND_SETTINGS"};
	size_t i, n = 0;
	const char *value;

	for (i = 0; i < sizeof(names) / sizeof(names[0]) && n < max; i++) {
		value = getenv(names[i]);
		if (value != NULL &&
		    asprintf(&env[n], "%s=%s", names[i], value) >= 0)
			n++;
	}
	env[n] = NULL;
}

static int
run_inspect(const char *path, int out, struct vmf_progress *progress,
    struct vmf_error *err)
{
	char inspect[PATH_MAX], *env[4] = {NULL};
	const char *argv[] = {
	    inspect, "--free", "--format", "raw", "--", path, NULL};
	struct vmf_run run = {.argv = argv,
	    .env = (const char *const *)env,
	    .out = out,
	    .seconds = INSPECT_SECONDS,
	    .progress = progress};
	int status = 0, rc;
	size_t i;

	if (find_inspect(inspect, err) < 0)
		return -1;
	pass_on(env, 3);
	rc = vmf_run(&run, NULL, &status, err);
	for (i = 0; env[i] != NULL; i++)
		free(env[i]);
	/* It exits as we do: what it refuses, we refuse. */
	if (rc < 0 && err->class == VMF_IO && status > 0 &&
	    status <= VMF_BUSY && status != VMF_USAGE)
		err->class = (enum vmf_class)status;
	return rc;
}

static int
open_map(const char *file, const char *path, struct vmf_progress *progress,
    struct vmf_error *err)
{
	int fd;

	if (file != NULL) {
		fd = open(file, O_RDONLY | O_CLOEXEC);
		return fd < 0 ? vmf_fail_errno(err, VMF_IO, "%s", file) : fd;
	}
	fd = vmf_scratch_open(NULL, err);
	if (fd >= 0 && (run_inspect(path, fd, progress, err) < 0 ||
			   lseek(fd, 0, SEEK_SET) < 0)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static int
read_map(struct skip *skip, const char *file, struct vmf_progress *progress,
    struct vmf_error *err)
{
	struct vmf_fd in = {.name = file != NULL ? file : "vmf-inspect"};

	in.fd = open_map(file, skip->path, progress, err);
	if (in.fd < 0)
		return -1;
	skip->map = vmf_freemap_read(vmf_in_fd(&in), in.name, err);
	close(in.fd);
	if (skip->map == NULL)
		return -1;
	skip->extents = vmf_freemap_extents(skip->map, err);
	return skip->extents == NULL ? -1 : 0;
}

struct skip *
skip_open(const char *file, const char *path, struct vmf_source *src,
    struct vmf_progress *progress, struct vmf_error *err)
{
	struct skip *skip = calloc(1, sizeof(*skip));

	if (skip == NULL) {
		vmf_fail_errno(err, VMF_IO, "%s", path);
		return NULL;
	}
	skip->path = path;
	skip->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (skip->fd < 0) {
		vmf_fail_errno(err, VMF_IO, "%s", path);
		goto fail;
	}
	if (read_map(skip, file, progress, err) < 0 ||
	    vmf_freemap_check(skip->map, skip->fd, path, err) < 0)
		goto fail;
	vmf_source_add_map(src, skip->extents);
	vmf_source_add_features(src, VMF_FEATURE_SKIPPED);
	return skip;
fail:
	skip_free(skip);
	return NULL;
}

int
skip_finish(struct skip *skip, struct vmf_error *err)
{
	if (vmf_freemap_check(skip->map, skip->fd, skip->path, err) == 0)
		return 0;
	if (err->class == VMF_REFUSED)
		return vmf_fail(err, VMF_INTEGRITY,
		    "%s: changed while it was read; stop what writes to it",
		    skip->path);
	return -1;
}

uint64_t
skip_bytes(const struct skip *skip)
{
	return vmf_freemap_bytes(skip->map);
}

void
skip_free(struct skip *skip)
{
	if (skip == NULL)
		return;
	vmf_extents_free(skip->extents);
	vmf_freemap_free(skip->map);
	if (skip->fd >= 0)
		close(skip->fd);
	free(skip);
}
