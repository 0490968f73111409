/* test_copy.c - plain copies, parts, flat digests and lists of bad places */
#include <vmferry/digest.h>
#include <vmferry/engine.h>

#include "membuf.h"
#include "test.h"

static struct vmf_error err;
static const uint8_t id[VMF_ID_LEN] = {1};

#define SIZE (UINT64_C(300000))

static const char *
image(void)
{
	static uint8_t data[SIZE];
	const char *path = test_path("copy-image");

	noise(data + 100000, 100000, 3);
	CU_ASSERT_EQUAL(vmf_write_file(path, data, SIZE, true, &err), 0);
	return path;
}

static void
copies_are_the_same_bytes(void)
{
	struct vmf_source_options part = {.off = 90001, .len = 123456};
	struct vmf_engine_options o;
	struct vmf_source *src = vmf_source_open(image(), &part, &err);
	uint8_t sum[VMF_SHA_LEN], *want;
	struct membuf m = {0};
	struct vmf_out out = membuf_out(&m);
	struct vmf_totals totals;

	CU_ASSERT_PTR_NOT_NULL_FATAL(src);
	vmf_engine_defaults(&o);
	o.flat = true;
	CU_ASSERT_EQUAL(
	    vmf_copy(src, NULL, &out, NULL, VMF_CHUNK_MIN, &o, &totals, &err),
	    0);
	want = (uint8_t *)vmf_read_file(image(), SIZE, NULL, &err);
	CU_ASSERT_EQUAL(totals.size, 123456);
	CU_ASSERT_EQUAL_FATAL(m.len, 123456);
	CU_ASSERT_EQUAL(memcmp(m.p, want + 90001, 123456), 0);
	CU_ASSERT_EQUAL(vmf_sha256(m.p, m.len, sum, &err), 0);
	CU_ASSERT_EQUAL(memcmp(sum, totals.flat, VMF_SHA_LEN), 0);
	free(want);
	membuf_free(&m);
	vmf_source_free(src);
}

/* The image as a stream; forged: END has another flat digest. */
static void
stream(struct membuf *m, uint64_t features, bool forged,
    const struct vmf_extent *bad, uint32_t nbad)
{
	static const struct vmf_source_options plain;
	static const uint8_t other[VMF_SHA_LEN] = {7};
	struct vmf_source *src = vmf_source_open(image(), &plain, &err);
	struct vmf_out out = membuf_out(m);
	struct vmf_engine_options o;
	struct vmf_geometry geo;
	struct vmf_writer *w;

	vmf_engine_defaults(&o);
	o.flat = (features & VMF_FEATURE_FLAT) != 0;
	vmf_source_geometry(src, VMF_CHUNK_MIN, &geo);
	geo.features |= features;
	w = vmf_writer_new(vmf_carrier_out(&out), id, 0, &geo, NULL, &err);
	CU_ASSERT_EQUAL(vmf_dump(src, w, VMF_CHUNK_MIN, &o, &err), 0);
	if (forged)
		vmf_writer_set_flat(w, other);
	vmf_writer_set_bad(w, bad, nbad);
	CU_ASSERT_EQUAL(vmf_writer_end(w, NULL, &err), 0);
	vmf_writer_free(w);
	vmf_source_free(src);
}

static int
verify(struct membuf *m, uint32_t *nbad)
{
	struct vmf_reader *r = vmf_reader_open(membuf_in(m), &err);
	struct vmf_engine_options o;
	int rc;

	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	vmf_engine_defaults(&o);
	rc = vmf_restore(r, NULL, NULL, &o, &err);
	if (rc == 0)
		*nbad = vmf_reader_totals(r)->bad_count;
	vmf_reader_free(r);
	return rc;
}

static void
flat_digests_are_checked(void)
{
	struct membuf good = {0}, forged = {0};
	uint32_t n;

	stream(&good, VMF_FEATURE_FLAT, false, NULL, 0);
	CU_ASSERT_EQUAL(verify(&good, &n), 0);
	stream(&forged, VMF_FEATURE_FLAT, true, NULL, 0);
	ASSERT_FAILS(verify(&forged, &n), VMF_INTEGRITY);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "whole image"));
	membuf_free(&good);
	membuf_free(&forged);
}

static void
bad_places_are_listed_in_order(void)
{
	static const struct vmf_extent good[] = {
	    {.off = 0, .len = 512}, {.off = 512, .len = 1}, {299999, 1, 0}};
	static const struct vmf_extent bad[][2] = {{{5, 5, 0}, {9, 1, 0}},
	    {{9, 1, 0}, {5, 1, 0}}, {{5, 0, 0}, {9, 1, 0}},
	    {{5, 1, 0}, {299999, 2, 0}}, {{5, 1, 0}, {UINT64_MAX, 2, 0}}};
	struct membuf m = {0};
	uint32_t n = 0;
	size_t i;

	stream(&m, VMF_FEATURE_RESCUE, false, good, 3);
	CU_ASSERT_EQUAL(verify(&m, &n), 0);
	CU_ASSERT_EQUAL(n, 3);
	membuf_free(&m);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		m = (struct membuf){0};
		stream(&m, VMF_FEATURE_RESCUE, false, bad[i], 2);
		ASSERT_FAILS(verify(&m, &n), VMF_INTEGRITY);
		membuf_free(&m);
	}
	/* not announced */
	m = (struct membuf){0};
	stream(&m, 0, false, good, 3);
	ASSERT_FAILS(verify(&m, &n), VMF_INTEGRITY);
	membuf_free(&m);
}

void
suite_copy(void)
{
	static const struct test_case cases[] = {
	    {"copies are the same bytes", copies_are_the_same_bytes},
	    {"flat digests are checked", flat_digests_are_checked},
	    {"bad places are listed in order", bad_places_are_listed_in_order},
	};

	TEST_SUITE("copy", cases);
}
