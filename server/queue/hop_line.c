#include "hop_line.h"

#include "mem.h"

#include <stdlib.h>

/* One sender's. */
struct flow {
    struct flow *next;
    uint64_t sender;
    struct parcel *first, *last;
    size_t parcels;
};

void line_init(struct line *line)
{
    *line = (struct line){.first = NULL};
    line->end = &line->first;
}

/* "user+bounce=x@example.net" is who "user@example.net" is. */
static struct pn_str without_tag(struct pn_str address)
{
    for (size_t i = 1; i < address.len; i++)
        if (strchr("+=", address.p[i]) != NULL)
            return pn_str_slice(address, 0, i);
    return address;
}

uint64_t line_sender(const struct pn_envelope *env)
{
    bool ours = (env->flags & PN_ENV_SUBMITTED) != 0;
    struct pn_str who = ours ? without_tag(env->reverse_path) : dest_domain(env->reverse_path);
    return pn_str_hash(who, ours, true);
}

static bool is_bulk(const struct message *m)
{
    return m->rcpt_count >= BULK_RECIPIENTS;
}

static struct flow *flow_of(const struct line *line, uint64_t sender)
{
    struct flow *f = line->first;
    while (f != NULL && f->sender != sender)
        f = f->next;
    return f;
}

static void flow_append(struct line *line, struct flow *f)
{
    f->next = NULL;
    *line->end = f;
    line->end = &f->next;
}

static struct flow *flow_take(struct line *line)
{
    struct flow *f = line->first;
    line->first = f->next;
    if (line->first == NULL)
        line->end = &line->first;
    return f;
}

static bool fits(const struct parcel *p, const struct message *m, const struct pn_recipient *to)
{
    const struct pn_recipient *first = &m->work->env.recipients[p->indices[0]];
    return p->m == m && p->count < PARCEL_RECIPIENTS_MAX && first->group == to->group &&
           pn_str_eq(first->from, to->from);
}

bool line_put(struct line *line, struct message *m, uint32_t index, size_t most)
{
    uint64_t sender = line_sender(&m->work->env);
    struct flow *f = flow_of(line, sender);
    size_t mine = f == NULL ? 0 : f->parcels;
    if (mine > 0 && fits(f->last, m, &m->work->env.recipients[index])) {
        f->last->indices[f->last->count++] = index;
        return true;
    }
    if (line->parcels >= most || (mine > 0 && mine >= most - line->parcels))
        return false;
    if (f == NULL) {
        f = pn_calloc(1, sizeof *f);
        f->sender = sender;
        flow_append(line, f);
    }
    struct parcel *p = pn_alloc(sizeof *p);
    p->m = m;
    p->next = NULL;
    p->count = 1;
    p->indices[0] = index;
    if (f->first == NULL)
        f->first = p;
    else
        f->last->next = p;
    f->last = p;
    f->parcels++;
    line->parcels++;
    line->ordinary += !is_bulk(m);
    m->under_way++; /* the pin */
    return true;
}

/* Its first recipients, as a parcel of their own. */
static struct parcel *split(struct parcel *p, uint32_t recipients)
{
    struct parcel *head = pn_alloc(sizeof *head);
    head->m = p->m;
    head->next = NULL;
    head->count = recipients;
    memcpy(head->indices, p->indices, recipients * sizeof p->indices[0]);
    p->count -= recipients;
    memmove(p->indices, p->indices + recipients, p->count * sizeof p->indices[0]);
    p->m->under_way++;
    return head;
}

struct parcel *line_take(struct line *line, uint32_t recipients)
{
    if (line->first == NULL || recipients == 0)
        return NULL;
    struct flow *f = flow_take(line);
    struct parcel *p = f->first;
    if (p->count > recipients) {
        flow_append(line, f);
        return split(p, recipients);
    }
    f->first = p->next;
    f->parcels--;
    line->parcels--;
    line->ordinary -= !is_bulk(p->m);
    if (f->first == NULL)
        free(f);
    else
        flow_append(line, f);
    return p;
}

void parcel_free(struct parcel *p)
{
    struct message *m = p->m;
    free(p);
    run_unpin(m);
}
