#include "rules_buf.h"

#include <stdlib.h>

enum { FIRST = 8192, KEPT_MAX = 32 * 1024 };

size_t rules_buf_room(struct rules_buf *b, size_t n)
{
    size_t want = b->room;
    char *p;

    if (n > b->max - b->len)
        n = b->max - b->len;
    if (n <= b->room - b->len)
        return n;
    while (want - b->len < n)
        want = want == 0 ? FIRST : want * 2;
    p = realloc(b->p, want);
    if (p == NULL)
        return 0;
    b->p = p;
    b->room = want;
    return n;
}

void rules_buf_add(struct rules_buf *b, struct postern_str s)
{
    size_t n = rules_buf_room(b, s.len);

    if (n > 0)
        memcpy(b->p + b->len, s.p, n);
    b->len += n;
}

void rules_buf_char(struct rules_buf *b, char c)
{
    if (b->len < b->room || rules_buf_room(b, 1) == 1)
        b->p[b->len++] = c;
}

void rules_buf_reset(struct rules_buf *b)
{
    if (b->room > KEPT_MAX) {
        free(b->p);
        b->p = NULL;
        b->room = 0;
    }
    b->len = 0;
}

struct postern_str rules_buf_str(const struct rules_buf *b)
{
    return (struct postern_str){b->len == 0 ? "" : b->p, b->len};
}
