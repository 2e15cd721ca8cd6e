/*
 * A session after login: its bytes go to the engine, which runs on a thread, and what that says
 * goes out. While it runs, and while what it said is not sent, the client is not read: its own
 * socket tells it to wait. An idle session holds no buffer.
 */
#include "clock.h"
#include "log.h"
#include "mailbox_int.h"
#include "mem.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    OUT_MAX = 8 * 1024 * 1024, /* of one run: far beyond PN_ENGINE_OUT */
    IN_STEP = 64 * 1024,       /* taken from the client at a time */
    IN_MAX = PN_SESSION_AHEAD_MAX + PN_ENGINE_LINE_MAX + 2 * IN_STEP,
    PACKED_KEEP = 64 * 1024,       /* compressed input that waits */
    AHEAD_MAX = 2 * PN_ENGINE_OUT, /* of what is being sent while the engine says more */
    GROWN_MAX = 4096,
    UNREAD_MAX = 64 * 1024, /* of what was said: beyond it no more is asked for */
    SEND_MS = VISIT_SEND_MS,
    KEEPALIVE_S = 300
};

static void await(struct visit *v);

/* ---- the end ---- */

/* On a thread. */
static void close_engine(struct crew_job *job)
{
    struct visit *v = (struct visit *)job;
    if (v->engine != NULL)
        v->engine->kind->free(v->engine);
    v->engine = NULL;
}

static void closed(struct crew_job *job)
{
    struct visit *v = (struct visit *)job;
    struct mailbox *mb = v->mailbox;
    pn_loop_forget(mb->loop, v);
    *v->prev = v->next;
    if (v->next != NULL)
        v->next->prev = v->prev;
    mb->visit_count--;
    sessions_left(v);
    pn_timer_free(&v->timer);
    pn_buf_fini(&v->in);
    pn_buf_fini(&v->out);
    pn_buf_fini(&v->grown);
    deflate_free(&v->deflate);
    free(v->name);
    free(v->tag);
    free(v->cipher);
    free(v);
    mailbox_stop_if_idle(mb);
}

/* The client is gone, or hears nothing more than what is being sent. */
void visit_finish(struct visit *v, const char *why)
{
    if (v->end == NULL)
        v->end = why;
    if (v->offered) /* the client may hear somebody else */
        pn_stream_free(&v->stream);
    else
        pn_stream_close(&v->stream);
    if (v->state == VISIT_RUNNING || v->state == VISIT_OPENING || v->state == VISIT_CLOSING)
        return; /* as soon as it does not run */
    v->state = VISIT_CLOSING;
    v->job.more = false;
    visit_event(v);
    v->job.run = close_engine;
    v->job.done = closed;
    crew_submit(v->mailbox->crew, &v->reader->member, &v->job);
}

static void send_said(struct visit *v, struct pn_buf *said)
{
    v->bytes_out += said->len;
    if (said->len != 0 && v->stream != NULL)
        (void)pn_stream_write(v->stream, pn_buf_str(said));
    pn_buf_fini(said);
}

static void send_out(struct visit *v)
{
    send_said(v, &v->out);
}

static void pack_out(struct visit *v)
{
    struct pn_buf packed;
    if (v->deflate == NULL || v->out.len == 0)
        return;
    pn_buf_init(&packed, OUT_MAX + OUT_MAX / 8);
    if (!deflate_pack(v->deflate, pn_buf_str(&v->out), &packed))
        packed.overflow = true;
    pn_buf_fini(&v->out);
    v->out = packed;
}

/* The last word is said. While it goes out, for as long as the client takes some of it, this is a
 * session yet, and counted. */
static void part(struct visit *v, const char *why)
{
    v->end = why;
    v->parting = true;
    v->hearing = false;
    v->state = VISIT_SENDING;
    if (pn_stream_pending(v->stream) == 0)
        visit_finish(v, why);
    else
        pn_stream_timeout(v->stream, SEND_MS);
}

static void say_bye(struct visit *v)
{
    static const char *const why[] = {[PN_ENGINE_IDLE_TOO_LONG] = "idle",
                                      [PN_ENGINE_SHUTDOWN] = "shutdown",
                                      [PN_ENGINE_TOO_LONG] = "too-long"};
    v->engine->kind->bye(v->engine, v->ending_why, &v->out);
    pack_out(v);
    send_out(v);
    part(v, why[v->ending_why]);
}

void visit_end(struct visit *v, enum pn_engine_why why)
{
    v->ending = true;
    v->ending_why = why;
    if (!v->parting && (v->state == VISIT_WAITING || v->state == VISIT_SENDING))
        say_bye(v);
}

void visit_lost(struct visit *v)
{
    v->relay = NULL;
    if (v->state != VISIT_CLOSING)
        visit_finish(v, "closed");
}

/* ---- input ---- */

/* How many of the bytes were taken. */
static size_t take(struct visit *v, struct pn_str bytes)
{
    struct pn_str rest = bytes;
    if (v->deflate != NULL) {
        if (!deflate_unpack(v->deflate, &rest, &v->in, IN_STEP))
            v->broken = true; /* no deflate stream: nothing it says can be trusted */
        return bytes.len - rest.len;
    }
    size_t n = bytes.len < IN_STEP ? bytes.len : IN_STEP;
    return pn_buf_add(&v->in, bytes.p, n) ? n : 0;
}

static size_t on_read(void *ctx, struct pn_str bytes)
{
    struct visit *v = ctx;
    if (v->state != VISIT_WAITING) {
        pn_stream_pause(v->stream);
        return 0;
    }
    size_t used = take(v, bytes);
    v->bytes_in += used;
    if (v->broken) {
        visit_finish(v, "broken");
        return used;
    }
    visit_run(v, false);
    return used;
}

/* The client says nothing more; what it asked for is answered yet. */
static void on_eof(void *ctx)
{
    struct visit *v = ctx;
    v->eof = true;
    if (v->state == VISIT_WAITING)
        visit_finish(v, "closed");
}

static void on_close(void *ctx, enum pn_close how, const char *why)
{
    struct visit *v = ctx;
    (void)why;
    pn_stream_free(&v->stream);
    visit_finish(v, how == PN_CLOSE_FULL ? "slow" : "closed");
}

static void on_timeout(void *ctx)
{
    struct visit *v = ctx;
    if (v->state != VISIT_WAITING || pn_stream_pending(v->stream) != 0) {
        pn_stream_free(&v->stream);
        visit_finish(v, "slow");
    } else {
        visit_end(v, PN_ENGINE_IDLE_TOO_LONG);
    }
}

static void on_drained(void *ctx)
{
    struct visit *v = ctx;
    if (v->parting)
        visit_finish(v, v->end);
    else if (v->hearing)
        visit_listen(v);
    else if (v->state == VISIT_SENDING)
        visit_run(v, true);
    else if (v->state == VISIT_WAITING)
        await(v);
}

/* ---- the engine ---- */

/* On a thread. */
static void run_engine(struct crew_job *job)
{
    struct visit *v = (struct visit *)job;
    struct pn_str in = pn_buf_str(&v->in);
    size_t before = in.len;
    v->said = v->engine->kind->run(v->engine, &in, &v->out);
    v->consumed = before - in.len;
    pack_out(v);
}

/* So much waits for the client that an engine with more to say would only heap it up. */
static bool reads_nothing(const struct visit *v)
{
    return pn_stream_pending(v->stream) > UNREAD_MAX;
}

/* It waits for the client, or for news. */
static void await(struct visit *v)
{
    v->state = VISIT_WAITING;
    if (v->eof) {
        visit_finish(v, "closed");
        return;
    }
    if (v->in.len > PN_ENGINE_LINE_MAX && v->consumed == 0) {
        visit_end(v, PN_ENGINE_TOO_LONG);
        return;
    }
    if (reads_nothing(v)) { /* until that is sent */
        pn_stream_timeout(v->stream, SEND_MS);
        return;
    }
    if (v->deflate != NULL && deflate_holds(v->deflate)) {
        (void)take(v, PN_STR(""));
        v->again = true;
    }
    if (v->broken) {
        visit_finish(v, "broken");
        return;
    }
    if (v->again) {
        visit_run(v, false);
        return;
    }
    pn_stream_timeout(v->stream, pn_stream_pending(v->stream) != 0
                                     ? SEND_MS
                                     : v->engine->kind->patience(v->engine));
    pn_stream_resume(v->stream);
}

static void begin_deflate(struct visit *v)
{
    struct pn_buf packed = v->in; /* what came behind the command is packed */
    struct pn_str rest = pn_buf_str(&packed);
    v->deflate = deflate_new();
    pn_buf_init(&v->in, IN_MAX);
    if (v->deflate == NULL || rest.len > IN_STEP ||
        !deflate_unpack(v->deflate, &rest, &v->in, IN_STEP) || rest.len != 0) {
        pn_buf_fini(&packed);
        visit_finish(v, "broken");
        return;
    }
    v->again = v->again || v->in.len != 0;
    pn_buf_fini(&packed);
    await(v);
}

static void consume(struct visit *v)
{
    if (v->consumed == v->in.len)
        pn_buf_fini(&v->in);
    else
        pn_buf_consume(&v->in, v->consumed);
}

static void go_on(struct visit *v)
{
    switch (v->said) {
    case PN_ENGINE_INPUT:
        await(v);
        return;
    case PN_ENGINE_DEFLATE:
        begin_deflate(v);
        return;
    case PN_ENGINE_MORE:
        v->state = VISIT_SENDING;
        pn_stream_timeout(v->stream, SEND_MS);
        if (pn_stream_pending(v->stream) == 0)
            visit_run(v, true);
        return;
    case PN_ENGINE_HEARD:
        v->state = VISIT_SENDING;
        pn_stream_timeout(v->stream, SEND_MS);
        visit_listen_begin(v);
        return;
    case PN_ENGINE_END:
        part(v, "logout");
        return;
    }
}

/* All that was said before is sent: a client that keeps up need not wait for the disk, nor the
 * disk for the network. */
static bool may_run_ahead(const struct visit *v)
{
    return v->said == PN_ENGINE_MORE && !v->ending && v->stream != NULL && !v->out.overflow &&
           v->out.len <= AHEAD_MAX && pn_stream_pending(v->stream) == 0;
}

static void run_ahead(struct visit *v)
{
    struct pn_buf said = v->out;
    pn_stream_timeout(v->stream, SEND_MS);
    visit_run(v, true);
    send_said(v, &said);
}

/* On the engine's thread; the loop hears of it when the run ends. */
static void grew(void *ctx, struct pn_str folder)
{
    struct visit *v = ctx;
    size_t was = v->grown.len;
    if (!pn_buf_adds(&v->grown, folder) || !pn_buf_addc(&v->grown, '\0')) {
        v->grown.len = was; /* the next search looks at it */
        v->grown.overflow = false;
    }
}

static void tell_indexer(struct visit *v)
{
    struct pn_str rest = pn_buf_str(&v->grown);
    while (rest.len > 0)
        indexer_note(v->mailbox->indexer, pn_str_of(v->reader->name), pn_str_split(&rest, '\0'));
    pn_buf_fini(&v->grown);
    pn_buf_init(&v->grown, GROWN_MAX);
}

static void ran(struct crew_job *job)
{
    struct visit *v = (struct visit *)job;
    bool over = v->out.overflow;
    if (v->grown.len > 0)
        tell_indexer(v);
    consume(v);
    if (may_run_ahead(v)) {
        run_ahead(v);
        return;
    }
    if (v->stream != NULL)
        send_out(v);
    v->state = VISIT_SENDING;
    if (v->stream == NULL) {
        visit_finish(v, v->end);
    } else if (over) {
        pn_error("session %s says more at once than is allowed", v->name);
        visit_finish(v, "error");
    } else if (v->ending && v->said != PN_ENGINE_END) {
        say_bye(v);
    } else {
        go_on(v);
    }
}

/* The engine has a turn. */
void visit_run(struct visit *v, bool more)
{
    v->state = VISIT_RUNNING;
    v->job.more = more;
    v->again = false;
    pn_stream_pause(v->stream);
    pn_buf_init(&v->out, OUT_MAX);
    v->job.run = run_engine;
    v->job.done = ran;
    crew_submit(v->mailbox->crew, &v->reader->member, &v->job);
}

/* ---- the store has news ---- */

static void on_wake(void *arg)
{
    struct visit *v = arg;
    atomic_store(&v->woken, false);
    if (v->state == VISIT_WAITING && v->stream != NULL && !reads_nothing(v))
        visit_run(v, false);
    else
        v->again = true;
}

static void wake(void *ctx)
{
    struct visit *v = ctx;
    if (!atomic_exchange(&v->woken, true))
        pn_loop_post(v->mailbox->loop, on_wake, v);
}

/* ---- the beginning ---- */

static const struct pn_engine_host host = {.wake = wake, .moved = visit_moved, .grew = grew};

/* On a thread: the mailbox, and its engine. */
static void open_engine(struct crew_job *job)
{
    struct visit *v = (struct visit *)job;
    enum pn_store_status status;
    struct pn_buf why;
    pn_buf_init(&why, 500);
    struct pn_user *user =
        mailbox_user(v->mailbox->store, pn_str_of(v->reader->name), &status, &why);
    if (user == NULL) {
        pn_warn("the mailbox of %s can't be opened: %.*s", v->reader->name,
                PN_FMT(pn_buf_str(&why)));
    } else {
        const struct pn_engine_start start = {.user = user,
                                              .tag = pn_str_of(v->tag),
                                              .session = pn_str_of(v->name),
                                              .ip = v->ip,
                                              .tls = v->tls,
                                              .host = &host,
                                              .ctx = v};
        v->engine =
            v->service == PN_SASL_IMAP ? mailbox_imap_engine(&start) : mailbox_pop3_engine(&start);
    }
    pn_buf_fini(&why);
}

/* The login is answered by this: edge has not said OK. */
static void say_no(struct visit *v)
{
    struct pn_buf b;
    pn_buf_init(&b, 500);
    if (v->service == PN_SASL_IMAP)
        (void)pn_buf_addf(&b, "%s NO [UNAVAILABLE] Mailbox can't be opened now\r\n* BYE\r\n",
                          v->tag);
    else
        (void)pn_buf_addz(&b, "-ERR [SYS/TEMP] Mailbox can't be opened now\r\n");
    (void)pn_stream_write(v->stream, pn_buf_str(&b));
    pn_buf_fini(&b);
}

static void begin(struct visit *v)
{
    v->state = VISIT_SENDING;
    if (v->engine == NULL) {
        say_no(v);
        visit_finish(v, "error");
    } else {
        visit_run(v, false);
    }
}

static void opened(struct crew_job *job)
{
    struct visit *v = (struct visit *)job;
    v->state = v->offered ? VISIT_OFFERED : VISIT_SENDING;
    if (v->stream == NULL)
        visit_finish(v, v->end);
    else if (!v->offered)
        begin(v);
}

/* A client whose network is gone without a word is found out in the end. */
static void keep_alive(int fd)
{
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &(int){KEEPALIVE_S}, sizeof(int));
}

/* Edge has no word left for us. */
static void on_unclaimed(void *ctx)
{
    visit_lost(ctx);
}

static struct visit *visit_new(struct mailbox *mb, const struct pn_session *from)
{
    struct visit *v = pn_calloc(1, sizeof *v);
    *v = (struct visit){.next = mb->visits,
                        .prev = &mb->visits,
                        .mailbox = mb,
                        .id = from->id,
                        .offered = !from->relayed,
                        .state = VISIT_OPENING,
                        .service = from->service,
                        .ip = from->ip,
                        .port = from->port,
                        .tls = from->tls.len != 0,
                        .name = pn_strndup(from->session.p, from->session.len),
                        .tag = pn_strndup(from->tag.p, from->tag.len),
                        .began_ns = pn_clock_mono_ns()};
    if (v->tls)
        v->cipher = pn_strndup(from->cipher.p, from->cipher.len);
    if (v->next != NULL)
        v->next->prev = &v->next;
    mb->visits = v;
    mb->visit_count++;
    return v;
}

void visit_begin(struct mailbox *mb, struct reader *reader, struct peer *relay,
                 const struct pn_session *from, int fd)
{
    static const struct pn_stream_ops ops = {.on_read = on_read,
                                             .on_eof = on_eof,
                                             .on_drained = on_drained,
                                             .on_close = on_close,
                                             .on_timeout = on_timeout};
    struct visit *v = visit_new(mb, from);
    v->reader = reader;
    v->relay = relay;
    pn_buf_init(&v->in, IN_MAX);
    pn_buf_init(&v->grown, GROWN_MAX);
    pn_buf_init(&v->out, OUT_MAX);
    (void)pn_buf_adds(&v->in, from->ahead);
    v->bytes_in = from->ahead.len;
    if (v->offered) {
        v->timer = pn_timer_new(mb->loop, on_unclaimed, v);
        pn_timer_set(v->timer, PN_SESSION_YOURS_MS);
    }
    v->stream =
        pn_stream_new(mb->loop, fd, &ops, v,
                      (struct pn_stream_limits){PACKED_KEEP, OUT_MAX + OUT_MAX / 8 + AHEAD_MAX});
    pn_stream_pause(v->stream);
    v->job.run = open_engine;
    v->job.done = opened;
    crew_submit(mb->crew, &reader->member, &v->job);
}

void visit_yours(struct visit *v)
{
    pn_timer_free(&v->timer);
    v->offered = false;
    v->relay = NULL;
    if (v->stream == NULL)
        return;
    keep_alive(pn_stream_fd(v->stream));
    if (v->state == VISIT_OFFERED)
        begin(v);
}
