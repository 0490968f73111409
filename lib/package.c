/* package.c - names, bounds and checksum lists of packages; dump and verify */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "package_internal.h"

#define NAME_LEN      255  /* bytes of a domain's name */
#define PATH_LEN      4096 /* of a path at the source */
#define OWNER_LEN     32   /* of a user's or group's name */
#define IMAGE_NAME    64
#define PARTS_MAX     4
#define SIZE_DIGITS   16
#define UUID_TEXT_LEN 36

/* --- names */

static bool
name_char(char c, const char *also)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || (c != '\0' && strchr(also, c) != NULL);
}

/* One part of a path: its length, or 0 when it is none. */
static size_t
part_len(const char *s, const char *also)
{
	size_t n = 0;

	if (!name_char(s[0], ""))
		return 0;
	while (name_char(s[n], also))
		n++;
	return n;
}

bool
vmf_package_image_name_ok(const char *name)
{
	size_t n = part_len(name, "._-");

	return n > 0 && n <= IMAGE_NAME && name[n] == '\0';
}

/* nvram/, tpm/ and aux/ come in this order. */
static int
file_group(const char *name)
{
	static const char *const groups[] = {"nvram/", "tpm/", "aux/"};
	int i;

	for (i = 0; i < 3; i++)
		if (strncmp(name, groups[i], strlen(groups[i])) == 0)
			return i;
	return -1;
}

bool
vmf_package_file_name_ok(const char *name)
{
	int parts = 0;
	size_t n;

	if (file_group(name) < 0 || strlen(name) > VMF_PACKAGE_NAME_MAX)
		return false;
	for (;; name += n + 1) {
		n = part_len(name, "._+-");
		if (n == 0 || ++parts > PARTS_MAX)
			return false;
		if (name[n] != '/')
			return name[n] == '\0' && parts > 1;
	}
}

static void
name_member(struct vmf_tar_member *m, const char *before, const char *name,
    const char *after)
{
	memset(m, 0, sizeof(*m));
	snprintf(m->name, sizeof(m->name), "%s%.*s%s", before, IMAGE_NAME, name,
	    after);
}

void
vmf_package_name_dir(
    struct vmf_tar_member *m, const struct vmf_package_image *image)
{
	name_member(m, "disks/", image->name, "/");
	m->dir = true;
}

void
vmf_package_name_segment(struct vmf_tar_member *m,
    const struct vmf_package_image *image, uint64_t off)
{
	char tail[SIZE_DIGITS + 6];

	snprintf(tail, sizeof(tail), "/%016" PRIx64 ".zst", off);
	name_member(m, "disks/", image->name, tail);
}

void
vmf_package_name_digests(
    struct vmf_tar_member *m, const struct vmf_package_image *image)
{
	name_member(m, "digests/", image->name, "");
}

/* --- bounds */

static bool
text_ok(const char *s, size_t max)
{
	return s != NULL && strnlen(s, max + 1) <= max;
}

static int
check_file(const struct vmf_package_file *f,
    const struct vmf_package_file *before, enum vmf_class class,
    struct vmf_error *err)
{
	int order;

	if (!vmf_package_file_name_ok(f->name))
		return vmf_fail(err, class,
		    "file '%.100s': a name that has no place in a package",
		    f->name);
	if (!text_ok(f->path, PATH_LEN) || !text_ok(f->owner, OWNER_LEN) ||
	    !text_ok(f->group, OWNER_LEN) || (f->mode & ~07777U) != 0 ||
	    f->size > VMF_PACKAGE_FILE_MAX)
		return vmf_fail(err, class,
		    "file %s: size, mode or a name out of bounds", f->name);
	if (before == NULL)
		return 0;
	order = file_group(before->name) - file_group(f->name);
	if (order > 0 || (order == 0 && strcmp(before->name, f->name) >= 0))
		return vmf_fail(
		    err, class, "file %s: twice, or out of order", f->name);
	return 0;
}

static int
check_image(const struct vmf_package_info *info, size_t n, enum vmf_class class,
    struct vmf_error *err)
{
	const struct vmf_package_image *image = &info->images[n];
	const struct vmf_geometry *geo = &image->geo;
	struct vmf_geometry same;
	uint8_t body[VMF_START_BODY];
	size_t i;

	if (!vmf_package_image_name_ok(image->name) ||
	    !text_ok(image->path, PATH_LEN))
		return vmf_fail(err, class,
		    "image '%.64s': a name or path that has no place in a "
		    "package",
		    image->name);
	for (i = 0; i < n; i++)
		if (strcmp(info->images[i].name, image->name) == 0)
			return vmf_fail(
			    err, class, "image %s: twice", image->name);
	/* The rules for START say the rest. */
	vmf_start_encode(geo, body);
	if (vmf_start_decode(body, sizeof(body), &same, err) < 0) {
		vmf_wrap(err, "image %s", image->name);
		goto fail;
	}
	if (geo->size == VMF_SIZE_UNKNOWN ||
	    geo->virtual_size == VMF_SIZE_UNKNOWN ||
	    (geo->features & VMF_FEATURE_DELTA) != 0) {
		vmf_fail(err, class, "image %s: of unknown size, or a delta",
		    image->name);
		goto fail;
	}
	if (vmf_chunk_count(geo->size, geo->chunk) > VMF_PACKAGE_CHUNKS_MAX) {
		vmf_fail(err, class,
		    "image %s: more than %" PRIu64
		    " chunks; choose a larger --chunk",
		    image->name, VMF_PACKAGE_CHUNKS_MAX);
		goto fail;
	}
	return 0;
fail:
	if (err != NULL)
		err->class = class;
	return -1;
}

int
vmf_package_check(const struct vmf_package_info *info, enum vmf_class class,
    struct vmf_error *err)
{
	uint8_t uuid[VMF_ID_LEN];
	size_t i;

	if (!text_ok(info->domain, NAME_LEN) || info->domain[0] == '\0' ||
	    !text_ok(info->uuid, UUID_TEXT_LEN) ||
	    strlen(info->uuid) != UUID_TEXT_LEN ||
	    vmf_parse_id(info->uuid, uuid, NULL) < 0)
		return vmf_fail(
		    err, class, "the domain's name or UUID is out of bounds");
	if (info->nfiles > VMF_PACKAGE_FILES_MAX ||
	    info->nimages > VMF_PACKAGE_IMAGES_MAX)
		return vmf_fail(err, class, "too many files or images");
	for (i = 0; i < info->nfiles; i++)
		if (check_file(&info->files[i],
			i > 0 ? &info->files[i - 1] : NULL, class, err) < 0)
			return -1;
	for (i = 0; i < info->nimages; i++)
		if (check_image(info, i, class, err) < 0)
			return -1;
	return 0;
}

/* --- SHA256SUMS */

struct vmf_package_sums {
	FILE *file;
	uint64_t bytes, lines;
};

struct vmf_package_sums *
vmf_package_sums_new(const char *scratch, struct vmf_error *err)
{
	struct vmf_package_sums *sums = calloc(1, sizeof(*sums));
	int fd = -1;

	if (sums == NULL) {
		vmf_fail_errno(err, VMF_IO, "checksums");
		return NULL;
	}
	fd = vmf_scratch_open(scratch, err);
	if (fd < 0)
		goto fail;
	sums->file = fdopen(fd, "w+");
	if (sums->file == NULL) {
		vmf_fail_errno(err, VMF_IO, "checksums");
		close(fd);
		goto fail;
	}
	return sums;
fail:
	vmf_package_sums_free(sums);
	return NULL;
}

size_t
vmf_package_sums_line(const char *name, const uint8_t digest[VMF_SHA_LEN],
    char line[PACKAGE_SUM_LINE])
{
	char hex[2 * VMF_SHA_LEN + 1];

	vmf_hex(digest, VMF_SHA_LEN, hex);
	return (size_t)snprintf(
	    line, PACKAGE_SUM_LINE, "%s  %.*s\n", hex, VMF_TAR_NAME_MAX, name);
}

int
vmf_package_sums_add(struct vmf_package_sums *sums, const char *name,
    const uint8_t digest[VMF_SHA_LEN], struct vmf_error *err)
{
	char line[PACKAGE_SUM_LINE];
	size_t len = vmf_package_sums_line(name, digest, line);

	if (fwrite(line, 1, len, sums->file) != len)
		return vmf_fail_errno(err, VMF_IO, "scratch file of checksums");
	sums->bytes += len;
	sums->lines++;
	return 0;
}

uint64_t
vmf_package_sums_bytes(const struct vmf_package_sums *sums)
{
	return sums->bytes;
}

uint64_t
vmf_package_sums_lines(const struct vmf_package_sums *sums)
{
	return sums->lines;
}

int
vmf_package_sums_rewind(struct vmf_package_sums *sums, struct vmf_error *err)
{
	if (fflush(sums->file) != 0 || fseeko(sums->file, 0, SEEK_SET) != 0)
		return vmf_fail_errno(err, VMF_IO, "scratch file of checksums");
	return 0;
}

int
vmf_package_sums_next(struct vmf_package_sums *sums,
    char line[PACKAGE_SUM_LINE], struct vmf_error *err)
{
	if (fgets(line, PACKAGE_SUM_LINE, sums->file) != NULL)
		return 1;
	if (ferror(sums->file))
		return vmf_fail_errno(err, VMF_IO, "scratch file of checksums");
	return 0;
}

void
vmf_package_sums_free(struct vmf_package_sums *sums)
{
	if (sums == NULL)
		return;
	if (sums->file != NULL)
		fclose(sums->file);
	free(sums);
}

/* --- whole images, whole packages */
int
vmf_package_dump(struct vmf_package_writer *w, struct vmf_source *src,
    const struct vmf_engine_options *options, struct vmf_error *err)
{
	const struct vmf_package_image *image;
	struct vmf_carrier carrier;
	struct vmf_writer *writer = NULL;
	const uint8_t *id;
	size_t n;
	int rc = -1;

	if (vmf_package_writer_image(w, &carrier, err) < 0)
		return -1;
	image = vmf_package_writer_present(w, &n, &id);
	writer =
	    vmf_writer_new(carrier, id, (uint32_t)n, &image->geo, NULL, err);
	if (writer == NULL ||
	    vmf_dump(src, writer, image->geo.chunk, options, err) < 0 ||
	    vmf_writer_end(writer, NULL, err) < 0)
		goto out;
	rc = vmf_package_writer_image_end(w, err);
out:
	vmf_writer_free(writer);
	return rc;
}

/* Check the image that r stands at, object by object. */
static int
verify_image(struct vmf_package_reader *r, const char *name,
    struct vmf_digests *list, const struct vmf_engine_options *options,
    struct vmf_error *err)
{
	struct vmf_reader *reader =
	    vmf_reader_open(vmf_package_reader_in(r), err);
	int rc = -1;

	if (reader != NULL)
		rc = vmf_restore(reader, NULL, list, options, err);
	vmf_reader_free(reader);
	return rc < 0 ? vmf_wrap(err, "disk %s", name) : 0;
}

/* The rest of what r has; list (may be NULL) gets the digests of image. */
static int
verify_rest(struct vmf_package_reader *r, const struct vmf_package_image *image,
    struct vmf_digests *list, const struct vmf_engine_options *options,
    struct vmf_package_summary *summary, struct vmf_error *err)
{
	struct vmf_package_item item;
	int more;

	while ((more = vmf_package_reader_next(r, &item, err)) > 0)
		if (item.image != NULL &&
		    verify_image(r, item.image->name,
			item.image == image ? list : NULL, options, err) < 0)
			return -1;
	return more < 0 ? -1 : vmf_package_reader_finish(r, summary, err);
}

int
vmf_package_verify(struct vmf_in in,
    const struct vmf_package_reader_options *ropts,
    const struct vmf_engine_options *options,
    struct vmf_package_summary *summary, struct vmf_error *err)
{
	struct vmf_package_reader *r = vmf_package_reader_open(in, ropts, err);
	int rc;

	if (r == NULL)
		return -1;
	rc = verify_rest(r, NULL, NULL, options, summary, err);
	vmf_package_reader_free(r);
	return rc;
}

static const struct vmf_package_image *
find_disk(const struct vmf_package_info *info, const char *disk,
    struct vmf_error *err)
{
	size_t i;

	if (disk == NULL && info->nimages == 1)
		return info->images;
	for (i = 0; disk != NULL && i < info->nimages; i++)
		if (strcmp(info->images[i].name, disk) == 0)
			return &info->images[i];
	if (disk != NULL)
		vmf_fail(err, VMF_REFUSED, "has no disk %s", disk);
	else if (info->nimages == 0)
		vmf_fail(err, VMF_REFUSED, "has no disk");
	else
		vmf_fail(err, VMF_REFUSED,
		    "has %zu disks; name one with --disk", info->nimages);
	return NULL;
}

int
vmf_package_verify_disk(struct vmf_in in,
    const struct vmf_package_reader_options *ropts, const char *disk,
    struct vmf_digests *list, struct vmf_geometry *geo,
    const struct vmf_engine_options *options, struct vmf_error *err)
{
	struct vmf_package_reader *r = vmf_package_reader_open(in, ropts, err);
	const struct vmf_package_image *image;
	int rc = -1;

	if (r == NULL)
		return -1;
	image = find_disk(vmf_package_reader_info(r), disk, err);
	if (image != NULL) {
		*geo = image->geo;
		rc = verify_rest(r, image, list, options, NULL, err);
	}
	vmf_package_reader_free(r);
	return rc;
}
