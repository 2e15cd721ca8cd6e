/* What becomes of proposed edits: grants, lines that a worker should not have sent, bodies that
 * are none, and recipients who come and go. */
#include "unit.h"

#include "kit_policy.h"
#include "memfile.h"
#include "verdict.h"

#include <unistd.h>

struct fixture {
    struct kit kit;
    struct pn_pool *pool;
    struct pn_facts facts;
    struct pn_verdict verdict;
};

static void open_fixture(struct fixture *f, const char *grants)
{
    struct pn_buf text;
    pn_buf_init(&text, 2000);
    (void)pn_buf_addf(&text,
                      "plugins { alpha { edits %s } gamma { edits headers } }\n"
                      "domain in.test { recipients any route local }\n"
                      "domain out.test { recipients any route local plugins off alpha }",
                      grants);
    kit_open(&f->kit, pn_buf_cstr(&text), "");
    UNIT_STR(kit_problems(&f->kit), PN_STR(""));
    pn_buf_fini(&text);
    f->pool = pn_pool_new(1 << 20);
    pn_facts_init(&f->facts, f->pool);
    f->verdict =
        (struct pn_verdict){.id = PN_STR("q1"), .policy = f->kit.policy, .facts = &f->facts};
}

static void close_fixture(struct fixture *f)
{
    pn_pool_free(&f->pool);
    kit_close(&f->kit);
}

static void propose(struct fixture *f, const char *plugin, enum pn_fact_edit_op op,
                    struct pn_str name, struct pn_str value, uint32_t index)
{
    UNIT_TRUE(pn_facts_add_edit(&f->facts,
                                &(struct pn_fact_edit){op, pn_str_of(plugin), name, value, index}));
}

static void test_grants(void)
{
    static const struct {
        const char *grants;
        unsigned made; /* bits of the operations */
    } rows[] = {
        {"none", 0},
        {"headers", 0x0f},
        {"body", 1U << PN_FACT_REPLACE_BODY},
        {"sender", 1U << PN_FACT_CHANGE_FROM},
        {"recipients", 1U << PN_FACT_ADD_RCPT | 1U << PN_FACT_REMOVE_RCPT},
        {"headers body sender recipients", 0xff},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fixture f;
        unit_row(rows[i].grants);
        open_fixture(&f, rows[i].grants);
        for (unsigned op = 0; op < PN_FACT_EDIT_OPS; op++)
            propose(&f, "alpha", (enum pn_fact_edit_op)op, PN_STR("X"), PN_STR("a@b.test"), 0);
        propose(&f, "gamma", PN_FACT_ADD_HEADER, PN_STR("X"), PN_STR("y"), 0);
        propose(&f, "unknown", PN_FACT_ADD_HEADER, PN_STR("X"), PN_STR("y"), 0);
        UNIT_TRUE(pn_verdict_edits(&f.verdict, f.pool));
        UNIT_INT(f.verdict.edit_count, PN_FACT_EDIT_OPS + 2);
        for (unsigned op = 0; op < PN_FACT_EDIT_OPS; op++)
            UNIT_INT(f.verdict.edits[op].refused.len == 0, rows[i].made >> op & 1);
        UNIT_TRUE(f.verdict.edits[PN_FACT_EDIT_OPS].refused.len == 0);
        UNIT_TRUE(f.verdict.edits[PN_FACT_EDIT_OPS + 1].refused.len != 0);
        const struct pn_domain *in = pn_policy_domain(f.kit.policy, PN_STR("in.test"));
        const struct pn_domain *out = pn_policy_domain(f.kit.policy, PN_STR("out.test"));
        for (size_t k = 0; k < f.verdict.edit_count; k++) {
            bool made = f.verdict.edits[k].refused.len == 0;
            UNIT_INT(pn_verdict_edit_counts(&f.verdict, k, in), made);
            UNIT_INT(pn_verdict_edit_counts(&f.verdict, k, out), made && k == PN_FACT_EDIT_OPS);
        }
        close_fixture(&f);
    }
}

/* The host would not have taken these: a worker that somebody took over sends them. */
static void test_lines(void)
{
    static char long_word[1200];
    static const struct {
        const char *label;
        enum pn_fact_edit_op op;
        struct pn_str name, value;
        bool want;
    } rows[] = {
        {"good", PN_FACT_ADD_HEADER, PN_STR_INIT("X"), PN_STR_INIT("y"), true},
        {"folded", PN_FACT_INSERT_HEADER, PN_STR_INIT("X"), PN_STR_INIT("y\r\n z"), true},
        {"nothing", PN_FACT_CHANGE_HEADER, PN_STR_INIT("X"), PN_STR_INIT(""), true},
        {"another line", PN_FACT_ADD_HEADER, PN_STR_INIT("X"), PN_STR_INIT("y\r\nBcc: z"), false},
        {"the header's end", PN_FACT_INSERT_HEADER, PN_STR_INIT("X"), PN_STR_INIT("y\r\n\r\nz"),
         false},
        {"bare LF", PN_FACT_CHANGE_HEADER, PN_STR_INIT("X"), PN_STR_INIT("y\nz"), false},
        {"bare CR", PN_FACT_ADD_HEADER, PN_STR_INIT("X"), PN_STR_INIT("y\rz"), false},
        {"NUL", PN_FACT_ADD_HEADER, PN_STR_INIT("X"), PN_STR_INIT("y\0z"), false},
        {"no name", PN_FACT_ADD_HEADER, PN_STR_INIT(""), PN_STR_INIT("y"), false},
        {"a name with a colon", PN_FACT_CHANGE_HEADER, PN_STR_INIT("X:"), PN_STR_INIT("y"), false},
        {"a name with a line", PN_FACT_REMOVE_HEADER, PN_STR_INIT("X\r\nY"), PN_STR_INIT(""),
         false},
        {"a name beyond ASCII", PN_FACT_INSERT_HEADER, PN_STR_INIT("\xc3\xa4"), PN_STR_INIT("y"),
         false},
        {"a verdict", PN_FACT_INSERT_HEADER, PN_STR_INIT("X-Postern-Verdict"),
         PN_STR_INIT("accept; score=0"), false},
        {"one in place of another", PN_FACT_CHANGE_HEADER, PN_STR_INIT("x-postern-anything"),
         PN_STR_INIT("y"), false},
        {"almost one", PN_FACT_ADD_HEADER, PN_STR_INIT("X-Posterna"), PN_STR_INIT("y"), true},
        {"a word that fits no line",
         PN_FACT_ADD_HEADER,
         PN_STR_INIT("X"),
         {long_word, sizeof long_word},
         false},
    };
    memset(long_word, 'x', sizeof long_word);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fixture f;
        unit_row(rows[i].label);
        open_fixture(&f, "headers");
        propose(&f, "alpha", rows[i].op, rows[i].name, rows[i].value, 0);
        UNIT_TRUE(pn_verdict_edits(&f.verdict, f.pool));
        UNIT_INT(f.verdict.edits[0].refused.len == 0, rows[i].want);
        close_fixture(&f);
    }
}

static void test_body(void)
{
    static const struct {
        const char *label, *grants;
        struct pn_str bytes;
        uint32_t said;
        bool sealed, right; /* right: it comes for the edit that counts */
        enum pn_new_body_end want;
        const char *why;
    } rows[] = {
        {"good", "body", PN_STR_INIT("a\r\n"), 3, true, true, PN_BODY_NEW, ""},
        {"without an end of line", "body", PN_STR_INIT("a"), 1, true, true, PN_BODY_NEW, ""},
        {"empty", "body", PN_STR_INIT(""), 0, true, true, PN_BODY_NEW, ""},
        {"not granted", "headers", PN_STR_INIT("a\r\n"), 3, true, true, PN_BODY_STAYS,
         "not granted"},
        {"bare LF", "body", PN_STR_INIT("a\nb"), 3, true, true, PN_BODY_BROKEN, "bare LF"},
        {"LF first", "body", PN_STR_INIT("\n"), 1, true, true, PN_BODY_BROKEN, "bare LF"},
        {"bare CR", "body", PN_STR_INIT("a\rb"), 3, true, true, PN_BODY_BROKEN, "bare CR"},
        {"CR last", "body", PN_STR_INIT("a\r"), 2, true, true, PN_BODY_BROKEN, "bare CR"},
        {"NUL", "body", PN_STR_INIT("a\0b"), 3, true, true, PN_BODY_BROKEN, "NUL"},
        {"longer than was said", "body", PN_STR_INIT("a\r\n"), 2, true, true, PN_BODY_BROKEN,
         "not what was said"},
        {"shorter than was said", "body", PN_STR_INIT("a\r\n"), 4, true, true, PN_BODY_BROKEN,
         "not what was said"},
        {"still to be changed", "body", PN_STR_INIT("a\r\n"), 3, false, true, PN_BODY_BROKEN,
         "can't be read"},
        {"of another edit", "body", PN_STR_INIT("a\r\n"), 3, true, false, PN_BODY_BROKEN,
         "did not come"},
        {"none", "body", {NULL, 0}, 3, true, true, PN_BODY_BROKEN, "did not come"},
        {"over the limit", "body", PN_STR_INIT("a\r\n"), PN_FACT_BODY_BROKEN, true, true,
         PN_BODY_BROKEN, "more than a message"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fixture f;
        struct pn_new_body body;
        struct pn_memfile file = {.fd = -1};
        unit_row(rows[i].label);
        open_fixture(&f, rows[i].grants);
        propose(&f, "alpha", PN_FACT_REPLACE_BODY, PN_STR(""), PN_STR(""), 7); /* overruled */
        propose(&f, "alpha", PN_FACT_REPLACE_BODY, PN_STR(""), PN_STR(""), rows[i].said);
        UNIT_TRUE(pn_verdict_edits(&f.verdict, f.pool));
        if (rows[i].bytes.p != NULL) {
            UNIT_INT(pn_memfile_init(&file, "body", 100), 0);
            UNIT_TRUE(pn_memfile_write(&file, rows[i].bytes));
            UNIT_TRUE(!rows[i].sealed || pn_memfile_seal(&file) == 0);
        }
        enum pn_new_body_end got =
            pn_verdict_body(&f.verdict, file.fd, rows[i].right, f.pool, &body);
        UNIT_INT(got, rows[i].want);
        UNIT_STR(body.bytes, got == PN_BODY_NEW ? rows[i].bytes : PN_STR(""));
        struct pn_str why = f.verdict.edits[1].refused;
        UNIT_TRUE(why.len != 0 ? rows[i].why[0] != '\0' && memmem(why.p, why.len, rows[i].why,
                                                                  strlen(rows[i].why)) != NULL
                               : rows[i].why[0] == '\0');
        UNIT_TRUE(f.verdict.edits[0].refused.len != 0);
        pn_unmap(&body.bytes);
        pn_memfile_fini(&file);
        close_fixture(&f);
    }
}

static void test_eight(void)
{
    static const char *const texts[] = {"abc\r\n", "\xc3\xa4\r\n", "a\x80"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct fixture f;
        struct pn_new_body body;
        struct pn_str text = pn_str_of(texts[i]);
        int fd = pn_memfile_of("body", text);
        open_fixture(&f, "body");
        propose(&f, "alpha", PN_FACT_REPLACE_BODY, PN_STR(""), PN_STR(""), (uint32_t)text.len);
        UNIT_TRUE(pn_verdict_edits(&f.verdict, f.pool));
        UNIT_INT(pn_verdict_body(&f.verdict, fd, 0, f.pool, &body), PN_BODY_NEW);
        UNIT_INT(body.eight, i != 0);
        pn_unmap(&body.bytes);
        (void)close(fd);
        close_fixture(&f);
    }
}

/* Recipients: k kept, + added, - removed, each with the first letter of what was decided. */
static void test_settle(void)
{
    static const struct {
        const char *label, *rcpts, *want;
        enum pn_outcome outcome;
        const char *reply;
    } rows[] = {
        {"one", "ka", "a", PN_ACCEPT, "250"},
        {"one more", "ka +a", "aa", PN_ACCEPT, "250"},
        {"one more as junk", "ka +j", "aj", PN_JUNK, "250"},
        {"one more that refuses is left out", "ka +r +a", "aa", PN_ACCEPT, "250"},
        {"one more that defers is left out", "kj +d", "j", PN_JUNK, "250"},
        {"who is added saves nobody", "kr +a", "r", PN_REJECT, "550"},
        {"who is added saves nobody from a deferral", "kd kr +a", "dd", PN_DEFER, "451"},
        {"who is added does not mix the envelope", "ka kr +a", "aqa", PN_QUARANTINE, "250"},
        {"one less", "ka -a", "aD", PN_ACCEPT, "250"},
        {"one less has no say", "ka -r", "aD", PN_ACCEPT, "250"},
        {"one less does not mix the envelope", "kr -a", "rD", PN_REJECT, "550"},
        {"others in their place", "+a -a", "aD", PN_ACCEPT, "250"},
        {"others decide then", "+r -a", "rD", PN_REJECT, "550"},
        {"nobody is left", "-a -j", "DD", PN_DISCARD, "250"},
        {"nobody is left of those who refuse", "-r", "r", PN_REJECT, "550"},
        {"nobody is left, one would not refuse", "-r -a", "DD", PN_DISCARD, "250"},
    };
    static const char letters[] = "ajqDdr";
    static const char *const replies[] = {"", "", "", "", "451 4.7.1 Later", "550 5.7.1 No"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_verdict_rcpt rcpts[4] = {0};
        struct fixture f;
        char got[8];
        unit_row(rows[i].label);
        open_fixture(&f, "recipients");
        propose(&f, "alpha", PN_FACT_ADD_RCPT, PN_STR(""), PN_STR("x@in.test"), 0);
        UNIT_TRUE(pn_verdict_edits(&f.verdict, f.pool));
        f.verdict.rcpts = rcpts;
        struct pn_str rest = pn_str_of(rows[i].rcpts);
        while (rest.p != NULL) {
            struct pn_str one = pn_str_split(&rest, ' ');
            enum pn_outcome o = (enum pn_outcome)(strchr(letters, one.p[1]) - letters);
            rcpts[f.verdict.rcpt_count++] = (struct pn_verdict_rcpt){
                .added = one.p[0] == '+',
                .removed = one.p[0] == '-',
                .decision = {.outcome = o, .reply = pn_str_of(replies[o])}};
        }
        pn_verdict_settle(&f.verdict, false, f.pool);
        for (size_t k = 0; k < f.verdict.rcpt_count; k++)
            got[k] = letters[rcpts[k].decision.outcome];
        UNIT_STR(((struct pn_str){got, f.verdict.rcpt_count}), pn_str_of(rows[i].want));
        UNIT_INT(f.verdict.outcome, rows[i].outcome);
        UNIT_TRUE(pn_str_starts(f.verdict.reply, pn_str_of(rows[i].reply)));
        bool left_out = strstr(rows[i].label, "left out") != NULL;
        UNIT_INT(f.verdict.edits[0].refused.len != 0, left_out);
        close_fixture(&f);
    }
}

static void test_json(void)
{
    struct fixture f;
    struct pn_buf out;
    open_fixture(&f, "headers body");
    propose(&f, "alpha", PN_FACT_INSERT_HEADER, PN_STR("X"), PN_STR("y"), 1);
    propose(&f, "alpha", PN_FACT_REMOVE_HEADER, PN_STR("Z"), PN_STR(""), 2);
    propose(&f, "alpha", PN_FACT_REPLACE_BODY, PN_STR(""), PN_STR(""), 3);
    propose(&f, "gamma", PN_FACT_CHANGE_FROM, PN_STR(""), PN_STR("a@b.test"), 0);
    UNIT_TRUE(pn_verdict_edits(&f.verdict, f.pool));
    pn_buf_init(&out, 1 << 16);
    struct pn_json j = pn_json_to(&out);
    pn_json_object(&j, NULL);
    pn_verdict_edits_json(&j, &f.verdict);
    pn_json_object_end(&j);
    UNIT_STR(pn_buf_str(&out),
             PN_STR("{\"edits\":[{\"op\":\"insert-header\",\"name\":\"X\",\"value\":\"y\","
                    "\"index\":1,\"plugin\":\"alpha\"},{\"op\":\"remove-header\",\"name\":\"Z\","
                    "\"index\":2,\"plugin\":\"alpha\"},{\"op\":\"replace-body\",\"name\":\"\","
                    "\"value\":\"3 bytes\",\"plugin\":\"alpha\"}],\"edits_refused\":["
                    "{\"op\":\"change-from\",\"name\":\"\",\"value\":\"a@b.test\","
                    "\"plugin\":\"gamma\",\"because\":\"not granted: edits sender\"}]}"));
    pn_buf_fini(&out);
    close_fixture(&f);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"grants", test_grants},
        {"lines", test_lines},
        {"body", test_body},
        {"8-bit body", test_eight},
        {"settle", test_settle},
        {"json", test_json},
        {NULL, NULL},
    };
    return unit_main("verdict_edits", tests, argc, argv);
}
