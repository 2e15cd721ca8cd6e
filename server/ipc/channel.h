/*
 * A channel: typed, length-checked, versioned records between two roles over a
 * SOCK_SEQPACKET pair, with descriptors beside them.
 *
 * A record is at most PN_RECORD_MAX bytes, its header included; what is larger
 * goes as a sealed memory file (memfile.h). Both ends are non-blocking. What the
 * socket does not take waits in a queue with a limit; a full queue refuses, and
 * the caller answers its own client ("try again"), so memory stays bounded.
 *
 * A record that is malformed, of an unknown version, or of a type that the
 * receiver does not take is our own bug or a taken-over role: the channel is
 * closed (PN_CHANNEL_PROTOCOL), never guessed at. A record whose descriptors this process
 * had no room for is neither: it is lost, and the channel lives (on_cut).
 */
#ifndef PN_CHANNEL_H
#define PN_CHANNEL_H

#include "loop.h"
#include "wire.h"

enum { PN_RECORD_MAX = 64 * 1024, PN_RECORD_FDS = 8, PN_RECORD_VERSION = 1 };

struct pn_channel;

struct pn_record {
    uint16_t type;      /* enum pn_record_type, records.h */
    struct pn_str body; /* borrowed for the callback */
    int fds[PN_RECORD_FDS];
    unsigned nfds; /* the receiver takes an fd by setting its slot to -1; others are closed */
};

enum pn_channel_end {
    PN_CHANNEL_CLOSED,  /* the other role went */
    PN_CHANNEL_PROTOCOL /* it sent what is no record, or on_record returned false */
};

struct pn_channel_ops {
    /* False: this record is not one that this role takes, or its body is bad. */
    bool (*on_record)(void *ctx, struct pn_record *record);
    /* Once; the channel is dead and is freed by its owner. Queued records are lost. */
    void (*on_end)(void *ctx, enum pn_channel_end how);
    void (*on_room)(void *ctx); /* after a refusal there is room again; may be NULL */
    /* No descriptor was left for all that came with the record: nfds are those that did.
     * For who can say at once that it is lost; result as on_record's. NULL: it is logged. */
    bool (*on_cut)(void *ctx, struct pn_record *record);
};

/* A connected pair, close-on-exec. 0, or -1 with errno. */
int pn_channel_pair(int fds[2]);

/* Takes fd. queue_max: bytes that may wait; descriptors in waiting records stay open. */
struct pn_channel *pn_channel_new(struct pn_loop *loop, int fd, const struct pn_channel_ops *ops,
                                  void *ctx, size_t queue_max);
void pn_channel_free(struct pn_channel **channel);
/* Copies body; duplicates nothing: each fd is sent at once or dup'ed while it waits,
 * so the caller keeps its own. False: queue full or channel dead, nothing was sent. */
bool pn_channel_send(struct pn_channel *channel, uint16_t type, struct pn_str body, const int *fds,
                     unsigned nfds);
/* Bytes waiting. */
size_t pn_channel_queued(const struct pn_channel *channel);

/*
 * The blocking side, for short-lived roles and for worker threads. Same format.
 * recv puts the record's body into buf. 1: a record, 0: the other end closed,
 * -1: errno says (EPROTO: no record; EMFILE: a record is lost, for its descriptors had no
 * room here; EAGAIN: timeout_ms passed; -1 waits for ever).
 */
/* One attempt that never waits: 0, or -1 with errno (EAGAIN: no room now). */
int pn_channel_try_fd(int fd, uint16_t type, struct pn_str body, const int *fds, unsigned nfds);
int pn_channel_send_fd(int fd, uint16_t type, struct pn_str body, const int *fds, unsigned nfds);
int pn_channel_recv_fd(int fd, struct pn_record *record, struct pn_buf *buf, int timeout_ms);
void pn_record_close_fds(struct pn_record *record);

#endif
