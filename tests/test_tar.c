/* test_tar.c - one canonical form, and every other refused */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vmferry/tar.h>

#include "test.h"

#define ROOM 65536

static struct vmf_error err;

struct memory {
	uint8_t bytes[ROOM];
	size_t len, at;
};

static int
memory_write(void *ctx, const void *buf, size_t len, struct vmf_error *e)
{
	struct memory *m = ctx;

	if (len > ROOM - m->len)
		return vmf_fail(e, VMF_IO, "full");
	memcpy(m->bytes + m->len, buf, len);
	m->len += len;
	return 0;
}

static int
memory_read(void *ctx, void *buf, size_t len, size_t *got, struct vmf_error *e)
{
	struct memory *m = ctx;

	(void)e;
	*got = len < m->len - m->at ? len : m->len - m->at;
	memcpy(buf, m->bytes + m->at, *got);
	m->at += *got;
	return 0;
}

static const struct {
	struct vmf_tar_member member;
	const char *data;
} wanted[] = {
    {{"first", false, 5}, "hello"},
    {{"dir/", true, 0}, ""},
    {{"dir/empty", false, 0}, ""},
    {{"dir/last", false, 700}, NULL},
};
#define NWANTED (sizeof(wanted) / sizeof(wanted[0]))

static const void *
data_of(size_t i)
{
	static uint8_t many[1024];

	memset(many, 0xa5, sizeof(many));
	return wanted[i].data != NULL ? (const void *)wanted[i].data : many;
}

static void
write_sample(struct memory *m)
{
	struct vmf_out out = {.write = memory_write, .ctx = m};
	struct vmf_tar_writer *w = vmf_tar_writer_new(out, &err);
	size_t i;

	m->len = m->at = 0;
	CU_ASSERT_PTR_NOT_NULL_FATAL(w);
	for (i = 0; i < NWANTED; i++) {
		CU_ASSERT_EQUAL(
		    vmf_tar_writer_begin(w, &wanted[i].member, &err), 0);
		CU_ASSERT_EQUAL(vmf_tar_writer_data(w, data_of(i),
				    (size_t)wanted[i].member.size, &err),
		    0);
		CU_ASSERT_EQUAL(vmf_tar_writer_end(w, &err), 0);
	}
	CU_ASSERT_EQUAL(vmf_tar_writer_finish(w, &err), 0);
	vmf_tar_writer_free(w);
}

/* Read all of it: members in *n; 0 or -1. */
static int
read_all(struct memory *m, size_t *n)
{
	struct vmf_in in = {.read = memory_read, .ctx = m};
	struct vmf_tar_reader *r;
	struct vmf_tar_member member;
	uint8_t buf[2048];
	size_t got;
	int more = -1;

	*n = 0;
	m->at = 0;
	err.class = VMF_OK;
	r = vmf_tar_reader_new(in, &err);
	while (
	    r != NULL && (more = vmf_tar_reader_next(r, &member, &err)) > 0) {
		if (vmf_tar_reader_read(r, buf, sizeof(buf), &got, &err) < 0 ||
		    got != member.size) {
			more = -1;
			break;
		}
		if (*n < NWANTED) {
			CU_ASSERT_STRING_EQUAL(
			    member.name, wanted[*n].member.name);
			CU_ASSERT_EQUAL(member.dir, wanted[*n].member.dir);
			CU_ASSERT_EQUAL(memcmp(buf, data_of(*n), got), 0);
		}
		++*n;
	}
	if (more == 0)
		more = vmf_tar_reader_finish(r, &err);
	if (more == 0)
		CU_ASSERT_EQUAL(vmf_tar_reader_bytes(r), m->len);
	vmf_tar_reader_free(r);
	return more;
}

static void
members_come_back(void)
{
	static struct memory m;
	size_t n;

	write_sample(&m);
	/* four headers, 5 and 700 bytes padded, and the end */
	CU_ASSERT_EQUAL(m.len, (4 + 1 + 2 + 2) * VMF_TAR_BLOCK);
	CU_ASSERT_EQUAL(read_all(&m, &n), 0);
	CU_ASSERT_EQUAL(n, NWANTED);
}

/* A name cut at the flipped byte is another member; all else is damage. */
static void
every_flipped_bit_is_seen(void)
{
	static struct memory m;
	size_t i, n;
	int bit, passed = 0, other = 0;

	write_sample(&m);
	for (i = 0; i < m.len; i++)
		for (bit = 0; bit < 8; bit++) {
			bool in_data =
			    (i >= 512 && i < 517) || (i >= 2560 && i < 3260);

			/* Data is not tar's business. */
			if (in_data)
				continue;
			m.bytes[i] ^= (uint8_t)(1 << bit);
			passed += read_all(&m, &n) == 0;
			other += err.class != VMF_INTEGRITY;
			m.bytes[i] ^= (uint8_t)(1 << bit);
		}
	CU_ASSERT_EQUAL(passed, 0);
	CU_ASSERT_EQUAL(other, 0);
	CU_ASSERT_EQUAL(read_all(&m, &n), 0);
}

static void
every_cut_and_addition_is_seen(void)
{
	static struct memory m;
	size_t whole, n;
	int passed = 0, other = 0;

	write_sample(&m);
	whole = m.len;
	for (m.len = 0; m.len < whole; m.len++) {
		passed += read_all(&m, &n) == 0;
		other += err.class != VMF_INTEGRITY;
	}
	CU_ASSERT_EQUAL(passed, 0);
	CU_ASSERT_EQUAL(other, 0);
	memset(m.bytes + whole, 0, ROOM - whole);
	for (m.len = whole + 1; m.len < whole + 2000; m.len += 511)
		ASSERT_FAILS(read_all(&m, &n), VMF_INTEGRITY);
	m.len = whole;
	CU_ASSERT_EQUAL(read_all(&m, &n), 0);
	/* A header of zeros looks like the end of a tar file. */
	memset(m.bytes + 1024, 0, VMF_TAR_BLOCK);
	ASSERT_FAILS(read_all(&m, &n), VMF_INTEGRITY);
}

/* A valid sum over a changed header: what other programs might write. */
static void
fix_sum(uint8_t *block)
{
	unsigned sum = 0, i;

	memset(block + 148, ' ', 8);
	for (i = 0; i < VMF_TAR_BLOCK; i++)
		sum += block[i];
	snprintf((char *)block + 148, 8, "%06o", sum);
	block[155] = ' ';
}

static void
other_headers_are_refused(void)
{
	static const struct {
		const char *what;
		size_t at;
		const char *bytes;
		size_t len;
	} changes[] = {
	    {"hard link", 156, "1", 1},
	    {"symbolic link", 156, "2", 1},
	    {"character device", 156, "3", 1},
	    {"FIFO", 156, "6", 1},
	    {"contiguous file", 156, "7", 1},
	    {"old regular file", 156, "\0", 1},
	    {"pax header", 156, "x", 1},
	    {"pax global header", 156, "g", 1},
	    {"GNU long name", 156, "L", 1},
	    {"GNU long link", 156, "K", 1},
	    {"GNU sparse", 156, "S", 1},
	    {"GNU volume label", 156, "V", 1},
	    {"link name", 157, "x", 1},
	    {"mode", 100, "000644 ", 7},
	    {"setuid", 100, "004600 ", 7},
	    {"user", 108, "000001 ", 7},
	    {"user's name", 265, "root", 4},
	    {"time", 136, "00000000001 ", 12},
	    {"prefix", 345, "x", 1},
	    {"GNU magic", 257, "ustar  ", 8},
	    {"size in base 256", 124, "\x80\0\0\0\0\0\0\0\0\0\0\5", 12},
	    {"size of 2^63", 124, "\x80\0\0\0\x80\0\0\0\0\0\0\0", 12},
	    {"negative size", 124,
		"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
		"\xff\xff",
		12},
	    {"minus sign", 124, "-0000000005 ", 12},
	    {"size without end", 124, "000000000005", 12},
	    {"size in spaces", 124, "          5 ", 12},
	    {"device number", 329, "000001 ", 7},
	    {"no name", 0, "\0", 1},
	    {"last byte", 511, "x", 1},
	};
	static struct memory m;
	size_t i, n;

	for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		write_sample(&m);
		memcpy(
		    m.bytes + changes[i].at, changes[i].bytes, changes[i].len);
		fix_sum(m.bytes);
		err.class = VMF_OK;
		if (read_all(&m, &n) == 0 || err.class != VMF_INTEGRITY) {
			printf("passed: %s\n", changes[i].what);
			CU_FAIL("a header that is not canonical");
		}
	}
	/* The helper itself changes nothing that matters. */
	write_sample(&m);
	m.bytes[0] = 'F';
	m.bytes[0] = 'f';
	CU_ASSERT_EQUAL(read_all(&m, &n), 0);
}

static void
short_and_long_members_are_not_written(void)
{
	static struct memory m;
	struct vmf_out out = {.write = memory_write, .ctx = &m};
	struct vmf_tar_writer *w = vmf_tar_writer_new(out, &err);
	const struct vmf_tar_member five = {"five", false, 5};

	CU_ASSERT_PTR_NOT_NULL_FATAL(w);
	CU_ASSERT_EQUAL(vmf_tar_writer_begin(w, &five, &err), 0);
	ASSERT_FAILS(vmf_tar_writer_data(w, "123456", 6, &err), VMF_INTERNAL);
	CU_ASSERT_EQUAL(vmf_tar_writer_data(w, "1234", 4, &err), 0);
	ASSERT_FAILS(vmf_tar_writer_end(w, &err), VMF_INTERNAL);
	vmf_tar_writer_free(w);
}

static void
a_full_disk_is_told(void)
{
	static struct memory m;
	struct vmf_out out = {.write = memory_write, .ctx = &m};
	struct vmf_tar_writer *w = vmf_tar_writer_new(out, &err);
	const struct vmf_tar_member five = {"five", false, 5};

	CU_ASSERT_PTR_NOT_NULL_FATAL(w);
	m.len = ROOM - 100;
	ASSERT_FAILS(vmf_tar_writer_begin(w, &five, &err), VMF_IO);
	vmf_tar_writer_free(w);
	/* What is not finished gets no end, not even by free. */
	CU_ASSERT_EQUAL(m.len, ROOM - 100);
}

static void
names_and_sizes_are_bounded(void)
{
	static const struct vmf_tar_member bad[] = {
	    {"", false, 1},
	    {"dir", true, 0},
	    {"file/", false, 0},
	    {"dir/", true, 1},
	    {"large", false, VMF_TAR_SIZE_MAX + 1},
	};
	static const struct vmf_tar_member largest = {
	    "large", false, VMF_TAR_SIZE_MAX};
	uint8_t block[VMF_TAR_BLOCK];
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ASSERT_FAILS(vmf_tar_header(&bad[i], block, &err), VMF_REFUSED);
	CU_ASSERT_EQUAL(vmf_tar_header(&largest, block, &err), 0);
	CU_ASSERT_EQUAL(memcmp(block + 124, "77777777777 ", 12), 0);
}

void
suite_tar(void)
{
	static const struct test_case cases[] = {
	    {"members come back", members_come_back},
	    {"every flipped bit is seen", every_flipped_bit_is_seen},
	    {"every cut and addition is seen", every_cut_and_addition_is_seen},
	    {"other headers are refused", other_headers_are_refused},
	    {"short and long members are not written",
		short_and_long_members_are_not_written},
	    {"a full disk is told", a_full_disk_is_told},
	    {"names and sizes are bounded", names_and_sizes_are_bounded},
	};

	TEST_SUITE("tar", cases);
}
