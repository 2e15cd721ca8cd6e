/*
 * Settings as a tree: what the parser makes of blocks that rows describe.
 *
 * A statement is a row's name and its values, up to the end of the line, a ; or as
 * many as the row takes, so that several may share a line:
 *
 *   tls { certificate "cert.pem"  key "key.pem" }
 *   code 127.0.0.2 weight 4          # a titled block's rows behind its title
 *   forward 192.0.2.1:53, 192.0.2.2:53   # a list; goes on over lines behind a comma
 *
 * In a list without commas a bare word that names a row of the block ends the list.
 * A value may be set once in a file; a file that includes another may set again what
 * the included one set, and then the later one counts. Lists grow.
 *
 * Everything is pooled. Parsing never stops at the first problem.
 */
#ifndef PN_TREE_H
#define PN_TREE_H

#include "token.h"
#include "value.h"

struct pn_tree_block;

struct pn_tree_value {
    struct pn_tree_value *next;
    struct pn_value_data data;
    struct pn_tree_block *block; /* of a row of type BLOCK */
    struct pn_place at;          /* nowhere: the default */
};

struct pn_tree_entry {
    struct pn_tree_value *first, *last;
    uint32_t count;
    bool refused; /* a value stood there, and was wrong: that it has none needs no saying */
};

struct pn_tree_block {
    const struct postern_row *rows; /* ends with NULL */
    struct pn_tree_entry *entries;  /* one a row */
    struct pn_str title;
    struct pn_place at, title_at;
    const struct pn_tree_block *outer; /* whose rows may follow on the same line, or NULL */
};

struct pn_parser {
    struct pn_pool *pool;
    struct pn_problems *problems;
    struct pn_sources *sources;
    struct pn_str root; /* --root DIR, or empty */
};

/* One statement whose name has been taken; false: it is none that is known here. Then
 * the body says so, with what `names` offers as a suggestion. */
struct pn_body {
    bool (*statement)(struct pn_parser *p, void *ctx, struct pn_lex *lex, struct pn_token name);
    const char *const *names; /* ended by NULL */
    void *ctx;
    const char *what; /* "setting", "plugin" */
};

/* All statements up to the closing brace whose opening one stood at `open`, or, if that
 * is nowhere, up to the end of the source. Follows `include`. */
void pn_parse_body(struct pn_parser *p, struct pn_lex *lex, const struct pn_body *body,
                   struct pn_place open);

struct pn_tree_block *pn_tree_block_new(struct pn_parser *p, const struct postern_row *rows,
                                        struct pn_place at);
/* A statement of a block by its rows; false: no row has that name. */
bool pn_tree_statement(struct pn_parser *p, struct pn_lex *lex, struct pn_tree_block *block,
                       struct pn_token name);
/* The body of a block, by its rows alone. */
void pn_tree_body(struct pn_parser *p, struct pn_lex *lex, struct pn_tree_block *block,
                  struct pn_place open);
/* Once all is read: defaults, and a problem for each required row that is not there.
 * what names the block in that sentence. */
void pn_tree_finish(struct pn_parser *p, struct pn_tree_block *block, const char *what);

struct pn_tree_entry *pn_tree_entry(const struct pn_tree_block *block, const char *row);
/* The first value, or NULL. */
struct pn_tree_value *pn_tree_value(const struct pn_tree_block *block, const char *row);

/* A value that must stand here; false: a problem that says what was expected. */
bool pn_parse_value(struct pn_parser *p, struct pn_lex *lex, struct pn_token *out,
                    const char *owner, const char *expected);

#endif
