/* download.c - see vmferry/transfer.h */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transfer.h"

/*
 * A ring of blocks: block number i of the file belongs in slot i % n.  Workers
 * ask for the next number while its slot is free; the reader waits for the
 * slot of the number it needs.
 */
struct vmf_download {
	struct crew crew;
	struct vmf_sftp_stat st; /* at the start */

	/* Under the crew's mutex. */
	struct slot {
		struct block block;
		bool ready;
	} * slots;
	unsigned n;
	uint64_t asked; /* block numbers given to workers */
	uint64_t freed; /* block numbers the reader is done with */
	uint64_t count; /* blocks of the whole file */

	size_t grain; /* bytes of a block */
	struct vmf_rate rate;
	uint64_t off; /* the reader's */
	bool checked; /* that nothing has changed meanwhile */
};

static struct block *
take(struct crew *crew, bool *done)
{
	struct vmf_download *down = (struct vmf_download *)crew;
	struct block *block;

	if (down->asked == down->count) {
		*done = true;
		return NULL;
	}
	if (down->asked - down->freed >= down->n)
		return NULL;
	block = &down->slots[down->asked % down->n].block;
	block->index = down->asked++;
	block->off = block->index * down->grain;
	block->len = down->grain;
	if (down->st.size - block->off < block->len)
		block->len = (size_t)(down->st.size - block->off);
	return block;
}

static void
finished(struct crew *crew, struct block *block)
{
	struct vmf_download *down = (struct vmf_download *)crew;

	pthread_mutex_lock(&crew->mutex);
	down->slots[block->index % down->n].ready = true;
	pthread_cond_broadcast(&crew->changed);
	pthread_mutex_unlock(&crew->mutex);
}

static int
request(struct block *block, bool *all, struct vmf_error *err)
{
	return vmf_sftp_op_read(&block->op, all, err);
}

static int
make_slots(struct vmf_download *down, unsigned sessions, struct vmf_error *err)
{
	unsigned i;

	down->grain = vmf_rate_grain(&down->rate, BLOCK_SIZE);
	down->count = (down->st.size + down->grain - 1) / down->grain;
	down->n = (sessions + 1) * BLOCKS_OF_SESSION;
	/* Blocks asked for but not paid for would exceed the rate. */
	if (down->rate.rate != 0)
		down->n = 2;
	if (down->count < down->n)
		down->n = down->count > 0 ? (unsigned)down->count : 1;
	down->slots = calloc(down->n, sizeof(*down->slots));
	if (down->slots == NULL)
		return vmf_fail_errno(err, VMF_IO, "%s", down->crew.path);
	for (i = 0; i < down->n; i++) {
		down->slots[i].block.data = malloc(down->grain);
		if (down->slots[i].block.data == NULL)
			return vmf_fail_errno(
			    err, VMF_IO, "%s", down->crew.path);
	}
	return 0;
}

static int
open_source(struct vmf_download *down, struct vmf_error *err)
{
	struct worker *w = &down->crew.workers[0];
	unsigned sessions;

	if (vmf_transfer_first(&down->crew, err) < 0)
		return -1;
	w->file =
	    vmf_sftp_file_open(w->sftp, down->crew.path, VMF_SFTP_READ, err);
	if (w->file == NULL || vmf_sftp_file_stat(w->file, &down->st, err) < 0)
		return -1;
	if (down->st.type != VMF_SFTP_FILE)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: %s: is not a regular file", vmf_sftp_name(w->sftp),
		    down->crew.path);
	sessions = vmf_transfer_sessions(&down->crew, down->st.size);
	if (make_slots(down, sessions, err) < 0)
		return -1;
	return vmf_transfer_start(&down->crew, sessions, err);
}

struct vmf_download *
vmf_download_open(const struct vmf_transfer_options *options, const char *path,
    struct vmf_error *err)
{
	struct vmf_download *down = calloc(1, sizeof(*down));

	if (down == NULL || vmf_transfer_init(&down->crew, options, err) < 0) {
		if (down == NULL)
			vmf_fail_errno(err, VMF_IO, "%s", path);
		free(down);
		return NULL;
	}
	down->rate.rate = options->bwlimit;
	down->crew.mode = VMF_SFTP_READ;
	down->crew.take = take;
	down->crew.finished = finished;
	down->crew.request = request;
	down->crew.path = strdup(path);
	if (down->crew.path == NULL)
		vmf_fail_errno(err, VMF_IO, "%s", path);
	else if (open_source(down, err) == 0)
		return down;
	vmf_download_free(down);
	return NULL;
}

uint64_t
vmf_download_size(const struct vmf_download *down)
{
	return down->st.size;
}

static int
changed(struct vmf_download *down, struct vmf_error *err)
{
	return vmf_fail(err, VMF_REMOTE,
	    "%s: %s: was changed while it was read; try again when it is at "
	    "rest",
	    vmf_sftp_name(down->crew.workers[0].sftp), down->crew.path);
}

/* After the last byte: the workers are done, their first session is ours. */
static int
check_end(struct vmf_download *down, struct vmf_error *err)
{
	struct worker *w = &down->crew.workers[0];
	struct vmf_sftp_stat st;

	if (down->checked)
		return 0;
	vmf_transfer_join(&down->crew, false);
	if (down->crew.failed) {
		if (err != NULL)
			*err = down->crew.error;
		return -1;
	}
	if (vmf_sftp_file_stat(w->file, &st, err) < 0)
		return -1;
	if (st.size != down->st.size || st.mtime != down->st.mtime)
		return changed(down, err);
	down->checked = true;
	return 0;
}

/* Wait until block number i is there. */
static int
wait_for(struct vmf_download *down, uint64_t i, struct vmf_error *err)
{
	struct slot *slot = &down->slots[i % down->n];
	int rc = 0;

	pthread_mutex_lock(&down->crew.mutex);
	while (!slot->ready && rc == 0)
		rc = vmf_transfer_wait(&down->crew, err);
	pthread_mutex_unlock(&down->crew.mutex);
	if (rc == 0 && slot->block.op.end < slot->block.len)
		return changed(down, err);
	return rc;
}

static int
give_back(struct vmf_download *down, struct slot *slot, struct vmf_error *err)
{
	if (vmf_rate_wait(&down->rate, slot->block.len,
		down->crew.options.progress, err) < 0)
		return -1;
	pthread_mutex_lock(&down->crew.mutex);
	slot->ready = false;
	down->freed++;
	vmf_transfer_wake(&down->crew);
	pthread_mutex_unlock(&down->crew.mutex);
	return 0;
}

int
vmf_download_read(struct vmf_download *down, void *buf, size_t len, size_t *got,
    struct vmf_error *err)
{
	struct slot *slot;
	uint8_t *p = buf;
	size_t at, n;

	*got = 0;
	while (*got < len) {
		if (down->off == down->st.size)
			return check_end(down, err);
		if (wait_for(down, down->off / down->grain, err) < 0)
			return -1;
		slot = &down->slots[down->off / down->grain % down->n];
		at = (size_t)(down->off - slot->block.off);
		n = slot->block.len - at;
		if (n > len - *got)
			n = len - *got;
		memcpy(p + *got, slot->block.data + at, n);
		*got += n;
		down->off += n;
		if (down->crew.options.progress != NULL &&
		    !down->crew.options.uncounted)
			atomic_fetch_add(&down->crew.options.progress->done, n);
		if (at + n == slot->block.len && give_back(down, slot, err) < 0)
			return -1;
	}
	return 0;
}

static int
download_in(
    void *ctx, void *buf, size_t len, size_t *got, struct vmf_error *err)
{
	return vmf_download_read(ctx, buf, len, got, err);
}

struct vmf_in
vmf_download_in(struct vmf_download *down)
{
	return (struct vmf_in){.read = download_in, .ctx = down};
}

void
vmf_download_result(
    const struct vmf_download *down, struct vmf_transfer_result *result)
{
	memset(result, 0, sizeof(*result));
	result->bytes = down->off;
	result->sessions = down->crew.working;
}

void
vmf_download_free(struct vmf_download *down)
{
	unsigned i;

	if (down == NULL)
		return;
	vmf_transfer_join(&down->crew, true);
	if (!down->checked)
		vmf_transfer_drop(&down->crew);
	vmf_transfer_clear(&down->crew);
	for (i = 0; down->slots != NULL && i < down->n; i++)
		free(down->slots[i].block.data);
	free(down->slots);
	free(down);
}
