/* xml.h - XML that may be hostile, parsed (lib/xml.c) */
#ifndef VMFERRY_XML_H
#define VMFERRY_XML_H

#include <libxml/tree.h>

#include <vmferry/error.h>

/*
 * The tree, for the caller to free with xmlFreeDoc().  No DOCTYPE, no network,
 * no entities but XML's own, 256 levels.  NULL: VMF_INTEGRITY, or VMF_IO
 * (memory).
 */
xmlDoc *vmf_xml_parse(const char *xml, size_t len, struct vmf_error *err);

#endif
