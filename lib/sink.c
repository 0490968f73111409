/*
 * sink.c - see vmferry/sink.h
 *
 * Two targets share all but their beginning and end.  A new file grows under
 * a temporary name; its holes are zeros already.  A block device is there
 * before: two regions of it, head and tail, are zeroed at begin and kept away
 * from every write until commit - in a scratch file, where tail follows head
 * (see held_at()).
 */
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
#include <vmferry/lock.h>
#include <vmferry/signature.h>
#include <vmferry/sink.h>

#define HOLD_MIN (4 * VMF_MIB)
#define HOLE_MIN ((size_t)32 << 10) /* a shorter one is not worth an extent */

struct vmf_sink {
	char *name;
	struct vmf_direct io;
	struct vmf_newfile *file; /* NULL for a device */
	struct vmf_sink_options options;
	char *scratch;
	uint64_t size; /* of the image */
	uint64_t room; /* of the target */
	uint64_t head; /* [0, head) is held back */
	uint64_t tail; /* [tail, size) likewise */
	uint64_t hold; /* bytes zeroed at either end */
	int held;      /* scratch file, -1 for a new file */
	bool device;
};

static uint64_t
min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static int
check_existing_file(const char *path, const struct vmf_sink_options *options,
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
open_file(struct vmf_sink *sink, const struct stat *st, struct vmf_error *err)
{
	if (st != NULL && !S_ISREG(st->st_mode))
		return vmf_fail(err, VMF_REFUSED,
		    "%s: neither a regular file nor a block device",
		    sink->name);
	if (st != NULL)
		return check_existing_file(sink->name, &sink->options, err);
	sink->room = sink->size;
	return vmf_newfile_check(sink->name, err);
}

static int
check_device(struct vmf_sink *sink, int fd, const struct vmf_geometry *geo,
    struct vmf_error *err)
{
	int sector = 0;

	if (ioctl(fd, BLKGETSIZE64, &sink->room) < 0 ||
	    ioctl(fd, BLKSSZGET, &sector) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", sink->name);
	if (geo->size == VMF_SIZE_UNKNOWN)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: the stream does not say how large its image is; "
		    "restore it to a file first",
		    sink->name);
	if (sink->room < geo->size)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: smaller than the image (%" PRIu64 " < %" PRIu64
		    " bytes); create a larger volume",
		    sink->name, sink->room, geo->size);
	if (geo->sector != 0 && (uint32_t)sector != geo->sector)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: sectors of %d bytes, the image was made on sectors "
		    "of %u; choose a target with the same",
		    sink->name, sector, geo->sector);
	if (geo->size % (uint64_t)sector != 0)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: sectors of %d bytes, which do not divide the "
		    "image's %" PRIu64 " bytes",
		    sink->name, sector, geo->size);
	return 0;
}

/* O_EXCL was refused: by another run of ours, or by the kernel's own use. */
static int
name_the_holder(const struct vmf_sink *sink, struct vmf_error *err)
{
	int fd = open(sink->name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return vmf_fail_errno(err, VMF_REFUSED, "%s", sink->name);
	if (vmf_lock_fd(fd, sink->name, err) == 0 &&
	    vmf_inuse_by_system(fd, sink->name, err) == 0)
		vmf_fail(err, VMF_BUSY,
		    "%s: held by another process; wait for it to end",
		    sink->name);
	close(fd);
	return -1;
}

static int
open_device(struct vmf_sink *sink, const struct vmf_geometry *geo,
    struct vmf_error *err)
{
	struct stat st;
	int fd;

	/* O_EXCL: nobody mounts or stacks upon it while we have it. */
	fd = open(sink->name, O_RDWR | O_EXCL | O_CLOEXEC);
	if (fd < 0 && errno == EBUSY)
		return name_the_holder(sink, err);
	if (fd < 0)
		return vmf_fail_errno(err,
		    errno == EROFS || errno == EACCES ? VMF_IO : VMF_REFUSED,
		    "%s", sink->name);
	vmf_direct_init(&sink->io, fd, true);
	if (fstat(fd, &st) < 0 || !S_ISBLK(st.st_mode))
		return vmf_fail(err, VMF_REFUSED,
		    "%s: changed while it was opened", sink->name);
	if (vmf_lock_fd(fd, sink->name, err) < 0 ||
	    check_device(sink, fd, geo, err) < 0 ||
	    vmf_inuse_by_writer(fd, sink->name, err) < 0)
		return -1;
	if (!sink->options.overwrite)
		return vmf_signature_refuse(fd, sink->name, err);
	return 0;
}

/* Whole chunks at either end; a small image is all head. */
static void
choose_held(struct vmf_sink *sink, uint32_t chunk)
{
	sink->hold = chunk > HOLD_MIN ? chunk : HOLD_MIN;
	sink->head = min_u64(sink->hold, sink->size);
	sink->tail = sink->size - min_u64(sink->hold, sink->size);
	sink->tail -= sink->tail % chunk;
	if (sink->tail < sink->head)
		sink->tail = sink->head;
}

/* Room for what is held back is taken now, while nothing is touched yet. */
static int
open_held(struct vmf_sink *sink, struct vmf_error *err)
{
	uint64_t len = sink->head + sink->size - sink->tail;

	sink->held = vmf_scratch_open(sink->scratch, err);
	if (sink->held < 0)
		return -1;
	if (len > 0 && fallocate(sink->held, 0, 0, (off_t)len) < 0 &&
	    errno != EOPNOTSUPP)
		return vmf_fail_errno(err, VMF_IO,
		    "%s: scratch space of %" PRIu64 " bytes; name another "
		    "directory for it",
		    sink->name, len);
	return 0;
}

struct vmf_sink *
vmf_sink_open(const char *path, const struct vmf_geometry *geo,
    const struct vmf_sink_options *options, struct vmf_error *err)
{
	struct vmf_sink *sink = calloc(1, sizeof(*sink));
	struct stat st;
	bool exists;

	if (sink == NULL)
		goto no_memory;
	sink->io.fd = sink->io.dfd = sink->held = -1;
	sink->options = *options;
	sink->size = geo->size;
	sink->name = strdup(path);
	if (sink->name == NULL)
		goto no_memory;
	if (options->scratch != NULL) {
		sink->scratch = strdup(options->scratch);
		if (sink->scratch == NULL)
			goto no_memory;
	}
	exists = stat(path, &st) == 0;
	if (!exists && errno != ENOENT) {
		vmf_fail_errno(err, VMF_REFUSED, "%s", path);
		goto fail;
	}
	sink->device = exists && S_ISBLK(st.st_mode);
	if (sink->device) {
		if (open_device(sink, geo, err) < 0)
			goto fail;
		choose_held(sink, geo->chunk);
		if (open_held(sink, err) < 0)
			goto fail;
	} else if (open_file(sink, exists ? &st : NULL, err) < 0) {
		goto fail;
	}
	return sink;
no_memory:
	vmf_fail_errno(err, VMF_IO, "%s", path);
fail:
	vmf_sink_free(sink);
	return NULL;
}

const char *
vmf_sink_name(const struct vmf_sink *sink)
{
	return sink->name;
}

uint64_t
vmf_sink_size(const struct vmf_sink *sink)
{
	return sink->room;
}

bool
vmf_sink_is_device(const struct vmf_sink *sink)
{
	return sink->device;
}

/* Zeros by the kernel's way, which the device may do by itself; else ours. */
static int
zero_range(
    struct vmf_sink *sink, uint64_t len, uint64_t off, struct vmf_error *err)
{
	uint64_t range[2] = {off, len};
	uint64_t n;
	void *zeros;
	int rc = 0;

	if (len == 0)
		return 0;
	if (off % 512 == 0 && len % 512 == 0 &&
	    ioctl(sink->io.fd, BLKZEROOUT, range) == 0)
		return 0;
	zeros = vmf_direct_buffer(VMF_MIB);
	if (zeros == NULL)
		return vmf_fail_errno(err, VMF_IO, "zeros");
	memset(zeros, 0, VMF_MIB);
	for (; rc == 0 && len > 0; len -= n, off += n) {
		n = min_u64(len, VMF_MIB);
		rc = vmf_direct_write(&sink->io, zeros, (size_t)n, off, err);
	}
	free(zeros);
	return rc;
}

static int
sync_fd(const struct vmf_sink *sink, struct vmf_error *err)
{
	if (fdatasync(sink->io.fd) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s: sync", sink->name);
	return 0;
}

/*
 * Invalidate: neither end of the device, nor of the image in it, shows what
 * was there before.  From here on the old contents are gone.
 */
static int
begin_device(struct vmf_sink *sink, struct vmf_error *err)
{
	uint64_t hold = min_u64(sink->hold, sink->room);

	if (zero_range(sink, hold, 0, err) < 0 ||
	    zero_range(sink, hold, sink->room - hold, err) < 0 ||
	    zero_range(sink, sink->size - sink->tail, sink->tail, err) < 0)
		return vmf_wrap(err, "%s", sink->name);
	if (sink->options.zero_tail &&
	    zero_range(sink, sink->room - sink->size, sink->size, err) < 0)
		return vmf_wrap(err, "%s", sink->name);
	return sync_fd(sink, err);
}

int
vmf_sink_begin(struct vmf_sink *sink, struct vmf_error *err)
{
	int fd;

	if (sink->device)
		return begin_device(sink, err);
	sink->file =
	    vmf_newfile_create(sink->name, sink->options.overwrite, err);
	if (sink->file == NULL)
		return -1;
	fd = fcntl(vmf_newfile_fd(sink->file), F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", sink->name);
	vmf_direct_init(&sink->io, fd, true);
	/* All holes at first; a full disk shows itself at the writes. */
	if (sink->size != VMF_SIZE_UNKNOWN &&
	    ftruncate(fd, (off_t)sink->size) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", sink->name);
	return 0;
}

bool
vmf_sink_holds(const struct vmf_sink *sink, uint64_t off)
{
	return sink->device && (off < sink->head || off >= sink->tail);
}

/* Where the scratch file keeps what belongs at off: tail follows head. */
static uint64_t
held_at(const struct vmf_sink *sink, uint64_t off)
{
	return off < sink->head ? off : off - sink->tail + sink->head;
}

/* The part of [off, off+len) that lies on one side of each border. */
static uint64_t
piece_len(const struct vmf_sink *sink, uint64_t len, uint64_t off)
{
	if (!sink->device)
		return len;
	if (off < sink->head)
		return min_u64(len, sink->head - off);
	if (off < sink->tail)
		return min_u64(len, sink->tail - off);
	return len;
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

/* A new file is all holes: what is zero within a chunk stays one. */
static int
write_sparse(struct vmf_sink *sink, const uint8_t *buf, size_t len,
    uint64_t off, struct vmf_error *err)
{
	size_t n;

	while (len > 0) {
		n = data_blocks(buf, len);
		if (n > 0 && vmf_direct_write(&sink->io, buf, n, off, err) < 0)
			return -1;
		n += zero_blocks(buf + n, len - n);
		buf += n;
		off += n;
		len -= n;
	}
	return 0;
}

static int
write_piece(struct vmf_sink *sink, const void *buf, size_t len, uint64_t off,
    struct vmf_error *err)
{
	if (vmf_sink_holds(sink, off))
		return vmf_pwrite_full(
		    sink->held, buf, len, held_at(sink, off), err);
	if (!sink->device)
		return write_sparse(sink, buf, len, off, err);
	return vmf_direct_write(&sink->io, buf, len, off, err);
}

int
vmf_sink_write(struct vmf_sink *sink, const void *buf, size_t len, uint64_t off,
    struct vmf_error *err)
{
	const uint8_t *p = buf;
	size_t n;

	for (; len > 0; len -= n, off += n, p += n) {
		n = (size_t)piece_len(sink, len, off);
		if (write_piece(sink, p, n, off, err) < 0)
			return vmf_wrap(err, "%s", sink->name);
	}
	return 0;
}

int
vmf_sink_zero(
    struct vmf_sink *sink, uint64_t len, uint64_t off, struct vmf_error *err)
{
	uint64_t n;

	if (!sink->device || sink->options.target_is_zero)
		return 0;
	for (; len > 0; len -= n, off += n) {
		n = piece_len(sink, len, off);
		/* The scratch file has holes there. */
		if (!vmf_sink_holds(sink, off) &&
		    zero_range(sink, n, off, err) < 0)
			return vmf_wrap(err, "%s", sink->name);
	}
	return 0;
}

int
vmf_sink_flush(struct vmf_sink *sink, struct vmf_error *err)
{
	return sync_fd(sink, err);
}

int
vmf_sink_read(struct vmf_sink *sink, void *buf, size_t len, uint64_t off,
    struct vmf_error *err)
{
	if (vmf_direct_read_medium(&sink->io, buf, len, off, err) < 0)
		return vmf_wrap(err, "%s", sink->name);
	return 0;
}

bool
vmf_sink_is_hole(struct vmf_sink *sink, uint64_t len, uint64_t off)
{
	off_t data;

	if (sink->device)
		return false;
	data = lseek(sink->io.fd, (off_t)off, SEEK_DATA);
	return data < 0 ? errno == ENXIO : (uint64_t)data >= off + len;
}

/* Move [off, off+len) from the scratch file to the device, or compare it. */
static int
settle_held(struct vmf_sink *sink, uint64_t off, uint64_t len, bool compare,
    struct vmf_error *err)
{
	uint8_t *buf = vmf_direct_buffer(2 * VMF_MIB);
	size_t n;
	int rc = 0;

	if (buf == NULL)
		return vmf_fail_errno(err, VMF_IO, "%s", sink->name);
	for (; rc == 0 && len > 0; len -= n, off += n) {
		n = (size_t)min_u64(len, VMF_MIB);
		memset(buf, 0, n);
		rc =
		    vmf_pread_full(sink->held, buf, n, held_at(sink, off), err);
		if (rc == 0 && !compare)
			rc = vmf_direct_write(&sink->io, buf, n, off, err);
		if (rc < 0 || !compare)
			continue;
		rc = vmf_direct_read_medium(
		    &sink->io, buf + VMF_MIB, n, off, err);
		if (rc == 0 && memcmp(buf, buf + VMF_MIB, n) != 0)
			rc = vmf_fail(err, VMF_INTEGRITY,
			    "reads back other bytes than were written, near "
			    "offset %" PRIu64 "; do not trust this disk",
			    off);
	}
	free(buf);
	return rc < 0 ? vmf_wrap(err, "%s", sink->name) : 0;
}

/* What makes a disk of it - boot code, tables, labels - is the last write. */
static int
commit_device(struct vmf_sink *sink, bool readback, struct vmf_error *err)
{
	uint64_t tail_len = sink->size - sink->tail;
	uint64_t first = min_u64(sink->head, VMF_MIB);

	/* Zeros that were not written are holes up to the end of scratch. */
	if (ftruncate(sink->held, (off_t)(sink->head + tail_len)) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", sink->name);
	if (settle_held(sink, sink->tail, tail_len, false, err) < 0 ||
	    settle_held(sink, first, sink->head - first, false, err) < 0 ||
	    sync_fd(sink, err) < 0 ||
	    settle_held(sink, 0, first, false, err) < 0 ||
	    sync_fd(sink, err) < 0)
		return -1;
	if (!readback)
		return 0;
	if (settle_held(sink, sink->tail, tail_len, true, err) < 0)
		return -1;
	return settle_held(sink, 0, sink->head, true, err);
}

int
vmf_sink_commit(
    struct vmf_sink *sink, uint64_t size, bool readback, struct vmf_error *err)
{
	if (sink->device)
		return commit_device(sink, readback, err);
	if (sink->size == VMF_SIZE_UNKNOWN &&
	    ftruncate(sink->io.fd, (off_t)size) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", sink->name);
	return vmf_newfile_commit(sink->file, err);
}

void
vmf_sink_free(struct vmf_sink *sink)
{
	if (sink == NULL)
		return;
	vmf_direct_close(&sink->io);
	vmf_newfile_free(sink->file);
	if (sink->held >= 0)
		close(sink->held);
	free(sink->scratch);
	free(sink->name);
	free(sink);
}
