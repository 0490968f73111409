/* held.c - see vmferry/held.h */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vmferry/held.h>
#include <vmferry/io.h>

#define REASON_MAX 4096

/* DIR/UUID; a UUID is checked, since it becomes a file's name. */
static int
mark_path(const char *dir, const char *uuid, char path[REASON_MAX],
    struct vmf_error *err)
{
	if (dir == NULL)
		dir = VMF_HELD_DIR;
	if (strlen(uuid) != 36 ||
	    strspn(uuid, "0123456789abcdef-") != strlen(uuid))
		return vmf_fail(err, VMF_INTERNAL, "'%s' is no UUID", uuid);
	snprintf(path, REASON_MAX, "%s/%s", dir, uuid);
	return 0;
}

int
vmf_held_set(const char *dir, const char *uuid, const char *reason,
    struct vmf_error *err)
{
	char path[REASON_MAX], text[REASON_MAX];
	int len;

	if (mark_path(dir, uuid, path, err) < 0 ||
	    vmf_make_directory(dir == NULL ? VMF_HELD_DIR : dir, err) < 0)
		return -1;
	len = snprintf(text, sizeof(text), "%.2000s\n", reason);
	return vmf_write_file(path, text, (size_t)len, true, err);
}

int
vmf_held_clear(const char *dir, const char *uuid, struct vmf_error *err)
{
	char path[REASON_MAX];

	if (mark_path(dir, uuid, path, err) < 0)
		return -1;
	if (unlink(path) < 0)
		return errno == ENOENT
			   ? 0
			   : vmf_fail_errno(err, VMF_IO, "%s", path);
	return vmf_sync_parent(path, err);
}

int
vmf_held_get(const char *dir, const char *uuid, char *reason, size_t size,
    struct vmf_error *err)
{
	char path[REASON_MAX], *text;

	if (mark_path(dir, uuid, path, err) < 0)
		return -1;
	reason[0] = '\0';
	if (access(path, F_OK) < 0 && errno == ENOENT)
		return 0;
	text = vmf_read_file(path, REASON_MAX, NULL, err);
	if (text == NULL)
		return -1;
	text[strcspn(text, "\n")] = '\0';
	snprintf(reason, size, "%s", text[0] == '\0' ? "held" : text);
	free(text);
	return 0;
}
