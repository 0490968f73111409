/*
 * pipeline.h - the one thread shape of the library
 *
 *	fill (one thread) -> work (jobs threads) -> emit (the caller, in order)
 *
 * Slots go round: fill takes the next free one, any worker takes the next
 * filled one, emit takes them in the order in which they were filled and
 * frees them.  The number of slots is the back-pressure.  One mutex, no lock
 * held over fill, work or emit.  The first error stops everything and is the
 * one returned; every thread is joined.
 *
 * With jobs = 0, or when the system gives no threads, the same three steps run
 * one after the other in the caller's thread, with the same result.
 */
#ifndef VMFERRY_PIPELINE_H
#define VMFERRY_PIPELINE_H

#include <stddef.h>

#include <vmferry/error.h>
#include <vmferry/progress.h>

struct vmf_pipeline {
	void *ctx; /* given to all below */
	/* 1: slot filled; 0: no more; -1: failed. */
	int (*fill)(void *ctx, void *slot, struct vmf_error *err);
	int (*work)(void *ctx, void *worker, void *slot, struct vmf_error *err);
	int (*emit)(void *ctx, void *slot, struct vmf_error *err);
	/* What one worker keeps for itself; both may be NULL. */
	void *(*worker_new)(void *ctx, struct vmf_error *err);
	void (*worker_free)(void *worker);
};

/*
 * slots points to n pointers (borrowed).  progress may be NULL; its stop is
 * looked at between slots.
 */
int vmf_pipeline_run(const struct vmf_pipeline *p, void *const *slots, size_t n,
    unsigned jobs, struct vmf_progress *progress, struct vmf_error *err);

#endif
