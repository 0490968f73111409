/* move_far.c - see move_far.h */
#include <string.h>

#include "move_far.h"

#define AGAIN_SECONDS 5

static int
wrap(struct vmf_move_far *far, struct vmf_error *err)
{
	return vmf_wrap(err, "%s", far->options->dest);
}

int
vmf_move_far_send(
    struct vmf_move_far *far, json_t *request, struct vmf_error *err)
{
	if (vmf_wire_send(&far->wire, request, err) == 0)
		return 0;
	far->lost = true;
	return -1;
}

json_t *
vmf_move_far_answer(struct vmf_move_far *far, struct vmf_error *err)
{
	json_t *answer = vmf_wire_receive(&far->wire, err);

	if (answer == NULL) {
		far->lost = true;
		/* What the session says names the host already. */
		if (err->class == VMF_OK)
			vmf_fail(err, VMF_REMOTE,
			    "%s: the vmferry there ended without an answer",
			    far->options->dest);
		return NULL;
	}
	if (vmf_wire_check(answer, err) == 0)
		return answer;
	json_decref(answer);
	wrap(far, err);
	return NULL;
}

json_t *
vmf_move_far_ask(
    struct vmf_move_far *far, json_t *request, struct vmf_error *err)
{
	if (vmf_move_far_send(far, request, err) < 0)
		return NULL;
	return vmf_move_far_answer(far, err);
}

int
vmf_move_far_open(struct vmf_move_far *far, struct vmf_ssh *ssh,
    const struct vmf_move_options *options, struct vmf_error *err)
{
	json_t *answer;
	bool same;

	memset(far, 0, sizeof(*far));
	far->options = options;
	far->exec = vmf_exec_start(ssh, options->serve, err);
	if (far->exec == NULL)
		return -1;
	if (vmf_wire_init(&far->wire, vmf_exec_stdout(far->exec),
		vmf_exec_stdin(far->exec), err) < 0)
		return -1;
	if (vmf_wire_await_hello(&far->wire, err) < 0)
		return wrap(far, err);
	answer = vmf_move_far_ask(far, json_pack("{s:s}", "do", "hello"), err);
	if (answer == NULL)
		return -1;
	same = strcmp(vmf_wire_text(answer, "version"), VMF_VERSION) == 0;
	if (!same)
		vmf_fail(err, VMF_REFUSED,
		    "%s has vmferry %s, this is %s; install the same at both "
		    "ends",
		    options->dest, vmf_wire_text(answer, "version"),
		    VMF_VERSION);
	json_decref(answer);
	return same ? 0 : -1;
}

int
vmf_move_far_again(struct vmf_move_far *far, struct vmf_error *err)
{
	const struct vmf_move_options *o = far->options;
	struct vmf_ssh_options ssh;
	struct vmf_ssh *own;

	if (o == NULL || o->ssh == NULL)
		return vmf_fail(err, VMF_REMOTE, "the connection is lost");
	vmf_move_far_close(far);
	ssh = *o->ssh;
	ssh.connect_timeout = AGAIN_SECONDS;
	own = vmf_ssh_open(&ssh, err);
	if (own == NULL)
		return -1;
	if (vmf_move_far_open(far, own, o, err) == 0) {
		far->own = own;
		return 0;
	}
	vmf_move_far_close(far);
	vmf_ssh_free(own);
	return -1;
}

void
vmf_move_far_close(struct vmf_move_far *far)
{
	if (far->wire.buf != NULL)
		vmf_wire_clear(&far->wire);
	vmf_exec_free(far->exec);
	far->exec = NULL;
	vmf_ssh_free(far->own);
	far->own = NULL;
}
