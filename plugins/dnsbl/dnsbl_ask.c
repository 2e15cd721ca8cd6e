#include "dnsbl_ask.h"

#include "dnsbl_proof.h"

#include <stdio.h>
#include <string.h>

enum { PARENT_LABELS_MAX = 4 };

int dnsbl_begin(struct dnsbl_questions *q)
{
    struct postern_str standing = {"", 0};
    q->use = q->call->host->alloc(q->call, (q->in->zone_count + 1) * sizeof *q->use);
    if (q->use == NULL)
        return POSTERN_LIMIT;
    int status = q->in->proofs ? q->call->host->standing(q->call, &standing) : (int)POSTERN_NONE;
    for (size_t i = 0; status == POSTERN_OK && i < q->in->zone_count; i++)
        q->use[i].suspended = dnsbl_state_text(dnsbl_standing_find(standing, &q->in->zones[i]));
    return status < 0 ? status : POSTERN_OK;
}

/* ---- gathering */

static struct dnsbl_question *question_new(struct dnsbl_questions *q)
{
    if (q->count == q->cap) {
        size_t cap = q->cap == 0 ? 8 : q->cap * 2;
        struct dnsbl_question *list = q->call->host->alloc(q->call, cap * sizeof *list);
        q->no_memory = q->no_memory || list == NULL;
        if (list == NULL)
            return NULL;
        if (q->count != 0)
            memcpy(list, q->list, q->count * sizeof *list);
        q->list = list;
        q->cap = cap;
    }
    return &q->list[q->count++];
}

/* One with that name to that zone; of that kind, or of any. */
static const struct dnsbl_question *find(const struct dnsbl_questions *q,
                                         const struct dnsbl_question *like, bool any_kind)
{
    for (size_t i = 0; i < q->count; i++)
        if (q->list[i].zone == like->zone && strcmp(q->list[i].name, like->name) == 0 &&
            (any_kind || q->list[i].kind == like->kind))
            return &q->list[i];
    return NULL;
}

/* Two kinds may ask the same: that is one question of the budget, or one too many. */
static void add(struct dnsbl_questions *q, const struct dnsbl_question *one)
{
    const struct dnsbl_zone *zone = &q->in->zones[one->zone];
    struct dnsbl_use *use = &q->use[one->zone];
    const struct dnsbl_question *same = find(q, one, true);
    use->wanted = use->wanted || use->suspended != NULL;
    if (use->suspended != NULL || (same != NULL && find(q, one, false) != NULL))
        return;
    bool left = same != NULL
                    ? same->left
                    : use->asked == zone->max_questions || q->asked == q->in->max_questions;
    struct dnsbl_question *to = q->count < DNSBL_QUESTIONS_MAX ? question_new(q) : NULL;
    if (to != NULL) {
        *to = *one;
        to->left = left;
    }
    if (left || to == NULL) {
        use->left += same == NULL;
        return;
    }
    use->asked += same == NULL;
    q->asked += same == NULL;
    q->guarded[one->subject] = q->guarded[one->subject] || zone->spares;
}

static bool subject_new(struct dnsbl_questions *q, unsigned *subject)
{
    *subject = q->subjects;
    return q->subjects < DNSBL_SUBJECTS_MAX && q->use != NULL && ++q->subjects != 0;
}

void dnsbl_add_address(struct dnsbl_questions *q, enum dnsbl_kind kind, const unsigned char ip[16],
                       bool is_ipv4)
{
    struct dnsbl_question one = {.kind = kind};
    if (!subject_new(q, &one.subject))
        return;
    for (unsigned i = 0; i < q->in->zone_count; i++) {
        const struct dnsbl_zone *zone = &q->in->zones[i];
        one.zone = i;
        if ((zone->kinds >> kind & 1) != 0 && (kind != DNSBL_URL || zone->url_addresses) &&
            dnsbl_ask_address(zone, ip, is_ipv4, one.name))
            add(q, &one);
    }
}

static void add_name(struct dnsbl_questions *q, struct dnsbl_question *one, struct postern_str name)
{
    if (!dnsbl_ask_name(&q->in->zones[one->zone], name, one->name))
        return;
    one->about_len = name.len;
    add(q, one);
}

static size_t labels_of(struct postern_str name)
{
    size_t labels = 1;
    for (size_t i = 0; i < name.len; i++)
        labels += name.p[i] == '.';
    return labels;
}

/* The domains above the name, from four labels down to two. */
static void add_parents(struct dnsbl_questions *q, struct dnsbl_question *one,
                        struct postern_str name)
{
    for (size_t labels = labels_of(name); labels > 2; labels--) {
        const char *dot = memchr(name.p, '.', name.len);
        name.len -= (size_t)(dot + 1 - name.p);
        name.p = dot + 1;
        if (labels - 1 <= PARENT_LABELS_MAX)
            add_name(q, one, name);
    }
}

static bool is_skipped(const struct dnsbl_instance *in, struct postern_str name)
{
    for (size_t i = 0; i < in->skip_count; i++)
        if (dnsbl_below(name, (struct postern_str){in->skip[i], strlen(in->skip[i])}))
            return true;
    return false;
}

void dnsbl_add_name(struct dnsbl_questions *q, enum dnsbl_kind kind, struct postern_str text)
{
    char room[DNSBL_NAME_MAX + 1];
    struct dnsbl_question one = {.kind = kind};
    struct postern_str name = {room, dnsbl_domain(text, room)};
    if (name.len == 0 || is_skipped(q->in, name) || !subject_new(q, &one.subject))
        return;
    for (unsigned i = 0; i < q->in->zone_count; i++) {
        const struct dnsbl_zone *zone = &q->in->zones[i];
        one.zone = i;
        if ((zone->kinds >> kind & 1) == 0 || (kind == DNSBL_URL && !zone->url_names))
            continue;
        if ((zone->ask & (DNSBL_ASK_HOST | DNSBL_ASK_PARENTS)) != 0)
            add_name(q, &one, name);
        if ((zone->ask & DNSBL_ASK_DOMAIN) != 0)
            add_name(q, &one, dnsbl_registered(q->in->suffixes, room));
        if ((zone->ask & DNSBL_ASK_PARENTS) != 0)
            add_parents(q, &one, name);
    }
}

void dnsbl_earlier(struct dnsbl_questions *q)
{
    q->first = q->count;
    for (size_t i = 0; i < q->in->zone_count; i++) {
        q->use[i].left = 0; /* that stage said so */
        q->use[i].wanted = false;
    }
}

/* ---- asking */

/* Does it wait for what a list of the good says of its subject? */
static bool waits(const struct dnsbl_questions *q, const struct dnsbl_question *one)
{
    return q->guarded[one->subject] && !q->in->zones[one->zone].allow;
}

static struct postern_str name_of(const struct dnsbl_question *one)
{
    return (struct postern_str){one->name, strlen(one->name)};
}

/* Those that wait for others, or the others. */
static void start(struct dnsbl_questions *q, bool waiting)
{
    for (size_t i = q->first; i < q->count; i++)
        if (!q->list[i].left && waits(q, &q->list[i]) == waiting && !q->spared[q->list[i].subject])
            (void)q->call->host->dns_start(q->call, name_of(&q->list[i]), POSTERN_DNS_A);
}

void dnsbl_start(struct dnsbl_questions *q)
{
    start(q, false);
}

/* Takes the answers in of those that wait for others, or of the others. */
static int collect(struct dnsbl_questions *q, bool waiting)
{
    int status = q->first == q->count ? (int)POSTERN_OK : q->call->host->dns_wait_all(q->call);
    for (size_t i = q->first; i < q->count && status == POSTERN_OK; i++) {
        struct dnsbl_question *one = &q->list[i];
        if (one->left || waits(q, one) != waiting || (waiting && q->spared[one->subject]))
            continue;
        status = q->call->host->dns_lookup(q->call, name_of(one), POSTERN_DNS_A, &one->answer);
        if (status == POSTERN_LIMIT || status == POSTERN_INVALID) {
            q->use[one->zone].left++; /* one more than the host lets us ask */
            one->answer = NULL;
            status = POSTERN_OK;
        }
    }
    return status;
}

static bool spare(struct dnsbl_questions *q)
{
    bool any = false;
    for (size_t i = q->first; i < q->count; i++) {
        const struct dnsbl_question *one = &q->list[i];
        const struct dnsbl_zone *zone = &q->in->zones[one->zone];
        struct dnsbl_result r;
        any = any || waits(q, one);
        if (!zone->spares || one->answer == NULL)
            continue;
        dnsbl_judge(zone, one->answer, &r);
        q->spared[one->subject] = q->spared[one->subject] || r.meaning == DNSBL_HIT;
    }
    return any;
}

int dnsbl_conclude(struct dnsbl_questions *q)
{
    if (q->no_memory)
        return POSTERN_LIMIT;
    start(q, false);
    int status = collect(q, false);
    if (status == POSTERN_OK && q->in->spares && spare(q)) {
        start(q, true);
        status = collect(q, true);
    }
    return status == POSTERN_OK ? dnsbl_say(q) : status;
}
