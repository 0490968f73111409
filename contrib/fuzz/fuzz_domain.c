/*
 * fuzz_domain.c - the domain XML rewriter
 *
 * The first line is flags: n a new identity, r another name, a firmware that
 * is there, c another CPU, m another machine type, k the emulator is kept.
 * Then lines as in a file for --map-file, up to an empty one; the rest is XML.
 *
 * What was rewritten is well-formed - it is read again - and rewriting it once
 * more changes nothing.  Rules are the administrator's own words and no
 * hostile input: those with bytes that XML cannot carry are left out here.
 */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vmferry/domain.h>
#include <vmferry/map.h>

#include "fuzz.h"

#define UUID "0b1f2a3c-0000-4000-8000-00000000000a"

static bool
is_plain(const uint8_t *s, size_t len)
{
	for (; len > 0; s++, len--)
		if (*s != '\n' && (*s < ' ' || *s > '~'))
			return false;
	return true;
}

/* NULL: rules that a tool would refuse. */
static struct vmf_map *
parse_rules(const uint8_t *text, size_t len)
{
	struct vmf_map *map = vmf_map_new(NULL);
	int fd = memfd_create("rules", MFD_CLOEXEC);
	char path[32];
	int rc = -1;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (map != NULL && fd != -1 && is_plain(text, len) &&
	    write(fd, text, len) == (ssize_t)len &&
	    vmf_map_add_file(map, path, NULL) == 0)
		rc = vmf_map_check(map, NULL);
	if (fd != -1)
		close(fd);
	if (rc == 0)
		return map;
	vmf_map_free(map);
	return NULL;
}

/* Half of all firmware is there. */
static bool
firmware_there(void *ctx, const char *path)
{
	(void)ctx;
	return strlen(path) % 2 == 0;
}

static bool
has(const char *flags, char flag)
{
	return strchr(flags, flag) != NULL;
}

/* The XML rewritten, for the caller to free; NULL: refused. */
static char *
rewrite(const char *xml, size_t len, struct vmf_map *map, const char *flags,
    size_t *out)
{
	static const struct vmf_domain_scan scan = {.untrusted = true};
	const struct vmf_domain_change change = {.map = map,
	    .name = has(flags, 'r') ? "copy" : NULL,
	    .new_identity = has(flags, 'n'),
	    .uuid = has(flags, 'n') ? UUID : NULL,
	    .keep_emulator = has(flags, 'k'),
	    .machine = has(flags, 'm') ? "pc-q35-6.2" : NULL,
	    .cpu_mode = has(flags, 'c') ? "host-model" : NULL,
	    .firmware_there = has(flags, 'a') ? firmware_there : NULL};
	struct vmf_domain *dom = vmf_domain_parse(xml, len, "fuzz", NULL);
	struct vmf_error err;
	char *text = NULL;

	if (dom != NULL && vmf_domain_rewrite(dom, &change, &err) == 0) {
		(void)vmf_domain_scan(dom, &scan, &err);
		text = vmf_domain_format(dom, out, &err);
	}
	vmf_domain_free(dom);
	return text;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nl = size > 0 ? memchr(data, '\n', size) : NULL;
	const uint8_t *rules, *end;
	struct vmf_map *map;
	char flags[16] = "", *once, *twice = NULL;
	size_t len;

	if (nl == NULL || (size_t)(nl - data) >= sizeof(flags))
		return 0;
	memcpy(flags, data, (size_t)(nl - data));
	rules = nl + 1;
	size -= (size_t)(rules - data);
	end = size > 0 && *rules == '\n' ? nl : memmem(rules, size, "\n\n", 2);
	if (end == NULL)
		return 0;
	len = (size_t)(end + 1 - rules);
	if ((map = parse_rules(rules, len)) == NULL)
		return 0;
	once = rewrite(
	    (const char *)rules + len + 1, size - len - 1, map, flags, &len);
	if (once != NULL &&
	    ((twice = rewrite(once, len, map, flags, &len)) == NULL ||
		strcmp(once, twice) != 0))
		abort();
	free(once);
	free(twice);
	vmf_map_free(map);
	return 0;
}
