/*
 * freemap.h - a map of the extents of a disk that nobody needs
 *
 * Plain text, of which vmf-inspect(1) has the format, one line each:
 *
 *	vmferry-map 1 FORMAT SIZE STATE
 *	OFFSET LENGTH free
 *	...
 *	end COUNT
 *
 * with decimal numbers, ascending and apart.  What no line names is data.
 * STATE is a word that says which contents of the disk the map is of; a map
 * of another size or state is refused, as is one without its end.
 *
 * Thread rule: a map belongs to one thread at a time.
 */
#ifndef VMFERRY_FREEMAP_H
#define VMFERRY_FREEMAP_H

#include <stddef.h>
#include <stdint.h>

#include <vmferry/error.h>
#include <vmferry/extent.h>
#include <vmferry/io.h>
#include <vmferry/object.h>

#define VMF_FREEMAP_MAX	  (UINT64_C(1) << 24) /* lines of a map */
#define VMF_FREEMAP_STATE 128 /* bytes of a state with its NUL */

struct vmf_freemap;

/*
 * The state of what fd is open on: of a file its time of last modification,
 * of a block device how much was written to it since this system started.
 */
int vmf_freemap_state(int fd, const char *path, char state[VMF_FREEMAP_STATE],
    struct vmf_error *err);

/* An empty map of a disk; format as the disk was read. */
struct vmf_freemap *vmf_freemap_new(enum vmf_format format, uint64_t size,
    const char *state, struct vmf_error *err);
/* One more free extent, behind all others; one that touches the last joins. */
int vmf_freemap_add(
    struct vmf_freemap *map, uint64_t len, uint64_t off, struct vmf_error *err);
/* All that is free in [off, off + len) is not any more. */
int vmf_freemap_remove(
    struct vmf_freemap *map, uint64_t len, uint64_t off, struct vmf_error *err);
void vmf_freemap_free(struct vmf_freemap *map); /* NULL-safe */

/* Read a whole map, strictly: VMF_INTEGRITY.  name is for messages. */
struct vmf_freemap *
vmf_freemap_read(struct vmf_in in, const char *name, struct vmf_error *err);
int vmf_freemap_write(
    const struct vmf_freemap *map, struct vmf_out *out, struct vmf_error *err);

/*
 * Is it a map of these contents of the raw disk at fd?  VMF_REFUSED: of
 * another format, size or state.  path is the disk's, for messages.
 */
int vmf_freemap_check(const struct vmf_freemap *map, int fd, const char *path,
    struct vmf_error *err);

size_t vmf_freemap_count(const struct vmf_freemap *map);
uint64_t vmf_freemap_bytes(const struct vmf_freemap *map); /* free ones */
/* The same as a map that a source heeds; the caller frees it. */
struct vmf_extents *
vmf_freemap_extents(const struct vmf_freemap *map, struct vmf_error *err);

#endif
