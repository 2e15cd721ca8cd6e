/* All sessions of this worker: who may begin one, and how many there are. */
#include "clock.h"
#include "handover.h"
#include "log.h"
#include "mailbox_int.h"
#include "mem.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- who reads here ---- */

static struct reader **find(struct mailbox *mb, struct pn_str name)
{
    struct reader **at = &mb->readers[pn_str_hash(name, 0, false) % READER_BUCKETS];
    while (*at != NULL && !pn_str_eq(pn_str_of((*at)->name), name))
        at = &(*at)->next;
    return at;
}

static struct reader *reader_of(struct mailbox *mb, struct pn_str name)
{
    struct reader **at = find(mb, name);
    if (*at == NULL) {
        *at = pn_calloc(1, sizeof **at);
        (*at)->name = pn_strndup(name.p, name.len);
    }
    return *at;
}

static void drop_if_unused(struct mailbox *mb, struct reader *reader)
{
    if (reader->sessions != 0)
        return;
    struct reader **at = find(mb, pn_str_of(reader->name));
    *at = reader->next;
    free(reader->name);
    free(reader);
}

void sessions_left(struct visit *v)
{
    struct mailbox *mb = v->mailbox;
    mb->metrics[v->service == PN_SASL_IMAP ? MB_IMAP : MB_POP3].value--;
    v->reader->sessions--;
    drop_if_unused(mb, v->reader);
}

/* ---- the records of pass.h ---- */

static uint64_t now_ms(const struct mailbox *mb)
{
    return pn_loop_now(mb->loop) / PN_NS_PER_MS;
}

bool sessions_pass(struct peer *peer, struct pn_str body)
{
    struct mailbox *mb = peer->mailbox;
    struct pn_pass pass;
    struct pn_pass_known known;
    struct pn_buf b;
    if (!pn_pass_get(body, &pass))
        return false;
    memcpy(known.token, pass.token, sizeof known.token);
    bool served =
        (pass.service == PN_SASL_IMAP ? mailbox_imap_engine : mailbox_pop3_engine) != NULL;
    known.noted = served && !mb->draining && sole_alone(mb) && sole_has(mb, pass.user) &&
                  admission_note(mb->admission, &pass, now_ms(mb));
    pn_buf_init(&b, 64);
    pn_pass_known_put(&b, &known);
    if (!pn_channel_send(peer->channel, PN_REC_PASS_KNOWN, pn_buf_str(&b), NULL, 0))
        pn_warn("auth could not be told that a login is known");
    pn_sasl_wipe(pn_buf_str(&b));
    pn_buf_fini(&b);
    pn_sasl_wipe(body);
    return true;
}

static bool say(struct peer *peer, uint64_t id, enum pn_session_word word)
{
    struct pn_buf b;
    const struct pn_session_taken taken = {id, (uint8_t)word};
    pn_buf_init(&b, 64);
    pn_session_taken_put(&b, &taken);
    bool said = pn_channel_send(peer->channel, PN_REC_SESSION_TAKEN, pn_buf_str(&b), NULL, 0);
    if (!said)
        pn_warn("an edge could not be told what became of a session");
    pn_buf_fini(&b);
    return said;
}

static enum pn_session_word judge(struct mailbox *mb, const struct pn_session *s)
{
    if (!admission_use(mb->admission, s->token, s->service, s->user, now_ms(mb))) {
        mb->metrics[MB_NO_PASS].value++;
        pn_warn("a session of %.*s was asked for that auth did not let in", PN_FMT(s->user));
        return PN_SESSION_NO_PASS;
    }
    if (mb->draining)
        return PN_SESSION_ENDING;
    struct reader *reader = *find(mb, s->user);
    if (mb->visit_count < mb->settings.sessions &&
        (reader == NULL || reader->sessions < mb->settings.user_sessions))
        return PN_SESSION_TAKEN;
    mb->metrics[MB_TOO_MANY].value++;
    return PN_SESSION_TOO_MANY;
}

static void take(struct peer *peer, const struct pn_session *s, int fd)
{
    struct mailbox *mb = peer->mailbox;
    bool imap = s->service == PN_SASL_IMAP;
    struct reader *reader = reader_of(mb, s->user);
    reader->sessions++;
    mb->metrics[imap ? MB_IMAP : MB_POP3].value++;
    mb->metrics[imap ? MB_TAKEN_IMAP : MB_TAKEN_POP3].value++;
    visit_begin(mb, reader, peer, s, fd);
}

/* An edge that was taken over could send any: the loop can't wait for a file. */
static bool is_stream(int fd)
{
    int type;
    socklen_t len = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
}

static bool decide(struct peer *peer, struct pn_handover *h, bool cut)
{
    struct pn_session s;
    if (!pn_session_get(h->body, &s) || (!cut && !is_stream(h->content_fd)))
        return false;
    enum pn_session_word word = cut ? PN_SESSION_LOST : judge(peer->mailbox, &s);
    if (cut) /* the token was shown */
        (void)admission_use(peer->mailbox->admission, s.token, s.service, s.user,
                            now_ms(peer->mailbox));
    if (say(peer, s.id, word) && word == PN_SESSION_TAKEN) {
        take(peer, &s, h->content_fd);
        h->content_fd = -1;
    }
    return true;
}

bool sessions_open(struct peer *peer, struct pn_record *record, bool cut)
{
    struct pn_handover h;
    if (!pn_handover_open(record, &h))
        return cut; /* its body may be what could not come */
    bool ok = decide(peer, &h, cut);
    if (h.content_fd >= 0)
        (void)close(h.content_fd);
    pn_handover_close(&h);
    return ok;
}

bool sessions_yours(struct peer *peer, struct pn_str body)
{
    struct pn_session_taken word;
    if (!pn_session_taken_get(body, &word))
        return false;
    struct visit *v = peer->mailbox->visits; /* the newest first */
    while (v != NULL && !(v->offered && v->relay == peer && v->id == word.id))
        v = v->next;
    if (v != NULL && word.word == PN_SESSION_TAKEN)
        visit_yours(v);
    else if (v != NULL)
        visit_lost(v);
    return true; /* it may have gone meanwhile */
}

void sessions_relay_ends(struct peer *peer)
{
    for (struct visit *v = peer->mailbox->visits; v != NULL; v = v->next)
        if (v->relay == peer && !v->offered)
            visit_end(v, PN_ENGINE_SHUTDOWN);
}

void sessions_peer_gone(struct peer *peer)
{
    for (struct visit *v = peer->mailbox->visits; v != NULL; v = v->next)
        if (v->relay == peer)
            visit_lost(v);
}

void sessions_drain(struct mailbox *mb)
{
    for (struct visit *v = mb->visits; v != NULL; v = v->next)
        visit_end(v, PN_ENGINE_SHUTDOWN);
}

void sessions_free(struct mailbox *mb)
{
    for (struct visit *v = mb->visits; v != NULL; v = v->next)
        visit_lost(v);
    while (mb->visits != NULL)
        pn_loop_turn(mb->loop, 100);
}
