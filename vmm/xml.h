/*
 * Reading XML documents of libvirt. The only includer of libxml2 is xml.c.
 */
#ifndef CVM_VMM_XML_H
#define CVM_VMM_XML_H

#include "measure/base/error.h"

/*
 * Whether an XPath expression matches anything in the document.
 *
 * @return false with CVM_ERR_MALFORMED where the text is not XML.
 */
CVM_MUST_CHECK bool cvm_xml_matches(const char *xml, const char *xpath, bool *out,
                                    struct cvm_error *err);

#endif
