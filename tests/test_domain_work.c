/*
 * test_domain_work.c - how much work it is to rewrite a domain: counted, for
 * time is another thing on every machine (the bench measures it)
 */
#include <libxml/xmlmemory.h>

#include "domain_sample.h"

#define WORK_MAX 2000 /* allocations for uefi.xml; it was 1240 */

/* libxml2's allocations: each node, attribute and string that is made or
 * looked at is one or two, on every machine alike. */
static unsigned long allocations;

static void *
count_malloc(size_t size)
{
	allocations++;
	return malloc(size);
}

static void *
count_realloc(void *p, size_t size)
{
	allocations++;
	return realloc(p, size);
}

static char *
count_strdup(const char *s)
{
	allocations++;
	return strdup(s);
}

/* A domain with many disks and interfaces. */
static char *
large_domain(unsigned n)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	unsigned i;

	fprintf(out, "<domain type='kvm'>\n  <name>large</name>\n  "
		     "<os><type>hvm</type></os>\n  <devices>");
	for (i = 0; i < n; i++)
		fprintf(out,
		    "<disk type='file' device='disk'><driver name='qemu' "
		    "type='raw'/><source file='/srv/%u.img'/><target "
		    "dev='vd%u' bus='virtio'/></disk><interface type='network'>"
		    "<mac address='52:54:00:00:%02x:%02x'/><source "
		    "network='default'/></interface>\n",
		    i, i, i / 256, i % 256);
	fprintf(out, "  </devices>\n</domain>\n");
	fclose(out);
	return text;
}

/* The work of a definition: read, scanned, rewritten, written. */
static unsigned long
work(const char *xml)
{
	const struct vmf_domain_scan scan = {.untrusted = true};
	unsigned long before = allocations;
	struct vmf_domain *dom = parse(xml);

	vmf_domain_scan(dom, &scan, &err);
	free(rewrite(dom));
	return allocations - before;
}

static void
the_work_is_linear_and_little(void)
{
	unsigned long of[3], n;
	unsigned i;
	char *xml;

	CU_ASSERT_EQUAL_FATAL(
	    xmlMemSetup(free, count_malloc, count_realloc, count_strdup), 0);
	for (i = 0; i < 3; i++) {
		xml = large_domain(100U << i);
		of[i] = work(xml);
		free(xml);
	}
	/* twice the disks are not more than twice the work */
	CU_ASSERT(of[1] - of[0] > 100);
	CU_ASSERT((of[2] - of[1]) * 10 <= 21 * (of[1] - of[0]));
	/* an ordinary domain */
	xml = slurp("uefi.xml");
	n = work(xml);
	if (n > WORK_MAX)
		fprintf(stderr, "%lu allocations for uefi.xml\n", n);
	CU_ASSERT(n <= WORK_MAX);
	free(xml);
	xmlMemSetup(free, malloc, realloc, strdup);
}

/* The bench has a thousand. */
static void
many_are_rewritten(void)
{
	const char *rounds = getenv("VMF_REWRITES");
	int i, n = rounds != NULL ? atoi(rounds) : 10;
	char *xml = slurp("uefi.xml"), *want = rewrite(parse(xml)), *got;

	for (i = 0; i < n; i++) {
		got = rewrite(parse(xml));
		CU_ASSERT_STRING_EQUAL(got, want);
		free(got);
	}
	free(want);
	free(xml);
}

void
suite_domain_work(void)
{
	static const struct test_case cases[] = {
	    {"the work is linear, and little", the_work_is_linear_and_little},
	    {"many are rewritten", many_are_rewritten},
	};

	TEST_SUITE("domain_work", cases);
}
