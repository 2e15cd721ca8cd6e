#include "spf_record.h"

#include "spf_macro.h"

#include <arpa/inet.h>

static const struct postern_str version = {"v=spf1", 6};

bool spf_record_is(struct postern_str txt)
{
    return spf_istarts(txt, version) && (txt.len == version.len || txt.p[version.len] == ' ');
}

/* Takes "/digits" off the end, marked by that many slashes. 1: taken, 0: none is there,
 * -1: one that can't be. */
static int take_bits(struct postern_str *s, size_t slashes, unsigned max, unsigned *bits)
{
    size_t at = s->len;
    unsigned v = 0;
    while (at > 0 && spf_is_digit(s->p[at - 1]))
        at--;
    if (at < slashes || at == s->len || memcmp(s->p + at - slashes, "//", slashes) != 0)
        return 0;
    /* Of "//64" the IPv4 form would see "/64". */
    if (slashes == 1 && at >= 2 && s->p[at - 2] == '/')
        return 0;
    if (s->len - at > 3 || (s->p[at] == '0' && s->len - at > 1))
        return -1;
    for (size_t i = at; i < s->len; i++)
        v = v * 10 + (unsigned)(s->p[i] - '0');
    if (v > max)
        return -1;
    *bits = v;
    s->len = at - slashes;
    return 1;
}

/* [ "/" ip4 ] [ "//" ip6 ] at the end of s. */
static bool take_dual_bits(struct postern_str *s, struct spf_term *t)
{
    return take_bits(s, 2, 128, &t->bits6) >= 0 && take_bits(s, 1, 32, &t->bits4) >= 0;
}

static bool take_network(struct postern_str value, struct spf_term *t)
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    char text[INET6_ADDRSTRLEN];
    bool v4 = t->kind == SPF_IP4;
    int bits = take_bits(&value, 1, v4 ? 32 : 128, v4 ? &t->bits4 : &t->bits6);
    if (bits < 0 || value.len == 0 || value.len >= sizeof text ||
        memchr(value.p, '\0', value.len) != NULL)
        return false;
    memcpy(text, value.p, value.len);
    text[value.len] = '\0';
    if (!v4)
        return inet_pton(AF_INET6, text, t->network) == 1;
    memcpy(t->network, mapped, sizeof mapped);
    return inet_pton(AF_INET, text, t->network + 12) == 1;
}

static bool is_name(struct postern_str s)
{
    if (s.len == 0 || !spf_is_alpha(s.p[0]))
        return false;
    for (size_t i = 1; i < s.len; i++)
        if (!spf_is_alpha(s.p[i]) && !spf_is_digit(s.p[i]) &&
            (s.p[i] == '\0' || strchr("-_.", s.p[i]) == NULL))
            return false;
    return true;
}

static const struct {
    struct postern_str name;
    enum spf_kind kind;
    enum { NO_VALUE, DOMAIN_MAY, DOMAIN_MUST, NETWORK } value;
    bool bits;
} mechanisms[] = {
    {{"all", 3}, SPF_ALL, NO_VALUE, false},   {{"include", 7}, SPF_INCLUDE, DOMAIN_MUST, false},
    {{"a", 1}, SPF_A, DOMAIN_MAY, true},      {{"mx", 2}, SPF_MX, DOMAIN_MAY, true},
    {{"ptr", 3}, SPF_PTR, DOMAIN_MAY, false}, {{"ip4", 3}, SPF_IP4, NETWORK, false},
    {{"ip6", 3}, SPF_IP6, NETWORK, false},    {{"exists", 6}, SPF_EXISTS, DOMAIN_MUST, false},
};

static const char *read_mechanism(struct postern_str s, struct spf_term *t)
{
    size_t end = 0;
    t->qualifier = '+';
    if (s.len != 0 && strchr("+-?~", s.p[0]) != NULL && s.p[0] != '\0') {
        t->qualifier = s.p[0];
        s = spf_slice(s, 1, s.len);
    }
    while (end < s.len && s.p[end] != ':' && s.p[end] != '/')
        end++;
    size_t i = 0, count = sizeof mechanisms / sizeof mechanisms[0];
    while (i < count && !spf_ieq(mechanisms[i].name, spf_slice(s, 0, end)))
        i++;
    if (i == count)
        return "unknown mechanism";
    t->kind = mechanisms[i].kind;
    struct postern_str value = spf_slice(s, end, s.len);
    if (mechanisms[i].bits && !take_dual_bits(&value, t))
        return "bad prefix length";
    if (value.len == 0)
        return mechanisms[i].value == NO_VALUE || mechanisms[i].value == DOMAIN_MAY
                   ? NULL
                   : "mechanism without its value";
    value = value.p[0] == ':' ? spf_slice(value, 1, value.len) : (struct postern_str){NULL, 0};
    switch (mechanisms[i].value) {
    case NETWORK:
        return value.p != NULL && take_network(value, t) ? NULL : "bad network";
    case NO_VALUE:
        return "value behind \"all\"";
    default:
        t->spec = value;
        return value.p != NULL && spf_macro_ok(value, SPF_MACRO_DOMAIN) ? NULL : "bad domain";
    }
}

static const char *read_modifier(struct postern_str name, struct postern_str value,
                                 struct spf_term *t)
{
    t->spec = value;
    t->kind = spf_ieq(name, POSTERN_STR("redirect")) ? SPF_REDIRECT
              : spf_ieq(name, POSTERN_STR("exp"))    ? SPF_EXP
                                                     : SPF_UNKNOWN;
    if (!spf_macro_ok(value, t->kind == SPF_UNKNOWN ? SPF_MACRO_ANY : SPF_MACRO_DOMAIN))
        return t->kind == SPF_UNKNOWN ? "bad modifier" : "bad domain of a modifier";
    return NULL;
}

/* The next word; false at the end. */
static bool next_word(struct postern_str *terms, struct postern_str *word)
{
    size_t from = 0, to;
    while (from < terms->len && terms->p[from] == ' ')
        from++;
    if (from == terms->len)
        return false;
    for (to = from; to < terms->len && terms->p[to] != ' ';)
        to++;
    *word = spf_slice(*terms, from, to);
    *terms = spf_slice(*terms, to, terms->len);
    return true;
}

static const char *read_term(struct postern_str word, struct spf_term *t)
{
    size_t equals = spf_find(word, '=');
    *t = (struct spf_term){.bits4 = 32, .bits6 = 128};
    /* A name and "=" make a modifier; "=" may also stand in a mechanism's macros. */
    if (equals != word.len && is_name(spf_slice(word, 0, equals)))
        return read_modifier(spf_slice(word, 0, equals), spf_slice(word, equals + 1, word.len), t);
    return read_mechanism(word, t);
}

bool spf_record_read(struct postern_str txt, struct spf_record *out, const char **problem)
{
    *out = (struct spf_record){.terms = spf_slice(txt, version.len, txt.len)};
    struct postern_str rest = out->terms, word;
    while (next_word(&rest, &word)) {
        struct spf_term t;
        *problem = read_term(word, &t);
        if (*problem != NULL)
            return false;
        if ((t.kind == SPF_REDIRECT && out->redirect.len != 0) ||
            (t.kind == SPF_EXP && out->exp.len != 0)) {
            *problem = "modifier given twice";
            return false;
        }
        if (t.kind == SPF_REDIRECT)
            out->redirect = t.spec;
        else if (t.kind == SPF_EXP)
            out->exp = t.spec;
        else if (t.kind == SPF_ALL)
            out->has_all = true;
    }
    return true;
}

bool spf_record_next(struct postern_str *terms, struct spf_term *out)
{
    struct postern_str word;
    return next_word(terms, &word) && read_term(word, out) == NULL;
}
