/*
 * cli.h - what all tools share: usage, options, the one message printer,
 * signals and progress
 *
 * A main goes: cli_start(), options, library calls, `return cli_end(rc, &err)`.
 * stdout is data, stderr is talk.  Nothing here is thread-safe except where
 * said.
 */
#ifndef VMFERRY_CLI_H
#define VMFERRY_CLI_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

#include <vmferry/error.h>
#include <vmferry/progress.h>

/* The letters and long options that mean the same in every tool. */
#define CLI_SHORT "hVvqn"
#define CLI_LONG                                                               \
	{"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'}, \
	    {"verbose", no_argument, NULL, 'v'},                               \
	    {"quiet", no_argument, NULL, 'q'},                                 \
	{                                                                      \
		"dry-run", no_argument, NULL, 'n'                              \
	}
/* Options without a letter take values from here. */
#define CLI_OPT 256

struct cli_common {
	int verbose;  /* -v, counted */
	bool quiet;   /* -q */
	bool dry_run; /* -n */
};

/*
 * Remember the program's name and its usage (the man page's SYNOPSIS, one
 * line for each form), switch core dumps off and take the C locale.
 */
void cli_start(const char *name, const char *usage);

/* Options common to all tools; -1: not one of them.  -h and -V do not return.
 */
int cli_common(int opt, struct cli_common *common);

/*
 * The next option as getopt_long() gives it, -1 at the end; '?' after it said
 * in one line what is wrong (then return 2).
 */
int cli_getopt(
    int argc, char *argv[], const char *letters, const struct option *longs);

/* "NAME: text" as one line on stderr, control characters shown as '?'. */
void cli_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Text from a file on stdout, its control characters shown as '?'. */
void cli_put(const char *text);
/* As cli_say(), then "; see NAME --help"; returns VMF_USAGE. */
int cli_misuse(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * The exit status: 0 when rc is 0 and stdout closes well; else one line with
 * err's message, and its class (or 128 + the signal that asked to stop).
 */
int cli_end(int rc, struct vmf_error *err);

/* Refuses (VMF_USAGE) to write data to a terminal on stdout. */
int cli_data_stdout(struct vmf_error *err);

/*
 * INT, TERM and HUP set progress->stop (another, later, ends at once); USR1 has
 * the progress printed; PIPE is ignored, so that a write fails instead.
 */
void cli_signals(struct vmf_progress *progress);
/* The signal that asked to stop, or 0. */
int cli_signal(void);

/*
 * --progress auto|never|FD: print a line about progress once a second, on a
 * terminal (auto) or to a descriptor.  verb is "dumping", "restoring", ...
 * Runs in a thread of its own until cli_progress_stop().
 */
struct cli_progress_mode {
	int fd; /* -1: never, -2: auto */
};
int cli_parse_progress(
    const char *s, struct cli_progress_mode *mode, struct vmf_error *err);
void cli_progress_start(struct vmf_progress *progress,
    struct cli_progress_mode mode, bool quiet, const char *verb);
void cli_progress_stop(void);

/* Strict option values; on failure one line is said and -1 returned. */
int cli_size(
    const char *option, const char *s, uint64_t min, uint64_t max, uint64_t *v);
int cli_number(
    const char *option, const char *s, uint64_t min, uint64_t max, uint64_t *v);
/* --format raw|qcow2: an enum vmf_format. */
int cli_format(const char *s, uint32_t *format);

#endif
