#include "rules_entity.h"

#include <stdlib.h>

enum { NAME_MAX_LEN = 8, LATIN_FIRST = 0xa0, LATIN_LONGEST = 6 };

/* U+00A0 and on, in order; these may stand without their semicolon. */
static const char *const latin[] = {
    "nbsp",   "iexcl",  "cent",   "pound",  "curren", "yen",    "brvbar", "sect",   "uml",
    "copy",   "ordf",   "laquo",  "not",    "shy",    "reg",    "macr",   "deg",    "plusmn",
    "sup2",   "sup3",   "acute",  "micro",  "para",   "middot", "cedil",  "sup1",   "ordm",
    "raquo",  "frac14", "frac12", "frac34", "iquest", "Agrave", "Aacute", "Acirc",  "Atilde",
    "Auml",   "Aring",  "AElig",  "Ccedil", "Egrave", "Eacute", "Ecirc",  "Euml",   "Igrave",
    "Iacute", "Icirc",  "Iuml",   "ETH",    "Ntilde", "Ograve", "Oacute", "Ocirc",  "Otilde",
    "Ouml",   "times",  "Oslash", "Ugrave", "Uacute", "Ucirc",  "Uuml",   "Yacute", "THORN",
    "szlig",  "agrave", "aacute", "acirc",  "atilde", "auml",   "aring",  "aelig",  "ccedil",
    "egrave", "eacute", "ecirc",  "euml",   "igrave", "iacute", "icirc",  "iuml",   "eth",
    "ntilde", "ograve", "oacute", "ocirc",  "otilde", "ouml",   "divide", "oslash", "ugrave",
    "uacute", "ucirc",  "uuml",   "yacute", "thorn",  "yuml"};

static const struct {
    const char *name;
    uint32_t code;
    bool bare; /* without a semicolon too */
} others[] = {{"amp", '&', true},         {"lt", '<', true},         {"gt", '>', true},
              {"quot", '"', true},        {"apos", '\'', false},     {"OElig", 0x152, false},
              {"oelig", 0x153, false},    {"Scaron", 0x160, false},  {"scaron", 0x161, false},
              {"Yuml", 0x178, false},     {"fnof", 0x192, false},    {"circ", 0x2c6, false},
              {"tilde", 0x2dc, false},    {"Alpha", 0x391, false},   {"Beta", 0x392, false},
              {"Gamma", 0x393, false},    {"Delta", 0x394, false},   {"Epsilon", 0x395, false},
              {"Zeta", 0x396, false},     {"Eta", 0x397, false},     {"Theta", 0x398, false},
              {"Iota", 0x399, false},     {"Kappa", 0x39a, false},   {"Lambda", 0x39b, false},
              {"Mu", 0x39c, false},       {"Nu", 0x39d, false},      {"Xi", 0x39e, false},
              {"Omicron", 0x39f, false},  {"Pi", 0x3a0, false},      {"Rho", 0x3a1, false},
              {"Sigma", 0x3a3, false},    {"Tau", 0x3a4, false},     {"Upsilon", 0x3a5, false},
              {"Phi", 0x3a6, false},      {"Chi", 0x3a7, false},     {"Psi", 0x3a8, false},
              {"Omega", 0x3a9, false},    {"alpha", 0x3b1, false},   {"beta", 0x3b2, false},
              {"gamma", 0x3b3, false},    {"delta", 0x3b4, false},   {"epsilon", 0x3b5, false},
              {"zeta", 0x3b6, false},     {"eta", 0x3b7, false},     {"theta", 0x3b8, false},
              {"iota", 0x3b9, false},     {"kappa", 0x3ba, false},   {"lambda", 0x3bb, false},
              {"mu", 0x3bc, false},       {"nu", 0x3bd, false},      {"xi", 0x3be, false},
              {"omicron", 0x3bf, false},  {"pi", 0x3c0, false},      {"rho", 0x3c1, false},
              {"sigmaf", 0x3c2, false},   {"sigma", 0x3c3, false},   {"tau", 0x3c4, false},
              {"upsilon", 0x3c5, false},  {"phi", 0x3c6, false},     {"chi", 0x3c7, false},
              {"psi", 0x3c8, false},      {"omega", 0x3c9, false},   {"thetasym", 0x3d1, false},
              {"upsih", 0x3d2, false},    {"piv", 0x3d6, false},     {"ensp", 0x2002, false},
              {"emsp", 0x2003, false},    {"thinsp", 0x2009, false}, {"zwnj", 0x200c, false},
              {"zwj", 0x200d, false},     {"lrm", 0x200e, false},    {"rlm", 0x200f, false},
              {"ndash", 0x2013, false},   {"mdash", 0x2014, false},  {"lsquo", 0x2018, false},
              {"rsquo", 0x2019, false},   {"sbquo", 0x201a, false},  {"ldquo", 0x201c, false},
              {"rdquo", 0x201d, false},   {"bdquo", 0x201e, false},  {"dagger", 0x2020, false},
              {"Dagger", 0x2021, false},  {"bull", 0x2022, false},   {"hellip", 0x2026, false},
              {"permil", 0x2030, false},  {"prime", 0x2032, false},  {"Prime", 0x2033, false},
              {"lsaquo", 0x2039, false},  {"rsaquo", 0x203a, false}, {"oline", 0x203e, false},
              {"frasl", 0x2044, false},   {"euro", 0x20ac, false},   {"image", 0x2111, false},
              {"weierp", 0x2118, false},  {"real", 0x211c, false},   {"trade", 0x2122, false},
              {"alefsym", 0x2135, false}, {"larr", 0x2190, false},   {"uarr", 0x2191, false},
              {"rarr", 0x2192, false},    {"darr", 0x2193, false},   {"harr", 0x2194, false},
              {"crarr", 0x21b5, false},   {"lArr", 0x21d0, false},   {"uArr", 0x21d1, false},
              {"rArr", 0x21d2, false},    {"dArr", 0x21d3, false},   {"hArr", 0x21d4, false},
              {"forall", 0x2200, false},  {"part", 0x2202, false},   {"exist", 0x2203, false},
              {"empty", 0x2205, false},   {"nabla", 0x2207, false},  {"isin", 0x2208, false},
              {"notin", 0x2209, false},   {"ni", 0x220b, false},     {"prod", 0x220f, false},
              {"sum", 0x2211, false},     {"minus", 0x2212, false},  {"lowast", 0x2217, false},
              {"radic", 0x221a, false},   {"prop", 0x221d, false},   {"infin", 0x221e, false},
              {"ang", 0x2220, false},     {"and", 0x2227, false},    {"or", 0x2228, false},
              {"cap", 0x2229, false},     {"cup", 0x222a, false},    {"int", 0x222b, false},
              {"there4", 0x2234, false},  {"sim", 0x223c, false},    {"cong", 0x2245, false},
              {"asymp", 0x2248, false},   {"ne", 0x2260, false},     {"equiv", 0x2261, false},
              {"le", 0x2264, false},      {"ge", 0x2265, false},     {"sub", 0x2282, false},
              {"sup", 0x2283, false},     {"nsub", 0x2284, false},   {"sube", 0x2286, false},
              {"supe", 0x2287, false},    {"oplus", 0x2295, false},  {"otimes", 0x2297, false},
              {"perp", 0x22a5, false},    {"sdot", 0x22c5, false},   {"lceil", 0x2308, false},
              {"rceil", 0x2309, false},   {"lfloor", 0x230a, false}, {"rfloor", 0x230b, false},
              {"lang", 0x2329, false},    {"rang", 0x232a, false},   {"loz", 0x25ca, false},
              {"spades", 0x2660, false},  {"clubs", 0x2663, false},  {"hearts", 0x2665, false},
              {"diams", 0x2666, false}};

static size_t put_utf8(char *out, uint32_t c)
{
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char first[] = {0, 0, 0xc0, 0xe0, 0xf0};

    for (size_t i = n; i-- > 1; c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(first[n] | c);
    return n;
}

static uint32_t code_of(struct postern_str name, bool closed)
{
    for (size_t i = 0; i < sizeof(latin) / sizeof(latin[0]); i++)
        if (rules_is(name, latin[i]))
            return LATIN_FIRST + (uint32_t)i;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if ((closed || others[i].bare) && rules_is(name, others[i].name))
            return others[i].code;
    return 0;
}

/* "#233" or "#xE9", from behind the "&"; *took: with its semicolon. */
static uint32_t number_at(const char *p, size_t len, size_t *took)
{
    bool hex = len > 1 && rules_lower(p[1]) == 'x';
    size_t at = hex ? 2 : 1;
    size_t from = at;
    uint32_t n = 0;

    for (; at < len && n < 0x110000; at++) {
        char c = rules_lower(p[at]);

        if (!rules_is_digit(c) && !(hex && c >= 'a' && c <= 'f'))
            break;
        n = n * (hex ? 16 : 10) + (uint32_t)(rules_is_digit(c) ? c - '0' : c - 'a' + 10);
    }
    *took = at + (at < len && p[at] == ';');
    /* No NUL, no half of a pair, nothing beyond Unicode: those stay as they are. */
    return at == from || n >= 0x110000 || (n >= 0xd800 && n < 0xe000) ? 0 : n;
}

/* The longest name that p begins with and that needs no semicolon. */
static uint32_t prefix_at(const char *p, size_t n, size_t *took)
{
    uint32_t code = 0;

    for (*took = n < LATIN_LONGEST ? n : LATIN_LONGEST; *took > 1; (*took)--) {
        code = code_of((struct postern_str){p, *took}, false);
        if (code != 0)
            break;
    }
    return code;
}

static uint32_t reference_at(const char *p, size_t len, bool text, size_t *took)
{
    size_t n = 0;
    uint32_t code;
    bool closed;

    if (len > 1 && p[0] == '#')
        return number_at(p, len, took);
    while (n < len && n <= NAME_MAX_LEN && (rules_is_word(p[n]) && p[n] != '_'))
        n++;
    closed = n < len && p[n] == ';';
    *took = n + closed;
    /* What pages mean by it is a blank. */
    if (closed && n == 4 && memcmp(p, "nbsp", 4) == 0)
        return ' ';
    code = n == 0 ? 0 : code_of((struct postern_str){p, n}, closed);
    return code != 0 || !text ? code : prefix_at(p, n, took);
}

struct postern_str rules_entities_decode(char *p, size_t len, bool text)
{
    char *amp = len == 0 ? NULL : memchr(p, '&', len);
    size_t out = amp == NULL ? len : (size_t)(amp - p);

    for (size_t at = out; at < len;) {
        size_t took = 0;
        uint32_t code = p[at] == '&' ? reference_at(p + at + 1, len - at - 1, text, &took) : 0;

        if (code == 0) {
            p[out++] = p[at++];
            continue;
        }
        out += put_utf8(p + out, code);
        at += took + 1;
    }
    return (struct postern_str){p, out};
}
