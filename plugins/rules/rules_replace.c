/*
 * Replace tags: "<A>" in a pattern stands for all that looks like an A. "<inter X>",
 * "<pre X>" and "<post X>" say what goes between, before and behind the pieces. A tag's
 * text may hold tags, so the work is done in rounds.
 */
#include "rules_set.h"

#include <stdlib.h>

enum { ROUNDS = 6, EXPANDED_MAX = 256 * 1024 };

bool rules_tag_add(struct rules_set *set, char kind, struct postern_str name,
                   struct postern_str text)
{
    for (size_t i = 0; i < set->tag_count; i++)
        if (set->tags[i].kind == kind && rules_eq(set->tags[i].name, name)) {
            set->tags[i].text = text;
            return true;
        }
    if (set->tag_count == set->tag_room) {
        size_t room = set->tag_room == 0 ? 64 : set->tag_room * 2;
        struct rules_tag *p = realloc(set->tags, room * sizeof(*p));

        if (p == NULL)
            return false;
        set->tags = p;
        set->tag_room = room;
    }
    set->tags[set->tag_count++] = (struct rules_tag){kind, name, text};
    return true;
}

static struct postern_str text_of(const struct rules_set *set, char kind, struct postern_str name)
{
    for (size_t i = 0; name.p != NULL && i < set->tag_count; i++)
        if (set->tags[i].kind == kind && rules_eq(set->tags[i].name, name))
            return set->tags[i].text;
    return (struct postern_str){NULL, 0};
}

/* ---- text that grows to a limit ---- */

struct out {
    char p[EXPANDED_MAX];
    size_t len;
    bool full;
};

static void add(struct out *o, struct postern_str s)
{
    if (s.len > sizeof(o->p) - o->len) {
        o->full = true;
        return;
    }
    if (s.len > 0)
        memcpy(o->p + o->len, s.p, s.len);
    o->len += s.len;
}

/* ---- one round ---- */

/* The next "<…>" of s at or behind `at`; .p NULL: none. */
static struct postern_str next_tag(const struct rules_set *set, struct postern_str s, size_t at)
{
    for (; at < s.len; at++) {
        size_t end = at + 1;

        if (s.p[at] != set->tag_open)
            continue;
        while (end < s.len && s.p[end] != set->tag_close && s.p[end] != set->tag_open)
            end++;
        if (end < s.len && s.p[end] == set->tag_close && end > at + 1)
            return (struct postern_str){s.p + at, end + 1 - at};
    }
    return (struct postern_str){NULL, 0};
}

/* Takes "<word NAME>" out of s, if it is there: the name, else .p NULL. */
static struct postern_str take_directive(const struct rules_set *set, struct postern_str *s,
                                         const char *word, struct out *o)
{
    size_t n = strlen(word);

    for (size_t at = 0;;) {
        struct postern_str tag = next_tag(set, *s, at);
        struct postern_str rest;

        if (tag.p == NULL)
            return tag;
        at = (size_t)(tag.p + tag.len - s->p);
        if (tag.len < n + 4 || memcmp(tag.p + 1, word, n) != 0 || tag.p[n + 1] != ' ')
            continue;
        o->len = 0;
        rest = (struct postern_str){s->p + at, s->len - at};
        add(o, (struct postern_str){s->p, (size_t)(tag.p - s->p)});
        add(o, rest);
        return (struct postern_str){tag.p + n + 2, tag.len - n - 3};
    }
}

struct round {
    struct postern_str before, between, behind;
    bool again; /* a tag's text holds tags */
};

static void put_tag(const struct rules_set *set, struct postern_str tag, struct round *r,
                    struct out *o)
{
    struct postern_str name = {tag.p + 1, tag.len - 2};
    struct postern_str text = text_of(set, 't', name);

    add(o, r->before);
    if (text.p == NULL) {
        add(o, tag);
    } else {
        add(o, text);
        r->again |= next_tag(set, text, 0).p != NULL;
    }
    add(o, r->behind);
}

/* Between two tags that stand side by side there is an empty piece: that is where `between`
 * goes. */
static void put_all(const struct rules_set *set, struct postern_str s, struct round *r,
                    struct out *o)
{
    size_t at = 0;

    o->len = 0;
    for (;;) {
        struct postern_str tag = next_tag(set, s, at);
        size_t to = tag.p == NULL ? s.len : (size_t)(tag.p - s.p);

        if (to == at && tag.p != NULL && at > 0)
            add(o, r->between);
        add(o, (struct postern_str){s.p + at, to - at});
        if (tag.p == NULL)
            return;
        put_tag(set, tag, r, o);
        at = to + tag.len;
    }
}

static bool one_round(struct rules_set *set, struct rules_pattern *p, struct out *o, bool *again)
{
    static const struct {
        const char *word;
        char kind;
    } words[] = {{"pre", 'b'}, {"post", 'a'}, {"inter", 'i'}};
    struct postern_str *s = &p->text;
    struct round r = {.again = false};
    struct postern_str *to[] = {&r.before, &r.behind, &r.between};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        struct postern_str name = take_directive(set, s, words[i].word, o);

        if (name.p == NULL)
            continue;
        *to[i] = text_of(set, words[i].kind, name);
        *s = rules_dup(&set->arena, (struct postern_str){o->p, o->len});
        if (s->p == NULL)
            return false;
    }
    put_all(set, *s, &r, o);
    *s = rules_dup(&set->arena, (struct postern_str){o->p, o->len});
    *again = r.again;
    return s->p != NULL;
}

bool rules_tags_expand(struct rules_set *set)
{
    struct out *o = malloc(sizeof(*o));
    bool good = o != NULL;

    for (size_t i = 0; good && i < set->count; i++) {
        struct rule *r = &set->rules[i];
        bool again = r->replace && r->kind != RULES_NONE && r->pattern.text.p != NULL;

        o->full = false;
        if (again)
            r->tagged = r->pattern.text;
        for (unsigned round = 0; good && again && round < ROUNDS; round++)
            good = one_round(set, &r->pattern, o, &again);
        if (o->full) {
            r->kind = RULES_NONE;
            rules_set_leave(set, (struct rules_left){r->name,
                                                     POSTERN_STR("pattern too long with its tags"),
                                                     r->file, r->line});
        }
    }
    free(o);
    return good;
}

/* ---- tags as subroutines ---- */

struct calls {
    const struct rules_set *set;
    struct out *o;
    bool *used; /* of each tag */
};

/* A tag's number, or tag_count. */
static size_t number_of(const struct rules_set *set, struct postern_str tag)
{
    size_t i = 0;

    while (i < set->tag_count &&
           !(set->tags[i].kind == 't' &&
             rules_eq(set->tags[i].name, (struct postern_str){tag.p + 1, tag.len - 2})))
        i++;
    return i;
}

/* "(?&t12)" */
static void put_call(struct out *o, const char *before, size_t number, const char *behind)
{
    char text[24];
    size_t n = sizeof(text);

    add(o, (struct postern_str){before, strlen(before)});
    do
        text[--n] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    add(o, (struct postern_str){text + n, sizeof(text) - n});
    add(o, (struct postern_str){behind, strlen(behind)});
}

static void put_with_calls(struct calls *c, struct postern_str s, struct round *r)
{
    size_t at = 0;

    for (;;) {
        struct postern_str tag = next_tag(c->set, s, at);
        size_t to = tag.p == NULL ? s.len : (size_t)(tag.p - s.p);
        size_t number = tag.p == NULL ? 0 : number_of(c->set, tag);

        if (to == at && tag.p != NULL && at > 0)
            add(c->o, r->between);
        add(c->o, (struct postern_str){s.p + at, to - at});
        if (tag.p == NULL)
            return;
        add(c->o, r->before);
        if (number < c->set->tag_count) {
            c->used[number] = true;
            put_call(c->o, "(?&t", number, ")");
        } else {
            add(c->o, tag);
        }
        add(c->o, r->behind);
        at = to + tag.len;
    }
}

/* What the pattern calls, what that calls, and so on: each once. */
static void put_definitions(struct calls *c)
{
    struct round none = {.again = false};
    bool *done = c->used + c->set->tag_count;
    bool more = true;

    add(c->o, POSTERN_STR("(?(DEFINE)"));
    while (more && !c->o->full) {
        more = false;
        for (size_t i = 0; i < c->set->tag_count; i++) {
            if (!c->used[i] || done[i])
                continue;
            more = done[i] = true;
            put_call(c->o, "(?<t", i, ">");
            put_with_calls(c, c->set->tags[i].text, &none);
            add(c->o, POSTERN_STR(")"));
        }
    }
    add(c->o, POSTERN_STR(")"));
}

struct postern_str rules_tags_call(struct rules_set *set, const struct rule *rule)
{
    static const char kinds[] = "bai";
    static const char *const words[] = {"pre", "post", "inter"};
    struct calls c = {.set = set, .o = malloc(sizeof(*c.o))};
    struct round r = {.again = false};
    struct postern_str *to[] = {&r.before, &r.behind, &r.between};
    struct postern_str s = rule->tagged;
    struct postern_str result = {NULL, 0};

    c.used = calloc(2 * set->tag_count + 1, sizeof(*c.used));
    if (c.o == NULL || c.used == NULL)
        goto out;
    c.o->full = false;
    for (size_t i = 0; i < 3; i++) {
        struct postern_str name = take_directive(set, &s, words[i], c.o);

        if (name.p == NULL)
            continue;
        *to[i] = text_of(set, kinds[i], name);
        s = rules_dup(&set->arena, (struct postern_str){c.o->p, c.o->len});
        if (s.p == NULL)
            goto out;
    }
    c.o->len = 0;
    put_with_calls(&c, s, &r);
    put_definitions(&c);
    if (!c.o->full)
        result = rules_dup(&set->arena, (struct postern_str){c.o->p, c.o->len});
out:
    free(c.o);
    free(c.used);
    return result;
}
