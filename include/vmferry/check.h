/*
 * check.h - can it go there?  One list of conditions, a row for each
 *
 * vmf_move() and vmf-check ask the same functions: what fails here is what a
 * move would be refused for, before anything is touched.
 *
 * Thread rule: one thread at a time.
 */
#ifndef VMFERRY_CHECK_H
#define VMFERRY_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmferry/error.h>
#include <vmferry/host.h>
#include <vmferry/package.h>
#include <vmferry/place.h>

enum vmf_verdict {
	VMF_CHECK_OK,
	VMF_CHECK_WARN,
	VMF_CHECK_FAIL,
};
/* "ok", "warn", "fail" */
const char *vmf_check_verdict_name(enum vmf_verdict verdict);

struct vmf_check_row {
	char where[12]; /* "source", "destination", "link" */
	char what[80];	/* "state", "disk vda" */
	enum vmf_verdict verdict;
	enum vmf_class class; /* of a failure: the exit status of a move */
	char reason[1024];
	char mend[512]; /* what to do about it; may be "" */
	/* A map that would: "map-net" and its rule, where "..." is for the
	 * reader to fill in; both "" for none.  The rule is not quoted. */
	char map[16];
	char rule[1008];
};

struct vmf_check;
struct vmf_check *vmf_check_new(struct vmf_error *err);
void vmf_check_free(struct vmf_check *check); /* NULL-safe */
/* Rows that follow are of here; where is copied. */
void vmf_check_where(struct vmf_check *check, const char *where);

/*
 * Add a row; lack of memory shows in vmf_check_result().  The reason of a
 * message ends at its last "; ", the mend follows, as everywhere in vmferry.
 */
void vmf_check_ok(struct vmf_check *check, const char *what, const char *fmt,
    ...) __attribute__((format(printf, 3, 4)));
void vmf_check_warn(struct vmf_check *check, const char *what, const char *fmt,
    ...) __attribute__((format(printf, 3, 4)));
void vmf_check_fail(struct vmf_check *check, const char *what, const char *fmt,
    ...) __attribute__((format(printf, 3, 4)));
/* A failure as some function reported it. */
void vmf_check_error(
    struct vmf_check *check, const char *what, const struct vmf_error *err);
/* The map that would mend the row added last. */
void vmf_check_map(struct vmf_check *check, const char *map, const char *fmt,
    ...) __attribute__((format(printf, 3, 4)));

/* The n-th row, or NULL.  It lives until the next is added. */
const struct vmf_check_row *
vmf_check_row(const struct vmf_check *check, size_t n);
size_t vmf_check_count(const struct vmf_check *check, enum vmf_verdict verdict);
/* 0 when no row failed; else the first failure, as a message. */
int vmf_check_result(const struct vmf_check *check, struct vmf_error *err);

/* The rows as a JSON array, for the caller to free; and such rows added. */
char *vmf_check_format(const struct vmf_check *check, struct vmf_error *err);
int vmf_check_parse(
    struct vmf_check *check, const char *text, struct vmf_error *err);

/*
 * What names this very file or device, on every host that can see it, as far
 * as that can be told: two hosts of one kernel, a file of a shared file
 * system, a volume or disk with an identity of its own.  "" when there is
 * none.  The caller frees it; NULL: no memory.
 */
char *vmf_check_identity(const char *path);
/* Are these of one thing? live: it is being written to. */
bool vmf_check_same(const char *identity, const char *other, bool live);

/* Clocks of two hosts, in seconds, asked within uncertainty of each other. */
void vmf_check_clock(
    struct vmf_check *check, double here, double there, double uncertainty);

struct vmf_check_place {
	const struct vmf_package_info *info;
	const char *xml; /* before options' map, name and identity */
	const struct vmf_place_options *options;
	const uint64_t *allocated;   /* bytes each image needs; NULL: size */
	const char *const *identity; /* of each image; NULL: not known */
	bool live;		     /* these are being written to */
	bool start;		     /* it will be started */
	/* Versions it comes from; 0: none. */
	unsigned long libvirt, emulator, swtpm;
};

/*
 * A row for everything that this host must have or be for the domain.  When
 * all is well *place is the placement that was tried (the caller frees it), or
 * NULL.  -1: no row could tell it (memory, libvirt lost).
 */
int vmf_check_place(struct vmf_check *check, struct vmf_host *host,
    const struct vmf_check_place *what, struct vmf_place **place,
    struct vmf_error *err);

#endif
