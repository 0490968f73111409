/*
 * test_domain.c - domain XML: read safely, described, scanned
 */
#include "domain_sample.h"

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
	CU_ASSERT_EQUAL_FATAL(d->image.nservers, 1);
	CU_ASSERT_STRING_EQUAL(d->image.servers[0].name, "mon1.example.org");
	CU_ASSERT_STRING_EQUAL(d->image.servers[0].port, "6789");
	d = vmf_domain_model_disk(m, "vde");
	CU_ASSERT_EQUAL_FATAL(d->image.nservers, 1);
	CU_ASSERT_STRING_EQUAL(d->image.servers[0].socket, "/var/run/nbdsock");
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

/* Notes what is asked, and has none of it. */
static bool
no_device(void *ctx, enum vmf_domain_ask ask, const char *value)
{
	if (ask != VMF_ASK_HOSTDEV)
		return true;
	strcat(strcat(ctx, value), ";");
	return false;
}

static void
devices_of_the_host_are_asked_for(void)
{
	char asked[512] = "";
	struct vmf_domain_scan scan = {.there = no_device, .ctx = asked};
	struct vmf_domain *dom = load("devices.xml");

	/* what is optional may be absent */
	ASSERT_FAILS(vmf_domain_scan(dom, &scan, &err), VMF_REFUSED);
	CU_ASSERT_STRING_EQUAL(asked,
	    "pci 0000:06:02.0;scsi scsi_host0;"
	    "mdev c2177883-f1bb-47f0-914d-32a22e3a8804;");
	CU_ASSERT_STRING_EQUAL(vmf_domain_scan_finding(dom, 0)->xpath,
	    "/domain/devices/hostdev[1]");
	CU_ASSERT_EQUAL(vmf_domain_allow("hostdev", &scan.allow, &err), 0);
	CU_ASSERT_EQUAL(vmf_domain_scan(dom, &scan, &err), 0);
	vmf_domain_free(dom);
	asked[0] = '\0';
	scan.allow = 0;
	dom = parse("<domain type='kvm'><name>a</name><devices>"
		    "<hostdev type='usb'><source><vendor id='0x1234'/>"
		    "<product id='0xbeef'/></source></hostdev>"
		    "<hostdev type='usb'><source><address bus='1' device='4'/>"
		    "</source></hostdev><hostdev type='pci'/>"
		    "<hostdev/></devices></domain>");
	ASSERT_FAILS(vmf_domain_scan(dom, &scan, &err), VMF_REFUSED);
	CU_ASSERT_STRING_EQUAL(asked, "usb 1234:beef;usb 001/004;");
	vmf_domain_free(dom);
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
	    {"DOCTYPEs are refused", doctypes_are_refused},
	    {"nonsense is refused", nonsense_is_refused},
	    {"large and deep XML is refused", large_and_deep_xml_is_refused},
	    {"the model says what the XML says",
		the_model_says_what_the_xml_says},
	    {"the model knows every disk", the_model_knows_every_disk},
	    {"untrusted XML names nothing unseen",
		untrusted_xml_names_nothing_unseen},
	    {"hidden names are found", hidden_names_are_found},
	    {"maps vouch", maps_vouch},
	    {"leftovers are found", leftovers_are_found},
	    {"old directories are found", old_directories_are_found},
	    {"devices of the host are asked for",
		devices_of_the_host_are_asked_for},
	    {"images have names", images_have_names},
	    {"the table is in order", the_table_is_in_order},
	};

	TEST_SUITE("domain", cases);
}
