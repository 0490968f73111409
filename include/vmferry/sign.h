/*
 * sign.h - Ed25519 signatures (RFC 8032), by OpenSSL
 *
 * Keys are PEM files as `openssl genpkey -algorithm ed25519` and `openssl pkey
 * -pubout` write them.  A signature is 64 raw bytes over the message itself,
 * which `openssl pkeyutl -verify -rawin` checks too.  Signing the same message
 * with the same key makes the same bytes.
 *
 * Thread rule: a key may be used from any thread once it is there.
 */
#ifndef VMFERRY_SIGN_H
#define VMFERRY_SIGN_H

#include <stddef.h>
#include <stdint.h>

#include <vmferry/error.h>

#define VMF_SIGN_LEN 64 /* bytes of a signature */

struct vmf_sign_key;

/*
 * A private key.  VMF_REFUSED: the file can be read by others than its owner,
 * is encrypted, or holds no Ed25519 key.
 */
struct vmf_sign_key *
vmf_sign_key_private(const char *path, struct vmf_error *err);
/* A public key; VMF_REFUSED likewise, but that everybody may read it. */
struct vmf_sign_key *
vmf_sign_key_public(const char *path, struct vmf_error *err);

/* Takes a private key. */
int vmf_sign(const struct vmf_sign_key *key, const void *buf, size_t len,
    uint8_t signature[VMF_SIGN_LEN], struct vmf_error *err);
/* VMF_INTEGRITY: it is not this key's signature of these bytes. */
int vmf_sign_check(const struct vmf_sign_key *key, const void *buf, size_t len,
    const uint8_t signature[VMF_SIGN_LEN], struct vmf_error *err);

/* NULL-safe. */
void vmf_sign_key_free(struct vmf_sign_key *key);

#endif
