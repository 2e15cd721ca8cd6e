#include "message.h"

#include "assert.h"
#include "mem.h"
#include "message_priv.h"

#include <stdlib.h>

const struct pn_message_limits pn_message_limits_default = {
    .fields = 20000, .parts = 10000, .depth = 100};

static void read_header(struct pn_message *m)
{
    m->field_count = 0;
    m->part_count = 1;
    m->lines = 0;
    m->mime = false;
    m->parts[0] = (struct pn_part){.parent = PN_NO_PART,
                                   .next = PN_NO_PART,
                                   .content_type = PN_NO_FIELD,
                                   .disposition = PN_NO_FIELD,
                                   .end = (uint32_t)m->content.len};
    header_read(m, &m->parts[0], NULL);
}

struct pn_message *pn_message_new(struct pn_str content, const struct pn_message_limits *limits)
{
    if (content.len >= UINT32_MAX)
        return NULL;
    struct pn_message *m = pn_calloc(1, sizeof *m);
    m->limits = limits == NULL ? pn_message_limits_default : *limits;
    if (m->limits.parts == 0)
        m->limits.parts = 1;
    if (m->limits.parts > INT32_MAX)
        m->limits.parts = INT32_MAX;
    if (m->limits.depth > PN_MESSAGE_DEPTH_MAX)
        m->limits.depth = PN_MESSAGE_DEPTH_MAX;
    m->field_cap = m->limits.fields < 64 ? m->limits.fields : 64;
    m->fields = m->field_cap == 0 ? NULL : pn_calloc(m->field_cap, sizeof *m->fields);
    m->part_cap = 1;
    m->parts = pn_calloc(m->part_cap, sizeof *m->parts);
    boundaries_init(&m->boundaries);
    m->content = content.p == NULL ? PN_STR("") : content;
    read_header(m);
    return m;
}

bool pn_message_reset(struct pn_message *m, struct pn_str content)
{
    if (content.len >= UINT32_MAX)
        return false;
    m->content = content.p == NULL ? PN_STR("") : content;
    read_header(m);
    return true;
}

void pn_message_free(struct pn_message **m)
{
    if (*m == NULL)
        return;
    free((*m)->fields);
    free((*m)->parts);
    free((*m)->levels);
    boundaries_fini(&(*m)->boundaries);
    free(*m);
    *m = NULL;
}

static struct pn_str range(const struct pn_message *m, uint32_t from, uint32_t to)
{
    pn_assert(from <= to && to <= m->content.len);
    return pn_str_slice(m->content, from, to);
}

struct pn_str pn_message_content(const struct pn_message *m)
{
    return m->content;
}

struct pn_str pn_message_body(const struct pn_message *m)
{
    return range(m, m->parts[0].body, (uint32_t)m->content.len);
}

struct pn_str pn_message_eol(const struct pn_message *m)
{
    struct pn_str line = scan_line(m->content.p, m->content.p + m->content.len);
    return scan_eol(line) == 1 ? PN_STR("\n") : PN_STR("\r\n");
}

size_t pn_message_parts(const struct pn_message *m)
{
    return m->part_count;
}

const struct pn_part *pn_message_part(const struct pn_message *m, size_t index)
{
    pn_assert(index < m->part_count);
    return &m->parts[index];
}

size_t pn_part_index(const struct pn_message *m, const struct pn_part *part)
{
    pn_assert(part >= m->parts && part < m->parts + m->part_count);
    return (size_t)(part - m->parts);
}

const struct pn_part *pn_part_parent(const struct pn_message *m, const struct pn_part *part)
{
    return part->parent == PN_NO_PART ? NULL : &m->parts[part->parent];
}

const struct pn_part *pn_part_child(const struct pn_message *m, const struct pn_part *part)
{
    return part->children == 0 ? NULL : &m->parts[pn_part_index(m, part) + 1];
}

const struct pn_part *pn_part_next(const struct pn_message *m, const struct pn_part *part)
{
    return part->next == PN_NO_PART ? NULL : &m->parts[part->next];
}

static bool in_digest(const struct pn_message *m, const struct pn_part *part)
{
    const struct pn_part *parent = pn_part_parent(m, part);
    return parent != NULL && parent->kind == PN_PART_MULTIPART &&
           pn_str_ieq(pn_part_subtype(m, parent), PN_STR("digest"));
}

struct pn_str pn_part_type(const struct pn_message *m, const struct pn_part *part)
{
    if (part->type_len != 0)
        return range(m, part->type_at, part->type_at + part->type_len);
    return in_digest(m, part) ? PN_STR("message") : PN_STR("text");
}

struct pn_str pn_part_subtype(const struct pn_message *m, const struct pn_part *part)
{
    if (part->subtype_len != 0)
        return range(m, part->subtype_at, part->subtype_at + part->subtype_len);
    if (part->type_len != 0)
        return PN_STR("mixed"); /* only "multipart" is kept without a subtype */
    return in_digest(m, part) ? PN_STR("rfc822") : PN_STR("plain");
}

bool pn_part_is(const struct pn_message *m, const struct pn_part *part, struct pn_str type,
                struct pn_str subtype)
{
    return pn_str_ieq(pn_part_type(m, part), type) &&
           (subtype.len == 0 || pn_str_ieq(pn_part_subtype(m, part), subtype));
}

struct pn_str pn_part_header(const struct pn_message *m, const struct pn_part *part)
{
    return range(m, part->header, part->body);
}

struct pn_str pn_part_body(const struct pn_message *m, const struct pn_part *part)
{
    return range(m, part->body, part->end);
}

const struct pn_field *pn_part_fields(const struct pn_message *m, const struct pn_part *part,
                                      size_t *count)
{
    if (part == NULL)
        part = &m->parts[0];
    *count = part->fields;
    return part->fields == 0 ? NULL : m->fields + part->first_field;
}

struct pn_str pn_field_name(const struct pn_message *m, const struct pn_field *field)
{
    return range(m, field->at, field->at + field->name_len);
}

struct pn_str pn_field_value(const struct pn_message *m, const struct pn_field *field)
{
    return range(m, field->value, field->end);
}

struct pn_str pn_field_line(const struct pn_message *m, const struct pn_field *field)
{
    return range(m, field->at, field->end + field->eol);
}

static bool named(const struct pn_message *m, const struct pn_field *field, struct pn_str name)
{
    return field->name_len == name.len && name.len != 0 &&
           pn_str_ieq(pn_field_name(m, field), name);
}

const struct pn_field *pn_field_find(const struct pn_message *m, const struct pn_part *part,
                                     struct pn_str name, int nth)
{
    size_t count = 0;
    const struct pn_field *fields = pn_part_fields(m, part, &count);
    for (size_t i = 0; i < count && nth > 0; i++)
        if (named(m, &fields[i], name) && --nth == 0)
            return &fields[i];
    for (size_t i = count; i > 0 && nth < 0; i--)
        if (named(m, &fields[i - 1], name) && ++nth == 0)
            return &fields[i - 1];
    return NULL;
}

const struct pn_field *pn_field_next(const struct pn_message *m, const struct pn_part *part,
                                     struct pn_str name, const struct pn_field *prev)
{
    size_t count = 0;
    const struct pn_field *fields = pn_part_fields(m, part, &count);
    for (size_t i = prev == NULL ? 0 : (size_t)(prev - fields) + 1; i < count; i++)
        if (named(m, &fields[i], name))
            return &fields[i];
    return NULL;
}

size_t pn_field_count(const struct pn_message *m, const struct pn_part *part, struct pn_str name)
{
    size_t n = 0;
    const struct pn_field *field = NULL;
    while ((field = pn_field_next(m, part, name, field)) != NULL)
        n++;
    return n;
}
