/*
 * Handing a message over: from edge to queue, and from edge or queue to a mailbox.
 *
 *   PN_REC_TAKE               body: an envelope                 fd: content
 *   PN_REC_TAKEN              body: struct pn_taken
 *   PN_REC_WANT_CONTENT_FILE  body: struct pn_content_want
 *   PN_REC_CONTENT_FILE       body: struct pn_content_file      fds: read-write, read-only
 *   PN_REC_DROP_CONTENT_FILE  body: struct pn_content_file
 *   PN_REC_ROOM               body: pn_u32_put; 0: below the disk reserve, take no MAIL
 *   PN_REC_DELIVER            body: struct pn_deliver           fd: content
 *   PN_REC_DELIVERED          body: struct pn_delivered
 *   PN_REC_QUOTA_ASK          body: struct pn_quota_ask
 *   PN_REC_QUOTA_SAID         body: struct pn_delivered
 *   PN_REC_VERIFY             body: struct pn_verify
 *   PN_REC_VERIFIED           body: struct pn_delivered
 *
 * An envelope is all there is to a message beside its content: RFC 5321's envelope,
 * what policy decided for each recipient, and the header edits. The content is
 * passed as received; who writes it out applies the edits of the recipient's group.
 * The same bytes are the envelope in the spool's records, so the encoding has a
 * version of its own and newer binaries read older ones.
 *
 * Content is the last fd: a sealed memory file, or for PN_ENV_CONTENT_FILE none,
 * since the queue holds that file itself. A body that is too large for a record
 * travels as a sealed memory file in front of it; pn_handover_send and
 * pn_handover_open see to that.
 *
 * TAKEN and DELIVERED answer in any order. Decoding checks what later code relies
 * on: group numbers, known actions and routes, address and header text without CR, LF
 * and NUL (but for folding), limits. Views that a decoder returns borrow from the
 * body; arrays come from the pool.
 */
#ifndef PN_HANDOVER_H
#define PN_HANDOVER_H

#include "channel.h"
#include "pool.h"
#include "wire.h"

enum {
    /* 3: no submitter; 2: recipients without given; 1: nor from and by */
    PN_ENVELOPE_VERSION = 4,
    PN_ENVELOPE_MAX = 4 * 1024 * 1024, /* bytes, encoded */
    PN_ENVELOPE_RECIPIENTS_MAX = 4096,
    PN_ENVELOPE_GROUPS_MAX = 1024,
    PN_ENVELOPE_EDITS_MAX = 4096, /* over all groups */
    PN_ENVELOPE_TEXT_MAX = 2048,  /* an address, a host, a reason */
    PN_QUEUE_ID_TEXT_MAX = 14     /* with its NUL */
};

/*
 * A queue id names a message in Received, events and commands. Milliseconds since
 * 2020, then the maker's tag, then a count, so that ids of all makers differ and their
 * text sorts by age. A clock set back could make one twice; the queue refuses a TAKE
 * with an id that is alive.
 */
struct pn_queue_id_maker {
    uint16_t tag; /* 0 to PN_QUEUE_ID_TAG_MAX, one a running process; the queue's own is the last */
    uint64_t last;
};

enum { PN_QUEUE_ID_TAG_MAX = 1023 };

uint64_t pn_queue_id_make(struct pn_queue_id_maker *maker);
/* 13 letters and digits, without those that look alike; returns text. */
const char *pn_queue_id_text(uint64_t id, char text[PN_QUEUE_ID_TEXT_MAX]);
/* Letters in either case; false for anything that pn_queue_id_text doesn't print. */
bool pn_queue_id_parse(struct pn_str text, uint64_t *id);
/* When it was made, in ms since 1970. */
int64_t pn_queue_id_time(uint64_t id);

/* What is to become of the message for one recipient. */
enum pn_hand {
    PN_HAND_DELIVER,
    PN_HAND_JUNK, /* deliver; the Junk folder or X-Spam-Flag stand in folder and edits */
    PN_HAND_QUARANTINE,
    PN_HAND_HOLD,
    PN_HAND_EXPANDED, /* others have it in this one's place; only its sender is to be told */
    PN_HAND_COUNT
};

enum pn_via {
    PN_VIA_LOCAL, /* user and folder */
    PN_VIA_SMTP,  /* next_hop */
    PN_VIA_LMTP,  /* next_hop */
    PN_VIA_MX,    /* next_hop is a domain: RFC 5321, section 5.1 */
    PN_VIA_COUNT
};

/* RFC 3461, section 4.1, as dsn_param.h numbers them; none set: the client gave no NOTIFY. */
enum { PN_NOTIFY_NEVER = 1, PN_NOTIFY_SUCCESS = 2, PN_NOTIFY_FAILURE = 4, PN_NOTIFY_DELAY = 8 };

enum pn_envelope_flag {
    PN_ENV_8BITMIME = 1,      /* BODY=8BITMIME, or bytes beyond ASCII all the same */
    PN_ENV_SMTPUTF8 = 2,      /* RFC 6531: addresses and header need it */
    PN_ENV_BINARYMIME = 4,    /* room; not announced */
    PN_ENV_SPF_PASS = 8,      /* the reverse-path passed SPF: a DSN may go there */
    PN_ENV_SUBMITTED = 16,    /* by a user of ours who logged in: a DSN may go there */
    PN_ENV_CONTENT_FILE = 32, /* content is the file that content_file numbers */
    PN_ENV_DSN = 64,          /* our own report; it makes no other */
    PN_ENV_ALL = 127
};

/* As message/edit.h's operations, in the same order; that one applies them. */
enum pn_hedit {
    PN_HEDIT_TOP,            /* a line before everything */
    PN_HEDIT_AFTER_TRACE,    /* a line behind the Return-Path and Received lines at the top */
    PN_HEDIT_END,            /* a line before the empty line */
    PN_HEDIT_REMOVE,         /* the nth line of that name; 0: all; -1: the last */
    PN_HEDIT_REMOVE_RESULTS, /* each Authentication-Results of the id `value`; no name */
    PN_HEDIT_AT,             /* a line before the nth of all, from 0 */
    PN_HEDIT_COUNT
};

struct pn_header_edit {
    uint8_t op;
    int32_t nth;
    struct pn_str name;  /* RFC 5322 ftext */
    struct pn_str value; /* behind "Name: ", without the last CRLF; may hold CRLF before SP or HT */
};

struct pn_edit_group {
    uint32_t count;
    struct pn_header_edit *edits;
};

struct pn_recipient {
    struct pn_str address; /* as in RCPT TO, without brackets */
    uint8_t hand;          /* enum pn_hand */
    uint8_t via;           /* enum pn_via */
    uint8_t notify;
    uint16_t group;         /* of edits */
    struct pn_str next_hop; /* "192.0.2.1:25", "[2001:db8::1]:25", "mx.example:25", "mx.example" */
    struct pn_str user;     /* whose mailbox, in policy's form */
    struct pn_str folder;   /* "" is INBOX; "Junk" */
    struct pn_str orcpt;    /* RFC 3461: "rfc822;..." as the client wrote it; empty: none */
    struct pn_str reason;   /* why quarantine or hold; for the operator */
    struct pn_str from;     /* MAIL FROM for this one; empty: the envelope's reverse-path, which
                             * is also whom a report goes to in any case */
    struct pn_str by;       /* the aliases that led here, in words; empty: none did */
    struct pn_str given;    /* the address as the client wrote it, by which reports call this
                             * one; empty: as in address */
};

struct pn_envelope {
    uint64_t id;         /* queue id */
    int64_t arrived_ms;  /* since 1970: when the end of data came */
    uint64_t size;       /* bytes of content */
    uint32_t flags;      /* enum pn_envelope_flag */
    uint8_t ret;         /* RFC 3461: 0 not given, 'F' full, 'H' headers */
    uint32_t generation; /* of policy that decided */
    uint64_t content_file;
    struct pn_str reverse_path; /* without brackets; empty: null */
    struct pn_str envid;        /* RFC 3461: as the client wrote it, in xtext; empty: none */
    struct pn_str client;       /* address as text; for the operator */
    struct pn_str helo;
    struct pn_str submitter; /* the user of ours who logged in; empty: nobody */
    uint32_t group_count;
    struct pn_edit_group *groups;
    uint32_t recipient_count; /* at least 1 */
    struct pn_recipient *recipients;
};

/* False: past PN_ENVELOPE_MAX; out is left with what fitted and `overflow` set. */
bool pn_envelope_put(struct pn_buf *out, const struct pn_envelope *env);
/* bytes must outlive env. pool's limit may refuse too. */
bool pn_envelope_get(struct pn_str bytes, struct pn_pool *pool, struct pn_envelope *env);
/* Header text that may stand behind "Name: "; what decoding checks of an edit. */
bool pn_header_name_ok(struct pn_str name);
bool pn_header_value_ok(struct pn_str value);

/* An SMTP reply as it passes between roles. */
struct pn_reply {
    uint16_t code;      /* 250, 451, 552; 0 in a DELIVERED: no answer came */
    struct pn_str text; /* "2.0.0 Queued", one line; no CR, LF or NUL */
};

struct pn_taken {
    uint64_t id;
    struct pn_reply reply; /* 2yz: durable; 4yz or 5yz: nothing was kept */
};
void pn_taken_put(struct pn_buf *out, const struct pn_taken *taken);
bool pn_taken_get(struct pn_str body, struct pn_taken *taken);

/* token is the asker's, given back. */
struct pn_content_want {
    uint64_t token;
    uint64_t size; /* as MAIL's SIZE said, or 0 */
};
void pn_content_want_put(struct pn_buf *out, const struct pn_content_want *want);
bool pn_content_want_get(struct pn_str body, struct pn_content_want *want);

/* In a DROP only file counts: edge wants it no more, the queue removes it. A file
 * whose channel ends without a TAKE is removed too. */
struct pn_content_file {
    uint64_t token;
    uint64_t file;         /* for pn_envelope.content_file; 0: refused, see reply */
    struct pn_reply reply; /* 250, or why not */
};
void pn_content_file_put(struct pn_buf *out, const struct pn_content_file *file);
bool pn_content_file_get(struct pn_str body, struct pn_content_file *file);

struct pn_deliver {
    uint64_t token; /* the asker's; unlike id it differs for each recipient */
    uint64_t id;
    int64_t arrived_ms;
    uint64_t size;
    struct pn_str reverse_path;
    struct pn_str recipient;
    struct pn_str user;
    struct pn_str folder;
    struct pn_edit_group edits;
};
bool pn_deliver_put(struct pn_buf *out, const struct pn_deliver *deliver);
bool pn_deliver_get(struct pn_str body, struct pn_pool *pool, struct pn_deliver *deliver);

struct pn_delivered {
    uint64_t token;
    struct pn_reply reply; /* 2yz: synced in the mailbox */
};
void pn_delivered_put(struct pn_buf *out, const struct pn_delivered *delivered);
bool pn_delivered_get(struct pn_str body, struct pn_delivered *delivered);

/* Asks whether a recipient exists where its mail would go. The reply in VERIFIED: 2yz
 * yes, 5yz no, 4yz or 0 not known now. */
struct pn_verify {
    uint64_t token;
    uint8_t via; /* PN_VIA_SMTP or PN_VIA_LMTP */
    struct pn_str next_hop;
    struct pn_str address;
};
void pn_verify_put(struct pn_buf *out, const struct pn_verify *verify);
bool pn_verify_get(struct pn_str body, struct pn_verify *verify);

/* Asks whether a user's quota leaves room for a message of so many bytes. The reply in
 * QUOTA_SAID: 2yz yes, 452 or 552 no (for now, or for good), other: not known now. */
struct pn_quota_ask {
    uint64_t token;
    uint64_t bytes; /* as MAIL's SIZE said, or 0 */
    struct pn_str user;
};
void pn_quota_ask_put(struct pn_buf *out, const struct pn_quota_ask *ask);
bool pn_quota_ask_get(struct pn_str body, struct pn_quota_ask *ask);

/* Which of count mailbox workers a user belongs to. */
uint32_t pn_mailbox_of(struct pn_str user, uint32_t count);

/* Sends body, by memory file if need be, and content_fd unless that is -1; the caller
 * keeps its descriptor. False: no room in the channel, it is dead, or no memory file. */
bool pn_handover_send(struct pn_channel *channel, uint16_t type, struct pn_str body,
                      int content_fd);
/* What a receiver calls first: the body, mapped if need be, and the content's fd, taken
 * from the record (-1: none). False: not the shape of such a record. */
struct pn_handover {
    struct pn_str body; /* borrowed from the record or from this */
    int content_fd;     /* owned by the caller from now on */
    struct pn_str mapped;
};
bool pn_handover_open(struct pn_record *record, struct pn_handover *handover);
/* Unmaps the body; content_fd stays. */
void pn_handover_close(struct pn_handover *handover);

#endif
