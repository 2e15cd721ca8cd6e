#include "section_priv.h"

/* What a number means depends on where one stands: in a message, or at a part of one. A message
 * that is no multipart has one part, its body (RFC 9051, section 6.4.5.1). */
static const struct pn_part *nth_child(const struct pn_message *m, const struct pn_part *part,
                                       uint32_t n)
{
    const struct pn_part *child = n <= part->children ? pn_part_child(m, part) : NULL;
    while (child != NULL && --n > 0)
        child = pn_part_next(m, child);
    return child;
}

/* Says multipart, but has no parts: structure.h gives it one, of its whole body. */
static bool is_broken_multipart(const struct pn_message *m, const struct pn_part *part)
{
    return part->children == 0 && pn_part_is(m, part, PN_STR("multipart"), PN_STR(""));
}

struct step {
    const struct pn_part *part;
    bool in_message; /* the next number counts in the message `part`, not from its body */
    bool made_up;    /* the one part of a broken multipart, which has no header */
};

static bool take_step(const struct pn_message *m, struct step *s, uint32_t n)
{
    const struct pn_part *part = s->part;
    if (s->made_up)
        return false;
    if (!s->in_message && part->kind == PN_PART_MESSAGE && part->children != 0)
        part = pn_part_child(m, part);
    else if (!s->in_message && part->kind != PN_PART_MULTIPART && !is_broken_multipart(m, part))
        return false;
    s->in_message = false;
    s->part = part;
    if (is_broken_multipart(m, part)) {
        s->made_up = true;
        return n == 1;
    }
    if (part->kind != PN_PART_MULTIPART)
        return n == 1;
    s->part = nth_child(m, part, n);
    return s->part != NULL;
}

bool section_find(struct pn_message *m, const struct pn_section *section, struct section_place *out)
{
    *out = (struct section_place){.part = pn_message_part(m, 0)};
    if (section->depth == 0)
        return true;
    pn_message_mime(m);
    struct step s = {.part = pn_message_part(m, 0), .in_message = true};
    for (unsigned i = 0; i < section->depth; i++)
        if (!take_step(m, &s, section->path[i]))
            return false;
    out->part = s.part;
    out->made_up = s.made_up;
    bool of_message = section->what != PN_SECTION_ALL && section->what != PN_SECTION_MIME;
    if (!of_message)
        return true;
    if (s.made_up || s.part->kind != PN_PART_MESSAGE || s.part->children == 0)
        return false;
    out->part = pn_part_child(m, s.part);
    return true;
}
