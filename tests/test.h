/*
 * test.h - what the CUnit suites share
 *
 * tests/test_foo.c defines `void suite_foo(void)`, which adds its suite and
 * tests; test_main.c finds it by the file's name (see the Makefile).
 */
#ifndef VMFERRY_TEST_H
#define VMFERRY_TEST_H

#include <stddef.h>

#include <CUnit/CUnit.h>

#include <vmferry/error.h>

/* VMF_SUITES is X(foo) X(bar) ..., one for each tests/test_*.c */
#define X(suite) void suite_##suite(void);
VMF_SUITES
#undef X

struct test_case {
	const char *name;
	void (*run)(void);
};

/* Add a suite with n tests; exits when CUnit refuses. */
void test_suite(const char *name, const struct test_case *cases, size_t n);
#define TEST_SUITE(name, cases)                                                \
	test_suite(name, cases, sizeof(cases) / sizeof((cases)[0]))

/* A directory of the running suite's own, removed at the program's end. */
const char *test_dir(void);
/* DIR/name in it, valid until the next eight calls. */
const char *test_path(const char *name);

/* The call fails with this class. */
#define ASSERT_FAILS(call, wanted)                                             \
	do {                                                                   \
		err.class = VMF_OK;                                            \
		CU_ASSERT_EQUAL((call), -1);                                   \
		CU_ASSERT_EQUAL(err.class, wanted);                            \
	} while (0)

#endif
