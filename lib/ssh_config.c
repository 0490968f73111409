/* ssh_config.c - ssh_config(5) as the installed ssh reads it: `ssh -G` */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vmferry/io.h>
#include <vmferry/shell.h>
#include <vmferry/units.h>

#include "ssh_internal.h"

#define SSH	   "/usr/bin/ssh"
#define MAX_OUTPUT (256 * 1024)
#define MAX_LIST   64
#define LINE_LEN   1024

struct vmf_ssh_config {
	const struct vmf_ssh_query *query;
	char *account_home; /* what ssh takes for ~ */
	char *user_config;  /* given to ssh -F, or NULL */
	char *host, *user, *alias, *proxy_command, *proxy_jump, *agent;
	uint16_t port;
	char *identities[MAX_LIST + 1];
	size_t n_identities;
	char *known_hosts[MAX_LIST + 1];
	size_t n_known_hosts;
	bool hash_known_hosts, identities_only;
};

/* --- running ssh -G */

static int
read_all(int fd, char *buf, size_t size, struct vmf_error *err)
{
	size_t got;

	if (vmf_read_full(fd, buf, size - 1, &got, err) < 0)
		return -1;
	buf[got] = '\0';
	if (got == size - 1)
		return vmf_fail(err, VMF_IO, "ssh -G says too much");
	return 0;
}

/* Both its output and its complaints: one of them is read. */
static int
spawn_ssh(char *const argv[], const char *home, int out, int talk, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	char *env[4], home_var[4096];
	int rc;

	snprintf(home_var, sizeof(home_var), "HOME=%s", home);
	env[0] = home_var;
	env[1] = (char *)"PATH=/usr/local/bin:/usr/bin:/bin";
	env[2] = NULL;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(
	    &actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, talk, STDERR_FILENO);
	rc = posix_spawn(pid, SSH, &actions, NULL, argv, env);
	posix_spawn_file_actions_destroy(&actions);
	return rc;
}

static int
run_ssh(char *const argv[], const char *home, char *buf, size_t size,
    struct vmf_error *err)
{
	int fds[2] = {-1, -1}, talk, status = 0, rc = -1;
	char said[512] = "";
	pid_t pid = -1;
	ssize_t n;

	talk = vmf_scratch_open(NULL, err);
	if (talk < 0)
		return -1;
	if (pipe2(fds, O_CLOEXEC) < 0) {
		vmf_fail_errno(err, VMF_IO, "pipe");
		goto out;
	}
	rc = spawn_ssh(argv, home, fds[1], talk, &pid);
	close(fds[1]);
	if (rc != 0) {
		errno = rc;
		rc = vmf_fail_errno(
		    err, VMF_IO, SSH ": install the OpenSSH client");
		goto out;
	}
	rc = read_all(fds[0], buf, size, err);
	close(fds[0]);
	fds[0] = -1;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (rc == 0 && status != 0) {
		n = pread(talk, said, sizeof(said) - 1, 0);
		said[n > 0 ? n : 0] = '\0';
		said[strcspn(said, "\r\n")] = '\0';
		rc = vmf_fail(err, VMF_USAGE, "ssh configuration: %s", said);
	}
out:
	if (fds[0] >= 0)
		close(fds[0]);
	close(talk);
	return rc;
}

/* --- what it said */

/*
 * ssh takes ~ from the account, whatever HOME says.  Where they differ (sudo,
 * tests), the user's own files are meant to be those under HOME.
 */
static char *
under_home(const struct vmf_ssh_config *c, const char *path)
{
	const char *home = c->query->home, *account = c->account_home;
	size_t n = strlen(account);
	char *out;

	if (strncmp(path, "~/", 2) == 0)
		path += 1;
	else if (strcmp(home, account) != 0 && strncmp(path, account, n) == 0 &&
		 strncmp(path + n, "/.ssh/", 6) == 0)
		path += n;
	else
		return strdup(path);
	return asprintf(&out, "%s%s", home, path) < 0 ? NULL : out;
}

static void
replace(char **slot, const char *value)
{
	free(*slot);
	*slot = strdup(value);
}

static void
add_path(
    const struct vmf_ssh_config *c, char **list, size_t *n, const char *path)
{
	if (*n < MAX_LIST && (list[*n] = under_home(c, path)) != NULL)
		(*n)++;
}

/* File names are separated by blanks and not quoted: so ssh -G prints them. */
static void
add_paths(struct vmf_ssh_config *c, char *value)
{
	char *save = NULL, *word;

	for (word = strtok_r(value, " ", &save); word != NULL;
	     word = strtok_r(NULL, " ", &save))
		if (strcmp(word, "none") != 0)
			add_path(c, c->known_hosts, &c->n_known_hosts, word);
}

/* Only /dev/null-like values and names may be absent from the output. */
static void
take_line(struct vmf_ssh_config *c, const char *key, char *value, char **global)
{
	uint64_t n;

	if (strcmp(key, "hostname") == 0)
		replace(&c->host, value);
	else if (strcmp(key, "user") == 0)
		replace(&c->user, value);
	else if (strcmp(key, "port") == 0 &&
		 vmf_parse_number(value, 1, 65535, &n, NULL) == 0)
		c->port = (uint16_t)n;
	else if (strcmp(key, "hostkeyalias") == 0)
		replace(&c->alias, value);
	else if (strcmp(key, "identityfile") == 0 &&
		 strcmp(value, "none") != 0 && c->query->identity == NULL)
		add_path(c, c->identities, &c->n_identities, value);
	else if (strcmp(key, "identitiesonly") == 0)
		c->identities_only = strcmp(value, "yes") == 0;
	else if (strcmp(key, "identityagent") == 0)
		replace(&c->agent, value);
	else if (strcmp(key, "userknownhostsfile") == 0)
		add_paths(c, value);
	else if (strcmp(key, "globalknownhostsfile") == 0)
		replace(global, value);
	else if (strcmp(key, "hashknownhosts") == 0)
		c->hash_known_hosts = strcmp(value, "yes") == 0;
	else if (strcmp(key, "proxycommand") == 0 && strcmp(value, "none") != 0)
		replace(&c->proxy_command, value);
	else if (strcmp(key, "proxyjump") == 0 && strcmp(value, "none") != 0)
		replace(&c->proxy_jump, value);
}

static void
take_output(struct vmf_ssh_config *c, char *text)
{
	char *line, *save = NULL, *value, *global = NULL;

	for (line = strtok_r(text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		value = strchr(line, ' ');
		if (value == NULL)
			continue;
		*value++ = '\0';
		take_line(c, line, value, &global);
	}
	/* The user's file comes first: it takes what is accepted. */
	if (global != NULL)
		add_paths(c, global);
	free(global);
}

/* --- proxies */

struct text {
	char s[8192];
	size_t len;
	bool full;
};

static void
put(struct text *t, const char *s)
{
	size_t n = strlen(s);

	if (t->len + n >= sizeof(t->s)) {
		t->full = true;
		return;
	}
	memcpy(t->s + t->len, s, n + 1);
	t->len += n;
}

/* %h %n %p %r %% as ssh_config(5) TOKENS allows in ProxyCommand. */
static int
expand_command(
    struct vmf_ssh_config *c, const char *command, struct vmf_error *err)
{
	char port[8], one[2] = "";
	struct text t = {.len = 0};

	snprintf(port, sizeof(port), "%u", c->port);
	put(&t, "exec ");
	for (; *command != '\0'; command++) {
		if (*command != '%') {
			one[0] = *command;
			put(&t, one);
			continue;
		}
		switch (*++command) {
		case 'h':
			put(&t, c->host);
			break;
		case 'n':
			put(&t, c->query->host);
			break;
		case 'p':
			put(&t, port);
			break;
		case 'r':
			put(&t, c->user);
			break;
		case '%':
			put(&t, "%");
			break;
		default:
			return vmf_fail(err, VMF_USAGE,
			    "%s: ProxyCommand: a token other than %%h %%n %%p "
			    "%%r %%%% is not understood",
			    c->query->host);
		}
	}
	if (t.full)
		return vmf_fail(err, VMF_USAGE, "%s: ProxyCommand: too long",
		    c->query->host);
	replace(&c->proxy_command, t.s);
	return 0;
}

/* ssh -J FIRST,... -W [HOST]:PORT ssh://LAST */
static int
jump_command(struct vmf_ssh_config *c, struct vmf_error *err)
{
	char *last = strrchr(c->proxy_jump, ','), *quoted, *uri = NULL,
	     *target = NULL;
	const char *words[12];
	size_t n = 0;

	words[n++] = SSH;
	if (c->user_config != NULL) {
		words[n++] = "-F";
		words[n++] = c->user_config;
	}
	if (last != NULL) {
		*last++ = '\0';
		words[n++] = "-J";
		words[n++] = c->proxy_jump;
	} else {
		last = c->proxy_jump;
	}
	if (asprintf(&uri, "%s%s",
		strncmp(last, "ssh://", 6) == 0 ? "" : "ssh://", last) < 0 ||
	    asprintf(&target, "[%s]:%u", c->host, c->port) < 0)
		return vmf_fail_errno(err, VMF_IO, "ProxyJump");
	words[n++] = "-W";
	words[n++] = target;
	words[n++] = "--";
	words[n++] = uri;
	words[n] = NULL;
	quoted = vmf_shell_join(words, err);
	free(uri);
	free(target);
	if (quoted == NULL)
		return -1;
	free(c->proxy_command);
	if (asprintf(&c->proxy_command, "exec %s", quoted) < 0) {
		c->proxy_command = NULL;
		vmf_fail_errno(err, VMF_IO, "ProxyJump");
	}
	free(quoted);
	return c->proxy_command != NULL ? 0 : -1;
}

/* --- the whole */

static int
find_homes(struct vmf_ssh_config *c, struct vmf_error *err)
{
	const struct vmf_ssh_query *q = c->query;
	struct passwd *pw = getpwuid(geteuid());
	char *path;

	c->account_home = strdup(pw != NULL ? pw->pw_dir : q->home);
	if (c->account_home == NULL)
		return vmf_fail_errno(err, VMF_IO, "ssh configuration");
	if (strcmp(c->account_home, q->home) == 0)
		return 0;
	if (asprintf(&path, "%s/.ssh/config", q->home) < 0)
		return vmf_fail_errno(err, VMF_IO, "ssh configuration");
	if (access(path, R_OK) == 0) {
		c->user_config = path;
		return 0;
	}
	free(path);
	c->user_config = strdup("/etc/ssh/ssh_config");
	if (c->user_config != NULL && access(c->user_config, R_OK) != 0)
		replace(&c->user_config, "none");
	return 0;
}

static int
ask_ssh(struct vmf_ssh_config *c, struct vmf_error *err)
{
	const struct vmf_ssh_query *q = c->query;
	char *argv[12], port[8], *buf = malloc(MAX_OUTPUT);
	size_t n = 0;
	int rc;

	if (buf == NULL)
		return vmf_fail_errno(err, VMF_IO, "ssh configuration");
	argv[n++] = (char *)"ssh";
	argv[n++] = (char *)"-G";
	if (c->user_config != NULL) {
		argv[n++] = (char *)"-F";
		argv[n++] = c->user_config;
	}
	if (q->user != NULL) {
		argv[n++] = (char *)"-l";
		argv[n++] = (char *)q->user;
	}
	if (q->port != 0) {
		snprintf(port, sizeof(port), "%u", q->port);
		argv[n++] = (char *)"-p";
		argv[n++] = port;
	}
	argv[n++] = (char *)"--";
	argv[n++] = (char *)q->host;
	argv[n] = NULL;
	rc = run_ssh(argv, q->home, buf, MAX_OUTPUT, err);
	if (rc == 0)
		take_output(c, buf);
	free(buf);
	if (rc == 0 && (c->host == NULL || c->user == NULL || c->port == 0))
		rc = vmf_fail(err, VMF_IO, "ssh -G names no host");
	return rc;
}

static void
fill_options(struct vmf_ssh_config *c, struct vmf_ssh_options *o)
{
	const struct vmf_ssh_query *q = c->query;

	if (q->identity != NULL)
		c->identities[c->n_identities++] = strdup(q->identity);
	o->host = c->host;
	o->port = c->port;
	o->user = c->user;
	o->alias = c->alias;
	o->proxy_command = c->proxy_command;
	o->known_hosts = (const char *const *)c->known_hosts;
	o->hash_known_hosts = c->hash_known_hosts;
	o->identities = (const char *const *)c->identities;
	o->identities_named = q->identity != NULL;
	o->identities_only = c->identities_only;
	o->agent = q->agent;
	if (c->agent != NULL && strcmp(c->agent, "none") == 0)
		o->agent = NULL;
	else if (c->agent != NULL && c->agent[0] == '/')
		o->agent = c->agent;
}

struct vmf_ssh_config *
vmf_ssh_config_resolve(const struct vmf_ssh_query *query,
    struct vmf_ssh_options *options, struct vmf_error *err)
{
	struct vmf_ssh_config *c = calloc(1, sizeof(*c));
	int rc = 0;

	if (c == NULL) {
		vmf_fail_errno(err, VMF_IO, "ssh configuration");
		return NULL;
	}
	c->query = query;
	if (find_homes(c, err) < 0 || ask_ssh(c, err) < 0)
		goto fail;
	if (c->proxy_jump != NULL)
		rc = jump_command(c, err);
	else if (c->proxy_command != NULL)
		rc = expand_command(c, c->proxy_command, err);
	if (rc < 0)
		goto fail;
	fill_options(c, options);
	c->query = NULL;
	return c;
fail:
	vmf_ssh_config_free(c);
	return NULL;
}

void
vmf_ssh_config_free(struct vmf_ssh_config *c)
{
	size_t i;

	if (c == NULL)
		return;
	for (i = 0; i < c->n_identities; i++)
		free(c->identities[i]);
	for (i = 0; i < c->n_known_hosts; i++)
		free(c->known_hosts[i]);
	free(c->account_home);
	free(c->user_config);
	free(c->host);
	free(c->user);
	free(c->alias);
	free(c->proxy_command);
	free(c->proxy_jump);
	free(c->agent);
	free(c);
}
