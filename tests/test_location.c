/* test_location.c - names of sources and targets, hostile ones too */
#include <string.h>

#include <vmferry/location.h>

#include "test.h"

static struct vmf_error err;

struct want {
	const char *s;
	enum vmf_location_kind kind;
	const char *user, *host;
	unsigned port;
	const char *path;
};

static int
same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void
check(const struct want *w, int rc, struct vmf_location *loc)
{
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	CU_ASSERT_EQUAL(loc->kind, w->kind);
	CU_ASSERT_TRUE(same(loc->user, w->user));
	CU_ASSERT_TRUE(same(loc->host, w->host));
	CU_ASSERT_EQUAL(loc->port, w->port);
	CU_ASSERT_TRUE(same(loc->path, w->path));
	CU_ASSERT_PTR_NOT_NULL(loc->text);
	vmf_location_clear(loc);
	CU_ASSERT_PTR_NULL(loc->path);
}

#define R VMF_LOCATION_REMOTE
#define L VMF_LOCATION_LOCAL

static void
names_are_understood(void)
{
	static const struct want wants[] = {
	    {"-", VMF_LOCATION_STDIO, NULL, NULL, 0, NULL},
	    {"web.img", L, NULL, NULL, 0, "web.img"},
	    {"/dev/vg0/web", L, NULL, NULL, 0, "/dev/vg0/web"},
	    {"./a:b", L, NULL, NULL, 0, "./a:b"},
	    {"dir/h:p", L, NULL, NULL, 0, "dir/h:p"},
	    {":x", L, NULL, NULL, 0, ":x"},
	    {"-x", L, NULL, NULL, 0, "-x"},
	    {"a b\n", L, NULL, NULL, 0, "a b\n"},
	    {"[x]", L, NULL, NULL, 0, "[x]"},
	    {"b:web", R, NULL, "b", 0, "web"},
	    {"b:/x/y:z", R, NULL, "b", 0, "/x/y:z"},
	    {"b:~/y", R, NULL, "b", 0, "y"},
	    {"b:-y", R, NULL, "b", 0, "-y"},
	    {"b:a b;$(touch x)\n\xff", R, NULL, "b", 0, "a b;$(touch x)\n\xff"},
	    {"me@b:p@q", R, "me", "b", 0, "p@q"},
	    {"a@dom@b:p", R, "a@dom", "b", 0, "p"},
	    {"[::1]:p", R, NULL, "::1", 0, "p"},
	    {"me@[fe80::1%eth0]:/p", R, "me", "fe80::1%eth0", 0, "/p"},
	    {"sftp://b/web", R, NULL, "b", 0, "/web"},
	    {"SFTP://me@b:2222/web", R, "me", "b", 2222, "/web"},
	    {"sftp://[2001:db8::1]:22/x", R, NULL, "2001:db8::1", 22, "/x"},
	    {"sftp://b/~/x", R, NULL, "b", 0, "x"},
	    {"sftp://b//x", R, NULL, "b", 0, "//x"},
	    {"sftp://b/a%20b%25%C3%a9%0a", R, NULL, "b", 0, "/a b%\xc3\xa9\n"},
	    {"sftp://b/a@b:c", R, NULL, "b", 0, "/a@b:c"},
	    {"sftp://a%40d@b/x", R, "a@d", "b", 0, "/x"},
	};
	struct vmf_location loc;
	size_t i;

	for (i = 0; i < sizeof(wants) / sizeof(wants[0]); i++)
		check(&wants[i], vmf_location_parse(wants[i].s, &loc, &err),
		    &loc);
}

static void
hosts_are_understood(void)
{
	static const struct want wants[] = {
	    {"b", VMF_LOCATION_HOST, NULL, "b", 0, NULL},
	    {"root@b.example.org:2222", VMF_LOCATION_HOST, "root",
		"b.example.org", 2222, NULL},
	    {"[::1]", VMF_LOCATION_HOST, NULL, "::1", 0, NULL},
	    {"me@[::1]:22", VMF_LOCATION_HOST, "me", "::1", 22, NULL},
	};
	static const char *const bad[] = {"", "-", "-oProxyCommand=x",
	    "b:", "b:0", "b:65536", "b:22x", "b:-1", "b:022222222", "::1",
	    "a::b", "[::1", "[::1]x", "[b]", "a b", "a/b", "a\nb", "$(x)", "@b",
	    "u@", "u'@b", "-l@b", "b:22:22", "b;x"};
	struct vmf_location loc;
	size_t i;

	for (i = 0; i < sizeof(wants) / sizeof(wants[0]); i++)
		check(&wants[i],
		    vmf_location_parse_host(wants[i].s, &loc, &err), &loc);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ASSERT_FAILS(
		    vmf_location_parse_host(bad[i], &loc, &err), VMF_USAGE);
}

static void
hostile_names_are_refused(void)
{
	static const char *const bad[] = {"", "-oProxyCommand=touch x:p",
	    "h\x1b[2J:p", "a b:p", "$(touch x):p", "`x`:p", "a;b:p", "a'b:p",
	    "h\n:p", "@h:p", "u@:p", "-u@h:p", "u v@h:p", "h:", "h:~/",
	    "[::1:p", "[]:p", "[b]:p", "sftp://", "sftp:///x", "sftp://h",
	    "sftp://h/", "sftp://h/~/", "sftp://-h/x", "sftp://h:/x",
	    "sftp://h:0/x", "sftp://h:65536/x", "sftp://h:1e3/x",
	    "sftp://u:secret@h/x", "sftp://u%0a@h/x", "sftp://u%3asecret@h/x",
	    "sftp://::1/x", "sftp://[::1/x", "sftp://h/%", "sftp://h/%4",
	    "sftp://h/%zz", "sftp://h/a%00b", "sftp://h%2fx/y", "ftp://h/x",
	    "https://h/x", "ssh://h/x"};
	struct vmf_location loc;
	char longest[2000];
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ASSERT_FAILS(vmf_location_parse(bad[i], &loc, &err), VMF_USAGE);
	memset(longest, 'h', sizeof(longest));
	memcpy(longest + sizeof(longest) - 3, ":p", 3);
	ASSERT_FAILS(vmf_location_parse(longest, &loc, &err), VMF_USAGE);
}

static void
messages_hide_the_password(void)
{
	struct vmf_location loc;

	CU_ASSERT_EQUAL(vmf_location_parse("sftp://me@b:22/x", &loc, &err), 0);
	CU_ASSERT_STRING_EQUAL(loc.text, "me@b:/x");
	vmf_location_clear(&loc);
	ASSERT_FAILS(
	    vmf_location_parse("sftp://u:secret@h/x", &loc, &err), VMF_USAGE);
	CU_ASSERT_PTR_NULL(strstr(err.msg, "secret"));
}

void
suite_location(void)
{
	static const struct test_case cases[] = {
	    {"names are understood", names_are_understood},
	    {"hosts are understood", hosts_are_understood},
	    {"hostile names are refused", hostile_names_are_refused},
	    {"messages hide the password", messages_hide_the_password},
	};

	TEST_SUITE("location", cases);
}
