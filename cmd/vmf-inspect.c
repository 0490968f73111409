/* vmf-inspect.c - looks inside a disk: partitions, file systems, what is free
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vmferry/io.h>
#include <vmferry/units.h>

#include "../lib/inspect.h"
#include "cli.h"

#define TIMEOUT_DEFAULT 600

static const char usage[] =
    "vmf-inspect [-qv] [--format raw|qcow2] [--fsck] [--json] [--os]\n"
    "                   [--scratch dir] [--timeout seconds] disk\n"
    "       vmf-inspect --free [-qv] [-o file] [--format raw|qcow2]\n"
    "                   [--free-swap] [--scratch dir] [--timeout seconds] "
    "disk\n";

enum {
	OPT_FORMAT = CLI_OPT,
	OPT_FREE,
	OPT_FREE_SWAP,
	OPT_FSCK,
	OPT_JSON,
	OPT_OS,
	OPT_SCRATCH,
	OPT_TIMEOUT,
};

static const struct option longs[] = {
    CLI_LONG,
    {"output", required_argument, NULL, 'o'},
    {"format", required_argument, NULL, OPT_FORMAT},
    {"free", no_argument, NULL, OPT_FREE},
    {"free-swap", no_argument, NULL, OPT_FREE_SWAP},
    {"fsck", no_argument, NULL, OPT_FSCK},
    {"json", no_argument, NULL, OPT_JSON},
    {"os", no_argument, NULL, OPT_OS},
    {"scratch", required_argument, NULL, OPT_SCRATCH},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {NULL, 0, NULL, 0},
};

struct options {
	struct cli_common common;
	struct vmf_inspect_options inspect;
	const char *disk;
	const char *output; /* NULL: standard output */
	bool json;
};

static int
parse_option(struct options *o, int opt)
{
	uint64_t n;

	switch (opt) {
	case 'o':
		o->output = optarg;
		return 0;
	case OPT_FORMAT:
		if (strcmp(optarg, "qcow2") == 0)
			o->inspect.format = VMF_QCOW2;
		else if (strcmp(optarg, "raw") != 0)
			return cli_misuse(
			    "--format: '%s' is neither raw nor qcow2", optarg);
		return 0;
	case OPT_FREE:
		o->inspect.trim = true;
		return 0;
	case OPT_FREE_SWAP:
		o->inspect.swap_is_free = true;
		return 0;
	case OPT_FSCK:
		o->inspect.fsck = true;
		return 0;
	case OPT_JSON:
		o->json = true;
		return 0;
	case OPT_OS:
		o->inspect.os = true;
		return 0;
	case OPT_SCRATCH:
		o->inspect.scratch = optarg;
		return 0;
	case OPT_TIMEOUT:
		if (cli_number("--timeout", optarg, 1, 86400, &n) < 0)
			return VMF_USAGE;
		o->inspect.timeout = (unsigned)n;
		return 0;
	default:
		return cli_common(opt, &o->common) < 0 ? VMF_USAGE : 0;
	}
}

static int
parse(struct options *o, int argc, char *argv[])
{
	int opt, status;

	while ((opt = cli_getopt(argc, argv, CLI_SHORT "o:", longs)) != -1)
		if ((status = parse_option(o, opt)) != 0)
			return status;
	if (argc - optind != 1)
		return cli_misuse(
		    argc == optind ? "no disk given" : "more than one disk");
	o->disk = argv[optind];
	if (o->output != NULL && strcmp(o->output, "-") == 0)
		o->output = NULL;
	if (o->inspect.trim && (o->inspect.fsck || o->inspect.os || o->json))
		return cli_misuse("--free prints a map and nothing else");
	if (!o->inspect.trim && (o->inspect.swap_is_free || o->output != NULL))
		return cli_misuse("-o and --free-swap belong to --free");
	return 0;
}

/* --- the report */

static const char *
string(const json_t *obj, const char *key)
{
	const char *s = json_string_value(json_object_get(obj, key));

	return s != NULL ? s : "";
}

static const char *
size_of(const json_t *obj, const char *key, char *text)
{
	const json_t *n = json_object_get(obj, key);

	if (n == NULL)
		return "";
	return vmf_format_size((uint64_t)json_integer_value(n), text);
}

/* Padded, or followed by at least one blank. */
static void
column(const char *text, int width)
{
	int len = (int)strlen(text);

	cli_put(text);
	printf("%*s", len < width ? width - len : 1, "");
}

static void
print_partition(const json_t *part)
{
	char size[VMF_SIZE_TEXT];

	printf("  ");
	column(string(part, "device"), 16);
	column(size_of(part, "size", size), 11);
	printf("at %" JSON_INTEGER_FORMAT "  ",
	    json_integer_value(json_object_get(part, "offset")));
	cli_put(string(part, "type"));
	printf("\n");
}

static void
print_filesystem(const json_t *fs)
{
	static const char *const words[] = {"label", "uuid", "fsck", "note"};
	char size[VMF_SIZE_TEXT], used[VMF_SIZE_TEXT];
	size_t i;

	printf("  ");
	column(string(fs, "device"), 16);
	column(string(fs, "type"), 7);
	column(size_of(fs, "size", size), 11);
	if (json_object_get(fs, "used") != NULL)
		printf("%s used", size_of(fs, "used", used));
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (*string(fs, words[i]) != '\0') {
			printf("  %s ", words[i]);
			cli_put(string(fs, words[i]));
		}
	printf("\n");
}

static void
print_os(const json_t *os)
{
	printf("  ");
	column(string(os, "root"), 16);
	column(string(os, "product"), 1);
	cli_put(string(os, "arch"));
	printf("  ");
	cli_put(string(os, "hostname"));
	printf("\n");
}

static void
print_list(const json_t *report, const char *key, const char *title,
    void (*print)(const json_t *))
{
	const json_t *list = json_object_get(report, key), *one;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	printf("%s\n", title);
	json_array_foreach(list, i, one) print(one);
}

static void
print_text(const json_t *report)
{
	char size[VMF_SIZE_TEXT];

	cli_put(string(report, "disk"));
	printf(": %s, %s, %s\n", size_of(report, "size", size),
	    string(report, "format"),
	    *string(report, "table") == '\0' ? "no partition table"
					     : string(report, "table"));
	print_list(report, "partitions", "partitions", print_partition);
	print_list(report, "filesystems", "file systems", print_filesystem);
	print_list(report, "operating_systems", "operating systems", print_os);
}

static int
print_report(
    const struct options *o, const json_t *report, struct vmf_error *err)
{
	const json_t *fs;
	size_t i;

	if (o->json) {
		json_dumpf(report, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
		printf("\n");
	} else {
		print_text(report);
	}
	fflush(stdout);
	json_array_foreach(json_object_get(report, "filesystems"), i,
	    fs) if (strcmp(string(fs, "fsck"), "damaged") ==
		    0) return vmf_fail(err, VMF_INTEGRITY,
	    "%s: the file system on %s is damaged; repair it "
	    "in the guest",
	    o->disk, string(fs, "device"));
	return 0;
}

/* --- the map */

/* Lines are short, and a write for each too slow. */
static int
stdio_write(void *ctx, const void *buf, size_t len, struct vmf_error *err)
{
	if (fwrite(buf, 1, len, ctx) != len)
		return vmf_fail_errno(err, VMF_IO, "map");
	return 0;
}

static int
print_map_to_file(const struct options *o, const struct vmf_freemap *map,
    struct vmf_error *err)
{
	struct vmf_newfile *nf = vmf_newfile_create(o->output, false, err);
	FILE *f = NULL;
	int fd, rc = -1;

	if (nf == NULL)
		return -1;
	fd = dup(vmf_newfile_fd(nf));
	f = fd < 0 ? NULL : fdopen(fd, "w");
	if (f == NULL) {
		if (fd >= 0)
			close(fd);
		vmf_fail_errno(err, VMF_IO, "%s", o->output);
		goto out;
	}
	struct vmf_out out = {.write = stdio_write, .ctx = f};

	rc = vmf_freemap_write(map, &out, err);
	if (fclose(f) != 0 && rc == 0)
		rc = vmf_fail_errno(err, VMF_IO, "%s", o->output);
	if (rc == 0)
		rc = vmf_newfile_commit(nf, err);
out:
	vmf_newfile_free(nf);
	return rc;
}

static int
print_map(const struct options *o, const struct vmf_freemap *map,
    struct vmf_error *err)
{
	struct vmf_out out = {.write = stdio_write, .ctx = stdout};

	if (o->output != NULL)
		return print_map_to_file(o, map, err);
	return vmf_freemap_write(map, &out, err);
}

static void
say_free(const struct options *o, const struct vmf_freemap *map,
    const json_t *report)
{
	char bytes[VMF_SIZE_TEXT], size[VMF_SIZE_TEXT];
	const json_t *fs;
	size_t i;

	if (o->common.quiet)
		return;
	json_array_foreach(json_object_get(report, "filesystems"), i,
	    fs) if (*string(fs, "note") != '\0')
	    cli_say("%s: %s, %s: %s", o->disk, string(fs, "device"),
		string(fs, "type"), string(fs, "note"));
	if (o->common.verbose > 0)
		cli_say("%s: %s of %s are free, in %zu extents", o->disk,
		    vmf_format_size(vmf_freemap_bytes(map), bytes),
		    size_of(report, "size", size), vmf_freemap_count(map));
}

static int
run(const struct options *o, struct vmf_error *err)
{
	struct vmf_freemap *map;
	json_t *report;
	int rc;

	if (o->output != NULL && vmf_newfile_check(o->output, err) < 0)
		return -1;
	if (o->common.dry_run)
		return 0;
	if (vmf_inspect(o->disk, &o->inspect, &report, &map, err) < 0)
		return -1;
	if (o->inspect.trim) {
		say_free(o, map, report);
		rc = print_map(o, map, err);
	} else {
		rc = print_report(o, report, err);
	}
	vmf_freemap_free(map);
	json_decref(report);
	return rc;
}

/*
 * libguestfs starts programs by name and heeds two dozen variables.  Only
 * where its appliance is may be said from outside, and whether to use KVM.
 */
static void
clean_environment(void)
{
	static const char *const kept[] = {"LIBGUESTFS_PATH",
	    "LIBGUESTFS_CACHEDIR", "LIBGUESTFS_BACKEND_SETTINGS"};
	char *values[sizeof(kept) / sizeof(kept[0])];
	size_t i;

	for (i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		values[i] = getenv(kept[i]);
		if (values[i] != NULL)
			values[i] = strdup(values[i]);
	}
	clearenv();
	setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
	setenv("LC_ALL", "C", 1);
	for (i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		if (values[i] != NULL)
			setenv(kept[i], values[i], 1);
		free(values[i]);
	}
}

int
main(int argc, char *argv[])
{
	static struct vmf_progress progress;
	struct options o = {.inspect = {.format = VMF_RAW,
				.timeout = TIMEOUT_DEFAULT,
				.progress = &progress}};
	struct vmf_error err = {0};
	int status;

	cli_start("vmf-inspect", usage);
	status = parse(&o, argc, argv);
	if (status != 0)
		return status;
	clean_environment();
	cli_signals(&progress);
	return cli_end(run(&o, &err), &err);
}
