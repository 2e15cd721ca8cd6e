/* A check's lookups, and addresses of answers. */
#include "spf_check.h"

#include "spf_text.h"

enum { ESCAPED_MAX = 2 * SPF_NAME_MAX };

enum spf_match spf_error_with(struct spf_check *c, enum spf_match error, const char *problem)
{
    c->out->problem = problem;
    return error;
}

/* As text for the callbacks: a backslash is a byte of the name, not an escape. False: it
 * can't be a name. */
static bool escape_name(struct postern_str name, char room[ESCAPED_MAX], struct postern_str *out)
{
    struct spf_text t = {room, 0, ESCAPED_MAX, false};
    for (size_t i = 0; i < name.len; i++) {
        if (name.p[i] == '\\')
            spf_addc(&t, '\\');
        spf_addc(&t, name.p[i]);
    }
    *out = (struct postern_str){t.p, t.len};
    return !t.full;
}

int spf_ask(const struct spf_query *q, struct postern_str name, uint32_t type,
            const struct postern_dns_answer **answer)
{
    char room[ESCAPED_MAX];
    struct postern_str text;
    if (!escape_name(name, room, &text))
        return POSTERN_NONE;
    int status = q->lookup(q->ctx, text, type, answer);
    if (status == POSTERN_INVALID)
        return POSTERN_NONE;
    if (status != POSTERN_OK)
        return status == POSTERN_DEADLINE ? status : POSTERN_ERROR;
    if ((*answer)->rcode == POSTERN_DNS_NXDOMAIN)
        return POSTERN_NONE;
    if ((*answer)->rcode != POSTERN_DNS_NOERROR)
        return POSTERN_ERROR;
    return (*answer)->count == 0 ? POSTERN_NONE : POSTERN_OK;
}

/* POSTERN_OK with an answer, POSTERN_NONE: no such name or no such record (void), else an
 * error. A name that can't be has no records. */
int spf_lookup(struct spf_check *c, struct postern_str name, uint32_t type,
               const struct postern_dns_answer **answer)
{
    int status = spf_ask(c->q, name, type, answer);
    if (status != POSTERN_DEADLINE)
        return status;
    c->status = status;
    return POSTERN_ERROR;
}

void spf_start(struct spf_check *c, struct postern_str name, uint32_t type)
{
    char room[ESCAPED_MAX];
    struct postern_str text;
    if (c->q->start != NULL && escape_name(name, room, &text))
        c->q->start(c->q->ctx, text, type);
}

/* A lookup of a term: too many without an answer are an error (section 4.6.4). */
enum spf_match spf_term_lookup(struct spf_check *c, struct postern_str name, uint32_t type,
                               const struct postern_dns_answer **answer)
{
    int status = spf_lookup(c, name, type, answer);
    if (status == POSTERN_OK)
        return SPF_MATCH_YES;
    if (status != POSTERN_NONE)
        return spf_error_with(c, SPF_MATCH_TEMPERROR, "a lookup failed");
    if (++c->voids > c->q->voids_max)
        return spf_error_with(c, SPF_MATCH_PERMERROR, "too many lookups without an answer");
    return SPF_MATCH_NO;
}

uint32_t spf_address_type(const struct spf_check *c)
{
    return c->q->is_ipv4 ? POSTERN_DNS_A : POSTERN_DNS_AAAA;
}

/* The first bits of both; of IPv4 those of the last four bytes. */
bool spf_in_network(const struct spf_check *c, const unsigned char *network, unsigned bits)
{
    const unsigned char *ip = c->q->ip + (c->q->is_ipv4 ? 12 : 0);
    unsigned whole = bits / 8, rest = bits % 8;
    if (memcmp(ip, network, whole) != 0)
        return false;
    return rest == 0 || ((ip[whole] ^ network[whole]) & (0xff00U >> rest) & 0xff) == 0;
}

bool spf_has_address(const struct spf_check *c, const struct postern_dns_answer *a, unsigned bits)
{
    size_t len = c->q->is_ipv4 ? 4 : 16;
    for (size_t i = 0; i < a->count; i++)
        if (a->records[i].data.len == len &&
            spf_in_network(c, (const unsigned char *)a->records[i].data.p, bits))
            return true;
    return false;
}
