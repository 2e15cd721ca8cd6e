/*
 * Cut-through: a message goes to its next hop while the client waits for our reply, so that
 * what that server refuses is refused in the session and never bounced. A cut is the queue's
 * half of one such message; edge's is edge/cut.c, the records are ipc/cut_record.h.
 *
 * It lives on one connection of a hop like a parcel, but its transaction stands open between
 * RCPT and content, while the client sends. States, and what each event means in them:
 *
 *            | opening          | open             | asking           | content
 *   ---------+------------------+------------------+------------------+------------------
 *   what     | 1st RCPT waits   | the edge's turn  | one more RCPT    | sent, or its reply
 *            | for connection,  |                  | waits for its    | waited for; the
 *            | MAIL, RCPT       |                  | reply            | message is at hand
 *   RCPT 2yz | 250; open        |                  | 250; open        |
 *   RCPT 5yz | it; open         |                  | it; open         |
 *   MAIL 5yz | it; refused      |                  |                  |
 *   4yz      | 0; lost, RSET    |                  | 0; lost, RSET    | journal, 250
 *   5yz      |                  |                  |                  | it; nobody has it
 *   2yz      |                  |                  |                  | 250; it is there
 *   no answer| 0; lost          | lost             | 0; lost          | journal, 250; if all
 *   (gone,   |                  |                  |                  | was sent it may be
 *   20 s)    |                  |                  |                  | there twice: counted
 *   no place | 0; lost          |                  |                  |
 *   60 s     |                  | lost, RSET       |                  |
 *   TAKE     | (edge waits)     | content, or lost | (edge waits)     |
 *            |                  | and journal      |                  |
 *   DROP,    | gone, connection | gone, RSET       | gone, connection | goes on: as if the
 *   edge gone| closed           |                  | closed           | edge were there
 *
 * Two more have no connection: `lost` answers each RCPT with 0 and has a TAKE go by the
 * journal; `refused` (MAIL was) answers each RCPT as the first. Both end with TAKE or DROP.
 *
 * Why nothing is lost: a message is answered 250 only once the next hop said 2yz to it or
 * the spool has it; before that the client has it. What a crash forgets is a cut without an
 * answer: the client's turn again, and it is there twice if the next hop had it.
 *
 * Why it is there twice no more often than counted: a message is sent once over a cut. It
 * goes into the journal only where the next hop said 4yz, or not all of the content had been
 * written (RFC 5321, section 4.5.3.2.6: without the last dot, or chunk, nothing is taken), or
 * else it is counted, and its event says so ("maybe_doubled").
 *
 * A cut holds a connection while a client sends. So only half of a hop's may be held so, for
 * a minute at most; beyond that, and where no connection is at hand or on its way, messages
 * go by the journal. An LMTP hop answers each recipient apart, which one reply of ours can't
 * say: there only one is cut through.
 */
#ifndef PN_QUEUE_CUT_H
#define PN_QUEUE_CUT_H

#include "hop.h"

enum { CUT_HOLD_MS = 60 * 1000 };

struct cut;

/* Records of an edge. False: malformed. */
bool cut_ask(struct edge_peer *peer, struct pn_str body);
bool cut_drop_record(struct edge_peer *peer, struct pn_str body);
/* The edge is gone. */
void cut_peer_end(struct edge_peer *peer);

/* A message taken from peer: true, it goes over its open cut, and take_cut_done comes; false:
 * there is none (any more), the journal has it. */
bool cut_take(struct edge_peer *peer, struct message *m);
/* take.c: what became of it. code 2yz, 5yz; else it is to be kept, and if `sent` it may be there
 * all the same. */
void take_cut_done(struct message *m, uint16_t code, struct pn_str text, bool sent);

/* ---- for conn.c and verify.c: what happens on the connection */

/* Its probe has a connection. What is to be sent first, to pn_str_of(cut_first()). */
const char *cut_first(const struct cut *cut);
void cut_opened(struct cut *cut, struct conn *conn, struct pn_smtp_outgoing *mail);
/* It will have none. */
void cut_unopened(struct cut *cut);
void cut_taken(struct cut *cut, const struct pn_smtp_reply *reply);
/* A recipient is settled. sent: all of the content was written. */
void cut_settled(struct cut *cut, enum pn_smtp_from from, const struct pn_smtp_reply *reply,
                 bool sent, struct attempt *by);
/* The engine is through with it: it has no connection from now on, and may be gone. */
void cut_over(struct cut *cut);
/* Given up while the engine was at work: is its transaction to be dropped now? */
bool cut_is_lost(const struct cut *cut);

/* ---- conn.c: what is done there */

/* One more recipient, behind those of the mail. */
void conn_cut_rcpt(struct conn *c, struct pn_str address);
/* The content of a loaded message. False: it can't be had. */
bool conn_cut_content(struct conn *c, struct message *m);
/* The transaction is dropped; between replies only. */
void conn_cut_drop(struct conn *c);
/* The connection ends; theirs: for that the next hop did not answer. */
void conn_cut_abort(struct conn *c, const char *why, bool theirs);

#endif
