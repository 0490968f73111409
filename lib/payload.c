/* payload.c - see vmferry/payload.h */
#include <stdlib.h>
#include <string.h>

#include <vmferry/package.h>
#include <vmferry/payload.h>

#define COPY_SIZE (1024 * 1024)

/* Hands on all that is read through it. */
struct tee {
	struct vmf_in in;
	struct vmf_out out;
	struct vmf_progress *progress;
	/*
	 * The first failure of the copying itself: a reader may take the end
	 * of its input for damage, and the cause is here.
	 */
	bool failed;
	struct vmf_error error;
};

static bool
ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n > m && strcmp(s + n - m, end) == 0;
}

enum vmf_payload
vmf_payload_of(const char *name)
{
	if (ends_with(name, ".vmf.tar"))
		return VMF_PAYLOAD_PACKAGE;
	if (ends_with(name, ".vmf.zst"))
		return VMF_PAYLOAD_STREAM;
	return VMF_PAYLOAD_BYTES;
}

static int
tee_read(void *ctx, void *buf, size_t len, size_t *got, struct vmf_error *err)
{
	struct tee *tee = ctx;

	if (vmf_progress_check(tee->progress, err) == 0 &&
	    tee->in.read(tee->in.ctx, buf, len, got, err) == 0 &&
	    (*got == 0 || tee->out.write(tee->out.ctx, buf, *got, err) == 0))
		return 0;
	if (!tee->failed && err != NULL)
		tee->error = *err;
	tee->failed = true;
	return -1;
}

static int
copy_bytes(struct tee *tee, struct vmf_error *err)
{
	uint8_t *buf = malloc(COPY_SIZE);
	size_t got = COPY_SIZE;
	int rc = 0;

	if (buf == NULL)
		return vmf_fail_errno(err, VMF_IO, "copy");
	while (rc == 0 && got == COPY_SIZE)
		rc = tee_read(tee, buf, COPY_SIZE, &got, err);
	free(buf);
	return rc;
}

static int
copy_stream(struct tee *tee, const struct vmf_engine_options *options,
    struct vmf_error *err)
{
	struct vmf_in in = {.read = tee_read, .ctx = tee};
	struct vmf_reader *reader = vmf_reader_open(in, err);
	int rc = -1;

	if (reader != NULL)
		rc = vmf_restore(reader, NULL, NULL, options, err);
	vmf_reader_free(reader);
	return rc;
}

int
vmf_payload_copy(enum vmf_payload payload, struct vmf_in in, struct vmf_out out,
    const struct vmf_engine_options *options, struct vmf_progress *progress,
    struct vmf_error *err)
{
	struct tee tee = {.in = in, .out = out, .progress = progress};
	struct vmf_in teed = {.read = tee_read, .ctx = &tee};
	struct vmf_engine_options quiet = *options;
	int rc;

	/* Bytes are counted where they are moved, not where they are checked.
	 */
	quiet.progress = NULL;
	if (payload == VMF_PAYLOAD_PACKAGE)
		rc = vmf_package_verify(teed, NULL, &quiet, NULL, err);
	else if (payload == VMF_PAYLOAD_STREAM)
		rc = copy_stream(&tee, &quiet, err);
	else
		rc = copy_bytes(&tee, err);
	if (rc < 0 && tee.failed && err != NULL)
		*err = tee.error;
	return rc;
}
