/*
 * The stream's inside, shared by stream.c (input, limits, life), stream_new.c (beginnings),
 * stream_out.c (output), stream_close.c (ends) and stream_tls.c (what OpenSSL wants). Nobody
 * outside server/event includes this.
 */
#ifndef PN_STREAM_INT_H
#define PN_STREAM_INT_H

#include "buf.h"
#include "loop_int.h"
#include "stream.h"

struct tls_side;

struct pn_stream {
    struct event io; /* armed for `armed`; also made active by hand, see stream_kick */
    struct pn_loop *loop;
    const struct pn_stream_ops *ops;
    void *ctx;
    struct pn_timer *timer;    /* idle timeout, then the limit on closing; made when set */
    struct tls_side *tls;      /* owned; NULL while plain */
    struct tls_side *tls_next; /* owned; becomes tls once the plain output is gone */
    struct pn_stream_limits limits;
    uint64_t idle_ms;  /* 0: never */
    uint64_t last;     /* when the last byte moved */
    uint64_t deadline; /* 0: none */
    char *keep;        /* unread input: keep_len bytes from keep_off; owned, NULL when none */
    size_t keep_off, keep_len, keep_cap;
    struct pn_buf out; /* unsent, from out_off */
    size_t out_off;
    int fd;
    short armed;
    bool connecting;
    bool kicked; /* stream_kick, not yet run */
    bool paused;
    bool muted;     /* the socket has input, and we are paused: do not listen for it */
    bool show_kept; /* after a resume */
    bool drain_due; /* output was kept, so on_drained is due when it is gone */
    bool failed;    /* on_close is due with `how` and `why` */
    bool closed;    /* on_close was called */
    bool closing;   /* pn_stream_close: only flush and go */
    bool shut;      /* closing: FIN was sent */
    bool eof;       /* on_eof was called: nothing more is read */
    bool end_due;   /* pn_stream_end: FIN is sent behind the output */
    bool *gone;     /* while its handler runs: where to tell that it was freed */
    bool heard_out; /* pn_stream_hear_out */
    bool deaf;      /* and the peer hears no more: output is dropped */
    /* pn_stream_close_then: who is told of the end; what was left at the last look, and how many
     * looks saw no change. */
    void (*close_fn)(void *ctx);
    size_t close_kept, close_held;
    unsigned close_still;
    enum pn_close how;
    char why[96];
};

/* Result of a read or write attempt: bytes moved, or one of these. */
enum { IO_AGAIN = -1, IO_EOF = -2, IO_FAILED = -3 };

void stream_fail(struct pn_stream *s, enum pn_close how, const char *why);
/* Arms the event for what the stream now waits for. */
void stream_arm(struct pn_stream *s);
/* Runs the stream's handler soon, though no descriptor is ready. */
void stream_kick(struct pn_stream *s);
/* The handler of its event. */
void stream_on_io(evutil_socket_t fd, short what, void *arg);
/* Its timer, made if there is none. */
struct pn_timer *stream_timer(struct pn_stream *s);
void stream_flush(struct pn_stream *s);
/* Closing: goes on with it; when its timer fires. Both may free the stream. */
void stream_finish(struct pn_stream *s);
void stream_closing_time(struct pn_stream *s);

/* want NULL: as a server. NULL with stream_fail called. */
struct tls_side *stream_tls_new(struct pn_stream *s, struct pn_tls_context *tls,
                                const struct pn_tls_want *want);
void stream_tls_free(struct tls_side **tls);
bool stream_tls_ready(const struct pn_stream *s);
/* True when the handshake was completed by this call. */
bool stream_tls_handshake(struct pn_stream *s);
ssize_t stream_tls_read(struct pn_stream *s, char *to, size_t room);
ssize_t stream_tls_write(struct pn_stream *s, const char *from, size_t len);
/* It may be written to no more. */
bool stream_tls_broken(const struct pn_stream *s);
bool stream_tls_wants_write(const struct pn_stream *s);
/* Input that OpenSSL holds and the socket will not announce. */
bool stream_tls_has_input(const struct pn_stream *s);
void stream_tls_bye(struct pn_stream *s);

#endif
