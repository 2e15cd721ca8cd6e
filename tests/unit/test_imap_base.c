/* Dialogues of the base protocol: RFC 3501 and 9051. */
#include "imap_rig.h"
#include "unit.h"

#define MAIL1                                                                                      \
    "From: Ann <ann@a.test>\nTo: bob@b.test\nSubject: One\nMessage-ID: <1@a.test>\n"               \
    "Date: Tue, 14 Nov 2023 22:13:20 +0000\n\nHello\nBob\n"
#define APPEND1 "!x APPEND INBOX (\\Seen) \"14-Nov-2023 22:13:20 +0000\" {131+}\n" MAIL1 "\n"
#define APPEND2 "!x APPEND INBOX \" 1-Feb-2023 01:02:03 +0100\" {22+}\nSubject: Two\n\nx\ny\n\n"
#define SELECT                                                                                     \
    "a SELECT INBOX\n", "* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft)\n"                \
                        "* OK [PERMANENTFLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft "     \
                        "\\*)] Flags that stay\n"                                                  \
                        "* 2 EXISTS\n* 0 RECENT\n* OK [UNSEEN 2] First unseen\n"                   \
                        "* OK [UIDVALIDITY ~] UIDs are valid\n* OK [UIDNEXT 3] Predicted next "    \
                        "UID\n* OK [HIGHESTMODSEQ ~] Highest\n"                                    \
                        "a OK [READ-WRITE] SELECT completed\n"
#define ENVELOPE1                                                                                  \
    "ENVELOPE (\"Tue, 14 Nov 2023 22:13:20 +0000\" \"One\" ((\"Ann\" NIL \"ann\" \"a.test\")) "    \
    "((\"Ann\" NIL \"ann\" \"a.test\")) ((\"Ann\" NIL \"ann\" \"a.test\")) "                       \
    "((NIL NIL \"bob\" \"b.test\")) NIL NIL NIL \"<1@a.test>\")"

static void test_session(void)
{
    static const struct imap_turn turns[] = {
        {"a NOOP\n", "a OK NOOP completed\n"},
        {"b noop\nc Check\n", "b OK NOOP completed\nc BAD Select a mailbox first\n"},
        {"\n", "* BAD A tag and a command are wanted\n"},
        {"x\n", "* BAD A tag and a command are wanted\n"},
        {"d XYZZY\n", "d BAD Unknown command\n"},
        {"d UID NOOP\n", "d BAD Unknown command\n"},
        {"d UID\n", "d BAD Unknown command\n"},
        {"d NOOP 1\n", "d BAD Wrong arguments of NOOP\n"},
        {"d NOOP {3}\nabc\n", "+ Go on\nd BAD Wrong arguments of NOOP\n"},
        {"d SELECT\n", "d BAD Wrong arguments of SELECT\n"},
        {"e LOGIN a b\n", "e BAD You are logged in\n"},
        {"e STARTTLS\n", "e BAD You are logged in\n"},
        {"e FETCH 1 FLAGS\n", "e BAD Select a mailbox first\n"},
        {"f LOGOUT\ng NOOP\n", "* BYE Until next time\nf OK LOGOUT completed\n"},
        {NULL, NULL},
    };
    imap_rig_play("session", turns);
}

static void test_select(void)
{
    static const struct imap_turn turns[] = {
        {APPEND1, ""},
        {APPEND2, ""},
        {SELECT},
        {"b SELECT {5}\nINBOX\n",
         "+ Go on\n* OK [CLOSED] Previous mailbox closed\n* FLAGS (\\Seen \\Answered \\Flagged "
         "\\Deleted \\Draft)\n"
         "* OK [PERMANENTFLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft \\*)] Flags that "
         "stay\n* 2 EXISTS\n* 0 RECENT\n* OK [UNSEEN 2] First unseen\n"
         "* OK [UIDVALIDITY ~] UIDs are valid\n* OK [UIDNEXT 3] Predicted next UID\n"
         "* OK [HIGHESTMODSEQ ~] Highest\nb OK [READ-WRITE] SELECT completed\n"},
        {"c SELECT Nowhere\n",
         "* OK [CLOSED] Previous mailbox closed\nc NO [NONEXISTENT] There is no such mailbox\n"},
        {"d FETCH 1 UID\n", "d BAD Select a mailbox first\n"},
        {"e EXAMINE \"inbox\"\n",
         "* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft)\n* OK [PERMANENTFLAGS ()] Flags "
         "that stay\n* 2 EXISTS\n* 0 RECENT\n* OK [UNSEEN 2] First unseen\n"
         "* OK [UIDVALIDITY ~] UIDs are valid\n* OK [UIDNEXT 3] Predicted next UID\n"
         "* OK [HIGHESTMODSEQ ~] Highest\ne OK [READ-ONLY] EXAMINE completed\n"},
        {"f STORE 1 +FLAGS (\\Deleted)\n",
         "f NO [READ-ONLY] The mailbox was opened with EXAMINE\n"},
        {"g EXPUNGE\n", "g NO [READ-ONLY] The mailbox was opened with EXAMINE\n"},
        {"h FETCH 2 BODY[TEXT]\n", "* 2 FETCH (BODY[TEXT] {6}\nx\ny\n)\nh OK FETCH completed\n"},
        {"i FETCH 2 FLAGS\n", "* 2 FETCH (FLAGS ())\ni OK FETCH completed\n"},
        {"j CLOSE\n", "j OK CLOSE completed\n"},
        {"k CLOSE\n", "k BAD Select a mailbox first\n"},
        {NULL, NULL},
    };
    imap_rig_play("select", turns);
}

static void test_fetch(void)
{
    static const struct imap_turn turns[] = {
        {APPEND1, ""},
        {APPEND2, ""},
        {SELECT},
        {"b FETCH 1:* (FLAGS UID)\n", "* 1 FETCH (UID 1 FLAGS (\\Seen))\n* 2 FETCH (UID 2 FLAGS "
                                      "())\nb OK FETCH completed\n"},
        {"b UID FETCH 2:9 FLAGS\n", "* 2 FETCH (UID 2 FLAGS ())\nb OK UID FETCH completed\n"},
        {"b UID FETCH 7 FLAGS\n", "b OK UID FETCH completed\n"},
        {"b FETCH 3 FLAGS\n", "b BAD Wrong arguments of FETCH\n"},
        {"b FETCH 0 FLAGS\n", "b BAD Wrong arguments of FETCH\n"},
        {"b FETCH 1 (ALL)\n", "b BAD Wrong arguments of FETCH\n"},
        {"b FETCH 1 ()\n", "b BAD Wrong arguments of FETCH\n"},
        {"b FETCH 1 BODY[\n", "b BAD Wrong arguments of FETCH\n"},
        {"b FETCH 1 BODY[TEXT]<0.0>\n", "b BAD Wrong arguments of FETCH\n"},
        {"b FETCH 2,1 FAST\n",
         "* 1 FETCH (FLAGS (\\Seen) INTERNALDATE \"14-Nov-2023 22:13:20 +0000\" RFC822.SIZE "
         "131)\n* 2 FETCH (FLAGS () INTERNALDATE \" 1-Feb-2023 00:02:03 +0000\" RFC822.SIZE "
         "22)\nb OK FETCH completed\n"},
        {"c FETCH 1 ALL\n", "* 1 FETCH (FLAGS (\\Seen) INTERNALDATE \"14-Nov-2023 22:13:20 +0000\" "
                            "RFC822.SIZE 131 " ENVELOPE1 ")\nc OK FETCH completed\n"},
        {"d FETCH 1 FULL\n",
         "* 1 FETCH (FLAGS (\\Seen) INTERNALDATE \"14-Nov-2023 22:13:20 +0000\" "
         "RFC822.SIZE 131 " ENVELOPE1 " BODY (\"text\" \"plain\" NIL NIL "
         "NIL \"7bit\" 12 2))\nd OK FETCH completed\n"},
        {"e FETCH 2 (BODYSTRUCTURE)\n",
         "* 2 FETCH (BODYSTRUCTURE (\"text\" \"plain\" NIL NIL NIL \"7bit\" "
         "6 2 NIL NIL NIL NIL))\ne OK FETCH completed\n"},
        {"f FETCH 2 BODY.PEEK[]\n",
         "* 2 FETCH (BODY[] {22}\nSubject: Two\n\nx\ny\n)\nf OK FETCH completed\n"},
        {"f FETCH 1 (BODY.PEEK[HEADER.FIELDS (Subject {2}\nTO)] BODY.PEEK[1]<3.4>)\n",
         "+ Go on\n* 1 FETCH (BODY[HEADER.FIELDS (Subject TO)] {32}\nTo: "
         "bob@b.test\nSubject: One\n\n BODY[1]<3> {4}\nlo\n)\nf OK FETCH completed\n"},
        {"f FETCH 1:2 (BODY.PEEK[HEADER.FIELDS (subject \"To\")] UID)\n",
         "* 1 FETCH (UID 1 BODY[HEADER.FIELDS (subject To)] {32}\nTo: bob@b.test\nSubject: "
         "One\n\n)\n"
         "* 2 FETCH (UID 2 BODY[HEADER.FIELDS (subject To)] {16}\nSubject: Two\n\n)\n"
         "f OK FETCH completed\n"},
        {"f FETCH 1 (BODY.PEEK[HEADER.FIELDS (To)]<4.3> BODY.PEEK[HEADER.FIELDS (SUBJECT)] "
         "BODYSTRUCTURE)\n",
         "* 1 FETCH (BODYSTRUCTURE (\"text\" \"plain\" NIL NIL NIL \"7bit\" 12 2 NIL NIL NIL NIL) "
         "BODY[HEADER.FIELDS (To)]<4> {3}\nbob BODY[HEADER.FIELDS (SUBJECT)] {16}\nSubject: "
         "One\n\n)\n"
         "f OK FETCH completed\n"},
        {"f FETCH 2:1 BODY.PEEK[HEADER.FIELDS (Message-ID)]\n",
         "* 1 FETCH (BODY[HEADER.FIELDS (Message-ID)] {26}\nMessage-ID: <1@a.test>\n\n)\n"
         "* 2 FETCH (BODY[HEADER.FIELDS (Message-ID)] {2}\n\n)\nf OK FETCH completed\n"},
        {"f FETCH 2 (BODY.PEEK[2] BODY.PEEK[TEXT]<99.5>)\n",
         "* 2 FETCH (BODY[2] NIL BODY[TEXT]<99> {0}\n)\nf OK FETCH completed\n"},
        {"f FETCH 2 RFC822.HEADER\n",
         "* 2 FETCH (RFC822.HEADER {16}\nSubject: Two\n\n)\nf OK FETCH completed\n"},
        {"g FETCH 1:2 RFC822.TEXT\n",
         "* 1 FETCH (RFC822.TEXT {12}\nHello\nBob\n)\n* 2 FETCH (FLAGS (\\Seen) RFC822.TEXT "
         "{6}\nx\ny\n)\ng OK FETCH completed\n"},
        {"h FETCH 2 (FLAGS)\n", "* 2 FETCH (FLAGS (\\Seen))\nh OK FETCH completed\n"},
        {"i FETCH 2 (RFC822 UID)\n",
         "* 2 FETCH (UID 2 RFC822 {22}\nSubject: Two\n\nx\ny\n)\ni OK FETCH completed\n"},
        {NULL, NULL},
    };
    imap_rig_play("fetch", turns);
}

static void test_store(void)
{
    static const struct imap_turn turns[] = {
        {APPEND1, ""},
        {APPEND2, ""},
        {SELECT},
        {"b STORE 1:2 +FLAGS \\Flagged\n", "* 1 FETCH (FLAGS (\\Seen \\Flagged))\n"
                                           "* 2 FETCH (FLAGS (\\Flagged))\nb OK STORE completed\n"},
        {"c UID STORE 2 FLAGS (\\Draft $Junk)\n",
         "* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $Junk)\n"
         "* OK [PERMANENTFLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $Junk \\*)] Flags "
         "that stay\n* 2 FETCH (UID 2 FLAGS (\\Draft $Junk))\nc OK UID STORE completed\n"},
        {"d STORE 2 -FLAGS.SILENT ($junk $None)\n", "d OK STORE completed\n"},
        {"e FETCH 2 FLAGS\n", "* 2 FETCH (FLAGS (\\Draft))\ne OK FETCH completed\n"},
        {"f STORE 1 FLAGS ()\n", "* 1 FETCH (FLAGS ())\nf OK STORE completed\n"},
        {"g STORE 1 FLAGS (\\Wrong)\n", "g BAD Wrong arguments of STORE\n"},
        {"g STORE 1 FLAGS\n", "g BAD Wrong arguments of STORE\n"},
        {"g STORE 1 XFLAGS (\\Seen)\n", "g BAD Wrong arguments of STORE\n"},
        {"g STORE 5 FLAGS (\\Seen)\n", "g BAD Wrong arguments of STORE\n"},
        {NULL, NULL},
    };
    imap_rig_play("store", turns);
}

static void test_expunge(void)
{
    static const struct imap_turn turns[] = {
        {APPEND1, ""},
        {APPEND2, ""},
        {SELECT},
        {"b STORE 1:2 +FLAGS.SILENT (\\Deleted)\n", "b OK STORE completed\n"},
        {"c EXPUNGE 1\n", "c BAD Wrong arguments of EXPUNGE\n"},
        {"c EXPUNGE\n", "* 2 EXPUNGE\n* 1 EXPUNGE\nc OK EXPUNGE completed\n"},
        {"d FETCH 1:* FLAGS\n", "d OK FETCH completed\n"},
        {NULL, NULL},
    };
    imap_rig_play("expunge", turns);
}

/* RFC 9051, 7.5.1: no number changes under a command that goes by numbers. */
static void test_updates(void)
{
    static const struct imap_turn turns[] = {
        {APPEND1, ""},
        {APPEND2, ""},
        {SELECT},
        {"!x SELECT INBOX\ny UID STORE 1 +FLAGS (\\Deleted)\nz EXPUNGE\n", ""},
        {"b FETCH 2 UID\n", "* 2 FETCH (UID 2)\nb OK FETCH completed\n"},
        {"b FETCH 1 BODY[]\n", "b NO [EXPUNGEISSUED] Some of the messages are gone\n"},
        {"b FETCH 1 ENVELOPE\n", "b NO [EXPUNGEISSUED] Some of the messages are gone\n"},
        {"c STORE 2 +FLAGS (\\Seen)\n", "* 2 FETCH (FLAGS (\\Seen))\nc OK STORE completed\n"},
        {"d NOOP\n", "* 1 EXPUNGE\nd OK NOOP completed\n"},
        {"!x STORE 1 +FLAGS ($New)\n", ""},
        {APPEND2, ""},
        {"e CHECK\n",
         "* 2 EXISTS\n* 0 RECENT\n* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $New)\n"
         "* OK [PERMANENTFLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $New \\*)] Flags "
         "that stay\n* 1 FETCH (FLAGS (\\Seen $New))\ne OK CHECK completed\n"},
        {NULL, NULL},
    };
    imap_rig_play("updates", turns);
}

static void test_append(void)
{
    static const struct imap_turn turns[] = {
        {"a APPEND Nowhere {5}\nx\n", "a NO [TRYCREATE] There is no such mailbox\n* BAD A tag and "
                                      "a command are wanted\n"},
        {"a APPEND Nowhere {5+}\nabcde\nb NOOP\n",
         "a NO [TRYCREATE] There is no such mailbox\nb OK NOOP completed\n"},
        {"a APPEND INBOX\n", "a BAD Wrong arguments of APPEND\n"},
        {"a APPEND INBOX \"text\"\n", "a BAD Wrong arguments of APPEND\n"},
        {"a APPEND INBOX (\\What) {5+}\nabcde\n", "a BAD Wrong arguments of APPEND\n"},
        {"a APPEND INBOX {0+}\n\n", "a NO [CANNOT] A message has a header at least\n"},
        {"a APPEND INBOX {999999999}\n", "a NO [TOOBIG] A message has 104857600 bytes at most\n"},
        {"a APPEND INBOX {8+}\nA: b\n\n x\n", "a BAD Wrong arguments of APPEND\n"},
        {"a APPEND {5}\ninbox (\\Flagged) {8}\nA: b\n\n\n",
         "+ Go on\n+ Go on\na OK [APPENDUID ~ 1] APPEND completed\n"},
        {"b APPEND INBOX \"14-Nov-2023 22:13:20 +0000\" {4+}\nA:\n\n",
         "b OK [APPENDUID ~ 2] APPEND completed\n"},
        {NULL, NULL},
    };
    imap_rig_play("append", turns);
}

static void test_copy(void)
{
    static const struct imap_turn turns[] = {
        {APPEND1, ""},
        {APPEND2, ""},
        {SELECT},
        {"b COPY 1 Nowhere\n", "b NO [TRYCREATE] There is no such mailbox\n"},
        {"b COPY 3 Archive\n", "b BAD Wrong arguments of COPY\n"},
        {"b COPY 1 Archive x\n", "b BAD Wrong arguments of COPY\n"},
        {"b UID COPY 8 Archive\n", "b OK UID COPY completed\n"},
        {"c COPY 1:2 \"Archive\"\n", "c OK [COPYUID ~ 1:2 1:2] Done\n"},
        {"d FETCH 1 UID\n", "* 1 FETCH (UID 1)\nd OK FETCH completed\n"},
        {NULL, NULL},
    };
    imap_rig_play("copy", turns);
}

static void test_floods(void)
{
    struct imap_rig rig;
    imap_rig_init(&rig);
    static char line[70 * 1024];
    memset(line, 'x', sizeof line - 1);
    imap_rig_say(&rig, "a NOOP ");
    imap_rig_say(&rig, line);
    imap_rig_say(&rig, "\nb NOOP\n");
    imap_rig_want(&rig, "a BAD [TOOBIG] A command has 65536 bytes at most\nb OK NOOP completed\n");
    imap_rig_say(&rig, "c SELECT {70000}\nd NOOP\n");
    imap_rig_want(&rig, "c BAD [TOOBIG] A command has 65536 bytes at most\nd OK NOOP completed\n");
    for (int i = 0; i < 51; i++)
        imap_rig_say(&rig, "e WHAT\n");
    UNIT_TRUE(rig.ended);
    UNIT_TRUE(pn_str_ends(pn_buf_str(&rig.out), PN_STR("* BYE Too many errors\r\n")));
    imap_rig_fini(&rig);
}

/* The mailbox goes while it is selected. */
static void test_bye(void)
{
    struct imap_rig rig;
    struct pn_buf out;
    imap_rig_init(&rig);
    pn_buf_init(&out, 1000);
    rig.engine->kind->bye(rig.engine, PN_ENGINE_IDLE_TOO_LONG, &out);
    UNIT_STR(pn_buf_str(&out), PN_STR("* BYE Nothing was said for too long\r\n"));
    UNIT_TRUE(rig.engine->kind->patience(rig.engine) >= 30 * 60 * 1000);
    pn_buf_fini(&out);
    imap_rig_fini(&rig);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"session", test_session},
        {"select", test_select},
        {"fetch", test_fetch},
        {"store", test_store},
        {"expunge", test_expunge},
        {"updates", test_updates},
        {"append", test_append},
        {"copy", test_copy},
        {"floods", test_floods},
        {"bye", test_bye},
        {NULL, NULL},
    };
    return unit_main("imap_base", tests, argc, argv);
}
