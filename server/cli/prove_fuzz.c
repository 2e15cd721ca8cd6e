/* Messages and envelopes that nobody thought of: seeds, changed by a generator that a seed
 * number names, so that a run can be had again. */
#include "prove.h"

#include "clock.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    CONTENT_MAX = 256 * 1024,
    WORD_MAX = 300,
    CHANGES_MAX = 12,
    LEAK_EVERY = 500, /* trials */
    STOP_AFTER = 20   /* findings: a plugin that breaks so often needs no more of them */
};

struct fuzzer {
    uint64_t state;
    struct pn_pool *pool; /* of one trial */
    const struct prove_case *seeds;
    size_t count;
};

static const char *const dictionary[] = {"From: ",
                                         "To: ",
                                         "Subject: ",
                                         "Received: from ",
                                         "Content-Type: ",
                                         "multipart/mixed; boundary=",
                                         "text/html; charset=",
                                         "message/rfc822",
                                         "Content-Transfer-Encoding: base64\r\n",
                                         "quoted-printable",
                                         "DKIM-Signature: v=1; a=rsa-sha256; ",
                                         "b=",
                                         "bh=",
                                         "d=",
                                         "l=0",
                                         "x=1",
                                         "Authentication-Results: ",
                                         "=?utf-8?b?",
                                         "=?utf-8?q?",
                                         "?=",
                                         "--",
                                         "\r\n\r\n",
                                         "\r\n ",
                                         "\r\n",
                                         "http://",
                                         "https://",
                                         "<a href=\"",
                                         "<!--",
                                         "-->",
                                         "&#x",
                                         "%{d}",
                                         "%{i}",
                                         "@",
                                         "<>",
                                         "\"",
                                         "\\",
                                         "(",
                                         ")",
                                         "[IPv6:",
                                         ";",
                                         "=",
                                         "\xff",
                                         "\xc3\xa4",
                                         "\xed\xa0\x80",
                                         "\x7f",
                                         "0",
                                         "-1",
                                         "4294967296",
                                         "99999999999999999999",
                                         "xn--",
                                         ".",
                                         "..",
                                         "localhost",
                                         "sender.test",
                                         "here.test"};

static uint64_t next(struct fuzzer *f)
{
    uint64_t z = f->state += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

static size_t below(struct fuzzer *f, size_t n)
{
    return n == 0 ? 0 : (size_t)(next(f) % n);
}

static const struct rpl_case *any_seed(struct fuzzer *f)
{
    return f->seeds[below(f, f->count)].session;
}

/* Puts what stands in [at, at + gone) in another's place. */
static void replace(struct pn_buf *b, size_t at, size_t gone, struct pn_str with, size_t max)
{
    struct pn_buf out;
    pn_buf_init(&out, max);
    (void)pn_buf_add(&out, b->p, at);
    (void)pn_buf_adds(&out, with);
    if (at + gone < b->len)
        (void)pn_buf_add(&out, b->p + at + gone, b->len - at - gone);
    if (!out.overflow) {
        pn_buf_clear(b);
        (void)pn_buf_adds(b, pn_buf_str(&out));
    }
    pn_buf_fini(&out);
}

static void change(struct fuzzer *f, struct pn_buf *b, struct pn_str other, size_t max)
{
    size_t at = below(f, b->len + 1), n = below(f, 1 + below(f, 64));
    const char *word = dictionary[below(f, sizeof dictionary / sizeof dictionary[0])];
    char byte = (char)next(f);
    if (n > b->len - at)
        n = b->len - at;
    switch (below(f, 7)) {
    case 0:
        replace(b, at, n == 0 ? 0 : 1, (struct pn_str){&byte, 1}, max);
        break;
    case 1:
        replace(b, at, n, PN_STR(""), max);
        break;
    case 2: { /* twice */
        struct pn_str part = pn_pool_dup(f->pool, pn_str_slice(pn_buf_str(b), at, at + n));
        replace(b, at, 0, part, max);
        break;
    }
    case 3:
    case 4:
        replace(b, at, n / 2, pn_str_of(word), max);
        break;
    case 5: { /* of another */
        size_t from = below(f, other.len + 1);
        replace(b, at, n, pn_str_slice(other, from, from + below(f, 2000)), max);
        break;
    }
    default: /* the rest is gone */
        if (below(f, 8) == 0)
            b->len = at;
        break;
    }
}

/* What the server lets in: CRLF ends, no NUL. */
static struct pn_str clean_content(struct fuzzer *f, const struct pn_buf *b)
{
    struct pn_buf out;
    pn_buf_init(&out, 2 * CONTENT_MAX);
    for (size_t i = 0; i < b->len; i++) {
        char c = b->p[i];
        if (c == '\n')
            (void)pn_buf_addz(&out, "\r\n");
        else if (c != '\r')
            (void)pn_buf_addc(&out, c == '\0' ? ' ' : c);
    }
    struct pn_str s = out.len == 0 ? PN_STR("") : pn_pool_dup(f->pool, pn_buf_str(&out));
    pn_buf_fini(&out);
    return s;
}

static struct pn_str word_of(struct fuzzer *f, struct pn_str seed, struct pn_str other)
{
    struct pn_buf b;
    if (below(f, 3) != 0)
        return seed;
    pn_buf_init(&b, WORD_MAX);
    (void)pn_buf_adds(&b, pn_str_slice(seed, 0, WORD_MAX));
    for (size_t n = 1 + below(f, 4); n > 0; n--)
        change(f, &b, other, WORD_MAX);
    for (size_t i = 0; i < b.len; i++) /* a path ends at these */
        if ((unsigned char)b.p[i] < ' ' || strchr("<>", b.p[i]) != NULL)
            b.p[i] = '_';
    struct pn_str s = b.len == 0 ? PN_STR("") : pn_pool_dup(f->pool, pn_buf_str(&b));
    pn_buf_fini(&b);
    return s;
}

static struct rpl_case make(struct fuzzer *f)
{
    const struct rpl_case *seed = any_seed(f), *other = any_seed(f);
    struct rpl_case c = *seed;
    struct pn_buf b;
    c.helo = word_of(f, c.helo, other->helo);
    c.from = word_of(f, c.from, other->from);
    if (c.rcpt_count != 0 && below(f, 4) == 0) {
        struct pn_str *rcpt = pn_pool_alloc(f->pool, sizeof *rcpt);
        *rcpt = word_of(f, c.rcpts[0], other->from);
        c.rcpts = rcpt;
        c.rcpt_count = 1;
    }
    if (below(f, 8) == 0)
        for (size_t i = below(f, 16); i < 16; i++)
            c.ip.b[i] = (unsigned char)next(f);
    if (!c.has_content)
        return c;
    pn_buf_init(&b, CONTENT_MAX);
    (void)pn_buf_adds(&b, pn_str_slice(c.content, 0, CONTENT_MAX));
    for (size_t n = 1 + below(f, CHANGES_MAX); n > 0; n--)
        change(f, &b, other->content, CONTENT_MAX);
    c.content = clean_content(f, &b);
    pn_buf_fini(&b);
    return c;
}

/* One that leaks by one message alone is found by the faults; this is for what adds up. */
static bool grows(struct prove *p, int64_t *blocks, struct prove_plan *plan, const char *trial,
                  size_t trials)
{
    char text[200];
    struct prove_load now = prove_load(p);
    bool leaks = *blocks >= 0 && now.blocks - *blocks >= LEAK_EVERY / 4;
    if (leaks) {
        struct pn_buf site;
        pn_buf_init(&site, 400);
        heap_site(&site);
        (void)snprintf(text, sizeof text, "%zu trials left %lld blocks; most come from %s", trials,
                       (long long)(now.blocks - *blocks), pn_buf_cstr(&site));
        prove_find(plan, PROVE_LEAK, trial, NULL, text, NULL, NULL);
        pn_buf_fini(&site);
    }
    *blocks = now.blocks;
    return leaks;
}

void prove_fuzz(struct prove *p, const struct prove_case *seeds, size_t count,
                const struct rpl *origin, unsigned seconds, uint64_t seed, struct prove_plan *plan)
{
    struct fuzzer f = {.state = seed, .seeds = seeds, .count = count};
    char name[PROVE_NAME_MAX];
    int64_t blocks = -1;
    uint64_t end = pn_clock_mono_ns() + (uint64_t)seconds * PN_NS_PER_S;
    size_t first = plan->report->count, bytes = 0;
    for (size_t i = 0; count != 0 && pn_clock_mono_ns() < end; i++) {
        f.pool = pn_pool_new(64 * 1024 * 1024);
        struct rpl_case made = make(&f);
        (void)snprintf(name, sizeof name, "fuzz:%llu:%zu", (unsigned long long)seed, i);
        struct prove_case c = {name, &made};
        bytes += made.content.len;
        bool ok = prove_once(p, &c, origin, plan);
        if (ok && i % LEAK_EVERY == LEAK_EVERY - 1)
            ok = !grows(p, &blocks, plan, name, LEAK_EVERY);
        else if (!ok)
            blocks = -1; /* of another worker from now on */
        pn_pool_free(&f.pool);
        if (plan->report->count - first >= STOP_AFTER || prove_given_up(plan))
            break;
    }
    (void)bytes;
}

/* ---- a case as a script */

static void put_bytes(struct pn_buf *out, struct pn_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '\\')
            (void)pn_buf_addz(out, "\\\\");
        else if (c < ' ' || c >= 0x7f)
            (void)pn_buf_addf(out, "\\x%02x", c);
        else
            (void)pn_buf_addc(out, (char)c);
    }
}

static void put_line(struct pn_buf *out, const char *head, struct pn_str s, const char *tail)
{
    (void)pn_buf_addz(out, head);
    put_bytes(out, s);
    (void)pn_buf_addz(out, tail);
    (void)pn_buf_addc(out, '\n');
}

static void put_content(struct pn_buf *out, struct pn_str content)
{
    (void)pn_buf_addz(out, "< DATA\n>| 354\n");
    while (content.len != 0) {
        size_t end = pn_str_find(content, '\n', 0);
        struct pn_str line = pn_str_slice(content, 0, end);
        content = end >= content.len ? PN_STR("") : pn_str_slice(content, end + 1, content.len);
        if (line.len > 0 && line.p[line.len - 1] == '\r')
            line.len--;
        put_line(out, pn_str_starts(line, PN_STR(".")) ? "< ." : "< ", line, "");
    }
    (void)pn_buf_addz(out, "< .\n");
}

void prove_script(struct pn_buf *out, const struct prove_case *c, const struct rpl *origin,
                  const char *why)
{
    static const struct {
        enum rpl_word word;
        const char *name;
    } kept[] = {{RPL_CONF, "conf"}, {RPL_DNS, "dns"}, {RPL_FILE, "file"}};
    char ip[PN_IP_TEXT_MAX];
    const struct rpl_case *s = c->session;
    put_line(out, "# ", pn_str_of(c->name), "");
    put_line(out, "# ", pn_str_of(why), "");
    for (size_t k = 0; origin != NULL && k < sizeof kept / sizeof kept[0]; k++)
        for (size_t i = 0; i < origin->count; i++)
            if (origin->lines[i].word == kept[k].word)
                (void)pn_buf_addf(out, "%s %.*s\n", kept[k].name, PN_FMT(origin->lines[i].rest));
    (void)pn_buf_addf(out, "time %lld\nclient %s\n>| 220\n", (long long)(s->now_ms / 1000),
                      pn_ip_text(&s->ip, ip));
    put_line(out, "< EHLO ", s->helo, "");
    if (!s->has_mail)
        return;
    put_line(out, "< MAIL FROM:<", s->from, ">");
    for (size_t i = 0; i < s->rcpt_count; i++)
        put_line(out, "< RCPT TO:<", s->rcpts[i], ">");
    if (s->has_content)
        put_content(out, s->content);
}
