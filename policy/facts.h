/*
 * Facts: all that is known of one message, found once, for all its recipients.
 *
 * The filters layer fills it (in plan order, so that it never depends on timing);
 * decide() reads it; event line and `scan` print it. Nothing in it is a verdict.
 *
 * Everything lives in the pool that it was made with. The wire form (facts_put,
 * facts_get) is what workers send back and what replays keep.
 */
#ifndef PN_FACTS_H
#define PN_FACTS_H

#include "pool.h"
#include "wire.h"

enum {
    PN_FACTS_SYMBOLS_MAX = 2000,
    PN_FACTS_AUTH_MAX = 64,
    PN_FACTS_NOTES_MAX = 256,
    PN_FACTS_EDITS_MAX = 128,
    PN_FACTS_EDIT_BYTES_MAX = 256 * 1024, /* names and values of all edits */
    PN_FACTS_DNS_MAX = 1000,
    PN_FACTS_STATE_MAX = 1000,
    PN_FACTS_RUNS_MAX = 64,       /* plugins that one configuration may load */
    PN_FACTS_PROPERTIES_MAX = 32, /* of one authentication result */
    PN_FACTS_ANSWERS_MAX = 256,   /* of one DNS answer */
    PN_FACTS_DETAIL_MAX = 200
};

#define PN_FACT_ALL_RCPTS UINT32_MAX

/* Symbols of the host's own, which no plugin states; the detail is the plugin's name. There is room
 * for them where plugins have used up theirs. DROPPED: it wanted more changed than there is room
 * for, so that none of its answer's edits is made. */
#define PN_SYMBOL_FAILED  "PLUGIN_FAILED"
#define PN_SYMBOL_DROPPED "PLUGIN_EDITS_DROPPED"
static inline bool pn_symbol_is_ours(struct pn_str name)
{
    return pn_str_eq(name, PN_STR(PN_SYMBOL_FAILED)) || pn_str_eq(name, PN_STR(PN_SYMBOL_DROPPED));
}

struct pn_fact {
    struct pn_str name;   /* "SPF_FAIL" */
    struct pn_str plugin; /* "spf" */
    struct pn_str detail; /* printable UTF-8, may be empty */
    int32_t weight;       /* the plugin's, thousandths */
    uint32_t rcpt;        /* index into the envelope's recipients, or PN_FACT_ALL_RCPTS */
};

struct pn_pair {
    struct pn_str name, value;
};

struct pn_auth {
    struct pn_str plugin;
    struct pn_str method, result; /* RFC 8601 words */
    uint32_t count;
    const struct pn_pair *properties;
};

struct pn_note {
    struct pn_str plugin, key, value;
};

enum pn_fact_edit_op {
    PN_FACT_ADD_HEADER,
    PN_FACT_REMOVE_HEADER,
    PN_FACT_INSERT_HEADER,
    PN_FACT_CHANGE_HEADER,
    PN_FACT_REPLACE_BODY,
    PN_FACT_CHANGE_FROM,
    PN_FACT_ADD_RCPT,
    PN_FACT_REMOVE_RCPT,
    PN_FACT_EDIT_OPS
};

#define PN_FACT_BODY_BROKEN UINT32_MAX

/* As <postern/plugin.h> has them, and no less strange: who applies them checks them. */
struct pn_fact_edit {
    enum pn_fact_edit_op op;
    struct pn_str plugin;
    struct pn_str name;  /* of a field; else empty */
    struct pn_str value; /* of a field, empty for a removal; an address */
    /* Of a removal and a change: the n-th field of that name, from 0. Of an insertion: the
     * position. Of a body: its bytes, which lie beside the facts (request.h), or that it is not
     * whole. */
    uint32_t index;
};

enum pn_plugin_status {
    PN_PLUGIN_OK,
    PN_PLUGIN_FAILED,
    PN_PLUGIN_TIMEOUT,
    PN_PLUGIN_SKIPPED,
    PN_PLUGIN_GIVEN
};

struct pn_plugin_run {
    struct pn_str plugin;
    enum pn_plugin_status status;
    uint32_t us;          /* microseconds in its callbacks, all stages */
    struct pn_str reason; /* for what is not ok, or not all: "waits for TXT x.test, 1.9 s" */
};

/* What was asked and answered, as it was recorded; answers in presentation form. */
struct pn_dns_seen {
    struct pn_str name;
    uint16_t type;
    uint16_t rcode;
    bool secure;
    uint32_t count;
    const struct pn_str *answers; /* raw data of the records, ipc/dns.h's forms, sorted */
};

enum pn_state_op {
    PN_STATE_GET,
    PN_STATE_PUT,
    PN_STATE_TAKE,
    PN_STATE_STANDING, /* no lasting state: what the plugin's tick left; no key */
    PN_STATE_OPS
};
enum pn_state_result { PN_STATE_NONE, PN_STATE_OK, PN_STATE_AWAY, PN_STATE_RESULTS };

/* What a plugin read from lasting state, took of a bucket, or would have written: as it was
 * recorded. key: the plugin's own. */
struct pn_state_seen {
    struct pn_str plugin, key;
    uint8_t op;          /* enum pn_state_op */
    uint8_t result;      /* enum pn_state_result, of a GET and a TAKE */
    uint8_t when;        /* enum postern_state_when, of a PUT */
    bool session;        /* of a stage before MAIL: the session's, not the message's */
    bool local;          /* of a GET and a TAKE: this server's own answer, as the one that
                          * several share was away */
    uint32_t step;       /* the call's: each step puts and takes for itself */
    uint32_t left;       /* of a TAKE: tokens */
    uint64_t ttl_ms;     /* of a PUT */
    struct pn_str value; /* of a GET, a PUT and a STANDING */
};

struct pn_facts {
    struct pn_pool *pool; /* borrowed */
    struct pn_fact *symbols;
    uint32_t *symbol_hashes; /* beside symbols; to find doubles fast */
    size_t symbol_count, symbol_cap;
    struct pn_auth *auth;
    size_t auth_count, auth_cap;
    struct pn_note *notes;
    size_t note_count, note_cap;
    struct pn_fact_edit *edits;
    size_t edit_count, edit_cap, edit_bytes;
    struct pn_plugin_run *runs;
    size_t run_count, run_cap;
    struct pn_dns_seen *dns;
    uint32_t *dns_hashes; /* beside dns */
    size_t dns_count, dns_cap;
    struct pn_state_seen *state;
    uint32_t *state_hashes; /* beside state: of plugin and key */
    size_t state_count, state_cap;
};

void pn_facts_init(struct pn_facts *f, struct pn_pool *pool);
/* Each copies what it is given into the pool. False: a limit was reached. A detail is
 * cut at PN_FACTS_DETAIL_MAX, between characters. A symbol with the same plugin, name,
 * detail and rcpt as one there is dropped (true). */
bool pn_facts_add_symbol(struct pn_facts *f, const struct pn_fact *fact);
bool pn_facts_add_auth(struct pn_facts *f, const struct pn_auth *auth);
/* Replaces the value of a key that is there. */
bool pn_facts_set_note(struct pn_facts *f, const struct pn_note *note);
bool pn_facts_add_edit(struct pn_facts *f, const struct pn_fact_edit *edit);
/* Adds to the time of a run that is there; the worse status and its reason stay. */
bool pn_facts_add_run(struct pn_facts *f, const struct pn_plugin_run *run);
/* The same name and type twice is kept once. */
bool pn_facts_add_dns(struct pn_facts *f, const struct pn_dns_seen *seen);
/* A GET of the same key, a TAKE of the same key in the same step: kept once, the first. A PUT
 * of the same key in the same step: the last. */
bool pn_facts_add_state(struct pn_facts *f, const struct pn_state_seen *seen);
/* What that plugin did with that key, or NULL; step counts for all but a GET. */
const struct pn_state_seen *pn_facts_state(const struct pn_facts *f, struct pn_str plugin,
                                           enum pn_state_op op, struct pn_str key, uint32_t step);
/* Appends all of `from`, in its order. */
bool pn_facts_merge(struct pn_facts *f, const struct pn_facts *from);

const struct pn_fact *pn_facts_find(const struct pn_facts *f, struct pn_str name);
/* The n-th result of a method. */
const struct pn_auth *pn_facts_auth(const struct pn_facts *f, struct pn_str method, size_t n);
struct pn_str pn_auth_get(const struct pn_auth *auth, struct pn_str property); /* or empty */

void pn_facts_put(struct pn_buf *out, const struct pn_facts *f);
/* Copies into f's pool, behind what is there. False: malformed or over a limit. */
bool pn_facts_get(struct pn_rd *r, struct pn_facts *f);

#endif
