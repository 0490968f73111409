/* shell.c - see vmferry/shell.h */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <vmferry/shell.h>

/* ' becomes '\'' ; everything else stands for itself in single quotes. */
static size_t
quoted_len(const char *word)
{
	size_t n = 2;

	for (; *word != '\0'; word++)
		n += *word == '\'' ? 4 : 1;
	return n;
}

static char *
quote_into(char *to, const char *word)
{
	*to++ = '\'';
	for (; *word != '\0'; word++) {
		if (*word == '\'') {
			memcpy(to, "'\\''", 4);
			to += 4;
		} else {
			*to++ = *word;
		}
	}
	*to++ = '\'';
	return to;
}

char *
vmf_shell_quote(const char *word, struct vmf_error *err)
{
	const char *const words[] = {word, NULL};

	return vmf_shell_join(words, err);
}

char *
vmf_shell_join(const char *const words[], struct vmf_error *err)
{
	size_t i, len = 1;
	char *text, *to;

	for (i = 0; words[i] != NULL; i++)
		len += quoted_len(words[i]) + 1;
	text = malloc(len);
	if (text == NULL) {
		vmf_fail_errno(err, VMF_IO, "a command line");
		return NULL;
	}
	to = text;
	for (i = 0; words[i] != NULL; i++) {
		if (i > 0)
			*to++ = ' ';
		to = quote_into(to, words[i]);
	}
	*to = '\0';
	return text;
}
