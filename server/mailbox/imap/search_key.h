/*
 * The search program: what stands behind SEARCH (RFC 9051, section 6.4.4; RFC 5032 WITHIN; RFC 7162
 * MODSEQ; RFC 5182 `$`), parsed into a flat array. A node's operands stand right behind it; `end`
 * is the index behind the last of them. Trees of ORs and NOTs are made flat (OR has as many
 * operands as it likes), so that only parentheses nest, within a limit.
 *
 * Text is folded (fold.h) from its charset here, so that evaluation compares bytes.
 */
#ifndef PN_SEARCH_KEY_H
#define PN_SEARCH_KEY_H

#include "imap_token.h"
#include "uidset.h"
#include "view.h"
#include "words.h"

enum {
    SEARCH_NODES_MAX = 4000,
    SEARCH_DEPTH_MAX = 100,        /* of parentheses */
    SEARCH_TEXT_MAX = 4096,        /* bytes of a folded needle */
    SEARCH_RANGES_MAX = 64 * 1024, /* of all sets together */
    SEARCH_SLOW_MAX = 200          /* keys that need the content of messages */
};

enum search_op {
    SEARCH_AND, /* no operand: all */
    SEARCH_OR,
    SEARCH_NOT,
    SEARCH_NUMBERS, /* set */
    SEARCH_UIDS,    /* set */
    SEARCH_SAVED,   /* set: `$` */
    SEARCH_FLAG,    /* number: bits of system flags, of which one is set */
    SEARCH_KEYWORD, /* text */
    SEARCH_MODSEQ,  /* number: at least */
    SEARCH_LARGER,  /* number */
    SEARCH_SMALLER, /* number */
    SEARCH_DATE,    /* internal date: from <= day < to */
    SEARCH_AGE,     /* internal date: from <= second < to */
    SEARCH_SENT,    /* Date field: from <= day < to */
    SEARCH_TEXT     /* words */
};

struct search_node {
    enum search_op op;
    uint32_t end;
    uint64_t number;
    int64_t from, to;            /* days since 1970, or seconds */
    struct pn_str text;          /* pooled */
    const struct pn_uidset *set; /* of the program; SAVED: borrowed */
    struct pn_words_key words;   /* its strings are pooled */
};

struct search_scope {
    uint32_t count, last_uid;      /* what `*` is */
    const struct pn_uidset *saved; /* what `$` is: UIDs; borrowed */
    int64_t now;                   /* for YOUNGER and OLDER */
    bool utf8;                     /* UTF8=ACCEPT is on: no CHARSET then (RFC 6855, section 3) */
};

struct search_program {
    struct search_node *nodes; /* owned */
    size_t count, cap;
    struct pn_uidset **sets; /* owned */
    size_t set_count, set_cap;
    size_t slow; /* nodes that need more than memory: TEXT and SENT */
    bool modseq; /* MODSEQ was among the keys: answers name the highest one */
};

enum search_parsed { SEARCH_OK, SEARCH_BAD, SEARCH_BADCHARSET, SEARCH_TOO_MUCH };

/* Reads "[CHARSET x SP] key *(SP key)" to the end of args. charset: already read (SORT, THREAD), or
 * .p NULL. Strings are in the pool of args. Whatever it returns, _fini is needed. */
enum search_parsed search_parse(struct search_program *program, struct pn_imap_args *args,
                                struct pn_str charset, const struct search_scope *scope);
void search_program_fini(struct search_program *program);
/* "(US-ASCII UTF-8 ...)": what BADCHARSET says. */
extern const char search_charsets[];

/* "1-Feb-1994", quoted or not, as days since 1970; of IMAP's date, RFC 9051, section 9. */
bool search_date(struct pn_str text, int64_t *days);

#endif
