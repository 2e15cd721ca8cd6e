#include "dkim_canon.h"

#include "dkim_text.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* ---- the body ---- */

static bool ends_crlf(struct postern_str s)
{
    return s.len >= 2 && s.p[s.len - 2] == '\r' && s.p[s.len - 1] == '\n';
}

/* Without the line ends (and, relaxed, blanks) that the canonical form drops at the end:
 * the one CRLF that stays is added by the caller. */
static struct postern_str without_end(bool relaxed, struct postern_str body)
{
    for (;;) {
        while (relaxed && body.len > 0 && dkim_is_wsp(body.p[body.len - 1]))
            body.len--;
        if (!ends_crlf(body))
            return body;
        body.len -= 2;
    }
}

/*
 * The first byte at or after p that the relaxed form may change: a tab, or a space before
 * another blank or a CR. Nearly all of a message is none of these, so 16 bytes at a time
 * are ruled out at once. The caller keeps the last byte of the body out of reach: p[1] is
 * readable for all p < end.
 */
static const char *next_blank(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i space = _mm_set1_epi8(' ');
    const __m128i tab = _mm_set1_epi8('\t');
    const __m128i cr = _mm_set1_epi8('\r');

    for (; end - p >= 16; p += 16) {
        __m128i a = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i b = _mm_loadu_si128((const __m128i *)(const void *)(p + 1));
        __m128i wide = _mm_or_si128(_mm_cmpeq_epi8(b, cr),
                                    _mm_or_si128(_mm_cmpeq_epi8(b, space), _mm_cmpeq_epi8(b, tab)));
        __m128i hit =
            _mm_or_si128(_mm_cmpeq_epi8(a, tab), _mm_and_si128(_mm_cmpeq_epi8(a, space), wide));
        int mask = _mm_movemask_epi8(hit);

        if (mask != 0)
            return p + __builtin_ctz((unsigned)mask);
    }
#endif
    for (; p < end; p++)
        if (*p == '\t' || (*p == ' ' && (dkim_is_wsp(p[1]) || p[1] == '\r')))
            return p;
    return end;
}

/* Blanks to one space, and to none before a line end. s does not end in a blank. */
static void collapse(struct postern_str s, dkim_emit *emit, void *arg)
{
    const char *run = s.p;
    const char *end = s.p + s.len;
    const char *p = next_blank(s.p, end - 1);

    while (p < end - 1) {
        const char *q = p;

        while (dkim_is_wsp(*q))
            q++;
        if (p > run)
            emit(arg, run, (size_t)(p - run));
        /* A blank before a bare CR is a blank within the line. */
        if (!(*q == '\r' && end - q >= 2 && q[1] == '\n'))
            emit(arg, " ", 1);
        run = q;
        p = next_blank(q, end - 1);
    }
    emit(arg, run, (size_t)(end - run));
}

void dkim_canon_body(bool relaxed, struct postern_str body, dkim_emit *emit, void *arg)
{
    struct postern_str kept = without_end(relaxed, body);

    if (kept.len > 0 && relaxed)
        collapse(kept, emit, arg);
    else if (kept.len > 0)
        emit(arg, kept.p, kept.len);
    /* An empty body is CRLF in the simple form, nothing in the relaxed one. */
    if (kept.len > 0 || !relaxed)
        emit(arg, "\r\n", 2);
}

/* ---- header fields ---- */

/* Gathers bytes, so that the hash is not called for each. */
struct scratch {
    dkim_emit *emit;
    void *arg;
    size_t len;
    bool blank; /* owed, if more follows */
    char p[512];
};

static void scratch_flush(struct scratch *s)
{
    if (s->len > 0)
        s->emit(s->arg, s->p, s->len);
    s->len = 0;
}

static void scratch_add(struct scratch *s, char c)
{
    if (s->len == sizeof(s->p))
        scratch_flush(s);
    s->p[s->len++] = c;
}

static void relaxed_value(struct scratch *s, const char *p, const char *end, bool *begun)
{
    for (; p < end; p++) {
        if (*p == '\n' || (*p == '\r' && p + 1 < end && p[1] == '\n'))
            continue;
        if (dkim_is_wsp(*p)) {
            s->blank = *begun;
            continue;
        }
        if (s->blank)
            scratch_add(s, ' ');
        scratch_add(s, *p);
        s->blank = false;
        *begun = true;
    }
}

static void relaxed_field(const struct dkim_field *f, size_t from, size_t to, dkim_emit *emit,
                          void *arg)
{
    struct scratch s = {.emit = emit, .arg = arg};
    const char *p = f->raw.p;
    bool begun = false;

    for (size_t i = 0; i < f->name_len; i++)
        scratch_add(&s, dkim_lower(p[i]));
    scratch_add(&s, ':');
    relaxed_value(&s, p + f->colon + 1, p + from, &begun);
    relaxed_value(&s, p + to, p + f->raw.len, &begun);
    scratch_flush(&s);
}

void dkim_canon_field(bool relaxed, const struct dkim_field *f, dkim_emit *emit, void *arg)
{
    if (relaxed)
        relaxed_field(f, f->raw.len, f->raw.len, emit, arg);
    else
        emit(arg, f->raw.p, f->raw.len);
    emit(arg, "\r\n", 2);
}

void dkim_canon_own(bool relaxed, const struct dkim_field *f, size_t from, size_t to,
                    dkim_emit *emit, void *arg)
{
    if (relaxed) {
        relaxed_field(f, from, to, emit, arg);
        return;
    }
    emit(arg, f->raw.p, from);
    emit(arg, f->raw.p + to, f->raw.len - to);
}
