/*
 * maps.h - the options of every tool that takes maps
 *
 * In a tool: CLI_MAPS_LONG among its long options, cli_maps() in the default
 * case of its option loop, cli_maps_check() after the last option, and
 * cli_maps_unused() when the maps have been applied.
 */
#ifndef VMFERRY_MAPS_H
#define VMFERRY_MAPS_H

#include <stdbool.h>

#include <vmferry/map.h>

#include "cli.h"

/* Values far from those tools count up from CLI_OPT. */
#define CLI_MAPS (CLI_OPT + 1000)
#define CLI_MAPS_LONG                                                          \
	{"map", required_argument, NULL, CLI_MAPS + VMF_MAP_DISK},             \
	    {"map-path", required_argument, NULL, CLI_MAPS + VMF_MAP_PATH},    \
	    {"map-net", required_argument, NULL, CLI_MAPS + VMF_MAP_NET},      \
	    {"map-firmware", required_argument, NULL,                          \
		CLI_MAPS + VMF_MAP_FIRMWARE},                                  \
	{                                                                      \
		"map-file", required_argument, NULL, CLI_MAPS + 4              \
	}

/*
 * opt is one of the options above: add its rule to *map, which is made when
 * NULL (the caller frees it).  0: done; -1: not one of them; else a line was
 * said and this is the exit status.
 */
int cli_maps(int opt, const char *arg, struct vmf_map **map);
/* The set makes sense (map may be NULL): 0, or the exit status. */
int cli_maps_check(const struct vmf_map *map);
/* Say which rules matched nothing; quiet: say nothing. */
void cli_maps_unused(const struct vmf_map *map, bool quiet);

#endif
