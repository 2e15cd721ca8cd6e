#include "dkim_sig.h"

#include "dkim_tags.h"
#include "dkim_text.h"

#include <stdio.h>

void dkim_sig_settle(struct dkim_sig *s, enum dkim_result result, const char *reason)
{
    if (s->result != DKIM_PENDING)
        return;
    s->result = result;
    s->reason = reason;
}

/* Labels of letters, digits, "-" and "_", up to 63 bytes: what can be asked for in DNS. */
static bool is_domain(struct postern_str s)
{
    size_t label = 0;

    if (s.len == 0 || s.len > 253)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = dkim_lower(s.p[i]);

        if (c == '.') {
            if (label == 0)
                return false;
            label = 0;
            continue;
        }
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_') ||
            ++label > 63)
            return false;
    }
    return label > 0;
}

/* As the DNS has it; false: it is no name. */
static bool read_name(struct dkim_sig *s, const struct dkim_terms *terms, struct postern_str *name)
{
    size_t i = 0;

    while (i < name->len && (unsigned char)name->p[i] < 0x80)
        i++;
    if (i < name->len) {
        s->u_labels = true;
        if (terms->call == NULL ||
            terms->call->host->domain_ascii(terms->call, *name, name) != POSTERN_OK)
            return false;
    }
    return is_domain(*name);
}

static void copy_lower(char *to, struct postern_str s)
{
    for (size_t i = 0; i < s.len; i++)
        to[i] = dkim_lower(s.p[i]);
    to[s.len] = '\0';
}

static const char *read_names(struct dkim_sig *s, const struct dkim_tags *tags,
                              const struct dkim_terms *terms)
{
    const struct dkim_tag *d = dkim_tag(tags, "d");
    const struct dkim_tag *sel = dkim_tag(tags, "s");
    struct postern_str name;
    int n;

    if (d == NULL || sel == NULL)
        return d == NULL ? "no d= tag" : "no s= tag";
    name = d->value;
    if (!read_name(s, terms, &name))
        return "malformed d= tag";
    copy_lower(s->domain, name);
    name = sel->value;
    if (!read_name(s, terms, &name))
        return "malformed s= tag";
    memcpy(s->selector, name.p, name.len);
    s->selector[name.len] = '\0';
    n = snprintf(s->query, sizeof(s->query), "%s._domainkey.%s", s->selector, s->domain);
    return n < 0 || n > 253 ? "selector and domain are too long" : NULL;
}

/* What can be stated as it stands: nothing that a fold or foreign bytes are in. */
static bool is_word(struct postern_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] <= ' ' || s.p[i] == 0x7f)
            return false;
    return s.len <= 40;
}

static const char *read_algorithm(struct dkim_sig *s, const struct dkim_tags *tags)
{
    const struct dkim_tag *v = dkim_tag(tags, "v");
    const struct dkim_tag *a = dkim_tag(tags, "a");

    if (v == NULL || v->value.len != 1 || v->value.p[0] != '1')
        return "unsupported version";
    if (a == NULL)
        return "no a= tag";
    if (is_word(a->value))
        s->algorithm = a->value;
    if (dkim_ieq(a->value, POSTERN_STR("rsa-sha256")))
        s->alg = DKIM_RSA_SHA256;
    else if (dkim_ieq(a->value, POSTERN_STR("ed25519-sha256")))
        s->alg = DKIM_ED25519_SHA256;
    else if (dkim_ieq(a->value, POSTERN_STR("rsa-sha1")))
        s->alg = DKIM_RSA_SHA1;
    else
        return "unsupported algorithm";
    return NULL;
}

static bool read_form(struct postern_str word, bool *relaxed)
{
    *relaxed = dkim_ieq(word, POSTERN_STR("relaxed"));
    return *relaxed || dkim_ieq(word, POSTERN_STR("simple"));
}

static const char *read_canon(struct dkim_sig *s, const struct dkim_tags *tags)
{
    const struct dkim_tag *c = dkim_tag(tags, "c");
    const struct dkim_tag *l = dkim_tag(tags, "l");
    struct postern_str rest;

    if (c != NULL) {
        rest = c->value;
        if (!read_form(dkim_split(&rest, '/'), &s->header_relaxed) ||
            (rest.p != NULL && !read_form(dkim_trim(rest), &s->body_relaxed)))
            return "unsupported canonicalization";
    }
    s->has_length = l != NULL;
    if (l != NULL && !dkim_number(l->value, &s->length))
        return "malformed l= tag";
    return NULL;
}

static const char *read_header_list(struct dkim_sig *s, const struct dkim_tags *tags)
{
    const struct dkim_tag *h = dkim_tag(tags, "h");
    struct postern_str rest;
    size_t n = 0;

    if (h == NULL || h->value.len == 0)
        return "no h= tag";
    s->names = rest = h->value;
    while (rest.p != NULL) {
        if (++n > DKIM_NAMES_MAX)
            return "too many names in h=";
        s->from_names += dkim_ieq(dkim_split(&rest, ':'), POSTERN_STR("from"));
    }
    if (s->from_names > 0)
        return NULL;
    s->flags |= DKIM_SIG_FROM_UNSIGNED;
    return "From is not signed";
}

static const char *read_bytes(struct dkim_sig *s, const struct dkim_tags *tags, const char *field)
{
    const struct dkim_tag *bh = dkim_tag(tags, "bh");
    const struct dkim_tag *b = dkim_tag(tags, "b");
    long n;

    if (bh == NULL || b == NULL)
        return bh == NULL ? "no bh= tag" : "no b= tag";
    /* rsa-sha1 has a shorter one; it is refused by its name. */
    n = dkim_base64(bh->value, s->bh, sizeof(s->bh));
    if (n != sizeof(s->bh) && s->alg != DKIM_RSA_SHA1)
        return "malformed bh= tag";
    n = dkim_base64(b->value, s->b, sizeof(s->b));
    if (n <= 0)
        return "malformed b= tag";
    s->b_len = (size_t)n;
    s->b_from = (size_t)(b->space.p - field);
    s->b_to = s->b_from + b->space.len;
    return NULL;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* dkim-quoted-printable (RFC 6376, section 2.11): "=" and two hex digits; blanks and
 * folds are none of it. False: malformed, or longer than max. */
static bool unquote(struct postern_str s, char *out, size_t max, size_t *len)
{
    *len = 0;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];

        if (dkim_is_fws(c))
            continue;
        if (c == '=') {
            if (s.len - i < 3 || hex_digit(s.p[i + 1]) < 0 || hex_digit(s.p[i + 2]) < 0)
                return false;
            c = (char)(hex_digit(s.p[i + 1]) << 4 | hex_digit(s.p[i + 2]));
            i += 2;
        }
        if (*len == max)
            return false;
        out[(*len)++] = c;
    }
    return true;
}

/* i= must lie within d= (RFC 6376, section 6.1.1). */
static const char *read_identity(struct dkim_sig *s, const struct dkim_tags *tags,
                                 const struct dkim_terms *terms)
{
    const struct dkim_tag *i = dkim_tag(tags, "i");
    size_t domain = strlen(s->domain);
    char text[1024];
    struct postern_str name;
    size_t len;
    size_t at;

    if (i == NULL)
        return NULL;
    if (!unquote(i->value, text, sizeof(text), &len))
        return "malformed i= tag";
    for (at = len; at > 0 && text[at - 1] != '@'; at--)
        ;
    name = (struct postern_str){text + at, len - at};
    if (at == 0 || !read_name(s, terms, &name))
        return "malformed i= tag";
    len = name.len;
    copy_lower(s->identity, name);
    if (len < domain || memcmp(s->identity + len - domain, s->domain, domain) != 0 ||
        (len > domain && s->identity[len - domain - 1] != '.'))
        return "i= is not within d=";
    return NULL;
}

static const char *read_times(struct dkim_sig *s, const struct dkim_tags *tags,
                              const struct dkim_terms *terms)
{
    const struct dkim_tag *t = dkim_tag(tags, "t");
    const struct dkim_tag *x = dkim_tag(tags, "x");
    uint64_t made = 0;
    uint64_t ends = 0;

    if (t != NULL && !dkim_number(t->value, &made))
        return "malformed t= tag";
    if ((int64_t)made > terms->now + terms->skew)
        s->flags |= DKIM_SIG_FUTURE;
    if (x == NULL)
        return NULL;
    if (!dkim_number(x->value, &ends))
        return "malformed x= tag";
    if (t != NULL && ends < made)
        return "x= is before t=";
    if ((int64_t)ends >= terms->now)
        return NULL;
    s->flags |= DKIM_SIG_EXPIRED;
    return "signature expired";
}

static const char *read_query(const struct dkim_tags *tags)
{
    const struct dkim_tag *q = dkim_tag(tags, "q");

    if (q != NULL && !dkim_list_has(q->value, POSTERN_STR("dns/txt")))
        return "unsupported q= tag";
    return NULL;
}

/* In the order in which the verdict is most useful: names first, so that even a broken
 * signature is listed with its domain. */
static const char *read_tags(struct dkim_sig *s, const struct dkim_tags *tags, const char *field,
                             const struct dkim_terms *terms)
{
    const char *names = read_names(s, tags, terms);
    const char *error = read_algorithm(s, tags);

    if (error == NULL)
        error = names;
    if (error == NULL)
        error = read_canon(s, tags);
    if (error == NULL)
        error = read_header_list(s, tags);
    if (error == NULL)
        error = read_bytes(s, tags, field);
    if (error == NULL)
        error = read_identity(s, tags, terms);
    if (error == NULL)
        error = read_query(tags);
    if (error == NULL)
        error = read_times(s, tags, terms);
    return error;
}

static void sig_read(struct dkim_sig *s, const struct dkim_message *m, size_t field,
                     const struct dkim_terms *terms)
{
    const struct dkim_field *f = &m->fields[field];
    struct dkim_tags tags;
    const char *error = dkim_tags_parse(&tags, dkim_field_value(f), 0);

    s->field = field;
    s->froms = m->froms;
    if (error == NULL)
        error = read_tags(s, &tags, f->raw.p, terms);
    if (error != NULL) {
        dkim_sig_settle(s, DKIM_PERMERROR, error);
        return;
    }
    if (m->froms == 0)
        dkim_sig_settle(s, DKIM_PERMERROR, "no From field to sign");
    if (m->truncated)
        dkim_sig_settle(s, DKIM_PERMERROR, "too many header fields");
    if (s->alg == DKIM_RSA_SHA1) {
        s->flags |= DKIM_SIG_SHA1; /* RFC 8301, section 3.1 */
        dkim_sig_settle(s, DKIM_POLICY, "rsa-sha1 is no longer accepted");
    }
    if ((s->flags & DKIM_SIG_FUTURE) != 0) /* RFC 6376, section 3.5, t= */
        dkim_sig_settle(s, DKIM_POLICY, "signed in the future");
}

size_t dkim_sigs_read(const struct dkim_message *m, struct dkim_sig *sigs, size_t max,
                      const struct dkim_terms *terms)
{
    size_t n = 0;

    for (size_t i = 0; i < m->count && n < max; i++) {
        if (!dkim_ieq(dkim_field_name(&m->fields[i]), POSTERN_STR("DKIM-Signature")))
            continue;
        sigs[n] = (struct dkim_sig){.min_bits = terms->min_bits};
        sig_read(&sigs[n++], m, i, terms);
    }
    return n;
}

static void judge_valid(struct dkim_sig *s)
{
    if (s->from_names != s->froms)
        s->flags |= s->from_names < s->froms ? DKIM_SIG_FROM_ADDED : DKIM_SIG_OVERSIGNED;
    if (!s->has_length || s->tail == 0) {
        dkim_sig_settle(s, DKIM_PASS, NULL);
        return;
    }
    s->flags |= DKIM_SIG_PARTIAL;
    dkim_sig_settle(s, DKIM_NEUTRAL, "l= leaves a part of the body unsigned");
}

void dkim_sig_judge(struct dkim_sig *s)
{
    if (s->result != DKIM_PENDING)
        return;
    if (s->key.testing)
        s->flags |= DKIM_SIG_TESTING;
    switch (s->check) {
    case DKIM_CHECK_VALID:
        judge_valid(s);
        return;
    case DKIM_CHECK_BODY:
        dkim_sig_settle(s, DKIM_FAIL, "body hash did not verify");
        return;
    case DKIM_CHECK_SIGNATURE:
        dkim_sig_settle(s, DKIM_FAIL, "signature did not verify");
        return;
    case DKIM_CHECK_LENGTH:
        dkim_sig_settle(s, DKIM_PERMERROR, "l= is more than the body has");
        return;
    case DKIM_CHECK_KEY:
        dkim_sig_settle(s, DKIM_PERMERROR, "key can't be decoded");
        return;
    case DKIM_CHECK_SHORT:
        s->flags |= DKIM_SIG_WEAK_KEY; /* RFC 8301, section 3.2 */
        dkim_sig_settle(s, DKIM_POLICY, "key is too short");
        return;
    case DKIM_CHECK_TIME:
        dkim_sig_settle(s, DKIM_PERMERROR, "outside its time by the engine's clock");
        return;
    case DKIM_CHECK_NONE:
    case DKIM_CHECK_FAILED:
        break;
    }
    dkim_sig_settle(s, DKIM_TEMPERROR, "verification failed to run");
}

struct postern_str dkim_result_word(enum dkim_result result)
{
    switch (result) {
    case DKIM_PASS:
        return POSTERN_STR("pass");
    case DKIM_FAIL:
        return POSTERN_STR("fail");
    case DKIM_POLICY:
        return POSTERN_STR("policy");
    case DKIM_NEUTRAL:
        return POSTERN_STR("neutral");
    case DKIM_PERMERROR:
        return POSTERN_STR("permerror");
    case DKIM_PENDING:
    case DKIM_TEMPERROR:
        break;
    }
    return POSTERN_STR("temperror");
}

struct postern_str dkim_signature_word(const struct dkim_sig *s)
{
    switch (s->check) {
    case DKIM_CHECK_VALID:
        return POSTERN_STR("valid");
    case DKIM_CHECK_BODY:
    case DKIM_CHECK_SIGNATURE:
    case DKIM_CHECK_LENGTH:
        return POSTERN_STR("invalid");
    default:
        return POSTERN_STR("unchecked");
    }
}
