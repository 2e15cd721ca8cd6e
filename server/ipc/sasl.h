/*
 * Logins between edge and auth: SASL (RFC 4422), whichever protocol carries it: AUTH of SMTP
 * (RFC 4954) and POP3 (RFC 5034), AUTHENTICATE of IMAP (RFC 9051). The plain commands, IMAP's
 * LOGIN and POP3's USER and PASS, are begun as PLAIN with the initial response that
 * pn_sasl_plain makes of them.
 *
 *   edge -> auth   SASL_BEGIN    struct pn_sasl_begin: one exchange, by an id of the edge's own
 *                  SASL_ANSWER   struct pn_sasl_answer: what the client said to a challenge
 *                  SASL_CANCEL   the id alone: the client sent `*`, or is gone
 *   auth -> edge   SASL_SAID     struct pn_sasl_said
 *
 * An exchange at the edge:
 *
 *   BEGIN -> waiting -> SAID with CHALLENGE -> the client speaks -> ANSWER -> waiting ...
 *            waiting -> SAID with any other status: it is over, auth knows the id no more
 *            any     -> CANCEL: it is over, and nothing is said about it any more
 *            any     -> the channel ends: it is over. The edge answers as for BUSY, and the
 *                       client may begin anew with the auth that comes next.
 *
 * One SAID for each BEGIN and ANSWER, and none without. An answer or a cancel of an id that
 * auth does not know (it was over already) is passed over; a BEGIN of one that is open, or a
 * second ANSWER while the first is worked on, closes the channel. Answers to wrong passwords
 * are late on purpose, and hashing takes its time: the edge waits PN_SASL_WAIT_MS, then cancels
 * and answers as for BUSY. Auth gives up an exchange whose client is silent for
 * PN_SASL_SILENT_MS, without a word: the edge's own limit is shorter.
 *
 * Messages are the mechanism's own bytes: base64 (and SMTP's "=" for an empty initial
 * response) is the edge's work. What SCRAM's server says last comes as a challenge too, which
 * the client answers with an empty message; OK carries no message. Auth is asked over
 * TLS only, and refuses all else, but for a client of IMAP or POP3 on this machine where the
 * configuration lets that one in (pn_sasl_plain_ok).
 *
 * What edge answers in SMTP (RFC 4954, section 6), in auth's words:
 *
 *   OK          235 2.7.0    then the state of the session is forgotten, as after STARTTLS
 *   REFUSED     535 5.7.8    one text for a wrong password, no such user, no such verifier
 *   MALFORMED   501 5.5.2    no message of this mechanism
 *   SHUT        454 4.7.0    too many failures, of this client or at this account; the same
 *                            whether there is such an account, and whatever the password
 *   BUSY        454 4.3.0    nobody knows: too many wait, or the users' file could not be read
 *
 * Strings and messages borrow from the record. They hold passwords: who has handled one wipes
 * it (pn_sasl_wipe), as the channel does with what waited in it.
 */
#ifndef PN_SASL_H
#define PN_SASL_H

#include "net.h"
#include "wire.h"

enum pn_sasl_mechanism {
    PN_SASL_PLAIN,              /* RFC 4616 */
    PN_SASL_LOGIN,              /* the old one: "User Name", "Password" */
    PN_SASL_SCRAM_SHA_256,      /* RFC 5802, 7677 */
    PN_SASL_SCRAM_SHA_256_PLUS, /* bound to the TLS session by tls-exporter (RFC 9266) */
    PN_SASL_MECHANISMS
};

enum pn_sasl_service { PN_SASL_SMTP, PN_SASL_LMTP, PN_SASL_IMAP, PN_SASL_POP3, PN_SASL_SERVICES };

enum {
    PN_SASL_MESSAGE_MAX = 12288 / 4 * 3, /* bytes, of a line of 12288: RFC 4954, section 4 */
    PN_SASL_EXPORTER = 32,               /* bytes of tls-exporter */
    PN_SASL_TOKEN = 16,                  /* bytes */
    PN_SASL_USER_MAX = 254,
    PN_SASL_SENDERS_MAX = 4096,    /* bytes: a line of the users' file holds no more */
    PN_SASL_SESSION_MAX = 64,      /* bytes of a session's name */
    PN_SASL_OPEN_MAX = 4096,       /* exchanges of one edge; more: BUSY */
    PN_SASL_WAIT_MS = 60 * 1000,   /* for a SAID */
    PN_SASL_SILENT_MS = 600 * 1000 /* without an ANSWER */
};

struct pn_sasl_begin {
    uint64_t id;
    uint8_t service;   /* enum pn_sasl_service */
    uint8_t mechanism; /* enum pn_sasl_mechanism */
    bool tls;
    bool has_initial; /* it may be empty, and still be there */
    struct pn_ip ip;  /* the client's */
    struct pn_str session;
    /* SSL_export_keying_material's 32 bytes for "EXPORTER-Channel-Binding" and an empty
     * context, where the session is TLS 1.3 (or 1.2 with the extended master secret); else
     * empty. Given exactly where -PLUS was announced to this client, whatever mechanism he
     * chose: so one who was kept from seeing it is noticed (RFC 5802, section 6). */
    struct pn_str exporter;
    struct pn_str initial;
};

struct pn_sasl_answer {
    uint64_t id;
    struct pn_str message;
};

enum pn_sasl_status {
    PN_SASL_CHALLENGE,
    PN_SASL_OK,
    PN_SASL_REFUSED,
    PN_SASL_MALFORMED,
    PN_SASL_SHUT,
    PN_SASL_BUSY,
    PN_SASL_STATUSES
};

struct pn_sasl_said {
    uint64_t id;
    uint8_t status; /* enum pn_sasl_status */
    /* CHALLENGE; else empty */
    struct pn_str message;
    /* OK; else empty: his name in the one form of the users' file (user@domain, lower case,
     * A-labels), and what else he may send as, for pn_sasl_may_send. */
    struct pn_str user, senders;
    /* OK of IMAP and POP3; else empty, and 0: what opens his mailbox once, and which worker has it
     * (pass.h). */
    struct pn_str token;
    uint32_t worker;
};

/* Each _get: false for what is malformed, or beyond a limit above. */
void pn_sasl_begin_put(struct pn_buf *out, const struct pn_sasl_begin *begin);
bool pn_sasl_begin_get(struct pn_str body, struct pn_sasl_begin *begin);
void pn_sasl_answer_put(struct pn_buf *out, const struct pn_sasl_answer *answer);
bool pn_sasl_answer_get(struct pn_str body, struct pn_sasl_answer *answer);
void pn_sasl_cancel_put(struct pn_buf *out, uint64_t id);
bool pn_sasl_cancel_get(struct pn_str body, uint64_t *id);
void pn_sasl_said_put(struct pn_buf *out, const struct pn_sasl_said *said);
bool pn_sasl_said_get(struct pn_str body, struct pn_sasl_said *said);
/* A body that was sent or handled. */
void pn_sasl_wipe(struct pn_str body);

/* As it is announced: "SCRAM-SHA-256-PLUS". */
const char *pn_sasl_mechanism_name(enum pn_sasl_mechanism mechanism);
/* Without case; false: it is none of ours. */
bool pn_sasl_mechanism_find(struct pn_str name, enum pn_sasl_mechanism *out);
/* May it be announced to, and begun by, a client on such a connection? exporter: PLUS's
 * condition above. Strongest last in the enumeration; who announces goes down from the end. */
bool pn_sasl_mechanism_fits(enum pn_sasl_mechanism mechanism, bool tls, bool exporter);
/* May this client log in without TLS? allowed: the configuration's word. */
bool pn_sasl_plain_ok(enum pn_sasl_service service, const struct pn_ip *ip, bool allowed);
const char *pn_sasl_service_name(enum pn_sasl_service service);

/* PLAIN's message of a name and a password; false: a NUL in them, or too long. */
bool pn_sasl_plain(struct pn_buf *out, struct pn_str user, struct pn_str password);

/*
 * Who may send as whom: the value of `senders` in the users' file: "addr@domain", "@domain"
 * (all of it, not what is below it) and "*" (anybody), parted by commas. The user's own name
 * is always his.
 */
bool pn_sasl_senders_ok(struct pn_str senders);
/* address: local@domain, the domain by its A-labels; letters without case. A subaddress is
 * taken off by who asks. */
bool pn_sasl_may_send(struct pn_str user, struct pn_str senders, struct pn_str address);

#endif
