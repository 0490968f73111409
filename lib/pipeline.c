/*
 * pipeline.c - see vmferry/pipeline.h
 *
 * Three counters tell the whole state: emitted <= taken <= filled.  Slot i of
 * sequence number s is slots[s % n].  Between emitted and filled a flag per
 * slot says whether its work is done.
 */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include <vmferry/pipeline.h>

struct run {
	const struct vmf_pipeline *p;
	void *const *slots;
	size_t n;
	struct vmf_progress *progress;

	pthread_mutex_t mutex;
	pthread_cond_t room;   /* a slot is free, or stop */
	pthread_cond_t input;  /* a slot is filled, or the end, or stop */
	pthread_cond_t output; /* a slot is done, or the end, or stop */
	uint64_t filled, taken, emitted;
	bool *done;
	bool ended; /* fill has no more */
	bool stop;
	struct vmf_error error; /* the first one, when stop is set by it */
	bool failed;
};

/* Caller holds the mutex. */
static void
fail_locked(struct run *run, const struct vmf_error *err)
{
	if (!run->failed) {
		run->failed = true;
		run->error = *err;
	}
	run->stop = true;
	pthread_cond_broadcast(&run->room);
	pthread_cond_broadcast(&run->input);
	pthread_cond_broadcast(&run->output);
}

static void *
filler_main(void *arg)
{
	struct run *run = arg;
	struct vmf_error err;
	int rc = 1;

	pthread_mutex_lock(&run->mutex);
	while (rc == 1) {
		while (!run->stop && run->filled - run->emitted == run->n)
			pthread_cond_wait(&run->room, &run->mutex);
		if (run->stop)
			break;
		pthread_mutex_unlock(&run->mutex);
		rc = vmf_progress_check(run->progress, &err);
		if (rc == 0)
			rc = run->p->fill(run->p->ctx,
			    run->slots[run->filled % run->n], &err);
		pthread_mutex_lock(&run->mutex);
		if (rc == 1) {
			run->filled++;
			pthread_cond_signal(&run->input);
		} else if (rc == 0) {
			run->ended = true;
			pthread_cond_broadcast(&run->input);
			pthread_cond_signal(&run->output);
		} else {
			fail_locked(run, &err);
		}
	}
	pthread_mutex_unlock(&run->mutex);
	return NULL;
}

static void
work_until_end(struct run *run, void *worker)
{
	struct vmf_error err;
	uint64_t seq;
	int rc;

	pthread_mutex_lock(&run->mutex);
	for (;;) {
		while (!run->stop && !run->ended && run->taken == run->filled)
			pthread_cond_wait(&run->input, &run->mutex);
		if (run->stop || run->taken == run->filled)
			break;
		seq = run->taken++;
		pthread_mutex_unlock(&run->mutex);
		rc = run->p->work(
		    run->p->ctx, worker, run->slots[seq % run->n], &err);
		pthread_mutex_lock(&run->mutex);
		if (rc < 0) {
			fail_locked(run, &err);
			break;
		}
		run->done[seq % run->n] = true;
		if (seq == run->emitted)
			pthread_cond_signal(&run->output);
	}
	pthread_mutex_unlock(&run->mutex);
}

static void *
worker_main(void *arg)
{
	struct run *run = arg;
	struct vmf_error err;
	void *worker = NULL;

	if (run->p->worker_new != NULL) {
		worker = run->p->worker_new(run->p->ctx, &err);
		if (worker == NULL) {
			pthread_mutex_lock(&run->mutex);
			fail_locked(run, &err);
			pthread_mutex_unlock(&run->mutex);
			return NULL;
		}
	}
	work_until_end(run, worker);
	if (run->p->worker_free != NULL)
		run->p->worker_free(worker);
	return NULL;
}

static void
emit_until_end(struct run *run)
{
	struct vmf_error err;
	size_t i;
	int rc;

	pthread_mutex_lock(&run->mutex);
	for (;;) {
		i = run->emitted % run->n;
		while (!run->stop && !run->done[i] &&
		       !(run->ended && run->emitted == run->filled))
			pthread_cond_wait(&run->output, &run->mutex);
		if (run->stop || !run->done[i])
			break;
		pthread_mutex_unlock(&run->mutex);
		rc = run->p->emit(run->p->ctx, run->slots[i], &err);
		pthread_mutex_lock(&run->mutex);
		if (rc < 0) {
			fail_locked(run, &err);
			break;
		}
		run->done[i] = false;
		run->emitted++;
		pthread_cond_signal(&run->room);
	}
	pthread_mutex_unlock(&run->mutex);
}

/* One after the other: the reference, and what remains without threads. */
static int
run_alone(const struct vmf_pipeline *p, void *slot,
    struct vmf_progress *progress, struct vmf_error *err)
{
	void *worker = NULL;
	int rc;

	if (p->worker_new != NULL) {
		worker = p->worker_new(p->ctx, err);
		if (worker == NULL)
			return -1;
	}
	do {
		rc = vmf_progress_check(progress, err);
		if (rc == 0)
			rc = p->fill(p->ctx, slot, err);
		if (rc == 1 && (p->work(p->ctx, worker, slot, err) < 0 ||
				   p->emit(p->ctx, slot, err) < 0))
			rc = -1;
	} while (rc == 1);
	if (p->worker_free != NULL)
		p->worker_free(worker);
	return rc;
}

static void
stop_all(struct run *run)
{
	pthread_mutex_lock(&run->mutex);
	run->stop = true;
	pthread_cond_broadcast(&run->room);
	pthread_cond_broadcast(&run->input);
	pthread_mutex_unlock(&run->mutex);
}

/* 0 when the threads ran (see run->failed), 1 when there were none. */
static int
run_threads(struct run *run, pthread_t *threads, unsigned jobs)
{
	pthread_t filler;
	sigset_t all, old;
	unsigned started = 0, i;
	bool alone = true;

	/* Signals are the caller's; a worker must not be the one to take them.
	 */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	while (started < jobs &&
	       pthread_create(&threads[started], NULL, worker_main, run) == 0)
		started++;
	if (started > 0 && pthread_create(&filler, NULL, filler_main, run) == 0)
		alone = false;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!alone)
		emit_until_end(run);
	stop_all(run);
	for (i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	if (!alone)
		pthread_join(filler, NULL);
	return alone;
}

int
vmf_pipeline_run(const struct vmf_pipeline *p, void *const *slots, size_t n,
    unsigned jobs, struct vmf_progress *progress, struct vmf_error *err)
{
	struct run run = {.p = p, .slots = slots, .n = n, .progress = progress};
	pthread_t *threads = NULL;
	int alone = 1, rc = -1;

	if (jobs > 0) {
		run.done = calloc(n, sizeof(*run.done));
		threads = calloc(jobs, sizeof(*threads));
	}
	if (run.done != NULL && threads != NULL) {
		pthread_mutex_init(&run.mutex, NULL);
		pthread_cond_init(&run.room, NULL);
		pthread_cond_init(&run.input, NULL);
		pthread_cond_init(&run.output, NULL);
		alone = run_threads(&run, threads, jobs);
		pthread_cond_destroy(&run.output);
		pthread_cond_destroy(&run.input);
		pthread_cond_destroy(&run.room);
		pthread_mutex_destroy(&run.mutex);
	}
	if (run.failed)
		*err = run.error;
	else if (alone)
		rc = run_alone(p, slots[0], progress, err);
	else
		rc = 0;
	free(threads);
	free(run.done);
	return rc;
}
