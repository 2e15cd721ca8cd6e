#include "unit.h"

#include "clock.h"
#include "cut_record.h"
#include "handover.h"

static struct pn_header_edit sample_edits[] = {
    {PN_HEDIT_TOP, 0, PN_STR_INIT("Received"), PN_STR_INIT("from a.test\r\n by here.test")},
    {PN_HEDIT_REMOVE_RESULTS, 0, PN_STR_INIT(""), PN_STR_INIT("here.test")},
    {PN_HEDIT_END, 0, PN_STR_INIT("X-Subject"), PN_STR_INIT("[spam] \xc3\xa4")},
};
static struct pn_edit_group sample_groups[] = {{2, sample_edits}, {3, sample_edits}, {0, NULL}};
static struct pn_recipient sample_recipients[] = {
    {.address = PN_STR_INIT("u@here.test"),
     .user = PN_STR_INIT("u@here.test"),
     .folder = PN_STR_INIT("Junk"),
     .hand = PN_HAND_JUNK},
    {.address = PN_STR_INIT("v@dest.test"),
     .via = PN_VIA_SMTP,
     .next_hop = PN_STR_INIT("127.0.0.1:2600"),
     .notify = PN_NOTIFY_SUCCESS | PN_NOTIFY_FAILURE,
     .orcpt = PN_STR_INIT("rfc822;v@dest.test"),
     .from = PN_STR_INIT("SRS0=x@here.test"),
     .by = PN_STR_INIT("info@here.test, by here.conf:3:1 alias \"info\""),
     .given = PN_STR_INIT("v@Dest.test"),
     .group = 2},
    {.address = PN_STR_INIT("w@dest.test"),
     .via = PN_VIA_MX,
     .hand = PN_HAND_QUARANTINE,
     .next_hop = PN_STR_INIT("dest.test"),
     .reason = PN_STR_INIT("policy/here.test.conf:12:3 quarantine when score >= 8"),
     .group = 1},
};

static struct pn_envelope sample(void)
{
    return (struct pn_envelope){
        .id = 77,
        .arrived_ms = 1700000000123,
        .size = 4096,
        .flags = PN_ENV_8BITMIME | PN_ENV_SPF_PASS,
        .ret = 'H',
        .generation = 3,
        .reverse_path = PN_STR("s@from.test"),
        .envid = PN_STR("QQ314159"),
        .client = PN_STR("192.0.2.7"),
        .helo = PN_STR("mx.from.test"),
        .submitter = PN_STR("ann@here.test"),
        .group_count = 3,
        .groups = sample_groups,
        .recipient_count = 3,
        .recipients = sample_recipients,
    };
}

static bool reads(struct pn_str bytes)
{
    struct pn_pool *pool = pn_pool_new(1024 * 1024);
    struct pn_envelope env;
    bool ok = pn_envelope_get(bytes, pool, &env);
    pn_pool_free(&pool);
    return ok;
}

static void test_envelope_round(void)
{
    struct pn_envelope env = sample(), got;
    struct pn_buf a, b;
    struct pn_pool *pool = pn_pool_new(64 * 1024);
    pn_buf_init(&a, PN_ENVELOPE_MAX);
    pn_buf_init(&b, PN_ENVELOPE_MAX);
    UNIT_TRUE(pn_envelope_put(&a, &env));
    UNIT_TRUE(pn_envelope_get(pn_buf_str(&a), pool, &got));
    UNIT_TRUE(pn_envelope_put(&b, &got));
    UNIT_STR(pn_buf_str(&b), pn_buf_str(&a));
    UNIT_STR(got.groups[1].edits[2].value, PN_STR("[spam] \xc3\xa4"));
    UNIT_STR(got.recipients[1].orcpt, PN_STR("rfc822;v@dest.test"));
    UNIT_STR(got.recipients[1].given, PN_STR("v@Dest.test"));
    UNIT_STR(got.recipients[2].given, PN_STR(""));
    UNIT_INT(got.recipients[2].via, PN_VIA_MX);
    UNIT_STR(got.recipients[1].from, PN_STR("SRS0=x@here.test"));
    UNIT_STR(got.submitter, PN_STR("ann@here.test"));
    UNIT_STR(got.recipients[2].by, PN_STR(""));
    for (size_t cut = 0; cut < a.len; cut++)
        UNIT_TRUE(!reads(pn_str_slice(pn_buf_str(&a), 0, cut)));
    UNIT_TRUE(pn_buf_addc(&a, 'x') && !reads(pn_buf_str(&a)));
    pn_pool_free(&pool);
    pn_buf_fini(&a);
    pn_buf_fini(&b);
}

/* As binaries before `from` and `by` wrote it into their spools. */
static void test_envelope_old(void)
{
    static const unsigned char bytes[] = {
        0x01, 0x4d, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x7b, 0x68, 0xe5, 0xcf, 0x8b, 0x01,
        0x00, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x09, 0x00, 0x00, 0x00, 0x48,
        0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0b, 0x00, 0x00,
        0x00, 0x73, 0x40, 0x66, 0x72, 0x6f, 0x6d, 0x2e, 0x74, 0x65, 0x73, 0x74, 0x00, 0x00, 0x00,
        0x00, 0x09, 0x00, 0x00, 0x00, 0x31, 0x39, 0x32, 0x2e, 0x30, 0x2e, 0x32, 0x2e, 0x37, 0x0c,
        0x00, 0x00, 0x00, 0x6d, 0x78, 0x2e, 0x66, 0x72, 0x6f, 0x6d, 0x2e, 0x74, 0x65, 0x73, 0x74,
        0x01, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00,
        0x00, 0x00, 0x41, 0x01, 0x00, 0x00, 0x00, 0x62, 0x01, 0x00, 0x00, 0x00, 0x0b, 0x00, 0x00,
        0x00, 0x76, 0x40, 0x64, 0x65, 0x73, 0x74, 0x2e, 0x74, 0x65, 0x73, 0x74, 0x00, 0x01, 0x06,
        0x00, 0x00, 0x0c, 0x00, 0x00, 0x00, 0x31, 0x32, 0x37, 0x2e, 0x30, 0x2e, 0x30, 0x2e, 0x31,
        0x3a, 0x32, 0x36, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00,
        0x72, 0x66, 0x63, 0x38, 0x32, 0x32, 0x3b, 0x76, 0x00, 0x00, 0x00, 0x00};
    const struct pn_str old = {(const char *)bytes, sizeof bytes};
    struct pn_pool *pool = pn_pool_new(64 * 1024);
    struct pn_envelope env;
    UNIT_TRUE(pn_envelope_get(old, pool, &env));
    UNIT_INT(env.id, 77);
    UNIT_STR(env.helo, PN_STR("mx.from.test"));
    UNIT_STR(env.groups[0].edits[0].value, PN_STR("b"));
    UNIT_STR(env.recipients[0].next_hop, PN_STR("127.0.0.1:26"));
    UNIT_STR(env.recipients[0].orcpt, PN_STR("rfc822;v"));
    UNIT_INT(env.recipients[0].notify, PN_NOTIFY_SUCCESS | PN_NOTIFY_FAILURE);
    UNIT_INT(env.recipients[0].from.len + env.recipients[0].by.len + env.submitter.len, 0);
    for (size_t cut = 0; cut < old.len; cut++)
        UNIT_TRUE(!reads(pn_str_slice(old, 0, cut)));
    pn_pool_free(&pool);
}

/* And those before the submitter, and before `given`. */
static void test_envelope_second(void)
{
    struct pn_envelope env = sample(), got;
    struct pn_pool *pool = pn_pool_new(64 * 1024);
    struct pn_buf b;
    struct pn_recipient to[3];
    memcpy(to, sample_recipients, sizeof to);
    to[1].given = PN_STR("");
    env.recipients = to;
    env.submitter = PN_STR("");
    pn_buf_init(&b, PN_ENVELOPE_MAX);
    UNIT_TRUE(pn_envelope_put(&b, &env));
    b.p[0] = 3;
    UNIT_TRUE(!reads(pn_buf_str(&b)));
    b.len -= 4; /* the submitter */
    UNIT_TRUE(pn_envelope_get(pn_buf_str(&b), pool, &got));
    b.p[0] = 2;
    UNIT_TRUE(!reads(pn_buf_str(&b)));
    b.len -= 3 * 4; /* three empty strings */
    UNIT_TRUE(pn_envelope_get(pn_buf_str(&b), pool, &got));
    UNIT_STR(got.recipients[1].from, PN_STR("SRS0=x@here.test"));
    UNIT_STR(got.recipients[1].given, PN_STR(""));
    pn_pool_free(&pool);
    pn_buf_fini(&b);
}

/* Each row spoils one thing in a good envelope. */
static void spoil(int row, struct pn_envelope *env, struct pn_recipient *to,
                  struct pn_header_edit *edit)
{
    switch (row) {
    case 1:
        env->recipient_count = 0;
        break;
    case 2:
        to->group = 1;
        break;
    case 3:
        to->hand = PN_HAND_COUNT;
        break;
    case 4:
        to->via = PN_VIA_COUNT;
        break;
    case 5:
        to->address = PN_STR("a\r\nb");
        break;
    case 6:
        to->address = PN_STR("");
        break;
    case 7:
        to->next_hop = PN_STR("");
        break;
    case 8:
        to->via = PN_VIA_LOCAL;
        break;
    case 9:
        to->notify = 16;
        break;
    case 10:
        env->reverse_path = PN_STR("a\0b");
        break;
    case 11:
        env->flags = PN_ENV_ALL + 1;
        break;
    case 12:
        env->flags = PN_ENV_CONTENT_FILE;
        break;
    case 13:
        env->content_file = 3;
        break;
    case 14:
        env->ret = 'X';
        break;
    case 15:
        edit->op = PN_HEDIT_COUNT;
        break;
    case 16:
        edit->name = PN_STR("");
        break;
    case 17:
        edit->name = PN_STR("A:");
        break;
    case 18:
        edit->value = PN_STR("a\r\nB: c");
        break;
    case 19:
        edit->value = PN_STR("a\n b");
        break;
    case 20:
        edit->value = PN_STR("a\r b");
        break;
    case 21:
        edit->value = PN_STR("a\r\n");
        break;
    case 22:
        edit->nth = -2;
        break;
    case 23:
        to->from = PN_STR("a@b.test\r\n");
        break;
    case 24:
        to->by = PN_STR("a\0b");
        break;
    case 25:
        to->given = PN_STR("a\nb");
        break;
    case 26:
        env->submitter = PN_STR("a\nb");
        break;
    default:
        break;
    }
}

static void test_envelope_spoiled(void)
{
    for (int row = 0; row <= 26; row++) {
        char label[16];
        (void)snprintf(label, sizeof label, "%d", row);
        unit_row(label);
        struct pn_header_edit edit = {PN_HEDIT_END, 0, PN_STR("A"), PN_STR("b\r\n\tc")};
        struct pn_edit_group group = {1, &edit};
        struct pn_recipient to = sample_recipients[1];
        to.group = 0;
        struct pn_envelope env = sample();
        env.group_count = env.recipient_count = 1;
        env.groups = &group;
        env.recipients = &to;
        spoil(row, &env, &to, &edit);
        struct pn_buf b;
        pn_buf_init(&b, PN_ENVELOPE_MAX);
        UNIT_TRUE(pn_envelope_put(&b, &env));
        UNIT_INT(reads(pn_buf_str(&b)), row == 0);
        pn_buf_fini(&b);
    }
}

static void test_envelope_limits(void)
{
    static const struct {
        const char *label;
        uint32_t recipients;
        size_t address;
        bool want;
    } rows[] = {
        {"most recipients", PN_ENVELOPE_RECIPIENTS_MAX, 3, true},
        {"one recipient too many", PN_ENVELOPE_RECIPIENTS_MAX + 1, 3, false},
        {"longest address", 1, PN_ENVELOPE_TEXT_MAX, true},
        {"address one too long", 1, PN_ENVELOPE_TEXT_MAX + 1, false},
    };
    static char text[PN_ENVELOPE_TEXT_MAX + 1];
    static struct pn_recipient many[PN_ENVELOPE_RECIPIENTS_MAX + 1];
    memset(text, 'a', sizeof text);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unit_row(rows[i].label);
        for (uint32_t k = 0; k < rows[i].recipients; k++) {
            many[k] = sample_recipients[1];
            many[k].address = (struct pn_str){text, rows[i].address};
        }
        struct pn_envelope env = sample();
        env.recipient_count = rows[i].recipients;
        env.recipients = many;
        struct pn_buf b;
        pn_buf_init(&b, PN_ENVELOPE_MAX);
        UNIT_TRUE(pn_envelope_put(&b, &env));
        UNIT_INT(reads(pn_buf_str(&b)), rows[i].want);
        pn_buf_fini(&b);
    }
}

static void test_small_bodies(void)
{
    struct pn_buf b;
    pn_buf_init(&b, 4096);
    struct pn_taken taken = {9, {451, PN_STR("4.3.0 Try again")}};
    pn_taken_put(&b, &taken);
    for (size_t cut = 0; cut < b.len; cut++)
        UNIT_TRUE(!pn_taken_get(pn_str_slice(pn_buf_str(&b), 0, cut), &taken));
    UNIT_TRUE(pn_taken_get(pn_buf_str(&b), &taken) && taken.id == 9 && taken.reply.code == 451);
    UNIT_STR(taken.reply.text, PN_STR("4.3.0 Try again"));
    pn_buf_clear(&b);
    taken.reply.code = 100;
    pn_taken_put(&b, &taken);
    UNIT_TRUE(!pn_taken_get(pn_buf_str(&b), &taken));

    pn_buf_clear(&b);
    struct pn_content_want want = {1, 2};
    pn_content_want_put(&b, &want);
    UNIT_TRUE(pn_content_want_get(pn_buf_str(&b), &want) && want.size == 2);
    pn_buf_clear(&b);
    struct pn_content_file file = {1, 5, {250, PN_STR("")}};
    pn_content_file_put(&b, &file);
    UNIT_TRUE(pn_content_file_get(pn_buf_str(&b), &file) && file.file == 5);
    pn_buf_clear(&b);
    struct pn_verify ask = {3, PN_VIA_SMTP, PN_STR("192.0.2.1:25"), PN_STR("u@x.test")};
    pn_verify_put(&b, &ask);
    for (size_t cut = 0; cut < b.len; cut++)
        UNIT_TRUE(!pn_verify_get(pn_str_slice(pn_buf_str(&b), 0, cut), &ask));
    UNIT_TRUE(pn_verify_get(pn_buf_str(&b), &ask) && ask.token == 3);
    UNIT_STR(ask.address, PN_STR("u@x.test"));
    pn_buf_clear(&b);
    ask.via = PN_VIA_LOCAL;
    pn_verify_put(&b, &ask);
    UNIT_TRUE(!pn_verify_get(pn_buf_str(&b), &ask));
    pn_buf_clear(&b);
    struct pn_quota_ask quota = {8, 1234, PN_STR("u@x.test")};
    pn_quota_ask_put(&b, &quota);
    for (size_t cut = 0; cut < b.len; cut++)
        UNIT_TRUE(!pn_quota_ask_get(pn_str_slice(pn_buf_str(&b), 0, cut), &quota));
    UNIT_TRUE(pn_quota_ask_get(pn_buf_str(&b), &quota) && quota.token == 8 && quota.bytes == 1234);
    UNIT_STR(quota.user, PN_STR("u@x.test"));
    pn_buf_clear(&b);
    quota.user = PN_STR("u\r@x.test");
    pn_quota_ask_put(&b, &quota);
    UNIT_TRUE(!pn_quota_ask_get(pn_buf_str(&b), &quota));
    pn_buf_clear(&b);
    struct pn_cut_rcpt rcpt = {.token = 5,
                               .id = 6,
                               .via = PN_VIA_LMTP,
                               .flags = PN_ENV_SMTPUTF8,
                               .next_hop = PN_STR("192.0.2.1:24"),
                               .reverse_path = PN_STR(""),
                               .address = PN_STR("u@x.test")};
    pn_cut_rcpt_put(&b, &rcpt);
    for (size_t cut = 0; cut < b.len; cut++)
        UNIT_TRUE(!pn_cut_rcpt_get(pn_str_slice(pn_buf_str(&b), 0, cut), &rcpt));
    UNIT_TRUE(pn_cut_rcpt_get(pn_buf_str(&b), &rcpt) && rcpt.token == 5 && rcpt.id == 6);
    static const struct pn_cut_rcpt bad[] = {
        {1, 2, PN_VIA_MX, 0, PN_STR_INIT("a:25"), PN_STR_INIT(""), PN_STR_INIT("u@x.test")},
        {1, 2, PN_VIA_SMTP, 1, PN_STR_INIT("a:25"), PN_STR_INIT(""), PN_STR_INIT("u@x.test")},
        {1, 2, PN_VIA_SMTP, 0, PN_STR_INIT(""), PN_STR_INIT(""), PN_STR_INIT("u@x.test")},
        {1, 2, PN_VIA_SMTP, 0, PN_STR_INIT("a:25"), PN_STR_INIT(""), PN_STR_INIT("")},
        {1, 2, PN_VIA_SMTP, 0, PN_STR_INIT("a:25"), PN_STR_INIT("a\rb"), PN_STR_INIT("u@x.test")},
        {1, 2, PN_VIA_SMTP, 0, PN_STR_INIT("a:25"), PN_STR_INIT(""), PN_STR_INIT("u@x\n.test")}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        pn_buf_clear(&b);
        pn_cut_rcpt_put(&b, &bad[i]);
        UNIT_TRUE(!pn_cut_rcpt_get(pn_buf_str(&b), &rcpt));
    }
    pn_buf_clear(&b);
    struct pn_cut_drop drop = {7};
    pn_cut_drop_put(&b, &drop);
    UNIT_TRUE(pn_cut_drop_get(pn_buf_str(&b), &drop) && drop.id == 7);
    UNIT_TRUE(!pn_cut_drop_get(pn_str_slice(pn_buf_str(&b), 0, b.len - 1), &drop));
    pn_buf_clear(&b);
    struct pn_delivered done = {4, {0, PN_STR("worker went")}};
    pn_delivered_put(&b, &done);
    UNIT_TRUE(pn_delivered_get(pn_buf_str(&b), &done) && done.token == 4 && done.reply.code == 0);
    pn_buf_fini(&b);
}

static void test_deliver(void)
{
    struct pn_deliver put = {.token = 5,
                             .id = 6,
                             .arrived_ms = 7,
                             .size = 8,
                             .reverse_path = PN_STR(""),
                             .recipient = PN_STR("u@here.test"),
                             .user = PN_STR("u@here.test"),
                             .folder = PN_STR("Junk"),
                             .edits = {3, sample_edits}};
    struct pn_deliver got;
    struct pn_buf b;
    pn_buf_init(&b, 4096);
    struct pn_pool *pool = pn_pool_new(16 * 1024);
    UNIT_TRUE(pn_deliver_put(&b, &put));
    for (size_t cut = 0; cut < b.len; cut++)
        UNIT_TRUE(!pn_deliver_get(pn_str_slice(pn_buf_str(&b), 0, cut), pool, &got));
    UNIT_TRUE(pn_deliver_get(pn_buf_str(&b), pool, &got));
    UNIT_STR(got.folder, PN_STR("Junk"));
    UNIT_STR(got.edits.edits[0].name, PN_STR("Received"));
    pn_pool_free(&pool);
    pn_buf_fini(&b);
}

static void test_queue_id(void)
{
    struct pn_queue_id_maker maker = {.tag = 5}, other = {.tag = 6};
    char text[PN_QUEUE_ID_TEXT_MAX], before[PN_QUEUE_ID_TEXT_MAX];
    uint64_t last = 0, back = 0;
    pn_clock_wall_fix(1700000000000);
    for (int i = 0; i < 20000; i++) { /* more than one millisecond can number */
        uint64_t id = pn_queue_id_make(&maker);
        UNIT_TRUE(id > last);
        UNIT_TRUE((id >> 13 & PN_QUEUE_ID_TAG_MAX) == 5);
        last = id;
    }
    UNIT_INT(pn_queue_id_time(last), 1700000000002);
    UNIT_TRUE(pn_queue_id_make(&other) != last);
    pn_clock_wall_fix(1600000000000); /* set back */
    (void)pn_queue_id_text(last, before);
    UNIT_TRUE(pn_queue_id_make(&maker) > last);
    UNIT_TRUE(strcmp(pn_queue_id_text(maker.last, text), before) > 0);
    UNIT_TRUE(pn_queue_id_parse(pn_str_of(text), &back) && back == maker.last);
    UNIT_TRUE(pn_queue_id_parse(PN_STR("FZZZZZZZZZZZZ"), &back) && back == UINT64_MAX);
    UNIT_TRUE(!pn_queue_id_parse(PN_STR("gzzzzzzzzzzzz"), &back));
    UNIT_TRUE(!pn_queue_id_parse(PN_STR("00000000000l0"), &back));
    UNIT_TRUE(!pn_queue_id_parse(PN_STR("000000000000"), &back));
    UNIT_TRUE(!pn_queue_id_parse(PN_STR(""), &back));
    pn_clock_wall_fix(-1);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"envelope_round", test_envelope_round},
                                             {"envelope_old", test_envelope_old},
                                             {"envelope_second", test_envelope_second},
                                             {"envelope_spoiled", test_envelope_spoiled},
                                             {"envelope_limits", test_envelope_limits},
                                             {"small_bodies", test_small_bodies},
                                             {"deliver", test_deliver},
                                             {"queue_id", test_queue_id},
                                             {NULL, NULL}};
    return unit_main("handover", tests, argc, argv);
}
