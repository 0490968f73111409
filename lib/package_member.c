/* package_member.c - see package_internal.h */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "package_internal.h"

int
vmf_package_member_init(struct vmf_package_member *m, struct vmf_in in, int fd,
    const char *scratch, struct vmf_error *err)
{
	m->peek = fd >= 0;
	m->skip = malloc(PACKAGE_SKIP_LEN);
	if (m->skip == NULL)
		return vmf_fail_errno(err, VMF_IO, "package");
	m->sha = vmf_sha_new(err);
	if (m->sha == NULL)
		return -1;
	m->sums = vmf_package_sums_new(scratch, err);
	if (m->sums == NULL)
		return -1;
	m->tar = m->peek ? vmf_tar_reader_peek(fd, err)
			 : vmf_tar_reader_new(in, err);
	return m->tar == NULL ? -1 : 0;
}

int
vmf_package_member_look(struct vmf_package_member *m, struct vmf_error *err)
{
	int more;

	if (m->seen)
		return 0;
	more = vmf_tar_reader_next(m->tar, &m->head, err);
	if (more == 0)
		return vmf_fail(
		    err, VMF_INTEGRITY, "is cut short: its END is missing");
	m->seen = more > 0;
	return more < 0 ? -1 : 0;
}

int
vmf_package_member_expect(struct vmf_package_member *m, const char *name,
    uint64_t max, struct vmf_error *err)
{
	if (vmf_package_member_look(m, err) < 0)
		return -1;
	if (strcmp(m->head.name, name) != 0)
		return vmf_fail(err, VMF_INTEGRITY,
		    "member %s where %s comes next", m->head.name, name);
	if (m->head.size > max)
		return vmf_fail(err, VMF_INTEGRITY,
		    "member %s is larger than %" PRIu64 " bytes", name, max);
	m->open = true;
	m->left = m->head.size;
	return 0;
}

int
vmf_package_member_read(struct vmf_package_member *m, void *buf, size_t len,
    size_t *got, struct vmf_error *err)
{
	size_t want = len < m->left ? len : (size_t)m->left;

	if (vmf_tar_reader_read(m->tar, buf, want, got, err) < 0 ||
	    vmf_sha_update(m->sha, buf, *got, err) < 0)
		return -1;
	if (*got < want)
		return vmf_fail(
		    err, VMF_INTEGRITY, "%s is cut short", m->head.name);
	m->left -= want;
	return 0;
}

int
vmf_package_member_close(struct vmf_package_member *m, bool listed,
    uint8_t *digest, struct vmf_error *err)
{
	uint8_t sum[VMF_SHA_LEN];
	size_t got, want;

	while (m->left > 0 && !m->peek) {
		want = m->left < PACKAGE_SKIP_LEN ? (size_t)m->left
						  : PACKAGE_SKIP_LEN;
		if (vmf_package_member_read(m, m->skip, want, &got, err) < 0)
			return -1;
	}
	m->seen = m->open = false;
	if (vmf_sha_final(m->sha, sum, err) < 0)
		return -1;
	if (digest != NULL)
		memcpy(digest, sum, VMF_SHA_LEN);
	return listed ? vmf_package_sums_add(m->sums, m->head.name, sum, err)
		      : 0;
}

char *
vmf_package_member_text(struct vmf_package_member *m, const char *name,
    uint64_t max, bool listed, size_t *len, uint8_t *digest,
    struct vmf_error *err)
{
	char *text;
	size_t got;

	if (vmf_package_member_expect(m, name, max, err) < 0)
		return NULL;
	*len = (size_t)m->left;
	text = malloc(*len + 1);
	if (text == NULL) {
		vmf_fail_errno(err, VMF_IO, "%s", name);
		return NULL;
	}
	if (vmf_package_member_read(m, text, *len, &got, err) < 0 ||
	    vmf_package_member_close(m, listed, digest, err) < 0) {
		free(text);
		return NULL;
	}
	text[*len] = '\0';
	return text;
}

void
vmf_package_member_clear(struct vmf_package_member *m)
{
	vmf_tar_reader_free(m->tar);
	vmf_package_sums_free(m->sums);
	vmf_sha_free(m->sha);
	free(m->skip);
}
