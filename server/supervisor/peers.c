#include "peers.h"

#include "assert.h"
#include "log.h"
#include "supervisor_int.h"

#include <errno.h>
#include <unistd.h>

/* DESIGN.md, Processes and Roles: whoever is not in this table has no channel. */
static const struct {
    enum peer_kind a, b;
} talks[] = {
    {PEER_EDGE, PEER_RESOLVER},   /* the client's name */
    {PEER_EDGE, PEER_WORKER},     /* checks */
    {PEER_EDGE, PEER_QUEUE},      /* a message to keep */
    {PEER_EDGE, PEER_MAILBOX},    /* a message to deliver */
    {PEER_WORKER, PEER_RESOLVER}, /* plugins' questions */
    {PEER_WORKER, PEER_STATE},    /* what plugins remember */
    {PEER_EDGE, PEER_STATE},      /* a message's fate, with what is to be remembered of it */
    {PEER_EDGE, PEER_SIGNER},     /* digests, to be signed */
    {PEER_QUEUE, PEER_SIGNER},    /* of its own reports */
    {PEER_EDGE, PEER_AUTH},       /* logins */
    {PEER_AUTH, PEER_MAILBOX},    /* who may open his mailbox now */
    {PEER_QUEUE, PEER_RESOLVER},  /* next hops */
    {PEER_QUEUE, PEER_MAILBOX},   /* deliveries */
    {PEER_EDGE, PEER_ADMIN},      /* events and counters, here and below */
    {PEER_WORKER, PEER_ADMIN},    {PEER_QUEUE, PEER_ADMIN}, {PEER_MAILBOX, PEER_ADMIN},
    {PEER_RESOLVER, PEER_ADMIN},  {PEER_STATE, PEER_ADMIN}, {PEER_SIGNER, PEER_ADMIN},
    {PEER_AUTH, PEER_ADMIN},
};

bool peers_may_talk(enum peer_kind a, enum peer_kind b)
{
    for (size_t i = 0; i < sizeof talks / sizeof talks[0]; i++)
        if ((talks[i].a == a && talks[i].b == b) || (talks[i].a == b && talks[i].b == a))
            return true;
    return false;
}

enum pn_role peer_role(enum peer_kind kind)
{
    static const enum pn_role roles[PEER_KIND_COUNT] = {
        [PEER_ADMIN] = PN_ROLE_ADMIN,     [PEER_RESOLVER] = PN_ROLE_RESOLVER,
        [PEER_MAILBOX] = PN_ROLE_MAILBOX, [PEER_QUEUE] = PN_ROLE_QUEUE,
        [PEER_TEMPLATE] = PN_ROLE_FILTER, [PEER_WORKER] = PN_ROLE_FILTER,
        [PEER_EDGE] = PN_ROLE_EDGE,       [PEER_STATE] = PN_ROLE_STATE,
        [PEER_SIGNER] = PN_ROLE_SIGNER,   [PEER_AUTH] = PN_ROLE_AUTH,
    };
    pn_assert((size_t)kind < PEER_KIND_COUNT);
    return roles[kind];
}

/* A solo worker works for the one edge that asked. */
static bool pairs_with(const struct child *c, const struct child *other)
{
    if (!peers_may_talk(c->kind, other->kind))
        return false;
    if (c->solo && other->kind == PEER_EDGE)
        return other->number == c->solo_edge;
    return !other->solo || c->kind != PEER_EDGE;
}

static void introduce(struct child *to, const struct child *whom, int fd)
{
    struct pn_buf b;
    struct pn_peer peer = {.role = (uint8_t)child_role(whom),
                           .number = whom->number,
                           .group = whom->group,
                           .generation = whom->generation,
                           .flags = whom->solo || to->solo ? PN_PEER_SOLO : 0,
                           .token = whom->solo_token};
    pn_buf_init(&b, PN_RECORD_MAX / 2);
    pn_peer_put(&b, &peer);
    (void)child_send(to, PN_REC_PEER, &b, fd);
    pn_buf_fini(&b);
}

void peers_pair(struct child *c, struct child *other)
{
    int fds[2];
    if (pn_channel_pair(fds) != 0) {
        pn_error("no channel between %s and %s: %s", c->name, other->name, strerror(errno));
        return;
    }
    introduce(c, other, fds[0]);
    introduce(other, c, fds[1]);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

void peers_connect(struct child *c)
{
    for (struct child *other = c->sup->children; other != NULL; other = other->next)
        if (other != c && child_alive(other) && pairs_with(c, other))
            peers_pair(c, other);
}

struct child *peers_find(struct child *c, enum pn_role role, uint32_t number)
{
    for (struct child *other = c->sup->children; other != NULL; other = other->next)
        if (other != c && child_role(other) == role && other->number == number &&
            other->state == CHILD_READY && other->control != NULL && pairs_with(c, other))
            return other;
    return NULL;
}
