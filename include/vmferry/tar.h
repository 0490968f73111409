/*
 * tar.h - canonical ustar files, by libarchive
 *
 * A canonical tar file has one form only for the same members: ustar headers
 * (POSIX.1-2017, pax, "ustar Interchange Format") with fixed owner, mode and
 * time as vmf_tar_header() gives them, data padded with zeros to 512 bytes,
 * and two zero blocks at the end of the file.  The reader lets libarchive
 * understand the file and compares every byte of it - headers, data, padding,
 * end - with the canonical form, so no flipped bit goes unseen.
 *
 * Damage is VMF_INTEGRITY.  Thread rule: one thread at a time.
 */
#ifndef VMFERRY_TAR_H
#define VMFERRY_TAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmferry/error.h>
#include <vmferry/io.h>

#define VMF_TAR_BLOCK	 512
#define VMF_TAR_NAME_MAX 100
#define VMF_TAR_SIZE_MAX ((UINT64_C(1) << 33) - 1)

struct vmf_tar_member {
	char name[VMF_TAR_NAME_MAX + 1]; /* a directory's ends in / */
	bool dir;
	uint64_t size; /* bytes, 0 for a directory */
};

/*
 * The one header a member has.  VMF_REFUSED: name empty or too long, size
 * beyond VMF_TAR_SIZE_MAX, directory with a size.
 */
int vmf_tar_header(const struct vmf_tar_member *member,
    uint8_t block[VMF_TAR_BLOCK], struct vmf_error *err);

/* --- writing: begin, data until size is reached, end; ...; finish */

struct vmf_tar_writer;

/* out is copied, its context borrowed. */
struct vmf_tar_writer *
vmf_tar_writer_new(struct vmf_out out, struct vmf_error *err);
int vmf_tar_writer_begin(struct vmf_tar_writer *w,
    const struct vmf_tar_member *member, struct vmf_error *err);
int vmf_tar_writer_data(struct vmf_tar_writer *w, const void *buf, size_t len,
    struct vmf_error *err);
/* VMF_INTERNAL: fewer bytes came than the header says. */
int vmf_tar_writer_end(struct vmf_tar_writer *w, struct vmf_error *err);
int vmf_tar_writer_finish(struct vmf_tar_writer *w, struct vmf_error *err);
void vmf_tar_writer_free(struct vmf_tar_writer *w);

/* --- reading: next, read until it gives less; ...; next is 0; finish */

struct vmf_tar_reader;

/* in is copied, its context borrowed; it is read ahead. */
struct vmf_tar_reader *
vmf_tar_reader_new(struct vmf_in in, struct vmf_error *err);
/* Over a seekable descriptor: what is not read is skipped, and only headers
 * are held to the canonical form.  Such a reader proves nothing. */
struct vmf_tar_reader *vmf_tar_reader_peek(int fd, struct vmf_error *err);
/* 1: a member; 0: the end; -1. */
int vmf_tar_reader_next(struct vmf_tar_reader *r, struct vmf_tar_member *member,
    struct vmf_error *err);
/* len bytes of the member, fewer only at its end. */
int vmf_tar_reader_read(struct vmf_tar_reader *r, void *buf, size_t len,
    size_t *got, struct vmf_error *err);
/* The end is as it must be and nothing follows. */
int vmf_tar_reader_finish(struct vmf_tar_reader *r, struct vmf_error *err);
/* Bytes that were found right so far. */
uint64_t vmf_tar_reader_bytes(const struct vmf_tar_reader *r);
/* The bytes that come next as far as they were read, to name a stranger. */
const uint8_t *
vmf_tar_reader_ahead(const struct vmf_tar_reader *r, size_t *len);
void vmf_tar_reader_free(struct vmf_tar_reader *r);

#endif
