/* --auth: authentication results given by hand, in the words of RFC 8601. */
#include "scan_input.h"

enum { PROPERTIES_MAX = 16 };

/* How the ptype.property words are called in our facts. */
static const struct {
    const char *word, *identity, *name;
} words[] = {{"smtp.mailfrom", "mailfrom", "domain"},
             {"smtp.helo", "helo", "domain"},
             {"header.d", NULL, "domain"},
             {"header.s", NULL, "selector"},
             {"header.a", NULL, "algorithm"},
             {"header.from", NULL, "domain"},
             {"reason", NULL, "reason"}};

static struct pn_str unquoted(struct pn_str s)
{
    if (s.len >= 2 && s.p[0] == '"' && s.p[s.len - 1] == '"')
        return pn_str_slice(s, 1, s.len - 1);
    return s;
}

/* Behind an address's @, so that smtp.mailfrom may hold either. */
static struct pn_str domain_of(struct pn_str s)
{
    size_t at = s.len;
    while (at > 0 && s.p[at - 1] != '@')
        at--;
    return pn_str_slice(s, at, s.len);
}

static uint32_t add_property(struct pn_pair *props, uint32_t n, struct pn_str word,
                             struct pn_str value)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (!pn_str_ieq(word, pn_str_of(words[i].word)))
            continue;
        if (words[i].identity != NULL)
            props[n++] = (struct pn_pair){PN_STR("identity"), pn_str_of(words[i].identity)};
        bool domain = strcmp(words[i].name, "domain") == 0;
        props[n++] = (struct pn_pair){pn_str_of(words[i].name), domain ? domain_of(value) : value};
        return n;
    }
    props[n++] = (struct pn_pair){word, value};
    return n;
}

/* RFC 8601, section 2.7: what the methods that we know may say. */
static bool is_result(struct pn_str s)
{
    static const char *const known[] = {"none",    "pass",   "fail",      "softfail",
                                        "neutral", "policy", "temperror", "permerror"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (pn_str_eq(s, pn_str_of(known[i])))
            return true;
    return false;
}

static bool add_result(struct pn_str text, struct pn_facts *facts, struct pn_buf *err)
{
    struct pn_pair props[PROPERTIES_MAX + 2];
    struct pn_auth auth = {.properties = props};
    while (text.p != NULL && text.len != 0) {
        struct pn_str word = pn_str_trim(pn_str_split(&text, ' '));
        size_t eq = pn_str_find(word, '=', 0);
        if (word.len == 0)
            continue;
        if (eq == SIZE_MAX || eq == 0 || auth.count >= PROPERTIES_MAX) {
            (void)pn_buf_addf(err,
                              "--auth: '%.*s', method=result and ptype.property=value were "
                              "expected",
                              PN_FMT(word));
            return false;
        }
        struct pn_str name = pn_str_slice(word, 0, eq);
        struct pn_str value = unquoted(pn_str_slice(word, eq + 1, word.len));
        if (auth.method.len == 0 && !is_result(value)) {
            (void)pn_buf_addf(err,
                              "--auth: '%.*s', none, pass, fail, softfail, neutral, policy, "
                              "temperror or permerror were expected",
                              PN_FMT(word));
            return false;
        }
        if (auth.method.len == 0) {
            auth.plugin = auth.method = name;
            auth.result = value;
        } else {
            auth.count = add_property(props, auth.count, name, value);
        }
    }
    struct pn_plugin_run run = {auth.method, PN_PLUGIN_GIVEN, 0, PN_STR("")};
    if (pn_str_eq(auth.method, PN_STR("dkim")) && pn_str_eq(auth.result, PN_STR("pass")))
        props[auth.count++] = (struct pn_pair){PN_STR("signature"), PN_STR("valid")};
    if (auth.method.len == 0 || (pn_facts_add_auth(facts, &auth) && pn_facts_add_run(facts, &run)))
        return true;
    (void)pn_buf_addz(err, "--auth: too many results");
    return false;
}

bool pn_scan_auth(struct pn_str text, struct pn_facts *facts, struct pn_buf *err)
{
    bool ok = true;
    while (ok && text.p != NULL && text.len != 0)
        ok = add_result(pn_str_trim(pn_str_split(&text, ';')), facts, err);
    return ok;
}
