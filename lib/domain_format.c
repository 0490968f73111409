/*
 * domain_format.c - XML in libvirt's own style; see vmferry/domain.h
 *
 * libvirt writes attributes in single quotes, escapes all five of &<>"' in
 * attributes and text, and puts namespaces behind attributes; what is below
 * <metadata> it leaves to libxml2.  The white space between elements is text
 * of the tree.  (libvirt: src/util/virbuffer.c, src/conf/domain_conf.c)
 */
#include <stdlib.h>
#include <string.h>

#include "domain_tree.h"

/* All calls that add to it leave a sign in failed. */
struct out {
	xmlBuffer *buf;
	bool failed;
};

static void
put(struct out *out, const void *s, size_t len)
{
	if (len > 0 && xmlBufferAdd(out->buf, s, (int)len) != 0)
		out->failed = true;
}

static void
put_text(struct out *out, const char *s)
{
	if (s != NULL)
		put(out, s, strlen(s));
}

/* A parser makes a blank of a newline in an attribute, and a newline of a
 * carriage return in text: both need a reference to survive. */
static void
put_escaped(struct out *out, const xmlChar *text, bool attribute)
{
	const char *s = (const char *)text, *special = "&<>\"'\r\n\t", *with;
	size_t len;

	for (; s != NULL && *s != '\0'; s += len) {
		len = strcspn(s, attribute ? special : "&<>\"'\r");
		put(out, s, len);
		s += len;
		len = 1;
		switch (*s) {
		case '&':
			with = "&amp;";
			break;
		case '<':
			with = "&lt;";
			break;
		case '>':
			with = "&gt;";
			break;
		case '"':
			with = "&quot;";
			break;
		case '\'':
			with = "&apos;";
			break;
		case '\r':
			with = "&#13;";
			break;
		case '\n':
			with = "&#10;";
			break;
		case '\t':
			with = "&#9;";
			break;
		default:
			return;
		}
		put_text(out, with);
	}
}

static void
put_name(struct out *out, const xmlNs *ns, const xmlChar *name)
{
	if (ns != NULL && ns->prefix != NULL) {
		put_text(out, (const char *)ns->prefix);
		put_text(out, ":");
	}
	put_text(out, (const char *)name);
}

static void
put_attributes(struct out *out, const xmlNode *node)
{
	const xmlAttr *attr;
	const xmlNs *ns;
	xmlChar *value;

	for (attr = node->properties; attr != NULL; attr = attr->next) {
		value = xmlNodeListGetString(node->doc, attr->children, 1);
		put_text(out, " ");
		put_name(out, attr->ns, attr->name);
		put_text(out, "='");
		put_escaped(out, value, true);
		put_text(out, "'");
		xmlFree(value);
	}
	for (ns = node->nsDef; ns != NULL; ns = ns->next) {
		put_text(out, ns->prefix != NULL ? " xmlns:" : " xmlns");
		put_text(out, (const char *)ns->prefix);
		put_text(out, "='");
		put_escaped(out, ns->href, true);
		put_text(out, "'");
	}
}

static void put_node(struct out *out, xmlNode *node);

/* Recursion is bounded by the parser's 256 levels. */
static void
put_element(struct out *out, xmlNode *node)
{
	xmlNode *child;

	if (is_element(node, "metadata") && node->parent != NULL &&
	    node->parent == xmlDocGetRootElement(node->doc)) {
		if (xmlNodeDump(out->buf, node->doc, node, 0, 0) == -1)
			out->failed = true;
		return;
	}
	put_text(out, "<");
	put_name(out, node->ns, node->name);
	put_attributes(out, node);
	if (node->children == NULL) {
		put_text(out, "/>");
		return;
	}
	put_text(out, ">");
	for (child = node->children; child != NULL; child = child->next)
		put_node(out, child);
	put_text(out, "</");
	put_name(out, node->ns, node->name);
	put_text(out, ">");
}

static void
put_node(struct out *out, xmlNode *node)
{
	switch (node->type) {
	case XML_ELEMENT_NODE:
		put_element(out, node);
		break;
	case XML_TEXT_NODE:
		put_escaped(out, node->content, false);
		break;
	default: /* comments, CDATA, instructions */
		if (xmlNodeDump(out->buf, node->doc, node, 0, 0) == -1)
			out->failed = true;
	}
}

char *
vmf_domain_format(
    const struct vmf_domain *dom, size_t *len, struct vmf_error *err)
{
	struct out out = {.buf = xmlBufferCreateSize(16384)};
	xmlNode *node;
	char *text = NULL;

	if (out.buf != NULL) {
		xmlBufferSetAllocationScheme(
		    out.buf, XML_BUFFER_ALLOC_DOUBLEIT);
		for (node = dom->doc->children; node; node = node->next) {
			put_node(&out, node);
			put_text(&out, "\n");
		}
		if (len != NULL)
			*len = (size_t)xmlBufferLength(out.buf);
		if (!out.failed)
			text = (char *)xmlBufferDetach(out.buf);
		xmlBufferFree(out.buf);
	}
	if (text == NULL)
		vmf_domain_tree_no_memory(err);
	return text;
}
