/* host_taken.c - paths and MACs other domains have; see vmferry/host.h */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "host_conn.h"

/* What is looked for, in one domain's XML after the other. */
struct search {
	struct vmf_host *host;
	const char *plain; /* a path, or NULL */
	const char *mac;   /* or a MAC */
	struct stat st;	   /* of the path */
	bool exists;
	bool found;
};

/* Two names of one file: links, /dev/dm-0, /dev/disk/by-id. */
static bool
is_same_file(const struct search *search, const char *path)
{
	struct stat st;

	if (!search->exists || stat(path, &st) == -1)
		return false;
	if (S_ISBLK(st.st_mode) && S_ISBLK(search->st.st_mode))
		return st.st_rdev == search->st.st_rdev;
	return st.st_dev == search->st.st_dev && st.st_ino == search->st.st_ino;
}

static bool
is_path(const struct search *search, const char *path)
{
	char *plain;
	bool same;

	if (path == NULL)
		return false;
	plain = vmf_map_path_plain(path);
	same = plain != NULL && strcmp(plain, search->plain) == 0;
	free(plain);
	return same || is_same_file(search, path);
}

static bool
is_image(const struct search *search, const struct vmf_domain_image *image)
{
	char *path = NULL;
	bool same;

	if (image->pool != NULL && image->volume != NULL)
		path = vmf_host_volume_path(
		    search->host, image->pool, image->volume, NULL);
	same = is_path(search, path != NULL ? path : image->path);
	free(path);
	return same;
}

static bool
uses_path(const struct search *search, const struct vmf_domain_model *model)
{
	const struct vmf_domain_disk *disk;
	size_t i, k;

	for (i = 0; i < model->ndisks; i++) {
		disk = &model->disks[i];
		if (is_image(search, &disk->image))
			return true;
		for (k = 0; k < disk->nbase; k++)
			if (is_image(search, &disk->base[k]))
				return true;
	}
	return is_path(search, model->nvram);
}

static bool
uses_mac(const struct search *search, const struct vmf_domain_model *model)
{
	size_t i;

	for (i = 0; i < model->ninterfaces; i++)
		if (model->interfaces[i].mac != NULL &&
		    strcmp(model->interfaces[i].mac, search->mac) == 0)
			return true;
	return false;
}

/* A domain that went away meanwhile uses nothing. */
static int
search_xml(struct search *search, virDomainPtr dom, unsigned flags,
    struct vmf_error *err)
{
	char *xml = virDomainGetXMLDesc(dom, flags);
	const struct vmf_domain_model *model;
	struct vmf_domain *parsed;
	int rc = -1;

	if (xml == NULL)
		return vmf_host_conn_is(VIR_ERR_NO_DOMAIN)
			   ? 0
			   : vmf_host_conn_fail(
				 err, "%s", virDomainGetName(dom));
	parsed = vmf_domain_parse(xml, strlen(xml), virDomainGetName(dom), err);
	model = parsed != NULL ? vmf_domain_model(parsed, err) : NULL;
	if (model != NULL) {
		search->found = search->mac != NULL ? uses_mac(search, model)
						    : uses_path(search, model);
		rc = 0;
	}
	vmf_domain_free(parsed);
	free(xml);
	return rc;
}

/* An active domain may use other than what it will after its next start. */
static int
search_domain(struct search *search, virDomainPtr dom, bool active_only,
    struct vmf_error *err)
{
	int active = virDomainIsActive(dom);

	if (active == 1 && search_xml(search, dom, 0, err) == -1)
		return -1;
	if (search->found || active_only || virDomainIsPersistent(dom) != 1)
		return 0;
	return search_xml(search, dom, VIR_DOMAIN_XML_INACTIVE, err);
}

static int
search_all(struct search *search, const char *except, bool active_only,
    char user[VMF_MAP_NAME_MAX], struct vmf_error *err)
{
	char uuid[VIR_UUID_STRING_BUFLEN];
	virDomainPtr *list = NULL;
	int i, n, rc = 0;

	user[0] = '\0';
	n = virConnectListAllDomains(search->host->conn, &list,
	    active_only ? VIR_CONNECT_LIST_DOMAINS_ACTIVE : 0);
	if (n == -1)
		return vmf_host_conn_fail(err, "%s", search->host->uri);
	for (i = 0; i < n; i++) {
		if (rc == 0 && user[0] == '\0' &&
		    virDomainGetUUIDString(list[i], uuid) == 0 &&
		    (except == NULL || strcasecmp(uuid, except) != 0)) {
			rc = search_domain(search, list[i], active_only, err);
			if (search->found)
				snprintf(user, VMF_MAP_NAME_MAX, "%s",
				    virDomainGetName(list[i]));
		}
		virDomainFree(list[i]);
	}
	free(list);
	return rc;
}

int
vmf_host_path_user(struct vmf_host *host, const char *path, const char *except,
    bool active_only, char user[VMF_MAP_NAME_MAX], struct vmf_error *err)
{
	struct search search = {.host = host};
	char *plain = vmf_map_path_plain(path);
	int rc;

	user[0] = '\0';
	if (plain == NULL)
		return vmf_fail(err, VMF_USAGE,
		    "'%s' is not an absolute path without '..'", path);
	search.plain = plain;
	search.exists = host->local && stat(path, &search.st) == 0;
	rc = search_all(&search, except, active_only, user, err);
	free(plain);
	return rc;
}

int
vmf_host_require_unused(struct vmf_host *host, const char *path,
    const char *except, struct vmf_error *err)
{
	char user[VMF_MAP_NAME_MAX];

	if (vmf_host_path_user(host, path, except, false, user, err) == -1)
		return -1;
	if (user[0] == '\0')
		return 0;
	return vmf_fail(err, VMF_REFUSED,
	    "%s belongs to domain %s; choose another place with --map", path,
	    user);
}

int
vmf_host_mac_user(struct vmf_host *host, const char *mac, const char *except,
    char user[VMF_MAP_NAME_MAX], struct vmf_error *err)
{
	struct search search = {.host = host};
	char plain[VMF_MAP_MAC_TEXT];

	user[0] = '\0';
	if (!vmf_map_mac_plain(mac, plain))
		return vmf_fail(err, VMF_USAGE, "'%s' is no MAC address", mac);
	search.mac = plain;
	return search_all(&search, except, false, user, err);
}
