#include "fakehost_int.h"

#include "alabel.h"
#include "assert.h"
#include "net.h"

struct postern_block {
    struct fakehost *h;
    struct postern_str title;
    const struct postern_row *rows; /* the plugin's */
    const struct fake_row *given;   /* may be NULL */
};

const struct postern_block *fake_settings(struct fakehost *h, const struct fake_row *given)
{
    struct postern_block *b = pn_pool_alloc(h->life, sizeof *b);
    *b = (struct postern_block){.h = h, .rows = h->plugin->rows, .given = given};
    return b;
}

/* The core's own rows of a plugin's block, those that a plugin has a use for. */
static const struct postern_row host_rows[] = {{.name = "edits",
                                                .type = POSTERN_T_CHOICE,
                                                .flags = POSTERN_ROW_LIST,
                                                .def = "headers",
                                                .choices = "headers|body|recipients|sender|none"},
                                               {.name = NULL}};

static const struct postern_row *row_of(const struct postern_block *b, const char *name)
{
    for (const struct postern_row *r = b->rows; r != NULL && r->name != NULL; r++)
        if (strcmp(r->name, name) == 0)
            return r;
    for (const struct postern_row *r = host_rows; r->name != NULL; r++)
        if (strcmp(r->name, name) == 0)
            return r;
    pn_assert(!"the plugin asks for a row that it has not declared");
    return NULL;
}

static const struct fake_row *given_of(const struct postern_block *b, const char *name)
{
    for (const struct fake_row *r = b->given; r != NULL && r->name != NULL; r++)
        if (strcmp(r->name, name) == 0)
            return r;
    return NULL;
}

/* The n-th word of the row: as set, or its default. */
static const char *word_of(const struct postern_block *b, const char *name, size_t n)
{
    const struct postern_row *row = row_of(b, name);
    const struct fake_row *given = given_of(b, name);
    pn_assert(row->type != POSTERN_T_BLOCK);
    if (given == NULL)
        return n == 0 ? row->def : NULL;
    pn_assert(given->blocks == NULL);
    return n < sizeof given->values / sizeof given->values[0] ? given->values[n] : NULL;
}

static int set_str(const struct postern_block *b, const char *row, size_t n,
                   struct postern_str *out)
{
    const char *word = word_of(b, row, n);
    if (word == NULL)
        return POSTERN_NONE;
    *out = fake_postern(pn_str_of(word));
    return POSTERN_OK;
}

/* "2.5" as thousandths. */
static int64_t parse_weight(const char *word)
{
    bool minus = *word == '-';
    int64_t whole = 0, part = 0, scale = 1000;
    for (word += minus; pn_is_digit(*word); word++)
        whole = whole * 10 + (*word - '0');
    if (*word == '.')
        for (word++; pn_is_digit(*word); word++) {
            scale /= 10;
            part += (*word - '0') * scale;
        }
    pn_assert(*word == '\0');
    return minus ? -(whole * 1000 + part) : whole * 1000 + part;
}

static int64_t parse_units(const char *word, enum postern_type type)
{
    static const struct {
        enum postern_type type;
        const char *unit;
        int64_t times;
    } units[] = {
        {POSTERN_T_SIZE, "", 1},
        {POSTERN_T_SIZE, "k", 1024},
        {POSTERN_T_SIZE, "m", 1 << 20},
        {POSTERN_T_SIZE, "g", 1 << 30},
        {POSTERN_T_DURATION, "", 1000},
        {POSTERN_T_DURATION, "ms", 1},
        {POSTERN_T_DURATION, "s", 1000},
        {POSTERN_T_DURATION, "m", 60000},
        {POSTERN_T_DURATION, "h", 3600000},
        {POSTERN_T_DURATION, "d", 86400000},
        {POSTERN_T_INT, "", 1},
    };
    bool minus = *word == '-';
    int64_t v = 0;
    for (word += minus; pn_is_digit(*word); word++)
        v = v * 10 + (*word - '0');
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (units[i].type == type && strcmp(units[i].unit, word) == 0)
            return (minus ? -v : v) * units[i].times;
    pn_assert(!"a number with a unit that its type has not");
    return 0;
}

static int set_int(const struct postern_block *b, const char *name, size_t n, int64_t *out)
{
    const struct postern_row *row = row_of(b, name);
    const char *word = word_of(b, name, n);
    if (word == NULL)
        return POSTERN_NONE;
    *out = row->type == POSTERN_T_WEIGHT ? parse_weight(word) : parse_units(word, row->type);
    pn_assert((row->min == 0 && row->max == 0) || (*out >= row->min && *out <= row->max));
    return POSTERN_OK;
}

static int set_bool(const struct postern_block *b, const char *name, int *out)
{
    const char *word = word_of(b, name, 0);
    pn_assert(row_of(b, name)->type == POSTERN_T_BOOL);
    if (word == NULL)
        return POSTERN_NONE;
    pn_assert(strcmp(word, "yes") == 0 || strcmp(word, "no") == 0);
    *out = strcmp(word, "yes") == 0;
    return POSTERN_OK;
}

static int set_net(const struct postern_block *b, const char *name, size_t n, unsigned char ip[16],
                   unsigned *bits)
{
    const char *word = word_of(b, name, n);
    struct pn_net net;
    if (word == NULL)
        return POSTERN_NONE;
    pn_assert(pn_net_parse(pn_str_of(word), &net));
    memcpy(ip, net.ip.b, 16);
    *bits = net.bits;
    return POSTERN_OK;
}

static int client_in(struct postern_call *c, const struct postern_block *b, const char *name)
{
    struct pn_ip ip;
    memcpy(ip.b, c->host->client(c)->ip, sizeof ip.b);
    for (size_t n = 0; word_of(b, name, n) != NULL; n++) {
        struct pn_net net;
        pn_assert(pn_net_parse(pn_str_of(word_of(b, name, n)), &net));
        if (pn_net_has(&net, &ip))
            return POSTERN_OK;
    }
    return POSTERN_NONE;
}

static int domain_ascii(struct postern_call *c, struct postern_str domain, struct postern_str *out)
{
    struct pn_alabel room;
    struct pn_str ascii = pn_alabel_domain(fake_pn(domain), &room);
    *out = ascii.p == room.p ? fake_keep(fake_of(c), ascii) : domain;
    return ascii.p == NULL && domain.len != 0 ? POSTERN_INVALID : POSTERN_OK;
}

static int client_network(struct postern_call *c, uint32_t bits4, uint32_t bits6,
                          struct postern_str *out)
{
    struct pn_ip ip;
    struct pn_buf b;
    pn_assert(bits4 <= 32 && bits6 <= 128);
    memcpy(ip.b, c->host->client(c)->ip, sizeof ip.b);
    struct pn_net net = pn_net_of(&ip, bits4, bits6);
    pn_buf_init(&b, 100);
    pn_net_print(&b, &net);
    *out = fake_keep(fake_of(c), pn_buf_str(&b));
    pn_buf_fini(&b);
    return POSTERN_OK;
}

static size_t set_count(const struct postern_block *b, const char *name)
{
    const struct postern_row *row = row_of(b, name);
    const struct fake_row *given = given_of(b, name);
    size_t n = 0;
    if (row->type == POSTERN_T_BLOCK)
        for (const struct fake_block *f = given == NULL ? NULL : given->blocks;
             f != NULL && f->title != NULL; f++)
            n++;
    else
        while (word_of(b, name, n) != NULL)
            n++;
    return n;
}

static int set_block(const struct postern_block *b, const char *name, size_t n,
                     const struct postern_block **out)
{
    const struct postern_row *row = row_of(b, name);
    pn_assert(row->type == POSTERN_T_BLOCK);
    if (n >= set_count(b, name))
        return POSTERN_NONE;
    const struct fake_block *given = &given_of(b, name)->blocks[n];
    struct postern_block *child = pn_pool_alloc(b->h->life, sizeof *child);
    *child = (struct postern_block){.h = b->h,
                                    .title = fake_postern(pn_str_of(given->title)),
                                    .rows = row->rows,
                                    .given = given->rows};
    *out = child;
    return POSTERN_OK;
}

static struct postern_str set_title(const struct postern_block *b)
{
    return b->title;
}

static struct postern_str set_where(const struct postern_block *b, const char *name, size_t n)
{
    (void)row_of(b, name);
    (void)n;
    return POSTERN_STR("test.conf:1:1");
}

static void setup_say(struct postern_setup *s, const char *level, struct postern_str sentence)
{
    struct fakehost *h = s->internal;
    (void)pn_buf_addf(&h->setup_text, "%s%.*s\n", level, PN_FMT(sentence));
}

static void setup_error(struct postern_setup *s, struct postern_str sentence)
{
    setup_say(s, "", sentence);
}

static void setup_warn(struct postern_setup *s, struct postern_str sentence)
{
    setup_say(s, "warn: ", sentence);
}

static int setup_info(struct postern_setup *s, struct postern_str key, struct postern_str value)
{
    struct fakehost *h = s->internal;
    if (!h->informing)
        return POSTERN_INVALID;
    pn_assert(key.len >= 1 && key.len <= 64 && value.len <= 2000);
    for (size_t i = 0; i < value.len; i++)
        pn_assert((unsigned char)value.p[i] >= ' ' || value.p[i] == '\t');
    (void)pn_buf_addf(&h->info, "%.*s: %.*s\n", PN_FMT(key), PN_FMT(value));
    return POSTERN_OK;
}

void fake_settings_table(struct postern_host *t)
{
    t->set_str = set_str;
    t->set_int = set_int;
    t->set_bool = set_bool;
    t->set_net = set_net;
    t->client_in = client_in;
    t->domain_ascii = domain_ascii;
    t->client_network = client_network;
    t->set_block = set_block;
    t->set_count = set_count;
    t->set_title = set_title;
    t->set_where = set_where;
    t->setup_error = setup_error;
    t->setup_warn = setup_warn;
    t->setup_info = setup_info;
}
