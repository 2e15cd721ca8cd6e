/* A test for each capability word of the engine's own commands, by its name. What is LIST's is in
 * test_list.c, SEARCH's in test_search.c. */
#include "imap_capability.h"
#include "imap_rig.h"
#include "unit.h"

#include <stdio.h>

#define APPEND1 "!x APPEND INBOX (\\Seen) {38+}\nSubject: One\nMessage-ID: <1@a>\n\nx\n\n"
#define APPEND2 "!x APPEND INBOX {22+}\nSubject: Two\n\nx\ny\n\n"
#define FLAGS                                                                                      \
    "* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft)\n* OK [PERMANENTFLAGS (\\Seen "       \
    "\\Answered \\Flagged \\Deleted \\Draft \\*)] Flags that stay\n"
#define FLAGS_EXAMINE                                                                              \
    "* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft)\n* OK [PERMANENTFLAGS ()] Flags "     \
    "that "                                                                                        \
    "stay\n"
#define VALID                                                                                      \
    "* OK [UIDVALIDITY ~] UIDs are valid\n* OK [UIDNEXT 3] Predicted next UID\n"                   \
    "* OK [HIGHESTMODSEQ ~] Highest\n"
#define SELECTED                                                                                   \
    FLAGS "* 2 EXISTS\n* 0 RECENT\n* OK [UNSEEN 2] First unseen\n" VALID                           \
          "a OK [READ-WRITE] SELECT completed\n"
#define BEGIN                                                                                      \
    {APPEND1, ""}, {APPEND2, ""},                                                                  \
    {                                                                                              \
        "a SELECT INBOX\n", SELECTED                                                               \
    }
#define END                                                                                        \
    {                                                                                              \
        NULL, NULL                                                                                 \
    }

static void test_id(void)
{
    struct imap_rig rig;
    imap_rig_init(&rig);
    imap_rig_say(&rig, "a ID NIL\n");
    UNIT_TRUE(pn_str_starts(pn_buf_str(&rig.out), PN_STR("* ID (")));
    UNIT_TRUE(pn_str_ends(pn_buf_str(&rig.out), PN_STR("a OK ID completed\r\n")));
    pn_buf_clear(&rig.out);
    imap_rig_say(&rig, "b ID (\"name\")\n");
    imap_rig_want(&rig, "b BAD Wrong arguments of ID\n");
    imap_rig_fini(&rig);
}

static void test_enable(void)
{
    static const struct imap_turn turns[] = {
        {"a ENABLE CONDSTORE X-NONE\n", "* ENABLED CONDSTORE\na OK ENABLE completed\n"},
        {"b ENABLE X-NONE\n", "* ENABLED\nb OK ENABLE completed\n"},
        {"c ENABLE\n", "c BAD Wrong arguments of ENABLE\n"},
        END,
    };
    imap_rig_play("ENABLE", turns);
}

static void test_capability(void)
{
    struct imap_rig rig;
    struct pn_buf want;
    pn_buf_init(&want, 4096);
    imap_rig_init(&rig);
    imap_rig_say(&rig, "a CAPABILITY\n");
    (void)pn_buf_addz(&want, "* CAPABILITY ");
    pn_imap_capability_after(&want);
    (void)pn_buf_addz(&want, "\r\na OK CAPABILITY completed\r\n");
    UNIT_STR(pn_buf_str(&rig.out), pn_buf_str(&want));
    pn_buf_fini(&want);
    imap_rig_fini(&rig);
}

static void test_idle(void)
{
    static const struct imap_turn turns[] = {
        {"a IDLE\n", "+ idling\n"},
        {"done\n", "a OK IDLE completed\n"},
        BEGIN,
        {"b IDLE\n", "+ idling\n"},
        {APPEND2, "* 3 EXISTS\n* 0 RECENT\n"},
        {"!x SELECT INBOX\ny STORE 1 +FLAGS (\\Deleted)\n",
         "* 1 FETCH (FLAGS (\\Seen \\Deleted))\n"},
        {"!x EXPUNGE\n", "* 1 EXPUNGE\n"},
        {"DONE\n", "b OK IDLE completed\n"},
        {"c IDLE\n", "+ idling\n"},
        {"NOOP {3}\n", "c BAD DONE is wanted\n"},
        {"d IDLE now\n", "d BAD Wrong arguments of IDLE\n"},
        END,
    };
    imap_rig_play("IDLE", turns);
}

/* The host is woken while there is somebody to tell, and only then. */
static void test_idle_wakes(void)
{
    struct imap_rig rig;
    imap_rig_init(&rig);
    imap_rig_say(&rig, "a SELECT INBOX\n");
    imap_rig_other(&rig, APPEND1 + 1);
    UNIT_INT(rig.wakes, 0);
    imap_rig_say(&rig, "b IDLE\n");
    imap_rig_other(&rig, APPEND1 + 1);
    UNIT_INT(rig.wakes, 1);
    imap_rig_other(&rig, APPEND1 + 1);
    UNIT_INT(rig.wakes, 1); /* once until it was looked at */
    imap_rig_feed(&rig, PN_STR(""));
    imap_rig_other(&rig, APPEND1 + 1);
    UNIT_INT(rig.wakes, 2);
    imap_rig_fini(&rig);
}

static void test_uidplus(void)
{
    static const struct imap_turn turns[] = {
        BEGIN,
        {"b APPEND INBOX {22+}\nSubject: Two\n\nx\ny\n\n",
         "* 3 EXISTS\n* 0 RECENT\nb OK [APPENDUID ~ 3] APPEND completed\n"},
        {"c UID COPY 1,3 Archive\n", "c OK [COPYUID ~ 1,3 1:2] Done\n"},
        {"d STORE 1:3 FLAGS.SILENT (\\Deleted)\n", "d OK STORE completed\n"},
        {"e UID EXPUNGE 2:9\n", "* 3 EXPUNGE\n* 2 EXPUNGE\ne OK UID EXPUNGE completed\n"},
        {"f UID EXPUNGE\n", "f BAD Wrong arguments of UID EXPUNGE\n"},
        {"g FETCH 1 (UID FLAGS)\n", "* 1 FETCH (UID 1 FLAGS (\\Deleted))\ng OK FETCH completed\n"},
        END,
    };
    imap_rig_play("UIDPLUS", turns);
}

static void test_unselect(void)
{
    static const struct imap_turn turns[] = {
        BEGIN,
        {"b STORE 1 FLAGS.SILENT (\\Deleted)\n", "b OK STORE completed\n"},
        {"c UNSELECT\n", "c OK UNSELECT completed\n"},
        {"d UNSELECT\n", "d BAD Select a mailbox first\n"},
        {"e EXAMINE INBOX\n",
         FLAGS_EXAMINE "* 2 EXISTS\n* 0 RECENT\n* OK [UNSEEN 1] First "
                       "unseen\n" VALID "e OK [READ-ONLY] EXAMINE completed\n"},
        END,
    };
    imap_rig_play("UNSELECT", turns);
}

static void test_move(void)
{
    static const struct imap_turn turns[] = {
        BEGIN,
        {"b MOVE 1 Nowhere\n", "b NO [TRYCREATE] There is no such mailbox\n"},
        {"c MOVE 1 Archive\n", "* OK [COPYUID ~ 1 1] Done\n* 1 EXPUNGE\nc OK MOVE completed\n"},
        {"d UID MOVE 1 Archive\n", "d OK UID MOVE completed\n"},
        {"e UID MOVE 2 Archive\n",
         "* OK [COPYUID ~ 2 2] Done\n* 1 EXPUNGE\ne OK UID MOVE completed\n"},
        {"f UNSELECT\ng EXAMINE Archive\nh MOVE 1 INBOX\n",
         "f OK UNSELECT completed\n" FLAGS_EXAMINE "* 2 EXISTS\n* 0 RECENT\n* OK [UNSEEN 2] First "
         "unseen\n" VALID "g OK [READ-ONLY] EXAMINE completed\n"
         "h NO [READ-ONLY] The mailbox was opened with EXAMINE\n"},
        END,
    };
    imap_rig_play("MOVE", turns);
}

static void test_junk(void)
{
    struct imap_rig rig;
    imap_rig_init(&rig);
    imap_rig_other(&rig, APPEND1 + 1);
    imap_rig_other(&rig, APPEND2 + 1);
    imap_rig_say(&rig, "a SELECT INBOX\nb MOVE 1:2 Junk\nc SELECT Junk\nd COPY 2 Archive\n"
                       "e COPY 1 Junk\nf MOVE 1 INBOX\n");
    imap_rig_say(&rig, "g APPEND Junk {26+}\nMessage-ID: <9@a>\n\nabc\n {8+}\nA: b\n\n\n"
                       "h APPEND Archive {8+}\nA: b\n\n\n");
    UNIT_STR(pn_buf_str(&rig.moved), PN_STR("INBOX>Junk junk 2 [\"<1@a>\"];Junk>Archive good 1 [];"
                                            "Junk>INBOX good 1 [\"<1@a>\"];"
                                            ">Junk junk 2 [\"<9@a>\"];"));
    /* Words of what came are indexed later; the other session has no host for that. */
    UNIT_STR(pn_buf_str(&rig.grown), PN_STR("Junk;Archive;Junk;INBOX;Junk;Archive;"));
    imap_rig_fini(&rig);
}

static void test_binary(void)
{
    static const struct imap_turn turns[] = {
        {"!x APPEND INBOX {66+}\nMIME-Version: 1.0\nContent-Transfer-Encoding: base64\n\n"
         "AGEKYg==\n\n",
         ""},
        {"!x APPEND INBOX {47+}\nContent-Transfer-Encoding: x-strange\n\nabcde\n\n", ""},
        {"a SELECT INBOX\n", FLAGS "* 2 EXISTS\n* 0 RECENT\n* OK [UNSEEN 1] First unseen\n" VALID
                                   "a OK [READ-WRITE] SELECT completed\n"},
        {"b FETCH 1 (BINARY.SIZE[1] BINARY.PEEK[1]<3.9>)\n",
         "* 1 FETCH (BINARY.SIZE[1] 4 BINARY[1]<3> ~{1}\nb)\nb OK FETCH completed\n"},
        {"c FETCH 2 BINARY.PEEK[1]\n",
         "* 2 FETCH (BINARY[1] NIL)\nc NO [UNKNOWN-CTE] Some parts can't be decoded\n"},
        {"d FETCH 1 BINARY[1.MIME]\n", "d BAD Wrong arguments of FETCH\n"},
        {"e APPEND INBOX ~{8+}\nA: b\n\n\n",
         "* 3 EXISTS\n* 0 RECENT\ne OK [APPENDUID ~ 3] APPEND completed\n"},
        END,
    };
    imap_rig_play("BINARY", turns);
    struct imap_rig rig;
    imap_rig_init(&rig);
    imap_rig_feed(&rig, (struct pn_str){"a APPEND INBOX ~{8+}\r\nA: b\r\n\r\0\r\n", 32});
    imap_rig_want(&rig, "a NO [UNKNOWN-CTE] No message with a NUL can be stored\n");
    imap_rig_fini(&rig);
}

static void test_appendlimit(void)
{
    struct imap_rig rig;
    imap_rig_init(&rig);
    imap_rig_say(&rig, "a APPEND INBOX {104857601}\nb NOOP\n");
    imap_rig_want(&rig, "a NO [TOOBIG] A message has 104857600 bytes at most\n"
                        "b OK NOOP completed\n");
    imap_rig_say(&rig, "c APPEND INBOX {104857600}\n");
    imap_rig_want(&rig, "+ Go on\n");
    imap_rig_fini(&rig);
}

static void test_multiappend(void)
{
    static const struct imap_turn turns[] = {
        BEGIN,
        {"b APPEND INBOX (\\Flagged) {8}\nA: b\n\n (\\Draft $x) \"14-Nov-2023 22:13:20 +0000\" "
         "{10+}\nA: bcd\n\n\n",
         "+ Go on\n* 4 EXISTS\n* 0 RECENT\nb OK [APPENDUID ~ 3:4] APPEND completed\n"},
        {"c FETCH 3:4 (FLAGS RFC822.SIZE)\n",
         "* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $x)\n* OK [PERMANENTFLAGS (\\Seen "
         "\\Answered \\Flagged \\Deleted \\Draft $x \\*)] Flags that stay\n"
         "* 3 FETCH (FLAGS (\\Flagged) RFC822.SIZE 8)\n"
         "* 4 FETCH (FLAGS (\\Draft $x) RFC822.SIZE 10)\nc OK FETCH completed\n"},
        {"d APPEND INBOX {8+}\nA: b\n\n {0+}\n\n", "d NO [CANNOT] A message has a header at "
                                                   "least\n"},
        {"e FETCH * UID\n", "* 4 FETCH (UID 4)\ne OK FETCH completed\n"},
        END,
    };
    imap_rig_play("MULTIAPPEND", turns);
}

static void test_condstore(void)
{
    static const struct imap_turn turns[] = {
        BEGIN,
        {"b FETCH 1 (MODSEQ)\n", "* OK [HIGHESTMODSEQ ~] CONDSTORE is on\n* 1 FETCH (MODSEQ "
                                 "(~))\nb OK FETCH completed\n"},
        {"c STORE 1 +FLAGS (\\Flagged)\n",
         "* 1 FETCH (FLAGS (\\Seen \\Flagged) MODSEQ (~))\nc OK STORE completed\n"},
        {"c STORE 1:2 +FLAGS (\\Flagged)\nc STORE 1 (UNCHANGEDSINCE 999999999999) -FLAGS "
         "(\\Draft)\n",
         "* 1 FETCH (FLAGS (\\Seen \\Flagged) MODSEQ (~))\n* 2 FETCH (FLAGS (\\Flagged) MODSEQ "
         "(~))\nc OK STORE completed\n"
         "* 1 FETCH (FLAGS (\\Seen \\Flagged) MODSEQ (~))\nc OK STORE completed\n"},
        {"d STORE 1:2 (UNCHANGEDSINCE 1) +FLAGS.SILENT (\\Draft)\n",
         "d OK [MODIFIED 1:2] Some were changed by others\n"},
        {"e UID STORE 2 (UNCHANGEDSINCE 999999999999) +FLAGS.SILENT (\\Draft)\n",
         "* 2 FETCH (UID 2 MODSEQ (~))\ne OK UID STORE completed\n"},
        {"f FETCH 1:* (FLAGS) (CHANGEDSINCE 999999999999)\n", "f OK FETCH completed\n"},
        {"f FETCH 1:* (UID) (CHANGEDSINCE 1)\n",
         "* 1 FETCH (UID 1 MODSEQ (~))\n* 2 FETCH (UID 2 MODSEQ (~))\nf OK FETCH completed\n"},
        {"f UID FETCH 1:* (UID) (CHANGEDSINCE 1 VANISHED)\n",
         "f BAD Wrong arguments of UID FETCH\n"},
        {"g STORE 1 (UNCHANGEDSINCE) FLAGS ()\n", "g BAD Wrong arguments of STORE\n"},
        {"h SEARCH MODSEQ 1\n", "* SEARCH 1 2 (MODSEQ ~)\nh OK SEARCH completed\n"},
        {"i STORE 2 +FLAGS.SILENT (\\Deleted)\nj EXPUNGE\n",
         "* 2 FETCH (UID 2 MODSEQ (~))\ni OK STORE completed\n"
         "* 2 EXPUNGE\nj OK [HIGHESTMODSEQ ~] EXPUNGE completed\n"},
        {"k STORE 1 -FLAGS.SILENT (\\Seen)\nk FETCH 1 BODY[TEXT]\n",
         "* 1 FETCH (UID 1 MODSEQ (~))\nk OK STORE completed\n"
         "* 1 FETCH (FLAGS (\\Seen \\Flagged) MODSEQ (~) BODY[TEXT] {3}\nx\n)\nk OK FETCH "
         "completed\n"},
        {"k EXAMINE INBOX (CONDSTORE)\n",
         "* OK [CLOSED] Previous mailbox closed\n" FLAGS_EXAMINE "* 1 EXISTS\n* 0 RECENT\n" VALID
         "k OK [READ-ONLY] EXAMINE completed\n"},
        {"l SELECT INBOX (QRESYNC (1 1))\n", "l BAD ENABLE QRESYNC first\n"},
        END,
    };
    imap_rig_play("CONDSTORE", turns);
}

/* What PERMANENTFLAGS does not promise is passed over (RFC 9051, 7.1), and no mail is refused for
 * it; "]" would end its list. */
static void test_keywords(void)
{
    static const struct imap_turn turns[] = {
        BEGIN,
        {"b STORE 1 +FLAGS (a]b)\n", "b BAD Wrong arguments of STORE\n"},
        {"c APPEND INBOX (a]b) {3+}\na:b\n", "c BAD Wrong arguments of APPEND\n"},
        {"d STORE 1 +FLAGS.SILENT (a b c d e f g h i j k l m n o p q r s t u v w x y z)\n",
         "d OK STORE completed\n"},
        {"e STORE 1 FLAGS.SILENT (a z more \\Seen)\n", "e OK STORE completed\n"},
        {"f APPEND INBOX (more a \\Seen) {3+}\na:b\n",
         "* 3 EXISTS\n* 0 RECENT\nf OK [APPENDUID ~ 3] APPEND completed\n"},
        {"g FETCH 1,3 FLAGS\n",
         "* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft a b c d e f g h i j k l m n o p q "
         "r s "
         "t u v w x y z)\n* OK [PERMANENTFLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft a b "
         "c d e "
         "f g h i j k l m n o p q r s t u v w x y z)] Flags that stay\n"
         "* 1 FETCH (FLAGS (\\Seen a z))\n* 3 FETCH (FLAGS (\\Seen a))\ng OK FETCH completed\n"},
        END,
    };
    imap_rig_play("keywords", turns);
}

static void test_qresync(void)
{
    struct imap_rig rig;
    char say[200];
    static const struct imap_turn turns[] = {
        {"a ENABLE QRESYNC\n", "* ENABLED QRESYNC\na OK ENABLE completed\n"},
        BEGIN,
        {"!x SELECT INBOX\ny STORE 1 +FLAGS (\\Deleted)\nz EXPUNGE\n", ""},
        {"b NOOP\n", "* VANISHED 1\nb OK NOOP completed\n"},
        {"c UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)\n",
         "* VANISHED (EARLIER) 1\n* 1 FETCH (UID 2 FLAGS () MODSEQ (~))\nc OK UID FETCH "
         "completed\n"},
        {"d SELECT INBOX (QRESYNC (1 1 1:9))\n",
         "* OK [CLOSED] Previous mailbox closed\n" FLAGS "* 1 EXISTS\n* 0 RECENT\n"
         "* OK [UNSEEN 1] First unseen\n" VALID "d OK [READ-WRITE] SELECT completed\n"},
        {"e SELECT INBOX (QRESYNC (1 1 1:*))\n",
         "e BAD Wrong arguments of SELECT near \"1:*))\"\n"},
        {"f NOOP\n", "f OK NOOP completed\n"},
        {"f SELECT INBOX (QRESYNC (0 1))\n", "f BAD Wrong arguments of SELECT\n"},
        END,
    };
    static const struct imap_turn held_back[] = {
        {"a ENABLE QRESYNC\n", "* ENABLED QRESYNC\na OK ENABLE completed\n"},
        BEGIN,
        {"!x SELECT INBOX\ny STORE 1 +FLAGS (\\Deleted)\nz EXPUNGE\nz STORE 1 +FLAGS (\\Seen)\n",
         ""},
        {"b FETCH 1:2 UID\n",
         "* 1 FETCH (UID 1)\n* 2 FETCH (UID 2)\n* 2 FETCH (UID 2 FLAGS (\\Seen) MODSEQ (~))\n"
         "* OK [HIGHESTMODSEQ ~] Expunges behind it wait\nb OK FETCH completed\n"},
        {"c UID FETCH 1:* UID\n",
         "* 1 FETCH (UID 1)\n* 2 FETCH (UID 2)\n* VANISHED 1\nc OK UID FETCH completed\n"},
        {"d FETCH 1 UID\n", "* 1 FETCH (UID 2)\nd OK FETCH completed\n"},
        END,
    };
    static const struct imap_turn last_gone[] = {
        {"a ENABLE QRESYNC\n", "* ENABLED QRESYNC\na OK ENABLE completed\n"},
        BEGIN,
        {"!x SELECT INBOX\ny STORE 2 +FLAGS (\\Deleted)\nz EXPUNGE\n", ""},
        {"b NOOP\n", "* VANISHED 2\nb OK NOOP completed\n"},
        {"c UID FETCH 1:* (UID) (CHANGEDSINCE 1 VANISHED)\n",
         "* VANISHED (EARLIER) 2\n* 1 FETCH (UID 1 MODSEQ (~))\nc OK UID FETCH completed\n"},
        {"d UID FETCH 1 (UID) (CHANGEDSINCE 1 VANISHED)\n",
         "* 1 FETCH (UID 1 MODSEQ (~))\nd OK UID FETCH completed\n"},
        END,
    };
    imap_rig_play("QRESYNC", turns);
    imap_rig_play("QRESYNC, held back", held_back);
    imap_rig_play("QRESYNC, the last is gone", last_gone);
    imap_rig_init(&rig);
    imap_rig_other(&rig, APPEND1 + 1);
    imap_rig_other(&rig, APPEND2 + 1);
    imap_rig_other(&rig, "x SELECT INBOX\ny STORE 1 +FLAGS (\\Deleted)\nz EXPUNGE\n");
    imap_rig_say(&rig, "a ENABLE QRESYNC\nb SELECT INBOX\n");
    const char *validity = strstr(pn_buf_cstr(&rig.out), "UIDVALIDITY ");
    UNIT_TRUE(validity != NULL);
    (void)snprintf(say, sizeof say, "c SELECT INBOX (QRESYNC (%.*s 1 1:5 (1:2 1:2)))\n",
                   (int)strcspn(validity + 12, "]"), validity + 12);
    pn_buf_clear(&rig.out);
    imap_rig_say(&rig, say);
    imap_rig_want(&rig, "* OK [CLOSED] Previous mailbox closed\n" FLAGS
                        "* 1 EXISTS\n* 0 RECENT\n* OK [UNSEEN 1] First unseen\n" VALID
                        "* VANISHED (EARLIER) 1\n* 1 FETCH (UID 2 FLAGS () MODSEQ (~))\n"
                        "c OK [READ-WRITE] SELECT completed\n");
    imap_rig_say(&rig, "d STORE 1 +FLAGS.SILENT (\\Deleted)\ne CLOSE\n");
    imap_rig_want(&rig, "* 1 FETCH (UID 2 MODSEQ (~))\nd OK STORE completed\n"
                        "e OK [HIGHESTMODSEQ ~] CLOSE completed\n");
    imap_rig_fini(&rig);
}

static void test_utf8_accept(void)
{
    static const struct imap_turn turns[] = {
        {"a APPEND INBOX UTF8 (~{8+}\nA: b\n\n)\n", "a BAD Wrong arguments of APPEND\n"},
        {"b ENABLE UTF8=ACCEPT\n", "* ENABLED UTF8=ACCEPT\nb OK ENABLE completed\n"},
        {"c APPEND INBOX (\\Seen) UTF8 (~{8+}\nA: b\n\n)\n",
         "c OK [APPENDUID ~ 1] APPEND completed\n"},
        {"d APPEND INBOX UTF8 (~{8+}\nA: b\n\n) UTF8 (~{8}\nA: b\n\n)\n",
         "+ Go on\nd OK [APPENDUID ~ 2:3] APPEND completed\n"},
        {"e APPEND INBOX UTF8 (~{8+}\nA: b\n\n\n", "e BAD Wrong arguments of APPEND\n"},
        {"f APPEND INBOX UTF8 ({8+}\nA: b\n\n)\n", "f BAD Wrong arguments of APPEND\n"},
        {"g SELECT \"\xc3\xa9\"\n", "g NO [NONEXISTENT] There is no such mailbox\n"},
        END,
    };
    imap_rig_play("UTF8=ACCEPT", turns);
}

static void test_literal_plus(void)
{
    static const struct imap_turn turns[] = {
        {"a NOOP {5+}\nINBOX {1+}\nx\n", "a BAD Wrong arguments of NOOP\n"},
        {"b SELECT {7+}\nNowhere\n", "b NO [NONEXISTENT] There is no such mailbox\n"},
        END,
    };
    imap_rig_play("LITERAL+", turns);
}

static void test_compress(void)
{
    struct imap_rig rig;
    imap_rig_init(&rig);
    imap_rig_say(&rig, "a COMPRESS GZIP\n");
    imap_rig_want(&rig, "a BAD Wrong arguments of COMPRESS\n");
    UNIT_TRUE(!rig.deflate);
    imap_rig_say(&rig, "b COMPRESS DEFLATE\nc NOOP\n");
    UNIT_TRUE(rig.deflate);
    imap_rig_want(&rig, "b OK DEFLATE is on\n"); /* what stands behind it is of the other kind */
    imap_rig_feed(&rig, PN_STR(""));
    imap_rig_want(&rig, "c OK NOOP completed\n");
    imap_rig_say(&rig, "d COMPRESS DEFLATE\n");
    imap_rig_want(&rig, "d NO [COMPRESSIONACTIVE] DEFLATE is on\n");
    imap_rig_fini(&rig);
}

/* What a client that ENABLEs it hears otherwise: no RECENT and UNSEEN, LIST and CLOSED with SELECT,
 * ESEARCH for SEARCH, names in UTF-8, UIDs with flags that others changed. */
static void test_rev2(void)
{
    static const struct imap_turn turns[] = {
        {APPEND1, ""},
        {"a ENABLE IMAP4rev2\n", "* ENABLED IMAP4rev2\na OK ENABLE completed\n"},
        {"b SELECT INBOX\n",
         FLAGS "* 1 EXISTS\n* LIST () \"/\" INBOX\n* OK [UIDVALIDITY ~] UIDs are valid\n"
               "* OK [UIDNEXT 2] Predicted next UID\n* OK [HIGHESTMODSEQ ~] Highest\n"
               "b OK [READ-WRITE] SELECT completed\n"},
        {APPEND2, ""},
        {"c NOOP\n", "* 2 EXISTS\nc OK NOOP completed\n"},
        {"d SEARCH ALL\n", "* ESEARCH (TAG \"d\") ALL 1:2\nd OK SEARCH completed\n"},
        {"e UID SEARCH SUBJECT nothing\n",
         "* ESEARCH (TAG \"e\") UID\ne OK UID SEARCH completed\n"},
        {"!x SELECT INBOX\ny STORE 2 +FLAGS (\\Flagged)\n", ""},
        {"f NOOP\n", "* 2 FETCH (UID 2 FLAGS (\\Flagged))\nf OK NOOP completed\n"},
        {"f STORE 1 +FLAGS (\\Draft)\n",
         "* 1 FETCH (UID 1 FLAGS (\\Seen \\Draft))\nf OK STORE completed\n"},
        {"f IDLE\n", "+ idling\n"},
        {"!y STORE 2 -FLAGS (\\Flagged)\n", "* 2 FETCH (UID 2 FLAGS ())\n"},
        {"DONE\n", "f OK IDLE completed\n"},
        {"f SELECT \"R\xc3\xa9sum\xc3\xa9\"\n",
         "* OK [CLOSED] Previous mailbox closed\nf NO [NONEXISTENT] There is no such mailbox\n"},
        END,
    };
    imap_rig_play("IMAP4rev2", turns);
}

/* What a client that ENABLEs nothing hears: RECENT, UNSEEN and no LIST with SELECT, SEARCH. */
static void test_rev1(void)
{
    static const struct imap_turn turns[] = {
        BEGIN,
        {APPEND2, ""},
        {"b NOOP\n", "* 3 EXISTS\n* 0 RECENT\nb OK NOOP completed\n"},
        {"c SEARCH ALL\n", "* SEARCH 1 2 3\nc OK SEARCH completed\n"},
        {"d UID SEARCH SUBJECT nothing\n", "* SEARCH\nd OK UID SEARCH completed\n"},
        {"e CHECK\n", "e OK CHECK completed\n"},
        {"f LSUB \"\" *\n", "f OK LSUB completed\n"},
        {"g LSUB \"\"\n", "g BAD Wrong arguments of LSUB\n"},
        END,
    };
    imap_rig_play("IMAP4rev1", turns);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"ID", test_id},
        {"ENABLE", test_enable},
        {"CAPABILITY", test_capability},
        {"IMAP4rev1", test_rev1},
        {"IMAP4rev2", test_rev2},
        {"IDLE", test_idle},
        {"IDLE wakes", test_idle_wakes},
        {"UIDPLUS", test_uidplus},
        {"UNSELECT", test_unselect},
        {"MOVE", test_move},
        {"Junk", test_junk},
        {"BINARY", test_binary},
        {"APPENDLIMIT=", test_appendlimit},
        {"MULTIAPPEND", test_multiappend},
        {"CONDSTORE", test_condstore},
        {"keywords", test_keywords},
        {"QRESYNC", test_qresync},
        {"UTF8=ACCEPT", test_utf8_accept},
        {"LITERAL+", test_literal_plus},
        {"COMPRESS=DEFLATE", test_compress},
        {NULL, NULL},
    };
    return unit_main("imap_words", tests, argc, argv);
}
