/*
 * manifest.h - the two JSON members of a package
 *
 * The head (member `vmferry`) announces what a package holds, the tail
 * (member manifest.json) says what it held; keys and bounds are in
 * vmferry-package(5).  JSON (RFC 8259) by jansson: at most VMF_PACKAGE_JSON_MAX
 * bytes and eight levels, no key twice, every number and string bounded.
 * Unknown keys are ignored; what a reader must understand is a feature, and an
 * unknown feature or version is VMF_INTEGRITY "needs a newer vmferry", as is
 * (without that hint) all that is malformed.
 *
 * Thread rule: one thread at a time.
 */
#ifndef VMFERRY_MANIFEST_H
#define VMFERRY_MANIFEST_H

#include <stddef.h>
#include <stdint.h>

#include <vmferry/error.h>
#include <vmferry/package.h>

/* What the tail says of an image. */
struct vmf_manifest_image {
	struct vmf_totals totals;
	uint64_t segments;
};

struct vmf_manifest_tail {
	uint8_t sums[VMF_SHA_LEN];		 /* SHA-256 of SHA256SUMS */
	uint64_t members;			 /* its lines */
	const struct vmf_manifest_image *images; /* as many as in the head */
	const struct vmf_package_fact *facts;
	size_t nfacts;
};

/*
 * Texts, NUL-terminated and of *len bytes (len may be NULL); the caller frees
 * them.  The same
 * values make the same bytes.  VMF_REFUSED: a value that a reader would
 * refuse.
 */
char *vmf_manifest_format_head(
    const struct vmf_package_info *info, size_t *len, struct vmf_error *err);
char *vmf_manifest_format_tail(const struct vmf_package_info *info,
    const struct vmf_manifest_tail *tail, size_t *len, struct vmf_error *err);

/* A parsed head, and later its tail; owns all it gives. */
struct vmf_manifest;
struct vmf_manifest *
vmf_manifest_parse(const char *text, size_t len, struct vmf_error *err);
const struct vmf_package_info *vmf_manifest_info(const struct vmf_manifest *m);
/* The tail must be of this head. */
int vmf_manifest_parse_tail(struct vmf_manifest *m, const char *text,
    size_t len, struct vmf_error *err);
/* NULL before. */
const struct vmf_manifest_tail *vmf_manifest_tail(const struct vmf_manifest *m);
void vmf_manifest_free(struct vmf_manifest *m);

#endif
