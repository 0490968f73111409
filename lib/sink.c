/* sink.c - see vmferry/sink.h: what all kinds of sinks have in common */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sink_internal.h"

/* What becomes of which format, and what cannot. */
static int
check_format(const struct vmf_sink *sink, const struct vmf_geometry *geo,
    struct vmf_error *err)
{
	bool place = sink->device || sink->options.in_place;

	if (geo->format == VMF_QCOW2 &&
	    (place || sink->options.format == VMF_RAW))
		return vmf_fail(err, VMF_REFUSED,
		    "%s: the image is a qcow2 file as a file; dump it with "
		    "--flatten to have its contents here",
		    sink->name);
	if (sink->options.format == VMF_QCOW2 && place)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: a qcow2 file is made new, not in what exists",
		    sink->name);
	return 0;
}

static int
open_kind(struct vmf_sink *sink, const struct vmf_geometry *geo,
    struct vmf_error *err)
{
	struct stat st;
	bool exists = stat(sink->name, &st) == 0;

	if ((geo->features & VMF_FEATURE_RESCUE) != 0 &&
	    !sink->options.accept_degraded)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: the image is degraded, its source could not be read "
		    "everywhere; allow that with --accept-degraded",
		    sink->name);
	if (!exists && errno != ENOENT)
		return vmf_fail_errno(err, VMF_REFUSED, "%s", sink->name);
	sink->device = exists && S_ISBLK(st.st_mode);
	if (check_format(sink, geo, err) < 0)
		return -1;
	if (sink->options.format == VMF_QCOW2 && geo->format == VMF_RAW)
		return vmf_sink_qcow2_open(sink, exists ? &st : NULL, err);
	if (sink->device || (exists && sink->options.in_place))
		return vmf_sink_place_open(sink, geo, err);
	if (sink->options.in_place)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: does not exist; an offset needs a target that does",
		    sink->name);
	return vmf_sink_file_open(sink, exists ? &st : NULL, err);
}

struct vmf_sink *
vmf_sink_open(const char *path, const struct vmf_geometry *geo,
    const struct vmf_sink_options *options, struct vmf_error *err)
{
	struct vmf_sink *sink = calloc(1, sizeof(*sink));

	if (sink == NULL)
		goto no_memory;
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
	if (open_kind(sink, geo, err) == 0)
		return sink;
	vmf_sink_free(sink);
	return NULL;
no_memory:
	vmf_fail_errno(err, VMF_IO, "%s", path);
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

int
vmf_sink_begin(struct vmf_sink *sink, struct vmf_error *err)
{
	return sink->ops->begin(sink, err);
}

int
vmf_sink_write(struct vmf_sink *sink, const void *buf, size_t len, uint64_t off,
    struct vmf_error *err)
{
	if (sink->ops->write(sink, buf, len, off, err) < 0)
		return vmf_wrap(err, "%s", sink->name);
	return 0;
}

int
vmf_sink_zero(
    struct vmf_sink *sink, uint64_t len, uint64_t off, struct vmf_error *err)
{
	if (sink->ops->zero(sink, len, off, err) < 0)
		return vmf_wrap(err, "%s", sink->name);
	return 0;
}

int
vmf_sink_flush(struct vmf_sink *sink, struct vmf_error *err)
{
	return sink->ops->flush(sink, err);
}

bool
vmf_sink_holds(const struct vmf_sink *sink, uint64_t off)
{
	return sink->ops->holds(sink, off);
}

int
vmf_sink_read(struct vmf_sink *sink, void *buf, size_t len, uint64_t off,
    struct vmf_error *err)
{
	if (sink->ops->read(sink, buf, len, off, err) < 0)
		return vmf_wrap(err, "%s", sink->name);
	return 0;
}

bool
vmf_sink_is_hole(struct vmf_sink *sink, uint64_t len, uint64_t off)
{
	return sink->ops->is_hole(sink, len, off);
}

int
vmf_sink_commit(
    struct vmf_sink *sink, uint64_t size, bool readback, struct vmf_error *err)
{
	return sink->ops->commit(sink, size, readback, err);
}

const char *
vmf_sink_part(const struct vmf_sink *sink)
{
	return sink->part;
}

bool
vmf_sink_resumed(const struct vmf_sink *sink)
{
	return sink->resumed;
}

void
vmf_sink_discard(struct vmf_sink *sink)
{
	sink->discard = true;
}

void
vmf_sink_again(struct vmf_sink *sink)
{
	sink->again = true;
}

int
vmf_sink_fetch(struct vmf_sink *sink, void *buf, size_t len, uint64_t off,
    struct vmf_error *err)
{
	if (sink->ops->fetch(sink, buf, len, off, err) < 0)
		return vmf_wrap(err, "%s", sink->name);
	return 0;
}

void
vmf_sink_free(struct vmf_sink *sink)
{
	if (sink == NULL)
		return;
	if (sink->ops != NULL)
		sink->ops->close(sink);
	free(sink->part);
	free(sink->scratch);
	free(sink->name);
	free(sink);
}
