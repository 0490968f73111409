/* inspect.c - see inspect.h: the parent, which waits, kills and cleans up */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <vmferry/inuse.h>

#include "inspect.h"

#define TICK_MS	 100
#define SCRATCH	 "/var/tmp"
#define QEMU_IMG "/usr/bin/qemu-img"

struct run {
	const struct vmf_inspect_options *options;
	const char *path;
	char *dir; /* ours alone, removed at the end */
	char overlay[PATH_MAX];
	char disk[PATH_MAX]; /* what QEMU opens */
	int fd;		     /* the disk, read-only */
	struct timespec until;
};

/* ---- a child, up to the deadline ------------------------------------ */

static bool
is_late(const struct run *run)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec > run->until.tv_sec ||
	       (now.tv_sec == run->until.tv_sec &&
		   now.tv_nsec >= run->until.tv_nsec);
}

/*
 * Its status, however it ends.  The whole group goes with it: a QEMU that
 * outlives its master would write to an overlay that is gone.
 */
static int
wait_for(const struct run *run, pid_t pid, int *status, struct vmf_error *err)
{
	int rc = 0;
	pid_t got;

	while ((got = waitpid(pid, status, WNOHANG)) == 0 && rc == 0) {
		rc = vmf_progress_check(run->options->progress, err);
		if (rc == 0 && is_late(run))
			rc = vmf_fail(err, VMF_IO,
			    "%s: not done after %u seconds; allow more with "
			    "--timeout",
			    run->path, run->options->timeout);
		if (rc == 0)
			poll(NULL, 0, TICK_MS);
	}
	kill(-pid, SIGKILL);
	if (got == 0)
		waitpid(pid, status, 0);
	return rc;
}

/* Its own group, and signals as a program expects them. */
static pid_t
fork_group(void)
{
	pid_t pid = fork();

	if (pid > 0)
		setpgid(pid, pid);
	if (pid != 0)
		return pid;
	setpgid(0, 0);
	/* Should we be killed, nobody else would end it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	return 0;
}

static void
guest_main(struct run *run, bool tcg, FILE *out, int err_fd)
{
	struct vmf_error err = {0};

	setenv("TMPDIR", run->dir, 1);
	if (vmf_inspect_guest(
		run->disk, run->overlay, run->options, tcg, out, &err) == 0)
		_exit(0);
	/* Less than PIPE_BUF: it goes through whole. */
	if (write(err_fd, &err, sizeof(err)) != (ssize_t)sizeof(err))
		_exit(2);
	_exit(1);
}

/* 0: done; 1: KVM let it hang, try without; -1: failed. */
static int
run_guest(struct run *run, bool tcg, FILE *out, struct vmf_error *err)
{
	int ends[2], status = 0, rc;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return vmf_fail_errno(err, VMF_IO, "pipe");
	fflush(NULL);
	pid = fork_group();
	if (pid == 0)
		guest_main(run, tcg, out, ends[1]);
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return vmf_fail_errno(err, VMF_IO, "fork");
	}
	rc = wait_for(run, pid, &status, err);
	if (rc < 0)
		goto out;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM && !tcg)
		rc = 1;
	else if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		rc = 0;
	else if (read(ends[0], err, sizeof(*err)) == (ssize_t)sizeof(*err))
		rc = vmf_wrap(err, "%s", run->path);
	else
		rc = vmf_fail(err, VMF_HYPERVISOR,
		    "%s: libguestfs ended without a word", run->path);
out:
	close(ends[0]);
	return rc;
}

/* ---- the directory for overlay and appliance --------------------------- */

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	remove(path);
	return 0;
}

static int
make_directory(struct run *run, struct vmf_error *err)
{
	const char *in = run->options->scratch;
	char name[PATH_MAX];

	snprintf(name, sizeof(name), "%s/vmf-inspect.XXXXXX",
	    in != NULL ? in : SCRATCH);
	if (mkdtemp(name) == NULL)
		return vmf_fail_errno(
		    err, VMF_IO, "%s", in != NULL ? in : SCRATCH);
	run->dir = strdup(name);
	if (run->dir == NULL) {
		rmdir(name);
		return vmf_fail_errno(err, VMF_IO, "%s", name);
	}
	if ((size_t)snprintf(run->overlay, sizeof(run->overlay), "%s/overlay",
		run->dir) >= sizeof(run->overlay))
		return vmf_fail(err, VMF_USAGE, "%s: too long", run->dir);
	return 0;
}

static void
remove_directory(struct run *run)
{
	if (run->dir != NULL)
		nftw(run->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(run->dir);
}

/* ---- the parts of vmf_inspect() ----------------------------------------- */

/*
 * What was opened and checked is what QEMU opens too: by our descriptor, not
 * by a name.  Of a qcow2 file the name matters, as its base images are named
 * beside it.
 */
static int
open_disk(struct run *run, struct vmf_error *err)
{
	struct stat st;

	run->fd = open(run->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (run->fd < 0 || fstat(run->fd, &st) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", run->path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return vmf_fail(err, VMF_REFUSED,
		    "%s: neither a regular file nor a block device", run->path);
	if (vmf_inuse_by_writer(run->fd, run->path, err) < 0)
		return -1;
	if (run->options->format == VMF_QCOW2) {
		if (realpath(run->path, run->disk) == NULL)
			return vmf_fail_errno(err, VMF_IO, "%s", run->path);
		return 0;
	}
	/* Without this, only root may look into our /proc/PID/fd. */
	prctl(PR_SET_DUMPABLE, 1);
	snprintf(run->disk, sizeof(run->disk), "/proc/%ld/fd/%d",
	    (long)getpid(), run->fd);
	return 0;
}

static int
ask_guest(struct run *run, json_t **report, struct vmf_error *err)
{
	const char *settings = getenv("LIBGUESTFS_BACKEND_SETTINGS");
	bool tcg = access("/dev/kvm", R_OK | W_OK) < 0 ||
		   (settings != NULL && strstr(settings, "force_tcg") != NULL);
	json_error_t why;
	FILE *out = tmpfile();
	int rc;

	if (out == NULL)
		return vmf_fail_errno(err, VMF_IO, "scratch file");
	rc = run_guest(run, tcg, out, err);
	if (rc > 0) {
		remove(run->overlay);
		rc = run_guest(run, true, out, err);
	}
	if (rc == 0) {
		rewind(out);
		*report = json_loadf(out, 0, &why);
		if (*report == NULL)
			rc = vmf_fail(err, VMF_INTERNAL, "%s: report: %s",
			    run->path, why.text);
	}
	fclose(out);
	return rc < 0 ? -1 : 0;
}

/* `qemu-img map` of the overlay, which nobody has open any more. */
static json_t *
read_overlay(struct run *run, struct vmf_error *err)
{
	FILE *out = tmpfile();
	json_t *extents = NULL;
	json_error_t why;
	int status = 0;
	pid_t pid;

	if (out == NULL) {
		vmf_fail_errno(err, VMF_IO, "scratch file");
		return NULL;
	}
	pid = fork_group();
	if (pid == 0) {
		if (dup2(fileno(out), STDOUT_FILENO) >= 0)
			execl(QEMU_IMG, QEMU_IMG, "map", "--output=json", "-f",
			    "qcow2", run->overlay, (char *)NULL);
		_exit(127);
	}
	if (pid < 0) {
		vmf_fail_errno(err, VMF_IO, "fork");
	} else if (wait_for(run, pid, &status, err) == 0) {
		rewind(out);
		if (status == 0)
			extents = json_loadf(out, 0, &why);
		if (extents == NULL)
			vmf_fail(err, VMF_HYPERVISOR, "%s: %s map failed",
			    run->path, QEMU_IMG);
	}
	fclose(out);
	return extents;
}

static int
find_free(struct run *run, const char *state, json_t *report,
    struct vmf_freemap **map, struct vmf_error *err)
{
	json_int_t size = json_integer_value(json_object_get(report, "size"));
	json_t *extents = read_overlay(run, err);
	int fd, rc = -1;

	if (extents == NULL)
		return -1;
	*map =
	    vmf_freemap_new(run->options->format, (uint64_t)size, state, err);
	fd = open(run->overlay, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		vmf_fail_errno(err, VMF_IO, "overlay");
	else if (*map != NULL)
		rc = vmf_inspect_free(extents, fd,
		    run->options->format == VMF_RAW ? run->fd : -1, report,
		    run->options->swap_is_free, *map, err);
	if (fd >= 0)
		close(fd);
	json_decref(extents);
	return rc < 0 ? vmf_wrap(err, "%s", run->path) : 0;
}

/* What was found is worth nothing if somebody wrote meanwhile. */
static int
check_unchanged(struct run *run, const char *state, struct vmf_error *err)
{
	char now[VMF_FREEMAP_STATE];

	if (vmf_inuse_by_writer(run->fd, run->path, err) < 0 ||
	    vmf_freemap_state(run->fd, run->path, now, err) < 0)
		return -1;
	if (strcmp(now, state) != 0)
		return vmf_fail(err, VMF_INTEGRITY,
		    "%s: changed while it was looked at; stop what writes to "
		    "it",
		    run->path);
	return 0;
}

int
vmf_inspect(const char *path, const struct vmf_inspect_options *options,
    json_t **report, struct vmf_freemap **map, struct vmf_error *err)
{
	struct run run = {.options = options, .path = path, .fd = -1};
	char state[VMF_FREEMAP_STATE];
	int rc = -1;

	*report = NULL;
	if (map != NULL)
		*map = NULL;
	clock_gettime(CLOCK_MONOTONIC, &run.until);
	run.until.tv_sec += options->timeout;
	if (open_disk(&run, err) < 0 ||
	    vmf_freemap_state(run.fd, path, state, err) < 0 ||
	    make_directory(&run, err) < 0 || ask_guest(&run, report, err) < 0)
		goto out;
	if (options->trim && find_free(&run, state, *report, map, err) < 0)
		goto out;
	if (check_unchanged(&run, state, err) < 0)
		goto out;
	json_object_set_new(*report, "disk", json_string(path));
	json_object_set_new(*report, "format",
	    json_string(options->format == VMF_QCOW2 ? "qcow2" : "raw"));
	rc = 0;
out:
	if (rc < 0) {
		json_decref(*report);
		*report = NULL;
		if (map != NULL) {
			vmf_freemap_free(*map);
			*map = NULL;
		}
	}
	if (run.fd >= 0)
		close(run.fd);
	remove_directory(&run);
	return rc;
}
