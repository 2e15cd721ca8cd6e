#include "dnsbl_settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct postern_symbol dnsbl_symbols[] = {
    [DNSBL_SYM_LISTED] = {"DNSBL_LISTED", 3000,
                          "On a list; detail: the zone, and the name if it is one"},
    [DNSBL_SYM_ALLOWED] = {"DNSBL_ALLOWED", -1000, "On a list of the good; detail as above"},
    [DNSBL_SYM_ERROR] = {"DNSBL_ERROR", 0, "A list that can't be used now; detail: zone and why"},
    [DNSBL_SYM_SUSPENDED] = {"DNSBL_SUSPENDED", 0,
                             "A list that is not asked, for it failed its proof; detail: zone "
                             "and how"},
    [DNSBL_SYM_LEFT_OUT] = {"DNSBL_LEFT_OUT", 0,
                            "Questions beyond the budget, not asked; detail: which"},
    {NULL, 0, NULL}};

static const struct postern_row code_rows[] = {
    {.name = "weight",
     .type = POSTERN_T_WEIGHT,
     .help = "What such an answer weighs; without it, what the symbol does."},
    {.name = NULL}};

static const struct postern_row zone_rows[] = {
    {.name = "check",
     .type = POSTERN_T_CHOICE,
     .flags = POSTERN_ROW_LIST,
     .def = "client",
     .choices = "client|helo|from|header-from|url",
     .help = "What is looked up: the client's address, or the domains named by HELO, MAIL FROM, "
             "the From field or links."},
    {.name = "ask",
     .type = POSTERN_T_CHOICE,
     .flags = POSTERN_ROW_LIST,
     .def = "domain",
     .choices = "domain|host|parents",
     .help = "Of a name: the registered domain, the name as it stands, or that and all above it "
             "from four labels down to two."},
    {.name = "code",
     .type = POSTERN_T_BLOCK,
     .flags = POSTERN_ROW_REPEAT | POSTERN_ROW_TITLED,
     .rows = code_rows,
     .title_type = POSTERN_T_NETWORK,
     .help = "Answers that count: an address or a network within 127.0.0.0/8."},
    {.name = "bit",
     .type = POSTERN_T_BLOCK,
     .flags = POSTERN_ROW_REPEAT | POSTERN_ROW_TITLED,
     .rows = code_rows,
     .title_type = POSTERN_T_INT,
     .help = "Answers 127.0.0.x that count, with this bit (1, 2, 4 ... 128) set in x."},
    {.name = "weight",
     .type = POSTERN_T_WEIGHT,
     .help = "What an answer weighs that no code names; without it such ones count only where "
             "no code is named at all."},
    {.name = "allow",
     .type = POSTERN_T_BOOL,
     .def = "no",
     .help = "A list of the good: DNSBL_ALLOWED."},
    {.name = "spares",
     .type = POSTERN_T_BOOL,
     .def = "no",
     .help = "Of a list of the good: what is on it is looked up in no other kind of list."},
    {.name = "ipv4", .type = POSTERN_T_BOOL, .def = "yes", .help = "Ask for IPv4 addresses."},
    {.name = "ipv6", .type = POSTERN_T_BOOL, .def = "yes", .help = "Ask for IPv6 addresses."},
    {.name = "url-addresses",
     .type = POSTERN_T_CHOICE,
     .def = "no",
     .choices = "no|yes|only",
     .help = "Ask for links to bare addresses; some lists of names forbid it, lists of addresses "
             "want nothing else."},
    {.name = "max-questions",
     .type = POSTERN_T_INT,
     .def = "50",
     .min = 1,
     .max = 300,
     .help = "Questions to this list in one message."},
    {.name = "reason",
     .type = POSTERN_T_BOOL,
     .def = "no",
     .help = "Look up the TXT record of what is listed too, for the detail."},
    {.name = "proof",
     .type = POSTERN_T_BOOL,
     .def = "yes",
     .help = "Ask for the test points of RFC 5782 now and then, and suspend the list while it "
             "answers everything or nothing."},
    {.name = NULL}};

const struct postern_row dnsbl_rows[] = {
    {.name = "zone",
     .type = POSTERN_T_BLOCK,
     .flags = POSTERN_ROW_REPEAT | POSTERN_ROW_TITLED,
     .rows = zone_rows,
     .title_type = POSTERN_T_STRING,
     .help = "A list, by the name of its zone."},
    {.name = "skip",
     .type = POSTERN_T_NETWORK,
     .flags = POSTERN_ROW_LIST,
     .help = "Clients that are looked up in no list."},
    {.name = "skip-domain",
     .type = POSTERN_T_STRING,
     .flags = POSTERN_ROW_LIST,
     .help = "Domains that are looked up in no list, with all below them."},
    {.name = "max-names",
     .type = POSTERN_T_INT,
     .def = "20",
     .min = 1,
     .max = 200,
     .help = "Hosts of links looked up in one message."},
    {.name = "max-questions",
     .type = POSTERN_T_INT,
     .def = "100",
     .min = 1,
     .max = 300,
     .help = "Questions to all lists in one message."},
    {.name = "prove-every",
     .type = POSTERN_T_DURATION,
     .def = "1h",
     .min = 1000,
     .max = 24 * 60 * 60 * 1000,
     .help = "How often lists are proved, beside when a worker begins."},
    {.name = NULL}};

void dnsbl_instance_free(void *arg)
{
    struct dnsbl_instance *in = arg;
    for (size_t i = 0; i < in->zone_count; i++)
        free(in->zones[i].codes);
    free(in->zones);
    free(in->skip);
    free(in);
}

/* row: whose n-th value it is. */
static int refuse_at(struct postern_setup *s, const struct postern_block *zone, const char *row,
                     size_t n, const char *what, struct postern_str word)
{
    char text[300];
    struct postern_str where = s->host->set_where(zone, row, n);
    (void)snprintf(text, sizeof text, "%.*s: %s \"%.*s\"", (int)where.len, where.p, what,
                   (int)(word.len > 100 ? 100 : word.len), word.p);
    s->host->setup_error(s, (struct postern_str){text, strlen(text)});
    return POSTERN_ERROR;
}

static int refuse(struct postern_setup *s, const struct postern_block *zone, const char *what,
                  struct postern_str word)
{
    return refuse_at(s, zone, "check", 0, what, word);
}

/* As the operator says, or what the symbol weighs. */
static bool read_weight(const struct postern_host *h, const struct postern_block *b, bool allow,
                        int32_t *weight)
{
    int64_t v = dnsbl_symbols[allow ? DNSBL_SYM_ALLOWED : DNSBL_SYM_LISTED].weight;
    int status = h->set_int(b, "weight", 0, &v);
    *weight = (int32_t)v;
    return status == POSTERN_OK;
}

/* "1", "2", "4" ... "128"; 0 for anything else. */
static unsigned parse_bit(struct postern_str text)
{
    for (unsigned bit = 1; bit <= 128; bit *= 2) {
        char word[4];
        (void)snprintf(word, sizeof word, "%u", bit);
        if (text.len == strlen(word) && memcmp(text.p, word, text.len) == 0)
            return bit;
    }
    return 0;
}

static int read_codes(struct postern_setup *s, const struct postern_block *b, struct dnsbl_zone *z)
{
    const struct postern_host *h = s->host;
    const struct postern_block *code;
    size_t networks = h->set_count(b, "code"), bits = h->set_count(b, "bit");
    z->codes = calloc(networks + bits + 1, sizeof *z->codes);
    if (z->codes == NULL)
        return refuse(s, b, "out of memory for", h->set_title(b));
    for (size_t i = 0; i < networks + bits; i++) {
        struct dnsbl_code *c = &z->codes[z->code_count++];
        if (h->set_block(b, i < networks ? "code" : "bit", i < networks ? i : i - networks,
                         &code) != POSTERN_OK)
            return refuse(s, b, "a code is missing in zone", h->set_title(b));
        struct postern_str title = h->set_title(code);
        if (i < networks && !dnsbl_code_parse(title, c))
            return refuse_at(s, b, "code", i,
                             "a code is an address or network within 127.0.0.0/8 and outside "
                             "127.255.255.0/24, not",
                             title);
        if (i >= networks && (c->mask = parse_bit(title)) == 0)
            return refuse_at(s, b, "bit", i - networks,
                             "a bit is 1, 2, 4, 8, 16, 32, 64 or 128, not", title);
        (void)read_weight(h, code, z->allow, &c->weight);
    }
    return POSTERN_OK;
}

static bool flag(const struct postern_host *h, const struct postern_block *b, const char *row)
{
    int v = 0;
    return h->set_bool(b, row, &v) == POSTERN_OK && v != 0;
}

static bool is(struct postern_str word, const char *text)
{
    return word.len == strlen(text) && memcmp(word.p, text, word.len) == 0;
}

static unsigned number(const struct postern_host *h, const struct postern_block *b, const char *row)
{
    int64_t v = 1;
    (void)h->set_int(b, row, 0, &v);
    return (unsigned)v;
}

/* 1 << the place of each word that stands there. */
static unsigned read_words(const struct postern_host *h, const struct postern_block *b,
                           const char *row, const char *const *words, unsigned count)
{
    struct postern_str word;
    unsigned bits = 0;
    for (size_t i = 0; h->set_str(b, row, i, &word) == POSTERN_OK; i++)
        for (unsigned k = 0; k < count; k++)
            if (is(word, words[k]))
                bits |= 1U << k;
    return bits;
}

/* Is there anything that it would ever be asked? */
static bool is_asked(const struct dnsbl_zone *z)
{
    bool names = (z->kinds & ~(1U << DNSBL_CLIENT | 1U << DNSBL_URL)) != 0 ||
                 ((z->kinds >> DNSBL_URL & 1) != 0 && z->url_names);
    bool addresses = (z->kinds >> DNSBL_CLIENT & 1) != 0 || z->url_addresses;
    return names || (addresses && (z->ipv4 || z->ipv6));
}

static int read_zone(struct postern_setup *s, const struct postern_block *b, struct dnsbl_zone *z)
{
    static const char *const kinds[DNSBL_KINDS] = {"client", "helo", "from", "header-from", "url"};
    static const char *const asks[] = {"domain", "host", "parents"};
    const struct postern_host *h = s->host;
    struct postern_str addresses = POSTERN_STR("no");
    if (!dnsbl_zone_name(z, h->set_title(b)))
        return refuse(s, b, "no name of a zone (at most 180 bytes):", h->set_title(b));
    z->kinds = read_words(h, b, "check", kinds, DNSBL_KINDS);
    z->ask = read_words(h, b, "ask", asks, 3);
    (void)h->set_str(b, "url-addresses", 0, &addresses);
    z->url_addresses = !is(addresses, "no");
    z->url_names = !is(addresses, "only");
    z->allow = flag(h, b, "allow");
    z->spares = flag(h, b, "spares");
    z->proof = flag(h, b, "proof");
    z->reason = flag(h, b, "reason");
    z->ipv4 = flag(h, b, "ipv4");
    z->ipv6 = flag(h, b, "ipv6");
    z->max_questions = number(h, b, "max-questions");
    if (z->spares && !z->allow)
        return refuse_at(s, b, "spares", 0,
                         "only a list of the good (allow yes) spares questions:", h->set_title(b));
    if (!is_asked(z))
        return refuse(s, b, "neither names nor addresses are left to ask of zone", h->set_title(b));
    bool weighed = read_weight(h, b, z->allow, &z->weight);
    int status = read_codes(s, b, z);
    z->any = weighed || z->code_count == 0;
    return status;
}

static int read_skips(struct postern_setup *s, struct dnsbl_instance *in)
{
    struct postern_str word;
    for (size_t i = 0; s->host->set_str(s->settings, "skip-domain", i, &word) == POSTERN_OK; i++) {
        char *room = in->skip[in->skip_count];
        if (dnsbl_domain(word, room) == 0 && dnsbl_labels(word, room, DNSBL_NAME_MAX) == 0)
            return refuse_at(s, s->settings, "skip-domain", i, "no domain:", word);
        in->skip_count++;
    }
    return POSTERN_OK;
}

static void sum_up(struct dnsbl_instance *in, const struct dnsbl_zone *z)
{
    in->kinds |= z->kinds;
    in->proofs = in->proofs || z->proof;
    in->spares = in->spares || z->spares;
}

static int read_settings(struct postern_setup *s, struct dnsbl_instance *in)
{
    const struct postern_host *h = s->host;
    const struct postern_block *b;
    size_t zones = h->set_count(s->settings, "zone");
    in->zones = calloc(zones + 1, sizeof *in->zones);
    in->skip = calloc(h->set_count(s->settings, "skip-domain") + 1, sizeof *in->skip);
    if (in->zones == NULL || in->skip == NULL) {
        h->setup_error(s, POSTERN_STR("out of memory"));
        return POSTERN_ERROR;
    }
    for (size_t i = 0; i < zones && h->set_block(s->settings, "zone", i, &b) == POSTERN_OK; i++) {
        int status = read_zone(s, b, &in->zones[in->zone_count++]);
        if (status != POSTERN_OK)
            return status;
        sum_up(in, &in->zones[i]);
    }
    in->settings = s->settings;
    in->suffixes = s->prepared;
    in->max_hosts = number(h, s->settings, "max-names");
    in->max_questions = number(h, s->settings, "max-questions");
    in->prove_ms = number(h, s->settings, "prove-every");
    if (zones == 0)
        h->setup_warn(s, POSTERN_STR("dnsbl has no zone: nothing is looked up"));
    return read_skips(s, in);
}

int dnsbl_instance_new(struct postern_setup *s, void **instance)
{
    struct dnsbl_instance *in = calloc(1, sizeof *in);
    if (in == NULL) {
        s->host->setup_error(s, POSTERN_STR("out of memory"));
        return POSTERN_ERROR;
    }
    int status = read_settings(s, in);
    if (status == POSTERN_OK)
        *instance = in;
    else
        dnsbl_instance_free(in);
    return status;
}

/* The system's list of public suffixes, or the one in libpsl where that is younger; only where a
 * list of names asks for it. */
int dnsbl_prepare(struct postern_setup *s, void **prepared)
{
    static const char *const asks[] = {"domain"}, *const kinds[] = {"client"};
    const struct postern_host *h = s->host;
    const struct postern_block *b;
    bool wanted = false;
    for (size_t i = 0; h->set_block(s->settings, "zone", i, &b) == POSTERN_OK; i++)
        wanted = wanted || (read_words(h, b, "ask", asks, 1) != 0 &&
                            h->set_count(b, "check") > read_words(h, b, "check", kinds, 1));
    if (!wanted)
        return POSTERN_OK;
    *prepared = psl_latest(NULL);
    if (*prepared != NULL)
        return POSTERN_OK;
    h->setup_error(s, POSTERN_STR("libpsl has no list of public suffixes"));
    return POSTERN_ERROR;
}

void dnsbl_prepare_free(void *prepared)
{
    psl_free(prepared);
}
