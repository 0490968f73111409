/* vmf-move.c - a domain from this host to another, in one command */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include <vmferry/domain.h>
#include <vmferry/move.h>
#include <vmferry/shell.h>
#include <vmferry/serve.h>

#include "cli.h"
#include "maps.h"
#include "remote.h"

static const char usage[] =
    "vmf-move [-nqv] [-c uri] [-i keyfile] [-j jobs] [-z level]\n"
    "                [--accept-new] [--allow kinds] [--chunk size]\n"
    "                [--dest-connect uri] [--identity keep|new] [--json]\n"
    "                [--map rule] [--map-file file] [--map-firmware rule]\n"
    "                [--map-net rule] [--map-path rule] [--mode cold]\n"
    "                [--name name] [--no-readback] [--on-failure "
    "restart|hold]\n"
    "                [--overwrite disk] [--progress mode] [--remote-sudo]\n"
    "                [--replace] [--scratch dir] [--shutdown]\n"
    "                [--shutdown-timeout seconds] [--start] [--timeout "
    "seconds]\n"
    "                domain destination\n"
    "       vmf-move --resume id destination\n"
    "       vmf-move --abort id destination\n"
    "       vmf-move --status id\n"
    "       vmf-move --list\n";

enum {
	OPT_ABORT = CLI_OPT,
	OPT_ALLOW,
	OPT_CHUNK,
	OPT_DEST_CONNECT,
	OPT_IDENTITY,
	OPT_JSON,
	OPT_LIST,
	OPT_MODE,
	OPT_NAME,
	OPT_NO_READBACK,
	OPT_ON_FAILURE,
	OPT_OVERWRITE,
	OPT_PROGRESS,
	OPT_REMOTE_SUDO,
	OPT_REPLACE,
	OPT_RESUME,
	OPT_SCRATCH,
	OPT_SERVE,
	OPT_SHUTDOWN,
	OPT_SHUTDOWN_TIMEOUT,
	OPT_START,
	OPT_STATUS,
};

static const struct option longs[] = {
    CLI_LONG,
    CLI_MAPS_LONG,
    REMOTE_LONG,
    {"connect", required_argument, NULL, 'c'},
    {"jobs", required_argument, NULL, 'j'},
    {"compress", required_argument, NULL, 'z'},
    {"abort", required_argument, NULL, OPT_ABORT},
    {"allow", required_argument, NULL, OPT_ALLOW},
    {"chunk", required_argument, NULL, OPT_CHUNK},
    {"dest-connect", required_argument, NULL, OPT_DEST_CONNECT},
    {"identity", required_argument, NULL, OPT_IDENTITY},
    {"json", no_argument, NULL, OPT_JSON},
    {"list", no_argument, NULL, OPT_LIST},
    {"mode", required_argument, NULL, OPT_MODE},
    {"name", required_argument, NULL, OPT_NAME},
    {"no-readback", no_argument, NULL, OPT_NO_READBACK},
    {"on-failure", required_argument, NULL, OPT_ON_FAILURE},
    {"overwrite", required_argument, NULL, OPT_OVERWRITE},
    {"progress", required_argument, NULL, OPT_PROGRESS},
    {"remote-sudo", no_argument, NULL, OPT_REMOTE_SUDO},
    {"replace", no_argument, NULL, OPT_REPLACE},
    {"resume", required_argument, NULL, OPT_RESUME},
    {"scratch", required_argument, NULL, OPT_SCRATCH},
    {"serve", no_argument, NULL, OPT_SERVE},
    {"shutdown", no_argument, NULL, OPT_SHUTDOWN},
    {"shutdown-timeout", required_argument, NULL, OPT_SHUTDOWN_TIMEOUT},
    {"start", no_argument, NULL, OPT_START},
    {"status", required_argument, NULL, OPT_STATUS},
    {NULL, 0, NULL, 0},
};

#define OVERWRITE_MAX 64

struct options {
	struct cli_common common;
	struct cli_progress_mode progress;
	struct remote remote;
	struct vmf_move_options move;
	int verb; /* OPT_ABORT, _LIST, _RESUME, _SERVE, _STATUS; 0: move */
	const char *id, *domain, *destination;
	const char *connect, *dest_connect;
	const char *overwrite[OVERWRITE_MAX + 1];
	size_t noverwrite;
	bool json, sudo;
};

/* ---- options ----------------------------------------------------------- */

static int
parse_words(struct options *o, int opt)
{
	struct vmf_error err;
	uint64_t n;

	switch (opt) {
	case OPT_ALLOW:
		if (vmf_domain_allow(optarg, &o->move.allow, &err) < 0)
			return cli_misuse("--allow: %s", err.msg);
		return 0;
	case OPT_CHUNK:
		if (cli_size("--chunk", optarg, VMF_CHUNK_MIN, VMF_CHUNK_MAX,
			&n) < 0)
			return VMF_USAGE;
		if (!vmf_is_power_of_two(n))
			return cli_misuse(
			    "--chunk: '%s' is not a power of two", optarg);
		o->move.chunk = (uint32_t)n;
		return 0;
	case OPT_IDENTITY:
		o->move.new_identity = strcmp(optarg, "new") == 0;
		if (!o->move.new_identity && strcmp(optarg, "keep") != 0)
			return cli_misuse("--identity: keep or new");
		return 0;
	case OPT_MODE:
		if (strcmp(optarg, "cold") != 0)
			return cli_misuse(
			    "--mode: '%s' is not known; cold is", optarg);
		return 0;
	case OPT_ON_FAILURE:
		o->move.hold = strcmp(optarg, "hold") == 0;
		if (!o->move.hold && strcmp(optarg, "restart") != 0)
			return cli_misuse("--on-failure: restart or hold");
		return 0;
	case OPT_OVERWRITE:
		if (o->noverwrite == OVERWRITE_MAX)
			return cli_misuse("--overwrite: too many");
		o->overwrite[o->noverwrite++] = optarg;
		return 0;
	case OPT_PROGRESS:
		if (cli_parse_progress(optarg, &o->progress, &err) < 0)
			return cli_misuse("%s", err.msg);
		return 0;
	case OPT_SHUTDOWN_TIMEOUT:
		if (cli_number("--shutdown-timeout", optarg, 1, 86400, &n) < 0)
			return VMF_USAGE;
		o->move.shutdown_timeout = (unsigned)n;
		return 0;
	default:
		return -1;
	}
}

static int
parse_switches(struct options *o, int opt)
{
	uint64_t n;

	switch (opt) {
	case 'c':
		o->connect = optarg;
		return 0;
	case 'j':
		if (cli_number("-j", optarg, 1, VMF_JOBS_MAX, &n) < 0)
			return VMF_USAGE;
		o->move.engine.jobs = (unsigned)n;
		return 0;
	case 'z':
		if (cli_number("-z", optarg, 0, VMF_LEVEL_MAX, &n) < 0)
			return VMF_USAGE;
		o->move.engine.level = (int)n;
		return 0;
	case OPT_DEST_CONNECT:
		o->dest_connect = optarg;
		return 0;
	case OPT_JSON:
		o->json = true;
		return 0;
	case OPT_NAME:
		o->move.name = optarg;
		return 0;
	case OPT_NO_READBACK:
		o->move.readback = false;
		return 0;
	case OPT_REMOTE_SUDO:
		o->sudo = true;
		return 0;
	case OPT_REPLACE:
		o->move.replace = true;
		return 0;
	case OPT_SCRATCH:
		o->move.scratch = optarg;
		return 0;
	case OPT_SHUTDOWN:
		o->move.shutdown = true;
		return 0;
	case OPT_START:
		o->move.start = true;
		return 0;
	default:
		return -1;
	}
}

static int
parse_verbs(struct options *o, int opt)
{
	switch (opt) {
	case OPT_ABORT:
	case OPT_RESUME:
	case OPT_STATUS:
		o->id = optarg;
		/* fallthrough */
	case OPT_LIST:
	case OPT_SERVE:
		if (o->verb != 0 && o->verb != opt)
			return cli_misuse("more than one thing to do");
		o->verb = opt;
		return 0;
	default:
		return -1;
	}
}

static int
parse_option(struct options *o, int opt)
{
	int status;

	if ((status = parse_words(o, opt)) >= 0 ||
	    (status = parse_switches(o, opt)) >= 0 ||
	    (status = parse_verbs(o, opt)) >= 0 ||
	    (status = remote_option(opt, optarg, &o->remote)) >= 0 ||
	    (status = cli_maps(opt, optarg, &o->move.map)) >= 0)
		return status;
	return cli_common(opt, &o->common) < 0 ? VMF_USAGE : 0;
}

static int
take_operands(struct options *o, int n, char *arg[])
{
	int wanted = o->verb == 0				     ? 2
		     : o->verb == OPT_ABORT || o->verb == OPT_RESUME ? 1
								     : 0;

	if (n != wanted)
		return cli_misuse(wanted == 2
				      ? "a domain and a destination are needed"
				  : wanted == 1 ? "a destination is needed"
						: "nothing more is taken");
	if (wanted == 2)
		o->domain = arg[0];
	if (wanted > 0)
		o->destination = arg[wanted - 1];
	return 0;
}

static int
parse(struct options *o, int argc, char *argv[])
{
	int opt, status;

	while ((opt = cli_getopt(
		    argc, argv, CLI_SHORT REMOTE_SHORT "c:j:z:", longs)) != -1)
		if ((status = parse_option(o, opt)) != 0)
			return status;
	status = take_operands(o, argc - optind, argv + optind);
	if (status == 0)
		status = cli_maps_check(o->move.map);
	o->move.overwrite = o->noverwrite > 0 ? o->overwrite : NULL;
	o->move.dry_run = o->common.dry_run;
	return status;
}

/* ---- what is said ---------------------------------------------------------
 */

static void
on_stage(void *ctx, const char *stage, const char *detail)
{
	struct options *o = ctx;

	cli_progress_stop();
	if (strcmp(stage, "copy") == 0)
		cli_progress_start(o->move.engine.progress, o->progress,
		    o->common.quiet, "copied");
	if (!o->common.quiet && !o->json)
		cli_say("%s%s%s", stage, detail[0] == '\0' ? "" : ": ", detail);
}

static void
print_text(const struct vmf_move_report *r, const char *dest, bool plan)
{
	char a[VMF_SIZE_TEXT], b[VMF_SIZE_TEXT], c[VMF_SIZE_TEXT];
	char d[VMF_SIZE_TEXT];
	char hex[2 * VMF_SHA_LEN + 1];
	size_t i;

	printf("%s %s %s (%s)\n", r->name, plan ? "can move to" : "moved to",
	    dest, r->uuid);
	for (i = 0; i < r->nimages; i++) {
		printf("  %-6s %s -> %s, %s\n", r->images[i].name,
		    r->images[i].source, r->images[i].target,
		    vmf_format_size(r->images[i].size, a));
		if (plan)
			continue;
		vmf_hex(r->images[i].root, VMF_SHA_LEN, hex);
		printf("         root %s, the same at both ends\n", hex);
	}
	if (plan)
		return;
	printf("  disks %s (%s allocated), stored %s, sent %s, in %.1f s",
	    vmf_format_size(r->size, a), vmf_format_size(r->allocated, d),
	    vmf_format_size(r->stored, b), vmf_format_size(r->sent, c),
	    r->seconds);
	if (r->downtime > 0)
		printf(", down for %.1f s", r->downtime);
	printf("\n  %s; the source is kept, held (move %s)\n",
	    r->running ? "running there" : "defined there, shut off", r->id);
}

static int
print_json(const struct vmf_move_report *r, const char *dest, bool plan,
    struct vmf_error *err)
{
	json_t *images = json_array(), *root;
	char hex[2 * VMF_SHA_LEN + 1];
	size_t i;
	int rc;

	for (i = 0; i < r->nimages; i++) {
		vmf_hex(r->images[i].root, VMF_SHA_LEN, hex);
		json_array_append_new(images,
		    json_pack("{s:s, s:s%, s:s%, s:I, s:s}", "name",
			r->images[i].name, "source", r->images[i].source,
			strlen(r->images[i].source), "target",
			r->images[i].target, strlen(r->images[i].target),
			"size", (json_int_t)r->images[i].size, "root", hex));
	}
	root = json_pack(
	    "{s:s, s:s, s:s, s:s, s:b, s:o, s:I, s:I, s:I, s:I, s:f, "
	    "s:f, s:b}",
	    "id", r->id, "name", r->name, "uuid", r->uuid, "destination", dest,
	    "plan", plan, "images", images, "size", (json_int_t)r->size,
	    "stored", (json_int_t)r->stored, "sent", (json_int_t)r->sent,
	    "allocated", (json_int_t)r->allocated, "seconds", r->seconds,
	    "downtime", r->downtime, "running", r->running);
	rc = root == NULL
		 ? -1
		 : json_dumpf(root, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
	json_decref(root);
	printf("\n");
	return rc == 0 ? 0 : vmf_fail(err, VMF_IO, "report: no memory");
}

/* ---- verbs
 * ------------------------------------------------------------------- */

static int
status(const char *id, struct vmf_error *err)
{
	struct vmf_journal *j = vmf_journal_open(NULL, id, err);
	const char *line;
	size_t i;

	if (j == NULL)
		return -1;
	for (i = 0; (line = vmf_journal_line(j, i)) != NULL; i++)
		printf("%s\n", line);
	vmf_journal_free(j);
	return 0;
}

/* One line for each move: its ID and the last thing its journal says. */
static int
list(struct vmf_error *err)
{
	char **ids = vmf_journal_list(NULL, err);
	size_t i, n;

	if (ids == NULL)
		return -1;
	for (i = 0; ids[i] != NULL; i++) {
		struct vmf_error busy;
		struct vmf_journal *j = vmf_journal_open(NULL, ids[i], &busy);
		const char *last = NULL, *line;

		for (n = 0;
		     j != NULL && (line = vmf_journal_line(j, n)) != NULL; n++)
			last = line;
		printf("%s %s\n", ids[i],
		    j == NULL	   ? busy.msg
		    : last == NULL ? "empty"
				   : last);
		vmf_journal_free(j);
	}
	free(ids);
	return 0;
}

static int
serve(const struct options *o, struct vmf_error *err)
{
	struct vmf_serve_options so = {
	    .connect = o->connect,
	    .scratch = o->move.scratch,
	    .engine = o->move.engine,
	};
	struct vmf_fd in = {STDIN_FILENO, "standard input"};
	struct vmf_fd out = {STDOUT_FILENO, "standard output"};

	if (isatty(STDIN_FILENO))
		return vmf_fail(err, VMF_USAGE,
		    "--serve is for the vmf-move of another host");
	return vmf_serve(vmf_in_fd(&in), vmf_out_fd(&out), &so, err);
}

/* The command that runs the far end, for its login shell. */
static char *
serve_command(const struct options *o, struct vmf_error *err)
{
	const char *words[8];
	size_t n = 0;

	if (o->sudo) {
		words[n++] = "sudo";
		words[n++] = "-n";
	}
	words[n++] = "vmf-move";
	words[n++] = "--serve";
	if (o->dest_connect != NULL) {
		words[n++] = "--connect";
		words[n++] = o->dest_connect;
	}
	words[n] = NULL;
	return vmf_shell_join(words, err);
}

static int
run_there(struct options *o, struct vmf_host *host, struct vmf_ssh *ssh,
    struct vmf_error *err)
{
	struct vmf_move_report report = {.nimages = 0};
	int rc;

	if (o->verb == OPT_ABORT)
		return vmf_move_abort(host, ssh, o->id, &o->move, err);
	if (o->verb == OPT_RESUME)
		return vmf_move_resume(host, ssh, o->id, &o->move, err);
	rc = vmf_move(host, ssh, o->domain, &o->move, &report, err);
	cli_progress_stop();
	if (rc == 0) {
		cli_maps_unused(o->move.map, o->common.quiet);
		if (o->json)
			rc = print_json(
			    &report, o->move.dest, o->move.dry_run, err);
		else if (!o->common.quiet)
			print_text(&report, o->move.dest, o->move.dry_run);
	}
	vmf_move_report_clear(&report);
	return rc;
}

static int
connect_and_run(struct options *o, struct vmf_error *err)
{
	struct vmf_location loc = {.kind = VMF_LOCATION_HOST};
	struct vmf_host *host = NULL;
	struct vmf_ssh *ssh = NULL;
	char *command = NULL;
	int rc = -1;

	if (vmf_location_parse_host(o->destination, &loc, err) < 0)
		return -1;
	o->move.dest = loc.host;
	command = serve_command(o, err);
	o->move.serve = command;
	if (command == NULL || vmf_ssh_global_init(err) < 0 ||
	    remote_resolve(&o->remote, &loc, o->move.engine.progress, err) < 0)
		goto out;
	host = vmf_host_open(o->connect, err);
	if (host == NULL)
		goto out;
	ssh = vmf_ssh_open(&o->remote.ssh, err);
	if (ssh == NULL)
		goto out;
	rc = run_there(o, host, ssh, err);
out:
	vmf_ssh_free(ssh);
	vmf_host_free(host);
	remote_clear(&o->remote);
	free(command);
	vmf_location_clear(&loc);
	return rc;
}

static int
run(struct options *o, struct vmf_error *err)
{
	switch (o->verb) {
	case OPT_SERVE:
		return serve(o, err);
	case OPT_STATUS:
		return status(o->id, err);
	case OPT_LIST:
		return list(err);
	default:
		return connect_and_run(o, err);
	}
}

int
main(int argc, char *argv[])
{
	static struct vmf_progress progress;
	struct options o = {
	    .progress = {-2},
	    .move = {.readback = true,
		.chunk = VMF_CHUNK_DEFAULT,
		.shutdown_timeout = 120,
		.stage = on_stage},
	};
	struct vmf_error err = {0};
	int rc;

	cli_start("vmf-move", usage);
	vmf_engine_defaults(&o.move.engine);
	o.move.engine.progress = &progress;
	o.move.ctx = &o;
	rc = parse(&o, argc, argv);
	if (rc == 0) {
		cli_signals(&progress);
		rc = cli_end(run(&o, &err), &err);
	}
	vmf_map_free(o.move.map);
	return rc;
}
