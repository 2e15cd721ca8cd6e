#include "dkim_tags.h"

#include "dkim_text.h"

static bool is_name(struct postern_str s)
{
    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = dkim_lower(s.p[i]);
        bool alpha = c >= 'a' && c <= 'z';

        if (!alpha && (i == 0 || !((c >= '0' && c <= '9') || c == '_')))
            return false;
    }
    return true;
}

/* Bytes over 127 are left to the reader of the value: RFC 8616 has them in d= and i=. */
static bool is_value(struct postern_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (((unsigned char)s.p[i] < 0x20 && !dkim_is_fws(s.p[i])) || s.p[i] == 0x7f)
            return false;
    return true;
}

static const char *tag_add(struct dkim_tags *tags, struct postern_str spec)
{
    const char *equals = memchr(spec.p, '=', spec.len);
    struct dkim_tag *t = &tags->tag[tags->count];

    if (equals == NULL)
        return "tag without \"=\"";
    if (tags->count == DKIM_TAGS_MAX)
        return "too many tags";
    t->name = dkim_trim((struct postern_str){spec.p, (size_t)(equals - spec.p)});
    t->space = (struct postern_str){equals + 1, spec.len - (size_t)(equals + 1 - spec.p)};
    t->value = dkim_trim(t->space);
    if (!is_name(t->name))
        return "malformed tag name";
    if (!is_value(t->value))
        return "malformed tag value";
    for (size_t i = 0; i < tags->count; i++)
        if (tags->tag[i].name.len == t->name.len &&
            memcmp(tags->tag[i].name.p, t->name.p, t->name.len) == 0)
            return "tag given twice";
    tags->count++;
    return NULL;
}

const char *dkim_tags_parse(struct dkim_tags *tags, struct postern_str list, int lenient)
{
    tags->count = 0;
    while (list.len > 0) {
        const char *semicolon = memchr(list.p, ';', list.len);
        struct postern_str spec = list;
        const char *error;

        if (semicolon != NULL)
            spec.len = (size_t)(semicolon - list.p);
        list.p += spec.len + (semicolon != NULL);
        list.len -= spec.len + (semicolon != NULL);
        if (dkim_trim(spec).len == 0) {
            if (semicolon != NULL && !lenient)
                return "empty tag";
            continue;
        }
        error = tag_add(tags, spec);
        if (error != NULL)
            return error;
    }
    return NULL;
}

const struct dkim_tag *dkim_tag(const struct dkim_tags *tags, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < tags->count; i++)
        if (tags->tag[i].name.len == len && memcmp(tags->tag[i].name.p, name, len) == 0)
            return &tags->tag[i];
    return NULL;
}
