/*
 * What runner and worker say to each other.
 *
 *   PN_REC_CHECK_PAGE    worker -> runner, first on each channel   struct pn_page_tag, fd: page.h
 *   PN_REC_CHECK         runner -> worker   struct pn_request; fds as handover.h has it: the
 *                        body where it is large, then the content (may be missing)
 *   PN_REC_CHECK_DONE    worker -> runner   struct pn_findings; fds: the body where it is large,
 *                        then the new body of a message, a sealed memory file (may be missing)
 *   PN_REC_CHECK_CANCEL  runner -> worker   struct pn_cancel
 *
 * A request is complete: session, envelope, earlier facts and notes, all stages up to
 * now, of which those from first_new on are asked for. A worker that does not hold the
 * session's objects makes them, calls the earlier stages again and drops what they
 * find; so any worker of the group may get any request.
 *
 * Decoded views borrow from the bytes, arrays come from the pool. Decoding checks
 * counts, indexes, stages and their order, so that no later code does.
 */
#ifndef PN_REQUEST_H
#define PN_REQUEST_H

#include "net.h"
#include "pool.h"
#include "wire.h"

enum {
    PN_REQUEST_RCPTS_MAX = 4096,
    PN_REQUEST_STEPS_MAX = PN_REQUEST_RCPTS_MAX + 8,
    PN_FINDINGS_MAX = PN_REQUEST_STEPS_MAX * 64,
    PN_REQUEST_BYTES_MAX = 8 * 1024 * 1024 /* a request or findings, encoded */
};

/* One call of a stage: rcpt comes once a recipient. */
struct pn_step {
    uint8_t stage;   /* enum postern_stage */
    uint32_t rcpts;  /* how many recipients are known then */
    uint64_t wanted; /* plugins (plan.h) that may run in it */
};

enum pn_request_flag {
    PN_REQUEST_ALONE = 1, /* a replay: one call at a time, nothing else in this process */
    PN_REQUEST_TLS = 2,
    PN_REQUEST_TELL = 4, /* DNS answers as calls get them: they would be lost with the worker */
    /* POSTERN_EARLY_*, moved up by PN_REQUEST_EARLY_SHIFT: what the client did not wait for */
    PN_REQUEST_EARLY_SHIFT = 3,
    PN_REQUEST_EARLY = 7 << PN_REQUEST_EARLY_SHIFT,
    PN_REQUEST_ALL = 7 | PN_REQUEST_EARLY
};

struct pn_request {
    uint64_t id;          /* the runner's, given back */
    uint64_t session;     /* of this runner */
    uint32_t transaction; /* counts in the session, from 1; 0: none is open */
    uint32_t flags;
    int64_t now_ms[2]; /* before MAIL, and from then on */
    uint64_t seed[2];
    uint32_t budget_ms; /* what is left of it */
    struct pn_str log_id;
    struct pn_ip client;
    uint16_t port;
    struct pn_str helo, auth_id, hostname;
    struct pn_str tls_version, tls_cipher;
    uint32_t tls_bits;
    struct pn_ip local; /* where it connected to; local_port 0: not known */
    uint16_t local_port;
    struct pn_str from, mail_args;
    uint32_t rcpt_count;
    struct pn_str *rcpts;
    uint32_t step_count;
    struct pn_step *steps;
    uint32_t first_new;
    uint32_t unknown_count; /* POSTERN_UNKNOWN_MAX at most */
    struct pn_str *unknown;
    uint32_t *unknown_steps; /* beside them: told from that step on */
    struct pn_str facts;     /* pn_facts_put */
    uint64_t content_size;
};

static inline unsigned pn_request_phase(unsigned stage)
{
    return stage >= 2; /* POSTERN_MAIL */
}

bool pn_request_put(struct pn_buf *out, const struct pn_request *request);
bool pn_request_get(struct pn_str bytes, struct pn_pool *pool, struct pn_request *request);

/* What one plugin found in one step. */
struct pn_finding {
    uint32_t step;
    uint8_t plugin;
    uint8_t status; /* enum pn_plugin_status: ok, failed, timeout or skipped */
    uint32_t us;
    bool body; /* the new body that came with the findings is what it proposed */
    struct pn_str reason;
    struct pn_str facts; /* pn_facts_put; empty: none */
};

enum pn_findings_flag {
    PN_FINDINGS_KEPT = 1, /* the worker holds objects of this session: come back, then cancel */
    PN_FINDINGS_BAD = 2,  /* the request could not be run at all: content unreadable */
    PN_FINDINGS_TOLD = 4, /* a call's DNS answer alone; the findings are yet to come */
    PN_FINDINGS_ALL = 7
};

/* Sorted by step, then plugin. One at most has a new body: the last that may propose one. */
struct pn_findings {
    uint64_t id;
    uint32_t flags;
    uint32_t count;
    struct pn_finding *items;
};

bool pn_findings_put(struct pn_buf *out, const struct pn_findings *findings);
bool pn_findings_get(struct pn_str bytes, struct pn_pool *pool, struct pn_findings *findings);

enum pn_cancel_what {
    PN_CANCEL_REQUEST,     /* this one; no findings need to come */
    PN_CANCEL_TRANSACTION, /* drop its objects, and its requests */
    PN_CANCEL_SESSION,
    PN_CANCEL_COUNT
};

struct pn_cancel {
    uint8_t what;
    uint64_t session;
    uint64_t request;
};

void pn_cancel_put(struct pn_buf *out, const struct pn_cancel *cancel);
bool pn_cancel_get(struct pn_str body, struct pn_cancel *cancel);

struct pn_page_tag {
    uint32_t tag; /* names this channel in the page */
};

void pn_page_tag_put(struct pn_buf *out, const struct pn_page_tag *tag);
bool pn_page_tag_get(struct pn_str body, struct pn_page_tag *tag);

#endif
