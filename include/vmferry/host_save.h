/*
 * host_save.h - a guest's running state, by libvirt: paused, saved, restored
 *
 * Part of host.h, whose rules hold here.  Saving and restoring block until
 * libvirt is done with it; vmf_host_abort_job() from another thread ends a
 * save early, and the guest runs on.
 */
#ifndef VMFERRY_HOST_SAVE_H
#define VMFERRY_HOST_SAVE_H

#include <vmferry/host.h>

/* Stop the guest's CPUs, and let them go on.  What it is already is fine. */
int vmf_host_pause(
    struct vmf_host *host, const char *domain, struct vmf_error *err);
int vmf_host_unpause(
    struct vmf_host *host, const char *domain, struct vmf_error *err);

/* Have the guest suspend to its disk, or to RAM; returns when it was asked. */
int vmf_host_hibernate(
    struct vmf_host *host, const char *domain, struct vmf_error *err);
int vmf_host_sleep(
    struct vmf_host *host, const char *domain, struct vmf_error *err);
/* Wake a guest that sleeps in RAM. */
int
vmf_host_wake(struct vmf_host *host, const char *domain, struct vmf_error *err);

/* How a restored guest goes on. */
enum vmf_host_resume {
	VMF_RESUME_AS_SAVED,
	VMF_RESUME_RUNNING,
	VMF_RESUME_PAUSED,
};

/*
 * Save the guest's RAM into path, which libvirtd writes - a FIFO will do - and
 * end it.  When that fails the guest is what it was.  Refused: /dev/stdout and
 * the like, where libvirt would lose the state and report success.
 */
int vmf_host_save(struct vmf_host *host, const char *domain, const char *path,
    enum vmf_host_resume resume, struct vmf_error *err);
/*
 * Start a guest from the save file at path (a FIFO will do); xml replaces what
 * the file says of host-side parts (NULL: nothing).
 */
int vmf_host_restore(struct vmf_host *host, const char *path, const char *xml,
    enum vmf_host_resume resume, struct vmf_error *err);

/* End what libvirt does with the domain; none is fine. */
int vmf_host_abort_job(
    struct vmf_host *host, const char *domain, struct vmf_error *err);

/* What a job of the domain has done; all 0 when there is none. */
struct vmf_host_job {
	bool running;
	uint64_t total, done, left; /* bytes */
	uint64_t dirty_rate;	    /* bytes a second */
	uint64_t elapsed_ms;
};
int vmf_host_job(struct vmf_host *host, const char *domain,
    struct vmf_host_job *job, struct vmf_error *err);

/* XML of a running guest, for a save or migration; the caller frees it. */
char *vmf_host_live_xml(
    struct vmf_host *host, const char *domain, struct vmf_error *err);

#endif
