/*
 * pack_internal.h - what the files of the pack module share
 *
 * Thread rule: one thread at a time.
 */
#ifndef VMFERRY_PACK_INTERNAL_H
#define VMFERRY_PACK_INTERNAL_H

#include <vmferry/domain.h>
#include <vmferry/pack.h>

#define PACK_FILES_MAX 64
#define PACK_OWNER_MAX 33
#define PACK_NAME_ROOM (VMF_PACKAGE_NAME_MAX + 1)

/* One file beside the disks; the strings that info's entry borrows. */
struct pack_file {
	char name[PACK_NAME_ROOM];
	char path[VMF_MAP_PATH_MAX];
	char owner[PACK_OWNER_MAX], group[PACK_OWNER_MAX];
	int fd;
};

struct vmf_pack {
	struct vmf_host *host;
	struct vmf_pack_options options;
	char *xml;
	struct vmf_domain *dom;
	const struct vmf_domain_model *model;
	struct vmf_package_info info;
	struct pack_file files[PACK_FILES_MAX];
	struct vmf_package_file file_entries[PACK_FILES_MAX];
	struct vmf_package_image *images;
	struct vmf_source **sources;
	char **paths; /* of the images */
};

/* NVRAM and TPM state: found, opened, announced in info. */
int vmf_pack_files_add(struct vmf_pack *pack, struct vmf_error *err);
/* File i of info, as the next of w. */
int vmf_pack_files_write(struct vmf_pack *pack, size_t i,
    struct vmf_package_writer *w, struct vmf_error *err);

/* The disks that options choose, likewise. */
int vmf_pack_disks_add(struct vmf_pack *pack, struct vmf_error *err);

/* Finish w with what is to be known of the host. */
int vmf_pack_facts_write(
    struct vmf_pack *pack, struct vmf_package_writer *w, struct vmf_error *err);

#endif
