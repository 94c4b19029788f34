#include "vmm/xml.h"

#include "measure/base/cleanup.h"

#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <limits.h>

static void free_doc(xmlDocPtr *slot)
{
    xmlFreeDoc(*slot);
}

static void free_context(xmlXPathContextPtr *slot)
{
    xmlXPathFreeContext(*slot);
}

static void free_result(xmlXPathObjectPtr *slot)
{
    xmlXPathFreeObject(*slot);
}

bool cvm_xml_matches(const char *xml, const char *xpath, bool *out, struct cvm_error *err)
{
    size_t size = strlen(xml);
    if (size > INT_MAX) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "an XML document of %zu bytes", size);
    }
    CVM_CLEANUP(free_doc)
    xmlDocPtr doc = xmlReadMemory(xml, (int)size, NULL, NULL,
                                  XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    if (doc == NULL) {
        return cvm_fail(err, CVM_ERR_MALFORMED, "libvirt's answer is not XML");
    }
    CVM_CLEANUP(free_context)
    xmlXPathContextPtr context = xmlXPathNewContext(doc);
    CVM_CLEANUP(free_result)
    xmlXPathObjectPtr result =
        context == NULL ? NULL : xmlXPathEvalExpression((const xmlChar *)xpath, context);
    if (result == NULL) {
        return cvm_fail_nomem(err, "XPath", 0);
    }
    *out = !xmlXPathNodeSetIsEmpty(result->nodesetval);
    return true;
}
