/*
 * test_package_changed.c - packages that somebody changed, and whose checksums
 * he made right again
 */
#include "package_sample.h"

#define SAMPLE_MEMBERS 13

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
rename_one(struct members *all, size_t n)
{
	struct vmf_tar_member *head = &all->m[n].head;

	reseal(all);
	head->name[strlen(head->name) - 1 - head->dir] ^= 1;
	/* SHA256SUMS and its seals, where they can be found by their names */
	if (n < SAMPLE_MEMBERS - 3)
		reseal(all);
}

static void
double_one(struct members *all, size_t n)
{
	struct member *m = &all->m[n];

	insert(all, n + 1, m->head.name, m->data, (size_t)m->head.size);
	reseal(all);
}

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
	for (i = 0; i < SAMPLE_MEMBERS; i++)
		ASSERT_FAILS(verify_changed(rename_one, i), VMF_INTEGRITY);
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

/* The same change in START and END, which is all that the empty disk has. */
static void
change_empty_disk(struct members *all, size_t at)
{
	struct member *m = find(all, "disks/vdb/0000000000000000.zst");

	m->data[at] ^= 1;
	fix_head(m->data, VMF_START_BODY);
	m->data[START_LEN + at] ^= 1;
	fix_head(m->data + START_LEN, VMF_END_BODY);
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
	    /* within a frame, named by the object after it */
	    {split_segment, START_LEN + VMF_OBJECT_FIXED + 13},
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
	    {change_start, VMF_OBJECT_FIXED + 24}, /* virtual size */
	    {change_empty_disk, 16},		   /* id */
	    {change_empty_disk, 36},		   /* image */
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

/* --- a manifest that does not fit, and its digest in END made right */

static const struct {
	const char *key;
	bool of_image;
	json_int_t value;
} tails[] = {
    {"sums", false, -1},
    {"members", false, 9},
    {"data_chunks", true, 3},
    {"zero_chunks", true, 3},
    {"stored", true, 1},
    {"segments", true, 2},
    {"bad", true, 1},
    {"root", true, -1},
};

static void
change_tail(struct members *all, size_t n)
{
	struct member *tail = find(all, "manifest.json");
	char hex[2 * VMF_SHA_LEN + 1], line[256], *text;
	json_t *json =
	    json_loadb((char *)tail->data, (size_t)tail->head.size, 0, NULL);
	json_t *obj = json;

	CU_ASSERT_PTR_NOT_NULL_FATAL(json);
	if (tails[n].of_image)
		obj = json_array_get(json_object_get(json, "images"), 0);
	CU_ASSERT_PTR_NOT_NULL(json_object_get(obj, tails[n].key));
	memset(hex, 'a', sizeof(hex) - 1);
	hex[sizeof(hex) - 1] = '\0';
	json_object_set_new(obj, tails[n].key,
	    tails[n].value < 0 ? json_string(hex)
			       : json_integer(tails[n].value));
	text = json_dumps(json, JSON_SORT_KEYS | JSON_INDENT(1));
	set_data(tail, text, strlen(text));
	free(text);
	json_decref(json);
	digest_of(tail, hex);
	snprintf(line, sizeof(line), "%s  manifest.json\n", hex);
	set_data(find(all, "END"), line, strlen(line));
}

static void
manifests_say_what_was_there(void)
{
	size_t i;

	for (i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		ASSERT_FAILS(verify_changed(change_tail, i), VMF_INTEGRITY);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "manifest"));
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

/* Read all without looking into the disks. */
static int
skim(struct membuf *m)
{
	struct vmf_package_reader *r;
	struct vmf_package_item item;
	int more = -1;

	memset(&err, 0, sizeof(err));
	r = vmf_package_reader_open(membuf_in(m), NULL, &err);
	while (
	    r != NULL && (more = vmf_package_reader_next(r, &item, &err)) > 0)
		continue;
	if (more == 0)
		more = vmf_package_reader_finish(r, NULL, &err);
	vmf_package_reader_free(r);
	return more;
}

static void
longer_segments_are_refused(void)
{
	struct member *first, *second;
	struct membuf m = {0}, both = {0};
	struct members all;

	fill_segment(0, 1, &all);
	put_together(&all, &m);
	CU_ASSERT_EQUAL(skim(&m), 0);
	first = find(&all, "disks/vda/0000000000000000.zst");
	second = find(&all, "disks/vda/0000000002000000.zst");
	membuf_write(&both, first->data, (size_t)first->head.size, &err);
	membuf_write(&both, second->data, (size_t)second->head.size, &err);
	set_data(first, both.p, both.len);
	drop(&all, (size_t)(second - all.m));
	reseal(&all);
	put_together(&all, &m);
	ASSERT_FAILS(skim(&m), VMF_INTEGRITY);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "size"));
	forget(&all);
	membuf_free(&both);
	membuf_free(&m);
}

static void
disks_passed_over_need_their_end_too(void)
{
	struct membuf m = {0};
	struct members all;

	write_sample(&m, &plain);
	CU_ASSERT_EQUAL(skim(&m), 0);
	take_apart(&m, &all);
	cut_segment(&all, VMF_OBJECT_FIXED + VMF_END_BODY + VMF_OBJECT_SUM);
	put_together(&all, &m);
	ASSERT_FAILS(skim(&m), VMF_INTEGRITY);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "vda"));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "END is missing"));
	forget(&all);
	membuf_free(&m);
}

void
suite_package_changed(void)
{
	static const struct test_case cases[] = {
	    {"members have one order", members_have_one_order},
	    {"strangers are refused everywhere",
		strangers_are_refused_everywhere},
	    {"resealed changes are refused", resealed_changes_are_refused},
	    {"segments are cut before 48 MiB", segments_are_cut_before_48_mib},
	    {"manifests say what was there", manifests_say_what_was_there},
	    {"longer segments are refused", longer_segments_are_refused},
	    {"disks passed over need their END too",
		disks_passed_over_need_their_end_too},
	};

	TEST_SUITE("package_changed", cases);
}
