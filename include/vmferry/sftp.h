/*
 * sftp.h - files at the far side
 *
 * SFTP version 3 as draft-ietf-secsh-filexfer-02 and OpenSSH's PROTOCOL give
 * it, with the extensions statvfs@, fsync@, posix-rename@ and
 * limits@openssh.com where the server has them.  The protocol is spoken here
 * and not by libssh2's own client, which moves 30,000 bytes a request and
 * knows no limits@: so requests are as large as the server allows, many
 * megabytes of them are under way at once, and they can travel over anything
 * (vmf_sftp_open_fd()).
 *
 * Errors: VMF_REMOTE lost, stalled, denied, full, or speaking nonsense;
 * VMF_REFUSED what exists already or is not there.  Messages name host and
 * path.  Paths are bytes; a relative one starts in the user's home.
 *
 * Thread rule: a struct vmf_sftp and its files belong to one thread at a time.
 */
#ifndef VMFERRY_SFTP_H
#define VMFERRY_SFTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmferry/ssh.h>

struct vmf_sftp;
/* Over a session, which is borrowed. */
struct vmf_sftp *vmf_sftp_open(struct vmf_ssh *ssh, struct vmf_error *err);
/*
 * Over a socket with an SFTP server at its other end; takes fd.  name stands
 * for the host in messages; stall_timeout in seconds.
 */
struct vmf_sftp *vmf_sftp_open_fd(
    int fd, const char *name, unsigned stall_timeout, struct vmf_error *err);
void vmf_sftp_free(struct vmf_sftp *sftp);
const char *vmf_sftp_name(const struct vmf_sftp *sftp);

enum vmf_sftp_type {
	VMF_SFTP_ABSENT, /* there is no such file */
	VMF_SFTP_FILE,
	VMF_SFTP_DIR,
	VMF_SFTP_OTHER,
};

struct vmf_sftp_stat {
	enum vmf_sftp_type type;
	uint64_t size;
	uint32_t mode;	/* permission bits */
	uint32_t mtime; /* seconds since 1970 */
};

/* Follows symlinks; what does not exist is no failure but VMF_SFTP_ABSENT. */
int vmf_sftp_stat(struct vmf_sftp *sftp, const char *path,
    struct vmf_sftp_stat *st, struct vmf_error *err);
/* Bytes free to us in path's file system; UINT64_MAX: the server cannot say. */
int vmf_sftp_space(struct vmf_sftp *sftp, const char *path, uint64_t *bytes,
    struct vmf_error *err);
/* Mode 0700; an existing directory is no failure, another file is. */
int
vmf_sftp_mkdir(struct vmf_sftp *sftp, const char *path, struct vmf_error *err);
int
vmf_sftp_rmdir(struct vmf_sftp *sftp, const char *path, struct vmf_error *err);
/* One that is already gone is no failure. */
int
vmf_sftp_remove(struct vmf_sftp *sftp, const char *path, struct vmf_error *err);
/*
 * An existing name is refused (VMF_REFUSED) - by the server, in one step: that
 * makes it a commit - unless replace is set.  Without posix-rename@ replacing
 * takes two steps, and for a moment there is neither.
 */
int vmf_sftp_rename(struct vmf_sftp *sftp, const char *from, const char *to,
    bool replace, struct vmf_error *err);
/* Calls each() for every name but . and ..; its -1 ends the listing. */
int vmf_sftp_list(struct vmf_sftp *sftp, const char *path,
    int (*each)(void *ctx, const char *name, const struct vmf_sftp_stat *st,
	struct vmf_error *err),
    void *ctx, struct vmf_error *err);

enum vmf_sftp_mode {
	VMF_SFTP_READ,
	VMF_SFTP_WRITE,	    /* an existing file, as it is */
	VMF_SFTP_EXCLUSIVE, /* a new file, mode 0600; an existing is refused */
	VMF_SFTP_TRUNCATE,  /* a new file, mode 0600, or an existing emptied */
};

struct vmf_sftp_file;
struct vmf_sftp_file *vmf_sftp_file_open(struct vmf_sftp *sftp,
    const char *path, enum vmf_sftp_mode mode, struct vmf_error *err);
/*
 * Pipelined: returns when buf may be reused, not when the server has written
 * it.  A failure shows in a later call, vmf_sftp_file_drain() at the latest.
 */
int vmf_sftp_file_write(struct vmf_sftp_file *file, const void *buf, size_t len,
    uint64_t off, struct vmf_error *err);
/* Wait until the server has acknowledged every write. */
int vmf_sftp_file_drain(struct vmf_sftp_file *file, struct vmf_error *err);
/* *got < len only at the end of the file. */
int vmf_sftp_file_read(struct vmf_sftp_file *file, void *buf, size_t len,
    uint64_t off, size_t *got, struct vmf_error *err);
int vmf_sftp_file_stat(struct vmf_sftp_file *file, struct vmf_sftp_stat *st,
    struct vmf_error *err);
/*
 * Drains, then has the server sync the file, for which it gets more time than
 * for anything else.  *durable is false, without failure, where the server
 * cannot or may not: then say "durability unconfirmed".
 */
int vmf_sftp_file_sync(
    struct vmf_sftp_file *file, bool *durable, struct vmf_error *err);
/* Drains and closes; the file is freed either way.  Must be checked. */
int vmf_sftp_file_close(struct vmf_sftp_file *file, struct vmf_error *err);
/* Closes without looking; NULL-safe. */
void vmf_sftp_file_free(struct vmf_sftp_file *file);

/* A whole small file at the far side, as vmf_read_file(). */
char *vmf_sftp_read_file(struct vmf_sftp *sftp, const char *path, size_t max,
    size_t *len, struct vmf_error *err);

#endif
