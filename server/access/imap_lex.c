#include "imap_lex.h"

#include "assert.h"

enum state {
    LINE,
    ASKED,
    KEEPING,
    STREAMING,
    SKIPPING, /* a literal of a lost command */
    SKIP_LINE,
    WHOLE,
    LOST, /* a lost command is over */
    FLOODED
};

enum { TAG_MAX = 100, CAP_KEPT = 256 };

void pn_imap_lex_init(struct pn_imap_lex *lex, const struct pn_imap_limits *limits)
{
    *lex = (struct pn_imap_lex){.limits = limits};
    pn_buf_init(&lex->text, limits->text_max);
}

static void wipe(struct pn_imap_lex *lex)
{
    if (lex->limits->secret && lex->text.p != NULL)
        explicit_bzero(lex->text.p, lex->text.cap);
}

void pn_imap_lex_fini(struct pn_imap_lex *lex)
{
    wipe(lex);
    pn_buf_fini(&lex->text);
}

void pn_imap_lex_next(struct pn_imap_lex *lex)
{
    if (lex->state == FLOODED)
        return;
    pn_assert(lex->state == WHOLE || lex->state == LOST);
    wipe(lex);
    if (lex->text.cap > CAP_KEPT)
        pn_buf_fini(&lex->text);
    else
        pn_buf_clear(&lex->text);
    lex->line = 0;
    lex->skipped = 0;
    lex->tail_len = 0;
    lex->raw = lex->lost = false;
    lex->state = LINE;
}

void pn_imap_lex_raw(struct pn_imap_lex *lex)
{
    lex->raw = true;
}

struct pn_str pn_imap_lex_text(const struct pn_imap_lex *lex)
{
    return pn_buf_str(&lex->text);
}

static bool tag_char(char c)
{
    return c > ' ' && c < 0x7f && strchr("(){%*\"\\+", c) == NULL;
}

struct pn_str pn_imap_lex_tag(const struct pn_imap_lex *lex)
{
    size_t n = 0;
    while (n < lex->text.len && n <= TAG_MAX && tag_char(lex->text.p[n]))
        n++;
    bool is = n > 0 && n <= TAG_MAX && n < lex->text.len && lex->text.p[n] == ' ';
    return (struct pn_str){lex->text.p, is ? n : 0};
}

/* ---- literals ---- */

/* "{12}", "{12+}", "~{12}" at the end of line. More digits than fit are a size beyond all
 * limits. */
static bool ends_in_literal(struct pn_str line, struct pn_imap_literal *out)
{
    size_t at = line.len;
    if (at < 3 || line.p[--at] != '}')
        return false;
    *out = (struct pn_imap_literal){.sync = line.p[at - 1] != '+'};
    at -= out->sync ? 0 : 1;
    size_t digits_end = at;
    while (at > 0 && pn_is_digit(line.p[at - 1]))
        at--;
    if (at == digits_end || at == 0 || line.p[at - 1] != '{')
        return false;
    if (!pn_str_u64(pn_str_slice(line, at, digits_end), UINT64_MAX / 2, &out->size))
        out->size = UINT64_MAX / 2;
    out->binary = at >= 2 && line.p[at - 2] == '~';
    return true;
}

bool pn_imap_lex_keep(struct pn_imap_lex *lex)
{
    pn_assert(lex->state == ASKED);
    if (lex->literal.size >= lex->limits->text_max - lex->text.len ||
        (!lex->literal.sync && lex->literal.size > lex->limits->nonsync_max)) {
        pn_imap_lex_refuse(lex);
        return false;
    }
    lex->left = lex->literal.size;
    lex->state = KEEPING;
    return true;
}

void pn_imap_lex_stream(struct pn_imap_lex *lex)
{
    pn_assert(lex->state == ASKED);
    pn_buf_clear(&lex->text);
    lex->line = 0;
    lex->left = lex->literal.size;
    lex->state = STREAMING;
}

static void remember_tail(struct pn_imap_lex *lex, struct pn_str piece)
{
    if (piece.len >= sizeof lex->tail) {
        memcpy(lex->tail, piece.p + piece.len - sizeof lex->tail, sizeof lex->tail);
        lex->tail_len = sizeof lex->tail;
        return;
    }
    size_t stay = sizeof lex->tail - piece.len;
    if (stay > lex->tail_len)
        stay = lex->tail_len;
    memmove(lex->tail, lex->tail + lex->tail_len - stay, stay);
    if (piece.len > 0)
        memcpy(lex->tail + stay, piece.p, piece.len);
    lex->tail_len = (uint8_t)(stay + piece.len);
}

/* Of the text only what may be the tag is kept. */
static void lose(struct pn_imap_lex *lex)
{
    lex->lost = true;
    if (lex->text.len > TAG_MAX + 1)
        lex->text.len = TAG_MAX + 1;
    lex->tail_len = 0;
}

void pn_imap_lex_refuse(struct pn_imap_lex *lex)
{
    pn_assert(lex->state == ASKED);
    lose(lex);
    lex->left = lex->literal.size;
    lex->state = lex->literal.sync ? LOST : SKIPPING;
}

void pn_imap_lex_lose(struct pn_imap_lex *lex)
{
    switch ((enum state)lex->state) {
    case LINE: {
        struct pn_str line = pn_str_slice(pn_buf_str(&lex->text), lex->line, lex->text.len);
        lose(lex);
        remember_tail(lex, line); /* its bytes are still there behind the cut */
        lex->state = SKIP_LINE;
        break;
    }
    case ASKED:
        pn_imap_lex_refuse(lex);
        break;
    case KEEPING:
    case STREAMING:
        lose(lex);
        lex->state = SKIPPING;
        break;
    case WHOLE:
        lose(lex);
        lex->state = LOST;
        break;
    default:
        break;
    }
}

/* ---- lines ---- */

static struct pn_str without_line_end(struct pn_str line)
{
    if (line.len > 0 && line.p[line.len - 1] == '\n')
        line.len--;
    if (line.len > 0 && line.p[line.len - 1] == '\r')
        line.len--;
    return line;
}

/* Up to the line end, or all there is. */
static struct pn_str line_piece(struct pn_str in, bool *end)
{
    const char *lf = in.len == 0 ? NULL : memchr(in.p, '\n', in.len);
    *end = lf != NULL;
    return *end ? pn_str_slice(in, 0, (size_t)(lf - in.p) + 1) : in;
}

/* A line of the command at hand. */
static void take_line(struct pn_imap_lex *lex, struct pn_str *in)
{
    bool end;
    struct pn_str piece = line_piece(*in, &end);
    /* One less: behind "{n}" a CRLF stands for a bare LF. */
    size_t room = lex->limits->text_max - lex->text.len - 1;
    struct pn_str fits = pn_str_slice(piece, 0, room);
    if (lex->limits->secret && lex->text.p == NULL)
        (void)pn_buf_reserve(&lex->text, lex->limits->text_max); /* growing would leave copies */
    (void)pn_buf_adds(&lex->text, fits);
    *in = pn_str_slice(*in, fits.len, in->len);
    if (fits.len < piece.len)
        pn_imap_lex_lose(lex);
    if (fits.len < piece.len || !end)
        return;
    struct pn_str line =
        without_line_end(pn_str_slice(pn_buf_str(&lex->text), lex->line, lex->text.len));
    lex->text.len = lex->line + line.len;
    if (lex->raw || !ends_in_literal(line, &lex->literal)) {
        lex->state = WHOLE;
        return;
    }
    (void)pn_buf_adds(&lex->text, PN_STR("\r\n"));
    lex->line = lex->text.len;
    lex->state = ASKED;
}

static bool may_skip(struct pn_imap_lex *lex, uint64_t n)
{
    lex->skipped += n;
    if (lex->skipped <= lex->limits->skip_max)
        return true;
    lex->state = FLOODED;
    return false;
}

static void skip_line(struct pn_imap_lex *lex, struct pn_str *in)
{
    bool end;
    struct pn_str piece = line_piece(*in, &end);
    *in = pn_str_slice(*in, piece.len, in->len);
    remember_tail(lex, piece);
    if (!may_skip(lex, piece.len) || !end)
        return;
    struct pn_str tail = without_line_end((struct pn_str){lex->tail, lex->tail_len});
    bool literal = !lex->raw && ends_in_literal(tail, &lex->literal);
    lex->tail_len = 0;
    lex->left = lex->literal.size;
    /* A client that waits sends nothing more of it: the BAD is its answer. */
    lex->state = literal && !lex->literal.sync ? SKIPPING : LOST;
}

/* ---- all together ---- */

static struct pn_str literal_piece(struct pn_imap_lex *lex, struct pn_str *in)
{
    struct pn_str piece = pn_str_slice(*in, 0, lex->left < in->len ? (size_t)lex->left : in->len);
    *in = pn_str_slice(*in, piece.len, in->len);
    lex->left -= piece.len;
    return piece;
}

/* One step; false where input or the caller is waited for. */
static bool step(struct pn_imap_lex *lex, struct pn_str *in)
{
    switch ((enum state)lex->state) {
    case LINE:
        if (in->len == 0)
            return false;
        take_line(lex, in);
        return true;
    case KEEPING:
        if (lex->left > 0 && in->len == 0)
            return false;
        (void)pn_buf_adds(&lex->text, literal_piece(lex, in)); /* _keep saw that it fits */
        if (lex->left == 0) {
            lex->line = lex->text.len;
            lex->state = LINE;
        }
        return true;
    case SKIPPING:
        if (lex->left > lex->limits->skip_max) {
            lex->state = FLOODED;
            return true;
        }
        if (lex->left > 0 && in->len == 0)
            return false;
        if (may_skip(lex, literal_piece(lex, in).len) && lex->left == 0)
            lex->state = SKIP_LINE;
        return true;
    case SKIP_LINE:
        if (in->len == 0)
            return false;
        skip_line(lex, in);
        return true;
    default:
        return false;
    }
}

enum pn_imap_got pn_imap_lex_feed(struct pn_imap_lex *lex, struct pn_str *in, struct pn_str *bytes)
{
    for (;;) {
        if (lex->state == STREAMING && lex->left == 0)
            lex->state = LINE;
        if (lex->state == STREAMING) {
            *bytes = literal_piece(lex, in);
            return bytes->len > 0 ? PN_IMAP_BYTES : PN_IMAP_MORE;
        }
        if (!step(lex, in))
            break;
    }
    switch ((enum state)lex->state) {
    case ASKED:
        return PN_IMAP_LITERAL;
    case WHOLE:
        return PN_IMAP_COMMAND;
    case LOST:
        return PN_IMAP_REFUSED;
    case FLOODED:
        return PN_IMAP_FLOOD;
    default:
        return PN_IMAP_MORE;
    }
}
