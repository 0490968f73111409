/*
 * sink_file.c - a new file as a target: see vmferry/sink.h
 *
 * It grows under a temporary name; its holes are zeros already.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vmferry/direct.h>
#include <vmferry/inuse.h>
#include <vmferry/io.h>

#include "sink_internal.h"

#define HOLE_MIN ((size_t)32 << 10) /* a shorter one is not worth an extent */

struct file {
	struct vmf_direct io;
	struct vmf_newfile *file;
	_Atomic uint64_t end; /* of an image of unknown size, so far */
};

static int
check_existing(const char *path, const struct vmf_sink_options *options,
    struct vmf_error *err)
{
	int fd, rc;

	if (!options->overwrite)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: exists already; choose another name or allow it "
		    "to be overwritten",
		    path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return vmf_fail_errno(err, VMF_REFUSED, "%s", path);
	rc = vmf_inuse_by_writer(fd, path, err);
	close(fd);
	return rc;
}

static int
note_part(
    struct vmf_sink *sink, struct vmf_newfile *file, struct vmf_error *err)
{
	struct stat st;

	if (sink->options.part == NULL)
		return 0;
	sink->part = strdup(vmf_newfile_temporary(file));
	if (sink->part == NULL || fstat(vmf_newfile_fd(file), &st) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", sink->name);
	sink->resumed = st.st_size > 0 && (uint64_t)st.st_size == sink->size;
	/* Another size is another image: nothing of it is of use. */
	if (!sink->resumed && ftruncate(vmf_newfile_fd(file), 0) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", sink->part);
	return 0;
}

static int
file_begin(struct vmf_sink *sink, struct vmf_error *err)
{
	struct file *f = sink->self;
	int fd;

	if (sink->options.part == NULL)
		f->file = vmf_newfile_create(
		    sink->name, sink->options.overwrite, err);
	else
		f->file = vmf_newfile_part(sink->name, sink->options.part,
		    sink->options.overwrite, err);
	if (f->file == NULL || note_part(sink, f->file, err) < 0)
		return -1;
	fd = fcntl(vmf_newfile_fd(f->file), F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", sink->name);
	vmf_direct_init(&f->io, fd, true);
	/* All holes at first; a full disk shows itself at the writes. */
	if (sink->size != VMF_SIZE_UNKNOWN &&
	    ftruncate(fd, (off_t)sink->size) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", sink->name);
	return 0;
}

/* Zeros at the start of buf, in whole blocks of the usual file system. */
static size_t
zero_blocks(const uint8_t *buf, size_t len)
{
	size_t off = 0;

	while (len - off >= VMF_ALIGN && buf[off] == 0 &&
	       memcmp(buf + off, buf + off + 1, VMF_ALIGN - 1) == 0)
		off += VMF_ALIGN;
	return off;
}

/* Bytes at the start of buf up to the next run of zeros worth a hole. */
static size_t
data_blocks(const uint8_t *buf, size_t len)
{
	size_t off = 0, zeros;

	while (off < len) {
		zeros = zero_blocks(buf + off, len - off);
		if (zeros >= HOLE_MIN)
			break;
		off += zeros;
		off += len - off < VMF_ALIGN ? len - off : VMF_ALIGN;
	}
	return off;
}

/* How far an image of unknown size reaches: it may end with a hole. */
static void
reaches(struct file *f, uint64_t end)
{
	uint64_t seen = atomic_load(&f->end);

	while (seen < end && !atomic_compare_exchange_weak(&f->end, &seen, end))
		;
}

/* What was written there before is a hole afterwards, or zeros. */
static int
punch(struct file *f, uint64_t len, uint64_t off, struct vmf_error *err)
{
	static const uint8_t zeros[64 * VMF_KIB];
	size_t n;

	if (len == 0 ||
	    fallocate(f->io.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		(off_t)off, (off_t)len) == 0)
		return 0;
	for (; len > 0; len -= n, off += n) {
		n = len < sizeof(zeros) ? (size_t)len : sizeof(zeros);
		if (vmf_direct_write(&f->io, zeros, n, off, err) < 0)
			return -1;
	}
	return 0;
}

/* A new file is all holes: what is zero within a chunk stays one. */
static int
file_write(struct vmf_sink *sink, const void *data, size_t len, uint64_t off,
    struct vmf_error *err)
{
	struct file *f = sink->self;
	const uint8_t *buf = data;
	size_t n, zeros;

	reaches(f, off + len);
	while (len > 0) {
		n = data_blocks(buf, len);
		if (n > 0 && vmf_direct_write(&f->io, buf, n, off, err) < 0)
			return -1;
		zeros = zero_blocks(buf + n, len - n);
		if (sink->again && punch(f, zeros, off + n, err) < 0)
			return -1;
		n += zeros;
		buf += n;
		off += n;
		len -= n;
	}
	return 0;
}

static int
file_zero(
    struct vmf_sink *sink, uint64_t len, uint64_t off, struct vmf_error *err)
{
	reaches(sink->self, off + len);
	return sink->again ? punch(sink->self, len, off, err) : 0;
}

static int
file_flush(struct vmf_sink *sink, struct vmf_error *err)
{
	struct file *f = sink->self;

	if (sink->size == VMF_SIZE_UNKNOWN &&
	    ftruncate(f->io.fd, (off_t)atomic_load(&f->end)) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", sink->name);
	if (fdatasync(f->io.fd) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s: sync", sink->name);
	return 0;
}

static int
file_read(struct vmf_sink *sink, void *buf, size_t len, uint64_t off,
    struct vmf_error *err)
{
	struct file *f = sink->self;

	return vmf_direct_read_medium(&f->io, buf, len, off, err);
}

static bool
file_holds(const struct vmf_sink *sink, uint64_t off)
{
	(void)sink;
	(void)off;
	return false;
}

static int
file_fetch(struct vmf_sink *sink, void *buf, size_t len, uint64_t off,
    struct vmf_error *err)
{
	struct file *f = sink->self;

	return vmf_direct_read(&f->io, buf, len, off, err);
}

static bool
file_is_hole(struct vmf_sink *sink, uint64_t len, uint64_t off)
{
	struct file *f = sink->self;
	off_t data = lseek(f->io.fd, (off_t)off, SEEK_DATA);

	return data < 0 ? errno == ENXIO : (uint64_t)data >= off + len;
}

static int
file_commit(
    struct vmf_sink *sink, uint64_t size, bool readback, struct vmf_error *err)
{
	struct file *f = sink->self;

	(void)readback; /* nothing was held back */
	if (sink->size == VMF_SIZE_UNKNOWN &&
	    ftruncate(f->io.fd, (off_t)size) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", sink->name);
	return vmf_newfile_commit(f->file, err);
}

static void
file_close(struct vmf_sink *sink)
{
	struct file *f = sink->self;

	vmf_direct_close(&f->io);
	if (sink->discard)
		vmf_newfile_keep(f->file, false);
	vmf_newfile_free(f->file);
	free(f);
}

static const struct vmf_sink_ops file_ops = {.begin = file_begin,
    .write = file_write,
    .zero = file_zero,
    .flush = file_flush,
    .read = file_read,
    .fetch = file_fetch,
    .holds = file_holds,
    .is_hole = file_is_hole,
    .commit = file_commit,
    .close = file_close};

int
vmf_sink_file_open(
    struct vmf_sink *sink, const struct stat *st, struct vmf_error *err)
{
	struct file *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return vmf_fail_errno(err, VMF_IO, "%s", sink->name);
	f->io.fd = f->io.dfd = -1;
	sink->ops = &file_ops;
	sink->self = f;
	sink->room = sink->size;
	return vmf_sink_check_file(sink, st, err);
}

int
vmf_sink_check_file(
    struct vmf_sink *sink, const struct stat *st, struct vmf_error *err)
{
	if (st != NULL && !S_ISREG(st->st_mode))
		return vmf_fail(err, VMF_REFUSED,
		    "%s: neither a regular file nor a block device",
		    sink->name);
	if (st != NULL)
		return check_existing(sink->name, &sink->options, err);
	return vmf_newfile_check(sink->name, err);
}
