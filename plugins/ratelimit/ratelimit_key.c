/* Keys made of what is known of a message. */
#include "ratelimit.h"

#include <stdio.h>
#include <string.h>

enum { HASH_TEXT = 17, ROOM = RATELIMIT_KEY_MAX - HASH_TEXT };

/* What does not fit goes on into the hash (FNV-1a). */
struct key {
    char *text;
    size_t len;
    bool cut;
    uint64_t hash;
};

static void add_char(struct key *k, char c)
{
    k->hash = (k->hash ^ (unsigned char)c) * UINT64_C(0x100000001b3);
    if (k->len < ROOM)
        k->text[k->len++] = c;
    else
        k->cut = true;
}

/* Lower case; what can't stand in a key is a question mark, and itself in the hash. */
static void add(struct key *k, struct postern_str s)
{
    add_char(k, ' ');
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] | 0x20) : s.p[i];
        if (c > ' ' && c < 0x7f) {
            add_char(k, c);
            continue;
        }
        add_char(k, '?');
        k->hash = (k->hash ^ (unsigned char)c) * UINT64_C(0x100000001b3);
        k->cut = true;
    }
}

static bool add_network(struct postern_call *c, struct key *k, const struct ratelimit_limit *l)
{
    struct postern_str network;
    if (c->host->client_network(c, l->bits4, l->bits6, &network) != POSTERN_OK)
        return false;
    add(k, network);
    return true;
}

static struct postern_str domain_of(struct postern_str address)
{
    size_t at = address.len;
    while (at > 0 && address.p[at - 1] != '@')
        at--;
    return (struct postern_str){address.p + at, address.len - at};
}

/* The first of those that the limit asks for. */
static bool find_symbol(struct postern_call *c, const struct ratelimit_limit *l,
                        struct postern_fact *out)
{
    for (size_t n = 0; c->host->seen(c, n, out) == POSTERN_OK; n++)
        for (size_t i = 0; i < l->symbol_count; i++)
            if (out->name.len == l->symbols[i].len &&
                memcmp(out->name.p, l->symbols[i].p, out->name.len) == 0)
                return true;
    return false;
}

/* The newest of the envelope, at the stage of recipients; of a message its first. */
static struct postern_str recipient(struct postern_call *c)
{
    const struct postern_envelope *e = c->host->envelope(c);
    if (e == NULL || e->rcpt_count == 0)
        return POSTERN_STR("");
    return e->rcpt[c->stage == POSTERN_RCPT ? e->rcpt_count - 1 : 0];
}

static bool add_part(struct postern_call *c, struct key *k, const struct ratelimit_limit *l,
                     enum ratelimit_part part, const struct postern_fact *symbol)
{
    const struct postern_client *client = c->host->client(c);
    const struct postern_envelope *e = c->stage >= POSTERN_MAIL ? c->host->envelope(c) : NULL;
    switch (part) {
    case RATELIMIT_CLIENT:
        add(k, client->ip_text);
        return true;
    case RATELIMIT_NETWORK:
        return add_network(c, k, l);
    case RATELIMIT_HELO:
        add(k, client->helo);
        return true;
    case RATELIMIT_SENDER:
        add(k, e->from.len == 0 ? POSTERN_STR("<>") : e->from);
        return true;
    case RATELIMIT_SENDER_DOMAIN:
        add(k, e->from.len == 0 ? POSTERN_STR("<>") : domain_of(e->from));
        return true;
    case RATELIMIT_RECIPIENT:
        add(k, recipient(c));
        return true;
    case RATELIMIT_RECIPIENT_DOMAIN:
        add(k, domain_of(recipient(c)));
        return true;
    case RATELIMIT_USER:
        add(k, client->auth_id);
        return client->auth_id.len != 0;
    case RATELIMIT_SYMBOL:
        add(k, symbol->name);
        add(k, symbol->detail);
        return true;
    case RATELIMIT_PARTS:
        break;
    }
    return false;
}

size_t ratelimit_key(struct postern_call *c, const struct ratelimit_limit *l, char *text)
{
    struct key k = {.text = text, .hash = UINT64_C(0xcbf29ce484222325)};
    struct postern_fact symbol = {.weight = 0};
    if (l->symbol_count != 0 && !find_symbol(c, l, &symbol))
        return 0;
    for (size_t i = 0; i < l->name.len; i++)
        add_char(&k, l->name.p[i]);
    for (size_t i = 0; i < l->part_count; i++)
        if (!add_part(c, &k, l, l->parts[i], &symbol))
            return 0;
    if (k.cut)
        k.len += (size_t)snprintf(text + k.len, HASH_TEXT, "%016llx", (unsigned long long)k.hash);
    return k.len;
}
