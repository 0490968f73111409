/* io.c - see vmferry/io.h */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vmferry/io.h>

/* How soon a wait for another process sees that it is to stop. */
#define STOP_TICK_MS 100

struct vmf_newfile {
	char *path; /* the final name */
	char *temp; /* NULL once renamed */
	int fd;
	bool overwrite;
	bool keep; /* without commit it stays */
};

int
vmf_read_full(int fd, void *buf, size_t len, size_t *got, struct vmf_error *err)
{
	uint8_t *p = buf;
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = read(fd, p + done, len - done);
		if (n == 0)
			break;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return vmf_fail_errno(err, VMF_IO, "read");
		done += (size_t)n;
	}
	*got = done;
	return 0;
}

int
vmf_write_full(int fd, const void *buf, size_t len, struct vmf_error *err)
{
	const uint8_t *p = buf;
	ssize_t n;

	while (len > 0) {
		n = write(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return vmf_fail_errno(err, VMF_IO, "write");
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int
vmf_pread_full(
    int fd, void *buf, size_t len, uint64_t off, struct vmf_error *err)
{
	uint8_t *p = buf;
	ssize_t n;

	while (len > 0) {
		n = pread(fd, p, len, (off_t)off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return vmf_fail_errno(err, VMF_IO,
			    "read at offset %llu", (unsigned long long)off);
		if (n == 0)
			return vmf_fail(err, VMF_IO, "ends early at %llu",
			    (unsigned long long)off);
		p += n;
		len -= (size_t)n;
		off += (uint64_t)n;
	}
	return 0;
}

int
vmf_pwrite_full(
    int fd, const void *buf, size_t len, uint64_t off, struct vmf_error *err)
{
	const uint8_t *p = buf;
	ssize_t n;

	while (len > 0) {
		n = pwrite(fd, p, len, (off_t)off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return vmf_fail_errno(err, VMF_IO,
			    "write at offset %llu", (unsigned long long)off);
		p += n;
		len -= (size_t)n;
		off += (uint64_t)n;
	}
	return 0;
}

char *
vmf_read_file(const char *path, size_t max, size_t *len, struct vmf_error *err)
{
	char *text = NULL, *result = NULL;
	struct stat st;
	size_t got;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0) {
		vmf_fail_errno(err, VMF_IO, "%s", path);
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		vmf_fail(err, VMF_IO, "%s: not a regular file", path);
		goto out;
	}
	/* One byte more than is said shows a file that is larger. */
	if ((uint64_t)st.st_size > max) {
		vmf_fail(err, VMF_IO, "%s: larger than %zu bytes", path, max);
		goto out;
	}
	text = malloc((size_t)st.st_size + 1);
	if (text == NULL) {
		vmf_fail_errno(err, VMF_IO, "%s", path);
		goto out;
	}
	if (vmf_read_full(fd, text, (size_t)st.st_size, &got, err) < 0) {
		vmf_wrap(err, "%s", path);
		goto out;
	}
	text[got] = '\0';
	if (len != NULL)
		*len = got;
	result = text;
	text = NULL;
out:
	free(text);
	if (fd >= 0)
		close(fd);
	return result;
}

int
vmf_scratch_open(const char *dir, struct vmf_error *err)
{
	char name[4096];
	int fd;

	if (dir == NULL)
		dir = "/var/tmp";
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	/* Not every file system has O_TMPFILE. */
	snprintf(name, sizeof(name), "%s/vmferry.XXXXXX", dir);
	fd = mkostemp(name, O_CLOEXEC);
	if (fd < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", dir);
	unlink(name);
	return fd;
}

int
vmf_make_directory(const char *dir, struct vmf_error *err)
{
	char copy[PATH_MAX], *slash;

	snprintf(copy, sizeof(copy), "%s", dir);
	slash = strrchr(copy, '/');
	if (slash != NULL && slash != copy) {
		*slash = '\0';
		if (mkdir(copy, 0700) < 0 && errno != EEXIST)
			return vmf_fail_errno(err, VMF_IO, "%s", copy);
	}
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return vmf_fail_errno(err, VMF_IO, "%s", dir);
	return 0;
}

int
vmf_sync_parent(const char *path, struct vmf_error *err)
{
	char *copy = strdup(path);
	int fd, rc = -1;

	if (copy == NULL)
		return vmf_fail_errno(err, VMF_IO, "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* Some file systems refuse to sync a directory: nothing to gain. */
	if (fd < 0 || (fsync(fd) < 0 && errno != EINVAL))
		vmf_fail_errno(err, VMF_IO, "directory of %s", path);
	else
		rc = 0;
	if (fd >= 0)
		close(fd);
	free(copy);
	return rc;
}

static int
refuse_existing(const char *path, struct vmf_error *err)
{
	return vmf_fail(err, VMF_REFUSED,
	    "%s: exists already; choose another name or ask to overwrite it",
	    path);
}

/* DIR/.NAME.TAG, in the same file system as DIR/NAME; no name too long. */
static char *
temporary_name(const char *path, const char *tag)
{
	const char *slash = strrchr(path, '/');
	int dir_len = slash == NULL ? 0 : (int)(slash - path + 1);
	char *temp;

	if (asprintf(&temp, "%.*s.%.*s.%s", dir_len, path,
		246 - (int)strlen(tag), path + dir_len, tag) < 0)
		return NULL;
	return temp;
}

/* A typing error under /dev must not become a large file in memory. */
int
vmf_newfile_check(const char *path, struct vmf_error *err)
{
	char *dir = strdup(path), *real = NULL, *slash;
	int rc = -1;

	if (dir == NULL)
		return vmf_fail_errno(err, VMF_IO, "%s", path);
	slash = strrchr(dir, '/');
	if (slash == NULL)
		strcpy(dir, ".");
	else
		slash[slash == dir] = '\0';
	real = realpath(dir, NULL);
	if (real == NULL && errno == ENOENT)
		vmf_fail(err, VMF_REFUSED,
		    "%s: its directory does not exist; create it first", path);
	else if (real == NULL)
		vmf_fail_errno(err, VMF_REFUSED, "%s", path);
	else if ((strncmp(real, "/dev/", 5) == 0 ||
		     strcmp(real, "/dev") == 0) &&
		 strcmp(real, "/dev/shm") != 0 &&
		 strncmp(real, "/dev/shm/", 9) != 0)
		vmf_fail(err, VMF_REFUSED,
		    "%s: no such device; no file is made under /dev", path);
	else
		rc = 0;
	free(real);
	free(dir);
	return rc;
}

/* May it be made?  The names are chosen, nothing is made yet. */
static struct vmf_newfile *
new_newfile(
    const char *path, const char *tag, bool overwrite, struct vmf_error *err)
{
	struct vmf_newfile *nf;
	struct stat st;

	if (lstat(path, &st) == 0) {
		if (!overwrite) {
			refuse_existing(path, err);
			return NULL;
		}
		if (!S_ISREG(st.st_mode)) {
			vmf_fail(err, VMF_REFUSED,
			    "%s: exists and is not a regular file", path);
			return NULL;
		}
	} else if (vmf_newfile_check(path, err) < 0) {
		return NULL;
	}
	nf = calloc(1, sizeof(*nf));
	if (nf == NULL) {
		vmf_fail_errno(err, VMF_IO, "%s", path);
		return NULL;
	}
	nf->fd = -1;
	nf->overwrite = overwrite;
	nf->path = strdup(path);
	nf->temp = temporary_name(path, tag);
	if (nf->path == NULL || nf->temp == NULL) {
		vmf_fail_errno(err, VMF_IO, "%s", path);
		nf->keep = true;
		vmf_newfile_free(nf);
		return NULL;
	}
	return nf;
}

struct vmf_newfile *
vmf_newfile_create(const char *path, bool overwrite, struct vmf_error *err)
{
	struct vmf_newfile *nf = new_newfile(path, "XXXXXX", overwrite, err);

	if (nf == NULL)
		return NULL;
	nf->fd = mkostemp(nf->temp, O_CLOEXEC);
	if (nf->fd >= 0)
		return nf;
	vmf_fail_errno(err, VMF_IO, "%s", path);
	nf->keep = true; /* it is not ours */
	vmf_newfile_free(nf);
	return NULL;
}

struct vmf_newfile *
vmf_newfile_part(
    const char *path, const char *tag, bool overwrite, struct vmf_error *err)
{
	struct vmf_newfile *nf = new_newfile(path, tag, overwrite, err);
	struct stat st;

	if (nf == NULL)
		return NULL;
	nf->keep = true;
	nf->fd = open(nf->temp,
	    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (nf->fd < 0 || fstat(nf->fd, &st) < 0) {
		vmf_fail_errno(err, VMF_IO, "%s", nf->temp);
	} else if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
		   st.st_nlink != 1) {
		vmf_fail(err, VMF_REFUSED,
		    "%s: is in the way, and not ours; remove it", nf->temp);
	} else {
		return nf;
	}
	vmf_newfile_free(nf);
	return NULL;
}

void
vmf_newfile_keep(struct vmf_newfile *nf, bool keep)
{
	if (nf != NULL)
		nf->keep = keep;
}

int
vmf_newfile_fd(const struct vmf_newfile *nf)
{
	return nf->fd;
}

/*
 * NFS, 9p and others know no RENAME_NOREPLACE: a link is as exclusive.  Where
 * there are no links either, whoever was quicker by a hair is replaced.
 */
static int
take_name(const struct vmf_newfile *nf)
{
	struct stat st;

	if (nf->overwrite)
		return rename(nf->temp, nf->path);
	if (renameat2(
		AT_FDCWD, nf->temp, AT_FDCWD, nf->path, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
		return -1;
	if (link(nf->temp, nf->path) == 0) {
		unlink(nf->temp);
		return 0;
	}
	if (errno == EEXIST)
		return -1;
	if (lstat(nf->path, &st) == 0) {
		errno = EEXIST;
		return -1;
	}
	return rename(nf->temp, nf->path);
}

const char *
vmf_newfile_temporary(const struct vmf_newfile *nf)
{
	return nf->temp;
}

int
vmf_newfile_commit(struct vmf_newfile *nf, struct vmf_error *err)
{
	int fd = nf->fd;

	if (fsync(fd) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s: sync", nf->path);
	nf->fd = -1;
	if (close(fd) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s: close", nf->path);
	if (take_name(nf) < 0) {
		if (errno == EEXIST)
			return refuse_existing(nf->path, err);
		return vmf_fail_errno(err, VMF_IO, "%s: rename", nf->path);
	}
	free(nf->temp);
	nf->temp = NULL;
	return vmf_sync_parent(nf->path, err);
}

void
vmf_newfile_free(struct vmf_newfile *nf)
{
	if (nf == NULL)
		return;
	if (nf->fd >= 0)
		close(nf->fd);
	if (nf->temp != NULL && !nf->keep)
		unlink(nf->temp);
	free(nf->temp);
	free(nf->path);
	free(nf);
}

int
vmf_write_file(const char *path, const void *buf, size_t len, bool overwrite,
    struct vmf_error *err)
{
	struct vmf_newfile *nf = vmf_newfile_create(path, overwrite, err);
	int rc = -1;

	if (nf == NULL)
		return -1;
	if (vmf_write_full(nf->fd, buf, len, err) < 0)
		vmf_wrap(err, "%s", path);
	else
		rc = vmf_newfile_commit(nf, err);
	vmf_newfile_free(nf);
	return rc;
}

static int
fd_read(void *ctx, void *buf, size_t len, size_t *got, struct vmf_error *err)
{
	const struct vmf_fd *f = ctx;

	if (vmf_read_full(f->fd, buf, len, got, err) < 0)
		return vmf_wrap(err, "%s", f->name);
	return 0;
}

static int
fd_write(void *ctx, const void *buf, size_t len, struct vmf_error *err)
{
	const struct vmf_fd *f = ctx;

	if (vmf_write_full(f->fd, buf, len, err) < 0)
		return vmf_wrap(err, "%s", f->name);
	return 0;
}

struct vmf_in
vmf_in_fd(struct vmf_fd *fd)
{
	return (struct vmf_in){.read = fd_read, .ctx = fd};
}

struct vmf_out
vmf_out_fd(struct vmf_fd *fd)
{
	return (struct vmf_out){.write = fd_write, .ctx = fd};
}

/* Until fd is ready for events, or a stop is asked for. */
static int
wait_for(const struct vmf_pipe *p, short events, struct vmf_error *err)
{
	struct pollfd ready = {.fd = p->fd, .events = events};
	int n;

	do {
		if (vmf_progress_check(p->progress, err) < 0)
			return -1;
		n = poll(&ready, 1, STOP_TICK_MS);
		if (n < 0 && errno != EINTR)
			return vmf_fail_errno(err, VMF_IO, "%s", p->name);
	} while (n <= 0);
	return 0;
}

/* Nothing there yet after all? */
static bool
is_transient(void)
{
	return errno == EINTR || errno == EAGAIN;
}

static int
pipe_read(void *ctx, void *buf, size_t len, size_t *got, struct vmf_error *err)
{
	const struct vmf_pipe *p = ctx;
	ssize_t n = 1;

	*got = 0;
	while (*got < len && n != 0) {
		if (wait_for(p, POLLIN, err) < 0)
			return -1;
		n = read(p->fd, (uint8_t *)buf + *got, len - *got);
		if (n < 0 && !is_transient())
			return vmf_fail_errno(err, VMF_IO, "%s: read", p->name);
		if (n > 0)
			*got += (size_t)n;
	}
	return 0;
}

/*
 * The same pipe, opened anew: its O_NONBLOCK is ours alone, while that of the
 * descriptor we were given is shared with whoever gave it.
 */
static int
open_nonblock(int fd)
{
	char self[64];
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode))
		return -1;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return open(self, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
}

/*
 * Never wait within write(), where no stop is seen: what is ready takes
 * PIPE_BUF bytes at once, and more when it says so itself.
 */
static int
pipe_write(void *ctx, const void *buf, size_t len, struct vmf_error *err)
{
	const struct vmf_pipe *p = ctx;
	int own = len > PIPE_BUF ? open_nonblock(p->fd) : -1;
	const uint8_t *next = buf;
	struct stat st;
	size_t most = len;
	ssize_t n;
	int rc = -1;

	if (own < 0 && fstat(p->fd, &st) == 0 && !S_ISREG(st.st_mode))
		most = PIPE_BUF;
	while (len > 0) {
		if (wait_for(p, POLLOUT, err) < 0)
			goto out;
		n = write(own < 0 ? p->fd : own, next, len < most ? len : most);
		if (n < 0 && !is_transient()) {
			vmf_fail_errno(err, VMF_IO, "%s: write", p->name);
			goto out;
		}
		if (n > 0) {
			next += n;
			len -= (size_t)n;
		}
	}
	rc = 0;
out:
	if (own >= 0)
		close(own);
	return rc;
}

struct vmf_in
vmf_in_pipe(struct vmf_pipe *p)
{
	return (struct vmf_in){.read = pipe_read, .ctx = p};
}

struct vmf_out
vmf_out_pipe(struct vmf_pipe *p)
{
	return (struct vmf_out){.write = pipe_write, .ctx = p};
}
