/*
 * bench_imap_content: FETCH of content through the IMAP engine, no sockets, over a store in memory:
 * what the engine itself can bring. MB/s of octets as sent; "partials" asks for 64 KiB after 64
 * KiB, a command each, as clients do that show a progress bar.
 */
#include "engine.h"
#include "fake_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { KB = 1024, MB = 1000000, SLICE = 64 * KB };

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void on_wake(void *ctx)
{
    (void)ctx;
}

static const struct pn_engine_host host = {.wake = on_wake};

/* Runs commands to the end of what they say; returns how many octets that was. */
static uint64_t say(struct pn_engine *engine, const char *text, struct pn_buf *out)
{
    struct pn_str in = pn_str_of(text);
    uint64_t n = 0;
    bool ok = false;
    enum pn_engine_next next;
    do {
        pn_buf_clear(out);
        next = engine->kind->run(engine, &in, out);
        n += out->len;
        ok = ok || pn_str_ends(pn_buf_str(out), PN_STR(" completed\r\n"));
    } while (next == PN_ENGINE_MORE);
    if (!ok)
        printf("  (no OK: %.*s)", PN_FMT(pn_str_slice(pn_buf_str(out), 0, 100)));
    return n;
}

static void measure(struct pn_engine *engine, const char *what, const char *command,
                    struct pn_buf *out)
{
    uint64_t n = 0;
    unsigned rounds = 0;
    double start = now(), took = 0;
    while (took < 0.3) {
        n += say(engine, command, out);
        rounds++;
        took = now() - start;
    }
    printf("  %-34s %8.0f MB/s %10.3f ms\n", what, (double)n / took / MB, took * 1e3 / rounds);
}

static void partials(struct pn_engine *engine, const char *section, uint64_t size,
                     struct pn_buf *out)
{
    char command[100];
    uint64_t n = 0;
    double start = now();
    for (uint64_t at = 0; at < size; at += SLICE) {
        (void)snprintf(command, sizeof command, "a FETCH 1 %s<%llu.%d>\r\n", section,
                       (unsigned long long)at, SLICE);
        n += say(engine, command, out);
    }
    double took = now() - start;
    printf("  %-34s %8.0f MB/s %10.3f ms\n", section, (double)n / took / MB, took * 1e3);
}

static void folder(const char *name, const char *head, const char *line, size_t size, size_t count)
{
    struct pn_user *user = fake_user();
    struct pn_buf content, out;
    pn_buf_init(&content, SIZE_MAX);
    pn_buf_init(&out, (size_t)8 * KB * KB);
    (void)pn_buf_addz(&content, head);
    while (content.len < size)
        (void)pn_buf_addz(&content, line);
    for (size_t i = 0; i < count; i++)
        (void)fake_deliver(user, "INBOX", pn_buf_str(&content));
    const struct pn_engine_start start = {
        .user = user, .tag = PN_STR("t"), .session = PN_STR("s"), .host = &host};
    struct pn_engine *engine = pn_imap_new(&start);
    (void)say(engine, "a EXAMINE INBOX\r\n", &out);
    printf("%s: %zu messages of %zu bytes\n", name, count, content.len);
    measure(engine, "BODY.PEEK[]", "a FETCH 1:* BODY.PEEK[]\r\n", &out);
    measure(engine, "BODY.PEEK[HEADER.FIELDS (..)]",
            "a FETCH 1:* BODY.PEEK[HEADER.FIELDS (From To Subject Date)]\r\n", &out);
    measure(engine, "BODY.PEEK[1]", "a FETCH 1:* BODY.PEEK[1]\r\n", &out);
    measure(engine, "BINARY.PEEK[1]", "a FETCH 1:* BINARY.PEEK[1]\r\n", &out);
    if (count == 1) {
        partials(engine, "BODY.PEEK[]", size, &out);
        partials(engine, "BODY.PEEK[1]", size, &out);
        partials(engine, "BINARY.PEEK[1]", size / 4 * 3, &out);
    }
    engine->kind->free(engine);
    pn_buf_fini(&content);
    pn_buf_fini(&out);
}

int main(void)
{
    static const char text[] =
        "Some words of text on a line, as people write them, seventy bytes long\n";
    static const char base64[] =
        "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0\n";
    static const char quoted[] =
        "Some words =C3=BC of text on a line, as people write them, they are long =\n";
    static const char head[] = "From: a@b.test\nTo: c@d.test\nSubject: words\n"
                               "Date: Mon, 1 Jan 2024 00:00:00 +0000\n";
    char encoded[400], printable[400];
    char plain[400];
    (void)snprintf(plain, sizeof plain, "%s\n", head);
    (void)snprintf(encoded, sizeof encoded, "%sContent-Transfer-Encoding: base64\n\n", head);
    (void)snprintf(printable, sizeof printable, "%sContent-Transfer-Encoding: quoted-printable\n\n",
                   head);
    folder("small text", plain, text, 4 * KB, 5000);
    folder("text", plain, text, 100 * KB, 300);
    folder("large text", plain, text, 50 * MB, 1);
    folder("large base64", encoded, base64, 50 * MB, 1);
    folder("large quoted-printable", printable, quoted, 50 * MB, 1);
    return EXIT_SUCCESS;
}
