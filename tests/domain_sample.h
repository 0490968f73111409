/*
 * domain_sample.h - the corpus of domains for the suites, and rules for it
 *
 * The corpus in tests/data/domain is as libvirt 9.0 wrote it after a define
 * (handmade.xml and rhel.xml apart); NAME.findings lists what an untrusted XML
 * may not name, NAME.mapped is NAME.xml after rules().
 */
#ifndef VMFERRY_DOMAIN_SAMPLE_H
#define VMFERRY_DOMAIN_SAMPLE_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vmferry/domain.h>
#include <vmferry/io.h>

#include "test.h"
#include "../lib/domain_tree.h"

#define DATA	 "tests/data/domain/"
#define NEW_UUID "99999999-8888-4777-8666-555555555555"

static struct vmf_error err;

static inline struct vmf_domain *
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

static inline struct vmf_domain *
parse(const char *xml)
{
	struct vmf_domain *dom =
	    vmf_domain_parse(xml, strlen(xml), "test", &err);

	if (dom == NULL)
		fprintf(stderr, "%s\n", err.msg);
	CU_ASSERT_PTR_NOT_NULL_FATAL(dom);
	return dom;
}

static inline char *
format(const struct vmf_domain *dom)
{
	char *text = vmf_domain_format(dom, NULL, &err);

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	return text;
}

static inline char *
slurp(const char *name)
{
	char path[512], *text;

	snprintf(path, sizeof(path), DATA "%s", name);
	text = vmf_read_file(path, 1 << 20, NULL, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	return text;
}

/* Show where two texts part. */
static inline void
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
static inline void
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
static inline void
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

static inline struct vmf_map *
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

static inline bool
nowhere(void *ctx, const char *path)
{
	return ctx != NULL && strcmp(path, ctx) == 0;
}

/* --- one rule at least for every kind of place */

static inline struct vmf_map *
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

static inline char *
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

#endif
