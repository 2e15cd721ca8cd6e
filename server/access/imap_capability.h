/*
 * The capability words of IMAP, one table for edge (before login) and mailbox (after it). A row
 * is announced where its extension is whole there, and a test of its name says so; a row that is
 * not yet, is in the table all the same, so that what is to come is seen.
 */
#ifndef PN_IMAP_CAPABILITY_H
#define PN_IMAP_CAPABILITY_H

#include "buf.h"

enum pn_imap_when {
    PN_IMAP_BEFORE_LOGIN = 1,
    PN_IMAP_AFTER_LOGIN = 2,
};

struct pn_imap_capability {
    const char *word; /* "APPENDLIMIT=" and such: a value follows */
    unsigned when;    /* enum pn_imap_when; both is their sum */
    bool announced;
};

/* What depends on the connection: before login. */
struct pn_imap_offer {
    bool starttls;      /* may be asked for now */
    bool login;         /* LOGIN is allowed here; false: LOGINDISABLED */
    struct pn_str auth; /* mechanisms, parted by spaces: AUTH=...; empty: none */
};

enum { PN_IMAP_APPEND_MAX = 100 * 1024 * 1024 }; /* bytes of an appended message: APPENDLIMIT */

/* Ends with a row of NULL. */
const struct pn_imap_capability *pn_imap_capability_table(void);
/* "IMAP4rev1 IMAP4rev2 ..." as it stands behind "CAPABILITY ". */
void pn_imap_capability_before(struct pn_buf *out, const struct pn_imap_offer *offer);
void pn_imap_capability_after(struct pn_buf *out);
/* Is this word announced then? For commands that exist only with it. */
bool pn_imap_capability_is(const char *word, enum pn_imap_when when);

#endif
