/* Shared by fakehost.c (life, facts, DNS) and its parts fakehost_*.c. */
#ifndef FAKEHOST_INT_H
#define FAKEHOST_INT_H

#include "fakehost.h"

#include "buf.h"
#include "dnsfile.h"
#include "message.h"
#include "pool.h"
#include "text.h"

enum { FAKE_MANY = 4096 };

struct fake_auth {
    struct postern_auth auth;
    bool given; /* by the test, not by the plugin */
};

struct fake_fact {
    struct postern_fact fact;
    long rcpt; /* -1: all */
    bool given;
};

struct fake_note {
    struct postern_str plugin, key, value;
    bool given;
};

/* All strings in the pools. */
struct fakehost {
    const struct postern_plugin *plugin;
    struct postern_host table;
    struct postern_setup setup;
    struct postern_call call;
    void *prepared, *instance;
    bool failed;
    bool informing;   /* `info` runs */
    bool prefetching; /* what is said is dropped, and nothing may be waited for */
    bool ticking;     /* of no message */

    struct pn_pool *life;        /* settings, client */
    struct pn_pool *transaction; /* envelope, message, facts */
    struct pn_dnsfile *dns;
    struct postern_client client;
    struct postern_str unknown[POSTERN_UNKNOWN_MAX];
    uint32_t early; /* of the client; told from its stage on */
    struct postern_envelope envelope;
    int64_t now_ms;
    unsigned lookups_max;
    size_t bytes_left;
    uint32_t left_ms;
    uint32_t pace; /* of left_ms, what a look at it takes */

    struct fake_fact facts[FAKE_MANY];
    size_t fact_count;
    struct fake_auth auths[FAKE_MANY];
    size_t auth_count;
    struct fake_note notes[FAKE_MANY];
    size_t note_count;
    struct fake_state *state; /* fakehost_state.c's */
    struct pn_buf setup_text, info, edits, body, asked, log, standing,
        print; /* print: NUL-ended copies too */
    bool new_body;
    size_t asked_count;

    struct pn_str content;
    struct pn_message *message; /* parsed when first asked */
    struct pn_links *links;     /* found when first asked */
    int content_fd;             /* -1 until asked */
};

static inline struct pn_str fake_pn(struct postern_str s)
{
    return (struct pn_str){s.p, s.len};
}

static inline struct postern_str fake_postern(struct pn_str s)
{
    return (struct postern_str){s.p, s.len};
}

struct fakehost *fake_of(struct postern_call *c);
/* Copies into the transaction's pool. */
struct postern_str fake_keep(struct fakehost *h, struct pn_str s);

const struct postern_block *fake_settings(struct fakehost *h, const struct fake_row *given);
void fake_settings_table(struct postern_host *t);
void fake_message_table(struct postern_host *t);
void fake_message_forget(struct fakehost *h);
void fake_state_table(struct postern_host *t);
void fake_edits_table(struct postern_host *t);
void fake_state_new(struct fakehost *h);
void fake_state_drop(struct fakehost *h);
void fake_state_free(struct fakehost *h);

#endif
