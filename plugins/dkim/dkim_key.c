#include "dkim_sig.h"
#include "dkim_tags.h"
#include "dkim_text.h"

/* t=s: the domain of i= must be d= itself (RFC 6376, section 3.6.1). */
static bool strict_breach(const struct dkim_sig *s, const struct dkim_tag *t)
{
    return t != NULL && dkim_list_has(t->value, POSTERN_STR("s")) && s->identity[0] != '\0' &&
           strcmp(s->identity, s->domain) != 0;
}

/* Reads one record. NULL: it is good for this signature. */
static const char *key_read(const struct dkim_sig *s, struct postern_str record,
                            struct dkim_key *key)
{
    struct postern_str kind =
        s->alg == DKIM_ED25519_SHA256 ? POSTERN_STR("ed25519") : POSTERN_STR("rsa");
    struct dkim_tags tags;
    const struct dkim_tag *v;
    const struct dkim_tag *k;
    const struct dkim_tag *p;
    const struct dkim_tag *h;
    const struct dkim_tag *service;
    const struct dkim_tag *t;

    if (dkim_tags_parse(&tags, record, 1) != NULL)
        return "malformed key record";
    v = dkim_tag(&tags, "v");
    k = dkim_tag(&tags, "k");
    p = dkim_tag(&tags, "p");
    h = dkim_tag(&tags, "h");
    service = dkim_tag(&tags, "s");
    t = dkim_tag(&tags, "t");
    if (v != NULL && (v != &tags.tag[0] || !dkim_ieq(v->value, POSTERN_STR("DKIM1"))))
        return "unsupported version of the key record";
    if (p == NULL)
        return "key record without a key";
    if (k == NULL ? s->alg == DKIM_ED25519_SHA256 : !dkim_ieq(k->value, kind))
        return "key is of another kind";
    if (p->value.len == 0)
        return "key is revoked";
    if (h != NULL && !dkim_list_has(h->value, POSTERN_STR("sha256")))
        return "key is not for sha256";
    if (service != NULL && !dkim_list_has(service->value, POSTERN_STR("*")) &&
        !dkim_list_has(service->value, POSTERN_STR("email")))
        return "key is not for mail";
    if (strict_breach(s, t))
        return "key is not for subdomains";
    key->p = p->value;
    key->testing = t != NULL && dkim_list_has(t->value, POSTERN_STR("y"));
    return NULL;
}

void dkim_key_missing(struct dkim_sig *s, const struct postern_dns_answer *answer)
{
    if (answer != NULL &&
        (answer->rcode == POSTERN_DNS_NOERROR || answer->rcode == POSTERN_DNS_NXDOMAIN))
        dkim_sig_settle(s, DKIM_PERMERROR, "no key for signature");
    else
        dkim_sig_settle(s, DKIM_TEMPERROR, "key lookup failed");
}

void dkim_key_choose(struct dkim_sig *s, const struct postern_dns_answer *answer)
{
    const char *error = NULL;

    if (answer == NULL || answer->rcode != POSTERN_DNS_NOERROR || answer->count == 0) {
        dkim_key_missing(s, answer);
        return;
    }
    for (size_t i = 0; i < answer->count; i++) {
        const char *why = key_read(s, answer->records[i].data, &s->key);

        if (why == NULL)
            return;
        if (error == NULL)
            error = why;
    }
    dkim_sig_settle(s, DKIM_PERMERROR, error);
}
