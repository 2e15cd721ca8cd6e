/*
 * A session after login, without sockets: IMAP (imap/) and POP3 (pop3/) are two engines behind
 * one face, and the host (session.c) moves the bytes. So unit tests, fuzzers and the replay of a
 * dialogue need no network.
 *
 *   input   the host calls run() when bytes have come, when the store said that something
 *           changed, and when all output of the last MORE is sent (HEARD: has arrived). Each time
 * with all bytes that are not consumed, which may be none. run()   does a bounded piece of work, on
 * a thread of a pool (it may block on the disk, never on the client): consumes what it can, appends
 * to out, and says what it waits for. One thread at a time runs an engine.
 *
 * An engine holds little while it waits: no buffers, no open files but the store's.
 */
#ifndef PN_ENGINE_H
#define PN_ENGINE_H

#include "buf.h"
#include "net.h"
#include "store.h"

enum {
    PN_ENGINE_OUT = 256 * 1024,    /* an engine returns MORE once out is beyond this */
    PN_ENGINE_LINE_MAX = 64 * 1024 /* what the host keeps for an engine that consumes nothing */
};

enum pn_engine_next {
    PN_ENGINE_INPUT,   /* run again when more bytes came, or something changed */
    PN_ENGINE_MORE,    /* run again when what was said before is sent: there is more to say, or to
                        * consume */
    PN_ENGINE_HEARD,   /* run again once the client has all that was said, as far as that is known
                        * here; never, if it is gone before */
    PN_ENGINE_DEFLATE, /* as INPUT; from behind this output on both ways are compressed (RFC 4978)
                        */
    PN_ENGINE_END      /* close when out is sent */
};

enum pn_engine_why { PN_ENGINE_IDLE_TOO_LONG, PN_ENGINE_SHUTDOWN, PN_ENGINE_TOO_LONG };

struct pn_engine {
    const struct pn_engine_kind *kind;
    uint64_t commands; /* so many came; the engine counts them, for the session's event */
};

struct pn_engine_kind {
    const char *name; /* "imap", "pop3" */
    /* in: advanced over what was consumed. */
    enum pn_engine_next (*run)(struct pn_engine *engine, struct pn_str *in, struct pn_buf *out);
    /* Last words: "* BYE ..."; then the session ends. Not while run() is on. */
    void (*bye)(struct pn_engine *engine, enum pn_engine_why why, struct pn_buf *out);
    /* How long a client may be silent now, in ms: RFC 9051 wants 30 minutes at least. */
    uint32_t (*patience)(const struct pn_engine *engine);
    void (*free)(struct pn_engine *engine);
};

/* What a session starts with. Strings are borrowed for the call of _new. */
struct pn_engine_start {
    struct pn_user *user;  /* owned by the engine from now on */
    struct pn_str tag;     /* IMAP: of the LOGIN or AUTHENTICATE that edge has not answered yet;
                            * POP3: "UTF8" if the client said so before (RFC 6856) */
    struct pn_str session; /* its name in events */
    struct pn_ip ip;
    bool tls;
    const struct pn_engine_host *host; /* outlives the engine */
    void *ctx;
};

struct pn_engine_host {
    /* Something changed in the store, or a background work ended: run() is to be called, soon.
     * From any thread. */
    void (*wake)(void *ctx);
    /* Messages went into or out of a folder with special use \Junk at the user's wish: an event,
     * so that somebody can learn. from: empty, if the client brought them (APPEND). message_ids:
     * of at most 100 of them, a JSON array. */
    void (*moved)(void *ctx, struct pn_str from, struct pn_str to, bool into_junk,
                  uint64_t messages, struct pn_str message_ids);
    /* Messages are in a folder that nobody has looked at for their words: when nobody waits. Only
     * within run(). */
    void (*grew)(void *ctx, struct pn_str folder);
};

/* The login's tagged OK (or +OK) is the first thing they say. */
struct pn_engine *pn_imap_new(const struct pn_engine_start *start);
struct pn_engine *pn_pop3_new(const struct pn_engine_start *start);

#endif
