/*
 * A report about what strangers said: lines of the input are the sender, ENVID, HELO, then
 * address, ORCPT, reply and server of up to three recipients; the rest is the message. The
 * report is mail that any server takes: no bare CR or LF, no NUL, and its header has its
 * own fields alone, once each; it is ASCII unless it may be more.
 */
#include "assert.h"
#include "dsn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct pn_str line(struct pn_str *rest)
{
    return rest->p == NULL ? PN_STR("") : pn_str_split(rest, '\n');
}

static void check_bytes(struct pn_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        pn_assert(s.p[i] != '\0');
        pn_assert(s.p[i] != '\n' || (i > 0 && s.p[i - 1] == '\r'));
        pn_assert(s.p[i] != '\r' || (i + 1 < s.len && s.p[i + 1] == '\n'));
    }
}

/* One of each, and nothing that a stranger put there. */
static void check_header(struct pn_str s)
{
    static const char *const known[] = {"From:",
                                        "To:",
                                        "Subject:",
                                        "Date:",
                                        "Message-ID:",
                                        "MIME-Version:",
                                        "Content-Type:",
                                        "Auto-Submitted:",
                                        "Content-Transfer-Encoding:"};
    unsigned seen[sizeof known / sizeof known[0]] = {0};
    for (struct pn_str rest = s; rest.p != NULL;) {
        struct pn_str l = pn_str_split(&rest, '\n');
        bool ours = l.p[0] == ' ' || l.p[0] == '\t';
        if (l.len <= 1)
            return;
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
            if (pn_str_istarts(l, pn_str_of(known[i])))
                ours = ++seen[i] == 1;
        pn_assert(ours);
    }
    pn_assert(false); /* it never ended */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_str rest = {(const char *)data, size};
    struct dsn_recipient rcpts[3];
    struct pn_buf out;
    struct dsn d = {.hostname = PN_STR("mx.here.test"),
                    .id = PN_STR("r1"),
                    .boundary = PN_STR("b1"),
                    .about = PN_STR("q1"),
                    .to = line(&rest),
                    .envid = line(&rest),
                    .helo = line(&rest),
                    .client = PN_STR("192.0.2.1"),
                    .arrived_ms = INT64_C(1795309323000),
                    .now_ms = INT64_C(1795309324000),
                    .recipients = rcpts};
    do {
        struct dsn_recipient *r = &rcpts[d.count++];
        *r = (struct dsn_recipient){.address = line(&rest), .orcpt = line(&rest)};
        r->reply = line(&rest);
        r->server = line(&rest);
        r->action = (uint8_t)(r->reply.len % DSN_ACTION_COUNT);
        r->expired = r->address.len % 2 == 1;
        r->until_ms = INT64_C(1795309325000);
    } while (d.count < 3 && rest.p != NULL && rest.len != 0 && rest.p[0] != '\n');
    d.full = d.to.len % 2 == 1;
    d.eight = d.envid.len % 2 == 1;
    d.smtputf8 = d.helo.len % 2 == 1;
    d.content = rest.p == NULL ? PN_STR("") : rest;
    for (size_t i = 0; i < d.content.len; i++) /* it was taken over SMTP: no bare ones, no NUL */
        if (d.content.p[i] == '\0' || d.content.p[i] == '\r')
            return 0;
    struct pn_buf content;
    pn_buf_init(&content, 1 << 22);
    for (size_t i = 0; i < d.content.len; i++) {
        if (d.content.p[i] == '\n')
            (void)pn_buf_addc(&content, '\r');
        (void)pn_buf_addc(&content, d.content.p[i]);
    }
    d.content = pn_buf_str(&content);
    pn_buf_init(&out, 1 << 22);
    if (d.to.len != 0 && dsn_write(&out, &d)) {
        check_bytes(pn_buf_str(&out));
        check_header(pn_buf_str(&out));
        pn_assert(d.eight || !pn_str_is_ascii(d.to) || pn_str_is_ascii(pn_buf_str(&out)));
    }
    pn_buf_fini(&out);
    pn_buf_fini(&content);
    return 0;
}
