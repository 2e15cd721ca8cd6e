/* Inside the message folder only: which part a section's path leads to. */
#ifndef PN_SECTION_PRIV_H
#define PN_SECTION_PRIV_H

#include "section.h"

struct section_place {
    const struct pn_part *part; /* of HEADER and TEXT the message that is meant */
    bool made_up;               /* the one part of a multipart without parts: no header */
};

/* Reads the tree if there is a path. False: there is no such part. */
bool section_find(struct pn_message *m, const struct pn_section *section,
                  struct section_place *out);

#endif
