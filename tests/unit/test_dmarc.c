#include "unit.h"

#include "dmarc_engine.h"
#include "fakehost.h"

#include <stdio.h>

extern const struct postern_plugin postern_plugin;

static struct postern_str str(const char *s)
{
    return (struct postern_str){s, strlen(s)};
}

/* ---- names ---- */

static void test_name(void)
{
    char label63[64], label64[65], most[DMARC_NAME_MAX + 2];
    memset(label63, 'a', 63), label63[63] = '\0';
    memset(label64, 'a', 64), label64[64] = '\0';
    for (size_t i = 0; i < sizeof most; i++)
        most[i] = i % 60 == 59 ? '.' : 'b';
    const struct {
        const char *text, *want; /* NULL: none */
    } rows[] = {
        {"Example.COM", "example.com"},
        {".example.com.", "example.com"},
        {"...example.com...", "example.com"},
        {"a..b", NULL},
        {"", NULL},
        {"...", NULL},
        {"localhost", "localhost"},
        {"[192.0.2.1]", NULL},
        {"a b.test", NULL},
        {"a_b.test", "a_b.test"},
        {label63, label63},
        {label64, NULL},
        {"b\xc3\xbc"
         "cher.example",
         NULL},
        {"\xc3", NULL},
        {"\xc3(.test", NULL},
        {"\xff.test", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct dmarc_name n;
        unit_row(rows[i].text);
        UNIT_INT(dmarc_name_of(str(rows[i].text), &n), rows[i].want != NULL);
        UNIT_STR(((struct pn_str){n.p, n.len}), pn_str_of(rows[i].want ? rows[i].want : ""));
    }
    struct dmarc_name n;
    unit_row("as long as can be, and one byte more");
    UNIT_TRUE(dmarc_name_of((struct postern_str){most, DMARC_NAME_MAX}, &n));
    UNIT_INT(n.len, DMARC_NAME_MAX);
    UNIT_TRUE(!dmarc_name_of((struct postern_str){most, DMARC_NAME_MAX + 1}, &n));
}

static void test_tail(void)
{
    struct dmarc_name n, t, o;
    (void)dmarc_name_of(str("a.b.c.d"), &n);
    UNIT_INT(dmarc_name_labels(&n), 4);
    static const char *const want[] = {"d", "c.d", "b.c.d", "a.b.c.d", "a.b.c.d"};
    for (size_t i = 0; i < 5; i++) {
        dmarc_name_tail(&n, i + 1, &t);
        UNIT_STR(((struct pn_str){t.p, t.len}), pn_str_of(want[i]));
        UNIT_TRUE(dmarc_name_below(&n, &t));
    }
    (void)dmarc_name_of(str("xb.c.d"), &t);
    (void)dmarc_name_of(str("b.c.d"), &o);
    UNIT_TRUE(!dmarc_name_below(&t, &o) && !dmarc_name_below(&o, &t) && dmarc_name_below(&o, &o));
}

/* ---- records ---- */

static void test_record(void)
{
    static const struct {
        const char *txt, *want; /* NULL: no record; "p sp np psd flags" */
    } rows[] = {
        {"v=DMARC1; p=reject", "reject - - u"},
        {"v=DMARC1;p=none;", "none - - u"},
        {"V = DMARC1 ; P = Quarantine ;;; sp=REJECT;np=none ", "quarantine reject none u"},
        {"v=DMARC1\t;\tp=none", "none - - u"},
        {"v=DMARC1; p=none; psd=y; t=y; adkim=s; aspf=S", "none - - y t dkim spf"},
        {"v=DMARC1; p=none; psd=n; t=n; adkim=r; aspf=x", "none - - n"},
        {"v=DMARC1; p=none; pct=50; rf=afrf; ri=60; foo=bar; =; x", "none - - u"},
        {"v=DMARC1; p=none; p=reject", "none - - u"},
        {"v=DMARC1", "unusable"},
        {"v=DMARC1; sp=none", "unusable"},
        {"v=DMARC1; p=rejected", "unusable"},
        {"v=DMARC1; p=reject; sp=maybe", "unusable"},
        {"v=DMARC1; p=reject; np=", "unusable"},
        {"v=DMARC1; p=rejected; rua=mailto:d@a.test", "none - - u"},
        {"v=DMARC1; p=reject; sp=maybe; rua=x, https://a.test/", "none - - u"},
        {"v=DMARC1; rua=mailto:nobody", "unusable"},
        {"v=DMARC1; rua=:x,1a:x, ,mailto:", "unusable"},
        {"v=dmarc1; p=none", NULL},
        {"v=DMARC1x; p=none", NULL},
        {"v=DMARC1 p=none", NULL},
        {"v=DMARC2; p=none", NULL},
        {"p=none; v=DMARC1", NULL},
        {" v=DMARC1; p=none", NULL},
        {"; v=DMARC1", NULL},
        {"", NULL},
        {"v", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct postern_str txt = str(rows[i].txt);
        struct dmarc_record r;
        char got[100];
        unit_row(rows[i].txt);
        UNIT_INT(dmarc_record_is(txt), rows[i].want != NULL);
        if (rows[i].want == NULL)
            continue;
        dmarc_record_read(txt, &r);
        (void)snprintf(got, sizeof got, "%s %s %s %c%s%s%s", dmarc_policy_name(r.p),
                       r.sp == DMARC_POLICY_UNSET ? "-" : dmarc_policy_name(r.sp),
                       r.np == DMARC_POLICY_UNSET ? "-" : dmarc_policy_name(r.np), "uyn"[r.psd],
                       r.testing ? " t" : "", r.strict_dkim ? " dkim" : "",
                       r.strict_spf ? " spf" : "");
        UNIT_STR(pn_str_of(r.usable ? got : "unusable"), pn_str_of(rows[i].want));
    }
}

/* ---- the plugin ---- */

struct row {
    const char *label, *from, *dns;
    const char *spf, *dkim; /* "pass a.test", or "" */
    const char *facts, *auth;
};

static void give(struct fakehost *h, const char *method, const char *what)
{
    char properties[300];
    struct pn_str rest = pn_str_of(what);
    struct pn_str result = pn_str_split(&rest, ' ');
    char word[20];
    if (result.len == 0)
        return;
    (void)snprintf(word, sizeof word, "%.*s", PN_FMT(result));
    (void)snprintf(properties, sizeof properties, "domain=%.*s", PN_FMT(rest));
    fakehost_give_auth(h, method, word, properties);
}

/* What a report wants to know stands behind; test_report has it. */
static struct pn_str without_report(struct pn_str auth)
{
    const char *at = auth.len == 0 ? NULL : memmem(auth.p, auth.len, " spf=", 5);
    return at == NULL ? auth : (struct pn_str){auth.p, (size_t)(at - auth.p)};
}

static void run_rows(const struct row *rows, size_t count, const struct fake_row *settings)
{
    for (size_t i = 0; i < count; i++) {
        char message[1000];
        struct fakehost *h = fakehost_new(&postern_plugin, settings, rows[i].dns);
        unit_row(rows[i].label);
        (void)snprintf(message, sizeof message, "%s\nSubject: x\n\nx\n", rows[i].from);
        fakehost_message(h, pn_str_of(message));
        give(h, "spf", rows[i].spf);
        give(h, "dkim", rows[i].dkim);
        UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_OK);
        UNIT_STR(fakehost_facts(h), pn_str_of(rows[i].facts));
        UNIT_STR(without_report(fakehost_auth(h)), pn_str_of(rows[i].auth));
        fakehost_free(&h);
    }
}

#define COUNT(rows) (sizeof(rows) / sizeof(rows)[0])
#define REJECT      "_dmarc.a.test TXT \"v=DMARC1; p=reject\"\n"
#define A_TEST(result, policy, disposition)                                                        \
    "dmarc=" result " domain=a.test record_domain=a.test org_domain=a.test policy=" policy         \
    " disposition=" disposition

static void test_results(void)
{
    static const struct row rows[] = {
        {"no record", "From: u@a.test", "", "pass a.test", "", "DMARC_NONE=0(a.test)",
         "dmarc=none domain=a.test org_domain=a.test"},
        {"SPF aligns", "From: u@a.test", REJECT, "pass a.test", "", "DMARC_PASS=-0.5(a.test)",
         A_TEST("pass", "reject", "none")},
        {"DKIM aligns, relaxed", "From: u@A.Test", REJECT, "fail a.test", "pass m.a.test",
         "DMARC_PASS=-0.5(a.test)", A_TEST("pass", "reject", "none")},
        {"nothing aligns", "From: u@a.test", REJECT, "pass b.test", "pass xa.test",
         "DMARC_REJECT=6(a.test)", A_TEST("fail", "reject", "reject")},
        {"nothing at all", "From: u@a.test", REJECT, "", "", "DMARC_REJECT=6(a.test)",
         A_TEST("fail", "reject", "reject")},
        {"a broken signature is none", "From: u@a.test", REJECT, "", "fail a.test",
         "DMARC_REJECT=6(a.test)", A_TEST("fail", "reject", "reject")},
        {"HELO does not count", "From: u@a.test", REJECT, "pass a.test identity=helo", "",
         "DMARC_REJECT=6(a.test)", A_TEST("fail", "reject", "reject")},
        {"quarantine", "From: u@a.test", "_dmarc.a.test TXT \"v=DMARC1; p=quarantine\"", "", "",
         "DMARC_QUARANTINE=4(a.test)", A_TEST("fail", "quarantine", "quarantine")},
        {"none", "From: u@a.test", "_dmarc.a.test TXT \"v=DMARC1; p=none\"", "", "",
         "DMARC_FAIL=1(a.test)", A_TEST("fail", "none", "none")},
        {"testing reject", "From: u@a.test", "_dmarc.a.test TXT \"v=DMARC1; p=reject; t=y\"", "",
         "", "DMARC_QUARANTINE=4(a.test)", A_TEST("fail", "reject", "quarantine")},
        {"testing quarantine", "From: u@a.test",
         "_dmarc.a.test TXT \"v=DMARC1; p=quarantine; t=y\"", "", "", "DMARC_FAIL=1(a.test)",
         A_TEST("fail", "quarantine", "none")},
        {"strict", "From: u@a.test", "_dmarc.a.test TXT \"v=DMARC1; p=reject; aspf=s; adkim=s\"",
         "pass m.a.test", "pass m.a.test", "DMARC_REJECT=6(a.test)",
         A_TEST("fail", "reject", "reject")},
        {"strict for SPF only", "From: u@a.test",
         "_dmarc.a.test TXT \"v=DMARC1; p=reject; aspf=s\"", "pass m.a.test", "pass m.a.test",
         "DMARC_PASS=-0.5(a.test)", A_TEST("pass", "reject", "none")},
        {"two records are none", "From: u@a.test", REJECT "_dmarc.a.test TXT \"v=DMARC1; p=none\"",
         "", "", "DMARC_NONE=0(a.test)", "dmarc=none domain=a.test org_domain=a.test"},
        {"other TXT beside it", "From: u@a.test", REJECT "_dmarc.a.test TXT \"hello\"", "", "",
         "DMARC_REJECT=6(a.test)", A_TEST("fail", "reject", "reject")},
        {"unusable", "From: u@a.test", "_dmarc.a.test TXT \"v=DMARC1; p=x\"", "pass a.test", "",
         "DMARC_NONE=0(a.test: the record has no policy that can be used)",
         "dmarc=none domain=a.test record_domain=a.test org_domain=a.test"},
        {"no p, nobody in rua", "From: u@a.test", "_dmarc.a.test TXT \"v=DMARC1; adkim=s\"", "", "",
         "DMARC_NONE=0(a.test: the record has no policy that can be used)",
         "dmarc=none domain=a.test record_domain=a.test org_domain=a.test"},
        {"no p, but rua", "From: u@a.test", "_dmarc.a.test TXT \"v=DMARC1; rua=mailto:d@a.test\"",
         "", "", "DMARC_FAIL=1(a.test)", A_TEST("fail", "none", "none")},
        {"no p, but rua, and aligned", "From: u@a.test",
         "_dmarc.a.test TXT \"v=DMARC1; rua=mailto:d@a.test\"", "pass a.test", "",
         "DMARC_PASS=-0.5(a.test)", A_TEST("pass", "none", "none")},
        {"a wrong sp spoils p", "From: u@a.test",
         "_dmarc.a.test TXT \"v=DMARC1; p=reject; sp=maybe\"", "", "",
         "DMARC_NONE=0(a.test: the record has no policy that can be used)",
         "dmarc=none domain=a.test record_domain=a.test org_domain=a.test"},
        {"a wrong np spoils p, with rua", "From: u@a.test",
         "_dmarc.a.test TXT \"v=DMARC1; p=reject; np=maybe; rua=mailto:d@a.test\"", "", "",
         "DMARC_FAIL=1(a.test)", A_TEST("fail", "none", "none")},
        {"unusable below a good one", "From: u@s.a.test",
         REJECT "_dmarc.s.a.test TXT \"v=DMARC1; p=x\"", "", "",
         "DMARC_NONE=0(s.a.test: the record has no policy that can be used)",
         "dmarc=none domain=s.a.test record_domain=s.a.test org_domain=a.test"},
        {"record silent", "From: u@a.test", "_dmarc.a.test TIMEOUT", "pass a.test", "",
         "DMARC_TEMPERROR=0(a.test: a record could not be looked up)",
         "dmarc=temperror domain=a.test"},
        {"SPF in trouble", "From: u@a.test", REJECT, "temperror a.test", "fail a.test",
         "DMARC_TEMPERROR=0(a.test: SPF had a temporary error)",
         A_TEST("temperror", "reject", "none")},
        {"DKIM in trouble, SPF passes", "From: u@a.test", REJECT, "pass a.test", "temperror a.test",
         "DMARC_PASS=-0.5(a.test)", A_TEST("pass", "reject", "none")},
        {"trouble of another", "From: u@a.test", REJECT, "temperror b.test", "",
         "DMARC_REJECT=6(a.test)", A_TEST("fail", "reject", "reject")},
        {"in another script, in capitals",
         "From: u@B\xc3\x9c"
         "CHER.test",
         "_dmarc.xn--bcher-kva.test TXT \"v=DMARC1; p=reject\"", "", "",
         "DMARC_REJECT=6(xn--bcher-kva.test)",
         "dmarc=fail domain=xn--bcher-kva.test record_domain=xn--bcher-kva.test "
         "org_domain=xn--bcher-kva.test policy=reject disposition=reject"},
        {"with a full stop of another script", "From: u@a\xe3\x80\x82test", REJECT, "", "",
         "DMARC_REJECT=6(a.test)", A_TEST("fail", "reject", "reject")},
        {"no name in any script", "From: u@\xe2\x80\xae.test", REJECT, "", "",
         "DMARC_BAD_FROM=2(no domain name in an address)", "dmarc=permerror"},
        {"in another script",
         "From: u@b\xc3\xbc"
         "cher.test",
         "_dmarc.xn--bcher-kva.test TXT \"v=DMARC1; p=none\"", "pass xn--bcher-kva.test", "",
         "DMARC_PASS=-0.5(xn--bcher-kva.test)",
         "dmarc=pass domain=xn--bcher-kva.test record_domain=xn--bcher-kva.test "
         "org_domain=xn--bcher-kva.test policy=none disposition=none"},
    };
    run_rows(rows, COUNT(rows), NULL);
}

/* The one that aligns comes behind as many as a message can have. */
static void test_many_signatures(void)
{
    struct fakehost *h = fakehost_new(&postern_plugin, NULL, REJECT);
    char domain[40];
    fakehost_message(h, PN_STR("From: u@a.test\n\nx\n"));
    for (unsigned i = 1; i < 64; i++) {
        (void)snprintf(domain, sizeof domain, "pass s%u.test", i);
        give(h, "dkim", domain);
    }
    give(h, "dkim", "pass a.test");
    UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_OK);
    UNIT_STR(fakehost_facts(h), PN_STR("DMARC_PASS=-0.5(a.test)"));
    fakehost_free(&h);
}

#define TEN                                                                                        \
    "u@a.test, u@a.test, u@a.test, u@a.test, u@a.test, u@a.test, u@a.test, u@a.test, u@a.test, "   \
    "u@a.test"

#define MANY "b.test, u@c.test, u@d.test, "

static void test_from(void)
{
    static const struct row rows[] = {
        {"none", "To: u@a.test", REJECT, "", "", "DMARC_BAD_FROM=2(no From field)",
         "dmarc=permerror"},
        {"empty", "From:", REJECT, "", "", "DMARC_BAD_FROM=2(no address)", "dmarc=permerror"},
        {"group of nobody", "From: nobody:;", REJECT, "", "", "DMARC_BAD_FROM=2(no address)",
         "dmarc=permerror"},
        {"no at sign", "From: Me", REJECT, "", "", "DMARC_BAD_FROM=2(malformed address)",
         "dmarc=permerror"},
        {"address literal", "From: u@[192.0.2.1]", REJECT, "", "",
         "DMARC_BAD_FROM=2(no domain name in an address)", "dmarc=permerror"},
        {"two of one domain", "From: u@a.test, v@A.test", REJECT, "pass a.test", "",
         "DMARC_PASS=-0.5(a.test)", A_TEST("pass", "reject", "none")},
        {"two domains: the strictest failure", "From: u@b.test, v@a.test, w@c.test",
         REJECT "_dmarc.b.test TXT \"v=DMARC1; p=none\"\n_dmarc.c.test TXT \"v=DMARC1; p=reject\"",
         "pass c.test", "", "DMARC_BAD_FROM=2(authors of several domains) DMARC_REJECT=6(a.test)",
         A_TEST("fail", "reject", "reject")},
        {"two fields", "From: u@b.test\nFrom: v@a.test", REJECT, "pass b.test", "",
         "DMARC_BAD_FROM=2(more than one From field) DMARC_REJECT=6(a.test)",
         A_TEST("fail", "reject", "reject")},
        {"as many as are read", "From: " TEN ", " TEN ", " TEN ", " TEN ", " TEN, REJECT,
         "pass a.test", "", "DMARC_PASS=-0.5(a.test)", A_TEST("pass", "reject", "none")},
        {"one too many to read", "From: " TEN ", " TEN ", " TEN ", " TEN ", " TEN ", v@b.test",
         REJECT, "pass a.test", "", "DMARC_BAD_FROM=2(too many addresses)", "dmarc=permerror"},
        {"as many domains as are read", "From: u@" MANY "u@a.test", REJECT, "pass b.test", "",
         "DMARC_BAD_FROM=2(authors of several domains) DMARC_REJECT=6(a.test)",
         A_TEST("fail", "reject", "reject")},
        {"one too many domains", "From: u@" MANY "u@e.test, u@a.test", REJECT, "pass b.test", "",
         "DMARC_BAD_FROM=2(authors of several domains)", "dmarc=permerror"},
        {"one too many fields",
         "From: u@b.test\nFrom: u@b.test\nFrom: u@b.test\nFrom: u@b.test\nFrom: u@a.test", REJECT,
         "pass b.test", "", "DMARC_BAD_FROM=2(more than one From field)", "dmarc=permerror"},
        {"malformed before one that passes", "From: <u@a.test, u@b.test", REJECT, "pass b.test", "",
         "DMARC_BAD_FROM=2(malformed address)", "dmarc=permerror"},
        {"no name beside one that passes", "From: u@[192.0.2.1], u@b.test", REJECT, "pass b.test",
         "", "DMARC_BAD_FROM=2(no domain name in an address)", "dmarc=permerror"},
        {"malformed beside one that fails", "From: u@a.test, <v", REJECT, "pass b.test", "",
         "DMARC_BAD_FROM=2(malformed address) DMARC_REJECT=6(a.test)",
         A_TEST("fail", "reject", "reject")},
        {"display name with an address", "From: \"u@b.test\" <v@a.test>", REJECT, "pass b.test", "",
         "DMARC_REJECT=6(a.test)", A_TEST("fail", "reject", "reject")},
    };
    run_rows(rows, COUNT(rows), NULL);
}

static void test_walk(void)
{
    static const struct row rows[] = {
        {"sp of the organization", "From: u@x.y.a.test",
         "_dmarc.a.test TXT \"v=DMARC1; p=none; sp=reject\"\nx.y.a.test A 192.0.2.1", "", "",
         "DMARC_REJECT=6(x.y.a.test)",
         "dmarc=fail domain=x.y.a.test record_domain=a.test org_domain=a.test policy=reject "
         "disposition=reject"},
        {"np of what is not there", "From: u@x.a.test",
         "_dmarc.a.test TXT \"v=DMARC1; p=none; sp=none; np=reject\"", "", "",
         "DMARC_REJECT=6(x.a.test)",
         "dmarc=fail domain=x.a.test record_domain=a.test org_domain=a.test policy=reject "
         "disposition=reject"},
        {"np not of what is there", "From: u@x.a.test",
         "_dmarc.a.test TXT \"v=DMARC1; p=none; np=reject\"\nx.a.test TXT x", "", "",
         "DMARC_FAIL=1(x.a.test)",
         "dmarc=fail domain=x.a.test record_domain=a.test org_domain=a.test policy=none "
         "disposition=none"},
        {"np in doubt", "From: u@x.a.test",
         "_dmarc.a.test TXT \"v=DMARC1; p=none; np=reject\"\nx.a.test SERVFAIL", "", "",
         "DMARC_FAIL=1(x.a.test)",
         "dmarc=fail domain=x.a.test record_domain=a.test org_domain=a.test policy=none "
         "disposition=none"},
        {"the topmost record is the organization's", "From: u@x.a.test",
         REJECT "_dmarc.x.a.test TXT \"v=DMARC1; p=none\"", "pass y.a.test", "",
         "DMARC_PASS=-0.5(x.a.test)",
         "dmarc=pass domain=x.a.test record_domain=x.a.test org_domain=a.test policy=none "
         "disposition=none"},
        {"psd=n ends it below", "From: u@z.x.a.test",
         REJECT "_dmarc.x.a.test TXT \"v=DMARC1; p=quarantine; psd=n\"", "pass a.test",
         "pass y.a.test", "DMARC_QUARANTINE=4(z.x.a.test)",
         "dmarc=fail domain=z.x.a.test record_domain=x.a.test org_domain=x.a.test "
         "policy=quarantine disposition=quarantine"},
        {"an identifier that is its own organization", "From: u@a.test",
         REJECT "_dmarc.x.a.test TXT \"v=DMARC1; p=none; psd=n\"", "pass y.x.a.test", "",
         "DMARC_REJECT=6(a.test)", A_TEST("fail", "reject", "reject")},
        {"psd=y: one below is the organization", "From: u@x.a.test",
         "_dmarc.test TXT \"v=DMARC1; p=reject; sp=quarantine; psd=y\"\nx.a.test A 192.0.2.1",
         "pass b.test", "pass y.b.test", "DMARC_QUARANTINE=4(x.a.test)",
         "dmarc=fail domain=x.a.test record_domain=test org_domain=a.test policy=quarantine "
         "disposition=quarantine"},
        {"psd=y, and aligned", "From: u@x.a.test", "_dmarc.test TXT \"v=DMARC1; p=reject; psd=y\"",
         "pass y.a.test", "", "DMARC_PASS=-0.5(x.a.test)",
         "dmarc=pass domain=x.a.test record_domain=test org_domain=a.test policy=reject "
         "disposition=none"},
        {"psd=y, and the organization has a record", "From: u@x.a.test",
         REJECT "_dmarc.test TXT \"v=DMARC1; p=none; psd=y\"", "", "", "DMARC_REJECT=6(x.a.test)",
         "dmarc=fail domain=x.a.test record_domain=a.test org_domain=a.test policy=reject "
         "disposition=reject"},
        {"psd=y of the author itself", "From: u@a.test",
         "_dmarc.a.test TXT \"v=DMARC1; p=reject; psd=y\"", "", "pass m.a.test",
         "DMARC_REJECT=6(a.test)", A_TEST("fail", "reject", "reject")},
        {"trouble on the way up", "From: u@x.a.test", "_dmarc.a.test SERVFAIL", "", "",
         "DMARC_TEMPERROR=0(x.a.test: a record could not be looked up)",
         "dmarc=temperror domain=x.a.test"},
        {"trouble of an identifier's walk", "From: u@a.test", REJECT "_dmarc.x.a.test SERVFAIL",
         "pass x.a.test", "", "DMARC_TEMPERROR=0(a.test: a lookup failed)",
         A_TEST("temperror", "reject", "none")},
    };
    run_rows(rows, COUNT(rows), NULL);
}

/* At most eight names are asked for a domain (RFC 9989, section 4.10). */
static void test_walk_names(void)
{
    static const struct {
        const char *from, *asked;
    } rows[] = {
        {"From: u@test", "TXT _dmarc.test"},
        {"From: u@a.test", "TXT _dmarc.a.test, TXT _dmarc.test"},
        {"From: u@b.c.d.e.f.g.h.i",
         "TXT _dmarc.b.c.d.e.f.g.h.i, TXT _dmarc.c.d.e.f.g.h.i, TXT _dmarc.d.e.f.g.h.i, "
         "TXT _dmarc.e.f.g.h.i, TXT _dmarc.f.g.h.i, TXT _dmarc.g.h.i, TXT _dmarc.h.i, "
         "TXT _dmarc.i"},
        {"From: u@z.y.x.b.c.d.e.f.g.h.i",
         "TXT _dmarc.z.y.x.b.c.d.e.f.g.h.i, TXT _dmarc.c.d.e.f.g.h.i, TXT _dmarc.d.e.f.g.h.i, "
         "TXT _dmarc.e.f.g.h.i, TXT _dmarc.f.g.h.i, TXT _dmarc.g.h.i, TXT _dmarc.h.i, "
         "TXT _dmarc.i"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char message[200];
        struct fakehost *h = fakehost_new(&postern_plugin, NULL, "");
        unit_row(rows[i].from);
        (void)snprintf(message, sizeof message, "%s\n\nx\n", rows[i].from);
        fakehost_message(h, pn_str_of(message));
        UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_OK);
        UNIT_STR(fakehost_asked(h), pn_str_of(rows[i].asked));
        fakehost_free(&h);
    }
}

static void test_psl(void)
{
    static const struct fake_row psl[] = {{"organizational-domain", {"psl"}}, {NULL}};
    static const struct row rows[] = {
        {"registrable domain", "From: u@x.a.co.uk", "_dmarc.a.co.uk TXT \"v=DMARC1; p=reject\"",
         "pass y.z.a.co.uk", "", "DMARC_PASS=-0.5(x.a.co.uk)",
         "dmarc=pass domain=x.a.co.uk record_domain=a.co.uk org_domain=a.co.uk policy=reject "
         "disposition=none"},
        {"a suffix is nobody's", "From: u@a.co.uk", "_dmarc.a.co.uk TXT \"v=DMARC1; p=reject\"",
         "pass b.co.uk", "pass co.uk", "DMARC_REJECT=6(a.co.uk)",
         "dmarc=fail domain=a.co.uk record_domain=a.co.uk org_domain=a.co.uk policy=reject "
         "disposition=reject"},
        {"no walk", "From: u@x.y.a.co.uk", "_dmarc.y.a.co.uk TXT \"v=DMARC1; p=reject\"", "", "",
         "DMARC_NONE=0(x.y.a.co.uk)", "dmarc=none domain=x.y.a.co.uk org_domain=a.co.uk"},
        {"author a suffix", "From: u@co.uk", "_dmarc.co.uk TXT \"v=DMARC1; p=reject\"",
         "pass a.co.uk", "", "DMARC_REJECT=6(co.uk)",
         "dmarc=fail domain=co.uk record_domain=co.uk org_domain=co.uk policy=reject "
         "disposition=reject"},
    };
    run_rows(rows, COUNT(rows), psl);
    static const struct fake_row bad[] = {
        {"organizational-domain", {"psl"}}, {"public-suffix-list", {"/nonexistent/list"}}, {NULL}};
    struct fakehost *h = fakehost_new(&postern_plugin, bad, "");
    UNIT_STR(fakehost_setup_error(h),
             PN_STR("/nonexistent/list: no list of public suffixes can be read there\n"));
    fakehost_free(&h);
}

/* ---- what a report tells (RFC 9990, section 3.1) */

static void test_report(void)
{
    static const struct {
        const char *label, *record, *spf, *dkim, *want; /* behind " disposition=" */
    } rows[] = {
        {"defaults", "p=reject", "", "",
         "reject spf=fail dkim=fail p=reject adkim=r aspf=r testing=n discovery=treewalk"},
        {"all tags",
         "p=none; sp=reject; np=reject; adkim=s; aspf=s; psd=n; fo=1:d; "
         "rua=mailto:r@a.test,mailto:s@b.test!10m; ruf=mailto:f@a.test",
         "pass a.test", "pass a.test",
         "reject spf=fail dkim=fail p=none sp=reject np=reject adkim=s aspf=s testing=n "
         "discovery=treewalk fo=1:d rua=mailto:r@a.test,mailto:s@b.test!10m"},
        {"both pass", "p=reject", "pass a.test", "pass m.a.test",
         "none spf=pass dkim=pass p=reject adkim=r aspf=r testing=n discovery=treewalk"},
        {"SPF alone", "p=reject", "pass a.test", "pass b.test",
         "none spf=pass dkim=fail p=reject adkim=r aspf=r testing=n discovery=treewalk"},
        {"DKIM alone", "p=reject", "fail a.test", "pass a.test",
         "none spf=fail dkim=pass p=reject adkim=r aspf=r testing=n discovery=treewalk"},
        {"trouble beside a pass", "p=reject", "temperror a.test", "pass a.test",
         "none spf=fail dkim=pass p=reject adkim=r aspf=r testing=n discovery=treewalk"},
        {"testing", "p=reject; t=y", "", "",
         "quarantine spf=fail dkim=fail p=reject adkim=r aspf=r testing=y discovery=treewalk "
         "override=policy_test_mode"},
        {"testing what asks for nothing", "p=none; sp=none; t=y", "", "",
         "none spf=fail dkim=fail p=none sp=none adkim=r aspf=r testing=y discovery=treewalk"},
        {"testing, and a pass", "p=reject; t=y", "pass a.test", "",
         "none spf=pass dkim=fail p=reject adkim=r aspf=r testing=y discovery=treewalk"},
        {"an address that is none", "p=reject; rua=nobody", "", "",
         "reject spf=fail dkim=fail p=reject adkim=r aspf=r testing=n discovery=treewalk"},
        {"what no line can show", "p=reject; fo=\\007; rua=mailto:\\195@a.test", "", "",
         "reject spf=fail dkim=fail p=reject adkim=r aspf=r testing=n discovery=treewalk"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char dns[1000];
        (void)snprintf(dns, sizeof dns, "_dmarc.a.test TXT \"v=DMARC1; %s\"", rows[i].record);
        struct fakehost *h = fakehost_new(&postern_plugin, NULL, dns);
        unit_row(rows[i].label);
        fakehost_message(h, PN_STR("From: u@x.a.test\n\nx\n"));
        give(h, "spf", rows[i].spf);
        give(h, "dkim", rows[i].dkim);
        UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_OK);
        struct pn_str auth = fakehost_auth(h);
        const char *at = memmem(auth.p, auth.len, "disposition=", 12);
        UNIT_TRUE(at != NULL);
        if (at != NULL)
            UNIT_STR(((struct pn_str){at + 12, auth.len - (size_t)(at + 12 - auth.p)}),
                     pn_str_of(rows[i].want));
        fakehost_free(&h);
    }
}

static void test_forwarders(void)
{
    static const struct fake_row known[] = {{"forwarder", {"192.0.2.0/24"}},
                                            {"forwarder-domain", {"lists.test", "B\xc3\xbc.test"}},
                                            {NULL}};
    static const struct {
        const char *label, *ip, *spf, *dkim, *record, *facts, *override;
    } rows[] = {
        {"by its network", "192.0.2.7", "", "", "p=reject",
         "DMARC_FORWARDED=0(a.test: by 192.0.2.7)",
         " override=trusted_forwarder override_comment=192.0.2.7"},
        {"by what SPF proves", "198.51.100.1", "pass Lists.Test", "", "p=reject",
         "DMARC_FORWARDED=0(a.test: by lists.test)",
         " override=trusted_forwarder override_comment=lists.test"},
        {"by a signature", "198.51.100.1", "", "pass lists.test", "p=quarantine",
         "DMARC_FORWARDED=0(a.test: by lists.test)",
         " override=trusted_forwarder override_comment=lists.test"},
        {"a domain below is another", "198.51.100.1", "pass x.lists.test", "", "p=reject",
         "DMARC_REJECT=6(a.test)", NULL},
        {"not proven", "198.51.100.1", "softfail lists.test", "fail lists.test", "p=reject",
         "DMARC_REJECT=6(a.test)", NULL},
        {"a pass needs no exception", "192.0.2.7", "pass a.test", "", "p=reject",
         "DMARC_PASS=-0.5(a.test)", NULL},
        {"nor has a temporary error one", "192.0.2.7", "temperror a.test", "", "p=reject",
         "DMARC_TEMPERROR=0(a.test: SPF had a temporary error)", NULL},
        {"testing too", "192.0.2.7", "", "", "p=reject; t=y",
         "DMARC_FORWARDED=0(a.test: by 192.0.2.7)",
         " override=trusted_forwarder override_comment=192.0.2.7"},
        {"nobody's", "198.51.100.1", "", "", "p=reject", "DMARC_REJECT=6(a.test)", NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char dns[1000];
        (void)snprintf(dns, sizeof dns, "_dmarc.a.test TXT \"v=DMARC1; %s\"", rows[i].record);
        struct fakehost *h = fakehost_new(&postern_plugin, known, dns);
        unit_row(rows[i].label);
        fakehost_client(h, rows[i].ip, "");
        fakehost_message(h, PN_STR("From: u@a.test\n\nx\n"));
        give(h, "spf", rows[i].spf);
        give(h, "dkim", rows[i].dkim);
        UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_OK);
        UNIT_STR(fakehost_facts(h), pn_str_of(rows[i].facts));
        struct pn_str auth = fakehost_auth(h);
        const char *at = memmem(auth.p, auth.len, " override=", 10);
        UNIT_STR(at == NULL ? PN_STR("") : ((struct pn_str){at, auth.len - (size_t)(at - auth.p)}),
                 pn_str_of(rows[i].override == NULL ? "" : rows[i].override));
        if (rows[i].override != NULL)
            UNIT_TRUE(memmem(auth.p, auth.len, " disposition=none ", 18) != NULL);
        fakehost_free(&h);
    }
}

static void test_skipped(void)
{
    static const struct fake_row skip[] = {{"skip", {"192.0.2.0/24"}}, {NULL}};
    struct fakehost *h = fakehost_new(&postern_plugin, skip, REJECT);
    fakehost_message(h, PN_STR("From: u@a.test\n\n"));
    UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_OK);
    UNIT_STR(fakehost_facts(h), PN_STR(""));
    fakehost_client(h, "198.51.100.1", "");
    UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_OK);
    UNIT_STR(fakehost_facts(h), PN_STR("DMARC_REJECT=6(a.test)"));
    fakehost_reset(h);
    fakehost_auth_id(h, "user");
    fakehost_message(h, PN_STR("From: u@a.test\n\n"));
    UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_OK);
    UNIT_STR(fakehost_facts(h), PN_STR(""));
    fakehost_free(&h);
    h = fakehost_new(&postern_plugin, NULL, REJECT);
    fakehost_message(h, PN_STR("From: u@a.test\n\n"));
    fakehost_limits(h, 100, 1000, 0);
    UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_DEADLINE);
    fakehost_reset(h);
    fakehost_message(h, PN_STR("From: u@a.test\n\n"));
    fakehost_limits(h, 0, 1000, 100);
    UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_OK);
    UNIT_STR(fakehost_facts(h),
             PN_STR("DMARC_TEMPERROR=0(a.test: a record could not be looked up)"));
    fakehost_free(&h);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"name", test_name},
        {"tail", test_tail},
        {"record", test_record},
        {"results", test_results},
        {"many signatures", test_many_signatures},
        {"from", test_from},
        {"walk", test_walk},
        {"walk_names", test_walk_names},
        {"psl", test_psl},
        {"report", test_report},
        {"forwarders", test_forwarders},
        {"skipped", test_skipped},
        {NULL, NULL},
    };
    return unit_main("dmarc", tests, argc, argv);
}
