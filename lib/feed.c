/* feed.c - see feed.h: the caller's side */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "feed_internal.h"
#include "ssh_internal.h"

/* A size below which one session is as fast as many. */
#define WORTH_MORE (32 * VMF_MIB)
#define SESSIONS   4

/* How long the far end is waited for, after a failure here. */
#define LEAVE_SECONDS 5

void
vmf_feed_queue(struct feed_queue *queue, struct feed_segment *seg)
{
	seg->next = NULL;
	*queue->last = seg;
	queue->last = &seg->next;
}

struct feed_segment *
vmf_feed_unqueue(struct feed_queue *queue)
{
	struct feed_segment *seg = queue->first;

	if (seg == NULL)
		return NULL;
	queue->first = seg->next;
	if (queue->first == NULL)
		queue->last = &queue->first;
	return seg;
}

struct feed_segment *
vmf_feed_take(struct vmf_feed *feed)
{
	struct feed_segment *seg;
	unsigned i;

	for (i = 0; i < feed->o.slots; i++)
		if (!feed->slots[i].busy)
			break;
	if (i == feed->o.slots)
		return NULL;
	seg = vmf_feed_unqueue(&feed->full);
	if (seg == NULL)
		return NULL;
	seg->slot = i;
	feed->slots[i].busy = true;
	feed->slots[i].n = seg->n;
	return seg;
}

void
vmf_feed_wake(struct vmf_feed *feed)
{
	static const uint64_t one = 1;
	unsigned i;

	/* A full eventfd is awake already. */
	for (i = 0; i < feed->nuploaders; i++)
		if (feed->working[i] &&
		    write(feed->uploaders[i].wake, &one, sizeof(one)) < 0)
			continue;
	if (write(feed->wake, &one, sizeof(one)) < 0 && errno != EAGAIN)
		feed->stop = true;
	pthread_cond_broadcast(&feed->changed);
}

void
vmf_feed_fail(struct vmf_feed *feed, const struct vmf_error *err, bool said)
{
	pthread_mutex_lock(&feed->mutex);
	if (!feed->failed || (said && !feed->said))
		feed->error = *err;
	feed->failed = true;
	feed->said = feed->said || said;
	vmf_feed_wake(feed);
	pthread_mutex_unlock(&feed->mutex);
}

/* Wait for a change, with the mutex; -1: failed or to be stopped. */
static int
wait_change(struct vmf_feed *feed, struct vmf_error *err)
{
	struct timespec until;

	if (feed->failed) {
		*err = feed->error;
		return -1;
	}
	if (vmf_progress_check(feed->o.progress, err) < 0)
		return -1;
	/* Signals set a flag and wake nobody: look at it now and then. */
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 250000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_cond_timedwait(&feed->changed, &feed->mutex, &until);
	return 0;
}

/*
 * A connection that broke may be the far end's end, and its last word still on
 * its way: give it a moment.
 */
static void
await_word(struct vmf_feed *feed, struct vmf_error *err)
{
	struct timespec until;

	pthread_mutex_lock(&feed->mutex);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec++;
	while (feed->failed && !feed->said && !feed->lost &&
	       feed->error.class == VMF_REMOTE)
		if (pthread_cond_timedwait(
			&feed->changed, &feed->mutex, &until) != 0)
			break;
	if (feed->failed)
		*err = feed->error;
	pthread_mutex_unlock(&feed->mutex);
}

/* ---- segments ------------------------------------------------------------ */

static int
get_segment(struct vmf_feed *feed, struct vmf_error *err)
{
	int rc = 0;

	pthread_mutex_lock(&feed->mutex);
	while (rc == 0 && (feed->failed || (feed->filling = vmf_feed_unqueue(
						&feed->free)) == NULL))
		rc = wait_change(feed, err);
	pthread_mutex_unlock(&feed->mutex);
	if (rc < 0) {
		await_word(feed, err);
		return -1;
	}
	feed->filling->len = 0;
	return 0;
}

static void
send_segment(struct vmf_feed *feed)
{
	struct feed_segment *seg = feed->filling;

	feed->filling = NULL;
	if (seg == NULL)
		return;
	seg->n = feed->next_n++;
	pthread_mutex_lock(&feed->mutex);
	feed->sent += seg->len;
	feed->outstanding++;
	vmf_feed_queue(&feed->full, seg);
	vmf_feed_wake(feed);
	pthread_mutex_unlock(&feed->mutex);
}

int
vmf_feed_put(struct vmf_feed *feed, const struct vmf_object *obj,
    const uint8_t *head, const uint8_t *frame, struct vmf_error *err)
{
	size_t head_len = vmf_object_head_len(obj);
	size_t len = head_len + (size_t)obj->stored;
	struct feed_segment *seg = feed->filling;

	if (len > feed->o.slot_len)
		return vmf_fail(err, VMF_INTERNAL,
		    "an object of %zu bytes in segments of %zu", len,
		    feed->o.slot_len);
	if (seg != NULL && feed->o.slot_len - seg->len < len) {
		send_segment(feed);
		seg = NULL;
	}
	if (seg == NULL && get_segment(feed, err) < 0)
		return -1;
	seg = feed->filling;
	memcpy(seg->bytes + seg->len, head, head_len);
	memcpy(seg->bytes + seg->len + head_len, frame, (size_t)obj->stored);
	seg->len += len;
	return 0;
}

/* ---- words --------------------------------------------------------------- */

/* Takes request; the answer is the caller's. */
static json_t *
ask(struct vmf_feed *feed, json_t *request, struct vmf_error *err)
{
	json_t *answer = NULL;
	int rc = 0;

	pthread_mutex_lock(&feed->mutex);
	while (rc == 0 && (feed->outstanding > 0 || feed->failed))
		rc = wait_change(feed, err);
	if (rc == 0) {
		feed->request = request;
		request = NULL;
		vmf_feed_wake(feed);
	}
	while (rc == 0 && (feed->failed || feed->answer == NULL))
		rc = wait_change(feed, err);
	if (rc == 0) {
		answer = feed->answer;
		feed->answer = NULL;
	}
	pthread_mutex_unlock(&feed->mutex);
	json_decref(request);
	if (rc < 0)
		await_word(feed, err);
	return answer;
}

int
vmf_feed_barrier(
    struct vmf_feed *feed, uint32_t generation, struct vmf_error *err)
{
	json_t *answer;

	send_segment(feed);
	answer = ask(feed,
	    json_pack("{s:s, s:I}", "do", "generation", "generation",
		(json_int_t)generation),
	    err);
	json_decref(answer);
	return answer == NULL ? -1 : 0;
}

/* ---- threads ------------------------------------------------------------- */

static int
start_channel(struct vmf_feed *feed, struct vmf_error *err)
{
	int rc = pthread_create(&feed->channel, NULL, vmf_feed_channel, feed);

	feed->channel_runs = rc == 0;
	errno = rc;
	return rc == 0 ? 0 : vmf_fail_errno(err, VMF_IO, "thread");
}

/* Sessions that get no thread are missed by nobody, but for the first. */
static int
start_threads(struct vmf_feed *feed, struct vmf_error *err)
{
	sigset_t all, old;
	unsigned i;
	int rc = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	for (i = 0; i < feed->nuploaders; i++) {
		struct feed_uploader *u = &feed->uploaders[i];

		rc = pthread_create(&u->thread, NULL, vmf_feed_upload, u);
		u->started = rc == 0;
		if (rc != 0)
			break;
	}
	if (i > 0 || feed->nuploaders == 0) {
		rc = start_channel(feed, err);
	} else {
		errno = rc;
		rc = vmf_fail_errno(err, VMF_IO, "thread");
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

/* Everything ends and is joined; the channel is where it was. */
static void
stop_threads(struct vmf_feed *feed)
{
	unsigned i;

	pthread_mutex_lock(&feed->mutex);
	feed->stop = true;
	vmf_feed_wake(feed);
	pthread_mutex_unlock(&feed->mutex);
	if (feed->channel_runs)
		pthread_join(feed->channel, NULL);
	feed->channel_runs = false;
	atomic_store(&feed->cancel.stop, 1);
	for (i = 0; i < VMF_SESSIONS_MAX; i++) {
		if (feed->uploaders[i].started)
			pthread_join(feed->uploaders[i].thread, NULL);
		feed->uploaders[i].started = false;
		vmf_feed_upload_close(&feed->uploaders[i]);
	}
}

/* ---- open and close ------------------------------------------------------ */

static int
make_segments(struct vmf_feed *feed, struct vmf_error *err)
{
	unsigned i;

	feed->nsegments = feed->wanted + 2;
	feed->segments = calloc(feed->nsegments, sizeof(*feed->segments));
	if (feed->segments == NULL)
		return vmf_fail_errno(err, VMF_IO, "segments");
	for (i = 0; i < feed->nsegments; i++) {
		feed->segments[i].bytes = malloc(feed->o.slot_len);
		if (feed->segments[i].bytes == NULL)
			return vmf_fail_errno(err, VMF_IO, "segments");
		vmf_feed_queue(&feed->free, &feed->segments[i]);
	}
	return 0;
}

/* Is there SFTP, and does it see the spool? */
static void
try_sftp(struct vmf_feed *feed)
{
	struct vmf_error why;
	char text[sizeof(why.msg) + 80];

	if (feed->o.ssh == NULL || feed->o.spool == NULL)
		return;
	if (vmf_feed_upload_open(&feed->uploaders[0], &why) == 0) {
		feed->nuploaders = feed->wanted;
		return;
	}
	feed->wanted = 1;
	snprintf(text, sizeof(text),
	    "no SFTP into the spool (%s): all goes through one channel",
	    why.msg);
	if (feed->o.note != NULL)
		feed->o.note(feed->o.ctx, text);
}

static void
init(struct vmf_feed *feed, const struct vmf_feed_options *options)
{
	unsigned i;

	feed->o = *options;
	if (options->spool != NULL)
		feed->o.spool = strdup(options->spool);
	feed->free.last = &feed->free.first;
	feed->full.last = &feed->full.first;
	feed->told.last = &feed->told.first;
	pthread_mutex_init(&feed->mutex, NULL);
	pthread_cond_init(&feed->changed, NULL);
	for (i = 0; i < VMF_SESSIONS_MAX; i++) {
		feed->uploaders[i].feed = feed;
		feed->uploaders[i].wake = -1;
	}
	feed->wanted = options->sessions;
	if (feed->wanted == 0)
		feed->wanted = options->size < WORTH_MORE ? 1 : SESSIONS;
	if (feed->wanted > VMF_SESSIONS_MAX)
		feed->wanted = VMF_SESSIONS_MAX;
	/* What the user stops is stopped by the caller's waits: a channel that
	 * gave up by itself could not be used to clean up. */
	feed->ssh = vmf_exec_ssh(options->exec);
	feed->ssh_progress = feed->ssh->progress;
	feed->ssh->progress = &feed->cancel;
}

struct vmf_feed *
vmf_feed_open(const struct vmf_feed_options *options, struct vmf_error *err)
{
	struct vmf_feed *feed = calloc(1, sizeof(*feed));

	if (feed == NULL) {
		vmf_fail_errno(err, VMF_IO, "feed");
		return NULL;
	}
	init(feed, options);
	feed->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (feed->wake < 0) {
		vmf_fail_errno(err, VMF_IO, "eventfd");
	} else {
		try_sftp(feed);
		if (make_segments(feed, err) == 0 &&
		    start_threads(feed, err) == 0)
			return feed;
	}
	vmf_feed_free(feed);
	return NULL;
}

json_t *
vmf_feed_close(struct vmf_feed *feed, json_t *request, struct vmf_error *err)
{
	json_t *answer;

	send_segment(feed);
	answer = ask(feed, request, err);
	if (answer != NULL)
		stop_threads(feed);
	return answer;
}

/* Tell it to stop receiving, if it can be reached. */
static void
leave(struct vmf_feed *feed)
{
	struct timespec until;

	pthread_mutex_lock(&feed->mutex);
	if (feed->channel_runs && !feed->lost) {
		json_decref(feed->request);
		feed->request = json_pack("{s:s}", "do", "leave");
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += LEAVE_SECONDS;
		vmf_feed_wake(feed);
		while (feed->answer == NULL && !feed->lost)
			if (pthread_cond_timedwait(
				&feed->changed, &feed->mutex, &until) != 0)
				break;
		feed->lost = feed->lost || feed->answer == NULL;
	}
	if (feed->lost)
		atomic_store(&feed->cancel.stop, 1);
	pthread_mutex_unlock(&feed->mutex);
}

bool
vmf_feed_lost(struct vmf_feed *feed)
{
	bool lost;

	pthread_mutex_lock(&feed->mutex);
	lost = feed->lost;
	pthread_mutex_unlock(&feed->mutex);
	return lost;
}

uint64_t
vmf_feed_sent(struct vmf_feed *feed)
{
	uint64_t sent;

	pthread_mutex_lock(&feed->mutex);
	sent = feed->sent;
	pthread_mutex_unlock(&feed->mutex);
	return sent;
}

unsigned
vmf_feed_sessions(struct vmf_feed *feed)
{
	unsigned i, n = 0;

	pthread_mutex_lock(&feed->mutex);
	for (i = 0; i < feed->nuploaders; i++)
		n += feed->working[i];
	pthread_mutex_unlock(&feed->mutex);
	return n;
}

size_t
vmf_feed_memory(const struct vmf_feed *feed)
{
	return feed->nsegments * feed->o.slot_len;
}

void
vmf_feed_free(struct vmf_feed *feed)
{
	unsigned i;

	if (feed == NULL)
		return;
	leave(feed);
	stop_threads(feed);
	feed->ssh->progress = feed->ssh_progress;
	for (i = 0; feed->segments != NULL && i < feed->nsegments; i++)
		free(feed->segments[i].bytes);
	free(feed->segments);
	free(feed->in);
	free((char *)feed->o.spool);
	json_decref(feed->request);
	json_decref(feed->answer);
	if (feed->wake >= 0)
		close(feed->wake);
	pthread_cond_destroy(&feed->changed);
	pthread_mutex_destroy(&feed->mutex);
	free(feed);
}
