#include "wrap.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { WIDTH_MIN = 40 };

/* Characters of UTF-8. */
static size_t columns(struct pn_str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

static size_t last_column(struct pn_str line, size_t width)
{
    size_t at = 0;
    while (at < line.len && line.p[at] == ' ')
        at++;
    for (size_t i = at; i + 2 < line.len && i < width * 2 / 3; i++)
        if (line.p[i] == ' ' && line.p[i + 1] == ' ' && line.p[i + 2] != ' ')
            at = i + 2;
    return at;
}

static void wrap_line(struct pn_str line, size_t width, struct pn_buf *out)
{
    size_t indent = last_column(line, width), column = columns(pn_str_slice(line, 0, indent));
    struct pn_str rest = pn_str_slice(line, indent, line.len);
    (void)pn_buf_adds(out, pn_str_slice(line, 0, indent));
    const size_t left = column;
    while (rest.p != NULL) {
        struct pn_str word = pn_str_split(&rest, ' ');
        size_t n = columns(word);
        if (n == 0)
            continue;
        if (column > left && column + 1 + n > width) {
            (void)pn_buf_addf(out, "\n%*s", (int)left, "");
            column = left;
        } else if (column > left) {
            (void)pn_buf_addc(out, ' ');
            column++;
        }
        (void)pn_buf_adds(out, word);
        column += n;
    }
}

void pn_wrap(struct pn_str text, size_t width, struct pn_buf *out)
{
    while (text.len != 0) {
        size_t end = pn_str_find(text, '\n', 0);
        bool ends = end < text.len;
        struct pn_str line = pn_str_slice(text, 0, end);
        if (columns(line) > width)
            wrap_line(line, width, out);
        else
            (void)pn_buf_adds(out, line);
        if (ends)
            (void)pn_buf_addc(out, '\n');
        text = pn_str_slice(text, line.len + ends, text.len);
    }
}

void pn_wrap_print(struct pn_str text)
{
    struct winsize w;
    struct pn_buf out;
    pn_buf_init(&out, SIZE_MAX);
    if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col >= WIDTH_MIN)
        pn_wrap(text, w.ws_col, &out);
    else
        (void)pn_buf_adds(&out, text);
    if (out.len != 0)
        (void)fwrite(out.p, 1, out.len, stdout);
    pn_buf_fini(&out);
}
