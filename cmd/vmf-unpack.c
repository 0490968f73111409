/* vmf-unpack.c - the parts of a package to where they belong */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vmferry/io.h>
#include <vmferry/place.h>

#include "extract.h"
#include "input.h"
#include "job.h"
#include "maps.h"

#define NAMES_MAX 256

static const char usage[] =
    "vmf-unpack [-nqv] [-c uri] [-i keyfile] [-j jobs] [-o file]\n"
    "                  [--accept-new] [--allow kind] [--define] [--dir dir]\n"
    "                  [--expect id]\n"
    "                  [--identity keep|new] [--map disk=target]\n"
    "                  [--map-file file] [--map-firmware old=new|auto]\n"
    "                  [--map-net old=new] [--map-path old=new] [--name name]\n"
    "                  [--no-readback] [--overwrite disk] [--progress mode]\n"
    "                  [--scratch dir] [--timeout seconds]\n"
    "                  [--verify-key keyfile] package\n"
    "       vmf-unpack --list [-i keyfile] [--accept-new] [--expect id]\n"
    "                  [--timeout seconds] package\n"
    "       vmf-unpack --extract member [-i keyfile] [-j jobs] [-o file]\n"
    "                  [--accept-new] [--expect id] [--timeout seconds]\n"
    "                  [--verify-key keyfile] package\n";

enum {
	OPT_ALLOW = CLI_OPT,
	OPT_DEFINE,
	OPT_DIR,
	OPT_EXPECT,
	OPT_EXTRACT,
	OPT_IDENTITY,
	OPT_LIST,
	OPT_NAME,
	OPT_NO_READBACK,
	OPT_OVERWRITE,
	OPT_SCRATCH,
	OPT_VERIFY_KEY,
};

static const struct option longs[] = {
    JOB_LONG,
    CLI_MAPS_LONG,
    REMOTE_LONG,
    {"connect", required_argument, NULL, 'c'},
    {"output", required_argument, NULL, 'o'},
    {"allow", required_argument, NULL, OPT_ALLOW},
    {"define", no_argument, NULL, OPT_DEFINE},
    {"dir", required_argument, NULL, OPT_DIR},
    {"expect", required_argument, NULL, OPT_EXPECT},
    {"extract", required_argument, NULL, OPT_EXTRACT},
    {"identity", required_argument, NULL, OPT_IDENTITY},
    {"list", no_argument, NULL, OPT_LIST},
    {"name", required_argument, NULL, OPT_NAME},
    {"no-readback", no_argument, NULL, OPT_NO_READBACK},
    {"overwrite", required_argument, NULL, OPT_OVERWRITE},
    {"scratch", required_argument, NULL, OPT_SCRATCH},
    {"verify-key", required_argument, NULL, OPT_VERIFY_KEY},
    {NULL, 0, NULL, 0},
};

struct options {
	struct job job;
	struct remote remote;
	struct vmf_place_options place;
	struct vmf_package_reader_options reader;
	const char *overwrite[NAMES_MAX + 1];
	size_t noverwrite;
	const char *uri;
	const char *output;
	const char *extract;
	const char *package;
	const char *keyfile; /* NULL: any signature or none */
	uint8_t expect[VMF_ID_LEN];
	bool list;
};

/* --- options */

/* --dir DIR is a map of every disk to its own base name in DIR. */
static int
map_dir(struct options *o, const char *dir)
{
	char real[PATH_MAX], rule[2 * PATH_MAX + 8], *to = rule;
	struct vmf_error err;
	const char *from;

	if (realpath(dir, real) == NULL) {
		vmf_fail_errno(&err, VMF_USAGE, "--dir: %s", dir);
		return cli_misuse("%s", err.msg);
	}
	to += sprintf(to, "*=");
	for (from = real; *from != '\0'; from++) {
		if (strchr("=\\*", *from) != NULL)
			*to++ = '\\';
		*to++ = *from;
	}
	strcpy(to, "/*");
	if (o->place.map == NULL && (o->place.map = vmf_map_new(&err)) == NULL)
		return cli_misuse("--dir: %s", err.msg);
	if (vmf_map_add(o->place.map, VMF_MAP_DISK, rule, &err) < 0)
		return cli_misuse("--dir: %s", err.msg);
	return 0;
}

static int
parse_overwrite(struct options *o, const char *disk)
{
	if (o->noverwrite == NAMES_MAX)
		return cli_misuse("--overwrite: too many");
	o->overwrite[o->noverwrite++] = disk;
	return 0;
}

static int
parse_identity(struct options *o, const char *s)
{
	o->place.new_identity = strcmp(s, "new") == 0;
	if (!o->place.new_identity && strcmp(s, "keep") != 0)
		return cli_misuse(
		    "--identity: '%s' is neither keep nor new", s);
	return 0;
}

static int
parse_value(struct options *o, int opt)
{
	struct vmf_error err;
	int rc;

	switch (opt) {
	case OPT_ALLOW:
		if (vmf_domain_allow(optarg, &o->place.allow, &err) < 0)
			return cli_misuse("--allow: %s", err.msg);
		return 0;
	case OPT_EXPECT:
		if (vmf_parse_id(optarg, o->expect, &err) < 0)
			return cli_misuse("--expect: %s", err.msg);
		o->reader.expect = o->expect;
		return 0;
	default:
		rc = remote_option(opt, optarg, &o->remote);
		return rc >= 0 ? rc : job_option(opt, &o->job);
	}
}

static int
parse_option(struct options *o, int opt)
{
	int status = cli_maps(opt, optarg, &o->place.map);

	if (status != -1)
		return status;
	switch (opt) {
	case 'c':
		o->uri = optarg;
		return 0;
	case 'o':
		o->output = optarg;
		return 0;
	case OPT_DEFINE:
		o->place.define = true;
		return 0;
	case OPT_DIR:
		return map_dir(o, optarg);
	case OPT_EXTRACT:
		o->extract = optarg;
		return 0;
	case OPT_IDENTITY:
		return parse_identity(o, optarg);
	case OPT_LIST:
		o->list = true;
		return 0;
	case OPT_NAME:
		o->place.name = optarg;
		return 0;
	case OPT_NO_READBACK:
		o->place.readback = false;
		return 0;
	case OPT_OVERWRITE:
		return parse_overwrite(o, optarg);
	case OPT_SCRATCH:
		o->place.scratch = o->reader.scratch = optarg;
		return 0;
	case OPT_VERIFY_KEY:
		o->keyfile = optarg;
		return 0;
	default:
		return parse_value(o, opt);
	}
}

static int
parse(struct options *o, int argc, char *argv[])
{
	int opt, status;

	while ((opt = cli_getopt(
		    argc, argv, JOB_SHORT REMOTE_SHORT "c:o:", longs)) != -1)
		if ((status = parse_option(o, opt)) != 0)
			return status;
	if (argc - optind != 1)
		return cli_misuse(argc == optind ? "no package given"
						 : "more than one package");
	if (o->list + (o->extract != NULL) + o->place.define > 1)
		return cli_misuse(
		    "--list, --extract and --define exclude each other");
	/* Else nobody would know which machine its TPM state belongs to. */
	if ((o->place.new_identity || o->place.name != NULL) &&
	    !o->place.define && o->output == NULL)
		return cli_misuse("--name and --identity new need --define, or "
				  "-o for the new XML");
	if (o->list && o->keyfile != NULL)
		return cli_misuse("--list checks nothing, and no signature; "
				  "vmf-verify does");
	if (o->extract != NULL && o->output != NULL &&
	    strcmp(o->output, "-") == 0)
		o->output = NULL;
	o->package = argv[optind];
	o->place.overwrite = o->overwrite;
	o->place.dry_run = o->job.common.dry_run;
	return cli_maps_check(o->place.map);
}

/* --- placing */

static void
say_targets(const struct options *o, const struct vmf_package_info *info,
    const struct vmf_place *place)
{
	size_t i;

	if (o->job.common.verbose == 0 && !o->job.common.dry_run)
		return;
	for (i = 0; i < info->nimages; i++)
		cli_say("disk %s: %s", info->images[i].name,
		    vmf_place_image(place, i));
	for (i = 0; i < info->nfiles; i++)
		cli_say(
		    "%s: %s", info->files[i].name, vmf_place_file(place, i));
}

/* Everything that can be refused is refused before a long verification. */
static int
check_first(const struct options *o, struct cli_input *in,
    struct vmf_host *host, struct vmf_error *err)
{
	struct vmf_package_reader *r;
	struct vmf_place *place = NULL;
	size_t len;
	int rc = -1;

	r = vmf_package_reader_open(cli_input_in(in), &o->reader, err);
	if (r != NULL)
		place = vmf_place_new(vmf_package_reader_info(r),
		    vmf_package_reader_xml(r, &len), host, &o->place, err);
	if (place != NULL) {
		rc = vmf_place_check_targets(place, err);
		say_targets(o, vmf_package_reader_info(r), place);
		cli_maps_unused(o->place.map, o->job.common.quiet);
	}
	vmf_place_free(place);
	vmf_package_reader_free(r);
	return rc;
}

static int
verify_first(
    const struct options *o, struct cli_input *in, struct vmf_error *err)
{
	struct vmf_progress *progress = o->job.engine.progress;
	int rc;

	if (cli_input_rewind(in, err) < 0)
		return -1;
	job_meter(&o->job, "verified");
	rc = vmf_package_verify(
	    cli_input_in(in), &o->reader, &o->job.engine, NULL, err);
	cli_progress_stop();
	atomic_store(&progress->done, 0);
	atomic_store(&progress->zero, 0);
	return rc < 0 ? -1 : cli_input_rewind(in, err);
}

/* The rewritten XML to where it was asked for. */
static int
hand_over(
    const struct options *o, struct vmf_place *place, struct vmf_error *err)
{
	const char *xml = vmf_place_xml(place);

	if (o->output != NULL && strcmp(o->output, "-") == 0)
		fputs(xml, stdout); /* cli_end() looks at it */
	else if (o->output != NULL &&
		 vmf_write_file(o->output, xml, strlen(xml), false, err) < 0)
		return vmf_wrap(err, "%s", o->output);
	if (o->place.define && vmf_place_define(place, NULL, err) < 0)
		return -1;
	if (!o->job.common.quiet)
		cli_say("%s: %s", vmf_place_name(place),
		    o->place.define	? "placed and defined"
		    : o->output != NULL ? "placed"
					: "placed; vmf-unpack --extract "
					  "domain.xml gives the XML to "
					  "vmf-define with the same maps");
	return 0;
}

static int
place_reader(const struct options *o, struct vmf_package_reader *r,
    struct vmf_host *host, struct vmf_error *err)
{
	const struct vmf_package_info *info = vmf_package_reader_info(r);
	struct vmf_place *place;
	uint64_t total = 0;
	size_t i, len;
	int rc;

	place = vmf_place_new(
	    info, vmf_package_reader_xml(r, &len), host, &o->place, err);
	if (place == NULL)
		return -1;
	for (i = 0; i < info->nimages; i++)
		total += info->images[i].geo.size;
	atomic_store(&o->job.engine.progress->total,
	    o->place.readback ? 2 * total : total);
	job_meter(&o->job, "restored");
	rc = vmf_place_restore(place, r, &o->job.engine, NULL, err);
	cli_progress_stop();
	if (rc == 0)
		rc = hand_over(o, place, err);
	vmf_place_free(place);
	return rc;
}

static int
place_package(const struct options *o, struct cli_input *in,
    struct vmf_host *host, struct vmf_error *err)
{
	struct vmf_package_reader *r;
	int rc;

	if (in->seekable || o->job.common.dry_run)
		if (check_first(o, in, host, err) < 0)
			return -1;
	if (o->job.common.dry_run)
		return 0;
	if (in->seekable && verify_first(o, in, err) < 0)
		return -1;
	r = vmf_package_reader_open(cli_input_in(in), &o->reader, err);
	if (r == NULL)
		return -1;
	rc = place_reader(o, r, host, err);
	vmf_package_reader_free(r);
	return rc;
}

/* Without --define a host without libvirt will do: it has no domains. */
static int
place_on_host(
    const struct options *o, struct cli_input *in, struct vmf_error *err)
{
	struct vmf_host *host = vmf_host_open(o->uri, err);
	struct vmf_error why;
	int rc;

	if (host == NULL && (o->place.define || o->uri != NULL))
		return -1;
	why = *err;
	rc = place_package(o, in, host, err);
	if (rc == 0 && host == NULL && !o->job.common.quiet)
		cli_say("no libvirt was asked whether a domain has these "
			"disks already (%s)",
		    why.msg);
	vmf_host_free(host);
	return rc;
}

static int
run(void *ctx, struct vmf_error *err)
{
	struct options *o = ctx;
	struct vmf_sign_key *key = NULL;
	struct cli_input in;
	int rc = -1;

	if (o->keyfile != NULL) {
		key = vmf_sign_key_public(o->keyfile, err);
		if (key == NULL)
			return -1;
		o->reader.key = key;
	}

	if (cli_input_open_remote(
		&in, o->package, &o->remote, o->job.engine.progress, err) < 0)
		goto out;
	if (in.kind == CLI_UNKNOWN) {
		cli_input_unknown(&in, err);
		goto out;
	}
	if (in.kind == CLI_STREAM) {
		vmf_fail(err, VMF_INTEGRITY,
		    "%s: is a stream, not a package; use vmf-restore",
		    in.fd.name);
		goto out;
	}
	if (o->list)
		rc = cli_list(&in, &o->reader, err);
	else if (o->extract != NULL)
		rc = cli_extract(&in, &o->reader, &o->job.engine, o->extract,
		    o->output, err);
	else
		rc = place_on_host(o, &in, err);
	if (rc < 0 && (err->class == VMF_INTEGRITY || o->extract != NULL))
		vmf_wrap(err, "%s", in.fd.name);
out:
	cli_input_close(&in);
	vmf_sign_key_free(key);
	return rc;
}

int
main(int argc, char *argv[])
{
	static struct options o = {.place = {.readback = true}};
	int status;

	job_start(&o.job, "vmf-unpack", usage);
	status = job_run(parse(&o, argc, argv), run, &o);
	vmf_map_free(o.place.map);
	return status;
}
