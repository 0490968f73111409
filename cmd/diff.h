/* diff.h - a unified diff of two texts, for people and patch(1) */
#ifndef VMFERRY_DIFF_H
#define VMFERRY_DIFF_H

#include <stdbool.h>

#include <vmferry/error.h>

/*
 * Print on stdout what turns the text a into b, with three lines of context;
 * nothing when they are equal.  The names head it.  VMF_IO: no memory.
 */
int cli_diff(const char *a, const char *b, const char *name_a,
    const char *name_b, bool colour, struct vmf_error *err);

#endif
