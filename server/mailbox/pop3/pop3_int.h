/*
 * The inside of the POP3 engine (engine.h): RFC 1939's TRANSACTION and UPDATE states, with RFC
 * 2449's extensions.
 *
 *   opening --run--> ready --a command--> ready
 *   ready --LIST, UIDL--> listing, --RETR, TOP--> sending, in slices --> ready
 *   ready --QUIT--> update: what was marked is deleted; end
 *   any --bye, or freed--> end: nothing is deleted (RFC 1939, section 6)
 *
 * The mailbox is not locked: the view's numbers stand still for as long as the session lasts
 * (view.h), whatever other sessions of POP3 or IMAP do. What they remove can't be read any more
 * and says so; what comes in is for the next session. Flags are not touched.
 */
#ifndef POP3_INT_H
#define POP3_INT_H

#include "engine.h"
#include "view.h"

enum {
    POP3_LINE_MAX = 512, /* RFC 2449, section 4 has 255 */
    POP3_ERRORS_MAX = 20 /* commands that are none; then it ends */
};

struct pop3_totals {
    uint32_t messages;
    uint64_t octets;
};

struct pop3 {
    struct pn_engine engine;      /* first */
    struct pn_user *user;         /* owned */
    struct pn_view *view;         /* NULL: not open yet */
    struct pop3_totals all, left; /* left: without what is marked */
    uint64_t *marked;             /* bits by number; NULL: none is */
    uint32_t uidvalidity;
    bool utf8; /* the client said UTF8 (RFC 6856): internationalized messages go as they are */
    uint32_t listing;          /* the number it goes on at; 0: no list is on its way */
    bool listing_uids;         /* UIDL; else LIST */
    struct pn_content content; /* of the message on its way */
    size_t at, end;            /* in it */
    bool sending;
    bool skipping; /* a line that is too long, up to its end */
    bool ended;
    bool quitting, heard; /* UPDATE: what is marked goes, once all that was said has arrived */
    uint32_t removed;     /* up to this number */
    uint32_t errors;
};

/* ---- pop3_commands.c ---- */

void pop3_command(struct pop3 *p, struct pn_str line, struct pn_buf *out);
/* Behind QUIT: what is marked goes, a slice at a time. */
enum pn_engine_next pop3_update(struct pop3 *p, struct pn_buf *out);
bool pop3_is_marked(const struct pop3 *p, uint32_t number);

/* ---- pop3_send.c: what is long goes out in slices ---- */

/* Behind the first line of the answer. */
void pop3_list_begin(struct pop3 *p, bool uids);
/* Number and size, or unique id, and CRLF. */
void pop3_list_row(struct pop3 *p, uint32_t number, bool uids, struct pn_buf *out);
/* As far as it is to go out: its header and lines of the body; UINT64_MAX: all. */
void pop3_send_begin(struct pop3 *p, struct pn_content content, uint64_t lines);
/* Adds a slice, and the dot behind the last. True: there is more. */
bool pop3_send_more(struct pop3 *p, struct pn_buf *out);
void pop3_send_end(struct pop3 *p);

#endif
