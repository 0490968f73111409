/*
 * domain_tree.h - what the lib/domain*.c files share: the tree, strings that
 * live with it, and the walk over all places that may name a host
 */
#ifndef VMFERRY_DOMAIN_TREE_H
#define VMFERRY_DOMAIN_TREE_H

#include <libxml/tree.h>

#include <vmferry/domain.h>

/* Strings that are freed together.  failed: one could not be had. */
struct strings {
	char **v;
	size_t n;
	bool failed;
};
/* Takes s (which may be NULL) and returns it. */
char *vmf_domain_tree_keep(struct strings *strings, char *s);
void vmf_domain_tree_drop(struct strings *strings);

struct vmf_domain {
	xmlDoc *doc;
	xmlNode *root;

	struct vmf_domain_model model;
	bool modelled; /* model is what the tree says */
	struct strings model_strings;
	struct vmf_domain_disk *disks;
	struct vmf_domain_image *bases;
	struct vmf_domain_server *servers; /* of all network disks */
	size_t nservers;
	struct vmf_domain_interface *interfaces;
	struct vmf_domain_tpm tpm;
	const char **secrets;

	struct strings notes;
	struct strings gone; /* paths that were replaced by others */
	struct vmf_domain_finding *findings;
	size_t nfindings;
	struct strings finding_strings;
};

int vmf_domain_tree_no_memory(struct vmf_error *err);

/* --- reading.  Names without a namespace; strings by malloc(), or NULL. */

xmlNode *vmf_domain_tree_child(const xmlNode *node, const char *name);
xmlNode *vmf_domain_tree_next(const xmlNode *node, const char *name);
/* A descendant: "os/loader". */
xmlNode *vmf_domain_tree_find(const xmlNode *node, const char *path);
char *vmf_domain_tree_attr(const xmlNode *node, const char *name);
/* Its text without white space around it; NULL when that is nothing. */
char *vmf_domain_tree_text(const xmlNode *node);
bool vmf_domain_tree_attr_is(
    const xmlNode *node, const char *name, const char *value);
#define is_element(node, what)                                                 \
	((node)->type == XML_ELEMENT_NODE && (node)->ns == NULL &&             \
	    strcmp((const char *)(node)->name, what) == 0)

/* --- changing; -1 (VMF_IO) when memory is out */

/* Set an attribute; a new one comes first, where libvirt has the source's. */
int vmf_domain_tree_set_attr(
    xmlNode *node, const char *name, const char *value, struct vmf_error *err);
/* Set an attribute's own value. */
int vmf_domain_tree_set_value(
    xmlAttr *attr, const char *value, struct vmf_error *err);
int vmf_domain_tree_set_text(
    xmlNode *node, const char *text, struct vmf_error *err);
void vmf_domain_tree_remove_attr(xmlNode *node, const char *name);
/* Remove an element and the white space before it. */
void vmf_domain_tree_remove(xmlNode *node);
/* A new element behind sibling (a child of the same parent), indented alike. */
xmlNode *vmf_domain_tree_insert_after(
    xmlNode *sibling, const char *name, struct vmf_error *err);

/* Rules or the caller vouch for this attribute, or this element's text. */
#define MAPPED ((void *)1)

/* --- places */

/* Policies of a place; see domain_places.c */
#define PLACE_MAP      0x01 /* its value is a path for path rules */
#define PLACE_FIRMWARE 0x02 /* ... for firmware rules */
#define PLACE_REFUSE   0x04 /* in untrusted XML, unless safe */
#define PLACE_PARENT   0x08 /* ask for the directory, not the file */
#define PLACE_ASK      0x10 /* ask whether it is there */
#define PLACE_DISK     0x20 /* the disk code maps it */

struct place {
	/* element "devices/hostdev", attribute "vcpu@cpuset", text "os/dtb#" */
	const char *path;
	enum vmf_domain_kind kind;
	unsigned how;
	enum vmf_domain_ask ask;
	/* Words: a value, a directory with / at its end for all below it, or
	 * a prefix with * at its end. */
	const char *safe;
};

const struct place *vmf_domain_places_find(const char *path);
/* The n-th of the table, or NULL: for its test. */
const struct place *vmf_domain_places_at(size_t n);
bool vmf_domain_places_is_safe(const struct place *place, const char *value);
/* An element libvirt has at the top or among the devices. */
bool vmf_domain_places_is_known(const xmlNode *parent, const xmlNode *node);

/*
 * Call visit for every element (attr NULL, value NULL), attribute (attr,
 * value) and element's text (attr NULL, value) of the domain but not of its
 * metadata, with the path that the table knows it by.  The text's value is
 * without white space around it.  visit may change that attribute or text,
 * nothing else; -1 from it ends the walk.
 */
struct visit {
	int (*visit)(void *ctx, const char *path, xmlNode *node, xmlAttr *attr,
	    const char *value, struct vmf_error *err);
	void *ctx;
	bool metadata; /* go there too */
};
int vmf_domain_places_walk(
    struct vmf_domain *dom, const struct visit *visit, struct vmf_error *err);

/* What VMF_ASK_HOSTDEV asks about a <hostdev>, by malloc(); NULL: of a kind
 * that no name tells, or memory. */
char *vmf_domain_hostdev_name(const xmlNode *hostdev);

/* --- parts of vmf_domain_rewrite() */

/* This element's source: attributes or text are vouched for. */
void vmf_domain_tree_vouch(xmlNode *node);
/* Remember a path that stands in the XML no more. */
void vmf_domain_tree_gone(struct vmf_domain *dom, const char *path);

int vmf_domain_set_by_map(
    struct vmf_domain *dom, struct vmf_map *map, struct vmf_error *err);
int vmf_domain_net_map(
    struct vmf_domain *dom, struct vmf_map *map, struct vmf_error *err);
int vmf_domain_identity_change(struct vmf_domain *dom,
    const struct vmf_domain_change *change, struct vmf_error *err);
/* The like file of another distribution that is there, or NULL. */
const char *vmf_domain_firmware_like(
    const char *path, bool (*there)(void *ctx, const char *path), void *ctx);

void vmf_domain_note_add(struct vmf_domain *dom, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
