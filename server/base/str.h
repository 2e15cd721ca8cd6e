/*
 * Borrowed views of bytes.
 *
 * A pn_str names bytes that somebody else owns; it is never NUL-terminated by
 * contract and may hold any byte. Copying the struct copies the view only. The
 * bytes must outlive it: who hands one out says in its own header for how long.
 *
 * Letter case here is ASCII's; protocol words and domain names need no more.
 */
#ifndef PN_STR_H
#define PN_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct pn_str {
    const char *p;
    size_t len;
};

/* A view of a string literal, in an expression and in a static initialiser. */
#define PN_STR(literal) ((struct pn_str){(literal), sizeof(literal) - 1})
#define PN_STR_INIT(literal)                                                                       \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }
/* For printf: "%.*s", PN_FMT(s). Views over INT_MAX never reach a printf. */
#define PN_FMT(s) (int)(s).len, (s).p

static inline struct pn_str pn_str_of(const char *cstr)
{
    return (struct pn_str){cstr, cstr == NULL ? 0 : strlen(cstr)};
}

/* Bytes [from, to) of s, both clamped to its length. */
static inline struct pn_str pn_str_slice(struct pn_str s, size_t from, size_t to)
{
    if (to > s.len)
        to = s.len;
    if (from > to)
        from = to;
    return (struct pn_str){s.len == 0 ? s.p : s.p + from, to - from};
}

static inline char pn_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static inline bool pn_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool pn_is_alpha(char c)
{
    return pn_lower(c) >= 'a' && pn_lower(c) <= 'z';
}

bool pn_str_eq(struct pn_str a, struct pn_str b);
bool pn_str_ieq(struct pn_str a, struct pn_str b);
/* memcmp order, the shorter first where one begins the other. */
int pn_str_cmp(struct pn_str a, struct pn_str b);
bool pn_str_starts(struct pn_str s, struct pn_str prefix);
bool pn_str_istarts(struct pn_str s, struct pn_str prefix);
bool pn_str_ends(struct pn_str s, struct pn_str suffix);
bool pn_str_iends(struct pn_str s, struct pn_str suffix);
/* Offset of the first c at or after from, or SIZE_MAX. */
size_t pn_str_find(struct pn_str s, char c, size_t from);
/* Of an address's local part: user+tag is user, and "user+a tag" in quotes is user, too. Quotes
 * that the user's own name needs keep a tag from being one. tag, behind the delimiter, may be NULL.
 */
struct pn_str pn_str_untagged(struct pn_str local, char delimiter, struct pn_str *tag);
/* No byte is beyond 127. */
bool pn_str_is_ascii(struct pn_str s);
/* Without spaces and tabs (and CR, LF) at both ends. */
struct pn_str pn_str_trim(struct pn_str s);
/* Splits at the first sep: returns what stands before it and leaves the rest in
 * *s. Without a sep the whole is returned and *s becomes {NULL, 0}; call while
 * s->p != NULL. */
struct pn_str pn_str_split(struct pn_str *s, char sep);
/* The whole of s as a decimal number of at most max; false for anything else. */
bool pn_str_u64(struct pn_str s, uint64_t max, uint64_t *out);
/* Glob with * (any bytes) and ? (one byte), letters without case. Linear in
 * both lengths times the number of stars; used for addresses in policies. */
bool pn_str_glob(struct pn_str pattern, struct pn_str s);
/* SipHash-free, fast hash for tables of trusted size; seed it from randomness
 * where the keys are a stranger's. Lower-cases if fold. */
uint64_t pn_str_hash(struct pn_str s, uint64_t seed, bool fold);

#endif
