/* test_sftp.c - files at the far side: a real sftp-server over a socket, and
 * servers that answer nonsense */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vmferry/io.h>
#include <vmferry/sftp.h>
#include <vmferry/units.h>

#include "test.h"

#define SERVER "/usr/lib/openssh/sftp-server"

static struct vmf_error err;
static pid_t server;

/* A real server with these options, or NULL when none is installed. */
static struct vmf_sftp *
connect_real(const char *flag, const char *value)
{
	int pair[2];

	if (access(SERVER, X_OK) < 0)
		return NULL;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
	server = fork();
	if (server == 0) {
		dup2(pair[1], 0);
		dup2(pair[1], 1);
		if (chdir(test_dir()) < 0)
			_exit(126);
		execl(SERVER, SERVER, flag, value, (char *)NULL);
		_exit(127);
	}
	close(pair[1]);
	return vmf_sftp_open_fd(pair[0], "far", 10, &err);
}

static void
hang_up(struct vmf_sftp *sftp)
{
	vmf_sftp_free(sftp);
	if (server > 0)
		waitpid(server, NULL, 0);
	server = 0;
}

static void
fill(uint8_t *buf, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (uint8_t)((i * 2654435761u + seed) >> 11);
}

static void
files_are_written_and_read(void)
{
	struct vmf_sftp *sftp = connect_real(NULL, NULL);
	const size_t len = 20 * 1024 * 1024 + 7;
	uint8_t *a = malloc(len), *b = malloc(len + 9);
	struct vmf_sftp_file *f;
	struct vmf_sftp_stat st;
	bool durable = false;
	size_t got = 0;

	if (sftp == NULL || a == NULL || b == NULL)
		goto out;
	fill(a, len, 1);
	f = vmf_sftp_file_open(sftp, "f", VMF_SFTP_EXCLUSIVE, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	/* the second half first: writes are at offsets */
	CU_ASSERT_EQUAL(
	    vmf_sftp_file_write(f, a + len / 2, len - len / 2, len / 2, &err),
	    0);
	CU_ASSERT_EQUAL(vmf_sftp_file_write(f, a, len / 2, 0, &err), 0);
	CU_ASSERT_EQUAL(vmf_sftp_file_sync(f, &durable, &err), 0);
	CU_ASSERT_TRUE(durable);
	CU_ASSERT_EQUAL(vmf_sftp_file_close(f, &err), 0);
	CU_ASSERT_PTR_NULL(
	    vmf_sftp_file_open(sftp, "f", VMF_SFTP_EXCLUSIVE, &err));
	CU_ASSERT_EQUAL(err.class, VMF_REFUSED);
	CU_ASSERT_EQUAL(vmf_sftp_stat(sftp, "f", &st, &err), 0);
	CU_ASSERT_EQUAL(st.type, VMF_SFTP_FILE);
	CU_ASSERT_EQUAL(st.size, len);
	CU_ASSERT_EQUAL(st.mode, 0600);

	f = vmf_sftp_file_open(sftp, "f", VMF_SFTP_READ, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL(vmf_sftp_file_read(f, b, len + 9, 0, &got, &err), 0);
	CU_ASSERT_EQUAL(got, len);
	CU_ASSERT_EQUAL(memcmp(a, b, len), 0);
	CU_ASSERT_EQUAL(vmf_sftp_file_read(f, b, 5, len, &got, &err), 0);
	CU_ASSERT_EQUAL(got, 0);
	CU_ASSERT_EQUAL(vmf_sftp_file_read(f, b, 10, len - 3, &got, &err), 0);
	CU_ASSERT_EQUAL(got, 3);
	/* not open for writing: the failure shows at the latest here */
	(void)vmf_sftp_file_write(f, a, 10, 0, &err);
	ASSERT_FAILS(vmf_sftp_file_drain(f, &err), VMF_REMOTE);
	vmf_sftp_file_free(f);
	CU_ASSERT_EQUAL(vmf_sftp_remove(sftp, "f", &err), 0);
	hang_up(sftp);
out:
	free(a);
	free(b);
}

static int
count_names(void *ctx, const char *name, const struct vmf_sftp_stat *st,
    struct vmf_error *e)
{
	(void)st;
	(void)e;
	if (strncmp(name, "n", 1) == 0)
		++*(int *)ctx;
	return 0;
}

static void
names_are_kept_apart(void)
{
	struct vmf_sftp *sftp = connect_real(NULL, NULL);
	struct vmf_sftp_stat st;
	uint64_t space = 0;
	char name[32];
	int n = 0;

	if (sftp == NULL)
		return;
	CU_ASSERT_EQUAL(vmf_sftp_mkdir(sftp, "d", &err), 0);
	CU_ASSERT_EQUAL(vmf_sftp_mkdir(sftp, "d", &err), 0);
	CU_ASSERT_EQUAL(vmf_sftp_stat(sftp, "d", &st, &err), 0);
	CU_ASSERT_EQUAL(st.type, VMF_SFTP_DIR);
	CU_ASSERT_EQUAL(st.mode, 0700);
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "d/n%d", i);
		vmf_sftp_file_free(
		    vmf_sftp_file_open(sftp, name, VMF_SFTP_EXCLUSIVE, &err));
	}
	CU_ASSERT_EQUAL(vmf_sftp_list(sftp, "d", count_names, &n, &err), 0);
	CU_ASSERT_EQUAL(n, 300);
	ASSERT_FAILS(
	    vmf_sftp_rename(sftp, "d/n0", "d/n1", false, &err), VMF_REFUSED);
	CU_ASSERT_EQUAL(vmf_sftp_rename(sftp, "d/n0", "d/n1", true, &err), 0);
	CU_ASSERT_EQUAL(
	    vmf_sftp_rename(sftp, "d/n2", "d/a b\n", false, &err), 0);
	CU_ASSERT_EQUAL(vmf_sftp_stat(sftp, "d/n0", &st, &err), 0);
	CU_ASSERT_EQUAL(st.type, VMF_SFTP_ABSENT);
	CU_ASSERT_EQUAL(vmf_sftp_remove(sftp, "d/n0", &err), 0);
	ASSERT_FAILS(vmf_sftp_mkdir(sftp, "d/n1", &err), VMF_REMOTE);
	ASSERT_FAILS(vmf_sftp_mkdir(sftp, "no/such", &err), VMF_REFUSED);
	CU_ASSERT_EQUAL(vmf_sftp_space(sftp, "d", &space, &err), 0);
	CU_ASSERT_TRUE(space > 0 && space < UINT64_MAX);
	hang_up(sftp);
}

static void
denial_is_not_absence(void)
{
	struct vmf_sftp *sftp = connect_real("-R", NULL);

	if (sftp == NULL)
		return;
	ASSERT_FAILS(vmf_sftp_mkdir(sftp, "x", &err), VMF_REMOTE);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "denied"));
	CU_ASSERT_PTR_NULL(
	    vmf_sftp_file_open(sftp, "x", VMF_SFTP_EXCLUSIVE, &err));
	CU_ASSERT_EQUAL(err.class, VMF_REMOTE);
	hang_up(sftp);
}

static void
a_server_without_extensions_serves(void)
{
	struct vmf_sftp *sftp =
	    connect_real("-P", "fsync,statvfs,posix-rename,limits");
	struct vmf_sftp_file *f;
	bool durable = true;
	uint64_t space = 0;
	uint8_t a[100001], b[100001];
	size_t got = 0;

	if (sftp == NULL)
		return;
	fill(a, sizeof(a), 2);
	f = vmf_sftp_file_open(sftp, "old", VMF_SFTP_TRUNCATE, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL(vmf_sftp_file_write(f, a, sizeof(a), 0, &err), 0);
	CU_ASSERT_EQUAL(vmf_sftp_file_sync(f, &durable, &err), 0);
	CU_ASSERT_FALSE(durable);
	CU_ASSERT_EQUAL(vmf_sftp_file_close(f, &err), 0);
	CU_ASSERT_EQUAL(vmf_sftp_space(sftp, "old", &space, &err), 0);
	CU_ASSERT_EQUAL(space, UINT64_MAX);
	f = vmf_sftp_file_open(sftp, "old", VMF_SFTP_READ, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL(vmf_sftp_file_read(f, b, sizeof(b), 0, &got, &err), 0);
	CU_ASSERT_EQUAL(got, sizeof(b));
	CU_ASSERT_EQUAL(memcmp(a, b, sizeof(a)), 0);
	vmf_sftp_file_free(f);
	hang_up(sftp);
}

/* --- hostile servers: what they say, byte for byte */

/* One request, or nothing more to come. */
static bool
swallow_request(int fd)
{
	uint8_t head[4], drop[4096];
	size_t got, len;

	if (vmf_read_full(fd, head, 4, &got, NULL) < 0 || got < 4)
		return false;
	len = (size_t)head[2] << 8 | head[3];
	return len <= sizeof(drop) &&
	       vmf_read_full(fd, drop, len, &got, NULL) == 0;
}

/* Answers the greeting with the first string, each request with the next. */
static void
play(int fd, const char *bytes, size_t len, size_t greeting)
{
	size_t n = greeting;

	while (swallow_request(fd)) {
		if (len == 0)
			continue;
		if (vmf_write_full(fd, bytes, n, NULL) < 0)
			return;
		bytes += n;
		len -= n;
		/* A message of a sane length by itself, else all that is left.
		 */
		n = len;
		if (len > 4 && bytes[0] == 0 && bytes[1] == 0 &&
		    (size_t)(uint8_t)bytes[3] + 4 < len)
			n = (size_t)(uint8_t)bytes[3] + 4;
	}
}

static struct vmf_sftp *
connect_fake(const char *bytes, size_t len, size_t greeting)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
	server = fork();
	if (server == 0) {
		close(pair[0]);
		play(pair[1], bytes, len, greeting);
		_exit(0);
	}
	close(pair[1]);
	return vmf_sftp_open_fd(pair[0], "fake", 1, &err);
}

#define VERSION "\0\0\0\5\2\0\0\0\3"
#define FAKE(s)                                                                \
	connect_fake(VERSION s, sizeof(VERSION s) - 1, sizeof(VERSION) - 1)

static void
greetings_that_make_no_sense(void)
{
	static const struct {
		const char *bytes;
		size_t len;
	} bad[] = {
#define B(s) {s, sizeof(s) - 1}
	    B("\0\0\0\5\2\0\0\0\4"),		      /* version 4 */
	    B("\0\0\0\5\145\0\0\0\3"),		      /* another type */
	    B("\0\0\0\1\2"),			      /* too short */
	    B("\0\0\0\0"),			      /* empty */
	    B("\0\4\0\1\2\0\0\0\3"),		      /* longer than allowed */
	    B("\0\0\0\11\2\0\0\0\3\377\377\377\377"), /* a long extension */
	    B("\0\0\0\13\2\0\0\0\3\0\0\0\1"
	      "xyz"),	  /* half an extension */
	    B("hello\n"), /* silence after noise */
	    B(""),	  /* silence */
#undef B
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		err.class = VMF_OK;
		CU_ASSERT_PTR_NULL(
		    connect_fake(bad[i].bytes, bad[i].len, bad[i].len));
		CU_ASSERT_EQUAL(err.class, VMF_REMOTE);
		hang_up(NULL);
	}
}

/* The first request after the greeting has id 1. */
static void
answers_that_make_no_sense(void)
{
	static const struct {
		const char *bytes;
		size_t len;
	} bad[] = {
#define B(s) {VERSION s, sizeof(VERSION s) - 1}
	    B("\0\0\0\5\145\0\0\0\7"),		  /* unknown id */
	    B("\0\0\0\11\145\0\0\4\1\0\0\0\2"),	  /* slot 1, old id */
	    B("\0\0\0\5\145\0\0\0\1"),		  /* no status */
	    B("\0\0\0\11\151\0\0\0\1\0\0\0\1"),	  /* half attrs */
	    B("\0\0\0\11\151\0\0\0\1\200\0\0\0"), /* extended, cut */
	    B("\0\0\0\15\151\0\0\0\1\200\0\0\0\377\377\377\377"),
	    B("\0\0\0\15\146\0\0\0\1\0\0\0\4abcd"), /* a handle */
	    B("\377\377\377\377"),
#undef B
	};
	struct vmf_sftp *sftp;
	struct vmf_sftp_stat st;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		sftp =
		    connect_fake(bad[i].bytes, bad[i].len, sizeof(VERSION) - 1);
		CU_ASSERT_PTR_NOT_NULL_FATAL(sftp);
		ASSERT_FAILS(vmf_sftp_stat(sftp, "x", &st, &err), VMF_REMOTE);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "makes no sense"));
		/* and it stays lost */
		ASSERT_FAILS(vmf_sftp_stat(sftp, "x", &st, &err), VMF_REMOTE);
		hang_up(sftp);
	}
}

static void
data_that_was_not_asked_for(void)
{
	/* a handle, then 8 bytes where 4 were asked for */
	struct vmf_sftp *sftp = FAKE("\0\0\0\12\146\0\0\0\1\0\0\0\1h"
				     "\0\0\0\21\147\0\0\0\2\0\0\0\10abcdefgh");
	struct vmf_sftp_file *f;
	char buf[8] = "........";
	size_t got;

	CU_ASSERT_PTR_NOT_NULL_FATAL(sftp);
	f = vmf_sftp_file_open(sftp, "x", VMF_SFTP_READ, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	ASSERT_FAILS(vmf_sftp_file_read(f, buf, 4, 0, &got, &err), VMF_REMOTE);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "makes no sense"));
	CU_ASSERT_EQUAL(memcmp(buf + 4, "....", 4), 0);
	vmf_sftp_file_free(f);
	hang_up(sftp);

	/* no byte at all would be asked for again for ever */
	sftp = FAKE("\0\0\0\12\146\0\0\0\1\0\0\0\1h"
		    "\0\0\0\11\147\0\0\0\2\0\0\0\0");
	CU_ASSERT_PTR_NOT_NULL_FATAL(sftp);
	f = vmf_sftp_file_open(sftp, "x", VMF_SFTP_READ, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	ASSERT_FAILS(vmf_sftp_file_read(f, buf, 4, 0, &got, &err), VMF_REMOTE);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "makes no sense"));
	vmf_sftp_file_free(f);
	hang_up(sftp);
}

static void
names_that_lead_elsewhere(void)
{
	struct vmf_sftp *sftp =
	    FAKE("\0\0\0\12\146\0\0\0\1\0\0\0\1h"
		 "\0\0\0\36\150\0\0\0\2\0\0\0\1\0\0\0\5n/../\0\0\0\0\0\0\0\0");
	int n = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(sftp);
	ASSERT_FAILS(
	    vmf_sftp_list(sftp, "d", count_names, &n, &err), VMF_REMOTE);
	CU_ASSERT_EQUAL(n, 0);
	hang_up(sftp);
}

static void
a_silent_server_is_given_up(void)
{
	struct vmf_sftp *sftp = FAKE("");
	struct vmf_sftp_stat st;

	CU_ASSERT_PTR_NOT_NULL_FATAL(sftp);
	ASSERT_FAILS(vmf_sftp_stat(sftp, "x", &st, &err), VMF_REMOTE);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "not answered"));
	hang_up(sftp);
}

static void
noise_before_the_greeting_is_skipped(void)
{
	static const char talk[] = "Welcome!\r\n\033[2JLast login\n" VERSION;
	struct vmf_sftp *sftp =
	    connect_fake(talk, sizeof(talk) - 1, sizeof(talk) - 1);

	CU_ASSERT_PTR_NOT_NULL(sftp);
	hang_up(sftp);
}

void
suite_sftp(void)
{
	static const struct test_case cases[] = {
	    {"files are written and read", files_are_written_and_read},
	    {"names are kept apart", names_are_kept_apart},
	    {"denial is not absence", denial_is_not_absence},
	    {"a server without extensions serves",
		a_server_without_extensions_serves},
	    {"greetings that make no sense", greetings_that_make_no_sense},
	    {"answers that make no sense", answers_that_make_no_sense},
	    {"data that was not asked for", data_that_was_not_asked_for},
	    {"names that lead elsewhere", names_that_lead_elsewhere},
	    {"a silent server is given up", a_silent_server_is_given_up},
	    {"noise before the greeting is skipped",
		noise_before_the_greeting_is_skipped},
	};

	TEST_SUITE("sftp", cases);
}
