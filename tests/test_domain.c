/*
 * test_domain.c - domain XML: read safely, rewritten, scanned
 *
 * The corpus in tests/data/domain is as libvirt 9.0 wrote it after a define
 * (handmade.xml and rhel.xml apart); NAME.findings lists what an untrusted XML
 * may not name, NAME.mapped is NAME.xml after the rules below.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <vmferry/domain.h>
#include <vmferry/io.h>

#include "test.h"
#include "../lib/domain_tree.h"

#define DATA	 "tests/data/domain/"
#define NEW_UUID "99999999-8888-4777-8666-555555555555"

static struct vmf_error err;

static struct vmf_domain *
load(const char *name)
{
	char path[512];
	struct vmf_domain *dom;

	snprintf(path, sizeof(path), DATA "%s", name);
	dom = vmf_domain_read(path, &err);
	if (dom == NULL)
		fprintf(stderr, "%s\n", err.msg);
	CU_ASSERT_PTR_NOT_NULL_FATAL(dom);
	return dom;
}

static struct vmf_domain *
parse(const char *xml)
{
	struct vmf_domain *dom =
	    vmf_domain_parse(xml, strlen(xml), "test", &err);

	if (dom == NULL)
		fprintf(stderr, "%s\n", err.msg);
	CU_ASSERT_PTR_NOT_NULL_FATAL(dom);
	return dom;
}

static char *
format(const struct vmf_domain *dom)
{
	char *text = vmf_domain_format(dom, NULL, &err);

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	return text;
}

static char *
slurp(const char *name)
{
	char path[512], *text;

	snprintf(path, sizeof(path), DATA "%s", name);
	text = vmf_read_file(path, 1 << 20, NULL, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	return text;
}

/* Show where two texts part. */
static void
expect_same(const char *name, const char *got, const char *want)
{
	size_t i, from = 0;

	if (strcmp(got, want) != 0) {
		for (i = 0; got[i] != '\0' && got[i] == want[i]; i++)
			if (got[i] == '\n')
				from = i + 1;
		fprintf(stderr, "%s: got  %.*s\n%s: want %.*s\n", name,
		    (int)strcspn(got + from, "\n"), got + from, name,
		    (int)strcspn(want + from, "\n"), want + from);
	}
	CU_ASSERT_STRING_EQUAL(got, want);
}

/* The text is that of the file; VMF_WRITE_GOLDEN=1 writes it anew, for review.
 */
static void
expect_file(const char *xml_name, const char *suffix, const char *got)
{
	char file[256], path[512], *want;

	snprintf(file, sizeof(file), "%.*s%s", (int)(strlen(xml_name) - 4),
	    xml_name, suffix);
	snprintf(path, sizeof(path), DATA "%s", file);
	if (getenv("VMF_WRITE_GOLDEN") != NULL)
		CU_ASSERT_EQUAL(
		    vmf_write_file(path, got, strlen(got), true, &err), 0);
	want = slurp(file);
	expect_same(file, got, want);
	free(want);
}

/* Call fn for every NAME.xml of the corpus, in order. */
static void
for_each(void (*fn)(const char *name))
{
	struct dirent **list;
	int i, n = scandir(DATA, &list, NULL, alphasort), done = 0;
	char *dot;

	CU_ASSERT_FATAL(n > 0);
	for (i = 0; i < n; i++) {
		dot = strrchr(list[i]->d_name, '.');
		if (dot != NULL && strcmp(dot, ".xml") == 0) {
			fn(list[i]->d_name);
			done++;
		}
		free(list[i]);
	}
	free(list);
	CU_ASSERT(done >= 11);
}

static struct vmf_map *
map_of(const char *const *rules)
{
	struct vmf_map *map = vmf_map_new(&err);
	enum vmf_map_kind kind;

	CU_ASSERT_PTR_NOT_NULL_FATAL(map);
	for (; *rules != NULL; rules++) {
		kind = (*rules)[0] == 'd'   ? VMF_MAP_DISK
		       : (*rules)[0] == 'p' ? VMF_MAP_PATH
		       : (*rules)[0] == 'n' ? VMF_MAP_NET
					    : VMF_MAP_FIRMWARE;
		CU_ASSERT_EQUAL_FATAL(
		    vmf_map_add(map, kind, *rules + 2, &err), 0);
	}
	return map;
}
#define MAP(...) map_of((const char *const[]){__VA_ARGS__, NULL})

static bool
nowhere(void *ctx, const char *path)
{
	return ctx != NULL && strcmp(path, ctx) == 0;
}

/* --- what must not change */

static void
unchanged(const char *name)
{
	const struct vmf_domain_change change = {.keep_emulator = true};
	struct vmf_domain *dom = load(name);
	char *got, *want;

	CU_ASSERT_EQUAL(vmf_domain_rewrite(dom, &change, &err), 0);
	got = format(dom);
	vmf_domain_free(dom);
	if (strcmp(name, "handmade.xml") == 0) {
		/* not in libvirt's style: then its own form is stable */
		want = got;
		dom = parse(want);
		got = format(dom);
		vmf_domain_free(dom);
	} else {
		want = slurp(name);
	}
	expect_same(name, got, want);
	free(got);
	free(want);
}

static void
no_rule_changes_nothing(void)
{
	for_each(unchanged);
}

static struct vmf_map *
rules(void)
{
	return MAP("d *=/new/vm-*", "d vdb=lv:vg1/thin/data",
	    "d vdc=pool:fast/log", "d vda.base1=/new/base/b2.qcow2",
	    "d sdc=", "d sdd=/dev/disk/by-id/scsi-1", "p /srv=/data",
	    "p /var/lib/libvirt=/vol/libvirt", "p /tmp=/run/vm",
	    "p /var/log/vm=/var/log/guests", "p /dev/vg0=/dev/vg1",
	    "p /etc/fake=/etc/real", "p /usr/libexec=/usr/lib/qemu",
	    "p /dev/parport0=/dev/parport1", "p /dev/input=/dev/input2",
	    "p /dev/tpm0=/dev/tpm1", "p /dev/dax0.0=/dev/dax1.0",
	    "p /dev/sda=/dev/sdb", "p /dev/dri=/dev/dri2",
	    "p /dev/urandom=/dev/hwrng", "p /dev/net=/dev/net2",
	    "n default=bridge:br0", "n bridge:br-lan=lan",
	    "n isolated=direct:eno2", "n 52:54:00:aa:00:03=52:54:00:ff:00:03",
	    "n direct:eno1=bridge:br1", "n bridge:virbr0=lan",
	    "f /usr/share/OVMF=/usr/share/edk2/ovmf", "f auto",
	    "p /some/lease=/other/lease", "p /etc/pki=/etc/pki2",
	    "p /etc/qemu-ifup-mynet=/etc/ifup",
	    "p /usr/share/edk2/ovmf=/usr/share/edk2/ovmf");
}

static char *
rewrite(struct vmf_domain *dom)
{
	struct vmf_map *map = rules();
	const struct vmf_domain_change change = {.map = map,
	    .name = "new & better",
	    .new_identity = true,
	    .uuid = NEW_UUID,
	    .machine = "pc-q35-6.2",
	    .cpu_mode = "host-model",
	    .firmware_there = nowhere,
	    .ctx = (void *)"/usr/share/OVMF/OVMF_CODE_4M.fd"};
	char *text;

	if (vmf_map_check(map, &err) == -1) {
		fprintf(stderr, "%s\n", err.msg);
		CU_FAIL("the rules contradict each other");
	}
	if (vmf_domain_rewrite(dom, &change, &err) == -1) {
		fprintf(stderr, "%s\n", err.msg);
		CU_FAIL("refused");
	}
	text = format(dom);
	vmf_domain_free(dom);
	vmf_map_free(map);
	return text;
}

static void
once_is_twice(const char *name)
{
	char *once = rewrite(load(name)), *twice = rewrite(parse(once));

	expect_same(name, twice, once);
	free(once);
	free(twice);
}

static void
rules_applied_twice_change_nothing_more(void)
{
	for_each(once_is_twice);
}

static void
mapped_as_expected(const char *name)
{
	char *got = rewrite(load(name));

	expect_file(name, ".mapped", got);
	free(got);
}

static void
every_kind_of_place_is_mapped(void)
{
	for_each(mapped_as_expected);
}

/* --- hostile input */

static void
refuse(const char *xml, size_t len)
{
	struct vmf_domain *dom;

	err.class = VMF_OK;
	dom = vmf_domain_parse(xml, len, "test", &err);
	if (dom != NULL)
		fprintf(stderr, "taken: %.80s\n", xml);
	CU_ASSERT_PTR_NULL(dom);
	CU_ASSERT_EQUAL(err.class, VMF_INTEGRITY);
	CU_ASSERT_PTR_NULL(strchr(err.msg, '\n'));
	vmf_domain_free(dom);
}

static void
doctypes_are_refused(void)
{
	static const char *const bad[] = {
	    "<!DOCTYPE domain><domain><name>a</name></domain>",
	    "<!DOCTYPE d [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>"
	    "<domain><name>&x;</name></domain>",
	    "<!DOCTYPE d SYSTEM 'http://127.0.0.1:1/x.dtd'>"
	    "<domain><name>a</name></domain>",
	    "<!DOCTYPE d [<!ENTITY % p SYSTEM 'file:///etc/passwd'> %p;]>"
	    "<domain><name>a</name></domain>",
	    "<!DOCTYPE d [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b "
	    "'&a;&a;&a;&a;&a;&a;&a;&a;'><!ENTITY c '&b;&b;&b;&b;&b;&b;&b;'>"
	    "<!ENTITY e '&c;&c;&c;&c;&c;&c;&c;&c;'>]><domain><name x='&e;'>"
	    "&e;</name></domain>",
	};
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		refuse(bad[i], strlen(bad[i]));
		CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "DOCTYPE"));
	}
}

static void
nonsense_is_refused(void)
{
	static const char *const bad[] = {"", " ", "x", "<domain>", "<domain/>",
	    "<network><name>a</name></network>", "<domain><name/></domain>",
	    "<domain><name>a/b</name></domain>",
	    "<domain><name>&undefined;</name></domain>",
	    "<domain><name>a</name><uuid>1</uuid></domain>",
	    "<domain><name>a</name><name>b</name></domain>",
	    "<domain><name>a</name><devices/><devices/></domain>",
	    "<domain><name>a\xff</name></domain>",
	    "<domain><name>a</name></domain><domain/>",
	    "<?xml version='1.0' encoding='no-such'?><domain/>",
	    "<x:domain xmlns:x='u'><name>a</name></x:domain>"};
	static const char *const bad_disks[] = {"<disk/>",
	    "<disk><target dev=''/></disk>",
	    "<disk><target dev='../x'/></disk>",
	    "<disk><target dev='a b'/></disk>",
	    "<disk><target dev='-a'/></disk>",
	    "<disk><target dev='vda'/></disk><disk><target dev='vda'/></disk>",
	    "<disk><target dev='vda'/><source/><source/></disk>",
	    "<disk><target dev='vda'/><target dev='vdb'/></disk>"};
	struct vmf_domain *dom;
	char xml[512];
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refuse(bad[i], strlen(bad[i]));
	refuse("<domain><name>a\0</name></domain>", 32);
	for (i = 0; i < sizeof(bad_disks) / sizeof(bad_disks[0]); i++) {
		snprintf(xml, sizeof(xml),
		    "<domain><name>a</name><devices>%s</devices></domain>",
		    bad_disks[i]);
		dom = parse(xml);
		err.class = VMF_OK;
		CU_ASSERT_PTR_NULL(vmf_domain_model(dom, &err));
		CU_ASSERT_EQUAL(err.class, VMF_INTEGRITY);
		vmf_domain_free(dom);
	}
}

static void
large_and_deep_xml_is_refused(void)
{
	size_t len = 100 << 20, i, n;
	char *xml = malloc(len + 1), *p = xml;

	CU_ASSERT_PTR_NOT_NULL_FATAL(xml);
	p = stpcpy(p, "<domain><name>a</name>");
	memset(p, ' ', len - (size_t)(p - xml) - 9);
	strcpy(xml + len - 9, "</domain>");
	refuse(xml, len);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "16 MiB"));
	refuse(xml, VMF_DOMAIN_XML_MAX);
	for (n = 300; n <= 1000000; n *= 1000) {
		p = stpcpy(xml, "<domain><name>a</name>");
		for (i = 0; i < n; i++)
			p = stpcpy(p, "<a>");
		for (i = 0; i < n; i++)
			p = stpcpy(p, "</a>");
		p = stpcpy(p, "</domain>");
		refuse(xml, (size_t)(p - xml));
	}
	/* an attribute of 11 MB */
	p = stpcpy(xml, "<domain><name x='");
	memset(p, 'a', 11 << 20);
	p = stpcpy(p + (11 << 20), "'>a</name></domain>");
	refuse(xml, (size_t)(p - xml));
	free(xml);
	CU_ASSERT_PTR_NULL(vmf_domain_read(test_path("nosuch.xml"), &err));
	CU_ASSERT_EQUAL(err.class, VMF_IO);
}

static void
odd_names_stay_exact(void)
{
	struct vmf_domain *dom = load("handmade.xml");
	const struct vmf_domain_model *model = vmf_domain_model(dom, &err);
	struct vmf_map *map =
	    MAP("p /srv=/-new dir;$(touch x)'\"&<>\n", "d sda=/x\ty");
	const struct vmf_domain_change change = {.map = map};
	char *text;

	CU_ASSERT_PTR_NOT_NULL_FATAL(model);
	CU_ASSERT_STRING_EQUAL(
	    model->disks[0].image.path, "/srv/a b'\";$(touch x)\n-q.qcow2");
	CU_ASSERT_EQUAL(vmf_domain_rewrite(dom, &change, &err), 0);
	text = format(dom);
	vmf_domain_free(dom);
	dom = parse(text);
	model = vmf_domain_model(dom, &err);
	CU_ASSERT_STRING_EQUAL(model->disks[0].image.path,
	    "/-new dir;$(touch x)'\"&<>\n/a b'\";$(touch x)\n-q.qcow2");
	CU_ASSERT_STRING_EQUAL(model->disks[1].image.path, "/x\ty");
	free(text);
	vmf_domain_free(dom);
	vmf_map_free(map);
}

/* --- the model */

static void
the_model_says_what_the_xml_says(void)
{
	struct vmf_domain *dom = load("uefi.xml");
	const struct vmf_domain_model *m = vmf_domain_model(dom, &err);

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_STRING_EQUAL(m->type, "kvm");
	CU_ASSERT_STRING_EQUAL(m->name, "uefi");
	CU_ASSERT_STRING_EQUAL(m->uuid, "11111111-2222-4333-8444-000000000006");
	CU_ASSERT_STRING_EQUAL(m->machine, "pc-q35-7.2");
	CU_ASSERT_EQUAL(m->memory, 512 << 20);
	CU_ASSERT_EQUAL(m->vcpus, 2);
	CU_ASSERT_STRING_EQUAL(m->loader, "/usr/share/OVMF/OVMF_CODE_4M.ms.fd");
	CU_ASSERT_TRUE(m->loader_pflash && m->loader_secure);
	CU_ASSERT_STRING_EQUAL(
	    m->nvram, "/var/lib/libvirt/qemu/nvram/uefi_VARS.fd");
	CU_ASSERT_TRUE(vmf_domain_model_has_nvram(m));
	CU_ASSERT_EQUAL(m->ndisks, 1);
	CU_ASSERT_STRING_EQUAL(m->disks[0].image.format, "qcow2");
	CU_ASSERT_EQUAL(m->ninterfaces, 1);
	CU_ASSERT_STRING_EQUAL(m->interfaces[0].network, "default");
	CU_ASSERT_PTR_NOT_NULL_FATAL(m->tpm);
	CU_ASSERT_STRING_EQUAL(m->tpm->backend, "emulator");
	CU_ASSERT_STRING_EQUAL(m->tpm->version, "2.0");
	CU_ASSERT_TRUE(m->tpm->persistent);
	CU_ASSERT_EQUAL(m->nsecrets, 1);
	vmf_domain_free(dom);

	dom = load("tpm.xml");
	m = vmf_domain_model(dom, &err);
	CU_ASSERT_STRING_EQUAL(m->nvram, "/dev/vg0/tpm-nvram");
	CU_ASSERT_STRING_EQUAL(m->nvram_type, "block");
	CU_ASSERT_STRING_EQUAL(m->tpm->device, "/dev/tpm0");
	vmf_domain_free(dom);
}

static void
the_model_knows_every_disk(void)
{
	struct vmf_domain *dom = load("disks.xml");
	const struct vmf_domain_model *m = vmf_domain_model(dom, &err);
	const struct vmf_domain_disk *d;

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL(m->ndisks, 16);
	d = vmf_domain_model_disk(m, "vda");
	CU_ASSERT_STRING_EQUAL(
	    d->image.path, "/var/lib/libvirt/images/web & co.qcow2");
	CU_ASSERT_EQUAL_FATAL(d->nbase, 2);
	CU_ASSERT_STRING_EQUAL(
	    d->base[1].path, "/var/lib/libvirt/images/base1.img");
	CU_ASSERT_STRING_EQUAL(d->base[1].format, "raw");
	d = vmf_domain_model_disk(m, "vdc");
	CU_ASSERT_STRING_EQUAL(d->image.pool, "default");
	CU_ASSERT_STRING_EQUAL(d->image.volume, "web-log.img");
	CU_ASSERT_PTR_NULL(d->image.path);
	d = vmf_domain_model_disk(m, "vdd");
	CU_ASSERT_STRING_EQUAL(d->image.protocol, "rbd");
	d = vmf_domain_model_disk(m, "sdc");
	CU_ASSERT_TRUE(d->empty && d->readonly);
	CU_ASSERT_STRING_EQUAL(d->device, "cdrom");
	CU_ASSERT_FALSE(vmf_domain_model_disk(m, "vdh")->empty);
	CU_ASSERT_TRUE(vmf_domain_model_disk(m, "vdf")->shareable);
	CU_ASSERT_TRUE(vmf_domain_model_disk(m, "vdg")->encrypted);
	CU_ASSERT_TRUE(vmf_domain_model_disk(m, "vdj")->transient);
	CU_ASSERT_PTR_NULL(vmf_domain_model_disk(m, "vdz"));
	CU_ASSERT_EQUAL(m->nsecrets, 3);
	vmf_domain_free(dom);
	dom = load("network.xml");
	m = vmf_domain_model(dom, &err);
	CU_ASSERT_TRUE(m->passwords);
	CU_ASSERT_STRING_EQUAL(m->interfaces[2].device, "eno1");
	vmf_domain_free(dom);
}

/* --- single changes */

static void
callers_place_disks(void)
{
	struct vmf_domain *dom = load("disks.xml");
	struct vmf_map *map = MAP("d *=/new/*", "d vdb=part:/dev/sdz");
	const struct vmf_domain_change change = {.map = map};
	const struct vmf_domain_model *m;
	struct vmf_map_target t;

	CU_ASSERT_EQUAL(vmf_map_target_parse("/dev/sdz3", &t, &err), 0);
	CU_ASSERT_EQUAL(vmf_domain_set_disk(dom, "vda", &t, "raw", &err), 0);
	CU_ASSERT_EQUAL(vmf_domain_set_flat(dom, "vda", &err), 0);
	CU_ASSERT_EQUAL(vmf_domain_set_disk(dom, "vdb", &t, NULL, &err), 0);
	ASSERT_FAILS(
	    vmf_domain_set_disk(dom, "vdz", &t, NULL, &err), VMF_REFUSED);
	ASSERT_FAILS(
	    vmf_domain_set_disk(dom, "vdc.base1", &t, NULL, &err), VMF_REFUSED);
	CU_ASSERT_EQUAL(vmf_map_target_parse("", &t, &err), 0);
	ASSERT_FAILS(
	    vmf_domain_set_disk(dom, "vdc", &t, NULL, &err), VMF_REFUSED);
	CU_ASSERT_EQUAL(vmf_domain_set_disk(dom, "sdb", &t, NULL, &err), 0);
	CU_ASSERT_EQUAL(vmf_map_target_parse("/srv/x", &t, &err), 0);
	ASSERT_FAILS(
	    vmf_domain_set_disk(dom, "sdd", &t, NULL, &err), VMF_REFUSED);
	vmf_map_target_parse("/dev/sdy", &t, &err);
	CU_ASSERT_EQUAL(vmf_domain_set_disk(dom, "sdd", &t, NULL, &err), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(vmf_domain_note(dom, 0), "seed.iso"));
	ASSERT_FAILS(vmf_domain_set_nvram(dom, "/x", &err), VMF_REFUSED);
	/* what was placed stays, the rest is mapped */
	CU_ASSERT_EQUAL(vmf_domain_rewrite(dom, &change, &err), 0);
	m = vmf_domain_model(dom, &err);
	CU_ASSERT_STRING_EQUAL(m->disks[0].image.path, "/dev/sdz3");
	CU_ASSERT_STRING_EQUAL(m->disks[0].image.type, "block");
	CU_ASSERT_STRING_EQUAL(m->disks[0].image.format, "raw");
	CU_ASSERT_EQUAL(m->disks[0].nbase, 0);
	CU_ASSERT_STRING_EQUAL(m->disks[1].image.path, "/dev/sdz3");
	CU_ASSERT_TRUE(vmf_domain_model_disk(m, "sdb")->empty);
	CU_ASSERT_STRING_EQUAL(
	    vmf_domain_model_disk(m, "vdc")->image.path, "/new/web-log.img");
	vmf_domain_free(dom);

	/* a partition still to be made is no disk */
	dom = load("disks.xml");
	ASSERT_FAILS(vmf_domain_rewrite(dom, &change, &err), VMF_REFUSED);
	vmf_domain_free(dom);
	vmf_map_free(map);
}

static void
a_new_identity_follows_from_its_uuid(void)
{
	struct vmf_domain *dom = load("network.xml"), *keep;
	struct vmf_domain_change change = {
	    .new_identity = true, .uuid = NEW_UUID};
	const struct vmf_domain_model *a, *b;
	size_t i;

	keep = load("network.xml");
	CU_ASSERT_EQUAL(vmf_domain_rewrite(dom, &change, &err), 0);
	a = vmf_domain_model(dom, &err);
	b = vmf_domain_model(keep, &err);
	CU_ASSERT_STRING_EQUAL(a->uuid, NEW_UUID);
	for (i = 0; i < a->ninterfaces; i++) {
		CU_ASSERT_EQUAL(
		    strncmp(a->interfaces[i].mac, "52:54:00:", 9), 0);
		CU_ASSERT_STRING_NOT_EQUAL(
		    a->interfaces[i].mac, b->interfaces[i].mac);
	}
	vmf_domain_free(dom);
	vmf_domain_free(keep);

	dom = load("uefi.xml");
	change =
	    (struct vmf_domain_change){.new_identity = true, .name = "copy"};
	CU_ASSERT_EQUAL(vmf_domain_rewrite(dom, &change, &err), 0);
	a = vmf_domain_model(dom, &err);
	CU_ASSERT_STRING_EQUAL(
	    a->nvram, "/var/lib/libvirt/qemu/nvram/copy_VARS.fd");
	CU_ASSERT_STRING_NOT_EQUAL(
	    a->uuid, "11111111-2222-4333-8444-000000000006");
	change = (struct vmf_domain_change){.name = "a/b"};
	ASSERT_FAILS(vmf_domain_rewrite(dom, &change, &err), VMF_USAGE);
	vmf_domain_free(dom);

	dom = load("uefi.xml");
	change = (struct vmf_domain_change){.uuid = "x", .new_identity = true};
	ASSERT_FAILS(vmf_domain_rewrite(dom, &change, &err), VMF_USAGE);
	vmf_domain_free(dom);
}

static void
firmware_is_found_within_its_class(void)
{
	struct vmf_domain *dom = load("rhel.xml");
	struct vmf_map *map = MAP("f auto");
	struct vmf_domain_change change = {.map = map,
	    .firmware_there = nowhere,
	    .ctx = (void *)"/usr/share/OVMF/OVMF_CODE_4M.fd"};
	const struct vmf_domain_model *m;

	CU_ASSERT_EQUAL(vmf_domain_rewrite(dom, &change, &err), 0);
	m = vmf_domain_model(dom, &err);
	CU_ASSERT_STRING_EQUAL(m->loader, "/usr/share/OVMF/OVMF_CODE_4M.fd");
	CU_ASSERT_STRING_EQUAL(
	    m->nvram_template, "/usr/share/qemu/ovmf-x86_64-4m-vars.bin");
	CU_ASSERT_PTR_NOT_NULL(vmf_domain_note(dom, 0));
	CU_ASSERT_PTR_NULL(vmf_domain_note(dom, 1));
	vmf_domain_free(dom);
	/* 2 MiB firmware is not like 4 MiB firmware */
	dom = load("rhel.xml");
	change.ctx = (void *)"/usr/share/OVMF/OVMF_CODE.fd";
	CU_ASSERT_EQUAL(vmf_domain_rewrite(dom, &change, &err), 0);
	m = vmf_domain_model(dom, &err);
	CU_ASSERT_STRING_EQUAL(
	    m->loader, "/usr/share/qemu/ovmf-x86_64-4m-code.bin");
	vmf_domain_free(dom);
	vmf_map_free(map);
}

/* --- the scan */

static char *
findings(const struct vmf_domain *dom)
{
	const struct vmf_domain_finding *f;
	char *text = NULL;
	size_t len, i;
	FILE *out = open_memstream(&text, &len);

	for (i = 0; (f = vmf_domain_scan_finding(dom, i)) != NULL; i++)
		fprintf(out, "%s %s %s\n", vmf_domain_allow_name(f->kind),
		    f->xpath, f->why);
	fclose(out);
	return text;
}

static void
found_as_expected(const char *name)
{
	struct vmf_domain_scan scan = {.untrusted = true};
	struct vmf_domain *dom = load(name);
	char *got;

	ASSERT_FAILS(vmf_domain_scan(dom, &scan, &err), VMF_REFUSED);
	got = findings(dom);
	expect_file(name, ".findings", got);
	free(got);
	/* trusted, and nobody asked: nothing to find */
	scan.untrusted = false;
	CU_ASSERT_EQUAL(vmf_domain_scan(dom, &scan, &err), 0);
	scan = (struct vmf_domain_scan){.untrusted = true, .allow = UINT32_MAX};
	CU_ASSERT_EQUAL(vmf_domain_scan(dom, &scan, &err), 0);
	vmf_domain_free(dom);
}

static void
untrusted_xml_names_nothing_unseen(void)
{
	for_each(found_as_expected);
}

static void
hidden_names_are_found(void)
{
	static const char *const bad[] = {
	    "<disk type='file'><target dev='a'/><x:source xmlns:x='u' "
	    "file='/etc/shadow'/></disk>",
	    "<disk type='file'><target dev='a'/><source xmlns:x='u' "
	    "x:file='/etc/shadow'/></disk>",
	    "<disk type='file'><target dev='a'/><driver "
	    "foo='/etc/shadow'/></disk>",
	    "<newdevice type='x'/>",
	    "<filesystem><source dir='/'/><target dir='x'/></filesystem>",
	    "<hostdev/>",
	    "<emulator>/tmp/evil</emulator>",
	    "<emulator>/usr/bin/qemu-system-x/../../../tmp/evil</emulator>",
	    "<emulator><![CDATA[/tmp/evil]]></emulator>",
	    "<emulator>/tmp<x/>/evil</emulator>",
	    "<interface type='ethernet'><script path='x'/></interface>",
	    "<interface type='user'><portForward proto='tcp'/></interface>",
	    "<serial type='file'><source path='/etc/passwd'/></serial>",
	    "<serial type='file'><source path='/var/lib/libvirt/qemu/channel/"
	    "../../../../../etc/passwd'/></serial>",
	    "<serial type='pty'><log file='/etc/passwd'/></serial>",
	};
	const struct vmf_domain_scan scan = {.untrusted = true};
	struct vmf_domain *dom;
	char xml[512];
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(xml, sizeof(xml),
		    "<domain type='kvm'><name>a</name><devices>%s</devices>"
		    "</domain>",
		    bad[i]);
		dom = parse(xml);
		if (vmf_domain_scan(dom, &scan, &err) == 0)
			fprintf(stderr, "not found: %s\n", bad[i]);
		ASSERT_FAILS(vmf_domain_scan(dom, &scan, &err), VMF_REFUSED);
		vmf_domain_free(dom);
	}
	dom = parse("<domain type='kvm' xmlns:q='http://libvirt.org/schemas/"
		    "domain/qemu/1.0'><name>a</name><q:commandline><q:arg "
		    "value='-S'/></q:commandline></domain>");
	ASSERT_FAILS(vmf_domain_scan(dom, &scan, &err), VMF_REFUSED);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "--allow commandline"));
	vmf_domain_free(dom);
	dom = parse("<domain type='lxc'><name>a</name></domain>");
	ASSERT_FAILS(vmf_domain_scan(dom, &scan, &err), VMF_REFUSED);
	vmf_domain_free(dom);
	/* another guest's NVRAM */
	dom = parse("<domain type='kvm'><name>a</name><os><nvram>/var/lib/"
		    "libvirt/qemu/nvram/b_VARS.fd</nvram></os></domain>");
	ASSERT_FAILS(vmf_domain_scan(dom, &scan, &err), VMF_REFUSED);
	vmf_domain_free(dom);
}

static void
maps_vouch(void)
{
	struct vmf_map *map = MAP("p /srv=/srv", "d vda=/srv/c.img");
	const struct vmf_domain_change change = {.map = map};
	struct vmf_domain_scan scan = {.untrusted = true};
	struct vmf_domain *dom = load("commandline.xml");

	CU_ASSERT_EQUAL(vmf_domain_rewrite(dom, &change, &err), 0);
	ASSERT_FAILS(vmf_domain_scan(dom, &scan, &err), VMF_REFUSED);
	CU_ASSERT_PTR_NULL(vmf_domain_scan_finding(dom, 1));
	CU_ASSERT_EQUAL(
	    vmf_domain_allow("disk,commandline", &scan.allow, &err), 0);
	CU_ASSERT_EQUAL(vmf_domain_scan(dom, &scan, &err), 0);
	ASSERT_FAILS(vmf_domain_allow("disks", &scan.allow, &err), VMF_USAGE);
	ASSERT_FAILS(vmf_domain_allow("disk,", &scan.allow, &err), VMF_USAGE);
	vmf_domain_free(dom);
	vmf_map_free(map);
}

static bool
only_new(void *ctx, enum vmf_domain_ask ask, const char *value)
{
	(void)ctx;
	return ask != VMF_ASK_PATH || strncmp(value, "/new", 4) == 0 ||
	       strncmp(value, "/usr", 4) == 0;
}

static void
leftovers_are_found(void)
{
	struct vmf_map *map = MAP("d vda=/new/c.img");
	const struct vmf_domain_change change = {.map = map};
	const struct vmf_domain_scan scan = {.there = only_new};
	struct vmf_domain *dom = load("commandline.xml");
	const struct vmf_domain_finding *f;

	/* the old path stands within an argument */
	CU_ASSERT_EQUAL(vmf_domain_rewrite(dom, &change, &err), 0);
	ASSERT_FAILS(vmf_domain_scan(dom, &scan, &err), VMF_REFUSED);
	f = vmf_domain_scan_finding(dom, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_STRING_EQUAL(
	    f->xpath, "/domain/qemu:commandline/qemu:arg[2]/@value");
	CU_ASSERT_PTR_NULL(vmf_domain_scan_finding(dom, 1));
	vmf_domain_free(dom);
	vmf_map_free(map);

	/* in metadata of a manager */
	map = MAP("p /var/lib/libvirt/images=/new");
	dom = load("metadata.xml");
	CU_ASSERT_EQUAL(vmf_domain_rewrite(
			    dom, &(struct vmf_domain_change){.map = map}, &err),
	    0);
	ASSERT_FAILS(vmf_domain_scan(dom, &scan, &err), VMF_REFUSED);
	CU_ASSERT_EQUAL(
	    vmf_domain_scan_finding(dom, 0)->kind, VMF_NAMES_METADATA);
	vmf_domain_free(dom);
	vmf_map_free(map);

	/* not there */
	dom = load("rhel.xml");
	ASSERT_FAILS(vmf_domain_scan(dom, &scan, &err), VMF_REFUSED);
	CU_ASSERT_EQUAL(vmf_domain_scan_finding(dom, 0)->kind, VMF_NAMES_NVRAM);
	CU_ASSERT_EQUAL(vmf_domain_scan_finding(dom, 1)->kind, VMF_NAMES_DISK);
	CU_ASSERT_PTR_NULL(vmf_domain_scan_finding(dom, 2));
	vmf_domain_free(dom);
}

static void
old_directories_are_found(void)
{
	struct vmf_map *map =
	    MAP("p /srv=/new", "d vda=/new/c.img", "n 10.1.2.3=0.0.0.0");
	const struct vmf_domain_change change = {.map = map};
	const struct vmf_domain_scan scan = {0};
	struct vmf_domain *dom;
	char *text;

	/* no image of that name was mapped, but its directory */
	dom = parse("<domain type='kvm' xmlns:q='http://libvirt.org/schemas/"
		    "domain/qemu/1.0'><name>a</name><q:commandline><q:arg "
		    "value='file=/srv/z.img,x'/></q:commandline></domain>");
	CU_ASSERT_EQUAL(vmf_domain_rewrite(dom, &change, &err), 0);
	ASSERT_FAILS(vmf_domain_scan(dom, &scan, &err), VMF_REFUSED);
	vmf_domain_free(dom);
	dom = parse("<domain type='kvm' xmlns:q='http://libvirt.org/schemas/"
		    "domain/qemu/1.0'><name>a</name><q:commandline><q:arg "
		    "value='file=/old/srv/z.img,/srv2,/srv-a'/>"
		    "</q:commandline></domain>");
	CU_ASSERT_EQUAL(vmf_domain_rewrite(dom, &change, &err), 0);
	CU_ASSERT_EQUAL(vmf_domain_scan(dom, &scan, &err), 0);
	vmf_domain_free(dom);
	/* listen addresses, which libvirt wants said alike in both places */
	dom = load("network.xml");
	CU_ASSERT_EQUAL(vmf_domain_rewrite(dom, &change, &err), 0);
	text = format(dom);
	CU_ASSERT_PTR_NULL(strstr(text, "10.1.2.3"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "listen='0.0.0.0'"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "address='0.0.0.0'"));
	free(text);
	vmf_domain_free(dom);
	vmf_map_free(map);
}

static void
images_have_names(void)
{
	struct vmf_domain *dom = load("disks.xml");
	const struct vmf_domain_model *m = vmf_domain_model(dom, &err);

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_STRING_EQUAL(vmf_domain_model_image(m, "vdb")->path,
	    "/dev/mapper/vg0-web--data");
	CU_ASSERT_STRING_EQUAL(vmf_domain_model_image(m, "vda.base2")->path,
	    "/var/lib/libvirt/images/base1.img");
	CU_ASSERT_PTR_NULL(vmf_domain_model_image(m, "vda.base3"));
	CU_ASSERT_PTR_NULL(vmf_domain_model_image(m, "vda.base0"));
	CU_ASSERT_PTR_NULL(vmf_domain_model_image(m, "vda.base"));
	CU_ASSERT_PTR_NULL(vmf_domain_model_image(m, "vda.x"));
	CU_ASSERT_PTR_NULL(vmf_domain_model_image(m, "vd"));
	vmf_domain_free(dom);
}

/* --- many */

/* A change of the text such as a fuzzer would make; the same for one seed. */
static void
mutate(char *text, size_t *len, size_t max, unsigned *seed)
{
	size_t from = (size_t)rand_r(seed) % *len, to, n;
	size_t many = 1 + (size_t)rand_r(seed) % 40;

	switch (rand_r(seed) % 4) {
	case 0:
		text[from] = (char)rand_r(seed);
		break;
	case 1: /* cut */
		n = many < *len - from ? many : *len - from - 1;
		memmove(text + from, text + from + n, *len - from - n);
		*len -= n;
		break;
	case 2: /* a piece of it again, elsewhere */
		to = (size_t)rand_r(seed) % *len;
		n = *len - from < many ? *len - from : many;
		if (*len + n > max)
			break;
		memmove(text + to + n, text + to, *len - to);
		memmove(text + to, text + (from < to ? from : from + n), n);
		*len += n;
		break;
	default:
		text[from] = "<>'\"&/= \n"[rand_r(seed) % 9];
	}
}

/* Whatever comes in: it is refused, or rewritten so that once is twice. */
static void
try_mutant(const char *text, size_t len)
{
	const struct vmf_domain_scan scan = {.untrusted = true};
	struct vmf_map *map = rules();
	const struct vmf_domain_change change = {
	    .map = map, .name = "x", .new_identity = true, .uuid = NEW_UUID};
	struct vmf_domain *dom = vmf_domain_parse(text, len, "mutant", &err);
	char *once = NULL, *twice = NULL;

	if (dom == NULL || vmf_domain_rewrite(dom, &change, &err) == -1)
		goto out;
	vmf_domain_scan(dom, &scan, &err);
	once = format(dom);
	vmf_domain_free(dom);
	dom = vmf_domain_parse(once, strlen(once), "once", &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(dom);
	CU_ASSERT_EQUAL_FATAL(vmf_domain_rewrite(dom, &change, &err), 0);
	twice = format(dom);
	if (strcmp(once, twice) != 0)
		fprintf(stderr, "mutant: %.*s\n", (int)len, text);
	expect_same("mutant", twice, once);
out:
	vmf_domain_free(dom);
	vmf_map_free(map);
	free(once);
	free(twice);
}

static void
mutants_are_refused_or_rewritten(void)
{
	static const char *const names[] = {"disks.xml", "network.xml",
	    "handmade.xml", "commandline.xml", "tuning.xml", "uefi.xml"};
	const char *rounds = getenv("VMF_MUTANTS");
	unsigned seed = 1, i, k, n = rounds ? (unsigned)atoi(rounds) : 300;
	char *text, *copy;
	size_t len, f, max = 64 << 10;

	copy = malloc(max);
	CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
	for (f = 0; f < sizeof(names) / sizeof(names[0]); f++) {
		text = slurp(names[f]);
		for (i = 0; i < n; i++) {
			len = strlen(text);
			memcpy(copy, text, len);
			for (k = 0; k <= i % 3; k++)
				mutate(copy, &len, max, &seed);
			try_mutant(copy, len);
		}
		free(text);
	}
	free(copy);
}

static void
a_thousand_take_less_than_a_second(void)
{
	char *xml = slurp("uefi.xml"), *text;
	size_t i, len = strlen(xml);
	clock_t began = clock();
	double seconds;

	for (i = 0; i < 1000; i++) {
		struct vmf_domain *dom =
		    vmf_domain_parse(xml, len, "uefi.xml", &err);
		const struct vmf_domain_scan scan = {.untrusted = true};

		CU_ASSERT_PTR_NOT_NULL_FATAL(dom);
		vmf_domain_scan(dom, &scan, &err);
		text = rewrite(dom);
		free(text);
	}
	seconds = (double)(clock() - began) / CLOCKS_PER_SEC;
	if (seconds >= 1)
		fprintf(stderr, "a thousand took %.2f s\n", seconds);
		/* not under a sanitizer or valgrind */
#ifndef __SANITIZE_ADDRESS__
	CU_ASSERT(seconds < 1);
#endif
	free(xml);
}

static void
the_table_is_in_order(void)
{
	const struct place *a, *b;
	size_t i;

	for (i = 0; (b = vmf_domain_places_at(i + 1)) != NULL; i++) {
		a = vmf_domain_places_at(i);
		if (strcmp(a->path, b->path) >= 0)
			fprintf(stderr, "%s, %s\n", a->path, b->path);
		CU_ASSERT(strcmp(a->path, b->path) < 0);
		CU_ASSERT_PTR_EQUAL(vmf_domain_places_find(a->path), a);
	}
	CU_ASSERT(i > 100);
}

void
suite_domain(void)
{
	static const struct test_case cases[] = {
	    {"no rule changes nothing", no_rule_changes_nothing},
	    {"every kind of place is mapped", every_kind_of_place_is_mapped},
	    {"rules applied twice change nothing more",
		rules_applied_twice_change_nothing_more},
	    {"DOCTYPEs are refused", doctypes_are_refused},
	    {"nonsense is refused", nonsense_is_refused},
	    {"large and deep XML is refused", large_and_deep_xml_is_refused},
	    {"odd names stay exact", odd_names_stay_exact},
	    {"the model says what the XML says",
		the_model_says_what_the_xml_says},
	    {"the model knows every disk", the_model_knows_every_disk},
	    {"callers place disks", callers_place_disks},
	    {"a new identity follows from its UUID",
		a_new_identity_follows_from_its_uuid},
	    {"firmware is found within its class",
		firmware_is_found_within_its_class},
	    {"untrusted XML names nothing unseen",
		untrusted_xml_names_nothing_unseen},
	    {"hidden names are found", hidden_names_are_found},
	    {"maps vouch", maps_vouch},
	    {"leftovers are found", leftovers_are_found},
	    {"old directories are found", old_directories_are_found},
	    {"images have names", images_have_names},
	    {"mutants are refused or rewritten",
		mutants_are_refused_or_rewritten},
	    {"a thousand take less than a second",
		a_thousand_take_less_than_a_second},
	    {"the table is in order", the_table_is_in_order},
	};

	TEST_SUITE("domain", cases);
}
