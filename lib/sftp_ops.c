/* sftp_ops.c - names at the far side: stat, mkdir, rename, ... */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sftp_internal.h"

#define MAX_NAME 4096

/* A request of one path, whose reply ends up in call. */
static int
call_path(struct vmf_sftp *sftp, uint8_t type, const char *path,
    struct sftp_call *call, struct vmf_error *err)
{
	size_t len = strlen(path);

	if (vmf_sftp_make_room(sftp, err) < 0 ||
	    vmf_sftp_begin(sftp, type, len, vmf_sftp_call_done, call, err) < 0)
		return -1;
	vmf_sftp_put_string(sftp, path, len);
	return vmf_sftp_call_wait(sftp, call, err);
}

static bool
is_status(const struct sftp_call *call, uint32_t status)
{
	return call->reply.type == FXP_STATUS && call->reply.status == status;
}

int
vmf_sftp_stat(struct vmf_sftp *sftp, const char *path, struct vmf_sftp_stat *st,
    struct vmf_error *err)
{
	struct sftp_call call = {.done = false};
	int rc = -1;

	memset(st, 0, sizeof(*st));
	if (call_path(sftp, FXP_STAT, path, &call, err) < 0)
		goto out;
	if (is_status(&call, FX_NO_SUCH_FILE)) {
		st->type = VMF_SFTP_ABSENT;
		rc = 0;
	} else if (call.reply.type != FXP_ATTRS) {
		vmf_sftp_refused(sftp, path, "stat", &call.reply, err);
	} else if (!vmf_sftp_get_attrs(&call.reply, st)) {
		vmf_sftp_nonsense(sftp, err);
	} else {
		rc = 0;
	}
out:
	vmf_sftp_call_free(&call);
	return rc;
}

int
vmf_sftp_space(struct vmf_sftp *sftp, const char *path, uint64_t *bytes,
    struct vmf_error *err)
{
	static const char name[] = "statvfs@openssh.com";
	struct sftp_call call = {.done = false};
	uint64_t bsize, frsize, blocks, bfree, bavail;
	size_t len = strlen(path);
	int rc = -1;

	*bytes = UINT64_MAX;
	if (!sftp->has_statvfs)
		return 0;
	if (vmf_sftp_make_room(sftp, err) < 0 ||
	    vmf_sftp_begin(sftp, FXP_EXTENDED, sizeof(name) + len,
		vmf_sftp_call_done, &call, err) < 0)
		return -1;
	vmf_sftp_put_string(sftp, name, sizeof(name) - 1);
	vmf_sftp_put_string(sftp, path, len);
	if (vmf_sftp_call_wait(sftp, &call, err) < 0)
		goto out;
	rc = 0;
	if (call.reply.type != FXP_EXTENDED_REPLY)
		goto out; /* it cannot say */
	if (!vmf_sftp_get64(&call.reply, &bsize) ||
	    !vmf_sftp_get64(&call.reply, &frsize) ||
	    !vmf_sftp_get64(&call.reply, &blocks) ||
	    !vmf_sftp_get64(&call.reply, &bfree) ||
	    !vmf_sftp_get64(&call.reply, &bavail)) {
		rc = vmf_sftp_nonsense(sftp, err);
		goto out;
	}
	if (__builtin_mul_overflow(bavail, frsize, bytes))
		*bytes = UINT64_MAX;
out:
	vmf_sftp_call_free(&call);
	return rc;
}

int
vmf_sftp_mkdir(struct vmf_sftp *sftp, const char *path, struct vmf_error *err)
{
	struct sftp_call call = {.done = false};
	struct vmf_sftp_stat st;
	size_t len = strlen(path);
	int rc = -1;

	if (vmf_sftp_make_room(sftp, err) < 0 ||
	    vmf_sftp_begin(
		sftp, FXP_MKDIR, len + 8, vmf_sftp_call_done, &call, err) < 0)
		return -1;
	vmf_sftp_put_string(sftp, path, len);
	vmf_sftp_put32(sftp, 4); /* permissions alone */
	vmf_sftp_put32(sftp, 0700);
	if (vmf_sftp_call_wait(sftp, &call, err) < 0)
		goto out;
	if (is_status(&call, FX_OK)) {
		rc = 0;
	} else if (is_status(&call, FX_FAILURE) &&
		   vmf_sftp_stat(sftp, path, &st, err) == 0 &&
		   st.type == VMF_SFTP_DIR) {
		rc = 0;
	} else {
		vmf_sftp_refused(sftp, path, "mkdir", &call.reply, err);
	}
out:
	vmf_sftp_call_free(&call);
	return rc;
}

static int
remove_kind(struct vmf_sftp *sftp, uint8_t type, const char *path,
    struct vmf_error *err)
{
	struct sftp_call call = {.done = false};
	int rc = -1;

	if (call_path(sftp, type, path, &call, err) < 0)
		goto out;
	if (is_status(&call, FX_OK) || is_status(&call, FX_NO_SUCH_FILE))
		rc = 0;
	else
		vmf_sftp_refused(sftp, path, "remove", &call.reply, err);
out:
	vmf_sftp_call_free(&call);
	return rc;
}

int
vmf_sftp_rmdir(struct vmf_sftp *sftp, const char *path, struct vmf_error *err)
{
	return remove_kind(sftp, FXP_RMDIR, path, err);
}

int
vmf_sftp_remove(struct vmf_sftp *sftp, const char *path, struct vmf_error *err)
{
	return remove_kind(sftp, FXP_REMOVE, path, err);
}

static int
call_rename(struct vmf_sftp *sftp, const char *from, const char *to, bool posix,
    struct sftp_call *call, struct vmf_error *err)
{
	static const char name[] = "posix-rename@openssh.com";

	if (vmf_sftp_make_room(sftp, err) < 0 ||
	    vmf_sftp_begin(sftp, posix ? FXP_EXTENDED : FXP_RENAME,
		sizeof(name) + strlen(from) + strlen(to), vmf_sftp_call_done,
		call, err) < 0)
		return -1;
	if (posix)
		vmf_sftp_put_string(sftp, name, sizeof(name) - 1);
	vmf_sftp_put_string(sftp, from, strlen(from));
	vmf_sftp_put_string(sftp, to, strlen(to));
	return vmf_sftp_call_wait(sftp, call, err);
}

int
vmf_sftp_rename(struct vmf_sftp *sftp, const char *from, const char *to,
    bool replace, struct vmf_error *err)
{
	struct sftp_call call = {.done = false};
	bool posix = replace && sftp->has_posix_rename;
	struct vmf_sftp_stat st;
	int rc = -1;

	/* -P posix-rename and older servers: away with it, then as usual. */
	if (replace && !posix && vmf_sftp_remove(sftp, to, err) < 0)
		return -1;
	if (call_rename(sftp, from, to, posix, &call, err) < 0)
		goto out;
	if (is_status(&call, FX_OK)) {
		rc = 0;
		goto out;
	}
	/* "Exists" has no status of its own: look. */
	if (!replace && is_status(&call, FX_FAILURE) &&
	    vmf_sftp_stat(sftp, to, &st, err) == 0 &&
	    st.type != VMF_SFTP_ABSENT)
		vmf_fail(err, VMF_REFUSED,
		    "%s: %s: exists already; choose another name or ask to "
		    "overwrite it",
		    sftp->carrier.name, to);
	else
		vmf_sftp_refused(sftp, to, "rename", &call.reply, err);
out:
	vmf_sftp_call_free(&call);
	return rc;
}

/* --- directories */

struct listing {
	int (*each)(void *ctx, const char *name, const struct vmf_sftp_stat *st,
	    struct vmf_error *err);
	void *ctx;
};

static int
take_names(struct vmf_sftp *sftp, struct sftp_reply *r,
    const struct listing *list, struct vmf_error *err)
{
	const uint8_t *name, *longname;
	struct vmf_sftp_stat st;
	char copy[MAX_NAME];
	size_t n, m;
	uint32_t count;

	if (!vmf_sftp_get32(r, &count))
		return vmf_sftp_nonsense(sftp, err);
	for (; count > 0; count--) {
		if (!vmf_sftp_get_string(r, &name, &n) ||
		    !vmf_sftp_get_string(r, &longname, &m) ||
		    !vmf_sftp_get_attrs(r, &st))
			return vmf_sftp_nonsense(sftp, err);
		/* A name is one component: nothing that leads elsewhere. */
		if (n == 0 || n >= sizeof(copy) ||
		    memchr(name, '/', n) != NULL || memchr(name, 0, n) != NULL)
			return vmf_sftp_nonsense(sftp, err);
		memcpy(copy, name, n);
		copy[n] = '\0';
		if (strcmp(copy, ".") == 0 || strcmp(copy, "..") == 0)
			continue;
		if (list->each(list->ctx, copy, &st, err) < 0)
			return -1;
	}
	return 0;
}

/* 1: more to come, 0: the end */
static int
read_names(struct vmf_sftp *sftp, const char *path, const uint8_t *handle,
    size_t len, const struct listing *list, struct vmf_error *err)
{
	struct sftp_call call = {.done = false};
	int rc = -1;

	if (vmf_sftp_make_room(sftp, err) < 0 ||
	    vmf_sftp_begin(
		sftp, FXP_READDIR, len, vmf_sftp_call_done, &call, err) < 0)
		return -1;
	vmf_sftp_put_string(sftp, handle, len);
	if (vmf_sftp_call_wait(sftp, &call, err) < 0)
		goto out;
	if (is_status(&call, FX_EOF))
		rc = 0;
	else if (call.reply.type != FXP_NAME)
		vmf_sftp_refused(sftp, path, "list", &call.reply, err);
	else if (take_names(sftp, &call.reply, list, err) == 0)
		rc = 1;
out:
	vmf_sftp_call_free(&call);
	return rc;
}

int
vmf_sftp_list(struct vmf_sftp *sftp, const char *path,
    int (*each)(void *ctx, const char *name, const struct vmf_sftp_stat *st,
	struct vmf_error *err),
    void *ctx, struct vmf_error *err)
{
	struct listing list = {.each = each, .ctx = ctx};
	struct sftp_call call = {.done = false}, end = {.done = false};
	const uint8_t *handle;
	size_t len;
	int rc = -1;

	if (call_path(sftp, FXP_OPENDIR, path, &call, err) < 0)
		goto out;
	if (call.reply.type != FXP_HANDLE) {
		vmf_sftp_refused(sftp, path, "list", &call.reply, err);
		goto out;
	}
	if (!vmf_sftp_get_string(&call.reply, &handle, &len) ||
	    len > SFTP_HANDLE) {
		vmf_sftp_nonsense(sftp, err);
		goto out;
	}
	do
		rc = read_names(sftp, path, handle, len, &list, err);
	while (rc > 0);
	/* Best effort: the handle ends with the session anyway. */
	if (!sftp->dead && vmf_sftp_make_room(sftp, NULL) == 0 &&
	    vmf_sftp_begin(
		sftp, FXP_CLOSE, len, vmf_sftp_call_done, &end, NULL) == 0) {
		vmf_sftp_put_string(sftp, handle, len);
		(void)vmf_sftp_call_wait(sftp, &end, NULL);
	}
out:
	vmf_sftp_call_free(&end);
	vmf_sftp_call_free(&call);
	return rc;
}
