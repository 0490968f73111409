/* feed_upload.c - segments into the spool, by SFTP: see feed_internal.h */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "feed_internal.h"
#include "sftp_internal.h"

static struct vmf_sftp_file *
open_slot(struct feed_uploader *u, unsigned slot, struct vmf_error *err)
{
	char name[VMF_SPOOL_NAME], *path;

	if (u->files[slot] != NULL)
		return u->files[slot];
	vmf_spool_slot_name(slot, name);
	if (asprintf(&path, "%s/%s", u->feed->o.spool, name) < 0) {
		vmf_fail_errno(err, VMF_IO, "spool");
		return NULL;
	}
	u->files[slot] = vmf_sftp_file_open(u->sftp, path, VMF_SFTP_WRITE, err);
	free(path);
	return u->files[slot];
}

int
vmf_feed_upload_open(struct feed_uploader *u, struct vmf_error *err)
{
	struct vmf_ssh_options ssh = *u->feed->o.ssh;

	ssh.progress = &u->feed->cancel;
	u->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (u->wake < 0)
		return vmf_fail_errno(err, VMF_IO, "eventfd");
	u->ssh = vmf_ssh_open(&ssh, err);
	if (u->ssh != NULL)
		u->sftp = vmf_sftp_open(u->ssh, err);
	if (u->sftp != NULL && open_slot(u, 0, err) != NULL)
		return 0;
	vmf_feed_upload_close(u);
	return -1;
}

void
vmf_feed_upload_close(struct feed_uploader *u)
{
	unsigned i;

	for (i = 0; i < VMF_SPOOL_SLOTS_MAX; i++) {
		vmf_sftp_file_free(u->files[i]);
		u->files[i] = NULL;
	}
	vmf_sftp_free(u->sftp);
	vmf_ssh_free(u->ssh);
	u->sftp = NULL;
	u->ssh = NULL;
	if (u->wake >= 0)
		close(u->wake);
	u->wake = -1;
}

static int
upload(struct feed_uploader *u, struct feed_segment *seg, struct vmf_error *err)
{
	struct vmf_sftp_file *file = open_slot(u, seg->slot, err);

	if (file == NULL ||
	    vmf_sftp_file_write(file, seg->bytes, seg->len, 0, err) < 0)
		return -1;
	return vmf_sftp_file_drain(file, err);
}

/* Until it is to stop. */
static int
upload_all(struct feed_uploader *u, struct vmf_error *err)
{
	struct vmf_feed *feed = u->feed;
	struct feed_segment *seg;
	uint64_t count;
	bool stop;

	for (;;) {
		/* Emptied before the queue is looked at: nothing gets lost. */
		if (read(u->wake, &count, sizeof(count)) < 0 && errno != EAGAIN)
			return vmf_fail_errno(err, VMF_IO, "eventfd");
		pthread_mutex_lock(&feed->mutex);
		stop = feed->stop;
		seg = stop ? NULL : vmf_feed_take(feed);
		pthread_mutex_unlock(&feed->mutex);
		if (stop)
			return 0;
		if (seg == NULL) {
			if (vmf_sftp_step(u->sftp, 0, u->wake, err) < 0)
				return -1;
			continue;
		}
		if (upload(u, seg, err) < 0)
			return -1;
		pthread_mutex_lock(&feed->mutex);
		vmf_feed_queue(&feed->told, seg);
		vmf_feed_wake(feed);
		pthread_mutex_unlock(&feed->mutex);
	}
}

void *
vmf_feed_upload(void *arg)
{
	struct feed_uploader *u = arg;
	struct vmf_feed *feed = u->feed;
	struct vmf_error err;

	/* One of the additional ones: without it, the others do it. */
	if (u->sftp == NULL && vmf_feed_upload_open(u, &err) < 0)
		return NULL;
	pthread_mutex_lock(&feed->mutex);
	feed->working[u - feed->uploaders] = true;
	pthread_mutex_unlock(&feed->mutex);
	if (upload_all(u, &err) < 0)
		vmf_feed_fail(feed, &err, false);
	return NULL;
}
