/* test_map.c - the map grammar and its lookups */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vmferry/io.h>
#include <vmferry/map.h>

#include "test.h"

static struct vmf_error err;

/* A map of these rules, NULL at their end: "path /a=/b". */
static struct vmf_map *
map_of(const char *const *rules)
{
	struct vmf_map *map = vmf_map_new(&err);
	enum vmf_map_kind kind;
	const char *rule;

	CU_ASSERT_PTR_NOT_NULL_FATAL(map);
	for (; *rules != NULL; rules++) {
		rule = strchr(*rules, ' ') + 1;
		kind = (*rules)[0] == 'd'   ? VMF_MAP_DISK
		       : (*rules)[0] == 'p' ? VMF_MAP_PATH
		       : (*rules)[0] == 'n' ? VMF_MAP_NET
					    : VMF_MAP_FIRMWARE;
		if (vmf_map_add(map, kind, rule, &err) == -1) {
			fprintf(stderr, "%s: %s\n", rule, err.msg);
			CU_FAIL("a good rule was refused");
		}
	}
	return map;
}
#define MAP(...) map_of((const char *const[]){__VA_ARGS__, NULL})

static void
expect_path(struct vmf_map *map, const char *path, const char *want)
{
	char *to;

	CU_ASSERT_EQUAL_FATAL(vmf_map_path(map, path, &to, &err), 0);
	if (want == NULL) {
		CU_ASSERT_PTR_NULL(to);
	} else {
		CU_ASSERT_PTR_NOT_NULL_FATAL(to);
		if (strcmp(to, want) != 0)
			fprintf(stderr, "%s: %s, not %s\n", path, to, want);
		CU_ASSERT_STRING_EQUAL(to, want);
	}
	free(to);
}

static void
expect_disk(struct vmf_map *map, const char *disk, const char *source,
    enum vmf_map_target_kind kind, const char *path)
{
	struct vmf_map_target target;

	CU_ASSERT_EQUAL_FATAL(
	    vmf_map_disk(map, disk, source, true, &target, &err), 0);
	CU_ASSERT_EQUAL(target.kind, kind);
	if (strcmp(target.path, path) != 0)
		fprintf(stderr, "%s: %s, not %s\n", source, target.path, path);
	CU_ASSERT_STRING_EQUAL(target.path, path);
}

static void
targets_are_parsed_whole(void)
{
	static const char *const bad[] = {"web.img", "./x", "pool:", "pool:a",
	    "pool:a/", "pool:/b", "pool:a/b/c", "lv:vg", "lv:vg/", "lv:/x",
	    "lv:vg/a/b/c", "lv:vg/a b", "lv:vg/-x", "lv:vg/..", "part:sda",
	    "part:/srv/x", "part:", "/srv/../etc/x", "/", "nbd://x"};
	struct vmf_map_target t;
	size_t i;

	CU_ASSERT_EQUAL(vmf_map_target_parse("/srv/a b.img", &t, &err), 0);
	CU_ASSERT_EQUAL(t.kind, VMF_TARGET_FILE);
	CU_ASSERT_EQUAL(vmf_map_target_parse("/dev/shm/x", &t, &err), 0);
	CU_ASSERT_EQUAL(t.kind, VMF_TARGET_FILE);
	CU_ASSERT_EQUAL(vmf_map_target_parse("/dev/sdb1", &t, &err), 0);
	CU_ASSERT_EQUAL(t.kind, VMF_TARGET_DEVICE);
	CU_ASSERT_EQUAL(vmf_map_target_parse("/srv/../dev/x", &t, &err), -1);
	CU_ASSERT_EQUAL(vmf_map_target_parse("pool:fast/web 1", &t, &err), 0);
	CU_ASSERT_EQUAL(t.kind, VMF_TARGET_POOL);
	CU_ASSERT_STRING_EQUAL(t.group, "fast");
	CU_ASSERT_STRING_EQUAL(t.name, "web 1");
	CU_ASSERT_EQUAL(vmf_map_target_parse("lv:vg0/web", &t, &err), 0);
	CU_ASSERT_EQUAL(t.kind, VMF_TARGET_LV);
	CU_ASSERT_STRING_EQUAL(t.path, "/dev/vg0/web");
	CU_ASSERT_EQUAL(vmf_map_target_parse("lv:vg0/thin/web", &t, &err), 0);
	CU_ASSERT_EQUAL(t.kind, VMF_TARGET_THIN_LV);
	CU_ASSERT_STRING_EQUAL(t.thin, "thin");
	CU_ASSERT_STRING_EQUAL(t.name, "web");
	CU_ASSERT_STRING_EQUAL(t.path, "/dev/vg0/web");
	CU_ASSERT_EQUAL(vmf_map_target_parse("part:/dev/sdc", &t, &err), 0);
	CU_ASSERT_EQUAL(t.kind, VMF_TARGET_PART);
	CU_ASSERT_EQUAL(vmf_map_target_parse("", &t, &err), 0);
	CU_ASSERT_EQUAL(t.kind, VMF_TARGET_EMPTY);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ASSERT_FAILS(vmf_map_target_parse(bad[i], &t, &err), VMF_USAGE);
}

static void
bad_rules_are_refused(void)
{
	static const struct {
		enum vmf_map_kind kind;
		const char *rule;
	} bad[] = {
	    {VMF_MAP_DISK, ""},
	    {VMF_MAP_DISK, "vda"},
	    {VMF_MAP_DISK, "=/x"},
	    {VMF_MAP_DISK, "/srv/a=/srv/b"},
	    {VMF_MAP_DISK, "vda=x"},
	    {VMF_MAP_DISK, "vda=/a=/b"},
	    {VMF_MAP_DISK, "vda=/a\\"},
	    {VMF_MAP_DISK, "vda=/a\\n"},
	    {VMF_MAP_DISK, "v*=/a/*"},
	    {VMF_MAP_DISK, "*=/a/*/*"},
	    {VMF_MAP_DISK, "*=/a"},
	    {VMF_MAP_DISK, "*=*"},
	    {VMF_MAP_PATH, "a=/b"},
	    {VMF_MAP_PATH, "/a=b"},
	    {VMF_MAP_PATH, "/a="},
	    {VMF_MAP_PATH, "/a=/b/../c"},
	    {VMF_MAP_PATH, "/a/*=/b/*"},
	    {VMF_MAP_NET, "default"},
	    {VMF_MAP_NET, "=x"},
	    {VMF_MAP_NET, "x="},
	    {VMF_MAP_NET, "bridge:=x"},
	    {VMF_MAP_NET, "default=52:54:00:00:00:01"},
	    {VMF_MAP_NET, "52:54:00:00:00:01=53:54:00:00:00:01"},
	    {VMF_MAP_FIRMWARE, "automatic"},
	    {VMF_MAP_FIRMWARE, "OVMF=/x"},
	};
	struct vmf_map *map = vmf_map_new(&err);
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ASSERT_FAILS(vmf_map_add(map, bad[i].kind, bad[i].rule, &err),
		    VMF_USAGE);
	CU_ASSERT_EQUAL(vmf_map_add(map, VMF_MAP_DISK, "vda=/x", &err), 0);
	CU_ASSERT_EQUAL(vmf_map_add(map, VMF_MAP_DISK, "vda=/x", &err), 0);
	ASSERT_FAILS(vmf_map_add(map, VMF_MAP_DISK, "vda=/y", &err), VMF_USAGE);
	vmf_map_free(map);
}

static void
longest_path_wins_at_borders(void)
{
	struct vmf_map *map = MAP("p /srv=/data", "p /srv/fast/=/ssd/",
	    "p /srv/fast/web.img=/dev/vg0/web", "p /weird\\=\\\\name=/x");

	expect_path(map, "/srv/a.img", "/data/a.img");
	expect_path(map, "/srv", "/data");
	expect_path(map, "//srv/./a//b.img", "/data/a/b.img");
	expect_path(map, "/srvx/a.img", NULL);
	expect_path(map, "/srv/fast/a.img", "/ssd/a.img");
	expect_path(map, "/srv/fast/web.img", "/dev/vg0/web");
	expect_path(map, "/srv/fast/web.img.old", "/ssd/web.img.old");
	expect_path(map, "/srv/fastest/a", "/data/fastest/a");
	expect_path(map, "/srv/../etc/passwd", NULL);
	expect_path(map, "srv/a", NULL);
	expect_path(map, "/weird=\\name/b", "/x/b");
	expect_path(
	    map, "/srv/-a b'\";$(touch x)\n*", "/data/-a b'\";$(touch x)\n*");
	vmf_map_free(map);
}

static void
mapper_names_are_volumes(void)
{
	struct vmf_map *map = MAP("p /dev/vg-0=/dev/vg1",
	    "p /dev/mapper/a-b=/dev/c/d", "p /dev/mapper/x-y-z=/dev/w");

	expect_path(map, "/dev/mapper/vg--0-web--data", "/dev/vg1/web-data");
	expect_path(map, "/dev/vg-0/web", "/dev/vg1/web");
	expect_path(map, "/dev/a/b", "/dev/c/d");
	expect_path(map, "/dev/mapper/x-y-z", "/dev/w");
	expect_path(map, "/dev/mapper/luks", NULL);
	vmf_map_free(map);
}

static void
paths_mapped_twice_stay(void)
{
	struct vmf_map *map = MAP("p /srv=/srv/vm", "p /=/mnt");

	expect_path(map, "/srv/a", "/srv/vm/a");
	expect_path(map, "/srv/vm/a", "/srv/vm/a");
	expect_path(map, "/etc/x", "/mnt/etc/x");
	expect_path(map, "/mnt/etc/x", "/mnt/etc/x");
	vmf_map_free(map);
}

static void
chains_of_rules_are_refused(void)
{
	struct vmf_map *map = MAP("p /a=/b", "p /b=/c");

	ASSERT_FAILS(vmf_map_check(map, &err), VMF_USAGE);
	vmf_map_free(map);
	map = MAP("p /a=/b", "p /b=/a");
	ASSERT_FAILS(vmf_map_check(map, &err), VMF_USAGE);
	vmf_map_free(map);
	map = MAP("p /a=/b", "p /b/c=/d");
	ASSERT_FAILS(vmf_map_check(map, &err), VMF_USAGE);
	vmf_map_free(map);
	map = MAP("p /var/img=/srv/vm", "p /srv=/data");
	ASSERT_FAILS(vmf_map_check(map, &err), VMF_USAGE);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "--map-path /srv/vm=/srv/vm"));
	CU_ASSERT_EQUAL(
	    vmf_map_add(map, VMF_MAP_PATH, "/srv/vm=/srv/vm", &err), 0);
	CU_ASSERT_EQUAL(vmf_map_check(map, &err), 0);
	expect_path(map, "/srv/vm/x", "/srv/vm/x");
	vmf_map_free(map);
	map = MAP("n a=b", "n b=c");
	ASSERT_FAILS(vmf_map_check(map, &err), VMF_USAGE);
	vmf_map_free(map);
	map = MAP("p /a=/b", "p /a/x=/b/y", "p /c=/c", "n a=b", "n c=b");
	CU_ASSERT_EQUAL(vmf_map_check(map, &err), 0);
	vmf_map_free(map);
}

static void
disks_go_by_name_then_star(void)
{
	struct vmf_map *map = MAP(
	    "d vdb=/dev/sdb1", "d *=/new/vm-*.img", "d sda=", "d hd\\=a=/x");
	struct vmf_map_target t;

	expect_disk(map, "vda", "/old/web", VMF_TARGET_FILE, "/new/vm-web.img");
	expect_disk(
	    map, "vda", "/new/vm-web.img", VMF_TARGET_FILE, "/new/vm-web.img");
	expect_disk(map, "vdb", "/old/web", VMF_TARGET_DEVICE, "/dev/sdb1");
	expect_disk(map, "sda", "/old.iso", VMF_TARGET_EMPTY, "");
	expect_disk(map, "hd=a", "/old.iso", VMF_TARGET_FILE, "/x");
	expect_disk(map, "vdc", "/dev/mapper/vg-a--b", VMF_TARGET_FILE,
	    "/new/vm-a-b.img");
	ASSERT_FAILS(
	    vmf_map_disk(map, "vda", NULL, true, &t, &err), VMF_REFUSED);
	CU_ASSERT_EQUAL(vmf_map_disk(map, "vda", "/x", false, &t, &err), 0);
	CU_ASSERT_EQUAL(t.kind, VMF_TARGET_UNMAPPED);
	vmf_map_free(map);

	map = MAP("d *=lv:vg1/thin/vm-*");
	expect_disk(
	    map, "vda", "/old/web", VMF_TARGET_THIN_LV, "/dev/vg1/vm-web");
	expect_disk(map, "vda", "/dev/mapper/vg1-vm--web", VMF_TARGET_THIN_LV,
	    "/dev/vg1/vm-web");
	ASSERT_FAILS(
	    vmf_map_disk(map, "vda", "/old/a b", true, &t, &err), VMF_REFUSED);
	vmf_map_free(map);

	map = MAP("d *=pool:fast/x-*");
	CU_ASSERT_EQUAL(
	    vmf_map_disk(map, "vda", "slow/web", true, &t, &err), 0);
	CU_ASSERT_STRING_EQUAL(t.name, "x-web");
	CU_ASSERT_EQUAL(
	    vmf_map_disk(map, "vda", "fast/x-web", true, &t, &err), 0);
	CU_ASSERT_STRING_EQUAL(t.name, "x-web");
	vmf_map_free(map);

	map = MAP("d vda=/srv/\\*/*");
	expect_disk(map, "vda", "/old/web", VMF_TARGET_FILE, "/srv/*/web");
	vmf_map_free(map);
}

static void
expect_net(struct vmf_map *map, const char *mac, enum vmf_map_link_kind kind,
    const char *name, enum vmf_map_link_kind want, const char *want_name,
    const char *want_mac)
{
	struct vmf_map_link from = {.kind = kind}, to;
	char new_mac[VMF_MAP_MAC_TEXT];

	strcpy(from.name, name);
	vmf_map_net(map, mac, &from, &to, new_mac);
	CU_ASSERT_EQUAL(to.kind, want);
	CU_ASSERT_STRING_EQUAL(to.name, want_name);
	CU_ASSERT_STRING_EQUAL(new_mac, want_mac);
}

static void
networks_go_by_name_and_mac(void)
{
	struct vmf_map *map = MAP("n default=bridge:br0", "n bridge:br1=lan",
	    "n 52:54:00:AA:00:01=52:54:00:bb:00:01", "n 52:54:00:AA:00:01=dmz",
	    "n direct:eth0=direct:eno1");

	expect_net(map, "52:54:00:aa:00:02", VMF_LINK_NETWORK, "default",
	    VMF_LINK_BRIDGE, "br0", "");
	expect_net(
	    map, NULL, VMF_LINK_BRIDGE, "br1", VMF_LINK_NETWORK, "lan", "");
	expect_net(map, NULL, VMF_LINK_NETWORK, "br1", VMF_LINK_NONE, "", "");
	expect_net(map, "52:54:00:aa:00:01", VMF_LINK_NETWORK, "default",
	    VMF_LINK_NETWORK, "dmz", "52:54:00:bb:00:01");
	expect_net(map, "nonsense", VMF_LINK_DIRECT, "eth0", VMF_LINK_DIRECT,
	    "eno1", "");
	CU_ASSERT_PTR_NULL(vmf_map_unused(map, 0));
	vmf_map_free(map);
}

static void
unused_rules_are_listed(void)
{
	struct vmf_map *map =
	    MAP("d vda=/x", "p /a=/b", "n a=b", "f /f=/g", "f auto");
	char *to;

	CU_ASSERT_TRUE(vmf_map_firmware_auto(map));
	expect_path(map, "/a/x", "/b/x");
	CU_ASSERT_EQUAL(vmf_map_firmware(map, "/a/f", &to, &err), 0);
	CU_ASSERT_STRING_EQUAL(to, "/b/f");
	free(to);
	CU_ASSERT_STRING_EQUAL(vmf_map_unused(map, 0), "--map vda=/x");
	CU_ASSERT_STRING_EQUAL(vmf_map_unused(map, 1), "--map-net a=b");
	CU_ASSERT_STRING_EQUAL(vmf_map_unused(map, 2), "--map-firmware /f=/g");
	CU_ASSERT_PTR_NULL(vmf_map_unused(map, 3));
	vmf_map_free(map);
}

static void
files_hold_the_same_rules(void)
{
	static const char good[] = "# a comment\n\n"
				   "--map vda=/srv/a b.img\n"
				   "map-path /old=/new\n"
				   "  map-net  default=bridge:br0\n"
				   "--map-path=/x=/y\n"
				   "vdb=/srv/b.img\n"
				   "map-firmware auto";
	struct vmf_map *map = vmf_map_new(&err);
	const char *path = test_path("map");

	CU_ASSERT_EQUAL(
	    vmf_write_file(path, good, strlen(good), true, &err), 0);
	CU_ASSERT_EQUAL_FATAL(vmf_map_add_file(map, path, &err), 0);
	expect_disk(map, "vda", NULL, VMF_TARGET_FILE, "/srv/a b.img");
	expect_disk(map, "vdb", NULL, VMF_TARGET_FILE, "/srv/b.img");
	expect_path(map, "/old/a", "/new/a");
	expect_path(map, "/x", "/y");
	CU_ASSERT_TRUE(vmf_map_firmware_auto(map));
	CU_ASSERT_EQUAL(
	    vmf_write_file(path, "\nmapp x=y\n", 10, true, &err), 0);
	ASSERT_FAILS(vmf_map_add_file(map, path, &err), VMF_USAGE);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, ":2: "));
	CU_ASSERT_EQUAL(vmf_write_file(path, "vdc=/a\0=/b", 10, true, &err), 0);
	ASSERT_FAILS(vmf_map_add_file(map, path, &err), VMF_USAGE);
	ASSERT_FAILS(vmf_map_add_file(map, test_path("nosuch"), &err), VMF_IO);
	vmf_map_free(map);
}

/* Found by fuzzing: UBSan minds what is added to a NULL. */
static void
no_rules_leave_nothing(void)
{
	struct vmf_map *map = vmf_map_new(&err);

	CU_ASSERT_PTR_NOT_NULL_FATAL(map);
	CU_ASSERT_PTR_NULL(vmf_map_left(map, 0));
	CU_ASSERT_FALSE(vmf_map_firmware_auto(map));
	CU_ASSERT_PTR_NULL(vmf_map_unused(map, 0));
	vmf_map_free(map);
}

void
suite_map(void)
{
	static const struct test_case cases[] = {
	    {"targets are parsed whole", targets_are_parsed_whole},
	    {"bad rules are refused", bad_rules_are_refused},
	    {"the longest path wins, at borders", longest_path_wins_at_borders},
	    {"/dev/mapper names are volumes", mapper_names_are_volumes},
	    {"paths mapped twice stay", paths_mapped_twice_stay},
	    {"chains of rules are refused", chains_of_rules_are_refused},
	    {"disks go by name, then by *", disks_go_by_name_then_star},
	    {"networks go by name and MAC", networks_go_by_name_and_mac},
	    {"unused rules are listed", unused_rules_are_listed},
	    {"files hold the same rules", files_hold_the_same_rules},
	    {"no rules leave nothing", no_rules_leave_nothing},
	};

	TEST_SUITE("map", cases);
}
