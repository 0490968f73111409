/* pack_disks.c - a domain's disks; see pack_internal.h */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pack_internal.h"

static bool
is_named(const char *const *names, const char *name)
{
	for (; names != NULL && *names != NULL; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

static bool
is_wanted(const struct vmf_pack *pack, const struct vmf_domain_disk *disk)
{
	/* Media are not disks: what is in a tray stays where it is. */
	if (disk->device != NULL && (strcmp(disk->device, "cdrom") == 0 ||
					strcmp(disk->device, "floppy") == 0))
		return false;
	if (pack->options.leave_network && disk->image.type != NULL &&
	    strcmp(disk->image.type, "network") == 0)
		return false;
	if (pack->options.disks != NULL)
		return is_named(pack->options.disks, disk->target);
	return !is_named(pack->options.exclude, disk->target);
}

/* A list of names that the domain must have. */
static int
check_names(const struct vmf_pack *pack, const char *const *names,
    struct vmf_error *err)
{
	for (; names != NULL && *names != NULL; names++)
		if (vmf_domain_model_disk(pack->model, *names) == NULL)
			return vmf_fail(err, VMF_REFUSED, "%s has no disk %s",
			    pack->model->name, *names);
	return 0;
}

/* The path of the disk's image, for the caller to free. */
static char *
disk_path(struct vmf_pack *pack, const struct vmf_domain_disk *disk,
    struct vmf_error *err)
{
	const struct vmf_domain_image *image = &disk->image;
	char *path;

	if (image->type != NULL && strcmp(image->type, "volume") == 0)
		return vmf_host_volume_path(
		    pack->host, image->pool, image->volume, err);
	if (image->path == NULL || (strcmp(image->type, "file") != 0 &&
				       strcmp(image->type, "block") != 0)) {
		vmf_fail(err, VMF_REFUSED,
		    "disk %s of %s: source of type %s cannot be carried; "
		    "leave it out with --exclude %s",
		    disk->target, pack->model->name,
		    image->type == NULL ? "unknown" : image->type,
		    disk->target);
		return NULL;
	}
	path = strdup(image->path);
	if (path == NULL)
		vmf_fail_errno(err, VMF_IO, "%s", image->path);
	return path;
}

static int
check_disk(struct vmf_pack *pack, const struct vmf_domain_disk *disk,
    const char *path, struct vmf_error *err)
{
	const char *format = disk->image.format;

	if (disk->shareable)
		return vmf_fail(err, VMF_REFUSED,
		    "disk %s of %s is shareable: another machine may write "
		    "to it; leave it out with --exclude %s",
		    disk->target, pack->model->name, disk->target);
	if (format != NULL && strcmp(format, "raw") != 0)
		return vmf_fail(err, VMF_REFUSED,
		    "disk %s of %s: format %s is not carried yet; convert it "
		    "to raw with qemu-img",
		    disk->target, pack->model->name, format);
	if (disk->nbase > 0)
		return vmf_fail(err, VMF_REFUSED,
		    "disk %s of %s has base images, which are not carried "
		    "yet; flatten it with virsh blockpull",
		    disk->target, pack->model->name);
	return vmf_host_require_unused(
	    pack->host, path, pack->model->uuid, err);
}

static int
add_disk(struct vmf_pack *pack, const struct vmf_domain_disk *disk,
    struct vmf_error *err)
{
	size_t n = pack->info.nimages;
	struct vmf_package_image *image = &pack->images[n];
	uint32_t chunk = pack->options.chunk;
	struct vmf_source *src;

	pack->paths[n] = disk_path(pack, disk, err);
	if (pack->paths[n] == NULL)
		return -1;
	pack->info.nimages++;
	if (check_disk(pack, disk, pack->paths[n], err) < 0)
		return -1;
	src = vmf_source_open(pack->paths[n], &pack->options.source, err);
	if (src == NULL) {
		/* A disk that is not there is a reason, not an accident. */
		if (err->errnum == ENOENT)
			err->class = VMF_REFUSED;
		return vmf_wrap(
		    err, "disk %s of %s", disk->target, pack->model->name);
	}
	pack->sources[n] = src;
	/* Very large disks get larger chunks: a package bounds their count. */
	while (vmf_source_size(src) / chunk >= VMF_PACKAGE_CHUNKS_MAX &&
	       chunk < VMF_CHUNK_MAX)
		chunk *= 2;
	vmf_source_geometry(src, chunk, &image->geo);
	image->name = disk->target;
	image->path = pack->paths[n];
	return 0;
}

int
vmf_pack_disks_add(struct vmf_pack *pack, struct vmf_error *err)
{
	size_t i, n = pack->model->ndisks;

	if (check_names(pack, pack->options.disks, err) < 0 ||
	    check_names(pack, pack->options.exclude, err) < 0)
		return -1;
	pack->images = calloc(n + 1, sizeof(*pack->images));
	pack->sources = calloc(n + 1, sizeof(struct vmf_source *));
	pack->paths = calloc(n + 1, sizeof(char *));
	if (pack->images == NULL || pack->sources == NULL ||
	    pack->paths == NULL)
		return vmf_fail_errno(err, VMF_IO, "%s", pack->model->name);
	for (i = 0; i < n; i++)
		if (is_wanted(pack, &pack->model->disks[i]) &&
		    add_disk(pack, &pack->model->disks[i], err) < 0)
			return -1;
	pack->info.images = pack->images;
	return 0;
}
