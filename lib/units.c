/* units.c - see vmferry/units.h */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include <vmferry/units.h>

/* Digits only, no sign, no space; *end is the first character not taken. */
static int
take_digits(const char *s, uint64_t *n, const char **end)
{
	uint64_t v = 0;

	if (*s < '0' || *s > '9')
		return -1;
	for (; *s >= '0' && *s <= '9'; s++) {
		uint64_t digit = (uint64_t)(*s - '0');

		if (v > (UINT64_MAX - digit) / 10)
			return -1;
		v = v * 10 + digit;
	}
	*n = v;
	*end = s;
	return 0;
}

static int
check_bounds(const char *s, uint64_t v, uint64_t min, uint64_t max,
    struct vmf_error *err)
{
	if (v < min || v > max)
		return vmf_fail(err, VMF_USAGE,
		    "%s: out of bounds (%" PRIu64 " to %" PRIu64 ")", s, min,
		    max);
	return 0;
}

int
vmf_parse_number(const char *s, uint64_t min, uint64_t max, uint64_t *n,
    struct vmf_error *err)
{
	const char *end;
	uint64_t v;

	if (take_digits(s, &v, &end) < 0 || *end != '\0')
		return vmf_fail(err, VMF_USAGE, "'%s' is not a number", s);
	if (check_bounds(s, v, min, max, err) < 0)
		return -1;
	*n = v;
	return 0;
}

int
vmf_parse_size(const char *s, uint64_t min, uint64_t max, uint64_t *size,
    struct vmf_error *err)
{
	static const char letters[] = "KMGTPE";
	const char *end, *letter;
	unsigned shift = 0;
	uint64_t v;

	if (take_digits(s, &v, &end) < 0)
		goto bad;
	if (*end != '\0' && (letter = strchr(letters, *end)) != NULL) {
		shift = 10 * (unsigned)(letter - letters + 1);
		end++;
		if (strcmp(end, "iB") == 0 || strcmp(end, "B") == 0)
			end += strlen(end);
	}
	if (*end != '\0' || (v << shift) >> shift != v)
		goto bad;
	v <<= shift;
	if (check_bounds(s, v, min, max, err) < 0)
		return -1;
	*size = v;
	return 0;
bad:
	return vmf_fail(err, VMF_USAGE,
	    "'%s' is not a size; write bytes or a number with K, M, G or T", s);
}

const char *
vmf_format_size(uint64_t size, char *buf)
{
	static const char *const names[] = {
	    "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	unsigned unit = 0;
	double v = (double)size;

	while (v >= 1024 && unit < 6) {
		v /= 1024;
		unit++;
	}
	if (unit == 0)
		snprintf(buf, VMF_SIZE_TEXT, "%u B", (unsigned)size);
	else
		snprintf(buf, VMF_SIZE_TEXT, "%.1f %s", v, names[unit]);
	return buf;
}

void
vmf_hex(const void *bytes, size_t len, char *text)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *p = bytes;
	size_t i;

	for (i = 0; i < len; i++) {
		text[2 * i] = digits[p[i] >> 4];
		text[2 * i + 1] = digits[p[i] & 15];
	}
	text[2 * len] = '\0';
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int
vmf_unhex(const char *text, void *bytes, size_t len)
{
	uint8_t *p = bytes;
	size_t i;

	for (i = 0; i < len; i++) {
		int hi = hex_digit(text[2 * i]);
		int lo = hi < 0 ? -1 : hex_digit(text[2 * i + 1]);

		if (lo < 0)
			return -1;
		p[i] = (uint8_t)(hi << 4 | lo);
	}
	return text[2 * len] == '\0' ? 0 : -1;
}

int
vmf_parse_id(const char *s, uint8_t id[VMF_ID_LEN], struct vmf_error *err)
{
	char plain[2 * VMF_ID_LEN + 1];
	size_t n = 0;
	const char *p;

	for (p = s; *p != '\0'; p++) {
		if (*p == '-')
			continue;
		if (n == 2 * VMF_ID_LEN)
			goto bad;
		plain[n++] = *p >= 'A' && *p <= 'F' ? (char)(*p + 32) : *p;
	}
	plain[n] = '\0';
	if (n == 2 * VMF_ID_LEN && vmf_unhex(plain, id, VMF_ID_LEN) == 0)
		return 0;
bad:
	return vmf_fail(
	    err, VMF_USAGE, "'%s' is not an id of 32 hex digits", s);
}

int
vmf_id_random(uint8_t id[VMF_ID_LEN], struct vmf_error *err)
{
	if (getrandom(id, VMF_ID_LEN, 0) != VMF_ID_LEN)
		return vmf_fail_errno(err, VMF_INTERNAL, "random id");
	return 0;
}

void
vmf_put_le16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

void
vmf_put_le32(uint8_t *p, uint32_t v)
{
	vmf_put_le16(p, (uint16_t)v);
	vmf_put_le16(p + 2, (uint16_t)(v >> 16));
}

void
vmf_put_le64(uint8_t *p, uint64_t v)
{
	vmf_put_le32(p, (uint32_t)v);
	vmf_put_le32(p + 4, (uint32_t)(v >> 32));
}

uint16_t
vmf_get_le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

uint32_t
vmf_get_le32(const uint8_t *p)
{
	return vmf_get_le16(p) | (uint32_t)vmf_get_le16(p + 2) << 16;
}

uint64_t
vmf_get_le64(const uint8_t *p)
{
	return vmf_get_le32(p) | (uint64_t)vmf_get_le32(p + 4) << 32;
}

bool
vmf_is_power_of_two(uint64_t n)
{
	return n != 0 && (n & (n - 1)) == 0;
}
