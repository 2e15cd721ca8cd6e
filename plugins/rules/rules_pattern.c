#include "rules_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

static char closing(char open)
{
    switch (open) {
    case '{':
        return '}';
    case '(':
        return ')';
    case '[':
        return ']';
    case '<':
        return '>';
    default:
        return open;
    }
}

static const char *read_flags(struct rules_pattern *p, struct postern_str flags)
{
    for (size_t i = 0; i < flags.len; i++) {
        switch (flags.p[i]) {
        case 'i':
            p->options |= PCRE2_CASELESS;
            break;
        case 'm':
            p->options |= PCRE2_MULTILINE;
            break;
        case 's':
            p->options |= PCRE2_DOTALL;
            break;
        case 'x':
            p->options |= PCRE2_EXTENDED;
            break;
        case 'o':
        case 'g':
        case 'a':
            break;
        default:
            return "unknown flag of a pattern";
        }
    }
    return NULL;
}

const char *rules_pattern_read(struct rules_pattern *p, struct postern_str s)
{
    size_t end;
    char close;

    *p = (struct rules_pattern){.options = 0};
    s = rules_trim(s);
    if (s.len >= 2 && s.p[0] == 'm' && !rules_is_word(s.p[1])) {
        s.p++;
        s.len--;
    } else if (s.len == 0 || s.p[0] != '/') {
        return "not a pattern";
    }
    close = closing(s.p[0]);
    /* The last delimiter: behind it stand flags only, and they are letters. */
    for (end = s.len - 1; end > 0 && s.p[end] != close; end--)
        ;
    if (end == 0)
        return "pattern without its end";
    p->text = (struct postern_str){s.p + 1, end - 1};
    if (p->text.len == 0)
        return "empty pattern";
    return read_flags(p, (struct postern_str){s.p + end + 1, s.len - end - 1});
}
