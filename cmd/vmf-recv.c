/* vmf-recv.c - a file from another host, by SFTP, to standard output or a file
 */
#include <errno.h>
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
    "vmf-recv [-nqv] [-i keyfile] [-j jobs] [--accept-new] [--as-is]\n"
    "                [--bwlimit rate] [--overwrite] [--progress mode]\n"
    "                [--sessions n] [--timeout seconds] source [file]\n";

enum {
	OPT_AS_IS = CLI_OPT,
	OPT_OVERWRITE,
	OPT_SESSIONS,
};

static const struct option longs[] = {
    JOB_LONG,
    JOB_BWLIMIT_LONG,
    REMOTE_LONG,
    {"as-is", no_argument, NULL, OPT_AS_IS},
    {"overwrite", no_argument, NULL, OPT_OVERWRITE},
    {"sessions", required_argument, NULL, OPT_SESSIONS},
    {NULL, 0, NULL, 0},
};

struct options {
	struct job job;
	struct remote remote;
	struct vmf_transfer_options transfer;
	struct vmf_location source;
	const char *file; /* NULL: standard output */
	enum vmf_payload payload;
	bool as_is;
};

static int
parse_option(struct options *o, int opt)
{
	uint64_t n;
	int rc;

	switch (opt) {
	case OPT_AS_IS:
		o->as_is = true;
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
	enum vmf_payload to = VMF_PAYLOAD_BYTES;

	if (o->as_is)
		return 0;
	if (o->file != NULL)
		to = vmf_payload_of(o->file);
	o->payload = vmf_payload_of(o->source.path);
	if (o->payload == VMF_PAYLOAD_BYTES)
		o->payload = to;
	else if (to != VMF_PAYLOAD_BYTES && to != o->payload)
		return cli_misuse("%s and %s name different kinds of file; "
				  "--as-is takes the bytes unchecked",
		    o->source.text, o->file);
	return 0;
}

static int
parse(struct options *o, int argc, char *argv[])
{
	struct vmf_error err;
	int opt, status;

	while (
	    (opt = cli_getopt(argc, argv, JOB_SHORT REMOTE_SHORT, longs)) != -1)
		if ((status = parse_option(o, opt)) != 0)
			return status;
	if (argc - optind < 1)
		return cli_misuse("no source given");
	if (argc - optind > 2)
		return cli_misuse("more than a source and a file");
	o->transfer.bwlimit = o->job.rate.rate;
	if (vmf_location_parse(argv[optind], &o->source, &err) < 0)
		return cli_misuse("%s", err.msg);
	if (o->source.kind != VMF_LOCATION_REMOTE)
		return cli_misuse("%s: not at another host; name it "
				  "HOST:PATH or sftp://HOST/PATH",
		    argv[optind]);
	if (argc - optind == 2 && strcmp(argv[optind + 1], "-") != 0)
		o->file = argv[optind + 1];
	return decide_payload(o);
}

/* --- where the bytes go */

static int
receive(const struct options *o, struct vmf_download *down, int fd,
    const char *name, struct vmf_error *err)
{
	struct vmf_fd to = {fd, name};

	return vmf_payload_copy(o->payload, vmf_download_in(down),
	    vmf_out_fd(&to), &o->job.engine, o->transfer.progress, err);
}

static int
receive_file(
    const struct options *o, struct vmf_download *down, struct vmf_error *err)
{
	struct vmf_newfile *nf;
	int rc = -1;

	nf = vmf_newfile_create(o->file, o->transfer.overwrite, err);
	if (nf == NULL)
		return -1;
	if (receive(o, down, vmf_newfile_fd(nf), o->file, err) == 0)
		rc = vmf_newfile_commit(nf, err);
	vmf_newfile_free(nf);
	return rc;
}

/* Refused before anything is fetched, and said better than later. */
static int
check_file(const struct options *o, struct vmf_error *err)
{
	struct stat st;

	if (o->file == NULL)
		return o->job.common.dry_run ? 0 : cli_data_stdout(err);
	if (lstat(o->file, &st) < 0)
		return errno == ENOENT
			   ? 0
			   : vmf_fail_errno(err, VMF_IO, "%s", o->file);
	if (S_ISDIR(st.st_mode))
		return vmf_fail(err, VMF_REFUSED,
		    "%s: is a directory; add the file's name", o->file);
	if (!S_ISREG(st.st_mode))
		return vmf_fail(err, VMF_REFUSED,
		    "%s: is not a regular file; pipe a stream into "
		    "vmf-restore to write a disk",
		    o->file);
	if (!o->transfer.overwrite)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: exists already; choose another name or --overwrite it",
		    o->file);
	return 0;
}

static void
say_result(const struct options *o, const struct vmf_download *down)
{
	struct vmf_transfer_result result;
	char size[VMF_SIZE_TEXT];

	if (o->job.common.verbose == 0)
		return;
	vmf_download_result(down, &result);
	cli_say("%s: %s received over %u %s", o->source.text,
	    vmf_format_size(result.bytes, size), result.sessions,
	    result.sessions == 1 ? "session" : "sessions");
}

static int
transfer(struct options *o, struct vmf_error *err)
{
	struct vmf_progress *progress = o->transfer.progress;
	struct vmf_download *down;
	int rc;

	down = vmf_download_open(&o->transfer, o->source.path, err);
	if (down == NULL)
		return -1;
	if (o->job.common.dry_run) {
		vmf_download_free(down);
		return 0;
	}
	atomic_store(&progress->total, vmf_download_size(down));
	job_meter(&o->job, "received");
	rc = o->file != NULL
		 ? receive_file(o, down, err)
		 : receive(o, down, STDOUT_FILENO, "standard output", err);
	cli_progress_stop();
	if (rc == 0)
		say_result(o, down);
	vmf_download_free(down);
	return rc;
}

static int
run(void *ctx, struct vmf_error *err)
{
	struct options *o = ctx;
	int rc = -1;

	if (check_file(o, err) < 0)
		return -1;
	if (remote_resolve(&o->remote, &o->source, o->transfer.progress, err) ==
	    0) {
		o->transfer.ssh = &o->remote.ssh;
		rc = transfer(o, err);
	}
	remote_clear(&o->remote);
	return rc;
}

int
main(int argc, char *argv[])
{
	struct options o = {0};
	int status;

	job_start(&o.job, "vmf-recv", usage);
	o.transfer.progress = o.job.engine.progress;
	status = job_run(parse(&o, argc, argv), run, &o);
	vmf_location_clear(&o.source);
	return status;
}
