/*
 * progress.h - what a long job shares with whoever watches it
 *
 * The library counts, the tool reads; the tool (its signal handler) sets
 * stop, the library looks at each chunk's edge and then fails VMF_STOPPED.
 * All members are atomic: any thread, and stop from a signal handler.
 */
#ifndef VMFERRY_PROGRESS_H
#define VMFERRY_PROGRESS_H

#include <stdatomic.h>
#include <stdint.h>

#include <vmferry/error.h>

struct vmf_progress {
	_Atomic uint64_t total;	 /* bytes to do, 0 while unknown */
	_Atomic uint64_t done;	 /* bytes done, zeros included */
	_Atomic uint64_t zero;	 /* of these, zeros */
	_Atomic uint64_t stored; /* bytes as compressed */
	atomic_int stop;	 /* not 0: stop soon */
};

/* 0, or VMF_STOPPED when a stop was asked for; progress may be NULL. */
int vmf_progress_check(struct vmf_progress *progress, struct vmf_error *err);

#endif
