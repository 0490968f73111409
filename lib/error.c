/* error.c - see vmferry/error.h */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <vmferry/error.h>

/* Names come from XML, tar and the far side: keep the message one line. */
static void
make_one_line(char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
}

int
vmf_fail(struct vmf_error *err, enum vmf_class class, const char *fmt, ...)
{
	va_list ap;

	if (err == NULL)
		return -1;
	err->class = class;
	err->errnum = 0;
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	make_one_line(err->msg);
	return -1;
}

int
vmf_fail_errno(
    struct vmf_error *err, enum vmf_class class, const char *fmt, ...)
{
	int saved = errno;
	char text[128];
	va_list ap;
	size_t len;

	if (err == NULL)
		return -1;
	err->class = class;
	err->errnum = saved;
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	len = strlen(err->msg);
	snprintf(err->msg + len, sizeof(err->msg) - len, ": %s",
	    strerror_r(saved, text, sizeof(text)));
	make_one_line(err->msg);
	return -1;
}

int
vmf_wrap(struct vmf_error *err, const char *fmt, ...)
{
	char old[sizeof(err->msg)], context[sizeof(err->msg)];
	va_list ap;

	if (err == NULL)
		return -1;
	memcpy(old, err->msg, sizeof(old));
	va_start(ap, fmt);
	vsnprintf(context, sizeof(context), fmt, ap);
	va_end(ap);
	/* Truncation keeps the line whole enough to act on. */
	if (snprintf(
		err->msg, sizeof(err->msg), "%.300s: %.700s", context, old) < 0)
		err->msg[0] = '\0';
	make_one_line(err->msg);
	return -1;
}
