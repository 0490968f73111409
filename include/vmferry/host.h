/*
 * host.h - a host's libvirt: domains, and what the host has for them
 *
 * The only module that calls libvirt.  It never prompts for a password and
 * libvirt prints nothing.  What libvirt refuses is VMF_HYPERVISOR with its
 * own words; a connection that cannot be opened too (for a remote URI,
 * VMF_REMOTE).  A domain that does not exist is VMF_REFUSED.
 *
 * domain arguments are a name or a UUID's text; a name that looks like a UUID
 * is found as a name when no domain has that UUID.
 *
 * Thread rule: a host may be used by several threads (libvirt locks it), its
 * error structs not.
 */
#ifndef VMFERRY_HOST_H
#define VMFERRY_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmferry/domain.h>
#include <vmferry/error.h>

struct vmf_host;

#define VMF_HOST_URI "qemu:///system"

/* Connect; uri NULL: VMF_HOST_URI.  The caller frees it. */
struct vmf_host *vmf_host_open(const char *uri, struct vmf_error *err);
void vmf_host_free(struct vmf_host *host); /* NULL-safe; disconnects */

/* The URI in use; lives as long as the host. */
const char *vmf_host_uri(const struct vmf_host *host);
/* libvirtd runs on this machine: paths can be looked at directly. */
bool vmf_host_is_local(const struct vmf_host *host);

struct vmf_host_facts {
	char hostname[256];
	char uuid[VMF_DOMAIN_UUID_TEXT];
	char driver[32];	/* QEMU, TEST */
	unsigned long libvirt;	/* 9000000 is 9.0.0 */
	unsigned long emulator; /* QEMU's, in the same way; 0 unknown */
	uint64_t memory;	/* bytes */
	unsigned cpus;
};
int vmf_host_facts(
    struct vmf_host *host, struct vmf_host_facts *facts, struct vmf_error *err);

/* --- domains */

enum vmf_host_run {
	VMF_RUN_OFF,
	VMF_RUN_RUNNING,
	VMF_RUN_PAUSED,
	VMF_RUN_OTHER, /* shutting down, crashed, suspended by the guest */
};

struct vmf_host_state {
	char name[VMF_MAP_NAME_MAX];
	char uuid[VMF_DOMAIN_UUID_TEXT];
	enum vmf_host_run run;
	bool persistent;
	bool managed_save; /* its RAM lies in a save file */
	bool autostart;
	bool job; /* a migration, save or block job runs */
	int snapshots;
	int checkpoints;
};

/* The domain's state; found false (and 0) when there is none of that name. */
int vmf_host_find(struct vmf_host *host, const char *domain,
    struct vmf_host_state *state, bool *found, struct vmf_error *err);
/* The same; none is VMF_REFUSED. */
int vmf_host_state(struct vmf_host *host, const char *domain,
    struct vmf_host_state *state, struct vmf_error *err);
/* "shut off", "running" ... */
const char *vmf_host_run_name(enum vmf_host_run run);

/* Off, persistent, no managed save, no job: fit for a cold move or a package.
 * VMF_REFUSED names what is in the way and the mode that fits. */
int vmf_host_require_off(
    struct vmf_host *host, const char *domain, struct vmf_error *err);

/* The inactive XML; secure: with VNC and SPICE passwords.  Caller frees. */
char *vmf_host_xml(struct vmf_host *host, const char *domain, bool secure,
    struct vmf_error *err);

/*
 * Would a define of this name and UUID meet another?  VMF_REFUSED: the same
 * name with another UUID or the reverse always; the same of both unless
 * replace, and then too when it runs, has a managed save or a job.
 */
int vmf_host_check_identity(struct vmf_host *host, const char *name,
    const char *uuid, bool replace, struct vmf_error *err);

/*
 * Define a domain after that check.  With replace, *old (may be NULL) is the
 * XML it had, with passwords, or NULL when it was new; the caller frees it.
 */
int vmf_host_define(struct vmf_host *host, const char *xml, bool replace,
    char **old, struct vmf_error *err);

int vmf_host_start(
    struct vmf_host *host, const char *domain, struct vmf_error *err);
/*
 * Try to start an empty machine of this UUID, paused: *refused tells whether
 * libvirt would not, with these words in its reason.  What started is
 * destroyed at once.
 */
int vmf_host_probe_start(struct vmf_host *host, const char *uuid,
    const char *words, bool *refused, struct vmf_error *err);
/* Ask the guest to shut down; returns at once. */
int vmf_host_shutdown(
    struct vmf_host *host, const char *domain, struct vmf_error *err);
/* Pull the plug. */
int vmf_host_destroy(
    struct vmf_host *host, const char *domain, struct vmf_error *err);
/* Take the definition away and keep NVRAM and TPM state; a managed save,
 * snapshots or checkpoints are in the way (VMF_HYPERVISOR). */
int vmf_host_undefine(
    struct vmf_host *host, const char *domain, struct vmf_error *err);
int vmf_host_set_autostart(
    struct vmf_host *host, const char *domain, bool on, struct vmf_error *err);

/* --- what is taken */

/*
 * Which defined or running domain, other than the one with UUID except (may be
 * NULL), uses this path as disk, base image or NVRAM?  user is its name, or
 * "" for none.  Paths are compared as names and, where libvirtd is
 * on this machine, as files (device and inode).
 */
int
vmf_host_path_user(struct vmf_host *host, const char *path, const char *except,
    bool active_only, char user[VMF_MAP_NAME_MAX], struct vmf_error *err);
/* VMF_REFUSED when there is one. */
int vmf_host_require_unused(struct vmf_host *host, const char *path,
    const char *except, struct vmf_error *err);
/* Which other domain has an interface with this MAC? */
int vmf_host_mac_user(struct vmf_host *host, const char *mac,
    const char *except, char user[VMF_MAP_NAME_MAX], struct vmf_error *err);

/* --- what is there */

/* A bridge, network device or address is only looked for when libvirtd runs
 * on this machine; elsewhere it is taken to be there.  For vmf_domain_scan():
 * ctx is the struct vmf_host. */
bool vmf_host_there(void *host, enum vmf_domain_ask ask, const char *value);
/* A firmware file QEMU's libvirt driver would take; for
 * vmf_domain_rewrite(): ctx is the struct vmf_host. */
bool vmf_host_firmware_there(void *host, const char *path);

/* Does the network exist, and is it up? */
int vmf_host_network(struct vmf_host *host, const char *name, bool *found,
    bool *active, struct vmf_error *err);

/* Has it this portgroup? */
int vmf_host_portgroup(struct vmf_host *host, const char *network,
    const char *portgroup, bool *has, struct vmf_error *err);
/* A bridge of this machine's kernel, and not of Open vSwitch. */
bool vmf_host_is_linux_bridge(const char *name);
/* Does the storage pool exist, and is it active? */
int vmf_host_pool(struct vmf_host *host, const char *name, bool *found,
    bool *active, struct vmf_error *err);

/*
 * A secret by UUID or usage: its XML and value, for the caller to free (and to
 * wipe the value).  VMF_REFUSED: there is none, or its value may not be read.
 */
struct vmf_host_secret {
	char *xml;
	unsigned char *value;
	size_t len;
};
int vmf_host_secret_get(struct vmf_host *host, const char *name,
    struct vmf_host_secret *secret, struct vmf_error *err);
/* Define it with its value; one that is there already is left alone. */
int vmf_host_secret_put(struct vmf_host *host,
    const struct vmf_host_secret *secret, struct vmf_error *err);
void vmf_host_secret_clear(struct vmf_host_secret *secret); /* wipes */

/*
 * The host's QEMU can run this domain: its type, architecture, machine type
 * and CPU model are known there.  VMF_REFUSED names the first
 * thing that is missing and the nearest that is there.
 */
int vmf_host_check_runs(struct vmf_host *host,
    const struct vmf_domain_model *model, struct vmf_error *err);

/* --- what it would need; host_fits.c */

/*
 * The domain's CPU can be had on this host.  VMF_REFUSED names the features
 * that are missing; only a CPU model of its own is compared (host-model and
 * host-passthrough are what the host has).  *insists: the domain demands
 * it, and will not start without.
 */
int vmf_host_compare_cpu(struct vmf_host *host,
    const struct vmf_domain_model *model, const char *xml, bool *insists,
    struct vmf_error *err);

/* What the host could give to guests now, in bytes; total is all it has. */
int vmf_host_memory(struct vmf_host *host, uint64_t *total, uint64_t *available,
    struct vmf_error *err);

/* The pages the domain wants its memory in (0: ordinary ones), and how many
 * bytes of these are free here. */
int vmf_host_hugepages(struct vmf_host *host, const char *xml,
    uint64_t *page_size, uint64_t *available, struct vmf_error *err);

/* At most so many CPUs can a guest of its machine type have; 0: not known. */
unsigned
vmf_host_max_vcpus(struct vmf_host *host, const struct vmf_domain_model *model);

/* libvirt can give guests an emulated TPM.  VMF_REFUSED: what is missing. */
int vmf_host_check_tpm(struct vmf_host *host,
    const struct vmf_domain_model *model, struct vmf_error *err);

/* This machine's swtpm, as libvirt's versions are; 0: none, or not known. */
unsigned long vmf_host_swtpm(void);

/* An active network of this host to propose, or "". */
void
vmf_host_propose_network(struct vmf_host *host, char name[VMF_MAP_NAME_MAX]);

/*
 * The domain's NVRAM file is there and of its template's size.  VMF_REFUSED
 * otherwise; only looked at where libvirtd is on this machine.
 */
int vmf_host_check_nvram(struct vmf_host *host,
    const struct vmf_domain_model *model, struct vmf_error *err);

/* The state of an emulated TPM is there, in a directory named by the UUID;
 * true where it cannot be looked for. */
bool vmf_host_has_tpm_state(
    struct vmf_host *host, const struct vmf_domain_model *model);

/* The path a storage volume has; the caller frees it. */
char *vmf_host_volume_path(struct vmf_host *host, const char *pool,
    const char *volume, struct vmf_error *err);

/*
 * Where volume of pool is or will be: *path, for the caller to free.  One that
 * is there is left alone.  In a pool of devices one of size bytes is made
 * (*made true); in a pool of files it is up to the caller to make the file, and
 * to have the pool refreshed.
 */
int vmf_host_volume_make(struct vmf_host *host, const char *pool,
    const char *volume, uint64_t size, char **path, bool *made,
    struct vmf_error *err);
void vmf_host_volume_remove(
    struct vmf_host *host, const char *pool, const char *volume);
void vmf_host_pool_refresh(struct vmf_host *host, const char *pool);

#endif
