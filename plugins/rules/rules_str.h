/*
 * Views of bytes and an arena, for the rules plugin. Views are borrowed; what comes from
 * an arena lives until the arena is freed.
 */
#ifndef RULES_STR_H
#define RULES_STR_H

#include <postern/plugin.h>

#include <stdbool.h>
#include <string.h>

struct rules_arena {
    struct rules_block *blocks;
    size_t used;  /* of the newest block */
    size_t total; /* bytes of all blocks */
    size_t limit; /* of total; 0: none */
};

/* Zeroed, aligned for any type; NULL when memory ran out. */
void *rules_alloc(struct rules_arena *a, size_t n);
/* A copy with a NUL behind it, not counted; .p is NULL when memory ran out. */
struct postern_str rules_dup(struct rules_arena *a, struct postern_str s);
void rules_arena_free(struct rules_arena *a);
/* A list of `count` items of `size` bytes with room for one more: `list` itself, or a copy in a
 * larger place, twice as large each time. *room counts items, 0 at first; max is the most of
 * them. False: it is as it was. */
bool rules_more(struct rules_arena *a, void **list, size_t count, size_t *room, size_t max,
                size_t size);
/* Forgets what was in it; one block is kept. */
void rules_arena_reset(struct rules_arena *a);

static inline char rules_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static inline bool rules_is_blank(char c)
{
    return c == ' ' || (unsigned char)(c - '\t') <= '\r' - '\t';
}

static inline bool rules_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool rules_is_word(char c)
{
    char l = rules_lower(c);

    return (l >= 'a' && l <= 'z') || rules_is_digit(c) || c == '_';
}

/* Is it one of those bytes? NUL never is. */
static inline bool rules_in(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

bool rules_ieq_all(struct postern_str a, struct postern_str b);

/* Most comparisons fail at the length or the first byte. */
static inline bool rules_eq(struct postern_str a, struct postern_str b)
{
    return a.len == b.len && (a.len == 0 || (a.p[0] == b.p[0] && memcmp(a.p, b.p, a.len) == 0));
}

static inline bool rules_ieq(struct postern_str a, struct postern_str b)
{
    return a.len == b.len &&
           (a.len == 0 || (rules_lower(a.p[0]) == rules_lower(b.p[0]) && rules_ieq_all(a, b)));
}

/* Is it that name? */
static inline bool rules_is(struct postern_str s, const char *name)
{
    return s.len > 0 && s.p[0] == name[0] && strlen(name) == s.len && memcmp(s.p, name, s.len) == 0;
}

static inline bool rules_starts(struct postern_str s, struct postern_str prefix)
{
    return s.len >= prefix.len && rules_eq((struct postern_str){s.p, prefix.len}, prefix);
}

static inline bool rules_istarts(struct postern_str s, struct postern_str prefix)
{
    return s.len >= prefix.len && rules_ieq((struct postern_str){s.p, prefix.len}, prefix);
}

bool rules_iends(struct postern_str s, struct postern_str suffix);
/* Where `what` stands in s, without case; .p NULL: nowhere. Runs to the end of s. */
struct postern_str rules_ifind(struct postern_str s, struct postern_str what);
/* How many of its bytes lie from `first` to `last`. */
size_t rules_count(struct postern_str s, unsigned char first, unsigned char last);
struct postern_str rules_lower_dup(struct rules_arena *a, struct postern_str s);
struct postern_str rules_trim(struct postern_str s);
/* The first word (up to a blank) of *s, which is left trimmed behind it. */
struct postern_str rules_word(struct postern_str *s);
uint64_t rules_hash(struct postern_str s);

#endif
