/*
 * mover.h - what vmf-move and vmf-check share: a move's options and ends
 *
 * In a tool: MOVER_LONG among its long options, mover_option() in its option
 * loop, mover_check() after the last option, mover_open() to connect.
 */
#ifndef VMFERRY_MOVER_H
#define VMFERRY_MOVER_H

#include <vmferry/location.h>
#include <vmferry/move.h>

#include "job.h"
#include "maps.h"
#include "remote.h"

#define MOVER_SHORT JOB_SHORT JOB_STREAM_SHORT REMOTE_SHORT "c:"

/* Values far from those of the tools, and of maps. */
enum {
	MOVER_OPT_ALLOW = 512,
	MOVER_OPT_DEST_CONNECT,
	MOVER_OPT_FORCE_OFF,
	MOVER_OPT_IDENTITY,
	MOVER_OPT_JSON,
	MOVER_OPT_MODE,
	MOVER_OPT_NAME,
	MOVER_OPT_NO_READBACK,
	MOVER_OPT_ON_FAILURE,
	MOVER_OPT_OVERWRITE,
	MOVER_OPT_PASSES,
	MOVER_OPT_REMOTE_SUDO,
	MOVER_OPT_REPLACE,
	MOVER_OPT_SCRATCH,
	MOVER_OPT_SESSIONS,
	MOVER_OPT_SHUTDOWN,
	MOVER_OPT_SHUTDOWN_TIMEOUT,
	MOVER_OPT_START,
};

/* clang-format off */
#define MOVER_LONG                                                            \
	JOB_LONG, JOB_STREAM_LONG, CLI_MAPS_LONG, REMOTE_LONG,                 \
	{"connect", required_argument, NULL, 'c'},                             \
	{"allow", required_argument, NULL, MOVER_OPT_ALLOW},                   \
	{"dest-connect", required_argument, NULL, MOVER_OPT_DEST_CONNECT},     \
	{"force-off", no_argument, NULL, MOVER_OPT_FORCE_OFF},                 \
	{"identity", required_argument, NULL, MOVER_OPT_IDENTITY},             \
	{"json", no_argument, NULL, MOVER_OPT_JSON},                           \
	{"mode", required_argument, NULL, MOVER_OPT_MODE},                     \
	{"name", required_argument, NULL, MOVER_OPT_NAME},                     \
	{"no-readback", no_argument, NULL, MOVER_OPT_NO_READBACK},             \
	{"on-failure", required_argument, NULL, MOVER_OPT_ON_FAILURE},         \
	{"overwrite", required_argument, NULL, MOVER_OPT_OVERWRITE},           \
	{"passes", required_argument, NULL, MOVER_OPT_PASSES},                 \
	{"remote-sudo", no_argument, NULL, MOVER_OPT_REMOTE_SUDO},             \
	{"replace", no_argument, NULL, MOVER_OPT_REPLACE},                     \
	{"scratch", required_argument, NULL, MOVER_OPT_SCRATCH},               \
	{"sessions", required_argument, NULL, MOVER_OPT_SESSIONS},             \
	{"shutdown", no_argument, NULL, MOVER_OPT_SHUTDOWN},                   \
	{"shutdown-timeout", required_argument, NULL,                          \
	    MOVER_OPT_SHUTDOWN_TIMEOUT},                                       \
	{"start", no_argument, NULL, MOVER_OPT_START}
/* clang-format on */

#define MOVER_OVERWRITE_MAX 64

struct mover {
	struct job job;
	struct remote remote;
	struct vmf_move_options move;
	const char *connect, *dest_connect;
	const char *overwrite[MOVER_OVERWRITE_MAX + 1];
	size_t noverwrite;
	bool json, sudo;

	/* Filled by mover_open(). */
	struct vmf_location loc;
	char *command;
};

/* job_start(), and the defaults of a move. */
void mover_start(struct mover *m, const char *name, const char *usage);
/* An option of ours, or common to all tools: 0, or it was wrong (said). */
int mover_option(int opt, struct mover *m);
/* After the last option: 0, or the exit status (said). */
int mover_check(struct mover *m);

/* The session to the destination, and m->move.dest and .serve with it. */
struct vmf_ssh *
mover_open(struct mover *m, const char *destination, struct vmf_error *err);
void mover_clear(struct mover *m);

#endif
