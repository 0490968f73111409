/*
 * check_same.c - is it one file, or one disk, at both ends?
 *
 * An identity is words, each a name of the thing that no other has:
 *
 *	kernel:BOOT:DEV:INO	a file, as this running kernel counts
 *	kernel:BOOT:MAJ:MIN	a device, likewise
 *	id:UUID:PART		a volume, a disk, or a partition of it
 *	file:INO:SIZE:MTIME	a file as a shared file system shows it
 *
 * One word in common is enough.  The last can be of two files by chance, and
 * then a move onto an existing file is refused that could have been made:
 * the safe side.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <vmferry/check.h>

/* One line of a small file, its blanks turned to '_'; false: nothing there. */
static bool
read_word(const char *path, char *word, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, word, size - 1);
	char *p;

	if (fd >= 0)
		close(fd);
	word[n < 0 ? 0 : n] = '\0';
	word[strcspn(word, "\n")] = '\0';
	for (p = word; *p != '\0'; p++)
		if (*p <= ' ')
			*p = '_';
	return word[0] != '\0';
}

/* Serial numbers of emulated disks are alike everywhere; these are not. */
static bool
is_unique(const char *word)
{
	static const char *const known[] = {"LVM-", "mpath-", "naa.", "eui."};
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strncmp(word, known[i], strlen(known[i])) == 0)
			return true;
	return false;
}

static void
name_device(FILE *out, dev_t dev, const char *boot)
{
	static const char *const names[] = {"dm/uuid", "wwid", "device/wwid",
	    "../wwid", "../device/wwid"}; /* .. is a partition's disk */
	char path[128], word[256], part[16];
	size_t i;

	fprintf(out, "kernel:%s:%u:%u", boot, major(dev), minor(dev));
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/partition",
	    major(dev), minor(dev));
	read_word(path, part, sizeof(part));
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if ((names[i][0] == '.') != (part[0] != '\0'))
			continue;
		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s",
		    major(dev), minor(dev), names[i]);
		if (read_word(path, word, sizeof(word)) && is_unique(word))
			fprintf(out, " id:%s:%s", word, part);
	}
}

char *
vmf_check_identity(const char *path)
{
	char boot[64] = "", *text = NULL;
	struct stat st;
	size_t size;
	FILE *out;

	if (stat(path, &st) < 0)
		return strdup("");
	out = open_memstream(&text, &size);
	if (out == NULL)
		return NULL;
	read_word("/proc/sys/kernel/random/boot_id", boot, sizeof(boot));
	if (S_ISBLK(st.st_mode))
		name_device(out, st.st_rdev, boot);
	else
		fprintf(out, "kernel:%s:%ju:%ju file:%ju:%jd:%jd.%09ld", boot,
		    (uintmax_t)st.st_dev, (uintmax_t)st.st_ino,
		    (uintmax_t)st.st_ino, (intmax_t)st.st_size,
		    (intmax_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* The word's part that must be equal: a guest that runs moves MTIME. */
static size_t
significant(const char *word, size_t len, bool live)
{
	const char *colon;

	if (!live || strncmp(word, "file:", 5) != 0)
		return len;
	colon = memrchr(word, ':', len);
	return colon == NULL ? len : (size_t)(colon - word);
}

static bool
has_word(const char *words, const char *word, size_t len, bool live)
{
	size_t n, want = significant(word, len, live);

	for (; *words != '\0'; words += n + (words[n] != '\0')) {
		n = strcspn(words, " ");
		if (significant(words, n, live) == want &&
		    memcmp(words, word, want) == 0)
			return true;
	}
	return false;
}

bool
vmf_check_same(const char *identity, const char *other, bool live)
{
	size_t n;

	for (; *identity != '\0'; identity += n + (identity[n] != '\0')) {
		n = strcspn(identity, " ");
		if (n > 0 && has_word(other, identity, n, live))
			return true;
	}
	return false;
}
