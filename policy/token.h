/*
 * Tokens of the language of configuration and policy.
 *
 *   word      anything printable without blanks, quotes and { } ; , #
 *   "string"  on one line; \" \\ \n \t \xNN
 *   { } ,     and the end of a line or ; which both end a statement
 *   # comment to the end of the line, where a token could begin
 *
 * A lexer is a small value: copying it marks a place to go back to. Text of words and
 * plain strings borrows from the source, that of strings with escapes is pooled.
 */
#ifndef PN_TOKEN_H
#define PN_TOKEN_H

#include "source.h"

enum { PN_TOKEN_MAX = 64 * 1024 };

enum pn_token_kind {
    PN_TOK_END,  /* of the source */
    PN_TOK_LINE, /* end of a line, or ; */
    PN_TOK_OPEN,
    PN_TOK_CLOSE,
    PN_TOK_COMMA,
    PN_TOK_WORD,
    PN_TOK_STRING,
    PN_TOK_BAD /* a problem was noted */
};

struct pn_token {
    enum pn_token_kind kind;
    struct pn_str text; /* of words and strings, without quotes; ";" or "" of a LINE */
    struct pn_place at;
};

struct pn_lex {
    const struct pn_source *source;
    struct pn_pool *pool;
    struct pn_problems *problems;
    size_t at; /* of the next byte */
    uint32_t line, column;
    struct pn_token look;
    bool looked;
};

void pn_lex_init(struct pn_lex *lex, const struct pn_source *source, struct pn_pool *pool,
                 struct pn_problems *problems);
struct pn_token pn_lex_next(struct pn_lex *lex);
/* The token that next will give. */
struct pn_token pn_lex_peek(struct pn_lex *lex);
/* A word or a string. */
bool pn_token_is_value(const struct pn_token *token);
/* For errors: "'x'", "the end of the line", "'{'". Pooled. */
const char *pn_token_name(struct pn_pool *pool, const struct pn_token *token);
/* To the end of the statement at hand, over blocks of it; what ends it stays. */
void pn_lex_skip_statement(struct pn_lex *lex);
/* Behind the } that belongs to a { already taken; a problem, at `open`, if there is none. */
void pn_lex_skip_block(struct pn_lex *lex, struct pn_place open);
/* Takes a { that stands here, or on a line of its own below. */
bool pn_lex_open(struct pn_lex *lex, struct pn_place *at);

#endif
