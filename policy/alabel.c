#include "alabel.h"

#include <idn2.h>

enum { FLAGS = IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL, NAME_MAX_BYTES = 255 };

static const struct pn_str none = {NULL, 0};

static bool is_ascii(struct pn_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return false;
    return true;
}

/* The mapping makes '@', '>', '*' and blanks of their full-width forms, and libidn2 lets empty
 * labels pass: none of that may come into an address, or into a pattern. */
static bool is_name(const char *out)
{
    for (const char *c = out; *c != '\0'; c++)
        if (!pn_is_alpha(*c) && !pn_is_digit(*c) && strchr("-_.", *c) == NULL)
            return false;
    return out[0] != '.' && strstr(out, "..") == NULL;
}

/* Appends the A-labels of a piece without patterns; the new length, or 0. */
static size_t add(struct pn_alabel *room, size_t len, struct pn_str name)
{
    char text[NAME_MAX_BYTES + 1];
    char *out = NULL;
    if (name.len > NAME_MAX_BYTES || memchr(name.p, '\0', name.len) != NULL)
        return 0;
    memcpy(text, name.p, name.len);
    text[name.len] = '\0';
    if (idn2_lookup_u8((const uint8_t *)text, (uint8_t **)&out, FLAGS) != IDN2_OK)
        return 0;
    size_t n = strlen(out);
    bool fits = is_name(out) && n != 0 && n <= NAME_MAX_BYTES && n <= sizeof room->p - len;
    if (fits)
        memcpy(room->p + len, out, n);
    idn2_free(out);
    return fits ? len + n : 0;
}

static size_t add_raw(struct pn_alabel *room, size_t len, struct pn_str s)
{
    if (s.len > sizeof room->p - len)
        return 0;
    memcpy(room->p + len, s.p, s.len);
    return len + s.len;
}

/* What stands before `from` is taken as it is. */
static struct pn_str convert(struct pn_str s, size_t from, struct pn_alabel *room)
{
    size_t len = add_raw(room, 0, pn_str_slice(s, 0, from));
    if (from != 0 && len == 0)
        return none;
    len = add(room, len, pn_str_slice(s, from, s.len));
    return len == 0 ? none : (struct pn_str){room->p, len};
}

struct pn_str pn_alabel_domain(struct pn_str domain, struct pn_alabel *room)
{
    return is_ascii(domain) ? domain : convert(domain, domain.p[0] == '.', room);
}

/* Labels one by one, so that one with a * need not be a name. */
static struct pn_str pattern_from(struct pn_str s, size_t from, struct pn_alabel *room)
{
    struct pn_str rest = pn_str_slice(s, from, s.len);
    if (is_ascii(rest))
        return s;
    if (pn_str_find(rest, '*', 0) == SIZE_MAX && pn_str_find(rest, '?', 0) == SIZE_MAX)
        return convert(s, from + (rest.p[0] == '.'), room);
    size_t len = add_raw(room, 0, pn_str_slice(s, 0, from));
    bool ok = from == 0 || len != 0;
    for (bool first = true; ok && rest.p != NULL; first = false) {
        struct pn_str label = pn_str_split(&rest, '.');
        size_t at = first ? len : add_raw(room, len, PN_STR("."));
        ok = first || at != 0;
        if (ok && label.len != 0)
            at = is_ascii(label) ? add_raw(room, at, label) : add(room, at, label);
        ok = ok && (at != 0 || label.len == 0);
        len = at;
    }
    return ok ? (struct pn_str){room->p, len} : none;
}

struct pn_str pn_alabel_pattern(struct pn_str pattern, struct pn_alabel *room)
{
    return pattern_from(pattern, 0, room);
}

struct pn_str pn_alabel_address(struct pn_str address, struct pn_alabel *room)
{
    size_t at = address.len;
    while (at > 0 && address.p[at - 1] != '@')
        at--;
    return at == 0 ? address : pattern_from(address, at, room);
}
