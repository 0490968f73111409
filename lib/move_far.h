/*
 * move_far.h - the far end of a move, as its source sees it (move.c only)
 *
 * One exec channel that runs vmf-move --serve.  Failures that the far end
 * reports are passed on with its name in front.
 */
#ifndef VMFERRY_MOVE_FAR_H
#define VMFERRY_MOVE_FAR_H

#include <vmferry/exec.h>
#include <vmferry/move.h>

#include "wire.h"

struct vmf_move_far {
	const struct vmf_move_options *options;
	struct vmf_exec *exec;
	struct vmf_ssh *own; /* a session made by _again() */
	struct vmf_wire wire;
	bool lost; /* the connection failed: what it did last is not known */
	bool over; /* it hears no more: it is receiving, or has failed to, and
		    * removes by itself what it made */
};

/* Start it and compare versions. */
int vmf_move_far_open(struct vmf_move_far *far, struct vmf_ssh *ssh,
    const struct vmf_move_options *options, struct vmf_error *err);
/* After the connection was lost: a new one, if it can be had. */
int vmf_move_far_again(struct vmf_move_far *far, struct vmf_error *err);
void vmf_move_far_close(struct vmf_move_far *far);

/*
 * Send request (taken) and return the answer, which is ok; NULL on failure.
 * far->lost tells a failure that was not the far end's own word.
 */
json_t *vmf_move_far_ask(
    struct vmf_move_far *far, json_t *request, struct vmf_error *err);
/* The same in two halves, for what goes between them. */
int vmf_move_far_send(
    struct vmf_move_far *far, json_t *request, struct vmf_error *err);
json_t *vmf_move_far_answer(struct vmf_move_far *far, struct vmf_error *err);

#endif
