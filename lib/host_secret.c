/* host_secret.c - libvirt's secrets, with their values; see vmferry/host.h */
#include <stdlib.h>
#include <string.h>

#include <vmferry/units.h>

#include "host_conn.h"

virSecretPtr
vmf_host_secret_find(struct vmf_host *host, const char *name)
{
	static const int usages[] = {VIR_SECRET_USAGE_TYPE_VOLUME,
	    VIR_SECRET_USAGE_TYPE_CEPH, VIR_SECRET_USAGE_TYPE_ISCSI,
	    VIR_SECRET_USAGE_TYPE_TLS, VIR_SECRET_USAGE_TYPE_VTPM};
	uint8_t id[VMF_ID_LEN];
	virSecretPtr secret = NULL;
	size_t i;

	if (vmf_parse_id(name, id, NULL) == 0)
		secret = virSecretLookupByUUID(host->conn, id);
	for (i = 0; secret == NULL && i < sizeof(usages) / sizeof(usages[0]);
	     i++)
		secret = virSecretLookupByUsage(host->conn, usages[i], name);
	return secret;
}

int
vmf_host_secret_get(struct vmf_host *host, const char *name,
    struct vmf_host_secret *secret, struct vmf_error *err)
{
	virSecretPtr found = vmf_host_secret_find(host, name);
	int rc = 0;

	memset(secret, 0, sizeof(*secret));
	if (found == NULL)
		return vmf_fail(
		    err, VMF_REFUSED, "secret %s is not here", name);
	secret->xml = virSecretGetXMLDesc(found, 0);
	if (secret->xml == NULL)
		rc = vmf_host_conn_fail(err, "secret %s", name);
	else
		secret->value = virSecretGetValue(found, &secret->len, 0);
	if (rc == 0 && secret->value == NULL) {
		rc = vmf_host_conn_fail(err, "secret %s", name);
		/* A private one, or one without a value. */
		if (err != NULL && err->class == VMF_HYPERVISOR)
			err->class = VMF_REFUSED;
	}
	virSecretFree(found);
	if (rc == -1)
		vmf_host_secret_clear(secret);
	return rc;
}

/* The UUID in a secret's XML, as libvirt writes it. */
static bool
read_uuid(const char *xml, char uuid[VMF_DOMAIN_UUID_TEXT])
{
	const char *at = strstr(xml, "<uuid>");

	if (at == NULL || strlen(at) < 6 + VMF_DOMAIN_UUID_TEXT)
		return false;
	memcpy(uuid, at + 6, VMF_DOMAIN_UUID_TEXT - 1);
	uuid[VMF_DOMAIN_UUID_TEXT - 1] = '\0';
	return true;
}

int
vmf_host_secret_put(struct vmf_host *host, const struct vmf_host_secret *secret,
    struct vmf_error *err)
{
	char uuid[VMF_DOMAIN_UUID_TEXT];
	virSecretPtr made;
	int rc;

	if (!read_uuid(secret->xml, uuid))
		return vmf_fail(err, VMF_INTEGRITY, "a secret without a UUID");
	if ((made = virSecretLookupByUUIDString(host->conn, uuid)) != NULL) {
		virSecretFree(made);
		return 0;
	}
	made = virSecretDefineXML(host->conn, secret->xml, 0);
	if (made == NULL)
		return vmf_host_conn_fail(err, "secret %s", uuid);
	rc = virSecretSetValue(made, secret->value, secret->len, 0);
	if (rc == -1) {
		vmf_host_conn_fail(err, "secret %s", uuid);
		virSecretUndefine(made);
	}
	virSecretFree(made);
	return rc;
}

void
vmf_host_secret_clear(struct vmf_host_secret *secret)
{
	if (secret->value != NULL)
		explicit_bzero(secret->value, secret->len);
	free(secret->value);
	free(secret->xml);
	memset(secret, 0, sizeof(*secret));
}
