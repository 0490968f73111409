/*
 * serve.h - the destination's end of a move
 *
 * `vmf-move --serve`, started by the source over SSH, reads requests from in
 * and answers on out (lib/wire.h) until in ends.  It holds nothing between two
 * runs but what stands in its journal, DIR/ID, which has the move's own ID.
 *
 * Thread rule: one thread.
 */
#ifndef VMFERRY_SERVE_H
#define VMFERRY_SERVE_H

#include <vmferry/engine.h>
#include <vmferry/error.h>
#include <vmferry/io.h>
#include <vmferry/spool.h>

struct vmf_serve_options {
	const char *connect;   /* libvirt's URI; NULL: the default */
	const char *moves_dir; /* NULL: VMF_MOVES_DIR */
	const char *held_dir;  /* NULL: VMF_HELD_DIR */
	const char *scratch;   /* NULL: /var/tmp */
	struct vmf_engine_options engine;
	struct vmf_spool_options spool; /* all zeros: as spool.h says */
};

int vmf_serve(struct vmf_in in, struct vmf_out out,
    const struct vmf_serve_options *options, struct vmf_error *err);

#endif
