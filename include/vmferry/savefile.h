/*
 * savefile.h - libvirt's save file: what precedes the guest's RAM in it
 *
 * `virsh save`, a managed save and our own state packages hold the same bytes:
 * a header of 92 bytes, the domain's XML with a cookie behind it, then QEMU's
 * migration stream, compressed or not.  The header is written in the byte
 * order of the host that made it; its magic is that of an incomplete file
 * until libvirtd has written everything.
 *
 *	 0  16	magic: LibvirtQemudSave, or LibvirtQemudPart while incomplete
 *	16   4	version: 1 or 2
 *	20   4	bytes of XML and cookie, padding included
 *	24   4	1: the guest was running, 0: paused
 *	28   4	format of what follows, enum vmf_savefile_format
 *	32   4	offset of the cookie in these bytes; 0: none
 *	36  56	unused
 *
 * Source: libvirt's src/qemu/qemu_saveimage.h, as of 9.0.
 *
 * Thread rule: any thread.
 */
#ifndef VMFERRY_SAVEFILE_H
#define VMFERRY_SAVEFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmferry/io.h>

#define VMF_SAVEFILE_HEAD    92
#define VMF_SAVEFILE_MAGIC   16
#define VMF_SAVEFILE_XML_MAX (UINT64_C(32) << 20)

enum vmf_savefile_format {
	VMF_SAVEFILE_RAW,
	VMF_SAVEFILE_GZIP,
	VMF_SAVEFILE_BZIP2,
	VMF_SAVEFILE_XZ,
	VMF_SAVEFILE_LZOP,
	VMF_SAVEFILE_ZSTD,
	VMF_SAVEFILE_SPARSE,
	VMF_SAVEFILE_FORMATS
};

struct vmf_savefile {
	bool complete;	  /* libvirtd had written all of it */
	bool foreign;	  /* made on a host of the other byte order */
	uint32_t version; /* 1 or 2 */
	uint32_t data_len;
	bool running; /* when it was saved */
	enum vmf_savefile_format format;
	uint32_t cookie_off;
	/* From vmf_savefile_read() on: NUL-terminated, cookie NULL for none;
	 * vmf_savefile_clear() frees them. */
	char *xml;
	char *cookie;
};

/* The first bytes are those of a save file, complete or not. */
bool vmf_savefile_is(const void *head, size_t len);

/*
 * The header alone.  VMF_INTEGRITY names what is wrong with it: no save file,
 * a newer version, a format or length that cannot be.
 */
int vmf_savefile_decode(const uint8_t head[VMF_SAVEFILE_HEAD],
    struct vmf_savefile *file, struct vmf_error *err);

/*
 * Header, XML and cookie; in then stands at the first byte of QEMU's stream.
 * VMF_INTEGRITY also when it ends too early.  On failure nothing needs to be
 * freed.
 */
int vmf_savefile_read(
    struct vmf_in in, struct vmf_savefile *file, struct vmf_error *err);
void vmf_savefile_clear(struct vmf_savefile *file); /* NULL-safe */

/*
 * The bytes of QEMU's stream that follow the XML begin as such a stream does
 * (raw format only).  VMF_INTEGRITY: they do not.
 */
int vmf_savefile_check_stream(
    const uint8_t *buf, size_t len, struct vmf_error *err);

/* Make the magic of a header that of a complete file. */
void vmf_savefile_complete(uint8_t head[VMF_SAVEFILE_HEAD]);

/* raw, gzip ... */
const char *vmf_savefile_format_name(enum vmf_savefile_format format);

#endif
