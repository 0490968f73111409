/* freemap.c - see vmferry/freemap.h */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <vmferry/freemap.h>
#include <vmferry/units.h>

#define LINE_MAX_LEN 256
#define BLOCK	     ((size_t)64 << 10)

struct range {
	uint64_t off, len;
};

struct vmf_freemap {
	enum vmf_format format;
	uint64_t size;
	char state[VMF_FREEMAP_STATE];
	struct range *list;
	size_t n, cap;
};

static const char *
format_name(enum vmf_format format)
{
	return format == VMF_QCOW2 ? "qcow2" : "raw";
}

/* ---- state ----------------------------------------------------------- */

/* Sectors written: the seventh number of the kernel's stat file (iostats in
 * its documentation); the boot's id, as counting starts anew then. */
static int
device_state(dev_t dev, const char *path, char state[VMF_FREEMAP_STATE],
    struct vmf_error *err)
{
	char name[64], boot[64] = "", *text;
	uint64_t sectors;
	int n;

	snprintf(name, sizeof(name), "/sys/dev/block/%u:%u/stat", major(dev),
	    minor(dev));
	text = vmf_read_file(name, 4096, NULL, err);
	if (text == NULL)
		return vmf_wrap(err, "%s", path);
	n = sscanf(text, "%*u %*u %*u %*u %*u %*u %" SCNu64, &sectors);
	free(text);
	if (n != 1)
		return vmf_fail(
		    err, VMF_IO, "%s: %s: not understood", path, name);
	text = vmf_read_file("/proc/sys/kernel/random/boot_id", 64, NULL, err);
	if (text == NULL)
		return vmf_wrap(err, "%s", path);
	snprintf(boot, sizeof(boot), "%.*s", (int)strcspn(text, "\n"), text);
	free(text);
	snprintf(state, VMF_FREEMAP_STATE, "written:%u:%u:%" PRIu64 ":%s",
	    major(dev), minor(dev), sectors, boot);
	return 0;
}

int
vmf_freemap_state(int fd, const char *path, char state[VMF_FREEMAP_STATE],
    struct vmf_error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", path);
	if (S_ISBLK(st.st_mode))
		return device_state(st.st_rdev, path, state, err);
	snprintf(state, VMF_FREEMAP_STATE, "modified:%lld.%09ld",
	    (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	return 0;
}

/* ---- a map ----------------------------------------------------------- */

struct vmf_freemap *
vmf_freemap_new(enum vmf_format format, uint64_t size, const char *state,
    struct vmf_error *err)
{
	struct vmf_freemap *map = calloc(1, sizeof(*map));

	if (map == NULL) {
		vmf_fail_errno(err, VMF_IO, "extent map");
		return NULL;
	}
	map->format = format;
	map->size = size;
	snprintf(map->state, sizeof(map->state), "%s", state);
	return map;
}

void
vmf_freemap_free(struct vmf_freemap *map)
{
	if (map == NULL)
		return;
	free(map->list);
	free(map);
}

static int
append(
    struct vmf_freemap *map, uint64_t len, uint64_t off, struct vmf_error *err)
{
	size_t cap = map->cap == 0 ? 64 : 2 * map->cap;
	struct range *list;

	if (map->n == VMF_FREEMAP_MAX)
		return vmf_fail(err, VMF_INTEGRITY, "too many extents");
	if (map->n == map->cap) {
		list = realloc(map->list, cap * sizeof(*list));
		if (list == NULL)
			return vmf_fail_errno(err, VMF_IO, "extent map");
		map->list = list;
		map->cap = cap;
	}
	map->list[map->n++] = (struct range){off, len};
	return 0;
}

int
vmf_freemap_add(
    struct vmf_freemap *map, uint64_t len, uint64_t off, struct vmf_error *err)
{
	struct range *last = map->n == 0 ? NULL : &map->list[map->n - 1];

	if (len == 0 || off > map->size || len > map->size - off ||
	    (last != NULL && off < last->off + last->len))
		return vmf_fail(err, VMF_INTEGRITY,
		    "extent at %" PRIu64 " is empty, out of order or beyond "
		    "the disk",
		    off);
	if (last != NULL && off == last->off + last->len) {
		last->len += len;
		return 0;
	}
	return append(map, len, off, err);
}

int
vmf_freemap_remove(
    struct vmf_freemap *map, uint64_t len, uint64_t off, struct vmf_error *err)
{
	struct vmf_freemap kept = {.size = map->size};
	uint64_t end = off + len, from, to;
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < map->n; i++) {
		from = map->list[i].off;
		to = from + map->list[i].len;
		if (from < off)
			rc = append(
			    &kept, (to < off ? to : off) - from, from, err);
		if (rc == 0 && to > end) {
			from = from > end ? from : end;
			rc = append(&kept, to - from, from, err);
		}
	}
	if (rc < 0) {
		free(kept.list);
		return -1;
	}
	free(map->list);
	map->list = kept.list;
	map->n = kept.n;
	map->cap = kept.cap;
	return 0;
}

size_t
vmf_freemap_count(const struct vmf_freemap *map)
{
	return map->n;
}

uint64_t
vmf_freemap_bytes(const struct vmf_freemap *map)
{
	uint64_t bytes = 0;
	size_t i;

	for (i = 0; i < map->n; i++)
		bytes += map->list[i].len;
	return bytes;
}

struct vmf_extents *
vmf_freemap_extents(const struct vmf_freemap *map, struct vmf_error *err)
{
	struct vmf_extents *extents = vmf_extents_new(err);
	size_t i;

	if (extents == NULL)
		return NULL;
	for (i = 0; i < map->n; i++)
		if (vmf_extents_add_zero(
			extents, map->list[i].len, map->list[i].off, err) < 0) {
			vmf_extents_free(extents);
			return NULL;
		}
	return extents;
}

int
vmf_freemap_check(const struct vmf_freemap *map, int fd, const char *path,
    struct vmf_error *err)
{
	off_t size = lseek(fd, 0, SEEK_END);
	char state[VMF_FREEMAP_STATE];

	if (map->format != VMF_RAW)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: the map is of what is inside a %s file, which is "
		    "not read as such here",
		    path, format_name(map->format));
	if (size < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", path);
	if (map->size != (uint64_t)size)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: the map is of a disk of %" PRIu64 " bytes, not "
		    "%" PRIu64 "; make a new one",
		    path, map->size, (uint64_t)size);
	if (vmf_freemap_state(fd, path, state, err) < 0)
		return -1;
	if (strcmp(map->state, state) != 0)
		return vmf_fail(err, VMF_REFUSED,
		    "%s: changed since its map was made; make a new one", path);
	return 0;
}

/* ---- text ------------------------------------------------------------ */

struct text {
	struct vmf_in in;
	uint8_t buf[BLOCK];
	size_t len, pos;
};

/* One line without its newline: 1; 0 at the end; what is cut fails. */
static int
next_line(struct text *text, char line[LINE_MAX_LEN], struct vmf_error *err)
{
	size_t n = 0;

	for (;;) {
		if (text->pos == text->len) {
			text->pos = 0;
			if (text->in.read(text->in.ctx, text->buf, BLOCK,
				&text->len, err) < 0)
				return -1;
		}
		if (text->len == 0 && n == 0)
			return 0;
		if (text->len == 0 || n == LINE_MAX_LEN - 1)
			break;
		line[n] = (char)text->buf[text->pos++];
		if (line[n] == '\n') {
			line[n] = '\0';
			return 1;
		}
		if (line[n] < ' ' || line[n] > '~')
			break;
		n++;
	}
	return vmf_fail(err, VMF_INTEGRITY, "not a map, or cut off");
}

/* Exactly n words, one blank between two of them. */
static int
split(char *line, char *word[], size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		word[i] = line;
		line += strcspn(line, " ");
		if (line == word[i] || (*line == '\0') != (i == n - 1))
			return -1;
		*line++ = '\0';
	}
	return 0;
}

static int
bad_line(struct vmf_error *err, const char *what)
{
	return vmf_fail(err, VMF_INTEGRITY, "not a map: %s", what);
}

static struct vmf_freemap *
read_first(struct text *text, struct vmf_error *err)
{
	char line[LINE_MAX_LEN], *word[5];
	enum vmf_format format = VMF_RAW;
	uint64_t size;
	int rc = next_line(text, line, err);

	if (rc < 0)
		return NULL;
	if (rc == 0 || split(line, word, 5) < 0 ||
	    strcmp(word[0], "vmferry-map") != 0) {
		bad_line(err, "no such first line");
		return NULL;
	}
	if (strcmp(word[1], "1") != 0) {
		vmf_fail(err, VMF_INTEGRITY,
		    "a map of version %s, which needs a newer vmferry",
		    word[1]);
		return NULL;
	}
	if (strcmp(word[2], "qcow2") == 0)
		format = VMF_QCOW2;
	else if (strcmp(word[2], "raw") != 0)
		format = 0;
	if (format == 0 || strlen(word[4]) >= VMF_FREEMAP_STATE ||
	    vmf_parse_number(word[3], 0, VMF_IMAGE_MAX, &size, NULL) < 0) {
		bad_line(err, "no such first line");
		return NULL;
	}
	return vmf_freemap_new(format, size, word[4], err);
}

/* 1: one more extent; 0: the end, which counts them; -1. */
static int
read_extent(struct text *text, struct vmf_freemap *map, struct vmf_error *err)
{
	char line[LINE_MAX_LEN], *word[3];
	uint64_t off, len;
	size_t before = map->n;
	int rc = next_line(text, line, err);

	if (rc < 0)
		return -1;
	if (rc == 0)
		return bad_line(err, "its end is missing");
	if (strncmp(line, "end ", 4) == 0) {
		if (vmf_parse_number(line + 4, map->n, map->n, &off, NULL) < 0)
			return bad_line(err, "its end counts otherwise");
		rc = next_line(text, line, err);
		return rc == 1 ? bad_line(err, "more after its end") : rc;
	}
	if (split(line, word, 3) < 0 ||
	    vmf_parse_number(word[0], 0, map->size, &off, NULL) < 0 ||
	    vmf_parse_number(word[1], 1, map->size, &len, NULL) < 0 ||
	    strcmp(word[2], "free") != 0)
		return bad_line(err, "a line is neither extent nor end");
	if (vmf_freemap_add(map, len, off, err) < 0)
		return -1;
	if (map->n == before)
		return bad_line(err, "two extents that touch");
	return 1;
}

struct vmf_freemap *
vmf_freemap_read(struct vmf_in in, const char *name, struct vmf_error *err)
{
	struct text *text = calloc(1, sizeof(*text));
	struct vmf_freemap *map = NULL;
	int rc;

	if (text == NULL) {
		vmf_fail_errno(err, VMF_IO, "%s", name);
		return NULL;
	}
	text->in = in;
	map = read_first(text, err);
	rc = map == NULL ? -1 : 1;
	while (rc > 0)
		rc = read_extent(text, map, err);
	free(text);
	if (rc == 0)
		return map;
	vmf_wrap(err, "%s", name);
	vmf_freemap_free(map);
	return NULL;
}

int
vmf_freemap_write(
    const struct vmf_freemap *map, struct vmf_out *out, struct vmf_error *err)
{
	char line[LINE_MAX_LEN];
	size_t i;
	int n;

	n = snprintf(line, sizeof(line), "vmferry-map 1 %s %" PRIu64 " %s\n",
	    format_name(map->format), map->size, map->state);
	if (out->write(out->ctx, line, (size_t)n, err) < 0)
		return -1;
	for (i = 0; i < map->n; i++) {
		n = snprintf(line, sizeof(line),
		    "%" PRIu64 " %" PRIu64 " free\n", map->list[i].off,
		    map->list[i].len);
		if (out->write(out->ctx, line, (size_t)n, err) < 0)
			return -1;
	}
	n = snprintf(line, sizeof(line), "end %zu\n", map->n);
	return out->write(out->ctx, line, (size_t)n, err);
}
