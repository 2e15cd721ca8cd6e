/* The argument of HELO and EHLO. */
#include "client.h"

#include <arpa/inet.h>
#include <string.h>

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

bool client_same(struct postern_str a, struct postern_str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.p[i]) != lower(b.p[i]))
            return false;
    return true;
}

static struct postern_str slice(struct postern_str s, size_t from, size_t to)
{
    return (struct postern_str){s.p + from, to - from};
}

/* ---- addresses */

static bool read_ip(int family, struct postern_str s, unsigned char *out)
{
    char text[INET6_ADDRSTRLEN + 1];
    if (s.len >= sizeof text || memchr(s.p, '\0', s.len) != NULL)
        return false;
    memcpy(text, s.p, s.len);
    text[s.len] = '\0';
    return inet_pton(family, text, out) == 1;
}

static bool read_ipv4(struct postern_str s, unsigned char ip[16])
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    memcpy(ip, mapped, sizeof mapped);
    return s.len != 0 && read_ip(AF_INET, s, ip + sizeof mapped);
}

static bool read_ipv6(struct postern_str s, unsigned char ip[16])
{
    return s.len != 0 && read_ip(AF_INET6, s, ip);
}

static enum client_helo read_literal(struct postern_str s, unsigned char ip[16])
{
    static const struct postern_str tag = {"IPv6:", 5};
    if (s.len < 2 || s.p[s.len - 1] != ']')
        return CLIENT_HELO_LITERAL_BAD;
    s = slice(s, 1, s.len - 1);
    bool six = s.len >= tag.len && client_same(slice(s, 0, tag.len), tag);
    bool ok = six ? read_ipv6(slice(s, tag.len, s.len), ip) : read_ipv4(s, ip);
    return ok ? CLIENT_HELO_LITERAL : CLIENT_HELO_LITERAL_BAD;
}

/* ---- names */

static bool is_label(struct postern_str s)
{
    if (s.len == 0 || s.len > 63 || s.p[0] == '-' || s.p[s.len - 1] == '-')
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = lower(s.p[i]);
        if (c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z'))
            return false;
    }
    return true;
}

static bool is_number(struct postern_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return true;
}

/* Names below these are each network's own (RFC 6761, RFC 6762), or are used so. */
static bool is_private(struct postern_str last)
{
    static const struct postern_str names[] = {{"local", 5}, {"localhost", 9}, {"localdomain", 11},
                                               {"lan", 3},   {"internal", 8},  {"intranet", 8},
                                               {"home", 4},  {"corp", 4},      {"invalid", 7}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (client_same(last, names[i]))
            return true;
    return false;
}

static enum client_helo read_name(struct postern_str s)
{
    struct postern_str last = {"", 0};
    size_t from = 0;
    bool dots = false;
    if (s.len > CLIENT_NAME_MAX)
        return CLIENT_HELO_BAD;
    for (size_t i = 0; i <= s.len; i++) {
        if (i < s.len && s.p[i] != '.')
            continue;
        last = slice(s, from, i);
        if (!is_label(last))
            return CLIENT_HELO_BAD;
        dots = dots || i < s.len;
        from = i + 1;
    }
    if (is_number(last))
        return CLIENT_HELO_BAD;
    return dots && !is_private(last) ? CLIENT_HELO_NAME : CLIENT_HELO_SHORT;
}

enum client_helo client_helo_read(struct postern_str helo, unsigned char ip[16])
{
    if (helo.len != 0 && helo.p[0] == '[')
        return read_literal(helo, ip);
    if (read_ipv4(helo, ip) || read_ipv6(helo, ip))
        return CLIENT_HELO_ADDRESS;
    return read_name(helo);
}
