/* What the operator says. */
#include "ratelimit.h"

#include <stdio.h>
#include <string.h>

#define DAY INT64_C(86400000)

static const struct postern_row limit_rows[] = {
    {.name = "key",
     .type = POSTERN_T_CHOICE,
     .flags = POSTERN_ROW_LIST | POSTERN_ROW_REQUIRED,
     .choices = RATELIMIT_PART_NAMES,
     .help = "What has a bucket of its own: each client, each sender and recipient, and so on."},
    {.name = "tokens",
     .type = POSTERN_T_INT,
     .flags = POSTERN_ROW_REQUIRED,
     .min = 1,
     .max = 1000000,
     .help = "So many at once."},
    {.name = "per",
     .type = POSTERN_T_DURATION,
     .flags = POSTERN_ROW_REQUIRED,
     .min = 1000,
     .max = 366 * DAY,
     .help = "The time in which an empty bucket is full again."},
    {.name = "stage",
     .type = POSTERN_T_CHOICE,
     .choices = "connect|helo|mail|rcpt|headers|message",
     .help = "When it is counted; else rcpt where a recipient is in the key, mail otherwise."},
    {.name = "cost",
     .type = POSTERN_T_CHOICE,
     .choices = "one|recipients|kilobytes",
     .def = "one",
     .help = "Tokens taken: one; as many as there are recipients, or kilobytes begun."},
    {.name = "symbol",
     .type = POSTERN_T_STRING,
     .flags = POSTERN_ROW_LIST,
     .help = "Count only what has one of these symbols, of plugins that run before this one."},
    {.name = "users",
     .type = POSTERN_T_CHOICE,
     .choices = "any|only|none",
     .def = "any",
     .help = "Count everybody, only users who logged in, or all but them."},
    {.name = "ipv4-bits",
     .type = POSTERN_T_INT,
     .def = "24",
     .min = 1,
     .max = 32,
     .help = "How large a network is."},
    {.name = "ipv6-bits",
     .type = POSTERN_T_INT,
     .def = "64",
     .min = 1,
     .max = 128,
     .help = "The same for IPv6."},
    {.name = "skip",
     .type = POSTERN_T_NETWORK,
     .flags = POSTERN_ROW_LIST,
     .help = "Clients that are not counted."},
    {.name = NULL}};

const struct postern_row ratelimit_rows[] = {
    {.name = "limit",
     .type = POSTERN_T_BLOCK,
     .flags = POSTERN_ROW_REPEAT | POSTERN_ROW_TITLED,
     .rows = limit_rows,
     .title_type = POSTERN_T_STRING,
     .help = "A limit, by its name: the detail of RATELIMIT."},
    {.name = NULL}};

static int choice(const struct postern_host *host, const struct postern_block *b, const char *row,
                  size_t n, const char *words)
{
    struct postern_str s;
    int index = 0;
    if (host->set_str(b, row, n, &s) != POSTERN_OK)
        return -1;
    for (const char *w = words;; w++, index++) {
        size_t len = strcspn(w, "|");
        if (len == s.len && memcmp(w, s.p, len) == 0)
            return index;
        w += len;
        if (*w == '\0')
            return -1;
    }
}

static bool has_part(const struct ratelimit_limit *l, enum ratelimit_part part)
{
    for (size_t i = 0; i < l->part_count; i++)
        if (l->parts[i] == part)
            return true;
    return false;
}

/* The first stage at which all of it is known. */
static uint32_t stage_needed(const struct ratelimit_limit *l)
{
    if (l->cost == RATELIMIT_KILOBYTES)
        return POSTERN_HEADERS;
    if (has_part(l, RATELIMIT_RECIPIENT) || has_part(l, RATELIMIT_RECIPIENT_DOMAIN) ||
        l->cost == RATELIMIT_RECIPIENTS)
        return POSTERN_RCPT;
    /* Who logs in does so before MAIL. */
    if (has_part(l, RATELIMIT_USER) || l->users != RATELIMIT_ANYBODY)
        return POSTERN_MAIL;
    if (has_part(l, RATELIMIT_SENDER) || has_part(l, RATELIMIT_SENDER_DOMAIN))
        return POSTERN_MAIL;
    return has_part(l, RATELIMIT_HELO) ? POSTERN_HELO : POSTERN_CONNECT;
}

static void refuse(struct postern_setup *s, const struct postern_block *b, const char *row,
                   const char *why)
{
    char line[600];
    struct postern_str where = s->host->set_where(b, row, 0), name = s->host->set_title(b);
    (void)snprintf(line, sizeof line, "%.*s: limit \"%.*s\": %s", (int)where.len, where.p,
                   (int)name.len, name.p, why);
    s->host->setup_error(s, (struct postern_str){line, strlen(line)});
}

static bool name_ok(struct postern_str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.p[i] <= ' ' || name.p[i] >= 0x7f)
            return false;
    return name.len != 0 && name.len <= 40;
}

static bool read_limit(struct postern_setup *s, const struct postern_block *b,
                       struct ratelimit_limit *l)
{
    const struct postern_host *h = s->host;
    int64_t tokens = 1, per = 1000, bits4 = 24, bits6 = 64;
    *l = (struct ratelimit_limit){.block = b, .name = h->set_title(b)};
    for (int part; (part = choice(h, b, "key", l->part_count, RATELIMIT_PART_NAMES)) >= 0;) {
        if (has_part(l, (enum ratelimit_part)part)) {
            refuse(s, b, "key", "a part stands twice in its key");
            return false;
        }
        l->parts[l->part_count++] = (enum ratelimit_part)part;
    }
    while (l->symbol_count < RATELIMIT_SYMBOLS_MAX &&
           h->set_str(b, "symbol", l->symbol_count, &l->symbols[l->symbol_count]) == POSTERN_OK)
        l->symbol_count++;
    (void)h->set_int(b, "tokens", 0, &tokens);
    (void)h->set_int(b, "per", 0, &per);
    (void)h->set_int(b, "ipv4-bits", 0, &bits4);
    (void)h->set_int(b, "ipv6-bits", 0, &bits6);
    l->bits4 = (unsigned)bits4;
    l->bits6 = (unsigned)bits6;
    l->cost = (enum ratelimit_cost)choice(h, b, "cost", 0, "one|recipients|kilobytes");
    l->users = (enum ratelimit_users)choice(h, b, "users", 0, "any|only|none");
    l->bucket = (struct postern_bucket){.capacity = (uint32_t)tokens, .interval_ms = (uint64_t)per};
    uint32_t needed = stage_needed(l);
    int stage = choice(h, b, "stage", 0, "connect|helo|mail|rcpt|headers|message");
    l->stage = stage >= 0 ? (uint32_t)stage : needed > POSTERN_MAIL ? needed : POSTERN_MAIL;
    if (!name_ok(l->name))
        refuse(s, b, "key", "a name is 1 to 40 bytes of printable ASCII without blanks");
    else if (l->stage < needed)
        refuse(s, b, "stage", "what it counts is not known at that stage");
    else if (h->set_count(b, "symbol") > RATELIMIT_SYMBOLS_MAX)
        refuse(s, b, "symbol", "more than 16 symbols");
    else if (has_part(l, RATELIMIT_USER) && l->users == RATELIMIT_STRANGERS)
        refuse(s, b, "users", "a key of a user, and users none: it would count nothing");
    else if (has_part(l, RATELIMIT_SYMBOL) && l->symbol_count == 0)
        refuse(s, b, "key", "a key of a symbol needs the row symbol");
    else
        return true;
    return false;
}

bool ratelimit_settings(struct postern_setup *s, struct ratelimit_instance *in)
{
    const struct postern_block *b;
    while (s->host->set_block(s->settings, "limit", in->count, &b) == POSTERN_OK) {
        if (in->count == RATELIMIT_MAX) {
            s->host->setup_error(s, POSTERN_STR("more than 64 limits"));
            return false;
        }
        if (!read_limit(s, b, &in->limits[in->count]))
            return false;
        for (size_t i = 0; i < in->count; i++)
            if (in->limits[i].name.len == in->limits[in->count].name.len &&
                memcmp(in->limits[i].name.p, in->limits[in->count].name.p,
                       in->limits[i].name.len) == 0) {
                refuse(s, b, "key", "another one has this name");
                return false;
            }
        in->count++;
    }
    return true;
}
