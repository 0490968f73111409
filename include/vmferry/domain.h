/*
 * domain.h - a libvirt domain's XML: read safely, described, rewritten
 *
 * The XML is edited in place in libxml2's tree and written back in libvirt's
 * own style: what no rule touches - comments, CDATA, namespaces, unknown
 * elements, order - comes out as it went in, and XML as `virsh dumpxml` gives
 * it comes out byte for byte when nothing was asked.
 *
 * Every XML is taken for hostile: no DOCTYPE, 16 MiB and 256 levels at most,
 * no network, no entities but XML's own.
 *
 * Thread rule: one domain belongs to one thread at a time.
 * Elements as in https://libvirt.org/formatdomain.html (libvirt 9.0 and later).
 */
#ifndef VMFERRY_DOMAIN_H
#define VMFERRY_DOMAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmferry/error.h>
#include <vmferry/map.h>

struct vmf_domain;

#define VMF_DOMAIN_XML_MAX   (UINT64_C(16) << 20)
#define VMF_DOMAIN_UUID_TEXT 37 /* bytes of a UUID's text with its NUL */

/*
 * Parse XML of len bytes; what names it in messages ("web.xml").  NULL:
 * VMF_INTEGRITY (not well-formed, not UTF-8, DOCTYPE, too large or deep, no
 * <domain> with a name and at most one UUID).  The caller frees the domain.
 */
struct vmf_domain *vmf_domain_parse(
    const char *xml, size_t len, const char *what, struct vmf_error *err);
/* The same from a file, "-" for stdin; VMF_IO besides. */
struct vmf_domain *vmf_domain_read(const char *path, struct vmf_error *err);
void vmf_domain_free(struct vmf_domain *dom); /* NULL-safe */

/* The XML as libvirt would write it; the caller frees it.  len may be NULL. */
char *vmf_domain_format(
    const struct vmf_domain *dom, size_t *len, struct vmf_error *err);

/* --- what it says.  Strings are NULL where the XML says nothing. */

/* A server of a network disk. */
struct vmf_domain_server {
	const char *transport; /* tcp when NULL; unix, rdma */
	const char *name;      /* of tcp and rdma */
	const char *port;      /* NULL: the protocol's own */
	const char *socket;    /* of unix: a path */
};

/* One image: a disk's own, or one of the base images below it. */
struct vmf_domain_image {
	const char *type;     /* file block volume network dir nvme vhostuser */
	const char *path;     /* of file, block and dir */
	const char *pool;     /* of volume */
	const char *volume;   /* of volume */
	const char *protocol; /* of network: rbd, nbd, iscsi ... */
	const char *name;     /* of network */
	const char *format;   /* raw, qcow2 ... */
	const struct vmf_domain_server *servers; /* of network */
	size_t nservers;
};

struct vmf_domain_disk {
	const char *target; /* vda; unique in the domain */
	const char *bus;
	const char *device; /* disk lun cdrom floppy */
	struct vmf_domain_image image;
	bool empty; /* no medium in the tray */
	bool readonly;
	bool shareable;
	bool transient;
	bool encrypted;
	/* Base images the XML itself names, the nearest first; an inactive
	 * domain's XML seldom names any, so ask the images too. */
	const struct vmf_domain_image *base;
	size_t nbase;
};

struct vmf_domain_interface {
	const char *type; /* network bridge direct user hostdev ... */
	const char *mac;  /* lower case */
	const char *network;
	const char *portgroup; /* of network */
	const char *bridge;
	const char *device; /* of direct: the host's device */
	const char *port;   /* type of its virtualport: openvswitch ... */
	const char *model;
};

struct vmf_domain_tpm {
	const char *model;
	const char *backend; /* emulator passthrough external */
	const char *version; /* 1.2 2.0 */
	const char *device;  /* of passthrough */
	const char *secret;  /* UUID of the state's encryption secret */
	bool persistent;     /* state outlives an undefine */
};

struct vmf_domain_model {
	const char *type; /* kvm qemu */
	const char *name;
	const char *uuid; /* lower case with dashes; libvirt makes one up at
			   * define when NULL */
	const char *title;
	const char *arch;
	const char *machine;
	const char *emulator;
	const char *cpu_mode; /* host-model host-passthrough maximum custom */
	const char *cpu_model;
	uint64_t memory; /* bytes, at most */
	unsigned vcpus;

	const char *firmware; /* efi, when libvirt is to choose */
	const char *loader;
	bool loader_pflash;
	bool loader_secure;
	const char *nvram; /* path; libvirt makes it up at define when NULL */
	const char *nvram_type; /* file block network */
	const char *nvram_format;
	const char *nvram_template;
	const char *kernel, *initrd, *dtb;

	const struct vmf_domain_disk *disks;
	size_t ndisks;
	const struct vmf_domain_interface *interfaces;
	size_t ninterfaces;
	const struct vmf_domain_tpm *tpm; /* NULL: none */
	const char *const *secrets;	  /* UUIDs or usage names named */
	size_t nsecrets;
	size_t nhostdevs;
	size_t nfilesystems;
	bool metadata;
	bool passwords; /* VNC or SPICE passwords are in it */
};

/* Borrowed; valid until the next change of the domain.  NULL: VMF_IO (memory)
 * or VMF_INTEGRITY (two disks of one target name). */
const struct vmf_domain_model *
vmf_domain_model(struct vmf_domain *dom, struct vmf_error *err);

/* The disk of that target name in a model, or NULL. */
const struct vmf_domain_disk *
vmf_domain_model_disk(const struct vmf_domain_model *model, const char *target);

/* An image by the name it has in maps and packages: vda, vda.base1 ...; NULL:
 * the XML names none. */
const struct vmf_domain_image *
vmf_domain_model_image(const struct vmf_domain_model *model, const char *name);

/* Firmware is kept in variables: nvram names a file that must travel. */
bool vmf_domain_model_has_nvram(const struct vmf_domain_model *model);

/* --- changes */

struct vmf_domain_change {
	struct vmf_map *map; /* borrowed; NULL: none */
	const char *name;    /* NULL: keep */
	/*
	 * A machine of its own: new UUID, MACs (same OUI), genid, and an NVRAM
	 * path that carries the name.  All of it follows from the new UUID, so
	 * the same UUID makes the same machine; the TPM's directory is named
	 * by the UUID.
	 */
	bool new_identity;
	const char *uuid;     /* the new UUID; NULL: a random one */
	bool keep_emulator;   /* else dropped: libvirt fills in its own */
	const char *machine;  /* NULL: keep */
	const char *cpu_mode; /* host-model, host-passthrough, maximum or a
			       * model's name; NULL: keep */
	/* For `--map-firmware auto`: is this firmware file there?  NULL: no. */
	bool (*firmware_there)(void *ctx, const char *path);
	void *ctx;
};

/*
 * Apply a change.  The second time it changes nothing more.  VMF_USAGE: the
 * change makes no sense; VMF_REFUSED: it cannot be made to this XML.  On
 * failure the domain is half changed and only good for vmf_domain_free().
 */
int vmf_domain_rewrite(struct vmf_domain *dom,
    const struct vmf_domain_change *change, struct vmf_error *err);

/*
 * Give the disk with this target name (or, as vda.base1, one of its base
 * images) another source: what a tool knows better than a map, such as the
 * path of a volume it made.  format NULL keeps the driver's.  Call it before
 * vmf_domain_rewrite(), which leaves alone what is set.
 */
int vmf_domain_set_disk(struct vmf_domain *dom, const char *disk,
    const struct vmf_map_target *target, const char *format,
    struct vmf_error *err);
/* Forget the base images the XML names: the disk was flattened. */
int vmf_domain_set_flat(
    struct vmf_domain *dom, const char *disk, struct vmf_error *err);
/* Put this NVRAM file in; only where the domain has one. */
int vmf_domain_set_nvram(
    struct vmf_domain *dom, const char *path, struct vmf_error *err);

/* The n-th change that a person should be told of, or NULL: firmware chosen by
 * auto, a tray emptied.  Lives as long as the domain. */
const char *vmf_domain_note(const struct vmf_domain *dom, size_t n);

/* --- what it names of a host */

/* What an element or attribute names; `--allow` takes these words. */
enum vmf_domain_kind {
	VMF_NAMES_DISK,	       /* disk: image outside the map */
	VMF_NAMES_NVRAM,       /* nvram: outside libvirt's own directory */
	VMF_NAMES_FIRMWARE,    /* firmware: loader, template, ROM */
	VMF_NAMES_KERNEL,      /* kernel: kernel, initrd, dtb, ACPI tables */
	VMF_NAMES_EMULATOR,    /* emulator: other than QEMU's usual names */
	VMF_NAMES_COMMANDLINE, /* commandline: qemu:commandline and the like */
	VMF_NAMES_HOSTDEV,     /* hostdev: devices of the host, mdev, nvme */
	VMF_NAMES_FILESYSTEM,  /* filesystem: directories of the host */
	VMF_NAMES_CHARDEV,     /* chardev: files, sockets, ports behind serial,
				* console, channel, parallel, redirdev */
	VMF_NAMES_INTERFACE,   /* interface: scripts, direct, vhostuser ... */
	VMF_NAMES_NETWORK,     /* network: networks, bridges, nwfilters */
	VMF_NAMES_GRAPHICS,    /* graphics: sockets, addresses, render nodes */
	VMF_NAMES_DEVICE,      /* device: input, audio, rng, TPM of the host */
	VMF_NAMES_MEMORY,      /* memory: shmem, NVDIMM, hugepages */
	VMF_NAMES_PINNING,     /* pinning: CPUs and NUMA nodes of the host */
	VMF_NAMES_RESOURCE,    /* resource: partition, leases, tuning */
	VMF_NAMES_SECLABEL,    /* seclabel: labels of one's own, or none */
	VMF_NAMES_SECRET,      /* secret: libvirt secrets */
	VMF_NAMES_METADATA,    /* metadata: paths in it */
	VMF_NAMES_UNKNOWN,     /* unknown: elements vmferry does not know */
	VMF_NAMES_KINDS
};

/* "disk", "nvram" ... */
const char *vmf_domain_allow_name(enum vmf_domain_kind kind);
/* Add a word of `--allow` (several with commas; all) to the set of bits. */
int vmf_domain_allow(const char *words, uint32_t *allow, struct vmf_error *err);

struct vmf_domain_finding {
	enum vmf_domain_kind kind;
	const char *xpath; /* /domain/devices/disk[1]/source/@file */
	const char *value;
	const char *why;
};

/* What is asked of a host about a value. */
enum vmf_domain_ask {
	VMF_ASK_PATH,	  /* a file or device exists */
	VMF_ASK_NETWORK,  /* libvirt's network */
	VMF_ASK_BRIDGE,	  /* the host's bridge */
	VMF_ASK_DEVICE,	  /* the host's network device */
	VMF_ASK_NWFILTER, /* libvirt's network filter */
	VMF_ASK_POOL,	  /* libvirt's storage pool */
	VMF_ASK_SECRET,	  /* libvirt's secret, by UUID */
	VMF_ASK_CPUS,	  /* a CPU set: "0-3,^2" */
	VMF_ASK_NODES,	  /* a NUMA node set */
	VMF_ASK_ADDRESS,  /* one of the host's IP addresses */
	VMF_ASK_HOSTDEV,  /* a device to pass on: "pci 0000:06:02.0", "usb
			   * 1234:beef", "mdev UUID" */
};

struct vmf_domain_scan {
	uint32_t allow; /* bits 1 << enum vmf_domain_kind */
	/* Untrusted: what touches the host must have been mapped or allowed.
	 * Else only leftovers are looked for. */
	bool untrusted;
	/* Is it there, at the destination?  NULL: not asked. */
	bool (*there)(void *ctx, enum vmf_domain_ask ask, const char *value);
	void *ctx;
};

/*
 * Look at every place that names the host and refuse (VMF_REFUSED, naming the
 * first XPath and how many more) what a rule neither mapped nor the caller
 * allowed: host resources in an untrusted XML; names absent here; names that
 * were mapped elsewhere and still stand somewhere.  Call it after
 * vmf_domain_rewrite(); a map that maps a name to itself vouches for it.
 */
int vmf_domain_scan(struct vmf_domain *dom, const struct vmf_domain_scan *scan,
    struct vmf_error *err);
/* The n-th finding of the last scan, or NULL; borrowed until the next. */
const struct vmf_domain_finding *
vmf_domain_scan_finding(const struct vmf_domain *dom, size_t n);

#endif
