/*
 * Tag lists: the "a=b; c=d" of signatures and key records (RFC 6376, section 3.2).
 * Tags are views into the list, in its order; names are case-sensitive, a name that
 * comes twice makes the list invalid.
 */
#ifndef DKIM_TAGS_H
#define DKIM_TAGS_H

#include <postern/plugin.h>

enum { DKIM_TAGS_MAX = 48 };

struct dkim_tag {
    struct postern_str name;
    struct postern_str value; /* trimmed */
    struct postern_str space; /* all between "=" and ";": the value with the blanks around it */
};

struct dkim_tags {
    size_t count;
    struct dkim_tag tag[DKIM_TAGS_MAX];
};

/* NULL, or what is wrong with it. lenient: empty items between two ";" are skipped, as
 * key records in the wild have them. */
const char *dkim_tags_parse(struct dkim_tags *tags, struct postern_str list, int lenient);
/* NULL: there is none. */
const struct dkim_tag *dkim_tag(const struct dkim_tags *tags, const char *name);

#endif
