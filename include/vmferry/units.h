/*
 * units.h - numbers as people write and read them
 *
 * Sizes and rates use factors of 1024: 64K, 4M, 1G, 2T, with an optional
 * trailing "iB" or "B" (4MiB).  Numbers are parsed whole: leading or trailing
 * characters, signs and values out of bounds are refused (VMF_USAGE).
 * All functions are pure and may be called from any thread.
 */
#ifndef VMFERRY_UNITS_H
#define VMFERRY_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmferry/error.h>

#define VMF_KIB (UINT64_C(1) << 10)
#define VMF_MIB (UINT64_C(1) << 20)
#define VMF_GIB (UINT64_C(1) << 30)

#define VMF_ID_LEN  16 /* bytes of a package or transfer id */
#define VMF_SHA_LEN 32 /* bytes of a SHA-256 */

/* A size in bytes, min <= size <= max. */
int vmf_parse_size(const char *s, uint64_t min, uint64_t max, uint64_t *size,
    struct vmf_error *err);
/* A plain decimal number, min <= n <= max. */
int vmf_parse_number(const char *s, uint64_t min, uint64_t max, uint64_t *n,
    struct vmf_error *err);

/* "4.0 GiB", into buf (at least VMF_SIZE_TEXT bytes); returns buf. */
#define VMF_SIZE_TEXT 24
const char *vmf_format_size(uint64_t size, char *buf);

/* Lower-case hex of len bytes; text holds 2 * len + 1 bytes. */
void vmf_hex(const void *bytes, size_t len, char *text);
/* The reverse: exactly 2 * len lower-case hex digits and no more. */
int vmf_unhex(const char *text, void *bytes, size_t len);

/*
 * An id is 16 bytes, shown as 32 hex digits.  The parser also takes a UUID's
 * dashes and upper-case digits.  vmf_id_random() asks the system's generator.
 */
int vmf_parse_id(const char *s, uint8_t id[VMF_ID_LEN], struct vmf_error *err);
int vmf_id_random(uint8_t id[VMF_ID_LEN], struct vmf_error *err);

/* Little-endian fields of the wire and file formats. */
void vmf_put_le16(uint8_t *p, uint16_t v);
void vmf_put_le32(uint8_t *p, uint32_t v);
void vmf_put_le64(uint8_t *p, uint64_t v);
uint16_t vmf_get_le16(const uint8_t *p);
uint32_t vmf_get_le32(const uint8_t *p);
uint64_t vmf_get_le64(const uint8_t *p);

bool vmf_is_power_of_two(uint64_t n);

#endif
