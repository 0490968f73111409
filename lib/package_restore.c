/*
 * package_restore.c - see vmf_package_restore() in vmferry/package.h
 *
 * Everything is checked before anything is touched, and sealed only after the
 * package's end has been seen: disks first, then the files, so that a run
 * which died between them can be repeated with --overwrite for the disks.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "package_internal.h"

#define COPY_LEN ((size_t)256 << 10)

struct job {
	struct vmf_package_reader *r;
	const struct vmf_package_info *info;
	const struct vmf_package_plan *plan;
	const struct vmf_engine_options *options;
	struct vmf_sink **sinks;    /* one for each image, NULL: dropped */
	struct vmf_newfile **files; /* likewise */
};

/* --- checks */

int
vmf_package_wrap_disk(struct vmf_error *err, const char *name)
{
	static const char hint[] = "overwritten";
	struct vmf_error was = *err;
	size_t len = strlen(was.msg);

	if (was.class == VMF_REFUSED && len >= strlen(hint) &&
	    strcmp(was.msg + len - strlen(hint), hint) == 0)
		vmf_fail(err, VMF_REFUSED, "%.900s (--overwrite %.64s)",
		    was.msg, name);
	return vmf_wrap(err, "disk %s", name);
}

static int
check_new(const char *path, struct vmf_error *err)
{
	struct stat st;

	if (lstat(path, &st) == 0)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: exists already; move it away first", path);
	if (errno != ENOENT)
		return vmf_fail_errno(err, VMF_REFUSED, "%s", path);
	return 0;
}

/* Two parts of a package under one name would be one of them. */
static int
check_twice(const struct job *job, struct vmf_error *err)
{
	size_t n = job->info->nimages + job->info->nfiles, i, k;
	const char **paths = calloc(n + 1, sizeof(*paths));
	int rc = 0;

	if (paths == NULL)
		return vmf_fail_errno(err, VMF_IO, "package");
	for (i = 0; i < n; i++)
		paths[i] = i < job->info->nimages
			       ? job->plan->images[i].path
			       : job->plan->files[i - job->info->nimages].path;
	for (i = 0; i < n && rc == 0; i++)
		for (k = 0; k < i && rc == 0; k++)
			if (paths[i] != NULL && paths[k] != NULL &&
			    strcmp(paths[i], paths[k]) == 0)
				rc = vmf_fail(err, VMF_REFUSED,
				    "%s: two parts of the package would go "
				    "there; map one of them elsewhere",
				    paths[i]);
	free(paths);
	return rc;
}

static int
open_targets(struct job *job, struct vmf_error *err)
{
	struct vmf_sink_options options = {.scratch = job->plan->scratch};
	const struct vmf_package_target *t;
	size_t i;

	if (check_twice(job, err) < 0)
		return -1;
	for (i = 0; i < job->info->nfiles; i++) {
		t = &job->plan->files[i];
		if (t->path != NULL && check_new(t->path, err) < 0)
			return -1;
	}
	for (i = 0; i < job->info->nimages; i++) {
		t = &job->plan->images[i];
		if (t->path == NULL)
			continue;
		options.overwrite = t->overwrite;
		job->sinks[i] = vmf_sink_open(
		    t->path, &job->info->images[i].geo, &options, err);
		if (job->sinks[i] == NULL)
			return vmf_package_wrap_disk(
			    err, job->info->images[i].name);
	}
	return 0;
}

/* --- parts */

static int
place_file(struct job *job, size_t n, struct vmf_error *err)
{
	struct vmf_in in = vmf_package_reader_in(job->r);
	const struct vmf_package_target *t = &job->plan->files[n];
	size_t got = COPY_LEN;
	uint8_t *buf;
	int fd, rc = -1;

	if (t->path == NULL)
		return 0;
	buf = malloc(COPY_LEN);
	if (buf == NULL)
		return vmf_fail_errno(err, VMF_IO, "%s", t->path);
	job->files[n] = vmf_newfile_create(t->path, false, err);
	if (job->files[n] == NULL)
		goto out;
	fd = vmf_newfile_fd(job->files[n]);
	while (got == COPY_LEN)
		if (in.read(in.ctx, buf, COPY_LEN, &got, err) < 0 ||
		    vmf_write_full(fd, buf, got, err) < 0)
			goto out;
	if (t->own && fchown(fd, t->uid, t->gid) < 0) {
		vmf_fail_errno(err, VMF_IO, "%s: owner", t->path);
		goto out;
	}
	rc = 0;
out:
	free(buf);
	return rc;
}

static int
place_image(struct job *job, size_t n, struct vmf_error *err)
{
	const struct vmf_package_image *image = &job->info->images[n];
	struct vmf_sink *sink = job->sinks[n];
	struct vmf_digests *list = NULL;
	struct vmf_reader *reader = NULL;
	int rc = -1;

	if (sink != NULL && job->plan->readback) {
		list = vmf_digests_new(job->plan->scratch, err);
		if (list == NULL)
			return -1;
	}
	reader = vmf_reader_open(vmf_package_reader_in(job->r), err);
	if (reader == NULL || (sink != NULL && vmf_sink_begin(sink, err) < 0))
		goto out;
	rc = vmf_restore(reader, sink, list, job->options, err);
	if (rc == 0 && list != NULL)
		rc = vmf_readback(
		    sink, list, image->geo.chunk, job->options, err);
out:
	vmf_reader_free(reader);
	vmf_digests_free(list);
	return rc < 0 ? vmf_wrap(err, "disk %s", image->name) : 0;
}

static int
place_items(struct job *job, struct vmf_error *err)
{
	struct vmf_package_item item;
	int more;

	while ((more = vmf_package_reader_next(job->r, &item, err)) > 0) {
		if (item.file != NULL &&
		    place_file(
			job, (size_t)(item.file - job->info->files), err) < 0)
			return -1;
		if (item.image != NULL &&
		    place_image(
			job, (size_t)(item.image - job->info->images), err) < 0)
			return -1;
	}
	return more;
}

static int
seal(struct job *job, struct vmf_error *err)
{
	size_t i;

	for (i = 0; i < job->info->nimages; i++)
		if (job->sinks[i] != NULL && vmf_sink_commit(job->sinks[i],
						 job->info->images[i].geo.size,
						 job->plan->readback, err) < 0)
			return vmf_wrap(
			    err, "disk %s", job->info->images[i].name);
	for (i = 0; i < job->info->nfiles; i++)
		if (job->files[i] != NULL &&
		    vmf_newfile_commit(job->files[i], err) < 0)
			return -1;
	return 0;
}

int
vmf_package_restore(struct vmf_package_reader *r,
    const struct vmf_package_plan *plan,
    const struct vmf_engine_options *options,
    struct vmf_package_summary *summary, struct vmf_error *err)
{
	const struct vmf_package_info *info = vmf_package_reader_info(r);
	struct job job = {
	    .r = r, .info = info, .plan = plan, .options = options};
	int rc = -1;
	size_t i;

	job.sinks = calloc(info->nimages + 1, sizeof(struct vmf_sink *));
	job.files = calloc(info->nfiles + 1, sizeof(struct vmf_newfile *));
	if (job.sinks == NULL || job.files == NULL) {
		vmf_fail_errno(err, VMF_IO, "package");
		goto out;
	}
	if (open_targets(&job, err) < 0)
		goto out;
	if (plan->dry_run)
		rc = 0;
	else if (place_items(&job, err) == 0 &&
		 vmf_package_reader_finish(r, summary, err) == 0)
		rc = seal(&job, err);
out:
	for (i = 0; job.sinks != NULL && i < info->nimages; i++)
		vmf_sink_free(job.sinks[i]);
	for (i = 0; job.files != NULL && i < info->nfiles; i++)
		vmf_newfile_free(job.files[i]);
	free(job.sinks);
	free(job.files);
	return rc;
}
