/* vmf-restore.c - an image stream to a disk, partition, volume or file */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vmferry/engine.h>
#include <vmferry/io.h>

#include "cli.h"

static const char usage[] =
    "vmf-restore [-nqv] [-j jobs] [--no-readback] [--overwrite]\n"
    "                   [--progress mode] [--scratch dir] "
    "[--target-is-zero]\n"
    "                   [--zero-tail] stream target\n";

enum {
	OPT_NO_READBACK = CLI_OPT,
	OPT_OVERWRITE,
	OPT_PROGRESS,
	OPT_SCRATCH,
	OPT_TARGET_IS_ZERO,
	OPT_ZERO_TAIL,
};

static const struct option longs[] = {
    CLI_LONG,
    {"jobs", required_argument, NULL, 'j'},
    {"no-readback", no_argument, NULL, OPT_NO_READBACK},
    {"overwrite", no_argument, NULL, OPT_OVERWRITE},
    {"progress", required_argument, NULL, OPT_PROGRESS},
    {"scratch", required_argument, NULL, OPT_SCRATCH},
    {"target-is-zero", no_argument, NULL, OPT_TARGET_IS_ZERO},
    {"zero-tail", no_argument, NULL, OPT_ZERO_TAIL},
    {NULL, 0, NULL, 0},
};

struct options {
	struct cli_common common;
	struct cli_progress_mode progress;
	struct vmf_engine_options engine;
	struct vmf_sink_options sink;
	const char *stream;
	const char *target;
	bool no_readback;
};

static int
parse_option(struct options *o, int opt)
{
	struct vmf_error err;
	uint64_t n;

	switch (opt) {
	case 'j':
		if (cli_number("-j", optarg, 1, VMF_JOBS_MAX, &n) < 0)
			return VMF_USAGE;
		o->engine.jobs = (unsigned)n;
		return 0;
	case OPT_NO_READBACK:
		o->no_readback = true;
		return 0;
	case OPT_OVERWRITE:
		o->sink.overwrite = true;
		return 0;
	case OPT_PROGRESS:
		if (cli_parse_progress(optarg, &o->progress, &err) < 0)
			return cli_misuse("%s", err.msg);
		return 0;
	case OPT_SCRATCH:
		o->sink.scratch = optarg;
		return 0;
	case OPT_TARGET_IS_ZERO:
		o->sink.target_is_zero = true;
		return 0;
	case OPT_ZERO_TAIL:
		o->sink.zero_tail = true;
		return 0;
	default:
		return cli_common(opt, &o->common) < 0 ? VMF_USAGE : 0;
	}
}

static int
parse(struct options *o, int argc, char *argv[])
{
	int opt, status;

	while ((opt = cli_getopt(argc, argv, CLI_SHORT "j:", longs)) != -1)
		if ((status = parse_option(o, opt)) != 0)
			return status;
	if (argc - optind != 2)
		return cli_misuse("a stream (or -) and a target are needed");
	o->stream = argv[optind];
	o->target = argv[optind + 1];
	/* A stream that breaks off could not be told from a whole one. */
	if (strcmp(o->target, "-") == 0)
		return cli_misuse("a target is a file or device; to standard "
				  "output a stream is written by zstd -dc");
	return 0;
}

static void
say_tail(const struct options *o, const struct vmf_sink *sink,
    const struct vmf_geometry *geo)
{
	uint64_t hold = geo->chunk > 4 * VMF_MIB ? geo->chunk : 4 * VMF_MIB;
	uint64_t tail = vmf_sink_size(sink) - geo->size;
	char zeroed[VMF_SIZE_TEXT];

	if (o->common.quiet || !vmf_sink_is_device(sink) || tail == 0)
		return;
	if (o->sink.zero_tail || tail <= hold)
		cli_say("%s: %" PRIu64 " bytes larger than the image; "
			"they were zeroed",
		    o->target, tail);
	else
		cli_say("%s: %" PRIu64 " bytes larger than the image; the "
			"last %s of them were zeroed, the rest is as it was",
		    o->target, tail, vmf_format_size(hold, zeroed));
}

/* One line says both: why it failed, and what stands on the device now. */
static void
say_incomplete(
    const struct options *o, const struct vmf_sink *sink, struct vmf_error *err)
{
	size_t len = strlen(err->msg);

	if (vmf_sink_is_device(sink))
		snprintf(err->msg + len, sizeof(err->msg) - len,
		    "; %s is incomplete, its first and last blocks stay "
		    "zeroed until a restore succeeds",
		    o->target);
}

/* The objects into the begun sink, then back from its medium, then sealed. */
static int
fill_sink(const struct options *o, struct vmf_reader *r, struct vmf_sink *sink,
    struct vmf_error *err)
{
	const struct vmf_geometry *geo = vmf_reader_geometry(r);
	struct vmf_digests *list = vmf_digests_new(o->sink.scratch, err);
	int rc = -1;

	if (list == NULL)
		return -1;
	if (vmf_sink_begin(sink, err) < 0)
		goto incomplete;
	cli_progress_start(
	    o->engine.progress, o->progress, o->common.quiet, "restored");
	rc = vmf_restore(r, sink, list, &o->engine, err);
	cli_progress_stop();
	if (rc < 0 && err->class == VMF_INTEGRITY)
		vmf_wrap(err, "%s", o->stream);
	else if (rc < 0 && err->class == VMF_STOPPED)
		vmf_wrap(err, "%s", o->target);
	if (rc < 0)
		goto incomplete;
	if (!o->no_readback) {
		atomic_store(&o->engine.progress->done, 0);
		atomic_store(&o->engine.progress->zero, 0);
		cli_progress_start(o->engine.progress, o->progress,
		    o->common.quiet, "read back");
		rc = vmf_readback(sink, list, geo->chunk, &o->engine, err);
		cli_progress_stop();
		if (rc < 0 && err->class == VMF_STOPPED)
			vmf_wrap(err, "%s", o->target);
		if (rc < 0)
			goto incomplete;
	}
	rc = vmf_sink_commit(
	    sink, vmf_reader_totals(r)->size, !o->no_readback, err);
incomplete:
	if (rc < 0)
		say_incomplete(o, sink, err);
	vmf_digests_free(list);
	return rc;
}

static int
restore(const struct options *o, struct vmf_in in, struct vmf_error *err)
{
	struct vmf_reader *r = vmf_reader_open(in, err);
	struct vmf_sink *sink = NULL;
	const struct vmf_geometry *geo;
	int rc = -1;

	/* What cannot be read is named by who reads it. */
	if (r == NULL && err->class != VMF_IO)
		vmf_wrap(err, "%s", o->stream);
	if (r == NULL)
		return -1;
	geo = vmf_reader_geometry(r);
	sink = vmf_sink_open(o->target, geo, &o->sink, err);
	if (sink == NULL)
		goto out;
	if (o->common.dry_run) {
		rc = 0;
		goto out;
	}
	if (geo->size != VMF_SIZE_UNKNOWN)
		atomic_store(&o->engine.progress->total, geo->size);
	rc = fill_sink(o, r, sink, err);
	if (rc == 0)
		say_tail(o, sink, geo);
out:
	vmf_sink_free(sink);
	vmf_reader_free(r);
	return rc;
}

static int
run(const struct options *o, struct vmf_error *err)
{
	struct vmf_pipe in = {
	    STDIN_FILENO, "standard input", o->engine.progress};
	int rc;

	if (strcmp(o->stream, "-") != 0) {
		in.name = o->stream;
		in.fd = open(o->stream, O_RDONLY | O_CLOEXEC);
		if (in.fd < 0)
			return vmf_fail_errno(err, VMF_IO, "%s", o->stream);
	} else if (isatty(STDIN_FILENO)) {
		return vmf_fail(err, VMF_USAGE,
		    "standard input is a terminal; pipe a stream into it");
	}
	rc = restore(o, vmf_in_pipe(&in), err);
	if (in.fd != STDIN_FILENO)
		close(in.fd);
	return rc;
}

int
main(int argc, char *argv[])
{
	static struct vmf_progress progress;
	struct options o = {.progress = {-2}};
	struct vmf_error err = {0};
	int status;

	cli_start("vmf-restore", usage);
	vmf_engine_defaults(&o.engine);
	o.engine.progress = &progress;
	status = parse(&o, argc, argv);
	if (status != 0)
		return status;
	cli_signals(&progress);
	return cli_end(run(&o, &err), &err);
}
