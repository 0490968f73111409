/*
 * target.h - a place for a disk, made when it is not there yet
 *
 * pool:NAME/VOLUME, lv:VG/LV, lv:VG/POOL/LV and part:/dev/DISK are made at the
 * size of the image and unmade again unless vmf_target_commit() keeps them;
 * files and devices are only named.  A volume of LVM has a temporary name
 * until then, a partition a GPT name that says it is not complete; a file of a
 * pool is made by the sink that writes it.
 *
 *	vmf_target_make(), a sink on vmf_target_path(), vmf_sink_commit() and
 *	_free(), vmf_target_commit(), vmf_target_free()
 *
 * Thread rule: one thread at a time.
 */
#ifndef VMFERRY_TARGET_H
#define VMFERRY_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include <vmferry/host.h>
#include <vmferry/map.h>

struct vmf_target;

/* Is it one that may have to be made? */
bool vmf_target_is_made(const struct vmf_map_target *where);

/*
 * size in bytes (VMF_SIZE_UNKNOWN is refused for what must be made).  host is
 * needed for pools only.  VMF_REFUSED: it exists already (an LV), there is no
 * room, no GPT, no such group, pool or disk.
 */
struct vmf_target *vmf_target_make(const struct vmf_map_target *where,
    uint64_t size, struct vmf_host *host, struct vmf_error *err);
/* What to open until commit, and what it is called then. */
const char *vmf_target_path(const struct vmf_target *target);
const char *vmf_target_name(const struct vmf_target *target);
/* It was made just now: what it holds is nobody's. */
bool vmf_target_is_new(const struct vmf_target *target);
/* It reads as zeros all over. */
bool vmf_target_is_zero(const struct vmf_target *target);
/* The sink is committed and freed: keep it, under its name. */
int vmf_target_commit(struct vmf_target *target, struct vmf_error *err);
/* NULL-safe; what was made and not committed is removed. */
void vmf_target_free(struct vmf_target *target);

#endif
