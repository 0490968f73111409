/* knownhosts.c - see vmferry/knownhosts.h */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <vmferry/digest.h>
#include <vmferry/io.h>
#include <vmferry/knownhosts.h>

#define MAX_FILE (16 * VMF_MIB)
#define MAX_KEY	 16384 /* bytes of a public key in wire format */
#define MAX_NAME 512   /* [host]:port */
#define SALT_LEN 20    /* as OpenSSH makes them: the length of SHA-1 */

struct file {
	char *path;
	char *text;
};

struct vmf_knownhosts {
	struct file *files;
	size_t n;
};

/* One line, as slices of the text. */
struct entry {
	const struct file *file;
	unsigned line;
	const char *marker, *names, *type, *key;
	size_t marker_len, names_len, type_len, key_len;
};

/* Where an iteration stands. */
struct cursor {
	const struct vmf_knownhosts *kh;
	size_t file;
	const char *next;
	unsigned line;
};

struct vmf_knownhosts *
vmf_knownhosts_load(const char *const paths[], struct vmf_error *err)
{
	struct vmf_knownhosts *kh = calloc(1, sizeof(*kh));
	size_t n = 0;

	while (paths[n] != NULL)
		n++;
	if (kh == NULL ||
	    (kh->files = calloc(n + 1, sizeof(*kh->files))) == NULL)
		goto fail_errno;
	for (size_t i = 0; i < n; i++) {
		struct file *f = &kh->files[kh->n];

		if (access(paths[i], F_OK) < 0 &&
		    (errno == ENOENT || errno == ENOTDIR))
			continue;
		f->text = vmf_read_file(paths[i], MAX_FILE, NULL, err);
		if (f->text == NULL) {
			if (err != NULL)
				err->class = VMF_AUTH;
			goto fail;
		}
		kh->n++;
		f->path = strdup(paths[i]);
		if (f->path == NULL)
			goto fail_errno;
	}
	return kh;
fail_errno:
	vmf_fail_errno(err, VMF_IO, "known_hosts");
fail:
	vmf_knownhosts_free(kh);
	return NULL;
}

void
vmf_knownhosts_free(struct vmf_knownhosts *kh)
{
	if (kh == NULL)
		return;
	for (size_t i = 0; i < kh->n; i++) {
		free(kh->files[i].path);
		free(kh->files[i].text);
	}
	free(kh->files);
	free(kh);
}

/* The next blank-separated word before end; 0: none. */
static size_t
next_word(const char **s, const char *end, const char **word)
{
	while (*s < end && (**s == ' ' || **s == '\t' || **s == '\r'))
		(*s)++;
	*word = *s;
	while (*s < end && **s != ' ' && **s != '\t' && **s != '\r')
		(*s)++;
	return (size_t)(*s - *word);
}

static bool
parse_line(const char *s, const char *end, struct entry *e)
{
	e->marker_len = 0;
	e->names_len = next_word(&s, end, &e->names);
	if (e->names_len == 0 || e->names[0] == '#')
		return false;
	if (e->names[0] == '@') {
		e->marker = e->names;
		e->marker_len = e->names_len;
		e->names_len = next_word(&s, end, &e->names);
	}
	e->type_len = next_word(&s, end, &e->type);
	e->key_len = next_word(&s, end, &e->key);
	return e->key_len > 0;
}

/* The next line that is an entry; false at the end of the last file. */
static bool
next_entry(struct cursor *c, struct entry *e)
{
	const char *s, *end;

	while (c->file < c->kh->n) {
		if (c->next == NULL) {
			c->next = c->kh->files[c->file].text;
			c->line = 0;
		}
		while (*c->next != '\0') {
			s = c->next;
			end = s + strcspn(s, "\n");
			c->next = *end == '\n' ? end + 1 : end;
			c->line++;
			if (!parse_line(s, end, e))
				continue;
			e->file = &c->kh->files[c->file];
			e->line = c->line;
			return true;
		}
		c->file++;
		c->next = NULL;
	}
	return false;
}

static bool
is_word(const char *s, size_t len, const char *word)
{
	return len == strlen(word) && memcmp(s, word, len) == 0;
}

/* Decodes len base64 digits; -1 if they are not that, or more than max bytes.
 */
static int
decode_base64(const char *s, size_t len, uint8_t *buf, size_t max)
{
	uint8_t *whole;
	int n = -1, pad = 0;

	if (len == 0 || len % 4 != 0 || len / 4 * 3 > max + 2)
		return -1;
	whole = malloc(len / 4 * 3 + 1);
	if (whole == NULL)
		return -1;
	n = EVP_DecodeBlock(whole, (const unsigned char *)s, (int)len);
	if (s[len - 1] == '=')
		pad += s[len - 2] == '=' ? 2 : 1;
	if (n >= 0)
		n -= pad;
	if (n > (int)max)
		n = -1;
	if (n > 0)
		memcpy(buf, whole, (size_t)n);
	free(whole);
	return n;
}

/* HMAC-SHA1 of the name keyed with the salt: all that hashing offers here. */
static bool
hash_name(const uint8_t *salt, int salt_len, const char *name, uint8_t *hash)
{
	unsigned n = 0;

	return HMAC(EVP_sha1(), salt, salt_len, (const unsigned char *)name,
		   strlen(name), hash, &n) != NULL &&
	       n == SALT_LEN;
}

/* |1|SALT|HASH */
static bool
hashed_matches(const char *s, size_t len, const char *name)
{
	const char *end = s + len, *bar;
	uint8_t salt[64], want[SALT_LEN], hash[EVP_MAX_MD_SIZE];
	int salt_len;

	if (len < 4 || memcmp(s, "|1|", 3) != 0)
		return false;
	s += 3;
	bar = memchr(s, '|', (size_t)(end - s));
	if (bar == NULL)
		return false;
	salt_len = decode_base64(s, (size_t)(bar - s), salt, sizeof(salt));
	if (salt_len <= 0 || decode_base64(bar + 1, (size_t)(end - bar - 1),
				 want, sizeof(want)) != SALT_LEN)
		return false;
	return hash_name(salt, salt_len, name, hash) &&
	       memcmp(hash, want, SALT_LEN) == 0;
}

/* * and ? as in ssh_config(5) PATTERNS; the last star is retried from. */
static bool
glob_matches(const char *p, const char *end, const char *s)
{
	const char *star = NULL, *retry = NULL;

	while (*s != '\0') {
		if (p < end && *p == '*') {
			star = p++;
			retry = s;
		} else if (p < end &&
			   (*p == '?' || tolower((unsigned char)*p) == *s)) {
			p++;
			s++;
		} else if (star != NULL) {
			p = star + 1;
			s = ++retry;
		} else {
			return false;
		}
	}
	while (p < end && *p == '*')
		p++;
	return p == end;
}

static bool
names_match(const struct entry *e, const char *name)
{
	const char *s = e->names, *end = s + e->names_len, *comma;
	bool negated, found = false;

	if (s[0] == '|')
		return hashed_matches(s, e->names_len, name);
	for (; s <= end; s = comma + 1) {
		comma = memchr(s, ',', (size_t)(end - s));
		if (comma == NULL)
			comma = end;
		negated = s < comma && *s == '!';
		if (!glob_matches(s + negated, comma, name))
			continue;
		if (negated)
			return false;
		found = true;
	}
	return found;
}

static void
entry_name(const char *host, uint16_t port, char name[MAX_NAME])
{
	if (port == 22 || port == 0)
		snprintf(name, MAX_NAME, "%s", host);
	else
		snprintf(name, MAX_NAME, "[%s]:%u", host, port);
	for (; *name != '\0'; name++)
		*name = (char)tolower((unsigned char)*name);
}

void
vmf_knownhosts_key_type(const void *key, size_t key_len, char *type, size_t len)
{
	const uint8_t *p = key;
	size_t n;

	type[0] = '\0';
	if (key_len < 4)
		return;
	n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	if (n > key_len - 4 || n >= len)
		return;
	memcpy(type, p + 4, n);
	type[n] = '\0';
}

static bool
same_key(const struct entry *e, const void *key, size_t key_len)
{
	uint8_t *known;
	int n;
	bool same;

	if (key_len > MAX_KEY || (known = malloc(MAX_KEY)) == NULL)
		return false;
	n = decode_base64(e->key, e->key_len, known, MAX_KEY);
	same =
	    n >= 0 && (size_t)n == key_len && memcmp(known, key, key_len) == 0;
	free(known);
	return same;
}

/* Under exactly this name; the firmest of what the entries say. */
static enum vmf_knownhosts_verdict
check_name(const struct vmf_knownhosts *kh, const char *name, const void *key,
    size_t key_len, struct entry *decided)
{
	enum vmf_knownhosts_verdict verdict = VMF_KNOWNHOSTS_UNKNOWN, v;
	struct cursor c = {.kh = kh};
	char type[64];
	struct entry e;
	bool same;

	vmf_knownhosts_key_type(key, key_len, type, sizeof(type));
	while (next_entry(&c, &e)) {
		if (!names_match(&e, name))
			continue;
		same = same_key(&e, key, key_len);
		if (e.marker_len > 0) {
			if (!same ||
			    !is_word(e.marker, e.marker_len, "@revoked"))
				continue;
			v = VMF_KNOWNHOSTS_REVOKED;
		} else if (same) {
			v = VMF_KNOWNHOSTS_MATCH;
		} else if (is_word(e.type, e.type_len, type)) {
			v = VMF_KNOWNHOSTS_CHANGED;
		} else {
			v = VMF_KNOWNHOSTS_OTHER_TYPE;
		}
		/* A host may have several keys of a type: one must match. */
		if (verdict == VMF_KNOWNHOSTS_REVOKED ||
		    (verdict == VMF_KNOWNHOSTS_MATCH &&
			v != VMF_KNOWNHOSTS_REVOKED))
			continue;
		if (verdict == VMF_KNOWNHOSTS_CHANGED &&
		    v == VMF_KNOWNHOSTS_OTHER_TYPE)
			continue;
		verdict = v;
		*decided = e;
	}
	return verdict;
}

enum vmf_knownhosts_verdict
vmf_knownhosts_check(const struct vmf_knownhosts *kh, const char *host,
    uint16_t port, const void *key, size_t key_len, char *where,
    size_t where_len)
{
	enum vmf_knownhosts_verdict verdict, plain;
	char name[MAX_NAME];
	struct entry e;

	memset(&e, 0, sizeof(e));
	entry_name(host, port, name);
	verdict = check_name(kh, name, key, key_len, &e);
	if (verdict == VMF_KNOWNHOSTS_UNKNOWN && port != 22 && port != 0) {
		/* As ssh does: the host's key under its plain name is good
		 * for a port of its own, but says nothing when it differs. */
		entry_name(host, 22, name);
		plain = check_name(kh, name, key, key_len, &e);
		if (plain == VMF_KNOWNHOSTS_MATCH ||
		    plain == VMF_KNOWNHOSTS_REVOKED)
			verdict = plain;
	}
	if (where != NULL && where_len > 0) {
		where[0] = '\0';
		if (verdict != VMF_KNOWNHOSTS_UNKNOWN)
			snprintf(
			    where, where_len, "%s:%u", e.file->path, e.line);
	}
	return verdict;
}

void
vmf_knownhosts_types(const struct vmf_knownhosts *kh, const char *host,
    uint16_t port, char *types, size_t len)
{
	struct cursor c = {.kh = kh};
	char name[MAX_NAME], plain[MAX_NAME], list[1024] = ",", type[64];
	struct entry e;
	size_t used;

	entry_name(host, port, name);
	entry_name(host, 22, plain);
	while (next_entry(&c, &e)) {
		if (e.marker_len > 0 || e.type_len > 60 ||
		    (!names_match(&e, name) && !names_match(&e, plain)))
			continue;
		snprintf(type, sizeof(type), ",%.*s,", (int)e.type_len, e.type);
		used = strlen(list);
		if (strstr(list, type) == NULL &&
		    used + e.type_len + 2 < sizeof(list))
			snprintf(
			    list + used, sizeof(list) - used, "%s", type + 1);
	}
	list[strlen(list) - 1] = '\0';
	snprintf(types, len, "%s", list[0] == ',' ? list + 1 : "");
}

void
vmf_knownhosts_fingerprint(const void *key, size_t len, char *text)
{
	uint8_t sum[VMF_SHA_LEN];
	unsigned char b64[64];
	int n;

	if (vmf_sha256(key, len, sum, NULL) < 0) {
		snprintf(text, VMF_FINGERPRINT_TEXT, "SHA256:?");
		return;
	}
	n = EVP_EncodeBlock(b64, sum, sizeof(sum));
	while (n > 0 && b64[n - 1] == '=')
		n--;
	snprintf(text, VMF_FINGERPRINT_TEXT, "SHA256:%.*s", n, (char *)b64);
}

/* name, or |1|SALT|HASH of it. */
static int
written_name(const char *name, bool hashed, char *text, size_t len,
    struct vmf_error *err)
{
	uint8_t salt[VMF_ID_LEN + VMF_ID_LEN], hash[EVP_MAX_MD_SIZE];
	char s64[64], h64[64];

	if (!hashed) {
		snprintf(text, len, "%s", name);
		return 0;
	}
	if (vmf_id_random(salt, err) < 0 ||
	    vmf_id_random(salt + VMF_ID_LEN, err) < 0)
		return -1;
	if (!hash_name(salt, SALT_LEN, name, hash))
		return vmf_fail(err, VMF_INTERNAL, "HMAC-SHA1 is not there");
	EVP_EncodeBlock((unsigned char *)s64, salt, SALT_LEN);
	EVP_EncodeBlock((unsigned char *)h64, hash, SALT_LEN);
	snprintf(text, len, "|1|%s|%s", s64, h64);
	return 0;
}

static void
make_parent(const char *path)
{
	char *dir = strdup(path), *slash;

	slash = dir != NULL ? strrchr(dir, '/') : NULL;
	if (slash != NULL && slash != dir) {
		*slash = '\0';
		(void)mkdir(dir, 0700); /* open() tells if it is not there */
	}
	free(dir);
}

int
vmf_knownhosts_append(const char *path, const char *host, uint16_t port,
    const void *key, size_t key_len, bool hashed, struct vmf_error *err)
{
	char name[MAX_NAME], written[MAX_NAME], type[64], last = '\n';
	char *b64 = NULL, *line = NULL;
	int fd = -1, rc = -1;
	struct stat st;

	entry_name(host, port, name);
	vmf_knownhosts_key_type(key, key_len, type, sizeof(type));
	if (type[0] == '\0' || key_len > MAX_KEY)
		return vmf_fail(err, VMF_AUTH, "not a host key");
	if (written_name(name, hashed, written, sizeof(written), err) < 0)
		return -1;
	b64 = malloc(key_len / 3 * 4 + 8);
	if (b64 == NULL)
		goto fail;
	EVP_EncodeBlock((unsigned char *)b64, key, (int)key_len);
	make_parent(path);
	fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || fstat(fd, &st) < 0)
		goto fail;
	/* An editor may have left the last line without its end. */
	if (st.st_size > 0 && pread(fd, &last, 1, st.st_size - 1) != 1)
		goto fail;
	if (asprintf(&line, "%s%s %s %s\n", last == '\n' ? "" : "\n", written,
		type, b64) < 0) {
		line = NULL;
		goto fail;
	}
	rc = vmf_write_full(fd, line, strlen(line), err);
	if (rc < 0)
		vmf_wrap(err, "%s", path);
	goto out;
fail:
	vmf_fail_errno(err, VMF_IO, "%s", path);
out:
	if (fd >= 0 && close(fd) < 0 && rc == 0)
		rc = vmf_fail_errno(err, VMF_IO, "%s", path);
	free(line);
	free(b64);
	return rc;
}
