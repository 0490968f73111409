/*
 * fuzz_manifest.c - the two JSON members: a head, a NUL, a tail
 *
 * What was read is written again and read again: both must succeed.
 */
#include <vmferry/manifest.h>

#include "fuzz.h"

static void
again(const struct vmf_manifest *m)
{
	const struct vmf_manifest_tail *tail = vmf_manifest_tail(m);
	struct vmf_manifest *same;
	char *head_text, *tail_text;
	size_t head_len, tail_len;

	head_text =
	    vmf_manifest_format_head(vmf_manifest_info(m), &head_len, NULL);
	if (head_text == NULL)
		abort();
	same = vmf_manifest_parse(head_text, head_len, NULL);
	if (same == NULL)
		abort();
	if (tail != NULL) {
		tail_text = vmf_manifest_format_tail(
		    vmf_manifest_info(m), tail, &tail_len, NULL);
		if (tail_text == NULL || vmf_manifest_parse_tail(same,
					     tail_text, tail_len, NULL) < 0)
			abort();
		free(tail_text);
	}
	vmf_manifest_free(same);
	free(head_text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nul = size > 0 ? memchr(data, 0, size) : NULL;
	size_t len = nul != NULL ? (size_t)(nul - data) : size;
	struct vmf_manifest *m =
	    vmf_manifest_parse((const char *)data, len, NULL);
	struct vmf_error err;

	if (m == NULL)
		return 0;
	if (nul != NULL)
		(void)vmf_manifest_parse_tail(
		    m, (const char *)nul + 1, size - len - 1, &err);
	again(m);
	vmf_manifest_free(m);
	return 0;
}
