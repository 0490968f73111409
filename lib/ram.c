/* ram.c - see vmferry/ram.h */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vmferry/ram.h>
#include <vmferry/savefile.h>

#define RUN_DIR	  "/run/vmferry"
#define PATH_ROOM 256
#define TICK_MS	  50

/* A call of libvirt's in a thread of its own, with a FIFO as its file. */
struct call {
	struct vmf_host *host;
	char *text; /* of the domain's name, or XML, or NULL */
	enum vmf_host_resume resume;
	char dir[PATH_ROOM], path[PATH_ROOM + 8];
	struct vmf_progress *progress;
	pthread_t thread;
	bool started;
	int done; /* eventfd, readable when it has returned */
	int rc;
	struct vmf_error err;
};

static int
call_prepare(struct call *call, struct vmf_host *host, const char *text,
    const char *dir, struct vmf_progress *progress, struct vmf_error *err)
{
	call->host = host;
	call->progress = progress;
	call->done = eventfd(0, EFD_CLOEXEC);
	if (dir == NULL)
		dir = RUN_DIR;
	if (call->done < 0 ||
	    (text != NULL && (call->text = strdup(text)) == NULL))
		return vmf_fail_errno(err, VMF_IO, "%s", dir);
	if (vmf_make_directory(dir, err) < 0)
		return -1;
	snprintf(call->dir, sizeof(call->dir), "%s/ram.XXXXXX", dir);
	if (mkdtemp(call->dir) == NULL) {
		vmf_fail_errno(err, VMF_IO, "%s", call->dir);
		call->dir[0] = '\0';
		return -1;
	}
	snprintf(call->path, sizeof(call->path), "%s/ram", call->dir);
	return 0;
}

/* A new FIFO under the name, opened like this; -1 on failure. */
static int
call_fifo(struct call *call, int flags, struct vmf_error *err)
{
	int fd;

	if (mkfifo(call->path, 0600) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", call->path);
	fd = open(call->path, flags | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", call->path);
	return fd;
}

static void
call_ended(struct call *call)
{
	const uint64_t one = 1;

	/* An eventfd that is not full takes it. */
	while (write(call->done, &one, sizeof(one)) < 0 && errno == EINTR)
		continue;
}

static int
call_start(struct call *call, void *(*run)(void *), struct vmf_error *err)
{
	int n = pthread_create(&call->thread, NULL, run, call);

	if (n != 0) {
		errno = n;
		return vmf_fail_errno(err, VMF_IO, "thread");
	}
	call->started = true;
	return 0;
}

/* Wait for events on fd, for the call's return or for the next look; *returned
 * tells of the second. */
static int
call_wait(struct call *call, int fd, short events, bool *returned,
    struct vmf_error *err)
{
	struct pollfd p[2] = {
	    {.fd = call->done, .events = POLLIN},
	    {.fd = fd, .events = events},
	};

	if (vmf_progress_check(call->progress, err) < 0)
		return -1;
	if (poll(p, 2, TICK_MS) < 0 && errno != EINTR)
		return vmf_fail_errno(err, VMF_IO, "%s", call->path);
	*returned = (p[0].revents & POLLIN) != 0;
	/* No writer for now: poll would come back at once for ever. */
	if (!*returned && (p[1].revents & (POLLHUP | POLLIN)) == POLLHUP)
		poll(p, 1, TICK_MS);
	return 0;
}

static void
call_join(struct call *call)
{
	if (call->started)
		pthread_join(call->thread, NULL);
	call->started = false;
}

static void
call_clear(struct call *call)
{
	call_join(call);
	if (call->dir[0] != '\0') {
		unlink(call->path);
		rmdir(call->dir);
	}
	if (call->done >= 0)
		close(call->done);
	free(call->text);
}

/* --- saving */

struct vmf_ram_save {
	struct call call;
	int fd;	    /* the first FIFO, to read */
	int second; /* both ends of the one that libvirtd must wait at */
	bool ended; /* all of the RAM was read */
	uint64_t off;
	uint8_t head[VMF_SAVEFILE_HEAD]; /* as a complete file has it */
};

static void *
save_run(void *arg)
{
	struct call *call = arg;

	call->rc = vmf_host_save(
	    call->host, call->text, call->path, call->resume, &call->err);
	call_ended(call);
	return NULL;
}

struct vmf_ram_save *
vmf_ram_save_open(struct vmf_host *host, const char *domain,
    enum vmf_host_resume resume, const char *dir, struct vmf_progress *progress,
    struct vmf_error *err)
{
	struct vmf_ram_save *save = calloc(1, sizeof(*save));

	if (save == NULL) {
		vmf_fail_errno(err, VMF_IO, "%s", domain);
		return NULL;
	}
	save->fd = save->second = save->call.done = -1;
	save->call.resume = resume;
	if (call_prepare(&save->call, host, domain, dir, progress, err) < 0)
		goto fail;
	save->fd = call_fifo(&save->call, O_RDONLY, err);
	if (save->fd < 0 || call_start(&save->call, save_run, err) < 0)
		goto fail;
	return save;
fail:
	vmf_ram_save_free(save);
	return NULL;
}

/*
 * The first FIFO is open at both ends, so its name can be given to the second:
 * libvirtd cannot have come to that one yet, as header and XML alone are more
 * than a pipe holds.
 */
static int
make_second(struct vmf_ram_save *save, struct vmf_error *err)
{
	static const char junk[4096];

	if (unlink(save->call.path) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", save->call.path);
	save->second = call_fifo(&save->call, O_RDWR, err);
	if (save->second < 0)
		return -1;
	while (write(save->second, junk, sizeof(junk)) > 0)
		continue;
	if (errno != EAGAIN)
		return vmf_fail_errno(err, VMF_IO, "%s", save->call.path);
	return 0;
}

/* Up to len bytes of the first FIFO; 0: its end. */
static int
read_some(struct vmf_ram_save *save, void *buf, size_t len, size_t *got,
    struct vmf_error *err)
{
	bool returned = false;
	ssize_t n;

	for (;;) {
		n = read(save->fd, buf, len);
		if (n > 0 || (n == 0 && save->second >= 0))
			break;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return vmf_fail_errno(
			    err, VMF_IO, "%s", save->call.path);
		/* It cannot return well: the second FIFO is full. */
		if (returned) {
			call_join(&save->call);
			*err = save->call.err;
			return -1;
		}
		if (call_wait(&save->call, save->fd, POLLIN, &returned, err) <
		    0)
			return -1;
	}
	if (n > 0 && save->second < 0 && make_second(save, err) < 0)
		return -1;
	*got = (size_t)n;
	return 0;
}

/* Keep the header and make it that of a complete file on its way. */
static void
take_head(struct vmf_ram_save *save, uint8_t *buf, size_t len)
{
	size_t n = VMF_SAVEFILE_HEAD - (size_t)save->off;

	n = len < n ? len : n;
	memcpy(save->head + save->off, buf, n);
	/* The magic is changed byte by byte: it may come in two reads. */
	vmf_savefile_complete(save->head);
	memcpy(buf, save->head + save->off, n);
}

static int
save_read(void *ctx, void *buf, size_t len, size_t *got, struct vmf_error *err)
{
	struct vmf_ram_save *save = ctx;
	uint8_t *p = buf;
	size_t n = 0;

	*got = 0;
	while (*got < len && !save->ended) {
		if (read_some(save, p + *got, len - *got, &n, err) < 0)
			return vmf_wrap(err, "RAM of %s", save->call.text);
		save->ended = n == 0;
		if (save->off < VMF_SAVEFILE_HEAD)
			take_head(save, p + *got, n);
		save->off += n;
		*got += n;
	}
	return 0;
}

struct vmf_in
vmf_ram_save_in(struct vmf_ram_save *save)
{
	return (struct vmf_in){.read = save_read, .ctx = save};
}

/*
 * Take out what fills the second FIFO, then libvirtd's header and whatever
 * comes after it, until libvirt has returned.  Only the header is kept.
 */
static int
read_final(struct vmf_ram_save *save, uint8_t head[VMF_SAVEFILE_HEAD],
    size_t *len, struct vmf_error *err)
{
	uint8_t buf[4096];
	bool returned = false;
	size_t take;
	ssize_t n;

	for (*len = 0;;) {
		n = read(save->second, buf, sizeof(buf));
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return vmf_fail_errno(
			    err, VMF_IO, "%s", save->call.path);
		/* Our own filling is whole pages. */
		if (n > 0 && (n < (ssize_t)sizeof(buf) || *len > 0)) {
			take = VMF_SAVEFILE_HEAD - *len;
			take = (size_t)n < take ? (size_t)n : take;
			memcpy(head + *len, buf, take);
			*len += take;
		}
		if (n > 0)
			continue;
		if (returned)
			return 0;
		/* From here on there is no way back: no stop is heeded. */
		save->call.progress = NULL;
		if (call_wait(
			&save->call, save->second, POLLIN, &returned, err) < 0)
			return -1;
	}
}

int
vmf_ram_save_commit(struct vmf_ram_save *save, struct vmf_error *err)
{
	uint8_t head[VMF_SAVEFILE_HEAD];
	size_t len = 0;

	if (!save->ended || save->second < 0)
		return vmf_fail(err, VMF_INTERNAL,
		    "%s: its RAM was not read to the end", save->call.text);
	if (read_final(save, head, &len, err) < 0)
		return -1;
	call_join(&save->call);
	if (save->call.rc < 0) {
		*err = save->call.err;
		return -1;
	}
	if (len != sizeof(head) || memcmp(head, save->head, len) != 0)
		return vmf_fail(err, VMF_INTEGRITY,
		    "%s: libvirt ended the save with another header than it "
		    "began with; its state may not be restored",
		    save->call.text);
	return 0;
}

void
vmf_ram_save_free(struct vmf_ram_save *save)
{
	struct vmf_error ignored;

	if (save == NULL)
		return;
	/*
	 * With no reader left libvirtd's next write fails, and with no name
	 * its next open: the save fails, and the guest goes on.
	 */
	if (save->call.path[0] != '\0')
		unlink(save->call.path);
	if (save->fd >= 0)
		close(save->fd);
	if (save->second >= 0)
		close(save->second);
	if (save->call.started && !save->ended)
		vmf_host_abort_job(save->call.host, save->call.text, &ignored);
	call_clear(&save->call);
	free(save);
}

/* --- restoring */

struct vmf_ram_restore {
	struct call call;
	int fd; /* both ends, until all was written */
};

static void *
restore_run(void *arg)
{
	struct call *call = arg;

	call->rc = vmf_host_restore(
	    call->host, call->path, call->text, call->resume, &call->err);
	call_ended(call);
	return NULL;
}

struct vmf_ram_restore *
vmf_ram_restore_open(struct vmf_host *host, const char *xml,
    enum vmf_host_resume resume, const char *dir, struct vmf_progress *progress,
    struct vmf_error *err)
{
	struct vmf_ram_restore *restore = calloc(1, sizeof(*restore));

	if (restore == NULL) {
		vmf_fail_errno(err, VMF_IO, "restore");
		return NULL;
	}
	restore->fd = restore->call.done = -1;
	restore->call.resume = resume;
	if (call_prepare(&restore->call, host, xml, dir, progress, err) < 0)
		goto fail;
	/* Both ends, so that libvirtd's open need not wait for ours nor ours
	 * for libvirtd's. */
	restore->fd = call_fifo(&restore->call, O_RDWR, err);
	if (restore->fd < 0 || call_start(&restore->call, restore_run, err) < 0)
		goto fail;
	return restore;
fail:
	vmf_ram_restore_free(restore);
	return NULL;
}

static int
restore_write(void *ctx, const void *buf, size_t len, struct vmf_error *err)
{
	struct vmf_ram_restore *restore = ctx;
	const uint8_t *p = buf;
	bool returned = false;
	ssize_t n;

	while (len > 0) {
		if (returned) {
			call_join(&restore->call);
			if (restore->call.rc == 0)
				return vmf_fail(err, VMF_HYPERVISOR,
				    "restored before its state had ended");
			*err = restore->call.err;
			return -1;
		}
		n = write(restore->fd, p, len);
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		} else if (errno != EAGAIN && errno != EINTR) {
			return vmf_fail_errno(
			    err, VMF_IO, "%s", restore->call.path);
		}
		if (call_wait(&restore->call, restore->fd, POLLOUT, &returned,
			err) < 0)
			return -1;
	}
	return 0;
}

struct vmf_out
vmf_ram_restore_out(struct vmf_ram_restore *restore)
{
	return (struct vmf_out){.write = restore_write, .ctx = restore};
}

int
vmf_ram_restore_commit(struct vmf_ram_restore *restore, struct vmf_error *err)
{
	close(restore->fd);
	restore->fd = -1;
	call_join(&restore->call);
	if (restore->call.rc < 0)
		*err = restore->call.err;
	return restore->call.rc;
}

void
vmf_ram_restore_free(struct vmf_ram_restore *restore)
{
	if (restore == NULL)
		return;
	if (restore->call.path[0] != '\0')
		unlink(restore->call.path);
	if (restore->fd >= 0)
		close(restore->fd);
	call_clear(&restore->call);
	free(restore);
}
