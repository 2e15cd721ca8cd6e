#include "stream.h"

#include "assert.h"
#include "clock.h"
#include "mem.h"
#include "stream_int.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PAUSED_LOOK_MS = 1000 };

static size_t pending(const struct pn_stream *s)
{
    return s->out.len - s->out_off;
}

/* ---- what the event waits for */

static short wanted(const struct pn_stream *s)
{
    if (s->failed || s->fd < 0)
        return 0;
    if (s->connecting)
        return EV_WRITE;
    if (s->shut)
        return EV_READ;
    bool handshake = s->tls != NULL && !stream_tls_ready(s);
    bool read = handshake || (!s->muted && !s->closing && s->tls_next == NULL && !s->eof);
    bool write = stream_tls_wants_write(s) || (pending(s) != 0 && !handshake);
    return (short)((read ? EV_READ : 0) | (write ? EV_WRITE : 0));
}

void stream_arm(struct pn_stream *s)
{
    short want = wanted(s);
    if (want == s->armed)
        return;
    (void)event_del(&s->io);
    s->armed = want;
    pn_assert(event_assign(&s->io, loop_base(s->loop), s->fd, (short)(want | EV_PERSIST),
                           stream_on_io, s) == 0);
    if (want != 0)
        pn_assert(event_add(&s->io, NULL) == 0);
    if (s->kicked) /* event_del took that back, too */
        event_active(&s->io, EV_TIMEOUT, 1);
}

void stream_kick(struct pn_stream *s)
{
    s->kicked = true;
    event_active(&s->io, EV_TIMEOUT, 1);
}

/* ---- ends */

void stream_fail(struct pn_stream *s, enum pn_close how, const char *why)
{
    if (s->failed)
        return;
    s->failed = true;
    s->how = how;
    (void)snprintf(s->why, sizeof s->why, "%s", why);
    if (s->gone == NULL) /* else the handler tells it at its end */
        stream_kick(s);
}

/* The last thing a handler does: the stream may be gone afterwards. */
static void report(struct pn_stream *s)
{
    if (s->closing) {
        pn_stream_free(&s);
        return;
    }
    if (s->closed)
        return;
    s->closed = true;
    (void)event_del(&s->io);
    s->armed = 0;
    if (s->timer != NULL)
        pn_timer_clear(s->timer);
    s->ops->on_close(s->ctx, s->how, s->why);
}

void pn_stream_free(struct pn_stream **stream)
{
    struct pn_stream *s = *stream;
    if (s == NULL)
        return;
    *stream = NULL;
    if (s->gone != NULL)
        *s->gone = true;
    if (s->close_fn != NULL)
        s->close_fn(s->ctx);
    (void)event_del(&s->io);
    pn_timer_free(&s->timer);
    stream_tls_free(&s->tls);
    stream_tls_free(&s->tls_next);
    if (s->fd >= 0)
        (void)close(s->fd);
    free(s->keep);
    pn_buf_fini(&s->out);
    free(s);
}

/* ---- input */

/* Keeps what on_read left of `held` (the former kept bytes, owned) or of the
 * loop's scratch memory. */
static void keep_rest(struct pn_stream *s, struct pn_str rest, char *held, size_t held_cap)
{
    if (rest.len == 0) {
        free(held);
        return;
    }
    if (held != NULL && rest.p >= held && rest.p < held + held_cap) {
        s->keep_off = (size_t)(rest.p - held);
    } else {
        if (held_cap < rest.len) {
            free(held);
            held_cap = rest.len < 256 ? 256 : rest.len;
            held = pn_alloc(held_cap);
        }
        memcpy(held, rest.p, rest.len);
        s->keep_off = 0;
    }
    s->keep = held;
    s->keep_cap = held_cap;
    s->keep_len = rest.len;
}

static void show(struct pn_stream *s, struct pn_str view, const bool *gone)
{
    char *held = s->keep;
    size_t held_cap = s->keep_cap;
    s->keep = NULL;
    s->keep_len = s->keep_cap = 0;
    size_t used = s->ops->on_read(s->ctx, view);
    if (*gone || s->closing || s->tls_next != NULL) {
        free(held);
        return;
    }
    pn_assert(used <= view.len);
    keep_rest(s, pn_str_slice(view, used, view.len), held, held_cap);
    if (!s->paused && !s->show_kept && s->keep_len > s->limits.keep_max)
        stream_fail(s, PN_CLOSE_FULL, "more input than is taken at once");
}

static ssize_t io_read(struct pn_stream *s, char *to)
{
    if (s->tls != NULL)
        return stream_tls_read(s, to, PN_STREAM_READ_MAX);
    ssize_t n;
    do
        n = recv(s->fd, to, PN_STREAM_READ_MAX, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return n == 0 ? IO_EOF : n;
    if (errno == EAGAIN)
        return IO_AGAIN;
    stream_fail(s, PN_CLOSE_ERROR, strerror(errno));
    return IO_FAILED;
}

static void read_more(struct pn_stream *s, const bool *gone)
{
    char *scratch = pn_loop_scratch(s->loop);
    size_t kept = s->keep_len;
    pn_assert(kept <= PN_STREAM_KEEP_MAX);
    ssize_t n = io_read(s, scratch + kept);
    if (n == IO_EOF && s->ops->on_eof != NULL && !stream_tls_broken(s)) {
        s->eof = true;
        s->ops->on_eof(s->ctx);
        return;
    }
    if (n == IO_EOF)
        stream_fail(s, PN_CLOSE_EOF, "the peer closed the connection");
    if (n < 0)
        return;
    if (kept != 0)
        memcpy(scratch, s->keep + s->keep_off, kept);
    s->last = pn_loop_now(s->loop);
    show(s, (struct pn_str){scratch, kept + (size_t)n}, gone);
}

static void run_input(struct pn_stream *s, short what, const bool *gone)
{
    bool again = s->show_kept && s->keep_len != 0;
    s->show_kept = s->show_kept && s->paused;
    if (again && !s->paused) {
        show(s, (struct pn_str){s->keep + s->keep_off, s->keep_len}, gone);
        if (*gone || s->closing || s->failed || s->tls_next != NULL)
            return;
    }
    if (s->paused) {
        s->muted = s->muted || (what & EV_READ) != 0;
        return;
    }
    if (s->eof || ((what & EV_READ) == 0 && !stream_tls_has_input(s)))
        return;
    read_more(s, gone);
    if (!*gone && !s->closing && !s->failed && !s->paused && !s->eof && stream_tls_has_input(s))
        stream_kick(s);
}

/* ---- the handler */

/* True once it stands. */
static bool connected(struct pn_stream *s)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (!s->connecting)
        return true;
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    if (error != 0) {
        stream_fail(s, PN_CLOSE_ERROR, strerror(error));
        return false;
    }
    s->connecting = false;
    s->last = pn_loop_now(s->loop);
    return true;
}

/* True while the stream may go on with bytes of the application. */
static bool run_tls(struct pn_stream *s, const bool *gone)
{
    if (s->tls == NULL || stream_tls_ready(s))
        return true;
    if (!stream_tls_handshake(s))
        return false;
    s->last = pn_loop_now(s->loop);
    if (s->ops->on_tls != NULL)
        s->ops->on_tls(s->ctx);
    return !*gone && !s->failed && !s->closing;
}

static void end_output(struct pn_stream *s)
{
    if (!s->end_due || pending(s) != 0 || s->failed)
        return;
    s->end_due = false;
    stream_tls_bye(s);
    (void)shutdown(s->fd, SHUT_WR); /* a peer that is gone is met by reading */
}

void pn_stream_end(struct pn_stream *s)
{
    s->end_due = true;
    end_output(s);
}

static bool run_output(struct pn_stream *s, const bool *gone)
{
    stream_flush(s);
    end_output(s);
    if (s->tls_next != NULL && pending(s) == 0 && !s->failed) {
        s->tls = s->tls_next;
        s->tls_next = NULL;
        if (!run_tls(s, gone)) /* a client speaks first */
            return false;
        stream_flush(s);
    }
    if (!s->drain_due || pending(s) != 0 || s->failed)
        return !s->failed;
    s->drain_due = false;
    if (s->ops->on_drained != NULL)
        s->ops->on_drained(s->ctx);
    return !*gone && !s->failed && !s->closing;
}

static void run(struct pn_stream *s, short what, const bool *gone)
{
    if (s->failed || !connected(s))
        return;
    if (s->closing) {
        stream_finish(s);
        return;
    }
    if (run_tls(s, gone) && run_output(s, gone) && s->tls_next == NULL)
        run_input(s, what, gone);
}

void stream_on_io(evutil_socket_t fd, short what, void *arg)
{
    struct pn_stream *s = arg;
    bool gone = false;
    (void)fd;
    loop_enter(s->loop);
    s->kicked = false;
    s->gone = &gone;
    run(s, what, &gone);
    if (gone)
        return;
    s->gone = NULL;
    if (s->failed)
        report(s);
    else
        stream_arm(s);
}

/* ---- life */

/* When its time is over, as things are; UINT64_MAX: never. */
static uint64_t due(const struct pn_stream *s)
{
    uint64_t idle = s->idle_ms == 0 ? UINT64_MAX : s->last + s->idle_ms * PN_NS_PER_MS;
    return s->deadline != 0 && s->deadline < idle ? s->deadline : idle;
}

static void on_time(void *arg)
{
    struct pn_stream *s = arg;
    if (s->closing) {
        stream_closing_time(s);
        return;
    }
    if (due(s) == UINT64_MAX || s->failed)
        return;
    uint64_t now = pn_loop_now(s->loop);
    if (s->paused && pending(s) == 0) { /* our time, not the peer's: look again */
        s->last = now;
        pn_timer_set(s->timer, s->idle_ms != 0 ? s->idle_ms : PAUSED_LOOK_MS);
        return;
    }
    if (due(s) > now) {
        pn_timer_at(s->timer, due(s));
        return;
    }
    if (s->ops->on_timeout != NULL) {
        s->ops->on_timeout(s->ctx);
        return;
    }
    s->failed = true;
    s->how = PN_CLOSE_TIMEOUT;
    (void)snprintf(s->why, sizeof s->why, "its time is over");
    if (s->deadline == 0 || s->deadline > now)
        (void)snprintf(s->why, sizeof s->why, "nothing came or went for %.3g s",
                       (double)s->idle_ms / 1000);
    report(s);
}

struct pn_timer *stream_timer(struct pn_stream *s)
{
    if (s->timer == NULL)
        s->timer = pn_timer_new(s->loop, on_time, s);
    return s->timer;
}

static void time_changed(struct pn_stream *s)
{
    if (due(s) != UINT64_MAX)
        pn_timer_at(stream_timer(s), due(s));
    else if (s->timer != NULL)
        pn_timer_clear(s->timer);
}

void pn_stream_pause(struct pn_stream *s)
{
    s->paused = true;
}

void pn_stream_resume(struct pn_stream *s)
{
    if (!s->paused)
        return;
    s->paused = false;
    s->last = pn_loop_now(s->loop);
    /* Inside on_read it is not known yet what will be kept. */
    s->show_kept = s->keep_len != 0 || s->gone != NULL;
    if (s->failed || s->fd < 0)
        return;
    if (s->muted || s->show_kept || stream_tls_has_input(s))
        stream_kick(s);
    s->muted = false;
}

void pn_stream_timeout(struct pn_stream *s, uint64_t ms)
{
    s->idle_ms = ms;
    s->last = pn_loop_now(s->loop);
    time_changed(s);
}

void pn_stream_deadline(struct pn_stream *s, uint64_t ns)
{
    s->deadline = ns;
    time_changed(s);
}

static void start_tls(struct pn_stream *s, struct pn_tls_context *tls,
                      const struct pn_tls_want *want)
{
    pn_assert(s->tls == NULL && s->tls_next == NULL && !s->closing);
    if (s->failed)
        return;
    free(s->keep);
    s->keep = NULL;
    s->keep_len = s->keep_cap = 0;
    s->tls_next = stream_tls_new(s, tls, want);
    if (s->tls_next != NULL)
        stream_kick(s);
}

void pn_stream_start_tls(struct pn_stream *s, struct pn_tls_context *tls, bool server,
                         const char *peer_name)
{
    const struct pn_tls_want want = {.sni = peer_name};
    start_tls(s, tls, server ? NULL : &want);
}

void pn_stream_start_tls_with(struct pn_stream *s, struct pn_tls_context *tls,
                              const struct pn_tls_want *want)
{
    start_tls(s, tls, want);
}

struct pn_str pn_stream_kept_bytes(const struct pn_stream *s)
{
    return (struct pn_str){s->keep == NULL ? NULL : s->keep + s->keep_off, s->keep_len};
}

void pn_stream_rehome(struct pn_stream *s, const struct pn_stream_ops *ops, void *ctx,
                      struct pn_stream_limits limits)
{
    pn_assert(limits.keep_max <= PN_STREAM_KEEP_MAX && !s->closing);
    s->ops = ops;
    s->ctx = ctx;
    s->limits = limits;
    s->out.max = limits.write_max > s->out.len ? limits.write_max : s->out.len;
    s->idle_ms = s->deadline = 0;
    time_changed(s);
    free(s->keep);
    s->keep = NULL;
    s->keep_len = s->keep_cap = 0;
    s->show_kept = false;
}

void pn_stream_hear_out(struct pn_stream *s)
{
    s->heard_out = true;
}

size_t pn_stream_kept(const struct pn_stream *s)
{
    return s->keep_len;
}

int pn_stream_fd(const struct pn_stream *s)
{
    return s->fd;
}
