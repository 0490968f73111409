/* pack_files.c - NVRAM and TPM state; see pack_internal.h */
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

#include "pack_internal.h"

#define TPM_DIR	  "/var/lib/libvirt/swtpm"
#define TPM_DEPTH 3 /* UUID/tpm2/file, and one to spare */

static void
name_owner(const struct stat *st, struct pack_file *file)
{
	const struct passwd *pw = getpwuid(st->st_uid);
	const struct group *gr = getgrgid(st->st_gid);

	if (pw != NULL)
		snprintf(file->owner, PACK_OWNER_MAX, "%.32s", pw->pw_name);
	else
		snprintf(file->owner, PACK_OWNER_MAX, "%u", st->st_uid);
	if (gr != NULL)
		snprintf(file->group, PACK_OWNER_MAX, "%.32s", gr->gr_name);
	else
		snprintf(file->group, PACK_OWNER_MAX, "%u", st->st_gid);
}

/* Takes fd. */
static int
add_file(struct vmf_pack *pack, int fd, const char *name, const char *path,
    struct vmf_error *err)
{
	struct pack_file *file = &pack->files[pack->info.nfiles];
	struct vmf_package_file *entry = &pack->file_entries[pack->info.nfiles];
	struct stat st;

	if (pack->info.nfiles == PACK_FILES_MAX) {
		close(fd);
		return vmf_fail(err, VMF_REFUSED,
		    "%s: more than %d files beside the disks", path,
		    PACK_FILES_MAX);
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
		char sub_path[VMF_MAP_PATH_MAX], sub_name[PACK_NAME_ROOM];

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

int
vmf_pack_files_add(struct vmf_pack *pack, struct vmf_error *err)
{
	if (add_nvram(pack, err) < 0)
		return -1;
	return add_tpm(pack, err);
}

int
vmf_pack_files_write(struct vmf_pack *pack, size_t i,
    struct vmf_package_writer *w, struct vmf_error *err)
{
	struct vmf_fd fd = {pack->files[i].fd, pack->files[i].path};

	if (lseek(fd.fd, 0, SEEK_SET) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", fd.name);
	return vmf_package_writer_file(w, vmf_in_fd(&fd), err);
}
