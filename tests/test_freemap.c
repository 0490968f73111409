/* test_freemap.c - maps of free extents: strict text, bound to one disk */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vmferry/freemap.h>

#include "membuf.h"
#include "test.h"

static struct vmf_error err;

static struct vmf_freemap *
read_text(const char *text)
{
	struct membuf m = {0};
	struct vmf_freemap *map;

	membuf_write(&m, text, strlen(text), &err);
	map = vmf_freemap_read(
	    (struct vmf_in){.read = membuf_read, .ctx = &m}, "map", &err);
	free(m.p);
	return map;
}

static void
text_survives(void)
{
	static const char text[] = "vmferry-map 1 raw 100000 some:state\n"
				   "0 4096 free\n8192 1 free\n"
				   "90000 10000 free\nend 3\n";
	struct vmf_freemap *map = read_text(text);
	struct membuf m = {0};
	struct vmf_out out = {.write = membuf_write, .ctx = &m};

	CU_ASSERT_PTR_NOT_NULL_FATAL(map);
	CU_ASSERT_EQUAL(vmf_freemap_count(map), 3);
	CU_ASSERT_EQUAL(vmf_freemap_bytes(map), 14097);
	CU_ASSERT_EQUAL(vmf_freemap_write(map, &out, &err), 0);
	CU_ASSERT_EQUAL(m.len, strlen(text));
	CU_ASSERT_EQUAL(memcmp(m.p, text, m.len), 0);
	free(m.p);
	vmf_freemap_free(map);
}

static void
other_text_is_refused(void)
{
#define FIRST "vmferry-map 1 raw 100000 s\n"
	static const char *const texts[] = {
	    "",
	    "\n",
	    FIRST,
	    FIRST "end 0",
	    FIRST "end 1\n",
	    FIRST "end 0\n\n",
	    FIRST "end 0\nend 0\n",
	    FIRST "0 4096 free\n",
	    FIRST "0 4096 free\nend 0\n",
	    FIRST "0 0 free\nend 1\n",
	    FIRST "0 4096 data\nend 1\n",
	    FIRST "0 4096\nend 1\n",
	    FIRST "0  4096 free\nend 1\n",
	    FIRST "0 4096 free \nend 1\n",
	    FIRST "-1 4096 free\nend 1\n",
	    FIRST "0x0 4096 free\nend 1\n",
	    FIRST "0 100001 free\nend 1\n",
	    FIRST "99999 2 free\nend 1\n",
	    FIRST "100000 1 free\nend 1\n",
	    FIRST "0 18446744073709551615 free\nend 1\n",
	    /* overlapping, descending, touching */
	    FIRST "0 4096 free\n4095 2 free\nend 2\n",
	    FIRST "8192 4096 free\n0 4096 free\nend 2\n",
	    FIRST "0 4096 free\n4096 4096 free\nend 2\n",
	    "vmferry-map 2 raw 100000 s\nend 0\n",
	    "vmferry-map 1 vmdk 100000 s\nend 0\n",
	    "vmferry-map 1 raw -5 s\nend 0\n",
	    "vmferry-map 1 raw 100000\nend 0\n",
	    "vmferry-map 1 raw 100000 s t\nend 0\n",
	    "vmferry-mat 1 raw 100000 s\nend 0\n",
	    "vmferry-map 1 raw 100000 \001\nend 0\n",
	};
	char text[1024];
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		err.class = VMF_OK;
		CU_ASSERT_PTR_NULL(read_text(texts[i]));
		CU_ASSERT_EQUAL(err.class, VMF_INTEGRITY);
	}
	memset(text, '1', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	CU_ASSERT_PTR_NULL(read_text(text));
	CU_ASSERT_EQUAL(err.class, VMF_INTEGRITY);
}

static void
removing_cuts_and_drops(void)
{
	struct vmf_freemap *map = vmf_freemap_new(VMF_RAW, 1000, "s", &err);
	struct membuf m = {0};
	struct vmf_out out = {.write = membuf_write, .ctx = &m};

	CU_ASSERT_EQUAL(vmf_freemap_add(map, 100, 0, &err), 0);
	CU_ASSERT_EQUAL(vmf_freemap_add(map, 50, 100, &err), 0);
	CU_ASSERT_EQUAL(vmf_freemap_add(map, 10, 200, &err), 0);
	CU_ASSERT_EQUAL(vmf_freemap_add(map, 100, 300, &err), 0);
	CU_ASSERT_EQUAL(vmf_freemap_add(map, 100, 900, &err), 0);
	ASSERT_FAILS(vmf_freemap_add(map, 1, 999, &err), VMF_INTEGRITY);
	ASSERT_FAILS(vmf_freemap_add(map, 1, 1000, &err), VMF_INTEGRITY);
	/* within one, over two, up to an edge */
	CU_ASSERT_EQUAL(vmf_freemap_remove(map, 20, 10, &err), 0);
	CU_ASSERT_EQUAL(vmf_freemap_remove(map, 180, 140, &err), 0);
	CU_ASSERT_EQUAL(vmf_freemap_remove(map, 500, 400, &err), 0);
	CU_ASSERT_EQUAL(vmf_freemap_write(map, &out, &err), 0);
	membuf_write(&m, "", 1, &err);
	CU_ASSERT_STRING_EQUAL((char *)m.p,
	    "vmferry-map 1 raw 1000 s\n0 10 free\n30 110 free\n320 80 free\n"
	    "900 100 free\nend 4\n");
	free(m.p);
	vmf_freemap_free(map);
}

static void
a_source_gets_the_same_extents(void)
{
	struct vmf_freemap *map =
	    read_text(FIRST "4096 4096 free\n12288 1 free\nend 2\n");
	struct vmf_extents *extents;
	struct vmf_extent ext = {.off = 0, .len = 100000};

	CU_ASSERT_PTR_NOT_NULL_FATAL(map);
	extents = vmf_freemap_extents(map, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(extents);
	CU_ASSERT_EQUAL(vmf_extents_zeros(extents), 4097);
	vmf_extents_refine(extents, &ext);
	CU_ASSERT_EQUAL(ext.kind, VMF_EXTENT_DATA);
	CU_ASSERT_EQUAL(ext.len, 4096);
	ext = (struct vmf_extent){.off = 5000, .len = 90000};
	vmf_extents_refine(extents, &ext);
	CU_ASSERT_EQUAL(ext.kind, VMF_EXTENT_ZERO);
	CU_ASSERT_EQUAL(ext.len, 3192);
	vmf_extents_free(extents);
	vmf_freemap_free(map);
}

static void
another_disk_is_refused(void)
{
	const char *path = test_path("disk");
	char state[VMF_FREEMAP_STATE];
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	struct timespec times[2] = {{.tv_sec = 5}, {.tv_sec = 6}};
	struct vmf_freemap *map, *qcow2;

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(ftruncate(fd, 1000), 0);
	CU_ASSERT_EQUAL(vmf_freemap_state(fd, path, state, &err), 0);
	map = vmf_freemap_new(VMF_RAW, 1000, state, &err);
	qcow2 = vmf_freemap_new(VMF_QCOW2, 1000, state, &err);
	CU_ASSERT_EQUAL(vmf_freemap_check(map, fd, path, &err), 0);
	CU_ASSERT_EQUAL(ftruncate(fd, 1001), 0);
	ASSERT_FAILS(vmf_freemap_check(map, fd, path, &err), VMF_REFUSED);
	CU_ASSERT_EQUAL(ftruncate(fd, 1000), 0);
	ASSERT_FAILS(vmf_freemap_check(qcow2, fd, path, &err), VMF_REFUSED);
	CU_ASSERT_EQUAL(futimens(fd, times), 0);
	ASSERT_FAILS(vmf_freemap_check(map, fd, path, &err), VMF_REFUSED);
	vmf_freemap_free(map);
	vmf_freemap_free(qcow2);
	close(fd);
}

void
suite_freemap(void)
{
	static const struct test_case cases[] = {
	    {"text survives", text_survives},
	    {"other text is refused", other_text_is_refused},
	    {"removing cuts and drops", removing_cuts_and_drops},
	    {"a source gets the same extents", a_source_gets_the_same_extents},
	    {"another disk is refused", another_disk_is_refused},
	};

	TEST_SUITE("freemap", cases);
}
