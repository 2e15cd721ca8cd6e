/*
 * How streams end that have last words: what is kept goes out for as long as the peer takes some of
 * it, then the end is said, and what it still sends is dropped until it ends, too, lest a reset
 * destroys what it has not read.
 */
#include "clock.h"
#include "stream_int.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { LOOK_MS = 10 * 1000, STILL_MAX = 3, WHOLE_MS = 5 * 60 * 1000 };

/* The kernel drops what a peer that is gone has not read, and its count falls to nothing: so that
 * is asked last. */
size_t pn_stream_unheard(const struct pn_stream *s)
{
    struct pollfd p = {.fd = s->fd};
    int held;
    if (s->fd < 0 || s->deaf || s->failed || ioctl(s->fd, SIOCOUTQ, &held) != 0 || held < 0 ||
        poll(&p, 1, 0) != 0)
        return SIZE_MAX;
    return pn_stream_pending(s) + (size_t)held;
}

/* Closing: reads and drops what the peer still sends, until it closes too. If there
 * is nothing to drop, nothing of ours can be destroyed by a reset. */
static void linger(struct pn_stream *s)
{
    char drop[4096];
    bool some = false;
    for (int i = 0; i < 16; i++) {
        ssize_t n = recv(s->fd, drop, sizeof drop, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0 || (n < 0 && errno != EAGAIN) || (n < 0 && !s->shut && !some)) {
            pn_stream_free(&s);
            return;
        }
        if (n < 0)
            break;
        some = true;
    }
    s->shut = true;
}

/* pn_stream_close: what is left to do. May free the stream. */
void stream_finish(struct pn_stream *s)
{
    if (pn_stream_pending(s) != 0 && !s->connecting) {
        if (s->tls != NULL && !stream_tls_ready(s) && !stream_tls_handshake(s))
            return;
        stream_flush(s);
    }
    if (s->failed || (pn_stream_pending(s) != 0))
        return;
    if (!s->shut) {
        stream_tls_bye(s);
        if (shutdown(s->fd, SHUT_WR) != 0) {
            pn_stream_free(&s);
            return;
        }
    }
    linger(s);
}

size_t pn_stream_unread(const struct pn_stream *s)
{
    int waiting = 0;
    if (s->fd >= 0 && ioctl(s->fd, FIONREAD, &waiting) != 0)
        waiting = 0;
    return s->keep_len + (waiting > 0 ? (size_t)waiting : 0);
}

static size_t held(const struct pn_stream *s)
{
    size_t all = pn_stream_unheard(s);
    return all == SIZE_MAX ? 0 : all - pn_stream_pending(s);
}

/* Every LOOK_MS: does the peer take what it is sent? */
void stream_closing_time(struct pn_stream *s)
{
    size_t kept = pn_stream_pending(s), left = held(s);
    bool moves = kept < s->close_kept || left < s->close_held;
    s->close_still = moves ? 0 : s->close_still + 1;
    if (kept + left == 0 || s->close_still == STILL_MAX || pn_loop_now(s->loop) >= s->deadline) {
        pn_stream_free(&s);
        return;
    }
    s->close_kept = kept;
    s->close_held = left;
    pn_timer_set(s->timer, LOOK_MS);
}

static void begin(struct pn_stream *s)
{
    s->closing = true;
    free(s->keep);
    s->keep = NULL;
    s->keep_len = s->keep_cap = 0;
    s->close_kept = pn_stream_pending(s);
    s->close_held = held(s);
    s->deadline = pn_loop_now(s->loop) + WHOLE_MS * (uint64_t)PN_NS_PER_MS;
    pn_timer_set(stream_timer(s), LOOK_MS);
}

void pn_stream_close_then(struct pn_stream **stream, void (*fn)(void *ctx), void *ctx)
{
    struct pn_stream *s = *stream;
    *stream = NULL;
    if (s == NULL) {
        if (fn != NULL)
            fn(ctx);
        return;
    }
    s->close_fn = fn;
    s->ctx = ctx;
    if (s->failed || s->fd < 0 || (s->connecting && pn_stream_pending(s) == 0)) {
        pn_stream_free(&s);
        return;
    }
    begin(s);
    bool freed = false;
    bool *outer = s->gone;
    s->gone = &freed;
    stream_finish(s);
    if (freed) {
        if (outer != NULL)
            *outer = true;
        return;
    }
    s->gone = outer;
    if (s->failed)
        pn_stream_free(&s);
    else if (outer == NULL)
        stream_arm(s);
}

void pn_stream_close(struct pn_stream **stream)
{
    pn_stream_close_then(stream, NULL, NULL);
}
