/* remote.c - see remote.h */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include <vmferry/io.h>
#include <vmferry/units.h>

#include "cli.h"
#include "remote.h"

#define MAX_PASSPHRASE 1024

int
remote_option(int opt, const char *arg, struct remote *remote)
{
	uint64_t n;

	switch (opt) {
	case 'i':
		remote->identity = arg;
		return 0;
	case REMOTE_OPT_ACCEPT_NEW:
		remote->accept_new = true;
		return 0;
	case REMOTE_OPT_TIMEOUT:
		if (cli_number("--timeout", arg, 1, 86400, &n) < 0)
			return VMF_USAGE;
		remote->timeout = (unsigned)n;
		return 0;
	default:
		return -1;
	}
}

/* --- passphrases: asked once for each key, whatever thread wants it */

static struct {
	pthread_mutex_t mutex;
	char key[4096];
	char text[MAX_PASSPHRASE];
	bool known;
} cache = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* From the terminal, without echo; false: there is none. */
static bool
ask_terminal(const char *prompt, char *text, size_t size)
{
	struct termios old, quiet;
	bool got = false;
	size_t n = 0;
	char c;
	int fd;

	fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return false;
	if (tcgetattr(fd, &old) < 0)
		goto out;
	quiet = old;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	quiet.c_lflag |= ECHONL;
	tcsetattr(fd, TCSAFLUSH, &quiet);
	if (vmf_write_full(fd, prompt, strlen(prompt), NULL) == 0)
		while (read(fd, &c, 1) == 1) {
			if (c == '\n') {
				got = true;
				break;
			}
			if (n + 1 < size)
				text[n++] = c;
		}
	tcsetattr(fd, TCSAFLUSH, &old);
	text[n] = '\0';
out:
	close(fd);
	return got;
}

/* From the program that SSH_ASKPASS names, as ssh does. */
static bool
ask_program(const char *prompt, char *text, size_t size)
{
	const char *program = getenv("SSH_ASKPASS");
	size_t got = 0;
	int fds[2], status = -1;
	pid_t pid;

	if (program == NULL || program[0] == '\0' || pipe2(fds, O_CLOEXEC) < 0)
		return false;
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], STDOUT_FILENO);
		execlp(program, program, prompt, (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	if (pid > 0 && vmf_read_full(fds[0], text, size - 1, &got, NULL) < 0)
		got = 0;
	close(fds[0]);
	if (pid > 0)
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	text[got] = '\0';
	text[strcspn(text, "\r\n")] = '\0';
	return status == 0;
}

static char *
passphrase(void *ctx, const char *key)
{
	char prompt[4200], *copy = NULL;

	(void)ctx;
	pthread_mutex_lock(&cache.mutex);
	if (!cache.known || strcmp(cache.key, key) != 0) {
		snprintf(prompt, sizeof(prompt), "Passphrase for %s: ", key);
		snprintf(cache.key, sizeof(cache.key), "%s", key);
		cache.known =
		    ask_terminal(prompt, cache.text, sizeof(cache.text)) ||
		    ask_program(prompt, cache.text, sizeof(cache.text));
	}
	if (cache.known)
		copy = strdup(cache.text);
	pthread_mutex_unlock(&cache.mutex);
	return copy;
}

/* --- the whole */

int
remote_resolve(struct remote *remote, const struct vmf_location *loc,
    struct vmf_progress *progress, struct vmf_error *err)
{
	struct passwd *pw = getpwuid(geteuid());
	struct vmf_ssh_query query = {.host = loc->host,
	    .user = loc->user,
	    .port = loc->port,
	    .identity = remote->identity,
	    .home = getenv("HOME"),
	    .agent = getenv("SSH_AUTH_SOCK")};

	if (query.home == NULL || query.home[0] != '/')
		query.home = pw != NULL ? pw->pw_dir : "/";
	if (query.agent != NULL && query.agent[0] == '\0')
		query.agent = NULL;
	memset(&remote->ssh, 0, sizeof(remote->ssh));
	if (vmf_ssh_global_init(err) < 0)
		return -1;
	remote->config = vmf_ssh_config_resolve(&query, &remote->ssh, err);
	if (remote->config == NULL)
		return -1;
	remote->ssh.accept_new = remote->accept_new;
	remote->ssh.connect_timeout = remote->timeout;
	remote->ssh.stall_timeout = remote->timeout;
	remote->ssh.passphrase = passphrase;
	remote->ssh.progress = progress;
	return 0;
}

void
remote_clear(struct remote *remote)
{
	vmf_ssh_config_free(remote->config);
	remote->config = NULL;
	pthread_mutex_lock(&cache.mutex);
	OPENSSL_cleanse(cache.text, sizeof(cache.text));
	cache.known = false;
	pthread_mutex_unlock(&cache.mutex);
}
