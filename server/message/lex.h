/*
 * Inside the message folder only: the lexical pieces that structured field values share
 * (RFC 5322, section 3.2; RFC 2045, section 5.1). Offsets into one value; each returns
 * the offset behind what it passed.
 */
#ifndef PN_LEX_H
#define PN_LEX_H

#include "buf.h"

static inline bool lex_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The value of a hexadecimal digit, or -1. */
static inline int lex_hex(char c)
{
    c = pn_lower(c);
    return pn_is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Blanks, line ends and comments, which may nest. One that never ends takes the rest. */
size_t lex_cfws(struct pn_str s, size_t at);
/* One comment, at its "("; *closed (may be NULL): did it end? */
size_t lex_comment(struct pn_str s, size_t at, bool *closed);
/* A quoted string, at its quote; *inside is what is between the quotes. Without a second
 * quote it takes the rest, and *closed (may be NULL) is false. */
size_t lex_quoted(struct pn_str s, size_t at, struct pn_str *inside, bool *closed);
/* A token of RFC 2045; may be empty. */
size_t lex_token(struct pn_str s, size_t at);
bool lex_is_token(struct pn_str s);
/* RFC 5322's atext, and with it all bytes beyond ASCII (RFC 6532). */
bool lex_is_atext(char c);
/* Appends what a quoted string or comment says: escapes and line ends gone. */
bool lex_unquote(struct pn_str inside, struct pn_buf *out);

#endif
