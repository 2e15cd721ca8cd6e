/*
 * A growing byte buffer with a limit fixed at birth.
 *
 * Owned by whoever called pn_buf_init; pn_buf_fini frees it. Appending past the
 * limit appends nothing, sets `overflow` and returns false; the flag stays, so a
 * run of appends may be checked once at its end.
 */
#ifndef PN_BUF_H
#define PN_BUF_H

#include "str.h"

#include <stdarg.h>

struct pn_buf {
    char *p; /* owned; NULL while empty */
    size_t len;
    size_t cap;
    size_t max;
    bool overflow;
};

void pn_buf_init(struct pn_buf *b, size_t max);
void pn_buf_fini(struct pn_buf *b);
/* Empties it and clears `overflow`; keeps the memory. */
void pn_buf_clear(struct pn_buf *b);
/* Makes room for n more bytes; NULL past the limit. The caller writes them and
 * then adds to len. */
char *pn_buf_reserve(struct pn_buf *b, size_t n);
bool pn_buf_add(struct pn_buf *b, const void *p, size_t n);
bool pn_buf_addc(struct pn_buf *b, char c);
bool pn_buf_adds(struct pn_buf *b, struct pn_str s);
bool pn_buf_addz(struct pn_buf *b, const char *cstr);
bool pn_buf_addf(struct pn_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool pn_buf_addv(struct pn_buf *b, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));
/* Thousandths as a decimal number without needless zeros: 7400 is 7.4, -50 is -0.05. */
bool pn_buf_add_milli(struct pn_buf *b, int64_t thousandths);
/* Drops the first n bytes, moving the rest to the front. */
void pn_buf_consume(struct pn_buf *b, size_t n);
/* What it holds; borrowed until the next change. */
static inline struct pn_str pn_buf_str(const struct pn_buf *b)
{
    return (struct pn_str){b->p, b->len};
}
/* The bytes as a C string (a NUL is kept behind them, not counted); never NULL
 * unless the limit leaves no room for the NUL. Borrowed until the next change. */
const char *pn_buf_cstr(struct pn_buf *b);

#endif
