/* location.c - see vmferry/location.h */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <vmferry/location.h>
#include <vmferry/units.h>

static const char scheme[] = "sftp://";

/* Nothing here means anything to a shell, not even unquoted. */
static bool
is_host(const char *s, size_t len, bool bracketed)
{
	size_t i;

	if (len == 0 || len > 255 || s[0] == '-')
		return false;
	for (i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (!isalnum(c) && c < 0x80 && strchr("._-+", c) == NULL &&
		    !(bracketed && (c == ':' || c == '%')))
			return false;
	}
	return !bracketed || memchr(s, ':', len) != NULL;
}

static bool
is_user(const char *s, size_t len)
{
	size_t i;

	if (len == 0 || len > 255 || s[0] == '-')
		return false;
	for (i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c <= 0x20 || c == 0x7f ||
		    strchr("'`\"$\\;&<>|(){}[]*?!#/:", c) != NULL)
			return false;
	}
	return true;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place; -1 for a broken escape or a NUL. */
static int
percent_decode(char *s)
{
	char *to = s;
	int hi, lo;

	for (; *s != '\0'; s++) {
		if (*s != '%') {
			*to++ = *s;
			continue;
		}
		hi = hex_digit(s[1]);
		lo = hi < 0 ? -1 : hex_digit(s[2]);
		if (lo < 0 || (hi == 0 && lo == 0))
			return -1;
		*to++ = (char)(hi << 4 | lo);
		s += 2;
	}
	*to = '\0';
	return 0;
}

/* What an authority [USER@]HOST[:PORT] consists of; lengths, not strings. */
struct authority {
	const char *user, *host, *port; /* NULL: not there */
	size_t user_len, host_len, port_len;
	bool bracketed;
};

/* The host begins at s and is no longer than len; false: not a host. */
static bool
split_authority(const char *s, size_t len, struct authority *a)
{
	const char *end = s + len, *at = memrchr(s, '@', len), *close, *colon;

	memset(a, 0, sizeof(*a));
	if (at != NULL) {
		a->user = s;
		a->user_len = (size_t)(at - s);
		s = at + 1;
	}
	if (s < end && *s == '[') {
		close = memchr(s, ']', (size_t)(end - s));
		if (close == NULL)
			return false;
		a->bracketed = true;
		a->host = s + 1;
		a->host_len = (size_t)(close - s - 1);
		s = close + 1;
		if (s == end)
			return true;
		if (*s != ':')
			return false;
		colon = s;
	} else {
		colon = memchr(s, ':', (size_t)(end - s));
		a->host = s;
		a->host_len = (size_t)((colon != NULL ? colon : end) - s);
		if (colon == NULL)
			return true;
	}
	a->port = colon + 1;
	a->port_len = (size_t)(end - a->port);
	return true;
}

static int
take_authority(const struct authority *a, bool encoded,
    struct vmf_location *loc, struct vmf_error *err)
{
	char port[8];
	uint64_t n;

	if (a->user != NULL) {
		if (encoded && memchr(a->user, ':', a->user_len) != NULL)
			return vmf_fail(err, VMF_USAGE,
			    "passwords are not taken from a URL; use a key");
		loc->user = strndup(a->user, a->user_len);
		if (loc->user == NULL)
			return vmf_fail_errno(err, VMF_IO, "location");
		if ((encoded && percent_decode(loc->user) < 0) ||
		    !is_user(loc->user, strlen(loc->user)))
			return vmf_fail(
			    err, VMF_USAGE, "'%s' is no user name", loc->user);
	}
	if (!is_host(a->host, a->host_len, a->bracketed))
		return vmf_fail(err, VMF_USAGE, "'%.*s' is no host name",
		    (int)(a->host_len < 256 ? a->host_len : 256), a->host);
	loc->host = strndup(a->host, a->host_len);
	if (loc->host == NULL)
		return vmf_fail_errno(err, VMF_IO, "location");
	if (a->port == NULL)
		return 0;
	if (memchr(a->port, ':', a->port_len) != NULL)
		return vmf_fail(err, VMF_USAGE,
		    "an IPv6 address stands in brackets: [2001:db8::1]");
	snprintf(port, sizeof(port), "%.*s",
	    a->port_len < sizeof(port) ? (int)a->port_len : 7, a->port);
	if (vmf_parse_number(port, 1, 65535, &n, err) < 0)
		return vmf_wrap(err, "port");
	loc->port = (uint16_t)n;
	return 0;
}

/* sftp://AUTHORITY/PATH, of which s is what follows the scheme. */
static int
parse_url(const char *s, struct vmf_location *loc, struct vmf_error *err)
{
	size_t len = strcspn(s, "/");
	struct authority a;

	loc->kind = VMF_LOCATION_REMOTE;
	if (!split_authority(s, len, &a))
		return vmf_fail(err, VMF_USAGE, "no host name in the URL");
	if (take_authority(&a, true, loc, err) < 0)
		return -1;
	loc->path = strdup(s + len);
	if (loc->path == NULL)
		return vmf_fail_errno(err, VMF_IO, "location");
	if (percent_decode(loc->path) < 0)
		return vmf_fail(err, VMF_USAGE,
		    "a '%%' that begins no two hex digits other than 00; "
		    "write a plain one as %%25");
	if (strncmp(loc->path, "/~/", 3) == 0)
		memmove(loc->path, loc->path + 3, strlen(loc->path + 3) + 1);
	if (loc->path[0] == '\0' || strcmp(loc->path, "/") == 0)
		return vmf_fail(
		    err, VMF_USAGE, "names no file; add /PATH after the host");
	return 0;
}

/* HOST:PATH, of which colon is the colon between them. */
static int
parse_scp(const char *s, const char *colon, struct vmf_location *loc,
    struct vmf_error *err)
{
	struct authority a;
	const char *path = colon + 1;

	loc->kind = VMF_LOCATION_REMOTE;
	if (!split_authority(s, (size_t)(colon - s), &a) || a.port != NULL)
		return vmf_fail(err, VMF_USAGE, "'%.*s' is no host name",
		    (int)(colon - s), s);
	if (take_authority(&a, false, loc, err) < 0)
		return -1;
	if (strncmp(path, "~/", 2) == 0)
		path += 2;
	if (path[0] == '\0')
		return vmf_fail(err, VMF_USAGE,
		    "names no file; add a path after the colon");
	loc->path = strdup(path);
	if (loc->path == NULL)
		return vmf_fail_errno(err, VMF_IO, "location");
	return 0;
}

/* The colon that ends an scp-like host, or NULL: then the word is local. */
static const char *
scp_colon(const char *s)
{
	const char *bracket, *close;

	if (s[0] == ':')
		return NULL;
	bracket = s + strcspn(s, "[:/");
	if (*bracket == '[' && (bracket == s || bracket[-1] == '@')) {
		close = strchr(bracket, ']');
		if (close != NULL && close[1] == ':')
			return close + 1;
	}
	s += strcspn(s, ":/");
	return *s == ':' ? s : NULL;
}

/* ftp://, https://, ... but not a local "a://b" that has no letters before. */
static bool
is_other_scheme(const char *s)
{
	size_t n = 0;

	if (!isalpha((unsigned char)s[0]))
		return false;
	while (isalnum((unsigned char)s[n]) || s[n] == '+' || s[n] == '.')
		n++;
	return strncmp(s + n, "://", 3) == 0;
}

static int
parse_any(const char *s, struct vmf_location *loc, struct vmf_error *err)
{
	const char *colon;

	if (s[0] == '\0')
		return vmf_fail(err, VMF_USAGE, "an empty name");
	if (strcmp(s, "-") == 0) {
		loc->kind = VMF_LOCATION_STDIO;
		return 0;
	}
	if (strncasecmp(s, scheme, sizeof(scheme) - 1) == 0)
		return parse_url(s + sizeof(scheme) - 1, loc, err);
	if (is_other_scheme(s))
		return vmf_fail(err, VMF_USAGE,
		    "only sftp:// is spoken; write ./NAME for a local file");
	colon = scp_colon(s);
	if (colon != NULL)
		return parse_scp(s, colon, loc, err);
	loc->kind = VMF_LOCATION_LOCAL;
	loc->path = strdup(s);
	return loc->path != NULL ? 0 : vmf_fail_errno(err, VMF_IO, "location");
}

static int
parse_host(const char *s, struct vmf_location *loc, struct vmf_error *err)
{
	struct authority a;

	loc->kind = VMF_LOCATION_HOST;
	if (strchr(s, '/') != NULL)
		return vmf_fail(
		    err, VMF_USAGE, "a host is wanted: [USER@]HOST[:PORT]");
	if (!split_authority(s, strlen(s), &a))
		return vmf_fail(err, VMF_USAGE, "no host name");
	return take_authority(&a, false, loc, err);
}

/* HOST or HOST:PATH as messages show it. */
static char *
location_text(const struct vmf_location *loc)
{
	bool v6 = loc->host != NULL && strchr(loc->host, ':') != NULL;
	char *text;
	int n;

	if (loc->kind == VMF_LOCATION_STDIO)
		return strdup("-");
	if (loc->host == NULL)
		return strdup(loc->path);
	n = asprintf(&text, "%s%s%s%s%s%s%s", loc->user ? loc->user : "",
	    loc->user ? "@" : "", v6 ? "[" : "", loc->host, v6 ? "]" : "",
	    loc->path ? ":" : "", loc->path ? loc->path : "");
	return n < 0 ? NULL : text;
}

static int
finish(int rc, const char *s, struct vmf_location *loc, struct vmf_error *err)
{
	if (rc == 0) {
		loc->text = location_text(loc);
		if (loc->text != NULL)
			return 0;
		vmf_fail_errno(err, VMF_IO, "location");
	} else if (err != NULL && err->class == VMF_USAGE &&
		   strstr(s, "://") == NULL) {
		/* A URL may hold a password: it is not repeated. */
		vmf_wrap(err, "%s", s);
	}
	vmf_location_clear(loc);
	return -1;
}

int
vmf_location_parse(
    const char *s, struct vmf_location *loc, struct vmf_error *err)
{
	memset(loc, 0, sizeof(*loc));
	return finish(parse_any(s, loc, err), s, loc, err);
}

int
vmf_location_parse_host(
    const char *s, struct vmf_location *loc, struct vmf_error *err)
{
	memset(loc, 0, sizeof(*loc));
	return finish(parse_host(s, loc, err), s, loc, err);
}

void
vmf_location_clear(struct vmf_location *loc)
{
	free(loc->user);
	free(loc->host);
	free(loc->path);
	free(loc->text);
	memset(loc, 0, sizeof(*loc));
}
