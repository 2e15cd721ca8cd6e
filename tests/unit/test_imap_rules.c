/* What RFC 9051 and the extensions want at their edges, a dialogue a rule; on the
 * store on disk. */
#include "imap_rig.h"
#include "unit.h"

#include <stdio.h>

#define KNOWN                                                                                      \
    "* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft)\n"                                    \
    "* OK [PERMANENTFLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft \\*)] Flags that stay\n"
#define VALID(next)                                                                                \
    "* OK [UIDVALIDITY ~] UIDs are valid\n* OK [UIDNEXT " #next "] Predicted next UID\n"           \
    "* OK [HIGHESTMODSEQ ~] Highest\n"
#define MAILS                                                                                      \
    {                                                                                              \
        "!x APPEND INBOX {8+}\nA: 1\n\n {8+}\nA: 2\n\n {8+}\nA: 3\n\n\n", ""                       \
    }
#define SELECT                                                                                     \
    {                                                                                              \
        "a SELECT INBOX\n", KNOWN "* 3 EXISTS\n* 0 RECENT\n* OK [UNSEEN 1] First unseen\n" VALID(  \
                                4) "a OK [READ-WRITE] SELECT completed\n"                          \
    }
#define END                                                                                        \
    {                                                                                              \
        NULL, NULL                                                                                 \
    }

/* What was wrong is shown from the last word on that could be read. */
static void test_mistakes(void)
{
    static const struct imap_turn turns[] = {
        MAILS,
        SELECT,
        {"b FETCH 99 FLAGS\n", "b BAD Wrong arguments of FETCH near \"99 FLAGS\"\n"},
        {"c FETCH 1 (FLAGS BOGUS)\n", "c BAD Wrong arguments of FETCH near \"BOGUS)\"\n"},
        {"d STATUS INBOX (BOGUS)\n", "d BAD Wrong arguments of STATUS near \"BOGUS)\"\n"},
        {"e UID SEARCH SEEN \"x\\\\\xc3\xbc\"\n",
         "e BAD Wrong arguments of UID SEARCH near \"SEEN 'x\\\\?"
         "?'\"\n"},
        {"f THREAD BOGUS UTF-8 ALL\n",
         "f BAD Wrong arguments of THREAD near \"BOGUS UTF-8 ALL\"\n"},
        {"g UID EXPUNGE\n", "g BAD Wrong arguments of UID EXPUNGE\n"},
        {"h NOOP x\n", "h BAD Wrong arguments of NOOP near \"x\"\n"},
        {"i CREATE a b c d e f g h i j k l m n o p q r s t u v w x y z\n",
         "i BAD Wrong arguments of CREATE near \"a b c d e f g h i j k l m n o p q r s t ...\"\n"},
        {"j STORE 1 FLAGS \\Seen, \\Draft\n",
         "j BAD Wrong arguments of STORE near \"\\Seen, \\Draft\"\n"},
        END,
    };
    imap_rig_play("mistakes", turns);
}

/* RFC 9051, 9: seq-number of messages that are not there is an error, UIDs are none; "*" is the
 * last. Of none it should be an error, too; but "1:*" is what clients ask without looking. */
static void test_numbers(void)
{
    static const struct imap_turn empty[] = {
        {"a SELECT INBOX\n",
         KNOWN "* 0 EXISTS\n* 0 RECENT\n" VALID(1) "a OK [READ-WRITE] SELECT completed\n"},
        {"b FETCH * UID\n", "b OK FETCH completed\n"},
        {"c FETCH 1:* UID\n", "c OK FETCH completed\n"},
        {"c FETCH 1 UID\n", "c BAD Wrong arguments of FETCH\n"},
        {"d UID FETCH * UID\n", "d OK UID FETCH completed\n"},
        {"e UID FETCH 1:* FLAGS\n", "e OK UID FETCH completed\n"},
        {"f UID STORE 1:* +FLAGS (\\Seen)\n", "f OK UID STORE completed\n"},
        {"g UID COPY 1:* Archive\n", "g OK UID COPY completed\n"},
        {"h SEARCH ALL\n", "* SEARCH\nh OK SEARCH completed\n"},
        {"i SEARCH *\n", "* SEARCH\ni OK SEARCH completed\n"},
        {"j UID SEARCH UID *\n", "* SEARCH\nj OK UID SEARCH completed\n"},
        {"k EXPUNGE\n", "k OK EXPUNGE completed\n"},
        END,
    };
    static const struct imap_turn some[] = {
        MAILS,
        SELECT,
        {"b FETCH 4 UID\n", "b BAD Wrong arguments of FETCH\n"},
        {"c FETCH 2:4 UID\n", "c BAD Wrong arguments of FETCH\n"},
        {"d FETCH *:2 UID\n", "* 2 FETCH (UID 2)\n* 3 FETCH (UID 3)\nd OK FETCH completed\n"},
        {"e UID FETCH 4:* UID\n", "* 3 FETCH (UID 3)\ne OK UID FETCH completed\n"},
        {"f UID FETCH 4,7,4294967295 UID\n", "f OK UID FETCH completed\n"},
        {"g UID FETCH 4294967296 UID\n", "g BAD Wrong arguments of UID FETCH\n"},
        {"h UID FETCH 0 UID\n", "h BAD Wrong arguments of UID FETCH\n"},
        {"i FETCH 3,1,3 UID\n", "* 1 FETCH (UID 1)\n* 3 FETCH (UID 3)\ni OK FETCH completed\n"},
        {"j STORE 4 +FLAGS (\\Seen)\n", "j BAD Wrong arguments of STORE\n"},
        {"k COPY 4 Archive\n", "k BAD Wrong arguments of COPY\n"},
        END,
    };
    imap_rig_play("no messages", empty);
    imap_rig_play("some messages", some);
}

/* RFC 3501, 6.3.10: of the selected mailbox, too; it tells no session of anything. */
static void test_status(void)
{
    static const struct imap_turn turns[] = {
        MAILS,
        SELECT,
        {"!y APPEND INBOX {8+}\nA: 4\n\n\n", ""},
        {"b STATUS INBOX (MESSAGES UIDNEXT UNSEEN SIZE DELETED)\n",
         "* STATUS INBOX (MESSAGES 4 UIDNEXT 5 UNSEEN 4 DELETED 0 SIZE 32)\n* 4 EXISTS\n* 0 "
         "RECENT\n"
         "b OK STATUS completed\n"},
        {"c STATUS INBOX (MESSAGES)\n", "* STATUS INBOX (MESSAGES 4)\nc OK STATUS completed\n"},
        END,
    };
    imap_rig_play("STATUS of what is selected", turns);
    /* RFC 8438: not less than the messages are together, as this session sees them. */
    static const struct imap_turn grown[] = {
        {"!y APPEND INBOX {15+}\nSubject: \xc3\xa9\n\n\n", ""},
        {"a STATUS INBOX (SIZE)\n", "* STATUS INBOX (SIZE 29)\na OK STATUS completed\n"},
        {"b EXAMINE INBOX\nc FETCH 1 RFC822.SIZE\n",
         "* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft)\n"
         "* OK [PERMANENTFLAGS ()] Flags that stay\n"
         "* 1 EXISTS\n* 0 RECENT\n* OK [UNSEEN 1] First unseen\n" VALID(
             2) "b OK [READ-ONLY] EXAMINE completed\n* 1 FETCH (RFC822.SIZE 29)\nc OK FETCH "
                "completed\n"},
        END,
    };
    imap_rig_play("SIZE of a surrogate", grown);
}

/* RFC 9051, 7.1: CLOSED parts what is of the old mailbox from what is of the new. */
static void test_closed(void)
{
    static const struct imap_turn turns[] = {
        {"a ENABLE IMAP4rev2\n", "* ENABLED IMAP4rev2\na OK ENABLE completed\n"},
        {"b SELECT INBOX\n", KNOWN
         "* 0 EXISTS\n* LIST () \"/\" INBOX\n" VALID(1) "b OK [READ-WRITE] SELECT completed\n"},
        {"!y APPEND INBOX {8+}\nA: 4\n\n\n", ""},
        {"c EXAMINE Archive\n",
         "* OK [CLOSED] Previous mailbox closed\n"
         "* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft)\n"
         "* OK [PERMANENTFLAGS ()] Flags that stay\n* 0 EXISTS\n* LIST () \"/\" Archive\n" VALID(
             1) "c OK [READ-ONLY] EXAMINE completed\n"},
        {"d SELECT Nowhere\n",
         "* OK [CLOSED] Previous mailbox closed\nd NO [NONEXISTENT] There is no such mailbox\n"},
        {"e FETCH 1 UID\n", "e BAD Select a mailbox first\n"},
        END,
    };
    imap_rig_play("CLOSED", turns);
}

/* RFC 5161, 3.1: unknown words are passed over. */
static void test_enable(void)
{
    static const struct imap_turn turns[] = {
        {"a ENABLE X-NO condstore QRESYNC\n",
         "* ENABLED CONDSTORE QRESYNC\na OK ENABLE completed\n"},
        {"b ENABLE QRESYNC\n", "* ENABLED QRESYNC\nb OK ENABLE completed\n"},
        {"c ENABLE X-NO\n", "* ENABLED\nc OK ENABLE completed\n"},
        {"d ENABLE\n", "d BAD Wrong arguments of ENABLE\n"},
        {"e ENABLE UTF8=ACCEPT IMAP4rev2\n",
         "* ENABLED UTF8=ACCEPT IMAP4rev2\ne OK ENABLE completed\n"},
        {"f ENABLE UTF8=ONLY IDLE\n", "* ENABLED\nf OK ENABLE completed\n"},
        {"g UNAUTHENTICATE\n", "g BAD Unknown command\n"},
        END,
    };
    imap_rig_play("ENABLE", turns);
}

/* RFC 2177: what waits is told at its beginning; what comes while it is on, too. */
static void test_idle(void)
{
    static const struct imap_turn turns[] = {
        MAILS,
        SELECT,
        {"!y SELECT INBOX\nz STORE 1 +FLAGS (\\Deleted)\n", ""},
        {"!w EXPUNGE\nv APPEND INBOX {8+}\nA: 4\n\n\n", ""},
        {"b IDLE\n", "+ idling\n* 1 EXPUNGE\n* 3 EXISTS\n* 0 RECENT\n"},
        {"DONE\n", "b OK IDLE completed\n"},
        {"c IDLE\nx\n", "+ idling\nc BAD DONE is wanted\n"},
        {"d FETCH 1:* UID\n",
         "* 1 FETCH (UID 2)\n* 2 FETCH (UID 3)\n* 3 FETCH (UID 4)\nd OK FETCH completed\n"},
        END,
    };
    imap_rig_play("IDLE", turns);
}

/* RFC 5182, 2.1: what is expunged goes out of the saved result. */
static void test_saved(void)
{
    static const struct imap_turn turns[] = {
        MAILS,
        SELECT,
        {"b SEARCH RETURN (SAVE) ALL\n", "b OK SEARCH completed\n"},
        {"c STORE 2 +FLAGS.SILENT (\\Deleted)\nd EXPUNGE\n",
         "c OK STORE completed\n* 2 EXPUNGE\nd OK EXPUNGE completed\n"},
        {"e FETCH $ UID\n", "* 1 FETCH (UID 1)\n* 2 FETCH (UID 3)\ne OK FETCH completed\n"},
        {"f UID FETCH $ UID\n", "* 1 FETCH (UID 1)\n* 2 FETCH (UID 3)\nf OK UID FETCH completed\n"},
        {"g SEARCH RETURN (COUNT) $\n", "* ESEARCH (TAG \"g\") COUNT 2\ng OK SEARCH completed\n"},
        {"h STORE $ +FLAGS.SILENT (\\Deleted)\ni EXPUNGE\nj FETCH $ UID\n",
         "h OK STORE completed\n* 2 EXPUNGE\n* 1 EXPUNGE\ni OK EXPUNGE completed\n"
         "j OK FETCH completed\n"},
        {"k SEARCH RETURN (SAVE) ALL\nl UID COPY $ Archive\n",
         "k OK SEARCH completed\nl OK UID COPY completed\n"},
        END,
    };
    imap_rig_play("a saved result", turns);
}

/* RFC 7162, 3.1.3: what fails is named, the rest is done. */
static void test_unchangedsince(void)
{
    struct imap_rig rig;
    char say[200];
    static const struct imap_turn turns[] = {
        MAILS,
        SELECT,
        {"b STORE 1:3 (UNCHANGEDSINCE 0) +FLAGS (\\Seen)\n",
         "* OK [HIGHESTMODSEQ ~] CONDSTORE is on\n"
         "b OK [MODIFIED 1:3] Some were changed by others\n"},
        {"c UID STORE 2:3 (UNCHANGEDSINCE 0) FLAGS ()\n",
         "c OK [MODIFIED 2:3] Some were changed by others\n"},
        END,
    };
    imap_rig_play("UNCHANGEDSINCE", turns);
    imap_rig_init(&rig);
    imap_rig_other(&rig, "x APPEND INBOX {8+}\nA: 1\n\n {8+}\nA: 2\n\n {8+}\nA: 3\n\n\n");
    imap_rig_say(&rig, "a SELECT INBOX (CONDSTORE)\n");
    const char *highest = strstr(pn_buf_cstr(&rig.out), "HIGHESTMODSEQ ");
    UNIT_TRUE(highest != NULL);
    (void)snprintf(say, sizeof say,
                   "b STORE 1:3 (UNCHANGEDSINCE %.*s) +FLAGS.SILENT (\\Seen)\nc FETCH 1:* FLAGS\n",
                   (int)strcspn(highest + 14, "]"), highest + 14);
    pn_buf_clear(&rig.out);
    imap_rig_other(&rig, "x SELECT INBOX\ny STORE 2 +FLAGS.SILENT (\\Answered)\n");
    imap_rig_say(&rig, say);
    imap_rig_want(&rig, "* 2 FETCH (FLAGS (\\Answered) MODSEQ (~))\n* 1 FETCH (UID 1 MODSEQ (~))\n"
                        "* 3 FETCH (UID 3 MODSEQ (~))\n"
                        "b OK [MODIFIED 2] Some were changed by others\n"
                        "* 1 FETCH (FLAGS (\\Seen))\n* 2 FETCH (FLAGS (\\Answered))\n"
                        "* 3 FETCH (FLAGS (\\Seen))\nc OK FETCH completed\n");
    imap_rig_fini(&rig);
}

/* A message with a NUL is none (RFC 9051, 4.3.1 has none in a literal; RFC 3516, 4.4). */
static void test_nul(void)
{
    static const struct {
        const char *label, *front, *want;
    } rows[] = {
        {"literal", "a APPEND INBOX {8+}\r\n",
         "a NO [CANNOT] No message with a NUL can be stored\n"},
        {"literal8", "a APPEND INBOX ~{8+}\r\n",
         "a NO [UNKNOWN-CTE] No message with a NUL can be stored\n"},
        {"the second", "a APPEND INBOX {8+}\r\nA: 1\r\n\r\n {8+}\r\n",
         "a NO [CANNOT] No message with a NUL can be stored\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct imap_rig rig;
        unit_row(rows[i].label);
        imap_rig_init(&rig);
        imap_rig_feed(&rig, pn_str_of(rows[i].front));
        imap_rig_feed(&rig, (struct pn_str){"A: b\r\n\0x\r\nb STATUS INBOX (MESSAGES)\r\n", 37});
        struct pn_buf want;
        pn_buf_init(&want, 1000);
        (void)pn_buf_addf(&want, "%s* STATUS INBOX (MESSAGES 0)\nb OK STATUS completed\n",
                          rows[i].want);
        imap_rig_want(&rig, pn_buf_cstr(&want));
        pn_buf_fini(&want);
        imap_rig_fini(&rig);
    }
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"mistakes", test_mistakes}, {"numbers", test_numbers},
        {"STATUS", test_status},     {"CLOSED", test_closed},
        {"ENABLE", test_enable},     {"IDLE", test_idle},
        {"saved", test_saved},       {"UNCHANGEDSINCE", test_unchangedsince},
        {"NUL", test_nul},           {NULL, NULL},
    };
    return unit_main("imap_rules", tests, argc, argv);
}
