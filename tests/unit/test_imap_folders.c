/* Dialogues about folders and quotas, on a real store: LIST and its extensions, CREATE, DELETE,
 * RENAME, subscriptions, STATUS, NAMESPACE, QUOTA. Named after the words that announce them. */
#include "imap_capability.h"
#include "imap_on_store.h"
#include "imap_rig.h"
#include "unit.h"

#define MAKE_SOME                                                                                  \
    {"!a CREATE Lists/Dev\n", ""}, {"!a CREATE Work\n", ""}, {"!a CREATE Work/Old\n", ""},         \
        {"!a SUBSCRIBE Lists/Dev\n", ""}, {"!a SUBSCRIBE Work\n", ""},                             \
        {"!a SUBSCRIBE gone\n", ""},                                                               \
    {                                                                                              \
        "!a CREATE Bin (USE (\\Trash))\n", ""                                                      \
    }

static void announced(const char *word)
{
    unit_row(word);
    UNIT_TRUE(pn_imap_capability_is(word, PN_IMAP_AFTER_LOGIN));
}

static void test_list(void)
{
    static const struct imap_turn turns[] = {
        MAKE_SOME,
        {"a LIST \"\" \"\"\n", "* LIST (\\Noselect) \"/\" \"\"\na OK LIST completed\n"},
        {"a LIST \"\" %\n", "* LIST (\\HasNoChildren) \"/\" INBOX\n"
                            "* LIST (\\HasNoChildren \\Trash) \"/\" Bin\n"
                            "* LIST (\\Noselect \\HasChildren) \"/\" Lists\n"
                            "* LIST (\\HasChildren) \"/\" Work\n"
                            "a OK LIST completed\n"},
        {"a LIST \"\" inbox\n", "* LIST (\\HasNoChildren) \"/\" INBOX\na OK LIST completed\n"},
        {"a LIST Work/ %\n", "* LIST (\\HasNoChildren) \"/\" Work/Old\na OK LIST completed\n"},
        {"a LIST \"\" *d\n", "* LIST (\\HasNoChildren) \"/\" Work/Old\na OK LIST completed\n"},
        {"a LIST \"\" {3}\nW%k\n",
         "+ Go on\n* LIST (\\HasChildren) \"/\" Work\na OK LIST completed\n"},
        {"a LIST\n", "a BAD Wrong arguments of LIST\n"},
        {"a LIST \"\"\n", "a BAD Wrong arguments of LIST\n"},
        {"a LIST \"\" % x\n", "a BAD Wrong arguments of LIST\n"},
        {"a LSUB \"\" *\n", "* LSUB () \"/\" Lists/Dev\n* LSUB () \"/\" Work\n"
                            "* LSUB () \"/\" gone\na OK LSUB completed\n"},
        {"a LSUB \"\" %\n", "* LSUB (\\Noselect) \"/\" Lists\n* LSUB () \"/\" Work\n"
                            "* LSUB () \"/\" gone\na OK LSUB completed\n"},
        {NULL, NULL}};
    imap_rig_play("list", turns);
}

static void test_list_extended(void)
{
    static const struct imap_turn turns[] = {
        MAKE_SOME,
        {"a LIST (SUBSCRIBED) \"\" *\n",
         "* LIST (\\HasNoChildren \\Subscribed) \"/\" Lists/Dev\n"
         "* LIST (\\HasChildren \\Subscribed) \"/\" Work\n"
         "* LIST (\\NonExistent \\HasNoChildren \\Subscribed) \"/\" gone\na OK LIST completed\n"},
        {"a LIST (SUBSCRIBED RECURSIVEMATCH) \"\" %\n",
         "* LIST (\\NonExistent \\HasChildren) \"/\" Lists (\"CHILDINFO\" (\"SUBSCRIBED\"))\n"
         "* LIST (\\HasChildren \\Subscribed) \"/\" Work\n"
         "* LIST (\\NonExistent \\HasNoChildren \\Subscribed) \"/\" gone\na OK LIST completed\n"},
        {"a LIST () \"\" (INBOX Work) RETURN (SUBSCRIBED CHILDREN)\n",
         "* LIST (\\HasNoChildren) \"/\" INBOX\n"
         "* LIST (\\HasChildren \\Subscribed) \"/\" Work\na OK LIST completed\n"},
        {"a LIST (REMOTE) \"\" W% RETURN ()\n",
         "* LIST (\\HasChildren) \"/\" Work\na OK LIST completed\n"},
        {"a LIST (RECURSIVEMATCH) \"\" %\n", "a BAD Wrong arguments of LIST\n"},
        {"a LIST (REMOTE RECURSIVEMATCH) \"\" %\n", "a BAD Wrong arguments of LIST\n"},
        {"a LIST (XYZZY) \"\" %\n", "a BAD Wrong arguments of LIST\n"},
        {"a LIST \"\" % RETURN (XYZZY)\n", "a BAD Wrong arguments of LIST\n"},
        {"a LIST \"\" () RETURN ()\n", "a BAD Wrong arguments of LIST\n"},
        {NULL, NULL}};
    announced("LIST-EXTENDED");
    imap_rig_play("list-extended", turns);
}

static void test_list_status(void)
{
    static const struct imap_turn turns[] = {
        MAKE_SOME,
        {"!a APPEND Work {17+}\nSubject: 1\n\nx\n\n", ""},
        {"a LIST \"\" (Lists Work) RETURN (STATUS (MESSAGES UNSEEN SIZE))\n",
         "* LIST (\\NonExistent \\HasChildren) \"/\" Lists\n"
         "* LIST (\\HasChildren) \"/\" Work\n"
         "* STATUS Work (MESSAGES 1 UNSEEN 1 SIZE 17)\na OK LIST completed\n"},
        {"a LIST \"\" % RETURN (STATUS)\n", "a BAD Wrong arguments of LIST\n"},
        {"a LIST \"\" % RETURN (STATUS ())\n", "a BAD Wrong arguments of LIST\n"},
        {NULL, NULL}};
    announced("LIST-STATUS");
    imap_rig_play("list-status", turns);
}

static void test_special_use(void)
{
    static const struct imap_turn turns[] = {
        {"a CREATE Sent (USE (\\Sent))\n", "a OK CREATE completed\n"},
        {"a LIST (SPECIAL-USE) \"\" *\n",
         "* LIST (\\HasNoChildren \\Sent) \"/\" Sent\na OK LIST completed\n"},
        {"a LIST \"\" S% RETURN (SPECIAL-USE)\n",
         "* LIST (\\HasNoChildren \\Sent) \"/\" Sent\na OK LIST completed\n"},
        {NULL, NULL}};
    announced("SPECIAL-USE");
    imap_rig_play("special-use", turns);
}

static void test_create_delete_rename(void)
{
    static const struct imap_turn turns[] = {
        {"a CREATE A/\n", "a OK CREATE completed\n"},
        {"a CREATE A\n", "a NO [ALREADYEXISTS] There is a mailbox of this name\n"},
        {"a CREATE Inbox\n", "a NO [ALREADYEXISTS] There is a mailbox of this name\n"},
        {"a CREATE A//B\n", "a NO [CANNOT] No mailbox can have this name\n"},
        {"a CREATE \"\"\n", "a NO [CANNOT] No mailbox can have this name\n"},
        {"a CREATE /\n", "a NO [CANNOT] No mailbox can have this name\n"},
        {"a RENAME \"\" B\n", "a NO [CANNOT] No mailbox can have this name\n"},
        {"a RENAME A \"\"\n", "a NO [CANNOT] No mailbox can have this name\n"},
        {"a SELECT \"\"\n", "a NO [CANNOT] No mailbox can have this name\n"},
        {"a STATUS \"\" (MESSAGES)\n", "a NO [CANNOT] No mailbox can have this name\n"},
        {"a APPEND \"\" {8+}\nA: 4\n\n\n", "a NO [CANNOT] No mailbox can have this name\n"},
        {"a SUBSCRIBE \"\"\n", "a NO [CANNOT] No mailbox can have this name\n"},
        {"a GETQUOTAROOT \"\"\n", "* QUOTAROOT \"\"\na OK GETQUOTAROOT completed\n"},
        {"a CREATE A/B/C\n", "a OK CREATE completed\n"},
        {"a CREATE &AOk-t&AOk-\n", "a OK CREATE completed\n"},
        {"a LIST \"\" &AOk-%\n",
         "* LIST (\\HasNoChildren) \"/\" &AOk-t&AOk-\na OK LIST completed\n"},
        {"a ENABLE UTF8=ACCEPT\n", "* ENABLED UTF8=ACCEPT\na OK ENABLE completed\n"},
        {"a LIST \"\" \"\xc3\xa9*\"\n",
         "* LIST (\\HasNoChildren) \"/\" \"\xc3\xa9t\xc3\xa9\"\na OK LIST completed\n"},
        {"a RENAME A Z/Y\n", "a OK RENAME completed\n"},
        {"a RENAME none x\n", "a NO [NONEXISTENT] There is no such mailbox\n"},
        {"a RENAME Z/Y Z/Y/X\n", "a NO [CANNOT] A mailbox can't go below itself\n"},
        {"a RENAME Z/Y INBOX\n", "a NO [ALREADYEXISTS] There is a mailbox of this name\n"},
        {"a LIST \"\" Z*\n", "* LIST (\\Noselect \\HasChildren) \"/\" Z\n"
                             "* LIST (\\HasChildren) \"/\" Z/Y\n"
                             "* LIST (\\Noselect \\HasChildren) \"/\" Z/Y/B\n"
                             "* LIST (\\HasNoChildren) \"/\" Z/Y/B/C\na OK LIST completed\n"},
        {"a DELETE Z/Y\n", "a OK DELETE completed\n"},
        {"a DELETE Z/Y\n", "a NO [NONEXISTENT] There is no such mailbox\n"},
        {"a DELETE INBOX\n", "a NO [CANNOT] The INBOX stays\n"},
        {"a LIST \"\" Z/%/B*\n", "* LIST (\\Noselect \\HasChildren) \"/\" Z/Y/B\n"
                                 "* LIST (\\HasNoChildren) \"/\" Z/Y/B/C\na OK LIST completed\n"},
        {"a SUBSCRIBE a//b\n", "a NO [CANNOT] No mailbox can have this name\n"},
        {"a UNSUBSCRIBE none\n", "a OK UNSUBSCRIBE completed\n"},
        {NULL, NULL}};
    imap_rig_play("create-delete-rename", turns);
}

/* What is selected goes, by the session itself. */
static void test_selected(void)
{
    static const struct imap_turn turns[] = {
        {"!a CREATE A\n", ""},
        {"!a CREATE B\n", ""},
        {"a EXAMINE A\n", "* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft)\n"
                          "* OK [PERMANENTFLAGS ()] Flags that stay\n"
                          "* 0 EXISTS\n* 0 RECENT\n* OK [UIDVALIDITY ~] UIDs are valid\n"
                          "* OK [UIDNEXT 1] Predicted next UID\n* OK [HIGHESTMODSEQ ~] Highest\n"
                          "a OK [READ-ONLY] EXAMINE completed\n"},
        {"a DELETE A\n", "* OK [CLOSED] The selected mailbox is no more\na OK DELETE completed\n"},
        {"a CHECK\n", "a BAD Select a mailbox first\n"},
        {NULL, NULL}};
    imap_rig_play("selected", turns);
}

static void test_status(void)
{
    static const struct imap_turn turns[] = {
        {"!a APPEND INBOX (\\Seen) {17+}\nSubject: 1\n\nx\n\n", ""},
        {"!a APPEND INBOX (\\Deleted) {17+}\nSubject: 2\n\nx\n\n", ""},
        {"a STATUS inbox (MESSAGES UIDNEXT UIDVALIDITY UNSEEN DELETED SIZE RECENT)\n",
         "* STATUS INBOX (MESSAGES 2 UIDNEXT 3 UIDVALIDITY ~ UNSEEN 1 DELETED 1 SIZE 34 RECENT 0)\n"
         "a OK STATUS completed\n"},
        {"a STATUS INBOX (HIGHESTMODSEQ)\n",
         "* STATUS INBOX (HIGHESTMODSEQ ~)\na OK STATUS completed\n"},
        {"a STATUS INBOX (APPENDLIMIT)\n",
         "* STATUS INBOX (APPENDLIMIT ~)\na OK STATUS completed\n"},
        {"a STATUS INBOX (DELETED-STORAGE)\n",
         "* STATUS INBOX (DELETED-STORAGE 17)\na OK STATUS completed\n"},
        {"a STATUS none (MESSAGES)\n", "a NO [NONEXISTENT] There is no such mailbox\n"},
        {"a STATUS INBOX ()\n", "a BAD Wrong arguments of STATUS\n"},
        {"a STATUS INBOX (XYZZY)\n", "a BAD Wrong arguments of STATUS\n"},
        {"a STATUS INBOX MESSAGES\n", "a BAD Wrong arguments of STATUS\n"},
        {NULL, NULL}};
    imap_rig_play("status", turns);
}

static void test_quota(void)
{
    static const struct imap_turn none[] = {
        {"a GETQUOTAROOT INBOX\n", "* QUOTAROOT INBOX\na OK GETQUOTAROOT completed\n"},
        {"a GETQUOTA \"\"\n", "a NO [NONEXISTENT] There is no such quota root\n"},
        {"a SETQUOTA \"\" (STORAGE 10)\n", "a NO [NOPERM] Only the operator sets quotas\n"},
        {"a SETQUOTA \"\" (STORAGE)\n", "a BAD Wrong arguments of SETQUOTA\n"},
        {NULL, NULL}};
    static const struct imap_turn some[] = {
        {"a APPEND INBOX {17+}\nSubject: 1\n\nx\n\n",
         "* 1 EXISTS\na OK [APPENDUID ~ 1] APPEND completed\n"},
        {"a GETQUOTAROOT Work\n", "* QUOTAROOT Work \"\"\n* QUOTA \"\" (STORAGE 1 3 MESSAGE 1 2)\n"
                                  "a OK GETQUOTAROOT completed\n"},
        {"a GETQUOTA \"\"\n", "* QUOTA \"\" (STORAGE 1 3 MESSAGE 1 2)\na OK GETQUOTA completed\n"},
        {"a GETQUOTA x\n", "a NO [NONEXISTENT] There is no such quota root\n"},
        {NULL, NULL}};
    announced("QUOTA");
    imap_rig_play("quota of none", none);
    pn_store_quota_default(imap_rig_store(), 2500, 2);
    struct imap_rig rig;
    imap_rig_init(&rig);
    for (const struct imap_turn *t = some + 1; t->say != NULL; t++) {
        if (t == some + 1) {
            imap_rig_say(&rig, "a APPEND INBOX {17+}\nSubject: 1\n\nx\n\n");
            imap_rig_want(&rig, "a OK [APPENDUID ~ 1] APPEND completed\n");
        }
        imap_rig_say(&rig, t->say);
        imap_rig_want(&rig, t->want);
    }
    imap_rig_say(&rig, "a APPEND INBOX {17+}\nSubject: 2\n\nx\n\n");
    imap_rig_want(&rig, "a OK [APPENDUID ~ 2] APPEND completed\n");
    imap_rig_say(&rig, "a APPEND INBOX {17+}\nSubject: 3\n\nx\n\n");
    imap_rig_want(&rig, "a NO [OVERQUOTA] The quota leaves no room\n");
    imap_rig_fini(&rig);
    pn_store_quota_default(imap_rig_store(), 0, 0);
}

static void test_children(void)
{
    static const struct imap_turn turns[] = {
        MAKE_SOME,
        {"a LIST \"\" (Work Bin) RETURN (CHILDREN)\n",
         "* LIST (\\HasNoChildren \\Trash) \"/\" Bin\n"
         "* LIST (\\HasChildren) \"/\" Work\na OK LIST completed\n"},
        {"!a DELETE Work/Old\n", ""},
        {"a LIST \"\" Work RETURN (CHILDREN)\n",
         "* LIST (\\HasNoChildren) \"/\" Work\na OK LIST completed\n"},
        {NULL, NULL}};
    announced("CHILDREN");
    imap_rig_play("CHILDREN", turns);
}

static void test_create_special_use(void)
{
    static const struct imap_turn turns[] = {
        {"a CREATE Sent (USE (\\Sent))\n", "a OK CREATE completed\n"},
        {"a CREATE Sent2 (USE (\\sent))\n",
         "a NO [USEATTR] A mailbox for that use is there, or can't be\n"},
        {"a CREATE All (USE (\\All))\n", "a NO [USEATTR] No mailbox can be made for that use\n"},
        {"a CREATE Two (USE (\\Drafts \\Junk))\n",
         "a NO [USEATTR] No mailbox can be made for that use\n"},
        {"a CREATE None (USE ())\n", "a OK CREATE completed\n"},
        {"a CREATE Bad (USE \\Sent)\n", "a BAD Wrong arguments of CREATE\n"},
        {NULL, NULL}};
    announced("CREATE-SPECIAL-USE");
    imap_rig_play("CREATE-SPECIAL-USE", turns);
}

static void test_status_size(void)
{
    static const struct imap_turn turns[] = {
        {"a STATUS INBOX (SIZE)\n", "* STATUS INBOX (SIZE 0)\na OK STATUS completed\n"},
        {"!a APPEND INBOX {17+}\nSubject: 1\n\nx\n\n", ""},
        {"!a APPEND INBOX {17+}\nSubject: 2\n\nx\n\n", ""},
        {"a STATUS INBOX (SIZE)\n", "* STATUS INBOX (SIZE 34)\na OK STATUS completed\n"},
        {NULL, NULL}};
    announced("STATUS=SIZE");
    imap_rig_play("STATUS=SIZE", turns);
}

static void test_namespace(void)
{
    static const struct imap_turn turns[] = {
        {"a NAMESPACE\n", "* NAMESPACE ((\"\" \"/\")) NIL NIL\na OK NAMESPACE completed\n"},
        {"a NAMESPACE x\n", "a BAD Wrong arguments of NAMESPACE\n"},
        {NULL, NULL}};
    announced("NAMESPACE");
    imap_rig_play("NAMESPACE", turns);
}

/* One resource alone is limited: it alone is told, and it alone refuses. */
static void one_resource(const char *word, uint64_t bytes, uint64_t count, const char *told)
{
    struct imap_rig rig;
    announced(word);
    pn_store_quota_default(imap_rig_store(), bytes, count);
    imap_rig_init(&rig);
    imap_rig_say(&rig, "a APPEND INBOX {17+}\nSubject: 1\n\nx\n\n");
    imap_rig_want(&rig, "a OK [APPENDUID ~ 1] APPEND completed\n");
    imap_rig_say(&rig, "a GETQUOTA \"\"\n");
    imap_rig_want(&rig, told);
    imap_rig_say(&rig, "a APPEND INBOX {1100+}\nSubject: 2\n\n");
    for (int i = 0; i < 1086; i++)
        imap_rig_feed(&rig, PN_STR("x"));
    imap_rig_say(&rig, "\n");
    imap_rig_want(&rig, "a NO [OVERQUOTA] The quota leaves no room\n");
    imap_rig_fini(&rig);
    pn_store_quota_default(imap_rig_store(), 0, 0);
}

static void test_quota_storage(void)
{
    one_resource("QUOTA=RES-STORAGE", 1024, 0,
                 "* QUOTA \"\" (STORAGE 1 1)\na OK GETQUOTA completed\n");
}

static void test_quota_message(void)
{
    one_resource("QUOTA=RES-MESSAGE", 0, 1,
                 "* QUOTA \"\" (MESSAGE 1 1)\na OK GETQUOTA completed\n");
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"list", test_list},
                                             {"LIST-EXTENDED", test_list_extended},
                                             {"LIST-STATUS", test_list_status},
                                             {"SPECIAL-USE", test_special_use},
                                             {"create_delete_rename", test_create_delete_rename},
                                             {"selected", test_selected},
                                             {"status", test_status},
                                             {"QUOTA", test_quota},
                                             {"CHILDREN", test_children},
                                             {"CREATE-SPECIAL-USE", test_create_special_use},
                                             {"STATUS=SIZE", test_status_size},
                                             {"NAMESPACE", test_namespace},
                                             {"QUOTA=RES-STORAGE", test_quota_storage},
                                             {"QUOTA=RES-MESSAGE", test_quota_message},
                                             {NULL, NULL}};
    imap_store_begin();
    int status = unit_main("imap_folders", tests, argc, argv);
    imap_store_end();
    return status;
}
