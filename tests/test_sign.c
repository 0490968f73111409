/* test_sign.c - signatures: RFC 8032's own, forged ones, keys that will not do
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vmferry/io.h>
#include <vmferry/sign.h>

#include "test.h"

static struct vmf_error err;

/* RFC 8032, 7.1, TEST 2: seed and public key, wrapped as RFC 8410 says. */
#define PRIVATE                                                                \
	"-----BEGIN PRIVATE KEY-----\n"                                        \
	"MC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7\n"   \
	"-----END PRIVATE KEY-----\n"
#define PUBLIC                                                                 \
	"-----BEGIN PUBLIC KEY-----\n"                                         \
	"MCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=\n"       \
	"-----END PUBLIC KEY-----\n"
static const uint8_t message[] = {0x72};
static const uint8_t wanted[VMF_SIGN_LEN] = {0x92, 0xa0, 0x09, 0xa9, 0xf0, 0xd4,
    0xca, 0xb8, 0x72, 0x0e, 0x82, 0x0b, 0x5f, 0x64, 0x25, 0x40, 0xa2, 0xb2,
    0x7b, 0x54, 0x16, 0x50, 0x3f, 0x8f, 0xb3, 0x76, 0x22, 0x23, 0xeb, 0xdb,
    0x69, 0xda, 0x08, 0x5a, 0xc1, 0xe4, 0x3e, 0x15, 0x99, 0x6e, 0x45, 0x8f,
    0x36, 0x13, 0xd0, 0xf1, 0x1d, 0x8c, 0x38, 0x7b, 0x2e, 0xae, 0xb4, 0x30,
    0x2a, 0xee, 0xb0, 0x0d, 0x29, 0x16, 0x12, 0xbb, 0x0c, 0x00};

/* Another key, and one that is no Ed25519 at all. */
#define OTHER                                                                  \
	"-----BEGIN PUBLIC KEY-----\n"                                         \
	"MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"       \
	"-----END PUBLIC KEY-----\n"
#define X25519                                                                 \
	"-----BEGIN PUBLIC KEY-----\n"                                         \
	"MCowBQYDK2VuAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"       \
	"-----END PUBLIC KEY-----\n"

static const char *
write_key(const char *name, const char *text, mode_t mode)
{
	const char *path = test_path(name);

	unlink(path);
	CU_ASSERT_EQUAL(
	    vmf_write_file(path, text, strlen(text), false, &err), 0);
	CU_ASSERT_EQUAL(chmod(path, mode), 0);
	return path;
}

static void
signatures_are_those_of_the_rfc(void)
{
	struct vmf_sign_key *key, *pub;
	uint8_t made[VMF_SIGN_LEN];

	key = vmf_sign_key_private(write_key("key", PRIVATE, 0600), &err);
	pub = vmf_sign_key_public(write_key("pub", PUBLIC, 0644), &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(key);
	CU_ASSERT_PTR_NOT_NULL_FATAL(pub);
	CU_ASSERT_EQUAL(vmf_sign(key, message, sizeof(message), made, &err), 0);
	CU_ASSERT_EQUAL(memcmp(made, wanted, sizeof(made)), 0);
	CU_ASSERT_EQUAL(
	    vmf_sign_check(pub, message, sizeof(message), made, &err), 0);
	vmf_sign_key_free(key);
	vmf_sign_key_free(pub);
}

static void
a_forgery_is_refused(void)
{
	struct vmf_sign_key *pub, *other;
	uint8_t forged[VMF_SIGN_LEN];
	size_t i;

	pub = vmf_sign_key_public(write_key("pub", PUBLIC, 0644), &err);
	other = vmf_sign_key_public(write_key("other", OTHER, 0644), &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(pub);
	CU_ASSERT_PTR_NOT_NULL_FATAL(other);
	ASSERT_FAILS(
	    vmf_sign_check(other, message, 1, wanted, &err), VMF_INTEGRITY);
	ASSERT_FAILS(
	    vmf_sign_check(pub, message, 0, wanted, &err), VMF_INTEGRITY);
	for (i = 0; i < VMF_SIGN_LEN; i++) {
		memcpy(forged, wanted, sizeof(forged));
		forged[i] ^= (uint8_t)(1 << i % 8);
		ASSERT_FAILS(vmf_sign_check(pub, message, 1, forged, &err),
		    VMF_INTEGRITY);
	}
	vmf_sign_key_free(pub);
	vmf_sign_key_free(other);
}

static void
refuse_private(const char *path)
{
	memset(&err, 0, sizeof(err));
	CU_ASSERT_PTR_NULL(vmf_sign_key_private(path, &err));
	CU_ASSERT_EQUAL(err.class, VMF_REFUSED);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, path));
}

static void
refuse_public(const char *path)
{
	memset(&err, 0, sizeof(err));
	CU_ASSERT_PTR_NULL(vmf_sign_key_public(path, &err));
	CU_ASSERT_EQUAL(err.class, VMF_REFUSED);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, path));
}

static void
keys_that_will_not_do_are_refused(void)
{
	refuse_private(write_key("key", PRIVATE, 0640));
	refuse_private(write_key("key", PRIVATE, 0604));
	refuse_private(write_key("key", PRIVATE, 0620));
	refuse_private(write_key("key", PUBLIC, 0600));
	refuse_private(write_key("key", "", 0600));
	refuse_private(test_path("none"));
	refuse_private(test_dir());
	refuse_public(write_key("pub", PRIVATE, 0600));
	refuse_public(write_key("pub", X25519, 0644));
	refuse_public(write_key("pub", "no key", 0644));
	refuse_public(test_path("none"));
}

void
suite_sign(void)
{
	static const struct test_case cases[] = {
	    {"signatures are those of the RFC",
		signatures_are_those_of_the_rfc},
	    {"a forgery is refused", a_forgery_is_refused},
	    {"keys that will not do are refused",
		keys_that_will_not_do_are_refused},
	};

	TEST_SUITE("sign", cases);
}
