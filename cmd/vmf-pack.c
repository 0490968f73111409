/* vmf-pack.c - a domain with all its disks to one package */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vmferry/domain.h>
#include <vmferry/host.h>
#include <vmferry/io.h>
#include <vmferry/pack.h>

#include "job.h"
#include "remote.h"

#define NAMES_MAX 256

static const char usage[] =
    "vmf-pack [-nqv] [-c uri] [-i keyfile] [-j jobs] [-o target] [-z level]\n"
    "                [--accept-new] [--chunk size] [--disks names]\n"
    "                [--exclude names] [--id id] [--include-secrets]\n"
    "                [--meta-only] [--no-holes]\n"
    "                [--progress mode] [--scratch dir] [--sign keyfile]\n"
    "                [--timeout seconds] domain\n";

enum {
	OPT_DISKS = CLI_OPT,
	OPT_EXCLUDE,
	OPT_ID,
	OPT_INCLUDE_SECRETS,
	OPT_META_ONLY,
	OPT_NO_HOLES,
	OPT_SCRATCH,
	OPT_SIGN,
};

static const struct option longs[] = {
    JOB_LONG,
    JOB_STREAM_LONG,
    REMOTE_LONG,
    {"connect", required_argument, NULL, 'c'},
    {"output", required_argument, NULL, 'o'},
    {"disks", required_argument, NULL, OPT_DISKS},
    {"exclude", required_argument, NULL, OPT_EXCLUDE},
    {"id", required_argument, NULL, OPT_ID},
    {"include-secrets", no_argument, NULL, OPT_INCLUDE_SECRETS},
    {"meta-only", no_argument, NULL, OPT_META_ONLY},
    {"no-holes", no_argument, NULL, OPT_NO_HOLES},
    {"scratch", required_argument, NULL, OPT_SCRATCH},
    {"sign", required_argument, NULL, OPT_SIGN},
    {NULL, 0, NULL, 0},
};

struct options {
	struct job job;
	struct remote remote;
	struct vmf_location target; /* -o, standard output without */
	struct vmf_pack_options pack;
	const char *disks[NAMES_MAX + 1];
	const char *exclude[NAMES_MAX + 1];
	const char *uri;
	const char *domain;
	const char *sign; /* NULL: unsigned */
	uint8_t id[VMF_ID_LEN];
	bool has_id;
	bool meta_only;
};

/* --- options */

static int
parse_id(struct options *o, const char *s)
{
	struct vmf_error err;

	if (vmf_parse_id(s, o->id, &err) < 0)
		return cli_misuse("--id: %s", err.msg);
	o->has_id = true;
	return 0;
}

/* "vda,vdb" at the end of a list; s is cut up in place. */
static int
parse_names(const char *option, char *s, const char *names[NAMES_MAX + 1])
{
	char *save = NULL, *name;
	size_t n = 0;

	while (names[n] != NULL)
		n++;
	for (name = strtok_r(s, ",", &save); name != NULL;
	     name = strtok_r(NULL, ",", &save)) {
		if (n == NAMES_MAX)
			return cli_misuse("%s: too many names", option);
		names[n++] = name;
	}
	return n == 0 ? cli_misuse("%s: no name given", option) : 0;
}

static int
parse_option(struct options *o, int opt)
{
	struct vmf_error err;
	int rc;

	switch (opt) {
	case 'c':
		o->uri = optarg;
		return 0;
	case 'o':
		vmf_location_clear(&o->target);
		if (vmf_location_parse(optarg, &o->target, &err) < 0)
			return cli_misuse("-o: %s", err.msg);
		return 0;
	case OPT_DISKS:
		return parse_names("--disks", optarg, o->disks);
	case OPT_EXCLUDE:
		return parse_names("--exclude", optarg, o->exclude);
	case OPT_ID:
		return parse_id(o, optarg);
	case OPT_INCLUDE_SECRETS:
		o->pack.secrets = true;
		return 0;
	case OPT_META_ONLY:
		o->meta_only = true;
		return 0;
	case OPT_NO_HOLES:
		o->pack.source.no_holes = true;
		return 0;
	case OPT_SCRATCH:
		o->pack.scratch = optarg;
		return 0;
	case OPT_SIGN:
		o->sign = optarg;
		return 0;
	default:
		rc = remote_option(opt, optarg, &o->remote);
		return rc >= 0 ? rc : job_option(opt, &o->job);
	}
}

static int
parse(struct options *o, int argc, char *argv[])
{
	int opt, status;

	while ((opt = cli_getopt(
		    argc, argv, JOB_SHORT REMOTE_SHORT "c:o:z:", longs)) != -1)
		if ((status = parse_option(o, opt)) != 0)
			return status;
	if (argc - optind != 1)
		return cli_misuse(argc == optind ? "no domain given"
						 : "more than one domain");
	if ((o->disks[0] != NULL) + (o->exclude[0] != NULL) + o->meta_only > 1)
		return cli_misuse(
		    "--disks, --exclude and --meta-only exclude each other");
	o->domain = argv[optind];
	o->pack.chunk = o->job.chunk;
	/* A list of no names is one too. */
	if (o->disks[0] != NULL || o->meta_only)
		o->pack.disks = o->disks;
	o->pack.exclude = o->exclude;
	return 0;
}

/* --- packing */

static int
write_file(const struct options *o, struct vmf_pack *pack,
    struct vmf_totals *totals, struct vmf_error *err)
{
	const char *path = o->target.path;
	struct vmf_newfile *nf = vmf_newfile_create(path, false, err);
	struct vmf_fd fd;
	int rc;

	if (nf == NULL)
		return -1;
	fd = (struct vmf_fd){vmf_newfile_fd(nf), path};
	rc = vmf_pack_write(pack, vmf_out_fd(&fd), &o->job.engine, totals, err);
	if (rc == 0)
		rc = vmf_newfile_commit(nf, err);
	vmf_newfile_free(nf);
	return rc;
}

/*
 * To another host: the package is written to a .part there, and has its name
 * only when all of it is.  size is not known before.
 */
static int
write_remote(struct options *o, struct vmf_pack *pack,
    struct vmf_totals *totals, struct vmf_error *err)
{
	struct vmf_transfer_options transfer = {.ssh = &o->remote.ssh,
	    .progress = o->job.engine.progress,
	    .uncounted = true};
	struct vmf_transfer_result result;
	struct vmf_upload *up;
	int rc;

	if (o->job.common.dry_run)
		return vmf_upload_check(
		    &transfer, o->target.path, VMF_SIZE_UNKNOWN, err);
	up = vmf_upload_open(&transfer, o->target.path, VMF_SIZE_UNKNOWN, err);
	if (up == NULL)
		return -1;
	rc = vmf_pack_write(
	    pack, vmf_upload_out(up), &o->job.engine, totals, err);
	if (rc == 0)
		rc = vmf_upload_commit(up, &result, err);
	vmf_upload_free(up);
	if (rc == 0 && !result.durable && !o->job.common.quiet)
		cli_say("%s: durability unconfirmed: the server cannot sync "
			"files",
		    o->target.text);
	return rc;
}

static int
write_target(struct options *o, struct vmf_pack *pack,
    struct vmf_totals *totals, struct vmf_error *err)
{
	struct vmf_fd fd = {STDOUT_FILENO, "standard output"};

	if (o->target.kind == VMF_LOCATION_REMOTE)
		return write_remote(o, pack, totals, err);
	if (o->job.common.dry_run)
		return 0;
	if (o->target.kind == VMF_LOCATION_LOCAL)
		return write_file(o, pack, totals, err);
	return vmf_pack_write(
	    pack, vmf_out_fd(&fd), &o->job.engine, totals, err);
}

static void
say_totals(const struct options *o, const struct vmf_pack *pack,
    const struct vmf_totals *totals)
{
	char size[VMF_SIZE_TEXT], stored[VMF_SIZE_TEXT];
	uint64_t sum = 0;
	size_t i;

	if (o->job.common.verbose == 0 || o->job.common.dry_run)
		return;
	for (i = 0; i < vmf_pack_info(pack)->nimages; i++)
		sum += totals[i].stored;
	cli_say("%s: disks of %s, stored in %s", o->domain,
	    vmf_format_size(vmf_pack_size(pack), size),
	    vmf_format_size(sum, stored));
}

static int
write_package(struct options *o, struct vmf_pack *pack, struct vmf_error *err)
{
	struct vmf_totals *totals =
	    calloc(vmf_pack_info(pack)->nimages + 1, sizeof(*totals));
	int rc;

	if (totals == NULL)
		return vmf_fail_errno(err, VMF_IO, "%s", o->domain);
	atomic_store(&o->job.engine.progress->total, vmf_pack_size(pack));
	job_meter(&o->job, "packed");
	rc = write_target(o, pack, totals, err);
	cli_progress_stop();
	if (rc == 0)
		say_totals(o, pack, totals);
	free(totals);
	return rc;
}

/* Who relies on a password must know that the package lacks it. */
static int
say_secrets(
    const struct options *o, struct vmf_host *host, struct vmf_error *err)
{
	const struct vmf_domain_model *model = NULL;
	struct vmf_domain *dom = NULL;
	char *xml;

	if (o->pack.secrets || o->job.common.quiet)
		return 0;
	xml = vmf_host_xml(host, o->domain, true, err);
	if (xml != NULL)
		dom = vmf_domain_parse(xml, strlen(xml), o->domain, err);
	if (dom != NULL)
		model = vmf_domain_model(dom, err);
	if (model != NULL && model->passwords)
		cli_say("%s: its VNC or SPICE password stays out of the "
			"package; --include-secrets takes it along",
		    o->domain);
	vmf_domain_free(dom);
	free(xml);
	return model != NULL ? 0 : -1;
}

static void
say_contents(const struct options *o, const struct vmf_pack *pack)
{
	const struct vmf_package_info *info = vmf_pack_info(pack);
	char id[2 * VMF_ID_LEN + 1], size[VMF_SIZE_TEXT];
	size_t i;

	if (o->job.common.verbose == 0 && !o->job.common.dry_run)
		return;
	vmf_hex(info->id, VMF_ID_LEN, id);
	cli_say("%s: package %s", info->domain, id);
	for (i = 0; i < info->nfiles; i++)
		cli_say("%s: %s, %s", info->files[i].name, info->files[i].path,
		    vmf_format_size(info->files[i].size, size));
	for (i = 0; i < info->nimages; i++)
		cli_say("disk %s: %s, %s", info->images[i].name,
		    info->images[i].path,
		    vmf_format_size(info->images[i].geo.size, size));
}

static int
run(void *ctx, struct vmf_error *err)
{
	struct options *o = ctx;
	struct vmf_host *host = NULL;
	struct vmf_sign_key *key = NULL;
	struct vmf_pack *pack = NULL;
	int rc = -1;

	if (o->target.kind == VMF_LOCATION_STDIO && !o->job.common.dry_run &&
	    cli_data_stdout(err) < 0)
		return -1;
	if (o->target.kind == VMF_LOCATION_REMOTE &&
	    remote_resolve(
		&o->remote, &o->target, o->job.engine.progress, err) < 0)
		goto out;
	if (!o->has_id && vmf_id_random(o->id, err) < 0)
		goto out;
	if (o->sign != NULL) {
		key = vmf_sign_key_private(o->sign, err);
		if (key == NULL)
			goto out;
		o->pack.sign = key;
	}
	host = vmf_host_open(o->uri, err);
	if (host == NULL)
		goto out;
	pack = vmf_pack_open(host, o->domain, o->id, &o->pack, err);
	if (pack == NULL || say_secrets(o, host, err) < 0)
		goto out;
	say_contents(o, pack);
	rc = write_package(o, pack, err);
out:
	vmf_pack_free(pack);
	vmf_host_free(host);
	vmf_sign_key_free(key);
	remote_clear(&o->remote);
	return rc;
}

int
main(int argc, char *argv[])
{
	struct options o = {0};
	int status;

	job_start(&o.job, "vmf-pack", usage);
	status = job_run(parse(&o, argc, argv), run, &o);
	vmf_location_clear(&o.target);
	return status;
}
