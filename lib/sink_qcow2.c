/*
 * sink_qcow2.c - a new qcow2 file as a target: see vmferry/sink.h
 *
 * QEMU's code makes and writes it, under the temporary name of a new file; an
 * empty one reads as zeros, so zeros are not written.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <vmferry/io.h>
#include <vmferry/qcow2.h>

#include "nbd_internal.h"
#include "sink_internal.h"

#define CLUSTER ((size_t)64 << 10) /* qemu-img's default */

struct qcow2 {
	struct vmf_newfile *file;
	struct vmf_nbd nbd;
};

static int
qcow2_begin(struct vmf_sink *sink, struct vmf_error *err)
{
	struct qcow2 *q = sink->self;
	char *real;
	int rc;

	q->file = vmf_newfile_create(sink->name, sink->options.overwrite, err);
	if (q->file == NULL || vmf_qcow2_create(vmf_newfile_temporary(q->file),
				   sink->size, err) < 0)
		return -1;
	real = realpath(vmf_newfile_temporary(q->file), NULL);
	if (real == NULL)
		return vmf_fail_errno(err, VMF_IO, "%s", sink->name);
	rc = vmf_nbd_serve(&q->nbd, real, "qcow2", true, false, err);
	free(real);
	return rc;
}

static bool
is_zero(const uint8_t *p, size_t len)
{
	return p[0] == 0 && memcmp(p, p + 1, len - 1) == 0;
}

static int
qcow2_write(struct vmf_sink *sink, const void *data, size_t len, uint64_t off,
    struct vmf_error *err)
{
	struct qcow2 *q = sink->self;
	const uint8_t *buf = data;
	size_t n, run;

	while (len > 0) {
		for (run = 0; run < len; run += n) {
			n = len - run < CLUSTER ? len - run : CLUSTER;
			if (is_zero(buf + run, n))
				break;
		}
		if (run > 0 && vmf_nbd_write(&q->nbd, buf, run, off, err) < 0)
			return -1;
		if (run < len)
			run += len - run < CLUSTER ? len - run : CLUSTER;
		buf += run;
		off += run;
		len -= run;
	}
	return 0;
}

static int
qcow2_zero(
    struct vmf_sink *sink, uint64_t len, uint64_t off, struct vmf_error *err)
{
	(void)sink;
	(void)len;
	(void)off;
	(void)err;
	return 0;
}

static int
qcow2_flush(struct vmf_sink *sink, struct vmf_error *err)
{
	struct qcow2 *q = sink->self;

	if (vmf_nbd_flush(&q->nbd, err) < 0)
		return vmf_wrap(err, "%s", sink->name);
	/* What is read back then comes from the medium. */
	posix_fadvise(vmf_newfile_fd(q->file), 0, 0, POSIX_FADV_DONTNEED);
	return 0;
}

static int
qcow2_read(struct vmf_sink *sink, void *buf, size_t len, uint64_t off,
    struct vmf_error *err)
{
	struct qcow2 *q = sink->self;

	return vmf_nbd_read(&q->nbd, buf, len, off, err);
}

static bool
qcow2_holds(const struct vmf_sink *sink, uint64_t off)
{
	(void)sink;
	(void)off;
	return false;
}

static bool
qcow2_is_hole(struct vmf_sink *sink, uint64_t len, uint64_t off)
{
	struct qcow2 *q = sink->self;
	uint64_t end = off + len;
	struct vmf_extent ext;

	for (; off < end; off += ext.len)
		if (vmf_nbd_extent(&q->nbd, off, &ext, NULL) < 0 ||
		    ext.kind != VMF_EXTENT_ZERO)
			return false;
	return true;
}

static int
qcow2_commit(
    struct vmf_sink *sink, uint64_t size, bool readback, struct vmf_error *err)
{
	struct qcow2 *q = sink->self;

	(void)size;
	(void)readback;
	if (qcow2_flush(sink, err) < 0)
		return -1;
	if (vmf_nbd_finish(&q->nbd, err) < 0)
		return vmf_wrap(err, "%s", sink->name);
	return vmf_newfile_commit(q->file, err);
}

static void
qcow2_close(struct vmf_sink *sink)
{
	struct qcow2 *q = sink->self;

	vmf_nbd_close(&q->nbd);
	vmf_newfile_free(q->file);
	free(q);
}

static const struct vmf_sink_ops qcow2_ops = {.begin = qcow2_begin,
    .write = qcow2_write,
    .zero = qcow2_zero,
    .flush = qcow2_flush,
    .read = qcow2_read,
    .fetch = qcow2_read,
    .holds = qcow2_holds,
    .is_hole = qcow2_is_hole,
    .commit = qcow2_commit,
    .close = qcow2_close};

int
vmf_sink_qcow2_open(
    struct vmf_sink *sink, const struct stat *st, struct vmf_error *err)
{
	struct qcow2 *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return vmf_fail_errno(err, VMF_IO, "%s", sink->name);
	sink->ops = &qcow2_ops;
	sink->self = q;
	sink->room = sink->size;
	if (sink->size == VMF_SIZE_UNKNOWN)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: a qcow2 file's size must be known beforehand; restore "
		    "to a raw file first",
		    sink->name);
	if (sink->size % 512 != 0)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: qcow2 holds whole sectors, and the image has "
		    "%" PRIu64 " bytes",
		    sink->name, sink->size);
	return vmf_sink_check_file(sink, st, err);
}
