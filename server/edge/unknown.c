/* Commands of the client's that are none of ours: kept for the plugins. */
#include "edge.h"

#include "mem.h"

#include <stdlib.h>

static uint32_t kept(const struct session *s)
{
    return s->unknown_count < POSTERN_UNKNOWN_MAX ? s->unknown_count : POSTERN_UNKNOWN_MAX;
}

void unknown_note(struct session *s, struct pn_str line)
{
    struct pn_str head = pn_str_slice(line, 0, POSTERN_UNKNOWN_BYTES);
    if (s->unknown_count < POSTERN_UNKNOWN_MAX)
        s->unknown[s->unknown_count] = pn_strndup(head.p, head.len);
    s->unknown_count++;
    if (s->check != NULL)
        pn_check_unknown(s->check, head, PN_CHECK_NOW);
}

void unknown_helo(struct session *s)
{
    s->unknown_before_helo = kept(s);
}

void unknown_tell(const struct session *s, bool before_helo)
{
    uint32_t from = before_helo ? 0 : s->unknown_before_helo;
    uint32_t to = before_helo ? s->unknown_before_helo : kept(s);
    for (uint32_t i = from; i < to; i++)
        pn_check_unknown(s->check, pn_str_of(s->unknown[i]), PN_CHECK_NOW);
}

void unknown_forget(struct session *s)
{
    for (uint32_t i = 0; i < kept(s); i++)
        free(s->unknown[i]);
    s->unknown_count = s->unknown_before_helo = 0;
}
