/*
 * The mailbox role, inside: what its files share.
 *
 *   admission.c      whom auth let in (admission.h)
 *   settings.c       what the role goes by, from the policy
 *   rules.c          what holds for a user's mailbox, from the policy
 *   crew.c           the threads that engines run on, shared fairly among users (crew.h)
 *   engines.c        which engines there are
 *   deflate.c        COMPRESS=DEFLATE (deflate.h)
 *   indexer.c        the words of delivered mail, when nobody waits
 *   session_event.c  event lines and counters
 *   session.c        one session: stream, engine, and what it waits for
 *   session_heard.c  whether its client has what was said
 *   sessions.c       all of them: limits, tokens, the records of pass.h
 *   placing.c        into which of a user's folders a delivery goes
 *   sole.c           who has a user while the count of workers changes
 *   quota_ask.c      whether a user has room, asked by edges
 *   orders.c         what an operator asks of a mailbox
 *   mailbox.c        deliveries, peers, and the role
 *
 * All of it runs on the role's loop, but for deliveries and engines, which have threads.
 */
#ifndef MAILBOX_INT_H
#define MAILBOX_INT_H

#include "admin_link.h"
#include "admission.h"
#include "channel.h"
#include "control.h"
#include "crew.h"
#include "deflate.h"
#include "engine.h"
#include "handover.h"
#include "mailbox_policy.h"
#include "role.h"
#include "store.h"
#include "stream.h"
#include "threads.h"

#include <pthread.h>
#include <stdatomic.h>

struct mailbox;

/* ---- settings.c ---- */

struct mailbox_settings {
    uint32_t mailboxes; /* workers */
    uint32_t sessions, user_sessions, threads;
    char delimiter; /* of addresses; '\0': none */
};

/* Takes the generation's policy, which is the caller's then. NULL with a sentence in err. */
struct pn_policy *mailbox_settings_of(struct pn_generation *gen, struct mailbox_settings *out,
                                      struct pn_buf *err);

/* ---- rules.c ---- */

/* Calls read at once with what policy says of this user's mailbox, borrowed for the call. From any
 * thread. */
void mailbox_rules(struct mailbox *mb, struct pn_str user,
                   void (*read)(void *ctx, const struct pn_mailbox_policy *said), void *ctx);
/* Is mail for him refused for good where he has no room? */
bool mailbox_full_rejects(struct mailbox *mb, struct pn_str user);
/* ctx: the struct mailbox. */
extern const struct pn_store_rules mailbox_store_rules;

/* ---- engines.c ---- */

/* What makes the engine of a service; NULL: it is not served. */
extern struct pn_engine *(*const mailbox_imap_engine)(const struct pn_engine_start *start);
extern struct pn_engine *(*const mailbox_pop3_engine)(const struct pn_engine_start *start);

/* The user whose engine that will be; as pn_user_open. */
struct pn_user *mailbox_user(struct pn_store *store, struct pn_str name,
                             enum pn_store_status *status, struct pn_buf *why);

/* Indexes the words of a folder for about so long, on a thread; true: there is more to do. */
bool mailbox_index(struct pn_store *store, struct pn_str user, struct pn_str folder, unsigned ms);

/* ---- sessions ---- */

struct peer;

/* One who has sessions here. */
struct reader {
    struct reader *next; /* of its bucket */
    struct crew_member member;
    unsigned sessions;
    char *name;
};

enum visit_state {
    VISIT_OPENING, /* its mailbox is being opened */
    VISIT_OFFERED, /* it is open; edge did not say yet that the client is ours */
    VISIT_WAITING, /* for bytes, or for news */
    VISIT_RUNNING, /* the engine runs, or waits for a thread */
    VISIT_SENDING, /* the engine has more to say once this is sent */
    VISIT_CLOSING  /* the engine is being freed */
};

/* A session. (pn_session is the record that it begins with.) */
struct visit {
    struct crew_job job; /* first */
    struct visit *next, **prev;
    struct mailbox *mailbox;
    struct reader *reader;
    struct peer *relay;     /* the edge that has the client; NULL: we have, or that edge is gone */
    uint64_t id;            /* that edge's */
    bool offered;           /* the client's own socket, which edge may yet keep: not a word */
    struct pn_timer *timer; /* then, and while `hearing`; owned */
    struct pn_stream *stream;
    struct pn_engine *engine;
    struct pn_buf in, out; /* not consumed yet; said in this run */
    struct pn_buf grown;   /* folders that grew in it; each ends with a NUL */
    size_t consumed;
    struct deflate *deflate; /* NULL: nothing is compressed */
    enum visit_state state;
    enum pn_engine_next said; /* by the last run */
    atomic_bool woken;
    bool again;               /* there is news for the engine that runs */
    bool eof, broken, ending; /* broken: no deflate stream */
    bool hearing;             /* until the client has all that was said: PN_ENGINE_HEARD */
    unsigned look_ms;         /* then: when it is looked at again */
    uint32_t asked;           /* edge, of that: so many times */
    uint64_t unheard;         /* what it did not have */
    uint64_t moved_ns;        /* when that last became less */
    bool parting;             /* the last word is said, and on its way */
    enum pn_engine_why ending_why;
    const char *end; /* why, for the event; NULL: it goes on */
    uint8_t service;
    struct pn_ip ip;
    uint16_t port;
    bool tls;
    char *name, *tag, *cipher; /* owned */
    uint64_t began_ns, bytes_in, bytes_out;
};

/* What must be sent from threads to the loop: an event line. */
struct said_line {
    struct said_line *next;
    struct pn_buf line;
};

enum { READER_BUCKETS = 4096 };

enum mailbox_metric {
    MB_IMAP,
    MB_POP3,
    MB_TAKEN_IMAP,
    MB_TAKEN_POP3,
    MB_NO_PASS,
    MB_TOO_MANY,
    MB_RUNNING,
    MB_DELIVERING,
    MB_METRICS
};

struct mailbox {
    struct pn_loop *loop;
    struct pn_threads *threads; /* of deliveries */
    struct crew *crew;          /* of sessions */
    struct pn_store *store;
    struct peer *peers;
    struct pn_timer *drain_timer;
    struct pn_admin_link *admin;
    struct mailbox_settings settings;
    pthread_mutex_t policy_lock;
    struct pn_policy *policy; /* of today; under policy_lock */
    struct admission *admission;
    struct indexer *indexer;
    struct visit *visits;
    size_t visit_count;
    struct reader *readers[READER_BUCKETS];
    pthread_mutex_t lines_lock;
    struct said_line *lines; /* under lines_lock: for admin */
    struct pn_metric metrics[MB_METRICS];
    unsigned orders; /* an operator's, under way */
    atomic_bool draining;
    uint32_t number, count; /* of this worker, and of all: for its life */
    int sole_fd;            /* sole.c; -1: none */
    bool alone;             /* no worker of another count lives */
};

/* A channel to an edge, the queue or auth; outlives it while jobs still name it. */
struct peer {
    struct peer *next;
    struct mailbox *mailbox;
    struct pn_channel *channel; /* NULL: it ended */
    uint8_t role;
    bool quotas_told;
    unsigned jobs;
};

/* ---- indexer.c ---- */

struct indexer *indexer_new(struct mailbox *mb);
/* Waits for the slice that runs. */
void indexer_free(struct indexer **indexer);
/* Mail came into that folder. */
void indexer_note(struct indexer *indexer, struct pn_str user, struct pn_str folder);
bool indexer_runs(const struct indexer *indexer);

/* ---- session_event.c ---- */

void visit_event_begin(struct mailbox *mb);
void visit_event_end(struct mailbox *mb);
/* The session is over. */
void visit_event(struct visit *v);
/* struct pn_engine_host's; from a thread. */
void visit_moved(void *ctx, struct pn_str from, struct pn_str to, bool into_junk, uint64_t messages,
                 struct pn_str message_ids);

/* ---- session.c ---- */

enum { VISIT_SEND_MS = 5 * 60 * 1000 }; /* for a client that takes nothing */

/* The engine has a turn; more: it goes on with what it is at. */
void visit_run(struct visit *v, bool more);
/* The client is gone, or hears nothing more than what is being sent. */
void visit_finish(struct visit *v, const char *why);
/* Takes fd. reader has room. */
void visit_begin(struct mailbox *mb, struct reader *reader, struct peer *relay,
                 const struct pn_session *from, int fd);
/* Edge says that the client is ours. */
void visit_yours(struct visit *v);
/* Last words, as soon as the engine does not run. */
void visit_end(struct visit *v, enum pn_engine_why why);
/* The edge that relays it is gone: there is no client any more. */
void visit_lost(struct visit *v);

/* ---- session_heard.c ---- */

/* The engine runs again once the client has all that was said. */
void visit_listen_begin(struct visit *v);
/* While that is so: it may have it. */
void visit_listen(struct visit *v);
/* PN_REC_SESSION_LEFT. */
bool sessions_left_said(struct peer *peer, struct pn_str body);

/* ---- sessions.c ---- */

bool sessions_pass(struct peer *peer, struct pn_str body);
/* PN_REC_SESSION, and one whose descriptor could not come (cut). */
bool sessions_open(struct peer *peer, struct pn_record *record, bool cut);
/* PN_REC_SESSION_YOURS. */
bool sessions_yours(struct peer *peer, struct pn_str body);
/* Those that this edge relays are told that it stops. */
void sessions_relay_ends(struct peer *peer);
/* The channel to it ended: it lives no more, or would not be believed. */
void sessions_peer_gone(struct peer *peer);
/* All: the role ends. */
void sessions_drain(struct mailbox *mb);
/* Waits until they are gone, whatever they are at. */
void sessions_free(struct mailbox *mb);
/* A session is gone; its reader may be. */
void sessions_left(struct visit *v);

/* ---- sole.c ---- */

/* folder: that of all mail, borrowed. */
void sole_begin(struct mailbox *mb, int folder);
void sole_end(struct mailbox *mb);
/* On the loop. False: some user may have another worker yet. */
bool sole_alone(struct mailbox *mb);
/* False: another worker has him; who asks reckons with another count of them. */
bool sole_has(const struct mailbox *mb, struct pn_str user);

/* ---- placing.c ---- */

/* Behind the delimiter, in the local part; empty: there is none. */
struct pn_str placing_tag(struct pn_str recipient, char delimiter);
/* The folder a delivery goes into, from a pool of its own. On a thread. */
struct pn_str placing(struct mailbox *mb, const struct pn_deliver *d, struct pn_pool **pool);

/* ---- quota_ask.c, orders.c ---- */

bool mailbox_quota_ask(struct peer *peer, struct pn_str body);
/* Edges know by then whether users here may have quotas of their own. Cheap. */
void mailbox_tell_quotas(struct mailbox *mb);
/* PN_REC_COMMAND, from admin. */
bool mailbox_command(void *ctx, struct pn_record *record);

/* ---- mailbox.c ---- */

void mailbox_stop_if_idle(struct mailbox *mb);
/* False: it has no room, or is gone. */
bool peer_send(struct peer *peer, uint16_t type, struct pn_str body);
/* A job for it has ended. */
void mailbox_peer_done(struct peer *peer);

#endif
