/*
 * Addresses of next hops that could not be reached a moment ago. All hops share it, so that
 * a dead server costs one connection attempt for all domains that name it, not one each.
 *
 * The memory is a table of fixed size in which a later failure takes an earlier one's
 * place: what is forgotten so is only tried again.
 */
#ifndef PN_QUEUE_SHUN_H
#define PN_QUEUE_SHUN_H

#include "hop.h"

void shun_init(struct queue *q);
/* It failed just now: it is left alone for so long. */
void shun_note(struct queue *q, const struct hop_address *to, uint64_t ms);
/* It answers, or an operator says so. */
void shun_forget(struct queue *q, const struct hop_address *to);
bool shun_is(const struct queue *q, const struct hop_address *to);

#endif
