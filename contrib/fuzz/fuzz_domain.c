/*
 * fuzz_domain.c - the domain XML rewriter
 *
 * The first line is rules for --map, --map-path and --map-net, apart by tabs;
 * the rest is XML.  What was rewritten is well-formed: it is read again.
 * Rules are the administrator's own words and no hostile input: those with
 * bytes that XML cannot carry are left out here.
 */
#include <vmferry/domain.h>
#include <vmferry/map.h>

#include "fuzz.h"

static bool
is_plain(const char *s)
{
	while (*s >= ' ' && *s <= '~')
		s++;
	return *s == '\0';
}

static struct vmf_map *
parse_rules(const uint8_t *line, size_t len)
{
	static const enum vmf_map_kind kinds[] = {
	    VMF_MAP_DISK, VMF_MAP_PATH, VMF_MAP_NET, VMF_MAP_FIRMWARE};
	struct vmf_map *map = vmf_map_new(NULL);
	char *text = strndup((const char *)line, len), *save = NULL, *rule;
	size_t n = 0;

	for (rule = text != NULL ? strtok_r(text, "\t", &save) : NULL;
	     map != NULL && rule != NULL; rule = strtok_r(NULL, "\t", &save))
		if (is_plain(rule))
			(void)vmf_map_add(map, kinds[n++ % 4], rule, NULL);
	free(text);
	return map;
}

static void
rewrite(struct vmf_domain *dom, struct vmf_map *map, bool new_identity)
{
	static const struct vmf_domain_scan scan = {.untrusted = true};
	struct vmf_domain_change change = {.map = map,
	    .name = new_identity ? "copy" : NULL,
	    .new_identity = new_identity,
	    .uuid =
		new_identity ? "0b1f2a3c-0000-4000-8000-00000000000a" : NULL};
	struct vmf_domain *same;
	struct vmf_error err;
	size_t len;
	char *text;

	(void)vmf_domain_model(dom, &err);
	if (vmf_domain_rewrite(dom, &change, &err) < 0)
		return;
	(void)vmf_domain_scan(dom, &scan, &err);
	text = vmf_domain_format(dom, &len, &err);
	if (text == NULL)
		return;
	same = vmf_domain_parse(text, len, "again", &err);
	if (same == NULL)
		abort();
	vmf_domain_free(same);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nl = size > 0 ? memchr(data, '\n', size) : NULL;
	struct vmf_domain *dom;
	struct vmf_map *map;
	struct vmf_error err;
	size_t len;

	if (nl == NULL)
		return 0;
	len = (size_t)(nl - data) + 1;
	dom = vmf_domain_parse(
	    (const char *)data + len, size - len, "fuzz", &err);
	if (dom == NULL)
		return 0;
	map = parse_rules(data, len - 1);
	if (map != NULL)
		rewrite(dom, map, data[0] == 'n');
	vmf_map_free(map);
	vmf_domain_free(dom);
	return 0;
}
