/*
 * map_rule.h - one rule of a map, for map.c and map_rule.c only
 *
 * A rule keeps both sides unescaped.  In the right side of a disk rule the
 * one live * is cut out, and its place remembered.
 */
#ifndef VMFERRY_MAP_RULE_H
#define VMFERRY_MAP_RULE_H

#include <stdint.h>

#include <vmferry/map.h>

#define NO_STAR	 SIZE_MAX
#define ANY_DISK "*"
#define AUTO	 "auto"

struct rule {
	enum vmf_map_kind kind;
	char *text; /* as its option, for messages */
	char *from; /* paths: plain */
	char *to;
	size_t star; /* offset in to where the base name goes, or NO_STAR */
	bool used;
};

/* "map", "map-path" ... by enum vmf_map_kind. */
#define RULE_KINDS 4
extern const char *const vmf_map_rule_options[RULE_KINDS];

/* Fill a rule of which only the kind is set; vmf_map_rule_clear() it in any
 * case. */
int
vmf_map_rule_parse(struct rule *rule, const char *text, struct vmf_error *err);
void vmf_map_rule_clear(struct rule *rule);

/* A side of a net rule that is no MAC. */
int vmf_map_rule_link(
    const char *text, struct vmf_map_link *link, struct vmf_error *err);

#endif
