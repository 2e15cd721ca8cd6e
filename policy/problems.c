#include "source.h"

#include "buf.h"
#include "utf8.h"

#include <inttypes.h>

enum { SENTENCE_MAX = 1000, LINE_MAX_SHOWN = 200 };

void pn_problems_init(struct pn_problems *p, struct pn_pool *pool)
{
    *p = (struct pn_problems){.pool = pool};
}

/* A stranger's bytes must not play with the operator's terminal. */
static struct pn_str printable(struct pn_pool *pool, struct pn_str s)
{
    struct pn_buf b;
    pn_buf_init(&b, 4 * SENTENCE_MAX);
    for (size_t i = 0; i < s.len;) {
        size_t n = pn_utf8_next(pn_str_slice(s, i, s.len));
        unsigned char c = (unsigned char)s.p[i];
        if (n == 0 || c < 0x20 || c == 0x7f)
            (void)pn_buf_addf(&b, c == '\t' ? " " : "\\x%02x", c);
        else
            (void)pn_buf_add(&b, s.p + i, n);
        i += n == 0 ? 1 : n;
    }
    struct pn_str out = pn_pool_dup(pool, pn_buf_str(&b));
    pn_buf_fini(&b);
    return out.p == NULL ? PN_STR("") : out;
}

static struct pn_str line_of(struct pn_str text, uint32_t line)
{
    size_t from = 0;
    for (uint32_t n = 1; n < line && from < text.len; n++) {
        size_t end = pn_str_find(text, '\n', from);
        from = end == SIZE_MAX ? text.len : end + 1;
    }
    size_t end = pn_str_find(text, '\n', from);
    struct pn_str s = pn_str_slice(text, from, end == SIZE_MAX ? text.len : end);
    return s.len > 0 && s.p[s.len - 1] == '\r' ? pn_str_slice(s, 0, s.len - 1) : s;
}

static bool is_there(const struct pn_problems *p, const struct pn_problem *problem)
{
    for (size_t i = 0; i < p->count; i++)
        if (pn_str_eq(p->list[i].where, problem->where) &&
            pn_str_eq(p->list[i].text, problem->text))
            return true;
    return false;
}

static void add(struct pn_problems *p, struct pn_problem problem, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));
static void add(struct pn_problems *p, struct pn_problem problem, const char *fmt, va_list ap)
{
    struct pn_buf b;
    if (p->count == PN_PROBLEMS_MAX) {
        p->errors += !problem.warning;
        p->unseen++;
        return;
    }
    pn_buf_init(&b, SENTENCE_MAX);
    if (!pn_buf_addv(&b, fmt, ap))
        (void)pn_buf_addz(&b, "something with a name too long to print");
    problem.text = printable(p->pool, pn_buf_str(&b));
    pn_buf_fini(&b);
    if (is_there(p, &problem))
        return;
    p->errors += !problem.warning;
    p->list[p->count++] = problem;
}

static struct pn_problem at_place(struct pn_problems *p, struct pn_place at)
{
    struct pn_problem problem = {.where = PN_STR(""), .line = PN_STR("")};
    if (at.source == NULL || p->count == PN_PROBLEMS_MAX)
        return problem;
    struct pn_buf b;
    pn_buf_init(&b, SIZE_MAX);
    (void)pn_buf_adds(&b, at.source->name);
    (void)pn_buf_addf(&b, ":%" PRIu32 ":%" PRIu32, at.line, at.column);
    problem.where = printable(p->pool, pn_buf_str(&b));
    pn_buf_fini(&b);
    struct pn_str line = line_of(at.source->text, at.line);
    if (line.len <= LINE_MAX_SHOWN) {
        problem.line = printable(p->pool, line);
        problem.column = at.column;
    }
    return problem;
}

void pn_error_at(struct pn_problems *p, struct pn_place at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    add(p, at_place(p, at), fmt, ap);
    va_end(ap);
}

void pn_warning_at(struct pn_problems *p, struct pn_place at, const char *fmt, ...)
{
    va_list ap;
    struct pn_problem problem = at_place(p, at);
    problem.warning = true;
    va_start(ap, fmt);
    add(p, problem, fmt, ap);
    va_end(ap);
}

void pn_error_in(struct pn_problems *p, struct pn_str file, const char *fmt, ...)
{
    va_list ap;
    struct pn_problem problem = {.where = printable(p->pool, file), .line = PN_STR("")};
    va_start(ap, fmt);
    add(p, problem, fmt, ap);
    va_end(ap);
}

void pn_problems_print(struct pn_buf *out, const struct pn_problems *p, bool lines)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct pn_problem *q = &p->list[i];
        (void)pn_buf_adds(out, q->where);
        (void)pn_buf_addz(out, q->where.len == 0 ? "" : ": ");
        (void)pn_buf_addz(out, q->warning ? "warning: " : "");
        (void)pn_buf_adds(out, q->text);
        (void)pn_buf_addc(out, '\n');
        if (lines && q->line.len != 0)
            (void)pn_buf_addf(out, "    %.*s\n    %*s\n", PN_FMT(q->line), (int)q->column, "^");
    }
    if (p->unseen != 0)
        (void)pn_buf_addf(out, "%zu more, not shown\n", p->unseen);
}

struct pn_str pn_place_text(struct pn_pool *pool, struct pn_place at)
{
    if (at.source == NULL)
        return PN_STR("");
    struct pn_buf b;
    pn_buf_init(&b, SIZE_MAX);
    (void)pn_buf_adds(&b, at.source->shown);
    (void)pn_buf_addf(&b, ":%" PRIu32 ":%" PRIu32, at.line, at.column);
    struct pn_str text = pn_pool_dup(pool, pn_buf_str(&b));
    pn_buf_fini(&b);
    return text.p == NULL ? PN_STR("") : text;
}

size_t pn_edit_distance(struct pn_str a, struct pn_str b, size_t max)
{
    enum { LONGEST = 64 };
    size_t rows[3][LONGEST + 1], *two_up = rows[0], *up = rows[1], *now = rows[2];
    if (a.len > LONGEST || b.len > LONGEST)
        return max + 1;
    for (size_t k = 0; k <= b.len; k++)
        up[k] = k;
    for (size_t i = 1; i <= a.len; i++) {
        now[0] = i;
        for (size_t k = 1; k <= b.len; k++) {
            bool same = pn_lower(a.p[i - 1]) == pn_lower(b.p[k - 1]);
            size_t best = up[k - 1] + !same;
            best = up[k] + 1 < best ? up[k] + 1 : best;
            best = now[k - 1] + 1 < best ? now[k - 1] + 1 : best;
            if (i > 1 && k > 1 && pn_lower(a.p[i - 1]) == pn_lower(b.p[k - 2]) &&
                pn_lower(a.p[i - 2]) == pn_lower(b.p[k - 1]) && two_up[k - 2] + 1 < best)
                best = two_up[k - 2] + 1;
            now[k] = best;
        }
        size_t *oldest = two_up;
        two_up = up;
        up = now;
        now = oldest;
    }
    return up[b.len] > max ? max + 1 : up[b.len];
}

const char *pn_suggest(struct pn_str word, const char *const *names)
{
    /* A third of the letters may be wrong: more would be a guess. */
    size_t best = word.len < 3 ? 1 : word.len / 3;
    const char *hit = NULL;
    for (; *names != NULL; names++) {
        size_t d = pn_edit_distance(word, pn_str_of(*names), best);
        if (d <= best && (hit == NULL || d < best)) {
            hit = *names;
            best = d;
        }
    }
    return hit;
}
