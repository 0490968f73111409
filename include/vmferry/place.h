/*
 * place.h - where the parts of a package go on this host, and as what domain
 *
 * The rewritten XML decides: each image goes where the disk of its name has
 * its source, NVRAM where the XML has it, TPM state into the directory of the
 * domain's UUID.  Making a placement checks everything that can be checked
 * and touches nothing; the package is untrusted until proved otherwise, and
 * its XML for ever.
 *
 * Thread rule: one thread at a time.
 */
#ifndef VMFERRY_PLACE_H
#define VMFERRY_PLACE_H

#include <vmferry/domain.h>
#include <vmferry/host.h>
#include <vmferry/map.h>
#include <vmferry/package.h>

struct vmf_place_options {
	struct vmf_map *map;	      /* borrowed; NULL: none */
	const char *name;	      /* new name; NULL: keep */
	bool new_identity;	      /* UUID, MACs, genid ... */
	const char *const *overwrite; /* disks whose targets may hold data
				       * (NULL-terminated); NULL: none */
	const char *const *secrets;   /* that come along, by UUID or usage
				       * (NULL-terminated); NULL: none */
	uint32_t allow;		      /* see struct vmf_domain_scan */
	bool trusted;  /* XML of one's own host: only leftovers are refused */
	bool define;   /* it will be defined: check that it can be */
	bool replace;  /* ... in place of one of that name and UUID */
	bool readback; /* compare the targets with what was written */
	bool dry_run;  /* vmf_place_restore() touches nothing */
	const char *scratch; /* NULL: /var/tmp */
	const char *tpm_dir; /* NULL: /var/lib/libvirt/swtpm */
};

struct vmf_place;

/*
 * info and xml as a package has them.  host may be NULL when neither define
 * nor replace is set: then no domain is asked whether a target is its own.
 * VMF_REFUSED names what is in the way.
 */
struct vmf_place *vmf_place_new(const struct vmf_package_info *info,
    const char *xml, struct vmf_host *host,
    const struct vmf_place_options *options, struct vmf_error *err);
/* The rewritten XML; borrowed. */
const char *vmf_place_xml(const struct vmf_place *place);
/* Name and UUID the domain has here; borrowed. */
const char *vmf_place_name(const struct vmf_place *place);
const char *vmf_place_uuid(const struct vmf_place *place);
/* The target of image or file n of info; NULL: it is dropped.  Borrowed. */
const char *vmf_place_image(const struct vmf_place *place, size_t n);
const char *vmf_place_file(const struct vmf_place *place, size_t n);
/* May the target of image n hold data? */
bool vmf_place_overwrites(const struct vmf_place *place, size_t n);

/* Could every target be written?  As vmf_place_restore() asks first; nothing
 * is touched. */
int vmf_place_check_targets(struct vmf_place *place, struct vmf_error *err);

/*
 * Place what r, whose info the placement was made of, holds.  Directories of
 * NVRAM and TPM state are made; files get the owner libvirt expects.
 */
int vmf_place_restore(struct vmf_place *place, struct vmf_package_reader *r,
    const struct vmf_engine_options *engine,
    struct vmf_package_summary *summary, struct vmf_error *err);

/* Define the domain; *old as vmf_host_define() gives it. */
int
vmf_place_define(struct vmf_place *place, char **old, struct vmf_error *err);
void vmf_place_free(struct vmf_place *place);

#endif
