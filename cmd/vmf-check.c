/* vmf-check.c - could it move?  Every condition, and nothing touched */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include <vmferry/check.h>
#include <vmferry/shell.h>

#include "hosts.h"
#include "input.h"
#include "mover.h"

static const char usage[] =
    "vmf-check [-qv] [-c uri] [-i keyfile] [-j jobs] [-z level]\n"
    "                 [--accept-new] [--allow kinds] [--chunk size]\n"
    "                 [--dest-connect uri] [--identity keep|new] [--json]\n"
    "                 [--map rule] [--map-file file] [--map-firmware rule]\n"
    "                 [--map-net rule] [--map-path rule] [--mode cold|warm]\n"
    "                 [--name name] [--no-readback] [--on-failure "
    "restart|hold]\n"
    "                 [--overwrite disk] [--progress mode] [--remote-sudo]\n"
    "                 [--replace] [--scratch dir] [--shutdown]\n"
    "                 [--shutdown-timeout seconds] [--start] [--timeout "
    "seconds]\n"
    "                 domain destination\n"
    "       vmf-check [-qv] [-c uri] [--allow kinds] [--identity keep|new]\n"
    "                 [--json] [--map rule] [--map-file file]\n"
    "                 [--map-firmware rule] [--map-net rule] [--map-path "
    "rule]\n"
    "                 [--name name] [--overwrite disk] [--replace]\n"
    "                 [--scratch dir] [--start] package\n"
    "       vmf-check --host [--all] [--fit domain] [--json] [-c uri] "
    "[uri ...]\n";

enum {
	OPT_ALL = CLI_OPT,
	OPT_HOST,
	OPT_FIT,
};

static const struct option longs[] = {
    MOVER_LONG,
    {"host", no_argument, NULL, OPT_HOST},
    {"all", no_argument, NULL, OPT_ALL},
    {"fit", required_argument, NULL, OPT_FIT},
    {NULL, 0, NULL, 0},
};

struct options {
	struct mover m;
	bool hosts, all;
	const char *fit;
	const char *domain, *destination; /* destination NULL: a package */
	char *const *uris;
};

/* ---- options ----------------------------------------------------------- */

static int
parse_option(struct options *o, int opt)
{
	if (opt == OPT_HOST) {
		o->hosts = true;
		return 0;
	}
	if (opt == OPT_ALL) {
		o->all = true;
		return 0;
	}
	if (opt == OPT_FIT) {
		o->fit = optarg;
		return 0;
	}
	return mover_option(opt, &o->m);
}

static int
parse(struct options *o, int argc, char *argv[])
{
	int opt, status, n;

	while ((opt = cli_getopt(argc, argv, MOVER_SHORT, longs)) != -1)
		if ((status = parse_option(o, opt)) != 0)
			return status;
	n = argc - optind;
	if (!o->hosts && (o->fit != NULL || o->all))
		return cli_misuse(
		    "%s: only with --host", o->all ? "--all" : "--fit");
	if (o->fit != NULL && o->all)
		return cli_misuse("--all and --fit exclude each other");
	if (!o->hosts && n != 1 && n != 2)
		return cli_misuse(
		    "a domain and a destination, or a package, are needed");
	if (!o->hosts) {
		o->domain = argv[optind];
		o->destination = n == 2 ? argv[optind + 1] : NULL;
	}
	o->uris = argv + optind;
	return mover_check(&o->m);
}

/* ---- what is said ---------------------------------------------------------
 */

static bool
is_said(const struct vmf_check *rows, size_t n, const struct vmf_check_row *row)
{
	const struct vmf_check_row *other;
	size_t i;

	for (i = 0; i < n; i++) {
		other = vmf_check_row(rows, i);
		if (strcmp(other->map, row->map) == 0 &&
		    strcmp(other->rule, row->rule) == 0)
			return true;
	}
	return false;
}

/* Row n's "--map-net 'lan=default'", for the caller to free; NULL: it has none,
 * another row has said it, or memory. */
static char *
map_option(const struct vmf_check *rows, size_t n)
{
	const struct vmf_check_row *row = vmf_check_row(rows, n);
	char *quoted, *text = NULL;
	struct vmf_error err;

	if (row->map[0] == '\0' || row->verdict == VMF_CHECK_OK ||
	    is_said(rows, n, row))
		return NULL;
	quoted = vmf_shell_quote(row->rule, &err);
	if (quoted != NULL && asprintf(&text, "--%s %s", row->map, quoted) < 0)
		text = NULL;
	free(quoted);
	return text;
}

static void
print_maps(const struct vmf_check *rows)
{
	bool first = true;
	char *map;
	size_t i;

	for (i = 0; vmf_check_row(rows, i) != NULL; i++) {
		map = map_option(rows, i);
		if (map == NULL)
			continue;
		printf("%s%s", first ? "maps still needed:\n    " : " \\\n    ",
		    map);
		first = false;
		free(map);
	}
	if (!first)
		printf("\n");
}

static void
print_row(const struct vmf_check_row *row, int wide)
{
	printf("%-4s  %-11s  %-*s  %s\n", vmf_check_verdict_name(row->verdict),
	    row->where, wide, row->what, row->reason);
	if (row->mend[0] != '\0')
		printf(
		    "%-4s  %-11s  %-*s  -> %s\n", "", "", wide, "", row->mend);
}

static void
print_text(const struct options *o, const struct vmf_check *rows, bool ready)
{
	size_t fail = vmf_check_count(rows, VMF_CHECK_FAIL);
	size_t warn = vmf_check_count(rows, VMF_CHECK_WARN);
	size_t all = fail + warn + vmf_check_count(rows, VMF_CHECK_OK);
	const struct vmf_check_row *row;
	int wide = 0;
	size_t i;

	for (i = 0; (row = vmf_check_row(rows, i)) != NULL; i++)
		if ((int)strlen(row->what) > wide)
			wide = (int)strlen(row->what);
	for (i = 0; (row = vmf_check_row(rows, i)) != NULL; i++)
		if (!o->m.job.common.quiet || row->verdict != VMF_CHECK_OK)
			print_row(row, wide);
	print_maps(rows);
	if (o->destination != NULL)
		printf("%s %s move to %s", o->domain, ready ? "can" : "cannot",
		    o->destination);
	else
		printf("%s %s be placed here", o->domain,
		    ready ? "can" : "cannot");
	printf(": %zu conditions, %zu in the way, %zu warnings\n", all, fail,
	    warn);
}

static int
print_json(const struct options *o, const struct vmf_check *rows, bool ready,
    struct vmf_error *err)
{
	char *text = vmf_check_format(rows, err), *map;
	json_t *maps = json_array(), *root;
	size_t i;
	int rc;

	if (text == NULL)
		return -1;
	for (i = 0; vmf_check_row(rows, i) != NULL; i++)
		if ((map = map_option(rows, i)) != NULL) {
			json_array_append_new(maps, json_string(map));
			free(map);
		}
	root = json_pack("{s:b, s:s, s:s?, s:o, s:o}", "ready", ready, "what",
	    o->domain, "destination", o->destination, "rows",
	    json_loads(text, 0, NULL), "maps", maps);
	free(text);
	rc = root == NULL
		 ? -1
		 : json_dumpf(root, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
	json_decref(root);
	printf("\n");
	return rc == 0 ? 0 : vmf_fail(err, VMF_IO, "report: no memory");
}

/* ---- a move ------------------------------------------------------------- */

static int
check_move(struct options *o, struct vmf_check *rows, struct vmf_error *err)
{
	struct vmf_error said;
	struct vmf_host *host = vmf_host_open(o->m.connect, &said);
	struct vmf_ssh *ssh;
	int rc = 0;

	if (host == NULL) {
		vmf_check_error(rows, "libvirt", &said);
		return 0;
	}
	vmf_check_where(rows, "destination");
	ssh = mover_open(&o->m, o->destination, &said);
	if (ssh == NULL && said.class == VMF_USAGE)
		*err = said;
	if (ssh == NULL)
		vmf_check_error(rows, "reach", &said);
	else
		vmf_check_ok(rows, "reach", "%s, its host key is known",
		    vmf_ssh_name(ssh));
	if (ssh == NULL && said.class == VMF_USAGE)
		rc = -1;
	else
		rc =
		    vmf_move_check(host, ssh, o->domain, &o->m.move, rows, err);
	vmf_ssh_free(ssh);
	vmf_host_free(host);
	return rc;
}

/* ---- a package ----------------------------------------------------------- */

static int
place_package(struct options *o, struct vmf_package_reader *r,
    struct vmf_check *rows, struct vmf_error *err)
{
	const struct vmf_package_info *info = vmf_package_reader_info(r);
	uint64_t *allocated = calloc(info->nimages + 1, sizeof(*allocated));
	size_t i, len;
	struct vmf_place_options po = {
	    .map = o->m.move.map,
	    .name = o->m.move.name,
	    .new_identity = o->m.move.new_identity,
	    .overwrite = o->m.move.overwrite,
	    .allow = o->m.move.allow,
	    .define = true,
	    .replace = o->m.move.replace,
	    .scratch = o->m.move.scratch,
	};
	struct vmf_check_place what = {.info = info,
	    .xml = vmf_package_reader_xml(r, &len),
	    .options = &po,
	    .allocated = allocated,
	    .start = o->m.move.start};
	struct vmf_host *host = NULL;
	struct vmf_place *place = NULL;
	struct vmf_error said;
	int rc = -1;

	if (allocated == NULL) {
		vmf_fail_errno(err, VMF_IO, "%s", o->domain);
		goto out;
	}
	for (i = 0; i < info->nimages; i++)
		allocated[i] = vmf_package_reader_totals(r, i)->data_chunks *
			       info->images[i].geo.chunk;
	host = vmf_host_open(o->m.connect, &said);
	if (host == NULL) {
		vmf_check_error(rows, "libvirt", &said);
		rc = 0;
		goto out;
	}
	rc = vmf_check_place(rows, host, &what, &place, err);
out:
	vmf_place_free(place);
	vmf_host_free(host);
	free(allocated);
	return rc;
}

/* The whole of it is read: what is damaged cannot be placed. */
static struct vmf_package_reader *
read_package(struct cli_input *in, struct vmf_error *err)
{
	struct vmf_package_reader *r;
	struct vmf_package_item item;
	int more;

	r = vmf_package_reader_open(cli_input_in(in), NULL, err);
	if (r == NULL)
		return NULL;
	while ((more = vmf_package_reader_next(r, &item, err)) > 0)
		continue;
	if (more == 0 && vmf_package_reader_finish(r, NULL, err) == 0)
		return r;
	vmf_package_reader_free(r);
	return NULL;
}

static int
check_input(struct options *o, struct cli_input *in, struct vmf_check *rows,
    struct vmf_error *err)
{
	struct vmf_package_reader *r;
	struct vmf_error said;
	int rc = 0;

	if (in->kind == CLI_STREAM)
		return vmf_fail(err, VMF_INTEGRITY,
		    "%s: is a stream, not a package; use vmf-verify",
		    in->fd.name);
	if (in->kind != CLI_PACKAGE)
		return cli_input_unknown(in, err);
	vmf_check_where(rows, "package");
	r = read_package(in, &said);
	if (r == NULL) {
		vmf_check_error(rows, "package", &said);
	} else {
		vmf_check_ok(rows, "package", "whole");
		vmf_check_where(rows, "here");
		rc = place_package(o, r, rows, err);
	}
	vmf_package_reader_free(r);
	return rc;
}

static int
check_package(struct options *o, struct vmf_check *rows, struct vmf_error *err)
{
	struct cli_input in;
	int rc = cli_input_open(&in, o->domain, err);

	if (rc == 0)
		rc = check_input(o, &in, rows, err);
	cli_input_close(&in);
	return rc;
}

static int
run(void *ctx, struct vmf_error *err)
{
	struct options *o = ctx;
	struct vmf_check *rows;
	struct vmf_error first;
	bool ready;
	int rc;

	if (o->hosts)
		return hosts_show(&(struct hosts_ask){.connect = o->m.connect,
				      .uris = o->uris,
				      .fit = o->fit,
				      .all = o->all,
				      .json = o->m.json},
		    err);
	rows = vmf_check_new(err);
	if (rows == NULL)
		return -1;
	rc = o->destination != NULL ? check_move(o, rows, err)
				    : check_package(o, rows, err);
	if (rc == 0) {
		ready = vmf_check_result(rows, &first) == 0;
		if (o->m.json)
			rc = print_json(o, rows, ready, err);
		else
			print_text(o, rows, ready);
		/* What it is that is not ready, the table has said. */
		if (rc == 0 && !ready)
			rc = vmf_fail(err, VMF_REFUSED, "%s: not ready: %s",
			    o->domain, first.msg);
	}
	vmf_check_free(rows);
	return rc;
}

int
main(int argc, char *argv[])
{
	struct options o = {.hosts = false};
	int status;

	mover_start(&o.m, "vmf-check", usage);
	status = job_run(parse(&o, argc, argv), run, &o);
	mover_clear(&o.m);
	return status;
}
