/* job.c - see job.h */
#include <string.h>

#include <vmferry/object.h>
#include <vmferry/units.h>

#include "job.h"

/* Signal handlers reach it as long as the process lives. */
static struct vmf_progress counters;

void
job_start(struct job *job, const char *name, const char *usage)
{
	cli_start(name, usage);
	memset(job, 0, sizeof(*job));
	vmf_engine_defaults(&job->engine);
	job->engine.progress = &counters;
	job->chunk = VMF_CHUNK_DEFAULT;
	job->meter.fd = -2;
}

static int
parse_chunk(struct job *job)
{
	uint64_t n;

	if (cli_size("--chunk", optarg, VMF_CHUNK_MIN, VMF_CHUNK_MAX, &n) < 0)
		return VMF_USAGE;
	if (!vmf_is_power_of_two(n))
		return cli_misuse(
		    "--chunk: '%s' is not a power of two", optarg);
	job->chunk = (uint32_t)n;
	return 0;
}

int
job_option(int opt, struct job *job)
{
	struct vmf_error err;
	uint64_t n;

	switch (opt) {
	case 'j':
		if (cli_number("-j", optarg, 1, VMF_JOBS_MAX, &n) < 0)
			return VMF_USAGE;
		job->engine.jobs = (unsigned)n;
		return 0;
	case 'z':
		if (cli_number("-z", optarg, 0, VMF_LEVEL_MAX, &n) < 0)
			return VMF_USAGE;
		job->engine.level = (int)n;
		return 0;
	case JOB_OPT_BWLIMIT:
		return cli_size("--bwlimit", optarg, 1024, UINT64_MAX / 2,
			   &job->rate.rate) < 0
			   ? VMF_USAGE
			   : 0;
	case JOB_OPT_CHUNK:
		return parse_chunk(job);
	case JOB_OPT_PROGRESS:
		if (cli_parse_progress(optarg, &job->meter, &err) < 0)
			return cli_misuse("%s", err.msg);
		return 0;
	default:
		return cli_common(opt, &job->common) < 0 ? VMF_USAGE : 0;
	}
}

void
job_meter(const struct job *job, const char *verb)
{
	cli_progress_start(
	    job->engine.progress, job->meter, job->common.quiet, verb);
}

int
job_run(int status, int (*run)(void *ctx, struct vmf_error *err), void *ctx)
{
	struct vmf_error err = {0};

	if (status != 0)
		return status;
	cli_signals(&counters);
	return cli_end(run(ctx, &err), &err);
}
