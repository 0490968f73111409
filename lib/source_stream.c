/* source_stream.c - a pipe as a source: see vmferry/source.h */
#include <inttypes.h>
#include <stdlib.h>

#include "source_internal.h"

struct stream {
	struct vmf_in in;
	struct vmf_fd fd; /* of a pipe */
};

static int
stream_extent(struct vmf_source *src, uint64_t off, struct vmf_extent *ext,
    struct vmf_error *err)
{
	(void)err;
	*ext = (struct vmf_extent){
	    .off = off, .len = src->total - off, .kind = VMF_EXTENT_DATA};
	return 0;
}

static int
stream_read(struct vmf_source *src, void *buf, size_t len, uint64_t off,
    size_t *got, struct vmf_error *err)
{
	struct stream *s = src->self;

	if (s->in.read(s->in.ctx, buf, len, got, err) < 0)
		return -1;
	if (src->total != VMF_SIZE_UNKNOWN && *got < len)
		return vmf_fail(err, VMF_INTEGRITY,
		    "ends after %" PRIu64 " of %" PRIu64 " bytes", off + *got,
		    src->total);
	return 0;
}

static int
stream_unchanged(struct vmf_source *src, struct vmf_error *err)
{
	struct stream *s = src->self;
	size_t got;
	char more;

	if (src->total == VMF_SIZE_UNKNOWN)
		return 0;
	if (s->in.read(s->in.ctx, &more, 1, &got, err) < 0)
		return -1;
	if (got > 0)
		return vmf_fail(err, VMF_INTEGRITY,
		    "%s: goes on after %" PRIu64 " bytes", src->name,
		    src->total);
	return 0;
}

static void
stream_close(struct vmf_source *src)
{
	free(src->self);
}

static const struct vmf_source_ops stream_ops = {.extent = stream_extent,
    .read = stream_read,
    .unchanged = stream_unchanged,
    .close = stream_close};

struct vmf_source *
vmf_source_stream(struct vmf_in in, const char *name, struct vmf_error *err)
{
	struct stream *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		vmf_fail_errno(err, VMF_IO, "%s", name);
		return NULL;
	}
	s->in = in;
	return vmf_source_new(name, &stream_ops, s, err);
}

static int
pipe_read(void *ctx, void *buf, size_t len, size_t *got, struct vmf_error *err)
{
	/* The source's name is put before it, so none of its own. */
	return vmf_read_full(((struct vmf_fd *)ctx)->fd, buf, len, got, err);
}

struct vmf_source *
vmf_source_pipe(int fd, const char *name, struct vmf_error *err)
{
	struct vmf_in none = {0};
	struct vmf_source *src = vmf_source_stream(none, name, err);
	struct stream *s;

	if (src == NULL)
		return NULL;
	s = src->self;
	s->fd.fd = fd;
	s->in = (struct vmf_in){.read = pipe_read, .ctx = &s->fd};
	return src;
}
