#include "dkim_message.h"

#include "dkim_text.h"

#include <stdlib.h>

struct postern_str dkim_field_name(const struct dkim_field *f)
{
    return (struct postern_str){f->raw.p, f->name_len};
}

struct postern_str dkim_field_value(const struct dkim_field *f)
{
    return (struct postern_str){f->raw.p + f->colon + 1, f->raw.len - f->colon - 1};
}

/* Takes the next line with the folded ones behind it off *rest, without its line end. */
static struct postern_str next_field(struct postern_str *rest)
{
    struct postern_str field = {rest->p, 0};

    for (;;) {
        const char *lf = memchr(rest->p, '\n', rest->len);
        size_t line = lf == NULL ? rest->len : (size_t)(lf + 1 - rest->p);

        field.len += line;
        rest->p += line;
        rest->len -= line;
        if (rest->len == 0 || !dkim_is_wsp(rest->p[0]))
            break;
    }
    if (field.len > 0 && field.p[field.len - 1] == '\n')
        field.len--;
    if (field.len > 0 && field.p[field.len - 1] == '\r')
        field.len--;
    return field;
}

static bool field_read(struct dkim_field *f, struct postern_str raw)
{
    const char *colon = memchr(raw.p, ':', raw.len);
    size_t n;

    if (colon == NULL || raw.len > UINT32_MAX)
        return false;
    n = (size_t)(colon - raw.p);
    f->raw = raw;
    f->colon = (uint32_t)n;
    f->above = DKIM_NO_FIELD;
    while (n > 0 && dkim_is_wsp(raw.p[n - 1]))
        n--;
    f->name_len = (uint32_t)n;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)raw.p[i] <= ' ' || raw.p[i] == 0x7f)
            return false;
    return n > 0;
}

/* By length, then by bytes. A hash would be quicker for the few fields of most mail, and a
 * stranger would choose 4,000 long names that it throws together. */
static int name_order(struct postern_str a, struct postern_str b)
{
    if (a.len != b.len)
        return a.len < b.len ? -1 : 1;
    for (size_t i = 0; i < a.len; i++) {
        unsigned char x = (unsigned char)dkim_lower(a.p[i]);
        unsigned char y = (unsigned char)dkim_lower(b.p[i]);

        if (x != y)
            return x < y ? -1 : 1;
    }
    return 0;
}

/* Of one name the upper field first. */
static int field_order(const void *a, const void *b)
{
    const struct dkim_field *x = *(struct dkim_field *const *)a;
    const struct dkim_field *y = *(struct dkim_field *const *)b;
    int order = name_order(dkim_field_name(x), dkim_field_name(y));

    return order != 0 ? order : x < y ? -1 : x > y;
}

size_t dkim_message_name(const struct dkim_message *m, struct postern_str name)
{
    size_t from = 0;
    size_t to = m->names;

    while (from < to) {
        size_t at = from + (to - from) / 2;
        int order = name_order(name, dkim_field_name(&m->fields[m->lowest[at]]));

        if (order == 0)
            return at;
        if (order < 0)
            to = at;
        else
            from = at + 1;
    }
    return m->names;
}

/* Chains the fields of each name from the lowest up: that is the order in which a
 * signature takes them (RFC 6376, section 5.4.2). */
static int chain(struct dkim_message *m)
{
    struct dkim_field **sorted = malloc(m->count * sizeof(struct dkim_field *));

    m->lowest = malloc((m->count + 1) * sizeof(*m->lowest));
    if (sorted == NULL || m->lowest == NULL) {
        free(sorted);
        return -1;
    }
    for (size_t i = 0; i < m->count; i++)
        sorted[i] = &m->fields[i];
    qsort(sorted, m->count, sizeof(struct dkim_field *), field_order);
    for (size_t i = 0; i < m->count; i++) {
        bool first =
            i == 0 || name_order(dkim_field_name(sorted[i - 1]), dkim_field_name(sorted[i])) != 0;

        m->names += first;
        sorted[i]->above = first ? DKIM_NO_FIELD : m->lowest[m->names - 1];
        m->lowest[m->names - 1] = (int32_t)(sorted[i] - m->fields);
    }
    m->lowest[m->names] = DKIM_NO_FIELD;
    free(sorted);
    return 0;
}

static int grow(struct dkim_message *m, size_t *room)
{
    size_t want = *room == 0 ? 64 : *room * 2;
    struct dkim_field *p = realloc(m->fields, want * sizeof(*p));

    if (p == NULL)
        return -1;
    m->fields = p;
    *room = want;
    return 0;
}

int dkim_message_read(struct dkim_message *m, struct postern_str header, struct postern_str body)
{
    size_t room = 0;

    *m = (struct dkim_message){.body = body};
    while (header.len > 0) {
        struct postern_str raw = next_field(&header);
        struct dkim_field f;

        if (raw.len == 0 || !field_read(&f, raw))
            continue;
        if (m->count == DKIM_FIELDS_MAX) {
            m->truncated = true;
            break;
        }
        if (m->count == room && grow(m, &room) != 0)
            goto fail;
        m->fields[m->count++] = f;
        m->froms += dkim_ieq(dkim_field_name(&f), POSTERN_STR("From"));
        m->signatures += dkim_ieq(dkim_field_name(&f), POSTERN_STR("DKIM-Signature"));
    }
    if (m->signatures == 0 || chain(m) == 0)
        return 0;
fail:
    dkim_message_fini(m);
    return -1;
}

void dkim_message_fini(struct dkim_message *m)
{
    free(m->fields);
    free(m->lowest);
    *m = (struct dkim_message){.count = 0};
}
