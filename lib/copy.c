/* copy.c - see copy.h */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <vmferry/digest.h>
#include <vmferry/spool.h>

#include "copy_internal.h"

/* A segment is sent when it has so many bytes: enough to be worth its
 * message, little enough for all sessions to have one. */
#define SEGMENT_LEN (8 * VMF_MIB)
/* What an object has beside its frame, the body of a PATCH included. */
#define OBJECT_ROOM (256 * VMF_KIB)

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
come_again(void *ctx, size_t image, uint64_t off)
{
	struct vmf_copy *copy = ctx;

	vmf_chunks_forget(copy->images[image].there, off, 1);
	atomic_fetch_add(&copy->again, 1);
}

static void
pass_note(void *ctx, const char *text)
{
	const struct vmf_copy *copy = ctx;

	if (copy->o.note != NULL)
		copy->o.note(copy->o.ctx, text);
}

/* ---- open ---------------------------------------------------------------- */

static int
init_image(struct vmf_copy *copy, size_t n, struct vmf_error *err)
{
	struct copy_image *image = &copy->images[n];
	const struct vmf_geometry *geo = &copy->info->images[n].geo;
	size_t last = (size_t)(geo->size % geo->chunk);

	image->image = &copy->info->images[n];
	image->there = vmf_chunks_new(geo, copy->o.scratch, err);
	if (image->there == NULL ||
	    vmf_sha256_zeros(geo->chunk, image->zero, err) < 0 ||
	    vmf_sha256_zeros(last, image->last_zero, err) < 0)
		return -1;
	if (!copy->o.patches)
		return 0;
	image->sums = vmf_sums_new(geo, copy->o.scratch, err);
	return image->sums == NULL ? -1 : 0;
}

/* What is durable there, for whoever asks here; what it said in an earlier
 * run is said again by the far end. */
static int
open_log(struct vmf_copy *copy, size_t n, struct vmf_error *err)
{
	char *path;

	if (copy->o.journal == NULL)
		return 0;
	path = vmf_journal_path(
	    copy->o.journal, "durable", copy->info->images[n].name, err);
	if (path == NULL)
		return -1;
	copy->logs[n] = vmf_chunk_log_open(path, NULL, err);
	free(path);
	if (copy->logs[n] == NULL)
		return -1;
	return vmf_chunk_log_clear(copy->logs[n], err);
}

static int
init(struct vmf_copy *copy, struct vmf_error *err)
{
	size_t i;

	copy->images = calloc(copy->info->nimages + 1, sizeof(*copy->images));
	copy->logs = calloc(copy->info->nimages + 1, sizeof(*copy->logs));
	if (copy->images == NULL || copy->logs == NULL)
		return vmf_fail_errno(err, VMF_IO, "copy");
	for (i = 0; i < copy->info->nimages; i++)
		if (init_image(copy, i, err) < 0 || open_log(copy, i, err) < 0)
			return -1;
	return 0;
}

static size_t
slot_len(const struct vmf_package_info *info)
{
	size_t len = SEGMENT_LEN, one, i;

	for (i = 0; i < info->nimages; i++) {
		one = vmf_frame_bound(info->images[i].geo.chunk) + OBJECT_ROOM;
		if (one > len)
			len = one;
	}
	return len;
}

/* Lines of what the far end holds of an image, as a byte stream. */
static int
take_list(struct vmf_copy *copy, size_t n, struct vmf_error *err)
{
	struct vmf_in in = vmf_wire_in(&copy->far->wire);
	char text[VMF_DIGEST_LINE_MAX];
	struct vmf_digest_line line;
	size_t len = 0, got;

	for (;;) {
		if (in.read(in.ctx, text + len, 1, &got, err) < 0)
			return -1;
		if (got == 0)
			break;
		if (text[len++] != '\n') {
			if (len < sizeof(text))
				continue;
			return vmf_fail(
			    err, VMF_INTEGRITY, "malformed line of digests");
		}
		text[len - 1] = '\0';
		len = 0;
		if (vmf_digest_line_parse(text, &line, err) < 0 ||
		    vmf_chunks_set(copy->images[n].there, &line, err) < 0 ||
		    (copy->logs[n] != NULL &&
			vmf_chunk_log_add(copy->logs[n], &line, err) < 0))
			return -1;
	}
	return copy->logs[n] == NULL ? 0
				     : vmf_chunk_log_sync(copy->logs[n], err);
}

static int
ask_list(struct vmf_copy *copy, size_t n, struct vmf_error *err)
{
	json_t *answer = vmf_move_far_ask(copy->far,
	    json_pack("{s:s, s:I}", "do", "list", "image", (json_int_t)n), err);

	if (answer == NULL)
		return -1;
	json_decref(answer);
	if (take_list(copy, n, err) == 0)
		return 0;
	copy->far->lost = true;
	return vmf_wrap(err, "%s", copy->far->options->dest);
}

static uint64_t
size_to_come(const struct vmf_copy *copy)
{
	uint64_t size = 0;
	size_t i;

	for (i = 0; i < copy->info->nimages; i++)
		size += copy->info->images[i].geo.size -
			vmf_chunks_known(copy->images[i].there);
	return size;
}

static int
open_feed(struct vmf_copy *copy, const json_t *answer, struct vmf_error *err)
{
	const char *spool = vmf_wire_text(answer, "spool");
	json_int_t slots = json_integer_value(json_object_get(answer, "slots"));
	struct vmf_feed_options o = {
	    .exec = copy->far->exec,
	    .wire = &copy->far->wire,
	    .dest = copy->far->options->dest,
	    .ssh = copy->o.ssh,
	    .spool = spool[0] == '\0' ? NULL : spool,
	    .slots = (unsigned)slots,
	    .slot_len = slot_len(copy->info),
	    .sessions = copy->o.sessions,
	    .size = size_to_come(copy),
	    .progress = copy->o.engine.progress,
	    .logs = copy->logs,
	    .nimages = copy->info->nimages,
	    .again = come_again,
	    .note = pass_note,
	    .ctx = copy,
	};

	if (slots < 1 || slots > VMF_SPOOL_SLOTS_MAX)
		return vmf_fail(err, VMF_INTEGRITY, "%s: a spool of %d slots",
		    copy->far->options->dest, (int)slots);
	copy->feed = vmf_feed_open(&o, err);
	return copy->feed == NULL ? -1 : 0;
}

static int
begin(struct vmf_copy *copy, json_t *request, struct vmf_error *err)
{
	const json_t *images, *state;
	json_t *answer;
	int rc = 0;
	size_t i;

	json_object_set_new(request, "slot_len",
	    json_integer((json_int_t)slot_len(copy->info)));
	answer = vmf_move_far_ask(copy->far, request, err);
	if (answer == NULL)
		return -1;
	copy->generation =
	    (uint32_t)json_integer_value(json_object_get(answer, "generation"));
	images = json_object_get(answer, "images");
	for (i = 0; rc == 0 && i < copy->info->nimages; i++) {
		state = json_array_get(images, i);
		if (strcmp(vmf_wire_text(state, "state"), "new") != 0)
			rc = ask_list(copy, i, err);
	}
	if (rc == 0)
		rc = open_feed(copy, answer, err);
	json_decref(answer);
	return rc;
}

struct vmf_copy *
vmf_copy_open(struct vmf_move_far *far, json_t *request,
    const struct vmf_package_info *info, const struct vmf_copy_options *options,
    struct vmf_error *err)
{
	struct vmf_copy *copy = calloc(1, sizeof(*copy));

	if (copy == NULL) {
		json_decref(request);
		vmf_fail_errno(err, VMF_IO, "copy");
		return NULL;
	}
	copy->o = *options;
	copy->far = far;
	copy->info = info;
	if (init(copy, err) < 0)
		json_decref(request);
	else if (begin(copy, request, err) == 0)
		return copy;
	vmf_copy_free(copy);
	return NULL;
}

/* ---- passes -------------------------------------------------------------- */

static int
one_generation(struct vmf_copy *copy, struct vmf_pack *pack, bool held,
    struct vmf_copy_pass *result, struct vmf_error *err)
{
	size_t i;

	atomic_store(&copy->again, 0);
	for (i = 0; i < copy->info->nimages; i++)
		if (vmf_copy_image(copy, i, vmf_pack_source(pack, i), held,
			result, err) < 0)
			return vmf_wrap(
			    err, "disk %s", copy->info->images[i].name);
	if (vmf_feed_barrier(copy->feed, copy->generation + 1, err) < 0)
		return -1;
	copy->generation++;
	return 0;
}

int
vmf_copy_pass(struct vmf_copy *copy, struct vmf_pack *pack, bool held,
    struct vmf_copy_pass *result, struct vmf_error *err)
{
	double started = now();

	memset(result, 0, sizeof(*result));
	result->generation = copy->generation;
	do {
		if (one_generation(copy, pack, held, result, err) < 0) {
			copy->far->lost =
			    copy->far->lost || vmf_feed_lost(copy->feed);
			return -1;
		}
		/* What was not what a patch was made for comes whole. */
		held = true;
	} while (atomic_load(&copy->again) > 0);
	result->seconds = now() - started;
	return 0;
}

/* ---- the end ------------------------------------------------------------- */

static int
compare_root(struct vmf_copy *copy, size_t n, const json_t *answer,
    struct vmf_totals *totals, struct vmf_error *err)
{
	const char *there = json_string_value(
	    json_array_get(json_object_get(answer, "roots"), n));
	char here[2 * VMF_SHA_LEN + 1];

	vmf_hex(totals->root, VMF_SHA_LEN, here);
	if (there == NULL || strcmp(here, there) != 0)
		return vmf_fail(err, VMF_INTEGRITY,
		    "disk %s: the root at %s is not the one sent",
		    copy->info->images[n].name, copy->far->options->dest);
	return 0;
}

int
vmf_copy_seal(
    struct vmf_copy *copy, struct vmf_totals *totals, struct vmf_error *err)
{
	json_t *roots = json_array(), *answer;
	char hex[2 * VMF_SHA_LEN + 1];
	int rc = 0;
	size_t i;

	for (i = 0; rc == 0 && i < copy->info->nimages; i++) {
		rc = vmf_chunks_totals(copy->images[i].there, &totals[i], err);
		vmf_hex(totals[i].root, VMF_SHA_LEN, hex);
		json_array_append_new(roots, json_string(hex));
	}
	if (rc < 0) {
		json_decref(roots);
		return vmf_wrap(err, "disk %s", copy->info->images[i - 1].name);
	}
	answer = vmf_feed_close(copy->feed,
	    json_pack("{s:s, s:o}", "do", "seal", "roots", roots), err);
	if (answer == NULL) {
		copy->far->lost = copy->far->lost || vmf_feed_lost(copy->feed);
		return -1;
	}
	for (i = 0; rc == 0 && i < copy->info->nimages; i++)
		rc = compare_root(copy, i, answer, &totals[i], err);
	json_decref(answer);
	return rc;
}

uint64_t
vmf_copy_sent(const struct vmf_copy *copy)
{
	return vmf_feed_sent(copy->feed);
}

unsigned
vmf_copy_sessions(const struct vmf_copy *copy)
{
	return vmf_feed_sessions(copy->feed);
}

void
vmf_copy_free(struct vmf_copy *copy)
{
	size_t i;

	if (copy == NULL)
		return;
	if (copy->feed != NULL) {
		vmf_feed_free(copy->feed);
	} else if (copy->far->exec != NULL && !copy->far->lost) {
		struct vmf_error ignored;

		json_decref(vmf_move_far_ask(
		    copy->far, json_pack("{s:s}", "do", "leave"), &ignored));
	}
	for (i = 0; copy->images != NULL && i < copy->info->nimages; i++) {
		vmf_chunks_free(copy->images[i].there);
		vmf_sums_free(copy->images[i].sums);
	}
	for (i = 0; copy->logs != NULL && i < copy->info->nimages; i++)
		vmf_chunk_log_free(copy->logs[i]);
	free(copy->images);
	free(copy->logs);
	free(copy);
}
