/*
 * proof.h - that disks are the ones, unchanged, which a guest's RAM belongs to
 *
 * RAM holds what the guest believes of its disks: put back beside disks that
 * were written to since, it ruins them.  A proof is JSON text taken while the
 * guest is paused.  For each disk it has the size, for a file its time of
 * modification, and a digest: of the root over all its chunks (whole), or of a
 * fixed sample - VMF_PROOF_BLOCKS blocks of 64 KiB, evenly spaced, the first
 * and the last among them.  A sample tells disks apart and finds most changes,
 * but not each flipped bit: only a whole proof does.
 *
 * Thread rule: any thread.
 */
#ifndef VMFERRY_PROOF_H
#define VMFERRY_PROOF_H

#include <stdbool.h>
#include <stddef.h>

#include <vmferry/error.h>
#include <vmferry/progress.h>

#define VMF_PROOF_BLOCKS 256
#define VMF_PROOF_MAX	 ((size_t)1 << 20) /* bytes of a proof */

/* A file or device that makes up a disk: its bytes are compared as they are,
 * whatever their format. */
struct vmf_proof_disk {
	const char *name; /* vda, vda.base1 */
	const char *path;
};

/*
 * The proof of n disks on the host with this UUID, for the caller to free.
 * progress may be NULL; it counts bytes read.
 */
char *
vmf_proof_take(const struct vmf_proof_disk *disks, size_t n, const char *host,
    bool whole, struct vmf_progress *progress, struct vmf_error *err);

/*
 * Are these the disks of the proof?  Paths may be others; times are compared
 * where host and path are the same.  VMF_REFUSED names the first disk that is
 * not, and why; VMF_INTEGRITY: the text is no proof.
 */
int
vmf_proof_check(const char *text, const struct vmf_proof_disk *disks, size_t n,
    const char *host, struct vmf_progress *progress, struct vmf_error *err);

/* It covers every byte. */
bool vmf_proof_is_whole(const char *text);

#endif
