/*
 * serve.c - see vmferry/serve.h
 *
 * Every request is a JSON object with a member "do"; the answer is
 * {"ok": true, ...} or a failure.  A failed request leaves the session usable,
 * except in the middle of a byte stream: then the answer is the last thing
 * said, so that the source need not send the rest.
 *
 *	rows	head xml overwrite[] allow replace ...	-> rows[] targets[] now
 *	copy	head xml overwrite[] ... slot_len resume: see serve_copy.c
 *	files	xml ..., then a package without disks as a stream
 *	define	xml secrets[] autostart replace
 *	start	uuid
 *	state	uuid					-> defined run
 *	firmware path					-> there
 *	discard	id					-> removed[] left[]
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <vmferry/check.h>
#include <vmferry/held.h>
#include <vmferry/host.h>
#include <vmferry/journal.h>
#include <vmferry/manifest.h>
#include <vmferry/place.h>
#include <vmferry/serve.h>

#include "secrets.h"
#include "serve_internal.h"

#define START_SECONDS 30

int
vmf_serve_need_host(struct serve *s, struct vmf_error *err)
{
	if (s->host == NULL)
		s->host = vmf_host_open(s->options->connect, err);
	return s->host == NULL ? -1 : 0;
}

/* A list of strings as a NULL-terminated array that borrows them. */
const char **
vmf_serve_strings(const json_t *array, struct vmf_error *err)
{
	size_t n = json_array_size(array), i;
	const char **list = calloc(n + 1, sizeof(*list));

	if (list == NULL) {
		vmf_fail_errno(err, VMF_IO, "request");
		return NULL;
	}
	for (i = 0; i < n; i++) {
		list[i] = json_string_value(json_array_get(array, i));
		if (list[i] == NULL)
			break;
	}
	return list;
}

/* What rows and copy have in common; both lists are borrowed. */
static struct vmf_place_options
place_options(const struct serve *s, const json_t *request,
    const char *const *overwrite, const char *const *secrets)
{
	return (struct vmf_place_options){
	    .overwrite = overwrite,
	    .secrets = secrets,
	    .allow =
		(uint32_t)json_integer_value(json_object_get(request, "allow")),
	    .trusted = true,
	    .define = true,
	    .replace = json_is_true(json_object_get(request, "replace")),
	    .readback = !json_is_false(json_object_get(request, "readback")),
	    .scratch = s->options->scratch,
	};
}

struct vmf_place *
vmf_serve_place(struct serve *s, const struct vmf_package_info *info,
    const json_t *request, struct vmf_error *err)
{
	const char **overwrite =
	    vmf_serve_strings(json_object_get(request, "overwrite"), err);
	const char **secrets =
	    vmf_serve_strings(json_object_get(request, "secrets"), err);
	struct vmf_place_options o =
	    place_options(s, request, overwrite, secrets);
	struct vmf_place *place = NULL;

	if (overwrite == NULL || secrets == NULL ||
	    vmf_serve_need_host(s, err) < 0)
		goto out;
	place = vmf_place_new(
	    info, vmf_wire_text(request, "xml"), s->host, &o, err);
out:
	free(secrets);
	free(overwrite);
	return place;
}

/* ---- check ------------------------------------------------------------- */

static json_t *
target_list(const struct vmf_package_info *info, const struct vmf_place *place)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < info->nimages; i++)
		json_array_append_new(
		    list, json_string(vmf_place_image(place, i)));
	return list;
}

/* One number for each image of info; NULL: no memory. */
static uint64_t *
number_list(const json_t *array, size_t n, struct vmf_error *err)
{
	uint64_t *list = calloc(n + 1, sizeof(*list));
	size_t i;

	if (list == NULL)
		vmf_fail_errno(err, VMF_IO, "request");
	for (i = 0; list != NULL && i < n; i++)
		list[i] =
		    (uint64_t)json_integer_value(json_array_get(array, i));
	return list;
}

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static json_t *
rows_answer(const struct vmf_check *rows, const struct vmf_package_info *info,
    const struct vmf_place *place, struct vmf_error *err)
{
	char *text = vmf_check_format(rows, err);
	json_t *answer = NULL;

	if (text != NULL)
		answer = json_pack("{s:b, s:s, s:f, s:o}", "ok", 1, "rows",
		    text, "now", now(), "targets",
		    place == NULL ? json_array() : target_list(info, place));
	free(text);
	return answer;
}

static json_t *
check_request(struct serve *s, const struct vmf_package_info *info,
    const json_t *request, struct vmf_error *err)
{
	const char **overwrite =
	    vmf_serve_strings(json_object_get(request, "overwrite"), err);
	const char **identity =
	    vmf_serve_strings(json_object_get(request, "identity"), err);
	const char **secrets =
	    vmf_serve_strings(json_object_get(request, "secrets"), err);
	uint64_t *allocated = number_list(
	    json_object_get(request, "allocated"), info->nimages, err);
	struct vmf_place_options o =
	    place_options(s, request, overwrite, secrets);
	struct vmf_check_place what = {
	    .info = info,
	    .xml = vmf_wire_text(request, "xml"),
	    .options = &o,
	    .allocated = allocated,
	    .live = json_is_true(json_object_get(request, "live")),
	    .start = json_is_true(json_object_get(request, "start")),
	    .libvirt = (unsigned long)json_integer_value(
		json_object_get(request, "libvirt")),
	    .emulator = (unsigned long)json_integer_value(
		json_object_get(request, "emulator")),
	    .swtpm = (unsigned long)json_integer_value(
		json_object_get(request, "swtpm")),
	};
	struct vmf_check *rows = vmf_check_new(err);
	struct vmf_place *place = NULL;
	json_t *answer = NULL;

	if (overwrite == NULL || identity == NULL || secrets == NULL ||
	    allocated == NULL || rows == NULL)
		goto out;
	if (json_array_size(json_object_get(request, "identity")) ==
	    info->nimages)
		what.identity = identity;
	vmf_check_where(rows, "destination");
	if (vmf_check_place(rows, s->host, &what, &place, err) == 0)
		answer = rows_answer(rows, info, place, err);
out:
	vmf_place_free(place);
	vmf_check_free(rows);
	free(allocated);
	free(secrets);
	free(identity);
	free(overwrite);
	return answer;
}

static json_t *
do_rows(struct serve *s, const json_t *request, struct vmf_error *err)
{
	const char *head = vmf_wire_text(request, "head");
	struct vmf_manifest *m = vmf_manifest_parse(head, strlen(head), err);
	json_t *answer = NULL;

	if (m != NULL && vmf_serve_need_host(s, err) == 0)
		answer = check_request(s, vmf_manifest_info(m), request, err);
	vmf_manifest_free(m);
	return answer;
}

/* ---- files --------------------------------------------------------------- */

/* What an earlier run of this move placed may be placed again. */
static int
take_away(struct serve *s, const struct vmf_place *place,
    const struct vmf_package_info *info, struct vmf_error *err)
{
	const char *path;
	size_t i;

	for (i = 0; i < info->nfiles; i++) {
		path = vmf_place_file(place, i);
		if (vmf_serve_made(s->journal, path) && unlink(path) < 0)
			return vmf_fail_errno(err, VMF_IO, "%s", path);
	}
	return 0;
}

static json_t *
place_files(struct serve *s, struct vmf_package_reader *r,
    const json_t *request, struct vmf_error *err)
{
	const struct vmf_package_info *info = vmf_package_reader_info(r);
	/* The host was asked about all of it when the disks came. */
	struct vmf_place_options o = {
	    .trusted = true, .scratch = s->options->scratch};
	struct vmf_place *place =
	    vmf_place_new(info, vmf_wire_text(request, "xml"), NULL, &o, err);
	json_t *answer = NULL;
	const char *path;
	size_t i;

	if (place == NULL)
		return NULL;
	if (s->journal == NULL)
		vmf_fail(err, VMF_USAGE, "files come after their disks");
	else if (take_away(s, place, info, err) == 0 &&
		 vmf_place_restore(place, r, &s->options->engine, NULL, err) ==
		     0)
		answer = json_pack("{s:b}", "ok", 1);
	for (i = 0; answer != NULL && i < info->nfiles; i++) {
		path = vmf_place_file(place, i);
		if (vmf_serve_note(s, path, path, true, err) < 0) {
			json_decref(answer);
			answer = NULL;
		}
	}
	vmf_place_free(place);
	return answer;
}

static json_t *
do_files(struct serve *s, const json_t *request, struct vmf_error *err)
{
	struct vmf_package_reader_options o = {.scratch = s->options->scratch};
	struct vmf_package_reader *r;
	json_t *answer = NULL;

	r = vmf_package_reader_open(vmf_wire_in(&s->wire), &o, err);
	if (r != NULL)
		answer = place_files(s, r, request, err);
	vmf_package_reader_free(r);
	/* The package's reader has seen the end of the stream. */
	return answer;
}

/* ---- define, start, state ------------------------------------------------ */

/* Already defined with this very name and UUID: a repeated request. */
static int
is_defined(struct serve *s, const char *xml, char uuid[VMF_DOMAIN_UUID_TEXT],
    bool *defined, struct vmf_error *err)
{
	struct vmf_domain *dom =
	    vmf_domain_parse(xml, strlen(xml), "domain.xml", err);
	const struct vmf_domain_model *model;
	struct vmf_host_state state;
	int rc = -1;

	if (dom == NULL)
		return -1;
	model = vmf_domain_model(dom, err);
	if (model != NULL &&
	    vmf_host_find(s->host, model->uuid, &state, defined, err) == 0) {
		memcpy(uuid, model->uuid, VMF_DOMAIN_UUID_TEXT);
		*defined = *defined && strcmp(state.name, model->name) == 0 &&
			   state.persistent;
		rc = 0;
	}
	vmf_domain_free(dom);
	return rc;
}

static json_t *
do_define(struct serve *s, const json_t *request, struct vmf_error *err)
{
	bool replace = json_is_true(json_object_get(request, "replace"));
	bool again = json_is_true(json_object_get(request, "again"));
	const char *xml = vmf_wire_text(request, "xml");
	char uuid[VMF_DOMAIN_UUID_TEXT], *old = NULL;
	bool defined = false;
	int rc;

	if (vmf_serve_need_host(s, err) < 0 ||
	    is_defined(s, xml, uuid, &defined, err) < 0)
		return NULL;
	if (again && defined)
		return json_pack("{s:b}", "ok", 1);
	/* Before the domain, which could not start without them. */
	if (vmf_secrets_put(s->host, json_object_get(request, "secrets"), err) <
		0 ||
	    vmf_host_define(s->host, xml, replace, &old, err) < 0)
		return NULL;
	rc = s->journal == NULL || old == NULL
		 ? 0
		 : vmf_journal_keep(s->journal, "replaced.xml", old, err);
	free(old);
	/* It may have moved away from here before: the right to run it came
	 * back with it. */
	if (rc == 0)
		rc = vmf_held_clear(s->options->held_dir, uuid, err);
	if (rc == 0 && json_is_true(json_object_get(request, "autostart")))
		rc = vmf_host_set_autostart(s->host, uuid, true, err);
	if (rc == 0 && s->journal != NULL)
		rc = vmf_journal_add(s->journal, "defined", err, "%s", uuid);
	return rc < 0 ? NULL : json_pack("{s:b}", "ok", 1);
}

static json_t *
do_start(struct serve *s, const json_t *request, struct vmf_error *err)
{
	const struct timespec tick = {0, 100000000};
	const char *uuid = vmf_wire_text(request, "uuid");
	struct vmf_host_state state;
	unsigned i;

	if (vmf_serve_need_host(s, err) < 0 ||
	    vmf_host_state(s->host, uuid, &state, err) < 0)
		return NULL;
	if (state.run != VMF_RUN_RUNNING &&
	    vmf_host_start(s->host, uuid, err) < 0)
		return NULL;
	for (i = 0; i < START_SECONDS * 10; i++) {
		if (vmf_host_state(s->host, uuid, &state, err) < 0)
			return NULL;
		if (state.run == VMF_RUN_RUNNING)
			return json_pack("{s:b}", "ok", 1);
		nanosleep(&tick, NULL);
	}
	vmf_fail(err, VMF_HYPERVISOR, "%s was started but is %s", state.name,
	    vmf_host_run_name(state.run));
	return NULL;
}

static json_t *
do_state(struct serve *s, const json_t *request, struct vmf_error *err)
{
	struct vmf_host_state state;
	bool found;

	if (vmf_serve_need_host(s, err) < 0 ||
	    vmf_host_find(s->host, vmf_wire_text(request, "uuid"), &state,
		&found, err) < 0)
		return NULL;
	return json_pack("{s:b, s:b, s:s}", "ok", 1, "defined", found, "run",
	    found ? vmf_host_run_name(state.run) : "");
}

static json_t *
do_discard(struct serve *s, const json_t *request, struct vmf_error *err)
{
	json_t *removed = json_array(), *left = json_array();
	struct vmf_journal *j = s->journal;

	if (vmf_serve_need_host(s, err) < 0)
		goto fail;
	if (j == NULL)
		j = vmf_journal_open(
		    s->options->moves_dir, vmf_wire_text(request, "id"), err);
	/* Nothing was ever received: nothing is to be removed. */
	if (j == NULL && err->class != VMF_REFUSED)
		goto fail;
	if (j != NULL && vmf_serve_discard(s, j, removed, left, err) < 0) {
		if (j != s->journal)
			vmf_journal_free(j);
		goto fail;
	}
	if (j != s->journal)
		vmf_journal_free(j);
	return json_pack(
	    "{s:b, s:o, s:o}", "ok", 1, "removed", removed, "left", left);
fail:
	json_decref(removed);
	json_decref(left);
	return NULL;
}

/* ---- the loop
 * ------------------------------------------------------------------ */

static json_t *
do_hello(struct serve *s, const json_t *request, struct vmf_error *err)
{
	struct vmf_host_facts facts;

	(void)request;
	if (vmf_serve_need_host(s, err) < 0 ||
	    vmf_host_facts(s->host, &facts, err) < 0)
		return NULL;
	return json_pack("{s:b, s:s, s:s, s:s}", "ok", 1, "version",
	    VMF_VERSION, "hostname", facts.hostname, "uuid", facts.uuid);
}

static json_t *
do_firmware(struct serve *s, const json_t *request, struct vmf_error *err)
{
	if (vmf_serve_need_host(s, err) < 0)
		return NULL;
	return json_pack("{s:b, s:b}", "ok", 1, "there",
	    vmf_host_firmware_there(s->host, vmf_wire_text(request, "path")));
}

static const struct {
	const char *word;
	json_t *(*run)(
	    struct serve *s, const json_t *request, struct vmf_error *err);
	bool stream; /* a byte stream follows the request */
} requests[] = {
    {"hello", do_hello, false},
    {"rows", do_rows, false},
    {"copy", vmf_serve_copy, false},
    {"files", do_files, true},
    {"define", do_define, false},
    {"start", do_start, false},
    {"state", do_state, false},
    {"discard", do_discard, false},
    {"firmware", do_firmware, false},
};

static int
answer_one(struct serve *s, const json_t *request, struct vmf_error *err)
{
	const char *word = vmf_wire_text(request, "do");
	size_t i, n = sizeof(requests) / sizeof(requests[0]);
	struct vmf_error failure = {0};
	json_t *answer = NULL;
	bool over = false;

	for (i = 0; i < n; i++)
		if (strcmp(requests[i].word, word) == 0)
			break;
	if (i == n)
		vmf_fail(&failure, VMF_USAGE,
		    "'%s' is not known here: needs a newer vmferry", word);
	else
		answer = requests[i].run(s, request, &failure);
	if (answer == NULL) {
		answer = vmf_wire_failure(&failure);
		over = i < n && requests[i].stream;
	}
	/* A copy has been answered on the way. */
	if (json_is_null(answer))
		return 0;
	if (vmf_wire_send(&s->wire, answer, err) < 0)
		return -1;
	if (over)
		*err = failure;
	return over ? -1 : 0;
}

int
vmf_serve(struct vmf_in in, struct vmf_out out,
    const struct vmf_serve_options *options, struct vmf_error *err)
{
	struct serve s = {.options = options};
	json_t *request;
	int rc;

	if (vmf_wire_init(&s.wire, in, out, err) < 0)
		return -1;
	rc = vmf_wire_say_hello(&s.wire, err);
	while (rc == 0 && (request = vmf_wire_receive(&s.wire, err)) != NULL) {
		rc = answer_one(&s, request, err);
		json_decref(request);
	}
	if (rc == 0 && err->class != VMF_OK)
		rc = -1;
	vmf_journal_free(s.journal);
	vmf_host_free(s.host);
	vmf_wire_clear(&s.wire);
	return rc;
}
