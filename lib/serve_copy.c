/*
 * serve_copy.c - the disks of a move as they arrive: the far end of copy.h
 *
 * After "copy" is answered these requests follow, until one of the last two:
 *
 *	list image		-> ok, then what is durable, as a byte stream
 *	segment n slot len	(slot -1: its bytes follow, as a byte stream)
 *	generation generation	-> ok, when all before it is durable
 *	seal roots[]		-> ok roots[] stored: the targets are complete
 *	leave			-> ok: what is durable stays for another "copy"
 *
 * and without being asked this end says that segments were received, that
 * chunks are durable or must come again, and that it has failed; then nothing
 * but "leave" is heeded any more.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vmferry/manifest.h>
#include <vmferry/receive.h>

#include "serve_internal.h"

/* Bytes of lines of durable chunks in one message. */
#define LINES_MAX (1 * VMF_MIB)

struct lines {
	char *text;
	size_t len, room;
};

struct copy {
	struct serve *s;
	const struct vmf_package_info *info;
	const struct vmf_place *place;
	struct vmf_receive_image *images;
	struct lines *lines; /* of each image, not said yet */
	struct vmf_spool *spool;
	struct vmf_receive *receive;
	bool readback;
	bool rewriting; /* the journal says so */
	pthread_mutex_t out;
	bool failed; /* said so; under the mutex */
};

/* ---- what is said -------------------------------------------------------- */

static int
say(struct copy *c, json_t *message, struct vmf_error *err)
{
	int rc;

	pthread_mutex_lock(&c->out);
	rc = vmf_wire_send(&c->s->wire, message, err);
	pthread_mutex_unlock(&c->out);
	return rc;
}

static void
say_failed(void *ctx, const struct vmf_error *failure)
{
	struct vmf_error ignored;
	struct copy *c = ctx;

	pthread_mutex_lock(&c->out);
	if (!c->failed)
		vmf_wire_send(&c->s->wire, vmf_wire_failure(failure), &ignored);
	c->failed = true;
	pthread_mutex_unlock(&c->out);
}

static bool
has_failed(struct copy *c)
{
	bool failed;

	pthread_mutex_lock(&c->out);
	failed = c->failed;
	pthread_mutex_unlock(&c->out);
	return failed;
}

static int
on_received(void *ctx, uint64_t n, struct vmf_error *err)
{
	return say(ctx,
	    json_pack("{s:s, s:I}", "event", "received", "n", (json_int_t)n),
	    err);
}

static int
on_again(void *ctx, size_t image, uint64_t off, struct vmf_error *err)
{
	return say(ctx,
	    json_pack("{s:s, s:I, s:I}", "event", "again", "image",
		(json_int_t)image, "off", (json_int_t)off),
	    err);
}

static int
on_settled(void *ctx, struct vmf_error *err)
{
	struct copy *c = ctx;
	json_t *lines = json_array();
	size_t i;

	for (i = 0; i < c->info->nimages; i++) {
		json_array_append_new(lines,
		    json_stringn(c->lines[i].len == 0 ? "" : c->lines[i].text,
			c->lines[i].len));
		c->lines[i].len = 0;
	}
	return say(c,
	    json_pack("{s:s, s:o}", "event", "durable", "lines", lines), err);
}

static int
on_durable(void *ctx, size_t image, const struct vmf_digest_line *line,
    struct vmf_error *err)
{
	struct copy *c = ctx;
	struct lines *l = &c->lines[image];
	char *text;

	if (l->room - l->len < VMF_DIGEST_LINE_MAX) {
		text = realloc(l->text, l->room * 2 + 4096);
		if (text == NULL)
			return vmf_fail_errno(err, VMF_IO, "lines");
		l->text = text;
		l->room = l->room * 2 + 4096;
	}
	l->len += vmf_digest_line_format(line, l->text + l->len);
	return l->len < LINES_MAX ? 0 : on_settled(c, err);
}

/* ---- targets ------------------------------------------------------------- */

/* A file of the image's size that may be written over is written in place:
 * what it holds already need not travel. */
static bool
fits_in_place(const char *path, const struct vmf_geometry *geo)
{
	struct stat st;

	return geo->format == VMF_RAW && stat(path, &st) == 0 &&
	       S_ISREG(st.st_mode) && (uint64_t)st.st_size == geo->size &&
	       geo->size > 0;
}

static int
open_sink(struct copy *c, size_t i, struct vmf_error *err)
{
	const struct vmf_package_image *image = &c->info->images[i];
	const char *path = vmf_place_image(c->place, i);
	bool ours = vmf_serve_made(c->s->journal, path) ||
		    vmf_journal_find(c->s->journal, "begun") != NULL;
	char tag[2 * VMF_ID_LEN + 1];
	struct vmf_sink_options o = {
	    .overwrite = ours || vmf_place_overwrites(c->place, i),
	    .scratch = c->s->options->scratch,
	    .part = tag,
	};

	vmf_hex(c->info->id, VMF_ID_LEN, tag);
	tag[8] = '\0';
	o.in_place = o.overwrite && fits_in_place(path, &image->geo);
	c->images[i].name = image->name;
	c->images[i].geo = image->geo;
	c->images[i].sink = vmf_sink_open(path, &image->geo, &o, err);
	if (c->images[i].sink == NULL)
		return vmf_package_wrap_disk(err, image->name);
	return 0;
}

static int
open_maps(
    struct copy *c, size_t i, struct vmf_chunks *chunks, struct vmf_error *err)
{
	char *path;

	path = vmf_journal_path(
	    c->s->journal, "durable", c->info->images[i].name, err);
	if (path == NULL)
		return -1;
	c->images[i].log = vmf_chunk_log_open(path, chunks, err);
	free(path);
	return c->images[i].log == NULL ? -1 : 0;
}

/*
 * The first touch.  What the log says is only true of a file that is still
 * the very one, and as long as nothing durable was written over.
 */
static int
begin_image(struct copy *c, size_t i, struct vmf_error *err)
{
	struct vmf_receive_image *image = &c->images[i];
	const char *path = vmf_place_image(c->place, i), *part;
	bool fresh, trusted;

	image->chunks =
	    vmf_chunks_new(&image->geo, c->s->options->scratch, err);
	if (image->chunks == NULL || vmf_sink_begin(image->sink, err) < 0)
		return -1;
	part = vmf_sink_part(image->sink);
	fresh = part != NULL && !vmf_sink_resumed(image->sink);
	trusted = part != NULL && !fresh && !c->rewriting &&
		  vmf_serve_made(c->s->journal, part);
	if (open_maps(c, i, trusted ? image->chunks : NULL, err) < 0 ||
	    (!trusted && vmf_chunk_log_clear(image->log, err) < 0))
		return -1;
	image->blank = fresh;
	if (!fresh)
		vmf_sink_again(image->sink);
	if (part != NULL && vmf_serve_note(c->s, part, part, true, err) < 0)
		return -1;
	return vmf_serve_note(
	    c->s, path, part == NULL ? path : part, part != NULL, err);
}

static bool
needs_survey(const struct copy *c, size_t i)
{
	return !c->images[i].blank &&
	       (vmf_sink_part(c->images[i].sink) == NULL || c->rewriting);
}

static int
begin_all(struct copy *c, struct vmf_error *err)
{
	size_t i;

	for (i = 0; i < c->info->nimages; i++)
		if (begin_image(c, i, err) < 0)
			return vmf_wrap(
			    err, "disk %s", c->info->images[i].name);
	return vmf_journal_add(
	    c->s->journal, "begun", err, "%zu disks", c->info->nimages);
}

/* Before anything durable is written over: the logs are not to be believed. */
static int
on_rewriting(void *ctx, struct vmf_error *err)
{
	struct copy *c = ctx;

	if (c->rewriting)
		return 0;
	c->rewriting = true;
	return vmf_journal_add(c->s->journal, "rewriting", err, "%s",
	    "durable chunks are written over");
}

static void
close_all(struct copy *c)
{
	size_t i;

	vmf_receive_free(c->receive);
	vmf_spool_free(c->spool);
	for (i = 0; c->images != NULL && i < c->info->nimages; i++) {
		vmf_sink_free(c->images[i].sink);
		vmf_chunks_free(c->images[i].chunks);
		vmf_chunk_log_free(c->images[i].log);
	}
	for (i = 0; c->lines != NULL && i < c->info->nimages; i++)
		free(c->lines[i].text);
	free(c->images);
	free(c->lines);
	pthread_mutex_destroy(&c->out);
}

/* ---- requests ------------------------------------------------------------ */

static int
put_line(void *ctx, const struct vmf_digest_line *line, struct vmf_error *err)
{
	char text[VMF_DIGEST_LINE_MAX];
	size_t len = vmf_digest_line_format(line, text);
	struct vmf_out *out = ctx;

	return out->write(out->ctx, text, len, err);
}

static int
do_list(struct copy *c, const json_t *request, struct vmf_error *err)
{
	json_int_t n = json_integer_value(json_object_get(request, "image"));
	struct vmf_receive_image *image;
	struct vmf_out out;

	if (n < 0 || (size_t)n >= c->info->nimages)
		return vmf_fail(err, VMF_INTEGRITY, "no image %d", (int)n);
	image = &c->images[n];
	if (needs_survey(c, (size_t)n) &&
	    vmf_receive_survey(image, &c->s->options->engine, err) < 0)
		return vmf_wrap(err, "disk %s", image->name);
	if (say(c, json_pack("{s:b}", "ok", 1), err) < 0)
		return -1;
	/* Nothing else is said before the first segment has come. */
	out = vmf_wire_out(&c->s->wire);
	if (vmf_chunks_each(image->chunks, put_line, &out, err) < 0)
		return -1;
	return vmf_wire_end(&c->s->wire, err);
}

/* The bytes that follow a segment's message, malloc'd. */
static uint8_t *
take_bytes(struct copy *c, size_t len, struct vmf_error *err)
{
	struct vmf_in in = vmf_wire_in(&c->s->wire);
	uint8_t *bytes = malloc(len + 1);
	size_t got;

	if (bytes == NULL)
		vmf_fail_errno(err, VMF_IO, "segment");
	else if (in.read(in.ctx, bytes, len + 1, &got, err) == 0) {
		if (got == len)
			return bytes;
		vmf_fail(err, VMF_INTEGRITY,
		    "a segment of %zu bytes that has %s", len,
		    got < len ? "fewer" : "more");
	}
	free(bytes);
	return NULL;
}

static int
do_segment(struct copy *c, const json_t *request, struct vmf_error *err)
{
	json_int_t n = json_integer_value(json_object_get(request, "n"));
	json_int_t slot = json_integer_value(json_object_get(request, "slot"));
	json_int_t len = json_integer_value(json_object_get(request, "len"));
	uint8_t *bytes = NULL;

	if (len < 1 || len > (json_int_t)VMF_SEGMENT_MAX)
		return vmf_fail(
		    err, VMF_INTEGRITY, "a segment of %lld bytes", len);
	if (slot < 0) {
		bytes = take_bytes(c, (size_t)len, err);
		if (bytes == NULL)
			return -1;
	}
	if (has_failed(c)) {
		free(bytes);
		return 0;
	}
	if (slot >= 0)
		return vmf_receive_slot(
		    c->receive, (uint64_t)n, (unsigned)slot, (size_t)len, err);
	return vmf_receive_bytes(
	    c->receive, (uint64_t)n, bytes, (size_t)len, err);
}

static int
do_generation(struct copy *c, const json_t *request, struct vmf_error *err)
{
	json_int_t g =
	    json_integer_value(json_object_get(request, "generation"));

	if (g < 0 || g > UINT32_MAX)
		return vmf_fail(err, VMF_INTEGRITY, "generation %lld", g);
	if (vmf_receive_barrier(c->receive, (uint32_t)g, err) < 0)
		return -1;
	return say(c, json_pack("{s:b, s:I}", "ok", 1, "generation", g), err);
}

/* Both ends must have the same before anything is sealed. */
static int
check_roots(
    struct copy *c, const json_t *request, json_t *roots, struct vmf_error *err)
{
	const json_t *there = json_object_get(request, "roots");
	char hex[2 * VMF_SHA_LEN + 1];
	struct vmf_totals totals;
	const char *root;
	size_t i;

	for (i = 0; i < c->info->nimages; i++) {
		if (vmf_chunks_totals(c->images[i].chunks, &totals, err) < 0)
			return vmf_wrap(
			    err, "disk %s", c->info->images[i].name);
		vmf_hex(totals.root, VMF_SHA_LEN, hex);
		root = json_string_value(json_array_get(there, i));
		if (root == NULL || strcmp(root, hex) != 0)
			return vmf_fail(err, VMF_INTEGRITY,
			    "disk %s: its root here is not the one sent",
			    c->info->images[i].name);
		json_array_append_new(roots, json_string(hex));
	}
	return 0;
}

static int
do_seal(struct copy *c, const json_t *request, struct vmf_error *err)
{
	json_t *roots = json_array();
	size_t i;
	int rc = check_roots(c, request, roots, err);

	for (i = 0; rc == 0 && i < c->info->nimages; i++) {
		rc = vmf_sink_commit(
		    c->images[i].sink, c->images[i].geo.size, c->readback, err);
		if (rc < 0)
			vmf_wrap(err, "disk %s", c->images[i].name);
	}
	if (rc == 0)
		rc = vmf_journal_add(c->s->journal, "sealed", err, "%zu disks",
		    c->info->nimages);
	if (rc < 0) {
		json_decref(roots);
		return -1;
	}
	return say(c,
	    json_pack("{s:b, s:o, s:I}", "ok", 1, "roots", roots, "stored",
		(json_int_t)vmf_receive_stored(c->receive)),
	    err);
}

static const struct {
	const char *word;
	int (*run)(
	    struct copy *c, const json_t *request, struct vmf_error *err);
	bool last;
} requests[] = {
    {"list", do_list, false},
    {"segment", do_segment, false},
    {"generation", do_generation, false},
    {"seal", do_seal, true},
};

/* 1: go on; 0: the end of it; -1: the channel is of no use any more. */
static int
answer_one(struct copy *c, const json_t *request, struct vmf_error *err)
{
	const char *word = vmf_wire_text(request, "do");
	size_t i, n = sizeof(requests) / sizeof(requests[0]);
	struct vmf_error failure = {0};
	int rc;

	if (strcmp(word, "leave") == 0)
		return say(c, json_pack("{s:b}", "ok", 1), err);
	for (i = 0; i < n; i++)
		if (strcmp(requests[i].word, word) == 0)
			break;
	/* What was under way when it failed is read, and dropped. */
	if (has_failed(c) && strcmp(word, "segment") != 0)
		return 1;
	rc = i < n ? requests[i].run(c, request, &failure)
		   : vmf_fail(&failure, VMF_USAGE,
			 "'%s' is not known here: needs a newer vmferry", word);
	if (rc == 0)
		return requests[i].last ? 0 : 1;
	say_failed(c, &failure);
	return 1;
}

static int
serve_requests(struct copy *c, struct vmf_error *err)
{
	json_t *request;
	int rc = 1;

	while (rc > 0) {
		request = vmf_wire_receive(&c->s->wire, err);
		if (request == NULL && err->class == VMF_OK)
			vmf_fail(err, VMF_REMOTE, "the other end went away");
		if (request == NULL)
			return -1;
		rc = answer_one(c, request, err);
		json_decref(request);
	}
	return rc;
}

/* ---- all of it ----------------------------------------------------------- */

static int
open_journal(struct copy *c, bool resume, struct vmf_error *err)
{
	const char *dir = c->s->options->moves_dir;
	char id[2 * VMF_ID_LEN + 1];

	vmf_hex(c->info->id, VMF_ID_LEN, id);
	if (resume && c->s->journal == NULL) {
		c->s->journal = vmf_journal_open(dir, id, err);
		/* It never got so far: it begins here. */
		if (c->s->journal == NULL && err->class != VMF_REFUSED)
			return -1;
	}
	if (c->s->journal == NULL)
		c->s->journal = vmf_journal_create(dir, c->info->id, err);
	if (c->s->journal == NULL)
		return -1;
	c->rewriting = vmf_journal_find(c->s->journal, "rewriting") != NULL ||
		       vmf_journal_find(c->s->journal, "sealed") != NULL;
	return vmf_journal_add(c->s->journal, "receive", err, "%s %s",
	    vmf_place_uuid(c->place), vmf_place_name(c->place));
}

static int
start(struct copy *c, const json_t *request, struct vmf_error *err)
{
	const struct vmf_serve_options *so = c->s->options;
	json_int_t len =
	    json_integer_value(json_object_get(request, "slot_len"));
	struct vmf_spool_options spool = so->spool;
	struct vmf_receive_options o = {
	    .readback = c->readback,
	    .engine = &so->engine,
	    .events = {.ctx = c,
		.received = on_received,
		.durable = on_durable,
		.again = on_again,
		.settled = on_settled,
		.rewriting = on_rewriting,
		.failed = say_failed},
	};

	if (len < 1 || len > (json_int_t)VMF_SEGMENT_MAX)
		return vmf_fail(
		    err, VMF_INTEGRITY, "segments of %lld bytes", len);
	spool.slot_len = (size_t)len;
	c->spool = vmf_spool_new(c->info->id, &spool, err);
	if (c->spool == NULL)
		return -1;
	memcpy(o.id, c->info->id, VMF_ID_LEN);
	o.spool = c->spool;
	c->receive = vmf_receive_new(c->images, c->info->nimages, &o, err);
	return c->receive == NULL ? -1 : 0;
}

static json_t *
first_answer(struct copy *c)
{
	json_t *images = json_array();
	size_t i;

	for (i = 0; i < c->info->nimages; i++)
		json_array_append_new(
		    images, json_pack("{s:s}", "state",
				c->images[i].blank ? "new" : "known"));
	return json_pack("{s:b, s:I, s:s, s:I, s:o}", "ok", 1, "generation",
	    (json_int_t)0, "spool", vmf_spool_path(c->spool), "slots",
	    (json_int_t)vmf_spool_slots(c->spool), "images", images);
}

static int
run(struct copy *c, const json_t *request, struct vmf_error *err)
{
	size_t i;

	c->images = calloc(c->info->nimages + 1, sizeof(*c->images));
	c->lines = calloc(c->info->nimages + 1, sizeof(*c->lines));
	if (c->images == NULL || c->lines == NULL)
		return vmf_fail_errno(err, VMF_IO, "copy");
	if (open_journal(
		c, json_is_true(json_object_get(request, "resume")), err) < 0)
		return -1;
	for (i = 0; i < c->info->nimages; i++)
		if (open_sink(c, i, err) < 0)
			return -1;
	if (begin_all(c, err) < 0)
		return -1;
	if (start(c, request, err) < 0 || say(c, first_answer(c), err) < 0)
		return -1;
	return serve_requests(c, err);
}

json_t *
vmf_serve_copy(struct serve *s, const json_t *request, struct vmf_error *err)
{
	const char *head = vmf_wire_text(request, "head");
	struct vmf_manifest *m = vmf_manifest_parse(head, strlen(head), err);
	struct copy c = {.s = s,
	    .readback = !json_is_false(json_object_get(request, "readback"))};
	struct vmf_place *place = NULL;
	json_t *answer = NULL;

	if (m == NULL)
		return NULL;
	c.info = vmf_manifest_info(m);
	pthread_mutex_init(&c.out, NULL);
	place = vmf_serve_place(s, c.info, request, err);
	c.place = place;
	/* All has been answered on the way. */
	if (place != NULL && run(&c, request, err) == 0)
		answer = json_null();
	close_all(&c);
	vmf_place_free(place);
	vmf_manifest_free(m);
	return answer;
}
