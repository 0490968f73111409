/* digest.c - see vmferry/digest.h */
#include <pthread.h>
#include <stdlib.h>

#include <openssl/evp.h>

#include <vmferry/digest.h>

struct vmf_sha {
	EVP_MD_CTX *ctx;
};

/*
 * Looking the algorithm up costs more than hashing a small buffer, so it is
 * done once for the life of the process.
 */
static EVP_MD *sha256;
static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;

static void
fetch_sha256(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

static int
failed(struct vmf_error *err)
{
	return vmf_fail(err, VMF_INTERNAL, "OpenSSL: SHA-256 failed");
}

int
vmf_sha256(const void *buf, size_t len, uint8_t sum[VMF_SHA_LEN],
    struct vmf_error *err)
{
	pthread_once(&sha256_once, fetch_sha256);
	if (sha256 == NULL ||
	    EVP_Digest(buf, len, sum, NULL, sha256, NULL) != 1)
		return failed(err);
	return 0;
}

int
vmf_sha256_zeros(size_t len, uint8_t sum[VMF_SHA_LEN], struct vmf_error *err)
{
	uint8_t *zeros = calloc(1, len + 1);
	int rc;

	if (zeros == NULL)
		return vmf_fail(err, VMF_IO, "no memory for %zu zeros", len);
	rc = vmf_sha256(zeros, len, sum, err);
	free(zeros);
	return rc;
}

struct vmf_sha *
vmf_sha_new(struct vmf_error *err)
{
	struct vmf_sha *sha = calloc(1, sizeof(*sha));

	pthread_once(&sha256_once, fetch_sha256);
	if (sha != NULL)
		sha->ctx = EVP_MD_CTX_new();
	if (sha == NULL || sha->ctx == NULL || sha256 == NULL ||
	    EVP_DigestInit_ex2(sha->ctx, sha256, NULL) != 1) {
		vmf_sha_free(sha);
		failed(err);
		return NULL;
	}
	return sha;
}

int
vmf_sha_update(
    struct vmf_sha *sha, const void *buf, size_t len, struct vmf_error *err)
{
	if (EVP_DigestUpdate(sha->ctx, buf, len) != 1)
		return failed(err);
	return 0;
}

int
vmf_sha_final(
    struct vmf_sha *sha, uint8_t sum[VMF_SHA_LEN], struct vmf_error *err)
{
	if (EVP_DigestFinal_ex(sha->ctx, sum, NULL) != 1 ||
	    EVP_DigestInit_ex2(sha->ctx, sha256, NULL) != 1)
		return failed(err);
	return 0;
}

void
vmf_sha_free(struct vmf_sha *sha)
{
	if (sha == NULL)
		return;
	EVP_MD_CTX_free(sha->ctx);
	free(sha);
}
