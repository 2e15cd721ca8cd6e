/* Addresses as text: what is one, and which are private. */
#include "rules_relay.h"

#include <stdlib.h>

bool rules_is_ipv4(struct postern_str s)
{
    unsigned parts = 0;

    for (size_t at = 0; at < s.len; parts++) {
        unsigned n = 0;
        size_t from = at;

        while (at < s.len && rules_is_digit(s.p[at]) && at - from < 3)
            n = n * 10 + (unsigned)(s.p[at++] - '0');
        if (at == from || n > 255 || (at - from > 1 && s.p[from] == '0'))
            return false;
        if (at < s.len && (s.p[at++] != '.' || at == s.len))
            return false;
    }
    return parts == 4;
}

static bool is_ipv6(struct postern_str s)
{
    unsigned groups = 0;
    bool gap = false;
    size_t at = 0;

    if (s.len < 2 || memchr(s.p, ':', s.len) == NULL)
        return false;
    while (at < s.len) {
        size_t from = at;

        while (at < s.len && at - from < 4 && rules_in(s.p[at], "0123456789abcdefABCDEF"))
            at++;
        groups += at > from;
        if (at == s.len)
            break;
        if (s.p[at] == '.' && at > from)
            return (groups == 7 || gap) &&
                   rules_is_ipv4((struct postern_str){s.p + from, s.len - from});
        if (s.p[at++] != ':')
            return false;
        if (at < s.len && s.p[at] == ':') {
            if (gap)
                return false;
            gap = true;
            at++;
        } else if (at == from + 1 || at == s.len) {
            return false;
        }
    }
    return gap ? groups < 8 : groups == 8;
}

bool rules_is_ip(struct postern_str s)
{
    if (rules_istarts(s, POSTERN_STR("IPv6:")))
        s = (struct postern_str){s.p + 5, s.len - 5};
    return rules_is_ipv4(s) || is_ipv6(s);
}

bool rules_ip_is_private(struct postern_str ip)
{
    static const char *const begins[] = {"10.",   "127.", "192.168.", "169.254.",
                                         "fe80:", "fc",   "fd"};

    if (rules_eq(ip, POSTERN_STR("::1")))
        return true;
    for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
        if (rules_istarts(ip, (struct postern_str){begins[i], strlen(begins[i])}))
            return i < 4 ? rules_is_ipv4(ip) : !rules_is_ipv4(ip);
    if (rules_is_ipv4(ip) && rules_starts(ip, POSTERN_STR("172.")))
        return strtol(ip.p + 4, NULL, 10) >= 16 && strtol(ip.p + 4, NULL, 10) <= 31;
    if (rules_is_ipv4(ip) && rules_starts(ip, POSTERN_STR("100.")))
        return strtol(ip.p + 4, NULL, 10) >= 64 && strtol(ip.p + 4, NULL, 10) <= 127;
    return false;
}
