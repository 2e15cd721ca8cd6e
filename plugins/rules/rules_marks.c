#include "rules_marks.h"

#include <stdlib.h>
#include <string.h>

bool rules_marks_init(struct rules_marks *m, size_t rules)
{
    *m = (struct rules_marks){.rule = calloc(rules + 1, sizeof(*m->rule)),
                              .marked = calloc(rules + 1, sizeof(*m->marked))};
    return m->rule != NULL && m->marked != NULL;
}

void rules_marks_fini(struct rules_marks *m)
{
    free(m->mark);
    free(m->rule);
    free(m->marked);
    *m = (struct rules_marks){.count = 0};
}

void rules_marks_reset(struct rules_marks *m)
{
    m->count = 0;
    while (m->marked_count > 0)
        m->rule[m->marked[--m->marked_count]] = (struct rules_marked){.first = 0};
}

static bool has_room(struct rules_marks *m)
{
    size_t room = m->room == 0 ? 1024 : m->room * 2;
    struct rules_mark *p;

    if (m->count < m->room)
        return true;
    p = room > RULES_MARKS_MAX ? NULL : realloc(m->mark, room * sizeof(*p));
    if (p == NULL)
        return false;
    m->mark = p;
    m->room = room;
    return true;
}

void rules_marks_add(struct rules_marks *m, uint32_t rule, size_t at, size_t reach)
{
    struct rules_marked *r = &m->rule[rule];

    if (r->everywhere)
        return;
    if (r->count == 0)
        m->marked[m->marked_count++] = rule;
    if (r->count == RULES_MARKS_OF_RULE || !has_room(m)) {
        r->everywhere = true;
        return;
    }
    m->mark[m->count++] = (struct rules_mark){(uint32_t)at, 0};
    if (r->first == 0)
        r->first = (uint32_t)m->count;
    else
        m->mark[r->last - 1].next = (uint32_t)m->count;
    r->last = (uint32_t)m->count;
    r->count++;
    if (reach > r->reach)
        r->reach = (uint32_t)reach;
}
