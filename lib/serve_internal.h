/*
 * serve_internal.h - what the files of a move's far end share
 */
#ifndef VMFERRY_SERVE_INTERNAL_H
#define VMFERRY_SERVE_INTERNAL_H

#include <vmferry/host.h>
#include <vmferry/journal.h>
#include <vmferry/place.h>
#include <vmferry/serve.h>

#include "wire.h"

struct serve {
	const struct vmf_serve_options *options;
	struct vmf_wire wire;
	struct vmf_host *host;	     /* opened when first needed */
	struct vmf_journal *journal; /* of the move being received */
};

int vmf_serve_need_host(struct serve *s, struct vmf_error *err);
/* A list of strings as a NULL-terminated array that borrows them. */
const char **vmf_serve_strings(const json_t *array, struct vmf_error *err);
struct vmf_place *
vmf_serve_place(struct serve *s, const struct vmf_package_info *info,
    const json_t *request, struct vmf_error *err);

/* --- serve_placed.c: what this move made, by inode */

/* Note path, which is made (file) or written over, as the present file at
 * real, so that discard removes just that. */
int vmf_serve_note(struct serve *s, const char *path, const char *real,
    bool made, struct vmf_error *err);
/* Is what is at path that very file, and made by this move? */
bool vmf_serve_made(const struct vmf_journal *j, const char *path);
/* Remove all of it; what was written over stays, and is listed in left. */
int vmf_serve_discard(struct serve *s, struct vmf_journal *j, json_t *removed,
    json_t *left, struct vmf_error *err);

/* --- serve_copy.c: the disks; lib/copy.h is the other end */
json_t *
vmf_serve_copy(struct serve *s, const json_t *request, struct vmf_error *err);

#endif
