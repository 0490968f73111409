/* receive_settle.c - from written to durable: sync, read back, log */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <vmferry/digest.h>
#include <vmferry/direct.h>

#include "engine_internal.h"
#include "receive_internal.h"

/* Events with the mutex that makes them one at a time. */
static int
say_durable(
    struct vmf_receive *r, const struct received *item, struct vmf_error *err)
{
	int rc;

	pthread_mutex_lock(&r->events);
	rc =
	    r->o.events.durable(r->o.events.ctx, item->image, &item->line, err);
	pthread_mutex_unlock(&r->events);
	return rc;
}

static int
say_settled(struct vmf_receive *r, struct vmf_error *err)
{
	int rc;

	pthread_mutex_lock(&r->events);
	rc = r->o.events.settled(r->o.events.ctx, err);
	pthread_mutex_unlock(&r->events);
	return rc;
}

static int
differs(
    const struct vmf_receive_image *image, uint64_t off, struct vmf_error *err)
{
	return vmf_fail(err, VMF_INTEGRITY,
	    "%s: reads back other bytes than were written, in the chunk at "
	    "offset %" PRIu64 "; do not trust this disk",
	    vmf_sink_name(image->sink), off);
}

/* One chunk, or the next piece of a run of zeros. */
static int
compare(const struct vmf_receive_image *image,
    const struct vmf_digest_line *line, uint8_t *buf, struct vmf_error *err)
{
	uint8_t digest[VMF_SHA_LEN];
	size_t len = (size_t)line->len;

	if (vmf_sink_read(image->sink, buf, len, line->off, err) < 0)
		return -1;
	if (line->kind == VMF_ZERO)
		return vmf_engine_is_zero(buf, len)
			   ? 0
			   : differs(image, line->off, err);
	if (vmf_sha256(buf, len, digest, err) < 0)
		return -1;
	return memcmp(digest, line->digest, VMF_SHA_LEN) == 0
		   ? 0
		   : differs(image, line->off, err);
}

static int
read_back(const struct vmf_receive_image *image,
    const struct vmf_digest_line *line, uint8_t *buf, struct vmf_error *err)
{
	uint64_t end = line->off + line->len, chunk = image->geo.chunk;
	struct vmf_digest_line piece = *line;

	if (line->kind == VMF_ZERO &&
	    vmf_sink_is_hole(image->sink, line->len, line->off))
		return 0;
	for (; piece.off < end; piece.off += piece.len) {
		piece.len = end - piece.off < chunk ? end - piece.off : chunk;
		if (!vmf_sink_holds(image->sink, piece.off) &&
		    compare(image, &piece, buf, err) < 0)
			return -1;
	}
	return 0;
}

/* What the sink holds back is not on its medium before it is sealed. */
static bool
is_on_medium(
    const struct vmf_receive_image *image, const struct vmf_digest_line *line)
{
	uint64_t last = line->off + line->len - 1;

	return !vmf_sink_holds(image->sink, line->off) &&
	       !vmf_sink_holds(image->sink, last);
}

static int
flush(struct vmf_receive *r, const struct received_list *list,
    struct vmf_error *err)
{
	size_t i, k;

	for (i = 0; i < r->nimages; i++) {
		for (k = 0; k < list->n; k++)
			if (list->items[k].image == i)
				break;
		if (k < list->n && vmf_sink_flush(r->images[i].sink, err) < 0)
			return -1;
	}
	return 0;
}

static int
log_all(struct vmf_receive *r, const struct received_list *list,
    struct vmf_error *err)
{
	size_t i;

	for (i = 0; i < list->n; i++) {
		const struct received *item = &list->items[i];
		const struct vmf_receive_image *image = &r->images[item->image];

		if (image->log != NULL && is_on_medium(image, &item->line) &&
		    vmf_chunk_log_add(image->log, &item->line, err) < 0)
			return -1;
	}
	for (i = 0; i < r->nimages; i++)
		if (r->images[i].log != NULL &&
		    vmf_chunk_log_sync(r->images[i].log, err) < 0)
			return -1;
	return 0;
}

int
vmf_receive_settle(struct vmf_receive *r, const struct received_list *list,
    struct vmf_error *err)
{
	uint8_t *buf = vmf_direct_buffer(r->chunk);
	int rc = buf == NULL ? vmf_fail_errno(err, VMF_IO, "read-back")
			     : flush(r, list, err);
	size_t i;

	for (i = 0; rc == 0 && r->o.readback && i < list->n; i++)
		rc = read_back(&r->images[list->items[i].image],
		    &list->items[i].line, buf, err);
	free(buf);
	if (rc == 0)
		rc = log_all(r, list, err);
	for (i = 0; rc == 0 && i < list->n; i++)
		if (is_on_medium(
			&r->images[list->items[i].image], &list->items[i].line))
			rc = say_durable(r, &list->items[i], err);
	return rc < 0 ? -1 : say_settled(r, err);
}

/* ---- what is there already ----------------------------------------------- */

/* The engine's pipeline over a sink: fill names a chunk, work reads it. */
struct survey {
	struct vmf_job job; /* first: the engine knows only this */
	const struct vmf_receive_image *image;
	uint64_t off;
};

static int
survey_fill(void *ctx, void *arg, struct vmf_error *err)
{
	struct survey *s = ctx;
	struct vmf_slot *slot = arg;
	uint64_t left = s->image->geo.size - s->off,
		 chunk = s->image->geo.chunk;

	(void)err;
	if (left == 0)
		return 0;
	slot->obj.off = s->off;
	slot->obj.len = left < chunk ? left : chunk;
	s->off += slot->obj.len;
	return 1;
}

static int
survey_work(void *ctx, void *worker, void *arg, struct vmf_error *err)
{
	struct survey *s = ctx;
	struct vmf_slot *slot = arg;
	struct vmf_object *obj = &slot->obj;
	size_t len = (size_t)obj->len;

	(void)worker;
	obj->kind = 0;
	if (vmf_sink_holds(s->image->sink, obj->off))
		return 0;
	obj->kind = VMF_ZERO;
	if (vmf_sink_is_hole(s->image->sink, len, obj->off))
		return 0;
	if (vmf_sink_fetch(s->image->sink, slot->raw, len, obj->off, err) < 0)
		return -1;
	if (vmf_engine_is_zero(slot->raw, len))
		return 0;
	obj->kind = VMF_DATA;
	return vmf_sha256(slot->raw, len, obj->digest, err);
}

static int
survey_emit(void *ctx, void *arg, struct vmf_error *err)
{
	const struct survey *s = ctx;
	const struct vmf_object *obj = &((struct vmf_slot *)arg)->obj;
	struct vmf_digest_line line = {
	    .off = obj->off, .len = obj->len, .kind = obj->kind};

	if (obj->kind == 0)
		return 0;
	memcpy(line.digest, obj->digest, VMF_SHA_LEN);
	return vmf_chunks_set(s->image->chunks, &line, err);
}

int
vmf_receive_survey(const struct vmf_receive_image *image,
    const struct vmf_engine_options *engine, struct vmf_error *err)
{
	struct vmf_pipeline p = {
	    .fill = survey_fill, .work = survey_work, .emit = survey_emit};
	struct survey s = {
	    .job = {.options = engine, .chunk = image->geo.chunk},
	    .image = image};

	return vmf_engine_run(&s.job, &p, false, 0, err);
}
