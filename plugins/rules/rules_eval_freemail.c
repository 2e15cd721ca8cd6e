/* Tests for addresses that anybody gets for nothing, and for replies that go to others. */
#include "rules_eval.h"
#include "rules_known.h"
#include "rules_text_in.h"

enum { BODY_ADDRESSES_MAX = 5, BODY_FREEMAILS_MAX = 3, SEEN_MAX = 40 };

static const struct rules_names *names(const struct rules_eval_call *c)
{
    return &c->text->set->names;
}

static bool is_freemail(const struct rules_eval_call *c, struct postern_str address)
{
    const char *at = address.len == 0 ? NULL : memrchr(address.p, '@', address.len);
    struct postern_str domain;

    if (at == NULL)
        return false;
    domain = (struct postern_str){at + 1, address.len - (size_t)(at + 1 - address.p)};
    return rules_names_has(names(c), RULES_FREEMAIL, domain) &&
           !rules_names_has(names(c), RULES_NOT_FREEMAIL, address) &&
           !rules_names_has(names(c), RULES_NOT_FREEMAIL, domain) &&
           !rules_known(c->text->set, RULES_K_NOT_PERSON, address);
}

static bool counts(const struct rules_eval_call *c, struct postern_str address)
{
    struct postern_str low = rules_lower_dup(&c->text->arena, address);

    return low.p != NULL && is_freemail(c, low) &&
           (c->pattern == NULL || rules_arg_matches(c, low));
}

static double any_of(const struct rules_eval_call *c, struct rules_lines v)
{
    for (size_t i = 0; i < v.count; i++)
        if (counts(c, v.line[i]))
            return 1;
    return 0;
}

static double from(const struct rules_eval_call *c)
{
    static const char *const specs[] = {"From:addr", "Envelope-Sender:addr", "Resent-Sender:addr",
                                        "X-Envelope-From:addr", "EnvelopeFrom:addr"};
    struct rules_lines resent = rules_text_get(c->text, "Resent-From:first:addr");
    double hit = 0;

    if (resent.count > 0)
        return any_of(c, resent);
    for (size_t i = 0; hit == 0 && i < sizeof(specs) / sizeof(specs[0]); i++)
        hit = any_of(c, rules_text_get(c->text, specs[i]));
    return hit;
}

static double header(const struct rules_eval_call *c)
{
    char spec[RULES_NAME_MAX + 8] = {0};
    const char *colon = memchr(c->arg[0].p, ':', c->arg[0].len);
    size_t n = colon == NULL ? c->arg[0].len : (size_t)(colon - c->arg[0].p);

    if (n > RULES_NAME_MAX)
        return 0;
    memcpy(spec, c->arg[0].p, n);
    memcpy(spec + n, ":addr", 6);
    return any_of(c, rules_text_get(c->text, spec));
}

/* ---- addresses in the body ---- */

static bool is_atom(char c)
{
    return rules_is_word(c) || (c != '\0' && rules_in(c, "!#$%&'*+/=?^`{|}~-."));
}

/* The address around the "@" at s[at]; .p NULL: there is none. */
static struct postern_str address_at(const struct rules_eval_call *c, struct postern_str s,
                                     size_t at)
{
    size_t from_at = at;
    size_t to = at + 1;
    struct postern_str host;

    while (from_at > 0 && at - from_at < 64 && is_atom(s.p[from_at - 1]))
        from_at--;
    while (from_at < at && s.p[from_at] == '.')
        from_at++;
    while (to < s.len && (rules_is_word(s.p[to]) || s.p[to] == '-' || s.p[to] == '.') &&
           s.p[to] != '_')
        to++;
    while (to > at && (s.p[to - 1] == '.' || s.p[to - 1] == '-'))
        to--;
    host = (struct postern_str){s.p + at + 1, to - at - (to > at)};
    if (from_at == at || to <= at + 1 || s.p[at - 1] == '.' || !rules_domain_valid(names(c), host))
        return (struct postern_str){NULL, 0};
    return (struct postern_str){s.p + from_at, to - from_at};
}

/* "<a@b.test>", and "a@b.test wrote:", are quotes of whom one answers to. */
static bool is_quoted(struct postern_str s, struct postern_str address)
{
    size_t end = (size_t)(address.p + address.len - s.p);
    size_t begin = (size_t)(address.p - s.p);
    size_t n = end;

    if (begin >= 7 &&
        rules_istarts((struct postern_str){s.p + begin - 7, 7}, POSTERN_STR("mailto:")))
        return false;
    if (end < s.len && s.p[end] == '>')
        return true;
    while (n < s.len && n - end < 10 && rules_is_blank(s.p[n]))
        n++;
    if (n == end)
        return false;
    size_t word = n;
    while (n < s.len && rules_lower(s.p[n]) >= 'a' && rules_lower(s.p[n]) <= 'z')
        n++;
    return n < s.len && s.p[n] == ':' && n - word >= 2 && n - word <= 11 &&
           !rules_istarts((struct postern_str){s.p + word, n - word}, POSTERN_STR("fax")) &&
           !rules_istarts((struct postern_str){s.p + word, n - word}, POSTERN_STR("tel")) &&
           !rules_istarts((struct postern_str){s.p + word, n - word}, POSTERN_STR("phone")) &&
           !rules_istarts((struct postern_str){s.p + word, n - word}, POSTERN_STR("email")) &&
           !rules_istarts((struct postern_str){s.p + word, n - word}, POSTERN_STR("mail"));
}

/* Within a web address. */
static bool is_in_link(struct postern_str s, size_t at)
{
    size_t begin = at;

    while (begin > 0 && !rules_is_blank(s.p[begin - 1]))
        begin--;
    return rules_ifind((struct postern_str){s.p + begin, at - begin}, POSTERN_STR("http://")).p !=
               NULL ||
           rules_ifind((struct postern_str){s.p + begin, at - begin}, POSTERN_STR("https://")).p !=
               NULL;
}

struct found {
    struct postern_str address[SEEN_MAX];
    size_t count;
};

static void add_found(const struct rules_eval_call *c, struct found *f, struct postern_str address)
{
    struct postern_str low = rules_lower_dup(&c->text->arena, address);

    for (size_t i = 0; i < f->count; i++)
        if (rules_eq(f->address[i], low))
            return;
    if (f->count < SEEN_MAX && low.p != NULL)
        f->address[f->count++] = low;
}

static void find_in_links(const struct rules_eval_call *c, struct found *f)
{
    size_t count;
    const struct rules_uri *u = rules_text_uri_list(c->text, &count);

    for (size_t i = 0; i < count; i++) {
        const char *at;

        if ((u[i].where & RULES_URI_A) == 0 || (u[i].where & RULES_URI_PARSED) != 0 ||
            !rules_istarts(u[i].uri, POSTERN_STR("mailto:")))
            continue;
        at = memchr(u[i].uri.p, '@', u[i].uri.len);
        if (at != NULL) {
            struct postern_str a = address_at(c, u[i].uri, (size_t)(at - u[i].uri.p));

            if (a.p != NULL)
                add_found(c, f, a);
        }
    }
}

static void find_in_body(const struct rules_eval_call *c, struct found *f)
{
    struct rules_lines body = rules_text_body(c->text);

    for (size_t i = 0; i < body.count && f->count < SEEN_MAX; i++) {
        struct postern_str s = body.line[i];
        const char *at = memchr(s.p, '@', s.len);

        while (at != NULL) {
            size_t n = (size_t)(at - s.p);
            struct postern_str a = address_at(c, s, n);

            if (a.p != NULL && !is_quoted(s, a) && !is_in_link(s, n))
                add_found(c, f, a);
            at = n + 1 < s.len ? memchr(at + 1, '@', s.len - n - 1) : NULL;
        }
    }
}

/* Free addresses of the body; false: so many addresses tell nothing. */
static bool find_freemails(const struct rules_eval_call *c, struct found *out)
{
    struct found all = {.count = 0};

    out->count = 0;
    find_in_links(c, &all);
    find_in_body(c, &all);
    if (all.count >= BODY_ADDRESSES_MAX)
        return false;
    for (size_t i = 0; i < all.count; i++)
        if (is_freemail(c, all.address[i]))
            out->address[out->count++] = all.address[i];
    return out->count < BODY_FREEMAILS_MAX;
}

static double body(const struct rules_eval_call *c)
{
    struct found f;

    if (!find_freemails(c, &f))
        return 0;
    for (size_t i = 0; i < f.count; i++)
        if (c->pattern == NULL || rules_arg_matches(c, f.address[i]))
            return 1;
    return 0;
}

/* ---- replies ---- */

static bool any_free(const struct rules_eval_call *c, struct rules_lines v)
{
    for (size_t i = 0; i < v.count; i++)
        if (counts(c, v.line[i]))
            return true;
    return false;
}

static bool shares(struct rules_lines a, struct rules_lines b)
{
    for (size_t i = 0; i < a.count; i++)
        for (size_t k = 0; k < b.count; k++)
            if (rules_ieq(a.line[i], b.line[k]))
                return true;
    return false;
}

/* The reply goes to another free address than the sender's, or than one that the body
 * names. */
static double reply_to(const struct rules_eval_call *c)
{
    struct rules_lines sender = rules_text_get(c->text, "From:addr");
    struct rules_lines reply = rules_text_get(c->text, "Reply-To:addr");
    bool from_free = any_free(c, sender);
    bool reply_free = any_free(c, reply);
    struct rules_lines *answer = reply_free ? &reply : &sender;
    struct found f;

    if (rules_known(c->text->set, RULES_K_BULK_SENDER, rules_text_get_one(c->text, "EnvelopeFrom")))
        return 0;
    if (from_free && reply_free && !shares(sender, reply))
        return 1;
    if (rules_arg_is(c, 0, "reply") ? (reply.count > 0 && !reply_free) || !from_free : !reply_free)
        return 0;
    if (!find_freemails(c, &f))
        return 0;
    for (size_t i = 0; i < f.count; i++)
        for (size_t k = 0; k < answer->count; k++)
            if (!rules_ieq(f.address[i], answer->line[k]))
                return 1;
    return 0;
}

const struct rules_eval rules_eval_freemail[] = {
    {"check_freemail_from", from, 0, 1, 1, true},
    {"check_freemail_header", header, 1, 2, 2, true},
    {"check_freemail_body", body, 0, 1, 1, false},
    {"check_freemail_replyto", reply_to, 0, 1, 0, true},
    {.name = NULL}};
