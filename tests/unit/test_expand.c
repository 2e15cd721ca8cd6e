/* Aliases: what the language takes, what is refused at once, and who has the mail in the end. */
#include "expand.h"
#include "kit_policy.h"
#include "unit.h"

#include "buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/postern-expand-XXXXXX";
static char made[sizeof folder + 1];

static void put(const char *name, const char *text)
{
    char path[200];
    (void)snprintf(path, sizeof path, "%s%s", made, name);
    FILE *f = fopen(path, "w");
    UNIT_TRUE(f != NULL && fputs(text, f) >= 0);
    if (f != NULL)
        (void)fclose(f);
}

static void drop(const char *name)
{
    char path[200];
    (void)snprintf(path, sizeof path, "%s%s", made, name);
    (void)unlink(path);
}

static void prepare(void)
{
    (void)snprintf(folder, sizeof folder, "/tmp/postern-expand-XXXXXX");
    UNIT_TRUE(mkdtemp(folder) != NULL);
    (void)snprintf(made, sizeof made, "%s/", folder);
    put("users", "anna\nbert\nzo\xc3\xab\nkim@two.test\n");
}

static void clean(void)
{
    drop("users");
    drop("aliases");
    (void)rmdir(folder);
}

static const char *const ends[] = {"plain", "done", "loop", "deep", "many", "unknown", "memory"};

/* "done: a@x <local>, b@y elsewhere" */
static void look_up(const struct kit *k, const char *address, struct pn_buf *out)
{
    struct pn_pool *pool = pn_pool_new(1 << 20);
    struct pn_str a = pn_str_of(address);
    struct pn_expansion x;
    const struct pn_domain *d =
        pn_policy_domain(k->policy, pn_str_slice(a, pn_str_find(a, '@', 0) + 1, a.len));
    enum pn_expand_end end =
        pn_expand(k->policy, d != NULL ? d : pn_policy_default_domain(k->policy), a, pool, &x);
    (void)pn_buf_addz(out, ends[end]);
    for (size_t i = 0; end == PN_EXPAND_DONE && i < x.count; i++) {
        const struct pn_expand_target *t = &x.targets[i];
        (void)pn_buf_addf(out, "%s%.*s", i == 0 ? ": " : ", ", PN_FMT(t->address));
        if (t->domain != NULL)
            (void)pn_buf_addf(out, " (%.*s)", PN_FMT(t->local));
    }
    pn_pool_free(&pool);
}

static void test_expand(void)
{
    static const char conf[] =
        "defaults { alias postmaster to admin@two.test  alias bert to x@y.test }\n"
        "domain here.test {\n"
        "recipients list users\n"
        "alias info to anna, bert@example.org\n"
        "alias both to info, anna\n"
        "alias Anna to anna copy@Example.ORG\n"
        "alias info+news to bert\n"
        "alias tagged to anna+work\n"
        "alias far to kim@two.test\n"
        "alias b\xc3\xbc to u@b\xc3\xbc"
        "cher.test\n"
        "}\n"
        "domain cased.test { recipients any\n"
        "alias twice to bo, BO@cased.test, Bo@CASED.test, x@y.test, X@y.test\n"
        "}\n"
        "domain named.test { recipients list named  catch-all anna\n"
        "alias all to anna+b, anna+c, anna\n"
        "}\n"
        "domain two.test { recipients list users  catch-all kim }\n"
        "domain .sub.test { recipients any  alias sales to boss, info@here.test }\n"
        "domain open.test { recipients any }\n";
    static const struct {
        const char *address, *want;
    } rows[] = {
        {"bert@here.test", "plain"},
        {"nobody@here.test", "plain"},
        {"abuse@here.test", "plain"},
        {"info@here.test", "done: anna@here.test (anna), copy@example.org, bert@example.org"},
        {"INFO@HERE.test", "done: anna@here.test (anna), copy@example.org, bert@example.org"},
        {"info+x@here.test", "done: anna@here.test (anna), copy@example.org, bert@example.org"},
        {"info+news@here.test", "done: bert@here.test (bert)"},
        {"info+@here.test", "done: anna@here.test (anna), copy@example.org, bert@example.org"},
        {"both@here.test", "done: anna@here.test (anna), copy@example.org, bert@example.org"},
        {"anna@here.test", "done: anna@here.test (anna), copy@example.org"},
        {"tagged@here.test", "done: anna@here.test (anna), copy@example.org"},
        {"far@here.test", "done: kim@two.test (kim)"},
        {"b\xc3\xbc@here.test", "done: u@xn--bcher-kva.test"},
        {"postmaster@here.test", "done: admin@two.test (admin)"},
        {"postmaster@open.test", "done: admin@two.test (admin)"},
        {"kim@two.test", "plain"},
        {"bert@two.test", "plain"},
        {"whoever@two.test", "done: kim@two.test (kim)"},
        {"who+ever@two.test", "done: kim@two.test (kim)"},
        {"abuse@two.test", "plain"},
        {"sales@a.sub.test",
         "done: boss@a.sub.test (boss), anna@here.test (anna), copy@example.org, bert@example.org"},
        {"sales@sub.test", "plain"},
        {"bert@open.test", "done: x@y.test"},
        {"twice@cased.test", "done: bo@cased.test (bo), x@y.test, X@y.test"},
        {"anna+b@named.test", "plain"},
        {"Anna+B@named.test", "plain"},
        {"anna+b+c@named.test", "plain"},
        {"\"anna+c d\"@named.test", "plain"},
        {"bo+b@named.test", "done: anna@named.test (anna)"},
        {"all@named.test",
         "done: anna+b@named.test (anna+b), anna+c@named.test (anna), anna@named.test (anna)"},
    };
    struct kit k;
    prepare();
    put("users", "anna\nbert\nzo\xc3\xab\nkim@two.test\nadmin@two.test\n");
    put("named", "anna\nanna+b\n");
    kit_open(&k, conf, made);
    UNIT_STR(kit_problems(&k), PN_STR(""));
    for (size_t i = 0; k.policy != NULL && i < sizeof rows / sizeof rows[0]; i++) {
        struct pn_buf b;
        pn_buf_init(&b, 4096);
        unit_row(rows[i].address);
        look_up(&k, rows[i].address, &b);
        UNIT_STR(pn_buf_str(&b), pn_str_of(rows[i].want));
        pn_buf_fini(&b);
    }
    kit_close(&k);
    clean();
}

/* In a domain's block; what is wrong with it, each problem's text; "": nothing. */
static void test_refused(void)
{
    static const struct {
        const char *conf, *want;
    } rows[] = {
        {"alias info to anna", ""},
        {"alias info to anna junk at 6", ""},
        {"alias info to anna,\n\n  bert", ""},
        {"alias \"info\" to \"anna\" \"bert@example.org\"", ""},
        {"alias info to junk", "leads to junk@a.test, whom that domain does not know"},
        {"alias info anna", "'anna' does not go on 'alias', expected 'to' and a name"},
        {"alias info to", "the end of the line stands where 'to' needs its value"},
        {"alias info to anna,", "'}' stands where 'to' needs its value"},
        {"alias", "the end of the line stands where 'alias' needs its value"},
        {"alias info@a.test to anna", "'info@a.test' is no alias, expected a name alone"},
        {"alias * to anna", "'*' is no alias, expected 'catch-all' for all other names"},
        {"alias \"in fo\" to anna", "'in fo' is no alias"},
        {"alias info to \"an na\"", "'an na' is nobody that mail can go to"},
        {"alias info to @b.test", "'@b.test' is nobody that mail can go to"},
        {"alias info to anna@", "'anna@' is nobody that mail can go to"},
        {"alias info to a@[192.0.2.1]", "is nobody that mail can go to"},
        {"alias info to zo\xc3\xab@x.test", "is nobody that mail can go to"},
        {"alias info to zo\xc3\xab", ""},
        {"alias info to a@b@c.test", "is nobody that mail can go to"},
        {"alias info to .a", "is nobody that mail can go to"},
        {"alias info to a..b@x.test", "is nobody that mail can go to"},
        {"alias info to |prog", "leads to |prog@a.test, whom that domain does not know"},
        {"alias info to anna\nalias INFO to bert",
         "alias 'info' is set twice, the first time in line"},
        {"alias info to nobody",
         "alias \"info\" leads to nobody@a.test, whom that domain does not know"},
        {"alias info to info",
         "alias \"info\" leads to info@a.test, whom that domain does not know"},
        {"alias x to y\nalias y to x", "alias \"x\" goes round in a circle, by x@a.test"},
        {"alias x to y\nalias y to z\nalias z to anna, y", "alias \"y\" goes round in a circle"},
        {"alias x to y, anna\nalias y to bert", ""},
        {"catch-all anna", ""},
        {"catch-all", "stands where 'catch-all' needs its value"},
        {"catch-all nobody", "catch-all leads to nobody@a.test, whom that domain does not know"},
        {"catch-all anna\ncatch-all bert", "'catch-all' is set twice"},
        {"alias-file nowhere", "nowhere"},
        {"alias a to b\nalias b to c\nalias c to d\nalias d to anna", "more than forward.depth"},
        {"alias a to b\nalias b to c\nalias c to anna", ""},
        {"alias a to 1@x.test 2@x.test 3@x.test 4@x.test", ""},
        {"alias a to 1@x.test 2@x.test 3@x.test 4@x.test 4@X.test", ""},
        {"alias a to 1@x.test 2@x.test 3@x.test 4@x.test 5@x.test", "more addresses than forward."},
    };
    prepare();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kit k;
        struct pn_buf b;
        pn_buf_init(&b, 4096);
        (void)pn_buf_addf(
            &b, "forward { depth 3  recipients 4 } domain a.test { recipients list users\n%s\n}",
            rows[i].conf);
        unit_row(rows[i].conf);
        kit_open(&k, pn_buf_cstr(&b), made);
        struct pn_str got = kit_problems(&k), want = pn_str_of(rows[i].want);
        bool found = want.len == 0 && got.len == 0;
        for (size_t at = 0; want.len != 0 && !found && at + want.len <= got.len; at++)
            found = pn_str_eq(pn_str_slice(got, at, at + want.len), want);
        if (!found)
            UNIT_STR(got, want);
        kit_close(&k);
        pn_buf_fini(&b);
    }
    clean();
}

static void test_anybody(void)
{
    static const char *const kinds[] = {"any", "verify"};
    for (size_t i = 0; i < 2; i++) {
        struct kit k;
        struct pn_buf b;
        pn_buf_init(&b, 4096);
        (void)pn_buf_addf(
            &b, "domain a.test { recipients %s  route smtp 127.0.0.1:25\ncatch-all x }", kinds[i]);
        unit_row(kinds[i]);
        kit_open(&k, pn_buf_cstr(&b), "");
        UNIT_STR(kit_problems(&k),
                 PN_STR("t.conf:2:1: 'catch-all' where every name is taken or asked for, expected "
                        "'recipients list FILE' or 'recipients local'\n"));
        kit_close(&k);
        pn_buf_fini(&b);
    }
}

static void test_sender(void)
{
    static const struct {
        const char *conf, *want;
    } rows[] = {
        {"forward { sender-domain a.test  secret-file users }", ""},
        {"forward { sender-domain B\xc3\xbc"
         "cher.test  secret-file users }",
         ""},
        {"forward { sender-domain a.test }",
         "t.conf:1:25: 'sender-domain' without a secret, expected 'secret-file FILE'\n"},
        {"forward { secret-file users }",
         "t.conf:1:23: 'secret-file' without a domain to make addresses of, expected "
         "'sender-domain NAME'\n"},
        {"forward { sender-domain \"u@a.test\"  secret-file users }",
         "t.conf:1:25: 'u@a.test' does not fit 'sender-domain', expected a domain such as "
         "example.net\n"},
        {"forward { sender-domain .a.test  secret-file users }",
         "t.conf:1:25: '.a.test' does not fit 'sender-domain', expected a domain such as "
         "example.net\n"},
        {"forward { sender-domain a.test  secret-file nowhere }",
         "t.conf:1:45: 'nowhere' is not there, expected a file\n"},
    };
    prepare();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kit k;
        unit_row(rows[i].conf);
        kit_open(&k, rows[i].conf, made);
        struct pn_str got = kit_problems(&k), path = pn_str_of(made);
        UNIT_STR(pn_str_starts(got, path) ? pn_str_slice(got, path.len, got.len) : got,
                 pn_str_of(rows[i].want));
        if (i == 1 && k.policy != NULL)
            UNIT_STR(pn_policy_str(k.policy, "forward.sender-domain"),
                     PN_STR("xn--bcher-kva.test"));
        kit_close(&k);
    }
    clean();
}

/* Each a whole file. */
static void test_files(void)
{
    static const struct {
        const char *file, *address, *want;
    } rows[] = {
        {"", "x@a.test", "plain"},
        {"# all\n\ninfo: anna, bert@example.org\n", "info@a.test",
         "done: anna@a.test (anna), bert@example.org"},
        {"info:anna", "info@a.test", "done: anna@a.test (anna)"},
        {"info: anna,\n  bert\n\t# no\n , kim@b.test\n", "info@a.test",
         "done: anna@a.test (anna), bert@a.test (bert), kim@b.test (kim)"},
        {"info: anna\r\nother: bert\r\n", "other@a.test", "done: bert@a.test (bert)"},
        {"\"info\": \"anna\"", "info@a.test", "done: anna@a.test (anna)"},
        {"info@a.test: anna\ninfo@b.test: bert", "info@a.test", "done: anna@a.test (anna)"},
        {"info@a.test: anna\ninfo@b.test: bert", "info@b.test", "done: bert@b.test (bert)"},
        {"info@c.test: anna", "info@a.test", "plain"},
        {"anna: \\anna, far@x.test", "anna@a.test", "done: anna@a.test (anna), far@x.test"},
        {"info: \\anna", "", ":1:7: '\\anna' is nobody that mail can go to"},
        {"info: |/bin/cat", "", ":1:7: '|/bin/cat': mail is not given to programs"},
        {"info: \"|/bin/cat x, y\"", "", ":1:7: '|/bin/cat x, y': mail is not given to programs"},
        {"info: /dev/null", "", ":1:7: '/dev/null': mail is not given to programs"},
        {"info: :include:/etc/x", "", ":1:7: ':include:/etc/x': mail is not given"},
        {"info anna", "", ":1:1: 'info anna' is no alias, expected one a line"},
        {": anna", "", ":1:1: ': anna' is no alias"},
        {"info:", "", ":1:1: 'info' goes to nobody"},
        {"info: ,", "", ":1:1: 'info' goes to nobody"},
        {" anna", "", ":1:2: a line that goes on, and no alias before it"},
        {"info: anna\ninfo: bert", "", ":2:1: alias 'info' is set twice, the first time in line 1"},
        {"x: y\ny: x", "", ":1:1: alias \"x\" goes round in a circle, by x@a.test"},
    };
    prepare();
    put("users", "anna\nbert\nkim\n");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kit k;
        struct pn_buf b;
        pn_buf_init(&b, 4096);
        put("aliases", rows[i].file);
        unit_row(rows[i].file);
        kit_open(&k,
                 "domain a.test { recipients list users  alias-file aliases }\n"
                 "domain b.test { recipients list users  alias-file aliases }",
                 made);
        struct pn_str got = kit_problems(&k), want = pn_str_of(rows[i].want);
        if (rows[i].address[0] != '\0' && got.len == 0)
            look_up(&k, rows[i].address, &b);
        else
            (void)pn_buf_adds(&b, got);
        bool found = false;
        got = pn_buf_str(&b);
        for (size_t at = 0; !found && at + want.len <= got.len; at++)
            found = pn_str_eq(pn_str_slice(got, at, at + want.len), want);
        if (!found || (rows[i].address[0] != '\0' && got.len != want.len))
            UNIT_STR(got, want);
        kit_close(&k);
        pn_buf_fini(&b);
    }
    clean();
}

/* The later file counts; so do both in one, each for what it names. */
static void test_two_files(void)
{
    static const char conf[] = "domain a.test { recipients any  alias x to 1  alias y to 1\n"
                               "alias-file aliases }";
    struct kit k;
    struct pn_buf b;
    prepare();
    put("aliases", "x: 2\n");
    kit_open(&k, conf, made);
    UNIT_STR(kit_problems(&k), PN_STR(""));
    pn_buf_init(&b, 4096);
    look_up(&k, "x@a.test", &b);
    look_up(&k, "y@a.test", &b);
    UNIT_STR(pn_buf_str(&b), PN_STR("done: 2@a.test (2)done: 1@a.test (1)"));
    pn_buf_fini(&b);
    kit_close(&k);
    clean();
}

/* In words, as events and `queue show` have it. */
static void test_words(void)
{
    struct kit k;
    struct pn_buf b;
    struct pn_expansion x;
    struct pn_pool *pool = pn_pool_new(1 << 20);
    kit_open(&k,
             "domain a.test { recipients any\nalias info to office\n  alias office to b@x.test }",
             "");
    UNIT_STR(kit_problems(&k), PN_STR(""));
    UNIT_INT(pn_expand(k.policy, pn_policy_domain(k.policy, PN_STR("a.test")),
                       PN_STR("info@a.test"), pool, &x),
             PN_EXPAND_DONE);
    UNIT_INT(x.count, 1);
    pn_buf_init(&b, 4096);
    pn_expand_print(&b, &x.targets[0]);
    UNIT_STR(pn_buf_str(&b), PN_STR("t.conf:2:1 alias \"info\", then t.conf:3:3 alias \"office\""));
    pn_buf_fini(&b);
    kit_close(&k);
    pn_pool_free(&pool);
}

/* No room is an answer, at whatever place it ends. */
static void test_little_memory(void)
{
    struct kit k;
    bool done = false;
    kit_open(&k, "domain a.test { recipients any\nalias info to a, b, c, d, e, f@x.test }", "");
    for (size_t room = 0; !done; room += 64) {
        struct pn_pool *pool = pn_pool_new(room);
        struct pn_expansion x;
        enum pn_expand_end end = pn_expand(k.policy, pn_policy_domain(k.policy, PN_STR("a.test")),
                                           PN_STR("info@a.test"), pool, &x);
        done = end == PN_EXPAND_DONE;
        UNIT_TRUE(done || end == PN_EXPAND_MEMORY);
        UNIT_TRUE(room < 1 << 20);
        done = done || room >= 1 << 20;
        pn_pool_free(&pool);
    }
    kit_close(&k);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"aliases lead to their ends", test_expand},
        {"what is refused", test_refused},
        {"catch-all where anybody is taken", test_anybody},
        {"the sender's settings", test_sender},
        {"files", test_files},
        {"several places", test_two_files},
        {"words", test_words},
        {"little memory", test_little_memory},
        {NULL, NULL},
    };
    return unit_main("expand", tests, argc, argv);
}
