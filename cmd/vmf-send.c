/* vmf-send.c - standard input or a file to another host, by SFTP */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vmferry/payload.h>
#include <vmferry/transfer.h>

#include "job.h"
#include "remote.h"

static const char usage[] =
    "vmf-send [-nqv] [-i keyfile] [-j jobs] [-z level] [--accept-new]\n"
    "                [--as-is] [--bwlimit rate] [--discard-part] "
    "[--overwrite]\n"
    "                [--progress mode] [--sessions n] [--timeout seconds]\n"
    "                [file] target\n";

enum {
	OPT_AS_IS = CLI_OPT,
	OPT_DISCARD_PART,
	OPT_OVERWRITE,
	OPT_SESSIONS,
};

static const struct option longs[] = {
    JOB_LONG,
    JOB_BWLIMIT_LONG,
    REMOTE_LONG,
    {"compress", required_argument, NULL, 'z'},
    {"as-is", no_argument, NULL, OPT_AS_IS},
    {"discard-part", no_argument, NULL, OPT_DISCARD_PART},
    {"overwrite", no_argument, NULL, OPT_OVERWRITE},
    {"sessions", required_argument, NULL, OPT_SESSIONS},
    {NULL, 0, NULL, 0},
};

struct options {
	struct job job;
	struct remote remote;
	struct vmf_transfer_options transfer;
	const char *file;
	struct vmf_location target;
	enum vmf_payload payload;
	bool as_is;
	bool compress;
};

static int
parse_option(struct options *o, int opt)
{
	uint64_t n;
	int rc;

	switch (opt) {
	case 'z':
		o->compress = true;
		return job_option(opt, &o->job);
	case OPT_AS_IS:
		o->as_is = true;
		return 0;
	case OPT_DISCARD_PART:
		o->transfer.discard_part = true;
		return 0;
	case OPT_OVERWRITE:
		o->transfer.overwrite = true;
		return 0;
	case OPT_SESSIONS:
		if (cli_number("--sessions", optarg, 1, VMF_SESSIONS_MAX, &n) <
		    0)
			return VMF_USAGE;
		o->transfer.sessions = (unsigned)n;
		return 0;
	default:
		rc = remote_option(opt, optarg, &o->remote);
		return rc >= 0 ? rc : job_option(opt, &o->job);
	}
}

/* What the bytes are, by the names alone. */
static int
decide_payload(struct options *o)
{
	enum vmf_payload from = vmf_payload_of(o->file);

	o->payload = vmf_payload_of(o->target.path);
	if (o->compress) {
		if (o->as_is)
			return cli_misuse("-z and --as-is exclude each other");
		if (from != VMF_PAYLOAD_BYTES)
			return cli_misuse(
			    "%s: is compressed already; leave out -z", o->file);
		if (o->payload != VMF_PAYLOAD_STREAM)
			return cli_misuse("%s: -z makes a stream; let its name "
					  "end in .vmf.zst",
			    o->target.text);
		return 0;
	}
	if (o->as_is) {
		o->payload = VMF_PAYLOAD_BYTES;
		return 0;
	}
	if (o->payload == VMF_PAYLOAD_BYTES)
		o->payload = from;
	else if (from != VMF_PAYLOAD_BYTES && from != o->payload)
		return cli_misuse("%s and %s name different kinds of file; "
				  "--as-is sends the bytes unchecked",
		    o->file, o->target.text);
	return 0;
}

static int
parse(struct options *o, int argc, char *argv[])
{
	struct vmf_error err;
	int opt, status;

	while ((opt = cli_getopt(
		    argc, argv, JOB_SHORT REMOTE_SHORT "z:", longs)) != -1)
		if ((status = parse_option(o, opt)) != 0)
			return status;
	if (argc - optind < 1)
		return cli_misuse("no target given");
	if (argc - optind > 2)
		return cli_misuse("more than a file and a target");
	o->file = argc - optind == 2 ? argv[optind] : "-";
	o->transfer.bwlimit = o->job.rate.rate;
	if (vmf_location_parse(argv[argc - 1], &o->target, &err) < 0)
		return cli_misuse("%s", err.msg);
	if (o->target.kind != VMF_LOCATION_REMOTE)
		return cli_misuse("%s: not at another host; name it "
				  "HOST:PATH or sftp://HOST/PATH",
		    argv[argc - 1]);
	return decide_payload(o);
}

/* --- where the bytes come from */

struct input {
	struct vmf_source *src;
	uint64_t off;
	struct vmf_upload *up;
	struct vmf_progress *progress;
};

static int
file_read(void *ctx, void *buf, size_t len, size_t *got, struct vmf_error *err)
{
	struct input *input = ctx;
	uint64_t size = vmf_source_size(input->src);

	if (len > size - input->off)
		len = (size_t)(size - input->off);
	*got = len;
	if (len > 0 &&
	    vmf_source_read(input->src, buf, len, input->off, got, err) < 0)
		return -1;
	input->off += *got;
	return 0;
}

/*
 * A pipe may be silent for hours.  Meanwhile the far side may be lost, or we
 * be asked to stop: neither should have to wait for the next byte.
 */
static int
pipe_ready(struct input *input, struct vmf_error *err)
{
	struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};

	for (;;) {
		if (vmf_progress_check(input->progress, err) < 0 ||
		    vmf_upload_poll(input->up, err) < 0)
			return -1;
		if (poll(&p, 1, 250) > 0)
			return 0;
	}
}

static int
pipe_read(void *ctx, void *buf, size_t len, size_t *got, struct vmf_error *err)
{
	uint8_t *p = buf;
	ssize_t n = 1;

	*got = 0;
	while (*got < len && n > 0) {
		if (pipe_ready(ctx, err) < 0)
			return -1;
		n = read(STDIN_FILENO, p + *got, len - *got);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return vmf_fail_errno(err, VMF_IO, "standard input");
		if (n > 0)
			*got += (size_t)n;
		else if (n < 0)
			n = 1;
	}
	return 0;
}

static struct vmf_source *
open_input(const struct options *o, struct vmf_error *err)
{
	static const struct vmf_source_options plain = {0};

	if (strcmp(o->file, "-") == 0)
		return vmf_source_pipe(STDIN_FILENO, "standard input", err);
	return vmf_source_open(o->file, &plain, err);
}

static int
send_compressed(const struct options *o, struct vmf_source *src,
    struct vmf_out out, struct vmf_error *err)
{
	struct vmf_engine_options engine = o->job.engine;
	uint8_t id[VMF_ID_LEN];
	struct vmf_geometry geo;
	struct vmf_writer *w;
	int rc = -1;

	engine.progress = NULL; /* the transfer counts */
	if (vmf_id_random(id, err) < 0)
		return -1;
	vmf_source_geometry(src, VMF_CHUNK_DEFAULT, &geo);
	w = vmf_writer_new(vmf_carrier_out(&out), id, 0, &geo, NULL, err);
	if (w != NULL && vmf_dump(src, w, geo.chunk, &engine, err) == 0)
		rc = vmf_writer_end(w, NULL, err);
	vmf_writer_free(w);
	return rc;
}

static int
send_all(const struct options *o, struct vmf_source *src, struct vmf_upload *up,
    struct vmf_error *err)
{
	struct vmf_out out = vmf_upload_out(up);
	bool piped = strcmp(o->file, "-") == 0;
	struct input input = {
	    .src = src, .up = up, .progress = o->transfer.progress};
	struct vmf_in in = {
	    .read = piped ? pipe_read : file_read, .ctx = &input};

	if (o->compress)
		return send_compressed(o, src, out, err);
	if (vmf_payload_copy(o->payload, in, out, &o->job.engine,
		o->transfer.progress, err) < 0)
		return -1;
	return vmf_source_unchanged(src, err);
}

static void
say_result(const struct options *o, const struct vmf_transfer_result *result)
{
	char size[VMF_SIZE_TEXT];

	if (!result->durable && !o->job.common.quiet)
		cli_say("%s: durability unconfirmed: the server cannot sync "
			"files",
		    o->target.text);
	if (o->job.common.verbose > 0)
		cli_say("%s: %s sent over %u %s", o->target.text,
		    vmf_format_size(result->bytes, size), result->sessions,
		    result->sessions == 1 ? "session" : "sessions");
}

static int
transfer(struct options *o, struct vmf_source *src, struct vmf_error *err)
{
	/* Compressed it is shorter, nobody knows by how much. */
	uint64_t size = o->compress ? VMF_SIZE_UNKNOWN : vmf_source_size(src);
	struct vmf_progress *progress = o->transfer.progress;
	struct vmf_transfer_result result;
	struct vmf_upload *up;
	int rc = -1;

	if (o->job.common.dry_run)
		return vmf_upload_check(
		    &o->transfer, o->target.path, size, err);
	up = vmf_upload_open(&o->transfer, o->target.path, size, err);
	if (up == NULL)
		return -1;
	if (size != VMF_SIZE_UNKNOWN)
		atomic_store(&progress->total, size);
	job_meter(&o->job, "sent");
	if (send_all(o, src, up, err) == 0)
		rc = vmf_upload_commit(up, &result, err);
	cli_progress_stop();
	vmf_upload_free(up);
	if (rc == 0)
		say_result(o, &result);
	return rc;
}

static int
run(void *ctx, struct vmf_error *err)
{
	struct options *o = ctx;
	struct vmf_source *src = open_input(o, err);
	int rc = -1;

	if (src == NULL)
		return -1;
	if (remote_resolve(&o->remote, &o->target, o->transfer.progress, err) ==
	    0) {
		o->transfer.ssh = &o->remote.ssh;
		rc = transfer(o, src, err);
	}
	vmf_source_free(src);
	remote_clear(&o->remote);
	return rc;
}

int
main(int argc, char *argv[])
{
	struct options o = {0};
	int status;

	job_start(&o.job, "vmf-send", usage);
	o.transfer.progress = o.job.engine.progress;
	status = job_run(parse(&o, argc, argv), run, &o);
	vmf_location_clear(&o.target);
	return status;
}
