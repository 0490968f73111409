/*
 * remote.h - what tools that reach another host share: options, the user's
 * surroundings (home, agent, ssh_config) and the passphrase prompt
 */
#ifndef VMFERRY_REMOTE_H
#define VMFERRY_REMOTE_H

#include <getopt.h>

#include <vmferry/location.h>
#include <vmferry/ssh.h>
#include <vmferry/transfer.h>

/* For the tool's own letters and long options. */
#define REMOTE_SHORT "i:"
enum {
	REMOTE_OPT_ACCEPT_NEW = 1024,
	REMOTE_OPT_TIMEOUT,
};
#define REMOTE_LONG                                                            \
	{"identity-file", required_argument, NULL, 'i'},                       \
	    {"accept-new", no_argument, NULL, REMOTE_OPT_ACCEPT_NEW},          \
	{                                                                      \
		"timeout", required_argument, NULL, REMOTE_OPT_TIMEOUT         \
	}

struct remote {
	const char *identity; /* -i */
	bool accept_new;
	unsigned timeout; /* seconds; 0: the library's */

	/* Filled by remote_resolve(). */
	struct vmf_ssh_options ssh;
	struct vmf_ssh_config *config;
};

/* 0: it was one of ours, VMF_USAGE: it was, and wrong (said), -1: it was not */
int remote_option(int opt, const char *arg, struct remote *remote);

/*
 * Fill remote->ssh for the host that loc names: ssh_config, environment and
 * options; borrows progress.  Free with remote_clear().
 */
int remote_resolve(struct remote *remote, const struct vmf_location *loc,
    struct vmf_progress *progress, struct vmf_error *err);
void remote_clear(struct remote *remote);

#endif
