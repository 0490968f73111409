/*
 * package_internal.h - what the files of the package module share
 *
 * Thread rule: one thread at a time.
 */
#ifndef VMFERRY_PACKAGE_INTERNAL_H
#define VMFERRY_PACKAGE_INTERNAL_H

#include <vmferry/digest.h>
#include <vmferry/package.h>
#include <vmferry/tar.h>

#define PACKAGE_HEAD "vmferry"
#define PACKAGE_XML  "domain.xml"
#define PACKAGE_SUMS "SHA256SUMS"
#define PACKAGE_TAIL "manifest.json"
#define PACKAGE_SIG  "manifest.sig"
#define PACKAGE_END  "END"

/* Every name, order and number of info is within bounds; else fails as class.
 */
int vmf_package_check(const struct vmf_package_info *info, enum vmf_class class,
    struct vmf_error *err);

/* Names of members; each fits. */
void vmf_package_name_dir(
    struct vmf_tar_member *m, const struct vmf_package_image *image);
void vmf_package_name_segment(struct vmf_tar_member *m,
    const struct vmf_package_image *image, uint64_t off);
void vmf_package_name_digests(
    struct vmf_tar_member *m, const struct vmf_package_image *image);

/* The image that a writer has begun, its number, and the package's id. */
const struct vmf_package_image *vmf_package_writer_present(
    const struct vmf_package_writer *w, size_t *number, const uint8_t **id);

/*
 * SHA256SUMS as it grows, in an unlinked scratch file: an image of many
 * terabytes has lines of many megabytes.
 */
struct vmf_package_sums;
struct vmf_package_sums *
vmf_package_sums_new(const char *scratch, struct vmf_error *err);
int vmf_package_sums_add(struct vmf_package_sums *sums, const char *name,
    const uint8_t digest[VMF_SHA_LEN], struct vmf_error *err);
uint64_t vmf_package_sums_bytes(const struct vmf_package_sums *sums);
uint64_t vmf_package_sums_lines(const struct vmf_package_sums *sums);
/* Back to the first line. */
int
vmf_package_sums_rewind(struct vmf_package_sums *sums, struct vmf_error *err);
/* 1: a line with its newline, NUL-terminated; 0: no more. */
#define PACKAGE_SUM_LINE (2 * VMF_SHA_LEN + 2 + VMF_TAR_NAME_MAX + 2)
int vmf_package_sums_next(struct vmf_package_sums *sums,
    char line[PACKAGE_SUM_LINE], struct vmf_error *err);
void vmf_package_sums_free(struct vmf_package_sums *sums);
/* The line for one member; returns its length. */
size_t vmf_package_sums_line(const char *name,
    const uint8_t digest[VMF_SHA_LEN], char line[PACKAGE_SUM_LINE]);

/*
 * A package's members as they are read, one after the other: look at the next,
 * open it by the name it must have, read it, close it.
 */
#define PACKAGE_SKIP_LEN ((size_t)256 << 10)
struct vmf_package_member {
	struct vmf_tar_reader *tar;
	struct vmf_tar_member head; /* the next or present one ... */
	bool seen;		    /* ... was looked at */
	bool open;		    /* ... and is being read */
	bool peek;		    /* skip what is not read, see tar.h */
	uint64_t left;		    /* bytes of it */
	struct vmf_sha *sha;
	struct vmf_package_sums *sums; /* of those closed as listed */
	uint8_t *skip;		       /* PACKAGE_SKIP_LEN, for anybody */
};
/* A zeroed m; fd -1, or to peek into.  Clear it also after a failure. */
int vmf_package_member_init(struct vmf_package_member *m, struct vmf_in in,
    int fd, const char *scratch, struct vmf_error *err);
void vmf_package_member_clear(struct vmf_package_member *m);
/* The next member's header is in head; its absence is damage. */
int
vmf_package_member_look(struct vmf_package_member *m, struct vmf_error *err);
/* The next member must have this name, and at most max bytes; opens it. */
int vmf_package_member_expect(struct vmf_package_member *m, const char *name,
    uint64_t max, struct vmf_error *err);
int vmf_package_member_read(struct vmf_package_member *m, void *buf, size_t len,
    size_t *got, struct vmf_error *err);
/* Reads what is left; digest (may be NULL) gets that of the whole. */
int vmf_package_member_close(struct vmf_package_member *m, bool listed,
    uint8_t *digest, struct vmf_error *err);
/* All of these for a whole member, with a NUL after it; the caller frees it. */
char *vmf_package_member_text(struct vmf_package_member *m, const char *name,
    uint64_t max, bool listed, size_t *len, uint8_t *digest,
    struct vmf_error *err);

/*
 * Follows the objects of an image as their bytes pass, in pieces of any size:
 * headers, order, one id, geometry and segments as announced.  It makes the
 * digest of the list of digests that must come later.
 */
struct vmf_package_track;
struct vmf_package_track *vmf_package_track_new(struct vmf_error *err);
void vmf_package_track_image(struct vmf_package_track *t,
    const struct vmf_package_info *info, size_t image);
/* The next bytes are of a segment with this name's offset. */
int vmf_package_track_segment(
    struct vmf_package_track *t, uint64_t off, struct vmf_error *err);
int vmf_package_track_bytes(struct vmf_package_track *t, const uint8_t *buf,
    size_t len, struct vmf_error *err);
int vmf_package_track_segment_end(
    struct vmf_package_track *t, struct vmf_error *err);
/* After the last segment: what END said, and the list of digests. */
struct vmf_package_tracked {
	struct vmf_totals totals;
	uint64_t segments;
	uint64_t list_bytes;
	uint8_t list_digest[VMF_SHA_LEN];
};
int vmf_package_track_end(struct vmf_package_track *t,
    struct vmf_package_tracked *tracked, struct vmf_error *err);
void vmf_package_track_free(struct vmf_package_track *t);

#endif
