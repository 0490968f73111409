/* source_nbd.c - what QEMU or another NBD server shows: vmferry/source.h */
#include <stdlib.h>

#include "nbd_internal.h"
#include "source_internal.h"

static int
nbd_source_extent(struct vmf_source *src, uint64_t off, struct vmf_extent *ext,
    struct vmf_error *err)
{
	return vmf_nbd_extent(src->self, off, ext, err);
}

static int
nbd_source_read(struct vmf_source *src, void *buf, size_t len, uint64_t off,
    size_t *got, struct vmf_error *err)
{
	*got = len;
	return vmf_nbd_read(src->self, buf, len, off, err);
}

static int
nbd_source_unchanged(struct vmf_source *src, struct vmf_error *err)
{
	if (vmf_nbd_finish(src->self, err) < 0)
		return vmf_wrap(err, "%s", src->name);
	return 0;
}

static void
nbd_source_close(struct vmf_source *src)
{
	vmf_nbd_close(src->self);
	free(src->self);
}

static const struct vmf_source_ops nbd_ops = {.extent = nbd_source_extent,
    .read = nbd_source_read,
    .unchanged = nbd_source_unchanged,
    .close = nbd_source_close};

static struct vmf_source *
new_nbd(const char *name, const struct vmf_source_options *options,
    struct vmf_error *err)
{
	struct vmf_nbd *nbd = calloc(1, sizeof(*nbd));
	struct vmf_source *src;

	if (nbd == NULL) {
		vmf_fail_errno(err, VMF_IO, "%s", name);
		return NULL;
	}
	src = vmf_source_new(name, &nbd_ops, nbd, err);
	if (src == NULL)
		return NULL;
	if (options->live)
		src->features |= VMF_FEATURE_LIVE;
	return src;
}

/* Its size is known now; of an exported disk libblkid sees nothing. */
static int
choose_part(struct vmf_source *src, const struct vmf_source_options *options,
    struct vmf_error *err)
{
	struct vmf_nbd *nbd = src->self;

	src->total = nbd->size;
	if (options->no_holes)
		nbd->extents = false;
	if (options->partition != 0)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: a partition can be told of a file or device only; "
		    "say --offset and --length",
		    src->name);
	if (src->total > VMF_IMAGE_MAX)
		return vmf_fail(err, VMF_REFUSED, "%s: too large", src->name);
	return vmf_source_window(src, options->off, options->len, err);
}

struct vmf_source *
vmf_source_flatten(const char *path, const char *format,
    const struct vmf_source_options *options, struct vmf_error *err)
{
	struct vmf_source *src = new_nbd(path, options, err);
	char *real;

	if (src == NULL)
		return NULL;
	/* A name with ':' in it would be a protocol to QEMU. */
	real = realpath(path, NULL);
	if (real == NULL)
		vmf_fail_errno(err, VMF_IO, "%s", path);
	else if (vmf_nbd_serve(
		     src->self, real, format, false, options->live, err) == 0 &&
		 choose_part(src, options, err) == 0) {
		free(real);
		return src;
	}
	free(real);
	vmf_source_free(src);
	return NULL;
}

struct vmf_source *
vmf_source_uri(const char *uri, const struct vmf_source_options *options,
    struct vmf_error *err)
{
	struct vmf_source *src = new_nbd(uri, options, err);

	if (src == NULL)
		return NULL;
	if (vmf_nbd_connect(src->self, uri, err) == 0 &&
	    choose_part(src, options, err) == 0)
		return src;
	vmf_source_free(src);
	return NULL;
}
