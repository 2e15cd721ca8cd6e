#include "rules_capture.h"

enum { PATTERN_MAX = 16 * 1024 };

void rules_captures_take(struct rules_captures *c, const pcre2_code *code,
                         const pcre2_match_data *data, struct postern_str text,
                         struct rules_arena *a)
{
    const size_t *o = pcre2_get_ovector_pointer((pcre2_match_data *)(uintptr_t)data);
    uint32_t pairs = pcre2_get_ovector_count((pcre2_match_data *)(uintptr_t)data);
    uint32_t count = 0;
    uint32_t size = 0;
    PCRE2_SPTR table = NULL;

    (void)pcre2_pattern_info(code, PCRE2_INFO_NAMECOUNT, &count);
    (void)pcre2_pattern_info(code, PCRE2_INFO_NAMEENTRYSIZE, &size);
    (void)pcre2_pattern_info(code, PCRE2_INFO_NAMETABLE, &table);
    for (uint32_t i = 0; table != NULL && i < count && c->count < RULES_CAPTURES_MAX; i++) {
        const char *entry = (const char *)table + (size_t)i * size;
        unsigned group = (unsigned)(unsigned char)entry[0] << 8 | (unsigned char)entry[1];
        struct postern_str value;

        if (group >= pairs || o[2 * group] == PCRE2_UNSET || o[2 * group + 1] <= o[2 * group])
            continue;
        value = (struct postern_str){text.p + o[2 * group], o[2 * group + 1] - o[2 * group]};
        if (value.len > RULES_CAPTURE_MAX)
            continue;
        c->item[c->count].name = rules_dup(a, (struct postern_str){entry + 2, strlen(entry + 2)});
        c->item[c->count].value = rules_dup(a, value);
        c->count += c->item[c->count].value.p != NULL;
    }
}

struct out {
    char *p;
    size_t len;
    bool full;
};

static void put(struct out *o, char c)
{
    if (o->len < PATTERN_MAX)
        o->p[o->len++] = c;
    else
        o->full = true;
}

/* All values of that name as alternatives, each byte as itself; false: there is none. */
static bool put_values(struct out *o, const struct rules_captures *c, struct postern_str name)
{
    bool any = false;

    for (size_t i = 0; i < c->count; i++) {
        if (!rules_eq(c->item[i].name, name))
            continue;
        put(o, any ? '|' : '(');
        if (!any) {
            put(o, '?');
            put(o, ':');
        }
        any = true;
        for (size_t k = 0; k < c->item[i].value.len; k++) {
            char b = c->item[i].value.p[k];

            if ((unsigned char)b < 0x80 && !rules_is_word(b))
                put(o, '\\');
            put(o, b);
        }
    }
    if (any)
        put(o, ')');
    return any;
}

static void put_all(struct out *o, const char *s)
{
    while (*s != '\0')
        put(o, *s++);
}

/* The pattern with values for its tags; without captures, with what any value matches. False:
 * a tag has no value, or it grows too large. */
static bool put_pattern(struct out *o, const struct rules_captures *c, struct postern_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        const char *end = NULL;

        if (s.p[i] == '\\' && i + 1 < s.len) { /* "\%{" is no tag */
            put(o, s.p[i++]);
            put(o, s.p[i]);
            continue;
        }
        if (s.p[i] == '%' && i + 1 < s.len && s.p[i + 1] == '{')
            end = memchr(s.p + i, '}', s.len - i);
        if (end == NULL) {
            put(o, s.p[i]);
            continue;
        }
        if (c == NULL)
            put_all(o, "(?:[\\s\\S]+)");
        else if (!put_values(o, c, (struct postern_str){s.p + i + 2, (size_t)(end - s.p) - i - 2}))
            return false;
        i = (size_t)(end - s.p);
    }
    return !o->full;
}

/* Is it a group of plain bytes, to its end? "(?!" or the like is at that place. */
static bool is_plain_group(struct postern_str s)
{
    const char *end = memchr(s.p, ')', s.len);

    for (const char *p = s.p + 1; end != NULL && p < end; p++)
        if (rules_in(*p, "([\\%"))
            return false;
    return end != NULL;
}

/* Could a longer value in the place of a tag match less? */
static bool may_lose(struct postern_str s)
{
    static const char *const signs[] = {"(?>", "++", "*+", "?+", "}+"};
    static const char *const looks[] = {"(?!", "(?<!"};

    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
        if (memmem(s.p, s.len, signs[i], strlen(signs[i])) != NULL)
            return true;
    for (size_t i = 0; i < s.len; i++)
        for (size_t k = 0; k < sizeof(looks) / sizeof(looks[0]); k++) {
            struct postern_str rest = {s.p + i, s.len - i};

            if (rules_starts(rest, (struct postern_str){looks[k], strlen(looks[k])}) &&
                !is_plain_group(rest))
                return true;
        }
    return false;
}

struct postern_str rules_captures_stand_in(struct postern_str pattern, struct rules_arena *a)
{
    struct out o = {.p = NULL};

    if (!may_lose(pattern))
        o.p = rules_alloc(a, PATTERN_MAX + 1);
    if (o.p == NULL || !put_pattern(&o, NULL, pattern))
        return (struct postern_str){NULL, 0};
    return (struct postern_str){o.p, o.len};
}

pcre2_code *rules_captures_compile(const struct rules_captures *c, const struct rules_pattern *p,
                                   struct rules_arena *a)
{
    struct out o = {.p = rules_alloc(a, PATTERN_MAX)};
    size_t offset;
    int error;

    if (o.p == NULL || !put_pattern(&o, c, p->text))
        return NULL;
    return pcre2_compile((PCRE2_SPTR)o.p, o.len,
                         p->options | PCRE2_NEVER_UTF | PCRE2_NEVER_BACKSLASH_C |
                             PCRE2_USE_OFFSET_LIMIT,
                         &error, &offset, NULL);
}
