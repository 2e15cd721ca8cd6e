/* From answers to facts. */
#include "dnsbl_ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DETAIL_MAX = 2 * DNSBL_NAME_MAX + 100, REASON_MAX = 90 };

/* The heaviest of what one zone said to one kind of question. */
struct finding {
    const struct dnsbl_question *hit;
    struct dnsbl_result result;
    bool trouble, reason; /* reason: its text was asked for */
    char why[40];
};

static void note_trouble(struct finding *f, const char *why)
{
    if (f->trouble)
        return;
    f->trouble = true;
    (void)snprintf(f->why, sizeof f->why, "%s", why);
}

static void weigh(struct finding *f, const struct dnsbl_zone *zone, const struct dnsbl_question *q)
{
    struct dnsbl_result r;
    char text[40];
    uint16_t rcode = q->answer->rcode;
    if (rcode != POSTERN_DNS_NOERROR && rcode != POSTERN_DNS_NXDOMAIN) {
        note_trouble(f, rcode == POSTERN_DNS_TIMEOUT ? "no answer" : "lookup failed");
        return;
    }
    dnsbl_judge(zone, q->answer, &r);
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

/* ---- reasons */

void dnsbl_reason(struct postern_str data, char *room, size_t size)
{
    size_t n = data.len < size - 1 ? data.len : size - 1;
    for (size_t i = 0; i < n; i++)
        room[i] = data.p[i] >= ' ' && data.p[i] <= '~' ? data.p[i] : '?';
    room[n] = '\0';
}

static struct postern_str name_of(const struct dnsbl_question *one)
{
    return (struct postern_str){one->name, strlen(one->name)};
}

/* As far as the budgets reach; they are out together. */
static int ask_reasons(struct dnsbl_questions *q, struct finding *all, size_t count)
{
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        struct finding *f = &all[i];
        struct dnsbl_use *use = f->hit == NULL ? NULL : &q->use[f->hit->zone];
        if (use == NULL || !q->in->zones[f->hit->zone].reason)
            continue;
        if (use->asked >= q->in->zones[f->hit->zone].max_questions ||
            q->asked >= q->in->max_questions) {
            use->left++;
            continue;
        }
        use->asked++;
        q->asked++;
        any = f->reason =
            q->call->host->dns_start(q->call, name_of(f->hit), POSTERN_DNS_TXT) == POSTERN_OK ||
            any;
    }
    return any ? q->call->host->dns_wait_all(q->call) : (int)POSTERN_OK;
}

/* Puts ": text" behind the detail where there is one. */
static int add_reason(struct dnsbl_questions *q, const struct finding *f, char *detail)
{
    const struct postern_dns_answer *answer;
    size_t len = strlen(detail);
    char text[REASON_MAX + 1];
    if (!f->reason)
        return POSTERN_OK;
    int status = q->call->host->dns_lookup(q->call, name_of(f->hit), POSTERN_DNS_TXT, &answer);
    if (status == POSTERN_DEADLINE)
        return status;
    if (status != POSTERN_OK || answer->count == 0)
        return POSTERN_OK;
    dnsbl_reason(answer->records[0].data, text, sizeof text);
    (void)snprintf(detail + len, DETAIL_MAX - len, ": %s", text);
    return POSTERN_OK;
}

/* ---- facts */

static int fact(struct dnsbl_questions *q, unsigned symbol, const char *detail)
{
    return q->call->host->fact(q->call, symbol, (struct postern_str){detail, strlen(detail)});
}

static int say_one(struct dnsbl_questions *q, const struct dnsbl_zone *zone,
                   const struct finding *f)
{
    char text[DETAIL_MAX];
    int status = POSTERN_OK;
    if (f->trouble) {
        (void)snprintf(text, sizeof text, "%s: %s", zone->name, f->why);
        status = fact(q, DNSBL_SYM_ERROR, text);
    }
    if (f->hit == NULL || status != POSTERN_OK)
        return status;
    (void)snprintf(text, sizeof text, "%s%s%.*s", zone->name, f->hit->about_len == 0 ? "" : " ",
                   (int)f->hit->about_len, f->hit->name);
    status = add_reason(q, f, text);
    if (status != POSTERN_OK)
        return status;
    return q->call->host->fact_weighted(q->call, zone->allow ? DNSBL_SYM_ALLOWED : DNSBL_SYM_LISTED,
                                        (struct postern_str){text, strlen(text)}, f->result.weight);
}

/* What was not asked, and why. */
static int say_unasked(struct dnsbl_questions *q)
{
    char text[DETAIL_MAX];
    int status = POSTERN_OK;
    for (size_t i = 0; i < q->in->zone_count && status == POSTERN_OK; i++) {
        const struct dnsbl_use *use = &q->use[i];
        if (use->suspended != NULL && use->wanted) {
            (void)snprintf(text, sizeof text, "%s: %s", q->in->zones[i].name, use->suspended);
            status = fact(q, DNSBL_SYM_SUSPENDED, text);
        } else if (use->left != 0) {
            (void)snprintf(text, sizeof text, "%s: %u question%s", q->in->zones[i].name, use->left,
                           use->left == 1 ? "" : "s");
            status = fact(q, DNSBL_SYM_LEFT_OUT, text);
        }
    }
    if (status == POSTERN_OK && q->more_hosts) {
        (void)snprintf(text, sizeof text, "links to more than %zu hosts", q->in->max_hosts);
        status = fact(q, DNSBL_SYM_LEFT_OUT, text);
    }
    return status;
}

int dnsbl_say(struct dnsbl_questions *q)
{
    size_t zones = q->in->zone_count, count = zones * DNSBL_KINDS;
    struct finding *all = NULL;
    int status = POSTERN_OK;
    if (q->first != q->count) {
        all = q->call->host->alloc(q->call, count * sizeof *all);
        if (all == NULL)
            return POSTERN_LIMIT;
        for (size_t i = q->first; i < q->count; i++)
            if (q->list[i].answer != NULL)
                weigh(&all[q->list[i].kind * zones + q->list[i].zone],
                      &q->in->zones[q->list[i].zone], &q->list[i]);
        status = ask_reasons(q, all, count);
    }
    for (size_t i = 0; all != NULL && i < count && status == POSTERN_OK; i++)
        status = say_one(q, &q->in->zones[i % zones], &all[i]);
    return status == POSTERN_OK ? say_unasked(q) : status;
}
