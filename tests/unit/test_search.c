/* SEARCH: keys to a program, and the program on a view, against an evaluator that is plain and
 * slow. */
#include "date.h"
#include "fake_view.h"
#include "fold.h"
#include "mem.h"
#include "search_run.h"
#include "text_dir.h"
#include "unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* The index that the program asks for: below this directory, or none. */
static char folder[64];

struct pn_texts *pn_texts_open(struct pn_user *user, struct pn_view *view)
{
    (void)user;
    return texts_open_dir(view, open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

/* ---- the parser */

static const char *const op_names[] = {"AND",     "OR",   "NOT",     "NUMBERS", "UIDS",
                                       "SAVED",   "FLAG", "KEYWORD", "MODSEQ",  "LARGER",
                                       "SMALLER", "DATE", "AGE",     "SENT",    "TEXT"};

static void print_day(struct pn_buf *out, int64_t day)
{
    (void)pn_buf_addz(out, day == INT64_MIN || day == INT64_MAX ? " -" : "");
    if (day != INT64_MIN && day != INT64_MAX)
        (void)pn_buf_addf(out, " %lld", (long long)day);
}

static void print_node(const struct search_program *program, uint32_t i, struct pn_buf *out)
{
    const struct search_node *node = &program->nodes[i];
    (void)pn_buf_addz(out, op_names[node->op]);
    if (node->op <= SEARCH_NOT) {
        (void)pn_buf_addc(out, '(');
        for (uint32_t at = i + 1; at < node->end; at = program->nodes[at].end) {
            (void)pn_buf_addz(out, at == i + 1 ? "" : ",");
            print_node(program, at, out);
        }
        (void)pn_buf_addc(out, ')');
    } else if (node->op <= SEARCH_SAVED) {
        (void)pn_buf_addc(out, ' ');
        if (node->set != NULL)
            (void)pn_uidset_print(node->set, out);
    } else if (node->op == SEARCH_KEYWORD) {
        (void)pn_buf_addf(out, " %.*s", PN_FMT(node->text));
    } else if (node->op == SEARCH_TEXT) {
        (void)pn_buf_addf(out, " %c:%.*s:%.*s", "abf"[node->words.where], PN_FMT(node->words.field),
                          PN_FMT(node->words.text));
    } else if (node->op >= SEARCH_DATE) {
        print_day(out, node->from);
        print_day(out, node->to);
    } else {
        (void)pn_buf_addf(out, " %llu", (unsigned long long)node->number);
    }
}

static enum search_parsed parse(const char *text, struct search_program *program,
                                struct pn_pool *pool, const struct pn_uidset *saved, bool utf8)
{
    struct pn_imap_args args = {.rest = pn_str_of(text), .pool = pool};
    struct search_scope scope = {
        .count = 20, .last_uid = 90, .saved = saved, .now = 1000000, .utf8 = utf8};
    return search_parse(program, &args, (struct pn_str){NULL, 0}, &scope);
}

static void test_parse(void)
{
    static const struct {
        const char *in, *want;
    } rows[] = {
        {"ALL", "AND(AND())"},
        {"seen UNSEEN", "AND(FLAG 1,NOT(FLAG 1))"},
        {"NEW OLD RECENT", "AND(NOT(AND()),AND(),NOT(AND()))"},
        {"1:3,7", "AND(NUMBERS 1:3,7)"},
        {"*", "AND(NUMBERS 20)"},
        {"$", "AND(SAVED 4:5)"},
        {"UID 5:*", "AND(UIDS 5:90)"},
        {"UID $", "AND(SAVED 4:5)"},
        {"UID 1,$", NULL},
        {"UID", NULL},
        {"KEYWORD Work UNKEYWORD $Junk", "AND(KEYWORD Work,NOT(KEYWORD $Junk))"},
        {"KEYWORD \\Seen", NULL},
        {"LARGER 5 SMALLER 18446744073709551615", NULL},
        {"LARGER 5 SMALLER 9223372036854775807", "AND(LARGER 5,SMALLER 9223372036854775807)"},
        {"LARGER x", NULL},
        {"BEFORE 2-Jan-1970", "AND(DATE - 1)"},
        {"ON \"02-jan-1970\"", "AND(DATE 1 2)"},
        {"SINCE 2-Jan-1970 SENTON 1-Feb-1994", "AND(DATE 1 -,SENT 8797 8798)"},
        {"SENTBEFORE 1-Jan-1960 SENTSINCE 1-Jan-2030", "AND(SENT - -3653,SENT 21915 -)"},
        {"BEFORE 1-Jan-0001 SINCE 29-Feb-1896", "AND(DATE - -719162,DATE -26969 -)"},
        {"ON 31-Feb-1994", NULL},
        {"ON 29-Feb-1700", NULL},
        {"ON 001-Feb-1994", NULL},
        {"ON 1-Feb-94", NULL},
        {"ON 1-Foo-1994", NULL},
        {"ON 1 Feb 1994", NULL},
        {"OLDER 10 YOUNGER 20", "AND(AGE - 999991,AGE 999980 -)"},
        {"YOUNGER 0", NULL},
        {"MODSEQ 7", "AND(MODSEQ 7)"},
        {"MODSEQ \"/flags/\\\\draft\" all 620162338", "AND(MODSEQ 620162338)"},
        {"MODSEQ \"/comment\" all 1", NULL},
        {"MODSEQ \"/flags/x\" any 1", NULL},
        {"MODSEQ", NULL},
        {"SUBJECT Hello FROM \"a B\" TO x CC y BCC z",
         "AND(TEXT f:subject:hello,TEXT f:from:a b,TEXT f:to:x,TEXT f:cc:y,TEXT f:bcc:z)"},
        {"BODY {3}\r\nA\tB TEXT \"\"", "AND(TEXT b::a b,TEXT a::)"},
        {"HEADER X-Foo \"\"", "AND(TEXT f:x-foo:)"},
        {"HEADER \"\" x", NULL},
        {"HEADER x", NULL},
        {"OR 1 2", "AND(OR(NUMBERS 1,NUMBERS 2))"},
        {"OR OR 1 2 OR 3 4", "AND(OR(NUMBERS 1,NUMBERS 2,NUMBERS 3,NUMBERS 4))"},
        {"OR 1", NULL},
        {"NOT 1", "AND(NOT(NUMBERS 1))"},
        {"NOT NOT SEEN", "AND(FLAG 1)"},
        {"NOT NOT NOT (SEEN 1)", "AND(NOT(AND(FLAG 1,NUMBERS 1)))"},
        {"NOT", NULL},
        {"((1))", "AND(AND(AND(NUMBERS 1)))"},
        {"(1 OR (2 3) 4) 5",
         "AND(AND(NUMBERS 1,OR(AND(NUMBERS 2,NUMBERS 3),NUMBERS 4)),NUMBERS 5)"},
        {"()", NULL},
        {"(1", NULL},
        {"1)", NULL},
        {"(1)2", NULL},
        {"", NULL},
        {" 1", NULL},
        {"1 ", NULL},
        {"1  2", NULL},
        {"ALLL", NULL},
        {"FUZZY TEXT x", NULL},
        {"CHARSET UTF-8 TEXT {2}\r\n\xc3\x9c", "AND(TEXT a::u\xcc\x88)"},
        {"CHARSET ISO-8859-1 TEXT {1}\r\n\xdc", "AND(TEXT a::u\xcc\x88)"},
        {"CHARSET \"koi8-r\" TEXT {1}\r\n\xe1", "AND(TEXT a::\xd0\xb0)"},
        {"CHARSET us-ascii SEEN", "AND(FLAG 1)"},
        {"CHARSET UTF-8", NULL},
        {"TEXT {2}\r\n\xc3\x9c", "AND(TEXT a::u\xcc\x88)"},
    };
    struct pn_uidset saved;
    pn_uidset_init(&saved, 10);
    (void)pn_uidset_add(&saved, 4, 5);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pn_pool *pool = pn_pool_new(100000);
        struct search_program program;
        struct pn_buf out;
        pn_buf_init(&out, 10000);
        unit_row(rows[i].in);
        enum search_parsed parsed = parse(rows[i].in, &program, pool, &saved, false);
        UNIT_INT(parsed, rows[i].want == NULL ? SEARCH_BAD : SEARCH_OK);
        if (parsed == SEARCH_OK && rows[i].want != NULL) {
            print_node(&program, 0, &out);
            UNIT_STR(pn_buf_str(&out), pn_str_of(rows[i].want));
        }
        search_program_fini(&program);
        pn_buf_fini(&out);
        pn_pool_free(&pool);
    }
    pn_uidset_fini(&saved);
}

static void repeat(struct pn_buf *out, const char *text, int n)
{
    for (int i = 0; i < n; i++)
        (void)pn_buf_addz(out, text);
}

static void test_parse_limits(void)
{
    static const struct {
        const char *label, *before, *part, *after;
        int times;
        enum search_parsed want;
    } rows[] = {
        {"parentheses at the limit", "", "(", "ALL", 98, SEARCH_BAD},
        {"parentheses beyond it", "", "(", "ALL", 100, SEARCH_TOO_MUCH},
        {"a million parentheses", "", "(", "", 1000000, SEARCH_TOO_MUCH},
        {"many ORs on the right", "", "OR 1 ", "2", 1900, SEARCH_OK},
        {"many ORs on the left", "", "OR ", "1", 100000, SEARCH_BAD},
        {"many NOTs", "", "NOT ", "1", 100001, SEARCH_OK},
        {"nodes beyond the limit", "1", " 1", "", 4000, SEARCH_TOO_MUCH},
        {"texts at the limit", "1", " TEXT x", "", 200, SEARCH_OK},
        {"texts beyond it", "1", " TEXT x", "", 201, SEARCH_TOO_MUCH},
        {"ranges beyond the limit", "2", ",4:5,9", " 2,4,6", 40000, SEARCH_OK},
        {"text at its limit", "TEXT \"", "x", "\"", 4096, SEARCH_OK},
        {"text beyond it", "TEXT \"", "x", "\"", 4097, SEARCH_TOO_MUCH},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pn_pool *pool = pn_pool_new(1000000);
        struct search_program program;
        struct pn_buf text;
        pn_buf_init(&text, 10000000);
        unit_row(rows[i].label);
        (void)pn_buf_addz(&text, rows[i].before);
        repeat(&text, rows[i].part, rows[i].times);
        (void)pn_buf_addz(&text, rows[i].after);
        UNIT_INT(parse(pn_buf_cstr(&text), &program, pool, NULL, false), rows[i].want);
        search_program_fini(&program);
        pn_buf_fini(&text);
        pn_pool_free(&pool);
    }
    struct pn_pool *pool = pn_pool_new(100000);
    struct search_program program;
    UNIT_INT(parse("CHARSET klingon ALL", &program, pool, NULL, false), SEARCH_BADCHARSET);
    search_program_fini(&program);
    UNIT_INT(parse("CHARSET UTF-8 ALL", &program, pool, NULL, true), SEARCH_BAD);
    search_program_fini(&program);
    pn_pool_free(&pool);
}

/* ---- evaluation */

static const char *const vocabulary[] = {"the",
                                         "Mail",
                                         "gate",
                                         "\xc3\x9c"
                                         "ber",
                                         "a",
                                         "x wall"};
enum { VOCABULARY = sizeof vocabulary / sizeof *vocabulary };
static const char *const dates[] = {"Date: Thu, 01 Jan 1970 23:30:00 -0500\n",
                                    "Date: Fri, 2 Jan 1970 00:10:00 +0200\n",
                                    "Date: Tue, 6 Jan 1970 12:00:00 +0000\n", "Date: never\n", ""};

static void fill_view(struct pn_view *view, uint32_t count)
{
    uint32_t uid = view->count == 0 ? 0 : view->mails[view->count - 1].mail.uid;
    for (uint32_t i = 0; i < count; i++) {
        struct pn_buf out;
        pn_buf_init(&out, 100000);
        (void)pn_buf_addf(&out, "From: %s <%s@a.test>\n%sSubject: %s\nX-Tag: %s\n\n",
                          vocabulary[rand() % VOCABULARY], i % 3 ? "mail" : "gate",
                          dates[rand() % 5], vocabulary[rand() % VOCABULARY],
                          vocabulary[rand() % VOCABULARY]);
        for (int n = rand() % 5; n > 0; n--)
            (void)pn_buf_addf(&out, "%s\n", vocabulary[rand() % VOCABULARY]);
        struct fake_mail *mail =
            fake_view_add(view, uid += 1 + (uint32_t)rand() % 3, pn_buf_cstr(&out));
        mail->mail.flags.system = (uint32_t)rand() % 32;
        mail->mail.flags.keywords = (uint32_t)rand() % 4;
        mail->mail.modseq = (uint64_t)rand() % 10;
        mail->mail.date = rand() % 1000000;
        pn_buf_fini(&out);
    }
    view->keywords[0] = "Work";
    view->keywords[1] = "$Junk";
}

/* One message, one node, the plain way. */
static bool naive(struct pn_view *view, const struct search_program *program, uint32_t i,
                  uint32_t seq)
{
    const struct search_node *node = &program->nodes[i];
    const struct fake_mail *mail = &view->mails[seq - 1];
    bool all = true, any = false, match = false;
    int64_t second, day = mail->mail.date / 86400;
    int zone;
    for (uint32_t at = i + 1; node->op <= SEARCH_NOT && at < node->end;
         at = program->nodes[at].end) {
        bool one = naive(view, program, at, seq);
        all = all && one;
        any = any || one;
    }
    struct pn_words *words = pn_words_new();
    pn_words_read(words, pn_str_of(mail->content));
    const char *date = strstr(mail->content, "Date: ");
    switch (node->op) {
    case SEARCH_AND:
        match = all;
        break;
    case SEARCH_OR:
        match = any;
        break;
    case SEARCH_NOT:
        match = !any;
        break;
    case SEARCH_NUMBERS:
        match = pn_uidset_has(node->set, seq);
        break;
    case SEARCH_UIDS:
    case SEARCH_SAVED:
        match = node->set != NULL && pn_uidset_has(node->set, mail->mail.uid);
        break;
    case SEARCH_FLAG:
        match = (mail->mail.flags.system & node->number) != 0;
        break;
    case SEARCH_KEYWORD:
        for (unsigned k = 0; k < pn_view_keywords(view); k++)
            match = match || (pn_str_ieq(pn_view_keyword(view, k), node->text) &&
                              (mail->mail.flags.keywords >> k & 1));
        break;
    case SEARCH_MODSEQ:
        match = mail->mail.modseq >= node->number;
        break;
    case SEARCH_LARGER:
        match = mail->mail.size > node->number;
        break;
    case SEARCH_SMALLER:
        match = mail->mail.size < node->number;
        break;
    case SEARCH_DATE:
        match = day >= node->from && day < node->to;
        break;
    case SEARCH_AGE:
        match = mail->mail.date >= node->from && mail->mail.date < node->to;
        break;
    case SEARCH_SENT:
        if (date != NULL &&
            pn_date_parse(pn_str_slice(pn_str_of(date), 6, strcspn(date, "\n")), &second, &zone)) {
            day = (second + zone * 60) / 86400;
            match = day >= node->from && day < node->to;
        }
        break;
    case SEARCH_TEXT:
        match = pn_words_match(words, &node->words);
        break;
    }
    pn_words_free(&words);
    return match;
}

static void add_key(struct pn_buf *out, int depth)
{
    static const char *const leaves[] = {"ALL",
                                         "SEEN",
                                         "UNFLAGGED",
                                         "KEYWORD work",
                                         "UNKEYWORD $JUNK",
                                         "KEYWORD No",
                                         "1:10,50:60",
                                         "UID 20:90",
                                         "$",
                                         "MODSEQ 5",
                                         "LARGER 110",
                                         "SMALLER 120",
                                         "ON 2-Jan-1970",
                                         "SINCE 7-Jan-1970",
                                         "OLDER 500000",
                                         "YOUNGER 300000",
                                         "NEW",
                                         "RECENT",
                                         "SENTON 1-Jan-1970",
                                         "SENTSINCE 2-Jan-1970"};
    int what = depth > 3 ? 4 + rand() % 6 : rand() % 10;
    if (what == 0)
        (void)pn_buf_addz(out, "OR ");
    if (what == 1)
        (void)pn_buf_addz(out, "NOT ");
    if (what <= 1) {
        add_key(out, depth + 1);
        (void)pn_buf_addz(out, what == 0 ? " " : "");
        if (what == 0)
            add_key(out, depth + 1);
    } else if (what <= 3) {
        (void)pn_buf_addc(out, '(');
        add_key(out, depth + 1);
        (void)pn_buf_addc(out, ' ');
        add_key(out, depth + 1);
        (void)pn_buf_addc(out, ')');
    } else if (what <= 7) {
        (void)pn_buf_addz(out, leaves[rand() % (int)(sizeof leaves / sizeof *leaves)]);
    } else {
        static const char *const where[] = {"BODY", "TEXT", "FROM", "SUBJECT", "HEADER X-Tag"};
        const char *word = vocabulary[rand() % VOCABULARY];
        (void)pn_buf_addf(out, "%s {%zu}\r\n%s", where[rand() % 5], strlen(word), word);
    }
}

static void check_search(struct pn_view *view, const char *text, const struct pn_uidset *saved,
                         bool use_index, unsigned ms)
{
    struct pn_pool *pool = pn_pool_new(1000000);
    struct search_program program;
    unit_row(text);
    UNIT_INT(parse(text, &program, pool, saved, false), SEARCH_OK);
    struct search_run *run =
        search_run_new(use_index ? (struct pn_user *)view : NULL, view, &program);
    while (!search_run_step(run, ms))
        ;
    for (uint32_t seq = 1; seq <= view->count; seq++)
        if (bits_has(search_run_result(run), seq) != naive(view, &program, 0, seq))
            UNIT_INT(seq, bits_has(search_run_result(run), seq));
    search_run_free(&run);
    search_program_fini(&program);
    pn_pool_free(&pool);
}

static void test_run(void)
{
    struct pn_view view = {.uidvalidity = 3};
    struct pn_uidset saved;
    srand(11);
    (void)strncpy(folder, "/tmp/postern-search-XXXXXX", sizeof folder - 1);
    UNIT_TRUE(mkdtemp(folder) != NULL);
    pn_uidset_init(&saved, 10);
    (void)pn_uidset_add(&saved, 30, 80);
    fill_view(&view, 90);
    for (int i = 0; i < 150; i++) {
        struct pn_buf text;
        pn_buf_init(&text, 10000);
        add_key(&text, 0);
        for (int n = rand() % 3; n > 0; n--) {
            (void)pn_buf_addc(&text, ' ');
            add_key(&text, 0);
        }
        check_search(&view, pn_buf_cstr(&text), i % 7 ? &saved : NULL, i % 2, i % 3 ? 0 : 1000);
        pn_buf_fini(&text);
        if (i % 50 == 49)
            fill_view(&view, 1 + (uint32_t)i % 40);
    }
    pn_uidset_fini(&saved);
    fake_view_fini(&view);
    int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    texts_sweep(dir, NULL, 0);
    (void)close(dir);
    UNIT_INT(rmdir(folder), 0);
}

/* Cheap keys first: what they leave is all that is read. */
static void test_run_order(void)
{
    static const struct {
        const char *text;
        unsigned reads, cached;
    } rows[] = {
        {"BODY gate 3", 1, 0},
        {"BODY gate SEEN UNSEEN", 0, 0},
        {"OR BODY gate ALL", 0, 0},
        {"SENTON 1-Jan-1970 UID 1", 0, 1},
        {"BODY gate SUBJECT x 2:3 SUBJECT none", 0, 2},
        {"NOT BODY gate NOT BODY the 7", 1, 0},
        {"FROM gate", 0, 10},
    };
    struct pn_view view = {.uidvalidity = 3};
    fill_view(&view, 10);
    for (uint32_t i = 0; i < 10; i++)
        view.mails[i].mail.uid = i + 1;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        view.reads = view.cached = 0;
        check_search(&view, rows[i].text, NULL, false, 1000);
        UNIT_INT(view.reads, rows[i].reads);
        UNIT_INT(view.cached, rows[i].cached);
    }
    fake_view_fini(&view);
}

/* Hundreds of keys that memory answers ask each message once, not each time in each slice. */
static void test_run_many(void)
{
    static const char *const rows[] = {"OR SEEN ", "OR SMALLER 90 ", "OR OLDER 7 "};
    struct pn_view view = {.uidvalidity = 3};
    fill_view(&view, 30);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pn_buf text;
        pn_buf_init(&text, 100000);
        repeat(&text, rows[i], 300);
        (void)pn_buf_addz(&text, "DELETED HEADER X-Tag gate");
        view.asked = 0;
        check_search(&view, pn_buf_cstr(&text), NULL, false, 0);
        unit_row(rows[i]);
        UNIT_INT(view.asked, 30);
        pn_buf_fini(&text);
    }
    fake_view_fini(&view);
}

/* Who could not read a message says so: it is no answer that it has not the word. */
static void test_run_unreadable(void)
{
    static const struct {
        const char *text;
        enum pn_read is;
        bool want;
    } rows[] = {
        {"BODY gate", PN_READ_OK, false},
        {"BODY gate", PN_READ_ERROR, true},
        {"BODY gate", PN_READ_EXPUNGED, false},
        {"NOT BODY gate", PN_READ_ERROR, true},
        {"SUBJECT gate", PN_READ_ERROR, true},
        {"SENTON 1-Jan-1970", PN_READ_ERROR, true},
        {"SUBJECT gate", PN_READ_EXPUNGED, false},
        {"1 BODY gate", PN_READ_ERROR, false},
        {"SEEN", PN_READ_ERROR, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pn_view view = {.uidvalidity = 3};
        struct pn_pool *pool = pn_pool_new(100000);
        struct search_program program;
        fill_view(&view, 5);
        view.mails[2].is = rows[i].is;
        view.mails[2].mail.gone = rows[i].is == PN_READ_EXPUNGED;
        UNIT_INT(parse(rows[i].text, &program, pool, NULL, false), SEARCH_OK);
        struct search_run *run = search_run_new(NULL, &view, &program);
        while (!search_run_step(run, 0))
            ;
        unit_row(rows[i].text);
        UNIT_INT(search_run_failed(run), rows[i].want);
        search_run_free(&run);
        search_program_fini(&program);
        pn_pool_free(&pool);
        fake_view_fini(&view);
    }
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {{"parse", test_parse},
                                             {"parse_limits", test_parse_limits},
                                             {"run", test_run},
                                             {"run_order", test_run_order},
                                             {"run_many", test_run_many},
                                             {"run_unreadable", test_run_unreadable},
                                             {NULL, NULL}};
    return unit_main("search", tests, argc, argv);
}
