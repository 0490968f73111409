/*
 * copy.h - the disks of a move, from this host to its far end
 *
 *	vmf_copy_open()	the far end opens its targets, or goes on with what a
 *			run that died has left there
 *	vmf_copy_pass()	one generation: read every disk, send what the far end
 *			does not hold yet, wait until it is durable there
 *	...		a warm move makes several while the guest runs, and the
 *			last one after it was shut down
 *	vmf_copy_seal()	roots are compared, the far end gives the targets their
 *			names, or their heads and tails
 *	vmf_copy_free()	at any time; before _seal() the far end keeps what is
 *			durable for another vmf_copy_open() with the same id
 *
 * So a cold move is open, pass, seal; one that died is the same again, and
 * what is durable at the far end does not travel twice.  Every pass reads the
 * source again, unless the caller says that it is provably what it was.
 *
 * How the two ends talk is vmferry-stream(5), "On the wire".  While a copy is
 * open the far end's channel belongs to it (a thread of its own answers it, so
 * that the caller may do something else for minutes between two passes);
 * afterwards it takes requests as before.
 *
 * Thread rule: one thread.
 */
#ifndef VMFERRY_COPY_H
#define VMFERRY_COPY_H

#include <vmferry/engine.h>
#include <vmferry/journal.h>
#include <vmferry/pack.h>
#include <vmferry/ssh.h>

#include "move_far.h"

struct vmf_copy_options {
	struct vmf_engine_options engine;
	/* Segments go by SFTP over sessions made of this; NULL, or where the
	 * far side offers no SFTP: over the far end's own channel. */
	const struct vmf_ssh_options *ssh;
	unsigned sessions;	     /* 0: chosen */
	struct vmf_journal *journal; /* durable.DISK is kept beside it */
	const char *scratch;	     /* NULL: /var/tmp */
	/* The guest runs: what changes later goes as patches, for which sums
	 * of all blocks are kept in scratch (2 MiB for each GiB read). */
	bool patches;
	/* What the user should know, one line; may be NULL. */
	void (*note)(void *ctx, const char *text);
	void *ctx;
};

/* What one pass was. */
struct vmf_copy_pass {
	uint32_t generation;
	uint64_t read;	  /* bytes of the disks that were not holes */
	uint64_t chunks;  /* that travelled, whole or in part */
	uint64_t patches; /* of these, in part */
	uint64_t changed; /* bytes of the disks that travelled */
	uint64_t sent;	  /* bytes on the wire, as compressed */
	double seconds;
};

struct vmf_copy;

/*
 * request (taken) says where the disks go, as "rows" does, and with "resume"
 * true that what is durable there is to be kept; info is the pack's, and is
 * borrowed until vmf_copy_free().  VMF_REFUSED: a target cannot be written;
 * nothing was touched.
 */
struct vmf_copy *vmf_copy_open(struct vmf_move_far *far, json_t *request,
    const struct vmf_package_info *info, const struct vmf_copy_options *options,
    struct vmf_error *err);

/*
 * One generation.  pack has the disks of info, in its order.  With held set
 * the source cannot have changed since it was last read (the mark has stood,
 * the guest was off): what is durable is then not even read.
 */
int vmf_copy_pass(struct vmf_copy *copy, struct vmf_pack *pack, bool held,
    struct vmf_copy_pass *result, struct vmf_error *err);

/*
 * After the last pass: totals gets the sizes, chunks and root of every image.
 * VMF_INTEGRITY: the root there is another one.
 */
int vmf_copy_seal(
    struct vmf_copy *copy, struct vmf_totals *totals, struct vmf_error *err);

/* Bytes that went over the wire so far, everything around them included. */
uint64_t vmf_copy_sent(const struct vmf_copy *copy);
/* How many sessions of SFTP took part; 0: all went through the far end's own
 * channel. */
unsigned vmf_copy_sessions(const struct vmf_copy *copy);
/* NULL-safe. */
void vmf_copy_free(struct vmf_copy *copy);

#endif
