/* manifest.c - see vmferry/manifest.h */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include <vmferry/manifest.h>

#include "package_internal.h"

#define HEAD_FORMAT "vmferry-package"
#define TAIL_FORMAT "vmferry-manifest"
#define DEPTH_MAX   8

#define TEXT_LEN  4096 /* of any string; vmf_package_check() says more */
#define KEY_LEN	  32   /* of a fact, and ... */
#define VALUE_LEN 1024 /* ... of what it says */

#define HEX_SHA (2 * VMF_SHA_LEN)
#define HEX_ID	(2 * VMF_ID_LEN)

struct vmf_manifest {
	json_t *head, *tail; /* they own all strings */
	struct vmf_package_info info;
	struct vmf_package_file *files;
	struct vmf_package_image *images;
	struct vmf_manifest_tail said;
	struct vmf_manifest_image *totals;
	struct vmf_package_fact *facts;
};

static const struct {
	enum vmf_format format;
	const char *name;
} formats[] = {{VMF_RAW, "raw"}, {VMF_QCOW2, "qcow2"}};
#define NFORMATS (sizeof(formats) / sizeof(formats[0]))

/* --- values: strict both ways */

/* Strings that are not UTF-8 have no place in JSON. */
static int
put(json_t *obj, const char *key, json_t *value, struct vmf_error *err)
{
	if (value == NULL || json_object_set_new(obj, key, value) < 0)
		return vmf_fail(
		    err, VMF_REFUSED, "%s: not UTF-8, or no memory", key);
	return 0;
}

static int
put_number(json_t *obj, const char *key, uint64_t n, struct vmf_error *err)
{
	return put(obj, key, json_integer((json_int_t)n), err);
}

static int
put_hex(json_t *obj, const char *key, const void *bytes, size_t len,
    struct vmf_error *err)
{
	char hex[HEX_SHA + 1];

	vmf_hex(bytes, len, hex);
	return put(obj, key, json_string(hex), err);
}

/* len may be NULL. */
static char *
format(json_t *obj, size_t *len, struct vmf_error *err)
{
	char *text = json_dumps(obj, JSON_INDENT(1) | JSON_SORT_KEYS), *more;
	size_t n;

	if (text == NULL) {
		vmf_fail(err, VMF_IO, "no memory for JSON");
		return NULL;
	}
	n = strlen(text);
	more = realloc(text, n + 2);
	if (more == NULL || n + 1 > VMF_PACKAGE_JSON_MAX) {
		free(more != NULL ? more : text);
		vmf_fail(
		    err, VMF_REFUSED, "what the package announces is too long");
		return NULL;
	}
	more[n++] = '\n';
	more[n] = '\0';
	if (len != NULL)
		*len = n;
	return more;
}

static int
get_text(json_t *obj, const char *key, const char **text, struct vmf_error *err)
{
	json_t *v = json_object_get(obj, key);

	if (!json_is_string(v) || json_string_length(v) > TEXT_LEN)
		return vmf_fail(
		    err, VMF_INTEGRITY, "\"%s\" is missing or malformed", key);
	*text = json_string_value(v);
	return 0;
}

static int
get_number(json_t *obj, const char *key, uint64_t max, uint64_t *n,
    struct vmf_error *err)
{
	json_t *v = json_object_get(obj, key);

	if (!json_is_integer(v) || json_integer_value(v) < 0 ||
	    (uint64_t)json_integer_value(v) > max)
		return vmf_fail(err, VMF_INTEGRITY,
		    "\"%s\" is missing or out of bounds", key);
	*n = (uint64_t)json_integer_value(v);
	return 0;
}

static int
get_hex(json_t *obj, const char *key, void *bytes, size_t len,
    struct vmf_error *err)
{
	const char *text;

	if (get_text(obj, key, &text, err) < 0)
		return -1;
	if (vmf_unhex(text, bytes, len) < 0)
		return vmf_fail(err, VMF_INTEGRITY, "\"%s\" is malformed", key);
	return 0;
}

static int
get_array(json_t *obj, const char *key, size_t max, json_t **array,
    struct vmf_error *err)
{
	*array = json_object_get(obj, key);
	if (!json_is_array(*array) || json_array_size(*array) > max)
		return vmf_fail(err, VMF_INTEGRITY,
		    "\"%s\" is missing or has too many entries", key);
	return 0;
}

/* Brackets that are open at once, outside strings. */
static int
depth(const char *text, size_t len)
{
	int now = 0, most = 0;
	bool quoted = false;
	size_t i;

	for (i = 0; i < len; i++) {
		if (quoted && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			quoted = !quoted;
		else if (!quoted && (text[i] == '[' || text[i] == '{'))
			most = ++now > most ? now : most;
		else if (!quoted && (text[i] == ']' || text[i] == '}'))
			now--;
	}
	return most;
}

/* An object of this format and version, all of whose features are known. */
static json_t *
parse(const char *text, size_t len, const char *wanted, struct vmf_error *err)
{
	json_t *obj = NULL, *features;
	const char *said;
	uint64_t version;
	json_error_t cause;

	if (len > VMF_PACKAGE_JSON_MAX || depth(text, len) > DEPTH_MAX) {
		vmf_fail(err, VMF_INTEGRITY, "JSON is too long or too deep");
		return NULL;
	}
	obj = json_loadb(text, len, JSON_REJECT_DUPLICATES, &cause);
	if (!json_is_object(obj)) {
		vmf_fail(err, VMF_INTEGRITY, "JSON is malformed: %s",
		    obj == NULL ? cause.text : "no object");
		goto fail;
	}
	if (get_text(obj, "format", &said, err) < 0 ||
	    get_number(obj, "version", INT32_MAX, &version, err) < 0 ||
	    get_array(obj, "features", 64, &features, err) < 0)
		goto fail;
	if (strcmp(said, wanted) != 0) {
		vmf_fail(err, VMF_INTEGRITY, "says it is '%s'", said);
		goto fail;
	}
	if (version != VMF_PACKAGE_VERSION || json_array_size(features) > 0) {
		said = json_string_value(json_array_get(features, 0));
		vmf_fail(err, VMF_INTEGRITY,
		    "format version %" PRIu64 "%s%s: needs a newer vmferry",
		    version, said != NULL ? ", feature " : "",
		    said != NULL ? said : "");
		goto fail;
	}
	return obj;
fail:
	json_decref(obj);
	return NULL;
}

static json_t *
new_object(const char *name, struct vmf_error *err)
{
	json_t *obj = json_object();

	if (obj != NULL && put(obj, "format", json_string(name), err) == 0 &&
	    put_number(obj, "version", VMF_PACKAGE_VERSION, err) == 0 &&
	    put(obj, "features", json_array(), err) == 0)
		return obj;
	json_decref(obj);
	vmf_fail(err, VMF_IO, "no memory for JSON");
	return NULL;
}

/* --- the head */

static int
file_to_json(
    const struct vmf_package_file *f, json_t *obj, struct vmf_error *err)
{
	char mode[8];

	snprintf(mode, sizeof(mode), "%04o", f->mode & 07777);
	if (put(obj, "name", json_string(f->name), err) < 0 ||
	    put(obj, "path", json_string(f->path), err) < 0 ||
	    put(obj, "mode", json_string(mode), err) < 0 ||
	    put(obj, "owner", json_string(f->owner), err) < 0 ||
	    put(obj, "group", json_string(f->group), err) < 0)
		return -1;
	return put_number(obj, "size", f->size, err);
}

static int
file_from_json(json_t *obj, struct vmf_package_file *f, struct vmf_error *err)
{
	const char *mode;
	char again[8];

	if (get_text(obj, "name", &f->name, err) < 0 ||
	    get_text(obj, "path", &f->path, err) < 0 ||
	    get_text(obj, "mode", &mode, err) < 0 ||
	    get_text(obj, "owner", &f->owner, err) < 0 ||
	    get_text(obj, "group", &f->group, err) < 0 ||
	    get_number(obj, "size", VMF_PACKAGE_FILE_MAX, &f->size, err) < 0)
		return -1;
	f->mode = (unsigned)strtoul(mode, NULL, 8) & 07777;
	snprintf(again, sizeof(again), "%04o", f->mode);
	if (strcmp(again, mode) != 0)
		return vmf_fail(
		    err, VMF_INTEGRITY, "mode '%s' is malformed", mode);
	return 0;
}

static int
image_to_json(
    const struct vmf_package_image *image, json_t *obj, struct vmf_error *err)
{
	const struct vmf_geometry *geo = &image->geo;
	const char *name = NULL;
	size_t i;

	for (i = 0; i < NFORMATS; i++)
		if ((uint32_t)formats[i].format == geo->format)
			name = formats[i].name;
	if (put(obj, "name", json_string(image->name), err) < 0 ||
	    put(obj, "path", json_string(image->path), err) < 0 ||
	    put(obj, "format", json_string(name), err) < 0 ||
	    put_number(obj, "size", geo->size, err) < 0 ||
	    put_number(obj, "virtual_size", geo->virtual_size, err) < 0 ||
	    put_number(obj, "chunk", geo->chunk, err) < 0 ||
	    put_number(obj, "sector", geo->sector, err) < 0)
		return -1;
	return put_number(obj, "features", geo->features, err);
}

static int
image_from_json(
    json_t *obj, struct vmf_package_image *image, struct vmf_error *err)
{
	struct vmf_geometry *geo = &image->geo;
	uint64_t chunk, sector;
	const char *name;
	size_t i;

	if (get_text(obj, "name", &image->name, err) < 0 ||
	    get_text(obj, "path", &image->path, err) < 0 ||
	    get_text(obj, "format", &name, err) < 0 ||
	    get_number(obj, "size", VMF_IMAGE_MAX, &geo->size, err) < 0 ||
	    get_number(obj, "virtual_size", VMF_IMAGE_MAX, &geo->virtual_size,
		err) < 0 ||
	    get_number(obj, "chunk", VMF_CHUNK_MAX, &chunk, err) < 0 ||
	    get_number(obj, "sector", UINT32_MAX, &sector, err) < 0 ||
	    get_number(obj, "features", INT64_MAX, &geo->features, err) < 0)
		return -1;
	geo->chunk = (uint32_t)chunk;
	geo->sector = (uint32_t)sector;
	for (i = 0; i < NFORMATS; i++)
		if (strcmp(formats[i].name, name) == 0)
			geo->format = (uint32_t)formats[i].format;
	if (geo->format == 0)
		return vmf_fail(err, VMF_INTEGRITY,
		    "image format '%s': needs a newer vmferry", name);
	return 0;
}

/* A new object at the end of obj's array of that name. */
static json_t *
append(json_t *obj, const char *key)
{
	json_t *array = json_object_get(obj, key), *entry = json_object();

	if (json_array_append_new(array, entry) < 0)
		return NULL;
	return entry;
}

char *
vmf_manifest_format_head(
    const struct vmf_package_info *info, size_t *len, struct vmf_error *err)
{
	json_t *obj = NULL, *domain, *entry;
	char *text = NULL;
	size_t i;

	if (vmf_package_check(info, VMF_REFUSED, err) < 0)
		return NULL;
	obj = new_object(HEAD_FORMAT, err);
	if (obj == NULL)
		return NULL;
	domain = json_object();
	if (put_hex(obj, "id", info->id, VMF_ID_LEN, err) < 0 ||
	    put(obj, "domain", domain, err) < 0 ||
	    put(domain, "name", json_string(info->domain), err) < 0 ||
	    put(domain, "uuid", json_string(info->uuid), err) < 0 ||
	    put(obj, "secrets", json_boolean(info->secrets), err) < 0 ||
	    put(obj, "files", json_array(), err) < 0 ||
	    put(obj, "images", json_array(), err) < 0)
		goto out;
	for (i = 0; i < info->nfiles; i++) {
		entry = append(obj, "files");
		if (file_to_json(&info->files[i], entry, err) < 0)
			goto out;
	}
	for (i = 0; i < info->nimages; i++) {
		entry = append(obj, "images");
		if (image_to_json(&info->images[i], entry, err) < 0)
			goto out;
	}
	text = format(obj, len, err);
out:
	json_decref(obj);
	return text;
}

static int
read_head(struct vmf_manifest *m, struct vmf_error *err)
{
	struct vmf_package_info *info = &m->info;
	json_t *domain = json_object_get(m->head, "domain");
	json_t *secrets = json_object_get(m->head, "secrets"), *files, *images;
	size_t i;

	if (get_hex(m->head, "id", info->id, VMF_ID_LEN, err) < 0 ||
	    get_text(domain, "name", &info->domain, err) < 0 ||
	    get_text(domain, "uuid", &info->uuid, err) < 0 ||
	    get_array(m->head, "files", VMF_PACKAGE_FILES_MAX, &files, err) <
		0 ||
	    get_array(m->head, "images", VMF_PACKAGE_IMAGES_MAX, &images, err) <
		0)
		return -1;
	if (!json_is_boolean(secrets))
		return vmf_fail(
		    err, VMF_INTEGRITY, "\"secrets\" is missing or malformed");
	info->secrets = json_is_true(secrets);
	info->nfiles = json_array_size(files);
	info->nimages = json_array_size(images);
	/* One more than needed: calloc(0) may be NULL. */
	m->files = calloc(info->nfiles + 1, sizeof(*m->files));
	m->images = calloc(info->nimages + 1, sizeof(*m->images));
	if (m->files == NULL || m->images == NULL)
		return vmf_fail_errno(err, VMF_IO, "manifest");
	info->files = m->files;
	info->images = m->images;
	for (i = 0; i < info->nfiles; i++)
		if (file_from_json(
			json_array_get(files, i), &m->files[i], err) < 0)
			return vmf_wrap(err, "file %zu", i);
	for (i = 0; i < info->nimages; i++)
		if (image_from_json(
			json_array_get(images, i), &m->images[i], err) < 0)
			return vmf_wrap(err, "image %zu", i);
	return vmf_package_check(info, VMF_INTEGRITY, err);
}

struct vmf_manifest *
vmf_manifest_parse(const char *text, size_t len, struct vmf_error *err)
{
	struct vmf_manifest *m = calloc(1, sizeof(*m));

	if (m == NULL) {
		vmf_fail_errno(err, VMF_IO, "manifest");
		return NULL;
	}
	m->head = parse(text, len, HEAD_FORMAT, err);
	if (m->head == NULL || read_head(m, err) < 0) {
		vmf_manifest_free(m);
		return NULL;
	}
	return m;
}

const struct vmf_package_info *
vmf_manifest_info(const struct vmf_manifest *m)
{
	return &m->info;
}

/* --- the tail */

static bool
fact_ok(const struct vmf_package_fact *fact)
{
	size_t n = 0;

	while (n <= KEY_LEN && ((fact->key[n] >= 'a' && fact->key[n] <= 'z') ||
				   fact->key[n] == '_'))
		n++;
	return n > 0 && n <= KEY_LEN && fact->key[n] == '\0' &&
	       strnlen(fact->value, VALUE_LEN + 1) <= VALUE_LEN;
}

static int
totals_to_json(const struct vmf_package_image *image,
    const struct vmf_manifest_image *said, json_t *obj, struct vmf_error *err)
{
	const struct vmf_totals *t = &said->totals;

	if (put(obj, "name", json_string(image->name), err) < 0 ||
	    put_number(obj, "size", t->size, err) < 0 ||
	    put_number(obj, "data_chunks", t->data_chunks, err) < 0 ||
	    put_number(obj, "zero_chunks", t->zero_chunks, err) < 0 ||
	    put_number(obj, "stored", t->stored, err) < 0 ||
	    put_number(obj, "segments", said->segments, err) < 0 ||
	    put_number(obj, "bad", t->bad_count, err) < 0)
		return -1;
	return put_hex(obj, "root", t->root, VMF_SHA_LEN, err);
}

static int
totals_from_json(json_t *obj, const struct vmf_package_image *image,
    struct vmf_manifest_image *said, struct vmf_error *err)
{
	struct vmf_totals *t = &said->totals;
	const char *name;
	uint64_t bad;

	if (get_text(obj, "name", &name, err) < 0 ||
	    get_number(obj, "size", VMF_IMAGE_MAX, &t->size, err) < 0 ||
	    get_number(obj, "data_chunks", VMF_PACKAGE_CHUNKS_MAX,
		&t->data_chunks, err) < 0 ||
	    get_number(obj, "zero_chunks", VMF_PACKAGE_CHUNKS_MAX,
		&t->zero_chunks, err) < 0 ||
	    get_number(obj, "stored", INT64_MAX, &t->stored, err) < 0 ||
	    get_number(obj, "segments", INT64_MAX, &said->segments, err) < 0 ||
	    get_number(obj, "bad", VMF_BAD_MAX, &bad, err) < 0 ||
	    get_hex(obj, "root", t->root, VMF_SHA_LEN, err) < 0)
		return -1;
	t->bad_count = (uint32_t)bad;
	if (strcmp(name, image->name) != 0 || t->size != image->geo.size)
		return vmf_fail(
		    err, VMF_INTEGRITY, "is not what the package announced");
	return 0;
}

char *
vmf_manifest_format_tail(const struct vmf_package_info *info,
    const struct vmf_manifest_tail *tail, size_t *len, struct vmf_error *err)
{
	json_t *obj = new_object(TAIL_FORMAT, err), *host = json_object();
	char *text = NULL;
	size_t i;

	if (obj == NULL) {
		json_decref(host);
		return NULL;
	}
	if (put(obj, "host", host, err) < 0 ||
	    put_hex(obj, "id", info->id, VMF_ID_LEN, err) < 0 ||
	    put_hex(obj, "sums", tail->sums, VMF_SHA_LEN, err) < 0 ||
	    put_number(obj, "members", tail->members, err) < 0 ||
	    put(obj, "images", json_array(), err) < 0)
		goto out;
	for (i = 0; i < info->nimages; i++)
		if (totals_to_json(&info->images[i], &tail->images[i],
			append(obj, "images"), err) < 0)
			goto out;
	for (i = 0; i < tail->nfacts; i++) {
		if (i >= VMF_PACKAGE_FACTS_MAX || !fact_ok(&tail->facts[i])) {
			vmf_fail(err, VMF_REFUSED,
			    "host fact %.32s: out of bounds",
			    tail->facts[i].key);
			goto out;
		}
		if (put(host, tail->facts[i].key,
			json_string(tail->facts[i].value), err) < 0)
			goto out;
	}
	text = format(obj, len, err);
out:
	json_decref(obj);
	return text;
}

static int
read_facts(struct vmf_manifest *m, struct vmf_error *err)
{
	json_t *host = json_object_get(m->tail, "host"), *value;
	const char *key;

	if (!json_is_object(host) ||
	    json_object_size(host) > VMF_PACKAGE_FACTS_MAX)
		return vmf_fail(
		    err, VMF_INTEGRITY, "\"host\" is missing or malformed");
	m->facts = calloc(json_object_size(host) + 1, sizeof(*m->facts));
	if (m->facts == NULL)
		return vmf_fail_errno(err, VMF_IO, "manifest");
	json_object_foreach(host, key, value)
	{
		struct vmf_package_fact *fact = &m->facts[m->said.nfacts++];

		fact->key = key;
		fact->value = json_string_value(value);
		if (fact->value == NULL || !fact_ok(fact))
			return vmf_fail(err, VMF_INTEGRITY,
			    "host fact %.32s: out of bounds", key);
	}
	m->said.facts = m->facts;
	return 0;
}

int
vmf_manifest_parse_tail(
    struct vmf_manifest *m, const char *text, size_t len, struct vmf_error *err)
{
	uint8_t id[VMF_ID_LEN];
	json_t *images;
	size_t i;

	m->tail = parse(text, len, TAIL_FORMAT, err);
	if (m->tail == NULL ||
	    get_hex(m->tail, "id", id, VMF_ID_LEN, err) < 0 ||
	    get_hex(m->tail, "sums", m->said.sums, VMF_SHA_LEN, err) < 0 ||
	    get_number(m->tail, "members", INT64_MAX, &m->said.members, err) <
		0 ||
	    get_array(m->tail, "images", VMF_PACKAGE_IMAGES_MAX, &images, err) <
		0)
		return -1;
	if (memcmp(id, m->info.id, VMF_ID_LEN) != 0 ||
	    json_array_size(images) != m->info.nimages)
		return vmf_fail(err, VMF_INTEGRITY, "is of another package");
	m->totals = calloc(m->info.nimages + 1, sizeof(*m->totals));
	if (m->totals == NULL)
		return vmf_fail_errno(err, VMF_IO, "manifest");
	for (i = 0; i < m->info.nimages; i++)
		if (totals_from_json(json_array_get(images, i),
			&m->info.images[i], &m->totals[i], err) < 0)
			return vmf_wrap(err, "image %zu", i);
	if (read_facts(m, err) < 0)
		return -1;
	/* What could not be read whole is not said. */
	m->said.images = m->totals;
	return 0;
}

const struct vmf_manifest_tail *
vmf_manifest_tail(const struct vmf_manifest *m)
{
	return m->said.images != NULL ? &m->said : NULL;
}

void
vmf_manifest_free(struct vmf_manifest *m)
{
	if (m == NULL)
		return;
	free(m->files);
	free(m->images);
	free(m->totals);
	free(m->facts);
	json_decref(m->head);
	json_decref(m->tail);
	free(m);
}
