/*
 * rate.h - no more than so many bytes per second
 *
 * A token bucket: time that was not used is not saved up, but for a tenth of
 * a second.  Thread rule: one thread at a time.
 */
#ifndef VMFERRY_RATE_H
#define VMFERRY_RATE_H

#include <stddef.h>
#include <stdint.h>

#include <vmferry/io.h>
#include <vmferry/progress.h>

struct vmf_rate {
	uint64_t rate; /* bytes per second; 0: no limit */
	double due;    /* private; starts as 0 */
};

/* Sleeps until len more bytes may go; VMF_STOPPED when asked to stop. */
int vmf_rate_wait(struct vmf_rate *rate, size_t len,
    struct vmf_progress *progress, struct vmf_error *err);
/* How much may go at once so that the rate is even: at most max. */
size_t vmf_rate_grain(const struct vmf_rate *rate, size_t max);

/*
 * in or out at that rate.  The struct is borrowed; what its stream was given
 * by (below, rate, progress) is set by the caller and stays his.
 */
struct vmf_rated {
	struct vmf_rate rate;
	struct vmf_progress *progress; /* may be NULL */
	struct vmf_in in;	       /* vmf_rated_in(): what is below */
	struct vmf_out out;	       /* vmf_rated_out(): likewise */
};
struct vmf_in vmf_rated_in(struct vmf_rated *rated);
struct vmf_out vmf_rated_out(struct vmf_rated *rated);

#endif
