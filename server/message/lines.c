#include "lines.h"

void pn_lines_init(struct pn_lines *l, enum pn_lines_mode mode)
{
    *l = (struct pn_lines){.mode = mode, .start = true};
}

/* One piece that ends with LF, or the last one of a chunk. */
static bool to_lf(struct pn_lines *l, struct pn_str piece, struct pn_buf *out)
{
    bool lf = piece.p[piece.len - 1] == '\n', ok = true;
    if (l->cr && !(lf && piece.len == 1))
        ok = pn_buf_addc(out, '\r');
    l->cr = false;
    if (lf && piece.len > 1 && piece.p[piece.len - 2] == '\r')
        return ok && pn_buf_add(out, piece.p, piece.len - 2) && pn_buf_addc(out, '\n');
    if (!lf && piece.p[piece.len - 1] == '\r') {
        l->cr = true;
        piece.len--;
    }
    return ok && pn_buf_adds(out, piece);
}

static bool to_crlf(struct pn_lines *l, struct pn_str piece, struct pn_buf *out)
{
    char last = piece.p[piece.len - 1];
    bool had_cr = piece.len > 1 ? piece.p[piece.len - 2] == '\r' : l->cr;
    l->cr = last == '\r';
    if (last != '\n' || had_cr)
        return pn_buf_adds(out, piece);
    return pn_buf_add(out, piece.p, piece.len - 1) && pn_buf_addz(out, "\r\n");
}

static bool dots(struct pn_lines *l, struct pn_str piece, struct pn_buf *out)
{
    bool double_it = l->start && piece.p[0] == '.';
    l->start = piece.p[piece.len - 1] == '\n';
    return (!double_it || pn_buf_addc(out, '.')) && pn_buf_adds(out, piece);
}

bool pn_lines_feed(struct pn_lines *l, struct pn_str chunk, struct pn_buf *out)
{
    struct pn_lines before = *l;
    size_t len = out->len;
    for (size_t at = 0; at < chunk.len;) {
        size_t lf = pn_str_find(chunk, '\n', at), end = lf == SIZE_MAX ? chunk.len : lf + 1;
        struct pn_str piece = pn_str_slice(chunk, at, end);
        bool ok = l->mode == PN_LINES_TO_LF     ? to_lf(l, piece, out)
                  : l->mode == PN_LINES_TO_CRLF ? to_crlf(l, piece, out)
                                                : dots(l, piece, out);
        if (!ok) {
            *l = before;
            out->len = len;
            return false;
        }
        at = end;
    }
    return true;
}

bool pn_lines_end(struct pn_lines *l, struct pn_buf *out)
{
    if (l->mode == PN_LINES_TO_LF && l->cr) {
        l->cr = false;
        return pn_buf_addc(out, '\r');
    }
    if (l->mode == PN_LINES_DOTS)
        return pn_buf_addz(out, l->start ? ".\r\n" : "\r\n.\r\n");
    return true;
}
