/*
 * Every record type that passes between roles: who sends it to whom, and which
 * header gives its body. supervisor/peers.c says who may hold a channel to whom;
 * a type that does not belong on a channel closes it.
 */
#ifndef PN_RECORDS_H
#define PN_RECORDS_H

enum pn_role {
    PN_ROLE_SUPERVISOR,
    PN_ROLE_COMPILE,
    PN_ROLE_RESOLVER,
    PN_ROLE_EDGE,
    PN_ROLE_FILTER, /* a template, and the workers that it forks */
    PN_ROLE_QUEUE,
    PN_ROLE_MAILBOX,
    PN_ROLE_AUTH,
    PN_ROLE_ADMIN,
    PN_ROLE_STATE,
    PN_ROLE_SIGNER,
    PN_ROLE_COUNT
};

enum pn_record_type {
    /* supervisor -> any role, on its control channel (control.h) */
    PN_REC_START = 0x0100,   /* name, number, options; fds: policy mapping */
    PN_REC_PEER,             /* a channel to another role; fd: the channel */
    PN_REC_LISTENER,         /* a bound socket; fd */
    PN_REC_IDENTITY,         /* TLS certificate and key, PEM */
    PN_REC_FOLDER,           /* an opened directory with its purpose; fd */
    PN_REC_GO,               /* all of the above is there: drop, jail, serve */
    PN_REC_POLICY,           /* a new generation of the mapping; fd */
    PN_REC_DRAIN,            /* finish what is begun, take nothing new, then exit 0 */
    PN_REC_LIMITS,           /* to an edge, before GO: the table that all edges count in; fd */
    PN_REC_DNS_FILE,         /* to the resolver, before GO or POLICY: the generation's file; fd */
    PN_REC_SECRET_FILE,      /* to an edge, before GO or POLICY: of forwarded mail's senders; fd */
    PN_REC_USERS_FILE,       /* to auth, before GO or POLICY, and when it changed: of users; fd */
    PN_REC_SIGN_KEY,         /* to the signer, before GO or POLICY: one of its keys (signing.h) */
    PN_REC_PASSWORD,         /* to the queue, before GO or POLICY: for a next hop (passwords.h) */
    PN_REC_AUTHORITIES_FILE, /* to the queue, before GO or POLICY: whom it believes by TLS; fd */
    /* any role -> supervisor */
    PN_REC_READY = 0x0180,
    PN_REC_FAILED,          /* a sentence: why it can't start */
    PN_REC_PEER_MISSING,    /* struct pn_peer, its role and number: no channel to it lives */
    PN_REC_WANT_GENERATION, /* part of the last one could not be taken: all of it again */

    /* compile -> supervisor */
    PN_REC_COMPILED = 0x0200, /* fd: the mapping */
    PN_REC_COMPILE_ERROR,     /* one error, file:line:column: text */
    PN_REC_COMPILE_LOADS,     /* the path of a plugin that it loads now; empty: it is done */

    /* edge, filter, queue -> resolver, and back (dns.h) */
    PN_REC_DNS_ASK = 0x0300,
    PN_REC_DNS_ANSWER = 0x0380,
    PN_REC_DNS_SHELF, /* the resolver's first to an edge or a worker: answers (dns_shelf.h); fd */

    /* edge -> filter worker and back (filters/request.h) */
    PN_REC_CHECK = 0x0400,
    PN_REC_CHECK_CANCEL,
    PN_REC_CHECK_DONE = 0x0480,
    PN_REC_CHECK_PAGE, /* a worker's first on each channel: what its threads do; fd */
    /* supervisor -> template, and back */
    PN_REC_SPAWN_WORKER = 0x04c0, /* fds: channels of the worker to be */
    PN_REC_WORKER_UP,
    PN_REC_WORKER_DOWN,
    PN_REC_PLUGIN_CHANGED, /* the name of a plugin whose prepare() would find other files now */
    PN_REC_WANT_SOLO,      /* edge -> supervisor: one worker for this edge alone */
    PN_REC_WORKER_LOST,    /* edge -> supervisor: its number; the channel to it ended */

    /* edge -> queue, and back (handover.h) */
    PN_REC_TAKE = 0x0500,  /* a message to keep and deliver; fd: content */
    PN_REC_TAKEN = 0x0580, /* durable, or why not */
    PN_REC_CONTENT_FILE,   /* queue -> edge: a file for large content; fd read-write */
    PN_REC_WANT_CONTENT_FILE,
    PN_REC_VERIFY,            /* edge -> queue: would the next hop take this recipient? */
    PN_REC_VERIFIED,          /* and its answer */
    PN_REC_ROOM,              /* queue -> edge: is there room on the disk? */
    PN_REC_DROP_CONTENT_FILE, /* edge -> queue: the session ended without a TAKE */
    PN_REC_CUT_RCPT,          /* edge -> queue: cut-through (cut_record.h) */
    PN_REC_CUT_ANSWER,
    PN_REC_CUT_DROP,

    /* edge, queue -> mailbox, and back (handover.h) */
    PN_REC_DELIVER = 0x0600, /* to one local recipient; fd: content */
    PN_REC_QUOTA_ASK,        /* edge -> mailbox: has this user room? */
    PN_REC_DELIVERED = 0x0680,
    PN_REC_QUOTA_SAID,
    PN_REC_HAS_QUOTAS, /* mailbox -> edge: users of mine may have quotas of their own; no body */
    /* auth -> mailbox, edge -> mailbox, and back (pass.h) */
    PN_REC_PASS = 0x0640,
    PN_REC_SESSION,      /* fd: the client, or a pair's end */
    PN_REC_SESSIONS_END, /* no body */
    PN_REC_SESSION_YOURS,
    PN_REC_SESSION_LEFT,
    PN_REC_PASS_KNOWN = 0x06c0,
    PN_REC_SESSION_TAKEN,
    PN_REC_SESSION_ASK,

    /* any role -> admin: one JSON line, whole; and counters (metrics.h) */
    PN_REC_EVENT = 0x0700,
    PN_REC_METRICS,
    PN_REC_REPRODUCER, /* edge -> admin; fds: a case of `scan --batch` (JSON), content or none */
    /* admin -> queue, supervisor: what an operator asks; and back */
    PN_REC_COMMAND = 0x0780,
    PN_REC_COMMAND_REPLY,

    /* filter -> state and back, edge -> state (state.h) */
    PN_REC_STATE_ASK = 0x0800,
    PN_REC_STATE_END,
    PN_REC_STATE_ANSWER = 0x0880,
    /* state -> supervisor: a socket to the server that the configuration names; and back */
    PN_REC_WANT_STATE_SOCKET = 0x08c0,
    PN_REC_STATE_SOCKET, /* fds: one on its way there, and the password's file if there is one;
                          * without: a sentence, why there is none */

    /* edge -> auth, and back (sasl.h) */
    PN_REC_SASL_BEGIN = 0x0900,
    PN_REC_SASL_ANSWER,
    PN_REC_SASL_CANCEL,
    PN_REC_SASL_SAID = 0x0980,

    /* edge, queue -> signer, and back (signing.h) */
    PN_REC_SIGN_ASK = 0x0a00,
    PN_REC_SIGN_ANSWER = 0x0a80,
    PN_REC_SIGN_KEYS /* first thing, and when they change: which keys there are */
};

const char *pn_role_name(enum pn_role role);

#endif
