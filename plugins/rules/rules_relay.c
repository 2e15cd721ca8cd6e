#include "rules_text_in.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- trust ---- */

/* The address as 16 bytes, IPv4 mapped; false: it is none. */
static bool address_bytes(struct postern_str s, unsigned char out[16])
{
    unsigned groups[8] = {0};
    size_t count = 0;
    size_t gap = SIZE_MAX;

    memset(out, 0, 16);
    if (rules_is_ipv4(s)) {
        out[10] = out[11] = 0xff;
        for (size_t i = 0, at = 0; i < 4; i++, at++)
            for (; at < s.len && s.p[at] != '.'; at++)
                out[12 + i] = (unsigned char)(out[12 + i] * 10 + (s.p[at] - '0'));
        return true;
    }
    if (!rules_is_ip(s) || memchr(s.p, '.', s.len) != NULL)
        return false;
    for (size_t at = 0; at < s.len && count < 8;) {
        if (s.p[at] == ':') {
            gap = at + 1 < s.len && s.p[at + 1] == ':' ? count : gap;
            at++;
            continue;
        }
        for (; at < s.len && s.p[at] != ':'; at++)
            groups[count] = groups[count] * 16 + (unsigned)(rules_is_digit(s.p[at])
                                                                ? s.p[at] - '0'
                                                                : rules_lower(s.p[at]) - 'a' + 10);
        count++;
    }
    for (size_t i = 0; i < count; i++) {
        size_t to = gap != SIZE_MAX && i >= gap ? 8 - count + i : i;

        out[2 * to] = (unsigned char)(groups[i] >> 8);
        out[2 * to + 1] = (unsigned char)groups[i];
    }
    return true;
}

/* "10.0.0.0/8", "192.168.", "2001:db8::/32", an address. */
static bool network_holds(struct postern_str net, const unsigned char ip[16])
{
    const char *slash = memchr(net.p, '/', net.len);
    struct postern_str base = {net.p, slash == NULL ? net.len : (size_t)(slash - net.p)};
    unsigned char want[16];
    char padded[32];
    long bits = slash == NULL ? -1 : strtol(slash + 1, NULL, 10); /* names end in a NUL */
    long dots = 0;

    for (size_t i = 0; i < base.len; i++)
        dots += base.p[i] == '.';
    if (base.len > 0 && base.p[base.len - 1] == '.' && dots < 4 && base.len < 16) {
        int n = snprintf(padded, sizeof(padded), "%.*s%.*s", (int)base.len, base.p,
                         (int)(7 - 2 * dots), "0.0.0.0");

        base = (struct postern_str){padded, n < 0 ? 0 : (size_t)n};
        bits = bits < 0 ? 8 * dots : bits;
    }
    if (!address_bytes(base, want))
        return false;
    if (bits < 0 || bits > 128)
        bits = 128;
    else if (rules_is_ipv4(base))
        bits += bits <= 32 ? 96 : 0;
    for (long i = 0; i < bits; i++)
        if (((want[i / 8] ^ ip[i / 8]) >> (7 - i % 8) & 1) != 0)
            return false;
    return true;
}

/* Of several networks that hold it the most said decides: "!" takes one out again. */
bool rules_is_trusted(const struct rules_names *n, const struct rules_relay *r)
{
    unsigned char ip[16];
    struct postern_str net;

    if (r->auth.len > 0)
        return true;
    if (n->counts[RULES_TRUSTED] == 0)
        return r->private_ip;
    if (!address_bytes(r->ip, ip))
        return false;
    for (size_t i = 0; (net = rules_names_at(n, RULES_TRUSTED, i)).p != NULL; i++) {
        bool out = net.len > 0 && net.p[0] == '!';

        if (network_holds((struct postern_str){net.p + out, net.len - out}, ip))
            return !out;
    }
    return network_holds(POSTERN_STR("127.0.0.0/8"), ip);
}

/* ---- of a message ---- */

/* The session's client, as the field that we shall write would tell. */
static void add_client(struct rules_text *t, struct rules_relays *r)
{
    const struct postern_client *c = t->call->host->client(t->call);
    const struct postern_envelope *e = t->call->host->envelope(t->call);
    struct rules_relay *relay = &r->relay[r->count];
    struct rules_arena *a = &t->arena;

    *relay =
        (struct rules_relay){.ip = rules_dup(a, c->ip_text),
                             .rdns = rules_relay_client_name(t),
                             .helo = rules_dup(a, c->helo),
                             .by = rules_dup(a, c->hostname),
                             .ident = POSTERN_STR(""),
                             .envelope_from = rules_dup(a, e->from),
                             .id = rules_dup(a, t->call->host->id(t->call)),
                             .auth = c->auth_id.len > 0 ? POSTERN_STR("ESMTPA") : POSTERN_STR(""),
                             .has_envelope_from = true};
    relay->no_rdns = relay->rdns.len == 0;
    relay->private_ip = rules_ip_is_private(relay->ip);
    r->count++;
}

static void add_received(struct rules_text *t, struct rules_relays *r, struct rules_field *f,
                         bool *trusted)
{
    switch (rules_received_read(rules_field_value(t, f), &t->arena, &r->relay[r->count])) {
    case RULES_RELAY:
        r->count++;
        *trusted = *trusted && rules_is_trusted(&t->set->names, &r->relay[r->count - 1]);
        r->trusted += *trusted;
        r->trusted_fields += *trusted;
        break;
    case RULES_UNPARSEABLE:
        r->unparseable++;
        r->trusted_fields += *trusted;
        break;
    case RULES_FETCHED:
        if (*trusted)
            r->count = r->trusted = 0;
        r->trusted_fields += *trusted;
        break;
    case RULES_NO_RELAY:
        r->trusted_fields += *trusted;
        break;
    }
}

static void make(struct rules_text *t, struct rules_relays *r)
{
    size_t count;
    struct rules_field *f = rules_fields(t, &count);
    bool trusted = true;
    size_t most = 1; /* the client, and a Received field each */

    for (size_t i = 0; i < count && most < RULES_RELAYS_MAX; i++)
        most += rules_ieq(f[i].name, POSTERN_STR("Received"));
    r->relay = rules_alloc(&t->arena, most * sizeof(*r->relay));
    if (r->relay == NULL)
        return;
    if (t->session) {
        add_client(t, r);
        trusted = rules_is_trusted(&t->set->names, &r->relay[0]);
        r->trusted = r->trusted_fields = trusted;
    }
    for (size_t i = 0; i < count && r->count < most; i++)
        if (rules_ieq(f[i].name, POSTERN_STR("Received")))
            add_received(t, r, &f[i], &trusted);
}

const struct rules_relays *rules_text_relays(struct rules_text *t)
{
    if (!t->relays_made) {
        t->relays_made = true;
        t->relays = (struct rules_relays){.count = 0};
        make(t, &t->relays);
    }
    return &t->relays;
}

/* ---- as text ---- */

static void add_word(struct rules_buf *b, const char *name, struct postern_str value)
{
    rules_buf_add(b, (struct postern_str){name, strlen(name)});
    rules_buf_add(b, value);
}

static void add_text(struct rules_buf *b, const struct rules_relay *r, bool internal)
{
    add_word(b, "[ ip=", r->ip);
    add_word(b, " rdns=", r->rdns);
    add_word(b, " helo=", r->helo);
    add_word(b, " by=", r->by);
    add_word(b, " ident=", r->ident);
    add_word(b, " envfrom=", r->envelope_from);
    add_word(b, " intl=", internal ? POSTERN_STR("1") : POSTERN_STR("0"));
    add_word(b, " id=", r->id);
    add_word(b, " auth=", r->auth);
    add_word(b, " msa=0 ]", POSTERN_STR(""));
}

struct postern_str rules_relays_text(const struct rules_relays *r, size_t from, size_t to,
                                     struct rules_arena *a)
{
    struct rules_buf b = {.max = RULES_VALUE_MAX};
    struct postern_str s;

    for (size_t i = from; i < to; i++) {
        if (i > from)
            rules_buf_char(&b, ' ');
        add_text(&b, &r->relay[i], i < r->trusted);
    }
    s = rules_dup(a, rules_buf_str(&b));
    free(b.p);
    return s.p == NULL ? POSTERN_STR("") : s;
}
