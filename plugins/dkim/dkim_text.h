/*
 * Bytes as DKIM reads them: letters without case, folding white space, base64 and
 * numbers inside tags (RFC 6376, sections 2.8 and 3.2). Views are borrowed.
 */
#ifndef DKIM_TEXT_H
#define DKIM_TEXT_H

#include <postern/plugin.h>

#include <stdbool.h>
#include <string.h>

static inline char dkim_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static inline bool dkim_is_wsp(char c)
{
    return c == ' ' || c == '\t';
}

/* Folding white space, whether the line end in it is CRLF or LF. */
static inline bool dkim_is_fws(char c)
{
    return dkim_is_wsp(c) || c == '\r' || c == '\n';
}

static inline bool dkim_ieq(struct postern_str a, struct postern_str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (dkim_lower(a.p[i]) != dkim_lower(b.p[i]))
            return false;
    return true;
}

static inline struct postern_str dkim_trim(struct postern_str s)
{
    while (s.len > 0 && dkim_is_fws(s.p[s.len - 1]))
        s.len--;
    while (s.len > 0 && dkim_is_fws(s.p[0])) {
        s.p++;
        s.len--;
    }
    return s;
}

/* What stands before the first sep, trimmed; the rest is left in *s, {NULL, 0} at the
 * end. Call while s->p != NULL. */
struct postern_str dkim_split(struct postern_str *s, char sep);
/* Is word, without case, one of the items of a colon-parted list? */
bool dkim_list_has(struct postern_str list, struct postern_str word);
/* At most 12 digits (RFC 6376 allows a verifier no less): fits any sum of two. */
bool dkim_number(struct postern_str s, uint64_t *out);
/* Decodes base64 with FWS in it; the padding may be missing. Bytes written, or -1 for
 * anything else than base64 or more than max bytes. */
long dkim_base64(struct postern_str s, unsigned char *out, size_t max);

#endif
