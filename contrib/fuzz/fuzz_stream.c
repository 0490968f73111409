/* fuzz_stream.c - object headers, the stream reader, and what frames decode to
 */
#include <vmferry/engine.h>
#include <vmferry/reader.h>

#include "fuzz.h"

enum { RESEAL = 1 };

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct vmf_engine_options options = {
	    .budget = 64 * VMF_MIB};
	struct bytes bytes = {0};
	struct vmf_reader *r;
	struct vmf_error err;
	uint8_t *copy;

	if (size == 0)
		return 0;
	copy = malloc(size);
	if (copy == NULL)
		return 0;
	memcpy(copy, data + 1, size - 1);
	if ((data[0] & RESEAL) != 0)
		reseal_objects(copy, size - 1);
	bytes.p = copy;
	bytes.len = size - 1;
	r = vmf_reader_open(
	    (struct vmf_in){.read = bytes_read, .ctx = &bytes}, &err);
	if (r != NULL)
		(void)vmf_restore(r, NULL, NULL, &options, &err);
	vmf_reader_free(r);
	free(copy);
	return 0;
}
