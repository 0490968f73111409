/*
 * ssh.h - an authenticated SSH session over libssh2
 *
 * Non-blocking underneath: every wait has an end.  connect_timeout bounds the
 * time until the session stands; after that a far side that sends nothing for
 * stall_timeout, though keepalives ask it to, is lost (VMF_REMOTE).
 *
 * Errors: VMF_REMOTE unreachable, lost or not speaking our language; VMF_AUTH
 * host key or user refused; VMF_STOPPED when progress->stop was set; VMF_IO
 * local.  Messages name the host and the next step.
 *
 * Thread rule: a session, and all that is opened over it, belongs to one
 * thread at a time; different sessions are independent.  Call
 * vmf_ssh_global_init() before the first thread starts.
 */
#ifndef VMFERRY_SSH_H
#define VMFERRY_SSH_H

#include <stdbool.h>
#include <stdint.h>

#include <vmferry/error.h>
#include <vmferry/progress.h>

/* All strings and lists (NULL-terminated) are borrowed while in use. */
struct vmf_ssh_options {
	const char *host;  /* what to connect to */
	uint16_t port;	   /* 0: 22 */
	const char *user;  /* never NULL */
	const char *alias; /* the name in known_hosts; NULL: host */

	/* Run by sh as the connection, instead of TCP; NULL: none. */
	const char *proxy_command;

	/* The first takes what accept_new accepts. */
	const char *const *known_hosts;
	bool accept_new;       /* take and note an unknown host's key */
	bool hash_known_hosts; /* note it under a hashed name */

	const char *agent; /* its socket; NULL: none */
	/* Keys named by the user are tried before the agent's others; keys
	 * that are merely the usual names, after, and may be missing. */
	const char *const *identities;
	bool identities_named;
	bool identities_only; /* of the agent's, only those with these */
	/* Returns a malloc'd passphrase for the key file, or NULL: none. */
	char *(*passphrase)(void *ctx, const char *key_file);
	void *passphrase_ctx;

	unsigned connect_timeout;      /* seconds, 0: 30 */
	unsigned stall_timeout;	       /* seconds, 0: 60 */
	struct vmf_progress *progress; /* borrowed; its stop ends waits */
};

/* Once per process; not thread-safe. */
int vmf_ssh_global_init(struct vmf_error *err);

struct vmf_ssh;
struct vmf_ssh *
vmf_ssh_open(const struct vmf_ssh_options *options, struct vmf_error *err);
/* Says goodbye if the far side still listens; never waits. NULL-safe. */
void vmf_ssh_free(struct vmf_ssh *ssh);

/* HOST as messages name it; "kex hostkey cipher mac" for -v.  Borrowed. */
const char *vmf_ssh_name(const struct vmf_ssh *ssh);
const char *vmf_ssh_methods(const struct vmf_ssh *ssh);

/*
 * ssh_config(5), resolved by running the installed `ssh -G` without an
 * environment, so that Host, Match, Include and tokens mean what they mean to
 * ssh.  The result owns all strings and fills options as far as the
 * configuration goes: host, port, user, alias, proxy_command, known_hosts,
 * hash_known_hosts, identities, agent.
 */
struct vmf_ssh_query {
	const char *host;     /* as the user named it */
	const char *user;     /* NULL: not given */
	uint16_t port;	      /* 0: not given */
	const char *identity; /* named by the user, or NULL */
	const char *home;     /* the home that ~ means */
	const char *agent;    /* SSH_AUTH_SOCK or NULL */
};
struct vmf_ssh_config;
struct vmf_ssh_config *vmf_ssh_config_resolve(const struct vmf_ssh_query *query,
    struct vmf_ssh_options *options, struct vmf_error *err);
void vmf_ssh_config_free(struct vmf_ssh_config *config);

#endif
