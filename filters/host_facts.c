#include "host.h"

#include "utf8.h"

/* ---- saying */

/* Bytes that are not printable UTF-8 become '?', so that a detail can be shown anywhere. */
static struct pn_str clean(struct pn_str detail, char out[PN_FACTS_DETAIL_MAX + 4])
{
    size_t len = 0;
    for (size_t i = 0; i < detail.len && len < PN_FACTS_DETAIL_MAX;) {
        size_t n = pn_utf8_next(pn_str_slice(detail, i, detail.len));
        unsigned char c = (unsigned char)detail.p[i];
        if (n == 0 || c < ' ' || c == 0x7f ||
            (c == 0xc2 && (unsigned char)detail.p[i + 1] < 0xa0)) {
            out[len++] = '?';
            i += n == 0 ? 1 : n;
            continue;
        }
        if (n > PN_FACTS_DETAIL_MAX - len)
            break;
        memcpy(out + len, detail.p + i, n);
        len += n;
        i += n;
    }
    return (struct pn_str){out, len};
}

static int add_fact(struct postern_call *c, struct pn_str name, struct postern_str detail,
                    int32_t weight, uint32_t rcpt)
{
    struct host_call *h = host_of(c);
    char text[PN_FACTS_DETAIL_MAX + 4];
    if (weight > PN_PLUGIN_WEIGHT_MAX || weight < -PN_PLUGIN_WEIGHT_MAX)
        return POSTERN_INVALID;
    if (h->facts->symbol_count >= HOST_SYMBOLS_MAX)
        return POSTERN_LIMIT;
    struct pn_fact fact = {.name = name,
                           .plugin = pn_str_of(h->plugin->desc->name),
                           .detail = clean(host_view(detail), text),
                           .weight = weight,
                           .rcpt = rcpt};
    return pn_facts_add_symbol(h->facts, &fact) ? POSTERN_OK : POSTERN_LIMIT;
}

static const struct postern_symbol *symbol_of(struct postern_call *c, unsigned symbol)
{
    const struct host_plugin *p = host_of(c)->plugin;
    return symbol < p->symbols ? &p->desc->symbols[symbol] : NULL;
}

int host_fact(struct postern_call *c, unsigned symbol, struct postern_str detail)
{
    const struct postern_symbol *s = symbol_of(c, symbol);
    return s == NULL ? POSTERN_INVALID
                     : add_fact(c, pn_str_of(s->name), detail, s->weight, PN_FACT_ALL_RCPTS);
}

int host_fact_weighted(struct postern_call *c, unsigned symbol, struct postern_str detail,
                       int32_t weight)
{
    const struct postern_symbol *s = symbol_of(c, symbol);
    return s == NULL ? POSTERN_INVALID
                     : add_fact(c, pn_str_of(s->name), detail, weight, PN_FACT_ALL_RCPTS);
}

int host_fact_named(struct postern_call *c, struct postern_str name, struct postern_str detail,
                    int32_t weight)
{
    struct pn_str n = host_view(name);
    if (!pn_symbol_name_ok(n) || pn_symbol_is_ours(n))
        return POSTERN_INVALID;
    return add_fact(c, n, detail, weight, PN_FACT_ALL_RCPTS);
}

int host_fact_for(struct postern_call *c, size_t rcpt, unsigned symbol, struct postern_str detail)
{
    const struct postern_symbol *s = symbol_of(c, symbol);
    if (s == NULL || rcpt >= host_of(c)->step->rcpts)
        return POSTERN_INVALID;
    return add_fact(c, pn_str_of(s->name), detail, s->weight, (uint32_t)rcpt);
}

/* A word of RFC 8601: a method or result. */
static bool keyword_ok(struct pn_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!pn_is_alpha(s.p[i]) && !pn_is_digit(s.p[i]) && s.p[i] != '-')
            return false;
    return s.len > 0 && s.len <= 32;
}

static bool property_ok(struct pn_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!pn_is_alpha(s.p[i]) && !pn_is_digit(s.p[i]) && strchr("-_.", s.p[i]) == NULL)
            return false;
    return s.len > 0 && s.len <= 48;
}

int host_auth(struct postern_call *c, const struct postern_auth *result)
{
    struct host_call *h = host_of(c);
    struct pn_pair pairs[PN_FACTS_PROPERTIES_MAX];
    struct pn_auth auth = {.plugin = pn_str_of(h->plugin->desc->name),
                           .method = host_view(result->method),
                           .result = host_view(result->result),
                           .count = (uint32_t)result->count,
                           .properties = pairs};
    if (!keyword_ok(auth.method) || !keyword_ok(auth.result) || result->reserved[0] != NULL ||
        result->reserved[1] != NULL)
        return POSTERN_INVALID;
    if (result->count > PN_FACTS_PROPERTIES_MAX)
        return POSTERN_LIMIT;
    for (size_t i = 0; i < result->count; i++) {
        pairs[i] = (struct pn_pair){host_view(result->properties[i].name),
                                    host_view(result->properties[i].value)};
        if (!property_ok(pairs[i].name) || pairs[i].value.len > HOST_VALUE_MAX ||
            !host_line_ok(pairs[i].value))
            return POSTERN_INVALID;
    }
    return pn_facts_add_auth(h->facts, &auth) ? POSTERN_OK : POSTERN_LIMIT;
}

int host_note_set(struct postern_call *c, struct postern_str key, struct postern_str value)
{
    struct host_call *h = host_of(c);
    struct pn_note note = {pn_str_of(h->plugin->desc->name), host_view(key), host_view(value)};
    if (!property_ok(note.key))
        return POSTERN_INVALID;
    if (note.value.len > HOST_NOTE_MAX)
        return POSTERN_LIMIT;
    return pn_facts_set_note(h->facts, &note) ? POSTERN_OK : POSTERN_LIMIT;
}

/* ---- hearing: the request's earlier facts, then those of calls done since */

static bool may_read(const struct host_call *h, struct pn_str plugin)
{
    if (pn_str_eq(plugin, pn_str_of(h->plugin->desc->name)))
        return true;
    for (const char *const *a = h->plugin->desc->after; a != NULL && *a != NULL; a++)
        if (pn_str_eq(plugin, pn_str_of(*a)))
            return true;
    return false;
}

static const struct pn_facts *layer(struct host_call *h, size_t n)
{
    if (n == 0)
        return h->earlier;
    return h->done_facts == NULL ? NULL : h->done_facts(h, n - 1);
}

int host_seen(struct postern_call *c, size_t n, struct postern_fact *out)
{
    struct host_call *h = host_of(c);
    const struct pn_facts *f;
    for (size_t l = 0; (f = layer(h, l)) != NULL; l++)
        for (size_t i = 0; i < f->symbol_count; i++) {
            const struct pn_fact *s = &f->symbols[i];
            if (!may_read(h, s->plugin) || n-- > 0)
                continue;
            *out = (struct postern_fact){host_str(s->plugin), host_str(s->name),
                                         host_str(s->detail), s->weight};
            return POSTERN_OK;
        }
    return POSTERN_NONE;
}

int host_seen_auth(struct postern_call *c, struct postern_str method, size_t n,
                   struct postern_auth *out)
{
    struct host_call *h = host_of(c);
    const struct pn_facts *f;
    for (size_t l = 0; (f = layer(h, l)) != NULL; l++)
        for (size_t i = 0; i < f->auth_count; i++) {
            const struct pn_auth *a = &f->auth[i];
            if (!may_read(h, a->plugin) || !pn_str_eq(a->method, host_view(method)) || n-- > 0)
                continue;
            *out = (struct postern_auth){host_str(a->method), host_str(a->result), a->count,
                                         (const void *)a->properties};
            return POSTERN_OK;
        }
    return POSTERN_NONE;
}

int host_note_get(struct postern_call *c, const char *plugin, struct postern_str key,
                  struct postern_str *out)
{
    struct host_call *h = host_of(c);
    struct pn_str of = pn_str_of(plugin != NULL ? plugin : h->plugin->desc->name);
    const struct pn_note *found = NULL;
    const struct pn_facts *f;
    if (!may_read(h, of))
        return POSTERN_NONE;
    bool own = pn_str_eq(of, pn_str_of(h->plugin->desc->name));
    for (size_t l = 0; (f = layer(h, l)) != NULL; l++)
        for (size_t i = 0; i < f->note_count; i++)
            if (pn_str_eq(f->notes[i].plugin, of) && pn_str_eq(f->notes[i].key, host_view(key)))
                found = &f->notes[i];
    for (size_t i = 0; own && i < h->facts->note_count; i++)
        if (pn_str_eq(h->facts->notes[i].key, host_view(key)))
            found = &h->facts->notes[i];
    if (found == NULL)
        return POSTERN_NONE;
    *out = host_str(found->value);
    return POSTERN_OK;
}
