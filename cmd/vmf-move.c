/* vmf-move.c - a domain from this host to another, in one command */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include <vmferry/move.h>
#include <vmferry/serve.h>

#include "mover.h"

static const char usage[] =
    "vmf-move [-nqv] [-c uri] [-i keyfile] [-j jobs] [-z level]\n"
    "                [--accept-new] [--allow kinds] [--chunk size]\n"
    "                [--dest-connect uri] [--force-off] [--identity keep|new]\n"
    "                [--json] [--map rule] [--map-file file] [--map-firmware "
    "rule]\n"
    "                [--map-net rule] [--map-path rule] [--mode cold|warm]\n"
    "                [--name name] [--no-readback] [--on-failure "
    "restart|hold]\n"
    "                [--overwrite disk] [--passes n] [--progress mode]\n"
    "                [--remote-sudo] [--replace] [--scratch dir] [--sessions "
    "n]\n"
    "                [--shutdown] [--shutdown-timeout seconds] [--start]\n"
    "                [--timeout seconds]\n"
    "                domain destination\n"
    "       vmf-move --resume id destination\n"
    "       vmf-move --abort id destination\n"
    "       vmf-move --status id\n"
    "       vmf-move --list\n";

enum {
	OPT_ABORT = CLI_OPT,
	OPT_LIST,
	OPT_RESUME,
	OPT_SERVE,
	OPT_STATUS,
};

static const struct option longs[] = {
    MOVER_LONG,
    {"abort", required_argument, NULL, OPT_ABORT},
    {"list", no_argument, NULL, OPT_LIST},
    {"resume", required_argument, NULL, OPT_RESUME},
    {"serve", no_argument, NULL, OPT_SERVE},
    {"status", required_argument, NULL, OPT_STATUS},
    {NULL, 0, NULL, 0},
};

struct options {
	struct mover m;
	int verb; /* OPT_ABORT, _LIST, _RESUME, _SERVE, _STATUS; 0: move */
	const char *id, *domain, *destination;
};

/* ---- options ----------------------------------------------------------- */

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
	int status = parse_verbs(o, opt);

	return status >= 0 ? status : mover_option(opt, &o->m);
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

	while ((opt = cli_getopt(argc, argv, MOVER_SHORT, longs)) != -1)
		if ((status = parse_option(o, opt)) != 0)
			return status;
	status = take_operands(o, argc - optind, argv + optind);
	return status != 0 ? status : mover_check(&o->m);
}

/* ---- what is said ---------------------------------------------------------
 */

static void
on_stage(void *ctx, const char *stage, const char *detail)
{
	struct options *o = ctx;

	cli_progress_stop();
	if (strcmp(stage, "copy") == 0)
		job_meter(&o->m.job, "copied");
	if (!o->m.job.common.quiet && !o->m.json)
		cli_say("%s%s%s", stage, detail[0] == '\0' ? "" : ": ", detail);
}

static void
on_note(void *ctx, const char *text)
{
	(void)ctx;
	cli_say("%s", text);
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
	root =
	    json_pack("{s:s, s:s, s:s, s:s, s:b, s:o, s:I, s:I, s:I, s:I, s:f, "
		      "s:f, s:b, s:i, s:i, s:I}",
		"id", r->id, "name", r->name, "uuid", r->uuid, "destination",
		dest, "plan", plan, "images", images, "size",
		(json_int_t)r->size, "stored", (json_int_t)r->stored, "sent",
		(json_int_t)r->sent, "allocated", (json_int_t)r->allocated,
		"seconds", r->seconds, "downtime", r->downtime, "running",
		r->running, "passes", (int)r->passes, "sessions",
		(int)r->sessions, "last_sent", (json_int_t)r->last_sent);
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
	    .connect = o->m.connect,
	    .scratch = o->m.move.scratch,
	    .engine = o->m.move.engine,
	};
	struct vmf_fd in = {STDIN_FILENO, "standard input"};
	struct vmf_fd out = {STDOUT_FILENO, "standard output"};

	if (isatty(STDIN_FILENO))
		return vmf_fail(err, VMF_USAGE,
		    "--serve is for the vmf-move of another host");
	return vmf_serve(vmf_in_fd(&in), vmf_out_fd(&out), &so, err);
}

static int
run_there(struct options *o, struct vmf_host *host, struct vmf_ssh *ssh,
    struct vmf_error *err)
{
	struct vmf_move_report report = {.nimages = 0};
	int rc;

	if (o->verb == OPT_ABORT)
		return vmf_move_abort(host, ssh, o->id, &o->m.move, err);
	if (o->verb == OPT_RESUME)
		return vmf_move_resume(host, ssh, o->id, &o->m.move, err);
	rc = vmf_move(host, ssh, o->domain, &o->m.move, &report, err);
	cli_progress_stop();
	if (rc == 0) {
		cli_maps_unused(o->m.move.map, o->m.job.common.quiet);
		if (o->m.json)
			rc = print_json(
			    &report, o->m.move.dest, o->m.move.dry_run, err);
		else if (!o->m.job.common.quiet)
			print_text(&report, o->m.move.dest, o->m.move.dry_run);
	}
	vmf_move_report_clear(&report);
	return rc;
}

static int
connect_and_run(struct options *o, struct vmf_error *err)
{
	struct vmf_host *host = vmf_host_open(o->m.connect, err);
	struct vmf_ssh *ssh;
	int rc = -1;

	if (host == NULL)
		return -1;
	ssh = mover_open(&o->m, o->destination, err);
	if (ssh != NULL)
		rc = run_there(o, host, ssh, err);
	vmf_ssh_free(ssh);
	vmf_host_free(host);
	return rc;
}

static int
run(void *ctx, struct vmf_error *err)
{
	struct options *o = ctx;

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
	struct options o = {.verb = 0};
	int status;

	mover_start(&o.m, "vmf-move", usage);
	o.m.move.stage = on_stage;
	o.m.move.note = on_note;
	o.m.move.ctx = &o;
	status = job_run(parse(&o, argc, argv), run, &o);
	mover_clear(&o.m);
	return status;
}
