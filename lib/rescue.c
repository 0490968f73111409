/* rescue.c - see vmferry/rescue.h */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <vmferry/direct.h>
#include <vmferry/rescue.h>

#include "source_internal.h"

#define MAP_MAX	  ((size_t)256 << 20) /* bytes of a map */
#define STEP	  ((size_t)64 << 10)  /* tried after a whole chunk has failed */
#define SAVE_SECS 1

struct range {
	uint64_t off, len;
};

struct rescue {
	struct vmf_source *src; /* below */
	char *path;
	struct range *bad; /* ascending, apart */
	size_t n, room;
	uint64_t from, read_to; /* all between was tried */
	time_t saved;
};

/* ---- the set of bad ranges
 * ---------------------------------------------------- */

/* The first that ends after off. */
static size_t
find(const struct rescue *r, uint64_t off)
{
	size_t low = 0, high = r->n, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (r->bad[middle].off + r->bad[middle].len > off)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* No part of it is in the set yet. */
static int
add(struct rescue *r, uint64_t off, uint64_t len, struct vmf_error *err)
{
	size_t i = find(r, off), room = r->room == 0 ? 64 : 2 * r->room;
	struct range *p;

	if (i > 0 && r->bad[i - 1].off + r->bad[i - 1].len == off) {
		r->bad[i - 1].len += len;
		return 0;
	}
	if (r->n == r->room) {
		p = reallocarray(r->bad, room, sizeof(*p));
		if (p == NULL)
			return vmf_fail_errno(err, VMF_IO, "%s", r->path);
		r->bad = p;
		r->room = room;
	}
	memmove(r->bad + i + 1, r->bad + i, (r->n - i) * sizeof(*r->bad));
	r->bad[i] = (struct range){off, len};
	r->n++;
	return 0;
}

/* ---- the map
 * ----------------------------------------------------------------------- */

static int
bad_line(const struct rescue *r, unsigned line, struct vmf_error *err)
{
	return vmf_fail(err, VMF_REFUSED,
	    "%s: line %u is none of a ddrescue map; name another file", r->path,
	    line);
}

static int
parse(struct rescue *r, char *text, struct vmf_error *err)
{
	char *line, *save = NULL, status;
	unsigned number = 0, data = 0;
	uint64_t off, len, end = 0;

	for (line = strtok_r(text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		number++;
		if (line[0] == '#')
			continue;
		if (data++ == 0)
			continue; /* where it stood */
		if (sscanf(line, " %" SCNi64 " %" SCNi64 " %c", (int64_t *)&off,
			(int64_t *)&len, &status) != 3 ||
		    strchr("?*/-+", status) == NULL || off < end ||
		    len > UINT64_MAX - off)
			return bad_line(r, number, err);
		end = off + len;
		if (status == '-' && len > 0 && add(r, off, len, err) < 0)
			return -1;
	}
	return 0;
}

static int
load(struct rescue *r, struct vmf_error *err)
{
	char *text;
	int rc;

	if (access(r->path, F_OK) < 0 && errno == ENOENT)
		return 0;
	text = vmf_read_file(r->path, MAP_MAX, NULL, err);
	if (text == NULL)
		return -1;
	rc = parse(r, text, err);
	free(text);
	return rc;
}

static void
put(FILE *f, uint64_t off, uint64_t end, char status)
{
	if (end > off)
		fprintf(f, "0x%08" PRIX64 "  0x%08" PRIX64 "  %c\n", off,
		    end - off, status);
}

/* What is between bad ranges: read up to read_to, to be tried after it. */
static void
put_gap(FILE *f, const struct rescue *r, uint64_t off, uint64_t end)
{
	uint64_t from = r->from, to = r->read_to;

	from = from < off ? off : from > end ? end : from;
	to = to < from ? from : to > end ? end : to;
	put(f, off, from, '?');
	put(f, from, to, '+');
	put(f, to, end, '?');
}

static int
save(struct rescue *r, struct vmf_error *err)
{
	uint64_t total = r->src->total, off = 0;
	char *text = NULL;
	size_t i, len;
	FILE *f = open_memstream(&text, &len);
	int rc;

	if (f == NULL)
		return vmf_fail_errno(err, VMF_IO, "%s", r->path);
	fprintf(f,
	    "# Mapfile. Created by vmferry\n"
	    "# current_pos  current_status  current_pass\n"
	    "0x%08" PRIX64 "     %c               1\n"
	    "#      pos        size  status\n",
	    r->read_to, r->read_to == total ? '+' : '?');
	for (i = 0; i < r->n; i++) {
		put_gap(f, r, off, r->bad[i].off);
		off = r->bad[i].off + r->bad[i].len;
		put(f, r->bad[i].off, off, '-');
	}
	put_gap(f, r, off, total);
	if (fclose(f) != 0) {
		free(text);
		return vmf_fail_errno(err, VMF_IO, "%s", r->path);
	}
	rc = vmf_write_file(r->path, text, len, true, err);
	free(text);
	r->saved = time(NULL);
	return rc;
}

/* ---- reading
 * ---------------------------------------------------------------------------
 */

/* The medium's fault, not that of what is asked for. */
static bool
is_bad_medium(const struct vmf_error *err)
{
	return err->class == VMF_IO &&
	       (err->errnum == EIO || err->errnum == ENODATA ||
		   err->errnum == EREMOTEIO || err->errnum == EILSEQ);
}

/* Nothing here is known to be bad: halve what fails, down to a block. */
static int
read_piece(struct rescue *r, uint8_t *buf, size_t len, uint64_t off,
    struct vmf_error *err)
{
	size_t step, n, got;

	if (r->src->ops->read(r->src, buf, len, off, &got, err) == 0)
		return 0;
	if (!is_bad_medium(err))
		return -1;
	if (len <= VMF_ALIGN) {
		memset(buf, 0, len);
		return add(r, off, len, err);
	}
	step = len > STEP ? STEP : VMF_ALIGN;
	for (; len > 0; len -= n, off += n, buf += n) {
		n = step - (size_t)(off % step);
		if (n > len)
			n = len;
		if (read_piece(r, buf, n, off, err) < 0)
			return -1;
	}
	return 0;
}

static int
rescue_read(struct vmf_source *src, void *data, size_t len, uint64_t off,
    size_t *got, struct vmf_error *err)
{
	struct rescue *r = src->self;
	uint64_t known = r->n, border;
	uint8_t *buf = data;
	size_t i, n;

	*got = len;
	for (; len > 0; len -= n, off += n, buf += n) {
		i = find(r, off);
		border = off + len;
		if (i < r->n && r->bad[i].off <= off) {
			if (r->bad[i].off + r->bad[i].len < border)
				border = r->bad[i].off + r->bad[i].len;
			n = (size_t)(border - off);
			memset(buf, 0, n);
			continue;
		}
		if (i < r->n && r->bad[i].off < border)
			border = r->bad[i].off;
		n = (size_t)(border - off);
		if (read_piece(r, buf, n, off, err) < 0)
			return -1;
	}
	if (off > r->read_to)
		r->read_to = off;
	if (r->n != known && time(NULL) - r->saved >= SAVE_SECS)
		return save(r, err);
	return 0;
}

static int
rescue_extent(struct vmf_source *src, uint64_t off, struct vmf_extent *ext,
    struct vmf_error *err)
{
	struct rescue *r = src->self;

	return r->src->ops->extent(r->src, off, ext, err);
}

static int
rescue_unchanged(struct vmf_source *src, struct vmf_error *err)
{
	struct rescue *r = src->self;

	return r->src->ops->unchanged(r->src, err);
}

static void
rescue_close(struct vmf_source *src)
{
	struct rescue *r = src->self;

	/* Also after a failure: it is what the next run goes by. */
	if (r->src != NULL && r->path != NULL && r->saved != 0)
		save(r, NULL);
	vmf_source_free(r->src);
	free(r->path);
	free(r->bad);
	free(r);
}

static const struct vmf_source_ops rescue_ops = {.extent = rescue_extent,
    .read = rescue_read,
    .unchanged = rescue_unchanged,
    .close = rescue_close};

struct vmf_source *
vmf_rescue_open(
    struct vmf_source *below, const char *path, struct vmf_error *err)
{
	struct rescue *r = calloc(1, sizeof(*r));
	struct vmf_source *src;

	if (r == NULL) {
		vmf_fail_errno(err, VMF_IO, "%s", path);
		vmf_source_free(below);
		return NULL;
	}
	r->src = below;
	r->path = strdup(path);
	src = vmf_source_new(below->name, &rescue_ops, r, err);
	if (src == NULL)
		return NULL;
	r->from = below->off;
	src->total = below->total;
	src->off = below->off;
	src->len = below->len;
	src->sector = below->sector;
	src->format = below->format;
	src->virtual_size = below->virtual_size;
	src->features = below->features | VMF_FEATURE_RESCUE;
	if (r->path == NULL)
		vmf_fail_errno(err, VMF_IO, "%s", path);
	else if (load(r, err) == 0 && save(r, err) == 0)
		return src;
	vmf_source_free(src);
	return NULL;
}

int
vmf_rescue_finish(struct vmf_source *src, struct vmf_extent **bad, uint32_t *n,
    struct vmf_error *err)
{
	struct rescue *r = src->self;
	uint64_t end = src->off + src->len, from, to;
	size_t i;

	*n = 0;
	*bad = calloc(r->n + 1, sizeof(**bad));
	if (*bad == NULL)
		return vmf_fail_errno(err, VMF_IO, "%s", r->path);
	/* Holes are not read, and good. */
	if (r->read_to < end)
		r->read_to = end;
	for (i = 0; i < r->n; i++) {
		from = r->bad[i].off > src->off ? r->bad[i].off : src->off;
		to = r->bad[i].off + r->bad[i].len;
		if (to > end)
			to = end;
		if (from >= to)
			continue;
		if (*n == VMF_BAD_MAX)
			return vmf_fail(err, VMF_IO,
			    "%s: more than %d places are bad; copy the disk "
			    "with ddrescue first",
			    src->name, VMF_BAD_MAX);
		(*bad)[(*n)++] = (struct vmf_extent){
		    .off = from - src->off, .len = to - from};
	}
	return save(r, err);
}
