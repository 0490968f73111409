/* run.c - see vmferry/run.h */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <vmferry/io.h>
#include <vmferry/run.h>

#define SECONDS	 60
#define TEXT_MAX ((size_t)16 << 20)
#define ENV_MAX	 16
#define TICK_MS	 100
#define PATH_VAR "PATH=/usr/sbin:/usr/bin:/sbin:/bin"

struct vmf_child {
	const char *name; /* of the program */
	char path[VMF_RUN_PATH];
	pid_t pid; /* 0: none, or ended */
	int talk;  /* scratch file of its complaints */
	int status;
};

/* What the new process needs, made before fork: it must not allocate. */
struct image {
	char *env[ENV_MAX];
	char listen_pid[32];
	int fds[4]; /* to become 0, 1, 2 and 3; -1: none */
	pid_t parent;
};

int
vmf_run_find(const char *name, char path[VMF_RUN_PATH], struct vmf_error *err)
{
	static const char *const dirs[] = {"/usr/sbin", "/usr/bin", "/sbin",
	    "/bin", "/usr/local/sbin", "/usr/local/bin"};
	size_t i;

	if (name[0] == '/') {
		snprintf(path, VMF_RUN_PATH, "%s", name);
		if (access(path, X_OK) == 0)
			return 0;
	}
	for (i = 0; name[0] != '/' && i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		snprintf(path, VMF_RUN_PATH, "%s/%s", dirs[i], name);
		if (access(path, X_OK) == 0)
			return 0;
	}
	return vmf_fail(
	    err, VMF_REFUSED, "%s: is not installed here; install it", name);
}

/* ---- in the new process: system calls only --------------------------------
 */

static void
write_number(char *to, long n)
{
	char digits[20];
	size_t i = 0;

	do {
		digits[i++] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	while (i > 0)
		*to++ = digits[--i];
	*to = '\0';
}

static void
become(struct image *im, const char *path, char *const argv[])
{
	struct sigaction sa = {.sa_handler = SIG_DFL};
	sigset_t none;
	int i, fd;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != im->parent)
		_exit(127);
	for (i = 1; i < NSIG; i++)
		sigaction(i, &sa, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Away from 0 to 3 first, so that none overwrites another. */
	for (i = 0; i < 4; i++)
		if (im->fds[i] >= 0)
			im->fds[i] = fcntl(im->fds[i], F_DUPFD_CLOEXEC, 10);
	for (i = 0; i < 4; i++)
		if (im->fds[i] >= 0 && dup2(im->fds[i], i) < 0)
			_exit(127);
	for (fd = im->fds[3] >= 0 ? 4 : 3; fd < 1024; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	write_number(im->listen_pid + strlen("LISTEN_PID="), (long)getpid());
	execve(path, argv, im->env);
	_exit(127);
}

/* ---- starting and ending ----------------------------------------------------
 */

static void
make_env(struct image *im, const struct vmf_run *run, bool socket)
{
	size_t i, n = 0;

	if (socket) {
		strcpy(im->listen_pid, "LISTEN_PID=");
		im->env[n++] = im->listen_pid;
		im->env[n++] = (char *)"LISTEN_FDS=1";
	}
	for (i = 0; run->env != NULL && run->env[i] != NULL && n < ENV_MAX - 4;
	     i++)
		im->env[n++] = (char *)run->env[i];
	/* The first of a name counts, so the caller's come first. */
	im->env[n++] = (char *)"LC_ALL=C";
	im->env[n++] = (char *)PATH_VAR;
	im->env[n++] = (char *)"HOME=/";
	im->env[n] = NULL;
}

static int
start(struct vmf_child *child, const struct vmf_run *run, int out, int socket,
    struct vmf_error *err)
{
	struct image im = {.fds = {run->in, out, child->talk, socket}};
	int null = -1;
	pid_t pid;

	if (vmf_run_find(run->argv[0], child->path, err) < 0)
		return -1;
	child->name = run->argv[0];
	if (run->in == 0 || out < 0) {
		null = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (null < 0)
			return vmf_fail_errno(err, VMF_IO, "/dev/null");
	}
	if (run->in == 0)
		im.fds[0] = null;
	if (out < 0)
		im.fds[1] = null;
	im.parent = getpid();
	make_env(&im, run, socket >= 0);
	pid = fork();
	if (pid == 0)
		become(&im, child->path, (char *const *)run->argv);
	if (null >= 0)
		close(null);
	if (pid < 0)
		return vmf_fail_errno(err, VMF_IO, "%s: start", child->name);
	child->pid = pid;
	return 0;
}

static struct vmf_child *
new_child(struct vmf_error *err)
{
	struct vmf_child *child = calloc(1, sizeof(*child));

	if (child == NULL) {
		vmf_fail_errno(err, VMF_IO, "process");
		return NULL;
	}
	child->talk = vmf_scratch_open(NULL, err);
	if (child->talk < 0) {
		free(child);
		return NULL;
	}
	return child;
}

static void
kill_child(struct vmf_child *child)
{
	if (child->pid == 0)
		return;
	kill(-child->pid, SIGKILL);
	kill(child->pid, SIGKILL);
	while (waitpid(child->pid, &child->status, 0) < 0 && errno == EINTR)
		;
	child->pid = 0;
}

/* The last line it said, less its own name in front. */
static void
last_words(const struct vmf_child *child, char *words, size_t size)
{
	off_t end = lseek(child->talk, 0, SEEK_END);
	size_t name = strlen(child->name);
	char buf[1024], *line;
	ssize_t n;

	words[0] = '\0';
	if (end > (off_t)sizeof(buf) - 1)
		end -= (off_t)sizeof(buf) - 1;
	else
		end = 0;
	n = pread(child->talk, buf, sizeof(buf) - 1, end);
	while (n > 0 && (unsigned char)buf[n - 1] <= ' ')
		n--;
	if (n <= 0)
		return;
	buf[n] = '\0';
	line = strrchr(buf, '\n');
	line = line == NULL ? buf : line + 1;
	line += strspn(line, " \t");
	if (strncmp(line, child->name, name) == 0 && line[name] == ':')
		line += name + 1 + strspn(line + name + 1, " ");
	snprintf(words, size, "%s", line);
}

/* Its status as a failure of ours. */
static int
judge(const struct vmf_child *child, struct vmf_error *err)
{
	char words[512];

	if (WIFEXITED(child->status) && WEXITSTATUS(child->status) == 0)
		return 0;
	last_words(child, words, sizeof(words));
	if (words[0] != '\0')
		return vmf_fail(err, VMF_IO, "%s: %s", child->name, words);
	if (WIFSIGNALED(child->status))
		return vmf_fail(err, VMF_IO, "%s: ended by signal %d",
		    child->name, WTERMSIG(child->status));
	return vmf_fail(err, VMF_IO, "%s: failed with status %d", child->name,
	    WEXITSTATUS(child->status));
}

static double
seconds_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* ---- to its end
 * --------------------------------------------------------------- */

struct text {
	char *p;
	size_t len, room;
};

/* What it has written since; 0 at the end of it. */
static ssize_t
take_text(int fd, struct text *t, const char *name, struct vmf_error *err)
{
	ssize_t n;
	char *p;

	if (t->room - t->len < 4097) {
		if (t->room > TEXT_MAX)
			return vmf_fail(err, VMF_IO, "%s: says too much", name);
		p = realloc(t->p, 2 * t->room + 8192);
		if (p == NULL)
			return vmf_fail_errno(err, VMF_IO, "%s", name);
		t->p = p;
		t->room = 2 * t->room + 8192;
	}
	n = read(fd, t->p + t->len, 4096);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN
			   ? 1
			   : vmf_fail_errno(err, VMF_IO, "%s", name);
	t->len += (size_t)n;
	t->p[t->len] = '\0';
	return n;
}

/* Until its output (fd >= 0) or itself ends; what it says goes to t. */
static int
attend(struct vmf_child *child, const struct vmf_run *run, int fd,
    struct text *t, struct vmf_error *err)
{
	double until =
	    seconds_now() + (run->seconds != 0 ? run->seconds : SECONDS);
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	bool open_end = fd >= 0;
	ssize_t n;
	int tick = 1;
	pid_t pid;

	for (;;) {
		if (vmf_progress_check(run->progress, err) < 0)
			return -1;
		if (seconds_now() > until)
			return vmf_fail(err, VMF_IO, "%s: did not end in time",
			    child->name);
		if (poll(&ready, open_end ? 1 : 0, tick) > 0) {
			n = take_text(fd, t, child->name, err);
			if (n < 0)
				return -1;
			open_end = n > 0;
			continue;
		}
		pid = waitpid(child->pid, &child->status, WNOHANG);
		if (pid == child->pid) {
			child->pid = 0;
			break;
		}
		tick = tick < TICK_MS ? 2 * tick : TICK_MS;
	}
	/* What is left in the pipe; a grandchild may keep it open. */
	while (open_end && poll(&ready, 1, 0) > 0 && (ready.revents & POLLIN))
		if ((n = take_text(fd, t, child->name, err)) < 0)
			return -1;
	return 0;
}

int
vmf_run(
    const struct vmf_run *run, char **text, int *status, struct vmf_error *err)
{
	struct vmf_child *child = new_child(err);
	int fds[2] = {-1, -1}, rc = -1;
	struct text t = {0};

	if (child == NULL)
		return -1;
	if (run->out == 0 && pipe2(fds, O_CLOEXEC) < 0) {
		vmf_fail_errno(err, VMF_IO, "pipe");
		goto out;
	}
	if (start(child, run, run->out != 0 ? run->out : fds[1], -1, err) < 0)
		goto out;
	if (fds[1] >= 0) {
		close(fds[1]);
		fds[1] = -1;
		fcntl(fds[0], F_SETFL, O_NONBLOCK);
	}
	if (attend(child, run, fds[0], &t, err) < 0)
		goto out;
	if (status != NULL)
		*status =
		    WIFEXITED(child->status) ? WEXITSTATUS(child->status) : -1;
	rc = judge(child, err);
	if (rc == 0 && text != NULL) {
		*text = t.p != NULL ? t.p : strdup("");
		t.p = NULL;
		if (*text == NULL)
			rc = vmf_fail_errno(err, VMF_IO, "%s", run->argv[0]);
	}
out:
	free(t.p);
	if (fds[0] >= 0)
		close(fds[0]);
	if (fds[1] >= 0)
		close(fds[1]);
	vmf_child_free(child);
	return rc;
}

/* ---- servers ---------------------------------------------------------------
 */

struct vmf_child *
vmf_child_start(const struct vmf_run *run, int socket, struct vmf_error *err)
{
	struct vmf_child *child = new_child(err);

	if (child == NULL)
		return NULL;
	if (start(child, run, run->out != 0 ? run->out : child->talk, socket,
		err) < 0) {
		vmf_child_free(child);
		return NULL;
	}
	return child;
}

int
vmf_child_check(struct vmf_child *child, struct vmf_error *err)
{
	if (child->pid != 0 &&
	    waitpid(child->pid, &child->status, WNOHANG) != child->pid)
		return 0;
	child->pid = 0;
	if (judge(child, err) < 0)
		return -1;
	return vmf_fail(err, VMF_IO, "%s: ended early", child->name);
}

int
vmf_child_wait(struct vmf_child *child, unsigned seconds, struct vmf_error *err)
{
	struct vmf_run run = {.seconds = seconds};

	if (child->pid != 0 && attend(child, &run, -1, NULL, err) < 0)
		return -1;
	return judge(child, err);
}

void
vmf_child_free(struct vmf_child *child)
{
	if (child == NULL)
		return;
	kill_child(child);
	close(child->talk);
	free(child);
}
