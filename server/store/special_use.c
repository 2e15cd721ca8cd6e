/* What folders are for: RFC 6154, section 2. */
#include "folders.h"

static const char *const names[PN_USES] = {
    [PN_USE_NONE] = "",           [PN_USE_ARCHIVE] = "\\Archive",
    [PN_USE_DRAFTS] = "\\Drafts", [PN_USE_FLAGGED] = "\\Flagged",
    [PN_USE_JUNK] = "\\Junk",     [PN_USE_SENT] = "\\Sent",
    [PN_USE_TRASH] = "\\Trash",
};

const char *pn_special_use_name(enum pn_special_use use)
{
    return names[use];
}

enum pn_special_use pn_special_use_find(struct pn_str name)
{
    for (unsigned use = PN_USE_NONE + 1; use < PN_USES; use++)
        if (pn_str_ieq(name, pn_str_of(names[use])))
            return (enum pn_special_use)use;
    return name.len == 0 ? PN_USE_NONE : PN_USES;
}
