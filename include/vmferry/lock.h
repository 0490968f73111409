/*
 * lock.h - one run at a time on a domain or a target
 *
 * Kernel locks (flock) only: they vanish with their holder, so none is ever
 * stale.  Thread rule: any thread.
 */
#ifndef VMFERRY_LOCK_H
#define VMFERRY_LOCK_H

#include <vmferry/error.h>

/*
 * Lock what fd has open, for as long as it is open.  Waits up to a second
 * (udev has a fresh device locked for a moment); VMF_BUSY then names the
 * holder where the system tells it.
 */
int vmf_lock_fd(int fd, const char *name, struct vmf_error *err);

/*
 * Open (0600, created with its directory, 0700) and lock the file path, which
 * stays behind as a name only; returns a descriptor that the caller closes to
 * release it, or -1.  what is what messages call it.
 */
int vmf_lock_path(const char *path, const char *what, struct vmf_error *err);

#endif
