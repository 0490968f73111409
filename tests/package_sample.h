/*
 * package_sample.h - a small package in memory for the suites, and a kit to
 * take it apart, change it and make all its checksums right again
 */
#ifndef VMFERRY_PACKAGE_SAMPLE_H
#define VMFERRY_PACKAGE_SAMPLE_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include <vmferry/digest.h>
#include <vmferry/package.h>
#include <vmferry/tar.h>

#include "membuf.h"
#include "test.h"

#define XML "<domain><name>web</name></domain>\n"

static struct vmf_error err;
static const struct vmf_engine_options plain = {
    .level = 3, .budget = 64 * VMF_MIB};

/* --- a small package: two files, a disk of four chunks, an empty disk */

#define DISK_SIZE 200000
#define CHUNK	  65536

static const struct vmf_package_file files[] = {
    {.name = "nvram/VARS.fd",
	.path = "/nvram/web_VARS.fd",
	.size = 300,
	.mode = 0600,
	.owner = "root",
	.group = "root"},
    {.name = "tpm/tpm2/tpm2-00.permall",
	.path = "/swtpm/tpm2-00.permall",
	.size = 0,
	.mode = 0640,
	.owner = "tss",
	.group = "tss"},
};

static struct vmf_package_image images[2] = {
    {.name = "vda", .path = "/srv/web.img"},
    {.name = "vdb", .path = "/srv/empty.img"},
};

static const struct vmf_package_info info = {
    .id = {0xf0, 0x0d, 1},
    .domain = "web",
    .uuid = "0b1f2a3c-0000-4000-8000-00000000000a",
    .files = files,
    .nfiles = 2,
    .images = images,
    .nimages = 2,
};

static inline uint8_t *
disk_bytes(void)
{
	uint8_t *p = calloc(1, DISK_SIZE);

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	memset(p, 'd', 1000);
	noise(p + 3 * CHUNK, 700, 1);
	return p;
}

static inline void
write_path(const char *path, const void *buf, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(vmf_write_full(fd, buf, len, &err), 0);
	close(fd);
}

static inline void
add_files(struct vmf_package_writer *w)
{
	struct membuf m = {0};
	uint8_t nvram[300];

	noise(nvram, sizeof(nvram), 2);
	membuf_write(&m, nvram, sizeof(nvram), &err);
	CU_ASSERT_EQUAL(vmf_package_writer_xml(w, XML, strlen(XML), &err), 0);
	CU_ASSERT_EQUAL(vmf_package_writer_file(w, membuf_in(&m), &err), 0);
	m.len = 0;
	CU_ASSERT_EQUAL(vmf_package_writer_file(w, membuf_in(&m), &err), 0);
	membuf_free(&m);
}

static inline void
write_sample(struct membuf *m, const struct vmf_engine_options *options)
{
	static const struct vmf_source_options none;
	static const struct vmf_package_fact facts[] = {{"libvirt", "9.0.0"}};
	const char *paths[] = {test_path("vda.img"), test_path("vdb.img")};
	struct vmf_source *sources[2];
	struct vmf_package_writer *w;
	uint8_t *disk = disk_bytes();
	size_t i;

	m->len = 0;
	write_path(paths[0], disk, DISK_SIZE);
	write_path(paths[1], disk, 0);
	free(disk);
	for (i = 0; i < 2; i++) {
		sources[i] = vmf_source_open(paths[i], &none, &err);
		CU_ASSERT_PTR_NOT_NULL_FATAL(sources[i]);
		vmf_source_geometry(sources[i], CHUNK, &images[i].geo);
	}
	w = vmf_package_writer_new(membuf_out(m), &info, NULL, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(w);
	add_files(w);
	for (i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(
		    vmf_package_dump(w, sources[i], options, &err), 0);
		vmf_source_free(sources[i]);
	}
	CU_ASSERT_EQUAL(vmf_package_writer_finish(w, facts, 1, &err), 0);
	vmf_package_writer_free(w);
}

static inline int
verify(struct membuf *m)
{
	memset(&err, 0, sizeof(err));
	return vmf_package_verify(membuf_in(m), NULL, &plain, NULL, &err);
}

/* --- members that were moved about, with checksums made right again */

#define MEMBERS_MAX 32

struct member {
	struct vmf_tar_member head;
	uint8_t *data;
};

struct members {
	struct member m[MEMBERS_MAX];
	size_t n;
};

static inline void
take_apart(struct membuf *from, struct members *all)
{
	struct vmf_tar_reader *r = vmf_tar_reader_new(membuf_in(from), &err);
	struct member *m;
	size_t got;

	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	for (all->n = 0; all->n < MEMBERS_MAX; all->n++) {
		m = &all->m[all->n];
		if (vmf_tar_reader_next(r, &m->head, &err) <= 0)
			break;
		m->data = malloc((size_t)m->head.size + 1);
		CU_ASSERT_EQUAL(vmf_tar_reader_read(r, m->data,
				    (size_t)m->head.size, &got, &err),
		    0);
	}
	vmf_tar_reader_free(r);
}

static inline void
put_together(const struct members *all, struct membuf *to)
{
	struct vmf_tar_writer *w;
	size_t i;

	to->len = 0;
	w = vmf_tar_writer_new(membuf_out(to), &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(w);
	for (i = 0; i < all->n; i++) {
		const struct member *m = &all->m[i];

		CU_ASSERT_EQUAL(vmf_tar_writer_begin(w, &m->head, &err), 0);
		CU_ASSERT_EQUAL(
		    vmf_tar_writer_data(w, m->data, (size_t)m->head.size, &err),
		    0);
		CU_ASSERT_EQUAL(vmf_tar_writer_end(w, &err), 0);
	}
	CU_ASSERT_EQUAL(vmf_tar_writer_finish(w, &err), 0);
	vmf_tar_writer_free(w);
}

static inline struct member *
find(struct members *all, const char *name)
{
	size_t i;

	for (i = 0; i < all->n; i++)
		if (strcmp(all->m[i].head.name, name) == 0)
			return &all->m[i];
	CU_FAIL_FATAL("no such member");
	return NULL;
}

static inline void
set_data(struct member *m, const void *data, size_t len)
{
	free(m->data);
	m->data = malloc(len + 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m->data);
	memcpy(m->data, data, len);
	m->head.size = len;
}

static inline void
digest_of(const struct member *m, char hex[2 * VMF_SHA_LEN + 1])
{
	uint8_t sum[VMF_SHA_LEN];

	vmf_sha256(m->data, (size_t)m->head.size, sum, &err);
	vmf_hex(sum, sizeof(sum), hex);
}

static inline void
count_segments(const struct members *all, json_t *said)
{
	char dir[VMF_TAR_NAME_MAX + 1];
	json_int_t n;
	size_t i, k;

	for (i = 0; i < json_array_size(said); i++) {
		snprintf(dir, sizeof(dir), "disks/%s/", images[i].name);
		for (n = 0, k = 0; k < all->n; k++)
			n += !all->m[k].head.dir && strncmp(all->m[k].head.name,
							dir, strlen(dir)) == 0;
		json_object_set_new(
		    json_array_get(said, i), "segments", json_integer(n));
	}
}

/* What an attacker without a key can do: make every checksum right again. */
static inline void
reseal(struct members *all)
{
	struct member *sums = find(all, "SHA256SUMS");
	struct member *tail = find(all, "manifest.json");
	char hex[2 * VMF_SHA_LEN + 1], line[256], *json;
	struct membuf text = {0};
	json_t *obj;
	json_int_t lines = 0;
	size_t i;

	for (i = 0; i < all->n && &all->m[i] != sums; i++) {
		if (all->m[i].head.dir)
			continue;
		digest_of(&all->m[i], hex);
		snprintf(
		    line, sizeof(line), "%s  %s\n", hex, all->m[i].head.name);
		membuf_write(&text, line, strlen(line), &err);
		lines++;
	}
	set_data(sums, text.p, text.len);
	membuf_free(&text);
	obj = json_loadb((char *)tail->data, (size_t)tail->head.size, 0, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(obj);
	digest_of(sums, hex);
	json_object_set_new(obj, "sums", json_string(hex));
	count_segments(all, json_object_get(obj, "images"));
	json_object_set_new(obj, "members", json_integer(lines));
	json = json_dumps(obj, JSON_SORT_KEYS | JSON_INDENT(1));
	json_decref(obj);
	set_data(tail, json, strlen(json));
	free(json);
	digest_of(tail, hex);
	snprintf(line, sizeof(line), "%s  manifest.json\n", hex);
	set_data(find(all, "END"), line, strlen(line));
}

static inline void
forget(struct members *all)
{
	size_t i;

	for (i = 0; i < all->n; i++)
		free(all->m[i].data);
}

static inline void
insert(struct members *all, size_t at, const char *name, const void *data,
    size_t len)
{
	struct member *m = &all->m[at];
	struct vmf_tar_member head = {0};

	/* name may lie in a member that moves */
	snprintf(head.name, sizeof(head.name), "%s", name);
	head.dir = len == 0 && name[strlen(name) - 1] == '/';
	memmove(m + 1, m, (all->n - at) * sizeof(*m));
	all->n++;
	memset(m, 0, sizeof(*m));
	m->head = head;
	set_data(m, data, len);
}

static inline void
drop(struct members *all, size_t at)
{
	free(all->m[at].data);
	all->n--;
	memmove(&all->m[at], &all->m[at + 1],
	    (all->n - at) * sizeof(struct member));
}

static inline void
swap(struct members *all, size_t i, size_t k)
{
	struct member m = all->m[i];

	all->m[i] = all->m[k];
	all->m[k] = m;
}

/* Apply change to the sample, reseal, and see what verify says. */
static inline int
verify_changed(void (*change)(struct members *, size_t), size_t arg)
{
	struct members all;
	struct membuf m = {0};
	int rc;

	write_sample(&m, &plain);
	take_apart(&m, &all);
	change(&all, arg);
	put_together(&all, &m);
	rc = verify(&m);
	forget(&all);
	membuf_free(&m);
	return rc;
}

#endif
