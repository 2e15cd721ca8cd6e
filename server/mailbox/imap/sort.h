/*
 * SORT (RFC 5256) and SORT=DISPLAY (RFC 5957): what is kept of each message to compare, and the
 * comparison. Strings are folded (fold.h), which is the collation i;unicode-casemap, and cut behind
 * SORT_TEXT_MAX bytes.
 */
#ifndef PN_SORT_H
#define PN_SORT_H

#include "imap_token.h"
#include "view.h"
#include "words.h"

enum { SORT_KEYS_MAX = 16, SORT_TEXT_MAX = 1000 };

enum sort_what {
    SORT_ARRIVAL,
    SORT_CC,
    SORT_DATE,
    SORT_DISPLAYFROM,
    SORT_DISPLAYTO,
    SORT_FROM,
    SORT_SIZE,
    SORT_SUBJECT,
    SORT_TO
};

struct sort_key {
    enum sort_what what;
    bool reverse;
};

struct sort {
    struct sort_key keys[SORT_KEYS_MAX];
    size_t key_count;
    bool header;             /* a key needs the header */
    struct sort_mail *mails; /* owned */
    size_t count, cap;
    struct pn_buf text; /* folded strings */
};

/* "(REVERSE DATE SUBJECT)". False: malformed, or too many. */
bool sort_parse(struct sort *sort, struct pn_imap_args *args);
void sort_fini(struct sort *sort);
/* header: as pn_view_cached has it; may be empty without sort->header. False past a limit. */
bool sort_add(struct sort *sort, uint32_t seq, const struct pn_mail *mail, struct pn_str header);
void sort_run(struct sort *sort);
/* The number of the nth message, from 0. */
uint32_t sort_nth(const struct sort *sort, size_t n);

/* The value of a field in a header as it stands; the first of that name. Empty: none. */
struct pn_str sort_field(struct pn_str header, struct pn_str name);
/* When it was sent; its internal date where no Date field says it (RFC 5256, section 2.2). */
int64_t sort_sent(struct pn_str header, const struct pn_mail *mail);
/* Appends a field's value decoded and folded. */
bool sort_fold_value(struct pn_str value, struct pn_buf *out);

#endif
