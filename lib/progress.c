/* progress.c - see vmferry/progress.h */
#include <stddef.h>

#include <vmferry/progress.h>

int
vmf_progress_check(struct vmf_progress *progress, struct vmf_error *err)
{
	if (progress == NULL || atomic_load(&progress->stop) == 0)
		return 0;
	return vmf_fail(err, VMF_STOPPED, "stopped on request");
}
