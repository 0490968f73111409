/* savefile.c - see vmferry/savefile.h */
#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <vmferry/savefile.h>

#define MAGIC_SAVE  "LibvirtQemudSave"
#define MAGIC_PART  "LibvirtQemudPart"
#define VERSION_MAX 2

/* QEMU's migration stream: magic and version, big-endian on every host. */
#define QEMU_MAGIC   0x5145564du
#define QEMU_VERSION 3

bool
vmf_savefile_is(const void *head, size_t len)
{
	return len >= VMF_SAVEFILE_MAGIC &&
	       (memcmp(head, MAGIC_SAVE, VMF_SAVEFILE_MAGIC) == 0 ||
		   memcmp(head, MAGIC_PART, VMF_SAVEFILE_MAGIC) == 0);
}

void
vmf_savefile_complete(uint8_t head[VMF_SAVEFILE_HEAD])
{
	memcpy(head, MAGIC_SAVE, VMF_SAVEFILE_MAGIC);
}

const char *
vmf_savefile_format_name(enum vmf_savefile_format format)
{
	static const char *const names[VMF_SAVEFILE_FORMATS] = {
	    "raw", "gzip", "bzip2", "xz", "lzop", "zstd", "sparse"};

	return names[format];
}

/* The n-th number behind the magic. */
static uint32_t
number(const uint8_t *head, unsigned n, bool big)
{
	uint32_t v;

	memcpy(&v, head + VMF_SAVEFILE_MAGIC + 4 * n, sizeof(v));
	return big ? be32toh(v) : le32toh(v);
}

int
vmf_savefile_decode(const uint8_t head[VMF_SAVEFILE_HEAD],
    struct vmf_savefile *file, struct vmf_error *err)
{
	/* A version is a small number in one of the two orders only. */
	bool big = number(head, 0, false) > UINT16_MAX;
	uint32_t format;

	memset(file, 0, sizeof(*file));
	if (!vmf_savefile_is(head, VMF_SAVEFILE_HEAD))
		return vmf_fail(err, VMF_INTEGRITY,
		    "not a libvirt save file: its magic is missing");
	file->complete = memcmp(head, MAGIC_SAVE, VMF_SAVEFILE_MAGIC) == 0;
	file->foreign = big != (BYTE_ORDER == BIG_ENDIAN);
	file->version = number(head, 0, big);
	file->data_len = number(head, 1, big);
	file->running = number(head, 2, big) != 0;
	format = number(head, 3, big);
	file->cookie_off = number(head, 4, big);
	if (file->version == 0 || file->version > VERSION_MAX)
		return vmf_fail(err, VMF_INTEGRITY,
		    "save file of version %" PRIu32 "; known are 1 and %d: a "
		    "damaged header, or a newer libvirt's",
		    file->version, VERSION_MAX);
	if (format >= VMF_SAVEFILE_FORMATS)
		return vmf_fail(err, VMF_INTEGRITY,
		    "save file of unknown format %" PRIu32
		    ": a damaged header, or a newer libvirt's",
		    format);
	file->format = (enum vmf_savefile_format)format;
	if (file->data_len == 0 || file->data_len > VMF_SAVEFILE_XML_MAX)
		return vmf_fail(err, VMF_INTEGRITY,
		    "save file with %" PRIu32 " bytes of XML: a damaged header",
		    file->data_len);
	if (file->cookie_off >= file->data_len)
		return vmf_fail(err, VMF_INTEGRITY,
		    "save file with its cookie at %" PRIu32 " of %" PRIu32
		    " bytes: a damaged header",
		    file->cookie_off, file->data_len);
	return 0;
}

/* The text in data[off, end), which must end within it. */
static char *
text_in(const char *data, size_t off, size_t end, const char *what,
    struct vmf_error *err)
{
	char *text;

	if (memchr(data + off, '\0', end - off) == NULL) {
		vmf_fail(err, VMF_INTEGRITY,
		    "save file whose %s does not end: a damaged header", what);
		return NULL;
	}
	text = strdup(data + off);
	if (text == NULL)
		vmf_fail_errno(err, VMF_IO, "save file");
	return text;
}

int
vmf_savefile_read(
    struct vmf_in in, struct vmf_savefile *file, struct vmf_error *err)
{
	uint8_t head[VMF_SAVEFILE_HEAD];
	char *data = NULL;
	size_t got, xml_end;
	int rc = -1;

	if (in.read(in.ctx, head, sizeof(head), &got, err) < 0)
		return -1;
	if (got < sizeof(head))
		memset(head + got, 0, sizeof(head) - got);
	if (vmf_savefile_decode(head, file, err) < 0)
		return -1;
	data = malloc(file->data_len);
	if (data == NULL)
		return vmf_fail_errno(err, VMF_IO, "save file");
	if (in.read(in.ctx, data, file->data_len, &got, err) < 0)
		goto out;
	if (got < file->data_len) {
		vmf_fail(err, VMF_INTEGRITY,
		    "save file that ends within its XML, after %zu of %" PRIu32
		    " bytes",
		    got, file->data_len);
		goto out;
	}
	xml_end = file->cookie_off > 0 ? file->cookie_off : file->data_len;
	file->xml = text_in(data, 0, xml_end, "XML", err);
	if (file->xml == NULL)
		goto out;
	if (file->cookie_off > 0) {
		file->cookie = text_in(
		    data, file->cookie_off, file->data_len, "cookie", err);
		if (file->cookie == NULL)
			goto out;
	}
	rc = 0;
out:
	free(data);
	if (rc < 0)
		vmf_savefile_clear(file);
	return rc;
}

void
vmf_savefile_clear(struct vmf_savefile *file)
{
	if (file == NULL)
		return;
	free(file->xml);
	free(file->cookie);
	file->xml = file->cookie = NULL;
}

int
vmf_savefile_check_stream(const uint8_t *buf, size_t len, struct vmf_error *err)
{
	uint32_t v[2];

	if (len < sizeof(v))
		return vmf_fail(err, VMF_INTEGRITY,
		    "save file that ends before the guest's RAM");
	memcpy(v, buf, sizeof(v));
	if (be32toh(v[0]) != QEMU_MAGIC || be32toh(v[1]) != QEMU_VERSION)
		return vmf_fail(err, VMF_INTEGRITY,
		    "save file whose RAM is no stream of QEMU's, version %d",
		    QEMU_VERSION);
	return 0;
}
