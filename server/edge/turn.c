/*
 * Whose turn it is. While we work, the client is not read and its time stands still.
 * While it is the client's turn, its time is bounded as a whole, however small the
 * pieces that come:
 *
 *   a command     timeouts.command from the last reply to its end; the session's end
 *   content       timeouts.data for each piece (RFC 5321, section 4.5.3.2.5), and as a
 *                 whole timeouts.data and what it has at limits.data-rate; or, without
 *                 such a rate, the session's end
 *   TLS           timeouts.handshake
 *
 * It is not read either while it leaves our replies unread. Those, and what it sent
 * ahead, lie in memory: beyond a little they count as bytes in flight.
 *
 * All of a session's times are one deadline of its stream, moved with every read, and no
 * timer is touched for that.
 */
#include "edge.h"

#include "clock.h"
#include "log.h"

enum { HELD_FREE = 4096, UNREAD_MAX = 8192 };

/* ---- memory ---- */

void turn_uncount(struct session *s)
{
    if (s->held != 0)
        pn_cap_give(s->edge->limits, PN_CAP_BYTES, s->held);
    s->held = 0;
}

/* Counts anew what is held for the client. True: there is too much of it, and the
 * session is gone. */
static bool counts_out(struct session *s, size_t ahead)
{
    static const struct pn_smtp_reply busy =
        PN_SMTP_REPLY_INIT(421, 4, 3, 2, "Too much mail at once, try again later");
    size_t held = ahead + pn_stream_pending(s->stream);
    turn_uncount(s);
    if (!s->counted || held <= HELD_FREE)
        return false;
    if (pn_cap_take(s->edge->limits, PN_CAP_BYTES, held, s->gen->flight_bytes_max)) {
        s->held = (uint32_t)held;
        return false;
    }
    pn_smtp_server_drop(s->smtp, &busy);
    return true;
}

bool turn_write(struct session *s, struct pn_str bytes)
{
    (void)pn_stream_write(s->stream, bytes);
    return pn_stream_pending(s->stream) <= UNREAD_MAX;
}

/* ---- time ---- */

static uint64_t session_end(const struct session *s)
{
    return s->began_ns + s->gen->session_ms * PN_NS_PER_MS;
}

static uint64_t content_end_due(const struct session *s, uint64_t octets)
{
    uint64_t rate = s->gen->data_rate;
    if (rate == 0)
        return session_end(s);
    return s->content_ns + (s->gen->data_ms + octets * 1000 / rate) * PN_NS_PER_MS;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* When the client must have done what it is to do now. */
static uint64_t due(const struct session *s, const struct pn_smtp_server_info *info)
{
    uint64_t command = s->turn_ns + s->gen->command_ms * PN_NS_PER_MS;
    if (!info->content_begun)
        return min_u64(command, session_end(s));
    uint64_t content = content_end_due(s, info->octets);
    return info->content ? content : min_u64(command, content); /* between chunks */
}

static void run_time(struct session *s, const struct pn_smtp_server_info *info, bool answered)
{
    uint64_t now = pn_loop_now(s->edge->loop);
    uint64_t ours = s->paused_ns == 0 ? 0 : now - s->paused_ns;
    if (answered || ours != 0 || info->lines != s->turn_line)
        s->turn_ns = now;
    s->turn_line = info->lines;
    s->paused_ns = 0;
    if (!info->content_begun)
        s->content_ns = 0;
    else
        s->content_ns = s->content_ns == 0 ? now : s->content_ns + ours;
    pn_stream_timeout(s->stream, info->content ? s->gen->data_ms : s->gen->command_ms);
    pn_stream_deadline(s->stream, due(s, info));
}

/* ---- ends ---- */

static const struct pn_smtp_reply stopping = PN_SMTP_REPLY_INIT(
                                      421, 4, 3, 2, "Shutting down, try again in a moment"),
                                  too_long = PN_SMTP_REPLY_INIT(
                                      421, 4, 4, 2, "This session took too long, begin another"),
                                  timeout = PN_SMTP_REPLY_INIT(421, 4, 4, 2,
                                                               "Timeout, closing the connection");

/* No content is under way, and the session's time is over. */
static bool late(const struct session *s)
{
    return pn_loop_now(s->edge->loop) >= session_end(s) &&
           !pn_smtp_server_info(s->smtp)->content_begun;
}

bool turn_part(struct session *s)
{
    const struct pn_smtp_server_info *info = pn_smtp_server_info(s->smtp);
    bool stop = s->edge->draining && !info->mail;
    if ((!stop && !late(s)) || info->waiting || s->tls_due)
        return false;
    pn_smtp_server_drop(s->smtp, stop ? &stopping : &too_long);
    return true;
}

void turn_timeout(struct session *s)
{
    pn_smtp_server_drop(s->smtp, late(s) ? &too_long : &timeout);
}

/* ---- turns ---- */

void turn_settle(struct session *s, bool answered)
{
    const struct pn_smtp_server_info *info = pn_smtp_server_info(s->smtp);
    if (s->tls_due)
        return; /* the handshake has its own time, and is not ours to pause */
    if (info->waiting || (s->txn != NULL && s->txn->content.token != 0)) {
        if (s->paused_ns == 0)
            s->paused_ns = pn_loop_now(s->edge->loop);
        pn_stream_pause(s->stream);
        return;
    }
    run_time(s, info, answered);
    if (pn_stream_pending(s->stream) > UNREAD_MAX)
        pn_stream_pause(s->stream);
    else
        pn_stream_resume(s->stream);
}

void turn_next(struct session *s, size_t ahead, bool answered)
{
    if (!turn_part(s) && !counts_out(s, ahead))
        turn_settle(s, answered);
}

void turn_handshake(struct session *s)
{
    pn_stream_timeout(s->stream, 0);
    pn_stream_deadline(s->stream, pn_loop_now(s->edge->loop) + s->gen->handshake_ms * PN_NS_PER_MS);
}

static struct pn_smtp_reply read_reply(struct pn_str text)
{
    static const struct pn_smtp_reply broken =
        PN_SMTP_REPLY_INIT(451, 4, 3, 0, "Local error in processing");
    struct pn_smtp_reply reply;
    if (!pn_smtp_reply_read(text, &reply)) {
        pn_error("a reply that is none: %.*s", PN_FMT(text));
        reply = broken;
    }
    return reply;
}

void turn_answer(struct session *s, struct pn_str text)
{
    struct pn_smtp_reply reply = read_reply(text);
    pn_smtp_server_answer(s->smtp, &reply);
}

void turn_answer_all(struct session *s, struct pn_str text)
{
    struct pn_smtp_reply reply = read_reply(text);
    pn_smtp_server_answer_rest(s->smtp, &reply);
}
