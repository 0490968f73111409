/* test_package.c - packages come back whole, and changed ones not at all */
#include <fcntl.h>
#include <inttypes.h>
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

static uint8_t *
disk_bytes(void)
{
	uint8_t *p = calloc(1, DISK_SIZE);

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	memset(p, 'd', 1000);
	noise(p + 3 * CHUNK, 700, 1);
	return p;
}

static void
write_path(const char *path, const void *buf, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(vmf_write_full(fd, buf, len, &err), 0);
	close(fd);
}

static void
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

static void
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

static int
verify(struct membuf *m)
{
	memset(&err, 0, sizeof(err));
	return vmf_package_verify(membuf_in(m), NULL, &plain, NULL, &err);
}

/* --- whole ones */

static void
check_item(struct vmf_package_reader *r, const struct vmf_package_item *item)
{
	struct vmf_in in = vmf_package_reader_in(r);
	uint8_t buf[400], nvram[300];
	size_t got;

	if (item->file == NULL)
		return;
	noise(nvram, sizeof(nvram), 2);
	CU_ASSERT_EQUAL(in.read(in.ctx, buf, sizeof(buf), &got, &err), 0);
	CU_ASSERT_EQUAL(got, item->file->size);
	CU_ASSERT_EQUAL(memcmp(buf, nvram, got), 0);
}

/* Images are left unread here: they are passed over as stored bytes. */
static void
packages_come_back(void)
{
	struct membuf m = {0};
	struct vmf_package_reader *r;
	struct vmf_package_item item;
	struct vmf_package_summary sum;
	size_t n = 0, len;
	int more;

	write_sample(&m, &plain);
	r = vmf_package_reader_open(membuf_in(&m), NULL, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	CU_ASSERT_STRING_EQUAL(vmf_package_reader_xml(r, &len), XML);
	CU_ASSERT_EQUAL(len, strlen(XML));
	for (; (more = vmf_package_reader_next(r, &item, &err)) > 0; n++)
		check_item(r, &item);
	CU_ASSERT_EQUAL(more, 0);
	CU_ASSERT_EQUAL(n, 4);
	CU_ASSERT_EQUAL(vmf_package_reader_finish(r, &sum, &err), 0);
	CU_ASSERT_EQUAL(sum.bytes, m.len);
	CU_ASSERT_EQUAL(sum.size, DISK_SIZE);
	CU_ASSERT_EQUAL(vmf_package_reader_totals(r, 0)->data_chunks, 2);
	CU_ASSERT_EQUAL(vmf_package_reader_totals(r, 0)->zero_chunks, 2);
	CU_ASSERT_STRING_EQUAL(
	    vmf_package_reader_facts(r, &n)[0].value, "9.0.0");
	CU_ASSERT_EQUAL(n, 1);
	vmf_package_reader_free(r);
	CU_ASSERT_EQUAL(verify(&m), 0);
	membuf_free(&m);
}

static void
same_input_same_bytes(void)
{
	struct vmf_engine_options jobs = plain;
	struct membuf a = {0}, b = {0};

	jobs.jobs = 3;
	write_sample(&a, &plain);
	write_sample(&b, &jobs);
	CU_ASSERT_EQUAL_FATAL(a.len, b.len);
	CU_ASSERT_EQUAL(memcmp(a.p, b.p, a.len), 0);
	CU_ASSERT_EQUAL(a.len % VMF_TAR_BLOCK, 0);
	membuf_free(&a);
	membuf_free(&b);
}

static void
peeking_finds_the_same(void)
{
	struct membuf m = {0};
	struct vmf_package_reader *r;
	const char *path = test_path("peek.vmf.tar");
	size_t n;
	int fd;

	write_sample(&m, &plain);
	write_path(path, m.p, m.len);
	fd = open(path, O_RDWR);
	CU_ASSERT_FATAL(fd >= 0);
	r = vmf_package_peek(fd, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	CU_ASSERT_STRING_EQUAL(vmf_package_reader_info(r)->domain, "web");
	CU_ASSERT_EQUAL(vmf_package_reader_totals(r, 0)->data_chunks, 2);
	CU_ASSERT_STRING_EQUAL(
	    vmf_package_reader_facts(r, &n)[0].value, "9.0.0");
	vmf_package_reader_free(r);
	CU_ASSERT_EQUAL(ftruncate(fd, (off_t)m.len - 2048), 0);
	CU_ASSERT_EQUAL(lseek(fd, 0, SEEK_SET), 0);
	CU_ASSERT_PTR_NULL(vmf_package_peek(fd, &err));
	CU_ASSERT_EQUAL(err.class, VMF_INTEGRITY);
	close(fd);
	membuf_free(&m);
}

static void
another_id_is_refused_when_one_is_expected(void)
{
	struct membuf m = {0};
	uint8_t id[VMF_ID_LEN] = {1};
	struct vmf_package_reader_options options = {.expect = id};

	write_sample(&m, &plain);
	ASSERT_FAILS(
	    vmf_package_verify(membuf_in(&m), &options, &plain, NULL, &err),
	    VMF_INTEGRITY);
	memcpy(id, info.id, sizeof(id));
	CU_ASSERT_EQUAL(
	    vmf_package_verify(membuf_in(&m), &options, &plain, NULL, &err), 0);
	membuf_free(&m);
}

/* --- damage */

/* One bit of every byte, each in its turn. */
static void
a_flip_in_every_byte_is_refused(void)
{
	struct membuf m = {0};
	size_t i;
	int passed = 0, other = 0;

	write_sample(&m, &plain);
	for (i = 0; i < m.len; i++) {
		m.p[i] ^= (uint8_t)(1 << i % 8);
		if (verify(&m) == 0) {
			printf("passed: byte %zu\n", i);
			passed++;
		} else if (err.class != VMF_INTEGRITY) {
			printf("byte %zu: %d %s\n", i, err.class, err.msg);
			other++;
		}
		m.p[i] ^= (uint8_t)(1 << i % 8);
	}
	CU_ASSERT_EQUAL(passed, 0);
	CU_ASSERT_EQUAL(other, 0);
	CU_ASSERT_EQUAL(verify(&m), 0);
	membuf_free(&m);
}

static void
a_cut_anywhere_is_refused(void)
{
	struct membuf m = {0};
	size_t whole;

	write_sample(&m, &plain);
	whole = m.len;
	for (m.len = 0; m.len < whole; m.len += m.len % 512 == 0 ? 1 : 511)
		ASSERT_FAILS(verify(&m), VMF_INTEGRITY);
	membuf_free(&m);
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

static void
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

static void
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

static struct member *
find(struct members *all, const char *name)
{
	size_t i;

	for (i = 0; i < all->n; i++)
		if (strcmp(all->m[i].head.name, name) == 0)
			return &all->m[i];
	CU_FAIL_FATAL("no such member");
	return NULL;
}

static void
set_data(struct member *m, const void *data, size_t len)
{
	free(m->data);
	m->data = malloc(len + 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m->data);
	memcpy(m->data, data, len);
	m->head.size = len;
}

static void
digest_of(const struct member *m, char hex[2 * VMF_SHA_LEN + 1])
{
	uint8_t sum[VMF_SHA_LEN];

	vmf_sha256(m->data, (size_t)m->head.size, sum, &err);
	vmf_hex(sum, sizeof(sum), hex);
}

/* What an attacker without a key can do: make every checksum right again. */
static void
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
	json_object_set_new(obj, "members", json_integer(lines));
	json = json_dumps(obj, JSON_SORT_KEYS | JSON_INDENT(1));
	json_decref(obj);
	set_data(tail, json, strlen(json));
	free(json);
	digest_of(tail, hex);
	snprintf(line, sizeof(line), "%s  manifest.json\n", hex);
	set_data(find(all, "END"), line, strlen(line));
}

static void
forget(struct members *all)
{
	size_t i;

	for (i = 0; i < all->n; i++)
		free(all->m[i].data);
}

static void
insert(struct members *all, size_t at, const char *name, const void *data,
    size_t len)
{
	struct member *m = &all->m[at];

	memmove(m + 1, m, (all->n - at) * sizeof(*m));
	all->n++;
	memset(m, 0, sizeof(*m));
	snprintf(m->head.name, sizeof(m->head.name), "%s", name);
	m->head.dir = len == 0 && name[strlen(name) - 1] == '/';
	set_data(m, data, len);
}

static void
drop(struct members *all, size_t at)
{
	free(all->m[at].data);
	all->n--;
	memmove(&all->m[at], &all->m[at + 1],
	    (all->n - at) * sizeof(struct member));
}

static void
swap(struct members *all, size_t i, size_t k)
{
	struct member m = all->m[i];

	all->m[i] = all->m[k];
	all->m[k] = m;
}

/* Apply change to the sample, reseal, and see what verify says. */
static int
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

static void
only_reseal(struct members *all, size_t arg)
{
	(void)arg;
	reseal(all);
}

static void
drop_one(struct members *all, size_t n)
{
	drop(all, n);
	/* The four that seal cannot be resealed without each other. */
	if (n + 4 < all->n + 1)
		reseal(all);
}

static void
swap_two(struct members *all, size_t n)
{
	swap(all, n, n + 1);
	reseal(all);
}

static void
double_one(struct members *all, size_t n)
{
	struct member *m = &all->m[n];

	insert(all, n + 1, m->head.name, m->data, (size_t)m->head.size);
	reseal(all);
}

#define SAMPLE_MEMBERS 13

static void
members_have_one_order(void)
{
	size_t i;

	CU_ASSERT_EQUAL(verify_changed(only_reseal, 0), 0);
	for (i = 0; i < SAMPLE_MEMBERS; i++)
		ASSERT_FAILS(verify_changed(drop_one, i), VMF_INTEGRITY);
	for (i = 0; i + 1 < SAMPLE_MEMBERS; i++)
		ASSERT_FAILS(verify_changed(swap_two, i), VMF_INTEGRITY);
	for (i = 0; i < SAMPLE_MEMBERS; i++)
		ASSERT_FAILS(verify_changed(double_one, i), VMF_INTEGRITY);
}

static const char *const strangers[] = {
    "aux/vmlinuz",
    "nvram/VARS2.fd",
    "../etc/passwd",
    "/etc/passwd",
    "disks/vda/../../x",
    "disks/vda/0000000000000001.zst",
    "disks/vda/000000000000000A.zst",
    "disks/vda/+000000000000001.zst",
    "disks/vdc/",
    "disks/vda/sub/",
    "digests/vdc",
    "evil\nname",
    "ev\x1bil",
    "EXTRA",
};

static void
insert_stranger(struct members *all, size_t n)
{
	static const uint8_t some[100] = {1};
	size_t at = n % (SAMPLE_MEMBERS + 1);
	const char *name = strangers[n / (SAMPLE_MEMBERS + 1)];

	insert(all, at, name, some, name[strlen(name) - 1] == '/' ? 0 : 100);
	reseal(all);
}

static void
strangers_are_refused_everywhere(void)
{
	size_t i, n = sizeof(strangers) / sizeof(strangers[0]);

	for (i = 0; i < n * (SAMPLE_MEMBERS + 1); i++)
		if (verify_changed(insert_stranger, i) == 0 ||
		    err.class != VMF_INTEGRITY) {
			printf("%s at %zu: %s\n",
			    strangers[i / (SAMPLE_MEMBERS + 1)],
			    i % (SAMPLE_MEMBERS + 1), err.msg);
			CU_FAIL("a member that no package has");
		}
}

/* --- contents that were changed, with checksums made right again */

static void
rename_segment(struct members *all, size_t arg)
{
	(void)arg;
	strcpy(find(all, "disks/vda/0000000000000000.zst")->head.name,
	    "disks/vda/0000000000000001.zst");
	reseal(all);
}

static void
empty_segment(struct members *all, size_t arg)
{
	(void)arg;
	find(all, "disks/vdb/0000000000000000.zst")->head.size = 0;
	reseal(all);
}

/* Disks of each other's bytes. */
static void
exchange_segments(struct members *all, size_t arg)
{
	struct member *a = find(all, "disks/vda/0000000000000000.zst");
	struct member *b = find(all, "disks/vdb/0000000000000000.zst");
	uint8_t *data = a->data;
	uint64_t size = a->head.size;

	(void)arg;
	a->data = b->data;
	a->head.size = b->head.size;
	b->data = data;
	b->head.size = size;
	reseal(all);
}

/* The segment cut in two within an object. */
static void
split_segment(struct members *all, size_t at)
{
	struct member *m = find(all, "disks/vda/0000000000000000.zst");

	insert(all, (size_t)(m - all->m) + 1, "disks/vda/0000000000010000.zst",
	    m->data + at, (size_t)m->head.size - at);
	m->head.size = at;
	reseal(all);
}

static void
longer_segment(struct members *all, size_t more)
{
	struct member *m = find(all, "disks/vda/0000000000000000.zst");
	size_t len = (size_t)m->head.size;
	uint8_t *data = calloc(1, len + more);

	memcpy(data, m->data, len);
	/* once more its START, or zeros */
	memcpy(data + len, m->data, more > 200 ? 208 : 0);
	set_data(m, data, len + more);
	free(data);
	reseal(all);
}

static void
cut_segment(struct members *all, size_t less)
{
	find(all, "disks/vda/0000000000000000.zst")->head.size -= less;
	reseal(all);
}

/* A list of digests that does not fit the disk. */
static void
change_list(struct members *all, size_t arg)
{
	struct member *m = find(all, "digests/vda");

	(void)arg;
	m->data[m->head.size - 2] ^= 1;
	reseal(all);
}

static void
change_xml(struct members *all, size_t arg)
{
	(void)arg;
	find(all, "domain.xml")->data[3] ^= 1;
}

static void
change_nvram(struct members *all, size_t arg)
{
	struct member *m = find(all, "nvram/VARS.fd");

	(void)arg;
	set_data(m, "short", 5);
	reseal(all);
}

/* An object's header made right again after a change of its bytes. */
static void
fix_head(uint8_t *head, size_t body)
{
	vmf_put_le64(head + VMF_OBJECT_FIXED + body,
	    vmf_checksum(head, VMF_OBJECT_FIXED + body));
}

enum { START_LEN = VMF_OBJECT_FIXED + VMF_START_BODY + VMF_OBJECT_SUM };

static void
change_start(struct members *all, size_t at)
{
	struct member *m = find(all, "disks/vda/0000000000000000.zst");

	m->data[at] ^= 1;
	fix_head(m->data, VMF_START_BODY);
	reseal(all);
}

static void
change_first_data(struct members *all, size_t at)
{
	struct member *m = find(all, "disks/vda/0000000000000000.zst");
	uint8_t *head = m->data + START_LEN;

	head[at] ^= 1;
	fix_head(head, 0);
	reseal(all);
}

/* Other bytes in the frame, and a checksum that says they are right. */
static void
change_frame(struct members *all, size_t at)
{
	struct member *m = find(all, "disks/vda/0000000000000000.zst");
	uint8_t *head = m->data + START_LEN;
	uint8_t *frame = head + VMF_OBJECT_FIXED + VMF_OBJECT_SUM;
	size_t stored = (size_t)vmf_get_le64(head + 56);

	frame[at] ^= 1;
	vmf_put_le64(head + 64, vmf_checksum(frame, stored));
	fix_head(head, 0);
	reseal(all);
}

/* Another frame for the first chunk, all of whose checksums are right. */
static void
set_frame(struct members *all, const void *frame, size_t len)
{
	struct member *m = find(all, "disks/vda/0000000000000000.zst");
	size_t at = START_LEN + VMF_OBJECT_FIXED + VMF_OBJECT_SUM;
	uint8_t *head = m->data + START_LEN;
	size_t after = at + (size_t)vmf_get_le64(head + 56);
	struct membuf data = {0};

	vmf_put_le64(head + 56, len);
	vmf_put_le64(head + 64, vmf_checksum(frame, len));
	fix_head(head, 0);
	membuf_write(&data, m->data, at, &err);
	membuf_write(&data, frame, len, &err);
	membuf_write(
	    &data, m->data + after, (size_t)m->head.size - after, &err);
	set_data(m, data.p, data.len);
	membuf_free(&data);
	reseal(all);
}

/* What a frame of the first chunk may not be. */
enum { FRAME_SAME, FRAME_WINDOW, FRAME_BOMB, FRAME_SHORT, FRAME_TWO };

static void
change_whole_frame(struct members *all, size_t what)
{
	struct vmf_encoder *enc = vmf_encoder_new(3, &err);
	uint8_t *raw = disk_bytes(), frame[4096];
	size_t len, more;

	CU_ASSERT_EQUAL(vmf_encode(enc, raw, CHUNK, frame, &len, &err), 0);
	if (what == FRAME_WINDOW)
		frame[5] = (31 - 10) << 3;
	if (what == FRAME_BOMB) {
		len = vmf_zero_frame_len(64 * VMF_MIB);
		vmf_zero_frame(64 * VMF_MIB, frame);
	}
	if (what == FRAME_SHORT)
		CU_ASSERT_EQUAL(
		    vmf_encode(enc, raw, CHUNK - 1, frame, &len, &err), 0);
	if (what == FRAME_TWO) {
		CU_ASSERT_EQUAL(
		    vmf_encode(enc, raw, CHUNK - 1, frame, &len, &err), 0);
		CU_ASSERT_EQUAL(vmf_encode(enc, raw + CHUNK - 1, 1, frame + len,
				    &more, &err),
		    0);
		len += more;
	}
	set_frame(all, frame, len);
	vmf_encoder_free(enc);
	free(raw);
}

static void
change_last_byte(struct members *all, size_t arg)
{
	struct member *m = find(all, "disks/vda/0000000000000000.zst");

	(void)arg;
	m->data[m->head.size - 1] ^= 1;
	reseal(all);
}

static void
resealed_changes_are_refused(void)
{
	static const struct {
		void (*change)(struct members *, size_t);
		size_t arg;
	} changes[] = {
	    {rename_segment, 0},
	    {empty_segment, 0},
	    {exchange_segments, 0},
	    {split_segment, START_LEN},
	    {split_segment, START_LEN + 10},
	    {split_segment, 100},
	    {longer_segment, 1},
	    {longer_segment, 208},
	    {cut_segment, 1},
	    {cut_segment, VMF_OBJECT_FIXED + VMF_END_BODY + VMF_OBJECT_SUM},
	    {change_list, 0},
	    {change_xml, 0},
	    {change_nvram, 0},
	    {change_start, 16},			   /* id */
	    {change_start, 36},			   /* image */
	    {change_start, VMF_OBJECT_FIXED},	   /* size */
	    {change_start, VMF_OBJECT_FIXED + 10}, /* chunk */
	    {change_start, VMF_OBJECT_FIXED + 12}, /* format */
	    {change_first_data, 12},		   /* version */
	    {change_first_data, 13},		   /* kind */
	    {change_first_data, 14},		   /* flags */
	    {change_first_data, 16},		   /* id */
	    {change_first_data, 32},		   /* generation */
	    {change_first_data, 36},		   /* image */
	    {change_first_data, 42},		   /* offset */
	    {change_first_data, 48},		   /* length */
	    {change_first_data, 56},		   /* stored */
	    {change_first_data, 64},		   /* frame's checksum */
	    {change_first_data, 72},		   /* digest */
	    {change_frame, 4},			   /* frame's flags */
	    {change_frame, 8},			   /* block */
	    {change_frame, 12},
	    {change_last_byte, 0},
	    {change_whole_frame, FRAME_WINDOW},
	    {change_whole_frame, FRAME_BOMB},
	    {change_whole_frame, FRAME_SHORT},
	    {change_whole_frame, FRAME_TWO},
	};
	size_t i;

	CU_ASSERT_EQUAL(verify_changed(change_whole_frame, FRAME_SAME), 0);
	for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		if (verify_changed(changes[i].change, changes[i].arg) == 0 ||
		    err.class != VMF_INTEGRITY) {
			printf("change %zu: %d %s\n", i, err.class, err.msg);
			CU_FAIL("a package that was changed");
		}
}

/* --- segments */

/* Put one object with len raw bytes and a frame of stored bytes. */
static void
put_object(struct vmf_carrier *c, enum vmf_kind kind, uint64_t off,
    uint64_t len, size_t stored)
{
	uint8_t head[VMF_OBJECT_FIXED + VMF_END_BODY + VMF_OBJECT_SUM];
	uint8_t *frame = calloc(1, stored + 1);
	struct vmf_object obj = {
	    .kind = kind, .off = off, .len = len, .stored = stored};
	struct vmf_totals totals = {.size = off, .data_chunks = 2};

	memcpy(obj.id, info.id, VMF_ID_LEN);
	if (kind == VMF_START) {
		obj.body_len = VMF_START_BODY;
		vmf_start_encode(&images[0].geo, head + VMF_OBJECT_FIXED);
	} else if (kind == VMF_END) {
		obj.body_len = VMF_END_BODY;
		vmf_end_encode(&totals, head + VMF_OBJECT_FIXED);
	}
	vmf_object_encode(&obj, head);
	CU_ASSERT_EQUAL(c->put(c->ctx, &obj, head, frame, &err), 0);
	free(frame);
}

/*
 * Two chunks whose frames, with START, leave room bytes of a segment: the
 * second stays in it when it just fits, and so does END.
 */
static void
fill_segment(size_t room, size_t second_len, struct members *all)
{
	const uint64_t chunk = VMF_CHUNK_MAX;
	size_t first = 20 * VMF_MIB, plain_head, second;
	struct vmf_package_info one = info;
	struct vmf_package_writer *w;
	struct vmf_carrier carrier;
	struct membuf m = {0};

	one.nfiles = 0;
	one.nimages = 1;
	images[0].geo = (struct vmf_geometry){.size = 2 * chunk,
	    .virtual_size = 2 * chunk,
	    .chunk = (uint32_t)chunk,
	    .format = VMF_RAW};
	plain_head = VMF_OBJECT_FIXED + VMF_OBJECT_SUM;
	second = VMF_SEGMENT_MAX - START_LEN - plain_head - first - plain_head -
		 room;
	w = vmf_package_writer_new(membuf_out(&m), &one, NULL, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(w);
	CU_ASSERT_EQUAL(vmf_package_writer_xml(w, XML, strlen(XML), &err), 0);
	CU_ASSERT_EQUAL(vmf_package_writer_image(w, &carrier, &err), 0);
	put_object(&carrier, VMF_START, 0, 0, 0);
	put_object(&carrier, VMF_DATA, 0, chunk, first);
	put_object(&carrier, VMF_DATA, chunk, chunk, second + second_len);
	put_object(&carrier, VMF_END, 2 * chunk, 0, 0);
	CU_ASSERT_EQUAL(vmf_package_writer_image_end(w, &err), 0);
	CU_ASSERT_EQUAL(vmf_package_writer_finish(w, NULL, 0, &err), 0);
	vmf_package_writer_free(w);
	take_apart(&m, all);
	membuf_free(&m);
}

static void
segments_are_cut_before_48_mib(void)
{
	const size_t end = VMF_OBJECT_FIXED + VMF_END_BODY + VMF_OBJECT_SUM;
	struct members all;

	/* END just fits ... */
	fill_segment(end, 0, &all);
	CU_ASSERT_EQUAL(find(&all, "disks/vda/0000000000000000.zst")->head.size,
	    VMF_SEGMENT_MAX);
	CU_ASSERT_STRING_EQUAL(all.m[4].head.name, "digests/vda");
	forget(&all);
	/* ... or is a byte too long, and goes by the image's size ... */
	fill_segment(end - 1, 0, &all);
	CU_ASSERT_EQUAL(
	    find(&all, "disks/vda/0000000004000000.zst")->head.size, end);
	forget(&all);
	/* ... or the chunk before it already does not fit. */
	fill_segment(0, 1, &all);
	CU_ASSERT_STRING_EQUAL(
	    all.m[4].head.name, "disks/vda/0000000002000000.zst");
	CU_ASSERT_STRING_EQUAL(all.m[5].head.name, "digests/vda");
	forget(&all);
}

static void
files_keep_their_announced_size(void)
{
	struct membuf m = {0}, short_one = {0};
	struct vmf_package_writer *w;
	uint8_t bytes[301] = {0};
	size_t len;

	for (len = 299; len <= 301; len += 2) {
		m.len = short_one.len = 0;
		w = vmf_package_writer_new(membuf_out(&m), &info, NULL, &err);
		CU_ASSERT_PTR_NOT_NULL_FATAL(w);
		CU_ASSERT_EQUAL(vmf_package_writer_xml(w, XML, 5, &err), 0);
		membuf_write(&short_one, bytes, len, &err);
		ASSERT_FAILS(
		    vmf_package_writer_file(w, membuf_in(&short_one), &err),
		    VMF_IO);
		vmf_package_writer_free(w);
		ASSERT_FAILS(verify(&m), VMF_INTEGRITY);
	}
	membuf_free(&m);
	membuf_free(&short_one);
}

/* --- placing */

static bool
holds(const char *path, const void *want, size_t len)
{
	struct vmf_error ignored;
	size_t got = 0;
	char *text = vmf_read_file(path, 1 << 20, &got, &ignored);
	bool same = text != NULL && got == len && memcmp(text, want, len) == 0;

	free(text);
	return same;
}

static int
restore(struct membuf *m, const struct vmf_package_plan *plan)
{
	struct vmf_package_reader *r;
	int rc;

	memset(&err, 0, sizeof(err));
	r = vmf_package_reader_open(membuf_in(m), NULL, &err);
	if (r == NULL)
		return -1;
	rc = vmf_package_restore(r, plan, &plain, NULL, &err);
	vmf_package_reader_free(r);
	return rc;
}

static void
parts_are_placed_or_nothing_is(void)
{
	struct vmf_package_target disks[2] = {
	    {.path = test_path("new-vda")}, {.path = test_path("new-vdb")}};
	struct vmf_package_target others[2] = {
	    {.path = test_path("new-nvram")}, {.path = NULL}};
	struct vmf_package_plan plan = {
	    .images = disks, .files = others, .readback = true};
	struct membuf m = {0};
	uint8_t *disk = disk_bytes(), nvram[300];

	noise(nvram, sizeof(nvram), 2);
	write_sample(&m, &plain);
	/* END damaged: every object was good, and nothing gets a name */
	m.p[m.len - 2000] ^= 1;
	ASSERT_FAILS(restore(&m, &plan), VMF_INTEGRITY);
	CU_ASSERT_NOT_EQUAL(access(disks[0].path, F_OK), 0);
	CU_ASSERT_NOT_EQUAL(access(others[0].path, F_OK), 0);
	m.p[m.len - 2000] ^= 1;
	plan.dry_run = true;
	CU_ASSERT_EQUAL(restore(&m, &plan), 0);
	CU_ASSERT_NOT_EQUAL(access(disks[0].path, F_OK), 0);
	plan.dry_run = false;
	CU_ASSERT_EQUAL(restore(&m, &plan), 0);
	CU_ASSERT(holds(disks[0].path, disk, DISK_SIZE));
	CU_ASSERT(holds(disks[1].path, disk, 0));
	CU_ASSERT(holds(others[0].path, nvram, sizeof(nvram)));
	/* now all of them are in the way, each for itself */
	ASSERT_FAILS(restore(&m, &plan), VMF_REFUSED);
	CU_ASSERT_EQUAL(unlink(others[0].path), 0);
	ASSERT_FAILS(restore(&m, &plan), VMF_REFUSED);
	CU_ASSERT_NOT_EQUAL(access(others[0].path, F_OK), 0);
	disks[0].overwrite = disks[1].overwrite = true;
	CU_ASSERT_EQUAL(restore(&m, &plan), 0);
	CU_ASSERT(holds(disks[0].path, disk, DISK_SIZE));
	free(disk);
	membuf_free(&m);
}

static void
two_parts_never_share_a_target(void)
{
	const char *path = test_path("both");
	struct vmf_package_target disks[2] = {{.path = path}, {.path = path}};
	struct vmf_package_target others[2] = {{.path = NULL}, {.path = NULL}};
	struct vmf_package_plan plan = {.images = disks, .files = others};
	struct membuf m = {0};

	write_sample(&m, &plain);
	ASSERT_FAILS(restore(&m, &plan), VMF_REFUSED);
	disks[1].path = NULL;
	others[0].path = path;
	ASSERT_FAILS(restore(&m, &plan), VMF_REFUSED);
	CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
	membuf_free(&m);
}

static void
strangers_are_named(void)
{
	struct membuf m = {0};
	uint8_t head[START_LEN];
	struct vmf_object obj = {.kind = VMF_START, .body_len = VMF_START_BODY};

	membuf_write(&m, "", 1, &err);
	m.len = 0;
	ASSERT_FAILS(verify(&m), VMF_INTEGRITY);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "empty"));
	memset(head, 0, sizeof(head));
	vmf_object_encode(&obj, head);
	membuf_write(&m, head, sizeof(head), &err);
	ASSERT_FAILS(verify(&m), VMF_INTEGRITY);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "vmf-restore"));
	memset(m.p, 'x', m.len);
	ASSERT_FAILS(verify(&m), VMF_INTEGRITY);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "no vmferry package"));
	membuf_free(&m);
}

void
suite_package(void)
{
	static const struct test_case cases[] = {
	    {"packages come back", packages_come_back},
	    {"same input, same bytes", same_input_same_bytes},
	    {"peeking finds the same", peeking_finds_the_same},
	    {"another id is refused when one is expected",
		another_id_is_refused_when_one_is_expected},
	    {"a flip in every byte is refused",
		a_flip_in_every_byte_is_refused},
	    {"a cut anywhere is refused", a_cut_anywhere_is_refused},
	    {"members have one order", members_have_one_order},
	    {"strangers are refused everywhere",
		strangers_are_refused_everywhere},
	    {"resealed changes are refused", resealed_changes_are_refused},
	    {"segments are cut before 48 MiB", segments_are_cut_before_48_mib},
	    {"files keep their announced size",
		files_keep_their_announced_size},
	    {"parts are placed or nothing is", parts_are_placed_or_nothing_is},
	    {"two parts never share a target", two_parts_never_share_a_target},
	    {"strangers are named", strangers_are_named},
	};

	TEST_SUITE("package", cases);
}
