/*
 * To mailbox workers, and their answers.
 *
 * A user belongs to one worker by hash over as many as the configuration names, whether
 * they are there or not: one that is away is waited for. So a mailbox has one writer. Only a
 * reload that changes their number lets two overlap for a moment, which deliveries bear:
 * names in a Maildir differ by process.
 */
#include "queue_int.h"

#include "log.h"
#include "mem.h"

#include <stdlib.h>

enum { UNDER_WAY_MAX = 128 }; /* asked of one worker at a time */

/* One delivery; in one of its mailbox's two lists until it is answered. */
struct local_try {
    struct local_try *next, **at;
    struct message *m;
    uint32_t index;
    uint64_t token;
};

static void local_list_init(struct local_list *list)
{
    list->first = NULL;
    list->end = &list->first;
}

static void put(struct local_list *list, struct local_try *t)
{
    t->next = NULL;
    t->at = list->end;
    *list->end = t;
    list->end = &t->next;
}

static void take(struct local_list *list, struct local_try *t)
{
    *t->at = t->next;
    if (t->next != NULL)
        t->next->at = t->at;
    else
        list->end = t->at;
}

/* It is out of its list; the message learns what became of it. */
static void settle(struct local_try *t, uint16_t code, struct pn_str text)
{
    struct message *m = t->m;
    uint32_t index = t->index;
    free(t);
    run_settled(m, index, code, text);
}

static bool ask(struct mailbox_peer *peer, const struct local_try *t)
{
    const struct message *m = t->m;
    const struct pn_recipient *to = &m->work->env.recipients[t->index];
    const struct pn_deliver d = {.token = t->token,
                                 .id = m->id,
                                 .arrived_ms = m->work->env.arrived_ms,
                                 .size = m->work->env.size,
                                 .reverse_path = m->work->env.reverse_path,
                                 .recipient = to->address,
                                 .user = to->user,
                                 .folder = to->folder,
                                 .edits = m->work->env.groups[to->group]};
    struct pn_buf body;
    pn_buf_init(&body, PN_ENVELOPE_MAX);
    bool sent =
        peer->channel != NULL && pn_deliver_put(&body, &d) &&
        pn_handover_send(peer->channel, PN_REC_DELIVER, pn_buf_str(&body), m->work->content_fd);
    pn_buf_fini(&body);
    return sent;
}

static void pump(struct mailbox_peer *peer)
{
    while (peer->waiting.first != NULL && peer->under_way < UNDER_WAY_MAX) {
        struct local_try *t = peer->waiting.first;
        take(&peer->waiting, t);
        if (ask(peer, t)) {
            put(&peer->asked, t);
            peer->under_way++;
        } else {
            settle(t, 0, PN_STR("the mailbox worker is away"));
        }
    }
}

static bool on_record(void *ctx, struct pn_record *record)
{
    struct mailbox_peer *peer = ctx;
    struct pn_delivered d;
    if (record->type != PN_REC_DELIVERED || !pn_delivered_get(record->body, &d))
        return false;
    struct local_try *t = peer->asked.first;
    while (t != NULL && t->token != d.token)
        t = t->next;
    if (t == NULL)
        return false;
    take(&peer->asked, t);
    peer->under_way--;
    settle(t, d.reply.code, d.reply.text);
    pump(peer);
    return true;
}

/* The worker is gone: what was asked of it may have been done, and is done again. */
static void drop(struct mailbox_peer *peer)
{
    struct local_list lost = peer->asked;
    pn_channel_free(&peer->channel);
    if (lost.first != NULL)
        lost.first->at = &lost.first;
    else
        lost.end = &lost.first;
    local_list_init(&peer->asked);
    peer->under_way = 0;
    while (lost.first != NULL) {
        struct local_try *t = lost.first;
        take(&lost, t);
        settle(t, 0, PN_STR("the mailbox worker went"));
    }
    pump(peer); /* settles what waits */
}

static void on_end(void *ctx, enum pn_channel_end how)
{
    if (how == PN_CHANNEL_PROTOCOL)
        pn_error("a mailbox worker sent what is no answer; its channel is closed");
    struct mailbox_peer *peer = ctx;
    uint32_t number = (uint32_t)(peer - peer->queue->mailboxes);
    drop(peer);
    pn_control_missing(peer->queue->control, PN_ROLE_MAILBOX, number);
}

void local_init(struct queue *q)
{
    for (uint32_t i = 0; i < QUEUE_MAILBOXES_MAX; i++) {
        q->mailboxes[i].queue = q;
        local_list_init(&q->mailboxes[i].asked);
        local_list_init(&q->mailboxes[i].waiting);
    }
}

void local_peer(struct queue *q, struct pn_peer *from)
{
    static const struct pn_channel_ops ops = {.on_record = on_record, .on_end = on_end};
    if (from->number >= QUEUE_MAILBOXES_MAX)
        return;
    struct mailbox_peer *peer = &q->mailboxes[from->number];
    drop(peer);
    peer->channel = pn_channel_new(q->loop, from->fd, &ops, peer, QUEUE_PEER_BYTES);
    from->fd = -1;
}

void local_end_all(struct queue *q)
{
    for (uint32_t i = 0; i < QUEUE_MAILBOXES_MAX; i++)
        drop(&q->mailboxes[i]);
}

void local_try(struct message *m, uint32_t index)
{
    struct queue *q = m->queue;
    uint32_t worker = pn_mailbox_of(m->work->env.recipients[index].user, q->settings.mailboxes);
    struct mailbox_peer *peer = &q->mailboxes[worker];
    struct local_try *t = pn_calloc(1, sizeof *t);
    *t = (struct local_try){.m = m, .index = index, .token = ++q->next_token};
    put(&peer->waiting, t);
    pump(peer);
}
