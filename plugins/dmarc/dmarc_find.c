#include "dmarc_find.h"

/* ---- who is the author ---- */

bool dmarc_find_name(struct postern_call *c, struct postern_str text, struct dmarc_name *out)
{
    struct postern_str ascii;
    out->len = 0;
    return c->host->domain_ascii(c, text, &ascii) == POSTERN_OK && dmarc_name_of(ascii, out);
}

static void add_author(struct dmarc_authors *a, const struct dmarc_name *domain)
{
    for (size_t i = 0; i < a->count; i++)
        if (dmarc_name_eq(&a->list[i], domain))
            return;
    if (a->count != 0)
        a->problem = "authors of several domains";
    if (a->count < DMARC_AUTHORS_MAX)
        a->list[a->count++] = *domain;
    else
        a->unread = true;
}

/* Somebody stands in the field whose domain is not known. */
static void leave_unread(struct dmarc_authors *a, const char *problem)
{
    a->problem = problem;
    a->unread = true;
}

void dmarc_find_authors(struct postern_call *c, struct dmarc_authors *a)
{
    struct postern_str value, local, domain, display;
    size_t fields = 0, addresses = 0;
    *a = (struct dmarc_authors){.count = 0};
    for (; c->host->header_get(c, "From", fields, &value) == POSTERN_OK; fields++) {
        if (fields == DMARC_AUTHORS_MAX) {
            a->unread = true;
            break;
        }
        for (size_t k = 0;; k++, addresses++) {
            struct dmarc_name name;
            int status = c->host->header_address(c, "From", fields, k, &local, &domain, &display);
            if (status == POSTERN_NONE)
                break;
            if (addresses == DMARC_ADDRESSES_MAX) {
                leave_unread(a, "too many addresses");
                break;
            }
            if (status != POSTERN_OK)
                leave_unread(a, "malformed address");
            else if (!dmarc_find_name(c, domain, &name))
                leave_unread(a, "no domain name in an address");
            else
                add_author(a, &name);
        }
    }
    if (fields == 0)
        a->problem = "no From field";
    else if (fields > 1)
        a->problem = "more than one From field";
    else if (a->count == 0 && a->problem == NULL)
        a->problem = "no address";
}

/* ---- what was authenticated ---- */

bool dmarc_is_word(struct postern_str s, const char *word)
{
    return s.len == strlen(word) && memcmp(s.p, word, s.len) == 0;
}

struct postern_str dmarc_property(const struct postern_auth *a, const char *name)
{
    for (size_t i = 0; i < a->count; i++)
        if (dmarc_is_word(a->properties[i].name, name))
            return a->properties[i].value;
    return (struct postern_str){NULL, 0};
}

/* DMARC takes SPF's MAIL FROM identity only (RFC 9989, section 4.4.2). */
static void add_identifier(struct postern_call *c, struct dmarc_identifiers *ids,
                           const struct postern_auth *a, bool dkim)
{
    struct dmarc_identifier id = {.dkim = dkim, .temporary = dmarc_is_word(a->result, "temperror")};
    if (ids->count == DMARC_IDENTIFIERS_MAX ||
        (!id.temporary && !dmarc_is_word(a->result, "pass")) ||
        (!dkim && dmarc_is_word(dmarc_property(a, "identity"), "helo")) ||
        !dmarc_find_name(c, dmarc_property(a, "domain"), &id.domain))
        return;
    for (size_t i = 0; i < ids->count; i++)
        if (ids->list[i].dkim == dkim && ids->list[i].temporary == id.temporary &&
            dmarc_name_eq(&ids->list[i].domain, &id.domain))
            return;
    ids->list[ids->count++] = id;
}

void dmarc_find_identifiers(struct postern_call *c, struct dmarc_identifiers *ids)
{
    struct postern_auth a;
    ids->count = 0;
    for (size_t n = 0; c->host->seen_auth(c, POSTERN_STR("spf"), n, &a) == POSTERN_OK; n++)
        add_identifier(c, ids, &a, false);
    for (size_t n = 0; c->host->seen_auth(c, POSTERN_STR("dkim"), n, &a) == POSTERN_OK; n++)
        add_identifier(c, ids, &a, true);
}
