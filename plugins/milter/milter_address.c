#include "milter_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

static const char expected[] =
    "expected inet:PORT@ADDRESS, inet:ADDRESS:PORT or unix:PATH, such as \"inet:8891@127.0.0.1\" "
    "or \"unix:/run/opendkim/opendkim.sock\"";

static bool takes_off(struct postern_str *s, const char *head)
{
    size_t n = strlen(head);

    if (s->len < n || memcmp(s->p, head, n) != 0)
        return false;
    *s = (struct postern_str){s->p + n, s->len - n};
    return true;
}

static const char *read_unix(struct milter_address *a, struct postern_str path)
{
    struct sockaddr_un *un = &a->at.local;

    if (path.len == 0 || path.p[0] != '/' || path.len >= sizeof(un->sun_path) ||
        memchr(path.p, '\0', path.len) != NULL)
        return "expected \"unix:\" and an absolute path of at most 107 bytes";
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path.p, path.len);
    a->len = sizeof(*un);
    return NULL;
}

static bool read_port(struct postern_str text, in_port_t *port)
{
    unsigned long n = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] < '0' || text.p[i] > '9' || i > 4)
            return false;
        n = n * 10 + (unsigned long)(text.p[i] - '0');
    }
    *port = htons((uint16_t)n);
    return n > 0 && n <= UINT16_MAX;
}

static bool is_word(struct postern_str s, const char *word)
{
    return s.len == strlen(word) && memcmp(s.p, word, s.len) == 0;
}

static bool read_host(struct milter_address *a, struct postern_str host, in_port_t port, bool six)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = port};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = port};
    char text[INET6_ADDRSTRLEN];

    if (is_word(host, "localhost"))
        host = six ? POSTERN_STR("::1") : POSTERN_STR("127.0.0.1");
    if (host.len >= 2 && host.p[0] == '[' && host.p[host.len - 1] == ']')
        host = (struct postern_str){host.p + 1, host.len - 2};
    if (host.len >= sizeof(text) || memchr(host.p, '\0', host.len) != NULL)
        return false;
    memcpy(text, host.p, host.len);
    text[host.len] = '\0';
    if (!six && inet_pton(AF_INET, text, &in.sin_addr) == 1) {
        memcpy(&a->at, &in, sizeof(in));
        a->len = sizeof(in);
        return true;
    }
    if (inet_pton(AF_INET6, text, &in6.sin6_addr) != 1)
        return false;
    memcpy(&a->at, &in6, sizeof(in6));
    a->len = sizeof(in6);
    return true;
}

/* PORT@HOST, or HOST:PORT with an IPv6 address in brackets. */
static bool read_inet(struct milter_address *a, struct postern_str text, bool six)
{
    const char *at = memchr(text.p, '@', text.len), *colon;
    struct postern_str host, number;
    in_port_t port;

    if (at != NULL) {
        number = (struct postern_str){text.p, (size_t)(at - text.p)};
        host = (struct postern_str){at + 1, text.len - number.len - 1};
        return host.len > 0 && read_port(number, &port) && read_host(a, host, port, six);
    }
    colon = memrchr(text.p, ':', text.len);
    if (colon == NULL || colon == text.p)
        return false;
    host = (struct postern_str){text.p, (size_t)(colon - text.p)};
    number = (struct postern_str){colon + 1, text.len - host.len - 1};
    if (host.p[0] != '[' && memchr(host.p, ':', host.len) != NULL)
        return false;
    return read_port(number, &port) && read_host(a, host, port, six);
}

const char *milter_address_read(struct milter_address *a, struct postern_str text)
{
    memset(a, 0, sizeof(*a));
    if (takes_off(&text, "unix:") || takes_off(&text, "local:"))
        return read_unix(a, text);
    if (takes_off(&text, "inet6:"))
        return text.len > 0 && read_inet(a, text, true) ? NULL : expected;
    if (takes_off(&text, "inet:"))
        return text.len > 0 && read_inet(a, text, false) ? NULL : expected;
    return expected;
}
