/*
 * host_runs.c - can this host's QEMU run the domain?  See vmferry/host.h
 *
 * All answers are libvirt's: its capabilities list emulators and machine types
 * for each architecture, its domain capabilities the firmware and CPU models.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libxml/parser.h>
#include <libxml/xpath.h>

#include "host_conn.h"

struct doc {
	xmlDoc *xml;
	xmlXPathContext *xpath;
};

static void
doc_close(struct doc *doc)
{
	if (doc->xpath != NULL)
		xmlXPathFreeContext(doc->xpath);
	xmlFreeDoc(doc->xml);
	doc->xpath = NULL;
	doc->xml = NULL;
}

/* Takes text. */
static int
doc_open(struct doc *doc, char *text, struct vmf_error *err)
{
	doc->xpath = NULL;
	doc->xml = xmlReadMemory(text, (int)strlen(text), NULL, NULL,
	    XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	if (doc->xml != NULL)
		doc->xpath = xmlXPathNewContext(doc->xml);
	free(text);
	if (doc->xpath != NULL)
		return 0;
	doc_close(doc);
	return vmf_fail(
	    err, VMF_HYPERVISOR, "libvirt's capabilities are not valid XML");
}

/* Does any node the path finds hold this text?  value NULL: is there any? */
static bool
doc_has(const struct doc *doc, const char *path, const char *value)
{
	xmlXPathObject *all = xmlXPathEval(BAD_CAST path, doc->xpath);
	bool found = false;
	xmlChar *text;
	int i;

	if (all == NULL)
		return false;
	for (i = 0; all->nodesetval && i < all->nodesetval->nodeNr; i++) {
		if (found)
			break;
		text = xmlNodeGetContent(all->nodesetval->nodeTab[i]);
		found = value == NULL ||
			(text != NULL && strcmp((char *)text, value) == 0);
		xmlFree(text);
	}
	xmlXPathFreeObject(all);
	return found;
}

/*
 * The text most like want: of one family (pc-q35-rhel9.2.0 and pc-q35-7.2 are
 * both q35), then the longest beginning in common, then the newest, which is
 * what libvirt lists last among equals or first: take the greatest.
 */
static void
doc_nearest(const struct doc *doc, const char *path, const char *want,
    char best[VMF_MAP_NAME_MAX])
{
	xmlXPathObject *all = xmlXPathEval(BAD_CAST path, doc->xpath);
	size_t common, most = 0;
	xmlChar *text;
	int i;

	best[0] = '\0';
	if (all == NULL)
		return;
	for (i = 0; all->nodesetval && i < all->nodesetval->nodeNr; i++) {
		text = xmlNodeGetContent(all->nodesetval->nodeTab[i]);
		if (text == NULL)
			continue;
		for (common = 0; want[common] != '\0' &&
				 want[common] == (char)text[common];)
			common++;
		if (common > most || (common == most && common > 0 &&
					 strverscmp((char *)text, best) > 0)) {
			most = common;
			snprintf(best, VMF_MAP_NAME_MAX, "%s", (char *)text);
		}
		xmlFree(text);
	}
	xmlXPathFreeObject(all);
}

/* Both come from the XML and go into an XPath in quotes. */
static bool
is_word(const char *s)
{
	return s != NULL && s[0] != '\0' &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			 "0123456789_-.") == strlen(s);
}

static int
check_machine(const struct doc *caps, const struct vmf_domain_model *model,
    struct vmf_error *err)
{
	char path[512], nearest[VMF_MAP_NAME_MAX];

	snprintf(
	    path, sizeof(path), "//guest/arch[@name='%.60s']", model->arch);
	if (!doc_has(caps, path, NULL))
		return vmf_fail(err, VMF_REFUSED,
		    "%s needs an emulator for %s, which this host has not",
		    model->name, model->arch);
	snprintf(path, sizeof(path),
	    "//guest/arch[@name='%.60s']/domain[@type='%.20s']", model->arch,
	    model->type);
	if (!doc_has(caps, path, NULL))
		return vmf_fail(err, VMF_REFUSED,
		    "%s is of type '%s', which this host does not offer for "
		    "%s%s",
		    model->name, model->type, model->arch,
		    strcmp(model->type, "kvm") == 0
			? "; is /dev/kvm there, and virtualisation switched on "
			  "in its firmware?"
			: "");
	if (model->machine == NULL)
		return 0;
	snprintf(path, sizeof(path),
	    "//guest/arch[@name='%.60s']/machine | "
	    "//guest/arch[@name='%.60s']/domain[@type='%.20s']/machine",
	    model->arch, model->arch, model->type);
	if (doc_has(caps, path, model->machine))
		return 0;
	doc_nearest(caps, path, model->machine, nearest);
	return vmf_fail(err, VMF_REFUSED,
	    "%s: machine type %s is unknown here%s%s; --machine changes it",
	    model->name, model->machine,
	    nearest[0] != '\0' ? ", the nearest known is " : "", nearest);
}

static int
check_cpu(struct vmf_host *host, const struct vmf_domain_model *model,
    struct vmf_error *err)
{
	static const char models[] = "/domainCapabilities/cpu/"
				     "mode[@name='custom']/model";
	char *text, path[256], nearest[VMF_MAP_NAME_MAX];
	const char *mode = model->cpu_mode;
	struct doc caps;
	int rc = 0;

	if (mode == NULL)
		mode = model->cpu_model != NULL ? "custom" : NULL;
	if (!is_word(mode))
		return 0;
	text = virConnectGetDomainCapabilities(
	    host->conn, NULL, model->arch, model->machine, model->type, 0);
	if (text == NULL) /* the driver cannot say */
		return vmf_host_conn_is(VIR_ERR_NO_SUPPORT)
			   ? 0
			   : vmf_host_conn_fail(err, "%s", model->name);
	if (doc_open(&caps, text, err) == -1)
		return -1;
	snprintf(path, sizeof(path),
	    "/domainCapabilities/cpu/mode[@name='%.60s'][@supported='yes']",
	    mode);
	if (!doc_has(&caps, path, NULL)) {
		rc = vmf_fail(err, VMF_REFUSED,
		    "%s: CPU mode %s is not to be had here for type '%s'; "
		    "--cpu changes it",
		    model->name, mode, model->type);
	} else if (strcmp(mode, "custom") == 0 && model->cpu_model != NULL &&
		   !doc_has(&caps, models, model->cpu_model)) {
		doc_nearest(&caps, models, model->cpu_model, nearest);
		rc = vmf_fail(err, VMF_REFUSED,
		    "%s: CPU model %s is unknown here%s%s; --cpu changes it",
		    model->name, model->cpu_model,
		    nearest[0] != '\0' ? ", the nearest known is " : "",
		    nearest);
	}
	doc_close(&caps);
	return rc;
}

int
vmf_host_check_runs(struct vmf_host *host, const struct vmf_domain_model *model,
    struct vmf_error *err)
{
	struct doc caps;
	char *text;
	int rc;

	if (!is_word(model->type) || !is_word(model->arch))
		return 0; /* libvirt will choose, or refuse */
	if ((text = virConnectGetCapabilities(host->conn)) == NULL)
		return vmf_host_conn_fail(err, "%s", host->uri);
	if (doc_open(&caps, text, err) == -1)
		return -1;
	rc = check_machine(&caps, model, err);
	doc_close(&caps);
	return rc == -1 ? -1 : check_cpu(host, model, err);
}

bool
vmf_host_firmware_there(void *ctx, const char *path)
{
	struct vmf_host *host = ctx;
	struct doc caps;
	char *text;
	bool there;

	if (host->local)
		return access(path, R_OK) == 0;
	text = virConnectGetDomainCapabilities(
	    host->conn, NULL, NULL, NULL, NULL, 0);
	if (text == NULL || doc_open(&caps, text, NULL) == -1)
		return false;
	there = doc_has(&caps, "/domainCapabilities/os/loader/value", path);
	doc_close(&caps);
	return there;
}

/* --- state beside the disks */

int
vmf_host_check_nvram(struct vmf_host *host,
    const struct vmf_domain_model *model, struct vmf_error *err)
{
	struct stat nvram, template;

	if (!host->local || !vmf_domain_model_has_nvram(model) ||
	    strcmp(model->nvram_type, "file") != 0)
		return 0;
	if (stat(model->nvram, &nvram) == -1)
		return vmf_fail_errno(err, VMF_REFUSED,
		    "%s: its NVRAM is not here, so its boot entries and keys "
		    "would be lost: %s",
		    model->name, model->nvram);
	/* qcow2 grows as it is written to. */
	if ((model->nvram_format != NULL &&
		strcmp(model->nvram_format, "raw") != 0) ||
	    model->nvram_template == NULL ||
	    stat(model->nvram_template, &template) == -1 ||
	    nvram.st_size == template.st_size)
		return 0;
	return vmf_fail(err, VMF_REFUSED,
	    "%s: %s has %lld bytes and its template %lld; it belongs to other "
	    "firmware",
	    model->name, model->nvram, (long long)nvram.st_size,
	    (long long)template.st_size);
}

bool
vmf_host_has_tpm_state(
    struct vmf_host *host, const struct vmf_domain_model *model)
{
	char path[128];

	if (!host->local || model->uuid == NULL)
		return true;
	snprintf(path, sizeof(path), "/var/lib/libvirt/swtpm/%s", model->uuid);
	return access(path, F_OK) == 0;
}
