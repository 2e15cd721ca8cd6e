#include "rules_search.h"

#include <stdlib.h>

enum {
    BITS = 15, /* 4 KB of set */
    NONE = -1
};

struct entry {
    const char *text;
    uint32_t len;
    uint32_t mark;
    uint32_t id;
    int32_t next; /* of the same hash, or NONE */
};

struct rules_search {
    struct entry *entries;
    size_t count, room;
    unsigned char set[1 << (BITS - 3)];
    int32_t first[1 << BITS]; /* looked at only where the set says so */
};

struct rules_search *rules_search_new(void)
{
    struct rules_search *s = calloc(1, sizeof(*s));

    for (size_t i = 0; s != NULL && i < sizeof(s->first) / sizeof(s->first[0]); i++)
        s->first[i] = NONE;
    return s;
}

void rules_search_free(struct rules_search *s)
{
    if (s == NULL)
        return;
    free(s->entries);
    free(s);
}

/* Of three bytes, the first lowest. The bit that tells a capital from its small letter is
 * set in all of them, whatever they are: bytes that fall together cost a comparison. */
static uint32_t hash(uint32_t three)
{
    return ((three & 0xffffff) | 0x202020) * 2654435769U >> (32 - BITS);
}

static uint32_t three_at(const char *p)
{
    return (uint32_t)(unsigned char)p[0] | (uint32_t)(unsigned char)p[1] << 8 |
           (uint32_t)(unsigned char)p[2] << 16;
}

/* How often a byte is met in mail, roughly: the letters of English by rank, blanks first. */
static unsigned commonness(char c)
{
    static const char ranked[] = "zqxjkvbpygfwmucldrhsnioate ";
    const char *at = c == '\0' ? NULL : strchr(ranked, c);

    return at == NULL ? 4 : (unsigned)(at - ranked);
}

/* The end of the three bytes that are met least. */
static size_t choose_mark(struct postern_str text)
{
    size_t best = 0;
    unsigned least = 0;

    for (size_t end = RULES_SEARCH_MIN; end <= text.len; end++) {
        unsigned sum =
            commonness(text.p[end - 1]) + commonness(text.p[end - 2]) + commonness(text.p[end - 3]);

        if (best == 0 || sum < least) {
            best = end;
            least = sum;
        }
    }
    return best;
}

size_t rules_search_add(struct rules_search *s, struct postern_str text, uint32_t id)
{
    size_t mark = choose_mark(text);
    uint32_t h = hash(three_at(text.p + mark - RULES_SEARCH_MIN));

    if (s->count == s->room) {
        size_t room = s->room == 0 ? 64 : s->room * 2;
        struct entry *p = room > INT32_MAX ? NULL : realloc(s->entries, room * sizeof(*p));

        if (p == NULL)
            return 0;
        s->entries = p;
        s->room = room;
    }
    s->entries[s->count] =
        (struct entry){text.p, (uint32_t)text.len, (uint32_t)mark, id, s->first[h]};
    s->first[h] = (int32_t)s->count++;
    s->set[h >> 3] |= (unsigned char)(1U << (h & 7));
    return mark;
}

static bool stands_at(const struct entry *e, const char *p)
{
    for (size_t i = 0; i < e->len; i++)
        if (rules_lower(p[i]) != e->text[i])
            return false;
    return true;
}

/* Whatever has its mark at that place. */
static void compare(const struct rules_search *s, struct postern_str text, size_t mark, uint32_t h,
                    rules_hit *fn, void *arg)
{
    for (int32_t i = s->first[h]; i != NONE; i = s->entries[i].next) {
        const struct entry *e = &s->entries[i];

        if (e->mark <= mark && e->len - e->mark <= text.len - mark &&
            stands_at(e, text.p + mark - e->mark))
            fn(arg, e->id, mark);
    }
}

void rules_search_run(const struct rules_search *s, struct postern_str text, rules_hit *fn,
                      void *arg)
{
    uint32_t three;

    if (text.len < RULES_SEARCH_MIN)
        return;
    three = three_at(text.p) << 8;
    for (size_t end = RULES_SEARCH_MIN; end <= text.len; end++) {
        uint32_t h;

        three = three >> 8 | (uint32_t)(unsigned char)text.p[end - 1] << 16;
        h = hash(three);
        if ((s->set[h >> 3] >> (h & 7) & 1) != 0)
            compare(s, text, end, h, fn, arg);
    }
}
