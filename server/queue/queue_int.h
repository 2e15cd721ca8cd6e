/*
 * The queue role, inside: what its files share.
 *
 *   queue.c       the role: start, peers, reload, drain
 *   settings.c    what the configuration says
 *   dest.h        and what it says of single destinations
 *   message.c     messages at hand: table, states, records of the spool
 *   take.c        messages come in from edges
 *   run.c         which recipients are due, and what became of each
 *   again.c       those that are due while others of the message are under way
 *   local.c       to mailbox workers
 *   hop.h         to next hops
 *   bounce.c      what failed, and what is held
 *   report.c      reports to senders
 *   sign_own.c    signatures of those reports
 *   held.h        quarantine and held mail, outside the journal
 *   asked.h       what an operator asks: command.c, asked_words.c, asked_filter.c,
 *                 command_journal.c, command_held.c
 *   frozen.h      domains to which nothing is tried; command_frozen.c
 *   move.c        what keeps the oldest segment is written again at the end
 *   cut.h         messages that go on while their client waits
 *   event.c       event lines and counters
 *
 * A message's life here: take.c makes it and has the spool write it; once durable it is
 * answered and runs: each recipient that is due goes to its route. Every outcome comes
 * back through run_settled, which notes it in the spool (lazily: what a crash forgets is
 * done twice) and, when none is left, ends the message.
 *
 * All of it runs on the role's loop, but for jobs on the pool (marked so) and the spool.
 */
#ifndef PN_QUEUE_INT_H
#define PN_QUEUE_INT_H

#include "admin_link.h"
#include "channel.h"
#include "client.h"
#include "control.h"
#include "dest.h"
#include "handover.h"
#include "net.h"
#include "policy.h"
#include "signer_link.h"
#include "spool.h"
#include "threads.h"

enum {
    QUEUE_PEER_BYTES = 8 * 1024 * 1024, /* that may wait for a peer */
    QUEUE_ACTIVE_MAX = 4000,            /* messages with deliveries under way */
    QUEUE_MAILBOXES_MAX = 64,
    QUEUE_POOL_MAX = 4 * PN_ENVELOPE_MAX /* of one message's envelope, decoded */
};

/* ---- settings ---- */

struct queue_settings {
    char *hostname;
    uint64_t segment_bytes;
    uint64_t disk_reserve; /* bytes that stay free */
    uint64_t messages_max; /* in the queue */
    unsigned connections_max, net_connections_max;
    uint32_t mailboxes; /* workers: which one a user belongs to */
    uint64_t suppress_ms;
    uint64_t idle_ms, connect_ms, hold_age_ms, verify_ms;
    uint64_t warn_ms;    /* how long until a sender hears that his mail waits; 0: never */
    uint64_t return_max; /* bytes of a message that RET=FULL returns whole */
    struct pn_smtp_client_waits waits; /* for a next hop's replies */
    bool literals;                     /* user@[192.0.2.1] is gone to */
    bool event_each;                   /* an event line for each success too */
};
void settings_default(struct queue_settings *s);
void settings_read(struct queue_settings *s, const struct pn_policy *policy);
void settings_fini(struct queue_settings *s);

/* ---- messages ---- */

enum rcpt_state {
    RCPT_WAITING,
    RCPT_UNDER_WAY, /* not noted: after a crash it waits again */
    RCPT_DELIVERED,
    RCPT_FAILED,    /* and the sender told */
    RCPT_HELD,      /* put into quarantine or held */
    RCPT_DROPPED,   /* by an operator */
    RCPT_FAILING,   /* not noted: refused for good or given up, to be reported or held */
    RCPT_KEPT_BACK, /* not noted: on its way to quarantine or hold */
    RCPT_REPORTING, /* delivered; its sender is to be told */
    RCPT_RELAYING,  /* the same, by way of a next hop that makes no reports */
    RCPT_STATE_COUNT
};

/* What an operator wants of a recipient that waits. */
enum rcpt_order { ORDER_NONE, ORDER_DROP, ORDER_HOLD, ORDER_BOUNCE };

/* What a try met: bits of rcpt.heard. */
enum {
    HEARD_WORDS = 1,   /* the last reply is a server's, not ours */
    HEARD_RELAYED = 2, /* a next hop by SMTP, which is not where mail ends */
    HEARD_DSN = 4      /* it takes what the sender asked for and reports itself */
};

struct rcpt {
    uint8_t state;
    uint8_t order;    /* enum rcpt_order; not noted */
    uint8_t heard;    /* of the try at hand; not noted */
    bool noted : 1;   /* the spool knows */
    bool expired : 1; /* failing by time, not by the last reply */
    bool frozen : 1;  /* not tried the last time, for its domain was frozen; not noted */
    bool warned : 1;  /* its sender was told that it waits */
    uint16_t tries;
    int64_t due_ms;    /* wall clock */
    const char *reply; /* the last one, "451 4.3.0 Words"; of last_reply.h; NULL: none */
};

enum message_op { OP_NONE, OP_MESSAGE, OP_NOTE, OP_END, OP_MOVE };

struct message;
struct attempt;

/* Somebody who waits until a message's news are on disk; the waiter's. */
struct message_wait {
    struct message_wait *next;
    /* error: 0 or why they are not; then the queue goes on trying. May change m's states. */
    void (*done)(struct message_wait *wait, struct message *m, int error);
};

/*
 * A message. This much of it stays in memory as long as it is in the queue, of which there
 * may be a million; the rest is in `work`, which is there only while something is done.
 */
struct message {
    struct queue *queue;
    struct message *next_same; /* in the table */
    uint64_t id;
    struct spool_ref ref;
    struct message_work *work; /* message_busy makes it; NULL: it rests */
    int64_t due_ms;
    struct rcpt *rcpts; /* only, if there is but one */
    struct rcpt only;
    uint32_t rcpt_count;
    uint32_t open;      /* not settled */
    uint32_t under_way; /* tries begun and not settled */
    uint32_t heap_at;   /* place in the queue's heap + 1; 0: not there */
    uint8_t writing;    /* enum message_op: what work->op is */
    uint8_t load_fails; /* in a row */
    bool loading;       /* a job reads envelope and content */
    bool moving;        /* by move.c, not for a try */
};

struct message_work {
    struct message *m;
    struct spool_op op;           /* one record at a time */
    struct pn_buf note;           /* op's meta while a note is written */
    struct message_wait *waits;   /* for the next record */
    struct message_wait *told;    /* for the one that is being written */
    struct message_wait *ordered; /* until it rests and that is noted; meanwhile only its
                                   * recipients with an order have their turn */
    struct taking *taking;        /* while it is taken */
    char *damaged; /* why it can't be read back; owned; NULL: it can, for all we know */

    struct pn_buf meta;     /* as in the spool; empty: not loaded */
    struct pn_pool *pool;   /* of env's arrays; NULL: not loaded */
    struct pn_envelope env; /* borrows from meta */
    int content_fd;         /* -1: not open */
    struct pn_str content;  /* its bytes, once message_content was asked */
    bool content_mapped;    /* else they are allocated */
    struct tried *tried;    /* attempt.h's, of each recipient; NULL: of none */

    struct message_work *again_next, **again_at; /* again.c's list; NULL: not there */
    int64_t again_due_ms;
};

/* Its work, made if need be. */
struct message_work *message_busy(struct message *m);
/* Are envelope and recipients at hand? */
bool message_loaded(const struct message *m);
/* Why it can't be read back; NULL: it can, for all we know. */
const char *message_damaged(const struct message *m);
/* The encoded envelope within a message's meta; "": it is of another version. */
struct pn_str message_envelope_in(struct pn_str meta);
/* It is not what was written: it is tried no more, an operator is told, once, and may look
 * at it, release it to have it tried again, or drop it. */
void message_damage(struct message *m, const char *why);
void message_mended(struct message *m);
/* That of a loaded one. */
struct pn_str message_envelope(const struct message *m);
/* It is delivered, and a report of that is due. */
bool rcpt_is_told(const struct rcpt *r);
/* Not at its end. */
bool rcpt_is_open(const struct rcpt *r);
struct message *message_new(struct queue *q, uint64_t id);
/* Out of table and heap, released from the spool, freed. */
void message_free(struct message *m);
struct message *message_find(struct queue *q, uint64_t id);
/* Sets the envelope from an encoded one, copied. False: malformed. */
bool message_set_envelope(struct message *m, struct pn_str envelope);
/* From the meta of a message record, copied: envelope and states. False: malformed. */
bool message_set_meta(struct message *m, struct pn_str meta);
/* From a progress record. False: malformed. */
bool message_add_note(struct message *m, struct pn_str meta);
/* Takes content_fd; its size is the envelope's. */
void message_hold(struct message *m, int content_fd);
/* The content's bytes, read or mapped from content_fd if need be; kept until it is let go
 * of. False with errno. */
bool message_content(struct message *m, struct pn_str *out);
/* Lets go of envelope and content; states stay. */
void message_unload(struct message *m);
/* Has the spool write what is new, in its own time: a note, or the end. */
void message_note(struct message *m);
/* The same at once, and wait->done says when it is on disk; maybe before this returns. */
void message_note_for(struct message *m, struct message_wait *wait);
/* Has the spool write a loaded message again, whole. False: its content can't be read. */
bool message_write_again(struct message *m);
/* The spool's answer to an op of a message, on the loop. */
void message_written(struct message *m);

/* ---- the role ---- */

struct edge_peer {
    struct edge_peer *next;
    struct queue *queue;
    struct pn_channel *channel; /* NULL: ended, kept while something is being taken */
    unsigned takes;
    struct edge_file *files; /* given to it, not taken yet */
    struct cut *cuts;        /* that it began */
    unsigned file_count;
};

struct local_list {
    struct local_try *first, **end;
};

struct mailbox_peer {
    struct queue *queue;
    struct pn_channel *channel; /* NULL: away */
    struct local_list asked, waiting;
    unsigned under_way; /* asked */
};

struct queue {
    struct pn_loop *loop;
    struct pn_control *control;
    struct pn_threads *threads;
    struct spool *spool;
    struct pn_timer *timer; /* the heap's first */
    struct pn_timer *clock_timer;
    uint64_t began_ns; /* this process, monotonic */
    int64_t clock_ms;  /* what the wall clock said when it was last looked at */
    struct pn_timer *drain_timer;
    struct pn_timer *age_timer;
    struct pn_timer *move_timer;
    unsigned moving;            /* messages that move.c has in hand */
    struct message_work *again; /* messages under way with recipients that wait */
    struct pn_timer *again_timer;
    int64_t again_due_ms; /* 0: the timer is not set */
    struct queue_settings settings;
    struct dests *dests;
    struct suppress *suppress;
    struct pn_policy *policy; /* NULL: none was given */
    struct pn_admin_link *admin;
    struct pn_signer_link *signer;
    int held;               /* its folder */
    struct asked *asked[2]; /* commands: those that change something, those that look */
    int folder;             /* the spool's */

    struct message **table;
    size_t table_size; /* a power of two */
    size_t message_count, damaged;
    struct frozen *frozen; /* domains; frozen.h */
    bool freezing;         /* a change of them is being written */
    struct pn_timer *thaw_timer;
    size_t thaw_at;          /* in the table */
    struct replies *replies; /* last ones of recipients */
    struct message **heap;   /* by due_ms; those with nothing under way */
    size_t heap_count, heap_cap;
    size_t active;       /* messages with tries under way or loading */
    size_t active_max;   /* QUEUE_ACTIVE_MAX, or what descriptors allow */
    uint64_t next_file;  /* content files */
    uint64_t bytes_held; /* of content descriptors kept open, and how many they are */
    size_t fds_held, fds_max;
    uint64_t next_token;
    struct pn_queue_id_maker ids;

    struct edge_peer *edges;
    struct mailbox_peer mailboxes[QUEUE_MAILBOXES_MAX];
    struct verify_answer *answers; /* a table */
    uint64_t answers_seed;
    struct hop **hops;           /* a table */
    size_t hop_count, hop_sweep; /* idle ones are forgotten beyond hop_sweep */
    struct hop *hops_queued;
    unsigned conn_count;
    struct conn *idle_first, **idle_end; /* connections with nothing to do, the oldest first */
    struct turns {
        struct hop *first, **end;
        size_t count;
    } turns[2];     /* hops that wait for others' connections: with ordinary mail, and bulk */
    unsigned *nets; /* connections to a network, a table */
    struct pn_tls_context *tls;
    struct pn_channel *resolver; /* NULL: away */
    struct lookup *lookups;      /* asked and not answered */
    struct shunned *shunned;     /* a table */
    uint64_t shun_seed;
    uint64_t mx_seed; /* one more for each finding */
    size_t ops;       /* given to the spool and not answered */
    struct pn_timer *room_timer;
    uint64_t room_unseen; /* bytes taken since the disk was looked at */
    bool no_room;         /* on the disk; edges know */
    bool draining;
    bool closed; /* nothing is given to the spool any more */
};

/* take.c */
void take_init(struct queue *q);
void take_peer(struct queue *q, struct pn_peer *peer);
/* Why no message can be taken now, as a reply; 0: it can. */
uint16_t take_objection(struct queue *q, struct pn_str *text);

/* take_file.c: records of an edge. False: malformed. */
bool take_file_want(struct edge_peer *peer, struct pn_str body);
bool take_file_drop(struct edge_peer *peer, struct pn_str body);
/* The file is a message's from now on: its read-only descriptor, -1: not one of this peer. */
int take_file_claim(struct edge_peer *peer, uint64_t number);
/* The edge went: nobody will fill them. */
void take_files_end(struct edge_peer *peer);

void take_end_all(struct queue *q);
/* One thing less to be answered. */
void take_peer_release(struct edge_peer *peer);
/* A record of that type with a struct pn_delivered; an edge that is gone gets none. */
void take_peer_answer(struct edge_peer *peer, uint16_t type, uint64_t token, uint16_t code,
                      struct pn_str text);

/* verify.c: an edge's question about a recipient. False: malformed. */
void verify_init(struct queue *q);
bool verify_ask(struct edge_peer *peer, struct pn_str body);
/* The spool answered a message's first record. */
void take_written(struct message *m);
/* Keeps a message of our own making, and runs it. Takes content_fd; done(ctx, 0 or errno)
 * is called once, maybe before this returns. */
void take_signed(struct queue *q, const struct pn_envelope *env, int content_fd,
                 void (*done)(void *ctx, int error), void *ctx);

/* sign_own.c: the same, a report signed first where a sign block names us. Content is sealed. */
void take_own(struct queue *q, const struct pn_envelope *env, int content_fd,
              void (*done)(void *ctx, int error), void *ctx);

/* run.c */
void run_init(struct queue *q);
/* Gives it to its routes now, or when others are done. */
void run_message(struct message *m);
/* Puts it into the heap by its recipients' due times. */
void run_later(struct message *m);
void run_remove(struct message *m); /* from the heap */
/* When it will be given up, at the next try behind that (ms since 1970). */
int64_t run_expires_ms(const struct message *m, uint32_t index);
/* What became of one try. code 0: none was made, no fault of the recipient's. */
void run_settled(struct message *m, uint32_t index, uint16_t code, struct pn_str text);
/* The same, by a try at a server (attempt.h). */
void run_settled_by(struct message *m, uint32_t index, uint16_t code, struct pn_str text,
                    struct attempt *by);
/* None was made, for others wait there already: it comes again by then. Who is turned away does
 * not expire by that: after a thaw there may be many that are old. */
void run_postponed(struct message *m, uint32_t index, uint64_t ms, struct pn_str why);

/* Those of its recipients that are due go to their routes while others are under way. */
void run_again(struct message *m);

/* again.c: m, under way, has a recipient that is due then; it rests, or is looked at now. */
void again_init(struct queue *q);
void again_at(struct message *m, int64_t due);
void again_forget(struct message *m);

/* It could not be read back, errno says why. True: it is damaged, and rests. */
bool run_unreadable(struct message *m, int error);

/* The first try was made while the client waited: m is not in the journal, and where that was no
 * success or refusal its recipients wait. */
void run_cut(struct message *m, uint16_t code, struct pn_str text);

/* Lets go of a pin (under_way was raised without a try). */
void run_unpin(struct message *m);

/* bounce.c */
/* Recipients that policy keeps back go to their files; each file pins the message. */
void bounce_keep_back(struct message *m);
/* Failing recipients are reported or held, and what else is to be reported is. True: that
 * takes its time, m is pinned. */
bool bounce(struct message *m);
/* Where these recipients go on: durable, or tried again in a minute. */
void bounce_conclude(struct message *m, const uint32_t *indices, uint32_t count, int error,
                     uint8_t state);
/* Removes held mail that is too old, now and every hour. */
void bounce_expire_held(void *queue);

/* report.c */
enum report_kind { REPORT_FAILED, REPORT_SUCCESS, REPORT_DELAYED, REPORT_KIND_COUNT };
enum report_end {
    REPORT_NONE,    /* there is nothing to report */
    REPORT_BEGUN,   /* the message is pinned meanwhile; maybe no more */
    REPORT_NOWHERE, /* no report may or can go to its sender */
};
/* May its sender be sent a report at all? */
bool report_may(const struct message *m);
/* He asked not to be told of a failure. */
bool report_is_silent(const struct message *m, uint32_t index);
/* The state of a recipient whose mail was taken. */
uint8_t report_success(const struct message *m, uint32_t index);
/* What a next hop is asked of reports (NOTIFY): where the sender may be forged, none but of
 * failure. */
uint8_t report_onward(const struct message *m, uint32_t index);
/* Makes the report of that kind that is due. */
enum report_end report_make(struct message *m, enum report_kind kind);

/* move.c: what keeps the oldest segment is written again at the end. */
void move_init(struct queue *q);
void move_written(struct message *m);

/* route.c: where an address goes by today's policy. False: nowhere. to borrows from address
 * and pool. */
bool route_address(struct queue *q, struct pn_str address, struct pn_pool *pool,
                   struct pn_recipient *to);
/* The same for all who have a report to that address: itself, or whom it stands for. How many;
 * 0: nowhere. */
uint32_t route_report(struct queue *q, struct pn_str address, struct pn_pool *pool,
                      struct pn_recipient **to);

/* event.c */
void event_init(struct queue *q);
void event_taken(void);
/* What a recipient's state says now, as an event line. */
void event_delivery(struct message *m, uint32_t index);
/* The same for a success, which has a line only if the configuration asks for it. */
void event_delivered(struct message *m, uint32_t index);

void event_damaged(struct message *m);
/* A connection to a next hop that no mail could be given to. */
void event_connection(struct queue *q, const char *next_hop, const struct attempt *a,
                      const char *reply);
/* Messages cut through by what became of that; LOST: not sent, the journal has what came. */
enum cut_event {
    CUT_EVENT_DELIVERED,
    CUT_EVENT_REFUSED,
    CUT_EVENT_KEPT,
    CUT_EVENT_DOUBLED, /* of those kept: it may be at the next hop as well */
    CUT_EVENT_LOST
};
void event_cut(enum cut_event what);
/* It was sent, no answer came, and it is kept: an event line, and counted. */
void event_doubled(struct message *m, struct pn_str reason);
/* A report, message `id`, is made about so many of its recipients. */
void event_report(struct message *m, enum report_kind kind, uint64_t id, uint32_t count);

/* command.c: a COMMAND of admin's. */
bool queue_command(void *queue, struct pn_record *record);

/* hop.c: next hops. hop_try puts a recipient in line, hop_flush lets the lines move. */
void hop_init(struct queue *q);
void hop_try(struct message *m, uint32_t index);
void hop_flush(void *queue);
/* What the configuration says of where a recipient's mail goes; borrowed, never NULL. */
struct dest *hop_dest(const struct queue *q, const struct pn_recipient *to);
/* That of a recipient is tried again even if it could not be reached a moment ago. */
void hop_reopen(struct queue *q, const struct pn_recipient *to);
/* The destinations are new ones. */
void hop_rebind(struct queue *q);
void hop_drain_all(struct queue *q);

/* local.c */
void local_init(struct queue *q);
void local_peer(struct queue *q, struct pn_peer *peer);
void local_end_all(struct queue *q);
void local_try(struct message *m, uint32_t index);

#endif
