/*
 * error.h - how every function of the library reports a failure
 *
 * A function that can fail returns 0 or a pointer on success, -1 or NULL on
 * failure, and takes a struct vmf_error as its last parameter, which it fills
 * on failure only.  The struct owns nothing: it may be copied by assignment
 * (a worker's error reaches the caller that way) and needs no clean-up.
 *
 * Thread rule: one struct belongs to one thread at a time.
 */
#ifndef VMFERRY_ERROR_H
#define VMFERRY_ERROR_H

/* What kind of failure it is.  The values are the exit status of the tools. */
enum vmf_class {
	VMF_OK = 0,
	VMF_INTERNAL = 1,   /* a bug */
	VMF_USAGE = 2,	    /* the call makes no sense */
	VMF_REFUSED = 3,    /* unsafe or not ready; nothing was touched */
	VMF_INTEGRITY = 4,  /* bytes are not what they must be */
	VMF_IO = 5,	    /* local I/O, memory or space */
	VMF_REMOTE = 6,	    /* far side unreachable or lost; retry may help */
	VMF_AUTH = 7,	    /* authentication or host key */
	VMF_HYPERVISOR = 8, /* libvirt or QEMU said no */
	VMF_BUSY = 9,	    /* locked by another run */
	VMF_STOPPED = 128,  /* asked to stop; a tool adds the signal's number */
};

struct vmf_error {
	enum vmf_class class;
	int errnum;	/* errno of the cause, 0 when there was none */
	char msg[1024]; /* one line, no newline at its end */
};

/*
 * Fill err (which may be NULL) with a formatted message and return -1.
 * vmf_fail_errno() appends ": " and the text of the current errno.
 * Control characters in the result are shown as '?', so that a hostile name
 * cannot break the one line.
 */
int vmf_fail(struct vmf_error *err, enum vmf_class class, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int vmf_fail_errno(struct vmf_error *err, enum vmf_class class, const char *fmt,
    ...) __attribute__((format(printf, 3, 4)));

/* Prefix the message already in err with context and ": "; returns -1. */
int vmf_wrap(struct vmf_error *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
