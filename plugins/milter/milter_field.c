/* What the host takes as text. */
#include "milter_mail.h"

#include <string.h>

enum { NAME_MAX_HERE = 76, VALUE_MAX_HERE = 16 * 1024 };

size_t milter_character(const char *s, size_t n)
{
    const unsigned char *p = (const unsigned char *)s;
    static const struct {
        unsigned char from, to, second_from, second_to, bytes;
    } rows[] = {
        {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    size_t i = 0, more = 2;

    while (i < sizeof(rows) / sizeof(rows[0]) && (p[0] < rows[i].from || p[0] > rows[i].to))
        i++;
    if (i == sizeof(rows) / sizeof(rows[0]) || rows[i].bytes > n)
        return 0;
    if (rows[i].bytes > 1 && (p[1] < rows[i].second_from || p[1] > rows[i].second_to))
        return 0;
    while (more < rows[i].bytes && (p[more] & 0xc0) == 0x80)
        more++;
    return rows[i].bytes > 2 && more < rows[i].bytes ? 0 : rows[i].bytes;
}

static bool is_fold(const char *p, size_t n)
{
    return n > 2 && p[0] == '\r' && p[1] == '\n' && (p[2] == ' ' || p[2] == '\t');
}

static bool value_ok(struct postern_str s)
{
    for (size_t i = 0; i < s.len;) {
        size_t n = milter_character(s.p + i, s.len - i);

        if (is_fold(s.p + i, s.len - i))
            n = 2;
        else if (n == 0 || ((unsigned char)s.p[i] < ' ' && s.p[i] != '\t') || s.p[i] == 0x7f)
            return false;
        i += n;
    }
    return s.len <= VALUE_MAX_HERE;
}

bool milter_field_ok(struct postern_str name, struct postern_str value)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.p[i] <= ' ' || name.p[i] >= 0x7f || name.p[i] == ':')
            return false;
    return name.len > 0 && name.len <= NAME_MAX_HERE && value_ok(value);
}
