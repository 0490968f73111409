/*
 * move_internal.h - what the files of a move share (lib/move*.c only)
 */
#ifndef VMFERRY_MOVE_INTERNAL_H
#define VMFERRY_MOVE_INTERNAL_H

#include <vmferry/check.h>
#include <vmferry/held.h>
#include <vmferry/pack.h>

#include "copy.h"
#include "move_far.h"
#include "secrets.h"

struct move {
	const struct vmf_move_options *o;
	struct vmf_host *host;
	struct vmf_move_far far;
	struct vmf_journal *journal;
	struct vmf_pack *pack;
	struct vmf_pack *first_pack; /* that the copy began with */
	struct vmf_copy *copy;
	bool copied; /* something may be there */
	/* Of a resumed move: what it began with. */
	json_t *placement;
	uint32_t chunk;
	bool warm;
	bool cleaning; /* the source was given back, the far end not cleaned */
	int lock;
	struct vmf_host_state state; /* of the domain, at the beginning */
	uint8_t id[VMF_ID_LEN];
	char id_text[2 * VMF_ID_LEN + 1];
	char *xml_there; /* rewritten */
	char name_there[VMF_MAP_NAME_MAX];
	char uuid_there[VMF_DOMAIN_UUID_TEXT];
	bool marked, stopped, placed;
	double stopped_at;
};

/* Seconds, monotonic. */
double vmf_move_clock(void);
/* Tell whoever watches that a stage begins. */
void
vmf_move_enter(const struct move *m, const char *stage, const char *detail);
/* One run at a time on a domain: VMF_BUSY. */
int vmf_move_lock(struct move *m, const char *uuid, struct vmf_error *err);
/* Set the mark: "NAME verb DEST by vmferry ...". */
int vmf_move_mark(struct move *m, const char *verb, struct vmf_error *err);
/* Open the guest's parts; running: only to look. */
int vmf_move_open_pack(struct move *m, bool running, struct vmf_error *err);
/* Bytes that the source's file really takes; a device takes all of them. */
uint64_t vmf_move_allocated(const struct vmf_package_image *image);
/* What report says before anything has moved; targets may be NULL. */
int vmf_move_report_images(struct move *m, const json_t *targets,
    struct vmf_move_report *report, struct vmf_error *err);
/* What rows, copy and files have in common, as a request. */
json_t *vmf_move_placement(const struct move *m, const char *what);
/*
 * All conditions, at both ends; ssh NULL: the source's alone.  When no row
 * failed, m has all that the next stages need and *targets is the list of
 * paths there (the caller decrefs it).  -1: no row could tell it.
 */
int vmf_move_rows(struct move *m, struct vmf_ssh *ssh, const char *domain,
    struct vmf_check *rows, json_t **targets, struct vmf_error *err);
/*
 * Undo what was done, as far as it goes; 0 when all of it was.  err holds the
 * failure that led here; what could not be undone is added to it.
 */
int vmf_move_give_back(struct move *m, struct vmf_error *err);
/*
 * The copy (move_copy.c): begun, with resume gone on with; while the guest
 * runs, in passes; and the last pass, after which all is there and the same.
 */
int vmf_move_copy_begin(struct move *m, bool resume, struct vmf_error *err);
int vmf_move_copy_warm(
    struct move *m, struct vmf_move_report *report, struct vmf_error *err);
/* held: since a run that died the source provably has not changed. */
int vmf_move_copy_last(struct move *m, bool held,
    struct vmf_move_report *report, struct vmf_error *err);
/* Before the far end is asked anything else; NULL-safe. */
void vmf_move_copy_end(struct move *m);

/* The decision, and the definition there. */
int vmf_move_commit(struct move *m, struct vmf_error *err);
/* Start it there when asked, and close the journal. */
int vmf_move_activate(struct move *m, bool start, struct vmf_error *err);
void vmf_move_close(struct move *m);

#endif
