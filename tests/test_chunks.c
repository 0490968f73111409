/* test_chunks.c - what an image holds, chunk by chunk, and the log of it */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <vmferry/chunks.h>

#include "test.h"

#define CHUNK 65536

static struct vmf_error err;

static struct vmf_chunks *
image(uint64_t size)
{
	struct vmf_geometry geo = {.size = size, .chunk = CHUNK};
	struct vmf_chunks *chunks = vmf_chunks_new(&geo, test_dir(), &err);

	CU_ASSERT_PTR_NOT_NULL_FATAL(chunks);
	return chunks;
}

static struct vmf_digest_line
data(uint64_t n, uint8_t byte)
{
	struct vmf_digest_line line = {
	    .off = n * CHUNK, .len = CHUNK, .kind = VMF_DATA};

	memset(line.digest, byte, VMF_SHA_LEN);
	return line;
}

static void
what_is_set_is_known(void)
{
	struct vmf_chunks *chunks = image(3 * CHUNK + 100);
	struct vmf_digest_line line = data(1, 7), zeros = {.off = 2 * CHUNK,
						      .len = CHUNK + 100,
						      .kind = VMF_ZERO};
	struct vmf_totals totals;
	uint8_t digest[VMF_SHA_LEN];

	CU_ASSERT_EQUAL(vmf_chunks_count(chunks), 4);
	CU_ASSERT_EQUAL(vmf_chunks_set(chunks, &line, &err), 0);
	CU_ASSERT_EQUAL(vmf_chunks_set(chunks, &zeros, &err), 0);
	CU_ASSERT_EQUAL(vmf_chunks_get(chunks, 0, digest, &err), 0);
	CU_ASSERT_EQUAL(vmf_chunks_get(chunks, 1, digest, &err), VMF_DATA);
	CU_ASSERT_EQUAL(digest[31], 7);
	CU_ASSERT_EQUAL(vmf_chunks_get(chunks, 3, NULL, &err), VMF_ZERO);
	CU_ASSERT_EQUAL(vmf_chunks_known(chunks), 2 * CHUNK + 100);
	ASSERT_FAILS(vmf_chunks_totals(chunks, &totals, &err), VMF_INTEGRITY);
	line = data(0, 1);
	CU_ASSERT_EQUAL(vmf_chunks_set(chunks, &line, &err), 0);
	CU_ASSERT_EQUAL(vmf_chunks_totals(chunks, &totals, &err), 0);
	CU_ASSERT_EQUAL(totals.data_chunks, 2);
	CU_ASSERT_EQUAL(totals.zero_chunks, 2);
	vmf_chunks_forget(chunks, CHUNK, 1);
	CU_ASSERT_EQUAL(vmf_chunks_get(chunks, 1, digest, &err), 0);
	vmf_chunks_free(chunks);
}

static void
only_whole_chunks_have_a_place(void)
{
	struct vmf_chunks *chunks = image(2 * CHUNK);
	struct vmf_digest_line line = data(0, 1);
	bool twice = true;

	line.off = 512;
	ASSERT_FAILS(vmf_chunks_set(chunks, &line, &err), VMF_INTEGRITY);
	line = data(2, 1);
	ASSERT_FAILS(vmf_chunks_set(chunks, &line, &err), VMF_INTEGRITY);
	line = data(0, 1);
	line.len = 2 * CHUNK;
	ASSERT_FAILS(vmf_chunks_set(chunks, &line, &err), VMF_INTEGRITY);
	line = data(1, 1);
	CU_ASSERT_EQUAL(vmf_chunks_touch(chunks, &line, &twice, &err), 0);
	CU_ASSERT_FALSE(twice);
	CU_ASSERT_EQUAL(vmf_chunks_touch(chunks, &line, &twice, &err), 0);
	CU_ASSERT_TRUE(twice);
	vmf_chunks_untouch(chunks);
	CU_ASSERT_EQUAL(vmf_chunks_touch(chunks, &line, &twice, &err), 0);
	CU_ASSERT_FALSE(twice);
	vmf_chunks_free(chunks);
}

static void
a_torn_log_is_cut(void)
{
	struct vmf_chunks *chunks = image(2 * CHUNK);
	struct vmf_chunk_log *log;
	struct vmf_digest_line line = data(0, 5);
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/durable", test_dir());
	log = vmf_chunk_log_open(path, NULL, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(log);
	CU_ASSERT_EQUAL(vmf_chunk_log_add(log, &line, &err), 0);
	CU_ASSERT_EQUAL(vmf_chunk_log_sync(log, &err), 0);
	vmf_chunk_log_free(log);
	fd = open(path, O_WRONLY | O_APPEND);
	CU_ASSERT_EQUAL(write(fd, "65536 65536 data 00", 19), 19);
	close(fd);
	log = vmf_chunk_log_open(path, chunks, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(log);
	CU_ASSERT_EQUAL(vmf_chunks_known(chunks), CHUNK);
	line = data(1, 6);
	CU_ASSERT_EQUAL(vmf_chunk_log_add(log, &line, &err), 0);
	CU_ASSERT_EQUAL(vmf_chunk_log_sync(log, &err), 0);
	vmf_chunk_log_free(log);
	log = vmf_chunk_log_open(path, chunks, &err);
	CU_ASSERT_EQUAL(vmf_chunks_known(chunks), 2 * CHUNK);
	vmf_chunk_log_free(log);
	unlink(path);
	vmf_chunks_free(chunks);
}

void
suite_chunks(void)
{
	static const struct test_case cases[] = {
	    {"what is set is known", what_is_set_is_known},
	    {"only whole chunks have a place", only_whole_chunks_have_a_place},
	    {"a torn log is cut", a_torn_log_is_cut},
	};

	TEST_SUITE("chunks", cases);
}
