/* test_check.c - rows, their JSON, and what is one thing at both ends */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vmferry/check.h>
#include <vmferry/usage.h>

#include "test.h"

static struct vmf_error err;

static struct vmf_check *
new_check(void)
{
	struct vmf_check *check = vmf_check_new(&err);

	CU_ASSERT_PTR_NOT_NULL_FATAL(check);
	return check;
}

static void
the_first_failure_is_the_result(void)
{
	struct vmf_check *check = new_check();
	struct vmf_error said;

	CU_ASSERT_EQUAL(vmf_check_result(check, &err), 0);
	vmf_check_ok(check, "one", "fine");
	vmf_check_warn(check, "two", "so so; look at it");
	CU_ASSERT_EQUAL(vmf_check_result(check, &err), 0);
	vmf_fail(&said, VMF_BUSY, "web: locked; by a; wait");
	vmf_check_error(check, "three", &said);
	vmf_check_fail(check, "four", "no");
	CU_ASSERT_EQUAL(vmf_check_result(check, &err), -1);
	CU_ASSERT_EQUAL(err.class, VMF_BUSY);
	CU_ASSERT_STRING_EQUAL(err.msg, said.msg);
	CU_ASSERT_STRING_EQUAL(
	    vmf_check_row(check, 2)->reason, "web: locked; by a");
	CU_ASSERT_STRING_EQUAL(vmf_check_row(check, 2)->mend, "wait");
	CU_ASSERT_EQUAL(vmf_check_row(check, 3)->class, VMF_REFUSED);
	CU_ASSERT_EQUAL(vmf_check_count(check, VMF_CHECK_FAIL), 2);
	CU_ASSERT_PTR_NULL(vmf_check_row(check, 4));
	vmf_check_free(check);
	vmf_check_free(NULL);
}

static void
rows_survive_the_wire(void)
{
	struct vmf_check *from = new_check(), *to = new_check();
	char *text;
	size_t i;

	vmf_check_where(from, "there");
	vmf_check_ok(from, "a", "\"quoted\"");
	vmf_check_fail(from, "b\n", "line\nbreak; mend");
	vmf_check_map(from, "map-net", "%s=...", "lan");
	text = vmf_check_format(from, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	CU_ASSERT_EQUAL(vmf_check_parse(to, text, &err), 0);
	free(text);
	for (i = 0; i < 2; i++) {
		CU_ASSERT_STRING_EQUAL(vmf_check_row(from, i)->reason,
		    vmf_check_row(to, i)->reason);
		CU_ASSERT_EQUAL(vmf_check_row(from, i)->verdict,
		    vmf_check_row(to, i)->verdict);
		CU_ASSERT_STRING_EQUAL(
		    vmf_check_row(from, i)->rule, vmf_check_row(to, i)->rule);
	}
	CU_ASSERT_STRING_EQUAL(vmf_check_row(to, 1)->map, "map-net");
	CU_ASSERT_STRING_EQUAL(vmf_check_row(to, 1)->reason, "line?break");
	vmf_check_free(from);
	vmf_check_free(to);
}

static void
what_the_other_end_says_is_not_believed(void)
{
	struct vmf_check *check = new_check();

	CU_ASSERT_EQUAL(vmf_check_parse(check, "{}", &err), -1);
	CU_ASSERT_EQUAL(err.class, VMF_INTEGRITY);
	CU_ASSERT_EQUAL(vmf_check_parse(check, "nonsense", &err), -1);
	/* no known verdict, no known class: a refusal */
	CU_ASSERT_EQUAL(
	    vmf_check_parse(check,
		"[{\"verdict\":\"fine\",\"class\":0,\"reason\":\"\\u001b[2J\","
		"\"map\":\"overwrite\",\"rule\":\"vda\"}, 7]",
		&err),
	    0);
	CU_ASSERT_EQUAL(vmf_check_count(check, VMF_CHECK_FAIL), 2);
	CU_ASSERT_EQUAL(vmf_check_row(check, 0)->class, VMF_REFUSED);
	CU_ASSERT_STRING_EQUAL(vmf_check_row(check, 0)->reason, "?[2J");
	CU_ASSERT_STRING_EQUAL(vmf_check_row(check, 0)->map, "");
	vmf_check_free(check);
}

static void
a_rule_that_would_be_changed_is_left_out(void)
{
	struct vmf_check *check = new_check();
	char longer[2048];

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	vmf_check_fail(check, "x", "x");
	vmf_check_map(check, "map-path", "%s=/...", longer);
	CU_ASSERT_STRING_EQUAL(vmf_check_row(check, 0)->map, "");
	vmf_check_map(check, "map-path", "/a\n/b=/...");
	CU_ASSERT_STRING_EQUAL(vmf_check_row(check, 0)->map, "");
	vmf_check_free(check);
}

static void
clocks_apart_are_a_warning(void)
{
	struct vmf_check *check = new_check();

	vmf_check_clock(check, 1000, 1001, 0.1);
	vmf_check_clock(check, 1000, 1060, 0.1);
	vmf_check_clock(check, 1000, 940, 0.1);
	vmf_check_clock(check, 1000, 1060, 70);
	CU_ASSERT_EQUAL(vmf_check_row(check, 0)->verdict, VMF_CHECK_OK);
	CU_ASSERT_EQUAL(vmf_check_row(check, 1)->verdict, VMF_CHECK_WARN);
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(vmf_check_row(check, 1)->reason, "60 seconds ahead"));
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(vmf_check_row(check, 2)->reason, "60 seconds behind"));
	CU_ASSERT_EQUAL(vmf_check_row(check, 3)->verdict, VMF_CHECK_OK);
	vmf_check_free(check);
}

static void
one_file_is_known_by_two_names(void)
{
	char a[256], b[256], c[256], *ia, *ib, *ic, *none;
	FILE *f;

	snprintf(a, sizeof(a), "%s/a", test_dir());
	snprintf(b, sizeof(b), "%s/b", test_dir());
	snprintf(c, sizeof(c), "%s/c", test_dir());
	f = fopen(a, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fclose(f);
	f = fopen(c, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fclose(f);
	CU_ASSERT_EQUAL(link(a, b), 0);
	ia = vmf_check_identity(a);
	ib = vmf_check_identity(b);
	ic = vmf_check_identity(c);
	none = vmf_check_identity("/nosuch");
	CU_ASSERT_PTR_NOT_NULL_FATAL(ia);
	CU_ASSERT_TRUE(vmf_check_same(ia, ib, false));
	CU_ASSERT_FALSE(vmf_check_same(ia, ic, false));
	CU_ASSERT_STRING_EQUAL(none, "");
	CU_ASSERT_FALSE(vmf_check_same(ia, none, false));
	CU_ASSERT_FALSE(vmf_check_same(none, none, false));
	free(ia);
	free(ib);
	free(ic);
	free(none);
}

static void
shared_storage_is_known_across_kernels(void)
{
	const char *a = "kernel:x:1:2 file:77:4096:100.000000001";

	CU_ASSERT_TRUE(vmf_check_same(
	    a, "kernel:y:9:2 file:77:4096:100.000000001", false));
	CU_ASSERT_FALSE(vmf_check_same(
	    a, "kernel:y:9:2 file:77:4096:101.000000001", false));
	/* a guest writes to it */
	CU_ASSERT_TRUE(
	    vmf_check_same(a, "kernel:y:9:2 file:77:4096:101.000000001", true));
	CU_ASSERT_FALSE(
	    vmf_check_same(a, "kernel:y:9:2 file:77:8192:101.000000001", true));
	CU_ASSERT_FALSE(vmf_check_same(
	    a, "kernel:y:9:2 file:77:40960:100.000000001", false));
	CU_ASSERT_TRUE(
	    vmf_check_same("kernel:x:8:1 id:naa.5:1", "id:naa.5:1", false));
	CU_ASSERT_FALSE(
	    vmf_check_same("kernel:x:8:1 id:naa.5:1", "id:naa.5:2", false));
}

static void
a_host_tells_what_it_has(void)
{
	struct vmf_host *host = vmf_host_open("test:///default", &err);
	struct vmf_usage usage;

	CU_ASSERT_PTR_NOT_NULL_FATAL(host);
	CU_ASSERT_EQUAL_FATAL(vmf_usage_read(host, &usage, &err), 0);
	CU_ASSERT_EQUAL(usage.ndomains, 1);
	CU_ASSERT_EQUAL(usage.running, 1);
	CU_ASSERT_EQUAL(usage.memory, usage.domains[0].memory);
	CU_ASSERT(usage.npools >= 1);
	vmf_usage_clear(&usage);
	vmf_host_free(host);
}

void
suite_check(void)
{
	static const struct test_case cases[] = {
	    {"the first failure is the result",
		the_first_failure_is_the_result},
	    {"rows survive the wire", rows_survive_the_wire},
	    {"what the other end says is not believed",
		what_the_other_end_says_is_not_believed},
	    {"a rule that would be changed is left out",
		a_rule_that_would_be_changed_is_left_out},
	    {"clocks apart are a warning", clocks_apart_are_a_warning},
	    {"one file is known by two names", one_file_is_known_by_two_names},
	    {"shared storage is known across kernels",
		shared_storage_is_known_across_kernels},
	    {"a host tells what it has", a_host_tells_what_it_has},
	};

	TEST_SUITE("check", cases);
}
