/*
 * exec.h - a command at the far side, over a channel of an SSH session
 *
 * sshd gives the command to the user's login shell as one string: build it
 * with vmf_shell_join().  A noisy login shell may say something on standard
 * output before the command does; who reads answers waits for a word of the
 * command's own first.
 *
 * Both directions are served in every call: while vmf_exec_write() waits for
 * the far side to read, what that writes is kept here (16 MiB at most), so
 * that neither can wait for the other for ever.
 *
 * Errors and thread rule as in ssh.h.  VMF_REFUSED from vmf_exec_start(): the
 * server runs no commands for us (internal-sftp, a NAS).
 */
#ifndef VMFERRY_EXEC_H
#define VMFERRY_EXEC_H

#include <vmferry/io.h>
#include <vmferry/ssh.h>

#define VMF_EXEC_TAIL 8192

struct vmf_exec_status {
	/* As a shell tells it; 0 too where the server tells nothing, so that
	 * who must be sure has the command say so. */
	int status;
	char signal[32];	      /* "TERM"; "" unless one ended it */
	char tail[VMF_EXEC_TAIL + 1]; /* the last of what it said on stderr */
};

struct vmf_exec;
/* Borrows ssh; free it before the session. */
struct vmf_exec *
vmf_exec_start(struct vmf_ssh *ssh, const char *command, struct vmf_error *err);
void vmf_exec_free(struct vmf_exec *exec);

/* All of len, to the command's standard input. */
int vmf_exec_write(
    struct vmf_exec *exec, const void *buf, size_t len, struct vmf_error *err);
/* No more will come: the command sees the end of its input. */
int vmf_exec_end_input(struct vmf_exec *exec, struct vmf_error *err);
/*
 * What is there of its standard output, at least one byte unless it has ended
 * (*got is 0, and *ended true) or timeout_ms have passed (*got is 0).
 * timeout_ms < 0: no limit other than the session's.
 */
int vmf_exec_read(struct vmf_exec *exec, void *buf, size_t len, int timeout_ms,
    size_t *got, bool *ended, struct vmf_error *err);
/*
 * Ends the input, drops what is left of the output, waits for the command's
 * end.  A status that is not 0 is not a failure of this call.
 */
int vmf_exec_finish(struct vmf_exec *exec, struct vmf_exec_status *status,
    struct vmf_error *err);

/* The same as streams; they borrow exec. */
struct vmf_out vmf_exec_stdin(struct vmf_exec *exec);
struct vmf_in vmf_exec_stdout(struct vmf_exec *exec);

/*
 * Run a command to its end: in (may be NULL) is copied to it, its output to
 * out (may be NULL: dropped).
 */
int vmf_exec_run(struct vmf_ssh *ssh, const char *command, struct vmf_in *in,
    struct vmf_out *out, struct vmf_exec_status *status, struct vmf_error *err);

#endif
