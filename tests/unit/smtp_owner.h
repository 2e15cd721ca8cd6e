/* An owner of the server engine, and whole dialogues with it: each runs whole, split at
 * every byte, byte by byte, and with every answer of the owner given late; the client sees
 * the same. */
#ifndef SMTP_OWNER_H
#define SMTP_OWNER_H

#include "unit.h"

#include "server.h"

enum { LATE = 1, REPLIES_MAX = 64 * 1024 };

/* An owner of the engine: it decides by what addresses say ("no@" is refused, "later@"
 * deferred, "drop@" cut off) and keeps what it took as text. Who logs in is "u" with "pw";
 * "later" can't now. */
struct owner {
    struct pn_smtp_server *engine;
    struct pn_smtp_server_config config;
    unsigned mode;
    struct pn_buf in;      /* shown and not consumed */
    struct pn_buf replies; /* all that was written */
    struct pn_buf mail;    /* "from|to,to|content;" of each message */
    struct pn_buf content;
    struct pn_buf unknown; /* "line|line|" of commands that it was told of */
    char from[300], to[2000];
    size_t room;      /* content that it takes */
    bool refuse_data; /* answers the data stage with 451 */
    bool by_turns;    /* content: `verdict`, then its default, then `verdict` again */
    bool all_at_once; /* content: one answer for all */
    const struct pn_smtp_reply *greet, *verdict;
    const struct pn_smtp_reply *due; /* the late answer: NULL accepts */
    bool at_content;                 /* they are of content */
    struct pn_str challenge;         /* the late one; p NULL: none is due */
    char mechanism[32], user[32];    /* of the exchange */
    unsigned logins, cancelled;
    unsigned owed; /* answers */
    bool drops, tls_due, closed, resumed;
    bool full; /* says at each write that the client has enough to read */
    unsigned writes, dones, mails, refusals;
};

extern const struct pn_smtp_reply reply_no, reply_later, reply_drop, reply_bye;

void owner_init(struct owner *o, unsigned mode);
void owner_fini(struct owner *o);
/* Whatever is owed or due, until nothing moves. */
void settle(struct owner *o);
/* Sends it in pieces: up to `split`, then `step` bytes each. \1 in it parts packets
 * that are never joined, as by a client that waits for replies. */
void talk(struct owner *o, struct pn_str input, size_t split, size_t step);
/* "220|250|550 5.1.1|" of what was written, from offset. */
void codes(struct owner *o, size_t from, struct pn_buf *out);

struct dialogue {
    const char *label;
    struct pn_str input;
    const char *want; /* codes behind the greeting */
    const char *mail; /* NULL: none */
    void (*set)(struct owner *o);
    bool closed;
};

void run(const struct dialogue *rows, size_t count);

#define RUN(rows) run(rows, sizeof(rows) / sizeof(rows)[0])
#define SAY(text) PN_STR_INIT(text)
#define HI        "EHLO c.test\r\n"
#define ONE       "MAIL FROM:<a@b.test>\r\nRCPT TO:<u@here.test>\r\n"
#define OK        "250 2.0.0|"
#define X10       "xxxxxxxxxx"
#define X100      X10 X10 X10 X10 X10 X10 X10 X10 X10 X10

#endif
