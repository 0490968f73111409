/* map_rule.c - parsing one rule; see map_rule.h and vmferry/map.h */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "map_rule.h"

const char *const vmf_map_rule_options[RULE_KINDS] = {
    [VMF_MAP_DISK] = "map",
    [VMF_MAP_PATH] = "map-path",
    [VMF_MAP_NET] = "map-net",
    [VMF_MAP_FIRMWARE] = "map-firmware",
};

static int
no_memory(struct vmf_error *err)
{
	errno = ENOMEM;
	return vmf_fail_errno(err, VMF_IO, "map");
}

void
vmf_map_rule_clear(struct rule *rule)
{
	free(rule->text);
	free(rule->from);
	free(rule->to);
}

/*
 * Copy text up to its end or the first live '=', without escapes.  *star is
 * the offset of the first live * in the copy (which then lacks it), *stars
 * their number; *rest is behind the '=', or NULL at the end.
 */
static char *
unescape(const char *text, size_t *star, unsigned *stars, const char **rest,
    struct vmf_error *err)
{
	char *copy = malloc(strlen(text) + 1), *to = copy;

	*stars = 0;
	*star = NO_STAR;
	*rest = NULL;
	if (copy == NULL) {
		no_memory(err);
		return NULL;
	}
	for (; *text != '\0'; text++) {
		if (*text == '=') {
			*rest = text + 1;
			break;
		}
		if (*text == '*') {
			if ((*stars)++ == 0)
				*star = (size_t)(to - copy);
			continue;
		}
		if (*text == '\\' && strchr("=\\*", *++text) == NULL) {
			vmf_fail(err, VMF_USAGE,
			    "a backslash stands only before =, \\ and *; "
			    "write \\\\ for one");
			free(copy);
			return NULL;
		}
		if (*text == '\0') { /* strchr() finds the NUL too */
			vmf_fail(
			    err, VMF_USAGE, "a backslash at the end of a rule");
			free(copy);
			return NULL;
		}
		*to++ = *text;
	}
	*to = '\0';
	return copy;
}

static bool
is_multicast(const char *mac)
{
	return strchr("13579bdf", mac[1]) != NULL;
}

int
vmf_map_rule_link(
    const char *text, struct vmf_map_link *link, struct vmf_error *err)
{
	const char *name = text;

	link->kind = VMF_LINK_NETWORK;
	if (strncmp(text, "bridge:", 7) == 0) {
		link->kind = VMF_LINK_BRIDGE;
		name = text + 7;
	} else if (strncmp(text, "direct:", 7) == 0) {
		link->kind = VMF_LINK_DIRECT;
		name = text + 7;
	}
	if (name[0] == '\0' || strlen(name) >= sizeof(link->name) ||
	    strchr(name, '/') != NULL)
		return vmf_fail(err, VMF_USAGE,
		    "'%s' is neither a network, bridge:NAME, direct:DEVICE nor "
		    "a MAC address",
		    text);
	strcpy(link->name, name);
	return 0;
}

static int
check_disk(struct rule *rule, unsigned stars, struct vmf_error *err)
{
	struct vmf_map_target target;
	char *sample;
	int rc;

	if (strchr(rule->from, '/') != NULL || rule->from[0] == '\0')
		return vmf_fail(err, VMF_USAGE,
		    "'%s' is no disk's target name (vda, sdb); for a path "
		    "use --map-path",
		    rule->from);
	if (stars > 1)
		return vmf_fail(
		    err, VMF_USAGE, "only one * can stand in a target");
	/* A target must be sound with any base name. */
	if (asprintf(&sample, "%.*s%s%s",
		rule->star == NO_STAR ? 0 : (int)rule->star, rule->to,
		rule->star == NO_STAR ? "" : "x",
		rule->to + (rule->star == NO_STAR ? 0 : rule->star)) == -1)
		return no_memory(err);
	rc = vmf_map_target_parse(sample, &target, err);
	free(sample);
	if (rc == 0 && strcmp(rule->from, ANY_DISK) == 0 &&
	    rule->star == NO_STAR && target.kind != VMF_TARGET_PART)
		return vmf_fail(err, VMF_USAGE,
		    "with * for every disk, the target needs a * for its name");
	return rc;
}

/* Paths are compared plain; firmware may also be given a name for "auto". */
static int
check_path(struct rule *rule, struct vmf_error *err)
{
	char *from = vmf_map_path_plain(rule->from);
	char *to = vmf_map_path_plain(rule->to);

	if (from == NULL || to == NULL) {
		free(from);
		free(to);
		return vmf_fail(err, VMF_USAGE,
		    "'%s': both sides must be absolute paths without '..'",
		    rule->text);
	}
	free(rule->from);
	rule->from = from;
	free(to);
	return 0;
}

static int
check_net(struct rule *rule, struct vmf_error *err)
{
	char from[VMF_MAP_MAC_TEXT], to[VMF_MAP_MAC_TEXT];
	struct vmf_map_link link;
	bool mac_from = vmf_map_mac_plain(rule->from, from);
	bool mac_to = vmf_map_mac_plain(rule->to, to);

	if (mac_from)
		strcpy(rule->from, from);
	else if (vmf_map_rule_link(rule->from, &link, err) == -1)
		return -1;
	if (!mac_to)
		return vmf_map_rule_link(rule->to, &link, err);
	strcpy(rule->to, to);
	if (!mac_from)
		return vmf_fail(err, VMF_USAGE,
		    "'%s': a new MAC needs the old MAC to its left",
		    rule->text);
	if (is_multicast(to))
		return vmf_fail(err, VMF_USAGE,
		    "'%s' is a multicast address, not an interface's", to);
	return 0;
}

/* Both sides without escapes, and how many live * stand in each. */
static int
split(struct rule *rule, const char *text, unsigned stars[2],
    struct vmf_error *err)
{
	const char *rest, *end;
	size_t star;

	rule->from = unescape(text, &star, &stars[0], &rest, err);
	if (rule->from == NULL)
		return vmf_wrap(err, "%s", rule->text);
	if (rest == NULL)
		return vmf_fail(
		    err, VMF_USAGE, "%s is not OLD=NEW", rule->text);
	rule->to = unescape(rest, &rule->star, &stars[1], &end, err);
	if (rule->to == NULL)
		return vmf_wrap(err, "%s", rule->text);
	if (end != NULL)
		return vmf_fail(err, VMF_USAGE,
		    "%s has two '='; put \\ before an = within a name",
		    rule->text);
	return 0;
}

int
vmf_map_rule_parse(struct rule *rule, const char *text, struct vmf_error *err)
{
	unsigned stars[2];

	if (asprintf(&rule->text, "--%s %s", vmf_map_rule_options[rule->kind],
		text) == -1) {
		rule->text = NULL;
		return no_memory(err);
	}
	rule->star = NO_STAR;
	if (rule->kind == VMF_MAP_FIRMWARE && strcmp(text, AUTO) == 0) {
		rule->from = strdup(AUTO);
		rule->to = strdup(AUTO);
		return rule->from && rule->to ? 0 : no_memory(err);
	}
	if (split(rule, text, stars, err) == -1)
		return -1;
	if (rule->kind == VMF_MAP_DISK && stars[0] == 1 &&
	    rule->from[0] == '\0')
		strcpy(
		    rule->from, ANY_DISK); /* it held a * when it was copied */
	else if (stars[0] > 0 || (rule->kind != VMF_MAP_DISK && stars[1] > 0))
		return vmf_fail(err, VMF_USAGE,
		    "%s: a * stands alone for every disk, or in a disk's "
		    "target; put \\ before one within a name",
		    rule->text);
	if (rule->kind == VMF_MAP_DISK)
		return check_disk(rule, stars[1], err);
	return rule->kind == VMF_MAP_NET ? check_net(rule, err)
					 : check_path(rule, err);
}
