/*
 * move.c - see vmferry/move.h
 *
 * What stands in the journal, in this order, and what it means when the run
 * died after it:
 *
 *	begin {...}	nothing was touched
 *	held		the source is marked; --abort gives it back
 *	stopped		the same, and the guest ran before
 *	placed		everything is at the destination; --abort removes it
 *	commit		decided: --resume goes on.  --abort only if the
 *			destination says that nothing is defined
 *	defined		the same
 *	done		complete
 *	undone		the source was given back
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <vmferry/held.h>
#include <vmferry/manifest.h>
#include <vmferry/pack.h>

#include "move_internal.h"

#define PROBE_WORDS "vmferry start guard probe"

void
vmf_move_report_clear(struct vmf_move_report *report)
{
	size_t i;

	for (i = 0; i < report->nimages; i++) {
		free(report->images[i].source);
		free(report->images[i].target);
	}
	free(report->images);
	memset(report, 0, sizeof(*report));
}

int
vmf_move_check_hook(
    struct vmf_host *host, const char *held_dir, struct vmf_error *err)
{
	uint8_t id[VMF_ID_LEN];
	char hex[2 * VMF_ID_LEN + 1], uuid[VMF_DOMAIN_UUID_TEXT];
	struct vmf_error ignored;
	bool refused = false;
	int rc;

	if (vmf_id_random(id, err) < 0)
		return -1;
	vmf_hex(id, VMF_ID_LEN, hex);
	snprintf(uuid, sizeof(uuid), "%.8s-%.4s-4%.3s-8%.3s-%.12s", hex,
	    hex + 8, hex + 13, hex + 17, hex + 20);
	if (vmf_held_set(held_dir, uuid, PROBE_WORDS, err) < 0)
		return -1;
	rc = vmf_host_probe_start(host, uuid, PROBE_WORDS, &refused, err);
	vmf_held_clear(held_dir, uuid, rc < 0 ? &ignored : err);
	if (rc == 0 && !refused)
		rc = vmf_fail(err, VMF_REFUSED,
		    "libvirt does not ask vmferry's hook before it starts a "
		    "guest; install /etc/libvirt/hooks/qemu.d/vmferry and "
		    "run: systemctl reload libvirtd");
	return rc;
}

/* ---- check ----------------------------------------------------------------
 */

int
vmf_move_open_pack(struct move *m, bool running, struct vmf_error *err)
{
	struct vmf_pack_options o = {
	    .secrets = true,
	    .running = running,
	    .leave_network = true,
	    .chunk = m->chunk == 0 ? m->o->chunk : m->chunk,
	    .scratch = m->o->scratch,
	};

	/* A copy under way has borrowed from the first one. */
	if (m->copy != NULL && m->first_pack == NULL)
		m->first_pack = m->pack;
	else
		vmf_pack_free(m->pack);
	m->pack = vmf_pack_open(m->host, m->state.uuid, m->id, &o, err);
	return m->pack == NULL ? -1 : 0;
}

/* What a resumed move must ask for again. */
static json_t *
placement(const struct move *m)
{
	const char *const *disk = m->o->overwrite;
	json_t *overwrite;

	if (m->placement != NULL)
		return json_copy(m->placement);
	overwrite = json_array();

	for (; disk != NULL && *disk != NULL; disk++)
		json_array_append_new(overwrite, json_string(*disk));
	return json_pack("{s:o, s:I, s:b, s:b}", "overwrite", overwrite,
	    "allow", (json_int_t)m->o->allow, "replace", m->o->replace,
	    "readback", m->o->readback);
}

json_t *
vmf_move_placement(const struct move *m, const char *what)
{
	json_t *request = placement(m);

	json_object_set_new(request, "do", json_string(what));
	json_object_set_new(request, "xml", json_string(m->xml_there));
	json_object_set_new(
	    request, "secrets", vmf_secrets_list(m->host, m->xml_there, false));
	return request;
}

uint64_t
vmf_move_allocated(const struct vmf_package_image *image)
{
	struct stat st;

	if (stat(image->path, &st) < 0 || !S_ISREG(st.st_mode))
		return image->geo.size;
	return (uint64_t)st.st_blocks * 512;
}

int
vmf_move_report_images(struct move *m, const json_t *targets,
    struct vmf_move_report *report, struct vmf_error *err)
{
	const struct vmf_package_info *info = vmf_pack_info(m->pack);
	size_t i;

	memcpy(report->id, m->id_text, sizeof(report->id));
	memcpy(report->name, m->name_there, sizeof(report->name));
	memcpy(report->uuid, m->uuid_there, sizeof(report->uuid));
	report->size = vmf_pack_size(m->pack);
	report->images = calloc(info->nimages + 1, sizeof(*report->images));
	if (report->images == NULL)
		return vmf_fail_errno(err, VMF_IO, "report");
	for (i = 0; i < info->nimages; i++) {
		struct vmf_move_image *image = &report->images[i];
		const char *target =
		    json_string_value(json_array_get(targets, i));

		report->nimages++;
		snprintf(image->name, sizeof(image->name), "%s",
		    info->images[i].name);
		image->size = info->images[i].geo.size;
		image->allocated = vmf_move_allocated(&info->images[i]);
		report->allocated += image->allocated;
		image->source = strdup(info->images[i].path);
		image->target = strdup(target == NULL ? "" : target);
		if (image->source == NULL || image->target == NULL)
			return vmf_fail_errno(err, VMF_IO, "report");
	}
	return 0;
}

/* Tell of what will be otherwise there than one might think. */
static void
tell_changes(const struct move *m, const struct vmf_check *rows)
{
	const struct vmf_check_row *row;
	size_t i;

	for (i = 0; (row = vmf_check_row(rows, i)) != NULL; i++)
		if (strcmp(row->what, "change") == 0)
			vmf_move_enter(m, "change", row->reason);
}

/* The first failure, with the destination's name where it is of there. */
static int
verdict(
    const struct move *m, const struct vmf_check *rows, struct vmf_error *err)
{
	const struct vmf_check_row *row;
	size_t i;

	if (vmf_check_result(rows, err) == 0)
		return 0;
	for (i = 0; (row = vmf_check_row(rows, i)) != NULL; i++)
		if (row->verdict == VMF_CHECK_FAIL)
			break;
	if (row != NULL && strcmp(row->where, "destination") == 0 &&
	    strncmp(row->reason, m->o->dest, strlen(m->o->dest)) != 0)
		vmf_wrap(err, "%s", m->o->dest);
	return -1;
}

static int
check(struct move *m, struct vmf_ssh *ssh, const char *domain,
    struct vmf_move_report *report, struct vmf_error *err)
{
	struct vmf_check *rows = vmf_check_new(err);
	json_t *targets = NULL;
	int rc = -1;

	vmf_move_enter(m, "check", "");
	if (rows != NULL &&
	    vmf_move_rows(m, ssh, domain, rows, &targets, err) == 0 &&
	    verdict(m, rows, err) == 0) {
		tell_changes(m, rows);
		rc = vmf_move_report_images(m, targets, report, err);
	}
	json_decref(targets);
	vmf_check_free(rows);
	return rc;
}

/* ---- stop
 * -------------------------------------------------------------------- */

static int
begin_journal(struct move *m, struct vmf_error *err)
{
	json_t *facts =
	    json_pack("{s:s, s:s, s:s, s:s, s:b, s:b, s:b, s:b, s:b, s:I, s:o}",
		"domain", m->state.name, "uuid", m->state.uuid, "dest",
		m->o->dest, "uuid_there", m->uuid_there, "running",
		m->state.run == VMF_RUN_RUNNING, "start", m->o->start,
		"autostart", m->state.autostart, "replace", m->o->replace,
		"warm", m->o->mode == VMF_MOVE_WARM, "chunk",
		(json_int_t)m->o->chunk, "placement", placement(m));
	char *text = facts == NULL ? NULL : json_dumps(facts, JSON_COMPACT);
	int rc = -1;

	json_decref(facts);
	if (text == NULL)
		return vmf_fail(err, VMF_IO, "journal: no memory");
	m->journal = vmf_journal_create(m->o->moves_dir, m->id, err);
	if (m->journal != NULL &&
	    vmf_journal_keep(
		m->journal, "source.xml", vmf_pack_xml(m->pack), err) == 0 &&
	    vmf_journal_keep(
		m->journal, "destination.xml", m->xml_there, err) == 0 &&
	    vmf_journal_add(m->journal, "begin", err, "%s", text) == 0)
		rc = 0;
	free(text);
	return rc;
}

static int
wait_until_off(struct move *m, struct vmf_error *err)
{
	const struct timespec tick = {0, 200000000};
	double until = vmf_move_clock() + m->o->shutdown_timeout;
	struct vmf_host_state state;

	do {
		if (vmf_progress_check(m->o->engine.progress, err) < 0 ||
		    vmf_host_state(m->host, m->state.uuid, &state, err) < 0)
			return -1;
		if (state.run == VMF_RUN_OFF)
			return 0;
		nanosleep(&tick, NULL);
	} while (vmf_move_clock() < until);
	if (m->o->force_off)
		return vmf_host_destroy(m->host, m->state.uuid, err);
	return vmf_fail(err, VMF_HYPERVISOR,
	    "%s did not shut down within %u seconds and runs on; shut it down "
	    "by hand or allow more with --shutdown-timeout",
	    m->state.name, m->o->shutdown_timeout);
}

/* The mark first: from here on nobody starts the guest behind our back. */
static int
stop(struct move *m, struct vmf_error *err)
{
	bool running = m->state.run == VMF_RUN_RUNNING;

	m->marked = true;
	if (vmf_move_mark(m, "is being moved to", err) < 0 ||
	    vmf_journal_add(m->journal, "held", err, "%s", m->state.uuid) < 0)
		return -1;
	m->stopped_at = vmf_move_clock();
	if (running) {
		vmf_move_enter(m, "stop", m->state.name);
		if (vmf_host_shutdown(m->host, m->state.uuid, err) < 0 ||
		    wait_until_off(m, err) < 0)
			return -1;
		m->stopped = true;
		if (vmf_journal_add(
			m->journal, "stopped", err, "%s", m->state.uuid) < 0)
			return -1;
	}
	/* Off it must be, whoever was quick between check and mark. */
	return vmf_move_open_pack(m, false, err);
}

static int
copy_and_stop(
    struct move *m, struct vmf_move_report *report, struct vmf_error *err)
{
	bool warm =
	    m->o->mode == VMF_MOVE_WARM && m->state.run == VMF_RUN_RUNNING;

	if (begin_journal(m, err) < 0)
		return -1;
	if (warm && (vmf_move_copy_begin(m, false, err) < 0 ||
			vmf_move_copy_warm(m, report, err) < 0))
		return -1;
	if (stop(m, err) < 0 ||
	    (!warm && vmf_move_copy_begin(m, false, err) < 0))
		return -1;
	return vmf_move_copy_last(m, false, report, err);
}

int
vmf_move(struct vmf_host *host, struct vmf_ssh *ssh, const char *domain,
    const struct vmf_move_options *options, struct vmf_move_report *report,
    struct vmf_error *err)
{
	struct move m = {.o = options, .host = host, .lock = -1};
	double started = vmf_move_clock();
	bool start;
	int rc;

	memset(report, 0, sizeof(*report));
	rc = check(&m, ssh, domain, report, err);
	if (rc < 0 || options->dry_run)
		goto out;
	if (copy_and_stop(&m, report, err) < 0) {
		vmf_move_give_back(&m, err);
		rc = -1;
		goto out;
	}
	start = m.stopped || options->start;
	rc = vmf_move_commit(&m, err);
	if (rc == 0)
		rc = vmf_move_activate(&m, start, err);
	report->running = rc == 0 && start;
	report->seconds = vmf_move_clock() - started;
	if (report->running && m.stopped)
		report->downtime = vmf_move_clock() - m.stopped_at;
out:
	vmf_move_close(&m);
	return rc;
}
