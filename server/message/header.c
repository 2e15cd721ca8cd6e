#include "mem.h"
#include "message_priv.h"

/*
 * Where the reading of one header stands. A run is one or more lines that are no
 * fields: it becomes a malformed field once a right one follows, and the beginning of
 * the body otherwise.
 */
struct header_state {
    struct pn_message *m;
    struct pn_part *part;
    size_t max;             /* fields that may be kept in all */
    struct pn_field *field; /* the last one kept; NULL while none, or past max */
    bool any;               /* a line came that a continuation line could belong to */
    bool in_run;
    struct pn_field run;
    uint32_t run_lines; /* line ends before the run */
};

size_t header_name_length(struct pn_str line, size_t *colon)
{
    size_t n = 0;
    while (n < line.len && line.p[n] > ' ' && line.p[n] < 127 && line.p[n] != ':')
        n++;
    size_t at = n;
    while (at < line.len && (line.p[at] == ' ' || line.p[at] == '\t'))
        at++;
    if (at >= line.len || line.p[at] != ':' || n > UINT16_MAX)
        return 0;
    *colon = at;
    return n;
}

static void keep(struct header_state *s, const struct pn_field *field)
{
    struct pn_message *m = s->m;
    s->field = NULL;
    if (m->field_count >= s->max) {
        s->part->flags |= PN_PART_FIELDS_CUT;
        return;
    }
    m->fields = pn_grow(m->fields, &m->field_cap, m->field_count, sizeof *m->fields);
    s->field = &m->fields[m->field_count++];
    *s->field = *field;
    s->part->fields++;
}

static void begin_field(struct header_state *s, struct pn_str line, size_t name_len, size_t colon,
                        size_t eol)
{
    uint32_t at = (uint32_t)(line.p - s->m->content.p);
    if (s->in_run)
        keep(s, &s->run);
    s->in_run = false;
    struct pn_field field = {.at = at,
                             .value = at + (uint32_t)colon + 1,
                             .end = at + (uint32_t)(line.len - eol),
                             .name_len = (uint16_t)name_len,
                             .eol = (uint8_t)eol};
    keep(s, &field);
}

static void add_to_run(struct header_state *s, struct pn_str line, size_t eol)
{
    uint32_t at = (uint32_t)(line.p - s->m->content.p);
    if (!s->in_run) {
        s->run = (struct pn_field){.at = at, .value = at, .flags = PN_FIELD_MALFORMED};
        s->run_lines = s->m->lines;
    }
    s->in_run = true;
    s->run.end = at + (uint32_t)(line.len - eol);
    s->run.eol = (uint8_t)eol;
}

static void continue_line(struct header_state *s, struct pn_str line, size_t eol)
{
    if (s->in_run || !s->any) {
        add_to_run(s, line, eol);
    } else if (s->field != NULL) {
        s->field->end = (uint32_t)(line.p - s->m->content.p + (ptrdiff_t)(line.len - eol));
        s->field->eol = (uint8_t)eol;
    }
}

/* False: the line belongs to the body, though no empty line came. "--" begins no field that
 * anybody writes, but where the empty line was forgotten it begins the first part. */
static bool add_line(struct header_state *s, struct pn_str line, size_t eol)
{
    size_t colon = 0;
    if (line.p[0] == ' ' || line.p[0] == '\t') {
        continue_line(s, line, eol);
    } else {
        size_t name_len = header_name_length(line, &colon);
        if (name_len == 0 && pn_str_starts(line, PN_STR("--")))
            return false;
        if (name_len == 0)
            add_to_run(s, line, eol);
        else
            begin_field(s, line, name_len, colon, eol);
    }
    s->any = true;
    return true;
}

void header_read(struct pn_message *m, struct pn_part *part,
                 bool (*is_delimiter)(struct pn_message *m, struct pn_str line))
{
    struct header_state s = {.m = m, .part = part, .max = m->limits.fields};
    const char *end = m->content.p + m->content.len, *p = m->content.p + part->header;
    bool empty = false;
    if (part->parent == PN_NO_PART)
        s.max -= s.max / 2;
    part->first_field = (uint32_t)m->field_count;
    while (p != end && !empty) {
        struct pn_str line = scan_line(p, end);
        size_t eol = scan_eol(line);
        empty = line.len == eol;
        if (empty && s.in_run)
            break;
        if (!empty && is_delimiter != NULL && is_delimiter(m, line))
            break;
        if (!empty && !add_line(&s, line, eol))
            break;
        m->lines += eol != 0;
        p += line.len;
    }
    if (s.in_run || !empty)
        part->flags |= PN_PART_HEADER_CUT;
    if (s.in_run)
        m->lines = s.run_lines;
    part->body = s.in_run ? s.run.at : (uint32_t)(p - m->content.p);
}
