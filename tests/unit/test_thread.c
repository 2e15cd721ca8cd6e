/* SORT and THREAD without a mailbox: base subjects, Message-IDs, orders, forests. */
#include "base_subject.h"
#include "fold.h"
#include "sort.h"
#include "thread_int.h"
#include "unit.h"

static void test_base_subject(void)
{
    static const struct {
        const char *in, *want;
        bool reply;
    } rows[] = {
        {"", "", false},
        {"hello", "hello", false},
        {"  Hello   World ", "hello world", false},
        {"Re: hello", "hello", true},
        {"re:hello", "hello", true},
        {"RE : hello", "hello", true},
        {"Fw: hello", "hello", true},
        {"FWD: hello", "hello", true},
        {"Forward: hello", "forward: hello", false},
        {"Re: Re: fw: hello", "hello", true},
        {"Re[2]: hello", "hello", true},
        {"Re [2] : hello", "hello", true},
        {"Re[2 hello", "re[2 hello", false},
        {"Re[a[b]]: hello", "re[a[b]]: hello", false},
        {"[list] hello", "hello", false},
        {"[list] Re: [list] hello", "hello", true},
        {"[a][b] [c]Re: hello", "hello", true},
        {"[list]", "[list]", false},
        {"[a] [b]", "[b]", false},
        {"[unfinished hello", "[unfinished hello", false},
        {"Re: [list]", "[list]", true},
        {"Re:", "", true},
        {"hello (fwd)", "hello", true},
        {"hello (fwd) (FWD)  ", "hello", true},
        {"(fwd)", "", true},
        {"[Fwd: hello]", "hello", true},
        {"[Fwd: Re: [list] hello (fwd)]", "hello", true},
        {"[fwd: [fwd: hello]]", "hello", true},
        {"[fwd: hello", "[fwd: hello", false},
        {"Re: [fwd: hello]", "hello", true},
        {"hello Re: you", "hello re: you", false},
        {"rehearsal: at nine", "rehearsal: at nine", false},
        {"re", "re", false},
        {"Re: \xc3\x9c"
         "ber",
         "u\xcc\x88"
         "ber",
         true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pn_buf folded;
        bool reply;
        unit_row(rows[i].in);
        pn_buf_init(&folded, 1000);
        (void)pn_fold(pn_str_of(rows[i].in), &folded);
        UNIT_STR(pn_base_subject(pn_buf_str(&folded), &reply), pn_str_of(rows[i].want));
        UNIT_INT(reply, rows[i].reply);
        pn_buf_fini(&folded);
    }
    struct pn_buf long_one;
    pn_buf_init(&long_one, 100000);
    for (int i = 0; i < 20000; i++)
        (void)pn_buf_addz(&long_one, "[a]");
    UNIT_STR(pn_base_subject(pn_buf_str(&long_one), NULL), PN_STR("[")); /* cut, then blobs gone */
    pn_buf_fini(&long_one);
}

static void test_ids(void)
{
    static const struct {
        const char *in, *want;
    } rows[] = {
        {"", ""},
        {"<a@b>", "a@b;"},
        {"<a@b><c@d>\r\n\t<e@f> x", "a@b;c@d;e@f;"},
        {"text <a@b> by \"you\" <c@d>", "a@b;c@d;"},
        {"<\"01KF8\"@x>", "01KF8@x;"},
        {"<\"a\\\"b>c\"@x>", "a\"b>c@x;"},
        {"<a b\r\n @c>", "ab@c;"},
        {"<no-at>", ""},
        {"<@x> <x@> <a@b>", "a@b;"},
        {"<a@b", ""},
        {"<a <b@c>", "b@c;"},
        {"a@b", ""},
        {"<>", ""},
        {"<A@b> <a@b>", "A@b;a@b;"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pn_buf out, id;
        size_t at = 0;
        unit_row(rows[i].in);
        pn_buf_init(&out, 1000);
        pn_buf_init(&id, THREAD_ID_MAX);
        while (thread_next_id(pn_str_of(rows[i].in), &at, &id))
            (void)pn_buf_addf(&out, "%.*s;", PN_FMT(pn_buf_str(&id)));
        UNIT_STR(pn_buf_str(&out), pn_str_of(rows[i].want));
        pn_buf_fini(&out);
        pn_buf_fini(&id);
    }
}

/* A message a line: "date|subject|message-id|references|in-reply-to". */
static void check_thread(bool by_references, const char *mails, const char *want)
{
    struct thread *thread = thread_new(by_references);
    struct pn_str rest = pn_str_of(mails);
    struct pn_buf out;
    pn_buf_init(&out, 1000000);
    for (uint32_t seq = 1; rest.len > 0; seq++) {
        struct pn_str line = pn_str_split(&rest, '\n'), date = pn_str_split(&line, '|');
        uint64_t n = 0;
        (void)pn_str_u64(date, 1000000, &n);
        struct thread_mail mail = {.seq = seq, .shown = seq, .date = (int64_t)n};
        mail.subject = pn_str_split(&line, '|');
        mail.message_id = pn_str_split(&line, '|');
        mail.references = pn_str_split(&line, '|');
        mail.in_reply_to = line;
        UNIT_TRUE(thread_add(thread, &mail));
    }
    UNIT_TRUE(thread_print(thread, &out));
    UNIT_STR(pn_buf_str(&out), pn_str_of(want));
    pn_buf_fini(&out);
    thread_free(&thread);
}

static void test_references(void)
{
    static const struct {
        const char *label, *mails, *want;
    } rows[] = {
        {"none", "", ""},
        {"one", "1|a|<1@x>||", "(1)"},
        {"a reply", "1|a|<1@x>||\n2|re: a|<2@x>|<1@x>|", "(1 2)"},
        {"by In-Reply-To", "1|a|<1@x>||\n2|b|<2@x>||<1@x> <9@x>", "(1 2)"},
        {"References win", "1|a|<1@x>||\n2|b|<2@x>||\n3|c|<3@x>|<1@x>|<2@x>", "(1 3)(2)"},
        {"References without an id", "1|a|<1@x>||\n2|b|<2@x>|junk|<1@x>", "(1 2)"},
        {"a chain, out of order", "3|c|<3@x>|<1@x> <2@x>|\n1|a|<1@x>||\n2|b|<2@x>|<1@x>|",
         "(2 3 1)"},
        {"two replies by date", "1|a|<1@x>||\n9|b|<2@x>|<1@x>|\n5|c|<3@x>|<1@x>|", "(1 (3)(2))"},
        {"dates alike: by number", "1|a|<1@x>||\n5|b|<2@x>|<1@x>|\n5|c|<3@x>|<1@x>|", "(1 (2)(3))"},
        {"as in RFC 5256, section 4",
         "2|x|<2@x>||\n3|a|<3@x>||\n4|b|<6@x>|<3@x>|\n5|c|<4@x>|<3@x> <6@x>|\n"
         "6|d|<23@x>|<3@x> <6@x> <4@x>|\n7|e|<44@x>|<3@x> <6@x>|\n8|f|<7@x>|<6@x> <44@x>|\n"
         "9|g|<96@x>|<44@x> <7@x>|",
         "(1)(2 3 (4 5)(6 7 8))"},
        {"a parent that is missing: one child moves up", "1|a|<1@x>|<0@x>|", "(1)"},
        {"two dummies of one subject, a thread between them",
         "1|a|<1@x>|<8@x>|\n2|a|<2@x>|<8@x>|\n5|b|<5@x>||\n8|a|<3@x>|<9@x>|\n9|a|<4@x>|<9@x>|",
         "((1)(2)(4)(5))(3)"},
        {"missing, with two children: a dummy on top", "1|a|<1@x>|<0@x>|\n2|b|<2@x>|<0@x>|",
         "((1)(2))"},
        {"a missing one within", "1|a|<1@x>||\n2|b|<2@x>|<1@x> <0@x>|\n3|c|<3@x>|<1@x> <0@x>|",
         "(1 (2)(3))"},
        {"dummies over dummies", "1|a|<1@x>|<8@x> <9@x>|\n2|b|<2@x>|<8@x> <9@x>|\n3|c|<3@x>|<8@x>|",
         "((1)(2)(3))"},
        {"a long line of missing ones", "1|a|<1@x>|<5@x><6@x><7@x><8@x>|", "(1)"},
        {"refers to itself", "1|a|<1@x>|<1@x>|", "(1)"},
        {"two refer to each other", "1|a|<1@x>|<2@x>|\n2|b|<2@x>|<1@x>|", "(2 1)"},
        {"a ring of three", "1|a|<1@x>|<3@x>|\n2|b|<2@x>|<1@x>|\n3|c|<3@x>|<2@x>|", "(3 1 2)"},
        {"a shortened References is mended",
         "1|a|<1@x>||\n2|b|<3@x>|<1@x> <2@x>|\n3|c|<2@x>|<1@x>|\n4|d|<4@x>|<1@x> <3@x>|",
         "(1 3 2 4)"},
        {"one without references stands alone, whatever others say of it",
         "1|a|<2@x>|<9@x> <1@x>|\n2|b|<1@x>||", "(2 1)"},
        {"the same id twice: the second one has none", "1|a|<1@x>||\n2|b|<1@x>||\n3|c|<3@x>|<1@x>|",
         "(1 3)(2)"},
        {"no id at all", "1|a|||\n2|b|||", "(1)(2)"},
        {"same subject, not a reply: a dummy", "1|a|<1@x>||\n2|a|<2@x>||", "((1)(2))"},
        {"same subject, a reply", "1|a|<1@x>||\n2|re: a|<2@x>||", "(1 2)"},
        {"same subject, the reply first", "1|re: a|<1@x>||\n2|a|<2@x>||", "(2 1)"},
        {"two replies of one subject", "1|re: a|<1@x>||\n2|re: a|<2@x>||", "((1)(2))"},
        {"three of one subject", "1|a|<1@x>||\n2|a|<2@x>||\n3|a|<3@x>||", "((1)(2)(3))"},
        {"an original and two replies", "2|a|<1@x>||\n1|re: a|<2@x>||\n3|fwd: a|<3@x>||",
         "(1 (2)(3))"},
        {"empty subjects do not gather", "1||<1@x>||\n2|re:|<2@x>||", "(1)(2)"},
        {"a dummy and one of its subject", "1|a|<1@x>|<0@x>|\n2|b|<2@x>|<0@x>|\n3|a|<3@x>||",
         "((1)(2)(3))"},
        {"two dummies of one subject",
         "1|a|<1@x>|<0@x>|\n2|b|<2@x>|<0@x>|\n3|a|<3@x>|<9@x>|\n4|c|<4@x>|<9@x>|",
         "((1)(2)(3)(4))"},
        {"threads by the date of their first", "9|a|<1@x>||\n5|b|<2@x>||\n7|c|<3@x>|<2@x>|",
         "(2 3)(1)"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        unit_row(rows[i].label);
        check_thread(true, rows[i].mails, rows[i].want);
    }
}

static void test_ordered_subject(void)
{
    static const struct {
        const char *label, *mails, *want;
    } rows[] = {
        {"none", "", ""},
        {"one", "1|a", "(1)"},
        {"two alike", "2|a\n1|re: a", "(2 1)"},
        {"three alike", "2|a\n1|re: a\n3|[x] a", "(2 (1)(3))"},
        {"threads by date", "5|a\n3|b\n4|re: a\n1|c", "(4)(2)(3 1)"},
        {"empty ones are alike", "1|\n2|re:", "(1 2)"},
        {"dates alike", "1|b\n1|a\n1|b", "(1 3)(2)"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        unit_row(rows[i].label);
        check_thread(false, rows[i].mails, rows[i].want);
    }
}

/* As deep as there are messages, and rings of all kinds: it ends, soon. */
static void test_thread_deep(void)
{
    enum { DEEP = 50000 };
    struct thread *thread = thread_new(true);
    struct pn_buf out;
    pn_buf_init(&out, 10000000);
    for (uint32_t i = 1; i <= DEEP; i++) {
        char id[40], references[80];
        (void)snprintf(id, sizeof id, "<%u@x>", i);
        (void)snprintf(references, sizeof references, "<%u@x> <%u@x>", i * 7 % DEEP, i - 1);
        struct thread_mail mail = {.seq = i, .shown = i, .date = i, .subject = PN_STR("")};
        mail.message_id = pn_str_of(id);
        mail.references = pn_str_of(references);
        mail.in_reply_to = PN_STR("");
        UNIT_TRUE(thread_add(thread, &mail));
    }
    UNIT_TRUE(thread_print(thread, &out));
    size_t numbers = 0;
    for (size_t i = 1; i < out.len; i++)
        numbers += pn_is_digit(out.p[i]) && !pn_is_digit(out.p[i - 1]);
    UNIT_INT(numbers, DEEP);
    pn_buf_fini(&out);
    thread_free(&thread);
}

/* ---- SORT */

static void check_sort(const char *keys, const char *want)
{
    static const struct {
        int64_t date;
        uint32_t size;
        const char *header;
    } mails[] = {
        {500, 30,
         "From: Zoe <bob@x>\nTo: x@b\nSubject: Re: beta\nDate: 1 Jan 1970 00:01:00 +0000\n"},
        {300, 10,
         "From: <Alice@x>\nTo: \"Y\" <a@b>\nSubject: Alpha\nDate: 1 Jan 1970 00:03:00 +0000\n"},
        {400, 20, "From: anna: Bob <carl@x>;\nCc: m@x\nSubject: [l] =?utf-8?q?BETA?=\n"},
        {200, 20, "From: dora@x\nCc: l@x\nSubject:\nDate: 1 Jan 1970 01:02:00 +0100\n"},
    };
    struct pn_imap_args args = {.rest = pn_str_of(keys)};
    struct sort sort;
    struct pn_buf out;
    unit_row(keys);
    pn_buf_init(&out, 1000);
    bool ok = sort_parse(&sort, &args) && pn_imap_end(&args);
    UNIT_INT(ok, want != NULL);
    if (ok) {
        for (uint32_t i = 0; i < 4; i++) {
            struct pn_mail mail = {.date = mails[i].date, .size = mails[i].size};
            UNIT_TRUE(sort_add(&sort, i + 1, &mail, pn_str_of(mails[i].header)));
        }
        sort_run(&sort);
        for (size_t i = 0; i < 4; i++)
            (void)pn_buf_addf(&out, "%u", sort_nth(&sort, i));
        UNIT_STR(pn_buf_str(&out), pn_str_of(want));
    }
    sort_fini(&sort);
    pn_buf_fini(&out);
}

static void test_sort(void)
{
    static const struct {
        const char *keys, *want;
    } rows[] = {
        {"(ARRIVAL)", "4231"},
        {"(REVERSE ARRIVAL)", "1324"},
        {"(SIZE)", "2341"},
        {"(SIZE REVERSE ARRIVAL)", "2341"},
        {"(SIZE ARRIVAL)", "2431"},
        {"(REVERSE SIZE)", "1342"},
        {"(DATE)", "1423"}, /* 60, 120, 180; 400 by its internal date */
        {"(FROM)", "2314"},
        {"(DISPLAYFROM)", "2341"},
        {"(TO)", "3421"},
        {"(DISPLAYTO)", "3412"},
        {"(CC)", "1243"},
        {"(SUBJECT)", "4213"},
        {"(SUBJECT REVERSE DATE)", "4231"},
        {"(reverse subject)", "1324"},
        {"()", NULL},
        {"(REVERSE)", NULL},
        {"(REVERSE REVERSE DATE)", NULL},
        {"(DATE  SIZE)", NULL},
        {"DATE", NULL},
        {"(FOO)", NULL},
        {"(DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE)",
         "1423"},
        {"(DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE SIZE)",
         NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_sort(rows[i].keys, rows[i].want);
}

static void test_field(void)
{
    static const struct {
        const char *header, *name, *want;
    } rows[] = {
        {"", "Subject", ""},
        {"Subject: a\nTo: b\n", "to", "b"},
        {"Subject: a\r\n b\r\nTo: c\r\n", "Subject", "a\r\n b"},
        {"Subject : a", "subject", "a"},
        {"X-Subject: a\nSubject: b\nSubject: c", "Subject", "b"},
        {"no colon\nTo: a", "To", "a"},
        {" To: a\n", "To", "a"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        unit_row(rows[i].header);
        UNIT_STR(sort_field(pn_str_of(rows[i].header), pn_str_of(rows[i].name)),
                 pn_str_of(rows[i].want));
    }
}

/* Of the ids that one message names those that count are kept, the first and the last ones. */
static void test_many_references(void)
{
    static const struct {
        int ids;
        size_t nodes;
    } rows[] = {{1, 3},
                {THREAD_REFERENCES_MAX - 1, THREAD_REFERENCES_MAX + 1},
                {THREAD_REFERENCES_MAX, THREAD_REFERENCES_MAX + 2},
                {THREAD_REFERENCES_MAX + 1, THREAD_REFERENCES_MAX + 2},
                {20000, THREAD_REFERENCES_MAX + 2}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct thread *thread = thread_new(true);
        struct pn_buf ids, out;
        char last[20];
        pn_buf_init(&ids, 1000000);
        pn_buf_init(&out, 1000);
        for (int n = 0; n < rows[i].ids; n++)
            (void)pn_buf_addf(&ids, "<%d@a>", n);
        (void)snprintf(last, sizeof last, "<%d@a>", rows[i].ids - 1);
        unit_row(last);
        struct thread_mail mail = {
            .seq = 1, .shown = 1, .message_id = PN_STR("<me@a>"), .references = pn_buf_str(&ids)};
        UNIT_TRUE(thread_add(thread, &mail));
        UNIT_INT(thread->count, rows[i].nodes);
        struct thread_mail parent = {.seq = 2, .shown = 2, .message_id = pn_str_of(last)};
        UNIT_TRUE(thread_add(thread, &parent));
        UNIT_TRUE(thread_print(thread, &out));
        UNIT_STR(pn_buf_str(&out), PN_STR("(2 1)"));
        pn_buf_fini(&ids);
        pn_buf_fini(&out);
        thread_free(&thread);
    }
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"base_subject", test_base_subject},
                                             {"ids", test_ids},
                                             {"references", test_references},
                                             {"ordered_subject", test_ordered_subject},
                                             {"thread_deep", test_thread_deep},
                                             {"many_references", test_many_references},
                                             {"sort", test_sort},
                                             {"field", test_field},
                                             {NULL, NULL}};
    return unit_main("thread", tests, argc, argv);
}
