/* The plugin: what is asked of the DNS about a client, and which facts come of it. */
#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NAME,
    NAME_NONE,
    NAME_UNCONFIRMED,
    NAME_GENERIC,
    NAME_MANY,
    NAME_TEMPERROR,
    HELO_BAD,
    HELO_ADDRESS,
    HELO_LITERAL,
    HELO_LITERAL_OTHER,
    HELO_LITERAL_BAD,
    HELO_SHORT,
    HELO_OURS,
    HELO_CONFIRMED,
    HELO_UNKNOWN,
    HELO_ELSEWHERE,
    HELO_TEMPERROR,
    EARLY_GREETING,
    EARLY_HELO,
    EARLY_COMMAND
};

/* Honest servers are set up badly too, and RFC 5321, section 4.1.4 forbids to refuse for a
 * name in HELO that does not check: so none of these weighs enough alone. */
static const struct postern_symbol symbols[] = {
    [NAME] = {"CLIENT_NAME", 0, "The client's name, which has its address; detail: the name"},
    [NAME_NONE] = {"CLIENT_NAME_NONE", 1000, "The reverse zone has no name for the client"},
    [NAME_UNCONFIRMED] = {"CLIENT_NAME_UNCONFIRMED", 1000,
                          "It has names, and none has the address; detail: the first"},
    [NAME_GENERIC] = {"CLIENT_NAME_GENERIC", 500,
                      "The name is one of a range; detail: the name, and what tells"},
    [NAME_MANY] = {"CLIENT_NAME_MANY", 0, "More names than max-names; detail: how many"},
    [NAME_TEMPERROR] = {"CLIENT_NAME_TEMPERROR", 0, "DNS failed; detail: for which question"},
    [HELO_BAD] = {"CLIENT_HELO_BAD", 1000, "What stands in HELO is no name and no address"},
    [HELO_ADDRESS] = {"CLIENT_HELO_ADDRESS", 1500, "An address without brackets in HELO"},
    [HELO_LITERAL] = {"CLIENT_HELO_LITERAL", 200, "The client's own address in brackets in HELO"},
    [HELO_LITERAL_OTHER] = {"CLIENT_HELO_LITERAL_OTHER", 1000,
                            "Another's address in brackets in HELO"},
    [HELO_LITERAL_BAD] = {"CLIENT_HELO_LITERAL_BAD", 1000, "Brackets in HELO, and no address"},
    [HELO_SHORT] = {"CLIENT_HELO_SHORT", 500, "The name in HELO is not fully qualified"},
    [HELO_OURS] = {"CLIENT_HELO_OURS", 3000, "The client says that it is us"},
    [HELO_CONFIRMED] = {"CLIENT_HELO_CONFIRMED", 0, "The name in HELO has the client's address"},
    [HELO_UNKNOWN] = {"CLIENT_HELO_UNKNOWN", 500, "The name in HELO has no address"},
    [HELO_ELSEWHERE] = {"CLIENT_HELO_ELSEWHERE", 200, "The name in HELO has other addresses"},
    [HELO_TEMPERROR] = {"CLIENT_HELO_TEMPERROR", 0, "DNS failed for the name in HELO"},
    [EARLY_GREETING] = {"CLIENT_EARLY_GREETING", 3000, "The client spoke before the greeting"},
    [EARLY_HELO] = {"CLIENT_EARLY_HELO", 1500, "It did not wait for the answer to HELO"},
    [EARLY_COMMAND] = {"CLIENT_EARLY_COMMAND", 1000,
                       "It did not wait where the protocol has it wait (RFC 2920, section 3.1)"},
    {NULL, 0, NULL}};

enum { NAMES_MAX = 20 };

static const struct postern_row rows[] = {
    {.name = "skip",
     .type = POSTERN_T_NETWORK,
     .flags = POSTERN_ROW_LIST,
     .help = "Clients of which nothing is asked and nothing said; loopback and users who logged "
             "in are never looked at."},
    {.name = "max-names",
     .type = POSTERN_T_INT,
     .def = "10",
     .min = 1,
     .max = NAMES_MAX,
     .help = "Names of the reverse zone whose addresses are asked for."},
    {.name = "helo-lookup",
     .type = POSTERN_T_BOOL,
     .def = "yes",
     .help = "Ask for the address of the name in HELO (RFC 5321, section 4.1.4 allows it)."},
    {.name = "our-name",
     .type = POSTERN_T_STRING,
     .flags = POSTERN_ROW_LIST,
     .help = "Names, beside the hostname, that nobody else may say in HELO."},
    {.name = "our-address",
     .type = POSTERN_T_ADDRESS,
     .flags = POSTERN_ROW_LIST,
     .help =
         "Addresses, beside the one the client connected to, that nobody else may say in HELO."},
    {.name = "generic-word",
     .type = POSTERN_T_STRING,
     .flags = POSTERN_ROW_LIST,
     .help = "Words that mark a name as one of a range, beside those built in."},
    {.name = NULL}};

struct instance {
    const struct postern_block *settings;
    int64_t max_names;
    int helo_lookup;
};

/* Words of names are runs of letters: anything else would tell of nothing. */
static int check_words(struct postern_setup *s)
{
    struct postern_str word, where;
    char line[400];
    for (size_t n = 0; s->host->set_str(s->settings, "generic-word", n, &word) == POSTERN_OK; n++) {
        size_t i = 0;
        while (i < word.len && ((word.p[i] | 0x20) >= 'a' && (word.p[i] | 0x20) <= 'z'))
            i++;
        if (word.len != 0 && i == word.len)
            continue;
        where = s->host->set_where(s->settings, "generic-word", n);
        (void)snprintf(line, sizeof line, "%.*s: expected letters alone, not \"%.*s\"",
                       (int)where.len, where.p, word.len < 100 ? (int)word.len : 100, word.p);
        s->host->setup_error(s, (struct postern_str){line, strlen(line)});
        return POSTERN_ERROR;
    }
    return POSTERN_OK;
}

static int instance_new(struct postern_setup *s, void **out)
{
    if (check_words(s) != POSTERN_OK)
        return POSTERN_ERROR;
    struct instance *in = calloc(1, sizeof *in);
    if (in == NULL) {
        s->host->setup_error(s, POSTERN_STR("out of memory"));
        return POSTERN_ERROR;
    }
    in->settings = s->settings;
    (void)s->host->set_int(s->settings, "max-names", 0, &in->max_names);
    (void)s->host->set_bool(s->settings, "helo-lookup", &in->helo_lookup);
    *out = in;
    return POSTERN_OK;
}

static void instance_free(void *instance)
{
    free(instance);
}

/* ---- the client */

static bool is_loopback(const struct postern_client *client)
{
    static const unsigned char six[16] = {[15] = 1};
    return client->is_ipv4 ? client->ip[12] == 127 : memcmp(client->ip, six, sizeof six) == 0;
}

static bool is_skipped(struct postern_call *c)
{
    const struct postern_client *client = c->host->client(c);
    const struct instance *in = c->instance;
    return client->auth_id.len != 0 || is_loopback(client) ||
           c->host->client_in(c, in->settings, "skip") == POSTERN_OK;
}

static struct postern_str reverse_name(const struct postern_client *client, char text[80])
{
    const unsigned char *b = client->ip + 12;
    size_t len = 0;
    if (client->is_ipv4) {
        (void)snprintf(text, 80, "%u.%u.%u.%u.in-addr.arpa", b[3], b[2], b[1], b[0]);
        return (struct postern_str){text, strlen(text)};
    }
    for (size_t i = 16; i-- > 0; len += 4)
        (void)snprintf(text + len, 80 - len, "%x.%x.", client->ip[i] & 15U, client->ip[i] >> 4);
    (void)snprintf(text + len, 80 - len, "ip6.arpa");
    return (struct postern_str){text, strlen(text)};
}

static uint32_t address_type(const struct postern_client *client)
{
    return client->is_ipv4 ? POSTERN_DNS_A : POSTERN_DNS_AAAA;
}

/* What is no text has no place in a detail. */
static int say(struct postern_call *c, unsigned symbol, struct postern_str detail)
{
    int rc = c->host->fact(c, symbol, detail);
    return rc == POSTERN_INVALID ? c->host->fact(c, symbol, POSTERN_STR("")) : rc;
}

/* ---- what a name's addresses say of the client */

enum found { THERE, ELSEWHERE, NO_ADDRESS, NOWHERE, TROUBLE }; /* NO_ADDRESS of the client's kind */

static bool is_trouble(const struct postern_dns_answer *a)
{
    return a->rcode != POSTERN_DNS_NOERROR && a->rcode != POSTERN_DNS_NXDOMAIN;
}

/* POSTERN_OK and *out, or the status to return. */
static int look(struct postern_call *c, struct postern_str name, enum found *out)
{
    const struct postern_client *client = c->host->client(c);
    const struct postern_dns_answer *a;
    size_t len = client->is_ipv4 ? 4 : 16;
    int rc = c->host->dns_lookup(c, name, address_type(client), &a);
    *out = NOWHERE;
    if (rc == POSTERN_INVALID) /* no name for the DNS */
        return POSTERN_OK;
    if (rc != POSTERN_OK)
        return rc;
    if (a->rcode != POSTERN_DNS_NXDOMAIN)
        *out = is_trouble(a) ? TROUBLE : NO_ADDRESS;
    for (size_t i = 0; i < a->count && *out != THERE; i++) {
        bool same = a->records[i].data.len == len &&
                    memcmp(a->records[i].data.p, client->ip + 16 - len, len) == 0;
        *out = same ? THERE : ELSEWHERE;
    }
    return POSTERN_OK;
}

/* ---- CONNECT: the client's name */

struct names {
    struct postern_str name[NAMES_MAX];
    enum found found[NAMES_MAX];
    size_t count;
};

static bool next_word(void *ctx, size_t n, struct postern_str *word)
{
    struct postern_call *c = ctx;
    const struct instance *in = c->instance;
    return c->host->set_str(in->settings, "generic-word", n, word) == POSTERN_OK;
}

/* What tells that the name is one of a range; empty: nothing does. */
static struct postern_str generic_mark(struct postern_call *c, struct postern_str name)
{
    const struct postern_client *client = c->host->client(c);
    if (client_name_has_address(name, client->ip, client->is_ipv4))
        return POSTERN_STR("address");
    return client_name_word(name, next_word, c);
}

/* The one that speaks for the client: confirmed before not, given before made by a rule. */
static size_t best_name(struct postern_call *c, const struct names *n)
{
    size_t best = 0;
    int most = -1;
    for (size_t i = 0; i < n->count; i++) {
        int worth = (n->found[i] == THERE ? 2 : 0) + (generic_mark(c, n->name[i]).len == 0);
        if (worth > most) {
            best = i;
            most = worth;
        }
    }
    return best;
}

static int say_generic(struct postern_call *c, struct postern_str name)
{
    struct postern_str mark = generic_mark(c, name);
    char text[200];
    if (mark.len == 0)
        return POSTERN_OK;
    int n = snprintf(text, sizeof text, "%.*s (%.*s)", name.len < 150 ? (int)name.len : 150, name.p,
                     mark.len < 40 ? (int)mark.len : 40, mark.p);
    return say(c, NAME_GENERIC, (struct postern_str){text, n < 0 ? 0 : (size_t)n});
}

/* RFC 8601, section 2.7.3. name: of a result that passed. */
static int say_iprev(struct postern_call *c, struct postern_str result, struct postern_str name)
{
    const struct postern_pair properties[] = {{POSTERN_STR("ip"), c->host->client(c)->ip_text},
                                              {POSTERN_STR("name"), name}};
    const struct postern_auth a = {.method = POSTERN_STR("iprev"),
                                   .result = result,
                                   .count = name.len == 0 ? 1 : 2,
                                   .properties = properties};
    return c->host->auth(c, &a);
}

static int say_name(struct postern_call *c, const struct names *n)
{
    size_t best = best_name(c, n);
    struct postern_str name = n->name[best], nobody = POSTERN_STR("");
    bool trouble = false;
    for (size_t i = 0; i < n->count; i++)
        trouble = trouble || n->found[i] == TROUBLE;
    int rc = say_generic(c, name);
    if (rc != POSTERN_OK)
        return rc;
    if (n->found[best] == THERE) {
        rc = say(c, NAME, name);
        return rc != POSTERN_OK ? rc : say_iprev(c, POSTERN_STR("pass"), name);
    }
    rc = say(c, trouble ? NAME_TEMPERROR : NAME_UNCONFIRMED, name);
    if (rc != POSTERN_OK)
        return rc;
    return say_iprev(c, trouble ? POSTERN_STR("temperror") : POSTERN_STR("fail"), nobody);
}

/* Asks for the addresses of all of them at once. */
static int look_all(struct postern_call *c, struct names *n)
{
    uint32_t type = address_type(c->host->client(c));
    for (size_t i = 0; i < n->count; i++)
        (void)c->host->dns_start(c, n->name[i], type);
    for (size_t i = 0; i < n->count; i++) {
        int rc = look(c, n->name[i], &n->found[i]);
        if (rc != POSTERN_OK)
            return rc;
    }
    return POSTERN_OK;
}

static int check_name(struct postern_call *c)
{
    const struct instance *in = c->instance;
    const struct postern_dns_answer *a;
    struct postern_str nobody = POSTERN_STR("");
    struct names n = {.count = 0};
    char text[80];
    int rc = c->host->dns_lookup(c, reverse_name(c->host->client(c), text), POSTERN_DNS_PTR, &a);
    if (rc != POSTERN_OK)
        return rc;
    if (is_trouble(a) || a->count == 0) {
        bool trouble = is_trouble(a);
        rc = say(c, trouble ? NAME_TEMPERROR : NAME_NONE, trouble ? POSTERN_STR("PTR") : nobody);
        if (rc != POSTERN_OK)
            return rc;
        return say_iprev(c, trouble ? POSTERN_STR("temperror") : POSTERN_STR("permerror"), nobody);
    }
    for (; n.count < a->count && n.count < (size_t)in->max_names; n.count++)
        n.name[n.count] = a->records[n.count].data;
    if (a->count > n.count) {
        (void)snprintf(text, sizeof text, "%zu", a->count);
        rc = say(c, NAME_MANY, (struct postern_str){text, strlen(text)});
    }
    if (rc == POSTERN_OK)
        rc = look_all(c, &n);
    return rc != POSTERN_OK ? rc : say_name(c, &n);
}

static void prefetch_connect(struct postern_call *c)
{
    char text[80];
    if (!is_skipped(c))
        (void)c->host->dns_start(c, reverse_name(c->host->client(c), text), POSTERN_DNS_PTR);
}

static int on_connect(struct postern_call *c)
{
    int rc = POSTERN_OK;
    if (is_skipped(c))
        return POSTERN_OK;
    if ((c->host->client(c)->early & POSTERN_EARLY_GREETING) != 0)
        rc = say(c, EARLY_GREETING, POSTERN_STR(""));
    return rc != POSTERN_OK ? rc : check_name(c);
}

/* ---- HELO */

static bool is_our_name(struct postern_call *c, struct postern_str helo)
{
    const struct instance *in = c->instance;
    struct postern_str name;
    for (size_t n = 0; c->host->set_str(in->settings, "our-name", n, &name) == POSTERN_OK; n++)
        if (client_same(helo, name))
            return true;
    return client_same(helo, c->host->client(c)->hostname);
}

static bool is_our_address(struct postern_call *c, const unsigned char ip[16])
{
    const struct instance *in = c->instance;
    unsigned char ours[16];
    unsigned bits;
    for (size_t n = 0; c->host->set_net(in->settings, "our-address", n, ours, &bits) == POSTERN_OK;
         n++)
        if (memcmp(ip, ours, sizeof ours) == 0)
            return true;
    /* Where it connected to is ours, known or not to who wrote the settings; this machine may
     * say it of itself. */
    const struct postern_client *client = c->host->client(c);
    return client->local_ip_text.len != 0 &&
           client_helo_read(client->local_ip_text, ours) == CLIENT_HELO_ADDRESS &&
           memcmp(ip, ours, sizeof ours) == 0 && memcmp(client->ip, ours, sizeof ours) != 0;
}

/* What it is by itself: its symbol, or -1 for a name to be asked for. */
static int judge(struct postern_call *c, struct postern_str helo)
{
    unsigned char ip[16];
    enum client_helo kind = client_helo_read(helo, ip);
    bool address = kind == CLIENT_HELO_LITERAL || kind == CLIENT_HELO_ADDRESS;
    if (address ? is_our_address(c, ip) : is_our_name(c, helo))
        return HELO_OURS;
    switch (kind) {
    case CLIENT_HELO_LITERAL:
        return memcmp(ip, c->host->client(c)->ip, sizeof ip) == 0 ? HELO_LITERAL
                                                                  : HELO_LITERAL_OTHER;
    case CLIENT_HELO_LITERAL_BAD:
        return HELO_LITERAL_BAD;
    case CLIENT_HELO_ADDRESS:
        return HELO_ADDRESS;
    case CLIENT_HELO_SHORT:
        return HELO_SHORT;
    case CLIENT_HELO_NAME:
        return -1;
    case CLIENT_HELO_BAD:
        break;
    }
    return HELO_BAD;
}

/* It exists, and may have an address of the other kind. */
static int look_other(struct postern_call *c, struct postern_str name, enum found *out)
{
    const struct postern_dns_answer *a;
    uint32_t type = c->host->client(c)->is_ipv4 ? POSTERN_DNS_AAAA : POSTERN_DNS_A;
    int rc = c->host->dns_lookup(c, name, type, &a);
    if (rc != POSTERN_OK)
        return rc;
    if (a->count != 0)
        *out = ELSEWHERE;
    else if (is_trouble(a))
        *out = TROUBLE;
    return POSTERN_OK;
}

static int check_helo_name(struct postern_call *c, struct postern_str helo)
{
    static const unsigned said[] = {[THERE] = HELO_CONFIRMED,
                                    [ELSEWHERE] = HELO_ELSEWHERE,
                                    [NO_ADDRESS] = HELO_UNKNOWN,
                                    [NOWHERE] = HELO_UNKNOWN,
                                    [TROUBLE] = HELO_TEMPERROR};
    enum found found;
    int rc = look(c, helo, &found);
    if (rc == POSTERN_OK && found == NO_ADDRESS)
        rc = look_other(c, helo, &found);
    return rc != POSTERN_OK ? rc : say(c, said[found], helo);
}

static void prefetch_helo(struct postern_call *c)
{
    const struct instance *in = c->instance;
    const struct postern_client *client = c->host->client(c);
    if (in->helo_lookup && !is_skipped(c) && client->helo.len != 0 && judge(c, client->helo) < 0)
        (void)c->host->dns_start(c, client->helo, address_type(client));
}

static int on_helo(struct postern_call *c)
{
    const struct instance *in = c->instance;
    const struct postern_client *client = c->host->client(c);
    int rc = POSTERN_OK;
    if (is_skipped(c))
        return POSTERN_OK;
    if ((client->early & POSTERN_EARLY_HELO) != 0)
        rc = say(c, EARLY_HELO, POSTERN_STR(""));
    if (rc != POSTERN_OK || client->helo.len == 0)
        return rc;
    int symbol = judge(c, client->helo);
    if (symbol >= 0)
        return say(c, (unsigned)symbol, client->helo);
    return in->helo_lookup ? check_helo_name(c, client->helo) : POSTERN_OK;
}

static int on_headers(struct postern_call *c)
{
    if ((c->host->client(c)->early & POSTERN_EARLY_COMMAND) == 0 || is_skipped(c))
        return POSTERN_OK;
    return say(c, EARLY_COMMAND, POSTERN_STR(""));
}

static const char *const methods[] = {"iprev", NULL};

POSTERN_EXPORT const struct postern_plugin postern_plugin = {
    .size = sizeof(struct postern_plugin),
    .major = POSTERN_ABI_MAJOR,
    .minor = POSTERN_ABI_MINOR,
    .name = "client",
    .version = "1.0",
    .summary = "the client's name, its HELO, and whether it waits (RFC 5321, RFC 8601)",
    .rows = rows,
    .symbols = symbols,
    .needs = POSTERN_NEED_DNS,
    .on_failure = POSTERN_FAIL_SKIP,
    .instance_new = instance_new,
    .instance_free = instance_free,
    .on =
        {[POSTERN_CONNECT] = on_connect, [POSTERN_HELO] = on_helo, [POSTERN_HEADERS] = on_headers},
    .prefetch = {[POSTERN_CONNECT] = prefetch_connect, [POSTERN_HELO] = prefetch_helo},
    .methods = methods};
