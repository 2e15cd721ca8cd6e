/*
 * The SMTP and LMTP client engine (RFC 5321, RFC 2033): replies in, commands and
 * content out; no sockets, no clock. The queue drives it for the next hop.
 *
 * States:
 *
 *   greeting -> EHLO (-> HELO) (-> STARTTLS -> handshake -> EHLO) (-> AUTH) -> ready
 *   ready --send--> MAIL, RCPT..., DATA or BDAT -> content -> its reply -> ready
 *   ready --quit--> QUIT -> ended; any state --421, no SMTP, lost--> ended
 *
 * Commands are pipelined where the server offers it (RFC 2920, DATA included).
 * Content goes in one BDAT where CHUNKING is offered, else by DATA with dots stuffed;
 * it is never copied here. A mail's addresses and content are borrowed until `done`.
 *
 * Every recipient of a mail gets exactly one call of `rcpt`, with the reply that
 * settles it, before `done`: the one to its RCPT or to MAIL, DATA or the content; or
 * one of our own making (4.4.2 connection lost, 5.6.7 no SMTPUTF8, 5.6.3 no 8BITMIME for
 * 8-bit content, 5.3.4 too large for the next hop), for which `from` is PN_SMTP_FROM_US.
 *
 * A mail may be held: then MAIL and RCPT go out, the replies of those that are taken come by
 * `taken`, and its transaction stands open until the owner adds a recipient, gives the
 * content, or drops it.
 *
 *   ready --send, held--> MAIL, RCPT... --> held --hold_rcpt--> RCPT --> held
 *   held --hold_content--> DATA or BDAT -> content -> its reply -> ready
 *   held --hold_drop--> ready (RSET goes before the next mail)
 *
 * The engine may be freed outside of its callbacks, and inside `ended`, the last one.
 */
#ifndef PN_SMTP_CLIENT_H
#define PN_SMTP_CLIENT_H

#include "dsn_param.h"
#include "reply.h"

struct pn_smtp_client;

enum pn_smtp_tls_use { PN_SMTP_TLS_NEVER, PN_SMTP_TLS_MAY, PN_SMTP_TLS_MUST };

/* Which command a reply answered. */
enum pn_smtp_from {
    PN_SMTP_FROM_US, /* none: the engine made it */
    PN_SMTP_FROM_GREETING,
    PN_SMTP_FROM_HELLO,
    PN_SMTP_FROM_STARTTLS,
    PN_SMTP_FROM_AUTH,
    PN_SMTP_FROM_MAIL,
    PN_SMTP_FROM_RCPT,
    PN_SMTP_FROM_DATA,
    PN_SMTP_FROM_CONTENT,
    PN_SMTP_FROM_QUIT
};

enum pn_smtp_end {
    PN_SMTP_END_QUIT,     /* in order */
    PN_SMTP_END_REFUSED,  /* by the server: at greeting, EHLO, AUTH, or 421 at any time */
    PN_SMTP_END_TLS,      /* TLS_MUST and it is not offered, or was refused */
    PN_SMTP_END_PROTOCOL, /* what came is no SMTP */
    PN_SMTP_END_LOST      /* pn_smtp_client_lost */
};

struct pn_smtp_client_ops {
    /* Sends these parts in order, without need to keep them. False: they wait; call
     * pn_smtp_client_drained when they are gone. */
    bool (*write)(void *ctx, const struct pn_str *parts, size_t count);
    /* STARTTLS was accepted: do the handshake, then pn_smtp_client_tls. */
    void (*tls)(void *ctx);
    /* The next word of a login, by pn_smtp_client_login, now or later. first: words are the
     * mechanisms that the server has, parted by blanks; else its challenge, in base64. Only
     * with config.login. */
    void (*login)(void *ctx, bool first, struct pn_str words);
    /* Takes a mail now, or quit. Once a session. */
    void (*ready)(void *ctx);
    /* The index-th recipient is settled; reply is borrowed for the call. */
    void (*rcpt)(void *ctx, size_t index, enum pn_smtp_from from,
                 const struct pn_smtp_reply *reply);
    /* Of a held mail: RCPT was taken, which settles nothing. NULL: none is held. */
    void (*taken)(void *ctx, size_t index, const struct pn_smtp_reply *reply);
    /* All are settled. ready: the next pn_smtp_client_send, or _quit, may be called from
     * here or later; else `ended` comes next. */
    void (*done)(void *ctx, bool ready);
    /* Once, last. reply: the server's last words, or ours; never NULL. */
    void (*ended)(void *ctx, enum pn_smtp_end how, const struct pn_smtp_reply *reply);
};

/* How long to wait for the peer, in ms, by the lines of RFC 5321, section 4.5.3.2; 0: as
 * long as that says. hello: EHLO and STARTTLS. */
struct pn_smtp_client_waits {
    uint32_t greeting, hello, mail, rcpt, data_begin, data_block, data_end, quit;
};

enum { PN_SMTP_AUTH_WORDS_MAX = 256 };

struct pn_smtp_client_config {
    struct pn_str name; /* for EHLO; borrowed while the engine lives */
    bool lmtp;
    enum pn_smtp_tls_use tls;
    bool tls_already;                         /* implicit TLS: STARTTLS is not used */
    bool login;                               /* AUTH before any mail, over TLS only */
    bool no_chunking;                         /* DATA even where BDAT is offered */
    const struct pn_smtp_client_waits *waits; /* borrowed; NULL: RFC 5321's */
};

/* What the server offered; from the last EHLO. */
struct pn_smtp_offer {
    bool esmtp, pipelining, eightbit, smtputf8, chunking, status, starttls, dsn, sizes;
    uint64_t size;     /* SIZE's limit; 0: none said */
    uint32_t rcpt_max; /* LIMITS; 0: none said */
    uint32_t mail_max;
    char auth[PN_SMTP_AUTH_WORDS_MAX]; /* mechanisms, parted by blanks; "": no AUTH */
};

struct pn_smtp_outgoing {
    struct pn_str from;      /* without brackets; empty: <> */
    const struct pn_str *to; /* at least one */
    size_t to_count;
    const struct pn_str *content; /* segments; lines end with CR LF, across segments too */
    size_t content_count;
    bool body_8bit; /* BODY=8BITMIME where offered. Where it is not, content is looked at: no
                     * byte beyond ASCII goes there (RFC 6152, section 3) */
    bool smtputf8;  /* SMTPUTF8 where offered; elsewhere it goes only if neither address nor
                     * header needs it (RFC 6531, section 3.5) */
    /* What goes with MAIL and, one for each of `to` (NULL: nothing), with RCPT where DSN is
     * offered; elsewhere it stays with us (RFC 3461, section 5.2.2). */
    struct pn_smtp_dsn_mail dsn;
    const struct pn_smtp_dsn_rcpt *dsn_to;
    bool held;  /* no content yet */
    bool probe; /* ends behind RCPT: its reply settles a recipient, no content is sent */
};

struct pn_smtp_client *pn_smtp_client_new(const struct pn_smtp_client_config *config,
                                          const struct pn_smtp_client_ops *ops, void *ctx);
void pn_smtp_client_free(struct pn_smtp_client **client);
/* Returns how many bytes were consumed; what is left (under PN_SMTP_LINE_MAX) is shown
 * again with more behind it. */
size_t pn_smtp_client_input(struct pn_smtp_client *client, struct pn_str bytes);
void pn_smtp_client_drained(struct pn_smtp_client *client);
/* The handshake is done. */
void pn_smtp_client_tls(struct pn_smtp_client *client);
/* The connection is gone, or a timeout passed; why begins the text ("the peer closed
 * the connection"). Settles what is open with 451 4.4.2, then `ended`. Not from inside a
 * callback. */
void pn_smtp_client_lost(struct pn_smtp_client *client, const char *why);

/*
 * AUTH (RFC 4954): the answer to `login`. The first is a mechanism with its initial response
 * ("PLAIN AHUAcA=="), others are a response in base64, which may be empty. last: the mechanism
 * has seen all that it wants to see of the server; one that says yes before is not believed.
 */
void pn_smtp_client_login(struct pn_smtp_client *client, struct pn_str text, bool last);
/* There will be no answer: no mechanism fits, or the server is not who knows the password. The
 * session ends with 451 and these words. */
void pn_smtp_client_login_end(struct pn_smtp_client *client, const char *why);

/* Only when ready. The struct is copied, what it points to is borrowed. `done` may come
 * before it returns. */
void pn_smtp_client_send(struct pn_smtp_client *client, const struct pn_smtp_outgoing *mail);
void pn_smtp_client_quit(struct pn_smtp_client *client);

/* Of a held mail whose replies are all there; not from inside a callback. */
bool pn_smtp_client_is_held(const struct pn_smtp_client *client);
/* One more recipient, which stands at to[to_count]. */
void pn_smtp_client_hold_rcpt(struct pn_smtp_client *client);
/* The content, for those that were taken, one at least. */
void pn_smtp_client_hold_content(struct pn_smtp_client *client, const struct pn_str *content,
                                 size_t count);
/* Those that were taken are settled by us. */
void pn_smtp_client_hold_drop(struct pn_smtp_client *client);
/* All of the mail's content was written, of the last one's if there is none: without a reply it
 * may be there all the same. */
bool pn_smtp_client_sent(const struct pn_smtp_client *client);

const struct pn_smtp_offer *pn_smtp_client_offer(const struct pn_smtp_client *client);
/* The longest to wait for the peer's next sign of life now (RFC 5321, section
 * 4.5.3.2), and what is waited for ("MAIL"). Ask again after each call. */
struct pn_smtp_wait {
    const char *what;
    uint32_t ms;      /* 0: for nothing */
    bool sending;     /* for room, not for a reply */
    uint64_t replies; /* so many came before, whole ones */
};
struct pn_smtp_wait pn_smtp_client_wait(const struct pn_smtp_client *client);

#endif
