/*
 * An engine for tests of its host: it says back what it hears, much of it, compressed, or waits.
 *
 *   echo TEXT   TEXT
 *   much N      N times 100,000 bytes, a piece a run
 *   pieces      how many of them were said since the last such word
 *   hold        nothing, and its thread, until somebody says "release"
 *   spin        nothing, a slice after the other, until somebody says "stop": then "spun"
 *   heard       100,000 bytes, and once they have arrived "arrived"
 *   arrivals    how many did
 *   held?       how many hold
 *   news        its own host is told that something changed: "* news"
 *   pack        from here on compressed
 *   quit        bye
 *
 * And what an IMAP client says while it is idle, TAG NOOP, TAG IDLE, DONE, TAG LOGOUT, or one of
 * POP3, NOOP and QUIT.
 */
#include "mailbox_int.h"
#include "mem.h"

#include <stdlib.h>

enum { PIECE = 100000 };

struct echo {
    struct pn_engine engine; /* first */
    const struct pn_engine_host *host;
    void *ctx;
    char *tag;
    unsigned much;
    bool greeted, news, pop3, hears, spins;
    unsigned stops;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t released = PTHREAD_COND_INITIALIZER;
static unsigned holding, releases;
static atomic_uint arrivals, stops, pieces;

static void hold(void)
{
    (void)pthread_mutex_lock(&lock);
    unsigned before = releases;
    holding++;
    while (releases == before)
        (void)pthread_cond_wait(&released, &lock);
    holding--;
    (void)pthread_mutex_unlock(&lock);
}

static void release(struct pn_buf *out)
{
    (void)pthread_mutex_lock(&lock);
    releases++;
    (void)pn_buf_addf(out, "released %u\r\n", holding);
    (void)pthread_cond_broadcast(&released);
    (void)pthread_mutex_unlock(&lock);
}

static enum pn_engine_next say_much(struct echo *e, struct pn_buf *out)
{
    char *to = pn_buf_reserve(out, PIECE);
    if (to == NULL)
        return PN_ENGINE_END;
    memset(to, 'x', PIECE - 2);
    memcpy(to + PIECE - 2, "\r\n", 2);
    out->len += PIECE;
    atomic_fetch_add(&pieces, 1);
    e->much -= e->much != 0;
    return PN_ENGINE_MORE; /* at the end: there may be more to consume */
}

static enum pn_engine_next speak_imap(struct echo *e, struct pn_str line, struct pn_buf *out)
{
    bool quit = e->pop3 && pn_str_eq(line, PN_STR("QUIT"));
    if (e->pop3 && (quit || pn_str_eq(line, PN_STR("NOOP"))))
        (void)pn_buf_addz(out, "+OK\r\n");
    if (e->pop3)
        return quit ? PN_ENGINE_END : PN_ENGINE_INPUT;
    struct pn_str tag = pn_str_split(&line, ' ');
    if (pn_str_eq(line, PN_STR("NOOP")) || pn_str_starts(line, PN_STR("SELECT ")))
        (void)pn_buf_addf(out, "%.*s OK\r\n", PN_FMT(tag));
    if (pn_str_eq(line, PN_STR("IDLE"))) {
        free(e->tag);
        e->tag = pn_strndup(tag.p, tag.len);
        (void)pn_buf_addz(out, "+ idling\r\n");
    }
    if (pn_str_eq(tag, PN_STR("DONE")))
        (void)pn_buf_addf(out, "%s OK\r\n", e->tag);
    if (!pn_str_eq(line, PN_STR("LOGOUT")))
        return PN_ENGINE_INPUT;
    (void)pn_buf_addf(out, "* BYE\r\n%.*s OK\r\n", PN_FMT(tag));
    return PN_ENGINE_END;
}

static enum pn_engine_next command(struct echo *e, struct pn_str line, struct pn_buf *out)
{
    uint64_t n;
    e->engine.commands++;
    if (pn_str_starts(line, PN_STR("echo "))) {
        (void)pn_buf_addf(out, "%.*s\r\n", (int)line.len - 5, line.p + 5);
    } else if (pn_str_starts(line, PN_STR("much ")) &&
               pn_str_u64(pn_str_slice(line, 5, line.len), 1000, &n) && n != 0) {
        e->much = (unsigned)n;
        atomic_store(&pieces, 0);
        return PN_ENGINE_MORE;
    } else if (pn_str_eq(line, PN_STR("pieces"))) {
        (void)pn_buf_addf(out, "%03u\r\n", atomic_load(&pieces));
    } else if (pn_str_eq(line, PN_STR("hold"))) {
        hold();
        (void)pn_buf_addz(out, "held\r\n");
    } else if (pn_str_eq(line, PN_STR("held?"))) {
        (void)pthread_mutex_lock(&lock);
        (void)pn_buf_addf(out, "%u\r\n", holding);
        (void)pthread_mutex_unlock(&lock);
    } else if (pn_str_eq(line, PN_STR("release"))) {
        release(out);
    } else if (pn_str_eq(line, PN_STR("spin"))) {
        e->spins = true;
        e->stops = atomic_load(&stops);
        return PN_ENGINE_MORE;
    } else if (pn_str_eq(line, PN_STR("stop"))) {
        atomic_fetch_add(&stops, 1);
        (void)pn_buf_addz(out, "stopped\r\n");
    } else if (pn_str_eq(line, PN_STR("heard"))) {
        e->hears = true;
        (void)say_much(e, out);
        return PN_ENGINE_HEARD;
    } else if (pn_str_eq(line, PN_STR("arrivals"))) {
        (void)pn_buf_addf(out, "%u\r\n", atomic_load(&arrivals));
    } else if (pn_str_eq(line, PN_STR("news"))) {
        e->news = true;
        e->host->wake(e->ctx);
    } else if (pn_str_eq(line, PN_STR("junk"))) {
        e->host->moved(e->ctx, PN_STR("INBOX"), PN_STR("Junk"), true, 1, PN_STR("[\"<1@x>\"]"));
    } else if (pn_str_eq(line, PN_STR("pack"))) {
        (void)pn_buf_addz(out, "packed\r\n");
        return PN_ENGINE_DEFLATE;
    } else if (pn_str_eq(line, PN_STR("quit"))) {
        (void)pn_buf_addz(out, "bye\r\n");
        return PN_ENGINE_END;
    } else {
        return speak_imap(e, line, out);
    }
    return PN_ENGINE_INPUT;
}

static enum pn_engine_next run(struct pn_engine *engine, struct pn_str *in, struct pn_buf *out)
{
    struct echo *e = (struct echo *)engine;
    size_t end;
    if (!e->greeted && e->pop3)
        (void)pn_buf_addz(out, "+OK\r\n");
    else if (!e->greeted)
        (void)pn_buf_addf(out, "%s OK\r\n", e->tag);
    e->greeted = true;
    if (e->news && in->len == 0) {
        e->news = false;
        (void)pn_buf_addz(out, "* news\r\n");
    }
    if (e->spins) {
        if (e->stops == atomic_load(&stops))
            return PN_ENGINE_MORE;
        e->spins = false;
        (void)pn_buf_addz(out, "spun\r\n");
    }
    if (e->hears) {
        e->hears = false;
        atomic_fetch_add(&arrivals, 1);
        (void)pn_buf_addz(out, "arrived\r\n");
    }
    if (e->much != 0)
        return say_much(e, out);
    while ((end = pn_str_find(*in, '\n', 0)) != SIZE_MAX) {
        struct pn_str line = pn_str_trim(pn_str_slice(*in, 0, end));
        *in = pn_str_slice(*in, end + 1, in->len);
        enum pn_engine_next next = command(e, line, out);
        if (next != PN_ENGINE_INPUT)
            return next;
    }
    return PN_ENGINE_INPUT;
}

static void bye(struct pn_engine *engine, enum pn_engine_why why, struct pn_buf *out)
{
    (void)engine;
    (void)pn_buf_addf(out, "* BYE %u\r\n", (unsigned)why);
}

static uint32_t patience(const struct pn_engine *engine)
{
    (void)engine;
    return 30 * 60 * 1000;
}

static void echo_free(struct pn_engine *engine)
{
    struct echo *e = (struct echo *)engine;
    free(e->tag);
    free(e);
}

static struct pn_engine *echo_new(const struct pn_engine_start *start)
{
    static const struct pn_engine_kind kind = {"echo", run, bye, patience, echo_free};
    struct echo *e = pn_calloc(1, sizeof *e);
    *e = (struct echo){.engine = {.kind = &kind}, .host = start->host, .ctx = start->ctx};
    e->tag = pn_strndup(start->tag.p, start->tag.len);
    return &e->engine;
}

static struct pn_engine *echo_pop3(const struct pn_engine_start *start)
{
    struct pn_engine *engine = echo_new(start);
    ((struct echo *)engine)->pop3 = true;
    return engine;
}

struct pn_engine *(*const mailbox_imap_engine)(const struct pn_engine_start *start) = echo_new;
struct pn_engine *(*const mailbox_pop3_engine)(const struct pn_engine_start *start) = echo_pop3;

/* Nobody looks into it. A name with "broken" in it has a mailbox that can't be opened. */
struct pn_user *mailbox_user(struct pn_store *store, struct pn_str name,
                             enum pn_store_status *status, struct pn_buf *why)
{
    *status = PN_STORE_TEMPORARY;
    if (pn_str_starts(name, PN_STR("broken"))) {
        (void)pn_buf_addz(why, "it is broken");
        return NULL;
    }
    return (struct pn_user *)store;
}

bool mailbox_index(struct pn_store *store, struct pn_str user, struct pn_str folder, unsigned ms)
{
    (void)store, (void)user, (void)folder, (void)ms;
    return false;
}
