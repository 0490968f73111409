/* qcow2.c - see vmferry/qcow2.h */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include <vmferry/qcow2.h>
#include <vmferry/run.h>

/* An absolute path, so that ':' in it makes no protocol of it. */
static char *
real_path(const char *path, struct vmf_error *err)
{
	char *real = realpath(path, NULL);

	if (real == NULL)
		vmf_fail_errno(err, VMF_IO, "%s", path);
	return real;
}

static const char *
text_of(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s == NULL ? "" : s;
}

static int
take(const json_t *root, struct vmf_qcow2 *info)
{
	const json_t *o = json_is_array(root) ? json_array_get(root, 0) : root;
	const json_t *data =
	    json_object_get(json_object_get(o, "format-specific"), "data");
	json_int_t size =
	    json_integer_value(json_object_get(o, "virtual-size"));
	const char *other = text_of(o, "backing-filename");

	if (size < 0 || strcmp(text_of(o, "format"), "qcow2") != 0)
		return -1;
	if (other[0] == '\0')
		other = text_of(data, "data-file");
	info->virtual_size = (uint64_t)size;
	snprintf(info->other, sizeof(info->other), "%s", other);
	return 0;
}

int
vmf_qcow2_look(
    const char *path, bool chain, struct vmf_qcow2 *info, struct vmf_error *err)
{
	char *text = NULL, *real = real_path(path, err);
	const char *const argv[] = {"qemu-img", "info", "--output=json", "-U",
	    "-f", "qcow2", "--", real, NULL};
	const char *const chain_argv[] = {"qemu-img", "info", "--output=json",
	    "-U", "-f", "qcow2", "--backing-chain", "--", real, NULL};
	struct vmf_run run = {.argv = chain ? chain_argv : argv};
	json_t *root = NULL;
	int rc = -1;

	if (real == NULL)
		return -1;
	if (vmf_run(&run, &text, NULL, err) < 0) {
		if (err != NULL)
			err->class = VMF_REFUSED;
		vmf_wrap(err, "%s", path);
		goto out;
	}
	root = json_loads(text, 0, NULL);
	rc = take(root, info);
	if (rc < 0)
		vmf_fail(err, VMF_REFUSED,
		    "%s: qemu-img does not take it for qcow2", path);
out:
	json_decref(root);
	free(text);
	free(real);
	return rc;
}

int
vmf_qcow2_create(const char *path, uint64_t size, struct vmf_error *err)
{
	char bytes[32], *real = real_path(path, err);
	const char *const argv[] = {
	    "qemu-img", "create", "-q", "-f", "qcow2", "--", real, bytes, NULL};
	struct vmf_run run = {.argv = argv};
	int rc;

	if (real == NULL)
		return -1;
	snprintf(bytes, sizeof(bytes), "%" PRIu64, size);
	rc = vmf_run(&run, NULL, NULL, err);
	free(real);
	return rc < 0 ? vmf_wrap(err, "%s", path) : 0;
}
