/* tar.c - see vmferry/tar.h */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#include <vmferry/tar.h>
#include <vmferry/units.h>

/* Two zero blocks end the file; no blocking factor pads it further. */
#define END_LEN ((size_t)2 * VMF_TAR_BLOCK)

/* Read at once, and at most given to libarchive before it is compared. */
#define READ_LEN ((size_t)256 << 10)
/*
 * libarchive may take this much before it shows a member: a header and the
 * padding before it are 1023 bytes, what takes more is no canonical tar (pax
 * headers, long names).
 */
#define AHEAD_MAX (2 * READ_LEN)

static const uint8_t zeros[END_LEN];

/* --- the header */

/* Where the fields stand that are not zeros; vmferry-package(5). */
enum {
	AT_MODE = 100,
	AT_UID = 108,
	AT_GID = 116,
	AT_SIZE = 124,
	AT_MTIME = 136,
	AT_SUM = 148,
	AT_TYPE = 156,
	AT_MAGIC = 257,
	AT_DEVMAJOR = 329,
	AT_DEVMINOR = 337,
};

int
vmf_tar_header(const struct vmf_tar_member *member,
    uint8_t block[VMF_TAR_BLOCK], struct vmf_error *err)
{
	char *b = (char *)block;
	size_t len = strnlen(member->name, sizeof(member->name)), i;
	unsigned sum = 0;

	if (len == 0 || len > VMF_TAR_NAME_MAX ||
	    member->size > VMF_TAR_SIZE_MAX ||
	    member->dir != (member->name[len - 1] == '/') ||
	    (member->dir && member->size != 0))
		return vmf_fail(err, VMF_REFUSED,
		    "%.100s: no member of a package has this name or size",
		    member->name);
	memset(b, 0, VMF_TAR_BLOCK);
	memcpy(b, member->name, len);
	memcpy(b + AT_MODE, member->dir ? "000700 " : "000600 ", 7);
	memcpy(b + AT_UID, "000000 ", 7);
	memcpy(b + AT_GID, "000000 ", 7);
	for (i = 0; i < 11; i++)
		b[AT_SIZE + i] =
		    (char)('0' + (member->size >> (30 - 3 * i) & 7));
	b[AT_SIZE + 11] = ' ';
	memcpy(b + AT_MTIME, "00000000000 ", 12);
	b[AT_TYPE] = member->dir ? '5' : '0';
	memcpy(b + AT_MAGIC, "ustar\00000", 8);
	memcpy(b + AT_DEVMAJOR, "000000 ", 7);
	memcpy(b + AT_DEVMINOR, "000000 ", 7);
	/* The sum counts its own field as spaces. */
	memcpy(b + AT_SUM, "        ", 8);
	for (i = 0; i < VMF_TAR_BLOCK; i++)
		sum += block[i];
	for (i = 0; i < 6; i++)
		b[AT_SUM + i] = (char)('0' + (sum >> (15 - 3 * i) & 7));
	b[AT_SUM + 6] = '\0';
	return 0;
}

/* --- writing */

struct vmf_tar_writer {
	struct archive *archive;
	struct archive_entry *entry;
	struct vmf_out out;
	struct vmf_error cause;	     /* of a failed write() of out */
	uint64_t left;		     /* bytes the member still needs */
	bool over;		     /* nothing reaches out any more */
	bool head;		     /* the next block is a header ... */
	uint8_t want[VMF_TAR_BLOCK]; /* ... and must be this */
};

/*
 * A libarchive that wrote another header than the canonical one would make
 * packages that nobody can read: found out here, not in ten years.  It never
 * hears of a failure, since it leaks memory after one: check() does.
 */
static la_ssize_t
on_write(struct archive *a, void *ctx, const void *buf, size_t len)
{
	struct vmf_tar_writer *w = ctx;
	bool head = w->head;

	(void)a;
	if (w->over)
		return (la_ssize_t)len;
	w->head = false;
	if (head && (len != VMF_TAR_BLOCK || memcmp(buf, w->want, len) != 0))
		w->over =
		    vmf_fail(&w->cause, VMF_INTERNAL,
			"libarchive writes another header than ustar's") < 0;
	else
		w->over = w->out.write(w->out.ctx, buf, len, &w->cause) < 0;
	return (la_ssize_t)len;
}

/* Did libarchive do what it should, and out take it? */
static int
check(struct vmf_tar_writer *w, bool ok, struct vmf_error *err)
{
	const char *why;

	if (w->cause.class != VMF_OK) {
		*err = w->cause;
		return -1;
	}
	if (ok)
		return 0;
	why = archive_error_string(w->archive);
	return vmf_fail(
	    err, VMF_INTERNAL, "libarchive: %s", why != NULL ? why : "failed");
}

struct vmf_tar_writer *
vmf_tar_writer_new(struct vmf_out out, struct vmf_error *err)
{
	struct vmf_tar_writer *w = calloc(1, sizeof(*w));

	if (w == NULL)
		goto no_memory;
	w->out = out;
	w->archive = archive_write_new();
	w->entry = archive_entry_new();
	if (w->archive == NULL || w->entry == NULL)
		goto no_memory;
	if (check(w,
		archive_write_set_format_ustar(w->archive) == ARCHIVE_OK &&
		    archive_write_add_filter_none(w->archive) == ARCHIVE_OK &&
		    archive_write_set_bytes_per_block(w->archive, 0) ==
			ARCHIVE_OK &&
		    archive_write_set_bytes_in_last_block(w->archive, 1) ==
			ARCHIVE_OK &&
		    archive_write_open(w->archive, w, NULL, on_write, NULL) ==
			ARCHIVE_OK,
		err) < 0)
		goto fail;
	return w;
no_memory:
	vmf_fail_errno(err, VMF_IO, "tar writer");
fail:
	vmf_tar_writer_free(w);
	return NULL;
}

int
vmf_tar_writer_begin(struct vmf_tar_writer *w,
    const struct vmf_tar_member *member, struct vmf_error *err)
{
	struct archive_entry *e = archive_entry_clear(w->entry);

	if (vmf_tar_header(member, w->want, err) < 0)
		return -1;
	archive_entry_set_pathname(e, member->name);
	archive_entry_set_filetype(e, member->dir ? AE_IFDIR : AE_IFREG);
	archive_entry_set_perm(e, member->dir ? 0700 : 0600);
	archive_entry_set_size(e, (la_int64_t)member->size);
	archive_entry_set_mtime(e, 0, 0);
	w->left = member->size;
	w->head = true;
	return check(w, archive_write_header(w->archive, e) == ARCHIVE_OK, err);
}

int
vmf_tar_writer_data(struct vmf_tar_writer *w, const void *buf, size_t len,
    struct vmf_error *err)
{
	la_ssize_t n;

	if (len > w->left)
		return vmf_fail(
		    err, VMF_INTERNAL, "tar: more bytes than announced");
	if (len == 0)
		return 0;
	n = archive_write_data(w->archive, buf, len);
	w->left -= len;
	return check(w, n >= 0 && (size_t)n == len, err);
}

int
vmf_tar_writer_end(struct vmf_tar_writer *w, struct vmf_error *err)
{
	/* libarchive would fill it up with zeros and say nothing. */
	if (w->left != 0)
		return vmf_fail(
		    err, VMF_INTERNAL, "tar: fewer bytes than announced");
	return check(
	    w, archive_write_finish_entry(w->archive) == ARCHIVE_OK, err);
}

int
vmf_tar_writer_finish(struct vmf_tar_writer *w, struct vmf_error *err)
{
	return check(w, archive_write_close(w->archive) == ARCHIVE_OK, err);
}

void
vmf_tar_writer_free(struct vmf_tar_writer *w)
{
	if (w == NULL)
		return;
	/* libarchive would now end, and so complete, what is not finished. */
	w->over = true;
	if (w->archive != NULL)
		archive_write_free(w->archive);
	archive_entry_free(w->entry);
	free(w);
}

/* --- reading */

/*
 * What comes in is kept in ahead[from, to) until it was compared with what it
 * must be, and libarchive reads it from there: its pointer is good until it
 * asks for more, which is when the rest moves to the front.
 */
struct vmf_tar_reader {
	struct archive *archive;
	struct vmf_in in;
	struct vmf_error cause; /* of a failed read() of in */
	uint8_t *ahead;
	size_t from, to;
	uint64_t bytes; /* compared so far */
	uint64_t left;	/* of the member, to be read */
	uint64_t pad;	/* zeros after it */
	bool opened, ended;
	int fd; /* -1: strict; else only peeking */
};

static int
read_more(struct vmf_tar_reader *r, size_t *got, struct vmf_error *err)
{
	size_t kept = r->to - r->from;

	memmove(r->ahead, r->ahead + r->from, kept);
	r->from = 0;
	r->to = kept;
	if (kept > AHEAD_MAX)
		return vmf_fail(err, VMF_INTEGRITY,
		    "damaged at byte %" PRIu64
		    ", or written by another program than vmferry",
		    r->bytes);
	if (r->in.read(r->in.ctx, r->ahead + r->to, READ_LEN, got, err) < 0)
		return -1;
	r->to += *got;
	return 0;
}

static la_ssize_t
on_read(struct archive *a, void *ctx, const void **buf)
{
	struct vmf_tar_reader *r = ctx;
	size_t got;

	if (r->fd >= 0)
		r->from = r->to = 0;
	if (read_more(r, &got, &r->cause) < 0) {
		archive_set_error(a, EIO, "read");
		return -1;
	}
	*buf = r->ahead + r->to - got;
	return (la_ssize_t)got;
}

/* Only a peeking reader has it. */
static la_int64_t
on_skip(struct archive *a, void *ctx, la_int64_t len)
{
	struct vmf_tar_reader *r = ctx;

	(void)a;
	return lseek(r->fd, (off_t)len, SEEK_CUR) < 0 ? 0 : len;
}

static int
peek_read(void *ctx, void *buf, size_t len, size_t *got, struct vmf_error *err)
{
	const struct vmf_tar_reader *r = ctx;

	return vmf_read_full(r->fd, buf, len, got, err);
}

static int
read_failed(struct vmf_tar_reader *r, struct vmf_error *err)
{
	if (r->cause.class == VMF_OK)
		return vmf_fail(err, VMF_INTEGRITY,
		    "damaged or cut short at byte %" PRIu64 " or after (%s)",
		    r->bytes,
		    archive_error_string(r->archive) != NULL
			? archive_error_string(r->archive)
			: "tar");
	*err = r->cause;
	return -1;
}

static struct vmf_tar_reader *
reader_new(struct vmf_in in, int fd, struct vmf_error *err)
{
	struct vmf_tar_reader *r = calloc(1, sizeof(*r));

	if (r == NULL)
		goto no_memory;
	r->in = in;
	r->fd = fd;
	if (fd >= 0)
		r->in = (struct vmf_in){.read = peek_read, .ctx = r};
	r->ahead = malloc(AHEAD_MAX + READ_LEN);
	r->archive = archive_read_new();
	if (r->ahead == NULL || r->archive == NULL)
		goto no_memory;
	if (archive_read_support_format_tar(r->archive) != ARCHIVE_OK ||
	    archive_read_set_read_callback(r->archive, on_read) != ARCHIVE_OK ||
	    (fd >= 0 && archive_read_set_skip_callback(r->archive, on_skip) !=
			    ARCHIVE_OK) ||
	    archive_read_set_callback_data(r->archive, r) != ARCHIVE_OK)
		goto no_memory;
	return r;
no_memory:
	vmf_fail_errno(err, VMF_IO, "tar reader");
	vmf_tar_reader_free(r);
	return NULL;
}

struct vmf_tar_reader *
vmf_tar_reader_new(struct vmf_in in, struct vmf_error *err)
{
	return reader_new(in, -1, err);
}

struct vmf_tar_reader *
vmf_tar_reader_peek(int fd, struct vmf_error *err)
{
	return reader_new((struct vmf_in){0}, fd, err);
}

/* The next len bytes of the file are these. */
static int
compare(struct vmf_tar_reader *r, const void *want, size_t len,
    struct vmf_error *err)
{
	const uint8_t *w = want;
	size_t i;

	if (r->fd >= 0)
		return 0;
	if (r->to - r->from >= len && memcmp(r->ahead + r->from, w, len) == 0) {
		r->from += len;
		r->bytes += len;
		return 0;
	}
	for (i = 0; i < len && r->from + i < r->to; i++)
		if (r->ahead[r->from + i] != w[i])
			break;
	return vmf_fail(err, VMF_INTEGRITY, "%s at byte %" PRIu64,
	    r->from + i < r->to ? "damaged" : "cut short", r->bytes + i);
}

static int
compare_header(struct vmf_tar_reader *r, struct archive_entry *entry,
    struct vmf_tar_member *member, struct vmf_error *err)
{
	const char *name = archive_entry_pathname(entry);
	la_int64_t size = archive_entry_size(entry);
	mode_t type = archive_entry_filetype(entry);
	uint8_t block[VMF_TAR_BLOCK];

	memset(member, 0, sizeof(*member));
	if (name == NULL || strlen(name) > VMF_TAR_NAME_MAX || size < 0 ||
	    (uint64_t)size > VMF_TAR_SIZE_MAX ||
	    (type != AE_IFREG && type != AE_IFDIR))
		return vmf_fail(err, VMF_INTEGRITY,
		    "a member that no package has at byte %" PRIu64, r->bytes);
	memcpy(member->name, name, strlen(name));
	member->dir = type == AE_IFDIR;
	member->size = (uint64_t)size;
	if (vmf_tar_header(member, block, err) < 0) {
		err->class = VMF_INTEGRITY;
		return -1;
	}
	if (compare(r, block, sizeof(block), err) == 0)
		return 0;
	return vmf_fail(err, VMF_INTEGRITY,
	    "header of %s at byte %" PRIu64
	    " is not as vmferry writes it: damaged, or packed anew by another "
	    "program",
	    member->name, r->bytes);
}

int
vmf_tar_reader_next(struct vmf_tar_reader *r, struct vmf_tar_member *member,
    struct vmf_error *err)
{
	struct archive_entry *entry;
	int got;

	if (r->ended)
		return 0;
	if (r->left != 0 && r->fd < 0)
		return vmf_fail(err, VMF_INTERNAL, "tar: member not read");
	/* Opening reads already, and may find that it is no tar file. */
	if (!r->opened && archive_read_open1(r->archive) != ARCHIVE_OK)
		return read_failed(r, err);
	r->opened = true;
	got = archive_read_next_header(r->archive, &entry);
	if (got != ARCHIVE_OK && got != ARCHIVE_EOF)
		return read_failed(r, err);
	if (compare(r, zeros, (size_t)r->pad, err) < 0)
		return -1;
	if (got == ARCHIVE_EOF) {
		r->ended = true;
		return 0;
	}
	if (compare_header(r, entry, member, err) < 0)
		return -1;
	r->left = member->size;
	r->pad = (VMF_TAR_BLOCK - member->size % VMF_TAR_BLOCK) % VMF_TAR_BLOCK;
	return 1;
}

int
vmf_tar_reader_read(struct vmf_tar_reader *r, void *buf, size_t len,
    size_t *got, struct vmf_error *err)
{
	uint8_t *p = buf;
	size_t want;
	la_ssize_t n;

	*got = 0;
	while (*got < len && r->left > 0) {
		/* In pieces, so that little waits to be compared. */
		want = len - *got < READ_LEN ? len - *got : READ_LEN;
		n = archive_read_data(r->archive, p + *got, want);
		if (n < 0 || (n == 0 && r->left > 0))
			return read_failed(r, err);
		if ((uint64_t)n > r->left)
			return vmf_fail(err, VMF_INTERNAL, "tar: too much");
		if (compare(r, p + *got, (size_t)n, err) < 0)
			return -1;
		r->left -= (uint64_t)n;
		*got += (size_t)n;
	}
	return 0;
}

int
vmf_tar_reader_finish(struct vmf_tar_reader *r, struct vmf_error *err)
{
	size_t got = 1;

	if (!r->ended)
		return vmf_fail(err, VMF_INTERNAL, "tar: members not read");
	/* libarchive does not look at what follows the end, or at all of it. */
	while (got > 0 && r->to - r->from <= END_LEN)
		if (read_more(r, &got, err) < 0)
			return -1;
	if (compare(r, zeros, END_LEN, err) < 0)
		return -1;
	if (r->from < r->to)
		return vmf_fail(err, VMF_INTEGRITY,
		    "more bytes follow its end, at byte %" PRIu64, r->bytes);
	return 0;
}

uint64_t
vmf_tar_reader_bytes(const struct vmf_tar_reader *r)
{
	return r->bytes;
}

const uint8_t *
vmf_tar_reader_ahead(const struct vmf_tar_reader *r, size_t *len)
{
	*len = r->to - r->from;
	return r->ahead + r->from;
}

void
vmf_tar_reader_free(struct vmf_tar_reader *r)
{
	if (r == NULL)
		return;
	if (r->archive != NULL)
		archive_read_free(r->archive);
	free(r->ahead);
	free(r);
}
