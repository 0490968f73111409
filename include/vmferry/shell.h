/*
 * shell.h - words for a shell at the far side
 *
 * sshd hands a command to the user's login shell as one string, so that every
 * argument has to be quoted for it.  Pure; may be called from any thread.
 */
#ifndef VMFERRY_SHELL_H
#define VMFERRY_SHELL_H

#include <vmferry/error.h>

/*
 * One word that a POSIX shell reads back byte for byte, in single quotes; the
 * caller frees it.  NULL (VMF_IO) without memory.  A leading '-' is kept: say
 * "--" before it or "./" in front of it.  csh reads '!' and a newline inside
 * quotes otherwise: such a login shell is not supported.
 */
char *vmf_shell_quote(const char *word, struct vmf_error *err);

/* All words of a NULL-terminated list, quoted and joined by blanks. */
char *vmf_shell_join(const char *const words[], struct vmf_error *err);

#endif
