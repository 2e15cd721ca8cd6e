/* The auth role as its edges, admin and the supervisor see it. The test is all of them. */
#include "unit.h"

#include "auth_rig.h"
#include "auth_role.h"
#include "kit_policy.h"
#include "memfile.h"
#include "pass.h"
#include "role_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EDGE, ADMIN, MAILBOX, OTHER_MAILBOX };

static int users_fd = -1; /* what the role gets before GO; -1: none */

static void send_users(struct role_rig *rig)
{
    if (users_fd >= 0)
        UNIT_INT(pn_channel_send_fd(rig->control, PN_REC_USERS_FILE, PN_STR(""), &users_fd, 1), 0);
}

struct house {
    struct kit kit;
    struct role_rig rig;
    struct pn_buf room, message;
    struct pn_sasl_said said; /* the last one; in room */
};

static void open_users(const char *more)
{
    struct pn_buf text;
    pn_buf_init(&text, 1 << 16);
    auth_rig_users(&text);
    (void)pn_buf_addz(&text, more);
    users_fd = auth_rig_file(pn_buf_str(&text));
    pn_buf_fini(&text);
}

/* The next line for admin that is a login's, or of the users' file. */
static struct pn_str event(struct house *h)
{
    struct pn_record record;
    do {
        if (!role_rig_recv(&h->rig, ADMIN, &record, &h->room))
            return PN_STR("");
    } while (record.type != PN_REC_EVENT);
    size_t from = 0; /* behind the time */
    for (int i = 0; i < 4; i++)
        from = pn_str_find(record.body, '"', from + 1);
    struct pn_str rest = pn_str_slice(record.body, from + 2, record.body.len);
    return rest;
}

static void house_open(struct house *h, const char *conf, bool with_users)
{
    *h = (struct house){.said = {.id = 0}};
    pn_buf_init(&h->room, PN_RECORD_MAX);
    pn_buf_init(&h->message, PN_SASL_MESSAGE_MAX);
    kit_open(&h->kit, conf, "");
    UNIT_STR(kit_problems(&h->kit), PN_STR(""));
    if (with_users)
        open_users("");
    role_rig_init(&h->rig, PN_ROLE_AUTH, PN_FOLDER_AUTH, pn_auth_main);
    h->rig.policy_fd = pn_memfile_of("policy", pn_buf_str(&h->kit.image));
    h->rig.peer_roles[EDGE] = PN_ROLE_EDGE;
    h->rig.peer_roles[ADMIN] = PN_ROLE_ADMIN;
    h->rig.peer_roles[MAILBOX] = h->rig.peer_roles[OTHER_MAILBOX] = PN_ROLE_MAILBOX;
    h->rig.peer_numbers[OTHER_MAILBOX] = 1;
    h->rig.peer_count = 4;
    h->rig.before_go = send_users;
    role_rig_start(&h->rig);
    if (with_users)
        (void)event(h); /* that they were read */
}

static void house_close(struct house *h)
{
    for (unsigned i = 0; i < h->rig.peer_count; i++)
        (void)shutdown(h->rig.peers[i], SHUT_RDWR);
    UNIT_INT(role_rig_drain(&h->rig), 0);
    (void)close(h->rig.policy_fd);
    if (users_fd >= 0)
        (void)close(users_fd);
    users_fd = -1;
    role_rig_fini(&h->rig);
    kit_close(&h->kit);
    pn_buf_fini(&h->room);
    pn_buf_fini(&h->message);
}

static void send_to(struct house *h, uint16_t type, struct pn_buf *body)
{
    UNIT_INT(pn_channel_send_fd(h->rig.peers[EDGE], type, pn_buf_str(body), NULL, 0), 0);
    pn_buf_fini(body);
}

static void begin_for(struct house *h, enum pn_sasl_service service, const char *ip, uint64_t id,
                      enum pn_sasl_mechanism mechanism, bool tls, struct pn_str initial)
{
    struct pn_buf b;
    struct pn_sasl_begin begin = {.id = id,
                                  .service = (uint8_t)service,
                                  .mechanism = (uint8_t)mechanism,
                                  .tls = tls,
                                  .has_initial = initial.p != NULL,
                                  .session = PN_STR("s-1"),
                                  .exporter = PN_STR(""),
                                  .initial = initial};
    UNIT_TRUE(pn_ip_parse(pn_str_of(ip), &begin.ip));
    pn_buf_init(&b, PN_RECORD_MAX);
    pn_sasl_begin_put(&b, &begin);
    send_to(h, PN_REC_SASL_BEGIN, &b);
}

static void begin_from(struct house *h, const char *ip, uint64_t id,
                       enum pn_sasl_mechanism mechanism, bool tls, struct pn_str initial)
{
    begin_for(h, PN_SASL_SMTP, ip, id, mechanism, tls, initial);
}

static void begin(struct house *h, uint64_t id, enum pn_sasl_mechanism mechanism,
                  struct pn_str initial)
{
    begin_from(h, "192.0.2.1", id, mechanism, true, initial);
}

static void answer(struct house *h, uint64_t id, struct pn_str message)
{
    struct pn_buf b;
    pn_buf_init(&b, PN_RECORD_MAX);
    pn_sasl_answer_put(&b, &(struct pn_sasl_answer){id, message});
    send_to(h, PN_REC_SASL_ANSWER, &b);
}

static void cancel(struct house *h, uint64_t id)
{
    struct pn_buf b;
    pn_buf_init(&b, 64);
    pn_sasl_cancel_put(&b, id);
    send_to(h, PN_REC_SASL_CANCEL, &b);
}

/* The next word; PN_SASL_STATUSES: the channel ended. */
static unsigned hear(struct house *h)
{
    struct pn_record record;
    int got = pn_channel_recv_fd(h->rig.peers[EDGE], &record, &h->room, 30000);
    if (got != 1)
        return PN_SASL_STATUSES;
    UNIT_INT(record.type, PN_REC_SASL_SAID);
    UNIT_TRUE(pn_sasl_said_get(record.body, &h->said));
    return h->said.status;
}

static unsigned plain(struct house *h, uint64_t id, const char *user, const char *password)
{
    struct pn_buf b;
    pn_buf_init(&b, 1000);
    UNIT_TRUE(pn_sasl_plain(&b, pn_str_of(user), pn_str_of(password)));
    begin(h, id, PN_SASL_PLAIN, pn_buf_str(&b));
    pn_buf_fini(&b);
    unsigned status = hear(h);
    UNIT_INT(h->said.id, id);
    return status;
}

/* A whole login by the mechanism's own client. */
static unsigned converse(struct house *h, uint64_t id, enum pn_sasl_mechanism mechanism,
                         const char *user, const char *password)
{
    struct auth_client *client = auth_client_new(mechanism, user, password, NULL);
    begin(h, id, mechanism, (struct pn_str){NULL, 0});
    unsigned status;
    for (int i = 0; i < 8 && (status = hear(h)) == PN_SASL_CHALLENGE; i++) {
        UNIT_TRUE(auth_client_step(client, h->said.message, &h->message));
        answer(h, id, pn_buf_str(&h->message));
    }
    auth_client_free(&client);
    return status;
}

static void test_logins(void)
{
    struct house h;
    house_open(&h, "", true);
    unit_row("plain");
    UNIT_INT(plain(&h, 1, "Ann@here.test", "s3cret pass"), PN_SASL_OK);
    UNIT_STR(h.said.user, PN_STR("ann@here.test"));
    UNIT_STR(h.said.senders, PN_STR("@here.test,info@other.test"));
    UNIT_STR(event(&h), PN_STR("\"event\":\"login\",\"schema\":1,\"session\":\"s-1\","
                               "\"service\":\"smtp\",\"mechanism\":\"PLAIN\",\"ip\":\"192.0.2.1\","
                               "\"tls\":true,\"user\":\"ann@here.test\",\"result\":\"ok\"}"));
    unit_row("login");
    UNIT_INT(converse(&h, 2, PN_SASL_LOGIN, "bob@here.test", "bob's own"), PN_SASL_OK);
    UNIT_STR(h.said.senders, PN_STR(""));
    (void)event(&h);
    unit_row("scram");
    UNIT_INT(converse(&h, 3, PN_SASL_SCRAM_SHA_256, "ann@here.test", "s3cret pass"), PN_SASL_OK);
    UNIT_STR(h.said.user, PN_STR("ann@here.test"));
    (void)event(&h);
    unit_row("a wrong one");
    UNIT_INT(plain(&h, 4, "ann@here.test", "sEcret pass"), PN_SASL_REFUSED);
    UNIT_STR(event(&h),
             PN_STR("\"event\":\"login\",\"schema\":1,\"session\":\"s-1\",\"service\":\"smtp\","
                    "\"mechanism\":\"PLAIN\",\"ip\":\"192.0.2.1\",\"tls\":true,"
                    "\"user\":\"ann@here.test\",\"result\":\"refused\",\"why\":\"password\"}"));
    unit_row("the password where the name should be");
    UNIT_INT(plain(&h, 5, "s3cret pass", "ann"), PN_SASL_REFUSED);
    UNIT_STR(event(&h),
             PN_STR("\"event\":\"login\",\"schema\":1,\"session\":\"s-1\",\"service\":\"smtp\","
                    "\"mechanism\":\"PLAIN\",\"ip\":\"192.0.2.1\",\"tls\":true,"
                    "\"result\":\"refused\",\"why\":\"no-user\"}"));
    unit_row("malformed");
    begin(&h, 6, PN_SASL_PLAIN, PN_STR("ann"));
    UNIT_INT(hear(&h), PN_SASL_MALFORMED);
    unit_row("without TLS");
    begin_from(&h, "192.0.2.1", 7, PN_SASL_SCRAM_SHA_256, false, (struct pn_str){NULL, 0});
    UNIT_INT(hear(&h), PN_SASL_REFUSED);
    unit_row("bound to nothing");
    begin(&h, 8, PN_SASL_SCRAM_SHA_256_PLUS, (struct pn_str){NULL, 0});
    UNIT_INT(hear(&h), PN_SASL_REFUSED);
    house_close(&h);
}

static void test_rules(void)
{
    struct house h;
    const struct pn_str none = {NULL, 0};
    house_open(&h, "", true);
    unit_row("what nobody knows is passed over");
    answer(&h, 77, PN_STR("x"));
    cancel(&h, 77);
    unit_row("a cancelled one says nothing more, and its id is free");
    begin(&h, 1, PN_SASL_LOGIN, none);
    UNIT_INT(hear(&h), PN_SASL_CHALLENGE);
    cancel(&h, 1);
    answer(&h, 1, PN_STR("ann@here.test"));
    UNIT_INT(plain(&h, 1, "bob@here.test", "bob's own"), PN_SASL_OK);
    unit_row("several side by side");
    begin(&h, 2, PN_SASL_LOGIN, none);
    UNIT_INT(hear(&h), PN_SASL_CHALLENGE);
    UNIT_INT(plain(&h, 3, "bob@here.test", "bob's own"), PN_SASL_OK);
    answer(&h, 2, PN_STR("bob@here.test"));
    UNIT_INT(hear(&h), PN_SASL_CHALLENGE);
    answer(&h, 2, PN_STR("bob's own"));
    UNIT_INT(hear(&h), PN_SASL_OK);
    UNIT_INT(h.said.id, 2);
    unit_row("one id, two logins: the channel ends");
    begin(&h, 4, PN_SASL_LOGIN, none);
    begin(&h, 4, PN_SASL_LOGIN, none);
    UNIT_INT(hear(&h), PN_SASL_CHALLENGE);
    UNIT_INT(hear(&h), PN_SASL_STATUSES);
    unit_row("the edge comes back");
    role_rig_peer(&h.rig, EDGE, PN_ROLE_EDGE, 0);
    UNIT_INT(plain(&h, 4, "bob@here.test", "bob's own"), PN_SASL_OK);
    unit_row("no record of ours");
    struct pn_buf b;
    pn_buf_init(&b, 10);
    (void)pn_buf_addz(&b, "x");
    send_to(&h, PN_REC_SASL_ANSWER, &b);
    UNIT_INT(hear(&h), PN_SASL_STATUSES);
    house_close(&h);
}

/* What a mailbox worker is told; false: nothing that is a pass. */
static bool hear_pass(struct house *h, unsigned worker, struct pn_pass *pass)
{
    struct pn_record record;
    return role_rig_recv(&h->rig, worker, &record, &h->room) && record.type == PN_REC_PASS &&
           pn_pass_get(record.body, pass);
}

static void say_known(struct house *h, unsigned worker, const struct pn_pass *pass, bool noted)
{
    struct pn_buf b;
    struct pn_pass_known known = {.noted = noted};
    memcpy(known.token, pass->token, sizeof known.token);
    pn_buf_init(&b, 64);
    pn_pass_known_put(&b, &known);
    UNIT_INT(pn_channel_send_fd(h->rig.peers[worker], PN_REC_PASS_KNOWN, pn_buf_str(&b), NULL, 0),
             0);
    pn_buf_fini(&b);
}

#define BOB_LOGS_IN PN_STR("\0bob@here.test\0bob's own")
#define ANN_LOGS_IN PN_STR("\0ann@here.test\0s3cret pass")

/* Who reads his mail: his worker knows before he is let in. */
static void test_passes(void)
{
    struct house h;
    struct pn_pass pass, other;
    house_open(&h, "mailboxes 2", true);
    unsigned ann = pn_mailbox_of(PN_STR("ann@here.test"), 2);
    unsigned worker = ann == 0 ? MAILBOX : OTHER_MAILBOX;
    unit_row("the worker's word is awaited");
    begin_for(&h, PN_SASL_IMAP, "192.0.2.1", 1, PN_SASL_PLAIN, true, ANN_LOGS_IN);
    UNIT_TRUE(hear_pass(&h, worker, &pass));
    UNIT_STR(pass.user, PN_STR("ann@here.test"));
    UNIT_INT(pass.service, PN_SASL_IMAP);
    UNIT_INT(plain(&h, 2, "bob@here.test", "bob's own"), PN_SASL_OK); /* comes first */
    UNIT_INT(h.said.token.len, 0);
    say_known(&h, worker, &pass, true);
    UNIT_INT(hear(&h), PN_SASL_OK);
    UNIT_INT(h.said.id, 1);
    UNIT_INT(h.said.worker, ann);
    UNIT_INT(h.said.token.len, PN_PASS_TOKEN);
    UNIT_INT(memcmp(h.said.token.p, pass.token, PN_PASS_TOKEN), 0);
    unit_row("no two tokens are the same");
    begin_for(&h, PN_SASL_POP3, "192.0.2.1", 3, PN_SASL_PLAIN, true, ANN_LOGS_IN);
    UNIT_TRUE(hear_pass(&h, worker, &other));
    UNIT_INT(other.service, PN_SASL_POP3);
    UNIT_TRUE(memcmp(other.token, pass.token, PN_PASS_TOKEN) != 0);
    unit_row("it has no room");
    say_known(&h, worker, &pass, true); /* of the one before: nobody waits for that */
    say_known(&h, worker, &other, false);
    UNIT_INT(hear(&h), PN_SASL_BUSY);
    UNIT_INT(h.said.token.len, 0);
    unit_row("a wrong password: it hears nothing");
    begin_for(&h, PN_SASL_IMAP, "192.0.2.1", 4, PN_SASL_PLAIN, true, PN_STR("\0ann@here.test\0x"));
    UNIT_INT(hear(&h), PN_SASL_REFUSED);
    unit_row("cancelled meanwhile");
    begin_for(&h, PN_SASL_IMAP, "192.0.2.1", 5, PN_SASL_PLAIN, true, ANN_LOGS_IN);
    UNIT_TRUE(hear_pass(&h, worker, &pass));
    cancel(&h, 5);
    say_known(&h, worker, &pass, true);
    unit_row("the worker ends");
    begin_for(&h, PN_SASL_IMAP, "192.0.2.1", 6, PN_SASL_PLAIN, true, ANN_LOGS_IN);
    UNIT_TRUE(hear_pass(&h, worker, &pass));
    role_rig_peer(&h.rig, worker, PN_ROLE_MAILBOX, ann);
    UNIT_INT(hear(&h), PN_SASL_BUSY);
    UNIT_INT(h.said.id, 6);
    unit_row("and there is another");
    begin_for(&h, PN_SASL_IMAP, "192.0.2.1", 7, PN_SASL_PLAIN, true, ANN_LOGS_IN);
    UNIT_TRUE(hear_pass(&h, worker, &pass));
    say_known(&h, worker, &pass, true);
    UNIT_INT(hear(&h), PN_SASL_OK);
    house_close(&h);
}

/* Without TLS: from this machine, where that is allowed, for mail that is read. */
static void test_plain_login(void)
{
    static const struct {
        const char *label, *conf, *ip;
        enum pn_sasl_service service;
        bool want;
    } rows[] = {
        {"as shipped", "", "127.0.0.1", PN_SASL_IMAP, false},
        {"allowed", "mailbox { plain-login loopback }", "127.0.0.1", PN_SASL_IMAP, true},
        {"POP3", "mailbox { plain-login loopback }", "127.9.0.1", PN_SASL_POP3, true},
        {"another machine", "mailbox { plain-login loopback }", "192.0.2.1", PN_SASL_IMAP, false},
        {"mail that is sent", "mailbox { plain-login loopback }", "127.0.0.1", PN_SASL_SMTP, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct house h;
        struct pn_pass pass;
        house_open(&h, rows[i].conf, true);
        unit_row(rows[i].label);
        begin_for(&h, rows[i].service, rows[i].ip, 1, PN_SASL_PLAIN, false, BOB_LOGS_IN);
        if (rows[i].want) {
            UNIT_TRUE(hear_pass(&h, MAILBOX, &pass));
            say_known(&h, MAILBOX, &pass, true);
        }
        UNIT_INT(hear(&h), rows[i].want ? PN_SASL_OK : PN_SASL_REFUSED);
        house_close(&h);
    }
}

static void test_shut(void)
{
    struct house h;
    house_open(&h, "auth { address-failures 3  slow-after 4  forget 1h  shared 192.0.2.9 }", true);
    UNIT_INT(plain(&h, 1, "bob@here.test", "bob's own"), PN_SASL_OK);
    for (uint64_t i = 0; i < 3; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "u%d@here.test", (int)i);
        UNIT_INT(plain(&h, 2 + i, name, "x"), PN_SASL_REFUSED);
    }
    unit_row("shut out, whatever the password");
    UNIT_INT(plain(&h, 10, "ann@here.test", "s3cret pass"), PN_SASL_SHUT);
    unit_row("by SCRAM too, before there is a challenge");
    begin(&h, 11, PN_SASL_SCRAM_SHA_256, PN_STR("n,,n=ann@here.test,r=abc"));
    UNIT_INT(hear(&h), PN_SASL_SHUT);
    unit_row("but who was here before");
    UNIT_INT(plain(&h, 12, "bob@here.test", "bob's own"), PN_SASL_OK);
    unit_row("and elsewhere");
    begin_from(&h, "192.0.2.2", 13, PN_SASL_PLAIN, true, PN_STR("\0ann@here.test\0s3cret pass"));
    UNIT_INT(hear(&h), PN_SASL_OK);
    unit_row("where many come from one address only accounts count");
    for (uint64_t i = 0; i < 5; i++) {
        char message[64];
        int n = snprintf(message, sizeof message, "%cv%d@here.test%cx", 0, (int)i, 0);
        begin_from(&h, "192.0.2.9", 20 + i, PN_SASL_PLAIN, true,
                   (struct pn_str){message, (size_t)n});
        UNIT_INT(hear(&h), PN_SASL_REFUSED);
    }
    house_close(&h);
}

/* One thread, one place to wait: of many at once most are told to try again, none is lost. */
static void test_busy(void)
{
    enum { MANY = 12 };
    struct house h;
    unsigned counts[PN_SASL_STATUSES] = {0};
    bool seen[MANY] = {false};
    house_open(&h, "auth { threads 1  waiting 1 }", true);
    for (uint64_t i = 0; i < MANY; i++)
        begin(&h, i, PN_SASL_PLAIN, PN_STR("\0ann@here.test\0s3cret pass"));
    for (int i = 0; i < MANY; i++) {
        unsigned status = hear(&h);
        UNIT_TRUE(status < PN_SASL_STATUSES && h.said.id < MANY && !seen[h.said.id]);
        if (status == PN_SASL_STATUSES)
            break;
        seen[h.said.id] = true;
        counts[status]++;
    }
    UNIT_TRUE(counts[PN_SASL_OK] >= 1);
    UNIT_INT(counts[PN_SASL_OK] + counts[PN_SASL_BUSY], MANY);
    unit_row("and then there is room again");
    UNIT_INT(plain(&h, 50, "ann@here.test", "s3cret pass"), PN_SASL_OK);
    unit_row("a cancelled one is judged all the same");
    begin(&h, 51, PN_SASL_PLAIN, PN_STR("\0ann@here.test\0wrong"));
    cancel(&h, 51);
    UNIT_INT(plain(&h, 52, "bob@here.test", "bob's own"), PN_SASL_OK);
    bool judged = false;
    for (int i = 0; i < MANY + 3 && !judged; i++) {
        struct pn_str line = event(&h);
        judged = pn_str_ends(line, PN_STR("\"result\":\"refused\",\"why\":\"password\"}"));
    }
    UNIT_TRUE(judged);
    house_close(&h);
}

static void give_users(struct house *h, const char *more)
{
    (void)close(users_fd);
    open_users(more);
    send_users(&h->rig);
}

static void test_users(void)
{
    struct house h;
    house_open(&h, "", false);
    unit_row("no file");
    UNIT_INT(plain(&h, 1, "ann@here.test", "s3cret pass"), PN_SASL_BUSY);
    (void)event(&h);
    unit_row("a bad one");
    open_users("nonsense\n");
    send_users(&h.rig);
    (void)event(&h);
    UNIT_INT(plain(&h, 1, "ann@here.test", "s3cret pass"), PN_SASL_BUSY);
    (void)event(&h);
    (void)close(users_fd);
    users_fd = -1;
    unit_row("there is one");
    open_users("");
    send_users(&h.rig);
    UNIT_STR(event(&h), PN_STR("\"event\":\"users\",\"schema\":1,\"count\":2}"));
    UNIT_INT(plain(&h, 2, "ann@here.test", "s3cret pass"), PN_SASL_OK);
    (void)event(&h);
    unit_row("a login under way, while they change");
    begin(&h, 3, PN_SASL_LOGIN, (struct pn_str){NULL, 0});
    UNIT_INT(hear(&h), PN_SASL_CHALLENGE);
    give_users(&h, "eve@here.test:$y$j9T$saltsalt$1234567890123456789012345678901234567890123\n");
    UNIT_STR(event(&h), PN_STR("\"event\":\"users\",\"schema\":1,\"count\":3}"));
    answer(&h, 3, PN_STR("bob@here.test"));
    UNIT_INT(hear(&h), PN_SASL_CHALLENGE);
    answer(&h, 3, PN_STR("bob's own"));
    UNIT_INT(hear(&h), PN_SASL_OK);
    (void)event(&h);
    unit_row("a bad one changes nothing");
    give_users(&h, "nonsense\n");
    UNIT_STR(event(&h),
             PN_STR("\"event\":\"users-refused\",\"schema\":1,\"detail\":\"line 3, column 1: "
                    "expected user@domain in small letters, no quotes, the domain as in DNS\"}"));
    UNIT_INT(plain(&h, 4, "ann@here.test", "s3cret pass"), PN_SASL_OK);
    house_close(&h);
}

/* Made-up salts are the same after a restart: by a key that lies in the role's folder. */
static void test_restart(void)
{
    struct house h;
    struct pn_buf first;
    const struct pn_str hello = PN_STR("n,,n=nobody@here.test,r=abc");
    pn_buf_init(&first, 1000);
    house_open(&h, "", true);
    for (int i = 0; i < 2; i++) {
        begin(&h, 1, PN_SASL_SCRAM_SHA_256, hello);
        UNIT_INT(hear(&h), PN_SASL_CHALLENGE);
        struct pn_str m = h.said.message, salt = pn_str_slice(m, pn_str_find(m, ',', 0), m.len);
        if (i == 0) {
            (void)pn_buf_adds(&first, salt);
            role_rig_kill(&h.rig);
            role_rig_start(&h.rig);
        } else {
            UNIT_STR(salt, pn_buf_str(&first));
        }
    }
    int key = openat(h.rig.folder, "salt-key", O_RDONLY | O_CLOEXEC);
    UNIT_TRUE(key >= 0);
    (void)close(key);
    house_close(&h);
    pn_buf_fini(&first);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"logins", test_logins},
        {"rules", test_rules},
        {"passes", test_passes},
        {"plain login", test_plain_login},
        {"shut", test_shut},
        {"busy", test_busy},
        {"users", test_users},
        {"restart", test_restart},
        {NULL, NULL},
    };
    return unit_main("auth_role", tests, argc, argv);
}
