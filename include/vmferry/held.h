/*
 * held.h - the mark of a domain that must not run on this host
 *
 * A root-owned file DIR/UUID whose first line is the reason.  A libvirt hook
 * (contrib/hooks/vmferry, installed as qemu.d/vmferry) reads it at every
 * start, restore and incoming migration and refuses with that reason.
 *
 * Thread rule: any thread.
 */
#ifndef VMFERRY_HELD_H
#define VMFERRY_HELD_H

#include <stdbool.h>
#include <stddef.h>

#include <vmferry/error.h>

#define VMF_HELD_DIR "/var/lib/vmferry/held"

/* Set or replace the mark, synced; dir NULL: VMF_HELD_DIR. */
int vmf_held_set(const char *dir, const char *uuid, const char *reason,
    struct vmf_error *err);
/* Take it away; none is fine. */
int vmf_held_clear(const char *dir, const char *uuid, struct vmf_error *err);
/* The reason, or "" when there is no mark. */
int vmf_held_get(const char *dir, const char *uuid, char *reason, size_t size,
    struct vmf_error *err);

#endif
