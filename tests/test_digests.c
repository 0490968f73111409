/* test_digests.c - the root of an image, and strict lines */
#include <stdio.h>

#include <vmferry/digest.h>
#include <vmferry/digests.h>

#include "membuf.h"
#include "test.h"

static struct vmf_error err;

static void
root_of(const uint8_t *image, size_t len, size_t chunk, uint8_t *root)
{
	uint8_t digest[VMF_SHA_LEN];
	struct vmf_sha *sha = vmf_sha_new(&err);
	size_t off, n;

	for (off = 0; off < len; off += n) {
		n = len - off < chunk ? len - off : chunk;
		vmf_sha256(image + off, n, digest, &err);
		vmf_sha_update(sha, digest, sizeof(digest), &err);
	}
	vmf_sha_final(sha, root, &err);
	vmf_sha_free(sha);
}

static void
zero_runs_count_as_their_chunks(void)
{
	/* one chunk of data, then zeros to a short end */
	const size_t chunk = 4096, sizes[] = {4096, 4097, 8192, 3 * 4096 + 100,
				       1025 * 4096, 3000 * 4096 + 1};
	uint8_t *image = calloc(1, 3001 * chunk);
	uint8_t data[VMF_SHA_LEN], zero[VMF_SHA_LEN], last[VMF_SHA_LEN];
	uint8_t naive[VMF_SHA_LEN], ours[VMF_SHA_LEN];
	size_t i, whole, rest;

	noise(image, chunk, 1);
	vmf_sha256(image, chunk, data, &err);
	CU_ASSERT_EQUAL(vmf_sha256_zeros(chunk, zero, &err), 0);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct vmf_root *root = vmf_root_new(&err);

		whole = (sizes[i] - chunk) / chunk;
		rest = sizes[i] % chunk;
		CU_ASSERT_EQUAL(vmf_root_add(root, data, 1, &err), 0);
		CU_ASSERT_EQUAL(vmf_root_add(root, zero, whole, &err), 0);
		if (rest > 0) {
			vmf_sha256_zeros(rest, last, &err);
			CU_ASSERT_EQUAL(vmf_root_add(root, last, 1, &err), 0);
		}
		CU_ASSERT_EQUAL(vmf_root_final(root, ours, &err), 0);
		root_of(image, sizes[i], chunk, naive);
		CU_ASSERT_EQUAL(memcmp(ours, naive, VMF_SHA_LEN), 0);
		vmf_root_free(root);
	}
	free(image);
}

static void
an_empty_image_has_a_root(void)
{
	struct vmf_root *root = vmf_root_new(&err);
	uint8_t sum[VMF_SHA_LEN];
	char hex[65];

	CU_ASSERT_EQUAL(vmf_root_final(root, sum, &err), 0);
	vmf_hex(sum, sizeof(sum), hex);
	CU_ASSERT_STRING_EQUAL(hex, "e3b0c44298fc1c149afbf4c8996fb924"
				    "27ae41e4649b934ca495991b7852b855");
	vmf_root_free(root);
}

static void
chunks_are_counted(void)
{
	CU_ASSERT_EQUAL(vmf_chunk_count(0, 65536), 0);
	CU_ASSERT_EQUAL(vmf_chunk_count(1, 65536), 1);
	CU_ASSERT_EQUAL(vmf_chunk_count(65536, 65536), 1);
	CU_ASSERT_EQUAL(vmf_chunk_count(65537, 65536), 2);
	CU_ASSERT_EQUAL(
	    vmf_chunk_count(VMF_IMAGE_MAX, 65536), VMF_IMAGE_MAX / 65536);
}

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void
lines_are_parsed_strictly(void)
{
	static const char *const bad[] = {"", " ", "0", "0 1", "0 1 data",
	    "0 1 data ", "0 1 data 0123", " 0 1 data " HEX, "0 1 data " HEX " ",
	    "0 1 data " HEX "0", "0  1 data " HEX, "0\t1 data " HEX,
	    "00 1 data " HEX, "0 01 data " HEX, "+0 1 data " HEX,
	    "-1 1 data " HEX, "0x0 1 data " HEX, "0 1 Data " HEX,
	    "0 1 dat " HEX, "0 1 datas " HEX, "0 1 free " HEX,
	    "0 18446744073709551616 data " HEX, "0 1 data x" HEX,
	    "0 1 data 0123456789ABCDEF0123456789abcdef0123456789abcdef01234567"
	    "89abcdef",
	    "0 1 data " HEX "\n", "0 1 data " HEX "\r"};
	struct vmf_digest_line line;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ASSERT_FAILS(
		    vmf_digest_line_parse(bad[i], &line, &err), VMF_INTEGRITY);
	CU_ASSERT_EQUAL(
	    vmf_digest_line_parse("4096 512 zero " HEX, &line, &err), 0);
	CU_ASSERT_EQUAL(line.off, 4096);
	CU_ASSERT_EQUAL(line.len, 512);
	CU_ASSERT_EQUAL(line.kind, VMF_ZERO);
	CU_ASSERT_EQUAL(line.digest[1], 0x23);
	CU_ASSERT_EQUAL(vmf_digest_line_parse(
			    "18446744073709551615 0 data " HEX, &line, &err),
	    0);
}

static void
a_list_keeps_its_lines(void)
{
	struct vmf_digests *list = vmf_digests_new(test_dir(), &err);
	struct vmf_digest_line line = {.len = 65536, .kind = VMF_DATA}, back;
	struct membuf text = {0};
	struct vmf_in in;
	uint8_t buf[4096];
	unsigned i, pass;
	size_t got;

	CU_ASSERT_PTR_NOT_NULL_FATAL(list);
	for (i = 0; i < 1000; i++) {
		line.off = (uint64_t)i * 65536;
		line.kind = i % 3 == 0 ? VMF_ZERO : VMF_DATA;
		noise(line.digest, sizeof(line.digest), i);
		CU_ASSERT_EQUAL(vmf_digests_add(list, &line, &err), 0);
	}
	for (pass = 0; pass < 2; pass++) {
		CU_ASSERT_EQUAL(vmf_digests_rewind(list, &err), 0);
		for (i = 0; i < 1000; i++) {
			noise(line.digest, sizeof(line.digest), i);
			CU_ASSERT_EQUAL(vmf_digests_next(list, &back, &err), 1);
			CU_ASSERT_EQUAL(back.off, (uint64_t)i * 65536);
			CU_ASSERT_EQUAL(
			    back.kind, i % 3 == 0 ? VMF_ZERO : VMF_DATA);
			CU_ASSERT_EQUAL(memcmp(back.digest, line.digest,
					    sizeof(line.digest)),
			    0);
		}
		CU_ASSERT_EQUAL(vmf_digests_next(list, &back, &err), 0);
	}
	CU_ASSERT_EQUAL(vmf_digests_rewind(list, &err), 0);
	in = vmf_digests_in(list);
	do {
		CU_ASSERT_EQUAL(
		    in.read(in.ctx, buf, sizeof(buf), &got, &err), 0);
		membuf_write(&text, buf, got, &err);
	} while (got == sizeof(buf));
	CU_ASSERT_EQUAL(text.len, vmf_digests_bytes(list));
	CU_ASSERT_EQUAL(memcmp(text.p, "0 65536 zero ", 13), 0);
	membuf_free(&text);
	vmf_digests_free(list);
}

static void
a_missing_directory_is_reported(void)
{
	err.class = VMF_OK;
	CU_ASSERT_PTR_NULL(vmf_digests_new(test_path("nosuch"), &err));
	CU_ASSERT_EQUAL(err.class, VMF_IO);
}

void
suite_digests(void)
{
	static const struct test_case cases[] = {
	    {"zero runs count as their chunks",
		zero_runs_count_as_their_chunks},
	    {"an empty image has a root", an_empty_image_has_a_root},
	    {"chunks are counted", chunks_are_counted},
	    {"lines are parsed strictly", lines_are_parsed_strictly},
	    {"a list keeps its lines", a_list_keeps_its_lines},
	    {"a missing directory is reported",
		a_missing_directory_is_reported},
	};

	TEST_SUITE("digests", cases);
}
