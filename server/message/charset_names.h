/* Inside the message folder only: the charsets that are converted, by all their names. */
#ifndef PN_CHARSET_NAMES_H
#define PN_CHARSET_NAMES_H

#include "str.h"

enum charset_kind {
    CHARSET_UTF8,  /* what is not valid becomes U+FFFD; so is read what we don't know */
    CHARSET_ASCII, /* bytes beyond it are UTF-8 if they can be, else windows-1252 */
    CHARSET_LATIN, /* windows-1252, also for what calls itself ISO-8859-1 */
    CHARSET_UTF16, /* byte order by its mark, or guessed; then as ICONV */
    CHARSET_ICONV,
};

struct charset_name {
    const char *alias; /* letters and digits only, lower case */
    const char *iconv; /* the name that glibc has; NULL: not needed */
    enum charset_kind kind;
};

/* NULL: unknown. Letter case, dashes, underscores and such in name do not matter. */
const struct charset_name *charset_find(struct pn_str name);
/* Row by row, for the preload; NULL at the end. */
const struct charset_name *charset_row(size_t index);

#endif
