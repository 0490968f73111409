/* origin.c - see vmferry/origin.h */
#include <stdlib.h>

#include <vmferry/origin.h>

struct vmf_origin {
	const char *path;
	struct vmf_origin_options options;
	struct vmf_source *src;
	char note[256];
};

struct vmf_origin *
vmf_origin_open(const char *path, const struct vmf_origin_options *options,
    struct vmf_error *err)
{
	struct vmf_origin *origin = calloc(1, sizeof(*origin));

	if (origin == NULL) {
		vmf_fail_errno(err, VMF_IO, "%s", path);
		return NULL;
	}
	origin->path = path;
	origin->options = *options;
	origin->src = vmf_source_open(path, &options->source, err);
	if (origin->src == NULL) {
		vmf_origin_free(origin);
		return NULL;
	}
	return origin;
}

struct vmf_source *
vmf_origin_source(struct vmf_origin *origin)
{
	return origin->src;
}

const char *
vmf_origin_note(const struct vmf_origin *origin)
{
	return origin->note[0] != '\0' ? origin->note : NULL;
}

int
vmf_origin_finish(struct vmf_origin *origin, struct vmf_error *err)
{
	(void)origin;
	(void)err;
	return 0;
}

void
vmf_origin_free(struct vmf_origin *origin)
{
	if (origin == NULL)
		return;
	vmf_source_free(origin->src);
	free(origin);
}
