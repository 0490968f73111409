/* vmf-dump.c - a disk, partition, volume or image file to an image stream */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vmferry/engine.h>
#include <vmferry/io.h>
#include <vmferry/origin.h>
#include <vmferry/rate.h>

#include "job.h"
#include "skip.h"

static const char usage[] =
    "vmf-dump [-nqv] [-j jobs] [-o file] [-z level] [--bwlimit rate]\n"
    "                [--chunk size] [--flat] [--flatten] [--format format]\n"
    "                [--id id] [--length size] [--live] [--no-holes]\n"
    "                [--offset size] [--partition number] [--progress mode]\n"
    "                [--raw] [--rescue mapfile] [--skip map] [--skip-free]\n"
    "                [--snapshot] [--snapshot-size size] source\n";

enum {
	OPT_FLAT = CLI_OPT,
	OPT_FLATTEN,
	OPT_FORMAT,
	OPT_ID,
	OPT_LENGTH,
	OPT_LIVE,
	OPT_NO_HOLES,
	OPT_OFFSET,
	OPT_PARTITION,
	OPT_RAW,
	OPT_RESCUE,
	OPT_SKIP,
	OPT_SKIP_FREE,
	OPT_SNAPSHOT,
	OPT_SNAPSHOT_SIZE,
};

static const struct option longs[] = {
    JOB_LONG,
    JOB_BWLIMIT_LONG,
    JOB_STREAM_LONG,
    {"output", required_argument, NULL, 'o'},
    {"flat", no_argument, NULL, OPT_FLAT},
    {"flatten", no_argument, NULL, OPT_FLATTEN},
    {"format", required_argument, NULL, OPT_FORMAT},
    {"id", required_argument, NULL, OPT_ID},
    {"length", required_argument, NULL, OPT_LENGTH},
    {"live", no_argument, NULL, OPT_LIVE},
    {"no-holes", no_argument, NULL, OPT_NO_HOLES},
    {"offset", required_argument, NULL, OPT_OFFSET},
    {"partition", required_argument, NULL, OPT_PARTITION},
    {"raw", no_argument, NULL, OPT_RAW},
    {"rescue", required_argument, NULL, OPT_RESCUE},
    {"skip", required_argument, NULL, OPT_SKIP},
    {"skip-free", no_argument, NULL, OPT_SKIP_FREE},
    {"snapshot", no_argument, NULL, OPT_SNAPSHOT},
    {"snapshot-size", required_argument, NULL, OPT_SNAPSHOT_SIZE},
    {NULL, 0, NULL, 0},
};

struct options {
	struct job job;
	struct vmf_origin_options origin;
	const char *path;
	const char *output; /* NULL: standard output */
	uint8_t id[VMF_ID_LEN];
	const char *map; /* --skip; NULL: none given */
	bool has_id;
	bool raw;
	bool skip_free;
};

static int
parse_id(struct options *o, const char *s)
{
	struct vmf_error err;

	if (vmf_parse_id(s, o->id, &err) < 0)
		return cli_misuse("--id: %s", err.msg);
	o->has_id = true;
	return 0;
}

/* Which part of the source, and how it is read. */
static int
parse_source_option(struct options *o, int opt)
{
	struct vmf_source_options *source = &o->origin.source;
	uint64_t n;

	switch (opt) {
	case OPT_FLATTEN:
		o->origin.flatten = true;
		return 0;
	case OPT_FORMAT:
		return cli_format(optarg, &o->origin.format) < 0 ? VMF_USAGE
								 : 0;
	case OPT_LENGTH:
		return cli_size("--length", optarg, 1, VMF_IMAGE_MAX,
			   &source->len) < 0
			   ? VMF_USAGE
			   : 0;
	case OPT_LIVE:
		source->live = true;
		return 0;
	case OPT_NO_HOLES:
		source->no_holes = true;
		return 0;
	case OPT_OFFSET:
		return cli_size("--offset", optarg, 0, VMF_IMAGE_MAX,
			   &source->off) < 0
			   ? VMF_USAGE
			   : 0;
	case OPT_PARTITION:
		if (cli_number("--partition", optarg, 1, 65535, &n) < 0)
			return VMF_USAGE;
		source->partition = (unsigned)n;
		return 0;
	case OPT_RESCUE:
		o->origin.rescue = optarg;
		return 0;
	case OPT_SNAPSHOT:
		o->origin.snapshot = true;
		return 0;
	case OPT_SNAPSHOT_SIZE:
		o->origin.snapshot = true;
		return cli_size("--snapshot-size", optarg, 1, VMF_IMAGE_MAX,
			   &o->origin.snapshot_size) < 0
			   ? VMF_USAGE
			   : 0;
	default:
		return job_option(opt, &o->job);
	}
}

static int
parse_option(struct options *o, int opt)
{
	switch (opt) {
	case 'o':
		o->output = optarg;
		return 0;
	case OPT_FLAT:
		o->job.engine.flat = true;
		return 0;
	case OPT_ID:
		return parse_id(o, optarg);
	case OPT_RAW:
		o->raw = true;
		return 0;
	case OPT_SKIP:
		o->map = optarg;
		return 0;
	case OPT_SKIP_FREE:
		o->skip_free = true;
		return 0;
	default:
		return parse_source_option(o, opt);
	}
}

static int
check_options(const struct options *o)
{
	const struct vmf_source_options *source = &o->origin.source;
	bool part =
	    source->off != 0 || source->len != 0 || source->partition != 0;

	if (source->partition != 0 && (source->off != 0 || source->len != 0))
		return cli_misuse(
		    "--partition says offset and length by itself");
	if (o->origin.flatten && o->origin.format != VMF_QCOW2)
		return cli_misuse("--flatten is for --format qcow2; it is "
				  "never guessed");
	if (o->origin.format == VMF_QCOW2 && !o->origin.flatten && part)
		return cli_misuse("a part of a qcow2 file is none; add "
				  "--flatten");
	if (o->origin.rescue != NULL && strcmp(o->path, "-") == 0)
		return cli_misuse("--rescue is for a disk, not for a pipe");
	if (o->origin.snapshot && strcmp(o->path, "-") == 0)
		return cli_misuse("--snapshot is for a logical volume");
	if (part && strcmp(o->path, "-") == 0)
		return cli_misuse("standard input is read whole; cut it "
				  "before");
	if (!o->skip_free && o->map == NULL)
		return 0;
	if (o->skip_free && o->map != NULL)
		return cli_misuse("--skip and --skip-free exclude each other");
	if (source->live || o->origin.snapshot || strcmp(o->path, "-") == 0)
		return cli_misuse("--skip and --skip-free are for a disk that "
				  "nothing writes to");
	return 0;
}

static int
parse(struct options *o, int argc, char *argv[])
{
	int opt, status;

	while ((opt = cli_getopt(argc, argv, JOB_SHORT "o:z:", longs)) != -1)
		if ((status = parse_option(o, opt)) != 0)
			return status;
	if (argc - optind != 1)
		return cli_misuse(argc == optind ? "no source given"
						 : "more than one source");
	o->path = argv[optind];
	if (o->output != NULL && strcmp(o->output, "-") == 0)
		o->output = NULL;
	return check_options(o);
}

/* What is read: a disk, or standard input. */
struct input {
	struct vmf_origin *origin;
	struct vmf_source *src;
	struct skip *skip; /* NULL: nothing is skipped */
	struct vmf_pipe pipe;
	bool is_pipe;
};

static int
open_input(const struct options *o, struct input *in, struct vmf_error *err)
{
	if (strcmp(o->path, "-") == 0) {
		in->is_pipe = true;
		in->pipe = (struct vmf_pipe){
		    STDIN_FILENO, "standard input", o->job.engine.progress};
		in->src = vmf_source_stream(
		    vmf_in_pipe(&in->pipe), in->pipe.name, err);
		return in->src == NULL ? -1 : 0;
	}
	in->origin = vmf_origin_open(o->path, &o->origin, err);
	if (in->origin == NULL)
		return -1;
	in->src = vmf_origin_source(in->origin);
	if (o->map == NULL && !o->skip_free)
		return 0;
	in->skip =
	    skip_open(o->map, o->path, in->src, o->job.engine.progress, err);
	return in->skip == NULL ? -1 : 0;
}

static void
close_input(struct input *in)
{
	if (in->is_pipe)
		vmf_source_free(in->src);
	vmf_origin_free(in->origin);
	skip_free(in->skip);
}

static int
finish_input(struct input *in, struct vmf_error *err)
{
	if (in->skip != NULL && skip_finish(in->skip, err) < 0)
		return -1;
	return in->origin == NULL ? 0 : vmf_origin_finish(in->origin, err);
}

/* Source to out as one whole stream; without finish it has no end. */
static int
dump(const struct options *o, struct input *in, struct vmf_out out,
    struct vmf_totals *totals, struct vmf_error *err)
{
	struct vmf_rated rated = {.rate = o->job.rate,
	    .progress = o->job.engine.progress,
	    .out = out};
	struct vmf_out limited = vmf_rated_out(&rated);
	const struct vmf_extent *bad = NULL;
	struct vmf_geometry geo;
	struct vmf_writer *w;
	uint32_t nbad = 0;
	int rc = -1;

	if (o->raw) {
		if (vmf_copy(in->src, NULL, &limited, NULL, o->job.chunk,
			&o->job.engine, totals, err) < 0)
			return -1;
		return finish_input(in, err);
	}
	vmf_source_geometry(in->src, o->job.chunk, &geo);
	if (o->job.engine.flat)
		geo.features |= VMF_FEATURE_FLAT;
	w = vmf_writer_new(
	    vmf_carrier_out(&limited), o->id, 0, &geo, NULL, err);
	if (w == NULL)
		return -1;
	if (vmf_dump(in->src, w, geo.chunk, &o->job.engine, err) == 0 &&
	    finish_input(in, err) == 0) {
		if (in->origin != NULL)
			bad = vmf_origin_bad(in->origin, &nbad);
		vmf_writer_set_bad(w, bad, nbad);
		rc = vmf_writer_end(w, totals, err);
	}
	vmf_writer_free(w);
	return rc;
}

static int
dump_to_file(const struct options *o, struct input *in,
    struct vmf_totals *totals, struct vmf_error *err)
{
	struct vmf_newfile *nf = vmf_newfile_create(o->output, false, err);
	struct vmf_fd fd;
	int rc;

	if (nf == NULL)
		return -1;
	fd = (struct vmf_fd){vmf_newfile_fd(nf), o->output};
	rc = dump(o, in, vmf_out_fd(&fd), totals, err);
	if (rc == 0)
		rc = vmf_newfile_commit(nf, err);
	vmf_newfile_free(nf);
	return rc;
}

/* Plain bytes into a new file: its holes stay holes. */
static int
copy_to_file(struct options *o, struct input *in, struct vmf_totals *totals,
    struct vmf_error *err)
{
	static const struct vmf_sink_options new_file;
	struct vmf_geometry geo;
	struct vmf_sink *sink;
	int rc = -1;

	vmf_source_geometry(in->src, o->job.chunk, &geo);
	sink = vmf_sink_open(o->output, &geo, &new_file, err);
	if (sink == NULL)
		return -1;
	o->job.engine.rate = &o->job.rate;
	if (vmf_sink_is_device(sink))
		vmf_fail(err, VMF_REFUSED,
		    "%s: is a device; vmf-restore --raw writes to it",
		    o->output);
	else if (vmf_sink_begin(sink, err) == 0 &&
		 vmf_copy(in->src, sink, NULL, NULL, geo.chunk, &o->job.engine,
		     totals, err) == 0 &&
		 finish_input(in, err) == 0)
		rc = vmf_sink_commit(sink, totals->size, false, err);
	vmf_sink_free(sink);
	return rc;
}

static int
dump_to_stdout(const struct options *o, struct input *in,
    struct vmf_totals *totals, struct vmf_error *err)
{
	struct vmf_pipe to = {
	    STDOUT_FILENO, "standard output", o->job.engine.progress};

	return dump(o, in, vmf_out_pipe(&to), totals, err);
}

static void
say_bad(const struct options *o, const struct input *in)
{
	const struct vmf_extent *bad;
	uint64_t sum = 0;
	uint32_t i, n = 0;

	if (in->origin == NULL)
		return;
	bad = vmf_origin_bad(in->origin, &n);
	for (i = 0; i < n; i++)
		sum += bad[i].len;
	if (n > 0)
		cli_say("%s: degraded: %" PRIu64 " bytes in %" PRIu32
			" places could not be read and are zeros; %s lists "
			"them",
		    o->path, sum, n, o->origin.rescue);
}

static void
say_totals(const struct options *o, const struct vmf_totals *totals)
{
	char size[VMF_SIZE_TEXT], stored[VMF_SIZE_TEXT], zero[VMF_SIZE_TEXT];
	char root[2 * VMF_SHA_LEN + 1], flat[2 * VMF_SHA_LEN + 1];
	uint64_t zeros = totals->zero_chunks * o->job.chunk;

	if (o->job.common.verbose == 0)
		return;
	vmf_hex(totals->root, VMF_SHA_LEN, root);
	vmf_hex(totals->flat, VMF_SHA_LEN, flat);
	vmf_format_size(totals->size, size);
	vmf_format_size(totals->stored, stored);
	vmf_format_size(zeros < totals->size ? zeros : totals->size, zero);
	cli_say("%s: %s, of which %s zeros%s%s%s%s%s%s", o->path, size, zero,
	    o->raw ? "" : "; stored in ", o->raw ? "" : stored,
	    o->raw ? "" : "; root ", o->raw ? "" : root,
	    o->job.engine.flat ? "; SHA-256 " : "",
	    o->job.engine.flat ? flat : "");
}

static int
run_dump(struct options *o, struct input *in, struct vmf_error *err)
{
	struct vmf_progress *progress = o->job.engine.progress;
	struct vmf_totals totals;
	int rc;

	if (vmf_source_size(in->src) != VMF_SIZE_UNKNOWN)
		atomic_store(&progress->total, vmf_source_size(in->src));
	job_meter(&o->job, "dumped");
	if (o->output == NULL)
		rc = dump_to_stdout(o, in, &totals, err);
	else if (o->raw)
		rc = copy_to_file(o, in, &totals, err);
	else
		rc = dump_to_file(o, in, &totals, err);
	cli_progress_stop();
	if (rc < 0 && in->origin != NULL)
		vmf_origin_explain(in->origin, err);
	if (rc == 0)
		say_bad(o, in);
	if (rc == 0)
		say_totals(o, &totals);
	else if (err->class == VMF_STOPPED)
		vmf_wrap(err, "%s", o->path);
	return rc;
}

static int
run(void *ctx, struct vmf_error *err)
{
	struct options *o = ctx;
	struct input in = {0};
	int rc = 0;

	if (o->output == NULL && !o->job.common.dry_run &&
	    cli_data_stdout(err) < 0)
		return -1;
	if (!o->has_id && vmf_id_random(o->id, err) < 0)
		return -1;
	if (open_input(o, &in, err) < 0) {
		close_input(&in);
		return -1;
	}
	if (in.origin != NULL && vmf_origin_note(in.origin) != NULL &&
	    !o->job.common.quiet)
		cli_say("%s", vmf_origin_note(in.origin));
	if (!o->job.common.dry_run)
		rc = run_dump(o, &in, err);
	close_input(&in);
	return rc;
}

int
main(int argc, char *argv[])
{
	struct options o = {0};

	job_start(&o.job, "vmf-dump", usage);
	o.origin.progress = o.job.engine.progress;
	return job_run(parse(&o, argc, argv), run, &o);
}
