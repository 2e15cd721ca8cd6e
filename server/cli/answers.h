/*
 * What workers ask the resolver and the state role for, answered by a command that has them
 * in its hand (postern scan, check, plugin test): a channel a worker and kind.
 */
#ifndef PN_ANSWERS_H
#define PN_ANSWERS_H

#include "channel.h"
#include "dns.h"
#include "state.h"

struct pn_answers;
struct pn_asker; /* one channel; borrowed, until `gone` names it */

struct pn_answers_ops {
    /* A question; answered now or later, by pn_asker_dns, or never. */
    void (*dns)(void *ctx, struct pn_asker *asker, const struct pn_dns_ask *ask);
    /* answer: its id is set, and that there is nothing. */
    void (*state)(void *ctx, const struct pn_state_ask *ask, struct pn_state_answer *answer);
    void (*gone)(void *ctx, struct pn_asker *asker); /* may be NULL */
};

struct pn_answers *pn_answers_new(struct pn_loop *loop, const struct pn_answers_ops *ops,
                                  void *ctx);
void pn_answers_free(struct pn_answers **answers);
/* Our end of a channel whose other one a worker has; owned from now on. */
void pn_answers_add_dns(struct pn_answers *answers, int fd);
void pn_answers_add_state(struct pn_answers *answers, int fd);

void pn_asker_dns(struct pn_asker *asker, uint64_t id, const struct pn_dns_answer *answer);
/* As state that nobody ever wrote to: there is nothing, and each bucket is full. */
void pn_answers_empty(const struct pn_state_ask *ask, struct pn_state_answer *answer);

#endif
