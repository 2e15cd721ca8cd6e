#include "clamav_reply.h"

#include <string.h>

static int takes_off(struct postern_str *s, const char *head)
{
    size_t n = strlen(head);

    if (s->len < n || memcmp(s->p, head, n) != 0)
        return 0;
    *s = (struct postern_str){s->p + n, s->len - n};
    return 1;
}

static int ends_with(struct postern_str *s, const char *tail)
{
    size_t n = strlen(tail);

    if (s->len < n || memcmp(s->p + s->len - n, tail, n) != 0)
        return 0;
    s->len -= n;
    return 1;
}

/* A name becomes a fact's detail: one word or a few, in ASCII. */
static int is_printable(struct postern_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] < ' ' || s.p[i] > '~')
            return 0;
    return 1;
}

enum clamav_reply clamav_reply_read(struct postern_str line, struct postern_str *text)
{
    int of_stream;

    *text = POSTERN_STR("");
    if (line.len > CLAMAV_REPLY_MAX || !is_printable(line))
        return CLAMAV_REPLY_STRANGE;
    of_stream = takes_off(&line, "stream: ");
    if (of_stream && line.len == 2 && memcmp(line.p, "OK", 2) == 0)
        return CLAMAV_REPLY_OK;
    if (of_stream && ends_with(&line, " FOUND") && line.len > 0) {
        *text = line;
        return CLAMAV_REPLY_FOUND;
    }
    if (!ends_with(&line, " ERROR"))
        return CLAMAV_REPLY_STRANGE;
    *text = line;
    return takes_off(&line, "INSTREAM size limit exceeded") ? CLAMAV_REPLY_TOO_LARGE
                                                            : CLAMAV_REPLY_ERROR;
}
