/* check_targets.c - places for images and files, and the room in them */
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <vmferry/sink.h>
#include <vmferry/units.h>

#include "check_place.h"

#define TPM_DIR	   "/var/lib/libvirt/swtpm"
#define IMAGES_DIR "/var/lib/libvirt/images"

/* What will be written into one file system. */
struct room {
	dev_t dev;
	char dir[VMF_MAP_PATH_MAX];
	uint64_t need;	  /* bytes that are really there at the source */
	uint64_t at_most; /* bytes when the guest has filled its disks */
	uint64_t available;
};

struct rooms {
	struct room *v;
	size_t n;
};

/* ---- room ---------------------------------------------------------------- */

/* The nearest directory above path that exists. */
static bool
find_directory(const char *path, char dir[VMF_MAP_PATH_MAX], struct stat *st)
{
	char *slash;

	snprintf(dir, VMF_MAP_PATH_MAX, "%s", path);
	while ((slash = strrchr(dir, '/')) != NULL) {
		slash[slash == dir] = '\0';
		if (stat(dir, st) == 0)
			return S_ISDIR(st->st_mode);
		if (slash == dir)
			break;
	}
	return false;
}

static int
add_need(struct rooms *rooms, const char *path, uint64_t need, uint64_t at_most,
    struct vmf_error *err)
{
	char dir[VMF_MAP_PATH_MAX];
	struct room *room;
	struct statvfs fs;
	struct stat st;
	size_t i;

	if (!find_directory(path, dir, &st) || statvfs(dir, &fs) < 0)
		return 0; /* the target's own row tells */
	for (i = 0; i < rooms->n && rooms->v[i].dev != st.st_dev; i++)
		;
	if (i == rooms->n) {
		room = realloc(rooms->v, (rooms->n + 1) * sizeof(*room));
		if (room == NULL)
			return vmf_fail_errno(err, VMF_IO, "check");
		rooms->v = room;
		room = &rooms->v[rooms->n++];
		memset(room, 0, sizeof(*room));
		room->dev = st.st_dev;
		memcpy(room->dir, dir, sizeof(dir));
		room->available = (uint64_t)fs.f_bavail * fs.f_frsize;
	}
	rooms->v[i].need += need;
	rooms->v[i].at_most += at_most;
	return 0;
}

static void
tell_rooms(struct place_check *c, const struct rooms *rooms)
{
	char need[VMF_SIZE_TEXT], have[VMF_SIZE_TEXT], most[VMF_SIZE_TEXT];
	const struct room *room;
	char what[80];
	size_t i;

	for (i = 0; i < rooms->n; i++) {
		room = &rooms->v[i];
		snprintf(what, sizeof(what), "space %.72s", room->dir);
		vmf_format_size(room->need, need);
		vmf_format_size(room->at_most, most);
		vmf_format_size(room->available, have);
		if (room->need > room->available)
			vmf_check_fail(c->rows, what,
			    "%s: %s needed, %s free; free some, or map a disk "
			    "elsewhere",
			    room->dir, need, have);
		else if (room->at_most > room->available)
			vmf_check_warn(c->rows, what,
			    "%s: %s needed now, %s free, but %s when the "
			    "guest has filled its disks; watch it",
			    room->dir, need, have, most);
		else
			vmf_check_ok(c->rows, what, "%s: %s needed, %s free",
			    room->dir, need, have);
	}
}

/* ---- targets -------------------------------------------------------------
 */

/* As in place.c: where the disk of an image's name has its source. */
static char *
image_path(struct place_check *c, const char *name, struct vmf_error *err)
{
	const struct vmf_domain_disk *disk =
	    vmf_domain_model_disk(c->model, name);
	char *path;

	if (disk != NULL && disk->image.type != NULL &&
	    strcmp(disk->image.type, "volume") == 0)
		return vmf_host_volume_path(
		    c->host, disk->image.pool, disk->image.volume, err);
	if (disk == NULL || disk->image.path == NULL ||
	    disk->image.path[0] != '/') {
		vmf_fail(err, VMF_REFUSED,
		    "disk %s has no path here; give it one with --map "
		    "%s=PATH",
		    name, name);
		return NULL;
	}
	path = strdup(disk->image.path);
	if (path == NULL)
		vmf_fail_errno(err, VMF_IO, "%s", name);
	return path;
}

static bool
is_overwritten(const struct place_check *c, const char *name)
{
	const char *const *o = c->what->options->overwrite;

	for (; o != NULL && *o != NULL; o++)
		if (strcmp(*o, name) == 0)
			return true;
	return false;
}

/* It is the source's own file or device: nothing could be worse to write to. */
static int
check_not_source(
    struct place_check *c, size_t n, const char *path, struct vmf_error *err)
{
	const char *identity =
	    c->what->identity == NULL ? NULL : c->what->identity[n];
	char *here;
	bool same;

	if (identity == NULL)
		return 0;
	here = vmf_check_identity(path);
	if (here == NULL)
		return vmf_fail_errno(err, VMF_IO, "%s", path);
	same = vmf_check_same(identity, here, c->what->live);
	free(here);
	if (same)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: the very disk that would be moved, on storage that "
		    "both hosts share; map it elsewhere, or move the "
		    "definition alone",
		    path);
	return 0;
}

static int
check_image(struct place_check *c, size_t n, const char *path, bool *is_file,
    struct vmf_error *err)
{
	const struct vmf_package_image *image = &c->what->info->images[n];
	const struct vmf_place_options *o = c->what->options;
	struct vmf_sink_options so = {
	    .overwrite = is_overwritten(c, image->name),
	    .scratch = o->scratch,
	};
	struct vmf_sink *sink;

	if (check_not_source(c, n, path, err) < 0 ||
	    vmf_host_require_unused(
		c->host, path, o->replace ? c->model->uuid : NULL, err) < 0)
		return -1;
	sink = vmf_sink_open(path, &image->geo, &so, err);
	if (sink == NULL)
		return -1;
	*is_file = !vmf_sink_is_device(sink);
	vmf_sink_free(sink);
	return 0;
}

void
vmf_check_propose(struct place_check *c, const char *name, const char *path)
{
	const char *base = path == NULL ? NULL : strrchr(path, '/');
	char other[VMF_MAP_PATH_MAX];

	if (base != NULL && strpbrk(path, "=\\*") == NULL &&
	    access(IMAGES_DIR, W_OK) == 0) {
		snprintf(other, sizeof(other), IMAGES_DIR "%s", base);
		if (access(other, F_OK) < 0) {
			vmf_check_map(c->rows, "map", "%s=%s", name, other);
			return;
		}
	}
	vmf_check_map(c->rows, "map", "%s=/...", name);
}

static int
check_one_image(
    struct place_check *c, size_t n, struct rooms *rooms, struct vmf_error *err)
{
	const struct vmf_package_image *image = &c->what->info->images[n];
	uint64_t size = image->geo.size, need = size;
	char what[80], text[VMF_SIZE_TEXT], *path;
	struct vmf_error said;
	bool is_file = false;
	int rc = 0;

	snprintf(what, sizeof(what), "target %s", image->name);
	path = image_path(c, image->name, &said);
	if (path == NULL) {
		vmf_check_error(c->rows, what, &said);
		vmf_check_propose(c, image->name, path);
		return 0;
	}
	if (c->what->allocated != NULL)
		need = c->what->allocated[n];
	if (check_image(c, n, path, &is_file, &said) < 0) {
		vmf_check_error(c->rows, what, &said);
		vmf_check_propose(c, image->name, path);
	} else {
		vmf_check_ok(c->rows, what, "%s, %s%s", path,
		    vmf_format_size(size, text), is_file ? ", a new file" : "");
	}
	if (is_file)
		rc = add_need(rooms, path, need, size, err);
	free(path);
	return rc;
}

static int
check_one_file(struct place_check *c, const struct vmf_package_file *file,
    struct rooms *rooms, struct vmf_error *err)
{
	const char *tpm = c->what->options->tpm_dir;
	char path[VMF_MAP_PATH_MAX], what[80];

	snprintf(what, sizeof(what), "target %.72s", file->name);
	if (strncmp(file->name, "nvram/", 6) == 0 && c->model->nvram != NULL)
		snprintf(path, sizeof(path), "%s", c->model->nvram);
	else if (strncmp(file->name, "tpm/", 4) == 0)
		snprintf(path, sizeof(path), "%s/%s/%s",
		    tpm == NULL ? TPM_DIR : tpm, c->model->uuid,
		    file->name + 4);
	else
		return 0; /* the placement refuses it */
	if (access(path, F_OK) == 0)
		vmf_check_fail(c->rows, what,
		    "%s: exists already; move it away first, it may belong "
		    "to an earlier machine",
		    path);
	else
		vmf_check_ok(c->rows, what, "%s, a new file", path);
	return add_need(rooms, path, file->size, file->size, err);
}

int
vmf_check_targets(struct place_check *c, struct vmf_error *err)
{
	const struct vmf_package_info *info = c->what->info;
	struct rooms rooms = {NULL, 0};
	int rc = 0;
	size_t i;

	for (i = 0; rc == 0 && i < info->nimages; i++)
		rc = check_one_image(c, i, &rooms, err);
	for (i = 0; rc == 0 && i < info->nfiles; i++)
		rc = check_one_file(c, &info->files[i], &rooms, err);
	if (rc == 0)
		tell_rooms(c, &rooms);
	free(rooms.v);
	return rc;
}
