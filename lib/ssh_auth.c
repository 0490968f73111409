/* ssh_auth.c - who are we: the agent's keys and key files */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <vmferry/io.h>
#include <vmferry/knownhosts.h>

#include "ssh_internal.h"

#define MAX_KEY_FILE 65536
#define RSA_HINT     "use an ed25519 or ECDSA key (ssh-keygen -t ed25519)"

/* What was tried, for the message when nothing helped. */
struct attempts {
	const struct vmf_ssh_options *options;
	int64_t deadline;
	unsigned tried;	 /* keys the server refused */
	bool rsa;	 /* one of them was RSA */
	bool agent_gone; /* an agent was named and does not answer */
	char note[256];	 /* why the last file could not be used */
	/* Public halves of the key files, to know them in the agent. */
	struct key_file *files;
	size_t n_files;
};

struct key_file {
	const char *path;
	char type[64]; /* "" unknown */
	bool encrypted;
	bool usable;
	bool tried;
	uint8_t *pub;
	size_t pub_len;
};

static bool
is_rsa(const char *type)
{
	return strcmp(type, "ssh-rsa") == 0;
}

/* The decoded base64 between the lines of a PEM file; the caller frees it. */
static uint8_t *
pem_body(const char *text, const char *begin, size_t *len)
{
	const char *s = strstr(text, begin), *end;
	char *digits;
	uint8_t *body = NULL;
	size_t n = 0;
	int got;

	if (s == NULL)
		return NULL;
	s += strlen(begin);
	end = strstr(s, "-----END");
	if (end == NULL || (digits = malloc((size_t)(end - s) + 1)) == NULL)
		return NULL;
	for (; s < end; s++)
		if (*s != '\n' && *s != '\r')
			digits[n++] = *s;
	body = n > 0 && n % 4 == 0 ? malloc(n / 4 * 3 + 1) : NULL;
	got = body == NULL
		  ? -1
		  : EVP_DecodeBlock(body, (unsigned char *)digits, (int)n);
	OPENSSL_cleanse(digits, n);
	free(digits);
	if (got < 0) {
		free(body);
		return NULL;
	}
	*len = (size_t)got;
	return body;
}

/* A length-prefixed string of the SSH wire format at *p; NULL: cut short. */
static const uint8_t *
ssh_string(const uint8_t **p, const uint8_t *end, size_t *len)
{
	const uint8_t *s;

	if (end - *p < 4)
		return NULL;
	*len = (size_t)(*p)[0] << 24 | (size_t)(*p)[1] << 16 |
	       (size_t)(*p)[2] << 8 | (*p)[3];
	s = *p + 4;
	if (*len > (size_t)(end - s))
		return NULL;
	*p = s + *len;
	return s;
}

/*
 * OpenSSH's own format (PROTOCOL.key): "openssh-key-v1\0", cipher, kdf, its
 * options, the number of keys, then the public key in clear.
 */
static void
look_at_openssh_key(const uint8_t *body, size_t len, struct key_file *key)
{
	static const char magic[] = "openssh-key-v1";
	const uint8_t *p = body + sizeof(magic), *end = body + len, *s;
	size_t n;

	if (len < sizeof(magic) || memcmp(body, magic, sizeof(magic)) != 0)
		return;
	s = ssh_string(&p, end, &n);
	if (s == NULL)
		return;
	key->encrypted = n != 4 || memcmp(s, "none", 4) != 0;
	if (ssh_string(&p, end, &n) == NULL ||
	    ssh_string(&p, end, &n) == NULL || end - p < 4)
		return;
	p += 4;
	s = ssh_string(&p, end, &n);
	if (s == NULL || (key->pub = malloc(n + 1)) == NULL)
		return;
	memcpy(key->pub, s, n);
	key->pub_len = n;
	vmf_knownhosts_key_type(key->pub, n, key->type, sizeof(key->type));
}

static void
look_at_key(const char *text, struct key_file *key)
{
	uint8_t *body;
	size_t len = 0;

	body = pem_body(text, "-----BEGIN OPENSSH PRIVATE KEY-----", &len);
	if (body != NULL) {
		look_at_openssh_key(body, len, key);
		OPENSSL_cleanse(body, len);
		free(body);
		return;
	}
	if (strstr(text, "BEGIN RSA PRIVATE KEY") != NULL)
		snprintf(key->type, sizeof(key->type), "ssh-rsa");
	key->encrypted = strstr(text, "ENCRYPTED") != NULL;
}

/*
 * A private key that others can read is no secret: it is refused rather than
 * skipped, so that it gets mended.  A merely usual name may be missing.
 */
static int
look_at_file(struct attempts *at, struct key_file *key, struct vmf_error *err)
{
	struct stat st;
	char *text;
	size_t len;

	if (stat(key->path, &st) < 0) {
		if (!at->options->identities_named &&
		    (errno == ENOENT || errno == ENOTDIR))
			return 0;
		return vmf_fail_errno(err, VMF_AUTH, "%s", key->path);
	}
	if (S_ISREG(st.st_mode) && (st.st_mode & 077) != 0)
		return vmf_fail(err, VMF_AUTH,
		    "%s: private key is open to others (mode %03o); "
		    "chmod 600 it",
		    key->path, st.st_mode & 0777);
	text = vmf_read_file(key->path, MAX_KEY_FILE, &len, err);
	if (text == NULL) {
		if (err != NULL)
			err->class = VMF_AUTH;
		return -1;
	}
	if (strstr(text, "PRIVATE KEY-----") == NULL) {
		OPENSSL_cleanse(text, len);
		free(text);
		return vmf_fail(err, VMF_AUTH,
		    "%s: not a private key (is it the .pub file?)", key->path);
	}
	look_at_key(text, key);
	OPENSSL_cleanse(text, len);
	free(text);
	key->usable = true;
	return 0;
}

static int
look_at_files(struct attempts *at, struct vmf_error *err)
{
	const char *const *list = at->options->identities;
	size_t i, n = 0;

	while (list != NULL && list[n] != NULL)
		n++;
	at->files = calloc(n + 1, sizeof(*at->files));
	if (at->files == NULL)
		return vmf_fail_errno(err, VMF_IO, "keys");
	at->n_files = n;
	for (i = 0; i < n; i++) {
		at->files[i].path = list[i];
		if (look_at_file(at, &at->files[i], err) < 0)
			return -1;
	}
	return 0;
}

/*
 * 1 authenticated, 0 this key was refused, -1 no use to go on.  A server that
 * has seen enough keys hangs up: that is a matter of keys, not of the line.
 */
static int
judge(struct vmf_ssh *ssh, struct attempts *at, int rc, const char *type,
    struct vmf_error *err)
{
	if (rc == 0)
		return 1;
	if (ssh->lost_errno != 0 && at->tried > 0)
		return vmf_fail(err, VMF_AUTH,
		    "%s: hung up after %u refused keys; name the right one "
		    "with -i",
		    ssh->name, at->tried);
	if (ssh->lost_errno != 0)
		return vmf_ssh_fail(ssh, rc, "authentication", err);
	at->tried++;
	if (is_rsa(type))
		at->rsa = true;
	return 0;
}

static int
auth_wait(struct vmf_ssh *ssh, struct attempts *at, struct vmf_error *err)
{
	if (vmf_ssh_now() >= at->deadline) {
		vmf_ssh_drop(ssh, ETIMEDOUT);
		return vmf_fail(err, VMF_REMOTE,
		    "%s: authentication took too long", ssh->name);
	}
	return vmf_ssh_wait(ssh, at->deadline, -1, err);
}

static int
try_file(struct vmf_ssh *ssh, struct attempts *at, struct key_file *key,
    struct vmf_error *err)
{
	const struct vmf_ssh_options *o = at->options;
	char *pass = NULL;
	int rc;

	key->tried = true;
	if (key->encrypted) {
		if (o->passphrase != NULL)
			pass = o->passphrase(o->passphrase_ctx, key->path);
		if (pass == NULL) {
			snprintf(at->note, sizeof(at->note),
			    "%s needs its passphrase: use ssh-agent, or a "
			    "terminal",
			    key->path);
			return 0;
		}
		/* The time a person needs is not the server's. */
		at->deadline = vmf_ssh_now() + 30000;
	}
	while ((rc = libssh2_userauth_publickey_fromfile_ex(ssh->lib, o->user,
		    (unsigned)strlen(o->user), NULL, key->path,
		    pass != NULL ? pass : "")) == LIBSSH2_ERROR_EAGAIN)
		if (auth_wait(ssh, at, err) < 0) {
			rc = -1;
			goto out;
		}
	if (rc == LIBSSH2_ERROR_FILE || rc == LIBSSH2_ERROR_METHOD_NONE ||
	    rc == LIBSSH2_ERROR_METHOD_NOT_SUPPORTED) {
		snprintf(at->note, sizeof(at->note), "%s cannot be read%s",
		    key->path,
		    key->encrypted ? " with that passphrase"
				   : " by libssh2: " RSA_HINT);
		rc = 0;
		goto out;
	}
	rc = judge(ssh, at, rc, key->type, err);
out:
	if (pass != NULL) {
		OPENSSL_cleanse(pass, strlen(pass));
		free(pass);
	}
	return rc;
}

/* RSA last: libssh2 before 1.11 signs with SHA-1, which servers refuse, and
 * every refusal counts against the few tries a server grants. */
static int
try_files(struct vmf_ssh *ssh, struct attempts *at, struct vmf_error *err)
{
	int rc, pass;
	size_t i;

	for (pass = 0; pass < 2; pass++)
		for (i = 0; i < at->n_files; i++) {
			struct key_file *key = &at->files[i];

			if (!key->usable || key->tried ||
			    is_rsa(key->type) != (pass == 1))
				continue;
			if (strncmp(key->type, "sk-", 3) == 0)
				continue; /* wants a touch: not for tools */
			rc = try_file(ssh, at, key, err);
			if (rc != 0)
				return rc;
		}
	return 0;
}

static struct key_file *
file_of(struct attempts *at, const uint8_t *blob, size_t len)
{
	size_t i;

	for (i = 0; i < at->n_files; i++)
		if (at->files[i].pub_len == len &&
		    memcmp(at->files[i].pub, blob, len) == 0)
			return &at->files[i];
	return NULL;
}

/* One pass over the agent's keys, taking those of the wanted sort. */
static int
try_agent_pass(struct vmf_ssh *ssh, struct attempts *at, LIBSSH2_AGENT *agent,
    bool of_files, bool rsa, struct vmf_error *err)
{
	struct libssh2_agent_publickey *id = NULL, *prev = NULL;
	struct key_file *file;
	char type[64];
	int rc;

	while (libssh2_agent_get_identity(agent, &id, prev) == 0) {
		prev = id;
		vmf_knownhosts_key_type(
		    id->blob, id->blob_len, type, sizeof(type));
		file = file_of(at, id->blob, id->blob_len);
		if ((file != NULL) != of_files || is_rsa(type) != rsa ||
		    strncmp(type, "sk-", 3) == 0)
			continue;
		while ((rc = libssh2_agent_userauth(agent, at->options->user,
			    id)) == LIBSSH2_ERROR_EAGAIN)
			if (auth_wait(ssh, at, err) < 0)
				return -1;
		/* Its file holds the same key: no second try. */
		if (file != NULL)
			file->tried = true;
		rc = judge(ssh, at, rc, type, err);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static LIBSSH2_AGENT *
agent_open(struct vmf_ssh *ssh, struct attempts *at)
{
	LIBSSH2_AGENT *agent = libssh2_agent_init(ssh->lib);

	if (agent == NULL)
		return NULL;
	libssh2_agent_set_identity_path(agent, at->options->agent);
	if (libssh2_agent_connect(agent) == 0) {
		if (libssh2_agent_list_identities(agent) == 0)
			return agent;
		libssh2_agent_disconnect(agent);
	}
	libssh2_agent_free(agent);
	at->agent_gone = true;
	return NULL;
}

/* Named keys that the agent holds, its others, then files; RSA at the end. */
static int
try_all(struct vmf_ssh *ssh, struct attempts *at, struct vmf_error *err)
{
	const struct vmf_ssh_options *o = at->options;
	LIBSSH2_AGENT *agent = o->agent != NULL ? agent_open(ssh, at) : NULL;
	int rc = 0;

	if (agent != NULL)
		rc = try_agent_pass(ssh, at, agent, true, false, err);
	if (rc == 0 && o->identities_named)
		rc = try_files(ssh, at, err);
	if (rc == 0 && agent != NULL && !o->identities_only)
		rc = try_agent_pass(ssh, at, agent, false, false, err);
	if (rc == 0 && !o->identities_named)
		rc = try_files(ssh, at, err);
	if (rc == 0 && agent != NULL)
		rc = try_agent_pass(ssh, at, agent, true, true, err);
	if (rc == 0 && agent != NULL && !o->identities_only)
		rc = try_agent_pass(ssh, at, agent, false, true, err);
	if (agent != NULL) {
		libssh2_agent_disconnect(agent);
		libssh2_agent_free(agent);
	}
	return rc;
}

static int
refused(struct vmf_ssh *ssh, const struct attempts *at, struct vmf_error *err)
{
	const char *user = at->options->user;

	if (at->rsa && at->note[0] == '\0')
		return vmf_fail(err, VMF_AUTH,
		    "%s: the RSA key of %s was refused; " RSA_HINT
		    ": libssh2 %s signs RSA only as servers no longer take it",
		    ssh->name, user, libssh2_version(0));
	if (at->tried == 0 && at->note[0] == '\0')
		return vmf_fail(err, VMF_AUTH,
		    "%s: no key to log in as %s%s; name one with -i, or "
		    "start ssh-agent",
		    ssh->name, user,
		    at->agent_gone ? " (the agent does not answer)" : "");
	return vmf_fail(err, VMF_AUTH,
	    "%s: login as %s refused (%u keys tried%s%s%s); add the public key "
	    "to its authorized_keys there, or name another with -i",
	    ssh->name, user, at->tried, at->note[0] != '\0' ? "; " : "",
	    at->note, at->agent_gone ? "; the agent does not answer" : "");
}

/* 1: the server asks for nothing, 0: it takes keys, -1: it does not */
static int
ask_methods(struct vmf_ssh *ssh, struct attempts *at, struct vmf_error *err)
{
	const char *user = at->options->user;
	char *list;
	int rc;

	while ((list = libssh2_userauth_list(
		    ssh->lib, user, (unsigned)strlen(user))) == NULL) {
		if (libssh2_userauth_authenticated(ssh->lib))
			return 1;
		rc = libssh2_session_last_errno(ssh->lib);
		if (rc != LIBSSH2_ERROR_EAGAIN)
			return vmf_ssh_fail(ssh, rc, "authentication", err);
		if (auth_wait(ssh, at, err) < 0)
			return -1;
	}
	if (strstr(list, "publickey") == NULL)
		return vmf_fail(err, VMF_AUTH,
		    "%s: takes no keys for %s, only %s", ssh->name, user, list);
	return 0;
}

int
vmf_ssh_authenticate(struct vmf_ssh *ssh, const struct vmf_ssh_options *options,
    int64_t deadline, struct vmf_error *err)
{
	struct attempts at = {.options = options, .deadline = deadline};
	size_t i;
	int rc;

	rc = look_at_files(&at, err);
	if (rc == 0)
		rc = ask_methods(ssh, &at, err);
	if (rc == 0)
		rc = try_all(ssh, &at, err);
	if (rc == 0)
		rc = refused(ssh, &at, err);
	for (i = 0; i < at.n_files; i++)
		free(at.files[i].pub);
	free(at.files);
	return rc < 0 ? -1 : 0;
}
