/* feed_channel.c - the word to and from the far end: see feed_internal.h */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "feed_internal.h"
#include "ssh_internal.h"

#define READ_LEN ((size_t)64 << 10)

/* ---- its word ------------------------------------------------------------ */

static void
free_slot(struct vmf_feed *feed, uint64_t n)
{
	unsigned i;

	pthread_mutex_lock(&feed->mutex);
	for (i = 0; i < feed->o.slots; i++)
		if (feed->slots[i].busy && feed->slots[i].n == n) {
			feed->slots[i].busy = false;
			feed->outstanding--;
		}
	vmf_feed_wake(feed);
	pthread_mutex_unlock(&feed->mutex);
}

/* Lines of one image, into its log. */
static int
keep_lines(struct vmf_feed *feed, size_t image, const char *text,
    struct vmf_error *err)
{
	struct vmf_chunk_log *log =
	    feed->o.logs == NULL ? NULL : feed->o.logs[image];
	char one[VMF_DIGEST_LINE_MAX];
	struct vmf_digest_line line;
	const char *end;

	for (; log != NULL && (end = strchr(text, '\n')) != NULL;
	     text = end + 1) {
		if ((size_t)(end - text) >= sizeof(one))
			return vmf_fail(err, VMF_INTEGRITY,
			    "%s: a line too long", feed->o.dest);
		memcpy(one, text, (size_t)(end - text));
		one[end - text] = '\0';
		if (vmf_digest_line_parse(one, &line, err) < 0)
			return vmf_wrap(err, "%s", feed->o.dest);
		if (vmf_chunk_log_add(log, &line, err) < 0)
			return -1;
	}
	return log == NULL ? 0 : vmf_chunk_log_sync(log, err);
}

static int
take_durable(
    struct vmf_feed *feed, const json_t *message, struct vmf_error *err)
{
	const json_t *lines = json_object_get(message, "lines");
	const char *text;
	size_t i;

	for (i = 0; i < feed->o.nimages; i++) {
		text = json_string_value(json_array_get(lines, i));
		if (text != NULL && text[0] != '\0' &&
		    keep_lines(feed, i, text, err) < 0)
			return -1;
	}
	return 0;
}

static void
take_answer(struct vmf_feed *feed, json_t *message)
{
	pthread_mutex_lock(&feed->mutex);
	json_decref(feed->answer);
	feed->answer = json_incref(message);
	vmf_feed_wake(feed);
	pthread_mutex_unlock(&feed->mutex);
}

static int
take_message(struct vmf_feed *feed, json_t *message, struct vmf_error *err)
{
	const char *event = vmf_wire_text(message, "event");
	json_int_t image =
	    json_integer_value(json_object_get(message, "image"));

	if (strcmp(event, "received") == 0) {
		free_slot(feed, (uint64_t)json_integer_value(
				    json_object_get(message, "n")));
	} else if (strcmp(event, "durable") == 0) {
		return take_durable(feed, message, err);
	} else if (strcmp(event, "again") == 0) {
		if (image < 0 || (size_t)image >= feed->o.nimages)
			return vmf_fail(err, VMF_INTEGRITY,
			    "%s: speaks of an image that is not there",
			    feed->o.dest);
		feed->o.again(feed->o.ctx, (size_t)image,
		    (uint64_t)json_integer_value(
			json_object_get(message, "off")));
	} else if (json_is_false(json_object_get(message, "ok"))) {
		vmf_wire_check(message, err);
		vmf_wrap(err, "%s", feed->o.dest);
		vmf_feed_fail(feed, err, true);
	} else {
		take_answer(feed, message);
	}
	return 0;
}

/* All whole messages of what has come. */
static int
take_all(struct vmf_feed *feed, struct vmf_error *err)
{
	json_t *message;
	size_t used, off = 0;
	int rc;

	while ((rc = vmf_wire_parse(feed->in + off, feed->in_len - off, &used,
		    &message, err)) > 0) {
		off += used;
		rc = take_message(feed, message, err);
		json_decref(message);
		if (rc < 0)
			break;
	}
	memmove(feed->in, feed->in + off, feed->in_len - off);
	feed->in_len -= off;
	return rc;
}

static int
make_room(struct vmf_feed *feed, struct vmf_error *err)
{
	size_t room = feed->in_room * 2 + READ_LEN;
	uint8_t *in;

	if (feed->in_room - feed->in_len >= READ_LEN)
		return 0;
	in = realloc(feed->in, room);
	if (in == NULL)
		return vmf_fail_errno(err, VMF_IO, "%s", feed->o.dest);
	feed->in = in;
	feed->in_room = room;
	return 0;
}

/* Take what there is, or wait for it or for the eventfd. */
static int
listen_to(struct vmf_feed *feed, struct vmf_error *err)
{
	bool ended = false;
	size_t got;

	if (make_room(feed, err) < 0 ||
	    vmf_exec_poll(feed->o.exec, feed->in + feed->in_len, READ_LEN,
		feed->wake, &got, &ended, err) < 0)
		return -1;
	if (ended)
		return vmf_fail(err, VMF_REMOTE,
		    "%s: the vmferry there ended without an answer",
		    feed->o.dest);
	feed->in_len += got;
	return got > 0 ? take_all(feed, err) : 0;
}

/* ---- ours ---------------------------------------------------------------- */

/* What is to be said next; false: nothing. */
static bool
next_word(struct vmf_feed *feed, struct feed_segment **seg, json_t **request)
{
	*request = NULL;
	pthread_mutex_lock(&feed->mutex);
	*seg = vmf_feed_unqueue(&feed->told);
	/* Without SFTP they go through here. */
	if (*seg == NULL && feed->nuploaders == 0)
		*seg = vmf_feed_take(feed);
	if (*seg == NULL) {
		*request = feed->request;
		feed->request = NULL;
	}
	pthread_mutex_unlock(&feed->mutex);
	return *seg != NULL || *request != NULL;
}

static int
tell_segment(
    struct vmf_feed *feed, struct feed_segment *seg, struct vmf_error *err)
{
	bool inline_ = feed->nuploaders == 0;
	json_t *message = json_pack("{s:s, s:I, s:i, s:I}", "do", "segment",
	    "n", (json_int_t)seg->n, "slot", inline_ ? -1 : (int)seg->slot,
	    "len", (json_int_t)seg->len);
	int rc = vmf_wire_send(feed->o.wire, message, err);

	if (rc == 0 && inline_) {
		struct vmf_out out = vmf_wire_out(feed->o.wire);

		rc = out.write(out.ctx, seg->bytes, seg->len, err);
		if (rc == 0)
			rc = vmf_wire_end(feed->o.wire, err);
	}
	pthread_mutex_lock(&feed->mutex);
	vmf_feed_queue(&feed->free, seg);
	vmf_feed_wake(feed);
	pthread_mutex_unlock(&feed->mutex);
	return rc;
}

static int
run(struct vmf_feed *feed, struct vmf_error *err)
{
	struct feed_segment *seg;
	json_t *request;
	uint64_t count;
	bool stop;
	int rc;

	for (;;) {
		if (read(feed->wake, &count, sizeof(count)) < 0 &&
		    errno != EAGAIN)
			return vmf_fail_errno(err, VMF_IO, "eventfd");
		pthread_mutex_lock(&feed->mutex);
		stop = feed->stop;
		pthread_mutex_unlock(&feed->mutex);
		if (stop)
			return 0;
		if (next_word(feed, &seg, &request))
			rc = seg != NULL
				 ? tell_segment(feed, seg, err)
				 : vmf_wire_send(feed->o.wire, request, err);
		else
			rc = listen_to(feed, err);
		if (rc < 0)
			return -1;
	}
}

void *
vmf_feed_channel(void *arg)
{
	struct vmf_feed *feed = arg;
	struct vmf_error err;

	if (run(feed, &err) < 0) {
		pthread_mutex_lock(&feed->mutex);
		feed->lost = true;
		pthread_mutex_unlock(&feed->mutex);
		vmf_feed_fail(feed, &err, false);
	}
	return NULL;
}
