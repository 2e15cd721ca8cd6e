#include "imap_rig.h"

#include "assert.h"
#include "unit.h"

#include <stdio.h>

enum { OUT_MAX = 64 * 1024 * 1024 };

static void on_wake(void *ctx)
{
    ((struct imap_rig *)ctx)->wakes++;
}

static void on_moved(void *ctx, struct pn_str from, struct pn_str to, bool into_junk,
                     uint64_t messages, struct pn_str ids)
{
    struct imap_rig *rig = ctx;
    (void)pn_buf_addf(&rig->moved, "%.*s>%.*s %s %llu %.*s;", PN_FMT(from), PN_FMT(to),
                      into_junk ? "junk" : "good", (unsigned long long)messages, PN_FMT(ids));
}

static void on_grew(void *ctx, struct pn_str folder)
{
    struct imap_rig *rig = ctx;
    (void)pn_buf_addf(&rig->grown, "%.*s;", PN_FMT(folder));
}

static const struct pn_engine_host host = {.wake = on_wake, .moved = on_moved, .grew = on_grew};
static const struct pn_engine_host no_host = {.wake = on_wake};

static enum pn_engine_next run(struct pn_engine *engine, struct pn_buf *in, struct pn_buf *out)
{
    enum pn_engine_next next;
    do {
        struct pn_str left = pn_buf_str(in);
        struct pn_buf said;
        pn_buf_init(&said, 8 * 1024 * 1024);
        next = engine->kind->run(engine, &left, &said);
        pn_buf_consume(in, in->len - left.len);
        pn_assert(!said.overflow && pn_buf_adds(out, pn_buf_str(&said)));
        pn_buf_fini(&said);
    } while (next == PN_ENGINE_MORE);
    return next;
}

void imap_rig_init(struct imap_rig *rig)
{
    *rig = (struct imap_rig){.user = imap_rig_user(false)};
    pn_buf_init(&rig->in, OUT_MAX);
    pn_buf_init(&rig->out, OUT_MAX);
    pn_buf_init(&rig->grown, 10000);
    pn_buf_init(&rig->moved, OUT_MAX);
    const struct pn_engine_start start = {.user = imap_rig_user(true),
                                          .tag = PN_STR("t"),
                                          .session = PN_STR("s1"),
                                          .host = &host,
                                          .ctx = rig};
    struct pn_engine_start other = start;
    other.user = imap_rig_user(true);
    other.host = &no_host;
    rig->engine = pn_imap_new(&start);
    rig->other = pn_imap_new(&other);
    imap_rig_feed(rig, PN_STR(""));
    UNIT_TRUE(pn_str_starts(pn_buf_str(&rig->out), PN_STR("t OK [CAPABILITY IMAP4rev1 ")));
    UNIT_TRUE(pn_str_ends(pn_buf_str(&rig->out), PN_STR("] Logged in\r\n")));
    pn_buf_clear(&rig->out);
}

void imap_rig_fini(struct imap_rig *rig)
{
    rig->engine->kind->free(rig->engine);
    rig->other->kind->free(rig->other);
    pn_user_close(&rig->user);
    pn_buf_fini(&rig->in);
    pn_buf_fini(&rig->out);
    pn_buf_fini(&rig->moved);
    pn_buf_fini(&rig->grown);
}

void imap_rig_feed(struct imap_rig *rig, struct pn_str bytes)
{
    (void)pn_buf_adds(&rig->in, bytes);
    if (rig->ended)
        return;
    enum pn_engine_next next = run(rig->engine, &rig->in, &rig->out);
    rig->ended = next == PN_ENGINE_END;
    rig->deflate = rig->deflate || next == PN_ENGINE_DEFLATE;
}

static void with_line_ends(const char *text, struct pn_buf *out)
{
    pn_buf_init(out, OUT_MAX);
    for (; *text != '\0'; text++)
        (void)(*text == '\n' ? pn_buf_addz(out, "\r\n") : pn_buf_addc(out, *text));
}

void imap_rig_say(struct imap_rig *rig, const char *text)
{
    struct pn_buf bytes;
    with_line_ends(text, &bytes);
    imap_rig_feed(rig, pn_buf_str(&bytes));
    pn_buf_fini(&bytes);
}

void imap_rig_other(struct imap_rig *rig, const char *text)
{
    struct pn_buf bytes, unseen;
    with_line_ends(text, &bytes);
    pn_buf_init(&unseen, OUT_MAX);
    UNIT_INT(run(rig->other, &bytes, &unseen), PN_ENGINE_INPUT);
    UNIT_TRUE(strstr(pn_buf_cstr(&unseen), " BAD ") == NULL);
    UNIT_TRUE(strstr(pn_buf_cstr(&unseen), " NO ") == NULL);
    pn_buf_fini(&bytes);
    pn_buf_fini(&unseen);
}

/* ~ is a number; where a mistake is said to be near may be left out. */
static bool matches(struct pn_str got, struct pn_str want)
{
    size_t g = 0;
    for (size_t w = 0; w < want.len; w++) {
        if (want.p[w] == '\r' && pn_str_starts(pn_str_slice(got, g, got.len), PN_STR(" near \"")))
            g = pn_str_find(got, '\r', g);
        if (want.p[w] != '~') {
            if (g == got.len || got.p[g++] != want.p[w])
                return false;
            continue;
        }
        size_t digits = g;
        while (g < got.len && pn_is_digit(got.p[g]))
            g++;
        if (g == digits)
            return false;
    }
    return g == got.len;
}

void imap_rig_want(struct imap_rig *rig, const char *want)
{
    struct pn_buf bytes;
    with_line_ends(want, &bytes);
    if (!matches(pn_buf_str(&rig->out), pn_buf_str(&bytes)))
        UNIT_STR(pn_buf_str(&rig->out), pn_buf_str(&bytes));
    pn_buf_clear(&rig->out);
    pn_buf_fini(&bytes);
}

/* The turns, each cut at `cut` bytes (0: not), or byte by byte. */
static void play(const struct imap_turn *turns, size_t cut, bool bytewise)
{
    struct imap_rig rig;
    imap_rig_init(&rig);
    for (const struct imap_turn *t = turns; t->say != NULL; t++) {
        struct pn_buf bytes;
        if (t->say[0] == '!') {
            imap_rig_other(&rig, t->say + 1);
            imap_rig_feed(&rig, PN_STR("")); /* as if woken */
            imap_rig_want(&rig, t->want);
            continue;
        }
        with_line_ends(t->say, &bytes);
        struct pn_str s = pn_buf_str(&bytes);
        size_t step = bytewise ? 1 : s.len;
        for (size_t at = 0; at < s.len;) {
            size_t to = at == 0 && cut > 0 ? cut : at + step;
            imap_rig_feed(&rig, pn_str_slice(s, at, to));
            at = to;
        }
        pn_buf_fini(&bytes);
        imap_rig_want(&rig, t->want);
    }
    imap_rig_fini(&rig);
}

void imap_rig_play(const char *label, const struct imap_turn *turns)
{
    size_t longest = 0;
    unit_row(label);
    for (const struct imap_turn *t = turns; t->say != NULL; t++)
        longest = strlen(t->say) > longest ? strlen(t->say) : longest;
    play(turns, 0, false);
    if (imap_rig_cuts)
        play(turns, 0, true);
    for (size_t cut = 1; imap_rig_cuts && cut < longest; cut++)
        play(turns, cut, false);
}
