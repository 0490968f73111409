/*
 * check_links.c - what the domain is connected to: networks, bridges, pools,
 * secrets, and the servers of disks that stay where they are
 */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check_place.h"

#define CONNECT_SECONDS 3

/* ---- networks ------------------------------------------------------------ */

/* libvirt would start a guest whose portgroup is missing - without its VLAN. */
static void
check_portgroup(struct place_check *c, const char *what,
    const struct vmf_domain_interface *interface)
{
	struct vmf_error said;
	bool has;

	if (interface->portgroup == NULL)
		return;
	if (vmf_host_portgroup(c->host, interface->network,
		interface->portgroup, &has, &said) < 0)
		vmf_check_error(c->rows, what, &said);
	else if (!has)
		vmf_check_fail(c->rows, what,
		    "network %s has no portgroup %s here; add it (virsh "
		    "net-edit %s) or map the network to another",
		    interface->network, interface->portgroup,
		    interface->network);
}

static void
check_network(
    struct place_check *c, const struct vmf_domain_interface *interface)
{
	const char *name = interface->network;
	struct vmf_error said;
	bool found, active;
	char what[80];

	snprintf(what, sizeof(what), "network %.64s", name);
	if (vmf_host_network(c->host, name, &found, &active, &said) < 0)
		vmf_check_error(c->rows, what, &said);
	else if (found && !active)
		vmf_check_warn(c->rows, what,
		    "network %s is not active, so the guest will not start; "
		    "run virsh net-start %s",
		    name, name);
	else if (found)
		vmf_check_ok(c->rows, what, "active");
	if (found)
		check_portgroup(c, what, interface);
	/* Where there is none, the scan of all names says so. */
}

/* An interface fits on one kind of bridge only. */
static void
check_bridge(
    struct place_check *c, const struct vmf_domain_interface *interface)
{
	const char *name = interface->bridge;
	bool wants_ovs = interface->port != NULL &&
			 strcmp(interface->port, "openvswitch") == 0;
	char what[80];

	if (!vmf_host_is_local(c->host) ||
	    !vmf_host_there(c->host, VMF_ASK_BRIDGE, name))
		return; /* the scan of all names says so */
	snprintf(what, sizeof(what), "bridge %.64s", name);
	if (wants_ovs && vmf_host_is_linux_bridge(name))
		vmf_check_fail(c->rows, what,
		    "%s is a Linux bridge here, and the interface is for Open "
		    "vSwitch; map it to another, or take its <virtualport> "
		    "out",
		    name);
	else if (!wants_ovs && !vmf_host_is_linux_bridge(name))
		vmf_check_fail(c->rows, what,
		    "%s is no Linux bridge here; map it to one with --map-net",
		    name);
	else
		vmf_check_ok(c->rows, what, "%s",
		    wants_ovs ? "Open vSwitch's" : "a Linux bridge");
}

static void
check_interfaces(struct place_check *c)
{
	const struct vmf_domain_interface *interface;
	size_t i;

	for (i = 0; i < c->model->ninterfaces; i++) {
		interface = &c->model->interfaces[i];
		if (interface->network != NULL)
			check_network(c, interface);
		if (interface->bridge != NULL)
			check_bridge(c, interface);
	}
}

/* ---- pools and secrets --------------------------------------------------- */

static void
check_pools(struct place_check *c)
{
	const char *pool;
	struct vmf_error said;
	bool found, active;
	char what[80];
	size_t i, j;

	for (i = 0; i < c->model->ndisks; i++) {
		pool = c->model->disks[i].image.pool;
		for (j = 0; pool != NULL && j < i; j++)
			if (c->model->disks[j].image.pool != NULL &&
			    strcmp(c->model->disks[j].image.pool, pool) == 0)
				pool = NULL; /* told already */
		if (pool == NULL)
			continue;
		snprintf(what, sizeof(what), "pool %.72s", pool);
		if (vmf_host_pool(c->host, pool, &found, &active, &said) < 0)
			vmf_check_error(c->rows, what, &said);
		else if (found && !active)
			vmf_check_fail(c->rows, what,
			    "storage pool %s is not active; run virsh "
			    "pool-start %s",
			    pool, pool);
		else if (found)
			vmf_check_ok(c->rows, what, "active");
	}
}

bool
vmf_check_comes_along(const struct place_check *c, const char *secret)
{
	const char *const *name = c->what->options->secrets;

	for (; name != NULL && *name != NULL; name++)
		if (strcmp(*name, secret) == 0)
			return true;
	return false;
}

static void
check_secrets(struct place_check *c)
{
	const char *secret;
	char what[80];
	size_t i;

	for (i = 0; i < c->model->nsecrets; i++) {
		secret = c->model->secrets[i];
		snprintf(what, sizeof(what), "secret %.64s", secret);
		if (vmf_host_there(c->host, VMF_ASK_SECRET, secret))
			vmf_check_ok(c->rows, what, "is here");
		else if (vmf_check_comes_along(c, secret))
			vmf_check_ok(c->rows, what, "comes along");
		/* Else the scan of all names says so. */
	}
}

/* ---- network disks --------------------------------------------------------
 */

/* The port a protocol has when the XML names none; NULL: not by TCP, or
 * another's business (Ceph's own configuration). */
static const char *
default_port(const char *protocol)
{
	static const char *const ports[][2] = {{"nbd", "10809"},
	    {"iscsi", "3260"}, {"http", "80"}, {"https", "443"}, {"ftp", "21"},
	    {"ftps", "990"}, {"ssh", "22"}, {"rbd", "6789"}, {"nfs", "2049"},
	    {"gluster", "24007"}, {"sheepdog", "7000"}, {"vxhs", "9999"}};
	size_t i;

	for (i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
		if (strcmp(ports[i][0], protocol) == 0)
			return ports[i][1];
	return NULL;
}

static int
try_address(const struct addrinfo *a)
{
	/* Linux bounds connect() by the time for sending. */
	const struct timeval most = {CONNECT_SECONDS, 0};
	int fd =
	    socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
	int rc = -1;

	if (fd == -1)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof(most)) == 0)
		rc = connect(fd, a->ai_addr, a->ai_addrlen);
	close(fd);
	return rc;
}

static int
reach_tcp(const char *host, const char *port, struct vmf_error *err)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list, *a;
	int rc = getaddrinfo(host, port, &hints, &list);

	if (rc != 0)
		return vmf_fail(
		    err, VMF_REFUSED, "%s: %s", host, gai_strerror(rc));
	for (rc = -1, a = list; a != NULL && rc == -1; a = a->ai_next)
		rc = try_address(a);
	if (rc == -1)
		vmf_fail_errno(err, VMF_REFUSED, "%s port %s", host, port);
	freeaddrinfo(list);
	return rc;
}

static int
reach(const struct vmf_domain_image *image,
    const struct vmf_domain_server *server, struct vmf_error *err)
{
	const char *port = server->port;

	if (server->socket != NULL)
		return access(server->socket, F_OK) == 0
			   ? 0
			   : vmf_fail_errno(
				 err, VMF_REFUSED, "%s", server->socket);
	if (port == NULL)
		port = default_port(image->protocol);
	if (server->name == NULL || port == NULL)
		return 0;
	return reach_tcp(server->name, port, err);
}

/* One server that answers is enough: others may stand in for it. */
static void
check_network_disk(struct place_check *c, const struct vmf_domain_disk *disk)
{
	const struct vmf_domain_image *image = &disk->image;
	struct vmf_error said = {0};
	char what[80];
	size_t i;

	snprintf(what, sizeof(what), "disk %s", disk->target);
	if (image->nservers == 0) {
		vmf_check_warn(c->rows, what,
		    "%s: its servers are named elsewhere (ceph.conf); look "
		    "whether this host has them too",
		    image->protocol);
		return;
	}
	for (i = 0; i < image->nservers; i++)
		if (reach(image, &image->servers[i], &said) == 0) {
			vmf_check_ok(c->rows, what, "%s %s can be reached",
			    image->protocol,
			    image->name == NULL ? "" : image->name);
			return;
		}
	vmf_check_fail(c->rows, what,
	    "%s %s cannot be reached from here: %s; open the way to it",
	    image->protocol, image->name == NULL ? "" : image->name, said.msg);
}

void
vmf_check_links(struct place_check *c)
{
	size_t i;

	check_interfaces(c);
	check_pools(c);
	check_secrets(c);
	for (i = 0; vmf_host_is_local(c->host) && i < c->model->ndisks; i++)
		if (c->model->disks[i].image.protocol != NULL)
			check_network_disk(c, &c->model->disks[i]);
}
