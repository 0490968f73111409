/* vmf-restore.c - an image stream to a disk, partition, volume or file */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vmferry/engine.h>
#include <vmferry/io.h>
#include <vmferry/partition.h>
#include <vmferry/rate.h>
#include <vmferry/target.h>

#include "job.h"

static const char usage[] =
    "vmf-restore [-nqv] [-c uri] [-j jobs] [--accept-degraded] [--bwlimit rate]\n"
    "                   [--fix-gpt] [--format format] [--no-readback] [--offset size]\n"
    "                   [--overwrite] [--progress mode] [--raw] [--scratch dir] [--size "
    "size]\n"
    "                   [--target-is-zero] [--zero-tail] stream target\n";

enum {
	OPT_ACCEPT_DEGRADED = CLI_OPT,
	OPT_FIX_GPT,
	OPT_FORMAT,
	OPT_NO_READBACK,
	OPT_OFFSET,
	OPT_OVERWRITE,
	OPT_RAW,
	OPT_SCRATCH,
	OPT_SIZE,
	OPT_TARGET_IS_ZERO,
	OPT_ZERO_TAIL,
};

static const struct option longs[] = {
    JOB_LONG,
    JOB_BWLIMIT_LONG,
    {"connect", required_argument, NULL, 'c'},
    {"accept-degraded", no_argument, NULL, OPT_ACCEPT_DEGRADED},
    {"fix-gpt", no_argument, NULL, OPT_FIX_GPT},
    {"format", required_argument, NULL, OPT_FORMAT},
    {"no-readback", no_argument, NULL, OPT_NO_READBACK},
    {"offset", required_argument, NULL, OPT_OFFSET},
    {"overwrite", no_argument, NULL, OPT_OVERWRITE},
    {"raw", no_argument, NULL, OPT_RAW},
    {"scratch", required_argument, NULL, OPT_SCRATCH},
    {"size", required_argument, NULL, OPT_SIZE},
    {"target-is-zero", no_argument, NULL, OPT_TARGET_IS_ZERO},
    {"zero-tail", no_argument, NULL, OPT_ZERO_TAIL},
    {NULL, 0, NULL, 0},
};

struct options {
	struct job job;
	struct vmf_sink_options sink;
	const char *stream;
	const char *target; /* as given */
	const char *uri;    /* of libvirt, for pools */
	struct vmf_map_target where;
	uint64_t size; /* of plain bytes; 0: as many as there are */
	bool no_readback;
	bool raw;
	bool fix_gpt;
};

static int
parse_sink_option(struct options *o, int opt)
{
	switch (opt) {
	case OPT_ACCEPT_DEGRADED:
		o->sink.accept_degraded = true;
		return 0;
	case OPT_FORMAT:
		return cli_format(optarg, &o->sink.format) < 0 ? VMF_USAGE : 0;
	case OPT_OFFSET:
		o->sink.in_place = true;
		return cli_size("--offset", optarg, 0, VMF_IMAGE_MAX,
			   &o->sink.off) < 0
			   ? VMF_USAGE
			   : 0;
	case OPT_OVERWRITE:
		o->sink.overwrite = true;
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
		return job_option(opt, &o->job);
	}
}

static int
parse_option(struct options *o, int opt)
{
	switch (opt) {
	case 'c':
		o->uri = optarg;
		return 0;
	case OPT_FIX_GPT:
		o->fix_gpt = true;
		return 0;
	case OPT_NO_READBACK:
		o->no_readback = true;
		return 0;
	case OPT_RAW:
		o->raw = true;
		return 0;
	case OPT_SIZE:
		return cli_size("--size", optarg, 1, VMF_IMAGE_MAX, &o->size) <
			       0
			   ? VMF_USAGE
			   : 0;
	default:
		return parse_sink_option(o, opt);
	}
}

/* A name of something to be made; all else is a path, relative ones too. */
static int
parse_target(struct options *o)
{
	static const char *const kinds[] = {"pool:", "lv:", "part:"};
	struct vmf_error err;
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strncmp(o->target, kinds[i], strlen(kinds[i])) == 0) {
			if (vmf_map_target_parse(o->target, &o->where, &err) ==
			    0)
				return 0;
			cli_misuse("%s", err.msg);
			return -1;
		}
	return 0;
}

static int
parse(struct options *o, int argc, char *argv[])
{
	int opt, status;

	while ((opt = cli_getopt(argc, argv, JOB_SHORT "c:", longs)) != -1)
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
	if (parse_target(o) < 0)
		return VMF_USAGE;
	if (o->size != 0 && !o->raw)
		return cli_misuse("--size is for --raw; a stream says itself "
				  "how large its image is");
	if (o->sink.in_place && o->sink.zero_tail)
		return cli_misuse("--zero-tail and --offset exclude each "
				  "other");
	return 0;
}

/* What is restored: the objects of a stream, or plain bytes. */
struct input {
	struct vmf_reader *r;
	struct vmf_source *src;
	struct vmf_geometry geo;
	uint64_t size; /* of the image, known at its end at the latest */
};

/* ---- what is said of the target ------------------------------------------ */

static void
say_tail(const struct options *o, const struct vmf_sink *sink,
    const struct input *in)
{
	uint64_t tail = vmf_sink_size(sink) - in->size;
	uint64_t hold =
	    in->geo.chunk > 4 * VMF_MIB ? in->geo.chunk : 4 * VMF_MIB;
	char zeroed[VMF_SIZE_TEXT];

	if (o->job.common.quiet || !vmf_sink_is_device(sink) || tail == 0 ||
	    vmf_target_is_made(&o->where) || o->sink.in_place)
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

static void
say_bad(const struct options *o, const struct vmf_reader *r)
{
	uint32_t i, n = vmf_reader_totals(r)->bad_count;
	uint64_t off, len, sum = 0;

	for (i = 0; i < n; i++) {
		vmf_reader_bad(r, i, &off, &len);
		sum += len;
		if (o->job.common.verbose > 0)
			cli_say("%s: %" PRIu64 " bytes at offset %" PRIu64
				" could not be read at the source",
			    o->target, len, off);
	}
	if (n > 0)
		cli_say("%s: degraded: %" PRIu64 " bytes in %" PRIu32
			" places could not be read at the source, and are "
			"zeros",
		    o->target, sum, n);
}

/* One line says both: why it failed, and what stands on the device now. */
static void
say_incomplete(
    const struct options *o, const struct vmf_sink *sink, struct vmf_error *err)
{
	size_t len = strlen(err->msg);

	if (vmf_target_is_made(&o->where))
		return; /* it goes again */
	if (vmf_sink_is_device(sink) || o->sink.in_place)
		snprintf(err->msg + len, sizeof(err->msg) - len,
		    "; %s is incomplete, its first and last blocks stay "
		    "zeroed until a restore succeeds",
		    o->target);
}

/* ---- filling it -----------------------------------------------------------
 */

static int
restore(const struct options *o, struct input *in, struct vmf_sink *sink,
    struct vmf_digests *list, struct vmf_error *err)
{
	struct vmf_totals totals;

	if (in->src != NULL) {
		if (vmf_copy(in->src, sink, NULL, list, in->geo.chunk,
			&o->job.engine, &totals, err) < 0)
			return -1;
		in->size = totals.size;
		return 0;
	}
	if (vmf_restore(in->r, sink, list, &o->job.engine, err) < 0)
		return -1;
	in->size = vmf_reader_totals(in->r)->size;
	return 0;
}

static int
read_back(const struct options *o, const struct input *in,
    struct vmf_sink *sink, struct vmf_digests *list, struct vmf_error *err)
{
	int rc;

	atomic_store(&o->job.engine.progress->done, 0);
	atomic_store(&o->job.engine.progress->zero, 0);
	job_meter(&o->job, "read back");
	rc = vmf_readback(sink, list, in->geo.chunk, &o->job.engine, err);
	cli_progress_stop();
	if (rc < 0 && err->class == VMF_STOPPED)
		vmf_wrap(err, "%s", o->target);
	return rc;
}

/* The bytes into the begun sink, then back from its medium, then sealed. */
static int
fill_sink(const struct options *o, struct input *in, struct vmf_sink *sink,
    struct vmf_error *err)
{
	struct vmf_digests *list = vmf_digests_new(o->sink.scratch, err);
	int rc = -1;

	if (list == NULL)
		return -1;
	if (vmf_sink_begin(sink, err) < 0)
		goto incomplete;
	job_meter(&o->job, "restored");
	rc = restore(o, in, sink, list, err);
	cli_progress_stop();
	if (rc < 0 && err->class == VMF_INTEGRITY && in->r != NULL)
		vmf_wrap(err, "%s", o->stream);
	else if (rc < 0 && err->class == VMF_STOPPED)
		vmf_wrap(err, "%s", o->target);
	if (rc == 0 && !o->no_readback)
		rc = read_back(o, in, sink, list, err);
	if (rc == 0)
		rc = vmf_sink_commit(sink, in->size, !o->no_readback, err);
incomplete:
	if (rc < 0)
		say_incomplete(o, sink, err);
	vmf_digests_free(list);
	return rc;
}

/* Fill and seal what is at path. */
static int
fill_path(struct options *o, struct input *in, const char *path,
    struct vmf_error *err)
{
	struct vmf_sink *sink;
	bool tail;
	int rc = 0;

	sink = vmf_sink_open(path, &in->geo, &o->sink, err);
	if (sink == NULL)
		return -1;
	if (!o->job.common.dry_run) {
		if (in->geo.size != VMF_SIZE_UNKNOWN)
			atomic_store(
			    &o->job.engine.progress->total, in->geo.size);
		rc = fill_sink(o, in, sink, err);
	}
	tail = vmf_sink_is_device(sink) && vmf_sink_size(sink) > in->size &&
	       !o->sink.in_place;
	if (rc == 0 && !o->job.common.dry_run) {
		say_tail(o, sink, in);
		if (in->r != NULL)
			say_bad(o, in->r);
	}
	vmf_sink_free(sink);
	if (rc == 0 && !o->job.common.dry_run && o->fix_gpt && tail)
		rc = vmf_partition_fix_gpt(path, err);
	return rc;
}

/* What is made for this image holds nobody's data, and is zeroed to its end. */
static void
adapt_options(struct options *o, const struct vmf_target *target)
{
	if (!vmf_target_is_new(target))
		return;
	o->sink.overwrite = o->sink.is_new = true;
	if (vmf_target_is_zero(target))
		o->sink.target_is_zero = true;
	else
		o->sink.zero_tail = true;
}

static int
make_and_fill(struct options *o, struct input *in, struct vmf_host *host,
    struct vmf_error *err)
{
	struct vmf_target *target;
	int rc;

	target = vmf_target_make(&o->where, in->geo.size, host, err);
	if (target == NULL)
		return -1;
	adapt_options(o, target);
	rc = fill_path(o, in, vmf_target_path(target), err);
	if (rc == 0 && vmf_target_commit(target, err) < 0)
		rc = -1;
	if (rc == 0 && !o->job.common.quiet)
		cli_say("%s: is %s", o->target, vmf_target_name(target));
	vmf_target_free(target);
	return rc;
}

static int
fill_target(struct options *o, struct input *in, struct vmf_error *err)
{
	struct vmf_host *host = NULL;
	int rc;

	if (!vmf_target_is_made(&o->where))
		return fill_path(o, in, o->target, err);
	if (o->job.common.dry_run)
		return 0;
	if (o->where.kind == VMF_TARGET_POOL) {
		host = vmf_host_open(o->uri, err);
		if (host == NULL)
			return -1;
	}
	rc = make_and_fill(o, in, host, err);
	vmf_host_free(host);
	return rc;
}

/* ---- what it is filled from ------------------------------------------------
 */

static int
open_stream(const struct options *o, struct vmf_in from, struct input *in,
    struct vmf_error *err)
{
	in->r = vmf_reader_open(from, err);
	/* What cannot be read is named by who reads it. */
	if (in->r == NULL && err->class != VMF_IO && err->class != VMF_STOPPED)
		vmf_wrap(err, "%s", o->stream);
	if (in->r == NULL)
		return -1;
	in->geo = *vmf_reader_geometry(in->r);
	return 0;
}

/*
 * Plain bytes have no end mark: with --size, that many and no fewer must come.
 */
static int
open_raw(struct options *o, struct vmf_in from, struct input *in,
    struct vmf_error *err)
{
	static const struct vmf_source_options plain;
	struct stat st;

	if (strcmp(o->stream, "-") != 0 && stat(o->stream, &st) == 0 &&
	    (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)))
		in->src = vmf_source_open(o->stream, &plain, err);
	else
		in->src = vmf_source_stream(from, o->stream, err);
	if (in->src == NULL)
		return -1;
	if (o->size != 0 && vmf_source_set_size(in->src, o->size, err) < 0)
		return -1;
	o->sink.any_size = true;
	o->job.engine.rate = &o->job.rate;
	vmf_source_geometry(in->src, VMF_CHUNK_DEFAULT, &in->geo);
	return 0;
}

static int
run_from(struct options *o, struct vmf_pipe *from, struct vmf_error *err)
{
	struct vmf_rated rated = {.rate = o->job.rate,
	    .progress = o->job.engine.progress,
	    .in = vmf_in_pipe(from)};
	struct input in = {0};
	int rc;

	rc = o->raw ? open_raw(o, vmf_in_pipe(from), &in, err)
		    : open_stream(o, vmf_rated_in(&rated), &in, err);
	if (rc == 0)
		rc = fill_target(o, &in, err);
	vmf_source_free(in.src);
	vmf_reader_free(in.r);
	return rc;
}

static int
run(void *ctx, struct vmf_error *err)
{
	struct options *o = ctx;
	struct vmf_pipe in = {
	    STDIN_FILENO, "standard input", o->job.engine.progress};
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
	rc = run_from(o, &in, err);
	if (in.fd != STDIN_FILENO)
		close(in.fd);
	return rc;
}

int
main(int argc, char *argv[])
{
	struct options o = {0};

	job_start(&o.job, "vmf-restore", usage);
	return job_run(parse(&o, argc, argv), run, &o);
}
