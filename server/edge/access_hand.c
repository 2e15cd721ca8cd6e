/*
 * From a login to the user's mailbox worker, which auth has told of him (pass.h). A plain
 * connection goes as it is; one with TLS stays here and is relayed. What the client sent behind its
 * login goes along. A plain connection has one owner at any time, who alone speaks: us, until we
 * say that it is the worker's; so what it answers too late, or we can't say, changes nothing.
 */
#include "access.h"

#include "mem.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

void access_unlist(struct access *a)
{
    if (a->id == 0)
        return;
    struct access **at = &a->s->edge->handing;
    while (*at != a)
        at = &(*at)->next;
    *at = a->next;
    a->id = 0;
    pn_timer_clear(a->timer);
}

/* The client is told to try again, and may, but where we stop. */
static void not_taken(struct access *a, const char *why)
{
    access_unlist(a);
    pn_stream_free(&a->inner);
    event_session(a->s, "mailbox-refused", pn_str_of(why));
    if (a->s->edge->draining)
        pn_login_drop(a->engine, PN_LOGIN_SHUTDOWN);
    else
        pn_login_said(a->engine, PN_LOGIN_BUSY);
}

static void on_late(void *arg)
{
    not_taken(arg, "the mailbox worker did not answer in time");
}

static void fill(const struct access *a, struct pn_str tag, const char *name,
                 struct pn_session *out)
{
    const struct session *s = a->s;
    const struct pn_check_tls tls = session_tls(s);
    *out = (struct pn_session){.id = a->id,
                               .service = access_is_imap(s) ? PN_SASL_IMAP : PN_SASL_POP3,
                               .user = pn_str_of(a->user),
                               .session = pn_str_of(name),
                               .tag = tag,
                               .ip = s->ip,
                               .port = s->port,
                               .relayed = s->tls_on,
                               .tls = tls.version,
                               .cipher = tls.cipher,
                               .ahead = pn_stream_kept_bytes(s->stream)};
    memcpy(out->token, a->token, sizeof out->token);
}

static bool send_session(struct access *a, struct pn_str tag, int fd)
{
    struct pn_channel *to =
        a->worker < EDGE_MAILBOXES_MAX ? a->s->edge->mailboxes[a->worker].channel : NULL;
    struct pn_session session;
    struct pn_buf body;
    char name[32];
    if (to == NULL)
        return false;
    fill(a, tag, session_name(a->s, name), &session);
    pn_buf_init(&body, 2 * PN_SESSION_AHEAD_MAX);
    pn_session_put(&body, &session);
    bool sent = session.ahead.len <= PN_SESSION_AHEAD_MAX && !body.overflow &&
                pn_handover_send(to, PN_REC_SESSION, pn_buf_str(&body), fd);
    pn_sasl_wipe(pn_buf_str(&body));
    pn_buf_fini(&body);
    return sent;
}

/* The descriptor that goes to the worker; it is the caller's to close if that is not our own. */
static int its_end(struct access *a)
{
    int pair[2];
    if (!a->s->tls_on)
        return pn_stream_fd(a->s->stream);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return -1;
    a->inner = relay_inner(a->s->edge, pair[0]);
    return pair[1];
}

static void hand_over(struct access *a, struct pn_str tag)
{
    struct edge *edge = a->s->edge;
    int fd = its_end(a);
    a->id = ++edge->next_token;
    a->next = edge->handing;
    edge->handing = a;
    if (a->timer == NULL)
        a->timer = pn_timer_new(edge->loop, on_late, a);
    pn_timer_set(a->timer, PN_SESSION_WAIT_MS);
    bool sent = fd >= 0 && send_session(a, tag, fd);
    explicit_bzero(a->token, sizeof a->token);
    if (fd >= 0 && a->s->tls_on)
        (void)close(fd);
    if (!sent)
        not_taken(a, "no mailbox worker takes it now");
}

/* Of a plain connection, what we said goes out before another may speak. */
void access_hand_over(void *ctx, struct pn_str tag)
{
    struct access *a = ctx;
    if (a->s->tls_on || pn_stream_pending(a->s->stream) == 0)
        hand_over(a, tag);
    else
        a->tag = pn_strndup(tag.p, tag.len);
}

bool access_hand_on(struct access *a)
{
    char *tag = a->tag;
    if (tag == NULL)
        return false;
    a->tag = NULL;
    hand_over(a, pn_str_of(tag));
    free(tag);
    return true;
}

/* The last word on who has a plain connection. */
static bool say_whose(struct edge *edge, unsigned mailbox, uint64_t id, bool yours)
{
    struct pn_channel *to = edge->mailboxes[mailbox].channel;
    const struct pn_session_taken word = {id, yours ? PN_SESSION_TAKEN : PN_SESSION_LOST};
    struct pn_buf b;
    pn_buf_init(&b, 64);
    pn_session_taken_put(&b, &word);
    bool sent = to != NULL && pn_channel_send(to, PN_REC_SESSION_YOURS, pn_buf_str(&b), NULL, 0);
    pn_buf_fini(&b);
    return sent;
}

/* It is the worker's now. */
static void gone_over(struct access *a)
{
    struct session *s = a->s;
    if (a->inner == NULL && !say_whose(s->edge, a->worker, a->id, true)) {
        not_taken(a, "the mailbox worker could not be told that it may begin");
        return;
    }
    uint64_t id = a->id;
    access_unlist(a);
    if (a->inner != NULL)
        relay_begin(s, &a->inner, id);
    if (s->edge->draining)
        relays_drain(s->edge);
    session_free(s); /* our own descriptor of a plain connection goes with it */
}

bool access_taken(struct edge *edge, unsigned mailbox, struct pn_str body)
{
    static const char *const why[PN_SESSION_WORDS] = {
        [PN_SESSION_TAKEN] = "",
        [PN_SESSION_NO_PASS] = "the mailbox worker does not know of the login",
        [PN_SESSION_TOO_MANY] = "too many sessions",
        [PN_SESSION_ENDING] = "the mailbox worker ends",
        [PN_SESSION_LOST] = "the mailbox worker has no descriptor left"};
    struct pn_session_taken taken;
    if (!pn_session_taken_get(body, &taken))
        return false;
    struct access *a = edge->handing;
    while (a != NULL && (a->id != taken.id || a->worker != mailbox))
        a = a->next;
    if (a == NULL && taken.word == PN_SESSION_TAKEN) /* who waited is gone, or was told otherwise */
        (void)say_whose(edge, mailbox, taken.id, false);
    else if (a != NULL && taken.word == PN_SESSION_TAKEN)
        gone_over(a);
    else if (a != NULL)
        not_taken(a, why[taken.word]);
    return true;
}

void access_mailbox_gone(struct edge *edge, unsigned mailbox)
{
    for (struct access *a = edge->handing, *next; a != NULL; a = next) {
        next = a->next;
        if (a->worker == mailbox)
            not_taken(a, "the mailbox worker ended");
    }
}
