/* cli.c - see cli.h */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <vmferry/object.h>
#include <vmferry/units.h>

#include "cli.h"

static const char *cli_name = "vmferry";
static const char *cli_usage = "";
static struct vmf_progress *watched;
static volatile sig_atomic_t got_signal;
static volatile sig_atomic_t print_wanted;

static struct {
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	bool running, stop;
	int fd;
	bool terminal;
	const char *verb;
	struct vmf_progress *progress;
} meter = {
    .mutex = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

/*
 * Started without standard input, output or error, the next file opened would
 * take the free number - and what is said would be written into a disk.
 * Writing to a missing standard output still fails.
 */
static void
occupy_standard_fds(void)
{
	int fd = 0;

	while (fd >= 0 && fd <= STDERR_FILENO)
		fd = open("/dev/null",
		    fcntl(STDOUT_FILENO, F_GETFD) < 0 ? O_RDONLY : O_WRONLY);
	if (fd >= 0)
		close(fd);
}

void
cli_start(const char *name, const char *usage)
{
	static const struct rlimit no_core = {0, 0};

	cli_name = name;
	cli_usage = usage;
	occupy_standard_fds();
	/* Memory may hold keys, passwords and other people's disks. */
	setrlimit(RLIMIT_CORE, &no_core);
	prctl(PR_SET_DUMPABLE, 0);
	setlocale(LC_ALL, "C");
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* EFBIG says it better */
}

/* Names come from XML, tar and the far side: keep it one line. */
/* Names may come from a package or another host, and rule a terminal. */
static char
clean(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f ? '?' : c;
}

void
cli_put(const char *text)
{
	for (; *text != '\0'; text++)
		putchar(clean(*text));
}

void
cli_say(const char *fmt, ...)
{
	char line[2048], *p;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	for (p = line; *p != '\0'; p++)
		*p = clean(*p);
	fprintf(stderr, "%s: %s\n", cli_name, line);
}

int
cli_misuse(const char *fmt, ...)
{
	char line[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	cli_say("%s; see %s --help", line, cli_name);
	return VMF_USAGE;
}

/* stdout may be buffered into a full disk: its close decides. */
static int
close_stdout(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout) &&
	    (close(STDOUT_FILENO) == 0 || errno == EBADF))
		return 0;
	cli_say("standard output: %s", strerror(errno));
	return VMF_IO;
}

int
cli_common(int opt, struct cli_common *common)
{
	switch (opt) {
	case 'h':
		printf("usage: %s", cli_usage);
		exit(close_stdout());
	case 'V':
		printf("%s (vmferry) %s\n", cli_name, VMF_VERSION);
		exit(close_stdout());
	case 'v':
		common->verbose++;
		return 0;
	case 'q':
		common->quiet = true;
		return 0;
	case 'n':
		common->dry_run = true;
		return 0;
	default:
		return -1;
	}
}

int
cli_getopt(
    int argc, char *argv[], const char *letters, const struct option *longs)
{
	int opt;

	opterr = 0;
	/* optind is the word being looked at, before getopt moves on. */
	const char *word = optind < argc ? argv[optind] : "";

	opt = getopt_long(argc, argv, letters, longs, NULL);
	if (opt != '?')
		return opt;
	if (optopt == 0 || strncmp(word, "--", 2) == 0)
		cli_misuse("unknown or incomplete option '%s'", word);
	else
		cli_misuse("unknown or incomplete option '-%c'", optopt);
	return '?';
}

int
cli_end(int rc, struct vmf_error *err)
{
	if (rc == 0)
		return close_stdout();
	cli_say("%s", err->msg);
	if (err->class == VMF_STOPPED)
		return 128 + (got_signal != 0 ? got_signal : SIGTERM);
	return err->class == VMF_OK ? VMF_INTERNAL : (int)err->class;
}

int
cli_data_stdout(struct vmf_error *err)
{
	if (isatty(STDOUT_FILENO))
		return vmf_fail(err, VMF_USAGE,
		    "refusing to write binary data to a terminal; "
		    "redirect standard output or use -o");
	return 0;
}

/*
 * A second one is meant, unless it comes with the first: timeout(1) signals
 * its child and then the child's process group.
 */
static void
on_stop(int sig)
{
	static time_t first;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (got_signal != 0) {
		if (now.tv_sec - first < 2)
			return;
		/* Leave as the signal would. */
		signal(sig, SIG_DFL);
		raise(sig);
		return;
	}
	got_signal = sig;
	first = now.tv_sec;
	if (watched != NULL)
		atomic_store(&watched->stop, 1);
}

static void
on_usr1(int sig)
{
	(void)sig;
	print_wanted = 1;
}

void
cli_signals(struct vmf_progress *progress)
{
	static const int stops[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction sa = {.sa_handler = on_stop, .sa_flags = SA_RESTART};
	struct sigaction old;
	size_t i;

	watched = progress;
	sigemptyset(&sa.sa_mask);
	/* What is ignored stays so: nohup, and the shell's background. */
	for (i = 0; i < sizeof(stops) / sizeof(stops[0]); i++)
		if (sigaction(stops[i], NULL, &old) == 0 &&
		    old.sa_handler != SIG_IGN)
			sigaction(stops[i], &sa, NULL);
	sa.sa_handler = on_usr1;
	sigaction(SIGUSR1, &sa, NULL);
}

int
cli_signal(void)
{
	return got_signal;
}

int
cli_parse_progress(
    const char *s, struct cli_progress_mode *mode, struct vmf_error *err)
{
	uint64_t fd;

	if (strcmp(s, "auto") == 0)
		mode->fd = -2;
	else if (strcmp(s, "never") == 0)
		mode->fd = -1;
	else if (vmf_parse_number(s, 0, 65535, &fd, err) == 0)
		mode->fd = (int)fd;
	else
		return vmf_fail(err, VMF_USAGE,
		    "--progress: '%s' is none of auto, never and a "
		    "descriptor's number",
		    s);
	return 0;
}

static double
now_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
print_progress(int fd, bool terminal, double started)
{
	uint64_t done = atomic_load(&meter.progress->done);
	uint64_t total = atomic_load(&meter.progress->total);
	uint64_t zero = atomic_load(&meter.progress->zero);
	double seconds = now_seconds() - started;
	double rate = seconds > 0 ? (double)done / seconds : 0;
	char d[VMF_SIZE_TEXT], t[VMF_SIZE_TEXT], r[VMF_SIZE_TEXT], eta[48];
	char line[256];
	int len;

	if (total > 0 && rate > 0 && total >= done)
		snprintf(eta, sizeof(eta), ", %.0f s left",
		    (double)(total - done) / rate);
	else
		eta[0] = '\0';
	len = snprintf(line, sizeof(line),
	    "%s%s: %s %s%s%s, %s/s, %.0f%% zeros%s%s", terminal ? "\r" : "",
	    cli_name, meter.verb, vmf_format_size(done, d),
	    total > 0 ? " of " : "", total > 0 ? vmf_format_size(total, t) : "",
	    vmf_format_size((uint64_t)rate, r),
	    done > 0 ? 100.0 * (double)zero / (double)done : 0.0, eta,
	    terminal ? "\033[K" : "\n");
	if (write(fd, line, (size_t)len) < 0)
		return; /* talk only: nothing depends on it */
}

/* A tenth of a second, or less when it is time to stop. */
static bool
meter_tick(void)
{
	struct timespec until;
	bool stop;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += 100000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_mutex_lock(&meter.mutex);
	if (!meter.stop)
		pthread_cond_clockwait(
		    &meter.wake, &meter.mutex, CLOCK_MONOTONIC, &until);
	stop = meter.stop;
	pthread_mutex_unlock(&meter.mutex);
	return !stop;
}

static void *
meter_main(void *arg)
{
	double started = now_seconds(), last = started;

	(void)arg;
	while (meter_tick()) {
		if (print_wanted) {
			print_wanted = 0;
			print_progress(STDERR_FILENO, false, started);
		}
		if (meter.fd >= 0 && now_seconds() - last >= 1) {
			last = now_seconds();
			print_progress(meter.fd, meter.terminal, started);
		}
	}
	if (meter.fd >= 0 && meter.terminal && write(meter.fd, "\r\033[K", 4))
		return NULL;
	return NULL;
}

void
cli_progress_start(struct vmf_progress *progress, struct cli_progress_mode mode,
    bool quiet, const char *verb)
{
	sigset_t all, old;

	meter.progress = progress;
	meter.verb = verb;
	meter.terminal = isatty(mode.fd == -2 ? STDERR_FILENO : mode.fd);
	meter.fd = mode.fd;
	if (mode.fd == -2)
		meter.fd = meter.terminal && !quiet ? STDERR_FILENO : -1;
	meter.stop = false;
	/* Signals are for the main thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	meter.running =
	    pthread_create(&meter.thread, NULL, meter_main, NULL) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void
cli_progress_stop(void)
{
	if (!meter.running)
		return;
	pthread_mutex_lock(&meter.mutex);
	meter.stop = true;
	pthread_cond_signal(&meter.wake);
	pthread_mutex_unlock(&meter.mutex);
	pthread_join(meter.thread, NULL);
	meter.running = false;
}

int
cli_size(
    const char *option, const char *s, uint64_t min, uint64_t max, uint64_t *v)
{
	struct vmf_error err;

	if (vmf_parse_size(s, min, max, v, &err) == 0)
		return 0;
	cli_misuse("%s: %s", option, err.msg);
	return -1;
}

int
cli_number(
    const char *option, const char *s, uint64_t min, uint64_t max, uint64_t *v)
{
	struct vmf_error err;

	if (vmf_parse_number(s, min, max, v, &err) == 0)
		return 0;
	cli_misuse("%s: %s", option, err.msg);
	return -1;
}

int
cli_format(const char *s, uint32_t *format)
{
	if (strcmp(s, "raw") == 0) {
		*format = VMF_RAW;
	} else if (strcmp(s, "qcow2") == 0) {
		*format = VMF_QCOW2;
	} else {
		cli_misuse("--format: '%s' is neither raw nor qcow2", s);
		return -1;
	}
	return 0;
}
