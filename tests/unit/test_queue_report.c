/* What the queue notes about reports (RFC 3461), as a start finds it; and how a report goes out. */
#include "hop_rig.h"
#include "spool_rig.h"
#include "unit.h"

#include "queue.h"
#include "wire.h"

#include <unistd.h>

enum { REPORTING = 8, RELAYING = 9, WARNED = 0x80, TOO_HIGH = 10 }; /* as they are on disk */

static const struct pn_str content = PN_STR_INIT("Subject: a\r\n\r\nb\r\n");

/* A message for u@dest.test by way of that server, and what was noted of it, in the journal. */
static void leave(const struct role_rig *rig, const struct hop_server *s, uint8_t notify,
                  uint8_t state, const char *reply)
{
    struct pn_edit_group none = {0};
    struct pn_recipient to = hop_rig_to(s, "u@dest.test");
    to.notify = notify;
    const struct pn_envelope env = {.id = 77,
                                    .arrived_ms = 1700000000000 + 400LL * 24 * 3600 * 1000 * 10,
                                    .size = content.len,
                                    .flags = PN_ENV_SPF_PASS,
                                    .reverse_path = PN_STR("s@from.test"),
                                    .group_count = 1,
                                    .groups = &none,
                                    .recipient_count = 1,
                                    .recipients = &to};
    struct pn_buf envelope, meta, note;
    pn_buf_init(&envelope, 10000);
    pn_buf_init(&meta, 10000);
    pn_buf_init(&note, 10000);
    UNIT_TRUE(pn_envelope_put(&envelope, &env));
    pn_wr_u8(&meta, 1);
    pn_wr_str(&meta, pn_buf_str(&envelope));
    pn_wr_u32(&meta, 0);
    pn_wr_u8(&note, 1);
    pn_wr_u32(&note, 1);
    pn_wr_u32(&note, 0);
    pn_wr_u8(&note, state);
    pn_wr_u16(&note, 3);
    pn_wr_i64(&note, 0);
    pn_wr_str(&note, pn_str_of(reply));
    struct rig spool;
    struct spool_op ops[2] = {
        {.type = SPOOL_MESSAGE, .id = 77, .meta = pn_buf_str(&meta), .content = content},
        {.type = SPOOL_PROGRESS, .id = 77, .meta = pn_buf_str(&note)}};
    rig_init(&spool);
    int own = spool.folder;
    spool.folder = rig->folder;
    spool.settings.segment_bytes = 0;
    UNIT_TRUE(rig_open(&spool));
    rig_put(&spool, ops, 2);
    rig_close(&spool);
    spool.folder = own;
    rig_fini(&spool);
    pn_buf_fini(&envelope);
    pn_buf_fini(&meta);
    pn_buf_fini(&note);
}

static void init(struct role_rig *rig)
{
    static const enum pn_role roles[] = {PN_ROLE_EDGE, PN_ROLE_MAILBOX, PN_ROLE_RESOLVER,
                                         PN_ROLE_ADMIN};
    role_rig_init(rig, PN_ROLE_QUEUE, PN_FOLDER_SPOOL, pn_queue_main);
    rig->peer_count = sizeof roles / sizeof roles[0];
    for (unsigned i = 0; i < rig->peer_count; i++)
        rig->peer_roles[i] = roles[i];
}

/* What a start makes of it: the recipient is not delivered to again, but reported. */
static void test_reported(void)
{
    static const struct {
        const char *label;
        uint8_t state;
    } rows[] = {{"delivered", REPORTING}, {"relayed", RELAYING}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct role_rig rig;
        struct hop_server s;
        unit_row(rows[i].label);
        hop_server_init(&s);
        init(&rig);
        leave(&rig, &s, PN_NOTIFY_SUCCESS, rows[i].state, "250 2.0.0 Taken");
        role_rig_start(&rig);
        hop_rig_resolve(&rig, "from.test", PN_DNS_MX, PN_DNS_SERVFAIL, (struct pn_str){NULL, 0});
        queue_rig_wait_list(&rig, ADMIN, false, "\"address\":\"s@from.test\"", true);
        queue_rig_wait_list(&rig, ADMIN, false, "\"address\":\"u@dest.test\"", false);
        queue_rig_wait_list(&rig, ADMIN, false, "\"count\":1", true);
        UNIT_TRUE(!hop_readable(s.listener, 0));
        role_rig_fini(&rig);
        hop_server_fini(&s);
    }
}

/* What is noted of one that waits; a state that is none leaves it as it was. */
static void test_waiting(void)
{
    static const struct {
        const char *label;
        uint8_t state;
        bool warned, noted;
    } rows[] = {{"as before", 0, false, true},
                {"its sender knows", WARNED, true, true},
                {"no such state", TOO_HIGH, false, false},
                {"no such state, either", WARNED | TOO_HIGH, false, false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct role_rig rig;
        struct hop_server s;
        unit_row(rows[i].label);
        hop_server_init(&s);
        init(&rig);
        leave(&rig, &s, PN_NOTIFY_DELAY, rows[i].state, "451 4.2.1 Not now");
        role_rig_start(&rig);
        hop_greet(&s); /* it is tried, and that one says no more */
        queue_rig_wait_list(&rig, ADMIN, false, "\"notify\":\"DELAY\"", true);
        queue_rig_wait_list(&rig, ADMIN, false, "\"warned\":true", rows[i].warned);
        queue_rig_wait_list(&rig, ADMIN, false, "\"tries\":3", rows[i].noted);
        role_rig_fini(&rig);
        hop_server_fini(&s);
    }
}

/* A report to an address beyond ASCII is such mail itself, and asks for no report (RFC 3461,
 * section 6.1). */
static void test_sent(void)
{
    static const struct {
        const char *label, *from, *ehlo, *mail, *rcpt;
    } rows[] = {
        {"plain", "s@dest.test", "250-hop.test\r\n250-DSN\r\n250 SMTPUTF8\r\n", "MAIL FROM:<>",
         "RCPT TO:<s@dest.test> NOTIFY=NEVER"},
        {"beyond ASCII", "\xc3\xa4@dest.test", "250-hop.test\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
         "MAIL FROM:<> BODY=8BITMIME SMTPUTF8", "RCPT TO:<\xc3\xa4@dest.test>"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct role_rig rig;
        struct hop_server s;
        char conf[200];
        unit_row(rows[i].label);
        hop_server_init(&s);
        (void)snprintf(conf, sizeof conf,
                       "domain \"dest.test\" { recipients any  route smtp %s }\n", s.name);
        hop_rig_up(&rig, conf);
        struct pn_recipient to = hop_rig_to(&s, "u@dest.test");
        hop_rig_take(&rig, 1, rows[i].from, PN_ENV_SPF_PASS | PN_ENV_SMTPUTF8, &to, 1);
        hop_greet(&s);
        UNIT_TRUE(pn_str_starts(hop_hear(&s, false), PN_STR("EHLO ")));
        hop_say(&s, rows[i].ehlo);
        UNIT_TRUE(pn_str_starts(hop_hear(&s, false), PN_STR("MAIL FROM:<")));
        hop_say(&s, "250 ok\r\n");
        hop_expect(&s, "RCPT TO:<u@dest.test>", "550 5.1.1 no such user\r\n");
        struct pn_str line = hop_hear(&s, false);
        if (pn_str_eq(line, PN_STR("RSET"))) {
            hop_say(&s, "250 ok\r\n");
            line = hop_hear(&s, false);
        }
        UNIT_STR(line, pn_str_of(rows[i].mail));
        hop_say(&s, "250 ok\r\n");
        hop_expect(&s, rows[i].rcpt, "250 ok\r\n");
        role_rig_fini(&rig);
        hop_server_fini(&s);
    }
}

/* A next hop that reports is asked for reports of success only if their sender is known. */
static void test_onward(void)
{
    static const struct {
        const char *label;
        uint32_t flags;
        uint8_t notify;
        const char *rcpt;
    } rows[] = {
        {"known", PN_ENV_SPF_PASS, PN_NOTIFY_SUCCESS, "RCPT TO:<u@dest.test> NOTIFY=SUCCESS"},
        {"a user's", PN_ENV_SUBMITTED, PN_NOTIFY_DELAY, "RCPT TO:<u@dest.test> NOTIFY=DELAY"},
        {"forged", 0, PN_NOTIFY_SUCCESS, "RCPT TO:<u@dest.test> NOTIFY=NEVER"},
        {"forged, of all", 0, PN_NOTIFY_SUCCESS | PN_NOTIFY_FAILURE | PN_NOTIFY_DELAY,
         "RCPT TO:<u@dest.test> NOTIFY=FAILURE"},
        {"forged, silent", 0, PN_NOTIFY_NEVER, "RCPT TO:<u@dest.test> NOTIFY=NEVER"},
        {"forged, as usual", 0, 0, "RCPT TO:<u@dest.test>"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct role_rig rig;
        struct hop_server s;
        unit_row(rows[i].label);
        hop_server_init(&s);
        hop_rig_up(&rig, NULL);
        struct pn_recipient to = hop_rig_to(&s, "u@dest.test");
        to.notify = rows[i].notify;
        hop_rig_take(&rig, 1, "s@from.test", rows[i].flags, &to, 1);
        hop_greet(&s);
        UNIT_TRUE(pn_str_starts(hop_hear(&s, false), PN_STR("EHLO ")));
        hop_say(&s, "250-hop.test\r\n250 DSN\r\n");
        hop_expect(&s, "MAIL FROM:<s@from.test>", "250 ok\r\n");
        hop_expect(&s, rows[i].rcpt, "250 ok\r\n");
        role_rig_fini(&rig);
        hop_server_fini(&s);
    }
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"reported", test_reported},
                                             {"waiting", test_waiting},
                                             {"sent", test_sent},
                                             {"onward", test_onward},
                                             {NULL, NULL}};
    return unit_main("queue_report", tests, argc, argv);
}
