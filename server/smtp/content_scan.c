#include "content_scan.h"

#include "assert.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { BLOCK = 64 };

/* One bit a byte of a block, the first byte lowest. */
struct masks {
    uint64_t cr, lf, nul, dot;
    bool high; /* some byte is beyond ASCII */
};

#ifdef __SSE2__
static uint64_t mask_of(const __m128i v[4], char c)
{
    const __m128i all = _mm_set1_epi8(c);
    uint64_t mask = 0;
    for (unsigned i = 0; i < 4; i++)
        mask |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v[i], all)) << (16 * i);
    return mask;
}

static inline struct masks masks_of(const char *p)
{
    __m128i v[4];
    for (unsigned i = 0; i < 4; i++)
        v[i] = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
    const __m128i any = _mm_or_si128(_mm_or_si128(v[0], v[1]), _mm_or_si128(v[2], v[3]));
    return (struct masks){mask_of(v, '\r'), mask_of(v, '\n'), mask_of(v, '\0'), mask_of(v, '.'),
                          _mm_movemask_epi8(any) != 0};
}
#else
static struct masks masks_of(const char *p)
{
    struct masks m = {0};
    for (unsigned i = 0; i < BLOCK; i++) {
        m.cr |= (uint64_t)(p[i] == '\r') << i;
        m.lf |= (uint64_t)(p[i] == '\n') << i;
        m.nul |= (uint64_t)(p[i] == '\0') << i;
        m.dot |= (uint64_t)(p[i] == '.') << i;
        m.high |= (unsigned char)p[i] > 127;
    }
    return m;
}
#endif

struct pn_smtp_scan pn_smtp_scan_begin(bool dots, bool normalize)
{
    return (struct pn_smtp_scan){.dots = dots, .normalize = normalize};
}

size_t pn_smtp_scan_room(const struct pn_smtp_scan *scan, size_t n)
{
    /* One more for a CR that was held back. */
    return (scan->normalize ? 2 * n : n) + 1;
}

static void fault(struct pn_smtp_scan *scan, enum pn_smtp_fault what)
{
    if (scan->fault == PN_SMTP_FAULT_NONE)
        scan->fault = what;
}

/* A byte that no state before it gave a meaning to. */
static size_t plain(struct pn_smtp_scan *scan, char c, char *out)
{
    scan->state = c == '\r' ? PN_SMTP_SCAN_CR : PN_SMTP_SCAN_TEXT;
    if (c == '\0')
        fault(scan, PN_SMTP_FAULT_NUL);
    if (c == '\n' && scan->normalize) {
        out[0] = '\r';
        out[1] = '\n';
        return 2;
    }
    if (c == '\n')
        fault(scan, PN_SMTP_FAULT_BARE_LF);
    out[0] = c;
    return 1;
}

/* The table of states: one byte in, what it adds to out. */
static size_t step(struct pn_smtp_scan *scan, char c, char *out)
{
    switch (scan->state) {
    case PN_SMTP_SCAN_START:
        if (c != '.' || !scan->dots)
            return plain(scan, c, out);
        scan->state = PN_SMTP_SCAN_DOT;
        return 0;
    case PN_SMTP_SCAN_TEXT:
        return plain(scan, c, out);
    case PN_SMTP_SCAN_CR:
        if (c != '\n') {
            fault(scan, PN_SMTP_FAULT_BARE_CR);
            return plain(scan, c, out);
        }
        scan->state = PN_SMTP_SCAN_START;
        out[0] = c;
        return 1;
    case PN_SMTP_SCAN_DOT:
        if (c != '\r')
            return plain(scan, c, out);
        scan->state = PN_SMTP_SCAN_DOT_CR;
        return 0;
    case PN_SMTP_SCAN_DOT_CR:
        if (c == '\n') {
            scan->state = PN_SMTP_SCAN_END;
            return 0;
        }
        fault(scan, PN_SMTP_FAULT_BARE_CR);
        out[0] = '\r';
        return 1 + plain(scan, c, out + 1);
    case PN_SMTP_SCAN_END:
        break;
    }
    pn_assert(false);
}

static void steps(struct pn_smtp_scan *scan, struct pn_str in, char *out,
                  struct pn_smtp_scanned *done, size_t to)
{
    char none[4];
    while (done->read < to && scan->state != PN_SMTP_SCAN_END) {
        char *at = out == NULL ? none : out + done->written;
        scan->eight |= (unsigned char)in.p[done->read] > 127;
        size_t n = step(scan, in.p[done->read++], at);
        done->written += out == NULL ? 0 : n;
    }
}

/* Whether a block holds nothing to decide, entered in this state; then *state is the
 * one it leaves. Every LF must stand behind a CR and every CR before an LF. */
static bool is_easy(const struct masks *m, bool dots, enum pn_smtp_scan_state *state)
{
    uint64_t lf_due = m->cr << 1 | (*state == PN_SMTP_SCAN_CR);
    uint64_t starts = m->lf << 1 | (*state == PN_SMTP_SCAN_START);
    if (((m->lf ^ lf_due) | m->nul | (dots ? m->dot & starts : 0)) != 0)
        return false;
    *state = m->lf >> (BLOCK - 1)   ? PN_SMTP_SCAN_START
             : m->cr >> (BLOCK - 1) ? PN_SMTP_SCAN_CR
                                    : PN_SMTP_SCAN_TEXT;
    return true;
}

struct pn_smtp_scanned pn_smtp_scan(struct pn_smtp_scan *scan, struct pn_str in, char *out)
{
    struct pn_smtp_scanned done = {0, 0};
    while (in.len - done.read >= BLOCK && scan->state != PN_SMTP_SCAN_END) {
        enum pn_smtp_scan_state state = scan->state;
        struct masks m = masks_of(in.p + done.read);
        if (state >= PN_SMTP_SCAN_DOT || !is_easy(&m, scan->dots, &state)) {
            steps(scan, in, out, &done, done.read + BLOCK);
            continue;
        }
        if (out != NULL) {
            memcpy(out + done.written, in.p + done.read, BLOCK);
            done.written += BLOCK;
        }
        done.read += BLOCK;
        scan->state = state;
        scan->eight |= m.high;
    }
    steps(scan, in, out, &done, in.len);
    return done;
}

struct pn_smtp_scanned pn_smtp_scan_slow(struct pn_smtp_scan *scan, struct pn_str in, char *out)
{
    struct pn_smtp_scanned done = {0, 0};
    steps(scan, in, out, &done, in.len);
    return done;
}

void pn_smtp_scan_last(struct pn_smtp_scan *scan)
{
    if (scan->state == PN_SMTP_SCAN_CR)
        fault(scan, PN_SMTP_FAULT_BARE_CR);
}

size_t pn_smtp_dot_find(struct pn_str bytes, size_t from, bool at_start)
{
    bool start = from == 0 ? at_start : bytes.p[from - 1] == '\n';
    while (from < bytes.len && bytes.len - from >= BLOCK) {
        struct masks m = masks_of(bytes.p + from);
        uint64_t hits = m.dot & (m.lf << 1 | start);
        if (hits != 0)
            return from + (size_t)__builtin_ctzll(hits);
        start = m.lf >> (BLOCK - 1);
        from += BLOCK;
    }
    for (; from < bytes.len; from++) {
        if (start && bytes.p[from] == '.')
            return from;
        start = bytes.p[from] == '\n';
    }
    return SIZE_MAX;
}
