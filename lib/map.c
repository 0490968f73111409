/* map.c - a set of rules, added, checked and looked up; see vmferry/map.h */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vmferry/io.h>
#include <vmferry/map.h>
#include <vmferry/units.h>

#include "map_rule.h"

#define MAP_FILE_MAX (UINT64_C(1) << 20)
struct vmf_map {
	struct rule *rules;
	size_t n;
};

static int
no_memory(struct vmf_error *err)
{
	errno = ENOMEM;
	return vmf_fail_errno(err, VMF_IO, "map");
}

struct vmf_map *
vmf_map_new(struct vmf_error *err)
{
	struct vmf_map *map = calloc(1, sizeof(*map));

	/* Never NULL, which nothing may be added to, not even 0. */
	if (map != NULL)
		map->rules = calloc(1, sizeof(*map->rules));
	if (map == NULL || map->rules == NULL) {
		no_memory(err);
		vmf_map_free(map);
		return NULL;
	}
	return map;
}

void
vmf_map_free(struct vmf_map *map)
{
	size_t i;

	if (map == NULL)
		return;
	for (i = 0; i < map->n; i++)
		vmf_map_rule_clear(&map->rules[i]);
	free(map->rules);
	free(map);
}

/* A rule with the same left side: said twice, or contradicted? */
static int
check_twice(
    const struct vmf_map *map, const struct rule *new, struct vmf_error *err)
{
	char mac[VMF_MAP_MAC_TEXT];
	const struct rule *old;
	size_t i;

	for (i = 0; i < map->n; i++) {
		old = &map->rules[i];
		if (old->kind != new->kind || strcmp(old->from, new->from) != 0)
			continue;
		if (strcmp(old->to, new->to) == 0 && old->star == new->star)
			continue;
		/* One MAC may get a new MAC and a new network. */
		if (new->kind == VMF_MAP_NET &&
		    vmf_map_mac_plain(old->to, mac) !=
			vmf_map_mac_plain(new->to, mac))
			continue;
		return vmf_fail(
		    err, VMF_USAGE, "%s contradicts %s", new->text, old->text);
	}
	return 0;
}

int
vmf_map_add(struct vmf_map *map, enum vmf_map_kind kind, const char *text,
    struct vmf_error *err)
{
	struct rule rule = {.kind = kind}, *more;

	if (vmf_map_rule_parse(&rule, text, err) == -1 ||
	    check_twice(map, &rule, err) == -1) {
		vmf_map_rule_clear(&rule);
		return -1;
	}
	more = realloc(map->rules, (map->n + 1) * sizeof(rule));
	if (more == NULL) {
		vmf_map_rule_clear(&rule);
		return no_memory(err);
	}
	map->rules = more;
	map->rules[map->n++] = rule;
	return 0;
}

/* --- a file of rules */

/* "--map-net lan=br0", "map-net lan=br0" or "vda=/srv/web.img". */
static int
add_line(struct vmf_map *map, const char *line, struct vmf_error *err)
{
	const char *word = strncmp(line, "--", 2) == 0 ? line + 2 : line;
	size_t len = strcspn(word, " \t=");
	size_t kind;

	for (kind = 0; kind < RULE_KINDS; kind++)
		if (strlen(vmf_map_rule_options[kind]) == len &&
		    strncmp(word, vmf_map_rule_options[kind], len) == 0 &&
		    (word[len] == ' ' || word[len] == '\t' ||
			(word != line && word[len] == '=')))
			return vmf_map_add(map, (enum vmf_map_kind)kind,
			    word + len + 1 +
				(word[len] == '='
					? 0
					: strspn(word + len + 1, " \t")),
			    err);
	if (word != line || (word[len] != '=' && word[len] != '\0'))
		return vmf_fail(err, VMF_USAGE,
		    "'%s' is no rule; a line is map, map-path, map-net or "
		    "map-firmware and OLD=NEW",
		    line);
	return vmf_map_add(map, VMF_MAP_DISK, line, err);
}

int
vmf_map_add_file(struct vmf_map *map, const char *path, struct vmf_error *err)
{
	char *text, *line, *next;
	unsigned number = 0;
	size_t len;
	int rc = -1;

	text = vmf_read_file(path, MAP_FILE_MAX, &len, err);
	if (text == NULL)
		return -1;
	if (strlen(text) != len) {
		vmf_fail(err, VMF_USAGE, "%s: a NUL byte in it", path);
		goto out;
	}
	for (line = text; line != NULL; line = next) {
		number++;
		if ((next = strchr(line, '\n')) != NULL)
			*next++ = '\0';
		line += strspn(line, " \t");
		if (line[0] == '\0' || line[0] == '#')
			continue;
		if (add_line(map, line, err) == -1) {
			vmf_wrap(err, "%s:%u", path, number);
			goto out;
		}
	}
	rc = 0;
out:
	free(text);
	return rc;
}

/* --- paths */

/* The longest rule whose left side holds the plain path, or NULL. */
static struct rule *
find_path(struct vmf_map *map, enum vmf_map_kind kind, const char *plain)
{
	struct rule *best = NULL, *rule;

	for (rule = map->rules; rule < map->rules + map->n; rule++)
		if (rule->kind == kind && rule->from[0] == '/' &&
		    vmf_map_path_below(plain, rule->from) &&
		    (best == NULL || strlen(rule->from) > strlen(best->from)))
			best = rule;
	return best;
}

/* NEW in place of OLD; what is at or below a NEW within OLD is there already.
 */
static char *
apply_path(const struct rule *rule, const char *plain)
{
	char *to = vmf_map_path_plain(rule->to), *path = NULL;
	const char *rest;
	size_t len;

	if (to == NULL)
		return NULL;
	if (vmf_map_path_below(to, rule->from) &&
	    vmf_map_path_below(plain, to)) {
		free(to);
		return strdup(plain);
	}
	free(to);
	rest = plain + (rule->from[1] == '\0' ? 0 : strlen(rule->from));
	for (len = strlen(rule->to); len > 0 && rule->to[len - 1] == '/';)
		len--;
	if (asprintf(&path, "%.*s%s", (int)len, rule->to, rest) == -1)
		return NULL;
	return path;
}

static int
map_path(struct vmf_map *map, enum vmf_map_kind kind, const char *path,
    char **to, struct vmf_error *err)
{
	char *plain = vmf_map_path_plain(path);
	struct rule *rule;

	*to = NULL;
	if (plain == NULL)
		return 0; /* relative or with "..": no rule is about it */
	if ((rule = find_path(map, kind, plain)) != NULL) {
		rule->used = true;
		*to = apply_path(rule, plain);
	}
	free(plain);
	return rule != NULL && *to == NULL ? no_memory(err) : 0;
}

int
vmf_map_path(
    struct vmf_map *map, const char *path, char **to, struct vmf_error *err)
{
	return map_path(map, VMF_MAP_PATH, path, to, err);
}

int
vmf_map_firmware(
    struct vmf_map *map, const char *path, char **to, struct vmf_error *err)
{
	if (map_path(map, VMF_MAP_FIRMWARE, path, to, err) == -1)
		return -1;
	return *to != NULL ? 0 : map_path(map, VMF_MAP_PATH, path, to, err);
}

bool
vmf_map_firmware_auto(struct vmf_map *map)
{
	struct rule *rule;

	for (rule = map->rules; rule < map->rules + map->n; rule++)
		if (rule->kind == VMF_MAP_FIRMWARE &&
		    strcmp(rule->from, AUTO) == 0) {
			/* Said for what may come; never "of no use". */
			rule->used = true;
			return true;
		}
	return false;
}

/* --- disks */

static struct rule *
find_disk(struct vmf_map *map, const char *disk, bool any)
{
	struct rule *rule, *found = NULL;

	for (rule = map->rules; rule < map->rules + map->n; rule++) {
		if (rule->kind != VMF_MAP_DISK)
			continue;
		if (strcmp(rule->from, disk) == 0)
			return rule;
		if (any && strcmp(rule->from, ANY_DISK) == 0)
			found = rule;
	}
	return found;
}

static int
fill_star(const struct rule *rule, const char *base, size_t len,
    struct vmf_map_target *target, struct vmf_error *err)
{
	char *text;
	int rc;

	if (asprintf(&text, "%.*s%.*s%s", (int)rule->star, rule->to, (int)len,
		base, rule->to + rule->star) == -1)
		return no_memory(err);
	rc = vmf_map_target_parse(text, target, err);
	if (rc == -1 && err != NULL)
		err->class = VMF_REFUSED; /* the rule is sound, the name not */
	free(text);
	return rc;
}

/* The target is what source (plain, or POOL/VOLUME) already is. */
static bool
is_source(const struct vmf_map_target *target, const char *source)
{
	size_t len = strlen(target->group);
	bool same;
	char *plain;

	if (target->kind == VMF_TARGET_POOL)
		return strncmp(source, target->group, len) == 0 &&
		       source[len] == '/' &&
		       strcmp(source + len + 1, target->name) == 0;
	plain = vmf_map_path_plain(target->path);
	same = plain != NULL && strcmp(plain, source) == 0;
	free(plain);
	return same;
}

/*
 * The second time *=/srv/vm-* must not make vm-vm-web of vm-web: when the name
 * stripped of what the rule put around it leads to the source itself, the
 * source stays.
 */
static int
apply_disk(const struct rule *rule, const char *source,
    struct vmf_map_target *target, struct vmf_error *err)
{
	const char *base = strrchr(source, '/'), *before, *after;
	size_t len, nbefore, nafter;

	base = base == NULL ? source : base + 1;
	len = strlen(base);
	for (before = rule->to + rule->star;
	     before > rule->to && before[-1] != '/';)
		before--;
	nbefore = (size_t)(rule->to + rule->star - before);
	after = rule->to + rule->star;
	nafter = strlen(after);
	if (len > nbefore + nafter && strncmp(base, before, nbefore) == 0 &&
	    strcmp(base + len - nafter, after) == 0 &&
	    fill_star(rule, base + nbefore, len - nbefore - nafter, target,
		err) == 0 &&
	    is_source(target, source))
		return 0;
	if (len == 0)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: the disk has no source whose name could stand for *",
		    rule->text);
	return fill_star(rule, base, len, target, err);
}

int
vmf_map_disk(struct vmf_map *map, const char *disk, const char *source,
    bool any, struct vmf_map_target *target, struct vmf_error *err)
{
	struct rule *rule = find_disk(map, disk, any);
	char *plain;
	int rc;

	memset(target, 0, sizeof(*target));
	if (rule == NULL)
		return 0;
	rule->used = true;
	if (rule->star == NO_STAR)
		return vmf_map_target_parse(rule->to, target, err);
	if (source == NULL)
		source = "";
	plain = vmf_map_path_plain(source);
	rc = apply_disk(rule, plain != NULL ? plain : source, target, err);
	free(plain);
	return rc;
}

/* --- networks */

static bool
same_link(const struct vmf_map_link *a, const struct vmf_map_link *b)
{
	return a->kind == b->kind && strcmp(a->name, b->name) == 0;
}

void
vmf_map_net(struct vmf_map *map, const char *mac,
    const struct vmf_map_link *from, struct vmf_map_link *to,
    char new_mac[VMF_MAP_MAC_TEXT])
{
	char plain[VMF_MAP_MAC_TEXT] = "", left[VMF_MAP_MAC_TEXT];
	struct rule *rule, *by_name = NULL, *by_mac = NULL;
	struct vmf_map_link link;

	memset(to, 0, sizeof(*to));
	new_mac[0] = '\0';
	if (mac != NULL && !vmf_map_mac_plain(mac, plain))
		plain[0] = '\0';
	for (rule = map->rules; rule < map->rules + map->n; rule++) {
		if (rule->kind != VMF_MAP_NET)
			continue;
		if (!vmf_map_mac_plain(rule->from, left)) {
			if (from->kind != VMF_LINK_NONE &&
			    vmf_map_rule_link(rule->from, &link, NULL) == 0 &&
			    same_link(&link, from))
				by_name = rule;
		} else if (strcmp(left, plain) == 0) {
			if (vmf_map_mac_plain(rule->to, new_mac))
				rule->used = true;
			else
				by_mac = rule;
		}
	}
	if ((rule = by_mac != NULL ? by_mac : by_name) != NULL) {
		rule->used = true;
		vmf_map_rule_link(rule->to, to, NULL);
	}
}

/* --- the whole set */

/*
 * Rule a makes b's left side, or something above or below it, so that a
 * second run would go on where the first one stopped.
 */
static int
check_paths(const struct rule *a, const struct rule *b, struct vmf_error *err)
{
	char *to = vmf_map_path_plain(a->to);
	char *b_to = vmf_map_path_plain(b->to);
	bool clash = false;

	if (to != NULL && b_to != NULL && strcmp(to, a->from) != 0 &&
	    strcmp(b_to, b->from) != 0 && a != b)
		clash = (vmf_map_path_below(to, b->from) &&
			    !vmf_map_path_below(to, b_to)) ||
			(vmf_map_path_below(b->from, to) &&
			    strcmp(b->from, to) != 0);
	free(to);
	free(b_to);
	if (!clash)
		return 0;
	return vmf_fail(err, VMF_USAGE,
	    "%s would be mapped again by %s; if it is to stay there, add "
	    "--map-path %s=%s",
	    a->text, b->text, a->to, a->to);
}

static int
check_links(const struct rule *a, const struct rule *b, struct vmf_error *err)
{
	if (strcmp(a->to, b->from) != 0 || strcmp(b->from, b->to) == 0 ||
	    a == b)
		return 0;
	return vmf_fail(err, VMF_USAGE,
	    "%s would be mapped again by %s; write where it goes in one rule",
	    a->text, b->text);
}

/* A longer rule that keeps a's result where it is settles the question. */
static bool
is_held(const struct vmf_map *map, const struct rule *a)
{
	struct rule *rule;
	char *to = vmf_map_path_plain(a->to);
	bool held = false;

	if (to == NULL)
		return false;
	if ((rule = find_path((struct vmf_map *)map, a->kind, to)) != NULL)
		held = strcmp(rule->from, rule->to) == 0;
	free(to);
	return held;
}

int
vmf_map_check(const struct vmf_map *map, struct vmf_error *err)
{
	const struct rule *a, *b;

	for (a = map->rules; a < map->rules + map->n; a++)
		for (b = map->rules; b < map->rules + map->n; b++) {
			if (a->kind != b->kind || a->kind == VMF_MAP_DISK ||
			    a->from[0] == '\0')
				continue;
			if (a->kind == VMF_MAP_NET) {
				if (check_links(a, b, err) == -1)
					return -1;
			} else if (a->from[0] == '/' && b->from[0] == '/' &&
				   !is_held(map, a) &&
				   check_paths(a, b, err) == -1) {
				return -1;
			}
		}
	return 0;
}

const char *
vmf_map_unused(const struct vmf_map *map, size_t n)
{
	size_t i;

	for (i = 0; i < map->n; i++)
		if (!map->rules[i].used && n-- == 0)
			return map->rules[i].text;
	return NULL;
}

const char *
vmf_map_left(const struct vmf_map *map, size_t n)
{
	const struct rule *rule;
	bool stays;
	char *to;
	size_t i;

	for (i = 0; i < map->n; i++) {
		rule = &map->rules[i];
		if ((rule->kind != VMF_MAP_PATH &&
			rule->kind != VMF_MAP_FIRMWARE) ||
		    rule->from[0] != '/')
			continue;
		to = vmf_map_path_plain(rule->to);
		stays = to == NULL || vmf_map_path_below(to, rule->from);
		free(to);
		if (!stays && n-- == 0)
			return rule->from;
	}
	return NULL;
}
