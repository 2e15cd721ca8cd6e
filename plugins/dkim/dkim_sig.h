/*
 * One DKIM-Signature: what it says (RFC 6376, section 3.5), the key that belongs to it
 * (3.6.1), what an engine found, and the verdict.
 *
 * States: PENDING from dkim_sigs_read on, until some step settles the verdict with
 * dkim_sig_settle; a settled signature is not touched again. Views point into the
 * message, `key.p` and its error into the DNS answer; `reason` is a constant sentence.
 */
#ifndef DKIM_SIG_H
#define DKIM_SIG_H

#include "dkim_message.h"

enum {
    DKIM_B_MAX = 1024,    /* bytes of a signature: RSA of 8,192 bits */
    DKIM_NAMES_MAX = 1000 /* field names in h= */
};

enum dkim_algorithm { DKIM_RSA_SHA256, DKIM_ED25519_SHA256, DKIM_RSA_SHA1 };

/* The words of RFC 8601, section 2.7.1. */
enum dkim_result {
    DKIM_PENDING,
    DKIM_PASS,
    DKIM_FAIL,
    DKIM_POLICY,
    DKIM_NEUTRAL,
    DKIM_TEMPERROR,
    DKIM_PERMERROR
};

/* What an engine found. */
enum dkim_check {
    DKIM_CHECK_NONE,
    DKIM_CHECK_VALID,
    DKIM_CHECK_BODY,      /* the body's hash is another */
    DKIM_CHECK_SIGNATURE, /* the signature does not fit header and key */
    DKIM_CHECK_LENGTH,    /* l= is more than the body has */
    DKIM_CHECK_KEY,       /* the key can't be decoded or is of another kind */
    DKIM_CHECK_SHORT,     /* the key is shorter than min_bits: not verified */
    DKIM_CHECK_TIME,      /* the engine's own clock says expired, or not yet made */
    DKIM_CHECK_FAILED     /* the engine gave up */
};

/* What facts are made of, beside result. */
enum {
    DKIM_SIG_WEAK_KEY = 1,
    DKIM_SIG_SHA1 = 2,
    DKIM_SIG_PARTIAL = 4, /* l= leaves a part of the body unsigned */
    DKIM_SIG_TESTING = 8, /* t=y in the key: a failure counts as no signature */
    DKIM_SIG_EXPIRED = 16,
    DKIM_SIG_FUTURE = 32,
    DKIM_SIG_FROM_UNSIGNED = 64, /* h= names no From */
    DKIM_SIG_FROM_ADDED = 128,   /* valid, and there are more From fields than it signs */
    DKIM_SIG_OVERSIGNED = 256    /* valid, and another From would have broken it */
};

struct dkim_key {
    struct postern_str p; /* base64, FWS in it */
    bool testing;
};

struct dkim_sig {
    size_t field; /* its index in the message */

    struct postern_str algorithm; /* as written; empty where it is no word */
    enum dkim_algorithm alg;
    bool header_relaxed, body_relaxed;
    bool has_length;
    uint64_t length;          /* l= */
    struct postern_str names; /* h= */
    size_t from_names;        /* how often h= names From */
    size_t froms;             /* From fields of the message */
    size_t b_from, b_to;      /* b='s value with the blanks around it, offsets in the field */
    unsigned char bh[32];
    unsigned char b[DKIM_B_MAX];
    size_t b_len;
    /* As the DNS has them, A-labels for U-labels (RFC 8616): NUL-terminated, empty where
     * unreadable. The domains are lower case, as are queries. */
    char domain[254];
    char selector[254];
    char identity[254]; /* the domain of i=, empty where there is none */
    char query[256];    /* selector._domainkey.domain */
    bool u_labels;      /* one of them is written with U-labels */

    struct dkim_key key;
    unsigned min_bits; /* RSA keys must have */

    enum dkim_check check;
    unsigned bits; /* of the key; 0: not known */
    uint64_t tail; /* canonical bytes of the body behind l= */

    enum dkim_result result;
    const char *reason; /* NULL: none needed */
    unsigned flags;
};

/* What the site holds signatures against. */
struct dkim_terms {
    int64_t now;  /* UNIX seconds, for x= and t= */
    int64_t skew; /* seconds that t= may lie ahead of now */
    unsigned min_bits;
    struct postern_call *call; /* whose host maps U-labels; NULL: names of ASCII alone */
};

/* Reads the first `max` signatures of m. Returns their number. */
size_t dkim_sigs_read(const struct dkim_message *m, struct dkim_sig *sigs, size_t max,
                      const struct dkim_terms *terms);
void dkim_sig_settle(struct dkim_sig *s, enum dkim_result result, const char *reason);
/* `check` into a verdict; does nothing to a settled one. */
void dkim_sig_judge(struct dkim_sig *s);

/* The record to use among those at the selector: the first that is whole and of the
 * signature's kind; else the verdict is settled with the fault of the first. */
void dkim_key_choose(struct dkim_sig *s, const struct postern_dns_answer *answer);
/* The verdict where there is no answer to choose from. */
void dkim_key_missing(struct dkim_sig *s, const struct postern_dns_answer *answer);

/* "pass", "fail"… */
struct postern_str dkim_result_word(enum dkim_result result);
/* "valid", "invalid", "unchecked": was the cryptography right, whatever the result. */
struct postern_str dkim_signature_word(const struct dkim_sig *s);

#endif
