/*
 * receive.c - see vmferry/receive.h: threads and what they hand on
 *
 *	caller -> segments waiting -> workers -> written -> settler -> durable
 *
 * One mutex guards the two queues between them; it is not held over I/O.  The
 * settler takes a row when enough has been written or some time has passed: a
 * sync for each segment would cost more than the writing.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <vmferry/direct.h>
#include <vmferry/package.h>

#include "receive_internal.h"

#define ROW_BYTES (256 * VMF_MIB)
#define ROW_MS	  500

/* Caller holds the mutex. */
static void
wake_all(struct vmf_receive *r)
{
	pthread_cond_broadcast(&r->room);
	pthread_cond_broadcast(&r->input);
	pthread_cond_broadcast(&r->done);
}

static void
fail(struct vmf_receive *r, const struct vmf_error *err)
{
	bool first;

	pthread_mutex_lock(&r->mutex);
	first = !r->failed;
	if (first) {
		r->failed = true;
		r->error = *err;
	}
	r->stop = true;
	wake_all(r);
	pthread_mutex_unlock(&r->mutex);
	if (first && r->o.events.failed != NULL) {
		pthread_mutex_lock(&r->events);
		r->o.events.failed(r->o.events.ctx, err);
		pthread_mutex_unlock(&r->events);
	}
}

/* ---- workers ------------------------------------------------------------- */

static void
free_worker(struct receive_worker *w)
{
	vmf_decoder_free(w->dec);
	free(w->segment);
	free(w->raw);
	free(w->part);
}

static int
init_worker(
    struct vmf_receive *r, struct receive_worker *w, struct vmf_error *err)
{
	memset(w, 0, sizeof(*w));
	w->dec = vmf_decoder_new(err);
	w->raw = vmf_direct_buffer(r->chunk);
	w->part = vmf_direct_buffer(r->chunk);
	if (w->dec == NULL)
		return -1;
	if (w->raw == NULL || w->part == NULL)
		return vmf_fail_errno(err, VMF_IO, "worker");
	return 0;
}

/* The bytes of a segment, wherever it lies. */
static const uint8_t *
fetch(struct vmf_receive *r, struct receive_worker *w,
    const struct segment *seg, struct vmf_error *err)
{
	if (seg->bytes != NULL)
		return seg->bytes;
	if (w->segment_room < seg->len) {
		free(w->segment);
		w->segment_room = 0;
		w->segment = malloc(seg->len);
		if (w->segment == NULL) {
			vmf_fail_errno(err, VMF_IO, "segment");
			return NULL;
		}
		w->segment_room = seg->len;
	}
	if (vmf_spool_read(r->o.spool, seg->slot, w->segment, seg->len, err) <
	    0)
		return NULL;
	return w->segment;
}

static int
say_received(struct vmf_receive *r, uint64_t n,
    const struct received_list *again, struct vmf_error *err)
{
	int rc = 0;
	size_t i;

	pthread_mutex_lock(&r->events);
	for (i = 0; rc == 0 && i < again->n; i++)
		rc = r->o.events.again(r->o.events.ctx, again->items[i].image,
		    again->items[i].line.off, err);
	if (rc == 0)
		rc = r->o.events.received(r->o.events.ctx, n, err);
	pthread_mutex_unlock(&r->events);
	return rc;
}

/* To the settler. */
static int
hand_on(struct vmf_receive *r, const struct received_list *list,
    struct vmf_error *err)
{
	int rc = 0;
	size_t i;

	pthread_mutex_lock(&r->mutex);
	for (i = 0; rc == 0 && i < list->n; i++)
		rc = vmf_received_add(
		    &r->list, list->items[i].image, &list->items[i].line, err);
	pthread_cond_broadcast(&r->done);
	pthread_mutex_unlock(&r->mutex);
	return rc;
}

static int
work(struct vmf_receive *r, struct receive_worker *w, struct segment *seg,
    struct vmf_error *err)
{
	struct received_list list = {.n = 0}, again = {.n = 0};
	const uint8_t *bytes = fetch(r, w, seg, err);
	int rc = -1;

	if (bytes != NULL &&
	    vmf_receive_apply(r, w, bytes, seg->len, &list, &again, err) == 0 &&
	    hand_on(r, &list, err) == 0)
		rc = say_received(r, seg->n, &again, err);
	free(list.items);
	free(again.items);
	return rc;
}

static void
free_segment(struct segment *seg)
{
	if (seg != NULL)
		free(seg->bytes);
	free(seg);
}

/* The next segment, or NULL: stop. */
static struct segment *
take(struct vmf_receive *r)
{
	struct segment *seg = NULL;

	pthread_mutex_lock(&r->mutex);
	while (!r->stop && r->first == NULL)
		pthread_cond_wait(&r->input, &r->mutex);
	if (!r->stop) {
		seg = r->first;
		r->first = seg->next;
		if (r->first == NULL)
			r->last = &r->first;
		r->waiting--;
		r->working++;
		pthread_cond_signal(&r->room);
	}
	pthread_mutex_unlock(&r->mutex);
	return seg;
}

static void *
worker_main(void *arg)
{
	struct vmf_receive *r = arg;
	struct receive_worker w;
	struct vmf_error err;
	struct segment *seg;

	if (init_worker(r, &w, &err) < 0)
		fail(r, &err);
	while ((seg = take(r)) != NULL) {
		int rc = work(r, &w, seg, &err);

		free_segment(seg);
		/* A failure first: a barrier must not find all done before. */
		if (rc < 0)
			fail(r, &err);
		pthread_mutex_lock(&r->mutex);
		r->working--;
		pthread_cond_broadcast(&r->done);
		pthread_mutex_unlock(&r->mutex);
	}
	free_worker(&w);
	return NULL;
}

/* ---- the settler --------------------------------------------------------- */

static void
deadline(struct timespec *ts, unsigned ms)
{
	clock_gettime(CLOCK_MONOTONIC, ts);
	ts->tv_nsec += (long)ms * 1000000;
	ts->tv_sec += ts->tv_nsec / 1000000000;
	ts->tv_nsec %= 1000000000;
}

/* A row that is worth a sync; false: stop. */
static bool
take_row(struct vmf_receive *r, struct received_list *row)
{
	struct timespec until;
	bool ready;

	pthread_mutex_lock(&r->mutex);
	while (!r->stop && r->list.n == 0)
		pthread_cond_wait(&r->done, &r->mutex);
	deadline(&until, ROW_MS);
	while (!r->stop && !r->drain && r->list.bytes < ROW_BYTES)
		if (pthread_cond_timedwait(&r->done, &r->mutex, &until) ==
		    ETIMEDOUT)
			break;
	ready = !r->stop;
	if (ready) {
		*row = r->list;
		memset(&r->list, 0, sizeof(r->list));
		r->busy = true;
	}
	pthread_mutex_unlock(&r->mutex);
	return ready;
}

static void *
settler_main(void *arg)
{
	struct vmf_receive *r = arg;
	struct received_list row;
	struct vmf_error err;
	int rc;

	while (take_row(r, &row)) {
		rc = vmf_receive_settle(r, &row, &err);
		free(row.items);
		if (rc < 0)
			fail(r, &err);
		pthread_mutex_lock(&r->mutex);
		r->busy = false;
		pthread_cond_broadcast(&r->done);
		pthread_mutex_unlock(&r->mutex);
	}
	return NULL;
}

/* ---- the caller's part ---------------------------------------------------
 */

static void
init_locks(struct vmf_receive *r)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&r->mutex, NULL);
	pthread_mutex_init(&r->events, NULL);
	pthread_mutex_init(&r->touch, NULL);
	pthread_cond_init(&r->room, NULL);
	pthread_cond_init(&r->input, NULL);
	pthread_cond_init(&r->done, &attr);
	pthread_condattr_destroy(&attr);
}

static int
start(struct vmf_receive *r, struct vmf_error *err)
{
	unsigned jobs = r->o.engine->jobs < 1 ? 1 : r->o.engine->jobs;
	sigset_t all, old;
	int rc = 0;

	if (jobs > VMF_JOBS_MAX)
		jobs = VMF_JOBS_MAX;
	r->workers = calloc(jobs, sizeof(*r->workers));
	if (r->workers == NULL)
		return vmf_fail_errno(err, VMF_IO, "threads");
	/* Signals are the caller's. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	rc = pthread_create(&r->settler, NULL, settler_main, r);
	r->settling = rc == 0;
	while (rc == 0 && r->nworkers < jobs) {
		rc = pthread_create(
		    &r->workers[r->nworkers], NULL, worker_main, r);
		if (rc == 0)
			r->nworkers++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r->nworkers > 0)
		return 0;
	errno = rc;
	return vmf_fail_errno(err, VMF_IO, "thread");
}

struct vmf_receive *
vmf_receive_new(const struct vmf_receive_image *images, size_t n,
    const struct vmf_receive_options *options, struct vmf_error *err)
{
	struct vmf_receive *r = calloc(1, sizeof(*r));
	size_t i;

	if (r == NULL) {
		vmf_fail_errno(err, VMF_IO, "receive");
		return NULL;
	}
	r->images = images;
	r->nimages = n;
	r->o = *options;
	r->generation = options->generation;
	r->last = &r->first;
	r->chunk = VMF_CHUNK_MIN;
	for (i = 0; i < n; i++)
		if (images[i].geo.chunk > r->chunk)
			r->chunk = images[i].geo.chunk;
	if (r->o.depth == 0)
		r->o.depth = VMF_SPOOL_SLOTS;
	init_locks(r);
	if (start(r, err) == 0)
		return r;
	vmf_receive_free(r);
	return NULL;
}

/* Takes bytes. */
static int
add(struct vmf_receive *r, const struct segment *what, struct vmf_error *err)
{
	struct segment *seg = malloc(sizeof(*seg));
	int rc = 0;

	if (seg == NULL || what->len > VMF_SEGMENT_MAX || what->len == 0) {
		free(what->bytes);
		free(seg);
		return seg == NULL ? vmf_fail_errno(err, VMF_IO, "segment")
				   : vmf_fail(err, VMF_INTEGRITY,
					 "a segment of %zu bytes", what->len);
	}
	*seg = *what;
	pthread_mutex_lock(&r->mutex);
	while (!r->stop && r->waiting >= r->o.depth)
		pthread_cond_wait(&r->room, &r->mutex);
	if (r->stop) {
		*err = r->error;
		rc = -1;
		free_segment(seg);
	} else {
		*r->last = seg;
		r->last = &seg->next;
		r->waiting++;
		pthread_cond_signal(&r->input);
	}
	pthread_mutex_unlock(&r->mutex);
	return rc;
}

int
vmf_receive_slot(struct vmf_receive *r, uint64_t n, unsigned slot, size_t len,
    struct vmf_error *err)
{
	struct segment seg = {.n = n, .slot = slot, .len = len};

	if (r->o.spool == NULL)
		return vmf_fail(
		    err, VMF_INTEGRITY, "a slot is named, there is no spool");
	return add(r, &seg, err);
}

int
vmf_receive_bytes(struct vmf_receive *r, uint64_t n, uint8_t *bytes, size_t len,
    struct vmf_error *err)
{
	struct segment seg = {.n = n, .bytes = bytes, .len = len};

	return add(r, &seg, err);
}

int
vmf_receive_barrier(
    struct vmf_receive *r, uint32_t generation, struct vmf_error *err)
{
	size_t i;
	int rc = 0;

	if (generation <= r->generation)
		return vmf_fail(err, VMF_INTEGRITY,
		    "generation %u after generation %u", generation,
		    r->generation);
	pthread_mutex_lock(&r->mutex);
	r->drain = true;
	pthread_cond_broadcast(&r->done);
	while (!r->stop &&
	       (r->waiting > 0 || r->working > 0 || r->list.n > 0 || r->busy))
		pthread_cond_wait(&r->done, &r->mutex);
	r->drain = false;
	if (r->stop) {
		*err = r->error;
		rc = -1;
	} else {
		r->generation = generation;
		for (i = 0; i < r->nimages; i++) {
			vmf_chunks_untouch(r->images[i].chunks);
			vmf_sink_again(r->images[i].sink);
		}
	}
	pthread_mutex_unlock(&r->mutex);
	return rc;
}

uint64_t
vmf_receive_stored(const struct vmf_receive *r)
{
	return atomic_load(&r->stored);
}

void
vmf_receive_free(struct vmf_receive *r)
{
	struct segment *seg;
	unsigned i;

	if (r == NULL)
		return;
	pthread_mutex_lock(&r->mutex);
	r->stop = true;
	wake_all(r);
	pthread_mutex_unlock(&r->mutex);
	for (i = 0; i < r->nworkers; i++)
		pthread_join(r->workers[i], NULL);
	if (r->settling)
		pthread_join(r->settler, NULL);
	while ((seg = r->first) != NULL) {
		r->first = seg->next;
		free_segment(seg);
	}
	free(r->list.items);
	free(r->workers);
	pthread_cond_destroy(&r->room);
	pthread_cond_destroy(&r->input);
	pthread_cond_destroy(&r->done);
	pthread_mutex_destroy(&r->touch);
	pthread_mutex_destroy(&r->events);
	pthread_mutex_destroy(&r->mutex);
	free(r);
}
