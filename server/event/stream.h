/*
 * A byte stream over a connected socket, plain or TLS.
 *
 * Reading: the loop receives into one buffer that all streams share and hands it
 * to on_read; what on_read does not consume the stream keeps (to `keep_max`) and
 * shows again, in front of what comes next. So an idle connection holds no buffer.
 * Writing: pn_stream_write sends at once what the socket takes and keeps the rest;
 * if it kept something (pn_stream_pending), on_drained tells when all is gone.
 *
 * States: open -> (starting TLS -> open) -> closed. After on_close, and after
 * pn_stream_free, no callback comes. The stream owns its fd.
 *
 * TLS here is OpenSSL, 1.2 and up. A peer that closes TCP without close_notify is
 * PN_CLOSE_EOF all the same: the protocols above have their own ends of data.
 */
#ifndef PN_STREAM_H
#define PN_STREAM_H

#include "loop.h"
#include "str.h"
#include "tls.h"

#include <sys/socket.h>

struct pn_stream;

enum pn_close {
    PN_CLOSE_EOF,     /* the peer closed */
    PN_CLOSE_ERROR,   /* reset, or a write failed; errno-like text in `why` */
    PN_CLOSE_TLS,     /* handshake or record failure; OpenSSL's text in `why` */
    PN_CLOSE_TIMEOUT, /* see pn_stream_timeout, pn_stream_deadline */
    PN_CLOSE_FULL     /* output kept passed its limit, or on_read left more than keep_max
                       * and did not pause */
};

struct pn_stream_ops {
    /* bytes is borrowed for the call. Returns how many were consumed; those left
     * come again, with more behind them. May free the stream: then the return
     * value is not looked at. */
    size_t (*on_read)(void *ctx, struct pn_str bytes);
    void (*on_drained)(void *ctx); /* may be NULL */
    void (*on_tls)(void *ctx);     /* handshake done; may be NULL */
    /* why: a short sentence, borrowed for the call. The stream is dead; free it. */
    void (*on_close)(void *ctx, enum pn_close how, const char *why);
    /* In place of on_close(PN_CLOSE_TIMEOUT): the stream lives, for last words; then
     * close or free it. May be NULL. */
    void (*on_timeout)(void *ctx);
    /* The peer says no more, but may listen yet: in place of on_close(PN_CLOSE_EOF), where more
     * can be written. Bytes that are kept are shown yet. May be NULL. */
    void (*on_eof)(void *ctx);
};

enum { PN_STREAM_KEEP_MAX = 128 * 1024, PN_STREAM_READ_MAX = 64 * 1024 };

struct pn_stream_limits {
    /* Unread input kept while on_read asks for more; at most PN_STREAM_KEEP_MAX. A
     * paused stream may keep one read more (PN_STREAM_READ_MAX). */
    size_t keep_max;
    size_t write_max; /* unsent output kept */
};

/* Takes fd (made non-blocking, TCP_NODELAY set). Reading starts with the next turn. */
struct pn_stream *pn_stream_new(struct pn_loop *loop, int fd, const struct pn_stream_ops *ops,
                                void *ctx, struct pn_stream_limits limits);
/* Starts a connection; on_drained comes when it stands, on_close when it failed.
 * from may be NULL (any source address). */
struct pn_stream *pn_stream_connect(struct pn_loop *loop, const struct sockaddr *to,
                                    socklen_t to_len, const struct sockaddr *from,
                                    socklen_t from_len, const struct pn_stream_ops *ops, void *ctx,
                                    struct pn_stream_limits limits);
void pn_stream_free(struct pn_stream **stream);

/* False: the output limit was passed, or it is dead; on_close follows. */
bool pn_stream_write(struct pn_stream *stream, struct pn_str bytes);
/* The same for several pieces in order, with one call of the kernel where it may be. */
bool pn_stream_writev(struct pn_stream *stream, const struct pn_str *parts, size_t count);
/* Output not yet taken by the kernel. */
size_t pn_stream_pending(const struct pn_stream *stream);
/* The same and what the kernel holds yet: of TCP what the peer's has not acknowledged, of a pair of
 * sockets (in memory, not bytes) what its other end has not read. 0: all of it was taken. SIZE_MAX:
 * the peer hears no more, whatever it took. */
size_t pn_stream_unheard(const struct pn_stream *stream);
/* Bytes that came, and on_read was not shown. */
size_t pn_stream_unread(const struct pn_stream *stream);
/* Frees it once all output is sent, without any further callback. *stream becomes NULL at once.
 * That may take for as long as the peer takes some of it every half minute, and five minutes in
 * all; what it holds counts for nobody, so who has much to say yet drains it first. Input that
 * still comes is read and dropped for as long, lest a reset destroys our last words. */
void pn_stream_close(struct pn_stream **stream);
/* The same; fn(ctx) is called once, when it is freed, which may be now. */
void pn_stream_close_then(struct pn_stream **stream, void (*fn)(void *ctx), void *ctx);
/* From here on a peer that hears no more (it closed its end) is no error yet: what is written is
 * dropped, and reading goes on to what it said last. Plain streams only. */
void pn_stream_hear_out(struct pn_stream *stream);

/* From here on the stream is another's, who gets all that happens; timeouts are none, what was
 * kept is dropped, on_drained is not due unless output waits. Not from its own callbacks' inside.
 */
void pn_stream_rehome(struct pn_stream *stream, const struct pn_stream_ops *ops, void *ctx,
                      struct pn_stream_limits limits);
/* Says to the peer, behind all output, that no more comes; reading goes on. No write follows. */
void pn_stream_end(struct pn_stream *stream);

/* Stops and restarts calls of on_read; the socket's buffer then fills, and the
 * peer waits. Kept bytes are shown again on resume. */
void pn_stream_pause(struct pn_stream *stream);
void pn_stream_resume(struct pn_stream *stream);
/* on_close(PN_CLOSE_TIMEOUT) if no byte comes in and none goes out for ms; 0: never.
 * Paused time does not count, unless output waits for the peer. */
void pn_stream_timeout(struct pn_stream *stream, uint64_t ms);
/* The same at this time of pn_loop_now's clock, whatever comes and goes until then; 0: at
 * none. While the stream is paused and no output waits for the peer, not yet. To move it
 * costs next to nothing: call it with every read. */
void pn_stream_deadline(struct pn_stream *stream, uint64_t ns);

/* Starts TLS on an open stream once what was written is sent. The next write is for
 * on_tls or later. Unread plain input
 * is a protocol error by the peer (STARTTLS injection, RFC 3207 section 4.2 and
 * RFC 9051's like): the caller looks first and refuses; here it is dropped.
 * peer_name: the SNI name a client sends, or NULL. tls is borrowed for the call. */
void pn_stream_start_tls(struct pn_stream *stream, struct pn_tls_context *tls, bool server,
                         const char *peer_name);
/* The same as a client that wants more of the server than a name. */
void pn_stream_start_tls_with(struct pn_stream *stream, struct pn_tls_context *tls,
                              const struct pn_tls_want *want);
/* Bytes kept and not consumed; inside on_read, those behind the view do not count. */
size_t pn_stream_kept(const struct pn_stream *stream);
/* Those bytes; borrowed until the stream runs again. */
struct pn_str pn_stream_kept_bytes(const struct pn_stream *stream);
/* NULL while plain. Borrowed. */
const struct pn_tls_info *pn_stream_tls(const struct pn_stream *stream);
/* The session's tls-exporter (RFC 9266): 32 bytes, a secret. False: plain, or a TLS 1.2 without
 * the extended master secret, where it would not be unique (RFC 7627). */
bool pn_stream_exporter(const struct pn_stream *stream, unsigned char out[32]);
int pn_stream_fd(const struct pn_stream *stream);

#endif
