/* test_extents.c - maps of what reads as zeros, and rates */
#include <time.h>

#include <vmferry/extent.h>
#include <vmferry/rate.h>

#include "test.h"

static struct vmf_error err;

static struct vmf_extent
look(const struct vmf_extents *map, uint64_t off, uint64_t len)
{
	struct vmf_extent ext = {
	    .off = off, .len = len, .kind = VMF_EXTENT_DATA};

	vmf_extents_refine(map, &ext);
	return ext;
}

static void
maps_cut_extents(void)
{
	struct vmf_extents *map = vmf_extents_new(&err);
	struct vmf_extent ext;

	CU_ASSERT_PTR_NOT_NULL_FATAL(map);
	ext = look(map, 5, 100);
	CU_ASSERT(ext.kind == VMF_EXTENT_DATA && ext.len == 100);
	CU_ASSERT_EQUAL(vmf_extents_add_zero(map, 10, 10, &err), 0);
	CU_ASSERT_EQUAL(vmf_extents_add_zero(map, 5, 20, &err), 0);
	CU_ASSERT_EQUAL(vmf_extents_add_zero(map, 0, 5, &err), 0);
	CU_ASSERT_EQUAL(vmf_extents_add_zero(map, 10, 40, &err), 0);
	CU_ASSERT_EQUAL(vmf_extents_zeros(map), 25);
	ext = look(map, 0, 100);
	CU_ASSERT(ext.kind == VMF_EXTENT_DATA && ext.len == 10);
	ext = look(map, 10, 100);
	CU_ASSERT(ext.kind == VMF_EXTENT_ZERO && ext.len == 15);
	ext = look(map, 24, 100);
	CU_ASSERT(ext.kind == VMF_EXTENT_ZERO && ext.len == 1);
	ext = look(map, 25, 100);
	CU_ASSERT(ext.kind == VMF_EXTENT_DATA && ext.len == 15);
	ext = look(map, 45, 2);
	CU_ASSERT(ext.kind == VMF_EXTENT_ZERO && ext.len == 2);
	ext = look(map, 50, 7);
	CU_ASSERT(ext.kind == VMF_EXTENT_DATA && ext.len == 7);
	vmf_extents_free(map);
}

static void
maps_are_ascending(void)
{
	struct vmf_extents *map = vmf_extents_new(&err);

	CU_ASSERT_PTR_NOT_NULL_FATAL(map);
	CU_ASSERT_EQUAL(vmf_extents_add_zero(map, 10, 10, &err), 0);
	ASSERT_FAILS(vmf_extents_add_zero(map, 10, 19, &err), VMF_INTEGRITY);
	ASSERT_FAILS(vmf_extents_add_zero(map, 1, 3, &err), VMF_INTEGRITY);
	ASSERT_FAILS(
	    vmf_extents_add_zero(map, 2, UINT64_MAX - 1, &err), VMF_INTEGRITY);
	vmf_extents_free(map);
	vmf_extents_free(NULL);
}

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
rates_are_kept(void)
{
	struct vmf_rate rate = {.rate = 1000000}, none = {0};
	struct vmf_progress progress = {0};
	double began = now();
	int i;

	for (i = 0; i < 10; i++)
		CU_ASSERT_EQUAL(vmf_rate_wait(&rate, 40000, NULL, &err), 0);
	/* 0.4 s, of which a tenth may be had in advance */
	CU_ASSERT(now() - began >= 0.29);
	began = now();
	CU_ASSERT_EQUAL(vmf_rate_wait(&none, SIZE_MAX, NULL, &err), 0);
	CU_ASSERT(now() - began < 0.2);
	CU_ASSERT_EQUAL(vmf_rate_grain(&rate, 1 << 20), 50000);
	CU_ASSERT_EQUAL(vmf_rate_grain(&none, 1 << 20), 1 << 20);
	progress.stop = 1;
	ASSERT_FAILS(
	    vmf_rate_wait(&rate, 1 << 30, &progress, &err), VMF_STOPPED);
}

void
suite_extents(void)
{
	static const struct test_case cases[] = {
	    {"maps cut extents", maps_cut_extents},
	    {"maps are ascending", maps_are_ascending},
	    {"rates are kept", rates_are_kept},
	};

	TEST_SUITE("extents", cases);
}
