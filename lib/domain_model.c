/* domain_model.c - what a domain's XML says; see vmferry/domain.h */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vmferry/units.h>

#include "domain_tree.h"

/* --- strings of the model live until it is built anew */

static const char *
attr(struct vmf_domain *dom, const xmlNode *node, const char *name)
{
	return vmf_domain_tree_keep(
	    &dom->model_strings, vmf_domain_tree_attr(node, name));
}

static const char *
text(struct vmf_domain *dom, const xmlNode *node)
{
	return vmf_domain_tree_keep(
	    &dom->model_strings, vmf_domain_tree_text(node));
}

static const char *
text_at(struct vmf_domain *dom, const char *path)
{
	return text(dom, vmf_domain_tree_find(dom->root, path));
}

static size_t
count(const xmlNode *parent, const char *name)
{
	const xmlNode *node = vmf_domain_tree_child(parent, name);
	size_t n;

	for (n = 0; node != NULL; n++)
		node = vmf_domain_tree_next(node, name);
	return n;
}

/* --- disks */

/* The servers behind a <source>; there is room for all of the domain's. */
static void
read_servers(struct vmf_domain *dom, const xmlNode *source,
    struct vmf_domain_image *image)
{
	const xmlNode *host = vmf_domain_tree_child(source, "host");
	struct vmf_domain_server *server;

	image->servers = &dom->servers[dom->nservers];
	for (; host != NULL; host = vmf_domain_tree_next(host, "host")) {
		server = &dom->servers[dom->nservers++];
		server->transport = attr(dom, host, "transport");
		server->name = attr(dom, host, "name");
		server->port = attr(dom, host, "port");
		server->socket = attr(dom, host, "socket");
		image->nservers++;
	}
}

static void
read_image(struct vmf_domain *dom, const xmlNode *node, const char *format,
    struct vmf_domain_image *image)
{
	const xmlNode *source = vmf_domain_tree_child(node, "source");

	memset(image, 0, sizeof(*image));
	image->format = format;
	image->type = attr(dom, node, "type");
	if (image->type == NULL || source == NULL)
		return;
	if (strcmp(image->type, "file") == 0)
		image->path = attr(dom, source, "file");
	else if (strcmp(image->type, "block") == 0)
		image->path = attr(dom, source, "dev");
	else if (strcmp(image->type, "dir") == 0)
		image->path = attr(dom, source, "dir");
	else if (strcmp(image->type, "vhostuser") == 0)
		image->path = attr(dom, source, "path");
	image->pool = attr(dom, source, "pool");
	image->volume = attr(dom, source, "volume");
	image->protocol = attr(dom, source, "protocol");
	image->name = attr(dom, source, "name");
	read_servers(dom, source, image);
}

/* The <backingStore> below this disk or backingStore that names an image. */
static const xmlNode *
next_base(const xmlNode *node)
{
	node = vmf_domain_tree_child(node, "backingStore");
	return node != NULL && vmf_domain_tree_child(node, "source") ? node
								     : NULL;
}

static void
read_disk(struct vmf_domain *dom, const xmlNode *node,
    struct vmf_domain_disk *disk, struct vmf_domain_image *bases)
{
	const xmlNode *target = vmf_domain_tree_child(node, "target");
	const xmlNode *base;

	disk->target = attr(dom, target, "dev");
	disk->bus = attr(dom, target, "bus");
	disk->device = attr(dom, node, "device");
	if (disk->device == NULL)
		disk->device = "disk";
	read_image(dom, node,
	    attr(dom, vmf_domain_tree_child(node, "driver"), "type"),
	    &disk->image);
	disk->empty = disk->image.path == NULL && disk->image.pool == NULL &&
		      disk->image.protocol == NULL &&
		      vmf_domain_tree_find(node, "source/address") == NULL;
	disk->readonly = vmf_domain_tree_child(node, "readonly") != NULL;
	disk->shareable = vmf_domain_tree_child(node, "shareable") != NULL;
	disk->transient = vmf_domain_tree_child(node, "transient") != NULL;
	disk->encrypted =
	    vmf_domain_tree_child(node, "encryption") != NULL ||
	    vmf_domain_tree_find(node, "source/encryption") != NULL;
	disk->base = bases;
	for (base = next_base(node); base != NULL; base = next_base(base))
		read_image(dom, base,
		    attr(dom, vmf_domain_tree_child(base, "format"), "type"),
		    &bases[disk->nbase++]);
}

/* libvirt would take the last of some of these and the first of others. */
static int
check_disk(const xmlNode *node, struct vmf_error *err)
{
	static const char *const once[] = {
	    "source", "target", "driver", "backingStore", "mirror"};
	size_t i;

	for (i = 0; i < sizeof(once) / sizeof(once[0]); i++)
		if (count(node, once[i]) > 1)
			return vmf_fail(err, VMF_INTEGRITY,
			    "line %ld: more than one <%s> in a disk",
			    xmlGetLineNo(node), once[i]);
	return 0;
}

/* Target names become names of files in packages. */
static int
check_target(const struct vmf_domain_model *model,
    const struct vmf_domain_disk *disk, struct vmf_error *err)
{
	const char *name = disk->target;
	const struct vmf_domain_disk *other;

	if (name == NULL || name[0] == '\0')
		return vmf_fail(
		    err, VMF_INTEGRITY, "a disk without a target name");
	if (!isalnum((unsigned char)name[0]) || strlen(name) > 64 ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			 "0123456789_-") != strlen(name))
		return vmf_fail(err, VMF_INTEGRITY,
		    "'%.80s' is no target name of a disk", name);
	other = vmf_domain_model_disk(model, name);
	if (other != NULL && other != disk)
		return vmf_fail(
		    err, VMF_INTEGRITY, "two disks are called %s", name);
	return 0;
}

/* Room for all disks, their base images and servers. */
static int
make_room(struct vmf_domain *dom, const xmlNode *devices, struct vmf_error *err)
{
	size_t nbases = 0, nservers = 0, n = count(devices, "disk");
	const xmlNode *node, *base;

	for (node = vmf_domain_tree_child(devices, "disk"); node != NULL;
	     node = vmf_domain_tree_next(node, "disk")) {
		nservers +=
		    count(vmf_domain_tree_child(node, "source"), "host");
		for (base = next_base(node); base; base = next_base(base)) {
			nservers += count(
			    vmf_domain_tree_child(base, "source"), "host");
			nbases++;
		}
	}
	dom->disks = calloc(n + 1, sizeof(*dom->disks));
	dom->bases = calloc(nbases + 1, sizeof(*dom->bases));
	dom->servers = calloc(nservers + 1, sizeof(*dom->servers));
	dom->nservers = 0;
	if (dom->disks == NULL || dom->bases == NULL || dom->servers == NULL)
		return vmf_domain_tree_no_memory(err);
	dom->model.disks = dom->disks;
	return 0;
}

static int
read_disks(
    struct vmf_domain *dom, const xmlNode *devices, struct vmf_error *err)
{
	struct vmf_domain_model *model = &dom->model;
	struct vmf_domain_image *bases;
	const xmlNode *node;

	if (make_room(dom, devices, err) == -1)
		return -1;
	bases = dom->bases;
	for (node = vmf_domain_tree_child(devices, "disk"); node != NULL;
	     node = vmf_domain_tree_next(node, "disk")) {
		if (check_disk(node, err) == -1)
			return -1;
		read_disk(dom, node, &dom->disks[model->ndisks], bases);
		bases += dom->disks[model->ndisks].nbase;
		if (!dom->model_strings.failed &&
		    check_target(model, &dom->disks[model->ndisks], err) == -1)
			return -1;
		model->ndisks++;
	}
	return 0;
}

/* --- the other devices */

static void
read_interface(struct vmf_domain *dom, const xmlNode *node,
    struct vmf_domain_interface *interface)
{
	const xmlNode *source = vmf_domain_tree_child(node, "source");
	char mac[VMF_MAP_MAC_TEXT];
	const char *said;

	interface->type = attr(dom, node, "type");
	said = attr(dom, vmf_domain_tree_child(node, "mac"), "address");
	if (said != NULL && vmf_map_mac_plain(said, mac))
		interface->mac =
		    vmf_domain_tree_keep(&dom->model_strings, strdup(mac));
	interface->model =
	    attr(dom, vmf_domain_tree_child(node, "model"), "type");
	interface->port =
	    attr(dom, vmf_domain_tree_child(node, "virtualport"), "type");
	if (interface->type == NULL)
		return;
	if (strcmp(interface->type, "network") == 0) {
		interface->network = attr(dom, source, "network");
		interface->portgroup = attr(dom, source, "portgroup");
	} else if (strcmp(interface->type, "bridge") == 0) {
		interface->bridge = attr(dom, source, "bridge");
	} else if (strcmp(interface->type, "direct") == 0) {
		interface->device = attr(dom, source, "dev");
	}
}

static int
read_interfaces(
    struct vmf_domain *dom, const xmlNode *devices, struct vmf_error *err)
{
	size_t n = count(devices, "interface");
	const xmlNode *node;

	dom->interfaces = calloc(n + 1, sizeof(*dom->interfaces));
	if (dom->interfaces == NULL)
		return vmf_domain_tree_no_memory(err);
	dom->model.interfaces = dom->interfaces;
	for (node = vmf_domain_tree_child(devices, "interface"); node != NULL;
	     node = vmf_domain_tree_next(node, "interface"))
		read_interface(
		    dom, node, &dom->interfaces[dom->model.ninterfaces++]);
	return 0;
}

static void
read_tpm(struct vmf_domain *dom, const xmlNode *devices)
{
	const xmlNode *node = vmf_domain_tree_child(devices, "tpm");
	const xmlNode *backend = vmf_domain_tree_child(node, "backend");
	struct vmf_domain_tpm *tpm = &dom->tpm;

	memset(tpm, 0, sizeof(*tpm));
	if (node == NULL)
		return;
	tpm->model = attr(dom, node, "model");
	tpm->backend = attr(dom, backend, "type");
	tpm->version = attr(dom, backend, "version");
	tpm->device =
	    attr(dom, vmf_domain_tree_child(backend, "device"), "path");
	tpm->secret =
	    attr(dom, vmf_domain_tree_child(backend, "encryption"), "secret");
	tpm->persistent =
	    vmf_domain_tree_attr_is(backend, "persistent_state", "yes");
	dom->model.tpm = tpm;
}

static void
read_secrets(struct vmf_domain *dom, const xmlNode *node)
{
	const char *said = NULL;
	const char **more;

	for (; node != NULL; node = node->next) {
		if (is_element(node, "secret")) {
			if ((said = attr(dom, node, "uuid")) == NULL)
				said = attr(dom, node, "usage");
		} else if (is_element(node, "encryption")) {
			said = attr(dom, node, "secret");
		} else {
			said = NULL;
		}
		if (said != NULL) {
			more = realloc(dom->secrets,
			    (dom->model.nsecrets + 1) * sizeof(*more));
			if (more == NULL) {
				dom->model_strings.failed = true;
				return;
			}
			dom->secrets = more;
			more[dom->model.nsecrets++] = said;
			dom->model.secrets = more;
		}
		if (node->type == XML_ELEMENT_NODE)
			read_secrets(dom, node->children);
	}
}

/* --- the rest */

static void
read_os(struct vmf_domain *dom)
{
	struct vmf_domain_model *model = &dom->model;
	const xmlNode *os = vmf_domain_tree_child(dom->root, "os");
	const xmlNode *loader = vmf_domain_tree_child(os, "loader");
	const xmlNode *nvram = vmf_domain_tree_child(os, "nvram");
	const xmlNode *source = vmf_domain_tree_child(nvram, "source");
	const xmlNode *type = vmf_domain_tree_child(os, "type");

	model->arch = attr(dom, type, "arch");
	model->machine = attr(dom, type, "machine");
	model->firmware = attr(dom, os, "firmware");
	model->loader = text(dom, loader);
	model->loader_pflash =
	    vmf_domain_tree_attr_is(loader, "type", "pflash");
	model->loader_secure = vmf_domain_tree_attr_is(loader, "secure", "yes");
	model->nvram_template = attr(dom, nvram, "template");
	model->nvram_format = attr(dom, nvram, "format");
	model->nvram_type = attr(dom, nvram, "type");
	if (source == NULL)
		model->nvram = text(dom, nvram);
	else if ((model->nvram = attr(dom, source, "file")) == NULL)
		model->nvram = attr(dom, source, "dev");
	if (nvram != NULL && model->nvram_type == NULL)
		model->nvram_type = "file";
	model->kernel = text(dom, vmf_domain_tree_child(os, "kernel"));
	model->initrd = text(dom, vmf_domain_tree_child(os, "initrd"));
	model->dtb = text(dom, vmf_domain_tree_child(os, "dtb"));
}

/* Units as in libvirt's virScaleInteger(): KiB unless said, K is 1024. */
static uint64_t
read_memory(struct vmf_domain *dom)
{
	static const struct {
		const char *unit;
		uint64_t factor;
	} units[] = {{"b", 1}, {"bytes", 1}, {"KB", 1000}, {"k", 1 << 10},
	    {"KiB", 1 << 10}, {"MB", 1000000}, {"M", 1 << 20}, {"MiB", 1 << 20},
	    {"GB", 1000000000}, {"G", 1 << 30}, {"GiB", 1 << 30},
	    {"TB", UINT64_C(1000000000000)}, {"T", UINT64_C(1) << 40},
	    {"TiB", UINT64_C(1) << 40}};
	const xmlNode *node = vmf_domain_tree_child(dom->root, "memory");
	const char *unit = attr(dom, node, "unit"), *said = text(dom, node);
	uint64_t n, factor = 1 << 10;
	size_t i;

	for (i = 0; unit != NULL && i < sizeof(units) / sizeof(units[0]); i++)
		if (strcasecmp(unit, units[i].unit) == 0)
			factor = units[i].factor;
	if (said == NULL ||
	    vmf_parse_number(said, 0, UINT64_MAX / factor, &n, NULL) == -1)
		return 0;
	return n * factor;
}

static void
read_rest(struct vmf_domain *dom, const xmlNode *devices)
{
	struct vmf_domain_model *model = &dom->model;
	const xmlNode *cpu = vmf_domain_tree_child(dom->root, "cpu"), *node;
	const char *vcpu = text_at(dom, "vcpu");
	uint64_t n;

	model->type = attr(dom, dom->root, "type");
	model->name = text_at(dom, "name");
	model->uuid = text_at(dom, "uuid");
	model->title = text_at(dom, "title");
	model->emulator = text(dom, vmf_domain_tree_child(devices, "emulator"));
	model->cpu_mode = attr(dom, cpu, "mode");
	model->cpu_model = text(dom, vmf_domain_tree_child(cpu, "model"));
	model->memory = read_memory(dom);
	if (vcpu != NULL && vmf_parse_number(vcpu, 1, 65535, &n, NULL) == 0)
		model->vcpus = (unsigned)n;
	model->nhostdevs = count(devices, "hostdev");
	model->nfilesystems = count(devices, "filesystem");
	model->metadata = vmf_domain_tree_child(dom->root, "metadata") != NULL;
	for (node = vmf_domain_tree_child(devices, "graphics"); node != NULL;
	     node = vmf_domain_tree_next(node, "graphics"))
		if (xmlHasProp(node, BAD_CAST "passwd") != NULL)
			model->passwords = true;
}

/* Lower case, with dashes: libvirt's own spelling. */
static const char *
plain_uuid(struct vmf_domain *dom, const char *said)
{
	char hex[2 * VMF_ID_LEN + 1], *plain;
	uint8_t id[VMF_ID_LEN];

	if (said == NULL || vmf_parse_id(said, id, NULL) == -1)
		return NULL;
	vmf_hex(id, sizeof(id), hex);
	if (asprintf(&plain, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8,
		hex + 12, hex + 16, hex + 20) == -1)
		plain = NULL;
	if (plain == NULL)
		dom->model_strings.failed = true;
	return vmf_domain_tree_keep(&dom->model_strings, plain);
}

static void
forget(struct vmf_domain *dom)
{
	vmf_domain_tree_drop(&dom->model_strings);
	free(dom->disks);
	free(dom->bases);
	free(dom->servers);
	free(dom->interfaces);
	free(dom->secrets);
	dom->disks = NULL;
	dom->bases = NULL;
	dom->servers = NULL;
	dom->interfaces = NULL;
	dom->secrets = NULL;
	memset(&dom->model, 0, sizeof(dom->model));
}

const struct vmf_domain_model *
vmf_domain_model(struct vmf_domain *dom, struct vmf_error *err)
{
	const xmlNode *devices = vmf_domain_tree_child(dom->root, "devices");

	if (dom->modelled)
		return &dom->model;
	forget(dom);
	read_os(dom);
	read_rest(dom, devices);
	dom->model.uuid = plain_uuid(dom, dom->model.uuid);
	read_tpm(dom, devices);
	if (devices != NULL)
		read_secrets(dom, devices->children);
	if (read_disks(dom, devices, err) == -1 ||
	    read_interfaces(dom, devices, err) == -1)
		return NULL;
	if (dom->model_strings.failed) {
		vmf_domain_tree_no_memory(err);
		return NULL;
	}
	dom->modelled = true;
	return &dom->model;
}

const struct vmf_domain_disk *
vmf_domain_model_disk(const struct vmf_domain_model *model, const char *target)
{
	size_t i;

	for (i = 0; i < model->ndisks; i++)
		if (strcmp(model->disks[i].target, target) == 0)
			return &model->disks[i];
	return NULL;
}

const struct vmf_domain_image *
vmf_domain_model_image(const struct vmf_domain_model *model, const char *name)
{
	size_t i, len = strcspn(name, ".");
	const struct vmf_domain_disk *disk;
	uint64_t level = 0;

	if (name[len] != '\0' &&
	    (strncmp(name + len, ".base", 5) != 0 ||
		vmf_parse_number(name + len + 5, 1, 10000, &level, NULL) == -1))
		return NULL;
	for (i = 0; i < model->ndisks; i++) {
		disk = &model->disks[i];
		if (strlen(disk->target) != len ||
		    strncmp(disk->target, name, len) != 0)
			continue;
		if (level == 0)
			return &disk->image;
		return level <= disk->nbase ? &disk->base[level - 1] : NULL;
	}
	return NULL;
}

bool
vmf_domain_model_has_nvram(const struct vmf_domain_model *model)
{
	return model->nvram != NULL &&
	       (strcmp(model->nvram_type, "file") == 0 ||
		   strcmp(model->nvram_type, "block") == 0);
}
