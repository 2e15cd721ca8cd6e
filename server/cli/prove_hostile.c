/* Sessions and messages that no honest client sends: what reaches a plugin of what the
 * server lets in. No bare CR or LF and no NUL, then; everything else. */
#include "prove.h"

#include <stdio.h>

enum { MESSAGE_MAX = 4 * 1024 * 1024, DEEP = 300, MANY = 5000 };

struct maker {
    struct pn_pool *pool;
    struct prove_case *cases;
    size_t count, cap;
    int64_t now_ms;
    struct pn_buf text;
};

static struct rpl_case *add(struct maker *m, const char *name)
{
    static const struct pn_str rcpts[] = {PN_STR_INIT("user@here.test")};
    struct rpl_case *c = pn_pool_alloc(m->pool, sizeof *c);
    *c = (struct rpl_case){.now_ms = m->now_ms,
                           .helo = PN_STR("client.test"),
                           .has_mail = true,
                           .has_content = true,
                           .from = PN_STR("someone@sender.test"),
                           .rcpt_count = 1,
                           .rcpts = rcpts};
    (void)pn_ip_parse(PN_STR("192.0.2.1"), &c->ip);
    c->content = m->text.len == 0 ? PN_STR("") : pn_pool_dup(m->pool, pn_buf_str(&m->text));
    pn_buf_clear(&m->text);
    char text[PROVE_NAME_MAX];
    (void)snprintf(text, sizeof text, "hostile:%s", name);
    m->cases[m->count++] = (struct prove_case){pn_pool_strdup(m->pool, pn_str_of(text)), c};
    return c;
}

static void times(struct maker *m, size_t n, const char *s)
{
    while (n-- > 0)
        (void)pn_buf_addz(&m->text, s);
}

static void put(struct maker *m, const char *s)
{
    (void)pn_buf_addz(&m->text, s);
}

/* ---- messages as they stand */

static void plain_ones(struct maker *m)
{
    static const struct {
        const char *name, *content;
    } rows[] = {
        {"nothing", ""},
        {"empty-line", "\r\n"},
        {"no-header", "\r\nbody only\r\n"},
        {"no-body", "Subject: x\r\n"},
        {"no-end", "Subject: x"},
        {"no-colon", "this is no header\r\nSubject: x\r\n\r\nbody\r\n"},
        {"fold-first", " folded from nothing\r\nSubject: x\r\n\r\n"},
        {"empty-values", "From:\r\nTo: \r\nSubject:\r\nContent-Type:\r\n\r\n"},
        {"names", ": x\r\n\x01\x02: x\r\n\xff\xfe: x\r\nA B: x\r\n\r\n"},
        {"many-from", "From: a@a.test\r\nFrom: b@b.test, c@c.test\r\nSender: x\r\n\r\n"},
        {"from", "From: \"a\\\r\n \" <@x,@y:a@[IPv6:::1]>, ;;, <>, (((((, grp: a@b, c;\r\n\r\n"},
        {"open-quotes", "From: \"a@b.test\r\nContent-Type: text/plain; name=\"x\r\n\r\nbody\r\n"},
        {"words", "Subject: =?utf-8?q?=?= =?x?y?z?= =?utf-8?b?////?= =?utf-8?q?=ff=fe?=\r\n\r\n"},
        {"charset", "Content-Type: text/plain; charset=no-such\r\n\r\n\xff\xfe\x80\r\n"},
        {"utf-7", "Content-Type: text/html; charset=utf-7\r\n\r\n+ADw-script+AD4-\r\n"},
        {"base64", "Content-Transfer-Encoding: base64\r\n\r\n===A\xff\r\n$$$$\r\nQQ=\r\n"},
        {"qp", "Content-Transfer-Encoding: quoted-printable\r\n\r\n=\r\n=4\r\n=ZZ=\r\n=3D=0"},
        {"encoding", "Content-Transfer-Encoding: x-none; y\r\nContent-Type: /;;=;\r\n\r\nx\r\n"},
        {"no-boundary", "Content-Type: multipart/mixed\r\n\r\n--\r\n\r\n----\r\n"},
        {"empty-boundary", "Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n\r\n--\r\n"},
        {"open-multipart", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nA: b\r\n"},
        {"prefix", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
                   "Content-Type: multipart/mixed; boundary=bb\r\n\r\n--bb\r\n\r\n--b--\r\n"},
        {"rfc822", "Content-Type: message/rfc822\r\n\r\nContent-Type: message/rfc822\r\n\r\n\r\n"},
        {"html", "Content-Type: text/html\r\n\r\n<!--<a href='http://a.test/&#0;&#xffffffff;\">"
                 "<style><script></b><p><<<>>&&&amp</html"},
        {"urls", "\r\nhttp://[::1]:99999/ http://%00.test http://a@b@c.test:x/ hxxp://x.test "
                 "http://xn--.test http://1.2.3.4.5/ http://.../ https://\xc3\xa4.test\r\n"},
        {"control", "Subject: \x01\x02\x7f\x1b[2J\r\n\r\n\x01\x02\x03\x1b[2J\x7f\r\n"},
        {"utf8", "Subject: \xf4\x90\x80\x80 \xc0\x80 \xed\xa0\x80 \xe2\x80\xae\r\n\r\n\xc3\r\n"},
        {"forged", "Authentication-Results: mx.here.test; spf=pass\r\nReceived: x\r\n"
                   "DKIM-Signature: v=1; a=rsa-sha256; d=x; s=y; b=; bh=; h=::::; l=99999999999\r\n"
                   "\r\n"},
        {"signature", "DKIM-Signature: a=;;=;=b; v=1; v=2; d=..; s=a..b; h=from; t=x; x=-1; i=@\r\n"
                      "From: a@..\r\n\r\n"},
        {"dots", "\r\n.\r\n..\r\n...\r\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        put(m, rows[i].content);
        (void)add(m, rows[i].name);
    }
}

/* ---- large ones */

static void large_ones(struct maker *m)
{
    char line[200];
    put(m, "Subject: ");
    times(m, 100 * 1000, "x");
    put(m, "\r\n\r\nbody\r\n");
    (void)add(m, "long-line");
    times(m, MANY, "X-A: b\r\n");
    put(m, "\r\n");
    (void)add(m, "many-fields");
    put(m, "Subject: x");
    times(m, MANY, "\r\n x");
    put(m, "\r\n\r\n");
    (void)add(m, "many-folds");
    put(m, "From: a@b.test");
    times(m, MANY, ", a@b.test");
    put(m, "\r\n\r\n");
    (void)add(m, "many-addresses");
    put(m, "From: ");
    times(m, MANY, "(");
    put(m, "\r\n\r\n");
    (void)add(m, "deep-comment");
    put(m, "Subject: ");
    times(m, MANY / 2, "=?utf-8?q?=41?= ");
    put(m, "\r\n\r\n");
    (void)add(m, "many-words");
    put(m, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
    times(m, MANY, "--b\r\n\r\n");
    (void)add(m, "many-parts");
    for (int i = 0; i < DEEP; i++) {
        (void)snprintf(line, sizeof line,
                       "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i);
        put(m, line);
    }
    (void)add(m, "deep-parts");
    put(m, "Content-Type: text/html\r\n\r\n");
    times(m, MANY, "<div><table>");
    (void)add(m, "deep-html");
    put(m, "\r\n");
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(line, sizeof line, "http://host%d.test/%d ", i, i);
        put(m, line);
    }
    (void)add(m, "many-urls");
    put(m, "\r\n");
    times(m, 1000 * 1000, "a");
    (void)add(m, "one-line");
    times(m, 500, "DKIM-Signature: v=1; a=rsa-sha256; d=x.test; s=y; h=from; bh=AA; b=AA\r\n");
    put(m, "From: a@x.test\r\n\r\n");
    (void)add(m, "many-signatures");
}

/* ---- sessions */

static struct pn_str run_of(struct maker *m, const char *head, size_t n, const char *tail)
{
    struct pn_buf b;
    pn_buf_init(&b, MESSAGE_MAX);
    (void)pn_buf_addz(&b, head);
    for (size_t i = 0; i < n; i++)
        (void)pn_buf_addc(&b, 'x');
    (void)pn_buf_addz(&b, tail);
    struct pn_str s = pn_pool_dup(m->pool, pn_buf_str(&b));
    pn_buf_fini(&b);
    return s;
}

static void senders(struct maker *m)
{
    static const struct {
        const char *name, *from;
    } rows[] = {
        {"null-sender", ""},
        {"no-domain", "someone"},
        {"empty-domain", "a@"},
        {"empty-local", "@b.test"},
        {"many-at", "a@b@c@d.test"},
        {"dots-only", "a@..."},
        {"literal", "a@[192.0.2.1]"},
        {"percent", "%{d}%{i}%n%s@%{o}.test"},
        {"quoted", "\"a b\\\"\"@b.test"},
        {"utf8-sender", "\xc3\xa4@\xc3\xb6.test"},
        {"bad-utf8-sender", "\xff@\xff.test"},
        {"backslash", "a@b\\.test"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        put(m, "From: a@b.test\r\nSubject: x\r\n\r\nbody\r\n");
        add(m, rows[i].name)->from = pn_str_of(rows[i].from);
    }
    put(m, "\r\n");
    add(m, "long-sender")->from = run_of(m, "", 64, "@b.test");
    put(m, "\r\n");
    add(m, "long-domain")->from = run_of(m, "a@", 230, ".test");
    put(m, "\r\n");
    add(m, "long-label")->helo = run_of(m, "", 64, ".test");
    put(m, "\r\n");
    add(m, "long-helo")->helo = run_of(m, "", 500, "");
    put(m, "\r\n");
    add(m, "empty-helo")->helo = PN_STR("");
    put(m, "\r\n");
    add(m, "literal-helo")->helo = PN_STR("[IPv6:::1]");
    put(m, "\r\n");
    add(m, "odd-helo")->helo = PN_STR("%{h} \xff;\"<>\\");
    put(m, "From: a@b.test\r\n\r\n");
    (void)pn_ip_parse(PN_STR("2001:db8::1"), &add(m, "ipv6")->ip);
    put(m, "\r\n");
    (void)pn_ip_parse(PN_STR("0.0.0.0"), &add(m, "ip-zero")->ip);
    put(m, "\r\n");
    add(m, "no-content")->has_content = false;
    put(m, "\r\n");
    struct rpl_case *none = add(m, "no-recipient");
    none->rcpt_count = 0;
    none->has_content = false;
    struct rpl_case *silent = add(m, "no-mail");
    silent->has_mail = silent->has_content = false;
}

static void many_recipients(struct maker *m)
{
    char address[64];
    struct pn_str *rcpts = pn_pool_alloc(m->pool, RPL_CASE_RCPTS_MAX * sizeof *rcpts);
    for (int i = 0; i < RPL_CASE_RCPTS_MAX; i++) {
        (void)snprintf(address, sizeof address, "user%d@here.test", i);
        rcpts[i] = pn_pool_dup(m->pool, pn_str_of(address));
    }
    put(m, "From: a@b.test\r\n\r\nbody\r\n");
    struct rpl_case *c = add(m, "many-recipients");
    c->rcpts = rcpts;
    c->rcpt_count = RPL_CASE_RCPTS_MAX;
}

size_t prove_hostile(struct pn_pool *pool, int64_t now_ms, struct prove_case **out)
{
    enum { CASES = 128 };
    struct maker m = {.pool = pool, .now_ms = now_ms};
    m.cases = pn_pool_alloc(pool, CASES * sizeof *m.cases);
    pn_buf_init(&m.text, MESSAGE_MAX);
    plain_ones(&m);
    large_ones(&m);
    senders(&m);
    many_recipients(&m);
    pn_buf_fini(&m.text);
    *out = m.cases;
    return m.count;
}
