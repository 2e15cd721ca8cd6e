/*
 * Gathers IMAP commands from bytes as they come (RFC 9051, section 2.2.1): a line, and for each
 * literal it announces the literal's bytes and a further line. For the login engine of edge and
 * the engine of a mailbox alike; imap_token.h reads what was gathered.
 *
 *   LINE     --"{n}" at a line's end--> ASKED: the caller says what becomes of the literal:
 *              _keep    its bytes join the text, as they are: "... {3}\r\nabc ..."
 *              _stream  its bytes are handed out as BYTES; the text begins anew behind it
 *              _refuse  the command is lost: what the client sends of it anyway is skipped
 *   LINE     --other line end--> COMMAND, until _next
 *   skipping --the command's last line end--> REFUSED, until _next
 *
 * With {n} the client waits: whoever keeps or streams it sends a continuation then (`sync`). With
 * {n+} (RFC 7888) it does not. "{n}" at a line's end is always a literal: no other form ends so,
 * and to take the bytes behind it for commands would let a stranger's mail speak.
 *
 * Memory is bounded by text_max; what is skipped by skip_max, then it is FLOOD and the
 * connection is to be closed. A bare LF ends a line, too. NUL is left to the tokens.
 */
#ifndef PN_IMAP_LEX_H
#define PN_IMAP_LEX_H

#include "buf.h"

struct pn_imap_limits {
    size_t text_max;      /* bytes of a command, kept literals included */
    uint64_t nonsync_max; /* bytes of a literal {n+}: 4096 where only LITERAL- is announced */
    uint64_t skip_max;    /* bytes of a lost command that are skipped before it is a flood */
    bool secret; /* the text may hold a password: it never moves, and is wiped when given back */
};

struct pn_imap_literal {
    uint64_t size;
    bool sync;   /* the client waits for "+ " */
    bool binary; /* literal8, "~{n}" (RFC 3516): NUL is allowed */
};

enum pn_imap_got {
    PN_IMAP_MORE,    /* all input was taken, and more is needed */
    PN_IMAP_LITERAL, /* lex.literal: keep, stream or refuse it */
    PN_IMAP_BYTES,   /* of a streamed literal: *bytes, borrowed from the input */
    PN_IMAP_COMMAND, /* whole: pn_imap_lex_text */
    PN_IMAP_REFUSED, /* a lost command is over, its tag is pn_imap_lex_tag: BAD or NO */
    PN_IMAP_FLOOD    /* and so for ever */
};

enum { PN_IMAP_TAIL = 32 }; /* bytes: a line that ends in a literal shows it within them */

struct pn_imap_lex {
    struct pn_imap_literal literal; /* the one that is asked about, or on its way */
    /* The rest is its own. */
    const struct pn_imap_limits *limits;
    struct pn_buf text;
    size_t line; /* where the line at hand begins in text */
    uint64_t left, skipped;
    char tail[PN_IMAP_TAIL]; /* of a line that is skipped */
    uint8_t tail_len;
    uint8_t state;
    bool raw, lost;
};

/* limits: borrowed. */
void pn_imap_lex_init(struct pn_imap_lex *lex, const struct pn_imap_limits *limits);
void pn_imap_lex_fini(struct pn_imap_lex *lex);
/* Takes from *in what it can. */
enum pn_imap_got pn_imap_lex_feed(struct pn_imap_lex *lex, struct pn_str *in, struct pn_str *bytes);
/* Behind LITERAL. _keep is false, and has refused it, where there is no room for it. */
bool pn_imap_lex_keep(struct pn_imap_lex *lex);
void pn_imap_lex_stream(struct pn_imap_lex *lex);
void pn_imap_lex_refuse(struct pn_imap_lex *lex);
/* At any time: the rest of the command at hand is skipped, and REFUSED when it is over. */
void pn_imap_lex_lose(struct pn_imap_lex *lex);

/* What there is of the command, without its last line end. Borrowed until _next. */
struct pn_str pn_imap_lex_text(const struct pn_imap_lex *lex);
/* The first word; empty for what can be no tag. Borrowed until _next. */
struct pn_str pn_imap_lex_tag(const struct pn_imap_lex *lex);
/* Behind COMMAND or REFUSED: makes ready for the next one; a large buffer is given back. */
void pn_imap_lex_next(struct pn_imap_lex *lex);
/* Until _next, the line to come has no literals: what answers a continuation (AUTHENTICATE,
 * DONE). */
void pn_imap_lex_raw(struct pn_imap_lex *lex);

#endif
