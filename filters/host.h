/*
 * The host side of <postern/plugin.h>: what a plugin's call sees, and where it writes.
 *
 * A host_message is one message's content, shared by all calls of a request (locked:
 * calls run on several threads); a host_call is one callback of one plugin, private to
 * its thread. The table of functions (host_table) works on these alone, so it is tested
 * without processes. Everything that a plugin says lands in call->facts, whose pool is
 * the call's own; limits on it hold before anything is stored.
 */
#ifndef PN_HOST_H
#define PN_HOST_H

#include "address.h"
#include "asker.h"
#include "facts.h"
#include "link.h"
#include "loader.h"
#include "memfile.h"
#include "message.h"
#include "page.h"
#include "plan.h"
#include "pool.h"
#include "request.h"
#include "state_asker.h"
#include "text.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    HOST_POOL_MAX = 32 * 1024 * 1024, /* of one call: facts, views, host->alloc */
    HOST_TEXT_MAX = 64 * 1024 * 1024, /* decoded text of one message */
    HOST_LINKS_MAX = 2000,
    HOST_NOTE_MAX = 4096,
    HOST_SYMBOLS_MAX = 500,     /* of one call */
    HOST_ADDRESS_NAME_MAX = 80, /* longer names of fields are looked up each time */
    HOST_VALUE_MAX = 2000       /* a header line's value, a property's */
};

struct host_message {
    pthread_mutex_t lock; /* for all below but content and fd */
    struct pn_str content;
    int fd;                     /* borrowed */
    struct pn_message *message; /* made when first asked for */
    bool mime;
    struct pn_pool *pool;
    struct pn_str *texts; /* parts * 3; p is NULL where not made yet */
    size_t text_bytes;
    struct pn_links *links;
    struct pn_text *text;
};

void host_message_init(struct host_message *m, struct pn_str content, int fd);
void host_message_fini(struct host_message *m);

/* What a plugin's last tick left; written by the tick, read by calls on any thread. */
struct host_standing {
    pthread_mutex_t lock;
    _Atomic size_t len; /* 0: nothing; known without the lock */
    char bytes[POSTERN_STANDING_MAX];
};

/* One plugin of a worker. */
struct host_plugin {
    struct pn_plugin *loaded; /* owned by the template */
    const struct postern_plugin *desc;
    unsigned index; /* in the plan */
    uint64_t after; /* plugins of the plan that it reads */
    unsigned needs; /* what its settings add to the descriptor's */
    size_t symbols;
    void *prepared, *instance;
    const struct postern_block *settings;
    struct pn_str tmp_folder;
    struct host_standing *standing; /* NULL: no ticks here */
};

struct host_call;

/* What the host tells whoever runs the calls: a thread begins and ends to wait, and what DNS
 * and lasting state said. */
struct host_waits {
    void (*begin)(void *ctx, struct host_call *call);
    void (*end)(void *ctx, struct host_call *call);
    void (*answered)(void *ctx, struct host_call *call, const struct pn_dns_seen *seen);
    void (*remembered)(void *ctx, struct host_call *call, const struct pn_state_seen *seen);
    void *ctx;
};

/* Where a call stands that asks for the addresses of a field one by one: each is parsed once. */
struct host_addresses {
    char name[HOST_ADDRESS_NAME_MAX]; /* "": none yet */
    size_t n;
    struct pn_str value; /* of that field */
    struct pn_address_walk walk;
    size_t next; /* number of the mailbox that the walk comes to next */
    struct pn_address last;
};

struct host_call {
    struct postern_call call;
    const struct host_plugin *plugin;
    const struct pn_request *request; /* what it is asked for */
    const struct pn_step *step;
    unsigned step_number;
    struct postern_client client;
    char ip_text[PN_IP_TEXT_MAX], local_ip_text[PN_IP_TEXT_MAX];
    struct postern_envelope envelope;
    struct host_message *message; /* NULL before HEADERS */
    struct pn_questions *questions;
    struct pn_state_asker *state;
    const struct pn_facts *earlier; /* of the request */
    /* Of calls done in this request that it may read; n counts from 0; NULL at the end. */
    const struct pn_facts *(*done_facts)(struct host_call *call, size_t n);
    void *done_ctx;
    struct pn_facts *facts; /* what it finds; in pool */
    struct pn_pool *pool;   /* of this call */
    struct pn_pool *life;   /* of host->alloc: transaction, session, or pool */
    struct pn_page_slot *slot;
    const struct host_waits *waits; /* may be NULL */
    uint64_t deadline;              /* monotonic ns */
    uint64_t random;                /* state */
    struct host_started *started;   /* by dns_start, in pool */
    struct host_addresses addresses;
    struct pn_memfile *body; /* of replace_body; NULL: what it says is only counted */
    uint64_t body_max;       /* bytes */
    bool body_cr;            /* it ends in a CR, so far */
    bool edits_dropped;      /* they were too many: it has none */
    bool asked;              /* a question may wait to be sent */
    bool prefetch;           /* starts lookups, waits for none */
    bool tick;               /* of no message */
    struct pn_str waiting;   /* what it waited for last, in pool: "TXT x.test" */
};

extern const struct postern_host host_table;

/* Fills in what follows from plugin, request and step; the rest is the caller's. */
void host_call_init(struct host_call *c, const struct host_plugin *plugin,
                    const struct pn_request *request, unsigned step);

/* The functions of the table, by file. */
static inline struct host_call *host_of(struct postern_call *c)
{
    return c->internal;
}
static inline struct postern_str host_str(struct pn_str s)
{
    return (struct postern_str){s.p == NULL ? "" : s.p, s.len};
}
static inline struct pn_str host_view(struct postern_str s)
{
    return (struct pn_str){s.p == NULL ? "" : s.p, s.len};
}
/* No CR, LF, NUL or other control byte, valid UTF-8. */
bool host_line_ok(struct pn_str s);

enum { HOST_INFO_KEY_MAX = 64, HOST_INFO_VALUE_MAX = 2000, HOST_INFO_MAX = 32 << 20 };

/* Given to prepare, instance_new and info. */
struct host_setup {
    struct postern_setup setup;
    const struct host_plugin *plugin;
    struct pn_buf *err;  /* sentences of setup_error */
    struct pn_buf *info; /* of setup_info: key, tab, value, LF; NULL: it may not be called */
};
void host_setup_init(struct host_setup *s, const struct host_plugin *plugin, struct pn_buf *err);

void host_setup_error(struct postern_setup *s, struct postern_str sentence);
void host_setup_warn(struct postern_setup *s, struct postern_str sentence);
int host_setup_info(struct postern_setup *s, struct postern_str key, struct postern_str value);
struct postern_str host_tmp_folder(struct postern_setup *s);

int host_fact(struct postern_call *c, unsigned symbol, struct postern_str detail);
int host_fact_weighted(struct postern_call *c, unsigned symbol, struct postern_str detail,
                       int32_t weight);
int host_fact_named(struct postern_call *c, struct postern_str name, struct postern_str detail,
                    int32_t weight);
int host_fact_for(struct postern_call *c, size_t rcpt, unsigned symbol, struct postern_str detail);
int host_auth(struct postern_call *c, const struct postern_auth *result);
int host_seen(struct postern_call *c, size_t n, struct postern_fact *out);
int host_seen_auth(struct postern_call *c, struct postern_str method, size_t n,
                   struct postern_auth *out);
int host_note_set(struct postern_call *c, struct postern_str key, struct postern_str value);
int host_note_get(struct postern_call *c, const char *plugin, struct postern_str key,
                  struct postern_str *out);
int host_add_header(struct postern_call *c, struct postern_str name, struct postern_str value);
int host_remove_header(struct postern_call *c, struct postern_str name, size_t n);
int host_insert_header(struct postern_call *c, size_t position, struct postern_str name,
                       struct postern_str value);
int host_change_header(struct postern_call *c, struct postern_str name, size_t n,
                       struct postern_str value);
int host_replace_body(struct postern_call *c, struct postern_str chunk);
int host_change_from(struct postern_call *c, struct postern_str address);
int host_add_rcpt(struct postern_call *c, struct postern_str address);
int host_remove_rcpt(struct postern_call *c, struct postern_str address);

int host_dns_lookup(struct postern_call *c, struct postern_str name, uint32_t type,
                    const struct postern_dns_answer **out);
int host_dns_start(struct postern_call *c, struct postern_str name, uint32_t type);
int host_dns_wait_all(struct postern_call *c);

int host_state_get(struct postern_call *c, struct postern_str key, struct postern_str *value);
int host_state_put(struct postern_call *c, struct postern_str key, struct postern_str value,
                   uint64_t ttl_ms, uint32_t when);
int host_state_take_all(struct postern_call *c, struct postern_take *takes, size_t count);
int host_state_take(struct postern_call *c, struct postern_str key,
                    const struct postern_bucket *bucket, uint32_t *left);

int host_standing_get(struct postern_call *c, struct postern_str *value);
int host_standing_set(struct postern_call *c, struct postern_str value);

struct postern_str host_content(struct postern_call *c);
struct postern_str host_body(struct postern_call *c);
size_t host_header_count(struct postern_call *c);
int host_header_at(struct postern_call *c, size_t i, struct postern_str *name,
                   struct postern_str *value);
int host_header_get(struct postern_call *c, const char *name, size_t n, struct postern_str *value);
int host_header_text(struct postern_call *c, const char *name, size_t n, struct postern_str *value);
int host_words_text(struct postern_call *c, struct postern_str value, struct postern_str *out);
int host_header_address(struct postern_call *c, const char *name, size_t n, size_t k,
                        struct postern_str *local, struct postern_str *domain,
                        struct postern_str *display);
size_t host_part_count(struct postern_call *c);
int host_part(struct postern_call *c, size_t i, struct postern_part *out);
int host_part_text(struct postern_call *c, size_t i, uint32_t how, struct postern_str *out);
int host_url(struct postern_call *c, size_t n, struct postern_str *url, struct postern_str *host);
int host_content_fd(struct postern_call *c);

#endif
