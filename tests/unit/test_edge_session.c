/* Sessions of the edge role: PROXY, TLS, the client's name, early talkers, timeouts. */
#include "edge_rig.h"

#include "dns.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void proxy_greeted(const char *header, const char *want)
{
    struct client c;
    unit_row(header);
    dial(&c, PROXIED);
    say(&c, pn_str_of(header));
    expect(&c, want);
    hang_up(&c);
}

static void test_proxy(void)
{
    struct client c;
    up("}");
    proxy_greeted("PROXY TCP4 192.0.2.9 192.0.2.1 1000 25\r\n", "220");
    proxy_greeted("PROXY UNKNOWN\r\n", "220");
    proxy_greeted("EHLO c.test\r\n", "");
    EXPECT_EVENT("\"event\":\"proxy-refused\"", "\"ip\":\"127.0.0.1\"");
    /* Byte by byte, with a command right behind it. */
    dial(&c, PROXIED);
    for (const char *p = "PROXY TCP6 2001:db8::9 2001:db8::1 1000 25\r\nEHLO c.test\r\n"; *p != 0;
         p++) {
        say(&c, (struct pn_str){p, 1});
        (void)poll(NULL, 0, 1);
    }
    expect(&c, "220");
    expect(&c, "250");
    begin_mail(&c, "bad@b.test", "u@here.test");
    ask(&c, "a\nb\r\n.", "550 5.6.0");
    EXPECT_EVENT("\"ip\":\"2001:db8::9\"", "\"port\":1000");
    hang_up(&c);
    /* Part of a header, then nobody. */
    dial(&c, PROXIED);
    say(&c, PN_STR("PROXY TCP"));
    (void)shutdown(c.fd, SHUT_WR);
    expect(&c, "");
    hang_up(&c);
    EXPECT_EVENT("closed within the PROXY header");
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

/* The handshake stands right behind the header, in one segment. */
static void test_proxy_tls(void)
{
    struct client c;
    char hello[4096];
    up("}");
    dial(&c, TLS_PROXIED);
    c.context = SSL_CTX_new(TLS_client_method());
    c.tls = SSL_new(c.context);
    BIO *out = BIO_new(BIO_s_mem());
    SSL_set_bio(c.tls, BIO_new(BIO_s_mem()), out);
    UNIT_INT(SSL_connect(c.tls), -1);
    struct pn_buf first;
    pn_buf_init(&first, 1 << 16);
    (void)pn_buf_addz(&first, "PROXY TCP4 192.0.2.9 192.0.2.1 1000 465\r\n");
    (void)pn_buf_add(&first, hello, (size_t)BIO_read(out, hello, sizeof hello));
    UNIT_INT(send(c.fd, first.p, first.len, 0), (long long)first.len);
    SSL_set_bio(c.tls, BIO_new_socket(c.fd, BIO_NOCLOSE), BIO_new_socket(c.fd, BIO_NOCLOSE));
    UNIT_INT(SSL_connect(c.tls), 1);
    greet(&c);
    begin_mail(&c, "a@b.test", "u@here.test");
    ask(&c, "a\nb\r\n.", "550 5.6.0");
    EXPECT_EVENT("\"ip\":\"192.0.2.9\"", "\"tls\":\"TLSv1.3\"");
    pn_buf_fini(&first);
    hang_up(&c);
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

static void test_starttls(void)
{
    struct client c;
    struct handed h;
    up("}");
    dial(&c, PLAIN);
    greet(&c);
    ask(&c, "STARTTLS", "220 2.0.0");
    start_tls(&c);
    ask(&c, "MAIL FROM:<>", "503 5.5.1");
    ask(&c, "EHLO c.test", "250");
    begin_mail(&c, "a@b.test", "u@here.test");
    say(&c, PN_STR("x\r\n.\r\n"));
    take_over(&h, MAILBOX);
    UNIT_TRUE(has(h.deliver.edits.edits[0].value, "ESMTPS") &&
              has(h.deliver.edits.edits[0].value, "TLS"));
    answer_delivery(&h, 250, "2.0.0 Done");
    expect(&c, "250 2.0.0");
    let_go(&h);
    ask(&c, "QUIT", "221 2.0.0");
    expect(&c, "");
    hang_up(&c);
    /* What an attacker slips in behind STARTTLS is never part of the session under TLS. */
    dial(&c, PLAIN);
    greet(&c);
    say(&c, PN_STR("STARTTLS\r\nMAIL FROM:<evil@b.test>\r\n"));
    expect(&c, "501 5.5.4");
    expect(&c, "250 2.1.0");
    hang_up(&c);
    /* A handshake that is none. */
    dial(&c, PLAIN);
    greet(&c);
    ask(&c, "STARTTLS", "220 2.0.0");
    say(&c, PN_STR("EHLO c.test\r\n\r\n"));
    while (hear_bytes(&c) > 0)
        ;
    hang_up(&c);
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

/* Answers the next question, which must be this one. */
static void answer_dns(const char *name, uint16_t type, uint16_t rcode,
                       const struct pn_str *records, uint32_t count)
{
    struct pn_record record;
    struct pn_buf b;
    struct pn_dns_ask ask = {0};
    struct pn_dns_record all[4];
    const struct pn_dns_answer answer = {.rcode = rcode, .count = count, .records = all};
    for (uint32_t i = 0; i < count; i++)
        all[i] = (struct pn_dns_record){60, records[i]};
    pn_buf_init(&b, PN_RECORD_MAX);
    if (role_rig_recv(&fx.rig, RESOLVER, &record, &b))
        UNIT_TRUE(record.type == PN_REC_DNS_ASK && pn_dns_ask_get(record.body, &ask));
    UNIT_STR(ask.name, pn_str_of(name));
    UNIT_INT(ask.type, type);
    pn_buf_clear(&b);
    pn_dns_answer_put(&b, ask.id, &answer);
    UNIT_INT(pn_channel_send_fd(fx.rig.peers[RESOLVER], PN_REC_DNS_ANSWER, pn_buf_str(&b), NULL, 0),
             0);
    pn_buf_fini(&b);
}

/* A name counts only if it has the address, and nobody waits for it. */
static void test_client_name(void)
{
    static const struct pn_str names[] = {PN_STR_INIT("mx.other.test"), PN_STR_INIT("mx.b.test")};
    static const struct pn_str wrong = PN_STR_INIT("\xc0\x00\x02\x08"),
                               right = PN_STR_INIT("\xc0\x00\x02\x09");
    struct client c;
    struct handed h;
    up("}");
    from_client(&c, "192.0.2.9");
    greet(&c);
    ask(&c, "MAIL FROM:<a@b.test>", "250 2.1.0");
    answer_dns("9.2.0.192.in-addr.arpa", PN_DNS_PTR, PN_DNS_NOERROR, names, 2);
    answer_dns("mx.other.test", PN_DNS_A, PN_DNS_NOERROR, &wrong, 1);
    answer_dns("mx.b.test", PN_DNS_A, PN_DNS_NOERROR, &right, 1);
    ask(&c, "RSET", "250 2.0.0");
    begin_mail(&c, "a@b.test", "u@here.test"); /* not asked twice */
    say(&c, PN_STR("x\r\n.\r\n"));
    take_over(&h, MAILBOX);
    UNIT_TRUE(has(h.deliver.edits.edits[0].value, "mx.b.test"));
    answer_delivery(&h, 250, "2.0.0 Done");
    expect(&c, "250 2.0.0");
    let_go(&h);
    EXPECT_EVENT("\"ptr\":\"mx.b.test\"");
    hang_up(&c);
    /* None; and an answer that never comes holds nothing up. */
    for (unsigned i = 0; i < 2; i++) {
        from_client(&c, "192.0.2.9");
        greet(&c);
        ask(&c, "MAIL FROM:<a@b.test>", "250 2.1.0");
        if (i == 0)
            answer_dns("9.2.0.192.in-addr.arpa", PN_DNS_PTR, PN_DNS_NXDOMAIN, NULL, 0);
        ask(&c, "RSET", "250 2.0.0");
        begin_mail(&c, "a@b.test", "u@here.test");
        ask(&c, "a\rb\r\n.", "550 5.6.0");
        EXPECT_EVENT("\"ptr\":null");
        hang_up(&c);
    }
    /* It does come, when the session is gone. */
    (void)poll(NULL, 0, 20);
    answer_dns("9.2.0.192.in-addr.arpa", PN_DNS_PTR, PN_DNS_NOERROR, names, 2);
    (void)poll(NULL, 0, 20);
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

static void test_early_talker(void)
{
    struct client c;
    up("greet-delay 100ms }");
    dial(&c, PLAIN);
    say(&c, PN_STR("EHLO c.test\r\n"));
    expect(&c, "554");
    expect(&c, "");
    hang_up(&c);
    EXPECT_EVENT("\"event\":\"early-talker\"");
    dial(&c, PLAIN);
    greet(&c);
    hang_up(&c);
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

/* Served all the same where the policy says so: what it sent counts, and is told. */
static void test_early_talker_noted(void)
{
    struct client c, other;
    up("greet-delay 100ms  greet-at-once 192.0.2.0/24  early-talkers note }");
    UNIT_INT(kill(fx.rig.pid, SIGSTOP), 0); /* so that its bytes are there first */
    dial(&c, PLAIN);
    say(&c, PN_STR("EHLO c.test\r\nMAIL FROM:<bad@b.test>\r\n"));
    UNIT_INT(kill(fx.rig.pid, SIGCONT), 0);
    expect(&c, "220");
    expect(&c, "250");
    expect(&c, "250 2.1.0");
    ask(&c, "RCPT TO:<u@deny.test>", "550 5.7.1");
    ask(&c, "RSET", "250 2.0.0");
    EXPECT_EVENT("\"early_talker\":true,\"early\":[\"greeting\",\"helo\"]");
    hang_up(&c);
    /* Not held up, and not early: it was greeted before. */
    from_client(&other, "192.0.2.9");
    greet(&other);
    ask(&other, "MAIL FROM:<bad@b.test>", "250 2.1.0");
    say(&other, PN_STR("RCPT TO:<u@deny.test>\r\nNOOP\r\nRSET\r\n"));
    expect(&other, "550 5.7.1");
    expect(&other, "250 2.0.0");
    expect(&other, "250 2.0.0");
    EXPECT_EVENT(
        "\"tls\":null,\"early\":[\"command\"],\"local_ip\":\"192.0.2.1\",\"local_port\":25}");
    hang_up(&other);
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

/* How many commands it said that are none is in the event; not those from before TLS. */
static void test_unknown_commands(void)
{
    struct client c;
    up("}");
    dial(&c, PLAIN);
    expect(&c, "220");
    ask(&c, "XFIRST", "500 5.5.1");
    ask(&c, "EHLO c.test", "250");
    ask(&c, "\xff", "500 5.5.1");
    ask(&c, "MAIL FROM:<bad@b.test>", "250 2.1.0");
    ask(&c, "RCPT TO:<u@deny.test>", "550 5.7.1");
    ask(&c, "RSET", "250 2.0.0");
    EXPECT_EVENT("\"unknown_commands\":2");
    hang_up(&c);
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

/* Without a delay nobody waits, and who has spoken when we come to greet is refused. */
static void test_early_talker_at_once(void)
{
    struct client early, c, behind;
    up("}");
    UNIT_INT(kill(fx.rig.pid, SIGSTOP), 0); /* so that its bytes are there first */
    dial(&early, PLAIN);
    say(&early, PN_STR("EHLO c.test\r\n"));
    dial(&c, PLAIN);
    from_client(&behind, "192.0.2.9"); /* a balancer's health check does not wait */
    say(&behind, PN_STR("EHLO c.test\r\n"));
    UNIT_INT(kill(fx.rig.pid, SIGCONT), 0);
    expect(&early, "554");
    expect(&early, "");
    EXPECT_EVENT("\"event\":\"early-talker\"");
    greet(&c);
    expect(&behind, "220");
    expect(&behind, "250");
    hang_up(&early);
    hang_up(&c);
    hang_up(&behind);
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

/* ---- clients that take their time ---- */

#define X100                                                                                       \
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" \
    "xxx"                                                                                          \
    "xxxxx"
#define HI   "EHLO c.test\r\n"
#define MAIL HI "MAIL FROM:<a@b.test>\r\nRCPT TO:<u@here.test>\r\n"

struct slow {
    const char *label;
    unsigned listener;
    struct pn_str setup;
    unsigned replies;    /* to that, the greeting included */
    struct pn_str drops; /* sent one by one, the last again and again; empty: silence */
    bool whole;          /* all of them in each drop */
    const char *want;
};

static const struct slow slow_rows[] = {
    {"no command", PLAIN, PN_STR_INIT(HI), 2, PN_STR_INIT(""), false, "421 4.4.2"},
    {"a command", PLAIN, PN_STR_INIT(HI), 2, PN_STR_INIT("N"), false, "421 4.4.2"},
    {"a line too long", PLAIN,
     PN_STR_INIT(HI X100 X100 X100 X100 X100 X100 X100 X100 X100 X100 X100), 2, PN_STR_INIT("x"),
     false, "421 4.4.2"},
    {"no content", PLAIN, PN_STR_INIT(MAIL "DATA\r\n"), 5, PN_STR_INIT(""), false, "421 4.4.2"},
    {"content", PLAIN, PN_STR_INIT(MAIL "DATA\r\n"), 5, PN_STR_INIT("x"), false, "421 4.4.2"},
    {"content that is refused", PLAIN, PN_STR_INIT(MAIL "DATA\r\na\nb"), 5, PN_STR_INIT("x"), false,
     "421 4.4.2"},
    {"a chunk", PLAIN, PN_STR_INIT(MAIL "BDAT 1000000\r\n"), 4, PN_STR_INIT("x"), false,
     "421 4.4.2"},
    {"chunks", PLAIN, PN_STR_INIT(MAIL), 4, PN_STR_INIT("BDAT 1\r\nx"), true, "421 4.4.2"},
    {"empty chunks", PLAIN, PN_STR_INIT(MAIL), 4, PN_STR_INIT("BDAT 0\r\n"), true, "421 4.4.2"},
    {"a chunk out of place", PLAIN, PN_STR_INIT(HI "BDAT 1000000\r\n"), 3, PN_STR_INIT("x"), false,
     "421 4.4.2"},
    {"no handshake", PLAIN, PN_STR_INIT(HI "STARTTLS\r\n"), 3, PN_STR_INIT(""), false, ""},
    {"a handshake", PLAIN, PN_STR_INIT(HI "STARTTLS\r\n"), 3,
     PN_STR_INIT("\x16\x03\x01\x3f\xff\x01\x00\x3f\xfb\x03\x03z"), false, ""},
    {"part of a PROXY header", PROXIED, PN_STR_INIT("PROXY"), 0, PN_STR_INIT(""), false, ""},
    {"a PROXY header", PROXIED, PN_STR_INIT("\r\n\r\n\0\r\nQUIT\n\x21\x11\x04\x00"), 0,
     PN_STR_INIT("0"), false, ""},
};

enum { SLOW = sizeof slow_rows / sizeof slow_rows[0], DROPS_MAX = 3000 };

static void drop(struct client *c, const struct slow *row, size_t i)
{
    struct pn_str drops = row->drops;
    if (drops.len == 0)
        return;
    if (!row->whole)
        drops = (struct pn_str){drops.p + (i < drops.len ? i : drops.len - 1), 1};
    if (send(c->fd, drops.p, drops.len, MSG_NOSIGNAL) < 0)
        return; /* closed: its last word is there to be read */
}

/* What ends it, if that is there: chunks are accepted as long as they come in time. */
static bool ended(struct client *c, const struct slow *row)
{
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    if (c->in.len == 0 && poll(&p, 1, 0) <= 0)
        return false;
    struct pn_str reply = hear(c);
    if (row->whole && pn_str_eq(reply, PN_STR("250 2.0.0")))
        return false;
    UNIT_STR(reply, pn_str_of(row->want));
    return true;
}

/* Two handshakes, two PROXY headers. */
static void expect_slow_events(void)
{
    unsigned handshakes = 0, headers = 0;
    struct pn_buf buf;
    pn_buf_init(&buf, PN_RECORD_MAX);
    for (unsigned i = 0; i < 4; i++) {
        struct pn_str line = event(&buf);
        handshakes += has(line, "the handshake took too long");
        headers += has(line, "no PROXY header came in time");
        pn_buf_clear(&buf);
    }
    UNIT_INT(handshakes, 2);
    UNIT_INT(headers, 2);
    pn_buf_fini(&buf);
}

/* The edge with these settings, where @ is a second, or more under a slow checker. */
static void up_seconds(const char *format)
{
    const char *patience = getenv("POSTERN_PATIENCE");
    uint64_t seconds = 1;
    char config[400], *at = config;
    if (patience == NULL || !pn_str_u64(pn_str_of(patience), 100, &seconds) || seconds == 0)
        seconds = 1;
    for (const char *p = format; *p != '\0'; p++) {
        if (*p == '@')
            at += snprintf(at, (size_t)(config + sizeof config - at), "%us", (unsigned)seconds);
        else
            *at++ = *p;
    }
    *at = '\0';
    up(config);
}

/* It is what is to come that has its time, not each byte of it. */
static void test_slow(void)
{
    struct client c[SLOW], tls;
    bool done[SLOW] = {false};
    unsigned left = SLOW;
    up_seconds("}\nlimits { data-rate 1m  command-line 1280 }\n"
               "timeouts { command @  data @  proxy @  handshake @ }\n");
    dial(&tls, PLAIN);
    greet(&tls);
    ask(&tls, "STARTTLS", "220 2.0.0");
    start_tls(&tls);
    ask(&tls, "EHLO c.test", "250");
    for (unsigned i = 0; i < SLOW; i++) {
        dial(&c[i], slow_rows[i].listener);
        unit_row(slow_rows[i].label);
        bool greets = slow_rows[i].replies != 0;
        if (greets) /* who speaks before is refused */
            expect(&c[i], "220");
        say(&c[i], slow_rows[i].setup);
        for (unsigned k = greets; k < slow_rows[i].replies; k++)
            UNIT_TRUE(!pn_str_starts(hear(&c[i]), PN_STR("4")));
    }
    for (size_t n = 0; n < DROPS_MAX && left != 0; n++) {
        for (unsigned i = 0; i < SLOW; i++) {
            unit_row(slow_rows[i].label);
            if (done[i])
                continue;
            done[i] = ended(&c[i], &slow_rows[i]);
            left -= done[i];
            if (!done[i])
                drop(&c[i], &slow_rows[i], n);
        }
        (void)poll(NULL, 0, 20);
    }
    for (unsigned i = 0; i < SLOW; i++) {
        unit_row(slow_rows[i].label);
        UNIT_TRUE(done[i]);
    }
    expect_slow_events();
    unit_row("under TLS the last word is heard as well");
    expect(&tls, "421 4.4.2");
    expect(&tls, "");
    hang_up(&tls);
    for (unsigned i = 0; i < SLOW; i++)
        hang_up(&c[i]);
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

/* The session's time is over: for who is silent, in the middle of commands or of content
 * that has no rate to keep; content that comes at its rate goes on. */
static void test_session_time(void)
{
    struct client idle, busy, content;
    struct handed h;
    up_seconds("}\ntimeouts { session @ }\n");
    dial(&idle, PLAIN);
    dial(&busy, PLAIN);
    dial(&content, PLAIN);
    greet(&idle);
    greet(&busy);
    ask(&busy, "MAIL FROM:<a@b.test>", "250 2.1.0");
    greet(&content);
    begin_mail(&content, "a@b.test", "u@here.test");
    expect(&idle, "421 4.4.2");
    expect(&busy, "421 4.4.2");
    say(&content, PN_STR("x\r\n.\r\n"));
    take_over(&h, MAILBOX);
    answer_delivery(&h, 250, "2.0.0 Done");
    expect(&content, "250 2.0.0");
    expect(&content, "421 4.4.2");
    let_go(&h);
    hang_up(&idle);
    hang_up(&busy);
    hang_up(&content);
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
    up_seconds("}\ntimeouts { session @ }\nlimits { data-rate 0 }\n");
    dial(&content, PLAIN);
    greet(&content);
    begin_mail(&content, "a@b.test", "u@here.test");
    say(&content, PN_STR("x\r\n"));
    expect(&content, "421 4.4.2");
    hang_up(&content);
    UNIT_INT(role_rig_drain(&fx.rig), 0);
    down();
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"proxy", test_proxy},
        {"proxy_tls", test_proxy_tls},
        {"starttls", test_starttls},
        {"client_name", test_client_name},
        {"early_talker", test_early_talker},
        {"early_talker_noted", test_early_talker_noted},
        {"early_talker_at_once", test_early_talker_at_once},
        {"unknown_commands", test_unknown_commands},
        {"slow", test_slow},

        {"session_time", test_session_time},
        {NULL, NULL},
    };
    return unit_main("edge_session", tests, argc, argv);
}
