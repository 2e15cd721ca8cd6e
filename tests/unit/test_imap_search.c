/* Dialogues of SEARCH, SORT and THREAD; a test for each capability word that is theirs, by its
 * name. */
#include "clock.h"
#include "fake_store.h"
#include "imap_capability.h"
#include "imap_rig.h"
#include "unit.h"

#define APPEND1                                                                                    \
    "!x APPEND INBOX (\\Seen) \"01-Jan-2020 10:00:00 +0000\" {123+}\n"                             \
    "From: Ann <ann@a.test>\nTo: bob@b.test\nSubject: One\nMessage-ID: <1@a>\nDate: 1 Jan 2020 "   \
    "10:00:00 +0000\n\nHello postern\n\n"
#define APPEND2                                                                                    \
    "!x APPEND INBOX (\\Answered) \"14-Nov-2023 22:13:10 +0000\" {144+}\n"                         \
    "From: Zed <zed@a.test>\nTo: ann@a.test\nSubject: Re: One\nMessage-ID: <2@a>\nIn-Reply-To: "   \
    "<1@a>\nDate: 3 Jan 2020 10:00:00 +0000\n\nHello Gate\n\n"
#define APPEND3                                                                                    \
    "!x APPEND INBOX (\\Flagged Work) \"14-Nov-2023 22:13:20 +0000\" {121+}\n"                     \
    "From: Carl <bob@b.test>\nSubject: =?utf-8?q?=C3=9Cber?=\nMessage-ID: <3@a>\nDate: 2 Jan "     \
    "2020 10:00:00 +0000\n\nthe wall\n\n"
#define BADCHARSET                                                                                 \
    "s NO [BADCHARSET (US-ASCII UTF-8 ISO-8859-1 ISO-8859-2 ISO-8859-5 ISO-8859-7 ISO-8859-15 "    \
    "WINDOWS-1250 WINDOWS-1251 WINDOWS-1252 KOI8-R KOI8-U ISO-2022-JP SHIFT_JIS EUC-JP EUC-KR "    \
    "GB18030 BIG5)] This charset is not known here\n"
#define SELECT                                                                                     \
    {APPEND1, ""}, {APPEND2, ""}, {APPEND3, ""},                                                   \
    {                                                                                              \
        "a SELECT INBOX\n",                                                                        \
            "* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft Work)\n"                       \
            "* OK [PERMANENTFLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft Work \\*)] "      \
            "Flags that stay\n* 3 EXISTS\n* 0 RECENT\n* OK [UNSEEN 2] First unseen\n"              \
            "* OK [UIDVALIDITY ~] UIDs are valid\n* OK [UIDNEXT 4] Predicted next UID\n"           \
            "* OK [HIGHESTMODSEQ ~] Highest\na OK [READ-WRITE] SELECT completed\n"                 \
    }
#define OK(n) "s OK " n " completed\n"
#define END                                                                                        \
    {                                                                                              \
        NULL, NULL                                                                                 \
    }

static void test_search(void)
{
    static const struct imap_turn turns[] = {
        {"s SEARCH ALL\n", "s BAD Select a mailbox first\n"},
        SELECT,
        {"s SEARCH ALL\n", "* SEARCH 1 2 3\n" OK("SEARCH")},
        {"s search unseen\n", "* SEARCH 2 3\n" OK("SEARCH")},
        {"s SEARCH SUBJECT one FROM ann\n", "* SEARCH 1\n" OK("SEARCH")},
        {"s SEARCH SUBJECT {5+}\n\xc3\x9c"
         "BER\n",
         "* SEARCH 3\n" OK("SEARCH")},
        {"s SEARCH CHARSET iso-8859-1 SUBJECT {4}\n\xfc"
         "ber\n",
         "+ Go on\n* SEARCH 3\n" OK("SEARCH")},
        {"s SEARCH CHARSET klingon ALL\n", BADCHARSET},
        {"s SEARCH BODY hello\n", "* SEARCH 1 2\n" OK("SEARCH")},
        {"s SEARCH TEXT b.test\n", "* SEARCH 1 3\n" OK("SEARCH")},
        {"s SEARCH BODY b.test\n", "* SEARCH\n" OK("SEARCH")},
        {"s SEARCH HEADER Message-ID 2@a\n", "* SEARCH 2\n" OK("SEARCH")},
        {"s SEARCH HEADER In-Reply-To \"\"\n", "* SEARCH 2\n" OK("SEARCH")},
        {"s SEARCH OR KEYWORD work NOT TO \"@\"\n", "* SEARCH 3\n" OK("SEARCH")},
        {"s SEARCH SENTSINCE 2-Jan-2020 SENTBEFORE 3-Jan-2020\n", "* SEARCH 3\n" OK("SEARCH")},
        {"s SEARCH ON 1-Jan-2020\n", "* SEARCH 1\n" OK("SEARCH")},
        {"s SEARCH 2:* (UID 1:2)\n", "* SEARCH 2\n" OK("SEARCH")},
        {"s UID SEARCH FLAGGED\n", "* SEARCH 3\n"
                                   "s OK UID SEARCH completed\n"},
        {"s SEARCH LARGER 100000\n", "* SEARCH\n" OK("SEARCH")},
        {"s SEARCH MODSEQ 1 1\n",
         "* OK [HIGHESTMODSEQ ~] CONDSTORE is on\n* SEARCH 1 (MODSEQ ~)\n" OK("SEARCH")},
        {"s SEARCH MODSEQ 999999999\n", "* SEARCH\n" OK("SEARCH")},
        {"s SEARCH\n", "s BAD Wrong arguments of SEARCH\n"},
        {"s SEARCH FOO\n", "s BAD Wrong arguments of SEARCH\n"},
        {"s SEARCH RETURN (FOO) ALL\n", "s BAD Wrong arguments of SEARCH\n"},
        /* Numbers stand while a search runs, and UIDs after one of UIDs. */
        {"!x SELECT INBOX\nx STORE 1 +FLAGS.SILENT (\\Deleted)\n", ""},
        {"!x EXPUNGE\n", ""},
        {"s SEARCH SEEN\n", "* SEARCH 1\n" OK("SEARCH")},
        {"s SEARCH SUBJECT one\n", "* SEARCH 2\n" OK("SEARCH")}, /* the other can't be read */
        {"s UID SEARCH SEEN\n", "* SEARCH 1\n* 1 EXPUNGE\ns OK UID SEARCH completed\n"},
        {"s UID SEARCH SUBJECT one\n", "* SEARCH 2\ns OK UID SEARCH completed\n"},
        END,
    };
    imap_rig_play("SEARCH", turns);
}

static void test_esearch(void)
{
    static const struct imap_turn turns[] = {
        SELECT,
        {"s SEARCH RETURN (MIN MAX COUNT) ALL\n",
         "* ESEARCH (TAG \"s\") MIN 1 MAX 3 COUNT 3\n" OK("SEARCH")},
        {"s SEARCH RETURN () ALL\n", "* ESEARCH (TAG \"s\") ALL 1:3\n" OK("SEARCH")},
        {"s UID SEARCH RETURN (ALL) NOT 2\n",
         "* ESEARCH (TAG \"s\") UID ALL 1,3\ns OK UID SEARCH completed\n"},
        {"s SEARCH RETURN (COUNT MIN ALL) DRAFT\n", "* ESEARCH (TAG \"s\") COUNT 0\n" OK("SEARCH")},
        {"s SEARCH RETURN (MIN) CHARSET UTF-8 UNSEEN\n",
         "* ESEARCH (TAG \"s\") MIN 2\n" OK("SEARCH")},
        {"s SEARCH RETURN (MIN)\n", "s BAD Wrong arguments of SEARCH\n"},
        {"s SEARCH RETURN (MIN MAX)ALL\n", "s BAD Wrong arguments of SEARCH\n"},
        END,
    };
    imap_rig_play("ESEARCH", turns);
}

/* With rev2 there is no SEARCH response. */
static void test_rev2(void)
{
    static const struct imap_turn turns[] = {
        SELECT,
        {"e ENABLE IMAP4rev2\n", "* ENABLED IMAP4rev2\ne OK ENABLE completed\n"},
        {"s SEARCH 1\n", "* ESEARCH (TAG \"s\") ALL 1\n" OK("SEARCH")},
        {"s UID SEARCH SEEN\n", "* ESEARCH (TAG \"s\") UID ALL 1\ns OK UID SEARCH completed\n"},
        {"s SEARCH DRAFT\n", "* ESEARCH (TAG \"s\")\n" OK("SEARCH")},
        END,
    };
    if (pn_imap_capability_is("IMAP4rev2", PN_IMAP_AFTER_LOGIN)) /* else it can't be ENABLEd */
        imap_rig_play("IMAP4rev2 SEARCH", turns);
}

static void test_searchres(void)
{
    static const struct imap_turn turns[] = {
        SELECT,
        {"s SEARCH RETURN (SAVE) SUBJECT one\n", OK("SEARCH")},
        {"s SEARCH $ SEEN\n", "* SEARCH 1\n" OK("SEARCH")},
        {"s UID SEARCH UID $\n", "* SEARCH 1 2\ns OK UID SEARCH completed\n"},
        {"s FETCH $ UID\n", "* 1 FETCH (UID 1)\n* 2 FETCH (UID 2)\ns OK FETCH completed\n"},
        {"s SEARCH RETURN (SAVE MIN) ALL\n", "* ESEARCH (TAG \"s\") MIN 1\n" OK("SEARCH")},
        {"s SEARCH $\n", "* SEARCH 1\n" OK("SEARCH")},
        {"s SEARCH RETURN (SAVE MAX MIN) ALL\n",
         "* ESEARCH (TAG \"s\") MIN 1 MAX 3\n" OK("SEARCH")},
        {"s SEARCH NOT $\n", "* SEARCH 2\n" OK("SEARCH")},
        {"s SEARCH RETURN (SAVE MAX COUNT) ALL\n",
         "* ESEARCH (TAG \"s\") MAX 3 COUNT 3\n" OK("SEARCH")},
        {"s SEARCH $\n", "* SEARCH 1 2 3\n" OK("SEARCH")},
        {"s SEARCH RETURN (SAVE) $ UNSEEN\n", OK("SEARCH")},
        {"s SEARCH $\n", "* SEARCH 2 3\n" OK("SEARCH")},
        {"s SEARCH RETURN (SAVE) FOO\n", "s BAD Wrong arguments of SEARCH\n"},
        {"s SEARCH $\n", "* SEARCH 2 3\n" OK("SEARCH")},
        {"s SEARCH RETURN (SAVE) CHARSET klingon ALL\n", BADCHARSET},
        {"s SEARCH $\n", "* SEARCH\n" OK("SEARCH")},
        {"s SEARCH RETURN (SAVE) ALL\n", OK("SEARCH")},
        {"!x SELECT INBOX\nx STORE 1 +FLAGS.SILENT (\\Deleted)\n", ""},
        {"!x EXPUNGE\n", ""},
        {"s NOOP\n", "* 1 EXPUNGE\ns OK NOOP completed\n"},
        {"s UID SEARCH $\n", "* SEARCH 2 3\ns OK UID SEARCH completed\n"},
        END,
    };
    imap_rig_play("SEARCHRES", turns);
}

static void test_within(void)
{
    static const struct imap_turn turns[] = {
        SELECT,
        {"s SEARCH YOUNGER 5\n", "* SEARCH 3\n" OK("SEARCH")},
        {"s SEARCH YOUNGER 10\n", "* SEARCH 2 3\n" OK("SEARCH")},
        {"s SEARCH OLDER 10\n", "* SEARCH 1 2\n" OK("SEARCH")},
        {"s SEARCH OLDER 11\n", "* SEARCH 1\n" OK("SEARCH")},
        {"s SEARCH OLDER 0\n", "s BAD Wrong arguments of SEARCH\n"},
        END,
    };
    imap_rig_play("WITHIN", turns);
}

static void test_sort(void)
{
    static const struct imap_turn turns[] = {
        SELECT,
        {"s SORT (DATE) UTF-8 ALL\n", "* SORT 1 3 2\n" OK("SORT")},
        {"s SORT (REVERSE ARRIVAL) US-ASCII ALL\n", "* SORT 3 2 1\n" OK("SORT")},
        {"s SORT (SUBJECT REVERSE DATE) UTF-8 ALL\n", "* SORT 2 1 3\n" OK("SORT")},
        {"s SORT (FROM) UTF-8 ALL\n", "* SORT 1 3 2\n" OK("SORT")},
        {"s SORT (TO) UTF-8 ALL\n", "* SORT 3 2 1\n" OK("SORT")},
        {"s SORT (SIZE) UTF-8 ALL\n", "* SORT 3 1 2\n" OK("SORT")},
        {"s UID SORT (DATE) UTF-8 UNSEEN\n", "* SORT 3 2\ns OK UID SORT completed\n"},
        {"s SORT (DATE) UTF-8 DRAFT\n", "* SORT\n" OK("SORT")},
        {"s SORT (DATE) klingon ALL\n", BADCHARSET},
        {"s SORT (DATE) UTF-8\n", "s BAD Wrong arguments of SORT\n"},
        {"s SORT () UTF-8 ALL\n", "s BAD Wrong arguments of SORT\n"},
        {"s SORT (DATE) UTF-8 MODSEQ 1\n",
         "* OK [HIGHESTMODSEQ ~] CONDSTORE is on\n* SORT 1 3 2 (MODSEQ ~)\n" OK("SORT")},
        END,
    };
    imap_rig_play("SORT", turns);
}

static void test_sort_display(void)
{
    static const struct imap_turn turns[] = {
        SELECT,
        {"s SORT (DISPLAYFROM) UTF-8 ALL\n", "* SORT 1 3 2\n" OK("SORT")},
        {"s SORT (REVERSE DISPLAYFROM) UTF-8 ALL\n", "* SORT 2 3 1\n" OK("SORT")},
        {"s SORT (DISPLAYTO) UTF-8 ALL\n", "* SORT 3 2 1\n" OK("SORT")},
        END,
    };
    imap_rig_play("SORT=DISPLAY", turns);
}

static void test_thread_references(void)
{
    static const struct imap_turn turns[] = {
        SELECT,
        {"s THREAD REFERENCES UTF-8 ALL\n", "* THREAD (1 2)(3)\n" OK("THREAD")},
        {"s UID THREAD references UTF-8 2:3\n", "* THREAD (3)(2)\ns OK UID THREAD completed\n"},
        {"s THREAD REFERENCES UTF-8 DRAFT\n", "* THREAD\n" OK("THREAD")},
        {"s THREAD REFS UTF-8 ALL\n", "s BAD Wrong arguments of THREAD\n"},
        {"s THREAD REFERENCES UTF-8\n", "s BAD Wrong arguments of THREAD\n"},
        END,
    };
    imap_rig_play("THREAD=REFERENCES", turns);
}

static void test_thread_subject(void)
{
    static const struct imap_turn turns[] = {
        SELECT,
        {"s THREAD ORDEREDSUBJECT UTF-8 ALL\n", "* THREAD (1 2)(3)\n" OK("THREAD")},
        {"s THREAD ORDEREDSUBJECT UTF-8 SEEN\n", "* THREAD (1)\n" OK("THREAD")},
        END,
    };
    imap_rig_play("THREAD=ORDEREDSUBJECT", turns);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"SEARCH", test_search},
        {"ESEARCH", test_esearch},
        {"IMAP4rev2 SEARCH", test_rev2},
        {"SEARCHRES", test_searchres},
        {"WITHIN", test_within},
        {"SORT", test_sort},
        {"SORT=DISPLAY", test_sort_display},
        {"THREAD=REFERENCES", test_thread_references},
        {"THREAD=ORDEREDSUBJECT", test_thread_subject},
        {NULL, NULL},
    };
    pn_clock_wall_fix((int64_t)FAKE_NOW * 1000);
    return unit_main("imap_search", tests, argc, argv);
}
