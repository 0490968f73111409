/* test_host.c - libvirt, by its test driver: nothing of this machine's */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vmferry/host.h>

#include "test.h"

#define URI	  "test:///default"
#define TEST_UUID "6695eb01-f6a4-8304-79aa-97f2502e193f"
#define UUID_A	  "11111111-2222-4333-8444-00000000aaaa"
#define UUID_B	  "11111111-2222-4333-8444-00000000bbbb"
#define MAC	  "52:54:00:01:02:03"

static struct vmf_error err;

static struct vmf_host *
open_host(void)
{
	struct vmf_host *host = vmf_host_open(URI, &err);

	if (host == NULL)
		fprintf(stderr, "%s\n", err.msg);
	CU_ASSERT_PTR_NOT_NULL_FATAL(host);
	return host;
}

/* A domain with one disk and one interface; the caller frees it. */
static char *
domain(const char *name, const char *uuid, const char *path)
{
	char *xml;

	if (asprintf(&xml,
		"<domain type='test'><name>%s</name><uuid>%s</uuid>"
		"<memory>8192</memory><os><type>hvm</type></os><devices>"
		"<disk type='file' device='disk'><source file='%s'/>"
		"<target dev='vda' bus='virtio'/></disk>"
		"<interface type='network'><mac address='" MAC "'/>"
		"<source network='default'/></interface>"
		"</devices></domain>",
		name, uuid, path) == -1)
		xml = NULL;
	CU_ASSERT_PTR_NOT_NULL_FATAL(xml);
	return xml;
}

static int
define(struct vmf_host *host, const char *name, const char *uuid,
    const char *path, bool replace, char **old)
{
	char *xml = domain(name, uuid, path);
	int rc = vmf_host_define(host, xml, replace, old, &err);

	free(xml);
	return rc;
}

static void
hosts_say_what_they_are(void)
{
	struct vmf_host *host = open_host();
	struct vmf_host_facts facts;

	CU_ASSERT_EQUAL(vmf_host_facts(host, &facts, &err), 0);
	CU_ASSERT_STRING_EQUAL(facts.driver, "TEST");
	CU_ASSERT(facts.libvirt >= 9000000);
	CU_ASSERT(facts.cpus > 0 && facts.memory > 0);
	CU_ASSERT_STRING_EQUAL(vmf_host_uri(host), URI);
	CU_ASSERT_FALSE(vmf_host_is_local(host));
	vmf_host_free(host);
	vmf_host_free(NULL);
}

static void
absent_hosts_are_named(void)
{
	CU_ASSERT_PTR_NULL(vmf_host_open("nosuch:///system", &err));
	CU_ASSERT_EQUAL(err.class, VMF_HYPERVISOR);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "nosuch:///system"));
	/* a closed port of this machine */
	CU_ASSERT_PTR_NULL(
	    vmf_host_open("qemu+tcp://127.0.0.1:1/system", &err));
	CU_ASSERT_EQUAL(err.class, VMF_REMOTE);
}

static void
states_are_told(void)
{
	struct vmf_host *host = open_host();
	struct vmf_host_state state;
	bool found;

	CU_ASSERT_EQUAL(vmf_host_state(host, "test", &state, &err), 0);
	CU_ASSERT_STRING_EQUAL(state.name, "test");
	CU_ASSERT_STRING_EQUAL(state.uuid, TEST_UUID);
	CU_ASSERT_EQUAL(state.run, VMF_RUN_RUNNING);
	CU_ASSERT_TRUE(state.persistent);
	CU_ASSERT_FALSE(state.managed_save);
	CU_ASSERT_EQUAL(vmf_host_state(host, TEST_UUID, &state, &err), 0);
	CU_ASSERT_STRING_EQUAL(state.name, "test");
	ASSERT_FAILS(vmf_host_state(host, "nosuch", &state, &err), VMF_REFUSED);
	ASSERT_FAILS(vmf_host_state(host, UUID_A, &state, &err), VMF_REFUSED);
	CU_ASSERT_EQUAL(vmf_host_find(host, "nosuch", &state, &found, &err), 0);
	CU_ASSERT_FALSE(found);
	ASSERT_FAILS(vmf_host_require_off(host, "test", &err), VMF_REFUSED);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "running"));
	CU_ASSERT_EQUAL(vmf_host_destroy(host, "test", &err), 0);
	CU_ASSERT_EQUAL(vmf_host_require_off(host, "test", &err), 0);
	ASSERT_FAILS(vmf_host_destroy(host, "test", &err), VMF_HYPERVISOR);
	CU_ASSERT_EQUAL(vmf_host_start(host, "test", &err), 0);
	ASSERT_FAILS(vmf_host_start(host, "test", &err), VMF_HYPERVISOR);
	CU_ASSERT_EQUAL(vmf_host_set_autostart(host, "test", true, &err), 0);
	CU_ASSERT_EQUAL(vmf_host_state(host, "test", &state, &err), 0);
	CU_ASSERT_TRUE(state.autostart);
	CU_ASSERT_EQUAL(vmf_host_set_autostart(host, "test", false, &err), 0);
	CU_ASSERT_EQUAL(vmf_host_destroy(host, "test", &err), 0);
	CU_ASSERT_EQUAL(vmf_host_undefine(host, "test", &err), 0);
	ASSERT_FAILS(vmf_host_undefine(host, "test", &err), VMF_REFUSED);
	vmf_host_free(host);
}

static void
collisions_are_refused(void)
{
	struct vmf_host *host = open_host();
	char *old = NULL, *xml;

	CU_ASSERT_EQUAL(define(host, "a", UUID_A, "/srv/a", false, &old), 0);
	CU_ASSERT_PTR_NULL(old);
	/* same name, other UUID, and the reverse: with --replace too */
	ASSERT_FAILS(
	    define(host, "a", UUID_B, "/srv/a", false, &old), VMF_REFUSED);
	ASSERT_FAILS(
	    define(host, "a", UUID_B, "/srv/a", true, &old), VMF_REFUSED);
	ASSERT_FAILS(
	    define(host, "b", UUID_A, "/srv/a", true, &old), VMF_REFUSED);
	/* one's name and another's UUID */
	CU_ASSERT_EQUAL(define(host, "b", UUID_B, "/srv/b", false, &old), 0);
	ASSERT_FAILS(
	    define(host, "a", UUID_B, "/srv/a", true, &old), VMF_REFUSED);
	/* the same of both */
	ASSERT_FAILS(
	    define(host, "a", UUID_A, "/srv/a2", false, &old), VMF_REFUSED);
	xml = vmf_host_xml(host, "a", false, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(strstr(xml, "'/srv/a'"));
	free(xml);
	CU_ASSERT_EQUAL(define(host, "a", UUID_A, "/srv/a2", true, &old), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(old);
	CU_ASSERT_PTR_NOT_NULL(strstr(old, "'/srv/a'"));
	free(old);
	xml = vmf_host_xml(host, "a", true, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(strstr(xml, "'/srv/a2'"));
	free(xml);
	/* not while it runs */
	CU_ASSERT_EQUAL(vmf_host_start(host, "a", &err), 0);
	ASSERT_FAILS(
	    define(host, "a", UUID_A, "/srv/a", true, &old), VMF_REFUSED);
	/* what libvirt refuses is said in its words */
	ASSERT_FAILS(
	    vmf_host_define(host, "<domain type='test'><name>x</name></domain>",
		false, NULL, &err),
	    VMF_HYPERVISOR);
	ASSERT_FAILS(vmf_host_define(host, "nonsense", false, NULL, &err),
	    VMF_INTEGRITY);
	vmf_host_free(host);
}

static void
paths_and_macs_have_owners(void)
{
	struct vmf_host *host = open_host();
	char user[VMF_MAP_NAME_MAX];

	CU_ASSERT_EQUAL(define(host, "a", UUID_A, "/srv/a", false, NULL), 0);
	CU_ASSERT_EQUAL(
	    vmf_host_path_user(host, "/srv//a", NULL, false, user, &err), 0);
	CU_ASSERT_STRING_EQUAL(user, "a");
	CU_ASSERT_EQUAL(
	    vmf_host_path_user(host, "/srv/a", UUID_A, false, user, &err), 0);
	CU_ASSERT_STRING_EQUAL(user, "");
	CU_ASSERT_EQUAL(
	    vmf_host_path_user(host, "/srv/a", NULL, true, user, &err), 0);
	CU_ASSERT_STRING_EQUAL(user, "");
	CU_ASSERT_EQUAL(
	    vmf_host_path_user(host, "/srv/ab", NULL, false, user, &err), 0);
	CU_ASSERT_STRING_EQUAL(user, "");
	ASSERT_FAILS(
	    vmf_host_require_unused(host, "/srv/a", NULL, &err), VMF_REFUSED);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "domain a"));
	CU_ASSERT_EQUAL(
	    vmf_host_mac_user(host, "52:54:00:01:02:03", NULL, user, &err), 0);
	CU_ASSERT_STRING_EQUAL(user, "a");
	CU_ASSERT_EQUAL(vmf_host_mac_user(host, MAC, UUID_A, user, &err), 0);
	CU_ASSERT_STRING_EQUAL(user, "");
	ASSERT_FAILS(
	    vmf_host_mac_user(host, "nonsense", NULL, user, &err), VMF_USAGE);
	ASSERT_FAILS(
	    vmf_host_path_user(host, "a", NULL, false, user, &err), VMF_USAGE);
	vmf_host_free(host);
}

static void
hosts_are_asked_what_is_there(void)
{
	struct vmf_host *host = open_host();
	bool found, active;
	char *path;

	CU_ASSERT_TRUE(vmf_host_there(host, VMF_ASK_NETWORK, "default"));
	CU_ASSERT_FALSE(vmf_host_there(host, VMF_ASK_NETWORK, "nosuch"));
	CU_ASSERT_TRUE(vmf_host_there(host, VMF_ASK_POOL, "default-pool"));
	CU_ASSERT_FALSE(vmf_host_there(host, VMF_ASK_POOL, "nosuch"));
	CU_ASSERT_FALSE(vmf_host_there(host, VMF_ASK_SECRET, UUID_A));
	CU_ASSERT_FALSE(vmf_host_there(host, VMF_ASK_NWFILTER, "nosuch"));
	CU_ASSERT_TRUE(vmf_host_there(host, VMF_ASK_CPUS, "0-1,^1"));
	CU_ASSERT_FALSE(vmf_host_there(host, VMF_ASK_CPUS, "0-100000"));
	CU_ASSERT_TRUE(vmf_host_there(host, VMF_ASK_NODES, "0"));
	CU_ASSERT_FALSE(vmf_host_there(host, VMF_ASK_NODES, "0-9999"));
	/* imaginary files are not looked for */
	CU_ASSERT_TRUE(vmf_host_there(host, VMF_ASK_PATH, "/no/such"));
	CU_ASSERT_EQUAL(
	    vmf_host_network(host, "default", &found, &active, &err), 0);
	CU_ASSERT_TRUE(found && active);
	path = vmf_host_volume_path(host, "default-pool", "nosuch", &err);
	CU_ASSERT_PTR_NULL(path);
	CU_ASSERT_EQUAL(err.class, VMF_HYPERVISOR);
	vmf_host_free(host);
}

/* --- with QEMU: 52-host.sh runs these in the lab, in a host of its own */

static void
touch(const char *path)
{
	FILE *f = fopen(path, "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT(fputs("state", f) >= 0);
	CU_ASSERT_EQUAL(fclose(f), 0);
}

static void
undefine_keeps_nvram_and_tpm(void)
{
	static const char xml[] =
	    "<domain type='qemu'><name>keep</name><uuid>" UUID_A "</uuid>"
	    "<memory>8192</memory><os><type arch='x86_64' machine='q35'>hvm"
	    "</type><loader readonly='yes' type='pflash'>/usr/share/OVMF/"
	    "OVMF_CODE_4M.fd</loader><nvram template='/usr/share/OVMF/"
	    "OVMF_VARS_4M.fd'>/srv/keep_VARS.fd</nvram></os>"
	    "<features><acpi/></features><devices>"
	    "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/>"
	    "</tpm></devices></domain>";
	static const char dir[] = "/var/lib/libvirt/swtpm/" UUID_A;
	static const char state[] =
	    "/var/lib/libvirt/swtpm/" UUID_A "/tpm2-00.permall";
	const char *uri = getenv("VMF_TEST_URI");
	const struct vmf_domain_model *model;
	struct vmf_domain *dom;
	struct vmf_host *host;

	if (uri == NULL)
		return;
	host = vmf_host_open(uri, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(host);
	CU_ASSERT_EQUAL_FATAL(vmf_host_define(host, xml, false, NULL, &err), 0);
	dom = vmf_domain_parse(xml, strlen(xml), "keep", &err);
	model = vmf_domain_model(dom, &err);
	CU_ASSERT_FALSE(vmf_host_has_tpm_state(host, model));
	ASSERT_FAILS(vmf_host_check_nvram(host, model, &err), VMF_REFUSED);
	mkdir("/var/lib/libvirt/swtpm", 0711);
	CU_ASSERT_EQUAL_FATAL(mkdir(dir, 0711), 0);
	touch(state);
	touch("/srv/keep_VARS.fd");
	CU_ASSERT_TRUE(vmf_host_has_tpm_state(host, model));
	/* five bytes are no NVRAM */
	ASSERT_FAILS(vmf_host_check_nvram(host, model, &err), VMF_REFUSED);
	CU_ASSERT_EQUAL(vmf_host_undefine(host, "keep", &err), 0);
	CU_ASSERT_EQUAL(access(state, F_OK), 0);
	CU_ASSERT_EQUAL(access("/srv/keep_VARS.fd", F_OK), 0);
	printf("undefine kept NVRAM and TPM state\n");
	vmf_domain_free(dom);
	vmf_host_free(host);
}

void
suite_host(void)
{
	static const struct test_case cases[] = {
	    {"hosts say what they are", hosts_say_what_they_are},
	    {"absent hosts are named", absent_hosts_are_named},
	    {"states are told", states_are_told},
	    {"collisions are refused", collisions_are_refused},
	    {"paths and MACs have owners", paths_and_macs_have_owners},
	    {"hosts are asked what is there", hosts_are_asked_what_is_there},
	    {"undefine keeps NVRAM and TPM", undefine_keeps_nvram_and_tpm},
	};

	TEST_SUITE("host", cases);
}
