/*
 * nbd_internal.h - QEMU's code for containers, over NBD
 *
 * qemu-nbd serves one image on a unix socket in a directory of mode 0700,
 * which is gone as soon as we are connected; it ends when we disconnect, or
 * die.
 */
#ifndef VMFERRY_NBD_INTERNAL_H
#define VMFERRY_NBD_INTERNAL_H

#include <stdbool.h>

#include <libnbd.h>

#include <vmferry/extent.h>

struct vmf_nbd {
	struct nbd_handle *h;
	struct vmf_child *child; /* NULL: the server is somebody else's */
	uint64_t size;
	bool extents; /* it tells of them */
};

/* Serve the image of this format ("raw", "qcow2") at path (absolute). */
int vmf_nbd_serve(struct vmf_nbd *nbd, const char *path, const char *format,
    bool writable, bool live, struct vmf_error *err);
/* Connect to nbd://HOST/EXPORT or nbd+unix:///EXPORT?socket=PATH. */
int
vmf_nbd_connect(struct vmf_nbd *nbd, const char *uri, struct vmf_error *err);
int vmf_nbd_read(struct vmf_nbd *nbd, void *buf, size_t len, uint64_t off,
    struct vmf_error *err);
int vmf_nbd_write(struct vmf_nbd *nbd, const void *buf, size_t len,
    uint64_t off, struct vmf_error *err);
int vmf_nbd_flush(struct vmf_nbd *nbd, struct vmf_error *err);
int vmf_nbd_extent(struct vmf_nbd *nbd, uint64_t off, struct vmf_extent *ext,
    struct vmf_error *err);
/* Disconnect, and see that the server ended well. */
int vmf_nbd_finish(struct vmf_nbd *nbd, struct vmf_error *err);
void vmf_nbd_close(struct vmf_nbd *nbd); /* at any time */

#endif
