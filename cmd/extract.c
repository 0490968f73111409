/* extract.c - see extract.h */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "extract.h"

#define COPY_LEN  ((size_t)256 << 10)
#define XML_NAME  "domain.xml"
#define DISKS_DIR "disks/"

/* --- a list */

static void
print_list(const struct vmf_package_reader *r)
{
	const struct vmf_package_info *info = vmf_package_reader_info(r);
	size_t i, len;

	vmf_package_reader_xml(r, &len);
	printf("%-32s %14zu\n", XML_NAME, len);
	for (i = 0; i < info->nfiles; i++) {
		printf("%-32s %14" PRIu64 "  ", info->files[i].name,
		    info->files[i].size);
		cli_put(info->files[i].path);
		putchar('\n');
	}
	for (i = 0; i < info->nimages; i++) {
		printf(DISKS_DIR "%-26s %14" PRIu64 "  ", info->images[i].name,
		    info->images[i].geo.size);
		cli_put(info->images[i].path);
		putchar('\n');
	}
}

/* Through the rest, so that a producer on a pipe can end well. */
static int
read_rest(struct vmf_package_reader *r, struct vmf_error *err)
{
	struct vmf_package_item item;
	int more;

	while ((more = vmf_package_reader_next(r, &item, err)) > 0)
		continue;
	return more < 0 ? -1 : vmf_package_reader_finish(r, NULL, err);
}

int
cli_list(struct cli_input *input,
    const struct vmf_package_reader_options *ropts, struct vmf_error *err)
{
	struct vmf_package_reader *r = NULL;
	int rc = -1;

	if (!input->seekable)
		r = vmf_package_reader_open(cli_input_in(input), ropts, err);
	else if (lseek(input->fd.fd, 0, SEEK_SET) == 0)
		r = vmf_package_peek(input->fd.fd, ropts, err);
	else
		vmf_fail_errno(err, VMF_IO, "seek");
	if (r == NULL)
		return -1;
	if (input->seekable || read_rest(r, err) == 0) {
		print_list(r);
		rc = 0;
	}
	vmf_package_reader_free(r);
	return rc;
}

/* --- one member */

static int
copy(struct vmf_in in, struct vmf_out out, struct vmf_error *err)
{
	uint8_t *buf = malloc(COPY_LEN);
	size_t got = COPY_LEN;
	int rc = 0;

	if (buf == NULL)
		return vmf_fail_errno(err, VMF_IO, "copy");
	while (rc == 0 && got == COPY_LEN) {
		rc = in.read(in.ctx, buf, COPY_LEN, &got, err);
		if (rc == 0 && got > 0)
			rc = out.write(out.ctx, buf, got, err);
	}
	free(buf);
	return rc;
}

static bool
is_member(const struct vmf_package_item *item, const char *member)
{
	if (item->file != NULL)
		return strcmp(item->file->name, member) == 0;
	return strncmp(member, DISKS_DIR, strlen(DISKS_DIR)) == 0 &&
	       strcmp(item->image->name, member + strlen(DISKS_DIR)) == 0;
}

static int
extract(struct vmf_package_reader *r, const char *member, struct vmf_out out,
    struct vmf_error *err)
{
	struct vmf_package_item item;
	bool found = strcmp(member, XML_NAME) == 0;
	const char *xml;
	size_t len;
	int more;

	xml = vmf_package_reader_xml(r, &len);
	if (found && out.write(out.ctx, xml, len, err) < 0)
		return -1;
	while ((more = vmf_package_reader_next(r, &item, err)) > 0) {
		if (found || !is_member(&item, member))
			continue;
		found = true;
		if (copy(vmf_package_reader_in(r), out, err) < 0)
			return -1;
	}
	if (more < 0 || vmf_package_reader_finish(r, NULL, err) < 0)
		return -1;
	if (!found)
		return vmf_fail(err, VMF_REFUSED,
		    "has no member '%s'; --list shows what there is", member);
	return 0;
}

static int
extract_to(struct vmf_package_reader *r, const char *member, const char *output,
    struct vmf_error *err)
{
	struct vmf_fd fd = {STDOUT_FILENO, "standard output"};
	struct vmf_newfile *nf = NULL;
	int rc;

	if (output != NULL) {
		nf = vmf_newfile_create(output, false, err);
		if (nf == NULL)
			return -1;
		fd = (struct vmf_fd){vmf_newfile_fd(nf), output};
	} else if (strcmp(member, XML_NAME) != 0 && cli_data_stdout(err) < 0) {
		return -1;
	}
	rc = extract(r, member, vmf_out_fd(&fd), err);
	if (rc == 0 && nf != NULL)
		rc = vmf_newfile_commit(nf, err);
	vmf_newfile_free(nf);
	return rc;
}

int
cli_extract(struct cli_input *input,
    const struct vmf_package_reader_options *ropts,
    const struct vmf_engine_options *engine, const char *member,
    const char *output, struct vmf_error *err)
{
	struct vmf_package_reader *r;
	int rc;

	if (input->seekable && (vmf_package_verify(cli_input_in(input), ropts,
				    engine, NULL, err) < 0 ||
				   cli_input_rewind(input, err) < 0))
		return -1;
	r = vmf_package_reader_open(cli_input_in(input), ropts, err);
	if (r == NULL)
		return -1;
	rc = extract_to(r, member, output, err);
	vmf_package_reader_free(r);
	return rc;
}
