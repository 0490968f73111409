/* test_stream.c - writer and reader: one image, its bytes, and all damage */
#include <stdio.h>

#include <vmferry/digest.h>
#include <vmferry/engine.h>

#include "membuf.h"
#include "test.h"

#define CHUNK ((uint32_t)VMF_CHUNK_MIN)

static struct vmf_error err;
static const uint8_t id[VMF_ID_LEN] = "0123456789abcde";
static const uint8_t other_id[VMF_ID_LEN] = "another id here";

static struct vmf_geometry
geometry(uint64_t size)
{
	return (struct vmf_geometry){.size = size,
	    .chunk = CHUNK,
	    .format = VMF_RAW,
	    .virtual_size = size};
}

static void
put_data(struct vmf_writer *w, uint32_t len, uint64_t seed)
{
	struct vmf_encoder *enc = vmf_encoder_new(3, &err);
	uint8_t *raw = malloc(len), *frame = malloc(vmf_frame_bound(len));
	uint8_t digest[VMF_SHA_LEN];
	size_t stored;

	prose(raw, len, seed);
	memset(raw + len / 8, 'x', len - len / 8);
	CU_ASSERT_EQUAL(vmf_sha256(raw, len, digest, &err), 0);
	CU_ASSERT_EQUAL(vmf_encode(enc, raw, len, frame, &stored, &err), 0);
	CU_ASSERT_EQUAL(vmf_writer_data(w, len, digest, frame, stored,
			    vmf_checksum(frame, stored), &err),
	    0);
	free(frame);
	free(raw);
	vmf_encoder_free(enc);
}

/*
 * START, DATA, DATA, ZERO of two chunks, ZERO of one, DATA of 600 bytes, END:
 * every kind of object and a few kilobytes in all.
 */
#define SMALL_SIZE (5 * (uint64_t)CHUNK + 600)
static struct membuf
small_stream(const uint8_t *stream_id, uint64_t said)
{
	struct vmf_geometry geo = geometry(said);
	struct membuf m = {0};
	struct vmf_out out = membuf_out(&m);
	struct vmf_writer *w = vmf_writer_new(
	    vmf_carrier_out(&out), stream_id, 0, &geo, NULL, &err);

	CU_ASSERT_PTR_NOT_NULL_FATAL(w);
	put_data(w, CHUNK, 1);
	put_data(w, CHUNK, 2);
	CU_ASSERT_EQUAL(vmf_writer_zero(w, CHUNK, &err), 0);
	CU_ASSERT_EQUAL(vmf_writer_zero(w, 2 * CHUNK, &err), 0);
	put_data(w, 600, 3);
	CU_ASSERT_EQUAL(vmf_writer_end(w, NULL, &err), 0);
	vmf_writer_free(w);
	return m;
}

/* Read and verify all of it, as vmf-verify would. */
static int
verify(struct membuf *m)
{
	struct vmf_engine_options options = {.budget = VMF_BUDGET_DEFAULT};
	struct vmf_reader *r = vmf_reader_open(membuf_in(m), &err);
	int rc;

	if (r == NULL)
		return -1;
	rc = vmf_restore(r, NULL, NULL, &options, &err);
	vmf_reader_free(r);
	return rc;
}

/* Where its objects begin, and the end of the last; returns how many. */
static size_t
find_objects(const struct membuf *m, size_t at[16])
{
	struct vmf_object obj;
	size_t n = 0, pos = 0;

	while (pos < m->len) {
		CU_ASSERT_FATAL(n < 15);
		at[n++] = pos;
		CU_ASSERT_EQUAL_FATAL(
		    vmf_object_decode(m->p + pos, &obj, &err), 0);
		pos += vmf_object_head_len(&obj) + obj.stored;
	}
	at[n] = pos;
	return n;
}

static void
one_image_gives_one_row_of_bytes(void)
{
	struct membuf a = small_stream(id, SMALL_SIZE);
	struct membuf b = small_stream(id, SMALL_SIZE);
	struct membuf c = small_stream(other_id, SMALL_SIZE);
	size_t at[16];

	CU_ASSERT_EQUAL(verify(&a), 0);
	CU_ASSERT(a.len == b.len && memcmp(a.p, b.p, a.len) == 0);
	CU_ASSERT(a.len == c.len && memcmp(a.p, c.p, a.len) != 0);
	CU_ASSERT_EQUAL(find_objects(&a, at), 7);
	membuf_free(&a);
	membuf_free(&b);
	membuf_free(&c);
}

static void
objects_come_back_in_order(void)
{
	static const struct {
		enum vmf_kind kind;
		uint64_t off, len;
	} wanted[] = {
	    {VMF_DATA, 0, CHUNK},
	    {VMF_DATA, CHUNK, CHUNK},
	    {VMF_ZERO, 2 * CHUNK, 2 * CHUNK},
	    {VMF_ZERO, 4 * CHUNK, CHUNK},
	    {VMF_DATA, 5 * CHUNK, 600},
	};
	struct membuf m = small_stream(id, SMALL_SIZE);
	struct vmf_reader *r = vmf_reader_open(membuf_in(&m), &err);
	uint8_t *frame = malloc(vmf_frame_bound(CHUNK));
	const struct vmf_totals *totals;
	struct vmf_object obj;
	size_t i;

	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	CU_ASSERT_EQUAL(vmf_reader_geometry(r)->size, SMALL_SIZE);
	CU_ASSERT_EQUAL(memcmp(vmf_reader_id(r), id, VMF_ID_LEN), 0);
	for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		CU_ASSERT_EQUAL(vmf_reader_next(r, &obj, frame, &err), 1);
		CU_ASSERT_EQUAL(obj.kind, wanted[i].kind);
		CU_ASSERT_EQUAL(obj.off, wanted[i].off);
		CU_ASSERT_EQUAL(obj.len, wanted[i].len);
	}
	CU_ASSERT_EQUAL(vmf_reader_next(r, &obj, frame, &err), 0);
	CU_ASSERT_EQUAL(vmf_reader_next(r, &obj, frame, &err), 0);
	totals = vmf_reader_totals(r);
	CU_ASSERT_EQUAL(totals->size, SMALL_SIZE);
	CU_ASSERT_EQUAL(totals->data_chunks, 3);
	CU_ASSERT_EQUAL(totals->zero_chunks, 3);
	vmf_reader_free(r);
	free(frame);
	membuf_free(&m);
}

/* Only zeros: whatever way they are told, the objects are the same. */
static struct membuf
zeros_stream(uint64_t size, uint64_t step)
{
	struct vmf_geometry geo = geometry(size);
	struct membuf m = {0};
	struct vmf_out out = membuf_out(&m);
	struct vmf_writer *w =
	    vmf_writer_new(vmf_carrier_out(&out), id, 0, &geo, NULL, &err);
	uint64_t off;

	CU_ASSERT_PTR_NOT_NULL_FATAL(w);
	for (off = 0; off < size; off += step)
		CU_ASSERT_EQUAL(
		    vmf_writer_zero(
			w, size - off < step ? size - off : step, &err),
		    0);
	CU_ASSERT_EQUAL(vmf_writer_end(w, NULL, &err), 0);
	vmf_writer_free(w);
	return m;
}

static void
zero_runs_are_cut_to_powers_of_two(void)
{
	/* 2 GiB + 3 chunks + 1 byte: 1G 1G 2 1, and what is left */
	const uint64_t size = 2 * VMF_GIB + 3 * CHUNK + 1;
	static const uint64_t lens[] = {
	    0, VMF_GIB, VMF_GIB, 2 * CHUNK, CHUNK, 1, 0};
	struct membuf m = zeros_stream(size, size), n;
	struct vmf_object obj;
	size_t at[16], i;

	CU_ASSERT_EQUAL_FATAL(find_objects(&m, at), 7);
	for (i = 0; i < 7; i++) {
		vmf_object_decode(m.p + at[i], &obj, &err);
		CU_ASSERT_EQUAL(obj.len, lens[i]);
	}
	CU_ASSERT_EQUAL(verify(&m), 0);
	n = zeros_stream(size, 8 * CHUNK);
	CU_ASSERT(m.len == n.len && memcmp(m.p, n.p, m.len) == 0);
	membuf_free(&m);
	membuf_free(&n);
	m = zeros_stream(0, 1);
	CU_ASSERT_EQUAL(find_objects(&m, at), 2);
	CU_ASSERT_EQUAL(verify(&m), 0);
	membuf_free(&m);
}

static void
unknown_sizes_work(void)
{
	struct membuf m = small_stream(id, VMF_SIZE_UNKNOWN);
	struct vmf_reader *r = vmf_reader_open(membuf_in(&m), &err);

	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	CU_ASSERT_EQUAL(vmf_reader_geometry(r)->size, VMF_SIZE_UNKNOWN);
	vmf_reader_free(r);
	CU_ASSERT_EQUAL(verify(&m), 0);
	membuf_free(&m);
}

static void
every_flipped_bit_is_refused(void)
{
	struct membuf m = small_stream(id, SMALL_SIZE);
	size_t bit;

	for (bit = 0; bit < 8 * m.len; bit++) {
		m.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		err.class = VMF_OK;
		if (verify(&m) == 0 || err.class != VMF_INTEGRITY) {
			printf("byte %zu bit %zu: ", bit / 8, bit % 8);
			CU_FAIL("a flipped bit passed");
		}
		m.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	CU_ASSERT_EQUAL(verify(&m), 0);
	membuf_free(&m);
}

static void
every_cut_is_refused(void)
{
	struct membuf m = small_stream(id, SMALL_SIZE);
	size_t whole = m.len;

	for (m.len = 0; m.len < whole; m.len++) {
		ASSERT_FAILS(verify(&m), VMF_INTEGRITY);
		CU_ASSERT(err.msg[0] != '\0');
	}
	CU_ASSERT_EQUAL(verify(&m), 0);
	membuf_free(&m);
}

/* The stream with its objects in this order; -1 ends it. */
static struct membuf
reordered(const struct membuf *m, const int *order)
{
	struct membuf out = {0};
	size_t at[16];

	find_objects(m, at);
	for (; *order >= 0; order++)
		membuf_write(
		    &out, m->p + at[*order], at[*order + 1] - at[*order], &err);
	return out;
}

static void
misplaced_objects_are_refused(void)
{
	/* 0 START, 1 2 DATA, 3 4 ZERO, 5 DATA, 6 END */
	static const int wrong[][12] = {
	    {0, 2, 1, 3, 4, 5, 6, -1},	     /* swapped */
	    {0, 1, 2, 4, 3, 5, 6, -1},	     /* likewise, zeros */
	    {0, 1, 1, 2, 3, 4, 5, 6, -1},    /* twice */
	    {0, 1, 2, 3, 3, 4, 5, 6, -1},    /* likewise, zeros */
	    {0, 1, 3, 4, 5, 6, -1},	     /* missing */
	    {0, 1, 2, 3, 5, 6, -1},	     /* likewise, zeros */
	    {0, 1, 2, 3, 4, 6, -1},	     /* likewise, the last */
	    {0, 6, -1},			     /* all of them */
	    {1, 2, 3, 4, 5, 6, -1},	     /* no START */
	    {0, 0, 1, 2, 3, 4, 5, 6, -1},    /* START twice */
	    {0, 1, 2, 3, 4, 5, -1},	     /* no END */
	    {0, 1, 2, 3, 4, 5, 6, 6, -1},    /* END twice */
	    {0, 1, 6, 2, 3, 4, 5, 6, -1},    /* END early */
	    {6, -1},			     /* nothing but END */
	    {0, 1, 2, 3, 4, 5, 6, 0, 6, -1}, /* another stream behind */
	};
	struct membuf m = small_stream(id, SMALL_SIZE), bad;
	size_t i;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		bad = reordered(&m, wrong[i]);
		ASSERT_FAILS(verify(&bad), VMF_INTEGRITY);
		membuf_free(&bad);
	}
	membuf_free(&m);
}

static void
objects_of_another_stream_are_refused(void)
{
	struct membuf a = small_stream(id, SMALL_SIZE);
	struct membuf b = small_stream(other_id, SMALL_SIZE);
	size_t at[16], n = find_objects(&a, at), i;

	for (i = 1; i < n; i++) {
		struct membuf bad = {0};

		membuf_write(&bad, a.p, at[i], &err);
		membuf_write(&bad, b.p + at[i], at[i + 1] - at[i], &err);
		membuf_write(&bad, a.p + at[i + 1], a.len - at[i + 1], &err);
		ASSERT_FAILS(verify(&bad), VMF_INTEGRITY);
		membuf_free(&bad);
	}
	membuf_free(&a);
	membuf_free(&b);
}

static void
bytes_behind_the_end_are_refused(void)
{
	struct membuf m = small_stream(id, SMALL_SIZE);

	membuf_write(&m, "", 1, &err);
	ASSERT_FAILS(verify(&m), VMF_INTEGRITY);
	membuf_free(&m);
}

/*
 * Change a field of object n's head, or its body, and make its checksum good
 * again: what remains is for the rules to refuse.
 */
static void
forge(struct membuf *m, size_t n, size_t field, size_t len, uint64_t value)
{
	struct vmf_object obj;
	uint8_t *head, v[8];
	size_t at[16];

	find_objects(m, at);
	head = m->p + at[n];
	vmf_object_decode(head, &obj, &err);
	vmf_put_le64(v, value);
	memcpy(head + field, v, len);
	vmf_put_le64(head + VMF_OBJECT_FIXED + obj.body_len,
	    vmf_checksum(head, VMF_OBJECT_FIXED + obj.body_len));
}

static void
forgeries_are_refused(void)
{
	static const struct {
		size_t object, field, len;
		uint64_t value;
		const char *says;
	} forged[] = {
	    {0, 12, 1, 2, "needs a newer"},	       /* version */
	    {1, 13, 1, 9, "needs a newer"},	       /* kind */
	    {1, 14, 2, 1, "needs a newer"},	       /* flags */
	    {0, 112 + 16, 8, 1 << 5, "needs a newer"}, /* features */
	    {0, 112 + 12, 4, 7, "needs a newer"},      /* format */
	    {0, 32, 4, 1, ""},			       /* generation */
	    {1, 32, 4, 1, ""},			       /* generation */
	    {1, 36, 4, 1, ""},			       /* image */
	    {1, 40, 8, CHUNK, ""},		       /* offset */
	    {1, 48, 8, CHUNK - 1, ""},		       /* length */
	    {1, 48, 8, 2 * CHUNK, ""},		       /* length */
	    {1, 108, 4, 1, ""},			       /* reserved */
	    {1, 64, 8, 1, ""},			       /* frame_sum */
	    {1, 72, 8, 1, "SHA-256"},		       /* digest */
	    {3, 48, 8, CHUNK, ""},		       /* zeros: length */
	    {3, 64, 8, 1, ""},			       /* zeros: frame_sum */
	    {3, 72, 8, 1, ""},			       /* zeros: digest */
	    {5, 48, 8, 599, ""},		       /* the last: length */
	    {5, 48, 8, 601, ""},		       /* the last: length */
	    {0, 112, 8, SMALL_SIZE + 1, ""},	       /* size */
	    {0, 112, 8, SMALL_SIZE - 1, ""},	       /* size */
	    {0, 112 + 8, 4, 2 * CHUNK, ""},	       /* chunk */
	    {6, 112, 8, SMALL_SIZE + 1, ""},	       /* END's size */
	    {6, 112 + 8, 8, 4, ""},		       /* data chunks */
	    {6, 112 + 16, 8, 4, ""},		       /* zero chunks */
	    {6, 112 + 24, 8, 1, ""},		       /* stored */
	    {6, 112 + 32, 8, 1, ""},		       /* root */
	    {6, 112 + 64, 8, 1, ""},	    /* flat, without feature */
	    {6, 40, 8, SMALL_SIZE - 1, ""}, /* END's offset */
	    {6, 112 + 100, 4, 1, ""},	    /* reserved */
	};
	size_t i;

	for (i = 0; i < sizeof(forged) / sizeof(forged[0]); i++) {
		struct membuf m = small_stream(id, SMALL_SIZE);

		forge(&m, forged[i].object, forged[i].field, forged[i].len,
		    forged[i].value);
		err.class = VMF_OK;
		err.msg[0] = '\0';
		if (verify(&m) == 0 || err.class != VMF_INTEGRITY ||
		    strstr(err.msg, forged[i].says) == NULL) {
			printf("forgery %zu: '%s' ", i, err.msg);
			CU_FAIL("a forgery passed");
		}
		membuf_free(&m);
	}
}

static void
zeros_without_frame_are_for_the_wire(void)
{
	struct membuf m = small_stream(id, SMALL_SIZE), bad = {0};
	size_t at[16], head = VMF_OBJECT_FIXED + VMF_OBJECT_SUM;

	find_objects(&m, at);
	membuf_write(&bad, m.p, at[3] + head, &err);
	vmf_put_le64(bad.p + at[3] + 56, 0);
	vmf_put_le64(bad.p + at[3] + 64, 0);
	vmf_put_le64(bad.p + at[3] + 112, vmf_checksum(bad.p + at[3], 112));
	membuf_write(&bad, m.p + at[4], m.len - at[4], &err);
	ASSERT_FAILS(verify(&bad), VMF_INTEGRITY);
	membuf_free(&bad);
	membuf_free(&m);
}

/* Sound in itself, but not what the rule makes of three chunks. */
static void
zero_runs_of_other_lengths_are_refused(void)
{
	const uint64_t len = 3 * (uint64_t)CHUNK;
	struct membuf m = small_stream(id, SMALL_SIZE), bad = {0};
	size_t head_len = VMF_OBJECT_FIXED + VMF_OBJECT_SUM;
	uint8_t *frame = malloc(vmf_zero_frame_len(len));
	uint8_t head[VMF_OBJECT_FIXED + VMF_OBJECT_SUM];
	struct vmf_object obj;
	size_t at[16];

	find_objects(&m, at);
	CU_ASSERT_EQUAL(vmf_object_decode(m.p + at[3], &obj, &err), 0);
	obj.len = len;
	obj.stored = vmf_zero_frame_len(len);
	vmf_zero_frame(len, frame);
	obj.frame_sum = vmf_checksum(frame, obj.stored);
	vmf_object_encode(&obj, head);
	membuf_write(&bad, m.p, at[3], &err);
	membuf_write(&bad, head, head_len, &err);
	membuf_write(&bad, frame, obj.stored, &err);
	membuf_write(&bad, m.p + at[5], m.len - at[5], &err);
	ASSERT_FAILS(verify(&bad), VMF_INTEGRITY);
	free(frame);
	membuf_free(&bad);
	membuf_free(&m);
}

static void
other_things_are_named(void)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *says;
	} things[] = {
	    {"", 0, "empty"},
	    {"\x28\xB5\x2F\xFD\x04\x00", 6, "plain zstd"},
	    {"QFI\xfb", 4, "no vmferry stream"},
	};
	char package[512] = "vmferry";
	struct membuf m = {0};
	size_t i;

	for (i = 0; i < sizeof(things) / sizeof(things[0]); i++) {
		membuf_write(&m, things[i].bytes, things[i].len, &err);
		ASSERT_FAILS(verify(&m), VMF_INTEGRITY);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, things[i].says));
		membuf_free(&m);
	}
	membuf_write(&m, package, sizeof(package), &err);
	ASSERT_FAILS(verify(&m), VMF_INTEGRITY);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "vmf-unpack"));
	membuf_free(&m);
}

static void
deltas_are_refused(void)
{
	struct membuf m = small_stream(id, SMALL_SIZE);

	forge(&m, 0, VMF_OBJECT_FIXED + 16, 8, VMF_FEATURE_DELTA);
	ASSERT_FAILS(verify(&m), VMF_REFUSED);
	membuf_free(&m);
}

static void
the_writer_keeps_the_rules(void)
{
	struct vmf_geometry geo = geometry(2 * CHUNK);
	uint8_t digest[VMF_SHA_LEN] = {0}, frame[16] = {0};
	struct membuf m = {0};
	struct vmf_out out = membuf_out(&m);
	struct vmf_writer *w =
	    vmf_writer_new(vmf_carrier_out(&out), id, 0, &geo, NULL, &err);

	CU_ASSERT_PTR_NOT_NULL_FATAL(w);
	ASSERT_FAILS(vmf_writer_zero(w, 0, &err), VMF_INTERNAL);
	ASSERT_FAILS(vmf_writer_zero(w, 2 * CHUNK + 1, &err), VMF_INTERNAL);
	ASSERT_FAILS(vmf_writer_end(w, NULL, &err), VMF_INTERNAL);
	CU_ASSERT_EQUAL(vmf_writer_data(w, 512, digest, frame, 16, 0, &err), 0);
	/* nothing follows a chunk that is short */
	ASSERT_FAILS(vmf_writer_zero(w, CHUNK, &err), VMF_INTERNAL);
	ASSERT_FAILS(vmf_writer_data(w, CHUNK, digest, frame, 16, 0, &err),
	    VMF_INTERNAL);
	vmf_writer_free(w);
	membuf_free(&m);
}

static int
full(void *ctx, const void *buf, size_t len, struct vmf_error *error)
{
	size_t *room = ctx;

	(void)buf;
	if (len > *room)
		return vmf_fail(error, VMF_IO, "full");
	*room -= len;
	return 0;
}

static void
a_full_carrier_is_reported(void)
{
	struct vmf_geometry geo = geometry(CHUNK);
	size_t room, whole = 10000;
	struct vmf_out out = {.write = full, .ctx = &room};
	struct vmf_writer *w;
	int rc;

	for (room = 0; room < whole;) {
		size_t before = room;

		w = vmf_writer_new(
		    vmf_carrier_out(&out), id, 0, &geo, NULL, &err);
		rc = w == NULL || vmf_writer_zero(w, CHUNK, &err) < 0 ||
		     vmf_writer_end(w, NULL, &err) < 0;
		if (rc != 0)
			CU_ASSERT_EQUAL(err.class, VMF_IO);
		vmf_writer_free(w);
		if (rc == 0)
			break;
		room = before + 1;
	}
	/* START 208, ZERO 120 + 14, END 224 */
	CU_ASSERT_EQUAL(rc, 0);
	CU_ASSERT_EQUAL(room, 0);
}

void
suite_stream(void)
{
	static const struct test_case cases[] = {
	    {"one image gives one row of bytes",
		one_image_gives_one_row_of_bytes},
	    {"objects come back in order", objects_come_back_in_order},
	    {"zero runs are cut to powers of two",
		zero_runs_are_cut_to_powers_of_two},
	    {"unknown sizes work", unknown_sizes_work},
	    {"every flipped bit is refused", every_flipped_bit_is_refused},
	    {"every cut is refused", every_cut_is_refused},
	    {"misplaced objects are refused", misplaced_objects_are_refused},
	    {"objects of another stream are refused",
		objects_of_another_stream_are_refused},
	    {"bytes behind the end are refused",
		bytes_behind_the_end_are_refused},
	    {"forgeries are refused", forgeries_are_refused},
	    {"zeros without frame are for the wire",
		zeros_without_frame_are_for_the_wire},
	    {"zero runs of other lengths are refused",
		zero_runs_of_other_lengths_are_refused},
	    {"other things are named", other_things_are_named},
	    {"deltas are refused", deltas_are_refused},
	    {"the writer keeps the rules", the_writer_keeps_the_rules},
	    {"a full carrier is reported", a_full_carrier_is_reported},
	};

	TEST_SUITE("stream", cases);
}
