#include "dnsbl_ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { QUESTIONS_MAX = 300, PARENT_LABELS_MAX = 4 };

struct dnsbl_question {
    const struct dnsbl_zone *zone;
    enum dnsbl_kind kind;
    size_t about_len; /* the name asked about is so much of `name`; 0: an address */
    char name[DNSBL_NAME_MAX + 1];
};

static struct dnsbl_question *question_add(struct dnsbl_questions *q, const struct dnsbl_zone *zone,
                                           enum dnsbl_kind kind)
{
    if (q->count == QUESTIONS_MAX)
        return NULL;
    if (q->count == q->cap) {
        size_t cap = q->cap == 0 ? 8 : q->cap * 4;
        struct dnsbl_question *list = q->call->host->alloc(q->call, cap * sizeof *list);
        if (list == NULL)
            return NULL;
        if (q->count != 0)
            memcpy(list, q->list, q->count * sizeof *list);
        q->list = list;
        q->cap = cap;
    }
    struct dnsbl_question *one = &q->list[q->count++];
    *one = (struct dnsbl_question){.zone = zone, .kind = kind};
    return one;
}

static void start(struct dnsbl_questions *q, const struct dnsbl_question *one)
{
    (void)q->call->host->dns_start(q->call, (struct postern_str){one->name, strlen(one->name)},
                                   POSTERN_DNS_A);
}

void dnsbl_add_address(struct dnsbl_questions *q, enum dnsbl_kind kind, const unsigned char ip[16],
                       bool is_ipv4)
{
    for (size_t i = 0; i < q->in->zone_count; i++) {
        const struct dnsbl_zone *zone = &q->in->zones[i];
        if ((zone->kinds & 1U << kind) == 0 || (kind == DNSBL_URL && !zone->url_addresses))
            continue;
        struct dnsbl_question *one = question_add(q, zone, kind);
        if (one != NULL && dnsbl_ask_address(zone, ip, is_ipv4, one->name))
            start(q, one);
    }
}

static void ask_one_name(struct dnsbl_questions *q, const struct dnsbl_zone *zone,
                         enum dnsbl_kind kind, struct postern_str name)
{
    struct dnsbl_question *one = question_add(q, zone, kind);
    if (one == NULL)
        return;
    if (!dnsbl_ask_name(zone, name, one->name)) {
        q->count--;
        return;
    }
    one->about_len = name.len;
    start(q, one);
}

static size_t labels_of(struct postern_str name)
{
    size_t labels = 1;
    for (size_t i = 0; i < name.len; i++)
        labels += name.p[i] == '.';
    return labels;
}

/* The name, and if the zone wants them the domains above it, from four labels down to two. */
void dnsbl_add_name(struct dnsbl_questions *q, enum dnsbl_kind kind, struct postern_str text)
{
    char room[DNSBL_NAME_MAX + 1];
    size_t len = dnsbl_domain(text, room);
    for (size_t i = 0; len != 0 && i < q->in->zone_count; i++) {
        const struct dnsbl_zone *zone = &q->in->zones[i];
        struct postern_str name = {room, len};
        if ((zone->kinds & 1U << kind) == 0)
            continue;
        ask_one_name(q, zone, kind, name);
        for (size_t labels = labels_of(name); zone->parents && labels > 2; labels--) {
            const char *dot = memchr(name.p, '.', name.len);
            name.len -= (size_t)(dot + 1 - name.p);
            name.p = dot + 1;
            if (labels - 1 <= PARENT_LABELS_MAX)
                ask_one_name(q, zone, kind, name);
        }
    }
}

/* ---- answers ---- */

/* The heaviest of what one zone said to one kind of question. */
struct finding {
    const struct dnsbl_question *hit;
    struct dnsbl_result result;
    bool trouble;
    char why[40];
};

static void note_trouble(struct finding *f, const char *why)
{
    if (f->trouble)
        return;
    f->trouble = true;
    (void)snprintf(f->why, sizeof f->why, "%s", why);
}

static void weigh(struct finding *f, const struct dnsbl_question *q,
                  const struct postern_dns_answer *answer)
{
    struct dnsbl_result r;
    char text[40];
    if (answer->rcode != POSTERN_DNS_NOERROR && answer->rcode != POSTERN_DNS_NXDOMAIN) {
        note_trouble(f, answer->rcode == POSTERN_DNS_TIMEOUT ? "no answer" : "lookup failed");
        return;
    }
    dnsbl_judge(q->zone, answer, &r);
    if (r.meaning == DNSBL_TROUBLE) {
        (void)snprintf(text, sizeof text, "answered %u.%u.%u.%u", r.trouble[0], r.trouble[1],
                       r.trouble[2], r.trouble[3]);
        note_trouble(f, text);
    } else if (r.meaning == DNSBL_HIT &&
               (f->hit == NULL || abs(r.weight) > abs(f->result.weight))) {
        f->hit = q;
        f->result = r;
    }
}

static int say(struct postern_call *c, const struct dnsbl_zone *zone, const struct finding *f)
{
    char text[2 * DNSBL_NAME_MAX];
    if (f->trouble) {
        (void)snprintf(text, sizeof text, "%s: %s", zone->name, f->why);
        int status = c->host->fact(c, DNSBL_SYM_ERROR, (struct postern_str){text, strlen(text)});
        if (status != POSTERN_OK)
            return status;
    }
    if (f->hit == NULL)
        return POSTERN_OK;
    unsigned symbol = zone->allow ? DNSBL_SYM_ALLOWED : DNSBL_SYM_LISTED;
    (void)snprintf(text, sizeof text, "%s%s%.*s", zone->name, f->hit->about_len == 0 ? "" : " ",
                   (int)f->hit->about_len, f->hit->name);
    struct postern_str detail = {text, strlen(text)};
    return c->host->fact_weighted(c, symbol, detail, f->result.weight);
}

/* Waits for all, then states one fact for each zone and kind. */
int dnsbl_conclude(struct dnsbl_questions *q)
{
    struct postern_call *c = q->call;
    int status = q->count == 0 ? POSTERN_OK : c->host->dns_wait_all(c);
    for (unsigned kind = 0; kind < DNSBL_KINDS && q->count != 0; kind++)
        for (size_t z = 0; z < q->in->zone_count; z++) {
            struct finding f = {.hit = NULL};
            for (size_t i = 0; i < q->count && status == POSTERN_OK; i++) {
                const struct dnsbl_question *one = &q->list[i];
                const struct postern_dns_answer *answer;
                if (one->kind != kind || one->zone != &q->in->zones[z])
                    continue;
                struct postern_str name = {one->name, strlen(one->name)};
                status = c->host->dns_lookup(c, name, POSTERN_DNS_A, &answer);
                if (status == POSTERN_OK)
                    weigh(&f, one, answer);
                else if (status == POSTERN_LIMIT || status == POSTERN_INVALID)
                    status = POSTERN_OK; /* one more than the host lets us ask */
            }
            if (status == POSTERN_OK)
                status = say(c, &q->in->zones[z], &f);
            if (status != POSTERN_OK)
                return status;
        }
    return status;
}
