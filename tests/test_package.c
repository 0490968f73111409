/* test_package.c - packages come back whole, and damaged ones not at all */
#include "package_sample.h"

enum { START_LEN = VMF_OBJECT_FIXED + VMF_START_BODY + VMF_OBJECT_SUM };

/* --- whole ones */

static void
check_item(struct vmf_package_reader *r, const struct vmf_package_item *item)
{
	struct vmf_in in = vmf_package_reader_in(r);
	uint8_t buf[400], nvram[300];
	size_t got;

	if (item->file == NULL)
		return;
	noise(nvram, sizeof(nvram), 2);
	CU_ASSERT_EQUAL(in.read(in.ctx, buf, sizeof(buf), &got, &err), 0);
	CU_ASSERT_EQUAL(got, item->file->size);
	CU_ASSERT_EQUAL(memcmp(buf, nvram, got), 0);
}

/* Images are left unread here: they are passed over as stored bytes. */
static void
packages_come_back(void)
{
	struct membuf m = {0};
	struct vmf_package_reader *r;
	struct vmf_package_item item;
	struct vmf_package_summary sum;
	size_t n = 0, len;
	int more;

	write_sample(&m, &plain);
	r = vmf_package_reader_open(membuf_in(&m), NULL, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	CU_ASSERT_STRING_EQUAL(vmf_package_reader_xml(r, &len), XML);
	CU_ASSERT_EQUAL(len, strlen(XML));
	for (; (more = vmf_package_reader_next(r, &item, &err)) > 0; n++)
		check_item(r, &item);
	CU_ASSERT_EQUAL(more, 0);
	CU_ASSERT_EQUAL(n, 4);
	CU_ASSERT_EQUAL(vmf_package_reader_finish(r, &sum, &err), 0);
	CU_ASSERT_EQUAL(sum.bytes, m.len);
	CU_ASSERT_EQUAL(sum.size, DISK_SIZE);
	CU_ASSERT_EQUAL(vmf_package_reader_totals(r, 0)->data_chunks, 2);
	CU_ASSERT_EQUAL(vmf_package_reader_totals(r, 0)->zero_chunks, 2);
	CU_ASSERT_STRING_EQUAL(
	    vmf_package_reader_facts(r, &n)[0].value, "9.0.0");
	CU_ASSERT_EQUAL(n, 1);
	vmf_package_reader_free(r);
	CU_ASSERT_EQUAL(verify(&m), 0);
	membuf_free(&m);
}

static void
same_input_same_bytes(void)
{
	struct vmf_engine_options jobs = plain;
	struct membuf a = {0}, b = {0};

	jobs.jobs = 3;
	write_sample(&a, &plain);
	write_sample(&b, &jobs);
	CU_ASSERT_EQUAL_FATAL(a.len, b.len);
	CU_ASSERT_EQUAL(memcmp(a.p, b.p, a.len), 0);
	CU_ASSERT_EQUAL(a.len % VMF_TAR_BLOCK, 0);
	membuf_free(&a);
	membuf_free(&b);
}

static void
peeking_finds_the_same(void)
{
	struct membuf m = {0};
	struct vmf_package_reader *r;
	const char *path = test_path("peek.vmf.tar");
	size_t n;
	int fd;

	write_sample(&m, &plain);
	write_path(path, m.p, m.len);
	fd = open(path, O_RDWR);
	CU_ASSERT_FATAL(fd >= 0);
	r = vmf_package_peek(fd, NULL, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	CU_ASSERT_STRING_EQUAL(vmf_package_reader_info(r)->domain, "web");
	CU_ASSERT_EQUAL(vmf_package_reader_totals(r, 0)->data_chunks, 2);
	CU_ASSERT_STRING_EQUAL(
	    vmf_package_reader_facts(r, &n)[0].value, "9.0.0");
	vmf_package_reader_free(r);
	CU_ASSERT_EQUAL(ftruncate(fd, (off_t)m.len - 2048), 0);
	CU_ASSERT_EQUAL(lseek(fd, 0, SEEK_SET), 0);
	CU_ASSERT_PTR_NULL(vmf_package_peek(fd, NULL, &err));
	CU_ASSERT_EQUAL(err.class, VMF_INTEGRITY);
	close(fd);
	membuf_free(&m);
}

static void
another_id_is_refused_when_one_is_expected(void)
{
	struct membuf m = {0};
	uint8_t id[VMF_ID_LEN] = {1};
	struct vmf_package_reader_options options = {.expect = id};

	write_sample(&m, &plain);
	ASSERT_FAILS(
	    vmf_package_verify(membuf_in(&m), &options, &plain, NULL, &err),
	    VMF_INTEGRITY);
	memcpy(id, info.id, sizeof(id));
	CU_ASSERT_EQUAL(
	    vmf_package_verify(membuf_in(&m), &options, &plain, NULL, &err), 0);
	membuf_free(&m);
}

/* --- damage */

/* One bit of every byte, each in its turn. */
static void
a_flip_in_every_byte_is_refused(void)
{
	struct membuf m = {0};
	size_t i;
	int passed = 0, other = 0;

	write_sample(&m, &plain);
	for (i = 0; i < m.len; i++) {
		m.p[i] ^= (uint8_t)(1 << i % 8);
		if (verify(&m) == 0) {
			printf("passed: byte %zu\n", i);
			passed++;
		} else if (err.class != VMF_INTEGRITY) {
			printf("byte %zu: %d %s\n", i, err.class, err.msg);
			other++;
		}
		m.p[i] ^= (uint8_t)(1 << i % 8);
	}
	CU_ASSERT_EQUAL(passed, 0);
	CU_ASSERT_EQUAL(other, 0);
	CU_ASSERT_EQUAL(verify(&m), 0);
	membuf_free(&m);
}

static void
a_cut_anywhere_is_refused(void)
{
	struct membuf m = {0};
	size_t whole;

	write_sample(&m, &plain);
	whole = m.len;
	for (m.len = 0; m.len < whole; m.len += m.len % 512 == 0 ? 1 : 511)
		ASSERT_FAILS(verify(&m), VMF_INTEGRITY);
	membuf_free(&m);
}

/* --- writing and placing */

static void
files_keep_their_announced_size(void)
{
	struct membuf m = {0}, short_one = {0};
	struct vmf_package_writer *w;
	uint8_t bytes[301] = {0};
	size_t len;

	for (len = 299; len <= 301; len += 2) {
		m.len = short_one.len = 0;
		w = vmf_package_writer_new(membuf_out(&m), &info, NULL, &err);
		CU_ASSERT_PTR_NOT_NULL_FATAL(w);
		CU_ASSERT_EQUAL(vmf_package_writer_xml(w, XML, 5, &err), 0);
		membuf_write(&short_one, bytes, len, &err);
		ASSERT_FAILS(
		    vmf_package_writer_file(w, membuf_in(&short_one), &err),
		    VMF_IO);
		vmf_package_writer_free(w);
		ASSERT_FAILS(verify(&m), VMF_INTEGRITY);
	}
	membuf_free(&m);
	membuf_free(&short_one);
}

static bool
holds(const char *path, const void *want, size_t len)
{
	struct vmf_error ignored;
	size_t got = 0;
	char *text = vmf_read_file(path, 1 << 20, &got, &ignored);
	bool same = text != NULL && got == len && memcmp(text, want, len) == 0;

	free(text);
	return same;
}

static int
restore(struct membuf *m, const struct vmf_package_plan *plan)
{
	struct vmf_package_reader *r;
	int rc;

	memset(&err, 0, sizeof(err));
	r = vmf_package_reader_open(membuf_in(m), NULL, &err);
	if (r == NULL)
		return -1;
	rc = vmf_package_restore(r, plan, &plain, NULL, &err);
	vmf_package_reader_free(r);
	return rc;
}

static void
parts_are_placed_or_nothing_is(void)
{
	struct vmf_package_target disks[2] = {
	    {.path = test_path("new-vda")}, {.path = test_path("new-vdb")}};
	struct vmf_package_target others[2] = {
	    {.path = test_path("new-nvram")}, {.path = NULL}};
	struct vmf_package_plan plan = {
	    .images = disks, .files = others, .readback = true};
	struct membuf m = {0};
	uint8_t *disk = disk_bytes(), nvram[300];

	noise(nvram, sizeof(nvram), 2);
	write_sample(&m, &plain);
	/* END damaged: every object was good, and nothing gets a name */
	m.p[m.len - 2000] ^= 1;
	ASSERT_FAILS(restore(&m, &plan), VMF_INTEGRITY);
	CU_ASSERT_NOT_EQUAL(access(disks[0].path, F_OK), 0);
	CU_ASSERT_NOT_EQUAL(access(others[0].path, F_OK), 0);
	m.p[m.len - 2000] ^= 1;
	plan.dry_run = true;
	CU_ASSERT_EQUAL(restore(&m, &plan), 0);
	CU_ASSERT_NOT_EQUAL(access(disks[0].path, F_OK), 0);
	plan.dry_run = false;
	CU_ASSERT_EQUAL(restore(&m, &plan), 0);
	CU_ASSERT(holds(disks[0].path, disk, DISK_SIZE));
	CU_ASSERT(holds(disks[1].path, disk, 0));
	CU_ASSERT(holds(others[0].path, nvram, sizeof(nvram)));
	/* now all of them are in the way, each for itself */
	ASSERT_FAILS(restore(&m, &plan), VMF_REFUSED);
	CU_ASSERT_EQUAL(unlink(others[0].path), 0);
	ASSERT_FAILS(restore(&m, &plan), VMF_REFUSED);
	CU_ASSERT_NOT_EQUAL(access(others[0].path, F_OK), 0);
	disks[0].overwrite = disks[1].overwrite = true;
	CU_ASSERT_EQUAL(restore(&m, &plan), 0);
	CU_ASSERT(holds(disks[0].path, disk, DISK_SIZE));
	free(disk);
	membuf_free(&m);
}

static void
two_parts_never_share_a_target(void)
{
	const char *path = test_path("both");
	struct vmf_package_target disks[2] = {{.path = path}, {.path = path}};
	struct vmf_package_target others[2] = {{.path = NULL}, {.path = NULL}};
	struct vmf_package_plan plan = {.images = disks, .files = others};
	struct membuf m = {0};

	write_sample(&m, &plain);
	ASSERT_FAILS(restore(&m, &plan), VMF_REFUSED);
	disks[1].path = NULL;
	others[0].path = path;
	ASSERT_FAILS(restore(&m, &plan), VMF_REFUSED);
	CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
	membuf_free(&m);
}

static void
strangers_are_named(void)
{
	struct membuf m = {0};
	uint8_t head[START_LEN];
	struct vmf_object obj = {.kind = VMF_START, .body_len = VMF_START_BODY};

	membuf_write(&m, "", 1, &err);
	m.len = 0;
	ASSERT_FAILS(verify(&m), VMF_INTEGRITY);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "empty"));
	memset(head, 0, sizeof(head));
	vmf_object_encode(&obj, head);
	membuf_write(&m, head, sizeof(head), &err);
	ASSERT_FAILS(verify(&m), VMF_INTEGRITY);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "vmf-restore"));
	memset(m.p, 'x', m.len);
	ASSERT_FAILS(verify(&m), VMF_INTEGRITY);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "no vmferry package"));
	membuf_free(&m);
}

void
suite_package(void)
{
	static const struct test_case cases[] = {
	    {"packages come back", packages_come_back},
	    {"same input, same bytes", same_input_same_bytes},
	    {"peeking finds the same", peeking_finds_the_same},
	    {"another id is refused when one is expected",
		another_id_is_refused_when_one_is_expected},
	    {"a flip in every byte is refused",
		a_flip_in_every_byte_is_refused},
	    {"a cut anywhere is refused", a_cut_anywhere_is_refused},
	    {"files keep their announced size",
		files_keep_their_announced_size},
	    {"parts are placed or nothing is", parts_are_placed_or_nothing_is},
	    {"two parts never share a target", two_parts_never_share_a_target},
	    {"strangers are named", strangers_are_named},
	};

	TEST_SUITE("package", cases);
}
