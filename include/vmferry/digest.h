/*
 * digest.h - SHA-256 (FIPS 180-4), by OpenSSL
 *
 * Thread rule: a struct vmf_sha belongs to one thread at a time;
 * vmf_sha256() may be called from any thread.
 */
#ifndef VMFERRY_DIGEST_H
#define VMFERRY_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include <vmferry/error.h>
#include <vmferry/units.h>

int vmf_sha256(const void *buf, size_t len, uint8_t sum[VMF_SHA_LEN],
    struct vmf_error *err);

/* Of len zero bytes. */
int
vmf_sha256_zeros(size_t len, uint8_t sum[VMF_SHA_LEN], struct vmf_error *err);

/* The same over bytes that come in pieces. */
struct vmf_sha;
struct vmf_sha *vmf_sha_new(struct vmf_error *err);
int vmf_sha_update(
    struct vmf_sha *sha, const void *buf, size_t len, struct vmf_error *err);
/* The digest of all so far; starts afresh. */
int vmf_sha_final(
    struct vmf_sha *sha, uint8_t sum[VMF_SHA_LEN], struct vmf_error *err);
void vmf_sha_free(struct vmf_sha *sha);

#endif
