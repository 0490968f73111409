/*
 * map.h - the rules that say what a name at the source is called here
 *
 * One grammar for every tool that takes maps:
 *
 * disk: DISK=TARGET
 *	DISK is a target name (vda; vda.base1 for a base image) or *, every
 *	hard disk on a file, device or volume without a rule of its own.  One *
 *	in TARGET is the base name of the source.  An empty TARGET empties the
 *	tray of a cdrom or floppy.
 * path: OLD=NEW
 *	Absolute paths; the longest OLD that is the path or a directory above
 *	it wins.
 * net: OLD=NEW
 *	Each a network, bridge:NAME, direct:DEVICE or a MAC address; a MAC to
 *	the left picks one interface.  An IP address stands for itself where
 *	VNC and SPICE listen.
 * firmware: OLD=NEW or auto
 *	Files of firmware and NVRAM templates, as paths.
 *
 * TARGET is an absolute path, a device (below /dev), pool:NAME/VOLUME,
 * lv:VG/LV, lv:VG/POOL/LV (thin) or part:/dev/DISK.  A backslash before =, \
 * and * takes their meaning away.  /dev/VG/LV and /dev/mapper/VG-LV are one.
 *
 * A set must be such that applying it twice is applying it once: a path or a
 * target that already is what the rule makes stays as it is, and
 * vmf_map_check() refuses a set where one rule undoes or continues another.
 *
 * Lookups remember which rules were of use: one thread at a time.
 */
#ifndef VMFERRY_MAP_H
#define VMFERRY_MAP_H

#include <stdbool.h>
#include <stddef.h>

#include <vmferry/error.h>

struct vmf_map;

enum vmf_map_kind {
	VMF_MAP_DISK,
	VMF_MAP_PATH,
	VMF_MAP_NET,
	VMF_MAP_FIRMWARE,
};

#define VMF_MAP_PATH_MAX 4096
#define VMF_MAP_NAME_MAX 256
#define VMF_MAP_MAC_TEXT 18 /* bytes of "52:54:00:00:00:01" with its NUL */

/* Where a disk goes. */
enum vmf_map_target_kind {
	VMF_TARGET_UNMAPPED = 0, /* no rule said anything */
	VMF_TARGET_EMPTY,	 /* nothing: an empty tray */
	VMF_TARGET_FILE,	 /* path */
	VMF_TARGET_DEVICE,	 /* path, an existing device below /dev */
	VMF_TARGET_POOL,    /* group: the pool, name: its volume; no path */
	VMF_TARGET_LV,	    /* group/name, path: /dev/group/name */
	VMF_TARGET_THIN_LV, /* the same, thin: the thin pool */
	VMF_TARGET_PART,    /* path: the disk that gets a new partition */
};

struct vmf_map_target {
	enum vmf_map_target_kind kind;
	char path[VMF_MAP_PATH_MAX];
	char group[VMF_MAP_NAME_MAX];
	char thin[VMF_MAP_NAME_MAX];
	char name[VMF_MAP_NAME_MAX];
};

/* What an interface is connected to. */
enum vmf_map_link_kind {
	VMF_LINK_NONE = 0,
	VMF_LINK_NETWORK,
	VMF_LINK_BRIDGE,
	VMF_LINK_DIRECT,
};

struct vmf_map_link {
	enum vmf_map_link_kind kind;
	char name[VMF_MAP_NAME_MAX];
};

/* An empty set; the caller frees it. */
struct vmf_map *vmf_map_new(struct vmf_error *err);
void vmf_map_free(struct vmf_map *map); /* NULL-safe */

/* Add one rule.  VMF_USAGE: it makes no sense, or contradicts another. */
int vmf_map_add(struct vmf_map *map, enum vmf_map_kind kind, const char *rule,
    struct vmf_error *err);

/*
 * Add the rules of a file, one on each line as on a command line, the dashes
 * left out if one likes: "map vda=/srv/web.img", "--map-net lan=bridge:br0".
 * A line without a word is a disk rule.  Blank lines and # comments are
 * skipped; nothing is unquoted.
 */
int
vmf_map_add_file(struct vmf_map *map, const char *path, struct vmf_error *err);

/* The whole set makes sense (above); call it when all rules are added. */
int vmf_map_check(const struct vmf_map *map, struct vmf_error *err);

/* The n-th rule no lookup has used, as its option ("--map vdb=..."), or NULL.
 * It lives as long as the map. */
const char *vmf_map_unused(const struct vmf_map *map, size_t n);

/* The n-th path that path or firmware rules lead away from, or NULL; it lives
 * as long as the map. */
const char *vmf_map_left(const struct vmf_map *map, size_t n);

/*
 * Where the disk goes whose target name is disk and whose source is source (a
 * path, POOL/VOLUME or image name; NULL or "": none).  any: a rule for *
 * counts. Path rules are not asked.  VMF_REFUSED: the rule makes no usable
 * name.
 */
int vmf_map_disk(struct vmf_map *map, const char *disk, const char *source,
    bool any, struct vmf_map_target *target, struct vmf_error *err);

/* The path by path rules in *to, or NULL there when none fits; caller frees. */
int vmf_map_path(
    struct vmf_map *map, const char *path, char **to, struct vmf_error *err);

/* The same by firmware rules and then by path rules. */
int vmf_map_firmware(
    struct vmf_map *map, const char *path, char **to, struct vmf_error *err);
/* A rule "auto" was given: known pairs of firmware files may be used. */
bool vmf_map_firmware_auto(struct vmf_map *map);

/*
 * What the interface with this MAC (NULL: none) and link gets: to->kind is
 * VMF_LINK_NONE, and new_mac is "", when no rule fits.
 */
void vmf_map_net(struct vmf_map *map, const char *mac,
    const struct vmf_map_link *from, struct vmf_map_link *to,
    char new_mac[VMF_MAP_MAC_TEXT]);

/* Parse one TARGET, without escapes and *. */
int vmf_map_target_parse(
    const char *text, struct vmf_map_target *target, struct vmf_error *err);

/*
 * The one spelling of a path that comparisons use: no doubled or trailing
 * slashes, no "." parts, /dev/mapper/VG-LV as /dev/VG/LV.  The caller frees
 * it; NULL for a path that is not absolute or has a ".." part.
 */
char *vmf_map_path_plain(const char *path);

/* The path is dir or below it; both as vmf_map_path_plain() gives them. */
bool vmf_map_path_below(const char *path, const char *dir);

/* "52:54:00:ab:cd:ef", in lower case, of any spelling; false: not a MAC,
 * and mac as it was. */
bool vmf_map_mac_plain(const char *text, char mac[VMF_MAP_MAC_TEXT]);

#endif
