/*
 * carrier.h - what SFTP's bytes travel on: an SSH channel, or a descriptor
 *
 * Nothing here blocks but wait().
 */
#ifndef VMFERRY_CARRIER_H
#define VMFERRY_CARRIER_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include <vmferry/error.h>

struct carrier {
	/* Bytes moved; 0: none now; -1: failed, or the far side has ended. */
	ssize_t (*read)(
	    void *ctx, void *buf, size_t len, struct vmf_error *err);
	ssize_t (*write)(
	    void *ctx, const void *buf, size_t len, struct vmf_error *err);
	/* Until either may do more, or as vmf_ssh_wait(). */
	int (*wait)(
	    void *ctx, int64_t deadline, int wake_fd, struct vmf_error *err);
	void (*free)(void *ctx);
	void *ctx;
	const char *name; /* of the host; borrowed from ctx */
	int64_t stall;	  /* ms */
};

/* Takes fd, a socket; stall_timeout in seconds. */
int vmf_carrier_fd(int fd, const char *name, unsigned stall_timeout,
    struct carrier *carrier, struct vmf_error *err);

struct vmf_ssh;
/* ssh_channel.c; borrows ssh */
int vmf_ssh_carrier(
    struct vmf_ssh *ssh, struct carrier *carrier, struct vmf_error *err);

#endif
