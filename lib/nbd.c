/* nbd.c - see nbd_internal.h */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <vmferry/run.h>
#include <vmferry/units.h>

#include "nbd_internal.h"

#define PIECE	   VMF_MIB /* of a read; several are under way */
#define PIECES_MAX 32	   /* a chunk has at most so many */
#define STATUS_MAX VMF_GIB /* asked for at once */

static int
nbd_fail(struct vmf_error *err, enum vmf_class class, const char *what)
{
	const char *said = nbd_get_error();
	const char *cause = said == NULL ? "failed" : strchr(said, ':');

	/* "nbd_pread: the cause" */
	if (said != NULL)
		cause = cause == NULL ? said : cause + 1 + (cause[1] == ' ');
	vmf_fail(err, class, "%s: %s", what, cause);
	if (err != NULL)
		err->errnum = nbd_get_errno();
	return -1;
}

/* ---- the server -------------------------------------------------------------
 */

/* QEMU's options are separated by commas, which are doubled within values. */
static char *
image_options(
    const char *path, const char *format, bool live, struct vmf_error *err)
{
	struct stat st;
	bool device = stat(path, &st) == 0 && S_ISBLK(st.st_mode);
	char *escaped = malloc(2 * strlen(path) + 1), *to = escaped, *text;
	const char *p;

	if (escaped == NULL)
		goto no_memory;
	for (p = path; *p != '\0'; p++) {
		*to++ = *p;
		if (*p == ',')
			*to++ = ',';
	}
	*to = '\0';
	if (asprintf(&text, "driver=%s,file.driver=%s,file.filename=%s%s",
		format, device ? "host_device" : "file", escaped,
		live ? ",force-share=on" : "") < 0)
		goto no_memory;
	free(escaped);
	return text;
no_memory:
	vmf_fail_errno(err, VMF_IO, "%s", path);
	free(escaped);
	return NULL;
}

/* A directory of our own with a socket in it. */
static int
listen_at(char dir[64], struct sockaddr_un *at, struct vmf_error *err)
{
	int fd;

	memset(at, 0, sizeof(*at));
	at->sun_family = AF_UNIX;
	strcpy(dir, "/tmp/vmferry-nbd.XXXXXX");
	if (mkdtemp(dir) == NULL)
		return vmf_fail_errno(err, VMF_IO, "%s", dir);
	snprintf(at->sun_path, sizeof(at->sun_path), "%s/socket", dir);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)at, sizeof(*at)) < 0 ||
	    listen(fd, 4) < 0) {
		vmf_fail_errno(err, VMF_IO, "%s", at->sun_path);
		if (fd >= 0)
			close(fd);
		unlink(at->sun_path);
		rmdir(dir);
		return -1;
	}
	return fd;
}

static int
begin(struct vmf_nbd *nbd, const char *what, struct vmf_error *err)
{
	memset(nbd, 0, sizeof(*nbd));
	nbd->h = nbd_create();
	if (nbd->h == NULL ||
	    nbd_add_meta_context(nbd->h, LIBNBD_CONTEXT_BASE_ALLOCATION) < 0)
		return nbd_fail(err, VMF_IO, what);
	return 0;
}

static int
look(struct vmf_nbd *nbd, const char *what, struct vmf_error *err)
{
	int64_t size = nbd_get_size(nbd->h);

	if (size < 0)
		return nbd_fail(err, VMF_IO, what);
	nbd->size = (uint64_t)size;
	nbd->extents =
	    nbd_can_meta_context(nbd->h, LIBNBD_CONTEXT_BASE_ALLOCATION) == 1;
	return 0;
}

static int
start_server(struct vmf_nbd *nbd, const char *options, bool writable,
    int socket_fd, struct vmf_error *err)
{
	const char *argv[] = {"qemu-nbd", "--image-opts", "--shared=1",
	    writable ? "--discard=unmap" : "--read-only", "--", options, NULL};
	struct vmf_run run = {.argv = argv};

	nbd->child = vmf_child_start(&run, socket_fd, err);
	return nbd->child == NULL ? -1 : 0;
}

int
vmf_nbd_serve(struct vmf_nbd *nbd, const char *path, const char *format,
    bool writable, bool live, struct vmf_error *err)
{
	char dir[64], *options;
	struct sockaddr_un at;
	int fd, rc;

	if (begin(nbd, path, err) < 0)
		return -1;
	options = image_options(path, format, live, err);
	if (options == NULL)
		return -1;
	fd = listen_at(dir, &at, err);
	if (fd < 0) {
		free(options);
		return -1;
	}
	rc = start_server(nbd, options, writable, fd, err);
	/* It has its own: when it dies, who waits for it is told. */
	close(fd);
	free(options);
	if (rc == 0 && nbd_connect_unix(nbd->h, at.sun_path) < 0) {
		rc = nbd_fail(err, VMF_IO, path);
		/* Its own words are better. */
		if (vmf_child_wait(nbd->child, 2, err) < 0)
			vmf_wrap(err, "%s", path);
	}
	unlink(at.sun_path);
	rmdir(dir);
	return rc < 0 ? -1 : look(nbd, path, err);
}

int
vmf_nbd_connect(struct vmf_nbd *nbd, const char *uri, struct vmf_error *err)
{
	if (begin(nbd, uri, err) < 0)
		return -1;
	if (nbd_connect_uri(nbd->h, uri) < 0)
		return nbd_fail(err, VMF_REMOTE, uri);
	return look(nbd, uri, err);
}

int
vmf_nbd_finish(struct vmf_nbd *nbd, struct vmf_error *err)
{
	if (nbd_shutdown(nbd->h, 0) < 0)
		return nbd_fail(err, VMF_IO, "end of the connection");
	return nbd->child == NULL ? 0 : vmf_child_wait(nbd->child, 60, err);
}

void
vmf_nbd_close(struct vmf_nbd *nbd)
{
	nbd_close(nbd->h);
	vmf_child_free(nbd->child);
	nbd->h = NULL;
	nbd->child = NULL;
}

/* ---- bytes
 * ------------------------------------------------------------------- */

/* Wait for all; libnbd wants each asked after by its cookie. */
static int
wait_for(struct vmf_nbd *nbd, const int64_t *cookies, size_t n,
    struct vmf_error *err)
{
	int rc = 0, done;
	size_t i;

	for (i = 0; i < n; i++) {
		while ((done = nbd_aio_command_completed(
			    nbd->h, (uint64_t)cookies[i])) == 0)
			if (nbd_poll(nbd->h, -1) < 0)
				return nbd_fail(err, VMF_IO, "read");
		if (done < 0)
			rc = nbd_fail(err, VMF_IO, "read");
	}
	return rc;
}

int
vmf_nbd_read(struct vmf_nbd *nbd, void *buf, size_t len, uint64_t off,
    struct vmf_error *err)
{
	int64_t cookies[PIECES_MAX];
	uint8_t *p = buf;
	size_t n, pieces;
	int rc = 0;

	while (rc == 0 && len > 0) {
		for (pieces = 0; pieces < PIECES_MAX && len > 0; pieces++) {
			n = len < PIECE ? len : PIECE;
			cookies[pieces] = nbd_aio_pread(
			    nbd->h, p, n, off, NBD_NULL_COMPLETION, 0);
			if (cookies[pieces] < 0) {
				rc = nbd_fail(err, VMF_IO, "read");
				break;
			}
			p += n;
			off += n;
			len -= n;
		}
		/* Those under way write into buf: wait, whatever happened. */
		if (wait_for(nbd, cookies, pieces, rc < 0 ? NULL : err) < 0)
			rc = -1;
	}
	return rc;
}

int
vmf_nbd_write(struct vmf_nbd *nbd, const void *buf, size_t len, uint64_t off,
    struct vmf_error *err)
{
	if (nbd_pwrite(nbd->h, buf, len, off, 0) < 0)
		return nbd_fail(err, VMF_IO, "write");
	return 0;
}

int
vmf_nbd_flush(struct vmf_nbd *nbd, struct vmf_error *err)
{
	if (nbd_flush(nbd->h, 0) < 0)
		return nbd_fail(err, VMF_IO, "sync");
	return 0;
}

/* ---- extents
 * ------------------------------------------------------------------ */

/* Called with pairs of length and flags, from where was asked on. */
static int
take_extents(void *arg, const char *context, uint64_t off, uint32_t *entries,
    size_t n, int *error)
{
	struct vmf_extent *ext = arg;
	enum vmf_extent_kind kind;
	size_t i;

	(void)error;
	if (strcmp(context, LIBNBD_CONTEXT_BASE_ALLOCATION) != 0 ||
	    ext->len != 0 || off != ext->off)
		return 0;
	for (i = 0; i + 1 < n; i += 2) {
		kind = (entries[i + 1] & LIBNBD_STATE_ZERO) != 0
			   ? VMF_EXTENT_ZERO
			   : VMF_EXTENT_DATA;
		if (ext->len != 0 && kind != ext->kind)
			break;
		ext->kind = kind;
		ext->len += entries[i];
	}
	return 0;
}

int
vmf_nbd_extent(struct vmf_nbd *nbd, uint64_t off, struct vmf_extent *ext,
    struct vmf_error *err)
{
	uint64_t left = nbd->size - off;
	uint64_t ask = left < STATUS_MAX ? left : STATUS_MAX;

	(void)err;
	*ext = (struct vmf_extent){.off = off};
	/* A server that cannot tell, or only now and then, has data. */
	if (nbd->extents)
		nbd_block_status(nbd->h, ask, off,
		    (nbd_extent_callback){
			.callback = take_extents, .user_data = ext},
		    0);
	if (ext->len == 0) {
		ext->len = nbd->extents ? ask : left;
		ext->kind = VMF_EXTENT_DATA;
	}
	if (ext->len > left)
		ext->len = left;
	return 0;
}
