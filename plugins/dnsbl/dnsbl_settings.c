#include "dnsbl_settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct postern_symbol dnsbl_symbols[] = {
    [DNSBL_SYM_LISTED] = {"DNSBL_LISTED", 3000,
                          "On a list; detail: the zone, and the name if it is one"},
    [DNSBL_SYM_ALLOWED] = {"DNSBL_ALLOWED", -1000, "On a list of the good; detail as above"},
    [DNSBL_SYM_ERROR] = {"DNSBL_ERROR", 0, "A list that can't be used now; detail: zone and why"},
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
    {.name = "parents",
     .type = POSTERN_T_BOOL,
     .def = "yes",
     .help = "Of a name, ask for the domains above it too, down to two labels."},
    {.name = "url-addresses",
     .type = POSTERN_T_BOOL,
     .def = "no",
     .help = "Ask for links to bare IPv4 addresses; some lists of names forbid it."},
    {.name = NULL}};

const struct postern_row dnsbl_rows[] = {{.name = "zone",
                                          .type = POSTERN_T_BLOCK,
                                          .flags = POSTERN_ROW_REPEAT | POSTERN_ROW_TITLED,
                                          .rows = zone_rows,
                                          .title_type = POSTERN_T_STRING,
                                          .help = "A list, by the name of its zone."},
                                         {.name = "skip",
                                          .type = POSTERN_T_NETWORK,
                                          .flags = POSTERN_ROW_LIST,
                                          .help = "Clients that are looked up in no list."},
                                         {.name = "max-names",
                                          .type = POSTERN_T_INT,
                                          .def = "20",
                                          .min = 1,
                                          .max = 200,
                                          .help = "Hosts of links looked up in one message."},
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

static int read_zone(struct postern_setup *s, const struct postern_block *b, struct dnsbl_zone *z)
{
    static const char *const words[DNSBL_KINDS] = {"client", "helo", "from", "header-from", "url"};
    const struct postern_host *h = s->host;
    struct postern_str word;
    int allow = 0, parents = 1, addresses = 0;
    if (!dnsbl_zone_name(z, h->set_title(b)))
        return refuse(s, b, "no name of a zone (at most 180 bytes):", h->set_title(b));
    for (size_t i = 0; h->set_str(b, "check", i, &word) == POSTERN_OK; i++)
        for (unsigned k = 0; k < DNSBL_KINDS; k++)
            if (word.len == strlen(words[k]) && memcmp(word.p, words[k], word.len) == 0)
                z->kinds |= 1U << k;
    (void)h->set_bool(b, "allow", &allow);
    (void)h->set_bool(b, "parents", &parents);
    (void)h->set_bool(b, "url-addresses", &addresses);
    z->allow = allow != 0;
    z->parents = parents != 0;
    z->url_addresses = addresses != 0;
    bool weighed = read_weight(h, b, z->allow, &z->weight);
    int status = read_codes(s, b, z);
    z->any = weighed || z->code_count == 0;
    return status;
}

static int read_settings(struct postern_setup *s, struct dnsbl_instance *in)
{
    const struct postern_host *h = s->host;
    const struct postern_block *b;
    int64_t max_names = 20;
    size_t zones = h->set_count(s->settings, "zone"), skip = h->set_count(s->settings, "skip");
    in->zones = calloc(zones + 1, sizeof *in->zones);
    in->skip = calloc(skip + 1, sizeof *in->skip);
    if (in->zones == NULL || in->skip == NULL) {
        h->setup_error(s, POSTERN_STR("out of memory"));
        return POSTERN_ERROR;
    }
    for (size_t i = 0; i < zones && h->set_block(s->settings, "zone", i, &b) == POSTERN_OK; i++) {
        int status = read_zone(s, b, &in->zones[in->zone_count++]);
        if (status != POSTERN_OK)
            return status;
        in->kinds |= in->zones[i].kinds;
    }
    for (; in->skip_count < skip; in->skip_count++)
        (void)h->set_net(s->settings, "skip", in->skip_count, in->skip[in->skip_count].ip,
                         &in->skip[in->skip_count].bits);
    (void)h->set_int(s->settings, "max-names", 0, &max_names);
    in->max_names = (size_t)max_names;
    if (zones == 0)
        h->setup_warn(s, POSTERN_STR("dnsbl has no zone: nothing is looked up"));
    return POSTERN_OK;
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
