/* source.c - see vmferry/source.h */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vmferry/direct.h>
#include <vmferry/inuse.h>
#include <vmferry/io.h>
#include <vmferry/source.h>

struct vmf_source {
	char *name;
	struct vmf_direct io;
	uint64_t size;
	uint32_t sector;
	struct vmf_source_options options;
	struct stat opened; /* as it was at the start */
	bool pipe;
	bool holes; /* the file system tells of holes */
};

static struct vmf_source *
new_source(const char *name, struct vmf_error *err)
{
	struct vmf_source *src = calloc(1, sizeof(*src));

	if (src != NULL) {
		src->io.fd = src->io.dfd = -1;
		src->name = strdup(name);
	}
	if (src == NULL || src->name == NULL) {
		vmf_fail_errno(err, VMF_IO, "%s", name);
		vmf_source_free(src);
		return NULL;
	}
	return src;
}

static int
look_at_device(struct vmf_source *src, int fd, struct vmf_error *err)
{
	int sector = 0;

	if (ioctl(fd, BLKGETSIZE64, &src->size) < 0 ||
	    ioctl(fd, BLKSSZGET, &sector) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", src->name);
	src->sector = (uint32_t)sector;
	return 0;
}

struct vmf_source *
vmf_source_open(const char *path, const struct vmf_source_options *options,
    struct vmf_error *err)
{
	struct vmf_source *src = new_source(path, err);
	int fd = -1;

	if (src == NULL)
		return NULL;
	src->options = *options;
	/* O_NONBLOCK: a FIFO in place of a disk must not hang us. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &src->opened) < 0) {
		vmf_fail_errno(err, VMF_IO, "%s", path);
		goto fail;
	}
	if (S_ISBLK(src->opened.st_mode)) {
		if (look_at_device(src, fd, err) < 0)
			goto fail;
	} else if (S_ISREG(src->opened.st_mode)) {
		src->size = (uint64_t)src->opened.st_size;
		src->holes = !options->no_holes;
	} else {
		vmf_fail(err, VMF_REFUSED,
		    "%s: neither a regular file nor a block device", path);
		goto fail;
	}
	if (src->size > VMF_IMAGE_MAX) {
		vmf_fail(err, VMF_REFUSED, "%s: too large", path);
		goto fail;
	}
	if (!options->live && vmf_inuse_by_writer(fd, path, err) < 0)
		goto fail;
	vmf_direct_init(&src->io, fd, false);
	return src;
fail:
	if (fd >= 0)
		close(fd);
	vmf_source_free(src);
	return NULL;
}

struct vmf_source *
vmf_source_pipe(int fd, const char *name, struct vmf_error *err)
{
	struct vmf_source *src = new_source(name, err);

	if (src == NULL)
		return NULL;
	src->io.fd = fd;
	src->pipe = true;
	src->size = VMF_SIZE_UNKNOWN;
	return src;
}

const char *
vmf_source_name(const struct vmf_source *src)
{
	return src->name;
}

uint64_t
vmf_source_size(const struct vmf_source *src)
{
	return src->size;
}

void
vmf_source_geometry(
    const struct vmf_source *src, uint32_t chunk, struct vmf_geometry *geo)
{
	memset(geo, 0, sizeof(*geo));
	geo->size = src->size;
	geo->virtual_size = src->size;
	geo->chunk = chunk;
	geo->format = VMF_RAW;
	geo->sector = src->sector;
	if (src->options.live)
		geo->features |= VMF_FEATURE_LIVE;
}

int
vmf_source_extent(struct vmf_source *src, uint64_t off, struct vmf_extent *ext,
    struct vmf_error *err)
{
	off_t data, hole;

	ext->off = off;
	ext->len = src->size - off;
	ext->kind = VMF_EXTENT_DATA;
	if (!src->holes)
		return 0;
	data = lseek(src->io.fd, (off_t)off, SEEK_DATA);
	if (data < 0 && errno == ENXIO) {
		/* Nothing but a hole up to the end - or the file shrank. */
		ext->kind = VMF_EXTENT_ZERO;
		return 0;
	}
	if (data < 0) {
		/* This file system cannot tell: everything is data. */
		src->holes = false;
		return 0;
	}
	if ((uint64_t)data > off) {
		if ((uint64_t)data < src->size)
			ext->len = (uint64_t)data - off;
		ext->kind = VMF_EXTENT_ZERO;
		return 0;
	}
	hole = lseek(src->io.fd, (off_t)off, SEEK_HOLE);
	if (hole < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", src->name);
	if ((uint64_t)hole > off && (uint64_t)hole < src->size)
		ext->len = (uint64_t)hole - off;
	return 0;
}

int
vmf_source_read(struct vmf_source *src, void *buf, size_t len, uint64_t off,
    size_t *got, struct vmf_error *err)
{
	int rc;

	if (src->pipe) {
		rc = vmf_read_full(src->io.fd, buf, len, got, err);
	} else {
		rc = vmf_direct_read(&src->io, buf, len, off, err);
		if (got != NULL)
			*got = len;
	}
	return rc < 0 ? vmf_wrap(err, "%s", src->name) : 0;
}

int
vmf_source_unchanged(struct vmf_source *src, struct vmf_error *err)
{
	struct stat now;

	if (src->pipe || src->options.live || !S_ISREG(src->opened.st_mode))
		return 0;
	if (fstat(src->io.fd, &now) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", src->name);
	if (now.st_size < src->opened.st_size)
		return vmf_fail(err, VMF_IO,
		    "%s: shrank while it was read; stop what writes to it",
		    src->name);
	if (now.st_size != src->opened.st_size ||
	    now.st_mtim.tv_sec != src->opened.st_mtim.tv_sec ||
	    now.st_mtim.tv_nsec != src->opened.st_mtim.tv_nsec)
		return vmf_fail(err, VMF_INTEGRITY,
		    "%s: changed while it was read; stop what writes to it",
		    src->name);
	return 0;
}

void
vmf_source_free(struct vmf_source *src)
{
	if (src == NULL)
		return;
	if (!src->pipe)
		vmf_direct_close(&src->io);
	free(src->name);
	free(src);
}
