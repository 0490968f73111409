/* test_engine.c - the same bytes at any width, and back again */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <zstd.h>

#include <vmferry/digest.h>
#include <vmferry/engine.h>

#include "membuf.h"
#include "test.h"

static struct vmf_error err;
static const uint8_t id[VMF_ID_LEN] = "0123456789abcde";
static const struct vmf_source_options plain;

static struct vmf_engine_options
options(unsigned jobs, int level)
{
	return (struct vmf_engine_options){
	    .jobs = jobs, .level = level, .budget = VMF_BUDGET_DEFAULT};
}

/* Everything a disk has: noise, prose, zeros that were written, holes. */
static const char *
image(const char *name, uint64_t size, size_t step)
{
	const char *path = test_path(name);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	uint8_t *buf = calloc(1, step);
	uint64_t off;
	size_t n;

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(ftruncate(fd, (off_t)size), 0);
	for (off = 0; off < size; off += n) {
		n = size - off < step ? (size_t)(size - off) : step;
		switch (off / step % 5) {
		case 0:
			noise(buf, n, off + 1);
			break;
		case 1:
			prose(buf, n, off + 1);
			break;
		case 2:
			memset(buf, 0, n);
			break;
		default:
			continue;
		}
		CU_ASSERT_EQUAL(vmf_pwrite_full(fd, buf, n, off, &err), 0);
	}
	free(buf);
	close(fd);
	return path;
}

static struct membuf
dump(const char *path, uint32_t chunk, struct vmf_engine_options o,
    const struct vmf_source_options *so)
{
	struct vmf_source *src = vmf_source_open(path, so, &err);
	struct membuf m = {0};
	struct vmf_out out = membuf_out(&m);
	struct vmf_geometry geo;
	struct vmf_writer *w;

	CU_ASSERT_PTR_NOT_NULL_FATAL(src);
	vmf_source_geometry(src, chunk, &geo);
	w = vmf_writer_new(vmf_carrier_out(&out), id, 0, &geo, NULL, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(w);
	CU_ASSERT_EQUAL(vmf_dump(src, w, chunk, &o, &err), 0);
	CU_ASSERT_EQUAL(vmf_writer_end(w, NULL, &err), 0);
	vmf_writer_free(w);
	vmf_source_free(src);
	return m;
}

static int
restore(struct membuf *m, const char *path, struct vmf_engine_options o)
{
	const struct vmf_sink_options so = {.overwrite = true};
	struct vmf_reader *r = vmf_reader_open(membuf_in(m), &err);
	struct vmf_digests *list = vmf_digests_new(test_dir(), &err);
	struct vmf_sink *sink = NULL;
	int rc = -1;

	CU_ASSERT_FATAL(r != NULL && list != NULL);
	sink = vmf_sink_open(path, vmf_reader_geometry(r), &so, &err);
	if (sink != NULL && vmf_sink_begin(sink, &err) == 0 &&
	    vmf_restore(r, sink, list, &o, &err) == 0 &&
	    vmf_readback(sink, list, vmf_reader_geometry(r)->chunk, &o, &err) ==
		0)
		rc = vmf_sink_commit(
		    sink, vmf_reader_totals(r)->size, true, &err);
	vmf_sink_free(sink);
	vmf_digests_free(list);
	vmf_reader_free(r);
	return rc;
}

static bool
same_files(const char *a, const char *b)
{
	char command[1024];

	snprintf(command, sizeof(command), "cmp -s -- '%s' '%s'", a, b);
	return system(command) == 0;
}

/* Any zstd makes the image of it. */
static bool
zstd_agrees(const struct membuf *m, const char *path, uint64_t size)
{
	uint8_t *want = malloc(size + 1), *got = malloc(size + 1);
	int fd = open(path, O_RDONLY);
	bool same;

	CU_ASSERT_EQUAL(vmf_pread_full(fd, want, size, 0, &err), 0);
	same = ZSTD_decompress(got, size, m->p, m->len) == size &&
	       memcmp(got, want, size) == 0;
	close(fd);
	free(want);
	free(got);
	return same;
}

static void
check_size(uint64_t size, uint32_t chunk, size_t step, int level)
{
	static const unsigned widths[] = {1, 2, 8};
	const char *src = image("src", size, step), *dst = test_path("dst");
	struct membuf one = dump(src, chunk, options(0, level), &plain), many;
	size_t i;

	CU_ASSERT(zstd_agrees(&one, src, size));
	CU_ASSERT_EQUAL(restore(&one, dst, options(0, level)), 0);
	CU_ASSERT(same_files(src, dst));
	for (i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
		many = dump(src, chunk, options(widths[i], level), &plain);
		CU_ASSERT(
		    many.len == one.len && memcmp(many.p, one.p, one.len) == 0);
		membuf_free(&many);
		CU_ASSERT_EQUAL(
		    restore(&one, dst, options(widths[i], level)), 0);
		CU_ASSERT(same_files(src, dst));
	}
	membuf_free(&one);
}

static void
any_size_is_the_same_at_any_width(void)
{
	const uint64_t chunk = VMF_CHUNK_MIN,
		       sizes[] = {0, 1, 511, 513, 5000, chunk - 1, chunk,
			   chunk + 1, 2 * chunk, 37 * chunk, 40 * chunk + 513};
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		check_size(sizes[i], VMF_CHUNK_MIN, VMF_CHUNK_MIN, 3);
		/* extents that have nothing to do with chunks */
		check_size(sizes[i], VMF_CHUNK_MIN, 5000, 1);
		check_size(sizes[i], VMF_CHUNK_MIN, 100000, 0);
	}
}

static void
large_chunks_work(void)
{
	check_size((64 << 20) + 12345, VMF_CHUNK_MAX, 9 << 20, 1);
	check_size(VMF_CHUNK_DEFAULT + 1, VMF_CHUNK_DEFAULT, 1 << 20, 3);
}

static void
every_level_is_the_same_at_any_width(void)
{
	int level;

	for (level = 0; level <= VMF_LEVEL_MAX; level += level < 4 ? 1 : 5)
		check_size(
		    10 * VMF_CHUNK_MIN + 77, VMF_CHUNK_MIN, 70000, level);
}

static void
holes_change_nothing_in_the_stream(void)
{
	const struct vmf_source_options distrust = {.no_holes = true};
	const char *src = image("holes", 30 * VMF_CHUNK_MIN + 9, 100000);
	struct membuf a = dump(src, VMF_CHUNK_MIN, options(2, 3), &plain);
	struct membuf b = dump(src, VMF_CHUNK_MIN, options(2, 3), &distrust);

	CU_ASSERT(a.len == b.len && memcmp(a.p, b.p, a.len) == 0);
	membuf_free(&a);
	membuf_free(&b);
}

static void
a_small_budget_is_enough(void)
{
	const char *src = image("budget", 20 * VMF_CHUNK_MIN, 100000);
	struct vmf_engine_options tight = options(8, 3);
	struct membuf a = dump(src, VMF_CHUNK_MIN, options(0, 3), &plain), b;

	tight.budget = 1;
	b = dump(src, VMF_CHUNK_MIN, tight, &plain);
	CU_ASSERT(a.len == b.len && memcmp(a.p, b.p, a.len) == 0);
	CU_ASSERT_EQUAL(restore(&a, test_path("dst"), tight), 0);
	CU_ASSERT(same_files(src, test_path("dst")));
	membuf_free(&a);
	membuf_free(&b);
}

static void
pipes_give_streams_of_unknown_size(void)
{
	static const size_t sizes[] = {0, 1, 513, 65535, 65536, 65537, 200000};
	struct vmf_engine_options o = options(2, 3);
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		const char *path = image("piped", sizes[i], 70000);
		int fd = open(path, O_RDONLY);
		struct vmf_source *src = vmf_source_pipe(fd, "pipe", &err);
		struct membuf m = {0};
		struct vmf_out out = membuf_out(&m);
		struct vmf_geometry geo;
		struct vmf_writer *w;

		vmf_source_geometry(src, VMF_CHUNK_MIN, &geo);
		CU_ASSERT_EQUAL(geo.size, VMF_SIZE_UNKNOWN);
		w = vmf_writer_new(
		    vmf_carrier_out(&out), id, 0, &geo, NULL, &err);
		CU_ASSERT_EQUAL(vmf_dump(src, w, VMF_CHUNK_MIN, &o, &err), 0);
		CU_ASSERT_EQUAL(vmf_writer_end(w, NULL, &err), 0);
		vmf_writer_free(w);
		vmf_source_free(src);
		close(fd);
		CU_ASSERT(zstd_agrees(&m, path, sizes[i]));
		CU_ASSERT_EQUAL(restore(&m, test_path("dst"), o), 0);
		CU_ASSERT(same_files(path, test_path("dst")));
		membuf_free(&m);
	}
}

/* Restoring it gives an error of class, and no file. */
static void
check_damaged(struct membuf *m, unsigned jobs)
{
	const char *dst = test_path("damaged");

	ASSERT_FAILS(restore(m, dst, options(jobs, 3)), VMF_INTEGRITY);
	CU_ASSERT_EQUAL(access(dst, F_OK), -1);
}

static void
damage_is_refused_at_any_width(void)
{
	const char *src = image("whole", 40 * VMF_CHUNK_MIN + 3, 100000);
	struct membuf m = dump(src, VMF_CHUNK_MIN, options(2, 3), &plain);
	size_t whole = m.len, i, at;
	unsigned jobs;

	/* not in START: it is open when the sink is not there yet */
	for (i = 0; i < 40; i++) {
		at = 300 + i * (m.len - 600) / 40;
		jobs = i % 4 == 3 ? 8 : (unsigned)(i % 4);
		m.p[at] ^= 0x10;
		check_damaged(&m, jobs);
		m.p[at] ^= 0x10;
		m.len = at;
		check_damaged(&m, jobs);
		m.len = whole;
	}
	membuf_free(&m);
}

/* Other bytes on the medium than went there: read-back tells. */
static void
read_back_finds_other_bytes(void)
{
	static const uint64_t at[] = {
	    0, 65535, 5 * 65536 + 17, 12 * 65536, 13 * 65536 + 4};
	const char *src = image("readback", 14 * VMF_CHUNK_MIN, 65536);
	struct membuf m = dump(src, VMF_CHUNK_MIN, options(2, 3), &plain);
	const struct vmf_sink_options so = {0};
	unsigned jobs;
	size_t i;

	for (i = 0; i < 10; i++) {
		struct vmf_engine_options o = options(i % 3, 3);
		struct vmf_reader *r = vmf_reader_open(membuf_in(&m), &err);
		struct vmf_digests *list = vmf_digests_new(NULL, &err);
		struct vmf_sink *sink = vmf_sink_open(
		    test_path("rb"), vmf_reader_geometry(r), &so, &err);
		uint8_t c;

		jobs = o.jobs;
		CU_ASSERT_PTR_NOT_NULL_FATAL(sink);
		CU_ASSERT_EQUAL_FATAL(vmf_sink_begin(sink, &err), 0);
		CU_ASSERT_EQUAL(vmf_restore(r, sink, list, &o, &err), 0);
		CU_ASSERT_EQUAL(
		    vmf_readback(sink, list, VMF_CHUNK_MIN, &o, &err), 0);
		/* holes that are holes no more are found, too */
		CU_ASSERT_EQUAL(vmf_sink_read(sink, &c, 1, at[i / 2], &err), 0);
		c ^= 1;
		CU_ASSERT_EQUAL(
		    vmf_sink_write(sink, &c, 1, at[i / 2], &err), 0);
		err.class = VMF_OK;
		if (vmf_readback(sink, list, VMF_CHUNK_MIN, &o, &err) == 0 ||
		    err.class != VMF_INTEGRITY) {
			printf("offset %llu jobs %u: ",
			    (unsigned long long)at[i / 2], jobs);
			CU_FAIL("other bytes were not noticed");
		}
		vmf_sink_free(sink);
		vmf_digests_free(list);
		vmf_reader_free(r);
	}
	membuf_free(&m);
}

static void
counts_add_up(void)
{
	const uint64_t size = 40 * VMF_CHUNK_MIN + 3;
	const char *src = image("counts", size, 65536);
	struct vmf_progress progress = {0};
	struct vmf_engine_options o = options(2, 3);
	struct membuf m;

	o.progress = &progress;
	m = dump(src, VMF_CHUNK_MIN, o, &plain);
	CU_ASSERT_EQUAL(progress.done, size);
	/* every third, fourth and fifth of five chunks */
	CU_ASSERT_EQUAL(progress.zero, 24 * VMF_CHUNK_MIN);
	CU_ASSERT(progress.stored > 0 && progress.stored < m.len);
	atomic_store(&progress.stop, 1);
	ASSERT_FAILS(restore(&m, test_path("stopped"), o), VMF_STOPPED);
	CU_ASSERT_EQUAL(access(test_path("stopped"), F_OK), -1);
	membuf_free(&m);
}

void
suite_engine(void)
{
	static const struct test_case cases[] = {
	    {"any size is the same at any width",
		any_size_is_the_same_at_any_width},
	    {"large chunks work", large_chunks_work},
	    {"every level is the same at any width",
		every_level_is_the_same_at_any_width},
	    {"holes change nothing in the stream",
		holes_change_nothing_in_the_stream},
	    {"a small budget is enough", a_small_budget_is_enough},
	    {"pipes give streams of unknown size",
		pipes_give_streams_of_unknown_size},
	    {"damage is refused at any width", damage_is_refused_at_any_width},
	    {"read-back finds other bytes", read_back_finds_other_bytes},
	    {"counts add up", counts_add_up},
	};

	TEST_SUITE("engine", cases);
}
