/*
 * io.h - whole transfers, new files and scratch files
 *
 * Short transfers and EINTR are settled here and nowhere else.  Failures are
 * VMF_IO and carry the cause but not the file's name: callers wrap them.
 * Everything here may be called from any thread.
 */
#ifndef VMFERRY_IO_H
#define VMFERRY_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <vmferry/error.h>
#include <vmferry/progress.h>

/* Read until len bytes or the end of the file; *got tells how many came. */
int vmf_read_full(
    int fd, void *buf, size_t len, size_t *got, struct vmf_error *err);
int vmf_write_full(int fd, const void *buf, size_t len, struct vmf_error *err);
/* Exactly len bytes at off; an early end of the file is a failure. */
int vmf_pread_full(
    int fd, void *buf, size_t len, uint64_t off, struct vmf_error *err);
int vmf_pwrite_full(
    int fd, const void *buf, size_t len, uint64_t off, struct vmf_error *err);

/*
 * A whole small file as a NUL-terminated string of *len bytes (len may be
 * NULL), no more than max; the caller frees it.  Refuses anything that is not
 * a regular file.
 */
char *
vmf_read_file(const char *path, size_t max, size_t *len, struct vmf_error *err);

/* An unlinked scratch file in dir (NULL: /var/tmp), mode 0600; -1 on error. */
int vmf_scratch_open(const char *dir, struct vmf_error *err);

/* Make dir and, if need be, the directory above it, both 0700; being there is
 * fine. */
int vmf_make_directory(const char *dir, struct vmf_error *err);

/* fsync the directory that holds path, so that a rename there lasts. */
int vmf_sync_parent(const char *path, struct vmf_error *err);

/*
 * A new file appears under its name whole or not at all: it is written to a
 * temporary beside it (mode 0600, O_EXCL, never through a symlink), and
 * vmf_newfile_commit() syncs, closes and renames it and syncs the directory.
 * An existing name is refused (VMF_REFUSED) at creation and again at commit
 * unless overwrite is set.
 *
 * vmf_newfile_check() says beforehand (VMF_REFUSED) that a path's directory is
 * missing, or lies under /dev, where a typing error would make a file.
 */
struct vmf_newfile;
int vmf_newfile_check(const char *path, struct vmf_error *err);
struct vmf_newfile *
vmf_newfile_create(const char *path, bool overwrite, struct vmf_error *err);
/*
 * The same with a temporary .NAME.TAG that is kept without commit, and that may
 * be there already - of the same owner, no link, nothing but a file.
 */
struct vmf_newfile *vmf_newfile_part(
    const char *path, const char *tag, bool overwrite, struct vmf_error *err);
void vmf_newfile_keep(struct vmf_newfile *nf, bool keep); /* NULL-safe */
int vmf_newfile_fd(const struct vmf_newfile *nf);	  /* borrowed */
/* Its name until commit, for a program that writes it for us; borrowed. */
const char *vmf_newfile_temporary(const struct vmf_newfile *nf);
int vmf_newfile_commit(struct vmf_newfile *nf, struct vmf_error *err);
/* NULL-safe; what was not committed is removed, but for a kept part. */
void vmf_newfile_free(struct vmf_newfile *nf);

/* Write a whole small file that way. */
int vmf_write_file(const char *path, const void *buf, size_t len,
    bool overwrite, struct vmf_error *err);

/*
 * A stream of bytes to read in order, whatever is behind it: a descriptor, a
 * tar member, an SSH channel.  read() stores up to len bytes and sets *got;
 * *got < len only at the end.  The struct is borrowed by whom it is given to.
 */
struct vmf_in {
	int (*read)(void *ctx, void *buf, size_t len, size_t *got,
	    struct vmf_error *err);
	void *ctx;
};

/* The same for writing: write() takes all of len or fails. */
struct vmf_out {
	int (*write)(
	    void *ctx, const void *buf, size_t len, struct vmf_error *err);
	void *ctx;
};

/*
 * Both over a descriptor.  The struct vmf_fd (descriptor and the name that
 * messages give it) is borrowed and must outlive the stream.
 */
struct vmf_fd {
	int fd;
	const char *name;
};
struct vmf_in vmf_in_fd(struct vmf_fd *fd);
struct vmf_out vmf_out_fd(struct vmf_fd *fd);

/*
 * The same again for what may wait for another process for ever - a pipe, a
 * terminal: when progress asks to stop, the wait ends with VMF_STOPPED.
 * Borrowed likewise.
 */
struct vmf_pipe {
	int fd;
	const char *name;
	struct vmf_progress *progress;
};
struct vmf_in vmf_in_pipe(struct vmf_pipe *p);
struct vmf_out vmf_out_pipe(struct vmf_pipe *p);

#endif
