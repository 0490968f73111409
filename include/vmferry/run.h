/*
 * run.h - other programs: the one way to start them
 *
 * By absolute path, found in the system's directories and never in PATH; with
 * an environment of ours (LC_ALL=C, a fixed PATH, HOME=/) and what the caller
 * adds; no descriptor but 0 to 2 and those given; in a process group of its
 * own, so that ^C at the terminal ends us, and we decide what becomes of it.
 *
 * Thread rule: any thread; a child by the thread that started it, which must
 * live as long: when it ends, the child is terminated.
 */
#ifndef VMFERRY_RUN_H
#define VMFERRY_RUN_H

#include <sys/types.h>

#include <vmferry/error.h>
#include <vmferry/progress.h>

#define VMF_RUN_PATH 256

/* The path of program name in /usr/sbin, /usr/bin ...; VMF_REFUSED: it is not
 * installed. */
int
vmf_run_find(const char *name, char path[VMF_RUN_PATH], struct vmf_error *err);

struct vmf_run {
	const char *const *argv; /* NULL-terminated; argv[0]: as for find */
	const char *const *env;	 /* more of it, "NAME=value"; NULL: none */
	int in;			 /* standard input; 0: /dev/null */
	int out;		 /* standard output; 0: captured */
	unsigned seconds;	 /* it is killed then; 0: 60 */
	struct vmf_progress *progress; /* stop kills it; NULL: it does not */
};

/*
 * Run it to its end.  *text (may be NULL: not wanted) gets what it wrote, as a
 * string the caller frees, at most 16 MiB.  Not 0 is VMF_IO, with the last line
 * of its complaints; *status (may be NULL) gets the exit status.
 */
int vmf_run(
    const struct vmf_run *run, char **text, int *status, struct vmf_error *err);

/*
 * A server: it gets the listening socket as descriptor 3 in the way of systemd
 * (LISTEN_FDS), so that who connects need not wait for it.
 */
struct vmf_child;
struct vmf_child *
vmf_child_start(const struct vmf_run *run, int socket, struct vmf_error *err);
/* Has it ended?  With its last complaint as VMF_IO if so, else 0. */
int vmf_child_check(struct vmf_child *child, struct vmf_error *err);
/* Wait for its end, as vmf_run() does. */
int vmf_child_wait(
    struct vmf_child *child, unsigned seconds, struct vmf_error *err);
void vmf_child_free(struct vmf_child *child); /* NULL-safe; kills it */

#endif
