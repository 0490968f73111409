/* direct.c - see vmferry/direct.h */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vmferry/direct.h>
#include <vmferry/io.h>

/* Pages whose presence is asked for at once: a chunk of 4 MiB. */
#define PROBE_PAGES 1024

void
vmf_direct_init(struct vmf_direct *d, int fd, bool writable)
{
	char self[64];

	d->fd = fd;
	/* By descriptor, not by name: the same file, whatever happened since.
	 */
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	d->dfd =
	    open(self, (writable ? O_RDWR : O_RDONLY) | O_DIRECT | O_CLOEXEC);
}

/* Is most of the range in the page cache? */
static bool
is_cached(int fd, size_t len, uint64_t off)
{
	unsigned char present[PROBE_PAGES];
	size_t pages, i, n = 0;
	void *map;

	if (off % VMF_ALIGN != 0)
		return true;
	if (len > PROBE_PAGES * (size_t)VMF_ALIGN)
		len = PROBE_PAGES * (size_t)VMF_ALIGN;
	map = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, (off_t)off);
	if (map == MAP_FAILED)
		return false;
	pages = (len + VMF_ALIGN - 1) / VMF_ALIGN;
	if (mincore(map, len, present) == 0)
		for (i = 0; i < pages; i++)
			n += present[i] & 1;
	munmap(map, len);
	return n > pages / 2;
}

static bool
aligned(const void *buf, uint64_t off)
{
	return (uintptr_t)buf % VMF_ALIGN == 0 && off % VMF_ALIGN == 0;
}

/*
 * The aligned part by O_DIRECT; returns how much of it was done.  Anything
 * odd - EINVAL, a short end - is left to the buffered way, which reports it.
 */
static size_t
direct_part(
    struct vmf_direct *d, void *in, const void *out, size_t len, uint64_t off)
{
	size_t todo = len - len % VMF_ALIGN, done = 0;
	ssize_t n;

	while (done < todo) {
		if (out != NULL)
			n = pwrite(d->dfd, (const uint8_t *)out + done,
			    todo - done, (off_t)(off + done));
		else
			n = pread(d->dfd, (uint8_t *)in + done, todo - done,
			    (off_t)(off + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
		if (done % VMF_ALIGN != 0)
			break;
	}
	return done;
}

int
vmf_direct_read(struct vmf_direct *d, void *buf, size_t len, uint64_t off,
    struct vmf_error *err)
{
	size_t done = 0;

	if (d->dfd >= 0 && aligned(buf, off) && !is_cached(d->fd, len, off))
		done = direct_part(d, buf, NULL, len, off);
	return vmf_pread_full(
	    d->fd, (uint8_t *)buf + done, len - done, off + done, err);
}

int
vmf_direct_read_medium(struct vmf_direct *d, void *buf, size_t len,
    uint64_t off, struct vmf_error *err)
{
	size_t done = 0;

	/* What is cached and clean is dropped, so that it is read afresh. */
	posix_fadvise(d->fd, (off_t)off, (off_t)len, POSIX_FADV_DONTNEED);
	if (d->dfd >= 0 && aligned(buf, off))
		done = direct_part(d, buf, NULL, len, off);
	return vmf_pread_full(
	    d->fd, (uint8_t *)buf + done, len - done, off + done, err);
}

int
vmf_direct_write(struct vmf_direct *d, const void *buf, size_t len,
    uint64_t off, struct vmf_error *err)
{
	size_t done = 0;

	if (d->dfd >= 0 && aligned(buf, off))
		done = direct_part(d, NULL, buf, len, off);
	return vmf_pwrite_full(
	    d->fd, (const uint8_t *)buf + done, len - done, off + done, err);
}

void
vmf_direct_close(struct vmf_direct *d)
{
	if (d->dfd >= 0)
		close(d->dfd);
	if (d->fd >= 0)
		close(d->fd);
	d->fd = d->dfd = -1;
}

void *
vmf_direct_buffer(size_t len)
{
	void *buf;

	/* aligned_alloc wants a multiple of the alignment. */
	len = (len + VMF_ALIGN - 1) / VMF_ALIGN * VMF_ALIGN;
	buf = aligned_alloc(VMF_ALIGN, len);
	return buf;
}
