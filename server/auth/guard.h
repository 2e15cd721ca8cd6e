/*
 * Brute force: failures are counted per address (IPv6: per /64) and per account, in tables of a
 * fixed size. Pure: no clock, no loop; times are milliseconds of a monotonic clock.
 *
 * A failure counts until `forget_ms` has passed for it and for each one before it. From
 * `slow_after` on the answer to one is late, twice as late each time. From `address_max` or
 * `account_max` on no password is looked at: whoever is shut out gets one try for each failure
 * that is forgotten. Logins under way count as failures until their end is known, so that many
 * at once try no more than one after another.
 *
 * Two things keep the honest from harm. An account that logged in from an address is known
 * there: the pair has a count of its own, so that nobody elsewhere shuts the owner out, nor a
 * neighbour at his address. And the same wrong password again, as a forgotten device sends it
 * for ever, is no guess: it counts once. (Of passwords 16 bits of a keyed hash are kept.)
 *
 * Tables are sets of eight; a full one gives up what is nearest to being forgotten.
 */
#ifndef AUTH_GUARD_H
#define AUTH_GUARD_H

#include "net.h"

struct auth_guard;

struct auth_guard_rules {
    uint32_t slow_after, address_max, account_max; /* failures; 1 or more */
    uint64_t forget_ms;
};

/* What a login holds from ask to its end; in the login's own struct. */
struct auth_ticket {
    uint64_t address, account, pair; /* keys; 0: not counted there */
    uint16_t print;                  /* of the password; 0: none */
};

enum auth_word {
    AUTH_GO,    /* to be ended by one of the three below */
    AUTH_LATER, /* too many at once; nothing is held */
    AUTH_SHUT   /* nothing is held */
};

enum { AUTH_GUARD_SLOTS = 32768, AUTH_DELAY_MAX_MS = 10 * 1000 };

/* slots: of each table, a power of two, 8 or more. */
struct auth_guard *auth_guard_new(size_t slots);
void auth_guard_free(struct auth_guard **guard);

/* account: the name in one form, or as it was claimed. count_address false: of an address that
 * many share by right. *known: it logged in from there before. */
enum auth_word auth_guard_ask(struct auth_guard *guard, const struct auth_guard_rules *rules,
                              const struct pn_ip *ip, bool count_address, struct pn_str account,
                              uint64_t now_ms, struct auth_ticket *ticket, bool *known);
/* Before its failure is told: the password that was tried, for the account it was tried at. */
void auth_guard_print(const struct auth_guard *guard, struct auth_ticket *ticket,
                      struct pn_str account, struct pn_str password);
/* How many ms the answer is to be late. */
uint32_t auth_guard_failed(struct auth_guard *guard, const struct auth_guard_rules *rules,
                           const struct auth_ticket *ticket, uint64_t now_ms);
void auth_guard_passed(struct auth_guard *guard, const struct auth_ticket *ticket, uint64_t now_ms);
/* It ended without a word about its password. */
void auth_guard_dropped(struct auth_guard *guard, const struct auth_ticket *ticket);

/* For gauges: addresses, and accounts, that are shut out now. Looks at all of both tables. */
void auth_guard_shut(const struct auth_guard *guard, const struct auth_guard_rules *rules,
                     uint64_t now_ms, size_t *addresses, size_t *accounts);

#endif
