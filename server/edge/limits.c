/* Limits by address and network. */
#include "edge.h"

#include "clock.h"
#include "mem.h"

#include <stdio.h>
#include <stdlib.h>

/* Lines of one kind of event a second; the others are counted. */
enum { SAID_A_SECOND = 10 };

static bool is_exempt(const struct session *s)
{
    struct pn_net net;
    for (size_t i = 0; pn_policy_net_at(s->gen->policy, "limits.exempt", i, &net); i++)
        if (pn_net_has(&net, &s->ip))
            return true;
    return false;
}

/* A flood must not become a flood of events. */
static void say_limited(struct session *s, enum pn_limit limit)
{
    struct edge *edge = s->edge;
    uint64_t now = pn_loop_now(edge->loop);
    char text[128];
    if (now < edge->limited_next) {
        edge->limited_unsaid++;
        return;
    }
    int n = snprintf(text, sizeof text, "%s", pn_limit_name(limit));
    if (edge->limited_unsaid != 0)
        n = snprintf(text, sizeof text, "%s (and %llu more since the last line)",
                     pn_limit_name(limit), (unsigned long long)edge->limited_unsaid);
    event_session(s, "limited", (struct pn_str){text, (size_t)n});
    edge->limited_unsaid = 0;
    edge->limited_next = now + PN_NS_PER_S / SAID_A_SECOND;
}

bool session_enter(struct session *s)
{
    /* Who speaks LMTP is a mail server of the same site (RFC 2033, section 5), which brings what
     * comes for all. */
    if (!s->counted || s->kind == PN_LISTEN_LMTP || is_exempt(s))
        return true;
    enum pn_limit limit = pn_limits_enter(s->edge->limits, &s->gen->limits, &s->ip,
                                          pn_loop_now(s->edge->loop), &s->ticket);
    s->limited = limit == PN_LIMIT_NONE;
    if (!s->limited)
        say_limited(s, limit);
    return s->limited;
}

bool session_limited(struct session *s, enum pn_rate rate)
{
    if (!s->limited)
        return false;
    enum pn_limit limit =
        pn_limits_rate(s->edge->limits, &s->gen->limits, &s->ip, rate, pn_loop_now(s->edge->loop));
    if (limit != PN_LIMIT_NONE)
        say_limited(s, limit);
    return limit != PN_LIMIT_NONE;
}

/* ---- beyond the session ---- */

struct place {
    struct edge *edge;
    struct pn_limits_ticket ticket;
    bool limited;
};

struct place *session_place(struct session *s)
{
    if (!s->counted)
        return NULL;
    struct place *place = pn_calloc(1, sizeof *place);
    *place = (struct place){s->edge, s->ticket, s->limited};
    s->counted = s->limited = false;
    return place;
}

void place_leave(void *ctx)
{
    struct place *place = ctx;
    if (place == NULL)
        return;
    if (place->limited)
        pn_limits_leave(place->edge->limits, &place->ticket);
    pn_cap_give(place->edge->limits, PN_CAP_SESSIONS, 1);
    free(place);
}
