/*
 * A plugin that uses the whole of plugin ABI 1.0: each type of setting, each function of the
 * host, each object and stage. What came out as the header says is the fact WHOLE_RIGHT with
 * the call's name, what did not is WHOLE_WRONG. tests/cli/abi.py builds and runs it with the
 * header that was 1.0's and with today's.
 */
#include <postern/plugin.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct postern_row zone_rows[] = {
    {.name = "code", .type = POSTERN_T_ADDRESS, .flags = POSTERN_ROW_LIST, .help = "Codes."},
    {.name = NULL}};

static const struct postern_row rows[] = {
    {.name = "string", .type = POSTERN_T_STRING, .flags = POSTERN_ROW_LIST, .help = "Words."},
    {.name = "bool", .type = POSTERN_T_BOOL, .def = "no", .help = "Yes or no."},
    {.name = "int", .type = POSTERN_T_INT, .min = -5, .max = 5, .help = "A number."},
    {.name = "size", .type = POSTERN_T_SIZE, .def = "64k", .help = "Bytes."},
    {.name = "duration", .type = POSTERN_T_DURATION, .def = "3s", .help = "Time."},
    {.name = "weight", .type = POSTERN_T_WEIGHT, .def = "2.5", .help = "Thousandths."},
    {.name = "address", .type = POSTERN_T_ADDRESS, .help = "An address."},
    {.name = "network", .type = POSTERN_T_NETWORK, .help = "A network."},
    {.name = "choice", .type = POSTERN_T_CHOICE, .choices = "a|b", .def = "b", .help = "A word."},
    {.name = "path", .type = POSTERN_T_FILE, .help = "A file."},
    {.name = "folder", .type = POSTERN_T_FOLDER, .help = "A folder."},
    {.name = "zone",
     .type = POSTERN_T_BLOCK,
     .flags = POSTERN_ROW_REPEAT | POSTERN_ROW_TITLED,
     .rows = zone_rows,
     .title_type = POSTERN_T_STRING,
     .help = "A block."},
    {.name = NULL}};

enum { RIGHT, WRONG, TWO };
static const struct postern_symbol symbols[] = {[RIGHT] = {"WHOLE_RIGHT", 0, "as it should be", 0},
                                                [WRONG] = {"WHOLE_WRONG", 0, "not so", 0},
                                                [TWO] = {"WHOLE_TWO", 2000, "for one", 0},
                                                {NULL, 0, NULL, 0}};

static int is(struct postern_str s, const char *want)
{
    return s.len == strlen(want) && memcmp(s.p, want, s.len) == 0;
}

static struct postern_str str(const char *z)
{
    return (struct postern_str){z, strlen(z)};
}

/* ---- settings, in instance_new */

struct instance {
    const struct postern_block *settings;
    char prepared[8];
    int tmp;
};

static int prepare(struct postern_setup *s, void **prepared)
{
    s->host->setup_warn(s, POSTERN_STR("prepares"));
    *prepared = calloc(1, 8);
    if (*prepared == NULL)
        return POSTERN_ERROR;
    memcpy(*prepared, "ready", 5);
    return POSTERN_OK;
}

static int instance_new(struct postern_setup *s, void **instance)
{
    struct instance *i = calloc(1, sizeof *i);
    if (i == NULL) {
        s->host->setup_error(s, POSTERN_STR("no memory"));
        return POSTERN_ERROR;
    }
    i->settings = s->settings;
    memcpy(i->prepared, s->prepared, 8);
    i->tmp = s->host->tmp_folder(s).len != 0;
    *instance = i;
    return POSTERN_OK;
}

static int is_int(struct postern_call *c, const char *row, int64_t want)
{
    const struct instance *i = c->instance;
    int64_t got = -1;
    return c->host->set_int(i->settings, row, 0, &got) == POSTERN_OK && got == want;
}

static int set_str(struct postern_call *c)
{
    const struct instance *i = c->instance;
    struct postern_str a, b, none;
    return c->host->set_str(i->settings, "string", 0, &a) == POSTERN_OK && is(a, "a b") &&
           c->host->set_str(i->settings, "string", 1, &b) == POSTERN_OK && is(b, "c") &&
           c->host->set_str(i->settings, "string", 2, &none) == POSTERN_NONE &&
           c->host->set_str(i->settings, "choice", 0, &a) == POSTERN_OK && is(a, "b");
}

static int set_int(struct postern_call *c)
{
    return is_int(c, "int", -5) && is_int(c, "size", 65536) && is_int(c, "duration", 3000) &&
           is_int(c, "weight", 2500);
}

static int set_bool(struct postern_call *c)
{
    int yes = 0;
    return c->host->set_bool(((struct instance *)c->instance)->settings, "bool", &yes) ==
               POSTERN_OK &&
           yes == 1;
}

static int set_net(struct postern_call *c)
{
    static const unsigned char want[16] = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 0};
    const struct instance *i = c->instance;
    unsigned char ip[16];
    unsigned bits = 0;
    return c->host->set_net(i->settings, "network", 0, ip, &bits) == POSTERN_OK && bits == 120 &&
           memcmp(ip, want, 16) == 0 &&
           c->host->set_net(i->settings, "address", 0, ip, &bits) == POSTERN_OK && bits == 128;
}

static int set_block(struct postern_call *c)
{
    const struct instance *i = c->instance;
    const struct postern_block *zone;
    unsigned char ip[16];
    unsigned bits;
    return c->host->set_count(i->settings, "zone") == 2 &&
           c->host->set_block(i->settings, "zone", 1, &zone) == POSTERN_OK &&
           is(c->host->set_title(zone), "two.test") &&
           c->host->set_net(zone, "code", 1, ip, &bits) == POSTERN_OK && ip[15] == 3;
}

static int set_where(struct postern_call *c)
{
    struct postern_str w = c->host->set_where(((struct instance *)c->instance)->settings, "int", 0);
    return w.len > 4 && memchr(w.p, ':', w.len) != NULL;
}

static int setup(struct postern_call *c)
{
    const struct instance *i = c->instance;
    return strcmp(i->prepared, "ready") == 0 && i->tmp;
}

/* ---- objects: what was made at connect and at MAIL is still there */

static int session_new(struct postern_call *c, void **session)
{
    *session = c->host->client(c)->is_ipv4 ? malloc(1) : NULL;
    return *session == NULL ? POSTERN_ERROR : POSTERN_OK;
}

static int transaction_new(struct postern_call *c, void **transaction)
{
    *transaction = malloc(1);
    return *transaction == NULL || c->session == NULL ? POSTERN_ERROR : POSTERN_OK;
}

static void object_free(void *instance, void *object)
{
    (void)instance;
    free(object);
}

static int objects(struct postern_call *c)
{
    return c->session != NULL && c->transaction != NULL && c->stage == POSTERN_MESSAGE &&
           c->host->major == POSTERN_ABI_MAJOR && c->host->minor + 1 > POSTERN_ABI_MINOR &&
           c->host->size >= sizeof *c->host;
}

/* ---- who and what */

static int client(struct postern_call *c)
{
    const struct postern_client *k = c->host->client(c);
    return k->is_ipv4 && k->ip[12] == 192 && k->ip[15] == 7 && is(k->ip_text, "192.0.2.7") &&
           is(k->helo, "friend") && k->port == 40000 && k->auth_id.len == 0 && k->tls == 0 &&
           is(k->hostname, "mx.here.test") && is(k->authserv_id, "mx.here.test");
}

static int envelope(struct postern_call *c)
{
    const struct postern_envelope *e = c->host->envelope(c);
    return e != NULL && is(e->from, "a@sender.test") && e->rcpt_count == 2 &&
           is(e->rcpt[1], "v@here.test");
}

static int id(struct postern_call *c)
{
    return c->host->id(c).len != 0;
}

/* ---- facts of its own and of others, notes, edits */

static int facts(struct postern_call *c)
{
    return c->host->fact_weighted(c, TWO, POSTERN_STR("weighted"), 1500) == POSTERN_OK &&
           c->host->fact_named(c, POSTERN_STR("WHOLE_NAMED"), POSTERN_STR(""), 500) == POSTERN_OK &&
           c->host->fact_for(c, 1, TWO, POSTERN_STR("second")) == POSTERN_OK &&
           c->host->fact(c, 99, POSTERN_STR("")) == POSTERN_INVALID &&
           c->host->fact_for(c, 9, TWO, POSTERN_STR("")) == POSTERN_INVALID;
}

static int seen_auth(struct postern_call *c)
{
    struct postern_auth got;
    return c->host->seen_auth(c, POSTERN_STR("x-whole"), 0, &got) == POSTERN_OK &&
           is(got.result, "pass") && got.count == 1 && is(got.properties[0].value, "sender.test");
}

static int seen(struct postern_call *c)
{
    struct postern_fact f;
    for (size_t n = 0; c->host->seen(c, n, &f) == POSTERN_OK; n++)
        if (is(f.plugin, "whole") && is(f.name, "WHOLE_TWO") && is(f.detail, "at rcpt"))
            return f.weight == 2000;
    return 0;
}

static int notes(struct postern_call *c)
{
    struct postern_str v;
    return c->host->note_get(c, "whole", POSTERN_STR("key"), &v) == POSTERN_OK && is(v, "value") &&
           c->host->note_get(c, "whole", POSTERN_STR("none"), &v) == POSTERN_NONE;
}

static int edits(struct postern_call *c)
{
    return c->host->add_header(c, POSTERN_STR("X-Whole"), POSTERN_STR("yes")) == POSTERN_OK &&
           c->host->remove_header(c, POSTERN_STR("X-Old"), 0) == POSTERN_OK &&
           c->host->add_header(c, POSTERN_STR("X-Bad"), POSTERN_STR("a\nb")) == POSTERN_INVALID;
}

/* ---- DNS, time, randomness */

static int dns(struct postern_call *c)
{
    const struct postern_dns_answer *a;
    if (c->host->dns_start(c, POSTERN_STR("a.test"), POSTERN_DNS_A) != POSTERN_OK ||
        c->host->dns_start(c, POSTERN_STR("a.test"), POSTERN_DNS_MX) != POSTERN_OK ||
        c->host->dns_wait_all(c) != POSTERN_OK ||
        c->host->dns_lookup(c, POSTERN_STR("a.test."), POSTERN_DNS_A, &a) != POSTERN_OK ||
        a->rcode != POSTERN_DNS_NOERROR || a->count != 2 || a->records[0].data.len != 4 ||
        a->records[1].data.p[3] != 2)
        return 0;
    if (c->host->dns_lookup(c, POSTERN_STR("a.test"), POSTERN_DNS_MX, &a) != POSTERN_OK ||
        a->count != 1 || a->records[0].data.p[1] != 10 || memcmp(a->records[0].data.p + 2, "mx", 2))
        return 0;
    return c->host->dns_lookup(c, POSTERN_STR("none.test"), POSTERN_DNS_TXT, &a) == POSTERN_OK &&
           a->rcode == POSTERN_DNS_NXDOMAIN && a->count == 0;
}

static int now_ms(struct postern_call *c)
{
    int64_t now = c->host->now_ms(c);
    return now >= INT64_C(1700000000000) && now < INT64_C(1700000060000);
}

static int left_ms(struct postern_call *c)
{
    uint32_t left = c->host->left_ms(c);
    return left != 0 && left <= 4000;
}

static int randomness(struct postern_call *c)
{
    unsigned char a[16] = {0}, b[16] = {0};
    c->host->random(c, a, sizeof a);
    c->host->random(c, b, sizeof b);
    return memcmp(a, b, sizeof a) != 0;
}

/* ---- the message */

static int content(struct postern_call *c)
{
    struct postern_str all = c->host->content(c), body = c->host->body(c);
    char first[4];
    return all.len > body.len && body.p + body.len == all.p + all.len && body.len > 4 &&
           memcmp(body.p, "--b\r", 4) == 0 && pread(c->host->content_fd(c), first, 4, 0) == 4 &&
           memcmp(first, all.p, 4) == 0;
}

static int headers(struct postern_call *c)
{
    struct postern_str name, value;
    return c->host->header_count(c) == 5 && c->host->header_at(c, 1, &name, &value) == POSTERN_OK &&
           is(name, "Subject") && is(value, " =?utf-8?q?f=C3=BCr?=\r\n you") &&
           c->host->header_get(c, "subject", 0, &value) == POSTERN_OK &&
           is(value, "=?utf-8?q?f=C3=BCr?= you") &&
           c->host->header_text(c, "subject", 0, &value) == POSTERN_OK &&
           is(value, "f\xc3\xbcr you") &&
           c->host->header_get(c, "Subject", 1, &value) == POSTERN_NONE;
}

static int addresses(struct postern_call *c)
{
    struct postern_str local, domain, display;
    return c->host->header_address(c, "From", 0, 0, &local, &domain, &display) == POSTERN_OK &&
           is(local, "A") && is(domain, "sender.test") && is(display, "Ann") &&
           c->host->header_address(c, "From", 0, 1, &local, &domain, &display) == POSTERN_NONE;
}

static int parts(struct postern_call *c)
{
    struct postern_part p;
    struct postern_str text;
    return c->host->part_count(c) == 3 && c->host->part(c, 0, &p) == POSTERN_OK && p.is_multipart &&
           p.parent == -1 && c->host->part(c, 2, &p) == POSTERN_OK && p.parent == 0 &&
           p.depth == 1 && is(p.type, "text") && is(p.subtype, "html") &&
           is(p.charset, "iso-8859-1") && is(p.encoding, "quoted-printable") &&
           is(p.disposition, "attachment") && is(p.filename, "x.html") && !p.is_message &&
           p.header.len != 0 && p.body.len != 0 &&
           c->host->part_text(c, 2, POSTERN_TEXT_DECODED, &text) == POSTERN_OK &&
           memchr(text.p, '\xfc', text.len) != NULL &&
           c->host->part_text(c, 2, POSTERN_TEXT_UTF8, &text) == POSTERN_OK &&
           memchr(text.p, '\xc3', text.len) != NULL &&
           c->host->part_text(c, 2, POSTERN_TEXT_VISIBLE, &text) == POSTERN_OK &&
           memchr(text.p, '<', text.len) == NULL && c->host->part(c, 3, &p) != POSTERN_OK;
}

static int urls(struct postern_call *c)
{
    struct postern_str url, host;
    return c->host->url(c, 0, &url, &host) == POSTERN_OK && is(host, "shop.test") &&
           c->host->url(c, 9, &url, &host) == POSTERN_NONE;
}

static int memory(struct postern_call *c)
{
    char *p = c->host->alloc(c, 100);
    c->host->log(c, POSTERN_LOG_DEBUG, POSTERN_STR("whole"));
    return p != NULL && p[0] == 0 && p[99] == 0 && (uintptr_t)p % sizeof(void *) == 0;
}

static const struct {
    const char *name;
    int (*fn)(struct postern_call *c);
} checks[] = {{"set_str", set_str},
              {"set_int", set_int},
              {"set_bool", set_bool},
              {"set_net", set_net},
              {"set_block", set_block},
              {"set_where", set_where},
              {"setup", setup},
              {"objects", objects},
              {"client", client},
              {"envelope", envelope},
              {"id", id},
              {"facts", facts},
              {"seen_auth", seen_auth},
              {"seen", seen},
              {"notes", notes},
              {"edits", edits},
              {"dns", dns},
              {"now_ms", now_ms},
              {"left_ms", left_ms},
              {"random", randomness},
              {"content", content},
              {"headers", headers},
              {"addresses", addresses},
              {"parts", parts},
              {"urls", urls},
              {"memory", memory}};

static int on_message(struct postern_call *c)
{
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        int rc = c->host->fact(c, checks[i].fn(c) ? RIGHT : WRONG, str(checks[i].name));
        if (rc != POSTERN_OK)
            return rc;
    }
    return POSTERN_OK;
}

static int on_rcpt(struct postern_call *c)
{
    static const struct postern_pair p[] = {{{"header.d", 8}, {"sender.test", 11}}};
    struct postern_auth a = {
        .method = {"x-whole", 7}, .result = {"pass", 4}, .count = 1, .properties = p};
    int rc = c->host->fact(c, TWO, POSTERN_STR("at rcpt"));
    if (rc == POSTERN_OK)
        rc = c->host->auth(c, &a);
    return rc != POSTERN_OK ? rc : c->host->note_set(c, POSTERN_STR("key"), POSTERN_STR("value"));
}

/* A stage by a name: connect, helo, mail, headers. */
static int on_other(struct postern_call *c)
{
    static const char *const names[] = {"on connect", "on helo", "on mail", "", "on headers"};
    return c->host->fact(c, RIGHT, str(names[c->stage]));
}

static int on_after(struct postern_call *c)
{
    return c->host->fact(c, WRONG, POSTERN_STR("counts behind the verdict"));
}

static const char *const after[] = {"spf", NULL};

POSTERN_EXPORT extern const struct postern_plugin postern_plugin;
const struct postern_plugin postern_plugin = {.size = sizeof(struct postern_plugin),
                                              .major = POSTERN_ABI_MAJOR,
                                              .minor = POSTERN_ABI_MINOR,
                                              .name = "whole",
                                              .version = "1.0",
                                              .summary = "uses all that there is",
                                              .rows = rows,
                                              .symbols = symbols,
                                              .after = after,
                                              .needs = POSTERN_NEED_DNS | POSTERN_NEED_FILES |
                                                       POSTERN_NEED_TMP,
                                              .on_failure = POSTERN_FAIL_QUARANTINE,
                                              .deadline_ms = 4000,
                                              .prepare = prepare,
                                              .prepare_free = free,
                                              .instance_new = instance_new,
                                              .instance_free = free,
                                              .session_new = session_new,
                                              .session_free = object_free,
                                              .transaction_new = transaction_new,
                                              .transaction_free = object_free,
                                              .on = {[POSTERN_CONNECT] = on_other,
                                                     [POSTERN_HELO] = on_other,
                                                     [POSTERN_MAIL] = on_other,
                                                     [POSTERN_RCPT] = on_rcpt,
                                                     [POSTERN_HEADERS] = on_other,
                                                     [POSTERN_MESSAGE] = on_message,
                                                     [POSTERN_AFTER] = on_after}};
