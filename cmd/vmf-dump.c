/* vmf-dump.c - a disk, partition, volume or image file to an image stream */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vmferry/engine.h>
#include <vmferry/io.h>

#include "cli.h"

static const char usage[] =
    "vmf-dump [-nqv] [-j jobs] [-o file] [-z level] [--chunk size]\n"
    "                [--id id] [--live] [--no-holes] [--progress mode] "
    "source\n";

enum { OPT_CHUNK = CLI_OPT, OPT_ID, OPT_LIVE, OPT_NO_HOLES, OPT_PROGRESS };

static const struct option longs[] = {
    CLI_LONG,
    {"jobs", required_argument, NULL, 'j'},
    {"output", required_argument, NULL, 'o'},
    {"compress", required_argument, NULL, 'z'},
    {"chunk", required_argument, NULL, OPT_CHUNK},
    {"id", required_argument, NULL, OPT_ID},
    {"live", no_argument, NULL, OPT_LIVE},
    {"no-holes", no_argument, NULL, OPT_NO_HOLES},
    {"progress", required_argument, NULL, OPT_PROGRESS},
    {NULL, 0, NULL, 0},
};

struct options {
	struct cli_common common;
	struct cli_progress_mode progress;
	struct vmf_engine_options engine;
	struct vmf_source_options source;
	const char *path;
	const char *output; /* NULL or "-": standard output */
	uint64_t chunk;
	uint8_t id[VMF_ID_LEN];
	bool has_id;
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

static int
parse_chunk(struct options *o, const char *s)
{
	if (cli_size("--chunk", s, VMF_CHUNK_MIN, VMF_CHUNK_MAX, &o->chunk) < 0)
		return VMF_USAGE;
	if (!vmf_is_power_of_two(o->chunk))
		return cli_misuse("--chunk: '%s' is not a power of two", s);
	return 0;
}

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
	case 'o':
		o->output = optarg;
		return 0;
	case 'z':
		if (cli_number("-z", optarg, 0, VMF_LEVEL_MAX, &n) < 0)
			return VMF_USAGE;
		o->engine.level = (int)n;
		return 0;
	case OPT_CHUNK:
		return parse_chunk(o, optarg);
	case OPT_ID:
		return parse_id(o, optarg);
	case OPT_LIVE:
		o->source.live = true;
		return 0;
	case OPT_NO_HOLES:
		o->source.no_holes = true;
		return 0;
	case OPT_PROGRESS:
		if (cli_parse_progress(optarg, &o->progress, &err) < 0)
			return cli_misuse("%s", err.msg);
		return 0;
	default:
		return cli_common(opt, &o->common) < 0 ? VMF_USAGE : 0;
	}
}

static int
parse(struct options *o, int argc, char *argv[])
{
	int opt, status;

	while ((opt = cli_getopt(argc, argv, CLI_SHORT "j:o:z:", longs)) != -1)
		if ((status = parse_option(o, opt)) != 0)
			return status;
	if (argc - optind != 1)
		return cli_misuse(argc == optind ? "no source given"
						 : "more than one source");
	o->path = argv[optind];
	if (o->output != NULL && strcmp(o->output, "-") == 0)
		o->output = NULL;
	return 0;
}

/* Source to out as one whole stream. */
static int
dump(const struct options *o, struct vmf_source *src, struct vmf_out *out,
    struct vmf_totals *totals, struct vmf_error *err)
{
	struct vmf_geometry geo;
	struct vmf_writer *w;
	int rc = -1;

	vmf_source_geometry(src, (uint32_t)o->chunk, &geo);
	w = vmf_writer_new(vmf_carrier_out(out), o->id, 0, &geo, NULL, err);
	if (w == NULL)
		return -1;
	if (vmf_dump(src, w, geo.chunk, &o->engine, err) == 0 &&
	    vmf_writer_end(w, totals, err) == 0)
		rc = 0;
	vmf_writer_free(w);
	return rc;
}

static int
dump_to_file(const struct options *o, struct vmf_source *src,
    struct vmf_totals *totals, struct vmf_error *err)
{
	struct vmf_newfile *nf = vmf_newfile_create(o->output, false, err);
	struct vmf_fd fd;
	struct vmf_out out;
	int rc;

	if (nf == NULL)
		return -1;
	fd = (struct vmf_fd){vmf_newfile_fd(nf), o->output};
	out = vmf_out_fd(&fd);
	rc = dump(o, src, &out, totals, err);
	if (rc == 0)
		rc = vmf_newfile_commit(nf, err);
	vmf_newfile_free(nf);
	return rc;
}

static int
dump_to_stdout(const struct options *o, struct vmf_source *src,
    struct vmf_totals *totals, struct vmf_error *err)
{
	struct vmf_pipe to = {
	    STDOUT_FILENO, "standard output", o->engine.progress};
	struct vmf_out out = vmf_out_pipe(&to);

	return dump(o, src, &out, totals, err);
}

static void
say_totals(const struct options *o, const struct vmf_totals *totals)
{
	char size[VMF_SIZE_TEXT], stored[VMF_SIZE_TEXT], zero[VMF_SIZE_TEXT];
	char root[2 * VMF_SHA_LEN + 1];
	uint64_t zeros = totals->zero_chunks * o->chunk;

	if (o->common.verbose == 0)
		return;
	vmf_hex(totals->root, VMF_SHA_LEN, root);
	cli_say("%s: %s, of which %s zeros; stored in %s; root %s", o->path,
	    vmf_format_size(totals->size, size),
	    vmf_format_size(zeros < totals->size ? zeros : totals->size, zero),
	    vmf_format_size(totals->stored, stored), root);
}

static int
run(struct options *o, struct vmf_error *err)
{
	struct vmf_progress *progress = o->engine.progress;
	struct vmf_totals totals;
	struct vmf_source *src;
	int rc = -1;

	if (o->output == NULL && !o->common.dry_run && cli_data_stdout(err) < 0)
		return -1;
	if (!o->has_id && vmf_id_random(o->id, err) < 0)
		return -1;
	src = strcmp(o->path, "-") == 0
		  ? vmf_source_pipe(STDIN_FILENO, "standard input", err)
		  : vmf_source_open(o->path, &o->source, err);
	if (src == NULL)
		return -1;
	if (o->common.dry_run) {
		vmf_source_free(src);
		return 0;
	}
	if (vmf_source_size(src) != VMF_SIZE_UNKNOWN)
		atomic_store(&progress->total, vmf_source_size(src));
	cli_progress_start(progress, o->progress, o->common.quiet, "dumped");
	rc = o->output == NULL ? dump_to_stdout(o, src, &totals, err)
			       : dump_to_file(o, src, &totals, err);
	cli_progress_stop();
	if (rc == 0)
		say_totals(o, &totals);
	else if (err->class == VMF_STOPPED)
		vmf_wrap(err, "%s", o->path);
	vmf_source_free(src);
	return rc;
}

int
main(int argc, char *argv[])
{
	static struct vmf_progress progress;
	struct options o = {.progress = {-2}, .chunk = VMF_CHUNK_DEFAULT};
	struct vmf_error err = {0};
	int status;

	cli_start("vmf-dump", usage);
	vmf_engine_defaults(&o.engine);
	o.engine.progress = &progress;
	status = parse(&o, argc, argv);
	if (status != 0)
		return status;
	cli_signals(&progress);
	return cli_end(run(&o, &err), &err);
}
