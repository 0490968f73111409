/* move_copy.c - the copy stage of a move, and what of it a warm one does first
 */
#include <stdlib.h>
#include <string.h>

#include <vmferry/manifest.h>

#include "move_internal.h"

/* A pass that sends so little, or not so much less than the one before, is
 * the last one before the stop. */
#define LITTLE	   (16 * VMF_MIB)
#define FALLS	   0.7
#define PASSES_MAX 16

static void
note(void *ctx, const char *text)
{
	const struct move *m = ctx;

	if (m->o->note != NULL)
		m->o->note(m->o->ctx, text);
}

static json_t *
copy_request(struct move *m, bool resume, struct vmf_error *err)
{
	char *head =
	    vmf_manifest_format_head(vmf_pack_info(m->pack), NULL, err);
	json_t *request;

	if (head == NULL)
		return NULL;
	request = vmf_move_placement(m, "copy");
	json_object_set_new(request, "head", json_string(head));
	json_object_set_new(request, "resume", json_boolean(resume));
	free(head);
	return request;
}

int
vmf_move_copy_begin(struct move *m, bool resume, struct vmf_error *err)
{
	struct vmf_copy_options o = {
	    .engine = m->o->engine,
	    .ssh = m->o->ssh,
	    .sessions = m->o->sessions,
	    .journal = m->journal,
	    .scratch = m->o->scratch,
	    .patches = m->o->mode == VMF_MOVE_WARM,
	    .note = note,
	    .ctx = m,
	};
	json_t *request = copy_request(m, resume, err);

	if (request == NULL)
		return -1;
	m->copied = true;
	m->copy =
	    vmf_copy_open(&m->far, request, vmf_pack_info(m->pack), &o, err);
	return m->copy == NULL ? -1 : 0;
}

/* One pass, counted, shown and in the journal. */
static int
pass(struct move *m, bool held, const char *detail,
    struct vmf_move_report *report, struct vmf_copy_pass *result,
    struct vmf_error *err)
{
	struct vmf_progress *p = m->o->engine.progress;

	if (p != NULL) {
		atomic_store(&p->done, 0);
		atomic_store(&p->zero, 0);
		atomic_store(&p->stored, 0);
		atomic_store(&p->total, vmf_pack_size(m->pack));
	}
	vmf_move_enter(m, "copy", detail);
	if (vmf_copy_pass(m->copy, m->pack, held, result, err) < 0)
		return -1;
	report->passes++;
	return vmf_journal_add(m->journal, "pass", err,
	    "%u: %llu chunks (%llu in part), %llu bytes sent in %.1f s",
	    report->passes, (unsigned long long)result->chunks,
	    (unsigned long long)result->patches,
	    (unsigned long long)result->sent, result->seconds);
}

int
vmf_move_copy_warm(
    struct move *m, struct vmf_move_report *report, struct vmf_error *err)
{
	unsigned most = m->o->passes == 0 ? PASSES_MAX : m->o->passes, i;
	struct vmf_copy_pass result;
	char detail[80];
	uint64_t last = 0;

	for (i = 0; i < most; i++) {
		snprintf(detail, sizeof(detail),
		    "pass %u, while the guest runs", i + 1);
		if (pass(m, false, detail, report, &result, err) < 0)
			return -1;
		/* The first one says nothing of what changes. */
		if (i > 0 &&
		    (result.sent < LITTLE ||
			(i > 1 && (double)result.sent > FALLS * (double)last)))
			break;
		last = result.sent;
	}
	return 0;
}

static int
fill_report(struct move *m, const struct vmf_totals *totals,
    struct vmf_move_report *report)
{
	size_t i;

	for (i = 0; i < report->nimages; i++)
		memcpy(report->images[i].root, totals[i].root, VMF_SHA_LEN);
	report->sent += vmf_copy_sent(m->copy);
	report->stored = report->sent;
	report->sessions = vmf_copy_sessions(m->copy);
	return 0;
}

static int
seal(struct move *m, struct vmf_move_report *report, struct vmf_error *err)
{
	struct vmf_totals *totals =
	    calloc(report->nimages + 1, sizeof(*totals));
	int rc;

	if (totals == NULL)
		return vmf_fail_errno(err, VMF_IO, "copy");
	vmf_move_enter(m, "verify", "");
	rc = vmf_copy_seal(m->copy, totals, err);
	if (rc == 0)
		rc = fill_report(m, totals, report);
	free(totals);
	return rc;
}

/* A failure at the far end shows here as a write that fails; its own word
 * says more. */
static int
send_package(struct move *m, struct vmf_pack *pack,
    const struct vmf_engine_options *engine, struct vmf_error *err)
{
	json_t *request = vmf_move_placement(m, "files"), *answer;
	struct vmf_error said;

	/* It has no disks, so none can be named. */
	json_object_set_new(request, "overwrite", json_array());
	if (vmf_move_far_send(&m->far, request, err) < 0)
		return -1;
	m->far.over = true;
	if (vmf_pack_write(
		pack, vmf_wire_out(&m->far.wire), engine, NULL, err) == 0 &&
	    vmf_wire_end(&m->far.wire, err) == 0) {
		m->far.over = false;
		return 0;
	}
	if (err->class != VMF_REMOTE)
		return -1;
	m->far.lost = true;
	answer = vmf_move_far_answer(&m->far, &said);
	json_decref(answer);
	if (answer == NULL && said.class != VMF_REMOTE)
		*err = said;
	return -1;
}

/* NVRAM and TPM state: small, and as they are when the guest is off. */
static int
send_files(
    struct move *m, struct vmf_move_report *report, struct vmf_error *err)
{
	static const char *const none[] = {NULL};
	struct vmf_pack_options o = {.disks = none,
	    .secrets = true,
	    .chunk = m->o->chunk,
	    .scratch = m->o->scratch};
	struct vmf_engine_options engine = m->o->engine;
	struct vmf_pack *pack =
	    vmf_pack_open(m->host, m->state.uuid, m->id, &o, err);
	uint64_t before = m->far.wire.sent;
	json_t *answer = NULL;

	engine.progress = NULL;
	if (pack != NULL && send_package(m, pack, &engine, err) == 0) {
		answer = vmf_move_far_answer(&m->far, err);
		m->far.over = m->far.over || answer == NULL;
	}
	vmf_pack_free(pack);
	json_decref(answer);
	report->sent += m->far.wire.sent - before;
	return answer == NULL ? -1 : 0;
}

int
vmf_move_copy_last(struct move *m, bool held, struct vmf_move_report *report,
    struct vmf_error *err)
{
	struct vmf_copy_pass result;

	if (pass(m, held, "", report, &result, err) < 0)
		return -1;
	report->last_sent = result.sent;
	if (seal(m, report, err) < 0)
		return -1;
	vmf_move_copy_end(m);
	if (send_files(m, report, err) < 0)
		return -1;
	m->placed = true;
	return vmf_journal_add(m->journal, "placed", err, "%s", m->o->dest);
}

void
vmf_move_copy_end(struct move *m)
{
	vmf_copy_free(m->copy);
	m->copy = NULL;
	vmf_pack_free(m->first_pack);
	m->first_pack = NULL;
}
