/* Internationalized messages: as they are to a session that enabled UTF-8, as their surrogates
 * (RFC 6858) to another, whose sizes, structures and sections agree. */
#include "imap_rig.h"
#include "unit.h"

#define SELECTED(messages, unseen, next)                                                           \
    "* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft)\n"                                    \
    "* OK [PERMANENTFLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft \\*)] Flags that stay\n"  \
    "* " #messages " EXISTS\n* 0 RECENT\n* OK [UNSEEN " #unseen "] First unseen\n"                 \
    "* OK [UIDVALIDITY ~] UIDs are valid\n* OK [UIDNEXT " #next "] Predicted next UID\n"           \
    "* OK [HIGHESTMODSEQ ~] Highest\n"
#define SELECT "a SELECT INBOX\n", SELECTED(3, 1, 4) "a OK [READ-WRITE] SELECT completed\n"

static void test_surrogate(void)
{
    static const struct imap_turn turns[] = {
        {"!x APPEND INBOX {139+}\nFrom: Jo <j\303\266@x.test>\nTo: Zo\303\251 <z@b.test>\nSubject: "
         "Gr\303\274\303\237e\nX-Gone: \303\251\nContent-Type: text/plain; charset=utf-8; "
         "name=\"\303\251.txt\"\n\nb\303\266dy\n\n",
         ""},
        {"!x APPEND INBOX {21+}\nSubject: plain\n\nb\n\n", ""},
        {"!x APPEND INBOX {17+}\nSubject: \351\n\nx\n\n", ""},
        {SELECT},
        {"a FETCH 1:3 RFC822.SIZE\n", "* 1 FETCH (RFC822.SIZE 239)\n* 2 FETCH (RFC822.SIZE 21)\n* "
                                      "3 FETCH (RFC822.SIZE 17)\na OK FETCH completed\n"},
        {"b FETCH 1 BODY.PEEK[]\n",
         "* 1 FETCH (BODY[] {239}\nFrom: =?UTF-8?B?Sm8gPGrDtkB4LnRlc3Q+?=\n "
         "<invalid@internationalized-address.invalid>\nTo: =?UTF-8?B?Wm/DqQ==?=\n "
         "<z@b.test>\nSubject: =?UTF-8?B?R3LDvMOfZQ==?=\nContent-Type: text/plain;\n "
         "charset=utf-8;\n name*=UTF-8''%C3%A9.txt\n\nb\303\266dy\n)\nb OK [DOWNGRADED 1] FETCH "
         "completed\n"},
        {"c FETCH 1 (BODY.PEEK[HEADER] BODY.PEEK[TEXT] BODY.PEEK[1] BINARY.SIZE[1])\n",
         "* 1 FETCH (BODY[HEADER] {232}\nFrom: =?UTF-8?B?Sm8gPGrDtkB4LnRlc3Q+?=\n "
         "<invalid@internationalized-address.invalid>\nTo: =?UTF-8?B?Wm/DqQ==?=\n "
         "<z@b.test>\nSubject: =?UTF-8?B?R3LDvMOfZQ==?=\nContent-Type: text/plain;\n "
         "charset=utf-8;\n name*=UTF-8''%C3%A9.txt\n\n BODY[TEXT] {7}\nb\303\266dy\n BODY[1] "
         "{7}\nb\303\266dy\n BINARY.SIZE[1] 7)\nc OK [DOWNGRADED 1] FETCH completed\n"},
        {"d UID FETCH 1:2 BODY.PEEK[HEADER.FIELDS (Subject)]\n",
         "* 1 FETCH (UID 1 BODY[HEADER.FIELDS (Subject)] {37}\nSubject: "
         "=?UTF-8?B?R3LDvMOfZQ==?=\n\n)\n* 2 FETCH (UID 2 BODY[HEADER.FIELDS (Subject)] "
         "{18}\nSubject: plain\n\n)\nd OK [DOWNGRADED 1] UID FETCH completed\n"},
        {"e FETCH 1 (ENVELOPE BODYSTRUCTURE)\n",
         "* 1 FETCH (ENVELOPE (NIL \"=?UTF-8?B?R3LDvMOfZQ==?=\" "
         "((\"=?UTF-8?B?Sm8gPGrDtkB4LnRlc3Q+?=\" NIL \"invalid\" "
         "\"internationalized-address.invalid\")) ((\"=?UTF-8?B?Sm8gPGrDtkB4LnRlc3Q+?=\" NIL "
         "\"invalid\" \"internationalized-address.invalid\")) "
         "((\"=?UTF-8?B?Sm8gPGrDtkB4LnRlc3Q+?=\" NIL \"invalid\" "
         "\"internationalized-address.invalid\")) ((\"=?UTF-8?B?Wm/DqQ==?=\" NIL \"z\" "
         "\"b.test\")) NIL NIL NIL NIL) BODYSTRUCTURE (\"text\" \"plain\" (\"charset\" \"utf-8\" "
         "\"name*\" \"UTF-8''%C3%A9.txt\") NIL NIL \"7bit\" 7 1 NIL NIL NIL NIL))\ne OK "
         "[DOWNGRADED 1] FETCH completed\n"},
        {"f FETCH 1 (ENVELOPE RFC822.SIZE BODY.PEEK[]<3.6>)\n",
         "* 1 FETCH (RFC822.SIZE 239 ENVELOPE (NIL \"=?UTF-8?B?R3LDvMOfZQ==?=\" "
         "((\"=?UTF-8?B?Sm8gPGrDtkB4LnRlc3Q+?=\" NIL \"invalid\" "
         "\"internationalized-address.invalid\")) ((\"=?UTF-8?B?Sm8gPGrDtkB4LnRlc3Q+?=\" NIL "
         "\"invalid\" \"internationalized-address.invalid\")) "
         "((\"=?UTF-8?B?Sm8gPGrDtkB4LnRlc3Q+?=\" NIL \"invalid\" "
         "\"internationalized-address.invalid\")) ((\"=?UTF-8?B?Wm/DqQ==?=\" NIL \"z\" "
         "\"b.test\")) NIL NIL NIL NIL) BODY[]<3> {6}\nm: =?U)\nf OK [DOWNGRADED 1] FETCH "
         "completed\n"},
        {"g FETCH 2:3 BODY.PEEK[]\n", "* 2 FETCH (BODY[] {21}\nSubject: plain\n\nb\n)\n* 3 FETCH "
                                      "(BODY[] {17}\nSubject: \351\n\nx\n)\n"
                                      "g OK FETCH completed\n"},
        {"h SEARCH LARGER 238\ni SEARCH LARGER 239\n",
         "* SEARCH 1\nh OK SEARCH completed\n* SEARCH\ni OK SEARCH completed\n"},
        {"j SEARCH SUBJECT \"=?UTF\"\n", "* SEARCH\nj OK SEARCH completed\n"},
        {"k SEARCH CHARSET UTF-8 TEXT {4+}\nj\303\266@\n", "* SEARCH 1\nk OK SEARCH completed\n"},
        {"l COPY 1 Archive\nm FETCH 1 UID\n",
         "l OK [COPYUID ~ 1 1] Done\n* 1 FETCH (UID 1)\nm OK FETCH completed\n"},
        {"n SELECT Archive\n", "* OK [CLOSED] Previous mailbox closed\n" SELECTED(
                                   1, 1, 2) "n OK [READ-WRITE] SELECT completed\n"},
        {"o FETCH 1 RFC822.SIZE\n", "* 1 FETCH (RFC822.SIZE 239)\no OK FETCH completed\n"},
        {NULL, NULL},
    };
    imap_rig_play("surrogate", turns);
}

static void test_utf8(void)
{
    static const struct imap_turn turns[] = {
        {"!x APPEND INBOX {139+}\nFrom: Jo <j\303\266@x.test>\nTo: Zo\303\251 <z@b.test>\nSubject: "
         "Gr\303\274\303\237e\nX-Gone: \303\251\nContent-Type: text/plain; charset=utf-8; "
         "name=\"\303\251.txt\"\n\nb\303\266dy\n\n",
         ""},
        {"a ENABLE UTF8=ACCEPT\n", "* ENABLED UTF8=ACCEPT\na OK ENABLE completed\n"},
        {"a SELECT INBOX\n", SELECTED(1, 1, 2) "a OK [READ-WRITE] SELECT completed\n"},
        {"b FETCH 1 (RFC822.SIZE BODY.PEEK[])\n",
         "* 1 FETCH (RFC822.SIZE 139 BODY[] {139}\nFrom: Jo <j\303\266@x.test>\nTo: Zo\303\251 "
         "<z@b.test>\nSubject: Gr\303\274\303\237e\nX-Gone: \303\251\nContent-Type: text/plain; "
         "charset=utf-8; name=\"\303\251.txt\"\n\nb\303\266dy\n)\nb OK FETCH completed\n"},
        {"c FETCH 1 ENVELOPE\n",
         "* 1 FETCH (ENVELOPE (NIL {7}\nGr\303\274\303\237e ((\"Jo\" NIL {3}\nj\303\266 "
         "\"x.test\")) ((\"Jo\" NIL {3}\nj\303\266 \"x.test\")) ((\"Jo\" NIL {3}\nj\303\266 "
         "\"x.test\")) (({4}\nZo\303\251 NIL \"z\" \"b.test\")) NIL NIL NIL NIL))\nc OK FETCH "
         "completed\n"},
        {NULL, NULL},
    };
    imap_rig_play("UTF8=ACCEPT", turns);
}

/* RFC 9755: IMAP4rev2 has all of it. */
static void test_rev2(void)
{
    static const struct imap_turn turns[] = {
        {"!x APPEND INBOX {139+}\nFrom: Jo <j\303\266@x.test>\nTo: Zo\303\251 <z@b.test>\nSubject: "
         "Gr\303\274\303\237e\nX-Gone: \303\251\nContent-Type: text/plain; charset=utf-8; "
         "name=\"\303\251.txt\"\n\nb\303\266dy\n\n",
         ""},
        {"a ENABLE IMAP4rev2\n", "* ENABLED IMAP4rev2\na OK ENABLE completed\n"},
        {"a EXAMINE INBOX\n",
         "* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft)\n* OK [PERMANENTFLAGS ()] Flags "
         "that stay\n* 1 EXISTS\n* LIST () \"/\" INBOX\n* OK [UIDVALIDITY ~] UIDs are valid\n* OK "
         "[UIDNEXT 2] Predicted next UID\n* OK [HIGHESTMODSEQ ~] Highest\na OK [READ-ONLY] EXAMINE "
         "completed\n"},
        {"b FETCH 1 (RFC822.SIZE BODY.PEEK[])\n",
         "* 1 FETCH (RFC822.SIZE 139 BODY[] {139}\nFrom: Jo <j\303\266@x.test>\nTo: Zo\303\251 "
         "<z@b.test>\nSubject: Gr\303\274\303\237e\nX-Gone: \303\251\nContent-Type: text/plain; "
         "charset=utf-8; name=\"\303\251.txt\"\n\nb\303\266dy\n)\nb OK FETCH completed\n"},
        {"c FETCH 1 ENVELOPE\n",
         "* 1 FETCH (ENVELOPE (NIL {7}\nGr\303\274\303\237e ((\"Jo\" NIL {3}\nj\303\266 "
         "\"x.test\")) ((\"Jo\" NIL {3}\nj\303\266 \"x.test\")) ((\"Jo\" NIL {3}\nj\303\266 "
         "\"x.test\")) (({4}\nZo\303\251 NIL \"z\" \"b.test\")) NIL NIL NIL NIL))\nc OK FETCH "
         "completed\n"},
        {NULL, NULL},
    };
    imap_rig_play("IMAP4rev2", turns);
}

/* Late, but servers need not mind (RFC 9051, section 6.3.1). */
static void test_enabled_late(void)
{
    static const struct imap_turn turns[] = {
        {"!x APPEND INBOX {139+}\nFrom: Jo <j\303\266@x.test>\nTo: Zo\303\251 <z@b.test>\nSubject: "
         "Gr\303\274\303\237e\nX-Gone: \303\251\nContent-Type: text/plain; charset=utf-8; "
         "name=\"\303\251.txt\"\n\nb\303\266dy\n\n",
         ""},
        {"a SELECT INBOX\n", SELECTED(1, 1, 2) "a OK [READ-WRITE] SELECT completed\n"},
        {"b FETCH 1 RFC822.SIZE\n", "* 1 FETCH (RFC822.SIZE 239)\nb OK FETCH completed\n"},
        {"c ENABLE UTF8=ACCEPT\n", "* ENABLED UTF8=ACCEPT\nc OK ENABLE completed\n"},
        {"d FETCH 1 RFC822.SIZE\n", "* 1 FETCH (RFC822.SIZE 139)\nd OK FETCH completed\n"},
        {NULL, NULL},
    };
    imap_rig_play("enabled late", turns);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"surrogate", test_surrogate},
        {"UTF8=ACCEPT", test_utf8},
        {"IMAP4rev2", test_rev2},
        {"enabled late", test_enabled_late},
        {NULL, NULL},
    };
    return unit_main("imap_utf8", tests, argc, argv);
}
