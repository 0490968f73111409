/* test_ssh.c - known_hosts, quoting, and commands over a real sshd */
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>

#include <vmferry/exec.h>
#include <vmferry/io.h>
#include <vmferry/knownhosts.h>
#include <vmferry/shell.h>

#include "test.h"

static struct vmf_error err;

/* --- quoting */

static void
words_survive_a_shell(void)
{
	static const char *const words[] = {"plain", "", "a b", "'", "''", "\"",
	    "$(touch x)", "`touch x`", ";touch x", "a\nb", "-n", "--", "\\",
	    "$HOME", "*", "~", "\xff\xfe\x80", "a'b\"c$d", "!", "#", "\t"};
	char *quoted, *command, *text;
	size_t len;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		quoted = vmf_shell_quote(words[i], &err);
		CU_ASSERT_PTR_NOT_NULL_FATAL(quoted);
		if (asprintf(&command, "cd '%s' && printf %%s %s >word",
			test_dir(), quoted) < 0)
			abort();
		CU_ASSERT_EQUAL(system(command), 0);
		text = vmf_read_file(test_path("word"), 100, &len, &err);
		CU_ASSERT_PTR_NOT_NULL_FATAL(text);
		CU_ASSERT_EQUAL(len, strlen(words[i]));
		CU_ASSERT_STRING_EQUAL(text, words[i]);
		free(text);
		free(command);
		free(quoted);
	}
	CU_ASSERT_NOT_EQUAL(access(test_path("x"), F_OK), 0);
}

/* --- known_hosts */

struct key {
	uint8_t blob[4096];
	size_t len;
	char line[8000]; /* "ssh-ed25519 AAAA..." */
};

/* A key pair made by ssh-keygen; false: it is not installed. */
static bool
make_key(const char *name, const char *type, struct key *key)
{
	char command[1024], *text, *b64;
	int n;

	snprintf(command, sizeof(command),
	    "test -e '%s' || ssh-keygen -q -t %s -N '' -C x -f '%s'",
	    test_path(name), type, test_path(name));
	if (system(command) != 0)
		return false;
	snprintf(command, sizeof(command), "%s.pub", name);
	text = vmf_read_file(test_path(command), 8000, NULL, &err);
	if (text == NULL)
		return false;
	b64 = strchr(text, ' ') + 1;
	*strchr(b64, ' ') = '\0';
	snprintf(key->line, sizeof(key->line), "%s", text);
	n = EVP_DecodeBlock(key->blob, (unsigned char *)b64, (int)strlen(b64));
	while (b64[strlen(b64) - 1] == '=') {
		b64[strlen(b64) - 1] = '\0';
		n--;
	}
	key->len = (size_t)n;
	free(text);
	return true;
}

static enum vmf_knownhosts_verdict
judge(const char *text, const char *host, uint16_t port, const struct key *key)
{
	const char *paths[] = {test_path("kh"), test_path("nosuch"), NULL};
	enum vmf_knownhosts_verdict v;
	struct vmf_knownhosts *kh;
	char where[256];

	CU_ASSERT_EQUAL_FATAL(
	    vmf_write_file(paths[0], text, strlen(text), true, &err), 0);
	kh = vmf_knownhosts_load(paths, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(kh);
	v = vmf_knownhosts_check(
	    kh, host, port, key->blob, key->len, where, sizeof(where));
	vmf_knownhosts_free(kh);
	return v;
}

static void
hosts_are_recognised(void)
{
	struct key a, b, rsa;
	char text[40000];

	if (!make_key("a", "ed25519", &a) || !make_key("b", "ed25519", &b) ||
	    !make_key("r", "rsa", &rsa))
		return;
#define IS(verdict, host, port, key, ...)                                      \
	do {                                                                   \
		snprintf(text, sizeof(text), __VA_ARGS__);                     \
		CU_ASSERT_EQUAL(                                               \
		    judge(text, host, port, key), VMF_KNOWNHOSTS_##verdict);   \
	} while (0)
	IS(UNKNOWN, "h", 22, &a, "%s", "");
	IS(MATCH, "h", 22, &a, "h %s\n", a.line);
	IS(MATCH, "H", 22, &a, "h %s", a.line);
	IS(MATCH, "h", 22, &a, "g,h\t%s comment here\r\n", a.line);
	IS(UNKNOWN, "h", 22, &a, "#h %s\n", a.line);
	IS(UNKNOWN, "hh", 22, &a, "h %s\n", a.line);
	IS(CHANGED, "h", 22, &b, "h %s\n", a.line);
	IS(MATCH, "h", 22, &b, "h %s\nh %s\n", a.line, b.line);
	IS(OTHER_TYPE, "h", 22, &rsa, "h %s\n", a.line);
	IS(CHANGED, "h", 22, &b, "h %s\nh %s\n", a.line, rsa.line);
	IS(CHANGED, "h", 22, &b, "h %s\nh %s\n", rsa.line, a.line);
	IS(MATCH, "h", 2222, &a, "[h]:2222 %s\n", a.line);
	IS(UNKNOWN, "h", 22, &a, "[h]:2222 %s\n", a.line);
	IS(UNKNOWN, "h", 2223, &a, "[h]:2222 %s\n", a.line);
	IS(MATCH, "h", 2222, &a, "h %s\n", a.line);
	IS(UNKNOWN, "h", 2222, &b, "h %s\n", a.line);
	IS(CHANGED, "h", 2222, &b, "h %s\n[h]:2222 %s\n", b.line, a.line);
	IS(MATCH, "2001:db8::1", 22, &a, "2001:db8::1 %s\n", a.line);
	IS(MATCH, "w3.example.org", 22, &a, "*.example.org %s\n", a.line);
	IS(MATCH, "w3", 22, &a, "w? %s\n", a.line);
	IS(UNKNOWN, "w3", 22, &a, "!w3,w? %s\n", a.line);
	IS(UNKNOWN, "w3", 22, &a, "w?,!w3 %s\n", a.line);
	IS(REVOKED, "h", 22, &a, "h %s\n@revoked * %s\n", a.line, a.line);
	IS(REVOKED, "h", 22, &a, "@revoked h %s\nh %s\n", a.line, a.line);
	IS(MATCH, "h", 22, &a, "@revoked h %s\nh %s\n", b.line, a.line);
	IS(REVOKED, "h", 2222, &a, "@revoked h %s\n[h]:2222 x\n", a.line);
	IS(UNKNOWN, "h", 22, &a, "@cert-authority h %s\n", a.line);
	IS(UNKNOWN, "h", 22, &a, "h\n\nh \n  \nh ssh-ed25519\n|1|\n|1||\n");
	IS(CHANGED, "h", 22, &a, "h ssh-ed25519 ????\n");
	IS(UNKNOWN, "h", 22, &a, "|1|x|y %s\n|2|a|b %s\n", a.line, a.line);
#undef IS
}

static void
hashed_names_are_recognised(void)
{
	char path[256];
	const char *paths[] = {path, NULL};
	struct vmf_knownhosts *kh;
	char command[1024], types[256], *text;
	struct key a, e;

	snprintf(path, sizeof(path), "%s", test_path("kh"));

	if (!make_key("a", "ed25519", &a) || !make_key("e", "ecdsa", &e))
		return;
	if (asprintf(&text, "h %s\n[h]:2222 %s\n", a.line, e.line) < 0)
		abort();
	CU_ASSERT_EQUAL(
	    vmf_write_file(paths[0], text, strlen(text), true, &err), 0);
	free(text);
	snprintf(command, sizeof(command),
	    "ssh-keygen -q -H -f '%s' >'%s' 2>&1", paths[0], test_path("log"));
	CU_ASSERT_EQUAL(system(command), 0);
	/* and one of our own beside those of ssh-keygen */
	CU_ASSERT_EQUAL(vmf_knownhosts_append(
			    paths[0], "other", 2200, a.blob, a.len, true, &err),
	    0);
	snprintf(command, sizeof(command),
	    "ssh-keygen -F '[other]:2200' -f '%s' >'%s'", paths[0],
	    test_path("log"));
	CU_ASSERT_EQUAL(system(command), 0);
	kh = vmf_knownhosts_load(paths, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(kh);
	CU_ASSERT_EQUAL(
	    vmf_knownhosts_check(kh, "h", 22, a.blob, a.len, NULL, 0),
	    VMF_KNOWNHOSTS_MATCH);
	CU_ASSERT_EQUAL(
	    vmf_knownhosts_check(kh, "h", 2222, e.blob, e.len, NULL, 0),
	    VMF_KNOWNHOSTS_MATCH);
	CU_ASSERT_EQUAL(
	    vmf_knownhosts_check(kh, "other", 2200, a.blob, a.len, NULL, 0),
	    VMF_KNOWNHOSTS_MATCH);
	CU_ASSERT_EQUAL(
	    vmf_knownhosts_check(kh, "other", 22, a.blob, a.len, NULL, 0),
	    VMF_KNOWNHOSTS_UNKNOWN);
	vmf_knownhosts_types(kh, "h", 22, types, sizeof(types));
	CU_ASSERT_STRING_EQUAL(types, "ssh-ed25519");
	vmf_knownhosts_types(kh, "h", 2222, types, sizeof(types));
	CU_ASSERT_STRING_EQUAL(types, "ssh-ed25519,ecdsa-sha2-nistp256");
	vmf_knownhosts_types(kh, "nobody", 22, types, sizeof(types));
	CU_ASSERT_STRING_EQUAL(types, "");
	vmf_knownhosts_free(kh);
}

static void
a_file_that_cannot_be_read_is_a_failure(void)
{
	const char *paths[] = {test_dir(), NULL};

	CU_ASSERT_PTR_NULL(vmf_knownhosts_load(paths, &err));
	CU_ASSERT_EQUAL(err.class, VMF_AUTH);
}

static void
appending_mends_a_last_line_without_end(void)
{
	struct key a;
	char *text;

	if (!make_key("a", "ed25519", &a))
		return;
	CU_ASSERT_EQUAL(
	    vmf_write_file(test_path("kh"), "# x", 3, true, &err), 0);
	CU_ASSERT_EQUAL(vmf_knownhosts_append(test_path("kh"), "Host", 2222,
			    a.blob, a.len, false, &err),
	    0);
	text = vmf_read_file(test_path("kh"), 10000, NULL, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	CU_ASSERT_EQUAL(
	    strncmp(text, "# x\n[host]:2222 ssh-ed25519 AAAA", 32), 0);
	free(text);
	ASSERT_FAILS(vmf_knownhosts_append(
			 test_path("kh"), "h", 22, "\0\0", 2, false, &err),
	    VMF_AUTH);
}

/* --- commands, over an sshd of our own */

static pid_t sshd;
static unsigned port;

static bool
start_sshd(void)
{
	struct key host, user;
	char text[9000], path[256], command[1024];

	if (sshd > 0)
		return true;
	if (access("/usr/sbin/sshd", X_OK) < 0 ||
	    !make_key("a", "ed25519", &host) ||
	    !make_key("u", "ed25519", &user))
		return false;
	if (getuid() == 0 && system("mkdir -p /run/sshd") != 0)
		return false;
	port = 20000 + (unsigned)getpid() % 12000;
	snprintf(path, sizeof(path), "%s", test_dir());
	snprintf(text, sizeof(text),
	    "Port %u\nListenAddress 127.0.0.1\nHostKey %s/a\n"
	    "AuthorizedKeysFile %s/u.pub\nStrictModes no\nUsePAM no\n"
	    /* no shell files of whoever runs this */
	    "SetEnv HOME=/nonexistent\n"
	    "UseDNS no\nPidFile none\nPermitRootLogin prohibit-password\n",
	    port, path, path);
	CU_ASSERT_EQUAL(vmf_write_file(test_path("sshd_config"), text,
			    strlen(text), true, &err),
	    0);
	snprintf(text, sizeof(text), "[127.0.0.1]:%u %s\n", port, host.line);
	CU_ASSERT_EQUAL(
	    vmf_write_file(test_path("known"), text, strlen(text), true, &err),
	    0);
	sshd = fork();
	if (sshd == 0) {
		/* Neither outlives a test that crashes nor holds its pipe. */
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (freopen(test_path("sshd_out"), "w", stdout) != NULL)
			dup2(STDOUT_FILENO, STDERR_FILENO);
		execl("/usr/sbin/sshd", "/usr/sbin/sshd", "-D", "-f",
		    test_path("sshd_config"), "-E", test_path("sshd_log"),
		    (char *)NULL);
		_exit(127);
	}
	snprintf(command, sizeof(command),
	    "for i in $(seq 100); do grep -q listening '%s' 2>/dev/null && "
	    "exit 0; sleep 0.05; done; exit 1",
	    test_path("sshd_log"));
	return system(command) == 0;
}

static struct vmf_ssh *
log_in(void)
{
	static char key[256], known_path[256];
	static const char *known[] = {known_path, NULL};
	static const char *identities[] = {key, NULL};
	struct passwd *pw = getpwuid(getuid());
	struct vmf_ssh_options o = {.host = "127.0.0.1",
	    .user = pw->pw_name,
	    .known_hosts = known,
	    .identities = identities,
	    .identities_named = true,
	    .stall_timeout = 10};
	struct vmf_ssh *ssh;

	if (!start_sshd())
		return NULL;
	o.port = (uint16_t)port;
	snprintf(key, sizeof(key), "%s", test_path("u"));
	snprintf(known_path, sizeof(known_path), "%s", test_path("known"));
	CU_ASSERT_EQUAL(vmf_ssh_global_init(&err), 0);
	ssh = vmf_ssh_open(&o, &err);
	if (ssh == NULL)
		fprintf(stderr, "ssh: %s\n", err.msg);
	CU_ASSERT_PTR_NOT_NULL(ssh);
	return ssh;
}

struct sink {
	uint8_t *p;
	size_t len, max;
};

static int
keep(void *ctx, const void *buf, size_t len, struct vmf_error *e)
{
	struct sink *s = ctx;

	if (len > s->max - s->len)
		return vmf_fail(e, VMF_INTERNAL, "too much");
	memcpy(s->p + s->len, buf, len);
	s->len += len;
	return 0;
}

static int
give(void *ctx, void *buf, size_t len, size_t *got, struct vmf_error *e)
{
	struct sink *s = ctx;

	(void)e;
	*got = len < s->max - s->len ? len : s->max - s->len;
	memcpy(buf, s->p + s->len, *got);
	s->len += *got;
	return 0;
}

static void
both_directions_flow_at_once(void)
{
	struct vmf_ssh *ssh = log_in();
	const size_t len = 12 * 1024 * 1024 + 5;
	struct sink from = {calloc(1, len), 0, len};
	struct sink to = {malloc(len), 0, len};
	struct vmf_in in = {give, &from};
	struct vmf_out out = {keep, &to};
	struct vmf_exec_status status;

	if (ssh == NULL)
		goto out;
	for (size_t i = 0; i < len; i++)
		from.p[i] = (uint8_t)(i * 7 + i / 251);
	CU_ASSERT_EQUAL(vmf_exec_run(ssh, "cat", &in, &out, &status, &err), 0);
	CU_ASSERT_EQUAL(status.status, 0);
	CU_ASSERT_EQUAL(to.len, len);
	CU_ASSERT_EQUAL(memcmp(from.p, to.p, len), 0);
out:
	vmf_ssh_free(ssh);
	free(from.p);
	free(to.p);
}

static void
a_writer_does_not_wait_for_itself(void)
{
	struct vmf_ssh *ssh = log_in();
	const size_t len = 5 * 1024 * 1024;
	char *a = malloc(len), *b = malloc(len);
	struct vmf_exec_status status;
	struct vmf_exec *exec = NULL;
	struct vmf_in in;
	size_t got = 0;

	if (ssh == NULL)
		goto out;
	memset(a, 'x', len);
	exec = vmf_exec_start(ssh, "cat", &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(exec);
	/* cat answers all along and nobody reads yet */
	CU_ASSERT_EQUAL(vmf_exec_write(exec, a, len, &err), 0);
	CU_ASSERT_EQUAL(vmf_exec_end_input(exec, &err), 0);
	in = vmf_exec_stdout(exec);
	CU_ASSERT_EQUAL(in.read(in.ctx, b, len, &got, &err), 0);
	CU_ASSERT_EQUAL(got, len);
	CU_ASSERT_EQUAL(memcmp(a, b, len), 0);
	CU_ASSERT_EQUAL(in.read(in.ctx, b, 1, &got, &err), 0);
	CU_ASSERT_EQUAL(got, 0);
	CU_ASSERT_EQUAL(vmf_exec_finish(exec, &status, &err), 0);
out:
	vmf_exec_free(exec);
	vmf_ssh_free(ssh);
	free(a);
	free(b);
}

static void
a_dialogue_has_its_turns(void)
{
	struct vmf_ssh *ssh = log_in();
	struct vmf_exec_status status;
	struct vmf_exec *exec;
	char buf[64];
	size_t got = 9;
	bool ended = true;

	if (ssh == NULL)
		return;
	exec = vmf_exec_start(
	    ssh, "while read -r x; do echo \"<$x>\"; done", &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(exec);
	CU_ASSERT_EQUAL(
	    vmf_exec_read(exec, buf, sizeof(buf), 50, &got, &ended, &err), 0);
	CU_ASSERT_EQUAL(got, 0);
	CU_ASSERT_FALSE(ended);
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(vmf_exec_write(exec, "hi\n", 3, &err), 0);
		CU_ASSERT_EQUAL(vmf_exec_read(exec, buf, sizeof(buf), 5000,
				    &got, &ended, &err),
		    0);
		CU_ASSERT_EQUAL(got, 5);
		CU_ASSERT_EQUAL(memcmp(buf, "<hi>\n", 5), 0);
	}
	CU_ASSERT_EQUAL(vmf_exec_finish(exec, &status, &err), 0);
	CU_ASSERT_EQUAL(status.status, 0);
	vmf_exec_free(exec);
	vmf_ssh_free(ssh);
}

static void
ends_are_told(void)
{
	struct vmf_ssh *ssh = log_in();
	struct vmf_exec_status status;
	struct vmf_exec *exec;
	char *big, *end;
	int rc = 0;

	if (ssh == NULL)
		return;
	CU_ASSERT_EQUAL(vmf_exec_run(ssh, "echo why >&2; exit 42", NULL, NULL,
			    &status, &err),
	    0);
	CU_ASSERT_EQUAL(status.status, 42);
	CU_ASSERT_STRING_EQUAL(status.tail, "why\n");
	CU_ASSERT_STRING_EQUAL(status.signal, "");
	CU_ASSERT_EQUAL(vmf_exec_run(ssh, "exec sh -c 'kill -TERM $$'", NULL,
			    NULL, &status, &err),
	    0);
	CU_ASSERT_STRING_EQUAL(status.signal, "TERM");
	/* much talk: its end is kept */
	CU_ASSERT_EQUAL(vmf_exec_run(ssh, "seq 1 300000 >&2; echo last >&2",
			    NULL, NULL, &status, &err),
	    0);
	CU_ASSERT_EQUAL(strlen(status.tail), VMF_EXEC_TAIL);
	end = status.tail + strlen(status.tail) - 12;
	CU_ASSERT_STRING_EQUAL(end, "300000\nlast\n");
	/* it ends before it has read: its last word is the cause */
	exec = vmf_exec_start(ssh, "echo no room >&2; exit 5", &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(exec);
	big = calloc(1, 1 << 20);
	for (int i = 0; i < 64 && rc == 0; i++)
		rc = vmf_exec_write(exec, big, 1 << 20, &err);
	CU_ASSERT_EQUAL(rc, -1);
	CU_ASSERT_EQUAL(err.class, VMF_REMOTE);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "no room"));
	free(big);
	vmf_exec_free(exec);
	vmf_ssh_free(ssh);
}

static void
quoted_words_reach_the_command(void)
{
	static const char *const words[] = {"printf", "%s|", "a b", "'",
	    "$(touch x)", ";touch x", "a\nb", "-n", "\xff", "", NULL};
	static const char want[] = "a b|'|$(touch x)|;touch x|a\nb|-n|\xff||";
	struct vmf_ssh *ssh = log_in();
	char *command = vmf_shell_join(words, &err), buf[256];
	struct sink to = {(uint8_t *)buf, 0, sizeof(buf)};
	struct vmf_out out = {keep, &to};
	struct vmf_exec_status status;

	CU_ASSERT_PTR_NOT_NULL_FATAL(command);
	if (ssh != NULL) {
		CU_ASSERT_EQUAL(
		    vmf_exec_run(ssh, command, NULL, &out, &status, &err), 0);
		CU_ASSERT_EQUAL(to.len, sizeof(want) - 1);
		CU_ASSERT_EQUAL(memcmp(buf, want, sizeof(want) - 1), 0);
	}
	free(command);
	vmf_ssh_free(ssh);
}

/* The last of them: it ends the sshd. */
static void
a_lost_session_is_told_and_freed_at_once(void)
{
	struct vmf_ssh *ssh = log_in();
	struct vmf_exec *exec;
	char command[256], buf[16];
	struct timespec a, b;
	size_t got;
	bool ended;

	if (ssh == NULL)
		return;
	exec = vmf_exec_start(ssh, "cat", &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(exec);
	/* The session is the listener's child, or a child of that one. */
	snprintf(command, sizeof(command),
	    "kill -KILL $(for p in $(pgrep -P %d); do echo $p; pgrep -P $p; "
	    "done)",
	    (int)sshd);
	CU_ASSERT_EQUAL(system(command), 0);
	ASSERT_FAILS(
	    vmf_exec_read(exec, buf, sizeof(buf), -1, &got, &ended, &err),
	    VMF_REMOTE);
	clock_gettime(CLOCK_MONOTONIC, &a);
	vmf_exec_free(exec);
	vmf_ssh_free(ssh);
	clock_gettime(CLOCK_MONOTONIC, &b);
	CU_ASSERT_TRUE(b.tv_sec - a.tv_sec < 2);
	kill(sshd, SIGTERM);
	waitpid(sshd, NULL, 0);
	sshd = 0;
}

void
suite_ssh(void)
{
	static const struct test_case cases[] = {
	    {"words survive a shell", words_survive_a_shell},
	    {"hosts are recognised", hosts_are_recognised},
	    {"hashed names are recognised", hashed_names_are_recognised},
	    {"a file that cannot be read is a failure",
		a_file_that_cannot_be_read_is_a_failure},
	    {"appending mends a last line without end",
		appending_mends_a_last_line_without_end},
	    {"both directions flow at once", both_directions_flow_at_once},
	    {"a writer does not wait for itself",
		a_writer_does_not_wait_for_itself},
	    {"a dialogue has its turns", a_dialogue_has_its_turns},
	    {"ends are told", ends_are_told},
	    {"quoted words reach the command", quoted_words_reach_the_command},
	    {"a lost session is told and freed at once",
		a_lost_session_is_told_and_freed_at_once},
	};

	TEST_SUITE("ssh", cases);
}
