/*
 * journal.h - what a move has done, line by line, each synced before what it
 * promises is relied on
 *
 * DIR/ID/journal is append-only text: "TIME WORD DETAIL", TIME in UTC.  A last
 * line without its newline was never promised and is ignored.  Beside it lie
 * the small files that later stages need (the destination's XML).
 *
 * Thread rule: one thread at a time.
 */
#ifndef VMFERRY_JOURNAL_H
#define VMFERRY_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>

#include <vmferry/error.h>
#include <vmferry/units.h>

#define VMF_MOVES_DIR "/var/lib/vmferry/moves"

struct vmf_journal;

/*
 * Make DIR/ID (0700) with an empty journal, or open one that is there; dir
 * NULL: VMF_MOVES_DIR.  Either takes its lock: VMF_BUSY while another process
 * has it.  VMF_REFUSED: to be made but there, or to be opened but not.
 */
struct vmf_journal *vmf_journal_create(
    const char *dir, const uint8_t id[VMF_ID_LEN], struct vmf_error *err);
struct vmf_journal *
vmf_journal_open(const char *dir, const char *id, struct vmf_error *err);
void vmf_journal_free(struct vmf_journal *j);

/* Append one line and sync it.  WORD has no blanks. */
int
vmf_journal_add(struct vmf_journal *j, const char *word, struct vmf_error *err,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* The detail of the last line with this word, or NULL; borrowed till the next
 * add. */
const char *vmf_journal_find(const struct vmf_journal *j, const char *word);
/* The n-th line ("TIME WORD DETAIL"), or NULL. */
const char *vmf_journal_line(const struct vmf_journal *j, size_t n);

/* A small file beside the journal, written whole and synced. */
int vmf_journal_keep(struct vmf_journal *j, const char *name, const char *text,
    struct vmf_error *err);
char *vmf_journal_kept(
    struct vmf_journal *j, const char *name, struct vmf_error *err);

void vmf_journal_id(const struct vmf_journal *j, uint8_t id[VMF_ID_LEN]);
/* PREFIX.NAME beside the journal, for a file that is kept otherwise; the caller
 * frees it. */
char *vmf_journal_path(const struct vmf_journal *j, const char *prefix,
    const char *name, struct vmf_error *err);

/* All IDs in dir, sorted, as a NULL-terminated list; free() releases it. */
char **vmf_journal_list(const char *dir, struct vmf_error *err);

#endif
