#include "rules_element.h"

#include <stdlib.h>

static const struct element {
    const char *name;
    unsigned flags;
} elements[] = {{"a", RULES_E_KNOWN | RULES_E_STYLED | RULES_E_LINKED},
                {"abbr", RULES_E_KNOWN},
                {"acronym", RULES_E_KNOWN},
                {"address", RULES_E_KNOWN},
                {"applet", RULES_E_KNOWN},
                {"area", RULES_E_KNOWN | RULES_E_LINKED},
                {"b", RULES_E_KNOWN},
                {"base", RULES_E_KNOWN | RULES_E_LINKED},
                {"basefont", RULES_E_KNOWN | RULES_E_STYLED},
                {"bdo", RULES_E_KNOWN},
                {"bgsound", RULES_E_ODD | RULES_E_LINKED},
                {"big", RULES_E_KNOWN | RULES_E_STYLED},
                {"blockquote", RULES_E_KNOWN | RULES_E_PARAGRAPH},
                {"body", RULES_E_KNOWN | RULES_E_STYLED | RULES_E_LINKED},
                {"br", RULES_E_KNOWN | RULES_E_LINE},
                {"button", RULES_E_KNOWN},
                {"caption", RULES_E_KNOWN},
                {"center", RULES_E_KNOWN},
                {"cite", RULES_E_KNOWN},
                {"code", RULES_E_KNOWN},
                {"col", RULES_E_KNOWN},
                {"colgroup", RULES_E_KNOWN},
                {"dd", RULES_E_KNOWN | RULES_E_BLANK},
                {"del", RULES_E_KNOWN},
                {"dfn", RULES_E_KNOWN},
                {"dir", RULES_E_KNOWN},
                {"div", RULES_E_KNOWN | RULES_E_STYLED | RULES_E_LINE},
                {"dl", RULES_E_KNOWN},
                {"dt", RULES_E_KNOWN | RULES_E_BLANK},
                {"em", RULES_E_KNOWN},
                {"embed", RULES_E_ODD | RULES_E_BLANK | RULES_E_LINKED},
                {"fieldset", RULES_E_KNOWN},
                {"font", RULES_E_KNOWN | RULES_E_STYLED},
                {"form", RULES_E_KNOWN | RULES_E_LINKED},
                {"frame", RULES_E_KNOWN | RULES_E_LINKED},
                {"frameset", RULES_E_KNOWN},
                {"h1", RULES_E_KNOWN | RULES_E_BLANK},
                {"h2", RULES_E_KNOWN | RULES_E_BLANK},
                {"h3", RULES_E_KNOWN | RULES_E_BLANK},
                {"h4", RULES_E_KNOWN | RULES_E_BLANK},
                {"h5", RULES_E_KNOWN | RULES_E_BLANK},
                {"h6", RULES_E_KNOWN | RULES_E_BLANK},
                {"head", RULES_E_KNOWN},
                {"hr", RULES_E_KNOWN | RULES_E_PARAGRAPH},
                {"html", RULES_E_KNOWN},
                {"i", RULES_E_KNOWN},
                {"iframe", RULES_E_KNOWN | RULES_E_LINKED},
                {"img", RULES_E_KNOWN | RULES_E_LINKED},
                {"input", RULES_E_KNOWN},
                {"ins", RULES_E_KNOWN},
                {"isindex", RULES_E_KNOWN},
                {"kbd", RULES_E_KNOWN},
                {"label", RULES_E_KNOWN},
                {"legend", RULES_E_KNOWN},
                {"li", RULES_E_KNOWN | RULES_E_BLANK},
                {"link", RULES_E_KNOWN | RULES_E_LINKED},
                {"listing", RULES_E_ODD | RULES_E_PARAGRAPH},
                {"map", RULES_E_KNOWN},
                {"menu", RULES_E_KNOWN},
                {"meta", RULES_E_KNOWN | RULES_E_LINKED},
                {"nobr", RULES_E_KNOWN},
                {"noframes", RULES_E_KNOWN},
                {"noscript", RULES_E_KNOWN},
                {"object", RULES_E_KNOWN},
                {"ol", RULES_E_KNOWN},
                {"optgroup", RULES_E_KNOWN},
                {"option", RULES_E_KNOWN},
                {"p", RULES_E_KNOWN | RULES_E_STYLED | RULES_E_PARAGRAPH},
                {"param", RULES_E_KNOWN},
                {"plaintext", RULES_E_ODD | RULES_E_PARAGRAPH},
                {"pre", RULES_E_KNOWN | RULES_E_PARAGRAPH},
                {"q", RULES_E_KNOWN},
                {"s", RULES_E_KNOWN},
                {"samp", RULES_E_KNOWN},
                {"script", RULES_E_KNOWN | RULES_E_LINKED},
                {"select", RULES_E_KNOWN},
                {"small", RULES_E_KNOWN | RULES_E_STYLED},
                {"span", RULES_E_KNOWN | RULES_E_STYLED},
                {"strike", RULES_E_KNOWN},
                {"strong", RULES_E_KNOWN},
                {"style", RULES_E_KNOWN},
                {"sub", RULES_E_KNOWN},
                {"sup", RULES_E_KNOWN},
                {"table", RULES_E_KNOWN | RULES_E_STYLED | RULES_E_LINKED},
                {"tbody", RULES_E_KNOWN},
                {"td", RULES_E_KNOWN | RULES_E_STYLED | RULES_E_BLANK | RULES_E_LINKED},
                {"textarea", RULES_E_KNOWN},
                {"tfoot", RULES_E_KNOWN},
                {"th", RULES_E_KNOWN | RULES_E_STYLED | RULES_E_BLANK},
                {"thead", RULES_E_KNOWN},
                {"title", RULES_E_KNOWN | RULES_E_PARAGRAPH},
                {"tr", RULES_E_KNOWN | RULES_E_STYLED | RULES_E_LINKED},
                {"tt", RULES_E_KNOWN},
                {"u", RULES_E_KNOWN},
                {"ul", RULES_E_KNOWN},
                {"var", RULES_E_KNOWN},
                {"x-sigsep", RULES_E_KNOWN},
                {"x-tab", RULES_E_KNOWN},
                {"xmp", RULES_E_ODD | RULES_E_PARAGRAPH}};

static int by_name(const void *key, const void *element)
{
    const struct postern_str *s = key;
    const char *name = ((const struct element *)element)->name;
    int order = s->len == 0 ? -1 : (unsigned char)s->p[0] - (unsigned char)name[0];
    size_t n;

    if (order != 0) /* as it mostly is */
        return order;
    n = strlen(name);
    order = memcmp(s->p, name, s->len < n ? s->len : n);
    return order != 0 ? order : (s->len > n) - (s->len < n);
}

unsigned rules_element_flags(struct postern_str name, bool *of_office)
{
    const struct element *e = bsearch(&name, elements, sizeof(elements) / sizeof(elements[0]),
                                      sizeof(elements[0]), by_name);

    *of_office = rules_starts(name, POSTERN_STR("o:")) ||
                 (name.len > 4 && rules_starts(name, POSTERN_STR("st")) &&
                  rules_is_digit(name.p[2]) && name.p[3] == ':');
    return e == NULL ? 0 : e->flags;
}
