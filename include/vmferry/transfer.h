/*
 * transfer.h - one file to or from the far side, over one or more sessions
 *
 * Uploading: the caller's bytes are cut into blocks of a bounded pool (that is
 * the back-pressure); sessions, one thread each, take them in order and keep
 * several megabytes under way.  Downloading: sessions fetch blocks ahead of
 * the reader, within a bounded pool.  With one session or many the bytes are
 * the same, and so is the memory: about 9 MiB for each session.
 *
 * An upload is written to PATH.part (mode 0600, exclusively created), and gets
 * its name at vmf_upload_commit(), in one step that refuses an existing name.
 * What is not committed is removed, if the far side can still be reached.
 *
 * Errors: as in ssh.h and sftp.h.  Messages name the host and the path.
 * Thread rule: a transfer belongs to one thread; its own stay inside.
 */
#ifndef VMFERRY_TRANSFER_H
#define VMFERRY_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

#include <vmferry/io.h>
#include <vmferry/object.h>
#include <vmferry/progress.h>
#include <vmferry/ssh.h>

#define VMF_SESSIONS_MAX 16

struct vmf_transfer_options {
	const struct vmf_ssh_options *ssh; /* borrowed */
	unsigned sessions; /* 0: chosen from the round trip and the size */
	uint64_t bwlimit;  /* bytes per second over all sessions; 0: none */
	struct vmf_progress *progress; /* done is counted, stop is heeded */
	bool uncounted; /* only stop: the caller counts in progress himself */

	/* Uploading: an existing PATH is replaced; a PATH.part that another
	 * run has left is removed. */
	bool overwrite;
	bool discard_part;
};

struct vmf_transfer_result {
	uint64_t bytes;
	unsigned sessions; /* that took part */
	bool durable;	   /* the server has said it synced the file */
};

struct vmf_upload;
/* size: what will come, or VMF_SIZE_UNKNOWN; checked against the space. */
struct vmf_upload *vmf_upload_open(const struct vmf_transfer_options *options,
    const char *path, uint64_t size, struct vmf_error *err);
/* The same look around, and nothing made. */
int vmf_upload_check(const struct vmf_transfer_options *options,
    const char *path, uint64_t size, struct vmf_error *err);
int vmf_upload_write(
    struct vmf_upload *up, const void *buf, size_t len, struct vmf_error *err);
/* 0 while all goes well: for a caller that waits for its own input. */
int vmf_upload_poll(struct vmf_upload *up, struct vmf_error *err);
struct vmf_out vmf_upload_out(struct vmf_upload *up); /* borrows up */
/* All acknowledged, size compared, synced, renamed. */
int vmf_upload_commit(struct vmf_upload *up, struct vmf_transfer_result *result,
    struct vmf_error *err);
void vmf_upload_free(struct vmf_upload *up);

struct vmf_download;
struct vmf_download *
vmf_download_open(const struct vmf_transfer_options *options, const char *path,
    struct vmf_error *err);
uint64_t vmf_download_size(const struct vmf_download *down);
/*
 * *got < len only at the end; then it is certain that the file has neither
 * grown, shrunk nor been written to meanwhile (as far as its size and time of
 * modification tell).
 */
int vmf_download_read(struct vmf_download *down, void *buf, size_t len,
    size_t *got, struct vmf_error *err);
struct vmf_in vmf_download_in(struct vmf_download *down); /* borrows down */
void vmf_download_result(
    const struct vmf_download *down, struct vmf_transfer_result *result);
void vmf_download_free(struct vmf_download *down);

#endif
