/* test_receive.c - segments of strangers, of other generations, and twice */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vmferry/digest.h>
#include <vmferry/receive.h>

#include "test.h"

#define CHUNK 65536

static struct vmf_error err;
static unsigned received;

static int
on_received(void *ctx, uint64_t n, struct vmf_error *e)
{
	(void)ctx;
	(void)n;
	(void)e;
	received++;
	return 0;
}

static int
on_durable(void *ctx, size_t image, const struct vmf_digest_line *line,
    struct vmf_error *e)
{
	(void)ctx;
	(void)image;
	(void)line;
	(void)e;
	return 0;
}

static int
on_again(void *ctx, size_t image, uint64_t off, struct vmf_error *e)
{
	(void)ctx;
	(void)image;
	(void)off;
	(void)e;
	return 0;
}

static int
on_settled(void *ctx, struct vmf_error *e)
{
	(void)ctx;
	(void)e;
	return 0;
}

/* A segment of one run of zeros, count times; malloc'd. */
static uint8_t *
segment(uint8_t id, uint32_t generation, unsigned count, size_t *len)
{
	struct vmf_object obj = {
	    .kind = VMF_ZERO, .generation = generation, .len = CHUNK};
	size_t one = VMF_OBJECT_FIXED + VMF_OBJECT_SUM;
	uint8_t *bytes = malloc(count * one);
	unsigned i;

	memset(obj.id, id, VMF_ID_LEN);
	vmf_sha256_zeros(CHUNK, obj.digest, &err);
	for (i = 0; i < count; i++)
		vmf_object_encode(&obj, bytes + i * one);
	*len = count * one;
	return bytes;
}

/* What becomes of it: 0, or the class of the failure. */
static int
outcome(uint8_t id, uint32_t generation, unsigned count)
{
	struct vmf_geometry geo = {.size = CHUNK,
	    .virtual_size = CHUNK,
	    .chunk = CHUNK,
	    .format = VMF_RAW};
	struct vmf_sink_options so = {.scratch = test_dir()};
	struct vmf_engine_options engine = {.jobs = 1};
	struct vmf_receive_options o = {.readback = true,
	    .engine = &engine,
	    .events = {.received = on_received,
		.durable = on_durable,
		.again = on_again,
		.settled = on_settled}};
	struct vmf_receive_image image = {.name = "vda", .geo = geo};
	struct vmf_receive *r;
	char path[4096];
	uint8_t *bytes;
	size_t len;
	int rc;

	snprintf(path, sizeof(path), "%s/target", test_dir());
	memset(o.id, 1, VMF_ID_LEN);
	image.sink = vmf_sink_open(path, &geo, &so, &err);
	image.chunks = vmf_chunks_new(&geo, test_dir(), &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(image.sink);
	CU_ASSERT_EQUAL(vmf_sink_begin(image.sink, &err), 0);
	r = vmf_receive_new(&image, 1, &o, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	bytes = segment(id, generation, count, &len);
	err.class = VMF_OK;
	rc = vmf_receive_bytes(r, 0, bytes, len, &err);
	if (rc == 0)
		rc = vmf_receive_barrier(r, 1, &err);
	vmf_receive_free(r);
	vmf_sink_free(image.sink);
	vmf_chunks_free(image.chunks);
	return rc < 0 ? (int)err.class : 0;
}

static void
strangers_are_refused(void)
{
	received = 0;
	CU_ASSERT_EQUAL(outcome(1, 0, 1), 0);
	CU_ASSERT_EQUAL(received, 1);
	CU_ASSERT_EQUAL(outcome(2, 0, 1), VMF_INTEGRITY);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "another transfer"));
	CU_ASSERT_EQUAL(outcome(1, 1, 1), VMF_INTEGRITY);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "generation 1"));
	CU_ASSERT_EQUAL(outcome(1, 0, 2), VMF_INTEGRITY);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "twice"));
	CU_ASSERT_EQUAL(received, 1);
}

void
suite_receive(void)
{
	static const struct test_case cases[] = {
	    {"strangers are refused", strangers_are_refused},
	};

	TEST_SUITE("receive", cases);
}
