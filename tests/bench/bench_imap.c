/* What the IMAP engine itself costs, on a store in memory: bench_imap [MESSAGES]. */
#include "engine.h"
#include "fake_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void on_wake(void *ctx)
{
    (void)ctx;
}

static const struct pn_engine_host host = {.wake = on_wake};

static double now(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void ask(struct pn_engine *engine, const char *text)
{
    struct pn_str in = pn_str_of(text);
    enum pn_engine_next next;
    double bytes = 0, begin = now();
    do {
        struct pn_buf out;
        pn_buf_init(&out, 8 * 1024 * 1024);
        next = engine->kind->run(engine, &in, &out);
        bytes += (double)out.len;
        pn_buf_fini(&out);
    } while (next == PN_ENGINE_MORE);
    double s = now() - begin;
    printf("%-34.*s %8.2f ms %10.0f bytes %8.0f MB/s\n", (int)strlen(text) - 2, text, s * 1e3,
           bytes, bytes / s / 1e6);
}

int main(int argc, char **argv)
{
    long count = argc > 1 ? strtol(argv[1], NULL, 10) : 100000;
    struct pn_user *user = fake_user();
    struct pn_buf mail;
    pn_buf_init(&mail, 1024 * 1024);
    (void)pn_buf_addz(&mail,
                      "From: \"Ann Other\" <ann@a.test>\nTo: bob@b.test\nSubject: About the "
                      "things\nMessage-ID: <1234567@a.test>\nDate: Tue, 14 Nov 2023 22:13:20 "
                      "+0000\nContent-Type: text/plain; charset=utf-8\n\n");
    for (int i = 0; i < 50; i++)
        (void)pn_buf_addz(&mail,
                          "A line of text such as people write when they write of nothing.\n");
    for (long i = 0; i < count; i++)
        (void)fake_deliver(user, "INBOX", pn_buf_str(&mail));
    const struct pn_engine_start start = {.user = user, .tag = PN_STR("t"), .host = &host};
    struct pn_engine *engine = pn_imap_new(&start);
    ask(engine, "a NOOP\r\n");
    ask(engine, "a SELECT INBOX\r\n");
    ask(engine, "a FETCH 1:* (FLAGS UID)\r\n");
    ask(engine, "a FETCH 1:* (UID FLAGS INTERNALDATE)\r\n");
    ask(engine, "a FETCH 1:* ENVELOPE\r\n");
    ask(engine, "a FETCH 1:* BODY.PEEK[]\r\n");
    ask(engine, "a FETCH 1:* BODY.PEEK[HEADER]\r\n");
    ask(engine, "a STORE 1:* +FLAGS (\\Seen)\r\n");
    engine->kind->free(engine);
    pn_buf_fini(&mail);
    return 0;
}
