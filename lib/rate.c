/* rate.c - see vmferry/rate.h */
#include <time.h>

#include <vmferry/rate.h>

#define GRAIN_MAX ((size_t)1 << 20)

static double
seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

size_t
vmf_rate_grain(const struct vmf_rate *rate, size_t max)
{
	uint64_t grain = rate->rate / 20;

	if (rate->rate == 0 || grain > max)
		return max;
	return grain < 4096 ? 4096 : (size_t)grain;
}

int
vmf_rate_wait(struct vmf_rate *rate, size_t len, struct vmf_progress *progress,
    struct vmf_error *err)
{
	struct timespec ts;
	double now, wait;

	if (rate->rate == 0)
		return 0;
	now = seconds();
	if (rate->due < now - 0.1)
		rate->due = now - 0.1;
	rate->due += (double)len / (double)rate->rate;
	while ((wait = rate->due - seconds()) > 0) {
		if (vmf_progress_check(progress, err) < 0)
			return -1;
		if (wait > 0.25)
			wait = 0.25;
		ts.tv_sec = 0;
		ts.tv_nsec = (long)(wait * 1e9);
		nanosleep(&ts, NULL);
	}
	return 0;
}

static int
rated_read(void *ctx, void *buf, size_t len, size_t *got, struct vmf_error *err)
{
	struct vmf_rated *rated = ctx;
	uint8_t *p = buf;
	size_t n, have;

	*got = 0;
	while (*got < len) {
		n = vmf_rate_grain(&rated->rate, GRAIN_MAX);
		if (n > len - *got)
			n = len - *got;
		if (rated->in.read(rated->in.ctx, p + *got, n, &have, err) < 0)
			return -1;
		*got += have;
		if (vmf_rate_wait(&rated->rate, have, rated->progress, err) < 0)
			return -1;
		if (have < n)
			break;
	}
	return 0;
}

static int
rated_write(void *ctx, const void *buf, size_t len, struct vmf_error *err)
{
	struct vmf_rated *rated = ctx;
	const uint8_t *p = buf;
	size_t n;

	for (; len > 0; len -= n, p += n) {
		n = vmf_rate_grain(&rated->rate, GRAIN_MAX);
		if (n > len)
			n = len;
		if (rated->out.write(rated->out.ctx, p, n, err) < 0 ||
		    vmf_rate_wait(&rated->rate, n, rated->progress, err) < 0)
			return -1;
	}
	return 0;
}

struct vmf_in
vmf_rated_in(struct vmf_rated *rated)
{
	return (struct vmf_in){.read = rated_read, .ctx = rated};
}

struct vmf_out
vmf_rated_out(struct vmf_rated *rated)
{
	return (struct vmf_out){.write = rated_write, .ctx = rated};
}
