/*
 * check_place.c - what this host must have for a domain to come; see
 * vmferry/check.h
 *
 * The rows tell each condition apart; whether all of them together are enough
 * is for vmf_place_new() to say, which a move calls too.  It is asked last, and
 * a refusal that no row foresaw becomes one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vmferry/sink.h>
#include <vmferry/units.h>

#include "check_place.h"

/* ---- the host itself ------------------------------------------------------
 */

static void
version_text(unsigned long version, char text[32])
{
	snprintf(text, 32, "%lu.%lu.%lu", version / 1000000,
	    version / 1000 % 1000, version % 1000);
}

static void
check_version(struct vmf_check *check, const char *what, unsigned long from,
    unsigned long here)
{
	char was[32], is[32];

	version_text(from, was);
	version_text(here, is);
	if (here == 0 || from == 0)
		return;
	if (here < from)
		vmf_check_warn(check, what,
		    "%s here is older than %s at the source: what the guest "
		    "uses may be unknown to it; update it if you can",
		    is, was);
	else
		vmf_check_ok(check, what, "%s", is);
}

static int
check_host(struct place_check *c, struct vmf_error *err)
{
	struct vmf_host_facts facts;

	if (vmf_host_facts(c->host, &facts, err) < 0)
		return -1;
	check_version(c->rows, "libvirt", c->what->libvirt, facts.libvirt);
	check_version(c->rows, "QEMU", c->what->emulator, facts.emulator);
	c->cpus = facts.cpus;
	if (vmf_host_is_local(c->host) && geteuid() != 0)
		vmf_check_warn(c->rows, "user",
		    "this runs as user %u, who may not write everywhere; log "
		    "in as root or use --remote-sudo",
		    (unsigned)geteuid());
	return 0;
}

/* ---- what the machine needs ----------------------------------------------
 */

static void
check_runs(struct place_check *c)
{
	const struct vmf_domain_model *model = c->model;
	struct vmf_error said;
	bool insists = false;

	if (vmf_host_check_runs(c->host, model, &said) < 0)
		vmf_check_error(c->rows, "machine", &said);
	else
		vmf_check_ok(c->rows, "machine", "%s, %s",
		    model->type == NULL ? "any type" : model->type,
		    model->machine == NULL ? "any machine" : model->machine);
	if (vmf_host_compare_cpu(c->host, model, c->xml, &insists, &said) < 0) {
		if (said.class == VMF_REFUSED && insists)
			vmf_check_error(c->rows, "cpu", &said);
		else
			vmf_check_warn(c->rows, "cpu", "%s", said.msg);
	} else if (model->cpu_mode != NULL &&
		   strcmp(model->cpu_mode, "host-passthrough") == 0) {
		vmf_check_warn(c->rows, "cpu",
		    "host-passthrough: the guest will see this host's CPU, "
		    "which may differ; choose a model if that matters");
	} else {
		vmf_check_ok(c->rows, "cpu", "%s",
		    model->cpu_model != NULL  ? model->cpu_model
		    : model->cpu_mode != NULL ? model->cpu_mode
					      : "the default");
	}
}

static void
check_vcpus(struct place_check *c)
{
	unsigned most = vmf_host_max_vcpus(c->host, c->model);

	if (most != 0 && c->model->vcpus > most)
		vmf_check_fail(c->rows, "vcpus",
		    "%u CPUs, and one guest can have %u here; give it fewer",
		    c->model->vcpus, most);
	else if (c->cpus != 0 && c->model->vcpus > c->cpus)
		vmf_check_warn(c->rows, "vcpus",
		    "%u CPUs on a host of %u: it will be slow; give it fewer",
		    c->model->vcpus, c->cpus);
	else
		vmf_check_ok(
		    c->rows, "vcpus", "%u of %u", c->model->vcpus, c->cpus);
}

static void
check_memory(struct place_check *c)
{
	char want[VMF_SIZE_TEXT], have[VMF_SIZE_TEXT];
	uint64_t total, available, page, need = c->model->memory;
	struct vmf_error said;

	if (vmf_host_hugepages(c->host, c->xml, &page, &available, &said) < 0) {
		vmf_check_error(c->rows, "hugepages", &said);
		return;
	}
	if (page == 0 &&
	    vmf_host_memory(c->host, &total, &available, &said) < 0) {
		vmf_check_warn(c->rows, "memory", "%s", said.msg);
		return;
	}
	vmf_format_size(need, want);
	vmf_format_size(available, have);
	if (available >= need)
		vmf_check_ok(c->rows, page == 0 ? "memory" : "hugepages",
		    "%s of %s free", want, have);
	else if (page != 0 && c->what->start)
		vmf_check_fail(c->rows, "hugepages",
		    "%s wanted in pages of %llu KiB, %s free; reserve more "
		    "(/proc/sys/vm/nr_hugepages)",
		    want, (unsigned long long)page >> 10, have);
	else if (page == 0 && (c->what->start || need > total))
		vmf_check_fail(c->rows, "memory",
		    "%s wanted, %s free; free some or give the guest less",
		    want, have);
	else
		vmf_check_warn(c->rows, page == 0 ? "memory" : "hugepages",
		    "%s wanted, %s free: it will not start as things are; "
		    "free some first",
		    want, have);
}

/* ---- names -------------------------------------------------------------- */

static void
check_macs(struct place_check *c)
{
	char user[VMF_MAP_NAME_MAX], what[80];
	struct vmf_error said;
	const char *mac;
	size_t i;

	for (i = 0; i < c->model->ninterfaces; i++) {
		mac = c->model->interfaces[i].mac;
		if (mac == NULL)
			continue;
		snprintf(what, sizeof(what), "mac %s", mac);
		if (vmf_host_mac_user(
			c->host, mac, c->model->uuid, user, &said) < 0) {
			vmf_check_error(c->rows, what, &said);
		} else if (user[0] != '\0') {
			vmf_check_fail(c->rows, what,
			    "MAC address %s belongs to domain %s here; give "
			    "it another, or all of it with --identity new",
			    mac, user);
			vmf_check_map(
			    c->rows, "map-net", "%s=52:54:00:...", mac);
		} else {
			vmf_check_ok(c->rows, what, "no other has it");
		}
	}
}

static void
check_identity(struct place_check *c)
{
	struct vmf_error said;

	if (vmf_host_check_identity(c->host, c->model->name, c->model->uuid,
		c->what->options->replace, &said) < 0)
		vmf_check_error(c->rows, "identity", &said);
	else
		vmf_check_ok(c->rows, "identity", "%s (%s)", c->model->name,
		    c->model->uuid);
}

static bool
is_hard_disk(const struct vmf_domain_disk *disk)
{
	return disk->device == NULL || strcmp(disk->device, "disk") == 0 ||
	       strcmp(disk->device, "lun") == 0;
}

/* Places that a move fills need not be there yet. */
static bool
there(void *ctx, enum vmf_domain_ask ask, const char *value)
{
	struct place_check *c = ctx;
	const struct vmf_domain_disk *disk;
	size_t i;

	if (ask == VMF_ASK_PATH) {
		for (i = 0; i < c->model->ndisks; i++) {
			disk = &c->model->disks[i];
			if (disk->image.path != NULL &&
			    strcmp(disk->image.path, value) == 0 &&
			    is_hard_disk(disk))
				return true;
		}
		if (c->model->nvram != NULL &&
		    strcmp(c->model->nvram, value) == 0)
			return true;
	}
	if (ask == VMF_ASK_SECRET && vmf_check_comes_along(c, value))
		return true;
	return vmf_host_there(c->host, ask, value);
}

/* The option that would give this name another. */
static void
propose(struct place_check *c, const struct vmf_domain_finding *finding)
{
	const struct vmf_domain_disk *disk;
	char network[VMF_MAP_NAME_MAX];
	size_t i;

	/* The grammar of maps would need them escaped. */
	if (strpbrk(finding->value, "=\\*") != NULL)
		return;
	switch (finding->kind) {
	case VMF_NAMES_NETWORK:
		vmf_host_propose_network(c->host, network);
		vmf_check_map(c->rows, "map-net", "%s%s=%s",
		    strstr(finding->xpath, "@bridge") != NULL ? "bridge:" : "",
		    finding->value, network[0] != '\0' ? network : "...");
		return;
	case VMF_NAMES_FIRMWARE:
		vmf_check_map(c->rows, "map-firmware", "auto");
		return;
	case VMF_NAMES_DISK:
		for (i = 0; i < c->model->ndisks; i++) {
			disk = &c->model->disks[i];
			if (disk->image.path == NULL ||
			    strcmp(disk->image.path, finding->value) != 0)
				continue;
			if (is_hard_disk(disk))
				vmf_check_propose(
				    c, disk->target, finding->value);
			else /* a tray can be empty */
				vmf_check_map(
				    c->rows, "map", "%s=", disk->target);
			return;
		}
		break;
	default:
		break;
	}
	if (finding->value[0] == '/')
		vmf_check_map(c->rows, "map-path", "%s=/...", finding->value);
}

static int
check_names(struct place_check *c, struct vmf_error *err)
{
	struct vmf_domain_scan scan = {
	    .allow = c->what->options->allow,
	    .untrusted = !c->what->options->trusted,
	    .there = there,
	    .ctx = c,
	};
	const struct vmf_domain_finding *finding;
	char what[80];
	size_t i;

	if (vmf_domain_scan(c->dom, &scan, err) == 0) {
		vmf_check_ok(
		    c->rows, "names", "all that it names of a host is here");
		return 0;
	}
	if (vmf_domain_scan_finding(c->dom, 0) == NULL)
		return -1;
	for (i = 0; (finding = vmf_domain_scan_finding(c->dom, i)) != NULL;
	     i++) {
		const char *kind = vmf_domain_allow_name(finding->kind);

		snprintf(what, sizeof(what), "names %s", kind);
		vmf_check_fail(c->rows, what,
		    "%s%s%.200s%s: %s; map it or use --allow %s",
		    finding->xpath, finding->value[0] != '\0' ? " '" : "",
		    finding->value, finding->value[0] != '\0' ? "'" : "",
		    finding->why, kind);
		propose(c, finding);
	}
	return 0;
}

static void
check_tpm(struct place_check *c)
{
	struct vmf_error said;

	if (c->model->tpm == NULL)
		return;
	if (vmf_host_check_tpm(c->host, c->model, &said) < 0)
		vmf_check_error(c->rows, "tpm", &said);
	else
		vmf_check_ok(c->rows, "tpm", "can be emulated");
	check_version(c->rows, "swtpm", c->what->swtpm,
	    vmf_host_is_local(c->host) ? vmf_host_swtpm() : 0);
}

/* ---- the whole ----------------------------------------------------------- */

static int
read_domain(struct place_check *c, struct vmf_error *err)
{
	const struct vmf_place_options *o = c->what->options;
	struct vmf_domain_change change = {
	    .map = o->map,
	    .name = o->name,
	    .new_identity = o->new_identity,
	    .firmware_there = vmf_host_firmware_there,
	    .ctx = c->host,
	};
	const char *note;
	size_t i;

	c->dom = vmf_domain_parse(
	    c->what->xml, strlen(c->what->xml), "domain.xml", err);
	if (c->dom == NULL || vmf_domain_rewrite(c->dom, &change, err) < 0)
		return -1;
	c->model = vmf_domain_model(c->dom, err);
	c->xml = c->model == NULL ? NULL : vmf_domain_format(c->dom, NULL, err);
	for (i = 0;
	     c->xml != NULL && (note = vmf_domain_note(c->dom, i)) != NULL; i++)
		vmf_check_ok(c->rows, "change", "%s", note);
	return c->xml == NULL ? -1 : 0;
}

static int
check_all(struct place_check *c, struct vmf_error *err)
{
	struct vmf_error said;

	if (read_domain(c, &said) < 0) {
		vmf_check_error(c->rows, "definition", &said);
		return 0;
	}
	if (check_host(c, err) < 0)
		return -1;
	if (c->what->options->define) {
		check_identity(c);
		check_runs(c);
		check_vcpus(c);
		check_memory(c);
		check_macs(c);
	}
	vmf_check_links(c);
	check_tpm(c);
	if (check_names(c, err) < 0)
		return -1;
	return vmf_check_targets(c, err);
}

/* Nothing failed so far: what a move would do first must go well too. */
static void
try_placement(struct place_check *c, struct vmf_place **place)
{
	struct vmf_error said;

	*place = vmf_place_new(
	    c->what->info, c->what->xml, c->host, c->what->options, &said);
	if (*place != NULL && vmf_place_check_targets(*place, &said) == 0)
		return;
	vmf_place_free(*place);
	*place = NULL;
	vmf_check_error(c->rows, "placement", &said);
}

int
vmf_check_place(struct vmf_check *check, struct vmf_host *host,
    const struct vmf_check_place *what, struct vmf_place **place,
    struct vmf_error *err)
{
	struct place_check c = {.rows = check, .host = host, .what = what};
	size_t before = vmf_check_count(check, VMF_CHECK_FAIL);
	int rc;

	*place = NULL;
	rc = check_all(&c, err);
	if (rc == 0 && vmf_check_count(check, VMF_CHECK_FAIL) == before)
		try_placement(&c, place);
	free(c.xml);
	vmf_domain_free(c.dom);
	return rc;
}
