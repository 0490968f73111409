/* mover.c - see mover.h */
#include <stdlib.h>
#include <string.h>

#include <vmferry/domain.h>
#include <vmferry/shell.h>
#include <vmferry/transfer.h>

#include "mover.h"

void
mover_start(struct mover *m, const char *name, const char *usage)
{
	memset(m, 0, sizeof(*m));
	job_start(&m->job, name, usage);
	m->loc.kind = VMF_LOCATION_HOST;
	m->move.readback = true;
	m->move.shutdown_timeout = 120;
}

static int
parse_words(struct mover *m, int opt)
{
	struct vmf_error err;
	uint64_t n;

	switch (opt) {
	case MOVER_OPT_ALLOW:
		if (vmf_domain_allow(optarg, &m->move.allow, &err) < 0)
			return cli_misuse("--allow: %s", err.msg);
		return 0;
	case MOVER_OPT_IDENTITY:
		m->move.new_identity = strcmp(optarg, "new") == 0;
		if (!m->move.new_identity && strcmp(optarg, "keep") != 0)
			return cli_misuse("--identity: keep or new");
		return 0;
	case MOVER_OPT_MODE:
		m->move.mode =
		    strcmp(optarg, "warm") == 0 ? VMF_MOVE_WARM : VMF_MOVE_COLD;
		if (m->move.mode == VMF_MOVE_COLD &&
		    strcmp(optarg, "cold") != 0)
			return cli_misuse("--mode: '%s' is not known; cold and "
					  "warm are",
			    optarg);
		return 0;
	case MOVER_OPT_ON_FAILURE:
		m->move.hold = strcmp(optarg, "hold") == 0;
		if (!m->move.hold && strcmp(optarg, "restart") != 0)
			return cli_misuse("--on-failure: restart or hold");
		return 0;
	case MOVER_OPT_OVERWRITE:
		if (m->noverwrite == MOVER_OVERWRITE_MAX)
			return cli_misuse("--overwrite: too many");
		m->overwrite[m->noverwrite++] = optarg;
		return 0;
	case MOVER_OPT_PASSES:
		if (cli_number("--passes", optarg, 1, 100, &n) < 0)
			return VMF_USAGE;
		m->move.passes = (unsigned)n;
		return 0;
	case MOVER_OPT_SESSIONS:
		if (cli_number("--sessions", optarg, 1, VMF_SESSIONS_MAX, &n) <
		    0)
			return VMF_USAGE;
		m->move.sessions = (unsigned)n;
		return 0;
	case MOVER_OPT_SHUTDOWN_TIMEOUT:
		if (cli_number("--shutdown-timeout", optarg, 1, 86400, &n) < 0)
			return VMF_USAGE;
		m->move.shutdown_timeout = (unsigned)n;
		return 0;
	default:
		return -1;
	}
}

static int
parse_switches(struct mover *m, int opt)
{
	switch (opt) {
	case 'c':
		m->connect = optarg;
		return 0;
	case MOVER_OPT_DEST_CONNECT:
		m->dest_connect = optarg;
		return 0;
	case MOVER_OPT_FORCE_OFF:
		m->move.force_off = true;
		return 0;
	case MOVER_OPT_JSON:
		m->json = true;
		return 0;
	case MOVER_OPT_NAME:
		m->move.name = optarg;
		return 0;
	case MOVER_OPT_NO_READBACK:
		m->move.readback = false;
		return 0;
	case MOVER_OPT_REMOTE_SUDO:
		m->sudo = true;
		return 0;
	case MOVER_OPT_REPLACE:
		m->move.replace = true;
		return 0;
	case MOVER_OPT_SCRATCH:
		m->move.scratch = optarg;
		return 0;
	case MOVER_OPT_SHUTDOWN:
		m->move.shutdown = true;
		return 0;
	case MOVER_OPT_START:
		m->move.start = true;
		return 0;
	default:
		return -1;
	}
}

int
mover_option(int opt, struct mover *m)
{
	int status;

	if ((status = parse_words(m, opt)) >= 0 ||
	    (status = parse_switches(m, opt)) >= 0 ||
	    (status = remote_option(opt, optarg, &m->remote)) >= 0 ||
	    (status = cli_maps(opt, optarg, &m->move.map)) != -1)
		return status;
	return job_option(opt, &m->job);
}

int
mover_check(struct mover *m)
{
	m->move.overwrite = m->noverwrite > 0 ? m->overwrite : NULL;
	m->move.dry_run = m->job.common.dry_run;
	m->move.engine = m->job.engine;
	m->move.chunk = m->job.chunk;
	return cli_maps_check(m->move.map);
}

/* The command that runs the far end, for its login shell. */
static char *
serve_command(const struct mover *m, struct vmf_error *err)
{
	const char *words[8];
	size_t n = 0;

	if (m->sudo) {
		words[n++] = "sudo";
		words[n++] = "-n";
	}
	words[n++] = "vmf-move";
	words[n++] = "--serve";
	if (m->dest_connect != NULL) {
		words[n++] = "--connect";
		words[n++] = m->dest_connect;
	}
	words[n] = NULL;
	return vmf_shell_join(words, err);
}

struct vmf_ssh *
mover_open(struct mover *m, const char *destination, struct vmf_error *err)
{
	if (vmf_location_parse_host(destination, &m->loc, err) < 0)
		return NULL;
	m->move.dest = m->loc.host;
	m->command = serve_command(m, err);
	m->move.serve = m->command;
	if (m->command == NULL || vmf_ssh_global_init(err) < 0 ||
	    remote_resolve(&m->remote, &m->loc, m->job.engine.progress, err) <
		0)
		return NULL;
	m->move.ssh = &m->remote.ssh;
	return vmf_ssh_open(&m->remote.ssh, err);
}

void
mover_clear(struct mover *m)
{
	remote_clear(&m->remote);
	free(m->command);
	vmf_location_clear(&m->loc);
	vmf_map_free(m->move.map);
	m->command = NULL;
	m->move.map = NULL;
}
