/*
 * extract.h - single members out of a package
 *
 * A package in a file is verified whole before a byte of it is given; on a
 * pipe what was written to standard output counts only when the tool ends
 * with 0.
 */
#ifndef VMFERRY_EXTRACT_H
#define VMFERRY_EXTRACT_H

#include <vmferry/engine.h>
#include <vmferry/package.h>

#include "input.h"

/* A line on stdout for each file and disk: name, size, where it came from. */
int cli_list(struct cli_input *input,
    const struct vmf_package_reader_options *ropts, struct vmf_error *err);

/*
 * domain.xml, a file (nvram/VARS.fd), or a disk's stream (disks/vda) to output
 * (NULL: stdout).  VMF_REFUSED: there is none of that name.
 */
int cli_extract(struct cli_input *input,
    const struct vmf_package_reader_options *ropts,
    const struct vmf_engine_options *engine, const char *member,
    const char *output, struct vmf_error *err);

#endif
