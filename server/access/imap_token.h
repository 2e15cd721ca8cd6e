/*
 * Tokens of a gathered IMAP command (imap_lex.h): RFC 9051, section 9. Each reader takes one
 * token from the front of `rest` and returns true, or leaves rest alone and returns false. What
 * they return borrows from the text, or from the pool where a quoted string had to lose its
 * backslashes. Case of words is as written; compare with pn_str_ieq.
 *
 * Where RFC 3501 and 9051 differ the wider form is taken: UTF-8 in quoted strings, "]" in atoms.
 */
#ifndef PN_IMAP_TOKEN_H
#define PN_IMAP_TOKEN_H

#include "buf.h"
#include "pool.h"

struct pn_imap_args {
    struct pn_str rest;
    struct pn_pool *pool; /* borrowed; full is as good as malformed */
    struct pn_str near;   /* rest, from the last word that was taken: where a mistake may be */
};

bool pn_imap_end(const struct pn_imap_args *args); /* nothing is left */
bool pn_imap_sp(struct pn_imap_args *args);        /* one space, and no more */
bool pn_imap_char(struct pn_imap_args *args, char c);
/* This atom, without case, and not only the front of a longer one. */
bool pn_imap_word(struct pn_imap_args *args, const char *word);

bool pn_imap_tag(struct pn_imap_args *args, struct pn_str *out);
/* Not empty. "[" is a part of it, as in BODY[TEXT]: pn_imap_atom_to stops at it. */
bool pn_imap_atom(struct pn_imap_args *args, struct pn_str *out);
/* Up to one of the bytes of stop, too. */
bool pn_imap_atom_to(struct pn_imap_args *args, const char *stop, struct pn_str *out);
/* Quoted or literal; no NUL in it. */
bool pn_imap_string(struct pn_imap_args *args, struct pn_str *out);
bool pn_imap_astring(struct pn_imap_args *args, struct pn_str *out);
/* NIL: out->p is NULL. */
bool pn_imap_nstring(struct pn_imap_args *args, struct pn_str *out);
/* mailbox with wildcards: LIST's pattern. */
bool pn_imap_list_mailbox(struct pn_imap_args *args, struct pn_str *out);
/* The front of a literal whose bytes are not in the text: "{n}", "{n+}", "~{n}" to the end. */
bool pn_imap_literal_mark(struct pn_imap_args *args);

bool pn_imap_number(struct pn_imap_args *args, uint32_t *out);
bool pn_imap_number64(struct pn_imap_args *args, uint64_t *out); /* up to 63 bits */
/* "1:3,7,*" or "$": the characters are right, the meaning is uidset.h's. */
bool pn_imap_set(struct pn_imap_args *args, struct pn_str *out);
/* "\\Seen" or a keyword. */
bool pn_imap_flag(struct pn_imap_args *args, struct pn_str *out);

/* ---- writing ---- */

/* Quoted where it may be, else a literal; nothing but UTF-8 and, unless utf8, ASCII is quoted.
 * A NUL is left out. */
void pn_imap_put_string(struct pn_buf *out, struct pn_str s, bool utf8);
/* As an atom where it is one, else as above: names of mailboxes. */
void pn_imap_put_astring(struct pn_buf *out, struct pn_str s, bool utf8);

#endif
