#include "dns_reply.h"

enum { HEADER = 12, CLASS_IN = 1 };

struct packet {
    const unsigned char *p;
    size_t len;
    size_t at;
    bool bad; /* sticky: whatever was read since is zero */
};

struct record {
    unsigned char owner[PN_DNS_NAME_MAX];
    uint16_t type, class_;
    uint32_t ttl;
    size_t data, end; /* offsets of the rdata */
};

static unsigned take(struct packet *p, size_t bytes)
{
    unsigned v = 0;
    if (p->bad || bytes > p->len - p->at) {
        p->bad = true;
        return 0;
    }
    while (bytes-- > 0)
        v = v << 8 | p->p[p->at++];
    return v;
}

/* A name in canonical wire form (dns.h). Returns its length; 0 with p->bad. A pointer must
 * lead to before the place where the labels at hand began, so that it ends. */
static size_t take_name(struct packet *p, unsigned char name[PN_DNS_NAME_MAX])
{
    size_t len = 0, at = p->at, start = at, resume = 0;
    while (!p->bad) {
        if (at >= p->len)
            break;
        unsigned n = p->p[at];
        if (n >= 0xc0) {
            if (at + 2 > p->len)
                break;
            size_t to = (n & 0x3fU) << 8 | p->p[at + 1];
            if (to >= start)
                break;
            resume = resume == 0 ? at + 2 : resume;
            at = start = to;
            continue;
        }
        if (n > 63 || n > p->len - at - 1 || len + 1 + n + (n != 0) > PN_DNS_NAME_MAX)
            break;
        name[len++] = (unsigned char)n;
        for (size_t i = 1; i <= n; i++)
            name[len++] = (unsigned char)pn_lower((char)p->p[at + i]);
        at += 1 + n;
        if (n == 0) {
            p->at = resume == 0 ? at : resume;
            return len;
        }
    }
    p->bad = true;
    name[0] = 0;
    return 0;
}

static void take_record(struct packet *p, struct record *rr)
{
    (void)take_name(p, rr->owner);
    rr->type = (uint16_t)take(p, 2);
    rr->class_ = (uint16_t)take(p, 2);
    rr->ttl = (uint32_t)take(p, 4);
    size_t len = take(p, 2);
    rr->data = p->at;
    if (p->bad || len > p->len - p->at)
        p->bad = true;
    else
        p->at += len;
    rr->end = p->at;
}

static bool same_name(const unsigned char *a, const unsigned char *b)
{
    size_t at = 0;
    while (a[at] == b[at] && a[at] != 0) {
        if (memcmp(a + at, b + at, 1U + a[at]) != 0)
            return false;
        at += 1U + a[at];
    }
    return a[at] == b[at];
}

/* Appends the rdata in dns.h's form. False: malformed. */
static bool decode(const struct packet *packet, const struct record *rr, struct pn_buf *out)
{
    /* Pointers in it lead into the packet, but it ends where the rdata does. */
    struct packet p = {packet->p, rr->end, rr->data, false};
    unsigned char name[PN_DNS_NAME_MAX];
    size_t len = rr->end - rr->data;
    switch (rr->type) {
    case PN_DNS_A:
    case PN_DNS_AAAA:
        (void)pn_buf_add(out, p.p + p.at, len);
        return len == (rr->type == PN_DNS_A ? 4U : 16U);
    case PN_DNS_TXT:
        while (!p.bad && p.at < p.len) {
            size_t n = take(&p, 1);
            if (n > p.len - p.at)
                return false;
            (void)pn_buf_add(out, p.p + p.at, n);
            p.at += n;
        }
        return len != 0;
    case PN_DNS_MX: {
        unsigned preference = take(&p, 2);
        (void)pn_buf_addc(out, (char)(preference >> 8));
        (void)pn_buf_addc(out, (char)preference);
    } /* fall through */
    case PN_DNS_PTR:
    case PN_DNS_NS:
    case PN_DNS_CNAME:
        if (take_name(&p, name) != 0)
            pn_dns_name_to_text(out, name);
        return !p.bad && p.at == p.len;
    default:
        (void)pn_buf_add(out, p.p + p.at, len);
        return true;
    }
}

static bool keep(struct reply *r, const struct packet *p, const struct record *rr)
{
    struct pn_buf text;
    pn_buf_init(&text, 64 * 1024 + PN_DNS_NAME_MAX);
    bool ok = decode(p, rr, &text);
    bool fits = text.len <= sizeof r->data - r->used && r->answer.count < PN_DNS_RECORDS_MAX &&
                (rr->type != PN_DNS_TXT || text.len <= PN_DNS_TXT_MAX);
    if (ok && fits) {
        if (text.len != 0)
            memcpy(r->data + r->used, text.p, text.len);
        r->records[r->answer.count++] =
            (struct pn_dns_record){rr->ttl, {r->data + r->used, text.len}};
        r->used += text.len;
    }
    pn_buf_fini(&text);
    return ok;
}

/* One pass over the answers: keeps those of `name`, or moves it along a CNAME. */
static bool walk(struct reply *r, struct packet *p, unsigned count, uint16_t type,
                 unsigned char name[PN_DNS_NAME_MAX], unsigned *hops)
{
    for (unsigned i = 0; i < count; i++) {
        struct record rr;
        take_record(p, &rr);
        if (p->bad)
            return false;
        if (rr.class_ != CLASS_IN || !same_name(rr.owner, name))
            continue;
        if (rr.type == type || rr.type == PN_DNS_CNAME)
            r->ttl = rr.ttl < r->ttl ? rr.ttl : r->ttl;
        if (rr.type == type) {
            if (!keep(r, p, &rr))
                return false;
        } else if (rr.type == PN_DNS_CNAME) {
            struct packet target = {p->p, rr.end, rr.data, false};
            if (take_name(&target, name) == 0 || target.at != rr.end || ++*hops > REPLY_CNAMES_MAX)
                return false;
        }
    }
    return true;
}

/* What the SOA behind the answers says; 0 without one. */
static uint32_t negative_ttl(struct packet *p, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct record rr;
        take_record(p, &rr);
        if (p->bad)
            break;
        if (rr.class_ != CLASS_IN || rr.type != PN_DNS_SOA || rr.end - rr.data < 22)
            continue;
        struct packet minimum = {p->p, rr.end, rr.end - 4, false};
        uint32_t least = take(&minimum, 4);
        return rr.ttl < least ? rr.ttl : least;
    }
    return 0;
}

/* TTLs with the highest bit set are none (RFC 2181, section 8). */
static uint32_t ttl_of(const struct reply *r, struct packet *p, unsigned authority)
{
    uint32_t ttl = r->ttl;
    if (r->answer.rcode != PN_DNS_NOERROR && r->answer.rcode != PN_DNS_NXDOMAIN)
        return 0;
    if (r->answer.count == 0) {
        uint32_t none = negative_ttl(p, authority);
        ttl = none < ttl ? none : ttl;
    }
    return ttl > INT32_MAX ? 0 : ttl;
}

static void set_target(struct reply *r, const unsigned char *name)
{
    struct pn_buf b = {.p = r->target, .cap = sizeof r->target, .max = sizeof r->target};
    pn_dns_name_to_text(&b, name);
    r->answer.target = pn_buf_str(&b);
}

bool reply_parse(struct reply *r, struct pn_str packet, uint16_t type)
{
    struct packet p = {(const unsigned char *)packet.p, packet.len, 2, false};
    unsigned char name[PN_DNS_NAME_MAX];
    r->used = 0;
    r->ttl = UINT32_MAX;
    r->answer = (struct pn_dns_answer){.records = r->records};
    if (packet.len < HEADER)
        return false;
    r->answer.rcode = take(&p, 2) & 15;
    unsigned questions = take(&p, 2), answers = take(&p, 2), authority = take(&p, 2);
    p.at = HEADER;
    if (questions != 1 || take_name(&p, name) == 0)
        return false;
    (void)take(&p, 4);
    /* Mostly one pass: the chain comes in order. A pass that only followed CNAMEs is
     * done again, for records that stood before their CNAME. */
    unsigned hops = 0, before;
    size_t start = p.at;
    do {
        before = hops;
        p.at = start;
        if (p.bad || !walk(r, &p, answers, type, name, &hops))
            return false;
    } while (hops != before && r->answer.count == 0);
    if (hops > 0)
        set_target(r, name);
    r->ttl = ttl_of(r, &p, authority);
    r->answer.count = pn_dns_sort(r->records, r->answer.count);
    return true;
}
