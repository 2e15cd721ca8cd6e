#include "assert.h"
#include "lex.h"
#include "mem.h"
#include "message_priv.h"
#include "param_priv.h"

static bool is_named(const struct pn_message *m, const struct pn_field *f, struct pn_str name)
{
    return f->name_len == name.len && pn_str_ieq(pn_field_name(m, f), name);
}

static void note_field(struct pn_part *part, int32_t *slot, size_t index)
{
    if (*slot == PN_NO_FIELD)
        *slot = (int32_t)index;
    else
        part->flags |= PN_PART_REPEATED;
}

/* Finds the three fields that matter; *encoding gets the index of the transfer encoding. */
static void find_fields(const struct pn_message *m, struct pn_part *part, int32_t *encoding)
{
    *encoding = PN_NO_FIELD;
    for (size_t i = part->first_field; i < part->first_field + part->fields; i++) {
        const struct pn_field *f = &m->fields[i];
        if (f->name_len < 12 || pn_lower(m->content.p[f->at]) != 'c')
            continue;
        if (is_named(m, f, PN_STR("Content-Type")))
            note_field(part, &part->content_type, i);
        else if (is_named(m, f, PN_STR("Content-Transfer-Encoding")))
            note_field(part, encoding, i);
        else if (is_named(m, f, PN_STR("Content-Disposition")))
            note_field(part, &part->disposition, i);
    }
}

/* RFC 2045, section 5.1: type "/" subtype, comments allowed around both. */
static void read_type(const struct pn_message *m, struct pn_part *part)
{
    if (part->content_type == PN_NO_FIELD)
        return;
    const struct pn_field *f = &m->fields[part->content_type];
    struct pn_str v = pn_field_value(m, f);
    size_t type = lex_cfws(v, 0), type_end = lex_token(v, type);
    size_t slash = lex_cfws(v, type_end), sub = slash, sub_end = slash;
    if (slash < v.len && v.p[slash] == '/') {
        sub = lex_cfws(v, slash + 1);
        sub_end = lex_token(v, sub);
    }
    bool multipart = pn_str_ieq(pn_str_slice(v, type, type_end), PN_STR("multipart"));
    bool whole = type_end > type && sub_end > sub && type_end - type <= UINT8_MAX &&
                 sub_end - sub <= UINT8_MAX;
    if (!whole)
        part->flags |= PN_PART_BAD_TYPE;
    if (!whole && !multipart)
        return;
    part->type_at = f->value + (uint32_t)type;
    part->type_len = (uint8_t)(type_end - type);
    part->subtype_at = f->value + (uint32_t)sub;
    part->subtype_len = whole ? (uint8_t)(sub_end - sub) : 0;
}

static enum pn_encoding encoding_of(struct pn_str word)
{
    static const struct {
        struct pn_str word;
        enum pn_encoding encoding;
    } rows[] = {
        {PN_STR_INIT("7bit"), PN_ENCODING_7BIT},
        {PN_STR_INIT("8bit"), PN_ENCODING_8BIT},
        {PN_STR_INIT("binary"), PN_ENCODING_BINARY},
        {PN_STR_INIT("quoted-printable"), PN_ENCODING_QUOTED_PRINTABLE},
        {PN_STR_INIT("base64"), PN_ENCODING_BASE64},
        {PN_STR_INIT("x-uuencode"), PN_ENCODING_UUENCODE},
        {PN_STR_INIT("x-uue"), PN_ENCODING_UUENCODE},
        {PN_STR_INIT("uuencode"), PN_ENCODING_UUENCODE},
        {PN_STR_INIT("7-bit"), PN_ENCODING_7BIT}, /* seen; no RFC has them */
        {PN_STR_INIT("8-bit"), PN_ENCODING_8BIT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (pn_str_ieq(word, rows[i].word))
            return rows[i].encoding;
    return PN_ENCODING_UNKNOWN;
}

static void read_encoding(const struct pn_message *m, struct pn_part *part, int32_t field)
{
    if (field == PN_NO_FIELD)
        return;
    struct pn_str v = pn_field_value(m, &m->fields[field]), word;
    size_t at = lex_cfws(v, 0);
    if (at < v.len && v.p[at] == '"')
        (void)lex_quoted(v, at, &word, NULL);
    else
        word = pn_str_slice(v, at, lex_token(v, at));
    part->encoding = (uint8_t)encoding_of(word);
    if (part->encoding == PN_ENCODING_UNKNOWN)
        part->flags |= PN_PART_BAD_ENCODING;
}

/* The boundary that a multipart names, in a buffer of the caller's; empty if none. */
static struct pn_str read_boundary(const struct pn_message *m, const struct pn_part *part,
                                   struct pn_buf *out)
{
    struct pn_str charset;
    if (part->content_type == PN_NO_FIELD ||
        !param_bytes(pn_field_value(m, &m->fields[part->content_type]), PN_STR("boundary"), out,
                     &charset))
        return PN_STR("");
    /* Blanks can't end one: where transport added them to a line they are dropped. */
    while (out->len > 0 && lex_blank(out->p[out->len - 1]))
        out->len--;
    return pn_buf_str(out);
}

static void push_level(struct pn_message *m, size_t part, struct pn_str boundary)
{
    pn_assert(m->level_count <= m->limits.depth);
    if (boundary.len != 0)
        boundaries_push(&m->boundaries, boundary, (int32_t)m->level_count);
    m->levels[m->level_count++] = (struct mime_level){
        .part = (int32_t)part, .last_child = PN_NO_PART, .open = boundary.len != 0};
}

/* From here on its boundary counts no more. */
static void close_level(struct pn_message *m, struct mime_level *level)
{
    if (level->open)
        boundaries_pop(&m->boundaries);
    level->open = false;
}

/*
 * Which open multipart does the line delimit? SIZE_MAX: none. RFC 2046, section 5.1.1
 * and 5.1.2: markers of outer levels count at any level of inner nesting, and a line
 * need only begin with the boundary. So the longest boundary that it begins with is meant,
 * of equal ones the innermost. Most readers want the whole line; such a line is flagged.
 */
static size_t match(struct pn_message *m, struct pn_str line, bool *closing)
{
    struct pn_str text = pn_str_slice(line, 2, line.len - scan_eol(line));
    size_t len = 0;
    if (text.len == 0 || line.p[0] != '-' || line.p[1] != '-')
        return SIZE_MAX;
    int32_t level = boundaries_match(&m->boundaries, text, &len);
    if (level < 0)
        return SIZE_MAX;
    struct pn_str rest = pn_str_slice(text, len, text.len);
    *closing = pn_str_starts(rest, PN_STR("--"));
    if (pn_str_trim(pn_str_slice(rest, *closing ? 2 : 0, rest.len)).len != 0)
        m->parts[m->levels[level].part].flags |= PN_PART_NEAR_BOUNDARY;
    return (size_t)level;
}

static bool is_delimiter(struct pn_message *m, struct pn_str line)
{
    bool closing = false;
    return match(m, line, &closing) != SIZE_MAX;
}

static enum pn_part_kind kind_of(struct pn_message *m, struct pn_part *part)
{
    bool message = pn_part_is(m, part, PN_STR("message"), PN_STR("rfc822")) ||
                   pn_part_is(m, part, PN_STR("message"), PN_STR("global")) ||
                   pn_part_is(m, part, PN_STR("message"), PN_STR("news"));
    bool multipart = pn_part_is(m, part, PN_STR("multipart"), PN_STR(""));
    if (!message && !multipart)
        return PN_PART_LEAF;
    bool encoded = part->encoding > PN_ENCODING_BINARY;
    if (encoded)
        part->flags |= PN_PART_BAD_ENCODING;
    if (part->depth >= m->limits.depth) {
        part->flags |= PN_PART_TOO_DEEP;
        return PN_PART_LEAF;
    }
    if (message)
        return encoded ? PN_PART_LEAF : PN_PART_MESSAGE;
    return PN_PART_MULTIPART;
}

/* Types the part whose header was read, and opens a level or makes it the leaf. */
static void enter(struct pn_message *m, size_t index)
{
    struct pn_part *part = &m->parts[index];
    int32_t encoding = PN_NO_FIELD;
    find_fields(m, part, &encoding);
    read_type(m, part);
    read_encoding(m, part, encoding);
    part->kind = (uint8_t)kind_of(m, part);
    part->lines = m->lines;
    struct pn_buf bytes;
    pn_buf_init(&bytes, BOUNDARY_MAX);
    struct pn_str boundary =
        part->kind == PN_PART_MULTIPART ? read_boundary(m, part, &bytes) : PN_STR("");
    if (part->kind == PN_PART_MULTIPART) {
        if (boundary.len == 0)
            part->kind = PN_PART_LEAF;
        part->flags |=
            boundary.len == 0 ? PN_PART_NO_BOUNDARY : PN_PART_NO_DELIMITER | PN_PART_NO_END;
    }
    m->leaf = part->kind == PN_PART_LEAF ? (int32_t)index : PN_NO_PART;
    if (part->kind != PN_PART_LEAF)
        push_level(m, index, boundary);
    pn_buf_fini(&bytes);
}

/* A part below the innermost level, its header read; -1 at the limit. */
static int32_t add_part(struct pn_message *m, uint32_t at)
{
    struct mime_level *level = &m->levels[m->level_count - 1];
    struct pn_part *parent = &m->parts[level->part];
    m->leaf = PN_NO_PART;
    if (m->part_count >= m->limits.parts) {
        parent->flags |= PN_PART_TOO_MANY;
        return PN_NO_PART;
    }
    int32_t index = (int32_t)m->part_count;
    parent->children++;
    if (level->last_child != PN_NO_PART)
        m->parts[level->last_child].next = index;
    level->last_child = index;
    uint8_t depth = (uint8_t)(parent->depth + 1);
    m->parts = pn_grow(m->parts, &m->part_cap, m->part_count++, sizeof *m->parts);
    m->parts[index] = (struct pn_part){.parent = level->part,
                                       .next = PN_NO_PART,
                                       .content_type = PN_NO_FIELD,
                                       .disposition = PN_NO_FIELD,
                                       .header = at,
                                       .depth = depth};
    header_read(m, &m->parts[index], is_delimiter);
    return index;
}

/* Opens parts from `at` on until one is no message; returns where its body begins. */
static uint32_t open_part(struct pn_message *m, uint32_t at)
{
    for (;;) {
        int32_t index = add_part(m, at);
        if (index == PN_NO_PART)
            return at;
        enter(m, (size_t)index);
        at = m->parts[index].body;
        if (m->parts[index].kind != PN_PART_MESSAGE)
            return at;
    }
}

/* lines: line ends before `end`. */
static void close_part(struct pn_message *m, struct pn_part *part, uint32_t end, uint32_t lines)
{
    pn_assert(end >= part->body);
    part->end = end;
    part->lines = end == part->body ? 0 : lines - part->lines;
    part->lines += end > part->body && m->content.p[end - 1] != '\n';
    if (part->kind == PN_PART_MULTIPART && part->flags & PN_PART_NO_DELIMITER)
        part->preamble_end = end;
    /* A closing delimiter line may end where the next one begins: its line end is theirs. */
    if (part->kind == PN_PART_MULTIPART && (part->flags & PN_PART_NO_END || part->epilogue > end))
        part->epilogue = end;
}

/* Closes the leaf and all levels above `keep`. */
static void close_above(struct pn_message *m, size_t keep, uint32_t end, uint32_t lines)
{
    if (m->leaf != PN_NO_PART)
        close_part(m, &m->parts[m->leaf], end, lines);
    m->leaf = PN_NO_PART;
    while (m->level_count > keep) {
        struct mime_level *level = &m->levels[--m->level_count];
        close_part(m, &m->parts[level->part], end, lines);
        close_level(m, level);
    }
}

/* The delimiter line of `level`: returns where reading goes on. */
static uint32_t delimit(struct pn_message *m, size_t level, bool closing, struct pn_str line)
{
    uint32_t at = (uint32_t)(line.p - m->content.p);
    size_t eol = scan_eol(pn_str_slice(m->content, 0, at));
    /* The line end before a delimiter is part of it, but not where a header just used it. */
    if (m->parts[m->part_count - 1].body == at)
        eol = 0;
    close_above(m, level + 1, at - (uint32_t)eol, m->lines - (eol != 0));
    struct pn_part *part = &m->parts[m->levels[level].part];
    if (part->flags & PN_PART_NO_DELIMITER)
        part->preamble_end = at;
    part->flags &= (uint16_t)~PN_PART_NO_DELIMITER;
    at += (uint32_t)line.len;
    m->lines += scan_eol(line) != 0;
    if (!closing) /* one that ends the content begins nothing */
        return at < m->content.len ? open_part(m, at) : at;
    part->flags &= (uint16_t)~PN_PART_NO_END;
    part->epilogue = at;
    close_level(m, &m->levels[level]);
    return at;
}

static void read_tree(struct pn_message *m, uint32_t at)
{
    const char *base = m->content.p, *end = base + m->content.len, *p = base + at;
    while ((p = scan_dashes(p, end, &m->lines)) != end) {
        struct pn_str line = scan_line(p, end);
        bool closing = false;
        size_t level = match(m, line, &closing);
        if (level != SIZE_MAX) {
            p = base + delimit(m, level, closing, line);
        } else {
            m->lines += scan_eol(line) != 0;
            p += line.len;
        }
    }
    close_above(m, 0, (uint32_t)m->content.len, m->lines);
}

void pn_message_mime(struct pn_message *m)
{
    if (m->mime)
        return;
    m->mime = true;
    if (m->levels == NULL)
        m->levels = pn_calloc(m->limits.depth + 1U, sizeof *m->levels);
    m->level_count = 0;
    enter(m, 0);
    uint32_t at = m->parts[0].body;
    if (m->parts[0].kind == PN_PART_MESSAGE)
        at = open_part(m, at);
    read_tree(m, at);
}
