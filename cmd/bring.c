/* bring.c - see bring.h */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vmferry/package.h>

#include "bring.h"
#include "cli.h"

bool
bring_any(const struct bring *b)
{
	size_t i;

	for (i = 0; i < VMF_LINKS_KINDS; i++)
		if (b->want[i])
			return true;
	return false;
}

/* aux/network/NAME.xml is of that kind, when it is wanted. */
static bool
is_wanted(const struct bring *b, const char *name, enum vmf_links_kind *kind)
{
	char prefix[32];
	int i;

	for (i = 0; i < VMF_LINKS_KINDS; i++) {
		*kind = (enum vmf_links_kind)i;
		snprintf(prefix, sizeof(prefix), "aux/%s/",
		    vmf_links_kind_name(*kind));
		if (strncmp(name, prefix, strlen(prefix)) == 0)
			return b->want[i];
	}
	return false;
}

static int
take(struct bring *b, struct vmf_package_reader *r,
    const struct vmf_package_file *file, struct vmf_error *err)
{
	struct vmf_in in = vmf_package_reader_in(r);
	enum vmf_links_kind kind;
	size_t len;
	char *xml;
	int rc;

	if (!is_wanted(b, file->name, &kind))
		return 0;
	if (file->size > VMF_LINKS_XML_MAX)
		return vmf_fail(
		    err, VMF_INTEGRITY, "%s: larger than 1 MiB", file->name);
	if ((xml = malloc((size_t)file->size + 1)) == NULL)
		return vmf_fail_errno(err, VMF_IO, "%s", file->name);
	rc = in.read(in.ctx, xml, (size_t)file->size, &len, err);
	if (rc == 0)
		rc = vmf_links_add(
		    b->links, kind, xml, len, b->map, b->allow, err);
	free(xml);
	return rc == 0 ? 0 : vmf_wrap(err, "%s", file->name);
}

struct vmf_domain *
bring_package(struct bring *b, struct cli_input *in, struct vmf_error *err)
{
	struct vmf_package_reader *r =
	    vmf_package_reader_open(cli_input_in(in), NULL, err);
	struct vmf_package_item item;
	struct vmf_domain *dom = NULL;
	const char *xml;
	size_t len;
	int more = -1;

	if (bring_any(b) && (b->links = vmf_links_new(err)) == NULL)
		goto out;
	while (r != NULL && (more = vmf_package_reader_next(r, &item, err)) > 0)
		if (item.file != NULL && take(b, r, item.file, err) == -1)
			goto out;
	if (more == 0 && vmf_package_reader_finish(r, NULL, err) == 0) {
		xml = vmf_package_reader_xml(r, &len);
		dom = vmf_domain_parse(xml, len, "domain.xml", err);
	}
out:
	vmf_package_reader_free(r);
	return dom;
}

int
bring_define(
    struct bring *b, struct vmf_host *host, bool quiet, struct vmf_error *err)
{
	enum vmf_links_kind kind;
	const char *name;
	size_t i;

	if (b->links == NULL)
		return 0;
	if (vmf_links_define(b->links, host, err) == -1)
		return -1;
	for (i = 0; (name = vmf_links_made(b->links, i, &kind)) != NULL; i++)
		if (!quiet)
			cli_say("%s %s: defined%s", vmf_links_kind_name(kind),
			    name,
			    kind == VMF_LINKS_NWFILTER ? "" : ", not started");
	return 0;
}

void
bring_clear(struct bring *b)
{
	vmf_links_free(b->links);
	b->links = NULL;
}
