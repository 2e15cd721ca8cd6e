/*
 * The proof of a list (RFC 5782, section 5): what is there for a test is listed, and what must
 * not be is not. It is asked for in the plugin's tick, whose standing names the lists that
 * failed: "bl.test=everything wl.test=nothing".
 */
#ifndef DNSBL_PROOF_H
#define DNSBL_PROOF_H

#include "dnsbl_settings.h"

enum dnsbl_state {
    DNSBL_IN_USE,
    DNSBL_EVERYTHING, /* lists what nobody lists */
    DNSBL_ANSWERLESS, /* lists nothing, not even what is there for a test */
    DNSBL_REFUSES,    /* answers from 127.255.255.0/24, or outside 127.0.0.0/8 */
    DNSBL_UNKNOWN,    /* DNS trouble: it stays what it was */
    DNSBL_STATES
};

/* What the test points of one list said. */
struct dnsbl_proof {
    unsigned listed; /* of those that must be */
    unsigned false_listed, refused, trouble;
};

/* must: it is one of those that must be listed. */
void dnsbl_proof_add(struct dnsbl_proof *p, const struct postern_dns_answer *answer, bool must);
enum dnsbl_state dnsbl_proof_state(const struct dnsbl_proof *p);

/* The n-th test point of a list; false: there are no more. */
bool dnsbl_point(const struct dnsbl_zone *zone, unsigned n, char room[DNSBL_NAME_MAX + 1],
                 bool *must);

/* What a standing says of a list; DNSBL_IN_USE where it says nothing. */
enum dnsbl_state dnsbl_standing_find(struct postern_str standing, const struct dnsbl_zone *zone);
/* Appends it; false: no room. */
bool dnsbl_standing_add(char *room, size_t size, const struct dnsbl_zone *zone,
                        enum dnsbl_state state);
/* In words, for who reads a verdict; NULL: in use. */
const char *dnsbl_state_text(enum dnsbl_state state);

/* The plugin's tick. */
int dnsbl_tick(struct postern_call *call, uint32_t *next_ms);

#endif
