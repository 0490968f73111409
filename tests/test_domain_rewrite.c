/*
 * test_domain_rewrite.c - domain XML rewritten: what changes, and what must not
 */
#include "domain_sample.h"

/* --- what must not change */

static void
unchanged(const char *name)
{
	const struct vmf_domain_change change = {.keep_emulator = true};
	struct vmf_domain *dom = load(name);
	char *got, *want;

	CU_ASSERT_EQUAL(vmf_domain_rewrite(dom, &change, &err), 0);
	got = format(dom);
	vmf_domain_free(dom);
	if (strcmp(name, "handmade.xml") == 0) {
		/* not in libvirt's style: then its own form is stable */
		want = got;
		dom = parse(want);
		got = format(dom);
		vmf_domain_free(dom);
	} else {
		want = slurp(name);
	}
	expect_same(name, got, want);
	free(got);
	free(want);
}

static void
no_rule_changes_nothing(void)
{
	for_each(unchanged);
}

static void
once_is_twice(const char *name)
{
	char *once = rewrite(load(name)), *twice = rewrite(parse(once));

	expect_same(name, twice, once);
	free(once);
	free(twice);
}

static void
rules_applied_twice_change_nothing_more(void)
{
	for_each(once_is_twice);
}

static void
mapped_as_expected(const char *name)
{
	char *got = rewrite(load(name));

	expect_file(name, ".mapped", got);
	free(got);
}

static void
every_kind_of_place_is_mapped(void)
{
	for_each(mapped_as_expected);
}

static void
odd_names_stay_exact(void)
{
	struct vmf_domain *dom = load("handmade.xml");
	const struct vmf_domain_model *model = vmf_domain_model(dom, &err);
	struct vmf_map *map =
	    MAP("p /srv=/-new dir;$(touch x)'\"&<>\n", "d sda=/x\ty");
	const struct vmf_domain_change change = {.map = map};
	char *text;

	CU_ASSERT_PTR_NOT_NULL_FATAL(model);
	CU_ASSERT_STRING_EQUAL(
	    model->disks[0].image.path, "/srv/a b'\";$(touch x)\n-q.qcow2");
	CU_ASSERT_EQUAL(vmf_domain_rewrite(dom, &change, &err), 0);
	text = format(dom);
	vmf_domain_free(dom);
	dom = parse(text);
	model = vmf_domain_model(dom, &err);
	CU_ASSERT_STRING_EQUAL(model->disks[0].image.path,
	    "/-new dir;$(touch x)'\"&<>\n/a b'\";$(touch x)\n-q.qcow2");
	CU_ASSERT_STRING_EQUAL(model->disks[1].image.path, "/x\ty");
	free(text);
	vmf_domain_free(dom);
	vmf_map_free(map);
}

/* --- single changes */

static void
callers_place_disks(void)
{
	struct vmf_domain *dom = load("disks.xml");
	struct vmf_map *map = MAP("d *=/new/*", "d vdb=part:/dev/sdz");
	const struct vmf_domain_change change = {.map = map};
	const struct vmf_domain_model *m;
	struct vmf_map_target t;

	CU_ASSERT_EQUAL(vmf_map_target_parse("/dev/sdz3", &t, &err), 0);
	CU_ASSERT_EQUAL(vmf_domain_set_disk(dom, "vda", &t, "raw", &err), 0);
	CU_ASSERT_EQUAL(vmf_domain_set_flat(dom, "vda", &err), 0);
	CU_ASSERT_EQUAL(vmf_domain_set_disk(dom, "vdb", &t, NULL, &err), 0);
	ASSERT_FAILS(
	    vmf_domain_set_disk(dom, "vdz", &t, NULL, &err), VMF_REFUSED);
	ASSERT_FAILS(
	    vmf_domain_set_disk(dom, "vdc.base1", &t, NULL, &err), VMF_REFUSED);
	CU_ASSERT_EQUAL(vmf_map_target_parse("", &t, &err), 0);
	ASSERT_FAILS(
	    vmf_domain_set_disk(dom, "vdc", &t, NULL, &err), VMF_REFUSED);
	CU_ASSERT_EQUAL(vmf_domain_set_disk(dom, "sdb", &t, NULL, &err), 0);
	CU_ASSERT_EQUAL(vmf_map_target_parse("/srv/x", &t, &err), 0);
	ASSERT_FAILS(
	    vmf_domain_set_disk(dom, "sdd", &t, NULL, &err), VMF_REFUSED);
	vmf_map_target_parse("/dev/sdy", &t, &err);
	CU_ASSERT_EQUAL(vmf_domain_set_disk(dom, "sdd", &t, NULL, &err), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(vmf_domain_note(dom, 0), "seed.iso"));
	ASSERT_FAILS(vmf_domain_set_nvram(dom, "/x", &err), VMF_REFUSED);
	/* what was placed stays, the rest is mapped */
	CU_ASSERT_EQUAL(vmf_domain_rewrite(dom, &change, &err), 0);
	m = vmf_domain_model(dom, &err);
	CU_ASSERT_STRING_EQUAL(m->disks[0].image.path, "/dev/sdz3");
	CU_ASSERT_STRING_EQUAL(m->disks[0].image.type, "block");
	CU_ASSERT_STRING_EQUAL(m->disks[0].image.format, "raw");
	CU_ASSERT_EQUAL(m->disks[0].nbase, 0);
	CU_ASSERT_STRING_EQUAL(m->disks[1].image.path, "/dev/sdz3");
	CU_ASSERT_TRUE(vmf_domain_model_disk(m, "sdb")->empty);
	CU_ASSERT_STRING_EQUAL(
	    vmf_domain_model_disk(m, "vdc")->image.path, "/new/web-log.img");
	vmf_domain_free(dom);

	/* a partition still to be made is no disk */
	dom = load("disks.xml");
	ASSERT_FAILS(vmf_domain_rewrite(dom, &change, &err), VMF_REFUSED);
	vmf_domain_free(dom);
	vmf_map_free(map);
}

static void
a_new_identity_follows_from_its_uuid(void)
{
	struct vmf_domain *dom = load("network.xml"), *keep;
	struct vmf_domain_change change = {
	    .new_identity = true, .uuid = NEW_UUID};
	const struct vmf_domain_model *a, *b;
	size_t i;

	keep = load("network.xml");
	CU_ASSERT_EQUAL(vmf_domain_rewrite(dom, &change, &err), 0);
	a = vmf_domain_model(dom, &err);
	b = vmf_domain_model(keep, &err);
	CU_ASSERT_STRING_EQUAL(a->uuid, NEW_UUID);
	for (i = 0; i < a->ninterfaces; i++) {
		CU_ASSERT_EQUAL(
		    strncmp(a->interfaces[i].mac, "52:54:00:", 9), 0);
		CU_ASSERT_STRING_NOT_EQUAL(
		    a->interfaces[i].mac, b->interfaces[i].mac);
	}
	vmf_domain_free(dom);
	vmf_domain_free(keep);

	dom = load("uefi.xml");
	change =
	    (struct vmf_domain_change){.new_identity = true, .name = "copy"};
	CU_ASSERT_EQUAL(vmf_domain_rewrite(dom, &change, &err), 0);
	a = vmf_domain_model(dom, &err);
	CU_ASSERT_STRING_EQUAL(
	    a->nvram, "/var/lib/libvirt/qemu/nvram/copy_VARS.fd");
	CU_ASSERT_STRING_NOT_EQUAL(
	    a->uuid, "11111111-2222-4333-8444-000000000006");
	change = (struct vmf_domain_change){.name = "a/b"};
	ASSERT_FAILS(vmf_domain_rewrite(dom, &change, &err), VMF_USAGE);
	vmf_domain_free(dom);

	dom = load("uefi.xml");
	change = (struct vmf_domain_change){.uuid = "x", .new_identity = true};
	ASSERT_FAILS(vmf_domain_rewrite(dom, &change, &err), VMF_USAGE);
	vmf_domain_free(dom);
}

static void
firmware_is_found_within_its_class(void)
{
	struct vmf_domain *dom = load("rhel.xml");
	struct vmf_map *map = MAP("f auto");
	struct vmf_domain_change change = {.map = map,
	    .firmware_there = nowhere,
	    .ctx = (void *)"/usr/share/OVMF/OVMF_CODE_4M.fd"};
	const struct vmf_domain_model *m;

	CU_ASSERT_EQUAL(vmf_domain_rewrite(dom, &change, &err), 0);
	m = vmf_domain_model(dom, &err);
	CU_ASSERT_STRING_EQUAL(m->loader, "/usr/share/OVMF/OVMF_CODE_4M.fd");
	CU_ASSERT_STRING_EQUAL(
	    m->nvram_template, "/usr/share/qemu/ovmf-x86_64-4m-vars.bin");
	CU_ASSERT_PTR_NOT_NULL(vmf_domain_note(dom, 0));
	CU_ASSERT_PTR_NULL(vmf_domain_note(dom, 1));
	vmf_domain_free(dom);
	/* 2 MiB firmware is not like 4 MiB firmware */
	dom = load("rhel.xml");
	change.ctx = (void *)"/usr/share/OVMF/OVMF_CODE.fd";
	CU_ASSERT_EQUAL(vmf_domain_rewrite(dom, &change, &err), 0);
	m = vmf_domain_model(dom, &err);
	CU_ASSERT_STRING_EQUAL(
	    m->loader, "/usr/share/qemu/ovmf-x86_64-4m-code.bin");
	vmf_domain_free(dom);
	vmf_map_free(map);
}

/* --- many */

/* A change of the text such as a fuzzer would make; the same for one seed. */
static void
mutate(char *text, size_t *len, size_t max, unsigned *seed)
{
	size_t from = (size_t)rand_r(seed) % *len, to, n;
	size_t many = 1 + (size_t)rand_r(seed) % 40;

	switch (rand_r(seed) % 4) {
	case 0:
		text[from] = (char)rand_r(seed);
		break;
	case 1: /* cut */
		n = many < *len - from ? many : *len - from - 1;
		memmove(text + from, text + from + n, *len - from - n);
		*len -= n;
		break;
	case 2: /* a piece of it again, elsewhere */
		to = (size_t)rand_r(seed) % *len;
		n = *len - from < many ? *len - from : many;
		if (*len + n > max)
			break;
		memmove(text + to + n, text + to, *len - to);
		memmove(text + to, text + (from < to ? from : from + n), n);
		*len += n;
		break;
	default:
		text[from] = "<>'\"&/= \n"[rand_r(seed) % 9];
	}
}

/* Whatever comes in: it is refused, or rewritten so that once is twice. */
static void
try_mutant(const char *text, size_t len)
{
	const struct vmf_domain_scan scan = {.untrusted = true};
	struct vmf_map *map = rules();
	const struct vmf_domain_change change = {
	    .map = map, .name = "x", .new_identity = true, .uuid = NEW_UUID};
	struct vmf_domain *dom = vmf_domain_parse(text, len, "mutant", &err);
	char *once = NULL, *twice = NULL;

	if (dom == NULL || vmf_domain_rewrite(dom, &change, &err) == -1)
		goto out;
	vmf_domain_scan(dom, &scan, &err);
	once = format(dom);
	vmf_domain_free(dom);
	dom = vmf_domain_parse(once, strlen(once), "once", &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(dom);
	CU_ASSERT_EQUAL_FATAL(vmf_domain_rewrite(dom, &change, &err), 0);
	twice = format(dom);
	if (strcmp(once, twice) != 0)
		fprintf(stderr, "mutant: %.*s\n", (int)len, text);
	expect_same("mutant", twice, once);
out:
	vmf_domain_free(dom);
	vmf_map_free(map);
	free(once);
	free(twice);
}

static void
mutants_are_refused_or_rewritten(void)
{
	static const char *const names[] = {"disks.xml", "network.xml",
	    "handmade.xml", "commandline.xml", "tuning.xml", "uefi.xml"};
	const char *rounds = getenv("VMF_MUTANTS");
	unsigned seed = 1, i, k, n = rounds ? (unsigned)atoi(rounds) : 300;
	char *text, *copy;
	size_t len, f, max = 64 << 10;

	copy = malloc(max);
	CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
	for (f = 0; f < sizeof(names) / sizeof(names[0]); f++) {
		text = slurp(names[f]);
		for (i = 0; i < n; i++) {
			len = strlen(text);
			memcpy(copy, text, len);
			for (k = 0; k <= i % 3; k++)
				mutate(copy, &len, max, &seed);
			try_mutant(copy, len);
		}
		free(text);
	}
	free(copy);
}

void
suite_domain_rewrite(void)
{
	static const struct test_case cases[] = {
	    {"no rule changes nothing", no_rule_changes_nothing},
	    {"every kind of place is mapped", every_kind_of_place_is_mapped},
	    {"rules applied twice change nothing more",
		rules_applied_twice_change_nothing_more},
	    {"odd names stay exact", odd_names_stay_exact},
	    {"callers place disks", callers_place_disks},
	    {"a new identity follows from its UUID",
		a_new_identity_follows_from_its_uuid},
	    {"firmware is found within its class",
		firmware_is_found_within_its_class},
	    {"mutants are refused or rewritten",
		mutants_are_refused_or_rewritten},
	};

	TEST_SUITE("domain_rewrite", cases);
}
