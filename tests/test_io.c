/* test_io.c - whole transfers whatever the kernel gives, and new files */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "membuf.h"
#include "test.h"

static struct vmf_error err;

#define BYTES 300000

/* Writes in small odd pieces, so that every read is short. */
static void *
drip(void *arg)
{
	const int *fd = arg;
	uint8_t *data = malloc(BYTES);
	size_t off, n, i = 0;

	noise(data, BYTES, 1);
	for (off = 0; off < BYTES; off += n) {
		n = 1 + (i++ * 997) % 4099;
		if (n > BYTES - off)
			n = BYTES - off;
		if (write(*fd, data + off, n) != (ssize_t)n)
			break;
	}
	free(data);
	close(*fd);
	return NULL;
}

static void
on_alarm(int sig)
{
	(void)sig;
}

/* A signal every millisecond, without SA_RESTART. */
static void
alarms(bool on)
{
	const struct sigaction sa = {.sa_handler = on ? on_alarm : SIG_IGN};
	const struct itimerval often = {{0, 1000}, {0, 1000}}, never = {0};

	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, on ? &often : &never, NULL);
}

static void
short_reads_are_joined(void)
{
	uint8_t *got = malloc(BYTES + 1), *want = malloc(BYTES);
	pthread_t thread;
	int fd[2];
	size_t n;

	noise(want, BYTES, 1);
	CU_ASSERT_EQUAL_FATAL(pipe(fd), 0);
	alarms(true);
	pthread_create(&thread, NULL, drip, &fd[1]);
	CU_ASSERT_EQUAL(vmf_read_full(fd[0], got, 1000, &n, &err), 0);
	CU_ASSERT_EQUAL(n, 1000);
	CU_ASSERT_EQUAL(vmf_read_full(fd[0], got + 1000, BYTES, &n, &err), 0);
	CU_ASSERT_EQUAL(n, BYTES - 1000);
	CU_ASSERT_EQUAL(memcmp(got, want, BYTES), 0);
	CU_ASSERT_EQUAL(vmf_read_full(fd[0], got, 1, &n, &err), 0);
	CU_ASSERT_EQUAL(n, 0);
	pthread_join(thread, NULL);
	alarms(false);
	close(fd[0]);
	free(want);
	free(got);
}

/* Reads now and then, so that every write blocks and is short. */
static void *
sip(void *arg)
{
	static const struct timespec nap = {0, 3000000};
	const int *fd = arg;
	struct membuf *m = calloc(1, sizeof(*m));
	struct vmf_error error;
	uint8_t buf[20000];
	ssize_t n = 1;

	while (n != 0) {
		nanosleep(&nap, NULL);
		n = read(*fd, buf, sizeof(buf));
		if (n > 0)
			membuf_write(m, buf, (size_t)n, &error);
		else if (n < 0 && errno != EINTR)
			break;
	}
	return m;
}

static void
short_writes_are_joined(void)
{
	uint8_t *data = malloc(BYTES);
	struct membuf *m;
	pthread_t thread;
	void *result;
	int fd[2];

	noise(data, BYTES, 2);
	CU_ASSERT_EQUAL_FATAL(pipe(fd), 0);
	pthread_create(&thread, NULL, sip, &fd[0]);
	alarms(true);
	CU_ASSERT_EQUAL(vmf_write_full(fd[1], data, BYTES, &err), 0);
	alarms(false);
	close(fd[1]);
	pthread_join(thread, &result);
	m = result;
	CU_ASSERT_EQUAL(m->len, BYTES);
	CU_ASSERT_EQUAL(memcmp(m->p, data, BYTES), 0);
	membuf_free(m);
	free(m);
	close(fd[0]);
	free(data);
}

static void
errors_keep_their_cause(void)
{
	uint8_t buf[16] = {0};
	int fd[2];
	size_t n;

	ASSERT_FAILS(vmf_read_full(-1, buf, 1, &n, &err), VMF_IO);
	CU_ASSERT_EQUAL(err.errnum, EBADF);
	CU_ASSERT_EQUAL_FATAL(pipe(fd), 0);
	close(fd[0]);
	signal(SIGPIPE, SIG_IGN);
	ASSERT_FAILS(vmf_write_full(fd[1], buf, 1, &err), VMF_IO);
	CU_ASSERT_EQUAL(err.errnum, EPIPE);
	close(fd[1]);
	CU_ASSERT_EQUAL(vmf_write_full(-1, buf, 0, &err), 0);
}

static void
pread_does_not_take_less(void)
{
	const char *path = test_path("short");
	uint8_t buf[16];
	int fd;

	CU_ASSERT_EQUAL(vmf_write_file(path, "0123456789", 10, false, &err), 0);
	fd = open(path, O_RDONLY);
	CU_ASSERT_EQUAL(vmf_pread_full(fd, buf, 4, 6, &err), 0);
	CU_ASSERT_EQUAL(memcmp(buf, "6789", 4), 0);
	ASSERT_FAILS(vmf_pread_full(fd, buf, 5, 6, &err), VMF_IO);
	CU_ASSERT_EQUAL(err.errnum, 0);
	ASSERT_FAILS(vmf_pread_full(fd, buf, 1, 10, &err), VMF_IO);
	ASSERT_FAILS(vmf_pwrite_full(fd, buf, 1, 0, &err), VMF_IO);
	CU_ASSERT_EQUAL(err.errnum, EBADF);
	close(fd);
}

static bool
exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

/* Files in the directory of the tests whose names have text in them. */
static int
count_names(const char *text)
{
	char command[512];
	int n = -1;
	FILE *p;

	snprintf(command, sizeof(command), "ls -a %s | grep -c -- '%s'",
	    test_dir(), text);
	p = popen(command, "r");
	if (p == NULL || fscanf(p, "%d", &n) != 1)
		n = -1;
	if (p != NULL)
		pclose(p);
	return n;
}

static void
a_new_file_is_whole_or_not_there(void)
{
	const char *path = test_path("whole");
	struct vmf_newfile *nf;
	struct stat st;
	mode_t old = umask(0);

	nf = vmf_newfile_create(path, false, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(nf);
	CU_ASSERT_EQUAL(vmf_write_full(vmf_newfile_fd(nf), "text", 4, &err), 0);
	CU_ASSERT_FALSE(exists(path));
	CU_ASSERT_EQUAL(count_names("whole"), 1);
	vmf_newfile_free(nf);
	CU_ASSERT_EQUAL(count_names("whole"), 0);
	nf = vmf_newfile_create(path, false, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(nf);
	CU_ASSERT_EQUAL(vmf_newfile_commit(nf, &err), 0);
	vmf_newfile_free(nf);
	CU_ASSERT_EQUAL(count_names("whole"), 1);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode, S_IFREG | 0600);
	umask(old);
}

static void
what_exists_is_refused_twice(void)
{
	const char *path = test_path("twice");
	struct vmf_newfile *nf = vmf_newfile_create(path, false, &err);
	char *text;

	CU_ASSERT_PTR_NOT_NULL_FATAL(nf);
	/* somebody was quicker */
	CU_ASSERT_EQUAL(vmf_write_file(path, "theirs", 6, false, &err), 0);
	ASSERT_FAILS(vmf_newfile_commit(nf, &err), VMF_REFUSED);
	vmf_newfile_free(nf);
	CU_ASSERT_EQUAL(count_names("twice"), 1);
	ASSERT_FAILS(vmf_write_file(path, "ours", 4, false, &err), VMF_REFUSED);
	text = vmf_read_file(path, 100, NULL, &err);
	CU_ASSERT_STRING_EQUAL_FATAL(text, "theirs");
	free(text);
	CU_ASSERT_EQUAL(vmf_write_file(path, "ours", 4, true, &err), 0);
	text = vmf_read_file(path, 100, NULL, &err);
	CU_ASSERT_STRING_EQUAL_FATAL(text, "ours");
	free(text);
}

static void
symlinks_are_not_followed(void)
{
	const char *victim = test_path("victim"), *link = test_path("link");

	CU_ASSERT_EQUAL(vmf_write_file(victim, "kept", 4, false, &err), 0);
	CU_ASSERT_EQUAL(symlink(victim, link), 0);
	ASSERT_FAILS(vmf_write_file(link, "x", 1, false, &err), VMF_REFUSED);
	ASSERT_FAILS(vmf_write_file(link, "x", 1, true, &err), VMF_REFUSED);
	CU_ASSERT_EQUAL(unlink(victim), 0);
	/* a dangling one, too */
	ASSERT_FAILS(vmf_write_file(link, "x", 1, false, &err), VMF_REFUSED);
	CU_ASSERT_FALSE(exists(victim));
}

static void
odd_names_work(void)
{
	char longest[256];
	const char *path;

	memset(longest, 'n', 255);
	longest[255] = '\0';
	path = test_path("-rf a;$(touch x)'\n");
	CU_ASSERT_EQUAL(vmf_write_file(path, "", 0, false, &err), 0);
	CU_ASSERT(exists(path));
	CU_ASSERT_EQUAL_FATAL(chdir(test_dir()), 0);
	CU_ASSERT_EQUAL(vmf_write_file("bare", "", 0, false, &err), 0);
	CU_ASSERT(exists(test_path("bare")));
	/* the temporary's name must fit, too */
	CU_ASSERT_EQUAL(vmf_write_file(longest, "", 0, false, &err), 0);
	CU_ASSERT(exists(longest));
	CU_ASSERT_EQUAL(chdir("/"), 0);
	ASSERT_FAILS(vmf_write_file(test_path("no/such"), "", 0, false, &err),
	    VMF_REFUSED);
	ASSERT_FAILS(
	    vmf_write_file("/dev/no-such", "", 0, false, &err), VMF_REFUSED);
	CU_ASSERT_FALSE(exists("/dev/no-such"));
	CU_ASSERT_EQUAL(
	    vmf_write_file("/dev/shm/vmferry", "", 0, true, &err), 0);
	CU_ASSERT_EQUAL(unlink("/dev/shm/vmferry"), 0);
	ASSERT_FAILS(
	    vmf_write_file(test_dir(), "", 0, true, &err), VMF_REFUSED);
}

static void
a_file_too_large_leaves_nothing(void)
{
	const struct rlimit small = {4096, RLIM_INFINITY};
	struct rlimit old;
	uint8_t data[8192] = {0};

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	setrlimit(RLIMIT_FSIZE, &small);
	ASSERT_FAILS(
	    vmf_write_file(test_path("large"), data, sizeof(data), false, &err),
	    VMF_IO);
	setrlimit(RLIMIT_FSIZE, &old);
	CU_ASSERT_EQUAL(err.errnum, EFBIG);
	CU_ASSERT_EQUAL(count_names("large"), 0);
}

static void
small_files_are_read_whole(void)
{
	const char *path = test_path("small");
	char *text;
	size_t len = 0;

	CU_ASSERT_EQUAL(vmf_write_file(path, "a\0b", 3, false, &err), 0);
	text = vmf_read_file(path, 3, &len, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	CU_ASSERT_EQUAL(len, 3);
	CU_ASSERT_EQUAL(memcmp(text, "a\0b", 4), 0);
	free(text);
	CU_ASSERT_PTR_NULL(vmf_read_file(path, 2, &len, &err));
	CU_ASSERT_EQUAL(err.class, VMF_IO);
	CU_ASSERT_PTR_NULL(vmf_read_file(test_dir(), 100, &len, &err));
	CU_ASSERT_PTR_NULL(vmf_read_file("/dev/zero", 100, &len, &err));
	CU_ASSERT_PTR_NULL(vmf_read_file(test_path("nosuch"), 100, &len, &err));
	CU_ASSERT_EQUAL(err.errnum, ENOENT);
}

static void
scratch_files_have_no_name(void)
{
	int before = count_names("."), fd = vmf_scratch_open(test_dir(), &err);
	struct stat st;

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(count_names("."), before);
	CU_ASSERT_EQUAL(fstat(fd, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
	CU_ASSERT_EQUAL(st.st_nlink, 0);
	CU_ASSERT_EQUAL(vmf_pwrite_full(fd, "x", 1, 5, &err), 0);
	close(fd);
	ASSERT_FAILS(vmf_scratch_open(test_path("nosuch"), &err), VMF_IO);
}

static void *
stop_soon(void *arg)
{
	static const struct timespec nap = {0, 50000000};
	struct vmf_progress *progress = arg;

	nanosleep(&nap, NULL);
	atomic_store(&progress->stop, 1);
	return NULL;
}

/* Nobody writes, nobody reads: a stop ends either wait. */
static void
waiting_for_a_pipe_can_be_stopped(void)
{
	uint8_t *data = calloc(1, BYTES);
	unsigned i;
	int fd[2];

	CU_ASSERT_EQUAL_FATAL(pipe(fd), 0);
	for (i = 0; i < 3; i++) {
		struct vmf_progress progress = {0};
		struct vmf_pipe p = {fd[i > 0], "pipe", &progress};
		struct vmf_in in = vmf_in_pipe(&p);
		struct vmf_out out = vmf_out_pipe(&p);
		pthread_t thread;
		size_t got;

		pthread_create(&thread, NULL, stop_soon, &progress);
		/* in an empty pipe, a filling one, and a full one */
		ASSERT_FAILS(i == 0 ? in.read(in.ctx, data, BYTES, &got, &err)
				    : out.write(out.ctx, data, BYTES, &err),
		    VMF_STOPPED);
		pthread_join(thread, NULL);
	}
	/* what we were given did not become non-blocking */
	CU_ASSERT_EQUAL(fcntl(fd[1], F_GETFL) & O_NONBLOCK, 0);
	close(fd[0]);
	close(fd[1]);
	free(data);
}

static void
pipes_carry_all_bytes(void)
{
	uint8_t *data = malloc(BYTES), *back = malloc(BYTES);
	struct membuf *m;
	struct vmf_pipe p = {.name = "pipe"};
	struct vmf_in in;
	struct vmf_out out;
	pthread_t thread;
	void *result;
	size_t got;
	int fd[2];

	noise(data, BYTES, 3);
	CU_ASSERT_EQUAL_FATAL(pipe(fd), 0);
	p.fd = fd[1];
	out = vmf_out_pipe(&p);
	pthread_create(&thread, NULL, sip, &fd[0]);
	alarms(true);
	CU_ASSERT_EQUAL(out.write(out.ctx, data, BYTES, &err), 0);
	alarms(false);
	close(fd[1]);
	pthread_join(thread, &result);
	m = result;
	CU_ASSERT_EQUAL(m->len, BYTES);
	CU_ASSERT_EQUAL(memcmp(m->p, data, BYTES), 0);
	membuf_free(m);
	free(m);
	close(fd[0]);
	noise(data, BYTES, 1); /* as drip() writes it */
	CU_ASSERT_EQUAL_FATAL(pipe(fd), 0);
	p.fd = fd[0];
	in = vmf_in_pipe(&p);
	pthread_create(&thread, NULL, drip, &fd[1]);
	CU_ASSERT_EQUAL(in.read(in.ctx, back, BYTES, &got, &err), 0);
	CU_ASSERT_EQUAL(got, BYTES);
	CU_ASSERT_EQUAL(memcmp(back, data, BYTES), 0);
	CU_ASSERT_EQUAL(in.read(in.ctx, back, 1, &got, &err), 0);
	CU_ASSERT_EQUAL(got, 0);
	pthread_join(thread, NULL);
	close(fd[0]);
	free(back);
	free(data);
}

void
suite_io(void)
{
	static const struct test_case cases[] = {
	    {"short reads are joined", short_reads_are_joined},
	    {"short writes are joined", short_writes_are_joined},
	    {"errors keep their cause", errors_keep_their_cause},
	    {"pread does not take less", pread_does_not_take_less},
	    {"a new file is whole or not there",
		a_new_file_is_whole_or_not_there},
	    {"what exists is refused twice", what_exists_is_refused_twice},
	    {"symlinks are not followed", symlinks_are_not_followed},
	    {"odd names work", odd_names_work},
	    {"a file too large leaves nothing",
		a_file_too_large_leaves_nothing},
	    {"small files are read whole", small_files_are_read_whole},
	    {"scratch files have no name", scratch_files_have_no_name},
	    {"waiting for a pipe can be stopped",
		waiting_for_a_pipe_can_be_stopped},
	    {"pipes carry all bytes", pipes_carry_all_bytes},
	};

	TEST_SUITE("io", cases);
}
