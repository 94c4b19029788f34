# Writes OUTPUT: a C table with the text of each templates/*.xml.in in TEMPLATES.
set(text "#include \"vmm/template.h\"\n\n#include <string.h>\n\nstatic const struct {\n    const char *name;\n    const char *text;\n} templates[] = {\n")
foreach(file ${TEMPLATES})
    get_filename_component(name ${file} NAME)
    string(REPLACE ".xml.in" "" name ${name})
    file(READ ${file} hex HEX)
    string(REGEX REPLACE "(..)" "\\\\x\\1" bytes "${hex}")
    string(APPEND text "    { \"${name}\", \"${bytes}\" },\n")
endforeach()
string(APPEND text "};\n
const char *cvm_template_find(const char *name)
{
    for (size_t i = 0; i < sizeof templates / sizeof templates[0]; i++) {
        if (strcmp(templates[i].name, name) == 0) {
            return templates[i].text;
        }
    }
    return NULL;
}
")
file(WRITE ${OUTPUT} "${text}")
