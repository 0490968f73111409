/* target.c - see vmferry/target.h */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vmferry/lvm.h>
#include <vmferry/object.h>
#include <vmferry/partition.h>
#include <vmferry/target.h>

struct vmf_target {
	struct vmf_map_target where;
	struct vmf_host *host;
	char *path; /* until commit */
	char *name; /* afterwards */
	unsigned partition;
	bool made, zero, committed;
};

bool
vmf_target_is_made(const struct vmf_map_target *where)
{
	return where->kind == VMF_TARGET_POOL || where->kind == VMF_TARGET_LV ||
	       where->kind == VMF_TARGET_THIN_LV ||
	       where->kind == VMF_TARGET_PART;
}

static int
set(char **to, const char *text, struct vmf_error *err)
{
	*to = strdup(text);
	return *to == NULL ? vmf_fail_errno(err, VMF_IO, "%s", text) : 0;
}

static int
make_lv(struct vmf_target *t, uint64_t size, struct vmf_error *err)
{
	char path[VMF_LVM_PATH];

	if (vmf_lvm_create(t->where.group, t->where.thin, t->where.name, size,
		path, &t->zero, err) < 0)
		return -1;
	t->made = true;
	if (set(&t->path, path, err) < 0)
		return -1;
	return set(&t->name, t->where.path, err);
}

static int
make_partition(struct vmf_target *t, uint64_t size, struct vmf_error *err)
{
	char path[VMF_PARTITION_PATH];

	if (vmf_partition_add(t->where.path, size, &t->partition, path, err) <
	    0)
		return -1;
	t->made = true;
	if (set(&t->path, path, err) < 0)
		return -1;
	return set(&t->name, path, err);
}

static int
make_volume(struct vmf_target *t, uint64_t size, struct vmf_error *err)
{
	if (t->host == NULL)
		return vmf_fail(err, VMF_INTERNAL, "a pool without a host");
	if (vmf_host_volume_make(t->host, t->where.group, t->where.name, size,
		&t->path, &t->made, err) < 0)
		return -1;
	return set(&t->name, t->path, err);
}

static int
make(struct vmf_target *t, uint64_t size, struct vmf_error *err)
{
	if (vmf_target_is_made(&t->where) && size == VMF_SIZE_UNKNOWN)
		return vmf_fail(err, VMF_REFUSED,
		    "a new volume needs a size, and the input does not say "
		    "how large it is");
	switch (t->where.kind) {
	case VMF_TARGET_LV:
	case VMF_TARGET_THIN_LV:
		return make_lv(t, size, err);
	case VMF_TARGET_PART:
		return make_partition(t, size, err);
	case VMF_TARGET_POOL:
		return make_volume(t, size, err);
	default:
		if (set(&t->path, t->where.path, err) < 0)
			return -1;
		return set(&t->name, t->where.path, err);
	}
}

struct vmf_target *
vmf_target_make(const struct vmf_map_target *where, uint64_t size,
    struct vmf_host *host, struct vmf_error *err)
{
	struct vmf_target *t = calloc(1, sizeof(*t));

	if (t == NULL) {
		vmf_fail_errno(err, VMF_IO, "target");
		return NULL;
	}
	t->where = *where;
	t->host = host;
	if (make(t, size, err) == 0)
		return t;
	vmf_target_free(t);
	return NULL;
}

const char *
vmf_target_path(const struct vmf_target *t)
{
	return t->path;
}

const char *
vmf_target_name(const struct vmf_target *t)
{
	return t->name;
}

bool
vmf_target_is_new(const struct vmf_target *t)
{
	return t->made;
}

bool
vmf_target_is_zero(const struct vmf_target *t)
{
	return t->zero;
}

int
vmf_target_commit(struct vmf_target *t, struct vmf_error *err)
{
	int rc = 0;

	if (t->made && (t->where.kind == VMF_TARGET_LV ||
			   t->where.kind == VMF_TARGET_THIN_LV))
		rc = vmf_lvm_finish(t->where.group, t->where.name, err);
	else if (t->made && t->where.kind == VMF_TARGET_PART)
		rc = vmf_partition_finish(t->where.path, t->partition, err);
	else if (t->where.kind == VMF_TARGET_POOL)
		vmf_host_pool_refresh(t->host, t->where.group);
	t->committed = rc == 0;
	return rc;
}

static void
unmake(struct vmf_target *t)
{
	switch (t->where.kind) {
	case VMF_TARGET_LV:
	case VMF_TARGET_THIN_LV:
		vmf_lvm_discard(t->where.group, t->where.name, NULL);
		break;
	case VMF_TARGET_PART:
		vmf_partition_remove(t->where.path, t->partition, NULL);
		break;
	case VMF_TARGET_POOL:
		vmf_host_volume_remove(t->host, t->where.group, t->where.name);
		break;
	default:
		break;
	}
}

void
vmf_target_free(struct vmf_target *t)
{
	if (t == NULL)
		return;
	if (t->made && !t->committed)
		unmake(t);
	free(t->path);
	free(t->name);
	free(t);
}
