/*
 * sink_place.c - a block device as a target, or a part of one, or of a file:
 * see vmferry/sink.h
 *
 * It is there before: two regions, head and tail of the image, are zeroed at
 * begin and kept away from every write until commit - in a scratch file, where
 * tail follows head (see held_at()).  All offsets are the image's; base, where
 * the image begins, is added in I/O only.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <vmferry/direct.h>
#include <vmferry/inuse.h>
#include <vmferry/io.h>
#include <vmferry/lock.h>
#include <vmferry/lvm.h>
#include <vmferry/signature.h>

#include "sink_internal.h"

#define HOLD_MIN (4 * VMF_MIB)

struct place {
	struct vmf_direct io;
	uint64_t base; /* where the image begins */
	uint64_t size; /* of the image, or all the room there is */
	uint64_t head; /* [0, head) is held back */
	uint64_t tail; /* [tail, size) likewise */
	uint64_t hold; /* bytes zeroed at either end */
	int held;      /* scratch file */
	bool thin;     /* what is discarded has no blocks, and reads as zeros */
};

static uint64_t
min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* ---- before anything is touched ------------------------------------------ */

static int
check_room(struct vmf_sink *sink, uint64_t total, struct vmf_error *err)
{
	uint64_t off = sink->options.off;

	if (off > total)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: has %" PRIu64 " bytes; offset %" PRIu64
		    " lies behind them",
		    sink->name, total, off);
	sink->room = total - off;
	if (sink->size == VMF_SIZE_UNKNOWN && !sink->options.any_size)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: the stream does not say how large its image is; "
		    "restore it to a file first",
		    sink->name);
	if (sink->size == VMF_SIZE_UNKNOWN || sink->room >= sink->size)
		return 0;
	return vmf_fail(err, VMF_REFUSED,
	    "%s: smaller than the image (%" PRIu64 " < %" PRIu64
	    " bytes); create a larger volume",
	    sink->name, sink->room, sink->size);
}

static int
check_sectors(const struct vmf_sink *sink, unsigned sector,
    const struct vmf_geometry *geo, struct vmf_error *err)
{
	if (geo->sector != 0 && sector != geo->sector)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: sectors of %u bytes, the image was made on sectors "
		    "of %u; choose a target with the same",
		    sink->name, sector, geo->sector);
	if (geo->size != VMF_SIZE_UNKNOWN && geo->size % sector != 0)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: sectors of %u bytes, which do not divide the "
		    "image's %" PRIu64 " bytes",
		    sink->name, sector, geo->size);
	if (sink->options.off % sector != 0)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: sectors of %u bytes, which do not divide the "
		    "offset %" PRIu64,
		    sink->name, sector, sink->options.off);
	return 0;
}

static int
check_device(struct vmf_sink *sink, int fd, const struct vmf_geometry *geo,
    struct vmf_error *err)
{
	uint64_t total = 0;
	int sector = 0;

	if (ioctl(fd, BLKGETSIZE64, &total) < 0 ||
	    ioctl(fd, BLKSSZGET, &sector) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", sink->name);
	if (check_room(sink, total, err) < 0)
		return -1;
	return check_sectors(sink, (unsigned)sector, geo, err);
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
open_target(struct vmf_sink *sink, struct vmf_error *err)
{
	struct place *p = sink->self;
	/* O_EXCL: nobody mounts or stacks upon it while we have it. */
	int how = sink->device ? O_EXCL : O_NOFOLLOW | O_NONBLOCK;
	int fd = open(sink->name, O_RDWR | O_CLOEXEC | how);
	struct stat st;

	if (fd < 0 && errno == EBUSY && sink->device)
		return name_the_holder(sink, err);
	if (fd < 0)
		return vmf_fail_errno(err,
		    errno == EROFS || errno == EACCES ? VMF_IO : VMF_REFUSED,
		    "%s", sink->name);
	vmf_direct_init(&p->io, fd, true);
	if (fstat(fd, &st) < 0 ||
	    (sink->device ? !S_ISBLK(st.st_mode) : !S_ISREG(st.st_mode)))
		return vmf_fail(err, VMF_REFUSED,
		    "%s: neither a regular file nor a block device",
		    sink->name);
	if (!sink->device && check_room(sink, (uint64_t)st.st_size, err) < 0)
		return -1;
	return 0;
}

static int
check_target(struct vmf_sink *sink, const struct vmf_geometry *geo,
    struct vmf_error *err)
{
	struct place *p = sink->self;
	int fd = p->io.fd;

	if (vmf_lock_fd(fd, sink->name, err) < 0 ||
	    (sink->device && check_device(sink, fd, geo, err) < 0) ||
	    vmf_inuse_by_writer(fd, sink->name, err) < 0)
		return -1;
	if (sink->options.overwrite)
		return 0;
	if (!sink->device)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: exists already; allow it to be overwritten",
		    sink->name);
	return vmf_signature_refuse(fd, sink->name, err);
}

/* Whole chunks at either end; a small image is all head. */
static void
choose_held(struct place *p, uint32_t chunk)
{
	p->hold = chunk > HOLD_MIN ? chunk : HOLD_MIN;
	p->head = min_u64(p->hold, p->size);
	p->tail = p->size - min_u64(p->hold, p->size);
	p->tail -= p->tail % chunk;
	if (p->tail < p->head)
		p->tail = p->head;
}

/* Room for what is held back is taken now, while nothing is touched yet. */
static int
open_held(struct vmf_sink *sink, struct vmf_error *err)
{
	struct place *p = sink->self;
	uint64_t len = p->head + p->size - p->tail;

	p->held = vmf_scratch_open(sink->scratch, err);
	if (p->held < 0)
		return -1;
	if (len > 0 && fallocate(p->held, 0, 0, (off_t)len) < 0 &&
	    errno != EOPNOTSUPP)
		return vmf_fail_errno(err, VMF_IO,
		    "%s: scratch space of %" PRIu64 " bytes; name another "
		    "directory for it",
		    sink->name, len);
	if (ftruncate(p->held, (off_t)len) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", sink->name);
	return 0;
}

/* ---- writing ------------------------------------------------------------- */

/* Zeros by the kernel's way, which the device may do by itself. */
static bool
zero_by_kernel(struct vmf_sink *sink, uint64_t len, uint64_t at)
{
	struct place *p = sink->self;
	uint64_t range[2] = {at, len};

	if (sink->device)
		return at % 512 == 0 && len % 512 == 0 &&
		       ioctl(p->io.fd, BLKZEROOUT, range) == 0;
	return fallocate(p->io.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		   (off_t)at, (off_t)len) == 0 ||
	       fallocate(p->io.fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
		   (off_t)at, (off_t)len) == 0;
}

static bool
is_zero(const uint8_t *buf, size_t len)
{
	return len == 0 || (buf[0] == 0 && memcmp(buf, buf + 1, len - 1) == 0);
}

/*
 * A thin volume gives its blocks back, where whole ones are discarded; zeros
 * written to it would only take more.  What does not read as zeros then - the
 * rest of a block, a pool that ignores discards - is written.
 */
static int
zero_by_discard(
    struct vmf_sink *sink, uint64_t len, uint64_t at, struct vmf_error *err)
{
	struct place *p = sink->self;
	uint64_t range[2] = {at, len};
	uint8_t *buf = vmf_direct_buffer(VMF_MIB);
	size_t n;
	int rc = 0;

	if (buf == NULL)
		return vmf_fail_errno(err, VMF_IO, "zeros");
	ioctl(p->io.fd, BLKDISCARD, range);
	for (; rc == 0 && len > 0; len -= n, at += n) {
		n = (size_t)min_u64(len, VMF_MIB);
		rc = vmf_direct_read_medium(&p->io, buf, n, at, err);
		if (rc < 0 || is_zero(buf, n))
			continue;
		memset(buf, 0, n);
		rc = vmf_direct_write(&p->io, buf, n, at, err);
	}
	free(buf);
	return rc;
}

static int
zero_range(
    struct vmf_sink *sink, uint64_t len, uint64_t off, struct vmf_error *err)
{
	struct place *p = sink->self;
	uint64_t at = p->base + off;
	uint64_t n;
	void *zeros;
	int rc = 0;

	if (len > 0 && p->thin)
		return zero_by_discard(sink, len, at, err);
	if (len == 0 || zero_by_kernel(sink, len, at))
		return 0;
	zeros = vmf_direct_buffer(VMF_MIB);
	if (zeros == NULL)
		return vmf_fail_errno(err, VMF_IO, "zeros");
	memset(zeros, 0, VMF_MIB);
	for (; rc == 0 && len > 0; len -= n, at += n) {
		n = min_u64(len, VMF_MIB);
		rc = vmf_direct_write(&p->io, zeros, (size_t)n, at, err);
	}
	free(zeros);
	return rc;
}

static int
place_flush(struct vmf_sink *sink, struct vmf_error *err)
{
	struct place *p = sink->self;

	if (fdatasync(p->io.fd) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s: sync", sink->name);
	return 0;
}

/*
 * Invalidate: neither end of the device, nor of the image in it, shows what
 * was there before.  From here on the old contents are gone.  Of what is
 * written into the middle of, only the image's own ends are.
 */
static int
place_begin(struct vmf_sink *sink, struct vmf_error *err)
{
	struct place *p = sink->self;
	uint64_t hold = min_u64(p->hold, sink->room);
	bool whole = p->base == 0 && sink->device;

	if (sink->options.is_new && sink->options.target_is_zero)
		return 0;
	if (!whole)
		hold = 0;
	if (zero_range(sink, whole ? hold : p->head, 0, err) < 0 ||
	    zero_range(sink, hold, sink->room - hold, err) < 0 ||
	    zero_range(sink, p->size - p->tail, p->tail, err) < 0)
		return vmf_wrap(err, "%s", sink->name);
	if (sink->options.zero_tail &&
	    zero_range(sink, sink->room - p->size, p->size, err) < 0)
		return vmf_wrap(err, "%s", sink->name);
	return place_flush(sink, err);
}

static bool
place_holds(const struct vmf_sink *sink, uint64_t off)
{
	const struct place *p = sink->self;

	return off < p->head || off >= p->tail;
}

/* Where the scratch file keeps what belongs at off: tail follows head. */
static uint64_t
held_at(const struct place *p, uint64_t off)
{
	return off < p->head ? off : off - p->tail + p->head;
}

/* The part of [off, off+len) that lies on one side of each border. */
static uint64_t
piece_len(const struct place *p, uint64_t len, uint64_t off)
{
	if (off < p->head)
		return min_u64(len, p->head - off);
	if (off < p->tail)
		return min_u64(len, p->tail - off);
	return len;
}

/* Only an image of unknown size can be too large so late. */
static int
check_end(const struct vmf_sink *sink, uint64_t len, uint64_t off,
    struct vmf_error *err)
{
	if (off <= sink->room && len <= sink->room - off)
		return 0;
	return vmf_fail(err, VMF_IO,
	    "smaller than the image, which goes on after %" PRIu64
	    " bytes; create a larger volume",
	    sink->room);
}

static int
place_write(struct vmf_sink *sink, const void *buf, size_t len, uint64_t off,
    struct vmf_error *err)
{
	struct place *p = sink->self;
	const uint8_t *from = buf;
	size_t n;
	int rc;

	if (check_end(sink, len, off, err) < 0)
		return -1;
	for (; len > 0; len -= n, off += n, from += n) {
		n = (size_t)piece_len(p, len, off);
		if (place_holds(sink, off))
			rc = vmf_pwrite_full(
			    p->held, from, n, held_at(p, off), err);
		else
			rc = vmf_direct_write(
			    &p->io, from, n, p->base + off, err);
		if (rc < 0)
			return -1;
	}
	return 0;
}

static int
zero_held(struct place *p, uint64_t len, uint64_t off, struct vmf_error *err)
{
	static const uint8_t zeros[64 * VMF_KIB];
	size_t n;

	for (; len > 0; len -= n, off += n) {
		n = (size_t)min_u64(len, sizeof(zeros));
		if (vmf_pwrite_full(p->held, zeros, n, held_at(p, off), err) <
		    0)
			return -1;
	}
	return 0;
}

static int
place_zero(
    struct vmf_sink *sink, uint64_t len, uint64_t off, struct vmf_error *err)
{
	struct place *p = sink->self;
	uint64_t n;

	if (check_end(sink, len, off, err) < 0)
		return -1;
	if (sink->options.target_is_zero && !sink->again)
		return 0;
	for (; len > 0; len -= n, off += n) {
		n = piece_len(p, len, off);
		/* The scratch file has holes there, at first. */
		if (place_holds(sink, off)
			? sink->again && zero_held(p, n, off, err) < 0
			: zero_range(sink, n, off, err) < 0)
			return -1;
	}
	return 0;
}

static int
place_read(struct vmf_sink *sink, void *buf, size_t len, uint64_t off,
    struct vmf_error *err)
{
	struct place *p = sink->self;

	return vmf_direct_read_medium(&p->io, buf, len, p->base + off, err);
}

static int
place_fetch(struct vmf_sink *sink, void *buf, size_t len, uint64_t off,
    struct vmf_error *err)
{
	struct place *p = sink->self;
	uint8_t *to = buf;
	size_t n;
	int rc;

	for (; len > 0; len -= n, off += n, to += n) {
		n = (size_t)piece_len(p, len, off);
		if (place_holds(sink, off))
			rc = vmf_pread_full(
			    p->held, to, n, held_at(p, off), err);
		else
			rc = vmf_direct_read(&p->io, to, n, p->base + off, err);
		if (rc < 0)
			return -1;
	}
	return 0;
}

static bool
place_is_hole(struct vmf_sink *sink, uint64_t len, uint64_t off)
{
	(void)sink;
	(void)len;
	(void)off;
	return false;
}

/* ---- the end ------------------------------------------------------------- */

/* Move [off, off+len) from the scratch file to the device, or compare it. */
static int
settle_held(struct vmf_sink *sink, uint64_t off, uint64_t len, bool compare,
    struct vmf_error *err)
{
	struct place *p = sink->self;
	uint8_t *buf = vmf_direct_buffer(2 * VMF_MIB);
	size_t n;
	int rc = 0;

	if (buf == NULL)
		return vmf_fail_errno(err, VMF_IO, "%s", sink->name);
	for (; rc == 0 && len > 0; len -= n, off += n) {
		n = (size_t)min_u64(len, VMF_MIB);
		memset(buf, 0, n);
		rc = vmf_pread_full(p->held, buf, n, held_at(p, off), err);
		/* Zeros are there since begin. */
		if (rc == 0 && !compare && !is_zero(buf, n))
			rc = vmf_direct_write(
			    &p->io, buf, n, p->base + off, err);
		if (rc < 0 || !compare)
			continue;
		rc = vmf_direct_read_medium(
		    &p->io, buf + VMF_MIB, n, p->base + off, err);
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
place_commit(
    struct vmf_sink *sink, uint64_t size, bool readback, struct vmf_error *err)
{
	struct place *p = sink->self;
	uint64_t tail_len = p->size - p->tail;
	uint64_t first = min_u64(p->head, VMF_MIB);

	(void)size;
	/* Zeros that were not written are holes up to the end of scratch. */
	if (ftruncate(p->held, (off_t)(p->head + tail_len)) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", sink->name);
	if (settle_held(sink, p->tail, tail_len, false, err) < 0 ||
	    settle_held(sink, first, p->head - first, false, err) < 0 ||
	    place_flush(sink, err) < 0 ||
	    settle_held(sink, 0, first, false, err) < 0 ||
	    place_flush(sink, err) < 0)
		return -1;
	if (!readback)
		return 0;
	if (settle_held(sink, p->tail, tail_len, true, err) < 0)
		return -1;
	return settle_held(sink, 0, p->head, true, err);
}

static void
place_close(struct vmf_sink *sink)
{
	struct place *p = sink->self;

	vmf_direct_close(&p->io);
	if (p->held >= 0)
		close(p->held);
	free(p);
}

static const struct vmf_sink_ops place_ops = {.begin = place_begin,
    .write = place_write,
    .zero = place_zero,
    .flush = place_flush,
    .read = place_read,
    .fetch = place_fetch,
    .holds = place_holds,
    .is_hole = place_is_hole,
    .commit = place_commit,
    .close = place_close};

static bool
is_thin(const char *path)
{
	struct vmf_lv lv;
	bool found = false;

	return vmf_lvm_find(path, &lv, &found, NULL) == 0 && found &&
	       lv.pool[0] != '\0';
}

int
vmf_sink_place_open(struct vmf_sink *sink, const struct vmf_geometry *geo,
    struct vmf_error *err)
{
	struct place *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return vmf_fail_errno(err, VMF_IO, "%s", sink->name);
	p->io.fd = p->io.dfd = p->held = -1;
	p->base = sink->options.off;
	sink->ops = &place_ops;
	sink->self = p;
	p->thin = sink->device && is_thin(sink->name);
	if (open_target(sink, err) < 0 || check_target(sink, geo, err) < 0)
		return -1;
	p->size = sink->size == VMF_SIZE_UNKNOWN ? sink->room : sink->size;
	choose_held(p, geo->chunk);
	return open_held(sink, err);
}
