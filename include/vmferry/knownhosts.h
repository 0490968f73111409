/*
 * knownhosts.h - is this the host it was last time?
 *
 * Reads known_hosts as sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT", describes it:
 * names and [name]:port, hashed names, patterns with * ? and !, @revoked.
 * @cert-authority lines are skipped: host certificates are not spoken.
 * (libssh2's own reader knows neither markers nor patterns and stops at the
 * first line it does not understand.)
 *
 * Thread rule: a loaded struct is read-only and may be shared.
 */
#ifndef VMFERRY_KNOWNHOSTS_H
#define VMFERRY_KNOWNHOSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmferry/error.h>

struct vmf_knownhosts;

enum vmf_knownhosts_verdict {
	VMF_KNOWNHOSTS_MATCH,
	VMF_KNOWNHOSTS_UNKNOWN,	   /* nothing is known about the host */
	VMF_KNOWNHOSTS_OTHER_TYPE, /* only keys of other types are known */
	VMF_KNOWNHOSTS_CHANGED,	   /* another key of this type is known */
	VMF_KNOWNHOSTS_REVOKED,
};

/*
 * Load a NULL-terminated list of files.  One that does not exist is empty;
 * one that cannot be read is a failure (VMF_AUTH), for it might say "revoked".
 */
struct vmf_knownhosts *
vmf_knownhosts_load(const char *const paths[], struct vmf_error *err);
void vmf_knownhosts_free(struct vmf_knownhosts *kh);

/*
 * Judge a host's public key in wire format (its type name comes first).
 * where (may be NULL, len bytes) takes "FILE:LINE" of the deciding entry, or
 * "".
 */
enum vmf_knownhosts_verdict vmf_knownhosts_check(
    const struct vmf_knownhosts *kh, const char *host, uint16_t port,
    const void *key, size_t key_len, char *where, size_t where_len);

/* The key types known for the host, comma-separated, "" if none. */
void vmf_knownhosts_types(const struct vmf_knownhosts *kh, const char *host,
    uint16_t port, char *types, size_t len);

/*
 * Append a line to the file, made with mode 0600 (its directory with 0700) if
 * it does not exist; hashed: the host's name cannot be read from it.
 */
int vmf_knownhosts_append(const char *path, const char *host, uint16_t port,
    const void *key, size_t key_len, bool hashed, struct vmf_error *err);

/* "SHA256:..." as ssh shows it; text holds VMF_FINGERPRINT_TEXT bytes. */
#define VMF_FINGERPRINT_TEXT 64
void vmf_knownhosts_fingerprint(const void *key, size_t len, char *text);

/* The type's name at the start of a key in wire format, or "". */
void vmf_knownhosts_key_type(
    const void *key, size_t key_len, char *type, size_t len);

#endif
