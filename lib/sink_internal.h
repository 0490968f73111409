/*
 * sink_internal.h - what the kinds of sinks share
 *
 * A kind is a struct of its own behind self and one of these vtables, which
 * are total.  Its open function sets ops and self as soon as it has them, so
 * that close can undo a half-made one.
 */
#ifndef VMFERRY_SINK_INTERNAL_H
#define VMFERRY_SINK_INTERNAL_H

#include <sys/stat.h>

#include <vmferry/sink.h>

struct vmf_sink;

struct vmf_sink_ops {
	int (*begin)(struct vmf_sink *sink, struct vmf_error *err);
	int (*write)(struct vmf_sink *sink, const void *buf, size_t len,
	    uint64_t off, struct vmf_error *err);
	int (*zero)(struct vmf_sink *sink, uint64_t len, uint64_t off,
	    struct vmf_error *err);
	int (*flush)(struct vmf_sink *sink, struct vmf_error *err);
	int (*read)(struct vmf_sink *sink, void *buf, size_t len, uint64_t off,
	    struct vmf_error *err);
	int (*fetch)(struct vmf_sink *sink, void *buf, size_t len, uint64_t off,
	    struct vmf_error *err);
	bool (*holds)(const struct vmf_sink *sink, uint64_t off);
	bool (*is_hole)(struct vmf_sink *sink, uint64_t len, uint64_t off);
	int (*commit)(struct vmf_sink *sink, uint64_t size, bool readback,
	    struct vmf_error *err);
	void (*close)(struct vmf_sink *sink);
};

struct vmf_sink {
	const struct vmf_sink_ops *ops; /* NULL until open has got so far */
	void *self;
	char *name;
	char *scratch;
	struct vmf_sink_options options;
	uint64_t size; /* of the image, may be VMF_SIZE_UNKNOWN */
	uint64_t room; /* of the target, from the offset on */
	bool device;
	bool again;   /* what was written may be written again */
	bool resumed; /* a part was there */
	bool discard; /* remove even a part */
	char *part;   /* path of it, since begin */
};

/* A new file, or one that takes the place of another. */
int vmf_sink_file_open(
    struct vmf_sink *sink, const struct stat *st, struct vmf_error *err);
/* May it be made, or replaced?  As options say. */
int vmf_sink_check_file(
    struct vmf_sink *sink, const struct stat *st, struct vmf_error *err);
/* A new qcow2 file. */
int vmf_sink_qcow2_open(
    struct vmf_sink *sink, const struct stat *st, struct vmf_error *err);
/* A block device, or a part of a file that stays as it is elsewhere. */
int vmf_sink_place_open(struct vmf_sink *sink, const struct vmf_geometry *geo,
    struct vmf_error *err);

#endif
