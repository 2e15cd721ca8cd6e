#include "attempt.h"

#include "clock.h"
#include "mem.h"

#include <stdlib.h>

struct attempt {
    unsigned refs;
    uint64_t began_ns;
    struct dest *dest; /* counted */
    char *host;        /* its name, "" for none; owned */
    struct hop_address to;
    const char *protocol; /* OpenSSL's own; NULL: in clear */
    const char *cipher;
    enum pn_tls_verified verified;
};

/* Of one recipient. */
struct tried {
    struct attempt *by; /* counted; NULL: no server */
    uint64_t ms;
};

struct attempt *attempt_new(const struct hop *hop, const struct tls_host *host,
                            const struct hop_address *to, const struct pn_tls_info *tls)
{
    struct attempt *a = pn_calloc(1, sizeof *a);
    *a = (struct attempt){.refs = 1,
                          .began_ns = pn_clock_mono_ns(),
                          .dest = dest_ref(hop->dest),
                          .host = pn_strdup(host->name),
                          .to = *to};
    if (tls != NULL)
        attempt_encrypted(a, tls);
    return a;
}

void attempt_encrypted(struct attempt *a, const struct pn_tls_info *tls)
{
    a->protocol = tls->protocol;
    a->cipher = tls->cipher;
    a->verified = tls->verified;
}

struct attempt *attempt_ref(struct attempt *a)
{
    a->refs++;
    return a;
}

void attempt_unref(struct attempt **ap)
{
    struct attempt *a = *ap;
    *ap = NULL;
    if (a == NULL || --a->refs > 0)
        return;
    dest_unref(&a->dest);
    free(a->host);
    free(a);
}

static void tls_json(const struct attempt *a, struct pn_json *j)
{
    static const char *const how[] = {
        [PN_TLS_UNVERIFIED] = "none", [PN_TLS_BY_AUTHORITY] = "pki", [PN_TLS_BY_DANE] = "dane"};
    if (a->protocol == NULL) {
        pn_json_null(j, "tls");
        return;
    }
    pn_json_object(j, "tls");
    pn_json_str(j, "version", pn_str_of(a->protocol));
    pn_json_str(j, "cipher", pn_str_of(a->cipher));
    pn_json_str(j, "verified", pn_str_of(how[a->verified]));
    pn_json_object_end(j);
}

static void print(const struct attempt *a, uint64_t ms, struct pn_json *j)
{
    char ip[PN_IP_TEXT_MAX];
    if (a->dest->is.name.len != 0)
        pn_json_str(j, "destination", a->dest->is.name);
    if (a->host[0] != '\0')
        pn_json_str(j, "host", pn_str_of(a->host));
    pn_json_str(j, "ip", pn_str_of(pn_ip_text(&a->to.ip, ip)));
    pn_json_i64(j, "port", a->to.port);
    tls_json(a, j);
    pn_json_i64(j, "attempt_ms", (int64_t)ms);
}

static uint64_t age_ms(const struct attempt *a)
{
    return (pn_clock_mono_ns() - a->began_ns) / PN_NS_PER_MS;
}

void attempt_print(const struct attempt *a, struct pn_json *j)
{
    print(a, age_ms(a), j);
}

void attempt_settles(struct message *m, uint32_t index, struct attempt *a)
{
    struct message_work *w = m->work;
    if (w->tried == NULL && a == NULL)
        return;
    if (w->tried == NULL)
        w->tried = pn_calloc(m->rcpt_count, sizeof *w->tried);
    struct tried *t = &w->tried[index];
    attempt_unref(&t->by);
    if (a == NULL)
        return;
    t->by = attempt_ref(a);
    t->ms = age_ms(a);
}

void attempt_json(const struct message *m, uint32_t index, struct pn_json *j)
{
    const struct tried *t = m->work->tried == NULL ? NULL : &m->work->tried[index];
    if (t != NULL && t->by != NULL)
        print(t->by, t->ms, j);
}

struct pn_str attempt_server(const struct message *m, uint32_t index, char ip[PN_IP_TEXT_MAX])
{
    const struct attempt *a = m->work->tried == NULL ? NULL : m->work->tried[index].by;
    if (a == NULL)
        return PN_STR("");
    return pn_str_of(a->host[0] != '\0' ? a->host : pn_ip_text(&a->to.ip, ip));
}

void attempts_forget(struct message_work *w, uint32_t count)
{
    for (uint32_t i = 0; w->tried != NULL && i < count; i++)
        attempt_unref(&w->tried[i].by);
    free(w->tried);
    w->tried = NULL;
}
