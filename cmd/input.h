/*
 * input.h - a package or stream as a tool is given it: a file, "-", or a file
 * of another host
 *
 * What it is, is told by its name (.vmf.tar, .vmf.zst) first and by its first
 * bytes then: both are vmferry's own formats, so nothing a guest wrote decides.
 */
#ifndef VMFERRY_INPUT_H
#define VMFERRY_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmferry/error.h>
#include <vmferry/io.h>
#include <vmferry/location.h>
#include <vmferry/transfer.h>

#include "remote.h"

enum cli_kind {
	CLI_UNKNOWN,
	CLI_PACKAGE,
	CLI_STREAM,
};

struct cli_input {
	struct vmf_fd fd; /* name: for messages */
	bool seekable;	  /* a regular file: it can be read twice */
	enum cli_kind kind;
	uint8_t first[512]; /* read to tell the kind */
	size_t first_len, first_used;

	struct vmf_location loc; /* of another host's file */
	struct vmf_download *down;
	struct remote *remote; /* borrowed */
};

/* "-" is standard input, a terminal is refused (VMF_USAGE).  Close it also
 * after a failure. */
int cli_input_open(
    struct cli_input *input, const char *path, struct vmf_error *err);
/*
 * Likewise, or host:path and sftp://host/path (location.h), which is read once
 * and in order, as a pipe is.  remote (its options filled in) and progress are
 * borrowed until it is closed.
 */
int cli_input_open_remote(struct cli_input *input, const char *path,
    struct remote *remote, struct vmf_progress *progress,
    struct vmf_error *err);
/* From its first byte on; once, unless it is rewound. */
struct vmf_in cli_input_in(struct cli_input *input);
int cli_input_rewind(struct cli_input *input, struct vmf_error *err);
void cli_input_close(struct cli_input *input);

/* VMF_INTEGRITY: names what it is instead, and the tool for it. */
int cli_input_unknown(const struct cli_input *input, struct vmf_error *err);

#endif
