/* upload.c - see vmferry/transfer.h */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transfer.h"

struct vmf_upload {
	struct crew crew;
	char *path; /* crew.path is PATH.part */
	bool made;  /* PATH.part is there and ours */
	bool committed;

	/* Under the crew's mutex. */
	struct block **all; /* for freeing */
	unsigned n_blocks, max_blocks;
	struct block *free;
	struct block *first, **last; /* the queue */
	bool ended;

	struct block *filling; /* the caller's */
	struct vmf_rate rate;
	uint64_t size; /* announced */
	uint64_t off;  /* written so far */
};

/* --- blocks */

static struct block *
take(struct crew *crew, bool *done)
{
	struct vmf_upload *up = (struct vmf_upload *)crew;
	struct block *block = up->first;

	if (block == NULL) {
		*done = up->ended;
		return NULL;
	}
	up->first = block->next;
	if (up->first == NULL)
		up->last = &up->first;
	return block;
}

static void
finished(struct crew *crew, struct block *block)
{
	struct vmf_upload *up = (struct vmf_upload *)crew;

	if (crew->options.progress != NULL && !crew->options.uncounted)
		atomic_fetch_add(&crew->options.progress->done, block->len);
	pthread_mutex_lock(&crew->mutex);
	block->next = up->free;
	up->free = block;
	pthread_cond_broadcast(&crew->changed);
	pthread_mutex_unlock(&crew->mutex);
}

static int
request(struct block *block, bool *all, struct vmf_error *err)
{
	return vmf_sftp_op_write(&block->op, block->data, all, err);
}

static struct block *
new_block(void)
{
	struct block *block = calloc(1, sizeof(*block));

	if (block == NULL)
		return NULL;
	block->data = malloc(BLOCK_SIZE);
	if (block->data == NULL) {
		free(block);
		return NULL;
	}
	return block;
}

/* All blocks ever made, so that they can be freed wherever they are. */
static int
more_blocks(struct vmf_upload *up, struct vmf_error *err)
{
	struct block *block = new_block();

	if (block == NULL)
		return vmf_fail_errno(err, VMF_IO, "%s", up->path);
	up->all[up->n_blocks++] = block;
	block->next = up->free;
	up->free = block;
	return 0;
}

/* A block to fill, when there is one: this is the back-pressure. */
static int
get_block(struct vmf_upload *up, struct vmf_error *err)
{
	int rc = 0;

	pthread_mutex_lock(&up->crew.mutex);
	while (up->free == NULL && rc == 0) {
		if (up->n_blocks < up->max_blocks)
			rc = more_blocks(up, err);
		else
			rc = vmf_transfer_wait(&up->crew, err);
	}
	/* Also when blocks abound: what fails is told soon. */
	if (rc == 0 && up->crew.failed) {
		*err = up->crew.error;
		rc = -1;
	}
	if (rc == 0) {
		up->filling = up->free;
		up->free = up->filling->next;
		up->filling->len = 0;
		up->filling->off = up->off;
		up->filling->next = NULL;
	}
	pthread_mutex_unlock(&up->crew.mutex);
	return rc;
}

static int
queue_block(struct vmf_upload *up, struct vmf_error *err)
{
	struct block *block = up->filling;

	if (block == NULL || block->len == 0)
		return 0;
	if (vmf_rate_wait(
		&up->rate, block->len, up->crew.options.progress, err) < 0)
		return -1;
	up->filling = NULL;
	pthread_mutex_lock(&up->crew.mutex);
	*up->last = block;
	up->last = &block->next;
	vmf_transfer_wake(&up->crew);
	pthread_mutex_unlock(&up->crew.mutex);
	return 0;
}

/* --- the look around before anything is made */

static int
check_target(struct vmf_upload *up, struct vmf_error *err)
{
	struct vmf_sftp *sftp = up->crew.workers[0].sftp;
	const char *host = vmf_sftp_name(sftp);
	struct vmf_sftp_stat st;

	if (up->path[0] == '\0' || up->path[strlen(up->path) - 1] == '/')
		return vmf_fail(err, VMF_USAGE,
		    "%s: %s: names a directory; add the file's name", host,
		    up->path);
	if (vmf_sftp_stat(sftp, up->path, &st, err) < 0)
		return -1;
	if (st.type == VMF_SFTP_DIR)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: %s: is a directory; add the file's name", host,
		    up->path);
	if (st.type == VMF_SFTP_OTHER)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: %s: exists and is not a regular file", host, up->path);
	if (st.type == VMF_SFTP_FILE && !up->crew.options.overwrite)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: %s: exists already; choose another name or "
		    "--overwrite it",
		    host, up->path);
	return 0;
}

/* The directory that path is in; the caller frees it. */
static char *
parent(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return strdup(".");
	return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static int
check_space(struct vmf_upload *up, struct vmf_error *err)
{
	struct vmf_sftp *sftp = up->crew.workers[0].sftp;
	char *dir = parent(up->path);
	uint64_t left;
	int rc;

	if (dir == NULL)
		return vmf_fail_errno(err, VMF_IO, "%s", up->path);
	rc = vmf_sftp_space(sftp, dir, &left, err);
	free(dir);
	if (rc == 0 && up->size != VMF_SIZE_UNKNOWN && left < up->size)
		rc = vmf_fail(err, VMF_REFUSED,
		    "%s: %s: %llu bytes are free there, %llu are wanted; make "
		    "room first",
		    vmf_sftp_name(sftp), up->path, (unsigned long long)left,
		    (unsigned long long)up->size);
	return rc;
}

static int
make_part(struct vmf_upload *up, struct vmf_error *err)
{
	struct worker *w = &up->crew.workers[0];

	if (up->crew.options.discard_part &&
	    vmf_sftp_remove(w->sftp, up->crew.path, err) < 0)
		return -1;
	w->file =
	    vmf_sftp_file_open(w->sftp, up->crew.path, VMF_SFTP_EXCLUSIVE, err);
	if (w->file != NULL) {
		up->made = true;
		return 0;
	}
	if (err != NULL && err->class == VMF_REFUSED &&
	    strstr(err->msg, "exists already") != NULL)
		vmf_fail(err, VMF_REFUSED,
		    "%s: %s: exists: another upload is running or has left "
		    "it; remove it with --discard-part",
		    vmf_sftp_name(w->sftp), up->crew.path);
	return -1;
}

/* Half-built: connected, and nothing risked yet. */
static struct vmf_upload *
prepare(const struct vmf_transfer_options *options, const char *path,
    uint64_t size, struct vmf_error *err)
{
	struct vmf_upload *up = calloc(1, sizeof(*up));
	unsigned sessions;

	if (up == NULL || vmf_transfer_init(&up->crew, options, err) < 0) {
		if (up == NULL)
			vmf_fail_errno(err, VMF_IO, "%s", path);
		free(up);
		return NULL;
	}
	up->last = &up->first;
	up->size = size;
	up->rate.rate = options->bwlimit;
	up->crew.mode = VMF_SFTP_WRITE;
	up->crew.take = take;
	up->crew.finished = finished;
	up->crew.request = request;
	sessions = vmf_transfer_sessions(&up->crew, size);
	up->crew.wanted = sessions;
	up->max_blocks = (sessions + 1) * BLOCKS_OF_SESSION;
	up->all = calloc(up->max_blocks, sizeof(*up->all));
	up->path = strdup(path);
	if (asprintf(&up->crew.path, "%s.part", path) < 0)
		up->crew.path = NULL;
	if (up->all == NULL || up->path == NULL || up->crew.path == NULL)
		vmf_fail_errno(err, VMF_IO, "%s", path);
	else if (vmf_transfer_first(&up->crew, err) == 0 &&
		 check_target(up, err) == 0 && check_space(up, err) == 0)
		return up;
	vmf_upload_free(up);
	return NULL;
}

struct vmf_upload *
vmf_upload_open(const struct vmf_transfer_options *options, const char *path,
    uint64_t size, struct vmf_error *err)
{
	struct vmf_upload *up = prepare(options, path, size, err);

	if (up != NULL && make_part(up, err) == 0 &&
	    vmf_transfer_start(&up->crew, 1, err) == 0)
		return up;
	vmf_upload_free(up);
	return NULL;
}

int
vmf_upload_check(const struct vmf_transfer_options *options, const char *path,
    uint64_t size, struct vmf_error *err)
{
	struct vmf_upload *up = prepare(options, path, size, err);

	vmf_upload_free(up);
	return up != NULL ? 0 : -1;
}

int
vmf_upload_write(
    struct vmf_upload *up, const void *buf, size_t len, struct vmf_error *err)
{
	size_t grain = vmf_rate_grain(&up->rate, BLOCK_SIZE), n;
	const uint8_t *p = buf;

	while (len > 0) {
		if (up->filling == NULL && get_block(up, err) < 0)
			return -1;
		n = grain - up->filling->len;
		if (n > len)
			n = len;
		memcpy(up->filling->data + up->filling->len, p, n);
		up->filling->len += n;
		up->off += n;
		p += n;
		len -= n;
		if (up->filling->len == grain && queue_block(up, err) < 0)
			return -1;
		/* A size that was not known turns out to be worth more. */
		if (up->crew.n < up->crew.wanted &&
		    up->off >= 4 * (uint64_t)BLOCK_SIZE &&
		    vmf_transfer_start(&up->crew, up->crew.wanted, err) < 0)
			return -1;
	}
	return 0;
}

int
vmf_upload_poll(struct vmf_upload *up, struct vmf_error *err)
{
	bool failed;

	pthread_mutex_lock(&up->crew.mutex);
	failed = up->crew.failed;
	pthread_mutex_unlock(&up->crew.mutex);
	/* Once set it does not change. */
	if (failed && err != NULL)
		*err = up->crew.error;
	return failed ? -1 : 0;
}

static int
upload_out(void *ctx, const void *buf, size_t len, struct vmf_error *err)
{
	return vmf_upload_write(ctx, buf, len, err);
}

struct vmf_out
vmf_upload_out(struct vmf_upload *up)
{
	return (struct vmf_out){.write = upload_out, .ctx = up};
}

/* Let the crew finish; every write is acknowledged after this. */
static int
drain(struct vmf_upload *up, struct vmf_error *err)
{
	int rc = 0;
	bool all;

	if (queue_block(up, err) < 0)
		return -1;
	pthread_mutex_lock(&up->crew.mutex);
	up->ended = true;
	vmf_transfer_wake(&up->crew);
	for (;;) {
		unsigned n = up->filling != NULL;

		for (struct block *b = up->free; b != NULL; b = b->next)
			n++;
		all = n == up->n_blocks;
		if (all)
			break;
		rc = vmf_transfer_wait(&up->crew, err);
		if (rc < 0)
			break;
	}
	pthread_mutex_unlock(&up->crew.mutex);
	if (rc < 0)
		return -1;
	vmf_transfer_join(&up->crew, false);
	if (up->crew.failed) {
		if (err != NULL)
			*err = up->crew.error;
		return -1;
	}
	return 0;
}

static int
check_size(struct vmf_upload *up, struct vmf_error *err)
{
	struct worker *w = &up->crew.workers[0];
	struct vmf_sftp_stat st;

	if (vmf_sftp_file_stat(w->file, &st, err) < 0)
		return -1;
	if (st.size != up->off)
		return vmf_fail(err, VMF_REMOTE,
		    "%s: %s: has %llu bytes there after %llu were "
		    "acknowledged; did somebody else write to it?",
		    vmf_sftp_name(w->sftp), up->crew.path,
		    (unsigned long long)st.size, (unsigned long long)up->off);
	return 0;
}

int
vmf_upload_commit(struct vmf_upload *up, struct vmf_transfer_result *result,
    struct vmf_error *err)
{
	struct worker *w = &up->crew.workers[0];
	struct vmf_sftp_file *file;
	unsigned i;

	memset(result, 0, sizeof(*result));
	if (drain(up, err) < 0 || check_size(up, err) < 0)
		return -1;
	/* The others' handles first: some servers sync at close. */
	for (i = 1; i < up->crew.n; i++) {
		file = up->crew.workers[i].file;
		up->crew.workers[i].file = NULL;
		if (file != NULL && vmf_sftp_file_close(file, err) < 0)
			return -1;
	}
	file = w->file;
	if (vmf_sftp_file_sync(file, &result->durable, err) < 0)
		return -1;
	w->file = NULL;
	if (vmf_sftp_file_close(file, err) < 0)
		return -1;
	if (vmf_progress_check(up->crew.options.progress, err) < 0)
		return -1;
	if (vmf_sftp_rename(w->sftp, up->crew.path, up->path,
		up->crew.options.overwrite, err) < 0)
		return -1;
	up->committed = true;
	result->bytes = up->off;
	result->sessions = up->crew.working;
	return 0;
}

/*
 * Remove PATH.part, over the first session if nothing is under way there, else
 * over a new one: what is queued in the old may take long to get through.
 */
static void
abandon(struct vmf_upload *up)
{
	struct worker *w = &up->crew.workers[0];
	struct vmf_ssh_options options = up->crew.ssh;
	struct vmf_ssh *ssh;
	struct vmf_sftp *sftp;

	if (w->sftp != NULL && !w->sftp->dead &&
	    (w->file == NULL || w->file->unacked == 0)) {
		vmf_sftp_file_free(w->file);
		w->file = NULL;
		(void)vmf_sftp_remove(w->sftp, up->crew.path, NULL);
		return;
	}
	vmf_transfer_drop(&up->crew);
	options.connect_timeout = options.stall_timeout = 5;
	options.progress = NULL;
	ssh = vmf_ssh_open(&options, NULL);
	sftp = ssh != NULL ? vmf_sftp_open(ssh, NULL) : NULL;
	if (sftp != NULL)
		(void)vmf_sftp_remove(sftp, up->crew.path, NULL);
	vmf_sftp_free(sftp);
	vmf_ssh_free(ssh);
}

void
vmf_upload_free(struct vmf_upload *up)
{
	unsigned i;

	if (up == NULL)
		return;
	vmf_transfer_join(&up->crew, true);
	if (up->made && !up->committed)
		abandon(up);
	vmf_transfer_clear(&up->crew);
	for (i = 0; i < up->n_blocks; i++) {
		free(up->all[i]->data);
		free(up->all[i]);
	}
	free(up->all);
	free(up->path);
	free(up);
}
