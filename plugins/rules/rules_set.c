#include "rules_set.h"

#include <stdlib.h>

/* Those of a reason too many are in no count but the whole. */
static void count_reason(struct rules_set *set, const struct rules_left *l)
{
    size_t k = 0;

    while (k < set->reason_count && !rules_eq(set->reasons[k].why, l->why))
        k++;
    if (k == RULES_REASONS_MAX)
        return;
    if (k == set->reason_count)
        set->reasons[set->reason_count++] = (struct rules_reason){l->why, 0, l->file, l->line};
    set->reasons[k].count++;
}

void rules_set_leave(struct rules_set *set, struct rules_left left)
{
    set->skipped++;
    set->skipped_rules += left.name.len > 0;
    count_reason(set, &left);
    if (set->left_count == RULES_LEFT_MAX)
        return;
    if (set->left_count == set->left_room) {
        size_t room = set->left_room == 0 ? 256 : set->left_room * 2;
        struct rules_left *p = realloc(set->left, room * sizeof(*p));

        if (p == NULL)
            return; /* counted, if not named */
        set->left = p;
        set->left_room = room;
    }
    set->left[set->left_count++] = left;
}

static int most_first(const void *a, const void *b)
{
    const struct rules_reason *x = a;
    const struct rules_reason *y = b;

    return x->count != y->count ? (x->count < y->count) - (x->count > y->count)
                                : strcmp(x->why.p, y->why.p);
}

size_t rules_set_reasons(const struct rules_set *set, struct rules_reason *out, size_t max)
{
    size_t n = set->reason_count < max ? set->reason_count : max;

    if (n > 0)
        memcpy(out, set->reasons, n * sizeof(*out));
    qsort(out, n, sizeof(*out), most_first);
    return n;
}

/* ---- rules by name ---- */

static size_t slot_of(const struct rules_set *set, struct postern_str name)
{
    size_t slot = rules_hash(name) & (set->slots - 1);

    while (set->table[slot] != 0 && !rules_eq(set->rules[set->table[slot] - 1].name, name))
        slot = (slot + 1) & (set->slots - 1);
    return slot;
}

const struct rule *rules_set_find(const struct rules_set *set, struct postern_str name)
{
    size_t slot;

    if (set->slots == 0)
        return NULL;
    slot = slot_of(set, name);
    return set->table[slot] == 0 ? NULL : &set->rules[set->table[slot] - 1];
}

static bool grow(struct rules_set *set)
{
    size_t room = set->room == 0 ? 256 : set->room * 2;
    struct rule *rules;
    uint32_t *table;

    if (set->count >= RULES_MAX)
        return false;
    if (set->count < set->room)
        return true;
    rules = realloc(set->rules, room * sizeof(*rules));
    if (rules == NULL)
        return false;
    set->rules = rules;
    table = calloc(2 * room, sizeof(*table));
    if (table == NULL)
        return false;
    free(set->table);
    set->table = table;
    set->slots = 2 * room;
    set->room = room;
    for (size_t i = 0; i < set->count; i++)
        set->table[slot_of(set, set->rules[i].name)] = (uint32_t)i + 1;
    return true;
}

struct rule *rules_set_rule(struct rules_set *set, struct postern_str name)
{
    const struct rule *old = rules_set_find(set, name);
    struct rule r = {.kind = RULES_NONE};

    if (old != NULL)
        return &set->rules[old - set->rules];
    if (!grow(set))
        return NULL;
    r.name = rules_dup(&set->arena, name);
    if (r.name.p == NULL)
        return NULL;
    set->rules[set->count] = r;
    set->table[slot_of(set, r.name)] = (uint32_t)set->count + 1;
    return &set->rules[set->count++];
}

bool rule_is_stated(const struct rule *r)
{
    return r->kind != RULES_NONE && r->score != 0 && !r->elsewhere && !r->nameless &&
           !rules_starts(r->name, POSTERN_STR("__"));
}

bool rule_is_off(const struct rule *r)
{
    return r->scored && r->score == 0;
}

/* ---- texts of headers ---- */

static unsigned part_named(struct postern_str s)
{
    static const struct {
        const char *name;
        unsigned part;
    } parts[] = {{"raw", RULES_RAW},
                 {"addr", RULES_ADDR},
                 {"name", RULES_NAME},
                 {"host", RULES_HOST},
                 {"domain", RULES_DOMAIN | RULES_HOST},
                 {"ip", RULES_IP},
                 {"revip", RULES_REVIP | RULES_IP},
                 {"first", RULES_FIRST},
                 {"last", RULES_LAST}};

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (rules_is(s, parts[i].name))
            return parts[i].part;
    return 0;
}

const char *rules_header_read(struct rules_header *h, struct postern_str spec)
{
    const char *colon;

    if (spec.len > 0 && spec.p[spec.len - 1] == ':') /* "Subject:" is Subject */
        spec.len--;
    colon = memchr(spec.p, ':', spec.len);
    h->name = spec;
    h->parts = 0;
    if (colon != NULL)
        h->name.len = (size_t)(colon - spec.p);
    while (colon != NULL) {
        struct postern_str part = {colon + 1, spec.len - (size_t)(colon + 1 - spec.p)};
        unsigned flag;

        colon = memchr(part.p, ':', part.len);
        if (colon != NULL)
            part.len = (size_t)(colon - part.p);
        flag = part_named(part);
        if (flag == 0)
            return "part of a header that is not known here";
        h->parts |= flag;
    }
    if (h->name.len == 0 || h->name.len > RULES_NAME_MAX)
        return "malformed name of a header";
    for (size_t i = 0; i < h->name.len; i++)
        if ((unsigned char)h->name.p[i] <= ' ' || (unsigned char)h->name.p[i] >= 0x7f)
            return "malformed name of a header";
    return NULL;
}

/* MESSAGEID is not MessageID. */
bool rules_set_header(struct rules_set *set, struct rules_header h, uint32_t *out)
{
    for (size_t i = 0; i < set->header_count; i++)
        if (rules_eq(set->headers[i].name, h.name) && set->headers[i].parts == h.parts &&
            rules_eq(set->headers[i].unset, h.unset)) {
            *out = (uint32_t)i;
            return true;
        }
    if (set->headers == NULL)
        set->headers = calloc(RULES_HEADERS_MAX, sizeof(*set->headers));
    h.name = rules_dup(&set->arena, h.name);
    h.unset = rules_dup(&set->arena, h.unset);
    if (set->headers == NULL || h.name.p == NULL || h.unset.p == NULL ||
        set->header_count == RULES_HEADERS_MAX)
        return false;
    h.cstr = h.name.p;
    set->headers[set->header_count] = h;
    *out = (uint32_t)set->header_count++;
    return true;
}
