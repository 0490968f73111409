/*
 * serve_placed.c - what a move has made at its destination
 *
 * Each file, under the name it has while it is written and under its last one,
 * is a line of the journal with device and inode: what has the same name but
 * is another file is nobody's business of ours.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vmferry/spool.h>

#include "serve_internal.h"

int
vmf_serve_note(struct serve *s, const char *path, const char *real, bool made,
    struct vmf_error *err)
{
	struct stat st;
	json_t *entry;
	char *text;
	int rc;

	if (stat(real, &st) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", real);
	entry = json_pack("{s:s%, s:I, s:I, s:b}", "path", path, strlen(path),
	    "dev", (json_int_t)st.st_dev, "ino", (json_int_t)st.st_ino, "file",
	    made && S_ISREG(st.st_mode));
	text = entry == NULL ? NULL : json_dumps(entry, JSON_COMPACT);
	json_decref(entry);
	if (text == NULL)
		return vmf_fail(err, VMF_IO, "%s: cannot be noted", path);
	rc = vmf_journal_add(s->journal, "placed", err, "%s", text);
	free(text);
	return rc;
}

/* The next "placed" of the journal from *i on, or NULL. */
static json_t *
next_entry(const struct vmf_journal *j, size_t *i)
{
	const char *line, *word;

	while ((line = vmf_journal_line(j, (*i)++)) != NULL) {
		word = strstr(line, " placed ");
		if (word != NULL)
			return json_loads(word + 8, 0, NULL);
	}
	return NULL;
}

static bool
is_same(const json_t *entry, const struct stat *st)
{
	return (json_int_t)st->st_dev ==
		   json_integer_value(json_object_get(entry, "dev")) &&
	       (json_int_t)st->st_ino ==
		   json_integer_value(json_object_get(entry, "ino"));
}

bool
vmf_serve_made(const struct vmf_journal *j, const char *path)
{
	struct stat st;
	json_t *entry;
	bool made = false;
	size_t i = 0;

	if (lstat(path, &st) < 0)
		return false;
	while (!made && (entry = next_entry(j, &i)) != NULL) {
		made = strcmp(vmf_wire_text(entry, "path"), path) == 0 &&
		       is_same(entry, &st) &&
		       json_is_true(json_object_get(entry, "file"));
		json_decref(entry);
	}
	return made;
}

/* Once is enough: a disk is noted under two names. */
static void
list_once(json_t *list, const char *path)
{
	size_t i;

	for (i = 0; i < json_array_size(list); i++)
		if (strcmp(json_string_value(json_array_get(list, i)), path) ==
		    0)
			return;
	json_array_append_new(list, json_string(path));
}

/* Remove one thing that "placed" names, if it is still that very file. */
static int
discard_one(
    const json_t *entry, json_t *removed, json_t *left, struct vmf_error *err)
{
	const char *path = vmf_wire_text(entry, "path");
	bool file = json_is_true(json_object_get(entry, "file"));
	struct stat st;

	if (path[0] == '\0' || lstat(path, &st) < 0)
		return 0;
	if (!file) {
		list_once(left, path);
		return 0;
	}
	if (!is_same(entry, &st))
		return 0;
	if (unlink(path) < 0)
		return vmf_fail_errno(err, VMF_IO, "%s", path);
	list_once(removed, path);
	return 0;
}

static int
check_undefined(
    struct serve *s, const struct vmf_journal *j, struct vmf_error *err)
{
	const char *receive = vmf_journal_find(j, "receive");
	char uuid[VMF_DOMAIN_UUID_TEXT] = "";
	struct vmf_host_state state;
	bool found = false;

	if (receive != NULL)
		strncat(uuid, receive, VMF_DOMAIN_UUID_TEXT - 1);
	if (uuid[0] != '\0' &&
	    vmf_host_find(s->host, uuid, &state, &found, err) < 0)
		return -1;
	if (found && vmf_journal_find(j, "defined") != NULL)
		return vmf_fail(err, VMF_REFUSED,
		    "%s is defined here; nothing was removed", state.name);
	return 0;
}

int
vmf_serve_discard(struct serve *s, struct vmf_journal *j, json_t *removed,
    json_t *left, struct vmf_error *err)
{
	uint8_t id[VMF_ID_LEN];
	json_t *entry;
	size_t i = 0;
	int rc = 0;

	if (check_undefined(s, j, err) < 0)
		return -1;
	while (rc == 0 && (entry = next_entry(j, &i)) != NULL) {
		rc = discard_one(entry, removed, left, err);
		json_decref(entry);
	}
	vmf_journal_id(j, id);
	vmf_spool_remove(id, NULL);
	if (rc < 0)
		return -1;
	return vmf_journal_add(
	    j, "discarded", err, "%zu files", json_array_size(removed));
}
