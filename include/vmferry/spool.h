/*
 * spool.h - a bounded directory through which segments come to us by SFTP
 *
 * The receiving end makes DIR/vmferry-ID (0700) with a fixed number of files
 * in it, the slots, called 00, 01 ...  The sending end writes a segment into a
 * slot, over what was there, and says so on another channel; the slot is free
 * again when it was told that the segment was received.  So the spool never
 * holds more than slots * slot_len bytes, and the pages of its files are used
 * again: the first touch of a page of tmpfs costs more than all that follows.
 *
 * We read through descriptors of our own, opened when the slots were made:
 * what is put in a slot's place by name is never looked at.
 *
 * Thread rule: read from any thread; the rest from one.
 */
#ifndef VMFERRY_SPOOL_H
#define VMFERRY_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <vmferry/error.h>
#include <vmferry/units.h>

#define VMF_SPOOL_SLOTS	    8
#define VMF_SPOOL_SLOTS_MAX 64

struct vmf_spool_options {
	const char *dir; /* to make it in; NULL: /dev/shm when that is tmpfs
			  * and has room to spare, else /var/tmp */
	unsigned slots;	 /* 0: VMF_SPOOL_SLOTS */
	size_t slot_len; /* bytes; 0: a segment's most */
	bool own;	 /* give it to this user, who will write into it */
	uid_t uid;
	gid_t gid;
};

struct vmf_spool;
/* One that an earlier run of the same id has left is removed first. */
struct vmf_spool *vmf_spool_new(const uint8_t id[VMF_ID_LEN],
    const struct vmf_spool_options *options, struct vmf_error *err);
const char *vmf_spool_path(const struct vmf_spool *spool);
unsigned vmf_spool_slots(const struct vmf_spool *spool);
size_t vmf_spool_slot_len(const struct vmf_spool *spool);
/* The first len bytes of a slot; VMF_INTEGRITY: there are fewer, or no such. */
int vmf_spool_read(struct vmf_spool *spool, unsigned slot, void *buf,
    size_t len, struct vmf_error *err);
/* Files and directory are removed; NULL-safe. */
void vmf_spool_free(struct vmf_spool *spool);

/* What a run that died has left of it, in any of the places. */
void vmf_spool_remove(const uint8_t id[VMF_ID_LEN], const char *dir);

/* "00", as it is called in the directory. */
#define VMF_SPOOL_NAME 4
void vmf_spool_slot_name(unsigned slot, char name[VMF_SPOOL_NAME]);

#endif
