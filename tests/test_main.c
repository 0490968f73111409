/*
 * test_main.c - runs every suite, or those named as arguments
 *
 * CU_basic_run_tests() returns 0 even when assertions failed: the exit status
 * comes from the counts.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CUnit/Basic.h>

#include "test.h"

static const struct {
	const char *name;
	void (*add)(void);
} suites[] = {
#define X(suite) {#suite, suite_##suite},
    VMF_SUITES
#undef X
};

static char dir[] = "/tmp/vmferry-unit.XXXXXX";

void
test_suite(const char *name, const struct test_case *cases, size_t n)
{
	CU_pSuite suite = CU_add_suite(name, NULL, NULL);
	size_t i;

	for (i = 0; suite != NULL && i < n; i++)
		if (CU_add_test(suite, cases[i].name, cases[i].run) == NULL)
			suite = NULL;
	if (suite == NULL) {
		fprintf(stderr, "unit: cannot add suite %s: %s\n", name,
		    CU_get_error_msg());
		exit(1);
	}
}

/* Each suite has a directory of its own: names do not meet. */
const char *
test_dir(void)
{
	static char own[sizeof(dir) + 64];
	CU_pSuite suite = CU_get_current_suite();

	snprintf(own, sizeof(own), "%s/%s", dir,
	    suite == NULL ? "none" : suite->pName);
	if (mkdir(own, 0700) < 0 && errno != EEXIST) {
		fprintf(stderr, "unit: cannot make %s\n", own);
		exit(1);
	}
	return own;
}

const char *
test_path(const char *name)
{
	static char paths[8][256];
	static unsigned next;
	char *p = paths[next++ % 8];

	snprintf(p, sizeof(paths[0]), "%s/%s", test_dir(), name);
	return p;
}

static int
wanted(const char *name, int argc, char *argv[])
{
	int i;

	for (i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return 1;
	return argc == 1;
}

int
main(int argc, char *argv[])
{
	char remove[sizeof(dir) + 16];
	unsigned failed, run, tests_failed;
	size_t i;

	if (mkdtemp(dir) == NULL || CU_initialize_registry() != CUE_SUCCESS) {
		fprintf(stderr, "unit: cannot start\n");
		return 1;
	}
	for (i = 0; i < sizeof(suites) / sizeof(suites[0]); i++)
		if (wanted(suites[i].name, argc, argv))
			suites[i].add();
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	run = CU_get_number_of_tests_run();
	failed = CU_get_number_of_failures();
	tests_failed = CU_get_number_of_tests_failed();
	CU_cleanup_registry();
	snprintf(remove, sizeof(remove), "rm -rf %s", dir);
	if (system(remove) != 0)
		fprintf(stderr, "unit: %s is left behind\n", dir);
	printf(
	    "unit: %u passed, %u failed\n", run - tests_failed, tests_failed);
	return failed == 0 && run > 0 ? 0 : 1;
}
