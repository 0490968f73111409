/* place.c - see vmferry/place.h */
#include <errno.h>
#include <libgen.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vmferry/place.h>

#define TPM_DIR	 "/var/lib/libvirt/swtpm"
#define TPM_USER "tss"

struct vmf_place {
	const struct vmf_package_info *info;
	struct vmf_host *host;
	struct vmf_place_options options;
	struct vmf_domain *dom;
	const struct vmf_domain_model *model;
	char *xml; /* rewritten */
	struct vmf_package_target *images, *files;
	char **paths; /* of all targets, images first */
};

static bool
is_named(const char *const *names, const char *name)
{
	for (; names != NULL && *names != NULL; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

static bool
starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* ---- the domain as it will be here ------------------------------------- */

static int
rewrite(struct vmf_place *place, const char *xml, struct vmf_error *err)
{
	struct vmf_domain_change change = {
	    .map = place->options.map,
	    .name = place->options.name,
	    .new_identity = place->options.new_identity,
	    .firmware_there =
		place->host == NULL ? NULL : vmf_host_firmware_there,
	    .ctx = place->host,
	};

	place->dom = vmf_domain_parse(xml, strlen(xml), "domain.xml", err);
	if (place->dom == NULL ||
	    vmf_domain_rewrite(place->dom, &change, err) < 0)
		return -1;
	place->model = vmf_domain_model(place->dom, err);
	return place->model == NULL ? -1 : 0;
}

/*
 * What will be placed need not be there yet: paths are answered with our own
 * targets first, the rest by the host.
 */
static bool
there(void *ctx, enum vmf_domain_ask ask, const char *value)
{
	struct vmf_place *place = ctx;
	size_t i, n = place->info->nimages + place->info->nfiles;

	if (ask == VMF_ASK_PATH)
		for (i = 0; i < n; i++)
			if (place->paths[i] != NULL &&
			    strcmp(place->paths[i], value) == 0)
				return true;
	if (ask == VMF_ASK_SECRET && is_named(place->options.secrets, value))
		return true;
	return vmf_host_there(place->host, ask, value);
}

static int
check_names(struct vmf_place *place, struct vmf_error *err)
{
	struct vmf_domain_scan scan = {
	    .allow = place->options.allow,
	    .untrusted = !place->options.trusted,
	    .there = place->host == NULL ? NULL : there,
	    .ctx = place,
	};

	return vmf_domain_scan(place->dom, &scan, err);
}

/* Can it be defined, beside the domains that are here? */
static int
check_identity(struct vmf_place *place, struct vmf_error *err)
{
	char user[VMF_MAP_NAME_MAX];
	size_t i;

	if (!place->options.define)
		return 0;
	if (vmf_host_check_identity(place->host, place->model->name,
		place->model->uuid, place->options.replace, err) < 0 ||
	    vmf_host_check_runs(place->host, place->model, err) < 0)
		return -1;
	for (i = 0; i < place->model->ninterfaces; i++) {
		const char *mac = place->model->interfaces[i].mac;

		if (mac == NULL)
			continue;
		if (vmf_host_mac_user(
			place->host, mac, place->model->uuid, user, err) < 0)
			return -1;
		if (user[0] != '\0')
			return vmf_fail(err, VMF_REFUSED,
			    "MAC address %s belongs to domain %s; map it "
			    "with --map-net %s=NEW or ask for --identity new",
			    mac, user, mac);
	}
	return 0;
}

/* ---- targets --------------------------------------------------------------
 */

/* The path of the disk with an image's name, for the caller to free. */
static char *
image_path(struct vmf_place *place, const struct vmf_package_image *image,
    struct vmf_error *err)
{
	const struct vmf_domain_disk *disk =
	    vmf_domain_model_disk(place->model, image->name);
	char *path;

	if (disk == NULL) {
		vmf_fail(err, VMF_INTEGRITY,
		    "image %s belongs to no disk of the domain", image->name);
		return NULL;
	}
	if (disk->image.type != NULL &&
	    strcmp(disk->image.type, "volume") == 0 && place->host != NULL)
		return vmf_host_volume_path(
		    place->host, disk->image.pool, disk->image.volume, err);
	if (disk->image.path == NULL || disk->image.path[0] != '/') {
		vmf_fail(err, VMF_REFUSED,
		    "disk %s has no path here; give it one with --map "
		    "%s=PATH",
		    image->name, image->name);
		return NULL;
	}
	path = strdup(disk->image.path);
	if (path == NULL)
		vmf_fail_errno(err, VMF_IO, "%s", image->name);
	return path;
}

static char *
file_path(struct vmf_place *place, const struct vmf_package_file *file,
    struct vmf_error *err)
{
	const char *tpm_dir = place->options.tpm_dir;
	char *path = NULL;

	if (starts_with(file->name, "nvram/")) {
		if (place->model->nvram == NULL) {
			vmf_fail(err, VMF_INTEGRITY,
			    "%s belongs to a domain without NVRAM", file->name);
			return NULL;
		}
		path = strdup(place->model->nvram);
	} else if (starts_with(file->name, "tpm/")) {
		if (asprintf(&path, "%s/%s/%s",
			tpm_dir == NULL ? TPM_DIR : tpm_dir, place->model->uuid,
			file->name + strlen("tpm/")) < 0)
			path = NULL;
	} else {
		vmf_fail(err, VMF_REFUSED,
		    "%s: no place is known for it; take it out with "
		    "vmf-unpack --extract",
		    file->name);
		return NULL;
	}
	if (path == NULL)
		vmf_fail_errno(err, VMF_IO, "%s", file->name);
	return path;
}

static int
check_target(struct vmf_place *place, const char *path, struct vmf_error *err)
{
	/* With replace, the domain's own disks are the ones to be replaced. */
	if (place->host == NULL)
		return 0;
	return vmf_host_require_unused(place->host, path,
	    place->options.replace ? place->model->uuid : NULL, err);
}

static int
choose_targets(struct vmf_place *place, struct vmf_error *err)
{
	const struct vmf_package_info *info = place->info;
	size_t i, j, n = info->nimages + info->nfiles;

	place->images = calloc(info->nimages + 1, sizeof(*place->images));
	place->files = calloc(info->nfiles + 1, sizeof(*place->files));
	place->paths = calloc(n + 1, sizeof(char *));
	if (place->images == NULL || place->files == NULL ||
	    place->paths == NULL)
		return vmf_fail_errno(err, VMF_IO, "placement");
	for (i = 0; i < n; i++) {
		place->paths[i] =
		    i < info->nimages
			? image_path(place, &info->images[i], err)
			: file_path(
			      place, &info->files[i - info->nimages], err);
		if (place->paths[i] == NULL ||
		    check_target(place, place->paths[i], err) < 0)
			return -1;
		for (j = 0; j < i; j++)
			if (strcmp(place->paths[i], place->paths[j]) == 0)
				return vmf_fail(err, VMF_REFUSED,
				    "%s: two parts of the domain would go "
				    "there; map one elsewhere",
				    place->paths[i]);
	}
	for (i = 0; i < info->nimages; i++) {
		place->images[i].path = place->paths[i];
		place->images[i].overwrite =
		    is_named(place->options.overwrite, info->images[i].name);
	}
	for (i = 0; i < info->nfiles; i++)
		place->files[i].path = place->paths[info->nimages + i];
	return 0;
}

static int
check_overwrite_names(const struct vmf_place *place, struct vmf_error *err)
{
	const char *const *name = place->options.overwrite;
	size_t i;

	for (; name != NULL && *name != NULL; name++) {
		for (i = 0; i < place->info->nimages; i++)
			if (strcmp(*name, place->info->images[i].name) == 0)
				break;
		if (i == place->info->nimages)
			return vmf_fail(err, VMF_REFUSED,
			    "--overwrite %s: there is no such disk", *name);
	}
	return 0;
}

struct vmf_place *
vmf_place_new(const struct vmf_package_info *info, const char *xml,
    struct vmf_host *host, const struct vmf_place_options *options,
    struct vmf_error *err)
{
	struct vmf_place *place = calloc(1, sizeof(*place));

	if (place == NULL) {
		vmf_fail_errno(err, VMF_IO, "placement");
		return NULL;
	}
	place->info = info;
	place->host = host;
	place->options = *options;
	if (rewrite(place, xml, err) < 0 ||
	    check_overwrite_names(place, err) < 0 ||
	    check_identity(place, err) < 0 || choose_targets(place, err) < 0 ||
	    check_names(place, err) < 0)
		goto fail;
	place->xml = vmf_domain_format(place->dom, NULL, err);
	if (place->xml == NULL)
		goto fail;
	return place;
fail:
	vmf_place_free(place);
	return NULL;
}

const char *
vmf_place_xml(const struct vmf_place *place)
{
	return place->xml;
}

const char *
vmf_place_name(const struct vmf_place *place)
{
	return place->model->name;
}

const char *
vmf_place_uuid(const struct vmf_place *place)
{
	return place->model->uuid;
}

const char *
vmf_place_image(const struct vmf_place *place, size_t n)
{
	return place->images[n].path;
}

const char *
vmf_place_file(const struct vmf_place *place, size_t n)
{
	return place->files[n].path;
}

bool
vmf_place_overwrites(const struct vmf_place *place, size_t n)
{
	return place->images[n].overwrite;
}

/* ---- placing ---------------------------------------------------------------
 */

int
vmf_place_check_targets(struct vmf_place *place, struct vmf_error *err)
{
	const struct vmf_package_info *info = place->info;
	struct vmf_sink *sink;
	size_t i;

	for (i = 0; i < info->nimages; i++) {
		struct vmf_sink_options o = {
		    .overwrite = place->images[i].overwrite,
		    .scratch = place->options.scratch,
		};

		sink = vmf_sink_open(
		    place->images[i].path, &info->images[i].geo, &o, err);
		if (sink == NULL)
			return vmf_package_wrap_disk(err, info->images[i].name);
		vmf_sink_free(sink);
	}
	for (i = 0; i < info->nfiles; i++)
		if (access(place->files[i].path, F_OK) == 0)
			return vmf_fail(err, VMF_REFUSED,
			    "%s: exists already; move it away first, it may "
			    "belong to an earlier machine",
			    place->files[i].path);
	return 0;
}

/* Make the directory of path, and those above it down to (not with) stop. */
static int
make_parents(
    const char *path, const char *stop, mode_t mode, struct vmf_error *err)
{
	char *copy = strdup(path), *dir;
	int rc = 0;

	if (copy == NULL)
		return vmf_fail_errno(err, VMF_IO, "%s", path);
	dir = dirname(copy);
	if (strlen(dir) > strlen(stop) && access(dir, F_OK) < 0) {
		rc = make_parents(dir, stop, mode, err);
		if (rc == 0 && mkdir(dir, mode) < 0 && errno != EEXIST)
			rc = vmf_fail_errno(err, VMF_IO, "%s", dir);
	}
	free(copy);
	return rc;
}

static int
make_directories(struct vmf_place *place, struct vmf_error *err)
{
	const char *tpm_dir = place->options.tpm_dir;
	size_t i;

	if (tpm_dir == NULL)
		tpm_dir = TPM_DIR;
	for (i = 0; i < place->info->nfiles; i++) {
		if (!starts_with(place->info->files[i].name, "tpm/"))
			continue;
		/* libvirt makes its directory with the first TPM only. */
		if (mkdir(tpm_dir, 0711) < 0 && errno != EEXIST)
			return vmf_fail_errno(err, VMF_IO, "%s", tpm_dir);
		if (make_parents(place->files[i].path, tpm_dir, 0711, err) < 0)
			return -1;
	}
	return 0;
}

/*
 * swtpm runs as a user of its own and must own its state; libvirt gives
 * everything else to QEMU's user at each start.
 */
static int
give_tpm_files(struct vmf_place *place, struct vmf_error *err)
{
	const struct passwd *pw = getpwnam(TPM_USER);
	size_t i;

	for (i = 0; i < place->info->nfiles; i++) {
		const char *path = place->files[i].path;
		char *copy;
		int rc;

		if (!starts_with(place->info->files[i].name, "tpm/"))
			continue;
		if (pw == NULL)
			return vmf_fail(err, VMF_IO,
			    "%s: there is no user %s to own TPM state; "
			    "install swtpm",
			    path, TPM_USER);
		copy = strdup(path);
		if (copy == NULL)
			return vmf_fail_errno(err, VMF_IO, "%s", path);
		rc = chown(path, pw->pw_uid, pw->pw_gid);
		if (rc == 0)
			rc = chown(dirname(copy), pw->pw_uid, pw->pw_gid);
		free(copy);
		if (rc < 0)
			return vmf_fail_errno(err, VMF_IO, "%s", path);
	}
	return 0;
}

int
vmf_place_restore(struct vmf_place *place, struct vmf_package_reader *r,
    const struct vmf_engine_options *engine,
    struct vmf_package_summary *summary, struct vmf_error *err)
{
	struct vmf_package_plan plan = {
	    .images = place->images,
	    .files = place->files,
	    .readback = place->options.readback,
	    .dry_run = place->options.dry_run,
	    .scratch = place->options.scratch,
	};

	if (!plan.dry_run && make_directories(place, err) < 0)
		return -1;
	if (vmf_package_restore(r, &plan, engine, summary, err) < 0)
		return -1;
	return plan.dry_run ? 0 : give_tpm_files(place, err);
}

int
vmf_place_define(struct vmf_place *place, char **old, struct vmf_error *err)
{
	return vmf_host_define(
	    place->host, place->xml, place->options.replace, old, err);
}

void
vmf_place_free(struct vmf_place *place)
{
	size_t i, n;

	if (place == NULL)
		return;
	n = place->info->nimages + place->info->nfiles;
	for (i = 0; place->paths != NULL && i < n; i++)
		free(place->paths[i]);
	free(place->paths);
	free(place->images);
	free(place->files);
	free(place->xml);
	vmf_domain_free(place->dom);
	free(place);
}
