/* test_links.c - networks and pools that a package brings, by libvirt's test
 * driver: nothing of this machine's */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vmferry/links.h>

#include "test.h"

#define URI "test:///default"
#define LAN                                                                    \
	"<network><name>lan</name>"                                            \
	"<uuid>11111111-2222-4333-8444-0000000000aa</uuid>"                    \
	"<forward mode='nat'/><bridge name='virbr7' stp='on' delay='0'/>"      \
	"<ip address='10.9.0.1' netmask='255.255.255.0'/></network>"
#define POOL                                                                   \
	"<pool type='dir'><name>vms</name><target><path>/srv/vms</path>"       \
	"</target></pool>"

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

static struct vmf_links *
none(void)
{
	struct vmf_links *links = vmf_links_new(&err);

	CU_ASSERT_PTR_NOT_NULL_FATAL(links);
	return links;
}

static int
add(struct vmf_links *links, enum vmf_links_kind kind, const char *xml)
{
	return vmf_links_add(links, kind, xml, strlen(xml), NULL, 0, &err);
}

static void
what_is_not_there_is_defined(void)
{
	struct vmf_host *host = open_host();
	struct vmf_links *links = none();
	enum vmf_links_kind kind;
	bool found, active;

	CU_ASSERT_EQUAL(add(links, VMF_LINKS_NETWORK, LAN), 0);
	CU_ASSERT_EQUAL(add(links, VMF_LINKS_POOL, POOL), 0);
	CU_ASSERT_EQUAL(vmf_links_count(links, VMF_LINKS_NETWORK), 1);
	CU_ASSERT_EQUAL(vmf_links_count(links, VMF_LINKS_NWFILTER), 0);
	CU_ASSERT_TRUE(vmf_links_has(links, VMF_ASK_NETWORK, "lan"));
	CU_ASSERT_FALSE(vmf_links_has(links, VMF_ASK_POOL, "lan"));
	CU_ASSERT_EQUAL(vmf_links_check(links, host, &err), 0);
	CU_ASSERT_EQUAL(vmf_links_define(links, host, &err), 0);
	CU_ASSERT_STRING_EQUAL(vmf_links_made(links, 0, &kind), "lan");
	CU_ASSERT_STRING_EQUAL(vmf_links_made(links, 1, &kind), "vms");
	CU_ASSERT_EQUAL(kind, VMF_LINKS_POOL);
	CU_ASSERT_PTR_NULL(vmf_links_made(links, 2, &kind));
	CU_ASSERT_EQUAL(
	    vmf_host_network(host, "lan", &found, &active, &err), 0);
	CU_ASSERT_TRUE(found && !active);
	vmf_links_undo(links, host);
	CU_ASSERT_EQUAL(
	    vmf_host_network(host, "lan", &found, &active, &err), 0);
	CU_ASSERT_FALSE(found);
	CU_ASSERT_EQUAL(vmf_host_pool(host, "vms", &found, &active, &err), 0);
	CU_ASSERT_FALSE(found);
	vmf_links_free(links);
	vmf_host_free(host);
}

/* Of one name: the same is left alone, another is refused. */
static void
nothing_is_defined_over_another(void)
{
	static const char *const others[] = {
	    "<network><name>lan</name><forward mode='route'/>"
	    "<bridge name='virbr7' stp='on' delay='0'/>"
	    "<ip address='10.9.0.1' netmask='255.255.255.0'/></network>",
	    "<network><name>lan</name><forward mode='nat'/>"
	    "<bridge name='virbr7' stp='on' delay='0'/></network>",
	    "<network><name>lan</name><forward mode='nat'/>"
	    "<bridge name='virbr7' stp='on' delay='0'/>"
	    "<ip address='10.9.0.1' netmask='255.255.255.0'/>"
	    "<portgroup name='a'/></network>"};
	struct vmf_host *host = open_host();
	struct vmf_links *links = none();
	enum vmf_links_kind kind;
	size_t i;

	CU_ASSERT_EQUAL(add(links, VMF_LINKS_NETWORK, LAN), 0);
	CU_ASSERT_EQUAL(vmf_links_check(links, host, &err), 0);
	CU_ASSERT_EQUAL(vmf_links_define(links, host, &err), 0);
	vmf_links_free(links);

	links = none();
	/* another UUID, order and layout are no other content */
	CU_ASSERT_EQUAL(
	    add(links, VMF_LINKS_NETWORK,
		"<network>\n <name>lan</name>\n<!-- x --><forward mode='nat'/>"
		"<bridge delay='0' name='virbr7' stp='on'/>"
		"<mac address='52:54:00:00:00:01'/>"
		"<ip netmask='255.255.255.0' address='10.9.0.1'/></network>"),
	    0);
	CU_ASSERT_EQUAL(vmf_links_check(links, host, &err), 0);
	CU_ASSERT_EQUAL(vmf_links_define(links, host, &err), 0);
	CU_ASSERT_PTR_NULL(vmf_links_made(links, 0, &kind));
	vmf_links_free(links);

	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		links = none();
		CU_ASSERT_EQUAL(add(links, VMF_LINKS_NETWORK, others[i]), 0);
		ASSERT_FAILS(vmf_links_check(links, host, &err), VMF_REFUSED);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "--with-networks"));
		vmf_links_free(links);
	}
	links = none();
	CU_ASSERT_EQUAL(
	    add(links, VMF_LINKS_NETWORK,
		"<network><name>wan</name>"
		"<uuid>11111111-2222-4333-8444-0000000000aa</uuid></network>"),
	    0);
	ASSERT_FAILS(vmf_links_check(links, host, &err), VMF_REFUSED);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "lan"));
	vmf_links_free(links);
	vmf_host_free(host);
}

static void
hostile_xml_is_refused(void)
{
	static const char *const bad[] = {"", "x", "<network/>",
	    "<network><name/></network>", "<pool><name>a</name></pool>",
	    "<!DOCTYPE network><network><name>a</name></network>"};
	static const char options[] =
	    "<network xmlns:d='http://libvirt.org/schemas/network/dnsmasq/1.0'>"
	    "<name>a</name><d:options><d:option value='dhcp-script=/tmp/x'/>"
	    "</d:options></network>";
	struct vmf_links *links = none();
	uint32_t allow = 0;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ASSERT_FAILS(
		    add(links, VMF_LINKS_NETWORK, bad[i]), VMF_INTEGRITY);
	ASSERT_FAILS(add(links, VMF_LINKS_NETWORK, options), VMF_REFUSED);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "--allow commandline"));
	CU_ASSERT_EQUAL(vmf_links_count(links, VMF_LINKS_NETWORK), 0);
	CU_ASSERT_EQUAL(vmf_domain_allow("commandline", &allow, &err), 0);
	CU_ASSERT_EQUAL(vmf_links_add(links, VMF_LINKS_NETWORK, options,
			    strlen(options), NULL, allow, &err),
	    0);
	vmf_links_free(links);
}

static void
a_pools_directory_is_mapped(void)
{
	struct vmf_host *host = open_host();
	struct vmf_map *map = vmf_map_new(&err);
	struct vmf_links *links = none(), *same = none();

	CU_ASSERT_EQUAL(vmf_map_add(map, VMF_MAP_PATH, "/srv=/data", &err), 0);
	CU_ASSERT_EQUAL(vmf_links_add(links, VMF_LINKS_POOL, POOL, strlen(POOL),
			    map, 0, &err),
	    0);
	CU_ASSERT_EQUAL(vmf_links_check(links, host, &err), 0);
	CU_ASSERT_EQUAL(vmf_links_define(links, host, &err), 0);
	CU_ASSERT_EQUAL(add(same, VMF_LINKS_POOL,
			    "<pool type='dir'><name>vms</name><target>"
			    "<path>/data/vms</path></target></pool>"),
	    0);
	CU_ASSERT_EQUAL(vmf_links_check(same, host, &err), 0);
	vmf_links_free(links);
	vmf_links_free(same);
	vmf_map_free(map);
	vmf_host_free(host);
}

void
suite_links(void)
{
	static const struct test_case cases[] = {
	    {"what is not there is defined", what_is_not_there_is_defined},
	    {"nothing is defined over another",
		nothing_is_defined_over_another},
	    {"hostile XML is refused", hostile_xml_is_refused},
	    {"a pool's directory is mapped", a_pools_directory_is_mapped},
	};

	TEST_SUITE("links", cases);
}
