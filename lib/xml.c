/* xml.c - see xml.h */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <libxml/parser.h>

#include "xml.h"

/* Called at a DOCTYPE, before any entity in it is even read. */
static void
refuse_doctype(void *ctx, const xmlChar *name, const xmlChar *external,
    const xmlChar *system)
{
	xmlParserCtxt *parser = ctx;

	(void)name;
	(void)external;
	(void)system;
	*(bool *)parser->_private = true;
	xmlStopParser(parser);
}

xmlDoc *
vmf_xml_parse(const char *xml, size_t len, struct vmf_error *err)
{
	xmlParserCtxt *parser;
	const xmlError *why;
	bool doctype = false;
	xmlDoc *doc = NULL;

	xmlInitParser();
	if ((parser = xmlNewParserCtxt()) == NULL) {
		errno = ENOMEM;
		vmf_fail_errno(err, VMF_IO, "XML");
		return NULL;
	}
	parser->_private = &doctype;
	parser->sax->internalSubset = refuse_doctype;
	/* Neither NOENT, DTDLOAD nor HUGE: entities stay unread, and depth
	 * and text are bounded. */
	doc = xmlCtxtReadMemory(parser, xml, (int)len, NULL, NULL,
	    XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	if (doctype) {
		vmf_fail(
		    err, VMF_INTEGRITY, "has a DOCTYPE, which no domain needs");
	} else if (doc == NULL) {
		why = xmlCtxtGetLastError(parser);
		vmf_fail(err, VMF_INTEGRITY, "line %d: %.*s",
		    why != NULL ? why->line : 0,
		    why != NULL && why->message != NULL
			? (int)strcspn(why->message, "\n")
			: 13,
		    why != NULL && why->message != NULL ? why->message
							: "not valid XML");
	}
	if (doctype && doc != NULL) {
		xmlFreeDoc(doc);
		doc = NULL;
	}
	xmlFreeParserCtxt(parser);
	return doc;
}
