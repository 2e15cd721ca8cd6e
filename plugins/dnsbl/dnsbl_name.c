#include "dnsbl_name.h"

#include <arpa/inet.h>
#include <idn2.h>
#include <string.h>

enum { LABEL_MAX = 63 };

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

size_t dnsbl_labels(struct postern_str text, char *room, size_t max)
{
    size_t labels = 0, label = 0;
    if (text.len != 0 && text.p[text.len - 1] == '.')
        text.len--;
    if (text.len == 0 || text.len > max)
        return 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = lower(text.p[i]);
        bool dot = c == '.';
        if (!dot && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
            return 0;
        if (dot ? label == 0 : label == LABEL_MAX)
            return 0;
        label = dot ? 0 : label + 1;
        labels += label == 1;
        room[i] = c;
    }
    room[text.len] = '\0';
    return label == 0 ? 0 : labels;
}

static bool is_ascii(struct postern_str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.p[i] >= 0x80)
            return false;
    return true;
}

/* A name that is no ASCII may be longer than what it becomes, but not by much. */
static size_t a_labels(struct postern_str text, char *room)
{
    char copy[4 * DNSBL_NAME_MAX + 1];
    uint8_t *out = NULL;
    if (text.len >= sizeof copy || memchr(text.p, '\0', text.len) != NULL)
        return 0;
    memcpy(copy, text.p, text.len);
    copy[text.len] = '\0';
    if (idn2_lookup_u8((const uint8_t *)copy, &out, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) !=
        IDN2_OK)
        return 0;
    size_t labels =
        dnsbl_labels((struct postern_str){(char *)out, strlen((char *)out)}, room, DNSBL_NAME_MAX);
    idn2_free(out);
    return labels;
}

size_t dnsbl_domain(struct postern_str text, char room[DNSBL_NAME_MAX + 1])
{
    size_t labels =
        is_ascii(text) ? dnsbl_labels(text, room, DNSBL_NAME_MAX) : a_labels(text, room);
    if (labels < 2)
        return 0;
    /* Digits alone can't be a top-level domain; that was an address. */
    const char *last = strrchr(room, '.') + 1;
    return strspn(last, "0123456789") == strlen(last) ? 0 : strlen(room);
}

struct postern_str dnsbl_registered(const psl_ctx_t *list, const char *name)
{
    const char *found = list == NULL ? NULL : psl_registrable_domain(list, name);
    if (found == NULL)
        found = name;
    return (struct postern_str){found, strlen(found)};
}

bool dnsbl_below(struct postern_str name, struct postern_str parent)
{
    return name.len >= parent.len &&
           memcmp(name.p + (name.len - parent.len), parent.p, parent.len) == 0 &&
           (name.len == parent.len || name.p[name.len - parent.len - 1] == '.');
}

bool dnsbl_ip(struct postern_str text, unsigned char ip[16], bool *is_ipv4)
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    char room[INET6_ADDRSTRLEN];
    if (text.len == 0 || text.len >= sizeof room || memchr(text.p, '\0', text.len) != NULL)
        return false;
    memcpy(room, text.p, text.len);
    room[text.len] = '\0';
    if (inet_pton(AF_INET, room, ip + 12) == 1)
        memcpy(ip, mapped, sizeof mapped);
    else if (inet_pton(AF_INET6, room, ip) != 1)
        return false;
    *is_ipv4 = memcmp(ip, mapped, sizeof mapped) == 0;
    return true;
}
