/* What IMAP4rev2 has otherwise than IMAP4rev1, as RFC 9051, appendix E, numbers it, as far as it
 * can be seen in answers and is no capability's own test. */
#include "imap_rig.h"
#include "unit.h"

#define ON                                                                                         \
    {                                                                                              \
        "a ENABLE IMAP4rev2\n", "* ENABLED IMAP4rev2\na OK ENABLE completed\n"                     \
    }
#define ONE                                                                                        \
    {                                                                                              \
        "!x APPEND INBOX {22+}\nSubject: One\n\nx\ny\n\n", ""                                      \
    }
#define KNOWN "\\Seen \\Answered \\Flagged \\Deleted \\Draft"
#define TOLD(messages, list, next)                                                                 \
    "* FLAGS (" KNOWN ")\n* OK [PERMANENTFLAGS (" KNOWN " \\*)] Flags that stay\n* " #messages     \
    " EXISTS\n* LIST () \"/\" " list "\n* OK [UIDVALIDITY ~] UIDs are valid\n* OK [UIDNEXT " #next \
    "] Predicted next UID\n* OK [HIGHESTMODSEQ ~] Highest\n"
#define SELECT                                                                                     \
    {                                                                                              \
        "b SELECT INBOX\n", TOLD(1, "INBOX", 2) "b OK [READ-WRITE] SELECT completed\n"             \
    }
#define END                                                                                        \
    {                                                                                              \
        NULL, NULL                                                                                 \
    }

/* 1: numbers of more than 32 bits */
static void test_sizes(void)
{
    static const struct imap_turn turns[] = {
        ON,
        ONE,
        SELECT,
        {"c FETCH 1 BODY.PEEK[]<4294967296.8589934592>\n",
         "* 1 FETCH (BODY[]<4294967296> {0}\n)\nc OK FETCH completed\n"},
        {"c FETCH 1 BINARY.PEEK[1]<0.9223372036854775807>\n",
         "* 1 FETCH (BINARY[1]<0> ~{6}\nx\ny\n)\nc OK FETCH completed\n"},
        {"d SEARCH LARGER 4294967296\n", "* ESEARCH (TAG \"d\")\nd OK SEARCH completed\n"},
        {"e SEARCH SMALLER 9223372036854775807\n",
         "* ESEARCH (TAG \"e\") ALL 1\ne OK SEARCH completed\n"},
        END,
    };
    imap_rig_play("sizes", turns);
}

/* 3: SIZE and DELETED; 12: RECENT is there for those who ask */
static void test_status(void)
{
    static const struct imap_turn turns[] = {
        ON,
        ONE,
        {"b STATUS INBOX (MESSAGES UIDNEXT SIZE DELETED)\n",
         "* STATUS INBOX (MESSAGES 1 UIDNEXT 2 DELETED 0 SIZE 22)\nb OK STATUS completed\n"},
        {"c STATUS INBOX (RECENT)\n", "* STATUS INBOX (RECENT 0)\nc OK STATUS completed\n"},
        END,
    };
    imap_rig_play("STATUS", turns);
}

/* 4: ESEARCH always, and with the options that are asked for */
static void test_search(void)
{
    static const struct imap_turn turns[] = {
        ON,
        ONE,
        SELECT,
        {"c UID SEARCH 1\n", "* ESEARCH (TAG \"c\") UID ALL 1\nc OK UID SEARCH completed\n"},
        {"d SEARCH RETURN (MIN COUNT) ALL\n",
         "* ESEARCH (TAG \"d\") MIN 1 COUNT 1\nd OK SEARCH completed\n"},
        {"e SEARCH RETURN () SEEN\n", "* ESEARCH (TAG \"e\")\ne OK SEARCH completed\n"},
        {"f SEARCH CHARSET UTF-8 SUBJECT one\n",
         "* ESEARCH (TAG \"f\") ALL 1\nf OK SEARCH completed\n"},
        {"g SEARCH RETURN (SAVE) ALL\nh FETCH $ UID\n",
         "g OK SEARCH completed\n* 1 FETCH (UID 1)\nh OK FETCH completed\n"},
        END,
    };
    imap_rig_play("SEARCH", turns);
}

/* SEARCH's charset is refused with those that are known, in either revision. */
static void test_badcharset(void)
{
    static const char *const first[] = {"", "a ENABLE IMAP4rev2\n"};
    for (size_t i = 0; i < 2; i++) {
        struct imap_rig rig;
        imap_rig_init(&rig);
        imap_rig_say(&rig, first[i]);
        imap_rig_say(&rig, "b SELECT INBOX\n");
        pn_buf_clear(&rig.out);
        imap_rig_say(&rig, "c SEARCH CHARSET X-NONE ALL\n");
        UNIT_TRUE(pn_str_starts(pn_buf_str(&rig.out),
                                PN_STR("c NO [BADCHARSET (US-ASCII UTF-8 ISO-8859-1 ")));
        imap_rig_fini(&rig);
    }
}

/* 8: no COPY, MOVE or APPEND makes a mailbox */
static void test_trycreate(void)
{
    static const struct imap_turn turns[] = {
        ON,
        ONE,
        SELECT,
        {"c COPY 1 None\n", "c NO [TRYCREATE] There is no such mailbox\n"},
        {"c UID COPY 1 None\n", "c NO [TRYCREATE] There is no such mailbox\n"},
        {"c MOVE 1 None\n", "c NO [TRYCREATE] There is no such mailbox\n"},
        {"c UID MOVE 1 None\n", "c NO [TRYCREATE] There is no such mailbox\n"},
        {"c APPEND None {8+}\nA: b\n\n\n", "c NO [TRYCREATE] There is no such mailbox\n"},
        {"d LIST \"\" None\n", "d OK LIST completed\n"},
        {"e CREATE Here\nf UID MOVE 1 Here\n",
         "e OK CREATE completed\n* OK [COPYUID ~ 1 1] Done\n* 1 EXPUNGE\nf OK UID MOVE "
         "completed\n"},
        END,
    };
    imap_rig_play("TRYCREATE", turns);
}

/* 9, 10, 11, 12: CLOSED where another was selected, LIST, neither UNSEEN nor RECENT */
static void test_select(void)
{
    static const struct imap_turn turns[] = {
        ON,
        ONE,
        SELECT,
        {"c SELECT inbox\n", "* OK [CLOSED] Previous mailbox closed\n" TOLD(
                                 1, "INBOX", 2) "c OK [READ-WRITE] SELECT completed\n"},
        {"d EXAMINE None\n", "* OK [CLOSED] Previous mailbox closed\n"
                             "d NO [NONEXISTENT] There is no such mailbox\n"},
        {"e SELECT INBOX\n", TOLD(1, "INBOX", 2) "e OK [READ-WRITE] SELECT completed\n"},
        {"f UNSELECT\ng SELECT INBOX\n",
         "f OK UNSELECT completed\n" TOLD(1, "INBOX", 2) "g OK [READ-WRITE] SELECT completed\n"},
        {"h SEARCH NEW\n", "* ESEARCH (TAG \"h\")\nh OK SEARCH completed\n"},
        END,
    };
    imap_rig_play("SELECT", turns);
}

/* Another spelling of a name is told of, as it is to be used from now on (6.3.9.7); INBOX has none.
 */
static void test_oldname(void)
{
    static const struct imap_turn turns[] = {
        ON,
        {"b CREATE inbox/Sub\n",
         "* LIST () \"/\" INBOX/Sub (\"OLDNAME\" (inbox/Sub))\nb OK CREATE completed\n"},
        {"c CREATE inbox/Sub/Deep/\n",
         "* LIST () \"/\" INBOX/Sub/Deep (\"OLDNAME\" (inbox/Sub/Deep/))\nc OK CREATE completed\n"},
        {"c DELETE INBOX/Sub/Deep\n", "c OK DELETE completed\n"},
        {"c CREATE INBOX/Other/\n", "c OK CREATE completed\n"},
        {"d SELECT Inbox/Sub\n",
         TOLD(0, "INBOX/Sub (\"OLDNAME\" (Inbox/Sub))", 1) "d OK [READ-WRITE] SELECT completed\n"},
        {"e STATUS inBOX/Sub (MESSAGES)\n",
         "* STATUS INBOX/Sub (MESSAGES 0)\ne OK STATUS completed\n"},
        {"f DELETE inbox/Sub\n",
         "* OK [CLOSED] The selected mailbox is no more\nf OK DELETE completed\n"},
        {"g SELECT INBOX/Other\n",
         TOLD(0, "INBOX/Other", 1) "g OK [READ-WRITE] SELECT completed\n"},
        {"h RENAME inbox/Other Elsewhere\n",
         "* OK [CLOSED] The selected mailbox is no more\nh OK RENAME completed\n"},
        END,
    };
    imap_rig_play("OLDNAME", turns);
}

/* Who did not ENABLE it hears of no other spelling. */
static void test_no_oldname(void)
{
    static const struct imap_turn turns[] = {
        {"b CREATE inbox/Sub\n", "b OK CREATE completed\n"},
        {"c LIST \"\" inbox/*\n",
         "* LIST (\\HasNoChildren) \"/\" INBOX/Sub\nc OK LIST completed\n"},
        END,
    };
    imap_rig_play("no OLDNAME", turns);
}

/* 15: keywords that many use */
static void test_keywords(void)
{
    static const struct imap_turn turns[] = {
        ON,
        {"b APPEND INBOX ($MDNSent $Forwarded $Junk $NotJunk $Phishing) {8+}\nA: b\n\n\n",
         "b OK [APPENDUID ~ 1] APPEND completed\n"},
        {"c EXAMINE INBOX\n",
         "* FLAGS (" KNOWN " $MDNSent $Forwarded $Junk $NotJunk $Phishing)\n"
         "* OK [PERMANENTFLAGS ()] Flags that stay\n* 1 EXISTS\n* LIST () \"/\" INBOX\n"
         "* OK [UIDVALIDITY ~] UIDs are valid\n* OK [UIDNEXT 2] Predicted next UID\n"
         "* OK [HIGHESTMODSEQ ~] Highest\nc OK [READ-ONLY] EXAMINE completed\n"},
        {"d SEARCH KEYWORD $phishing\n", "* ESEARCH (TAG \"d\") ALL 1\nd OK SEARCH completed\n"},
        END,
    };
    imap_rig_play("keywords", turns);
}

/* 16: names in UTF-8, where '&' is a letter */
static void test_names(void)
{
    static const struct imap_turn turns[] = {
        ON,
        {"b CREATE \"R\xc3\xa9sum\xc3\xa9\"\nc CREATE \"A&B\"\n",
         "b OK CREATE completed\nc OK CREATE completed\n"},
        {"d LIST \"\" (R* A&*)\n", "* LIST (\\HasNoChildren) \"/\" A&B\n* LIST (\\HasNoChildren) "
                                   "\"/\" \"R\xc3\xa9sum\xc3\xa9\"\nd OK LIST completed\n"},
        {"e STATUS \"R\xc3\xa9sum\xc3\xa9\" (MESSAGES)\n",
         "* STATUS \"R\xc3\xa9sum\xc3\xa9\" (MESSAGES 0)\ne OK STATUS completed\n"},
        END,
    };
    static const struct imap_turn rev1[] = {
        {"b CREATE R&AOk-sum&AOk-\nc CREATE A&-B\n",
         "b OK CREATE completed\nc OK CREATE completed\n"},
        {"d LIST \"\" (R* A*)\n",
         "* LIST (\\HasNoChildren) \"/\" A&-B\n* LIST (\\HasNoChildren \\Archive) \"/\" Archive\n"
         "* LIST (\\HasNoChildren) \"/\" R&AOk-sum&AOk-\nd OK LIST completed\n"},
        END,
    };
    imap_rig_play("names", turns);
    imap_rig_play("names of rev1", rev1);
}

/* 17, 18, 19: what was deprecated is answered as before, for IMAP4rev1 is announced too */
static void test_deprecated(void)
{
    static const struct imap_turn turns[] = {
        ON,
        ONE,
        SELECT,
        {"c CHECK\n", "c OK CHECK completed\n"},
        {"d FETCH 1 (RFC822.SIZE RFC822.HEADER)\n",
         "* 1 FETCH (RFC822.SIZE 22 RFC822.HEADER {16}\nSubject: One\n\n)\nd OK FETCH "
         "completed\n"},
        {"e SUBSCRIBE Work/Deep\nf LSUB \"\" *\n",
         "e OK SUBSCRIBE completed\n* LSUB () \"/\" Work/Deep\nf OK LSUB completed\n"},
        {"g LIST (SUBSCRIBED) \"\" *\n",
         "* LIST (\\NonExistent \\HasNoChildren \\Subscribed) \"/\" Work/Deep\ng OK LIST "
         "completed\n"},
        END,
    };
    static const struct imap_turn rev1[] = {
        {"a SUBSCRIBE Work/Deep\nb SUBSCRIBE INBOX\n",
         "a OK SUBSCRIBE completed\nb OK SUBSCRIBE completed\n"},
        {"c LSUB \"\" *\n",
         "* LSUB () \"/\" INBOX\n* LSUB () \"/\" Work/Deep\nc OK LSUB completed\n"},
        {"d LSUB \"\" %\n", "* LSUB () \"/\" INBOX\n* LSUB (\\Noselect) \"/\" Work\n"
                            "d OK LSUB completed\n"},
        {"e UNSUBSCRIBE INBOX\nf LSUB Work/ *\n",
         "e OK UNSUBSCRIBE completed\n* LSUB () \"/\" Work/Deep\nf OK LSUB completed\n"},
        END,
    };
    imap_rig_play("deprecated", turns);
    imap_rig_play("LSUB of rev1", rev1);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"sizes", test_sizes},           {"STATUS", test_status},
        {"SEARCH", test_search},         {"BADCHARSET", test_badcharset},
        {"TRYCREATE", test_trycreate},   {"SELECT", test_select},
        {"OLDNAME", test_oldname},       {"no OLDNAME", test_no_oldname},
        {"keywords", test_keywords},     {"names", test_names},
        {"deprecated", test_deprecated}, {NULL, NULL},
    };
    return unit_main("imap_rev2", tests, argc, argv);
}
