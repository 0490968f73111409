/*
 * move_check.c - the check stage: rows for the source, and the far end's
 *
 * What must stand for the next stages - lock, open disks, rewritten
 * definition, connection - is left in struct move as a by-product, so that
 * what was checked is what is moved.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <vmferry/manifest.h>

#include "move_internal.h"

/* ---- the domain at the source --------------------------------------------
 */

static void
check_run(struct move *m, struct vmf_check *rows)
{
	const struct vmf_host_state *state = &m->state;
	bool running = state->run == VMF_RUN_RUNNING;
	bool warm = m->o->mode == VMF_MOVE_WARM;

	if (state->run == VMF_RUN_OFF)
		vmf_check_ok(rows, "state", "shut off");
	else if (running && warm)
		vmf_check_ok(rows, "state",
		    "running, and will be shut down for the last changes");
	else if (running && m->o->shutdown)
		vmf_check_ok(rows, "state", "running, and will be shut down");
	else
		vmf_check_fail(rows, "state", "%s is %s; shut it down first%s",
		    state->name, vmf_host_run_name(state->run),
		    running ? ", or let --shutdown do so, or copy most of it "
			      "while it runs with --mode warm"
			    : "");
}

static void
check_leftovers(struct move *m, struct vmf_check *rows)
{
	const struct vmf_host_state *state = &m->state;

	if (!state->persistent)
		vmf_check_fail(rows, "definition",
		    "%s is transient: it has no definition to take along",
		    state->name);
	if (state->managed_save)
		vmf_check_fail(rows, "managed save",
		    "%s has a managed save, RAM that belongs to its disks; "
		    "start it and shut it down, or `virsh managedsave-remove`",
		    state->name);
	else
		vmf_check_ok(rows, "managed save", "none");
	if (state->job)
		vmf_check_fail(rows, "job",
		    "%s has a job running; wait for it (virsh domjobinfo, virsh blockjob)",
		    state->name);
	else
		vmf_check_ok(rows, "job", "none");
	if (state->snapshots > 0 || state->checkpoints > 0)
		vmf_check_warn(rows, "snapshots",
		    "%d snapshots and %d checkpoints: libvirt's list of them "
		    "stays here; delete them, or do without",
		    state->snapshots, state->checkpoints);
	else
		vmf_check_ok(rows, "snapshots", "none");
}

static int
check_domain(struct move *m, const char *domain, struct vmf_check *rows)
{
	char reason[512] = "";
	struct vmf_error said;

	if (vmf_host_state(m->host, domain, &m->state, &said) < 0) {
		vmf_check_error(rows, "domain", &said);
		return -1;
	}
	vmf_check_ok(rows, "domain", "%s (%s)", m->state.name, m->state.uuid);
	if (vmf_move_lock(m, m->state.uuid, &said) < 0) {
		vmf_check_error(rows, "lock", &said);
		return -1;
	}
	if (vmf_held_get(m->o->held_dir, m->state.uuid, reason, sizeof(reason),
		&said) < 0)
		vmf_check_error(rows, "held", &said);
	else if (reason[0] != '\0')
		vmf_check_fail(rows, "held", "%s: %s", m->state.name, reason);
	else
		vmf_check_ok(rows, "held", "no");
	check_run(m, rows);
	check_leftovers(m, rows);
	return 0;
}

/* ---- its parts ------------------------------------------------------------
 */

static struct vmf_pack *
open_part(struct move *m, const char *const *disks, bool no_files,
    struct vmf_error *err)
{
	struct vmf_pack_options o = {
	    .disks = disks,
	    .secrets = true,
	    .running = m->state.run != VMF_RUN_OFF,
	    .any_state = true, /* a row of its own */
	    .no_files = no_files,
	    .leave_network = true,
	    .chunk = m->o->chunk,
	    .scratch = m->o->scratch,
	};

	return vmf_pack_open(m->host, m->state.uuid, m->id, &o, err);
}

/* NVRAM and TPM state. */
static void
check_files(struct move *m, struct vmf_check *rows)
{
	static const char *const none[] = {NULL};
	const struct vmf_package_info *info;
	struct vmf_error said;
	struct vmf_pack *pack = open_part(m, none, false, &said);
	size_t i;

	if (pack == NULL) {
		vmf_check_error(rows, "firmware, TPM", &said);
		return;
	}
	info = vmf_pack_info(pack);
	for (i = 0; i < info->nfiles; i++)
		vmf_check_ok(
		    rows, info->files[i].name, "%s", info->files[i].path);
	vmf_pack_free(pack);
}

static void
check_disk(
    struct move *m, const struct vmf_domain_disk *disk, struct vmf_check *rows)
{
	const char *const disks[] = {disk->target, NULL};
	char what[80], size[VMF_SIZE_TEXT], real[VMF_SIZE_TEXT];
	const struct vmf_package_image *image;
	struct vmf_error said;
	struct vmf_pack *pack = open_part(m, disks, true, &said);

	snprintf(what, sizeof(what), "disk %s", disk->target);
	if (pack == NULL) {
		vmf_check_error(rows, what, &said);
		return;
	}
	if (vmf_pack_info(pack)->nimages == 1) {
		image = &vmf_pack_info(pack)->images[0];
		vmf_check_ok(rows, what, "%s, %s, %s in use", image->path,
		    vmf_format_size(image->geo.size, size),
		    vmf_format_size(vmf_move_allocated(image), real));
	} else if (disk->image.protocol != NULL) {
		vmf_check_ok(rows, what, "%s %s, which stays where it is",
		    disk->image.protocol,
		    disk->image.name == NULL ? "" : disk->image.name);
	}
	vmf_pack_free(pack);
}

static int
check_disks(struct move *m, struct vmf_check *rows, struct vmf_error *err)
{
	char *xml = vmf_host_xml(m->host, m->state.uuid, false, err);
	struct vmf_domain *dom =
	    xml == NULL
		? NULL
		: vmf_domain_parse(xml, strlen(xml), m->state.name, err);
	const struct vmf_domain_model *model =
	    dom == NULL ? NULL : vmf_domain_model(dom, err);
	size_t i;

	for (i = 0; model != NULL && i < model->ndisks; i++)
		check_disk(m, &model->disks[i], rows);
	vmf_domain_free(dom);
	free(xml);
	return model == NULL ? -1 : 0;
}

/* Is this firmware at the destination?  For `--map-firmware auto`. */
static bool
firmware_there(void *ctx, const char *path)
{
	struct move *m = ctx;
	struct vmf_error ignored; /* a lost connection shows at the next ask */
	json_t *answer = vmf_move_far_ask(&m->far,
	    json_pack("{s:s, s:s}", "do", "firmware", "path", path), &ignored);
	bool there =
	    answer != NULL && json_is_true(json_object_get(answer, "there"));

	json_decref(answer);
	return there;
}

/* The XML as the destination will define it; what a person should be told of
 * becomes rows. */
static int
rewrite(struct move *m, struct vmf_check *rows, struct vmf_error *err)
{
	struct vmf_domain_change change = {
	    .map = m->o->map,
	    .name = m->o->name,
	    .new_identity = m->o->new_identity,
	    .firmware_there = m->far.wire.buf != NULL ? firmware_there : NULL,
	    .ctx = m,
	};
	const char *xml = vmf_pack_xml(m->pack);
	struct vmf_domain *dom =
	    vmf_domain_parse(xml, strlen(xml), m->state.name, err);
	const struct vmf_domain_model *model;
	const char *note;
	int rc = -1;
	size_t i;

	if (dom == NULL || vmf_domain_rewrite(dom, &change, err) < 0)
		goto out;
	model = vmf_domain_model(dom, err);
	if (model == NULL)
		goto out;
	snprintf(m->name_there, sizeof(m->name_there), "%s", model->name);
	snprintf(m->uuid_there, sizeof(m->uuid_there), "%s", model->uuid);
	m->xml_there = vmf_domain_format(dom, NULL, err);
	rc = m->xml_there == NULL ? -1 : 0;
	for (i = 0; rc == 0 && (note = vmf_domain_note(dom, i)) != NULL; i++)
		vmf_check_ok(rows, "change", "%s", note);
out:
	vmf_domain_free(dom);
	return rc;
}

static void
check_maps(struct move *m, struct vmf_check *rows)
{
	struct vmf_error said;
	const char *rule;
	size_t i;

	vmf_check_where(rows, "source");
	if (rewrite(m, rows, &said) < 0) {
		vmf_check_error(rows, "maps", &said);
		return;
	}
	for (i = 0;
	     m->o->map != NULL && (rule = vmf_map_unused(m->o->map, i)) != NULL;
	     i++)
		vmf_check_warn(rows, "maps", "%s matched nothing", rule);
}

/* 0: the parts are open, or rows tell why not all of them are. */
static int
check_parts(struct move *m, struct vmf_check *rows, struct vmf_error *err)
{
	size_t before = vmf_check_count(rows, VMF_CHECK_FAIL);
	struct vmf_error said;

	if (vmf_id_random(m->id, err) < 0)
		return -1;
	vmf_hex(m->id, VMF_ID_LEN, m->id_text);
	check_files(m, rows);
	if (check_disks(m, rows, err) < 0)
		return -1;
	if (vmf_check_count(rows, VMF_CHECK_FAIL) > before)
		return 0;
	m->pack = open_part(m, NULL, false, &said);
	if (m->pack == NULL)
		vmf_check_error(rows, "parts", &said);
	return 0;
}

/* ---- the far end ----------------------------------------------------------
 */

/* Its parts, as far as they could be opened: the definition alone at least. */
static struct vmf_pack *
some_pack(struct move *m, struct vmf_error *err)
{
	static const char *const none[] = {NULL};

	return m->pack != NULL ? m->pack : open_part(m, none, true, err);
}

static json_t *
rows_request(struct move *m, struct vmf_error *err)
{
	const struct vmf_package_info *info = vmf_pack_info(m->pack);
	json_t *allocated = json_array(), *identity = json_array();
	struct vmf_host_facts facts = {.libvirt = 0};
	json_t *request = vmf_move_placement(m, "rows");
	char *text = vmf_manifest_format_head(info, NULL, err);
	size_t i;

	json_object_set_new(request, "allocated", allocated);
	json_object_set_new(request, "identity", identity);
	if (text == NULL || vmf_host_facts(m->host, &facts, err) < 0)
		goto fail;
	json_object_set_new(request, "head", json_string(text));
	free(text);
	for (i = 0; i < info->nimages; i++) {
		json_array_append_new(allocated,
		    json_integer(
			(json_int_t)vmf_move_allocated(&info->images[i])));
		text = vmf_check_identity(info->images[i].path);
		if (text == NULL) {
			vmf_fail_errno(err, VMF_IO, "request");
			goto fail;
		}
		json_array_append_new(identity, json_string(text));
		free(text);
	}
	json_object_set_new(
	    request, "live", json_boolean(m->state.run != VMF_RUN_OFF));
	json_object_set_new(request, "start",
	    json_boolean(m->o->start || m->state.run != VMF_RUN_OFF));
	json_object_set_new(
	    request, "libvirt", json_integer((json_int_t)facts.libvirt));
	json_object_set_new(
	    request, "emulator", json_integer((json_int_t)facts.emulator));
	json_object_set_new(
	    request, "swtpm", json_integer((json_int_t)vmf_host_swtpm()));
	return request;
fail:
	free(text);
	json_decref(request);
	return NULL;
}

static double
wall_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int
take_answer(const json_t *answer, struct vmf_check *rows, json_t **targets,
    struct vmf_error *err)
{
	vmf_check_where(rows, "destination");
	if (vmf_check_parse(rows, vmf_wire_text(answer, "rows"), err) < 0)
		return -1;
	*targets = json_incref(json_object_get(answer, "targets"));
	return 0;
}

static int
ask_rows(struct move *m, struct vmf_check *rows, json_t **targets,
    struct vmf_error *err)
{
	json_t *request = rows_request(m, err), *answer;
	struct vmf_error said;
	double sent, got;
	int rc;

	if (request == NULL)
		return -1;
	sent = wall_clock();
	answer = vmf_move_far_ask(&m->far, request, &said);
	got = wall_clock();
	vmf_check_where(rows, "destination");
	if (answer == NULL) {
		vmf_check_error(rows, "answer", &said);
		return 0;
	}
	rc = take_answer(answer, rows, targets, err);
	if (rc == 0)
		vmf_check_clock(rows, got,
		    json_number_value(json_object_get(answer, "now")),
		    got - sent);
	json_decref(answer);
	return rc;
}

static int
check_far(struct move *m, struct vmf_ssh *ssh, struct vmf_check *rows,
    json_t **targets, struct vmf_error *err)
{
	struct vmf_error said;

	vmf_check_where(rows, "destination");
	if (vmf_move_far_open(&m->far, ssh, m->o, &said) < 0) {
		vmf_check_error(rows, "tools", &said);
		return 0;
	}
	vmf_check_ok(rows, "tools", "vmferry " VMF_VERSION ", as here");
	/* What is not even open here cannot be placed there, but the host can
	 * be asked about the rest. */
	m->pack = some_pack(m, &said);
	if (m->pack == NULL)
		return 0;
	check_maps(m, rows);
	return m->xml_there == NULL ? 0 : ask_rows(m, rows, targets, err);
}

/* ---- the whole ----------------------------------------------------------- */

static void
check_hook(struct move *m, struct vmf_check *rows)
{
	struct vmf_error said;

	vmf_check_where(rows, "source");
	if (vmf_move_check_hook(m->host, m->o->held_dir, &said) < 0)
		vmf_check_error(rows, "start guard", &said);
	else
		vmf_check_ok(rows, "start guard", "libvirt asks it");
}

int
vmf_move_rows(struct move *m, struct vmf_ssh *ssh, const char *domain,
    struct vmf_check *rows, json_t **targets, struct vmf_error *err)
{
	*targets = NULL;
	vmf_check_where(rows, "source");
	if (check_domain(m, domain, rows) < 0)
		return 0;
	if (check_parts(m, rows, err) < 0 ||
	    (ssh != NULL && check_far(m, ssh, rows, targets, err) < 0))
		return -1;
	if (m->pack != NULL && m->xml_there == NULL && ssh == NULL)
		check_maps(m, rows);
	check_hook(m, rows);
	return 0;
}

int
vmf_move_check(struct vmf_host *host, struct vmf_ssh *ssh, const char *domain,
    const struct vmf_move_options *options, struct vmf_check *rows,
    struct vmf_error *err)
{
	struct move m = {.o = options, .host = host, .lock = -1};
	json_t *targets;
	int rc = vmf_move_rows(&m, ssh, domain, rows, &targets, err);

	json_decref(targets);
	vmf_move_close(&m);
	return rc;
}
