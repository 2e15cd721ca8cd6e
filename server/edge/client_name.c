/*
 * The client's name: what the reverse zone says of its address, if that name has the
 * address (RFC 8601, section 2.7.3 calls it iprev). Asked with a session's first MAIL,
 * so that who only connects costs no question; nothing ever waits for it. It stands in
 * Received and in events, and decides nothing. Where a plugin asks the same and states its
 * result, that one counts, and nothing is asked here.
 */
#include "edge.h"

#include "clock.h"
#include "dns_shelf.h"
#include "mem.h"

#include <stdlib.h>

enum { NAMES_MAX = 4, BUCKETS = 4096, QUEUE_MAX = 1024 * 1024 };

struct name_lookup {
    struct name_lookup *next; /* of its bucket */
    struct session *s;        /* NULL: it went */
    uint64_t id;
    unsigned open;          /* the name at hand; count of those before it */
    unsigned count;         /* of names; 0 while they are asked for */
    char *names[NAMES_MAX]; /* owned */
};

struct client_names {
    struct pn_channel *channel; /* NULL: the resolver is away */
    struct pn_dns_view *shelf;  /* what it shares; NULL: nothing came yet */
    uint64_t last_id;
    struct name_lookup *buckets[BUCKETS];
};

/* ---- the table ---- */

static void add(struct client_names *n, struct name_lookup *l)
{
    struct name_lookup **bucket = &n->buckets[l->id % BUCKETS];
    l->next = *bucket;
    *bucket = l;
}

static struct name_lookup *take(struct client_names *n, uint64_t id)
{
    struct name_lookup **at = &n->buckets[id % BUCKETS];
    while (*at != NULL && (*at)->id != id)
        at = &(*at)->next;
    struct name_lookup *l = *at;
    if (l != NULL)
        *at = l->next;
    return l;
}

static void lookup_free(struct name_lookup *l)
{
    if (l->s != NULL)
        l->s->name_lookup = NULL;
    for (unsigned i = 0; i < l->count; i++)
        free(l->names[i]);
    free(l);
}

static void forget_all(struct client_names *n)
{
    for (size_t i = 0; i < BUCKETS; i++)
        while (n->buckets[i] != NULL)
            lookup_free(take(n, n->buckets[i]->id));
}

/* ---- questions and answers ---- */

static void on_answer(struct client_names *n, struct name_lookup *l,
                      const struct pn_dns_answer *answer);

/* Goes on with what is known; puts it into the table if it was asked, else frees it. */
static void ask(struct client_names *n, struct name_lookup *l, struct pn_str name, uint16_t type)
{
    struct pn_buf body;
    struct pn_dns_found found;
    if (n->shelf != NULL && pn_dns_view_find(n->shelf, name, type, pn_clock_mono_ns(), &found)) {
        on_answer(n, l, &found.answer);
        return;
    }
    const struct pn_dns_ask question = {.id = ++n->last_id, .type = type, .name = name};
    pn_buf_init(&body, 1024);
    pn_dns_ask_put(&body, &question);
    l->id = question.id;
    if (n->channel != NULL && pn_dns_name_ok(name) &&
        pn_channel_send(n->channel, PN_REC_DNS_ASK, pn_buf_str(&body), NULL, 0))
        add(n, l);
    else
        lookup_free(l);
    pn_buf_fini(&body);
}

static void ask_address(struct client_names *n, struct name_lookup *l)
{
    ask(n, l, pn_str_of(l->names[l->open]), pn_ip_is_v4(&l->s->ip) ? PN_DNS_A : PN_DNS_AAAA);
}

static bool has_address(const struct pn_dns_answer *answer, const struct pn_ip *ip)
{
    struct pn_str want = {(const char *)ip->b, sizeof ip->b};
    if (pn_ip_is_v4(ip))
        want = (struct pn_str){(const char *)pn_ip_v4(ip), 4};
    for (uint32_t i = 0; i < answer->count; i++)
        if (pn_str_eq(answer->records[i].data, want))
            return true;
    return false;
}

static void on_names(struct client_names *n, struct name_lookup *l,
                     const struct pn_dns_answer *answer)
{
    for (uint32_t i = 0; i < answer->count && l->count < NAMES_MAX; i++)
        l->names[l->count++] = pn_strndup(answer->records[i].data.p, answer->records[i].data.len);
    if (l->count != 0)
        ask_address(n, l);
    else
        lookup_free(l);
}

static void on_address(struct client_names *n, struct name_lookup *l,
                       const struct pn_dns_answer *answer)
{
    if (has_address(answer, &l->s->ip)) {
        l->s->ptr = l->names[l->open];
        l->names[l->open] = NULL;
        lookup_free(l);
    } else if (++l->open < l->count) {
        ask_address(n, l);
    } else {
        lookup_free(l);
    }
}

static void on_answer(struct client_names *n, struct name_lookup *l,
                      const struct pn_dns_answer *answer)
{
    if (l->count == 0)
        on_names(n, l, answer);
    else
        on_address(n, l, answer);
}

static bool on_shelf(struct client_names *n, const struct pn_record *record)
{
    struct pn_dns_view *view = record->nfds == 1 ? pn_dns_view_open(record->fds[0]) : NULL;
    if (view == NULL)
        return false;
    pn_dns_view_close(&n->shelf);
    n->shelf = view;
    return true;
}

static bool on_record(void *ctx, struct pn_record *record)
{
    struct edge *edge = ctx;
    struct pn_dns_record records[PN_DNS_RECORDS_MAX];
    struct pn_dns_answer answer;
    uint64_t id;
    if (record->type == PN_REC_DNS_SHELF)
        return on_shelf(edge->names, record);
    if (record->type != PN_REC_DNS_ANSWER ||
        !pn_dns_answer_get(record->body, &id, &answer, records))
        return false;
    struct name_lookup *l = take(edge->names, id);
    if (l == NULL)
        return true; /* of before the resolver was started anew */
    if (l->s == NULL)
        lookup_free(l);
    else
        on_answer(edge->names, l, &answer);
    return true;
}

static void on_end(void *ctx, enum pn_channel_end how)
{
    struct edge *edge = ctx;
    (void)how;
    pn_channel_free(&edge->names->channel);
    pn_control_missing(edge->control, PN_ROLE_RESOLVER, 0);
    forget_all(edge->names);
}

/* ---- for the others ---- */

void client_name_ask(struct session *s)
{
    struct pn_buf name;
    if (s->name_asked || !s->gen->client_names || s->edge->names == NULL ||
        pn_ip_is_loopback(&s->ip))
        return;
    s->name_asked = true;
    struct name_lookup *l = pn_calloc(1, sizeof *l);
    l->s = s;
    s->name_lookup = l;
    pn_buf_init(&name, PN_DNS_NAME_MAX);
    pn_dns_reverse(&name, &s->ip, PN_STR(""));
    ask(s->edge->names, l, pn_buf_str(&name), PN_DNS_PTR);
    pn_buf_fini(&name);
}

/* What a plugin says is input: a name or nothing. */
static struct pn_str stated_name(const struct pn_auth *iprev)
{
    struct pn_str name = pn_auth_get(iprev, PN_STR("name"));
    return pn_str_eq(iprev->result, PN_STR("pass")) && pn_dns_name_ok(name) ? name : PN_STR("");
}

struct pn_str client_name(const struct session *s)
{
    const struct pn_auth *iprev =
        s->check == NULL ? NULL : pn_facts_auth(pn_check_facts(s->check), PN_STR("iprev"), 0);
    if (iprev != NULL)
        return stated_name(iprev);
    return pn_str_of(s->ptr == NULL ? "" : s->ptr);
}

void client_name_forget(struct session *s)
{
    if (s->name_lookup != NULL)
        s->name_lookup->s = NULL;
    free(s->ptr);
}

void client_names_peer(struct edge *edge, struct pn_peer *peer)
{
    static const struct pn_channel_ops ops = {.on_record = on_record, .on_end = on_end};
    if (edge->names == NULL)
        edge->names = pn_calloc(1, sizeof *edge->names);
    if (edge->names->channel != NULL) { /* the one before died; its end was not read yet */
        pn_channel_free(&edge->names->channel);
        forget_all(edge->names);
    }
    edge->names->channel = pn_channel_new(edge->loop, peer->fd, &ops, edge, QUEUE_MAX);
    peer->fd = -1;
}

void client_names_free(struct edge *edge)
{
    if (edge->names == NULL)
        return;
    forget_all(edge->names);
    pn_channel_free(&edge->names->channel);
    pn_dns_view_close(&edge->names->shelf);
    free(edge->names);
    edge->names = NULL;
}
