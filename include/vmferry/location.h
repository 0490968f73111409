/*
 * location.h - what a user names as the source or the target of bytes
 *
 *	-				standard input or output
 *	PATH				a local file or device
 *	sftp://[USER@]HOST[:PORT]/PATH	percent-encoded; /~/PATH starts in the
 *					user's home
 *	[USER@]HOST:PATH		as with scp; no leading / starts there
 *too [USER@]HOST[:PORT]		a host alone (vmf_location_parse_host)
 *
 * An IPv6 address stands in brackets.  As with scp, a word with a slash before
 * its first colon is local (./a:b is), and so is one that begins with a colon.
 * Paths are bytes and kept as given, but for a NUL, which is refused.  Hosts
 * and users reach command lines (ssh -G, ProxyCommand), so that what a shell
 * or an option parser could take for more than a name is refused.
 *
 * All functions are pure and may be called from any thread.
 */
#ifndef VMFERRY_LOCATION_H
#define VMFERRY_LOCATION_H

#include <stdint.h>

#include <vmferry/error.h>

enum vmf_location_kind {
	VMF_LOCATION_STDIO,
	VMF_LOCATION_LOCAL,
	VMF_LOCATION_REMOTE, /* host and path */
	VMF_LOCATION_HOST,   /* host alone */
};

/* Strings are owned by the struct and freed by vmf_location_clear(). */
struct vmf_location {
	enum vmf_location_kind kind;
	char *user;    /* NULL: not given */
	char *host;    /* without brackets; NULL unless remote */
	uint16_t port; /* 0: not given */
	char *path;    /* NULL for stdio and a host alone */
	char *text;    /* as messages show it, without a password */
};

/*
 * Fills *loc, which need not be initialised; on failure (VMF_USAGE, or VMF_IO
 * without memory) nothing is left to clear.
 */
int vmf_location_parse(
    const char *s, struct vmf_location *loc, struct vmf_error *err);
int vmf_location_parse_host(
    const char *s, struct vmf_location *loc, struct vmf_error *err);

/* Also takes a zeroed struct; zeroes it. */
void vmf_location_clear(struct vmf_location *loc);

#endif
