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

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"quota", test_quota},
        {"removed", test_removed},
        {"folder gone", test_folder_gone},
        {"many updates", test_many_updates},
        {NULL, NULL},
    };
    return unit_main("imap_gone", tests, argc, argv);
}
