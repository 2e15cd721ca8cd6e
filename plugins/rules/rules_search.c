#include "rules_search.h"

#include <stdlib.h>

enum {
    GRAM = RULES_SEARCH_MIN,
    SPARSE = 6, /* bits of a set: so many times doubled what is in it */
    BITS_MIN = 9,
    BITS_MAX = 16 /* 8 KB */
};

struct entry {
    const char *text;
    uint32_t len;
    uint32_t mark;
    uint32_t kind;
    uint32_t id;
    uint32_t reach; /* of its lead, before the mark */
    uint32_t key;   /* of the bytes that end at its mark, and its kind */
    uint32_t hash;
};

struct rules_search {
    struct entry *entries; /* by hash */
    uint32_t *keys;        /* of each entry: what the pass compares first */
    size_t count, room;
    unsigned shift;  /* of a product, to have a hash */
    uint64_t *set;   /* of hashes, a bit each */
    uint32_t *first; /* entry of each hash and of those behind it */
};

struct rules_search *rules_search_new(void)
{
    return calloc(1, sizeof(struct rules_search));
}

void rules_search_free(struct rules_search *s)
{
    if (s == NULL)
        return;
    free(s->entries);
    free(s->keys);
    free(s->set);
    free(s->first);
    free(s);
}

/*
 * Three bytes, the last one highest. The bit that tells a capital from its small letter is
 * set in all of them, whatever they are: bytes that fall together cost a comparison. Grams of
 * texts of one kind are apart from those of others.
 */
static inline uint32_t key_of(uint32_t gram, uint32_t kind)
{
    return (gram | 0x202020ff) + kind * 0x85ebca6bU;
}

static inline uint32_t hash(uint32_t key, unsigned shift)
{
    return key * 2654435769U >> shift;
}

static inline uint32_t next_gram(uint32_t gram, char c)
{
    return gram >> 8 | (uint32_t)(unsigned char)c << 24;
}

/* How often a byte is met in mail, roughly: the letters of English by rank, blanks first. */
static unsigned commonness(char c)
{
    static const char ranked[] = "zqxjkvbpygfwmucldrhsnioate ";
    const char *at = c == '\0' ? NULL : strchr(ranked, c);

    return at == NULL ? 4 : (unsigned)(at - ranked);
}

/* The end of the bytes that are met least. */
static size_t choose_mark(struct postern_str text)
{
    size_t best = 0;
    unsigned least = 0;

    for (size_t end = GRAM; end <= text.len; end++) {
        unsigned sum = 0;

        for (size_t i = 1; i <= GRAM; i++)
            sum += commonness(text.p[end - i]);
        if (best == 0 || sum < least) {
            best = end;
            least = sum;
        }
    }
    return best;
}

static uint32_t gram_before(const char *end)
{
    uint32_t gram = 0;

    for (size_t i = GRAM; i > 0; i--)
        gram = next_gram(gram, end[-(ptrdiff_t)i]);
    return gram;
}

size_t rules_search_add(struct rules_search *s, struct postern_str text, uint32_t kind, uint32_t id,
                        size_t lead)
{
    size_t mark = choose_mark(text);

    if (s->count == s->room) {
        size_t room = s->room == 0 ? 64 : s->room * 2;
        struct entry *p = room > INT32_MAX ? NULL : realloc(s->entries, room * sizeof(*p));

        if (p == NULL)
            return 0;
        s->entries = p;
        s->room = room;
    }
    s->entries[s->count++] = (struct entry){.text = text.p,
                                            .len = (uint32_t)text.len,
                                            .mark = (uint32_t)mark,
                                            .kind = kind,
                                            .id = id,
                                            .reach = (uint32_t)(lead + mark),
                                            .key = key_of(gram_before(text.p + mark), kind)};
    return mark;
}

/* ---- when all are added ---- */

static bool make_room(struct rules_search *s)
{
    unsigned bits = BITS_MIN;

    while (bits < BITS_MAX && s->count << SPARSE > (size_t)1 << bits)
        bits++;
    s->shift = 32 - bits;
    s->set = calloc(1, (size_t)1 << (bits - 3));
    s->first = calloc(((size_t)1 << bits) + 1, sizeof(*s->first));
    s->keys = malloc((s->count + 1) * sizeof(*s->keys));
    return s->set != NULL && s->first != NULL && s->keys != NULL;
}

/* Those of one hash stay as they were added. */
static int by_hash(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;

    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

bool rules_search_finish(struct rules_search *s)
{
    size_t i = 0;

    if (!make_room(s))
        return false;
    for (size_t k = 0; k < s->count; k++)
        s->entries[k].hash = hash(s->entries[k].key, s->shift);
    if (s->count > 1)
        qsort(s->entries, s->count, sizeof(*s->entries), by_hash);
    for (uint32_t h = 0; h <= UINT32_MAX >> s->shift; h++) {
        s->first[h] = (uint32_t)i;
        for (; i < s->count && s->entries[i].hash == h; i++) {
            s->set[h >> 6] |= (uint64_t)1 << (h & 63);
            s->keys[i] = s->entries[i].key;
        }
        s->first[h + 1] = (uint32_t)i;
    }
    return true;
}

/* ---- the pass ---- */

struct pass {
    struct postern_str text;
    uint32_t kind;
    rules_hit *fn;
    void *arg;
};

static bool stands_at(const struct entry *e, const char *p)
{
    for (size_t i = 0; i < e->len; i++)
        if (rules_lower(p[i]) != e->text[i])
            return false;
    return true;
}

/* Whatever has its mark at that place. */
static void compare(const struct rules_search *s, uint32_t key, const struct pass *p, size_t mark)
{
    uint32_t h = hash(key, s->shift);

    for (uint32_t i = s->first[h]; i < s->first[h + 1]; i++) {
        const struct entry *e = &s->entries[i];

        if (s->keys[i] == key && e->kind == p->kind && e->mark <= mark &&
            e->len - e->mark <= p->text.len - mark && stands_at(e, p->text.p + mark - e->mark))
            p->fn(p->arg, e->id, mark, e->reach);
    }
}

void rules_search_run(const struct rules_search *s, struct postern_str text, uint32_t kind,
                      rules_hit *fn, void *arg)
{
    const struct pass p = {text, kind, fn, arg};
    const uint64_t *set = s->set; /* in registers, whatever fn does */
    unsigned shift = s->shift;
    uint32_t gram;

    if (text.len < GRAM)
        return;
    gram = gram_before(text.p + GRAM) << 8;
    for (size_t end = GRAM; end <= text.len; end++) {
        uint32_t key, h;

        gram = next_gram(gram, text.p[end - 1]);
        key = key_of(gram, kind);
        h = hash(key, shift);
        if ((set[h >> 6] >> (h & 63) & 1) != 0)
            compare(s, key, &p, end);
    }
}
