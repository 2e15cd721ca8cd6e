/*
 * The shelf: answers that the resolver shares by memory, so that what is known costs its
 * askers no question. The resolver writes; who gets the descriptor can only read (the file
 * is sealed against every other writer).
 *
 * A slot holds one answer of at most DNS_SHELF_BODY bytes with its name. Four slots may
 * hold a name; what expires first makes room. Each is guarded by a counter that is odd
 * while it is written: a reader copies it and looks at the counter again, and takes
 * what changed meanwhile for nothing known. So a reader never waits, nor does the writer,
 * and a resolver that dies in the middle leaves one slot that nobody reads.
 *
 * An answer stays for nine tenths of its time to live and five minutes at most: then the
 * resolver is asked again, early enough to renew what is still asked for.
 */
#ifndef PN_DNS_SHELF_H
#define PN_DNS_SHELF_H

#include "dns.h"

enum { DNS_SHELF_SLOT = 1024, DNS_SHELF_BODY = DNS_SHELF_SLOT - 32, DNS_SHELF_SLOTS = 8192 };

/* ---- the resolver's side */

struct pn_dns_shelf;

/* NULL: the kernel has no such seal; then there is none, and everything is asked. */
struct pn_dns_shelf *pn_dns_shelf_new(void);
void pn_dns_shelf_free(struct pn_dns_shelf **shelf);
/* Borrowed. Whoever has it can read only. */
int pn_dns_shelf_fd(const struct pn_dns_shelf *shelf);
/* name: without the last dot, small letters. ttl: seconds, 0 is not kept; nor is what is too
 * large. now: monotonic ns. */
void pn_dns_shelf_put(struct pn_dns_shelf *shelf, struct pn_str name, uint16_t type,
                      const struct pn_dns_answer *answer, uint32_t ttl, uint64_t now);
void pn_dns_shelf_clear(struct pn_dns_shelf *shelf);

/* ---- a reader's */

struct pn_dns_view;

/* fd is borrowed. NULL: it is no shelf, or one that could change in size. */
struct pn_dns_view *pn_dns_view_open(int fd);
void pn_dns_view_close(struct pn_dns_view **view);

/* Room for one answer; views in it point here. */
struct pn_dns_found {
    struct pn_dns_answer answer;
    struct pn_dns_record records[PN_DNS_RECORDS_MAX];
    char room[DNS_SHELF_BODY];
};

/* From any thread. name as above. Times to live are what is left of them. */
bool pn_dns_view_find(const struct pn_dns_view *view, struct pn_str name, uint16_t type,
                      uint64_t now, struct pn_dns_found *out);

#endif
