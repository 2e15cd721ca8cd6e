/* Keys and values of the greylist's entries. */
#include "greylist.h"

#include <stdio.h>
#include <string.h>

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

struct postern_str greylist_domain(struct postern_str address)
{
    size_t at = address.len;
    while (at > 0 && address.p[at - 1] != '@')
        at--;
    struct postern_str domain = {address.p + at, address.len - at};
    if (domain.len != 0 && domain.p[domain.len - 1] == '.')
        domain.len--;
    return domain;
}

static bool equal(const char *a, const char *b, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (lower(a[i]) != lower(b[i]))
            return false;
    return true;
}

bool greylist_matches(struct postern_str domain, struct postern_str pattern)
{
    if (pattern.len == 0 || domain.len < pattern.len ||
        (pattern.p[0] != '.' && domain.len != pattern.len))
        return false;
    return equal(domain.p + domain.len - pattern.len, pattern.p, pattern.len);
}

size_t greylist_key(char *text, struct postern_str network, struct postern_str from)
{
    struct postern_str domain = greylist_domain(from);
    size_t len = (size_t)snprintf(text, GREYLIST_KEY_MAX, "%.*s ", (int)network.len, network.p);
    size_t room = GREYLIST_KEY_MAX - len, cut = domain.len > room ? domain.len - room : 0;
    if (from.len == 0) {
        memcpy(text + len, "<>", 2);
        return len + 2;
    }
    for (size_t i = cut; i < domain.len; i++) {
        char c = lower(domain.p[i]);
        text[len++] = c > ' ' && c < 0x7f ? c : '?';
    }
    return len;
}

static bool number(struct postern_str *s, uint64_t max, uint64_t *out)
{
    size_t i = 0;
    uint64_t n = 0;
    for (; i < s->len && s->p[i] >= '0' && s->p[i] <= '9'; i++) {
        n = n * 10 + (uint64_t)(s->p[i] - '0');
        if (n > max)
            return false;
    }
    bool any = i != 0;
    *s = (struct postern_str){s->p + i, s->len - i};
    *out = n;
    return any;
}

bool greylist_value_get(struct postern_str value, struct greylist_entry *entry)
{
    uint64_t first, passes;
    if (!number(&value, INT64_MAX / 16, &first) || value.len == 0 || value.p[0] != ' ')
        return false;
    value = (struct postern_str){value.p + 1, value.len - 1};
    if (!number(&value, UINT32_MAX - 1, &passes) || value.len != 0)
        return false;
    *entry = (struct greylist_entry){(int64_t)first, (uint32_t)passes};
    return true;
}

size_t greylist_value_put(char *text, const struct greylist_entry *entry)
{
    int n =
        snprintf(text, GREYLIST_VALUE_MAX, "%lld %u", (long long)entry->first_ms, entry->passes);
    return n < 0 ? 0 : (size_t)n;
}
