/* Names of the reverse zone that are made, not given: by a rule, for a range of addresses. */
#include "client.h"

#include <stdio.h>
#include <string.h>

enum { GROUPS = 8 };

static int digit(char c, int base)
{
    int v = c >= '0' && c <= '9' ? c - '0' : -1;
    if (c >= 'a' && c <= 'f')
        v = c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        v = c - 'A' + 10;
    return v < base ? v : -1;
}

/* ---- the address as numbers one after the other */

struct numbers {
    unsigned want[GROUPS];
    size_t count;
    int base;
    size_t digits; /* of one, at the most */
};

static struct numbers numbers_of(const unsigned char ip[16], bool is_ipv4)
{
    struct numbers n = {.count = is_ipv4 ? 4 : 8, .base = is_ipv4 ? 10 : 16};
    n.digits = is_ipv4 ? 3 : 4;
    for (size_t i = 0; i < n.count; i++)
        n.want[i] = is_ipv4 ? ip[12 + i] : (unsigned)ip[2 * i] << 8 | ip[2 * i + 1];
    return n;
}

/* The next number of the name, from *at on; a run of too many digits is none that counts. */
static bool next_number(struct postern_str name, const struct numbers *n, size_t *at, unsigned *out)
{
    while (*at < name.len && digit(name.p[*at], n->base) < 0)
        ++*at;
    size_t from = *at;
    *out = 0;
    for (; *at < name.len && digit(name.p[*at], n->base) >= 0; ++*at)
        if (*at - from < n->digits)
            *out = *out * (unsigned)n->base + (unsigned)digit(name.p[*at], n->base);
    if (*at - from > n->digits)
        *out = UINT32_MAX;
    return *at != from;
}

static bool matches(const struct numbers *n, const unsigned *last, bool reverse)
{
    for (size_t i = 0; i < n->count; i++)
        if (last[i] != n->want[reverse ? n->count - 1 - i : i])
            return false;
    return true;
}

static bool has_numbers(struct postern_str name, const struct numbers *n)
{
    unsigned last[GROUPS], value;
    size_t seen = 0;
    for (size_t at = 0; next_number(name, n, &at, &value); seen++) {
        if (seen >= n->count)
            memmove(last, last + 1, (n->count - 1) * sizeof *last);
        last[seen < n->count ? seen : n->count - 1] = value;
        if (seen + 1 >= n->count && (matches(n, last, false) || matches(n, last, true)))
            return true;
    }
    return false;
}

/* ---- the address in one piece */

static bool holds(struct postern_str name, const char *part, size_t len)
{
    for (size_t i = 0; len <= name.len && i <= name.len - len; i++)
        if (client_same((struct postern_str){name.p + i, len}, (struct postern_str){part, len}))
            return true;
    return false;
}

static bool has_pieces(struct postern_str name, const unsigned char ip[16])
{
    const unsigned char *b = ip + 12;
    char text[4][16];
    (void)snprintf(text[0], sizeof text[0], "%03u%03u%03u%03u", b[0], b[1], b[2], b[3]);
    (void)snprintf(text[1], sizeof text[1], "%03u%03u%03u%03u", b[3], b[2], b[1], b[0]);
    (void)snprintf(text[2], sizeof text[2], "%02x%02x%02x%02x", b[0], b[1], b[2], b[3]);
    (void)snprintf(text[3], sizeof text[3], "%02x%02x%02x%02x", b[3], b[2], b[1], b[0]);
    for (size_t i = 0; i < 4; i++)
        if (holds(name, text[i], strlen(text[i])))
            return true;
    return false;
}

/* All hex digits of an IPv6 address, whatever parts them. */
static bool has_nibbles(struct postern_str name, const unsigned char ip[16])
{
    char digits[CLIENT_NAME_MAX], forward[33], back[33];
    struct postern_str all = {digits, 0};
    for (size_t i = 0; i < name.len && all.len < sizeof digits; i++)
        if (name.p[i] != '.' && name.p[i] != '-')
            digits[all.len++] = name.p[i];
    for (size_t i = 0; i < 16; i++) {
        (void)snprintf(forward + 2 * i, 3, "%02x", ip[i]);
        (void)snprintf(back + 2 * i, 3, "%x%x", ip[15 - i] & 15U, ip[15 - i] >> 4);
    }
    return holds(all, forward, 32) || holds(all, back, 32);
}

bool client_name_has_address(struct postern_str name, const unsigned char ip[16], bool is_ipv4)
{
    struct numbers n = numbers_of(ip, is_ipv4);
    return has_numbers(name, &n) || (is_ipv4 ? has_pieces(name, ip) : has_nibbles(name, ip));
}

/* ---- words */

static const char *const words[] = {
    "dynamic", "dyn",   "dhcp",   "dsl",        "adsl",      "vdsl", "sdsl",     "xdsl",
    "ppp",     "pppoe", "dialup", "dial",       "dialin",    "pool", "pools",    "cable",
    "catv",    "ftth",  "fttx",   "cablemodem", "broadband", "cust", "customer", "residential"};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Where the last two labels begin. */
static size_t own_part(struct postern_str name)
{
    size_t at = name.len, dots = 0;
    while (at > 0 && dots < 2)
        dots += name.p[--at] == '.';
    return dots == 2 ? at : 0;
}

struct postern_str client_name_word(struct postern_str name,
                                    bool (*more)(void *ctx, size_t n, struct postern_str *word),
                                    void *ctx)
{
    size_t end = own_part(name);
    for (size_t at = 0; at < end;) {
        size_t from = at;
        struct postern_str own;
        while (at < end && is_letter(name.p[at]))
            at++;
        struct postern_str run = {name.p + from, at - from};
        for (size_t i = 0; run.len != 0 && i < sizeof words / sizeof words[0]; i++)
            if (client_same(run, (struct postern_str){words[i], strlen(words[i])}))
                return run;
        for (size_t n = 0; run.len != 0 && more(ctx, n, &own); n++)
            if (client_same(run, own))
                return run;
        at += at == from;
    }
    return (struct postern_str){"", 0};
}
