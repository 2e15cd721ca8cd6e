/* The fakehost itself, by a plugin that does a little of everything. */
#include "unit.h"

#include "fakehost.h"

#include <stdlib.h>

enum { SYM_ONE, SYM_TWO };

static const struct postern_symbol symbols[] = {
    [SYM_ONE] = {"ONE", 1500, "one"}, [SYM_TWO] = {"TWO", -250, "two"}, {NULL, 0, NULL}};

static const struct postern_row zone_rows[] = {
    {.name = "weight", .type = POSTERN_T_WEIGHT, .def = "2.25"}, {.name = NULL}};
static const struct postern_row rows[] = {
    {.name = "zone", .type = POSTERN_T_BLOCK, .rows = zone_rows},
    {.name = "wait", .type = POSTERN_T_DURATION, .def = "3s"},
    {.name = "size", .type = POSTERN_T_SIZE, .def = "64k"},
    {.name = "on", .type = POSTERN_T_BOOL, .def = "yes"},
    {.name = "word", .type = POSTERN_T_STRING, .flags = POSTERN_ROW_LIST},
    {.name = "net", .type = POSTERN_T_NETWORK, .def = "10.0.0.0/8"},
    {.name = NULL}};

struct instance {
    int64_t weights[2], wait, size;
    struct postern_str titles[2], words[2], where;
    size_t zones, word_count;
    unsigned bits;
    int on;
};

static int instance_new(struct postern_setup *s, void **instance)
{
    const struct postern_host *host = s->host;
    const struct postern_block *b = s->settings, *zone;
    struct instance *in = calloc(1, sizeof *in);
    unsigned char ip[16];
    *instance = in;
    in->zones = host->set_count(b, "zone");
    for (size_t i = 0; host->set_block(b, "zone", i, &zone) == POSTERN_OK; i++) {
        in->titles[i] = host->set_title(zone);
        (void)host->set_int(zone, "weight", 0, &in->weights[i]);
    }
    in->word_count = host->set_count(b, "word");
    for (size_t i = 0; i < in->word_count; i++)
        (void)host->set_str(b, "word", i, &in->words[i]);
    (void)host->set_int(b, "wait", 0, &in->wait);
    (void)host->set_int(b, "size", 0, &in->size);
    (void)host->set_bool(b, "on", &in->on);
    (void)host->set_net(b, "net", 0, ip, &in->bits);
    if (in->on != 0)
        return POSTERN_OK;
    host->setup_warn(s, POSTERN_STR("about to"));
    host->setup_error(s, host->set_where(b, "on", 0));
    free(in);
    *instance = NULL;
    return POSTERN_ERROR;
}

static int on_mail(struct postern_call *c)
{
    const struct postern_dns_answer *a;
    const struct postern_envelope *e = c->host->envelope(c);
    int status = c->host->dns_lookup(c, e->from, POSTERN_DNS_A, &a);
    if (status != POSTERN_OK)
        return status;
    (void)c->host->dns_start(c, POSTERN_STR("B.test."), POSTERN_DNS_TXT);
    (void)c->host->dns_start(c, POSTERN_STR("b.TEST"), POSTERN_DNS_TXT);
    (void)c->host->note_set(c, POSTERN_STR("k"), POSTERN_STR("v"));
    (void)c->host->fact_for(c, 1, SYM_TWO, POSTERN_STR(""));
    (void)c->host->fact_weighted(c, SYM_ONE, POSTERN_STR("w"), a->rcode * 1000);
    (void)c->host->fact(c, SYM_ONE, POSTERN_STR("w"));
    struct postern_pair p = {POSTERN_STR("domain"), e->from};
    return c->host->auth(c, &(struct postern_auth){POSTERN_STR("x"), POSTERN_STR("pass"), 1, &p});
}

static int on_message(struct postern_call *c)
{
    struct postern_str s, name;
    if (c->host->header_text(c, "subject", 0, &s) == POSTERN_OK)
        (void)c->host->add_header(c, POSTERN_STR("X-Subject"), s);
    if (c->host->header_at(c, 1, &name, &s) == POSTERN_OK)
        (void)c->host->remove_header(c, name, 0);
    struct postern_str local, domain;
    if (c->host->domain_ascii(c, POSTERN_STR("B\xc3\xbc.test"), &s) == POSTERN_OK)
        (void)c->host->note_set(c, POSTERN_STR("ascii"), s);
    if (c->host->words_text(c, POSTERN_STR("a\r\n =?utf-8?q?b=C3=A9?= "), &s) == POSTERN_OK)
        (void)c->host->note_set(c, POSTERN_STR("words"), s);
    for (size_t k = 0; c->host->header_address(c, "From", 0, k, &local, &domain, &s) == POSTERN_OK;
         k++)
        (void)c->host->fact(c, SYM_ONE, domain);
    for (size_t k = 0; c->host->url(c, k, &s, &domain) == POSTERN_OK; k++)
        (void)c->host->fact(c, SYM_TWO, domain);
    if (c->host->part_text(c, 0, POSTERN_TEXT_UTF8, &s) == POSTERN_OK)
        (void)c->host->log(c, POSTERN_LOG_INFO, s);
    return c->host->add_header(c, POSTERN_STR("X"), POSTERN_STR("a\nb")) == POSTERN_INVALID
               ? POSTERN_OK
               : POSTERN_ERROR;
}

static const struct postern_plugin plugin = {
    .size = sizeof plugin,
    .name = "fake",
    .rows = rows,
    .symbols = symbols,
    .needs = POSTERN_NEED_DNS,
    .instance_new = instance_new,
    .instance_free = free,
    .on = {[POSTERN_MAIL] = on_mail, [POSTERN_MESSAGE] = on_message},
};

static const struct fake_row settings[] = {
    {"zone",
     .blocks =
         (const struct fake_block[]){
             {"a", (const struct fake_row[]){{"weight", {"-1"}}, {NULL}}}, {"b", NULL}, {NULL}}},
    {"word", {"x", "y"}},
    {NULL}};

static void test_settings(void)
{
    struct fakehost *h = fakehost_new(&plugin, settings, NULL);
    const struct instance *in = fakehost_instance(h);
    UNIT_TRUE(in->zones == 2 && in->word_count == 2);
    UNIT_INT(in->weights[0], -1000);
    UNIT_INT(in->weights[1], 2250);
    UNIT_STR(((struct pn_str){in->titles[1].p, in->titles[1].len}), PN_STR("b"));
    UNIT_STR(((struct pn_str){in->words[1].p, in->words[1].len}), PN_STR("y"));
    UNIT_INT(in->wait, 3000);
    UNIT_INT(in->size, 65536);
    UNIT_INT(in->bits, 104);
    fakehost_free(&h);
    UNIT_TRUE(h == NULL);
    static const struct fake_row off[] = {{"on", {"no"}}, {NULL}};
    h = fakehost_new(&plugin, off, NULL);
    UNIT_STR(fakehost_setup_error(h), PN_STR("warn: about to\ntest.conf:1:1\n"));
    fakehost_free(&h);
}

static void test_run(void)
{
    struct fakehost *h = fakehost_new(&plugin, NULL, "a.test NXDOMAIN\n");
    fakehost_envelope(h, "a.test", "u@x.test  v@x.test");
    UNIT_INT(fakehost_run(h, POSTERN_CONNECT), POSTERN_OK);
    UNIT_INT(fakehost_run(h, POSTERN_MAIL), POSTERN_OK);
    UNIT_STR(fakehost_facts(h), PN_STR("TWO=-0.25@1 ONE=3(w)"));
    UNIT_STR(fakehost_auth(h), PN_STR("x=pass domain=a.test"));
    UNIT_STR(fakehost_notes(h), PN_STR("k=v"));
    UNIT_STR(fakehost_asked(h), PN_STR("A a.test, TXT B.test"));
    UNIT_INT(fakehost_asked_count(h), 2);
    fakehost_message(h, PN_STR("Subject: =?utf-8?q?h=C3=A9?=\nX-Two: 2\n\nh\xe9\n"));
    UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_OK);
    UNIT_STR(fakehost_edits(h), PN_STR("+X-Subject: h\xc3\xa9|-X-Two:0"));
    UNIT_STR(fakehost_log(h), PN_STR("info: h\xc3\xa9\r\n\n"));
    UNIT_STR(fakehost_notes(h), PN_STR("k=v ascii=xn--b-eha.test words=a b\xc3\xa9"));
    fakehost_reset(h);
    UNIT_STR(fakehost_facts(h), PN_STR(""));
    fakehost_message(h, PN_STR("From: g: A <a@X.test>, b@y.test;\n\nhttp://Link.test/x\n"));
    UNIT_INT(fakehost_run(h, POSTERN_MESSAGE), POSTERN_OK);
    UNIT_STR(fakehost_facts(h), PN_STR("ONE=1.5(x.test) ONE=1.5(y.test) TWO=-0.25(link.test)"));
    fakehost_reset(h);
    fakehost_envelope(h, "a.test", "");
    fakehost_limits(h, 0, 1024, 5000);
    UNIT_INT(fakehost_run(h, POSTERN_MAIL), POSTERN_LIMIT);
    fakehost_limits(h, 9, 1024, 0);
    UNIT_INT(fakehost_run(h, POSTERN_MAIL), POSTERN_DEADLINE);
    fakehost_free(&h);
}

int main(int argc, char **argv)
{
    static const struct unit_test tests[] = {
        {"settings", test_settings}, {"run", test_run}, {NULL, NULL}};
    return unit_main("fakehost", tests, argc, argv);
}
