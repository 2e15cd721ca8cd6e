/* What befalls a session from outside: no room, messages and folders that go. On the store in
 * memory, which does so when it is told. */
#include "fake_store.h"
#include "imap_rig.h"
#include "unit.h"

#define MAIL "Subject: One\n\nx\n"

static void select_inbox(struct imap_rig *rig, int mails)
{
    imap_rig_init(rig);
    for (int i = 0; i < mails; i++)
        (void)fake_deliver(rig->user, "INBOX", PN_STR(MAIL));
    imap_rig_say(rig, "a SELECT INBOX\n");
    UNIT_TRUE(pn_str_ends(pn_buf_str(&rig->out), PN_STR("a OK [READ-WRITE] SELECT completed\r\n")));
    pn_buf_clear(&rig->out);
}

/* The size that is announced is enough to refuse it; the client sends nothing, or in vain. */
static void test_quota(void)
{
    struct imap_rig rig;
    imap_rig_init(&rig);
    fake_room(rig.user, 10);
    imap_rig_say(&rig, "a APPEND INBOX {11}\n");
    imap_rig_want(&rig, "a NO [OVERQUOTA] The quota leaves no room\n");
    imap_rig_say(&rig, "b APPEND INBOX {14+}\nA: b\n\nx: y\n\nc NOOP\n");
    imap_rig_want(&rig, "b NO [OVERQUOTA] The quota leaves no room\nc OK NOOP completed\n");
    imap_rig_say(&rig, "d APPEND INBOX {8+}\nA: b\n\n {14+}\nA: b\n\nx: y\n\ne SELECT INBOX\n");
    UNIT_TRUE(pn_str_starts(pn_buf_str(&rig.out),
                            PN_STR("d NO [OVERQUOTA] The quota leaves no room\r\n")));
    UNIT_TRUE(strstr(pn_buf_cstr(&rig.out), "* 0 EXISTS") != NULL); /* none of the two */
    imap_rig_fini(&rig);
}

static void test_removed(void)
{
    struct imap_rig rig;
    select_inbox(&rig, 3);
    fake_remove(rig.user, "INBOX", 2);
    imap_rig_say(&rig, "b FETCH 1:3 (UID BODY.PEEK[TEXT])\n");
    imap_rig_want(&rig,
                  "* 1 FETCH (UID 1 BODY[TEXT] {3}\nx\n)\n* 3 FETCH (UID 3 BODY[TEXT] {3}\nx\n"
                  ")\nb NO [EXPUNGEISSUED] Some of the messages are gone\n");
    imap_rig_say(&rig, "c UID COPY 2 Archive\n");
    imap_rig_want(&rig, "* 2 EXPUNGE\nc OK UID COPY completed\n");
    imap_rig_fini(&rig);
}

static void test_folder_gone(void)
{
    static const char *const said[] = {"b NOOP\n", "b STORE 1 +FLAGS.SILENT (\\Seen)\n",
                                       "b EXPUNGE\n", "b IDLE\n"};
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        struct imap_rig rig;
        unit_row(said[i]);
        select_inbox(&rig, 1);
        fake_delete(rig.user, "INBOX");
        imap_rig_say(&rig, said[i]);
        UNIT_TRUE(strstr(pn_buf_cstr(&rig.out), "* BYE The selected mailbox is gone\r\n") != NULL);
        UNIT_TRUE(rig.ended);
        imap_rig_fini(&rig);
    }
}

/* More changes than one answer holds: the rest is told with the next one, none twice. */
static void test_many_updates(void)
{
    enum { MANY = 120000 };
    struct imap_rig rig;
    unsigned told = 0;
    select_inbox(&rig, MANY);
    imap_rig_other(&rig, "x SELECT INBOX\ny STORE 1:* +FLAGS.SILENT (\\Seen \\Flagged \\Draft)\n");
    for (int i = 0; i < 20; i++)
        imap_rig_say(&rig, "b NOOP\n");
    for (struct pn_str rest = pn_buf_str(&rig.out); rest.p != NULL;)
        told +=
            pn_str_ends(pn_str_split(&rest, '\n'), PN_STR("FLAGS (\\Seen \\Flagged \\Draft))\r"));
    UNIT_INT(told, MANY);
    pn_buf_clear(&rig.out);
    imap_rig_say(&rig, "c NOOP\n");
    imap_rig_want(&rig, "c OK NOOP completed\n");
    imap_rig_fini(&rig);
}

/* What one run says has its bounds; the numbers are told in order before anything else is done. */
static void test_many_expunged(void)
{
    enum { MANY = 60000, NEW = 2 };
    struct imap_rig rig;
    unsigned runs = 0, told = 0;
    select_inbox(&rig, MANY);
    imap_rig_other(&rig, "x SELECT INBOX\ny STORE 2:* +FLAGS.SILENT (\\Deleted)\nz EXPUNGE\n");
    for (int i = 0; i < NEW; i++)
        (void)fake_deliver(rig.user, "INBOX", PN_STR(MAIL));
    struct pn_str in = PN_STR("b NOOP\r\nc FETCH 1:3 UID\r\n");
    struct pn_buf all;
    pn_buf_init(&all, 64 << 20);
    for (enum pn_engine_next next = PN_ENGINE_MORE; next == PN_ENGINE_MORE; runs++) {
        struct pn_buf out;
        pn_buf_init(&out, 8 << 20);
        next = rig.engine->kind->run(rig.engine, &in, &out);
        UNIT_TRUE(out.len < 2 * PN_ENGINE_OUT);
        (void)pn_buf_adds(&all, pn_buf_str(&out));
        pn_buf_fini(&out);
    }
    UNIT_TRUE(runs > 3);
    struct pn_str rest = pn_buf_str(&all);
    while (pn_str_ends(pn_str_slice(rest, 0, pn_str_find(rest, '\n', 0)), PN_STR(" EXPUNGE\r"))) {
        (void)pn_str_split(&rest, '\n');
        told++;
    }
    UNIT_INT(told, MANY - 1);
    UNIT_STR(rest, PN_STR("* 3 EXISTS\r\n* 0 RECENT\r\nb OK NOOP completed\r\n"
                          "* 1 FETCH (UID 1)\r\n* 2 FETCH (UID 60001)\r\n"
                          "* 3 FETCH (UID 60002)\r\nc OK FETCH completed\r\n"));
    pn_buf_fini(&all);
    imap_rig_fini(&rig);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"quota", test_quota},
        {"removed", test_removed},
        {"folder gone", test_folder_gone},
        {"many updates", test_many_updates},
        {"many expunged", test_many_expunged},
        {NULL, NULL},
    };
    return unit_main("imap_gone", tests, argc, argv);
}
