/*
 * rescue.h - reading on past errors, with a map in ddrescue's format
 *
 * The map (GNU ddrescue manual, "Mapfile structure") has a line for each
 * block of the source: "0xPOS 0xSIZE STATUS", of which + is read, - bad, all
 * else to be tried.  What is bad there is not tried again, so that a dying
 * disk is spared, and a map that ddrescue made is heeded.
 *
 * Thread rule: as source.h says.
 */
#ifndef VMFERRY_RESCUE_H
#define VMFERRY_RESCUE_H

#include <vmferry/source.h>

/*
 * A source that gives zeros for what src (taken, even on failure) cannot give.
 * The map at path is read if it is there, and kept up to date from then on.
 */
struct vmf_source *vmf_rescue_open(
    struct vmf_source *src, const char *path, struct vmf_error *err);
/*
 * Save the map for the last time, and list what was bad, in offsets of the
 * source's part: *bad, for the caller to free.
 */
int vmf_rescue_finish(struct vmf_source *src, struct vmf_extent **bad,
    uint32_t *n, struct vmf_error *err);

#endif
