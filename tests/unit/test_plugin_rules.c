/* The plugin rules in a host: which text a rule sees, and what is stated. */
#include "unit.h"

#include "buf.h"
#include "fakehost.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

extern const struct postern_plugin postern_plugin;

static char folder[] = "/tmp/test_plugin_rules.XXXXXX";
static char path[80];

static void write_rules(const char *rules)
{
    FILE *f = fopen(path, "w");

    UNIT_TRUE(f != NULL && fputs(rules, f) >= 0);
    UNIT_TRUE(f != NULL && fclose(f) == 0);
}

static const char MAIL[] =
    "Received: from a by b\n"
    "Received: from c by d\n"
    "From: \"Joe Pills\" <joe@a.test>\n"
    "To: ann@b.test\n"
    "Cc: bob@b.test\n"
    "Subject: =?utf-8?q?Caf=C3=A9?=\n"
    "\ttoday\n"
    "X-Odd:  one\n"
    "x-odd: two\n"
    "Message-Id: <1@a.test>\n"
    "MIME-Version: 1.0\n"
    "Content-Type: multipart/mixed; boundary=b\n"
    "\n"
    "--b\n"
    "Content-Type: text/plain\n"
    "Content-Transfer-Encoding: quoted-printable\n"
    "\n"
    "Buy   cheap\n"
    "pills=20now at http://shop.test/a\n"
    "\n"
    "Second para,\tpills.\n"
    "--b\n"
    "Content-Type: text/html\n"
    "\n"
    "<p>Hidden <b>in</b> html <a href=\"http://u@%31%39%32.0.2.1:80/x\">here</a></p>\n"
    "--b\n"
    "Content-Type: text/plain\n"
    "Content-Disposition: attachment; filename=a.txt\n"
    "\n"
    "attached words\n"
    "--b--\n";

struct row {
    const char *label, *rules, *facts;
};

static void play(const struct row *r, const char *mail)
{
    const struct fake_row settings[] = {{"default", {"no"}}, {"load", {path}}, {NULL}};
    struct fakehost *h;

    unit_row(r->label);
    write_rules(r->rules);
    h = fakehost_new(&postern_plugin, settings, NULL);
    UNIT_STR(fakehost_setup_error(h), PN_STR(""));
    for (int again = 0; again < 2; again++) {
        fakehost_reset(h);
        fakehost_client(h, "192.0.2.7", "x");
        fakehost_envelope(h, "env@a.test", "ann@b.test");
        fakehost_message(h, pn_str_of(mail));
        UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_OK);
        UNIT_STR(fakehost_facts(h), pn_str_of(r->facts));
    }
    fakehost_free(&h);
}

static void test_kinds(void)
{
    static const struct row rows[] = {
        {"none", "", ""},
        {"subject, decoded and unfolded", "header A Subject =~ /^Caf\xc3\xa9 today$/", "A=1"},
        {"subject, raw", "header A Subject:raw =~ /Caf=C3.*\\n\\s+today/s", "A=1"},
        {"name without case", "header A SUBJECT =~ /today/\n", "A=1"},
        {"address", "header A From:addr =~ /^joe\\@a\\.test$/", "A=1"},
        {"display name", "header A From:name =~ /^Joe Pills$/", "A=1"},
        {"not", "header A Subject !~ /today/\nheader B Subject !~ /tomorrow/", "B=1"},
        {"not, of none", "header A X-None !~ /./", "A=1"},
        {"unset", "header A X-None =~ /^none$/ [if-unset: none]", "A=1"},
        {"set", "header A X-Odd =~ /none/ [if-unset: none]", ""},
        {"exists", "header A exists:x-odd\nheader B exists:X-None", "A=1"},
        {"several fields", "header A X-Odd =~ /^one\\ntwo$/", "A=1"},
        {"ToCc", "header A ToCc =~ /ann.*\\n.*bob/", "A=1"},
        {"ALL", "header A ALL =~ /\\nSubject: .*today\\nX-Odd:/", "A=1"},
        {"EnvelopeFrom", "header A EnvelopeFrom =~ /^env\\@a\\.test$/", "A=1"},
        {"MESSAGEID", "header A MESSAGEID =~ /^<1\\@a/", "A=1"},
        {"body", "body A /buy cheap pills now/i\nbody B /Buy   cheap/", "A=1"},
        {"body begins with the subject", "body A /^Caf/\nbody B /today$/", "A=1 B=1"},
        {"body without the subject", "body A /today/\ntflags A nosubject", ""},
        {"paragraphs are lines", "body A /^Second para, pills\\.$/\nbody B /shop.*Second/", "A=1"},
        {"body of HTML", "body A /Hidden in html here/", "A=1"},
        {"no tags in the body", "body A /<b>/\nrawbody B /<b>in<.b>/", "B=1"},
        {"raw body", "rawbody A /cheap\\npills now/", "A=1"},
        {"attached text too", "body A /attached words/\nrawbody B /attached words/", "A=1 B=1"},
        {"full", "full A /\\nattached words\\n--b--/\nfull B /pills=20now/", "A=1 B=1"},
        {"URL", "uri A m{^http://shop\\.test/a$}\nuri B m{192\\.0\\.2\\.1}", "A=1 B=1"},
        {"URL as written", "uri A m{^http://u@%31%39%32\\.0\\.2\\.1:80/x$}", "A=1"},
        {"URL as understood", "uri A m{^http://192\\.0\\.2\\.1/x$}", "A=1"},
        {"no second one of a plain URL",
         "uri __P m{shop\\.test}\ntflags __P multiple\nmeta A __P == 1", "A=1"},
        {"not over several URLs", "uri A m{shop[^?]+192}", ""},
        {"multiple",
         "body __P /pills/\ntflags __P multiple\nmeta A __P == 2\nbody __Q /pills/\nmeta B __Q == "
         "1",
         "A=1 B=1"},
        {"at most", "body __P /[a-z]/\ntflags __P multiple maxhits=5\nmeta A __P == 5", "A=1"},
        {"empty matches come to an end", "body __P /x*/\ntflags __P multiple\nmeta A __P > 50",
         "A=1"},
        {"expression",
         "header __S Subject =~ /today/\nbody __B /pills/\nmeta A __S && __B\n"
         "meta B A && !__S\nscore A 2.5",
         "A=2.5"},
        {"negative score", "body A /pills/\nscore A -3", "A=-3"},
        {"small letters", "body a_Rule /pills/", "A_RULE=1"}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        play(&rows[i], MAIL);
    }
}

static void test_odd_mail(void)
{
    static const struct row rows[] = {
        {"empty",
         "body A /./\nheader B Subject =~ /./\nuri C /./\nfull D /./\nrawbody E /./\n"
         "header F ALL =~ /./\nheader G exists:From",
         ""},
        {"empty matches", "body A /^/\nheader B Subject =~ /^$/\nuri C /^/\nfull D /^/",
         "B=1 A=1 D=1"}};

    play(&rows[0], "");
    play(&rows[1], "");
}

static void test_gives_up(void)
{
    const struct fake_row settings[] = {{"default", {"no"}}, {"load", {path}}, {NULL}};
    struct fakehost *h;
    struct pn_buf b;

    write_rules("body BAD /^(a+)+[^a\\s]\\s?$/\nbody GOOD /aaa/\nmeta ALSO !BAD\n");
    h = fakehost_new(&postern_plugin, settings, NULL);
    pn_buf_init(&b, 1000);
    (void)pn_buf_addz(&b, "From: a\n\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n");
    fakehost_envelope(h, "a@a.test", "b@b.test");
    fakehost_message(h, pn_buf_str(&b));
    UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_OK);
    UNIT_STR(fakehost_facts(h), PN_STR("RULES_GAVE_UP=0(BAD) GOOD=1"));
    UNIT_STR(fakehost_log(h), PN_STR("warn: rule BAD gave up: match limit exceeded\n"));
    pn_buf_fini(&b);
    fakehost_free(&h);
}

/* 32 KB of JIT stack would end this one. */
static void test_deep_match(void)
{
    const struct fake_row settings[] = {{"default", {"no"}}, {"load", {path}}, {NULL}};
    struct fakehost *h;
    struct pn_buf b;

    write_rules("body DEEP /^(.|a)*[^a]$/\n");
    h = fakehost_new(&postern_plugin, settings, NULL);
    pn_buf_init(&b, 20000);
    (void)pn_buf_addz(&b, "From: a\n\n");
    for (int i = 0; i < 5000; i++)
        (void)pn_buf_addc(&b, 'a');
    (void)pn_buf_addz(&b, "b\n");
    fakehost_envelope(h, "a@a.test", "b@b.test");
    fakehost_message(h, pn_buf_str(&b));
    UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_OK);
    UNIT_STR(fakehost_facts(h), PN_STR("DEEP=1"));
    pn_buf_fini(&b);
    fakehost_free(&h);
}

static void test_warnings(void)
{
    const struct fake_row settings[] = {{"default", {"no"}}, {"load", {path}}, {NULL}};
    struct fakehost *h;
    char want[800];

    write_rules("header __E eval:x()\nmeta A !__E\nmeta B __E || 1\nbody C eval:y()\nbody D /(/\n");
    (void)snprintf(want, sizeof(want),
                   "warn: 1 line of rules not used: eval test x is not known here (first %s:1)\n"
                   "warn: 1 line of rules not used: eval test y is not known here (first %s:4)\n"
                   "warn: 1 line of rules not used: pattern that PCRE2 refuses: missing "
                   "closing parenthesis (first %s:5)\n",
                   path, path, path);
    h = fakehost_new(&postern_plugin, settings, NULL);
    UNIT_STR(fakehost_setup_error(h), pn_str_of(want));
    fakehost_envelope(h, "a@a.test", "b@b.test");
    fakehost_message(h, PN_STR("From: a\n\nx\n"));
    UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_OK);
    UNIT_STR(fakehost_facts(h), PN_STR("B=1"));
    fakehost_free(&h);
}

/* "NAME FILE:2: why", the file's path as @ */
static void add_info(struct pn_buf *out, struct pn_str info)
{
    size_t n = strlen(path);

    while (info.len > 0) {
        if (pn_str_starts(info, pn_str_of(path))) {
            (void)pn_buf_addc(out, '@');
            info = pn_str_slice(info, n, info.len);
        } else {
            (void)pn_buf_addc(out, info.p[0]);
            info = pn_str_slice(info, 1, info.len);
        }
    }
}

static void test_info(void)
{
    const struct fake_row settings[] = {{"default", {"no"}}, {"load", {path}}, {NULL}};
    struct fakehost *h;
    struct pn_buf b;

    write_rules("header A Subject =~ /x/\nheader B exists:To\nbody __C /y(/\nbody __D /y{2,1}/\n"
                "body E /e/\nscore E 0\nuri F /f/\nmeta G A && !__H\nmimeheader H X =~ /x/\n"
                "uri_detail I type =~ /a/\nmeta J I || A\nwelcomelist_from *@a.test # \xff\n"
                "header K eval:check_rbl('x', 'y')\ntflags K net\nfrobnicate \xff\n"
                "body L eval:zzz()\nifplugin Mail::X\nfull M /m/\nendif\n");
    h = fakehost_new(&postern_plugin, settings, NULL);
    pn_buf_init(&b, 10000);
    add_info(&b, fakehost_info(h));
    UNIT_STR(
        pn_buf_str(&b),
        PN_STR("left-out-rule: __C @:3: pattern that PCRE2 refuses: missing closing "
               "parenthesis\n"
               "left-out-rule: __D @:4: pattern that PCRE2 refuses: numbers out of order in {} "
               "quantifier\n"
               "left-out-rule: I @:10: uri_detail, a test of a URI's parts, which is not known "
               "here\n"
               "left-out-rule: M @:18: for Mail::X, which is not known here\n"
               "left-out-rule: L @:16: eval test zzz is not known here\n"
               "elsewhere-rule: K @:13: check_rbl('x', 'y'): counts as not hit\n"
               "left-out-line: @:12: welcomelist_from *@a.test: a list of senders: the "
               "policy's `allow from`\n"
               "left-out-line: @:15: frobnicate ?: setting that is not for rules\n"
               "score-set: 1\n"
               "patterns: 6 defined, 4 of them compiled by PCRE2, 3 run\n"
               "header: 2 defined, 2 run\n"
               "header-exists: 1 defined, 1 run\n"
               "body: 3 defined, 0 run\n"
               "rawbody: 0 defined, 0 run\n"
               "full: 0 defined, 0 run\n"
               "uri: 1 defined, 1 run\n"
               "eval: 1 defined, 0 run\n"
               "meta: 2 defined, 2 run\n"
               "mimeheader: 1, counted among header\n"
               "facts: 6 rules can state one\n"
               "not-run: 1 score 0, 2 no rule that counts names them\n"
               "elsewhere: 1 rules ask the network, learn, or go by a user's lists\n"
               "left-out: 5 rules, 2 other lines\n"));
    pn_buf_fini(&b);
    fakehost_free(&h);
}

/* The last line of the info, and what is said at start. */
static void test_left_all(void)
{
    const struct fake_row settings[] = {{"default", {"no"}}, {"load", {path}}, {NULL}};
    struct pn_buf text, want;
    struct fakehost *h;

    pn_buf_init(&text, 1 << 20);
    pn_buf_init(&want, 1000);
    for (int i = 0; i < 20003; i++) /* three more than are kept by name */
        (void)pn_buf_adds(&text, PN_STR("frobnicate\n"));
    (void)pn_buf_adds(&text, PN_STR("body A eval:zzz()\nbody B eval:zzz()\n"));
    (void)pn_buf_addc(&text, '\0');
    write_rules(text.p);
    h = fakehost_new(&postern_plugin, settings, NULL);
    UNIT_TRUE(
        pn_str_ends(fakehost_info(h), PN_STR("left-out: 2 rules, 20003 other lines\n"
                                             "left-out-more: 5 lines that are counted only\n")));
    (void)pn_buf_addf(&want,
                      "warn: 20003 lines of rules not used: setting that is not for rules "
                      "(first %s:1)\n"
                      "warn: 2 lines of rules not used: eval test zzz is not known here (first "
                      "%s:20004)\n",
                      path, path);
    UNIT_STR(fakehost_setup_error(h), pn_buf_str(&want));
    pn_buf_fini(&text);
    pn_buf_fini(&want);
    fakehost_free(&h);
}

static void test_folder(void)
{
    const struct fake_row settings[] = {{"default", {"no"}}, {"folder", {folder}}, {NULL}};
    const struct fake_row nowhere[] = {{"folder", {"/nonexistent"}}, {NULL}};
    const struct fake_row no_file[] = {{"load", {"/nonexistent.cf"}}, {NULL}};
    struct fakehost *h;

    write_rules("score A 3\n"); /* 50_a.cf */
    UNIT_TRUE(chdir(folder) == 0);
    FILE *f = fopen("10_b.cf", "w");
    UNIT_TRUE(f != NULL && fputs("body A /x/\nscore A 1\ninclude more.inc\n", f) >= 0 &&
              fclose(f) == 0);
    f = fopen("more.inc", "w");
    UNIT_TRUE(f != NULL && fputs("body B /x/\n", f) >= 0 && fclose(f) == 0);
    h = fakehost_new(&postern_plugin, settings, NULL);
    UNIT_STR(fakehost_setup_error(h), PN_STR(""));
    fakehost_envelope(h, "a@a.test", "b@b.test");
    fakehost_message(h, PN_STR("From: a\n\nx\n"));
    UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_OK);
    UNIT_STR(fakehost_facts(h), PN_STR("A=3 B=1"));
    fakehost_free(&h);
    h = fakehost_new(&postern_plugin, nowhere, NULL);
    UNIT_STR(fakehost_setup_error(h), PN_STR("rules in /nonexistent: the folder can't be read\n"));
    fakehost_free(&h);
    h = fakehost_new(&postern_plugin, no_file, NULL);
    UNIT_STR(fakehost_setup_error(h), PN_STR("rules in /nonexistent.cf: the file can't be read\n"));
    fakehost_free(&h);
    UNIT_TRUE(unlink("10_b.cf") == 0 && unlink("more.inc") == 0);
}

/* With the flag x no literal is taken out of a pattern, and it is tried on all of the text:
 * the same rule with and without it must say the same. Words are drawn from few letters. */
static uint32_t seed = 3;

static uint32_t draw(uint32_t n)
{
    seed = seed * 1664525U + 1013904223U;
    return (seed >> 10) % n;
}

static void random_pattern(struct pn_buf *b, unsigned depth)
{
    static const char *const bits[] = {"aba",  "bab", "abba", "[ab]", "a?",    "b*",
                                       "aabb", "\\b", "\\w",  ".",    "ab+",   "b{1,3}",
                                       "^",    "$",   "bbb",  "\\s",  "a{0,2}"};

    for (uint32_t n = 1 + draw(4); n > 0; n--) {
        if (depth < 2 && draw(3) == 0) {
            (void)pn_buf_addz(b, "(?:");
            random_pattern(b, depth + 1);
            (void)pn_buf_addz(b, draw(3) == 0 ? "){1,2}" : ")");
        } else {
            (void)pn_buf_addz(b, bits[draw(sizeof(bits) / sizeof(bits[0]))]);
        }
        if (draw(6) == 0)
            (void)pn_buf_addz(b, "|bb");
    }
}

enum { PATTERNS = 150 };

static void random_rules(struct pn_buf *b)
{
    static const char *const kinds[] = {"body", "rawbody", "full"};

    for (int i = 0; i < PATTERNS; i++) {
        const char *kind = kinds[draw(3)];
        size_t from;

        (void)pn_buf_addf(b, "%s __A%d /", kind, i);
        from = b->len;
        random_pattern(b, 0);
        size_t len = b->len - from;
        (void)pn_buf_addf(b, "/\n%s __B%d /", kind, i);
        (void)pn_buf_reserve(b, len);
        (void)pn_buf_add(b, b->p + from, len);
        (void)pn_buf_addz(b, "/x\n");
        if (draw(3) == 0)
            (void)pn_buf_addf(b, "tflags __A%d multiple\ntflags __B%d multiple\n", i, i);
        (void)pn_buf_addf(b, "meta DIFFER%d __A%d != __B%d\nmeta HIT%d __A%d > 0\n", i, i, i, i, i);
    }
}

static void test_literals(void)
{
    const struct fake_row settings[] = {{"default", {"no"}}, {"load", {path}}, {NULL}};
    struct fakehost *h;
    struct pn_buf b;
    size_t hits = 0;

    pn_buf_init(&b, 1 << 20);
    random_rules(&b);
    write_rules(pn_buf_cstr(&b));
    h = fakehost_new(&postern_plugin, settings, NULL);
    UNIT_STR(fakehost_setup_error(h), PN_STR(""));
    for (int round = 0; round < 60; round++) {
        pn_buf_clear(&b);
        (void)pn_buf_addz(&b, "Subject: ab ba\n\n");
        for (uint32_t n = draw(300); n > 0; n--)
            (void)pn_buf_addz(&b, draw(9) == 0 ? "\n\n" : draw(6) == 0 ? " " : draw(2) ? "a" : "b");
        fakehost_reset(h);
        fakehost_envelope(h, "a@a.test", "b@b.test");
        fakehost_message(h, pn_buf_str(&b));
        UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_OK);
        hits += fakehost_facts(h).len;
        UNIT_TRUE(memmem(fakehost_facts(h).p, fakehost_facts(h).len, "DIFFER", 6) == NULL);
    }
    UNIT_TRUE(hits > 10000); /* or nothing was tested */
    pn_buf_fini(&b);
    fakehost_free(&h);
}

/* Text beyond max-text is not looked at. */
static void test_max_text(void)
{
    const struct fake_row settings[] = {
        {"default", {"no"}}, {"load", {path}}, {"max-text", {"1k"}}, {NULL}};
    struct fakehost *h;
    struct pn_buf b;

    write_rules("body NEAR /near/\nbody FAR /far away/\n");
    h = fakehost_new(&postern_plugin, settings, NULL);
    pn_buf_init(&b, 10000);
    (void)pn_buf_addz(&b, "From: a\n\nnear\n");
    for (int i = 0; i < 1000; i++)
        (void)pn_buf_addz(&b, "word ");
    (void)pn_buf_addz(&b, "far away\n");
    fakehost_envelope(h, "a@a.test", "b@b.test");
    fakehost_message(h, pn_buf_str(&b));
    UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_OK);
    UNIT_STR(fakehost_facts(h), PN_STR("NEAR=1"));
    pn_buf_fini(&b);
    fakehost_free(&h);
}

/* Our own set is understood whole, and says nothing of plain mail. */
static void test_default(void)
{
    struct fakehost *h = fakehost_new(&postern_plugin, NULL, NULL);

    UNIT_STR(fakehost_setup_error(h), PN_STR(""));
    fakehost_envelope(h, "joe@a.test", "ann@b.test");
    fakehost_message(h, PN_STR("Date: Mon, 2 Jun 2025 10:00:00 +0200\nFrom: Joe <joe@a.test>\n"
                               "To: ann@b.test\nSubject: lunch on Friday?\n"
                               "Message-ID: <20250602.1@a.test>\n\nShall we say noon?\n\nJoe\n"));
    UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_OK);
    UNIT_STR(fakehost_facts(h), PN_STR(""));
    fakehost_free(&h);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"kinds", test_kinds},           {"odd mail", test_odd_mail}, {"gives up", test_gives_up},
        {"deep match", test_deep_match}, {"warnings", test_warnings}, {"info", test_info},
        {"all left out", test_left_all}, {"folder", test_folder},     {"max-text", test_max_text},
        {"default", test_default},       {"literals", test_literals}, {NULL, NULL}};
    int status;

    if (mkdtemp(folder) == NULL)
        return 1;
    (void)snprintf(path, sizeof(path), "%s/50_a.cf", folder);
    status = unit_main("plugin_rules", tests, argc, argv);
    (void)unlink(path);
    (void)rmdir(folder);
    return status;
}
