#include "message_invariants.h"

static uint32_t count_lines(struct pn_str s)
{
    uint32_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += s.p[i] == '\n';
    return n + (s.len > 0 && s.p[s.len - 1] != '\n');
}

static const char *check_fields(const struct pn_message *m, const struct pn_part *part)
{
    size_t count = 0;
    const struct pn_field *f = pn_part_fields(m, part, &count);
    uint32_t at = part->header;
    for (size_t i = 0; i < count; i++, f++) {
        if (f->at < at || f->value < f->at + f->name_len || f->end < f->value)
            return "fields overlap";
        if (f->end + f->eol > part->body)
            return "a field lies beyond its header";
        if ((f->name_len == 0) != ((f->flags & PN_FIELD_MALFORMED) != 0))
            return "no name, but not malformed";
        if (f->name_len != 0 && pn_field_line(m, f).len < f->name_len + 1U)
            return "a line too short for its name";
        at = f->end + f->eol;
    }
    return NULL;
}

static const char *check_place(const struct pn_message *m, const struct pn_part *part, size_t index)
{
    const struct pn_part *parent = pn_part_parent(m, part), *next = pn_part_next(m, part);
    if ((parent == NULL) != (index == 0))
        return "a part without parent";
    if (parent != NULL && (part->header < parent->body || part->end > parent->end ||
                           pn_part_index(m, parent) >= index || parent->kind == PN_PART_LEAF))
        return "a part outside its parent";
    if (parent != NULL && part->depth != parent->depth + 1)
        return "wrong depth";
    if (next != NULL && (next->parent != part->parent || pn_part_index(m, next) <= index ||
                         next->header < part->end))
        return "siblings out of order";
    return NULL;
}

static const char *check_part(const struct pn_message *m, const struct pn_part *part, size_t index)
{
    if (part->header > part->body || part->body > part->end ||
        part->end > pn_message_content(m).len)
        return "header, body and end out of order";
    if (part->kind == PN_PART_MULTIPART &&
        (part->preamble_end < part->body || part->epilogue > part->end ||
         part->preamble_end > pn_message_content(m).len))
        return "preamble or epilogue outside the body";
    if (part->kind == PN_PART_LEAF && part->children != 0)
        return "a leaf with children";
    if (part->kind == PN_PART_LEAF && part->lines != count_lines(pn_part_body(m, part)))
        return "lines miscounted";
    size_t children = 0;
    for (const struct pn_part *c = pn_part_child(m, part); c != NULL; c = pn_part_next(m, c))
        children++;
    if (children != part->children)
        return "children miscounted";
    if (pn_part_type(m, part).len == 0 || pn_part_subtype(m, part).len == 0)
        return "no type";
    const char *wrong = check_fields(m, part);
    return wrong != NULL ? wrong : check_place(m, part, index);
}

const char *message_invariants(const struct pn_message *m, const struct pn_message_limits *limits)
{
    size_t fields = 0, parts = pn_message_parts(m);
    if (parts > limits->parts)
        return "too many parts";
    for (size_t i = 0; i < parts; i++) {
        const struct pn_part *part = pn_message_part(m, i);
        const char *wrong = check_part(m, part, i);
        if (wrong != NULL)
            return wrong;
        if (part->depth > limits->depth)
            return "too deep";
        fields += part->fields;
    }
    /* Container lines by count, but for few parts only: nested ones would be quadratic. */
    for (size_t i = 0; i < parts && parts < 50; i++)
        if (pn_message_part(m, i)->lines != count_lines(pn_part_body(m, pn_message_part(m, i))))
            return "lines of a container miscounted";
    return fields > limits->fields ? "too many fields" : NULL;
}
