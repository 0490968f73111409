/* check.c - the rows; see vmferry/check.h */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include <vmferry/check.h>

#define CLOCK_SKEW 2.0 /* seconds that are worth a word */

struct vmf_check {
	struct vmf_check_row *rows;
	size_t n, room;
	char where[12];
	bool failed; /* no memory for a row */
};

static const char *const verdicts[] = {
    [VMF_CHECK_OK] = "ok",
    [VMF_CHECK_WARN] = "warn",
    [VMF_CHECK_FAIL] = "fail",
};

const char *
vmf_check_verdict_name(enum vmf_verdict verdict)
{
	return verdicts[verdict];
}

struct vmf_check *
vmf_check_new(struct vmf_error *err)
{
	struct vmf_check *check = calloc(1, sizeof(*check));

	if (check == NULL)
		vmf_fail_errno(err, VMF_IO, "check");
	else
		vmf_check_where(check, "source");
	return check;
}

void
vmf_check_free(struct vmf_check *check)
{
	if (check == NULL)
		return;
	free(check->rows);
	free(check);
}

void
vmf_check_where(struct vmf_check *check, const char *where)
{
	snprintf(check->where, sizeof(check->where), "%s", where);
}

static struct vmf_check_row *
add_row(struct vmf_check *check, const char *what, enum vmf_verdict verdict)
{
	struct vmf_check_row *row;

	if (check->n == check->room) {
		size_t room = check->room == 0 ? 32 : 2 * check->room;

		row = realloc(check->rows, room * sizeof(*row));
		if (row == NULL) {
			check->failed = true;
			return NULL;
		}
		check->rows = row;
		check->room = room;
	}
	row = &check->rows[check->n++];
	memset(row, 0, sizeof(*row));
	snprintf(row->where, sizeof(row->where), "%s", check->where);
	snprintf(row->what, sizeof(row->what), "%s", what);
	row->verdict = verdict;
	if (verdict == VMF_CHECK_FAIL)
		row->class = VMF_REFUSED;
	return row;
}

/* By way of an error, which makes control characters harmless. */
static void
say(struct vmf_check_row *row, const struct vmf_error *said)
{
	const char *p, *last = NULL;

	snprintf(row->reason, sizeof(row->reason), "%s", said->msg);
	if (row->verdict == VMF_CHECK_OK)
		return;
	for (p = said->msg; (p = strstr(p, "; ")) != NULL; p += 2)
		last = p;
	if (last == NULL || strlen(last + 2) >= sizeof(row->mend))
		return;
	row->reason[last - said->msg] = '\0';
	snprintf(row->mend, sizeof(row->mend), "%s", last + 2);
}

static void
add_text(struct vmf_check *check, const char *what, enum vmf_verdict verdict,
    const char *fmt, va_list ap)
{
	struct vmf_check_row *row = add_row(check, what, verdict);
	char text[sizeof(row->reason)];
	struct vmf_error said;

	vsnprintf(text, sizeof(text), fmt, ap);
	vmf_fail(&said, VMF_REFUSED, "%s", text);
	if (row != NULL)
		say(row, &said);
}

void
vmf_check_ok(struct vmf_check *check, const char *what, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_text(check, what, VMF_CHECK_OK, fmt, ap);
	va_end(ap);
}

void
vmf_check_warn(struct vmf_check *check, const char *what, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_text(check, what, VMF_CHECK_WARN, fmt, ap);
	va_end(ap);
}

void
vmf_check_fail(struct vmf_check *check, const char *what, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_text(check, what, VMF_CHECK_FAIL, fmt, ap);
	va_end(ap);
}

void
vmf_check_error(
    struct vmf_check *check, const char *what, const struct vmf_error *err)
{
	struct vmf_check_row *row = add_row(check, what, VMF_CHECK_FAIL);

	if (row == NULL)
		return;
	say(row, err);
	row->class = err->class;
}

/* What was cut, or changed to be shown, is no rule to use. */
static void
set_map(struct vmf_check_row *row, const char *map, const char *rule)
{
	static const char *const maps[] = {
	    "map", "map-net", "map-path", "map-firmware"};
	struct vmf_error harmless;
	size_t i;

	vmf_fail(&harmless, VMF_REFUSED, "%s", rule);
	if (strlen(rule) >= sizeof(row->rule) ||
	    strcmp(rule, harmless.msg) != 0)
		return;
	for (i = 0; i < sizeof(maps) / sizeof(maps[0]); i++)
		if (strcmp(map, maps[i]) == 0) {
			snprintf(row->map, sizeof(row->map), "%s", map);
			snprintf(row->rule, sizeof(row->rule), "%s", rule);
		}
}

void
vmf_check_map(struct vmf_check *check, const char *map, const char *fmt, ...)
{
	char rule[sizeof(check->rows->rule) + 1];
	va_list ap;

	if (check->n == 0)
		return;
	va_start(ap, fmt);
	vsnprintf(rule, sizeof(rule), fmt, ap);
	va_end(ap);
	set_map(&check->rows[check->n - 1], map, rule);
}

const struct vmf_check_row *
vmf_check_row(const struct vmf_check *check, size_t n)
{
	return n < check->n ? &check->rows[n] : NULL;
}

size_t
vmf_check_count(const struct vmf_check *check, enum vmf_verdict verdict)
{
	size_t i, n = 0;

	for (i = 0; i < check->n; i++)
		n += check->rows[i].verdict == verdict;
	return n;
}

int
vmf_check_result(const struct vmf_check *check, struct vmf_error *err)
{
	const struct vmf_check_row *row;
	size_t i;

	if (check->failed)
		return vmf_fail(err, VMF_IO, "check: no memory");
	for (i = 0; i < check->n; i++) {
		row = &check->rows[i];
		if (row->verdict == VMF_CHECK_FAIL)
			return vmf_fail(err, row->class, "%s%s%s", row->reason,
			    row->mend[0] != '\0' ? "; " : "", row->mend);
	}
	return 0;
}

void
vmf_check_clock(
    struct vmf_check *check, double here, double there, double uncertainty)
{
	double skew = there - here;

	if (skew > -CLOCK_SKEW - uncertainty && skew < CLOCK_SKEW + uncertainty)
		vmf_check_ok(check, "clock", "within %.0f seconds",
		    CLOCK_SKEW + uncertainty);
	else
		vmf_check_warn(check, "clock",
		    "the destination's clock is %.0f seconds %s; set both by "
		    "NTP",
		    skew < 0 ? -skew : skew, skew < 0 ? "behind" : "ahead");
}

/* ---- as JSON ------------------------------------------------------------ */

static json_t *
text_json(const char *text)
{
	json_t *value = json_string(text);

	/* A name that is not UTF-8: told of, though not by its bytes. */
	return value != NULL ? value : json_string("(not UTF-8)");
}

static json_t *
row_json(const struct vmf_check_row *row)
{
	return json_pack("{s:s, s:o, s:s, s:i, s:o, s:o, s:s, s:o}", "where",
	    row->where, "what", text_json(row->what), "verdict",
	    verdicts[row->verdict], "class", (int)row->class, "reason",
	    text_json(row->reason), "mend", text_json(row->mend), "map",
	    row->map, "rule", text_json(row->rule));
}

char *
vmf_check_format(const struct vmf_check *check, struct vmf_error *err)
{
	json_t *rows = json_array();
	char *text;
	size_t i;
	int rc = rows == NULL ? -1 : 0;

	for (i = 0; rc == 0 && i < check->n; i++)
		rc = json_array_append_new(rows, row_json(&check->rows[i]));
	text =
	    rc == 0 && !check->failed ? json_dumps(rows, JSON_COMPACT) : NULL;
	json_decref(rows);
	if (text == NULL)
		vmf_fail(err, VMF_IO, "check: no memory");
	return text;
}

static const char *
member(const json_t *row, const char *key)
{
	const char *text = json_string_value(json_object_get(row, key));

	return text == NULL ? "" : text;
}

static void
parse_row(struct vmf_check *check, const json_t *from)
{
	const char *verdict = member(from, "verdict");
	json_int_t class = json_integer_value(json_object_get(from, "class"));
	struct vmf_error clean;
	struct vmf_check_row *row;

	/* What is no known verdict is no reason to go on. */
	row = add_row(check, "", VMF_CHECK_FAIL);
	if (row == NULL)
		return;
	if (strcmp(verdict, "ok") == 0)
		row->verdict = VMF_CHECK_OK;
	else if (strcmp(verdict, "warn") == 0)
		row->verdict = VMF_CHECK_WARN;
	if (row->verdict != VMF_CHECK_FAIL)
		row->class = VMF_OK;
	else if (class >= VMF_INTERNAL && class <= VMF_BUSY)
		row->class = (enum vmf_class) class;
	vmf_fail(&clean, VMF_OK, "%s", member(from, "what"));
	snprintf(row->what, sizeof(row->what), "%.79s", clean.msg);
	vmf_fail(&clean, VMF_OK, "%s", member(from, "reason"));
	snprintf(row->reason, sizeof(row->reason), "%s", clean.msg);
	vmf_fail(&clean, VMF_OK, "%s", member(from, "mend"));
	snprintf(row->mend, sizeof(row->mend), "%.511s", clean.msg);
	set_map(row, member(from, "map"), member(from, "rule"));
}

int
vmf_check_parse(
    struct vmf_check *check, const char *text, struct vmf_error *err)
{
	json_t *rows = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	size_t i;

	if (!json_is_array(rows)) {
		json_decref(rows);
		return vmf_fail(
		    err, VMF_INTEGRITY, "the other end's rows are malformed");
	}
	for (i = 0; i < json_array_size(rows); i++)
		parse_row(check, json_array_get(rows, i));
	json_decref(rows);
	return 0;
}
