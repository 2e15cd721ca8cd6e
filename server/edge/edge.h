/*
 * The edge role, inside: what its files share. An edge speaks SMTP to clients, has the
 * plan run over what they bring (filters/runner.h), decides (policy/decide.h) and acts:
 * refuses in the session, or hands the message to a mailbox or to the queue and answers
 * 250 once that says it is durable.
 *
 *   generation.c    what transactions work by, from the policy
 *   outbox.c        what was handed over and not yet answered
 *   client_name.c   the name of a client's address, asked of the resolver
 *   edge_metrics.c  counters
 *   edge_event.c    the line that says what happened and why
 *   edge_fate.c     what a message leaves in lasting state, told to the state role
 *   limits.c        by address and network
 *   unknown.c       commands that are none of ours, for the plugins
 *   turn.c          how long a client may take, what may lie in memory for it
 *   trace.c         the header lines that we add and remove
 *   content.c       a message's content: in memory, or in a file of the queue's
 *   forward_srs.c   senders of forwarded mail
 *   forward.c       recipients that stand for others: aliases, forwards
 *   auth.c          logins, asked of the auth role
 *   relay.c         sessions with TLS of users who read their mail
 *   access.c        those users until they are in: IMAP and POP3 before login
 *   submit.c        what users submit: who sends as whom, what its header lacks, too much of it
 *   rcpt_known.c    whom we take mail for
 *   rcpt_quota.c    whose mailbox here is full
 *   ask_dsn.c       what the client asks of reports
 *   cut.c           messages that go on while their client waits
 *   edits.c         what plugins may change of envelope and body
 *   sign.c          DKIM signatures of our own mail
 *   act.c           what is done about a message, and the reply
 *   transaction.c   one message: checks, decisions
 *   recipients.c    RCPT
 *   session.c       one client connection: stream, TLS, SMTP engine
 *   accept.c        from a socket to a session: limits, PROXY
 *   edge_role.c     the role: start, peers, listeners, reload, drain
 *
 * Each calls only those that stand above it, and is called back by what it handed over.
 * Everything runs on the role's loop; nothing blocks.
 */
#ifndef EDGE_H
#define EDGE_H

#include "admin_link.h"
#include "channel.h"
#include "control.h"
#include "cut_record.h"
#include "edit.h"
#include "handover.h"
#include "intern.h"
#include "limit_table.h"
#include "memfile.h"
#include "message.h"
#include "net.h"
#include "policy.h"
#include "pool.h"
#include "runner.h"
#include "sasl.h"
#include "server.h"
#include "signer_link.h"
#include "srs.h"
#include "stream.h"
#include "verdict.h"

struct session;
struct transaction;
struct name_lookup;
struct client_names;
struct edge_state;
struct signing;
struct edge_auth;
struct login;
struct access;
struct relay;
struct place;

/* What holds for mail that users submit. */
struct edge_submission {
    bool own_from, hide_client;
    uint32_t per_hour; /* recipients of a user's; 0: no limit */
    uint64_t hold_ms;
};

/* What a transaction works by; a reload makes a new one, sessions take it at their next
 * MAIL. */
struct edge_generation {
    unsigned refs;
    uint32_t serial;
    struct pn_policy *policy;
    struct pn_plan *plan;
    struct pn_tls_context *tls; /* NULL: no certificate, no STARTTLS */
    struct pn_str hostname, authserv_id;
    uint64_t size_max, memory_max;
    uint32_t hops_max;
    bool early_stages;  /* a plugin looks before content */
    bool client_names;  /* are asked for */
    bool early_talkers; /* are served; plugins are told */
    bool cut_through;   /* cut.c */
    bool plain_login;   /* who reads his mail from this machine needs no TLS */
    uint64_t login_ms;  /* for IMAP and POP3, from connecting to a login */
    uint64_t greet_delay_ms, command_ms, data_ms, handshake_ms, proxy_ms, session_ms, handover_ms;
    uint64_t data_rate; /* bytes a second, at least; 0: none */
    uint64_t flight_messages_max, flight_bytes_max, sessions_max;
    struct pn_limit_rules limits;
    struct pn_srs srs;       /* count 0: senders stay as they are */
    struct pn_pool *secrets; /* srs's; NULL: none; wiped when freed */
    struct edge_submission submission;
    struct pn_smtp_server_config smtp[2], lmtp[2]; /* [1]: bare LF is normalized */
};

/* One that listens; its row is in the generation it came with. */
struct edge_listener {
    struct edge *edge;
    struct pn_watch *watch;
    int fd;
    uint32_t row;
    struct pn_listen listen;
};

/* How long a client may wait for word of a user's quota; then there is room. */
enum { OUTBOX_QUOTA_MS = 2000 };

/* Called once: the answer of queue or mailbox; code 0: none came, or not in time. */
typedef void outbox_fn(void *ctx, const struct pn_reply *reply);

/* The answer to a want of a file: its descriptors are the callee's; file 0: none. */
typedef void outbox_file_fn(void *ctx, uint64_t file, int rw, int ro);

struct outbox_entry {
    uint64_t token;
    outbox_fn *fn; /* both NULL: nobody waits any more */
    outbox_file_fn *file_fn;
    void *ctx;
    unsigned peer; /* which channel it went to */
    bool late;     /* who waited was told that no answer came */
    bool mail;     /* a message went with it, no question */
    bool quota;    /* a question that may stay without an answer */
    uint64_t due_ns;
    uint64_t file; /* of the queue's, that went with it; 0: none */
};

enum { EDGE_MAILBOXES_MAX = 64, EDGE_PEER_QUEUE = EDGE_MAILBOXES_MAX };

struct edge_mailbox {
    struct edge *edge;
    struct pn_channel *channel; /* NULL: it is away */
    uint64_t stalled_ns;        /* until then the queue gets its mail: it did not answer */
    bool quotas;                /* users of its have some of their own, it says */
};

struct edge {
    struct pn_loop *loop;
    struct pn_control *control;
    struct pn_runner *runner;
    struct edge_generation *gen;
    uint32_t number;
    struct edge_listener *listeners;
    size_t listener_count;

    struct pn_channel *queue;
    bool disk_full;        /* the queue said so: no MAIL */
    uint64_t queue_serial; /* of the queue's processes, as they come */
    struct edge_mailbox mailboxes[EDGE_MAILBOXES_MAX];
    struct pn_admin_link *admin;
    struct pn_signer_link *signer;
    struct client_names *names; /* NULL: there was no resolver yet */
    struct pn_limits *limits;   /* NULL: no table, nothing is limited */
    struct edge_state *state;   /* NULL: nothing was to be told yet */
    struct edge_auth *auth;     /* NULL: there was no auth role yet */

    struct outbox_entry *outbox;
    size_t outbox_count, outbox_cap;
    struct pn_timer *outbox_timer;
    uint64_t unanswered, answered_late; /* handed over */
    uint64_t next_token;

    struct pn_queue_id_maker ids;
    char *scratch;            /* PN_SMTP_RESERVE_MAX bytes: content between scanner and file */
    struct session *sessions; /* all that live */
    size_t session_count;
    uint64_t sessions_total, events_lost, state_lost;
    struct access *handing; /* sessions on their way to a mailbox worker */
    struct relay *relays;
    size_t relay_count;
    uint64_t limited_next, limited_unsaid; /* when such an event may be written again */
    struct pn_metric *metrics;             /* edge_role.c */
    bool draining;
    struct pn_timer *drain_timer;
    struct pn_timer *accept_timer; /* no descriptors are left: accept again then */
};

struct session {
    struct edge *edge;
    struct edge_generation *gen;
    struct session *next, **prev;
    int fd;                       /* until there is a stream; then -1 */
    struct pn_watch *proxy_watch; /* while a PROXY header is due */
    size_t proxy_seen;            /* bytes of it that are there */
    struct pn_timer *timer;       /* for that header, then for the greeting if it is held back */
    struct pn_stream *stream;
    struct pn_smtp_server *smtp;
    struct pn_check *check;  /* made when the first plugin is due */
    struct transaction *txn; /* NULL between messages */
    enum pn_listen_kind kind;
    struct pn_smtp_server_config smtp_config; /* of submission: its own, for what is offered */
    struct login *login;                      /* an exchange is under way */
    struct access *access;                    /* IMAP and POP3; then there is no smtp */
    char *user, *senders;                     /* who logged in; owned; NULL: nobody */
    struct pn_ip ip;                          /* the client's, by PROXY if one was read */
    uint16_t port;
    struct pn_ip local; /* where it connected to; local_port 0: not known */
    uint16_t local_port;
    bool tls_due, started, early_talker, tls_on;
    bool proxied;        /* a balancer speaks for it */
    uint32_t held;       /* bytes sent ahead, and replies unread, counted in those in flight */
    uint32_t turn_line;  /* turn.c: the engine's count of lines at the turn's begin */
    uint64_t turn_ns;    /* when it became the client's turn */
    uint64_t paused_ns;  /* when it became ours; 0: it is not */
    uint64_t content_ns; /* when content began, our own turns left out; 0: it did not */
    uint64_t began_ns;
    uint64_t number; /* in the log: edge-N.number */
    char *helo;      /* owned; NULL before HELO */
    char *
        unknown[POSTERN_UNKNOWN_MAX]; /* the first lines with a command that we don't know; owned */
    uint32_t unknown_count;           /* of all of them */
    uint32_t unknown_before_helo;     /* of those kept */
    char *ptr;                        /* the client's name, owned; NULL: none that holds is known */
    bool name_asked;
    struct name_lookup *name_lookup;
    struct pn_limits_ticket ticket;
    bool counted, limited; /* in the table; by address and network too */
    bool *gone;            /* set when it is freed in a callback of its stream */
};

enum {
    TXN_POOL_MAX = 4 * 1024 * 1024,
    TXN_AWAY_NAMED = 50,  /* of those turned away, so many are named in the event; the rest is
                             counted */
    TRACE_GROUPS_MAX = 10 /* of recipients with the same header */
};

struct txn_rcpt {
    struct pn_str address;          /* canonical */
    struct pn_str local;            /* its part before the @, in lower case */
    const struct pn_domain *domain; /* whose policy decides */
    const struct pn_domain *home;   /* whose route it takes; NULL: by MX, what a user submits */
    bool refused;                   /* at RCPT, behind what rcpt_refusal says */
    struct pn_str refusal;          /* in these words; pooled or static */
    bool added, removed;            /* by a plugin */
    uint32_t edit;                  /* that edit */
    const struct pn_expansion *stands_for; /* NULL: for itself */
    struct pn_smtp_dsn_rcpt dsn;           /* what the client asks of reports; pooled */
    struct pn_str given; /* the address as he wrote it, where that differs; pooled */
};

/* rcpt_quota.c: of the recipient that is asked about. */
struct txn_quota {
    size_t next; /* of those it stands for */
    bool later;  /* one that is full may be tried again */
    void (*done)(struct transaction *t, const char *refusal);
};

struct edge_content {
    bool open;
    bool failed;   /* no room, or the file took no more */
    bool data_due; /* the data stage waits for the file */
    bool given;    /* the file went with a TAKE: it is the queue's */
    struct pn_memfile memory;
    uint64_t len;
    uint64_t token;                                     /* of the want; 0: none is open */
    uint64_t file;                                      /* its number; 0: none */
    uint64_t queue_serial;                              /* of the queue that gave it */
    int rw, ro;                                         /* of the file */
    void (*replaced)(struct transaction *t, bool kept); /* waits for the file */
};

struct transaction {
    struct session *s;
    struct pn_pool *pool;
    uint64_t id;
    char id_text[PN_QUEUE_ID_TEXT_MAX];
    uint64_t began_ns;
    int64_t now_ms; /* its clock, as plugins see it */
    struct pn_str from;
    struct pn_str mail_args; /* of MAIL, as written */
    bool body_8bit, smtputf8;
    struct pn_smtp_dsn_mail dsn; /* pooled */
    struct txn_rcpt *rcpts;
    size_t rcpt_count, rcpt_cap, refused_count;
    size_t turned_away;    /* refused and not in rcpts: unknown, relayed, not verified */
    struct txn_rcpt *away; /* the first of them */
    size_t away_count, away_cap;
    uint32_t *replies; /* LMTP: the recipients, by number, that a reply is owed for, in order */
    size_t reply_count, reply_cap;
    size_t expanded;          /* addresses that those taken stand for */
    struct pn_str *delivered; /* NULL: not read yet; whom its Delivered-To lines name */
    size_t delivered_count;
    bool delivered_many; /* more of them than anybody reads */
    uint32_t *seen;      /* hash table of addresses taken: index into rcpts, and 1 */
    size_t seen_count, seen_cap;
    uint32_t group;            /* of policy: the first recipient's taken */
    bool groups_differ, split; /* of those taken: another has another; one wants one */
    uint64_t shared;           /* plugins that may change body or sender: those they all want */
    uint64_t declared;         /* SIZE of MAIL, or 0 */
    struct edge_content content;
    uint64_t size;
    struct pn_str message_id;
    bool lacks_date, lacks_id, lacks_from; /* what a user submits: added to its header */
    struct pn_str hold;                    /* why all of it is held; empty: it is not */
    bool ran; /* the plan ran over content: there is a verdict, or will be */
    struct pn_verdict verdict;
    size_t next_edit;
    void (*edits_done)(struct transaction *t);
    struct pn_str onward;    /* the reverse-path with which it goes on */
    struct pn_str rewritten; /* that of what goes on to others' servers; .p NULL: not asked yet */
    struct pn_new_body body;
    enum pn_new_body_end body_end;
    bool eight;                               /* the new body is not ASCII alone */
    struct pn_edits *lines[TRACE_GROUPS_MAX]; /* of trace.c's groups; those used come first */
    struct pn_envelope *env;                  /* as it is handed over; NULL: not yet */
    struct signing *signing;                  /* NULL: none is under way */
    struct pn_str signed_domain;              /* by its keys */
    uint32_t signed_keys;                     /* so many; 0: it was not signed */
    const char *unsigned_because;             /* a header that can't be signed; NULL: none */
    bool cut_begun,
        cut_off;      /* cut.c: the next hop was asked; nothing goes on that way (any more) */
    size_t cut_count; /* recipients that it takes */
    void (*cut_done)(struct transaction *t, struct pn_str refusal);
    struct txn_quota quota;
    uint64_t token; /* of what was handed over; 0: nothing is */
    bool evented;
};

/* ---- generation.c ---- */

struct edge_generation *edge_generation_new(const struct pn_generation *gen, struct pn_buf *err);
void edge_generation_unref(struct edge_generation **gen);

/* ---- forward_srs.c: senders of forwarded mail, and reports that come back for them ---- */

/* Reads the secrets, which the supervisor looked at; false with a sentence in err. fd is the
 * caller's; -1: none. */
bool forward_secrets(struct edge_generation *g, int fd, struct pn_buf *err);
/* What the message goes on under to others' servers; empty: as it came. */
struct pn_str forward_sender(struct transaction *t);
/* Is this recipient an address that we made for a sender? *refusal then: NULL, or the reply;
 * it stands for the sender. */
bool forward_report(const struct transaction *t, struct txn_rcpt *r, const char **refusal);

/* ---- outbox.c ---- */

/* Sends and remembers who waits; the token, or 0: the channel is gone or full. */
uint64_t outbox_deliver(struct edge *edge, unsigned mailbox, struct pn_deliver *deliver,
                        int content_fd, outbox_fn *fn, void *ctx);
/* Asks the queue whether the next hop takes a recipient. */
uint64_t outbox_verify(struct edge *edge, struct pn_verify *verify, outbox_fn *fn, void *ctx);
/* Asks a mailbox whether a user's quota leaves room; waits OUTBOX_QUOTA_MS at most. */
uint64_t outbox_quota(struct edge *edge, unsigned mailbox, struct pn_quota_ask *ask, outbox_fn *fn,
                      void *ctx);
/* Has that worker users with quotas of their own, whatever policy says? */
bool outbox_has_quotas(const struct edge *edge, unsigned mailbox);
uint64_t outbox_take(struct edge *edge, const struct pn_envelope *env, int content_fd,
                     outbox_fn *fn, void *ctx);
uint64_t outbox_want_file(struct edge *edge, uint64_t size, outbox_file_fn *fn, void *ctx);
void outbox_drop_file(struct edge *edge, uint64_t file);
/* Asks for a recipient of a message that is cut through; or: none is any more. */
uint64_t outbox_cut(struct edge *edge, struct pn_cut_rcpt *ask, outbox_fn *fn, void *ctx);
void outbox_cut_drop(struct edge *edge, uint64_t id);
/* Its answer may take so much longer. */
void outbox_patience(struct edge *edge, uint64_t token, uint64_t ms);
/* "451 4.3.0 Words" of a reply that another role gave, pooled. */
struct pn_str outbox_reply(struct pn_pool *pool, const struct pn_reply *reply);
/* Who waited is gone. */
void outbox_forget(struct edge *edge, uint64_t token);
/* A peer's channel came, for the first time or anew. */
bool outbox_peer(struct edge *edge, struct pn_peer *peer);
void outbox_free(struct edge *edge);

/* ---- client_name.c ---- */

/* Once a session; s->ptr is set when the answer comes. */
void client_name_ask(struct session *s);
/* What is known by now: what a plugin states as iprev, else what was asked here; empty: no
 * name that holds. Borrowed for the moment. */
struct pn_str client_name(const struct session *s);
/* The session goes. */
void client_name_forget(struct session *s);
/* A resolver came: takes peer->fd. */
void client_names_peer(struct edge *edge, struct pn_peer *peer);
void client_names_free(struct edge *edge);

/* ---- edge_metrics.c ---- */

/* Owned by the caller. */
struct pn_metric *edge_metrics_new(size_t *count);
/* ctx: the edge. */
void edge_metrics_fill(void *ctx);
/* What became of a message. */
void edge_count(struct edge *edge, enum pn_outcome outcome);

/* ---- edge_event.c ---- */

/* "0-1234": names the session in the log. */
const char *session_name(const struct session *s, char text[32]);
/* What the client did not wait for by now: POSTERN_EARLY_*. */
uint32_t session_early(const struct session *s);
/* Empty where the session has none. Its strings are OpenSSL's and stay. */
struct pn_check_tls session_tls(const struct session *s);
/* Of a verdict that is settled and answered. */
void event_message(struct transaction *t);
/* A session that was refused before any message: which limit, which rule. */
void event_session(struct session *s, const char *what, struct pn_str detail);

/* ---- edge_fate.c ---- */

/* A state role came: takes peer->fd. */
void edge_state_peer(struct edge *edge, struct pn_peer *peer);
void edge_state_free(struct edge *edge);
/* What became of the message, or (DROPPED, outside of a transaction) of the session. */
void edge_fate(struct session *s, enum pn_fate fate);

/* ---- limits.c ---- */

/* False: one more session from there is too much. */
bool session_enter(struct session *s);
/* Where a session is counted, taken from it: a relay, or last words, are so counted on. NULL: it is
 * counted nowhere. */
struct place *session_place(struct session *s);
/* It is left; place may be NULL. */
void place_leave(void *place);
/* Counts one more of these; true: it is one too many, and an event was written, unless
 * there were many just now. */
bool session_limited(struct session *s, enum pn_rate rate);

/* ---- unknown.c ---- */

void unknown_note(struct session *s, struct pn_str line);
/* The client says who it is: what it said until now came before that. */
void unknown_helo(struct session *s);
/* To a check that was made just now: those from before its HELO, then, behind that, the rest. */
void unknown_tell(const struct session *s, bool before_helo);
void unknown_forget(struct session *s);

/* ---- turn.c ---- */

/* To the client; false: it has enough to read. */
bool turn_write(struct session *s, struct pn_str bytes);
/* What the engine waits for: "550 5.7.1 Words". */
void turn_answer(struct session *s, struct pn_str reply);
/* At content: for all recipients, where each has a reply. */
void turn_answer_all(struct session *s, struct pn_str reply);
/* Something came, or was answered: what now? ahead: bytes of input that wait. The session
 * may be gone afterwards. */
void turn_next(struct session *s, size_t ahead, bool answered);
/* The same where it can't be over. */
void turn_settle(struct session *s, bool answered);
/* TLS begins. */
void turn_handshake(struct session *s);
/* The edge stops and this is between messages, or the session's time is over: 421. True:
 * it is gone. */
bool turn_part(struct session *s);
/* The client took too long: 421, and it is gone. */
void turn_timeout(struct session *s);
/* It goes, or its input is shown to the engine. */
void turn_uncount(struct session *s);

/* ---- trace.c ---- */

/* Recipients whose header is the same: marked as junk or not, and changed by which plugins. */
struct trace_group {
    bool junk;
    uint64_t plugins;
};
/* The groups of a settled verdict, and for each of its recipients that get it the number of its
 * group. groups has room for TRACE_GROUPS_MAX. Returns how many. */
uint32_t trace_groups(const struct transaction *t, struct trace_group *groups, uint16_t *of);
/* The edits of a group, number i. Strings live as long as the transaction. False: the pool's
 * limit, or the content can't be read. */
bool trace_edits(struct transaction *t, uint32_t i, struct trace_group group,
                 struct pn_edit_group *out);
void trace_end(struct transaction *t);

/* ---- content.c ---- */

/* The data stage; answers the engine, now or later. */
void content_begin(struct transaction *t);
char *content_reserve(struct transaction *t, size_t n);
void content_commit(struct transaction *t, size_t n);
/* All of it came: from now on it does not change. False: it could not be kept. */
bool content_close(struct transaction *t);
/* For readers; borrowed. */
int content_fd(const struct transaction *t);
/* The file that the queue knows it by; 0: none. The next queue knows nothing of it: then it
 * is handed over as any other content. */
uint64_t content_file(const struct transaction *t);
/* The header, and maybe what follows: most headers stand in the first bytes, which are read alone,
 * and the content is mapped only where they don't; it may be large, and nobody else is served
 * while it is looked at. A view for the moment: in the edge's scratch, or *map, which the caller
 * unmaps in any case. False: it can't be read. */
bool content_header(const struct transaction *t, struct pn_str *header, struct pn_str *map);
/* The first `header` bytes stay, `between` and body follow. done is called now or later; kept
 * false: there is no room. */
void content_replace(struct transaction *t, size_t header, struct pn_str between,
                     struct pn_str body, void (*done)(struct transaction *t, bool kept));
void content_end(struct transaction *t);

/* ---- forward.c ---- */

/* Does somebody else have the mail of that recipient (its domain is known)? NULL, or the
 * refusal. */
const char *forward_find(const struct transaction *t, struct txn_rcpt *r);
/* What came back to an address that forwarded it is refused. */
void forward_decide(struct transaction *t, struct pn_verdict_rcpt *v);
/* Whose mailbox: the address without tag, in lower case; empty: the pool's limit. */
struct pn_str forward_user(struct transaction *t, struct pn_str address, struct pn_str local);
/* Where out->address goes, of that domain (NULL: none of ours), by today's policy: via, next
 * hop, user, folder. */
void forward_route(struct transaction *t, const struct pn_domain *domain, struct pn_str local,
                   struct pn_recipient *out);
/* How many recipients, and groups of edits, an envelope needs room for. */
size_t forward_room(const struct transaction *t, size_t *groups);
/* An envelope that is being filled; its groups are there. */
struct forwarder {
    struct transaction *t;
    struct pn_envelope *env;
    bool expands; /* somebody stands for others */
    struct pn_intern seen;
    uint64_t edits, bytes; /* of groups added */
};
void forward_begin(struct forwarder *f, struct transaction *t, struct pn_envelope *env);
/* Puts a recipient into the envelope, or those it stands for: who stands for himself comes
 * first. False: the pool's limit. */
bool forward_put(struct forwarder *f, const struct pn_verdict_rcpt *v,
                 const struct pn_recipient *to);
void forward_end(struct forwarder *f);

/* ---- auth.c ---- */

/* The mechanisms to announce to this client. Static. */
struct pn_str auth_words(const struct session *s);
/* The engine's stages of AUTH. */
void auth_begin(struct session *s, const struct pn_smtp_auth *auth);
void auth_response(struct session *s, struct pn_str message);
void auth_cancel(struct session *s);
/* The session goes. */
void auth_forget(struct session *s);
/* An auth role came: takes peer->fd. */
void edge_auth_peer(struct edge *edge, struct pn_peer *peer);
void edge_auth_free(struct edge *edge);

/* ---- relay.c ---- */

/* Our end of a pair, paused: relay_begin goes on with it. Takes fd. */
struct pn_stream *relay_inner(struct edge *edge, int fd);
/* Takes the session's stream, its place, and inner. id: as the worker knows it. */
void relay_begin(struct session *s, struct pn_stream **inner, uint64_t id);
/* A mailbox worker's SESSION_ASK; false: it is none. */
bool relay_asked(struct edge *edge, unsigned mailbox, struct pn_str body);
/* The edge stops: workers tell those whose sessions we relay. */
void relays_drain(struct edge *edge);
void relays_free(struct edge *edge);

/* ---- access.c ---- */

/* It came to a port for users who read their mail. */
bool session_reads(const struct session *s);
/* What is said to one who can't come in: for we stop (ours), or there are too many. */
struct pn_str access_refusal(enum pn_listen_kind kind, bool ours);
/* Takes fd. */
void access_open(struct session *s, int fd, bool tls_first);
/* Channel binding was announced to him. */
bool access_binds(const struct session *s);
/* What auth says: a challenge; who he is and what lets him in (false: nothing does); the end. */
void access_challenge(struct session *s, struct pn_str message);
bool access_admit(struct session *s, const struct pn_sasl_said *said);
void access_said(struct session *s, enum pn_sasl_status status);
/* A mailbox worker's SESSION_TAKEN; false: it is none. */
bool access_taken(struct edge *edge, unsigned mailbox, struct pn_str body);
/* Its channel ended. */
void access_mailbox_gone(struct edge *edge, unsigned mailbox);
/* The client was silent for too long. */
void access_timeout(struct session *s);
void access_drain(struct session *s);
/* The session goes. */
void access_forget(struct session *s);

/* ---- submit.c ---- */

/* It came to a port for users. */
bool session_submits(const struct session *s);
/* Who logged in; empty: nobody. Borrowed. */
struct pn_str session_user(const struct session *s);
/* The refusal of MAIL's address, or NULL. */
const char *submit_sender(const struct session *s, const struct pn_smtp_mailbox *from);
/* What the header lacks, and who it is from. m NULL: there is no header. The refusal, or NULL. */
const char *submit_look(struct transaction *t, const struct pn_message *m);
/* One message more of this account: sets t->hold where it sends too much. */
void submit_count(struct transaction *t);

/* ---- rcpt_known.c ---- */

/* What stands behind the last @. */
struct pn_str rcpt_domain(struct pn_str address);

/* The recipient in the one form that everything later uses. */
void rcpt_canonical(struct transaction *t, const struct pn_smtp_mailbox *to, struct txn_rcpt *out);
/* What no plugin has a say in: NULL, or the reply. Fills in the domain. */
const char *rcpt_refusal(const struct transaction *t, struct txn_rcpt *r,
                         const struct pn_smtp_mailbox *to);
/* That address among those taken; NULL: it is not. */
struct txn_rcpt *rcpt_taken(const struct transaction *t, struct pn_str address);
/* t->rcpts[index] is taken. */
void rcpt_remember(struct transaction *t, size_t index);
bool rcpt_must_verify(const struct txn_rcpt *r);
/* Asks the next hop, by way of the queue. fn may be called at once. */
void rcpt_verify(struct transaction *t, const struct txn_rcpt *r, outbox_fn *fn);
/* The refusal that its answer comes to; NULL: it takes the recipient. */
const char *rcpt_verified(const struct transaction *t, const struct pn_reply *reply);
/* Behind those that are there. Borrowed until the next. */
struct txn_rcpt *txn_add_rcpt(struct transaction *t, const struct txn_rcpt *r);

/* ---- rcpt_quota.c ---- */

/* Asks whether whom the last recipient stands for has room. True: done is called with the refusal
 * that it comes to, or NULL: there is room, or nobody knows. False: nobody is to be asked. */
bool rcpt_ask_quota(struct transaction *t,
                    void (*done)(struct transaction *t, const char *refusal));

/* ---- cut.c ---- */

/* The recipient would be taken: true, its next hop is asked, and done(t, "") or done(t, its
 * refusal) comes, maybe before this returns. */
bool cut_rcpt(struct transaction *t, const struct txn_rcpt *r,
              void (*done)(struct transaction *t, struct pn_str refusal));
/* It is about to be handed to the queue: true, it goes on at once. */
bool cut_fits(struct transaction *t, const struct pn_envelope *env);
/* It went, or might have gone, on so. */
bool cut_sent(const struct transaction *t);
void cut_end(struct transaction *t);

/* ---- ask_dsn.c: reports (RFC 3461) ---- */

/* What the client asks of reports on one that is not taken yet. False: the pool's limit. */
bool dsn_ask(struct transaction *t, const struct pn_smtp_rcpt *from, struct txn_rcpt *r);
/* Something is asked for, which who sends the message on at once does not pass on. */
bool dsn_asked(const struct transaction *t, const struct txn_rcpt *r);
/* It names one that is taken already. */
void dsn_join(struct txn_rcpt *there, const struct txn_rcpt *again);
/* Into an envelope's recipient. */
void dsn_fill(const struct txn_rcpt *r, struct pn_recipient *out);
/* It stands for so many others: what each of them inherits is left in *to. True: *alias is one
 * more, for the report that it was expanded (RFC 3461, section 5.2.7). */
bool dsn_expand(struct pn_recipient *to, struct pn_str address, size_t count,
                struct pn_recipient *alias);
/* Its delivery is to be reported: the queue does that, so it goes there. */
bool dsn_wants_success(const struct pn_recipient *r);

/* ---- edits.c ---- */

/* What plugins proposed of recipients, sender and body; done is called now or later. False:
 * the pool's limit. */
bool edits_begin(struct transaction *t, void (*done)(struct transaction *t));
/* The content as it is handed on. */
void edits_content(struct transaction *t, void (*done)(struct transaction *t, bool kept));
void edits_end(struct transaction *t);

/* ---- sign.c ---- */

/* signed_ false: it must be, and could not now. */
typedef void sign_done_fn(struct transaction *t, bool signed_);
/* Adds signatures to the groups of edits, where that is due. done is called now or later. */
void sign_begin(struct transaction *t, struct pn_envelope *env, sign_done_fn *done);
void sign_end(struct transaction *t);

/* ---- act.c: from a settled verdict to the reply ---- */

void act(struct transaction *t);

/* ---- transaction.c, recipients.c ---- */

/* The engine's stages; each ends in an answer of the engine, now or later. */
void txn_mail(struct session *s, const struct pn_smtp_mail *mail);
void txn_rcpt(struct session *s, const struct pn_smtp_rcpt *rcpt);
void txn_content(struct session *s);
/* The transaction is over, or the session is: an event if there is something to say. */
void txn_done(struct session *s);
/* r: the i-th recipient as facts count them. */
void txn_decide(struct transaction *t, const struct txn_rcpt *r, size_t i, bool early,
                struct pn_decision *out);
/* Facts known so far, borrowed. */
const struct pn_facts *txn_facts(struct transaction *t);
/* Has each recipient a reply of its own behind the content (RFC 2033)? */
bool txn_replies_each(const struct transaction *t);

/* ---- session.c ---- */

struct session *session_new(struct edge *edge, enum pn_listen_kind kind);
void session_free(struct session *s);
/* The same, once what was said last is out: until then it is counted. */
void session_part(struct session *s);
/* Of its stream, whatever it speaks. ctx: the session. */
void session_closed(void *ctx, enum pn_close how, const char *why);
void session_timed_out(void *ctx);
/* The client may come in: takes fd; TLS first, or the greeting. */
void session_open(struct session *s, int fd, bool tls_first);
/* The edge stops: 421 at the next moment that is between commands. */
void session_drain(struct session *s);

/* It drains, and nobody is left. */
void edge_stop_if_idle(struct edge *edge);

/* ---- accept.c ---- */

/* Takes fd. */
void session_accept(struct edge_listener *listener, int fd, const struct sockaddr *peer);

#endif
