/*
 * fuzz_package.c - the tar reader and the package reader, whole and peeking
 *
 * The first byte says what is made right beforehand: tar headers, objects, and
 * the digests in SHA256SUMS, manifest.json and END.
 */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vmferry/digest.h>
#include <vmferry/package.h>
#include <vmferry/tar.h>

#include "fuzz.h"

enum { HEADERS = 1, OBJECTS = 2, DIGESTS = 4, PEEK = 8 };

#define HEX	(2 * VMF_SHA_LEN)
#define MEMBERS 64

struct member {
	struct vmf_tar_member head;
	uint8_t *data;
};

/* The members as their headers say, right or wrong. */
static size_t
members_of(uint8_t *p, size_t len, struct member *all)
{
	char size[13] = "";
	size_t n;

	for (n = 0; n < MEMBERS && len >= VMF_TAR_BLOCK && p[0] != 0; n++) {
		memset(&all[n].head, 0, sizeof(all[n].head));
		memcpy(all[n].head.name, p, VMF_TAR_NAME_MAX);
		memcpy(size, p + 124, 12);
		all[n].head.size = strtoull(size, NULL, 8);
		all[n].head.dir = p[156] == '5';
		all[n].data = p + VMF_TAR_BLOCK;
		if (all[n].head.size > len - VMF_TAR_BLOCK)
			return n;
		size_t step = VMF_TAR_BLOCK +
			      (((size_t)all[n].head.size + 511) & ~(size_t)511);
		if (step > len)
			return n + 1;
		p += step;
		len -= step;
	}
	return n;
}

static void
put_digest(const struct member *of, uint8_t *at, const uint8_t *end)
{
	uint8_t sum[VMF_SHA_LEN];
	char hex[HEX + 1];

	if (end - at < HEX ||
	    vmf_sha256(of->data, (size_t)of->head.size, sum, NULL) < 0)
		return;
	vmf_hex(sum, sizeof(sum), hex);
	memcpy(at, hex, HEX);
}

static uint8_t *
next_line(uint8_t *at, const uint8_t *end)
{
	uint8_t *nl = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;

	return nl != NULL ? nl + 1 : at;
}

static void
reseal_digests(struct member *all, size_t n)
{
	static const char key[] = "\"sums\": \"";
	uint8_t *at, *end;
	size_t i, k;

	for (i = 0; i < n; i++) {
		at = all[i].data;
		end = at + all[i].head.size;
		if (strcmp(all[i].head.name, "SHA256SUMS") == 0) {
			for (k = 0; k < i; k++) {
				if (all[k].head.dir)
					continue;
				put_digest(&all[k], at, end);
				at = next_line(at, end);
			}
		} else if (i > 0 &&
			   strcmp(all[i].head.name, "manifest.json") == 0) {
			at = memmem(
			    at, (size_t)(end - at), key, sizeof(key) - 1);
			if (at != NULL)
				put_digest(
				    &all[i - 1], at + sizeof(key) - 1, end);
		} else if (i > 0 && strcmp(all[i].head.name, "END") == 0) {
			put_digest(&all[i - 1], at, end);
		}
	}
}

static void
reseal(uint8_t what, uint8_t *p, size_t len)
{
	struct member all[MEMBERS];
	size_t n = members_of(p, len, all), i;

	for (i = 0; i < n; i++) {
		if ((what & HEADERS) != 0)
			(void)vmf_tar_header(
			    &all[i].head, all[i].data - VMF_TAR_BLOCK, NULL);
		if ((what & OBJECTS) != 0)
			reseal_objects(all[i].data, (size_t)all[i].head.size);
	}
	if ((what & DIGESTS) != 0)
		reseal_digests(all, n);
}

static void
peek(const uint8_t *p, size_t len)
{
	struct vmf_package_reader *r;
	struct vmf_error err;
	int fd = memfd_create("package", MFD_CLOEXEC);

	if (fd < 0)
		return;
	if (vmf_write_full(fd, p, len, &err) == 0 &&
	    lseek(fd, 0, SEEK_SET) == 0) {
		r = vmf_package_peek(fd, NULL, &err);
		vmf_package_reader_free(r);
	}
	close(fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct vmf_engine_options options = {
	    .budget = 64 * VMF_MIB};
	struct bytes bytes = {0};
	struct vmf_error err;
	uint8_t *copy;

	if (size == 0)
		return 0;
	copy = malloc(size);
	if (copy == NULL)
		return 0;
	memcpy(copy, data + 1, size - 1);
	reseal(data[0], copy, size - 1);
	bytes.p = copy;
	bytes.len = size - 1;
	if ((data[0] & PEEK) != 0)
		peek(copy, size - 1);
	else
		(void)vmf_package_verify(
		    (struct vmf_in){.read = bytes_read, .ctx = &bytes}, NULL,
		    &options, NULL, &err);
	free(copy);
	return 0;
}
