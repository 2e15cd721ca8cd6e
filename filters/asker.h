/*
 * DNS for a worker: questions of many requests over one channel to the resolver.
 *
 * A pn_questions is the cache of one request: no name is asked twice in it, what was
 * answered before (earlier stages, a replay) is given to it, and how many it may ask
 * is limited. Waiting blocks the calling thread, which reads the channel itself if nobody
 * else does.
 *
 * All functions but pn_asker_new and _free are for any thread. A resolver
 * that goes away leaves its questions open; they are asked again of the next one, and
 * time out by the asker's own deadline if none comes.
 */
#ifndef PN_ASKER_H
#define PN_ASKER_H

#include "dns.h"
#include "facts.h"

enum {
    PN_QUESTIONS_MAX = 400,      /* of one request */
    PN_QUESTION_MS = 3000,       /* one question's own limit, below a plugin's deadline */
    PN_QUESTION_MARGIN_MS = 100, /* what a plugin gets to speak of a timeout */
};

struct pn_asker;
struct pn_questions;
struct pn_question;

struct pn_asker *pn_asker_new(void);
/* Takes fd: the channel to a resolver, replacing the one before. */
void pn_asker_channel(struct pn_asker *asker, int fd);
/* Since when (monotonic ns) there is no resolver that was there; 0: there is one. Takes no
 * lock. */
uint64_t pn_asker_lost(const struct pn_asker *asker);
/* All pn_questions must be gone. */
void pn_asker_free(struct pn_asker **asker);

struct pn_questions *pn_questions_new(struct pn_asker *asker);
void pn_questions_free(struct pn_questions **questions);
/* An answer known already. The same name and type again: dropped. */
void pn_questions_give(struct pn_questions *questions, const struct pn_dns_seen *seen);

enum pn_ask { PN_ASK_OK, PN_ASK_INVALID, PN_ASK_LIMIT };

/* Starts it unless it was. It is sent with others by the next _wait or _send: one record
 * for all of them. name: with or without the last dot. until: when the asker's time is
 * up (monotonic ns). Borrowed from questions. */
enum pn_ask pn_questions_start(struct pn_questions *questions, struct pn_str name, uint16_t type,
                               uint64_t until, struct pn_question **out);
void pn_questions_send(struct pn_questions *questions);
bool pn_question_done(const struct pn_question *question);
/* True: it is answered; false: until came first. */
bool pn_question_wait(struct pn_question *question, uint64_t until);
/* Of an answered one; views live as long as the pn_questions. */
const struct pn_dns_answer *pn_question_answer(const struct pn_question *question);
struct pn_str pn_question_name(const struct pn_question *question); /* lower case, no last dot */
uint16_t pn_question_type(const struct pn_question *question);

#endif
