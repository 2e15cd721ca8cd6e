#include "rules_search.h"

#include <stdlib.h>

enum {
    GRAM = 4,
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

/* Strings known by as many bytes. */
struct grams {
    size_t count;
    unsigned shift;     /* of a product, to have a hash */
    unsigned char *set; /* of hashes, a bit each */
    uint32_t *first;    /* entry of each hash and of those behind it */
};

struct rules_search {
    struct entry *entries; /* those of three bytes first, then by hash */
    uint32_t *keys;        /* of each entry: what the pass compares first */
    size_t count, room;
    struct grams three, four;
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
    free(s->three.set);
    free(s->three.first);
    free(s->four.set);
    free(s->four.first);
    free(s);
}

/* The bit that tells a capital from its small letter is set in all bytes, whatever they are:
 * bytes that fall together cost a comparison. */
static uint32_t folded(uint32_t bytes)
{
    return bytes | 0x20202020;
}

/* Grams of texts of one kind, apart from those of others. */
static uint32_t salt_of(uint32_t kind)
{
    return kind * 0x85ebca6bU;
}

static uint32_t hash(const struct grams *g, uint32_t key)
{
    return key * 2654435769U >> g->shift;
}

/* How often a byte is met in mail, roughly: the letters of English by rank, blanks first. */
static unsigned commonness(char c)
{
    static const char ranked[] = "zqxjkvbpygfwmucldrhsnioate ";
    const char *at = c == '\0' ? NULL : strchr(ranked, c);

    return at == NULL ? 4 : (unsigned)(at - ranked);
}

static size_t gram_size(size_t len)
{
    return len < GRAM ? len : GRAM;
}

/* The end of the bytes that are met least. */
static size_t choose_mark(struct postern_str text)
{
    size_t size = gram_size(text.len);
    size_t best = 0;
    unsigned least = 0;

    for (size_t end = size; end <= text.len; end++) {
        unsigned sum = 0;

        for (size_t i = 1; i <= size; i++)
            sum += commonness(text.p[end - i]);
        if (best == 0 || sum < least) {
            best = end;
            least = sum;
        }
    }
    return best;
}

/* Up to four bytes that end there, the last one highest; for fewer as if 0 stood before. */
static uint32_t gram_before(const char *end, size_t size)
{
    uint32_t gram = 0;

    for (size_t i = 1; i <= size; i++)
        gram |= (uint32_t)(unsigned char)end[-(ptrdiff_t)i] << (32 - 8 * i);
    return folded(gram);
}

size_t rules_search_add(struct rules_search *s, struct postern_str text, uint32_t kind, uint32_t id,
                        size_t lead)
{
    size_t mark = choose_mark(text);
    size_t size = gram_size(text.len);

    if (s->count == s->room) {
        size_t room = s->room == 0 ? 64 : s->room * 2;
        struct entry *p = room > INT32_MAX ? NULL : realloc(s->entries, room * sizeof(*p));

        if (p == NULL)
            return 0;
        s->entries = p;
        s->room = room;
    }
    s->entries[s->count++] =
        (struct entry){.text = text.p,
                       .len = (uint32_t)text.len,
                       .mark = (uint32_t)mark,
                       .kind = kind,
                       .id = id,
                       .reach = (uint32_t)(lead + mark),
                       .key = gram_before(text.p + mark, size) + salt_of(kind)};
    return mark;
}

/* ---- when all are added ---- */

static struct grams *grams_of(struct rules_search *s, const struct entry *e)
{
    return e->len < GRAM ? &s->three : &s->four;
}

static bool make_room(struct grams *g)
{
    unsigned bits = BITS_MIN;

    while (bits < BITS_MAX && g->count << SPARSE > (size_t)1 << bits)
        bits++;
    g->shift = 32 - bits;
    g->set = calloc(1, (size_t)1 << (bits - 3));
    g->first = calloc(((size_t)1 << bits) + 1, sizeof(*g->first));
    return g->set != NULL && g->first != NULL;
}

/* Those of one hash stay as they were added. */
static int by_hash(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;

    if ((x->len < GRAM) != (y->len < GRAM))
        return x->len < GRAM ? -1 : 1;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static void index_grams(struct rules_search *s, struct grams *g)
{
    size_t i = g == &s->three ? 0 : s->three.count;
    size_t end = i + g->count;

    for (uint32_t h = 0; h <= UINT32_MAX >> g->shift; h++) {
        g->first[h] = (uint32_t)i;
        if (i < end && s->entries[i].hash == h)
            g->set[h >> 3] |= (unsigned char)(1U << (h & 7));
        while (i < end && s->entries[i].hash == h)
            i++;
        g->first[h + 1] = (uint32_t)i;
    }
}

bool rules_search_finish(struct rules_search *s)
{
    for (size_t i = 0; i < s->count; i++)
        grams_of(s, &s->entries[i])->count++;
    if (!make_room(&s->three) || !make_room(&s->four))
        return false;
    for (size_t i = 0; i < s->count; i++)
        s->entries[i].hash = hash(grams_of(s, &s->entries[i]), s->entries[i].key);
    if (s->count > 1)
        qsort(s->entries, s->count, sizeof(*s->entries), by_hash);
    s->keys = malloc((s->count + 1) * sizeof(*s->keys));
    if (s->keys == NULL)
        return false;
    for (size_t i = 0; i < s->count; i++)
        s->keys[i] = s->entries[i].key;
    index_grams(s, &s->three);
    index_grams(s, &s->four);
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
static void compare(const struct rules_search *s, const struct grams *g, uint32_t h, uint32_t key,
                    const struct pass *p, size_t mark)
{
    for (uint32_t i = g->first[h]; i < g->first[h + 1]; i++) {
        const struct entry *e = &s->entries[i];

        if (s->keys[i] == key && e->kind == p->kind && e->mark <= mark &&
            e->len - e->mark <= p->text.len - mark && stands_at(e, p->text.p + mark - e->mark))
            p->fn(p->arg, e->id, mark, e->reach);
    }
}

static inline uint32_t without_first(uint32_t gram)
{
    return folded(gram & 0xffffff00);
}

static inline bool is_in(const struct grams *g, uint32_t h)
{
    return (g->set[h >> 3] >> (h & 7) & 1) != 0;
}

void rules_search_run(const struct rules_search *s, struct postern_str text, uint32_t kind,
                      rules_hit *fn, void *arg)
{
    const struct pass p = {text, kind, fn, arg};
    const struct grams three = s->three; /* in registers, whatever fn does */
    const struct grams four = s->four;
    uint32_t salt = salt_of(kind);
    uint32_t gram;

    if (text.len < RULES_SEARCH_MIN)
        return;
    gram = gram_before(text.p + RULES_SEARCH_MIN - 1, RULES_SEARCH_MIN - 1);
    for (size_t end = RULES_SEARCH_MIN; end <= text.len; end++) {
        uint32_t key, h;

        gram = folded(gram >> 8 | (uint32_t)(unsigned char)text.p[end - 1] << 24);
        key = gram + salt;
        h = hash(&four, key);
        if (is_in(&four, h) && end >= GRAM)
            compare(s, &four, h, key, &p, end);
        key = without_first(gram) + salt;
        h = hash(&three, key);
        if (is_in(&three, h))
            compare(s, &three, h, key, &p, end);
    }
}
