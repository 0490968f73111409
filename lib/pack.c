/* pack.c - see vmferry/pack.h */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vmferry/domain.h>
#include <vmferry/pack.h>

#define TPM_DIR	    "/var/lib/libvirt/swtpm"
#define TPM_DEPTH   3 /* UUID/tpm2/file, and one to spare */
#define FILES_MAX   64
#define OWNER_MAX   33
#define MEMBER_ROOM (VMF_PACKAGE_NAME_MAX + 1)

/* One file beside the disks; the strings that info's entry borrows. */
struct file {
	char name[MEMBER_ROOM];
	char path[VMF_MAP_PATH_MAX];
	char owner[OWNER_MAX], group[OWNER_MAX];
	int fd;
};

struct vmf_pack {
	struct vmf_host *host;
	struct vmf_pack_options options;
	char *xml;
	struct vmf_domain *dom;
	const struct vmf_domain_model *model;
	struct vmf_package_info info;
	struct file files[FILES_MAX];
	struct vmf_package_file file_entries[FILES_MAX];
	struct vmf_package_image *images;
	struct vmf_source **sources;
	char **paths; /* of the images */
};

/* ---- files: NVRAM and TPM state ---------------------------------------- */

static void
name_owner(const struct stat *st, struct file *file)
{
	const struct passwd *pw = getpwuid(st->st_uid);
	const struct group *gr = getgrgid(st->st_gid);

	if (pw != NULL)
		snprintf(file->owner, OWNER_MAX, "%.32s", pw->pw_name);
	else
		snprintf(file->owner, OWNER_MAX, "%u", st->st_uid);
	if (gr != NULL)
		snprintf(file->group, OWNER_MAX, "%.32s", gr->gr_name);
	else
		snprintf(file->group, OWNER_MAX, "%u", st->st_gid);
}

/* Takes fd. */
static int
add_file(struct vmf_pack *pack, int fd, const char *name, const char *path,
    struct vmf_error *err)
{
	struct file *file = &pack->files[pack->info.nfiles];
	struct vmf_package_file *entry = &pack->file_entries[pack->info.nfiles];
	struct stat st;

	if (pack->info.nfiles == FILES_MAX) {
		close(fd);
		return vmf_fail(err, VMF_REFUSED,
		    "%s: more than %d files beside the disks", path, FILES_MAX);
	}
	file->fd = fd;
	pack->info.nfiles++;
	if (fstat(fd, &st) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", path);
	if (!S_ISREG(st.st_mode))
		return vmf_fail(
		    err, VMF_REFUSED, "%s: not a regular file", path);
	snprintf(file->name, sizeof(file->name), "%s", name);
	snprintf(file->path, sizeof(file->path), "%s", path);
	name_owner(&st, file);
	entry->name = file->name;
	entry->path = file->path;
	entry->size = (uint64_t)st.st_size;
	entry->mode = st.st_mode & 0777;
	entry->owner = file->owner;
	entry->group = file->group;
	return 0;
}

static int
add_nvram(struct vmf_pack *pack, struct vmf_error *err)
{
	const char *path = pack->model->nvram;
	int fd;

	if (!vmf_domain_model_has_nvram(pack->model))
		return 0;
	if (path == NULL)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: its NVRAM has no file yet; start and stop the guest "
		    "once, so that libvirt makes it",
		    pack->model->name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: the NVRAM of %s is missing; put it back, or start "
		    "and stop the guest once to get a new one",
		    path, pack->model->name);
	if (fd < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", path);
	return add_file(pack, fd, "nvram/VARS.fd", path, err);
}

static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* No dot files: swtpm's lock is not state. */
static int
is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int add_tpm_entry(struct vmf_pack *pack, int dir, const char *path,
    const char *name, unsigned depth, struct vmf_error *err);

/* All regular files below dir, sorted, named tpm/... as they lie there. */
static int
add_tpm_files(struct vmf_pack *pack, int dir, const char *path,
    const char *name, unsigned depth, struct vmf_error *err)
{
	struct dirent **entries = NULL;
	int i, n, rc = 0;

	n = scandirat(dir, ".", &entries, is_visible, by_name);
	if (n < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", path);
	for (i = 0; i < n; i++) {
		char sub_path[VMF_MAP_PATH_MAX], sub_name[MEMBER_ROOM];

		if (rc == 0 &&
		    (snprintf(sub_path, sizeof(sub_path), "%s/%s", path,
			 entries[i]->d_name) >= (int)sizeof(sub_path) ||
			snprintf(sub_name, sizeof(sub_name), "%s/%s", name,
			    entries[i]->d_name) >= (int)sizeof(sub_name)))
			rc = vmf_fail(err, VMF_REFUSED,
			    "%s/%s: the name is too long", path,
			    entries[i]->d_name);
		if (rc == 0)
			rc = add_tpm_entry(
			    pack, dir, sub_path, sub_name, depth, err);
		free(entries[i]);
	}
	free(entries);
	return rc;
}

static int
add_tpm_entry(struct vmf_pack *pack, int dir, const char *path,
    const char *name, unsigned depth, struct vmf_error *err)
{
	int fd = openat(dir, strrchr(path, '/') + 1,
	    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	int rc;

	if (fd < 0 || fstat(fd, &st) < 0) {
		vmf_fail_errno(err, VMF_IO, "%s", path);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	if (!S_ISDIR(st.st_mode))
		return add_file(pack, fd, name, path, err);
	rc = depth == 0
		 ? vmf_fail(err, VMF_REFUSED, "%s: directories too deep", path)
		 : add_tpm_files(pack, fd, path, name, depth - 1, err);
	close(fd);
	return rc;
}

static int
add_tpm(struct vmf_pack *pack, struct vmf_error *err)
{
	const struct vmf_domain_tpm *tpm = pack->model->tpm;
	const char *base = pack->options.tpm_dir;
	char path[VMF_MAP_PATH_MAX];
	int dir, rc;

	if (tpm == NULL)
		return 0;
	if (tpm->backend == NULL || strcmp(tpm->backend, "emulator") != 0)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: its TPM is the host's own device, which cannot "
		    "travel; give it an emulated one",
		    pack->model->name);
	snprintf(path, sizeof(path), "%s/%s", base == NULL ? TPM_DIR : base,
	    pack->model->uuid);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir < 0 && errno == ENOENT)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: the TPM state of %s is missing; put it back, or "
		    "start and stop the guest once to get a new one",
		    path, pack->model->name);
	if (dir < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", path);
	rc = add_tpm_files(pack, dir, path, "tpm", TPM_DEPTH, err);
	close(dir);
	return rc;
}

/* ---- disks --------------------------------------------------------------- */

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

static int
add_disks(struct vmf_pack *pack, struct vmf_error *err)
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

/* ---- the whole ------------------------------------------------------------
 */

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
	    (!options->no_files &&
		(add_nvram(pack, err) < 0 || add_tpm(pack, err) < 0)) ||
	    add_disks(pack, err) < 0) {
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

uint64_t
vmf_pack_size(const struct vmf_pack *pack)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < pack->info.nimages; i++)
		sum += pack->images[i].geo.size;
	return sum;
}

static int
write_file(struct vmf_pack *pack, size_t i, struct vmf_package_writer *w,
    struct vmf_error *err)
{
	struct vmf_fd fd = {pack->files[i].fd, pack->files[i].path};

	if (lseek(fd.fd, 0, SEEK_SET) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", fd.name);
	return vmf_package_writer_file(w, vmf_in_fd(&fd), err);
}

static int
write_facts(
    struct vmf_pack *pack, struct vmf_package_writer *w, struct vmf_error *err)
{
	char libvirt[32], emulator[32];
	struct vmf_host_facts facts;
	struct vmf_package_fact list[] = {
	    {"emulator", emulator},
	    {"hostname", facts.hostname},
	    {"libvirt", libvirt},
	};

	if (vmf_host_facts(pack->host, &facts, err) < 0)
		return -1;
	snprintf(libvirt, sizeof(libvirt), "%lu.%lu.%lu",
	    facts.libvirt / 1000000, facts.libvirt / 1000 % 1000,
	    facts.libvirt % 1000);
	snprintf(emulator, sizeof(emulator), "%lu.%lu.%lu",
	    facts.emulator / 1000000, facts.emulator / 1000 % 1000,
	    facts.emulator % 1000);
	return vmf_package_writer_finish(
	    w, list, sizeof(list) / sizeof(list[0]), err);
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
		if (write_file(pack, i, w, err) < 0)
			goto out;
	for (i = 0; i < pack->info.nimages; i++)
		if (vmf_package_dump(w, pack->sources[i], options, err) < 0) {
			vmf_wrap(err, "disk %s", pack->images[i].name);
			goto out;
		}
	vmf_package_writer_sign(w, pack->options.sign);
	rc = write_facts(pack, w, err);
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
