/* map_path.c - one spelling for each path; see vmferry/map.h */
#include <stdlib.h>
#include <string.h>

#include <vmferry/map.h>

#define MAPPER "/dev/mapper/"

/* Copy path without doubled slashes, "." parts and a slash at its end. */
static char *
squeeze(const char *path)
{
	char *plain, *to;
	size_t len;

	if (path[0] != '/' || (plain = malloc(strlen(path) + 2)) == NULL)
		return NULL;
	for (to = plain; *path != '\0'; path += len) {
		path += strspn(path, "/");
		len = strcspn(path, "/");
		if (len == 0 || (len == 1 && path[0] == '.'))
			continue;
		if (len == 2 && path[0] == '.' && path[1] == '.') {
			free(plain);
			return NULL;
		}
		*to++ = '/';
		memcpy(to, path, len);
		to += len;
	}
	if (to == plain)
		*to++ = '/';
	*to = '\0';
	return plain;
}

/* The one dash that parts VG from LV in a device-mapper name: lvm2 doubles
 * those within the names.  NULL when there is none, or another (web-real). */
static const char *
parting_dash(const char *name)
{
	const char *p, *found = NULL;

	for (p = name; *p != '\0'; p++) {
		if (*p != '-')
			continue;
		if (p[1] == '-') {
			p++;
			continue;
		}
		if (found != NULL || p == name || p[1] == '\0')
			return NULL;
		found = p;
	}
	return found;
}

/* /dev/mapper/my--vg-web to /dev/my-vg/web, in place: it only shrinks. */
static void
plain_mapper(char *path)
{
	char *name = path + strlen(MAPPER), *to = path + strlen("/dev/"), *from;
	const char *dash;

	if (strncmp(path, MAPPER, strlen(MAPPER)) != 0 ||
	    strchr(name, '/') != NULL || (dash = parting_dash(name)) == NULL)
		return;
	for (from = name; *from != '\0'; from++) {
		*to++ = from == dash ? '/' : *from;
		if (from != dash && from[0] == '-')
			from++;
	}
	*to = '\0';
}

char *
vmf_map_path_plain(const char *path)
{
	char *plain = squeeze(path);

	if (plain != NULL)
		plain_mapper(plain);
	return plain;
}

bool
vmf_map_path_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	if (len == 1 && dir[0] == '/')
		return true;
	return strncmp(path, dir, len) == 0 &&
	       (path[len] == '\0' || path[len] == '/');
}
