/* vmf-info.c - what a package or stream is, as it says itself */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include <vmferry/package.h>

#include "cli.h"
#include "input.h"

static const char usage[] =
    "vmf-info [-qv] [-i keyfile] [--accept-new] [--json] [--timeout seconds]\n"
    "                file\n";

enum { OPT_JSON = CLI_OPT };

static const struct option longs[] = {
    CLI_LONG,
    REMOTE_LONG,
    {"json", no_argument, NULL, OPT_JSON},
    {NULL, 0, NULL, 0},
};

struct options {
	struct cli_common common;
	struct remote remote;
	const char *file;
	bool json;
};

static int
parse(struct options *o, int argc, char *argv[])
{
	int opt, rc;

	while ((opt = cli_getopt(argc, argv, CLI_SHORT REMOTE_SHORT, longs)) !=
	       -1) {
		rc = remote_option(opt, optarg, &o->remote);
		if (opt == OPT_JSON)
			o->json = true;
		else if (rc > 0 || (rc < 0 && cli_common(opt, &o->common) < 0))
			return VMF_USAGE;
	}
	if (argc - optind != 1)
		return cli_misuse(
		    argc == optind ? "no file given" : "more than one file");
	o->file = argv[optind];
	return 0;
}

/* --- one image, as JSON and as text: everything is built before printing */

static const char *
format_name(uint32_t format)
{
	return format == VMF_QCOW2 ? "qcow2" : "raw";
}

/* totals may be NULL: they stand at the end, which a pipe has not shown. */
static json_t *
image_json(const struct vmf_geometry *geo, const struct vmf_totals *totals)
{
	char root[2 * VMF_SHA_LEN + 1];
	json_t *obj = json_object();

	json_object_set_new(
	    obj, "format", json_string(format_name(geo->format)));
	json_object_set_new(obj, "chunk", json_integer((json_int_t)geo->chunk));
	if (geo->size != VMF_SIZE_UNKNOWN)
		json_object_set_new(
		    obj, "size", json_integer((json_int_t)geo->size));
	if (geo->virtual_size != VMF_SIZE_UNKNOWN)
		json_object_set_new(obj, "virtual_size",
		    json_integer((json_int_t)geo->virtual_size));
	if (totals == NULL)
		return obj;
	vmf_hex(totals->root, VMF_SHA_LEN, root);
	json_object_set_new(obj, "root", json_string(root));
	json_object_set_new(
	    obj, "stored", json_integer((json_int_t)totals->stored));
	json_object_set_new(
	    obj, "data_chunks", json_integer((json_int_t)totals->data_chunks));
	json_object_set_new(
	    obj, "zero_chunks", json_integer((json_int_t)totals->zero_chunks));
	return obj;
}

static void
print_image(const char *name, const char *path, const struct vmf_geometry *geo,
    const struct vmf_totals *totals)
{
	char size[VMF_SIZE_TEXT] = "unknown size", data[VMF_SIZE_TEXT],
	     stored[VMF_SIZE_TEXT];
	uint64_t bytes;

	if (geo->size != VMF_SIZE_UNKNOWN)
		vmf_format_size(geo->size, size);
	printf("  %-10s %s, %s", name, size, format_name(geo->format));
	if (totals != NULL) {
		bytes = totals->data_chunks * geo->chunk;
		if (bytes > totals->size)
			bytes = totals->size;
		printf(", %s of it data, stored in %s",
		    vmf_format_size(bytes, data),
		    vmf_format_size(totals->stored, stored));
	}
	if (path != NULL) {
		printf("  ");
		cli_put(path);
	}
	printf("\n");
}

static int
print_json(json_t *obj, struct vmf_error *err)
{
	int rc = 0;

	if (json_dumpf(obj, stdout, JSON_INDENT(2) | JSON_SORT_KEYS) < 0)
		rc = vmf_fail(err, VMF_IO, "standard output: cannot write");
	putchar('\n');
	json_decref(obj);
	return rc;
}

/* --- packages */

static json_t *
files_json(const struct vmf_package_info *info)
{
	json_t *files = json_array(), *obj;
	size_t i;

	for (i = 0; i < info->nfiles; i++) {
		obj = json_object();
		json_object_set_new(
		    obj, "name", json_string(info->files[i].name));
		json_object_set_new(
		    obj, "path", json_string(info->files[i].path));
		json_object_set_new(
		    obj, "size", json_integer((json_int_t)info->files[i].size));
		json_array_append_new(files, obj);
	}
	return files;
}

static json_t *
package_json(const struct vmf_package_reader *r)
{
	const struct vmf_package_info *info = vmf_package_reader_info(r);
	json_t *obj = json_object(), *disks = json_array(),
	       *host = json_object(), *disk;
	const struct vmf_package_fact *facts;
	char id[2 * VMF_ID_LEN + 1];
	size_t i, n;

	vmf_hex(info->id, VMF_ID_LEN, id);
	json_object_set_new(obj, "kind", json_string("package"));
	json_object_set_new(obj, "version", json_integer(VMF_PACKAGE_VERSION));
	json_object_set_new(obj, "id", json_string(id));
	json_object_set_new(obj, "domain", json_string(info->domain));
	json_object_set_new(obj, "uuid", json_string(info->uuid));
	json_object_set_new(obj, "secrets", json_boolean(info->secrets));
	json_object_set_new(obj, "files", files_json(info));
	for (i = 0; i < info->nimages; i++) {
		disk = image_json(
		    &info->images[i].geo, vmf_package_reader_totals(r, i));
		json_object_set_new(
		    disk, "name", json_string(info->images[i].name));
		json_object_set_new(
		    disk, "path", json_string(info->images[i].path));
		json_array_append_new(disks, disk);
	}
	json_object_set_new(obj, "disks", disks);
	facts = vmf_package_reader_facts(r, &n);
	for (i = 0; i < n; i++)
		json_object_set_new(
		    host, facts[i].key, json_string(facts[i].value));
	json_object_set_new(obj, "host", host);
	return obj;
}

static void
print_package(const struct cli_input *in, const struct vmf_package_reader *r)
{
	const struct vmf_package_info *info = vmf_package_reader_info(r);
	const struct vmf_package_fact *facts;
	char text[2 * VMF_ID_LEN + 1], size[VMF_SIZE_TEXT];
	size_t i, n;

	vmf_hex(info->id, VMF_ID_LEN, text);
	printf("%s: package of domain ", in->fd.name);
	cli_put(info->domain);
	putchar('\n');
	printf("uuid         %s\nid           %s\n", info->uuid, text);
	printf("passwords    %s\n",
	    info->secrets ? "in it: keep it secret" : "left out");
	facts = vmf_package_reader_facts(r, &n);
	for (i = 0; i < n; i++) {
		printf("%-12s ", facts[i].key);
		cli_put(facts[i].value);
		putchar('\n');
	}
	printf("disks\n");
	for (i = 0; i < info->nimages; i++)
		print_image(info->images[i].name, info->images[i].path,
		    &info->images[i].geo, vmf_package_reader_totals(r, i));
	printf("files\n");
	for (i = 0; i < info->nfiles; i++) {
		printf("  %-10s %s  ", info->files[i].name,
		    vmf_format_size(info->files[i].size, size));
		cli_put(info->files[i].path);
		putchar('\n');
	}
}

/* From a pipe all of it must be read: what the disks hold is said last. */
static struct vmf_package_reader *
open_package(struct cli_input *in, struct vmf_error *err)
{
	struct vmf_package_reader *r;
	struct vmf_package_item item;
	int more;

	if (in->seekable && lseek(in->fd.fd, 0, SEEK_SET) == 0)
		return vmf_package_peek(in->fd.fd, NULL, err);
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
show_package(
    const struct options *o, struct cli_input *in, struct vmf_error *err)
{
	struct vmf_package_reader *r = open_package(in, err);
	int rc = 0;

	if (r == NULL)
		return -1;
	if (o->json)
		rc = print_json(package_json(r), err);
	else
		print_package(in, r);
	vmf_package_reader_free(r);
	return rc;
}

/* --- streams: what START says */

static int
show_stream(
    const struct options *o, struct cli_input *in, struct vmf_error *err)
{
	struct vmf_reader *r = vmf_reader_open(cli_input_in(in), err);
	const struct vmf_geometry *geo;
	char id[2 * VMF_ID_LEN + 1];
	json_t *obj;
	int rc = 0;

	if (r == NULL)
		return -1;
	geo = vmf_reader_geometry(r);
	vmf_hex(vmf_reader_id(r), VMF_ID_LEN, id);
	if (o->json) {
		obj = image_json(geo, NULL);
		json_object_set_new(obj, "kind", json_string("stream"));
		json_object_set_new(
		    obj, "version", json_integer(VMF_FORMAT_VERSION));
		json_object_set_new(obj, "id", json_string(id));
		rc = print_json(obj, err);
	} else {
		printf("%s: stream of one disk\nid           %s\n"
		       "chunk        %" PRIu32 "\n",
		    in->fd.name, id, geo->chunk);
		print_image("disk", NULL, geo, NULL);
	}
	vmf_reader_free(r);
	return rc;
}

static int
run(struct options *o, struct vmf_progress *progress, struct vmf_error *err)
{
	struct cli_input in;
	int rc = -1;

	if (cli_input_open_remote(&in, o->file, &o->remote, progress, err) < 0)
		goto out;
	if (in.kind == CLI_UNKNOWN) {
		cli_input_unknown(&in, err);
		goto out;
	}
	rc = in.kind == CLI_PACKAGE ? show_package(o, &in, err)
				    : show_stream(o, &in, err);
	if (rc < 0 && err->class == VMF_INTEGRITY)
		vmf_wrap(err, "%s", in.fd.name);
	if (rc == 0 && in.seekable && o->common.verbose > 0)
		cli_say(
		    "%s: as it says itself; vmf-verify proves it", in.fd.name);
out:
	cli_input_close(&in);
	return rc;
}

int
main(int argc, char *argv[])
{
	static struct vmf_progress progress;
	struct options o = {0};
	struct vmf_error err = {0};
	int status;

	cli_start("vmf-info", usage);
	status = parse(&o, argc, argv);
	if (status != 0)
		return status;
	cli_signals(&progress);
	return cli_end(run(&o, &progress, &err), &err);
}
