#include "unit.h"

#include "asks.h"
#include "clock.h"
#include "dns_reply.h"
#include "fakedns.h"
#include "mem.h"
#include "ub_base.h"
#include "upstream.h"

#include <stdio.h>
#include <stdlib.h>
#include <unbound-event.h>
#include <unistd.h>

/* ---- replies, as bytes ---- */

#define HEAD(rcode, answers)                                                                       \
    "\x12\x34\x81" rcode "\x00\x01\x00" answers "\x00\x00\x00\x00"                                 \
    "\x01"                                                                                         \
    "a\x01t\x00\x00\x01\x00\x01"
/* Offsets: 12 a.t, 14 t, 21 the first answer. */
#define A1 "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x7f\x00\x00\x02"
#define ROW(bytes)                                                                                 \
    {                                                                                              \
        bytes, sizeof(bytes) - 1                                                                   \
    }

static void print_reply(struct pn_buf *out, const struct reply *r)
{
    (void)pn_buf_addf(out, "%s", pn_dns_rcode_name(r->answer.rcode));
    if (r->answer.target.len > 0)
        (void)pn_buf_addf(out, " at %.*s", PN_FMT(r->answer.target));
    for (uint32_t i = 0; i < r->answer.count; i++) {
        struct pn_str d = r->answer.records[i].data;
        (void)pn_buf_addf(out, " %u:", r->answer.records[i].ttl);
        for (size_t k = 0; k < d.len; k++)
            (void)pn_buf_addf(out, d.p[k] > ' ' && d.p[k] < 0x7f ? "%c" : "\\%02x",
                              (unsigned char)d.p[k]);
    }
}

static const struct {
    const char *label;
    struct pn_str packet;
    uint16_t type;
    const char *want; /* NULL: malformed */
} replies[] = {
    {"an address", ROW(HEAD("\x80", "\x01") A1), PN_DNS_A, "NOERROR 60:\\7f\\00\\00\\02"},
    {"no such name", ROW(HEAD("\x83", "\x00")), PN_DNS_A, "NXDOMAIN"},
    {"no data", ROW(HEAD("\x80", "\x00")), PN_DNS_A, "NOERROR"},
    {"refused", ROW(HEAD("\x85", "\x00")), PN_DNS_A, "REFUSED"},
    {"another type is not kept", ROW(HEAD("\x80", "\x01") A1), PN_DNS_MX, "NOERROR"},
    {"twice the same", ROW(HEAD("\x80", "\x02") A1 A1), PN_DNS_A, "NOERROR 60:\\7f\\00\\00\\02"},
    {"empty", ROW(""), PN_DNS_A, NULL},
    {"header cut", ROW("\x12\x34\x81\x80\x00\x01\x00\x00\x00\x00\x00"), PN_DNS_A, NULL},
    {"no question", ROW("\x12\x34\x81\x80\x00\x00\x00\x00\x00\x00\x00\x00"), PN_DNS_A, NULL},
    {"answer missing", ROW(HEAD("\x80", "\x02") A1), PN_DNS_A, NULL},
    {"address of three bytes",
     ROW(HEAD("\x80", "\x01") "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x03\x7f\x00\x00"),
     PN_DNS_A, NULL},
    {"rdata past the end",
     ROW(HEAD("\x80", "\x01") "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x05\x7f\x00\x00\x02"),
     PN_DNS_A, NULL},
    {"class CH is passed over",
     ROW(HEAD("\x80", "\x01") "\xc0\x0c\x00\x01\x00\x03\x00\x00\x00\x3c\x00\x04\x7f\x00\x00\x02"),
     PN_DNS_A, "NOERROR"},
    {"another owner is passed over",
     ROW(HEAD("\x80", "\x01") "\xc0\x0e\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x7f\x00\x00\x02"),
     PN_DNS_A, "NOERROR"},
    {"pointer to itself",
     ROW(HEAD("\x80", "\x01") "\xc0\x15\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x7f\x00\x00\x02"),
     PN_DNS_A, NULL},
    {"pointer forward",
     ROW(HEAD("\x80", "\x01") "\xc0\x17\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x7f\x00\x00\x02"),
     PN_DNS_A, NULL},
    {"pointer loop over labels",
     ROW(HEAD("\x80", "\x01") "\x01"
                              "b\xc0\x15\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x7f\x00\x00\x02"),
     PN_DNS_A, NULL},
    {"reserved label kind",
     ROW(HEAD("\x80", "\x01") "\x80\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x7f\x00\x00\x02"),
     PN_DNS_A, NULL},
    {"owner in other letters",
     ROW(HEAD("\x80", "\x01") "\x01"
                              "A\x01T\x00\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x7f\x00\x00\x02"),
     PN_DNS_A, "NOERROR 60:\\7f\\00\\00\\02"},
    {"strings joined",
     ROW(HEAD("\x80", "\x01") "\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x01\x00\x05\x01x\x00\x01y"),
     PN_DNS_TXT, "NOERROR 1:xy"},
    {"string past the rdata",
     ROW(HEAD("\x80", "\x02") "\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x01\x00\x02\x02x" A1),
     PN_DNS_TXT, NULL},
    {"text without a string",
     ROW(HEAD("\x80", "\x01") "\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x01\x00\x00"), PN_DNS_TXT,
     NULL},
    {"mail exchangers in order",
     ROW(HEAD("\x80",
              "\x02") "\xc0\x0c\x00\x0f\x00\x01\x00\x00\x00\x02\x00\x06\x00\x14\x01Y\xc0\x0e"
                      "\xc0\x0c\x00\x0f\x00\x01\x00\x00\x00\x03\x00\x03\x00\x0a\x00"),
     PN_DNS_MX, "NOERROR 3:\\00\\0a 2:\\00\\14y.t"},
    {"name longer than its rdata",
     ROW(HEAD("\x80", "\x01") "\xc0\x0c\x00\x0c\x00\x01\x00\x00\x00\x02\x00\x03\x01y\x01z\x00"),
     PN_DNS_PTR, NULL},
    {"bytes behind the name",
     ROW(HEAD("\x80", "\x01") "\xc0\x0c\x00\x0c\x00\x01\x00\x00\x00\x02\x00\x03\xc0\x0e\x00"),
     PN_DNS_PTR, NULL},
    {"alias, then the address",
     ROW(HEAD("\x80",
              "\x02") "\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x04\x01z\xc0\x0e"
                      "\x01z\xc0\x0e\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x7f\x00\x00\x03"),
     PN_DNS_A, "NOERROR at z.t 60:\\7f\\00\\00\\03"},
    {"the address, then its alias",
     ROW(HEAD("\x80",
              "\x02") "\x01z\xc0\x0e\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x7f\x00\x00\x03"
                      "\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x04\x01z\xc0\x0e"),
     PN_DNS_A, "NOERROR at z.t 60:\\7f\\00\\00\\03"},
    {"alias asked for",
     ROW(HEAD("\x80", "\x01") "\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x04\x01z\xc0\x0e"),
     PN_DNS_CNAME, "NOERROR 60:z.t"},
    {"alias of itself",
     ROW(HEAD("\x80", "\x01") "\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x02\xc0\x0c"), PN_DNS_A,
     NULL},
    {"unknown type as it stands",
     ROW(HEAD("\x80", "\x01") "\xc0\x0c\x00\x63\x00\x01\x00\x00\x00\x3c\x00\x02\xc0\x0c"), 99,
     "NOERROR 60:\\c0\\0c"},
};

static void test_reply(void)
{
    static struct reply r;
    for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
        unit_row(replies[i].label);
        bool ok = reply_parse(&r, replies[i].packet, replies[i].type);
        UNIT_INT(ok, replies[i].want != NULL);
        if (!ok || replies[i].want == NULL)
            continue;
        struct pn_buf out;
        pn_buf_init(&out, 4096);
        print_reply(&out, &r);
        UNIT_STR(pn_buf_str(&out), pn_str_of(replies[i].want));
        pn_buf_fini(&out);
        /* Cut anywhere it is malformed, or was complete before the cut. */
        for (size_t cut = 0; cut < replies[i].packet.len; cut++)
            UNIT_TRUE(!reply_parse(&r, pn_str_slice(replies[i].packet, 0, cut), replies[i].type));
    }
}

#define SOA(ttl, minimum)                                                                          \
    "\xc0\x0e\x00\x06\x00\x01\x00\x00\x00" ttl "\x00\x16\x00\x00"                                  \
    "\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00" minimum
#define HEAD_NS(rcode, answers, authority)                                                         \
    "\x12\x34\x81" rcode "\x00\x01\x00" answers "\x00" authority "\x00\x00\x01"                    \
    "a\x01t\x00\x00\x01\x00\x01"
#define ADDRESS(ttl) "\xc0\x0c\x00\x01\x00\x01" ttl "\x00\x04\x7f\x00\x00\x02"
#define ALIAS(ttl)                                                                                 \
    "\xc0\x0c\x00\x05\x00\x01\x00\x00\x00" ttl "\x00\x04\x01"                                      \
    "b\xc0\x0e"

/* For how long an answer holds. */
static void test_reply_ttl(void)
{
    static struct reply r;
    static const struct {
        const char *label;
        struct pn_str packet;
        uint32_t want;
    } rows[] = {
        {"a record's", ROW(HEAD("\x80", "\x01") A1), 60},
        {"the least of two", ROW(HEAD("\x80", "\x02") A1 ADDRESS("\x00\x00\x00\x07")), 7},
        {"zero", ROW(HEAD("\x80", "\x01") ADDRESS("\x00\x00\x00\x00")), 0},
        {"the highest bit", ROW(HEAD("\x80", "\x01") ADDRESS("\x80\x00\x00\x01")), 0},
        {"no data without a SOA", ROW(HEAD("\x80", "\x00")), 0},
        {"no data", ROW(HEAD_NS("\x80", "\x00", "\x01") SOA("\x50", "\x20")), 32},
        {"no such name", ROW(HEAD_NS("\x83", "\x00", "\x01") SOA("\x10", "\x20")), 16},
        {"an alias to nothing",
         ROW(HEAD_NS("\x83", "\x01", "\x01") ALIAS("\x05") SOA("\x10", "\x20")), 5},
        {"SERVFAIL", ROW(HEAD_NS("\x82", "\x00", "\x01") SOA("\x10", "\x20")), 0},
        {"a SOA cut short", ROW(HEAD_NS("\x83", "\x00", "\x01") "\xc0\x0e\x00\x06\x00"), 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].label);
        UNIT_TRUE(reply_parse(&r, rows[i].packet, PN_DNS_A));
        UNIT_INT(r.ttl, rows[i].want);
    }
}

/* Records and bytes beyond the limits of dns.h are left out. */
static void test_reply_limits(void)
{
    static struct reply r;
    struct pn_buf b;
    pn_buf_init(&b, 65535);
    (void)pn_buf_add(&b, HEAD("\x80", "\x00"), 21);
    for (unsigned i = 0; i < PN_DNS_RECORDS_MAX + 1; i++)
        (void)pn_buf_addf(&b, "\xc0\x0c%c\x01%c\x01%c%c%c%c%c\x04%c%c%c%c", 0, 0, 0, 0, 0, 9, 0, 1,
                          2, (int)(i >> 8), (int)(i & 255));
    b.p[6] = 1, b.p[7] = 1; /* 257 answers */
    unit_row("records");
    UNIT_TRUE(reply_parse(&r, pn_buf_str(&b), PN_DNS_A));
    UNIT_INT(r.answer.count, PN_DNS_RECORDS_MAX);
    for (size_t len = PN_DNS_TXT_MAX; len <= PN_DNS_TXT_MAX + 1; len++) {
        pn_buf_clear(&b);
        size_t strings = (len + 254) / 255;
        (void)pn_buf_add(&b, HEAD("\x80", "\x01"), 21);
        (void)pn_buf_addf(&b, "\xc0\x0c%c\x10%c\x01%c%c%c%c%c%c", 0, 0, 0, 0, 0, 9,
                          (int)((len + strings) >> 8), (int)((len + strings) & 255));
        for (size_t left = len; left > 0;) {
            size_t n = left > 255 ? 255 : left;
            (void)pn_buf_addc(&b, (char)n);
            for (size_t k = 0; k < n; k++)
                (void)pn_buf_addc(&b, 'x');
            left -= n;
        }
        unit_row("text");
        UNIT_TRUE(reply_parse(&r, pn_buf_str(&b), PN_DNS_TXT));
        UNIT_INT(r.answer.count, len == PN_DNS_TXT_MAX);
    }
    pn_buf_fini(&b);
}

/* ---- the desk, with a backend that answers when told ---- */

struct fake_backend {
    struct ask *held[64];
    char names[64][16];
    size_t count;
    bool freed, at_once;
    uint32_t ttl;
};

struct fake_asker {
    struct asker *asker;
    char said[512]; /* "1:NOERROR 2:TIMEOUT" */
};

static void fake_ask(void *ctx, const char *name, uint16_t type, struct ask *ask)
{
    struct fake_backend *b = ctx;
    (void)type;
    if (b->at_once) {
        asks_done(ask, &(struct pn_dns_answer){0}, 0);
        return;
    }
    (void)snprintf(b->names[b->count], sizeof b->names[0], "%s", name);
    b->held[b->count++] = ask;
}

static void fake_free(void *ctx)
{
    ((struct fake_backend *)ctx)->freed = true;
}

static void fake_done(struct fake_backend *b, size_t i)
{
    struct ask *ask = b->held[i];
    b->count--;
    memmove(&b->held[i], &b->held[i + 1], (b->count - i) * sizeof b->held[0]);
    memmove(&b->names[i], &b->names[i + 1], (b->count - i) * sizeof b->names[0]);
    asks_done(ask, &(struct pn_dns_answer){.rcode = PN_DNS_NOERROR}, b->ttl);
}

static void fake_said(void *ctx, uint64_t id, const struct pn_dns_answer *answer)
{
    struct fake_asker *k = ctx;
    size_t len = strlen(k->said);
    (void)snprintf(k->said + len, sizeof k->said - len, "%s%llu:%s", len == 0 ? "" : " ",
                   (unsigned long long)id, pn_dns_rcode_name(answer->rcode));
}

static void ask_n(struct fake_asker *k, uint64_t from, uint64_t to, uint32_t deadline_ms)
{
    for (uint64_t id = from; id <= to; id++) {
        char name[16];
        (void)snprintf(name, sizeof name, "n%llu", (unsigned long long)id);
        struct pn_dns_ask ask = {id, PN_DNS_A, deadline_ms, pn_str_of(name)};
        asker_ask(k->asker, &ask);
    }
}

#define SAID(asker, text) UNIT_STR(pn_str_of((asker).said), pn_str_of(text))

static void test_asks_fair(void)
{
    struct pn_loop *loop = pn_loop_new();
    struct fake_backend b = {0};
    struct asks_settings set = {8, 60000};
    struct asks *asks = asks_new(loop, &set, (struct asks_backend){fake_ask, fake_free, &b});
    struct fake_asker one = {0}, two = {0};
    one.asker = asker_new(asks, fake_said, &one);
    two.asker = asker_new(asks, fake_said, &two);
    ask_n(&one, 1, 20, 0);
    UNIT_INT(b.count, 4);                      /* half of all slots */
    UNIT_INT(asks_counters(asks)->refused, 8); /* 4 in flight, 8 wait */
    SAID(one, "13:TIMEOUT 14:TIMEOUT 15:TIMEOUT 16:TIMEOUT 17:TIMEOUT 18:TIMEOUT 19:TIMEOUT "
              "20:TIMEOUT");
    ask_n(&two, 101, 104, 0);
    UNIT_INT(b.count, 6); /* two are always left over */
    one.said[0] = '\0';
    /* As slots come free both go on, in turn and in order. */
    fake_done(&b, 4);
    SAID(two, "101:NOERROR");
    UNIT_STR(pn_str_of(b.names[5]), PN_STR("n103"));
    fake_done(&b, 0);
    fake_done(&b, 0);
    SAID(one, "1:NOERROR 2:NOERROR");
    UNIT_INT(b.count, 6);
    UNIT_STR(pn_str_of(b.names[4]), PN_STR("n104"));
    UNIT_STR(pn_str_of(b.names[5]), PN_STR("n5"));
    asker_free(&two.asker);
    while (b.count != 0)
        fake_done(&b, b.count - 1);
    SAID(two, "101:NOERROR"); /* nothing after it went */
    UNIT_INT(asks_counters(asks)->noerror, 13);
    UNIT_INT(asks_counters(asks)->in_flight, 0);
    UNIT_INT(asks_counters(asks)->waiting, 0);
    asker_free(&one.asker);
    asks_free(&asks);
    UNIT_TRUE(b.freed);
    pn_loop_free(&loop);
}

static void test_asks_deadline(void)
{
    struct pn_loop *loop = pn_loop_new();
    struct fake_backend b = {0};
    struct asks_settings set = {2, 30};
    struct asks *asks = asks_new(loop, &set, (struct asks_backend){fake_ask, fake_free, &b});
    struct fake_asker one = {0};
    one.asker = asker_new(asks, fake_said, &one);
    ask_n(&one, 1, 1, 10);
    ask_n(&one, 2, 2, 5); /* waits */
    ask_n(&one, 3, 3, 99999);
    for (int i = 0; i < 100 && asks_counters(asks)->timeout < 3; i++)
        pn_loop_turn(loop, 10);
    SAID(one, "2:TIMEOUT 1:TIMEOUT 3:TIMEOUT");
    UNIT_INT(asks_counters(asks)->in_flight, 1); /* the slot stays taken */
    fake_done(&b, 0);
    SAID(one, "2:TIMEOUT 1:TIMEOUT 3:TIMEOUT");
    UNIT_INT(asks_counters(asks)->in_flight, 0);
    b.at_once = true;
    one.said[0] = '\0';
    ask_n(&one, 4, 6, 0);
    struct pn_dns_ask bad = {7, PN_DNS_A, 0, PN_STR_INIT("a..b")};
    asker_ask(one.asker, &bad);
    SAID(one, "4:NOERROR 5:NOERROR 6:NOERROR 7:NXDOMAIN");
    asker_free(&one.asker);
    asks_free(&asks);
    pn_loop_free(&loop);
}

static void test_asks_reload(void)
{
    struct pn_loop *loop = pn_loop_new();
    struct fake_backend a = {0}, b = {0}, c = {0};
    struct asks_settings set = {8, 60000}, wide = {16, 60000};
    struct asks *asks = asks_new(loop, &set, (struct asks_backend){fake_ask, fake_free, &a});
    struct fake_asker one = {0};
    one.asker = asker_new(asks, fake_said, &one);
    ask_n(&one, 1, 6, 0);
    UNIT_INT(a.count, 4);
    asks_reload(asks, &wide, (struct asks_backend){fake_ask, fake_free, &b});
    UNIT_INT(b.count, 2); /* what waited went to the new one, which has more room */
    asks_reload(asks, &wide, (struct asks_backend){fake_ask, fake_free, &c});
    while (b.count != 0)
        fake_done(&b, 0);
    UNIT_TRUE(!b.freed); /* not from within its own answer */
    pn_loop_turn(loop, 0);
    UNIT_TRUE(b.freed && !a.freed && !c.freed);
    ask_n(&one, 7, 7, 0);
    UNIT_INT(c.count, 1);
    SAID(one, "5:NOERROR 6:NOERROR");
    asker_free(&one.asker);
    asks_free(&asks); /* with questions out */
    UNIT_TRUE(a.freed && c.freed);
    pn_loop_free(&loop);
}

static void count_kept(void *ctx, const char *name, uint16_t type,
                       const struct pn_dns_answer *answer, uint32_t ttl)
{
    UNIT_STR(pn_str_of(name), PN_STR("n1"));
    UNIT_INT(type, PN_DNS_A);
    UNIT_INT(answer->rcode, PN_DNS_NOERROR);
    UNIT_INT(ttl, 60);
    ++*(int *)ctx;
}

/* Answers with a time to live are kept, but not those of a backend that was replaced. */
static void test_asks_keep(void)
{
    struct pn_loop *loop = pn_loop_new();
    struct fake_backend a = {0}, b = {0};
    struct asks_settings set = {8, 60000};
    struct asks *asks = asks_new(loop, &set, (struct asks_backend){fake_ask, fake_free, &a});
    struct fake_asker one = {0};
    int kept = 0;
    one.asker = asker_new(asks, fake_said, &one);
    asks_keep(asks, count_kept, &kept);
    ask_n(&one, 1, 1, 0);
    fake_done(&a, 0);
    UNIT_INT(kept, 0);
    a.ttl = 60;
    ask_n(&one, 1, 1, 0);
    fake_done(&a, 0);
    UNIT_INT(kept, 1);
    ask_n(&one, 1, 1, 0);
    asks_reload(asks, &set, (struct asks_backend){fake_ask, fake_free, &b});
    fake_done(&a, 0);
    UNIT_INT(kept, 1);
    SAID(one, "1:NOERROR 1:NOERROR 1:NOERROR");
    asker_free(&one.asker);
    asks_free(&asks);
    pn_loop_free(&loop);
}

/* ---- libunbound over a server of our own ---- */

struct world {
    struct pn_loop *loop;
    struct fakedns *server;
    struct ub_event_base *base;
    struct asks *asks;
    struct asker *asker;
    struct pn_buf said;
    uint16_t type;
    unsigned pending;
};

static void world_said(void *ctx, uint64_t id, const struct pn_dns_answer *answer)
{
    struct world *w = ctx;
    (void)id;
    w->pending--;
    (void)pn_buf_addf(&w->said, "%s%s", pn_dns_rcode_name(answer->rcode),
                      answer->secure ? "+" : "");
    for (uint32_t i = 0; i < answer->count; i++) {
        struct pn_str d = answer->records[i].data;
        (void)pn_buf_addc(&w->said, ' ');
        for (size_t k = 0; k < d.len; k++)
            (void)pn_buf_addf(&w->said, d.p[k] > ' ' && d.p[k] < 0x7f ? "%c" : "\\%02x",
                              (unsigned char)d.p[k]);
    }
}

static void world_ask(struct world *w, const char *name, uint16_t type, uint32_t deadline_ms)
{
    struct pn_dns_ask ask = {1, type, deadline_ms, pn_str_of(name)};
    w->pending++;
    asker_ask(w->asker, &ask);
}

static void world_wait(struct world *w)
{
    for (int i = 0; i < 1000 && w->pending != 0; i++)
        pn_loop_turn(w->loop, 10);
    UNIT_INT(w->pending, 0);
}

/* trust: the text of a trust anchor's file, or NULL. */
static void world_init(struct world *w, const char *dns, const char *trust)
{
    struct upstream_server to;
    struct asks_backend backend;
    struct asks_settings set = {100, 5000};
    char path[] = "/tmp/postern-anchor-XXXXXX";
    *w = (struct world){.loop = pn_loop_new()};
    pn_buf_init(&w->said, 65536);
    w->server = fakedns_new(w->loop, dns);
    w->base = ub_base_new(w->loop);
    UNIT_TRUE(pn_ip_parse(PN_STR("127.0.0.1"), &to.ip));
    to.port = fakedns_port(w->server);
    struct upstream_settings up = {&to, 1, NULL, 4 << 20, 100};
    if (trust != NULL) {
        int fd = mkstemp(path);
        UNIT_INT(write(fd, trust, strlen(trust)), (long long)strlen(trust));
        (void)close(fd);
        up.trust_anchor = path;
    }
    UNIT_TRUE(upstream_new(w->base, &up, &backend, &w->said));
    w->asks = asks_new(w->loop, &set, backend);
    w->asker = asker_new(w->asks, world_said, w);
    if (trust != NULL)
        (void)unlink(path);
}

static void world_fini(struct world *w)
{
    asker_free(&w->asker);
    asks_free(&w->asks);
    ub_base_free(&w->base);
    fakedns_free(&w->server);
    pn_buf_fini(&w->said);
    pn_loop_free(&w->loop);
}

static void test_upstream(void)
{
    static const struct {
        const char *name;
        uint16_t type;
        const char *want;
    } rows[] = {
        {"a.test", PN_DNS_A, "NOERROR \\c0\\00\\02\\01 \\c0\\00\\02\\02"},
        {"A.Test.", PN_DNS_A, "NOERROR \\c0\\00\\02\\01 \\c0\\00\\02\\02"},
        {"a.test", PN_DNS_TXT, "NOERROR v=spf1\\20-all"},
        {"a.test", PN_DNS_AAAA, "NOERROR"},
        {"b.test", PN_DNS_A, "NXDOMAIN"},
        {"m.example", PN_DNS_MX, "NOERROR \\00\\05mx.example"},
        {"c.example", PN_DNS_MX, "NOERROR \\00\\05mx.example"},
        {"7.2.0.192.in-addr.arpa", PN_DNS_PTR, "NOERROR host.test"},
        {"f.example", PN_DNS_A, "SERVFAIL"},
        {"odd\\032l\\.abel.example", PN_DNS_A, "NOERROR \\c0\\00\\02\\03"},
        {"localhost", PN_DNS_A, "NOERROR \\7f\\00\\00\\01"},
    };
    struct world w;
    world_init(&w,
               "a.test A 192.0.2.1\na.test A 192.0.2.2\na.test TXT \"v=spf1 -all\"\n"
               "m.example MX 5 mx.example\nc.example CNAME m.example\nf.example SERVFAIL\n"
               "7.2.0.192.in-addr.arpa PTR Host.test\nodd\\032l\\.abel.example A 192.0.2.3\n",
               NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].name);
        pn_buf_clear(&w.said);
        world_ask(&w, rows[i].name, rows[i].type, 0);
        world_wait(&w);
        UNIT_STR(pn_buf_str(&w.said), pn_str_of(rows[i].want));
    }
    unit_row("a second time it comes from the cache, before the call returns");
    unsigned before = fakedns_questions(w.server);
    world_ask(&w, "a.test", PN_DNS_TXT, 0);
    UNIT_INT(w.pending, 0);
    UNIT_INT(fakedns_questions(w.server), before);
    world_fini(&w);
}

/* A server that is silent for one name is not taken for dead. */
static void test_upstream_silence(void)
{
    struct world w;
    world_init(&w, "dead.test TIMEOUT\nslow-x.test A 192.0.2.1\ngood.test A 192.0.2.2\n", NULL);
    world_ask(&w, "dead.test", PN_DNS_A, 50);
    world_wait(&w);
    UNIT_STR(pn_buf_str(&w.said), PN_STR("TIMEOUT"));
    UNIT_INT(asks_counters(w.asks)->in_flight, 1);
    pn_buf_clear(&w.said);
    world_ask(&w, "slow-x.test", PN_DNS_A, 0);
    world_ask(&w, "good.test", PN_DNS_A, 0);
    world_wait(&w);
    UNIT_STR(pn_buf_str(&w.said), PN_STR("NOERROR \\c0\\00\\02\\02NOERROR \\c0\\00\\02\\01"));
    world_fini(&w); /* while libunbound still waits */
}

/* A zone that ought to be signed and is not: bogus, and so SERVFAIL. */
static void test_upstream_bogus(void)
{
    struct world w;
    uint64_t before = upstream_counters()->bogus;
    world_init(&w, "a.signed.example A 192.0.2.1\nb.other.example A 192.0.2.2\n",
               "signed.example. IN DS 12345 13 2 "
               "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n");
    world_ask(&w, "a.signed.example", PN_DNS_A, 0);
    world_wait(&w);
    UNIT_STR(pn_buf_str(&w.said), PN_STR("SERVFAIL"));
    UNIT_INT(upstream_counters()->bogus - before, 1);
    pn_buf_clear(&w.said);
    world_ask(&w, "b.other.example", PN_DNS_A, 0);
    world_wait(&w);
    UNIT_STR(pn_buf_str(&w.said), PN_STR("NOERROR \\c0\\00\\02\\02"));
    world_fini(&w);
}

/* A zone signed by a key of ours (RSA/SHA-256, from 2020 to 2087). b's address is not the
 * signed one. */
static const char signed_anchor[] =
    "signed.example. IN DNSKEY 257 3 8 "
    "AwEAAak6EMBaieSGnlaEpTWJ7M5Vx7GVHBSaw0CY5GRPQ28a4tjA2oDN1i7wpKXH"
    "g0HsGQ3hKEEbGF264u+VhCGPIYDwhIflSXKjDnnZmSzQZxj0MjvRLWsj9ixmhlC+"
    "+OVaR7YlzVvYZ236T3zFoCFwOGvSwypENPN+9acouKX42CEN"
    "\n";
static const char signed_zone[] = "a.signed.example A 192.0.2.1\n"
                                  "b.signed.example A 192.0.2.66\n"
                                  "signed.example TYPE48 \\# 136 "
                                  "0101030803010001A93A10C05A89E4869E5684A53589ECCE55C7B1951C149AC3"
                                  "4098E4644F436F1AE2D8C0DA80CDD62EF0A4A5C78341EC190DE128411B185DBA"
                                  "E2EF9584218F2180F08487E54972A30E79D9992CD06718F4323BD12D6B23F62C"
                                  "668650BEF8E55A47B625CD5BD8676DFA4F7CC5A02170386BD2C32A4434F37EF5"
                                  "A728B8A5F8D8210D\n"
                                  "signed.example TYPE46 \\# 162 "
                                  "0030080200000E10DC8985005E0BE10085E4067369676E6564076578616D706C"
                                  "650045A213CAF619AF78B6811DB71D3AB8CCEB0FD1B64786ECCBB2B6214865CD"
                                  "41BE8B877C7DE8747CF5FC1A463BA8ABB3FC0C95C9B9F28B91B6268989E3213D"
                                  "1D5099CC096801A55E1EC2B9B09B1152671DC1B210EC7916D60307999A1F25DB"
                                  "9471E9D8A5FD72147ECC75148686813325FBFD90B042228937F3A856908F19B3"
                                  "5EC9\n"
                                  "a.signed.example TYPE46 \\# 162 "
                                  "0001080300000E10DC8985005E0BE10085E4067369676E6564076578616D706C"
                                  "65000D3965DC5F6D4B140F87ACFD14B9616A4D97B6FEADB18C1FE3C8E848B970"
                                  "55B1EEA3DA4ABBAF740901862F26EA2E815265BF0C90C6FD67F451D4F168A56C"
                                  "F1E3B5394DA3F6EE37E6E031F33EF8F1F2BB0F75EAF58DD1A65DA6363E9A1D8C"
                                  "3DA26B848604E181A22E04297E4918F4A1B7619FB00430656CA3CCCAD90D6E8C"
                                  "6954\n"
                                  "b.signed.example TYPE46 \\# 162 "
                                  "0001080300000E10DC8985005E0BE10085E4067369676E6564076578616D706C"
                                  "650026471DA5EA893AB7022318708989AB9C00A474FFCF224128AD8411F2CBF5"
                                  "60F1D75B673D63C19707EC87AF1FB7A9074FD55193B1C97C3B9B21177F72437E"
                                  "6D7EF65659E0722664AC6894A80E7E8575CD76DE3DBF515CB13781641C5A6362"
                                  "80EFD98E8B04484F9401AD9D3A97313D812D67A703F6130626BAED37C25A40AE"
                                  "296D\n";

static void test_upstream_secure(void)
{
    struct world w;
    uint64_t before = upstream_counters()->bogus;
    world_init(&w, signed_zone, signed_anchor);
    world_ask(&w, "a.signed.example", PN_DNS_A, 0);
    world_wait(&w);
    UNIT_STR(pn_buf_str(&w.said), PN_STR("NOERROR+ \\c0\\00\\02\\01"));
    pn_buf_clear(&w.said);
    unit_row("changed on the way");
    world_ask(&w, "b.signed.example", PN_DNS_A, 0);
    world_wait(&w);
    UNIT_STR(pn_buf_str(&w.said), PN_STR("SERVFAIL"));
    UNIT_INT(upstream_counters()->bogus - before, 1);
    world_fini(&w);
}

static void test_upstream_refused(void)
{
    struct pn_loop *loop = pn_loop_new();
    struct ub_event_base *base = ub_base_new(loop);
    struct upstream_settings set = {NULL, 0, "/nonexistent/anchor", 1 << 20, 100};
    struct asks_backend backend;
    struct pn_buf err;
    pn_buf_init(&err, 1000);
    UNIT_TRUE(!upstream_new(base, &set, &backend, &err));
    UNIT_TRUE(err.len != 0);
    pn_buf_fini(&err);
    ub_base_free(&base);
    pn_loop_free(&loop);
}

static void count_event(int fd, short bits, void *arg)
{
    UNIT_INT(fd, -1);
    UNIT_INT(bits, UB_EV_TIMEOUT);
    ++*(int *)arg;
}

/* An event without a wait fires in the turn that it is set in, so that no question waits
 * for a clock; once for each time, and not when it was taken back. */
static void test_event_at_once(void)
{
    struct pn_loop *loop = pn_loop_new();
    struct ub_event_base *base = ub_base_new(loop);
    struct timeval none = {0, 0}, long_time = {1000, 0};
    int fired = 0;
    struct ub_event *e = base->vmt->new_event(base, -1, UB_EV_TIMEOUT, count_event, &fired);
    const struct ub_event_vmt *v = e->vmt;
    unit_row("set");
    (void)v->add_timer(e, base, count_event, &fired, &none);
    UNIT_INT(fired, 0); /* never from inside */
    pn_loop_turn(loop, 0);
    UNIT_INT(fired, 1);
    pn_loop_turn(loop, 0);
    UNIT_INT(fired, 1);
    unit_row("taken back, and set twice");
    (void)v->add_timer(e, base, count_event, &fired, &none);
    (void)v->del_timer(e);
    pn_loop_turn(loop, 0);
    UNIT_INT(fired, 1);
    (void)v->add_timer(e, base, count_event, &fired, &none);
    (void)v->del_timer(e);
    (void)v->add_timer(e, base, count_event, &fired, &none);
    pn_loop_turn(loop, 0);
    UNIT_INT(fired, 2);
    unit_row("the later word counts");
    (void)v->add_timer(e, base, count_event, &fired, &none);
    (void)v->add_timer(e, base, count_event, &fired, &long_time);
    pn_loop_turn(loop, 0);
    UNIT_INT(fired, 2);
    (void)v->add_timer(e, base, count_event, &fired, &none);
    pn_loop_turn(loop, 0);
    UNIT_INT(fired, 3);
    unit_row("freed while it is due");
    (void)v->add_timer(e, base, count_event, &fired, &none);
    v->free(e);
    pn_loop_turn(loop, 0);
    UNIT_INT(fired, 3);
    ub_base_free(&base);
    pn_loop_free(&loop);
}

static void test_file(void)
{
    struct pn_loop *loop = pn_loop_new();
    struct pn_buf err;
    pn_buf_init(&err, 1000);
    struct pn_dnsfile *file =
        pn_dnsfile_parse(PN_STR("n1 A 192.0.2.1\nn2 TIMEOUT\nn3 TXT x\n"), "f", &err);
    struct asks_settings set = {2, 1000};
    struct asks *asks = asks_new(loop, &set, upstream_file(file));
    struct fake_asker one = {0};
    one.asker = asker_new(asks, fake_said, &one);
    ask_n(&one, 1, 4, 0);
    SAID(one, "1:NOERROR 2:TIMEOUT 3:NOERROR 4:NXDOMAIN");
    asker_free(&one.asker);
    asks_free(&asks);
    pn_buf_fini(&err);
    pn_loop_free(&loop);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"reply", test_reply},
        {"reply_ttl", test_reply_ttl},
        {"reply_limits", test_reply_limits},
        {"asks_keep", test_asks_keep},
        {"asks_fair", test_asks_fair},
        {"asks_deadline", test_asks_deadline},
        {"asks_reload", test_asks_reload},
        {"upstream", test_upstream},
        {"upstream_silence", test_upstream_silence},
        {"upstream_bogus", test_upstream_bogus},
        {"upstream_secure", test_upstream_secure},
        {"upstream_refused", test_upstream_refused},
        {"event_at_once", test_event_at_once},
        {"file", test_file},
        {NULL, NULL},
    };
    return unit_main("resolver", tests, argc, argv);
}
