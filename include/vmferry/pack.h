/*
 * pack.h - what a domain consists of, gathered from its host into a package
 *
 * Opening finds everything that must travel - definition, NVRAM, TPM state,
 * every disk - opens it, and refuses (VMF_REFUSED) what could not be carried
 * whole, before a byte is written: a guest that is not off, a disk that is
 * missing, shared, in use or of a kind that cannot be read.  Nothing at the
 * source is changed.
 *
 * Thread rule: one thread at a time.
 */
#ifndef VMFERRY_PACK_H
#define VMFERRY_PACK_H

#include <vmferry/engine.h>
#include <vmferry/host.h>
#include <vmferry/io.h>
#include <vmferry/package.h>

struct vmf_pack_options {
	const char *const *disks; /* only these (NULL-terminated); NULL: all */
	const char *const *exclude; /* not these; NULL: none */
	bool secrets;		    /* with VNC and SPICE passwords */
	bool running;		    /* only look: the guest may run */
	bool any_state;		    /* that it is off is asked elsewhere */
	bool no_files;		    /* leave NVRAM and TPM state out */
	bool leave_network;	    /* network disks stay where they are */
	uint32_t chunk;
	struct vmf_source_options source;
	const struct vmf_sign_key *sign; /* private key, borrowed; or NULL */
	const char *scratch;		 /* NULL: /var/tmp */
	const char *tpm_dir;		 /* NULL: /var/lib/libvirt/swtpm */
};

struct vmf_pack;

/* Borrows host until freed; id goes into the package and all its objects. */
struct vmf_pack *vmf_pack_open(struct vmf_host *host, const char *domain,
    const uint8_t id[VMF_ID_LEN], const struct vmf_pack_options *options,
    struct vmf_error *err);
/* Borrowed, as the XML is. */
const struct vmf_package_info *vmf_pack_info(const struct vmf_pack *pack);
const char *vmf_pack_xml(const struct vmf_pack *pack);
/* The open disk that image n of info is read from; borrowed. */
struct vmf_source *vmf_pack_source(struct vmf_pack *pack, size_t n);
/* Bytes of all images as the guest sees them. */
uint64_t vmf_pack_size(const struct vmf_pack *pack);

/*
 * Write the whole package to out.  totals (may be NULL) has room for one entry
 * per image.  May be called again: the disks are read again.
 */
int vmf_pack_write(struct vmf_pack *pack, struct vmf_out out,
    const struct vmf_engine_options *options, struct vmf_totals *totals,
    struct vmf_error *err);
void vmf_pack_free(struct vmf_pack *pack);

#endif
