/* transfer.c - see lib/transfer.h */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ssh_internal.h"
#include "transfer.h"

/* A size below which one session is as fast as many. */
#define WORTH_MORE (16 * VMF_MIB)

int
vmf_transfer_init(struct crew *crew, const struct vmf_transfer_options *options,
    struct vmf_error *err)
{
	size_t i;

	crew->options = *options;
	crew->ssh = *options->ssh;
	for (i = 0; i < VMF_SESSIONS_MAX; i++) {
		crew->workers[i].crew = crew;
		crew->workers[i].wake = -1;
	}
	if (pthread_mutex_init(&crew->mutex, NULL) != 0)
		return vmf_fail(err, VMF_IO, "mutex");
	if (pthread_cond_init(&crew->changed, NULL) != 0) {
		pthread_mutex_destroy(&crew->mutex);
		return vmf_fail(err, VMF_IO, "condition");
	}
	return 0;
}

/* A session of the worker's own, with no file open yet. */
static int
open_session(
    struct worker *w, struct vmf_progress *progress, struct vmf_error *err)
{
	struct vmf_ssh_options ssh = w->crew->ssh;

	w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->wake < 0)
		return vmf_fail_errno(err, VMF_IO, "eventfd");
	ssh.progress = progress;
	w->ssh = vmf_ssh_open(&ssh, err);
	if (w->ssh == NULL)
		return -1;
	/*
	 * From here on it is the transfer that looks whether to stop: a
	 * session that gave up by itself could not remove what it made.
	 */
	w->ssh->progress = NULL;
	w->sftp = vmf_sftp_open(w->ssh, err);
	return w->sftp != NULL ? 0 : -1;
}

int
vmf_transfer_first(struct crew *crew, struct vmf_error *err)
{
	return open_session(&crew->workers[0], crew->options.progress, err);
}

unsigned
vmf_transfer_sessions(const struct crew *crew, uint64_t size)
{
	if (crew->options.sessions > 0)
		return crew->options.sessions < VMF_SESSIONS_MAX
			   ? crew->options.sessions
			   : VMF_SESSIONS_MAX;
	if (size < WORTH_MORE)
		return 1;
	return 4;
}

void
vmf_transfer_wake(struct crew *crew)
{
	static const uint64_t one = 1;
	unsigned i;

	for (i = 0; i < crew->n; i++) {
		struct worker *w = &crew->workers[i];

		if (!w->idle)
			continue;
		w->idle = false;
		/* Full means it is awake already. */
		if (write(w->wake, &one, sizeof(one)) < 0)
			continue;
	}
	pthread_cond_broadcast(&crew->changed);
}

void
vmf_transfer_fail(struct crew *crew, const struct vmf_error *err)
{
	pthread_mutex_lock(&crew->mutex);
	if (!crew->failed) {
		crew->failed = true;
		crew->error = *err;
	}
	crew->stop = true;
	vmf_transfer_wake(crew);
	pthread_mutex_unlock(&crew->mutex);
}

int
vmf_transfer_wait(struct crew *crew, struct vmf_error *err)
{
	struct timespec until;

	if (crew->failed) {
		if (err != NULL)
			*err = crew->error;
		return -1;
	}
	if (vmf_progress_check(crew->options.progress, err) < 0)
		return -1;
	/* Signals set a flag and wake nobody: look at it now and then. */
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 250000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_cond_timedwait(&crew->changed, &crew->mutex, &until);
	return 0;
}

/* Out of vmf_sftp_step(): all of a block has been acknowledged. */
static void
block_done(struct sftp_op *op)
{
	struct block *block = op->ctx;
	struct worker *w = block->worker;

	w->active--;
	if (!op->file->failed)
		w->crew->finished(w->crew, block);
}

static struct block *
next_block(struct worker *w, bool *done)
{
	struct crew *crew = w->crew;
	struct block *block = NULL;
	uint64_t count;

	if (w->active >= BLOCKS_OF_SESSION)
		return NULL;
	/* Emptied before the queue is looked at: nothing gets lost. */
	if (read(w->wake, &count, sizeof(count)) < 0 && errno != EAGAIN)
		*done = true;
	pthread_mutex_lock(&crew->mutex);
	if (crew->stop)
		*done = true;
	else
		block = crew->take(crew, done);
	w->idle = block == NULL && !*done;
	pthread_mutex_unlock(&crew->mutex);
	return block;
}

/* Ask for as much as there is room for. */
static int
request_blocks(struct worker *w, bool *done, struct vmf_error *err)
{
	while (vmf_sftp_room(w->sftp)) {
		if (w->part == NULL) {
			w->part = next_block(w, done);
			if (w->part == NULL)
				return 0;
			w->part->worker = w;
			w->part->op = (struct sftp_op){.file = w->file,
			    .done = block_done,
			    .ctx = w->part,
			    .buf = w->part->data,
			    .off = w->part->off,
			    .len = w->part->len};
			w->active++;
		}
		if (w->crew->request(w->part, &w->part->all, err) < 0)
			return -1;
		if (w->part->all)
			w->part = NULL;
	}
	return 0;
}

/* Until there are no more blocks and all of ours are acknowledged. */
static int
work(struct worker *w, struct vmf_error *err)
{
	bool done = false, stop;

	for (;;) {
		if (request_blocks(w, &done, err) < 0 ||
		    vmf_sftp_file_failure(w->file, err) < 0)
			return -1;
		if (done && w->active == 0)
			return 0;
		pthread_mutex_lock(&w->crew->mutex);
		stop = w->crew->stop;
		pthread_mutex_unlock(&w->crew->mutex);
		if (stop)
			return 0;
		if (vmf_sftp_step(w->sftp, 0, w->wake, err) < 0)
			return -1;
	}
}

static void *
worker_main(void *arg)
{
	struct worker *w = arg;
	struct crew *crew = w->crew;
	struct vmf_error err;

	if (w->file == NULL) {
		/* One of the additional ones: without it, it goes on. */
		if (open_session(w, &crew->cancel, &err) < 0)
			return NULL;
		w->file =
		    vmf_sftp_file_open(w->sftp, crew->path, crew->mode, &err);
		if (w->file == NULL)
			return NULL;
	}
	pthread_mutex_lock(&crew->mutex);
	crew->working++;
	pthread_mutex_unlock(&crew->mutex);
	if (work(w, &err) < 0)
		vmf_transfer_fail(crew, &err);
	return NULL;
}

int
vmf_transfer_start(struct crew *crew, unsigned n, struct vmf_error *err)
{
	sigset_t all, old;
	int rc = 0;

	/* Signals are for the main thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	while (crew->n < n) {
		struct worker *w = &crew->workers[crew->n];

		rc = pthread_create(&w->thread, NULL, worker_main, w);
		if (rc != 0)
			break;
		w->started = true;
		pthread_mutex_lock(&crew->mutex);
		crew->n++;
		pthread_mutex_unlock(&crew->mutex);
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (crew->n == 0) {
		errno = rc;
		return vmf_fail_errno(err, VMF_IO, "thread");
	}
	return 0;
}

void
vmf_transfer_join(struct crew *crew, bool stop)
{
	unsigned i;

	pthread_mutex_lock(&crew->mutex);
	if (stop)
		crew->stop = true;
	vmf_transfer_wake(crew);
	pthread_mutex_unlock(&crew->mutex);
	atomic_store(&crew->cancel.stop, 1);
	for (i = 0; i < crew->n; i++)
		if (crew->workers[i].started) {
			pthread_join(crew->workers[i].thread, NULL);
			crew->workers[i].started = false;
		}
}

void
vmf_transfer_drop(struct crew *crew)
{
	unsigned i;

	for (i = 0; i < VMF_SESSIONS_MAX; i++) {
		if (crew->workers[i].ssh != NULL)
			vmf_ssh_drop(crew->workers[i].ssh, ECANCELED);
		if (crew->workers[i].sftp != NULL)
			crew->workers[i].sftp->dead = true;
	}
}

static void
close_session(struct worker *w)
{
	vmf_sftp_file_free(w->file);
	vmf_sftp_free(w->sftp);
	vmf_ssh_free(w->ssh);
	if (w->wake >= 0)
		close(w->wake);
	w->file = NULL;
	w->sftp = NULL;
	w->ssh = NULL;
	w->wake = -1;
}

void
vmf_transfer_clear(struct crew *crew)
{
	size_t i;

	for (i = 0; i < VMF_SESSIONS_MAX; i++)
		close_session(&crew->workers[i]);
	free(crew->path);
	pthread_cond_destroy(&crew->changed);
	pthread_mutex_destroy(&crew->mutex);
}
