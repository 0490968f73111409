/* map_target.c - where a disk goes; see vmferry/map.h */
#include <stdlib.h>
#include <string.h>

#include <vmferry/map.h>

#define LVM_NAME_MAX 127 /* lvm2's NAME_LEN, less its NUL */

/* lvm2's own rule for names of groups and volumes, lvm(8). */
static bool
is_lvm_name(const char *s)
{
	size_t len = strlen(s);

	return len > 0 && len <= LVM_NAME_MAX && s[0] != '-' &&
	       strcmp(s, ".") != 0 && strcmp(s, "..") != 0 &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			 "0123456789+_.-") == len;
}

/* Copy the part of text before the first '/' and return what follows it. */
static const char *
take_part(const char *text, char part[VMF_MAP_NAME_MAX])
{
	size_t len = strcspn(text, "/");

	if (len == 0 || len >= VMF_MAP_NAME_MAX)
		return NULL;
	memcpy(part, text, len);
	part[len] = '\0';
	return text[len] == '/' ? text + len + 1 : text + len;
}

static int
parse_pool(
    const char *text, struct vmf_map_target *target, struct vmf_error *err)
{
	const char *rest = take_part(text + strlen("pool:"), target->group);

	if (rest == NULL || (rest = take_part(rest, target->name)) == NULL ||
	    *rest != '\0')
		return vmf_fail(
		    err, VMF_USAGE, "'%s' is not pool:NAME/VOLUME", text);
	target->kind = VMF_TARGET_POOL;
	return 0;
}

static int
parse_lv(const char *text, struct vmf_map_target *target, struct vmf_error *err)
{
	const char *rest = take_part(text + strlen("lv:"), target->group);

	target->kind = VMF_TARGET_LV;
	if (rest != NULL)
		rest = take_part(rest, target->name);
	if (rest != NULL && *rest != '\0') {
		target->kind = VMF_TARGET_THIN_LV;
		memcpy(target->thin, target->name, sizeof(target->thin));
		rest = take_part(rest, target->name);
	}
	if (rest == NULL || *rest != '\0' || !is_lvm_name(target->group) ||
	    !is_lvm_name(target->name) ||
	    (target->thin[0] != '\0' && !is_lvm_name(target->thin)))
		return vmf_fail(err, VMF_USAGE,
		    "'%s' is not lv:VG/LV or lv:VG/POOL/LV with names that "
		    "LVM takes",
		    text);
	/* No longer than 5 + 127 + 1 + 127 bytes. */
	strcpy(target->path, "/dev/");
	strcat(target->path, target->group);
	strcat(target->path, "/");
	strcat(target->path, target->name);
	return 0;
}

static int
parse_path(const char *text, enum vmf_map_target_kind kind,
    struct vmf_map_target *target, struct vmf_error *err)
{
	char *plain;

	if (text[0] != '/')
		return vmf_fail(err, VMF_USAGE,
		    "'%s' is neither an absolute path nor pool:NAME/VOLUME, "
		    "lv:VG/LV, lv:VG/POOL/LV or part:/dev/DISK",
		    text);
	if ((plain = vmf_map_path_plain(text)) == NULL || plain[1] == '\0') {
		free(plain);
		return vmf_fail(err, VMF_USAGE,
		    "'%s': write the path without '..' parts", text);
	}
	if (strlen(text) >= sizeof(target->path)) {
		free(plain);
		return vmf_fail(err, VMF_USAGE, "a path is too long");
	}
	/* tmpfs and hugetlbfs mounts hold files. */
	if (kind == VMF_TARGET_FILE && vmf_map_path_below(plain, "/dev") &&
	    !vmf_map_path_below(plain, "/dev/shm") &&
	    !vmf_map_path_below(plain, "/dev/hugepages"))
		kind = VMF_TARGET_DEVICE;
	target->kind = kind;
	strcpy(target->path, text);
	free(plain);
	return 0;
}

int
vmf_map_target_parse(
    const char *text, struct vmf_map_target *target, struct vmf_error *err)
{
	memset(target, 0, sizeof(*target));
	if (text[0] == '\0') {
		target->kind = VMF_TARGET_EMPTY;
		return 0;
	}
	if (strncmp(text, "pool:", 5) == 0)
		return parse_pool(text, target, err);
	if (strncmp(text, "lv:", 3) == 0)
		return parse_lv(text, target, err);
	if (strncmp(text, "part:", 5) != 0)
		return parse_path(text, VMF_TARGET_FILE, target, err);
	if (parse_path(text + 5, VMF_TARGET_PART, target, err) == -1)
		return -1;
	if (strncmp(target->path, "/dev/", 5) != 0)
		return vmf_fail(
		    err, VMF_USAGE, "'%s' is not part:/dev/DISK", text);
	return 0;
}
