/* test_run.c - other programs: environment, output, failure, time limit */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <vmferry/run.h>

#include "test.h"

static struct vmf_error err;

#define SH(script) ((const char *const[]){"sh", "-c", script, NULL})

static char *
output(const char *const *argv)
{
	struct vmf_run run = {.argv = argv};
	char *text = NULL;

	CU_ASSERT_EQUAL(vmf_run(&run, &text, NULL, &err), 0);
	return text;
}

static void
output_is_captured_in_a_clean_environment(void)
{
	const char *const more[] = {"VMF_MORE=yes", NULL};
	struct vmf_run run = {.argv = SH("env | sort"), .env = more};
	char *text = output(SH("echo one; echo two; echo talk >&2"));

	CU_ASSERT_STRING_EQUAL(text, "one\ntwo\n");
	free(text);
	setenv("LD_PRELOAD", "/nosuch.so", 1);
	setenv("IFS", "x", 1);
	CU_ASSERT_EQUAL(vmf_run(&run, &text, NULL, &err), 0);
	unsetenv("LD_PRELOAD");
	unsetenv("IFS");
	CU_ASSERT_PTR_NULL(strstr(text, "LD_PRELOAD"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "LC_ALL=C\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "VMF_MORE=yes\n"));
	free(text);
	text = output(SH("ls /proc/self/fd | wc -l"));
	CU_ASSERT_STRING_EQUAL(text, "4\n"); /* 0, 1, 2 and ls's own */
	free(text);
	text = output(SH("head -c 3000000 /dev/zero | tr '\\0' x"));
	CU_ASSERT_EQUAL(strlen(text), 3000000);
	free(text);
}

static void
failure_is_told_in_its_own_words(void)
{
	struct vmf_run run = {
	    .argv = SH("echo first >&2; echo 'sh:  the cause' >&2; exit 7")};
	int status = 0;

	ASSERT_FAILS(vmf_run(&run, NULL, &status, &err), VMF_IO);
	CU_ASSERT_STRING_EQUAL(err.msg, "sh: the cause");
	CU_ASSERT_EQUAL(status, 7);
	run.argv = SH("exit 3");
	ASSERT_FAILS(vmf_run(&run, NULL, NULL, &err), VMF_IO);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "status 3"));
	run.argv = SH("kill -9 $$");
	ASSERT_FAILS(vmf_run(&run, NULL, NULL, &err), VMF_IO);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "signal 9"));
	run.argv = (const char *const[]){"vmf-nosuch", NULL};
	ASSERT_FAILS(vmf_run(&run, NULL, NULL, &err), VMF_REFUSED);
}

static void
nothing_lasts_for_ever(void)
{
	struct vmf_progress progress = {0};
	struct vmf_run run = {.argv = SH("sleep 50"), .seconds = 1};
	time_t began = time(NULL);

	ASSERT_FAILS(vmf_run(&run, NULL, NULL, &err), VMF_IO);
	progress.stop = 1;
	run.progress = &progress;
	ASSERT_FAILS(vmf_run(&run, NULL, NULL, &err), VMF_STOPPED);
	CU_ASSERT(time(NULL) - began < 5);
}

static void
servers_get_their_socket(void)
{
	struct vmf_run run = {
	    .argv = SH("test $LISTEN_PID = $$ && read x <&3 && test $x = hi")};
	struct vmf_child *child;
	int fds[2];

	CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
	child = vmf_child_start(&run, fds[0], &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(child);
	CU_ASSERT_EQUAL(vmf_child_check(child, &err), 0);
	CU_ASSERT_EQUAL(write(fds[1], "hi\n", 3), 3);
	CU_ASSERT_EQUAL(vmf_child_wait(child, 5, &err), 0);
	vmf_child_free(child);
	run.argv = SH("sleep 50");
	child = vmf_child_start(&run, fds[0], &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(child);
	vmf_child_free(child); /* at once */
	vmf_child_free(NULL);
	close(fds[0]);
	close(fds[1]);
}

void
suite_run(void)
{
	static const struct test_case cases[] = {
	    {"output is captured, in a clean environment",
		output_is_captured_in_a_clean_environment},
	    {"failure is told in its own words",
		failure_is_told_in_its_own_words},
	    {"nothing lasts for ever", nothing_lasts_for_ever},
	    {"servers get their socket", servers_get_their_socket},
	};

	TEST_SUITE("run", cases);
}
