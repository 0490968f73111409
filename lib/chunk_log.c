/* chunk_log.c - the log of vmferry/chunks.h */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vmferry/chunks.h>
#include <vmferry/io.h>

struct vmf_chunk_log {
	char *path;
	FILE *file;
};

/* The offset after the last line that can be relied on. */
static int
load(struct vmf_chunk_log *log, struct vmf_chunks *chunks, off_t *end,
    struct vmf_error *err)
{
	char text[VMF_DIGEST_LINE_MAX];
	struct vmf_digest_line line;
	struct vmf_error said;
	size_t len;

	*end = 0;
	while (fgets(text, sizeof(text), log->file) != NULL) {
		len = strlen(text);
		if (len == 0 || text[len - 1] != '\n')
			break;
		text[len - 1] = '\0';
		if (vmf_digest_line_parse(text, &line, &said) < 0 ||
		    (chunks != NULL &&
			vmf_chunks_set(chunks, &line, &said) < 0))
			break;
		*end += (off_t)len;
	}
	if (ferror(log->file))
		return vmf_fail_errno(err, VMF_IO, "%s", log->path);
	return 0;
}

static int
open_file(struct vmf_chunk_log *log, struct vmf_error *err)
{
	int fd = open(log->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
	    S_IRUSR | S_IWUSR);
	struct stat st;

	if (fd < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", log->path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return vmf_fail(
		    err, VMF_IO, "%s: not a regular file", log->path);
	}
	log->file = fdopen(fd, "r+");
	if (log->file == NULL) {
		vmf_fail_errno(err, VMF_IO, "%s", log->path);
		close(fd);
		return -1;
	}
	return vmf_sync_parent(log->path, err);
}

/* From end on it is empty, and that is where the next line goes. */
static int
cut(struct vmf_chunk_log *log, off_t end, struct vmf_error *err)
{
	if (fflush(log->file) != 0 || ftruncate(fileno(log->file), end) < 0 ||
	    fseeko(log->file, end, SEEK_SET) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", log->path);
	return 0;
}

struct vmf_chunk_log *
vmf_chunk_log_open(
    const char *path, struct vmf_chunks *chunks, struct vmf_error *err)
{
	struct vmf_chunk_log *log = calloc(1, sizeof(*log));
	off_t end;

	if (log != NULL)
		log->path = strdup(path);
	if (log == NULL || log->path == NULL) {
		vmf_fail_errno(err, VMF_IO, "%s", path);
		goto fail;
	}
	if (open_file(log, err) == 0 && load(log, chunks, &end, err) == 0 &&
	    cut(log, end, err) == 0)
		return log;
fail:
	vmf_chunk_log_free(log);
	return NULL;
}

int
vmf_chunk_log_add(struct vmf_chunk_log *log, const struct vmf_digest_line *line,
    struct vmf_error *err)
{
	char text[VMF_DIGEST_LINE_MAX];
	size_t len = vmf_digest_line_format(line, text);

	if (fwrite(text, 1, len, log->file) != len)
		return vmf_fail_errno(err, VMF_IO, "%s", log->path);
	return 0;
}

int
vmf_chunk_log_sync(struct vmf_chunk_log *log, struct vmf_error *err)
{
	if (fflush(log->file) != 0 || fdatasync(fileno(log->file)) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", log->path);
	return 0;
}

int
vmf_chunk_log_clear(struct vmf_chunk_log *log, struct vmf_error *err)
{
	if (cut(log, 0, err) < 0)
		return -1;
	return vmf_chunk_log_sync(log, err);
}

void
vmf_chunk_log_free(struct vmf_chunk_log *log)
{
	if (log == NULL)
		return;
	if (log->file != NULL)
		fclose(log->file);
	free(log->path);
	free(log);
}
