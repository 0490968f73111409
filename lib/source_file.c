/* source_file.c - image files and block devices: see vmferry/source.h */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vmferry/direct.h>
#include <vmferry/inuse.h>
#include <vmferry/partition.h>

#include "source_internal.h"

struct file {
	struct vmf_direct io;
	struct stat opened; /* as it was at the start */
	bool holes;	    /* the file system tells of holes */
};

static int
file_extent(struct vmf_source *src, uint64_t off, struct vmf_extent *ext,
    struct vmf_error *err)
{
	struct file *f = src->self;
	off_t data, hole;

	ext->off = off;
	ext->len = src->total - off;
	ext->kind = VMF_EXTENT_DATA;
	if (!f->holes)
		return 0;
	data = lseek(f->io.fd, (off_t)off, SEEK_DATA);
	if (data < 0 && errno == ENXIO) {
		/* Nothing but a hole up to the end - or the file shrank. */
		ext->kind = VMF_EXTENT_ZERO;
		return 0;
	}
	if (data < 0) {
		/* This file system cannot tell: everything is data. */
		f->holes = false;
		return 0;
	}
	if ((uint64_t)data > off) {
		if ((uint64_t)data < src->total)
			ext->len = (uint64_t)data - off;
		ext->kind = VMF_EXTENT_ZERO;
		return 0;
	}
	hole = lseek(f->io.fd, (off_t)off, SEEK_HOLE);
	if (hole < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", src->name);
	if ((uint64_t)hole > off && (uint64_t)hole < src->total)
		ext->len = (uint64_t)hole - off;
	return 0;
}

static int
file_read(struct vmf_source *src, void *buf, size_t len, uint64_t off,
    size_t *got, struct vmf_error *err)
{
	struct file *f = src->self;

	*got = len;
	return vmf_direct_read(&f->io, buf, len, off, err);
}

static int
file_unchanged(struct vmf_source *src, struct vmf_error *err)
{
	struct file *f = src->self;
	struct stat now;

	if (!S_ISREG(f->opened.st_mode))
		return 0;
	if (fstat(f->io.fd, &now) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", src->name);
	if (now.st_size < f->opened.st_size)
		return vmf_fail(err, VMF_IO,
		    "%s: shrank while it was read; stop what writes to it",
		    src->name);
	if (now.st_size != f->opened.st_size ||
	    now.st_mtim.tv_sec != f->opened.st_mtim.tv_sec ||
	    now.st_mtim.tv_nsec != f->opened.st_mtim.tv_nsec)
		return vmf_fail(err, VMF_INTEGRITY,
		    "%s: changed while it was read; stop what writes to it",
		    src->name);
	return 0;
}

static void
file_close(struct vmf_source *src)
{
	struct file *f = src->self;

	vmf_direct_close(&f->io);
	free(f);
}

static const struct vmf_source_ops file_ops = {.extent = file_extent,
    .read = file_read,
    .unchanged = file_unchanged,
    .close = file_close};

static int
look_at_device(struct vmf_source *src, int fd, struct vmf_error *err)
{
	int sector = 0;

	if (ioctl(fd, BLKGETSIZE64, &src->total) < 0 ||
	    ioctl(fd, BLKSSZGET, &sector) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", src->name);
	src->sector = (uint32_t)sector;
	return 0;
}

static int
choose_part(struct vmf_source *src, int fd,
    const struct vmf_source_options *options, struct vmf_error *err)
{
	uint64_t off = options->off, len = options->len;

	if (options->partition != 0 &&
	    vmf_partition_find(
		fd, src->name, options->partition, &off, &len, err) < 0)
		return -1;
	return vmf_source_window(src, off, len, err);
}

/* What was opened is a disk, of this size, and nobody's. */
static int
look(struct vmf_source *src, const struct vmf_source_options *options,
    struct vmf_error *err)
{
	struct file *f = src->self;
	int fd = f->io.fd;

	if (fstat(fd, &f->opened) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", src->name);
	if (S_ISBLK(f->opened.st_mode)) {
		if (look_at_device(src, fd, err) < 0)
			return -1;
	} else if (S_ISREG(f->opened.st_mode)) {
		src->total = (uint64_t)f->opened.st_size;
		f->holes = !options->no_holes;
	} else {
		return vmf_fail(err, VMF_REFUSED,
		    "%s: neither a regular file nor a block device", src->name);
	}
	if (src->total > VMF_IMAGE_MAX)
		return vmf_fail(err, VMF_REFUSED, "%s: too large", src->name);
	if (!options->live && vmf_inuse_by_writer(fd, src->name, err) < 0)
		return -1;
	return choose_part(src, fd, options, err);
}

struct vmf_source *
vmf_source_open(const char *path, const struct vmf_source_options *options,
    struct vmf_error *err)
{
	struct file *f = calloc(1, sizeof(*f));
	struct vmf_source *src;
	int fd;

	if (f == NULL) {
		vmf_fail_errno(err, VMF_IO, "%s", path);
		return NULL;
	}
	f->io.fd = f->io.dfd = -1;
	src = vmf_source_new(path, &file_ops, f, err);
	if (src == NULL)
		return NULL;
	if (options->live)
		src->features |= VMF_FEATURE_LIVE;
	/* O_NONBLOCK: a FIFO in place of a disk must not hang us. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	f->io.fd = fd;
	if (fd < 0) {
		vmf_fail_errno(err, VMF_IO, "%s", path);
		goto fail;
	}
	if (look(src, options, err) < 0)
		goto fail;
	vmf_direct_init(&f->io, fd, false);
	return src;
fail:
	vmf_source_free(src);
	return NULL;
}
