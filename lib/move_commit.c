/* move_commit.c - the end of a move, and what goes on when a run has died */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <vmferry/held.h>
#include <vmferry/lock.h>

#include "move_internal.h"

double
vmf_move_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

void
vmf_move_enter(const struct move *m, const char *stage, const char *detail)
{
	if (m->o->stage != NULL)
		m->o->stage(m->o->ctx, stage, detail);
}

int
vmf_move_lock(struct move *m, const char *uuid, struct vmf_error *err)
{
	char path[4096], what[80];

	snprintf(path, sizeof(path), "%s/%s.lock",
	    m->o->lock_dir == NULL ? "/run/vmferry" : m->o->lock_dir, uuid);
	snprintf(what, sizeof(what), "domain %s", uuid);
	m->lock = vmf_lock_path(path, what, err);
	return m->lock < 0 ? -1 : 0;
}

int
vmf_move_mark(struct move *m, const char *verb, struct vmf_error *err)
{
	char reason[1024];

	snprintf(reason, sizeof(reason),
	    "%s %s %s by vmferry (move %s); see vmf-move --status %s",
	    m->state.name, verb, m->o->dest, m->id_text, m->id_text);
	return vmf_held_set(m->o->held_dir, m->state.uuid, reason, err);
}

/* ---- giving the source back
 * --------------------------------------------------- */

/* What this move created at the destination is removed by its own end, over a
 * new connection if need be. */
static int
clean_destination(struct move *m, struct vmf_error *err)
{
	json_t *answer;

	if (!m->copied && !m->far.lost && m->far.exec == NULL)
		return 0;
	if ((m->far.lost || m->far.over) &&
	    vmf_move_far_again(&m->far, err) < 0)
		return m->copied ? vmf_wrap(err,
				       "what was copied is left at %s (see "
				       "vmf-move --abort %s %s)",
				       m->o->dest, m->id_text, m->o->dest)
				 : 0;
	answer = vmf_move_far_ask(&m->far,
	    json_pack("{s:s, s:s}", "do", "discard", "id", m->id_text), err);
	json_decref(answer);
	return answer == NULL ? -1 : 0;
}

static void
append(struct vmf_error *err, const char *text)
{
	size_t len = strlen(err->msg);

	snprintf(err->msg + len, sizeof(err->msg) - len, "; %s", text);
}

/*
 * Undo what was done, as far as it goes; the first failure's message stays
 * err's, and what could not be undone is added to it.
 */
int
vmf_move_give_back(struct move *m, struct vmf_error *err)
{
	struct vmf_error also;
	bool whole = true, left = false;

	/* Whoever asked to stop wants it to end well. */
	if (m->o->engine.progress != NULL)
		atomic_store(&m->o->engine.progress->stop, 0);
	vmf_move_copy_end(m);
	if (clean_destination(m, &also) < 0) {
		append(err, also.msg);
		whole = false;
		left = true;
	}
	if (m->marked &&
	    vmf_held_clear(m->o->held_dir, m->state.uuid, &also) < 0) {
		append(err, also.msg);
		whole = false;
	}
	if (m->state.autostart &&
	    vmf_host_set_autostart(m->host, m->state.uuid, true, &also) < 0) {
		append(err, also.msg);
		whole = false;
	}
	if (m->stopped && !m->o->hold &&
	    vmf_host_start(m->host, m->state.uuid, &also) < 0) {
		append(err, also.msg);
		whole = false;
	}
	if (m->journal != NULL &&
	    (vmf_journal_add(m->journal, "undone", &also, "%s", err->msg) < 0 ||
		vmf_journal_add(m->journal, left ? "left" : "clean", &also,
		    "%s", m->o->dest) < 0)) {
		append(err, also.msg);
		whole = false;
	}
	if (whole)
		append(err,
		    m->stopped && !m->o->hold
			? "nothing was moved, and the guest runs here again"
			: "nothing was moved, and the source is as it was");
	return whole ? 0 : -1;
}

/* ---- commit and activate
 * -------------------------------------------------------- */

static int
ask_define(struct move *m, bool autostart, bool again, struct vmf_error *err)
{
	json_t *answer = vmf_move_far_ask(&m->far,
	    json_pack("{s:s, s:s, s:o, s:b, s:b, s:b}", "do", "define", "xml",
		m->xml_there, "secrets",
		vmf_secrets_list(m->host, m->xml_there, true), "autostart",
		autostart, "replace", m->o->replace, "again", again),
	    err);

	json_decref(answer);
	return answer == NULL ? -1 : 0;
}

/* 1: it is defined there; 0: positively not; -1: nobody knows. */
static int
is_defined_there(struct move *m, struct vmf_error *err)
{
	json_t *answer = vmf_move_far_ask(&m->far,
	    json_pack("{s:s, s:s}", "do", "state", "uuid", m->uuid_there), err);
	int defined;

	if (answer == NULL)
		return -1;
	defined = json_is_true(json_object_get(answer, "defined"));
	json_decref(answer);
	return defined;
}

static int
unknown_outcome(const struct move *m, struct vmf_error *err)
{
	return vmf_wrap(err,
	    "committed, but not known to be defined at %s; the source stays "
	    "held: go on with vmf-move --resume %s",
	    m->o->dest, m->id_text);
}

int
vmf_move_commit(struct move *m, struct vmf_error *err)
{
	struct vmf_error asked;

	vmf_move_enter(m, "commit", "");
	if (vmf_journal_add(m->journal, "commit", err, "%s", m->o->dest) < 0) {
		vmf_move_give_back(m, err);
		return -1;
	}
	if (vmf_move_mark(m, "has moved to", err) < 0 ||
	    (m->state.autostart && vmf_host_set_autostart(m->host,
				       m->state.uuid, false, err) < 0) ||
	    ask_define(m, m->state.autostart, false, err) < 0) {
		if (m->far.lost || is_defined_there(m, &asked) != 0)
			return unknown_outcome(m, err);
		vmf_move_give_back(m, err);
		return -1;
	}
	if (vmf_journal_add(m->journal, "defined", err, "%s", m->uuid_there) <
	    0)
		return unknown_outcome(m, err);
	return 0;
}

int
vmf_move_activate(struct move *m, bool start, struct vmf_error *err)
{
	json_t *answer;

	if (start) {
		vmf_move_enter(m, "activate", m->name_there);
		answer = vmf_move_far_ask(&m->far,
		    json_pack(
			"{s:s, s:s}", "do", "start", "uuid", m->uuid_there),
		    err);
		json_decref(answer);
		if (answer == NULL)
			return vmf_wrap(err,
			    "%s is moved and defined at %s, but does not run "
			    "there yet; start it there, or try again with "
			    "vmf-move --resume %s",
			    m->name_there, m->o->dest, m->id_text);
	}
	return vmf_journal_add(m->journal, "done", err, "%s", m->uuid_there);
}

void
vmf_move_close(struct move *m)
{
	vmf_move_copy_end(m);
	vmf_move_far_close(&m->far);
	vmf_journal_free(m->journal);
	vmf_pack_free(m->pack);
	free(m->xml_there);
	json_decref(m->placement);
	if (m->lock >= 0)
		close(m->lock);
}

/* ---- after a run that died
 * -------------------------------------------------------- */

/* Was the source given back, and the destination not cleaned? */
static bool
has_left(const struct vmf_journal *j)
{
	const char *line, *last = NULL;
	size_t i;

	for (i = 0; (line = vmf_journal_line(j, i)) != NULL; i++)
		last = line;
	return last != NULL && strstr(last, " left ") != NULL;
}

/* What "begin" noted, as a move that can go on. */
static int
reopen(struct move *m, const char *id, bool *start, struct vmf_error *err)
{
	const char *begin;
	json_t *facts;

	m->journal = vmf_journal_open(m->o->moves_dir, id, err);
	if (m->journal == NULL)
		return -1;
	begin = vmf_journal_find(m->journal, "begin");
	facts = begin == NULL ? NULL : json_loads(begin, 0, NULL);
	m->cleaning = has_left(m->journal);
	if ((vmf_journal_find(m->journal, "undone") != NULL && !m->cleaning) ||
	    vmf_journal_find(m->journal, "done") != NULL || facts == NULL) {
		json_decref(facts);
		return vmf_fail(err, VMF_REFUSED,
		    "move %s is over; see vmf-move --status %s", id, id);
	}
	if (vmf_parse_id(id, m->id, err) < 0)
		return -1;
	vmf_hex(m->id, VMF_ID_LEN, m->id_text);
	snprintf(m->state.name, sizeof(m->state.name), "%s",
	    vmf_wire_text(facts, "domain"));
	snprintf(m->state.uuid, sizeof(m->state.uuid), "%s",
	    vmf_wire_text(facts, "uuid"));
	snprintf(m->uuid_there, sizeof(m->uuid_there), "%s",
	    vmf_wire_text(facts, "uuid_there"));
	snprintf(m->name_there, sizeof(m->name_there), "%s", m->state.name);
	m->state.autostart = json_is_true(json_object_get(facts, "autostart"));
	if (m->cleaning)
		m->state.autostart = false;
	m->marked = !m->cleaning;
	m->stopped =
	    !m->cleaning && vmf_journal_find(m->journal, "stopped") != NULL;
	*start = m->stopped || json_is_true(json_object_get(facts, "start"));
	m->placement = json_incref(json_object_get(facts, "placement"));
	m->warm = json_is_true(json_object_get(facts, "warm"));
	m->chunk =
	    (uint32_t)json_integer_value(json_object_get(facts, "chunk"));
	json_decref(facts);
	m->xml_there = vmf_journal_kept(m->journal, "destination.xml", err);
	if (m->xml_there == NULL)
		return -1;
	return vmf_move_lock(m, m->state.uuid, err);
}

/* It died before its commit: what is durable there does not travel again. */
static int
resume_copy(
    struct move *m, struct vmf_ssh *ssh, bool start, struct vmf_error *err)
{
	struct vmf_move_report report = {.nimages = 0};
	int rc = -1;

	if (vmf_journal_find(m->journal, "held") == NULL)
		return vmf_fail(err, VMF_REFUSED,
		    "move %s died before the guest was stopped; run vmf-move "
		    "--abort %s %s, then move again",
		    m->id_text, m->id_text, m->o->dest);
	if (vmf_move_open_pack(m, false, err) < 0 ||
	    vmf_move_far_open(&m->far, ssh, m->o, err) < 0)
		return -1;
	if (vmf_move_report_images(m, NULL, &report, err) == 0 &&
	    vmf_move_copy_begin(m, true, err) == 0 &&
	    vmf_move_copy_last(m, false, &report, err) == 0)
		rc = vmf_move_commit(m, err);
	if (rc == 0)
		rc = vmf_move_activate(m, start, err);
	vmf_move_report_clear(&report);
	return rc;
}

int
vmf_move_resume(struct vmf_host *host, struct vmf_ssh *ssh, const char *id,
    const struct vmf_move_options *options, struct vmf_error *err)
{
	struct move m = {.o = options, .host = host, .lock = -1};
	bool start;
	int rc = -1;

	if (reopen(&m, id, &start, err) < 0)
		goto out;
	if (m.cleaning) {
		vmf_fail(err, VMF_REFUSED,
		    "move %s was undone; clean up with vmf-move --abort %s %s",
		    id, id, options->dest);
		goto out;
	}
	if (vmf_journal_find(m.journal, "commit") == NULL) {
		rc = resume_copy(&m, ssh, start, err);
		goto out;
	}
	if (vmf_move_mark(&m, "has moved to", err) < 0 ||
	    vmf_host_set_autostart(host, m.state.uuid, false, err) < 0 ||
	    vmf_move_far_open(&m.far, ssh, options, err) < 0)
		goto out;
	vmf_move_enter(&m, "commit", "");
	if (ask_define(&m, m.state.autostart, true, err) < 0 ||
	    vmf_journal_add(m.journal, "defined", err, "%s", m.uuid_there) < 0)
		goto out;
	rc = vmf_move_activate(&m, start, err);
out:
	vmf_move_close(&m);
	return rc;
}

int
vmf_move_abort(struct vmf_host *host, struct vmf_ssh *ssh, const char *id,
    const struct vmf_move_options *options, struct vmf_error *err)
{
	struct move m = {.o = options, .host = host, .lock = -1};
	struct vmf_error undone = {.msg = "aborted on request"};
	bool start;
	int rc = -1, defined;

	if (reopen(&m, id, &start, err) < 0 ||
	    vmf_move_far_open(&m.far, ssh, options, err) < 0)
		goto out;
	defined = vmf_journal_find(m.journal, "commit") == NULL
		      ? 0
		      : is_defined_there(&m, err);
	if (defined < 0)
		goto out;
	if (defined) {
		vmf_fail(err, VMF_REFUSED,
		    "%s is defined at %s; go on with vmf-move --resume %s",
		    m.name_there, options->dest, id);
		goto out;
	}
	m.copied = true;
	rc = vmf_move_give_back(&m, &undone);
	if (rc < 0)
		vmf_fail(err, VMF_IO, "%s", undone.msg);
out:
	vmf_move_close(&m);
	return rc;
}
