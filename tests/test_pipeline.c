/* test_pipeline.c - order, errors wherever they strike, and stopping */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <vmferry/pipeline.h>

#include "test.h"

#define COUNT 200
#define SLOTS 6

static struct vmf_error err;

/* Numbers 0 .. COUNT-1 are filled, squared and emitted. */
struct numbers {
	unsigned next, emitted;
	unsigned bad_fill, bad_work, bad_emit; /* fail there; COUNT: never */
	bool out_of_order;
	bool slow_second;	     /* work on 1 fails, but later than on 0 */
	bool dawdle;		     /* work takes longer now and then */
	atomic_uint workers, worked; /* alive; slots worked on */
	unsigned bad_worker;	     /* this worker cannot be made */
	atomic_uint made;
	atomic_int in_fill, in_emit; /* each runs in one thread at a time */
	pthread_t main;
	struct vmf_progress *stop_at_half;
};

struct number {
	unsigned n, square;
};

static int
fill(void *ctx, void *slot, struct vmf_error *error)
{
	struct numbers *s = ctx;
	struct number *number = slot;

	CU_ASSERT_EQUAL(atomic_fetch_add(&s->in_fill, 1), 0);
	number->n = s->next;
	atomic_fetch_sub(&s->in_fill, 1);
	if (s->next == s->bad_fill)
		return vmf_fail(error, VMF_IO, "fill %u", s->next);
	if (s->next == COUNT)
		return 0;
	s->next++;
	return 1;
}

static int
work(void *ctx, void *worker, void *slot, struct vmf_error *error)
{
	static const struct timespec nap = {0, 500000};
	struct numbers *s = ctx;
	struct number *number = slot;

	CU_ASSERT_PTR_EQUAL(worker, s);
	if (s->dawdle && number->n % 5 == 0)
		nanosleep(&nap, NULL);
	if (s->slow_second && number->n == 1) {
		static const struct timespec longer = {0, 50000000};

		nanosleep(&longer, NULL);
		return vmf_fail(error, VMF_BUSY, "work 1");
	}
	number->square = number->n * number->n;
	atomic_fetch_add(&s->worked, 1);
	if (number->n == s->bad_work)
		return vmf_fail(error, VMF_INTEGRITY, "work %u", number->n);
	return 0;
}

static int
emit(void *ctx, void *slot, struct vmf_error *error)
{
	struct numbers *s = ctx;
	struct number *number = slot;

	CU_ASSERT(pthread_equal(pthread_self(), s->main));
	if (number->n != s->emitted || number->square != number->n * number->n)
		s->out_of_order = true;
	if (number->n == s->bad_emit)
		return vmf_fail(error, VMF_BUSY, "emit %u", number->n);
	s->emitted++;
	if (s->stop_at_half != NULL && s->emitted == COUNT / 2)
		atomic_store(&s->stop_at_half->stop, 1);
	return 0;
}

static void *
worker_new(void *ctx, struct vmf_error *error)
{
	struct numbers *s = ctx;

	if (atomic_fetch_add(&s->made, 1) == s->bad_worker) {
		vmf_fail(error, VMF_IO, "no worker");
		return NULL;
	}
	atomic_fetch_add(&s->workers, 1);
	return s;
}

static void
worker_free(void *worker)
{
	struct numbers *s = worker;

	atomic_fetch_sub(&s->workers, 1);
}

static struct numbers
fresh(void)
{
	return (struct numbers){.bad_fill = COUNT + 1,
	    .bad_work = COUNT + 1,
	    .bad_emit = COUNT + 1,
	    .bad_worker = COUNT + 1,
	    .main = pthread_self()};
}

static int
run(struct numbers *s, unsigned jobs, size_t n, struct vmf_progress *progress)
{
	const struct vmf_pipeline p = {
	    s, fill, work, emit, worker_new, worker_free};
	struct number numbers[SLOTS];
	void *slots[SLOTS];
	size_t i;
	int rc;

	for (i = 0; i < n; i++)
		slots[i] = &numbers[i];
	rc = vmf_pipeline_run(&p, slots, n, jobs, progress, &err);
	CU_ASSERT_EQUAL(s->workers, 0);
	CU_ASSERT_FALSE(s->out_of_order);
	return rc;
}

static void
order_is_kept_at_any_width(void)
{
	unsigned jobs, round;
	size_t n;

	for (jobs = 0; jobs <= 8; jobs++)
		for (n = 1; n <= SLOTS; n++)
			for (round = 0; round < 4; round++) {
				struct numbers s = fresh();

				s.dawdle = round == 0 && n > 3;
				CU_ASSERT_EQUAL(run(&s, jobs, n, NULL), 0);
				CU_ASSERT_EQUAL(s.emitted, COUNT);
				CU_ASSERT_EQUAL(s.worked, COUNT);
			}
}

static void
nothing_to_do_is_done(void)
{
	unsigned jobs;

	for (jobs = 0; jobs <= 8; jobs++) {
		struct numbers s = fresh();

		s.next = COUNT;
		CU_ASSERT_EQUAL(run(&s, jobs, SLOTS, NULL), 0);
		CU_ASSERT_EQUAL(s.emitted, 0);
	}
}

static void
errors_anywhere_are_returned(void)
{
	unsigned jobs, at;

	for (jobs = 0; jobs <= 8; jobs++)
		for (at = 0; at < COUNT; at += at < 12 ? 1 : 47) {
			struct numbers f = fresh(), w = fresh(), e = fresh();

			f.bad_fill = w.bad_work = e.bad_emit = at;
			ASSERT_FAILS(run(&f, jobs, SLOTS, NULL), VMF_IO);
			CU_ASSERT(f.emitted <= at);
			ASSERT_FAILS(run(&w, jobs, SLOTS, NULL), VMF_INTEGRITY);
			CU_ASSERT(w.emitted <= at);
			/* no more is read than fits in the slots */
			CU_ASSERT(w.next <= at + SLOTS + 1);
			ASSERT_FAILS(run(&e, jobs, SLOTS, NULL), VMF_BUSY);
			CU_ASSERT_EQUAL(e.emitted, at);
			CU_ASSERT(e.next <= at + SLOTS + 1);
		}
	/* at the very end */
	for (jobs = 0; jobs <= 8; jobs++) {
		struct numbers f = fresh();

		f.bad_fill = COUNT;
		ASSERT_FAILS(run(&f, jobs, SLOTS, NULL), VMF_IO);
	}
}

static void
one_of_two_errors_is_returned(void)
{
	unsigned jobs, round;

	for (jobs = 0; jobs <= 8; jobs++)
		for (round = 0; round < 50; round++) {
			struct numbers s = fresh();

			s.bad_fill = 20;
			s.bad_work = 19;
			CU_ASSERT_EQUAL(run(&s, jobs, SLOTS, NULL), -1);
			CU_ASSERT(err.class == VMF_IO
				      ? strcmp(err.msg, "fill 20") == 0
				      : strcmp(err.msg, "work 19") == 0);
		}
}

static void
the_first_error_wins(void)
{
	unsigned jobs;

	for (jobs = 2; jobs <= 8; jobs++) {
		struct numbers s = fresh();

		s.bad_work = 0;
		s.slow_second = true;
		/* 0 waits a little, so that 1 has begun before it fails */
		s.dawdle = true;
		ASSERT_FAILS(run(&s, jobs, SLOTS, NULL), VMF_INTEGRITY);
	}
}

static void
a_missing_worker_is_an_error(void)
{
	unsigned jobs, bad;

	for (jobs = 0; jobs <= 4; jobs++)
		for (bad = 0; bad < (jobs == 0 ? 1 : jobs); bad++) {
			struct numbers s = fresh();

			s.bad_worker = bad;
			ASSERT_FAILS(run(&s, jobs, SLOTS, NULL), VMF_IO);
		}
}

static void
stop_is_heeded(void)
{
	unsigned jobs;

	for (jobs = 0; jobs <= 8; jobs++) {
		struct vmf_progress progress = {0};
		struct numbers s = fresh();

		s.stop_at_half = &progress;
		ASSERT_FAILS(run(&s, jobs, SLOTS, &progress), VMF_STOPPED);
		CU_ASSERT(s.emitted >= COUNT / 2);
		CU_ASSERT(s.emitted <= COUNT / 2 + SLOTS + 1);
	}
}

/*
 * Where no more threads are to be had the same comes out.  The limit holds
 * for ordinary users only and cannot be lifted again, so a child tries it;
 * nobody's other processes count, too, so the user is one without any.
 */
static void *
idle(void *arg)
{
	return arg;
}

static int
without_threads(void)
{
	static const struct rlimit one = {1, 1};
	struct numbers s = fresh();
	pthread_t thread;
	int rc;

	if (setrlimit(RLIMIT_NPROC, &one) < 0)
		return 2;
	if (geteuid() == 0 && setresuid(64321, 64321, 64321) < 0)
		return 2;
	if (pthread_create(&thread, NULL, idle, NULL) == 0) {
		pthread_join(thread, NULL);
		return 2;
	}
	rc = run(&s, 4, SLOTS, NULL);
	return rc == 0 && s.emitted == COUNT ? 0 : 1;
}

static void
no_threads_give_the_same(void)
{
	int status;
	pid_t pid = fork();

	CU_ASSERT_FATAL(pid >= 0);
	if (pid == 0)
		_exit(without_threads());
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 2) {
		printf("(skipped: threads cannot be forbidden here) ");
		return;
	}
	CU_ASSERT_EQUAL(status, 0);
}

void
suite_pipeline(void)
{
	static const struct test_case cases[] = {
	    {"order is kept at any width", order_is_kept_at_any_width},
	    {"nothing to do is done", nothing_to_do_is_done},
	    {"errors anywhere are returned", errors_anywhere_are_returned},
	    {"one of two errors is returned", one_of_two_errors_is_returned},
	    {"the first error wins", the_first_error_wins},
	    {"a missing worker is an error", a_missing_worker_is_an_error},
	    {"stop is heeded", stop_is_heeded},
	    {"no threads give the same", no_threads_give_the_same},
	};

	TEST_SUITE("pipeline", cases);
}
