/*
 * package.h - a domain as one plain tar file: XML, NVRAM, TPM state, disks
 *
 * The format, with every bound, is vmferry-package(5).  In short: a canonical
 * ustar file whose members come in one order - vmferry, domain.xml, files,
 * images, digests, SHA256SUMS, manifest.json, END - and whose first member
 * announces what follows.  An image's members, put one after the other, are a
 * stream (vmferry-stream(5)).  The same input and id make the same bytes.
 *
 * Writing goes: vmf_package_writer_new(), _xml(), _file() for each announced
 * file, _image() and _image_end() (or vmf_package_dump()) for each announced
 * image, _sign() when it is to be signed, _finish().  Reading goes:
 * vmf_package_reader_open(), _next() until it returns 0, _finish().
 * vmf_package_verify() reads a whole package, and vmf_package_restore() places
 * one.
 *
 * Damage of any kind is VMF_INTEGRITY.  Thread rule: one thread at a time.
 */
#ifndef VMFERRY_PACKAGE_H
#define VMFERRY_PACKAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <vmferry/engine.h>
#include <vmferry/io.h>
#include <vmferry/sign.h>
#include <vmferry/writer.h>

#define VMF_PACKAGE_VERSION    1
#define VMF_PACKAGE_IMAGES_MAX 256
#define VMF_PACKAGE_FILES_MAX  1024
#define VMF_PACKAGE_FACTS_MAX  64
#define VMF_PACKAGE_NAME_MAX   100 /* bytes of a member's name */
#define VMF_PACKAGE_JSON_MAX   (1 * VMF_MIB)
#define VMF_PACKAGE_XML_MAX    (16 * VMF_MIB)
#define VMF_PACKAGE_FILE_MAX   (4 * VMF_GIB)	   /* bytes of a file */
#define VMF_PACKAGE_CHUNKS_MAX (UINT64_C(1) << 26) /* of an image */
#define VMF_SEGMENT_MAX	       (48 * VMF_MIB)

/*
 * A file beside the disks: name is nvram/NAME, tpm/PATH or aux/PATH, of
 * letters, digits and ._+- with at most four parts, none of which starts with
 * one of ._+- ; path is where it came from.
 */
struct vmf_package_file {
	const char *name;
	const char *path;
	uint64_t size; /* bytes, at most VMF_PACKAGE_FILE_MAX */
	unsigned mode; /* permission bits */
	const char *owner, *group;
};

/*
 * A disk or a file of its backing chain: name is the target name (vda,
 * vda.base1), letters, digits and ._- with a letter or digit first, at most
 * 64; path is where it came from.  geo.size is known, and chunks are at most
 * VMF_PACKAGE_CHUNKS_MAX.
 */
struct vmf_package_image {
	const char *name;
	const char *path;
	struct vmf_geometry geo;
};

/*
 * What a package announces in its first member.  Files are sorted: nvram/,
 * tpm/, aux/, in each by name.  A writer borrows everything until it is freed;
 * a reader owns what it gives.
 */
struct vmf_package_info {
	uint8_t id[VMF_ID_LEN]; /* that every object carries */
	const char *domain;	/* name */
	const char *uuid;	/* with dashes */
	bool secrets;		/* VNC and SPICE passwords are in the XML */
	const struct vmf_package_file *files;
	size_t nfiles;
	const struct vmf_package_image *images;
	size_t nimages;
};

/* What manifest.json says of the host, as text: "libvirt" = "9.0.0". */
struct vmf_package_fact {
	const char *key, *value;
};

/* The names' grammar. */
bool vmf_package_image_name_ok(const char *name);
bool vmf_package_file_name_ok(const char *name);

/* --- writing */

struct vmf_package_writer;

/*
 * Writes the first member to out.  scratch is the directory for lists of
 * digests (NULL: /var/tmp).  VMF_REFUSED: a name, number or string that has no
 * place in a package.
 */
struct vmf_package_writer *
vmf_package_writer_new(struct vmf_out out, const struct vmf_package_info *info,
    const char *scratch, struct vmf_error *err);
int vmf_package_writer_xml(struct vmf_package_writer *w, const char *xml,
    size_t len, struct vmf_error *err);
/* The next file, exactly as many bytes as were announced (else VMF_IO). */
int vmf_package_writer_file(
    struct vmf_package_writer *w, struct vmf_in in, struct vmf_error *err);
/*
 * The next image: *carrier takes its objects, START to END (it borrows w), and
 * _image_end() follows its END.  The list of digests is kept here.
 */
int vmf_package_writer_image(struct vmf_package_writer *w,
    struct vmf_carrier *carrier, struct vmf_error *err);
int vmf_package_writer_image_end(
    struct vmf_package_writer *w, struct vmf_error *err);
/* Have the manifest signed by this private key, borrowed. */
void vmf_package_writer_sign(
    struct vmf_package_writer *w, const struct vmf_sign_key *key);
/* All that makes it complete; out is not synced. */
int vmf_package_writer_finish(struct vmf_package_writer *w,
    const struct vmf_package_fact *facts, size_t nfacts, struct vmf_error *err);
/* What image n was, after its _image_end(). */
const struct vmf_totals *
vmf_package_writer_totals(const struct vmf_package_writer *w, size_t n);
/* NULL-safe.  What was not finished is no package. */
void vmf_package_writer_free(struct vmf_package_writer *w);

/* The next image whole, from src, as vmf_dump() does. */
int vmf_package_dump(struct vmf_package_writer *w, struct vmf_source *src,
    const struct vmf_engine_options *options, struct vmf_error *err);

/* --- reading */

struct vmf_package_reader;

struct vmf_package_reader_options {
	const char *scratch;   /* NULL: /var/tmp */
	const uint8_t *expect; /* id that it must have, or NULL */
	/* Public key that must have signed it, or NULL; borrowed. */
	const struct vmf_sign_key *key;
};

/* Reads `vmferry` and domain.xml.  options may be NULL. */
struct vmf_package_reader *vmf_package_reader_open(struct vmf_in in,
    const struct vmf_package_reader_options *options, struct vmf_error *err);
/* Both live as long as the reader.  The XML ends with a NUL that len does not
 * count, and is untrusted. */
const struct vmf_package_info *
vmf_package_reader_info(const struct vmf_package_reader *r);
const char *
vmf_package_reader_xml(const struct vmf_package_reader *r, size_t *len);

/*
 * The next item: 1, with either file or image set (the other NULL) to its
 * entry in the info; after the last: 0; failure: -1.  What the caller did not
 * read of the item before is read and checked as stored bytes.
 */
struct vmf_package_item {
	const struct vmf_package_file *file;
	const struct vmf_package_image *image;
};
int vmf_package_reader_next(struct vmf_package_reader *r,
    struct vmf_package_item *item, struct vmf_error *err);
/*
 * The bytes of the present item: of a file, or of an image the stream for
 * vmf_reader_open().  Objects' headers, their order, segments and id are
 * checked here; their data is not, that is the engine's part.
 */
struct vmf_in vmf_package_reader_in(struct vmf_package_reader *r);

/* What the whole of it was. */
struct vmf_package_summary {
	uint64_t bytes;	    /* of the package */
	uint64_t size;	    /* of its images */
	uint64_t stored;    /* bytes of their frames */
	uint64_t members;   /* in SHA256SUMS */
	bool has_signature; /* checked when the options had a key */
};

/*
 * The rest: lists of digests, SHA256SUMS, manifest, END, and that nothing
 * follows.  Until this has returned 0 nothing of the package may be relied on.
 * summary may be NULL.
 */
int vmf_package_reader_finish(struct vmf_package_reader *r,
    struct vmf_package_summary *summary, struct vmf_error *err);
/* The manifest's facts and totals of image n, after finish (or peek). */
const struct vmf_package_fact *
vmf_package_reader_facts(const struct vmf_package_reader *r, size_t *nfacts);
const struct vmf_totals *
vmf_package_reader_totals(const struct vmf_package_reader *r, size_t n);
void vmf_package_reader_free(struct vmf_package_reader *r);

/*
 * Describe a package in a seekable file without reading its disks: info, XML,
 * facts and totals as they stand, nothing verified.  fd is borrowed and stands
 * at the package's first byte.  options (may be NULL) are heeded, but a key
 * proves only who wrote the manifest.
 */
struct vmf_package_reader *vmf_package_peek(int fd,
    const struct vmf_package_reader_options *options, struct vmf_error *err);

/*
 * Read and check all of a package, every object included; ropts and summary
 * may be NULL.  To check bytes that flow by, give it an in that hands on what
 * it reads: every byte up to the end of in is asked for, once and in order,
 * by a thread of this call.
 */
int vmf_package_verify(struct vmf_in in,
    const struct vmf_package_reader_options *ropts,
    const struct vmf_engine_options *options,
    struct vmf_package_summary *summary, struct vmf_error *err);

/*
 * Likewise, and keep the digests of one disk in list (the caller's, empty) and
 * its geometry.  VMF_REFUSED: there is no such disk, or disk is NULL and there
 * are more than one.
 */
int vmf_package_verify_disk(struct vmf_in in,
    const struct vmf_package_reader_options *ropts, const char *disk,
    struct vmf_digests *list, struct vmf_geometry *geo,
    const struct vmf_engine_options *options, struct vmf_error *err);

/*
 * Compare what src has with them, chunk by chunk: range() is told every range
 * that differs, ascending and joined, in the caller's thread.  What src lacks
 * differs; what it has beyond the disk does so with exact only.
 */
struct vmf_package_differ {
	int (*range)(
	    void *ctx, uint64_t off, uint64_t len, struct vmf_error *err);
	void *ctx;
	bool exact;
};
int vmf_package_compare(struct vmf_source *src, struct vmf_digests *list,
    const struct vmf_geometry *geo, const struct vmf_package_differ *differ,
    const struct vmf_engine_options *options, struct vmf_error *err);

/* --- placing */

/* Where an image or file goes; path NULL: it is read, checked and dropped. */
struct vmf_package_target {
	const char *path;
	bool overwrite; /* images only: a file or signatures that exist */
	bool own;	/* files only: give it this owner */
	uid_t uid;
	gid_t gid;
};

struct vmf_package_plan {
	const struct vmf_package_target *images; /* nimages of them */
	const struct vmf_package_target *files;	 /* nfiles of them */
	bool readback;
	bool dry_run;	     /* check the targets, touch nothing */
	const char *scratch; /* NULL: /var/tmp */
};

/* Say that err is of this disk; returns -1.  Where it would have to be
 * overwritten, the option is named that allows it. */
int vmf_package_wrap_disk(struct vmf_error *err, const char *name);

/*
 * Place what a reader just opened gives.  All targets are checked before any
 * is touched (VMF_REFUSED); files are new ones, 0600; every image is read back
 * when readback is set; everything gets its name, or its head and tail, only
 * after vmf_package_reader_finish().
 */
int vmf_package_restore(struct vmf_package_reader *r,
    const struct vmf_package_plan *plan,
    const struct vmf_engine_options *options,
    struct vmf_package_summary *summary, struct vmf_error *err);

#endif
