/*
 * move.h - a domain from this host to another, as a transaction
 *
 * Stages: check, stop, copy, commit, activate; warm, most of the copy comes
 * before the stop, while the guest runs.  Until commit the source stays
 * what it was; the commit record in the journal, synced, is the one decision;
 * after it the source is marked as moved and the destination defined.  At
 * every instant at most one side can run the guest: the mark (held.h) stands
 * from before the first byte until the destination positively has nothing.
 *
 * The far end is serve.h, reached over one SSH session.
 * Thread rule: one thread.
 */
#ifndef VMFERRY_MOVE_H
#define VMFERRY_MOVE_H

#include <stdbool.h>
#include <stdint.h>

#include <vmferry/check.h>
#include <vmferry/engine.h>
#include <vmferry/host.h>
#include <vmferry/journal.h>
#include <vmferry/map.h>
#include <vmferry/ssh.h>

enum vmf_move_mode {
	VMF_MOVE_COLD, /* the guest is off while its disks travel */
	VMF_MOVE_WARM, /* it runs meanwhile, and is off for the last changes */
};

struct vmf_move_options {
	const char *dest;  /* how messages name the destination */
	const char *serve; /* command that runs the far end */
	const struct vmf_ssh_options *ssh; /* for sessions beside the one given;
					    * NULL: there are none */
	unsigned sessions;		   /* of SFTP, 0: chosen */
	struct vmf_map *map;		   /* NULL: none */
	const char *name;		   /* NULL: keep */
	bool new_identity;
	const char *const *overwrite; /* disks; NULL: none */
	uint32_t allow;		      /* see struct vmf_domain_scan */
	bool replace;		      /* a domain of that name and UUID there */
	bool readback;
	bool dry_run; /* check only */
	bool start;   /* start it there though it was off */
	enum vmf_move_mode mode;
	unsigned passes; /* of a warm move before the stop, at most; 0:
			  * until they no longer bring much */
	bool force_off;	 /* pull the plug when it does not shut down */
	bool shutdown;	 /* stop a running guest first */
	unsigned shutdown_timeout; /* seconds */
	bool hold;		   /* do not restart it when a later stage
				    * fails */
	uint32_t chunk;
	struct vmf_engine_options engine;
	const char *moves_dir; /* NULL: VMF_MOVES_DIR */
	const char *held_dir;  /* NULL: VMF_HELD_DIR */
	const char *lock_dir;  /* NULL: /run/vmferry */
	const char *scratch;   /* NULL: /var/tmp */
	/* Told as each stage begins; detail may be "". */
	void (*stage)(void *ctx, const char *stage, const char *detail);
	/* What the user should know, one line; may be NULL. */
	void (*note)(void *ctx, const char *text);
	void *ctx;
};

struct vmf_move_image {
	char name[65];
	char *source, *target;	   /* paths */
	uint64_t size;		   /* bytes the guest sees */
	uint64_t allocated;	   /* of these, on the source's disk */
	uint8_t root[VMF_SHA_LEN]; /* the same at both ends */
};

/* What was moved; vmf_move_report_clear() releases it. */
struct vmf_move_report {
	char id[2 * VMF_ID_LEN + 1];
	char name[VMF_MAP_NAME_MAX]; /* there */
	char uuid[VMF_DOMAIN_UUID_TEXT];
	struct vmf_move_image *images;
	size_t nimages;
	uint64_t size;	    /* of all images */
	uint64_t allocated; /* of these, on the source's disks */
	uint64_t stored;    /* as compressed */
	uint64_t sent;	    /* with everything around it */
	unsigned sessions;  /* of SFTP; 0: all went through one channel */
	unsigned passes;    /* that copied */
	uint64_t last_sent; /* bytes of the last pass, the guest being off */
	double seconds;
	double downtime; /* from stop to running; 0 when it did not run */
	bool running;	 /* there, at the end */
};
void vmf_move_report_clear(struct vmf_move_report *report);

/*
 * The check stage alone: a row for each condition that vmf_move() would ask
 * for.  ssh NULL: those of the source.  -1: no row could tell it.
 */
int vmf_move_check(struct vmf_host *host, struct vmf_ssh *ssh,
    const char *domain, const struct vmf_move_options *options,
    struct vmf_check *rows, struct vmf_error *err);

/*
 * The whole of it.  VMF_REFUSED: a check failed, nothing was touched.  Other
 * failures before commit leave the source as it was (a guest that was stopped
 * is started again, unless hold is set) and say so; after commit the message
 * names the command that goes on.
 */
int vmf_move(struct vmf_host *host, struct vmf_ssh *ssh, const char *domain,
    const struct vmf_move_options *options, struct vmf_move_report *report,
    struct vmf_error *err);

/* Finish a move whose commit record was written. */
int vmf_move_resume(struct vmf_host *host, struct vmf_ssh *ssh, const char *id,
    const struct vmf_move_options *options, struct vmf_error *err);

/*
 * Give the source back: before commit always, after it only when the
 * destination answers that nothing is defined there.  Removes at the
 * destination what this move created.
 */
int vmf_move_abort(struct vmf_host *host, struct vmf_ssh *ssh, const char *id,
    const struct vmf_move_options *options, struct vmf_error *err);

/*
 * libvirt on this host asks our hook before it starts a guest: proved by an
 * attempt with a marked, empty machine.  VMF_REFUSED says how to activate it.
 */
int vmf_move_check_hook(
    struct vmf_host *host, const char *held_dir, struct vmf_error *err);

#endif
