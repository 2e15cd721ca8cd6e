#include "buf.h"

#include "assert.h"
#include "mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void pn_buf_init(struct pn_buf *b, size_t max)
{
    *b = (struct pn_buf){.max = max};
}

void pn_buf_fini(struct pn_buf *b)
{
    free(b->p);
    *b = (struct pn_buf){.max = b->max};
}

void pn_buf_clear(struct pn_buf *b)
{
    b->len = 0;
    b->overflow = false;
}

char *pn_buf_reserve(struct pn_buf *b, size_t n)
{
    pn_assert(b->len <= b->max);
    if (n > b->max - b->len) {
        b->overflow = true;
        return NULL;
    }
    size_t need = b->len + n;
    if (need > b->cap || b->p == NULL) {
        size_t cap = b->cap < 64 ? 64 : b->cap;
        while (cap < need)
            cap = cap > b->max / 2 ? b->max : cap * 2;
        if (cap > b->max && b->max >= need && b->max > 0)
            cap = b->max;
        b->p = pn_realloc(b->p, cap);
        b->cap = cap;
    }
    return b->p + b->len;
}

bool pn_buf_add(struct pn_buf *b, const void *p, size_t n)
{
    char *to = pn_buf_reserve(b, n);
    if (to == NULL)
        return false;
    if (n != 0)
        memcpy(to, p, n);
    b->len += n;
    return true;
}

bool pn_buf_addc(struct pn_buf *b, char c)
{
    return pn_buf_add(b, &c, 1);
}

bool pn_buf_adds(struct pn_buf *b, struct pn_str s)
{
    return pn_buf_add(b, s.p, s.len);
}

bool pn_buf_addz(struct pn_buf *b, const char *cstr)
{
    return pn_buf_add(b, cstr, strlen(cstr));
}

bool pn_buf_addv(struct pn_buf *b, const char *fmt, va_list ap)
{
    char small[256];
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(small, sizeof small, fmt, ap);
    bool ok = false;
    pn_assert(n >= 0);
    if ((size_t)n < sizeof small) {
        ok = pn_buf_add(b, small, (size_t)n);
    } else {
        char *big = pn_alloc((size_t)n + 1);
        (void)vsnprintf(big, (size_t)n + 1, fmt, again);
        ok = pn_buf_add(b, big, (size_t)n);
        free(big);
    }
    va_end(again);
    return ok;
}

bool pn_buf_addf(struct pn_buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    bool ok = pn_buf_addv(b, fmt, ap);
    va_end(ap);
    return ok;
}

bool pn_buf_add_milli(struct pn_buf *b, int64_t thousandths)
{
    uint64_t v = thousandths < 0 ? -(uint64_t)thousandths : (uint64_t)thousandths;
    char text[32];
    int n = snprintf(text, sizeof text, "%s%" PRIu64 ".%03u", thousandths < 0 ? "-" : "", v / 1000,
                     (unsigned)(v % 1000));
    while (n > 0 && text[n - 1] == '0')
        n--;
    if (n > 0 && text[n - 1] == '.')
        n--;
    return pn_buf_add(b, text, (size_t)n);
}

void pn_buf_consume(struct pn_buf *b, size_t n)
{
    pn_assert(n <= b->len);
    if (n == 0)
        return;
    b->len -= n;
    if (b->len != 0)
        memmove(b->p, b->p + n, b->len);
}

const char *pn_buf_cstr(struct pn_buf *b)
{
    bool over = b->overflow;
    char *nul = pn_buf_reserve(b, 1);
    b->overflow = over;
    if (nul == NULL)
        return NULL;
    *nul = '\0';
    return b->p;
}
