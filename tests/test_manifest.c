/* test_manifest.c - JSON within bounds, and nothing else */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vmferry/manifest.h>

#include "test.h"

static struct vmf_error err;

static const struct vmf_package_file files[] = {
    {.name = "nvram/VARS.fd",
	.path = "/var/lib/libvirt/qemu/nvram/a \"b\"\n_VARS.fd",
	.size = 540672,
	.mode = 0600,
	.owner = "libvirt-qemu",
	.group = "kvm"},
    {.name = "tpm/tpm2/tpm2-00.permall",
	.path = "/var/lib/libvirt/swtpm/x/tpm2/tpm2-00.permall",
	.size = 0,
	.mode = 0640,
	.owner = "tss",
	.group = "tss"},
};

static struct vmf_package_image images[] = {
    {.name = "vda",
	.path = "/srv/w\xc3\xa4"
		"b.img",
	.geo = {.size = 5000,
	    .chunk = 65536,
	    .format = VMF_RAW,
	    .virtual_size = 5000,
	    .sector = 512}},
    {.name = "vda.base1",
	.path = "/srv/base.qcow2",
	.geo = {.size = 1 << 20,
	    .chunk = 4 << 20,
	    .format = VMF_QCOW2,
	    .virtual_size = UINT64_C(1) << 40}},
};

static struct vmf_package_info info = {
    .id = {1, 2, 3},
    .domain = "web \"1\"",
    .uuid = "0b1f2a3c-0000-4000-8000-00000000000a",
    .secrets = true,
    .files = files,
    .nfiles = 2,
    .images = images,
    .nimages = 2,
};

/* Parse a head; -1 with err, or 0. */
static int
parse(const char *text, size_t len)
{
	struct vmf_manifest *m;

	err.class = VMF_OK;
	m = vmf_manifest_parse(text, len, &err);
	vmf_manifest_free(m);
	return m == NULL ? -1 : 0;
}

static void
heads_come_back(void)
{
	size_t len = 0, again_len = 0;
	char *text = vmf_manifest_format_head(&info, &len, &err);
	char *again;
	struct vmf_manifest *m;
	const struct vmf_package_info *got;

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	CU_ASSERT_EQUAL(len, strlen(text));
	m = vmf_manifest_parse(text, len, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	got = vmf_manifest_info(m);
	CU_ASSERT_EQUAL(memcmp(got->id, info.id, VMF_ID_LEN), 0);
	CU_ASSERT_STRING_EQUAL(got->domain, info.domain);
	CU_ASSERT(got->secrets);
	CU_ASSERT_EQUAL_FATAL(got->nfiles, 2);
	CU_ASSERT_STRING_EQUAL(got->files[0].path, files[0].path);
	CU_ASSERT_EQUAL(got->files[1].mode, 0640);
	CU_ASSERT_STRING_EQUAL(got->files[1].owner, "tss");
	CU_ASSERT_EQUAL_FATAL(got->nimages, 2);
	CU_ASSERT_STRING_EQUAL(got->images[0].path, images[0].path);
	CU_ASSERT_EQUAL(
	    memcmp(&got->images[1].geo, &images[1].geo, sizeof(images[1].geo)),
	    0);
	/* What was read writes itself the same way. */
	again = vmf_manifest_format_head(got, &again_len, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(again);
	CU_ASSERT_STRING_EQUAL(text, again);
	free(again);
	free(text);
	vmf_manifest_free(m);
}

static const struct change {
	const char *old, *new;
	const char *says; /* in the message, or NULL */
} changes[] = {
    {"\"vmferry-package\"", "\"other\"", "other"},
    {"\"version\": 1", "\"version\": 2", "newer vmferry"},
    {"\"version\": 1", "\"version\": 1.0", NULL},
    {"\"version\": 1", "\"version\": true", NULL},
    {"\"features\": []", "\"features\": [\"delta\"]", "newer vmferry"},
    {"\"features\": []", "\"features\": {}", NULL},
    {"\"features\": []", "\"feature\": []", NULL},
    {"\"secrets\": true", "\"secrets\": 1", NULL},
    {"\"secrets\": true", "\"secrets\": true, \"secrets\": true", NULL},
    {"\"uuid\": \"0b", "\"uuid\": \"zz", NULL},
    {"\"uuid\": \"0b1f2a3c-", "\"uuid\": \"0b1f2a3c", NULL},
    {"\"name\": \"web", "\"name\": 1, \"x\": \"web", NULL},
    {"\"id\": \"010203", "\"id\": \"01020", NULL},
    {"\"id\": \"010203", "\"id\": \"A10203", NULL},
    {"\"chunk\": 65536", "\"chunk\": 0", NULL},
    {"\"chunk\": 65536", "\"chunk\": 65537", NULL},
    {"\"chunk\": 65536", "\"chunk\": 32768", NULL},
    {"\"chunk\": 65536", "\"chunk\": 67108864", NULL},
    {"\"chunk\": 65536", "\"chunk\": 4295032832", NULL},
    {"\"size\": 5000", "\"size\": -1", NULL},
    {"\"size\": 5000", "\"size\": 5e3", NULL},
    {"\"size\": 5000", "\"size\": \"5000\"", NULL},
    {"\"size\": 5000", "\"size\": 1152921504606846977", NULL},
    {"\"size\": 5000", "\"size\": 9223372036854775808", NULL},
    {"\"size\": 5000", "\"size\": 18446744073709551615", NULL},
    {"\"size\": 5000", "\"size\": 4398046511105", "chunks"},
    {"\"virtual_size\": 5000", "\"virtual_size\": -5000", NULL},
    {"\"sector\": 512", "\"sector\": 513", NULL},
    {"\"format\": \"raw\"", "\"format\": \"vmdk\"", "newer vmferry"},
    {"\"features\": 0", "\"features\": 64", "newer vmferry"},
    {"\"features\": 0", "\"features\": 1", NULL},
    {"\"vda.base1\"", "\"vda\"", "twice"},
    {"\"vda.base1\"", "\"../vda\"", NULL},
    {"\"vda.base1\"", "\"..\"", NULL},
    {"\"vda.base1\"", "\"\"", NULL},
    {"\"vda.base1\"", "\"-vda\"", NULL},
    {"\"vda.base1\"", "\"v/da\"", NULL},
    {"\"vda.base1\"", "\"v\\nda\"", NULL},
    {"\"vda.base1\"", "\"v\\u0000da\"", NULL},
    {"\"nvram/VARS.fd\"", "\"/nvram/VARS.fd\"", NULL},
    {"\"nvram/VARS.fd\"", "\"nvram/../VARS.fd\"", NULL},
    {"\"nvram/VARS.fd\"", "\"nvram//VARS.fd\"", NULL},
    {"\"nvram/VARS.fd\"", "\"nvram/VARS.fd/\"", NULL},
    {"\"nvram/VARS.fd\"", "\"nvram/.VARS.fd\"", NULL},
    {"\"nvram/VARS.fd\"", "\"nvram/a b\"", NULL},
    {"\"nvram/VARS.fd\"", "\"nvram/\\u00e4\"", NULL},
    {"\"nvram/VARS.fd\"", "\"nvram\"", NULL},
    {"\"nvram/VARS.fd\"", "\"disks/vda/0000000000000000.zst\"", NULL},
    {"\"nvram/VARS.fd\"", "\"nvram/a/b/c/d\"", NULL},
    {"\"nvram/VARS.fd\"", "\"tpm/tpm2/tpm2-00.permall\"", "twice"},
    {"\"nvram/VARS.fd\"", "\"aux/VARS.fd\"", "order"},
    {"\"mode\": \"0600\"", "\"mode\": \"600\"", NULL},
    {"\"mode\": \"0600\"", "\"mode\": \"0x80\"", NULL},
    {"\"mode\": \"0600\"", "\"mode\": \"10600\"", NULL},
    {"\"mode\": \"0600\"", "\"mode\": \"-600\"", NULL},
    {"\"size\": 540672", "\"size\": 4294967297", NULL},
};

/* text with the first old replaced; the caller frees it. */
static char *
replaced(const char *text, const char *old, const char *new)
{
	const char *at = strstr(text, old);
	char *result;

	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	result = malloc(strlen(text) + strlen(new) + 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(result);
	sprintf(
	    result, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
	return result;
}

static void
bad_heads_are_refused(void)
{
	size_t len, i;
	char *text = vmf_manifest_format_head(&info, &len, &err), *bad;

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		bad = replaced(text, changes[i].old, changes[i].new);
		if (parse(bad, strlen(bad)) == 0 ||
		    err.class != VMF_INTEGRITY ||
		    (changes[i].says != NULL &&
			strstr(err.msg, changes[i].says) == NULL)) {
			printf("%s: %s\n", changes[i].new, err.msg);
			CU_FAIL("a head that should be refused");
		}
		free(bad);
	}
	free(text);
}

static void
unknown_keys_are_ignored(void)
{
	size_t len;
	char *text = vmf_manifest_format_head(&info, &len, &err), *more;

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	more = replaced(text, "\"secrets\": true",
	    "\"secrets\": true, \"later\": {\"a\": [1, \"]\\\"[[[[[[[[\"]}");
	CU_ASSERT_EQUAL(parse(more, strlen(more)), 0);
	free(more);
	free(text);
}

static void
broken_json_is_refused(void)
{
	static const char *const broken[] = {"", " ", "{", "[]", "1", "\"x\"",
	    "null", "{}", "{\"format\": \"vmferry-package\"}", "{} {}",
	    "\xff\xfe{}"};
	size_t i, len;
	char *text, *bad;

	for (i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
		ASSERT_FAILS(
		    parse(broken[i], strlen(broken[i])), VMF_INTEGRITY);
	text = vmf_manifest_format_head(&info, &len, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	for (i = 0; i + 1 < len; i++) /* all but the last newline */
		if (parse(text, i) == 0)
			CU_ASSERT_EQUAL(i, len - 1);
	/* not UTF-8 */
	bad = replaced(text, "\xc3\xa4", "\xc3");
	ASSERT_FAILS(parse(bad, strlen(bad)), VMF_INTEGRITY);
	free(bad);
	free(text);
}

static void
size_and_depth_are_capped(void)
{
	size_t len = VMF_PACKAGE_JSON_MAX + 1;
	char *big = malloc(len + 1);

	CU_ASSERT_PTR_NOT_NULL_FATAL(big);
	memset(big, '[', len);
	big[len] = '\0';
	ASSERT_FAILS(parse(big, len), VMF_INTEGRITY);
	ASSERT_FAILS(parse(big, 9), VMF_INTEGRITY);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "deep"));
	memset(big, ' ', len);
	ASSERT_FAILS(parse(big, len), VMF_INTEGRITY);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "long"));
	free(big);
}

static void
bad_infos_are_not_written(void)
{
	struct vmf_package_info bad = info;
	size_t len;

	bad.domain = "";
	err.class = VMF_OK;
	CU_ASSERT_PTR_NULL(vmf_manifest_format_head(&bad, &len, &err));
	CU_ASSERT_EQUAL(err.class, VMF_REFUSED);
	bad = info;
	bad.domain = "\xff";
	CU_ASSERT_PTR_NULL(vmf_manifest_format_head(&bad, &len, &err));
	CU_ASSERT_EQUAL(err.class, VMF_REFUSED);
	images[0].geo.size = VMF_SIZE_UNKNOWN;
	CU_ASSERT_PTR_NULL(vmf_manifest_format_head(&info, &len, &err));
	CU_ASSERT_EQUAL(err.class, VMF_REFUSED);
	images[0].geo.size = 5000;
}

/* A tail of info as text; the caller frees it. */
static char *
tail_text(size_t *len)
{
	static const struct vmf_manifest_image totals[] = {
	    {.totals = {.size = 5000, .data_chunks = 1, .stored = 99},
		.segments = 1},
	    {.totals = {.size = 1 << 20, .zero_chunks = 1}, .segments = 1},
	};
	static const struct vmf_package_fact facts[] = {
	    {"libvirt", "9.0.0"}, {"machine", "pc-q35-7.2"}};
	const struct vmf_manifest_tail tail = {.sums = {7},
	    .members = 9,
	    .images = totals,
	    .facts = facts,
	    .nfacts = 2};

	return vmf_manifest_format_tail(&info, &tail, len, &err);
}

/* Parse text as the tail of info. */
static int
parse_tail(const char *text)
{
	size_t len;
	char *head = vmf_manifest_format_head(&info, &len, &err);
	struct vmf_manifest *m = vmf_manifest_parse(head, len, &err);
	const struct vmf_manifest_tail *tail;
	int rc;

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	err.class = VMF_OK;
	rc = vmf_manifest_parse_tail(m, text, strlen(text), &err);
	if (rc == 0) {
		tail = vmf_manifest_tail(m);
		CU_ASSERT_PTR_NOT_NULL_FATAL(tail);
		CU_ASSERT_EQUAL(tail->sums[0], 7);
		CU_ASSERT_EQUAL(tail->members, 9);
		CU_ASSERT_EQUAL(tail->images[0].totals.stored, 99);
		CU_ASSERT_EQUAL(tail->nfacts, 2);
		CU_ASSERT_STRING_EQUAL(tail->facts[1].value, "pc-q35-7.2");
	} else {
		CU_ASSERT_PTR_NULL(vmf_manifest_tail(m));
	}
	vmf_manifest_free(m);
	free(head);
	return rc;
}

static void
tails_belong_to_their_heads(void)
{
	static const struct change bad[] = {
	    {"\"vmferry-manifest\"", "\"vmferry-package\"", NULL},
	    {"\"id\": \"01", "\"id\": \"02", "another"},
	    {"\"name\": \"vda\"", "\"name\": \"vdb\"", "announced"},
	    {"\"size\": 5000", "\"size\": 5001", "announced"},
	    {"\"stored\": 99", "\"stored\": -99", NULL},
	    {"\"data_chunks\": 1", "\"data_chunks\": 67108865", NULL},
	    {"\"bad\": 0", "\"bad\": 65537", NULL},
	    {"\"libvirt\": ", "\"Libvirt\": ", NULL},
	    {"\"9.0.0\"", "9", NULL},
	    {"\"images\": [", "\"images\": [{},", NULL},
	};
	size_t len, i;
	char *text = tail_text(&len), *changed;

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	CU_ASSERT_EQUAL(parse_tail(text), 0);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		changed = replaced(text, bad[i].old, bad[i].new);
		ASSERT_FAILS(parse_tail(changed), VMF_INTEGRITY);
		if (bad[i].says != NULL)
			CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, bad[i].says));
		free(changed);
	}
	free(text);
}

void
suite_manifest(void)
{
	static const struct test_case cases[] = {
	    {"heads come back", heads_come_back},
	    {"bad heads are refused", bad_heads_are_refused},
	    {"unknown keys are ignored", unknown_keys_are_ignored},
	    {"broken JSON is refused", broken_json_is_refused},
	    {"size and depth are capped", size_and_depth_are_capped},
	    {"bad infos are not written", bad_infos_are_not_written},
	    {"tails belong to their heads", tails_belong_to_their_heads},
	};

	TEST_SUITE("manifest", cases);
}
