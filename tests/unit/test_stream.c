#include "unit.h"

#include "buf.h"
#include "clock.h"
#include "identity.h"
#include "mem.h"
#include "stream.h"
#include "stream_int.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* One end of a connection: what it read and how it ended. */
struct end {
    struct pn_stream *stream;
    struct pn_buf got;
    size_t take; /* consume in units of this many bytes; 0: nothing */
    int reads;   /* calls of on_read */
    int drained, tls, closed;
    enum pn_close how;
    bool pause_on_read;
    bool free_on_read;
    bool close_on_read;
    struct pn_str answer; /* written once, on the first read */
};

static struct pn_loop *loop;

static size_t on_read(void *ctx, struct pn_str bytes)
{
    struct end *e = ctx;
    size_t used = e->take == 0 ? 0 : bytes.len - bytes.len % e->take;
    e->reads++;
    if (e->free_on_read) {
        pn_stream_free(&e->stream);
        return 0;
    }
    if (e->pause_on_read) {
        pn_stream_pause(e->stream);
        used = bytes.len < e->take ? 0 : e->take;
    }
    (void)pn_buf_add(&e->got, bytes.p, used);
    if (e->answer.len != 0)
        (void)pn_stream_write(e->stream, e->answer);
    e->answer.len = 0;
    if (e->close_on_read)
        pn_stream_close(&e->stream);
    return used;
}

static void on_drained(void *ctx)
{
    ((struct end *)ctx)->drained++;
}

static void on_tls(void *ctx)
{
    ((struct end *)ctx)->tls++;
}

static void on_close(void *ctx, enum pn_close how, const char *why)
{
    struct end *e = ctx;
    e->closed++;
    e->how = how;
    UNIT_TRUE(why[0] != '\0');
}

static const struct pn_stream_ops ops = {
    .on_read = on_read, .on_drained = on_drained, .on_tls = on_tls, .on_close = on_close};
static const struct pn_stream_limits limits = {.keep_max = 1000, .write_max = 1 << 20};

static void end_init(struct end *e, int fd)
{
    *e = (struct end){.take = 1};
    pn_buf_init(&e->got, 8 << 20);
    if (fd >= 0)
        e->stream = pn_stream_new(loop, fd, &ops, e, limits);
}

static void end_fini(struct end *e)
{
    pn_stream_free(&e->stream);
    pn_buf_fini(&e->got);
}

/* Turns until *value reaches want, for two seconds at most. */
static void turn_until(const int *value, int want)
{
    uint64_t stop = pn_clock_mono_ns() + 2 * (uint64_t)PN_NS_PER_S;
    while (*value < want && pn_clock_mono_ns() < stop)
        pn_loop_turn(loop, 50);
    UNIT_TRUE(*value >= want);
}

static void turn_until_got(const struct end *e, size_t len)
{
    uint64_t stop = pn_clock_mono_ns() + 4 * (uint64_t)PN_NS_PER_S;
    while (e->got.len < len && e->closed == 0 && pn_clock_mono_ns() < stop)
        pn_loop_turn(loop, 50);
    UNIT_INT(e->got.len, len);
}

static void pair(int fds[2])
{
    UNIT_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
}

static void say(int fd, const char *text)
{
    UNIT_INT(write(fd, text, strlen(text)), (long long)strlen(text));
}

static void quiet_turns(void)
{
    for (int i = 0; i < 3; i++)
        pn_loop_turn(loop, 0);
}

static void test_keep(void)
{
    struct end e;
    int fds[2];
    loop = pn_loop_new();
    pair(fds);
    end_init(&e, fds[0]);
    e.take = 4;
    say(fds[1], "abc");
    turn_until(&e.reads, 1);
    UNIT_INT(pn_stream_kept(e.stream), 3);
    say(fds[1], "defgh");
    turn_until(&e.reads, 2);
    UNIT_STR(pn_buf_str(&e.got), PN_STR("abcdefgh"));
    UNIT_INT(pn_stream_kept(e.stream), 0);
    (void)close(fds[1]);
    turn_until(&e.closed, 1);
    UNIT_INT(e.how, PN_CLOSE_EOF);
    UNIT_TRUE(!pn_stream_write(e.stream, PN_STR("late")));
    end_fini(&e);
    pn_loop_free(&loop);
}

static void test_keep_limit(void)
{
    struct end e;
    int fds[2];
    char text[1002];
    memset(text, 'x', sizeof text);
    loop = pn_loop_new();
    pair(fds);
    end_init(&e, fds[0]);
    e.take = 0;
    UNIT_INT(write(fds[1], text, 1000), 1000); /* at the limit */
    turn_until(&e.reads, 1);
    UNIT_INT(e.closed, 0);
    UNIT_INT(write(fds[1], text, 1), 1); /* one too many */
    turn_until(&e.closed, 1);
    UNIT_INT(e.how, PN_CLOSE_FULL);
    end_fini(&e);
    (void)close(fds[1]);
    pn_loop_free(&loop);
}

static void test_pause(void)
{
    struct end e;
    int fds[2];
    char text[3000];
    memset(text, 'x', sizeof text);
    loop = pn_loop_new();
    pair(fds);
    end_init(&e, fds[0]);
    e.pause_on_read = true;
    e.take = 1000;
    UNIT_INT(write(fds[1], text, 3000), 3000);
    turn_until(&e.reads, 1);
    UNIT_INT(pn_stream_kept(e.stream), 2000); /* more than keep_max, but paused */
    say(fds[1], "more");
    (void)shutdown(fds[1], SHUT_WR);
    quiet_turns();
    UNIT_INT(e.reads, 1);
    UNIT_INT(e.closed, 0);
    pn_stream_resume(e.stream);
    UNIT_INT(e.reads, 1); /* not from inside the call */
    turn_until(&e.reads, 2);
    quiet_turns();
    UNIT_INT(e.got.len, 2000);
    pn_stream_resume(e.stream);
    turn_until(&e.reads, 3);
    UNIT_INT(e.got.len, 3000);
    UNIT_INT(e.closed, 0);
    e.pause_on_read = false;
    e.take = 1;
    pn_stream_resume(e.stream);
    turn_until(&e.closed, 1);
    UNIT_INT(e.got.len, 3004);
    end_fini(&e);
    (void)close(fds[1]);
    pn_loop_free(&loop);
}

/* Resume inside on_read shows what was left at once. */
static size_t resume_inside(void *ctx, struct pn_str bytes)
{
    struct end *e = ctx;
    e->reads++;
    pn_stream_pause(e->stream);
    (void)pn_buf_add(&e->got, bytes.p, 1);
    pn_stream_resume(e->stream);
    return 1;
}

static void test_resume_inside(void)
{
    static const struct pn_stream_ops inside = {resume_inside, NULL, NULL, on_close};
    struct end e;
    int fds[2];
    loop = pn_loop_new();
    pair(fds);
    end_init(&e, -1);
    e.stream = pn_stream_new(loop, fds[0], &inside, &e, (struct pn_stream_limits){1, 100});
    say(fds[1], "abcdef");
    turn_until(&e.reads, 6);
    UNIT_STR(pn_buf_str(&e.got), PN_STR("abcdef"));
    UNIT_INT(e.closed, 0);
    end_fini(&e);
    (void)close(fds[1]);
    pn_loop_free(&loop);
}

static void test_write_limit(void)
{
    struct end e;
    int fds[2];
    static char big[1 << 18];
    memset(big, 'y', sizeof big);
    loop = pn_loop_new();
    pair(fds);
    end_init(&e, fds[0]);
    bool ok = true;
    for (int i = 0; i < 20 && ok; i++)
        ok = pn_stream_write(e.stream, (struct pn_str){big, sizeof big});
    UNIT_TRUE(!ok);
    UNIT_INT(e.closed, 0); /* not from inside the call */
    turn_until(&e.closed, 1);
    UNIT_INT(e.how, PN_CLOSE_FULL);
    end_fini(&e);
    (void)close(fds[1]);
    pn_loop_free(&loop);
}

static void test_drain(void)
{
    struct end a, b;
    int fds[2];
    size_t len = 900000;
    char *big = pn_alloc(len);
    for (size_t i = 0; i < len; i++)
        big[i] = (char)('a' + i % 23);
    loop = pn_loop_new();
    pair(fds);
    end_init(&a, fds[0]);
    end_init(&b, fds[1]);
    UNIT_TRUE(pn_stream_write(a.stream, (struct pn_str){big, len}));
    UNIT_TRUE(pn_stream_pending(a.stream) > 0);
    turn_until(&a.drained, 1);
    UNIT_INT(pn_stream_pending(a.stream), 0);
    turn_until_got(&b, len);
    UNIT_TRUE(memcmp(b.got.p, big, len) == 0);
    /* Close sends what is left, then ends. */
    UNIT_TRUE(pn_stream_write(a.stream, (struct pn_str){big, len}));
    pn_stream_close(&a.stream);
    UNIT_TRUE(a.stream == NULL);
    turn_until_got(&b, 2 * len);
    turn_until(&b.closed, 1);
    UNIT_INT(b.how, PN_CLOSE_EOF);
    UNIT_INT(a.closed, 0);
    free(big);
    end_fini(&a);
    end_fini(&b);
    pn_loop_free(&loop);
}

static void on_gone(void *ctx)
{
    (*(int *)ctx)++;
}

/* Closing goes on for as long as the peer takes some of it; how long that is, is told by looks, as
 * the timer makes them. */
static void test_close_slow(void)
{
    enum { STILL = 3 };
    static char big[1000000], got[100000];
    struct end a;
    int fds[2], gone = 0;
    loop = pn_loop_new();
    pair(fds);
    end_init(&a, fds[0]);
    struct pn_stream *s = a.stream;
    UNIT_INT(pn_stream_unheard(s), 0);
    UNIT_TRUE(pn_stream_write(s, (struct pn_str){big, sizeof big}));
    UNIT_TRUE(pn_stream_unheard(s) > pn_stream_pending(s));
    pn_stream_close_then(&a.stream, on_gone, &gone);
    UNIT_TRUE(a.stream == NULL);
    unit_row("many looks, and each time a little was read");
    for (int i = 0; i < 7; i++) {
        UNIT_TRUE(read(fds[1], got, sizeof got) > 50000);
        quiet_turns();
        for (int still = 0; still < STILL; still++)
            stream_closing_time(s);
        UNIT_INT(gone, 0);
    }
    unit_row("nothing is read any more");
    stream_closing_time(s);
    UNIT_INT(gone, 1);
    (void)close(fds[1]);
    unit_row("all is read, and what was said is heard before the end");
    pair(fds);
    end_init(&a, fds[0]);
    UNIT_TRUE(pn_stream_write(a.stream, (struct pn_str){big, sizeof big}));
    pn_stream_close_then(&a.stream, on_gone, &gone);
    struct end b;
    end_init(&b, fds[1]);
    turn_until_got(&b, sizeof big);
    turn_until(&b.closed, 1);
    turn_until(&gone, 2);
    unit_row("nothing to say");
    end_fini(&b);
    pn_stream_close_then(&a.stream, on_gone, &gone);
    UNIT_INT(gone, 3);
    end_fini(&a);
    pn_loop_free(&loop);
}

/* The peer reads no more: what it said before is read first. */
static void test_hear_out(void)
{
    struct end e;
    int fds[2];
    loop = pn_loop_new();
    for (int unread = 0; unread < 2; unread++) {
        unit_row(unread ? "it had something unread" : "it had read all");
        pair(fds);
        end_init(&e, fds[0]);
        pn_stream_hear_out(e.stream);
        if (unread)
            UNIT_TRUE(pn_stream_write(e.stream, PN_STR("unread")));
        say(fds[1], "last words");
        (void)close(fds[1]);
        UNIT_TRUE(pn_stream_write(e.stream, PN_STR("nobody")));
        UNIT_TRUE(pn_stream_write(e.stream, PN_STR("hears it")));
        UNIT_INT(pn_stream_pending(e.stream), 0);
        turn_until(&e.closed, 1);
        UNIT_STR(pn_buf_str(&e.got), PN_STR("last words"));
        end_fini(&e);
    }
    pn_loop_free(&loop);
}

/* Pieces of all sizes, more than one call takes, over what the socket holds. */
static void write_pieces(struct end *from, struct end *to)
{
    enum { PIECES = 90 };
    static char bytes[400000];
    struct pn_str parts[PIECES];
    size_t at = 0;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)('a' + i % 19);
    for (size_t i = 0; i < PIECES; i++) {
        size_t len = i % 7 == 0 ? 0 : i % 5 == 0 ? 17000 : i;
        parts[i] = (struct pn_str){bytes + at, len};
        at += len;
    }
    UNIT_TRUE(pn_stream_writev(from->stream, parts, 0));
    UNIT_TRUE(pn_stream_writev(from->stream, parts, 1)); /* an empty one */
    UNIT_TRUE(pn_stream_writev(from->stream, parts, PIECES));
    turn_until_got(to, at);
    UNIT_TRUE(memcmp(to->got.p, bytes, at) == 0);
    turn_until(&from->drained, 1);
    UNIT_INT(pn_stream_pending(from->stream), 0);
}

static void test_writev(void)
{
    struct end a, b;
    int fds[2];
    loop = pn_loop_new();
    pair(fds);
    end_init(&a, fds[0]);
    end_init(&b, fds[1]);
    write_pieces(&a, &b);
    end_fini(&a);
    end_fini(&b);
    pn_loop_free(&loop);
}

static void test_free_inside(void)
{
    struct end e;
    int fds[2];
    loop = pn_loop_new();
    pair(fds);
    end_init(&e, fds[0]);
    e.free_on_read = true;
    say(fds[1], "x");
    turn_until(&e.reads, 1);
    UNIT_TRUE(e.stream == NULL);
    UNIT_INT(e.closed, 0);
    end_fini(&e);
    (void)close(fds[1]);
    pn_loop_free(&loop);
}

static void test_timeout(void)
{
    struct end e;
    int fds[2];
    loop = pn_loop_new();
    pair(fds);
    end_init(&e, fds[0]);
    pn_stream_timeout(e.stream, 20);
    turn_until(&e.closed, 1);
    UNIT_INT(e.how, PN_CLOSE_TIMEOUT);
    end_fini(&e);
    (void)close(fds[1]);
    pair(fds);
    end_init(&e, fds[0]);
    pn_stream_timeout(e.stream, 10);
    pn_stream_pause(e.stream);
    uint64_t begin = pn_clock_mono_ns();
    while (pn_clock_mono_ns() - begin < 40 * (uint64_t)PN_NS_PER_MS)
        pn_loop_turn(loop, 10);
    UNIT_INT(e.closed, 0);
    pn_stream_resume(e.stream);
    turn_until(&e.closed, 1);
    end_fini(&e);
    (void)close(fds[1]);
    pn_loop_free(&loop);
}

/* A deadline counts for who keeps sending, too. */
static void test_deadline(void)
{
    struct end e;
    int fds[2];
    loop = pn_loop_new();
    pair(fds);
    end_init(&e, fds[0]);
    pn_stream_timeout(e.stream, 60000);
    pn_stream_deadline(e.stream, pn_clock_mono_ns() + 30 * (uint64_t)PN_NS_PER_MS);
    uint64_t stop = pn_clock_mono_ns() + 4 * (uint64_t)PN_NS_PER_S;
    while (e.closed == 0 && pn_clock_mono_ns() < stop) {
        say(fds[1], "x");
        pn_loop_turn(loop, 2);
    }
    UNIT_INT(e.how, PN_CLOSE_TIMEOUT);
    UNIT_TRUE(e.closed == 1 && e.got.len > 0);
    end_fini(&e);
    (void)close(fds[1]);
    /* Taken back; and while the stream is paused it waits. */
    pair(fds);
    end_init(&e, fds[0]);
    pn_stream_deadline(e.stream, pn_clock_mono_ns() + 5 * (uint64_t)PN_NS_PER_MS);
    pn_stream_deadline(e.stream, 0);
    uint64_t begin = pn_clock_mono_ns();
    while (pn_clock_mono_ns() - begin < 20 * (uint64_t)PN_NS_PER_MS)
        pn_loop_turn(loop, 5);
    pn_stream_pause(e.stream);
    pn_stream_deadline(e.stream, pn_clock_mono_ns());
    quiet_turns();
    UNIT_INT(e.closed, 0);
    pn_stream_resume(e.stream);
    pn_stream_deadline(e.stream, pn_clock_mono_ns());
    turn_until(&e.closed, 1);
    end_fini(&e);
    (void)close(fds[1]);
    pn_loop_free(&loop);
}

static void on_timeout(void *ctx)
{
    struct end *e = ctx;
    e->closed++;
    UNIT_TRUE(pn_stream_write(e->stream, PN_STR("bye")));
    pn_stream_close(&e->stream);
}

/* Who has on_timeout may say a last word. */
static void test_last_words(void)
{
    struct pn_stream_ops last = ops;
    struct end e;
    char word[8];
    int fds[2];
    loop = pn_loop_new();
    last.on_timeout = on_timeout;
    pair(fds);
    end_init(&e, -1);
    e.stream = pn_stream_new(loop, fds[0], &last, &e, limits);
    pn_stream_timeout(e.stream, 5);
    turn_until(&e.closed, 1);
    UNIT_INT(read(fds[1], word, sizeof word), 3);
    UNIT_INT(read(fds[1], word, sizeof word), 0);
    UNIT_TRUE(e.stream == NULL);
    (void)close(fds[1]);
    quiet_turns();
    end_fini(&e);
    pn_loop_free(&loop);
}

/* A listening socket on a free loopback port. */
static int listener(struct sockaddr_in *sin)
{
    socklen_t len = sizeof *sin;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *sin = (struct sockaddr_in){.sin_family = AF_INET};
    sin->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    UNIT_INT(bind(fd, (struct sockaddr *)sin, sizeof *sin), 0);
    UNIT_INT(listen(fd, 4), 0);
    UNIT_INT(getsockname(fd, (struct sockaddr *)sin, &len), 0);
    return fd;
}

static void test_connect(void)
{
    struct sockaddr_in to, from = {.sin_family = AF_INET};
    struct end c, s;
    loop = pn_loop_new();
    int fd = listener(&to);
    from.sin_addr.s_addr = htonl(0x7f000002);
    end_init(&c, -1);
    c.stream = pn_stream_connect(loop, (struct sockaddr *)&to, sizeof to, (struct sockaddr *)&from,
                                 sizeof from, &ops, &c, limits);
    UNIT_TRUE(pn_stream_write(c.stream, PN_STR("early")));
    turn_until(&c.drained, 1);
    struct sockaddr_in peer;
    socklen_t len = sizeof peer;
    end_init(&s, accept(fd, (struct sockaddr *)&peer, &len));
    UNIT_INT(ntohl(peer.sin_addr.s_addr), 0x7f000002);
    turn_until_got(&s, 5);
    /* The last words arrive although unread input is there when we close. */
    UNIT_TRUE(pn_stream_write(c.stream, PN_STR("a lot of noise")));
    s.close_on_read = true;
    s.answer = PN_STR("421 bye");
    turn_until(&s.reads, 2);
    UNIT_TRUE(s.stream == NULL);
    turn_until_got(&c, 7);
    turn_until(&c.closed, 1);
    UNIT_INT(c.how, PN_CLOSE_EOF);
    end_fini(&c);
    end_fini(&s);
    (void)close(fd); /* now nobody listens there */
    end_init(&c, -1);
    c.stream =
        pn_stream_connect(loop, (struct sockaddr *)&to, sizeof to, NULL, 0, &ops, &c, limits);
    UNIT_INT(c.closed, 0);
    turn_until(&c.closed, 1);
    UNIT_INT(c.how, PN_CLOSE_ERROR);
    end_fini(&c);
    pn_loop_free(&loop);
}

/* ---- TLS */

static struct pn_buf cert_pem, key_pem;

static void make_identity(const char *name)
{
    pn_buf_init(&cert_pem, 1 << 16);
    pn_buf_init(&key_pem, 1 << 16);
    identity_make(name, &cert_pem, &key_pem);
}

static void drop_identity(void)
{
    pn_buf_fini(&cert_pem);
    pn_buf_fini(&key_pem);
}

static struct pn_tls_context *server_context(void)
{
    struct pn_buf err;
    pn_buf_init(&err, 1000);
    struct pn_tls_identity ids[2] = {
        {PN_STR(""), pn_buf_str(&cert_pem), pn_buf_str(&key_pem)},
        {PN_STR("*.x.test"), pn_buf_str(&cert_pem), pn_buf_str(&key_pem)},
    };
    struct pn_tls_context *tls = pn_tls_server_new(ids, 2, &err);
    UNIT_STR(pn_buf_str(&err), PN_STR(""));
    pn_buf_fini(&err);
    return tls;
}

static struct pn_tls_context *client_context(void)
{
    struct pn_buf err;
    pn_buf_init(&err, 1000);
    struct pn_tls_context *tls = pn_tls_client_new(PN_STR(""), &err);
    UNIT_TRUE(tls != NULL);
    pn_buf_fini(&err);
    return tls;
}

static void test_tls_context(void)
{
    make_identity("mx.x.test");
    struct pn_str cert = pn_buf_str(&cert_pem), key = pn_buf_str(&key_pem);
    const struct {
        const char *label;
        struct pn_str chain, key;
        bool want;
    } rows[] = {
        {"good", cert, key, true},
        {"no certificate", PN_STR(""), key, false},
        {"no key", cert, PN_STR(""), false},
        {"swapped", key, cert, false},
        {"junk", PN_STR("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), key,
         false},
        {"key cut short", cert, pn_str_slice(key, 0, key.len / 2), false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_buf err;
        struct pn_tls_identity id = {PN_STR(""), rows[i].chain, rows[i].key};
        pn_buf_init(&err, 1000);
        unit_row(rows[i].label);
        struct pn_tls_context *tls = pn_tls_server_new(&id, 1, &err);
        UNIT_INT(tls != NULL, rows[i].want);
        UNIT_INT(err.len != 0, !rows[i].want);
        pn_tls_unref(&tls);
        pn_buf_fini(&err);
    }
    drop_identity();
}

static void tls_pair(struct end *c, struct end *s, const char *name)
{
    int fds[2];
    struct pn_tls_context *st = server_context(), *ct = client_context();
    pair(fds);
    end_init(c, fds[0]);
    end_init(s, fds[1]);
    pn_stream_start_tls(s->stream, st, true, NULL);
    pn_stream_start_tls(c->stream, ct, false, name);
    pn_tls_unref(&st); /* the streams hold their own */
    pn_tls_unref(&ct);
    UNIT_TRUE(pn_stream_tls(c->stream) == NULL);
    turn_until(&c->tls, 1);
    turn_until(&s->tls, 1);
}

static void test_tls(void)
{
    struct end c, s;
    size_t len = 700000;
    char *big = pn_alloc(len);
    for (size_t i = 0; i < len; i++)
        big[i] = (char)('a' + i % 25);
    make_identity("mx.x.test");
    loop = pn_loop_new();
    tls_pair(&c, &s, "mx.x.test");
    UNIT_STR(pn_str_of(pn_stream_tls(s.stream)->sni), PN_STR("mx.x.test"));
    UNIT_STR(pn_str_of(pn_stream_tls(s.stream)->protocol), PN_STR("TLSv1.3"));
    UNIT_TRUE(pn_stream_tls(c.stream)->bits >= 128);
    UNIT_TRUE(pn_stream_write(c.stream, (struct pn_str){big, len}));
    turn_until_got(&s, len);
    UNIT_TRUE(memcmp(s.got.p, big, len) == 0);
    turn_until(&c.drained, 1);
    /* Paused input inside OpenSSL comes on resume. */
    s.pause_on_read = true;
    s.reads = 0;
    UNIT_TRUE(pn_stream_write(c.stream, (struct pn_str){big, 100}));
    turn_until(&s.reads, 1);
    UNIT_TRUE(pn_stream_write(c.stream, (struct pn_str){big + 100, 100}));
    quiet_turns();
    UNIT_INT(s.reads, 1);
    s.pause_on_read = false;
    pn_stream_resume(s.stream);
    turn_until_got(&s, len + 200);
    UNIT_TRUE(memcmp(s.got.p + len, big, 200) == 0);
    /* Last words and close_notify together. */
    UNIT_TRUE(pn_stream_write(s.stream, PN_STR("bye")));
    pn_stream_close(&s.stream);
    turn_until(&c.closed, 1);
    UNIT_STR(pn_buf_str(&c.got), PN_STR("bye"));
    UNIT_INT(c.how, PN_CLOSE_EOF);
    free(big);
    end_fini(&c);
    end_fini(&s);
    drop_identity();
    pn_loop_free(&loop);
}

static void test_tls_writev(void)
{
    struct end c, s;
    make_identity("mx.x.test");
    loop = pn_loop_new();
    tls_pair(&c, &s, "mx.x.test");
    write_pieces(&c, &s);
    end_fini(&c);
    end_fini(&s);
    drop_identity();
    pn_loop_free(&loop);
}

static void test_tls_ends(void)
{
    struct end c, s;
    int fds[2];
    make_identity("mx.x.test");
    loop = pn_loop_new();
    tls_pair(&c, &s, "127.0.0.1"); /* an address is not sent as a name */
    UNIT_TRUE(pn_stream_tls(s.stream)->sni == NULL);
    (void)shutdown(pn_stream_fd(c.stream), SHUT_WR); /* FIN without close_notify */
    turn_until(&s.closed, 1);
    UNIT_INT(s.how, PN_CLOSE_EOF);
    end_fini(&c);
    end_fini(&s);

    struct pn_tls_context *st = server_context();
    pair(fds);
    end_init(&s, fds[0]);
    pn_stream_start_tls(s.stream, st, true, NULL);
    say(fds[1], "EHLO plain.test\r\n");
    turn_until(&s.closed, 1);
    UNIT_INT(s.how, PN_CLOSE_TLS);
    end_fini(&s);
    (void)close(fds[1]);

    pair(fds); /* the peer goes in the handshake */
    end_init(&s, fds[0]);
    pn_stream_start_tls(s.stream, st, true, NULL);
    (void)close(fds[1]);
    turn_until(&s.closed, 1);
    UNIT_INT(s.how, PN_CLOSE_TLS);
    end_fini(&s);
    pn_tls_unref(&st);
    drop_identity();
    pn_loop_free(&loop);
}

/* STARTTLS: plain input left behind the command is never read as TLS's. */
static size_t starttls_read(void *ctx, struct pn_str bytes)
{
    struct end *e = ctx;
    e->reads++;
    if (pn_stream_tls(e->stream) == NULL) {
        struct pn_tls_context *tls = server_context();
        (void)pn_stream_write(e->stream, PN_STR("220 go\r\n"));
        pn_stream_start_tls(e->stream, tls, true, NULL);
        pn_tls_unref(&tls);
        return 10; /* "STARTTLS\r\n"; "INJECTED" is left */
    }
    (void)pn_buf_adds(&e->got, bytes);
    return bytes.len;
}

static void test_starttls(void)
{
    static const struct pn_stream_ops sops = {starttls_read, on_drained, on_tls, on_close};
    struct end c, s;
    int fds[2];
    make_identity("mx.x.test");
    loop = pn_loop_new();
    pair(fds);
    end_init(&c, fds[0]);
    end_init(&s, -1);
    s.stream = pn_stream_new(loop, fds[1], &sops, &s, limits);
    UNIT_TRUE(pn_stream_write(c.stream, PN_STR("STARTTLS\r\nINJECTED")));
    turn_until_got(&c, 8);
    struct pn_tls_context *ct = client_context();
    pn_stream_start_tls(c.stream, ct, false, NULL);
    pn_tls_unref(&ct);
    turn_until(&c.tls, 1);
    UNIT_TRUE(pn_stream_write(c.stream, PN_STR("inside")));
    turn_until_got(&s, 6);
    UNIT_STR(pn_buf_str(&s.got), PN_STR("inside"));
    end_fini(&c);
    end_fini(&s);
    drop_identity();
    pn_loop_free(&loop);
}

static int eofs;

static void on_eof(void *ctx)
{
    (void)ctx;
    eofs++;
}

static const struct pn_stream_ops half_ops = {
    .on_read = on_read, .on_drained = on_drained, .on_close = on_close, .on_eof = on_eof};

/* A peer that says no more, and listens yet. */
static void test_half_close(void)
{
    struct end e;
    char got[64];
    int fds[2];
    loop = pn_loop_new();
    pair(fds);
    end_init(&e, -1);
    e.take = 4;
    eofs = 0;
    e.stream = pn_stream_new(loop, fds[0], &half_ops, &e, limits);
    say(fds[1], "abcde");
    UNIT_INT(shutdown(fds[1], SHUT_WR), 0);
    turn_until(&eofs, 1);
    unit_row("once, behind all that it said");
    quiet_turns();
    UNIT_INT(eofs, 1);
    UNIT_INT(e.closed, 0);
    UNIT_STR(pn_buf_str(&e.got), PN_STR("abcd"));
    UNIT_STR(pn_stream_kept_bytes(e.stream), PN_STR("e"));
    unit_row("and it hears what is written, then that no more comes");
    UNIT_TRUE(pn_stream_write(e.stream, PN_STR("answer")));
    pn_stream_end(e.stream);
    UNIT_INT(read(fds[1], got, sizeof got), 6);
    UNIT_INT(read(fds[1], got, sizeof got), 0);
    (void)close(fds[1]);
    end_fini(&e);
    pn_loop_free(&loop);
}

/* Our end first: reading goes on; the end waits for all output. */
static void test_end(void)
{
    struct end e;
    int fds[2];
    loop = pn_loop_new();
    pair(fds);
    end_init(&e, fds[0]);
    char *much = pn_calloc(1, 1 << 20);
    size_t total = 0;
    UNIT_TRUE(pn_stream_write(e.stream, (struct pn_str){much, 1 << 20}));
    UNIT_TRUE(pn_stream_pending(e.stream) != 0);
    pn_stream_end(e.stream);
    ssize_t n;
    do {
        pn_loop_turn(loop, 0);
        n = recv(fds[1], much, 1 << 20, MSG_DONTWAIT);
        total += n > 0 ? (size_t)n : 0;
    } while (n > 0 || (n < 0 && errno == EAGAIN));
    UNIT_INT(n, 0);
    UNIT_INT(total, 1 << 20);
    say(fds[1], "still");
    turn_until_got(&e, 5);
    (void)close(fds[1]);
    turn_until(&e.closed, 1);
    free(much);
    end_fini(&e);
    pn_loop_free(&loop);
}

/* Another has it from here on. */
static void test_rehome(void)
{
    struct end e, other;
    int fds[2];
    loop = pn_loop_new();
    pair(fds);
    end_init(&e, fds[0]);
    end_init(&other, -1);
    e.take = 4;
    e.pause_on_read = true;
    say(fds[1], "abcdef");
    turn_until(&e.reads, 1);
    UNIT_STR(pn_stream_kept_bytes(e.stream), PN_STR("ef"));
    pn_stream_timeout(e.stream, 1);
    other.stream = e.stream;
    e.stream = NULL;
    pn_stream_rehome(other.stream, &ops, &other, limits);
    UNIT_INT(pn_stream_kept(other.stream), 0);
    say(fds[1], "ghi");
    pn_stream_resume(other.stream);
    turn_until_got(&other, 3);
    UNIT_STR(pn_buf_str(&other.got), PN_STR("ghi"));
    (void)close(fds[1]);
    turn_until(&other.closed, 1);
    UNIT_INT(other.how, PN_CLOSE_EOF);
    UNIT_INT(e.closed, 0);
    UNIT_INT(e.reads, 1);
    end_fini(&e);
    end_fini(&other);
    pn_loop_free(&loop);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"keep", test_keep},
        {"keep limit", test_keep_limit},
        {"pause", test_pause},
        {"resume inside", test_resume_inside},
        {"write limit", test_write_limit},
        {"drain", test_drain},
        {"close slow", test_close_slow},
        {"hear out", test_hear_out},
        {"writev", test_writev},
        {"tls_writev", test_tls_writev},
        {"free inside", test_free_inside},
        {"timeout", test_timeout},
        {"deadline", test_deadline},
        {"last words", test_last_words},
        {"half close", test_half_close},
        {"end", test_end},
        {"rehome", test_rehome},
        {"connect", test_connect},
        {"TLS context", test_tls_context},
        {"TLS", test_tls},
        {"TLS ends", test_tls_ends},
        {"STARTTLS", test_starttls},
        {NULL, NULL},
    };
    return unit_main("stream", tests, argc, argv);
}
