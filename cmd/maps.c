/* maps.c - see maps.h */
#include "maps.h"

static int
complain(const struct vmf_error *err)
{
	if (err->class == VMF_USAGE)
		return cli_misuse("%s", err->msg);
	cli_say("%s", err->msg);
	return (int)err->class;
}

int
cli_maps(int opt, const char *arg, struct vmf_map **map)
{
	struct vmf_error err;
	int rc;

	if (opt < CLI_MAPS || opt > CLI_MAPS + 4)
		return -1;
	if (*map == NULL && (*map = vmf_map_new(&err)) == NULL)
		return complain(&err);
	if (opt == CLI_MAPS + 4)
		rc = vmf_map_add_file(*map, arg, &err);
	else
		rc = vmf_map_add(
		    *map, (enum vmf_map_kind)(opt - CLI_MAPS), arg, &err);
	return rc == 0 ? 0 : complain(&err);
}

int
cli_maps_check(const struct vmf_map *map)
{
	struct vmf_error err;

	if (map == NULL || vmf_map_check(map, &err) == 0)
		return 0;
	return complain(&err);
}

void
cli_maps_unused(const struct vmf_map *map, bool quiet)
{
	const char *rule;
	size_t i;

	if (map == NULL || quiet)
		return;
	for (i = 0; (rule = vmf_map_unused(map, i)) != NULL; i++)
		cli_say("warning: %s matched nothing", rule);
}
