/* Tests of header fields. */
#include "rules_eval.h"
#include "rules_known.h"
#include "rules_text_in.h"

#include <stdlib.h>

static const struct rules_set *set_of(const struct rules_eval_call *c)
{
    return c->text->set;
}

static struct postern_str get(const struct rules_eval_call *c, const char *spec)
{
    return rules_text_get_one(c->text, spec);
}

static double missing_to(const struct rules_eval_call *c)
{
    return get(c, "To").len == 0 && get(c, "Apparently-To").len == 0;
}

/* ---- the subject ---- */

static bool has_caps_charset(const struct rules_eval_call *c)
{
    struct postern_str raw = get(c, "Subject:raw");
    struct postern_str at = rules_ifind(raw, POSTERN_STR("=?"));
    const char *end = at.p == NULL ? NULL : memchr(at.p + 2, '?', at.len - 2);

    return end != NULL && rules_known(set_of(c), RULES_K_CAPS_CHARSET,
                                      (struct postern_str){at.p + 2, (size_t)(end - at.p) - 2});
}

static double subject_all_caps(const struct rules_eval_call *c)
{
    struct postern_str s = rules_trim(get(c, "Subject"));
    size_t at = 0;
    size_t capitals = 0;
    bool blank = false;

    if (rules_known_next(set_of(c), RULES_K_REPLY_MARKS, s, &at, NULL))
        s = (struct postern_str){s.p + at, s.len - at};
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] >= 'a' && s.p[i] <= 'z')
            return 0;
        capitals += s.p[i] >= 'A' && s.p[i] <= 'Z';
        blank |= rules_is_blank(s.p[i]);
    }
    return blank && s.len >= 10 && capitals > 0 && !has_caps_charset(c);
}

/* "bob: hello", "re: bob", "hello, bob!" */
static bool names_user(struct postern_str subject, struct postern_str user)
{
    static const char marks[] = ",:;!?-";
    struct postern_str s = rules_trim(subject);
    struct postern_str rest;
    size_t n = user.len;

    if (rules_ieq(s, user))
        return true;
    if (rules_starts(s, user) && s.len > n) {
        while (n < s.len && rules_is_blank(s.p[n]))
            n++;
        if (n < s.len && rules_in(s.p[n], marks) && (n + 1 == s.len || rules_is_blank(s.p[n + 1])))
            return true;
    }
    if (rules_istarts(s, POSTERN_STR("re:")) || rules_istarts(s, POSTERN_STR("fw:"))) {
        rest = rules_trim((struct postern_str){s.p + 3, s.len - 3});
        if (rules_ieq(rest, user))
            return true;
        (void)rules_word(&rest);
        return rules_ieq(rest, user);
    }
    if (s.len > 0 && rules_in(s.p[s.len - 1], marks)) {
        s.len--;
        if (rules_iends(s, user)) {
            s = rules_trim((struct postern_str){s.p, s.len - user.len});
            return s.len > 0 && s.p[s.len - 1] == ',';
        }
    }
    return false;
}

static double to_in_subject(const struct rules_eval_call *c)
{
    struct postern_str to = get(c, "To:addr");
    struct postern_str subject = get(c, "Subject");
    const char *at = to.len == 0 ? NULL : memchr(to.p, '@', to.len);

    if (at == NULL)
        return 0;
    if (rules_arg_is(c, 0, "address"))
        return rules_ifind(subject, to).p != NULL;
    to.len = (size_t)(at - to.p);
    return rules_arg_is(c, 0, "user") && to.len > 0 && names_user(subject, to);
}

/* ---- bytes and templates ---- */

static bool is_valid_utf8(struct postern_str s)
{
    for (size_t i = 0; i < s.len;) {
        unsigned char b = (unsigned char)s.p[i];
        size_t n = b < 0x80                ? 1
                   : b >= 0xc2 && b < 0xe0 ? 2
                   : b >= 0xe0 && b < 0xf0 ? 3
                   : b >= 0xf0 && b < 0xf5 ? 4
                                           : 0;

        if (n == 0 || n > s.len - i)
            return false;
        for (size_t k = 1; k < n; k++)
            if (((unsigned char)s.p[i + k] & 0xc0) != 0x80)
                return false;
        i += n;
    }
    return true;
}

static bool is_control(unsigned char b)
{
    return b < 0x20 && b != '\t' && b != '\n' && b != '\r';
}

static double illegal_chars(const struct rules_eval_call *c)
{
    char spec[RULES_NAME_MAX + 8] = {0};
    struct postern_str s;
    size_t high = 0;
    size_t control = 0;
    size_t marks = 0;
    size_t illegal;

    if (c->arg[0].len >= RULES_NAME_MAX)
        return 0;
    memcpy(spec, c->arg[0].p, c->arg[0].len);
    memcpy(spec + c->arg[0].len, ":raw", 5);
    s = get(c, spec);
    for (size_t i = 0; i < s.len; i++) {
        unsigned char b = (unsigned char)s.p[i];

        high += b >= 0x7f;
        control += is_control(b);
        marks += b == 0xa2 || b == 0xa3 || b == 0xae;
    }
    if (s.len == 0 || (high > 0 && control == 0 && is_valid_utf8(s)))
        return 0;
    illegal = high + control;
    if (illegal > 0 && marks == 1 && rules_arg_is(c, 0, "Subject"))
        illegal--;
    return (double)illegal / (double)s.len >= rules_arg_number(c, 1) &&
           (double)illegal >= rules_arg_number(c, 2);
}

static double unresolved_template(const struct rules_eval_call *c)
{
    struct rules_lines all = rules_text_get(c->text, "ALL");

    for (size_t i = 0; i < all.count; i++)
        if (rules_known(set_of(c), RULES_K_TEMPLATE, all.line[i]) &&
            !rules_known(set_of(c), RULES_K_TEMPLATE_FIELD, all.line[i]))
            return 1;
    return 0;
}

static double header_count(const struct rules_eval_call *c)
{
    char spec[RULES_NAME_MAX + 1] = {0};
    struct rules_lines v;
    double n = 0;

    if (c->arg[0].len > RULES_NAME_MAX)
        return 0;
    memcpy(spec, c->arg[0].p, c->arg[0].len);
    v = rules_text_get(c->text, spec);
    for (size_t i = 0; i < v.count; i++) {
        size_t k = 0;

        while (k < i && !rules_eq(v.line[k], v.line[i]))
            k++;
        n += k == i; /* the same twice counts once */
    }
    return n >= rules_arg_number(c, 1) && n <= rules_arg_number(c, 2);
}

static double robot_id(const struct rules_eval_call *c)
{
    struct postern_str from = get(c, "From");
    struct postern_str id;
    size_t at = 0;

    if (!rules_known_next(set_of(c), RULES_K_ROBOT_ID, get(c, "MESSAGEID"), &at, &id))
        return 0;
    from = rules_ifind(from, POSTERN_STR("<"));
    return from.len > id.len + 1 && from.p[id.len + 1] == '>' &&
           rules_eq((struct postern_str){from.p + 1, id.len}, id) &&
           memchr(get(c, "From").p, '"', get(c, "From").len) != NULL;
}

/* ---- addresses ---- */

static struct postern_str two_labels(struct postern_str address)
{
    const char *at = memrchr(address.p, '@', address.len);
    struct postern_str s = {"", 0};
    size_t dots = 0;

    if (at == NULL)
        return s;
    s = (struct postern_str){at + 1, address.len - (size_t)(at + 1 - address.p)};
    for (size_t i = s.len; i-- > 0;)
        if (s.p[i] == '.' && ++dots == 2)
            return (struct postern_str){s.p + i + 1, s.len - i - 1};
    return s;
}

static double from_domains_differ(const struct rules_eval_call *c)
{
    struct postern_str a = two_labels(get(c, "From:addr"));
    struct postern_str b = two_labels(get(c, "EnvelopeFrom:addr"));

    return a.len > 0 && b.len > 0 && !rules_ieq(a, b);
}

static double from_matches_envelope(const struct rules_eval_call *c)
{
    return rules_ieq(get(c, "EnvelopeFrom:addr"), get(c, "From:addr"));
}

/* The sender's address holds the recipient's: "a.test.bob@" for bob@a.test. */
static double ratware_envelope(const struct rules_eval_call *c)
{
    struct postern_str to = get(c, "To:addr");
    struct postern_str from = get(c, "EnvelopeFrom:addr");
    const char *at = to.len == 0 ? NULL : memchr(to.p, '@', to.len);
    struct postern_str domain;
    char want[600];
    size_t user;

    if (at == NULL || from.len == 0 || to.len > sizeof(want) - 2)
        return 0;
    user = (size_t)(at - to.p);
    domain = rules_domain_of(&set_of(c)->names, (struct postern_str){at + 1, to.len - user - 1});
    if (!rules_domain_valid(&set_of(c)->names, domain))
        return 0;
    memcpy(want, domain.p, domain.len);
    want[domain.len] = '.';
    memcpy(want + domain.len + 1, to.p, user);
    want[domain.len + 1 + user] = '@';
    return rules_ifind(from, (struct postern_str){want, domain.len + user + 2}).p != NULL;
}

enum { SORTED_MIN = 7, SIMILAR_MIN = 5, SIMILAR_LEN = 2, RECIPIENTS_MAX = 256 };

/* To, Cc and, if those are few, Bcc; the same twice in a row counts once. */
static size_t recipients(const struct rules_eval_call *c, struct postern_str *out)
{
    static const char *const specs[] = {"ToCc:addr", "Bcc:addr"};
    size_t n = 0;

    for (size_t k = 0; k < 2 && n < SIMILAR_MIN; k++) {
        struct rules_lines v = rules_text_get(c->text, specs[k]);

        for (size_t i = 0; i < v.count && n < RECIPIENTS_MAX; i++)
            if (n == 0 || !rules_ieq(out[n - 1], v.line[i]))
                out[n++] = v.line[i];
    }
    return n;
}

static bool begins_alike(struct postern_str a, struct postern_str b)
{
    size_t n = a.len < SIMILAR_LEN ? a.len : SIMILAR_LEN;

    return (b.len < SIMILAR_LEN ? b.len : SIMILAR_LEN) == n && memcmp(a.p, b.p, n) == 0;
}

static struct postern_str host_of(struct postern_str s)
{
    const char *at = memchr(s.p, '@', s.len);

    return at == NULL ? POSTERN_STR("")
                      : (struct postern_str){at + 1, s.len - (size_t)(at + 1 - s.p)};
}

static double similar_recipients(const struct rules_eval_call *c)
{
    struct postern_str a[RECIPIENTS_MAX];
    size_t n = recipients(c, a);
    double hits = 0;
    double ratio;

    for (size_t i = 0; n >= SIMILAR_MIN && i < n; i++)
        for (size_t k = i + 1; k < n; k++) {
            struct postern_str x = host_of(a[i]);
            struct postern_str y = host_of(a[k]);

            hits += begins_alike(a[i], a[k]);
            hits += begins_alike(x, y) && !rules_eq(x, y);
        }
    ratio = n >= SIMILAR_MIN ? hits / ((double)n * (double)(n - 1) / 2) : 0;
    return (rules_arg_is(c, 0, "undef") || ratio >= rules_arg_number(c, 0)) &&
           (rules_arg_is(c, 1, "undef") || ratio < rules_arg_number(c, 1));
}

static int compare_bytes(struct postern_str a, struct postern_str b)
{
    int order = memcmp(a.p, b.p, a.len < b.len ? a.len : b.len);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static double sorted_recipients(const struct rules_eval_call *c)
{
    struct postern_str a[RECIPIENTS_MAX];
    size_t n = recipients(c, a);

    for (size_t i = 1; i < n; i++)
        if (compare_bytes(a[i - 1], a[i]) > 0)
            return 0;
    return n >= SORTED_MIN;
}

static bool is_listed(const struct rules_eval_call *c, struct postern_str address)
{
    char key[RULES_NAME_MAX * 3];

    if (c->arg[0].len + 1 + address.len > sizeof(key))
        return false;
    memcpy(key, c->arg[0].p, c->arg[0].len);
    key[c->arg[0].len] = ' ';
    memcpy(key + c->arg[0].len + 1, address.p, address.len);
    return rules_names_has(&set_of(c)->names, RULES_ADDRESSES,
                           (struct postern_str){key, c->arg[0].len + 1 + address.len});
}

static double from_listed(const struct rules_eval_call *c)
{
    static const char *const specs[] = {"From:addr", "Envelope-Sender:addr", "Resent-Sender:addr",
                                        "X-Envelope-From:addr", "EnvelopeFrom:addr"};

    for (size_t k = 0; k < sizeof(specs) / sizeof(specs[0]); k++) {
        struct rules_lines v = rules_text_get(c->text, specs[k]);

        for (size_t i = 0; i < v.count; i++)
            if (is_listed(c, v.line[i]))
                return 1;
    }
    return 0;
}

static double reply_to_listed(const struct rules_eval_call *c)
{
    return is_listed(c, get(c, "Reply-To:addr"));
}

const struct rules_eval rules_eval_header[] = {
    {"check_for_missing_to_header", missing_to, 0, 0, 0, false},
    {"subject_is_all_caps", subject_all_caps, 0, 0, 0, false},
    {"check_for_to_in_subject", to_in_subject, 1, 1, 0, false},
    {"check_illegal_chars", illegal_chars, 3, 3, 0, false},
    {"check_unresolved_template", unresolved_template, 0, 0, 0, false},
    {"check_header_count_range", header_count, 3, 3, 0, false},
    {"check_ratware_name_id", robot_id, 0, 0, 0, false},
    {"check_equal_from_domains", from_domains_differ, 0, 0, 0, true},
    {"check_for_matching_env_and_hdr_from", from_matches_envelope, 0, 0, 0, true},
    {"check_ratware_envelope_from", ratware_envelope, 0, 0, 0, true},
    {"similar_recipients", similar_recipients, 2, 2, 0, false},
    {"sorted_recipients", sorted_recipients, 0, 0, 0, false},
    {"check_from_in_list", from_listed, 1, 1, 0, true},
    {"check_replyto_in_list", reply_to_listed, 1, 1, 0, false},
    {.name = NULL}};
