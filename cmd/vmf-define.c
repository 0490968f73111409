/* vmf-define.c - domain XML for this host: rewritten, checked, defined */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <vmferry/domain.h>
#include <vmferry/host.h>
#include <vmferry/io.h>

#include "bring.h"
#include "cli.h"
#include "diff.h"
#include "input.h"
#include "maps.h"

/* Where --replace keeps what was defined before. */
#define KEPT_PARENT "/var/lib/vmferry"
#define KEPT_DIR    KEPT_PARENT "/replaced"

static const char usage[] =
    "vmf-define [-nqv] [-c uri] [-o file] [--allow kind] [--autostart]\n"
    "                  [--cpu model] [--diff] [--identity keep|new] "
    "[--keep-emulator]\n"
    "                  [--machine type] [--map disk=target] [--map-file file]\n"
    "                  [--map-firmware old=new|auto] [--map-net old=new]\n"
    "                  [--map-path old=new] [--name name] [--replace] "
    "[--uuid uuid]\n"
    "                  [--with-networks] [--with-nwfilters] [--with-pools] "
    "file\n";

enum {
	OPT_ALLOW = CLI_OPT,
	OPT_AUTOSTART,
	OPT_CPU,
	OPT_DIFF,
	OPT_IDENTITY,
	OPT_KEEP_EMULATOR,
	OPT_MACHINE,
	OPT_NAME,
	OPT_REPLACE,
	OPT_UUID,
	OPT_WITH_NETWORKS,
	OPT_WITH_NWFILTERS,
	OPT_WITH_POOLS,
};

static const struct option longs[] = {
    CLI_LONG,
    CLI_MAPS_LONG,
    {"connect", required_argument, NULL, 'c'},
    {"output", required_argument, NULL, 'o'},
    {"allow", required_argument, NULL, OPT_ALLOW},
    {"autostart", no_argument, NULL, OPT_AUTOSTART},
    {"cpu", required_argument, NULL, OPT_CPU},
    {"diff", no_argument, NULL, OPT_DIFF},
    {"identity", required_argument, NULL, OPT_IDENTITY},
    {"keep-emulator", no_argument, NULL, OPT_KEEP_EMULATOR},
    {"machine", required_argument, NULL, OPT_MACHINE},
    {"name", required_argument, NULL, OPT_NAME},
    {"replace", no_argument, NULL, OPT_REPLACE},
    {"uuid", required_argument, NULL, OPT_UUID},
    {"with-networks", no_argument, NULL, OPT_WITH_NETWORKS},
    {"with-nwfilters", no_argument, NULL, OPT_WITH_NWFILTERS},
    {"with-pools", no_argument, NULL, OPT_WITH_POOLS},
    {NULL, 0, NULL, 0},
};

struct options {
	struct cli_common common;
	struct vmf_map *map;
	struct vmf_domain_change change;
	const char *uri;
	const char *output; /* "-": standard output */
	const char *file;
	struct bring bring;
	uint32_t allow;
	bool autostart;
	bool diff;
	bool replace;
};

/* --- options */

static int
parse_identity(struct options *o, const char *s)
{
	if (strcmp(s, "new") == 0)
		o->change.new_identity = true;
	else if (strcmp(s, "keep") != 0)
		return cli_misuse(
		    "--identity: '%s' is neither keep nor new", s);
	return 0;
}

static int
parse_allow(struct options *o, const char *s)
{
	struct vmf_error err;

	if (vmf_domain_allow(s, &o->allow, &err) == -1)
		return cli_misuse("--allow: %s", err.msg);
	return 0;
}

static int
parse_with(struct options *o, int opt)
{
	switch (opt) {
	case OPT_WITH_NETWORKS:
		o->bring.want[VMF_LINKS_NETWORK] = true;
		return 0;
	case OPT_WITH_NWFILTERS:
		o->bring.want[VMF_LINKS_NWFILTER] = true;
		return 0;
	case OPT_WITH_POOLS:
		o->bring.want[VMF_LINKS_POOL] = true;
		return 0;
	default:
		return -1;
	}
}

static int
parse_option(struct options *o, int opt)
{
	int status = cli_maps(opt, optarg, &o->map);

	if (status != -1 || (status = parse_with(o, opt)) != -1)
		return status;
	switch (opt) {
	case 'c':
		o->uri = optarg;
		return 0;
	case 'o':
		o->output = optarg;
		return 0;
	case OPT_ALLOW:
		return parse_allow(o, optarg);
	case OPT_AUTOSTART:
		o->autostart = true;
		return 0;
	case OPT_CPU:
		o->change.cpu_mode = optarg;
		return 0;
	case OPT_DIFF:
		o->diff = true;
		return 0;
	case OPT_IDENTITY:
		return parse_identity(o, optarg);
	case OPT_KEEP_EMULATOR:
		o->change.keep_emulator = true;
		return 0;
	case OPT_MACHINE:
		o->change.machine = optarg;
		return 0;
	case OPT_NAME:
		o->change.name = optarg;
		return 0;
	case OPT_REPLACE:
		o->replace = true;
		return 0;
	case OPT_UUID:
		o->change.uuid = optarg;
		o->change.new_identity = true;
		return 0;
	default:
		return cli_common(opt, &o->common) < 0 ? VMF_USAGE : 0;
	}
}

static int
parse(struct options *o, int argc, char *argv[])
{
	int opt, status;

	while ((opt = cli_getopt(argc, argv, CLI_SHORT "c:o:", longs)) != -1)
		if ((status = parse_option(o, opt)) != 0)
			return status;
	if (argc - optind != 1)
		return cli_misuse(
		    argc == optind ? "no file given" : "more than one file");
	if (o->diff && o->output != NULL)
		return cli_misuse("--diff and -o exclude each other");
	if ((o->diff || o->output != NULL) && (o->replace || o->autostart))
		return cli_misuse("--replace and --autostart are for defining, "
				  "which --diff and -o do not do");
	if ((o->diff || o->output != NULL) && bring_any(&o->bring))
		return cli_misuse("--with-networks, --with-nwfilters and "
				  "--with-pools are for defining, which --diff "
				  "and -o do not do");
	o->file = argv[optind];
	o->change.map = o->bring.map = o->map;
	o->bring.allow = o->allow;
	return cli_maps_check(o->map);
}

/* --- checks */

/* What a domain of this host would lose if two used it. */
static int
check_disks(const struct options *o, struct vmf_host *host,
    const struct vmf_domain_model *model, struct vmf_error *err)
{
	const struct vmf_domain_disk *disk;
	size_t i;

	for (i = 0; i < model->ndisks; i++) {
		disk = &model->disks[i];
		if (disk->readonly || disk->shareable ||
		    disk->image.path == NULL ||
		    strcmp(disk->device, "cdrom") == 0)
			continue;
		if (vmf_host_require_unused(
			host, disk->image.path, model->uuid, err) == -1)
			return vmf_wrap(err, "disk %s", disk->target);
	}
	if (!vmf_domain_model_has_nvram(model))
		return 0;
	if ((o->allow & (UINT32_C(1) << VMF_NAMES_NVRAM)) == 0 &&
	    vmf_host_check_nvram(host, model, err) == -1)
		return -1;
	if (vmf_host_require_unused(host, model->nvram, model->uuid, err) == -1)
		return vmf_wrap(err, "NVRAM");
	return 0;
}

static int
check_macs(struct vmf_host *host, const struct vmf_domain_model *model,
    struct vmf_error *err)
{
	char user[VMF_MAP_NAME_MAX];
	const char *mac;
	size_t i;

	for (i = 0; i < model->ninterfaces; i++) {
		if ((mac = model->interfaces[i].mac) == NULL)
			continue;
		if (vmf_host_mac_user(host, mac, model->uuid, user, err) == -1)
			return -1;
		if (user[0] != '\0')
			return vmf_fail(err, VMF_REFUSED,
			    "%s: its MAC address %s is that of domain %s; give "
			    "it another with --map-net %s=MAC or --identity new",
			    model->name, mac, user, mac);
	}
	return 0;
}

static int
check_host(const struct options *o, struct vmf_host *host,
    struct vmf_domain *dom, struct vmf_error *err)
{
	const struct vmf_domain_model *model = vmf_domain_model(dom, err);

	if (model == NULL)
		return -1;
	if (vmf_host_check_identity(
		host, model->name, model->uuid, o->replace, err) == -1 ||
	    vmf_host_check_runs(host, model, err) == -1 ||
	    check_disks(o, host, model, err) == -1 ||
	    check_macs(host, model, err) == -1)
		return -1;
	return 0;
}

static bool
file_there(void *ctx, const char *path)
{
	(void)ctx;
	return access(path, R_OK) == 0;
}

static void
say_findings(const struct options *o, const struct vmf_domain *dom)
{
	const struct vmf_domain_finding *f;
	size_t i;

	if (o->common.verbose == 0)
		return;
	for (i = 0; (f = vmf_domain_scan_finding(dom, i)) != NULL; i++)
		cli_say("%s '%s': %s (--allow %s)", f->xpath, f->value, f->why,
		    vmf_domain_allow_name(f->kind));
}

/* What is brought will be there. */
struct there {
	struct vmf_host *host;
	const struct vmf_links *links;
};

static bool
there(void *ctx, enum vmf_domain_ask ask, const char *value)
{
	struct there *t = ctx;

	return vmf_links_has(t->links, ask, value) ||
	       vmf_host_there(t->host, ask, value);
}

/* Rewrite and check; host may be NULL: then only what the XML itself shows. */
static int
prepare(struct options *o, struct vmf_host *host, struct vmf_domain *dom,
    struct vmf_error *err)
{
	struct there t = {host, o->bring.links};
	struct vmf_domain_scan scan = {.allow = o->allow, .untrusted = true};

	o->change.firmware_there =
	    host != NULL ? vmf_host_firmware_there : file_there;
	o->change.ctx = host;
	if (vmf_domain_rewrite(dom, &o->change, err) == -1)
		return vmf_wrap(err, "%s", o->file);
	if (host != NULL) {
		scan.there = there;
		scan.ctx = &t;
		if (t.links != NULL &&
		    vmf_links_check(o->bring.links, host, err) == -1)
			return vmf_wrap(err, "%s", o->file);
	}
	if (vmf_domain_scan(dom, &scan, err) == -1) {
		say_findings(o, dom);
		return vmf_wrap(err, "%s", o->file);
	}
	return host == NULL ? 0 : check_host(o, host, dom, err);
}

/* What went otherwise than one might think; a failure is one line only. */
static void
say_notes(
    const struct options *o, struct vmf_host *host, struct vmf_domain *dom)
{
	const struct vmf_domain_model *model = vmf_domain_model(dom, NULL);
	const char *note;
	size_t i;

	if (o->common.quiet)
		return;
	cli_maps_unused(o->map, false);
	for (i = 0; (note = vmf_domain_note(dom, i)) != NULL; i++)
		cli_say("%s: %s", o->file, note);
	if (host != NULL && model != NULL && model->tpm != NULL &&
	    model->tpm->backend != NULL &&
	    strcmp(model->tpm->backend, "emulator") == 0 &&
	    !vmf_host_has_tpm_state(host, model))
		cli_say("warning: %s: no TPM state is here under its UUID; "
			"the guest will get an empty TPM",
		    model->name);
}

/* --- results */

/* The old XML, with passwords, in a file of its own; its path, or NULL. */
static char *
keep_old(struct vmf_host *host, const struct vmf_domain_model *model,
    struct vmf_error *err)
{
	char *xml = vmf_host_xml(host, model->name, true, err), *path = NULL;
	time_t now = time(NULL);
	struct tm tm;
	char stamp[32];
	int rc = -1;

	if (xml == NULL)
		return NULL;
	gmtime_r(&now, &tm);
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
	if (asprintf(&path, "%s/%s-%s.xml", KEPT_DIR, model->uuid, stamp) ==
	    -1) {
		path = NULL;
		vmf_fail_errno(err, VMF_IO, "%s", KEPT_DIR);
	} else if ((mkdir(KEPT_PARENT, 0755) == -1 && errno != EEXIST) ||
		   (mkdir(KEPT_DIR, 0700) == -1 && errno != EEXIST)) {
		vmf_fail_errno(err, VMF_IO, "%s", KEPT_DIR);
	} else if ((rc = vmf_write_file(path, xml, strlen(xml), false, err)) ==
		   -1) {
		vmf_wrap(err, "%s", path);
	}
	if (rc == -1) {
		free(path);
		path = NULL;
	}
	free(xml);
	return path;
}

static int
define(struct options *o, struct vmf_host *host, struct vmf_domain *dom,
    const char *xml, struct vmf_error *err)
{
	const struct vmf_domain_model *model = vmf_domain_model(dom, err);
	struct vmf_host_state state;
	char *kept = NULL;
	bool found;
	int rc = -1;

	if (model == NULL ||
	    vmf_host_find(host, model->name, &state, &found, err) == -1)
		return -1;
	if (found && (kept = keep_old(host, model, err)) == NULL)
		return -1;
	if (bring_define(&o->bring, host, o->common.quiet, err) == -1)
		goto out;
	if (vmf_host_define(host, xml, o->replace, NULL, err) == -1) {
		if (o->bring.links != NULL)
			vmf_links_undo(o->bring.links, host);
		goto out;
	}
	/* Where a tool keeps what it replaced is said even when quiet. */
	if (kept != NULL)
		cli_say("%s: the old XML is in %s", model->name, kept);
	if (!o->common.quiet)
		cli_say("%s: defined on %s", model->name, vmf_host_uri(host));
	if (o->autostart &&
	    vmf_host_set_autostart(host, model->name, true, err) == -1)
		goto out;
	rc = 0;
out:
	free(kept);
	return rc;
}

static int
finish(struct options *o, struct vmf_host *host, struct vmf_domain *dom,
    const char *before, struct vmf_error *err)
{
	char *xml, *name;
	size_t len;
	int rc;

	if ((xml = vmf_domain_format(dom, &len, err)) == NULL)
		return -1;
	if (o->diff) {
		rc = asprintf(&name, "%s (rewritten)", o->file) == -1
			 ? vmf_fail_errno(err, VMF_IO, "%s", o->file)
			 : cli_diff(before, xml, o->file, name,
			       isatty(STDOUT_FILENO), err);
		if (rc == 0)
			free(name);
	} else if (o->common.dry_run ||
		   (o->output != NULL && strcmp(o->output, "-") == 0)) {
		fwrite(xml, 1, len, stdout); /* cli_end() looks at it */
		rc = 0;
	} else if (o->output != NULL) {
		rc = vmf_write_file(o->output, xml, len, false, err);
		if (rc == -1)
			vmf_wrap(err, "%s", o->output);
	} else {
		rc = define(o, host, dom, xml, err);
	}
	free(xml);
	return rc;
}

static struct vmf_domain *
read_xml(struct cli_input *in, struct vmf_error *err)
{
	struct vmf_in bytes = cli_input_in(in);
	struct vmf_domain *dom = NULL;
	/* One byte too many shows that it is too large. */
	size_t size = VMF_DOMAIN_XML_MAX + 1, len;
	char *xml = malloc(size);

	if (xml == NULL)
		vmf_fail_errno(err, VMF_IO, "%s", in->fd.name);
	else if (bytes.read(bytes.ctx, xml, size, &len, err) == 0)
		dom = vmf_domain_parse(xml, len, in->fd.name, err);
	free(xml);
	return dom;
}

/* Networks were asked for, and there are none. */
static void
say_absent(const struct options *o)
{
	int i;

	for (i = 0; !o->common.quiet && i < VMF_LINKS_KINDS; i++)
		if (o->bring.want[i] && vmf_links_count(o->bring.links,
					    (enum vmf_links_kind)i) == 0)
			cli_say("warning: %s: holds no %s", o->file,
			    vmf_links_kind_name((enum vmf_links_kind)i));
}

static struct vmf_domain *
read_domain(struct options *o, struct vmf_error *err)
{
	struct vmf_domain *dom = NULL;
	struct cli_input in;

	if (cli_input_open(&in, o->file, err) == 0) {
		if (in.kind == CLI_PACKAGE &&
		    (dom = bring_package(&o->bring, &in, err)) == NULL)
			vmf_wrap(err, "%s", o->file);
		else if (in.kind == CLI_PACKAGE)
			say_absent(o);
		else if (in.kind == CLI_STREAM)
			vmf_fail(err, VMF_USAGE,
			    "%s: is the stream of a disk, which holds no "
			    "domain; vmf-restore writes it to a disk",
			    o->file);
		else if (bring_any(&o->bring))
			vmf_fail(err, VMF_USAGE,
			    "%s: only a package brings networks, filters and "
			    "pools",
			    o->file);
		else
			dom = read_xml(&in, err);
	}
	cli_input_close(&in);
	return dom;
}

static int
run(struct options *o, struct vmf_error *err)
{
	bool offline = (o->diff || o->output != NULL) && o->uri == NULL;
	struct vmf_host *host = NULL;
	struct vmf_domain *dom = NULL;
	char *before = NULL;
	int rc = -1;

	if ((dom = read_domain(o, err)) == NULL)
		goto out;
	if (o->diff && (before = vmf_domain_format(dom, NULL, err)) == NULL)
		goto out;
	if (!offline && (host = vmf_host_open(o->uri, err)) == NULL)
		goto out;
	if (prepare(o, host, dom, err) == 0) {
		say_notes(o, host, dom);
		rc = finish(o, host, dom, before, err);
	}
out:
	free(before);
	vmf_domain_free(dom);
	vmf_host_free(host);
	return rc;
}

int
main(int argc, char *argv[])
{
	struct options o = {0};
	struct vmf_error err = {0};
	int status;

	cli_start("vmf-define", usage);
	status = parse(&o, argc, argv);
	if (status == 0)
		status = cli_end(run(&o, &err), &err);
	bring_clear(&o.bring);
	vmf_map_free(o.map);
	return status;
}
