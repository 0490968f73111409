/* test_units.c - numbers, sizes, ids and little-endian fields */
#include <string.h>

#include <vmferry/units.h>

#include "test.h"

static struct vmf_error err;

static void
sizes_are_parsed_whole(void)
{
	uint64_t v = 0;

	CU_ASSERT_EQUAL(vmf_parse_size("4096", 0, UINT64_MAX, &v, &err), 0);
	CU_ASSERT_EQUAL(v, 4096);
	CU_ASSERT_EQUAL(vmf_parse_size("4M", 0, UINT64_MAX, &v, &err), 0);
	CU_ASSERT_EQUAL(v, 4 * VMF_MIB);
	CU_ASSERT_EQUAL(vmf_parse_size("20TiB", 0, UINT64_MAX, &v, &err), 0);
	CU_ASSERT_EQUAL(v, 20 * (VMF_GIB << 10));
	CU_ASSERT_EQUAL(
	    vmf_parse_size("18446744073709551615", 0, UINT64_MAX, &v, &err), 0);
	CU_ASSERT_EQUAL(v, UINT64_MAX);
}

static void
bad_sizes_are_refused(void)
{
	static const char *const bad[] = {"", " 1", "1 ", "-1", "+1", "8x",
	    "0x10", "1.5G", "K", "1KK", "1Ki", "18446744073709551616", "16E",
	    "99999999999999E"};
	uint64_t v = 7;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ASSERT_FAILS(
		    vmf_parse_size(bad[i], 0, UINT64_MAX, &v, &err), VMF_USAGE);
	ASSERT_FAILS(vmf_parse_size("5", 6, 10, &v, &err), VMF_USAGE);
	ASSERT_FAILS(vmf_parse_size("11", 6, 10, &v, &err), VMF_USAGE);
	CU_ASSERT_EQUAL(v, 7);
}

static void
ids_take_uuid_dashes(void)
{
	uint8_t a[VMF_ID_LEN], b[VMF_ID_LEN];
	char text[2 * VMF_ID_LEN + 1];

	CU_ASSERT_EQUAL(
	    vmf_parse_id("0123ABCD-0000-4000-8000-00000000000a", a, &err), 0);
	vmf_hex(a, sizeof(a), text);
	CU_ASSERT_STRING_EQUAL(text, "0123abcd00004000800000000000000a");
	CU_ASSERT_EQUAL(vmf_parse_id(text, b, &err), 0);
	CU_ASSERT_EQUAL(memcmp(a, b, sizeof(a)), 0);
	ASSERT_FAILS(vmf_parse_id("0123", a, &err), VMF_USAGE);
	ASSERT_FAILS(vmf_parse_id("0123abcd00004000800000000000000a0", a, &err),
	    VMF_USAGE);
	ASSERT_FAILS(vmf_parse_id("g123abcd00004000800000000000000a", a, &err),
	    VMF_USAGE);
	CU_ASSERT_EQUAL(vmf_id_random(a, &err), 0);
	CU_ASSERT_EQUAL(vmf_id_random(b, &err), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(a, b, sizeof(a)), 0);
}

static void
hex_is_lower_case_and_whole(void)
{
	uint8_t two[2];

	CU_ASSERT_EQUAL(vmf_unhex("a0ff", two, 2), 0);
	CU_ASSERT_EQUAL(two[0], 0xa0);
	CU_ASSERT_EQUAL(vmf_unhex("A0ff", two, 2), -1);
	CU_ASSERT_EQUAL(vmf_unhex("a0f", two, 2), -1);
	CU_ASSERT_EQUAL(vmf_unhex("a0ff0", two, 2), -1);
}

static void
fields_are_little_endian(void)
{
	uint8_t b[8];

	vmf_put_le64(b, UINT64_C(0x0123456789abcdef));
	CU_ASSERT_EQUAL(b[0], 0xef);
	CU_ASSERT_EQUAL(b[7], 0x01);
	CU_ASSERT_EQUAL(vmf_get_le64(b), UINT64_C(0x0123456789abcdef));
	CU_ASSERT_EQUAL(vmf_get_le32(b), UINT32_C(0x89abcdef));
	CU_ASSERT_EQUAL(vmf_get_le16(b), 0xcdef);
}

static void
messages_stay_one_line(void)
{
	CU_ASSERT_EQUAL(
	    vmf_fail(&err, VMF_REFUSED, "%s: bad", "evil\nname\033[2J"), -1);
	CU_ASSERT_STRING_EQUAL(err.msg, "evil?name?[2J: bad");
	CU_ASSERT_EQUAL(vmf_wrap(&err, "disk %s", "vda"), -1);
	CU_ASSERT_STRING_EQUAL(err.msg, "disk vda: evil?name?[2J: bad");
	CU_ASSERT_EQUAL(err.class, VMF_REFUSED);
}

void
suite_units(void)
{
	static const struct test_case cases[] = {
	    {"sizes are parsed whole", sizes_are_parsed_whole},
	    {"bad sizes are refused", bad_sizes_are_refused},
	    {"ids take a UUID's dashes", ids_take_uuid_dashes},
	    {"hex is lower case and whole", hex_is_lower_case_and_whole},
	    {"fields are little-endian", fields_are_little_endian},
	    {"messages stay one line", messages_stay_one_line},
	};

	TEST_SUITE("units", cases);
}
