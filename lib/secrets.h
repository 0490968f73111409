/* secrets.h - libvirt's secrets that a guest needs, carried in a move
 * (lib/move*.c and serve.c) */
#ifndef VMFERRY_SECRETS_H
#define VMFERRY_SECRETS_H

#include <jansson.h>

#include <vmferry/host.h>

/* Those the domain's XML names and that can be read here: their names or, with
 * values, all of them, for vmf_secrets_put().  NULL: no memory. */
json_t *vmf_secrets_list(struct vmf_host *host, const char *xml, bool values);
/* Define such a list's where they are not; NULL: none. */
int vmf_secrets_put(
    struct vmf_host *host, const json_t *list, struct vmf_error *err);

#endif
