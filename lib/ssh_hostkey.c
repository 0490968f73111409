/* ssh_hostkey.c - who is there: the host's key against known_hosts */
#include <stdio.h>
#include <string.h>

#include <vmferry/knownhosts.h>

#include "ssh_internal.h"

static const char *
known_name(const struct vmf_ssh_options *options)
{
	return options->alias != NULL ? options->alias : options->host;
}

/* Append the item to the comma-separated list unless it is there already. */
static void
add_method(char *list, size_t size, const char *item)
{
	size_t n = strlen(item);
	const char *p = list;

	while ((p = strstr(p, item)) != NULL) {
		if ((p == list || p[-1] == ',') &&
		    (p[n] == '\0' || p[n] == ','))
			return;
		p += n;
	}
	p = list;
	snprintf(list + strlen(p), size - strlen(p), "%s%s",
	    list[0] != '\0' ? "," : "", item);
}

/*
 * Ask for the kinds of key we can check: a server with several shows only the
 * one that was agreed on, and libssh2 would ask for ECDSA first.
 */
int
vmf_ssh_prefer_hostkeys(struct vmf_ssh *ssh,
    const struct vmf_ssh_options *options, struct vmf_error *err)
{
	static const char *const all[] = {"ssh-ed25519", "ecdsa-sha2-nistp256",
	    "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-512",
	    "rsa-sha2-256"};
	char known[1024], list[1024] = "", *word, *save = NULL;
	struct vmf_knownhosts *kh;
	size_t i;

	kh = vmf_knownhosts_load(options->known_hosts, err);
	if (kh == NULL)
		return -1;
	vmf_knownhosts_types(
	    kh, known_name(options), options->port, known, sizeof(known));
	vmf_knownhosts_free(kh);
	for (word = strtok_r(known, ",", &save); word != NULL;
	     word = strtok_r(NULL, ",", &save)) {
		/* "ssh-rsa" is the key; its SHA-1 signatures are not taken. */
		for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
			if (strcmp(word, all[i]) == 0 ||
			    (strcmp(word, "ssh-rsa") == 0 &&
				strncmp(all[i], "rsa-", 4) == 0))
				add_method(list, sizeof(list), all[i]);
	}
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		add_method(list, sizeof(list), all[i]);
	return vmf_ssh_prefer(ssh, LIBSSH2_METHOD_HOSTKEY, list, err);
}

/* " -p PORT HOST" of the commands that are recommended. */
static void
host_words(const struct vmf_ssh_options *options, char *text, size_t len)
{
	if (options->port != 0 && options->port != 22)
		snprintf(text, len, "-p %u %s", options->port, options->host);
	else
		snprintf(text, len, "%s", options->host);
}

static int
refuse_unknown(const struct vmf_ssh_options *options, const char *type,
    const char *print, struct vmf_error *err)
{
	const char *file = options->known_hosts[0];
	char words[512];

	host_words(options, words, sizeof(words));
	return vmf_fail(err, VMF_AUTH,
	    "%s: unknown host key (%s %s); compare it with the host's own "
	    "(ssh-keygen -lf), then `ssh %s` once, or "
	    "`ssh-keyscan -t %s %s >> %s`, or --accept-new",
	    options->host, type, print, words,
	    strncmp(type, "ssh-", 4) == 0 ? type + 4 : "ecdsa", words,
	    file != NULL ? file : "known_hosts");
}

static int
accept_key(const struct vmf_ssh_options *options, const void *key, size_t len,
    struct vmf_error *err)
{
	if (options->known_hosts[0] == NULL)
		return vmf_fail(err, VMF_AUTH,
		    "%s: no known_hosts file to note the new key in",
		    options->host);
	return vmf_knownhosts_append(options->known_hosts[0],
	    known_name(options), options->port, key, len,
	    options->hash_known_hosts, err);
}

int
vmf_ssh_check_host(struct vmf_ssh *ssh, const struct vmf_ssh_options *options,
    struct vmf_error *err)
{
	char print[VMF_FINGERPRINT_TEXT], type[64], where[512], words[512];
	enum vmf_knownhosts_verdict verdict;
	struct vmf_knownhosts *kh;
	const char *key;
	size_t len;
	int kind;

	key = libssh2_session_hostkey(ssh->lib, &len, &kind);
	if (key == NULL)
		return vmf_fail(
		    err, VMF_AUTH, "%s: shows no host key", ssh->name);
	kh = vmf_knownhosts_load(options->known_hosts, err);
	if (kh == NULL)
		return -1;
	verdict = vmf_knownhosts_check(kh, known_name(options), options->port,
	    key, len, where, sizeof(where));
	vmf_knownhosts_free(kh);
	vmf_knownhosts_fingerprint(key, len, print);
	vmf_knownhosts_key_type(key, len, type, sizeof(type));
	host_words(options, words, sizeof(words));
	switch (verdict) {
	case VMF_KNOWNHOSTS_MATCH:
		return 0;
	case VMF_KNOWNHOSTS_UNKNOWN:
		if (options->accept_new)
			return accept_key(options, key, len, err);
		return refuse_unknown(options, type, print, err);
	case VMF_KNOWNHOSTS_OTHER_TYPE:
		return vmf_fail(err, VMF_AUTH,
		    "%s: shows a host key of another type than %s knows (%s "
		    "%s); compare it with the host's own, then "
		    "`ssh-keyscan %s` tells the line to add",
		    options->host, where, type, print, words);
	case VMF_KNOWNHOSTS_REVOKED:
		return vmf_fail(err, VMF_AUTH,
		    "%s: its host key is revoked at %s (%s %s)", options->host,
		    where, type, print);
	case VMF_KNOWNHOSTS_CHANGED:
		break;
	}
	return vmf_fail(err, VMF_AUTH,
	    "%s: HOST KEY CHANGED: %s knows another one (now %s %s); someone "
	    "may be listening, or the host was installed anew: ask its "
	    "administrator, then remove that line",
	    options->host, where, type, print);
}
