/*
 * job.h - what the tools that move bytes share: options, defaults, and main
 *
 * In a tool: JOB_LONG (and JOB_STREAM_LONG, JOB_BWLIMIT_LONG) among its long
 * options, JOB_SHORT (and JOB_STREAM_SHORT) among its letters, and
 *
 *	job_start(&o.job, "vmf-x", usage);
 *	return job_run(parse(&o, argc, argv), run, &o);
 *
 * A process does one job: the counters are one set.
 */
#ifndef VMFERRY_JOB_H
#define VMFERRY_JOB_H

#include <stdint.h>

#include <vmferry/engine.h>

#include "cli.h"

/* Values far from those of the tools, of maps and of other hosts. */
enum {
	JOB_OPT_BWLIMIT = 2048,
	JOB_OPT_CHUNK,
	JOB_OPT_PROGRESS,
};

/* clang-format off */
#define JOB_SHORT CLI_SHORT "j:"
#define JOB_LONG                                                              \
	CLI_LONG,                                                              \
	{"jobs", required_argument, NULL, 'j'},                                \
	{"progress", required_argument, NULL, JOB_OPT_PROGRESS}
#define JOB_BWLIMIT_LONG                                                      \
	{"bwlimit", required_argument, NULL, JOB_OPT_BWLIMIT}
/* Of what makes objects. */
#define JOB_STREAM_SHORT "z:"
#define JOB_STREAM_LONG                                                       \
	{"compress", required_argument, NULL, 'z'},                            \
	{"chunk", required_argument, NULL, JOB_OPT_CHUNK}
/* clang-format on */

struct job {
	struct cli_common common;
	struct vmf_engine_options engine; /* -j, -z; its progress is ours */
	struct vmf_rate rate;		  /* --bwlimit */
	uint32_t chunk;			  /* --chunk, or the default */
	struct cli_progress_mode meter;	  /* --progress */
};

/* cli_start(), and the defaults. */
void job_start(struct job *job, const char *name, const char *usage);
/* An option of ours, or common to all tools: 0, or VMF_USAGE (said). */
int job_option(int opt, struct job *job);

/* From here on progress is shown, until cli_progress_stop(). */
void job_meter(const struct job *job, const char *verb);

/*
 * What is left of main: status when the options were wrong, else that of
 * run(ctx), with signals asking it to stop.
 */
int
job_run(int status, int (*run)(void *ctx, struct vmf_error *err), void *ctx);

#endif
