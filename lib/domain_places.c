/*
 * domain_places.c - every place of a domain's XML that can name its host
 *
 * The one table behind rewriting, the check of untrusted XML and the scan for
 * leftovers.  The walk gives each element, attribute and text a plain path:
 *
 * - what is below backingStore, mirror and dataStore counts as the disk's own,
 *   however deep the chain;
 * - serial, parallel, console, channel, redirdev and smartcard are all "char";
 * - a device's <rom> is "devices/rom";
 * - an element of a foreign namespace is "PREFIX:name" with libvirt's own
 *   prefix for the namespaces libvirt knows, "?:name" for others.  libvirt
 *   compares most names without looking at namespaces, so what hides behind
 *   one outside <metadata> is not to be passed over.
 *
 * Sources: libvirt's docs/formatdomain.rst and src/conf/domain_conf.c.
 */
#include <stdlib.h>
#include <string.h>

#include "domain_tree.h"

#define PATH_TEXT 512

/* Where distributions put firmware. */
#define FIRMWARE_DIRS                                                          \
	"/usr/share/OVMF/ /usr/share/AAVMF/ /usr/share/ovmf/ "                 \
	"/usr/share/edk2/ /usr/share/edk2-ovmf/ /usr/share/qemu/ "             \
	"/usr/share/qemu-kvm/ /usr/share/qemu-efi-aarch64/ "                   \
	"/usr/share/seabios/ /usr/share/qemu-efi/"

/* In the order of strcmp(). */
static const struct place places[] = {
    {"@type", VMF_NAMES_UNKNOWN, PLACE_REFUSE, VMF_ASK_PATH,
	"kvm qemu hvf test"},
    {"bhyve:commandline", VMF_NAMES_COMMANDLINE, PLACE_REFUSE, VMF_ASK_PATH,
	NULL},
    {"blkiotune/device/path#", VMF_NAMES_RESOURCE,
	PLACE_MAP | PLACE_REFUSE | PLACE_ASK, VMF_ASK_PATH, NULL},
    {"bootloader#", VMF_NAMES_EMULATOR, PLACE_REFUSE, VMF_ASK_PATH, NULL},
    {"cputune/emulatorpin@cpuset", VMF_NAMES_PINNING, PLACE_ASK, VMF_ASK_CPUS,
	NULL},
    {"cputune/iothreadpin@cpuset", VMF_NAMES_PINNING, PLACE_ASK, VMF_ASK_CPUS,
	NULL},
    {"cputune/vcpupin@cpuset", VMF_NAMES_PINNING, PLACE_ASK, VMF_ASK_CPUS,
	NULL},
    {"description#", VMF_NAMES_UNKNOWN, 0, VMF_ASK_PATH, NULL},
    {"devices/audio@path", VMF_NAMES_DEVICE,
	PLACE_MAP | PLACE_REFUSE | PLACE_PARENT | PLACE_ASK, VMF_ASK_PATH,
	NULL},
    {"devices/audio@type", VMF_NAMES_DEVICE, PLACE_REFUSE, VMF_ASK_PATH,
	"none spice dbus vnc"},
    {"devices/char/certificate#", VMF_NAMES_CHARDEV, 0, VMF_ASK_PATH, NULL},
    {"devices/char/database#", VMF_NAMES_CHARDEV,
	PLACE_MAP | PLACE_REFUSE | PLACE_ASK, VMF_ASK_PATH, NULL},
    {"devices/char/log@file", VMF_NAMES_CHARDEV,
	PLACE_MAP | PLACE_REFUSE | PLACE_PARENT | PLACE_ASK, VMF_ASK_PATH,
	"/var/log/libvirt/qemu/"},
    {"devices/char/source@path", VMF_NAMES_CHARDEV, PLACE_MAP | PLACE_REFUSE,
	VMF_ASK_PATH,
	"/var/lib/libvirt/qemu/channel/ /run/libvirt/qemu/ /var/run/libvirt/qemu/ /dev/pts/"},
    {"devices/char/target@name", VMF_NAMES_CHARDEV, 0, VMF_ASK_PATH, NULL},
    {"devices/char@mode", VMF_NAMES_CHARDEV, PLACE_REFUSE, VMF_ASK_PATH,
	"passthrough"},
    {"devices/char@tty", VMF_NAMES_CHARDEV, 0, VMF_ASK_PATH, NULL},
    {"devices/char@type", VMF_NAMES_CHARDEV, PLACE_REFUSE, VMF_ASK_PATH,
	"pty null vc stdio spicevmc spiceport qemu-vdagent dbus unix file dev pipe"},
    {"devices/disk/auth/secret@usage", VMF_NAMES_SECRET, PLACE_ASK,
	VMF_ASK_SECRET, NULL},
    {"devices/disk/auth/secret@uuid", VMF_NAMES_SECRET, PLACE_ASK,
	VMF_ASK_SECRET, NULL},
    {"devices/disk/encryption/secret@usage", VMF_NAMES_SECRET, PLACE_ASK,
	VMF_ASK_SECRET, NULL},
    {"devices/disk/encryption/secret@uuid", VMF_NAMES_SECRET, PLACE_ASK,
	VMF_ASK_SECRET, NULL},
    {"devices/disk/serial#", VMF_NAMES_DISK, 0, VMF_ASK_PATH, NULL},
    {"devices/disk/source/address", VMF_NAMES_HOSTDEV, PLACE_REFUSE,
	VMF_ASK_PATH, NULL},
    {"devices/disk/source/auth/secret@usage", VMF_NAMES_SECRET, PLACE_ASK,
	VMF_ASK_SECRET, NULL},
    {"devices/disk/source/auth/secret@uuid", VMF_NAMES_SECRET, PLACE_ASK,
	VMF_ASK_SECRET, NULL},
    {"devices/disk/source/config@file", VMF_NAMES_DISK,
	PLACE_MAP | PLACE_REFUSE | PLACE_ASK, VMF_ASK_PATH, NULL},
    {"devices/disk/source/encryption/secret@usage", VMF_NAMES_SECRET, PLACE_ASK,
	VMF_ASK_SECRET, NULL},
    {"devices/disk/source/encryption/secret@uuid", VMF_NAMES_SECRET, PLACE_ASK,
	VMF_ASK_SECRET, NULL},
    {"devices/disk/source/host@socket", VMF_NAMES_DISK,
	PLACE_MAP | PLACE_REFUSE, VMF_ASK_PATH, NULL},
    {"devices/disk/source/identity@agentsock", VMF_NAMES_DISK,
	PLACE_MAP | PLACE_REFUSE, VMF_ASK_PATH, NULL},
    {"devices/disk/source/identity@keyfile", VMF_NAMES_DISK,
	PLACE_MAP | PLACE_REFUSE | PLACE_ASK, VMF_ASK_PATH, NULL},
    {"devices/disk/source/knownHosts@path", VMF_NAMES_DISK,
	PLACE_MAP | PLACE_REFUSE | PLACE_ASK, VMF_ASK_PATH, NULL},
    {"devices/disk/source/reservations/source@path", VMF_NAMES_DISK,
	PLACE_MAP | PLACE_REFUSE, VMF_ASK_PATH,
	"/run/libvirt/qemu/ /var/lib/libvirt/qemu/"},
    {"devices/disk/source/seclabel/label#", VMF_NAMES_SECLABEL, PLACE_REFUSE,
	VMF_ASK_PATH, NULL},
    {"devices/disk/source@dev", VMF_NAMES_DISK,
	PLACE_DISK | PLACE_REFUSE | PLACE_ASK, VMF_ASK_PATH, NULL},
    {"devices/disk/source@dir", VMF_NAMES_DISK,
	PLACE_DISK | PLACE_REFUSE | PLACE_ASK, VMF_ASK_PATH, NULL},
    {"devices/disk/source@file", VMF_NAMES_DISK,
	PLACE_DISK | PLACE_REFUSE | PLACE_ASK, VMF_ASK_PATH, NULL},
    {"devices/disk/source@name", VMF_NAMES_DISK, 0, VMF_ASK_PATH, NULL},
    {"devices/disk/source@path", VMF_NAMES_DISK, PLACE_DISK | PLACE_REFUSE,
	VMF_ASK_PATH, NULL},
    {"devices/disk/source@pool", VMF_NAMES_DISK, PLACE_REFUSE | PLACE_ASK,
	VMF_ASK_POOL, NULL},
    {"devices/disk/source@protocol", VMF_NAMES_DISK, PLACE_REFUSE, VMF_ASK_PATH,
	NULL},
    {"devices/disk/source@query", VMF_NAMES_DISK, 0, VMF_ASK_PATH, NULL},
    {"devices/disk/source@volume", VMF_NAMES_DISK, 0, VMF_ASK_PATH, NULL},
    {"devices/disk@dev", VMF_NAMES_DISK, PLACE_DISK | PLACE_REFUSE | PLACE_ASK,
	VMF_ASK_PATH, NULL},
    {"devices/disk@device", VMF_NAMES_HOSTDEV, PLACE_REFUSE, VMF_ASK_PATH,
	"disk cdrom floppy"},
    {"devices/disk@file", VMF_NAMES_DISK, PLACE_DISK | PLACE_REFUSE | PLACE_ASK,
	VMF_ASK_PATH, NULL},
    {"devices/disk@rawio", VMF_NAMES_HOSTDEV, PLACE_REFUSE, VMF_ASK_PATH, "no"},
    {"devices/disk@sgio", VMF_NAMES_HOSTDEV, PLACE_REFUSE, VMF_ASK_PATH,
	"filtered"},
    {"devices/emulator#", VMF_NAMES_EMULATOR,
	PLACE_MAP | PLACE_REFUSE | PLACE_ASK, VMF_ASK_PATH,
	"/usr/bin/qemu-system-* /usr/libexec/qemu-system-* /usr/bin/qemu-kvm /usr/libexec/qemu-kvm /usr/bin/kvm /usr/bin/kvm-spice"},
    {"devices/filesystem/binary@path", VMF_NAMES_FILESYSTEM,
	PLACE_MAP | PLACE_REFUSE | PLACE_ASK, VMF_ASK_PATH, NULL},
    {"devices/filesystem/source@dev", VMF_NAMES_FILESYSTEM,
	PLACE_MAP | PLACE_REFUSE | PLACE_ASK, VMF_ASK_PATH, NULL},
    {"devices/filesystem/source@dir", VMF_NAMES_FILESYSTEM,
	PLACE_MAP | PLACE_REFUSE | PLACE_ASK, VMF_ASK_PATH, NULL},
    {"devices/filesystem/source@file", VMF_NAMES_FILESYSTEM,
	PLACE_MAP | PLACE_REFUSE | PLACE_ASK, VMF_ASK_PATH, NULL},
    {"devices/filesystem/source@name", VMF_NAMES_FILESYSTEM, PLACE_REFUSE,
	VMF_ASK_PATH, NULL},
    {"devices/filesystem/source@pool", VMF_NAMES_FILESYSTEM,
	PLACE_REFUSE | PLACE_ASK, VMF_ASK_POOL, NULL},
    {"devices/filesystem/source@socket", VMF_NAMES_FILESYSTEM,
	PLACE_MAP | PLACE_REFUSE, VMF_ASK_PATH, NULL},
    {"devices/filesystem/source@volume", VMF_NAMES_FILESYSTEM, 0, VMF_ASK_PATH,
	NULL},
    {"devices/filesystem/target@dir", VMF_NAMES_FILESYSTEM, 0, VMF_ASK_PATH,
	NULL},
    {"devices/graphics/channel@name", VMF_NAMES_GRAPHICS, 0, VMF_ASK_PATH,
	NULL},
    {"devices/graphics/gl@rendernode", VMF_NAMES_GRAPHICS,
	PLACE_MAP | PLACE_REFUSE | PLACE_ASK, VMF_ASK_PATH, NULL},
    {"devices/graphics/listen@address", VMF_NAMES_GRAPHICS, PLACE_ASK,
	VMF_ASK_ADDRESS, "127.0.0.1 0.0.0.0 :: ::1 localhost"},
    {"devices/graphics/listen@network", VMF_NAMES_GRAPHICS, PLACE_ASK,
	VMF_ASK_NETWORK, NULL},
    {"devices/graphics/listen@socket", VMF_NAMES_GRAPHICS,
	PLACE_MAP | PLACE_REFUSE | PLACE_PARENT | PLACE_ASK, VMF_ASK_PATH,
	"/var/lib/libvirt/qemu/ /run/libvirt/qemu/"},
    {"devices/graphics@address", VMF_NAMES_GRAPHICS, PLACE_REFUSE, VMF_ASK_PATH,
	NULL},
    {"devices/graphics@display", VMF_NAMES_GRAPHICS, PLACE_REFUSE, VMF_ASK_PATH,
	NULL},
    {"devices/graphics@listen", VMF_NAMES_GRAPHICS, PLACE_ASK, VMF_ASK_ADDRESS,
	"127.0.0.1 0.0.0.0 :: ::1 localhost"},
    {"devices/graphics@passwd", VMF_NAMES_GRAPHICS, 0, VMF_ASK_PATH, NULL},
    {"devices/graphics@socket", VMF_NAMES_GRAPHICS,
	PLACE_MAP | PLACE_REFUSE | PLACE_PARENT | PLACE_ASK, VMF_ASK_PATH,
	"/var/lib/libvirt/qemu/ /run/libvirt/qemu/"},
    {"devices/graphics@xauth", VMF_NAMES_GRAPHICS,
	PLACE_MAP | PLACE_REFUSE | PLACE_ASK, VMF_ASK_PATH, NULL},
    {"devices/hostdev", VMF_NAMES_HOSTDEV, PLACE_REFUSE, VMF_ASK_PATH, NULL},
    {"devices/hostdev/source/block#", VMF_NAMES_HOSTDEV, PLACE_MAP | PLACE_ASK,
	VMF_ASK_PATH, NULL},
    {"devices/hostdev/source/char#", VMF_NAMES_HOSTDEV, PLACE_MAP | PLACE_ASK,
	VMF_ASK_PATH, NULL},
    {"devices/input/source@dev", VMF_NAMES_DEVICE,
	PLACE_MAP | PLACE_REFUSE | PLACE_ASK, VMF_ASK_PATH, NULL},
    {"devices/input/source@evdev", VMF_NAMES_DEVICE,
	PLACE_MAP | PLACE_REFUSE | PLACE_ASK, VMF_ASK_PATH, NULL},
    {"devices/interface/backend@hostname", VMF_NAMES_INTERFACE, 0, VMF_ASK_PATH,
	NULL},
    {"devices/interface/backend@logFile", VMF_NAMES_INTERFACE,
	PLACE_MAP | PLACE_REFUSE | PLACE_PARENT | PLACE_ASK, VMF_ASK_PATH,
	NULL},
    {"devices/interface/backend@tap", VMF_NAMES_INTERFACE,
	PLACE_MAP | PLACE_REFUSE | PLACE_ASK, VMF_ASK_PATH, "/dev/net/tun"},
    {"devices/interface/backend@vhost", VMF_NAMES_INTERFACE,
	PLACE_MAP | PLACE_REFUSE | PLACE_ASK, VMF_ASK_PATH, "/dev/vhost-net"},
    {"devices/interface/downscript@path", VMF_NAMES_INTERFACE,
	PLACE_MAP | PLACE_REFUSE | PLACE_ASK, VMF_ASK_PATH, NULL},
    {"devices/interface/filterref@filter", VMF_NAMES_NETWORK, PLACE_ASK,
	VMF_ASK_NWFILTER, NULL},
    {"devices/interface/portForward", VMF_NAMES_INTERFACE, PLACE_REFUSE,
	VMF_ASK_PATH, NULL},
    {"devices/interface/script@path", VMF_NAMES_INTERFACE,
	PLACE_MAP | PLACE_REFUSE | PLACE_ASK, VMF_ASK_PATH, NULL},
    {"devices/interface/source@bridge", VMF_NAMES_NETWORK, PLACE_ASK,
	VMF_ASK_BRIDGE, NULL},
    {"devices/interface/source@dev", VMF_NAMES_INTERFACE,
	PLACE_MAP | PLACE_REFUSE | PLACE_ASK, VMF_ASK_DEVICE, NULL},
    {"devices/interface/source@network", VMF_NAMES_NETWORK, PLACE_ASK,
	VMF_ASK_NETWORK, NULL},
    {"devices/interface/source@path", VMF_NAMES_INTERFACE,
	PLACE_MAP | PLACE_REFUSE, VMF_ASK_PATH, NULL},
    {"devices/interface@type", VMF_NAMES_INTERFACE, PLACE_REFUSE, VMF_ASK_PATH,
	"network bridge user null direct vhostuser"},
    {"devices/lease", VMF_NAMES_RESOURCE, PLACE_REFUSE, VMF_ASK_PATH, NULL},
    {"devices/lease/target@path", VMF_NAMES_RESOURCE, PLACE_MAP | PLACE_ASK,
	VMF_ASK_PATH, NULL},
    {"devices/memory/source/nodemask#", VMF_NAMES_PINNING, PLACE_ASK,
	VMF_ASK_NODES, NULL},
    {"devices/memory/source/path#", VMF_NAMES_MEMORY,
	PLACE_MAP | PLACE_REFUSE | PLACE_ASK, VMF_ASK_PATH, NULL},
    {"devices/pstore/path#", VMF_NAMES_MEMORY,
	PLACE_MAP | PLACE_REFUSE | PLACE_PARENT | PLACE_ASK, VMF_ASK_PATH,
	NULL},
    {"devices/rng/backend#", VMF_NAMES_DEVICE,
	PLACE_MAP | PLACE_REFUSE | PLACE_ASK, VMF_ASK_PATH,
	"/dev/random /dev/urandom /dev/hwrng"},
    {"devices/rng/backend/source@path", VMF_NAMES_DEVICE,
	PLACE_MAP | PLACE_REFUSE, VMF_ASK_PATH, NULL},
    {"devices/rng/backend@model", VMF_NAMES_DEVICE, PLACE_REFUSE, VMF_ASK_PATH,
	"random builtin"},
    {"devices/rom@file", VMF_NAMES_FIRMWARE,
	PLACE_FIRMWARE | PLACE_REFUSE | PLACE_ASK, VMF_ASK_PATH,
	"/usr/share/qemu/ /usr/share/qemu-kvm/ /usr/share/ipxe/ /usr/lib/ipxe/ /usr/share/seabios/"},
    {"devices/shmem", VMF_NAMES_MEMORY, PLACE_REFUSE, VMF_ASK_PATH, NULL},
    {"devices/shmem/server@path", VMF_NAMES_MEMORY, PLACE_MAP, VMF_ASK_PATH,
	NULL},
    {"devices/tpm/backend/device@path", VMF_NAMES_DEVICE,
	PLACE_MAP | PLACE_REFUSE | PLACE_ASK, VMF_ASK_PATH, NULL},
    {"devices/tpm/backend/encryption@secret", VMF_NAMES_SECRET, PLACE_ASK,
	VMF_ASK_SECRET, NULL},
    {"devices/tpm/backend/source@path", VMF_NAMES_DEVICE,
	PLACE_MAP | PLACE_REFUSE, VMF_ASK_PATH, NULL},
    {"devices/tpm/backend@type", VMF_NAMES_DEVICE, PLACE_REFUSE, VMF_ASK_PATH,
	"emulator passthrough external"},
    {"devices/video/acceleration@rendernode", VMF_NAMES_GRAPHICS,
	PLACE_MAP | PLACE_REFUSE | PLACE_ASK, VMF_ASK_PATH, NULL},
    {"lxc:namespace", VMF_NAMES_COMMANDLINE, PLACE_REFUSE, VMF_ASK_PATH, NULL},
    {"memoryBacking/source@type", VMF_NAMES_MEMORY, 0, VMF_ASK_PATH, NULL},
    {"name#", VMF_NAMES_UNKNOWN, 0, VMF_ASK_PATH, NULL},
    {"numatune/memnode@nodeset", VMF_NAMES_PINNING, PLACE_ASK, VMF_ASK_NODES,
	NULL},
    {"numatune/memory@nodeset", VMF_NAMES_PINNING, PLACE_ASK, VMF_ASK_NODES,
	NULL},
    {"os/acpi/table#", VMF_NAMES_KERNEL, PLACE_MAP | PLACE_REFUSE | PLACE_ASK,
	VMF_ASK_PATH, NULL},
    {"os/cmdline#", VMF_NAMES_UNKNOWN, 0, VMF_ASK_PATH, NULL},
    {"os/dtb#", VMF_NAMES_KERNEL, PLACE_MAP | PLACE_REFUSE | PLACE_ASK,
	VMF_ASK_PATH, NULL},
    {"os/initrd#", VMF_NAMES_KERNEL, PLACE_MAP | PLACE_REFUSE | PLACE_ASK,
	VMF_ASK_PATH, NULL},
    {"os/kernel#", VMF_NAMES_KERNEL, PLACE_MAP | PLACE_REFUSE | PLACE_ASK,
	VMF_ASK_PATH, NULL},
    {"os/loader#", VMF_NAMES_FIRMWARE,
	PLACE_FIRMWARE | PLACE_REFUSE | PLACE_ASK, VMF_ASK_PATH, FIRMWARE_DIRS},
    {"os/nvram#", VMF_NAMES_NVRAM, PLACE_MAP | PLACE_REFUSE | PLACE_ASK,
	VMF_ASK_PATH, NULL},
    {"os/nvram/source@dev", VMF_NAMES_NVRAM,
	PLACE_MAP | PLACE_REFUSE | PLACE_ASK, VMF_ASK_PATH, NULL},
    {"os/nvram/source@file", VMF_NAMES_NVRAM,
	PLACE_MAP | PLACE_REFUSE | PLACE_ASK, VMF_ASK_PATH, NULL},
    {"os/nvram/source@name", VMF_NAMES_NVRAM, 0, VMF_ASK_PATH, NULL},
    {"os/nvram/source@pool", VMF_NAMES_NVRAM, PLACE_REFUSE | PLACE_ASK,
	VMF_ASK_POOL, NULL},
    {"os/nvram/source@protocol", VMF_NAMES_NVRAM, PLACE_REFUSE, VMF_ASK_PATH,
	NULL},
    {"os/nvram/source@volume", VMF_NAMES_NVRAM, 0, VMF_ASK_PATH, NULL},
    {"os/nvram@template", VMF_NAMES_FIRMWARE,
	PLACE_FIRMWARE | PLACE_REFUSE | PLACE_ASK, VMF_ASK_PATH, FIRMWARE_DIRS},
    {"os/shim#", VMF_NAMES_KERNEL, PLACE_MAP | PLACE_REFUSE | PLACE_ASK,
	VMF_ASK_PATH, NULL},
    {"os/varstore@path", VMF_NAMES_NVRAM, PLACE_MAP | PLACE_REFUSE | PLACE_ASK,
	VMF_ASK_PATH, NULL},
    {"os/varstore@template", VMF_NAMES_FIRMWARE,
	PLACE_FIRMWARE | PLACE_REFUSE | PLACE_ASK, VMF_ASK_PATH, FIRMWARE_DIRS},
    {"qemu:capabilities", VMF_NAMES_COMMANDLINE, PLACE_REFUSE, VMF_ASK_PATH,
	NULL},
    {"qemu:commandline", VMF_NAMES_COMMANDLINE, PLACE_REFUSE, VMF_ASK_PATH,
	NULL},
    {"qemu:override", VMF_NAMES_COMMANDLINE, PLACE_REFUSE, VMF_ASK_PATH, NULL},
    {"resource/partition#", VMF_NAMES_RESOURCE, PLACE_REFUSE, VMF_ASK_PATH,
	"/machine"},
    {"seclabel/baselabel#", VMF_NAMES_SECLABEL, PLACE_REFUSE, VMF_ASK_PATH,
	NULL},
    {"seclabel/label#", VMF_NAMES_SECLABEL, PLACE_REFUSE, VMF_ASK_PATH, NULL},
    {"seclabel@relabel", VMF_NAMES_SECLABEL, PLACE_REFUSE, VMF_ASK_PATH, "yes"},
    {"seclabel@type", VMF_NAMES_SECLABEL, PLACE_REFUSE, VMF_ASK_PATH,
	"dynamic"},
    {"sysinfo/baseBoard/entry#", VMF_NAMES_UNKNOWN, 0, VMF_ASK_PATH, NULL},
    {"sysinfo/bios/entry#", VMF_NAMES_UNKNOWN, 0, VMF_ASK_PATH, NULL},
    {"sysinfo/chassis/entry#", VMF_NAMES_UNKNOWN, 0, VMF_ASK_PATH, NULL},
    {"sysinfo/entry#", VMF_NAMES_UNKNOWN, 0, VMF_ASK_PATH, NULL},
    {"sysinfo/entry@file", VMF_NAMES_KERNEL,
	PLACE_MAP | PLACE_REFUSE | PLACE_ASK, VMF_ASK_PATH, NULL},
    {"sysinfo/oemStrings/entry#", VMF_NAMES_UNKNOWN, 0, VMF_ASK_PATH, NULL},
    {"sysinfo/system/entry#", VMF_NAMES_UNKNOWN, 0, VMF_ASK_PATH, NULL},
    {"title#", VMF_NAMES_UNKNOWN, 0, VMF_ASK_PATH, NULL},
    {"vcpu@cpuset", VMF_NAMES_PINNING, PLACE_ASK, VMF_ASK_CPUS, NULL},
    {"xen:commandline", VMF_NAMES_COMMANDLINE, PLACE_REFUSE, VMF_ASK_PATH,
	NULL},
};

#define NPLACES (sizeof(places) / sizeof(places[0]))

static int
compare(const void *key, const void *place)
{
	return strcmp(key, ((const struct place *)place)->path);
}

const struct place *
vmf_domain_places_find(const char *path)
{
	return bsearch(path, places, NPLACES, sizeof(places[0]), compare);
}

const struct place *
vmf_domain_places_at(size_t n)
{
	return n < NPLACES ? &places[n] : NULL;
}

/* The word of len bytes allows value; plain is its plain path or NULL. */
static bool
allows(const char *word, size_t len, const char *value, const char *plain)
{
	if (word[len - 1] == '/')
		return plain != NULL && strncmp(plain, word, len) == 0 &&
		       plain[len] != '\0';
	if (word[len - 1] == '*')
		return strncmp(value, word, len - 1) == 0 &&
		       strchr(value + len - 1, '/') == NULL;
	return strlen(value) == len && strncmp(value, word, len) == 0;
}

bool
vmf_domain_places_is_safe(const struct place *place, const char *value)
{
	const char *word = place->safe;
	bool safe = false;
	char *plain;
	size_t len;

	if (word == NULL || value == NULL)
		return false;
	plain = vmf_map_path_plain(value);
	for (; *word != '\0' && !safe; word += len + (word[len] == ' ')) {
		len = strcspn(word, " ");
		safe = allows(word, len, value, plain);
	}
	free(plain);
	return safe;
}

/* The word is among words, each with a blank before and behind it. */
static bool
among(const char *words, const char *word)
{
	size_t len = strlen(word);
	const char *p;

	for (p = strstr(words, word); p != NULL; p = strstr(p + 1, word))
		if (p[-1] == ' ' && p[len] == ' ')
			return true;
	return false;
}

bool
vmf_domain_places_is_known(const xmlNode *parent, const xmlNode *node)
{
	static const char top[] =
	    " name uuid genid hwuuid title description metadata memory "
	    "currentMemory maxMemory blkiotune memtune memoryBacking vcpu "
	    "vcpus iothreads iothreadids defaultiothread cputune numatune "
	    "resource sysinfo bootloader bootloader_args os idmap features "
	    "cpu clock on_poweroff on_reboot on_crash on_lockfailure pm perf "
	    "devices seclabel keywrap launchSecurity throttlegroups ";
	static const char devices[] =
	    " emulator disk controller lease filesystem interface smartcard "
	    "serial parallel console channel input tpm graphics sound audio "
	    "video hostdev redirdev redirfilter hub watchdog memballoon rng "
	    "nvram panic shmem memory iommu vsock crypto pstore ";

	if (node->ns != NULL)
		return false;
	if (is_element(parent, "domain"))
		return among(top, (const char *)node->name);
	if (is_element(parent, "devices"))
		return among(devices, (const char *)node->name);
	return true;
}

/* --- the walk */

struct walk {
	const struct visit *visit;
	struct vmf_error *err;
	char path[PATH_TEXT];
};

static const char *
prefix_of(const xmlNs *ns)
{
	static const struct {
		const char *href;
		const char *prefix;
	} known[] = {{"http://libvirt.org/schemas/domain/qemu/1.0", "qemu"},
	    {"http://libvirt.org/schemas/domain/xen/1.0", "xen"},
	    {"http://libvirt.org/schemas/domain/lxc/1.0", "lxc"},
	    {"http://libvirt.org/schemas/domain/bhyve/1.0", "bhyve"}};
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (ns->href != NULL &&
		    strcmp((const char *)ns->href, known[i].href) == 0)
			return known[i].prefix;
	return "?";
}

/* Append to the path; what is too long gets a name no table has. */
static size_t
append(struct walk *walk, size_t len, const char *a, const char *b)
{
	size_t na = strlen(a), nb = strlen(b);

	if (len + na + nb >= sizeof(walk->path)) {
		strcpy(walk->path, "?");
		return 1;
	}
	memcpy(walk->path + len, a, na);
	memcpy(walk->path + len + na, b, nb + 1);
	return len + na + nb;
}

/* Write the element's path behind its parent's len bytes; its length. */
static size_t
enter(struct walk *walk, const xmlNode *node, size_t len)
{
	static const char chars[] =
	    " serial parallel console channel redirdev smartcard ";
	const char *name = (const char *)node->name, *prefix;
	bool device = strncmp(walk->path, "devices/", 8) == 0;

	if (node->ns != NULL) {
		prefix = prefix_of(node->ns);
		len = append(walk, len, len > 0 ? "/" : "", prefix);
		return append(walk, len, ":", name);
	}
	if (len == strlen("devices") && strcmp(walk->path, "devices") == 0 &&
	    among(chars, name))
		return append(walk, len, "/", "char");
	if (strncmp(walk->path, "devices/disk", 12) == 0 &&
	    among(" backingStore mirror dataStore ", name)) {
		walk->path[12] = '\0';
		return 12;
	}
	if (device && strcmp(name, "rom") == 0)
		return append(walk, strlen("devices"), "/", "rom");
	return append(walk, len, len > 0 ? "/" : "", name);
}

static int
walk_attributes(struct walk *walk, xmlNode *node, size_t len)
{
	char kept[PATH_TEXT];
	xmlAttr *attr;
	xmlChar *value;
	int rc = 0;

	for (attr = node->properties; attr != NULL && rc == 0;
	     attr = attr->next) {
		value = xmlNodeGetContent((xmlNode *)attr);
		if (value == NULL)
			return vmf_domain_tree_no_memory(walk->err);
		memcpy(kept, walk->path, sizeof(kept));
		append(walk, len, attr->ns != NULL ? "@?:" : "@",
		    (const char *)attr->name);
		rc = walk->visit->visit(walk->visit->ctx, walk->path, node,
		    attr, (const char *)value, walk->err);
		memcpy(walk->path, kept, sizeof(kept));
		xmlFree(value);
	}
	return rc;
}

static bool
has_own_text(const xmlNode *node)
{
	const xmlNode *child;

	for (child = node->children; child != NULL; child = child->next)
		if ((child->type == XML_TEXT_NODE && !xmlIsBlankNode(child)) ||
		    child->type == XML_CDATA_SECTION_NODE ||
		    child->type == XML_ENTITY_REF_NODE)
			return true;
	return false;
}

/* All of an element's text as XPath's string() has it, when some of it stands
 * in the element itself. */
static int
walk_text(struct walk *walk, xmlNode *node, size_t len)
{
	char *value;
	int rc;

	if (!has_own_text(node) || (value = vmf_domain_tree_text(node)) == NULL)
		return 0;
	append(walk, len, "#", "");
	rc = walk->visit->visit(
	    walk->visit->ctx, walk->path, node, NULL, value, walk->err);
	walk->path[len] = '\0';
	free(value);
	return rc;
}

/* Recursion is bounded by the parser's 256 levels. */
static int
walk_element(struct walk *walk, xmlNode *node, size_t parent_len)
{
	size_t len = node->parent->type == XML_DOCUMENT_NODE
			 ? 0
			 : enter(walk, node, parent_len);
	char kept[PATH_TEXT];
	xmlNode *child;

	if (!walk->visit->metadata && strcmp(walk->path, "metadata") == 0)
		return 0;
	if (walk->visit->visit(walk->visit->ctx, walk->path, node, NULL, NULL,
		walk->err) == -1 ||
	    walk_attributes(walk, node, len) == -1 ||
	    walk_text(walk, node, len) == -1)
		return -1;
	memcpy(kept, walk->path, sizeof(kept));
	for (child = node->children; child != NULL; child = child->next) {
		if (child->type != XML_ELEMENT_NODE)
			continue;
		if (walk_element(walk, child, len) == -1)
			return -1;
		memcpy(walk->path, kept, sizeof(kept));
	}
	return 0;
}

int
vmf_domain_places_walk(
    struct vmf_domain *dom, const struct visit *visit, struct vmf_error *err)
{
	struct walk walk = {.visit = visit, .err = err};

	return walk_element(&walk, dom->root, 0);
}
