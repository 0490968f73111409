/* domain_note.c - changes a person should be told of; see vmferry/domain.h */
#include <stdarg.h>
#include <stdio.h>

#include "domain_tree.h"

void
vmf_domain_note_add(struct vmf_domain *dom, const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) == -1)
		text = NULL;
	va_end(ap);
	vmf_domain_tree_keep(&dom->notes, text);
}

const char *
vmf_domain_note(const struct vmf_domain *dom, size_t n)
{
	return n < dom->notes.n ? dom->notes.v[n] : NULL;
}
