/* journal.c - see vmferry/journal.h */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <vmferry/io.h>
#include <vmferry/journal.h>
#include <vmferry/lock.h>

#define JOURNAL_MAX (64 * VMF_MIB)
#define KEPT_MAX    (32 * VMF_MIB)
#define PATH_ROOM   4096
#define LINE_MAX_   8192

struct vmf_journal {
	char *path; /* of the directory */
	uint8_t id[VMF_ID_LEN];
	int fd;
	char **lines; /* without newlines */
	size_t count;
};

static int
note_line(struct vmf_journal *j, const char *line, size_t len)
{
	char **lines = realloc(j->lines, (j->count + 1) * sizeof(*lines));

	if (lines == NULL)
		return -1;
	j->lines = lines;
	j->lines[j->count] = strndup(line, len);
	if (j->lines[j->count] == NULL)
		return -1;
	j->count++;
	return 0;
}

/* All whole lines so far; a torn one at the end is cut off the file. */
static int
load(struct vmf_journal *j, const char *path, struct vmf_error *err)
{
	char *text = vmf_read_file(path, JOURNAL_MAX, NULL, err), *p, *end;
	int rc = 0;

	if (text == NULL)
		return -1;
	for (p = text; rc == 0 && (end = strchr(p, '\n')) != NULL; p = end + 1)
		rc = note_line(j, p, (size_t)(end - p));
	if (rc < 0)
		vmf_fail_errno(err, VMF_IO, "%s", path);
	else if (*p != '\0' && ftruncate(j->fd, p - text) < 0)
		rc = vmf_fail_errno(err, VMF_IO, "%s", path);
	free(text);
	return rc;
}

static struct vmf_journal *
open_in(const char *dir, const char *id, bool create, struct vmf_error *err)
{
	struct vmf_journal *j = calloc(1, sizeof(*j));
	char path[PATH_ROOM], what[64];

	if (j == NULL) {
		vmf_fail_errno(err, VMF_IO, "journal");
		return NULL;
	}
	j->fd = -1;
	if (vmf_parse_id(id, j->id, err) < 0)
		goto fail;
	if (asprintf(&j->path, "%s/%s", dir, id) < 0) {
		j->path = NULL;
		vmf_fail_errno(err, VMF_IO, "journal");
		goto fail;
	}
	if (create && mkdir(j->path, 0700) < 0) {
		vmf_fail_errno(
		    err, errno == EEXIST ? VMF_REFUSED : VMF_IO, "%s", j->path);
		goto fail;
	}
	if (!create && access(j->path, F_OK) < 0) {
		vmf_fail(err, VMF_REFUSED,
		    "%s: no such move here; see vmf-move --list", id);
		goto fail;
	}
	snprintf(path, sizeof(path), "%s/journal", j->path);
	snprintf(what, sizeof(what), "move %.36s", id);
	j->fd = vmf_lock_path(path, what, err);
	if (j->fd < 0 || load(j, path, err) < 0 ||
	    (create && (vmf_sync_parent(path, err) < 0 ||
			   vmf_sync_parent(j->path, err) < 0)))
		goto fail;
	return j;
fail:
	vmf_journal_free(j);
	return NULL;
}

struct vmf_journal *
vmf_journal_create(
    const char *dir, const uint8_t id[VMF_ID_LEN], struct vmf_error *err)
{
	char text[2 * VMF_ID_LEN + 1];

	if (dir == NULL)
		dir = VMF_MOVES_DIR;
	if (vmf_make_directory(dir, err) < 0)
		return NULL;
	vmf_hex(id, VMF_ID_LEN, text);
	return open_in(dir, text, true, err);
}

struct vmf_journal *
vmf_journal_open(const char *dir, const char *id, struct vmf_error *err)
{
	char text[2 * VMF_ID_LEN + 1];
	uint8_t bytes[VMF_ID_LEN];

	if (vmf_parse_id(id, bytes, err) < 0)
		return NULL;
	vmf_hex(bytes, VMF_ID_LEN, text);
	return open_in(dir == NULL ? VMF_MOVES_DIR : dir, text, false, err);
}

void
vmf_journal_free(struct vmf_journal *j)
{
	size_t i;

	if (j == NULL)
		return;
	for (i = 0; i < j->count; i++)
		free(j->lines[i]);
	free(j->lines);
	free(j->path);
	if (j->fd >= 0)
		close(j->fd);
	free(j);
}

int
vmf_journal_add(struct vmf_journal *j, const char *word, struct vmf_error *err,
    const char *fmt, ...)
{
	char line[LINE_MAX_], when[32];
	time_t now = time(NULL);
	struct tm utc;
	va_list ap;
	size_t len, i;

	gmtime_r(&now, &utc);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &utc);
	len = (size_t)snprintf(line, sizeof(line), "%s %s ", when, word);
	va_start(ap, fmt);
	vsnprintf(line + len, sizeof(line) - len - 1, fmt, ap);
	va_end(ap);
	/* A name with a newline must not make a line of its own. */
	for (i = 0; line[i] != '\0'; i++)
		if (line[i] == '\n' || line[i] == '\r')
			line[i] = '?';
	len = strlen(line);
	if (note_line(j, line, len) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", j->path);
	line[len] = '\n';
	if (lseek(j->fd, 0, SEEK_END) < 0 ||
	    vmf_write_full(j->fd, line, len + 1, err) < 0)
		return vmf_wrap(err, "%s/journal", j->path);
	if (fdatasync(j->fd) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s/journal", j->path);
	return 0;
}

const char *
vmf_journal_find(const struct vmf_journal *j, const char *word)
{
	size_t i, len = strlen(word);

	for (i = j->count; i-- > 0;) {
		const char *p = strchr(j->lines[i], ' ');

		if (p != NULL && strncmp(p + 1, word, len) == 0 &&
		    p[1 + len] == ' ')
			return p + len + 2;
	}
	return NULL;
}

const char *
vmf_journal_line(const struct vmf_journal *j, size_t n)
{
	return n < j->count ? j->lines[n] : NULL;
}

int
vmf_journal_keep(struct vmf_journal *j, const char *name, const char *text,
    struct vmf_error *err)
{
	char path[PATH_ROOM];

	snprintf(path, sizeof(path), "%s/%s", j->path, name);
	return vmf_write_file(path, text, strlen(text), true, err);
}

char *
vmf_journal_kept(struct vmf_journal *j, const char *name, struct vmf_error *err)
{
	char path[PATH_ROOM];

	snprintf(path, sizeof(path), "%s/%s", j->path, name);
	return vmf_read_file(path, KEPT_MAX, NULL, err);
}

void
vmf_journal_id(const struct vmf_journal *j, uint8_t id[VMF_ID_LEN])
{
	memcpy(id, j->id, VMF_ID_LEN);
}

char *
vmf_journal_path(const struct vmf_journal *j, const char *prefix,
    const char *name, struct vmf_error *err)
{
	char *path;

	if (asprintf(&path, "%s/%s.%s", j->path, prefix, name) >= 0)
		return path;
	vmf_fail_errno(err, VMF_IO, "%s", j->path);
	return NULL;
}

static int
is_id(const struct dirent *entry)
{
	uint8_t id[VMF_ID_LEN];

	return vmf_unhex(entry->d_name, id, VMF_ID_LEN) == 0;
}

char **
vmf_journal_list(const char *dir, struct vmf_error *err)
{
	struct dirent **entries = NULL;
	size_t room;
	char **list, *text;
	int i, n;

	if (dir == NULL)
		dir = VMF_MOVES_DIR;
	n = scandir(dir, &entries, is_id, alphasort);
	if (n < 0 && errno != ENOENT) {
		vmf_fail_errno(err, VMF_IO, "%s", dir);
		return NULL;
	}
	n = n < 0 ? 0 : n;
	/* One block: the pointers, then their texts. */
	room = ((size_t)n + 1) * sizeof(char *);
	list = calloc(1, room + (size_t)n * (2 * VMF_ID_LEN + 1));
	if (list == NULL)
		vmf_fail_errno(err, VMF_IO, "%s", dir);
	text = (char *)list + room;
	for (i = 0; i < n; i++) {
		if (list != NULL) {
			memcpy(text, entries[i]->d_name, 2 * VMF_ID_LEN + 1);
			list[i] = text;
			text += 2 * VMF_ID_LEN + 1;
		}
		free(entries[i]);
	}
	free(entries);
	return list;
}
