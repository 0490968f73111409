/* test_savefile.c - libvirt's save files, whole and damaged, in both orders */
#include <endian.h>
#include <string.h>

#include <vmferry/savefile.h>

#include "membuf.h"
#include "test.h"

#define XML    "<domain type='kvm'><name>web</name></domain>"
#define COOKIE "<qemu-save/>"
#define ROOM   256

static struct vmf_error err;

/* A save file's bytes as libvirt writes them. */
static size_t
make(uint8_t *buf, const char *magic, bool big, const uint32_t numbers[5])
{
	size_t i, cookie = numbers[4];
	uint32_t v;

	memset(buf, 0, 1024);
	memcpy(buf, magic, VMF_SAVEFILE_MAGIC);
	for (i = 0; i < 5; i++) {
		v = big ? htobe32(numbers[i]) : htole32(numbers[i]);
		memcpy(buf + VMF_SAVEFILE_MAGIC + 4 * i, &v, sizeof(v));
	}
	memcpy(buf + VMF_SAVEFILE_HEAD, XML, sizeof(XML));
	if (cookie > 0)
		memcpy(
		    buf + VMF_SAVEFILE_HEAD + cookie, COOKIE, sizeof(COOKIE));
	return VMF_SAVEFILE_HEAD + ROOM;
}

static int
read_made(uint8_t *buf, size_t len, struct vmf_savefile *file)
{
	struct membuf m = {.p = buf, .len = len};

	return vmf_savefile_read(membuf_in(&m), file, &err);
}

static void
complete_ones_are_read_in_both_byte_orders(void)
{
	const uint32_t numbers[5] = {2, ROOM, 1, VMF_SAVEFILE_LZOP, 128};
	struct vmf_savefile file;
	uint8_t buf[1024];
	size_t len;
	int big;

	for (big = 0; big < 2; big++) {
		len = make(buf, "LibvirtQemudSave", big, numbers);
		CU_ASSERT_TRUE(vmf_savefile_is(buf, len));
		CU_ASSERT_EQUAL_FATAL(read_made(buf, len, &file), 0);
		CU_ASSERT_TRUE(file.complete);
		CU_ASSERT_EQUAL(
		    file.foreign, big != (BYTE_ORDER == BIG_ENDIAN));
		CU_ASSERT_EQUAL(file.version, 2);
		CU_ASSERT_TRUE(file.running);
		CU_ASSERT_STRING_EQUAL(
		    vmf_savefile_format_name(file.format), "lzop");
		CU_ASSERT_STRING_EQUAL(file.xml, XML);
		CU_ASSERT_STRING_EQUAL(file.cookie, COOKIE);
		vmf_savefile_clear(&file);
	}
}

static void
an_incomplete_one_says_so(void)
{
	const uint32_t numbers[5] = {2, ROOM, 0, VMF_SAVEFILE_RAW, 0};
	struct vmf_savefile file;
	uint8_t buf[1024];
	size_t len = make(buf, "LibvirtQemudPart", false, numbers);

	CU_ASSERT_EQUAL_FATAL(read_made(buf, len, &file), 0);
	CU_ASSERT_FALSE(file.complete);
	CU_ASSERT_FALSE(file.running);
	CU_ASSERT_PTR_NULL(file.cookie);
	vmf_savefile_clear(&file);
	vmf_savefile_complete(buf);
	CU_ASSERT_EQUAL_FATAL(read_made(buf, len, &file), 0);
	CU_ASSERT_TRUE(file.complete);
	vmf_savefile_clear(&file);
}

/* The header with one number changed is refused, and names it. */
static void
refuse(const uint32_t numbers[5], const char *words)
{
	struct vmf_savefile file;
	uint8_t buf[1024];
	size_t len = make(buf, "LibvirtQemudSave", false, numbers);

	ASSERT_FAILS(read_made(buf, len, &file), VMF_INTEGRITY);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, words));
}

static void
damaged_headers_are_named(void)
{
	const uint32_t good[5] = {2, ROOM, 1, 0, 128};
	struct vmf_savefile file;
	uint8_t buf[1024];
	size_t len;

	refuse((uint32_t[]){3, ROOM, 1, 0, 128}, "version 3");
	refuse((uint32_t[]){0, ROOM, 1, 0, 128}, "version 0");
	refuse((uint32_t[]){2, ROOM, 1, 7, 128}, "format 7");
	refuse((uint32_t[]){2, 0, 1, 0, 0}, "0 bytes of XML");
	refuse((uint32_t[]){2, UINT32_MAX, 1, 0, 128}, "bytes of XML");
	refuse((uint32_t[]){2, ROOM, 1, 0, ROOM}, "cookie at 256");
	/* the XML's end would be behind the cookie's beginning */
	refuse((uint32_t[]){2, ROOM, 1, 0, 8}, "XML does not end");

	len = make(buf, "LibvirtQemudSave", false, good);
	buf[3] ^= 1;
	CU_ASSERT_FALSE(vmf_savefile_is(buf, len));
	ASSERT_FAILS(read_made(buf, len, &file), VMF_INTEGRITY);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "magic"));
}

static void
short_ones_are_refused_at_every_byte(void)
{
	const uint32_t numbers[5] = {2, ROOM, 1, 0, 128};
	struct vmf_savefile file;
	uint8_t buf[1024];
	size_t i, len = make(buf, "LibvirtQemudSave", false, numbers);

	for (i = 0; i < len; i++)
		ASSERT_FAILS(read_made(buf, i, &file), VMF_INTEGRITY);
	CU_ASSERT_EQUAL(read_made(buf, len, &file), 0);
	vmf_savefile_clear(&file);
}

static void
ram_is_qemus(void)
{
	uint8_t stream[8] = {'Q', 'E', 'V', 'M', 0, 0, 0, 3};

	CU_ASSERT_EQUAL(vmf_savefile_check_stream(stream, 8, &err), 0);
	ASSERT_FAILS(vmf_savefile_check_stream(stream, 7, &err), VMF_INTEGRITY);
	stream[7] = 2;
	ASSERT_FAILS(vmf_savefile_check_stream(stream, 8, &err), VMF_INTEGRITY);
}

void
suite_savefile(void)
{
	static const struct test_case cases[] = {
	    {"complete ones are read in both byte orders",
		complete_ones_are_read_in_both_byte_orders},
	    {"an incomplete one says so", an_incomplete_one_says_so},
	    {"damaged headers are named", damaged_headers_are_named},
	    {"short ones are refused at every byte",
		short_ones_are_refused_at_every_byte},
	    {"RAM is QEMU's", ram_is_qemus},
	};

	TEST_SUITE("savefile", cases);
}
