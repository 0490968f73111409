/* test_sink.c - files as targets; devices are in the scenarios */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vmferry/sink.h>

#include "membuf.h"
#include "test.h"

static struct vmf_error err;
static const struct vmf_sink_options plain;
static const struct vmf_sink_options overwrite = {.overwrite = true};

#define SIZE (UINT64_C(300000))

static struct vmf_geometry
geometry(uint64_t size)
{
	return (struct vmf_geometry){.size = size,
	    .chunk = VMF_CHUNK_MIN,
	    .format = VMF_RAW,
	    .virtual_size = size};
}

/* A sink for SIZE bytes that has begun and taken 1000 bytes at 200000. */
static struct vmf_sink *
begun(const char *path, uint64_t size, const struct vmf_sink_options *options)
{
	struct vmf_geometry geo = geometry(size);
	struct vmf_sink *sink = vmf_sink_open(path, &geo, options, &err);
	uint8_t data[1000];

	if (sink == NULL || vmf_sink_begin(sink, &err) < 0) {
		vmf_sink_free(sink);
		return NULL;
	}
	noise(data, sizeof(data), 5);
	CU_ASSERT_EQUAL(
	    vmf_sink_write(sink, data, sizeof(data), 200000, &err), 0);
	CU_ASSERT_EQUAL(vmf_sink_zero(sink, 65536, 0, &err), 0);
	return sink;
}

/* path is SIZE bytes as begun() wrote them. */
static void
check_written(const char *path)
{
	uint8_t *got, want[1000];
	size_t len = 0;

	noise(want, sizeof(want), 5);
	got = (uint8_t *)vmf_read_file(path, SIZE, &len, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(got);
	CU_ASSERT_EQUAL(len, SIZE);
	CU_ASSERT_EQUAL(memcmp(got + 200000, want, sizeof(want)), 0);
	CU_ASSERT(got[0] == 0 && memcmp(got, got + 1, 199999) == 0);
	free(got);
}

static unsigned
count_names(const char *text)
{
	DIR *dir = opendir(test_dir());
	struct dirent *entry;
	unsigned n = 0;

	while ((entry = readdir(dir)) != NULL)
		n += strstr(entry->d_name, text) != NULL;
	closedir(dir);
	return n;
}

static void
a_new_file_appears_at_commit(void)
{
	const char *path = test_path("disk-new");
	struct vmf_sink *sink = begun(path, SIZE, &plain);
	struct stat st;

	CU_ASSERT_PTR_NOT_NULL_FATAL(sink);
	CU_ASSERT_EQUAL(vmf_sink_size(sink), SIZE);
	CU_ASSERT_FALSE(vmf_sink_is_device(sink));
	CU_ASSERT_FALSE(vmf_sink_holds(sink, 0));
	CU_ASSERT_EQUAL(access(path, F_OK), -1);
	CU_ASSERT_EQUAL(vmf_sink_flush(sink, &err), 0);
	CU_ASSERT_EQUAL(vmf_sink_commit(sink, SIZE, true, &err), 0);
	vmf_sink_free(sink);
	check_written(path);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode, S_IFREG | 0600);
	CU_ASSERT(st.st_blocks * 512 < (off_t)SIZE);
	CU_ASSERT_EQUAL(count_names("disk-new"), 1);
}

static void
nothing_is_left_without_commit(void)
{
	const char *path = test_path("disk-gone");
	struct vmf_geometry geo = geometry(SIZE);
	struct vmf_sink *sink = begun(path, SIZE, &plain);

	CU_ASSERT_PTR_NOT_NULL_FATAL(sink);
	CU_ASSERT_EQUAL(count_names("disk-gone"), 1);
	vmf_sink_free(sink);
	CU_ASSERT_EQUAL(count_names("disk-gone"), 0);
	/* opened only: nothing was touched */
	sink = vmf_sink_open(path, &geo, &plain, &err);
	CU_ASSERT_EQUAL(count_names("disk-gone"), 0);
	vmf_sink_free(sink);
	vmf_sink_free(NULL);
}

static void
sizes_may_be_unknown(void)
{
	const char *path = test_path("disk-unknown");
	struct vmf_sink *sink = begun(path, VMF_SIZE_UNKNOWN, &plain);

	CU_ASSERT_PTR_NOT_NULL_FATAL(sink);
	CU_ASSERT_EQUAL(vmf_sink_commit(sink, SIZE, true, &err), 0);
	vmf_sink_free(sink);
	check_written(path);
}

static int
try(const char *path, const struct vmf_sink_options *options)
{
	struct vmf_sink *sink = begun(path, SIZE, options);
	int rc = sink == NULL ? -1 : vmf_sink_commit(sink, SIZE, true, &err);

	vmf_sink_free(sink);
	return rc;
}

static void
what_exists_is_refused_unless_allowed(void)
{
	const char *path = test_path("disk-old");
	char *text;

	CU_ASSERT_EQUAL(vmf_write_file(path, "old", 3, false, &err), 0);
	ASSERT_FAILS(try(path, &plain), VMF_REFUSED);
	text = vmf_read_file(path, 10, NULL, &err);
	CU_ASSERT_STRING_EQUAL_FATAL(text, "old");
	free(text);
	CU_ASSERT_EQUAL(try(path, &overwrite), 0);
	check_written(path);
	CU_ASSERT_EQUAL(count_names("disk-old"), 1);
}

static void
who_was_quicker_is_kept(void)
{
	const char *path = test_path("disk-race");
	struct vmf_sink *sink = begun(path, SIZE, &plain);
	char *text;

	CU_ASSERT_PTR_NOT_NULL_FATAL(sink);
	CU_ASSERT_EQUAL(vmf_write_file(path, "other", 5, false, &err), 0);
	ASSERT_FAILS(vmf_sink_commit(sink, SIZE, true, &err), VMF_REFUSED);
	vmf_sink_free(sink);
	text = vmf_read_file(path, 10, NULL, &err);
	CU_ASSERT_STRING_EQUAL_FATAL(text, "other");
	free(text);
	CU_ASSERT_EQUAL(count_names("disk-race"), 1);
}

static void
no_file_is_made_under_dev(void)
{
	static const char *const bad[] = {"/dev/nosuch-vmferry",
	    "/dev//nosuch-vmferry", "/dev/../dev/nosuch-vmferry",
	    "/dev/disk/nosuch-vmferry", "/dev/mapper/nosuch-vmferry"};
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ASSERT_FAILS(try(bad[i], &plain), VMF_REFUSED);
		ASSERT_FAILS(try(bad[i], &overwrite), VMF_REFUSED);
		CU_ASSERT_EQUAL(access(bad[i], F_OK), -1);
	}
}

static void
other_things_are_refused(void)
{
	const char *fifo = test_path("disk-fifo");

	ASSERT_FAILS(try(test_dir(), &overwrite), VMF_REFUSED);
	ASSERT_FAILS(try("/dev/null", &overwrite), VMF_REFUSED);
	CU_ASSERT_EQUAL(mkfifo(fifo, 0600), 0);
	ASSERT_FAILS(try(fifo, &overwrite), VMF_REFUSED);
	ASSERT_FAILS(try(test_path("no/such"), &plain), VMF_REFUSED);
	/* a file in place of a directory */
	CU_ASSERT_EQUAL(
	    vmf_write_file(test_path("disk-file"), "", 0, false, &err), 0);
	ASSERT_FAILS(try(test_path("disk-file/x"), &plain), VMF_REFUSED);
}

static void
planted_symlinks_are_refused(void)
{
	const char *victim = test_path("victim"), *link = test_path("planted");
	char *text;

	CU_ASSERT_EQUAL(vmf_write_file(victim, "kept", 4, true, &err), 0);
	CU_ASSERT_EQUAL(symlink(victim, link), 0);
	ASSERT_FAILS(try(link, &plain), VMF_REFUSED);
	ASSERT_FAILS(try(link, &overwrite), VMF_REFUSED);
	text = vmf_read_file(victim, 10, NULL, &err);
	CU_ASSERT_STRING_EQUAL_FATAL(text, "kept");
	free(text);
	CU_ASSERT_EQUAL(unlink(victim), 0);
	ASSERT_FAILS(try(link, &plain), VMF_REFUSED);
	CU_ASSERT_EQUAL(access(victim, F_OK), -1);
}

static void
files_in_use_are_refused(void)
{
	struct flock lock = {.l_type = F_RDLCK,
	    .l_whence = SEEK_SET,
	    .l_start = 201,
	    .l_len = 1};
	const char *path = test_path("disk-used");
	int fd;

	CU_ASSERT_EQUAL(vmf_write_file(path, "old", 3, false, &err), 0);
	fd = open(path, O_RDWR);
	/* as a QEMU that has it open would */
	CU_ASSERT_EQUAL(fcntl(fd, F_OFD_SETLK, &lock), 0);
	ASSERT_FAILS(try(path, &overwrite), VMF_REFUSED);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "QEMU"));
	close(fd);
	CU_ASSERT_EQUAL(try(path, &overwrite), 0);
}

static void
a_missing_scratch_directory_fails_early(void)
{
	const struct vmf_sink_options nowhere = {.scratch = "/nosuch"};
	const char *path = test_path("disk-scratch");

	/* files need none */
	CU_ASSERT_EQUAL(try(path, &nowhere), 0);
}

static void
holes_are_told(void)
{
	struct vmf_sink *sink = begun(test_path("disk-holes"), SIZE, &plain);

	CU_ASSERT_PTR_NOT_NULL_FATAL(sink);
	CU_ASSERT(vmf_sink_is_hole(sink, 65536, 0));
	CU_ASSERT_FALSE(vmf_sink_is_hole(sink, 1000, 200000));
	CU_ASSERT_FALSE(vmf_sink_is_hole(sink, SIZE, 0));
	vmf_sink_free(sink);
}

void
suite_sink(void)
{
	static const struct test_case cases[] = {
	    {"a new file appears at commit", a_new_file_appears_at_commit},
	    {"nothing is left without commit", nothing_is_left_without_commit},
	    {"sizes may be unknown", sizes_may_be_unknown},
	    {"what exists is refused unless allowed",
		what_exists_is_refused_unless_allowed},
	    {"who was quicker is kept", who_was_quicker_is_kept},
	    {"no file is made under /dev", no_file_is_made_under_dev},
	    {"other things are refused", other_things_are_refused},
	    {"planted symlinks are refused", planted_symlinks_are_refused},
	    {"files in use are refused", files_in_use_are_refused},
	    {"a scratch directory is for devices",
		a_missing_scratch_directory_fails_early},
	    {"holes are told", holes_are_told},
	};

	TEST_SUITE("sink", cases);
}
