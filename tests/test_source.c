/* test_source.c - files as sources: extents, reads, and what must not be */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vmferry/direct.h>
#include <vmferry/source.h>

#include "membuf.h"
#include "test.h"

static struct vmf_error err;
static const struct vmf_source_options plain;

/* size bytes, data at the given places (64 KiB each), holes elsewhere. */
static const char *
sparse_file(const char *name, uint64_t size, const uint64_t *at, size_t n)
{
	const char *path = test_path(name);
	uint8_t data[65536];
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	size_t i;

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(ftruncate(fd, (off_t)size), 0);
	for (i = 0; i < n; i++) {
		noise(data, sizeof(data), i);
		CU_ASSERT_EQUAL(
		    vmf_pwrite_full(fd, data, sizeof(data), at[i], &err), 0);
	}
	close(fd);
	return path;
}

static void
extents_are_ascending_and_contiguous(void)
{
	static const uint64_t at[] = {0, 1 << 20, (1 << 20) + 65536, 7 << 20};
	const uint64_t size = (8 << 20) + 513;
	const char *path = sparse_file("extents", size, at, 4);
	struct vmf_source *src = vmf_source_open(path, &plain, &err);
	uint64_t off, data = 0;
	struct vmf_extent ext;

	CU_ASSERT_PTR_NOT_NULL_FATAL(src);
	CU_ASSERT_EQUAL(vmf_source_size(src), size);
	for (off = 0; off < size; off += ext.len) {
		CU_ASSERT_EQUAL_FATAL(
		    vmf_source_extent(src, off, &ext, &err), 0);
		CU_ASSERT_EQUAL(ext.off, off);
		CU_ASSERT_FATAL(ext.len > 0 && ext.len <= size - off);
		if (ext.kind == VMF_EXTENT_DATA)
			data += ext.len;
	}
	/* the file system may round up; it does not forget */
	CU_ASSERT(data >= 4 * 65536 && data < size);
	vmf_source_free(src);
}

static void
holes_can_be_distrusted(void)
{
	const struct vmf_source_options distrust = {.no_holes = true};
	const char *path = sparse_file("distrust", 1 << 20, NULL, 0);
	struct vmf_source *src = vmf_source_open(path, &distrust, &err);
	struct vmf_extent ext;

	CU_ASSERT_PTR_NOT_NULL_FATAL(src);
	CU_ASSERT_EQUAL(vmf_source_extent(src, 4096, &ext, &err), 0);
	CU_ASSERT_EQUAL(ext.kind, VMF_EXTENT_DATA);
	CU_ASSERT_EQUAL(ext.off, 4096);
	CU_ASSERT_EQUAL(ext.len, (1 << 20) - 4096);
	vmf_source_free(src);
}

static void
odd_reads_are_exact(void)
{
	static const struct {
		size_t len, shift;
		uint64_t off;
	} reads[] = {{0, 0, 0}, {1, 0, 0}, {513, 0, 512}, {4096, 0, 4096},
	    {4097, 0, 4096}, {65536, 1, 1}, {65536, 0, 3}, {60000, 0, 4096},
	    {66049, 0, 0}};
	const char *path = test_path("reads");
	uint8_t *want = malloc(66049), *buf = vmf_direct_buffer(70000);
	struct vmf_source *src;
	size_t i, got, pass;

	noise(want, 66049, 9);
	CU_ASSERT_EQUAL(vmf_write_file(path, want, 66049, false, &err), 0);
	src = vmf_source_open(path, &plain, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(src);
	for (pass = 0; pass < 2; pass++) {
		int fd = open(path, O_RDONLY);

		/* from the medium, then from the cache */
		fsync(fd);
		if (pass == 0)
			posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		close(fd);
		for (i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
			CU_ASSERT_EQUAL(
			    vmf_source_read(src, buf + reads[i].shift,
				reads[i].len, reads[i].off, &got, &err),
			    0);
			CU_ASSERT_EQUAL(got, reads[i].len);
			CU_ASSERT_EQUAL(memcmp(buf + reads[i].shift,
					    want + reads[i].off, reads[i].len),
			    0);
		}
	}
	ASSERT_FAILS(vmf_source_read(src, buf, 2, 66048, NULL, &err), VMF_IO);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, path));
	vmf_source_free(src);
	free(buf);
	free(want);
}

static void
changes_are_noticed(void)
{
	static const struct timespec later = {2000000000, 0};
	const struct timespec times[2] = {later, later};
	const struct vmf_source_options live = {.live = true};
	const char *path = sparse_file("changes", 65536, NULL, 0);
	struct vmf_source *src = vmf_source_open(path, &plain, &err);
	struct vmf_geometry geo;

	CU_ASSERT_PTR_NOT_NULL_FATAL(src);
	CU_ASSERT_EQUAL(vmf_source_unchanged(src, &err), 0);
	CU_ASSERT_EQUAL(truncate(path, 65535), 0);
	ASSERT_FAILS(vmf_source_unchanged(src, &err), VMF_IO);
	CU_ASSERT_EQUAL(truncate(path, 65537), 0);
	ASSERT_FAILS(vmf_source_unchanged(src, &err), VMF_INTEGRITY);
	CU_ASSERT_EQUAL(truncate(path, 65536), 0);
	CU_ASSERT_EQUAL(utimensat(AT_FDCWD, path, times, 0), 0);
	ASSERT_FAILS(vmf_source_unchanged(src, &err), VMF_INTEGRITY);
	vmf_source_free(src);
	src = vmf_source_open(path, &live, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(src);
	CU_ASSERT_EQUAL(truncate(path, 65537), 0);
	CU_ASSERT_EQUAL(vmf_source_unchanged(src, &err), 0);
	vmf_source_geometry(src, 65536, &geo);
	CU_ASSERT_EQUAL(geo.features, VMF_FEATURE_LIVE);
	CU_ASSERT_EQUAL(geo.size, 65536);
	CU_ASSERT_EQUAL(geo.format, VMF_RAW);
	vmf_source_free(src);
}

/* Reading what stands in the way of name fails with this class. */
static void
refused(const char *path, enum vmf_class class)
{
	err.class = VMF_OK;
	CU_ASSERT_PTR_NULL(vmf_source_open(path, &plain, &err));
	CU_ASSERT_EQUAL(err.class, class);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, path));
}

static void
other_things_are_refused(void)
{
	const char *fifo = test_path("fifo");

	refused(test_path("nosuch"), VMF_IO);
	refused(test_dir(), VMF_REFUSED);
	refused("/dev/null", VMF_REFUSED);
	CU_ASSERT_EQUAL(mkfifo(fifo, 0600), 0);
	refused(fifo, VMF_REFUSED); /* and does not hang */
}

static void
the_path_is_opened_once(void)
{
	const uint64_t at = 0;
	const char *path = sparse_file("once", 65536, &at, 1);
	struct vmf_source *src = vmf_source_open(path, &plain, &err);
	uint8_t buf[16], want[65536];

	CU_ASSERT_PTR_NOT_NULL_FATAL(src);
	noise(want, sizeof(want), 0);
	CU_ASSERT_EQUAL(unlink(path), 0);
	CU_ASSERT_EQUAL(vmf_write_file(path, "other", 5, false, &err), 0);
	CU_ASSERT_EQUAL(vmf_source_read(src, buf, 16, 0, NULL, &err), 0);
	CU_ASSERT_EQUAL(memcmp(buf, want, 16), 0);
	vmf_source_free(src);
}

static void
pipes_end_where_they_end(void)
{
	uint8_t buf[100];
	struct vmf_source *src;
	int fd[2];
	size_t got;

	CU_ASSERT_EQUAL_FATAL(pipe(fd), 0);
	src = vmf_source_pipe(fd[0], "standard input", &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(src);
	CU_ASSERT_EQUAL(vmf_source_size(src), VMF_SIZE_UNKNOWN);
	CU_ASSERT_EQUAL(write(fd[1], "0123456789", 10), 10);
	close(fd[1]);
	CU_ASSERT_EQUAL(vmf_source_read(src, buf, 100, 0, &got, &err), 0);
	CU_ASSERT_EQUAL(got, 10);
	vmf_source_free(src);
	/* borrowed */
	CU_ASSERT_EQUAL(close(fd[0]), 0);
}

void
suite_source(void)
{
	static const struct test_case cases[] = {
	    {"extents are ascending and contiguous",
		extents_are_ascending_and_contiguous},
	    {"holes can be distrusted", holes_can_be_distrusted},
	    {"odd reads are exact", odd_reads_are_exact},
	    {"changes are noticed", changes_are_noticed},
	    {"other things are refused", other_things_are_refused},
	    {"the path is opened once", the_path_is_opened_once},
	    {"pipes end where they end", pipes_end_where_they_end},
	};

	TEST_SUITE("source", cases);
}
