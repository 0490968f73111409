/*
 * engine.h - from a source to objects and from objects to a sink
 *
 * Both directions run the pipeline of pipeline.h: one thread reads ahead,
 * jobs workers hash and compress (or verify, decompress and write), and the
 * caller's thread puts the results in order.  The bytes that come out do not
 * depend on the number of jobs.
 *
 * Memory: at most budget bytes for chunks, frames and compressors; jobs are
 * lowered to keep it, down to one.
 */
#ifndef VMFERRY_ENGINE_H
#define VMFERRY_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include <vmferry/digests.h>
#include <vmferry/error.h>
#include <vmferry/progress.h>
#include <vmferry/rate.h>
#include <vmferry/reader.h>
#include <vmferry/sink.h>
#include <vmferry/source.h>
#include <vmferry/writer.h>

#define VMF_BUDGET_DEFAULT (160 * VMF_MIB)
#define VMF_JOBS_MAX	   64

struct vmf_engine_options {
	unsigned jobs;	 /* workers; 0: all in the caller's thread */
	int level;	 /* of compression, 0 stores */
	uint64_t budget; /* bytes in flight */
	bool flat;	 /* digest the raw image in order, too: no faster than
			  * one CPU's SHA-256 */
	struct vmf_progress *progress; /* borrowed, may be NULL */
	struct vmf_rate *rate; /* of the data vmf_copy() puts into a sink;
				* borrowed, NULL: no limit */
};

/* jobs = the machine's CPUs, the default level and budget. */
void vmf_engine_defaults(struct vmf_engine_options *options);

/*
 * Read all of src into w, which has the geometry of vmf_source_geometry(),
 * and check at the end that src did not change.  END is left to the caller
 * (vmf_writer_end()); with a flat digest START must have VMF_FEATURE_FLAT.
 */
int vmf_dump(struct vmf_source *src, struct vmf_writer *w, uint32_t chunk,
    const struct vmf_engine_options *options, struct vmf_error *err);

/*
 * Read all of src and write its plain bytes to sink (begun by the caller, who
 * reads it back and commits it; list gets a line for each piece then, and may
 * be NULL) or in order to out; the other one is NULL.  totals gets the size,
 * chunks and flat digest; it has no root.
 */
int vmf_copy(struct vmf_source *src, struct vmf_sink *sink, struct vmf_out *out,
    struct vmf_digests *list, uint32_t chunk,
    const struct vmf_engine_options *options, struct vmf_totals *totals,
    struct vmf_error *err);

/*
 * Take all objects of r up to its END, verify each, and write them to sink
 * (begun by the caller; NULL: only verify).  list (may be NULL) gets a line
 * for each.  The sink is not yet read back, nor committed: a package commits
 * all its disks when its own END has been seen.
 */
int vmf_restore(struct vmf_reader *r, struct vmf_sink *sink,
    struct vmf_digests *list, const struct vmf_engine_options *options,
    struct vmf_error *err);

/*
 * Flush sink and compare what its medium has with list, but for the chunks it
 * holds back: VMF_INTEGRITY names the first that differs.
 */
int
vmf_readback(struct vmf_sink *sink, struct vmf_digests *list, uint32_t chunk,
    const struct vmf_engine_options *options, struct vmf_error *err);

#endif
