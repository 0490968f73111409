/* sign.c - see vmferry/sign.h */
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <vmferry/io.h>
#include <vmferry/sign.h>

#define PEM_MAX 65536 /* bytes of a key's file */

struct vmf_sign_key {
	EVP_PKEY *pkey;
};

/* Without this OpenSSL would ask at the terminal. */
static int
no_passphrase(char *buf, int size, int writing, void *ctx)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)ctx;
	return -1;
}

/* Its owner alone may read it; asked of what was opened, not of a name. */
static int
check_private(int fd, const char *path, struct vmf_error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", path);
	if (!S_ISREG(st.st_mode))
		return vmf_fail(
		    err, VMF_REFUSED, "%s: is not a regular file", path);
	if ((st.st_mode & 077) != 0)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: others than its owner can use this private key; "
		    "chmod 600 it",
		    path);
	return 0;
}

static EVP_PKEY *
parse(const char *text, size_t len, bool private)
{
	BIO *bio = BIO_new_mem_buf(text, (int)len);
	EVP_PKEY *pkey = NULL;

	if (bio != NULL && private)
		pkey = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	else if (bio != NULL)
		pkey = PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL);
	BIO_free(bio);
	ERR_clear_error();
	return pkey;
}

static struct vmf_sign_key *
read_key(int fd, const char *path, bool private, struct vmf_error *err)
{
	struct vmf_sign_key *key = calloc(1, sizeof(*key));
	char *text = malloc(PEM_MAX);
	size_t len;

	if (key == NULL || text == NULL) {
		vmf_fail_errno(err, VMF_IO, "%s", path);
		goto fail;
	}
	if (vmf_read_full(fd, text, PEM_MAX, &len, err) < 0) {
		vmf_wrap(err, "%s", path);
		goto fail;
	}
	key->pkey = parse(text, len, private);
	if (key->pkey == NULL || !EVP_PKEY_is_a(key->pkey, "ED25519")) {
		vmf_fail(err, VMF_REFUSED,
		    private ? "%s: holds no Ed25519 private key without a "
			      "passphrase; openssl genpkey -algorithm "
			      "ed25519 makes one"
			    : "%s: holds no Ed25519 public key; openssl pkey "
			      "-pubout makes it of a private one",
		    path);
		goto fail;
	}
	OPENSSL_cleanse(text, PEM_MAX);
	free(text);
	return key;
fail:
	if (text != NULL)
		OPENSSL_cleanse(text, PEM_MAX);
	free(text);
	vmf_sign_key_free(key);
	return NULL;
}

static struct vmf_sign_key *
open_key(const char *path, bool private, struct vmf_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct vmf_sign_key *key = NULL;

	if (fd < 0) {
		vmf_fail_errno(err, VMF_REFUSED, "%s", path);
		return NULL;
	}
	if (!private || check_private(fd, path, err) == 0)
		key = read_key(fd, path, private, err);
	close(fd);
	return key;
}

struct vmf_sign_key *
vmf_sign_key_private(const char *path, struct vmf_error *err)
{
	return open_key(path, true, err);
}

struct vmf_sign_key *
vmf_sign_key_public(const char *path, struct vmf_error *err)
{
	return open_key(path, false, err);
}

static int
openssl_failed(const char *what, struct vmf_error *err)
{
	ERR_clear_error();
	return vmf_fail(err, VMF_INTERNAL, "OpenSSL cannot %s", what);
}

int
vmf_sign(const struct vmf_sign_key *key, const void *buf, size_t len,
    uint8_t signature[VMF_SIGN_LEN], struct vmf_error *err)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t made = VMF_SIGN_LEN;
	bool done;

	done = ctx != NULL &&
	       EVP_DigestSignInit(ctx, NULL, NULL, NULL, key->pkey) == 1 &&
	       EVP_DigestSign(ctx, signature, &made, buf, len) == 1 &&
	       made == VMF_SIGN_LEN;
	EVP_MD_CTX_free(ctx);
	return done ? 0 : openssl_failed("sign", err);
}

int
vmf_sign_check(const struct vmf_sign_key *key, const void *buf, size_t len,
    const uint8_t signature[VMF_SIGN_LEN], struct vmf_error *err)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int same;

	if (ctx == NULL ||
	    EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key->pkey) != 1) {
		EVP_MD_CTX_free(ctx);
		return openssl_failed("check a signature", err);
	}
	same = EVP_DigestVerify(ctx, signature, VMF_SIGN_LEN, buf, len);
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	if (same != 1)
		return vmf_fail(err, VMF_INTEGRITY,
		    "its signature is not by this key, or of other bytes");
	return 0;
}

void
vmf_sign_key_free(struct vmf_sign_key *key)
{
	if (key == NULL)
		return;
	EVP_PKEY_free(key->pkey);
	free(key);
}
