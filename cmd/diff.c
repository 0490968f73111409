/*
 * diff.c - see diff.h
 *
 * The longest common subsequence by the textbook's table, after the lines that
 * are alike at both ends are set aside: a domain's XML has some hundred lines.
 * Where the table would be too large, all between the ends counts as changed.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diff.h"

#define CONTEXT	  3
#define CELLS_MAX (UINT64_C(32) << 20)

struct line {
	const char *text;
	size_t len; /* without its newline */
};

struct text {
	struct line *lines;
	size_t n;
};

/* One line of the result: ' ' both, '-' of a, '+' of b. */
struct edit {
	char sign;
	const struct line *line;
};

struct edits {
	struct edit *v;
	size_t n;
};

static int
no_memory(struct vmf_error *err)
{
	errno = ENOMEM;
	return vmf_fail_errno(err, VMF_IO, "diff");
}

static int
split(const char *s, struct text *text, struct vmf_error *err)
{
	size_t n = 1;
	const char *p;

	for (p = s; (p = strchr(p, '\n')) != NULL; p++)
		n++;
	text->n = 0;
	text->lines = calloc(n, sizeof(*text->lines));
	if (text->lines == NULL)
		return no_memory(err);
	while (*s != '\0') {
		text->lines[text->n].text = s;
		text->lines[text->n].len = strcspn(s, "\n");
		s += text->lines[text->n].len;
		s += *s == '\n';
		text->n++;
	}
	return 0;
}

static bool
same(const struct line *a, const struct line *b)
{
	return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

static void
push(struct edits *edits, char sign, const struct line *line)
{
	edits->v[edits->n].sign = sign;
	edits->v[edits->n++].line = line;
}

/*
 * Edits for na lines of a and nb of b that differ at both ends.  table[i][j] is
 * the length of the longest common subsequence from line i and line j on.
 */
static int
compare(const struct line *a, size_t na, const struct line *b, size_t nb,
    struct edits *edits, struct vmf_error *err)
{
	size_t i, j, width = nb + 1;
	uint16_t *table = NULL;

	if ((uint64_t)(na + 1) * width <= CELLS_MAX) {
		table = calloc((na + 1) * width, sizeof(*table));
		if (table == NULL)
			return no_memory(err);
		for (i = na; i-- > 0;)
			for (j = nb; j-- > 0;) {
				uint16_t down = table[(i + 1) * width + j];
				uint16_t right = table[i * width + j + 1];
				uint16_t best = down > right ? down : right;

				if (same(&a[i], &b[j]))
					best =
					    (uint16_t)(1 +
						       table[(i + 1) * width +
							     j + 1]);
				table[i * width + j] = best;
			}
	}
	for (i = j = 0; table != NULL && i < na && j < nb;) {
		if (same(&a[i], &b[j])) {
			push(edits, ' ', &a[i++]);
			j++;
		} else if (table[(i + 1) * width + j] >=
			   table[i * width + j + 1]) {
			push(edits, '-', &a[i++]);
		} else {
			push(edits, '+', &b[j++]);
		}
	}
	while (i < na)
		push(edits, '-', &a[i++]);
	while (j < nb)
		push(edits, '+', &b[j++]);
	free(table);
	return 0;
}

static int
make_edits(const struct text *a, const struct text *b, struct edits *edits,
    struct vmf_error *err)
{
	size_t head = 0, tail = 0, i;

	edits->n = 0;
	edits->v = calloc(a->n + b->n + 1, sizeof(*edits->v));
	if (edits->v == NULL)
		return no_memory(err);
	while (head < a->n && head < b->n &&
	       same(&a->lines[head], &b->lines[head]))
		push(edits, ' ', &a->lines[head++]);
	while (tail < a->n - head && tail < b->n - head &&
	       same(&a->lines[a->n - 1 - tail], &b->lines[b->n - 1 - tail]))
		tail++;
	if (compare(a->lines + head, a->n - head - tail, b->lines + head,
		b->n - head - tail, edits, err) == -1)
		return -1;
	for (i = a->n - tail; i < a->n; i++)
		push(edits, ' ', &a->lines[i]);
	return 0;
}

/* --- printing */

static void
print_hunk(const struct edits *edits, size_t from, size_t to, size_t line_a,
    size_t line_b, bool colour)
{
	size_t i, na = 0, nb = 0;
	const char *on;

	for (i = from; i < to; i++) {
		na += edits->v[i].sign != '+';
		nb += edits->v[i].sign != '-';
	}
	printf("%s@@ -%zu,%zu +%zu,%zu @@%s\n", colour ? "\033[36m" : "",
	    na > 0 ? line_a + 1 : line_a, na, nb > 0 ? line_b + 1 : line_b, nb,
	    colour ? "\033[m" : "");
	for (i = from; i < to; i++) {
		on = edits->v[i].sign == '-'   ? "\033[31m"
		     : edits->v[i].sign == '+' ? "\033[32m"
					       : "";
		printf("%s%c%.*s%s\n", colour ? on : "", edits->v[i].sign,
		    (int)edits->v[i].line->len, edits->v[i].line->text,
		    colour && *on != '\0' ? "\033[m" : "");
	}
}

static void
print_edits(const struct edits *edits, bool colour)
{
	size_t i, k, from, to, line_a = 0, line_b = 0, counted = 0;

	for (i = 0; i < edits->n; i = to) {
		if (edits->v[i].sign == ' ') {
			to = i + 1;
			continue;
		}
		from = i > CONTEXT ? i - CONTEXT : 0;
		if (from < counted)
			from = counted;
		/* On to where twice the context is unchanged. */
		for (to = k = i; k < edits->n && k - to < 2 * CONTEXT + 1; k++)
			if (edits->v[k].sign != ' ')
				to = k + 1;
		to = to + CONTEXT < edits->n ? to + CONTEXT : edits->n;
		for (k = counted; k < from; k++, line_a++)
			line_b++;
		print_hunk(edits, from, to, line_a, line_b, colour);
		for (k = from; k < to; k++) {
			line_a += edits->v[k].sign != '+';
			line_b += edits->v[k].sign != '-';
		}
		counted = to;
	}
}

int
cli_diff(const char *a, const char *b, const char *name_a, const char *name_b,
    bool colour, struct vmf_error *err)
{
	struct text ta = {0}, tb = {0};
	struct edits edits = {0};
	int rc = -1;

	if (split(a, &ta, err) == -1 || split(b, &tb, err) == -1 ||
	    make_edits(&ta, &tb, &edits, err) == -1)
		goto out;
	if (strcmp(a, b) != 0) {
		printf("--- %s\n+++ %s\n", name_a, name_b);
		print_edits(&edits, colour);
	}
	rc = 0;
out:
	free(ta.lines);
	free(tb.lines);
	free(edits.v);
	return rc;
}
