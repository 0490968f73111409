/*
 * payload.h - bytes that are checked for what their name says they are, while
 * they flow by
 *
 * What bytes are follows from a name and never from the bytes: NAME.vmf.tar is
 * a package, NAME.vmf.zst a stream, anything else is only bytes.
 */
#ifndef VMFERRY_PAYLOAD_H
#define VMFERRY_PAYLOAD_H

#include <vmferry/engine.h>
#include <vmferry/io.h>
#include <vmferry/progress.h>

enum vmf_payload {
	VMF_PAYLOAD_BYTES,
	VMF_PAYLOAD_PACKAGE,
	VMF_PAYLOAD_STREAM,
};

enum vmf_payload vmf_payload_of(const char *name);

/*
 * Copy in to out up to its end.  A package or stream is verified whole on the
 * way: VMF_INTEGRITY when it is damaged or has no END - then out has got all
 * that came, and must not be given its name.  progress (may be NULL) is only
 * looked at for stop.  Engine options: jobs and budget.
 */
int vmf_payload_copy(enum vmf_payload payload, struct vmf_in in,
    struct vmf_out out, const struct vmf_engine_options *options,
    struct vmf_progress *progress, struct vmf_error *err);

#endif
