/* test_proof.c - disks that a guest's RAM belongs to, and those it does not */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vmferry/io.h>
#include <vmferry/proof.h>
#include <vmferry/units.h>

#include "membuf.h"
#include "test.h"

#define HOST_A "6695eb01-f6a4-8304-79aa-97f2502e193f"
#define HOST_B "6695eb01-f6a4-8304-79aa-97f2502e1940"
#define SIZE   (40 * VMF_MIB + 513)

static struct vmf_error err;

/* A sparse file of SIZE bytes with some at its head, as disks have a table
 * there, and in its middle. */
static const char *
make_disk(const char *name, uint64_t seed)
{
	const char *path = test_path(name);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	uint8_t data[4096];

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	noise(data, sizeof(data), seed);
	CU_ASSERT_EQUAL(ftruncate(fd, SIZE), 0);
	CU_ASSERT_EQUAL(vmf_pwrite_full(fd, data, 512, 0, &err), 0);
	CU_ASSERT_EQUAL(
	    vmf_pwrite_full(fd, data, sizeof(data), 20 * VMF_MIB, &err), 0);
	close(fd);
	return path;
}

static void
flip(const char *path, uint64_t off)
{
	int fd = open(path, O_RDWR);
	uint8_t byte;

	CU_ASSERT_EQUAL(vmf_pread_full(fd, &byte, 1, off, &err), 0);
	byte ^= 4;
	CU_ASSERT_EQUAL(vmf_pwrite_full(fd, &byte, 1, off, &err), 0);
	close(fd);
}

/* Give path the time of modification it had. */
static void
keep_time(const char *path, const struct stat *st)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};

	CU_ASSERT_EQUAL(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void
the_same_disks_pass(void)
{
	struct vmf_proof_disk disk = {"vda", make_disk("disk", 1)};
	struct vmf_proof_disk copy = {"vda", make_disk("copy", 1)};
	char *text;
	int whole;

	for (whole = 0; whole < 2; whole++) {
		text = vmf_proof_take(&disk, 1, HOST_A, whole, NULL, &err);
		CU_ASSERT_PTR_NOT_NULL_FATAL(text);
		CU_ASSERT_EQUAL(vmf_proof_is_whole(text), whole);
		CU_ASSERT_EQUAL(
		    vmf_proof_check(text, &disk, 1, HOST_A, NULL, &err), 0);
		/* under another path, there or elsewhere */
		CU_ASSERT_EQUAL(
		    vmf_proof_check(text, &copy, 1, HOST_A, NULL, &err), 0);
		CU_ASSERT_EQUAL(
		    vmf_proof_check(text, &copy, 1, HOST_B, NULL, &err), 0);
		free(text);
	}
}

static void
one_flipped_bit_is_found(void)
{
	struct vmf_proof_disk disk = {"vda", make_disk("flipped", 2)};
	char *text = vmf_proof_take(&disk, 1, HOST_A, true, NULL, &err);
	struct stat st;

	CU_ASSERT_EQUAL(stat(disk.path, &st), 0);
	/* within what was a hole, and in the last byte */
	flip(disk.path, 7 * VMF_MIB + 4711);
	keep_time(disk.path, &st);
	ASSERT_FAILS(
	    vmf_proof_check(text, &disk, 1, HOST_A, NULL, &err), VMF_REFUSED);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "disk vda"));
	flip(disk.path, 7 * VMF_MIB + 4711);
	keep_time(disk.path, &st);
	CU_ASSERT_EQUAL(vmf_proof_check(text, &disk, 1, HOST_A, NULL, &err), 0);
	flip(disk.path, SIZE - 1);
	keep_time(disk.path, &st);
	ASSERT_FAILS(
	    vmf_proof_check(text, &disk, 1, HOST_B, NULL, &err), VMF_REFUSED);
	free(text);
}

static void
a_sample_covers_both_ends_and_the_time(void)
{
	struct vmf_proof_disk disk = {"vda", make_disk("sampled", 3)};
	char *text = vmf_proof_take(&disk, 1, HOST_A, false, NULL, &err);
	struct stat st;

	CU_ASSERT_EQUAL(stat(disk.path, &st), 0);
	flip(disk.path, 0);
	keep_time(disk.path, &st);
	ASSERT_FAILS(
	    vmf_proof_check(text, &disk, 1, HOST_B, NULL, &err), VMF_REFUSED);
	flip(disk.path, 0);
	flip(disk.path, SIZE - 1);
	keep_time(disk.path, &st);
	ASSERT_FAILS(
	    vmf_proof_check(text, &disk, 1, HOST_B, NULL, &err), VMF_REFUSED);
	/* as it was, but written to */
	flip(disk.path, SIZE - 1);
	ASSERT_FAILS(
	    vmf_proof_check(text, &disk, 1, HOST_A, NULL, &err), VMF_REFUSED);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "written to"));
	CU_ASSERT_EQUAL(vmf_proof_check(text, &disk, 1, HOST_B, NULL, &err), 0);
	free(text);
}

static void
other_sets_of_disks_are_refused(void)
{
	struct vmf_proof_disk disks[2] = {
	    {"vda", make_disk("first", 4)}, {"vdb", make_disk("second", 5)}};
	struct vmf_proof_disk swapped[2] = {
	    {"vda", disks[1].path}, {"vdb", disks[0].path}};
	struct vmf_proof_disk renamed = {"vdc", disks[0].path};
	char *text = vmf_proof_take(disks, 2, HOST_A, false, NULL, &err);

	CU_ASSERT_EQUAL(vmf_proof_check(text, disks, 2, HOST_A, NULL, &err), 0);
	ASSERT_FAILS(
	    vmf_proof_check(text, disks, 1, HOST_A, NULL, &err), VMF_REFUSED);
	ASSERT_FAILS(
	    vmf_proof_check(text, swapped, 2, HOST_A, NULL, &err), VMF_REFUSED);
	ASSERT_FAILS(vmf_proof_check(text, &renamed, 1, HOST_A, NULL, &err),
	    VMF_REFUSED);
	CU_ASSERT_EQUAL(truncate(disks[1].path, SIZE + 512), 0);
	ASSERT_FAILS(
	    vmf_proof_check(text, disks, 2, HOST_B, NULL, &err), VMF_REFUSED);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "size"));
	free(text);
}

static void
text_that_is_no_proof_is_damage(void)
{
	ASSERT_FAILS(
	    vmf_proof_check("", NULL, 0, HOST_A, NULL, &err), VMF_INTEGRITY);
	ASSERT_FAILS(
	    vmf_proof_check("{}", NULL, 0, HOST_A, NULL, &err), VMF_INTEGRITY);
	ASSERT_FAILS(
	    vmf_proof_check("{\"format\":\"vmferry-proof\",\"version\":2,"
			    "\"disks\":[]}",
		NULL, 0, HOST_A, NULL, &err),
	    VMF_INTEGRITY);
}

void
suite_proof(void)
{
	static const struct test_case cases[] = {
	    {"the same disks pass", the_same_disks_pass},
	    {"one flipped bit is found", one_flipped_bit_is_found},
	    {"a sample covers both ends and the time",
		a_sample_covers_both_ends_and_the_time},
	    {"other sets of disks are refused",
		other_sets_of_disks_are_refused},
	    {"text that is no proof is damage",
		text_that_is_no_proof_is_damage},
	};

	TEST_SUITE("proof", cases);
}
