/* Sessions of the edge role: PROXY, TLS, the client's name, early talkers, timeouts. */
#include "edge_rig.h"

#include "dns.h"

#include <poll.h>
#include <stdio.h>
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

static void test_timeouts(void)
{
    struct client c;
    up("}\ntimeouts { command 150ms  data 150ms  proxy 150ms  handshake 150ms }\n");
    dial(&c, PLAIN);
    greet(&c);
    expect(&c, "421 4.4.2");
    expect(&c, "");
    hang_up(&c);
    dial(&c, PLAIN);
    greet(&c);
    begin_mail(&c, "a@b.test", "u@here.test");
    say(&c, PN_STR("x\r\n"));
    expect(&c, "421 4.4.2");
    hang_up(&c);
    dial(&c, PROXIED);
    say(&c, PN_STR("PROXY"));
    expect(&c, "");
    hang_up(&c);
    EXPECT_EVENT("no PROXY header came in time");
    dial(&c, PLAIN);
    greet(&c);
    ask(&c, "STARTTLS", "220 2.0.0");
    expect(&c, "");
    hang_up(&c);
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
        {"timeouts", test_timeouts},
        {NULL, NULL},
    };
    return unit_main("edge_session", tests, argc, argv);
}
