/* secrets.c - see secrets.h */
#include <stdlib.h>
#include <string.h>

#include <vmferry/units.h>

#include "secrets.h"
#include "wire.h"

/* Values of secrets are keys and passwords. */
#define VALUE_MAX 65536

static json_t *
as_json(const struct vmf_host_secret *secret)
{
	char *hex = malloc(2 * secret->len + 1);
	json_t *json = NULL;

	if (hex != NULL) {
		vmf_hex(secret->value, secret->len, hex);
		json =
		    json_pack("{s:s, s:s}", "xml", secret->xml, "value", hex);
		explicit_bzero(hex, 2 * secret->len);
	}
	free(hex);
	return json;
}

json_t *
vmf_secrets_list(struct vmf_host *host, const char *xml, bool values)
{
	struct vmf_domain *dom =
	    vmf_domain_parse(xml, strlen(xml), "domain.xml", NULL);
	const struct vmf_domain_model *model =
	    dom == NULL ? NULL : vmf_domain_model(dom, NULL);
	json_t *list = json_array();
	struct vmf_host_secret secret;
	size_t i;

	for (i = 0; model != NULL && i < model->nsecrets; i++) {
		/* One that cannot be read is for the destination to have. */
		if (vmf_host_secret_get(
			host, model->secrets[i], &secret, NULL) == -1)
			continue;
		if (secret.len <= VALUE_MAX)
			json_array_append_new(
			    list, values ? as_json(&secret)
					 : json_string(model->secrets[i]));
		vmf_host_secret_clear(&secret);
	}
	vmf_domain_free(dom);
	return list;
}

static int
put_one(struct vmf_host *host, const json_t *from, struct vmf_error *err)
{
	const char *hex = vmf_wire_text(from, "value");
	const char *xml = vmf_wire_text(from, "xml");
	size_t len = strlen(hex) / 2;
	struct vmf_host_secret secret = {.len = len};
	int rc = -1;

	secret.xml = strdup(xml);
	secret.value = malloc(len + 1);
	if (secret.xml == NULL || secret.value == NULL)
		vmf_fail_errno(err, VMF_IO, "secret");
	else if (vmf_unhex(hex, secret.value, len) == -1)
		vmf_fail(err, VMF_INTEGRITY, "a secret's value is malformed");
	else
		rc = vmf_host_secret_put(host, &secret, err);
	vmf_host_secret_clear(&secret);
	return rc;
}

int
vmf_secrets_put(
    struct vmf_host *host, const json_t *list, struct vmf_error *err)
{
	size_t i;

	for (i = 0; i < json_array_size(list); i++)
		if (put_one(host, json_array_get(list, i), err) == -1)
			return -1;
	return 0;
}
