/* vmf-verify.c - is this package or stream whole? */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vmferry/engine.h>
#include <vmferry/package.h>

#include "cli.h"
#include "input.h"

static const char usage[] =
    "vmf-verify [-qv] [-i keyfile] [-j jobs] [--accept-new] [--expect id]\n"
    "                  [--progress mode] [--scratch dir] [--timeout seconds]\n"
    "                  [--verify-key keyfile] file\n";

enum { OPT_EXPECT = CLI_OPT, OPT_PROGRESS, OPT_SCRATCH, OPT_VERIFY_KEY };

static const struct option longs[] = {
    CLI_LONG,
    REMOTE_LONG,
    {"jobs", required_argument, NULL, 'j'},
    {"expect", required_argument, NULL, OPT_EXPECT},
    {"progress", required_argument, NULL, OPT_PROGRESS},
    {"scratch", required_argument, NULL, OPT_SCRATCH},
    {"verify-key", required_argument, NULL, OPT_VERIFY_KEY},
    {NULL, 0, NULL, 0},
};

struct options {
	struct cli_common common;
	struct cli_progress_mode progress;
	struct vmf_engine_options engine;
	struct remote remote;
	const char *scratch;
	const char *file;
	const char *keyfile;	  /* NULL: any signature or none */
	struct vmf_sign_key *key; /* in it */
	uint8_t expect[VMF_ID_LEN];
	bool expects;
};

static int
parse_option(struct options *o, int opt)
{
	struct vmf_error err;
	uint64_t n;
	int rc;

	switch (opt) {
	case 'j':
		if (cli_number("-j", optarg, 1, VMF_JOBS_MAX, &n) < 0)
			return VMF_USAGE;
		o->engine.jobs = (unsigned)n;
		return 0;
	case OPT_EXPECT:
		if (vmf_parse_id(optarg, o->expect, &err) < 0)
			return cli_misuse("--expect: %s", err.msg);
		o->expects = true;
		return 0;
	case OPT_PROGRESS:
		if (cli_parse_progress(optarg, &o->progress, &err) < 0)
			return cli_misuse("%s", err.msg);
		return 0;
	case OPT_SCRATCH:
		o->scratch = optarg;
		return 0;
	case OPT_VERIFY_KEY:
		o->keyfile = optarg;
		return 0;
	default:
		rc = remote_option(opt, optarg, &o->remote);
		if (rc < 0)
			rc = cli_common(opt, &o->common) < 0 ? VMF_USAGE : 0;
		return rc;
	}
}

static int
parse(struct options *o, int argc, char *argv[])
{
	int opt, status;

	while ((opt = cli_getopt(
		    argc, argv, CLI_SHORT REMOTE_SHORT "j:", longs)) != -1)
		if ((status = parse_option(o, opt)) != 0)
			return status;
	if (argc - optind != 1)
		return cli_misuse(
		    argc == optind ? "no file given" : "more than one file");
	o->file = argv[optind];
	return 0;
}

static int
verify_package(
    const struct options *o, struct cli_input *in, struct vmf_error *err)
{
	struct vmf_package_reader_options ropts = {.scratch = o->scratch,
	    .expect = o->expects ? o->expect : NULL,
	    .key = o->key};
	char size[VMF_SIZE_TEXT], stored[VMF_SIZE_TEXT];
	struct vmf_package_summary sum;

	if (vmf_package_verify(
		cli_input_in(in), &ropts, &o->engine, &sum, err) < 0)
		return -1;
	if (!o->common.quiet)
		printf("%s: package is whole: disks of %s, stored in %s%s\n",
		    in->fd.name, vmf_format_size(sum.size, size),
		    vmf_format_size(sum.stored, stored),
		    o->key != NULL	? "; signed by this key"
		    : sum.has_signature ? "; its signature was not checked"
					: "");
	return 0;
}

static int
verify_stream(
    const struct options *o, struct cli_input *in, struct vmf_error *err)
{
	struct vmf_reader *r = vmf_reader_open(cli_input_in(in), err);
	const struct vmf_totals *totals;
	char size[VMF_SIZE_TEXT], stored[VMF_SIZE_TEXT];
	int rc = -1;

	if (r == NULL)
		return -1;
	if (o->key != NULL) {
		vmf_fail(
		    err, VMF_INTEGRITY, "is a stream, which has no signature");
		goto out;
	}
	if (o->expects &&
	    memcmp(o->expect, vmf_reader_id(r), VMF_ID_LEN) != 0) {
		vmf_fail(err, VMF_INTEGRITY, "is not the stream expected");
		goto out;
	}
	rc = vmf_restore(r, NULL, NULL, &o->engine, err);
	if (rc < 0 || o->common.quiet)
		goto out;
	totals = vmf_reader_totals(r);
	printf("%s: stream is whole: a disk of %s, stored in %s\n", in->fd.name,
	    vmf_format_size(totals->size, size),
	    vmf_format_size(totals->stored, stored));
out:
	vmf_reader_free(r);
	return rc;
}

static int
run(struct options *o, struct vmf_error *err)
{
	struct cli_input in;
	int rc = -1;

	if (o->keyfile != NULL) {
		o->key = vmf_sign_key_public(o->keyfile, err);
		if (o->key == NULL)
			return -1;
	}

	if (cli_input_open_remote(
		&in, o->file, &o->remote, o->engine.progress, err) < 0)
		goto out;
	if (in.kind == CLI_UNKNOWN) {
		cli_input_unknown(&in, err);
		goto out;
	}
	cli_progress_start(
	    o->engine.progress, o->progress, o->common.quiet, "verified");
	rc = in.kind == CLI_PACKAGE ? verify_package(o, &in, err)
				    : verify_stream(o, &in, err);
	cli_progress_stop();
	if (rc < 0 && err->class == VMF_INTEGRITY)
		vmf_wrap(err, "%s", in.fd.name);
out:
	cli_input_close(&in);
	vmf_sign_key_free(o->key);
	return rc;
}

int
main(int argc, char *argv[])
{
	static struct vmf_progress progress;
	struct options o = {.progress = {-2}};
	struct vmf_error err = {0};
	int status;

	cli_start("vmf-verify", usage);
	vmf_engine_defaults(&o.engine);
	o.engine.progress = &progress;
	status = parse(&o, argc, argv);
	if (status != 0)
		return status;
	cli_signals(&progress);
	return cli_end(run(&o, &err), &err);
}
