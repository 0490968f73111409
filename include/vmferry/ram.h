/*
 * ram.h - a guest's RAM from libvirt and back, with no second copy on disk
 *
 * libvirt saves into a file it is given the name of, and restores from one.
 * Here that file is a FIFO in a directory of our own, and what flows through
 * it is a stream to read or to write.
 *
 * Saving: libvirtd opens the name, writes a header that says "incomplete", the
 * XML and the RAM, closes, opens the name once more and writes the final
 * header, which replaces the first bytes; only then is the guest ended.  Here
 * the name stands for two FIFOs, one after the other.  The second is full from
 * the beginning, so that libvirtd waits with the final header until
 * vmf_ram_save_commit() empties it: the bytes can be stored and proved first.
 * Without commit - also when this process dies - that write fails, and libvirt
 * lets the guest go on as if nothing had happened.
 *
 * While libvirtd waits like this it answers no question about the domain: keep
 * that time short, and ask it nothing.
 *
 * Thread rule: one thread at a time; libvirt's call waits in one of its own.
 */
#ifndef VMFERRY_RAM_H
#define VMFERRY_RAM_H

#include <vmferry/host_save.h>
#include <vmferry/io.h>

struct vmf_ram_save;

/*
 * Begin to save a domain, which libvirt pauses for it.  dir is where the FIFO
 * gets a directory (NULL: /run/vmferry).  resume: how it is to go on when
 * restored.  progress may be NULL; a stop ends the save.
 */
struct vmf_ram_save *vmf_ram_save_open(struct vmf_host *host,
    const char *domain, enum vmf_host_resume resume, const char *dir,
    struct vmf_progress *progress, struct vmf_error *err);
/*
 * The bytes of the save file, with the header of a complete one.  At their end
 * the guest is paused and still there.
 */
struct vmf_in vmf_ram_save_in(struct vmf_ram_save *save);
/*
 * All was read and is safe: have the guest ended.  VMF_INTEGRITY: libvirt's
 * final header is not the one that was read first; the guest is off, and these
 * are all there is.
 */
int vmf_ram_save_commit(struct vmf_ram_save *save, struct vmf_error *err);
/* NULL-safe.  Without commit libvirt gives the guest back. */
void vmf_ram_save_free(struct vmf_ram_save *save);

struct vmf_ram_restore;

/*
 * Begin to restore; xml as for vmf_host_restore().  It only waits for bytes so
 * far.
 */
struct vmf_ram_restore *vmf_ram_restore_open(struct vmf_host *host,
    const char *xml, enum vmf_host_resume resume, const char *dir,
    struct vmf_progress *progress, struct vmf_error *err);
/* Where the bytes of a save file go.  A failure is libvirt's own where it gave
 * up. */
struct vmf_out vmf_ram_restore_out(struct vmf_ram_restore *restore);
/* All was written: wait until libvirt says that the guest is there. */
int
vmf_ram_restore_commit(struct vmf_ram_restore *restore, struct vmf_error *err);
/* NULL-safe.  Without commit the restore fails. */
void vmf_ram_restore_free(struct vmf_ram_restore *restore);

#endif
