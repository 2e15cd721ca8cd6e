/*
 * Both engines of the plugin dmarc over the same messages: where libopendmarc errs, our own
 * engine (with a list of public suffixes, as the library has) stands beside it with what RFC 7489
 * and RFC 9989 say. The README names these faults.
 */
#include "unit.h"

#include "fakehost.h"

#include <stdio.h>
#include <sys/types.h>

#include <opendmarc/dmarc.h>

extern const struct postern_plugin postern_plugin;

#define COUNT(rows) (sizeof(rows) / sizeof(rows)[0])

static const struct fake_row native[] = {{"organizational-domain", {"psl"}}, {NULL}};
static const struct fake_row library[] = {{"engine", {"libopendmarc"}}, {NULL}};

struct row {
    const char *label, *author, *record; /* at _dmarc.author, unless it begins with "name TXT" */
    const char *spf, *dkim;              /* "pass a.test", or "" */
    const char *native, *library;        /* NULL: the same */
};

static void give(struct fakehost *h, const char *method, const char *what)
{
    char result[20], domain[100], properties[200];
    if (sscanf(what, "%19s %99s", result, domain) != 2)
        return;
    (void)snprintf(properties, sizeof properties, "domain=%s", domain);
    fakehost_give_auth(h, method, result, properties);
}

static void run(const struct row *row, const struct fake_row *settings, const char *want)
{
    char dns[500], message[200];
    bool elsewhere = strstr(row->record, " TXT ") != NULL;
    if (elsewhere)
        (void)snprintf(dns, sizeof dns, "%s", row->record);
    else
        (void)snprintf(dns, sizeof dns, "_dmarc.%s TXT \"%s\"", row->author, row->record);
    (void)snprintf(message, sizeof message, "From: u@%s\n\nx\n", row->author);
    struct fakehost *h = fakehost_new(&postern_plugin, settings, dns);
    fakehost_message(h, pn_str_of(message));
    give(h, "spf", row->spf);
    give(h, "dkim", row->dkim);
    UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_OK);
    /* "DMARC_PASS=-0.5(x.test)" */
    struct pn_str facts = fakehost_facts(h), name = pn_str_split(&facts, '=');
    UNIT_STR(name, pn_str_of(want));
    fakehost_free(&h);
}

static void run_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char label[200];
        (void)snprintf(label, sizeof label, "%s: native", rows[i].label);
        unit_row(label);
        run(&rows[i], native, rows[i].native);
        (void)snprintf(label, sizeof label, "%s: libopendmarc", rows[i].label);
        unit_row(label);
        run(&rows[i], library, rows[i].library == NULL ? rows[i].native : rows[i].library);
    }
}

#define REJECT "v=DMARC1; p=reject"

static void test_alike(void)
{
    static const struct row rows[] = {
        {"no record", "aa.test", "_dmarc.bb.test TXT x", "pass aa.test", "", "DMARC_NONE", NULL},
        {"SPF", "aa.test", REJECT, "pass aa.test", "", "DMARC_PASS", NULL},
        {"DKIM, relaxed", "aa.test", REJECT, "", "pass m.aa.test", "DMARC_PASS", NULL},
        {"neither", "aa.test", REJECT, "pass bb.test", "pass bb.test", "DMARC_REJECT", NULL},
        {"a list's suffix", "aa.co.uk", REJECT, "pass bb.co.uk", "", "DMARC_REJECT", NULL},
        {"quarantine", "aa.test", "v=DMARC1; p=quarantine", "", "", "DMARC_QUARANTINE", NULL},
        {"none", "aa.test", "v=DMARC1; p=none", "", "", "DMARC_FAIL", NULL},
        {"sp", "xx.aa.test", "_dmarc.aa.test TXT \"v=DMARC1; p=none; sp=reject\"", "", "",
         "DMARC_REJECT", NULL},
        {"p for want of sp", "xx.aa.test", "_dmarc.aa.test TXT \"v=DMARC1; p=reject\"", "", "",
         "DMARC_REJECT", NULL},
        {"pct is for nobody", "aa.test", "v=DMARC1; p=reject; pct=0", "", "", "DMARC_REJECT", NULL},
        {"upper case", "aa.test", "v=DMARC1; p=Reject", "", "", "DMARC_REJECT", NULL},
        {"no p, but rua", "aa.test", "v=DMARC1; rua=mailto:r@aa.test", "", "", "DMARC_FAIL", NULL},
        {"v is not first", "aa.test", "p=reject; v=DMARC1", "", "", "DMARC_NONE", NULL},
        {"two records", "aa.test",
         "_dmarc.aa.test TXT \"v=DMARC1; p=none\"\n_dmarc.aa.test TXT \"v=DMARC1; p=reject\"", "",
         "", "DMARC_NONE", NULL},
        {"trouble", "aa.test", "_dmarc.aa.test TIMEOUT\nx TXT x", "", "", "DMARC_TEMPERROR", NULL},
        {"trouble of SPF", "aa.test", REJECT, "temperror aa.test", "", "DMARC_TEMPERROR", NULL},
        {"trouble of another's SPF", "aa.test", REJECT, "temperror bb.test", "", "DMARC_REJECT",
         NULL},
        {"strict, the very domain", "aa.test", "v=DMARC1; p=reject; aspf=s", "pass aa.test", "",
         "DMARC_PASS", NULL},
    };
    run_rows(rows, COUNT(rows));
}

static void test_faults(void)
{
    static const struct row rows[] = {
        {"strict SPF is not enforced", "aa.test", "v=DMARC1; p=reject; aspf=s", "pass m.aa.test",
         "", "DMARC_REJECT", "DMARC_PASS"},
        {"strict DKIM is not enforced", "aa.test", "v=DMARC1; p=reject; adkim=s", "",
         "pass m.aa.test", "DMARC_REJECT", "DMARC_PASS"},
        {"names of one letter below a suffix of two labels", "a.co.uk", REJECT, "pass b.co.uk", "",
         "DMARC_REJECT", "DMARC_PASS"},
        {"and of one label", "x.com", REJECT, "pass q.com", "", "DMARC_REJECT", "DMARC_PASS"},
        {"by signature too", "x.com", REJECT, "", "pass q.com", "DMARC_REJECT", "DMARC_PASS"},
        {"a wildcard of the list", "b.c.kobe.jp", REJECT, "pass x.c.kobe.jp", "", "DMARC_REJECT",
         "DMARC_PASS"},
        {"np", "xx.aa.test", "_dmarc.aa.test TXT \"v=DMARC1; p=none; np=reject\"", "", "",
         "DMARC_REJECT", "DMARC_FAIL"},
        {"t", "aa.test", "v=DMARC1; p=reject; t=y", "", "", "DMARC_QUARANTINE", "DMARC_REJECT"},
    };
    run_rows(rows, COUNT(rows));
}

/* What the library takes if it is asked itself, and our engine never lets it see. */
static void test_kept_away(void)
{
    static const struct {
        const char *record;
        int want;
    } rows[] = {
        {"p=reject; v=DMARC1", DMARC_PARSE_OKAY},
        {"v=DMARC1; rua=mailto:r@aa.test", DMARC_PARSE_ERROR_NO_REQUIRED_P},
        {"v=DMARC1; p=x; rua=mailto:r@aa.test", DMARC_PARSE_ERROR_BAD_VALUE},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        u_char ip[] = "192.0.2.1", domain[] = "aa.test", record[100];
        unit_row(rows[i].record);
        memcpy(record, rows[i].record, strlen(rows[i].record) + 1);
        DMARC_POLICY_T *p = opendmarc_policy_connect_init(ip, DMARC_POLICY_IP_TYPE_IPV4);
        (void)opendmarc_policy_store_from_domain(p, domain);
        UNIT_INT(opendmarc_policy_store_dmarc(p, record, domain, NULL), rows[i].want);
        (void)opendmarc_policy_connect_shutdown(p);
    }
}

static void test_setup(void)
{
    static const struct fake_row bad[] = {
        {"engine", {"libopendmarc"}}, {"public-suffix-list", {"/nonexistent/list"}}, {NULL}};
    struct fakehost *h = fakehost_new(&postern_plugin, bad, "");
    UNIT_STR(fakehost_setup_error(h),
             PN_STR("/nonexistent/list: no list of public suffixes can be read there\n"));
    fakehost_free(&h);
    h = fakehost_new(&postern_plugin, library, "");
    unit_row("its faults are told when it starts");
    UNIT_TRUE(pn_str_starts(fakehost_setup_error(h), PN_STR("warn: libopendmarc ignores strict")));
    fakehost_free(&h);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"alike", test_alike},
        {"faults", test_faults},
        {"kept_away", test_kept_away},
        {"setup", test_setup},
        {NULL, NULL},
    };
    return unit_main("dmarc_engines", tests, argc, argv);
}
