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
        case 'n':
            p->options |= PCRE2_NO_AUTO_CAPTURE;
            break;
        case 'o': /* nothing that a match of bytes would tell */
        case 'g':
        case 'a':
        case 'p':
        case 'd':
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
    if (rules_starts(s, POSTERN_STR("qr")) && s.len > 2 && !rules_is_word(s.p[2])) {
        s.p += 2;
        s.len -= 2;
    } else if (s.len >= 2 && s.p[0] == 'm' && !rules_is_word(s.p[1])) {
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

const char rules_in_headers[] = "\nreceived: from \nsubject: \nfrom: \nto: \ndate: \nmessage-id: <"
                                "\nmime-version: 1.0\ncontent-type: text/plain"
                                "[ ip= rdns= helo= by= ident= envfrom= intl= id= auth= msa= ]";
const char rules_in_uris[] = "http://www.q.com/ https://www.q.com/";

double rules_share_of(unsigned char c)
{
    static const unsigned char letters[] = {60, 12, 26, 27, 90, 16, 14, 32, 57, 2,  6, 33, 22,
                                            55, 60, 18, 2,  50, 52, 72, 24, 8,  12, 3, 12, 2};

    if (c >= 'a' && c <= 'z')
        return letters[c - 'a'] / 1000.0;
    if (c >= 'A' && c <= 'Z')
        return letters[c - 'A'] / 7000.0;
    if (c == ' ')
        return 0.17;
    if (c == '\n' || (c != '\0' && strchr(RULES_ROWS, c) != NULL))
        return 0.01;
    if (c >= '0' && c <= '9')
        return 0.006;
    return c >= 0x80 || c < ' ' ? 0.0008 : 0.004;
}
