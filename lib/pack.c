/* pack.c - see vmferry/pack.h */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pack_internal.h"

static int
read_definition(
    struct vmf_pack *pack, const char *domain, struct vmf_error *err)
{
	if (!pack->options.running && !pack->options.any_state &&
	    vmf_host_require_off(pack->host, domain, err) < 0)
		return -1;
	pack->xml =
	    vmf_host_xml(pack->host, domain, pack->options.secrets, err);
	if (pack->xml == NULL)
		return -1;
	pack->dom = vmf_domain_parse(pack->xml, strlen(pack->xml), domain, err);
	if (pack->dom == NULL)
		return -1;
	pack->model = vmf_domain_model(pack->dom, err);
	if (pack->model == NULL)
		return -1;
	pack->info.domain = pack->model->name;
	pack->info.uuid = pack->model->uuid;
	pack->info.secrets = pack->options.secrets && pack->model->passwords;
	pack->info.files = pack->file_entries;
	return 0;
}

struct vmf_pack *
vmf_pack_open(struct vmf_host *host, const char *domain,
    const uint8_t id[VMF_ID_LEN], const struct vmf_pack_options *options,
    struct vmf_error *err)
{
	struct vmf_pack *pack = calloc(1, sizeof(*pack));

	if (pack == NULL) {
		vmf_fail_errno(err, VMF_IO, "%s", domain);
		return NULL;
	}
	pack->host = host;
	pack->options = *options;
	if (options->running)
		pack->options.source.live = true;
	memcpy(pack->info.id, id, VMF_ID_LEN);
	if (read_definition(pack, domain, err) < 0 ||
	    (!options->no_files && vmf_pack_files_add(pack, err) < 0) ||
	    vmf_pack_disks_add(pack, err) < 0) {
		vmf_pack_free(pack);
		return NULL;
	}
	return pack;
}

const struct vmf_package_info *
vmf_pack_info(const struct vmf_pack *pack)
{
	return &pack->info;
}

const char *
vmf_pack_xml(const struct vmf_pack *pack)
{
	return pack->xml;
}

struct vmf_source *
vmf_pack_source(struct vmf_pack *pack, size_t n)
{
	return pack->sources[n];
}

uint64_t
vmf_pack_size(const struct vmf_pack *pack)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < pack->info.nimages; i++)
		sum += pack->images[i].geo.size;
	return sum;
}

int
vmf_pack_write(struct vmf_pack *pack, struct vmf_out out,
    const struct vmf_engine_options *options, struct vmf_totals *totals,
    struct vmf_error *err)
{
	struct vmf_package_writer *w = vmf_package_writer_new(
	    out, &pack->info, pack->options.scratch, err);
	int rc = -1;
	size_t i;

	if (w == NULL)
		return -1;
	if (vmf_package_writer_xml(w, pack->xml, strlen(pack->xml), err) < 0)
		goto out;
	for (i = 0; i < pack->info.nfiles; i++)
		if (vmf_pack_files_write(pack, i, w, err) < 0)
			goto out;
	for (i = 0; i < pack->info.nimages; i++)
		if (vmf_package_dump(w, pack->sources[i], options, err) < 0) {
			vmf_wrap(err, "disk %s", pack->images[i].name);
			goto out;
		}
	vmf_package_writer_sign(w, pack->options.sign);
	rc = vmf_pack_facts_write(pack, w, err);
	for (i = 0; rc == 0 && totals != NULL && i < pack->info.nimages; i++)
		totals[i] = *vmf_package_writer_totals(w, i);
out:
	vmf_package_writer_free(w);
	return rc;
}

void
vmf_pack_free(struct vmf_pack *pack)
{
	size_t i;

	if (pack == NULL)
		return;
	for (i = 0; i < pack->info.nfiles; i++)
		close(pack->files[i].fd);
	for (i = 0; i < pack->info.nimages; i++) {
		vmf_source_free(pack->sources[i]);
		free(pack->paths[i]);
	}
	free(pack->sources);
	free(pack->images);
	free(pack->paths);
	vmf_domain_free(pack->dom);
	free(pack->xml);
	free(pack);
}
