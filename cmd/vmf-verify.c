/* vmf-verify.c - is this package or stream whole? */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <vmferry/engine.h>
#include <vmferry/package.h>
#include <vmferry/salvage.h>

#include "input.h"
#include "job.h"

static const char usage[] =
    "vmf-verify [-qv] [-i keyfile] [-j jobs] [--accept-new] [--expect id]\n"
    "                  [--progress mode] [--scratch dir] [--timeout seconds]\n"
    "                  [--verify-key keyfile] file\n"
    "       vmf-verify --against target [-qv] [-i keyfile] [-j jobs]\n"
    "                  [--accept-new] [--disk name] [--expect id]\n"
    "                  [--progress mode] [--scratch dir] [--timeout seconds]\n"
    "                  [--verify-key keyfile] package\n";

/* Damaged ranges that are listed. */
#define RANGES_MAX 1000

enum {
	OPT_AGAINST = CLI_OPT,
	OPT_DISK,
	OPT_EXPECT,
	OPT_SCRATCH,
	OPT_VERIFY_KEY,
};

static const struct option longs[] = {
    JOB_LONG,
    REMOTE_LONG,
    {"against", required_argument, NULL, OPT_AGAINST},
    {"disk", required_argument, NULL, OPT_DISK},
    {"expect", required_argument, NULL, OPT_EXPECT},
    {"scratch", required_argument, NULL, OPT_SCRATCH},
    {"verify-key", required_argument, NULL, OPT_VERIFY_KEY},
    {NULL, 0, NULL, 0},
};

struct options {
	struct job job;
	struct remote remote;
	const char *scratch;
	const char *file;
	const char *against;	  /* a device or file; NULL: none */
	const char *disk;	  /* of the package; NULL: its only one */
	const char *keyfile;	  /* NULL: any signature or none */
	struct vmf_sign_key *key; /* in it */
	uint8_t expect[VMF_ID_LEN];
	bool expects;
};

static int
parse_option(struct options *o, int opt)
{
	struct vmf_error err;
	int rc;

	switch (opt) {
	case OPT_AGAINST:
		o->against = optarg;
		return 0;
	case OPT_DISK:
		o->disk = optarg;
		return 0;
	case OPT_EXPECT:
		if (vmf_parse_id(optarg, o->expect, &err) < 0)
			return cli_misuse("--expect: %s", err.msg);
		o->expects = true;
		return 0;
	case OPT_SCRATCH:
		o->scratch = optarg;
		return 0;
	case OPT_VERIFY_KEY:
		o->keyfile = optarg;
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

	while (
	    (opt = cli_getopt(argc, argv, JOB_SHORT REMOTE_SHORT, longs)) != -1)
		if ((status = parse_option(o, opt)) != 0)
			return status;
	if (argc - optind != 1)
		return cli_misuse(
		    argc == optind ? "no file given" : "more than one file");
	if (o->disk != NULL && o->against == NULL)
		return cli_misuse("--disk needs --against");
	o->file = argv[optind];
	return 0;
}

static struct vmf_package_reader_options
reader_options(const struct options *o)
{
	return (struct vmf_package_reader_options){.scratch = o->scratch,
	    .expect = o->expects ? o->expect : NULL,
	    .key = o->key};
}

/* --- a damaged package: which chunks */

static void say_more(struct vmf_error *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static void
say_more(struct vmf_error *err, const char *fmt, ...)
{
	struct vmf_error was = *err;
	char more[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(more, sizeof(more), fmt, ap);
	va_end(ap);
	vmf_fail(err, was.class, "%.700s; %s", was.msg, more);
}

static void
list_lost(
    const struct options *o, const struct vmf_salvage *s, struct vmf_error *err)
{
	const struct vmf_package_info *info = vmf_salvage_info(s);
	uint64_t off, len, from, ranges = 0, lost = 0;
	size_t i;

	for (i = 0; i < info->nimages; i++) {
		lost += vmf_salvage_chunks(s, i) - vmf_salvage_whole(s, i);
		for (from = 0; vmf_salvage_lost(s, i, from, &off, &len);
		     from = off + len)
			if (ranges++ < RANGES_MAX && !o->job.common.quiet)
				printf("%s %" PRIu64 " %" PRIu64 "\n",
				    info->images[i].name, off, len);
	}
	if (lost == 0)
		say_more(err, "all chunks of its disks are whole");
	else
		say_more(err,
		    "damaged chunks: %" PRIu64 " in ranges: %" PRIu64 "%s",
		    lost, ranges,
		    ranges > RANGES_MAX ? ", the first of which are listed"
					: "");
}

/* What is wrong stands in err already. */
static void
find_damage(
    const struct options *o, struct cli_input *in, struct vmf_error *err)
{
	struct vmf_salvage *s;
	struct vmf_error why;

	if (!in->seekable)
		return;
	s = vmf_salvage_open(in->fd.fd, o->job.engine.progress, &why);
	if (s == NULL)
		return;
	if (vmf_salvage_run(s, &why) == 0)
		list_lost(o, s, err);
	else
		*err = why;
	vmf_salvage_free(s);
}

/* --- a device beside a package */

struct differ {
	uint64_t bytes;
	bool quiet;
};

static int
print_range(void *ctx, uint64_t off, uint64_t len, struct vmf_error *err)
{
	struct differ *d = ctx;

	d->bytes += len;
	if (!d->quiet && printf("%" PRIu64 " %" PRIu64 "\n", off, len) < 0)
		return vmf_fail_errno(err, VMF_IO, "standard output");
	return 0;
}

static int
compare(const struct options *o, struct cli_input *in, struct vmf_source *src,
    struct vmf_digests *list, struct vmf_error *err)
{
	struct vmf_package_reader_options ropts = reader_options(o);
	struct differ d = {.quiet = o->job.common.quiet};
	struct vmf_package_differ differ = {.range = print_range, .ctx = &d};
	char size[VMF_SIZE_TEXT];
	struct vmf_geometry geo;
	struct stat st;

	if (stat(o->against, &st) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", o->against);
	/* What a larger device has behind the disk is no part of it. */
	differ.exact = S_ISREG(st.st_mode);
	if (vmf_package_verify_disk(cli_input_in(in), &ropts, o->disk, list,
		&geo, &o->job.engine, err) < 0)
		return vmf_wrap(err, "%s", in->fd.name);
	if (vmf_package_compare(src, list, &geo, &differ, &o->job.engine, err) <
	    0)
		return -1;
	if (d.bytes > 0)
		return vmf_fail(err, VMF_INTEGRITY,
		    "%s: differs from the disk in %s, in ranges of %s",
		    o->against, in->fd.name, vmf_format_size(d.bytes, size));
	if (o->job.common.verbose > 0)
		cli_say("%s: holds what the disk in %s does", o->against,
		    in->fd.name);
	return 0;
}

static int
verify_against(
    const struct options *o, struct cli_input *in, struct vmf_error *err)
{
	static const struct vmf_source_options plain;
	struct vmf_digests *list = NULL;
	struct vmf_source *src;
	int rc = -1;

	if (in->kind != CLI_PACKAGE)
		return vmf_fail(err, VMF_INTEGRITY,
		    "%s: is a stream; --against needs a package", in->fd.name);
	src = vmf_source_open(o->against, &plain, err);
	if (src != NULL)
		list = vmf_digests_new(o->scratch, err);
	if (list != NULL)
		rc = compare(o, in, src, list, err);
	vmf_digests_free(list);
	vmf_source_free(src);
	return rc;
}

/* --- verdicts */

static int
verify_package(
    const struct options *o, struct cli_input *in, struct vmf_error *err)
{
	struct vmf_package_reader_options ropts = reader_options(o);
	char size[VMF_SIZE_TEXT], stored[VMF_SIZE_TEXT];
	struct vmf_package_summary sum;

	if (vmf_package_verify(
		cli_input_in(in), &ropts, &o->job.engine, &sum, err) < 0) {
		if (err->class == VMF_INTEGRITY)
			find_damage(o, in, err);
		return -1;
	}
	if (!o->job.common.quiet)
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
	rc = vmf_restore(r, NULL, NULL, &o->job.engine, err);
	if (rc < 0 || o->job.common.quiet)
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
run(void *ctx, struct vmf_error *err)
{
	struct options *o = ctx;
	struct cli_input in;
	int rc = -1;

	if (o->keyfile != NULL) {
		o->key = vmf_sign_key_public(o->keyfile, err);
		if (o->key == NULL)
			return -1;
	}

	if (cli_input_open_remote(
		&in, o->file, &o->remote, o->job.engine.progress, err) < 0)
		goto out;
	if (in.kind == CLI_UNKNOWN) {
		cli_input_unknown(&in, err);
		goto out;
	}
	job_meter(&o->job, "verified");
	if (o->against != NULL)
		rc = verify_against(o, &in, err);
	else if (in.kind == CLI_PACKAGE)
		rc = verify_package(o, &in, err);
	else
		rc = verify_stream(o, &in, err);
	cli_progress_stop();
	if (rc < 0 && o->against == NULL && err->class == VMF_INTEGRITY)
		vmf_wrap(err, "%s", in.fd.name);
out:
	cli_input_close(&in);
	vmf_sign_key_free(o->key);
	return rc;
}

int
main(int argc, char *argv[])
{
	struct options o = {0};

	job_start(&o.job, "vmf-verify", usage);
	return job_run(parse(&o, argc, argv), run, &o);
}
