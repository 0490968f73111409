/* domain_tree.c - small steps in libxml2's tree; see domain_tree.h */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "domain_tree.h"

#define BLANKS " \t\r\n"

int
vmf_domain_tree_no_memory(struct vmf_error *err)
{
	errno = ENOMEM;
	return vmf_fail_errno(err, VMF_IO, "domain XML");
}

char *
vmf_domain_tree_keep(struct strings *strings, char *s)
{
	char **more;

	if (s == NULL)
		return NULL;
	more = realloc(strings->v, (strings->n + 1) * sizeof(*more));
	if (more == NULL) {
		strings->failed = true;
		free(s);
		return NULL;
	}
	strings->v = more;
	return strings->v[strings->n++] = s;
}

void
vmf_domain_tree_drop(struct strings *strings)
{
	size_t i;

	for (i = 0; i < strings->n; i++)
		free(strings->v[i]);
	free(strings->v);
	memset(strings, 0, sizeof(*strings));
}

static xmlNode *
this_or_next(xmlNode *node, const char *name)
{
	while (node != NULL && !is_element(node, name))
		node = node->next;
	return node;
}

xmlNode *
vmf_domain_tree_child(const xmlNode *node, const char *name)
{
	return node == NULL ? NULL : this_or_next(node->children, name);
}

xmlNode *
vmf_domain_tree_next(const xmlNode *node, const char *name)
{
	return this_or_next(node->next, name);
}

xmlNode *
vmf_domain_tree_find(const xmlNode *node, const char *path)
{
	char name[64];
	size_t len;

	while (node != NULL && *path != '\0') {
		len = strcspn(path, "/");
		if (len >= sizeof(name))
			return NULL;
		memcpy(name, path, len);
		name[len] = '\0';
		node = vmf_domain_tree_child(node, name);
		path += len + (path[len] == '/');
	}
	return (xmlNode *)node;
}

/* libxml2's strings come from malloc(), as does everything here. */
char *
vmf_domain_tree_attr(const xmlNode *node, const char *name)
{
	return node == NULL ? NULL
			    : (char *)xmlGetNoNsProp(node, BAD_CAST name);
}

bool
vmf_domain_tree_attr_is(
    const xmlNode *node, const char *name, const char *value)
{
	char *s = vmf_domain_tree_attr(node, name);
	bool same = s != NULL && strcmp(s, value) == 0;

	free(s);
	return same;
}

char *
vmf_domain_tree_text(const xmlNode *node)
{
	char *s, *from;
	size_t len;

	if (node == NULL || (s = (char *)xmlNodeGetContent(node)) == NULL)
		return NULL;
	from = s + strspn(s, BLANKS);
	for (len = strlen(from); len > 0 && strchr(BLANKS, from[len - 1]);)
		len--;
	if (len == 0) {
		free(s);
		return NULL;
	}
	memmove(s, from, len);
	s[len] = '\0';
	return s;
}

/* Make attr the first of its element. */
static void
move_first(xmlNode *node, xmlAttr *attr)
{
	if (attr->prev == NULL)
		return;
	attr->prev->next = attr->next;
	if (attr->next != NULL)
		attr->next->prev = attr->prev;
	attr->prev = NULL;
	attr->next = node->properties;
	node->properties->prev = attr;
	node->properties = attr;
}

int
vmf_domain_tree_set_attr(
    xmlNode *node, const char *name, const char *value, struct vmf_error *err)
{
	xmlAttr *attr = xmlHasNsProp(node, BAD_CAST name, NULL);

	if (attr != NULL)
		return vmf_domain_tree_set_value(attr, value, err);
	attr = xmlNewProp(node, BAD_CAST name, BAD_CAST value);
	if (attr == NULL)
		return vmf_domain_tree_no_memory(err);
	move_first(node, attr);
	return 0;
}

int
vmf_domain_tree_set_value(
    xmlAttr *attr, const char *value, struct vmf_error *err)
{
	xmlNode *text = xmlNewDocText(attr->doc, BAD_CAST value);

	if (text == NULL)
		return vmf_domain_tree_no_memory(err);
	xmlFreeNodeList(attr->children);
	attr->children = attr->last = text;
	text->parent = (xmlNode *)attr;
	return 0;
}

static bool
is_text(const xmlNode *node)
{
	return node->type == XML_TEXT_NODE ||
	       node->type == XML_CDATA_SECTION_NODE;
}

/*
 * The new text stands where the first old one stood, so that a comment beside
 * it keeps its place; blanks go, for libvirt would take them as part of it.
 */
int
vmf_domain_tree_set_text(
    xmlNode *node, const char *value, struct vmf_error *err)
{
	xmlNode *text = xmlNewDocText(node->doc, BAD_CAST value), *old, *next;
	xmlNode *place = NULL;

	if (text == NULL)
		return vmf_domain_tree_no_memory(err);
	for (old = node->children; old != NULL; old = next) {
		next = old->next;
		if (!is_text(old))
			continue;
		if (place == NULL && !xmlIsBlankNode(old)) {
			place = old;
			continue;
		}
		xmlUnlinkNode(old);
		xmlFreeNode(old);
	}
	if (place == NULL) {
		xmlAddChild(node, text);
		return 0;
	}
	xmlReplaceNode(place, text);
	xmlFreeNode(place);
	return 0;
}

void
vmf_domain_tree_remove_attr(xmlNode *node, const char *name)
{
	xmlAttr *attr = xmlHasNsProp(node, BAD_CAST name, NULL);

	if (attr != NULL)
		xmlRemoveProp(attr);
}

static bool
is_blank(const xmlNode *node)
{
	return node != NULL && node->type == XML_TEXT_NODE &&
	       node->content[strspn((const char *)node->content, BLANKS)] ==
		   '\0';
}

void
vmf_domain_tree_remove(xmlNode *node)
{
	xmlNode *parent = node->parent, *before = node->prev;

	if (is_blank(before)) {
		xmlUnlinkNode(before);
		xmlFreeNode(before);
	}
	xmlUnlinkNode(node);
	xmlFreeNode(node);
	/* The last child took its indent along; an empty parent is <a/>. */
	if (parent->children != NULL && parent->children == parent->last &&
	    is_blank(parent->children)) {
		before = parent->children;
		xmlUnlinkNode(before);
		xmlFreeNode(before);
	}
}

xmlNode *
vmf_domain_tree_insert_after(
    xmlNode *sibling, const char *name, struct vmf_error *err)
{
	xmlNode *node = xmlNewDocNode(sibling->doc, NULL, BAD_CAST name, NULL);
	xmlNode *blank = NULL;

	if (node != NULL && is_blank(sibling->prev)) {
		blank = xmlCopyNode(sibling->prev, 1);
		if (blank == NULL) {
			xmlFreeNode(node);
			node = NULL;
		}
	}
	if (node == NULL) {
		vmf_domain_tree_no_memory(err);
		return NULL;
	}
	xmlAddNextSibling(sibling, node);
	if (blank != NULL)
		xmlAddPrevSibling(node, blank);
	return node;
}

void
vmf_domain_tree_vouch(xmlNode *node)
{
	xmlAttr *attr;

	node->_private = MAPPED;
	for (attr = node->properties; attr != NULL; attr = attr->next)
		attr->_private = MAPPED;
}

void
vmf_domain_tree_gone(struct vmf_domain *dom, const char *path)
{
	char *plain = path == NULL ? NULL : vmf_map_path_plain(path);

	vmf_domain_tree_keep(&dom->gone, plain);
}
